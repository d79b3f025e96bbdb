#include "cli/mcp_exchange.h"

#include <algorithm>

#include <nlohmann/json.hpp>

#include "base/http/response_parser.h"
#include "base/strings.h"
#include "base/version.h"

namespace mcpfleet::cli {
namespace {

constexpr size_t kMaxTools = 4096, kMaxParamHeaders = 32;
constexpr int kMaxSchemaDepth = 8;
// How often a stream is taken up again without any event in between, and how long before, where the server doesn't say.
constexpr int kMaxResumes = 5;
// A stream ends with its answer: who reads the end may use the connection again.
constexpr Duration kStreamEnd = std::chrono::milliseconds(100);
constexpr Duration kResumePause = std::chrono::milliseconds(500), kMaxResumePause = std::chrono::seconds(30);

// Header values may hold printable ASCII only; anything else goes as base64 (2026-07-28, "Mcp-Name").
std::string HeaderText(const std::string& value) {
  const bool plain = std::all_of(value.begin(), value.end(), [](char c) { return c >= 0x20 && c <= 0x7e; });
  if (plain && Trim(value).size() == value.size() && !value.starts_with("=?base64?")) return value;
  return "=?base64?" + Base64Encode(value) + "?=";
}

// The properties below `schema` that carry x-mcp-header, by JSON pointer into the arguments.
void CollectParamHeaders(const Json& schema, const std::string& path, int depth,
                         std::vector<std::pair<std::string, std::string>>* out) {
  const Json& properties = GetMember(schema, "properties");
  if (!properties.is_object() || depth > kMaxSchemaDepth) return;
  for (auto it = properties.begin(); it != properties.end() && out->size() < kMaxParamHeaders; ++it) {
    if (it.key().find_first_of("/~") != std::string::npos) continue;
    const std::string header = GetString(it.value(), "x-mcp-header");
    if (http::IsToken("Mcp-Param-" + header) && !header.empty()) out->emplace_back(path + "/" + it.key(), header);
    CollectParamHeaders(it.value(), path + "/" + it.key(), depth + 1, out);
  }
}

StatusOr<std::string> ReadBody(http::ResponseStream& stream, Deadline deadline) {
  std::string body;
  for (;;) {
    ASSIGN_OR_RETURN(std::string piece, stream.Read(deadline));
    if (piece.empty()) return body;
    body += piece;
    if (body.size() > kMessageBytes)
      return ResourceExhausted("the answer is larger than " + std::to_string(kMessageBytes >> 20) + " MiB");
  }
}

Duration PauseOf(const mcp::SseParser& parser) {
  if (parser.retry_millis() < 0) return kResumePause;
  return std::min<Duration>(std::chrono::milliseconds(parser.retry_millis()), kMaxResumePause);
}

}  // namespace

StatusOr<McpAddress> MakeAddress(const std::string& url, const std::string& token, const std::string& ca_file) {
  McpAddress address{.text = url, .url = {}, .token = std::string(Trim(token)), .ca_file = ca_file};
  StatusOr<http::Url> parsed = http::ParseUrl(url);
  if (!parsed.ok()) return InvalidArgument(Printable(url, 200) + ": " + Message(parsed.status()));
  address.url = *std::move(parsed);
  const bool visible =
      std::all_of(address.token.begin(), address.token.end(), [](char c) { return c > 32 && c < 127; });
  if (!visible) return InvalidArgument("the token: allowed are visible ASCII characters on one line");
  return address;
}

void ToolHeaders::Note(const Json& tools) {
  if (!tools.is_array()) return;
  for (const Json& tool : tools) {
    std::vector<std::pair<std::string, std::string>> headers;
    CollectParamHeaders(GetMember(tool, "inputSchema"), "", 0, &headers);
    const std::string name = GetString(tool, "name");
    MutexLock lock(&mu_);
    if (headers.empty())
      headers_.erase(name);
    else if (headers_.size() < kMaxTools || headers_.count(name) != 0)
      headers_[name] = std::move(headers);
  }
}

std::vector<std::pair<std::string, std::string>> ToolHeaders::Of(const std::string& tool, const Json& arguments) const {
  std::vector<std::pair<std::string, std::string>> out;
  MutexLock lock(&mu_);
  auto found = headers_.find(tool);
  if (found == headers_.end() || !arguments.is_object()) return out;
  for (const auto& [path, header] : found->second) {
    const Json::json_pointer pointer(path);
    if (!arguments.contains(pointer)) continue;
    const Json& value = arguments.at(pointer);
    if (value.is_string()) out.emplace_back("Mcp-Param-" + header, HeaderText(value.get<std::string>()));
    if (value.is_number_integer() || value.is_boolean()) out.emplace_back("Mcp-Param-" + header, DumpJson(value));
  }
  return out;
}

namespace {
void AddCommonHeaders(const McpAddress& address, http::Request* request) {
  request->headers.Set("User-Agent", std::string("mcpctl/") + Version());
  if (!address.token.empty()) request->headers.Set("Authorization", "Bearer " + address.token);
}
}  // namespace

http::Request PostRequest(const McpAddress& address, std::string body) {
  http::Request request{.method = "POST", .target = address.url.target, .headers = {}, .body = std::move(body)};
  AddCommonHeaders(address, &request);
  request.headers.Set("Content-Type", "application/json");
  request.headers.Set("Accept", "application/json, text/event-stream");
  return request;
}

http::Request SessionRequest(const McpAddress& address, std::string_view method, const std::string& version,
                             const std::string& session_id) {
  http::Request request{.method = std::string(method), .target = address.url.target};
  AddCommonHeaders(address, &request);
  if (method == "GET") request.headers.Set("Accept", "text/event-stream");
  AddSessionHeaders(version, session_id, &request);
  return request;
}

void AddSessionHeaders(const std::string& version, const std::string& session_id, http::Request* request) {
  if (!version.empty()) request->headers.Set("MCP-Protocol-Version", version);
  if (!session_id.empty()) request->headers.Set("Mcp-Session-Id", session_id);
}

void AddModernHeaders(const std::string& version, const std::string& method, const Json& params,
                      const ToolHeaders& tools, http::Request* request) {
  request->headers.Set("MCP-Protocol-Version", version);
  request->headers.Set("Mcp-Method", method);
  const char* named = method == "tools/call" || method == "prompts/get" ? "name"
                      : method == "resources/read"                      ? "uri"
                      : method.starts_with("tasks/")                    ? "taskId"
                                                                        : nullptr;
  if (named != nullptr) request->headers.Set("Mcp-Name", HeaderText(GetString(params, named)));
  if (method != "tools/call") return;
  for (const auto& [name, value] : tools.Of(GetString(params, "name"), GetMember(params, "arguments")))
    request->headers.Set(name, value);
}

bool IsEventStream(const http::Response& head) {
  const std::string type = head.headers.Get("Content-Type").value_or("");
  return head.status / 100 == 2 &&
         EqualsIgnoreCase(Trim(std::string_view(type).substr(0, type.find(';'))), "text/event-stream");
}

StatusOr<bool> ReadEvents(http::ResponseStream& stream, mcp::SseParser* parser, Deadline deadline,
                          const OnMessage& on_message) {
  for (;;) {
    ASSIGN_OR_RETURN(std::string piece, stream.Read(deadline));
    if (piece.empty()) return false;
    ASSIGN_OR_RETURN(std::vector<mcp::SseEvent> events, parser->Feed(piece));
    for (const mcp::SseEvent& event : events) {
      if (event.type != "message" || event.data.empty()) continue;
      if (on_message(event.data, stream.head().status)) return true;
    }
  }
}

namespace {

// A stream to its answer, over as many connections as it takes. `stream` is the first, already open.
Status FollowStream(HttpLine& line, std::unique_ptr<http::ResponseStream> stream, const http::Request* resume,
                    Deadline deadline, const OnMessage& on_message, Exchange* exchange) {
  std::string last_id;
  for (int fruitless = 0;;) {
    mcp::SseParser parser(kMessageBytes);
    StatusOr<bool> enough = ReadEvents(*stream, &parser, deadline, on_message);
    if (enough.ok() && *enough) {
      exchange->enough = true;
      (void)stream->Read(deadline.AtMost(kStreamEnd));
      return OkStatus();
    }
    stream.reset();
    fruitless = parser.last_id().empty() || parser.last_id() == last_id ? fruitless + 1 : 0;
    if (!parser.last_id().empty()) last_id = parser.last_id();
    const bool broken = enough.ok() || enough.status().code() == StatusCode::kUnavailable;
    if (!broken) return enough.status();
    if (resume == nullptr || last_id.empty() || fruitless > kMaxResumes)
      return Unavailable("the stream ended before the answer");
    for (; stream == nullptr; ++fruitless) {
      if (!line.Pause(std::min(PauseOf(parser), deadline.Left()))) return Cancelled("cancelled");
      http::Request again = *resume;
      again.headers.Set("Last-Event-ID", last_id);
      auto next = line.Open(again, deadline);
      if (next.ok() && IsEventStream((*next)->head())) {
        stream = *std::move(next);
        break;
      }
      const bool later = next.ok() ? (*next)->head().status >= 500 : next.status().code() == StatusCode::kUnavailable;
      if (!later || fruitless >= kMaxResumes) {
        if (!next.ok()) return next.status();
        exchange->status = (*next)->head().status;
        return Unavailable("the stream ended before the answer, and the server does not take it up again (" +
                           std::to_string(exchange->status) + ")");
      }
    }
  }
}

}  // namespace

StatusOr<Exchange> Converse(HttpLine& line, const http::Request& request, const http::Request* resume,
                            Deadline deadline, const OnMessage& on_message) {
  ASSIGN_OR_RETURN(auto stream, line.Open(request, deadline));
  Exchange exchange{.status = stream->head().status, .headers = stream->head().headers, .excerpt = {}};
  if (IsEventStream(stream->head())) {
    RETURN_IF_ERROR(FollowStream(line, std::move(stream), resume, deadline, on_message, &exchange));
    return exchange;
  }
  ASSIGN_OR_RETURN(std::string body, ReadBody(*stream, deadline));
  exchange.enough = !Trim(body).empty() && on_message(body, exchange.status);
  if (!exchange.enough) exchange.excerpt = Printable(Trim(body), 160);
  return exchange;
}

Status JudgeHttpStatus(const Exchange& exchange, bool with_token) {
  const int status = exchange.status;
  std::string what = "the endpoint answered " + std::to_string(status) + " " + std::string(http::ReasonPhrase(status));
  if (status == 401) {
    return Unauthenticated(with_token ? what + ": it does not accept the token"
                                      : what + ": it wants a token; allowed: --token-file FILE or MCPCTL_TOKEN");
  }
  if (!exchange.excerpt.empty()) what += ": " + exchange.excerpt;
  if (status == 403) return PermissionDenied(what);
  if (status == 404) return NotFound(what);
  if (status >= 300 && status < 400) return FailedPrecondition(what + " (redirects are not followed)");
  if (status == 429 || status == 503) {
    const std::string after = exchange.headers.Get("Retry-After").value_or("");
    return ResourceExhausted(what + (after.empty() ? "" : "; it asks to wait " + Printable(after, 40) + " s"));
  }
  return FailedPrecondition(what);
}

}  // namespace mcpfleet::cli
