#include "tests/contract/runtime_contract.h"

#include <poll.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <set>
#include <thread>

namespace mcpfleet {

std::string ContainerScript(Payload payload) {
  // The first process of a container gets no default action for signals: it has to ask for them.
  const std::string run = "trap 'exit 0' TERM; while :; do sleep 0.05; done";
  switch (payload) {
    case Payload::kRunsUntilStopped:
      return run;
    case Payload::kExitsWith3:
      return "exit 3";
    case Payload::kKillsItself:
      return "exit 137";  // nothing inside can kill the first process; engines report 128+9 for both
    case Payload::kIgnoresTerm:
      return "trap '' TERM; while :; do sleep 0.05; done";
    case Payload::kPrintsLines:
      return "for i in 1 2 3 4 5; do echo line $i >&2; done; " + run;
  }
  return "";
}

InstanceSpec ContainerSpec(ContainerRuntime& puller, const std::string& image, const std::string& id, Payload payload) {
  InstanceSpec spec{.id = id, .server = {"default", "weather"}, .uid = "u-1", .generation = 7, .revision = "r1"};
  spec.spec.source = ImageSource{.ref = image, .pull_policy = PullPolicy::kNever};
  spec.spec.args = {"sh", "-c", ContainerScript(payload)};
  const StatusOr<Artifact> artifact = puller.Pull(spec.spec, nullptr, Deadline::After(std::chrono::seconds(30)));
  EXPECT_TRUE(artifact.ok()) << artifact.status();
  if (artifact.ok()) spec.artifact = *artifact;
  return spec;
}

using std::chrono::milliseconds;
using std::chrono::seconds;

#define SPEC_OR_SKIP(spec, name, payload)                                   \
  std::optional<InstanceSpec> spec##_or = world_->Spec(Id(name), payload);  \
  if (!spec##_or) GTEST_SKIP() << "this runtime has no such first process"; \
  const InstanceSpec spec = *spec##_or

void RuntimeContract::SetUp() {
  static std::atomic<int> serial{0};
  serial_ = std::to_string(getpid()) + "-" + std::to_string(++serial);
  std::string why_not;
  world_ = GetParam().make(&why_not);
  if (world_ == nullptr) GTEST_SKIP() << why_not;
  runtime_ = world_->Open(Node("a"));
  ASSERT_NE(runtime_, nullptr);
}

void RuntimeContract::TearDown() {
  for (const auto& [node, id] : made_) {
    const Status removed = world_->Open(node)->Remove(id, Soon());
    EXPECT_TRUE(removed.ok()) << removed;
  }
}

std::string RuntimeContract::Id(const std::string& name) {
  std::string id = name + "-" + serial_;
  made_.emplace_back(Node("a"), id);
  return id;
}

std::string RuntimeContract::Node(const std::string& name) { return "node-" + name + "-" + serial_; }

Status RuntimeContract::Run(ContainerRuntime& runtime, const InstanceSpec& spec) {
  RETURN_IF_ERROR(runtime.Create(spec, Soon()));
  return runtime.Start(spec.id, Soon());
}

namespace {

std::optional<InstanceReport> Listed(ContainerRuntime& runtime, const std::string& id, Deadline deadline) {
  StatusOr<std::vector<InstanceReport>> list = runtime.List(deadline);
  EXPECT_TRUE(list.ok()) << list.status();
  if (!list.ok()) return std::nullopt;
  for (const InstanceReport& report : *list) {
    if (report.id == id) return report;
  }
  return std::nullopt;
}

// All of a report, but when it was created: a list may tell that in whole seconds.
std::string Text(const std::optional<InstanceReport>& report) {
  if (!report) return "none";
  std::string text = report->id + " of " + ToString(report->server) + " " + report->uid + " generation " +
                     std::to_string(report->generation) + " revision " + report->revision + " " +
                     std::string(ToString(report->runtime)) + " " + std::string(ToString(report->state)) + " pid " +
                     std::to_string(report->pid) + " of " + report->artifact_digest + " started " +
                     FormatTime(report->started_at) + " finished " + FormatTime(report->finished_at) + " attached " +
                     report->attached + " unenforced " + report->unenforced + (report->shim ? "" : " no shim");
  if (report->exit) {
    text += " code " + std::to_string(report->exit->code) + " signal " + std::to_string(report->exit->signal) +
            (report->exit->oom ? " oom" : "");
  }
  return text;
}

// The log once it has a line that ends so; a failure when it never has.
std::string AwaitLine(ContainerRuntime& runtime, const std::string& id, const std::string& end) {
  std::string log;
  for (const Deadline deadline = Deadline::After(std::chrono::seconds(60)); !deadline.Expired();) {
    log.clear();
    const Status read = runtime.Logs(
        id, {.tail_lines = 100}, [&](std::string_view line) { return log += line, true; }, deadline);
    if (read.ok() && log.ends_with(" " + end + "\n")) return log;
    poll(nullptr, 0, 20);
  }
  ADD_FAILURE() << id << " never said \"" << end << "\":\n" << log;
  return log;
}

}  // namespace

std::optional<InstanceReport> RuntimeContract::Find(ContainerRuntime& runtime, const std::string& id) {
  // A look tells what a list tells. When something happened between two lists, a look in between proves nothing.
  for (const Deadline deadline = Soon(); !deadline.Expired();) {
    const std::optional<InstanceReport> before = Listed(runtime, id, Soon());
    StatusOr<std::optional<InstanceReport>> look = runtime.Look(id, Soon());
    const std::optional<InstanceReport> after = Listed(runtime, id, Soon());
    if (Text(before) != Text(after)) continue;
    EXPECT_TRUE(look.ok()) << look.status();
    if (look.ok()) EXPECT_EQ(Text(*look), Text(after));
    if (look.ok() && *look && after) EXPECT_LT((*look)->created_at - after->created_at, seconds(1));
    return after;
  }
  ADD_FAILURE() << id << " changes all the time";
  return std::nullopt;
}

std::optional<InstanceReport> RuntimeContract::Await(ContainerRuntime& runtime, const std::string& id,
                                                     InstanceState state) {
  const Deadline deadline = Soon();
  while (!deadline.Expired()) {
    std::optional<InstanceReport> report = Find(runtime, id);
    if (report && report->state == state) return report;
    poll(nullptr, 0, 20);
  }
  ADD_FAILURE() << id << " never became " << ToString(state);
  return std::nullopt;
}

TEST_P(RuntimeContract, ItIsAvailableHere) {
  const RuntimeCheck check = runtime_->Check(Soon());
  EXPECT_TRUE(check.available) << check.reason;
  EXPECT_FALSE(check.version.empty());
}

TEST_P(RuntimeContract, ANewInstanceIsCreatedThenRunsThenIsGone) {
  SPEC_OR_SKIP(spec, "life", Payload::kRunsUntilStopped);
  ASSERT_TRUE(runtime_->Create(spec, Soon()).ok());
  std::optional<InstanceReport> created = Find(*runtime_, spec.id);
  ASSERT_TRUE(created);
  EXPECT_EQ(created->state, InstanceState::kCreated);
  EXPECT_EQ(created->pid, 0);
  ASSERT_TRUE(runtime_->Start(spec.id, Soon()).ok());
  std::optional<InstanceReport> running = Await(*runtime_, spec.id, InstanceState::kRunning);
  ASSERT_TRUE(running);
  EXPECT_GT(running->pid, 0);
  EXPECT_FALSE(running->exit);
  EXPECT_GE(running->started_at, running->created_at);
  ASSERT_TRUE(runtime_->Stop(spec.id, seconds(10), Soon()).ok());
  std::optional<InstanceReport> exited = Await(*runtime_, spec.id, InstanceState::kExited);
  ASSERT_TRUE(exited);
  EXPECT_TRUE(exited->exit);
  EXPECT_EQ(exited->pid, 0);
  EXPECT_GE(exited->finished_at, running->started_at);
  ASSERT_TRUE(runtime_->Remove(spec.id, Soon()).ok());
  EXPECT_FALSE(Find(*runtime_, spec.id));
}

TEST_P(RuntimeContract, AListTellsAllThatTheSpecSaidOfItsServer) {
  SPEC_OR_SKIP(spec, "labels", Payload::kRunsUntilStopped);
  ASSERT_TRUE(Run(*runtime_, spec).ok());
  // Another runtime over the same engine: as after a restart of the agent.
  std::unique_ptr<ContainerRuntime> next = world_->Open(Node("a"));
  std::optional<InstanceReport> report = Find(*next, spec.id);
  ASSERT_TRUE(report);
  EXPECT_EQ(report->server, spec.server);
  EXPECT_EQ(report->uid, spec.uid);
  EXPECT_EQ(report->generation, spec.generation);
  EXPECT_EQ(report->revision, spec.revision);
  EXPECT_EQ(report->artifact_digest, spec.artifact.digest);
  EXPECT_EQ(report->runtime, runtime_->kind());
}

TEST_P(RuntimeContract, EachVerbTwiceIsTheSameAsOnce) {
  SPEC_OR_SKIP(spec, "twice", Payload::kRunsUntilStopped);
  EXPECT_TRUE(runtime_->Create(spec, Soon()).ok());
  EXPECT_TRUE(runtime_->Create(spec, Soon()).ok());
  EXPECT_TRUE(runtime_->Start(spec.id, Soon()).ok());
  const std::optional<InstanceReport> before = Await(*runtime_, spec.id, InstanceState::kRunning);
  EXPECT_TRUE(runtime_->Start(spec.id, Soon()).ok());
  EXPECT_TRUE(runtime_->Create(spec, Soon()).ok());
  const std::optional<InstanceReport> after = Await(*runtime_, spec.id, InstanceState::kRunning);
  ASSERT_TRUE(before && after);
  EXPECT_EQ(before->pid, after->pid) << "starting what runs restarted it";
  EXPECT_TRUE(runtime_->Stop(spec.id, seconds(10), Soon()).ok());
  EXPECT_TRUE(runtime_->Stop(spec.id, seconds(10), Soon()).ok());
  EXPECT_TRUE(runtime_->Remove(spec.id, Soon()).ok());
  EXPECT_TRUE(runtime_->Remove(spec.id, Soon()).ok());
}

TEST_P(RuntimeContract, WhatWasNeverThereCannotStartAndIsAlreadyStoppedAndRemoved) {
  EXPECT_EQ(runtime_->Start("never-" + serial_, Soon()).code(), StatusCode::kNotFound);
  EXPECT_TRUE(runtime_->Stop("never-" + serial_, seconds(1), Soon()).ok());
  EXPECT_TRUE(runtime_->Remove("never-" + serial_, Soon()).ok());
  EXPECT_EQ(runtime_
                ->Logs(
                    "never-" + serial_, {}, [](std::string_view) { return true; }, Soon())
                .code(),
            StatusCode::kNotFound);
}

TEST_P(RuntimeContract, AMalformedIdIsRefused) {
  SPEC_OR_SKIP(good, "fine", Payload::kRunsUntilStopped);
  for (const std::string& id :
       {std::string(), std::string("a/../b"), std::string("Upper"), std::string(41, 'x'), std::string("a b")}) {
    InstanceSpec spec = good;
    spec.id = id;
    EXPECT_EQ(runtime_->Create(spec, Soon()).code(), StatusCode::kInvalidArgument) << id;
  }
}

TEST_P(RuntimeContract, RemovingARunningInstanceEndsIt) {
  SPEC_OR_SKIP(spec, "force", Payload::kRunsUntilStopped);
  ASSERT_TRUE(Run(*runtime_, spec).ok());
  ASSERT_TRUE(Await(*runtime_, spec.id, InstanceState::kRunning));
  ASSERT_TRUE(runtime_->Remove(spec.id, Soon()).ok());
  EXPECT_FALSE(Find(*runtime_, spec.id));
}

TEST_P(RuntimeContract, AnExitCodeIsReported) {
  SPEC_OR_SKIP(spec, "exit3", Payload::kExitsWith3);
  ASSERT_TRUE(Run(*runtime_, spec).ok());
  const std::optional<InstanceReport> report = Await(*runtime_, spec.id, InstanceState::kExited);
  ASSERT_TRUE(report && report->exit);
  EXPECT_EQ(report->exit->code, 3);
  EXPECT_EQ(report->exit->signal, 0);
  EXPECT_FALSE(report->exit->oom);
}

TEST_P(RuntimeContract, ADeathBySignalIsReportedAsThatSignal) {
  SPEC_OR_SKIP(spec, "killed", Payload::kKillsItself);
  ASSERT_TRUE(Run(*runtime_, spec).ok());
  const std::optional<InstanceReport> report = Await(*runtime_, spec.id, InstanceState::kExited);
  ASSERT_TRUE(report && report->exit);
  EXPECT_EQ(report->exit->signal, SIGKILL);
  EXPECT_EQ(report->exit->code, 128 + SIGKILL);
}

TEST_P(RuntimeContract, AnExitedInstanceCanRunAgain) {
  SPEC_OR_SKIP(spec, "again", Payload::kRunsUntilStopped);
  ASSERT_TRUE(Run(*runtime_, spec).ok());
  ASSERT_TRUE(Await(*runtime_, spec.id, InstanceState::kRunning));
  ASSERT_TRUE(runtime_->Stop(spec.id, seconds(10), Soon()).ok());
  ASSERT_TRUE(Await(*runtime_, spec.id, InstanceState::kExited));
  ASSERT_TRUE(runtime_->Start(spec.id, Soon()).ok());
  const std::optional<InstanceReport> report = Await(*runtime_, spec.id, InstanceState::kRunning);
  ASSERT_TRUE(report);
  EXPECT_FALSE(report->exit);
}

TEST_P(RuntimeContract, AProcessThatIgnoresSigtermIsKilledAfterItsGrace) {
  SPEC_OR_SKIP(spec, "stubborn", Payload::kIgnoresTerm);
  ASSERT_TRUE(Run(*runtime_, spec).ok());
  ASSERT_TRUE(Await(*runtime_, spec.id, InstanceState::kRunning));
  const Deadline quick = Deadline::After(seconds(20));
  ASSERT_TRUE(runtime_->Stop(spec.id, seconds(1), Soon()).ok());
  EXPECT_FALSE(quick.Expired());
  const std::optional<InstanceReport> report = Await(*runtime_, spec.id, InstanceState::kExited);
  ASSERT_TRUE(report && report->exit);
  EXPECT_EQ(report->exit->signal, SIGKILL);
}

TEST_P(RuntimeContract, TwoNodesOnOneEngineDoNotSeeEachOther) {
  SPEC_OR_SKIP(spec, "mine", Payload::kRunsUntilStopped);
  ASSERT_TRUE(Run(*runtime_, spec).ok());
  std::unique_ptr<ContainerRuntime> other = world_->Open(Node("b"));
  EXPECT_FALSE(Find(*other, spec.id));
  EXPECT_EQ(other->Start(spec.id, Soon()).code(), StatusCode::kNotFound);
  EXPECT_TRUE(other->Stop(spec.id, seconds(1), Soon()).ok());
  EXPECT_TRUE(other->Remove(spec.id, Soon()).ok());
  const std::optional<InstanceReport> report = Find(*runtime_, spec.id);
  ASSERT_TRUE(report) << "the other node removed it";
  EXPECT_EQ(report->state, InstanceState::kRunning) << "the other node stopped it";
}

TEST_P(RuntimeContract, WhatCarriesNoLabelOfOursIsNeverListedNorTouched) {
  const std::string name = "foreign-" + serial_;
  if (!world_->AddForeign(name)) GTEST_SKIP() << "nothing foreign can be beside this runtime";
  const std::vector<InstanceReport> listed = runtime_->List(Soon()).value();
  for (const InstanceReport& report : listed) EXPECT_NE(report.id, name);
  const StatusOr<std::optional<InstanceReport>> look = runtime_->Look(name, Soon());
  ASSERT_TRUE(look.ok()) << look.status();
  EXPECT_FALSE(*look);
  EXPECT_TRUE(runtime_->Stop(name, seconds(1), Soon()).ok());
  EXPECT_TRUE(runtime_->Remove(name, Soon()).ok());
  EXPECT_TRUE(world_->ForeignRuns(name));
}

TEST_P(RuntimeContract, AChangeWakesTheWatcher) {
  SPEC_OR_SKIP(spec, "event", Payload::kRunsUntilStopped);
  ASSERT_TRUE(runtime_->Create(spec, Soon()).ok());
  std::stop_source stop;
  std::atomic<bool> ready{false}, seen{false};
  Status watched;
  std::thread watcher([&] {
    watched = runtime_->WatchEvents(
        [&](const std::string& id) {
          if (id == spec.id || (id.empty() && ready)) seen = true;
          ready = true;
        },
        stop.get_token(), Soon());
  });
  const Deadline deadline = Soon();
  while (!ready && !deadline.Expired()) poll(nullptr, 0, 5);
  EXPECT_TRUE(runtime_->Start(spec.id, Soon()).ok());
  while (!seen && !deadline.Expired()) poll(nullptr, 0, 5);
  stop.request_stop();
  watcher.join();
  EXPECT_TRUE(seen);
  EXPECT_TRUE(watched.ok()) << watched;
}

TEST_P(RuntimeContract, AWatchEndsAtItsDeadline) {
  const Status status =
      runtime_->WatchEvents([](const std::string&) {}, std::stop_token(), Deadline::After(milliseconds(300)));
  EXPECT_EQ(status.code(), StatusCode::kDeadlineExceeded) << status;
}

TEST_P(RuntimeContract, TheLogsTailGivesTheLastLinesWithTheirTimes) {
  SPEC_OR_SKIP(spec, "logs", Payload::kPrintsLines);
  ASSERT_TRUE(Run(*runtime_, spec).ok());
  std::vector<std::string> lines;
  const Deadline deadline = Soon();
  // Output reaches the log a moment after it was written.
  while (!deadline.Expired()) {
    lines.clear();
    ASSERT_TRUE(runtime_
                    ->Logs(
                        spec.id, {.tail_lines = 2},
                        [&](std::string_view line) { return lines.emplace_back(line), true; }, Soon())
                    .ok());
    if (lines.size() == 2 && lines.back().ends_with("line 5\n")) break;
    poll(nullptr, 0, 20);
  }
  ASSERT_EQ(lines.size(), 2U);
  EXPECT_TRUE(lines[0].ends_with(" line 4\n")) << lines[0];
  EXPECT_TRUE(lines[1].ends_with(" line 5\n")) << lines[1];
  EXPECT_TRUE(ParseTime(lines[0].substr(0, lines[0].find(' '))).ok()) << lines[0];
}

// Of <linux/capability.h>.
constexpr std::pair<const char*, int> kCapabilities[] = {
    {"KILL", 5}, {"NET_BIND_SERVICE", 10}, {"NET_ADMIN", 12}, {"NET_RAW", 13}};

// What the kernel says of the first process, and whether it lets it make a user namespace, which needs no capability:
// only seccomp refuses that.
constexpr char kLookInside[] =
    "grep -E '^(CapPrm|CapEff|CapBnd|NoNewPrivs|Seccomp):' /proc/self/status | tr '\\t' ' ' >&2; "
    "unshare -U true 2>/dev/null && echo unshared >&2 || echo refused >&2; echo done >&2; ";

TEST_P(RuntimeContract, CapabilitiesAreThoseThatAreAddedAndTheKernelHoldsTheRestOfTheSandbox) {
  if (!world_->RunsBusybox()) GTEST_SKIP() << "nothing can look around in this runtime's instances";
  SPEC_OR_SKIP(base, "look", Payload::kRunsUntilStopped);
  std::vector<std::pair<std::string, uint64_t>> cases = {{"", 0}};
  for (const auto& [name, bit] : kCapabilities) cases.emplace_back(name, uint64_t{1} << bit);
  for (const int64_t user : {int64_t{0}, int64_t{10001}}) {
    for (const auto& [name, bits] : cases) {
      if (user != 0 && bits != 0 && !world_->GivesCapabilitiesToAll()) continue;  // the test below
      InstanceSpec spec = base;
      spec.id = Id("look-" + std::to_string(user) + "-" + std::to_string(bits));
      spec.spec.args = {"sh", "-c", kLookInside + ContainerScript(Payload::kRunsUntilStopped)};
      spec.spec.security.run_as_user = user;
      if (!name.empty()) spec.spec.security.add_capabilities = {name};
      const Status run = Run(*runtime_, spec);
      ASSERT_TRUE(run.ok()) << run;
      const std::string log = AwaitLine(*runtime_, spec.id, "done");
      char set[32];
      snprintf(set, sizeof set, "%016llx", static_cast<unsigned long long>(bits));
      for (const std::string& line :
           {"CapPrm: " + std::string(set), "CapEff: " + std::string(set), "CapBnd: " + std::string(set),
            std::string("NoNewPrivs: 1"), std::string("Seccomp: 2"), std::string("refused")})
        EXPECT_NE(log.find(" " + line + "\n"), std::string::npos)
            << "user " << user << " with \"" << name << "\": no \"" << line << "\" in:\n"
            << log;
    }
  }
}

TEST_P(RuntimeContract, ACapabilityThatItsUserWouldNotHaveIsRefusedWhenItIsRequired) {
  if (!world_->RunsBusybox()) GTEST_SKIP() << "nothing can look around in this runtime's instances";
  if (world_->GivesCapabilitiesToAll()) GTEST_SKIP() << "every user can be given capabilities here";
  SPEC_OR_SKIP(base, "refused", Payload::kRunsUntilStopped);
  InstanceSpec spec = base;
  spec.spec.security.run_as_user = 10001;
  spec.spec.security.add_capabilities = {"NET_ADMIN"};
  const Status refused = runtime_->Create(spec, Soon());
  EXPECT_EQ(refused.code(), StatusCode::kFailedPrecondition) << refused;
  EXPECT_NE(Message(refused).find("runAsUser"), std::string::npos) << refused;
  spec.spec.security.enforcement = Enforcement::kBestEffort;
  ASSERT_TRUE(Run(*runtime_, spec).ok());
  EXPECT_NE(Find(*runtime_, spec.id)->unenforced.find("NET_ADMIN"), std::string::npos);
}

TEST_P(RuntimeContract, ASinkThatSaysNoEndsFollowedLogs) {
  SPEC_OR_SKIP(spec, "follow", Payload::kPrintsLines);
  ASSERT_TRUE(Run(*runtime_, spec).ok());
  int lines = 0;
  EXPECT_TRUE(runtime_
                  ->Logs(
                      spec.id, {.follow = true}, [&](std::string_view) { return ++lines < 3; }, Soon())
                  .ok());
  EXPECT_EQ(lines, 3);
}

TEST_P(RuntimeContract, ARunningInstanceUsesMemory) {
  SPEC_OR_SKIP(spec, "usage", Payload::kRunsUntilStopped);
  ASSERT_TRUE(Run(*runtime_, spec).ok());
  ASSERT_TRUE(Await(*runtime_, spec.id, InstanceState::kRunning));
  StatusOr<std::vector<InstanceUsage>> usage = runtime_->Usage(Soon());
  ASSERT_TRUE(usage.ok()) << usage.status();
  ASSERT_EQ(usage->size(), 1U);
  EXPECT_EQ((*usage)[0].id, spec.id);
  EXPECT_GT((*usage)[0].memory_bytes, 0);
  EXPECT_GT((*usage)[0].cpu_seconds, 0);
}

TEST_P(RuntimeContract, AVerbWhoseDeadlineHasPassedSaysSo) {
  SPEC_OR_SKIP(spec, "late", Payload::kRunsUntilStopped);
  const Deadline past = Deadline::After(-seconds(1));
  EXPECT_EQ(runtime_->Create(spec, past).code(), StatusCode::kDeadlineExceeded);
  EXPECT_EQ(runtime_->List(past).status().code(), StatusCode::kDeadlineExceeded);
  EXPECT_EQ(runtime_->Look(spec.id, past).status().code(), StatusCode::kDeadlineExceeded);
  EXPECT_EQ(runtime_->Look("no/id", Soon()).status().code(), StatusCode::kInvalidArgument);
  EXPECT_FALSE(Find(*runtime_, spec.id));
}

TEST_P(RuntimeContract, PullingAgainGivesTheSameArtifact) {
  SPEC_OR_SKIP(spec, "pull", Payload::kRunsUntilStopped);
  StatusOr<Artifact> artifact = runtime_->Pull(spec.spec, nullptr, Soon());
  ASSERT_TRUE(artifact.ok()) << artifact.status();
  EXPECT_EQ(artifact->digest, spec.artifact.digest);
}

TEST_P(RuntimeContract, ArtifactsOutsideTheQuotaGoExceptThoseThatAreKept) {
  SPEC_OR_SKIP(spec, "gc", Payload::kRunsUntilStopped);
  ASSERT_TRUE(runtime_->CollectArtifacts({spec.artifact.digest}, 0, Soon()).ok());
  ASSERT_TRUE(runtime_->ArtifactBytes(Soon()).ok());
  EXPECT_TRUE(Run(*runtime_, spec).ok()) << "a kept artifact was removed";
}

}  // namespace mcpfleet
