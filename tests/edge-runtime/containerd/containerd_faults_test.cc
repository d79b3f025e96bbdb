// Kills and restarts: of mcplet (a new runtime over the same world), of containerd, of its shims.
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <thread>

#include "base/fd.h"
#include "controller/core/plan.h"
#include "edge-runtime/containerd/shims.h"
#include "tests/edge-runtime/containerd/containerd_fixture.h"

namespace mcpfleet {
namespace {

using std::chrono::seconds;

// A killed process that nobody has waited for yet still has its number.
bool Runs(int pid) {
  const std::string stat = ReadFile("/proc/" + std::to_string(pid) + "/stat", 4096).value_or("");
  const size_t name_end = stat.rfind(')');
  return name_end != std::string::npos && name_end + 2 < stat.size() && stat[name_end + 2] != 'Z';
}

class ContainerdFaultsTest : public ContainerdTest {};
INSTANTIATE_TEST_SUITE_P(All, ContainerdFaultsTest, testing::Values("1.6", "1.7", "2"), VersionName);

TEST_P(ContainerdFaultsTest, AKilledMcpletsInstancesAreAdoptedAndTheirLogsAreWhole) {
  Run(Spec("adopted", "i=0; while :; do echo line $i >&2; i=$((i+1)); sleep 0.01; done"));
  const int pid = Await("adopted", InstanceState::kRunning)->pid;
  ASSERT_TRUE(Logged("adopted", "line 5\n"));
  runtime_.reset();  // nothing of the runtime's own keeps it alive
  poll(nullptr, 0, 300);
  runtime_ = Open();
  const std::optional<InstanceReport> report = Find("adopted");
  ASSERT_TRUE(report);
  EXPECT_EQ(report->state, InstanceState::kRunning);
  EXPECT_EQ(report->pid, pid);
  ASSERT_TRUE(Logged("adopted", "line 30\n"));
  int expected = 0;
  for (const std::string& line : Split(LogOf("adopted"), '\n')) {
    if (line.empty()) continue;
    EXPECT_TRUE(line.ends_with(" line " + std::to_string(expected))) << line;
    ++expected;
  }
}

TEST_P(ContainerdFaultsTest, ACreateThatWasKilledAtAnyPointCanBeRepeated) {
  const InstanceSpec spec = Spec("again", kForever);
  const containerd::Connection connection(engine_->socket(), space_);
  const containerd::Snapshots snapshots(connection, engine_->snapshotter());
  // Its lease, its snapshot and its directory are there, its container is not.
  ASSERT_TRUE(snapshots
                  .Prepare("mcpfleet-again", "",
                           {{"dev.mcpfleet.node", "edge-01"},
                            {"dev.mcpfleet.instance", "again"},
                            {"containerd.io/gc.root", "2026-01-01T00:00:00Z"}},
                           "", Soon())
                  .ok());
  ASSERT_TRUE(MakeDirectories(state_ + "/containerd/instances/again").ok());
  Run(spec);
  EXPECT_TRUE(Await("again", InstanceState::kRunning));
  // Its task is made and waits for its start.
  ASSERT_TRUE(runtime_->Stop("again", seconds(5), Soon()).ok());
  ASSERT_TRUE(containerd::DeleteTask(connection, "again", Soon()).ok());
  const std::vector<containerd::Mount> root = snapshots.Mounts("mcpfleet-again", Soon()).value();
  ASSERT_TRUE(containerd::CreateTask(connection, "again", root, "", Soon()).ok());
  EXPECT_EQ(Find("again")->state, InstanceState::kCreated);
  const Status started = runtime_->Start("again", Soon());
  ASSERT_TRUE(started.ok()) << started;
  EXPECT_TRUE(Await("again", InstanceState::kRunning));
}

TEST_P(ContainerdFaultsTest, ServersRunOnThroughARestartOfContainerd) {
  Run(Spec("on", "i=0; while :; do echo line $i >&2; i=$((i+1)); sleep 0.01; done"));
  Run(Spec("over", "exit 3"));
  Await("over", InstanceState::kExited);
  const int pid = Await("on", InstanceState::kRunning)->pid;
  for (const int signal : {SIGTERM, SIGKILL}) {
    const Status restarted = engine_->Restart(signal);
    ASSERT_TRUE(restarted.ok()) << restarted;
    EXPECT_TRUE(Eventually([&] { return runtime_->Check(Soon()).available; }));
    const std::optional<InstanceReport> report = Await("on", InstanceState::kRunning);
    ASSERT_TRUE(report);
    EXPECT_EQ(report->pid, pid) << "it was restarted";
    const std::optional<InstanceReport> over = Find("over");
    ASSERT_TRUE(over && over->exit);
    EXPECT_EQ(over->exit->code, 3) << "containerd forgot, and so did we";
  }
  const std::string before = LogOf("on");
  EXPECT_TRUE(Eventually([&] { return LogOf("on").size() > before.size(); })) << "its log has ended";
  EXPECT_TRUE(runtime_->Stop("on", seconds(5), Soon()).ok());
}

TEST_P(ContainerdFaultsTest, AnEngineThatIsAwayIsUnavailableAndComesBackByItself) {
  const InstanceSpec spec = Spec("back", kForever);
  ContainerdOptions options = Options();
  options.socket_path = state_ + "/nobody.sock";
  const std::unique_ptr<ContainerdRuntime> lost = ContainerdRuntime::Create(options, clock_).value();
  EXPECT_EQ(lost->List(Soon()).status().code(), StatusCode::kUnavailable);
  EXPECT_EQ(lost->Create(spec, Soon()).code(), StatusCode::kUnavailable);
  const RuntimeCheck check = lost->Check(Soon());
  EXPECT_FALSE(check.available);
  EXPECT_NE(check.reason.find(options.socket_path), std::string::npos) << check.reason;
}

TEST_P(ContainerdFaultsTest, AWatchEndsWithTheEngineAndAnotherOneStands) {
  std::atomic<int> stood{0};
  Status status;
  std::stop_source stop;
  std::thread watcher([&] {
    status =
        runtime_->WatchEvents([&](const std::string& id) { stood += id.empty() ? 1 : 0; }, stop.get_token(), Soon());
  });
  EXPECT_TRUE(Eventually([&] { return stood > 0; }));
  ASSERT_TRUE(engine_->Restart(SIGKILL).ok());
  watcher.join();
  EXPECT_EQ(status.code(), StatusCode::kUnavailable) << status;
  std::thread next([&] {
    status =
        runtime_->WatchEvents([&](const std::string& id) { stood += id.empty() ? 1 : 0; }, stop.get_token(), Soon());
  });
  EXPECT_TRUE(Eventually([&] { return stood > 1; }));
  stop.request_stop();
  next.join();
  EXPECT_TRUE(status.ok()) << status;
}

// k3s-killall.sh kills every shim below k3s's directory, whatever the namespace.
TEST_P(ContainerdFaultsTest, TheDeathOfAllShimsEndsEachInstanceOnceAndEachCanStartAgain) {
  for (const char* id : {"one", "two", "three"}) Run(Spec(id, kForever));
  const int pid = Find("one")->pid;
  ASSERT_GE(engine_->KillShims(), 3);
  for (const char* id : {"one", "two", "three"}) {
    const std::optional<InstanceReport> report = Await(id, InstanceState::kExited);
    ASSERT_TRUE(report && report->exit) << id;
    EXPECT_EQ(report->exit->signal, SIGKILL);
    const Status started = runtime_->Start(id, Soon());
    ASSERT_TRUE(started.ok()) << started;
    EXPECT_TRUE(Await(id, InstanceState::kRunning));
  }
  // Two of one server would share its data.
  EXPECT_TRUE(!Runs(pid) || Find("one")->pid == pid) << "the lost process still runs";
}

TEST_P(ContainerdFaultsTest, AShimThatContainerdHasForgottenGoesWithItsInstance) {
  // As an mcplet leaves one that is killed while it has a task made.
  const Status created = runtime_->Create(Spec("forgotten", kForever), Soon());
  ASSERT_TRUE(created.ok()) << created;
  const auto stray = [&](const std::string& id) {
    const pid_t pid = fork();
    if (pid == 0) {
      execl("/bin/sh", "containerd-shim-test", "-c", "while :; do sleep 60; done", "-", "-namespace", space_.c_str(),
            "-id", id.c_str(), nullptr);
      _exit(127);
    }
    return pid;
  };
  const pid_t lost = stray("forgotten"), other = stray("another");
  EXPECT_TRUE(Eventually([&] { return containerd::ShimsOf(space_, "forgotten") == std::vector<pid_t>{lost}; }));
  const Status removed = runtime_->Remove("forgotten", Soon());
  EXPECT_TRUE(removed.ok()) << removed;
  EXPECT_TRUE(Eventually([&] { return !Runs(lost); }));
  EXPECT_TRUE(Runs(other)) << "it is another instance's";
  kill(other, SIGKILL);
  waitpid(lost, nullptr, 0);
  waitpid(other, nullptr, 0);
}

TEST(ShimsTest, OnlyARunningShimOfTheInstanceIsOne) {
  const std::vector<std::string> argv = {
      "/usr/bin/containerd-shim-runc-v2", "-namespace", "mcpfleet", "-id", "s0-1", "-address",
      "/run/containerd/containerd.sock"};
  EXPECT_TRUE(containerd::IsShimOf(argv, "mcpfleet", "s0-1"));
  EXPECT_FALSE(containerd::IsShimOf(argv, "k8s.io", "s0-1"));
  EXPECT_FALSE(containerd::IsShimOf(argv, "mcpfleet", "s0"));
  std::vector<std::string> clearing = argv, server = argv;
  clearing.emplace_back("delete");
  EXPECT_FALSE(containerd::IsShimOf(clearing, "mcpfleet", "s0-1"));
  server[0] = "/usr/bin/server";
  EXPECT_FALSE(containerd::IsShimOf(server, "mcpfleet", "s0-1"));
  EXPECT_FALSE(containerd::IsShimOf({}, "mcpfleet", "s0-1"));
}

TEST_P(ContainerdFaultsTest, TheDeathOfShimsWhileContainerdIsDownLeavesNoProcessBehind) {
  Run(Spec("lost", kForever));
  const int pid = Find("lost")->pid;
  // Both at once: nobody is there to see it.
  engine_->KillShims();
  ASSERT_TRUE(engine_->Restart(SIGKILL).ok());
  EXPECT_TRUE(Eventually([&] { return runtime_->Check(Soon()).available; }));
  Await("lost", InstanceState::kExited);
  const Status started = runtime_->Start("lost", Soon());
  ASSERT_TRUE(started.ok()) << started;
  const std::optional<InstanceReport> report = Await("lost", InstanceState::kRunning);
  ASSERT_TRUE(report);
  EXPECT_NE(report->pid, pid);
  EXPECT_FALSE(Runs(pid)) << "the lost process still runs";
}

TEST_P(ContainerdFaultsTest, ARestartOfContainerdUnderLoadConvergesWithoutDuplicatesOrLeftovers) {
  constexpr int kInstances = 6;
  std::vector<InstanceSpec> specs;
  for (int i = 0; i < kInstances; ++i) specs.push_back(Spec("load-" + std::to_string(i), kForever));
  std::atomic<bool> stop{false};
  std::atomic<int> rounds{0};
  std::vector<std::thread> workers;
  for (int w = 0; w < 3; ++w) {
    workers.emplace_back([&, w] {
      // As the controller does: whatever fails is tried again, from what is there.
      while (!stop) {
        for (int i = w; i < kInstances; i += 3) {
          const std::string& id = specs[static_cast<size_t>(i)].id;
          if (!runtime_->Create(specs[static_cast<size_t>(i)], Soon()).ok()) continue;
          if (!runtime_->Start(id, Soon()).ok()) continue;
          runtime_->Stop(id, seconds(2), Soon()).IgnoreError();
          runtime_->Remove(id, Soon()).IgnoreError();
          ++rounds;
        }
      }
    });
  }
  EXPECT_TRUE(Eventually([&] { return rounds > 2; }));
  for (const int signal : {SIGTERM, SIGKILL}) {
    const Status restarted = engine_->Restart(signal);
    EXPECT_TRUE(restarted.ok()) << restarted;
    const int before = rounds;
    EXPECT_TRUE(Eventually([&] { return rounds > before + 2; })) << "nothing converges after the restart";
  }
  stop = true;
  for (std::thread& worker : workers) worker.join();
  for (InstanceSpec& spec : specs) {
    // What containerd lost with a kill it clears away in its own time, or never: it refuses the name until then. So an
    // instance that does not start three times is removed, and the next one has another name.
    Status last = OkStatus();
    int failed = 0;
    EXPECT_TRUE(Eventually([&] {
      last = runtime_->Create(spec, Soon());
      if (last.ok()) last = runtime_->Start(spec.id, Soon());
      if (!last.ok() && ++failed % kStartsOfOneInstance == 0 && runtime_->Remove(spec.id, Soon()).ok()) spec.id += "n";
      return last.ok();
    })) << last;
  }
  for (const InstanceSpec& spec : specs) EXPECT_TRUE(Await(spec.id, InstanceState::kRunning));
  for (const InstanceSpec& spec : specs) EXPECT_TRUE(runtime_->Remove(spec.id, Soon()).ok());
  ASSERT_TRUE(runtime_->CollectArtifacts({}, int64_t{1} << 40, Soon()).ok());
  EXPECT_EQ(Ctr({"snapshots", "--snapshotter", engine_->snapshotter(), "ls"}).find("mcpfleet-load"), std::string::npos);
  EXPECT_EQ(Ctr({"leases", "ls"}).find("mcpfleet-load"), std::string::npos);
  EXPECT_EQ(Ctr({"containers", "ls", "-q"}).find("load-"), std::string::npos);
}

}  // namespace
}  // namespace mcpfleet
