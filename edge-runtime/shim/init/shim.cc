#include "edge-runtime/shim/init/shim.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <initializer_list>
#include <new>

#include "edge-runtime/shim/init/put_file.h"

namespace mcpfleet::shim {
namespace {

constexpr uint64_t kMillisecond = 1'000'000;
// The engine kills us after its own grace; this bounds what happens when it does not.
constexpr uint64_t kTerminateGraceMs = 30'000;
constexpr int kPacketsPerTurn = 64;

uint64_t Min(uint64_t a, uint64_t b) { return a < b ? a : b; }

}  // namespace

void Say(const char* message, int error) {
  char line[256];
  int n = error == 0 ? snprintf(line, sizeof line, "mcp-shim: %s\n", message)
                     : snprintf(line, sizeof line, "mcp-shim: %s: %s\n", message, strerror(error));
  pollfd log{2, POLLOUT, 0};
  if (n <= 0 || poll(&log, 1, 0) != 1 || (log.revents & POLLOUT) == 0) return;
  if (write(2, line, static_cast<size_t>(n) < sizeof line ? static_cast<size_t>(n) : sizeof line - 1) < 0) return;
}

Kept* Shim::Find(uint64_t id) const {
  for (Kept* s = sessions_; s != nullptr; s = s->next) {
    if (s->id == id) return s;
  }
  return nullptr;
}

Kept* Shim::Add(uint64_t id) {
  if (count_ >= kMaxSessions) return nullptr;
  void* memory = malloc(sizeof(Kept));
  if (memory == nullptr) return nullptr;
  Kept* session = new (memory) Kept();
  session->id = id;
  session->next = sessions_;
  sessions_ = session;
  ++count_;
  return session;
}

void Shim::Drop(Kept* session) {
  for (Kept** at = &sessions_; *at != nullptr; at = &(*at)->next) {
    if (*at != session) continue;
    *at = session->next;
    CloseDescriptors(session);
    if (session->reports >= 0) close(session->reports);
    free(session);
    --count_;
    return;
  }
}

void Shim::Reap() {
  for (;;) {
    int status;
    rusage usage;
    pid_t pid = wait4(-1, &status, WNOHANG, &usage);
    if (pid < 0 && errno == EINTR) continue;
    if (pid <= 0) return;
    for (Kept* s = sessions_; s != nullptr; s = s->next) {
      if (s->helper != pid) continue;
      HelperGone(s, status, usage);
      unswept_ = true;
      break;
    }
  }
}

bool Shim::Sweep() {
  if (!tree_.LookAtChildren(getpid())) return true;
  bool clean = true;
  for (size_t i = 0; i < tree_.size(); ++i) {
    bool helper = false;
    for (Kept* s = sessions_; s != nullptr && !helper; s = s->next) helper = s->helper == tree_.at(i);
    if (helper) continue;
    kill(tree_.at(i), SIGKILL);
    clean = false;
  }
  return clean;
}

// Only after a clean sweep: what lost its helper may still have had children.
void Shim::AnnounceGone() {
  for (Kept *s = sessions_, *next; s != nullptr; s = next) {
    next = s->next;
    if (s->helper != 0) continue;
    if (s->state == SessionState::kExited) {
      s->state = SessionState::kGone;
      s->say_gone = true;
    }
    if (s->forgotten) Drop(s);
  }
}

void Shim::ReadSignals(int signals) {
  signalfd_siginfo info;
  while (read(signals, &info, sizeof info) == sizeof info) {
    if (info.ssi_signo == SIGCHLD) continue;  // Reap looks anyway
    // A signal from inside shows its sender's pid; from outside the namespace it shows 0. Children don't stop us.
    if (inherited_.init && info.ssi_pid != 0) continue;
    Say("told to stop: ending every session");
    BeginShutdown(kTerminateGraceMs, true);
  }
}

void Shim::BeginShutdown(uint64_t grace_ms, bool term_now) {
  shutting_down_ = true;
  for (Kept* s = sessions_; s != nullptr; s = s->next) BeginEnd(s, grace_ms, term_now, &tree_);
}

bool Shim::HandleSpawn(const Header& header, Reader* reader, Packet* packet, bool* took_descriptors) {
  Spawn spawn;
  if (!Take(reader, &spawn) || packet->descriptor_count != DescriptorsOf(Type::kSpawn, spawn.flags)) return false;
  if (Kept* same = Find(header.session)) {
    same->say_session = true;  // asked twice: the answer was lost
    return true;
  }
  if ((header.session & kMainSessionBit) != 0 && file_error_ != 0) {
    SpawnFailed failed{Stage::kFile, file_error_};
    file_error_ = 0;
    return Tell(Type::kSpawnFailed, header.session, failed) || link_.connected();
  }
  Kept* session = Add(header.session);
  if (session == nullptr || shutting_down_) {
    SpawnFailed failed{Stage::kLimit, shutting_down_ ? ESHUTDOWN : EAGAIN};
    if (session != nullptr) Drop(session);
    // Not kept, so it must be said now or not at all.
    return Tell(Type::kSpawnFailed, header.session, failed) || link_.connected();
  }
  *took_descriptors = true;
  Start(session, spawn, packet->descriptors, inherited_);
  return true;
}

bool Shim::HandlePutFile(Reader* reader) {
  PutFile file;
  if (!Take(reader, &file)) return false;
  if (file.index == 0) file_error_ = 0;
  if (int error = WritePutFile(file); error != 0) file_error_ = error;
  return true;
}

bool Shim::Handle(Packet* packet) {
  Reader reader(packet->bytes, packet->size);
  Header header;
  if (!Take(&reader, &header)) return false;
  bool took = false, good = true;
  Kept* session = Find(header.session);
  if (header.type != Type::kSpawn && packet->descriptor_count != 0) good = false;
  if (good) {
    switch (header.type) {
      case Type::kSpawn:
        good = HandleSpawn(header, &reader, packet, &took);
        // Values of secrets; they live on in the child only.
        explicit_bzero(packet->bytes, packet->size);
        break;
      case Type::kCloseStdin:
        if (session != nullptr) CloseStdin(session);
        break;
      case Type::kSignal: {
        Signal m;
        good = Take(&reader, &m);
        if (good && session != nullptr) SignalTree(session, m.signo, m.scope, &tree_);
        break;
      }
      case Type::kEnd: {
        End m;
        good = Take(&reader, &m);
        if (good && session != nullptr) BeginEnd(session, m.grace_ms, false, &tree_);
        break;
      }
      case Type::kForget:
        if (session == nullptr) break;
        if (session->state != SessionState::kGone && session->state != SessionState::kFailed) break;
        if (session->helper != 0)
          session->forgotten = true;
        else
          Drop(session);
        break;
      case Type::kShutdown: {
        Shutdown m;
        good = Take(&reader, &m);
        if (good) BeginShutdown(m.grace_ms, false);
        break;
      }
      case Type::kPing:
        say_pong_ = true;
        break;
      case Type::kPutFile:
        good = HandlePutFile(&reader);
        explicit_bzero(packet->bytes, packet->size);
        break;
      case Type::kHello:
      case Type::kSession:
      case Type::kReady:
      case Type::kSpawned:
      case Type::kSpawnFailed:
      case Type::kExited:
      case Type::kGone:
      case Type::kPong:
        good = false;  // ours to say
        break;
    }
  }
  if (!took) {
    CloseDescriptors(packet);
  }
  return good;
}

void Shim::ReceiveAll() {
  for (int i = 0; i < kPacketsPerTurn && link_.connected(); ++i) {
    Transfer result = ReceivePacket(link_.fd(), &packet_);
    if (result == Transfer::kLater) return;
    if (result == Transfer::kBroken || !Handle(&packet_)) Disconnect();
  }
}

void Shim::Connected() {
  say_hello_ = say_ready_ = true;
  say_pong_ = false;
  for (Kept* s = sessions_; s != nullptr; s = s->next) {
    s->say_session = true;
    s->say_spawned = s->say_failed = s->say_exited = s->say_gone = false;
  }
}

void Shim::Disconnect() { link_.Close(NowNs()); }

template <typename M>
bool Shim::Tell(Type type, uint64_t session, const M& m, const int* descriptors, int count) {
  if (!link_.connected()) return false;
  uint8_t buffer[1024];
  Writer writer(buffer, sizeof buffer);
  Encode(&writer, Header{kVersion, type, ++sequence_, session}, m);
  Transfer result = writer.ok() ? SendPacket(link_.fd(), buffer, writer.size(), descriptors, count) : Transfer::kBroken;
  if (result == Transfer::kBroken) Disconnect();
  return result == Transfer::kDone;
}

bool Shim::FlushSession(Kept* s) {
  if (s->say_session) {
    mcpfleet::shim::Session m;
    m.state = s->state;
    m.ending = s->ending != Ending::kNo;
    m.pid = s->pid;
    m.start_ns = s->start_ns;
    m.wait_status = s->wait_status;
    m.stage = static_cast<uint8_t>(s->stage);
    m.error = s->error;
    int descriptors[3], n = 0;
    if (s->in_w >= 0) descriptors[n++] = s->in_w, m.descriptors |= kInW;
    if (s->out_r >= 0) descriptors[n++] = s->out_r, m.descriptors |= kOutR;
    if (s->journal >= 0) descriptors[n++] = s->journal, m.descriptors |= kJournal;
    if (!Tell(Type::kSession, s->id, m, descriptors, n)) return false;
    s->say_session = s->say_spawned = s->say_failed = s->say_exited = s->say_gone = false;
  }
  if (s->say_spawned && !Tell(Type::kSpawned, s->id, Spawned{s->pid})) return false;
  s->say_spawned = false;
  if (s->say_failed && !Tell(Type::kSpawnFailed, s->id, SpawnFailed{s->stage, s->error})) return false;
  s->say_failed = false;
  if (s->say_exited && !Tell(Type::kExited, s->id, Exited{s->wait_status, s->leader_usage})) return false;
  s->say_exited = false;
  if (s->say_gone && !Tell(Type::kGone, s->id, Gone{s->tree_usage})) return false;
  s->say_gone = false;
  return true;
}

bool Shim::Flush() {
  if (!link_.connected()) return true;
  if (say_hello_) {
    Hello m;
    m.instance = {options_.instance, static_cast<uint32_t>(strlen(options_.instance))};
    m.token = {options_.token, static_cast<uint32_t>(strlen(options_.token))};
    m.start_ns = started_ns_;
    m.sessions = count_;
    m.landlock_abi = inherited_.landlock_abi;
    if (!Tell(Type::kHello, 0, m)) return false;
    say_hello_ = false;
  }
  for (Kept* s = sessions_; s != nullptr; s = s->next) {
    if (!FlushSession(s)) return false;
  }
  uint8_t buffer[sizeof(Header)];
  for (bool* say : {&say_ready_, &say_pong_}) {
    if (!*say) continue;
    Writer writer(buffer, sizeof buffer);
    Put(&writer, Header{kVersion, say == &say_ready_ ? Type::kReady : Type::kPong, ++sequence_, 0});
    Transfer result = SendPacket(link_.fd(), buffer, writer.size(), nullptr, 0);
    if (result == Transfer::kBroken) Disconnect();
    if (result != Transfer::kDone) return false;
    *say = false;
  }
  return true;
}

int Shim::Run(int signals) {
  for (;;) {
    uint64_t now = NowNs();
    for (Kept* s = sessions_; s != nullptr; s = s->next) ReadReports(s);
    Reap();
    uint64_t wake = UINT64_MAX;
    bool live = false, ending = false;
    for (Kept* s = sessions_; s != nullptr; s = s->next) {
      wake = Min(wake, ContinueEnd(s, now, &tree_));
      live |= s->helper != 0;
      ending |= s->helper != 0 && s->ending != Ending::kNo;
    }
    if (unswept_ || (ending && now >= next_sweep_ns_)) {
      bool clean = Sweep();
      next_sweep_ns_ = now + 1000 * kMillisecond;
      if (clean && unswept_) {
        unswept_ = false;
        AnnounceGone();
      } else if (!clean) {
        wake = Min(wake, now + kMillisecond / 2);
      }
    }
    if (ending) wake = Min(wake, next_sweep_ns_);
    if (link_.Connect(now)) Connected();
    bool flushed = Flush();
    if (shutting_down_ && !live && !unswept_) return 0;
    if (!link_.connected()) wake = Min(wake, link_.retry_at_ns());
    // POLLOUT can't tell that descriptors in flight have landed, so look again by time as well.
    if (!flushed && link_.connected()) wake = Min(wake, now + 10 * kMillisecond);

    static pollfd polls[2 + kMaxSessions];
    nfds_t n = 0;
    polls[n++] = {signals, POLLIN, 0};
    if (link_.connected()) polls[n++] = {link_.fd(), static_cast<short>(flushed ? POLLIN : POLLIN | POLLOUT), 0};
    for (Kept* s = sessions_; s != nullptr; s = s->next) {
      if (s->reports >= 0) polls[n++] = {s->reports, POLLIN, 0};
    }
    now = NowNs();
    timespec wait{0, 0};
    if (wake != UINT64_MAX && wake > now) {
      wait.tv_sec = static_cast<time_t>((wake - now) / 1'000'000'000);
      wait.tv_nsec = static_cast<long>((wake - now) % 1'000'000'000);
    }
    if (ppoll(polls, n, wake == UINT64_MAX ? nullptr : &wait, nullptr) < 0 && errno != EINTR) {
      Say("poll", errno);
      return 1;
    }
    ReadSignals(signals);
    ReceiveAll();
  }
}

}  // namespace mcpfleet::shim
