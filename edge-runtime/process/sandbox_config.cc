#include "edge-runtime/process/sandbox_config.h"

#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "base/fd.h"
#include "base/strings.h"
#include "edge-runtime/process/sandbox_format.h"

namespace mcpfleet {
namespace {

// linux/capability.h, by number.
constexpr const char* kCapabilities[] = {"CHOWN",
                                         "DAC_OVERRIDE",
                                         "DAC_READ_SEARCH",
                                         "FOWNER",
                                         "FSETID",
                                         "KILL",
                                         "SETGID",
                                         "SETUID",
                                         "SETPCAP",
                                         "LINUX_IMMUTABLE",
                                         "NET_BIND_SERVICE",
                                         "NET_BROADCAST",
                                         "NET_ADMIN",
                                         "NET_RAW",
                                         "IPC_LOCK",
                                         "IPC_OWNER",
                                         "SYS_MODULE",
                                         "SYS_RAWIO",
                                         "SYS_CHROOT",
                                         "SYS_PTRACE",
                                         "SYS_PACCT",
                                         "SYS_ADMIN",
                                         "SYS_BOOT",
                                         "SYS_NICE",
                                         "SYS_RESOURCE",
                                         "SYS_TIME",
                                         "SYS_TTY_CONFIG",
                                         "MKNOD",
                                         "LEASE",
                                         "AUDIT_WRITE",
                                         "AUDIT_CONTROL",
                                         "SETFCAP",
                                         "MAC_OVERRIDE",
                                         "MAC_ADMIN",
                                         "SYSLOG",
                                         "WAKE_ALARM",
                                         "BLOCK_SUSPEND",
                                         "AUDIT_READ",
                                         "PERFMON",
                                         "BPF",
                                         "CHECKPOINT_RESTORE"};

// Places that make the sandbox what it is; a volume there would undo it.
constexpr const char* kReserved[] = {"/proc", "/dev",  "/.mcp", "/.mcp-shim", "/package", "/runtime", "/usr",
                                     "/bin",  "/sbin", "/lib",  "/lib32",     "/lib64",   "/etc"};

bool Below(std::string_view path, std::string_view directory) {
  return path == directory || (path.starts_with(directory) && path.substr(directory.size()).starts_with("/"));
}

Status AddCapabilities(const SecurityContext& security, SandboxConfig* out) {
  for (const std::string& name : security.add_capabilities) {
    std::string_view bare = name;
    if (bare.starts_with("CAP_")) bare.remove_prefix(4);
    const auto* found = std::find(std::begin(kCapabilities), std::end(kCapabilities), bare);
    if (found == std::end(kCapabilities))
      return InvalidArgument("spec.securityContext.capabilities.add: unknown " + name);
    out->Add({"cap", std::to_string(found - std::begin(kCapabilities))});
  }
  return OkStatus();
}

Status AddVolumes(std::vector<Volume> volumes, SandboxConfig* out) {
  // A volume inside another one comes after it.
  std::sort(volumes.begin(), volumes.end(),
            [](const Volume& a, const Volume& b) { return a.mount_path < b.mount_path; });
  for (const Volume& volume : volumes) {
    if (!volume.mount_path.starts_with("/") || volume.mount_path == "/") {
      return InvalidArgument("spec.volumes." + volume.name + ".mountPath: must be an absolute path below /");
    }
    for (const char* reserved : kReserved) {
      if (Below(volume.mount_path, reserved)) {
        return InvalidArgument("spec.volumes." + volume.name + ".mountPath: " + reserved + " belongs to the sandbox");
      }
    }
    if (volume.host_path.empty()) {
      out->Add({"tmpfs", std::to_string(std::max<int64_t>(4096, volume.tmpfs_bytes)), volume.mount_path});
    } else {
      out->Add({"bind", volume.read_only ? "rx" : "wx", volume.host_path, volume.mount_path});
    }
  }
  return OkStatus();
}

const char* NetworkWord(NetworkMode mode) {
  switch (mode) {
    case NetworkMode::kNone:
      return "none";
    case NetworkMode::kOutbound:
      return "outbound";
    case NetworkMode::kHost:
      return "host";
  }
  return "none";
}

Status AddFileDirectories(const ServerSpec& spec, SandboxConfig* out) {
  for (const std::string& directory : FileDirectoriesOf(spec)) {
    for (const char* reserved : kReserved) {
      if (Below(directory, reserved))
        return InvalidArgument("spec.files: " + directory + ": " + reserved + " belongs to the sandbox");
    }
    out->Add({"tmpfs", std::to_string(kFileMemory), directory});
  }
  return OkStatus();
}

void AddArgv(const InstanceSpec& instance, const SandboxPlace& place, SandboxConfig* out) {
  out->Add({"arg", "/.mcp-shim"});
  for (const std::string& word : place.shim_arguments) out->Add({"arg", word == "{id}" ? instance.id : word});
  out->Add({"arg", "--"});
  for (const std::string& word : ServerArgv(instance)) out->Add({"arg", word});
}

}  // namespace

SandboxConfig::SandboxConfig() { Add({sandbox::kFormatVersion}); }

void SandboxConfig::Add(std::initializer_list<std::string_view> words) {
  for (const std::string_view word : words) {
    spoiled_ = spoiled_ || word.find('\0') != std::string_view::npos;
    text_.append(word);
    text_.push_back('\0');
  }
}

void SandboxConfig::AddSystem(int64_t uid, Resolver resolver) {
  Add({"bind", "r", "/usr", "/usr"});
  for (const char* path : {"/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"}) {
    char target[PATH_MAX];
    const ssize_t n = readlink(path, target, sizeof target);
    if (n > 0) {
      Add({"link", std::string_view(target, static_cast<size_t>(n)), path});
    } else {
      Add({"bind", "ro", path, path});
    }
  }
  for (const char* path :
       {"/etc/ld.so.cache", "/etc/alternatives", "/etc/ssl/certs", "/etc/ssl/openssl.cnf", "/etc/pki/tls/certs",
        "/etc/pki/ca-trust/extracted", "/etc/localtime", "/etc/mime.types", "/etc/protocols", "/etc/services"}) {
    Add({"bind", "ro", path, path});
  }
  const std::string id = std::to_string(uid);
  std::string passwd = "root:x:0:0:root:/tmp:/usr/sbin/nologin\n", group = "root:x:0:\n";
  if (uid != 0) {
    passwd += "mcp:x:" + id + ":" + id + "::/tmp:/usr/sbin/nologin\n";
    group += "mcp:x:" + id + ":\n";
  }
  Add({"file", "/etc/passwd", passwd});
  Add({"file", "/etc/group", group});
  if (resolver != Resolver::kNone) {
    Add({"bind", "ro", "/etc/hosts", "/etc/hosts"});
  } else {
    Add({"file", "/etc/hosts", "127.0.0.1 localhost\n::1 localhost\n"});
  }
  Add({"file", "/etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files dns\n"});
  if (resolver == Resolver::kHost) Add({"bind", "ro", "/etc/resolv.conf", "/etc/resolv.conf"});
  if (resolver == Resolver::kRelay) {
    StatusOr<std::string> host = ReadFile("/etc/resolv.conf", 64 << 10);
    Add({"file", "/etc/resolv.conf", RelayResolver(host.ok() ? *host : "")});
  }
  for (const char* path : {"/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"})
    Add({"bind", "wd", path, path});
  Add({"tmpfs", "16777216", "/dev/shm"});
  Add({"link", "/proc/self/fd", "/dev/fd"});
  Add({"link", "/proc/self/fd/0", "/dev/stdin"});
  Add({"link", "/proc/self/fd/1", "/dev/stdout"});
  Add({"link", "/proc/self/fd/2", "/dev/stderr"});
}

void SandboxConfig::AddCgroups(const std::vector<std::string>& directories, const std::string& oom_file) {
  for (const std::string& directory : directories) Add({"cgroup", directory});
  if (!oom_file.empty()) Add({"oomfile", oom_file});
}

StatusOr<std::string> SandboxConfig::Finish() const {
  if (spoiled_) return InvalidArgument("spec: a NUL byte in a string");
  if (text_.size() > static_cast<size_t>(sandbox::kMaxConfigBytes))
    return InvalidArgument("spec: command and args are too long");
  return text_;
}

std::string RelayResolver(std::string_view host_resolver) {
  std::string text = "nameserver 10.0.2.3\n";
  for (const std::string& line : Split(host_resolver, '\n')) {
    for (const char* keyword : {"search ", "domain ", "options "}) {
      if (line.starts_with(keyword)) text += line + "\n";
    }
  }
  return text;
}

std::vector<std::string> ServerArgv(const InstanceSpec& instance) {
  const ServerSpec& spec = instance.spec;
  std::vector<std::string> argv = spec.command.empty() ? instance.artifact.entrypoint : spec.command;
  const bool defaults = spec.args.empty() && spec.command.empty();
  const std::vector<std::string>& args = defaults ? instance.artifact.default_args : spec.args;
  argv.insert(argv.end(), args.begin(), args.end());
  return argv;
}

StatusOr<std::string> BuildSandboxConfig(const InstanceSpec& instance, const SandboxPlace& place) {
  const ServerSpec& spec = instance.spec;
  const SecurityContext& security = spec.security;
  const std::string uid = std::to_string(security.run_as_user);
  SandboxConfig out;
  out.Add({"id", instance.id});
  out.Add({"uid", uid});
  out.Add({"gid", uid});
  out.Add({"network", NetworkWord(security.network)});
  const bool relayed = security.network == NetworkMode::kOutbound && !place.relay_binary.empty();
  if (relayed) out.Add({"relay", place.relay_binary});
  if (spec.transport == Transport::kStreamableHttp && spec.port > 0) out.Add({"listen", std::to_string(spec.port)});
  out.Add({"root", security.read_only_root ? "ro" : "rw", security.read_only_root ? "1048576" : "67108864"});
  // /tmp is memory of the instance: never more than half of what it may have.
  out.Add({"tmp", std::to_string(std::clamp<int64_t>(spec.resources.memory_bytes / 2, 1 << 20, 256 << 20))});
  out.Add({"nofile", "1024", "65536"});
  out.Add({"log", std::to_string(std::max<int64_t>(64 << 10, spec.logs.max_size_bytes)),
           std::to_string(std::clamp(spec.logs.max_files, 1, 100))});
  const Resolver shared = security.network == NetworkMode::kNone ? Resolver::kNone : Resolver::kHost;
  out.AddSystem(security.run_as_user, relayed ? Resolver::kRelay : shared);
  out.Add({"bind", "r", place.shim_binary, "/.mcp-shim"});
  if (!instance.shim_directory.empty()) out.Add({"bind", "r", instance.shim_directory, "/.mcp"});
  if (!instance.artifact.root.empty()) out.Add({"bind", "r", instance.artifact.root, "/package"});
  if (!place.runtime_directory.empty()) out.Add({"bind", "r", place.runtime_directory, "/runtime"});
  if (const auto* process = std::get_if<ProcessSource>(&spec.source);
      process != nullptr && !Below(process->path, "/usr")) {
    out.Add({"bind", "r", process->path, process->path});
  }
  RETURN_IF_ERROR(AddVolumes(spec.volumes, &out));
  RETURN_IF_ERROR(AddFileDirectories(spec, &out));
  RETURN_IF_ERROR(AddCapabilities(security, &out));
  out.AddCgroups(place.cgroups, place.oom_file);
  for (const char* entry :
       {"PATH=/runtime/bin:/usr/local/bin:/usr/bin:/bin", "HOME=/tmp", "TMPDIR=/tmp", "LANG=C.UTF-8"}) {
    out.Add({"env", entry});
  }
  AddArgv(instance, place, &out);
  return out.Finish();
}

}  // namespace mcpfleet
