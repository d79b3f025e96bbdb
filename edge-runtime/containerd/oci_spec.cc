#include "edge-runtime/containerd/oci_spec.h"

#include <algorithm>
#include <set>

#include "base/strings.h"
#include "edge-runtime/engine/server_argv.h"

namespace mcpfleet::containerd {
namespace {

constexpr int64_t kCpuPeriod = 100'000;  // microseconds
constexpr int64_t kLeastCpuQuota = 1000;
constexpr char kPath[] = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

using Strings = std::vector<std::string>;

Json MountEntry(const std::string& type, const std::string& source, const std::string& target, Strings options) {
  return {{"type", type}, {"source", source}, {"destination", target}, {"options", std::move(options)}};
}

// A source that is missing is runc's error, which names it.
Json BindMount(const std::string& source, const std::string& target, bool read_only) {
  return MountEntry("bind", source, target, {"rbind", "rprivate", "nosuid", "nodev", read_only ? "ro" : "rw"});
}

Json Tmpfs(const std::string& target, int64_t bytes, bool read_only, bool exec) {
  return MountEntry("tmpfs", "tmpfs", target,
                    {"nosuid", "nodev", exec ? "exec" : "noexec", "mode=1777", "size=" + std::to_string(bytes),
                     read_only ? "ro" : "rw"});
}

Json KernelMounts() {
  return Json::array(
      {MountEntry("proc", "proc", "/proc", {"nosuid", "noexec", "nodev"}),
       MountEntry("tmpfs", "tmpfs", "/dev", {"nosuid", "strictatime", "mode=755", "size=65536k"}),
       MountEntry("devpts", "devpts", "/dev/pts",
                  {"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"}),
       MountEntry("sysfs", "sysfs", "/sys", {"nosuid", "noexec", "nodev", "ro"}),
       // Language runtimes size themselves by the limits that they see here.
       MountEntry("cgroup", "cgroup", "/sys/fs/cgroup", {"nosuid", "noexec", "nodev", "relatime", "ro"}),
       MountEntry("mqueue", "mqueue", "/dev/mqueue", {"nosuid", "noexec", "nodev"}),
       MountEntry("tmpfs", "shm", "/dev/shm", {"nosuid", "noexec", "nodev", "mode=1777", "size=65536k"})});
}

Json MountsOf(const InstanceSpec& spec, const SpecContext& context) {
  Json mounts = KernelMounts();
  const ServerSpec& server = spec.spec;
  const bool own_tmp = std::any_of(server.volumes.begin(), server.volumes.end(),
                                   [](const Volume& volume) { return volume.mount_path == "/tmp"; });
  if (!own_tmp) mounts.push_back(Tmpfs("/tmp", kTmpBytes, false, false));
  mounts.push_back(BindMount(context.files_directory + "/hosts", "/etc/hosts", true));
  if (server.security.network != NetworkMode::kNone)
    mounts.push_back(BindMount(context.files_directory + "/resolv.conf", "/etc/resolv.conf", true));
  for (const Volume& volume : server.volumes) {
    mounts.push_back(volume.host_path.empty() ? Tmpfs(volume.mount_path, volume.tmpfs_bytes, volume.read_only, true)
                                              : BindMount(volume.host_path, volume.mount_path, volume.read_only));
  }
  for (const std::string& directory : FileDirectoriesOf(server))
    mounts.push_back(Tmpfs(directory, kFileMemory, false, false));
  if (!context.shim_binary.empty()) {
    mounts.push_back(BindMount(context.shim_binary, kShimTarget, true));
    if (!spec.shim_directory.empty()) mounts.push_back(BindMount(spec.shim_directory, kShimDirectoryTarget, true));
  }
  return mounts;
}

Strings CapabilitiesOf(const SecurityContext& security) {
  Strings capabilities;
  for (const std::string& name : security.add_capabilities)
    capabilities.push_back(name.starts_with("CAP_") ? name : "CAP_" + name);
  return capabilities;
}

// The image's, and where nobody else hands it over the server's; later ones win.
Strings EnvironmentOf(const InstanceSpec& spec, const ImageConfig& image, bool shim) {
  Strings environment{kPath, "HOSTNAME=" + spec.id};
  const auto set = [&environment](const std::string& entry) {
    const std::string name = entry.substr(0, entry.find('=')) + "=";
    std::erase_if(environment, [&](const std::string& known) { return known.starts_with(name); });
    environment.push_back(entry);
  };
  for (const std::string& entry : image.env) set(entry);
  if (!shim) {
    for (const EnvVar& entry : spec.spec.env) set(entry.name + "=" + entry.value);
  }
  return environment;
}

Json ResourcesOf(const Resources& limits, const SpecContext& context) {
  Json memory = {{"limit", limits.memory_bytes}};
  // Memory and swap together: no swap.
  if (context.cgroup_v2 || context.swap_limit) memory["swap"] = limits.memory_bytes;
  return {{"memory", memory},
          {"cpu", {{"period", kCpuPeriod}, {"quota", std::max(kLeastCpuQuota, limits.cpu_milli * kCpuPeriod / 1000)}}},
          {"pids", {{"limit", limits.pids}}},
          {"devices", Json::array({{{"allow", false}, {"access", "rwm"}}})}};
}

Json NamespacesOf(NetworkMode network, bool cgroup_v2) {
  Json namespaces = Json::array();
  for (const char* type : {"pid", "ipc", "uts", "mount"}) namespaces.push_back({{"type", type}});
  if (network != NetworkMode::kHost) namespaces.push_back({{"type", "network"}});
  if (cgroup_v2) namespaces.push_back({{"type", "cgroup"}});
  return namespaces;
}

Json LinuxOf(const InstanceSpec& spec, const SpecContext& context) {
  const SecurityContext& security = spec.spec.security;
  Json linux_part = {
      {"cgroupsPath", context.cgroup_path},
      {"resources", ResourcesOf(spec.spec.resources, context)},
      {"namespaces", NamespacesOf(security.network, context.cgroup_v2)},
      {"seccomp", SeccompProfile(CapabilitiesOf(security))},
      {"maskedPaths",
       {"/proc/acpi", "/proc/asound", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list",
        "/proc/timer_stats", "/proc/sched_debug", "/proc/scsi", "/sys/firmware", "/sys/devices/virtual/powercap"}},
      {"readonlyPaths", {"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"}}};
  // As in Docker: a server that is not root may listen on any port of its own network.
  if (security.network != NetworkMode::kHost) linux_part["sysctl"] = {{"net.ipv4.ip_unprivileged_port_start", "0"}};
  return linux_part;
}

}  // namespace

std::string WhyNoSecrets(const std::string& shim_binary) {
  return shim_binary.empty() ? "values of secrets would show in containerd's container info, because this node has no "
                               "shim that can hand them over"
                             : "";
}

StatusOr<Json> OciSpec(const InstanceSpec& spec, const ImageConfig& image, const SpecContext& context) {
  Strings argv = ArgvOf(spec);
  if (argv.empty()) return InvalidArgument("spec.command: must be set, the image has neither ENTRYPOINT nor CMD");
  if (const std::string why = WhyNoSecrets(context.shim_binary); NeedsDelivery(spec.spec) && !why.empty())
    return FailedPrecondition(why);
  const bool shim = !context.shim_binary.empty();
  if (shim) {
    Strings whole = ShimArgv(spec.id);
    whole.insert(whole.end(), argv.begin(), argv.end());
    argv = std::move(whole);
  }
  const SecurityContext& security = spec.spec.security;
  const Strings capabilities = CapabilitiesOf(security);
  const int64_t uid = security.run_as_user;
  return Json{
      {"ociVersion", "1.0.2"},
      {"hostname", spec.id},
      {"root", {{"path", "rootfs"}, {"readonly", security.read_only_root}}},
      {"process",
       {{"terminal", false},
        {"user", {{"uid", uid}, {"gid", uid}}},
        {"args", argv},
        {"env", EnvironmentOf(spec, image, shim)},
        {"cwd", image.working_directory.empty() ? "/" : image.working_directory},
        // Ambient too, or a server that is not root would not have what was added for it.
        {"capabilities",
         {{"bounding", capabilities},
          {"effective", capabilities},
          {"permitted", capabilities},
          {"inheritable", capabilities},
          {"ambient", capabilities}}},
        {"noNewPrivileges", true},
        {"oomScoreAdj", 100}}},  // servers go before the node's own daemons
      {"mounts", MountsOf(spec, context)},
      {"linux", LinuxOf(spec, context)},
  };
}

std::string EtcHosts(const std::string& hostname) {
  return "127.0.0.1 localhost " + hostname + "\n::1 localhost ip6-localhost ip6-loopback\n";
}

std::string ResolvConf(const std::string& host, const std::string& upstream, NetworkMode network) {
  if (network == NetworkMode::kHost) return host;
  for (const std::string& source : {host, upstream}) {
    std::string kept;
    bool any = false;
    for (const std::string& line : Split(source, '\n')) {
      const std::string_view text = Trim(line);
      const bool server = text.starts_with("nameserver");
      const std::string_view address = server ? Trim(text.substr(10)) : "";
      if (server && (address.starts_with("127.") || address == "::1")) continue;
      any = any || server;
      if (!text.empty()) kept += std::string(text) + "\n";
    }
    if (any) return kept;
  }
  return "nameserver 8.8.8.8\nnameserver 8.8.4.4\n";
}

}  // namespace mcpfleet::containerd
