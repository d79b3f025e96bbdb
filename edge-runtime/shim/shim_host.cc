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

using shim::Transfer;
using shim::Type;

constexpr auto kHelloDeadline = std::chrono::seconds(2);
constexpr int kAcceptsPerTurn = 64;
constexpr int kPacketsPerTurn = 64;
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
  return std::unique_ptr<ShimHost>(new ShimHost(std::move(directory), std::move(lock), clock, std::move(loop)));
}

ShimHost::~ShimHost() { loop_->Stop(); }

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
  SetPhase(instance, MainState::Phase::kAbsent);
}

// The shim and all below it are gone, or another one is expected.
void ShimHost::ForgetShim(Instance* instance) {
  if (instance->pidfd.valid()) loop_->Remove(instance->pidfd_token, instance->pidfd.get());
  instance->pidfd.Reset();
  if (instance->connection.fd.valid()) loop_->Remove(instance->connection.token, instance->connection.fd.get());
  instance->connection = Connection{};
  if (instance->main.id != 0) DropMain(instance);
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

// --- messages from the shim ---------------------------------------------------------------------------------------

void ShimHost::OnPacket(const std::string& name, uint64_t number) {
  MutexLock lock(&mu_);
  for (int i = 0; i < kPacketsPerTurn; ++i) {
    Instance* instance = Find(name);
    if (instance == nullptr || instance->connections != number || !instance->connection.fd.valid()) return;
    Transfer transfer = shim::ReceivePacket(instance->connection.fd.get(), packet_.get());
    if (transfer == Transfer::kLater) return;
    bool good = transfer == Transfer::kDone && Handle(instance, packet_.get());
    shim::CloseDescriptors(packet_.get());
    if (good) continue;
    if (transfer == Transfer::kDone) LOG_WARNING("shim broke the protocol; connection closed", {{"instance", name}});
    Disconnect(instance);
    return;
  }
}

bool ShimHost::Handle(Instance* instance, shim::Packet* packet) {
  shim::Reader reader(packet->bytes, packet->size);
  shim::Header header;
  if (!shim::Take(&reader, &header)) return false;
  if (header.type != Type::kSession && packet->descriptor_count != 0) return false;
  if (instance->connection.hello == (header.type == Type::kHello)) return false;  // first, and only once
  Session& main = instance->main;
  bool of_main = header.session != 0 && header.session == main.id;
  switch (header.type) {
    case Type::kHello: {
      shim::Hello m;
      return shim::Take(&reader, &m) && HandleHello(instance, m);
    }
    case Type::kSession: {
      shim::Session m;
      return shim::Take(&reader, &m) && packet->descriptor_count == shim::DescriptorsOf(m) &&
             HandleSession(instance, header.session, m, packet);
    }
    case Type::kReady:
      HandleReady(instance);
      return true;
    case Type::kSpawned: {
      shim::Spawned m;
      if (!shim::Take(&reader, &m)) return false;
      if (!of_main || main.state.phase != MainState::Phase::kStarting) return true;
      main.state.pid = shim::HostPid(instance->pid, m.pid);
      SetPhase(instance, MainState::Phase::kRunning);
      return true;
    }
    case Type::kSpawnFailed: {
      shim::SpawnFailed m;
      if (!shim::Take(&reader, &m)) return false;
      if (of_main) SetFailed(instance, m.stage, m.error);
      return true;
    }
    case Type::kExited: {
      shim::Exited m;
      if (!shim::Take(&reader, &m)) return false;
      if (of_main) SetExited(instance, m.wait_status);
      return true;
    }
    case Type::kGone: {
      shim::Gone m;
      if (!shim::Take(&reader, &m)) return false;
      if (of_main) {
        main.gone = true;
        Changed(instance->name);
      }
      return true;
    }
    case Type::kPong:
      return true;
    case Type::kSpawn:
    case Type::kCloseStdin:
    case Type::kSignal:
    case Type::kEnd:
    case Type::kForget:
    case Type::kShutdown:
    case Type::kPing:
      return false;  // ours to say
  }
  return false;
}

bool ShimHost::HandleHello(Instance* instance, const shim::Hello& hello) {
  if (std::string_view(hello.instance.at, hello.instance.size) != instance->name) return false;
  instance->connection.hello = true;
  instance->connection.landlock_abi = hello.landlock_abi;
  StopListening(instance);
  return true;
}

bool ShimHost::HandleSession(Instance* instance, uint64_t id, const shim::Session& m, shim::Packet* packet) {
  Session& main = instance->main;
  // Sessions of a newer mcplet are left alone.
  if ((id & shim::kMainSessionBit) == 0) return true;
  if (id < main.id) {
    bool over = m.state == shim::SessionState::kGone || m.state == shim::SessionState::kFailed;
    return over ? SendForget(instance, id) : SendEnd(instance, id, 0);
  }
  if (id > main.id) {
    uint64_t older = main.id;
    if (older != 0) {
      bool over = main.gone;
      DropMain(instance);
      if (!(over ? SendForget(instance, older) : SendEnd(instance, older, 0))) return false;
    }
    main.id = id;
    main.gone = false;
    Adopt(instance, m, packet);
  }
  main.seen = true;
  if (main.state.pid == 0 && m.pid > 0) main.state.pid = shim::HostPid(instance->pid, m.pid);
  switch (m.state) {
    case shim::SessionState::kStarting:
      SetPhase(instance, MainState::Phase::kStarting);
      return true;
    case shim::SessionState::kRunning:
      if (main.state.phase != MainState::Phase::kRunning) SetPhase(instance, MainState::Phase::kRunning);
      return true;
    case shim::SessionState::kExited:
      SetExited(instance, m.wait_status);
      return true;
    case shim::SessionState::kGone:
      SetExited(instance, m.wait_status);
      main.gone = true;
      return true;
    case shim::SessionState::kFailed:
      SetFailed(instance, static_cast<shim::Stage>(m.stage), m.error);
      return true;
  }
  return false;
}

void ShimHost::Adopt(Instance* instance, const shim::Session& m, shim::Packet* packet) {
  if ((m.descriptors & shim::kOutR) == 0 || (m.descriptors & shim::kJournal) == 0) return;  // transport http
  int next = 0;
  auto take = [&](shim::SessionDescriptor which) {
    if ((m.descriptors & which) == 0) return UniqueFd();
    return UniqueFd(std::exchange(packet->descriptors[next++], -1));
  };
  UniqueFd in_w = take(shim::kInW), out_r = take(shim::kOutR), journal_fd = take(shim::kJournal);
  auto journal = shim::Journal::Adopt(std::move(journal_fd), instance->main.id);
  struct stat in_info {
  }, out_info{};
  bool pipes = fstat(out_r.get(), &out_info) == 0 && S_ISFIFO(out_info.st_mode) &&
               (!in_w.valid() || (fstat(in_w.get(), &in_info) == 0 && S_ISFIFO(in_info.st_mode)));
  if (!journal.ok() || !pipes) {
    // Never trusted: better a fresh child than one whose lines may be torn.
    LOG_ERROR(
        "session can't be adopted; ending it",
        {{"instance", instance->name}, {"error", journal.ok() ? FailedPrecondition("not pipes") : journal.status()}});
    SendEnd(instance, instance->main.id, 0);
    return;
  }
  if (!(*journal)->doubtful_line().empty()) {
    LOG_WARNING("a line to the child may have arrived in part; its request fails", {{"instance", instance->name}});
  }
  (*journal)->CloseFd();
  for (const UniqueFd* fd : {&in_w, &out_r}) {
    if (fd->valid()) fcntl(fd->get(), F_SETFL, O_NONBLOCK);
  }
  instance->main.channel =
      std::make_shared<ShimChannel>(loop_, clock_, std::move(in_w), std::move(out_r), *std::move(journal));
  instance->main.channel->Resume();
}

void ShimHost::HandleReady(Instance* instance) {
  if (instance->main.id != 0 && !instance->main.seen) DropMain(instance);
  instance->connection.ready = true;
  LOG_INFO("shim connected", {{"instance", instance->name}, {"pid", instance->pid}});
  Changed(instance->name);
}

void ShimHost::SetPhase(Instance* instance, MainState::Phase phase) {
  instance->main.state.phase = phase;
  instance->main.state.since = clock_.Now();
  Changed(instance->name);
}

void ShimHost::SetExited(Instance* instance, int wait_status) {
  Session& main = instance->main;
  if (main.state.phase == MainState::Phase::kExited) return;
  ExitInfo exit;
  exit.signal = WIFSIGNALED(wait_status) ? WTERMSIG(wait_status) : 0;
  exit.code = WIFEXITED(wait_status) ? WEXITSTATUS(wait_status) : 128 + exit.signal;
  main.state.exit = exit;
  main.state.pid = 0;
  if (main.channel) main.channel->MarkClosed();
  SetPhase(instance, MainState::Phase::kExited);
  // What the leader left behind would live beside its successor.
  SendEnd(instance, main.id, 0);
}

void ShimHost::SetFailed(Instance* instance, shim::Stage stage, int error) {
  Session& main = instance->main;
  main.state.failure = std::string(shim::StageName(stage)) + ": " + strerror(error);
  main.gone = true;
  if (main.channel) main.channel->MarkClosed();
  SetPhase(instance, MainState::Phase::kExited);
}

// --- orders to the shim -------------------------------------------------------------------------------------------

bool ShimHost::Send(Instance* instance, const uint8_t* bytes, size_t size, const int* descriptors, int count) {
  if (!instance->connection.hello) return false;
  if (shim::SendPacket(instance->connection.fd.get(), bytes, size, descriptors, count) == Transfer::kDone) return true;
  // A shim that does not read, or is gone: with the next connection everything is said again. Not from here, where the
  // caller still holds on to the connection.
  shutdown(instance->connection.fd.get(), SHUT_RDWR);
  return false;
}

bool ShimHost::SendEnd(Instance* instance, uint64_t id, uint32_t grace_ms) {
  uint8_t bytes[64];
  shim::Writer writer(bytes, sizeof bytes);
  shim::Encode(&writer, {shim::kVersion, Type::kEnd, ++instance->connection.sequence, id}, shim::End{grace_ms});
  return Send(instance, bytes, writer.size(), nullptr, 0);
}

bool ShimHost::SendForget(Instance* instance, uint64_t id) {
  uint8_t bytes[64];
  shim::Writer writer(bytes, sizeof bytes);
  shim::Put(&writer, shim::Header{shim::kVersion, Type::kForget, ++instance->connection.sequence, id});
  return Send(instance, bytes, writer.size(), nullptr, 0);
}

Status ShimHost::Spawn(Instance* instance, const std::vector<std::string>& argv, const std::vector<EnvVar>& env,
                       Transport transport) {
  Session& main = instance->main;
  uint64_t id = std::max(main.id, shim::kMainSessionBit) + 1;
  bool stdio = transport == Transport::kStdio;
  shim::Writer writer(out_.data(), out_.size());
  shim::Put(&writer, shim::Header{shim::kVersion, Type::kSpawn, ++instance->connection.sequence, id});
  writer.U32(stdio ? 0 : shim::kSpawnNoStdio);
  bool clean = argv.size() <= shim::kMaxStrings && env.size() <= shim::kMaxStrings;
  writer.U32(static_cast<uint32_t>(argv.size()));
  for (const std::string& each : argv) {
    clean = clean && each.find('\0') == std::string::npos;
    writer.String(each.data(), each.size());
  }
  writer.U32(static_cast<uint32_t>(env.size()));
  for (const EnvVar& each : env) {
    std::string entry = each.name + "=" + each.value;
    clean = clean && entry.find('\0') == std::string::npos && !each.name.empty() &&
            each.name.find('=') == std::string::npos;
    writer.String(entry.data(), entry.size());
  }
  writer.String("", 0);  // the working directory is the instance's
  if (!clean) return InvalidArgument("command or environment: has an impossible name or a NUL");
  if (!writer.ok()) return InvalidArgument("command and environment: larger than 64 KiB together");

  std::unique_ptr<shim::Journal> journal;
  shim::ChildPipes pipes;
  if (stdio) {
    ASSIGN_OR_RETURN(pipes, shim::MakeChildPipes());
    ASSIGN_OR_RETURN(journal, shim::Journal::Create(id));
  }
  if (main.id != 0 && !SendForget(instance, main.id))
    return Unavailable("shim of " + instance->name + ": connection lost");
  int descriptors[] = {pipes.in_r.get(), pipes.out_w.get(), pipes.in_w.get(), pipes.out_r.get(),
                       stdio ? journal->fd() : -1};
  bool sent = Send(instance, out_.data(), writer.size(), descriptors, stdio ? 5 : 0);
  explicit_bzero(out_.data(), out_.size());
  if (!sent) return Unavailable("shim of " + instance->name + ": connection lost");
  main = Session{};
  main.id = id;
  main.gone = false;
  main.seen = true;
  if (stdio) {
    journal->CloseFd();
    main.channel =
        std::make_shared<ShimChannel>(loop_, clock_, std::move(pipes.in_w), std::move(pipes.out_r), std::move(journal));
  }
  SetPhase(instance, MainState::Phase::kStarting);
  return OkStatus();
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
        RETURN_IF_ERROR(Spawn(instance, argv, env, transport));
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
  int64_t millis = std::chrono::duration_cast<std::chrono::milliseconds>(grace).count();
  uint32_t grace_ms = static_cast<uint32_t>(std::clamp<int64_t>(millis, 0, 3'600'000));
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

}  // namespace mcpfleet
