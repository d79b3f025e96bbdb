// DockerRuntime against a real engine: what only an engine and a kernel can tell. The common behaviour is in
// tests/contract.
#include "edge-runtime/docker/docker_runtime.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <thread>

#include "base/digest.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/strings.h"
#include "tests/edge-runtime/docker/tiny_registry.h"
#include "tests/fakes/docker_engine.h"

namespace mcpfleet {
namespace {

using std::chrono::seconds;

class DockerRuntimeTest : public testing::Test {
 protected:
  void SetUp() override {
    engine_ = DockerEngine::Shared();
    if (engine_ == nullptr) GTEST_SKIP() << DockerEngine::WhyNot();
    char pattern[] = "/tmp/mcpfleet-docker-state-XXXXXX";
    ASSERT_NE(mkdtemp(pattern), nullptr);
    state_ = pattern;
    static int serial = 0;
    node_ = "edge-" + std::to_string(++serial);
    runtime_ = Open();
  }
  void TearDown() override {
    if (runtime_ == nullptr) return;
    for (const InstanceReport& report : All()) {
      const Status removed = runtime_->Remove(report.id, Soon());
      EXPECT_TRUE(removed.ok()) << removed;
    }
    EXPECT_TRUE(RemoveTree(state_).ok());
  }
  std::unique_ptr<DockerRuntime> Open() {
    return DockerRuntime::Create({.socket_path = engine_->socket(), .node_name = node_, .state_directory = state_},
                                 clock_)
        .value();
  }
  static Deadline Soon() { return Deadline::After(seconds(60)); }
  // An instance of busybox with these arguments.
  InstanceSpec Spec(const std::string& name, std::vector<std::string> args) {
    InstanceSpec spec{
        .id = name + "-" + node_, .server = {"default", name}, .uid = "u", .generation = 1, .revision = "r"};
    spec.spec.source = ImageSource{.ref = engine_->image(), .pull_policy = PullPolicy::kNever};
    spec.spec.args = std::move(args);
    spec.artifact = runtime_->Pull(spec.spec, nullptr, Soon()).value();
    return spec;
  }
  std::vector<InstanceReport> All() { return runtime_->List(Soon()).value(); }
  void Run(const InstanceSpec& spec) {
    const Status created = runtime_->Create(spec, Soon());
    ASSERT_TRUE(created.ok()) << created;
    const Status started = runtime_->Start(spec.id, Soon());
    ASSERT_TRUE(started.ok()) << started;
  }
  InstanceReport Await(const std::string& id, InstanceState state) {
    for (const Deadline deadline = Soon(); !deadline.Expired(); poll(nullptr, 0, 20)) {
      for (const InstanceReport& report : All()) {
        if (report.id == id && report.state == state) return report;
      }
    }
    ADD_FAILURE() << id << " never became " << ToString(state);
    return {};
  }
  std::string LogsOf(const std::string& id, const LogOptions& options = {}) {
    std::string text;
    const Status status = runtime_->Logs(
        id, options,
        [&](std::string_view line) {
          text += line.substr(line.find(' ') + 1);
          return true;
        },
        Soon());
    EXPECT_TRUE(status.ok()) << status;
    return text;
  }
  static std::vector<std::string> Shell(const std::string& script) { return {"sh", "-c", script}; }
  static constexpr char kForever[] = "trap 'exit 0' TERM; while :; do sleep 0.05; done";

