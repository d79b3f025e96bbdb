#include "cli/usage.h"

#include <string_view>

#include <CLI/CLI.hpp>

#include "base/strings.h"

namespace mcpfleet::cli {
namespace {

const CLI::App* Deepest(const CLI::App* app) {
  for (;;) {
    std::vector<CLI::App*> parsed = const_cast<CLI::App*>(app)->get_subcommands();
    if (parsed.empty()) return app;
    app = parsed.front();
  }
}

std::string PathOf(const CLI::App* app) {
  return app->get_parent() == nullptr ? app->get_name() : PathOf(app->get_parent()) + " " + app->get_name();
}

std::vector<std::string> Verbs(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::App* sub : app.get_subcommands(nullptr)) {
    if (!sub->get_group().empty()) names.push_back(sub->get_name());
  }
  return names;
}

std::vector<std::string> FlagsOf(const CLI::App* app) {
  std::vector<std::string> names;
  for (; app != nullptr; app = app->get_parent()) {
    for (const CLI::Option* option : app->get_options()) {
      for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
    }
  }
  return names;
}

std::string Meant(const std::string& word, const std::vector<std::string>& candidates) {
  std::string near = Nearest(word, candidates);
  return near.empty() ? "" : "; did you mean \"" + near + "\"?";
}

}  // namespace

std::vector<std::string> SplitShortValues(std::vector<std::string> words) {
  std::vector<std::string> out;
  bool options = true;
  for (std::string& word : words) {
    options = options && word != "--";
    if (options && word.size() > 2 && word[0] == '-' && word[2] == '=' &&
        std::string_view("nolfm").find(word[1]) != std::string_view::npos) {
      out.push_back(word.substr(0, 2));
      out.push_back(word.substr(3));
    } else {
      out.push_back(std::move(word));
    }
  }
  return out;
}

std::string UsageText(const CLI::App& root, const CLI::ParseError& error) {
  const CLI::App* app = Deepest(&root);
  std::string see = "\nsee: " + PathOf(app) + " --help\n";
  std::vector<std::string> unread = root.remaining(true);
  std::string word = unread.empty() ? "" : unread.front();
  std::string shown = Printable(word, 60);
  if (word.starts_with('-') && word.size() > 1) {
    std::string flag = word.substr(0, word.find('='));
    return "error: " + PathOf(app) + " has no flag " + Printable(flag, 60) + Meant(flag, FlagsOf(app)) + see;
  }
  if (std::vector<std::string> verbs = Verbs(*app); !verbs.empty()) {
    if (word.empty()) return "error: " + PathOf(app) + " needs a verb: " + Join(verbs, ", ") + see;
    return "error: " + PathOf(app) + " has no verb \"" + shown + "\"" + Meant(word, verbs) + see;
  }
  if (!word.empty()) {
    bool files = app->get_option_no_throw("--filename") != nullptr;
    return "error: " + PathOf(app) + ": unexpected argument \"" + shown + "\"" +
           (files ? "; files are given with -f" : "") + see;
  }
  return "error: " + PathOf(app) + ": " + error.what() + see;
}

}  // namespace mcpfleet::cli
