#include "edge-runtime/shim/shim_host.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/log.h"
#include "edge-runtime/shim/shim_process.h"

namespace mcpfleet {
namespace {

constexpr auto kHelloDeadline = std::chrono::seconds(2);
constexpr int kAcceptsPerTurn = 64;
// Before Expect nothing but the shim runs in an instance; a few more may come from its earlier attempts.
constexpr size_t kWaiting = 8;
constexpr char kSocketName[] = "agent.sock";

bool IsInstanceName(const std::string& name) {
  return !name.empty() && name.size() <= shim::kMaxInstanceBytes && name.front() != '-' &&
         name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-") == std::string::npos;
}

int PeerPid(int socket) {
  ucred peer{};
  socklen_t size = sizeof peer;
  return getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 ? peer.pid : 0;
}

uint32_t GraceMillis(Duration grace) {
  const int64_t millis = std::chrono::duration_cast<std::chrono::milliseconds>(grace).count();
  return static_cast<uint32_t>(std::clamp<int64_t>(millis, 0, 3'600'000));
}

}  // namespace

StatusOr<std::unique_ptr<ShimHost>> ShimHost::Create(std::string state_directory, const Clock& clock) {
  std::string directory = std::move(state_directory) + "/shim";
  RETURN_IF_ERROR(MakeDirectories(directory, 0700));
  UniqueFd lock(open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!lock.valid()) return ErrnoStatus(errno, directory);
  if (fchmod(lock.get(), 0700) != 0) return ErrnoStatus(errno, directory);
  if (flock(lock.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno == EWOULDBLOCK) return FailedPrecondition(directory + ": another mcplet is using this state directory");
    return ErrnoStatus(errno, directory);
  }
  // A child that closes its stdin is its business, not our end.
  signal(SIGPIPE, SIG_IGN);
  ASSIGN_OR_RETURN(std::shared_ptr<IoLoop> loop, IoLoop::Create());
  ASSIGN_OR_RETURN(std::shared_ptr<IoLoop> clients, IoLoop::CreateDriven());
  return std::unique_ptr<ShimHost>(
      new ShimHost(std::move(directory), std::move(lock), clock, std::move(loop), std::move(clients)));
}

ShimHost::~ShimHost() {
  loop_->Stop();
  client_loop_->Stop();
}

ShimHost::Instance* ShimHost::Find(const std::string& name) {
  auto it = instances_.find(name);
  return it == instances_.end() ? nullptr : it->second.get();
}

const ShimHost::Instance* ShimHost::Find(const std::string& name) const {
  auto it = instances_.find(name);
  return it == instances_.end() ? nullptr : it->second.get();
}

void ShimHost::Changed(const std::string& name) {
  moved_.NotifyAll();
  bool first = to_tell_.empty();
  to_tell_.insert(name);
  if (!first) return;
  loop_->Post([this] {
    std::set<std::string> names;
    std::shared_ptr<std::function<void(const std::string&)>> listener;
    {
      MutexLock lock(&mu_);
      names.swap(to_tell_);
      listener = listener_;
    }
    if (!listener) return;
    for (const std::string& each : names) (*listener)(each);
  });
}

StatusOr<std::string> ShimHost::Prepare(const std::string& name) {
  if (!IsInstanceName(name)) return InvalidArgument("instance \"" + name + "\": not a name");
  MutexLock lock(&mu_);
  Instance* instance = Find(name);
  if (instance == nullptr) {
    auto fresh = std::make_unique<Instance>();
    fresh->name = name;
    fresh->directory = directory_ + "/" + name;
    fresh->main.state.since = clock_.Now();
    instance = fresh.get();
    instances_[name] = std::move(fresh);
  }
  RETURN_IF_ERROR(MakeDirectories(instance->directory, 0755));
  if (chmod(instance->directory.c_str(), 0755) != 0) return ErrnoStatus(errno, instance->directory);
  if (!instance->connection.fd.valid()) RETURN_IF_ERROR(Listen(instance));
  return instance->directory;
}

Status ShimHost::Listen(Instance* instance) {
  if (instance->listener.valid()) return OkStatus();
  UniqueFd directory(open(instance->directory.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!directory.valid()) return ErrnoStatus(errno, instance->directory);
  UniqueFd fd(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.valid()) return ErrnoStatus(errno, "socket");
  // Through the descriptor, since sun_path holds 108 bytes; under a temporary name, so that whoever finds the socket
  // finds it listening.
  std::string temporary = std::string(kSocketName) + ".new";
  unlinkat(directory.get(), temporary.c_str(), 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::string path = "/proc/self/fd/" + std::to_string(directory.get()) + "/" + temporary;
  memcpy(address.sun_path, path.c_str(), path.size() + 1);
  if (bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 ||
      fchmodat(directory.get(), temporary.c_str(), 0666, 0) != 0 || listen(fd.get(), 64) != 0 ||
      renameat(directory.get(), temporary.c_str(), directory.get(), kSocketName) != 0) {
    return ErrnoStatus(errno, instance->directory + "/" + kSocketName);
  }
  instance->listener = std::move(fd);
  instance->listener_token =
      loop_->Add(instance->listener.get(), EPOLLIN, [this, name = instance->name](uint32_t) { OnAccept(name); });
  return OkStatus();
}

void ShimHost::StopListening(Instance* instance) {
  instance->waiting.clear();
  if (!instance->listener.valid()) return;
  loop_->Remove(instance->listener_token, instance->listener.get());
  instance->listener.Reset();
  unlink((instance->directory + "/" + kSocketName).c_str());
}

void ShimHost::OnAccept(const std::string& name) {
  MutexLock lock(&mu_);
  Instance* instance = Find(name);
  for (int i = 0; instance != nullptr && instance->listener.valid() && i < kAcceptsPerTurn; ++i) {
    UniqueFd fd(accept4(instance->listener.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!fd.valid()) return;
    int pid = PeerPid(fd.get());
    Judge(instance, std::move(fd), pid);
  }
}

void ShimHost::Judge(Instance* instance, UniqueFd fd, int pid) {
  if (instance->pid == 0 && pid != 0) {
    if (instance->waiting.size() < kWaiting) instance->waiting.push_back({std::move(fd), pid});
    return;
  }
  if (pid != 0 && pid == instance->pid) {
    Connect(instance, std::move(fd));
    return;
  }
  // The first and then few, so that a flood does not become one in the log.
  if (instance->rejected++ % 10'000 == 0) {
    LOG_WARNING(
        pid == 0 ? "shim connection refused: the peer's pid is not visible; mcplet must run in the host's pid namespace"
                 : "shim connection refused: not the shim",
        {{"instance", instance->name}, {"pid", pid}, {"expected", instance->pid}, {"count", instance->rejected}});
  }
}

void ShimHost::Connect(Instance* instance, UniqueFd fd) {
  // The shim connects only when it has no connection: an older one is dead, whether we noticed or not.
  if (instance->connection.fd.valid()) loop_->Remove(instance->connection.token, instance->connection.fd.get());
  instance->connection = Connection{};
  instance->connection.fd = std::move(fd);
  uint64_t number = ++instance->connections;
  instance->main.seen = false;
  for (auto& [id, client] : instance->clients) client.seen = false;
  const std::string& name = instance->name;
  instance->connection.token =
      loop_->Add(instance->connection.fd.get(), EPOLLIN, [this, name, number](uint32_t) { OnPacket(name, number); });
  loop_->PostAt(std::chrono::steady_clock::now() + kHelloDeadline,
                [this, name, number] { OnHelloDeadline(name, number); });
}

void ShimHost::OnHelloDeadline(const std::string& name, uint64_t number) {
  MutexLock lock(&mu_);
  Instance* instance = Find(name);
  if (instance == nullptr || instance->connections != number || !instance->connection.fd.valid()) return;
  if (!instance->connection.hello) Disconnect(instance);
}

// The sessions are kept: a shim that lives tells of them again.
void ShimHost::Disconnect(Instance* instance) {
  if (instance->connection.fd.valid()) loop_->Remove(instance->connection.token, instance->connection.fd.get());
  instance->connection = Connection{};
  if (instance->pid != 0) {
    if (Status status = Listen(instance); !status.ok()) {
      LOG_ERROR("can't listen for the shim", {{"instance", instance->name}, {"error", status}});
    }
  }
  Changed(instance->name);
}

void ShimHost::DropMain(Instance* instance) {
  if (instance->main.channel) instance->main.channel->MarkClosed();
  instance->main = Session{};
  SetPhase(instance, &instance->main, MainState::Phase::kAbsent);
}

// The shim and all below it are gone, or another one is expected.
void ShimHost::ForgetShim(Instance* instance) {
  if (instance->pidfd.valid()) loop_->Remove(instance->pidfd_token, instance->pidfd.get());
  instance->pidfd.Reset();
  if (instance->connection.fd.valid()) loop_->Remove(instance->connection.token, instance->connection.fd.get());
  instance->connection = Connection{};
  if (instance->main.id != 0) DropMain(instance);
  while (!instance->clients.empty()) {
    DropClient(instance, instance->clients.begin()->first, Unavailable("instance " + instance->name + " has ended"));
  }
  Changed(instance->name);
}

void ShimHost::OnShimDied(const std::string& name, int pid) {
  MutexLock lock(&mu_);
  Instance* instance = Find(name);
  if (instance == nullptr || instance->pid != pid) return;
  ForgetShim(instance);
}

void ShimHost::Expect(const std::string& name, int pid) {
  MutexLock lock(&mu_);
  Instance* instance = Find(name);
  if (instance == nullptr || instance->pid == pid) return;
  if (instance->pid != 0) ForgetShim(instance);
  instance->pid = pid;
  if (pid == 0) return;
  // Readable once the process has ended.
  instance->pidfd.Reset(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
  if (!instance->pidfd.valid()) return;  // dead already: the next report says so
  fcntl(instance->pidfd.get(), F_SETFD, FD_CLOEXEC);
  instance->pidfd_token =
      loop_->Add(instance->pidfd.get(), EPOLLIN, [this, name, pid](uint32_t) { OnShimDied(name, pid); });
  if (Status status = Listen(instance); !status.ok()) {
    LOG_ERROR("can't listen for the shim", {{"instance", name}, {"error", status}});
  }
  std::vector<Waiting> waiting = std::move(instance->waiting);
  instance->waiting.clear();
  for (Waiting& each : waiting) Judge(instance, std::move(each.fd), each.pid);
}

bool ShimHost::Connected(const std::string& name) const {
  MutexLock lock(&mu_);
  const Instance* instance = Find(name);
  return instance != nullptr && instance->connection.ready;
}

int ShimHost::LandlockAbi(const std::string& name) const {
  MutexLock lock(&mu_);
  const Instance* instance = Find(name);
  return instance == nullptr ? 0 : static_cast<int>(instance->connection.landlock_abi);
}

MainState ShimHost::Main(const std::string& name) const {
  MutexLock lock(&mu_);
  const Instance* instance = Find(name);
  if (instance == nullptr) return {};
  MainState state = instance->main.state;
  state.child = instance->main.id;
  return state;
}

std::shared_ptr<StdioChannel> ShimHost::MainChannel(const std::string& name) {
  MutexLock lock(&mu_);
  Instance* instance = Find(name);
  if (instance == nullptr || instance->main.state.phase != MainState::Phase::kRunning) return nullptr;
  return instance->main.channel;
}

void ShimHost::SetListener(std::function<void(const std::string& instance)> changed) {
  MutexLock lock(&mu_);
  listener_ = changed ? std::make_shared<std::function<void(const std::string&)>>(std::move(changed)) : nullptr;
}

void ShimHost::Forget(const std::string& name) {
  std::unique_ptr<Instance> instance;
  {
    MutexLock lock(&mu_);
    auto it = instances_.find(name);
    if (it == instances_.end()) return;
    instance = std::move(it->second);
    instances_.erase(it);
    StopListening(instance.get());
    ForgetShim(instance.get());
  }
  if (Status status = RemoveTree(instance->directory); !status.ok()) {
    LOG_WARNING("can't remove the shim's directory", {{"instance", name}, {"error", status}});
  }
}

Status ShimHost::StartMain(const std::string& name, const std::vector<std::string>& argv,
                           const std::vector<EnvVar>& env, Transport transport, Deadline deadline) {
  MutexLock lock(&mu_);
  bool spawned = false;
  for (;;) {
    // Looked up again after every wait: it may have been forgotten meanwhile.
    Instance* instance = Find(name);
    if (instance == nullptr) return NotFound("instance " + name + ": not prepared");
    Session& main = instance->main;
    if (instance->connection.ready) {
      bool alive = main.state.phase == MainState::Phase::kRunning;
      if (alive || (spawned && main.state.phase == MainState::Phase::kExited)) return OkStatus();
      if (spawned && main.state.phase == MainState::Phase::kAbsent)
        return Unavailable("shim of " + name + ": order lost");
      if (!spawned && main.gone) {
        RETURN_IF_ERROR(SpawnMain(instance, argv, env, transport));
        spawned = true;
      } else if (main.state.phase == MainState::Phase::kStarting) {
        spawned = true;  // by somebody else, or by mcplet before its restart
      }
    }
    if (moved_.WaitUntil(&mu_, deadline)) continue;
    instance = Find(name);
    if (instance == nullptr || !instance->connection.ready) return Unavailable("shim of " + name + ": not connected");
    return DeadlineExceeded("instance " + name + ": its child did not start in time");
  }
}

Status ShimHost::StopMain(const std::string& name, Duration grace, Deadline deadline) {
  MutexLock lock(&mu_);
  const uint32_t grace_ms = GraceMillis(grace);
  uint64_t told = 0;  // the connection that END went over
  for (;;) {
    Instance* instance = Find(name);
    if (instance == nullptr || instance->main.id == 0 || instance->main.gone) return OkStatus();
    if (instance->connection.ready && told != instance->connections) {
      if (SendEnd(instance, instance->main.id, grace_ms)) told = instance->connections;
      if (instance->main.channel) instance->main.channel->CloseInput();
    }
    if (moved_.WaitUntil(&mu_, deadline)) continue;
    if (instance->main.gone) return OkStatus();
    if (!instance->connection.ready) return Unavailable("shim of " + name + ": not connected");
    return DeadlineExceeded("instance " + name + ": its child did not end in time");
  }
}

// --- children for clients -----------------------------------------------------------------------------------------

// From any thread, with or without our lock.
void ShimHost::TellClient(const std::string& name, uint64_t id, ClientEvent event) {
  loop_->Post([this, name, id, event] {
    std::shared_ptr<std::function<void(const std::string&, uint64_t, ClientEvent)>> listener;
    {
      MutexLock lock(&mu_);
      listener = client_listener_;
    }
    if (listener) (*listener)(name, id, event);
  });
}

// What waits for a child learns what became of it, once and without our lock.
void ShimHost::TellSpawned(Instance* instance, Session* client, const Status& outcome) {
  if (!client->spawned) return;
  StatusOr<ClientChild> child = outcome.ok()
                                    ? StatusOr<ClientChild>(ClientChild{instance->name, client->id, client->channel})
                                    : StatusOr<ClientChild>(outcome);
  loop_->Post([done = std::exchange(client->spawned, nullptr), child = std::move(child)] { done(child); });
}

void ShimHost::DropClient(Instance* instance, uint64_t id, const Status& why) {
  auto it = instance->clients.find(id);
  if (it == instance->clients.end()) return;
  if (it->second.channel) it->second.channel->MarkClosed();
  TellSpawned(instance, &it->second, why);
  instance->clients.erase(it);
  TellClient(instance->name, id, ClientEvent::kGone);
}

void ShimHost::SpawnClient(const std::string& name, const std::vector<std::string>& argv,
                           const std::vector<EnvVar>& env, std::function<void(StatusOr<ClientChild>)> done) {
  MutexLock lock(&mu_);
  Instance* instance = Find(name);
  Status ordered = OkStatus();
  if (instance == nullptr || !instance->connection.ready) {
    ordered = Unavailable("shim of " + name + ": not connected");
  } else {
    const uint64_t id = ++instance->last_client;
    Session session;
    ordered = Spawn(instance, id, argv, env, Transport::kStdio, 0, &session);
    if (ordered.ok()) {
      session.spawned = std::move(done);
      Session& client = instance->clients[id] = std::move(session);
      SetPhase(instance, &client, MainState::Phase::kStarting);
      return;
    }
  }
  loop_->Post([done = std::move(done), ordered] { done(ordered); });
}

void ShimHost::EndClient(const std::string& name, uint64_t id, Duration grace) {
  MutexLock lock(&mu_);
  Instance* instance = Find(name);
  Session* client = instance == nullptr || id >= shim::kMainSessionBit ? nullptr : FindSession(instance, id);
  if (client == nullptr || client->gone) return;
  client->end_ms = GraceMillis(grace);
  if (client->channel) client->channel->CloseInput();
  if (instance->connection.ready) SendEnd(instance, id, *client->end_ms);  // else when the shim is back
}

std::vector<ClientChild> ShimHost::Clients(const std::string& name) const {
  MutexLock lock(&mu_);
  std::vector<ClientChild> out;
  const Instance* instance = Find(name);
  if (instance == nullptr || !instance->connection.ready) return out;
  for (const auto& [id, client] : instance->clients) {
    const bool runs =
        client.adopted && client.state.phase == MainState::Phase::kRunning && !client.end_ms && client.channel;
    if (runs) out.push_back({name, id, client.channel});
  }
  return out;
}

int ShimHost::ClientCount(const std::string& name) const {
  MutexLock lock(&mu_);
  const Instance* instance = Find(name);
  return instance == nullptr ? 0 : static_cast<int>(instance->clients.size());
}

void ShimHost::SetClientListener(
    std::function<void(const std::string& instance, uint64_t id, ClientEvent event)> changed) {
  using Listener = std::function<void(const std::string&, uint64_t, ClientEvent)>;
  MutexLock lock(&mu_);
  client_listener_ = changed ? std::make_shared<Listener>(std::move(changed)) : nullptr;
}

}  // namespace mcpfleet
