#include "edge-runtime/probe/http_peer.h"

#include <algorithm>
#include <charconv>

#include <nlohmann/json.hpp>

#include "base/limits.h"
#include "base/strings.h"
#include "edge-runtime/mcp/session.h"
#include "edge-runtime/mcp/sse.h"

namespace mcpfleet {
namespace {

using Phase = mcp::Handshake::Phase;

constexpr size_t kMaxSessionId = 1024;
constexpr size_t kMaxParamHeaders = 32;
constexpr Duration kFarewell = std::chrono::seconds(1);
// Of a call's time, kept back to tell the server that nobody waits any more.
constexpr Duration kCancelReserve = std::chrono::milliseconds(200);

bool IsVisibleAscii(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c >= 0x21 && c <= 0x7e; });
}

// Header values may hold printable ASCII only; anything else goes as base64 (2026-07-28, "Mcp-Name").
std::string HeaderText(const std::string& value) {
  bool plain = std::all_of(value.begin(), value.end(), [](char c) { return c >= 0x20 && c <= 0x7e; });
  bool padded = Trim(value).size() != value.size();
  if (plain && !padded && !value.starts_with("=?base64?")) return value;
  return "=?base64?" + Base64Encode(value) + "?=";
}

std::string MediaType(const http::Response& head) {
  std::string type = head.headers.Get("Content-Type").value_or("");
  return ToLower(Trim(std::string_view(type).substr(0, type.find(';'))));
}

// Statuses that say nothing about the protocol: what a person or time must change. OK for the others.
Status JudgeStatus(int status, const std::string& excerpt) {
  std::string what = "the server answered " + std::to_string(status) + " " + std::string(http::ReasonPhrase(status));
  if (!excerpt.empty()) what += ": " + excerpt;
  if (status == 401 || status == 403) return FailedPrecondition(what + " (credentials are missing or not accepted)");
  if (status >= 300 && status < 400) return FailedPrecondition(what + " (redirects are not followed)");
  if (status == 408 || status == 425 || status == 429 || status >= 500) return Unavailable(what);
  return OkStatus();
}

Status Unexpected(const std::string& method, int status, const std::string& excerpt) {
  std::string what = method + ": the server answered " + std::to_string(status) + " without a JSON-RPC message";
  return FailedPrecondition(excerpt.empty() ? what : what + ": " + excerpt);
}

// Collects the properties below `schema` that carry x-mcp-header, by JSON pointer into the arguments.
void CollectParamHeaders(const Json& schema, const std::string& path, int depth,
                         std::vector<std::pair<std::string, std::string>>* out) {
  const Json& properties = GetMember(schema, "properties");
  if (!properties.is_object() || depth > 8) return;
  for (auto it = properties.begin(); it != properties.end() && out->size() < kMaxParamHeaders; ++it) {
    std::string header = GetString(it.value(), "x-mcp-header");
    std::string below = path + "/" + it.key();
    if (it.key().find_first_of("/~") != std::string::npos) continue;
    if (!header.empty() && IsVisibleAscii(header) && header.find(':') == std::string::npos)
      out->emplace_back(below, header);
    CollectParamHeaders(it.value(), below, depth + 1, out);
  }
}

}  // namespace

