// Listens on the store's /v1/watch and calls back with each head that is pushed, so that a change is no poll interval
// away. Only a hint: what it says goes through HeadSync's checks, and polling goes on beside it.
//
// One thread, which reconnects with jittered back-off (0.5 s … 30 s) for as long as the object lives; the destructor
// ends it (at once while it listens or waits, within 5 s while it connects). The callback runs on that thread and must
// not block for long.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/status.h"

namespace mcpfleet {

struct WatchOptions {
  std::string base_url;  // as RestKvOptions::base_url
  std::string token;
  std::string proxy, ca_file;  // as in RestKvOptions; the proxy must allow CONNECT to the store, TLS or not
  uint64_t jitter_seed = 0;    // 0: from the kernel
};

class WatchClient {
 public:
  virtual ~WatchClient() = default;
  virtual bool connected() const = 0;

  // `on_head` gets the head's JSON; `on_change` (may be null) each change of connected().
  static StatusOr<std::unique_ptr<WatchClient>> Create(WatchOptions options,
                                                       std::function<void(std::string_view head_json)> on_head,
                                                       std::function<void(bool connected)> on_change);
};

}  // namespace mcpfleet
