#include "edge-runtime/mcplet/session_hosts.h"

namespace mcpfleet {

using Phase = MainState::Phase;

MainState SessionHosts::Attached(const std::string& instance) const {
  return attachments_ == nullptr ? MainState{} : attachments_->Main(instance);
}

bool SessionHosts::Connected(const std::string& instance) const {
  return Attached(instance).phase == Phase::kRunning || shims_.Connected(instance);
}

MainState SessionHosts::Main(const std::string& instance) const {
  MainState attached = Attached(instance);
  return attached.phase != Phase::kAbsent ? attached : shims_.Main(instance);
}

std::shared_ptr<StdioChannel> SessionHosts::MainChannel(const std::string& instance) {
  std::shared_ptr<StdioChannel> channel = attachments_ == nullptr ? nullptr : attachments_->Channel(instance);
  return channel != nullptr ? channel : shims_.MainChannel(instance);
}

void SessionHosts::SetListener(std::function<void(const std::string& instance)> changed) {
  if (attachments_ != nullptr) attachments_->SetListener(changed);
  shims_.SetListener(std::move(changed));
}

}  // namespace mcpfleet
