#include "controller/core/controller.h"

#include <gtest/gtest.h>

#include "tests/controller/world.h"

namespace mcpfleet {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;

TEST(ControllerTest, AnAppliedServerBecomesReadyWithNoTimePassing) {
  World world;
  world.desired.Put(Server("weather"));
  world.Settle();
  EXPECT_TRUE(world.Ready("weather")) << world.Reason("weather", "Ready");
  EXPECT_EQ(world.Containers().size(), 1u);
  EXPECT_EQ(world.metrics.Get("converged"), 1);
  EXPECT_EQ(world.status.Get(World::Key("weather"))->catalog.tools, 2);
}

TEST(ControllerTest, ADeletedServerLeavesNothingBehind) {
  World world;
  world.desired.Put(Server("weather"));
  world.Settle();
  world.desired.Delete(World::Key("weather"));
  world.Settle();
  EXPECT_TRUE(world.Containers().empty());
  EXPECT_FALSE(world.status.Get(World::Key("weather")).has_value());
  EXPECT_FALSE(world.controller->StatusOf(World::Key("weather")).has_value());
  EXPECT_TRUE(world.sessions.prepared().empty());
}

TEST(ControllerTest, AbsenceIsNoRemovalWhileKeysArePending) {
  World world;
  world.desired.Put(Server("weather"));
  world.Settle();
  world.desired.Edit([](DesiredSnapshot* s) { s->servers.clear(), s->removals_allowed = false; });
  world.Pass(minutes(5));
  EXPECT_EQ(world.Containers().size(), 1u);
  world.desired.Edit([](DesiredSnapshot* s) { s->removals_allowed = true; });
  world.Settle();
  EXPECT_TRUE(world.Containers().empty());
}

TEST(ControllerTest, ASuspendedServerStopsAndComesBack) {
  World world;
  world.desired.Put(Server("weather"));
  world.Settle();
  world.desired.Put(Server("weather").Suspend().Generation(2));
  world.Settle();
  EXPECT_TRUE(world.Containers().empty());
  EXPECT_EQ(world.Reason("weather", "Ready"), "Suspended");
  world.desired.Put(Server("weather").Generation(3));
  world.Settle();
  EXPECT_TRUE(world.Ready("weather"));
}

TEST(ControllerTest, ANewRevisionReplacesTheOldOneOnlyWhenItsImageIsThere) {
  World world;
  world.desired.Put(Server("weather"));
  world.Settle();
  const std::string old = world.Instance();
  world.engine.SetUnpullable("registry.test/weather:v2", true);
  world.desired.Put(Server("weather").Image("v2").Generation(2));
  world.Pass(minutes(3));
  EXPECT_EQ(world.Instance(), old);
  EXPECT_EQ(world.Reason("weather", "Ready"), "PullFailed");
  EXPECT_EQ(world.Reason("weather", "Verified"), "Verified");
  world.engine.SetUnpullable("registry.test/weather:v2", false);
  world.Pass(minutes(6));
  EXPECT_NE(world.Instance(), old);
  EXPECT_TRUE(world.Ready("weather"));
  EXPECT_EQ(world.metrics.Get("drift"), 0);
}

TEST(ControllerTest, TheOldRevisionIsRestartedWhileTheNewOneCannotBePulled) {
  World world;
  world.desired.Put(Server("weather"));
  world.Settle();
  world.engine.SetUnpullable("registry.test/weather:v2", true);
  world.desired.Put(Server("weather").Image("v2").Generation(2));
  world.Pass(minutes(2));
  world.sessions.ExitMain(world.Instance(), {.code = 1});
  world.Settle();
  EXPECT_EQ(world.sessions.starts().size(), 2u);
  EXPECT_EQ(world.Reason("weather", "Verified"), "Verified");
}

TEST(ControllerTest, ACrashAfterAHealthyMinuteIsRestartedAtOnce) {
  World world;
  world.desired.Put(Server("weather"));
  world.Pass(minutes(2));
  world.sessions.ExitMain(world.Instance(), {.code = 137, .signal = 9});
  world.Settle();
  EXPECT_TRUE(world.Ready("weather"));
  EXPECT_EQ(world.sessions.starts().size(), 2u);
  EXPECT_EQ(world.Containers()[0].starts, 1);  // the same instance
  auto status = world.controller->StatusOf(World::Key("weather"));
  EXPECT_EQ(status->restarts.count, 1);
  EXPECT_EQ(status->restarts.last_reason, "Signalled");
}

TEST(ControllerTest, AServerThatEndsAtOnceShowsCrashLoopBackOffWithItsLastLines) {
  World world;
  world.engine.SetProgram([](const InstanceSpec&) { return FakeProgram{.lines = {"boom: no such table"}}; });
  world.sessions.DefaultScript().exits_at_once = ExitInfo{.code = 3};
  world.desired.Put(Server("weather"));
  world.Pass(seconds(90));
  EXPECT_EQ(world.Reason("weather", "Ready"), "CrashLoopBackOff");
  auto status = world.controller->StatusOf(World::Key("weather"));
  EXPECT_EQ(status->restarts.last_exit_code, 3);
  EXPECT_EQ(status->restarts.stderr_tail, "boom: no such table\n");
  EXPECT_TRUE(status->restarts.next_attempt_at.has_value());
  // 1 + 2 + 4 + … s with jitter: in 90 s five to eight attempts.
  EXPECT_GE(world.sessions.starts().size(), 5u);
  EXPECT_LE(world.sessions.starts().size(), 9u);
}

TEST(ControllerTest, MaxAttemptsEndsInFailedUntilTheSpecChanges) {
  World world;
  world.sessions.DefaultScript().exits_at_once = ExitInfo{.code = 3};
  world.desired.Put(Server("weather").Restart(RestartCondition::kAlways, 2));
  world.Pass(minutes(10));
  EXPECT_EQ(world.Reason("weather", "Ready"), "Failed");
  EXPECT_EQ(world.sessions.starts().size(), 3u);
  world.sessions.DefaultScript().exits_at_once.reset();
  world.desired.Put(Server("weather").Restart(RestartCondition::kAlways, 3).Generation(2));
  world.Settle();
  EXPECT_TRUE(world.Ready("weather"));
}

TEST(ControllerTest, ACompletedServerStaysCompletedOnFailurePolicyAlsoForTheNextMcplet) {
  World world;
  world.sessions.DefaultScript().exits_at_once = ExitInfo{.code = 0};
  world.desired.Put(Server("job").Restart(RestartCondition::kOnFailure));
  world.Pass(minutes(1));
  EXPECT_EQ(world.Reason("job", "Ready"), "Completed");
  world.Boot();
  world.Pass(minutes(1));
  EXPECT_EQ(world.Reason("job", "Ready"), "Completed");
  EXPECT_EQ(world.sessions.starts().size(), 1u);
}

TEST(ControllerTest, TheNextMcpletAdoptsWhatRunsAndRestartsNothing) {
  World world;
  for (int i = 0; i < 20; ++i) world.desired.Put(Server("s" + std::to_string(i)));
  world.Settle();
  const int creates = world.metrics.Get("op_Create");
  world.Boot();
  world.Settle();
  for (int i = 0; i < 20; ++i) EXPECT_TRUE(world.Ready("s" + std::to_string(i)));
  EXPECT_EQ(world.metrics.Get("op_Create"), creates);
  EXPECT_EQ(world.sessions.starts().size(), 20u);
  EXPECT_TRUE(world.sessions.stops().empty());
}

TEST(ControllerTest, ARebootStartsEverythingAgainAtOnce) {
  World world;
  world.desired.Put(Server("weather"));
  world.Settle();
  world.engine.Reboot();
  world.sessions.InstanceDies(world.Instance());
  world.Boot();
  world.Settle();
  EXPECT_TRUE(world.Ready("weather"));
}

TEST(ControllerTest, AnInstanceRemovedByHandComesBackAndIsRecordedAsDrift) {
  World world;
  world.desired.Put(Server("weather"));
  world.Pass(minutes(2));
  const std::string old = world.Instance();
  world.engine.Vanish(old);
  world.sessions.InstanceDies(old);
  world.Pass(seconds(1));
  EXPECT_TRUE(world.Ready("weather"));
  EXPECT_EQ(world.metrics.Get("drift"), 1);
  EXPECT_EQ(world.events.Count("DriftCorrected"), 1);
}

TEST(ControllerTest, AnInstanceStoppedByHandComesBackAndIsRecordedAsDrift) {
  World world;
  world.desired.Put(Server("weather"));
  world.Pass(minutes(2));
  const std::string old = world.Instance();
  world.sessions.InstanceDies(old);
  world.engine.Exit(old, {.code = 137, .signal = 9});
  world.Pass(seconds(1));
  EXPECT_TRUE(world.Ready("weather"));
  EXPECT_EQ(world.metrics.Get("drift"), 1);
}

TEST(ControllerTest, OrphansOfOurLabelAreReapedAndForeignContainersAreNot) {
  World world;
  world.engine.AddForeign("postgres");
  world.desired.Put(Server("weather"));
  world.Settle();
  world.desired.Delete(World::Key("weather"));
  world.Boot();
  world.Settle();
  EXPECT_TRUE(world.Containers().empty());
  EXPECT_EQ(world.metrics.Get("orphan"), 1);
  EXPECT_TRUE(world.engine.HasForeign("postgres"));
}

TEST(ControllerTest, AServerThatStopsAnsweringIsRestartedAfterTheLivenessThreshold) {
  World world;
  world.desired.Put(Server("weather"));
  world.Settle();
  bool hung = true;
  world.prober.Script([&](const ProbeTarget&, bool) { return hung ? DeadlineExceeded("no answer") : OkStatus(); });
  world.Pass(minutes(2));
  EXPECT_GE(world.metrics.Get("restarted_LivenessFailed"), 1);
  EXPECT_FALSE(world.Ready("weather"));
  hung = false;
  world.Pass(minutes(2));
  EXPECT_TRUE(world.Ready("weather"));
}

TEST(ControllerTest, AServerThatAnnouncesAChangeIsAskedAtOnceButNoMoreOftenThanEveryFiveSeconds) {
  World world;
  world.desired.Put(Server("weather"));
  world.Settle();
  world.Pass(seconds(6));
  const int before = world.prober.verifies();
  world.prober.AnnounceChange(World::Key("weather"));
  world.Settle();
  EXPECT_EQ(world.prober.verifies(), before + 1) << "not at the next period";
  for (int i = 0; i < 100; ++i) {
    world.prober.AnnounceChange(World::Key("weather"));
    world.Settle();
  }
  EXPECT_EQ(world.prober.verifies(), before + 1);
  world.Pass(seconds(4));
  EXPECT_EQ(world.prober.verifies(), before + 1);
  world.Pass(seconds(2));
  EXPECT_EQ(world.prober.verifies(), before + 2) << "what was announced meanwhile is not lost";
}

TEST(ControllerTest, AServerThatNeverSpeaksMcpIsRestartedAfterTheStartupTimeout) {
  World world;
  world.prober.Script([](const ProbeTarget&, bool) { return FailedPrecondition("not JSON-RPC: HTTP/1.1 400"); });
  world.desired.Put(Server("weather"));
  world.Pass(seconds(30));
  EXPECT_EQ(world.Reason("weather", "Available"), "Running");
  EXPECT_EQ(world.Reason("weather", "Verified"), "NotMCP");
  world.Pass(seconds(40));
  EXPECT_EQ(world.metrics.Get("restarted_StartupTimeout"), 1);
}

TEST(ControllerTest, AMissingRequiredToolMakesItUnreadyAndDoesNotRestartIt) {
  World world;
  world.desired.Put(Server("weather").RequireTool("forecast"));
  world.Pass(minutes(10));
  EXPECT_EQ(world.Reason("weather", "Ready"), "RequiredToolMissing");
  EXPECT_EQ(world.sessions.starts().size(), 1u);
}

TEST(ControllerTest, ARemoteServerIsOnlyProbed) {
  World world;
  world.desired.Put(Server("search").Remote("https://mcp.test/mcp"));
  world.Settle();
  EXPECT_TRUE(world.Ready("search"));
  EXPECT_TRUE(world.Containers().empty());
  world.prober.Script([](const ProbeTarget&, bool) { return Unavailable("connection refused"); });
  world.Pass(minutes(5));
  EXPECT_FALSE(world.Ready("search"));
  world.prober.Script(nullptr);
  world.Pass(minutes(2));
  EXPECT_TRUE(world.Ready("search"));
}

TEST(ControllerTest, ARejectedNewVersionLeavesTheOldOneRunning) {
  World world;
  world.desired.Put(Server("weather"));
  world.Pass(minutes(2));
  const std::string old = world.Instance();
  world.desired.Put(Server("weather").Generation(2).Rejected("ForbiddenByNode"));
  world.Pass(minutes(2));
  EXPECT_EQ(world.Instance(), old);
  EXPECT_EQ(world.Reason("weather", "Ready"), "ForbiddenByNode");
  EXPECT_EQ(world.Reason("weather", "Verified"), "Verified");
  world.sessions.ExitMain(old, {.code = 1});
  world.Settle();
  EXPECT_EQ(world.Reason("weather", "Verified"), "Verified");
}

TEST(ControllerTest, ARejectedServerThatNeverRanStartsNothing) {
  World world;
  world.desired.Put(Server("weather").Rejected("UnsupportedField"));
  world.Pass(minutes(1));
  EXPECT_TRUE(world.Containers().empty());
  EXPECT_EQ(world.Reason("weather", "Ready"), "UnsupportedField");
}

TEST(ControllerTest, AnEngineThatIsAwayDelaysButLosesNothing) {
  World world;
  world.desired.Put(Server("weather"));
  world.Settle();
  world.engine.SetDown(true);
  world.desired.Put(Server("news"));
  world.Pass(minutes(1));
  EXPECT_EQ(world.Reason("news", "Ready"), "RuntimeUnavailable");
  EXPECT_TRUE(world.Ready("weather")) << world.Reason("weather", "Ready");
  world.engine.SetDown(false);
  world.Pass(minutes(1));
  EXPECT_TRUE(world.Ready("news"));
  EXPECT_EQ(world.Containers().size(), 2u);
}

TEST(ControllerTest, WhatAChangeCostsDoesNotGrowWithTheServersThatAreThere) {
  World world;
  for (int i = 0; i < 50; ++i) world.desired.Put(Server("server-" + std::to_string(i)));
  world.Settle();
  const int lists = world.metrics.Get("op_List"), looks = world.metrics.Get("op_Look");
  world.desired.Put(Server("server-7").Image("v2").Generation(2));
  world.Settle();
  EXPECT_TRUE(world.Ready("server-7"));
  EXPECT_EQ(world.metrics.Get("op_List"), lists);
  EXPECT_GE(world.metrics.Get("op_Look"), looks + 1);
}

TEST(ControllerTest, FiftyIdleServersCostOneListAPeriodAndNoStatusWrite) {
  World world;
  for (int i = 0; i < 50; ++i) world.desired.Put(Server("s" + std::to_string(i)));
  world.Settle();
  world.Pass(minutes(1));
  const int lists = world.metrics.Get("op_List"), writes = world.status.writes();
  world.Pass(minutes(5));
  EXPECT_EQ(world.metrics.Get("op_List") - lists, 10);
  EXPECT_EQ(world.status.writes(), writes);
}

TEST(ControllerTest, DrainStopsAndRemovesEverything) {
  World world;
  for (int i = 0; i < 5; ++i) world.desired.Put(Server("s" + std::to_string(i)));
  world.Settle();
  EXPECT_TRUE(world.controller->Drain(Deadline::After(seconds(5))).ok());
  EXPECT_TRUE(world.Containers().empty());
}

TEST(ControllerTest, ADrainByAFreshMcpletGivesEachServerItsOwnGrace) {
  World world;
  DesiredServer slow = Server("slow");
  slow.spec.termination_grace = seconds(25);
  world.desired.Put(slow);
  world.Settle();
  world.Boot();
  EXPECT_TRUE(world.controller->Drain(Deadline::After(seconds(5))).ok());
  EXPECT_TRUE(world.Containers().empty());
  EXPECT_EQ(world.engine.last_grace(), Duration(seconds(25)));
}

}  // namespace
}  // namespace mcpfleet
