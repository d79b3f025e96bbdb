#include "tests/fakes/fake_runtime.h"

#include <algorithm>
#include <csignal>

#include "base/digest.h"
#include "base/strings.h"

namespace mcpfleet {
namespace {

constexpr size_t kHistory = 16;
constexpr size_t kEventsKept = 4096;
constexpr int64_t kArtifactBytes = int64_t{50} << 20;

std::string SourceName(const ServerSpec& spec) {
  if (const auto* image = std::get_if<ImageSource>(&spec.source)) return image->ref;
  if (const auto* package = std::get_if<PackageSource>(&spec.source)) return package->name + "@" + package->version;
  if (const auto* process = std::get_if<ProcessSource>(&spec.source)) return process->path;
  return "";
}

bool ValidId(const std::string& id) {
  return !id.empty() && id.size() <= 40 && std::all_of(id.begin(), id.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
  });
}

std::string LogLine(const std::pair<WallTime, std::string>& line) {
  return FormatTime(line.first) + " " + line.second + "\n";
}

}  // namespace

// --- the engine ---

void FakeEngine::SetProgram(std::function<FakeProgram(const InstanceSpec&)> program) {
  MutexLock lock(&mu_);
  program_ = std::move(program);
}

void FakeEngine::Changed(const std::string& id) {
  events_.emplace_back(++sequence_, id);
  if (events_.size() > kEventsKept) events_.pop_front();
  changed_.NotifyAll();
}

void FakeEngine::Notify(const std::string& id) {
  std::function<void(const std::string&)> listener;
  {
    MutexLock lock(&mu_);
    listener = listener_;
  }
  if (listener) listener(id);
}

void FakeEngine::EndProcess(FakeContainer& container, ExitInfo exit) {
  if (exit.signal != 0 && exit.code == 0) exit.code = 128 + exit.signal;
  container.report.state = InstanceState::kExited;
  container.report.exit = exit;
  container.report.pid = 0;
  container.report.finished_at = clock_.Wall();
  if (exit.oom) ++container.oom_kills;
}

void FakeEngine::CountOomKill(const std::string& id) {
  MutexLock lock(&mu_);
  auto it = world_.find(id);
  if (it != world_.end()) ++it->second.oom_kills;
}

bool FakeEngine::Exit(const std::string& id, ExitInfo exit) {
  {
    MutexLock lock(&mu_);
    auto it = world_.find(id);
    if (it == world_.end() || it->second.report.state != InstanceState::kRunning) return false;
    history_.push_front(world_);
    if (history_.size() > kHistory) history_.pop_back();
    EndProcess(it->second, exit);
    Changed(id);
  }
  Notify(id);
  return true;
}

bool FakeEngine::Vanish(const std::string& id) {
  {
    MutexLock lock(&mu_);
    if (!world_.contains(id)) return false;
    history_.push_front(world_);
    if (history_.size() > kHistory) history_.pop_back();
    world_.erase(id);
    Changed(id);
  }
  Notify(id);
  return true;
}

void FakeEngine::Reboot() {
  {
    MutexLock lock(&mu_);
    history_.clear();
    for (auto& [id, container] : world_) {
      if (container.report.state == InstanceState::kRunning) EndProcess(container, {.code = 137, .signal = SIGKILL});
    }
    Changed("");
  }
  Notify("");
}

void FakeEngine::AddForeign(const std::string& name) {
  MutexLock lock(&mu_);
  foreign_.insert(name);
}

bool FakeEngine::HasForeign(const std::string& name) const {
  MutexLock lock(&mu_);
  return foreign_.contains(name);
}

void FakeEngine::SetDown(bool down) {
  {
    MutexLock lock(&mu_);
    down_ = down;
    changed_.NotifyAll();
  }
  Notify("");
}

void FakeEngine::SetUnpullable(const std::string& ref, bool unpullable) {
  MutexLock lock(&mu_);
  if (unpullable) {
    unpullable_.insert(ref);
  } else {
    unpullable_.erase(ref);
  }
}

