// What a change owns in the store and, where no manifest names it any more, deletes: by its apply set, or by a
// selector. Decided for the state that it was planned on, and again for every other one that it is put on (writer.h):
// what was relabelled meanwhile is judged as it is then, and so is the share.
//
// Pure.
#pragma once

#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/status.h"
#include "crd/labels.h"
#include "crd/object.h"

namespace mcpfleet {

struct PruneLimit {
  int most_percent = 50;  // of the objects that are owned, 0 to 100
  bool force = false;     // no limit
};
// FailedPrecondition when `doomed` of `owned` objects are more than the limit: a folder that lost its files must not
// take the fleet with it. `owner`: "apply set shop".
Status CheckShare(size_t doomed, size_t owned, const PruneLimit& limit, const std::string& owner);

struct PruneRule {
  std::string apply_set;  // "": the selector says what is owned
  // What it matches in these kinds and namespaces, and no apply set owns.
  std::string selector_text;
  LabelSelector selector;
  std::set<std::pair<std::string, std::string>> places;
  PruneLimit limit;
  std::string planned_on;  // hash of the snapshot that ChangeSet::remove was decided for, "" for an empty store
};
// The set that an object is of, "" for none.
std::string ApplySetOf(const Object& object);
// The objects that the rule owns and `named` does not have, in the order of the keys. FailedPrecondition as CheckShare.
StatusOr<std::vector<ObjectKey>> DecidePrune(const std::map<ObjectKey, Object>& stored,
                                             const std::set<ObjectKey>& named, const PruneRule& rule);

}  // namespace mcpfleet
