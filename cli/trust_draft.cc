#include "cli/trust_draft.h"

#include <unistd.h>

#include <algorithm>
#include <memory>
#include <ostream>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "base/fd.h"
#include "base/strings.h"
#include "cli/confirm.h"
#include "cli/table.h"
#include "cli/trust_root.h"
#include "store/head_trust.h"
#include "store/reader.h"

namespace mcpfleet::cli {
namespace {

constexpr int kDraftMode = 0644;  // nothing in it is secret

struct DraftOptions {
  std::string path;
  bool yes = false;
};

StatusOr<TrustDraft> ReadDraft(Session& session, const std::string& path) {
  ASSIGN_OR_RETURN(const std::string text, ReadFile(path, kTrustBytes));
  StatusOr<TrustDocument> document = ParseTrust(text);
  if (!document.ok()) return Annotate(document.status(), path + ": no trust document");
  ASSIGN_OR_RETURN(KvClient * kv, session.Config());
  ASSIGN_OR_RETURN(const Deadline deadline, session.RequestDeadline());
  ASSIGN_OR_RETURN(const TrustedBase base, session.Signer().ReadBase(*kv, BaseFor::kNewKeys, deadline));
  StatusOr<TrustDraft> draft = TakeUpTrust(base, *std::move(document));
  if (!draft.ok()) return Annotate(draft.status(), path);
  return draft;
}

Status SaveDraft(const std::string& path, const TrustDraft& draft) {
  ASSIGN_OR_RETURN(const std::string bytes, EncodeTrust(draft.next));
  return WriteFileAtomically(path, bytes + "\n", kDraftMode);
}

// What would be so then: whoever signs must see it.
void ShowDraft(Session& session, const TrustDraft& draft, const std::vector<NamedKey>& named) {
  const TrustDocument before = draft.before.value_or(TrustDocument{});
  const std::string text = SignedText(draft.next);
  Table table({"MAY SIGN", "PUBLIC KEY", "NAME HERE", "NEEDED", "THEN", "HAS SIGNED"});
  const auto add = [&](const char* what, const Signers& now, const Signers& next, bool signs) {
    std::vector<std::string> keys = next.keys;
    for (const std::string& key : now.keys) {
      if (!Has(next, key)) keys.push_back(key);
    }
    const std::string needed = std::to_string(next.threshold) + " of " + std::to_string(next.keys.size());
    for (const std::string& key : keys) {
      const auto mine =
          std::find_if(named.begin(), named.end(), [&](const NamedKey& each) { return each.key.public_key() == key; });
      const bool has_signed = signs && CountSigners(draft.next.signatures, {.keys = {key}}, text) > 0;
      table.Add({what, key, mine == named.end() ? "" : mine->name, needed,
                 !Has(next, key) ? "no more"
                 : Has(now, key) ? "as now"
                                 : "new",
                 has_signed ? "yes" : ""});
    }
  };
  add("trust", before.roots, draft.next.roots, true);
  add("heads", before.heads, draft.next.heads, false);
  session.err() << TrustKey(draft.next.version) << " of fleet " << draft.next.fleet << ", of "
                << Printable(draft.next.time, 40) << ", expires "
                << (draft.next.expires.empty() ? "never" : draft.next.expires) << "\n";
  table.Print(session.err());
  // Who signs the first document knows by that whom to follow, whatever the store says later.
  if (draft.next.version == 1) {
    session.err() << "Its fingerprint is " << Fingerprint(draft.next)
                  << ": once it is the fleet's, mcpctl config set-context NAME --trust-root has it here\n";
  }
}

void TellWhatIsMissing(Session& session, const std::string& path, const TrustDraft& draft) {
  if (const Status missing = CheckTrust(draft); !missing.ok()) {
    session.err() << Message(missing) << "\nGive " << path << " to who has one of them: mcpctl trust sign " << path
                  << "\n";
    return;
  }
  session.err() << "It has all signatures that it needs. Make it so, with a head key of it: mcpctl trust publish "
                << path << "\n";
}

Status RunSign(Session& session, const DraftOptions& options) {
  ASSIGN_OR_RETURN(TrustDraft draft, ReadDraft(session, options.path));
  ASSIGN_OR_RETURN(std::vector<NamedKey> named, LoadKeys());
  ShowDraft(session, draft, named);
  const std::string name = TrustKey(draft.next.version);
  std::vector<std::string> names;
  for (const NamedKey& each : named) {
    const std::string& key = each.key.public_key();
    if (Has(draft.next.roots, key) || (draft.before && Has(draft.before->roots, key))) names.push_back(each.name);
  }
  if (names.empty())
    return FailedPrecondition("none of the keys here is a root of " + name +
                              " or of the one before; mcpctl keys list shows them");
  RETURN_IF_ERROR(Confirm(session, options.yes, "sign " + name + " with " + Join(names, ", ")));
  SignTrust(KeysOf(std::move(named)), &draft);
  RETURN_IF_ERROR(SaveDraft(options.path, draft));
  session.out() << name << " signed with " << Join(names, ", ") << std::endl;
  TellWhatIsMissing(session, options.path, draft);
  return OkStatus();
}

Status RunPublish(Session& session, const DraftOptions& options) {
  ASSIGN_OR_RETURN(const TrustDraft draft, ReadDraft(session, options.path));
  ASSIGN_OR_RETURN(const std::vector<NamedKey> named, LoadKeys());
  ShowDraft(session, draft, named);
  if (const Status good = CheckTrust(draft); !good.ok()) return FailedPrecondition(Message(good));
  RETURN_IF_ERROR(CheckHeadKeys(draft.next.heads, named));
  ASSIGN_OR_RETURN(KvClient * kv, session.Config());
  ASSIGN_OR_RETURN(const Deadline deadline, session.RequestDeadline());
  if (!draft.before) {
    ASSIGN_OR_RETURN(const Head head, PresentHead(*kv, deadline));
    TellWhatIsTaken(session, head);
  }
  RETURN_IF_ERROR(Confirm(session, options.yes, "publish " + TrustKey(draft.next.version)));
  ASSIGN_OR_RETURN(const TrustDocument published,
                   PublishTrust(*kv, draft, session.Signer(), session.clock(), deadline));
  AnnounceTrust(session, published);
  return OkStatus();
}

}  // namespace

void TellWhatIsTaken(Session& session, const Head& head) {
  session.err() << "note: what is signed from now on begins with the state that the store shows, which nobody has "
                   "signed: head "
                << ToString(head.order) << ", snapshot " << head.snapshot.substr(0, 12)
                << ". Is it yours? mcpctl store history, mcpctl get all -A\n";
}

Status WriteTrustDraft(Session& session, const std::string& path, const TrustDraft& draft) {
  if (access(path.c_str(), F_OK) == 0)
    return FailedPrecondition(path + " is there already; choose another file or remove it");
  RETURN_IF_ERROR(SaveDraft(path, draft));
  session.out() << TrustKey(draft.next.version) << " is in " << path << "; nothing has changed yet" << std::endl;
  TellWhatIsMissing(session, path, draft);
  return OkStatus();
}

Status CheckHeadKeys(const Signers& heads, const std::vector<NamedKey>& keys) {
  if (heads.threshold > static_cast<int64_t>(heads.keys.size())) return OkStatus();  // which its own rules refuse
  const auto here =
      std::count_if(keys.begin(), keys.end(), [&](const NamedKey& each) { return Has(heads, each.key.public_key()); });
  if (here >= heads.threshold) return OkStatus();
  return FailedPrecondition("its heads would need the signatures of " + std::to_string(heads.threshold) +
                            " of these keys, and " + std::to_string(here) + " are here: " + Join(heads.keys, ", ") +
                            ". Who has them makes it so: mcpctl trust publish, of the file that --out writes");
}

void AnnounceTrust(Session& session, const TrustDocument& document) {
  if (document.version > 1) {
    session.out() << TrustKey(document.version) << "\n";
    return;
  }
  const std::string fingerprint = Fingerprint(document);
  session.PinTrustRoot(fingerprint, {.head = {1, 1, 1}, .document = TrustLine(fingerprint, document)});
  // As everybody will read it from now on.
  const StatusOr<Deadline> deadline = session.RequestDeadline();
  const Status verified =
      deadline.ok() ? ReadTrustedHead(session, ReadFor::kToSign, *deadline).status() : deadline.status();
  if (!verified.ok()) session.err() << "warning: " << Message(verified) << "\n";
  session.out() << fingerprint << std::endl;  // before the hints, where both go to one terminal
  session.err() << "\nThe fleet is signed now. Each node is told whom to follow in its mcplet.yaml:\n\n"
                   "spec:\n  store:\n    trustRoot: "
                << fingerprint << "\n";
}

void AddTrustDrafts(CLI::App& trust, Session& session) {
  auto options = std::make_shared<DraftOptions>();
  const auto add = [&](CLI::App* verb) {
    verb->add_option("file", options->path, "what --out of init or rotate wrote")->required();
    verb->add_flag("-y,--yes", options->yes, "do not ask");
  };
  auto* sign = trust.add_subcommand("sign", "Add the signatures of your root keys to a document in a file");
  sign->footer(
      "Shows who may sign then, asks, and writes the file again with your signatures: for roots in several places.\n\n"
      "Examples:\n  mcpctl trust rotate --head laptop --head ci --out next.json\n"
      "  mcpctl trust sign next.json                            each of the others, one after the other\n"
      "  mcpctl trust publish next.json");
  add(sign);
  sign->callback([options, &session] { session.Finish(RunSign(session, *options)); });
  auto* publish =
      trust.add_subcommand("publish", "Make the document in a file the fleet's, once it has its signatures");
  publish->footer("Needs enough head keys of the new document.\n\nExamples:\n  mcpctl trust publish next.json");
  add(publish);
  publish->callback([options, &session] { session.Finish(RunPublish(session, *options)); });
}

}  // namespace mcpfleet::cli
