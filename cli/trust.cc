// `mcpctl trust` and `mcpctl head`: who may sign for the fleet, and until when what was signed holds.
#include <algorithm>
#include <memory>
#include <ostream>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "base/strings.h"
#include "cli/key_ring.h"
#include "cli/output.h"
#include "cli/table.h"
#include "cli/trust_draft.h"
#include "cli/verbs.h"
#include "store/reader.h"

namespace mcpfleet::cli {
namespace {

struct TrustOptions {
  std::vector<std::string> roots, heads;
  int64_t roots_needed = 0, heads_needed = 0;  // 0: one, or what it is
  std::string expires, output, out;
  bool last_seen = false;
};

// A name of a key here, or a public key of somebody else.
StatusOr<std::string> PublicKeyOf(const std::vector<NamedKey>& keys, const std::string& given) {
  for (const NamedKey& each : keys) {
    if (each.name == given) return each.key.public_key();
  }
  if (IsPublicKey(given)) return given;
  std::vector<std::string> names;
  for (const NamedKey& each : keys) names.push_back(each.name);
  return NotFound("\"" + Printable(given, 60) + "\": neither a public key nor the name of a key here; there are: " +
                  (names.empty() ? "none (mcpctl keys create NAME)" : Join(names, ", ")));
}

StatusOr<Signers> SignersOf(const std::vector<NamedKey>& keys, const std::vector<std::string>& given, int64_t needed,
                            const Signers& before) {
  Signers signers = before;
  if (!given.empty()) {
    signers.keys.clear();  // how many must sign stays
    for (const std::string& each : given) {
      ASSIGN_OR_RETURN(std::string key, PublicKeyOf(keys, each));
      signers.keys.push_back(std::move(key));
    }
  }
  if (needed > 0) signers.threshold = needed;
  return signers;
}

Status NotSigned() {
  return FailedPrecondition("this fleet is not signed; begin with: mcpctl trust init --root NAME --head NAME");
}

Status RunChange(Session& session, const TrustOptions& options, bool first) {
  ASSIGN_OR_RETURN(KvClient * kv, session.Config());
  ASSIGN_OR_RETURN(Deadline deadline, session.RequestDeadline());
  ASSIGN_OR_RETURN(std::vector<NamedKey> named, LoadKeys());
  const HeadSigner signer = options.last_seen ? session.Signer().OnLastSeen() : session.Signer();
  ASSIGN_OR_RETURN(const TrustedBase base, signer.ReadBase(*kv, BaseFor::kNewKeys, deadline));
  if (!base.head()) return EmptyStore();
  if (first && base.trust() != nullptr)
    return FailedPrecondition("this fleet is signed already, by " + TrustKey(base.trust_version()) +
                              "; change its keys with: mcpctl trust rotate");
  if (!first && base.trust() == nullptr) return NotSigned();
  const TrustDocument before = first ? TrustDocument{} : *base.trust();
  TrustChange change{.expires = before.expires};
  ASSIGN_OR_RETURN(change.roots, SignersOf(named, options.roots, options.roots_needed, before.roots));
  ASSIGN_OR_RETURN(change.heads, SignersOf(named, options.heads, options.heads_needed, before.heads));
  if (options.expires == "never") {
    change.expires.clear();
  } else if (!options.expires.empty()) {
    ASSIGN_OR_RETURN(const Duration valid, ParseDuration(options.expires));
    change.expires = FormatTime(session.clock().Wall() + valid);
  }
  if (options.out.empty()) RETURN_IF_ERROR(CheckHeadKeys(change.heads, named));
  const std::vector<SigningKey> keys = KeysOf(std::move(named));
  if (!options.out.empty()) {
    ASSIGN_OR_RETURN(TrustDraft draft, DraftTrust(base, change, session.clock()));
    SignTrust(keys, &draft);
    return WriteTrustDraft(session, options.out, draft);
  }
  if (first) TellWhatIsTaken(session, *base.head());
  ASSIGN_OR_RETURN(const TrustDocument next, ChangeTrust(*kv, change, keys, signer, session.clock(), deadline));
  AnnounceTrust(session, next);
  return OkStatus();
}

Status RunShow(Session& session, const TrustOptions& options) {
  RETURN_IF_ERROR(CheckOutput(options.output, {"json", "yaml", "jsonpath"}));
  ASSIGN_OR_RETURN(KvClient * kv, session.Config());
  ASSIGN_OR_RETURN(Deadline deadline, session.RequestDeadline());
  ASSIGN_OR_RETURN(const Head head, PresentHead(*kv, deadline));
  if (head.order.trust == 0) return NotSigned();
  ASSIGN_OR_RETURN(const TrustDocument now, ReadTrust(*kv, head.order.trust, deadline));
  ASSIGN_OR_RETURN(const TrustDocument first, ReadTrust(*kv, 1, deadline));
  // What is shown is what the store says; whether that is to be believed only who knows the root can tell.
  ASSIGN_OR_RETURN(const Context context, session.context());
  const Status good = context.trust_root.empty() ? CheckSigners(head.signatures, now.heads, SignedText(head), "head")
                                                 : session.Signer().ReadBase(*kv, BaseFor::kChange, deadline).status();
  if (context.trust_root.empty())
    session.err() << "note: context \"" << context.name << "\" has no trust root to compare with\n";
  if (!good.ok()) session.err() << "warning: " << Message(good) << "\n";
  if (!options.output.empty()) {
    const Json object = {{"version", now.version},         {"root", Fingerprint(first)}, {"roots", ToJson(now.roots)},
                         {"heads", ToJson(now.heads)},     {"expires", now.expires},     {"head", ToString(head.order)},
                         {"validUntil", head.valid_until}, {"headSigned", good.ok()}};
    return PrintObjects(session.out(), options.output, {object}, false);
  }
  ASSIGN_OR_RETURN(const std::vector<NamedKey> named, LoadKeys());
  Table table({"MAY SIGN", "PUBLIC KEY", "NAME HERE", "NEEDED"});
  const auto add = [&](const char* what, const Signers& signers) {
    for (const std::string& key : signers.keys) {
      const auto mine = std::find_if(named.begin(), named.end(),
                                     [&key](const NamedKey& each) { return each.key.public_key() == key; });
      table.Add({what, key, mine == named.end() ? "" : mine->name,
                 std::to_string(signers.threshold) + " of " + std::to_string(signers.keys.size())});
    }
  };
  add("trust", now.roots);
  add("heads", now.heads);
  session.out() << "Trust:       " << TrustKey(now.version) << ", root " << Fingerprint(first) << "\n"
                << "Expires:     " << (now.expires.empty() ? "never" : now.expires) << "\n"
                << "Head:        " << ToString(head.order) << ", "
                << (good.ok() ? "signed" : "NOT signed as nodes need it") << "\n"
                << "Valid until: " << (head.valid_until.empty() ? "for ever" : head.valid_until) << "\n\n";
  table.Print(session.out());
  return OkStatus();
}

Status RunRenew(Session& session, const std::string& span) {
  Duration valid{};
  if (span != "ever") {
    ASSIGN_OR_RETURN(valid, ParseDuration(span));
  }
  ASSIGN_OR_RETURN(KvClient * kv, session.Config());
  ASSIGN_OR_RETURN(Deadline deadline, session.RequestDeadline());
  ASSIGN_OR_RETURN(const Head head, RenewHead(*kv, valid, session.Signer(), session.clock(), deadline));
  session.SawHead(head.order);
  session.out() << "head " << ToString(head.order) << " is valid "
                << (head.valid_until.empty() ? "for ever" : "until " + head.valid_until) << "\n";
  return OkStatus();
}

void AddTrustOptions(CLI::App& command, TrustOptions& options, bool first) {
  command.add_option("--root", options.roots, "who signs trust documents: a name of `mcpctl keys`, or a public key")
      ->required(first);
  command.add_option("--head", options.heads, "who signs changes: a name of `mcpctl keys`, or a public key")
      ->required(first);
  command.add_option("--roots-needed", options.roots_needed, "how many of the roots must sign")
      ->check(CLI::Range(1, static_cast<int>(kMaxTrustKeys)));
  command.add_option("--heads-needed", options.heads_needed, "how many of the head keys must sign")
      ->check(CLI::Range(1, static_cast<int>(kMaxTrustKeys)));
  command.add_option("--expires", options.expires,
                     "after which time nodes take no head of it, for example 8760h; never");
  command.add_option("--out", options.out,
                     "write the document, signed by the roots here, to this new file and change nothing: for mcpctl "
                     "trust sign elsewhere");
}

}  // namespace

void RegisterTrust(CLI::App& root, Session& session) {
  auto* trust = root.add_subcommand("trust", "Who may sign for the fleet: init, rotate, sign, publish, show");
  trust->require_subcommand(1);
  trust->footer(
      "Nodes that know the fingerprint of the first trust document follow only signed heads, whoever holds the store.\n"
      "Root keys sign trust documents and are used seldom: keep them offline. Head keys sign every change.\n\n"
      "Examples:\n  mcpctl keys create root\n  mcpctl keys create laptop\n"
      "  mcpctl trust init --root root --head laptop\n"
      "  mcpctl trust rotate --head laptop --head ci            another head key; nodes follow without a visit\n"
      "  mcpctl trust show");
  auto options = std::make_shared<TrustOptions>();
  auto* init = trust->add_subcommand("init", "Make the fleet a signed one; prints the fingerprint for the nodes");
  AddTrustOptions(*init, *options, true);
  init->callback([options, &session] { session.Finish(RunChange(session, *options, true)); });
  auto* rotate = trust->add_subcommand("rotate", "Change the keys; what is not given stays. Needs the roots of now");
  rotate->footer(
      "A stolen head key is worth nothing once nodes have read the next trust document, whatever it signed before.");
  AddTrustOptions(*rotate, *options, false);
  rotate->add_flag("--last-seen", options->last_seen,
                   "on the head that this context verified last, over one that somebody put into the store");
  rotate->callback([options, &session] { session.Finish(RunChange(session, *options, false)); });
  AddTrustDrafts(*trust, session);
  auto* show = trust->add_subcommand("show", "The present document, and whether the head is signed as it asks");
  show->add_option("-o,--output", options->output, "json, yaml or jsonpath=EXPRESSION");
  show->callback([options, &session] { session.Finish(RunShow(session, *options)); });

  auto* head = root.add_subcommand("head", "The newest state of the fleet: renew");
  head->require_subcommand(1);
  head->footer("Examples:\n  mcpctl head renew --for 720h");
  auto span = std::make_shared<std::string>();
  auto* renew = head->add_subcommand("renew", "Sign it again, for a time; later changes are valid as long");
  renew->footer(
      "What runs goes on after that time. A node shows DesiredStateFresh=False then, and one that has no history "
      "takes\n"
      "no such head: so a store that withholds news is noticed.\n\n"
      "Examples:\n  mcpctl head renew --for 720h\n  mcpctl head renew --for ever");
  renew->add_option("--for", *span, "how long it is valid: 720h; ever")->required();
  renew->callback([span, &session] { session.Finish(RunRenew(session, *span)); });
}

}  // namespace mcpfleet::cli
