// Command lines that clients start on their own machine, as sources.
#include <algorithm>
#include <array>
#include <set>

#include "base/strings.h"
#include "cli/convert/docker_run.h"
#include "cli/convert/draft.h"
#include "cli/convert/package_name.h"

namespace mcpfleet::convert {
namespace {

// "/usr/local/bin/npx", "npx.cmd" -> "npx"
std::string BaseName(std::string_view program) {
  const size_t slash = program.find_last_of("/\\");
  std::string name = ToLower(slash == std::string_view::npos ? program : program.substr(slash + 1));
  for (std::string_view ending : {".exe", ".cmd", ".bat"}) {
    if (name.ends_with(ending)) name.resize(name.size() - ending.size());
  }
  return name;
}

class CommandLine {
 public:
  explicit CommandLine(Draft* draft) : draft_(*draft), words_(std::move(draft->args)) { draft->args.clear(); }

  void Read() {
    Text program = *draft_.program;
    std::string name = BaseName(program.value);
    // cmd /c npx …: how clients on Windows start what is no .exe
    if (name == "cmd" && words_.size() > 1 && ToLower(words_[0].value) == "/c") {
      program = words_[1];
      name = BaseName(program.value);
      next_ = 2;
    }
    if (!program.unknown.empty()) return draft_.LeaveOut(program.path, "the program " + program.unknown);
    using Reader = void (CommandLine::*)(const Text&);
    struct Launcher {
      std::string_view name, verb;  // `verb`: the words that must follow
      Reader read;
    };
    static constexpr std::array<Launcher, 12> kLaunchers{{{"npx", "", &CommandLine::Npm},
                                                          {"bunx", "", &CommandLine::Npm},
                                                          {"npm", "exec", &CommandLine::Npm},
                                                          {"bun", "x", &CommandLine::Npm},
                                                          {"pnpm", "dlx", &CommandLine::Npm},
                                                          {"yarn", "dlx", &CommandLine::Npm},
                                                          {"uvx", "", &CommandLine::Pypi},
                                                          {"uv", "tool run", &CommandLine::Pypi},
                                                          {"pipx", "run", &CommandLine::Pypi},
                                                          {"docker", "run", &CommandLine::Docker},
                                                          {"docker", "container run", &CommandLine::Docker},
                                                          {"podman", "run", &CommandLine::Docker}}};
    for (const Launcher& launcher : kLaunchers) {
      if (launcher.name == name && TakeVerb(launcher.verb)) return (this->*launcher.read)(program);
    }
    Program(program);
  }

 private:
  bool TakeVerb(std::string_view verb) {
    if (verb.empty()) return true;
    const std::vector<std::string> wanted = Split(verb, ' ');
    for (size_t i = 0; i < wanted.size(); ++i) {
      if (next_ + i >= words_.size() || words_[next_ + i].value != wanted[i]) return false;
    }
    next_ += wanted.size();
    return true;
  }

  // One that may not be known, and is then the end of it.
  const Text* TakeWord(const Text& program, const char* what) {
    if (next_ >= words_.size()) {
      draft_.LeaveOut(program.path, std::string("no ") + what + " follows");
      return nullptr;
    }
    const Text& word = words_[next_++];
    if (word.unknown.empty()) return &word;
    draft_.LeaveOut(word.path, std::string("the ") + what + " " + word.unknown);
    return nullptr;
  }

  void TakeRest() {
    if (next_ < words_.size() && words_[next_].value == "--" && words_[next_].unknown.empty()) ++next_;
    for (; next_ < words_.size(); ++next_) draft_.args.push_back(std::move(words_[next_]));
  }

