// What mcplet (the agent) and mcp-shim say to each other: one message per SEQPACKET packet, at most 64 KiB, descriptors
// belong to exactly one packet. Both programs include this file, so it uses neither exceptions nor containers nor
// allocation: a Writer fills a buffer of the caller, a Reader walks one, and both remember that something did not fit.
//
//   uint8_t buffer[kMaxMessage];
//   Writer w(buffer, sizeof buffer);
//   Encode(&w, Header{kVersion, Type::kEnd, seq, session}, End{5000});
//   if (w.ok()) send(fd, buffer, w.size(), 0);
//
// Integers are little-endian in the host's layout (both ends run on one machine). Strings are u32 length and bytes,
// without NUL inside. What follows the last known field of a message is ignored, so that N+1 can add fields.
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <string.h>

namespace mcpfleet::shim {

inline constexpr uint16_t kVersion = 1;
inline constexpr uint16_t kOldestVersion = 1;  // mcplet speaks N and N-1: a running shim is never replaced
inline constexpr size_t kMaxMessage = size_t{64} << 10;
inline constexpr size_t kMaxDescriptors = 5;
inline constexpr uint32_t kMaxStrings = 4096;  // argv and env each
inline constexpr size_t kMaxInstanceBytes = 64;
inline constexpr size_t kMaxTokenBytes = 128;
inline constexpr char kTokenVariable[] = "MCP_SHIM_TOKEN";
inline constexpr char kDefaultSocket[] = "/.mcp/agent.sock";
// Session ids with this bit are main sessions; the greatest is the current one.
inline constexpr uint64_t kMainSessionBit = uint64_t{1} << 63;

enum class Type : uint16_t {
  kHello = 1,    // S>A first
  kSession,      // S>A one per kept session
  kReady,        // S>A after the last kSession
  kSpawn,        // A>S idempotent by session id
  kSpawned,      // S>A exec succeeded
  kSpawnFailed,  // S>A
  kCloseStdin,   // A>S
  kSignal,       // A>S
  kEnd,          // A>S close stdin, wait, TERM, wait, KILL the tree
  kExited,       // S>A the leader
  kGone,         // S>A nothing of the session lives
  kForget,       // A>S only after kGone or kSpawnFailed
  kShutdown,     // A>S end all, then exit
  kPing,         // A>S
  kPong,         // S>A
  kPutFile,      // A>S before kSpawn of a main session, which fails when a file could not be written
};
inline constexpr uint16_t kLastType = static_cast<uint16_t>(Type::kPutFile);

struct Header {
  uint16_t version = kVersion;
  Type type = Type::kPing;
  uint32_t seq = 0;
  uint64_t session = 0;
};
static_assert(sizeof(Header) == 16);

// A string inside a message: not NUL-terminated, lives as long as the message.
struct Bytes {
  const char* at = nullptr;
  uint32_t size = 0;
  bool Equals(const char* text) const { return strlen(text) == size && memcmp(at, text, size) == 0; }
};

class Writer {
 public:
  Writer(uint8_t* buffer, size_t capacity) : buffer_(buffer), capacity_(capacity) {}
  bool ok() const { return ok_; }
  size_t size() const { return size_; }
  void Raw(const void* bytes, size_t n) {
    if (!ok_ || n > capacity_ - size_) {
      ok_ = false;
      return;
    }
    if (n > 0) memcpy(buffer_ + size_, bytes, n);
    size_ += n;
  }
  void U8(uint8_t v) { Raw(&v, sizeof v); }
  void U32(uint32_t v) { Raw(&v, sizeof v); }
  void U64(uint64_t v) { Raw(&v, sizeof v); }
  void I32(int32_t v) { Raw(&v, sizeof v); }
  void String(const char* at, size_t n) {
    if (n > kMaxMessage) {
      ok_ = false;
      return;
    }
    U32(static_cast<uint32_t>(n));
    Raw(at, n);
  }
  void String(const Bytes& b) { String(b.at, b.size); }

 private:
  uint8_t* buffer_;
  size_t capacity_, size_ = 0;
  bool ok_ = true;
};

class Reader {
 public:
  Reader(const uint8_t* bytes, size_t size) : at_(bytes), left_(size) {}
  bool ok() const { return ok_; }
  size_t left() const { return left_; }
  const uint8_t* at() const { return at_; }
  void Raw(void* out, size_t n) {
    if (!ok_ || n > left_) {
      ok_ = false;
      memset(out, 0, n);
      return;
    }
    memcpy(out, at_, n);
    at_ += n;
    left_ -= n;
  }
  // Like String, and NUL may be in it.
  Bytes Blob() {
    uint32_t n = U32();
    if (!ok_ || n > left_) {
      ok_ = false;
      return {};
    }
    Bytes b{reinterpret_cast<const char*>(at_), n};
    at_ += n;
    left_ -= n;
    return b;
  }
  uint8_t U8() { return Get<uint8_t>(); }
  uint32_t U32() { return Get<uint32_t>(); }
  uint64_t U64() { return Get<uint64_t>(); }
  int32_t I32() { return Get<int32_t>(); }
  Bytes String() {
    uint32_t n = U32();
    if (!ok_ || n > left_ || (n > 0 && memchr(at_, 0, n) != nullptr)) {
      ok_ = false;
      return {};
    }
    Bytes b{reinterpret_cast<const char*>(at_), n};
    at_ += n;
    left_ -= n;
    return b;
  }

