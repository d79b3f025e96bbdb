// A change of the desired state that somebody proposes and nobody has signed: a dashboard or a pipeline without a head
// key writes it, a person with a key looks at it and makes it so (`mcpctl proposals`). It is the key proposals/<sha256
// of its bytes> in CONFIG, so what was looked at is what is signed, and goes after a week.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/status.h"
#include "crd/object.h"
#include "store/kv_client.h"
#include "store/writer.h"

namespace mcpfleet {

inline constexpr char kProposalPrefix[] = "proposals/";
inline constexpr size_t kProposalBytes = size_t{1} << 20;
inline constexpr size_t kMaxProposals = 1000;  // that are listed
inline constexpr auto kProposalAge = std::chrono::hours(24 * 7);

struct Proposal {
  std::string fleet;
  std::string base;  // hash of the snapshot that its author saw, "" for an empty store
  std::vector<Object> set;
  std::vector<ObjectKey> remove;
  std::string message, author;
  std::string time;  // RFC 3339
};

// Canonical JSON; InvalidArgument for what ParseProposal would refuse.
StatusOr<std::string> EncodeProposal(const Proposal& proposal);
// Bounded, then its hash, then JSON, then every object against its schema: whoever wrote it, what is in it could be
// applied. InvalidArgument, naming the object and the field.
StatusOr<Proposal> ParseProposal(std::string_view bytes, std::string_view hash);

// Stores it for kProposalAge and gives its id, the hash. One that is there already is the same one.
StatusOr<std::string> Propose(KvClient& kv, const Proposal& proposal, Deadline deadline);
// By its id or the first 8 or more digits of it. NotFound; InvalidArgument when several begin so.
struct FoundProposal {
  std::string id;
  Proposal proposal;
};
StatusOr<FoundProposal> FindProposal(KvClient& kv, std::string_view id, Deadline deadline);

struct ProposalRow {
  std::string id;
  std::string author, message, time;  // as its writer says: to be shown, not believed
  size_t objects = 0;
};
StatusOr<std::vector<ProposalRow>> ListProposals(KvClient& kv, Deadline deadline);

// The objects of the proposal that are not now what they were at its base, by "MCPServer/default/weather": to make it
// so would undo somebody's change. `head` is the one of now (nullopt: none), as the caller has read and judged it.
// FailedPrecondition when the base can't be read any more, or it is of another fleet.
StatusOr<std::vector<std::string>> ChangedSince(KvClient& kv, const Proposal& proposal, const std::optional<Head>& head,
                                                Deadline deadline);

}  // namespace mcpfleet
