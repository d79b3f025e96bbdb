#include "edge-runtime/mcp/modern_headers.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace mcpfleet::mcp {
namespace {

Json Tool(const Json& properties) {
  return {{"name", "t"}, {"inputSchema", {{"type", "object"}, {"properties", properties}}}};
}
Json Marked(const char* type, const Json& mark) { return {{"type", type}, {"x-mcp-header", mark}}; }

TEST(ModernHeadersTest, OnlyPlainAsciiStandsInAHeaderAsItIs) {
  EXPECT_EQ(HeaderText("us-west1 a"), "us-west1 a");
  EXPECT_EQ(HeaderText(""), "");
  for (const char* odd : {" padded", "padded ", "two\nlines", "Köln", "tab\t", "=?base64?x?="})
    EXPECT_TRUE(HeaderText(odd).starts_with("=?base64?")) << odd;
  EXPECT_EQ(HeaderText("ü"), "=?base64?w7w=?=");
}

TEST(ModernHeadersTest, TheNameIsRepeatedForWhatIsNamed) {
  EXPECT_EQ(NamingMember("tools/call"), "name");
  EXPECT_EQ(NamingMember("prompts/get"), "name");
  EXPECT_EQ(NamingMember("resources/read"), "uri");
  EXPECT_EQ(NamingMember("tasks/get"), "taskId");
  EXPECT_EQ(NamingMember("tools/list"), "");
  EXPECT_EQ(ModernHeaders("v", "tools/list", "").size(), 2U);
  const HeaderFields fields = ModernHeaders("2026-07-28", "tools/call", "echo");
  ASSERT_EQ(fields.size(), 3U);
  EXPECT_EQ(fields[0].second, "2026-07-28");
  EXPECT_EQ(fields[1].second, "tools/call");
  EXPECT_EQ(fields[2], (std::pair<std::string, std::string>("Mcp-Name", "echo")));
}

TEST(ToolHeadersTest, MarkedArgumentsThatAreThereBecomeFields) {
  ToolHeaders tools;
  ASSERT_TRUE(tools
                  .Note(Tool({{"region", Marked("string", "Region")},
                              {"deep", {{"properties", {{"flag", Marked("boolean", "Flag")}}}}},
                              {"count", Marked("integer", "Count")},
                              {"other", Marked("string", "Other")},
                              {"plain", {{"type", "string"}}}}))
                  .ok());
  const HeaderFields fields = tools.For(
      "t", {{"region", "eu"}, {"deep", {{"flag", false}}}, {"count", 42}, {"other", nullptr}, {"plain", "p"}});
  const std::map<std::string, std::string> by_name(fields.begin(), fields.end());
  EXPECT_EQ(by_name, (std::map<std::string, std::string>{
                         {"Mcp-Param-Region", "eu"}, {"Mcp-Param-Flag", "false"}, {"Mcp-Param-Count", "42"}}));
  EXPECT_TRUE(tools.For("t", nullptr).empty());
  EXPECT_TRUE(tools.For("unknown", {{"region", "eu"}}).empty());
}

TEST(ToolHeadersTest, AToolThatIsListedAgainWithoutMarksHasNone) {
  ToolHeaders tools;
  ASSERT_TRUE(tools.Note(Tool({{"a", Marked("string", "A")}})).ok());
  EXPECT_TRUE(tools.Marks("t"));
  ASSERT_TRUE(tools.Note(Tool({{"a", {{"type", "string"}}}})).ok());
  EXPECT_TRUE(tools.empty());
}

TEST(ToolHeadersTest, MarksThatBreakTheRulesMakeAToolUnusable) {
  const Json in_items = {{"type", "array"}, {"items", Marked("string", "A")}};
  const Json in_choice = {{"oneOf", {Marked("string", "A")}}};
  for (const Json& properties :
       {Json{{"a", Marked("string", "")}}, Json{{"a", Marked("string", "two words")}}, Json{{"a", Marked("string", 7)}},
        Json{{"a", Marked("string", "Ä")}}, Json{{"a", Marked("object", "A")}}, Json{{"a", Marked("array", "A")}},
        Json{{"a", Marked("string", "A")}, {"b", Marked("string", "a")}}, Json{{"a", in_items}},
        Json{{"a", in_choice}}}) {
    ToolHeaders tools;
    EXPECT_FALSE(tools.Note(Tool(properties)).ok()) << properties;
    EXPECT_TRUE(tools.empty());
  }
  ToolHeaders tools;
  EXPECT_TRUE(tools.Note(Tool({{"x-mcp-header", {{"type", "string"}}}})).ok()) << "an argument of that name";
}

}  // namespace
}  // namespace mcpfleet::mcp
