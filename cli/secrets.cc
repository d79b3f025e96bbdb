// `mcpctl create secret` and `mcpctl secrets`: values are sealed here, and only what is sealed leaves this machine.
#include "cli/secrets.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <map>
#include <memory>
#include <ostream>
#include <set>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "base/fd.h"
#include "base/strings.h"
#include "cli/apply.h"
#include "cli/fleet.h"
#include "cli/key_ring.h"
#include "cli/output.h"
#include "cli/trusted_state.h"
#include "cli/verbs.h"
#include "crd/codec.h"
#include "crd/labels.h"
#include "crd/secret_spec.h"
#include "gitops/change_checks.h"
#include "gitops/secret_rules.h"
#include "store/trust/sealed_secret.h"
#include "store/trust/sealing.h"

namespace mcpfleet::cli {
namespace {

// Whom to seal to besides those of now.
struct RecipientOptions {
  std::vector<std::string> nodes, selector, operators, drop_operators;
  bool every_node = false;
};

struct SecretOptions {
  std::string name, output, message;
  std::vector<std::string> literals, files, env_files;
  RecipientOptions recipients;
  bool replace = false, dry_run = false;
};

struct RewrapOptions {
  std::string name, message;
  RecipientOptions recipients;
  bool all = false, dry_run = false;
};

using Values = std::map<std::string, SecretText>;

Status CheckKey(const std::string& key, const std::string& given) {
  constexpr std::string_view kAllowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._";
  if (!key.empty() && key.size() <= 253 && key.find_first_not_of(kAllowed) == std::string::npos) return OkStatus();
  return InvalidArgument(given + ": the key \"" + Printable(key, 80) +
                         "\" is wrong; allowed are at most 253 letters, digits and - . _");
}

Status AddValue(const std::string& key, SecretText value, const std::string& given, Values* values) {
  RETURN_IF_ERROR(CheckKey(key, given));
  if (!values->emplace(key, std::move(value)).second)
    return InvalidArgument(given + ": the key " + key + " is given twice");
  return OkStatus();
}

StatusOr<std::string> ReadInput(const std::string& path) {
  if (path != "-") return ReadFile(path, kSecretValueBytes);
  std::string content;
  char buffer[4096];
  for (;;) {
    const ssize_t n = read(STDIN_FILENO, buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return ErrnoStatus(errno, "stdin");
    if (n == 0) return content;
    content.append(buffer, static_cast<size_t>(n));
    explicit_bzero(buffer, sizeof buffer);
    if (content.size() > kSecretValueBytes)
      return ResourceExhausted("stdin: more than " + std::to_string(kSecretValueBytes) + " bytes");
  }
}

// KEY=VALUE a line, as kubectl reads it: nothing is unquoted, # begins a comment line.
Status AddEnvFile(const std::string& path, Values* values) {
  ASSIGN_OR_RETURN(std::string content, ReadInput(path));
  int number = 0;
  Status result;
  for (std::string& line : Split(content, '\n')) {
    ++number;
    if (line.ends_with('\r')) line.pop_back();
    const std::string at = path + ":" + std::to_string(number);
    const size_t equals = line.find('=');
    if (Trim(line).empty() || line.starts_with('#') || !result.ok()) {
      WipeText(&line);
      continue;
    }
    // Never the line itself: it may be a value.
    result = equals == std::string::npos
                 ? InvalidArgument(at + ": has no =; a line is KEY=VALUE")
                 : AddValue(line.substr(0, equals), SecretText(line.substr(equals + 1)), at, values);
    WipeText(&line);
  }
  WipeText(&content);
  return result;
}

StatusOr<Values> ReadValues(Session& session, const SecretOptions& options) {
  Values values;
  int stdins = 0;
  for (const std::string& literal : options.literals) {
    const size_t equals = literal.find('=');
    if (equals == std::string::npos) return InvalidArgument("--from-literal: is KEY=VALUE");
    RETURN_IF_ERROR(
        AddValue(literal.substr(0, equals), SecretText(literal.substr(equals + 1)), "--from-literal", &values));
  }
  for (const std::string& file : options.files) {
    const size_t equals = file.find('='), slash = file.rfind('/');
    const std::string path = equals == std::string::npos ? file : file.substr(equals + 1);
    if (equals == std::string::npos && file == "-")
      return InvalidArgument("--from-file -: say its key: --from-file KEY=-");
    const std::string key = equals != std::string::npos  ? file.substr(0, equals)
                            : slash != std::string::npos ? file.substr(slash + 1)
                                                         : file;
    stdins += path == "-" ? 1 : 0;
    ASSIGN_OR_RETURN(std::string content, ReadInput(path));
    if (content.ends_with('\n')) session.err() << "note: the value of " << key << " ends in a newline\n";
    RETURN_IF_ERROR(AddValue(key, SecretText(std::move(content)), "--from-file", &values));
  }
  for (const std::string& file : options.env_files) {
    stdins += file == "-" ? 1 : 0;
    RETURN_IF_ERROR(AddEnvFile(file, &values));
  }
  if (stdins > 1) return InvalidArgument("only one value can be read from stdin");
  if (values.empty()) return InvalidArgument("say what it holds: --from-literal, --from-file or --from-env-file");
  if (!options.literals.empty())
    session.err()
        << "warning: --from-literal stays in the history of your shell, and others on this machine could read "
           "it in the moment before mcpctl hid it; --from-file KEY=- reads stdin\n";
  return values;
}

// The placement that is asked for; `before` when none is.
StatusOr<Json> PlacementOf(const RecipientOptions& options, Json before) {
  if (options.every_node && (!options.nodes.empty() || !options.selector.empty()))
    return InvalidArgument("--every-node excludes --node and --node-selector");
  if (options.every_node) return Json(nullptr);
  if (options.nodes.empty() && options.selector.empty()) return before;
  Json placement = Json::object();
  if (!options.nodes.empty()) placement["nodes"] = options.nodes;
  for (const std::string& pair : options.selector) {
    const size_t equals = pair.find('=');
    if (equals == std::string::npos)
      return InvalidArgument("--node-selector " + Printable(pair, 80) + ": is KEY=VALUE");
    placement["nodeSelector"][pair.substr(0, equals)] = pair.substr(equals + 1);
  }
  return placement;
}

// Operators of before, the keys of this machine, and who was named.
StatusOr<std::vector<SecretRecipient>> OperatorsOf(const RecipientOptions& options,
                                                   const std::vector<SecretRecipient>& before,
                                                   const std::vector<NamedSealingKey>& mine) {
  std::vector<SecretRecipient> out;
  const auto add = [&](const std::string& name, const std::string& key) {
    const auto same = [&](const SecretRecipient& each) { return each.public_key == key; };
    if (std::none_of(out.begin(), out.end(), same)) out.push_back({RecipientKind::kOperator, name, key, ""});
  };
  for (const NamedSealingKey& key : mine) add(key.name, key.key.public_key());
  for (const SecretRecipient& each : before) {
    if (each.kind == RecipientKind::kOperator) add(each.name, each.public_key);
  }
  for (const std::string& given : options.operators) {
    const size_t equals = given.find('=');
    const std::string name = given.substr(0, equals);
    const std::string key = equals == std::string::npos ? "" : given.substr(equals + 1);
    if (!CheckName(name).empty() || !Seal(key, "").ok())
      return InvalidArgument("--operator " + Printable(given, 120) +
                             ": is NAME=PUBLIC_KEY, as `mcpctl keys list` shows it");
    add(name, key);
  }
  std::erase_if(out, [&](const SecretRecipient& each) {
    const auto& drop = options.drop_operators;
    return std::find(drop.begin(), drop.end(), each.name) != drop.end();
  });
  if (out.empty())
    return FailedPrecondition(
        "no operator could open it, so it could never be sealed to another node; make a key with: mcpctl keys create "
        "NAME --sealing");
  return out;
}

// Whom something is sealed to must be what the fleet's keys say, and all of it.
StatusOr<StoredState> ReadToSeal(Session& session, Deadline deadline) {
  StatusOr<StoredState> state = ReadTrustedState(session, deadline);
  if (!state.ok()) return Annotate(state.status(), "nothing is sealed by what this store says");
  if (!state->missing.empty()) return Unavailable("the store does not show all objects yet: " + state->missing.front());
  return state;
}

Status RunCreate(Session& session, const SecretOptions& options) {
  RETURN_IF_ERROR(CheckOutput(options.output, {"json", "yaml"}));
  if (std::string wrong = CheckName(options.name); !wrong.empty())
    return InvalidArgument("\"" + Printable(options.name, 80) + "\": " + wrong);
  ASSIGN_OR_RETURN(const std::string space, session.Namespace());
  ASSIGN_OR_RETURN(const Deadline deadline, session.RequestDeadline());
  ASSIGN_OR_RETURN(const std::vector<NamedSealingKey> mine, LoadSealingKeys());
  ASSIGN_OR_RETURN(const StoredState state, ReadToSeal(session, deadline));
  const ObjectKey key{kKindSecret, space, options.name};
  Object object{.kind = kKindSecret, .metadata = {.name = options.name, .namespace_ = space}};
  SecretSpec before;
  if (auto stored = state.objects.find(key); stored != state.objects.end()) {
    if (!options.replace)
      return AlreadyExists(Described(key) + " exists already; --replace gives it these values and no others");
    object.metadata = stored->second.metadata;
    ASSIGN_OR_RETURN(before, DecodeSecretSpec(stored->second.spec));
  }
  ASSIGN_OR_RETURN(Json placement, PlacementOf(options.recipients, before.placement));
  std::vector<SecretRecipient> recipients = NodesOf(state.objects, placement);
  ASSIGN_OR_RETURN(const std::vector<SecretRecipient> operators,
                   OperatorsOf(options.recipients, before.recipients, mine));
  recipients.insert(recipients.end(), operators.begin(), operators.end());
  const size_t nodes = recipients.size() - operators.size();
  ASSIGN_OR_RETURN(const Values values, ReadValues(session, options));
  ASSIGN_OR_RETURN(SecretSpec spec, SealSecret({space, options.name}, values, recipients));
  spec.placement = std::move(placement);
  object.spec = EncodeSecretSpec(spec);
  if (StatusOr<SecretSpec> valid = SecretSpecOf(object); !valid.ok()) return valid.status();
  if (nodes == 0)
    session.err() << "note: no node can open it yet; when nodes have joined, run: mcpctl secrets rewrap "
                  << options.name << " -n " << space << "\n";
  if (!options.output.empty())
    RETURN_IF_ERROR(PrintObjects(session.out(), options.output, {ObjectToJson(object)}, false));
  if (options.dry_run && !options.output.empty()) return OkStatus();
  const std::string message = options.message.empty() ? "create secret " + NameOf(key) : options.message;
  const ChangeSet changes{.set = {object}};
  RETURN_IF_ERROR(CheckSecretsOfChange(session, changes));
  return WriteChanges(session, changes, message, options.dry_run).status();
}

// "+ node edge-03, - operator old", "" when nothing changes.
std::string Difference(const SecretSpec& before, const SecretSpec& after) {
  std::vector<std::string> parts;
  const auto add = [&](const SecretSpec& of, const SecretSpec& other, const char* sign) {
    for (const SecretRecipient& each : of.recipients) {
      if (IsRecipient(other, each.public_key)) continue;
      parts.push_back(std::string(sign) + (each.kind == RecipientKind::kNode ? " node " : " operator ") + each.name);
    }
  };
  add(after, before, "+");
  add(before, after, "-");
  return Join(parts, ", ");
}

StatusOr<DataKey> OpenWithAny(const SecretName& of, const SecretSpec& spec, const std::vector<NamedSealingKey>& mine) {
  Status damaged;
  for (const NamedSealingKey& each : mine) {
    StatusOr<DataKey> key = OpenDataKey(of, spec, each.key);
    if (key.ok()) return key;
    if (key.status().code() != StatusCode::kNotFound) damaged = key.status();
  }
  if (!damaged.ok()) return Annotate(damaged, "secret " + of.name);
  std::vector<std::string> operators;
  for (const SecretRecipient& each : spec.recipients) {
    if (each.kind == RecipientKind::kOperator) operators.push_back(each.name + " (" + each.public_key + ")");
  }
  return FailedPrecondition(
      "secret " + of.namespace_ + "/" + of.name + ": no key of " + KeyDirectory() +
      " can open it; these operators can: " + (operators.empty() ? "none" : Join(operators, ", ")));
}

// The secret sealed to whom it is to be; nullopt when it is already.
StatusOr<std::optional<Object>> Rewrapped(Session& session, const StoredState& state, const Object& stored,
                                          const std::vector<NamedSealingKey>& mine, const RecipientOptions& options) {
  const SecretName of{stored.metadata.namespace_, stored.metadata.name};
  ASSIGN_OR_RETURN(const SecretSpec before, SecretSpecOf(stored));
  ASSIGN_OR_RETURN(Json placement, PlacementOf(options, before.placement));
  std::vector<SecretRecipient> recipients = NodesOf(state.objects, placement);
  ASSIGN_OR_RETURN(const std::vector<SecretRecipient> operators, OperatorsOf(options, before.recipients, mine));
  recipients.insert(recipients.end(), operators.begin(), operators.end());
  SecretSpec wanted = before;
  wanted.recipients = recipients;
  const std::string difference = Difference(before, wanted);
  if (difference.empty() && placement == before.placement) {
    session.out() << Described(KeyOf(stored)) << " unchanged\n";
    return std::optional<Object>();
  }
  ASSIGN_OR_RETURN(const DataKey key, OpenWithAny(of, before, mine));
  ASSIGN_OR_RETURN(SecretSpec after, SealTo(of, before, key, recipients));
  after.placement = std::move(placement);
  Object object = stored;
  object.spec = EncodeSecretSpec(after);
  if (!difference.empty()) session.err() << Described(KeyOf(stored)) << ": " << difference << "\n";
  return std::optional<Object>(std::move(object));
}

Status RunRewrap(Session& session, const RewrapOptions& options) {
  if (options.name.empty() != options.all)
    return InvalidArgument("say which secret, or --all for those of the namespace");
  ASSIGN_OR_RETURN(const std::string space, session.Namespace());
  ASSIGN_OR_RETURN(const Deadline deadline, session.RequestDeadline());
  ASSIGN_OR_RETURN(const std::vector<NamedSealingKey> mine, LoadSealingKeys());
  ASSIGN_OR_RETURN(const StoredState state, ReadToSeal(session, deadline));
  ChangeSet changes;
  bool any = false;
  for (const auto& [key, object] : state.objects) {
    if (key.kind != kKindSecret || key.namespace_ != space || (!options.all && key.name != options.name)) continue;
    any = true;
    ASSIGN_OR_RETURN(std::optional<Object> changed, Rewrapped(session, state, object, mine, options.recipients));
    if (changed) changes.set.push_back(*std::move(changed));
  }
  if (!any && !options.all)
    return NotFound(Described({kKindSecret, space, options.name}) + " not found in namespace " + space);
  if (changes.set.empty()) return OkStatus();
  const std::string what = options.all ? "of " + space : space + "/" + options.name;
  const std::string message = options.message.empty() ? "rewrap secrets " + what : options.message;
  return WriteChanges(session, changes, message, options.dry_run).status();
}

void AddRecipientOptions(CLI::App& command, RecipientOptions* options) {
  command.add_option("--node", options->nodes, "only these nodes may open it; repeatable")->allow_extra_args(false);
  command.add_option("--node-selector", options->selector, "only nodes with this label, KEY=VALUE; repeatable")
      ->allow_extra_args(false);
  command.add_option("--operator", options->operators, "an operator besides, NAME=PUBLIC_KEY of `mcpctl keys list`")
      ->allow_extra_args(false);
}

}  // namespace

Status CheckSecretsOfChange(Session& session, const ChangeSet& changes) {
  if (!TouchesSecrets(changes)) return OkStatus();
  ASSIGN_OR_RETURN(const Deadline deadline, session.RequestDeadline());
  ASSIGN_OR_RETURN(Fleet fleet, ReadFleet(session, deadline));
  std::vector<std::string> reporting;
  // One that has long been silent and that no object names is gone.
  for (const NodeStatus& node : fleet.nodes) {
    if (session.clock().Wall() - node.heartbeat <= kStaleHeartbeat) reporting.push_back(node.node);
  }
  const std::vector<std::string> problems = SecretProblems(fleet.desired.objects, changes, reporting);
  for (const std::string& problem : problems) session.err() << problem << "\n";
  return JudgeSecretProblems(problems);
}

Status CheckSecretsUnused(Session& session, const std::vector<ObjectKey>& doomed) {
  const bool matters =
      std::any_of(doomed.begin(), doomed.end(), [](const ObjectKey& key) { return key.kind == kKindSecret; });
  if (!matters) return OkStatus();
  ASSIGN_OR_RETURN(KvClient * kv, session.Config());
  ASSIGN_OR_RETURN(const Deadline deadline, session.RequestDeadline());
  ASSIGN_OR_RETURN(const StoredState state, ReadState(*kv, deadline));
  Objects left = state.objects;
  for (const ObjectKey& key : doomed) left.erase(key);
  for (const ObjectKey& key : doomed) {
    if (key.kind != kKindSecret) continue;
    const std::vector<std::string> users = UsersOf(left, key.namespace_, key.name);
    if (!users.empty())
      return FailedPrecondition(Described(key) + " is used by " + Join(users, ", ") + " in namespace " +
                                key.namespace_ +
                                ", which could not start again without it; --force deletes it all the same");
  }
  return OkStatus();
}

void RegisterCreateSecret(CLI::App& create, Session& session) {
  auto options = std::make_shared<SecretOptions>();
  auto* secret = create.add_subcommand("secret", "Seal values for nodes, and store what is sealed");
  secret->footer(
      "The values are encrypted here and sealed to the keys in the MCPNode objects of the nodes (all, or those of "
      "--node\n"
      "and --node-selector) and to the sealing keys of `mcpctl keys` on this machine, which can let other nodes in "
      "later\n"
      "(mcpctl secrets rewrap). The store, and whoever reads it, gets no value. What -o yaml prints can be kept in "
      "Git.\n\n"
      "Examples:\n  mcpctl keys create laptop --sealing\n"
      "  mcpctl create secret github --from-file token=- < token.txt\n"
      "  mcpctl create secret github --from-file token=new.txt --replace     servers that use it roll\n"
      "  mcpctl create secret db --from-env-file db.env --node-selector site=berlin\n"
      "  mcpctl create secret ghcr --from-file .dockerconfigjson=$HOME/.docker/config.json\n"
      "  mcpctl create secret github --from-file token.txt --dry-run -o yaml > github.yaml");
  secret->add_option("name", options->name, "its name")->required();
  secret->add_option("--from-literal", options->literals, "KEY=VALUE; others may read it in your shell's history")
      ->allow_extra_args(false);
  secret->add_option("--from-file", options->files, "KEY=FILE, FILE (its name is the key), or KEY=- for stdin")
      ->allow_extra_args(false);
  secret->add_option("--from-env-file", options->env_files, "a file of KEY=VALUE lines, or -")->allow_extra_args(false);
  AddRecipientOptions(*secret, &options->recipients);
  secret->add_flag("--replace", options->replace, "give a secret that exists these values and no others");
  secret->add_flag("--dry-run", options->dry_run, "seal, and write nothing");
  secret->add_option("-o,--output", options->output, "json or yaml: print the sealed object");
  secret->add_option("-m,--message", options->message, "why, for the history");
  secret->callback([options, &session] { session.Finish(RunCreate(session, *options)); });
}

void RegisterSecrets(CLI::App& root, Session& session) {
  auto* secrets = root.add_subcommand("secrets", "Who can open secrets: rewrap");
  secrets->require_subcommand(1);
  secrets->footer(
      "Examples:\n  mcpctl secrets rewrap --all\n  mcpctl get mcpsecrets\n  mcpctl describe mcpsecret github");
  auto options = std::make_shared<RewrapOptions>();
  auto* rewrap = secrets->add_subcommand("rewrap", "Seal secrets to the nodes and operators of now, values unseen");
  rewrap->footer(
      "Nodes that joined are let in, nodes that are gone or have other keys are left out; the values stay as they are "
      "and\n"
      "no server restarts. Needs a sealing key that can open the secret (mcpctl keys list). A node that is left out "
      "has\n"
      "seen the values: give the secret new ones when the node is not trusted any more.\n\n"
      "Examples:\n  mcpctl secrets rewrap github\n  mcpctl secrets rewrap --all -n prod\n"
      "  mcpctl secrets rewrap github --operator ops=2fYz…          another operator can rewrap it from now on");
  rewrap->add_option("name", options->name, "of a secret");
  rewrap->add_flag("--all", options->all, "every secret of the namespace");
  AddRecipientOptions(*rewrap, &options->recipients);
  rewrap->add_flag("--every-node", options->recipients.every_node, "every node may open it");
  rewrap
      ->add_option("--drop-operator", options->recipients.drop_operators, "an operator who is not to open it any more")
      ->allow_extra_args(false);
  rewrap->add_flag("--dry-run", options->dry_run, "say what would change, and write nothing");
  rewrap->add_option("-m,--message", options->message, "why, for the history");
  rewrap->callback([options, &session] { session.Finish(RunRewrap(session, *options)); });
}

}  // namespace mcpfleet::cli
