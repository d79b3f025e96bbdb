#include "controller/core/garbage_collector.h"

#include <gtest/gtest.h>

#include "tests/controller/world.h"

namespace mcpfleet {
namespace {

using std::chrono::minutes;

const ServerKey kKey{"default", "weather"};

TEST(ArtifactHistoryTest, TheCurrentAndThePreviousRevisionsAreKeptAndNotedAndNoOlderOne) {
  ArtifactHistory history;
  EXPECT_FALSE(history.Knows(kKey));
  EXPECT_EQ(history.Note(kKey, "one", ""), "one");
  EXPECT_EQ(history.Note(kKey, "one", ""), "") << "nothing new to note";
  EXPECT_EQ(history.Note(kKey, "", ""), "");
  EXPECT_EQ(history.Note(kKey, "two", ""), "two\none");
  EXPECT_EQ(history.Note(kKey, "three", ""), "three\ntwo");
  EXPECT_EQ(history.Keep(), (std::vector<std::string>{"three", "two"}));
  EXPECT_EQ(history.Note(kKey, "two", ""), "two\nthree") << "a rollback";
  history.Drop(kKey);
  EXPECT_TRUE(history.Keep().empty());
}

TEST(ArtifactHistoryTest, WhatAnEarlierProcessNotedIsThePastOfWhatIsNotedFirst) {
  ArtifactHistory same, changed;
  EXPECT_EQ(same.Note(kKey, "two", "two\none"), "");
  EXPECT_EQ(same.Keep(), (std::vector<std::string>{"one", "two"}));
  EXPECT_EQ(changed.Note(kKey, "three", "two\none"), "three\ntwo");
  EXPECT_EQ(changed.Note(kKey, "four", "two\none"), "four\nthree") << "what this process knows counts";
}

// Three revisions one after the other, then another mcplet with no room for anything that it need not keep.
std::set<std::string> ArtifactsAfterARestart(World* world) {
  for (int i = 1; i <= 3; ++i) {
    world->desired.Put(Server("weather").Image("v" + std::to_string(i)).Generation(i));
    world->Pass(minutes(2));
    EXPECT_TRUE(world->Ready("weather"));
  }
  EXPECT_EQ(world->engine.Artifacts().size(), 3u);
  world->artifact_quota = 0;
  world->Boot();
  world->Pass(minutes(30));
  return world->engine.Artifacts();
}

TEST(GarbageCollectorTest, ThePreviousRevisionsArtifactIsKeptOverARestartOfMcplet) {
  World world;
  EXPECT_EQ(ArtifactsAfterARestart(&world).size(), 2u);
  world.engine.SetUnpullable("registry.test/weather:v2", true);  // here already: a rollback needs no registry
  world.desired.Put(Server("weather").Image("v2").Generation(4));
  world.Pass(minutes(2));
  EXPECT_TRUE(world.Ready("weather")) << world.Reason("weather", "Ready");
}

TEST(GarbageCollectorTest, NothingIsNotedOfAServerThatIsGone) {
  World world;
  world.desired.Put(Server("weather"));
  world.Pass(minutes(2));
  EXPECT_EQ(world.artifacts.pages(), 1u);
  world.desired.Delete(World::Key("weather"));
  world.Settle();
  EXPECT_EQ(world.artifacts.pages(), 0u);
}

}  // namespace
}  // namespace mcpfleet
