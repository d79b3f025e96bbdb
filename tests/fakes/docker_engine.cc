#include "tests/fakes/docker_engine.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>

#include <nlohmann/json.hpp>

#include "base/argv.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/strings.h"

namespace mcpfleet {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

std::string FindProgram(const std::string& name) {
  for (const char* dir : {"/usr/sbin/", "/usr/bin/", "/usr/local/sbin/", "/usr/local/bin/"}) {
    std::string path = dir + name;
    if (access(path.c_str(), X_OK) == 0) return path;
  }
  return "";
}

void AppendTarEntry(std::string& tar, const ImageFile& file) {
  char header[512] = {};
  const bool directory = file.path.back() == '/';
  const size_t size = directory || !file.link.empty() ? 0 : file.content.size();
  snprintf(header, 100, "%s", file.path.c_str() + 1);  // archives hold relative names
  snprintf(header + 100, 8, "%07o", static_cast<unsigned>(file.mode));
  snprintf(header + 108, 8, "%07o", 0U);
  snprintf(header + 116, 8, "%07o", 0U);
  snprintf(header + 124, 12, "%011zo", size);
  snprintf(header + 136, 12, "%011o", 0U);
  header[156] = directory ? '5' : !file.link.empty() ? '2' : '0';
  snprintf(header + 157, 100, "%s", file.link.c_str());
  snprintf(header + 257, 6, "ustar");
  header[263] = header[264] = '0';  // the version: two digits, no end
  memset(header + 148, ' ', 8);
  unsigned sum = 0;
  for (char c : header) sum += static_cast<unsigned char>(c);
  snprintf(header + 148, 8, "%06o", sum);
  tar.append(header, sizeof header);
  if (size == 0) return;
  tar += file.content;
  tar.append((512 - size % 512) % 512, '\0');
}

StatusOr<UniqueFd> ConnectUnix(const std::string& path) {
  UniqueFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  snprintf(address.sun_path, sizeof address.sun_path, "%s", path.c_str());
  if (!fd.valid() || connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
    return ErrnoStatus(errno, path);
  }
  return fd;
}

std::string& WhyNotText() {
  static std::string text;
  return text;
}

}  // namespace

std::string MakeTar(const std::vector<ImageFile>& files) {
  std::string tar;
  for (const ImageFile& file : files) AppendTarEntry(tar, file);
  tar.append(1024, '\0');
  return tar;
}

DockerEngine* DockerEngine::Shared() {
  // Stopped by the destructor of a static: at exit, after the last test.
  static std::unique_ptr<DockerEngine> engine(Start(&WhyNotText()));
  return engine.get();
}

const std::string& DockerEngine::WhyNot() { return WhyNotText(); }

DockerEngine* DockerEngine::Start(std::string* why_not) {
  const auto none = [&](const std::string& reason) -> DockerEngine* {
    *why_not = "NO DOCKER ENGINE, TESTS NOT RUN: " + reason;
    if (getenv("MCPFLEET_REQUIRE_DOCKER") != nullptr) {
      fprintf(stderr, "%s\n", why_not->c_str());
      abort();
    }
    return nullptr;
  };
  if (geteuid() != 0) return none("needs root");
  if (FindProgram("dockerd").empty()) return none("no dockerd on this machine (Debian: docker.io)");
  if (FindProgram("busybox").empty()) return none("no busybox to make an image of (Debian: busybox-static)");
  std::unique_ptr<DockerEngine> engine(new DockerEngine);
  Status status;
  for (const char* driver : {"overlay2", "vfs"}) {
    status = engine->Launch(driver);
    if (status.ok()) break;
    engine->Stop();
  }
  if (!status.ok()) return none(Message(status));
  StatusOr<std::string> busybox = ReadFile(FindProgram("busybox"), size_t{16} << 20);
  if (!busybox.ok()) return none(Message(busybox.status()));
  engine->image_ = "mcpfleet-test/busybox:1";
  const std::vector<ImageFile> files = {{.path = "/bin/"},
                                        {.path = "/tmp/", .mode = 01777},
                                        {.path = "/bin/busybox", .content = *busybox},
                                        {.path = "/bin/sh", .link = "busybox"}};
  status =
      engine->Import(engine->image_, files, {"ENTRYPOINT [\"/bin/busybox\"]", "CMD [\"true\"]", "ENV FROM_IMAGE=yes"});
  if (!status.ok()) return none(Message(status));
  return engine.release();
}

Status DockerEngine::Launch(const std::string& storage_driver) {
  char pattern[] = "/tmp/mcpfleet-docker-XXXXXX";
  if (mkdtemp(pattern) == nullptr) return ErrnoStatus(errno, "mkdtemp");
  directory_ = pattern;
  socket_ = directory_ + "/docker.sock";
  return Spawn(storage_driver);
}

Status DockerEngine::Restart(int signal) {
  RETURN_IF_ERROR(process_.End(signal));
  // A killed engine leaves its own containerd, which ends a moment later or is taken over.
  return Spawn(storage_driver_);
}

