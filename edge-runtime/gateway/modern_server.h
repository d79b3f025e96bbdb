// What modern clients (2026-07-28) get when they ask a server: one HTTP request, one call, no session. Two
// implementations: a server that is modern itself, and a legacy one behind the translation.
//
// On the gateway's loop only. The caller has checked headers, _meta, policy and that the method exists in this era.
#pragma once

#include <memory>
#include <string>

#include "base/clock.h"
#include "edge-runtime/gateway/answer.h"
#include "edge-runtime/gateway/lane.h"
#include "edge-runtime/gateway/translation.h"

namespace mcpfleet::gateway {

struct ModernRequest {
  Incoming message;
  ModernMeta meta;
  std::string subject;
};

class ModernServer {
 public:
  virtual ~ModernServer() = default;
  virtual void Call(ModernRequest request, std::unique_ptr<Answer> answer) = 0;
  // Calls and listeners under way.
  virtual size_t calls() const = 0;
  // Keep-alives, time-outs, idle children.
  virtual void Tick(MonoTime now) = 0;
  // Lets one child go that nobody uses now, the one unused for longest. False: there is none.
  virtual bool EvictOne() = 0;
  // How many children EvictOne could let go.
  virtual size_t idle() const = 0;
  // When EvictOne's child was last used; MonoTime::max() when there is none.
  virtual MonoTime OldestIdle() const = 0;
};

// HTTP status of a JSON-RPC answer: an error that means "no such method" is 404, the protocol's own refusals are 400.
int StatusOfAnswer(const Incoming& answer);

}  // namespace mcpfleet::gateway
