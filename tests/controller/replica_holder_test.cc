#include "controller/placement/replica_holder.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace mcpfleet {
namespace {

using std::chrono::seconds;

// Two replicas of one server on four nodes; each test looks at the place of one of them.
class ReplicaHolderTest : public ::testing::Test {
 protected:
  ReplicaHolderTest() { SetNodes(Fleet()); }
  static std::vector<PlacementNode> Fleet() { return {{.name = "a"}, {.name = "b"}, {.name = "c"}, {.name = "d"}}; }
  void SetNodes(std::vector<PlacementNode> nodes) {
    nodes_ = PlacementNodes(std::move(nodes));
    order_ = PlacementNodes(Fleet()).Place(key_, {{"replicas", 4}}, {});
  }
  void Change(const std::string& name, bool unschedulable, bool drained) {
    std::vector<PlacementNode> nodes = Fleet();
    for (PlacementNode& node : nodes) {
      if (node.name == name) node.unschedulable = unschedulable, node.drained = drained;
    }
    SetNodes(nodes);
  }
  // The node of that place, 0 to 3. Decides, and runs what was decided.
  const std::string& At(size_t place) const { return order_[place]; }
  bool Runs(ReplicaHolder& holder) {
    held_ = !holder.Decide({{&key_, &placement_, held_}}, {nodes_, down_, informed_}, now_).empty();
    return held_;
  }
  void Wait(Duration time) { now_ += time; }

