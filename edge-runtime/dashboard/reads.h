// The desired state as the page asks for it (cloud/worker/src/routes/desired.ts): what a hash names never changes, so a
// browser keeps it. Thread-safe, as KvClient is; blocks until the deadline.
#pragma once

#include <string>

#include "base/clock.h"
#include "base/json.h"
#include "base/status.h"
#include "store/kv_client.h"
#include "store/snapshot.h"

namespace mcpfleet::dashboard {

// Versions in one answer.
inline constexpr size_t kMostHistory = 200;

bool IsSigned(const Head& head);
// Which version is in force.
StatusOr<Json> ReadDesired(KvClient& kv, Deadline deadline);
// At most `most` versions from the snapshot `from` ("": the present one), newest first; `*next`: the one after them, ""
// where there is none that can be read.
StatusOr<Json> ReadVersions(KvClient& kv, std::string from, size_t most, std::string* next, Deadline deadline);
StatusOr<Json> ReadVersion(KvClient& kv, const std::string& hash, Deadline deadline);
// Rows of the objects of one shard; `*whole` is false where one of them could not be read yet.
StatusOr<Json> ReadRows(KvClient& kv, const std::string& hash, bool* whole, Deadline deadline);
StatusOr<Json> ReadObjectJson(KvClient& kv, const std::string& hash, Deadline deadline);
// Changes that wait for a signature.
StatusOr<Json> ReadProposals(KvClient& kv, Deadline deadline);

}  // namespace mcpfleet::dashboard
