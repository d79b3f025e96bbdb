#include "store/head_sync.h"

#include <algorithm>
#include <array>
#include <tuple>
#include <utility>

#include <nlohmann/json.hpp>

#include "base/digest.h"
#include "base/log.h"
#include "base/strings.h"
#include "controller/placement/place.h"
#include "crd/codec.h"
#include "crd/secret_spec.h"

namespace mcpfleet {
namespace {

using std::chrono::seconds;

// When a missing key is asked for again, counted from the first miss. The cache of a store may remember the miss for a
// minute and more; after the last of these, every 5 min.
constexpr std::array kMissingSchedule = {seconds(5), seconds(15), seconds(35), seconds(65), seconds(130)};
constexpr Duration kMissingPeriod = std::chrono::minutes(5);
// How long the snapshot of a newer head is awaited before an older one will do: the schedule above, and once more.
constexpr Duration kTargetPatience = std::chrono::minutes(8);
constexpr Duration kLastBackOff = seconds(30);
constexpr std::string_view kTrustLine = "trust ";
// Two heads of one order have one etag: which of them the store holds shows in a read of the whole head only.
constexpr int kConditionalPolls = 8;
constexpr size_t kEtagBytes = 128;
constexpr size_t kOfferedBytes = size_t{1} << 20;
constexpr size_t kReasonBytes = 300;  // of what is shown of a bad answer
constexpr int kTrustSteps = 16;       // documents of the chain for one look at the head

Duration Jittered(std::mt19937_64& rng, Duration wait) {
  // Nine to eleven tenths: a fleet that started together spreads out.
  return wait * (900 + static_cast<int64_t>(rng() % 201)) / 1000;
}

bool IsReplicated(const ShardEntry& entry) { return ReplicasOf(entry.placement).has_value(); }

bool IsObjectKey(std::string_view key) { return key.rfind(kObjectPrefix, 0) == 0; }

}  // namespace

HeadSync::HeadSync(KvClient& kv, LocalCache& cache, const Clock& clock, uint64_t seed, HeadSyncOptions options)
    : kv_(kv),
      cache_(cache),
      clock_(clock),
      options_(std::move(options)),
      rng_(seed),
      fleet_(options_.fleet),
      trust_(options_.trust_root),
      holder_(options_.node),
      poll_least_(options_.poll_interval * 9 / 10),
      poll_most_(options_.poll_interval * 11 / 10),
      state_(std::make_shared<AcceptedState>()) {}

std::shared_ptr<const AcceptedState> HeadSync::state() const {
  MutexLock lock(&mu_);
  return state_;
}

SyncStats HeadSync::stats() const {
  MutexLock lock(&mu_);
  return stats_;
}

void HeadSync::Offer(std::string_view head_json) {
  MutexLock lock(&mu_);
  offered_ = head_json;
}

void HeadSync::OfferValues(const std::vector<std::string>& values) {
  std::unordered_map<std::string, std::string> by_hash;
  size_t bytes = 0;
  for (const std::string& value : values) {
    if ((bytes += value.size()) > kOfferedBytes) break;
    by_hash.emplace(Sha256Hex(value), value);
  }
  MutexLock lock(&mu_);
  offered_values_ = std::move(by_hash);
}

std::map<std::string, std::string> HeadSync::TakeOffered(std::vector<std::string>* keys) {
  std::map<std::string, std::string> found;
  MutexLock lock(&mu_);
  for (const std::string& key : *keys) {
    auto value = offered_values_.find(std::string(HashOfBlobKey(key)));
    if (value == offered_values_.end()) continue;
    found[key] = std::move(value->second);
    offered_values_.erase(value);
  }
  std::erase_if(*keys, [&found](const std::string& key) { return found.contains(key); });
  stats_.pushed_values += static_cast<int64_t>(found.size());
  return found;
}

void HeadSync::SetDown(const DownList& list) {
  MutexLock lock(&mu_);
  if (told_.SetDown(list)) told_new_ = true;
}

void HeadSync::SetConnected(bool connected) {
  MutexLock lock(&mu_);
  if (told_.SetConnected(connected)) told_new_ = true;
}

void HeadSync::SetPolling(Duration least, Duration most) {
  MutexLock lock(&mu_);
  polling_ = Polling{least, std::max(least, most)};
}

Duration HeadSync::DrawnPoll() {
  return poll_least_ + (poll_most_ - poll_least_) * static_cast<int64_t>(rng_() % 201) / 200;
}

void HeadSync::Count(int64_t SyncStats::*counter, int64_t by) {
  MutexLock lock(&mu_);
  stats_.*counter += by;
}

void HeadSync::CountBadAnswer(const Status& why) {
  MutexLock lock(&mu_);
  ++stats_.bad_answers;
  stats_.bad_answer = Printable(Message(why), kReasonBytes);
  stats_.bad_answer_at = clock_.Now();
}

// ---- the disk

Status HeadSync::Boot() {
  std::optional<std::string> saved = cache_.LoadState();
  if (!saved) return OkStatus();
  std::vector<std::string> lines = Split(*saved, '\n');
  StatusOr<Head> head = ParseHead(lines[0]);
  if (!head.ok()) {
    LOG_ERROR("cached state ignored", {{"error", head.status()}});
    return OkStatus();
  }
  if (!fleet_.empty() && head->fleet != fleet_) return FailedPrecondition("the cache belongs to another fleet");
  for (const std::string& line : lines) {
    if (line.starts_with(kTrustLine)) trust_.Load(std::string_view(line).substr(kTrustLine.size()));
  }
  // What was accepted before this node was told of a root has nobody's signature.
  if (const Status trusted = trust_.Judge(*head, false, WallTime::min()); !trusted.ok()) {
    LOG_WARNING("cached state ignored", {{"error", trusted}});
    return OkStatus();
  }
  for (size_t i = 1; i < lines.size(); ++i) {
    std::vector<std::string> parts = Split(lines[i], ' ');
    ObjectKey key;
    if (parts.size() == 4 && PercentDecode(parts[1], &key.kind) && PercentDecode(parts[2], &key.namespace_) &&
        PercentDecode(parts[3], &key.name)) {
      in_force_[key] = parts[0];
    }
  }
  saved_ = *saved;
  Follow(*head);
  if (std::optional<std::string> bytes = cache_.Get(head->snapshot)) {
    StatusOr<Snapshot> snapshot = ParseSnapshot(*bytes, head->snapshot);
    if (snapshot.ok()) snapshot_ = *std::move(snapshot);
  }
  index_ = snapshot_.has_value();
  for (const std::string& hash : snapshot_ ? snapshot_->shards : std::array<std::string, kShardCount>{}) {
    if (hash.empty()) continue;
    std::optional<std::string> bytes = cache_.Get(hash);
    StatusOr<Shard> shard = bytes ? ParseShard(*bytes, hash) : StatusOr<Shard>(NotFound("shard"));
    if (shard.ok()) {
      shards_[hash] = std::make_shared<Shard>(*std::move(shard));
    } else {
      index_ = false;
    }
  }
  if (!index_) {
    // Damaged: what was in force is still known, and no more.
    PublishFromDisk(*head);
    return OkStatus();
  }
  std::map<ObjectKey, std::string> in_force = in_force_;
  Adopt();
  // mcplet may have died between a blob and the state that names it: what is shown now must be shown again next time.
  if (Status renewed = Save(); !renewed.ok()) {
    LOG_WARNING("the cached state is not brought up to date", {{"error", renewed}});
    in_force_ = std::move(in_force);
    changed_ = true;
    PublishFromDisk(*head);
    return OkStatus();
  }
  Publish();
  return OkStatus();
}

void HeadSync::PublishFromDisk(const Head& head) {
  auto state = std::make_shared<AcceptedState>();
  state->head = head;
  state->seen_at = target_seen_;
  for (const auto& [key, hash] : in_force_) {
    std::shared_ptr<const Object> object = LoadObject(hash);
    if (object != nullptr) state->objects[key] = {EntryOf(*object, hash), object, false, ""};
  }
  MutexLock lock(&mu_);
  state_ = std::move(state);
}

Status HeadSync::Save() {
  // The head, then the trust document that it was judged by, then a line "<hash> <kind> <namespace> <name>" for each
  // object in force.
  ASSIGN_OR_RETURN(std::string state, EncodeHead(*target_));
  if (const std::string held = trust_.Save(); !held.empty()) state.append("\n").append(kTrustLine).append(held);
  for (const auto& [key, hash] : in_force_) {
    state += "\n" + hash + " " + PercentEncode(key.kind) + " " + PercentEncode(key.namespace_) + " " +
             PercentEncode(key.name);
  }
  if (state == saved_) return OkStatus();
  RETURN_IF_ERROR(cache_.SaveState(state));
  saved_ = std::move(state);
  return OkStatus();
}

Status HeadSync::KeepBlob(const std::string& key, const std::string& bytes) {
  return cache_.Put({{std::string(HashOfBlobKey(key)), bytes}});
}

// ---- the head

Status HeadSync::PollHead() {
  next_poll_ = clock_.Now() + DrawnPoll();
  Status polled = ReadHead();
  if (!polled.ok()) PollSooner();
  return polled;
}

// A store that has trouble is not left alone for as long as one that pushes. Once: a push that is wrong, and then
// another one, make it no sooner.
void HeadSync::PollSooner() {
  if (next_poll_ <= clock_.Now() + options_.poll_interval * 11 / 10) return;
  next_poll_ = clock_.Now() + Jittered(rng_, options_.poll_interval);
}

Status HeadSync::ReadHead() {
  Count(&SyncStats::reads);
  StatusOr<KvRead> read =
      kv_.GetUnless(kHeadKey, conditional_left_ > 0 ? etag_ : "", Deadline::After(options_.request_timeout));
  if (!read.ok()) {
    Count(&SyncStats::failed_reads);
    return Annotate(read.status(), "head");
  }
  if (read->not_modified) {
    --conditional_left_;
  } else if (read->value) {
    Count(&SyncStats::read_bytes, static_cast<int64_t>(read->value->value.size()));
    bool is_target = false;
    RETURN_IF_ERROR(ConsiderHead(read->value->value, &is_target));
    etag_ = is_target && read->value->etag.size() <= kEtagBytes ? read->value->etag : "";
    conditional_left_ = kConditionalPolls;
  }
  // No head, or a cached miss: no news either way.
  MutexLock lock(&mu_);
  if (read->not_modified) stats_.distrust.clear();  // the store shows what is followed
  stats_.last_success = clock_.Now();
  return OkStatus();
}

// What a poll tells holds until the next one. A socket tells more, and sooner.
void HeadSync::PollDown(bool reachable) {
  if (options_.read_down == nullptr) return;
  {
    MutexLock lock(&mu_);
    if (told_.informed()) return;
  }
  DownNews news;
  if (reachable && replicated_) {
    Count(&SyncStats::reads);
    const StatusOr<DownList> list = options_.read_down(Deadline::After(options_.request_timeout));
    if (list.ok()) {
      news.SetConnected(true);
      news.SetDown(*list);
    } else {
      Count(&SyncStats::failed_reads);
    }
    const std::string failure = list.ok() ? "" : Message(list.status());
    if (std::exchange(down_failure_, failure) != failure && !failure.empty())
      LOG_WARNING("which nodes are down is not known; no replica comes or goes", {{"error", failure}});
  }
  if (news.informed() != down_.informed() || news.nodes() != down_.nodes()) decide_ = true;
  down_ = std::move(news);
}

Status HeadSync::ConsiderHead(std::string_view bytes, bool* is_target) {
  StatusOr<Head> head = ParseHead(bytes);
  if (!head.ok()) {
    CountBadAnswer(head.status());
    return Unavailable(Message(head.status()));
  }
  if (!fleet_.empty() && head->fleet != fleet_) {
    Count(&SyncStats::foreign_heads);
    return FailedPrecondition("head: the store belongs to another fleet");
  }
  if (target_ && head->order < target_->order && !TargetIsLost(*head)) {
    Count(&SyncStats::stale_heads);
    return OkStatus();
  }
  const bool known = target_ && head->order == target_->order;
  if (known && head->snapshot == target_->snapshot) {
    if (is_target != nullptr) *is_target = true;
    MutexLock lock(&mu_);
    stats_.distrust.clear();  // the store shows what is followed again
    return OkStatus();
  }
  ASSIGN_OR_RETURN(const bool trusted, Trusts(*head));
  if (!trusted) return OkStatus();
  if (known) {
    Count(&SyncStats::conflicting_heads);
    LOG_ERROR("two heads of one order",
              {{"order", ToString(head->order)}, {"snapshot", head->snapshot}, {"other", target_->snapshot}});
    // Every node must choose the same, whichever it saw first.
    if (head->snapshot < target_->snapshot && !TargetIsLost(*head)) return OkStatus();
  }
  Follow(*std::move(head));
  if (is_target != nullptr) *is_target = true;
  return OkStatus();
}

StatusOr<bool> HeadSync::Trusts(const Head& head) {
  Status trusted = WalkTrust(head);
  if (trusted.ok()) trusted = trust_.Judge(head, !target_, options_.now ? options_.now() : clock_.Wall());
  if (trusted.ok() && !target_ && head.order < options_.minimum) {
    trusted = PermissionDenied("head: " + ToString(head.order) + " is lower than " + ToString(options_.minimum) +
                               ", which this node was told when it joined");
  }
  if (!trusted.ok() && trusted.code() != StatusCode::kPermissionDenied) return trusted;
  MutexLock lock(&mu_);
  const std::string why = trusted.ok() ? "" : Message(trusted);
  if (!trusted.ok()) ++stats_.untrusted_heads;
  if (std::exchange(stats_.distrust, why) != why && !why.empty())
    LOG_ERROR("a head is not followed", {{"order", ToString(head.order)}, {"reason", why}});
  return trusted.ok();
}

Status HeadSync::WalkTrust(const Head& head) {
  for (int step = 0; step < kTrustSteps; ++step) {
    const std::optional<int64_t> version = trust_.Needed(head);
    if (!version) return OkStatus();
    Count(&SyncStats::reads);
    auto value = kv_.Get(TrustKey(*version), Deadline::After(options_.request_timeout));
    if (!value.ok()) {
      Count(&SyncStats::failed_reads);
      return Unavailable(TrustKey(*version) + ": " + Message(value.status()));
    }
    if (!*value) return Unavailable(TrustKey(*version) + " is not there (yet)");
    RETURN_IF_ERROR(trust_.Take((*value)->value));
  }
  return Unavailable("the trust chain is read step by step");
}

// A head that was seen and whose snapshot the store does not show was taken back by a store that forgets; any head
// from the accepted one on may then take its place.
bool HeadSync::TargetIsLost(const Head& head) const {
  if (index_ || clock_.Now() < target_seen_ + kTargetPatience) return false;
  const std::shared_ptr<const AcceptedState> accepted = state();
  return !accepted->head ||
         std::tie(head.order, head.snapshot) >= std::tie(accepted->head->order, accepted->head->snapshot);
}

void HeadSync::Follow(Head head) {
  fleet_ = head.fleet;
  target_ = std::move(head);
  target_seen_ = clock_.Now();
  snapshot_.reset();
  index_ = complete_ = false;
  bad_.clear();
  retry_at_ = MonoTime{};
  failures_ = 0;
  lot_ = limits::kBulkGetKeys;
  // A missing object may be named by the new head too: its waiting goes on. The rest is of the old one.
  std::erase_if(missing_, [](const auto& item) { return !IsObjectKey(item.first); });
}

// ---- reading

StatusOr<std::map<std::string, std::string>> HeadSync::Read(std::vector<std::string> keys) {
  std::map<std::string, std::string> offered = TakeOffered(&keys);
  if (keys.empty()) return offered;
  Count(&SyncStats::reads);
  auto found = kv_.BulkGet(keys, Deadline::After(options_.request_timeout));
  if (!found.ok()) {
    Count(&SyncStats::failed_reads);
    // More than the client takes at once: fewer next time.
    if (found.status().code() == StatusCode::kResourceExhausted) lot_ = std::max<size_t>(1, keys.size() / 2);
    return found.status();
  }
  int64_t bytes = 0;
  for (const auto& [key, value] : *found) bytes += static_cast<int64_t>(value.size());
  Count(&SyncStats::read_bytes, bytes);
  found->merge(offered);
  return found;
}

Status HeadSync::RetryLater(Status status) {
  Duration wait = std::min(kLastBackOff, Duration(seconds(1)) * (int64_t{1} << std::min(failures_, 10)));
  ++failures_;
  retry_at_ = clock_.Now() + Jittered(rng_, wait);
  return status;
}

void HeadSync::MarkMissing(const std::string& key) {
  MonoTime now = clock_.Now();
  auto [it, first] = missing_.try_emplace(key);
  Missing& missing = it->second;
  if (first) missing.since = now;
  size_t attempt = static_cast<size_t>(missing.attempts++);
  missing.next = attempt < kMissingSchedule.size()
                     ? std::max(missing.since + kMissingSchedule[attempt], now + seconds(1))
                     : now + kMissingPeriod;
}

std::vector<std::string> HeadSync::DueOf(const std::vector<std::string>& keys) const {
  std::vector<std::string> due;
  for (const std::string& key : keys) {
    auto it = missing_.find(key);
    if (it == missing_.end() || it->second.next <= clock_.Now()) due.push_back(key);
  }
  return due;
}

StatusOr<bool> HeadSync::FetchIndex() {
  if (!snapshot_) RETURN_IF_ERROR(FetchSnapshot());
  if (!snapshot_) return false;
  RETURN_IF_ERROR(FetchShards());
  for (const std::string& hash : snapshot_->shards) {
    if (!hash.empty() && !shards_.contains(hash)) return false;
  }
  return true;
}

Status HeadSync::FetchSnapshot() {
  std::string key = SnapshotBlobKey(target_->snapshot);
  std::string bytes;
  if (std::optional<std::string> cached = cache_.Get(target_->snapshot)) {
    bytes = *std::move(cached);
  } else {
    if (DueOf({key}).empty()) return OkStatus();
    ASSIGN_OR_RETURN(auto found, Read({key}));
    if (!found.contains(key)) {
      MarkMissing(key);
      return OkStatus();
    }
    bytes = std::move(found[key]);
  }
  StatusOr<Snapshot> snapshot = ParseSnapshot(bytes, target_->snapshot);
  if (!snapshot.ok()) {
    CountBadAnswer(snapshot.status());
    MarkMissing(key);
    return Unavailable(Message(snapshot.status()));
  }
  RETURN_IF_ERROR(KeepBlob(key, bytes));
  missing_.erase(key);
  snapshot_ = *std::move(snapshot);
  return OkStatus();
}

Status HeadSync::FetchShards() {
  std::vector<std::string> wanted;
  std::map<std::string, std::string> found;
  for (const std::string& hash : snapshot_->shards) {
    if (hash.empty() || shards_.contains(hash)) continue;
    if (std::optional<std::string> cached = cache_.Get(hash)) {
      found[ShardBlobKey(hash)] = *std::move(cached);
    } else {
      wanted.push_back(ShardBlobKey(hash));
    }
  }
  std::vector<std::string> due = DueOf(wanted);
  if (due.size() > lot_) {
    due.resize(lot_);
    more_ = true;
  }
  if (!due.empty()) {
    ASSIGN_OR_RETURN(auto read, Read(due));
    found.merge(read);
  }
  for (const std::string& key : due) {
    if (!found.contains(key)) MarkMissing(key);
  }
  Status result = OkStatus();
  for (const auto& [key, bytes] : found) {
    std::string hash(HashOfBlobKey(key));
    StatusOr<Shard> shard = ParseShard(bytes, hash);
    if (!shard.ok()) {
      CountBadAnswer(shard.status());
      MarkMissing(key);
      result = Unavailable(Message(shard.status()));
      continue;
    }
    RETURN_IF_ERROR(KeepBlob(key, bytes));
    missing_.erase(key);
    shards_[hash] = std::make_shared<Shard>(*std::move(shard));
  }
  return result;
}

Status HeadSync::FetchObjects() {
  Status result = OkStatus();
  std::vector<std::string> queue;
  for (int batch = 0; batch < options_.object_batches_per_step; ++batch) {
    // Again when the queue is empty: the node's own object may have told that more is placed here.
    if (queue.empty()) {
      std::vector<std::string> wanted = WantedObjects();
      complete_ = wanted.empty();
      queue = DueOf(wanted);
      if (queue.empty()) return result;
    }
    size_t rest = queue.size() - std::min(queue.size(), lot_);
    std::vector<std::string> lot(queue.begin() + static_cast<std::ptrdiff_t>(rest), queue.end());
    queue.resize(rest);
    ASSIGN_OR_RETURN(auto found, Read(lot));
    for (const std::string& key : lot) {
      auto it = found.find(key);
      if (it == found.end()) {
        MarkMissing(key);
        changed_ = true;
      } else if (Status taken = TakeObject(key, it->second); taken.code() == StatusCode::kUnavailable) {
        result = taken;  // one bad answer does not keep the others away
      } else if (!taken.ok()) {
        return taken;
      }
    }
  }
  more_ = true;
  return result;
}

Status HeadSync::TakeObject(const std::string& key, const std::string& bytes) {
  std::string hash(HashOfBlobKey(key));
  StatusOr<Object> object = ParseObjectBlob(bytes, hash);
  if (!object.ok() && Sha256Hex(bytes) != hash) {
    CountBadAnswer(object.status());
    MarkMissing(key);
    return Unavailable(Message(object.status()));
  }
  if (object.ok()) {
    RETURN_IF_ERROR(KeepBlob(key, bytes));
    objects_[hash] = std::make_shared<Object>(*std::move(object));
  } else {
    // The bytes are the right ones and no object: asking again would give the same.
    bad_[hash] = Message(object.status());
  }
  missing_.erase(key);
  changed_ = true;
  return OkStatus();
}

// ---- what is for this node

std::shared_ptr<const Object> HeadSync::LoadObject(const std::string& hash) {
  if (auto it = objects_.find(hash); it != objects_.end()) return it->second;
  std::optional<std::string> bytes = cache_.Get(hash);
  if (!bytes) return nullptr;
  StatusOr<Object> object = ParseObjectBlob(*bytes, hash);
  if (!object.ok()) return nullptr;
  return objects_[hash] = std::make_shared<Object>(*std::move(object));
}

const ShardEntry* HeadSync::OwnNode() const {
  if (!index_ || options_.node.empty()) return nullptr;
  ObjectKey key{kKindNode, "", options_.node};
  auto shard = shards_.find(snapshot_->shards[ShardOf(key)]);
  if (shard == shards_.end()) return nullptr;
  for (const ShardEntry& entry : *shard->second) {
    if (entry.key == key) return &entry;
  }
  return nullptr;
}

std::shared_ptr<const Object> HeadSync::OwnNodeObject() {
  const ShardEntry* own = OwnNode();
  if (own == nullptr) return nullptr;
  if (std::shared_ptr<const Object> object = LoadObject(own->hash)) return object;
  auto before = in_force_.find(own->key);
  return before == in_force_.end() ? nullptr : LoadObject(before->second);
}

const ShardEntry* HeadSync::FindEntry(const ObjectKey& key) const {
  auto shard = shards_.find(snapshot_->shards[ShardOf(key)]);
  if (shard == shards_.end()) return nullptr;
  const Shard& entries = *shard->second;
  auto it = std::lower_bound(entries.begin(), entries.end(), key,
                             [](const ShardEntry& entry, const ObjectKey& wanted) { return entry.key < wanted; });
  return it != entries.end() && it->key == key ? &*it : nullptr;
}

bool HeadSync::SecretsAreHere(const Object& server) {
  for (const std::string& name : SecretNamesOf(server.spec)) {
    const ShardEntry* secret = FindEntry({kKindSecret, server.metadata.namespace_, name});
    if (secret != nullptr && !bad_.contains(secret->hash) && LoadObject(secret->hash) == nullptr) return false;
  }
  return true;
}

const std::vector<const ShardEntry*>& HeadSync::PlacedIn(const std::string& shard) {
  auto [it, is_new] = placed_.try_emplace(shard);
  if (!is_new) return it->second;
  for (const ShardEntry& entry : *shards_.at(shard)) {
    bool here = options_.node.empty();
    if (!here && entry.key.kind == kKindNode) here = entry.key.name == options_.node;
    if (!here && entry.key.kind == kKindServer) here = Place(entry.placement, options_.node, placed_for_, false);
    if (here) it->second.push_back(&entry);
  }
  return it->second;
}

template <typename Fn>
void HeadSync::ForEachMatching(Fn fn) {
  std::shared_ptr<const Object> node = OwnNodeObject();
  const Labels labels = node != nullptr ? node->metadata.labels : Labels{};
  if (labels != placed_for_) {
    placed_.clear();
    placed_for_ = labels;
  }
  for (const std::string& hash : snapshot_->shards) {
    if (hash.empty()) continue;
    for (const ShardEntry* entry : PlacedIn(hash)) fn(*entry);
  }
}

template <typename Fn>
void HeadSync::ForEachPlaced(Fn fn) {
  std::shared_ptr<const Object> node = OwnNodeObject();
  const bool unschedulable = node != nullptr && IsUnschedulable(*node), drained = node != nullptr && IsDrained(*node);
  // Secrets reach the nodes that need them: those of the servers placed here, in the version that is wanted, once it is
  // here, and in the one in force.
  std::set<ObjectKey> secrets;
  const auto add_secrets = [&secrets](const Object& server) {
    for (const std::string& name : SecretNamesOf(server.spec))
      secrets.insert({kKindSecret, server.metadata.namespace_, name});
  };
  ForEachMatching([&](const ShardEntry& entry) {
    if (entry.key.kind == kKindServer && IsReplicated(entry) && !options_.node.empty()) {
      if (!replicas_.contains(entry.key)) return;
    } else if (unschedulable && entry.key.kind == kKindServer && (drained || !in_force_.contains(entry.key))) {
      return;  // a cordoned node keeps what it runs and takes nothing new; a drained one keeps nothing
    }
    fn(entry);
    if (options_.node.empty() || entry.key.kind != kKindServer) return;
    if (auto wanted = objects_.find(entry.hash); wanted != objects_.end()) add_secrets(*wanted->second);
    auto before = in_force_.find(entry.key);
    if (before == in_force_.end() || before->second == entry.hash) return;
    if (std::shared_ptr<const Object> object = LoadObject(before->second)) add_secrets(*object);
  });
  for (const ObjectKey& key : secrets) {
    if (const ShardEntry* entry = FindEntry(key)) fn(*entry);
  }
}

bool HeadSync::LookAtNodes() {
  missing_nodes_.clear();
  bool asked = true;
  std::vector<PlacementNode> nodes;
  std::set<std::string> names;
  for (const std::string& shard : snapshot_->shards) {
    if (shard.empty()) continue;
    for (const ShardEntry& entry : *shards_.at(shard)) {
      if (entry.key.kind != kKindNode) continue;
      names.insert(entry.key.name);
      auto seen = seen_nodes_.find(entry.key.name);
      if ((seen == seen_nodes_.end() || seen->second.hash != entry.hash) && !bad_.contains(entry.hash)) {
        const std::string key = ObjectBlobKey(entry.hash);
        std::shared_ptr<const Object> object = LoadObject(entry.hash);
        if (object == nullptr) {
          missing_nodes_.push_back(key);
          asked = asked && missing_.contains(key);
        } else if (std::string wrong = EntryMismatch(entry, *object); !wrong.empty()) {
          bad_[entry.hash] = wrong;
        } else {
          seen = seen_nodes_.insert_or_assign(entry.key.name, SeenNode{entry.hash, PlacementNodeOf(*object)}).first;
        }
      }
      // While the new version is on its way, the one before.
      if (seen != seen_nodes_.end()) {
        nodes.push_back(seen->second.node);
      } else if (entry.key.name == options_.node) {
        if (std::shared_ptr<const Object> own = OwnNodeObject()) nodes.push_back(PlacementNodeOf(*own));
      }
    }
  }
  std::erase_if(seen_nodes_, [&](const auto& item) { return !names.contains(item.first); });
  nodes_ = PlacementNodes(std::move(nodes));
  return asked;
}

void HeadSync::DecideReplicas() {
  std::vector<ReplicaHolder::Server> servers;
  ForEachMatching([&](const ShardEntry& entry) {
    if (options_.node.empty() || entry.key.kind != kKindServer || !IsReplicated(entry)) return;
    servers.push_back({&entry.key, &entry.placement, in_force_.contains(entry.key)});
  });
  replicated_ = !servers.empty();
  bool looked = true;
  if (!replicated_) {
    missing_nodes_.clear();
    seen_nodes_.clear();
    nodes_ = PlacementNodes();
  } else {
    looked = LookAtNodes();
  }
  const ReplicaHolder::Sight sight{.nodes = nodes_, .down = down_.nodes(), .informed = down_.informed() && looked};
  replicas_ = holder_.Decide(servers, sight, clock_.Now());
}

std::vector<std::string> HeadSync::WantedObjects() {
  const ShardEntry* own = OwnNode();
  if (own != nullptr && LoadObject(own->hash) == nullptr && !missing_.contains(ObjectBlobKey(own->hash)) &&
      !bad_.contains(own->hash)) {
    return {ObjectBlobKey(own->hash)};
  }
  DecideReplicas();
  // So are the others', for who has which replica.
  std::vector<std::string> wanted = missing_nodes_;
  if (std::any_of(wanted.begin(), wanted.end(), [this](const auto& key) { return !missing_.contains(key); }))
    return wanted;
  ForEachPlaced([&](const ShardEntry& entry) {
    if (!bad_.contains(entry.hash) && LoadObject(entry.hash) == nullptr) wanted.push_back(ObjectBlobKey(entry.hash));
  });
  return wanted;
}

// The new version where it is here and agrees with its entry, else the one before.
void HeadSync::Adopt() {
  DecideReplicas();
  std::map<ObjectKey, std::string> next;
  ForEachPlaced([&](const ShardEntry& entry) {
    std::shared_ptr<const Object> object = LoadObject(entry.hash);
    std::string wrong = object != nullptr ? EntryMismatch(entry, *object) : "";
    const bool complete = object != nullptr && (entry.key.kind != kKindServer || SecretsAreHere(*object));
    if (complete && wrong.empty()) {
      next[entry.key] = entry.hash;
      return;
    }
    if (!wrong.empty()) bad_[entry.hash] = wrong;
    if (auto before = in_force_.find(entry.key); before != in_force_.end()) next[entry.key] = before->second;
  });
  in_force_ = std::move(next);
}

void HeadSync::Publish() {
  auto state = std::make_shared<AcceptedState>();
  state->head = target_;
  state->seen_at = target_seen_;
  grace_end_ = MonoTime::min();
  int64_t pending = 0;
  ForEachPlaced([&](const ShardEntry& entry) {
    SyncedObject& synced = state->objects[entry.key];
    synced.entry = entry;
    auto in_force = in_force_.find(entry.key);
    if (in_force != in_force_.end()) synced.object = LoadObject(in_force->second);
    if (auto bad = bad_.find(entry.hash); bad != bad_.end()) {
      synced.mismatch = bad->second;
    } else if (synced.object == nullptr || in_force->second != entry.hash) {
      // Not here yet, or no more: what the disk lost is asked for again.
      synced.pending = true;
      ++pending;
      auto missing = missing_.find(ObjectBlobKey(entry.hash));
      MonoTime since = missing == missing_.end() ? target_seen_ : missing->second.since;
      grace_end_ = std::max(grace_end_, since + options_.removal_grace);
    }
  });
  for (const std::string& hash : snapshot_->shards) {
    if (!hash.empty()) state->entries += shards_.at(hash)->size();
  }
  std::shared_ptr<const Object> node = OwnNodeObject();
  state->unschedulable = node != nullptr && IsUnschedulable(*node);
  state->removals_allowed = clock_.Now() >= grace_end_;
  shown_replicas_ = replicas_;
  DropUnused();
  MutexLock lock(&mu_);
  state_ = std::move(state);
  stats_.pending_keys = pending;
}

// Keeps in memory only what the snapshot in force names.
void HeadSync::DropUnused() {
  std::set<std::string> used, kept;
  for (const auto& [key, hash] : in_force_) used.insert(hash);
  ForEachPlaced([&](const ShardEntry& entry) { used.insert(entry.hash); });
  std::erase_if(objects_, [&used](const auto& item) { return !used.contains(item.first); });
  kept.insert(snapshot_->shards.begin(), snapshot_->shards.end());
  const auto gone = [&kept](const auto& item) { return !kept.contains(item.first); };
  std::erase_if(placed_, gone);
  std::erase_if(shards_, gone);
  // Of the other nodes only what placement looks at is kept in memory, and all of it on disk, for the next boot.
  for (const std::string& key : missing_nodes_) used.insert(std::string(HashOfBlobKey(key)));
  for (const auto& [name, seen] : seen_nodes_) used.insert(seen.hash);
  std::erase_if(missing_, [&used](const auto& item) { return !used.contains(std::string(HashOfBlobKey(item.first))); });
  used.merge(kept);
  used.insert(target_->snapshot);
  if (Status status = cache_.Collect(used); !status.ok()) LOG_WARNING("cache not collected", {{"error", status}});
}

// ---- the step

Status HeadSync::Step() {
  more_ = false;
  std::optional<std::string> offered;
  {
    MutexLock lock(&mu_);
    offered = std::exchange(offered_, std::nullopt);
    if (std::exchange(told_new_, false)) {
      down_ = told_;
      decide_ = true;
    }
    if (const auto polling = std::exchange(polling_, std::nullopt)) {
      poll_least_ = polling->least;
      poll_most_ = polling->most;
      if (next_poll_ != MonoTime{}) next_poll_ = clock_.Now() + DrawnPoll();
    }
  }
  Status result = OkStatus();
  if (offered) result = ConsiderHead(*offered);
  if (clock_.Now() >= next_poll_) {
    result = PollHead();  // what the store itself shows says more than what was pushed
    PollDown(result.ok());
  } else if (!result.ok()) {
    PollSooner();  // until then nobody knows whether it can be read
  }
  if (!target_ || clock_.Now() < retry_at_) return result;

  bool switched = false, failing = false;
  if (!index_) {
    StatusOr<bool> whole = FetchIndex();
    if (!whole.ok()) return RetryLater(whole.status());
    failures_ = 0;
    if (!*whole) return result;
    index_ = switched = true;
  }
  if (std::exchange(decide_, false) || clock_.Now() >= holder_.next_due()) {
    DecideReplicas();
    if (replicas_ != shown_replicas_ || !missing_nodes_.empty()) complete_ = false;
  }
  if (!complete_) {
    if (Status fetched = FetchObjects(); !fetched.ok()) {
      failing = true;
      result = RetryLater(fetched);
    }
  }
  // A state that could not be saved keeps its back-off until it is.
  if (!failing && !changed_) failures_ = 0;
  bool grace_over = !state()->removals_allowed && clock_.Now() >= grace_end_;
  const bool moved = replicas_ != shown_replicas_;  // one came or went
  if (!switched && !changed_ && !grace_over && !moved) return result;
  Adopt();
  if (Status saved = Save(); !saved.ok()) {
    changed_ = true;
    return RetryLater(Annotate(saved, "saving the state"));
  }
  if (!failing) failures_ = 0;
  changed_ = false;
  Publish();
  return result;
}

MonoTime HeadSync::next_due() const {
  MonoTime now = clock_.Now();
  MonoTime work = MonoTime::max();
  if (target_) {
    if (more_ || changed_ || failures_ > 0) work = now;
    for (const auto& [key, missing] : missing_) {
      // Objects are asked for once the shards that name them are here, and not before.
      if (IsObjectKey(key) == index_) work = std::min(work, missing.next);
    }
    if (index_ && !state()->removals_allowed) work = std::min(work, grace_end_);
    if (index_) work = decide_ ? now : std::min(work, holder_.next_due());
    work = std::max(work, retry_at_);
  }
  MutexLock lock(&mu_);
  return offered_ || told_new_ || polling_ ? now : std::min(next_poll_, work);
}

}  // namespace mcpfleet