  void Package(const std::string& manager, const Text& word) {
    StatusOr<PackageName> package = manager == "npm" ? ParseNpm(word.value) : ParsePypi(word.value);
    // Not the word itself: a URL of a repository may have a token in it.
    if (!package.ok())
      return draft_.LeaveOut(word.path, "is no package of " + manager + ": a name, with an exact version at most");
    if (manager == "npm" && package->name == "mcp-remote") return Remote(word);
    PutPackage(&draft_, manager, package->name, package->version, word.path);
    TakeRest();
  }

  // What npx, uvx and their like have in front of the package.
  struct Runner {
    std::string manager;
    std::vector<std::string_view> passed_over;  // without a value, and nothing to a node
    std::vector<std::string_view> package;      // name the package, when the program is called otherwise
    std::vector<std::string_view> lost;         // with a value
    std::vector<std::string_view> shell;        // a line for a shell
  };
  void Npm(const Text& program) {
    RunPackage(program, {.manager = "npm",
                         .passed_over = {"-y", "--yes", "-q", "--quiet", "--silent"},
                         .package = {"-p", "--package"},
                         .lost = {},
                         .shell = {"-c", "--call"}});
  }
  void Pypi(const Text& program) {
    RunPackage(program, {.manager = "pypi",
                         .passed_over = {"-q", "--quiet", "--isolated", "--no-progress"},
                         .package = {"--from", "--spec"},
                         .lost = {"--python", "-p", "--with", "--index-url", "--index", "--default-index",
                                  "--extra-index-url", "--with-editable"},
                         .shell = {}});
  }
  void RunPackage(const Text& program, const Runner& runner) {
    const auto is_one_of = [](const std::vector<std::string_view>& options, std::string_view word) {
      return std::find(options.begin(), options.end(), word) != options.end();
    };
    const Text* package = nullptr;
    for (; next_ < words_.size() && words_[next_].value.starts_with('-'); ++next_) {
      const std::string& word = words_[next_].value;
      const size_t equals = word.find('=');
      if (word == "--") {
        ++next_;
        break;
      }
      if (is_one_of(runner.passed_over, word)) continue;
      if (is_one_of(runner.package, word)) {
        ++next_;
        if (next_ < words_.size()) package = &words_[next_];
      } else if (word.starts_with("--") && equals != std::string::npos &&
                 is_one_of(runner.package, word.substr(0, equals))) {
        words_[next_].value = word.substr(equals + 1);
        package = &words_[next_];
      } else if (is_one_of(runner.lost, word)) {
        draft_.Lose(words_[next_].path,
                    "has nothing like it: a package runs on the node's python3 with what it depends on");
        ++next_;
      } else if (is_one_of(runner.shell, word)) {
        return draft_.LeaveOut(words_[next_].path, "is a line for a shell; there is no shell in a node");
      } else {
        if (!SkipOption(program)) return;
      }
    }
    if (package == nullptr) {
      const Text* word = TakeWord(program, "package");
      if (word != nullptr) Package(runner.manager, *word);
      return;
    }
    // -p PACKAGE PROGRAM: a package's own program is what is started.
    const Text* script = TakeWord(program, "program of the package");
    if (script == nullptr) return;
    CheckScript(runner.manager, *package, *script);
    Package(runner.manager, *package);
  }

  // An option in front of the package that is not known: with a value of its own nobody can tell what the package is.
  bool SkipOption(const Text& program) {
    const Text& word = words_[next_];
    const std::string what = "is an option of " + BaseName(program.value) + " that mcpctl does not know";
    if (word.value.find('=') == std::string::npos) {
      draft_.LeaveOut(word.path, what + ", so it is not clear what the package is");
      return false;
    }
    draft_.Lose(word.path, what);
    return true;
  }

  void CheckScript(const std::string& manager, const Text& package, const Text& script) {
    StatusOr<PackageName> parsed = manager == "npm" ? ParseNpm(package.value) : ParsePypi(package.value);
    if (!parsed.ok()) return;  // Package says it
    const std::string name = parsed->name.substr(parsed->name.find('/') + 1);
    if (script.value == name) return;
    draft_.Lose(script.path, "is not what the package is called; a node starts a package by its own program");
  }

