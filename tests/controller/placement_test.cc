#include "controller/placement/place.h"

#include <algorithm>
#include <map>
#include <random>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace mcpfleet {
namespace {

ObjectKey Key(const std::string& name) { return {kKindServer, "default", name}; }
Json Replicas(int count) { return {{"replicas", count}}; }

std::vector<PlacementNode> Fleet(int size) {
  std::vector<PlacementNode> nodes;
  for (int i = 0; i < size; ++i) {
    nodes.push_back({.name = "edge-" + std::to_string(i), .labels = {{"site", i % 2 == 0 ? "berlin" : "paris"}}});
  }
  return nodes;
}

std::vector<std::string> Without(std::vector<std::string> names, const std::string& name) {
  std::erase(names, name);
  return names;
}

std::vector<std::string> Sorted(std::vector<std::string> names) {
  std::sort(names.begin(), names.end());
  return names;
}

const Labels kBerlin = {{"site", "berlin"}, {"arch", "arm64"}};

TEST(PlaceTest, WithoutPlacementEveryNodeRunsIt) {
  EXPECT_TRUE(Place(nullptr, "a", {}, false));
  EXPECT_TRUE(Place(Json::object(), "a", {}, false));
  EXPECT_TRUE(Place({{"nodes", Json::array()}, {"nodeSelector", Json::object()}}, "a", {}, false));
}

TEST(PlaceTest, NodesAreNamedExactly) {
  Json placement = {{"nodes", {"a", "b"}}};
  EXPECT_TRUE(Place(placement, "b", {}, false));
  EXPECT_FALSE(Place(placement, "B", {}, false));
  EXPECT_FALSE(Place(placement, "ab", {}, false));
}

TEST(PlaceTest, ASelectorNeedsAllOfItsLabels) {
  EXPECT_TRUE(Place({{"nodeSelector", {{"site", "berlin"}}}}, "a", kBerlin, false));
  EXPECT_TRUE(Place({{"nodeSelector", kBerlin}}, "a", kBerlin, false));
  EXPECT_FALSE(Place({{"nodeSelector", {{"site", "berlin"}, {"gpu", "yes"}}}}, "a", kBerlin, false));
  EXPECT_FALSE(Place({{"nodeSelector", {{"site", "paris"}}}}, "a", kBerlin, false));
  EXPECT_FALSE(Place({{"nodeSelector", {{"site", "berlin"}}}}, "a", {}, false));
}

TEST(PlaceTest, NamesAndSelectorMustBothHold) {
  Json placement = {{"nodes", {"a"}}, {"nodeSelector", {{"site", "berlin"}}}};
  EXPECT_TRUE(Place(placement, "a", kBerlin, false));
  EXPECT_FALSE(Place(placement, "b", kBerlin, false));
  EXPECT_FALSE(Place(placement, "a", {}, false));
}

TEST(PlaceTest, AnUnschedulableNodeTakesNothing) { EXPECT_FALSE(Place(nullptr, "a", kBerlin, true)); }

TEST(PlaceTest, WhatThisVersionDoesNotUnderstandRunsNowhere) {
  EXPECT_FALSE(Place({{"spread", "site"}}, "a", {}, false));
  for (const Json& replicas :
       {Json(0), Json(-1), Json(1001), Json(1.5), Json("2"), Json(nullptr), Json(uint64_t{0xFFFF'FFFF'0000'0002U})}) {
    EXPECT_FALSE(Place({{"replicas", replicas}}, "a", {}, false)) << replicas;
    EXPECT_FALSE(ReplicasOf({{"replicas", replicas}}).has_value()) << replicas;
  }
  EXPECT_FALSE(Place({{"nodes", "a"}}, "a", {}, false));
  EXPECT_FALSE(Place({{"nodeSelector", {{"site", 1}}}}, "a", {{"site", "1"}}, false));
  EXPECT_FALSE(Place("a", "a", {}, false));
}

TEST(PlaceTest, ANodeMatchesHoweverManyReplicasAreAskedFor) {
  EXPECT_TRUE(Place(Replicas(2), "a", {}, false));
  EXPECT_FALSE(Place({{"replicas", 2}, {"nodes", {"b"}}}, "a", {}, false));
  EXPECT_EQ(ReplicasOf(Replicas(2)), 2);
  EXPECT_EQ(ReplicasOf(nullptr), std::nullopt);
  EXPECT_EQ(ReplicasOf({{"nodes", {"a"}}}), std::nullopt);
}

TEST(ReplicasTest, AreOnSoManyOfTheNodesThatMatchAreSchedulableAndNotDown) {
  std::vector<PlacementNode> fleet = Fleet(8);
  fleet[0].unschedulable = true;
  fleet[2].drained = true;
  const PlacementNodes nodes(fleet);
  const Json placement = {{"replicas", 2}, {"nodeSelector", {{"site", "berlin"}}}};
  EXPECT_EQ(Sorted(nodes.Place(Key("web"), placement, {})), (std::vector<std::string>{"edge-4", "edge-6"}));
  EXPECT_EQ(nodes.Place(Key("web"), placement, {"edge-4"}), std::vector<std::string>{"edge-6"});
  EXPECT_TRUE(nodes.Place(Key("web"), placement, {"edge-4", "edge-6"}).empty());
  EXPECT_EQ(nodes.Place(Key("web"), Replicas(1000), {}).size(), 6U);
  EXPECT_TRUE(PlacementNodes().Place(Key("web"), Replicas(1), {}).empty());
}

TEST(ReplicasTest, WithoutThemTheListOfDownNodesSaysNothing) {
  const PlacementNodes nodes(Fleet(3));
  EXPECT_EQ(nodes.Place(Key("web"), nullptr, {"edge-0", "edge-1", "edge-2"}).size(), 3U);
}

// Part of the protocol: nodes of different versions must agree.
TEST(ReplicasTest, TheSameNodesAreChosenForEver) {
  const PlacementNodes nodes(Fleet(10));
  EXPECT_EQ(nodes.Place(Key("web"), Replicas(3), {}), (std::vector<std::string>{"edge-9", "edge-6", "edge-7"}));
  EXPECT_EQ(nodes.Place(Key("clock"), Replicas(3), {}), (std::vector<std::string>{"edge-8", "edge-7", "edge-3"}));
  EXPECT_EQ(nodes.Place({kKindServer, "shop", "web"}, Replicas(3), {}),
            (std::vector<std::string>{"edge-9", "edge-6", "edge-5"}));
}

TEST(ReplicasTest, ANodeThatGoesTakesItsOwnServersWithItAndNothingElseMoves) {
  const PlacementNodes nodes(Fleet(50));
  for (int i = 0; i < 40; ++i) {
    const ObjectKey server = Key("s" + std::to_string(i));
    const std::vector<std::string> before = nodes.Place(server, Replicas(3), {});
    for (const PlacementNode& gone : Fleet(50)) {
      const std::vector<std::string> after = nodes.Place(server, Replicas(3), {gone.name});
      ASSERT_EQ(after.size(), 3U);
      const std::vector<std::string> rest = Without(before, gone.name);
      EXPECT_TRUE(std::equal(rest.begin(), rest.end(), after.begin())) << gone.name;
    }
  }
}

TEST(ReplicasTest, ServersAreSpreadOverTheNodes) {
  const PlacementNodes nodes(Fleet(20));
  std::map<std::string, int> load;
  for (int i = 0; i < 2000; ++i) {
    for (const std::string& node : nodes.Place(Key("s" + std::to_string(i)), Replicas(2), {})) ++load[node];
  }
  ASSERT_EQ(load.size(), 20U);
  // 200 expected, a standard deviation of 13.
  for (const auto& [node, count] : load) EXPECT_NEAR(count, 200, 65) << node;
}

TEST(ReplicasTest, WhetherANodeIsAmongThemIsTheSameWithoutTheWholeOrder) {
  std::mt19937_64 random(7);
  for (int round = 0; round < 200; ++round) {
    std::vector<PlacementNode> fleet = Fleet(static_cast<int>(1 + random() % 12));
    DownNodes down;
    for (PlacementNode& node : fleet) {
      node.unschedulable = random() % 5 == 0;
      node.drained = random() % 9 == 0;
      if (random() % 4 == 0) down.insert(node.name);
    }
    const PlacementNodes nodes(fleet);
    Json placement = Replicas(static_cast<int>(1 + random() % 4));
    if (random() % 2 == 0) placement["nodeSelector"] = {{"site", "berlin"}};
    for (const PlacementNode& node : fleet) {
      // As if it were up and schedulable.
      std::vector<PlacementNode> as_if = fleet;
      for (PlacementNode& other : as_if) other.unschedulable = other.unschedulable && other.name != node.name;
      DownNodes others = down;
      others.erase(node.name);
      const std::vector<std::string> placed = PlacementNodes(as_if).Place(Key("web"), placement, others);
      EXPECT_EQ(nodes.WouldPlace(Key("web"), placement, down, node.name),
                std::find(placed.begin(), placed.end(), node.name) != placed.end());
    }
    EXPECT_FALSE(nodes.WouldPlace(Key("web"), placement, down, "not-declared"));
  }
}

TEST(ReplicasTest, OfTwoNodesWithOneNameTheFirstCounts) {
  const PlacementNodes nodes({{.name = "b"}, {.name = "a", .labels = {{"n", "1"}}}, {.name = "a"}});
  ASSERT_NE(nodes.Find("a"), nullptr);
  EXPECT_EQ(nodes.Find("a")->labels.size(), 1U);
  EXPECT_EQ(nodes.Find("c"), nullptr);
  EXPECT_EQ(nodes.Place(Key("web"), Replicas(5), {}).size(), 2U);
}

}  // namespace
}  // namespace mcpfleet