void FakeEngine::SetListener(std::function<void(const std::string&)> changed) {
  MutexLock lock(&mu_);
  listener_ = std::move(changed);
}

std::vector<FakeContainer> FakeEngine::Containers() const {
  MutexLock lock(&mu_);
  std::vector<FakeContainer> all;
  all.reserve(world_.size());
  for (const auto& [id, container] : world_) all.push_back(container);
  return all;
}

std::optional<FakeContainer> FakeEngine::Find(const std::string& id) const {
  MutexLock lock(&mu_);
  auto it = world_.find(id);
  if (it == world_.end()) return std::nullopt;
  return it->second;
}

std::set<std::string> FakeEngine::Artifacts() const {
  MutexLock lock(&mu_);
  return {pulled_.begin(), pulled_.end()};
}

uint64_t FakeEngine::changes() const {
  MutexLock lock(&mu_);
  return sequence_;
}

Duration FakeEngine::last_grace() const {
  MutexLock lock(&mu_);
  return last_grace_;
}

// --- the runtime ---

void FakeRuntime::SetFaultHook(FakeFaultHook hook) {
  MutexLock lock(&mu_);
  hook_ = std::move(hook);
}

void FakeRuntime::SetStaleChanges(int changes) {
  MutexLock lock(&mu_);
  options_.stale_changes = changes;
}

Status FakeRuntime::Verb(std::string_view verb, const std::string& id, Deadline deadline,
                         const std::function<Status()>& effect) {
  FakeFaultHook hook;
  {
    MutexLock lock(&mu_);
    hook = hook_;
  }
  const std::string what = std::string(verb) + " " + id;
  if (deadline.Expired()) return DeadlineExceeded(what + ": the deadline has passed");
  const FakeFault fault = hook ? hook(verb, id) : FakeFault::kNone;
  if (fault == FakeFault::kCrashBefore) throw FakeCrash{std::string(verb), id};
  if (fault == FakeFault::kFailBefore) return Unavailable(what + ": injected fault before the effect");
  {
    MutexLock lock(&engine_.mu_);
    if (engine_.down_) return Unavailable("cannot connect to the engine: connection refused");
  }
  Status status = effect();
  if (fault == FakeFault::kCrashAfter) throw FakeCrash{std::string(verb), id};
  if (fault == FakeFault::kFailAfter) return DeadlineExceeded(what + ": injected fault after the effect");
  return status;
}

FakeContainer* FakeRuntime::FindOurs(const std::string& id) {
  auto it = engine_.world_.find(id);
  return it != engine_.world_.end() && it->second.node == options_.node ? &it->second : nullptr;
}

RuntimeCheck FakeRuntime::Check(Deadline deadline) {
  Status status = Verb("Check", "", deadline, [] { return OkStatus(); });
  if (!status.ok()) return {.available = false, .reason = Message(status)};
  return {.available = true, .version = "fake"};
}

bool FakeRuntime::Supports(const ServerSpec& spec) const {
  if (std::holds_alternative<RemoteSource>(spec.source)) return false;
  const bool image = std::holds_alternative<ImageSource>(spec.source);
  return image == (options_.kind == RuntimeKind::kDocker);
}

template <typename See>
Status FakeRuntime::Seen(std::string_view verb, const std::string& id, Deadline deadline, See see) {
  size_t stale = 0;
  {
    MutexLock lock(&mu_);
    stale = static_cast<size_t>(std::max(0, options_.stale_changes));
  }
  return Verb(verb, id, deadline, [&] {
    MutexLock lock(&engine_.mu_);
    const size_t back = std::min(stale, engine_.history_.size());
    see(back == 0 ? engine_.world_ : engine_.history_[back - 1]);
    return OkStatus();
  });
}

