// What every runtime last said of its instances, by server: what the loop looks at instead of asking the engine for
// each server.
//
// Freshness is by ticks, not times: after changing an instance a worker takes Mark() and asks Look for a report of that
// instance that began later. So what a change costs does not grow with the number of instances. Lists are for what
// nobody here changed; callers that come while one list runs share the next one. Whichever began later counts, a list
// or a look, in whatever order they end. What fails keeps what was known before. Thread-safe; no lock is held over a
// call to a runtime.
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
  // While it lives, what happens to the instance is our own doing: who does it looks afterwards, so hints say nothing
  // new.
  class OwnChange {
   public:
    OwnChange(InstanceCache& cache, std::string instance);
    ~OwnChange();
    OwnChange(const OwnChange&) = delete;
    OwnChange& operator=(const OwnChange&) = delete;

   private:
    InstanceCache& cache_;
    const std::string instance_;
  };
  bool IsOwnChange(const std::string& instance) const;

  InstanceCache(const std::map<RuntimeKind, ContainerRuntime*>& runtimes, const Clock& clock,
                ControllerMetrics& metrics);

  // A moment: every list that begins later has a greater tick.
  uint64_t Mark();
  // Lists unless a list that began after `since` succeeded. The status of that list. What changed of `asker`, who looks
  // at it now, is not for TakeChanged.
  Status Refresh(RuntimeKind runtime, uint64_t since, Deadline deadline, const ServerKey* asker = nullptr);
  // Looks at one instance unless a look at it or a list that began after `since` succeeded. A runtime that was never
  // listed, that did not answer last or does not answer now is listed instead: the health of a runtime is that of its
  // lists.
  Status Look(RuntimeKind runtime, const std::string& instance, uint64_t since, Deadline deadline,
              const ServerKey* asker = nullptr);

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
    std::map<ServerKey, std::vector<InstanceReport>> by_server;  // each sorted by id
    std::map<std::string, uint64_t> looked;  // when the last look at an instance began; of those after `tick` only
  };
  void Store(Listing* listing, std::vector<InstanceReport> reports, const ServerKey* asker)
      EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // When what is known of an instance began to be asked for.
  static uint64_t NewestOf(const Listing& listing, const std::string& id);
  // Puts what a look saw, or that it saw nothing, in the place of what was known.
  void Put(Listing* listing, const std::string& id, const std::optional<InstanceReport>& report, const ServerKey* asker)
      EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Changed(const ServerKey& server, const ServerKey* asker) EXCLUSIVE_LOCKS_REQUIRED(mu_);

  const Clock& clock_;
  ControllerMetrics& metrics_;
  mutable Mutex mu_;
  CondVar listed_cv_;
  uint64_t tick_ GUARDED_BY(mu_) = 0;
  std::map<RuntimeKind, Listing> listings_ GUARDED_BY(mu_);
  std::set<ServerKey> changed_ GUARDED_BY(mu_);
  std::set<RuntimeKind> flipped_ GUARDED_BY(mu_);
  std::set<std::string> changing_ GUARDED_BY(mu_);
  std::map<std::string, ServerKey> owners_ GUARDED_BY(mu_);  // of listed instances, and of noted ones until a list
};

}  // namespace mcpfleet
