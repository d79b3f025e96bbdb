// Children inside instances. An instance (container or sandbox) is a place; the MCP server itself is a child that the
// shim in it spawns on request, one per MCP session. The *main* session is the one that mcplet keeps for probing and
// for mcpctl's tools calls; an instance counts as alive while its main child lives.
//
// Sessions outlive mcplet: after a restart the shim reports them and they are adopted with their journal (shim.md).
//
// An attached instance (InstanceReport.attached) has no shim: the server is its first process, and its runtime makes
// the one session at Start. Of the verbs only Connected, Main, MainChannel and Forget mean something for it; Connected
// says whether the session stands. It ends with mcplet: Main is kAbsent after a restart, kExited when the session ended
// under this mcplet or is known to have ended with the server before.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/status.h"
#include "controller/ports/container_runtime.h"
#include "controller/ports/secrets.h"

namespace mcpfleet {

// Lines to and from one stdio child. Thread-safe. Lines carry no newline.
class StdioChannel {
 public:
  virtual ~StdioChannel() = default;
  // Queues one line for the child's stdin; Unavailable when the child is gone, ResourceExhausted when its queue is
  // full.
  virtual Status Send(std::string_view line, Deadline deadline) = 0;
  // Every line of the child's stdout from now on, in order, one at a time, on the host's I/O thread: must not block.
  // Lines that arrived before are delivered first. nullptr detaches (lines are then kept, not lost).
  virtual void SetReceiver(std::function<void(std::string line)> receiver) = 0;
  // Bytes of ours that live as long as the child, also over an mcplet restart (handshake result, next id). <= 48 KiB.
  virtual Status SaveNote(std::string_view note) = 0;
  virtual std::string LoadNote() const = 0;
  // The line whose write was under way when the mcplet before this one died, "" when there was none: how much of it
  // arrived is unknown, and the rest was given up with a newline. If it is a request, whoever waits for its id (by the
  // note) must be told that it failed, with JSON-RPC error -32603, before lines of the child are looked at: the child
  // may never answer it. It may also have arrived whole; a later answer is then one that nobody waits for. The next
  // mcplet finds the line again until SettleDoubt, which says that this was done; nothing more is written before.
  virtual std::string DoubtfulLine() const { return ""; }
  virtual void SettleDoubt() {}
  // Monotonic time of the last byte from the child.
  virtual MonoTime last_activity() const = 0;
  virtual bool closed() const = 0;
};

struct MainState {
  enum class Phase { kAbsent, kStarting, kRunning, kExited };
  Phase phase = Phase::kAbsent;
  int pid = 0;                   // in the host's pid namespace when known, else 0
  std::optional<ExitInfo> exit;  // kExited
  std::string failure;           // kExited because exec failed: "exec: No such file or directory"
  MonoTime since{};              // when the phase began, or was learned
  uint64_t child = 0;            // which child of the instance, the same for the next mcplet
};

class SessionHost {
 public:
  virtual ~SessionHost() = default;
  // Prepares the directory that the instance sees at /.mcp and listens in it. Idempotent. Returns its path.
  virtual StatusOr<std::string> Prepare(const std::string& instance) = 0;
  // Tells which process must be at the other end (the runtime's report); adopts its sessions when it connects.
  virtual void Expect(const std::string& instance, int pid) = 0;
  // Whether the shim of the instance is connected.
  virtual bool Connected(const std::string& instance) const = 0;
  // Spawns the main child: argv and environment go through the shim only. Idempotent while one runs.
  virtual Status StartMain(const std::string& instance, const std::vector<std::string>& argv,
                           const std::vector<EnvVar>& env, Transport transport, Deadline deadline) = 0;
  // Files of secrets, for the children that are spawned from now on: mode 0400, of the instance's user, replaced when
  // they are there. Their directories must be there and writable. A file that can't be written makes the next StartMain
  // fail (Main().failure). FailedPrecondition when this host can't do it.
  virtual Status PutFiles(const std::string& instance, const std::vector<OpenedFile>& files) {
    return files.empty() ? OkStatus() : FailedPrecondition("instance " + instance + ": takes no files");
  }
  // Ends the main child: stdin closed, SIGTERM, SIGKILL of its whole tree after `grace`. OK when there is none.
  virtual Status StopMain(const std::string& instance, Duration grace, Deadline deadline) = 0;
  virtual MainState Main(const std::string& instance) const = 0;
  // The main child's lines; null unless it is running with transport stdio.
  virtual std::shared_ptr<StdioChannel> MainChannel(const std::string& instance) = 0;
  // Whether the children in the instance are kept apart from each other (client_sessions.h); nullopt while that is not
  // known, or there is no shim.
  virtual std::optional<bool> SeparatesClients(const std::string& instance) const = 0;
  // The instance is gone: closes everything and removes its directory.
  virtual void Forget(const std::string& instance) = 0;
  // Called from the I/O thread when a main child or a connection changes state. Must not block.
  virtual void SetListener(std::function<void(const std::string& instance)> changed) = 0;
};

}  // namespace mcpfleet
