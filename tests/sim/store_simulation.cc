#include "tests/sim/store_simulation.h"

#include <dirent.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <iterator>

#include "base/digest.h"
#include "base/fd.h"
#include "controller/core/plan.h"

namespace mcpfleet {
namespace {

using std::chrono::seconds;

constexpr char kFleet[] = "0123456789abcdef0123456789abcdef";
constexpr char kOtherFleet[] = "fedcba9876543210fedcba9876543210";
constexpr int64_t kQuota = int64_t{256} << 20;
constexpr int kMaxSyncSteps = 500;  // at one instant

// In memory where there is such a place: the node flushes after each change.
std::string MakeDirectory() {
  std::string name = access("/dev/shm", W_OK) == 0 ? "/dev/shm/mcpfleet-sim-XXXXXX" : "/tmp/mcpfleet-sim-XXXXXX";
  return mkdtemp(name.data());
}

Json SpecOf(const DesiredServer& server) {
  Json spec;
  const bool remote = IsRemote(server);
  if (const auto* image = std::get_if<ImageSource>(&server.spec.source))
    spec["source"]["image"] = {{"ref", image->ref}};
  if (const auto* package = std::get_if<PackageSource>(&server.spec.source)) {
    spec["source"]["package"] = {{"manager", "npm"}, {"name", package->name}, {"version", package->version}};
  }
  if (remote) spec["source"]["remote"] = {{"url", std::get<RemoteSource>(server.spec.source).url}};
  if (server.spec.suspend) spec["suspend"] = true;
  const RestartPolicy& policy = server.spec.restart_policy;
  if (!remote && policy.condition != RestartCondition::kAlways) {
    spec["restartPolicy"]["condition"] = policy.condition == RestartCondition::kNever ? "Never" : "OnFailure";
  }
  if (!remote && policy.max_attempts > 0) spec["restartPolicy"]["maxAttempts"] = policy.max_attempts;
  // What a node refuses: by its policy, or because it does not know the field.
  if (!server.rejected_reason.empty() && !remote) spec["securityContext"]["network"] = "Host";
  if (!server.rejected_reason.empty() && remote) spec["fromTheFuture"] = true;
  return spec;
}

Object ObjectOf(const DesiredServer& server) {
  Object object;
  object.kind = kKindServer;
  object.metadata.name = server.key.name;
  object.metadata.namespace_ = server.key.namespace_;
  object.spec = SpecOf(server);
  return object;
}

// A disk that takes so many bytes of a file and no more, for as long as this lives.
class FullDisk {
 public:
  explicit FullDisk(size_t bytes) {
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &before_);
    const rlimit full{bytes, before_.rlim_max};
    setrlimit(RLIMIT_FSIZE, &full);
  }
  ~FullDisk() { setrlimit(RLIMIT_FSIZE, &before_); }

 private:
  rlimit before_{};
};

// The first head, which a real writer would give a random fleet.
Status Found(FakeKv& kv, const std::string& fleet, HeadOrder order) {
  ASSIGN_OR_RETURN(std::string snapshot, EncodeSnapshot({.time = "2026-11-22T00:00:00Z"}));
  const std::string hash = Sha256Hex(snapshot);
  RETURN_IF_ERROR(kv.BulkPut({{SnapshotBlobKey(hash), snapshot, "", 0}}, Deadline::Never()));
  ASSIGN_OR_RETURN(std::string head,
                   EncodeHead({.fleet = fleet, .order = order, .snapshot = hash, .time = "2026-11-22T00:00:00Z"}));
  return kv.Put(kHeadKey, head, {.if_none_match = true}, Deadline::Never());
}

}  // namespace

StatusOr<std::optional<KvValue>> NodeKv::Get(std::string_view key, Deadline deadline) {
  const FakeFault fault = simulation_.Fault("Get", std::string(key));
  if (fault == FakeFault::kCrashBefore) throw FakeCrash{"Get", std::string(key)};
  if (fault == FakeFault::kFailBefore) return Unavailable("injected before Get");
  StatusOr<std::optional<KvValue>> value = inner_.Get(key, deadline);
  if (fault == FakeFault::kCrashAfter) throw FakeCrash{"Get", std::string(key)};
  if (fault == FakeFault::kFailAfter) return DeadlineExceeded("injected: the answer is lost");
  return value;
}

