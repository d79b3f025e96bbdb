// What the shim says, and what it is told: packets of wire.h to and from the state of an instance.
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "base/secret_text.h"
#include "crd/secret_spec.h"
#include "edge-runtime/shim/shim_host.h"
#include "edge-runtime/shim/shim_process.h"

namespace mcpfleet {
namespace {

using shim::Transfer;
using shim::Type;

constexpr int kPacketsPerTurn = 64;

}  // namespace

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
  Session* session = FindSession(instance, header.session);
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
      if (session == nullptr || session->state.phase != MainState::Phase::kStarting) return true;
      session->state.pid = shim::HostPid(instance->pid, m.pid);
      SetPhase(instance, session, MainState::Phase::kRunning);
      return true;
    }
    case Type::kSpawnFailed: {
      shim::SpawnFailed m;
      if (!shim::Take(&reader, &m)) return false;
      if (session != nullptr) SetFailed(instance, session, m.stage, m.error);
      return true;
    }
    case Type::kExited: {
      shim::Exited m;
      if (!shim::Take(&reader, &m)) return false;
      if (session != nullptr) SetExited(instance, session, m.wait_status);
      return true;
    }
    case Type::kGone: {
      shim::Gone m;
      if (!shim::Take(&reader, &m)) return false;
      if (session != nullptr) SetGone(instance, session);
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
    case Type::kPutFile:
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

ShimHost::Session* ShimHost::FindSession(Instance* instance, uint64_t id) {
  if (id == 0) return nullptr;
  if ((id & shim::kMainSessionBit) != 0) return id == instance->main.id ? &instance->main : nullptr;
  auto it = instance->clients.find(id);
  return it == instance->clients.end() ? nullptr : &it->second;
}

bool ShimHost::HandleSession(Instance* instance, uint64_t id, const shim::Session& m, shim::Packet* packet) {
  if ((id & shim::kMainSessionBit) != 0) return HandleMainSession(instance, id, m, packet);
  if (id == 0) return false;
  auto [it, fresh] = instance->clients.try_emplace(id);
  Session& client = it->second;
  if (fresh) {
    client.id = id;
    client.gone = false;
    client.adopted = true;
    instance->last_client = std::max(instance->last_client, id);
    Adopt(instance, &client, m, packet);
  }
  client.seen = true;
  return TakeState(instance, &client, m);
}

bool ShimHost::HandleMainSession(Instance* instance, uint64_t id, const shim::Session& m, shim::Packet* packet) {
  Session& main = instance->main;
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
    Adopt(instance, &main, m, packet);
  }
  main.seen = true;
  return TakeState(instance, &main, m);
}

bool ShimHost::TakeState(Instance* instance, Session* session, const shim::Session& m) {
  if (session->state.pid == 0 && m.pid > 0) session->state.pid = shim::HostPid(instance->pid, m.pid);
  switch (m.state) {
    case shim::SessionState::kStarting:
      SetPhase(instance, session, MainState::Phase::kStarting);
      return true;
    case shim::SessionState::kRunning:
      if (session->state.phase != MainState::Phase::kRunning) SetPhase(instance, session, MainState::Phase::kRunning);
      return true;
    case shim::SessionState::kExited:
      SetExited(instance, session, m.wait_status);
      return true;
    case shim::SessionState::kGone:
      SetExited(instance, session, m.wait_status);
      SetGone(instance, session);
      return true;
    case shim::SessionState::kFailed:
      SetFailed(instance, session, static_cast<shim::Stage>(m.stage), m.error);
      return true;
  }
  return false;
}

std::shared_ptr<ShimChannel> ShimHost::MakeChannel(Instance* instance, uint64_t id, UniqueFd in_w, UniqueFd out_r,
                                                   std::unique_ptr<shim::Journal> journal) {
  const bool client = (id & shim::kMainSessionBit) == 0;
  auto channel = std::make_shared<ShimChannel>(client ? client_loop_ : loop_, clock_, std::move(in_w), std::move(out_r),
                                               std::move(journal));
  if (client) {
    channel->SetEnded([this, name = instance->name, id] { TellClient(name, id, ClientEvent::kEnded); });
  }
  return channel;
}

