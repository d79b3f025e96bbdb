#include "edge-runtime/tunnel/plan.h"

#include <gtest/gtest.h>

namespace mcpfleet::tunnel {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;
using Kind = Action::Kind;
using Actions = std::vector<Action>;

const MonoTime kNow{std::chrono::hours(1)};

PlanInput Wants(const std::string& wanted, std::vector<ConnectorView> connectors) {
  return {.wanted = wanted, .connectors = std::move(connectors), .now = kNow, .next_start = {}};
}
ConnectorView Running(const std::string& id, bool ready = true) { return {.id = id, .running = true, .ready = ready}; }

TEST(PlanConnectorsTest, WhatIsWantedIsStartedAndLeftAlone) {
  EXPECT_EQ(PlanConnectors(Wants("a", {})), (Actions{{Kind::kStart, "a"}}));
  EXPECT_EQ(PlanConnectors(Wants("a", {Running("a")})), Actions{});
  EXPECT_EQ(PlanConnectors(Wants("a", {Running("a", false)})), Actions{});
  EXPECT_EQ(PlanConnectors(Wants("a", {{.id = "a"}})), (Actions{{Kind::kStart, "a"}}));
}

TEST(PlanConnectorsTest, AnOldOneEndsOnlyWhenTheNewOneIsConnected) {
  EXPECT_EQ(PlanConnectors(Wants("b", {Running("a")})), (Actions{{Kind::kStart, "b"}}));
  EXPECT_EQ(PlanConnectors(Wants("b", {Running("a"), Running("b", false)})), Actions{});
  EXPECT_EQ(PlanConnectors(Wants("b", {Running("a"), Running("b")})), (Actions{{Kind::kTerminate, "a"}}));
  EXPECT_EQ(PlanConnectors(Wants("b", {{.id = "a"}, Running("b", false)})), (Actions{{Kind::kRemove, "a"}}));
}

TEST(PlanConnectorsTest, WhatWasAskedToEndHasItsGraceAndIsThenKilled) {
  ConnectorView a = Running("a");
  a.asked_to_end = kNow - kGrace + seconds(1);
  EXPECT_EQ(PlanConnectors(Wants("b", {a, Running("b")})), Actions{});
  a.asked_to_end = kNow - kGrace;
  EXPECT_EQ(PlanConnectors(Wants("b", {a, Running("b")})), (Actions{{Kind::kRemove, "a"}}));
  EXPECT_LT(kToldGrace, kGrace);
}

TEST(PlanConnectorsTest, OneThatEndsIsNotTakenForTheOneThatIsWantedAgain) {
  ConnectorView a = Running("a");
  a.asked_to_end = kNow;
  EXPECT_EQ(PlanConnectors(Wants("a", {a, Running("b")})), Actions{}) << "b serves until a has started anew";
  EXPECT_EQ(PlanConnectors(Wants("a", {{.id = "a"}, Running("b")})), (Actions{{Kind::kStart, "a"}}));
}

TEST(PlanConnectorsTest, WithNothingWantedAllEnd) {
  EXPECT_EQ(PlanConnectors(Wants("", {Running("a"), {.id = "b"}})),
            (Actions{{Kind::kTerminate, "a"}, {Kind::kRemove, "b"}}));
  EXPECT_EQ(PlanConnectors(Wants("", {})), Actions{});
}

TEST(PlanConnectorsTest, NothingStartsBeforeItsTime) {
  PlanInput input = Wants("a", {});
  input.next_start = kNow + seconds(1);
  EXPECT_EQ(PlanConnectors(input), Actions{});
  input.now = input.next_start;
  EXPECT_EQ(PlanConnectors(input), (Actions{{Kind::kStart, "a"}}));
}

TEST(RestartsTest, TheDelayDoublesUntilOneLivesForAMinute) {
  Restarts restarts;
  MonoTime now = kNow;
  for (const Duration delay : {seconds(1), seconds(2), seconds(4), seconds(8)}) {
    restarts.Started(now);
    restarts.Ended(now += seconds(5));
    EXPECT_EQ(restarts.next() - now, delay);
  }
  for (int i = 0; i < 20; ++i) {
    restarts.Started(now);
    restarts.Ended(now);
  }
  EXPECT_EQ(restarts.next() - now, minutes(5));
  restarts.Started(now);
  restarts.Ended(now += minutes(1));
  EXPECT_EQ(restarts.next(), now);
  EXPECT_EQ(restarts.count(), 25);
}

TEST(RestartsTest, AnotherConfigurationMayStartAtOnceAndWhatWasFoundRunningHasLived) {
  Restarts restarts;
  restarts.Ended(kNow);
  EXPECT_EQ(restarts.next(), kNow);
  restarts.Started(kNow);
  restarts.Ended(kNow);
  EXPECT_GT(restarts.next(), kNow);
  restarts.Forgive();
  EXPECT_LE(restarts.next(), kNow);
}

}  // namespace
}  // namespace mcpfleet::tunnel
