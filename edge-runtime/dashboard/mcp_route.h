// /<namespace>/<server>/mcp on the page's own origin, passed on to this node's gateway as it comes: bodies and event
// streams flow, nothing is collected. The dashboard's cookie and what the browser says of the page stay here.
//
// On the loop of the server that the requests come from, from Open to Close.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "base/http/async_client.h"
#include "base/http/server.h"

namespace mcpfleet::dashboard {

// Whether `path` is /<namespace>/<server>/mcp.
bool IsMcpPath(std::string_view path);
// Which fields of a page's request go to the gateway, and of the gateway's answer to the page.
bool GoesToGateway(std::string_view header);
bool GoesToPage(std::string_view header);

class McpRoute {
 public:
  // `gateway`: where it is now; nullopt: nowhere.
  explicit McpRoute(std::function<std::optional<http::Endpoint>()> gateway) : gateway_(std::move(gateway)) {}
  void Open(boost::asio::io_context& loop) { loop_ = &loop; }
  void Handle(const http::Request& request, const std::shared_ptr<http::Responder>& to);
  // Ends what is under way.
  void Close();

 private:
  struct Exchange;
  void Finish(uint64_t id);
  http::AsyncClient* ClientOf(const http::Endpoint& endpoint);

  const std::function<std::optional<http::Endpoint>()> gateway_;
  boost::asio::io_context* loop_ = nullptr;
  uint64_t next_ = 1;
  std::map<uint64_t, std::shared_ptr<Exchange>> exchanges_;
  std::unique_ptr<http::AsyncClient> client_;
  std::string client_of_;  // the address that it is for
};

}  // namespace mcpfleet::dashboard
