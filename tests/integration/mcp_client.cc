#include "tests/integration/mcp_client.h"

#include <cstdlib>

#include "base/strings.h"

namespace mcpfleet {
namespace {

constexpr char kModern[] = "2026-07-28";
constexpr char kMetaPrefix[] = "io.modelcontextprotocol/";

http::Endpoint EndpointOf(const std::string& url) {
  const std::string authority = BaseOf(url).substr(sizeof "http://" - 1);
  const size_t colon = authority.rfind(':');
  return http::TcpEndpoint(authority.substr(0, colon), static_cast<uint16_t>(std::atoi(authority.c_str() + colon + 1)));
}

}  // namespace

std::string BaseOf(const std::string& url) { return url.substr(0, url.find('/', sizeof "http://" - 1)); }

std::string TextOf(const Json& answer) {
  const Json& content = GetMember(GetMember(answer, "result"), "content");
  if (!content.is_array() || content.empty()) return DumpJson(answer);
  return GetString(content[0], "text");
}

http::Response Ask(const std::string& url, const http::Request& request) {
  http::Client client(EndpointOf(url), {});
  StatusOr<http::Response> response = client.Do(request, Deadline::After(std::chrono::seconds(30)));
  return response.ok() ? *std::move(response) : http::TextResponse(0, Message(response.status()));
}

// --- a stream -----------------------------------------------------------------------------------------------------

McpStream::McpStream(StatusOr<std::unique_ptr<http::ResponseStream>> body) {
  if (!body.ok()) {
    problem_ = Message(body.status());
    ended_ = true;
    return;
  }
  body_ = *std::move(body);
  status_ = body_->head().status;
  streams_ = Header("Content-Type").starts_with("text/event-stream");
}

std::string McpStream::Header(const std::string& name) const {
  return body_ == nullptr ? "" : body_->head().headers.Get(name).value_or("");
}

// One piece more; false when there is none.
bool McpStream::Read(Deadline deadline) {
  if (ended_) return false;
  StatusOr<std::string> piece = body_->Read(deadline);
  if (!piece.ok()) {
    problem_ = Message(piece.status());
    ended_ = piece.status().code() != StatusCode::kDeadlineExceeded;
    return false;
  }
  ended_ = piece->empty();
  buffer_ += *piece;
  if (!streams_) {
    if (!ended_ || buffer_.empty()) return !ended_;
    StatusOr<Json> message = ParseJson(buffer_);
    if (message.ok()) messages_.push_back(*std::move(message));
    if (!message.ok()) problem_ = buffer_;
    return message.ok();
  }
  size_t end;
  while ((end = buffer_.find('\n')) != std::string::npos) {
    TakeLine(buffer_.substr(0, end));
    buffer_.erase(0, end + 1);
  }
  return !ended_;
}

void McpStream::TakeLine(const std::string& line) {
  if (line.starts_with("id: ")) id_ = line.substr(4);
  if (line.starts_with("data: ")) data_ += line.substr(6);
  if (!line.empty()) return;
  if (!id_.empty()) ids_.push_back(last_id_ = std::exchange(id_, ""));
  const std::string text = std::exchange(data_, "");
  if (text.empty()) return;
  StatusOr<Json> message = ParseJson(text);
  if (message.ok()) messages_.push_back(*std::move(message));
  if (!message.ok()) problem_ = "no JSON: " + text;
}

std::optional<Json> McpStream::Next(Duration timeout) {
  const Deadline deadline = Deadline::After(timeout);
  while (messages_.empty() && Read(deadline)) {
  }
  if (messages_.empty()) return std::nullopt;
  Json message = std::move(messages_.front());
  messages_.pop_front();
  return message;
}

std::vector<Json> McpStream::Rest() {
  std::vector<Json> all;
  while (std::optional<Json> message = Next()) all.push_back(*std::move(message));
  return all;
}

bool McpStream::AwaitId(Duration timeout) {
  const Deadline deadline = Deadline::After(timeout);
  while (last_id_.empty() && Read(deadline)) {
  }
  return !last_id_.empty();
}

// --- a client -----------------------------------------------------------------------------------------------------

McpClient::McpClient(std::string url, Options options)
    : options_(std::move(options)),
      client_(EndpointOf(url), {.max_idle = 128}),
      path_(url.substr(BaseOf(url).size())) {}

HeaderList McpClient::HeadersFor(const Json& message) const {
  HeaderList headers = options_.headers;
  if (options_.era == Era::kModern) {
    headers.emplace_back("MCP-Protocol-Version", kModern);
    headers.emplace_back("Mcp-Method", GetString(message, "method"));
    const std::string name = GetString(GetMember(message, "params"), "name");
    if (!name.empty()) headers.emplace_back("Mcp-Name", name);
  } else if (!session_.empty()) {
    headers.emplace_back("Mcp-Session-Id", session_);
    headers.emplace_back("MCP-Protocol-Version", options_.version);
  }
  return headers;
}

std::unique_ptr<McpStream> McpClient::Send(const std::string& method, const std::string& body,
                                           const HeaderList& headers, Duration timeout) {
  http::Request request{.method = method, .target = path_, .body = body};
  request.headers.Add("Accept", method == "GET" ? "text/event-stream" : "application/json, text/event-stream");
  if (!body.empty()) request.headers.Add("Content-Type", "application/json");
  for (const auto& [name, value] : headers) request.headers.Add(name, value);
  return std::make_unique<McpStream>(client_.Open(request, Deadline::After(timeout)));
}

std::unique_ptr<McpStream> McpClient::Post(const Json& message, const HeaderList& headers, Duration timeout) {
  HeaderList all = HeadersFor(message);
  all.insert(all.end(), headers.begin(), headers.end());
  return Send("POST", DumpJson(message), all, timeout);
}

std::unique_ptr<McpStream> McpClient::Listen(const std::string& last_event_id) {
  HeaderList headers = HeadersFor(Json());
  if (!last_event_id.empty()) headers.emplace_back("Last-Event-ID", last_event_id);
  return Send("GET", "", headers, std::chrono::seconds(60));
}

int McpClient::Delete() {
  const auto answer = Send("DELETE", "", HeadersFor(Json()), std::chrono::seconds(60));
  answer->Rest();
  return answer->status();
}

std::unique_ptr<McpStream> McpClient::Begin(const std::string& method, Json params, Duration timeout) {
  if (options_.era == Era::kModern) {
    Json& meta = params["_meta"];
    meta[std::string(kMetaPrefix) + "protocolVersion"] = kModern;
    meta[std::string(kMetaPrefix) + "clientCapabilities"] = options_.capabilities;
    meta[std::string(kMetaPrefix) + "clientInfo"] = {{"name", options_.name}, {"version", "1"}};
  }
  return Post({{"jsonrpc", "2.0"}, {"id", next_id_++}, {"method", method}, {"params", std::move(params)}}, {}, timeout);
}

std::unique_ptr<McpStream> McpClient::BeginCall(const std::string& tool, const Json& arguments, const Json& meta) {
  Json params = {{"name", tool}, {"arguments", arguments}};
  if (!meta.empty()) params["_meta"] = meta;
  return Begin("tools/call", std::move(params));
}

Json McpClient::Request(const std::string& method, const Json& params) {
  const auto stream = Begin(method, params);
  const std::vector<Json> messages = stream->Rest();
  Json answer = messages.empty() ? Json{{"problem", stream->problem()}} : messages.back();
  if (stream->status() != 200 || messages.empty()) answer["status"] = stream->status();
  return answer;
}

std::string McpClient::Call(const std::string& tool, const Json& arguments) {
  return TextOf(Request("tools/call", {{"name", tool}, {"arguments", arguments}}));
}

std::vector<std::string> McpClient::ToolNames() {
  std::vector<std::string> names;
  const Json answer = Request("tools/list");
  for (const Json& tool : GetMember(GetMember(answer, "result"), "tools")) names.push_back(GetString(tool, "name"));
  return names;
}

int McpClient::Notify(const std::string& method, const Json& params) {
  const auto answer = Post({{"jsonrpc", "2.0"}, {"method", method}, {"params", params}});
  answer->Rest();
  return answer->status();
}

int McpClient::Reply(const Json& request, const Json& result) {
  const auto answer = Post({{"jsonrpc", "2.0"}, {"id", GetMember(request, "id")}, {"result", result}});
  answer->Rest();
  return answer->status();
}

bool McpClient::Initialize() {
  session_.clear();
  const auto stream = Begin("initialize", {{"protocolVersion", options_.version},
                                           {"capabilities", options_.capabilities},
                                           {"clientInfo", {{"name", options_.name}, {"version", "1"}}}});
  const std::vector<Json> messages = stream->Rest();
  if (messages.empty() || !messages.back().contains("result")) {
    problem_ = std::to_string(stream->status()) + " " + stream->problem() +
               (messages.empty() ? "" : DumpJson(messages.back()));
    return false;
  }
  initialize_result_ = messages.back()["result"];
  session_ = stream->Header("Mcp-Session-Id");
  const int told = Notify("notifications/initialized");
  if (told != 202) problem_ = "notifications/initialized: " + std::to_string(told);
  return told == 202 && !session_.empty();
}

}  // namespace mcpfleet