StatusOr<HttpUrl> ParseHttpUrl(const std::string& url) {
  HttpUrl out;
  std::string_view rest = url;
  if (rest.starts_with("https://")) {
    out.endpoint.tls = true;
    rest.remove_prefix(8);
  } else if (rest.starts_with("http://")) {
    rest.remove_prefix(7);
  } else {
    return InvalidArgument("url: must start with http:// or https://");
  }
  size_t end = rest.find_first_of("/?#");
  std::string_view authority = rest.substr(0, end);
  std::string_view target = end == std::string_view::npos ? std::string_view() : rest.substr(end);
  target = target.substr(0, target.find('#'));
  out.target = target.starts_with('/') ? std::string(target) : "/" + std::string(target);
  if (authority.find('@') != std::string_view::npos)
    return InvalidArgument("url: no user or password is allowed in it");
  out.host_header = std::string(authority);
  size_t colon = authority.rfind(':');
  if (authority.starts_with('[')) {
    size_t bracket = authority.find(']');
    if (bracket == std::string_view::npos) return InvalidArgument("url: '[' without ']'");
    out.endpoint.host = std::string(authority.substr(1, bracket - 1));
    if (colon != std::string_view::npos && colon < bracket) colon = std::string_view::npos;
  } else {
    out.endpoint.host = std::string(authority.substr(0, colon));
  }
  out.endpoint.port = out.endpoint.tls ? 443 : 80;
  if (colon != std::string_view::npos) {
    std::string_view port = authority.substr(colon + 1);
    auto [after, error] = std::from_chars(port.data(), port.data() + port.size(), out.endpoint.port);
    if (error != std::errc() || after != port.data() + port.size())
      return InvalidArgument("url: the port is no number");
  }
  bool clean = IsVisibleAscii(out.endpoint.host) && IsVisibleAscii(out.target);
  if (out.endpoint.host.empty() || !clean)
    return InvalidArgument("url: the host is empty or characters are not encoded");
  return out;
}

HttpPeer::HttpPeer(const ProbeTarget& target, HttpUrl url, const Clock& clock, std::shared_ptr<EraMemory> eras,
                   HttpPeerOptions options)
    : url_text_(target.url),
      url_(std::move(url)),
      network_pid_(target.network_pid),
      revision_(target.revision),
      headers_(target.headers),
      clock_(clock),
      eras_(std::move(eras)),
      options_(std::move(options)) {
  http::ClientOptions client{.max_body = limits::kChildLineBytes, .max_idle = 2, .host_header = url_.host_header};
  if (network_pid_ != 0) {
    client.connect = [connect = options_.connect_in_namespace, pid = network_pid_, host = url_.endpoint.host,
                      port = url_.endpoint.port](Deadline deadline) { return connect(pid, host, port, deadline); };
  }
  client_ = std::make_unique<http::Client>(url_.endpoint, std::move(client));
}

StatusOr<std::shared_ptr<HttpPeer>> HttpPeer::Create(const ProbeTarget& target, const Clock& clock,
                                                     std::shared_ptr<EraMemory> eras, HttpPeerOptions options) {
  StatusOr<HttpUrl> url = ParseHttpUrl(target.url);
  if (!url.ok()) return url.status();
  if (target.network_pid != 0 && !options.connect_in_namespace) {
    return Unimplemented("no way into the network namespace of the server");
  }
  return std::shared_ptr<HttpPeer>(new HttpPeer(target, *std::move(url), clock, std::move(eras), std::move(options)));
}

bool HttpPeer::Serves(const ProbeTarget& target) const {
  auto same = [](const HeaderValue& a, const HeaderValue& b) { return a.name == b.name && a.value == b.value; };
  return target.transport == Transport::kStreamableHttp && target.url == url_text_ &&
         target.network_pid == network_pid_ &&
         std::equal(headers_.begin(), headers_.end(), target.headers.begin(), target.headers.end(), same);
}

StatusOr<mcp::PeerInfo> HttpPeer::Ready(Deadline deadline) {
  {
    MutexLock lock(&mu_);
    while (true) {
      if (closed_) return Cancelled("the instance was forgotten");
      if (ready_) return info_;
      if (!connecting_) break;
      if (!changed_.WaitUntil(&mu_, deadline)) return DeadlineExceeded("another handshake is under way");
    }
    connecting_ = true;
  }
  Status connected = Connect(deadline);
  MutexLock lock(&mu_);
  connecting_ = false;
  changed_.NotifyAll();
  if (!connected.ok()) return connected;
  return info_;
}

