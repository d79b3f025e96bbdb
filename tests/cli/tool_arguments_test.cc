#include "cli/tool_arguments.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace mcpfleet::cli {
namespace {

const Json& Schema() {
  static const Json kSchema = Json::parse(R"({"type": "object", "required": ["text"], "properties": {
    "text": {"type": "string"}, "count": {"type": "integer"}, "rate": {"type": "number"}, "on": {"type": "boolean"},
    "tags": {"type": "array"}, "maybe": {"type": ["integer", "null"]}, "either": {"anyOf": [{"type": "boolean"}, {"type": "string"}]},
    "any": {}}})");
  return kSchema;
}

std::string Typed(std::vector<std::string> pairs, const std::string& json = "") {
  pairs.insert(pairs.begin(), "text=x");
  auto arguments = ToolArguments(Schema(), json, pairs);
  if (!arguments.ok()) return Message(arguments.status());
  arguments->erase("text");
  return DumpJson(*arguments);
}

TEST(ToolArgumentsTest, ValuesBecomeWhatTheSchemaSays) {
  EXPECT_EQ(Typed({"count=3"}), R"({"count":3})");
  EXPECT_EQ(Typed({"rate=0.5", "on=true"}), R"({"on":true,"rate":0.5})");
  EXPECT_EQ(Typed({R"(tags=["a", "b"])"}), R"({"tags":["a","b"]})");
  EXPECT_EQ(Typed({"maybe=null"}), R"({"maybe":null})");
  EXPECT_EQ(Typed({"either=true"}), R"({"either":true})");
  EXPECT_EQ(Typed({"either=3=4"}), R"({"either":"3=4"})");
}

TEST(ToolArgumentsTest, TextStaysTextWhateverItLooksLike) {
  auto arguments = ToolArguments(Schema(), "", {"text=42", "any=7"});
  ASSERT_TRUE(arguments.ok());
  EXPECT_EQ(DumpJson(*arguments), R"({"any":"7","text":"42"})");
}

TEST(ToolArgumentsTest, PairsStandOnTopOfTheObject) {
  EXPECT_EQ(Typed({"count=3"}, R"({"count": 1, "on": false})"), R"({"count":3,"on":false})");
  EXPECT_EQ(Typed({}, "[1]"), "--args: not a JSON object");
  EXPECT_TRUE(Typed({}, "{").starts_with("--args: "));
}

TEST(ToolArgumentsTest, WhatTheToolCannotTakeIsRefusedBeforeTheCall) {
  EXPECT_EQ(Typed({"count=many"}), "--arg count=many: the tool wants: integer");
  EXPECT_EQ(Typed({"maybe=x"}), "--arg maybe=x: the tool wants: integer or null");
  EXPECT_NE(Typed({"coun=1"}).find("did you mean \"count\"?"), std::string::npos);
  EXPECT_NE(Typed({"count"}).find("NAME=VALUE"), std::string::npos);
  EXPECT_EQ(Message(ToolArguments(Schema(), "", {}).status()),
            "the tool also needs: text; give each as --arg NAME=VALUE");
}

}  // namespace
}  // namespace mcpfleet::cli
