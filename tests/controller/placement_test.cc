#include "controller/placement/place.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace mcpfleet {
namespace {

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
  EXPECT_FALSE(Place({{"replicas", 2}}, "a", {}, false));
  EXPECT_FALSE(Place({{"nodes", "a"}}, "a", {}, false));
  EXPECT_FALSE(Place({{"nodeSelector", {{"site", 1}}}}, "a", {{"site", "1"}}, false));
  EXPECT_FALSE(Place("a", "a", {}, false));
}

}  // namespace
}  // namespace mcpfleet
