#include "tests/fakes/containerd_engine.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <memory>

#include <nlohmann/json.hpp>

#include "base/argv.h"
#include "base/digest.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/strings.h"
#include "tests/base/tls_identity.h"

namespace mcpfleet {
namespace {

using std::chrono::seconds;
namespace fs = std::filesystem;

std::map<std::string, std::string>& WhyNots() {
  static std::map<std::string, std::string> texts;
  return texts;
}

// The directory of a containerd below `root`, "" when there is none.
std::string FindBelow(const std::string& root) {
  std::error_code error;
  for (auto it = fs::recursive_directory_iterator(root, error); it != fs::recursive_directory_iterator();
       it.increment(error)) {
    if (error) break;
    if (it->path().filename() == "containerd" && it->is_regular_file(error) && access(it->path().c_str(), X_OK) == 0)
      return it->path().parent_path();
  }
  return "";
}

// stdout and stderr together.
StatusOr<std::string> Run(const std::vector<std::string>& args, const std::string& path, Duration limit) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return ErrnoStatus(errno, "pipe");
  UniqueFd read_end(ends[0]), write_end(ends[1]);
  const std::vector<std::string> environment = {"PATH=" + path};
  const std::vector<char*> argv = ArgvOf(args), env = ArgvOf(environment);
  const pid_t pid = fork();
  if (pid < 0) return ErrnoStatus(errno, "fork");
  if (pid == 0) {
    dup2(write_end.get(), 1);
    dup2(write_end.get(), 2);
    execve(argv[0], argv.data(), env.data());
    _exit(127);
  }
  write_end.Reset();
  std::string text;
  const Deadline deadline = Deadline::After(limit);
  char buffer[8192];
  ssize_t n = 0;
  Status status;
  while (status = PollFd(read_end.get(), POLLIN, deadline),
         status.ok() && (n = read(read_end.get(), buffer, sizeof buffer)) > 0)
    text.append(buffer, static_cast<size_t>(n));
  if (!status.ok()) kill(pid, SIGKILL);
  int code = 0;
  waitpid(pid, &code, 0);
  if (!status.ok()) return Annotate(status, args[0]);
  if (!WIFEXITED(code) || WEXITSTATUS(code) != 0) return Unavailable(Join(args, " ") + ": " + text);
  return text;
}

std::string SeriesOf(const std::string& binaries) {
  const StatusOr<std::string> said = Run({binaries + "/containerd", "--version"}, "/usr/bin:/bin", seconds(10));
  if (!said.ok()) return "";
  // "containerd github.com/containerd/containerd 1.6.20~ds1 …", "containerd github.com/containerd/containerd/v2 2.1.9
  // …"
  for (const std::string& word : Split(*said, ' ')) {
    if (word.empty() || word[0] < '0' || word[0] > '9') continue;
    if (word.starts_with("2.")) return "2";
    return word.substr(0, word.find('.', word.find('.') + 1));
  }
  return "";
}

std::string BinariesOf(const std::string& version) {
  if (access("/usr/bin/containerd", X_OK) == 0 && SeriesOf("/usr/bin") == version) return "/usr/bin";
  const char* given = getenv("MCPFLEET_CONTAINERDS");
  return given == nullptr ? "" : FindBelow(std::string(given) + "/" + version);
}

}  // namespace

ContainerdEngine* ContainerdEngine::Shared(const std::string& version) {
  // Stopped by the destructor of a static: at exit, after the last test.
  static std::map<std::string, std::unique_ptr<ContainerdEngine>> engines;
  const auto found = engines.find(version);
  if (found != engines.end()) return found->second.get();
  engines[version].reset(Start(version, &WhyNots()[version]));
  return engines[version].get();
}

const std::string& ContainerdEngine::WhyNot(const std::string& version) { return WhyNots()[version]; }

ContainerdEngine* ContainerdEngine::Any() {
  for (const char* version : {"1.6", "1.7", "2"}) {
    if (ContainerdEngine* engine = Shared(version); engine != nullptr) return engine;
  }
  return nullptr;
}

