// An MCP server of the test's own process, for tests that look at what the gateway sends.
#pragma once

#include <memory>
#include <mutex>
#include <string>

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/http/server.h"
#include "base/json.h"

namespace mcpfleet {

// What reaches it is remembered.
class Upstream {
 public:
  Upstream() {
    http::Server::Options options;
    StatusOr<std::unique_ptr<http::Server>> server = http::Server::Create(
        options,
        [this](const http::Request& request, const std::shared_ptr<http::Responder>& to) { Take(request, to); });
    EXPECT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
  }
  std::string url() const { return "http://127.0.0.1:" + std::to_string(server_->port()) + "/mcp"; }
  // Everything that came, heads and bodies, as text.
  std::string Seen() {
    const std::lock_guard<std::mutex> lock(mu_);
    return seen_;
  }

 private:
  void Take(const http::Request& request, const std::shared_ptr<http::Responder>& to) {
    {
      const std::lock_guard<std::mutex> lock(mu_);
      for (const auto& [name, value] : request.headers.fields()) seen_ += name + ": " + value + "\n";
      seen_ += request.body + "\n";
    }
    const Json message = ParseJson(request.body).value_or(Json());
    const std::string method = GetString(message, "method");
    if (request.method != "POST") return to->Send(http::TextResponse(405, ""));
    if (!message.contains("id")) return to->Send(http::TextResponse(202, ""));
    Json answer = {{"jsonrpc", "2.0"}, {"id", message["id"]}};
    if (method == "initialize") {
      answer["result"] = {{"protocolVersion", "2025-11-25"},
                          {"capabilities", {{"tools", Json::object()}}},
                          {"serverInfo", {{"name", "upstream"}, {"version", "1"}}}};
    } else if (method == "tools/list") {
      answer["result"] = {{"tools", {{{"name", "echo"}, {"inputSchema", {{"type", "object"}}}}}}};
    } else if (method == "tools/call") {
      answer["result"] = {{"content", {{{"type", "text"}, {"text", "from far"}}}}};
    } else {
      answer["error"] = {{"code", -32601}, {"message", "Method not found"}};
    }
    to->Send(http::JsonResponse(200, DumpJson(answer)));
  }

  std::mutex mu_;
  std::string seen_;
  std::unique_ptr<http::Server> server_;  // last: its thread uses the rest
};

}  // namespace mcpfleet