StatusOr<std::map<std::string, std::string>> NodeKv::BulkGet(const std::vector<std::string>& keys, Deadline deadline) {
  const std::string what = keys.front().substr(0, keys.front().find('/') + 9) + " of " + std::to_string(keys.size());
  const FakeFault fault = simulation_.Fault("BulkGet", what);
  if (fault == FakeFault::kCrashBefore) throw FakeCrash{"BulkGet", what};
  if (fault == FakeFault::kFailBefore) return Unavailable("injected before BulkGet");
  StatusOr<std::map<std::string, std::string>> values = inner_.BulkGet(keys, deadline);
  if (fault == FakeFault::kCrashAfter) throw FakeCrash{"BulkGet", what};
  if (fault == FakeFault::kFailAfter) return DeadlineExceeded("injected: the answer is lost");
  return values;
}

StoreSimulation::StoreSimulation(uint64_t seed)
    : Simulation(seed), directory_(MakeDirectory()), kv_(clock_, seed), truth_(kFleet), knows_fleet_(Chance() < 0.5) {
  kv_.SetCommits(Chance() < 0.5);
  if (!Found(kv_, kFleet, {0, 1, 1}).ok()) Break("the store was not founded");
  if (std::string wrong = truth_.Record(kv_, clock_.Now()); !wrong.empty()) Break(wrong);
  meant_at_[truth_.head()->snapshot] = {};
  FakeKvFaults& faults = faults_;
  static constexpr int kStale[] = {0, 0, 5, 60, 120};
  faults.stale_window = seconds(kStale[Pick(5)]);
  if (Chance() < 0.7) faults.miss_cache_min = seconds(60), faults.miss_cache_max = seconds(120);
  if (Chance() < 0.3) faults.value_cache_max = seconds(60);
  faults.fail_before = Chance() * 0.1;
  faults.fail_after = Chance() * 0.1;
  faults.garbage = Chance() * 0.05;
  kv_.SetFaults(faults);
}

StoreSimulation::~StoreSimulation() {
  sync_.reset();
  (void)RemoveTree(directory_);
}

// ---- the operator

// Mostly he is where the store is written, and sees what is there; else he is as far away as the node. Not once the
// store forgot something: an order may then stand for two heads, and a writer who sees the first of them would move on
// from it over the second, to shards that are no more; and he would back up the other fleet.
template <typename Call>
auto StoreSimulation::Operate(Call call) {
  FakeKvFaults faults = faults_;
  if (forgot_ || Chance() < 0.7) faults.stale_window = faults.value_cache_max = Duration(0);
  if (!calm_) kv_.SetFaults(faults);
  if (!calm_ && Chance() < 0.1) {
    // One draw a statement: the order of a call's arguments is the compiler's.
    const auto nth = 1 + static_cast<int64_t>(Pick(6));
    kv_.CrashAt(nth, Chance() < 0.5);
  }
  auto result = call();
  kv_.CrashAt(0, false);
  if (!calm_) kv_.SetFaults(faults_);
  return result;
}

WriteOptions StoreSimulation::Options() {
  // Most give up at the first collision and come again; some wait (for real) and try once more.
  return {.author = "operator", .max_attempts = Chance() < 0.02 ? 2 : 1, .seed = random_() | 1};
}

// After every call that may have moved the head.
void StoreSimulation::Record(const std::string& what, const Status& status) {
  Trace("  " + what + (status.ok() ? "" : ": " + status.ToString()));
  const std::string before = truth_.head() ? ToString(truth_.head()->order) : "another fleet's";
  if (std::string wrong = truth_.Record(kv_, clock_.Now()); !wrong.empty()) return Break(what + ": " + wrong);
  if (truth_.head() && ToString(truth_.head()->order) != before) Trace("  head " + ToString(truth_.head()->order));
}

// All manifests at once, as a person with a directory of them would.
void StoreSimulation::Publish() {
  unsaid_ = true;
  if (swapped_) return;
  ChangeSet changes;
  std::set<ServerKey> gone;
  for (const auto& [snapshot, servers] : meant_at_) {
    for (const auto& [key, server] : servers) gone.insert(key);
  }
  for (const auto& [key, server] : meant_.servers) {
    changes.set.push_back(ObjectOf(*server));
    gone.erase(key);
  }
  for (const ServerKey& key : gone) changes.remove.push_back({kKindServer, key.namespace_, key.name});
  const WriteOptions options = Options();
  StatusOr<ApplyResult> result = Operate([&] { return Apply(kv_, changes, options, clock_, Deadline::Never()); });
  Record("mcpctl apply", result.status());
  if (!broken_.empty() || !truth_.head()) return;
  const std::string& now = truth_.head()->snapshot;
  meant_at_.try_emplace(now, meant_.servers);
  if (!result.ok()) return;
  // A stale head may have said that nothing had to change.
  unsaid_ = !result->head || result->head->snapshot != now;
  if (result->moved && unsaid_) Break("mcpctl apply says that it moved the head, and it did not");
}