ContainerdEngine* ContainerdEngine::Start(const std::string& version, std::string* why_not) {
  const auto none = [&](const std::string& reason) -> ContainerdEngine* {
    *why_not = "NO CONTAINERD " + version + ", TESTS NOT RUN: " + reason;
    if (getenv("MCPFLEET_REQUIRE_CONTAINERD") != nullptr && version != "2") {
      fprintf(stderr, "%s\n", why_not->c_str());
      abort();
    }
    return nullptr;
  };
  if (geteuid() != 0) return none("needs root");
  std::unique_ptr<ContainerdEngine> engine(new ContainerdEngine);
  engine->binaries_ = BinariesOf(version);
  if (engine->binaries_.empty())
    return none("the system's is another, and there is none in $MCPFLEET_CONTAINERDS/" + version +
                " (an unpacked Debian package)");
  engine->version_ = version;
  const Status status = engine->Launch();
  if (!status.ok()) return none(Message(status));
  return engine.release();
}

Status ContainerdEngine::Launch() {
  char pattern[] = "/tmp/mcpfleet-containerd-XXXXXX";
  if (mkdtemp(pattern) == nullptr) return ErrnoStatus(errno, "mkdtemp");
  directory_ = pattern;
  socket_ = directory_ + "/containerd.sock";
  image_ = "mcpfleet-test/busybox:1";
  const std::string config = "version = 2\nroot = \"" + directory_ + "/root\"\nstate = \"" + directory_ +
                             "/state\"\ndisabled_plugins = [\"io.containerd.grpc.v1.cri\", "
                             "\"io.containerd.cri.v1.runtime\", \"io.containerd.cri.v1.images\", "
                             "\"io.containerd.internal.v1.opt\"]\n[grpc]\n  address = \"" +
                             socket_ + "\"\n";
  RETURN_IF_ERROR(WriteFileAtomically(directory_ + "/config.toml", config));
  const testing::TlsIdentity registry("IP:127.0.0.1");
  registry.WriteTo(registry_certificate());
  registry.WriteKeyTo(registry_key());
  RETURN_IF_ERROR(Spawn());
  ASSIGN_OR_RETURN(const std::string plugins, Ctr("default", {"plugins", "ls"}));
  for (const std::string& line : Split(plugins, '\n')) {
    if (line.find("overlayfs") != std::string::npos && line.find(" ok") == std::string::npos) snapshotter_ = "native";
  }
  return OkStatus();
}

Status ContainerdEngine::Spawn() {
  const std::vector<std::string> args = {binaries_ + "/containerd", "--config", directory_ + "/config.toml",
                                         "--log-level", "warn"};
  // Its shim is looked for in PATH; runc is the system's.
  const std::vector<std::string> environment = {"PATH=" + binaries_ + ":/usr/sbin:/usr/bin:/sbin:/bin",
                                                "SSL_CERT_FILE=" + registry_certificate()};
  return process_.Start("containerd", args, environment, directory_ + "/log",
                        [this] { return access(socket_.c_str(), F_OK) == 0 && Ctr("default", {"version"}).ok(); });
}

StatusOr<std::string> ContainerdEngine::Ctr(const std::string& space, const std::vector<std::string>& arguments) {
  std::vector<std::string> args = {binaries_ + "/ctr", "--address", socket_, "--namespace", space};
  args.insert(args.end(), arguments.begin(), arguments.end());
  return Run(args, binaries_ + ":/usr/sbin:/usr/bin:/sbin:/bin", seconds(60));
}

StatusOr<std::string> ContainerdEngine::Archive(const std::string& ref, const std::vector<ImageFile>& files,
                                                const std::string& config) {
  const std::string layer = MakeTar(files);
  ASSIGN_OR_RETURN(const Json given, ParseJson(config));
#if defined(__x86_64__)
  const char* machine = "amd64";
#else
  const char* machine = "arm64";
#endif
  const std::string image = DumpJson({{"architecture", machine},
                                      {"os", "linux"},
                                      {"created", "2026-01-01T00:00:00Z"},
                                      {"config", given},
                                      {"rootfs", {{"type", "layers"}, {"diff_ids", {"sha256:" + Sha256Hex(layer)}}}}});
  const std::string config_name = Sha256Hex(image) + ".json";
  const Json manifest =
      Json::array({{{"Config", config_name}, {"RepoTags", Json::array({ref})}, {"Layers", {"layer.tar"}}}});
  const std::string path = directory_ + "/archive-" + std::to_string(++archives_) + ".tar";
  RETURN_IF_ERROR(WriteFileAtomically(path, MakeTar({{.path = "/layer.tar", .content = layer},
                                                     {.path = "/" + config_name, .content = image},
                                                     {.path = "/manifest.json", .content = DumpJson(manifest)}})));
  return path;
}

