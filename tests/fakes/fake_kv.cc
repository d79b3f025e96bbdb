#include "tests/fakes/fake_kv.h"

#include <algorithm>

#include <nlohmann/json.hpp>

#include "base/digest.h"
#include "base/json.h"
#include "base/strings.h"

namespace mcpfleet {
namespace {

bool StartsWith(std::string_view text, std::string_view prefix) { return text.substr(0, prefix.size()) == prefix; }

std::string EtagOf(std::string_view key, const std::string& value) {
  if (key != "head") return "";
  StatusOr<Json> head = ParseJson(value);
  if (!head.ok()) return "";
  return std::to_string(GetInt(*head, "trust")) + "." + std::to_string(GetInt(*head, "epoch")) + "." +
         std::to_string(GetInt(*head, "revision"));
}

Status CheckBlob(std::string_view key, std::string_view value) {
  for (std::string_view prefix : {"objects/", "shards/", "snapshots/"}) {
    if (StartsWith(key, prefix) && key.substr(prefix.size()) != Sha256Hex(value)) {
      return InvalidArgument(std::string(key) + ": the value has another hash");
    }
  }
  return OkStatus();
}

Duration Draw(std::mt19937_64& rng, Duration low, Duration high) {
  if (high <= low) return low;
  return low + Duration(static_cast<int64_t>(rng() % static_cast<uint64_t>((high - low).count() + 1)));
}

}  // namespace

void FakeKv::SetFaults(const FakeKvFaults& faults) {
  MutexLock lock(&mu_);
  faults_ = faults;
}
void FakeKv::SetUnreachable(bool unreachable) {
  MutexLock lock(&mu_);
  unreachable_ = unreachable;
}
void FakeKv::FailCall(int64_t n, bool after_effect) {
  MutexLock lock(&mu_);
  fail_at_ = n == 0 ? 0 : calls_ + n;
  fail_after_effect_ = after_effect;
  crash_ = crashed_ = false;
}
void FakeKv::CrashAt(int64_t n, bool after_effect) {
  FailCall(n, after_effect);
  MutexLock lock(&mu_);
  crash_ = n != 0;
}

std::map<std::string, std::string> FakeKv::Content() const {
  MutexLock lock(&mu_);
  std::map<std::string, std::string> content;
  for (const auto& [key, versions] : versions_) {
    if (versions.back().value) content[key] = *versions.back().value;
  }
  return content;
}

void FakeKv::SetContent(const std::map<std::string, std::string>& content) {
  MutexLock lock(&mu_);
  for (const auto& [key, versions] : std::map(versions_)) {
    if (!content.contains(key) && versions.back().value) Store(key, std::nullopt, "");
  }
  for (const auto& [key, value] : content) {
    const Version* latest = Latest(key);
    if (latest == nullptr || latest->value != value) Store(key, value, "");
  }
}

std::optional<std::string> FakeKv::Peek(const std::string& key) const {
  MutexLock lock(&mu_);
  const Version* latest = Latest(key);
  return latest == nullptr ? std::nullopt : latest->value;
}

int64_t FakeKv::calls() const {
  MutexLock lock(&mu_);
  return calls_;
}
int64_t FakeKv::reads() const {
  MutexLock lock(&mu_);
  return reads_;
}
int64_t FakeKv::writes() const {
  MutexLock lock(&mu_);
  return writes_;
}
int64_t FakeKv::read_bytes() const {
  MutexLock lock(&mu_);
  return read_bytes_;
}

bool FakeKv::Chance(double probability) {
  if (probability <= 0) return false;
  return static_cast<double>(rng_() >> 11) * 0x1.0p-53 < probability;
}

Status FakeKv::Begin(bool write, bool* after) {
  ++calls_;
  ++(write ? writes_ : reads_);
  *after = false;
  if (unreachable_ || crashed_) return Unavailable("the store is unreachable");
  if (fail_at_ != 0 && calls_ == fail_at_) {
    crashed_ = crash_;
    *after = write && fail_after_effect_;
    return Unavailable("injected failure");
  }
  if (Chance(faults_.fail_before)) return Unavailable("injected failure");
  if (write && Chance(faults_.fail_after)) {
    *after = true;
    return Unavailable("injected failure after the effect");
  }
  return OkStatus();
}

const FakeKv::Version* FakeKv::Latest(const std::string& key) const {
  auto it = versions_.find(key);
  return it == versions_.end() ? nullptr : &it->second.back();
}

void FakeKv::Store(const std::string& key, std::optional<std::string> value, std::string metadata) {
  versions_[key].push_back({clock_.Now(), std::move(value), std::move(metadata)});
}

std::optional<std::string> FakeKv::Look(const std::string& key) {
  MonoTime now = clock_.Now();
  if (auto it = cached_misses_.find(key); it != cached_misses_.end()) {
    if (now < it->second) return std::nullopt;
    cached_misses_.erase(it);
  }
  if (auto it = cached_values_.find(key); it != cached_values_.end() && faults_.value_cache_max > Duration(0)) {
    if (now < it->second.until) return it->second.value;
    cached_values_.erase(it);
  }
  MonoTime as_of = now - Draw(rng_, Duration(0), faults_.stale_window);
  std::optional<std::string> seen;
  if (auto it = versions_.find(key); it != versions_.end()) {
    for (const Version& version : it->second) {
      if (version.at <= as_of) seen = version.value;
    }
  }
  if (!seen && faults_.miss_cache_max > Duration(0)) {
    cached_misses_[key] = now + Draw(rng_, faults_.miss_cache_min, faults_.miss_cache_max);
  }
  if (seen && faults_.value_cache_max > Duration(0)) {
    cached_values_[key] = {now + Draw(rng_, Duration(0), faults_.value_cache_max), *seen};
  }
  if (seen) read_bytes_ += static_cast<int64_t>(seen->size());
  return seen;
}

StatusOr<std::optional<KvValue>> FakeKv::Get(std::string_view key, Deadline) {
  MutexLock lock(&mu_);
  bool after = false;
  RETURN_IF_ERROR(Begin(false, &after));
  if (Chance(faults_.garbage)) return std::optional<KvValue>(KvValue{"<html>503</html>", ""});
  std::optional<std::string> value = Look(std::string(key));
  if (!value) return std::optional<KvValue>();
  if (key == "head" && *value != etag_of_) {
    etag_ = EtagOf(key, *value);
    etag_of_ = *value;
  }
  return std::optional<KvValue>(KvValue{*std::move(value), key == "head" ? etag_ : ""});
}

StatusOr<std::map<std::string, std::string>> FakeKv::BulkGet(const std::vector<std::string>& keys, Deadline) {
  if (keys.size() > limits::kBulkGetKeys) return InvalidArgument("more than 100 keys");
  MutexLock lock(&mu_);
  bool after = false;
  RETURN_IF_ERROR(Begin(false, &after));
  std::map<std::string, std::string> found;
  for (const std::string& key : keys) {
    if (std::optional<std::string> value = Look(key)) found[key] = *std::move(value);
  }
  return found;
}

StatusOr<KvPage> FakeKv::List(std::string_view prefix, std::string_view cursor, size_t limit, Deadline) {
  MutexLock lock(&mu_);
  bool after = false;
  RETURN_IF_ERROR(Begin(false, &after));
  KvPage page;
  for (const auto& [key, versions] : versions_) {
    if (!StartsWith(key, prefix) || key <= cursor || !versions.back().value) continue;
    if (page.keys.size() == limit) {
      page.cursor = page.keys.back().name;
      break;
    }
    page.keys.push_back({key, versions.back().metadata, 0});
  }
  return page;
}

Status FakeKv::Put(std::string_view key_view, std::string_view value, const KvPutOptions& options, Deadline) {
  std::string key(key_view);
  MutexLock lock(&mu_);
  bool after = false;
  Status injected = Begin(true, &after);
  if (!injected.ok() && !after) return injected;
  RETURN_IF_ERROR(CheckBlob(key, value));
  RETURN_IF_ERROR(CheckCondition(key, options));
  Store(key, std::string(value), options.metadata);
  return injected;
}

Status FakeKv::CheckCondition(const std::string& key, const KvPutOptions& options) const {
  const Version* latest = Latest(key);
  bool present = latest != nullptr && latest->value.has_value();
  if (key == "head" && options.if_match.empty() && !options.if_none_match) {
    return FailedPrecondition("the head moves only with If-Match");
  }
  if (options.if_none_match && present) return Aborted("the key exists");
  if (!options.if_match.empty() && (!present || EtagOf(key, *latest->value) != options.if_match)) {
    return Aborted("the head has moved");
  }
  return OkStatus();
}

void FakeKv::SetCommits(bool can) {
  MutexLock lock(&mu_);
  commits_ = can;
}

StatusOr<bool> FakeKv::Commit(const std::vector<KvPair>& values, std::string_view head, const KvPutOptions& condition,
                              Deadline) {
  MutexLock lock(&mu_);
  if (!commits_) return false;
  bool after = false;
  Status injected = Begin(true, &after);
  if (!injected.ok() && !after) return injected;
  for (const KvPair& pair : values) RETURN_IF_ERROR(CheckBlob(pair.key, pair.value));
  RETURN_IF_ERROR(CheckCondition("head", condition));
  for (const KvPair& pair : values) Store(pair.key, pair.value, pair.metadata);
  Store("head", std::string(head), "");
  RETURN_IF_ERROR(injected);
  return true;
}

Status FakeKv::BulkPut(const std::vector<KvPair>& pairs, Deadline) {
  if (pairs.size() > limits::kBulkPairs) return InvalidArgument("more than 10000 pairs");
  MutexLock lock(&mu_);
  bool after = false;
  Status injected = Begin(true, &after);
  if (!injected.ok() && !after) return injected;
  // A bulk put that fails after its effect stored only some of its pairs.
  size_t stored = injected.ok() ? pairs.size() : rng_() % (pairs.size() + 1);
  for (size_t i = 0; i < stored; ++i) {
    if (pairs[i].key == "head") return InvalidArgument("the head can't be part of a bulk write");
    RETURN_IF_ERROR(CheckBlob(pairs[i].key, pairs[i].value));
    Store(pairs[i].key, pairs[i].value, pairs[i].metadata);
  }
  return injected;
}

Status FakeKv::Delete(std::string_view key, Deadline deadline) { return BulkDelete({std::string(key)}, deadline); }

Status FakeKv::BulkDelete(const std::vector<std::string>& keys, Deadline) {
  MutexLock lock(&mu_);
  bool after = false;
  Status injected = Begin(true, &after);
  if (!injected.ok() && !after) return injected;
  for (const std::string& key : keys) {
    if (Latest(key) != nullptr) Store(key, std::nullopt, "");
  }
  return injected;
}

}  // namespace mcpfleet
