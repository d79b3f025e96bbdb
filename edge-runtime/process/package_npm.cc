// The npm half of PackageCache.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

#include "base/digest.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/strings.h"
#include "edge-runtime/process/package_cache.h"
#include "edge-runtime/process/package_tool.h"
#include "edge-runtime/process/pinned_node.h"

namespace mcpfleet {
namespace {

constexpr size_t kLockBytes = size_t{16} << 20;
constexpr size_t kManifestBytes = size_t{1} << 20;

// [@scope/]name: what can be a directory below node_modules and nothing else.
bool IsNpmName(std::string_view name) {
  if (name.size() > 214 || name.empty()) return false;
  if (name[0] == '@') {
    const size_t slash = name.find('/');
    if (slash == std::string_view::npos || slash < 2) return false;
    return IsNpmName(name.substr(1, slash - 1)) && IsNpmName(name.substr(slash + 1)) &&
           name.find('/', slash + 1) == std::string_view::npos;
  }
  if (name[0] == '.' || name[0] == '-') return false;
  return name.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~") ==
         std::string_view::npos;
}

bool IsVersion(std::string_view version) {
  return !version.empty() && version[0] >= '0' && version[0] <= '9' &&
         version.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.+") ==
             std::string_view::npos;
}

std::string Below(const std::string& path, const std::string& directory) {
  return path.compare(0, directory.size() + 1, directory + "/") == 0 ? "" : path;
}

// npm's program and the interpreter it needs, visible inside the sandbox at the same paths.
Status AddNpm(const std::string& npm_binary, ToolRun* run) {
  const std::string npm = FindProgram(npm_binary), node = FindProgram("node");
  if (npm.empty() || node.empty()) {
    return FailedPrecondition((npm.empty() ? npm_binary : std::string("node")) +
                              " is not installed on this node: it is needed once to install npm packages");
  }
  run->argv = {node, npm};
  for (const std::string& program : {npm, node}) {
    // <prefix>/bin/<program>: what belongs to it lies below the prefix. /usr is there anyway.
    const std::string bin = program.substr(0, program.rfind('/'));
    const std::string prefix = bin.substr(0, bin.rfind('/'));
    if (prefix.size() > 1 && !Below(prefix, "/usr").empty()) run->binds.push_back({prefix, prefix, false});
  }
  return OkStatus();
}

// The client's own configuration: its npmrc, its proxies, its certificates. A copy, because nobody can't read root's.
Status AddConfiguration(const ToolDirectory& directory, const std::string& cache, ToolRun* run) {
  const char* home = getenv("HOME");
  const char* user_config = getenv("npm_config_userconfig");
  const std::string npmrc = user_config != nullptr ? user_config : home != nullptr ? std::string(home) + "/.npmrc" : "";
  StatusOr<std::string> text = npmrc.empty() ? StatusOr<std::string>("") : ReadFile(npmrc, 64 << 10);
  RETURN_IF_ERROR(directory.WriteFile("home/.npmrc", text.ok() ? *text : ""));
  for (std::string& entry : ForwardedEnvironment(
           {"npm_config_", "http_proxy=", "https_proxy=", "no_proxy=", "node_extra_ca_certs=", "ssl_cert_file="})) {
    const std::string name = ToLower(entry.substr(0, entry.find('=')));
    if (name == "npm_config_userconfig" || name == "npm_config_cache" || name == "npm_config_prefix") continue;
    const std::string value = entry.substr(entry.find('=') + 1);
    const bool file = name == "node_extra_ca_certs" || name == "ssl_cert_file" || name == "npm_config_cafile";
    if (file && value.starts_with("/") && !value.starts_with("/usr/") && !value.starts_with("/etc/ssl/certs/"))
      run->binds.push_back({value, value, false});
    run->env.push_back(std::move(entry));
  }
  run->binds.push_back({cache, "/cache", true});
  for (const char* entry : {"npm_config_userconfig=/job/home/.npmrc", "npm_config_cache=/cache"})
    run->env.emplace_back(entry);
  return OkStatus();
}

// One line of npm's own words, for a person.
std::string Reason(const std::string& output) {
  std::string reason;
  for (const std::string& line : Split(output, '\n')) {
    for (const std::string_view prefix : {"npm error ", "npm ERR! "}) {
      if (!line.starts_with(prefix) || line.find("A complete log") != std::string::npos) continue;
      const std::string_view rest = Trim(std::string_view(line).substr(prefix.size()));
      if (rest.empty() || rest.starts_with("code ") || reason.size() > 300) continue;
      reason += (reason.empty() ? "" : "; ") + Printable(rest, 200);
    }
  }
  return reason.empty() ? Printable(output.substr(output.size() > 200 ? output.size() - 200 : 0)) : reason;
}

bool Mentions(const std::string& text, std::initializer_list<std::string_view> words) {
  for (const std::string_view word : words) {
    if (text.find(word) != std::string::npos) return true;
  }
  return false;
}

Status Classify(const ToolResult& result) {
  if (result.code == 0) return OkStatus();
  if (result.oom) return ResourceExhausted("npm ran out of memory");
  const std::string& text = result.output;
  if (Mentions(text, {"code EINTEGRITY"}))
    return FailedPrecondition("integrity: what the registry sent is not what the lock names: " + Reason(text));
  if (Mentions(text, {"code E404", "code ETARGET", "code ENOVERSIONS"}))
    return NotFound("the registry has no such package or version: " + Reason(text));
  if (Mentions(text, {"ENOTFOUND", "EAI_AGAIN", "ECONNREFUSED", "ECONNRESET", "ETIMEDOUT", "ENETUNREACH",
                      "EHOSTUNREACH", "ERR_SOCKET_TIMEOUT", "code E5", "code E429", "network"})) {
    return Unavailable("the npm registry cannot be reached: " + Reason(text));
  }
  if (Mentions(text, {"code E401", "code E403", "code ENEEDAUTH"}))
    return FailedPrecondition("the npm registry refused us: " + Reason(text));
  if (Mentions(text, {"ENOSPC"})) return ResourceExhausted("no space left for the package: " + Reason(text));
  return FailedPrecondition("npm failed: " + Reason(text));
}

std::string Manifest(const PackageSource& source) {
  return DumpJson(Json{{"name", "work"}, {"private", true}, {"dependencies", {{source.name, source.version}}}});
}

// The lock must be of what was asked for, whoever wrote the file.
Status CheckLock(const std::string& lock, const PackageSource& source) {
  ASSIGN_OR_RETURN(const Json json, ParseJson(lock, {.bytes = kLockBytes}));
  const Json& package = GetMember(GetMember(json, "packages"), "node_modules/" + source.name);
  if (GetString(package, "version") != source.version)
    return FailedPrecondition("the lock is of version " + GetString(package, "version"));
  const std::string integrity = GetString(package, "integrity");
  if (integrity.empty()) return FailedPrecondition("the registry gives no integrity for it");
  if (!source.integrity.empty() && source.integrity != integrity) {
    return FailedPrecondition("integrity: the manifest demands " + source.integrity + ", the registry has " +
                              integrity);
  }
  return OkStatus();
}

// Script of the package's program: the one named like the package, or the only one.
StatusOr<std::string> Program(const std::string& tree, const std::string& name) {
  ASSIGN_OR_RETURN(const std::string text, ReadFile(tree + "/node_modules/" + name + "/package.json", kManifestBytes));
  ASSIGN_OR_RETURN(const Json json, ParseJson(text));
  const Json& bin = GetMember(json, "bin");
  std::string script;
  if (bin.is_string()) script = bin.get<std::string>();
  if (bin.is_object()) {
    const std::string bare = name.substr(name.find('/') == std::string::npos ? 0 : name.find('/') + 1);
    script = GetString(bin, bare);
    if (script.empty() && bin.size() == 1 && bin.begin()->is_string()) script = bin.begin()->get<std::string>();
  }
  if (script.empty()) return FailedPrecondition("the package names no single program (bin); set spec.command");
  if (script.starts_with("./")) script.erase(0, 2);
  for (const std::string& part : Split(script, '/')) {
    if (part == ".." || part.empty())
      return FailedPrecondition("the package's program " + Printable(script) + " lies outside of it");
  }
  return script;
}

}  // namespace

std::string PackageCache::RuntimeDirectory(const PackageSource& source) const {
  if (source.manager != PackageManager::kNpm) return "";
  return options_.root + "/node/" + Sha256Hex(kNodeLock) + "/" + kNodeTree;
}

StatusOr<std::string> PackageCache::NpmLock(const PackageSource& source, const Progress& progress, Deadline deadline) {
  const std::string path = options_.root + "/locks/" + PercentEncode(source.name) + "@" + source.version + ".json";
  StatusOr<std::string> stored = ReadFile(path, kLockBytes);
  if (stored.ok()) return stored;
  if (progress) progress({.phase = "resolving"});
  ASSIGN_OR_RETURN(const ToolDirectory directory, ToolDirectory::Make(options_.root));
  RETURN_IF_ERROR(directory.WriteFile("package.json", Manifest(source)));
  ToolRun run;
  RETURN_IF_ERROR(AddNpm(options_.npm_binary, &run));
  RETURN_IF_ERROR(AddConfiguration(directory, options_.root + "/npm-cache", &run));
  for (const char* word :
       {"install", "--prefix=/job", "--package-lock-only", "--ignore-scripts", "--omit=dev", "--no-audit", "--no-fund",
        "--omit-lockfile-registry-resolved", "--no-update-notifier", "--loglevel=error", "--no-color"}) {
    run.argv.emplace_back(word);
  }
  ASSIGN_OR_RETURN(const ToolResult result,
                   RunTool(directory, run, options_.sandbox_binary, *options_.cgroups, deadline));
  RETURN_IF_ERROR(Classify(result));
  ASSIGN_OR_RETURN(std::string lock, ReadFile(directory.work() + "/package-lock.json", kLockBytes));
  RETURN_IF_ERROR(CheckLock(lock, source));
  RETURN_IF_ERROR(WriteFileAtomically(path, lock, 0644));
  return lock;
}

StatusOr<std::string> PackageCache::NpmTree(const std::string& kind, const std::string& manifest,
                                            const std::string& lock, Deadline deadline) {
  const std::string tree = options_.root + "/" + kind + "/" + Sha256Hex(lock);
  if (access(tree.c_str(), F_OK) == 0) return tree;
  ASSIGN_OR_RETURN(const ToolDirectory directory, ToolDirectory::Make(options_.root));
  RETURN_IF_ERROR(directory.WriteFile("package.json", manifest));
  RETURN_IF_ERROR(directory.WriteFile("package-lock.json", lock));
  ToolRun run;
  RETURN_IF_ERROR(AddNpm(options_.npm_binary, &run));
  RETURN_IF_ERROR(AddConfiguration(directory, options_.root + "/npm-cache", &run));
  for (const char* word : {"ci", "--prefix=/job", "--ignore-scripts", "--omit=dev", "--no-audit", "--no-fund",
                           "--no-update-notifier", "--prefer-offline", "--loglevel=error", "--no-color"}) {
    run.argv.emplace_back(word);
  }
  ASSIGN_OR_RETURN(const ToolResult result,
                   RunTool(directory, run, options_.sandbox_binary, *options_.cgroups, deadline));
  RETURN_IF_ERROR(Classify(result));
  RETURN_IF_ERROR(RemoveTree(directory.work() + "/home"));
  RETURN_IF_ERROR(SealTree(directory.work()));
  // All of it on disk before it gets the name that means "complete".
  const UniqueFd fd(open(directory.work().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd.valid() || syncfs(fd.get()) != 0) return ErrnoStatus(errno, directory.work());
  if (rename(directory.work().c_str(), tree.c_str()) != 0) return ErrnoStatus(errno, tree);
  return tree;
}

Status PackageCache::InstallNode(const Progress& progress, Deadline deadline) {
  if (progress) progress({.phase = "downloading"});
  StatusOr<std::string> tree = NpmTree("node", kNodeManifest, kNodeLock, deadline);
  return tree.ok() ? OkStatus() : Annotate(tree.status(), "Node");
}

StatusOr<Artifact> PackageCache::PullNpm(const PackageSource& source, const Progress& progress, Deadline deadline) {
  if (!IsNpmName(source.name)) return InvalidArgument("spec.source.package.name: not an npm name");
  if (!IsVersion(source.version)) return InvalidArgument("spec.source.package.version: must be one exact version");
  ASSIGN_OR_RETURN(const std::string lock, NpmLock(source, progress, deadline));
  RETURN_IF_ERROR(CheckLock(lock, source));
  if (access(RuntimeDirectory(source).c_str(), F_OK) != 0) RETURN_IF_ERROR(InstallNode(progress, deadline));
  if (progress) progress({.phase = "installing"});
  ASSIGN_OR_RETURN(const std::string tree, NpmTree("npm", Manifest(source), lock, deadline));
  ASSIGN_OR_RETURN(const std::string script, Program(tree, source.name));
  utimensat(AT_FDCWD, tree.c_str(), nullptr, 0);  // last used, for Collect
  Artifact artifact;
  artifact.digest = "sha256:" + Sha256Hex(lock);
  artifact.entrypoint = {"/runtime/bin/node", "/package/node_modules/" + source.name + "/" + script};
  artifact.root = tree;
  return artifact;
}

}  // namespace mcpfleet
