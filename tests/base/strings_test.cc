#include "base/strings.h"

#include <gtest/gtest.h>

#include "base/digest.h"

namespace mcpfleet {
namespace {

TEST(StringsTest, SplitAndJoinAreInverse) {
  EXPECT_EQ(Split("a,,b", ','), (std::vector<std::string>{"a", "", "b"}));
  EXPECT_EQ(Join(Split("a,,b", ','), ","), "a,,b");
  EXPECT_EQ(Split("", ','), std::vector<std::string>{""});
}

TEST(StringsTest, Utf8IsCheckedToTheLetter) {
  for (std::string_view good : {"", "plain", "ä", "€", "😀", "\xf4\x8f\xbf\xbf"}) EXPECT_TRUE(IsUtf8(good)) << good;
  for (std::string_view bad : {"\xff", "\xc3", "a\xe2\x82", "\xc0\xaf", "\xe0\x80\xaf", "\xed\xa0\x80",
                               "\xf4\x90\x80\x80", "\x80", "\xf8\x88\x80\x80\x80"}) {
    EXPECT_FALSE(IsUtf8(bad));
  }
}

TEST(StringsTest, PercentEscapesSurviveAndMalformedOnesAreRefused) {
  std::string all, out;
  for (int c = 0; c < 256; ++c) all += static_cast<char>(c);
  EXPECT_TRUE(PercentDecode(PercentEncode(all), &out));
  EXPECT_EQ(out, all);
  EXPECT_EQ(PercentEncode("a/b c"), "a%2Fb%20c");
  EXPECT_TRUE(PercentDecode("a+b", &out));
  EXPECT_EQ(out, "a+b");
  for (std::string_view bad : {"%", "%4", "a%g1", "%1g"}) EXPECT_FALSE(PercentDecode(bad, &out)) << bad;
}

TEST(StringsTest, TheNearestWordIsAMisspellingNotAnyWord) {
  EXPECT_EQ(Nearest("relicas", {"replicas", "image", "env"}), "replicas");
  EXPECT_EQ(Nearest("Image", {"replicas", "image"}), "image");
  EXPECT_EQ(Nearest("zzzzzz", {"replicas", "image"}), "");
  EXPECT_EQ(Nearest("", {"a"}), "a");
  EXPECT_EQ(Nearest("x", {}), "");
}

TEST(StringsTest, PrintableNeverCutsACharacterInTwo) {
  EXPECT_EQ(Printable("a\nb"), "a\\x0Ab");
  std::string cut = Printable("aä€😀", 2);
  EXPECT_TRUE(IsUtf8(cut)) << cut;
  EXPECT_EQ(Printable(std::string(1000, '\x80'), 10).size(), 14 + 3U);
}

TEST(StringsTest, Base64SurvivesAndIsStrict) {
  for (size_t size = 0; size < 8; ++size) {
    std::string bytes = Sha256Bytes("x").substr(0, size), out;
    EXPECT_TRUE(Base64Decode(Base64Encode(bytes), &out));
    EXPECT_EQ(out, bytes);
  }
  std::string out;
  EXPECT_EQ(Base64Encode("hi"), "aGk=");
  for (std::string_view bad : {"aGk", "aGk ", "a===", "=aGk", "aG=k", "aGl=", "aGk=aGk=", "a-_k"})
    EXPECT_FALSE(Base64Decode(bad, &out)) << bad;
}

TEST(StringsTest, TrimAndCaseAreAsciiOnly) {
  EXPECT_EQ(Trim(" \t a b \r\n"), "a b");
  EXPECT_EQ(Trim("  "), "");
  EXPECT_EQ(ToLower("ÄBC"), "Äbc");
  EXPECT_TRUE(EqualsIgnoreCase("Content-Length", "content-length"));
  EXPECT_FALSE(EqualsIgnoreCase("a", "ab"));
}

}  // namespace
}  // namespace mcpfleet
