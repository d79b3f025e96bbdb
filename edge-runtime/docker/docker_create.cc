// The create request: where a spec's limits and sandbox become the engine's.
#include <sys/resource.h>

#include <algorithm>

#include "base/strings.h"
#include "edge-runtime/docker/docker_json.h"

namespace mcpfleet {
namespace {

Json BindMount(const std::string& source, const std::string& target, bool read_only) {
  // `Mounts`, not `Binds`: a missing source is then an error; Binds would make an empty directory owned by root.
  return {{"Type", "bind"},
          {"Source", source},
          {"Target", target},
          {"ReadOnly", read_only},
          {"BindOptions", {{"Propagation", "rprivate"}}}};
}

// One way in and out for the lines: the shim's pipes, or the engine's connection.
bool Attached(const InstanceSpec& spec, const CreateContext& context) {
  return !context.attach.empty() && spec.spec.transport == Transport::kStdio;
}
bool UsesShim(const CreateContext& context) { return !context.shim_binary.empty() && context.attach.empty(); }

std::string LogSizesOf(const ServerSpec& spec) {
  return std::to_string(spec.logs.max_size_bytes) + "x" + std::to_string(std::max(1, spec.logs.max_files));
}

Json MountsOf(const InstanceSpec& spec, const CreateContext& context) {
  Json mounts = Json::array();
  if (UsesShim(context)) {
    mounts.push_back(BindMount(context.shim_binary, kShimTarget, true));
    if (!spec.shim_directory.empty()) mounts.push_back(BindMount(spec.shim_directory, kShimDirectoryTarget, true));
  }
  for (const Volume& volume : spec.spec.volumes) {
    if (!volume.host_path.empty()) mounts.push_back(BindMount(volume.host_path, volume.mount_path, volume.read_only));
  }
  return mounts;
}

std::string TmpfsOptions(int64_t bytes, bool read_only, bool exec) {
  return std::string(read_only ? "ro" : "rw") + ",nosuid,nodev," + (exec ? "exec" : "noexec") +
         ",mode=1777,size=" + std::to_string(bytes);
}

Json TmpfsOf(const ServerSpec& spec) {
  Json tmpfs = Json::object();
  tmpfs["/tmp"] = TmpfsOptions(kTmpBytes, false, false);
  for (const Volume& volume : spec.volumes) {
    if (volume.mount_path == "/tmp") tmpfs.erase("/tmp");
    if (volume.host_path.empty()) tmpfs[volume.mount_path] = TmpfsOptions(volume.tmpfs_bytes, volume.read_only, true);
  }
  // The shim writes them, as the server's user; the files themselves are for nobody else.
  for (const std::string& directory : FileDirectoriesOf(spec))
    tmpfs[directory] = TmpfsOptions(kFileMemory, false, false);
  return tmpfs;
}

std::string NetworkOf(NetworkMode mode) {
  switch (mode) {
    case NetworkMode::kNone:
      return "none";
    case NetworkMode::kOutbound:
      return "bridge";
    case NetworkMode::kHost:
      return "host";
  }
  return "none";
}

Json LabelsOf(const InstanceSpec& spec, const CreateContext& context) {
  return {{kDockerLabelNode, context.node},
          {kDockerLabelInstance, spec.id},
          {"dev.mcpfleet.namespace", spec.server.namespace_},
          {"dev.mcpfleet.server", spec.server.name},
          {"dev.mcpfleet.uid", spec.uid},
          {"dev.mcpfleet.generation", std::to_string(spec.generation)},
          {"dev.mcpfleet.revision", spec.revision},
          {"dev.mcpfleet.shim", UsesShim(context) ? "true" : "false"},
          {"dev.mcpfleet.attached", Attached(spec, context) ? context.attach : ""},
          {"dev.mcpfleet.log", LogSizesOf(spec.spec)},
          {"dev.mcpfleet.unenforced", context.unenforced}};
}

Json HostConfigOf(const InstanceSpec& spec, const CreateContext& context) {
  const ServerSpec& server = spec.spec;
  Json host = {
      {"Memory", server.resources.memory_bytes},
      {"MemorySwap", server.resources.memory_bytes},  // memory and swap together: no swap
      {"NanoCpus", server.resources.cpu_milli * 1'000'000},
      {"PidsLimit", server.resources.pids},
      {"CapDrop", {"ALL"}},
      {"CapAdd", server.security.add_capabilities},
      {"SecurityOpt", {"no-new-privileges"}},
      {"ReadonlyRootfs", server.security.read_only_root},
      {"Tmpfs", TmpfsOf(server)},
      {"Mounts", MountsOf(spec, context)},
      {"NetworkMode", NetworkOf(server.security.network)},
      {"RestartPolicy", {{"Name", "no"}}},  // the agent is the only restarter
      {"Init", false},
      {"OomScoreAdj", 100},  // servers go before the node's own daemons
      {"LogConfig",
       {{"Type", "json-file"},
        {"Config",
         {{"max-size", std::to_string(server.logs.max_size_bytes)},
          {"max-file", std::to_string(std::max(1, server.logs.max_files))}}}}},
  };
  // The engine would log the protocol too; what the server says on stderr is kept by whoever is attached.
  if (Attached(spec, context)) host["LogConfig"] = {{"Type", "none"}, {"Config", Json::object()}};
  if (context.podman) {
    // Podman's default is higher than what an agent without CAP_SYS_RESOURCE may set.
    rlimit limit{};
    getrlimit(RLIMIT_NPROC, &limit);
    const auto as_int = [](rlim_t value) { return value == RLIM_INFINITY ? int64_t{-1} : static_cast<int64_t>(value); };
    host["Ulimits"] =
        Json::array({{{"Name", "nproc"}, {"Soft", as_int(limit.rlim_cur)}, {"Hard", as_int(limit.rlim_max)}}});
  }
  return host;
}

}  // namespace

std::string WhyNoSecrets(const CreateContext& context) {
  if (UsesShim(context)) return "";
  return "values of secrets would show in the engine's inspect output, because no shim can hand them over: " +
         (context.attach.empty() ? "this node has none for its engine" : context.attach);
}

StatusOr<Json> CreateBody(const InstanceSpec& spec, const CreateContext& context) {
  std::vector<std::string> argv = ArgvOf(spec);
  if (argv.empty()) {
    return InvalidArgument("spec.command: must be set, the image has neither ENTRYPOINT nor CMD");
  }
  if (const std::string why = WhyNoSecrets(context); NeedsDelivery(spec.spec) && !why.empty())
    return FailedPrecondition(why);
  std::vector<std::string> entrypoint;
  if (!UsesShim(context)) {
    entrypoint.swap(argv);
  } else {
    entrypoint = ShimArgv(spec.id);
  }
  // Nobody else is there to hand the environment over; it shows in `inspect` then.
  std::vector<std::string> env;
  if (!UsesShim(context)) {
    for (const EnvVar& each : spec.spec.env) env.push_back(each.name + "=" + each.value);
  }
  const bool attached = Attached(spec, context);
  const std::string uid = std::to_string(spec.spec.security.run_as_user);
  return Json{
      {"Image", spec.artifact.digest},
      {"Entrypoint", entrypoint},
      {"Cmd", argv},
      {"User", uid + ":" + uid},  // a lone uid that the image does not know would run with group root
      {"Tty", false},
      {"OpenStdin", attached},
      {"StdinOnce", attached},  // the end of our connection, or of our half of it, is the end of the server's input
      {"AttachStdin", attached},
      {"AttachStdout", attached},
      {"AttachStderr", attached},
      {"Env", env},
      {"StopSignal", "SIGTERM"},  // the shim's, whatever the image says
      {"Healthcheck", {{"Test", {"NONE"}}}},
      {"Labels", LabelsOf(spec, context)},
      {"HostConfig", HostConfigOf(spec, context)},
  };
}

std::vector<std::string> NotGiven(const ServerSpec& server) {
  const SecurityContext& security = server.security;
  if (security.run_as_user == 0) return {};
  std::vector<std::string> names;
  for (const std::string& name : security.add_capabilities) {
    if (name != "NET_BIND_SERVICE" || security.network == NetworkMode::kHost) names.push_back(name);
  }
  return names;
}

Status CheckGiven(const std::vector<std::string>& not_given) {
  if (not_given.empty()) return OkStatus();
  return FailedPrecondition("spec.securityContext.capabilities.add: Docker gives " + Join(not_given, ", ") +
                            " to root alone; set spec.securityContext.runAsUser to 0, which has no other capability "
                            "either, or spec.runtime to Containerd, or allow BestEffort and go without");
}

}  // namespace mcpfleet
