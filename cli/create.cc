// `mcpctl create token`: a token for spec.auth.bearer of a server. Nothing is stored or sent: the object gets the hash.
// `mcpctl create secret` is in cli/secrets.cc, `mcpctl create mcpserver` in cli/create_server.cc.
#include <memory>
#include <ostream>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "base/base64url.h"
#include "base/digest.h"
#include "base/strings.h"
#include "cli/create_server.h"
#include "cli/output.h"
#include "cli/secrets.h"
#include "cli/verbs.h"

namespace mcpfleet::cli {
namespace {

constexpr size_t kTokenBytes = 32;
constexpr size_t kNameBytes = 128;  // as crd/mcpserver.yaml

struct CreateOptions {
  std::string name = "client", output;
};

// The prefix says where a token belongs that is found where it should not be.
std::string NewToken() {
  const std::string hex = RandomHex(kTokenBytes);
  std::string bytes;
  for (size_t i = 0; i < hex.size(); i += 2) bytes += static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16));
  return "mcpf_" + Base64UrlEncode(bytes);
}

// What the schema allows in tokens[].name.
Status CheckTokenName(const std::string& name) {
  constexpr std::string_view kLetters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
  const bool fits = !name.empty() && name.size() <= kNameBytes &&
                    name.find_first_not_of(std::string(kLetters) + "._@-") == std::string::npos &&
                    kLetters.find(name.front()) != std::string_view::npos &&
                    kLetters.find(name.back()) != std::string_view::npos;
  if (fits) return OkStatus();
  return InvalidArgument(
      "--name \"" + Printable(name, 80) +
      "\": allowed are at most 128 letters, digits and . _ @ -, with a letter or digit at both ends");
}

Status RunCreateToken(Session& session, const CreateOptions& options) {
  RETURN_IF_ERROR(CheckOutput(options.output, {"json", "yaml", "jsonpath"}));
  RETURN_IF_ERROR(CheckTokenName(options.name));
  const std::string token = NewToken(), sha256 = Sha256Hex(token);
  if (!options.output.empty()) {
    const Json object = {{"name", options.name}, {"sha256", sha256}, {"token", token}};
    return PrintObjects(session.out(), options.output, {object}, false);
  }
  session.out() << token << std::endl;  // before the hints, where both go to one terminal
  if (!session.progress()) return OkStatus();
  session.err() << "\nThe token is shown only this once; the client sends it as  Authorization: Bearer TOKEN\n"
                   "Its SHA-256 goes into the manifest of each server that takes it:\n\n"
                   "spec:\n  auth:\n    type: Bearer\n    bearer:\n      tokens:\n        - name: "
                << DumpJson(options.name) << "\n          sha256: " << sha256 << "\n";
  return OkStatus();
}

}  // namespace

void RegisterCreate(CLI::App& root, Session& session) {
  auto* create = root.add_subcommand("create", "Make a server, or what manifests refer to: mcpserver, token, secret");
  create->require_subcommand(1);
  create->footer(
      "Examples:\n  mcpctl create mcpserver files --npm @modelcontextprotocol/server-filesystem -- /data\n"
      "  mcpctl create token --name laptop\n  mcpctl create token --name ci -o json > ci-token.json\n"
      "  token=$(mcpctl create token --name ci)\n  mcpctl create secret github --from-file token=- < token.txt");
  RegisterCreateServer(*create, session);
  RegisterCreateSecret(*create, session);
  auto options = std::make_shared<CreateOptions>();
  auto* token = create->add_subcommand("token", "Make a random token for spec.auth.bearer, and its SHA-256");
  token->footer(
      "The token goes to stdout; its hash and the lines for the manifest go to stderr when that is a terminal.\n"
      "-o json has all of it. Nothing is stored: the manifest holds the hash, the client the token. The hash of a\n"
      "token: printf %s \"$token\" | sha256sum\n\nExamples:\n"
      "  mcpctl create token --name laptop\n  mcpctl create token --name ci -o json > ci-token.json");
  token->add_option("--name", options->name, "who gets it: name of the entry, sessions belong to it")
      ->capture_default_str();
  token->add_option("-o,--output", options->output, "json, yaml or jsonpath=EXPRESSION");
  token->callback([options, &session] { session.Finish(RunCreateToken(session, *options)); });
}

}  // namespace mcpfleet::cli
