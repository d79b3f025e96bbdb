// mcplet's end of all shims on this node: SessionHost and ClientSessions over the protocol in wire.h.
//
// Per instance there is a directory <state>/shim/<instance>/ (below a parent that only we may enter) with the socket
// agent.sock. The shim connects; it is taken for the shim only if SO_PEERCRED shows the pid that Expect named, which no
// other process in the container can have. Once it said hello, the socket is gone until it is needed again.
//
// One I/O thread for all instances; the lines of clients' children come in whoever drives their I/O. The verbs block on
// condition variables, each until its deadline. Ending mcplet, or destroying the ShimHost, ends no session: the shims
// keep pipes and journals, and the next ShimHost adopts them after Prepare and Expect. Only one ShimHost can have a
// state directory at a time (flock).
//
// Needs the host's pid namespace: in another one the peers' pids can't be seen.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/fd.h"
#include "base/io_loop.h"
#include "base/mutex.h"
#include "controller/ports/client_sessions.h"
#include "controller/ports/session_host.h"
#include "edge-runtime/shim/packet.h"
#include "edge-runtime/shim/shim_channel.h"
#include "edge-runtime/shim/wire.h"

namespace mcpfleet {

class ShimHost final : public SessionHost, public ClientSessions {
 public:
  // FailedPrecondition when another mcplet has the directory. Ignores SIGPIPE for the whole program.
  static StatusOr<std::unique_ptr<ShimHost>> Create(std::string state_directory, const Clock& clock);
  ~ShimHost() override;

  StatusOr<std::string> Prepare(const std::string& instance) override;
  void Expect(const std::string& instance, int pid) override;
  bool Connected(const std::string& instance) const override;
  // OK when the shim has taken the order and told what came of it; that exec failed is in Main().
  Status StartMain(const std::string& instance, const std::vector<std::string>& argv, const std::vector<EnvVar>& env,
                   Transport transport, Deadline deadline) override;
  Status PutFiles(const std::string& instance, const std::vector<OpenedFile>& files) override;
  Status StopMain(const std::string& instance, Duration grace, Deadline deadline) override;
  MainState Main(const std::string& instance) const override;
  std::shared_ptr<StdioChannel> MainChannel(const std::string& instance) override;
  void Forget(const std::string& instance) override;
  void SetListener(std::function<void(const std::string& instance)> changed) override;

  // done, listener: on the I/O thread.
  void SpawnClient(const std::string& instance, const std::vector<std::string>& argv, const std::vector<EnvVar>& env,
                   std::function<void(StatusOr<ClientChild>)> done) override;
  void EndClient(const std::string& instance, uint64_t id, Duration grace) override;
  std::vector<ClientChild> Clients(const std::string& instance) const override;
  int ClientCount(const std::string& instance) const override;
  int ClientIoFd() const override { return client_loop_->ready_fd(); }
  void RunClientIo() override { client_loop_->RunReady(); }
  void SetClientListener(
      std::function<void(const std::string& instance, uint64_t id, ClientEvent event)> changed) override;

  // From landlock ABI 6 on; below that a child can at least signal those of others.
  std::optional<bool> SeparatesClients(const std::string& instance) const override;

 private:
  struct Session {
    uint64_t id = 0;  // 0: there is none
    MainState state;
    bool gone = true;   // nothing of it lives
    bool seen = false;  // reported on this connection
    std::shared_ptr<ShimChannel> channel;
    // Of clients only.
    bool adopted = false;                                // begun by an earlier mcplet
    std::function<void(StatusOr<ClientChild>)> spawned;  // not told yet
    std::optional<uint32_t> end_ms;                      // to be ended, with this grace
  };
  struct Connection {
    UniqueFd fd;
    uint64_t token = 0;
    bool hello = false, ready = false;
    uint32_t sequence = 0;
    uint32_t landlock_abi = 0;
  };
  struct Waiting {
    UniqueFd fd;
    int pid = 0;
  };
  struct Instance {
    std::string name, directory;
    int pid = 0;  // of the shim; 0: not known
    UniqueFd pidfd;
    uint64_t pidfd_token = 0;
    UniqueFd listener;
    uint64_t listener_token = 0;
    std::vector<Waiting> waiting;  // connected before Expect said who may
    Connection connection;
    uint64_t connections = 0;  // counts them, to notice that one was replaced
    Session main;
    std::map<uint64_t, Session> clients;
    uint64_t last_client = 0;
    uint64_t rejected = 0;
  };

  ShimHost(std::string directory, UniqueFd lock, const Clock& clock, std::shared_ptr<IoLoop> loop,
           std::shared_ptr<IoLoop> client_loop)
      : directory_(std::move(directory)),
        lock_(std::move(lock)),
        clock_(clock),
        loop_(std::move(loop)),
        client_loop_(std::move(client_loop)) {}

