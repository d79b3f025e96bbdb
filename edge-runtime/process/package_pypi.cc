// The PyPI half of PackageCache: pip fetches wheels only (a source distribution would run its own code), the lock is
// the list of their hashes, and installing is offline from exactly those.
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "base/digest.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/strings.h"
#include "edge-runtime/process/package_cache.h"
#include "edge-runtime/process/package_tool.h"

namespace mcpfleet {
namespace {

constexpr size_t kLockBytes = size_t{1} << 20;
constexpr char kLetters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";

bool Only(std::string_view text, const std::string& allowed) {
  return !text.empty() && text.find_first_not_of(allowed) == std::string_view::npos;
}
bool IsPypiName(std::string_view name) {
  return Only(name, std::string(kLetters) + "-._") && name[0] != '-' && name[0] != '.';
}
bool IsPypiVersion(std::string_view version) {
  return Only(version, std::string(kLetters) + ".+!") && version[0] >= '0' && version[0] <= '9';
}

// PEP 503: one spelling per name.
std::string Normalized(std::string_view name) {
  std::string out;
  for (const char c : ToLower(name)) {
    const bool separator = c == '-' || c == '_' || c == '.';
    if (!separator) {
      out += c;
    } else if (!out.empty() && out.back() != '-') {
      out += '-';
    }
  }
  return out;
}

// The client's own pip configuration, proxies and certificates.
Status AddPipConfiguration(const ToolDirectory& directory, ToolRun* run) {
  const char* home = getenv("HOME");
  std::string config;
  for (const char* name : {"/.config/pip/pip.conf", "/.pip/pip.conf"}) {
    if (home == nullptr || !config.empty()) continue;
    if (StatusOr<std::string> text = ReadFile(std::string(home) + name, 64 << 10); text.ok()) config = *text;
  }
  RETURN_IF_ERROR(MakeDirectories(directory.work() + "/home/.pip", 0755));
  RETURN_IF_ERROR(directory.WriteFile("home/.pip/pip.conf", config));
  if (lchown((directory.work() + "/home/.pip").c_str(), kNobody, kNobody) != 0) return ErrnoStatus(errno, "home/.pip");
  run->binds.push_back({"/etc/pip.conf", "/etc/pip.conf", false});
  for (std::string& entry : ForwardedEnvironment(
           {"pip_", "http_proxy=", "https_proxy=", "no_proxy=", "ssl_cert_file=", "requests_ca_bundle="})) {
    const std::string value = entry.substr(entry.find('=') + 1);
    const std::string name = ToLower(entry.substr(0, entry.find('=')));
    if (name == "pip_target" || name == "pip_prefix" || name == "pip_cache_dir" || name == "pip_config_file") continue;
    if (value.starts_with("/") && !value.starts_with("/usr/") && !value.starts_with("/etc/ssl/certs/"))
      run->binds.push_back({value, value, false});
    run->env.push_back(std::move(entry));
  }
  for (const char* entry :
       {"PIP_DISABLE_PIP_VERSION_CHECK=1", "PIP_NO_CACHE_DIR=1", "PIP_NO_INPUT=1", "PYTHONDONTWRITEBYTECODE=1"})
    run->env.emplace_back(entry);
  return OkStatus();
}

std::string LastError(const std::string& output) {
  std::string last;
  for (const std::string& line : Split(output, '\n')) {
    if (line.starts_with("ERROR: ")) last = line.substr(7);
  }
  return Printable(last.empty() ? output.substr(output.size() > 200 ? output.size() - 200 : 0) : last, 300);
}

bool Mentions(const std::string& text, std::initializer_list<std::string_view> words) {
  return std::any_of(words.begin(), words.end(),
                     [&text](std::string_view word) { return text.find(word) != std::string::npos; });
}

Status Classify(const ToolResult& result) {
  if (result.code == 0) return OkStatus();
  const std::string reason = LastError(result.output);
  if (result.oom) return ResourceExhausted("pip ran out of memory");
  if (Mentions(result.output, {"No module named pip"}))
    return FailedPrecondition("pip is not installed on this node (Debian: python3-pip)");
  if (Mentions(result.output, {"DO NOT MATCH THE HASHES"}))
    return FailedPrecondition("integrity: what the index sent is not what the lock names: " + reason);
  // Before "not found": pip says that too when it could not ask.
  if (Mentions(result.output,
               {"NewConnectionError", "ConnectTimeoutError", "ReadTimeoutError", "NameResolutionError", "ProxyError",
                "Connection refused", "Max retries exceeded", "Temporary failure in name resolution"})) {
    return Unavailable("the package index cannot be reached: " + reason);
  }
  if (Mentions(result.output, {"No matching distribution", "Could not find a version"}))
    return NotFound("the index has no such package or version as a wheel: " + reason);
  if (Mentions(result.output, {"No space left"})) return ResourceExhausted("no space left for the package: " + reason);
  return FailedPrecondition("pip failed: " + reason);
}

// {"wheels": [{"file", "sha256"}]} of what pip has put into `directory`.
StatusOr<Json> HashWheels(const std::string& directory) {
  std::vector<std::string> files;
  DIR* listing = opendir(directory.c_str());
  if (listing == nullptr) return ErrnoStatus(errno, directory);
  while (const dirent* entry = readdir(listing)) {
    if (std::string_view(entry->d_name).ends_with(".whl")) files.emplace_back(entry->d_name);
  }
  closedir(listing);
  std::sort(files.begin(), files.end());
  Json wheels = Json::array();
  for (const std::string& file : files) {
    ASSIGN_OR_RETURN(const std::string hash, Sha256HexOfFile(directory + "/" + file));
    wheels.push_back({{"file", file}, {"sha256", hash}});
  }
  return Json{{"wheels", wheels}};
}

// requirements.txt with hashes; also checks the lock against what was asked for.
StatusOr<std::string> Requirements(const std::string& lock, const PackageSource& source) {
  ASSIGN_OR_RETURN(const Json json, ParseJson(lock, {.bytes = kLockBytes}));
  std::string text;
  bool found = false;
  for (const Json& wheel : GetMember(json, "wheels")) {
    const std::vector<std::string> parts = Split(GetString(wheel, "file"), '-');
    const std::string hash = GetString(wheel, "sha256");
    if (parts.size() < 5 || !IsPypiName(parts[0]) || !IsPypiVersion(parts[1]) || !IsSha256Hex(hash))
      return FailedPrecondition("the stored lock is damaged");
    text += parts[0] + "==" + parts[1] + " --hash=sha256:" + hash + "\n";
    if (Normalized(parts[0]) != Normalized(source.name)) continue;
    found = true;
    if (!source.integrity.empty() && source.integrity != "sha256-" + hash) {
      return FailedPrecondition("integrity: the manifest demands " + source.integrity + ", the index has sha256-" +
                                hash);
    }
  }
  if (!found) return FailedPrecondition("the index gave no wheel of it");
  return text;
}

std::vector<std::string> PipDownload(const std::string& python) {
  return {python,
          "-I",
          "-m",
          "pip",
          "--no-color",
          "download",
          "--only-binary=:all:",
          "--no-cache-dir",
          "--retries=2",
          "--dest=/job/wheels"};
}

// Statement that runs `module:function` of the first console script that fits; "" when there is none.
std::string Statement(const std::string& entry_points, const std::string& name) {
  bool scripts = false;
  std::vector<std::pair<std::string, std::string>> found;
  for (const std::string& raw : Split(entry_points, '\n')) {
    const std::string line(Trim(raw));
    if (line.starts_with("[")) scripts = line == "[console_scripts]";
    const size_t equals = line.find('=');
    if (scripts && equals != std::string::npos)
      found.emplace_back(Trim(line.substr(0, equals)), Trim(line.substr(equals + 1)));
  }
  for (const auto& [script, target] : found) {
    if (found.size() > 1 && Normalized(script) != Normalized(name)) continue;
    const std::string reference(Trim(target.substr(0, target.find('['))));  // "[extra]" may follow
    const size_t colon = reference.find(':');
    if (colon == std::string::npos) return "";
    const std::string module = reference.substr(0, colon), function = reference.substr(colon + 1);
    const std::string allowed = std::string(kLetters) + "_.";
    if (!Only(module, allowed) || !Only(function, allowed) || !Only(script, allowed + "-")) return "";
    return "import sys; sys.path.insert(0, '/package'); sys.argv[0] = '" + script + "'; import " + module +
           " as m; sys.exit(m." + function + "())";
  }
  return "";
}

StatusOr<std::string> Program(const std::string& tree, const std::string& name) {
  DIR* listing = opendir(tree.c_str());
  if (listing == nullptr) return ErrnoStatus(errno, tree);
  std::string info;
  while (const dirent* entry = readdir(listing)) {
    const std::string_view file = entry->d_name;
    if (file.ends_with(".dist-info") && Normalized(file.substr(0, file.find('-'))) == Normalized(name)) info = file;
  }
  closedir(listing);
  StatusOr<std::string> text = ReadFile(tree + "/" + info + "/entry_points.txt", 256 << 10);
  std::string statement = text.ok() ? Statement(*text, name) : "";
  if (statement.empty())
    return FailedPrecondition("the package names no single program (console script); set spec.command");
  return statement;
}

}  // namespace

StatusOr<Artifact> PackageCache::PullPypi(const PackageSource& source, const Progress& progress, Deadline deadline) {
  if (!IsPypiName(source.name)) return InvalidArgument("spec.source.package.name: not a PyPI name");
  if (!IsPypiVersion(source.version)) return InvalidArgument("spec.source.package.version: must be one exact version");
  ASSIGN_OR_RETURN(const std::string python, FindPython(options_.python_binary));
  const std::string path = options_.root + "/locks/pypi-" + Normalized(source.name) + "@" + source.version + ".json";
  StatusOr<std::string> lock = ReadFile(path, kLockBytes);
  const bool known = lock.ok();
  std::string requirements = source.name + "==" + source.version + "\n";
  if (known) {
    ASSIGN_OR_RETURN(requirements, Requirements(*lock, source));
  }
  const auto tree_of = [this](const std::string& text) { return options_.root + "/pypi/" + Sha256Hex(text); };
  if (!known || access(tree_of(*lock).c_str(), F_OK) != 0) {
    if (progress) progress({.phase = known ? "downloading" : "resolving"});
    ASSIGN_OR_RETURN(const ToolDirectory directory, ToolDirectory::Make(options_.root));
    RETURN_IF_ERROR(directory.WriteFile("requirements.txt", requirements));
    ToolRun fetch{.argv = PipDownload(python)};
    if (known) fetch.argv.insert(fetch.argv.end(), {"--require-hashes", "--no-deps"});
    fetch.argv.insert(fetch.argv.end(), {"-r", "/job/requirements.txt"});
    RETURN_IF_ERROR(AddPipConfiguration(directory, &fetch));
    ASSIGN_OR_RETURN(const ToolResult fetched,
                     RunTool(directory, fetch, options_.sandbox_binary, *options_.cgroups, deadline));
    RETURN_IF_ERROR(Classify(fetched));
    ASSIGN_OR_RETURN(const Json wheels, HashWheels(directory.work() + "/wheels"));
    if (known && DumpJson(wheels) != *lock)
      return FailedPrecondition("integrity: the index gave other wheels than the lock names");
    lock = DumpJson(wheels);
    RETURN_IF_ERROR(Requirements(*lock, source).status());
    if (progress) progress({.phase = "installing"});
    ToolRun install{.argv = {python, "-I", "-m", "pip", "--no-color", "install", "--no-index", "--no-deps",
                             "--no-compile", "--no-cache-dir", "--target=/job/tree"}};
    for (const Json& wheel : GetMember(wheels, "wheels"))
      install.argv.push_back("/job/wheels/" + GetString(wheel, "file"));
    ASSIGN_OR_RETURN(const ToolResult installed,
                     RunTool(directory, install, options_.sandbox_binary, *options_.cgroups, deadline));
    RETURN_IF_ERROR(Classify(installed));
    RETURN_IF_ERROR(SealTree(directory.work() + "/tree"));
    const UniqueFd fd(open((directory.work() + "/tree").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!fd.valid() || syncfs(fd.get()) != 0) return ErrnoStatus(errno, directory.work());
    RETURN_IF_ERROR(WriteFileAtomically(path, *lock, 0644));
    const std::string tree = tree_of(*lock);
    if (rename((directory.work() + "/tree").c_str(), tree.c_str()) != 0 && errno != EEXIST && errno != ENOTEMPTY)
      return ErrnoStatus(errno, tree);
  }
  const std::string tree = tree_of(*lock);
  ASSIGN_OR_RETURN(const std::string statement, Program(tree, source.name));
  utimensat(AT_FDCWD, tree.c_str(), nullptr, 0);  // last used, for Collect
  return Artifact{.digest = "sha256:" + Sha256Hex(*lock), .entrypoint = {python, "-c", statement}, .root = tree};
}

}  // namespace mcpfleet
