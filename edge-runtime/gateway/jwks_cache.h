// The keys of the issuers whose tokens the endpoints take, fetched when first needed and kept.
//
// A set is fresh for an hour; in its last minutes it is fetched anew while requests go on with it. A key that the set
// does not have is looked for at most once in 30 s. Requests that need the same fetch share it. When the issuer does
// not answer, the last set goes on being used for as long as it takes (nodes are offline for weeks), over restarts too
// when a directory is set; a set that was fetched replaces the one before, so a key that the issuer withdrew is gone
// within the hour.
//
// On the gateway's loop only.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/status.h"
#include "edge-runtime/gateway/jwks_files.h"
#include "edge-runtime/gateway/jwt.h"

namespace mcpfleet::gateway {

// Gets the body at `uri` without blocking; `done` once, at once or later on the loop. See MakeHttpsFetch.
using FetchJwks = std::function<void(const std::string& uri, std::function<void(StatusOr<std::string> body)> done)>;

class JwksCache {
 public:
  // shared: requests that wait or are remembered go on with the set they were judged by, and see when it is another.
  using Keys = std::shared_ptr<const KeySet>;
  using Done = std::function<void(const StatusOr<Keys>& keys)>;

  JwksCache(const Clock& clock, FetchJwks fetch);
  ~JwksCache();  // callers that still wait are not called

  // Before the first Find: where the last good sets are kept on disk.
  void SetDirectory(std::string directory);
  // The keys at `uri`, newer ones when there is none named `kid` ("": any will do). `done` once, at once or on the
  // loop. Never an empty set; an error (that of the last fetch, or ResourceExhausted) when nothing was ever had.
  void Find(const std::string& uri, std::string_view kid, const Done& done);

 private:
  struct Issuer {
    Keys keys;
    std::string digest;                 // SHA-256 of the text that `keys` was made of
    std::optional<MonoTime> confirmed;  // the last fetch that succeeded in this process
    std::optional<MonoTime> tried;      // the beginning of the last fetch
    bool fetching = false;
    Status failure;  // of the last fetch
    std::vector<Done> waiters;
    uint64_t used = 0;
  };
  Issuer* Of(const std::string& uri);
  bool MakeRoom();
  void Fetch(const std::string& uri, Issuer* issuer);
  void Fetched(const std::string& uri, const StatusOr<std::string>& body);

  const Clock& clock_;
  const FetchJwks fetch_;
  std::unique_ptr<JwksFiles> files_;
  std::map<std::string, Issuer> issuers_;
  uint64_t uses_ = 0;
  std::shared_ptr<JwksCache*> self_;  // shared: answers that come after our end find nobody
};

}  // namespace mcpfleet::gateway
