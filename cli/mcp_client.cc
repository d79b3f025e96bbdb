#include "cli/mcp_client.h"

#include <algorithm>

#include <nlohmann/json.hpp>

#include "base/strings.h"
#include "base/version.h"
#include "edge-runtime/mcp/session.h"

namespace mcpfleet::cli {
namespace {

constexpr Duration kDiscover = std::chrono::seconds(5);
constexpr Duration kFarewell = std::chrono::seconds(1);
constexpr size_t kMaxSessionId = 1024;
constexpr int kMaxPages = 1000;
constexpr char kCancelled[] = "notifications/cancelled";

bool IsVisibleAscii(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c >= 0x21 && c <= 0x7e; });
}

// Statuses that are about us or the time, not about the message.
bool IsRefusal(int status) {
  return status == 401 || status == 403 || status == 429 || status >= 500 || status / 100 == 3;
}

// What a result of 2026-07-28 asks for instead of answering, for a person.
std::string InputWanted(const Json& result) {
  std::vector<std::string> wanted;
  for (const auto& [key, request] : GetMember(result, "inputRequests").items()) {
    const std::string message = GetString(GetMember(request, "params"), "message");
    wanted.push_back(Printable(GetString(request, "method"), 60) +
                     (message.empty() ? "" : " (\"" + Printable(message, 200) + "\")"));
  }
  return "the server asks for input before it answers" + (wanted.empty() ? "" : ": " + Join(wanted, ", ")) +
         "; mcpctl can't give any: use a client that can (mcpctl connect writes its configuration)";
}

}  // namespace

McpClient::McpClient(McpAddress address, Options options)
    : address_(std::move(address)),
      options_(std::move(options)),
      line_(address_.url, address_.ca_file),
      side_line_(address_.url, address_.ca_file) {}

McpClient::~McpClient() {
  if (session_id_.empty()) return;
  // Best effort: the session also ends by its idle time.
  side_line_.Mend();
  (void)Converse(side_line_, SessionRequest(address_, "DELETE", version_, session_id_), nullptr,
                 Deadline::After(kFarewell), [](const std::string&, int) { return true; });
}

StatusOr<std::unique_ptr<McpClient>> McpClient::Connect(const std::string& url, Options options, Deadline deadline) {
  ASSIGN_OR_RETURN(McpAddress address, MakeAddress(url, options.token, options.ca_file));
  std::unique_ptr<McpClient> client(new McpClient(std::move(address), std::move(options)));
  RETURN_IF_ERROR(client->Handshake(deadline));
  return client;
}

Status McpClient::Handshake(Deadline deadline) {
  mcp::Handshake handshake({.name = "mcpctl", .version = Version()}, options_.era);
  session_id_.clear();
  std::vector<mcp::Outgoing> pending = handshake.Start(&next_id_);
  while (!pending.empty()) {
    const mcp::Outgoing message = std::move(pending.front());
    pending.erase(pending.begin());
    const bool probing = message.method == "server/discover";
    StatusOr<Reply> reply = Send(message, mcp::WithModernMeta(Json::object(), "mcpctl", Version()), probing,
                                 probing ? deadline.AtMost(kDiscover) : deadline);
    const bool silent = !reply.ok() && reply.status().code() == StatusCode::kDeadlineExceeded && !deadline.Expired();
    if (!reply.ok() && !(probing && silent)) return Annotate(reply.status(), message.method);
    if (message.id.empty()) continue;  // notifications/initialized: any answer, some servers say 200
    if (reply.ok() && IsRefusal(reply->exchange.status)) return Annotate(Refused(&*reply), message.method);
    if (reply.ok() && reply->answer.has_value()) {
      pending = handshake.OnResponse(*reply->answer, &next_id_);
      if (handshake.phase() == mcp::Handshake::Phase::kReady) {
        about_ = reply->answer->result;
        version_ = handshake.peer().protocol_version;
        session_id_ = probing ? "" : reply->exchange.headers.Get("Mcp-Session-Id").value_or("");
        if (session_id_.size() > kMaxSessionId || !IsVisibleAscii(session_id_))
          return FailedPrecondition("initialize: the session id is too long or not visible ASCII");
      }
    } else if (!probing) {
      // A discover without a message for answer means legacy; such an initialize means no MCP.
      return Annotate(Refused(&*reply), message.method);
    }
    for (const mcp::Outgoing& owed : handshake.OnNoDiscoverAnswer(&next_id_)) pending.push_back(owed);
  }
  if (handshake.phase() != mcp::Handshake::Phase::kReady) return FailedPrecondition(handshake.failure());
  handshake_ = std::move(handshake);
  return OkStatus();
}

StatusOr<McpClient::Reply> McpClient::Send(const mcp::Outgoing& message, const Json& params, bool modern,
                                           Deadline deadline) {
  http::Request request = PostRequest(address_, message.line);
  http::Request resume;
  if (modern) {
    AddModernHeaders(std::string(mcp::kModernVersion), message.method, params, tool_headers_, &request);
  } else {
    AddSessionHeaders(message.method == "initialize" ? "" : version_, session_id_, &request);
    resume = SessionRequest(address_, "GET", version_, session_id_);
  }
  Reply reply;
  StatusOr<Exchange> exchange =
      Converse(line_, request, session_id_.empty() || modern ? nullptr : &resume, deadline,
               [&](const std::string& text, int) { return Take(text, message.id, modern, &reply); });
  if (interrupted_) return Cancelled("interrupted");
  if (!exchange.ok()) return exchange.status();
  reply.exchange = *std::move(exchange);
  if (options_.on_request) options_.on_request(message.method + " -> " + std::to_string(reply.exchange.status));
  return reply;
}

