#include "edge-runtime/mcp/hidden_text.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace mcpfleet::mcp {
namespace {

TEST(HiddenTextTest, WhatNobodySeesIsFound) {
  for (const char* text : {
           "zero\u200bwidth",
           "left\u200eto right",
           "\u202eoverride",
           "\u2066isolate\u2069",
           "word\u2060joiner",
           "\ufeffmark",
           "soft\u00adhyphen",
           "\U000E0001\U000E0041\U000E0042 tags",
           "a\ufe0f selector of a letter",
           "✔\ufe0f\ufe0f twice",
           "✔\ufe01 of another kind",
           "😀\U000E0100\U000E0101 more of them",
           "\x1b[2J",
           "\x7f",
           "a\u200db joiner of letters",
           "\u200d first",
           "last 👩\u200d",
           "line\u2028separator",
           "\u115fhangul",
           "bell\x07",
           "\u034f",
           "\u061c",
           "\U0001D173",
       }) {
    EXPECT_TRUE(HasHiddenCharacters(text)) << ShowHiddenCharacters(text);
    EXPECT_FALSE(HasHiddenCharacters(ShowHiddenCharacters(text))) << text;
  }
}

TEST(HiddenTextTest, WhatScriptsAndEmojiNeedIsFine) {
  for (const char* text :
       {"", "plain", "two\nlines\r\n\tand a tab", "Größe, naïve, 東京, Москва",
        "✔️ done, ⚠️ careful, 1️⃣ first, #️⃣", "👩‍💻 👨‍👩‍👧 🏳️‍🌈",
        "مى‌خواهم", "क्‍ष", "™️ ©️", "no-break\u00a0space"}) {
    EXPECT_FALSE(HasHiddenCharacters(text)) << ShowHiddenCharacters(text);
    EXPECT_EQ(ShowHiddenCharacters(text), text);
  }
}

TEST(HiddenTextTest, BytesThatAreNoUtf8DoNoHarm) {
  for (const char* text : {"\xff\xfe", "\xc3", "\xe2\x80", "\xf0\x9f\x98", "\x80\x80", "\xed\xa0\x80"}) {
    EXPECT_FALSE(HasHiddenCharacters(text));
    EXPECT_EQ(ShowHiddenCharacters(text), text);
  }
}

TEST(HiddenTextTest, EveryTextOfAToolIsRead) {
  const Json clean = {
      {"name", "add"}, {"title", "Add"}, {"description", "Adds."}, {"inputSchema", {{"type", "object"}}}};
  EXPECT_TRUE(HiddenTextOf(clean).empty());
  const auto at = [&](const char* pointer, Json value) {
    Json tool = clean;
    tool[Json::json_pointer(pointer)] = std::move(value);
    std::vector<std::string> found = HiddenTextOf(tool);
    return found.size() == 1 ? found[0] : "not one";
  };
  EXPECT_EQ(at("/name", "a\u200bdd"), "the name of a\\u{200b}dd");
  EXPECT_EQ(at("/title", "\u202eAdd"), "the title of add");
  EXPECT_EQ(at("/annotations/title", "\u202eAdd"), "the title of add");
  EXPECT_EQ(at("/description", "\U000E0041"), "the description of add");
  EXPECT_EQ(at("/inputSchema/properties/a/description", "x\u200b"), "the schemas of add");
  EXPECT_EQ(at("/inputSchema/properties/a\u200b", Json::object()), "the schemas of add");
  EXPECT_EQ(at("/outputSchema/anyOf/0/enum/0", "x\u200b"), "the schemas of add");
  EXPECT_TRUE(HiddenTextOf(Json(7)).empty());
}

}  // namespace
}  // namespace mcpfleet::mcp
