// Completion scripts ask mcpctl itself for words (`mcpctl __complete WORD…`), so they never go stale.
#include <algorithm>
#include <ostream>

#include <CLI/CLI.hpp>

#include "base/version.h"
#include "cli/fleet.h"
#include "cli/verbs.h"
#include "crd/schema.h"

namespace mcpfleet::cli {
namespace {

constexpr char kBash[] = R"_sh_(_mcpctl() {
  local IFS=$'\n' cur=${COMP_WORDS[COMP_CWORD]}
  COMPREPLY=($(compgen -W "$(mcpctl __complete "${COMP_WORDS[@]:1:COMP_CWORD-1}" 2>/dev/null)" -- "$cur"))
  if [[ ${COMP_WORDS[COMP_CWORD-1]} == -f || ${COMP_WORDS[COMP_CWORD-1]} == --filename ]]; then COMPREPLY=($(compgen -f -- "$cur")); fi
}
complete -o filenames -F _mcpctl mcpctl
)_sh_";
constexpr char kZsh[] = R"_sh_(#compdef mcpctl
_mcpctl() {
  if [[ ${words[CURRENT-1]} == -f || ${words[CURRENT-1]} == --filename ]]; then _files; return; fi
  local -a candidates
  candidates=(${(f)"$(mcpctl __complete ${words[2,CURRENT-1]} 2>/dev/null)"})
  compadd -- $candidates
}
compdef _mcpctl mcpctl
)_sh_";
constexpr char kFish[] = R"_sh_(function __mcpctl_complete
  set -l words (commandline -opc)
  mcpctl __complete $words[2..-1] 2>/dev/null
end
complete -c mcpctl -f -a '(__mcpctl_complete)'
complete -c mcpctl -s f -l filename -r -F
)_sh_";

// The deepest subcommand that the words name, and what follows it.
const CLI::App* Walk(const CLI::App* app, const std::vector<std::string>& words, std::vector<std::string>* rest) {
  for (const std::string& word : words) {
    const CLI::App* next = nullptr;
    for (const CLI::App* sub : app->get_subcommands(nullptr)) {
      if (sub->get_name() == word) next = sub;
    }
    if (next != nullptr && rest->empty()) app = next;
    else rest->push_back(word);
  }
  return app;
}

void Names(Session& session, std::string_view kind, std::ostream& out) {
  StatusOr<KvClient*> kv = session.Config();
  if (!kv.ok()) return;
  StatusOr<StoredState> state = ReadState(**kv, Deadline::After(std::chrono::seconds(3)));
  if (!state.ok()) return;
  for (const auto& [key, object] : state->objects) {
    if (key.kind == kind) out << key.name << "\n";
  }
}

void Complete(const CLI::App& root, Session& session, const std::vector<std::string>& words) {
  std::vector<std::string> rest;
  const CLI::App* app = Walk(&root, words, &rest);
  if (app->get_subcommands(nullptr).empty()) {
    for (const CLI::Option* option : app->get_options()) {
      for (const std::string& name : option->get_lnames()) session.out() << "--" << name << "\n";
    }
    bool takes_server = app->get_option_no_throw("server") != nullptr;
    bool takes_kind = app->get_option_no_throw("resource") != nullptr;
    if (takes_server) Names(session, kKindServer, session.out());
    if (takes_kind) {
      const KindSchema* kind = nullptr;
      for (const std::string& word : rest) kind = kind != nullptr ? kind : Schema::Builtin().Find(word);
      for (const auto& k : Schema::Builtin().kinds()) {
        if (kind == nullptr) session.out() << k->plural << "\n" << (k->short_names.empty() ? k->singular : k->short_names.front()) << "\n";
      }
      Names(session, kind == nullptr ? kKindServer : kind->kind, session.out());
    }
    return;
  }
  for (const CLI::App* sub : app->get_subcommands(nullptr)) {
    if (!sub->get_group().empty()) session.out() << sub->get_name() << "\n";
  }
}

}  // namespace

void RegisterCompletion(CLI::App& root, Session& session) {
  auto* command = root.add_subcommand("completion", "Print the completion script of a shell");
  auto shell = std::make_shared<std::string>();
  command->footer("Examples:\n  source <(mcpctl completion bash)\n  mcpctl completion zsh > \"${fpath[1]}/_mcpctl\"\n"
                  "  mcpctl completion fish > ~/.config/fish/completions/mcpctl.fish");
  command->add_option("shell", *shell, "bash, zsh or fish")->required()->check(CLI::IsMember({"bash", "zsh", "fish"}));
  command->callback([shell, &session] { session.out() << (*shell == "bash" ? kBash : *shell == "zsh" ? kZsh : kFish); });

  auto* complete = root.add_subcommand("__complete", "");
  complete->group("");  // not in --help
  complete->prefix_command();
  complete->callback([&root, complete, &session] { Complete(root, session, complete->remaining()); });
}

void RegisterVersion(CLI::App& root, Session& session) {
  auto* command = root.add_subcommand("version", "The version of mcpctl");
  command->callback([&session] { session.out() << "mcpctl " << Version() << " (" << kApiVersion << ")\n"; });
}

}  // namespace mcpfleet::cli
