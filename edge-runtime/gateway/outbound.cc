#include "edge-runtime/gateway/outbound.h"

#include <algorithm>
#include <utility>

#include <nlohmann/json.hpp>

#include "edge-runtime/mcp/envelope.h"

namespace mcpfleet::gateway {

StatusOr<Outbound> ReadOutbound(std::string_view line) {
  ASSIGN_OR_RETURN(const mcp::Envelope envelope, mcp::ReadEnvelope(line, mcp::Validation::kEnvelope));
  Outbound out{.line = std::string(line), .method = envelope.method};
  if (envelope.kind == mcp::MessageKind::kNotification && out.method == "notifications/cancelled")
    out.cancels = mcp::FindMember(line, envelope.params, "requestId").In(line);
  if (envelope.kind != mcp::MessageKind::kRequest) return out;
  out.id = envelope.id.In(line);
  mcp::Span meta, name;
  const std::string_view naming = mcp::NamingMember(out.method);
  if (naming.empty()) {
    mcp::FindMembers(line, envelope.params, {{"_meta", &meta}});
  } else {
    mcp::FindMembers(line, envelope.params, {{"_meta", &meta}, {naming, &name}});
  }
  const mcp::Span version = mcp::FindMember(line, meta, "io.modelcontextprotocol/protocolVersion");
  out.modern_version = mcp::Unquote(version.In(line));
  if (out.modern()) out.name = mcp::Unquote(name.In(line));
  return out;
}

mcp::HeaderFields ModernHeadersOf(const Outbound& message, const mcp::ToolHeaders& tools) {
  mcp::HeaderFields fields = mcp::ModernHeaders(message.modern_version, message.method, message.name);
  if (message.method != "tools/call" || !tools.Marks(message.name)) return fields;
  const std::string_view params = mcp::RawMember(message.line, "params");
  const std::string_view arguments = mcp::RawMember(params, "arguments");
  const Json parsed = Json::parse(arguments.begin(), arguments.end(), nullptr, false);
  for (auto& field : tools.For(message.name, parsed)) fields.push_back(std::move(field));
  return fields;
}

Status OutboundQueue::Add(Outbound message) {
  if (waiting_.size() >= kMaxWaiting || waiting_bytes_ + message.line.size() > kMaxWaitingBytes)
    return ResourceExhausted("the server does not take more: too many messages wait for it");
  waiting_bytes_ += message.line.size();
  waiting_.push_back(std::move(message));
  return OkStatus();
}

std::optional<Outbound> OutboundQueue::Next() {
  if (barrier_) return std::nullopt;
  const auto next = std::find_if(waiting_.begin(), waiting_.end(), [this](const Outbound& message) {
    return message.request() ? requests_ < kMaxRequests : !one_way_;
  });
  if (next == waiting_.end()) return std::nullopt;
  Outbound message = std::move(*next);
  waiting_.erase(next);
  waiting_bytes_ -= message.line.size();
  barrier_ = message.barrier();
  if (message.request()) {
    ++requests_;
  } else {
    one_way_ = true;
  }
  return message;
}

void OutboundQueue::End(const Outbound& message) {
  if (message.request()) {
    --requests_;
  } else {
    one_way_ = false;
  }
}

bool OutboundQueue::Remove(std::string_view id) {
  const auto at = std::find_if(waiting_.begin(), waiting_.end(), [&](const Outbound& each) { return each.id == id; });
  if (id.empty() || at == waiting_.end()) return false;
  waiting_bytes_ -= at->line.size();
  waiting_.erase(at);
  return true;
}

bool OutboundQueue::Waits(std::string_view id) const {
  return std::any_of(waiting_.begin(), waiting_.end(), [&](const Outbound& each) { return each.id == id; });
}

std::deque<Outbound> OutboundQueue::TakeAll() {
  waiting_bytes_ = 0;
  return std::exchange(waiting_, {});
}

}  // namespace mcpfleet::gateway
