// Making and sealing secrets, and keeping changes from needing what cannot be opened.
#pragma once

#include <string>
#include <vector>

#include "cli/session.h"
#include "store/writer.h"

namespace CLI {
class App;
}

namespace mcpfleet::cli {

// `mcpctl create secret`.
void RegisterCreateSecret(CLI::App& create, Session& session);

// FailedPrecondition when a server of the change, or one that uses a secret of it, could not open what it refers to
// somewhere; each reason is printed first. Reads the store only when the change can matter.
Status CheckSecretsOfChange(Session& session, const ChangeSet& changes);
// FailedPrecondition when one of `doomed` is a secret that a server uses which stays.
Status CheckSecretsUnused(Session& session, const std::vector<ObjectKey>& doomed);

}  // namespace mcpfleet::cli
