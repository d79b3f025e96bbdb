#include "cli/trust_root.h"

#include <ostream>

#include "cli/key_ring.h"
#include "store/reader.h"

namespace mcpfleet::cli {
namespace {

SeenTrust SeenOf(const Context& context) {
  return {.head = context.seen, .bytes = context.seen_bytes, .document = context.trust_document};
}

std::string Advice(const Context& context) {
  const std::string said = "`mcpctl trust init` printed its fingerprint, and nodes have it in their mcplet.yaml";
  if (context.name == kNodeContextName) return said + ": set spec.store.trustRoot in that of this machine";
  return said + ": mcpctl config set-context " + context.name + " --trust-root FINGERPRINT";
}

// What one look leaves to the next, never lowered.
void TakeSeen(const SeenTrust& seen, Context* context) {
  if (!IsNewer(seen, SeenOf(*context))) return;
  context->seen = seen.head;
  context->seen_bytes = seen.bytes;
  context->trust_document = seen.document;
}

}  // namespace

Status Session::Remember(const SeenTrust& seen) {
  if (!IsNewer(seen, SeenOf(*context_))) return OkStatus();
  const std::string root = context_->trust_root;
  const Status saved = UpdateContext([&](Context* context) {
    if (context->trust_root == root) TakeSeen(seen, context);
  });
  // A folder that can't be written to must not keep anybody from working.
  if (!saved.ok()) err_ << "warning: the head that was seen is not remembered: " << Message(saved) << "\n";
  return OkStatus();
}

void Session::PinTrustRoot(const std::string& fingerprint, const SeenTrust& seen) {
  if (context_ == nullptr) return;
  const Status saved = UpdateContext([&](Context* context) {
    context->trust_root = fingerprint;
    context->seen = seen.head;
    context->seen_bytes = seen.bytes;
    context->trust_document = seen.document;
  });
  if (!saved.ok()) err_ << "warning: " << Message(saved) << "\n";
}

HeadSigner Session::Signer() {
  // Who signs has opened the store, and so chosen a context.
  const Context chosen = context_ == nullptr ? Context{} : *context_;
  TrustMemory memory{
      .recall = [this]() -> StatusOr<SeenTrust> { return context_ == nullptr ? SeenTrust{} : SeenOf(*context_); },
      .remember = [this](const SeenTrust& seen) { return Remember(seen); }};
  HeadVerifier verifier(chosen.trust_root, std::move(memory), clock_, Advice(chosen));
  return HeadSigner(std::move(verifier), []() -> StatusOr<std::vector<SigningKey>> {
    ASSIGN_OR_RETURN(std::vector<NamedKey> named, LoadKeys());
    return KeysOf(std::move(named));
  });
}

StatusOr<std::optional<Head>> ReadTrustedHead(Session& session, ReadFor use, Deadline deadline) {
  ASSIGN_OR_RETURN(KvClient * kv, session.Config());
  ASSIGN_OR_RETURN(const Context context, session.context());
  if (use == ReadFor::kToShow && context.trust_root.empty()) return ReadHead(*kv, deadline);
  ASSIGN_OR_RETURN(const TrustedBase base, session.Signer().ReadBase(*kv, BaseFor::kChange, deadline));
  return base.head();
}

}  // namespace mcpfleet::cli