StatusOr<std::vector<InstanceReport>> FakeRuntime::List(Deadline deadline) {
  std::vector<InstanceReport> reports;
  RETURN_IF_ERROR(Seen("List", "", deadline, [&](const FakeEngine::World& world) {
    for (const auto& [id, container] : world) {
      if (container.node == options_.node) reports.push_back(container.report);
    }
  }));
  return reports;
}

StatusOr<std::optional<InstanceReport>> FakeRuntime::Look(const std::string& id, Deadline deadline) {
  if (!IsInstanceId(id)) return InvalidArgument("malformed instance id");
  std::optional<InstanceReport> report;
  RETURN_IF_ERROR(Seen("Look", id, deadline, [&](const FakeEngine::World& world) {
    const auto it = world.find(id);
    if (it != world.end() && it->second.node == options_.node) report = it->second.report;
  }));
  return report;
}

StatusOr<Artifact> FakeRuntime::Pull(const ServerSpec& spec, std::function<void(const PullProgress&)> progress,
                                     Deadline deadline) {
  return PullAs({}, spec, std::move(progress), deadline);
}

StatusOr<Artifact> FakeRuntime::PullIt(const ServerSpec& spec, std::function<void(const PullProgress&)> progress,
                                       Deadline deadline) {
  const std::string source = SourceName(spec);
  if (!Supports(spec)) return InvalidArgument("source: this runtime can't run it");
  Artifact artifact{.digest = "sha256:" + Sha256Hex(source), .entrypoint = {"/server"}};
  RETURN_IF_ERROR(Verb("Pull", source, deadline, [&] {
    MutexLock lock(&engine_.mu_);
    const auto* image = std::get_if<ImageSource>(&spec.source);
    const bool present = engine_.artifacts_.contains(artifact.digest);
    if (present && !(image && image->pull_policy == PullPolicy::kAlways)) return OkStatus();
    if (image && image->pull_policy == PullPolicy::kNever) return NotFound("image " + source + " is not on this node");
    if (engine_.unpullable_.contains(source)) return NotFound(source + ": not found in its registry");
    engine_.artifacts_[artifact.digest] = source;
    if (!present) engine_.pulled_.push_back(artifact.digest);
    return OkStatus();
  }));
  if (progress) progress({.done_bytes = kArtifactBytes, .total_bytes = kArtifactBytes, .phase = "downloading"});
  return artifact;
}

void FakeRuntime::SetWhyNoSecrets(std::string why) {
  MutexLock lock(&mu_);
  why_no_secrets_ = std::move(why);
}

void FakeRuntime::RequirePassword(std::string password) {
  MutexLock lock(&mu_);
  password_ = std::move(password);
}

std::string FakeRuntime::WhyNoSecrets(const ServerSpec&) const {
  MutexLock lock(&mu_);
  return why_no_secrets_;
}

StatusOr<Artifact> FakeRuntime::PullAs(const RegistryCredentials& credentials, const ServerSpec& spec,
                                       std::function<void(const PullProgress&)> progress, Deadline deadline) {
  {
    MutexLock lock(&mu_);
    if (credentials.password.view() != password_) return PermissionDenied("the registry refuses");
  }
  return PullIt(spec, std::move(progress), deadline);
}

Status FakeRuntime::Create(const InstanceSpec& spec, Deadline deadline) {
  if (!ValidId(spec.id)) return InvalidArgument("instance id \"" + Printable(spec.id) + "\" is malformed");
  Status status = Verb("Create", spec.id, deadline, [&] {
    MutexLock lock(&engine_.mu_);
    if (auto it = engine_.world_.find(spec.id); it != engine_.world_.end()) {
      if (it->second.node == options_.node) return OkStatus();
      return AlreadyExists("instance " + spec.id + " belongs to another node's agent on this engine");
    }
    if (!engine_.artifacts_.contains(spec.artifact.digest)) {
      return NotFound("no such image: " + SourceName(spec.spec) + "; pull it first");
    }
    engine_.history_.push_front(engine_.world_);
    if (engine_.history_.size() > kHistory) engine_.history_.pop_back();
    FakeContainer container;
    container.node = options_.node;
    container.program = engine_.program_ ? engine_.program_(spec) : FakeProgram{};
    container.report = {.id = spec.id,
                        .runtime = options_.kind,
                        .server = spec.server,
                        .uid = spec.uid,
                        .generation = spec.generation,
                        .revision = spec.revision,
                        .state = InstanceState::kCreated,
                        .artifact_digest = spec.artifact.digest,
                        .created_at = engine_.clock_.Wall()};
    engine_.world_.emplace(spec.id, std::move(container));
    engine_.Changed(spec.id);
    return OkStatus();
  });
  if (status.ok()) engine_.Notify(spec.id);
  return status;
}

