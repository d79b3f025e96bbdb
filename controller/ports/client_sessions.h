// Children of an instance for MCP clients, beside its main child: one per conversation. Their pipes and journals
// outlive mcplet like those of the main child (session_host.h).
//
// Thread-safe. Callbacks come on the host's I/O thread and must not block. Their lines come on the thread of whoever
// drives their I/O: a line is taken from the journal once its receiver has returned, so what was only begun with when
// mcplet died comes again.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/status.h"
#include "controller/ports/session_host.h"

namespace mcpfleet {

struct ClientChild {
  std::string instance;
  uint64_t id = 0;  // unique in the instance, the same for the next mcplet
  std::shared_ptr<StdioChannel> channel;
};

enum class ClientEvent {
  kConnected,  // id 0: the shim of the instance connected and its children are known
  kEnded,      // the child has ended and its last line was delivered; only while its channel has a receiver
  kGone,       // nothing of its tree lives, or its instance is gone
};

class ClientSessions {
 public:
  virtual ~ClientSessions() = default;
  // Orders a child. `done` is called once, also when it can't be ordered: Unavailable (no shim, it died),
  // FailedPrecondition (exec failed), ResourceExhausted (the shim has too many).
  virtual void SpawnClient(const std::string& instance, const std::vector<std::string>& argv,
                           const std::vector<EnvVar>& env, std::function<void(StatusOr<ClientChild>)> done) = 0;
  // stdin closed, SIGTERM, SIGKILL of its whole tree after `grace`. Nothing when there is no such child.
  virtual void EndClient(const std::string& instance, uint64_t id, Duration grace) = 0;
  // Children of clients that run in the instance and were begun by an earlier mcplet.
  virtual std::vector<ClientChild> Clients(const std::string& instance) const = 0;
  // How many have not ended wholly yet, ending ones too.
  virtual int ClientCount(const std::string& instance) const = 0;
  // Lines are delivered, and what a full pipe did not take is written, while RunClientIo runs: call it whenever
  // ClientIoFd is readable (level-triggered), always from one thread. It waits for nothing.
  virtual int ClientIoFd() const = 0;
  virtual void RunClientIo() = 0;
  virtual void SetClientListener(
      std::function<void(const std::string& instance, uint64_t id, ClientEvent event)> changed) = 0;  // nullptr ends it
};

}  // namespace mcpfleet
