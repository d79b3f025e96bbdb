// `mcpctl node accept`: the keys that a node presented become those that secrets are sealed to.
#include <memory>
#include <optional>
#include <ostream>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "base/digest.h"
#include "base/fd.h"
#include "base/strings.h"
#include "cli/node_object.h"
#include "cli/node_verbs.h"
#include "cli/output.h"

namespace mcpfleet::cli {
namespace {

struct AcceptOptions {
  std::string node, token_file, output;
};

StatusOr<Accepted> Publish(Session& session, const std::string& node, const NodePublicKeys& keys) {
  std::optional<NodePublicKeys> before;
  ASSIGN_OR_RETURN(const ApplyResult result,
                   ChangeNodes(session, {node}, true, "accept node " + node, [&](Object* object) {
                     before = PublishedKeys(*object);
                     PublishKeys(keys, object);
                   }));
  if (before.has_value() && *before != keys)
    session.err() << "node " << node << " had other keys before: what was sealed to those has to be sealed again\n";
  return Accepted{keys, result.moved};
}

// The keys of the node whose admin API this context names: who reads that is root there.
StatusOr<Accepted> AcceptFromAdmin(Session& session, const std::string& node) {
  ASSIGN_OR_RETURN(const std::string target, session.AdminTarget());
  ASSIGN_OR_RETURN(const Deadline deadline, session.RequestDeadline());
  ASSIGN_OR_RETURN(const http::Response response, session.Admin({.target = "/v1/identity"}, deadline));
  ASSIGN_OR_RETURN(const Json identity, ParseJson(response.body));
  if (const std::string there = GetString(identity, "node"); there != node) {
    return FailedPrecondition("the store has no Worker, and the mcplet at " + target + " is node \"" +
                              Printable(there, 80) + "\": run this with a context whose --admin is that of " + node);
  }
  const Json& keys = GetMember(identity, "keys");
  const NodePublicKeys found{GetString(keys, "signing"), GetString(keys, "sealing")};
  if (!IsPublicKey(found.signing) || !IsPublicKey(found.sealing))
    return FailedPrecondition("the mcplet at " + target + " tells no keys; is it of this version?");
  return Publish(session, node, found);
}

// Of the tokens that were made here for the node, the one that a machine has used.
StatusOr<Accepted> AcceptBooked(Session& session, WorkerApi& worker, const std::string& node, Deadline deadline) {
  ASSIGN_OR_RETURN(const Context context, session.context());
  ASSIGN_OR_RETURN(const std::vector<BookedJoin> joins, BookedJoins(node, context.server));
  std::string waiting;
  for (const BookedJoin& join : joins) {
    StatusOr<JoinNews> news = ReadJoin(worker, join.id, deadline);
    if (!news.ok() && news.status().code() != StatusCode::kNotFound) return news.status();
    if (news.ok() && news->state == "Joined")
      return AcceptJoin(session, worker, node, join.id, join.secret, news->presented);
    if (news.ok() && news->state == "Pending") {
      waiting = join.expires;
    } else {
      ForgetJoin(join.id).IgnoreError();  // expired, revoked, or unknown: nothing will come of it
    }
  }
  if (!waiting.empty()) return FailedPrecondition(node + " has not joined yet; its token is good until " + waiting);
  return NotFound("no join token of node \"" + node + "\" that a machine has used was made here: run this where " +
                  "`mcpctl node enroll` was run, or give the token with --token-file, or enroll it anew");
}

StatusOr<Accepted> Accept(Session& session, const AcceptOptions& options) {
  ASSIGN_OR_RETURN(const Deadline deadline, session.RequestDeadline());
  StatusOr<WorkerApi*> worker = session.Worker();
  Status there = worker.status();
  // Whether there is a Worker is only known when it has answered.
  if (there.ok()) there = (*worker)->Get("/v1/down", deadline).status();
  if (there.code() == StatusCode::kFailedPrecondition && options.token_file.empty())
    return AcceptFromAdmin(session, options.node);
  RETURN_IF_ERROR(there);
  ForgetOldJoins(session.clock().Wall());
  if (options.token_file.empty()) return AcceptBooked(session, **worker, options.node, deadline);
  ASSIGN_OR_RETURN(const std::string text, ReadFile(options.token_file, kJoinTokenBytes));
  ASSIGN_OR_RETURN(const JoinToken token, ParseJoinToken(text));
  ASSIGN_OR_RETURN(const JoinNews news, ReadJoin(**worker, token.id, deadline));
  if (news.state != "Joined")
    return FailedPrecondition(options.node + " has not joined with this token: it is " + ToLower(news.state));
  return AcceptJoin(session, **worker, options.node, token.id, token.secret, news.presented);
}

Status RunAccept(Session& session, AcceptOptions options) {
  RETURN_IF_ERROR(CheckOutput(options.output, {"json", "yaml", "jsonpath"}));
  RETURN_IF_ERROR(TakeNodeName(session, &options.node));
  ASSIGN_OR_RETURN(const Accepted accepted, Accept(session, options));
  if (options.output.empty()) {
    PrintAccepted(session, options.node, accepted);
    return OkStatus();
  }
  const Json shown = {{"node", options.node},
                      {"keys", {{"signing", accepted.keys.signing}, {"sealing", accepted.keys.sealing}}},
                      {"changed", accepted.changed}};
  return PrintObjects(session.out(), options.output, {shown}, false);
}

}  // namespace

StatusOr<JoinNews> ReadJoin(WorkerApi& worker, const std::string& id, Deadline deadline) {
  ASSIGN_OR_RETURN(WorkerAnswer answer, worker.Get("/v1/joins/" + id, deadline));
  return JoinNews{Printable(GetString(answer.result, "state"), 20), GetMember(answer.result, "presented")};
}

StatusOr<NodePublicKeys> VerifiedKeys(const Json& presented, const std::string& node, const std::string& secret) {
  StatusOr<Presented> parsed = PresentedFromJson(presented);
  if (!parsed.ok())
    return FailedPrecondition("what was presented for node " + node + " can't be read: " + Message(parsed.status()));
  if (parsed->node != node)
    return FailedPrecondition("the join token of node " + node + " was used by \"" + parsed->node + "\"");
  if (!ProvesSecret(*parsed, secret))
    return FailedPrecondition("whoever joined as " + node +
                              " did not have the secret of its join token, or the keys were "
                              "changed on their way");
  return parsed->keys;
}

StatusOr<Accepted> AcceptJoin(Session& session, WorkerApi& worker, const std::string& node, const std::string& id,
                              const std::string& secret, const Json& presented) {
  const StatusOr<NodePublicKeys> keys = VerifiedKeys(presented, node, secret);
  if (keys.ok()) {
    ASSIGN_OR_RETURN(Accepted accepted, Publish(session, node, *keys));
    ForgetJoin(id).IgnoreError();
    return accepted;
  }
  // Not a word to it any more, before anybody thinks about why.
  ASSIGN_OR_RETURN(const Deadline deadline, session.RequestDeadline());
  const StatusOr<Revoked> revoked = RevokeNode(worker, node, deadline);
  const std::string what = Message(keys.status()) + ". Its keys were not published";
  if (!revoked.ok()) {
    return FailedPrecondition(what + "; it could NOT be revoked (" + Message(revoked.status()) +
                              "), so do that now: mcpctl node revoke " + node);
  }
  ForgetJoin(id).IgnoreError();
  TellSecrets(session, revoked->secrets);
  return FailedPrecondition(what + ", and it was revoked. Find out who used the token; a new one: mcpctl node enroll " +
                            node);
}

void PrintAccepted(Session& session, const std::string& node, const Accepted& accepted) {
  // Where the token went to stdout, whoever reads that wants nothing else.
  session.err() << "node " << node << (accepted.changed ? " accepted" : " was accepted before") << "; signing key "
                << accepted.keys.signing << ", sealing key " << accepted.keys.sealing << "\n";
}

void AddNodeAccept(CLI::App& node, Session& session) {
  auto options = std::make_shared<AcceptOptions>();
  auto* accept = node.add_subcommand("accept", "Publish a node's keys, once it is proven that they are its own");
  accept->footer(
      "Proven by the join token's secret, which only this mcpctl and the machine have. Keys that come without it are "
      "not\n"
      "published, and the node is revoked. On a store without a Worker the keys are those of the mcplet that the "
      "context's\n"
      "--admin names, if that is this node.\n\nExamples:\n  mcpctl node accept edge-01\n"
      "  mcpctl node accept edge-01 --token-file edge-01.join        made elsewhere");
  accept->add_option("node", options->node, "its name")->required();
  accept->add_option("--token-file", options->token_file, "the join token, when it was not made here");
  accept->add_option("-o,--output", options->output, "json, yaml or jsonpath=EXPRESSION");
  accept->callback([options, &session] { session.Finish(RunAccept(session, *options)); });
}

}  // namespace mcpfleet::cli
