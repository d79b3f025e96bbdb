// Writing changes, as apply, delete, edit, label, suspend, rollout and their like do it, and waiting for the nodes.
#pragma once

#include <string>
#include <vector>

#include "cli/resource.h"
#include "cli/session.h"
#include "store/writer.h"

namespace mcpfleet::cli {

// Writes `changes` (or only decides, with dry_run) and prints a line per object: "mcpserver.mcpfleet.dev/weather
// created".
StatusOr<ApplyResult> WriteChanges(Session& session, const ChangeSet& changes, const std::string& message, bool dry_run,
                                   bool quiet_unchanged = false);

struct WaitTarget {
  ObjectKey key;
  int64_t generation = 0;
  std::string condition = "Ready";
  std::string status = "True";
  bool gone = false;  // wait until no node runs it any more
};
// Until every target holds; progress on a terminal. DeadlineExceeded says for each that doesn't hold why.
Status WaitFor(Session& session, const std::vector<WaitTarget>& targets, Duration timeout);
// Writes the changes down as a proposal instead, and says how it is signed.
Status ProposeChanges(Session& session, const ChangeSet& changes, const std::string& message);

}  // namespace mcpfleet::cli
