#include "cli/log_watch.h"

#include <nlohmann/json.hpp>

#include "base/http/proxy.h"
#include "base/json.h"
#include "base/strings.h"
#include "store/store_url.h"

namespace mcpfleet::cli {
namespace {

constexpr Duration kConnectTimeout = std::chrono::seconds(5), kConnectAgain = std::chrono::seconds(30);
constexpr Duration kPing = std::chrono::seconds(30);
constexpr char kProtocol[] = "mcpfleet.v1";

MonoTime Now() { return std::chrono::steady_clock::now(); }

}  // namespace

Status LogWatch::Connect(Deadline deadline) {
  ASSIGN_OR_RETURN(const http::Endpoint endpoint, ParseStoreUrl(context_.server));
  ASSIGN_OR_RETURN(const http::Proxy proxy, http::ProxyFor("", context_.server));
  http::WebSocketClient::Options options;
  proxy.Apply(&options.client);
  http::Headers headers;
  headers.Add("Authorization", "Bearer " + context_.token);
  headers.Add("Sec-WebSocket-Protocol", kProtocol);
  ASSIGN_OR_RETURN(socket_, http::WebSocketClient::Connect(endpoint, "/v1/watch", headers, deadline, options));
  Json follow{{"type", "follow"}, {"namespace", query_.namespace_}, {"server", query_.server}};
  if (!query_.node.empty()) follow["node"] = query_.node;
  pinged_ = Now();
  return socket_->SendText(DumpJson(follow), deadline);
}

void LogWatch::Tend(Deadline deadline) {
  if (socket_ == nullptr) {
    if (Now() < again_) return;
    again_ = Now() + kConnectAgain;
    const Status connected = Connect(deadline.AtMost(kConnectTimeout));
    problem_ = connected.ok() ? "" : Message(connected);
    if (!connected.ok()) return socket_.reset();
  }
  Status status = OkStatus();
  if (Now() - pinged_ >= kPing) {
    pinged_ = Now();
    status = socket_->SendText("ping", deadline.AtMost(kConnectTimeout));
  }
  // What it says (heads, statuses, live lines) is not needed: the lines are read from the chunks, each once, in order.
  while (status.ok() && !deadline.Expired()) status = socket_->ReadText(deadline).status();
  if (status.ok() || status.code() == StatusCode::kDeadlineExceeded) return;
  problem_ = Message(status);
  socket_.reset();
}

}  // namespace mcpfleet::cli
