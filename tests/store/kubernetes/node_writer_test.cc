// This node's MCPNode, on the fake API server with the rights that mcplet has.
#include "store/kubernetes/node_writer.h"

#include <poll.h>

#include <atomic>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tests/store/kubernetes/fake_cluster.h"

namespace mcpfleet::kube {
namespace {

using std::chrono::milliseconds, std::chrono::seconds;

bool Eventually(const std::function<bool()>& condition) {
  for (const Deadline limit = Deadline::After(seconds(20)); !limit.Expired(); poll(nullptr, 0, 20)) {
    if (condition()) return true;
  }
  return false;
}

class NodeWriterTest : public FakeClusterTest {
 protected:
  std::unique_ptr<NodeWriter> Open(NodeWriterOptions options = {}) {
    options.node = "edge-01";
    options.core_node = "edge-01.example.com";
    options.min_interval = milliseconds(20);
    options.first_pause = milliseconds(50);
    auto writer = std::make_unique<NodeWriter>(*mcplet_, clock_, options);
    writer->Start();
    return writer;
  }
  Json Shown() { return Get(std::string(kNodesPath) + "/edge-01"); }
  std::string Ready() { return ReadyAt(std::string(kNodesPath) + "/edge-01"); }
  NodeStatus Node(const std::string& reason = "Ready") {
    NodeStatus node{.node = "edge-01", .boot_id = "b", .version = "1.2.3", .runtimes = {"Containerd"}};
    SetCondition(&node.conditions,
                 {.type = "Ready",
                  .status = reason == "Ready" ? ConditionStatus::kTrue : ConditionStatus::kFalse,
                  .reason = reason},
                 WallTime(seconds(1'700'000'000)));
    return node;
  }
  int64_t Sequence() {
    const Json node = Shown();
    return GetInt(GetMember(node, "status"), "sequence");
  }

  const std::unique_ptr<RestClient> mcplet_ = std::make_unique<RestClient>(ClusterOf("token"), "test");
};

TEST_F(NodeWriterTest, ANodeWithoutAnMCPNodeMakesOneThatItsNodeOwns) {
  api_.Grant(testing::RbacManifest());
  auto writer = Open({.core_uid = [] { return std::string("u-1"); }});
  writer->Set(Node());
  ASSERT_TRUE(Eventually([&] { return Ready() == "True/Ready"; }));
  const Json node = Shown();
  EXPECT_EQ(node["metadata"]["ownerReferences"],
            Json::parse(R"([{"apiVersion":"v1","kind":"Node","name":"edge-01.example.com","uid":"u-1"}])"));
  EXPECT_EQ(GetString(node["status"], "version"), "1.2.3");
  EXPECT_EQ(GetString(node["status"], "bootId"), "b");
  EXPECT_EQ(node["status"]["runtimes"], Json({"Containerd"}));
  EXPECT_TRUE(ParseTime(GetString(node["status"], "heartbeat")).ok());
}

TEST_F(NodeWriterTest, OutsideOfTheClusterItIsOwnedByNothing) {
  api_.Grant(testing::RbacManifest());
  auto writer = Open();
  writer->Set(Node());
  ASSERT_TRUE(Eventually([&] { return !Ready().empty(); }));
  EXPECT_FALSE(Shown()["metadata"].contains("ownerReferences"));
}

TEST_F(NodeWriterTest, OnePeopleMadeKeepsItsLabelsItsSpecAndItsOwners) {
  api_.Grant(testing::RbacManifest());
  ASSERT_EQ(Send("POST", kNodesPath,
                 {{"apiVersion", kApiVersion},
                  {"kind", "MCPNode"},
                  {"metadata", {{"name", "edge-01"}, {"labels", {{"site", "berlin"}}}}},
                  {"spec", {{"unschedulable", true}}}}),
            201);
  auto writer = Open({.core_uid = [] { return std::string("u-1"); }});
  writer->Set(Node());
  ASSERT_TRUE(Eventually([&] { return Ready() == "True/Ready"; }));
  const Json node = Shown();
  EXPECT_EQ(node["metadata"]["labels"], Json({{"site", "berlin"}}));
  EXPECT_EQ(node["spec"]["unschedulable"], true);
  EXPECT_FALSE(node["metadata"].contains("ownerReferences"));
  EXPECT_EQ(GetInt(node["metadata"], "generation"), 1) << "its spec was written";
}

TEST_F(NodeWriterTest, BeforeItsNodeWasHeardOfNoneIsMade) {
  api_.Grant(testing::RbacManifest());
  std::atomic<bool> heard{false};
  std::atomic<int> asked{0};
  auto writer = Open({.core_uid = [&]() -> std::optional<std::string> {
    ++asked;
    return heard ? std::optional<std::string>("u-1") : std::nullopt;
  }});
  writer->Set(Node());
  ASSERT_TRUE(Eventually([&] { return asked >= 2; }));
  EXPECT_TRUE(Shown().is_null());
  heard = true;
  ASSERT_TRUE(Eventually([&] { return Ready() == "True/Ready"; }));
  EXPECT_EQ(Shown()["metadata"]["ownerReferences"][0]["uid"], "u-1");
}

TEST_F(NodeWriterTest, TheSameIsWrittenOnceAndNewsAndSignsOfLifeAreWrittenAgain) {
  api_.Grant(testing::RbacManifest());
  auto writer = Open();
  writer->Set(Node());
  ASSERT_TRUE(Eventually([&] { return Ready() == "True/Ready"; }));
  const int64_t first = Sequence();
  for (int i = 0; i < 20; ++i) writer->Set(Node());
  writer->Set(Node("RuntimeDown"));
  ASSERT_TRUE(Eventually([&] { return Ready() == "False/RuntimeDown"; }));
  EXPECT_EQ(Sequence(), first + 1);
  writer = Open({.refresh = milliseconds(100)});
  writer->Set(Node("RuntimeDown"));
  ASSERT_TRUE(Eventually([&] { return Sequence() >= 3; })) << "no sign of life";
}

TEST_F(NodeWriterTest, OneThatWasDeletedIsMadeAgain) {
  api_.Grant(testing::RbacManifest());
  auto writer = Open({.refresh = milliseconds(200)});
  writer->Set(Node());
  ASSERT_TRUE(Eventually([&] { return !Ready().empty(); }));
  ASSERT_EQ(Send("DELETE", std::string(kNodesPath) + "/edge-01"), 200);
  EXPECT_TRUE(Eventually([&] { return !Ready().empty(); }));
}

TEST_F(NodeWriterTest, WhatIsForbiddenIsTriedAgainUntilARoleAllowsIt) {
  auto writer = Open();
  writer->Set(Node());
  const auto refused = mcplet_->Do({.path = std::string(kNodesPath)}, Deadline::After(seconds(5)));
  ASSERT_TRUE(refused.ok());
  EXPECT_EQ(refused->code, 403);
  EXPECT_TRUE(Shown().is_null());
  api_.Grant(testing::RbacManifest());
  EXPECT_TRUE(Eventually([&] { return Ready() == "True/Ready"; }));
}

}  // namespace
}  // namespace mcpfleet::kube
