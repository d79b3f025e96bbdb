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
    if (phase == MainState::Phase::kRunning) BeginIncarnation("x", kNow, &observed_.instances.back().probe);
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
    if (view.connected) BeginIncarnation("x", kNow, &view.probe);
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
    for (InstanceView& view : observed_.instances) view.restart = observed_.restart;
    return *this;
  }
  Seen& RuntimeGone() { return observed_.runtime_reason = "RuntimeUnavailable", *this; }
  Seen& Previous(const DesiredServer& server, bool pulled) {
    observed_.previous = std::make_shared<DesiredServer>(server);
    if (pulled) observed_.previous_artifact.phase = ArtifactState::Phase::kReady;
    return *this;
  }
  Seen& Verified() {
    ProbeState& probe = observed_.instances.back().probe;
    BeginIncarnation("x", kNow, &probe);
    probe.handshake = probe.verified = true;
    probe.verified_at = kNow;
    probe.next_verify = kNow + seconds(60);
    probe.next_ping = kNow + seconds(20);
    return *this;
  }
  Seen& LivenessFailures(int n) { return Verified(), observed_.instances.back().probe.liveness_failures = n, *this; }
  Seen& Unanswered(int n) { return observed_.instances.back().probe.startup_failures = n, *this; }
  // A roll-out under way, begun so long ago.
  Seen& Rollout(Duration ago, const DesiredServer* before, bool old_was_good = true) {
    observed_.rollout = RolloutState{kNow - ago, old_was_good, nullptr};
    if (before != nullptr) observed_.rollout->before = std::make_shared<DesiredServer>(*before);
    return *this;
  }
  Seen& Draining(Duration ago, int conversations) {
    observed_.instances.back().draining_since = kNow - ago;
    return Conversations(conversations);
  }
  Seen& Conversations(int n) { return observed_.instances.back().conversations = n, *this; }
  // Clients can be seen; the last one asked so long ago.
  Seen& Used(std::optional<Duration> ago) {
    observed_.traffic = true;
    if (ago) observed_.last_used = kNow - *ago;
    return *this;
  }
  Seen& Asleep(const DesiredServer& server, Duration ago) {
    observed_.sleep.phase = SleepState::Phase::kAsleep;
    observed_.sleep.since = kNow - ago;
    observed_.sleep.uid = server.uid;
    observed_.sleep.revision = server.revision;
    observed_.sleep.generation = server.generation;
    return *this;
  }
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
const DesiredServer kV2 = Server("weather").Image("v2").Recreate().Build();
const DesiredServer kRolling = Server("weather").Image("v2").Build();
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

// An old revision that serves.
Seen Serving() { return Seen().Instance("old", kV1).Main(kRunning).Verified().Previous(kV1, true); }

TEST(PlanTest, ANewRevisionStartsBesideTheOldOneWhichIsLookedAfter) {
  EXPECT_EQ(PlanText(&kRolling, Serving()), "WaitUntil probe, Also, PullArtifact");
  EXPECT_EQ(PlanText(&kRolling, Serving().Pulled()),
            "WaitUntil probe, Also, BeginRollout, CreateInstance weather-new, StartInstance weather-new");
  EXPECT_EQ(PlanText(&kRolling, Serving().Pulled().Rollout(seconds(1), &kV1).Instance("new", kRolling).Main(kRunning)),
            "WaitUntil probe, Also, WaitUntil progress deadline, Verify new");
}

TEST(PlanTest, WhatFailsOfTheNewRevisionKeepsNothingFromTheOldOne) {
  const auto seen = [] { return Serving().Pulled().Rollout(seconds(1), &kV1).Instance("new", kRolling); };
  Observed observed = seen().Main(MainState::Phase::kExited).Ended(RestartVerdict::kRestart, seconds(30));
  observed.instances[0].restart = RestartState{};
  EXPECT_EQ(PlanText(&kRolling, observed), "WaitUntil probe, Also, WaitUntil progress deadline, WaitUntil back-off");
  // And the other way round.
  observed = seen().Main(kRunning);
  observed.instances[0].main.phase = MainState::Phase::kExited;
  observed.instances[0].restart.verdict = RestartVerdict::kRestart;
  observed.instances[0].restart.next_attempt = kNow + seconds(9);
  EXPECT_EQ(PlanText(&kRolling, observed), "WaitUntil back-off, Also, WaitUntil progress deadline, Verify new");
}

TEST(PlanTest, OnceVerifiedTheNewRevisionTakesTheClientsAndTheOldOneDrains) {
  const auto seen = [](int conversations) {
    return Serving().Pulled().Conversations(conversations).Instance("new", kRolling).Main(kRunning).Verified();
  };
  EXPECT_EQ(PlanText(&kRolling, seen(0)), "WaitUntil probe, Also, BeginDrain old, WaitUntil probe");
  const std::string stop =
      "StopMain old, StopInstance old, RemoveInstance old, ForgetInstance old, Also, WaitUntil probe";
  const auto draining = [](Duration ago, int conversations) {
    return Serving().Pulled().Draining(ago, conversations).Instance("new", kRolling).Main(kRunning).Verified();
  };
  EXPECT_EQ(PlanText(&kRolling, draining(seconds(1), 0)), "WaitUntil drain, Also, WaitUntil probe")
      << "what was on its way may still arrive";
  EXPECT_EQ(PlanText(&kRolling, draining(kSettle, 0)), stop);
  EXPECT_EQ(PlanText(&kRolling, draining(seconds(599), 1)), "WaitUntil drain, Also, WaitUntil probe");
  EXPECT_EQ(PlanText(&kRolling, draining(seconds(600), 1)), stop);
}

