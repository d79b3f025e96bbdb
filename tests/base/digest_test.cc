#include "base/digest.h"

#include <gtest/gtest.h>

#include "base/fd.h"
#include "tests/base/http_testing.h"

namespace mcpfleet {
namespace {

constexpr std::string_view kOfAbc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";  // FIPS 180-2

TEST(DigestTest, KnownAnswersHold) {
  EXPECT_EQ(Sha256Hex("abc"), kOfAbc);
  EXPECT_EQ(Sha512Integrity(""),
            "sha512-z4PhNX7vuL3xVChQ1m2AB9Yg5AULVxXcg/SpIdNs6c5H0NE8XYXysP+DGNKHfuwvY7kxvUdBeoGlODJ6+SfaPg==");
}

TEST(DigestTest, AFilesDigestIsItsContents) {
  http::TempDir dir;
  ASSERT_TRUE(WriteFileAtomically(dir / "f", "abc").ok());
  EXPECT_EQ(*Sha256HexOfFile(dir / "f"), kOfAbc);
  EXPECT_EQ(Sha256HexOfFile(dir / "none").status().code(), StatusCode::kNotFound);
}

TEST(DigestTest, OnlyLowerCaseHexOfTheRightLengthIsADigest) {
  EXPECT_TRUE(IsSha256Hex(kOfAbc));
  EXPECT_FALSE(IsSha256Hex(kOfAbc.substr(1)));
  std::string upper(kOfAbc);
  upper[0] = 'B';
  EXPECT_FALSE(IsSha256Hex(upper));
}

TEST(DigestTest, ConstantTimeComparisonComparesAndRandomIsNotConstant) {
  EXPECT_TRUE(EqualsInConstantTime("secret", "secret"));
  EXPECT_FALSE(EqualsInConstantTime("secret", "secres"));
  EXPECT_FALSE(EqualsInConstantTime("secret", "secre"));
  EXPECT_TRUE(EqualsInConstantTime("", ""));
  EXPECT_EQ(RandomHex(16).size(), 32U);
  EXPECT_NE(RandomHex(16), RandomHex(16));
}

}  // namespace
}  // namespace mcpfleet