Status HttpPeer::Connect(Deadline deadline) {
  mcp::Handshake handshake(options_.identity, eras_->Get(revision_));
  Conversation conversation;
  uint64_t next_id = NextId();
  std::vector<mcp::Outgoing> pending = handshake.Start(&next_id);
  while (!pending.empty()) {
    mcp::Outgoing message = std::move(pending.front());
    pending.erase(pending.begin());
    conversation.era = message.method == "server/discover" ? mcp::Era::kModern : mcp::Era::kLegacy;
    bool probing = conversation.era == mcp::Era::kModern;
    StatusOr<Reply> reply =
        Post(message, Json(), conversation, probing ? deadline.AtMost(options_.discover_timeout) : deadline);
    if (!reply.ok() && probing && reply.status().code() == StatusCode::kDeadlineExceeded && !deadline.Expired()) {
      reply = Reply{};  // silence: take it as a refusal
    }
    if (!reply.ok()) return Annotate(reply.status(), message.method);
    RETURN_IF_ERROR(Take(*reply, message, &handshake, &conversation, &pending, &next_id));
    for (const mcp::Outgoing& owed : handshake.OnNoDiscoverAnswer(&next_id)) pending.push_back(owed);
  }
  if (handshake.phase() != Phase::kReady) {
    eras_->Set(revision_, mcp::Era::kUnknown);
    return FailedPrecondition(handshake.failure());
  }
  eras_->Set(revision_, handshake.peer().era);
  MutexLock lock(&mu_);
  next_id_ = std::max(next_id_, next_id);
  info_ = handshake.peer();
  conversation_ = {info_.era, info_.protocol_version, conversation.session_id};
  ready_ = true;
  return OkStatus();
}

// What an answer to a message of the handshake means.
Status HttpPeer::Take(const Reply& reply, const mcp::Outgoing& message, mcp::Handshake* handshake,
                      Conversation* conversation, std::vector<mcp::Outgoing>* next, uint64_t* next_id) {
  if (message.id.empty()) return OkStatus();  // notifications/initialized: any answer, some servers say 200
  if (!reply.answer) {
    if (Status judged = JudgeStatus(reply.status, reply.excerpt); !judged.ok()) return Annotate(judged, message.method);
    // A refused discover means legacy (the caller goes on); a refused initialize means no MCP.
    if (message.method == "server/discover") return OkStatus();
    return Unexpected(message.method, reply.status, reply.excerpt);
  }
  *next = handshake->OnResponse(*reply.answer, next_id);
  if (handshake->phase() != Phase::kReady) return OkStatus();
  conversation->version = handshake->peer().protocol_version;
  if (handshake->peer().era == mcp::Era::kModern) return OkStatus();
  if (reply.session_id.size() > kMaxSessionId || !IsVisibleAscii(reply.session_id)) {
    return FailedPrecondition("initialize: the session id of the server is too long or not visible ASCII");
  }
  conversation->session_id = reply.session_id;
  return OkStatus();
}

uint64_t HttpPeer::NextId() {
  MutexLock lock(&mu_);
  return next_id_++;
}

StatusOr<mcp::Message> HttpPeer::Request(const std::string& method, const Json& given, Deadline deadline) {
  for (int attempt = 0;; ++attempt) {
    Conversation conversation;
    {
      MutexLock lock(&mu_);
      if (closed_) return Cancelled("the instance was forgotten");
      conversation = conversation_;
    }
    bool modern = conversation.era == mcp::Era::kModern;
    Json params = modern ? mcp::WithModernMeta(given, options_.identity.name, options_.identity.version) : given;
    std::string id = std::to_string(NextId());
    mcp::Outgoing message{id, method, mcp::SerializeRequest(id, method, params)};
    Duration left = deadline.Left();
    Deadline inner = left > 5 * kCancelReserve ? deadline.AtMost(left - kCancelReserve) : deadline;
    StatusOr<Reply> reply = Post(message, params, conversation, inner);
    if (!reply.ok()) {
      if (!modern && reply.status().code() == StatusCode::kDeadlineExceeded && !deadline.Expired()) {
        Json cancel = {{"requestId", Json::parse(id, nullptr, false)}, {"reason", "timed out"}};
        const char* cancelled = "notifications/cancelled";
        (void)Post({"", cancelled, mcp::SerializeNotification(cancelled, cancel)}, Json(), conversation, deadline);
      }
      return reply.status();
    }
    bool forgotten = reply->status == 404 && !conversation.session_id.empty();
    if (forgotten && attempt == 0) {
      {
        MutexLock lock(&mu_);
        if (conversation_.session_id == conversation.session_id) ready_ = false;
      }
      RETURN_IF_ERROR(Ready(deadline).status());
      continue;
    }
    if (reply->answer) return *std::move(reply->answer);
    RETURN_IF_ERROR(JudgeStatus(reply->status, reply->excerpt));
    return Unexpected(method, reply->status, reply->excerpt);
  }
}

