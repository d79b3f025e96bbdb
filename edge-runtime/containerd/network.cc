#include "edge-runtime/containerd/network.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <set>

#include "base/fd.h"
#include "base/strings.h"
#include "controller/ports/container_runtime.h"
#include "edge-runtime/containerd/cni_plugin.h"

namespace mcpfleet::containerd {
namespace {

constexpr size_t kFileBytes = size_t{1} << 20;
constexpr char kNetworkName[] = "mcpfleet";
constexpr char kInterface[] = "eth0";
// In the instance's directory: what ADD said, and the network namespace, kept for DEL after its processes are gone.
constexpr char kResultFile[] = "/network.json";
constexpr char kNamespaceFile[] = "/netns";

std::string LeaseDirectory(const NetworkOptions& options) { return options.state_directory + "/addresses"; }

// Plugins of a list in the order of ADD.
std::vector<Json> PluginsOf(const Json& list) {
  const Json& plugins = GetMember(list, "plugins");
  return plugins.is_array() ? std::vector<Json>(plugins.begin(), plugins.end()) : std::vector<Json>();
}

Status Pin(int pid, const std::string& path) {
  UniqueFd file(open(path.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
  if (!file.valid()) return ErrnoStatus(errno, path);
  const std::string source = "/proc/" + std::to_string(pid) + "/ns/net";
  if (mount(source.c_str(), path.c_str(), nullptr, MS_BIND, nullptr) != 0) return ErrnoStatus(errno, source);
  return OkStatus();
}

// After a restart of the machine it is an ordinary file.
bool IsNamespace(const std::string& path) {
  constexpr int kNsfs = 0x6e736673;
  struct statfs info;
  return statfs(path.c_str(), &info) == 0 && info.f_type == kNsfs;
}

void Unpin(const std::string& path) {
  while (umount2(path.c_str(), MNT_DETACH) == 0) {
  }
  unlink(path.c_str());
}

}  // namespace

Json BridgeConfiguration(const NetworkOptions& options, bool firewall) {
  Json plugins = Json::array({
      {{"type", "bridge"},
       {"bridge", options.bridge},
       {"isGateway", true},
       {"ipMasq", true},
       {"ipam",
        {{"type", "host-local"},
         {"dataDir", LeaseDirectory(options)},
         {"ranges", Json::array({Json::array({{{"subnet", options.subnet}}})})},
         {"routes", Json::array({{{"dst", "0.0.0.0/0"}}})}}}},
      {{"type", "portmap"}, {"capabilities", {{"portMappings", true}}}},
  });
  // Where forwarding is refused by default, as Docker sets it.
  if (firewall) plugins.push_back({{"type", "firewall"}});
  return {{"cniVersion", "0.4.0"}, {"name", kNetworkName}, {"plugins", plugins}};
}

StatusOr<Json> Network::Configuration() const {
  if (options_.configuration_file.empty())
    return BridgeConfiguration(options_, !FindPlugin(options_.plugin_directories, "firewall").empty());
  const std::string what = "CNI configuration " + options_.configuration_file;
  StatusOr<std::string> text = ReadFile(options_.configuration_file, kFileBytes);
  if (!text.ok()) return Annotate(FailedPrecondition(Message(text.status())), what);
  StatusOr<Json> json = ParseJson(*text);
  if (!json.ok()) return Annotate(FailedPrecondition(Message(json.status())), what);
  if (GetString(*json, "name").empty() || PluginsOf(*json).empty())
    return FailedPrecondition(what + ": is no configuration list (needed are name and plugins)");
  return json;
}

std::string Network::WhyNot() const {
  const StatusOr<Json> list = Configuration();
  if (!list.ok()) return Message(list.status());
  std::set<std::string> missing;
  for (const Json& plugin : PluginsOf(*list)) {
    for (const std::string& type : {GetString(plugin, "type"), GetString(GetMember(plugin, "ipam"), "type")}) {
      if (!type.empty() && FindPlugin(options_.plugin_directories, type).empty()) missing.insert(type);
    }
  }
  if (missing.empty()) return "";
  return "network Outbound: no CNI plugin " + Join({missing.begin(), missing.end()}, ", ") + " in " +
         Join(options_.plugin_directories, ", ") +
         "; apt-get install containernetworking-plugins, or name the directory in "
         "spec.runtimes.containerd.cni.pluginDirectories";
}

Status Network::Call(const std::string& command, const std::string& instance, const std::string& network_namespace,
                     const Json& list, Json* result, Deadline deadline) const {
  const CniCall call{.command = command,
                     .container = instance,
                     .network_namespace = network_namespace,
                     .interface = kInterface,
                     .plugin_directories = options_.plugin_directories};
  std::vector<Json> plugins = PluginsOf(list);
  const bool adds = command == "ADD";
  if (!adds) std::reverse(plugins.begin(), plugins.end());
  Status first_error;
  for (Json plugin : plugins) {
    const std::string type = GetString(plugin, "type");
    const std::string program = FindPlugin(options_.plugin_directories, type);
    if (program.empty() && adds) return FailedPrecondition(WhyNot());
    if (program.empty()) continue;  // uninstalled since: its servers must go all the same
    plugin["cniVersion"] = GetString(list, "cniVersion", "0.4.0");
    plugin["name"] = GetString(list, "name");
    // No port of a server is published: its clients come by the gateway.
    if (GetBool(GetMember(plugin, "capabilities"), "portMappings"))
      plugin["runtimeConfig"]["portMappings"] = Json::array();
    if (!result->is_null()) plugin["prevResult"] = *result;
    const StatusOr<std::string> answer = RunPlugin(program, call, DumpJson(plugin), deadline);
    if (!answer.ok()) {
      if (adds) return answer.status();
      if (first_error.ok()) first_error = answer.status();  // the others are still to be undone
      continue;
    }
    if (adds) {
      ASSIGN_OR_RETURN(*result, ParseJson(*answer));
    }
  }
  return first_error;
}

Status Network::Connect(const std::string& instance, int pid, const std::string& directory, Deadline deadline) const {
  ASSIGN_OR_RETURN(const Json list, Configuration());
  RETURN_IF_ERROR(MakeDirectories(LeaseDirectory(options_), 0700));
  RETURN_IF_ERROR(Disconnect(instance, directory, deadline));  // of an incarnation before
  // Before the first plugin runs: what it did must be found after any crash.
  RETURN_IF_ERROR(WriteFileAtomically(directory + kResultFile, DumpJson({{"list", list}, {"result", nullptr}})));
  RETURN_IF_ERROR(Pin(pid, directory + kNamespaceFile));
  Json result;
  Status status = Call("ADD", instance, directory + kNamespaceFile, list, &result, deadline);
  if (!status.ok()) {
    Disconnect(instance, directory, Deadline::After(std::chrono::seconds(20))).IgnoreError();
    return status;
  }
  return WriteFileAtomically(directory + kResultFile, DumpJson({{"list", list}, {"result", result}}));
}

Status Network::Disconnect(const std::string& instance, const std::string& directory, Deadline deadline) const {
  Json list, result;
  if (StatusOr<std::string> text = ReadFile(directory + kResultFile, kFileBytes); text.ok()) {
    if (StatusOr<Json> kept = ParseJson(*text); kept.ok()) {
      list = GetMember(*kept, "list");
      result = GetMember(*kept, "result");
    }
  } else if (text.status().code() == StatusCode::kNotFound) {
    const std::vector<std::string> holders = Holders();
    // A directory that is lost, and an address that is still held.
    if (std::find(holders.begin(), holders.end(), instance) == holders.end()) return OkStatus();
  }
  if (PluginsOf(list).empty()) {
    ASSIGN_OR_RETURN(list, Configuration());
  }
  const std::string pinned = directory + kNamespaceFile;
  const Status status = Call("DEL", instance, IsNamespace(pinned) ? pinned : "", list, &result, deadline);
  Unpin(pinned);
  RETURN_IF_ERROR(status);
  unlink((directory + kResultFile).c_str());
  return OkStatus();
}

std::vector<std::string> Network::Holders() const {
  // host-local: <dataDir>/<network>/<address>, "<container id>\r\n<interface>".
  std::vector<std::string> holders;
  const std::string directory = LeaseDirectory(options_) + "/" + kNetworkName;
  DIR* listing = opendir(directory.c_str());
  if (listing == nullptr) return holders;
  while (const dirent* entry = readdir(listing)) {
    if (entry->d_name[0] < '0' || entry->d_name[0] > '9') continue;
    const std::string text = ReadFile(directory + "/" + entry->d_name, kFileBytes).value_or("");
    std::string id(Trim(text.substr(0, text.find('\n'))));
    if (IsInstanceId(id)) holders.push_back(std::move(id));
  }
  closedir(listing);
  return holders;
}

}  // namespace mcpfleet::containerd
