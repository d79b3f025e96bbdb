// The simulated node with its store between the operator and it. The operator's side is the real writer (apply, undo,
// backup, restore, garbage collection); the node's side is the real sync with its cache on a disk, and mcplet's
// view. The store is as bad as Workers KV and worse: stale, lost and failing answers, remembered misses, a store put
// back to an older state, replaced by another fleet's, restored from a backup. mcplet dies at any read, between the
// blobs and the state that names them, and loses what was not flushed when the power goes.
//
// StoreTruth says what must hold of every state that the node accepts; the rest is Simulation's.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "edge-runtime/mcplet/desired_view.h"
#include "store/head_sync.h"
#include "store/local_cache.h"
#include "store/writer.h"
#include "tests/fakes/fake_kv.h"
#include "tests/sim/simulation.h"
#include "tests/sim/store_truth.h"

namespace mcpfleet {

// The node's reads, each of which may be lost or the last one.
class NodeKv final : public KvClient {
 public:
  NodeKv(FakeKv& inner, Simulation& simulation) : inner_(inner), simulation_(simulation) {}
  StatusOr<std::optional<KvValue>> Get(std::string_view key, Deadline deadline) override;
  StatusOr<std::map<std::string, std::string>> BulkGet(const std::vector<std::string>& keys,
                                                       Deadline deadline) override;
  // A node reads two ways and writes nothing.
  StatusOr<KvPage> List(std::string_view, std::string_view, size_t, Deadline) override { return Refused(); }
  Status Put(std::string_view, std::string_view, const KvPutOptions&, Deadline) override { return Refused(); }
  Status BulkPut(const std::vector<KvPair>&, Deadline) override { return Refused(); }
  Status Delete(std::string_view, Deadline) override { return Refused(); }
  Status BulkDelete(const std::vector<std::string>&, Deadline) override { return Refused(); }

 private:
  static Status Refused() { return PermissionDenied("a reader's token"); }
  FakeKv& inner_;
  Simulation& simulation_;
};

class StoreSimulation final : public Simulation {
 public:
  explicit StoreSimulation(uint64_t seed);
  ~StoreSimulation() override;

 private:
  void Publish() override;
  bool StoreStep(bool stormy) override;
  void StoreReboot(bool power_lost) override;

  // The operator and the store.
  void StoreEvent();
  template <typename Call>
  auto Operate(Call call);
  void Record(const std::string& what, const Status& status);
  void TakeBackup();
  void RestoreBackup(bool replace_fleet);
  void Undo();
  void CollectGarbage();
  void PutBack();  // the store shows an older state
  void Swap();     // the store is another fleet's, or ours again
  std::map<std::string, std::string> OtherFleet();
  WriteOptions Options();

  // The node.
  void SyncSome(size_t most);
  bool SyncOnce();  // false: mcplet died
  void Look();
  void LosePower();
  void NoteFlushed();
  std::set<std::string> Blobs() const;

  bool SettleStore();
  bool NodeKnowsBetter() const;
  void TakeMeantFromStore();

  const std::string directory_;
  FakeKvFaults faults_;
  FakeKv kv_;
  NodeKv node_kv_{kv_, *this};
  StoreTruth truth_;
  const bool knows_fleet_;
  std::unique_ptr<LocalCache> cache_;
  std::unique_ptr<HeadSync> sync_;
  std::unique_ptr<DesiredView> desired_;
  std::shared_ptr<const AcceptedState> delivered_;
  std::string flushed_state_;
  std::set<std::string> durable_;  // blobs that were flushed

  using Servers = std::map<ServerKey, std::shared_ptr<const DesiredServer>>;
  std::map<std::string, Servers> meant_at_;              // by snapshot
  std::vector<std::map<std::string, std::string>> old_;  // contents of the store
  std::map<std::string, std::string> ours_;              // what the store had when another fleet's took its place
  bool swapped_ = false, forgot_ = false;
  bool unsaid_ = true;  // the operator has not seen his last change arrive
  bool has_backup_ = false;
  bool calm_ = false, settled_ = false;
};

}  // namespace mcpfleet