Status DockerEngine::Spawn(const std::string& storage_driver) {
  storage_driver_ = storage_driver;
  const std::string space = "mcpfleet-test-" + std::to_string(getpid());
  const std::vector<std::string> args = {
      FindProgram("dockerd"), "--data-root", directory_ + "/data", "--exec-root", directory_ + "/exec", "-H",
      "unix://" + socket_, "--pidfile", directory_ + "/pid", "--storage-driver", storage_driver, "--bridge=none",
      "--iptables=false", "--ip6tables=false",
      // A containerd of the system's may be shared; its containers are never ours to see.
      "--containerd-namespace", space, "--containerd-plugins-namespace", space + "-plugins", "--log-level", "warn"};
  return process_.Start("dockerd (" + storage_driver + ")", args, {}, directory_ + "/log", [this] {
    const StatusOr<Answer> ping = Request("GET", "/_ping");
    return ping.ok() && ping->status == 200;
  });
}

StatusOr<DockerEngine::Answer> DockerEngine::Request(std::string_view method, std::string_view target,
                                                     std::string_view body, std::string_view type) {
  const Deadline deadline = Deadline::After(seconds(60));
  ASSIGN_OR_RETURN(UniqueFd fd, ConnectUnix(socket_));
  // HTTP/1.0: the engine neither chunks nor keeps the connection.
  const std::string head = std::string(method) + " " + std::string(target) +
                           " HTTP/1.0\r\nHost: docker\r\nContent-Type: " + std::string(type) +
                           "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n";
  RETURN_IF_ERROR(WriteAll(fd.get(), head, deadline));
  RETURN_IF_ERROR(WriteAll(fd.get(), body, deadline));
  std::string raw;
  char buffer[65536];
  for (;;) {
    RETURN_IF_ERROR(PollFd(fd.get(), POLLIN, deadline));
    const ssize_t n = read(fd.get(), buffer, sizeof buffer);
    if (n < 0) return ErrnoStatus(errno, "read from the engine");
    if (n == 0) break;
    raw.append(buffer, static_cast<size_t>(n));
  }
  const size_t end = raw.find("\r\n\r\n");
  if (end == std::string::npos || raw.size() < 12) return Unavailable("the engine answered no HTTP");
  return Answer{std::atoi(raw.c_str() + 9), raw.substr(end + 4)};
}

Status DockerEngine::Import(const std::string& ref, const std::vector<ImageFile>& files,
                            const std::vector<std::string>& changes) {
  const size_t colon = ref.rfind(':');
  std::string target = "/images/create?fromSrc=-&repo=" + PercentEncode(ref.substr(0, colon)) +
                       "&tag=" + PercentEncode(ref.substr(colon + 1));
  for (const std::string& change : changes) target += "&changes=" + PercentEncode(change);
  ASSIGN_OR_RETURN(Answer answer, Request("POST", target, MakeTar(files), "application/x-tar"));
  if (answer.status != 200 || answer.body.find("\"error\"") != std::string::npos)
    return Unavailable("import " + ref + ": " + answer.body);
  return OkStatus();
}

// What an engine that was killed leaves running and mounted: only what names this engine's own directory.
void DockerEngine::EndStrays() {
  DIR* listing = opendir("/proc");
  while (const dirent* entry = listing == nullptr ? nullptr : readdir(listing)) {
    const std::string process = std::string("/proc/") + entry->d_name;
    const int pid = std::atoi(entry->d_name);
    if (pid <= 1) continue;
    const std::string argv = ReadFile(process + "/cmdline", size_t{1} << 20).value_or("");
    if (argv.find("containerd-shim") == std::string::npos || argv.find(directory_ + "/") == std::string::npos) continue;
    const std::string children = ReadFile(process + "/task/" + entry->d_name + "/children", 65536).value_or("");
    for (const std::string& child : Split(children, ' ')) {
      if (std::atoi(child.c_str()) > 1) kill(std::atoi(child.c_str()), SIGKILL);
    }
    kill(pid, SIGKILL);
  }
  if (listing != nullptr) closedir(listing);
  for (const std::string& line : Split(ReadFile("/proc/mounts", size_t{16} << 20).value_or(""), '\n')) {
    const std::vector<std::string> fields = Split(line, ' ');
    if (fields.size() > 1 && fields[1].starts_with(directory_ + "/")) umount2(fields[1].c_str(), MNT_DETACH);
  }
}

void DockerEngine::Stop() {
  if (process_.runs()) {
    if (StatusOr<Answer> list = Request("GET", "/containers/json?all=1"); list.ok()) {
      StatusOr<Json> containers = ParseJson(list->body);
      for (const Json& container : containers.ok() ? *containers : Json::array()) {
        Request("DELETE", "/containers/" + GetString(container, "Id") + "?force=1&v=1").IgnoreError();
      }
    }
    process_.Stop();
  }
  if (!directory_.empty()) {
    EndStrays();
    umount2((directory_ + "/data").c_str(), MNT_DETACH);  // present only where the engine made it a mount of its own
    umount2((directory_ + "/exec/netns/default").c_str(), MNT_DETACH);
    const Status removed = RemoveTree(directory_);
    if (!removed.ok()) fprintf(stderr, "%s\n", Message(removed).c_str());
  }
  directory_.clear();
}

DockerEngine::~DockerEngine() { Stop(); }

}  // namespace mcpfleet
