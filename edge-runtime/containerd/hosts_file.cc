#include "edge-runtime/containerd/hosts_file.h"

#include <algorithm>
#include <optional>

#include "base/strings.h"

namespace mcpfleet::containerd {
namespace {

constexpr std::string_view kNeeds = "containerd 1.7 can't ask it with ";

// A line without its comment; a '#' in quotes is none.
std::string_view WithoutComment(std::string_view line) {
  char quote = '\0';
  for (size_t i = 0; i < line.size(); ++i) {
    const char c = line[i];
    if (quote == '\0' && c == '#') return line.substr(0, i);
    if (quote == '\0' && (c == '"' || c == '\'')) {
      quote = c;
    } else if (c == quote) {
      quote = '\0';
    }
  }
  return line;
}

// "text" or 'text', without escapes: URLs and paths have none.
std::optional<std::string> Quoted(std::string_view text) {
  if (text.size() < 2 || (text.front() != '"' && text.front() != '\'') || text.back() != text.front())
    return std::nullopt;
  const std::string inside(text.substr(1, text.size() - 2));
  if (inside.find_first_of("\\\"'") != std::string::npos) return std::nullopt;
  return inside;
}

// [host."https://mirror.example"] -> the URL; `part`: what follows it (".header").
std::optional<std::string> HostOf(std::string_view table, std::string_view* part) {
  if (!table.starts_with("host.") || table.size() < 7) return std::nullopt;
  table.remove_prefix(5);
  const size_t end = table.find(table.front(), 1);
  if (end == std::string_view::npos) return std::nullopt;
  *part = table.substr(end + 1);
  return Quoted(table.substr(0, end + 1));
}

// The path of a host's URL, and whether it is all of the path (override_path).
void Place(MirrorHost* host, bool whole_path) {
  constexpr std::string_view kHttps = "https://";
  if (!host->url.starts_with(kHttps)) {
    // Without a scheme it is https.
    if (host->url.find("://") != std::string::npos) {
      host->unusable = std::string(kNeeds) + "plain HTTP";
      return;
    }
  }
  const std::string rest = host->url.substr(host->url.starts_with(kHttps) ? kHttps.size() : 0);
  const size_t slash = std::min(rest.find('/'), rest.size());
  std::string path = rest.substr(slash);
  while (path.ends_with('/')) path.pop_back();
  host->prefix = rest.substr(0, slash);
  if (path.empty() || path == "/v2") {
    if (path.empty() && whole_path) host->unusable = std::string(kNeeds) + "a path of its own";
    return;
  }
  if (whole_path && path.starts_with("/v2/")) {
    host->prefix += path.substr(3);
  } else {
    host->unusable = std::string(kNeeds) + "a path of its own";
  }
}

class Parser {
 public:
  StatusOr<HostsFile> Parse(std::string_view toml) {
    std::string pending;
    for (std::string_view line : Split(toml, '\n')) {
      ++line_;
      pending += (pending.empty() ? "" : " ") + std::string(Trim(WithoutComment(line)));
      // A list may go over several lines.
      if (std::count(pending.begin(), pending.end(), '[') > std::count(pending.begin(), pending.end(), ']')) continue;
      RETURN_IF_ERROR(TakeLine(Trim(pending)));
      pending.clear();
    }
    if (!pending.empty()) return Wrong("a list has no end");
    for (size_t i = 0; i < file_.mirrors.size(); ++i) Place(&file_.mirrors[i], whole_paths_[i]);
    for (size_t i = 0; i < file_.mirrors.size(); ++i) {
      if (file_.mirrors[i].unusable.empty()) file_.mirrors[i].unusable = problems_[i];
    }
    return std::move(file_);
  }

 private:
  Status Wrong(const std::string& what) const { return InvalidArgument("line " + std::to_string(line_) + ": " + what); }

  Status TakeLine(std::string_view line) {
    if (line.empty()) return OkStatus();
    if (line.front() == '[') return TakeTable(line);
    const size_t equals = line.find('=');
    if (equals == std::string_view::npos) return Wrong("is no KEY = VALUE");
    const std::string key(Trim(line.substr(0, equals)));
    const std::string_view value = Trim(line.substr(equals + 1));
    if (where_ == Where::kTop) {
      // Of the server itself, which is asked as the registry is: with what is written there only by 2.0 and later.
      if (key != "server") return OkStatus();
      const std::optional<std::string> server = Quoted(value);
      if (!server) return Wrong("server is no text");
      file_.server = *server;
      return OkStatus();
    }
    return where_ == Where::kHost ? TakeMember(key, value) : OkStatus();
  }

  Status TakeTable(std::string_view line) {
    if (!line.ends_with(']') || line.starts_with("[[")) return Wrong("is a table that is not known");
    const std::string_view table = Trim(line.substr(1, line.size() - 2));
    where_ = Where::kElsewhere;
    if (table == "host" || !table.starts_with("host")) return OkStatus();
    std::string_view part;
    const std::optional<std::string> url = HostOf(table, &part);
    if (!url) return Wrong("is no [host.\"URL\"]");
    if (!part.empty()) {  // headers
      if (!problems_.empty() && file_.mirrors.back().url == *url) problems_.back() = std::string(kNeeds) + "headers";
      return OkStatus();
    }
    where_ = Where::kHost;
    file_.mirrors.push_back({.url = *url, .prefix = {}, .unusable = {}});
    problems_.emplace_back();
    whole_paths_.push_back(false);
    return OkStatus();
  }

  Status TakeMember(const std::string& key, std::string_view value) {
    if (key == "capabilities") {
      file_.mirrors.back().resolves = value.find("resolve") != std::string_view::npos;
      if (value.find("pull") == std::string_view::npos) problems_.back() = "it is none to pull from";
    } else if (key == "override_path") {
      whole_paths_.back() = value == "true";
    } else if (key == "skip_verify") {
      if (value == "true") problems_.back() = std::string(kNeeds) + "skip_verify";
    } else if (key == "ca" || key == "client" || key == "header") {
      problems_.back() = std::string(kNeeds) + key;
    }
    return OkStatus();
  }

  enum class Where { kTop, kHost, kElsewhere };
  Where where_ = Where::kTop;
  int line_ = 0;
  HostsFile file_;
  std::vector<std::string> problems_;  // of each mirror
  std::vector<bool> whole_paths_;
};

}  // namespace

StatusOr<HostsFile> ParseHostsFile(std::string_view toml) { return Parser().Parse(toml); }

std::string AtMirror(const std::string& name, const MirrorHost& mirror) {
  return mirror.prefix + name.substr(std::min(name.find('/'), name.size()));
}

std::vector<std::string> HostsPaths(const std::string& directory, const std::string& registry) {
  std::vector<std::string> names;
  if (const size_t colon = registry.rfind(':'); colon != std::string::npos)
    names.push_back(registry.substr(0, colon) + "_" + registry.substr(colon + 1) + "_");
  names.insert(names.end(), {registry, "_default"});
  std::vector<std::string> paths;
  paths.reserve(names.size());
  for (const std::string& name : names) paths.push_back(directory + "/" + name + "/hosts.toml");
  return paths;
}

bool IsRegistryItself(const std::string& server, const std::string& registry) {
  if (server.empty()) return true;
  MirrorHost host{.url = server, .prefix = {}, .unusable = {}};
  Place(&host, false);
  if (!host.unusable.empty()) return false;
  return host.prefix == registry ||
         (registry == "docker.io" && (host.prefix == "registry-1.docker.io" || host.prefix == "index.docker.io"));
}

}  // namespace mcpfleet::containerd
