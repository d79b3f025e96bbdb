#include "tests/cli/scripted_endpoint.h"

#include <algorithm>

#include <gtest/gtest.h>

namespace mcpfleet::cli {
namespace {

using http::JsonResponse;
using http::Responder;
using http::Response;

constexpr char kAbout[] = R"({"capabilities":{"tools":{"listChanged":true},"resources":{},"prompts":{}},
  "instructions":"Ask for weather.\nBe \u001b[31mkind.","serverInfo":{"name":"web","version":"3","title":"The Web"}})";
constexpr char kResults[] = R"({
  "tools/list": {"tools":[{"name":"echo","description":"Says it again\nand more","inputSchema":{"type":"object",
      "properties":{"message":{"type":"string"},"site":{"type":"string","x-mcp-header":"Site"}},"required":["message"]}}],
      "nextCursor":"2"},
  "tools/list 2": {"tools":[{"name":"sum","inputSchema":{"type":"object"}}]},
  "tools/call": {"content":[{"type":"text","text":"done"}]},
  "resources/list": {"resources":[{"uri":"demo://a","name":"A","mimeType":"text/plain","size":5,"description":"first"}]},
  "resources/templates/list": {"resourceTemplates":[{"uriTemplate":"demo://{id}","name":"any"}]},
  "resources/read": {"contents":[{"uri":"demo://a","mimeType":"text/plain","text":"hello"}]},
  "prompts/list": {"prompts":[{"name":"greet","description":"A greeting",
      "arguments":[{"name":"who","required":true},{"name":"how"}]}]},
  "prompts/get": {"messages":[{"role":"user","content":{"type":"text","text":"Greet Ada"}}]},
  "ping": {}})";

}  // namespace

ScriptedEndpoint::ScriptedEndpoint(Handler hook) : hook_(std::move(hook)) {
  auto server = http::Server::Create(
      {.worker_threads = 8},
      [this](const http::Request& request, const std::shared_ptr<Responder>& to) { Handle(request, to); });
  EXPECT_TRUE(server.ok()) << server.status();
  server_ = *std::move(server);
}

ScriptedEndpoint::~ScriptedEndpoint() = default;

void ScriptedEndpoint::Send(const std::shared_ptr<Responder>& to, int status, const std::string& json) {
  to->Send(JsonResponse(status, json));
}

void ScriptedEndpoint::Result(const std::shared_ptr<Responder>& to, const Seen& seen, const Json& result) {
  Send(to, 200, mcp::SerializeResult(seen.message.id, result));
}

std::shared_ptr<http::StreamWriter> ScriptedEndpoint::Stream(const std::shared_ptr<Responder>& to) {
  Response head;
  head.headers.Set("Content-Type", "text/event-stream");
  return to->StartStream(head);
}

std::vector<std::string> ScriptedEndpoint::Methods() {
  std::lock_guard<std::mutex> lock(mu_);
  std::vector<std::string> methods;
  for (const Seen& seen : seen_)
    methods.push_back(seen.message.method.empty() ? seen.http.method : seen.message.method);
  return methods;
}

int ScriptedEndpoint::Count(const std::string& method) { return static_cast<int>(All(method).size()); }

std::vector<ScriptedEndpoint::Seen> ScriptedEndpoint::All(const std::string& method) {
  std::lock_guard<std::mutex> lock(mu_);
  std::vector<Seen> all;
  std::copy_if(seen_.begin(), seen_.end(), std::back_inserter(all), [&](const Seen& seen) {
    return (seen.message.method.empty() ? seen.http.method : seen.message.method) == method;
  });
  return all;
}

ScriptedEndpoint::Seen ScriptedEndpoint::Await(const std::string& method, int nth) {
  std::unique_lock<std::mutex> lock(mu_);
  Seen result;
  const bool came = came_.wait_for(lock, std::chrono::seconds(20), [&] {
    int left = nth;
    for (const Seen& seen : seen_) {
      if ((seen.message.method.empty() ? seen.http.method : seen.message.method) != method || --left > 0) continue;
      result = seen;
      return true;
    }
    return false;
  });
  EXPECT_TRUE(came) << "no " << method << " came";
  return result;
}

