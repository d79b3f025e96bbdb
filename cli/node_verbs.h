// The verbs below `mcpctl node`, a file each; cli/node.cc puts them together.
#pragma once

#include <string>

#include <nlohmann/json.hpp>

#include "cli/join_book.h"
#include "cli/session.h"
#include "store/join_token.h"

namespace CLI {
class App;
}

namespace mcpfleet::cli {

void AddNodeEnroll(CLI::App& node, Session& session);
void AddNodeList(CLI::App& node, Session& session);
void AddNodeAccept(CLI::App& node, Session& session);
void AddNodeEnds(CLI::App& node, Session& session);  // revoke, rotate, delete

// What there is of a join token, as GET /v1/joins/{id} tells.
struct JoinNews {
  std::string state;  // Pending, Joined, Expired, Revoked
  Json presented;     // null until it is Joined
};
StatusOr<JoinNews> ReadJoin(WorkerApi& worker, const std::string& id, Deadline deadline);

// The keys that a node presented, when it knew the secret. FailedPrecondition: it did not, or is another node.
StatusOr<NodePublicKeys> VerifiedKeys(const Json& presented, const std::string& node, const std::string& secret);

// Verifies what was presented for the join token and publishes the keys in the node's object. Keys without the secret
// are not published, and the node is revoked, which the error says.
struct Accepted {
  NodePublicKeys keys;
  bool changed = false;  // false: these were published before
};
StatusOr<Accepted> AcceptJoin(Session& session, WorkerApi& worker, const std::string& node, const std::string& id,
                              const std::string& secret, const Json& presented);
void PrintAccepted(Session& session, const std::string& node, const Accepted& accepted);

// Ends whatever lets a machine act as this node. `secrets`: what it could open, "" when that is not known now.
struct Revoked {
  int64_t tokens = 0;
  Json secrets;  // names; null: not known
};
StatusOr<Revoked> RevokeNode(WorkerApi& worker, const std::string& node, Deadline deadline);
// "replace these secrets: …" on err().
void TellSecrets(Session& session, const Json& secrets);

// What `node list` and `describe` say of a node that the Worker knows. Pure, from an item of GET /v1/nodes.
std::string NodeWord(const Json& node);  // "Connected", "Down,Cloned"
// "accepted", "waiting" for mcpctl node accept, "other" than the node's own, or "none"; `declared` may be null.
std::string KeysWord(const Json& node, const Object* declared);
// Milliseconds since 1970 as RFC 3339; "" for 0 and what is no number.
std::string TimeOfMillis(const Json& millis);

// NAME becomes the name in the fleet (crd/node_name.h). Says so on err() where that is another.
Status TakeNodeName(Session& session, std::string* name);

}  // namespace mcpfleet::cli
