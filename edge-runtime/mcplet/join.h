// `mcplet join URL`: makes this machine a node of a fleet whose store has a Worker in front. It makes the node's keys,
// redeems a join token for the node's own device token, and writes where the store is into mcplet.yaml.
//
// It may be repeated, also after a power cut in its middle: the same keys get a token again. The secret of the join
// token never leaves this machine, and no message holds it.
//
// Where the settings come in a file that can't be written, as a ConfigMap does, `from` names that and `config_path` is
// made of it at each start, with `once`: the token is needed the first time only.
#pragma once

#include <iosfwd>
#include <string>

#include "base/clock.h"
#include "base/json.h"
#include "base/status.h"
#include "edge-runtime/mcplet/config.h"
#include "store/join_token.h"

namespace mcpfleet {

struct JoinOptions {
  std::string url;
  std::string config_path;
  std::string from;            // a configuration with the other settings; "": config_path itself
  std::string name;            // "": metadata.name of the configuration, the host's name without one
  std::string ca_file, proxy;  // for spec.store too
  bool force = false;          // leave the fleet that this machine is of
  bool new_keys = false;       // for a copied machine
  bool once = false;           // not again for the store that it has joined
  Duration timeout = std::chrono::seconds(60);
};

// `token` is the text of the join token. What was done and what comes next goes to `out`, warnings to `err`.
// Errors name what to change: FailedPrecondition (of another fleet, expired, revoked), AlreadyExists (used by other
// keys), NotFound (no such token for a node of this name), and those of the store.
Status Join(const JoinOptions& options, const std::string& token, std::ostream& out, std::ostream& err);

// With `once`: whether this machine has joined the store at that URL before, under that name. If so the configuration
// was written again, of `from` and of what the join had brought, and no token is needed.
StatusOr<bool> WriteJoinedAgain(const JoinOptions& options, std::ostream& out, std::ostream& err);

// Pure parts of it:

// FailedPrecondition when the machine is of another fleet, or would follow another trust root than it does. `cached`:
// the fleet of the state that it holds on disk, "" when it holds none.
Status MayJoin(const StoreConfig& before, const std::string& cached, const JoinToken& token, const std::string& url);
// What to set and (null) remove in spec.store.
Json StoreMembers(const StoreConfig& before, const JoinToken& token, const JoinOptions& options,
                  const std::string& token_file);
// The same of a store that was joined before.
Json JoinedMembers(const StoreConfig& before, const JoinOptions& options);
// mcplet.yaml with the node's name and these members; `yaml` "": a new file. Where it can't be edited it is written
// anew, without its comments, and `rewritten` says so.
struct JoinedConfiguration {
  std::string yaml;
  bool rewritten = false;
};
StatusOr<JoinedConfiguration> ConfigurationWith(const std::string& yaml, const std::string& file_name,
                                                const std::string& node, const Json& store_members);
// What the Worker's refusal means to whoever sits at this machine.
Status RefusedJoin(const Status& refusal, const std::string& node);

}  // namespace mcpfleet
