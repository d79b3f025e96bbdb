// Strategic merge: a patch put over an object, lists merged as the object's schema says.
//
// Maps are merged by member, and null removes one. A list with x-kubernetes-list-map-keys is merged item by item, each
// named by those keys; one of x-kubernetes-list-type: set gets what it lacks; any other is replaced. What a patch adds
// to a list comes last, in the patch's order. `$patch` says otherwise: `replace` in a map (or as the only member of an
// item of a list) takes the patch as it is, `delete` removes the map, or the item of a keyed list. Pure.
#pragma once

#include <vector>

#include "crd/schema.h"
#include "crd/violation.h"
#include "gitops/sourced_tree.h"

namespace mcpfleet {

// `schema` may be null: nothing is known of the value. What is wrong with the patch is appended to `violations`, with
// its file and line; then `base` is only partly merged.
void MergePatch(const SchemaNode* schema, SourcedTree* base, const SourcedTree& patch,
                std::vector<Violation>* violations);
// Whether the patch as a whole says `$patch: delete`.
bool DeletesAll(const SourcedTree& patch);

}  // namespace mcpfleet