  DockerEngine* engine_ = nullptr;
  SystemClock clock_;
  std::string state_, node_;
  std::unique_ptr<DockerRuntime> runtime_;
};

TEST_F(DockerRuntimeTest, ARelistOfWhatJustRunsIsOneCallToTheEngine) {
  for (const char* name : {"a", "b", "c"}) Run(Spec(name, Shell(kForever)));
  const auto first = runtime_->List(Soon()).value();
  ASSERT_EQ(first.size(), 3U);
  const int64_t before = runtime_->requests();
  const auto second = runtime_->List(Soon()).value();
  EXPECT_EQ(runtime_->requests() - before, 1);
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(second[i].pid, first[i].pid);
    EXPECT_EQ(second[i].started_at, first[i].started_at);
  }
}

TEST_F(DockerRuntimeTest, ARestartByHandShowsInTheNextList) {
  const InstanceSpec spec = Spec("restarted", Shell(kForever));
  Run(spec);
  const InstanceReport before = Await(spec.id, InstanceState::kRunning);
  ASSERT_EQ(engine_->Request("POST", "/containers/" + ContainerName(spec.id) + "/restart?t=5")->status, 204);
  const InstanceReport after = Await(spec.id, InstanceState::kRunning);
  EXPECT_NE(after.pid, before.pid);
  EXPECT_GT(after.started_at, before.started_at);
}

TEST_F(DockerRuntimeTest, TheKernelHoldsTheSandbox) {
  InstanceSpec spec =
      Spec("sandbox", Shell("touch /x 2>/dev/null && echo root writable >&2; touch /tmp/x && echo tmp writable >&2; " +
                            std::string(kForever)));
  spec.spec.resources = {.cpu_milli = 500, .memory_bytes = int64_t{32} << 20, .pids = 17};
  Run(spec);
  const InstanceReport report = Await(spec.id, InstanceState::kRunning);
  const std::string proc = "/proc/" + std::to_string(report.pid);
  const std::string status = ReadFile(proc + "/status", 1 << 20).value();
  EXPECT_NE(status.find("\nUid:\t65534\t65534\t65534\t65534\n"), std::string::npos) << status;
  EXPECT_NE(status.find("\nGid:\t65534\t65534\t65534\t65534\n"), std::string::npos) << status;
  EXPECT_NE(status.find("\nCapBnd:\t0000000000000000\n"), std::string::npos) << status;
  EXPECT_NE(status.find("\nNoNewPrivs:\t1\n"), std::string::npos) << status;
  EXPECT_NE(status.find("\nSeccomp:\t2\n"), std::string::npos) << status;
  EXPECT_EQ(ReadFile(proc + "/net/dev", 1 << 20).value().find("eth0"), std::string::npos);
  EXPECT_EQ(ReadFile(proc + "/oom_score_adj", 100).value(), "100\n");
  for (const Deadline deadline = Soon(); LogsOf(spec.id).empty() && !deadline.Expired();) poll(nullptr, 0, 20);
  EXPECT_EQ(LogsOf(spec.id), "tmp writable\n");
  // The limits, where this machine has cgroup v1.
  const std::string id = [&] {
    const Json inspected =
        ParseJson(engine_->Request("GET", "/containers/" + ContainerName(spec.id) + "/json")->body).value();
    return inspected["Id"].get<std::string>();
  }();
  if (StatusOr<std::string> limit =
          ReadFile("/sys/fs/cgroup/memory/docker/" + id + "/memory.memsw.limit_in_bytes", 100);
      limit.ok()) {
    EXPECT_EQ(*limit, "33554432\n");
    EXPECT_EQ(ReadFile("/sys/fs/cgroup/pids/docker/" + id + "/pids.max", 100).value_or(""), "17\n");
    EXPECT_EQ(ReadFile("/sys/fs/cgroup/cpu/docker/" + id + "/cpu.cfs_quota_us", 100).value_or(""), "50000\n");
  }
}

TEST_F(DockerRuntimeTest, AnOutOfMemoryKillIsReportedAsSuch) {
  std::stop_source done;
  std::atomic<bool> ready{false};
  std::thread watcher([&] {
    runtime_->WatchEvents([&](const std::string&) { ready = true; }, done.get_token(), Soon()).IgnoreError();
  });
  for (const Deadline deadline = Soon(); !ready && !deadline.Expired();) poll(nullptr, 0, 5);
  // An engine on a loaded machine loses one in some hundred: containerd's shim tells of it by a watcher of its own, and
  // that may see the cgroup when it is gone. What the engine told of neither way nobody can know, so then another is
  // killed; what it told of must be reported.
  bool told = false;
  for (int i = 0; i < 4 && !told; ++i) {
    const std::string gate = state_ + "/gate" + std::to_string(i);
    ASSERT_TRUE(MakeDirectories(gate, 0755).ok());
    ASSERT_EQ(chmod(state_.c_str(), 0755), 0);
    InstanceSpec spec =
        Spec("oom" + std::to_string(i), Shell("while [ ! -e /gate/open ]; do sleep 0.05; done\n"
                                              "exec /bin/busybox dd if=/dev/zero of=/scratch/f bs=1M count=200"));
    spec.spec.volumes = {{.name = "scratch", .tmpfs_bytes = int64_t{256} << 20, .mount_path = "/scratch"},
                         {.name = "gate", .host_path = gate, .mount_path = "/gate", .read_only = true}};
    spec.spec.resources.memory_bytes = int64_t{16} << 20;
    Run(spec);
    Await(spec.id, InstanceState::kRunning);
    ASSERT_TRUE(WriteFileAtomically(gate + "/open", "").ok());
    InstanceReport report = Await(spec.id, InstanceState::kExited);
    ASSERT_TRUE(report.exit);
    EXPECT_EQ(report.exit->signal, SIGKILL);
    // Its event may come after the end.
    for (const Deadline late = Deadline::After(seconds(2)); !report.exit->oom && !late.Expired();) {
      poll(nullptr, 0, 20);
      report = Await(spec.id, InstanceState::kExited);
    }
    const std::string target = "/containers/" + ContainerName(spec.id) + "/json";
    const Json inspected = ParseJson(engine_->Request("GET", target)->body).value();
    const Json filter = {{"container", {ContainerName(spec.id)}}, {"event", {"oom"}}};
    const auto events = engine_->Request("GET", "/events?since=1&until=" + std::to_string(time(nullptr)) +
                                                    "&filters=" + PercentEncode(DumpJson(filter)));
    told = inspected["State"]["OOMKilled"] == true || events->body.find("\"oom\"") != std::string::npos;
    EXPECT_EQ(report.exit->oom, told);
  }
  EXPECT_TRUE(told);
  done.request_stop();
  watcher.join();
}

TEST_F(DockerRuntimeTest, ANameThatAStrangerTookIsNeitherAdoptedNorRemoved) {
  const InstanceSpec spec = Spec("taken", Shell(kForever));
  const std::string name = ContainerName(spec.id);
  const Json body = {
      {"Image", engine_->image()}, {"Cmd", {"sleep", "1000"}}, {"HostConfig", {{"NetworkMode", "none"}}}};
  ASSERT_EQ(engine_->Request("POST", "/containers/create?name=" + name, DumpJson(body))->status, 201);
  const Status status = runtime_->Create(spec, Soon());
  EXPECT_EQ(status.code(), StatusCode::kAlreadyExists) << status;
  EXPECT_TRUE(runtime_->Remove(spec.id, Soon()).ok());
  EXPECT_EQ(engine_->Request("DELETE", "/containers/" + name)->status, 204) << "it was ours to leave alone";
}

TEST_F(DockerRuntimeTest, TheLogsOfTheIncarnationBeforeAreKeptApart) {
  // The container's own /scratch tells the incarnations apart.
  const InstanceSpec spec =
      Spec("previous", Shell("echo born $(cut -d' ' -f1 /proc/uptime) >&2; " + std::string(kForever)));
  Run(spec);
  for (const Deadline deadline = Soon(); LogsOf(spec.id).empty() && !deadline.Expired();) poll(nullptr, 0, 20);
  const std::string first = LogsOf(spec.id);
  EXPECT_EQ(LogsOf(spec.id, {.previous = true}), "");
  ASSERT_TRUE(runtime_->Stop(spec.id, seconds(5), Soon()).ok());
  ASSERT_TRUE(runtime_->Start(spec.id, Soon()).ok());
  std::string second;
  for (const Deadline deadline = Soon(); (second = LogsOf(spec.id)).empty() && !deadline.Expired();)
    poll(nullptr, 0, 20);
  EXPECT_NE(second, first);
  EXPECT_EQ(std::count(second.begin(), second.end(), '\n'), 1) << second;
  EXPECT_EQ(LogsOf(spec.id, {.previous = true}), first);
}

TEST_F(DockerRuntimeTest, AKillByHandWakesTheWatcher) {
  const InstanceSpec spec = Spec("watched", Shell(kForever));
  Run(spec);
  std::stop_source done;
  std::atomic<bool> seen{false}, ready{false};
  std::thread watcher([&] {
    runtime_
        ->WatchEvents(
            [&](const std::string& id) {
              (id.empty() ? ready : seen) = true;
              if (seen) done.request_stop();
            },
            done.get_token(), Soon())
        .IgnoreError();
  });
  for (const Deadline deadline = Soon(); !ready && !deadline.Expired();) poll(nullptr, 0, 5);
  EXPECT_EQ(engine_->Request("POST", "/containers/" + ContainerName(spec.id) + "/kill")->status, 204);
  watcher.join();
  EXPECT_TRUE(seen);
}

TEST_F(DockerRuntimeTest, ACommandThatTheImageLacksFailsTheStartAndNamesIt) {
  InstanceSpec spec = Spec("nocommand", {});
  spec.spec.command = {"/no/such/server"};
  ASSERT_TRUE(runtime_->Create(spec, Soon()).ok());
  const Status status = runtime_->Start(spec.id, Soon());
  ASSERT_FALSE(status.ok());
  EXPECT_NE(Message(status).find("/no/such/server"), std::string::npos) << status;
}

TEST_F(DockerRuntimeTest, AHostPathThatIsMissingIsAnErrorAndIsNotMade) {
  InstanceSpec spec = Spec("nopath", Shell(kForever));
  spec.spec.volumes = {{.name = "data", .host_path = state_ + "/missing", .mount_path = "/data"}};
  const Status status = runtime_->Create(spec, Soon());
  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument) << status;
  EXPECT_NE(access((state_ + "/missing").c_str(), F_OK), 0);
}

