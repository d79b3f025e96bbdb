// `mcpctl node enroll`: a join token for one machine.
#include <poll.h>
#include <unistd.h>

#include <memory>
#include <ostream>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "base/fd.h"
#include "base/strings.h"
#include "cli/node_object.h"
#include "cli/node_verbs.h"
#include "cli/output.h"
#include "cli/span.h"
#include "cli/trust_root.h"
#include "crd/labels.h"

namespace mcpfleet::cli {
namespace {

constexpr Duration kLeastTtl = std::chrono::seconds(60), kMostTtl = std::chrono::hours(24 * 30);
// While waiting: an operator's request every two seconds is nothing, and a person waits no longer.
constexpr Duration kLook = std::chrono::seconds(2);

struct EnrollOptions {
  std::string node, ttl = "24h", out, timeout, output;
  std::vector<std::string> labels;
  bool wait = false;
};

StatusOr<Labels> LabelsOf(const std::vector<std::string>& given) {
  Labels labels;
  for (const std::string& pair : given) {
    const size_t equals = pair.find('=');
    if (equals == std::string::npos)
      return InvalidArgument("--label " + Printable(pair, 80) + ": KEY=VALUE is expected");
    const std::string key = pair.substr(0, equals), value = pair.substr(equals + 1);
    std::string wrong = CheckLabelKey(key);
    if (wrong.empty()) wrong = CheckLabelValue(value);
    if (!wrong.empty()) return InvalidArgument("--label " + Printable(pair, 80) + ": " + wrong);
    labels[key] = value;
  }
  return labels;
}

// The node's object with these labels; what it has besides stays. The head after that.
StatusOr<Head> Declare(Session& session, const std::string& node, const Labels& labels) {
  ASSIGN_OR_RETURN(const ApplyResult result,
                   ChangeNodes(session, {node}, true, "enroll node " + node, [&](Object* object) {
                     for (const auto& [key, value] : labels) object->metadata.labels[key] = value;
                   }));
  if (!result.head.has_value()) return Internal("the store has no head after a change");
  return *result.head;
}

// Until the machine has come, then its keys are accepted.
StatusOr<Accepted> AwaitJoin(Session& session, WorkerApi& worker, const std::string& node, const std::string& id,
                             const std::string& secret, Duration timeout) {
  const MonoTime begin = session.clock().Now();
  const Deadline end = Deadline::After(timeout);
  if (!session.progress()) session.err() << "waiting until " << node << " has joined" << std::endl;
  for (bool first = true;; first = false) {
    ASSIGN_OR_RETURN(const Deadline request, session.RequestDeadline());
    const StatusOr<JoinNews> news = ReadJoin(worker, id, request);
    if (!news.ok() && (first || !IsRetryable(news.status()))) return news.status();
    if (news.ok() && news->state == "Joined") {
      session.ShowProgress("");
      return AcceptJoin(session, worker, node, id, secret, news->presented);
    }
    if (news.ok() && news->state != "Pending") {
      ForgetJoin(id).IgnoreError();
      return FailedPrecondition("the join token " +
                                std::string(news->state == "Expired" ? "has expired" : "was revoked") + " before " +
                                node + " joined; a new one: mcpctl node enroll " + node);
    }
    if (end.Expired()) {
      return DeadlineExceeded(node + " has not joined within " + FormatDuration(timeout) +
                              "; its token goes on: when it has joined, mcpctl node accept " + node);
    }
    session.ShowProgress("waiting until " + node + " has joined, " + FormatAge(session.clock().Now() - begin) +
                         "; there: mcplet join " + session.context().value_or(Context{}).server);
    // Not Session::Pause: the token may have gone into a pipe that nobody reads any more.
    poll(nullptr, 0, end.AtMost(kLook).PollMillis());
  }
}

Status PrintToken(Session& session, const EnrollOptions& options, const JoinToken& token, const std::string& expires) {
  const std::string text = FormatJoinToken(token);
  if (!options.output.empty()) {
    Json shown = {{"node", options.node}, {"id", token.id}, {"expires", expires}, {"fleet", token.fleet}};
    if (options.out.empty()) shown["joinToken"] = text;
    RETURN_IF_ERROR(PrintObjects(session.out(), options.output, {shown}, false));
  } else if (options.out.empty()) {
    session.out() << text << "\n";
  }
  session.out() << std::flush;
  session.err() << "join token of node " << options.node
                << (options.out.empty() ? "; it is shown only this once" : " is in " + options.out) << "; good until "
                << expires << "\nthere, by stdin or a file: mcplet join "
                << session.context().value_or(Context{}).server << " --name " << options.node
                << (options.wait ? "" : "\nthen, here: mcpctl node accept " + options.node) << std::endl;
  return OkStatus();
}

Status RunEnroll(Session& session, EnrollOptions options) {
  RETURN_IF_ERROR(CheckOutput(options.output, {"json", "yaml", "jsonpath"}));
  RETURN_IF_ERROR(TakeNodeName(session, &options.node));
  ASSIGN_OR_RETURN(const Labels labels, LabelsOf(options.labels));
  ASSIGN_OR_RETURN(const Duration ttl, ParseSpan(options.ttl));
  if (ttl < kLeastTtl || ttl > kMostTtl) return InvalidArgument("--ttl " + options.ttl + ": from 60s to 30d");
  ASSIGN_OR_RETURN(const Duration timeout,
                   options.timeout.empty() ? StatusOr<Duration>(ttl) : ParseSpan(options.timeout));
  if (!options.out.empty() && access(options.out.c_str(), F_OK) == 0)
    return FailedPrecondition(options.out + " is there already; choose another file or remove it");
  ASSIGN_OR_RETURN(WorkerApi * worker, session.Worker());
  ASSIGN_OR_RETURN(const Deadline deadline, session.RequestDeadline());
  ASSIGN_OR_RETURN(const Context context, session.context());
  JoinToken token{.id = NewJoinId(), .secret = NewJoinSecret()};
  ASSIGN_OR_RETURN(const std::optional<Head> before, ReadTrustedHead(session, ReadFor::kToSign, deadline));
  if (before.has_value() && before->order.trust > 0) token.fingerprint = context.trust_root;
  ForgetOldJoins(session.clock().Wall());
  // The secret first: a token whose secret nobody has could not be accepted.
  const std::string expires = FormatTime(session.clock().Wall() + ttl);
  RETURN_IF_ERROR(BookJoin(
      {.id = token.id, .node = options.node, .secret = token.secret, .server = context.server, .expires = expires}));
  const Json body = {{"node", options.node},
                     {"ttlSeconds", std::chrono::duration_cast<std::chrono::seconds>(ttl).count()},
                     {"labels", labels}};
  const std::string target = "/v1/joins/" + token.id;
  StatusOr<WorkerAnswer> made = worker->Send("PUT", target, body, deadline);
  Status failed = made.status();
  if (failed.code() == StatusCode::kFailedPrecondition)
    failed = FailedPrecondition(
        Message(failed) + "; a node's token in an embedded store: mcpctl store token create --node " + options.node);
  if (failed.ok()) {
    StatusOr<Head> head = Declare(session, options.node, labels);
    failed = head.status();
    if (head.ok()) {
      token.fleet = head->fleet;
      token.minimum = head->order;
      if (!options.out.empty()) failed = WriteFileAtomically(options.out, FormatJoinToken(token) + "\n", 0600);
    }
    if (!failed.ok()) worker->Send("DELETE", target, nullptr, deadline).status().IgnoreError();
  }
  if (!failed.ok()) {
    ForgetJoin(token.id).IgnoreError();
    return failed;
  }
  RETURN_IF_ERROR(PrintToken(session, options, token, expires));
  if (!options.wait) return OkStatus();
  ASSIGN_OR_RETURN(const Accepted accepted, AwaitJoin(session, *worker, options.node, token.id, token.secret, timeout));
  PrintAccepted(session, options.node, accepted);
  return OkStatus();
}

}  // namespace

void AddNodeEnroll(CLI::App& node, Session& session) {
  auto options = std::make_shared<EnrollOptions>();
  auto* enroll = node.add_subcommand("enroll", "Make a join token: with it one machine becomes this node");
  enroll->footer(
      "The token goes to `mcplet join` on the machine, by stdin or a file. It is good for the first machine that "
      "presents\n"
      "it. Its secret stays in the folder `joins` beside mcpctl's contexts, for `mcpctl node accept`; --wait accepts "
      "at once.\n\n"
      "Examples:\n"
      "  mcpctl node enroll edge-01 --label site=berlin --label gpu=yes --out edge-01.join --wait\n"
      "  mcpctl node enroll edge-01 --wait | ssh root@edge-01 mcplet join https://fleet.example.com --name edge-01");
  enroll->add_option("node", options->node, "its name, unique in the fleet")->required();
  enroll->add_option("--label", options->labels, "KEY=VALUE, repeatable: labels of the node, for placement")
      ->allow_extra_args(false);
  enroll->add_option("--ttl", options->ttl, "how long the token is good: from 60s to 30d");
  enroll->add_option("--out", options->out, "write it to this new file (mode 0600) instead of stdout");
  enroll->add_flag("--wait", options->wait, "wait until the machine has joined, and accept its keys");
  enroll->add_option("--timeout", options->timeout, "of --wait; as long as the token is good when not given");
  enroll->add_option("-o,--output", options->output, "json, yaml or jsonpath=EXPRESSION");
  enroll->callback([options, &session] { session.Finish(RunEnroll(session, *options)); });
}

}  // namespace mcpfleet::cli
