#include "cli/fleet.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace mcpfleet::cli {
namespace {

const WallTime kNow{std::chrono::seconds(1'790'000'000)};

Condition Ready(ConditionStatus status, std::string reason, std::string message = "") {
  return {.type = "Ready", .status = status, .reason = std::move(reason), .message = std::move(message)};
}

// A fleet with one server, weather of generation 2, and nodes that report it.
class FleetTest : public ::testing::Test {
 protected:
  FleetTest() {
    Object object{.kind = kKindServer, .metadata = {.name = "weather", .generation = 2}};
    fleet_.desired.objects[KeyOf(object)] = object;
  }
  Object& object() { return fleet_.desired.objects.begin()->second; }
  NodeStatus& Node(const std::string& name, Duration silent = {}) {
    fleet_.nodes.push_back({.node = name, .heartbeat = kNow - silent});
    return fleet_.nodes.back();
  }
  void Reports(const std::string& node, Condition condition, int64_t generation = 2, Duration silent = {}) {
    ServerStatus status{
        .key = {"default", "weather"}, .observed_generation = generation, .conditions = {std::move(condition)}};
    Node(node, silent).servers.push_back(status);
  }
  ServerView View() { return ViewOf(fleet_, object(), kNow); }
  Fleet fleet_;
};

TEST_F(FleetTest, AServerThatNoNodeHasReportedIsPending) {
  EXPECT_EQ(StatusWord(View()), "Pending");
  EXPECT_EQ(Merged(View(), "Ready").status, ConditionStatus::kUnknown);
  EXPECT_EQ(ReadyNodes(View()), 0);
}

TEST_F(FleetTest, ReadyEverywhereIsReady) {
  Reports("a", Ready(ConditionStatus::kTrue, "Verified"));
  Reports("b", Ready(ConditionStatus::kTrue, "Verified"));
  EXPECT_EQ(StatusWord(View()), "Ready");
  EXPECT_EQ(ReadyNodes(View()), 2);
}

TEST_F(FleetTest, FalseWinsOverUnknownAndUnknownOverTrue) {
  Reports("a", Ready(ConditionStatus::kTrue, "Verified"));
  Reports("b", Ready(ConditionStatus::kUnknown, "Starting", "wait"));
  EXPECT_EQ(StatusWord(View()), "Starting");
  Reports("c", Ready(ConditionStatus::kFalse, "CrashLoopBackOff", "exit code 1"));
  Condition merged = Merged(View(), "Ready");
  EXPECT_EQ(merged.status, ConditionStatus::kFalse);
  EXPECT_EQ(merged.message, "c: exit code 1");
  EXPECT_EQ(StatusWord(View()), "CrashLoopBackOff");
  EXPECT_EQ(ReadyNodes(View()), 1);
}

TEST_F(FleetTest, ANodeThatIsSilentSaysNothingAboutNow) {
  Reports("a", Ready(ConditionStatus::kTrue, "Verified"), 2, std::chrono::minutes(36));
  EXPECT_EQ(Merged(View(), "Ready").status, ConditionStatus::kUnknown);
  EXPECT_EQ(StatusWord(View()), "NodeSilent");
  EXPECT_EQ(ReadyNodes(View()), 0);
}

TEST_F(FleetTest, AGenerationThatTheNodeHasNotSeenIsProgressing) {
  Reports("a", Ready(ConditionStatus::kTrue, "Verified"), 1);
  EXPECT_EQ(StatusWord(View()), "Progressing");
  EXPECT_NE(Merged(View(), "Ready").message.find("generation 2"), std::string::npos);
  EXPECT_EQ(ReadyNodes(View()), 0);
}

TEST_F(FleetTest, ANodeThatWillRunItAndHasNotReportedItCountsAsNotReady) {
  Reports("a", Ready(ConditionStatus::kTrue, "Verified"));
  Node("b");
  EXPECT_EQ(View().nodes.size(), 2u);
  EXPECT_EQ(ReadyNodes(View()), 1);
  EXPECT_EQ(StatusWord(View()), "Pending");
  object().spec["placement"] = {{"nodes", {"a"}}};
  EXPECT_EQ(View().nodes.size(), 1u);
  EXPECT_EQ(StatusWord(View()), "Ready");
}

TEST_F(FleetTest, ASelectorOfPlacementReadsTheLabelsOfDeclaredNodes) {
  object().spec["placement"] = {{"nodeSelector", {{"site", "berlin"}}}};
  Node("b");
  EXPECT_TRUE(View().nodes.empty());
  Object node{.kind = kKindNode, .metadata = {.name = "b", .namespace_ = "", .labels = {{"site", "berlin"}}}};
  fleet_.desired.objects[KeyOf(node)] = node;
  Object server = fleet_.desired.objects.at({kKindServer, "default", "weather"});
  EXPECT_EQ(ViewOf(fleet_, server, kNow).nodes.size(), 1u);
  fleet_.desired.objects[KeyOf(node)].spec["unschedulable"] = true;
  EXPECT_TRUE(ViewOf(fleet_, server, kNow).nodes.empty());
}

// Three nodes in the order in which they take it.
class ReplicaFleetTest : public FleetTest {
 protected:
  ReplicaFleetTest() {
    object().spec["placement"] = {{"replicas", 2}};
    for (const char* name : {"a", "b", "c"}) Declare(name);
    order_ = fleet_.declared.Place(KeyOf(server()), {{"replicas", 3}}, {});
  }
  void Declare(const std::string& name, const Json& spec = Json::object()) {
    Object node{.kind = kKindNode, .metadata = {.name = name, .namespace_ = ""}, .spec = spec};
    fleet_.desired.objects[KeyOf(node)] = node;
    fleet_.declared = DeclaredNodes(fleet_.desired);
  }
  const Object& server() const { return fleet_.desired.objects.at({kKindServer, "default", "weather"}); }
  ServerView View() { return ViewOf(fleet_, server(), kNow); }
  std::string Why(const std::string& node) {
    for (const auto& on : View().nodes) {
      if (on.node->node == node) return on.why;
    }
    return "absent";
  }
  std::vector<std::string> order_;
};

TEST_F(ReplicaFleetTest, AsManyAreWantedAsTheSpecSays) {
  Reports(order_[0], Ready(ConditionStatus::kTrue, "Verified"));
  Reports(order_[1], Ready(ConditionStatus::kTrue, "Verified"));
  Node(order_[2]);
  EXPECT_EQ(ReadyNodes(View()), 2);
  EXPECT_EQ(WantedNodes(View()), 2);
  EXPECT_EQ(StatusWord(View()), "Ready");
  EXPECT_EQ(Why(order_[0]), "its place");
  EXPECT_EQ(Why(order_[2]), "absent");
}

TEST_F(ReplicaFleetTest, ANodeThatIsDownDoesNotCountAndTheNextDoes) {
  Reports(order_[0], Ready(ConditionStatus::kTrue, "Verified"));
  Reports(order_[1], Ready(ConditionStatus::kTrue, "Verified"));
  Node(order_[2]);
  fleet_.down = {order_[0]};
  EXPECT_EQ(ReadyNodes(View()), 1);
  EXPECT_EQ(WantedNodes(View()), 2);
  EXPECT_EQ(StatusWord(View()), "Pending");
  EXPECT_EQ(Why(order_[0]), "down, another node has its place");
  EXPECT_EQ(Why(order_[2]), "its place");
  EXPECT_TRUE(Unmet(View(), Merged(View(), "Ready")).starts_with("1 of 2 replicas are Ready; NotReported: "));
}

TEST_F(ReplicaFleetTest, TooFewNodesIsNotReadyThoughAllOfThemAre) {
  Reports(order_[0], Ready(ConditionStatus::kTrue, "Verified"));
  fleet_.down = {order_[1], order_[2]};
  EXPECT_EQ(ReadyNodes(View()), 1);
  EXPECT_EQ(StatusWord(View()), "TooFewNodes");
  EXPECT_EQ(Merged(View(), "Ready").message,
            "2 replicas are wanted; nodes that match, are schedulable and not down: 1");
  fleet_.nodes.clear();
  fleet_.down.insert(order_[0]);
  EXPECT_EQ(StatusWord(View()), "TooFewNodes");
}

TEST_F(ReplicaFleetTest, WhatRunsBesideIsNamedAndNotCounted) {
  for (const std::string& node : order_) Reports(node, Ready(ConditionStatus::kTrue, "Verified"));
  EXPECT_EQ(ReadyNodes(View()), 2);
  EXPECT_EQ(Why(order_[2]), "hands it over");
  Declare(order_[0], {{"unschedulable", true}});
  EXPECT_EQ(ReadyNodes(View()), 2);
  EXPECT_EQ(Why(order_[0]), "cordoned, keeps it until it is drained");
  EXPECT_EQ(Why(order_[2]), "its place");
  EXPECT_EQ(StatusWord(View()), "Ready");
}

TEST_F(ReplicaFleetTest, APlaceOnANodeThatNeverReportedIsShown) {
  Reports(order_[0], Ready(ConditionStatus::kTrue, "Verified"));
  EXPECT_EQ(Why(order_[1]), "its place, but the node has never reported");
  EXPECT_EQ(ReadyNodes(View()), 1);
  EXPECT_EQ(StatusWord(View()), "Pending");
  EXPECT_EQ(Rendered(View())["status"]["nodes"].size(), 1U);
}

TEST_F(FleetTest, SuspendedIsSaidOnlyWhenNothingRunsAnyMore) {
  Reports("a", Ready(ConditionStatus::kFalse, "Suspended"));
  object().spec["suspend"] = true;
  EXPECT_EQ(StatusWord(View()), "Suspended");
  fleet_.nodes[0].servers[0].instances.push_back({.id = "i1"});
  EXPECT_EQ(StatusWord(View()), "Suspending");
}

TEST_F(FleetTest, TheRenderedObjectHasMergedConditionsAndEachNode) {
  Reports("a", Ready(ConditionStatus::kTrue, "Verified"));
  Reports("b", Ready(ConditionStatus::kFalse, "Starting", "soon"), 2);
  Json json = Rendered(View());
  EXPECT_EQ(json["metadata"]["generation"], 2);
  EXPECT_EQ(json["status"]["observedGeneration"], 2);
  ASSERT_EQ(json["status"]["conditions"].size(), 1u);
  EXPECT_EQ(json["status"]["conditions"][0]["status"], "False");
  ASSERT_EQ(json["status"]["nodes"].size(), 2u);
  EXPECT_EQ(json["status"]["nodes"][1]["node"], "b");
  EXPECT_FALSE(json["status"]["nodes"][1].contains("name"));
}

TEST_F(FleetTest, NodesAreThoseThatReportAndThoseThatAreDeclared) {
  Node("b");
  Object node{.kind = kKindNode, .metadata = {.name = "a", .namespace_ = "", .labels = {{"site", "berlin"}}}};
  fleet_.desired.objects[KeyOf(node)] = node;
  EXPECT_EQ(*FindNodes(fleet_, {.kind = kKindNode}), (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(*FindNodes(fleet_, {.kind = kKindNode, .selector = *LabelSelector::Parse("site=berlin")}),
            std::vector<std::string>{"a"});
  EXPECT_EQ(FindNodes(fleet_, {.kind = kKindNode, .names = {"x"}}).status().code(), StatusCode::kNotFound);
  EXPECT_EQ(RenderedNode(fleet_, "b", kNow)["status"]["servers"], 0);
}

TEST_F(FleetTest, AMissingNameIsToldWithTheNearestOne) {
  auto found = Find(fleet_, {.namespace_ = "default", .names = {"wether"}});
  EXPECT_EQ(Message(found.status()),
            "mcpserver.mcpfleet.dev/wether not found in namespace default; did you mean \"weather\"?");
}

}  // namespace
}  // namespace mcpfleet::cli
