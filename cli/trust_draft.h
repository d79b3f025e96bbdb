// A trust document on its way from one holder of a root key to the next, as a file: nobody has to bring the keys to one
// place. What is signed is everything in it but the signatures, so who signs it last decides nothing but whether it is
// to be.
//
//   mcpctl trust rotate … --out next.json    →    mcpctl trust sign next.json    →    mcpctl trust publish next.json
#pragma once

#include <string>
#include <vector>

#include "cli/key_ring.h"
#include "cli/session.h"
#include "store/trust_draft.h"

namespace CLI {
class App;
}

namespace mcpfleet::cli {

// Before the first document: which state, that nobody can verify, is the beginning of a signed fleet.
void TellWhatIsTaken(Session& session, const Head& head);
// A new file; FailedPrecondition when there is one. Says what it still lacks.
Status WriteTrustDraft(Session& session, const std::string& path, const TrustDraft& draft);
// FailedPrecondition when the keys here are too few to sign a head of it: a document is written once, and one that the
// head can't move to would be in the way of every other.
Status CheckHeadKeys(const Signers& heads, const std::vector<NamedKey>& keys);
// Of a document that the head has moved to, for people and for the next command; remembers it in the context.
void AnnounceTrust(Session& session, const TrustDocument& document);

void AddTrustDrafts(CLI::App& trust, Session& session);  // sign, publish

}  // namespace mcpfleet::cli
