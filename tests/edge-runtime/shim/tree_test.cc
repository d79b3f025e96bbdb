// Ending a session ends everything below it, however it hides, and nothing beside it.
#include <signal.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "tests/edge-runtime/shim/shim_world.h"

namespace mcpfleet::shim_test {
namespace {

using Phase = MainState::Phase;

void StartAndWait(World* world, const std::string& instance, const std::vector<std::string>& argv) {
  ASSERT_TRUE(world->host().StartMain(instance, argv, {}, Transport::kStdio, Soon()).ok());
  auto channel = world->host().MainChannel(instance);
  ASSERT_NE(channel, nullptr);
  Lines lines(channel);
  ASSERT_TRUE(lines.WaitFor(1));
  EXPECT_EQ(lines.all()[0], "ready");
}

TEST(ShimTreeTest, AServerThatIgnoresSigtermIsKilledAfterItsGrace) {
  World world;
  world.Start("stubborn");
  StartAndWait(&world, "stubborn", ChildArgv("stubborn"));
  MonoTime before = std::chrono::steady_clock::now();
  ASSERT_TRUE(world.host().StopMain("stubborn", std::chrono::milliseconds(150), Soon()).ok());
  EXPECT_GE(std::chrono::steady_clock::now() - before, std::chrono::milliseconds(150));
  EXPECT_EQ(world.host().Main("stubborn").exit->signal, SIGKILL);
  EXPECT_TRUE(ProcessesBelow(world.pid("stubborn")).empty());
}

TEST(ShimTreeTest, AServerGetsSigtermBeforeItsGraceIsOver) {
  World world;
  world.Start("term");
  StartAndWait(&world, "term", ChildArgv("term-exits"));
  ASSERT_TRUE(world.host().StopMain("term", std::chrono::milliseconds(600), Soon()).ok());
  EXPECT_EQ(world.host().Main("term").exit->code, 33);
}

TEST(ShimTreeTest, DaemonsDieWithTheirSession) {
  World world;
  int shim = world.Start("daemons");
  StartAndWait(&world, "daemons", ChildArgv("daemons", {"24"}));
  EXPECT_GE(ProcessesBelow(shim).size(), 24u);
  ASSERT_TRUE(world.host().StopMain("daemons", Duration::zero(), Soon()).ok());
  EXPECT_TRUE(ProcessesBelow(shim).empty());
  EXPECT_TRUE(world.host().Connected("daemons"));
}

TEST(ShimTreeTest, WhatALeaderLeavesBehindDiesWhenItExits) {
  World world;
  int shim = world.Start("left");
  StartAndWait(&world, "left", ChildArgv("daemons", {"6"}));
  ASSERT_TRUE(world.host().MainChannel("left")->Send("exit", Soon()).ok());
  // Nobody asked to stop: the leader's end is enough, and its successor finds the place empty.
  ASSERT_TRUE(Eventually([&] { return ProcessesBelow(shim).empty(); }));
  EXPECT_EQ(world.host().Main("left").phase, Phase::kExited);
  EXPECT_EQ(world.host().Main("left").exit->code, 0);
}

TEST(ShimTreeTest, AProcessThatForksAndExitsForeverIsCaught) {
  World world;
  int shim = world.Start("hopper");
  StartAndWait(&world, "hopper", ChildArgv("hopper"));
  ASSERT_TRUE(world.host().StopMain("hopper", Duration::zero(), Soon()).ok());
  EXPECT_TRUE(ProcessesBelow(shim).empty());
}

TEST(ShimTreeTest, AForkBombOfManyProcessesIsCleared) {
  World world;
  int shim = world.Start("bomb");
  StartAndWait(&world, "bomb", ChildArgv("bomb"));
  EXPECT_TRUE(Eventually([&] { return ProcessesBelow(shim).size() > 100; }));
  ASSERT_TRUE(world.host().StopMain("bomb", Duration::zero(), Soon()).ok());
  EXPECT_TRUE(ProcessesBelow(shim).empty());
}

TEST(ShimTreeTest, AKilledHelperCostsItsSessionAndLeavesNothing) {
  World world;
  int shim = world.Start("helper");
  StartAndWait(&world, "helper", ChildArgv("daemons", {"4"}));
  int leader = world.host().Main("helper").pid;
  std::string stat;
  for (int pid : ProcessesBelow(shim)) {
    // It may have ended since it was seen.
    const StatusOr<std::string> children =
        ReadFile("/proc/" + std::to_string(pid) + "/task/" + std::to_string(pid) + "/children", 4096);
    if (children.ok() && children->find(std::to_string(leader) + " ") != std::string::npos) kill(pid, SIGKILL);
  }
  ASSERT_TRUE(Eventually([&] { return world.host().Main("helper").phase == Phase::kExited; }));
  EXPECT_TRUE(Eventually([&] { return ProcessesBelow(shim).empty(); }));
  EXPECT_TRUE(world.host().StartMain("helper", ChildArgv("echo"), {}, Transport::kStdio, Soon()).ok());
}

}  // namespace
}  // namespace mcpfleet::shim_test
