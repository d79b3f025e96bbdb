// Completion scripts ask mcpctl itself for words (`mcpctl __complete WORD…`), so they never go stale.
#include <ostream>
#include <set>
#include <sstream>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "base/strings.h"
#include "base/version.h"
#include "cli/convert/convert.h"
#include "cli/fleet.h"
#include "cli/output.h"
#include "cli/verbs.h"
#include "crd/labels.h"
#include "crd/schema.h"
#include "gitops/apply_set.h"

namespace mcpfleet::cli {
namespace {

// The word at the cursor goes along, last and perhaps empty: it decides whether flags are offered. compgen expands the
// words that it is given, so __complete prints nothing but names of the API's characters, flags and verbs.
constexpr char kBash[] = R"_sh_(_mcpctl() {
  local IFS=$'\n' cur=${COMP_WORDS[COMP_CWORD]}
  if [[ ${COMP_WORDS[COMP_CWORD-1]} =~ ^(-f|--filename|-k|--kustomize|--token-file|--file|--to|--out)$ ]]; then
    compopt -o filenames
    COMPREPLY=($(compgen -f -- "$cur"))
    return
  fi
  if [[ ${COMP_WORDS[COMP_CWORD-1]} == render ]]; then
    compopt -o filenames
    COMPREPLY=($(compgen -d -- "$cur"))
    return
  fi
  COMPREPLY=($(compgen -W "$(mcpctl __complete -- "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)" -- "$cur"))
}
complete -F _mcpctl mcpctl
)_sh_";
constexpr char kZsh[] = R"_sh_(#compdef mcpctl
_mcpctl() {
  if [[ ${words[CURRENT-1]} == (-f|--filename|-k|--kustomize|--token-file|--file|--to|--out) ]]; then _files; return; fi
  if [[ ${words[CURRENT-1]} == render ]]; then _files -/; return; fi
  local -a candidates
  candidates=(${(f)"$(mcpctl __complete -- "${(@)words[2,CURRENT]}" 2>/dev/null)"})
  compadd -- $candidates
}
compdef _mcpctl mcpctl
)_sh_";
constexpr char kFish[] = R"_sh_(function __mcpctl_complete
  set -l words (commandline -opc)
  mcpctl __complete -- $words[2..-1] (commandline -ct) 2>/dev/null
end
complete -c mcpctl -f -a '(__mcpctl_complete)'
complete -c mcpctl -s f -l filename -r -F
complete -c mcpctl -s k -l kustomize -r -F
complete -c mcpctl -n '__fish_seen_subcommand_from render' -F
complete -c mcpctl -l token-file -r -F
complete -c mcpctl -l file -r -F
complete -c mcpctl -l to -r -F
complete -c mcpctl -l out -r -F
)_sh_";

// The deepest subcommand that the words name, and what follows it.
const CLI::App* Walk(const CLI::App* app, const std::vector<std::string>& words, std::vector<std::string>* rest) {
  for (const std::string& word : words) {
    const CLI::App* next = nullptr;
    for (const CLI::App* sub : app->get_subcommands(nullptr)) {
      if (sub->get_name() == word) next = sub;
    }
    if (next != nullptr && rest->empty())
      app = next;
    else
      rest->push_back(word);
  }
  return app;
}

// What the store has goes to a shell: only what is a name.
void PrintName(std::ostream& out, const std::string& name) {
  if (CheckName(name).empty()) out << name << "\n";
}

void Names(Session& session, std::string_view kind) {
  StatusOr<KvClient*> kv = session.Config();
  StatusOr<std::string> wanted = session.Namespace();
  if (!kv.ok() || !wanted.ok()) return;
  StatusOr<StoredState> state = ReadState(**kv, Deadline::After(std::chrono::seconds(3)));
  if (!state.ok()) return;
  for (const auto& [key, object] : state->objects) {
    if (key.kind == kind && (key.namespace_.empty() || key.namespace_ == *wanted)) PrintName(session.out(), key.name);
  }
}

void Namespaces(Session& session) {
  StatusOr<KvClient*> kv = session.Config();
  if (!kv.ok()) return;
  StatusOr<StoredState> state = ReadState(**kv, Deadline::After(std::chrono::seconds(3)));
  if (!state.ok()) return;
  std::set<std::string> names;
  for (const auto& [key, object] : state->objects) names.insert(key.namespace_);
  for (const std::string& name : names) PrintName(session.out(), name);
}

void ApplySets(Session& session) {
  StatusOr<KvClient*> kv = session.Config();
  if (!kv.ok()) return;
  StatusOr<StoredState> state = ReadState(**kv, Deadline::After(std::chrono::seconds(3)));
  if (!state.ok()) return;
  std::set<std::string> names;
  for (const auto& [key, object] : state->objects) names.insert(ApplySetOf(object));
  for (const std::string& name : names) PrintName(session.out(), name);
}

// Values of the option before the cursor; false when it takes none that we know.
bool Values(const CLI::App& app, Session& session, const std::string& option) {
  std::ostream& out = session.out();
  if (option == "-n" || option == "--namespace") {
    Namespaces(session);
  } else if (option == "--context") {
    StatusOr<ContextFile> file = LoadContexts(ContextPath());
    for (size_t i = 0; file.ok() && i < file->contexts.size(); ++i) PrintName(out, file->contexts[i].name);
  } else if ((option == "-o" || option == "--output") && (app.get_name() == "validate" || app.get_name() == "diff")) {
    out << "json\nsarif\njunit\n";
  } else if ((option == "-o" || option == "--output") && app.get_name() == "render") {
    out << "yaml\njson\nname\n";
  } else if (option == "--applyset") {
    ApplySets(session);
  } else if (option == "-o" || option == "--output") {
    out << "wide\njson\nyaml\nname\njsonpath=\n";
  } else if (option == "--dry-run") {
    out << "client\nserver\n";
  } else if (option == "--from" && app.get_name() == "convert") {
    for (const std::string& name : convert::FormatNames()) out << name << "\n";
  } else if (option == "--package") {
    out << "npm\npypi\noci\nremote\n";
  } else if (option == "--network") {
    out << "None\nOutbound\nHost\n";
  } else if (option == "--node") {
    Names(session, kKindNode);
  } else if (option == "--via") {
    out << "auto\ngateway\nadmin\n";
  } else if (option == "--client" && app.get_name() == "connect") {
    out << "claude\nclaude-code\ncursor\nvscode\nraw\n";
  } else if (option == "--for" && app.get_name() == "wait") {
    out << "condition=Ready\ndelete\n";
  } else {
    return false;
  }
  return true;
}

