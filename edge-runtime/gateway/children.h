// Children of stdio servers as links. One object per gateway; what the session host says on its own thread arrives here
// on the gateway's loop. The gateway's thread itself reads and writes the pipes (ClientSessions::RunClientIo): a child
// that writes faster than the loop works waits in its write.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "controller/ports/client_sessions.h"
#include "edge-runtime/gateway/link.h"
#include "edge-runtime/gateway/loop.h"

namespace mcpfleet::gateway {

class StdioLink;

class Children {
 public:
  struct Listeners {
    // Something of this instance's children has changed: one is gone, so that there is room, or its shim connected and
    // children of the mcplet before may be there.
    std::function<void(const std::string& instance)> changed;
  };
  // A child that the mcplet before this one had.
  struct Found {
    std::unique_ptr<Link> link;
    std::string note, doubtful_line;  // settle it on the link
  };

  // sessions, loop: outlive it. Begins to listen.
  Children(ClientSessions& sessions, Loop& loop, Listeners listeners);
  ~Children();

  // `done` once, on the loop; never from inside. The link is not started; `grace` is what its child has to end in, once
  // the link is destroyed. `env` is used in this call only: it may hold values of secrets.
  void Spawn(const std::string& instance, const std::vector<std::string>& argv, const std::vector<EnvVar>& env,
             Duration grace, std::function<void(StatusOr<std::unique_ptr<Link>>)> done);
  // Each child of the instance that nobody has taken yet, once.
  std::vector<Found> TakeFound(const std::string& instance, Duration grace);
  // Children that have not ended wholly.
  int Count(const std::string& instance) const { return sessions_.ClientCount(instance); }
  std::optional<bool> Separates(const std::string& instance) const { return sessions_.SeparatesClients(instance); }
  // Those of them that nobody has any more: there will be room without anybody's doing.
  int Ending(const std::string& instance) const;

 private:
  friend class StdioLink;
  using Key = std::pair<std::string, uint64_t>;
  struct Shared;  // what outlives us in callbacks of the host
  class Door;     // from the host's thread to the loop
  void OnEvent(const std::string& instance, uint64_t id, ClientEvent event);
  std::unique_ptr<Link> MakeLink(ClientChild child, Duration grace);

  ClientSessions& sessions_;
  Loop& loop_;
  const Listeners listeners_;
  std::shared_ptr<Shared> shared_;
  const std::shared_ptr<Door> door_;  // shared with callbacks of the host
};

}  // namespace mcpfleet::gateway
