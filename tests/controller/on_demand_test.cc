// Scale to zero, through a whole controller over the fakes.
#include <gtest/gtest.h>

#include "tests/controller/world.h"

namespace mcpfleet {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

const ServerKey kWeather = World::Key("weather");
constexpr auto kRunning = MainState::Phase::kRunning;

struct OnDemandTest : testing::Test {
  World world;

  void SetUp() override {
    world.prober.SetModern(true);
    world.desired.Put(Server("weather").OnDemand());
    world.Settle();
  }
  void FallAsleep() {
    world.Pass(minutes(16));
    ASSERT_EQ(world.Reason("weather", "Ready"), "Sleeping");
  }
  bool ChildRuns() const {
    for (const FakeContainer& container : world.Containers()) {
      if (world.sessions.Main(container.report.id).phase == kRunning) return true;
    }
    return false;
  }
  ClientTarget Target() const {
    StatusOr<ClientTarget> target = world.controller->ClientTargetOf(kWeather);
    return target.ok() ? *target : ClientTarget{};
  }
};

TEST_F(OnDemandTest, AServerThatNobodyUsesSleepsAndCountsAsReady) {
  world.Pass(minutes(14));
  EXPECT_TRUE(ChildRuns());
  FallAsleep();
  EXPECT_FALSE(ChildRuns());
  const ServerStatus status = *world.controller->StatusOf(kWeather);
  EXPECT_TRUE(FindCondition(status.conditions, "Ready")->status == ConditionStatus::kTrue);
  EXPECT_EQ(status.catalog.tools, 2);
  EXPECT_EQ(status.server_info.name, "fake");
  EXPECT_EQ(status.restarts.count, 0);
  EXPECT_TRUE(Target().sleeping);
  EXPECT_TRUE(Target().modern);
  EXPECT_FALSE(Target().ready);
  EXPECT_EQ(Target().instance, "");
}

TEST_F(OnDemandTest, ProbesNeitherKeepItAwakeNorWakeIt) {
  FallAsleep();
  const int verifies = world.prober.verifies();
  world.prober.AnnounceChange(kWeather);
  world.Pass(hours(5));
  EXPECT_EQ(world.prober.verifies(), verifies);
  EXPECT_EQ(world.Reason("weather", "Ready"), "Sleeping");
}

TEST_F(OnDemandTest, UseAndConversationsKeepItAwake) {
  for (int i = 0; i < 4; ++i) {
    world.Pass(minutes(10));
    world.traffic.Use(kWeather);
  }
  EXPECT_TRUE(Target().ready);
  world.traffic.Converse(kWeather, world.Instance(), 1);
  world.Pass(hours(2));
  EXPECT_TRUE(Target().ready);
  world.traffic.Converse(kWeather, world.Instance(), 0);
  world.Settle();
  EXPECT_TRUE(Target().sleeping) << "it has been idle long enough";
}

TEST_F(OnDemandTest, ARequestWakesItAtOnceAndInTheSameInstance) {
  FallAsleep();
  const std::string instance = world.Instance();
  const int writes = world.status.writes();
  world.traffic.Use(kWeather);
  world.Settle();
  EXPECT_TRUE(Target().ready);
  EXPECT_FALSE(Target().sleeping);
  EXPECT_EQ(Target().instance, instance);
  EXPECT_EQ(world.Containers()[0].starts, 1);
  EXPECT_EQ(world.controller->StatusOf(kWeather)->restarts.count, 0);
  EXPECT_LE(world.status.writes() - writes, 2);
  EXPECT_EQ(world.events.Count("NotReady"), 0);
  FallAsleep();
  world.traffic.Use(kWeather);
  world.Settle();
  EXPECT_TRUE(Target().ready) << "also the second time, without back-off";
}

TEST_F(OnDemandTest, ARequestThatComesWhileItFallsAsleepIsNotLost) {
  world.Pass(minutes(15));
  ASSERT_TRUE(Target().sleeping);
  ASSERT_TRUE(ChildRuns()) << "what was on its way may still arrive";
  world.clock.Advance(std::chrono::milliseconds(1));
  world.traffic.Use(kWeather);
  world.Settle();
  EXPECT_TRUE(Target().ready);
  EXPECT_EQ(world.sessions.starts().size(), 1u);
}

TEST_F(OnDemandTest, ItStaysAsleepOverARestartOfMcpletAndAReboot) {
  FallAsleep();
  world.Boot();
  world.Pass(hours(1));
  EXPECT_EQ(world.Reason("weather", "Ready"), "Sleeping");
  EXPECT_FALSE(ChildRuns());
  EXPECT_TRUE(Target().modern);
  EXPECT_EQ(world.controller->StatusOf(kWeather)->catalog.tools, 2);
  const std::string instance = world.Instance();
  world.engine.Reboot();
  world.sessions.InstanceDies(instance);
  world.Boot();
  world.Pass(hours(1));
  EXPECT_EQ(world.Reason("weather", "Ready"), "Sleeping");
  EXPECT_TRUE(world.Containers().empty());
  world.traffic.Use(kWeather);
  world.Settle();
  EXPECT_TRUE(Target().ready);
  EXPECT_EQ(world.controller->StatusOf(kWeather)->restarts.count, 0);
}

TEST_F(OnDemandTest, AnInstanceThatIsRemovedWhileItSleepsIsNotMissed) {
  FallAsleep();
  const std::string instance = world.Instance();
  world.engine.Vanish(instance);
  world.sessions.InstanceDies(instance);
  world.Pass(minutes(5));
  EXPECT_EQ(world.Reason("weather", "Ready"), "Sleeping");
  EXPECT_EQ(world.metrics.Get("drift"), 0);
}

TEST_F(OnDemandTest, AServerThatDoesNotComeUpAgainSaysSo) {
  FallAsleep();
  world.sessions.DefaultScript().exits_at_once = ExitInfo{.code = 3};
  world.traffic.Use(kWeather);
  world.Settle();
  EXPECT_FALSE(Target().sleeping);
  EXPECT_FALSE(Target().ready);
  world.Pass(minutes(1));
  EXPECT_EQ(world.Reason("weather", "Ready"), "CrashLoopBackOff");
}

TEST_F(OnDemandTest, AChangedSpecIsTriedOutAtOnceAndThenItSleepsAgain) {
  FallAsleep();
  world.desired.Put(Server("weather").Image("v2").OnDemand().Generation(2));
  world.Pass(seconds(10));
  EXPECT_TRUE(Target().ready);
  EXPECT_EQ(world.Containers().size(), 1u);
  EXPECT_EQ(world.Instances(Server("weather").Image("v2")).size(), 1u);
  FallAsleep();
}

TEST_F(OnDemandTest, ASleepingServerCanBeSuspendedAndDeleted) {
  FallAsleep();
  world.desired.Put(Server("weather").OnDemand().Suspend().Generation(2));
  world.Settle();
  EXPECT_TRUE(world.Containers().empty());
  EXPECT_EQ(world.Reason("weather", "Ready"), "Suspended");
  EXPECT_FALSE(Target().sleeping);
  world.desired.Put(Server("weather").OnDemand().Generation(3));
  world.Settle();
  EXPECT_TRUE(Target().ready);
  FallAsleep();
  world.desired.Delete(kWeather);
  world.Settle();
  EXPECT_TRUE(world.Containers().empty());
  EXPECT_EQ(world.notebook.pages(), 0u);
}

}  // namespace
}  // namespace mcpfleet
