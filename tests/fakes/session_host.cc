#include "tests/fakes/session_host.h"

#include <utility>

namespace mcpfleet {
namespace {

bool IsInstanceName(const std::string& name) {
  return !name.empty() && name.size() <= 64 && name.front() != '-' &&
         name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-") == std::string::npos;
}

Status CheckCommand(const std::vector<std::string>& argv, const std::vector<EnvVar>& env) {
  size_t bytes = 0;
  bool clean = true;
  for (const std::string& each : argv) {
    bytes += each.size() + 4;
    clean = clean && each.find('\0') == std::string::npos;
  }
  for (const EnvVar& each : env) {
    bytes += each.name.size() + each.value.size() + 5;
    clean = clean && (each.name + each.value).find('\0') == std::string::npos && !each.name.empty() &&
            each.name.find('=') == std::string::npos;
  }
  if (!clean) return InvalidArgument("command or environment: has an impossible name or a NUL");
  return bytes < (size_t{64} << 10) ? OkStatus()
                                    : InvalidArgument("command and environment: larger than 64 KiB together");
}

Status NotInTime(const std::string& instance) {
  return DeadlineExceeded("instance " + instance + ": its child did not start in time");
}

}  // namespace

FakeStdioChannel::FakeStdioChannel(const Clock& clock) : clock_(clock), last_activity_(clock.Now()) {}

Status FakeStdioChannel::Send(std::string_view line, Deadline) {
  if (line.find('\n') != std::string_view::npos) return InvalidArgument("line: has a newline inside");
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

void FakeStdioChannel::SetReceiver(std::function<void(std::string line)> receiver) {
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
  std::function<void(std::string)> receiver;
  {
    MutexLock lock(&mu_);
    last_activity_ = clock_.Now();
    receiver = receiver_;
    if (!receiver) kept_.emplace_back(line);
  }
  if (receiver) receiver(std::string(line));
}

void FakeStdioChannel::SetResponder(std::function<std::vector<std::string>(std::string_view line)> responder) {
  MutexLock lock(&mu_);
  responder_ = std::move(responder);
}

std::vector<std::string> FakeStdioChannel::sent() const {
  MutexLock lock(&mu_);
  return sent_;
}

// As the next agent finds it: lines that nobody received, and the note, but none of the old agent's ends.
std::shared_ptr<FakeStdioChannel> FakeStdioChannel::Adopted() {
  auto next = std::make_shared<FakeStdioChannel>(clock_);
  MutexLock lock(&mu_);
  MutexLock next_lock(&next->mu_);
  next->kept_ = kept_;
  next->note_ = note_;
  next->sent_ = sent_;
  next->responder_ = responder_;
  next->closed_ = std::exchange(closed_, true);
  receiver_ = nullptr;
  return next;
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

void FakeSessionHost::DropChild(const std::string& instance) {
  auto it = children_.find(instance);
  if (it == children_.end()) return;
  if (it->second.channel) it->second.channel->Close();
  children_.erase(it);
}

// The shim and all below it are gone for this agent.
void FakeSessionHost::ForgetShim(const std::string& instance) {
  connected_.erase(instance);
  told_.erase(instance);
  shim_pid_.erase(instance);
  DropChild(instance);
  absent_since_[instance] = clock_.Now();
}

StatusOr<std::string> FakeSessionHost::Prepare(const std::string& instance) {
  if (!IsInstanceName(instance)) return InvalidArgument("instance \"" + instance + "\": not a name");
  RETURN_IF_ERROR(ScriptOf(instance).prepare_error);
  MutexLock lock(&mu_);
  if (prepared_.insert(instance).second) absent_since_[instance] = clock_.Now();
  return state_directory_ + "/" + instance;
}

void FakeSessionHost::Expect(const std::string& instance, int pid) {
  bool changed = false;
  {
    MutexLock lock(&mu_);
    if (prepared_.count(instance) == 0) return;
    auto expected = expected_.find(instance);
    const int before = expected == expected_.end() ? 0 : expected->second;
    auto shim = shim_pid_.find(instance);
    // Another shim: the children of the old one died with it.
    changed = before != 0 && before != pid;
    if (changed || (pid != 0 && shim != shim_pid_.end() && shim->second != pid)) ForgetShim(instance);
    expected_[instance] = pid;
  }
  if (changed) Changed(instance);
  if (ScriptOf(instance).connects) Connect(instance);
}

bool FakeSessionHost::Connected(const std::string& instance) const {
  MutexLock lock(&mu_);
  return connected_.count(instance) > 0;
}

Status FakeSessionHost::PutFiles(const std::string& instance, const std::vector<OpenedFile>& files) {
  if (files.empty()) return OkStatus();
  MutexLock lock(&mu_);
  if (connected_.count(instance) == 0) return Unavailable("shim of " + instance + ": not connected");
  for (const OpenedFile& file : files)
    files_.push_back(instance + " " + file.path + "=" + std::string(file.content.view()));
  return OkStatus();
}

std::vector<std::string> FakeSessionHost::files() const {
  MutexLock lock(&mu_);
  return files_;
}

Status FakeSessionHost::StartMain(const std::string& instance, const std::vector<std::string>& argv,
                                  const std::vector<EnvVar>& env, Transport transport, Deadline) {
  const Behaviour& script = ScriptOf(instance);
  if (!script.start_error.ok() && !script.effect_before_error) return script.start_error;
  {
    MutexLock lock(&mu_);
    if (prepared_.count(instance) == 0) return NotFound("instance " + instance + ": not prepared");
    if (connected_.count(instance) == 0) return Unavailable("shim of " + instance + ": not connected");
    auto it = children_.find(instance);
    if (it != children_.end() && it->second.state.phase == MainState::Phase::kRunning) return script.start_error;
    if (it != children_.end() && it->second.state.phase == MainState::Phase::kStarting) return NotInTime(instance);
    RETURN_IF_ERROR(CheckCommand(argv, env));
    starts_.push_back({instance, argv, env, transport});
    Child child;
    if (!script.exec_failure.empty()) {
      child.state.failure = script.exec_failure;
      SetPhase(&child, MainState::Phase::kExited);
    } else if (script.exits_at_once) {
      child.state.exit = script.exits_at_once;
      SetPhase(&child, MainState::Phase::kExited);
    } else {
      child.state.pid = next_pid_++;
      SetPhase(&child, script.stays_starting ? MainState::Phase::kStarting : MainState::Phase::kRunning);
      if (transport == Transport::kStdio) {
        child.channel = std::make_shared<FakeStdioChannel>(clock_);
        child.channel->SetResponder(script.answers);
      }
    }
    child.state.child = ++started_;
    children_[instance] = std::move(child);
  }
  Changed(instance);
  return script.stays_starting ? NotInTime(instance) : script.start_error;
}

Status FakeSessionHost::StopMain(const std::string& instance, Duration, Deadline) {
  const Behaviour& script = ScriptOf(instance);
  if (!script.stop_error.ok() && !script.effect_before_error) return script.stop_error;
  bool running = false;
  {
    MutexLock lock(&mu_);
    // What no shim has told of is not known.
    auto it = told_.count(instance) > 0 ? children_.find(instance) : children_.end();
    running = it != children_.end() && (it->second.state.phase == MainState::Phase::kStarting ||
                                        it->second.state.phase == MainState::Phase::kRunning);
    if (running && connected_.count(instance) == 0) return Unavailable("shim of " + instance + ": not connected");
    if (running) stops_.push_back(instance);
  }
  if (running) ExitMain(instance, script.exit_when_stopped);
  return script.stop_error;
}

MainState FakeSessionHost::Main(const std::string& instance) const {
  MutexLock lock(&mu_);
  MainState absent;
  if (auto since = absent_since_.find(instance); since != absent_since_.end()) absent.since = since->second;
  auto it = children_.find(instance);
  // Who the child is comes from its shim: unknown until that has connected.
  return it == children_.end() || told_.count(instance) == 0 ? absent : it->second.state;
}

std::shared_ptr<StdioChannel> FakeSessionHost::MainChannel(const std::string& instance) {
  MutexLock lock(&mu_);
  auto it = children_.find(instance);
  if (it == children_.end() || told_.count(instance) == 0) return nullptr;
  if (it->second.state.phase != MainState::Phase::kRunning) return nullptr;
  return it->second.channel;
}

void FakeSessionHost::Forget(const std::string& instance) {
  {
    MutexLock lock(&mu_);
    if (prepared_.erase(instance) == 0) return;
    // Its socket is gone with its directory: a shim that lives finds no way back.
    if (auto shim = shim_pid_.find(instance); shim != shim_pid_.end()) dead_.insert({instance, shim->second});
    ForgetShim(instance);
    expected_.erase(instance);
    absent_since_.erase(instance);
  }
  Changed(instance);
}

void FakeSessionHost::SetListener(std::function<void(const std::string& instance)> changed) {
  MutexLock lock(&mu_);
  changed_ = std::move(changed);
}

void FakeSessionHost::Connect(const std::string& instance) {
  {
    MutexLock lock(&mu_);
    auto expected = expected_.find(instance);
    if (expected == expected_.end() || expected->second == 0 || dead_.count({instance, expected->second}) > 0) return;
    if (!connected_.insert(instance).second) return;
    shim_pid_[instance] = expected->second;
    auto child = children_.find(instance);
    // News to this agent, whenever it happened.
    if (told_.insert(instance).second && child != children_.end()) child->second.state.since = clock_.Now();
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
    // The pid stays expected, and stays dead.
    if (auto shim = shim_pid_.find(instance); shim != shim_pid_.end()) dead_.insert({instance, shim->second});
    if (auto expected = expected_.find(instance); expected != expected_.end())
      dead_.insert({instance, expected->second});
    ForgetShim(instance);
    if (prepared_.count(instance) == 0) absent_since_.erase(instance);
  }
  Changed(instance);
}

void FakeSessionHost::AgentRestarts() {
  MutexLock lock(&mu_);
  prepared_.clear();
  expected_.clear();
  connected_.clear();
  told_.clear();
  absent_since_.clear();
  changed_ = nullptr;
  for (auto& [instance, child] : children_) {
    if (child.channel) child.channel = child.channel->Adopted();
  }
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