TEST(PlanTest, AnOldRevisionServesAgainWhenTheNewOneCeasesToAnswerBeforeItIsGone) {
  const auto seen = [](MainState::Phase phase) {
    return Serving().Pulled().Draining(seconds(900), 0).Instance("new", kRolling).Main(phase);
  };
  EXPECT_EQ(PlanText(&kRolling, seen(kRunning)), "Verify new") << "a new mcplet has not asked it yet";
  EXPECT_EQ(PlanText(&kRolling, seen(MainState::Phase::kExited)), "ResumeOld old, Also, StartMain new");
  EXPECT_EQ(PlanText(&kRolling, Serving().Pulled().Draining(seconds(1), 0)),
            "ResumeOld old, WaitUntil drain, Also, CreateInstance weather-new, StartInstance weather-new")
      << "somebody removed the new one";
}

TEST(PlanTest, AThirdRevisionWaitsUntilTheFirstOneHasDrained) {
  const DesiredServer third = Server("weather").Image("v3");
  const auto seen = [](Duration ago) {
    return Seen()
        .Pulled()
        .Previous(kRolling, true)
        .Instance("first", kV1)
        .Main(kRunning)
        .Draining(ago, 2)
        .Instance("second", kRolling)
        .Main(kRunning)
        .Verified();
  };
  EXPECT_EQ(PlanText(&third, seen(seconds(60))), "WaitUntil drain, Also, WaitUntil probe");
  EXPECT_EQ(PlanText(&third, seen(seconds(600))).substr(0, 15), "StopMain first,");
}

TEST(PlanTest, OfTwoOldRevisionsTheOneThatNeverAnsweredGoes) {
  const DesiredServer third = Server("weather").Image("v3");
  EXPECT_EQ(PlanText(&third, Serving().Pulled().Instance("second", kRolling).Main(kRunning)),
            "WaitUntil probe, Also, StopMain second, StopInstance second, RemoveInstance second, ForgetInstance "
            "second, BeginRollout, CreateInstance weather-new, StartInstance weather-new");
}

TEST(PlanTest, AnOldRevisionThatDoesNotRunIsReplaced) {
  EXPECT_EQ(PlanText(&kRolling, Seen().Pulled().Instance("old", kV1, InstanceState::kExited)),
            "RemoveInstance old, ForgetInstance old, CreateInstance weather-new, StartInstance weather-new");
}

TEST(PlanTest, AServerMadeAgainUnderTheSameNameTakesOverNoClients) {
  const DesiredServer again = Server("weather").Image("v2").Uid("other");
  EXPECT_EQ(PlanText(&again, Serving().Pulled()),
            "StopMain old, StopInstance old, RemoveInstance old, ForgetInstance old, CreateInstance weather-new, "
            "StartInstance weather-new");
}

TEST(PlanTest, ARolloutThatMissesItsDeadlineIsUndone) {
  const auto seen = [](Duration ago, const DesiredServer* before, bool good) {
    return Serving().Pulled().Rollout(ago, before, good).Instance("new", kRolling).Main(kRunning).Unanswered(1);
  };
  EXPECT_EQ(PlanText(&kRolling, seen(seconds(300), &kV1, true).Unanswered(0)), "WaitUntil probe, Also, Verify new")
      << "it was not asked yet";
  EXPECT_EQ(PlanText(&kRolling, seen(seconds(300), &kV1, true)),
            "WaitUntil probe, Also, StopMain new, StopInstance new, RemoveInstance new, ForgetInstance new, "
            "UndoRollout");
  const std::string goes_on = "WaitUntil probe, Also, Verify new";
  EXPECT_EQ(PlanText(&kRolling, seen(seconds(300), nullptr, true)), goes_on) << "nobody knows the spec before";
  EXPECT_EQ(PlanText(&kRolling, seen(seconds(300), &kV1, false)), goes_on) << "the one before was no better";
  const DesiredServer stubborn = Server("weather").Image("v2").NoRollback();
  EXPECT_EQ(PlanText(&stubborn, seen(seconds(300), &kV1, true)), goes_on);
}

TEST(PlanTest, ARolloutWhoseRestartsAreOverIsUndoneBeforeItsDeadline) {
  Observed observed = Serving()
                          .Pulled()
                          .Rollout(seconds(9), &kV1)
                          .Instance("new", kRolling)
                          .Main(MainState::Phase::kExited)
                          .Ended(RestartVerdict::kFailed);
  observed.instances[0].restart = RestartState{};
  EXPECT_EQ(PlanText(&kRolling, observed),
            "WaitUntil probe, Also, StopInstance new, RemoveInstance new, ForgetInstance new, UndoRollout");
}

