// An upstream server that speaks HTTP, and links to it: Streamable HTTP of both eras, or the old HTTP+SSE transport.
//
//   ASSIGN_OR_RETURN(auto upstream, HttpUpstream::Create({.url = target.url, .headers = remote.headers}, loop,
//                                                         server->context()));
//   std::unique_ptr<Link> link = MakeHttpLink(upstream);
//
// One HttpUpstream per server: its links share kept connections and what the server's tools want in headers. It is
// connected to at its URL and nowhere else, redirects are not followed. The headers are the specification's own; what
// clients authenticate with never goes up.
//
// On the gateway's loop only.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/fd.h"
#include "base/http/async_client.h"
#include "base/http/url.h"
#include "base/status.h"
#include "controller/ports/secrets.h"
#include "crd/server_spec.h"
#include "edge-runtime/gateway/link.h"
#include "edge-runtime/gateway/loop.h"
#include "edge-runtime/mcp/handshake.h"
#include "edge-runtime/mcp/modern_headers.h"

namespace mcpfleet::gateway {

enum class HttpTransport {
  kStreamable,
  kSse,
  // Streamable HTTP, and HTTP+SSE when the server refuses `initialize` with 400, 404 or 405 and no JSON-RPC message
  // (specification, "Backwards Compatibility").
  kAuto,
};

class HttpUpstream {
 public:
  struct Options {
    std::string url;
    std::vector<HeaderValue> headers;                       // added to each request
    std::shared_ptr<const SecretSource> secrets = nullptr;  // of headers whose value is one
    HttpTransport transport = HttpTransport::kAuto;
    mcp::ClientIdentity identity;  // for User-Agent
    std::string ca_file;           // instead of the system's certificates
    // See http::AsyncOptions: a socket inside another network namespace.
    std::function<StatusOr<UniqueFd>()> connect;
  };
  // InvalidArgument for a URL or a header that can't be used. loop and context (the same loop's) outlive it.
  static StatusOr<std::shared_ptr<HttpUpstream>> Create(Options options, Loop& loop, boost::asio::io_context& context);

  // A request to the server's URL, with the headers that every request has.
  http::Request NewRequest(std::string_view method) const;
  const http::Url& url() const { return url_; }
  HttpTransport transport() const { return options_.transport; }
  http::AsyncClient& client() { return client_; }
  Loop& loop() { return loop_; }
  mcp::ToolHeaders& tool_headers() { return tool_headers_; }
  // Runs `task` after `delay`, unless `alive` has died by then.
  void After(Duration delay, const std::weak_ptr<bool>& alive, std::function<void()> task);

 private:
  HttpUpstream(Options options, OpenedHeaders headers, http::Url url, Loop& loop, boost::asio::io_context& context);

  const Options options_;
  const OpenedHeaders headers_;  // as they are sent
  const http::Url url_;
  Loop& loop_;
  http::AsyncClient client_;
  mcp::ToolHeaders tool_headers_;
};

// upstream: shared with its other links.
std::unique_ptr<Link> MakeHttpLink(std::shared_ptr<HttpUpstream> upstream);

}  // namespace mcpfleet::gateway
