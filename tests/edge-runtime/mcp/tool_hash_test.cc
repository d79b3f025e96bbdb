#include "edge-runtime/mcp/tool_hash.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace mcpfleet::mcp {
namespace {

Json Tool(const std::string& name) { return {{"name", name}, {"inputSchema", {{"type", "object"}}}}; }

// Pins in manifests hold this value: the SHA-256 of {"inputSchema":{"type":"object"},"name":"add"}.
TEST(ToolHashTest, IsTheSameInEveryBuild) {
  EXPECT_EQ(ToolHash(Tool("add")), "sha256:da82aa5e1df52779753ce2009992a31e74c537a5c74a111765aa1a0b3725d4a5");
}

TEST(ToolHashTest, EveryMemberCountsButIcons) {
  Json tool = Tool("add");
  tool["icons"] = Json::array({{{"src", "https://example.com/a.png"}}});
  EXPECT_EQ(ToolHash(tool), ToolHash(Tool("add")));
  for (const char* member : {"title", "description", "outputSchema", "annotations", "_meta", "somethingNew"}) {
    Json changed = Tool("add");
    changed[member] = {{"x", 1}};
    EXPECT_NE(ToolHash(changed), ToolHash(Tool("add"))) << member;
  }
}

TEST(ToolHashTest, NumbersThatJavaScriptCantTellApartAreTheSame) {
  Json whole = Tool("add"), fraction = Tool("add");
  whole["inputSchema"]["maximum"] = 10;
  fraction["inputSchema"]["maximum"] = 10.0;
  EXPECT_EQ(ToolHash(whole), ToolHash(fraction));
  fraction["inputSchema"]["maximum"] = 10.5;
  EXPECT_NE(ToolHash(whole), ToolHash(fraction));
}

TEST(ToolListTest, TheOrderOfTheListDoesNotMatter) {
  ToolList one, other;
  EXPECT_TRUE(one.Add(Tool("b")));
  EXPECT_TRUE(one.Add(Tool("a")));
  EXPECT_TRUE(other.Add(Tool("a")));
  EXPECT_TRUE(other.Add(Tool("b")));
  EXPECT_EQ(one.Hash(), other.Hash());
  EXPECT_EQ(one.SortedNames(), (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(one.SortedHashes(),
            (std::vector<std::pair<std::string, std::string>>{{"a", ToolHash(Tool("a"))}, {"b", ToolHash(Tool("b"))}}));
  EXPECT_FALSE(one.Add(Json::object()));
  EXPECT_EQ(one.size(), 2u);
}

}  // namespace
}  // namespace mcpfleet::mcp