TEST(PlanTest, AnOldRevisionThatComesToLightWhenTheWantedOneHasEndedForGoodIsALeftover) {
  const auto seen = [] { return Seen().Pulled().Instance("old", kV1).Main(kRunning).Verified(); };
  EXPECT_EQ(PlanText(&kRolling, seen().Ended(RestartVerdict::kCompleted)),
            "StopMain old, StopInstance old, RemoveInstance old, ForgetInstance old");
  EXPECT_EQ(PlanText(&kRolling, seen().Ended(RestartVerdict::kCompleted).Rollout(seconds(1), nullptr)), "");
}

TEST(PlanTest, AnIdleServerOnDemandGoesToSleep) {
  DesiredServer server = Server("weather").OnDemand(seconds(60));
  const auto seen = [&](Duration verified_for, std::optional<Duration> used) {
    Observed observed = Seen().Pulled().Instance("a", server).Main(kRunning).Verified().Used(used);
    observed.instances[0].probe.verified_at = kNow - verified_for;
    return observed;
  };
  EXPECT_EQ(PlanText(&server, seen(seconds(59), std::nullopt)), "WaitUntil idle, WaitUntil probe");
  EXPECT_EQ(PlanText(&server, seen(seconds(60), std::nullopt)), "GoToSleep a");
  EXPECT_EQ(PlanText(&server, seen(seconds(600), seconds(59))), "WaitUntil idle, WaitUntil probe");
  EXPECT_EQ(PlanText(&server, seen(seconds(600), seconds(60))), "GoToSleep a");
  Observed busy = seen(seconds(600), seconds(600));
  busy.instances[0].conversations = 1;
  EXPECT_EQ(PlanText(&server, busy), "WaitUntil probe") << "a session may be idle, a call may take long";
  Observed blind = seen(seconds(600), seconds(600));
  blind.traffic = false;
  EXPECT_EQ(PlanText(&server, blind), "WaitUntil probe") << "who would wake it?";
  Observed unpulled = seen(seconds(600), seconds(600));
  unpulled.artifact.phase = ArtifactState::Phase::kAbsent;
  EXPECT_EQ(PlanText(&server, unpulled), "PullArtifact, WaitUntil probe") << "it could not come back";
  Observed unverified = seen(seconds(600), seconds(600));
  unverified.instances[0].probe.verified = false;
  EXPECT_EQ(PlanText(&server, unverified), "WaitUntil probe");
}

TEST(PlanTest, ASleepingServersChildEndsAndItsShimStays) {
  const DesiredServer server = Server("weather").OnDemand();
  const auto seen = [&](Duration ago) {
    return Seen().Pulled().Used(std::nullopt).Instance("a", server).Asleep(server, ago);
  };
  EXPECT_EQ(PlanText(&server, seen(seconds(1)).Main(kRunning).Verified()), "WaitUntil sleep");
  EXPECT_EQ(PlanText(&server, seen(kSettle).Main(kRunning).Verified()), "StopMain a");
  EXPECT_EQ(PlanText(&server, seen(kSettle).Main(MainState::Phase::kExited)), "");
  EXPECT_EQ(PlanText(&server, seen(kSettle).Attached(kRunning)), "StopInstance a, RemoveInstance a, ForgetInstance a");
  const Observed exited =
      Seen().Pulled().Used(std::nullopt).Instance("a", server, InstanceState::kExited).Asleep(server, kSettle);
  EXPECT_EQ(PlanText(&server, exited), "RemoveInstance a, ForgetInstance a") << "the node rebooted";
}

TEST(PlanTest, ASleepingServerWakesWhenAClientAsksOrItsSpecChanges) {
  const DesiredServer server = Server("weather").OnDemand();
  const auto seen = [&] { return Seen().Pulled().Instance("a", server).Asleep(server, seconds(60)); };
  EXPECT_EQ(PlanText(&server, seen().Used(seconds(61))), "");
  EXPECT_EQ(PlanText(&server, seen().Used(seconds(60))), "WakeUp") << "asked in the moment that it fell asleep";
  EXPECT_EQ(PlanText(&server, seen().Used(seconds(59))), "WakeUp");
  EXPECT_EQ(PlanText(&server, seen().Used(seconds(90)).Conversations(1)), "WakeUp");
  const DesiredServer changed = Server("weather").OnDemand().Generation(2);
  EXPECT_EQ(PlanText(&changed, seen().Used(std::nullopt)), "WakeUp");
  const DesiredServer always = Server("weather");
  EXPECT_EQ(PlanText(&always, seen().Used(std::nullopt)), "WakeUp");
  const DesiredServer next = Server("weather").Image("v2").OnDemand();
  EXPECT_EQ(PlanText(&next, seen().Used(std::nullopt)), "WakeUp") << "the old one serves until the new one can";
}

}  // namespace
}  // namespace mcpfleet