void ScriptedEndpoint::AwaitStream() {
  std::unique_lock<std::mutex> lock(mu_);
  EXPECT_TRUE(came_.wait_for(lock, std::chrono::seconds(20), [&] { return !streams_.empty(); })) << "no stream";
}

void ScriptedEndpoint::Handle(const http::Request& request, const std::shared_ptr<Responder>& to) {
  if (request.Path() == "/v1/status") return Send(to, 200, status);
  Seen seen{.http = request, .message = {}};
  if (request.method == "POST") {
    StatusOr<mcp::Message> message = mcp::ParseMessage(request.body);
    if (!message.ok()) return Send(to, 400, mcp::SerializeError("null", -32700, "not a message"));
    seen.message = *std::move(message);
  }
  {
    std::lock_guard<std::mutex> lock(mu_);
    seen_.push_back(seen);
    came_.notify_all();
  }
  if (!token.empty() && seen.Header("Authorization") != "Bearer " + token)
    return Send(to, 401, mcp::SerializeError("null", -32001, "who are you"));
  if (hook_ && hook_(seen, to)) return;
  const Json& meta = GetMember(seen.message.params, "_meta");
  const bool is_modern = meta.is_object() && meta.contains("io.modelcontextprotocol/protocolVersion");
  if (is_modern && modern) return HandleModern(seen, to);
  if (is_modern || !legacy) return Send(to, 400, mcp::SerializeError(seen.message.id, -32601, "no such method"));
  HandleLegacy(seen, to);
}

Json ScriptedEndpoint::Answer(const mcp::Message& message) {
  static const Json results = Json::parse(kResults);
  const std::string cursor = GetString(message.params, "cursor");
  return GetMember(results, message.method + (cursor.empty() ? "" : " " + cursor));
}

void ScriptedEndpoint::HandleModern(const Seen& seen, const std::shared_ptr<Responder>& to) {
  const mcp::Message& message = seen.message;
  std::string name = GetString(message.params, message.method == "resources/read" ? "uri" : "name");
  if (seen.Header("MCP-Protocol-Version") != "2026-07-28" || seen.Header("Mcp-Method") != message.method ||
      seen.Header("Mcp-Name") != name || !seen.Header("Mcp-Session-Id").empty())
    return Send(to, 400, mcp::SerializeError(message.id, mcp::kHeaderMismatch, "headers"));
  if (message.method == "server/discover") {
    Json about = Json::parse(kAbout);
    about["supportedVersions"] = {"2026-07-28"};
    return Result(to, seen, about);
  }
  const Json result = Answer(message);
  if (result.is_null()) return Send(to, 404, mcp::SerializeError(message.id, mcp::kMethodNotFound, "no such method"));
  Result(to, seen, result);
}

void ScriptedEndpoint::HandleLegacy(const Seen& seen, const std::shared_ptr<Responder>& to) {
  const mcp::Message& message = seen.message;
  if (message.method == "initialize") {
    Json about = Json::parse(kAbout);
    about["protocolVersion"] = "2025-11-25";
    Response response = JsonResponse(200, mcp::SerializeResult(message.id, about));
    response.headers.Set("Mcp-Session-Id", "s" + std::to_string(++sessions));
    lost = false;
    return to->Send(response);
  }
  if (seen.Header("Mcp-Session-Id") != "s" + std::to_string(sessions.load()) || lost)
    return Send(to, 404, mcp::SerializeError("null", -32001, "Session not found"));
  if (seen.Header("MCP-Protocol-Version") != "2025-11-25")
    return Send(to, 400, mcp::SerializeError("null", -32000, "version"));
  if (seen.http.method == "GET") {
    std::shared_ptr<http::StreamWriter> stream = Stream(to);
    stream->Write(": hello\n\n");
    std::lock_guard<std::mutex> lock(mu_);
    streams_.push_back(std::move(stream));
    came_.notify_all();
    return;
  }
  if (seen.http.method == "DELETE") return to->Send(http::TextResponse(200, ""));
  if (message.kind != mcp::MessageKind::kRequest) return to->Send(http::TextResponse(202, ""));
  const Json result = Answer(message);
  if (result.is_null()) return Send(to, 200, mcp::SerializeError(message.id, mcp::kMethodNotFound, "no such method"));
  Result(to, seen, result);
}

}  // namespace mcpfleet::cli
