#include "base/json.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace mcpfleet {
namespace {

TEST(JsonTest, ReadsOneValueAndNothingElse) {
  StatusOr<Json> value = ParseJson(R"({"a": [1, 2.5, "x", null, true]})");
  ASSERT_TRUE(value.ok());
  EXPECT_EQ(DumpJson(*value), R"({"a":[1,2.5,"x",null,true]})");
  for (std::string_view bad : {"", " ", "{", "{}{}", "{}x", "nul", "[1,]", "{'a':1}", "01", "NaN", "1e999", "\"\xff\"",
                               "\"\\ud800\"", "// c\n1"}) {
    EXPECT_EQ(ParseJson(bad).status().code(), StatusCode::kInvalidArgument) << bad;
  }
}

TEST(JsonTest, ADuplicateKeyIsNamed) {
  EXPECT_NE(Message(ParseJson(R"({"a":{"b":1,"b":2}})").status()).find("duplicate key \"b\""), std::string::npos);
  EXPECT_TRUE(ParseJson(R"([{"b":1},{"b":2}])").ok());
}

TEST(JsonTest, DepthAndSizeAreBounded) {
  const auto nested = [](int n) { return std::string(n, '[') + std::string(n, ']'); };
  EXPECT_TRUE(ParseJson(nested(64)).ok());
  EXPECT_FALSE(ParseJson(nested(65)).ok());
  EXPECT_FALSE(ParseJson(nested(100000)).ok());
  EXPECT_EQ(ParseJson("[1]", {.bytes = 2}).status().code(), StatusCode::kResourceExhausted);
}

TEST(JsonTest, NothingHidesBehindANul) {
  EXPECT_FALSE(ParseJson(std::string_view("{}\0{\"a\":1}", 10)).ok());
  EXPECT_FALSE(ParseJson(std::string_view("\"a\0b\"", 5)).ok());
  EXPECT_TRUE(ParseJson(R"("a\u0000b")").ok());
}

TEST(JsonTest, MembersNeverThrow) {
  Json object = *ParseJson(R"({"s":"x","n":7,"big":18446744073709551615,"b":true})");
  EXPECT_EQ(GetString(object, "s"), "x");
  EXPECT_EQ(GetString(object, "n", "else"), "else");
  EXPECT_EQ(GetInt(object, "n"), 7);
  EXPECT_EQ(GetInt(object, "big", 3), 3);
  EXPECT_TRUE(GetBool(object, "b"));
  EXPECT_TRUE(GetMember(object, "none").is_null());
  EXPECT_EQ(GetString(Json(5), "s", "else"), "else");
  EXPECT_EQ(DumpJson(Json("\xff")), "\"\xef\xbf\xbd\"");
}

}  // namespace
}  // namespace mcpfleet
