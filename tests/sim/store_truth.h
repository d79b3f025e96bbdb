// What was really written to the fleet's store, read past all of its faults, and whether a state that the node accepted
// can be true:
//
//   - its head was written to this fleet's store, and its order never fell, over every restart;
//   - it names exactly the servers of that head; one that is absent there may go, one that was not read may not;
//   - the version of each in force is that head's, or the one before (if the disk has it) and marked as pending;
//   instead
//     of the one before also one of a head since, which came while nothing could be saved: none comes back;
//   - nothing may be removed while a version is awaited, unless it was awaited for five minutes.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "store/head_sync.h"
#include "tests/fakes/fake_kv.h"

namespace mcpfleet {

class StoreTruth {
 public:
  explicit StoreTruth(std::string fleet) : fleet_(std::move(fleet)) {}

  // After each write: what the store's head says now. "" or what of it can't be read.
  std::string Record(const FakeKv& kv, MonoTime now);
  // "" or why the node must not have accepted this.
  std::string Check(const AcceptedState& state, MonoTime now);

  // The node's disk lost this blob.
  void Lose(const std::string& hash) { lost_.insert(hash); }

  // The head that the store has now; nullopt while it is another fleet's.
  const std::optional<Head>& head() const { return head_; }
  // The greatest head that the node accepted.
  const std::optional<Head>& accepted() const { return accepted_; }
  // The servers of a snapshot that was recorded, as objects.
  std::map<ObjectKey, Object> ObjectsOf(const std::string& snapshot) const;

 private:
  std::string CheckHead(const Head& head);
  // Whether a head from `order` to the accepted one names this version.
  bool NamedSince(const ObjectKey& key, const std::string& hash, const HeadOrder& order) const;
  std::string CheckObject(const SyncedObject& synced, const ShardEntry* named, bool removals_allowed, MonoTime now);

  const std::string fleet_;
  std::string head_bytes_;
  std::optional<Head> head_, accepted_;
  std::set<std::pair<HeadOrder, std::string>> heads_;               // ever written
  std::map<std::string, std::map<ObjectKey, ShardEntry>> entries_;  // by snapshot
  std::set<std::string> lost_;
  std::map<std::string, Object> objects_;     // by hash
  std::map<std::string, MonoTime> named_at_;  // by object hash: by a head, first
  struct InForce {
    std::shared_ptr<const Object> object;
    std::string hash;
    HeadOrder at;  // of the head that it was last seen with
  };
  std::map<ObjectKey, InForce> in_force_;
};

}  // namespace mcpfleet
