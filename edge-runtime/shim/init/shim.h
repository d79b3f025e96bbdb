// The shim proper: sessions, what the agent asks for, what it has not been told yet, and the loop around them.
#pragma once

#include <sys/types.h>

#include "edge-runtime/shim/init/link.h"
#include "edge-runtime/shim/init/session.h"

namespace mcpfleet::shim {

struct Options {
  const char* instance = "";
  const char* socket = kDefaultSocket;
  char token[kMaxTokenBytes + 1] = {0};
};

class Shim {
 public:
  Shim(const Options& options, const Inherited& inherited)
      : options_(options), inherited_(inherited), link_(options.socket, inherited.init), started_ns_(NowNs()) {}
  // Until a shutdown is complete. The exit code of the program. `signals`: a signalfd for SIGCHLD and SIGTERM.
  int Run(int signals);

 private:
  static constexpr uint32_t kMaxSessions = 1024;
  void ReadSignals(int signals);
  void Reap();
  void ReceiveAll();
  // False when the message breaks the rules.
  bool Handle(Packet* packet);
  bool HandleSpawn(const Header& header, Reader* reader, Packet* packet, bool* took_descriptors);
  bool HandlePutFile(Reader* reader);
  Kept* Find(uint64_t id) const;
  Kept* Add(uint64_t id);
  void Drop(Kept* session);
  void BeginShutdown(uint64_t grace_ms, bool term_now);
  // Kills what hangs on PID 1 and is no helper. True when nothing of that kind is left.
  bool Sweep();
  void AnnounceGone();
  void Connected();
  void Disconnect();
  // Tells what was not told; false when the socket takes no more now.
  bool Flush();
  bool FlushSession(Kept* session);
  template <typename M>
  bool Tell(Type type, uint64_t session, const M& m, const int* descriptors = nullptr, int count = 0);

  const Options& options_;
  const Inherited& inherited_;
  Link link_;
  const uint64_t started_ns_;
  Kept* sessions_ = nullptr;
  uint32_t count_ = 0;
  uint32_t sequence_ = 0;
  bool say_hello_ = false, say_ready_ = false, say_pong_ = false;
  bool unswept_ = false;  // a helper is gone since the last complete sweep
  bool shutting_down_ = false;
  int file_error_ = 0;  // of a file that the next main session needs
  uint64_t next_sweep_ns_ = 0;
  Tree tree_;
  Packet packet_;
};

// One line to stderr, dropped when nobody reads it: the log pipe belongs to the children, too.
void Say(const char* message, int error = 0);

}  // namespace mcpfleet::shim
