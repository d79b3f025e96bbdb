#include "cli/resource.h"

#include <sstream>

#include <gtest/gtest.h>

#include "cli/change.h"

namespace mcpfleet::cli {
namespace {

class SelectTest : public ::testing::Test {
 protected:
  SelectTest() { session_.options().namespace_ = "shop"; }
  StatusOr<Selection> Of(std::vector<std::string> arguments, std::string selector = "", std::string_view only = "") {
    return Select(session_, {.arguments = std::move(arguments), .selector = std::move(selector)}, only);
  }
  std::string Error(std::vector<std::string> arguments, std::string selector = "", std::string_view only = "") {
    return Message(Of(std::move(arguments), std::move(selector), only).status());
  }

  std::ostringstream out_, err_;
  SystemClock clock_;
  Session session_{out_, err_, clock_};
};

TEST_F(SelectTest, KindsGoByTheirPluralSingularAndShortNamesInAnyCase) {
  for (const char* word : {"mcpservers", "mcpserver", "mcp", "MCPServer"}) {
    auto selection = Of({word});
    ASSERT_TRUE(selection.ok()) << word;
    EXPECT_EQ(selection->kind, kKindServer);
    EXPECT_EQ(selection->namespace_, "shop");
    EXPECT_TRUE(selection->names.empty());
  }
}

TEST_F(SelectTest, NodesAreInNoNamespace) {
  auto selection = Of({"mcpnodes", "edge-01"});
  ASSERT_TRUE(selection.ok());
  EXPECT_EQ(selection->namespace_, "");
  EXPECT_EQ(selection->names, std::vector<std::string>{"edge-01"});
}

TEST_F(SelectTest, NamesFollowTheKindOrStandBehindASlash) {
  EXPECT_EQ(Of({"mcp", "a", "b"})->names, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(Of({"mcp/a", "mcpserver/b"})->names, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(Of({"mcp/a", "mcp/a"})->names, std::vector<std::string>{"a"});
}

TEST_F(SelectTest, AVerbOverOneKindTakesBareNames) {
  EXPECT_EQ(Of({"weather"}, "", kKindServer)->names, std::vector<std::string>{"weather"});
  EXPECT_EQ(Of({"mcp/weather"}, "", kKindServer)->names, std::vector<std::string>{"weather"});
  EXPECT_EQ(Of({"mcp", "weather"}, "", kKindServer)->names, std::vector<std::string>{"weather"});
  // A server may be called like the kind.
  EXPECT_EQ(Of({"mcp"}, "", kKindServer)->names, std::vector<std::string>{"mcp"});
}

TEST_F(SelectTest, AnUnknownKindSaysWhichThereAreAndWhatWasMeant) {
  std::string near = Error({"mcpserverz"});
  EXPECT_TRUE(near.starts_with("there is no kind \"mcpserverz\", did you mean \"mcpserver")) << near;
  EXPECT_NE(Error({"pods"}).find("kinds: mcpservers, mcpnodes"), std::string::npos);
  EXPECT_NE(Error({"events"}).find("mcpctl events"), std::string::npos);
  EXPECT_NE(Error({"mcp,mcpnodes"}).find("one kind at a time"), std::string::npos);
}

TEST_F(SelectTest, WhatMakesNoSenseTogetherIsRefused) {
  EXPECT_NE(Error({}).find("say what"), std::string::npos);
  EXPECT_NE(Error({"mcp/a", "mcpnode/b"}).find("only one kind at a time"), std::string::npos);
  EXPECT_NE(Error({"mcp/"}).find("no name behind the slash"), std::string::npos);
  EXPECT_NE(Error({"mcp/a"}, "app=x").find("exclude each other"), std::string::npos);
  EXPECT_FALSE(Of({"mcp"}, "a=(").ok());
}

TEST_F(SelectTest, ASelectorMatchesLabelsInTheNamespaceOnly) {
  auto selection = Of({"mcp"}, "app=shop");
  ASSERT_TRUE(selection.ok());
  Object object{.kind = kKindServer, .metadata = {.name = "a", .namespace_ = "shop", .labels = {{"app", "shop"}}}};
  EXPECT_TRUE(selection->Matches(object));
  object.metadata.labels["app"] = "bank";
  EXPECT_FALSE(selection->Matches(object));
  object.metadata.labels["app"] = "shop";
  object.metadata.namespace_ = "default";
  EXPECT_FALSE(selection->Matches(object));
}

TEST_F(SelectTest, EveryObjectIsMeantOnlyWhenThatIsSaid) {
  ResourceOptions options{.arguments = {"mcp"}};
  EXPECT_FALSE(CheckDeliberate(*Select(session_, options), options).ok());
  options.all = true;
  EXPECT_TRUE(CheckDeliberate(*Select(session_, options), options).ok());
  options = {.arguments = {"mcp"}, .selector = "a=b"};
  EXPECT_TRUE(CheckDeliberate(*Select(session_, options), options).ok());
}

TEST(SplitPairsTest, NamesPairsAndRemovalsAreToldApart) {
  auto change = SplitPairs({"mcp", "weather", "tier=gold", "note=a=b", "old-", "empty="}, true);
  ASSERT_TRUE(change.ok());
  EXPECT_EQ(change->selecting, (std::vector<std::string>{"mcp", "weather"}));
  EXPECT_EQ(change->set, (Labels{{"tier", "gold"}, {"note", "a=b"}, {"empty", ""}}));
  EXPECT_EQ(change->remove, std::vector<std::string>{"old"});
}

TEST(SplitPairsTest, BadKeysAndValuesAreNamed) {
  EXPECT_FALSE(SplitPairs({"mcp", "a b=c"}, false).ok());
  EXPECT_FALSE(SplitPairs({"mcp", "a=b c"}, false).ok());
  EXPECT_TRUE(SplitPairs({"mcp", "a=b c"}, true).ok());  // annotations hold any text
  EXPECT_FALSE(SplitPairs({"mcp", "a=b", "a-"}, false).ok());
  EXPECT_NE(Message(SplitPairs({"mcp", "weather"}, false).status()).find("KEY=VALUE"), std::string::npos);
}

}  // namespace
}  // namespace mcpfleet::cli
