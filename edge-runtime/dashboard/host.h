// What the dashboard has of the mcplet that it is in. All of it outlives the dashboard and may be called on any thread.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/http/client.h"
#include "controller/ports/container_runtime.h"
#include "controller/ports/log_tail.h"
#include "crd/server_status.h"
#include "store/kv_client.h"
#include "store/watch_message.h"

namespace mcpfleet::dashboard {

struct Host {
  KvClient& desired;   // CONFIG of the embedded store
  KvClient& statuses;  // its SERVER_STATE
  const Clock& clock;
  // This node's own status, from memory.
  std::function<NodeStatus()> status;
  // As ContainerRuntime::Logs of the server's instance on this node: lines "<time> <text>\n".
  std::function<Status(const ServerKey& server, const LogOptions& options, std::function<bool(std::string_view)> sink,
                       Deadline deadline)>
      logs;
  // The server's instance on this node, and LogTails::OpenTail of the runtime that it is of.
  std::function<StatusOr<InstanceReport>(const ServerKey& server)> instance;
  std::function<StatusOr<std::unique_ptr<LogTail>>(const InstanceReport& instance, const TailFrom& from,
                                                   Deadline deadline)>
      open_tail;
  // Who looks at what servers use: all of it, each time; the node says what it finds with Dashboard::ShowUsage. Null:
  // it measures nothing.
  std::function<void(std::vector<MeasuredServer> measured)> measure;
  // Where the gateway speaks plain HTTP; nullopt: it does not, or is not open.
  std::function<std::optional<http::Endpoint>()> gateway;
  // Whether this token may change the fleet by the store's own API: then its holder may by the page, too.
  std::function<bool(std::string_view token)> is_operator;
  std::string audit_file;
  std::string record_file;  // of alerts and uptime
  std::string boot;         // of the machine
};

}  // namespace mcpfleet::dashboard
