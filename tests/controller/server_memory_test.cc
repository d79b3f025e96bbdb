#include "controller/core/server_memory.h"

#include <gtest/gtest.h>

#include "tests/controller/world.h"

namespace mcpfleet {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;

const MonoTime kNow = MonoTime(seconds(1000));
const WallTime kWall = WallTime(seconds(1'700'000'000));

ServerMemory Looping() {
  ServerMemory memory{.uid = "uid-1",
                      .generation = 3,
                      .revision = "abc",
                      .policy = {.condition = RestartCondition::kOnFailure, .max_attempts = 9}};
  ExitCause cause;
  cause.exit = ExitInfo{.code = 137, .signal = 9, .oom = true};
  cause.message = "no such table";
  cause.stderr_tail = "boom\n\xff";
  for (int i = 0; i < 4; ++i) RecordExit(RestartPolicy{}, cause, kNow, kWall, 0.5, &memory.restart);
  memory.restart.revision = "abc";
  memory.accounted_exits = {{"weather-1", "weather-1/7"}};
  memory.oom_kills = {{"weather-1", 4}};
  return memory;
}

std::optional<ServerMemory> Decode(std::string_view text, Duration later = {}) {
  return DecodeMemory(text, minutes(5), kNow, kWall + later);
}

TEST(ServerMemoryTest, AMemoryComesBackAsItWasNoted) {
  const std::string text = EncodeMemory(Looping());
  std::optional<ServerMemory> memory = Decode(text);
  ASSERT_TRUE(memory.has_value());
  EXPECT_EQ(EncodeMemory(*memory), text);
  EXPECT_EQ(memory->policy, Looping().policy);
  EXPECT_EQ(memory->restart.count, 4);
  EXPECT_TRUE(memory->restart.last_exit->oom);
  EXPECT_EQ(memory->oom_kills.at("weather-1"), 4);
}

TEST(ServerMemoryTest, ABackOffGoesOnWhereItStoodWhateverTheClocksDid) {
  const ServerMemory memory = Looping();
  const std::string text = EncodeMemory(memory);
  const Duration wait = memory.restart.next_attempt - kNow;
  ASSERT_EQ(wait, seconds(8));
  EXPECT_EQ(Decode(text, seconds(3))->restart.next_attempt - kNow, seconds(5));
  EXPECT_EQ(Decode(text, minutes(9))->restart.next_attempt, kNow);
  EXPECT_EQ(Decode(text, -std::chrono::hours(9))->restart.next_attempt - kNow, minutes(5));
}

TEST(ServerMemoryTest, WhatNeverEndedIsNotNotedAndWhatIsNoMemoryIsNone) {
  EXPECT_EQ(EncodeMemory({.uid = "uid-1", .generation = 3}), "");
  for (const char* text : {"", "{", "[]", "7"}) EXPECT_FALSE(Decode(text).has_value()) << text;
  EXPECT_TRUE(Decode(R"({"count":"many","attempts":-7,"lastExit":[],"oomKills":3,"verdict":"?"})").has_value());
}

// A server that ends at once, some restarts later.
void Loop(World* world) {
  world->engine.SetProgram([](const InstanceSpec&) { return FakeProgram{.lines = {"boom: no such table"}}; });
  world->sessions.DefaultScript().exits_at_once = ExitInfo{.code = 3};
  world->desired.Put(Server("weather"));
  world->Pass(seconds(90));
}

TEST(ServerMemoryTest, ACrashLoopGoesOnOverARestartOfMcpletAndIsNoFirstRestart) {
  World world;
  Loop(&world);
  const Restarts before = world.controller->StatusOf(World::Key("weather"))->restarts;
  const size_t starts = world.sessions.starts().size();
  ASSERT_GE(starts, 5u);
  world.Boot();
  world.Settle();
  EXPECT_EQ(world.sessions.starts().size(), starts) << "its back-off is not over";
  EXPECT_EQ(world.Reason("weather", "Ready"), "CrashLoopBackOff");
  const Restarts after = world.controller->StatusOf(World::Key("weather"))->restarts;
  EXPECT_EQ(after.count, before.count);
  EXPECT_EQ(after.last_exit_code, 3);
  EXPECT_EQ(after.last_reason, "Error");
  EXPECT_EQ(after.last_at, before.last_at);
  EXPECT_EQ(after.stderr_tail, "boom: no such table\n");
  EXPECT_EQ(after.next_attempt_at, before.next_attempt_at);
  world.Pass(*after.next_attempt_at - world.clock.Wall());
  EXPECT_EQ(world.sessions.starts().size(), starts + 1);
}

TEST(ServerMemoryTest, AnEndWhileMcpletWasAwayWaitsOnlyWhenItIsPartOfACrashLoop) {
  World world;
  world.desired.Put(Server("weather"));
  world.Pass(minutes(2));
  world.sessions.ExitMain(world.Instance(), {.code = 1});
  world.Boot();
  world.Settle();
  EXPECT_EQ(world.sessions.starts().size(), 2u) << "the first restart is immediate";
  world.sessions.ExitMain(world.Instance(), {.code = 1});
  world.Boot();
  world.Settle();
  EXPECT_EQ(world.sessions.starts().size(), 2u) << "the second in a row waits";
  world.Pass(minutes(5));
  EXPECT_TRUE(world.Ready("weather"));
  world.sessions.ExitMain(world.Instance(), {.code = 1});
  world.Boot();
  world.Settle();
  EXPECT_EQ(world.sessions.starts().size(), 4u) << "health clears the record, also for the next mcplet";
  EXPECT_EQ(world.controller->StatusOf(World::Key("weather"))->restarts.count, 3);
}

TEST(ServerMemoryTest, ANewSpecIsANewChanceAndANewObjectBeginsAtZero) {
  World world;
  Loop(&world);
  world.sessions.DefaultScript().exits_at_once.reset();
  world.desired.Put(Server("weather").Generation(2));
  world.Boot();
  world.Settle();
  EXPECT_TRUE(world.Ready("weather")) << "changed while mcplet was away: no back-off";
  EXPECT_GE(world.controller->StatusOf(World::Key("weather"))->restarts.count, 5);
  world.desired.Put(Server("weather").Uid("another"));
  world.Boot();
  world.Settle();
  EXPECT_EQ(world.controller->StatusOf(World::Key("weather"))->restarts.count, 0);
}

TEST(ServerMemoryTest, AnotherPolicyOfTheSameGenerationIsANewChance) {
  // A store that was put back hands out a generation twice.
  for (const bool reboots : {false, true}) {
    World world;
    world.sessions.DefaultScript().exits_at_once = ExitInfo{.code = 3};
    world.desired.Put(Server("weather").Generation(2).Restart(RestartCondition::kNever));
    world.Settle();
    ASSERT_EQ(world.Reason("weather", "Ready"), "Failed");
    world.Boot();
    world.Settle();
    ASSERT_EQ(world.Reason("weather", "Ready"), "Failed") << "a restart of mcplet is no new chance";
    world.sessions.DefaultScript().exits_at_once.reset();
    world.desired.Put(Server("weather").Generation(2).Restart(RestartCondition::kAlways));
    if (reboots) world.Boot();
    world.Settle();
    EXPECT_TRUE(world.Ready("weather")) << reboots;
  }
}

TEST(ServerMemoryTest, ANotebookThatLostOrSpoiledItsTextIsNoError) {
  World world;
  Loop(&world);
  world.sessions.DefaultScript().exits_at_once.reset();
  world.notebook.Write(World::Key("weather"), "{\"uid\":");
  world.Boot();
  world.Settle();
  EXPECT_TRUE(world.Ready("weather"));
}

TEST(ServerMemoryTest, HealthyServersAreNotNotedAndDeletedOnesAreForgotten) {
  World world;
  world.desired.Put(Server("weather"));
  world.desired.Put(Server("clock"));
  world.Pass(minutes(10));
  EXPECT_EQ(world.notebook.writes(), 0);
  world.sessions.ExitMain(world.sessions.starts()[0].instance, {.code = 1});
  world.Pass(minutes(10));
  EXPECT_EQ(world.notebook.pages(), 1u);
  const int writes = world.notebook.writes();
  EXPECT_LE(writes, 3);  // it ended, it runs, it has been healthy
  world.Pass(minutes(10));
  EXPECT_EQ(world.notebook.writes(), writes);
  world.desired.Delete(World::Key("weather"));
  world.desired.Delete(World::Key("clock"));
  world.Pass(minutes(1));
  EXPECT_EQ(world.notebook.pages(), 0u);
}

TEST(ServerMemoryTest, ADeathThatANewMcpletSeesIsOutOfMemoryOnlyWhenTheKernelKilledSinceTheLastOne) {
  World world;
  world.desired.Put(Server("weather"));
  world.Settle();
  const std::string instance = world.Instance();
  const auto reason = [&] { return world.controller->StatusOf(World::Key("weather"))->restarts.last_reason; };
  world.engine.CountOomKill(instance);
  world.sessions.ExitMain(instance, {.code = 137, .signal = 9});
  world.Pass(minutes(2));
  EXPECT_EQ(reason(), "OOMKilled");
  world.Boot();
  world.Settle();
  EXPECT_EQ(reason(), "OOMKilled");
  world.sessions.ExitMain(instance, {.code = 137, .signal = 9});
  world.Pass(minutes(2));
  EXPECT_EQ(reason(), "Signalled") << "a plain kill -9";
  world.Boot();
  world.engine.CountOomKill(instance);
  world.sessions.ExitMain(instance, {.code = 137, .signal = 9});
  world.Pass(minutes(2));
  EXPECT_EQ(reason(), "OOMKilled");
}

}  // namespace
}  // namespace mcpfleet