Status ContainerdEngine::Import(const std::string& space, const std::string& ref, const std::vector<ImageFile>& files,
                                const std::string& config) {
  ASSIGN_OR_RETURN(const std::string path, Archive(ref, files, config));
  // With the content only: what it is unpacked by is the runtime's to do.
  ASSIGN_OR_RETURN(const std::string said, Ctr(space, {"images", "import", "--no-unpack", path}));
  unlink(path.c_str());
  return OkStatus();
}

Status ContainerdEngine::Use(const std::string& space) {
  if (std::find(used_.begin(), used_.end(), space) != used_.end()) return OkStatus();
  ASSIGN_OR_RETURN(const std::string busybox, ReadFile("/usr/bin/busybox", size_t{16} << 20));
  const std::vector<ImageFile> files = {{.path = "/bin/"},
                                        {.path = "/tmp/", .mode = 01777},
                                        {.path = "/bin/busybox", .content = busybox},
                                        {.path = "/bin/sh", .link = "busybox"}};
  RETURN_IF_ERROR(
      Import(space, image_, files, R"({"Entrypoint": ["/bin/busybox"], "Cmd": ["true"], "Env": ["FROM_IMAGE=yes"]})"));
  used_.push_back(space);
  return OkStatus();
}

Status ContainerdEngine::Restart(int signal) {
  RETURN_IF_ERROR(process_.End(signal));
  return Spawn();
}

std::vector<pid_t> ContainerdEngine::Shims() const {
  std::vector<pid_t> shims;
  DIR* listing = opendir("/proc");
  while (const dirent* entry = listing == nullptr ? nullptr : readdir(listing)) {
    const int pid = std::atoi(entry->d_name);
    if (pid <= 1) continue;
    const std::string argv = ReadFile(std::string("/proc/") + entry->d_name + "/cmdline", size_t{1} << 20).value_or("");
    if (argv.find("containerd-shim") != std::string::npos && argv.find(socket_) != std::string::npos)
      shims.push_back(pid);
  }
  if (listing != nullptr) closedir(listing);
  return shims;
}

int ContainerdEngine::KillShims() {
  const std::vector<pid_t> shims = Shims();
  for (const pid_t shim : shims) kill(shim, SIGKILL);
  return static_cast<int>(shims.size());
}

void ContainerdEngine::Stop() {
  if (process_.runs()) {
    // What tests forgot: processes of containers first, their shims then.
    for (const pid_t shim : Shims()) {
      const std::string task = std::to_string(shim);
      const std::string children = ReadFile("/proc/" + task + "/task/" + task + "/children", 65536).value_or("");
      for (const std::string& child : Split(children, ' ')) {
        if (std::atoi(child.c_str()) > 1) kill(std::atoi(child.c_str()), SIGKILL);
      }
    }
    process_.Stop();
    KillShims();
  }
  if (directory_.empty()) return;
  for (const std::string& line : Split(ReadFile("/proc/mounts", size_t{16} << 20).value_or(""), '\n')) {
    const std::vector<std::string> fields = Split(line, ' ');
    if (fields.size() > 1 && fields[1].starts_with(directory_ + "/")) umount2(fields[1].c_str(), MNT_DETACH);
  }
  const Status removed = RemoveTree(directory_);
  if (!removed.ok()) fprintf(stderr, "%s\n", Message(removed).c_str());
  directory_.clear();
}

ContainerdEngine::~ContainerdEngine() { Stop(); }

}  // namespace mcpfleet
