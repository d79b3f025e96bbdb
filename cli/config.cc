#include <iostream>

#include <CLI/CLI.hpp>

#include <nlohmann/json.hpp>

#include "base/digest.h"
#include "base/strings.h"
#include "cli/context.h"
#include "cli/table.h"
#include "cli/verbs.h"
#include "crd/codec.h"

namespace mcpfleet::cli {
namespace {

struct SetContextOptions {
  Context context;
  std::string seen_head;
  bool token_stdin = false, use = false;
};

struct Tokens {
  std::string store, admin;
};

// Tokens come by stdin, never by argv, where every user of the machine could read them.
StatusOr<Tokens> ReadTokens() {
  Tokens tokens;
  std::getline(std::cin, tokens.store);
  std::getline(std::cin, tokens.admin);
  tokens = {std::string(Trim(tokens.store)), std::string(Trim(tokens.admin))};
  if (tokens.store.empty()) return InvalidArgument("--token-stdin: no token on stdin");
  return tokens;
}

// What was verified of another root, or is declared anew, counts no more.
void Forget(Context* context) {
  context->seen = {};
  context->seen_bytes.clear();
  context->trust_document.clear();
}

Status TakeTrust(const SetContextOptions& options, const CLI::App& command, Context* context) {
  const std::string& root = options.context.trust_root;
  if (command.count("--trust-root") != 0) {
    if (!root.empty() && !IsSha256Hex(root))
      return InvalidArgument("--trust-root: 64 hex digits are expected, as `mcpctl trust init` prints them");
    if (context->trust_root != root) Forget(context);
    context->trust_root = root;
  }
  if (command.count("--seen-head") != 0) {
    StatusOr<HeadOrder> seen = ParseHeadOrder(options.seen_head);
    if (!seen.ok()) return Annotate(seen.status(), "--seen-head");
    Forget(context);
    context->seen = *seen;
  }
  return OkStatus();
}

Status RunSetContext(const SetContextOptions& options, const CLI::App& command, Session& session) {
  Tokens tokens;
  if (options.token_stdin) {
    ASSIGN_OR_RETURN(tokens, ReadTokens());
  }
  bool created = false;
  const auto change = [&](ContextFile* file) -> Status {
    Context* context = file->Find(options.context.name);
    created = context == nullptr;
    if (created) {
      file->contexts.push_back({.name = options.context.name});
      context = &file->contexts.back();
    }
    const auto take = [&](const char* flag, std::string Context::*member) {
      if (command.count(flag) != 0) (*context).*member = options.context.*member;
    };
    take("--server", &Context::server);
    take("--account", &Context::account);
    take("--config-namespace", &Context::config_namespace);
    take("--state-namespace", &Context::state_namespace);
    take("--admin", &Context::admin);
    RETURN_IF_ERROR(TakeTrust(options, command, context));
    if (!session.options().namespace_.empty()) context->namespace_ = session.options().namespace_;
    if (!tokens.store.empty()) context->token = tokens.store;
    if (!tokens.admin.empty()) context->admin_token = tokens.admin;
    if (context->server.empty())
      return InvalidArgument("--server is missing: the URL of the store, for example http://127.0.0.1:8702");
    if (options.use || file->current.empty()) file->current = options.context.name;
    return OkStatus();
  };
  RETURN_IF_ERROR(UpdateContexts(ContextPath(), change));
  session.err() << "context \"" << options.context.name << "\" " << (created ? "created" : "changed") << " in "
                << ContextPath() << "\n";
  return OkStatus();
}

Status RunGetContexts(Session& session) {
  ASSIGN_OR_RETURN(ContextFile file, LoadContexts(ContextPath()));
  Table table({"CURRENT", "NAME", "SERVER", "ADMIN", "NAMESPACE"});
  for (const Context& context : file.contexts) {
    table.Add({context.name == file.current ? "*" : "", context.name, context.server,
               context.admin.empty() ? "<none>" : context.admin, context.namespace_});
  }
  table.Print(session.out());
  return OkStatus();
}

Status RunView(Session& session) {
  ASSIGN_OR_RETURN(ContextFile file, LoadContexts(ContextPath()));
  Json contexts = Json::array();
  for (const Context& context : file.contexts) {
    Json json = {{"name", context.name},
                 {"server", context.server},
                 {"account", context.account},
                 {"configNamespace", context.config_namespace},
                 {"stateNamespace", context.state_namespace},
                 {"namespace", context.namespace_}};
    if (!context.token.empty()) json["token"] = "REDACTED";
    if (!context.admin.empty()) json["admin"] = context.admin;
    if (!context.admin_token.empty()) json["adminToken"] = "REDACTED";
    if (!context.trust_root.empty()) {
      json["trustRoot"] = context.trust_root;
      json["seenHead"] = ToString(context.seen);
    }
    contexts.push_back(std::move(json));
  }
  session.out() << ObjectToYaml(
      {{"apiVersion", kApiVersion}, {"kind", "Config"}, {"currentContext", file.current}, {"contexts", contexts}});
  return OkStatus();
}

Status RunUseContext(Session& session, const std::string& name) {
  const auto use = [&](ContextFile* file) -> Status {
    RETURN_IF_ERROR(ChooseContext(*file, name).status());
    file->current = name;
    return OkStatus();
  };
  RETURN_IF_ERROR(UpdateContexts(ContextPath(), use));
  session.err() << "switched to context \"" << name << "\"\n";
  return OkStatus();
}

Status RunDeleteContext(Session& session, const std::string& name) {
  RETURN_IF_ERROR(UpdateContexts(ContextPath(), [&](ContextFile* file) -> Status {
    if (file->Find(name) == nullptr) return NotFound("no context \"" + name + "\" in " + file->path);
    std::erase_if(file->contexts, [&](const Context& context) { return context.name == name; });
    if (file->current == name) file->current.clear();
    return OkStatus();
  }));
  session.err() << "context \"" << name << "\" deleted\n";
  return OkStatus();
}

}  // namespace

void RegisterConfig(CLI::App& root, Session& session) {
  auto* config = root.add_subcommand("config", "Contexts: which store and node mcpctl talks to");
  config->require_subcommand(1);
  config->footer(
      "Examples:\n"
      "  mcpctl config set-context edge --server https://fleet.example.com --token-stdin --use < token\n"
      "  mcpctl config get-contexts\n  mcpctl config use-context edge");

  auto* set = config->add_subcommand("set-context", "Create or change a context");
  auto options = std::make_shared<SetContextOptions>();
  set->add_option("name", options->context.name, "its name")->required();
  set->add_option("--server", options->context.server, "URL of the store");
  set->add_option("--account", options->context.account, "Cloudflare account id");
  set->add_option("--config-namespace", options->context.config_namespace,
                  "id of the KV namespace with the desired state");
  set->add_option("--state-namespace", options->context.state_namespace, "id of the KV namespace with the statuses");
  set->add_option("--admin", options->context.admin, "a node's admin API: http://HOST:PORT or unix:///PATH");
  set->add_option("--trust-root", options->context.trust_root,
                  "the fingerprint that `mcpctl trust init` printed: nothing is signed without it in a signed fleet, "
                  "and new nodes are told to follow it");
  set->add_option("--seen-head", options->seen_head,
                  "the least head to build on, trust.epoch.revision: for a machine that has seen none yet");
  set->add_flag("--token-stdin", options->token_stdin,
                "read the store's token from stdin; a second line is the admin API's");
  set->add_flag("--use", options->use, "and make it the current one");
  set->callback([options, set, &session] { session.Finish(RunSetContext(*options, *set, session)); });

  auto* list = config->add_subcommand("get-contexts", "List them");
  list->callback([&session] { session.Finish(RunGetContexts(session)); });

  auto* view = config->add_subcommand("view", "The file, without its tokens");
  view->callback([&session] { session.Finish(RunView(session)); });

  auto* current = config->add_subcommand("current-context", "The one in use");
  current->callback([&session] {
    StatusOr<Context> context = session.context();
    if (context.ok()) session.out() << context->name << "\n";
    session.Finish(context.status());
  });

  auto name = std::make_shared<std::string>();
  auto* use = config->add_subcommand("use-context", "Use this one from now on");
  use->add_option("name", *name, "its name")->required();
  use->callback([name, &session] { session.Finish(RunUseContext(session, *name)); });
  auto* remove = config->add_subcommand("delete-context", "Forget one");
  remove->add_option("name", *name, "its name")->required();
  remove->callback([name, &session] { session.Finish(RunDeleteContext(session, *name)); });
}

}  // namespace mcpfleet::cli