Status FakeRuntime::Start(const std::string& id, Deadline deadline) {
  Status status = Verb("Start", id, deadline, [&] {
    MutexLock lock(&engine_.mu_);
    FakeContainer* container = FindOurs(id);
    if (container == nullptr) return NotFound("no such instance: " + id);
    if (container->report.state == InstanceState::kRunning) return OkStatus();
    if (!container->program.start_error.empty())
      return FailedPrecondition("start " + id + ": " + container->program.start_error);
    engine_.history_.push_front(engine_.world_);
    if (engine_.history_.size() > kHistory) engine_.history_.pop_back();
    InstanceReport& report = container->report;
    report.state = InstanceState::kRunning;
    report.exit.reset();
    report.pid = engine_.next_pid_++;
    report.started_at = engine_.clock_.Wall();
    report.finished_at = {};
    container->previous_lines = std::move(container->lines);
    container->lines.clear();
    for (const auto& line : container->program.lines) container->lines.emplace_back(report.started_at, line);
    ++container->starts;
    if (container->program.exits) engine_.EndProcess(*container, *container->program.exits);
    engine_.Changed(id);
    return OkStatus();
  });
  if (status.ok()) engine_.Notify(id);
  return status;
}

Status FakeRuntime::Stop(const std::string& id, Duration grace, Deadline deadline) {
  Status status = Verb("Stop", id, deadline, [&] {
    MutexLock lock(&engine_.mu_);
    FakeContainer* container = FindOurs(id);
    if (container == nullptr || container->report.state != InstanceState::kRunning) return OkStatus();
    engine_.last_grace_ = grace;
    engine_.history_.push_front(engine_.world_);
    if (engine_.history_.size() > kHistory) engine_.history_.pop_back();
    engine_.EndProcess(*container,
                       container->program.ignores_term ? ExitInfo{.code = 137, .signal = SIGKILL} : ExitInfo{});
    engine_.Changed(id);
    return OkStatus();
  });
  if (status.ok()) engine_.Notify(id);
  return status;
}

Status FakeRuntime::Remove(const std::string& id, Deadline deadline) {
  Status status = Verb("Remove", id, deadline, [&] {
    MutexLock lock(&engine_.mu_);
    if (FindOurs(id) == nullptr) return OkStatus();
    engine_.history_.push_front(engine_.world_);
    if (engine_.history_.size() > kHistory) engine_.history_.pop_back();
    engine_.world_.erase(id);
    engine_.Changed(id);
    return OkStatus();
  });
  if (status.ok()) engine_.Notify(id);
  return status;
}

Status FakeRuntime::WatchEvents(std::function<void(const std::string& id)> changed, std::stop_token stop,
                                Deadline deadline) {
  uint64_t seen = engine_.changes();
  const std::stop_callback wake(stop, [this] {
    MutexLock lock(&engine_.mu_);
    engine_.changed_.NotifyAll();
  });
  changed("");
  while (!stop.stop_requested()) {
    std::vector<std::string> fresh;
    {
      MutexLock lock(&engine_.mu_);
      if (engine_.sequence_ == seen && !engine_.down_ && !stop.stop_requested()) {
        engine_.changed_.WaitUntil(&engine_.mu_, deadline);
      }
      if (engine_.down_) return Unavailable("the event stream broke");
      for (const auto& [sequence, id] : engine_.events_) {
        if (sequence <= seen) continue;
        auto it = engine_.world_.find(id);
        if (it == engine_.world_.end() || it->second.node == options_.node) fresh.push_back(id);
      }
      seen = engine_.sequence_;
    }
    for (const auto& id : fresh) changed(id);
    if (deadline.Expired()) return DeadlineExceeded("the watch has reached its deadline");
  }
  return OkStatus();
}

