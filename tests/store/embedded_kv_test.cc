#include "store/server/embedded_kv.h"

#include <sys/stat.h>

#include <thread>

#include "base/digest.h"
#include "store/blob_metadata.h"
#include "store/snapshot.h"
#include "tests/store/testing.h"

namespace mcpfleet {
namespace {

using namespace testing;

TEST(EmbeddedKvTest, WhatWasAnsweredIsThereAfterAReopenAndTheFileIsPrivate) {
  TempDir dir;
  SystemClock clock;
  {
    auto kv = *EmbeddedKv::Open(dir / "s.db", clock);
    ASSERT_OK(kv->Put(kServerStateNamespace, {"k", "v", "{}", 0}, {}));
  }
  auto kv = *EmbeddedKv::Open(dir / "s.db", clock);
  EXPECT_EQ((*kv->Get(kServerStateNamespace, "k"))->value, "v");
  EXPECT_FALSE(kv->Get(kConfigNamespace, "k")->has_value()) << "namespaces are apart";
  struct stat info {};
  ASSERT_EQ(stat((dir / "s.db").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
}

TEST(EmbeddedKvTest, ExpiredKeysAreGoneFromReadsAndLists) {
  TempDir dir;
  FakeClock clock;
  auto kv = *EmbeddedKv::Open(dir / "s.db", clock);
  ASSERT_OK(kv->Put(kServerStateNamespace, {"k", "v", "", 60}, {}));
  clock.Advance(std::chrono::seconds(59));
  EXPECT_TRUE(kv->Get(kServerStateNamespace, "k")->has_value());
  clock.Advance(std::chrono::seconds(1));
  EXPECT_FALSE(kv->Get(kServerStateNamespace, "k")->has_value());
  EXPECT_TRUE(kv->List(kServerStateNamespace, "", "", 10)->keys.empty());
  ASSERT_OK(kv->Put(kServerStateNamespace, {"k", "again", "", 0}, {.if_none_match = true}));
}

TEST(EmbeddedKvTest, ABulkWriteIsAllOrNothing) {
  TempDir dir;
  SystemClock clock;
  auto kv = *EmbeddedKv::Open(dir / "s.db", clock);
  EXPECT_FALSE(kv->BulkPut(kConfigNamespace, {{"a", "1", "", 0}, {ObjectBlobKey("00"), "x", "", 0}}).ok());
  EXPECT_FALSE(kv->Get(kConfigNamespace, "a")->has_value());
}

TEST(EmbeddedKvTest, WhatWasWrittenAgainSinceSomebodyLookedForGarbageStays) {
  TempDir dir;
  FakeClock clock;
  auto kv = *EmbeddedKv::Open(dir / "s.db", clock);
  const std::string old = ObjectBlobKey(Sha256Hex("old")), again = ObjectBlobKey(Sha256Hex("again"));
  const auto write = [&](const std::string& key, const char* value) {
    ASSERT_OK(kv->Put(kConfigNamespace, {key, value, BlobMetadata(clock.Wall()), 0}, {}));
  };
  write(old, "old");
  write(again, "again");
  clock.Advance(std::chrono::hours(200));
  write(again, "again");
  clock.Advance(std::chrono::minutes(9));
  EXPECT_EQ(kv->Delete(kConfigNamespace, {old, again}).code(), StatusCode::kAborted);
  EXPECT_TRUE(kv->Get(kConfigNamespace, old)->has_value()) << "all or nothing";
  EXPECT_TRUE(kv->Get(kConfigNamespace, again)->has_value());
  ASSERT_OK(kv->Delete(kConfigNamespace, {old}));
  clock.Advance(std::chrono::minutes(2));
  ASSERT_OK(kv->Delete(kConfigNamespace, {again}));
}

TEST(EmbeddedKvTest, OfManyMovesFromOneHeadExactlyOneSucceeds) {
  TempDir dir;
  SystemClock clock;
  auto kv = *EmbeddedKv::Open(dir / "s.db", clock);
  std::atomic<int> told{0};
  kv->OnHead([&told](const std::string&) { ++told; });
  auto head = [](int64_t revision, int writer) {
    Head h;
    h.fleet = "f";
    h.order = {0, 1, revision};
    h.snapshot = Sha256Hex(std::to_string(writer));
    return *EncodeHead(h);
  };
  ASSERT_OK(kv->Put(kConfigNamespace, {"head", head(1, 0), "", 0}, {.if_none_match = true}));
  std::atomic<int> won{0};
  std::vector<std::thread> writers;
  writers.reserve(8);
  for (int w = 0; w < 8; ++w) {
    writers.emplace_back([&, w] {
      won += kv->Put(kConfigNamespace, {"head", head(2, w), "", 0}, {.if_match = "0.1.1"}).ok();
    });
  }
  for (std::thread& writer : writers) writer.join();
  EXPECT_EQ(won, 1);
  EXPECT_EQ(told, 2);
}

TEST(EmbeddedKvTest, ADirectoryThatIsNotThereIsAnErrorThatNamesIt) {
  SystemClock clock;
  auto kv = EmbeddedKv::Open("/nowhere/at/all/s.db", clock);
  ASSERT_FALSE(kv.ok());
  EXPECT_NE(Message(kv.status()).find("/nowhere/at/all/s.db"), std::string::npos);
}

}  // namespace
}  // namespace mcpfleet
