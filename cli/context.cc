#include "cli/context.h"

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
constexpr char kNodeState[] = "/var/lib/mcpfleet";
constexpr char kNodeSocket[] = "/run/mcpfleet/mcplet.sock";

Context FromJson(const Json& json) {
  Context context{.name = GetString(json, "name"),
                  .server = GetString(json, "server"),
                  .account = GetString(json, "account", "local"),
                  .config_namespace = GetString(json, "configNamespace", "CONFIG"),
                  .state_namespace = GetString(json, "stateNamespace", "SERVER_STATE"),
                  .token = GetString(json, "token"),
                  .admin = GetString(json, "admin"),
                  .admin_token = GetString(json, "adminToken"),
                  .namespace_ = GetString(json, "namespace", "default")};
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
  return json;
}

// The mcplet of this machine as the package installs it, for who may read its token.
StatusOr<Context> NodeContext() {
  ASSIGN_OR_RETURN(std::string token, ReadFile(std::string(kNodeState) + "/store/operator-token", 4096));
  return Context{.name = "(this node)",
                 .server = "http://127.0.0.1:8702",
                 .token = std::string(Trim(token)),
                 .admin = std::string("unix://") + kNodeSocket};
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
  Json json = {{"apiVersion", kApiVersion}, {"kind", "Config"}, {"currentContext", file.current}, {"contexts", contexts}};
  if (size_t slash = file.path.rfind('/'); slash != std::string::npos && slash != 0) {
    RETURN_IF_ERROR(MakeDirectories(file.path.substr(0, slash), 0700));
  }
  return WriteFileAtomically(file.path, ObjectToYaml(json), 0600);
}

StatusOr<Context> ChooseContext(const ContextFile& file, std::string_view name) {
  std::string wanted = name.empty() ? file.current : std::string(name);
  if (!wanted.empty()) {
    if (const Context* found = file.Find(wanted); found != nullptr) return *found;
    std::vector<std::string> names;
    for (const Context& context : file.contexts) names.push_back(context.name);
    return NotFound("no context \"" + wanted + "\" in " + file.path + "; there are: " + (names.empty() ? "none" : Join(names, ", ")));
  }
  if (StatusOr<Context> node = NodeContext(); node.ok()) return node;
  return NotFound("no context is set and no mcplet of this machine can be used; set one with: mcpctl config set-context NAME "
                  "--server URL --token-stdin --use");
}

}  // namespace mcpfleet::cli
