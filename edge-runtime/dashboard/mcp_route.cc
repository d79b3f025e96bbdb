#include "edge-runtime/dashboard/mcp_route.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/strings.h"
#include "edge-runtime/dashboard/envelope.h"

namespace mcpfleet::dashboard {
namespace {

constexpr size_t kMostExchanges = 64;
constexpr size_t kAhead = size_t{1} << 20;  // bytes that the browser has not taken, from which on the gateway waits
constexpr size_t kResume = kAhead / 4;

template <size_t n>
bool Among(std::string_view name, const std::array<std::string_view, n>& names) {
  return std::any_of(names.begin(), names.end(), [&](std::string_view each) { return EqualsIgnoreCase(each, name); });
}

// Of one connection, not of the message (RFC 9110, 7.6.1), and what the client writes itself.
constexpr std::array<std::string_view, 11> kOfConnection{
    "connection", "keep-alive",        "proxy-authenticate", "proxy-authorization", "te",    "trailer",
    "upgrade",    "transfer-encoding", "content-length",     "proxy-connection",    "expect"};

}  // namespace

bool IsMcpPath(std::string_view path) {
  const std::vector<std::string> parts = Split(path, '/');  // "", namespace, server, "mcp"
  return parts.size() == 4 && parts[0].empty() && !parts[1].empty() && !parts[2].empty() && parts[3] == "mcp";
}

bool GoesToGateway(std::string_view header) {
  // The session's cookie is nobody's business upstream; Host and Origin were judged here and mean another server there.
  constexpr std::array<std::string_view, 5> kOwn{"cookie", "host", "origin", "referer", "accept-encoding"};
  return !Among(header, kOfConnection) && !Among(header, kOwn) && !ToLower(header).starts_with("sec-") &&
         !ToLower(header).starts_with("x-forwarded-") && !EqualsIgnoreCase(header, "forwarded");
}

bool GoesToPage(std::string_view header) {
  return !Among(header, kOfConnection) && !EqualsIgnoreCase(header, "set-cookie") &&
         !ToLower(header).starts_with("access-control-");
}

struct McpRoute::Exchange {
  std::shared_ptr<http::Responder> to;  // null once the answer has begun
  std::shared_ptr<http::StreamWriter> stream;
  std::unique_ptr<http::AsyncCall> call;
};

http::AsyncClient* McpRoute::ClientOf(const http::Endpoint& endpoint) {
  const std::string address = endpoint.unix_path + " " + endpoint.host + " " + std::to_string(endpoint.port);
  if (client_ == nullptr || client_of_ != address) {
    client_ = std::make_unique<http::AsyncClient>(*loop_, endpoint, http::AsyncOptions{});
    client_of_ = address;
  }
  return client_.get();
}

void McpRoute::Handle(const http::Request& request, const std::shared_ptr<http::Responder>& to) {
  const auto refuse = [&to](int status, std::string_view message) {
    http::Response response = Refuse(status, message);
    AddSecurityHeaders(&response);
    to->Send(std::move(response));
  };
  if (request.method != "GET" && request.method != "POST" && request.method != "DELETE")
    return refuse(405, "method: allowed are GET, POST and DELETE");
  const std::optional<http::Endpoint> endpoint = loop_ == nullptr ? std::nullopt : gateway_();
  if (!endpoint) return refuse(503, "this node's gateway is not open, or speaks TLS only");
  if (exchanges_.size() >= kMostExchanges) return refuse(503, "too many requests of pages are under way");
  http::Request onward{.method = request.method, .target = request.target, .body = request.body};
  for (const auto& [name, value] : request.headers.fields()) {
    if (GoesToGateway(name)) onward.headers.Add(name, value);
  }
  const uint64_t id = next_++;
  auto exchange = std::make_shared<Exchange>();
  exchange->to = to;
  exchanges_[id] = exchange;
  // Callbacks hold the exchange weakly: Finish ends it from inside one.
  const std::weak_ptr<Exchange> weak = exchange;
  http::AsyncCallbacks callbacks;
  callbacks.on_head = [weak](const http::Response& head) {
    const auto self = weak.lock();
    if (self == nullptr || self->to == nullptr) return;
    http::Response answer{.status = head.status};
    for (const auto& [name, value] : head.headers.fields()) {
      if (GoesToPage(name)) answer.headers.Add(name, value);
    }
    AddSecurityHeaders(&answer);
    // The page's policy is for pages; whatever a server sends is never shown as one.
    self->stream = std::exchange(self->to, nullptr)->StartStream(std::move(answer));
  };
  callbacks.on_body = [this, id, weak](std::string_view bytes) {
    const auto self = weak.lock();
    if (self == nullptr || self->stream == nullptr) return;
    if (!self->stream->Write(bytes)) return Finish(id);
    if (self->stream->queued() <= kAhead) return;
    self->call->Pause();
    self->stream->OnDrained(kResume, [weak] {
      if (const auto waiting = weak.lock(); waiting != nullptr && waiting->call != nullptr) waiting->call->Resume();
    });
  };
  callbacks.on_done = [this, id, weak](const Status& why) {
    const auto self = weak.lock();
    if (self != nullptr && self->to != nullptr) {
      http::Response response = Refuse(502, "the gateway: " + Message(why));
      AddSecurityHeaders(&response);
      self->to->Send(std::move(response));
    }
    Finish(id);
  };
  to->OnGone([this, id] { Finish(id); });
  exchange->call = ClientOf(*endpoint)->Send(onward, std::move(callbacks));
}

void McpRoute::Finish(uint64_t id) { exchanges_.erase(id); }

void McpRoute::Close() {
  exchanges_.clear();
  client_.reset();
  loop_ = nullptr;
}

}  // namespace mcpfleet::dashboard
