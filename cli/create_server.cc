// `mcpctl create mcpserver NAME`: a server from a few words instead of a manifest.
#include "cli/create_server.h"

#include <algorithm>
#include <memory>
#include <ostream>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "base/strings.h"
#include "cli/apply.h"
#include "cli/convert/package_name.h"
#include "cli/convert/secret_names.h"
#include "cli/converted.h"
#include "cli/fleet.h"
#include "cli/output.h"
#include "cli/secrets.h"
#include "cli/trusted_state.h"
#include "cli/verbs.h"
#include "crd/codec.h"
#include "crd/schema.h"

namespace mcpfleet::cli {
namespace {

struct ServerOptions {
  std::string name, npm, pypi, image, remote;
  std::vector<std::string> words;  // behind --
  std::vector<std::string> args, env, secret_env, headers, secret_headers, labels, nodes, node_selector;
  std::string path, network, memory, cpu, pull_secret;
  int port = 0, replicas = 0;
  NewServer write;
};

// NAME=SECRET/KEY
StatusOr<Json> SecretReference(const std::string& given, const std::string& option) {
  const size_t equals = given.find('='), slash = given.find('/', equals == std::string::npos ? 0 : equals);
  if (equals == std::string::npos || equals == 0 || slash == std::string::npos)
    return InvalidArgument(option + " " + Printable(given.substr(0, equals), 80) + ": is NAME=SECRET/KEY");
  return Json{
      {"name", given.substr(0, equals)},
      {"valueFrom",
       {{"secretKeyRef", {{"name", given.substr(equals + 1, slash - equals - 1)}, {"key", given.substr(slash + 1)}}}}}};
}

// Plain ones and those of secrets as one list.
StatusOr<Json> NamedValues(Session& session, const std::vector<std::string>& plain, const std::string& option,
                           const std::vector<std::string>& secret, bool header) {
  Json list = Json::array();
  for (const std::string& given : plain) {
    const size_t equals = given.find('=');
    if (equals == std::string::npos || equals == 0) return InvalidArgument(option + ": is NAME=VALUE");
    const std::string name = given.substr(0, equals), value = given.substr(equals + 1);
    const bool named = header ? convert::IsSecretHeader(name) : convert::IsSecretName(name);
    if ((named && !convert::IsSwitch(value)) || convert::IsSecretValue(value)) {
      session.err()
          << "warning: " << option << " " << Printable(name, 80)
          << " looks like a secret, and every node can read it; keep it in one (mcpctl create secret) and say "
          << (header ? "--secret-header " : "--secret-env ") << Printable(name, 80) << "=SECRET/KEY\n";
    }
    list.push_back({{"name", name}, {"value", value}});
  }
  for (const std::string& given : secret) {
    ASSIGN_OR_RETURN(Json item, SecretReference(given, header ? "--secret-header" : "--secret-env"));
    list.push_back(std::move(item));
  }
  return list;
}

StatusOr<Json> PackageSource(Session& session, const std::string& manager, const std::string& given) {
  ASSIGN_OR_RETURN(convert::PackageName package,
                   manager == "npm" ? convert::ParseNpm(given) : convert::ParsePypi(given));
  if (!convert::IsExact(manager, package.version)) {
    ASSIGN_OR_RETURN(const std::string version, LookUpVersion(session, {manager, package.name, package.version}));
    session.err() << "note: " << package.name << " is pinned to " << version << "\n";
    package.version = version;
  }
  return Json{{"package", {{"manager", manager}, {"name", package.name}, {"version", package.version}}}};
}

StatusOr<Json> SourceOf(Session& session, const ServerOptions& options) {
  std::vector<std::string> given;
  if (!options.npm.empty()) given.emplace_back("--npm");
  if (!options.pypi.empty()) given.emplace_back("--pypi");
  if (!options.image.empty()) given.emplace_back("--image");
  if (!options.remote.empty()) given.emplace_back("--remote");
  if (given.size() > 1) return InvalidArgument("a server has one source, not " + Join(given, " and "));
  if (!options.pull_secret.empty() && options.image.empty()) return InvalidArgument("--pull-secret is for --image");
  if (!options.npm.empty()) return PackageSource(session, "npm", options.npm);
  if (!options.pypi.empty()) return PackageSource(session, "pypi", options.pypi);
  if (!options.image.empty()) {
    Json image = {{"ref", options.image}};
    if (!options.pull_secret.empty()) image["pullSecret"] = options.pull_secret;
    return Json{{"image", std::move(image)}};
  }
  if (!options.remote.empty()) return Json{{"remote", {{"url", options.remote}}}};
  if (options.words.empty())
    return InvalidArgument(
        "say where it comes from: --npm, --pypi, --image, --remote, or -- and a program of the nodes");
  if (options.words.front().front() != '/')
    return InvalidArgument("-- " + Printable(options.words.front(), 80) +
                           ": is no absolute path; a program is found on each node by its path, a package by --npm or "
                           "--pypi");
  return Json{{"process", {{"path", options.words.front()}}}};
}

StatusOr<Json> PlacementOf(const ServerOptions& options) {
  Json placement = Json::object();
  if (!options.nodes.empty()) placement["nodes"] = options.nodes;
  ASSIGN_OR_RETURN(const auto selector, ParsePairs(options.node_selector, "--node-selector"));
  if (!selector.empty()) placement["nodeSelector"] = selector;
  if (options.replicas != 0) placement["replicas"] = options.replicas;
  return placement;
}

StatusOr<Json> ServerOf(Session& session, const ServerOptions& options) {
  Json spec = Json::object();
  ASSIGN_OR_RETURN(spec["source"], SourceOf(session, options));
  const bool process = spec["source"].contains("process");
  std::vector<std::string> args = options.args;
  args.insert(args.end(), options.words.begin() + (process ? 1 : 0), options.words.end());
  if (!args.empty()) spec["args"] = args;
  ASSIGN_OR_RETURN(Json env, NamedValues(session, options.env, "--env", options.secret_env, false));
  if (!env.empty()) spec["env"] = std::move(env);
  ASSIGN_OR_RETURN(Json headers, NamedValues(session, options.headers, "--header", options.secret_headers, true));
  if (!headers.empty()) {
    if (options.remote.empty()) return InvalidArgument("--header and --secret-header are for --remote");
    spec["source"]["remote"]["headers"] = std::move(headers);
  }
  if (options.port != 0) {
    spec["transport"] = "streamable-http";
    spec["port"] = options.port;
  }
  if (!options.path.empty()) spec["path"] = options.path;
  if (!options.network.empty()) spec["securityContext"]["network"] = options.network;
  if (!options.memory.empty()) spec["resources"]["limits"]["memory"] = options.memory;
  if (!options.cpu.empty()) spec["resources"]["limits"]["cpu"] = options.cpu;
  ASSIGN_OR_RETURN(Json placement, PlacementOf(options));
  if (!placement.empty()) spec["placement"] = std::move(placement);
  Json metadata = {{"name", options.name}};
  ASSIGN_OR_RETURN(const auto labels, ParsePairs(options.labels, "--label"));
  if (!labels.empty()) metadata["labels"] = labels;
  return Json{{"apiVersion", kApiVersion}, {"kind", kKindServer}, {"metadata", metadata}, {"spec", std::move(spec)}};
}

Status RunCreateServer(Session& session, const ServerOptions& options) {
  ASSIGN_OR_RETURN(Json object, ServerOf(session, options));
  return WriteNewServer(session, std::move(object), options.write);
}

Status CheckNew(Session& session, const ObjectKey& key, ReadFor use) {
  ASSIGN_OR_RETURN(const Deadline deadline, session.RequestDeadline());
  ASSIGN_OR_RETURN(const StoredState state, ReadTrustedState(session, deadline, use));
  if (!state.objects.contains(key)) return OkStatus();
  return AlreadyExists(Described(key) + " exists already in namespace " + key.namespace_ +
                       "; --replace gives it this spec");
}

}  // namespace

void AddNewServerOptions(CLI::App& command, NewServer* options) {
  // The default is that of --dry-run without a value; not given, it is none.
  command
      .add_option("--dry-run", options->dry_run,
                  "none, client (without a store; alone, too) or server (what would change)")
      ->expected(0, 1)
      ->default_str("client")
      ->check(CLI::IsMember({"none", "client", "server"}));
  command.add_option("-o,--output", options->output, "yaml or json: print the manifest");
  command.add_option("-m,--message", options->message, "why, for the history");
  command.add_flag("--replace", options->replace, "also when there is one of this name");
  command.add_flag("--wait", options->wait, "wait until it is Ready");
  command.add_option("--timeout", options->timeout, "of --wait");
}

Status WriteNewServer(Session& session, Json object, const NewServer& options) {
  RETURN_IF_ERROR(CheckOutput(options.output, {"json", "yaml"}));
  ASSIGN_OR_RETURN(const Duration timeout, ParseDuration(options.timeout));
  const bool client = options.dry_run == "client";
  Json& metadata = object["metadata"];
  if (!session.options().namespace_.empty()) metadata["namespace"] = session.options().namespace_;
  const std::vector<Violation> violations = Schema::Builtin().Validate(kKindServer, object);
  if (!violations.empty()) {
    session.err() << ToString(violations) << "\n";
    return InvalidArgument("it would be no valid MCPServer");
  }
  // Without a store the namespace stays open, as in a manifest.
  if (!client && !metadata.contains("namespace")) {
    ASSIGN_OR_RETURN(metadata["namespace"], session.Namespace());
  }
  if (!options.output.empty()) RETURN_IF_ERROR(PrintObjects(session.out(), options.output, {object}, false));
  ASSIGN_OR_RETURN(Object server, ObjectFromJson(object));
  if (client) {
    if (options.output.empty()) session.out() << Described(KeyOf(server)) << " valid (dry run)\n";
    return OkStatus();
  }
  if (!options.replace) {
    const ReadFor use = options.dry_run == "none" ? ReadFor::kToSign : ReadFor::kToShow;
    RETURN_IF_ERROR(CheckNew(session, KeyOf(server), use));
  }
  ChangeSet changes{.set = {server}, .manifests = true};
  RETURN_IF_ERROR(CheckSecretsOfChange(session, changes));
  const std::string message = options.message.empty() ? "create mcpserver " + server.metadata.name : options.message;
  ASSIGN_OR_RETURN(const ApplyResult result, WriteChanges(session, changes, message, options.dry_run == "server"));
  if (!options.wait || options.dry_run != "none") return OkStatus();
  std::vector<WaitTarget> targets;
  for (const ObjectChange& change : result.changes)
    targets.push_back({.key = change.key, .generation = change.generation});
  return WaitFor(session, targets, timeout);
}

void RegisterCreateServer(CLI::App& create, Session& session) {
  auto options = std::make_shared<ServerOptions>();
  auto* server = create.add_subcommand("mcpserver", "Make a server from a package, an image, a URL or a program");
  server->alias("mcp");
  server->footer(
      "A package without a version gets today's from npm or PyPI, written down as an exact one. Words behind -- are "
      "its\n"
      "arguments; without a source they are a program that is on the nodes. With --port it speaks streamable-http "
      "there,\n"
      "else stdio. It has no network unless --network says so. -o yaml --dry-run=client prints the manifest, for what "
      "can't\n"
      "be said here.\n\n"
      "Examples:\n"
      "  mcpctl create mcpserver files --npm @modelcontextprotocol/server-filesystem@2026.8.31 -- /data\n"
      "  mcpctl create mcpserver time --pypi mcp-server-time --arg=--local-timezone=Europe/Berlin --wait\n"
      "  mcpctl create mcpserver github --image ghcr.io/github/github-mcp-server:0.20.1 --network Outbound \\\n"
      "    --secret-env GITHUB_PERSONAL_ACCESS_TOKEN=github/token -- stdio\n"
      "  mcpctl create mcpserver weather --image ghcr.io/example/weather:1.4.2 --port 8080 --node-selector "
      "site=berlin\n"
      "  mcpctl create mcpserver docs --remote https://mcp.example.com/mcp --dry-run=client -o yaml > docs.yaml\n"
      "  mcpctl create mcpserver inventory -- /opt/mcp/inventory --read-only");
  server->add_option("name", options->name, "its name")->required();
  server->add_option("words", options->words, "behind --: arguments, or a program with its arguments");
  server->add_option("--npm", options->npm, "PACKAGE[@VERSION] of npm");
  server->add_option("--pypi", options->pypi, "PACKAGE[==VERSION] of PyPI");
  server->add_option("--image", options->image, "a container image");
  server->add_option("--remote", options->remote, "URL of a server that runs elsewhere");
  server->add_option("--arg", options->args, "an argument; repeatable, --arg=--flag for one with a dash")
      ->allow_extra_args(false);
  server->add_option("--env", options->env, "NAME=VALUE, which every node can read; repeatable")
      ->allow_extra_args(false);
  server->add_option("--secret-env", options->secret_env, "NAME=SECRET/KEY of an MCPSecret; repeatable")
      ->allow_extra_args(false);
  server->add_option("--header", options->headers, "with --remote: NAME=VALUE; repeatable")->allow_extra_args(false);
  server->add_option("--secret-header", options->secret_headers, "with --remote: NAME=SECRET/KEY; repeatable")
      ->allow_extra_args(false);
  server->add_option("--port", options->port, "it listens there, and speaks streamable-http")
      ->check(CLI::Range(1, 65535));
  server->add_option("--path", options->path, "of its endpoint, with --port; /mcp by default");
  server->add_option("--network", options->network, "None (default), Outbound or Host")
      ->check(CLI::IsMember({"None", "Outbound", "Host"}));
  server->add_option("--memory", options->memory, "limit, such as 256Mi");
  server->add_option("--cpu", options->cpu, "limit, such as 500m");
  server->add_option("--pull-secret", options->pull_secret, "with --image: MCPSecret for its registry");
  server->add_option("--node", options->nodes, "a node that runs it; repeatable, all by default")
      ->allow_extra_args(false);
  server
      ->add_option("--node-selector", options->node_selector, "KEY=VALUE, a label of the nodes that run it; repeatable")
      ->allow_extra_args(false);
  server->add_option("--replicas", options->replicas, "on so many of these nodes; needs a store with a Worker")
      ->check(CLI::Range(1, 1000));
  server->add_option("--label", options->labels, "KEY=VALUE, a label of the server; repeatable")
      ->allow_extra_args(false);
  AddNewServerOptions(*server, &options->write);
  server->callback([options, &session] { session.Finish(RunCreateServer(session, *options)); });
}

}  // namespace mcpfleet::cli
