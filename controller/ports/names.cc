#include "controller/ports/container_runtime.h"

namespace mcpfleet {

std::string_view ToString(RuntimeKind kind) {
  switch (kind) {
    case RuntimeKind::kDocker:
      return "Docker";
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