  Status Listen(Instance* instance) EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void StopListening(Instance* instance) EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void OnAccept(const std::string& name);
  void Judge(Instance* instance, UniqueFd fd, int pid) EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Connect(Instance* instance, UniqueFd fd) EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Disconnect(Instance* instance) EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void ForgetShim(Instance* instance) EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void OnShimDied(const std::string& name, int pid);
  void OnPacket(const std::string& name, uint64_t token);
  void OnHelloDeadline(const std::string& name, uint64_t connection);

  // False when the message breaks the protocol. Takes the descriptors it uses out of the packet.
  bool Handle(Instance* instance, shim::Packet* packet) EXCLUSIVE_LOCKS_REQUIRED(mu_);
  bool HandleHello(Instance* instance, const shim::Hello& hello) EXCLUSIVE_LOCKS_REQUIRED(mu_);
  bool HandleSession(Instance* instance, uint64_t id, const shim::Session& session, shim::Packet* packet)
      EXCLUSIVE_LOCKS_REQUIRED(mu_);
  bool HandleMainSession(Instance* instance, uint64_t id, const shim::Session& session, shim::Packet* packet)
      EXCLUSIVE_LOCKS_REQUIRED(mu_);
  bool TakeState(Instance* instance, Session* session, const shim::Session& m) EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void HandleReady(Instance* instance) EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Adopt(Instance* instance, Session* session, const shim::Session& m, shim::Packet* packet)
      EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // The session with this id, main or client; null when there is none.
  Session* FindSession(Instance* instance, uint64_t id) EXCLUSIVE_LOCKS_REQUIRED(mu_);
  std::shared_ptr<ShimChannel> MakeChannel(Instance* instance, uint64_t id, UniqueFd in_w, UniqueFd out_r,
                                           std::unique_ptr<shim::Journal> journal) EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void SetPhase(Instance* instance, Session* session, MainState::Phase phase) EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void SetExited(Instance* instance, Session* session, int wait_status) EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void SetFailed(Instance* instance, Session* session, shim::Stage stage, int error) EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void SetGone(Instance* instance, Session* session) EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void DropMain(Instance* instance) EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void DropClient(Instance* instance, uint64_t id, const Status& why) EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void TellSpawned(Instance* instance, Session* client, const Status& outcome) EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Orders a child; `*session` is the new one's when it returns OK. With forget, that one is forgotten first.
  Status Spawn(Instance* instance, uint64_t id, const std::vector<std::string>& argv, const std::vector<EnvVar>& env,
               Transport transport, uint64_t forget, Session* session) EXCLUSIVE_LOCKS_REQUIRED(mu_);
  Status SpawnMain(Instance* instance, const std::vector<std::string>& argv, const std::vector<EnvVar>& env,
                   Transport transport) EXCLUSIVE_LOCKS_REQUIRED(mu_);
  bool Send(Instance* instance, const uint8_t* bytes, size_t size, const int* descriptors, int count)
      EXCLUSIVE_LOCKS_REQUIRED(mu_);
  bool SendEnd(Instance* instance, uint64_t id, uint32_t grace_ms) EXCLUSIVE_LOCKS_REQUIRED(mu_);
  bool SendForget(Instance* instance, uint64_t id) EXCLUSIVE_LOCKS_REQUIRED(mu_);
  Instance* Find(const std::string& name) EXCLUSIVE_LOCKS_REQUIRED(mu_);
  const Instance* Find(const std::string& name) const EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Wakes waiting verbs, and the listener on the I/O thread.
  void Changed(const std::string& name) EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void TellClient(const std::string& name, uint64_t id, ClientEvent event);

  const std::string directory_;  // <state>/shim
  const UniqueFd lock_;
  const Clock& clock_;
  const std::shared_ptr<IoLoop> loop_, client_loop_;  // shared with channels
  mutable Mutex mu_;
  CondVar moved_;
  std::map<std::string, std::unique_ptr<Instance>> instances_ GUARDED_BY(mu_);
  std::shared_ptr<std::function<void(const std::string&)>> listener_ GUARDED_BY(mu_);
  std::set<std::string> to_tell_ GUARDED_BY(mu_);
  std::shared_ptr<std::function<void(const std::string&, uint64_t, ClientEvent)>> client_listener_ GUARDED_BY(mu_);
  std::unique_ptr<shim::Packet> packet_ = std::make_unique<shim::Packet>();  // I/O thread
  std::vector<uint8_t> out_ GUARDED_BY(mu_) = std::vector<uint8_t>(shim::kMaxMessage);
};

}  // namespace mcpfleet
