// `mcpctl registry`: servers from the MCP registry. The API is in cli/registry/, the mapping of server.json in
// cli/convert/.
#include <algorithm>
#include <cstdlib>
#include <memory>
#include <ostream>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "base/strings.h"
#include "cli/confirm.h"
#include "cli/convert/convert.h"
#include "cli/converted.h"
#include "cli/create_server.h"
#include "cli/output.h"
#include "cli/registry/registry_client.h"
#include "cli/table.h"
#include "cli/verbs.h"

namespace mcpfleet::cli {
namespace {

constexpr size_t kDescription = 80;

struct RegistryOptions {
  std::string registry, text, name, version = "latest", output, as, package;
  std::vector<std::string> set;
  int limit = 50;
  bool yes = false;
  NewServer write;
};

StatusOr<std::unique_ptr<registry::RegistryClient>> OpenRegistry(Session& session, const RegistryOptions& options) {
  const char* of_environment = getenv("MCPCTL_REGISTRY");
  std::string url = options.registry;
  if (url.empty()) url = of_environment != nullptr && *of_environment != '\0' ? of_environment : registry::kOfficial;
  registry::OnRequest on_request;
  if (session.options().verbosity > 0)
    on_request = [&session](const std::string& line) { session.err() << "registry: " << line << "\n"; };
  return registry::RegistryClient::Create(url, std::move(on_request));
}

std::string Shown(const Json& object, const char* member, size_t most = 200) {
  return Printable(GetString(object, member), most);
}

// The member as the format of 2025-12-11 calls it, or as that of 2025-07-09 did.
std::string Either(const Json& object, const char* name, const char* before) {
  const std::string text = GetString(object, name);
  return Printable(text.empty() ? GetString(object, before) : text, 100);
}

// "npm, oci, remote"
std::string Kinds(const Json& server) {
  std::vector<std::string> kinds;
  const auto add = [&](const std::string& kind) {
    if (!kind.empty() && std::find(kinds.begin(), kinds.end(), kind) == kinds.end()) kinds.push_back(kind);
  };
  if (const Json& packages = GetMember(server, "packages"); packages.is_array()) {
    for (const Json& package : packages) add(Either(package, "registryType", "registry_type"));
  }
  if (const Json& remotes = GetMember(server, "remotes"); remotes.is_array() && !remotes.empty()) add("remote");
  return Join(kinds, ",");
}

Status RunSearch(Session& session, const RegistryOptions& options) {
  RETURN_IF_ERROR(CheckOutput(options.output, {"json", "yaml", "name", "jsonpath"}));
  ASSIGN_OR_RETURN(const auto client, OpenRegistry(session, options));
  ASSIGN_OR_RETURN(const Deadline deadline, session.RequestDeadline());
  ASSIGN_OR_RETURN(const registry::Found found,
                   client->Search(options.text, static_cast<size_t>(options.limit), deadline));
  std::vector<Json> servers;
  Table table({"NAME", "VERSION", "RUNS AS", "DESCRIPTION"});
  for (const registry::Entry& entry : found.entries) {
    servers.push_back(entry.server);
    const std::string note = entry.status == "deprecated" ? "(deprecated) " : "";
    table.Add({Shown(entry.server, "name"), Shown(entry.server, "version", 40), Kinds(entry.server),
               note + Shown(entry.server, "description", kDescription)});
  }
  if (found.more)
    session.err() << "note: there are more; say more of the name, or --limit " << options.limit * 2 << "\n";
  if (options.output == "name") {
    for (const Json& server : servers) session.out() << Shown(server, "name") << "\n";
    return OkStatus();
  }
  if (!options.output.empty()) return PrintObjects(session.out(), options.output, servers, true);
  if (table.empty()) {
    session.err() << "No servers"
                  << (options.text.empty() ? "" : " with \"" + Printable(options.text, 80) + "\" in their name")
                  << "\n";
    return OkStatus();
  }
  table.Print(session.out());
  return OkStatus();
}

void ShowInputs(std::ostream& out, const Json& list) {
  if (!list.is_array()) return;
  for (const Json& input : list) {
    const bool required = GetBool(input, "isRequired", GetBool(input, "is_required"));
    const bool secret = GetBool(input, "isSecret", GetBool(input, "is_secret"));
    std::string name = Shown(input, "name", 80);
    if (name.empty()) name = Either(input, "valueHint", "value_hint");
    if (name.empty()) name = Shown(input, "value", 80);
    const std::string fallback = Shown(input, "default", 80);
    const std::string description = Shown(input, "description");
    out << "    " << name << (required ? " (required)" : "") << (secret ? " (secret)" : "")
        << (fallback.empty() || secret ? "" : " = " + fallback) << (description.empty() ? "" : "  " + description)
        << "\n";
  }
}

// Both spellings: one is absent.
void ShowInputs(std::ostream& out, const Json& of, const char* title, const char* name, const char* before) {
  const Json& list = GetMember(of, name).is_array() ? GetMember(of, name) : GetMember(of, before);
  if (!list.is_array() || list.empty()) return;
  out << "  " << title << ":\n";
  ShowInputs(out, list);
}

void ShowServer(std::ostream& out, const registry::Entry& entry) {
  const Json& server = entry.server;
  out << "Name:         " << Shown(server, "name") << "\nVersion:      " << Shown(server, "version", 60) << "\n";
  if (!entry.status.empty()) {
    out << "Status:       " << Printable(entry.status, 40)
        << (entry.status_message.empty() ? "" : ": " + Printable(entry.status_message, 500)) << "\n";
  }
  out << "Description:  " << Shown(server, "description", 500) << "\n";
  const std::string source = Shown(GetMember(server, "repository"), "url"), site = Shown(server, "websiteUrl");
  if (!source.empty()) out << "Repository:   " << source << "\n";
  if (!site.empty()) out << "Website:      " << site << "\n";
  const Json& packages = GetMember(server, "packages");
  for (size_t i = 0; packages.is_array() && i < packages.size(); ++i) {
    const Json& package = packages[i];
    const std::string version = Shown(package, "version", 60);
    out << "Package:      " << Either(package, "registryType", "registry_type") << " "
        << Shown(package, "identifier", 300) << (version.empty() ? "" : " " + version) << ", "
        << Printable(GetString(GetMember(package, "transport"), "type", "stdio"), 40) << "\n";
    ShowInputs(out, package, "Variables", "environmentVariables", "environment_variables");
    ShowInputs(out, package, "Arguments", "packageArguments", "package_arguments");
  }
  const Json& remotes = GetMember(server, "remotes");
  for (size_t i = 0; remotes.is_array() && i < remotes.size(); ++i) {
    out << "Remote:       " << Shown(remotes[i], "url", 300) << ", " << Either(remotes[i], "type", "transport_type")
        << "\n";
    ShowInputs(out, remotes[i], "Headers", "headers", "headers");
  }
}

Status RunShow(Session& session, const RegistryOptions& options) {
  RETURN_IF_ERROR(CheckOutput(options.output, {"json", "yaml", "jsonpath"}));
  ASSIGN_OR_RETURN(const auto client, OpenRegistry(session, options));
  ASSIGN_OR_RETURN(const Deadline deadline, session.RequestDeadline());
  ASSIGN_OR_RETURN(const registry::Entry entry, client->Show(options.name, options.version, deadline));
  if (!options.output.empty()) return PrintObjects(session.out(), options.output, {entry.server}, false);
  ShowServer(session.out(), entry);
  return OkStatus();
}

std::string SourceText(const Json& source) {
  const Json& package = GetMember(source, "package");
  if (package.is_object())
    return GetString(package, "manager") + " package " + Printable(GetString(package, "name"), 214) + " " +
           Printable(GetString(package, "version"), 128);
  if (GetMember(source, "image").is_object())
    return "image " + Printable(GetString(GetMember(source, "image"), "ref"), 512);
  return "nothing here: it is watched at " + Printable(GetString(GetMember(source, "remote"), "url"), 500);
}

void ShowValues(std::ostream& out, const char* title, const Json& list) {
  if (!list.is_array() || list.empty()) return;
  const char* lead = title;
  for (const Json& each : list) {
    const Json& reference = GetMember(GetMember(each, "valueFrom"), "secretKeyRef");
    out << lead << Printable(GetString(each, "name"), 128)
        << (reference.is_object()
                ? " from the secret " + GetString(reference, "name") + ", key " + GetString(reference, "key")
                : " = " + Printable(GetString(each, "value"), 200))
        << "\n";
    lead = "              ";
  }
}

// What would run, before it is asked for.
void ShowPlan(std::ostream& err, const registry::Entry& entry, const Json& object) {
  const Json& spec = GetMember(object, "spec");
  err << "Server:       " << Shown(entry.server, "name") << " " << Shown(entry.server, "version", 60) << ", as "
      << GetString(GetMember(object, "metadata"), "name") << "\nRuns:         " << SourceText(GetMember(spec, "source"))
      << "\n";
  if (const Json& args = GetMember(spec, "args"); args.is_array()) {
    err << "Arguments:    ";
    for (size_t i = 0; i < args.size(); ++i) err << (i == 0 ? "" : " ") << Printable(DumpJson(args[i]), 200);
    err << "\n";
  }
  ShowValues(err, "Variables:    ", GetMember(spec, "env"));
  ShowValues(err, "Headers:      ", GetMember(GetMember(GetMember(spec, "source"), "remote"), "headers"));
  if (const Json& port = GetMember(spec, "port"); port.is_number_integer())
    err << "Listens:      on port " << DumpJson(port) << "\n";
  const std::string network = GetString(GetMember(spec, "securityContext"), "network");
  if (!network.empty()) err << "Network:      " << network << "\n";
  if (const Json& volumes = GetMember(spec, "volumes"); volumes.is_array()) {
    for (const Json& volume : volumes)
      err << "Volume:       " << Printable(GetString(volume, "hostPath", "memory"), 200) << " at "
          << Printable(GetString(volume, "mountPath"), 200) << "\n";
  }
}

// What the server can't do without and nobody has given.
Status CheckInputs(const convert::Conversion& conversion) {
  std::vector<std::string> missing;
  for (const convert::Input& input : conversion.inputs) {
    if (!input.required || input.known || input.secret) continue;
    const std::string description = input.description.empty() ? "" : " (" + Printable(input.description, 120) + ")";
    missing.push_back("--set " + Printable(input.name, 80) + "=VALUE" + description);
  }
  if (missing.empty()) return OkStatus();
  return InvalidArgument("it needs values: " + Join(missing, ", "));
}

Status CheckUnusedValues(const convert::Conversion& conversion, const std::map<std::string, std::string>& values) {
  for (const auto& [name, value] : values) {
    const auto is_it = [&wanted = name](const convert::Input& input) { return input.name == wanted; };
    const auto input = std::find_if(conversion.inputs.begin(), conversion.inputs.end(), is_it);
    if (input == conversion.inputs.end())
      return InvalidArgument("--set " + Printable(name, 80) + ": it asks for no such value");
    if (input->secret)
      return InvalidArgument("--set " + Printable(name, 80) + ": is a secret; its value comes from an MCPSecret");
  }
  return OkStatus();
}

Status RunInstall(Session& session, const RegistryOptions& options) {
  ASSIGN_OR_RETURN(const auto client, OpenRegistry(session, options));
  ASSIGN_OR_RETURN(const Deadline deadline, session.RequestDeadline());
  ASSIGN_OR_RETURN(const registry::Entry entry, client->Show(options.name, options.version, deadline));
  const std::string name = Shown(entry.server, "name");
  if (entry.status == "deleted")
    return FailedPrecondition(name + " was deleted from the registry; it is not installed");
  if (entry.status == "deprecated")
    session.err() << "warning: " << name << " is deprecated"
                  << (entry.status_message.empty() ? "" : ": " + Printable(entry.status_message, 500)) << "\n";
  convert::Options wanted{.from = convert::Format::kServerJson, .prefer = options.package};
  ASSIGN_OR_RETURN(wanted.values, ParsePairs(options.set, "--set"));
  const std::map<std::string, std::string> values = wanted.values;
  ASSIGN_OR_RETURN(const convert::Conversion conversion,
                   ConvertResolved(session, DumpJson(entry.server), name, std::move(wanted), true));
  RETURN_IF_ERROR(CheckUnusedValues(conversion, values));
  RETURN_IF_ERROR(CheckInputs(conversion));
  const bool client_only = options.write.dry_run == "client";
  std::string space = session.options().namespace_;
  if (space.empty() && !client_only) {
    ASSIGN_OR_RETURN(space, session.Namespace());
  }
  if (conversion.objects.empty()) {
    PrintRemarks(session, conversion, name, space);
    return FailedPrecondition(name + ": can't be run here");
  }
  Json object = conversion.objects.front();
  if (!options.as.empty()) object["metadata"]["name"] = options.as;
  ShowPlan(session.err(), entry, object);
  PrintRemarks(session, conversion, name, space);
  NewServer write = options.write;
  if (write.message.empty()) write.message = "registry install " + name + " " + Shown(entry.server, "version", 60);
  if (write.dry_run == "none") RETURN_IF_ERROR(Ask(session, options.yes, "install " + name));
  return WriteNewServer(session, std::move(object), write);
}

void AddRegistryOption(CLI::App& command, RegistryOptions* options) {
  command.add_option("--registry", options->registry,
                     "URL of the registry; MCPCTL_REGISTRY, else " + std::string(registry::kOfficial));
}

void RegisterInstall(CLI::App& group, Session& session) {
  auto options = std::make_shared<RegistryOptions>();
  auto* install = group.add_subcommand("install", "Make an MCPServer of one, after showing what it would run");
  install->footer(
      "The first of its packages that runs here is taken (npm, pypi, oci), else a remote that speaks streamable-http. "
      "What\n"
      "it asks for is given by --set; secrets are not: the manifest refers to an MCPSecret of the server's name, and "
      "the\n"
      "command that makes it is printed.\n\n"
      "Examples:\n"
      "  mcpctl registry install io.github.user/weather --set UNITS=metric --wait\n"
      "  mcpctl registry install io.github.user/weather --version 1.0.2 --package oci -n tools --yes\n"
      "  mcpctl registry install io.github.user/weather --dry-run=client -o yaml > weather.yaml");
  install->add_option("name", options->name, "as search shows it, NAMESPACE/NAME")->required();
  install->add_option("--version", options->version, "of the entry")->capture_default_str();
  install->add_option("--as", options->as, "the server's name in the fleet; by default what is behind the slash");
  install->add_option("--package", options->package, "which way to run it: npm, pypi, oci or remote")
      ->check(CLI::IsMember({"npm", "pypi", "oci", "remote"}));
  install->add_option("--set", options->set, "NAME=VALUE for a variable or argument it asks for; repeatable")
      ->allow_extra_args(false);
  install->add_flag("-y,--yes", options->yes, "don't ask");
  AddRegistryOption(*install, options.get());
  AddNewServerOptions(*install, &options->write);
  install->callback([options, &session] { session.Finish(RunInstall(session, *options)); });
}

}  // namespace

void RegisterRegistry(CLI::App& root, Session& session) {
  auto* group = root.add_subcommand("registry", "Servers from the MCP registry: search, show, install");
  group->require_subcommand(1);
  group->footer(
      "The registry says what a server is and how it is run; whether it is to be trusted it does not say.\n\n"
      "Examples:\n  mcpctl registry search filesystem\n  mcpctl registry show io.github.user/weather\n"
      "  mcpctl registry install io.github.user/weather\n"
      "  MCPCTL_REGISTRY=https://registry.example.com mcpctl registry search");
  auto options = std::make_shared<RegistryOptions>();
  auto* search = group->add_subcommand("search", "Servers with a text in their name, the newest version of each");
  search->footer("Examples:\n  mcpctl registry search weather\n  mcpctl registry search weather --limit 200 -o json");
  search->add_option("text", options->text, "part of the name; all without it");
  search->add_option("--limit", options->limit, "at most so many")->check(CLI::Range(1, 1000))->capture_default_str();
  search->add_option("-o,--output", options->output, "json, yaml, name or jsonpath=EXPRESSION");
  AddRegistryOption(*search, options.get());
  search->callback([options, &session] { session.Finish(RunSearch(session, *options)); });
  auto* show = group->add_subcommand("show", "What a server is, how it is run and what it asks for");
  show->footer(
      "Examples:\n  mcpctl registry show io.github.user/weather\n"
      "  mcpctl registry show io.github.user/weather --version 1.0.2 -o json | mcpctl convert -f -");
  show->add_option("name", options->name, "as search shows it, NAMESPACE/NAME")->required();
  show->add_option("--version", options->version, "of the entry")->capture_default_str();
  show->add_option("-o,--output", options->output, "json, yaml or jsonpath=EXPRESSION");
  AddRegistryOption(*show, options.get());
  show->callback([options, &session] { session.Finish(RunShow(session, *options)); });
  RegisterInstall(*group, session);
}

}  // namespace mcpfleet::cli
