// Changing the fleet from the page (cloud/worker/src/desired): objects are judged by the schemas of crd/, then written
// as `mcpctl apply` does; in a signed fleet, which nothing here can sign, a change becomes a proposal. Blocks.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/json.h"
#include "base/status.h"
#include "store/kv_client.h"
#include "store/writer.h"

namespace mcpfleet::dashboard {

// Objects of one request.
inline constexpr size_t kMostObjects = 500;

struct ChangeAbout {
  std::string message, author;
  bool dry_run = false;
  // The head that was looked at, "": there was none. Aborted while another is in force.
  std::optional<std::string> base{};
};

// One list of {"path", "problem", "allowed"} for each of `objects`, an array.
Json ValidateObjects(const Json& objects);

// {"set", "remove", "message", "dryRun", "base"} of POST /v1/changes, as a ChangeSet. InvalidArgument names object and
// field.
StatusOr<ChangeSet> ParseChanges(const Json& body, ChangeAbout* about);
// A ChangeResult: {"changes", "head", "moved", "proposal"}.
StatusOr<Json> Change(KvClient& kv, const ChangeSet& changes, const ChangeAbout& about, const Clock& clock,
                      Deadline deadline);
StatusOr<Json> RollBackTo(KvClient& kv, const std::string& snapshot, const ChangeAbout& about, const Clock& clock,
                          Deadline deadline);
// "restart", "suspend" or "resume". NotFound: no such server.
StatusOr<Json> ChangeServer(KvClient& kv, std::string_view action, const ObjectKey& server, const ChangeAbout& about,
                            const Clock& clock, Deadline deadline);
// "cordon", "uncordon" or "drain". A node that only reports is declared by being cordoned.
StatusOr<Json> ChangeNode(KvClient& kv, std::string_view action, const std::string& node, const ChangeAbout& about,
                          const Clock& clock, Deadline deadline);

}  // namespace mcpfleet::dashboard
