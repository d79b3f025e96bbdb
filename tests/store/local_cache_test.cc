#include "store/local_cache.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <filesystem>
#include <iterator>

#include "tests/store/testing.h"

namespace mcpfleet {
namespace {

using namespace testing;

CacheBlob Blob(const std::string& bytes) { return {Sha256Hex(bytes), bytes}; }

TEST(LocalCacheTest, WhatWasPutIsThereAfterAReopen) {
  TempDir dir;
  {
    auto cache = *LocalCache::Open(dir / "c", 1000);
    ASSERT_OK(cache->Put({Blob("one"), Blob("two")}));
    ASSERT_OK(cache->SaveState("state 1"));
    ASSERT_OK(cache->SaveState("state 2"));
  }
  auto cache = *LocalCache::Open(dir / "c", 1000);
  EXPECT_EQ(cache->Get(Sha256Hex("one")), "one");
  EXPECT_EQ(cache->Get(Sha256Hex("none")), std::nullopt);
  EXPECT_EQ(cache->LoadState(), "state 2");
  EXPECT_EQ(cache->bytes(), 6);
}

TEST(LocalCacheTest, ManyBlobsAndFewBecomeDurableAndNoDescriptorStays) {
  TempDir dir;
  auto cache = *LocalCache::Open(dir / "c", 100'000);
  const auto descriptors = [] {
    return std::distance(std::filesystem::directory_iterator("/proc/self/fd"), std::filesystem::directory_iterator());
  };
  const auto before = descriptors();
  for (int round = 0; round < 2; ++round) {
    for (int i = 0; i < (round == 0 ? 100 : 3); ++i)
      ASSERT_OK(cache->Put({Blob(std::to_string(round) + "/" + std::to_string(i))}));
    EXPECT_LE(descriptors(), before + 40) << "however many there are";
    ASSERT_OK(cache->SaveState("state"));
    EXPECT_EQ(descriptors(), before);
  }
  cache = *LocalCache::Open(dir / "c", 100'000);
  EXPECT_TRUE(cache->Get(Sha256Hex("0/99")));
  EXPECT_TRUE(cache->Get(Sha256Hex("1/2")));
}

TEST(LocalCacheTest, ATornBlobIsAbsentAndCanBePutAgain) {
  TempDir dir;
  auto cache = *LocalCache::Open(dir / "c", 1000);
  ASSERT_OK(cache->Put({Blob("something")}));
  ASSERT_OK(WriteFileAtomically(dir / ("c/blobs/" + Sha256Hex("something")), "some"));
  EXPECT_EQ(cache->Get(Sha256Hex("something")), std::nullopt);
  EXPECT_FALSE(cache->Has(Sha256Hex("something")));
  ASSERT_OK(cache->Put({Blob("something")}));
  EXPECT_EQ(cache->Get(Sha256Hex("something")), "something");
}

TEST(LocalCacheTest, ADamagedStateIsNoState) {
  TempDir dir;
  auto cache = *LocalCache::Open(dir / "c", 1000);
  EXPECT_EQ(cache->LoadState(), std::nullopt);
  ASSERT_OK(cache->SaveState("abcdefgh"));
  std::string file = *ReadFile(dir / "c/state", 4096);
  for (size_t at = 0; at < file.size(); at += 5) {
    std::string damaged = file;
    damaged[at] = '~';
    ASSERT_OK(WriteFileAtomically(dir / "c/state", damaged));
    EXPECT_EQ(cache->LoadState(), std::nullopt) << at;
  }
  ASSERT_OK(WriteFileAtomically(dir / "c/state", file.substr(0, 70)));
  EXPECT_EQ(cache->LoadState(), std::nullopt);
}

TEST(LocalCacheTest, BeyondTheQuotaNothingIsTakenAndNothingHarmed) {
  TempDir dir;
  auto cache = *LocalCache::Open(dir / "c", 10);
  ASSERT_OK(cache->Put({Blob("12345678")}));
  EXPECT_EQ(cache->Put({Blob("abc")}).code(), StatusCode::kResourceExhausted);
  EXPECT_EQ(cache->Get(Sha256Hex("12345678")), "12345678");
  EXPECT_EQ(cache->Put({{Sha256Hex("x"), "y"}}).code(), StatusCode::kInvalidArgument);
}

TEST(LocalCacheTest, CollectingRemovesTheOldestThatNobodyKeeps) {
  TempDir dir;
  auto cache = *LocalCache::Open(dir / "c", 100);
  for (const char* name : {"a", "b", "c", "d"}) {
    std::string bytes(20, *name);
    ASSERT_OK(cache->Put({Blob(bytes)}));
    // A distinct age without waiting for one.
    timespec times[2] = {{1'700'000'000 + *name, 0}, {1'700'000'000 + *name, 0}};
    ASSERT_EQ(utimensat(AT_FDCWD, (dir / ("c/blobs/" + Sha256Hex(bytes))).c_str(), times, 0), 0);
  }
  ASSERT_OK(cache->Collect({Sha256Hex(std::string(20, 'a'))}));
  EXPECT_TRUE(cache->Has(Sha256Hex(std::string(20, 'a')))) << "kept";
  EXPECT_FALSE(cache->Has(Sha256Hex(std::string(20, 'b'))));
  EXPECT_FALSE(cache->Has(Sha256Hex(std::string(20, 'c'))));
  EXPECT_TRUE(cache->Has(Sha256Hex(std::string(20, 'd')))) << "half of the quota is enough";
}

TEST(LocalCacheTest, SmallBlobsAreBoundedByTheirNumber) {
  TempDir dir;
  auto cache = *LocalCache::Open(dir / "c", int64_t{256} << 20);
  std::vector<CacheBlob> blobs;
  std::set<std::string> keep;
  for (int i = 0; i < 4200; ++i) {
    blobs.push_back(Blob(std::to_string(i)));
    if (i < 50) keep.insert(blobs.back().hash);
  }
  ASSERT_OK(cache->Put(blobs));
  ASSERT_OK(cache->Collect(keep));
  int left = 0, kept = 0;
  for (const CacheBlob& blob : blobs) {
    left += cache->Has(blob.hash);
    kept += keep.contains(blob.hash) && cache->Has(blob.hash);
  }
  EXPECT_EQ(kept, 50);
  EXPECT_LT(left, 3000);
  EXPECT_GT(left, 1000) << "what a store that goes back will ask for again";
}

}  // namespace
}  // namespace mcpfleet