 private:
  template <typename T>
  T Get() {
    T v;
    Raw(&v, sizeof v);
    return v;
  }
  const uint8_t* at_;
  size_t left_;
  bool ok_ = true;
};

// A counted list of strings; walked with a Reader of its own, checked once when the message is decoded.
struct StringList {
  uint32_t count = 0;
  const uint8_t* at = nullptr;
  size_t size = 0;
};

inline StringList ReadStrings(Reader* r, bool* ok) {
  StringList list;
  list.count = r->U32();
  list.at = r->at();
  size_t before = r->left();
  if (list.count > kMaxStrings) *ok = false;
  for (uint32_t i = 0; *ok && i < list.count; ++i) {
    r->String();
    if (!r->ok()) *ok = false;
  }
  list.size = before - r->left();
  return list;
}

struct Usage {
  uint64_t user_us = 0, system_us = 0, max_rss_kib = 0;
};

struct Hello {
  Bytes instance, token;
  uint64_t start_ns = 0;  // CLOCK_MONOTONIC, of the shim
  uint32_t sessions = 0;
  uint32_t landlock_abi = 0;  // 0: children are not separated from each other
};
enum class SessionState : uint8_t { kStarting = 0, kRunning, kExited, kGone, kFailed };
enum SessionDescriptor : uint8_t { kInW = 1, kOutR = 2, kJournal = 4 };
struct Session {
  SessionState state = SessionState::kStarting;
  uint8_t descriptors = 0;  // which of in_w, out_r, journal come with the packet, in this order
  uint8_t ending = 0;
  int32_t pid = 0;
  uint64_t start_ns = 0;
  int32_t wait_status = 0;  // kExited and kGone
  uint8_t stage = 0;        // kFailed
  int32_t error = 0;
};
// The child's stdin is /dev/null and its stdout the shim's stderr; no descriptors come with the message.
inline constexpr uint32_t kSpawnNoStdio = 1;
struct Spawn {
  uint32_t flags = 0;
  StringList argv, env;  // empty argv: the shim's own arguments
  Bytes cwd;             // empty: the shim's
};
struct Spawned {
  int32_t pid = 0;  // in the shim's pid namespace
};
// Of Linux 6.12: signals and abstract sockets stay inside a domain, as tracing does since ABI 1. From there on a child
// that can't enter a domain of its own does not start.
inline constexpr uint32_t kSeparatingLandlockAbi = 6;
enum class Stage : uint8_t { kNone = 0, kLimit, kFork, kStdio, kChdir, kExec, kMessage, kLandlock, kFile };
inline constexpr uint8_t kLastStage = static_cast<uint8_t>(Stage::kFile);
struct SpawnFailed {
  Stage stage = Stage::kNone;
  int32_t error = 0;
};
enum class SignalScope : uint8_t { kLeader = 0, kGroup, kTree };
struct Signal {
  uint8_t signo = 0;
  SignalScope scope = SignalScope::kLeader;
};
struct End {
  uint32_t grace_ms = 0;
};
struct Exited {
  int32_t wait_status = 0;
  Usage usage;
};
struct Gone {
  Usage usage;
};
struct Shutdown {
  uint32_t grace_ms = 0;
};
struct PutFile {
  uint32_t index = 0;  // of those that belong together; 0 forgets that an earlier one failed
  Bytes path;          // absolute
  Bytes content;       // any bytes
};

inline const char* StageName(Stage stage) {
  switch (stage) {
    case Stage::kNone:
      return "spawn";
    case Stage::kLimit:
      return "session limit";
    case Stage::kFork:
      return "fork";
    case Stage::kStdio:
      return "stdio";
    case Stage::kChdir:
      return "chdir";
    case Stage::kExec:
      return "exec";
    case Stage::kMessage:
      return "message";
    case Stage::kLandlock:
      return "landlock";
    case Stage::kFile:
      return "file of a secret";
  }
  return "spawn";
}

// How many descriptors must come with a message of this type (-1: as the message says).
inline int DescriptorsOf(Type type, uint32_t spawn_flags) {
  if (type == Type::kSession) return -1;
  if (type == Type::kSpawn) return (spawn_flags & kSpawnNoStdio) != 0 ? 0 : 5;
  return 0;
}
inline int DescriptorsOf(const Session& m) {
  return (m.descriptors & kInW ? 1 : 0) + (m.descriptors & kOutR ? 1 : 0) + (m.descriptors & kJournal ? 1 : 0);
}

inline void Put(Writer* w, const Header& h) { w->Raw(&h, sizeof h); }
inline void Put(Writer* w, const Usage& u) {
  w->U64(u.user_us);
  w->U64(u.system_us);
  w->U64(u.max_rss_kib);
}
inline void Put(Writer* w, const Hello& m) {
  w->String(m.instance);
  w->String(m.token);
  w->U64(m.start_ns);
  w->U32(m.sessions);
  w->U32(m.landlock_abi);
}
inline void Put(Writer* w, const Session& m) {
  w->U8(static_cast<uint8_t>(m.state));
  w->U8(m.descriptors);
  w->U8(m.ending);
  w->I32(m.pid);
  w->U64(m.start_ns);
  w->I32(m.wait_status);
  w->U8(m.stage);
  w->I32(m.error);
}
inline void Put(Writer* w, const Spawned& m) { w->I32(m.pid); }
inline void Put(Writer* w, const SpawnFailed& m) {
  w->U8(static_cast<uint8_t>(m.stage));
  w->I32(m.error);
}
inline void Put(Writer* w, const Signal& m) {
  w->U8(m.signo);
  w->U8(static_cast<uint8_t>(m.scope));
}
inline void Put(Writer* w, const End& m) { w->U32(m.grace_ms); }
inline void Put(Writer* w, const Exited& m) {
  w->I32(m.wait_status);
  Put(w, m.usage);
}
inline void Put(Writer* w, const Gone& m) { Put(w, m.usage); }
inline void Put(Writer* w, const Shutdown& m) { w->U32(m.grace_ms); }
inline void Put(Writer* w, const PutFile& m) {
  w->U32(m.index);
  w->String(m.path);
  w->String(m.content);
}

template <typename M>
void Encode(Writer* w, const Header& h, const M& m) {
  Put(w, h);
  Put(w, m);
}

inline bool Take(Reader* r, Header* h) {
  r->Raw(h, sizeof *h);
  uint16_t type = static_cast<uint16_t>(h->type);
  return r->ok() && h->version >= kOldestVersion && h->version <= kVersion && type >= 1 && type <= kLastType;
}
inline bool Take(Reader* r, Usage* u) {
  u->user_us = r->U64();
  u->system_us = r->U64();
  u->max_rss_kib = r->U64();
  return r->ok();
}
inline bool Take(Reader* r, Hello* m) {
  m->instance = r->String();
  m->token = r->String();
  m->start_ns = r->U64();
  m->sessions = r->U32();
  m->landlock_abi = r->U32();
  return r->ok() && m->instance.size <= kMaxInstanceBytes && m->token.size <= kMaxTokenBytes;
}
inline bool Take(Reader* r, Session* m) {
  uint8_t state = r->U8();
  m->descriptors = r->U8();
  m->ending = r->U8();
  m->pid = r->I32();
  m->start_ns = r->U64();
  m->wait_status = r->I32();
  m->stage = r->U8();
  m->error = r->I32();
  m->state = static_cast<SessionState>(state <= 4 ? state : 4);
  return r->ok() && state <= 4 && m->descriptors < 8 && m->stage <= kLastStage;
}
inline bool Take(Reader* r, Spawn* m) {
  bool ok = true;
  m->flags = r->U32();
  m->argv = ReadStrings(r, &ok);
  m->env = ReadStrings(r, &ok);
  m->cwd = r->String();
  return ok && r->ok();
}
inline bool Take(Reader* r, Spawned* m) {
  m->pid = r->I32();
  return r->ok();
}
inline bool Take(Reader* r, SpawnFailed* m) {
  uint8_t stage = r->U8();
  m->error = r->I32();
  m->stage = static_cast<Stage>(stage <= kLastStage ? stage : 0);
  return r->ok() && stage <= kLastStage;
}
inline bool Take(Reader* r, Signal* m) {
  m->signo = r->U8();
  uint8_t scope = r->U8();
  m->scope = static_cast<SignalScope>(scope <= 2 ? scope : 0);
  return r->ok() && m->signo >= 1 && m->signo <= 64 && scope <= 2;
}
inline bool Take(Reader* r, End* m) {
  m->grace_ms = r->U32();
  return r->ok();
}
inline bool Take(Reader* r, Exited* m) {
  m->wait_status = r->I32();
  return Take(r, &m->usage);
}
inline bool Take(Reader* r, Gone* m) { return Take(r, &m->usage); }
inline bool Take(Reader* r, PutFile* m) {
  m->index = r->U32();
  m->path = r->String();
  m->content = r->Blob();
  return r->ok();
}
inline bool Take(Reader* r, Shutdown* m) {
  m->grace_ms = r->U32();
  return r->ok();
}

}  // namespace mcpfleet::shim