bool McpClient::Take(const std::string& text, const std::string& id, bool modern, Reply* reply) {
  StatusOr<mcp::Message> message = mcp::ParseMessage(text, {.bytes = kMessageBytes});
  if (!message.ok()) return false;
  switch (message->kind) {
    case mcp::MessageKind::kResult:
    case mcp::MessageKind::kError:
      // Errors about a request that the server could not read carry a null id or none.
      if (message->id != id && !message->id.empty() && message->id != "null") return false;
      if (id.empty()) return false;
      reply->answer = *std::move(message);
      reply->answer->id = id;
      return true;
    case mcp::MessageKind::kNotification:
      if (message->method == "notifications/progress") ShowProgress(message->params);
      return false;
    case mcp::MessageKind::kRequest:
      // Modern servers may not ask, and modern clients may not POST answers.
      if (!modern) AnswerServer(*message);
      return false;
  }
  return false;
}

void McpClient::AnswerServer(const mcp::Message& request) {
  http::Request answer = PostRequest(address_, mcp::AnswerServerRequest(request));
  AddSessionHeaders(version_, session_id_, &answer);
  (void)Converse(side_line_, answer, nullptr, Deadline::After(kFarewell), [](const std::string&, int) { return true; });
}

void McpClient::ShowProgress(const Json& params) {
  if (!options_.on_progress) return;
  const Json& progress = GetMember(params, "progress");
  const Json& total = GetMember(params, "total");
  std::string line = progress.is_number() ? DumpJson(progress) : "";
  if (!line.empty() && total.is_number()) line += " of " + DumpJson(total);
  const std::string message = Printable(GetString(params, "message"), 200);
  options_.on_progress(line + (line.empty() || message.empty() ? "" : ": ") + message);
}

StatusOr<Json> McpClient::Call(const std::string& method, const Json& given, Deadline deadline) {
  for (int attempt = 0;; ++attempt) {
    if (interrupted_) return Cancelled("interrupted");
    const bool modern = peer().era == mcp::Era::kModern;
    Json params = modern ? mcp::WithModernMeta(given, "mcpctl", Version()) : given;
    const std::string id = std::to_string(next_id_++);
    if (options_.on_progress && params.is_object()) params["_meta"]["progressToken"] = next_id_;
    StatusOr<Reply> reply = Send({id, method, mcp::SerializeRequest(id, method, params)}, params, modern, deadline);
    if (!reply.ok()) {
      // In the modern era the closed connection says it.
      if (!modern && (interrupted_ || reply.status().code() == StatusCode::kDeadlineExceeded))
        TellCancelled(id, interrupted_ ? "the user has interrupted it" : "it took too long");
      if (interrupted_) return reply.status();
      return Annotate(reply.status(), method);
    }
    const bool forgotten = reply->exchange.status == 404 && !modern && !session_id_.empty();
    if (forgotten && attempt == 0) {
      RETURN_IF_ERROR(Annotate(Handshake(deadline), "the session was lost"));
      continue;
    }
    if (reply->answer.has_value() && !IsRefusal(reply->exchange.status)) return ResultOf(method, *reply->answer);
    return Annotate(Refused(&*reply), method);
  }
}

Status McpClient::Refused(Reply* reply) const {
  if (reply->answer.has_value()) reply->exchange.excerpt = Printable(reply->answer->error_message, 300);
  return JudgeHttpStatus(reply->exchange, !address_.token.empty());
}

StatusOr<Json> McpClient::ResultOf(const std::string& method, const mcp::Message& answer) const {
  if (answer.kind == mcp::MessageKind::kError) {
    std::string what = method + ": " + mcp::DescribeError(answer);
    if (answer.error_code == mcp::kMissingClientCapability)
      what += "; mcpctl offers no capabilities: use a client that has what the server asks for (mcpctl connect)";
    return FailedPrecondition(what);
  }
  if (GetString(answer.result, "resultType") == "input_required")
    return FailedPrecondition(method + ": " + InputWanted(answer.result));
  return answer.result;
}

void McpClient::TellCancelled(const std::string& id, const std::string& reason) {
  const Json params = {{"requestId", Json::parse(id, nullptr, false)}, {"reason", reason}};
  http::Request request = PostRequest(address_, mcp::SerializeNotification(kCancelled, params));
  AddSessionHeaders(version_, session_id_, &request);
  (void)Converse(side_line_, request, nullptr, Deadline::After(kFarewell),
                 [](const std::string&, int) { return true; });
}

StatusOr<Json> McpClient::List(const std::string& method, const std::string& member, Deadline deadline) {
  const CallMethod call = [&](const std::string& name, const Json& params) { return Call(name, params, deadline); };
  StatusOr<Json> items = ListPages(call, method, member);
  if (items.ok() && member == "tools") tool_headers_.Note(*items);
  return items;
}

void McpClient::Interrupt() {
  interrupted_ = true;
  line_.Cut();
}

StatusOr<Json> ListPages(const CallMethod& call, const std::string& method, const std::string& member) {
  Json all = Json::array();
  Json params = Json::object();
  for (int page = 0; page < kMaxPages; ++page) {
    ASSIGN_OR_RETURN(Json result, call(method, params));
    const Json& items = GetMember(result, member);
    if (!items.is_array()) return FailedPrecondition(method + ": the result has no array \"" + member + "\"");
    all.insert(all.end(), items.begin(), items.end());
    const std::string cursor = GetString(result, "nextCursor");
    if (cursor.empty()) return all;
    params = {{"cursor", cursor}};
  }
  return FailedPrecondition(method + ": more than " + std::to_string(kMaxPages) + " pages");
}

}  // namespace mcpfleet::cli
