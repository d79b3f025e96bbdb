#include "cli/context.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

#include <nlohmann/json.hpp>

#include "base/fd.h"
#include "base/json.h"
#include "base/strings.h"
#include "crd/codec.h"
#include "crd/manifest.h"

namespace mcpfleet::cli {
namespace {

constexpr size_t kFileBytes = size_t{1} << 20;

Context FromJson(const Json& json) {
  Context context{.name = GetString(json, "name"),
                  .server = GetString(json, "server"),
                  .account = GetString(json, "account", "local"),
                  .config_namespace = GetString(json, "configNamespace", "CONFIG"),
                  .state_namespace = GetString(json, "stateNamespace", "SERVER_STATE"),
                  .token = GetString(json, "token"),
                  .admin = GetString(json, "admin"),
                  .admin_token = GetString(json, "adminToken"),
                  .namespace_ = GetString(json, "namespace", "default"),
                  .trust_root = GetString(json, "trustRoot"),
                  .seen_bytes = GetString(json, "seenSigned"),
                  .trust_document = GetString(json, "trustDocument")};
  if (auto seen = ParseHeadOrder(GetString(json, "seenHead")); seen.ok()) context.seen = *seen;
  return context;
}

Json ToJson(const Context& context) {
  Json json = {{"name", context.name},
               {"server", context.server},
               {"account", context.account},
               {"configNamespace", context.config_namespace},
               {"stateNamespace", context.state_namespace},
               {"namespace", context.namespace_},
               {"seenHead", ToString(context.seen)}};
  if (!context.token.empty()) json["token"] = context.token;
  if (!context.admin.empty()) json["admin"] = context.admin;
  if (!context.admin_token.empty()) json["adminToken"] = context.admin_token;
  if (!context.trust_root.empty()) json["trustRoot"] = context.trust_root;
  if (!context.seen_bytes.empty()) json["seenSigned"] = context.seen_bytes;
  if (!context.trust_document.empty()) json["trustDocument"] = context.trust_document;
  return json;
}

// The mcplet of this machine, for who may read its token. An absent configuration is the packaged one.
StatusOr<Context> NodeContext(const std::string& configuration) {
  std::string state = "/var/lib/mcpfleet", run = "/run/mcpfleet", address = "127.0.0.1", trust_root;
  int64_t port = 8702;
  StatusOr<std::string> content = ReadFile(configuration, kFileBytes);
  if (content.ok()) {
    ASSIGN_OR_RETURN(Json json, ParseYaml(*content, configuration, nullptr, nullptr));
    const Json& spec = GetMember(json, "spec");
    const Json& store = GetMember(spec, "store");
    state = GetString(spec, "stateDirectory", state);
    run = GetString(spec, "runDirectory", run);
    address = GetString(store, "address", address);
    port = GetInt(store, "port", port);
    trust_root = GetString(store, "trustRoot");
    if (GetString(store, "type", "Embedded") != "Embedded") {
      return FailedPrecondition("its mcplet uses a store elsewhere, and a node's token can't change the fleet");
    }
  } else if (content.status().code() != StatusCode::kNotFound) {
    return content.status();
  }
  if (address == "0.0.0.0" || address == "::") address = "127.0.0.1";
  if (address.find(':') != std::string::npos) address = "[" + address + "]";
  ASSIGN_OR_RETURN(std::string token, ReadFile(state + "/store/operator-token", 4096));
  return Context{.name = kNodeContextName,
                 .server = "http://" + address + ":" + std::to_string(port),
                 .token = std::string(Trim(token)),
                 .admin = "unix://" + run + "/mcplet.sock",
                 .trust_root = trust_root};
}

}  // namespace

const Context* ContextFile::Find(std::string_view name) const {
  for (const Context& context : contexts) {
    if (context.name == name) return &context;
  }
  return nullptr;
}

Context* ContextFile::Find(std::string_view name) {
  return const_cast<Context*>(static_cast<const ContextFile*>(this)->Find(name));
}

std::string ContextPath() {
  if (const char* path = getenv("MCPFLEET_CONFIG"); path != nullptr && *path != '\0') return path;
  if (const char* base = getenv("XDG_CONFIG_HOME"); base != nullptr && *base != '\0') {
    return std::string(base) + "/mcpfleet/config";
  }
  const char* home = getenv("HOME");
  return std::string(home == nullptr ? "/root" : home) + "/.config/mcpfleet/config";
}

std::string CachePath() {
  if (const char* base = getenv("XDG_CACHE_HOME"); base != nullptr && *base != '\0')
    return std::string(base) + "/mcpfleet";
  const char* home = getenv("HOME");
  return home == nullptr || *home == '\0' ? "" : std::string(home) + "/.cache/mcpfleet";
}

StatusOr<ContextFile> LoadContexts(const std::string& path) {
  ContextFile file{.path = path};
  struct stat info {};
  if (stat(path.c_str(), &info) != 0) {
    if (errno == ENOENT) return file;
    return ErrnoStatus(errno, path);
  }
  if ((info.st_mode & 077) != 0) {
    return PermissionDenied(path + ": holds tokens but others may read it; run: chmod 600 " + path);
  }
  ASSIGN_OR_RETURN(std::string content, ReadFile(path, kFileBytes));
  ASSIGN_OR_RETURN(Json json, ParseYaml(content, path, nullptr, nullptr));
  file.current = GetString(json, "currentContext");
  for (const Json& item : GetMember(json, "contexts")) file.contexts.push_back(FromJson(item));
  return file;
}

Status SaveContexts(const ContextFile& file) {
  Json contexts = Json::array();
  for (const Context& context : file.contexts) contexts.push_back(ToJson(context));
  Json json = {
      {"apiVersion", kApiVersion}, {"kind", "Config"}, {"currentContext", file.current}, {"contexts", contexts}};
  if (size_t slash = file.path.rfind('/'); slash != std::string::npos && slash != 0) {
    RETURN_IF_ERROR(MakeDirectories(file.path.substr(0, slash), 0700));
  }
  return WriteFileAtomically(file.path, ObjectToYaml(json), 0600);
}

Status UpdateContexts(const std::string& path, const std::function<Status(ContextFile*)>& change) {
  if (size_t slash = path.rfind('/'); slash != std::string::npos && slash != 0) {
    RETURN_IF_ERROR(MakeDirectories(path.substr(0, slash), 0700));
  }
  const std::string lock_path = path + ".lock";
  const UniqueFd lock(open(lock_path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!lock.valid()) return ErrnoStatus(errno, lock_path);
  // Held for as long as a file is written.
  while (flock(lock.get(), LOCK_EX) != 0) {
    if (errno != EINTR) return ErrnoStatus(errno, lock_path);
  }
  ASSIGN_OR_RETURN(ContextFile file, LoadContexts(path));
  RETURN_IF_ERROR(change(&file));
  return SaveContexts(file);
}

StatusOr<Context> ChooseContext(const ContextFile& file, std::string_view name, const std::string& node_configuration) {
  std::string wanted = name.empty() ? file.current : std::string(name);
  std::vector<std::string> names;
  for (const Context& context : file.contexts) names.push_back(context.name);
  if (!wanted.empty()) {
    if (const Context* found = file.Find(wanted); found != nullptr) return *found;
    std::string near = Nearest(wanted, names);
    return NotFound("no context \"" + Printable(wanted, 60) + "\" in " + file.path +
                    (near.empty() ? "" : ", did you mean \"" + near + "\"?") +
                    "; there are: " + (names.empty() ? "none" : Join(names, ", ")));
  }
  StatusOr<Context> node = NodeContext(node_configuration);
  if (node.ok()) return node;
  if (!names.empty())
    return NotFound("no context is chosen; choose one with: mcpctl config use-context NAME; there are: " +
                    Join(names, ", "));
  return NotFound("no context is set, and this machine gives none (" + Message(node.status()) +
                  "); set one with: mcpctl config set-context NAME --server URL --token-stdin --use");
}

}  // namespace mcpfleet::cli
