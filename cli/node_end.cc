// `mcpctl node revoke|rotate|delete`: the life of a node's credentials, and its end.
#include <memory>
#include <ostream>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "base/strings.h"
#include "cli/confirm.h"
#include "cli/node_object.h"
#include "cli/node_verbs.h"
#include "cli/output.h"
#include "cli/store_token.h"
#include "gitops/secret_rules.h"
#include "store/reader.h"

namespace mcpfleet::cli {
namespace {

struct EndOptions {
  std::string node, output;
  bool yes = false;
};

// Nothing is sealed any more to the keys of a node that is not trusted.
Status WithdrawKeys(Session& session, const std::string& node) {
  return ChangeNodes(session, {node}, false, "revoke node " + node, [](Object* object) { object->spec.erase("keys"); })
      .status();
}

Status Forget(Session& session, const std::string& node) {
  ASSIGN_OR_RETURN(const Context context, session.context());
  ForgetJoinsOf(node, context.server);
  return OkStatus();
}

// The tokens are those of an embedded store, and what the node could open the secrets tell.
StatusOr<Revoked> RevokeWithoutWorker(Session& session, const std::string& node, Deadline deadline) {
  ASSIGN_OR_RETURN(KvClient * kv, session.Config());
  ASSIGN_OR_RETURN(const StoredState state, ReadState(*kv, deadline));
  Revoked revoked;
  const StatusOr<KvClient*> tokens = session.Tokens();
  if (tokens.ok()) {
    ASSIGN_OR_RETURN(revoked.tokens, RevokeStoreTokens(**tokens, node, deadline));
  } else {
    session.err() << "this store is Cloudflare's own API: delete the API token that the node uses at Cloudflare, it "
                     "reads and writes the KV of the whole account\n";
  }
  const std::vector<std::string> secrets = SecretsSealedTo(state.objects, node);
  const bool declared = state.objects.contains({kKindNode, "", node});
  if (state.missing.empty()) {
    if (revoked.tokens == 0 && !declared && secrets.empty())
      return NotFound("node \"" + node + "\" has no token, no object and no secret; see: mcpctl get nodes");
    revoked.secrets = secrets;
  }
  return revoked;
}

Status RunRevoke(Session& session, EndOptions options) {
  RETURN_IF_ERROR(CheckOutput(options.output, {"json", "yaml", "jsonpath"}));
  RETURN_IF_ERROR(TakeNodeName(session, &options.node));
  RETURN_IF_ERROR(Confirm(session, options.yes, "revoke node " + options.node));
  ASSIGN_OR_RETURN(const Deadline deadline, session.RequestDeadline());
  const StatusOr<WorkerApi*> worker = session.Worker();
  StatusOr<Revoked> revoked =
      worker.ok() ? RevokeNode(**worker, options.node, deadline) : StatusOr<Revoked>(worker.status());
  if (revoked.status().code() == StatusCode::kFailedPrecondition)
    revoked = RevokeWithoutWorker(session, options.node, deadline);
  RETURN_IF_ERROR(revoked.status());
  RETURN_IF_ERROR(Forget(session, options.node));
  const Status withdrawn = WithdrawKeys(session, options.node);
  if (options.output.empty()) {
    session.out() << "node " << options.node << " revoked, " << revoked->tokens
                  << (revoked->tokens == 1 ? " token" : " tokens") << " ended\n";
    session.out() << std::flush;
    TellSecrets(session, revoked->secrets);
  } else {
    const Json shown = {{"node", options.node}, {"tokens", revoked->tokens}, {"secrets", revoked->secrets}};
    RETURN_IF_ERROR(PrintObjects(session.out(), options.output, {shown}, false));
  }
  return Annotate(withdrawn,
                  "its tokens ended, but its keys are still those that secrets are sealed to: run this again");
}

Status RunDelete(Session& session, EndOptions options) {
  RETURN_IF_ERROR(CheckOutput(options.output, {"json", "yaml", "jsonpath"}));
  RETURN_IF_ERROR(TakeNodeName(session, &options.node));
  RETURN_IF_ERROR(Confirm(session, options.yes, "delete node " + options.node));
  ASSIGN_OR_RETURN(WorkerApi * worker, session.Worker());
  ASSIGN_OR_RETURN(KvClient * kv, session.Config());
  ASSIGN_OR_RETURN(const Deadline deadline, session.RequestDeadline());
  const StatusOr<WorkerAnswer> answer = worker->Send("DELETE", "/v1/nodes/" + options.node, nullptr, deadline);
  const bool known = answer.status().code() != StatusCode::kNotFound;
  if (answer.status().code() == StatusCode::kFailedPrecondition)
    return FailedPrecondition(Message(answer.status()) + "; its object is deleted by: mcpctl delete mcpnode/" +
                              options.node);
  if (known) {
    RETURN_IF_ERROR(answer.status());
  } else {
    // It never joined: what remains is its join tokens.
    RETURN_IF_ERROR(RevokeNode(*worker, options.node, deadline).status());
  }
  RETURN_IF_ERROR(Forget(session, options.node));
  const WriteOptions write{
      .message = "delete node " + options.node, .author = Session::Author(), .sign = session.Signer()};
  const ObjectKey key{kKindNode, "", options.node};
  ASSIGN_OR_RETURN(const ApplyResult result, Apply(*kv, {.remove = {key}}, write, session.clock(), deadline));
  if (result.head.has_value()) session.SawHead(result.head->order);
  if (!known && result.changes.front().kind == ChangeKind::kAbsent)
    return NotFound("node \"" + options.node + "\" not found; see: mcpctl node list");
  const Json secrets = known ? GetMember(answer->result, "secrets") : Json::array();
  if (!options.output.empty()) {
    const Json shown = {{"node", options.node}, {"secrets", secrets}};
    return PrintObjects(session.out(), options.output, {shown}, false);
  }
  session.out() << "node " << options.node << " deleted\n" << std::flush;
  TellSecrets(session, secrets);
  return OkStatus();
}

Status RunRotate(Session& session, EndOptions options) {
  RETURN_IF_ERROR(CheckOutput(options.output, {"json", "yaml", "jsonpath"}));
  RETURN_IF_ERROR(TakeNodeName(session, &options.node));
  RETURN_IF_ERROR(Confirm(session, options.yes, "replace the token of node " + options.node));
  ASSIGN_OR_RETURN(WorkerApi * worker, session.Worker());
  ASSIGN_OR_RETURN(const Deadline deadline, session.RequestDeadline());
  ASSIGN_OR_RETURN(const WorkerAnswer node, worker->Get("/v1/nodes/" + options.node, deadline));
  if (!GetBool(node.result, "connected"))
    return FailedPrecondition("node " + options.node +
                              " is not connected, so it can't be asked now; a lost token ends " +
                              "with mcpctl node revoke");
  RETURN_IF_ERROR(worker->Send("POST", "/v1/nodes/" + options.node + "/rotate", nullptr, deadline).status());
  if (!options.output.empty()) {
    const Json shown = {{"node", options.node}, {"asked", true}};
    return PrintObjects(session.out(), options.output, {shown}, false);
  }
  session.out() << "node " << options.node
                << " was asked to get a new token; the old one ends when it uses the new one\n";
  return OkStatus();
}

}  // namespace

StatusOr<Revoked> RevokeNode(WorkerApi& worker, const std::string& node, Deadline deadline) {
  ASSIGN_OR_RETURN(WorkerAnswer answer, worker.Send("POST", "/v1/nodes/" + node + "/revoke", nullptr, deadline));
  return Revoked{GetInt(answer.result, "tokens"), GetMember(answer.result, "secrets")};
}

void TellSecrets(Session& session, const Json& secrets) {
  if (!secrets.is_array()) {
    session.err() << "which secrets it could open can't be told now; replace those that were sealed to it\n";
    return;
  }
  if (secrets.empty()) return;
  session.err() << "it could open these secrets, so replace them:\n";
  for (const Json& secret : secrets)
    session.err() << "  " << Printable(secret.is_string() ? secret.get<std::string>() : DumpJson(secret), 200) << "\n";
}

void AddNodeEnds(CLI::App& node, Session& session) {
  auto options = std::make_shared<EndOptions>();
  const auto add = [&](CLI::App* verb) {
    verb->add_option("node", options->node, "its name")->required();
    verb->add_flag("-y,--yes", options->yes, "do not ask");
    verb->add_option("-o,--output", options->output, "json, yaml or jsonpath=EXPRESSION");
  };
  auto* revoke =
      node.add_subcommand("revoke", "End all that lets a machine act as this node; lists the secrets to replace");
  revoke->footer(
      "Its tokens, its join tokens and its connection end at once, what it may still read within five minutes; its "
      "keys are\n"
      "no longer sealed to. What runs on the machine goes on. The node may be enrolled anew. Without a Worker: its "
      "tokens of\n"
      "the embedded store, and its keys.\n\n"
      "Examples:\n  mcpctl node revoke edge-01\n  mcpctl node revoke edge-01 --yes -o jsonpath='{.secrets[*]}'");
  add(revoke);
  revoke->callback([options, &session] { session.Finish(RunRevoke(session, *options)); });
  auto* rotate = node.add_subcommand("rotate", "Have a node replace its token");
  rotate->footer("The old token ends when the node uses the new one.\n\nExamples:\n  mcpctl node rotate edge-01");
  add(rotate);
  rotate->callback([options, &session] { session.Finish(RunRotate(session, *options)); });
  auto* remove = node.add_subcommand("delete", "Revoke a node and forget it: its object and status too");
  remove->footer("Examples:\n  mcpctl drain edge-01 && mcpctl node delete edge-01");
  add(remove);
  remove->callback([options, &session] { session.Finish(RunDelete(session, *options)); });
}

}  // namespace mcpfleet::cli