TEST_F(DockerRuntimeTest, UsageFromTheEngineIsThereWhereTheKernelsIsNotVisible) {
  const InstanceSpec spec = Spec("remote", Shell(kForever));
  Run(spec);
  auto blind = DockerRuntime::Create({.socket_path = engine_->socket(),
                                      .node_name = node_,
                                      .kernel = {.proc = state_ + "/noproc", .cgroup = state_ + "/nocgroup"}},
                                     clock_)
                   .value();
  const auto usage = blind->Usage(Soon()).value();
  ASSERT_EQ(usage.size(), 1U);
  EXPECT_GT(usage[0].memory_bytes, 0);
  EXPECT_GT(usage[0].cpu_seconds, 0);
}

TEST_F(DockerRuntimeTest, APulledImageTellsItsEntrypointAndIsNotFetchedTwice) {
  TinyRegistry registry;
  registry.Add("org/tool", "v1", {.entrypoint = {"/bin/tool"}, .cmd = {"--serve"}, .content = "one"});
  ServerSpec spec;
  spec.source = ImageSource{.ref = registry.host() + "/org/tool:v1"};
  int reports = 0;
  const StatusOr<Artifact> artifact = runtime_->Pull(
      spec, [&](const PullProgress&) { ++reports; }, Soon());
  ASSERT_TRUE(artifact.ok()) << artifact.status();
  EXPECT_EQ(artifact->entrypoint, std::vector<std::string>{"/bin/tool"});
  EXPECT_EQ(artifact->default_args, std::vector<std::string>{"--serve"});
  EXPECT_TRUE(artifact->digest.starts_with("sha256:"));
  EXPECT_GT(reports, 0);
  const int64_t asked = registry.requests();
  EXPECT_EQ(runtime_->Pull(spec, nullptr, Soon())->digest, artifact->digest);
  EXPECT_EQ(registry.requests(), asked);
}

