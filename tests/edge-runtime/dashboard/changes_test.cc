// Changes from the page on a real embedded store.
#include "edge-runtime/dashboard/changes.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "edge-runtime/dashboard/reads.h"
#include "store/reader.h"
#include "tests/store/testing.h"

namespace mcpfleet::dashboard {
namespace {

using mcpfleet::testing::TempDir;

Json Manifest(const std::string& name, const std::string& version = "1.0.0") {
  return {{"apiVersion", kApiVersion},
          {"kind", kKindServer},
          {"metadata", {{"name", name}}},
          {"spec", {{"source", {{"package", {{"manager", "npm"}, {"name", "x"}, {"version", version}}}}}}}};
}

class ChangesTest : public ::testing::Test {
 protected:
  TempDir dir_;
  SystemClock clock_;
  std::unique_ptr<EmbeddedKv> store_ = *EmbeddedKv::Open(dir_ / "kv", clock_);
  std::unique_ptr<KvClient> kv_ = store_->Client(kConfigNamespace);
  const Deadline soon_ = Deadline::After(std::chrono::seconds(20));
  const ChangeAbout about_{"why", "ada", false};

  StatusOr<Json> Post(const Json& body) {
    ChangeAbout about{.author = "ada"};
    ASSIGN_OR_RETURN(const ChangeSet changes, ParseChanges(body, &about));
    return Change(*kv_, changes, about, clock_, soon_);
  }
  Object Stored(const std::string& name) { return ReadState(*kv_, soon_)->objects.at({kKindServer, "default", name}); }
  std::string Snapshot() { return (*ReadHead(*kv_, soon_))->snapshot; }
};

TEST_F(ChangesTest, AnApplyARestartAndARollBackAreVersions) {
  const Json dry = *Post({{"set", {Manifest("a")}}, {"dryRun", true}});
  EXPECT_EQ(dry["changes"][0]["change"], "created");
  EXPECT_FALSE(dry["moved"]);
  EXPECT_TRUE(dry["head"].is_null());
  const Json made = *Post({{"set", {Manifest("a")}}, {"message", "first"}});
  EXPECT_TRUE(made["moved"]);
  EXPECT_EQ(made["head"], "0.1.1");
  const std::string first = Snapshot();
  EXPECT_FALSE((*Post({{"set", {Manifest("a")}}}))["moved"]) << "nothing differs";

  EXPECT_TRUE((*ChangeServer(*kv_, "restart", {kKindServer, "default", "a"}, about_, clock_, soon_))["moved"]);
  EXPECT_TRUE((*ChangeServer(*kv_, "suspend", {kKindServer, "default", "a"}, about_, clock_, soon_))["moved"]);
  EXPECT_TRUE(GetBool(Stored("a").spec, "suspend"));
  EXPECT_TRUE((*ChangeServer(*kv_, "resume", {kKindServer, "default", "a"}, about_, clock_, soon_))["moved"]);
  EXPECT_FALSE(Stored("a").spec.contains("suspend"));
  EXPECT_EQ(ChangeServer(*kv_, "restart", {kKindServer, "default", "b"}, about_, clock_, soon_).status().code(),
            StatusCode::kNotFound);
  // A manifest says nothing of the restart that was asked for.
  ASSERT_TRUE((*Post({{"set", {Manifest("a", "2.0.0"), Manifest("b")}}}))["moved"]);
  EXPECT_TRUE(Stored("a").metadata.annotations.contains(kRestartedAtAnnotation));

  const Json back = *RollBackTo(*kv_, first, about_, clock_, soon_);
  EXPECT_EQ(back["changes"].size(), 2u);
  EXPECT_EQ(Stored("a").spec["source"]["package"]["version"], "1.0.0");
  EXPECT_FALSE(ReadState(*kv_, soon_)->objects.contains({kKindServer, "default", "b"}));

  std::string next;
  const Json versions = *ReadVersions(*kv_, "", 3, &next, soon_);
  ASSERT_EQ(versions.size(), 3u);
  EXPECT_EQ(versions[0]["message"], "why");
  EXPECT_EQ(versions[0]["author"], "ada");
  EXPECT_EQ(next.size(), 64u);
  const Json older = *ReadVersions(*kv_, next, 50, &next, soon_);
  EXPECT_EQ(older.back()["message"], "first");
  EXPECT_EQ(older.back()["changedShards"], 1);
  EXPECT_EQ(next, "");
}

TEST_F(ChangesTest, RowsAndObjectsAreReadByTheirHashes) {
  ASSERT_TRUE(Post({{"set", {Manifest("a")}}}).ok());
  const Json version = *ReadVersion(*kv_, (*ReadDesired(*kv_, soon_))["snapshot"], soon_);
  std::string shard;
  for (const std::string hash : version["shards"]) shard = hash.empty() ? shard : hash;
  bool whole = false;
  const Json rows = *ReadRows(*kv_, shard, &whole, soon_);
  EXPECT_TRUE(whole);
  EXPECT_EQ(rows[0]["source"], "npm:x@1.0.0");
  EXPECT_EQ((*ReadObjectJson(*kv_, rows[0]["hash"], soon_))["metadata"]["name"], "a");
  EXPECT_EQ(ReadObjectJson(*kv_, std::string(64, '0'), soon_).status().code(), StatusCode::kNotFound);
}

TEST_F(ChangesTest, WhatIsWrongIsNamedAndNothingIsWritten) {
  Json bad = Manifest("a", "latest");
  bad["spec"]["limit"] = 1;
  const Json found = ValidateObjects({bad, Manifest("b"), "text", {{"kind", "MCPSecret"}}, {{"kind", "Pod"}}});
  EXPECT_EQ(found[0].size(), 2u);
  EXPECT_TRUE(found[1].empty());
  for (int i = 2; i < 5; ++i) EXPECT_FALSE(found[i].empty()) << i;
  EXPECT_NE(found[3][0]["problem"].get<std::string>().find("mcpctl create secret"), std::string::npos);

  const Status refused = Post({{"set", {Manifest("b"), bad}}}).status();
  EXPECT_EQ(refused.code(), StatusCode::kInvalidArgument);
  EXPECT_NE(Message(refused).find("MCPServer/default/a: spec."), std::string::npos) << refused;
  EXPECT_FALSE(Post({{"set", {Manifest("a"), Manifest("a")}}}).ok()) << "twice";
  EXPECT_FALSE(Post(Json::object()).ok());
  EXPECT_FALSE(Post({{"remove", {{{"kind", "MCPSecret"}, {"name", "s"}}}}}).ok());
  EXPECT_FALSE(ReadHead(*kv_, soon_)->has_value());

  Json replicated = Manifest("a");
  replicated["spec"]["placement"] = {{"replicas", 2}};
  EXPECT_EQ(Post({{"set", {replicated}}}).status().code(), StatusCode::kFailedPrecondition);
}

TEST_F(ChangesTest, ANodeIsDeclaredByBeingCordoned) {
  EXPECT_EQ((*ChangeNode(*kv_, "uncordon", "edge-01", about_, clock_, soon_))["changes"][0]["change"], "not found");
  EXPECT_EQ(ChangeNode(*kv_, "cordon", "No Name", about_, clock_, soon_).status().code(), StatusCode::kInvalidArgument);
  EXPECT_TRUE((*ChangeNode(*kv_, "drain", "edge-01", about_, clock_, soon_))["moved"]);
  const Object node = ReadState(*kv_, soon_)->objects.at({kKindNode, "", "edge-01"});
  EXPECT_TRUE(GetBool(node.spec, "drain"));
  EXPECT_TRUE((*ChangeNode(*kv_, "uncordon", "edge-01", about_, clock_, soon_))["moved"]);
  EXPECT_TRUE(ReadState(*kv_, soon_)->objects.at({kKindNode, "", "edge-01"}).spec.empty());
}

TEST_F(ChangesTest, InASignedFleetAChangeIsAProposal) {
  ASSERT_TRUE(Post({{"set", {Manifest("a")}}}).ok());
  const std::string first = Snapshot();
  ASSERT_TRUE(Post({{"set", {Manifest("a", "2.0.0")}}}).ok());
  Head head = **ReadHead(*kv_, soon_);
  const std::string before = ToString(head.order);
  head.order.revision++;
  head.signatures = Json::array({{{"key", "k"}, {"signature", "s"}}});
  ASSERT_OK(kv_->Put(kHeadKey, *EncodeHead(head), {.if_match = before}, soon_));

  const Json made = *Post({{"set", {Manifest("a", "3.0.0")}}, {"message", "third"}});
  EXPECT_FALSE(made["moved"]);
  ASSERT_TRUE(made["proposal"].is_string());
  const Json back = *RollBackTo(*kv_, first, about_, clock_, soon_);
  EXPECT_TRUE(back["proposal"].is_string());
  EXPECT_EQ(ReadProposals(*kv_, soon_)->size(), 2u);
  EXPECT_EQ(ToString((*ReadHead(*kv_, soon_))->order), ToString(head.order)) << "nothing moved";
  EXPECT_TRUE((*Post({{"set", {Manifest("a", "2.0.0")}}}))["proposal"].is_null()) << "nothing differs";
}

}  // namespace
}  // namespace mcpfleet::dashboard
