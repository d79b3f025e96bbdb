#include "store/local_cache.h"

#include <fcntl.h>
#include <sys/stat.h>

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

}  // namespace
}  // namespace mcpfleet
