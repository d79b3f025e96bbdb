#include "cli/trust_root.h"

#include <optional>
#include <ostream>

#include "store/head_move.h"

namespace mcpfleet::cli {

StatusOr<std::string> TrustRootOf(Session& session, KvClient& kv, const Head& head, Deadline deadline) {
  ASSIGN_OR_RETURN(const Context context, session.context());
  if (head.order.trust == 0) {
    if (context.trust_root.empty() && context.seen.trust == 0) return std::string();
    return FailedPrecondition("the store shows a fleet that is not signed, and context \"" + context.name +
                              "\" knows it as a signed one: somebody may have changed the store. If the fleet was made "
                              "anew, give it a new context: mcpctl config set-context");
  }
  std::optional<TrustDocument> document;
  std::string root;
  for (int64_t version = 1; version <= head.order.trust; ++version) {
    ASSIGN_OR_RETURN(TrustDocument next, ReadTrust(kv, version, deadline));
    if (version == 1) root = Fingerprint(next);
    if (version == 1 && !context.trust_root.empty() && root != context.trust_root) {
      return FailedPrecondition("the store's trust root is " + root + ", and context \"" + context.name +
                                "\" knows it as " + context.trust_root +
                                ": somebody may have changed the store. If it is you: mcpctl config set-context " +
                                context.name + " --trust-root FINGERPRINT");
    }
    RETURN_IF_ERROR(CheckSuccession(document ? &*document : nullptr, next, root));
    document = std::move(next);
  }
  RETURN_IF_ERROR(CheckSigners(head.signatures, document->heads, SignedText(head), "head"));
  if (context.trust_root.empty()) {
    session.SawTrustRoot(root);
    session.err() << "the fleet's trust root, seen here for the first time, is " << root
                  << "\ncompare it with what `mcpctl trust init` printed; another one is refused from now on\n";
  }
  return root;
}

}  // namespace mcpfleet::cli
