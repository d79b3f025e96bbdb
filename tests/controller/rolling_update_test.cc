// Updates that nobody notices, through a whole controller over the fakes.
#include <gtest/gtest.h>

#include "tests/controller/world.h"

namespace mcpfleet {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;

const ServerKey kWeather = World::Key("weather");
const DesiredServer kV1 = Server("weather");
const DesiredServer kV2 = Server("weather").Image("v2").Generation(2);
const DesiredServer kV3 = Server("weather").Image("v3").Generation(3);

struct RollingUpdateTest : testing::Test {
  World world;

  void SetUp() override {
    world.desired.Put(kV1);
    world.Pass(minutes(2));
  }
  // The children of one revision don't answer.
  void Break(const DesiredServer& server) {
    world.prober.Script([revision = server.revision](const ProbeTarget& target, bool) {
      return target.revision == revision ? FailedPrecondition("not JSON-RPC") : OkStatus();
    });
  }
  ClientTarget Target() const {
    StatusOr<ClientTarget> target = world.controller->ClientTargetOf(kWeather);
    return target.ok() ? *target : ClientTarget{};
  }
  std::string Only(const DesiredServer& server) const {
    const std::vector<std::string> ids = world.Instances(server);
    EXPECT_EQ(ids.size(), 1u);
    return ids.empty() ? "" : ids[0];
  }
  std::string Message(const std::string& type) const {
    std::optional<ServerStatus> status = world.controller->StatusOf(kWeather);
    return FindCondition(status->conditions, type)->message;
  }
};

TEST_F(RollingUpdateTest, TheOldInstanceServesUntilTheNewOneAnswersThenItDrainsAndGoes) {
  const std::string old = Only(kV1);
  world.traffic.Converse(kWeather, old, 3);
  Break(kV2);
  world.desired.Put(kV2);
  world.Pass(seconds(10));
  EXPECT_EQ(Target().instance, old);
  EXPECT_TRUE(Target().ready);
  EXPECT_EQ(Target().server->revision, kV1.revision);
  EXPECT_EQ(world.Reason("weather", "Progressing"), "Updating");
  EXPECT_EQ(world.Reason("weather", "Verified"), "Verified");
  EXPECT_EQ(world.Containers().size(), 2u);
  world.prober.Script(nullptr);
  world.Pass(seconds(30));
  EXPECT_EQ(Target().instance, Only(kV2));
  EXPECT_TRUE(Target().ready);
  EXPECT_TRUE(world.Ready("weather"));
  EXPECT_EQ(world.Reason("weather", "Progressing"), "Draining");
  EXPECT_EQ(Only(kV1), old) << "it has conversations";
  world.traffic.Converse(kWeather, old, 0);
  world.Settle();
  EXPECT_TRUE(world.Instances(kV1).empty());
  EXPECT_EQ(world.Reason("weather", "Progressing"), "Complete");
  EXPECT_EQ(world.metrics.Get("drift"), 0);
  EXPECT_EQ(world.controller->StatusOf(kWeather)->restarts.count, 0);
}

TEST_F(RollingUpdateTest, ThereIsAlwaysAReadyTarget) {
  bool lost = false;
  world.desired.Put(kV2);
  world.controller->NotifyDesiredChanged();
  for (int i = 0; i < 60; ++i) {
    while (world.controller->RunOne()) lost |= !Target().ready;
    world.clock.Advance(seconds(1));
  }
  EXPECT_FALSE(lost);
  EXPECT_EQ(Target().instance, world.Instance());
}

TEST_F(RollingUpdateTest, ConversationsEndWithTheDrainTimeout) {
  world.traffic.Converse(kWeather, Only(kV1), 1);
  world.desired.Put(kV2);
  world.Pass(minutes(9));
  EXPECT_EQ(world.Instances(kV1).size(), 1u);
  world.Pass(minutes(2));
  EXPECT_TRUE(world.Instances(kV1).empty());
}

TEST_F(RollingUpdateTest, WhatDrainsServesAgainWhenTheNewRevisionDies) {
  const std::string old = Only(kV1);
  world.traffic.Converse(kWeather, old, 1);
  world.desired.Put(kV2);
  world.Pass(seconds(30));
  ASSERT_EQ(Target().instance, Only(kV2));
  world.sessions.DefaultScript().exits_at_once = ExitInfo{.code = 3};
  world.sessions.ExitMain(Only(kV2), {.code = 3});
  world.Pass(seconds(30));
  EXPECT_EQ(Target().instance, old);
  EXPECT_TRUE(Target().ready);
  EXPECT_EQ(world.events.Count("Resumed"), 1);
  world.sessions.DefaultScript().exits_at_once.reset();
  world.Pass(minutes(2));
  EXPECT_EQ(Target().instance, Only(kV2));
  world.traffic.Converse(kWeather, old, 0);
  world.Pass(seconds(5));
  EXPECT_EQ(world.Instance(), Only(kV2));
}

TEST_F(RollingUpdateTest, ARevisionThatNeverAnswersIsUndoneAndTriedAgainOnlyWhenTheSpecChanges) {
  const std::string old = Only(kV1);
  Break(kV2);
  world.desired.Put(kV2);
  world.Pass(minutes(4));
  EXPECT_EQ(world.Instances(kV2).size(), 1u);
  world.Pass(minutes(2));
  EXPECT_EQ(world.Instance(), old);
  EXPECT_EQ(Target().instance, old);
  EXPECT_TRUE(Target().ready);
  EXPECT_EQ(world.Reason("weather", "Progressing"), "ProgressDeadlineExceeded");
  EXPECT_EQ(world.Reason("weather", "Ready"), "ProgressDeadlineExceeded");
  EXPECT_NE(Message("Progressing").find("within 5m"), std::string::npos) << Message("Progressing");
  EXPECT_EQ(world.controller->StatusOf(kWeather)->observed_generation, 2);
  EXPECT_EQ(world.events.Count("RolledBack"), 1);
  world.prober.Script(nullptr);
  world.Pass(minutes(60));
  EXPECT_EQ(world.Instance(), old);
  world.Boot();
  world.Pass(minutes(60));
  EXPECT_EQ(world.Instance(), old) << "a new mcplet is no new spec";
  EXPECT_TRUE(Target().ready);
  DesiredServer again = kV2;
  again.generation = 3;
  world.desired.Put(again);
  world.Pass(minutes(1));
  EXPECT_EQ(world.Instance(), Only(kV2));
  EXPECT_TRUE(world.Ready("weather"));
}

TEST_F(RollingUpdateTest, WhatWasUndoneToIsMadeAgainAfterARebootOfTheNode) {
  Break(kV2);
  world.desired.Put(kV2);
  world.Pass(minutes(6));
  world.engine.Reboot();
  world.sessions.InstanceDies(world.Instance());
  world.Boot();
  world.Pass(minutes(1));
  EXPECT_EQ(world.Instance(), Only(kV1));
  EXPECT_TRUE(Target().ready);
  EXPECT_EQ(world.Reason("weather", "Ready"), "ProgressDeadlineExceeded");
}

TEST_F(RollingUpdateTest, WithoutAutoRollbackTheNewRevisionIsTriedOnBesideTheOld) {
  DesiredServer stubborn = Server("weather").Image("v2").Generation(2).NoRollback();
  Break(stubborn);
  world.desired.Put(stubborn);
  world.Pass(minutes(20));
  EXPECT_EQ(world.Containers().size(), 2u);
  EXPECT_EQ(world.Reason("weather", "Progressing"), "ProgressDeadlineExceeded");
  EXPECT_EQ(world.events.Count("ProgressDeadlineExceeded"), 1);
  EXPECT_EQ(Target().instance, Only(kV1));
  world.prober.Script(nullptr);
  world.Pass(minutes(6));
  EXPECT_EQ(world.Instance(), Only(stubborn));
}

TEST_F(RollingUpdateTest, ACrashLoopOfTheNewRevisionLeavesTheOldOneAlone) {
  const std::string old = Only(kV1);
  world.sessions.DefaultScript().exits_at_once = ExitInfo{.code = 3};
  world.desired.Put(kV2);
  world.Pass(minutes(3));
  EXPECT_TRUE(Target().ready);
  EXPECT_EQ(Target().instance, old);
  EXPECT_EQ(world.controller->StatusOf(kWeather)->restarts.last_exit_code, 3);
  // The old one's child ends: after a healthy time it is restarted at once, whatever the new one's back-off.
  world.sessions.DefaultScript().exits_at_once.reset();
  const size_t starts = world.sessions.starts().size();
  world.sessions.ExitMain(old, {.code = 1});
  world.Settle();
  EXPECT_TRUE(Target().ready);
  EXPECT_EQ(world.sessions.starts().size(), starts + 1);
}

TEST_F(RollingUpdateTest, ACreateThatFailsForEverDoesNotKeepTheOldOneFromItsProbes) {
  world.runtime->SetFaultHook([](std::string_view verb, const std::string&) {
    return verb == "Create" ? FakeFault::kFailBefore : FakeFault::kNone;
  });
  world.desired.Put(Server("weather").Image("v2").Generation(2).NoRollback());
  world.Pass(minutes(30));
  const int before = world.prober.verifies();
  world.Pass(minutes(10));
  EXPECT_GE(world.prober.verifies() - before, 9);
  EXPECT_TRUE(Target().ready);
}

TEST_F(RollingUpdateTest, AnOldInstanceThatCanNotBeHelpedDoesNotHoldUpTheNewOne) {
  const std::string old = Only(kV1);
  world.sessions.Script(old).prepare_error = ResourceExhausted("no space left on device");
  world.desired.Put(kV2);
  world.Boot();
  world.Pass(minutes(1));
  EXPECT_EQ(Target().instance, Only(kV2));
  EXPECT_TRUE(Target().ready);
  EXPECT_TRUE(world.Instances(kV1).empty());
}

TEST_F(RollingUpdateTest, ANewMcpletGoesOnInTheMiddleOfARollout) {
  const std::string old = Only(kV1);
  Break(kV2);
  world.desired.Put(kV2);
  world.Pass(minutes(3));
  world.Boot();
  world.Pass(seconds(5));
  EXPECT_EQ(Target().instance, old);
  EXPECT_TRUE(Target().ready) << "the spec before was noted";
  EXPECT_EQ(world.Containers().size(), 2u);
  world.Pass(minutes(2));
  EXPECT_EQ(world.Instance(), old) << "the deadline went on";
}

TEST_F(RollingUpdateTest, ANewMcpletGoesOnInTheMiddleOfADrain) {
  const std::string old = Only(kV1);
  world.traffic.Converse(kWeather, old, 1);
  world.desired.Put(kV2);
  world.Pass(minutes(6));
  world.Boot();
  world.Pass(minutes(3));
  EXPECT_EQ(Only(kV1), old);
  EXPECT_EQ(Target().instance, Only(kV2));
  world.Pass(minutes(2));
  EXPECT_TRUE(world.Instances(kV1).empty()) << "the time before counts";
}

TEST_F(RollingUpdateTest, AMcpletThatLostItsNotesAdoptsBothAndStopsNothingThatServes) {
  const std::string old = Only(kV1);
  Break(kV2);
  world.desired.Put(kV2);
  world.Pass(minutes(1));
  world.notebook.Write(kWeather, "");
  world.Boot();
  world.Pass(seconds(30));
  EXPECT_EQ(world.Instances(kV1), std::vector<std::string>{old});
  world.prober.Script(nullptr);
  world.Pass(minutes(2));
  EXPECT_EQ(world.Instance(), Only(kV2));
}

TEST_F(RollingUpdateTest, GoingBackInTheMiddleOfADrainStopsNothing) {
  const std::string old = Only(kV1);
  world.traffic.Converse(kWeather, old, 1);
  world.desired.Put(kV2);
  world.Pass(minutes(1));
  DesiredServer back = kV1;
  back.generation = 3;
  world.desired.Put(back);
  world.Pass(minutes(1));
  EXPECT_EQ(world.Instance(), old);
  EXPECT_EQ(world.Containers()[0].starts, 1);
  EXPECT_TRUE(world.Ready("weather"));
}

TEST_F(RollingUpdateTest, AThirdRevisionBeforeTheSecondAnswersReplacesTheSecond) {
  const std::string old = Only(kV1);
  Break(kV2);
  world.desired.Put(kV2);
  world.Pass(seconds(30));
  world.traffic.Converse(kWeather, old, 1);
  world.desired.Put(kV3);
  world.Pass(seconds(30));
  EXPECT_TRUE(world.Instances(kV2).empty());
  EXPECT_EQ(Target().instance, Only(kV3));
  EXPECT_EQ(Only(kV1), old);
}

TEST_F(RollingUpdateTest, AThirdRevisionAfterwardsWaitsForTheFirstToDrain) {
  const std::string old = Only(kV1);
  world.traffic.Converse(kWeather, old, 1);
  world.desired.Put(kV2);
  world.Pass(seconds(30));
  world.desired.Put(kV3);
  world.Pass(minutes(1));
  EXPECT_EQ(Target().instance, Only(kV2));
  EXPECT_TRUE(Target().ready);
  EXPECT_TRUE(world.Instances(kV3).empty());
  world.traffic.Converse(kWeather, old, 0);
  world.Pass(seconds(10));
  EXPECT_EQ(world.Instance(), Only(kV3));
}

TEST_F(RollingUpdateTest, WhatCannotRunTwiceIsRecreated) {
  world.traffic.Converse(kWeather, Only(kV1), 5);
  world.desired.Put(Server("weather").Image("v2").Generation(2).Recreate());
  world.Settle();
  EXPECT_TRUE(world.Instances(kV1).empty());
  EXPECT_TRUE(world.Ready("weather"));
}

TEST_F(RollingUpdateTest, RemovalEndsBoth) {
  world.traffic.Converse(kWeather, Only(kV1), 5);
  world.desired.Put(kV2);
  world.Pass(seconds(10));
  EXPECT_EQ(world.Containers().size(), 2u);
  world.desired.Delete(kWeather);
  world.Settle();
  EXPECT_TRUE(world.Containers().empty());
  EXPECT_EQ(world.notebook.pages(), 0u);
}

TEST(UpdateTypeTest, RollingUpdateIsTheDefaultWhereAServerCanRunTwice) {
  ServerSpec spec;
  EXPECT_EQ(UpdateTypeOf(spec), UpdateType::kRollingUpdate);
  spec.volumes = {{.name = "data", .host_path = "/srv", .mount_path = "/data", .read_only = true},
                  {.name = "tmp", .tmpfs_bytes = 4096, .mount_path = "/tmp"}};
  EXPECT_EQ(UpdateTypeOf(spec), UpdateType::kRollingUpdate);
  spec.volumes[0].read_only = false;
  EXPECT_EQ(UpdateTypeOf(spec), UpdateType::kRecreate);
  spec.update_strategy.type = UpdateType::kRollingUpdate;
  EXPECT_EQ(UpdateTypeOf(spec), UpdateType::kRollingUpdate) << "as asked";
  spec = ServerSpec{.transport = Transport::kStreamableHttp, .port = 8080};
  EXPECT_EQ(UpdateTypeOf(spec), UpdateType::kRollingUpdate) << "each has its own network";
  spec.security.network = NetworkMode::kHost;
  EXPECT_EQ(UpdateTypeOf(spec), UpdateType::kRecreate);
}

}  // namespace
}  // namespace mcpfleet
