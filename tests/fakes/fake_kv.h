// Workers KV with its worst manners, in memory and on a clock that the test moves: stale reads, misses that stay
// cached after the write, calls that fail before or after their effect, a store that is put back to an older state.
// Deterministic for a seed. Thread-safe. As the embedded store it refuses a head without a condition and blobs whose
// key is not their hash.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/mutex.h"
#include "store/kv_client.h"

namespace mcpfleet {

struct FakeKvFaults {
  // A read may show what was there up to this long ago (drawn anew for each key of each read).
  Duration stale_window{0};
  // A miss is remembered this long (drawn between the two), though the key was written meanwhile. 0: not at all.
  Duration miss_cache_min{0}, miss_cache_max{0};
  // A value is remembered too, up to this long (drawn anew), whatever was written since. 0: not at all.
  Duration value_cache_max{0};
  double fail_before = 0;  // chance that a call fails and did nothing
  double fail_after = 0;   // chance that a write took effect and fails all the same
  double garbage = 0;      // chance that a Get answers with bytes that are no value of ours
};

class FakeKv final : public KvClient {
 public:
  explicit FakeKv(const Clock& clock, uint64_t seed = 1) : clock_(clock), rng_(seed) {}

  void SetFaults(const FakeKvFaults& faults);
  // Every call fails until set back (a cut).
  void SetUnreachable(bool unreachable);
  // The n-th call from now (1 = the next) fails; before its effect, or after it. 0 switches it off.
  void FailCall(int64_t n, bool after_effect);
  // All calls from the n-th on fail: what a writer that crashed there leaves behind.
  void CrashAt(int64_t n, bool after_effect);

  // The content now, without faults or counting; and putting it back (a restored backup: order may go down).
  std::map<std::string, std::string> Content() const;
  void SetContent(const std::map<std::string, std::string>& content);
  // One value of it.
  std::optional<std::string> Peek(const std::string& key) const;

  int64_t calls() const;
  int64_t reads() const;
  int64_t writes() const;
  int64_t read_bytes() const;

  StatusOr<std::optional<KvValue>> Get(std::string_view key, Deadline deadline) override;
  StatusOr<std::map<std::string, std::string>> BulkGet(const std::vector<std::string>& keys,
                                                       Deadline deadline) override;
  StatusOr<KvPage> List(std::string_view prefix, std::string_view cursor, size_t limit, Deadline deadline) override;
  Status Put(std::string_view key, std::string_view value, const KvPutOptions& options, Deadline deadline) override;
  Status BulkPut(const std::vector<KvPair>& pairs, Deadline deadline) override;
  // Only when it can: as the Worker, which takes values with their head, or as Cloudflare, which does not.
  StatusOr<bool> Commit(const std::vector<KvPair>& values, std::string_view head, const KvPutOptions& condition,
                        Deadline deadline) override;
  void SetCommits(bool can);
  Status Delete(std::string_view key, Deadline deadline) override;
  Status BulkDelete(const std::vector<std::string>& keys, Deadline deadline) override;

 private:
  Status CheckCondition(const std::string& key, const KvPutOptions& options) const EXCLUSIVE_LOCKS_REQUIRED(mu_);
  struct Version {
    MonoTime at{};
    std::optional<std::string> value;  // nullopt: deleted
    std::string metadata;
  };
  // OK: go on. An error: fail now; `after` is set when the effect must happen first.
  Status Begin(bool write, bool* after) EXCLUSIVE_LOCKS_REQUIRED(mu_);
  std::optional<std::string> Look(const std::string& key) EXCLUSIVE_LOCKS_REQUIRED(mu_);
  const Version* Latest(const std::string& key) const EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Store(const std::string& key, std::optional<std::string> value, std::string metadata)
      EXCLUSIVE_LOCKS_REQUIRED(mu_);
  bool Chance(double probability) EXCLUSIVE_LOCKS_REQUIRED(mu_);

  const Clock& clock_;
  mutable Mutex mu_;
  std::mt19937_64 rng_ GUARDED_BY(mu_);
  FakeKvFaults faults_ GUARDED_BY(mu_);
  bool unreachable_ GUARDED_BY(mu_) = false, commits_ GUARDED_BY(mu_) = false;
  int64_t fail_at_ GUARDED_BY(mu_) = 0;
  bool fail_after_effect_ GUARDED_BY(mu_) = false;
  bool crash_ GUARDED_BY(mu_) = false;
  bool crashed_ GUARDED_BY(mu_) = false;
  int64_t calls_ GUARDED_BY(mu_) = 0, reads_ GUARDED_BY(mu_) = 0, writes_ GUARDED_BY(mu_) = 0,
                 read_bytes_ GUARDED_BY(mu_) = 0;
  std::map<std::string, std::vector<Version>> versions_ GUARDED_BY(mu_);
  std::map<std::string, MonoTime> cached_misses_ GUARDED_BY(mu_);  // until when
  std::string etag_of_ GUARDED_BY(mu_), etag_ GUARDED_BY(mu_);     // of the head read last
  struct CachedValue {
    MonoTime until{};
    std::string value;
  };
  std::map<std::string, CachedValue> cached_values_ GUARDED_BY(mu_);
};

}  // namespace mcpfleet
