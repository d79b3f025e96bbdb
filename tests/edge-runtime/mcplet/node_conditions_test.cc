#include "edge-runtime/mcplet/node_conditions.h"

#include <gtest/gtest.h>

#include "base/version.h"
#include "crd/codec.h"
#include "edge-runtime/mcplet/status_publisher.h"

namespace mcpfleet {
namespace {

NodeFacts Healthy() {
  NodeFacts facts{.synced = true, .store_reachable = true, .has_head = true};
  facts.runtimes[RuntimeKind::kProcess] = {.available = true, .version = "1"};
  facts.disk_free_bytes = facts.memory_available_bytes = int64_t{1} << 40;
  return facts;
}

const WallTime kNow = FakeClock().Wall();

std::string Reason(const NodeFacts& facts, std::string_view type) {
  std::vector<Condition> conditions = NodeConditions(facts, {}, kNow);
  const Condition* found = FindCondition(conditions, type);
  return found == nullptr ? "absent" : ToString(found->status) + " " + found->reason;
}

TEST(NodeConditionsTest, AHealthyNodeIsReady) {
  EXPECT_EQ(Reason(Healthy(), "Ready"), "True NodeReady");
  EXPECT_EQ(Reason(Healthy(), "DiskPressure"), "False EnoughSpace");
  EXPECT_EQ(Reason(Healthy(), "DesiredStateFresh"), "True HeadAccepted");
}

TEST(NodeConditionsTest, TheSourcesThatANodeHasAreTheOnesItSpeaksOf) {
  NodeFacts facts = Healthy();
  EXPECT_EQ(Reason(facts, "ClusterReachable"), "absent");
  facts.cluster_used = true;
  EXPECT_EQ(Reason(facts, "ClusterReachable"), "True ClusterAnswers");
  facts.cluster_problem = "refused";
  EXPECT_EQ(Reason(facts, "ClusterReachable"), "False ClusterUnreachable");
  facts.store_used = false;
  EXPECT_EQ(Reason(facts, "StoreReachable"), "absent");
  EXPECT_EQ(Reason(facts, "DesiredStateFresh"), "absent");
  EXPECT_EQ(Reason(facts, "Ready"), "True NodeReady");
}

TEST(NodeConditionsTest, ANodeIsStartingUntilItLookedAtAllOfItsServersOnce) {
  NodeFacts facts = Healthy();
  facts.synced = false;
  EXPECT_EQ(Reason(facts, "Ready"), "False Starting");
  const std::vector<Condition> first = NodeConditions(facts, {}, kNow);
  EXPECT_TRUE(IsStarting(first));
  EXPECT_TRUE(IsStarting(NodeConditions(facts, first, kNow)));
  EXPECT_FALSE(IsStarting(NodeConditions(Healthy(), first, kNow)));
}

TEST(NodeConditionsTest, ANewServerDoesNotMakeALookedAtNodeStartAgainAndIsNoNewsOfTheNode) {
  NodeStatus status;
  status.conditions = NodeConditions(Healthy(), {}, kNow);
  const std::string written = StatusDigest(status);
  NodeFacts facts = Healthy();
  facts.synced = false;  // the new server was not looked at yet
  status.conditions = NodeConditions(facts, std::move(status.conditions), kNow + std::chrono::seconds(30));
  EXPECT_FALSE(IsStarting(status.conditions));
  EXPECT_EQ(StatusDigest(status), written) << "equal digests are not written";
}

TEST(NodeConditionsTest, LogsThatWaitOrWereLostAreShownWhereLogsAreShipped) {
  NodeFacts facts = Healthy();
  EXPECT_EQ(Reason(facts, "LogsShipped"), "absent");
  facts.logs_shipped = true;
  EXPECT_EQ(Reason(facts, "LogsShipped"), "True Shipping");
  facts.logs_waiting = "the store does not answer";
  EXPECT_EQ(Reason(facts, "LogsShipped"), "False Waiting");
  facts.logs_lost = "7 lines of logs lost";
  EXPECT_EQ(Reason(facts, "LogsShipped"), "False LinesLost");
  EXPECT_EQ(Reason(facts, "Ready"), "True NodeReady");
}

TEST(NodeConditionsTest, AStoreThatIsAwayDoesNotMakeANodeUnready) {
  NodeFacts facts = Healthy();
  facts.store_reachable = false;
  EXPECT_EQ(Reason(facts, "StoreReachable"), "False StoreUnreachable");
  EXPECT_EQ(Reason(facts, "Ready"), "True NodeReady");
}

TEST(NodeConditionsTest, WhyAStoreIsAwayAndWhatItSaidThatCanNotBeUsedAreNamed) {
  const auto message = [](const NodeFacts& facts) {
    return FindCondition(NodeConditions(facts, {}, kNow), "StoreReachable")->message;
  };
  NodeFacts facts = Healthy();
  facts.bad_answer = "pushed: down: nodes is no list";
  EXPECT_EQ(Reason(facts, "StoreReachable"), "True BadAnswers");
  EXPECT_NE(message(facts).find("down: nodes is no list"), std::string::npos);
  facts.status_refused = "the token may not do this";
  EXPECT_EQ(Reason(facts, "StoreReachable"), "False StatusNotWritten");
  facts.store_reachable = false;
  facts.store_trouble = "head: the store belongs to another fleet";
  EXPECT_EQ(Reason(facts, "StoreReachable"), "False StoreUnreachable");
  EXPECT_EQ(message(facts), "head: the store belongs to another fleet");
  facts.store_trouble = "";
  EXPECT_EQ(message(facts), "the token may not do this");
}

TEST(NodeConditionsTest, AStoreThatIsReadButTakesNoStatusIsToldWithTheReason) {
  NodeFacts facts = Healthy();
  facts.status_refused = "the token may not do this";
  EXPECT_EQ(Reason(facts, "StoreReachable"), "False StatusNotWritten");
  std::vector<Condition> conditions = NodeConditions(facts, {}, kNow);
  EXPECT_NE(FindCondition(conditions, "StoreReachable")->message.find("the token may not do this"), std::string::npos);
  EXPECT_EQ(Reason(facts, "Ready"), "True NodeReady");
}

TEST(NodeConditionsTest, WithoutAnyRuntimeItIsNotReadyAndSaysWhy) {
  NodeFacts facts = Healthy();
  facts.runtimes[RuntimeKind::kProcess] = {.available = false, .reason = "not root"};
  EXPECT_EQ(Reason(facts, "Ready"), "False NoRuntime");
}

TEST(NodeConditionsTest, AHeadThatIsNotTrustedIsToldAndStopsNothing) {
  NodeFacts facts = Healthy();
  facts.distrust = "head: signed by 0 of the 1 keys that are needed; expected: KEY";
  EXPECT_EQ(Reason(facts, "DesiredStateFresh"), "False HeadNotTrusted");
  const std::vector<Condition> conditions = NodeConditions(facts, {}, kNow);
  EXPECT_NE(FindCondition(conditions, "DesiredStateFresh")->message.find("expected: KEY"), std::string::npos);
  EXPECT_EQ(Reason(facts, "Ready"), "True NodeReady");
}

TEST(NodeConditionsTest, AnExpiredHeadIsNotFreshAndStopsNothing) {
  NodeFacts facts = Healthy();
  facts.valid_until = "2020-01-01T00:00:00Z";
  EXPECT_EQ(Reason(facts, "DesiredStateFresh"), "False HeadExpired");
  EXPECT_EQ(Reason(facts, "Ready"), "True NodeReady");
}

// Of a head that was written an hour before it expired.
NodeFacts Expiring(const FakeClock& clock) {
  NodeFacts facts = Healthy();
  facts.head_time = FormatTime(clock.Wall());
  facts.valid_until = FormatTime(clock.Wall() + std::chrono::hours(1));
  return facts;
}

std::string ReasonAt(const NodeFacts& facts, std::string_view type, WallTime now) {
  std::vector<Condition> conditions = NodeConditions(facts, {}, now);
  const Condition* found = FindCondition(conditions, type);
  return found == nullptr ? "absent" : ToString(found->status) + " " + found->reason;
}

TEST(NodeConditionsTest, AClockThatIsSetBackAndForthExpiresAHeadOnlyWhenItsTimeHasCome) {
  FakeClock clock;
  const WallTime start = clock.Wall();
  NodeFacts facts = Expiring(clock);
  clock.SetWall(start + std::chrono::hours(2));
  EXPECT_EQ(ReasonAt(facts, "DesiredStateFresh", clock.Wall()), "False HeadExpired");
  clock.SetWall(start + std::chrono::minutes(30));
  EXPECT_EQ(ReasonAt(facts, "DesiredStateFresh", clock.Wall()), "True HeadAccepted");
  EXPECT_EQ(ReasonAt(facts, "ClockSynced", clock.Wall()), "True Synchronised");
  clock.SetWall(WallTime{});  // no RTC
  EXPECT_EQ(ReasonAt(facts, "DesiredStateFresh", clock.Wall()), "True HeadAccepted");
  EXPECT_EQ(ReasonAt(facts, "ClockSynced", clock.Wall()), "False ClockBehind");
}

TEST(NodeConditionsTest, AHeadThatExpiredBeforeTheBuildOrBeforeItWasWrittenIsExpiredWhateverTheClockShows) {
  FakeClock clock;
  NodeFacts built_later = Expiring(clock);
  built_later.build_time = clock.Wall() + std::chrono::hours(2);
  NodeFacts written_expired = Expiring(clock);
  written_expired.head_time = FormatTime(clock.Wall() + std::chrono::hours(2));
  clock.SetWall(WallTime{});
  EXPECT_EQ(ReasonAt(built_later, "DesiredStateFresh", clock.Wall()), "False HeadExpired");
  EXPECT_EQ(ReasonAt(written_expired, "DesiredStateFresh", clock.Wall()), "False HeadExpired");
}

TEST(NodeConditionsTest, TheTrustedTimeIsTheLatestOfThreeAndNonsenseIsNone) {
  const WallTime one{std::chrono::seconds(100)}, two{std::chrono::seconds(200)};
  EXPECT_EQ(TrustedTime(one, two, ""), two);
  EXPECT_EQ(TrustedTime(two, one, "yesterday"), two);
  EXPECT_EQ(TrustedTime(one, two, "1970-01-01T00:05:00Z"), WallTime(std::chrono::seconds(300)));
  EXPECT_GT(BuildTime(), WallTime(std::chrono::hours(24) * 365 * 50)) << "the build knows its time";
}

TEST(NodeConditionsTest, ACertificateThatCantBeRenewedIsToldWhileTheGatewayServesOn) {
  NodeFacts facts = Healthy();
  facts.gateway_wanted = true;
  EXPECT_EQ(Reason(facts, "GatewayReady"), "True Listening");
  facts.certificate_problem = "spec.gateway.tls.keyFile: /k: no such file";
  EXPECT_EQ(Reason(facts, "GatewayReady"), "True CertificateNotRenewed");
  facts.gateway_problem = "in use";
  EXPECT_EQ(Reason(facts, "GatewayReady"), "False NotListening");
}

TEST(NodeConditionsTest, LittleDiskAndLittleMemoryAreTold) {
  NodeFacts facts = Healthy();
  facts.disk_free_bytes = facts.memory_available_bytes = 1;
  EXPECT_EQ(Reason(facts, "DiskPressure"), "True LittleSpace");
  EXPECT_EQ(Reason(facts, "MemoryPressure"), "True LittleMemory");
}

TEST(NodeConditionsTest, TheKernelTellsDiskAndMemory) {
  NodeFacts facts = ReadKernelFacts("/");
  EXPECT_GT(facts.disk_total_bytes, 0);
  EXPECT_GT(facts.memory_available_bytes, 0);
  EXPECT_GT(facts.memory_total_bytes, facts.memory_available_bytes);
  EXPECT_GT(facts.cpus, 0);
}

TEST(NodeConditionsTest, ANodeWithATunnelTellsOfItAndOneWithoutDoesNot) {
  NodeFacts facts = Healthy();
  EXPECT_EQ(Reason(facts, "TunnelReady"), "absent");
  facts.tunnel = Condition{.type = "TunnelReady", .status = ConditionStatus::kFalse, .reason = "NotRunning"};
  EXPECT_EQ(Reason(facts, "TunnelReady"), "False NotRunning");
  EXPECT_EQ(Reason(facts, "Ready"), "True NodeReady") << "its servers run";
}

}  // namespace
}  // namespace mcpfleet