http::Request HttpPeer::Build(const mcp::Outgoing& message, const Json& params,
                              const Conversation& conversation) const {
  http::Request request{.method = "POST", .target = url_.target, .headers = {}, .body = message.line};
  for (const HeaderValue& header : headers_) request.headers.Add(header.name, header.value);
  request.headers.Set("Content-Type", "application/json");
  request.headers.Set("Accept", "application/json, text/event-stream");
  if (!request.headers.Has("User-Agent")) {
    request.headers.Set("User-Agent", options_.identity.name + "/" + options_.identity.version);
  }
  if (conversation.era == mcp::Era::kModern) {
    AddModernHeaders(message, params, &request);
  } else {
    if (!conversation.version.empty()) request.headers.Set("MCP-Protocol-Version", conversation.version);
    if (!conversation.session_id.empty()) request.headers.Set("Mcp-Session-Id", conversation.session_id);
  }
  return request;
}

void HttpPeer::AddModernHeaders(const mcp::Outgoing& message, const Json& params, http::Request* request) const {
  request->headers.Set("MCP-Protocol-Version", mcp::kModernVersion);
  request->headers.Set("Mcp-Method", message.method);
  std::string name = GetString(params, message.method == "resources/read" ? "uri" : "name");
  bool named = message.method == "tools/call" || message.method == "prompts/get" || message.method == "resources/read";
  if (named) request->headers.Set("Mcp-Name", HeaderText(name));
  if (message.method != "tools/call") return;
  MutexLock lock(&mu_);
  auto tool = param_headers_.find(name);
  if (tool == param_headers_.end()) return;
  const Json& arguments = GetMember(params, "arguments");
  for (const auto& [path, header] : tool->second) {
    Json::json_pointer pointer(path);
    if (!arguments.is_object() || !arguments.contains(pointer)) continue;
    const Json& value = arguments.at(pointer);
    if (value.is_string()) request->headers.Set("Mcp-Param-" + header, HeaderText(value.get<std::string>()));
    if (value.is_number_integer() || value.is_boolean()) request->headers.Set("Mcp-Param-" + header, DumpJson(value));
  }
}

StatusOr<HttpPeer::Reply> HttpPeer::Post(const mcp::Outgoing& message, const Json& params,
                                         const Conversation& conversation, Deadline deadline) {
  StatusOr<std::unique_ptr<http::ResponseStream>> stream =
      client_->Open(Build(message, params, conversation), deadline);
  if (!stream.ok()) return stream.status();
  Touch();
  const http::Response& head = (*stream)->head();
  Reply reply;
  reply.status = head.status;
  reply.session_id = head.headers.Get("Mcp-Session-Id").value_or("");
  bool events = head.status / 100 == 2 && MediaType(head) == "text/event-stream" && !message.id.empty();
  Status read = events ? ReadEvents(**stream, message.id, conversation, &reply, deadline)
                       : ReadJson(**stream, message.id, &reply, deadline);
  if (!read.ok()) return read;
  return reply;
}