void StoreSimulation::TakeBackup() {
  const size_t snapshots = 1 + Pick(3);
  const std::string path = directory_ + "/backup";
  Status status = Operate([&] { return Backup(kv_, path, snapshots, Deadline::Never()).status(); });
  Trace("  mcpctl store backup" + (status.ok() ? "" : ": " + status.ToString()));
  has_backup_ = has_backup_ || status.ok();
}

void StoreSimulation::RestoreBackup(bool replace_fleet) {
  RestoreOptions options{.replace_fleet = replace_fleet};
  // As a node's status tells.
  if (truth_.accepted()) options.min_epoch = truth_.accepted()->order.epoch;
  const std::optional<Head> before = truth_.head();
  const std::string path = directory_ + "/backup";
  StatusOr<Head> restored = Operate([&] { return Restore(kv_, path, options, clock_, Deadline::Never()); });
  Record("mcpctl store restore", restored.status());
  if (!broken_.empty()) return;
  if (!before && !replace_fleet) {
    if (restored.ok()) Break("a backup was restored into the store of another fleet");
    return;
  }
  if (!truth_.head() || (before && before->order == truth_.head()->order)) return;
  swapped_ = false;
  // What the operator means now is the backup's, or still his own.
  if (restored.ok() && Chance() < 0.5) {
    meant_.servers = meant_at_.at(truth_.head()->snapshot);
    unsaid_ = false;
  } else {
    unsaid_ = true;
  }
}

void StoreSimulation::Undo() {
  auto it = meant_at_.begin();
  std::advance(it, Pick(meant_at_.size()));
  const Servers then = it->second;
  const WriteOptions options = Options();
  StatusOr<ApplyResult> result = Operate([&] { return Rollback(kv_, it->first, options, clock_, Deadline::Never()); });
  Record("mcpctl rollout undo", result.status());
  if (!broken_.empty() || !truth_.head()) return;
  meant_at_.try_emplace(truth_.head()->snapshot, then);
  unsaid_ = true;
  if (!result.ok()) return;
  meant_.servers = then;
  unsaid_ = !result->head || result->head->snapshot != truth_.head()->snapshot;
}

void StoreSimulation::PutBack() {
  if (old_.empty()) return;
  kv_.SetContent(old_[Pick(old_.size())]);
  forgot_ = true;
  Record("the store shows an older state", OkStatus());
  unsaid_ = Chance() < 0.5;
}

std::map<std::string, std::string> StoreSimulation::OtherFleet() {
  FakeKv other(clock_, 1);
  if (!Found(other, kOtherFleet, {0, 1 + static_cast<int64_t>(Pick(40)), 40}).ok()) Break("no other fleet");
  DesiredServer server;
  server.key = {"default", "s0"};
  server.spec.source = ImageSource{"registry.test/s0:foreign"};
  if (!Apply(other, {.set = {ObjectOf(server)}}, Options(), clock_, Deadline::Never()).ok()) Break("no other fleet");
  return other.Content();
}

void StoreSimulation::Swap() {
  // A node that never saw its fleet, and has no token that names it, would take any.
  if (!swapped_ && !knows_fleet_ && !truth_.accepted()) return;
  std::map<std::string, std::string> next = swapped_ ? ours_ : OtherFleet();
  if (!swapped_) ours_ = kv_.Content();
  kv_.SetContent(next);
  swapped_ = !swapped_;
  forgot_ = true;
  Record(swapped_ ? "the store is another fleet's" : "the store is ours again", OkStatus());
}

