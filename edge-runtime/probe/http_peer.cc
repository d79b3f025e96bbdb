#include "edge-runtime/probe/http_peer.h"

#include <algorithm>

#include <nlohmann/json.hpp>

#include "base/limits.h"
#include "base/strings.h"
#include "edge-runtime/mcp/session.h"
#include "edge-runtime/mcp/sse.h"

namespace mcpfleet {
namespace {

using Phase = mcp::Handshake::Phase;

constexpr size_t kMaxSessionId = 1024;
constexpr Duration kFarewell = std::chrono::seconds(1);
// Of a call's time, kept back to tell the server that nobody waits any more.
constexpr Duration kCancelReserve = std::chrono::milliseconds(200);

bool IsVisibleAscii(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c >= 0x21 && c <= 0x7e; });
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

}  // namespace

HttpPeer::HttpPeer(const ProbeTarget& target, OpenedHeaders headers, http::Url url, const Clock& clock,
                   std::shared_ptr<EraMemory> eras, HttpPeerOptions options)
    : url_text_(target.url),
      url_(std::move(url)),
      network_pid_(target.network_pid),
      revision_(target.revision),
      headers_(target.headers),
      opened_(std::move(headers)),
      clock_(clock),
      eras_(std::move(eras)),
      options_(std::move(options)) {
  http::ClientOptions client{.max_body = limits::kParsedMessageBytes, .max_idle = 2, .host_header = url_.host_header};
  if (network_pid_ != 0) {
    client.connect = [connect = options_.connect_in_namespace, pid = network_pid_, host = url_.endpoint.host,
                      port = url_.endpoint.port](Deadline deadline) { return connect(pid, host, port, deadline); };
  }
  client_ = std::make_unique<http::Client>(url_.endpoint, std::move(client));
}

StatusOr<std::shared_ptr<HttpPeer>> HttpPeer::Create(const ProbeTarget& target, const Clock& clock,
                                                     std::shared_ptr<EraMemory> eras, HttpPeerOptions options) {
  StatusOr<http::Url> url = http::ParseUrl(target.url);
  if (!url.ok()) return url.status();
  if (target.network_pid != 0 && !options.connect_in_namespace) {
    return Unimplemented("no way into the network namespace of the server");
  }
  ASSIGN_OR_RETURN(OpenedHeaders headers, OpenHeaders(target.headers, target.secrets.get()));
  return std::shared_ptr<HttpPeer>(
      new HttpPeer(target, std::move(headers), *std::move(url), clock, std::move(eras), std::move(options)));
}

bool HttpPeer::Serves(const ProbeTarget& target) const {
  // A value of a secret is another one in another revision.
  auto same = [&](const HeaderValue& a, const HeaderValue& b) {
    return a.name == b.name && a.value == b.value && a.secret == b.secret &&
           (a.secret.name.empty() || target.revision == revision_);
  };
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
  for (const HeaderValue& header : opened_.headers) request.headers.Add(header.name, header.value);
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
  const std::string name = GetString(params, mcp::NamingMember(message.method));
  for (const auto& [field, value] : mcp::ModernHeaders(mcp::kModernVersion, message.method, name))
    request->headers.Set(field, value);
  if (message.method != "tools/call") return;
  MutexLock lock(&mu_);
  for (const auto& [field, value] : tool_headers_.For(name, GetMember(params, "arguments")))
    request->headers.Set(field, value);
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
    if (body.size() > limits::kParsedMessageBytes) return ResourceExhausted("the answer is larger than 16 MiB");
  }
  Touch();
  if (id.empty()) return OkStatus();
  StatusOr<mcp::Message> message = mcp::ParseMessage(body, {.bytes = limits::kParsedMessageBytes, .depth = 64});
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
  StatusOr<mcp::Message> message = mcp::ParseMessage(text, {.bytes = limits::kParsedMessageBytes, .depth = 64});
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
  MutexLock lock(&mu_);
  (void)tool_headers_.Note(tool);  // one with wrong marks is listed all the same: we do not call it
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
