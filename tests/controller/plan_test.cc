#include "controller/core/plan.h"

#include <gtest/gtest.h>

#include "tests/controller/world.h"

namespace mcpfleet {
namespace {

using std::chrono::seconds;

const MonoTime kNow = MonoTime(seconds(1000));

// An Observed in a few words.
class Seen {
 public:
  Seen() {
    observed_.removals_allowed = true;
    observed_.new_instance = "weather-new";
    observed_.runtime = RuntimeKind::kDocker;
  }
  Seen& Instance(const std::string& id, const DesiredServer& of, InstanceState state = InstanceState::kRunning) {
    InstanceView view;
    view.report.id = id;
    view.report.runtime = RuntimeKind::kDocker;
    view.report.server = of.key;
    view.report.uid = of.uid;
    view.report.revision = of.revision;
    view.report.state = state;
    view.report.pid = state == InstanceState::kRunning ? 100 : 0;
    view.report.created_at = WallTime(seconds(static_cast<int>(observed_.instances.size())));
    view.expected = view.connected = state == InstanceState::kRunning;
    view.expected_at = kNow;
    observed_.instances.push_back(view);
    return *this;
  }
  Seen& Main(MainState::Phase phase) {
    observed_.instances.back().main.phase = phase;
    observed_.instances.back().main.since = kNow;
    if (phase == MainState::Phase::kRunning) BeginIncarnation("x", kNow, &observed_.probe);
    return *this;
  }
  // The last instance without a shim: its session stands, or is in `phase`.
  Seen& Attached(MainState::Phase phase, Duration since = {}) {
    InstanceView& view = observed_.instances.back();
    view.report.shim = false;
    view.report.attached = "no shim here";
    view.expected = false;
    view.connected = phase == MainState::Phase::kRunning && view.report.state == InstanceState::kRunning;
    view.main.phase = phase;
    view.main.since = kNow - since;
    if (view.connected) BeginIncarnation("x", kNow, &observed_.probe);
    return *this;
  }
  Seen& FailedToStart(int times) { return observed_.instances.back().failed_starts = times, *this; }
  Seen& Pulled() { return observed_.artifact.phase = ArtifactState::Phase::kReady, *this; }
  Seen& PullFailed(Duration wait) {
    observed_.artifact.phase = ArtifactState::Phase::kFailed;
    observed_.artifact.retry_at = kNow + wait;
    return *this;
  }
  Seen& RemovalsWait() { return observed_.removals_allowed = false, *this; }
  Seen& NotConnected(Duration since) {
    observed_.instances.back().connected = false;
    observed_.instances.back().expected_at = kNow - since;
    return *this;
  }
  Seen& Ended(RestartVerdict verdict, Duration wait = {}) {
    observed_.restart.verdict = verdict;
    observed_.restart.next_attempt = kNow + wait;
    return *this;
  }
  Seen& RuntimeGone() { return observed_.runtime_reason = "RuntimeUnavailable", *this; }
  Seen& Previous(const DesiredServer& server, bool pulled) {
    observed_.previous = std::make_shared<DesiredServer>(server);
    if (pulled) observed_.previous_artifact.phase = ArtifactState::Phase::kReady;
    return *this;
  }
  Seen& Verified() {
    BeginIncarnation("x", kNow, &observed_.probe);
    observed_.probe.handshake = observed_.probe.verified = true;
    observed_.probe.next_verify = kNow + seconds(60);
    observed_.probe.next_ping = kNow + seconds(20);
    return *this;
  }
  Seen& LivenessFailures(int n) { return Verified(), observed_.probe.liveness_failures = n, *this; }
  operator const Observed&() const { return observed_; }  // NOLINT: a builder is what it builds