void StoreSimulation::StoreEvent() {
  const double what = Chance();
  if (what < 0.20) {
    Trace("  the store goes away");
    kv_.SetUnreachable(true);
  } else if (what < 0.45) {
    kv_.SetUnreachable(false);
  } else if (what < 0.55) {
    if (!swapped_) old_.push_back(kv_.Content());
  } else if (what < 0.62) {
    if (!swapped_) PutBack();
  } else if (what < 0.72) {
    if (!swapped_) TakeBackup();
  } else if (what < 0.80) {
    if (has_backup_) RestoreBackup(Chance() < 0.3);
  } else if (what < 0.89) {
    Swap();
  } else if (what < 0.92) {
    if (!swapped_) CollectGarbage();
  } else if (!swapped_) {
    Undo();
  }
}

void StoreSimulation::CollectGarbage() {
  // Longer ago than any read is stale.
  const GcOptions options{.keep_written = std::chrono::minutes(5)};
  StatusOr<GcResult> result = Operate([&] { return Gc(kv_, options, clock_, Deadline::Never()); });
  Trace("  mcpctl gc" +
        (result.ok() ? " deleted " + std::to_string(result->deleted) : ": " + result.status().ToString()));
}

// ---- the node

void StoreSimulation::StoreReboot(bool power_lost) {
  sync_.reset();
  if (power_lost) LosePower();
  StatusOr<std::unique_ptr<LocalCache>> cache = LocalCache::Open(directory_ + "/desired", kQuota);
  if (!cache.ok()) return Break("the cache does not open: " + cache.status().ToString());
  cache_ = *std::move(cache);
  sync_ = std::make_unique<HeadSync>(node_kv_, *cache_, clock_, random_(),
                                     HeadSyncOptions{.node = "edge", .fleet = knows_fleet_ ? kFleet : ""});
  if (Status booted = sync_->Boot(); !booted.ok()) return Break("the cache does not boot: " + booted.ToString());
  NoteFlushed();
  desired_ = std::make_unique<DesiredView>(NodePolicy{});
  delivered_.reset();
  Look();
}

std::set<std::string> StoreSimulation::Blobs() const {
  std::set<std::string> names;
  DIR* directory = opendir((directory_ + "/desired/blobs").c_str());
  if (directory == nullptr) return names;
  while (dirent* entry = readdir(directory)) {
    if (entry->d_name[0] != '.') names.insert(entry->d_name);
  }
  closedir(directory);
  return names;
}

// Of blobs that were not flushed anything may be left.
void StoreSimulation::LosePower() {
  for (const std::string& name : Blobs()) {
    const bool damaged = durable_.contains(name) ? Chance() < 0.02 : Chance() < 0.7;
    if (!damaged) continue;
    const std::string path = directory_ + "/desired/blobs/" + name;
    Trace("  blob " + name.substr(0, 8) + " is damaged");
    truth_.Lose(name);
    if (Chance() < 0.3) {
      unlink(path.c_str());
    } else if (truncate(path.c_str(), static_cast<off_t>(Pick(200))) != 0) {
      Break("truncate");
    }
  }
}

// A new state is in place after all blobs were flushed.
void StoreSimulation::NoteFlushed() {
  std::string state = ReadFile(directory_ + "/desired/state", size_t{1} << 20).value_or("");
  if (state == flushed_state_) return;
  flushed_state_ = std::move(state);
  durable_ = Blobs();
}

// What the sync thread hands to mcplet when a step has published something.
void StoreSimulation::Look() {
  std::shared_ptr<const AcceptedState> state = sync_->state();
  if (state == delivered_) return;
  delivered_ = state;
  if (state->head) {
    Trace("  node: head " + ToString(state->head->order) + ", " + std::to_string(state->objects.size()) + " objects" +
          (state->removals_allowed ? "" : ", removals wait"));
  }
  if (std::string wrong = truth_.Check(*state, clock_.Now()); !wrong.empty()) return Break("the node: " + wrong);
  const bool changed = desired_->Update(*state);
  view_.Edit([this](DesiredSnapshot* s) { *s = *desired_->Current(); });
  if (changed && controller_) controller_->NotifyDesiredChanged();
}

