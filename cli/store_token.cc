#include "cli/store_token.h"

#include <unistd.h>

#include <memory>
#include <ostream>

#include <CLI/CLI.hpp>

#include "base/digest.h"
#include "base/fd.h"
#include "base/strings.h"
#include "cli/table.h"
#include "crd/node_name.h"
#include "store/device_token.h"

namespace mcpfleet::cli {
namespace {

constexpr size_t kTokens = 10'000;
constexpr size_t kIdBytes = 12;  // of the hash: enough to tell tokens apart

struct TokenOptions {
  std::string node, out, id;
};

struct Listed {
  std::string sha256;
  DeviceToken token;
};

StatusOr<std::vector<Listed>> ReadTokens(KvClient& kv, Deadline deadline) {
  ASSIGN_OR_RETURN(std::vector<KvKey> keys, ListAll(kv, kDeviceTokenPrefix, kTokens, deadline));
  std::vector<Listed> tokens;
  for (const KvKey& key : keys) {
    StatusOr<DeviceToken> token = ParseDeviceToken(key.metadata);
    // Whatever it is, it can be seen and revoked.
    tokens.push_back({key.name.substr(sizeof kDeviceTokenPrefix - 1), token.ok() ? *std::move(token) : DeviceToken{}});
  }
  return tokens;
}

Status RunCreate(Session& session, TokenOptions options) {
  ASSIGN_OR_RETURN(options.node, ParseNodeName(options.node, "--node"));
  if (!options.out.empty() && access(options.out.c_str(), F_OK) == 0)
    return FailedPrecondition(options.out + " is there already; choose another file or remove it");
  ASSIGN_OR_RETURN(KvClient * kv, session.Tokens());
  ASSIGN_OR_RETURN(Deadline deadline, session.RequestDeadline());
  const std::string token = RandomHex(32), sha256 = Sha256Hex(token);
  const std::string entry = EncodeDeviceToken(
      {.node = options.node, .created_at = FormatTime(session.clock().Wall()), .author = Session::Author()});
  // The file first: a token that is stored but was seen by nobody would only be in the way.
  if (!options.out.empty()) RETURN_IF_ERROR(WriteFileAtomically(options.out, token + "\n", 0600));
  if (Status put = kv->Put(DeviceTokenKey(sha256), entry, {.metadata = entry}, deadline); !put.ok()) {
    if (!options.out.empty()) unlink(options.out.c_str());
    return put;
  }
  if (options.out.empty()) session.out() << token << "\n";
  session.err() << "token " << sha256.substr(0, kIdBytes) << " of node " << options.node
                << (options.out.empty() ? "; it is shown only this once" : " is in " + options.out)
                << ". On the node: a file of mode 0600, named by spec.store.tokenFile in mcplet.yaml\n";
  return OkStatus();
}

Status RunList(Session& session) {
  ASSIGN_OR_RETURN(KvClient * kv, session.Tokens());
  ASSIGN_OR_RETURN(Deadline deadline, session.RequestDeadline());
  ASSIGN_OR_RETURN(std::vector<Listed> tokens, ReadTokens(*kv, deadline));
  if (tokens.empty()) {
    session.err() << "No tokens of nodes\n";
    return OkStatus();
  }
  Table table({"ID", "NODE", "CREATED", "AUTHOR"});
  for (const Listed& listed : tokens) {
    table.Add({listed.sha256.substr(0, kIdBytes), Printable(listed.token.node, 80),
               Printable(listed.token.created_at, 40), Printable(listed.token.author, 40)});
  }
  table.Print(session.out());
  return OkStatus();
}

Status RunRevoke(Session& session, const TokenOptions& options) {
  if (options.id.empty() == options.node.empty())
    return InvalidArgument(
        "say which: the ID of one token, or --node NAME for all of a node; see: mcpctl store token list");
  ASSIGN_OR_RETURN(KvClient * kv, session.Tokens());
  ASSIGN_OR_RETURN(Deadline deadline, session.RequestDeadline());
  ASSIGN_OR_RETURN(std::vector<Listed> tokens, ReadTokens(*kv, deadline));
  std::vector<Listed> chosen;
  for (const Listed& listed : tokens) {
    const bool wanted = options.id.empty() ? listed.token.node == options.node : listed.sha256.starts_with(options.id);
    if (wanted) chosen.push_back(listed);
  }
  if (chosen.empty() || (!options.id.empty() && (chosen.size() > 1 || options.id.size() < 6))) {
    return NotFound((options.id.empty()
                         ? "node \"" + Printable(options.node, 80) + "\" has no token"
                         : "token \"" + Printable(options.id, 80) + "\": none, or more than one, begins so") +
                    "; see: mcpctl store token list");
  }
  for (const Listed& listed : chosen) {
    RETURN_IF_ERROR(kv->Delete(DeviceTokenKey(listed.sha256), deadline));
    session.out() << "token " << listed.sha256.substr(0, kIdBytes) << " of node " << Printable(listed.token.node, 80)
                  << " revoked\n";
  }
  return OkStatus();
}

}  // namespace

StatusOr<int64_t> RevokeStoreTokens(KvClient& kv, const std::string& node, Deadline deadline) {
  ASSIGN_OR_RETURN(const std::vector<Listed> tokens, ReadTokens(kv, deadline));
  int64_t revoked = 0;
  for (const Listed& listed : tokens) {
    if (listed.token.node != node) continue;
    RETURN_IF_ERROR(kv.Delete(DeviceTokenKey(listed.sha256), deadline));
    ++revoked;
  }
  return revoked;
}

void AddStoreTokens(CLI::App& store, Session& session) {
  auto options = std::make_shared<TokenOptions>();
  auto* token = store.add_subcommand("token", "Tokens of single nodes in the embedded store: create, list, revoke");
  token->require_subcommand(1);
  token->footer(
      "Such a token reads the desired state and writes the status of its one node.\n\nExamples:\n"
      "  mcpctl store token create --node edge-02 --out edge-02.token\n  mcpctl store token list\n"
      "  mcpctl store token revoke --node edge-02");
  auto* create = token->add_subcommand("create", "Make a token; it is shown once, only its hash is stored");
  create->add_option("--node", options->node, "metadata.name of the node's mcplet.yaml")->required();
  create->add_option("-o,--out", options->out, "write it to this new file (mode 0600) instead of stdout");
  create->callback([options, &session] { session.Finish(RunCreate(session, *options)); });
  auto* list = token->add_subcommand("list", "The tokens there are, without what they are");
  list->callback([&session] { session.Finish(RunList(session)); });
  auto* revoke = token->add_subcommand("revoke", "Make tokens invalid, at once");
  revoke->add_option("id", options->id, "of one token: the beginning of its ID");
  revoke->add_option("--node", options->node, "all tokens of this node");
  revoke->callback([options, &session] { session.Finish(RunRevoke(session, *options)); });
}

}  // namespace mcpfleet::cli
