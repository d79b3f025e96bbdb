#include "store/trust/sealing.h"

#include "tests/store/testing.h"

namespace mcpfleet {
namespace {

using namespace testing;

TEST(SealingTest, OnlyTheKeyThatABoxIsSealedToOpensIt) {
  const SealingKey key = SealingKey::Create(), other = SealingKey::Create();
  const StatusOr<std::string> sealed = Seal(key.public_key(), "a data key");
  ASSERT_OK(sealed);
  EXPECT_EQ(sealed->size(), 48 + std::string("a data key").size());
  EXPECT_EQ(*key.Open(*sealed), "a data key");
  EXPECT_EQ(other.Open(*sealed).status().code(), StatusCode::kPermissionDenied);
  EXPECT_NE(*Seal(key.public_key(), "a data key"), *sealed) << "two boxes of one text are not alike";
}

TEST(SealingTest, AKeyComesBackFromItsSecret) {
  const SealingKey key = SealingKey::Create();
  const auto again = SealingKey::FromSecret(key.Secret());
  ASSERT_OK(again);
  EXPECT_EQ(again->public_key(), key.public_key());
  EXPECT_EQ(*again->Open(*Seal(key.public_key(), "")), "");
}

TEST(SealingTest, ABoxThatWasAlteredAnywhereIsRefused) {
  const SealingKey key = SealingKey::Create();
  const std::string sealed = *Seal(key.public_key(), "text");
  for (size_t i = 0; i < sealed.size(); ++i) {
    std::string altered = sealed;
    altered[i] = static_cast<char>(altered[i] ^ 1);
    EXPECT_FALSE(key.Open(altered).ok()) << i;
  }
  EXPECT_FALSE(key.Open(sealed.substr(0, 47)).ok());
  EXPECT_FALSE(key.Open("").ok());
}

TEST(SealingTest, WhatIsNoKeyIsRefused) {
  for (const char* wrong : {"", "x", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}) {
    EXPECT_EQ(Seal(wrong, "text").status().code(), StatusCode::kInvalidArgument) << wrong;
    EXPECT_EQ(SealingKey::FromSecret(wrong).status().code(), StatusCode::kInvalidArgument) << wrong;
  }
  // A point of low order: every shared secret with it is zero.
  EXPECT_EQ(Seal(std::string(43, 'A'), "text").status().code(), StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace mcpfleet