TEST_F(DockerRuntimeTest, ARegistryThatAsksForCredentialsGetsThoseOfThePullSecretAndNobodyElseHearsOfThem) {
  TinyRegistry registry;
  registry.Add("org/private", "v1", {.entrypoint = {"/bin/tool"}, .content = "private"});
  registry.Require("ci:canary-password");
  ServerSpec spec;
  spec.source = ImageSource{.ref = registry.host() + "/org/private:v1"};
  EXPECT_FALSE(runtime_->Pull(spec, nullptr, Soon()).ok());
  const RegistryCredentials wrong{.user = "ci", .password = SecretText("canary-wrong")};
  const Status refused = runtime_->PullAs(wrong, spec, nullptr, Soon()).status();
  EXPECT_FALSE(refused.ok());
  EXPECT_EQ(Message(refused).find("canary"), std::string::npos) << refused;
  const RegistryCredentials right{.user = "ci", .password = SecretText("canary-password")};
  const StatusOr<Artifact> artifact = runtime_->PullAs(right, spec, nullptr, Soon());
  ASSERT_TRUE(artifact.ok()) << artifact.status();
  registry.Add("org/private", "v2", {.content = "private 2"});
  spec.source = ImageSource{.ref = registry.host() + "/org/private:v2"};
  const RegistryCredentials config{.docker_config =
                                       SecretText(R"({"auths": {")" + registry.host() + R"(": {"auth": ")" +
                                                  Base64Encode("ci:canary-password") + R"("}}})")};
  EXPECT_TRUE(runtime_->PullAs(config, spec, nullptr, Soon()).ok());
  for (const std::string& target : {"/images/" + artifact->digest + "/json", std::string("/info")})
    EXPECT_EQ(engine_->Request("GET", target)->body.find("canary"), std::string::npos);
}