void Flags(const CLI::App& app, std::ostream& out) {
  for (const CLI::App* at = &app; at != nullptr; at = at->get_parent()) {
    for (const CLI::Option* option : at->get_options()) {
      for (const std::string& name : option->get_lnames()) {
        if (at == &app || name != "help") out << "--" << name << "\n";
      }
    }
  }
}

// Kinds where one is still to be said ("mcp" or "mcp/"), then names.
void Resources(Session& session, const std::vector<std::string>& rest, const std::string& current) {
  const Schema& schema = Schema::Builtin();
  if (size_t slash = current.find('/'); slash != std::string::npos) {
    const KindSchema* kind = schema.Find(current.substr(0, slash));
    if (kind == nullptr) return;
    std::ostringstream names;
    Session quiet(names, session.err(), session.clock());
    quiet.options() = session.options();
    Names(quiet, kind->kind);
    for (const std::string& name : Split(names.str(), '\n')) {
      if (!name.empty()) session.out() << current.substr(0, slash + 1) << name << "\n";
    }
    return;
  }
  const KindSchema* kind = nullptr;
  for (const std::string& word : rest) kind = kind != nullptr ? kind : schema.Find(word);
  if (kind != nullptr) return Names(session, kind->kind);
  for (const auto& k : schema.kinds()) {
    session.out() << k->plural << "\n";
    for (const std::string& name : k->short_names) session.out() << name << "\n";
  }
}

}  // namespace

void Complete(const CLI::App& root, Session& session, std::vector<std::string> words) {
  if (!words.empty() && words.front() == "--") words.erase(words.begin());
  std::string current;
  if (!words.empty()) {
    current = words.back();
    words.pop_back();
  }
  for (size_t i = 0; i + 1 < words.size(); ++i) {
    if (words[i] == "-n" || words[i] == "--namespace") session.options().namespace_ = words[i + 1];
    if (words[i] == "--context") session.options().context = words[i + 1];
  }
  std::vector<std::string> rest;
  const CLI::App* app = Walk(&root, words, &rest);
  if (!words.empty() && words.back().starts_with('-') && Values(*app, session, words.back())) return;
  if (current.starts_with('-')) return Flags(*app, session.out());
  for (const CLI::App* sub : app->get_subcommands(nullptr)) {
    if (!sub->get_group().empty()) session.out() << sub->get_name() << "\n";
  }
  if (!app->get_subcommands(nullptr).empty()) return;
  if (app->get_option_no_throw("server") != nullptr && rest.empty()) return Names(session, kKindServer);
  // Verbs over one kind only take bare names.
  static const std::set<std::string> kNodesOnly{"cordon", "uncordon", "drain"};
  if (kNodesOnly.count(app->get_name()) != 0) return Names(session, kKindNode);
  if (app->get_option_no_throw("node") != nullptr && rest.empty()) return Names(session, kKindNode);
  static const std::set<std::string> kServersOnly{"logs", "suspend", "resume", "status", "history", "undo", "restart"};
  if (kServersOnly.count(app->get_name()) != 0) return Names(session, kKindServer);
  if (app->get_option_no_throw("resource") != nullptr) Resources(session, rest, current);
}

void RegisterCompletion(CLI::App& root, Session& session) {
  auto* command = root.add_subcommand("completion", "Print the completion script of a shell");
  auto shell = std::make_shared<std::string>();
  command->footer(
      "Examples:\n  source <(mcpctl completion bash)\n  mcpctl completion zsh > \"${fpath[1]}/_mcpctl\"\n"
      "  mcpctl completion fish > ~/.config/fish/completions/mcpctl.fish");
  command->add_option("shell", *shell, "bash, zsh or fish")->required()->check(CLI::IsMember({"bash", "zsh", "fish"}));
  command->callback([shell, &session] {
    session.out() << (*shell == "bash" ? kBash : *shell == "zsh" ? kZsh : kFish);
  });
}

void RegisterVersion(CLI::App& root, Session& session) {
  auto* command = root.add_subcommand("version", "The version of mcpctl");
  auto output = std::make_shared<std::string>();
  auto client = std::make_shared<bool>(false);
  command->footer("Examples:\n  mcpctl version\n  mcpctl version -o json");
  command->add_option("-o,--output", *output, "json, yaml or jsonpath=EXPRESSION");
  command->add_flag("--client", *client, "as without: it is always that of mcpctl");
  command->callback([output, client, &session] {
    session.Finish([&]() -> Status {
      RETURN_IF_ERROR(CheckOutput(*output, {"json", "yaml", "jsonpath"}));
      if (!output->empty()) {
        const Json version = {{"clientVersion", {{"version", Version()}, {"apiVersion", kApiVersion}}}};
        return PrintObjects(session.out(), *output, {version}, false);
      }
      session.out() << "mcpctl " << Version() << " (" << kApiVersion << ")\n";
      return OkStatus();
    }());
  });
}

}  // namespace mcpfleet::cli
