#include "base/memory.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <string>
#include <thread>
#include <vector>

#include "base/digest.h"
#include "tests/base/sanitizers.h"

namespace mcpfleet {
namespace {

// Of /proc/self/status, in kB.
long Field(const std::string& name) {
  FILE* file = fopen("/proc/self/status", "re");
  char line[256];
  long value = -1;
  while (file != nullptr && fgets(line, sizeof line, file) != nullptr) {
    if (std::string(line).starts_with(name + ":")) value = std::stol(std::string(line).substr(name.size() + 1));
  }
  if (file != nullptr) fclose(file);
  return value;
}

TEST(MemoryTest, CodeThatIsNotInUseIsGivenBackAndComesBackWhenItIsCalled) {
  const std::string before = Sha256Hex("mcpfleet");
  const long mapped = Field("RssFile");
  ReleaseUnusedMemory();
  EXPECT_LT(Field("RssFile"), mapped * 3 / 4);
  EXPECT_EQ(Sha256Hex("mcpfleet"), before);
}

TEST(MemoryTest, FreedHeapIsGivenBack) {
  if (kSanitized) GTEST_SKIP() << "SKIPPED: a sanitizer has a heap of its own";
  std::vector<std::string> blocks;
  blocks.reserve(20000);
  for (int i = 0; i < 20000; ++i) blocks.emplace_back(1000, 'x');
  const std::string last(1000, 'y');  // above them: the heap's end can't just move down
  blocks.clear();
  blocks.shrink_to_fit();
  const long used = Field("RssAnon");
  ReleaseUnusedMemory();
  EXPECT_LT(Field("RssAnon"), used - 10000);
  EXPECT_EQ(last, std::string(1000, 'y'));
}

TEST(MemoryTest, OtherThreadsGoOnWhileCodeIsGivenBack) {
  std::string digest;
  std::thread other([&digest] {
    for (int i = 0; i < 2000; ++i) digest = Sha256Hex(digest);
  });
  for (int i = 0; i < 50; ++i) ReleaseUnusedMemory();
  other.join();
  std::string expected;
  for (int i = 0; i < 2000; ++i) expected = Sha256Hex(expected);
  EXPECT_EQ(digest, expected);
}

TEST(MemoryTest, AProgramAtRestPaysForOneReleaseOnly) {
  constexpr int64_t kMiB = 1 << 20;
  MemoryTender tender;
  EXPECT_TRUE(tender.Tend(30 * kMiB)) << "start-up touched everything";
  EXPECT_FALSE(tender.Tend(14 * kMiB)) << "what work at rest needed again";
  for (int i = 0; i < 100; ++i) EXPECT_FALSE(tender.Tend(14 * kMiB + i % 2 * kMiB));
  EXPECT_TRUE(tender.Tend(16 * kMiB)) << "it grew";
  EXPECT_FALSE(tender.Tend(15 * kMiB));
  EXPECT_FALSE(tender.Tend(16 * kMiB)) << "it rests higher now";
  EXPECT_GT(ResidentBytes(), kMiB);
}

}  // namespace
}  // namespace mcpfleet
