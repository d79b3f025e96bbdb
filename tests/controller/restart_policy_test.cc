#include "controller/core/restart_policy.h"

#include <gtest/gtest.h>

namespace mcpfleet {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;

const MonoTime kNow = MonoTime(seconds(1000));

Duration Wait(RestartState* state, const RestartPolicy& policy, Duration healthy_for, int code = 1) {
  ExitCause cause;
  cause.exit = ExitInfo{code, 0, false};
  cause.healthy_for = healthy_for;
  RecordExit(policy, cause, kNow, WallTime{}, 0.5, state);
  return state->next_attempt - kNow;
}

TEST(RestartPolicyTest, TheFirstRestartAfterAHealthyMinuteIsImmediateThenTheWaitDoubles) {
  RestartState state;
  const RestartPolicy policy;
  EXPECT_EQ(Wait(&state, policy, seconds(60)), seconds(0));
  for (int64_t expected : {1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300}) {
    EXPECT_EQ(Wait(&state, policy, seconds(59)), seconds(expected));
  }
  EXPECT_EQ(Wait(&state, policy, minutes(2)), seconds(0));
}

TEST(RestartPolicyTest, JitterStaysWithinAFifthAndUnderTheMaximum) {
  EXPECT_EQ(BackOff(seconds(10), minutes(5), 1, 0), seconds(8));
  EXPECT_LT(BackOff(seconds(10), minutes(5), 1, 0.9999), seconds(12));
  EXPECT_EQ(BackOff(seconds(10), minutes(5), 60, 0.9999), minutes(5));
  EXPECT_EQ(BackOff(seconds(10), minutes(5), 0, 0.5), seconds(0));
}

TEST(RestartPolicyTest, PoliciesDecideByHowItEnded) {
  struct Case {
    RestartCondition condition;
    ExitInfo exit;
    bool forced;
    RestartVerdict verdict;
  };
  const ExitInfo well{0, 0, false}, badly{2, 0, false}, oom{137, 9, true};
  for (const Case& c : {Case{RestartCondition::kAlways, well, false, RestartVerdict::kRestart},
                        Case{RestartCondition::kOnFailure, well, false, RestartVerdict::kCompleted},
                        Case{RestartCondition::kOnFailure, well, true, RestartVerdict::kRestart},
                        Case{RestartCondition::kOnFailure, badly, false, RestartVerdict::kRestart},
                        Case{RestartCondition::kOnFailure, oom, false, RestartVerdict::kRestart},
                        Case{RestartCondition::kNever, well, false, RestartVerdict::kCompleted},
                        Case{RestartCondition::kNever, badly, false, RestartVerdict::kFailed}}) {
    RestartState state;
    RestartPolicy policy;
    policy.condition = c.condition;
    RecordExit(policy, {"", c.exit, "", "", {}, c.forced}, kNow, WallTime{}, 0, &state);
    EXPECT_EQ(state.verdict, c.verdict) << static_cast<int>(c.condition) << " code " << c.exit.code;
  }
}

TEST(RestartPolicyTest, MaxAttemptsCountsRestartsWithoutHealthBetween) {
  RestartState state;
  RestartPolicy policy;
  policy.max_attempts = 2;
  Wait(&state, policy, {});
  Wait(&state, policy, minutes(5));
  Wait(&state, policy, {});
  EXPECT_EQ(state.verdict, RestartVerdict::kRestart);
  Wait(&state, policy, {});
  EXPECT_EQ(state.verdict, RestartVerdict::kFailed);
  RecordNewSpec(&state);
  EXPECT_TRUE(state.Due("", kNow));
  EXPECT_EQ(state.count, 3);
}

TEST(RestartPolicyTest, ReasonsAreThoseOfKubernetes) {
  EXPECT_EQ(ReasonOf({137, 9, true}), "OOMKilled");
  EXPECT_EQ(ReasonOf({143, 15, false}), "Signalled");
  EXPECT_EQ(ReasonOf({1, 0, false}), "Error");
  EXPECT_EQ(ReasonOf({0, 0, false}), "Completed");
}

TEST(RestartPolicyTest, AnEndOfOneRevisionSaysNothingOfAnother) {
  RestartState state;
  Wait(&state, RestartPolicy{}, {});
  state.revision = "old";
  EXPECT_FALSE(state.Due("old", kNow));
  EXPECT_TRUE(state.Due("new", kNow));
}

}  // namespace
}  // namespace mcpfleet
