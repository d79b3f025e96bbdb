// Listens on the store's /v1/watch and calls back with each head that is pushed, so that a change is no poll interval
// away. Only a hint: what it says goes through HeadSync's checks, and polling goes on beside it.
//
// With the Worker it speaks mcpfleet.v1 (docs/cloudflare-protocol.md): the node's status and live lines go up, the list
// of down nodes and who looks at which logs come down. Any other store pushes heads and nothing else.
//
// One thread, which reconnects for as long as the object lives: with jittered back-off (0.5 s … 30 s), and after a
// connection that held, at a random time within what the store asked for. Callbacks run on that thread, must not block
// for long and must not call Stop. Send… may be called from any thread, also before Start and after Stop.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/status.h"
#include "store/down_list.h"
#include "store/token_source.h"
#include "store/watch_message.h"

namespace mcpfleet {

struct WatchOptions {
  std::string base_url;                 // as RestOptions::base_url
  std::string token;                    // used when `tokens` is null
  std::shared_ptr<TokenSource> tokens;  // asked at each connect
  std::string proxy, ca_file;           // as in RestOptions; the proxy must allow CONNECT to the store, TLS or not
  std::string node;                     // this node's name; "": not a node
  std::string nonce;                    // the one that was persisted last; "": none
  uint64_t jitter_seed = 0;             // 0: from the kernel
  Duration pong_timeout = std::chrono::seconds(15);  // a `ping` unanswered for as long: the connection is dead
};

// Each may be null.
struct WatchCallbacks {
  std::function<void(std::string_view head_json)> on_head;
  std::function<void(bool connected)> on_change;  // of connected()
  // Immutable values that the next head names: no need to read them.
  std::function<void(const std::vector<std::string>&)> on_values;
  // Of mcpfleet.v1 only, the first five of them with each connect too:
  std::function<void(const WatchHints&)> on_hints;
  std::function<void(const DownList&)> on_down;
  std::function<void(const std::vector<FollowedServer>&)> on_follow;   // all of them; empty: nobody looks any more
  std::function<void(const std::vector<MeasuredServer>&)> on_measure;  // the same
  std::function<Status(std::string_view nonce)> on_nonce;  // to be on disk when it returns OK: then it is confirmed
  std::function<void()> on_alive;                          // the store answered a `ping`
  std::function<void()> on_rotate;                         // get a new token
  std::function<void(int64_t sequence)> on_status_stored;
  std::function<void(std::string_view why)> on_error;  // the store did not understand something that was sent
  std::function<void(const Status&)> on_unreadable;    // a message that was not as the protocol says; it is ignored
};

class WatchClient {
 public:
  virtual ~WatchClient() = default;  // as Stop

  virtual void Start() = 0;
  // Ends the thread: at once while it listens or waits, within 5 s while it connects. Idempotent.
  virtual void Stop() = 0;

  // Drops the connection, if there is one, and makes another at once, with the token of now.
  virtual void Reconnect() = 0;

  virtual bool connected() const = 0;
  // False when it can't go out now: not connected, a store without mcpfleet.v1, too large, too many in the queue. True
  // promises nothing: the acknowledgement of a status is on_status_stored. A later status takes an earlier one's place.
  virtual bool SendStatus(std::string_view status_json, std::string_view metadata_json) = 0;
  // All of the lines or, when it returns false, none.
  virtual bool SendLog(std::string_view ns, std::string_view server, std::vector<LiveLine> lines) = 0;
  // Of each server a JSON object (docs/cloudflare-protocol.md, `usage`). All of them or, when it returns false, none.
  virtual bool SendUsage(std::vector<std::string> servers_json) = 0;

  static StatusOr<std::unique_ptr<WatchClient>> Create(WatchOptions options, WatchCallbacks callbacks);
};

}  // namespace mcpfleet
