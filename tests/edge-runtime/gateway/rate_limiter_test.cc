#include "edge-runtime/gateway/rate_limiter.h"

#include <gtest/gtest.h>

namespace mcpfleet::gateway {
namespace {

using namespace std::chrono_literals;

const Subject kAnn{"bearer:ann"}, kBob{"bearer:bob"};

class RateLimiterTest : public ::testing::Test {
 protected:
  // Seconds to wait, 0 when admitted; what is admitted is over at once.
  int64_t Ask(RateLimiter& limiter, const Subject& subject = kAnn) {
    std::optional<Duration> wait = limiter.Admit(subject, clock_.Now());
    if (!wait.has_value()) limiter.Release();
    return wait.has_value() ? *wait / 1s : 0;
  }
  // How many of `tries` are admitted without time passing.
  int Burst(RateLimiter& limiter, int tries, const Subject& subject = kAnn) {
    int admitted = 0;
    for (int i = 0; i < tries; ++i) admitted += Ask(limiter, subject) == 0;
    return admitted;
  }
  FakeClock clock_;
};

TEST_F(RateLimiterTest, WithoutLimitsEverythingIsAdmitted) {
  RateLimiter limiter({});
  EXPECT_EQ(Burst(limiter, 10'000), 10'000);
  EXPECT_EQ(limiter.subjects(), 0u);
}

TEST_F(RateLimiterTest, ABucketHoldsOnePeriodAndFillsEvenly) {
  RateLimiter limiter({.requests = 6, .per = 1min});
  EXPECT_EQ(Burst(limiter, 20), 6);
  EXPECT_EQ(Ask(limiter), 10);
  clock_.Advance(9'999ms);
  EXPECT_EQ(Ask(limiter), 1) << "a millisecond is a whole second for Retry-After";
  clock_.Advance(1ms);
  EXPECT_EQ(Burst(limiter, 5), 1);
  clock_.Advance(25s);
  EXPECT_EQ(Burst(limiter, 5), 2);
  EXPECT_EQ(Ask(limiter), 5) << "the half that was there is kept";
  clock_.Advance(24h);
  EXPECT_EQ(Burst(limiter, 20), 6) << "it never holds more";
}

TEST_F(RateLimiterTest, WhoKeepsToTheAnswerIsAdmittedThen) {
  RateLimiter limiter({.requests = 7, .per = 1s, .per_subject = 3});
  int served = 0;
  for (int i = 0; i < 200; ++i) {
    const int64_t wait = Ask(limiter);
    served += wait == 0;
    clock_.Advance(std::chrono::seconds(wait));
  }
  EXPECT_GE(served, 120);
}

TEST_F(RateLimiterTest, RefusedRequestsTakeNothing) {
  RateLimiter limiter({.requests = 10, .per = 10s, .per_subject = 2});
  EXPECT_EQ(Burst(limiter, 1000, kAnn), 2);
  EXPECT_EQ(Burst(limiter, 1000, kBob), 2) << "what Ann was refused is not gone from all";
  EXPECT_EQ(Ask(limiter, kAnn), 5);
  clock_.Advance(5s);
  EXPECT_EQ(Burst(limiter, 1000, kAnn), 1) << "asking all the time did not push it away";
}

TEST_F(RateLimiterTest, TheLongerOfTwoWaitsIsSaid) {
  RateLimiter limiter({.requests = 2, .per = 1min, .per_subject = 1});
  EXPECT_EQ(Burst(limiter, 1, kAnn) + Burst(limiter, 1, kBob), 2);
  EXPECT_EQ(Ask(limiter, kAnn), 60);
  EXPECT_EQ(Ask(limiter, Subject{"bearer:new"}), 30);
  EXPECT_EQ(limiter.subjects(), 2u) << "who was only refused is not remembered";
}

TEST_F(RateLimiterTest, SoManyAtOnceAndAnotherWhenOneIsOver) {
  RateLimiter limiter({.requests = 100, .per = 100s, .max_concurrent = 2});
  EXPECT_EQ(limiter.Admit(kAnn, clock_.Now()), std::nullopt);
  EXPECT_EQ(limiter.Admit(kBob, clock_.Now()), std::nullopt);
  EXPECT_EQ(limiter.Admit(kBob, clock_.Now()), 1s);
  EXPECT_EQ(limiter.in_flight(), 2);
  limiter.Release();
  EXPECT_EQ(limiter.Admit(kAnn, clock_.Now()), std::nullopt);
  limiter.Release();
  limiter.Release();
  limiter.Release();  // one too many
  EXPECT_EQ(limiter.in_flight(), 0);
  EXPECT_EQ(Burst(limiter, 200), 97) << "what was refused for the number at once took no token";
}

TEST_F(RateLimiterTest, OnlyTheSubjectsThatAskedLastAreRemembered) {
  RateLimiter limiter({.per = 1h, .per_subject = 1});
  EXPECT_EQ(Ask(limiter, kAnn), 0);
  EXPECT_EQ(Ask(limiter, kBob), 0);
  for (size_t i = 0; i < RateLimiter::kMaxSubjects; ++i) {
    EXPECT_EQ(Ask(limiter, Subject{"s" + std::to_string(i)}), 0);
    EXPECT_EQ(Ask(limiter, kAnn), 3600) << "who asks and is refused is not forgotten";
  }
  EXPECT_EQ(limiter.subjects(), RateLimiter::kMaxSubjects);
  EXPECT_EQ(Ask(limiter, kBob), 0);
}

TEST_F(RateLimiterTest, OtherLimitsCountAtOnceAndRequestsUnderWayGoOn) {
  RateLimiter limiter({.requests = 1, .per = 1min, .max_concurrent = 1});
  EXPECT_EQ(limiter.Admit(kAnn, clock_.Now()), std::nullopt);
  limiter.Change({.requests = 1, .per = 1min, .max_concurrent = 1});
  EXPECT_EQ(Ask(limiter), 60) << "the same limits change nothing";
  limiter.Change({.requests = 5, .per = 1min, .max_concurrent = 2});
  EXPECT_EQ(limiter.in_flight(), 1);
  EXPECT_EQ(Burst(limiter, 10), 5);
}

}  // namespace
}  // namespace mcpfleet::gateway
