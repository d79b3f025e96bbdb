// What the gateway tells the controller about clients: which instances are in use, and which sleeping servers are
// wanted. Cheap reads; thread-safe.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "base/clock.h"
#include "crd/object.h"

namespace mcpfleet {

class Traffic {
 public:
  virtual ~Traffic() = default;
  // Sessions and calls in flight that an instance carries for clients now. An instance that drains may stop at 0.
  virtual int Conversations(const std::string& instance) const = 0;
  // When a client last asked for the server, on the monotonic clock; nullopt: never since this mcplet began.
  virtual std::optional<MonoTime> LastUsed(const ServerKey& server) const = 0;
  // Called when a client asks for a server that does not run, and when an instance has lost its last conversation: a
  // reason to look at the server. From the gateway's thread; must not block. nullptr ends it: no call is under way when
  // this returns.
  virtual void SetListener(std::function<void(const ServerKey& server)> changed) = 0;
};

}  // namespace mcpfleet
