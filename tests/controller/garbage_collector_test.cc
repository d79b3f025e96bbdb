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

// Two runtimes with three artifacts of 50 MiB each.
struct TwoRuntimes {
  static constexpr int64_t kOne = int64_t{50} << 20;
  FakeClock clock;
  FakeEngine docker_engine{clock}, process_engine{clock};
  FakeRuntime docker{docker_engine, {.kind = RuntimeKind::kDocker}};
  FakeRuntime process{process_engine, {.kind = RuntimeKind::kProcess}};
  FakeControllerMetrics metrics;
  std::vector<std::string> of_docker, of_process;

  TwoRuntimes() {
    for (const char* tag : {"v1", "v2", "v3"}) {
      of_docker.push_back(Pull(&docker, ImageSource{.ref = std::string("registry.test/a:") + tag}));
      of_process.push_back(Pull(&process, PackageSource{.name = "a", .version = tag}));
    }
  }
  static std::string Pull(FakeRuntime* runtime, decltype(ServerSpec::source) source) {
    ServerSpec spec;
    spec.source = std::move(source);
    return runtime->Pull(spec, nullptr, Deadline::After(std::chrono::seconds(1))).value().digest;
  }
  Status Collect(const std::vector<std::string>& keep, int64_t quota) {
    return CollectGarbage({{RuntimeKind::kDocker, &docker}, {RuntimeKind::kProcess, &process}}, keep, quota, metrics,
                          clock);
  }
  std::pair<size_t, size_t> Left() const {
    return {docker_engine.Artifacts().size(), process_engine.Artifacts().size()};
  }
};

TEST(GarbageCollectorTest, TheQuotaHoldsForAllRuntimesTogether) {
  TwoRuntimes world;
  EXPECT_TRUE(world.Collect({}, 6 * TwoRuntimes::kOne).ok());
  EXPECT_EQ(world.Left(), std::pair(size_t{3}, size_t{3})) << "they fit";
  EXPECT_TRUE(world.Collect({}, 4 * TwoRuntimes::kOne).ok());
  EXPECT_EQ(world.Left(), std::pair(size_t{2}, size_t{2}));
  EXPECT_FALSE(world.docker_engine.Artifacts().contains(world.of_docker[0])) << "the oldest goes";
}

TEST(GarbageCollectorTest, WhatOneRuntimeMustKeepIsTakenFromTheOther) {
  TwoRuntimes world;
  EXPECT_TRUE(world.Collect(world.of_docker, 4 * TwoRuntimes::kOne).ok());
  EXPECT_EQ(world.Left(), std::pair(size_t{3}, size_t{1}));
  TwoRuntimes mirror;
  EXPECT_TRUE(mirror.Collect(mirror.of_process, 4 * TwoRuntimes::kOne).ok());
  EXPECT_EQ(mirror.Left(), std::pair(size_t{1}, size_t{3}));
}

TEST(GarbageCollectorTest, ARuntimeThatIsAwayIsLeftAloneAndToldAndTheOtherIsCollected) {
  TwoRuntimes world;
  world.docker_engine.SetDown(true);
  EXPECT_FALSE(world.Collect({}, TwoRuntimes::kOne).ok());
  EXPECT_EQ(world.Left(), std::pair(size_t{3}, size_t{1}));
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
