#include "base/status.h"

#include <gtest/gtest.h>

#include <cerrno>

namespace mcpfleet {
namespace {

TEST(StatusTest, AnnotateKeepsTheCodeAndPutsThePrefixFirst) {
  Status status = Annotate(NotFound("no such key"), "head");
  EXPECT_EQ(status.code(), StatusCode::kNotFound);
  EXPECT_EQ(Message(status), "head: no such key");
}

TEST(StatusTest, AFullDiskIsRetryableAndAMissingFileIsNot) {
  EXPECT_TRUE(IsRetryable(ErrnoStatus(ENOSPC, "cache")));
  EXPECT_FALSE(IsRetryable(ErrnoStatus(ENOENT, "cache")));
}

}  // namespace
}  // namespace mcpfleet