Status HttpPeer::ReadJson(http::ResponseStream& stream, const std::string& id, Reply* reply, Deadline deadline) {
  std::string body;
  while (true) {
    StatusOr<std::string> piece = stream.Read(deadline);
    if (!piece.ok()) return piece.status();
    if (piece->empty()) break;
    body += *piece;
    if (body.size() > limits::kChildLineBytes) return ResourceExhausted("the answer is larger than 16 MiB");
  }
  Touch();
  if (id.empty()) return OkStatus();
  StatusOr<mcp::Message> message = mcp::ParseMessage(body, {.bytes = limits::kChildLineBytes, .depth = 64});
  // Errors about a request that the server did not understand carry a null id or none.
  bool about_us = message.ok() && (message->id == id || (message->kind == mcp::MessageKind::kError &&
                                                         (message->id.empty() || message->id == "null")));
  if (about_us && message->IsResponse()) {
    message->id = id;
    reply->answer = *std::move(message);
  } else {
    reply->excerpt = Printable(Trim(body), 160);
  }
  return OkStatus();
}

Status HttpPeer::ReadEvents(http::ResponseStream& stream, const std::string& id, const Conversation& conversation,
                            Reply* reply, Deadline deadline) {
  mcp::SseParser parser;
  while (true) {
    StatusOr<std::string> piece = stream.Read(deadline);
    if (!piece.ok()) return piece.status();
    if (piece->empty()) return Unavailable("the stream ended before the answer");
    Touch();
    StatusOr<std::vector<mcp::SseEvent>> events = parser.Feed(*piece);
    if (!events.ok()) return events.status();
    for (const mcp::SseEvent& event : *events) {
      if (event.type != "message" || event.data.empty()) continue;
      if (TakeStreamed(event.data, id, conversation, reply, deadline)) return OkStatus();
    }
  }
}

bool HttpPeer::TakeStreamed(const std::string& text, const std::string& id, const Conversation& conversation,
                            Reply* reply, Deadline deadline) {
  StatusOr<mcp::Message> message = mcp::ParseMessage(text, {.bytes = limits::kChildLineBytes, .depth = 64});
  if (!message.ok()) return false;
  switch (message->kind) {
    case mcp::MessageKind::kResult:
    case mcp::MessageKind::kError:
      if (message->id != id) return false;
      reply->answer = *std::move(message);
      return true;
    case mcp::MessageKind::kNotification:
      if (message->method.ends_with("/list_changed")) {
        bool before = false;
        {
          MutexLock lock(&mu_);
          before = std::exchange(catalog_dirty_, true);
        }
        if (!before && options_.on_catalog_dirty) options_.on_catalog_dirty();
      }
      return false;
    case mcp::MessageKind::kRequest:
      // Modern servers may not ask, and modern clients may not POST answers.
      if (conversation.era == mcp::Era::kLegacy) {
        (void)Post({"", "", mcp::AnswerServerRequest(*message)}, Json(), conversation, deadline);
      }
      return false;
  }
  return false;
}

void HttpPeer::Touch() {
  MonoTime now = clock_.Now();
  MutexLock lock(&mu_);
  last_activity_ = now;
}

MonoTime HttpPeer::LastActivity() const {
  MutexLock lock(&mu_);
  return last_activity_;
}

bool HttpPeer::CatalogDirty() const {
  MutexLock lock(&mu_);
  return catalog_dirty_;
}

void HttpPeer::ClearCatalogDirty() {
  MutexLock lock(&mu_);
  catalog_dirty_ = false;
}

void HttpPeer::NoteTool(const Json& tool) {
  std::vector<std::pair<std::string, std::string>> headers;
  CollectParamHeaders(GetMember(tool, "inputSchema"), "", 0, &headers);
  std::string name = GetString(tool, "name");
  MutexLock lock(&mu_);
  if (headers.empty()) {
    param_headers_.erase(name);
  } else {
    param_headers_[name] = std::move(headers);
  }
}

void HttpPeer::Close() {
  Conversation conversation;
  {
    MutexLock lock(&mu_);
    if (std::exchange(closed_, true)) return;
    conversation = conversation_;
    changed_.NotifyAll();
  }
  if (conversation.session_id.empty()) return;
  http::Request request = Build({}, Json(), conversation);
  request.method = "DELETE";
  (void)client_->Do(request, Deadline::After(kFarewell));
}

}  // namespace mcpfleet