bool StoreSimulation::SyncOnce() {
  const std::string state = directory_ + "/desired/state";
  // Now and then mcplet dies after the blobs, before the state that names them is in place.
  const bool dies = !calm_ && Chance() < 0.02;
  const StatusOr<std::string> before = ReadFile(state, size_t{1} << 20);
  std::optional<size_t> room;
  if (!calm_ && Chance() < 0.06) room = Pick(1500);
  try {
    Status status;
    {
      std::optional<FullDisk> full;
      if (room) full.emplace(*room);
      status = sync_->Step();
    }
    // A path in it is another one in every run.
    if (!status.ok()) Trace("  sync: " + (room ? "the disk is full" : status.ToString()));
  } catch (const FakeCrash& crash) {
    Trace("  crash in " + crash.verb + " " + crash.id);
    Crash();
    return false;
  }
  if (dies) {
    Trace("  the state did not get to the disk");
    Status undone = before.ok() ? WriteFileAtomically(state, *before) : OkStatus();
    if (!before.ok()) unlink(state.c_str());
    const std::string torn = directory_ + "/desired/blobs/" + std::string(64, 'a') + ".tmp.1";
    if (undone.ok()) undone = WriteFileAtomically(torn, "half a bl");
    if (!undone.ok()) Break(undone.ToString());
    Crash();
    return false;
  }
  NoteFlushed();
  Look();
  return true;
}

void StoreSimulation::SyncSome(size_t most) {
  const MonoTime now = clock_.Now();
  for (size_t i = 0; i < most && broken_.empty() && sync_->next_due() <= now; ++i) {
    if (!SyncOnce()) return;
    if (i + 1 == kMaxSyncSteps) Break("the sync does not come to rest");
  }
}

bool StoreSimulation::StoreStep(bool stormy) {
  if (!stormy) return SettleStore();
  if (Chance() < 0.25) StoreEvent();
  if (unsaid_ && Chance() < 0.5) Publish();
  if (Chance() < 0.2) sync_->Offer(kv_.Peek(kHeadKey).value_or(""));  // the watch pushes
  SyncSome(Chance() < 0.3 ? kMaxSyncSteps : Pick(6));
  return true;
}

// ---- the end

// The node follows what the store no longer says: then it follows nothing that is lower, or has the same order. It may
// find out late, when what it had seen before the store was put back comes after all.
bool StoreSimulation::NodeKnowsBetter() const {
  const std::optional<Head>& accepted = truth_.accepted();
  if (!accepted) return false;
  const Head& shown = *truth_.head();
  // Also of the same content: what follows an older head would not be followed.
  return shown.order < accepted->order || (shown.order == accepted->order && shown.snapshot != accepted->snapshot);
}

// The faults are over: the operator repeats himself until the store has what he means, with an order that the node
// can follow.
bool StoreSimulation::SettleStore() {
  if (!calm_) {
    calm_ = true;
    kv_.SetFaults({});
    kv_.SetUnreachable(false);
    if (swapped_) Swap();
    unsaid_ = true;
  }
  if (!settled_ || NodeKnowsBetter()) {
    if (unsaid_) Publish();
    if (unsaid_ || !broken_.empty()) return false;
    if (NodeKnowsBetter()) {
      // The store was put back: what the manual says.
      TakeBackup();
      if (has_backup_) RestoreBackup(false);
      settled_ = false;
      unsaid_ = true;
      return false;
    }
    settled_ = true;
    TakeMeantFromStore();
  }
  SyncSome(kMaxSyncSteps);
  if (!broken_.empty()) return false;
  const auto state = sync_->state();
  // Both: after the store forgot something an order may stand for two heads.
  if (!state->head || state->head->order != truth_.head()->order) return false;
  if (state->head->snapshot != truth_.head()->snapshot) return false;
  return std::none_of(state->objects.begin(), state->objects.end(), [](const auto& o) { return o.second.pending; });
}

// From here on what is wanted is what the store says, which must be what the operator said.
void StoreSimulation::TakeMeantFromStore() {
  Servers stored;
  for (const auto& [key, object] : truth_.ObjectsOf(truth_.head()->snapshot)) {
    SyncedObject synced{.entry = EntryOf(object, "h"), .object = std::make_shared<Object>(object)};
    auto server = std::make_shared<const DesiredServer>(DecodeDesired(synced, {}));
    auto meant = meant_.servers.find(server->key);
    if (meant == meant_.servers.end()) return Break(ToString(server->key) + " is in the store and not meant");
    if (object.spec != SpecOf(*meant->second)) return Break(ToString(server->key) + " is not as meant in the store");
    if (server->rejected_reason.empty() != meant->second->rejected_reason.empty()) {
      return Break(ToString(server->key) + " is judged wrong: " + server->rejected_message);
    }
    stored[server->key] = server;
  }
  if (stored.size() != meant_.servers.size()) return Break("a server is meant and not in the store");
  meant_.servers = stored;
}

}  // namespace mcpfleet
