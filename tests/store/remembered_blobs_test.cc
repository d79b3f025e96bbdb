#include "store/remembered_blobs.h"

#include <filesystem>

#include "store/reader.h"
#include "store/writer.h"
#include "tests/fakes/fake_kv.h"
#include "tests/store/testing.h"

namespace mcpfleet {
namespace {

using namespace testing;

class RememberedBlobsTest : public ::testing::Test {
 protected:
  RememberedBlobsTest() {
    auto kv = std::make_unique<FakeKv>(clock_);
    store_ = kv.get();
    kv_ = RememberBlobs(std::move(kv), dir_ / "blobs");
  }
  Status Set(const std::string& name, const std::string& image = "1") {
    return Apply(*kv_, {.set = {Server(name, image)}}, {}, clock_, Soon()).status();
  }
  std::vector<std::filesystem::path> Files() const {
    std::vector<std::filesystem::path> files;
    for (const auto& entry : std::filesystem::directory_iterator(dir_ / "blobs")) files.push_back(entry.path());
    return files;
  }

  TempDir dir_;
  FakeClock clock_;
  FakeKv* store_;
  std::unique_ptr<KvClient> kv_;
};

TEST_F(RememberedBlobsTest, AChangeOnTopOfOnesOwnReadsTheHeadAndNothingElse) {
  ASSERT_OK(Set("a"));
  const int64_t reads = store_->reads(), writes = store_->writes();
  ASSERT_OK(Set("b"));
  EXPECT_EQ(store_->reads() - reads, 1);
  EXPECT_GT(store_->writes(), writes);
  ASSERT_OK(Set("a", "2"));
  EXPECT_EQ(store_->reads() - reads, 3) << "and the object as it was";
}

TEST_F(RememberedBlobsTest, WhatOthersWroteIsReadOnce) {
  for (int i = 0; i < 3; ++i) {
    ASSERT_OK(Apply(*store_, {.set = {Server("theirs", std::to_string(i))}}, {}, clock_, Soon()).status());
    ASSERT_OK(Set("ours", std::to_string(i)));
    const StatusOr<StoredState> state = ReadState(*store_, Soon());
    ASSERT_OK(state);
    EXPECT_EQ(state->objects.size(), 2U);
    EXPECT_TRUE(state->missing.empty());
  }
}

TEST_F(RememberedBlobsTest, ObjectsAreNotKeptAndFilesAreTheUsersAlone) {
  ASSERT_OK(Set("a"));
  ASSERT_OK(ReadState(*kv_, Soon()).status());
  EXPECT_EQ(Files().size(), 2U) << "a snapshot and a shard";
  for (const auto& file : Files())
    EXPECT_EQ(std::filesystem::status(file).permissions(),
              std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
}

TEST_F(RememberedBlobsTest, ATornFileIsAbsent) {
  ASSERT_OK(Set("a"));
  for (const auto& file : Files()) std::filesystem::resize_file(file, 10);
  const int64_t reads = store_->reads();
  ASSERT_OK(Set("a", "2"));
  EXPECT_EQ(store_->reads() - reads, 4) << "head, snapshot, shard, object";
  ASSERT_OK(Set("a", "3"));
  EXPECT_EQ(store_->reads() - reads, 6) << "they are whole again";
}

TEST_F(RememberedBlobsTest, AValueThatIsNotItsNamesIsNotKept) {
  const std::string key = SnapshotBlobKey(std::string(64, 'a'));
  store_->SetContent({{key, "something else"}});
  EXPECT_EQ((*kv_->Get(key, Soon()))->value, "something else");
  EXPECT_FALSE(std::filesystem::exists(dir_ / "blobs"));
}

TEST_F(RememberedBlobsTest, AMissIsNotRemembered) {
  const std::string bytes = "late", key = ShardBlobKey(Sha256Hex(bytes));
  EXPECT_TRUE((*kv_->BulkGet({key}, Soon())).empty());
  store_->SetContent({{key, bytes}});
  EXPECT_EQ((*kv_->BulkGet({key}, Soon())).at(key), bytes);
  store_->SetContent({});
  EXPECT_EQ((*kv_->BulkGet({key}, Soon())).at(key), bytes) << "what it says can't have changed";
}

TEST_F(RememberedBlobsTest, ThereAreNeverManyFiles) {
  size_t most = 0;
  for (int i = 0; i < 1200; ++i) {
    const std::string bytes = "shard " + std::to_string(i), key = ShardBlobKey(Sha256Hex(bytes));
    ASSERT_OK(kv_->BulkPut({{key, bytes, "", 0}}, Soon()));
    if (i % 100 == 99) most = std::max(most, Files().size());
  }
  EXPECT_LE(most, 512U);
  EXPECT_GE(most, 256U);
}

TEST_F(RememberedBlobsTest, AFolderThatCanNotBeMadeCostsNothingButTime) {
  ASSERT_OK(WriteFileAtomically(dir_ / "blobs", "a file"));
  ASSERT_OK(Set("a"));
  ASSERT_OK(Set("b"));
}

}  // namespace
}  // namespace mcpfleet
