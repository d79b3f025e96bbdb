// Holds the requests of one server to its `rateLimit`: so many per time for all clients together, so many for one
// subject, so many at once.
//
//   if (std::optional<Duration> wait = limiter.Admit(subject, now)) return Refuse429(*wait);
//   …                                     // the request
//   limiter.Release();
//
// `requests` per `per` is a bucket that holds that many and fills evenly: who was quiet may send all of them at once.
// A refused request takes nothing from any bucket, so a client that asks too often is served at the rate, not starved.
//
// On the gateway's loop only. Bounded: the subjects that were quiet the longest are forgotten.
#pragma once

#include <list>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "base/clock.h"
#include "crd/server_spec.h"
#include "edge-runtime/gateway/subject.h"

namespace mcpfleet::gateway {

// A bucket of tokens as one instant (GCRA): when it will be full again.
struct TokenBucket {
  MonoTime full_at;  // in the past: it is full

  // How long until it holds a token; zero or less: now. `count` tokens per `per`, both positive.
  Duration Wait(int count, Duration per, MonoTime now) const;
  void Take(int count, Duration per, MonoTime now);
};

class RateLimiter {
 public:
  static constexpr size_t kMaxSubjects = 4096;

  explicit RateLimiter(const RateLimitSpec& spec);
  RateLimiter(const RateLimiter&) = delete;
  RateLimiter& operator=(const RateLimiter&) = delete;

  // nullopt: admitted, and Release must follow once. Otherwise for how long to stay away, for Retry-After: whole
  // seconds, at least one.
  std::optional<Duration> Admit(const Subject& subject, MonoTime now);
  void Release();
  // Other limits from now on; requests under way stay counted. Buckets are full again when something changed.
  void Change(const RateLimitSpec& spec);
  int in_flight() const { return in_flight_; }
  size_t subjects() const { return by_id_.size(); }

 private:
  struct Entry {
    std::string id;
    TokenBucket bucket;
  };
  TokenBucket* Find(const std::string& id);
  TokenBucket* Add(const std::string& id);

  RateLimitSpec spec_;
  int in_flight_ = 0;
  TokenBucket all_;
  std::list<Entry> recent_;                                                 // the one that asked last is first
  std::unordered_map<std::string_view, std::list<Entry>::iterator> by_id_;  // of the entries' own ids
};

}  // namespace mcpfleet::gateway
