// Tokens that were verified a moment ago, so that a client's next request costs a hash instead of a signature.
//
// An entry counts only with the very key set that verified it: when the issuer's keys change, the token is judged anew.
// Bounded: two generations, of which the older is dropped when the younger is full.
#pragma once

#include <string>
#include <unordered_map>

#include "edge-runtime/gateway/jwks_cache.h"
#include "edge-runtime/gateway/subject.h"

namespace mcpfleet::gateway {

struct VerifiedToken {
  Subject subject;
  std::string kid;
  JwksCache::Keys keys;
  double expires = 0;  // seconds since 1970, as in the token
};

class VerifiedTokens {
 public:
  // Null when it is not known. Valid until the next call.
  const VerifiedToken* Find(const std::string& digest) {
    if (auto it = young_.find(digest); it != young_.end()) return &it->second;
    auto old = old_.find(digest);
    if (old == old_.end()) return nullptr;
    const VerifiedToken kept = old->second;
    return Keep(digest, kept);
  }
  void Add(const std::string& digest, const VerifiedToken& token) { Keep(digest, token); }

 private:
  static constexpr size_t kGeneration = 256;

  const VerifiedToken* Keep(const std::string& digest, const VerifiedToken& token) {
    if (young_.size() >= kGeneration) old_ = std::exchange(young_, {});
    return &(young_[digest] = token);
  }

  std::unordered_map<std::string, VerifiedToken> young_, old_;  // by the token's SHA-256
};

}  // namespace mcpfleet::gateway
