// `mcpctl proposals`: changes that a dashboard or a pipeline without a head key has written down, to be looked at and
// signed by somebody who has one.
#include <algorithm>
#include <memory>
#include <ostream>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "base/strings.h"
#include "cli/apply.h"
#include "cli/confirm.h"
#include "cli/object_diff.h"
#include "cli/output.h"
#include "cli/resource.h"
#include "cli/table.h"
#include "cli/trusted_state.h"
#include "cli/verbs.h"
#include "store/proposal.h"
#include "store/reader.h"

namespace mcpfleet::cli {
namespace {

constexpr size_t kIdShown = 12;

struct ProposalOptions {
  std::string id, output;
  bool yes = false, force = false;
};

Status RunList(Session& session, const ProposalOptions& options) {
  RETURN_IF_ERROR(CheckOutput(options.output, {"json", "yaml", "name", "jsonpath"}));
  ASSIGN_OR_RETURN(KvClient * kv, session.Config());
  ASSIGN_OR_RETURN(Deadline deadline, session.RequestDeadline());
  ASSIGN_OR_RETURN(const std::vector<ProposalRow> rows, ListProposals(*kv, deadline));
  if (!options.output.empty()) {
    std::vector<Json> objects;
    for (const ProposalRow& row : rows)
      objects.push_back({{"metadata", {{"name", row.id}}},
                         {"author", row.author},
                         {"message", row.message},
                         {"time", row.time},
                         {"objects", row.objects}});
    return PrintObjects(session.out(), options.output, objects, true);
  }
  if (rows.empty()) {
    session.err() << "No proposals\n";
    return OkStatus();
  }
  Table table({"ID", "AUTHOR", "TIME", "OBJECTS", "MESSAGE"});
  for (const ProposalRow& row : rows)
    table.Add({row.id.substr(0, kIdShown), Printable(row.author, 40), Printable(row.time, 30),
               std::to_string(row.objects), Printable(row.message, 80)});
  table.Print(session.out());
  return OkStatus();
}

void ShowDifferences(Session& session, const Proposal& proposal, const StoredState& state) {
  const auto show = [&](const ObjectKey& key, const Object* after) {
    const auto stored = state.objects.find(key);
    const Object* before = stored == state.objects.end() ? nullptr : &stored->second;
    const std::string name = Described(key);
    const std::string diff = ObjectDiff(before, after, name + " (store)", name + " (proposed)", session.color());
    if (diff.empty())
      session.err() << name << " is so already\n";
    else
      session.out() << diff;
  };
  for (Object object : proposal.set) {
    if (const auto stored = state.objects.find(KeyOf(object)); stored != state.objects.end())
      KeepOwnNotes(stored->second, &object);
    show(KeyOf(object), &object);
  }
  for (const ObjectKey& key : proposal.remove) show(key, nullptr);
}

void Introduce(Session& session, const FoundProposal& found) {
  session.err() << "Proposal " << found.id.substr(0, kIdShown) << " of " << Printable(found.proposal.author, 80)
                << " at " << Printable(found.proposal.time, 40) << ": " << Printable(found.proposal.message, 400)
                << "\n";
}

Status RunShow(Session& session, const ProposalOptions& options) {
  ASSIGN_OR_RETURN(KvClient * kv, session.Config());
  ASSIGN_OR_RETURN(Deadline deadline, session.RequestDeadline());
  ASSIGN_OR_RETURN(const FoundProposal found, FindProposal(*kv, options.id, deadline));
  ASSIGN_OR_RETURN(const StoredState state, ReadTrustedState(session, deadline, ReadFor::kToShow));
  Introduce(session, found);
  ShowDifferences(session, found.proposal, state);
  ASSIGN_OR_RETURN(const std::vector<std::string> changed, ChangedSince(*kv, found.proposal, state.head, deadline));
  for (const std::string& each : changed)
    session.err() << "warning: " << each << " was changed since this was proposed\n";
  return OkStatus();
}

Status RunSign(Session& session, const ProposalOptions& options) {
  ASSIGN_OR_RETURN(KvClient * kv, session.Config());
  ASSIGN_OR_RETURN(Deadline deadline, session.RequestDeadline());
  ASSIGN_OR_RETURN(const FoundProposal found, FindProposal(*kv, options.id, deadline));
  const Proposal& proposal = found.proposal;
  // What is compared and shown decides whether it is signed: a hostile store could make an evil object look as if it
  // were there already.
  ASSIGN_OR_RETURN(const StoredState state, ReadTrustedState(session, deadline));
  ASSIGN_OR_RETURN(const std::vector<std::string> changed, ChangedSince(*kv, proposal, state.head, deadline));
  if (!changed.empty() && !options.force) {
    return FailedPrecondition(changed.front() + (changed.size() > 1 ? " and others were" : " was") +
                              " changed since this was proposed: look at it with `mcpctl proposals show " +
                              found.id.substr(0, kIdShown) + "`, then --force applies it over that");
  }
  Introduce(session, found);
  ShowDifferences(session, proposal, state);
  RETURN_IF_ERROR(Confirm(session, options.yes, "signing proposal " + found.id.substr(0, kIdShown)));
  ChangeSet changes{.set = proposal.set, .remove = proposal.remove, .manifests = true};
  const std::string message = proposal.message + " (proposed by " + proposal.author + ")";
  RETURN_IF_ERROR(WriteChanges(session, changes, message, false).status());
  ASSIGN_OR_RETURN(deadline, session.RequestDeadline());
  return Annotate(kv->Delete(kProposalPrefix + found.id, deadline), "applied, but the proposal is still there");
}

Status RunReject(Session& session, const ProposalOptions& options) {
  ASSIGN_OR_RETURN(KvClient * kv, session.Config());
  ASSIGN_OR_RETURN(Deadline deadline, session.RequestDeadline());
  // Also one that can't be read goes, when it is named in full.
  std::string id = options.id;
  StatusOr<FoundProposal> found = FindProposal(*kv, id, deadline);
  if (found.ok())
    id = found->id;
  else if (id.size() != 64 || found.status().code() == StatusCode::kNotFound)
    return found.status();
  RETURN_IF_ERROR(kv->Delete(kProposalPrefix + id, deadline));
  session.out() << "proposal " << id.substr(0, kIdShown) << " rejected\n";
  return OkStatus();
}

}  // namespace

Status ProposeChanges(Session& session, const ChangeSet& changes, const std::string& message) {
  ASSIGN_OR_RETURN(KvClient * kv, session.Config());
  ASSIGN_OR_RETURN(Deadline deadline, session.RequestDeadline());
  ASSIGN_OR_RETURN(const std::optional<Head> head, ReadHead(*kv, deadline));
  const Proposal proposal{.fleet = head ? head->fleet : "",
                          // What is pruned was decided for this one.
                          .base = changes.prune ? changes.prune->planned_on
                                  : head        ? head->snapshot
                                                : "",
                          .set = changes.set,
                          .remove = changes.remove,
                          .message = message,
                          .author = Session::Author(),
                          .time = FormatTime(session.clock().Wall())};
  ASSIGN_OR_RETURN(const std::string id, Propose(*kv, proposal, deadline));
  session.out() << "proposal " << id.substr(0, kIdShown) << " created\n";
  session.err() << "Somebody with a head key makes it so with: mcpctl proposals sign " << id.substr(0, kIdShown)
                << "\n";
  return OkStatus();
}

void RegisterProposals(CLI::App& root, Session& session) {
  auto* proposals = root.add_subcommand("proposals", "Changes that wait for a signature: list, show, sign, reject");
  proposals->require_subcommand(1);
  proposals->footer(
      "A dashboard or a pipeline without a head key proposes; who has a key looks at the difference and signs. What "
      "is\n"
      "proposed and not signed within seven days is gone.\n\n"
      "Examples:\n  mcpctl apply -f weather.yaml --propose -m 'weather v2'\n  mcpctl proposals list\n"
      "  mcpctl proposals show 4f1d22a90b3c\n  mcpctl proposals sign 4f1d22a90b3c");
  auto options = std::make_shared<ProposalOptions>();
  auto* list = proposals->add_subcommand("list", "What is proposed, the oldest first");
  list->add_option("-o,--output", options->output, "json, yaml, name or jsonpath=EXPRESSION");
  list->callback([options, &session] { session.Finish(RunList(session, *options)); });
  auto* show = proposals->add_subcommand("show", "What it would change now");
  show->add_option("id", options->id, "the id, or its first 8 or more digits")->required();
  show->callback([options, &session] { session.Finish(RunShow(session, *options)); });
  auto* sign = proposals->add_subcommand("sign", "Make it so, signed with your keys where the fleet is signed");
  sign->add_option("id", options->id, "the id, or its first 8 or more digits")->required();
  sign->add_flag("-y,--yes", options->yes, "don't ask");
  sign->add_flag("--force", options->force, "also over objects that were changed since");
  sign->callback([options, &session] { session.Finish(RunSign(session, *options)); });
  auto* reject = proposals->add_subcommand("reject", "Remove it");
  reject->add_option("id", options->id, "the id, or its first 8 or more digits")->required();
  reject->callback([options, &session] { session.Finish(RunReject(session, *options)); });
}

}  // namespace mcpfleet::cli