TEST_F(DockerRuntimeTest, PullPolicyAlwaysSeesATagThatMoved) {
  TinyRegistry registry;
  registry.Add("org/tool", "moving", {.content = "one"});
  ServerSpec spec;
  spec.source = ImageSource{.ref = registry.host() + "/org/tool:moving", .pull_policy = PullPolicy::kAlways};
  const Artifact first = runtime_->Pull(spec, nullptr, Soon()).value();
  registry.Add("org/tool", "moving", {.content = "two"});
  const Artifact second = runtime_->Pull(spec, nullptr, Soon()).value();
  EXPECT_NE(first.digest, second.digest);
}

TEST_F(DockerRuntimeTest, AnImageThatIsNowhereIsNamedTogetherWithWhatToDo) {
  TinyRegistry registry;
  registry.Add("org/tool", "v1", {.content = "one"});
  ServerSpec spec;
  spec.source = ImageSource{.ref = registry.host() + "/org/tool:v2"};
  Status status = runtime_->Pull(spec, nullptr, Soon()).status();
  EXPECT_EQ(status.code(), StatusCode::kNotFound) << status;
  EXPECT_NE(Message(status).find("org/tool:v2"), std::string::npos);
  EXPECT_NE(Message(status).find("spec.source.image.ref"), std::string::npos);
  spec.source = ImageSource{.ref = "never/loaded:v1", .pull_policy = PullPolicy::kNever};
  status = runtime_->Pull(spec, nullptr, Soon()).status();
  EXPECT_EQ(status.code(), StatusCode::kNotFound) << status;
  EXPECT_NE(Message(status).find("pullPolicy"), std::string::npos);
}

TEST_F(DockerRuntimeTest, TheQuotaRemovesWhatWePulledAndNothingElse) {
  TinyRegistry registry;
  registry.Add("org/old", "v1", {.content = "old"});
  registry.Add("org/kept", "v1", {.content = "kept"});
  const auto pull = [&](const std::string& name) {
    ServerSpec spec;
    spec.source = ImageSource{.ref = registry.host() + "/" + name + ":v1"};
    return runtime_->Pull(spec, nullptr, Soon()).value().digest;
  };
  const std::string old_digest = pull("org/old"), kept = pull("org/kept");
  // As after a restart: the list is on disk.
  runtime_ = Open();
  const int64_t both = runtime_->ArtifactBytes(Soon()).value();
  ASSERT_TRUE(runtime_->CollectArtifacts({kept}, 0, Soon()).ok());
  EXPECT_GT(runtime_->ArtifactBytes(Soon()).value(), 0);
  EXPECT_LT(runtime_->ArtifactBytes(Soon()).value(), both);
  EXPECT_EQ(engine_->Request("GET", "/images/" + old_digest + "/json")->status, 404);
  EXPECT_EQ(engine_->Request("GET", "/images/" + kept + "/json")->status, 200);
  EXPECT_EQ(engine_->Request("GET", "/images/" + engine_->image() + "/json")->status, 200) << "somebody else's image";
}

TEST(DockerRuntimeDownTest, AnEngineThatIsNotThereIsUnavailableAndNamed) {
  SystemClock clock;
  auto runtime =
      DockerRuntime::Create({.socket_path = "unix:///nonexistent/docker.sock", .node_name = "n"}, clock).value();
  EXPECT_FALSE(runtime->List(Deadline::After(seconds(5))).ok());
  const RuntimeCheck check = runtime->Check(Deadline::After(seconds(5)));
  EXPECT_FALSE(check.available);
  EXPECT_NE(check.reason.find("/nonexistent/docker.sock"), std::string::npos) << check.reason;
}

TEST(DockerRuntimeDownTest, OptionsThatCannotWorkAreRefused) {
  SystemClock clock;
  EXPECT_FALSE(DockerRuntime::Create({.socket_path = "docker.sock", .node_name = "n"}, clock).ok());
  EXPECT_FALSE(DockerRuntime::Create({.node_name = ""}, clock).ok());
  EXPECT_FALSE(DockerRuntime::Create({.node_name = "n", .shim_binary = "mcp-shim"}, clock).ok());
}

}  // namespace
}  // namespace mcpfleet
