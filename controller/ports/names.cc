#include "controller/ports/container_runtime.h"

namespace mcpfleet {

bool IsInstanceId(std::string_view id) {
  if (id.empty() || id.size() > 40 || id.front() == '-') return false;
  return id.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-") == std::string_view::npos;
}

std::string_view ToString(RuntimeKind kind) {
  switch (kind) {
    case RuntimeKind::kDocker:
      return "Docker";
    case RuntimeKind::kContainerd:
      return "Containerd";
    case RuntimeKind::kProcess:
      return "Process";
  }
  return "";
}

std::string_view ToString(InstanceState state) {
  switch (state) {
    case InstanceState::kCreated:
      return "Created";
    case InstanceState::kRunning:
      return "Running";
    case InstanceState::kExited:
      return "Exited";
  }
  return "";
}

}  // namespace mcpfleet