  const ObjectKey key_{kKindServer, "default", "web"};
  const Json placement_ = {{"replicas", 2}};
  PlacementNodes nodes_;
  std::vector<std::string> order_;
  DownNodes down_;
  bool informed_ = true, held_ = false;
  MonoTime now_{};
};

TEST_F(ReplicaHolderTest, TheFirstTakeItAndTheOthersDoNot) {
  for (size_t place = 0; place < 4; ++place) {
    held_ = false;
    ReplicaHolder holder(At(place));
    EXPECT_EQ(Runs(holder), place < 2);
    EXPECT_EQ(holder.next_due(), MonoTime::max());
  }
}

TEST_F(ReplicaHolderTest, AnotherOneTakesThePlaceOfANodeThatIsDown) {
  ReplicaHolder third(At(2));
  EXPECT_FALSE(Runs(third));
  down_ = {At(0)};
  EXPECT_TRUE(Runs(third));
}

TEST_F(ReplicaHolderTest, WhoLosesItsPlaceGoesOnUntilTheOtherHadTimeToStart) {
  ReplicaHolder third(At(2));
  down_ = {At(0)};
  EXPECT_TRUE(Runs(third));
  down_ = {};
  EXPECT_TRUE(Runs(third));
  EXPECT_EQ(third.next_due(), now_ + kHandOver);
  Wait(kHandOver - seconds(1));
  EXPECT_TRUE(Runs(third));
  Wait(seconds(1));
  EXPECT_FALSE(Runs(third));
  EXPECT_EQ(third.next_due(), MonoTime::max());
}

TEST_F(ReplicaHolderTest, AHandOverThatIsOverStaysOverWhileTheServerIsStillThere) {
  ReplicaHolder third(At(2));
  held_ = true;
  EXPECT_TRUE(Runs(third));
  Wait(kHandOver);
  EXPECT_FALSE(Runs(third));
  held_ = true;  // it could not be written down yet
  EXPECT_FALSE(Runs(third));
}

TEST_F(ReplicaHolderTest, AHandOverEndsWhenThePlaceComesBack) {
  ReplicaHolder third(At(2));
  held_ = true;
  EXPECT_TRUE(Runs(third));
  Wait(seconds(50));
  down_ = {At(1)};
  EXPECT_TRUE(Runs(third));
  down_ = {};
  Wait(seconds(50));
  EXPECT_TRUE(Runs(third)) << "a new hand-over has begun";
  Wait(kHandOver);
  EXPECT_FALSE(Runs(third));
}

TEST_F(ReplicaHolderTest, ANodeThatIsCutOffKeepsWhatItRunsAndTakesNothingNew) {
  ReplicaHolder first(At(0)), third(At(2));
  EXPECT_TRUE(Runs(first));
  informed_ = false;
  down_ = {At(1)};
  EXPECT_TRUE(Runs(first));
  Wait(std::chrono::hours(1));
  EXPECT_TRUE(Runs(first));
  held_ = false;
  EXPECT_FALSE(Runs(third));
  held_ = true;
  down_ = {};
  EXPECT_TRUE(Runs(third));
  Wait(std::chrono::hours(1));
  EXPECT_TRUE(Runs(third)) << "what is not its own is handed over when it is informed again";
  informed_ = true;
  EXPECT_TRUE(Runs(third));
  Wait(kHandOver);
  EXPECT_FALSE(Runs(third));
}

TEST_F(ReplicaHolderTest, ANodeThatFindsItselfOnTheListKeepsWhatIsItsOwnAndTakesNothingNew) {
  ReplicaHolder first(At(0));
  down_ = {At(0)};
  EXPECT_FALSE(Runs(first));
  down_ = {};
  EXPECT_TRUE(Runs(first));
  down_ = {At(0)};
  EXPECT_TRUE(Runs(first));
  Wait(std::chrono::hours(1));
  EXPECT_TRUE(Runs(first));
  down_ = {"a", "b", "c", "d"};
  EXPECT_TRUE(Runs(first));
}

TEST_F(ReplicaHolderTest, ACordonedNodeKeepsItsOwnAndTakesNothingNewWhileTheNextTakesItToo) {
  Change(At(0), /*unschedulable=*/true, /*drained=*/false);
  ReplicaHolder first(At(0)), third(At(2));
  EXPECT_FALSE(Runs(first));
  held_ = true;
  EXPECT_TRUE(Runs(first));
  Wait(std::chrono::hours(1));
  EXPECT_TRUE(Runs(first));
  held_ = false;
  EXPECT_TRUE(Runs(third));
  // Uncordoned, it was never away.
  SetNodes(Fleet());
  EXPECT_TRUE(Runs(third));
  Wait(kHandOver);
  EXPECT_FALSE(Runs(third));
}

TEST_F(ReplicaHolderTest, ACordonedNodeHandsOverWhatItHadForAnother) {
  ReplicaHolder third(At(2));
  down_ = {At(0)};
  EXPECT_TRUE(Runs(third));
  Change(At(2), /*unschedulable=*/true, /*drained=*/false);
  EXPECT_TRUE(Runs(third));
  down_ = {};
  EXPECT_TRUE(Runs(third));
  Wait(kHandOver);
  EXPECT_FALSE(Runs(third));
}

TEST_F(ReplicaHolderTest, ADrainedNodeHandsEverythingOverAlsoWhenItIsCutOff) {
  for (const bool informed : {true, false}) {
    SetNodes(Fleet());
    informed_ = true;
    held_ = false;
    ReplicaHolder first(At(0));
    EXPECT_TRUE(Runs(first));
    Change(At(0), /*unschedulable=*/true, /*drained=*/true);
    informed_ = informed;
    EXPECT_TRUE(Runs(first));
    Wait(kHandOver);
    EXPECT_FALSE(Runs(first)) << informed;
  }
}

TEST_F(ReplicaHolderTest, ANodeThatIsNotDeclaredTakesNone) {
  ReplicaHolder stranger("stranger");
  EXPECT_FALSE(Runs(stranger));
  held_ = true;
  EXPECT_TRUE(Runs(stranger));
  Wait(kHandOver);
  EXPECT_FALSE(Runs(stranger));
}

TEST_F(ReplicaHolderTest, WhatIsNotAskedForIsForgotten) {
  ReplicaHolder third(At(2));
  held_ = true;
  EXPECT_TRUE(Runs(third));
  EXPECT_TRUE(third.Decide({}, {nodes_, down_, true}, now_).empty());
  EXPECT_EQ(third.next_due(), MonoTime::max());
  Wait(seconds(30));
  held_ = true;
  EXPECT_TRUE(Runs(third));
  EXPECT_EQ(third.next_due(), now_ + kHandOver);
}

}  // namespace
}  // namespace mcpfleet