 private:
  Observed observed_;
};

std::string PlanText(const DesiredServer* desired, const Observed& observed) {
  std::string text;
  for (const Action& action : Plan(desired, observed, kNow)) text += (text.empty() ? "" : ", ") + ToString(action);
  return text;
}

const DesiredServer kV1 = Server("weather").Image("v1").Build();
const DesiredServer kV2 = Server("weather").Image("v2").Build();
constexpr auto kRunning = MainState::Phase::kRunning;

TEST(PlanTest, NothingIsDoneForWhatIsNeitherWantedNorThere) { EXPECT_EQ(PlanText(nullptr, Seen()), ""); }

TEST(PlanTest, ANewServerIsPulledThenCreatedAndStarted) {
  EXPECT_EQ(PlanText(&kV1, Seen()), "PullArtifact");
  EXPECT_EQ(PlanText(&kV1, Seen().Pulled()), "CreateInstance weather-new, StartInstance weather-new");
}

TEST(PlanTest, ACreatedInstanceIsStartedNotCreatedAgain) {
  EXPECT_EQ(PlanText(&kV1, Seen().Pulled().Instance("a", kV1, InstanceState::kCreated)), "StartInstance a");
}

TEST(PlanTest, AnInstanceThatItsEngineNeverStartsIsMadeAnew) {
  const auto seen = [](int failed) {
    return Seen().Pulled().Instance("a", kV1, InstanceState::kCreated).FailedToStart(failed);
  };
  EXPECT_EQ(PlanText(&kV1, seen(kStartsOfOneInstance - 1)), "StartInstance a");
  EXPECT_EQ(PlanText(&kV1, seen(kStartsOfOneInstance)),
            "RemoveInstance a, ForgetInstance a, CreateInstance weather-new, StartInstance weather-new");
}

TEST(PlanTest, ARunningInstanceGetsItsMainChildThenAHandshake) {
  EXPECT_EQ(PlanText(&kV1, Seen().Pulled().Instance("a", kV1)), "StartMain a");
  EXPECT_EQ(PlanText(&kV1, Seen().Pulled().Instance("a", kV1).Main(kRunning)), "Verify a");
}

TEST(PlanTest, AVerifiedServerOnlyWaitsForItsNextProbe) {
  EXPECT_EQ(PlanText(&kV1, Seen().Pulled().Instance("a", kV1).Main(kRunning).Verified()), "WaitUntil probe");
}

TEST(PlanTest, DeletionEndsTheChildThenStopsThenRemoves) {
  EXPECT_EQ(PlanText(nullptr, Seen().Instance("a", kV1).Main(kRunning)),
            "StopMain a, StopInstance a, RemoveInstance a, ForgetInstance a");
}

TEST(PlanTest, AbsenceMeansNothingWhileRemovalsMustWait) {
  EXPECT_EQ(PlanText(nullptr, Seen().Instance("a", kV1).Main(kRunning).RemovalsWait()), "");
}

TEST(PlanTest, SuspensionRemovesTheInstance) {
  const DesiredServer suspended = Server("weather").Suspend();
  EXPECT_EQ(PlanText(&suspended, Seen().Instance("a", kV1, InstanceState::kExited)),
            "RemoveInstance a, ForgetInstance a");
}

TEST(PlanTest, TheOldRevisionServesUntilTheArtifactOfTheNewOneIsThere) {
  EXPECT_EQ(PlanText(&kV2, Seen().Instance("a", kV1).Main(kRunning).Verified().Previous(kV1, true)),
            "PullArtifact, WaitUntil probe");
  EXPECT_EQ(PlanText(&kV2, Seen().Pulled().Instance("a", kV1).Main(kRunning).Verified()),
            "StopMain a, StopInstance a, RemoveInstance a, ForgetInstance a, CreateInstance weather-new, StartInstance "
            "weather-new");
}

TEST(PlanTest, WhatRunsWithoutItsArtifactAsksForItUntilItIsThere) {
  EXPECT_EQ(PlanText(&kV1, Seen().Instance("a", kV1).Main(kRunning).Verified()), "PullArtifact, WaitUntil probe");
  EXPECT_EQ(PlanText(&kV1, Seen().PullFailed(seconds(4)).Instance("a", kV1).Main(kRunning).Verified()),
            "WaitUntil pull back-off, WaitUntil probe");
  EXPECT_EQ(PlanText(&kV1, Seen().PullFailed(seconds(0)).Instance("a", kV1).Main(kRunning).Verified()),
            "PullArtifact, WaitUntil probe");
}

TEST(PlanTest, AnInstanceOfAnotherRevisionGoesBeforeAnythingStarts) {
  EXPECT_EQ(
      PlanText(&kV2, Seen().Pulled().Instance("old", kV1).Main(kRunning).Instance("new", kV2, InstanceState::kCreated)),
      "StopMain old, StopInstance old, RemoveInstance old, ForgetInstance old, StartInstance new");
}

TEST(PlanTest, OfTwoInstancesOfOneRevisionTheRunningOneStays) {
  EXPECT_EQ(PlanText(&kV1, Seen().Pulled().Instance("a", kV1).Main(kRunning).Verified().Instance(
                               "b", kV1, InstanceState::kExited)),
            "RemoveInstance b, ForgetInstance b, WaitUntil probe");
}

TEST(PlanTest, OfTwoRunningInstancesTheNewerOneStays) {
  EXPECT_EQ(PlanText(&kV1, Seen().Pulled().Instance("a", kV1).Instance("b", kV1).Main(kRunning).Verified()),
            "StopInstance a, RemoveInstance a, ForgetInstance a, WaitUntil probe");
}

TEST(PlanTest, TheSameSpecUnderANewUidIsAnotherServer) {
  const DesiredServer again = Server("weather").Uid("other");
  EXPECT_EQ(PlanText(&again, Seen().Pulled().Instance("a", kV1, InstanceState::kExited)),
            "RemoveInstance a, ForgetInstance a, CreateInstance weather-new, StartInstance weather-new");
}

TEST(PlanTest, AnExitedInstanceIsMadeAnewOnlyAfterItsBackOff) {
  EXPECT_EQ(
      PlanText(&kV1,
               Seen().Pulled().Instance("a", kV1, InstanceState::kExited).Ended(RestartVerdict::kRestart, seconds(4))),
      "WaitUntil back-off");
  EXPECT_EQ(PlanText(&kV1, Seen().Pulled().Instance("a", kV1, InstanceState::kExited).Ended(RestartVerdict::kRestart)),
            "RemoveInstance a, ForgetInstance a, CreateInstance weather-new, StartInstance weather-new");
}

TEST(PlanTest, AnEndedChildStartsAgainInTheSameInstance) {
  EXPECT_EQ(
      PlanText(&kV1,
               Seen().Pulled().Instance("a", kV1).Main(MainState::Phase::kExited).Ended(RestartVerdict::kRestart)),
      "StartMain a");
}

TEST(PlanTest, WhatFailedForGoodIsLeftAlone) {
  EXPECT_EQ(
      PlanText(&kV1, Seen().Pulled().Instance("a", kV1).Main(MainState::Phase::kExited).Ended(RestartVerdict::kFailed)),
      "");
}

TEST(PlanTest, FailedLivenessEndsTheChildForARestart) {
  EXPECT_EQ(PlanText(&kV1, Seen().Pulled().Instance("a", kV1).Main(kRunning).LivenessFailures(2)), "WaitUntil probe");
  EXPECT_EQ(PlanText(&kV1, Seen().Pulled().Instance("a", kV1).Main(kRunning).LivenessFailures(3)),
            "StopMain a LivenessFailed");
}

TEST(PlanTest, AnUnknownShimIsExpectedBeforeAnythingElse) {
  Seen seen = Seen().Pulled().Instance("a", kV1);
  Observed observed = seen;
  observed.instances[0].expected = false;
  EXPECT_EQ(PlanText(&kV1, observed), "ExpectShim a");
}

TEST(PlanTest, AShimThatStaysAwayCostsItsInstance) {
  EXPECT_EQ(PlanText(&kV1, Seen().Pulled().Instance("a", kV1).NotConnected(seconds(5))), "WaitUntil shim");
  EXPECT_EQ(PlanText(&kV1, Seen().Pulled().Instance("a", kV1).NotConnected(seconds(31))),
            "StopInstance a ShimLost, RemoveInstance a, ForgetInstance a");
}

TEST(PlanTest, ARejectedVersionStartsNothingAndStopsNothing) {
  const DesiredServer rejected = Server("weather").Image("v2").Rejected("InvalidSpec");
  EXPECT_EQ(PlanText(&rejected, Seen()), "");
  EXPECT_EQ(PlanText(&rejected, Seen().Instance("a", kV1).Main(kRunning)), "");
  EXPECT_EQ(PlanText(&rejected, Seen().Instance("a", kV1).Main(kRunning).Verified().Previous(kV1, true)),
            "WaitUntil probe");
}

TEST(PlanTest, APendingVersionKeepsTheOneBeforeInForce) {
  const DesiredServer pending = Server("weather").Image("v1").Pending();
  EXPECT_EQ(PlanText(&pending, Seen().Pulled()), "CreateInstance weather-new, StartInstance weather-new");
}

TEST(PlanTest, WithoutItsRuntimeNothingIsPulledOrCreated) {
  EXPECT_EQ(PlanText(&kV1, Seen().RuntimeGone()), "");
  EXPECT_EQ(PlanText(&kV1, Seen().Pulled().RuntimeGone()), "");
}

TEST(PlanTest, ARemoteServerIsProbedAndOldInstancesOfItGo) {
  const DesiredServer remote = Server("weather").Remote("https://mcp.test/mcp");
  EXPECT_EQ(PlanText(&remote, Seen().Instance("a", kV1, InstanceState::kExited)),
            "RemoveInstance a, ForgetInstance a, Verify ");
}

TEST(PlanTest, AnAttachedInstanceIsProbedAsLongAsItsSessionStands) {
  EXPECT_EQ(PlanText(&kV1, Seen().Pulled().Instance("a", kV1).Attached(kRunning)), "Verify a");
}

TEST(PlanTest, ASessionThatEndedWithTheLastMcpletIsReplacedAtOnceAndUncounted) {
  constexpr auto kLost = MainState::Phase::kAbsent;
  const std::string again =
      "StopInstance a, RemoveInstance a, ForgetInstance a, CreateInstance weather-new, StartInstance weather-new";
  EXPECT_EQ(PlanText(&kV1, Seen().Pulled().Instance("a", kV1).Attached(kLost)), again);
  // What is needed for the new one first.
  EXPECT_EQ(PlanText(&kV1, Seen().Instance("a", kV1).Attached(kLost)), "PullArtifact");
  // Without a stdio session there is nothing to lose.
  Observed http = Seen().Pulled().Instance("a", kV1).Attached(kRunning);
  http.instances[0].report.attached.clear();
  http.instances[0].connected = false;
  http.instances[0].main = MainState{};
  EXPECT_EQ(PlanText(&kV1, http), "Verify a");
  // An old revision is not made again.
  EXPECT_EQ(PlanText(&kV2, Seen().Instance("a", kV1).Attached(kLost).Previous(kV1, true)), "PullArtifact");
}

TEST(PlanTest, ASessionLostUnderOurEyesIsARestartOnceTheEngineHadTimeToTellOfAnEnd) {
  constexpr auto kOver = MainState::Phase::kExited;
  EXPECT_EQ(PlanText(&kV1, Seen().Pulled().Instance("a", kV1).Attached(kOver, seconds(4))),
            "WaitUntil end of an attached instance");
  EXPECT_EQ(PlanText(&kV1, Seen().Pulled().Instance("a", kV1).Attached(kOver, seconds(5))),
            "StopInstance a AttachLost, RemoveInstance a, ForgetInstance a");
}

}  // namespace
}  // namespace mcpfleet
