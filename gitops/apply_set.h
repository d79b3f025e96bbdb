// Apply sets: which objects a folder of manifests owns, so that what it no longer names can be deleted and nothing else
// is. An object says by its label kApplySetLabel which set it is of; one set, one name, in the whole fleet, whatever
// the namespaces.
//
// Pure: the state is what the caller read. Apply (store/writer) looks again at who owns what in the same move of the
// head that writes and deletes.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/status.h"
#include "crd/manifest.h"
#include "crd/object.h"
#include "store/prune.h"
#include "store/writer.h"

namespace mcpfleet {

// "50" or "50%". InvalidArgument otherwise.
StatusOr<int> ParsePercent(std::string_view text);

// The change that makes the set `name` what `manifests` say: each of them labelled as its own and, with `prune`, every
// stored object of the set deleted that none of them names. InvalidArgument for a name that is no name or a manifest
// that says another set; FailedPrecondition for a stored object of another set, and as CheckShare.
struct ApplySetOptions {
  std::string name;
  bool prune = false;
  PruneLimit limit;
  std::string planned_on = {};  // hash of the snapshot that `stored` is, "" for an empty store
};
StatusOr<ChangeSet> PlanApplySet(const std::map<ObjectKey, Object>& stored,
                                 const std::vector<ManifestObject>& manifests, const ApplySetOptions& options);

}  // namespace mcpfleet