void ShimHost::Adopt(Instance* instance, Session* session, const shim::Session& m, shim::Packet* packet) {
  if ((m.descriptors & shim::kOutR) == 0 || (m.descriptors & shim::kJournal) == 0) return;  // transport http
  int next = 0;
  auto take = [&](shim::SessionDescriptor which) {
    if ((m.descriptors & which) == 0) return UniqueFd();
    return UniqueFd(std::exchange(packet->descriptors[next++], -1));
  };
  UniqueFd in_w = take(shim::kInW), out_r = take(shim::kOutR), journal_fd = take(shim::kJournal);
  auto journal = shim::Journal::Adopt(std::move(journal_fd), session->id);
  struct stat in_info {
  }, out_info{};
  bool pipes = fstat(out_r.get(), &out_info) == 0 && S_ISFIFO(out_info.st_mode) &&
               (!in_w.valid() || (fstat(in_w.get(), &in_info) == 0 && S_ISFIFO(in_info.st_mode)));
  if (!journal.ok() || !pipes) {
    // Never trusted: better a fresh child than one whose lines may be torn.
    LOG_ERROR(
        "session can't be adopted; ending it",
        {{"instance", instance->name}, {"error", journal.ok() ? FailedPrecondition("not pipes") : journal.status()}});
    SendEnd(instance, session->id, 0);
    return;
  }
  if (!(*journal)->DoubtfulLine().empty()) {
    LOG_WARNING("a line to the child may have arrived in part; its request fails", {{"instance", instance->name}});
  }
  (*journal)->CloseFd();
  for (const UniqueFd* fd : {&in_w, &out_r}) {
    if (fd->valid()) fcntl(fd->get(), F_SETFL, O_NONBLOCK);
  }
  session->channel = MakeChannel(instance, session->id, std::move(in_w), std::move(out_r), *std::move(journal));
  session->channel->Resume();
}

void ShimHost::HandleReady(Instance* instance) {
  if (instance->main.id != 0 && !instance->main.seen) DropMain(instance);
  instance->connection.ready = true;
  std::vector<uint64_t> lost;
  for (const auto& [id, client] : instance->clients) {
    if (!client.seen) {
      lost.push_back(id);
    } else if (client.end_ms && !client.gone) {
      SendEnd(instance, id, *client.end_ms);
    }
  }
  for (uint64_t id : lost) DropClient(instance, id, Unavailable("shim of " + instance->name + ": order lost"));
  LOG_INFO("shim connected", {{"instance", instance->name}, {"pid", instance->pid}});
  Changed(instance->name);
  TellClient(instance->name, 0, ClientEvent::kConnected);
}

void ShimHost::SetPhase(Instance* instance, Session* session, MainState::Phase phase) {
  session->state.phase = phase;
  session->state.since = clock_.Now();
  if (session == &instance->main) return Changed(instance->name);
  if (phase == MainState::Phase::kRunning) TellSpawned(instance, session, OkStatus());
}

void ShimHost::SetExited(Instance* instance, Session* session, int wait_status) {
  if (session->state.phase == MainState::Phase::kExited) return;
  ExitInfo exit;
  exit.signal = WIFSIGNALED(wait_status) ? WTERMSIG(wait_status) : 0;
  exit.code = WIFEXITED(wait_status) ? WEXITSTATUS(wait_status) : 128 + exit.signal;
  session->state.exit = exit;
  session->state.pid = 0;
  if (session->channel) session->channel->MarkClosed();
  SetPhase(instance, session, MainState::Phase::kExited);
  // What the leader left behind would live beside its successor.
  SendEnd(instance, session->id, 0);
}

void ShimHost::SetFailed(Instance* instance, Session* session, shim::Stage stage, int error) {
  session->state.failure = std::string(shim::StageName(stage)) + ": " + strerror(error);
  session->gone = true;
  if (session->channel) session->channel->MarkClosed();
  SetPhase(instance, session, MainState::Phase::kExited);
  if (session == &instance->main) return;
  const bool full = stage == shim::Stage::kLimit;
  TellSpawned(instance, session,
              full ? ResourceExhausted(session->state.failure) : FailedPrecondition(session->state.failure));
  SetGone(instance, session);
}

