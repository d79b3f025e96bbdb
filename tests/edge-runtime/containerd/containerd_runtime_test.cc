// What the runtime owes beyond the contract, on real containerd: the sandbox, drift, ends, logs, orphans.
#include <signal.h>
#include <sys/stat.h>

#include <thread>

#include "base/json.h"
#include "tests/edge-runtime/containerd/containerd_fixture.h"

namespace mcpfleet {
namespace {

using std::chrono::seconds;

class ContainerdRuntimeTest : public ContainerdTest {};
INSTANTIATE_TEST_SUITE_P(All, ContainerdRuntimeTest, testing::Values("1.6", "1.7", "2"), VersionName);

TEST_P(ContainerdRuntimeTest, TheKernelHoldsTheServerToTheSandbox) {
  InstanceSpec spec = Spec("sandbox",
                           "cat /proc/self/status >&2; (echo x > /file) 2>&1 | cat >&2; "
                           "unshare -U true 2>&1 | cat >&2; ls /sys/class/net >&2; echo done >&2");
  Run(spec);
  ASSERT_TRUE(Logged("sandbox", "done"));
  const std::string log = LogOf("sandbox");
  for (const char* line :
       {"Uid:\t65534\t65534", "Gid:\t65534\t65534", "CapBnd:\t0000000000000000", "CapEff:\t0000000000000000",
        "NoNewPrivs:\t1", "Seccomp:\t2", "Read-only file system", "Operation not permitted"})
    EXPECT_NE(log.find(line), std::string::npos) << line << " in:\n" << log;
  EXPECT_EQ(log.find("eth0"), std::string::npos) << "network None has an interface";
}

TEST_P(ContainerdRuntimeTest, TheLimitsOfTheSpecAreTheKernels) {
  InstanceSpec spec = Spec("limits", kForever);
  spec.spec.resources = {.cpu_milli = 500, .memory_bytes = int64_t{48} << 20, .pids = 17};
  Run(spec);
  const containerd::CgroupFacts facts = containerd::DetectCgroups();
  const auto read = [&](const std::string& controller, const std::string& file) {
    const std::string hierarchy = facts.v2 ? "" : "/" + controller;
    return std::string(
        Trim(ReadFile(facts.root + hierarchy + "/mcpfleet-test-containerd/limits/" + file, 4096).value_or("gone")));
  };
  EXPECT_EQ(read("memory", facts.v2 ? "memory.max" : "memory.limit_in_bytes"), std::to_string(48 << 20));
  EXPECT_EQ(read("pids", "pids.max"), "17");
  EXPECT_EQ(read("cpu", facts.v2 ? "cpu.max" : "cpu.cfs_quota_us"), facts.v2 ? "50000 100000" : "50000");
}

TEST_P(ContainerdRuntimeTest, AServerThatWantsTooMuchMemoryIsReportedAsKilledForIt) {
  // The second process takes it, as a child of the shim would; the first one reports its end.
  Run(Spec("greedy", "tail /dev/zero; exit $?"));
  const std::optional<InstanceReport> report = Await("greedy", InstanceState::kExited);
  ASSERT_TRUE(report && report->exit);
  EXPECT_TRUE(report->exit->oom);
  EXPECT_EQ(report->exit->signal, SIGKILL);
  // The next mcplet sees the same.
  runtime_ = Open();
  EXPECT_TRUE(Find("greedy")->exit->oom);
}

TEST_P(ContainerdRuntimeTest, ANewIncarnationHasANewLogAndThePreviousOneStays) {
  Run(Spec("logs", "echo from $(cat /proc/uptime) >&2; echo out; " + std::string(kForever)));
  ASSERT_TRUE(Logged("logs", "from "));
  const std::string first = LogOf("logs");
  EXPECT_EQ(first.find(" out\n"), std::string::npos) << "without the shim stdout is the protocol";
  ASSERT_TRUE(runtime_->Stop("logs", seconds(10), Soon()).ok());
  ASSERT_TRUE(runtime_->Start("logs", Soon()).ok());
  ASSERT_TRUE(Logged("logs", "from "));
  EXPECT_NE(LogOf("logs"), first);
  EXPECT_EQ(LogOf("logs", {.previous = true}), first);
}

TEST_P(ContainerdRuntimeTest, AFloodOfOutputNeitherStopsTheServerNorFillsTheDisk) {
  InstanceSpec spec = Spec("flood",
                           "i=0; while [ $i -lt 20000 ]; do echo line $i of a flood of some length >&2; "
                           "i=$((i+1)); done; echo over >&2; " +
                               std::string(kForever));
  spec.spec.logs = {.max_size_bytes = 64 << 10, .max_files = 3};
  Run(spec);
  ASSERT_TRUE(Logged("flood", " over\n"));
  int64_t bytes = 0;
  for (const char* name : {"/log", "/log.1", "/log.2", "/log.3"}) {
    struct stat info;
    if (stat((state_ + "/containerd/instances/flood" + name).c_str(), &info) == 0) bytes += info.st_size;
  }
  EXPECT_GT(bytes, 64 << 10);
  EXPECT_LE(bytes, 3 * (64 << 10));
  const std::string log = LogOf("flood");
  const std::vector<std::string> lines = Split(log, '\n');
  for (size_t i = 1; i + 1 < lines.size(); ++i)
    EXPECT_TRUE(lines[i].ends_with("length") || lines[i].ends_with("over")) << lines[i];
}

TEST_P(ContainerdRuntimeTest, ATailReadsEachLineOnceAlsoAfterTheInstanceIsGone) {
  Run(Spec("tail", "for i in 1 2 3; do echo line $i >&2; done; " + std::string(kForever)));
  ASSERT_TRUE(Logged("tail", "line 3"));
  std::unique_ptr<LogTail> tail = runtime_->OpenTail("tail", {.place = "", .from_birth = true}, Soon()).value();
  std::string text;
  ASSERT_EQ(tail->Read(&text, 1 << 20, Soon())->lines, 3);
  EXPECT_EQ(tail->Read(&text, 1 << 20, Soon())->lines, 0);
  EXPECT_EQ(runtime_->OpenTail("never", {}, Soon()).status().code(), StatusCode::kNotFound);
}

// --- drift ---

TEST_P(ContainerdRuntimeTest, WhatWasStoppedOrRemovedByHandIsSeenAndCanBeMadeAgain) {
  const InstanceSpec spec = Spec("drift", kForever);
  Run(spec);
  Ctr({"tasks", "kill", "--signal", "SIGKILL", "drift"});
  std::optional<InstanceReport> report = Await("drift", InstanceState::kExited);
  ASSERT_TRUE(report && report->exit);
  EXPECT_EQ(report->exit->signal, SIGKILL);
  // Its task too: how it ended is known all the same.
  Ctr({"tasks", "delete", "drift"});
  report = Find("drift");
  ASSERT_TRUE(report);
  EXPECT_EQ(report->state, InstanceState::kExited);
  EXPECT_EQ(report->exit->signal, SIGKILL);
  ASSERT_TRUE(runtime_->Start("drift", Soon()).ok());
  Ctr({"tasks", "kill", "--signal", "SIGKILL", "drift"});
  Await("drift", InstanceState::kExited);
  Ctr({"tasks", "delete", "drift"});
  Ctr({"containers", "delete", "drift"});
  EXPECT_FALSE(Find("drift"));
  Run(spec);
  EXPECT_TRUE(Await("drift", InstanceState::kRunning));
}

TEST_P(ContainerdRuntimeTest, EachStartWritesItsFilesAnew) {
  const InstanceSpec spec = Spec("hosted", "cat /etc/hosts >&2; exec sleep 1000");
  ASSERT_TRUE(runtime_->Create(spec, Soon()).ok());
  // As a crash leaves what was not flushed: nothing at all, and later a file with nothing in it.
  const std::string directory = state_ + "/containerd/instances/hosted";
  ASSERT_TRUE(RemoveTree(directory).ok());
  ASSERT_TRUE(runtime_->Start("hosted", Soon()).ok());
  EXPECT_TRUE(Logged("hosted", "127.0.0.1 localhost hosted"));
  ASSERT_TRUE(runtime_->Stop("hosted", Duration::zero(), Soon()).ok());
  ASSERT_TRUE(WriteFileAtomically(directory + "/hosts", "", 0644).ok());
  ASSERT_TRUE(runtime_->Start("hosted", Soon()).ok());
  EXPECT_TRUE(Logged("hosted", "127.0.0.1 localhost hosted"));
}

TEST_P(ContainerdRuntimeTest, AnInstanceWhoseSnapshotIsGoneIsRemovedSoThatANewOneCanBeMade) {
  const InstanceSpec spec = Spec("gutted", kForever);
  ASSERT_TRUE(runtime_->Create(spec, Soon()).ok());
  Ctr({"snapshots", "--snapshotter", engine_->snapshotter(), "remove", "mcpfleet-gutted"});
  EXPECT_EQ(runtime_->Start("gutted", Soon()).code(), StatusCode::kFailedPrecondition);
  EXPECT_FALSE(Find("gutted"));
  Run(spec);
}

TEST_P(ContainerdRuntimeTest, APausedInstanceStillStops) {
  Run(Spec("frozen", kForever));
  Ctr({"tasks", "pause", "frozen"});
  EXPECT_EQ(Find("frozen")->state, InstanceState::kRunning);
  const Status stopped = runtime_->Stop("frozen", seconds(5), Soon());
  EXPECT_TRUE(stopped.ok()) << stopped;
  Await("frozen", InstanceState::kExited);
}

// --- orphans ---

TEST_P(ContainerdRuntimeTest, WhatACrashLeftIsClearedAwayAndNothingElse) {
  Run(Spec("lives", kForever));
  const std::string snapshotter = engine_->snapshotter();
  // As a create that was killed before its container was made.
  const containerd::Connection connection(engine_->socket(), space_);
  const containerd::Snapshots snapshots(connection, snapshotter);
  ASSERT_TRUE(snapshots
                  .Prepare("mcpfleet-dead", "",
                           {{"dev.mcpfleet.node", "edge-01"},
                            {"dev.mcpfleet.instance", "dead"},
                            {"containerd.io/gc.root", "2026-01-01T00:00:00Z"}},
                           "", Soon())
                  .ok());
  ASSERT_TRUE(snapshots
                  .Prepare("of-somebody-else", "",
                           {{"dev.mcpfleet.node", "edge-02"},
                            {"dev.mcpfleet.instance", "other"},
                            {"containerd.io/gc.root", "2026-01-01T00:00:00Z"}},
                           "", Soon())
                  .ok());
  Ctr({"leases", "create", "--id", "mcpfleet-dead", "dev.mcpfleet.node=edge-01", "dev.mcpfleet.instance=dead"});
  ASSERT_TRUE(MakeDirectories(state_ + "/containerd/instances/dead").ok());
  runtime_ = Open();
  const Status collected = runtime_->CollectArtifacts({}, int64_t{1} << 40, Soon());
  ASSERT_TRUE(collected.ok()) << collected;
  EXPECT_FALSE(*snapshots.Exists("mcpfleet-dead", Soon()));
  EXPECT_TRUE(*snapshots.Exists("of-somebody-else", Soon()));
  EXPECT_TRUE(*snapshots.Exists("mcpfleet-lives", Soon()));
  EXPECT_EQ(Ctr({"leases", "ls"}).find("mcpfleet-dead"), std::string::npos);
  EXPECT_NE(access((state_ + "/containerd/instances/dead").c_str(), F_OK), 0);
  EXPECT_EQ(Find("lives")->state, InstanceState::kRunning);
  EXPECT_TRUE(snapshots.Remove("of-somebody-else", Soon()).ok());
}

TEST_P(ContainerdRuntimeTest, ARemovedInstanceLeavesNothing) {
  Run(Spec("gone", kForever));
  ASSERT_TRUE(runtime_->Remove("gone", Soon()).ok());
  EXPECT_EQ(Ctr({"containers", "ls", "-q"}).find("gone"), std::string::npos);
  EXPECT_EQ(Ctr({"tasks", "ls"}).find("gone"), std::string::npos);
  EXPECT_EQ(Ctr({"snapshots", "--snapshotter", engine_->snapshotter(), "ls"}).find("mcpfleet-gone"), std::string::npos);
  EXPECT_EQ(Ctr({"leases", "ls"}).find("mcpfleet-"), std::string::npos);
  EXPECT_NE(access((state_ + "/containerd/instances/gone").c_str(), F_OK), 0);
  const containerd::CgroupFacts facts = containerd::DetectCgroups();
  EXPECT_NE(access((facts.root + (facts.v2 ? "" : "/memory") + "/mcpfleet-test-containerd/gone").c_str(), F_OK), 0);
}

// --- images ---

TEST_P(ContainerdRuntimeTest, AnAbsentImageThatMayNotBePulledSaysHowToImportIt) {
  ServerSpec spec;
  spec.source = ImageSource{.ref = "example/never:1", .pull_policy = PullPolicy::kNever};
  const Status status = runtime_->Pull(spec, nullptr, Soon()).status();
  EXPECT_EQ(status.code(), StatusCode::kNotFound);
  for (const char* part : {"example/never:1", "images import"})
    EXPECT_NE(Message(status).find(part), std::string::npos) << status;
}

TEST_P(ContainerdRuntimeTest, AnImageThatIsUsedSurvivesItsNamesRemovalAndTheCollector) {
  const std::string ref = "mcpfleet-test/moved:1";
  const std::string busybox = ReadFile("/usr/bin/busybox", size_t{16} << 20).value();
  ASSERT_TRUE(engine_
                  ->Import(space_, ref,
                           {{.path = "/bin/"},
                            {.path = "/bin/busybox", .content = busybox},
                            {.path = "/etc/"},
                            {.path = "/etc/version", .content = GetParam()}},
                           R"({"Entrypoint": ["/bin/busybox"]})")
                  .ok());
  InstanceSpec spec = Spec("held", "");
  spec.spec.source = ImageSource{.ref = ref, .pull_policy = PullPolicy::kNever};
  spec.spec.args = {"sleep", "1000"};
  spec.artifact = runtime_->Pull(spec.spec, nullptr, Soon()).value();
  // --sync: containerd's collector has run when it returns.
  Ctr({"images", "remove", "--sync", "docker.io/" + ref});
  Run(spec);
  EXPECT_TRUE(Await("held", InstanceState::kRunning));
}

// --- others in the same containerd ---

TEST_P(ContainerdRuntimeTest, AnotherNamespaceSideBySideIsNeverTouched) {
  const std::string other = space_ + "-other";
  ASSERT_TRUE(engine_->Use(other).ok());
  const std::string image = "docker.io/" + engine_->image();
  const StatusOr<std::string> imported = engine_->Archive(
      engine_->image(),
      {{.path = "/bin/"}, {.path = "/bin/busybox", .content = ReadFile("/usr/bin/busybox", size_t{16} << 20).value()}},
      R"({"Entrypoint": ["/bin/busybox"]})");
  ASSERT_TRUE(imported.ok()) << imported.status();
  ASSERT_TRUE(engine_->Ctr(other, {"images", "import", "--snapshotter", engine_->snapshotter(), *imported}).ok());
  // The same id, and even the same labels.
  const StatusOr<std::string> run =
      engine_->Ctr(other, {"run", "--detach", "--null-io", "--snapshotter", engine_->snapshotter(), "--label",
                           "dev.mcpfleet.node=edge-01", "--label", "dev.mcpfleet.instance=same", image, "same",
                           "/bin/busybox", "sleep", "1000"});
  ASSERT_TRUE(run.ok()) << run.status();
  EXPECT_FALSE(Find("same"));
  Run(Spec("same", kForever));
  EXPECT_TRUE(Await("same", InstanceState::kRunning));
  ASSERT_TRUE(runtime_->CollectArtifacts({}, 0, Soon()).ok());
  ASSERT_TRUE(runtime_->Stop("same", seconds(5), Soon()).ok());
  ASSERT_TRUE(runtime_->Remove("same", Soon()).ok());
  const std::string tasks = engine_->Ctr(other, {"tasks", "ls"}).value_or("");
  EXPECT_NE(tasks.find("RUNNING"), std::string::npos) << tasks;
  EXPECT_NE(engine_->Ctr(other, {"images", "ls", "-q"}).value_or("").find(engine_->image()), std::string::npos);
  engine_->Ctr(other, {"tasks", "kill", "--signal", "SIGKILL", "same"}).IgnoreError();
  engine_->Ctr(other, {"tasks", "delete", "--force", "same"}).IgnoreError();
  engine_->Ctr(other, {"containers", "delete", "same"}).IgnoreError();
}

}  // namespace
}  // namespace mcpfleet