StatusOr<std::vector<InstanceUsage>> FakeRuntime::Usage(Deadline deadline) {
  std::vector<InstanceUsage> usage;
  RETURN_IF_ERROR(Verb("Usage", "", deadline, [&] {
    MutexLock lock(&engine_.mu_);
    for (const auto& [id, container] : engine_.world_) {
      if (container.node != options_.node || container.report.state != InstanceState::kRunning) continue;
      const double ran = std::chrono::duration<double>(engine_.clock_.Wall() - container.report.started_at).count();
      usage.push_back({.id = id,
                       .memory_bytes = container.program.memory_bytes,
                       .cpu_seconds = 0.001 + ran / 100,
                       .oom_kills = container.oom_kills});
    }
    return OkStatus();
  }));
  return usage;
}

Status FakeRuntime::Logs(const std::string& id, const LogOptions& options, std::function<bool(std::string_view)> sink,
                         Deadline deadline) {
  bool first = true;
  size_t sent = 0;
  for (;;) {
    std::vector<std::string> fresh;
    bool running = false;
    RETURN_IF_ERROR(Verb("Logs", id, deadline, [&] {
      MutexLock lock(&engine_.mu_);
      FakeContainer* container = FindOurs(id);
      if (container == nullptr) return NotFound("no such instance: " + id);
      running = container->report.state == InstanceState::kRunning;
      const auto& lines = options.previous ? container->previous_lines : container->lines;
      size_t begin = sent;
      if (first && options.tail_lines >= 0)
        begin = lines.size() - std::min(lines.size(), static_cast<size_t>(options.tail_lines));
      for (size_t i = begin; i < lines.size(); ++i) {
        if (!options.since || lines[i].first >= *options.since) fresh.push_back(LogLine(lines[i]));
      }
      sent = lines.size();
      return OkStatus();
    }));
    first = false;
    for (const auto& line : fresh) {
      if (!sink(line)) return OkStatus();
    }
    if (!options.follow || !running) return OkStatus();
    MutexLock lock(&engine_.mu_);
    engine_.changed_.WaitUntil(&engine_.mu_, deadline.AtMost(std::chrono::milliseconds(20)));
  }
}

StatusOr<int64_t> FakeRuntime::ArtifactBytes(Deadline) {
  MutexLock lock(&engine_.mu_);
  if (engine_.down_) return Unavailable("the engine is down");
  return static_cast<int64_t>(engine_.pulled_.size()) * kArtifactBytes;
}

Status FakeRuntime::CollectArtifacts(const std::vector<std::string>& keep, int64_t quota_bytes, Deadline deadline) {
  return Verb("CollectArtifacts", "", deadline, [&] {
    MutexLock lock(&engine_.mu_);
    auto& pulled = engine_.pulled_;
    for (size_t i = 0; i < pulled.size() && static_cast<int64_t>(pulled.size()) * kArtifactBytes > quota_bytes;) {
      const std::string digest = pulled[i];
      const bool used = std::any_of(engine_.world_.begin(), engine_.world_.end(),
                                    [&](const auto& entry) { return entry.second.report.artifact_digest == digest; });
      if (used || std::find(keep.begin(), keep.end(), digest) != keep.end()) {
        ++i;
        continue;
      }
      engine_.artifacts_.erase(digest);
      pulled.erase(pulled.begin() + static_cast<std::ptrdiff_t>(i));
    }
    return OkStatus();
  });
}

}  // namespace mcpfleet