void ShimHost::SetGone(Instance* instance, Session* session) {
  session->gone = true;
  if (session == &instance->main) return Changed(instance->name);
  const uint64_t id = session->id;
  SendForget(instance, id);
  DropClient(instance, id, Unavailable("child has ended"));
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

Status ShimHost::SpawnMain(Instance* instance, const std::vector<std::string>& argv, const std::vector<EnvVar>& env,
                           Transport transport) {
  const uint64_t id = std::max(instance->main.id, shim::kMainSessionBit) + 1;
  Session session;
  RETURN_IF_ERROR(Spawn(instance, id, argv, env, transport, instance->main.id, &session));
  instance->main = std::move(session);
  SetPhase(instance, &instance->main, MainState::Phase::kStarting);
  return OkStatus();
}

Status ShimHost::PutFiles(const std::string& name, const std::vector<OpenedFile>& files) {
  if (files.empty()) return OkStatus();
  MutexLock lock(&mu_);
  Instance* instance = Find(name);
  if (instance == nullptr || !instance->connection.ready) return Unavailable("shim of " + name + ": not connected");
  size_t sum = 0;
  for (const OpenedFile& file : files) sum += file.content.view().size();
  if (sum > kSecretFileBytes)
    return InvalidArgument("files of secrets: larger than " + std::to_string(kSecretFileBytes) + " bytes together");
  for (size_t i = 0; i < files.size(); ++i) {
    const std::string_view content = files[i].content.view();
    const shim::Bytes path{files[i].path.data(), static_cast<uint32_t>(files[i].path.size())};
    shim::Writer writer(out_.data(), out_.size());
    shim::Encode(
        &writer, {shim::kVersion, Type::kPutFile, ++instance->connection.sequence, 0},
        shim::PutFile{static_cast<uint32_t>(i), path, {content.data(), static_cast<uint32_t>(content.size())}});
    const bool fits = writer.ok();
    const bool sent = fits && Send(instance, out_.data(), writer.size(), nullptr, 0);
    explicit_bzero(out_.data(), out_.size());
    if (!fits) return InvalidArgument(files[i].path + ": larger than a message");
    if (!sent) return Unavailable("shim of " + name + ": connection lost");
  }
  return OkStatus();
}

Status ShimHost::Spawn(Instance* instance, uint64_t id, const std::vector<std::string>& argv,
                       const std::vector<EnvVar>& env, Transport transport, uint64_t forget, Session* session) {
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
    // It may be a value of a secret.
    std::string entry = each.name + "=" + each.value;
    clean = clean && entry.find('\0') == std::string::npos && !each.name.empty() &&
            each.name.find('=') == std::string::npos;
    writer.String(entry.data(), entry.size());
    WipeText(&entry);
  }
  writer.String("", 0);  // the working directory is the instance's
  if (!clean || !writer.ok()) explicit_bzero(out_.data(), out_.size());
  if (!clean) return InvalidArgument("command or environment: has an impossible name or a NUL");
  if (!writer.ok()) return InvalidArgument("command and environment: larger than 64 KiB together");

  std::unique_ptr<shim::Journal> journal;
  shim::ChildPipes pipes;
  if (stdio) {
    ASSIGN_OR_RETURN(pipes, shim::MakeChildPipes());
    ASSIGN_OR_RETURN(journal, shim::Journal::Create(id));
  }
  Status lost = Unavailable("shim of " + instance->name + ": connection lost");
  if (forget != 0 && !SendForget(instance, forget)) return lost;
  int descriptors[] = {pipes.in_r.get(), pipes.out_w.get(), pipes.in_w.get(), pipes.out_r.get(),
                       stdio ? journal->fd() : -1};
  bool sent = Send(instance, out_.data(), writer.size(), descriptors, stdio ? 5 : 0);
  explicit_bzero(out_.data(), out_.size());
  if (!sent) return lost;
  session->id = id;
  session->gone = false;
  session->seen = true;
  if (stdio) {
    journal->CloseFd();
    session->channel = MakeChannel(instance, id, std::move(pipes.in_w), std::move(pipes.out_r), std::move(journal));
  }
  return OkStatus();
}

}  // namespace mcpfleet
