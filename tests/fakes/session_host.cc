#include "tests/fakes/session_host.h"

#include <utility>

namespace mcpfleet {

Status FakeStdioChannel::Send(std::string_view line, Deadline) {
  std::function<std::vector<std::string>(std::string_view)> responder;
  {
    MutexLock lock(&mu_);
    if (closed_) return Unavailable("child: its stdin is closed");
    sent_.emplace_back(line);
    responder = responder_;
  }
  if (responder) {
    for (const std::string& answer : responder(line)) Deliver(answer);
  }
  return OkStatus();
}

void FakeStdioChannel::SetReceiver(std::function<void(std::string_view line)> receiver) {
  std::vector<std::string> kept;
  {
    MutexLock lock(&mu_);
    receiver_ = receiver;
    if (receiver) kept.swap(kept_);
  }
  for (const std::string& line : kept) receiver(line);
}

Status FakeStdioChannel::SaveNote(std::string_view note) {
  if (note.size() > (size_t{48} << 10)) return ResourceExhausted("note: more than 48 KiB");
  MutexLock lock(&mu_);
  note_ = std::string(note);
  return OkStatus();
}

std::string FakeStdioChannel::LoadNote() const {
  MutexLock lock(&mu_);
  return note_;
}

MonoTime FakeStdioChannel::last_activity() const {
  MutexLock lock(&mu_);
  return last_activity_;
}

bool FakeStdioChannel::closed() const {
  MutexLock lock(&mu_);
  return closed_;
}

void FakeStdioChannel::Deliver(std::string_view line) {
  std::function<void(std::string_view)> receiver;
  {
    MutexLock lock(&mu_);
    last_activity_ = clock_.Now();
    receiver = receiver_;
    if (!receiver) kept_.emplace_back(line);
  }
  if (receiver) receiver(line);
}

void FakeStdioChannel::SetResponder(std::function<std::vector<std::string>(std::string_view line)> responder) {
  MutexLock lock(&mu_);
  responder_ = std::move(responder);
}

std::vector<std::string> FakeStdioChannel::sent() const {
  MutexLock lock(&mu_);
  return sent_;
}

void FakeStdioChannel::Close() {
  MutexLock lock(&mu_);
  closed_ = true;
}

const FakeSessionHost::Behaviour& FakeSessionHost::ScriptOf(const std::string& instance) const {
  auto it = scripts_.find(instance);
  return it == scripts_.end() ? default_script_ : it->second;
}

void FakeSessionHost::SetPhase(Child* child, MainState::Phase phase) {
  child->state.phase = phase;
  child->state.since = clock_.Now();
}

void FakeSessionHost::Changed(const std::string& instance) {
  std::function<void(const std::string&)> changed;
  {
    MutexLock lock(&mu_);
    changed = changed_;
  }
  if (changed) changed(instance);
}

StatusOr<std::string> FakeSessionHost::Prepare(const std::string& instance) {
  RETURN_IF_ERROR(ScriptOf(instance).prepare_error);
  MutexLock lock(&mu_);
  prepared_.insert(instance);
  return state_directory_ + "/" + instance;
}

void FakeSessionHost::Expect(const std::string& instance, int pid) {
  {
    MutexLock lock(&mu_);
    if (prepared_.count(instance) == 0) return;
    auto shim = shim_pid_.find(instance);
    if (shim != shim_pid_.end() && shim->second != pid) {
      // Another shim: the children of the old one died with it.
      children_.erase(instance);
      connected_.erase(instance);
      shim_pid_.erase(shim);
    }
    expected_[instance] = pid;
    if (pid == 0 || connected_.count(instance) > 0 || !ScriptOf(instance).connects) return;
  }
  Connect(instance);
}

bool FakeSessionHost::Connected(const std::string& instance) const {
  MutexLock lock(&mu_);
  return connected_.count(instance) > 0;
}

Status FakeSessionHost::StartMain(const std::string& instance, const std::vector<std::string>& argv,
                                  const std::vector<EnvVar>& env, Transport transport, Deadline) {
  const Behaviour& script = ScriptOf(instance);
  if (!script.start_error.ok() && !script.effect_before_error) return script.start_error;
  {
    MutexLock lock(&mu_);
    if (connected_.count(instance) == 0) return Unavailable("shim of " + instance + ": not connected");
    auto it = children_.find(instance);
    if (it != children_.end() && (it->second.state.phase == MainState::Phase::kStarting ||
                                  it->second.state.phase == MainState::Phase::kRunning)) {
      return script.start_error;
    }
    starts_.push_back({instance, argv, env, transport});
    Child child;
    child.transport = transport;
    if (!script.exec_failure.empty()) {
      child.state.failure = script.exec_failure;
      SetPhase(&child, MainState::Phase::kExited);
    } else if (script.exits_at_once) {
      child.state.exit = script.exits_at_once;
      SetPhase(&child, MainState::Phase::kExited);
    } else {
      child.state.pid = next_pid_++;
      SetPhase(&child, script.stays_starting ? MainState::Phase::kStarting : MainState::Phase::kRunning);
      if (transport == Transport::kStdio) child.channel = std::make_shared<FakeStdioChannel>(clock_);
    }
    children_[instance] = std::move(child);
  }
  Changed(instance);
  return script.start_error;
}

Status FakeSessionHost::StopMain(const std::string& instance, Duration, Deadline) {
  const Behaviour& script = ScriptOf(instance);
  if (!script.stop_error.ok() && !script.effect_before_error) return script.stop_error;
  bool running = false;
  {
    MutexLock lock(&mu_);
    auto it = children_.find(instance);
    running = it != children_.end() && (it->second.state.phase == MainState::Phase::kStarting ||
                                        it->second.state.phase == MainState::Phase::kRunning);
    if (running && connected_.count(instance) == 0) return Unavailable("shim of " + instance + ": not connected");
    if (running) stops_.push_back(instance);
  }
  if (running) ExitMain(instance, ExitInfo{.code = 143, .signal = 15});
  return script.stop_error;
}

MainState FakeSessionHost::Main(const std::string& instance) const {
  MutexLock lock(&mu_);
  auto it = children_.find(instance);
  // Who the child is comes from its shim: unknown while that is not connected.
  if (it == children_.end() || expected_.count(instance) == 0) return {};
  return it->second.state;
}

std::shared_ptr<StdioChannel> FakeSessionHost::MainChannel(const std::string& instance) {
  MutexLock lock(&mu_);
  auto it = children_.find(instance);
  if (it == children_.end() || expected_.count(instance) == 0) return nullptr;
  if (it->second.state.phase != MainState::Phase::kRunning) return nullptr;
  return it->second.channel;
}

void FakeSessionHost::Forget(const std::string& instance) {
  MutexLock lock(&mu_);
  prepared_.erase(instance);
  expected_.erase(instance);
  connected_.erase(instance);
  shim_pid_.erase(instance);
  auto it = children_.find(instance);
  if (it == children_.end()) return;
  if (it->second.channel) it->second.channel->Close();
  children_.erase(it);
}

void FakeSessionHost::SetListener(std::function<void(const std::string& instance)> changed) {
  MutexLock lock(&mu_);
  changed_ = std::move(changed);
}

void FakeSessionHost::Connect(const std::string& instance) {
  {
    MutexLock lock(&mu_);
    auto expected = expected_.find(instance);
    if (expected == expected_.end() || expected->second == 0) return;
    shim_pid_[instance] = expected->second;
    connected_.insert(instance);
  }
  Changed(instance);
}

void FakeSessionHost::FinishStarting(const std::string& instance) {
  {
    MutexLock lock(&mu_);
    auto it = children_.find(instance);
    if (it == children_.end() || it->second.state.phase != MainState::Phase::kStarting) return;
    SetPhase(&it->second, MainState::Phase::kRunning);
  }
  Changed(instance);
}

void FakeSessionHost::ExitMain(const std::string& instance, ExitInfo exit) {
  {
    MutexLock lock(&mu_);
    auto it = children_.find(instance);
    if (it == children_.end() || it->second.state.phase == MainState::Phase::kExited) return;
    it->second.state.pid = 0;
    it->second.state.exit = exit;
    SetPhase(&it->second, MainState::Phase::kExited);
    if (it->second.channel) it->second.channel->Close();
  }
  Changed(instance);
}

void FakeSessionHost::InstanceDies(const std::string& instance) {
  {
    MutexLock lock(&mu_);
    connected_.erase(instance);
    expected_.erase(instance);
    shim_pid_.erase(instance);
    auto it = children_.find(instance);
    if (it != children_.end() && it->second.channel) it->second.channel->Close();
    children_.erase(instance);
  }
  Changed(instance);
}

void FakeSessionHost::AgentRestarts() {
  MutexLock lock(&mu_);
  prepared_.clear();
  expected_.clear();
  connected_.clear();
  changed_ = nullptr;
}

std::vector<FakeSessionHost::StartCall> FakeSessionHost::starts() const {
  MutexLock lock(&mu_);
  return starts_;
}

std::vector<std::string> FakeSessionHost::stops() const {
  MutexLock lock(&mu_);
  return stops_;
}

std::shared_ptr<FakeStdioChannel> FakeSessionHost::Channel(const std::string& instance) const {
  MutexLock lock(&mu_);
  auto it = children_.find(instance);
  return it == children_.end() ? nullptr : it->second.channel;
}

std::set<std::string> FakeSessionHost::prepared() const {
  MutexLock lock(&mu_);
  return prepared_;
}

}  // namespace mcpfleet
