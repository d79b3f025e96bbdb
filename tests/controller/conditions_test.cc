#include "controller/core/conditions.h"

#include <gtest/gtest.h>

#include "tests/controller/world.h"

namespace mcpfleet {
namespace {

using std::chrono::seconds;

TEST(ConditionsTest, AnEmptyNodeSaysWhatIsMissingFirst) {
  const DesiredServer server = Server("weather");
  Observed observed;
  ServerStatus status = BuildStatus({server.key, &server, &observed, {}, MonoTime{}, WallTime{}}, nullptr);
  EXPECT_EQ(FindCondition(status.conditions, "Accepted")->status, ConditionStatus::kTrue);
  EXPECT_EQ(FindCondition(status.conditions, "Ready")->reason, "NotPulled");
  EXPECT_FALSE(IsReady(status));
  EXPECT_EQ(status.conditions.size(), 9u);
}

TEST(ConditionsTest, AnAttachedServerIsReadyAndItsStatusSaysThatItIsAttachedAndWhy) {
  const DesiredServer server = Server("weather");
  Observed observed;
  observed.artifact.phase = ArtifactState::Phase::kReady;
  InstanceView view;
  view.report = {.id = "a", .uid = server.uid, .revision = server.revision, .state = InstanceState::kRunning};
  view.report.shim = false;
  view.report.attached = "no mcp-shim";
  view.connected = true;
  observed.instances.push_back(view);
  observed.probe.handshake = observed.probe.verified = true;
  const StatusInput input{server.key, &server, &observed, {}, MonoTime{}, WallTime{}};
  ServerStatus status = BuildStatus(input, nullptr);
  EXPECT_TRUE(IsReady(status));
  const Condition* stdio = FindCondition(status.conditions, "StdioTransport");
  ASSERT_NE(stdio, nullptr);
  EXPECT_EQ(stdio->status, ConditionStatus::kFalse);
  EXPECT_EQ(stdio->reason, "Attach");
  EXPECT_TRUE(stdio->message.starts_with("no mcp-shim")) << stdio->message;
  // Without its session it is not available, whatever the engine says of its process.
  observed.instances[0].connected = false;
  EXPECT_FALSE(IsReady(BuildStatus(input, &status)));
  observed.instances[0].report.attached.clear();
  observed.instances[0].report.shim = true;
  EXPECT_EQ(FindCondition(BuildStatus(input, &status).conditions, "StdioTransport")->reason, "Shim");
}

TEST(ConditionsTest, AServerThatItsPolicyEndedSaysSoAndNotThatAPullFailed) {
  const DesiredServer server = Server("weather");
  Observed observed;
  observed.artifact.phase = ArtifactState::Phase::kFailed;  // asked for while what was adopted ran
  observed.artifact.message = "no such image";
  InstanceView view;
  view.report = {.id = "a", .uid = server.uid, .revision = server.revision, .state = InstanceState::kRunning};
  view.connected = true;
  view.main.phase = MainState::Phase::kExited;
  observed.instances.push_back(view);
  observed.restart.last_reason = "Error";
  observed.restart.revision = server.revision;
  observed.restart.verdict = RestartVerdict::kFailed;
  const StatusInput input{server.key, &server, &observed, {}, MonoTime{}, WallTime{}};
  ServerStatus status = BuildStatus(input, nullptr);
  EXPECT_EQ(FindCondition(status.conditions, "Ready")->reason, "Failed");
  EXPECT_EQ(FindCondition(status.conditions, "Progressing")->reason, "Failed");
  EXPECT_EQ(FindCondition(status.conditions, "ArtifactReady")->reason, "NotNeeded");
  // An end of another revision does not keep this one from starting: its pull matters.
  observed.restart.revision = "another";
  EXPECT_EQ(FindCondition(BuildStatus(input, &status).conditions, "Ready")->reason, "PullFailed");
}

TEST(ConditionsTest, TransitionTimesMoveOnlyWhenTheStatusChanges) {
  const DesiredServer server = Server("weather");
  Observed observed;
  ServerStatus first = BuildStatus({server.key, &server, &observed, {}, MonoTime{}, WallTime(seconds(10))}, nullptr);
  observed.artifact.phase = ArtifactState::Phase::kFailed;
  observed.artifact.message = "no such image";
  ServerStatus second = BuildStatus({server.key, &server, &observed, {}, MonoTime{}, WallTime(seconds(20))}, &first);
  EXPECT_EQ(FindCondition(second.conditions, "Accepted")->last_transition_time, WallTime(seconds(10)));
  EXPECT_EQ(FindCondition(second.conditions, "ArtifactReady")->last_transition_time, WallTime(seconds(20)));
  EXPECT_EQ(FindCondition(second.conditions, "Ready")->reason, "PullFailed");
  EXPECT_EQ(FindCondition(second.conditions, "Ready")->message, "no such image");
  EXPECT_EQ(FindCondition(second.conditions, "Progressing")->status, ConditionStatus::kFalse);
  EXPECT_FALSE(SameStatus(first, second));
  EXPECT_TRUE(SameStatus(second, second));
}

TEST(ConditionsTest, ACountdownIsNoReasonToWrite) {
  const DesiredServer server = Server("weather");
  Observed observed;
  observed.artifact.phase = ArtifactState::Phase::kReady;
  observed.restart.verdict = RestartVerdict::kRestart;
  observed.restart.next_attempt = MonoTime(seconds(100));
  ServerStatus at_10 = BuildStatus({server.key, &server, &observed, {}, MonoTime(seconds(10)), WallTime{}}, nullptr);
  ServerStatus at_20 = BuildStatus({server.key, &server, &observed, {}, MonoTime(seconds(20)), WallTime{}}, &at_10);
  EXPECT_EQ(FindCondition(at_20.conditions, "Ready")->reason, "CrashLoopBackOff");
  EXPECT_TRUE(SameStatus(at_10, at_20));
}

TEST(ConditionsTest, AFailedActionIsTheReasonWhileNothingRuns) {
  const DesiredServer server = Server("weather");
  Observed observed;
  observed.artifact.phase = ArtifactState::Phase::kReady;
  ServerStatus status = BuildStatus(
      {server.key, &server, &observed, {"CreateFailed", "no space left on device"}, MonoTime{}, WallTime{}}, nullptr);
  EXPECT_EQ(FindCondition(status.conditions, "Ready")->reason, "CreateFailed");
}

}  // namespace
}  // namespace mcpfleet