  void Docker(const Text& program) {
    if (!ReadDockerOptions(&draft_, words_, &next_, true)) return;
    const Text* image = TakeWord(program, "image");
    if (image == nullptr) return;
    draft_.image = *image;
    for (; next_ < words_.size(); ++next_) draft_.args.push_back(std::move(words_[next_]));
  }

  // npx mcp-remote URL [--header "NAME: VALUE"]…: a client's way to a remote server, which a node has itself.
  void Remote(const Text& program) {
    const Text* url = TakeWord(program, "URL");
    if (url == nullptr) return;
    draft_.url = *url;
    draft_.Note(program.path, "mcp-remote is not needed: a node speaks to the server itself");
    for (; next_ < words_.size(); ++next_) {
      const Text& word = words_[next_];
      if (word.value == "--header" && next_ + 1 < words_.size()) {
        TakeHeader(words_[++next_]);
      } else if (word.value == "--transport" && next_ + 1 < words_.size()) {
        draft_.transport = words_[++next_].value.starts_with("sse-only") ? "sse" : "";
      } else {
        draft_.Lose(word.path, "is an option of mcp-remote that has nothing like it");
      }
    }
    for (const Variable& each : draft_.env) {
      if (!used_.contains(each.name))
        draft_.Lose(each.text.path, "a remote server runs elsewhere and takes no variables");
    }
    draft_.env.clear();
  }

  void TakeHeader(const Text& word) {
    const size_t colon = word.value.find(':');
    if (colon == std::string::npos) return draft_.Lose(word.path, "is no NAME: VALUE");
    Text text = word;
    text.value = std::string(Trim(word.value.substr(colon + 1)));
    // "Authorization:${AUTH}" with AUTH among the variables
    if (text.value.starts_with("${") && text.value.ends_with('}')) {
      const std::string name = text.value.substr(2, text.value.size() - 3);
      for (const Variable& each : draft_.env) {
        if (each.name != name) continue;
        text = each.text;
        used_.insert(name);
      }
    }
    draft_.headers.push_back({.name = std::string(Trim(word.value.substr(0, colon))), .text = std::move(text)});
  }

  void Program(const Text& program) {
    if (program.value.empty()) return draft_.LeaveOut(program.path, "is empty");
    if (program.value.front() != '/')
      return draft_.LeaveOut(
          program.path,
          "a client finds the program by its PATH; an MCPServer wants a package, an image, or an absolute "
          "path on the nodes");
    draft_.Put("spec.source.process.path", program.value, program.path);
    draft_.Note(program.path, "the program must be at this path on each node that runs the server");
    TakeRest();
  }

  Draft& draft_;
  std::vector<Text> words_;
  size_t next_ = 0;
  std::set<std::string> used_;  // variables that a header is made of
};

}  // namespace

void ReadCommandLine(Draft* draft) { CommandLine(draft).Read(); }

void PutPackage(Draft* draft, const std::string& manager, const std::string& name, const std::string& version,
                const std::string& from) {
  std::string exact = version;
  if (!IsExact(manager, version)) {
    const PackageRef ref{manager, name, version};
    const auto found = draft->work->options.versions.find(ref);
    if (found == draft->work->options.versions.end()) {
      draft->work->out.unpinned.push_back(ref);
      return draft->LeaveOut(from, "names no exact version of " + Printable(name, 100) +
                                       ", which every node could run alike; write NAME" +
                                       (manager == "npm" ? "@" : "==") + "VERSION, or let --resolve look up today's");
    }
    exact = found->second;
    draft->Note(from, Printable(name, 100) + " is pinned to " + exact);
  }
  draft->Put("spec.source.package.manager", manager, from);
  draft->Put("spec.source.package.name", name, from);
  draft->Put("spec.source.package.version", exact, from);
}

}  // namespace mcpfleet::convert
