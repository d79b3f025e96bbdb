// One server's life, the same on both runtimes, as mcpctl and the kernel see it.
#include <signal.h>

#include "base/strings.h"
#include "tests/integration/fixture.h"

namespace mcpfleet {
namespace {

using std::chrono::seconds;

class LifecycleTest : public RuntimesTest {};
INSTANTIATE_TEST_SUITE_P(On, LifecycleTest, testing::Values(On::kProcess, On::kDocker), OnName);

bool Gone(pid_t pid) { return kill(pid, 0) != 0; }

int64_t Initialized(Node& node, const std::string& server) {
  StatusOr<Json> stats = ParseJson(node.CallTool(server, "stats"));
  return stats.ok() ? GetInt(*stats, "initialized", -1) : -1;
}

TEST_P(LifecycleTest, AnAppliedServerBecomesReadyAndAnswersItsTools) {
  const CommandResult applied = node_->Apply({Server("weather", {"--name", "sunny"})});
  ASSERT_TRUE(applied.ok()) << applied;
  const CommandResult waited = node_->Mcpctl({"wait", "mcp/weather", "--for=condition=Ready", "--timeout", "60s"});
  ASSERT_TRUE(waited.ok()) << waited << DumpJson(node_->ServerStatus("weather"));
  EXPECT_EQ(node_->CallTool("weather", "who"), "sunny");
  const CommandResult tools = node_->Mcpctl({"tools", "list", "weather", "-o", "name"});
  EXPECT_NE(tools.out.find("echo\n"), std::string::npos) << tools;
  EXPECT_EQ(Initialized(*node_, "weather"), 1);
  const CommandResult table = node_->Mcpctl({"get", "mcpservers"});
  EXPECT_NE(table.out.find("weather"), std::string::npos) << table;
  const CommandResult logs = node_->Mcpctl({"logs", "weather"});
  EXPECT_NE(logs.out.find("sunny starts"), std::string::npos) << logs;
}

TEST_P(LifecycleTest, AModernServerIsVerifiedWithoutInitialize) {
  ASSERT_TRUE(node_->Apply({Server("new", {"--modern"})}).ok());
  ASSERT_TRUE(node_->WaitReady("new"));
  EXPECT_EQ(GetString(GetMember(node_->ServerStatus("new"), "serverInfo"), "protocolVersion"), "2026-07-28");
  EXPECT_EQ(Initialized(*node_, "new"), 0);
}

TEST_P(LifecycleTest, AKilledServerIsRestartedAtOnceAndTheSignalIsTold) {
  ASSERT_TRUE(node_->Apply({Server("weather", {}, {{"restartPolicy", {{"resetAfter", "1s"}}}})}).ok());
  ASSERT_TRUE(node_->WaitReady("weather"));
  // Healthy for as long as resetAfter says: the first restart then waits for nothing.
  const Deadline healthy = Deadline::After(seconds(2));
  ASSERT_TRUE(WaitFor([&] { return healthy.Expired(); }));
  const pid_t before = node_->ServerPid("weather");
  ASSERT_GT(before, 0);
  ASSERT_EQ(kill(before, SIGKILL), 0);
  ASSERT_TRUE(WaitFor([&] { return node_->Restarts("weather") == 1; }));
  ASSERT_TRUE(node_->WaitReady("weather"));
  const pid_t after = node_->ServerPid("weather");
  EXPECT_GT(after, 0);
  EXPECT_NE(after, before);
  const Json status = node_->ServerStatus("weather");
  const Json& restarts = GetMember(status, "restarts");
  EXPECT_EQ(GetString(restarts, "lastReason"), "Signalled") << DumpJson(restarts);
  EXPECT_EQ(GetInt(restarts, "lastSignal"), SIGKILL) << DumpJson(restarts);
  EXPECT_EQ(GetInt(restarts, "count"), 1) << DumpJson(restarts);
}

TEST_P(LifecycleTest, ACrashLoopBacksOffLongerEachTimeAndShowsTheLastWords) {
  ASSERT_TRUE(node_->Apply({Server("bad", {"--crash-after", "0"})}).ok());
  ASSERT_TRUE(node_->WaitCondition("bad", "Available", "False", "CrashLoopBackOff"));
  std::vector<double> delays;  // of restart n: what its message says when it begins to wait
  int64_t seen = 0;
  ASSERT_TRUE(WaitFor([&] {
    const Json status = node_->ServerStatus("bad");
    const Json& restarts = GetMember(status, "restarts");
    StatusOr<WallTime> last = ParseTime(GetString(restarts, "lastAt")),
                       next = ParseTime(GetString(restarts, "nextAttemptAt"));
    if (GetInt(restarts, "count") > seen && last.ok() && next.ok()) {
      seen = GetInt(restarts, "count");
      delays.push_back(std::chrono::duration<double>(*next - *last).count());
    }
    return seen >= 4;
  }));
  ASSERT_GE(delays.size(), 2u);
  EXPECT_GT(delays.back(), delays.front());
  const Json status = node_->ServerStatus("bad");
  const Json& restarts = GetMember(status, "restarts");
  EXPECT_EQ(GetInt(restarts, "lastExitCode"), 3) << DumpJson(restarts);
  EXPECT_NE(GetString(restarts, "stderrTail").find("fatal: the crash timer ran out"), std::string::npos)
      << DumpJson(restarts);
  EXPECT_TRUE(node_->Condition("bad", "Ready").starts_with("False/")) << node_->Condition("bad", "Ready");
}

TEST_P(LifecycleTest, MaxAttemptsEndsInFailedUntilTheSpecChanges) {
  const Json policy = {{"restartPolicy", {{"maxAttempts", 1}}}};
  ASSERT_TRUE(node_->Apply({Server("bad", {"--crash-after", "0"}, policy)}).ok());
  ASSERT_TRUE(node_->WaitCondition("bad", "Available", "False", "Failed"));
  ASSERT_TRUE(node_->Apply({Server("bad", {"--name", "cured"}, policy)}).ok());
  ASSERT_TRUE(node_->WaitReady("bad"));
}

TEST_P(LifecycleTest, AStoppedMcpletLeavesItsServersAndTheNextAdoptsThem) {
  ASSERT_TRUE(node_->Apply({Server("weather")}).ok());
  ASSERT_TRUE(node_->WaitReady("weather"));
  const pid_t before = node_->ServerPid("weather");
  ASSERT_GT(before, 0);
  ASSERT_EQ(node_->Terminate(), 0);
  EXPECT_FALSE(Gone(before));
  node_->Start();
  ASSERT_TRUE(node_->WaitReady("weather"));
  EXPECT_EQ(node_->ServerPid("weather"), before);
  EXPECT_EQ(node_->Restarts("weather"), 0);
  EXPECT_EQ(Initialized(*node_, "weather"), 1);
  node_->KillDash9();
  EXPECT_FALSE(Gone(before));
  node_->Start();
  ASSERT_TRUE(node_->WaitReady("weather"));
  EXPECT_EQ(node_->ServerPid("weather"), before);
  EXPECT_EQ(Initialized(*node_, "weather"), 1);
}

TEST_P(LifecycleTest, WhatEndedAndWhyIsStillKnownToTheNextMcplet) {
  ASSERT_TRUE(node_->Apply({Server("weather")}).ok());
  ASSERT_TRUE(node_->WaitReady("weather"));
  ASSERT_EQ(kill(node_->ServerPid("weather"), SIGKILL), 0);
  ASSERT_TRUE(WaitFor([&] { return node_->Restarts("weather") == 1; }));
  ASSERT_TRUE(node_->WaitReady("weather"));
  const Json before = GetMember(node_->ServerStatus("weather"), "restarts");
  ASSERT_EQ(node_->Terminate(), 0);
  node_->Start();
  ASSERT_TRUE(node_->WaitReady("weather"));
  const Json after = GetMember(node_->ServerStatus("weather"), "restarts");
  EXPECT_EQ(after, before) << DumpJson(after);
  EXPECT_EQ(GetInt(after, "count"), 1) << DumpJson(after);
}

TEST_P(LifecycleTest, AServerThatDiedWhileMcpletWasAwayIsStartedAgain) {
  ASSERT_TRUE(node_->Apply({Server("weather")}).ok());
  ASSERT_TRUE(node_->WaitReady("weather"));
  const pid_t before = node_->ServerPid("weather");
  ASSERT_EQ(node_->Terminate(), 0);
  ASSERT_EQ(kill(before, SIGKILL), 0);
  ASSERT_TRUE(WaitFor([&] { return Gone(before); }));
  node_->Start();
  ASSERT_TRUE(node_->WaitReady("weather"));
  const pid_t after = node_->ServerPid("weather");
  EXPECT_GT(after, 0);
  EXPECT_NE(after, before);
}

TEST_P(LifecycleTest, SuspendStopsAndResumeStarts) {
  ASSERT_TRUE(node_->Apply({Server("weather")}).ok());
  ASSERT_TRUE(node_->WaitReady("weather"));
  const CommandResult suspended = node_->Mcpctl({"suspend", "mcp/weather"});
  ASSERT_TRUE(suspended.ok()) << suspended;
  ASSERT_TRUE(node_->WaitCondition("weather", "Available", "False", "Suspended"));
  EXPECT_TRUE(WaitFor([&] { return node_->Leftovers().empty(); })) << Join(node_->Leftovers(), "\n");
  const CommandResult resumed = node_->Mcpctl({"resume", "mcp/weather"});
  ASSERT_TRUE(resumed.ok()) << resumed;
  ASSERT_TRUE(node_->WaitReady("weather"));
  EXPECT_EQ(node_->Restarts("weather"), 0);
}

TEST_P(LifecycleTest, ADeletedServerThatIgnoresSigtermIsGoneAfterItsGrace) {
  ASSERT_TRUE(node_->Apply({Server("stubborn", {"--ignore-sigterm"})}).ok());
  ASSERT_TRUE(node_->WaitReady("stubborn"));
  const CommandResult deleted = node_->Mcpctl({"delete", "mcp/stubborn", "--timeout", "30s"});
  ASSERT_TRUE(deleted.ok()) << deleted;
  EXPECT_TRUE(WaitFor([&] { return node_->Leftovers().empty(); })) << Join(node_->Leftovers(), "\n");
}

TEST_P(LifecycleTest, GrandchildrenOfADeletedServerAreGoneToo) {
  ASSERT_TRUE(node_->Apply({Server("daemons", {"--grandchildren", "3"})}).ok());
  ASSERT_TRUE(node_->WaitReady("daemons"));
  ASSERT_TRUE(WaitFor([&] { return node_->TestServerPids().size() == 4; })) << node_->TestServerPids().size();
  // A crash must not leave them to the next incarnation either.
  node_->Poke("daemons", "exit", {{"code", 1}});
  ASSERT_TRUE(WaitFor([&] { return node_->Restarts("daemons") == 1; }));
  ASSERT_TRUE(node_->WaitReady("daemons"));
  EXPECT_TRUE(WaitFor([&] { return node_->TestServerPids().size() == 4; })) << node_->TestServerPids().size();
  ASSERT_TRUE(node_->Mcpctl({"delete", "mcp/daemons"}).ok());
  EXPECT_TRUE(WaitFor([&] { return node_->Leftovers().empty(); })) << Join(node_->Leftovers(), "\n");
}

TEST_P(LifecycleTest, AServerThatSpeaksNoMcpIsAvailableButNotVerified) {
  ASSERT_TRUE(node_->Apply({Server("garbage", {"--garbage"})}).ok());
  ASSERT_TRUE(node_->WaitCondition("garbage", "Verified", "False", "NotMCP"));
  EXPECT_EQ(node_->Condition("garbage", "Available"), "True/Running");
  EXPECT_EQ(node_->Condition("garbage", "Ready"), "False/NotMCP");
}

TEST_P(LifecycleTest, ASilentServerIsRestartedAfterItsStartupTime) {
  ASSERT_TRUE(node_->Apply({Server("mute", {"--mute"}, {{"probes", {{"startup", {{"timeoutSeconds", 3}}}}}})}).ok());
  ASSERT_TRUE(WaitFor([&] { return node_->Restarts("mute") >= 1; })) << DumpJson(node_->ServerStatus("mute"));
}

TEST_P(LifecycleTest, FloodsOfOutputHurtNobody) {
  ASSERT_TRUE(node_
                  ->Apply({Server("flood", {"--flood-stdout", "8", "--flood-stderr", "8"},
                                  {{"logs", {{"maxSize", "1Mi"}, {"maxFiles", 2}}}}),
                           Server("quiet")})
                  .ok());
  ASSERT_TRUE(node_->WaitReady("quiet"));
  ASSERT_TRUE(node_->WaitReady("flood"));
  EXPECT_EQ(node_->CallTool("flood", "echo", {{"message", "still here"}}), "still here");
  EXPECT_EQ(node_->Restarts("flood"), 0);
  EXPECT_EQ(node_->Restarts("quiet"), 0);
  const CommandResult logs = node_->Mcpctl({"logs", "flood", "--tail", "3"});
  EXPECT_TRUE(logs.ok()) << logs;
  EXPECT_LT(logs.out.size(), 1000u);
}

TEST_P(LifecycleTest, OutOfMemoryIsToldByItsName) {
  ASSERT_TRUE(
      node_->Apply({Server("eater", {}, {{"resources", {{"limits", {{"memory", "48Mi"}}}}}}), Server("sibling")}).ok());
  ASSERT_TRUE(node_->WaitReady("eater"));
  ASSERT_TRUE(node_->WaitReady("sibling"));
  node_->Poke("eater", "oom");
  ASSERT_TRUE(WaitFor([&] { return node_->Restarts("eater") >= 1; })) << DumpJson(node_->ServerStatus("eater"));
  const Json status = node_->ServerStatus("eater");
  EXPECT_EQ(GetString(GetMember(status, "restarts"), "lastReason"), "OOMKilled") << DumpJson(status);
  ASSERT_TRUE(node_->WaitReady("eater"));
  EXPECT_EQ(node_->Restarts("sibling"), 0);
}

TEST_P(LifecycleTest, AForkBombStaysInsideItsLimit) {
  ASSERT_TRUE(node_->Apply({Server("bomb"), Server("sibling")}).ok());
  ASSERT_TRUE(node_->WaitReady("bomb"));
  ASSERT_TRUE(node_->WaitReady("sibling"));
  const std::vector<std::string> ids = node_->InstanceIds("bomb");
  ASSERT_EQ(ids.size(), 1u);
  node_->Poke("bomb", "fork_bomb");
  EXPECT_TRUE(WaitFor([&] { return node_->TestServerPids(ids[0]).size() > 10; }));
  EXPECT_LE(node_->TestServerPids(ids[0]).size(), 32u);
  EXPECT_EQ(node_->CallTool("sibling", "echo", {{"message", "alive"}}), "alive");
  EXPECT_EQ(node_->Restarts("sibling"), 0);
  ASSERT_TRUE(node_->Mcpctl({"delete", "mcp/bomb"}).ok());
  EXPECT_TRUE(WaitFor([&] { return node_->TestServerPids(ids[0]).empty(); }));
}

TEST_P(LifecycleTest, AChangedSpecMakesANewInstance) {
  ASSERT_TRUE(node_->Apply({Server("weather", {"--name", "one"})}).ok());
  ASSERT_TRUE(node_->WaitReady("weather"));
  const std::vector<std::string> before = node_->InstanceIds("weather");
  ASSERT_TRUE(node_->Apply({Server("weather", {"--name", "two"})}).ok());
  ASSERT_TRUE(WaitFor([&] { return node_->CallTool("weather", "who") == "two"; }));
  ASSERT_TRUE(node_->WaitReady("weather"));
  // The old one stops when the new one serves.
  EXPECT_TRUE(WaitFor([&] { return node_->TestServerPids().size() == 1; })) << node_->TestServerPids().size();
  EXPECT_NE(node_->InstanceIds("weather"), before);
  EXPECT_EQ(node_->Restarts("weather"), 0);
  const CommandResult undone = node_->Mcpctl({"rollout", "undo", "mcp/weather"});
  ASSERT_TRUE(undone.ok()) << undone;
  ASSERT_TRUE(WaitFor([&] { return node_->CallTool("weather", "who") == "one"; }));
}

TEST_P(LifecycleTest, AnArtifactThatCannotBeHadKeepsTheOldOneRunning) {
  ASSERT_TRUE(node_->Apply({Server("weather", {"--name", "one"})}).ok());
  ASSERT_TRUE(node_->WaitReady("weather"));
  const pid_t before = node_->ServerPid("weather");
  const Json source = GetParam() == On::kDocker
                          ? Json{{"image", {{"ref", "mcpfleet-test/absent:1"}, {"pullPolicy", "Never"}}}}
                          : Json{{"process", {{"path", "/nonexistent/server"}}}};
  ASSERT_TRUE(node_->Apply({Server("weather", {"--name", "two"}, {{"source", source}})}).ok());
  ASSERT_TRUE(node_->WaitCondition("weather", "ArtifactReady", "False", "PullFailed"));
  EXPECT_EQ(node_->CallTool("weather", "who"), "one");
  EXPECT_EQ(node_->ServerPid("weather"), before);
}

TEST_P(LifecycleTest, AnInstanceRemovedByHandComesBack) {
  ASSERT_TRUE(node_->Apply({Server("weather")}).ok());
  ASSERT_TRUE(node_->WaitReady("weather"));
  const std::vector<std::string> before = node_->InstanceIds("weather");
  ASSERT_EQ(before.size(), 1u);
  if (GetParam() == On::kDocker) {
    StatusOr<DockerEngine::Answer> removed =
        EngineWithImage()->Request("DELETE", "/containers/mcpfleet-" + before[0] + "?force=1");
    ASSERT_TRUE(removed.ok());
    ASSERT_EQ(removed->status, 204);
  } else {
    StatusOr<std::string> pid = ReadFile(node_->state() + "/process/instances/" + before[0] + "/pid", 4096);
    ASSERT_TRUE(pid.ok()) << pid.status();
    ASSERT_EQ(kill(static_cast<pid_t>(std::atoi(Split(*pid, ' ')[1].c_str())), SIGKILL), 0);
  }
  ASSERT_TRUE(WaitFor([&] {
    return node_->InstanceIds("weather") != before && node_->Condition("weather", "Ready") == "True/Ready";
  })) << DumpJson(node_->ServerStatus("weather"));
  EXPECT_EQ(node_->TestServerPids().size(), 1u);
}

TEST_P(LifecycleTest, AnHttpServerWithoutANetworkIsReached) {
  const Json spec = {
      {"transport", "streamable-http"}, {"port", 8080}, {"path", "/mcp"}, {"securityContext", {{"network", "None"}}}};
  ASSERT_TRUE(node_->Apply({Server("web", {"--http", "8080", "--name", "web"}, spec)}).ok());
  ASSERT_TRUE(node_->WaitReady("web"));
  EXPECT_EQ(node_->CallTool("web", "who"), "web");
}

TEST_P(LifecycleTest, DrainStopsAllOfANode) {
  ASSERT_TRUE(node_->Apply({Server("a"), Server("b", {"--ignore-sigterm"})}).ok());
  ASSERT_TRUE(node_->WaitReady("a"));
  ASSERT_TRUE(node_->WaitReady("b"));
  ASSERT_EQ(node_->Terminate(), 0);
  EXPECT_EQ(node_->TestServerPids().size(), 2u);
  const auto start = std::chrono::steady_clock::now();
  const CommandResult drained = node_->Drain();
  EXPECT_TRUE(drained.ok()) << drained;
  // Its grace is 2 s; the default that a node without a desired state would take is 10 s.
  EXPECT_LT(std::chrono::steady_clock::now() - start, seconds(8));
  EXPECT_TRUE(WaitFor([&] { return node_->Leftovers().empty(); }, seconds(5))) << Join(node_->Leftovers(), "\n");
}

}  // namespace
}  // namespace mcpfleet
