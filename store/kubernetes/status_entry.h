// What goes into the status of an MCPServer: each node's own entry of status.nodes[], and the merged conditions that
// the holder of the lease writes. Pure: documents for server-side apply, compared before they are sent.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>

#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "base/json.h"
#include "crd/server_status.h"
#include "store/kubernetes/resource.h"

namespace mcpfleet::kube {

// Another source of this node has the name already (Accepted=False, NameTaken).
inline constexpr char kNameTaken[] = "NameTaken";

// The entry of `node`, as the CRD has it.
Json EntryFrom(const ServerStatus& status, const std::string& node);
// The entry for a server that this node does not run because its store has one of that name. `before`: the entry that
// is there, whose times stay when nothing changed.
Json TakenEntry(const Resource& resource, const std::string& node, const Json& before, WallTime now);
// Equal texts are equal news: without what changes by itself.
std::string DigestOf(const Json& entry);

// The body of an apply by a node; null `entry`: it gives up its entry. It names the uid, which API servers don't look
// at in a custom resource's status: an object made anew at that moment gets it, until its own is written.
Json NodeApply(const Resource& resource, const Json& entry);

// The view of all nodes: of each condition the worst that a node reports (False, then Unknown, then True), and which
// node; what a node reports of another generation is Unknown, Progressing; of a node in `silent` it is Unknown,
// NodeSilent. Ready stands there from the beginning. {"conditions": […], "observedGeneration": n}
Json MergedStatus(const Resource& resource, const std::set<std::string>& silent, WallTime now);
// The same news as what the object's status has.
bool SameMerged(const Json& merged, const Json& status);
Json MergedApply(const Resource& resource, const Json& merged);

// For a merge patch of metadata that holds at this version only; `keep`: whether the finalizer is to be there.
Json FinalizerPatch(const Resource& resource, bool keep);

}  // namespace mcpfleet::kube
