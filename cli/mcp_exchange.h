// MCP over HTTP from the client's side, one message at a time: which headers a message needs, and everything that comes
// back for it, be it one JSON body or a stream of events (Streamable HTTP, revisions 2025-03-26 to 2026-07-28).
//
//   http::Request request = PostRequest(address, body);
//   AddModernHeaders("tools/call", params, tool_headers, &request);
//   StatusOr<Exchange> exchange = Converse(line, request, {}, deadline, [](const std::string& message, int) { … });
//
// A legacy stream that ends before its answer is taken up again with its last event id, as a server may ask for.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/http/url.h"
#include "base/json.h"
#include "base/mutex.h"
#include "cli/http_line.h"
#include "edge-runtime/mcp/sse.h"

namespace mcpfleet::cli {

// The largest message in either direction: what the gateway lets through at most.
inline constexpr size_t kMessageBytes = size_t{64} << 20;

struct McpAddress {
  std::string text;  // as it was given
  http::Url url;
  std::string token;    // sent as "Authorization: Bearer", "" for none
  std::string ca_file;  // PEM: with https, trusted instead of the system's certificates
};
// InvalidArgument: no http(s) URL, or a token that can't be in a header.
StatusOr<McpAddress> MakeAddress(const std::string& url, const std::string& token, const std::string& ca_file = "");

// Which tools want some of their arguments repeated as Mcp-Param-* headers (x-mcp-header in a tool's schema, revision
// 2026-07-28), learned from the lists that pass by. Thread-safe; bounded.
class ToolHeaders {
 public:
  void Note(const Json& tools) LOCKS_EXCLUDED(mu_);
  // Of a call of `tool` with `arguments`: names and values, encoded.
  std::vector<std::pair<std::string, std::string>> Of(const std::string& tool, const Json& arguments) const
      LOCKS_EXCLUDED(mu_);

 private:
  mutable Mutex mu_;
  // tool -> (JSON pointer into the arguments, header)
  std::map<std::string, std::vector<std::pair<std::string, std::string>>> headers_ GUARDED_BY(mu_);
};

http::Request PostRequest(const McpAddress& address, std::string body);
// Of a session; GET when it asks for the session's own stream or the rest of one.
http::Request SessionRequest(const McpAddress& address, std::string_view method, const std::string& version,
                             const std::string& session_id);
void AddSessionHeaders(const std::string& version, const std::string& session_id, http::Request* request);
void AddModernHeaders(const std::string& version, const std::string& method, const Json& params,
                      const ToolHeaders& tools, http::Request* request);

// One message (JSON text, perhaps over several lines) and the HTTP status that it came with. True: no more is wanted.
using OnMessage = std::function<bool(const std::string& text, int status)>;

struct Exchange {
  int status = 0;
  http::Headers headers;
  bool enough = false;  // OnMessage said so
  std::string excerpt;  // start of a body that was not enough, printable
};
// `resume`: the GET that takes up a broken stream (SessionRequest), null where there is no such thing. Cancelled when
// the line is cut; Unavailable when a stream ends without having been enough.
StatusOr<Exchange> Converse(HttpLine& line, const http::Request& request, const http::Request* resume,
                            Deadline deadline, const OnMessage& on_message);
// Gives the messages of an event stream to `on_message` until that is true (then the value is), or the stream ends.
StatusOr<bool> ReadEvents(http::ResponseStream& stream, mcp::SseParser* parser, Deadline deadline,
                          const OnMessage& on_message);
bool IsEventStream(const http::Response& head);

// What an HTTP status without a message means to a person: Unauthenticated (401), PermissionDenied (403), NotFound,
// ResourceExhausted (429, 503: busy), FailedPrecondition for the rest. `with_token`: one had been sent.
Status JudgeHttpStatus(const Exchange& exchange, bool with_token);

}  // namespace mcpfleet::cli
