// The last list of every runtime, by server: what the loop looks at instead of asking the engine for each server.
//
// Freshness is by ticks, not times: after changing something a worker takes Mark() and asks Refresh for a list that
// began later. Callers that come while one list runs share the next one, so fifty servers starting at once don't list
// fifty times. A list that fails keeps the one before it. Thread-safe; no lock is held over a call to a runtime.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/mutex.h"
#include "base/status.h"
#include "controller/ports/container_runtime.h"
#include "controller/ports/recorder.h"

namespace mcpfleet {

class InstanceCache {
 public:
  InstanceCache(const std::map<RuntimeKind, ContainerRuntime*>& runtimes, const Clock& clock,
                ControllerMetrics& metrics);

  // A moment: every list that begins later has a greater tick.
  uint64_t Mark();
  // Lists unless a list that began after `since` succeeded. The status of that list.
  Status Refresh(RuntimeKind runtime, uint64_t since, Deadline deadline);

  std::vector<InstanceReport> Of(const ServerKey& server) const;
  std::vector<InstanceReport> All() const;
  // Servers with an instance in any runtime.
  std::set<ServerKey> Servers() const;
  // Servers whose reports differ from what they were when this was last called; all of a runtime that came or went.
  std::set<ServerKey> TakeChanged();
  // Runtimes that began or ceased to answer since this was last called, whoever's list noticed it.
  std::set<RuntimeKind> TakeFlipped();
  // OK when the last list succeeded.
  Status Health(RuntimeKind runtime) const;
  // Whether any list of it succeeded: until then it may hold instances that nobody here knows.
  bool EverListed(RuntimeKind runtime) const;
  // Whether every runtime was asked at least once, successfully or not.
  bool AllAsked() const;
  // Whose an instance is; also of instances that were created and not listed yet (NoteOwner).
  std::optional<ServerKey> OwnerOf(const std::string& instance) const;
  void NoteOwner(const std::string& instance, const ServerKey& server);

 private:
  struct Listing {
    ContainerRuntime* runtime = nullptr;
    bool asked = false, running = false;
    uint64_t tick = 0;  // when the last successful list began
    Status health = OkStatus();
    std::map<ServerKey, std::vector<InstanceReport>> by_server;
  };
  void Store(Listing* listing, std::vector<InstanceReport> reports) EXCLUSIVE_LOCKS_REQUIRED(mu_);

  const Clock& clock_;
  ControllerMetrics& metrics_;
  mutable Mutex mu_;
  CondVar listed_cv_;
  uint64_t tick_ GUARDED_BY(mu_) = 0;
  std::map<RuntimeKind, Listing> listings_ GUARDED_BY(mu_);
  std::set<ServerKey> changed_ GUARDED_BY(mu_);
  std::set<RuntimeKind> flipped_ GUARDED_BY(mu_);
  std::map<std::string, ServerKey> owners_ GUARDED_BY(mu_);  // of listed instances, and of noted ones until a list
};

}  // namespace mcpfleet
