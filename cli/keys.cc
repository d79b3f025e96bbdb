// `mcpctl keys`: the private keys that sign heads and trust documents, and those that open secrets.
#include <memory>
#include <ostream>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "cli/key_ring.h"
#include "cli/output.h"
#include "cli/table.h"
#include "cli/verbs.h"

namespace mcpfleet::cli {
namespace {

Status RunCreateKey(Session& session, const std::string& name, bool sealing) {
  if (sealing) {
    const SealingKey key = SealingKey::Create();
    ASSIGN_OR_RETURN(std::string path, StoreSealingKey(name, key));
    session.out() << key.public_key() << "\n";
    session.err() << "the private key is in " << path << ": it opens every secret that is sealed to it; keep a copy\n";
    return OkStatus();
  }
  const SigningKey key = SigningKey::Create();
  ASSIGN_OR_RETURN(std::string path, StoreKey(name, key));
  session.out() << key.public_key() << "\n";
  session.err() << "the private key is in " << path << ": keep a copy of it where no thief and no fire gets both\n";
  return OkStatus();
}

Status RunListKeys(Session& session, const std::string& output) {
  RETURN_IF_ERROR(CheckOutput(output, {"json", "yaml", "jsonpath"}));
  ASSIGN_OR_RETURN(std::vector<NamedKey> keys, LoadKeys());
  ASSIGN_OR_RETURN(std::vector<NamedSealingKey> sealing, LoadSealingKeys());
  if (!output.empty()) {
    std::vector<Json> objects;
    const auto add = [&objects](const auto& list, const char* use) {
      for (const auto& each : list)
        objects.push_back({{"name", each.name}, {"use", use}, {"publicKey", each.key.public_key()}});
    };
    add(keys, "signing");
    add(sealing, "sealing");
    return PrintObjects(session.out(), output, objects, true);
  }
  if (keys.empty() && sealing.empty()) {
    session.err() << "no keys in " << KeyDirectory() << "; make one with: mcpctl keys create NAME\n";
    return OkStatus();
  }
  Table table({"NAME", "USE", "PUBLIC KEY"});
  for (const NamedKey& each : keys) table.Add({each.name, "signing", each.key.public_key()});
  for (const NamedSealingKey& each : sealing) table.Add({each.name, "sealing", each.key.public_key()});
  table.Print(session.out());
  return OkStatus();
}

}  // namespace

void RegisterKeys(CLI::App& root, Session& session) {
  auto* keys = root.add_subcommand("keys", "Private keys that sign what nodes follow or open secrets: create, list");
  keys->require_subcommand(1);
  keys->footer(
      "Keys are files in the folder `keys` beside mcpctl's contexts. In a signed fleet (mcpctl trust init) every "
      "change\n"
      "is signed with those of them that the fleet's trust document names. A sealing key opens secrets, so that they "
      "can\n"
      "be sealed to other nodes (mcpctl secrets rewrap).\n\n"
      "Examples:\n  mcpctl keys create root\n  mcpctl keys create laptop\n"
      "  mcpctl keys create laptop --sealing\n  mcpctl keys list");
  auto name = std::make_shared<std::string>();
  auto* create = keys->add_subcommand("create", "Make a key and print its public half");
  create->add_option("name", *name, "what to call it here")->required();
  auto sealing = std::make_shared<bool>(false);
  create->add_flag("--sealing", *sealing, "a key that opens secrets, not one that signs");
  create->callback([name, sealing, &session] { session.Finish(RunCreateKey(session, *name, *sealing)); });
  auto output = std::make_shared<std::string>();
  auto* list = keys->add_subcommand("list", "Names and public halves");
  list->add_option("-o,--output", *output, "json, yaml or jsonpath=EXPRESSION");
  list->callback([output, &session] { session.Finish(RunListKeys(session, *output)); });
}

}  // namespace mcpfleet::cli
