#include <signal.h>
#include <sys/stat.h>

#include <thread>

#include "base/mutex.h"
#include "edge-runtime/process/instance_directory.h"
#include "tests/edge-runtime/process/process_fixture.h"

namespace mcpfleet {
namespace {

class LifecycleTest : public ProcessTest {};

TEST_F(LifecycleTest, AnInstanceIsListedWithItsLabelsInEveryState) {
  const InstanceSpec spec = Shell("weather-1", "trap 'exit 7' TERM; echo up; while true; do sleep 0.05; done");
  ASSERT_TRUE(runtime_->Create(spec, Soon()).ok());
  InstanceReport report = Report("weather-1");
  EXPECT_EQ(report.state, InstanceState::kCreated);
  EXPECT_EQ(ToString(report.server), "default/weather");
  EXPECT_EQ(report.uid, "u-1");
  EXPECT_EQ(report.generation, 3);
  EXPECT_EQ(report.revision, "r-1");
  EXPECT_EQ(report.artifact_digest, "sha256:0");
  EXPECT_NE(report.created_at, WallTime{});
  EXPECT_EQ(report.pid, 0);

  ASSERT_TRUE(runtime_->Start("weather-1", Soon()).ok());
  report = Report("weather-1");
  EXPECT_EQ(report.state, InstanceState::kRunning);
  EXPECT_EQ(kill(report.pid, 0), 0);
  EXPECT_NE(report.started_at, WallTime{});
  ASSERT_TRUE(
      Eventually([&] { return LogText("weather-1") == "up\n"; }));  // a first process without a handler ignores SIGTERM

  ASSERT_TRUE(runtime_->Stop("weather-1", std::chrono::seconds(10), Soon()).ok());
  report = Report("weather-1");
  EXPECT_EQ(report.state, InstanceState::kExited);
  ASSERT_TRUE(report.exit.has_value());
  EXPECT_EQ(report.exit->code, 7);
  EXPECT_EQ(report.exit->signal, 0);
  EXPECT_GE(report.finished_at, report.started_at);
  EXPECT_EQ(report.revision, "r-1");

  ASSERT_TRUE(runtime_->Remove("weather-1", Soon()).ok());
  EXPECT_EQ(Report("weather-1").id, "");
}

TEST_F(LifecycleTest, EveryVerbIsIdempotent) {
  const InstanceSpec spec = Shell("a", "sleep 1000");
  EXPECT_TRUE(runtime_->Stop("a", Duration::zero(), Soon()).ok());
  EXPECT_TRUE(runtime_->Remove("a", Soon()).ok());
  EXPECT_EQ(runtime_->Start("a", Soon()).code(), StatusCode::kNotFound);
  for (int i = 0; i < 2; ++i) EXPECT_TRUE(runtime_->Create(spec, Soon()).ok());
  ASSERT_TRUE(runtime_->Start("a", Soon()).ok());
  const int pid = Report("a").pid;
  EXPECT_TRUE(runtime_->Start("a", Soon()).ok());
  EXPECT_EQ(Report("a").pid, pid);
  for (int i = 0; i < 2; ++i) EXPECT_TRUE(runtime_->Stop("a", Duration::zero(), Soon()).ok());
  for (int i = 0; i < 2; ++i) EXPECT_TRUE(runtime_->Remove("a", Soon()).ok());
}

TEST_F(LifecycleTest, WhatIgnoresSigtermIsKilledAfterTheGraceWithAllItsChildren) {
  ASSERT_TRUE(Run(Shell("a", "trap '' TERM; sleep 1000 & sleep 1000 & while true; do sleep 1000; done")).ok());
  const int pid = Report("a").pid;
  ASSERT_TRUE(runtime_->Stop("a", std::chrono::milliseconds(100), Soon()).ok());
  EXPECT_EQ(Report("a").exit->signal, SIGKILL);
  EXPECT_NE(kill(pid, 0), 0);
}

TEST_F(LifecycleTest, TheExitCodeIsKept) {
  ASSERT_TRUE(Run(Shell("a", "exit 42")).ok());
  const InstanceReport report = WaitForExit("a");
  EXPECT_EQ(report.exit->code, 42);
  EXPECT_FALSE(report.exit->oom);
}

TEST_F(LifecycleTest, AnExitedInstanceStartsAgainAndItsOldLogIsThePreviousOne) {
  ASSERT_TRUE(Run(Shell("a", "echo run; exit 1")).ok());
  WaitForExit("a");
  ASSERT_TRUE(runtime_->Start("a", Soon()).ok());
  WaitForExit("a");
  EXPECT_EQ(LogText("a"), "run\n");
  EXPECT_EQ(LogText("a", {.previous = true}), "run\n");
}

TEST_F(LifecycleTest, ARunningInstanceOutlivesTheRuntimeAndIsAdoptedByTheNext) {
  ASSERT_TRUE(Run(Shell("a", "trap 'exit 3' TERM; echo up; while true; do sleep 0.05; done")).ok());
  const int pid = Report("a").pid;
  Recreate();
  const InstanceReport report = Report("a");
  EXPECT_EQ(report.state, InstanceState::kRunning);
  EXPECT_EQ(report.pid, pid);
  EXPECT_TRUE(Eventually([&] { return LogText("a") == "up\n"; }));
  EXPECT_TRUE(runtime_->Stop("a", std::chrono::seconds(10), Soon()).ok());
  EXPECT_EQ(Report("a").exit->code, 3);
}

TEST_F(LifecycleTest, AKilledMonitorTakesTheInstanceAlongAndItIsReportedAsExited) {
  ASSERT_TRUE(Run(Shell("a", "sleep 1000")).ok());
  const int pid = Report("a").pid, monitor = MonitorOf("a");
  ASSERT_GT(monitor, 1);
  ASSERT_EQ(kill(monitor, SIGKILL), 0);
  const InstanceReport report = WaitForExit("a");
  EXPECT_EQ(report.exit->code, 137);
  EXPECT_EQ(report.uid, "u-1");
  EXPECT_TRUE(Eventually([&] { return kill(pid, 0) != 0; }));
  EXPECT_TRUE(runtime_->Start("a", Soon()).ok());
  EXPECT_EQ(Report("a").state, InstanceState::kRunning);
}

TEST_F(LifecycleTest, HalfMadeAndHalfRemovedDirectoriesAreReaped) {
  const std::string half = state_ + "/process/instances/.new-b-0000", dead = state_ + "/process/instances/.dead-c-0000";
  ASSERT_TRUE(MakeDirectories(half + "/rootfs").ok());
  ASSERT_TRUE(MakeDirectories(dead).ok());
  EXPECT_TRUE(runtime_->List(Soon())->empty());
  Recreate();
  EXPECT_NE(access(half.c_str(), F_OK), 0);
  EXPECT_NE(access(dead.c_str(), F_OK), 0);
}

TEST_F(LifecycleTest, ADirectoryWithoutLabelsIsListedAndCanBeRemoved) {
  ASSERT_TRUE(MakeDirectories(InstanceDirectory("torn")).ok());
  ASSERT_TRUE(WriteFileAtomically(InstanceDirectory("torn") + "/instance.json", "{\"uid\":").ok());
  EXPECT_EQ(Report("torn").state, InstanceState::kExited);
  EXPECT_TRUE(runtime_->Remove("torn", Soon()).ok());
  EXPECT_TRUE(runtime_->List(Soon())->empty());
}

TEST_F(LifecycleTest, AProcessThatReusedTheWrittenPidIsNeverTouched) {
  ASSERT_TRUE(runtime_->Create(Shell("a", "sleep 1000"), Soon()).ok());
  // As after a reboot: the pid belongs to somebody else now, here to us.
  const std::string text = "2 " + std::to_string(getpid()) + " 1\n";
  ASSERT_TRUE(WriteFileAtomically(InstanceDirectory("a") + "/pid", text).ok());
  EXPECT_EQ(Report("a").state, InstanceState::kExited);
  EXPECT_FALSE(OpenInit(InstanceDirectory("a")).valid());
  EXPECT_TRUE(runtime_->Stop("a", Duration::zero(), Soon()).ok());
  EXPECT_TRUE(runtime_->Remove("a", Soon()).ok());
}

TEST_F(LifecycleTest, RemovingAlsoRemovesTheCgroups) {
  ASSERT_TRUE(Run(Shell("a", "sleep 1000")).ok());
  StatusOr<std::string> config = ReadFile(InstanceDirectory("a") + "/sandbox.conf", 1 << 20);
  ASSERT_TRUE(config.ok());
  const size_t at = config->find(std::string("cgroup\0", 7));
  ASSERT_NE(at, std::string::npos);
  const std::string cgroup = config->c_str() + at + 7;
  EXPECT_EQ(access(cgroup.c_str(), F_OK), 0);
  ASSERT_TRUE(runtime_->Remove("a", Soon()).ok());
  EXPECT_NE(access(cgroup.c_str(), F_OK), 0);
}

TEST_F(LifecycleTest, AnIdThatIsAPathIsRefused) {
  for (const char* id : {"../x", "a/b", "", "A", ".new-a"}) {
    InstanceSpec spec = Shell("a", "true");
    spec.id = id;
    EXPECT_FALSE(runtime_->Create(spec, Soon()).ok()) << id;
    EXPECT_TRUE(runtime_->Remove(id, Soon()).ok()) << id;
  }
}

TEST_F(LifecycleTest, AnAlteredProgramIsRefusedByItsHash) {
  const std::string program = state_ + "/server";
  ASSERT_TRUE(WriteFileAtomically(program, "#!/bin/sh\n", 0755).ok());
  ServerSpec spec;
  spec.source = ProcessSource{.path = program};
  StatusOr<Artifact> artifact = runtime_->Pull(spec, nullptr, Soon());
  ASSERT_TRUE(artifact.ok()) << artifact.status();
  EXPECT_EQ(artifact->entrypoint, std::vector<std::string>{program});
  spec.source = ProcessSource{.path = program, .sha256 = artifact->digest.substr(7)};
  EXPECT_TRUE(runtime_->Pull(spec, nullptr, Soon()).ok());
  ASSERT_TRUE(WriteFileAtomically(program, "#!/bin/false\n", 0755).ok());
  EXPECT_EQ(runtime_->Pull(spec, nullptr, Soon()).status().code(), StatusCode::kFailedPrecondition);
  spec.source = ProcessSource{.path = program + "-absent"};
  EXPECT_EQ(runtime_->Pull(spec, nullptr, Soon()).status().code(), StatusCode::kNotFound);
}

TEST_F(LifecycleTest, UsageHasTheMemoryAndTheCpuTimeOfWhatRuns) {
  ASSERT_TRUE(Run(Shell("a", "head -c 31457280 /dev/zero >/tmp/memory; echo up; sleep 1000")).ok());
  ASSERT_TRUE(Eventually([&] { return LogText("a") == "up\n"; }));
  StatusOr<std::vector<InstanceUsage>> usage = runtime_->Usage(Soon());
  ASSERT_TRUE(usage.ok());
  ASSERT_EQ(usage->size(), 1u);
  EXPECT_GE((*usage)[0].memory_bytes, 30 << 20);
  EXPECT_LT((*usage)[0].memory_bytes, 256 << 20);
  EXPECT_GT((*usage)[0].cpu_seconds, 0);
}

TEST_F(LifecycleTest, StartExitAndRemovalAreEachNoticed) {
  Mutex mu;
  std::vector<std::string> seen;
  std::stop_source done;
  std::atomic<bool> watching{false};
  std::thread watcher([&] {
    const Status status = runtime_->WatchEvents(
        [&](const std::string& id) {
          MutexLock lock(&mu);
          seen.push_back(id);
          watching = true;
        },
        done.get_token(), Soon());
    EXPECT_TRUE(status.ok()) << status;
  });
  const auto count = [&] {
    MutexLock lock(&mu);
    return std::count(seen.begin(), seen.end(), "a");
  };
  ASSERT_TRUE(Eventually([&] { return watching.load(); }));
  EXPECT_TRUE(runtime_->Create(Shell("a", "sleep 1000"), Soon()).ok());
  EXPECT_TRUE(Eventually([&] { return count() >= 1; }));
  EXPECT_TRUE(runtime_->Start("a", Soon()).ok());
  EXPECT_TRUE(Eventually([&] { return count() >= 2; }));
  const auto before = count();
  kill(MonitorOf("a"), SIGKILL);
  EXPECT_TRUE(Eventually([&] { return count() > before; }));
  const auto exited = count();
  EXPECT_TRUE(runtime_->Remove("a", Soon()).ok());
  EXPECT_TRUE(Eventually([&] { return count() > exited; }));
  done.request_stop();
  watcher.join();
}

}  // namespace
}  // namespace mcpfleet
