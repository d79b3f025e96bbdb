// A SessionHost without processes: children are entries in a table that the test scripts. Deterministic, no threads;
// what it refuses is what ShimHost refuses (tests/contract/session_host_contract.cc).
//
//   FakeSessionHost host(clock);
//   host.Script("weather-1").exec_failure = "exec: No such file or directory";
//   host.ExitMain("weather-1", {.code = 137, .signal = 9});
//   host.AgentRestarts();   // connections are lost, children live on; Expect adopts them
//   host.InstanceDies("weather-1");   // the shim died, and all children with it
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/mutex.h"
#include "controller/ports/session_host.h"

namespace mcpfleet {

// Keeps what was sent; Deliver plays a line of the child.
class FakeStdioChannel final : public StdioChannel {
 public:
  explicit FakeStdioChannel(const Clock& clock);
  Status Send(std::string_view line, Deadline deadline) override;
  void SetReceiver(std::function<void(std::string line)> receiver) override;
  Status SaveNote(std::string_view note) override;
  std::string LoadNote() const override;
  MonoTime last_activity() const override;
  bool closed() const override;

  // A line from the child: to the receiver, or kept until there is one.
  void Deliver(std::string_view line);
  // Called for every line sent; what it returns is delivered as the child's answer.
  void SetResponder(std::function<std::vector<std::string>(std::string_view line)> responder);
  std::vector<std::string> sent() const;
  void Close();
  // The channel of the agent that comes after this one's.
  std::shared_ptr<FakeStdioChannel> Adopted();

 private:
  const Clock& clock_;
  mutable Mutex mu_;
  std::function<void(std::string)> receiver_ GUARDED_BY(mu_);
  std::function<std::vector<std::string>(std::string_view)> responder_ GUARDED_BY(mu_);
  std::vector<std::string> sent_ GUARDED_BY(mu_), kept_ GUARDED_BY(mu_);
  std::string note_ GUARDED_BY(mu_);
  MonoTime last_activity_ GUARDED_BY(mu_);
  bool closed_ GUARDED_BY(mu_) = false;
};

class FakeSessionHost final : public SessionHost {
 public:
  // What happens to one instance's shim and child from now on.
  struct Behaviour {
    bool connects = true;                           // at Expect with a pid
    bool separates = true;                          // the kernel keeps its children apart
    Status prepare_error, start_error, stop_error;  // returned instead of acting
    bool effect_before_error = false;               // start_error/stop_error come after the effect: the answer was lost
    std::string exec_failure;                       // StartMain is OK, Main() is kExited with this failure
    std::optional<ExitInfo> exits_at_once;          // StartMain is OK, Main() is kExited with this
    bool stays_starting = false;  // StartMain is DeadlineExceeded, Main() stays kStarting until FinishStarting
    ExitInfo exit_when_stopped{.code = 143, .signal = 15};                   // what StopMain makes of it
    std::function<std::vector<std::string>(std::string_view line)> answers;  // of a stdio child, line by line
  };

  explicit FakeSessionHost(const Clock& clock, std::string state_directory = "/fake/shim")
      : clock_(clock), state_directory_(std::move(state_directory)) {}

  StatusOr<std::string> Prepare(const std::string& instance) override;
  void Expect(const std::string& instance, int pid) override;
  bool Connected(const std::string& instance) const override;
  Status StartMain(const std::string& instance, const std::vector<std::string>& argv, const std::vector<EnvVar>& env,
                   Transport transport, Deadline deadline) override;
  Status PutFiles(const std::string& instance, const std::vector<OpenedFile>& files) override;
  Status StopMain(const std::string& instance, Duration grace, Deadline deadline) override;
  MainState Main(const std::string& instance) const override;
  std::shared_ptr<StdioChannel> MainChannel(const std::string& instance) override;
  std::optional<bool> SeparatesClients(const std::string& instance) const override {
    return Connected(instance) ? std::optional(ScriptOf(instance).separates) : std::nullopt;
  }
  void Forget(const std::string& instance) override;
  void SetListener(std::function<void(const std::string& instance)> changed) override;

  // Script of one instance; kept over Forget, since it describes the world. Not thread-safe against the verbs.
  Behaviour& Script(const std::string& instance) { return scripts_[instance]; }
  // For every instance without a script of its own.
  Behaviour& DefaultScript() { return default_script_; }

  // The world moves; each tells the listener.
  void Connect(const std::string& instance);
  void FinishStarting(const std::string& instance);
  void ExitMain(const std::string& instance, ExitInfo exit);
  void InstanceDies(const std::string& instance);
  // mcplet died and a new one starts: nothing is prepared or expected, children and their notes live on.
  void AgentRestarts();

  struct StartCall {
    std::string instance;
    std::vector<std::string> argv;
    std::vector<EnvVar> env;
    Transport transport = Transport::kStdio;
  };
  std::vector<StartCall> starts() const;
  // "<instance> <path>=<content>" of each file that was put.
  std::vector<std::string> files() const;
  std::vector<std::string> stops() const;
  std::shared_ptr<FakeStdioChannel> Channel(const std::string& instance) const;
  std::set<std::string> prepared() const;

 private:
  struct Child {
    MainState state;
    std::shared_ptr<FakeStdioChannel> channel;
  };
  const Behaviour& ScriptOf(const std::string& instance) const;
  void SetPhase(Child* child, MainState::Phase phase);
  void Changed(const std::string& instance);
  void DropChild(const std::string& instance) EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void ForgetShim(const std::string& instance) EXCLUSIVE_LOCKS_REQUIRED(mu_);

  const Clock& clock_;
  const std::string state_directory_;
  std::map<std::string, Behaviour> scripts_;
  Behaviour default_script_;
  mutable Mutex mu_;
  std::set<std::string> prepared_ GUARDED_BY(mu_);
  std::map<std::string, int> expected_ GUARDED_BY(mu_);
  std::set<std::string> connected_ GUARDED_BY(mu_);
  std::set<std::string> told_ GUARDED_BY(mu_);  // whose shim told this agent of its children
  std::map<std::string, MonoTime> absent_since_ GUARDED_BY(mu_);
  std::map<std::string, Child> children_ GUARDED_BY(mu_);
  std::map<std::string, int> shim_pid_ GUARDED_BY(mu_);         // of the shim that the children belong to
  std::set<std::pair<std::string, int>> dead_ GUARDED_BY(mu_);  // shims that never connect (again)
  std::vector<StartCall> starts_ GUARDED_BY(mu_);
  std::vector<std::string> files_ GUARDED_BY(mu_);
  std::vector<std::string> stops_ GUARDED_BY(mu_);
  std::function<void(const std::string&)> changed_ GUARDED_BY(mu_);
  int next_pid_ GUARDED_BY(mu_) = 40'000;
  uint64_t started_ GUARDED_BY(mu_) = 0;
};

}  // namespace mcpfleet
