#include "store/writer.h"

#include <algorithm>
#include <thread>

#include "store/reader.h"
#include "tests/fakes/fake_kv.h"
#include "tests/store/testing.h"

namespace mcpfleet {
namespace {

using namespace testing;

ObjectKey Key(const std::string& name) { return {kKindServer, kDefaultNamespace, name}; }

// On a store that takes a change with its head in one request, and on one that does not.
class WriterTest : public ::testing::TestWithParam<bool> {
 protected:
  WriterTest() { kv_.SetCommits(GetParam()); }
  StatusOr<ApplyResult> Set(std::vector<Object> objects, const WriteOptions& options = {}) {
    return Apply(kv_, {.set = std::move(objects)}, options, clock_, Soon());
  }
  StatusOr<ApplyResult> Remove(const std::string& name) {
    return Apply(kv_, {.remove = {Key(name)}}, {}, clock_, Soon());
  }
  StoredState Read() {
    auto state = ReadState(kv_, Soon());
    EXPECT_TRUE(state.ok()) << state.status();
    EXPECT_TRUE(!state.ok() || state->missing.empty()) << state->missing[0];
    return state.ok() ? *std::move(state) : StoredState{};
  }
  FakeClock clock_;
  FakeKv kv_{clock_};
};

INSTANTIATE_TEST_SUITE_P(Stores, WriterTest, ::testing::Bool(),
                         [](const auto& info) { return info.param ? "Commits" : "Plain"; });

TEST_P(WriterTest, AChangeIsAsFewWritesAsTheStoreCanDo) {
  ASSERT_OK(Set({Server("a"), Server("b")}));
  EXPECT_EQ(kv_.writes(), GetParam() ? 1 : 2);
}

TEST_P(WriterTest, TheFirstApplyMakesAFleetAndItsObjects) {
  auto result = Set({Server("a"), Server("b")}, {.message = "first", .author = "ann"});
  ASSERT_OK(result);
  EXPECT_TRUE(result->moved);
  EXPECT_EQ(result->changes[0].kind, ChangeKind::kCreated);
  StoredState state = Read();
  EXPECT_EQ(ToString(state.head->order), "0.1.1");
  EXPECT_EQ(state.head->fleet.size(), 32u);
  EXPECT_EQ(state.snapshot.message, "first");
  EXPECT_EQ(state.snapshot.author, "ann");
  ASSERT_EQ(state.objects.size(), 2u);
  const ObjectMeta& meta = state.objects.at(Key("a")).metadata;
  EXPECT_EQ(meta.generation, 1);
  EXPECT_EQ(meta.uid.size(), 36u);
  EXPECT_FALSE(meta.creation_timestamp.empty());
}

TEST_P(WriterTest, UnchangedManifestsWriteNothing) {
  ASSERT_OK(Set({Server("a"), Server("b")}));
  int64_t writes = kv_.writes();
  auto result = Set({Server("b"), Server("a")});
  ASSERT_OK(result);
  EXPECT_FALSE(result->moved);
  EXPECT_EQ(result->changes[0].kind, ChangeKind::kUnchanged);
  EXPECT_EQ(kv_.writes(), writes);
}

TEST_P(WriterTest, GenerationRisesWithTheSpecAndNotWithLabels) {
  ASSERT_OK(Set({Server("a")}));
  Object before = Read().objects.at(Key("a"));
  clock_.Advance(std::chrono::hours(1));
  Object labelled = Server("a");
  labelled.metadata.labels["tier"] = "gold";
  ASSERT_OK(Set({labelled}));
  EXPECT_EQ(Read().objects.at(Key("a")).metadata.generation, 1);
  auto result = Set({Server("a", "2")});
  ASSERT_OK(result);
  EXPECT_EQ(result->changes[0].kind, ChangeKind::kUpdated);
  Object after = Read().objects.at(Key("a"));
  EXPECT_EQ(after.metadata.generation, 2);
  EXPECT_EQ(after.metadata.uid, before.metadata.uid);
  EXPECT_EQ(after.metadata.creation_timestamp, before.metadata.creation_timestamp);
  EXPECT_TRUE(after.metadata.labels.empty()) << "labels are replaced as the manifest says";
}

TEST_P(WriterTest, AnAskedRestartIsANewGenerationWhichTheNextManifestKeeps) {
  ASSERT_OK(Set({Server("a")}));
  Object restart = Read().objects.at(Key("a"));
  restart.metadata.annotations[kRestartedAtAnnotation] = "2026-11-25T09:19:55Z";
  ASSERT_OK(Set({restart}));
  EXPECT_EQ(Read().objects.at(Key("a")).metadata.generation, 2);
  auto result = Apply(kv_, {.set = {Server("a")}, .manifests = true}, {}, clock_, Soon());
  ASSERT_OK(result);
  EXPECT_FALSE(result->moved);
}

TEST_P(WriterTest, DeletingRemovesAndDeletingWhatIsAbsentChangesNothing) {
  ASSERT_OK(Set({Server("a"), Server("b")}));
  auto result = Remove("a");
  ASSERT_OK(result);
  EXPECT_EQ(result->changes[0].kind, ChangeKind::kDeleted);
  EXPECT_EQ(Read().objects.size(), 1u);
  result = Remove("a");
  ASSERT_OK(result);
  EXPECT_FALSE(result->moved);
  EXPECT_EQ(result->changes[0].kind, ChangeKind::kAbsent);
  ASSERT_OK(Remove("b"));
  EXPECT_TRUE(Read().objects.empty());
}

TEST_P(WriterTest, ADryRunDecidesAndWritesNothing) {
  auto result = Set({Server("a")}, {.dry_run = true});
  ASSERT_OK(result);
  EXPECT_EQ(result->changes[0].kind, ChangeKind::kCreated);
  EXPECT_FALSE(result->moved);
  EXPECT_EQ(kv_.writes(), 0);
}

TEST_P(WriterTest, TheSameObjectTwiceIsRefused) {
  EXPECT_EQ(Set({Server("a"), Server("a", "2")}).status().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(kv_.calls(), 0);
}

// Reads nothing before writing it: what the store was asked for is either there or was never written by us.
TEST_P(WriterTest, AWriterNeverReadsAKeyThatItIsAboutToWrite) {
  kv_.SetFaults({.miss_cache_min = std::chrono::hours(1), .miss_cache_max = std::chrono::hours(2)});
  kv_.SetContent({});
  ASSERT_OK(Set({Server("other")}));  // the head itself is read before: its miss is cached
  clock_.Advance(std::chrono::hours(3));
  for (int i = 0; i < 20; ++i) {
    ASSERT_OK(Set({Server("s" + std::to_string(i % 5), std::to_string(i))}));
    StoredState state = Read();
    EXPECT_EQ(state.objects.size(), state.entries.size());
  }
}

TEST_P(WriterTest, ARetryThatFindsItsOwnSnapshotInTheHeadSucceeded) {
  ASSERT_OK(Set({Server("a")}));
  kv_.FailCall(GetParam() ? 5 : 6, /*after_effect=*/true);  // head, snapshot, shard, object, upload, and the move
  auto result = Set({Server("a", "2")});
  ASSERT_OK(result);
  EXPECT_TRUE(result->moved);
  EXPECT_EQ(result->changes[0].kind, ChangeKind::kUpdated);
  EXPECT_EQ(Read().head->order.revision, 2);
  EXPECT_EQ(Read().objects.at(Key("a")).metadata.generation, 2);
}

TEST_P(WriterTest, WhatIsStoredIsNotSentAgainWhenTheMoveIs) {
  ASSERT_OK(Set({Server("a")}));
  const int64_t before = kv_.writes();
  kv_.FailCall(GetParam() ? 5 : 6, /*after_effect=*/false);  // the move
  ASSERT_OK(Set({Server("a", "2")}));
  EXPECT_EQ(kv_.writes() - before, GetParam() ? 2 : 3);
}

TEST_P(WriterTest, ACrashAtAnyCallLeavesTheOldStateOrTheNew) {
  ASSERT_OK(Set({Server("a"), Server("b"), Server("c")}));
  auto old_content = kv_.Content();
  bool finished = false;
  int seen_new = 0;
  for (int k = 1; !finished; ++k) {
    for (bool after : {false, true}) {
      kv_.SetContent(old_content);
      kv_.CrashAt(k, after);
      auto result = Apply(kv_, {.set = {Server("a", "2"), Server("d")}, .remove = {Key("b")}}, {}, clock_, Soon());
      kv_.CrashAt(0, false);
      finished = result.ok() && result->attempts == 1;
      StoredState state = Read();
      bool is_new = state.head->order.revision == 2;
      seen_new += is_new;
      EXPECT_EQ(state.objects.contains(Key("d")), is_new) << k;
      EXPECT_EQ(state.objects.contains(Key("b")), !is_new) << k;
      EXPECT_EQ(state.objects.at(Key("a")).metadata.generation, is_new ? 2 : 1) << k;
      EXPECT_EQ(state.objects.size(), 3u) << k;
      // Whoever tries again gets there.
      ASSERT_OK(Apply(kv_, {.set = {Server("a", "2"), Server("d")}, .remove = {Key("b")}}, {}, clock_, Soon()));
      EXPECT_EQ(Read().head->order.revision, 2) << k;
    }
    ASSERT_LT(k, 50);
  }
  EXPECT_GT(seen_new, 1);
}

TEST_P(WriterTest, ALostObjectIsReplacedByTheNextApply) {
  ASSERT_OK(Set({Server("a")}));
  auto content = kv_.Content();
  std::erase_if(content, [](const auto& item) { return item.first.rfind("objects/", 0) == 0; });
  kv_.SetContent(content);
  auto result = Set({Server("a")});
  ASSERT_OK(result);
  EXPECT_TRUE(result->moved);
  EXPECT_EQ(Read().objects.at(Key("a")).metadata.generation, 2);
}

TEST_P(WriterTest, HistoryIsTheChainOfParentsAndRollbackGoesForwardToOldContent) {
  ASSERT_OK(Set({Server("a"), Server("gone")}, {.message = "one"}));
  ASSERT_OK(Set({Server("a", "2"), Server("new")}, {.message = "two"}));
  ASSERT_OK(Remove("gone"));
  auto history = ReadHistory(kv_, 10, Soon());
  ASSERT_OK(history);
  ASSERT_EQ(history->size(), 3u);
  EXPECT_EQ((*history)[2].snapshot.message, "one");
  auto result = Rollback(kv_, (*history)[2].hash, {.message = "back"}, clock_, Soon());
  ASSERT_OK(result);
  StoredState state = Read();
  EXPECT_EQ(state.head->order.revision, 4);
  EXPECT_EQ(state.objects.size(), 2u);
  EXPECT_EQ(state.objects.at(Key("a")).spec, Server("a").spec);
  EXPECT_EQ(state.objects.at(Key("a")).metadata.generation, 3);
  EXPECT_TRUE(state.objects.contains(Key("gone")));
  EXPECT_EQ(ReadHistory(kv_, 10, Soon())->size(), 4u);
  EXPECT_EQ(ReadHistory(kv_, 2, Soon())->size(), 2u);
}

TEST_P(WriterTest, GarbageIsWhatNoRecentSnapshotReachesAndNobodyWroteLately) {
  for (int i = 0; i < 30; ++i) {
    ASSERT_OK(Set({Server("a", std::to_string(i))}));
    clock_.Advance(std::chrono::hours(12));
  }
  auto dry = Gc(kv_, {.dry_run = true}, clock_, Soon());
  ASSERT_OK(dry);
  size_t before = kv_.Content().size();
  auto result = Gc(kv_, {}, clock_, Soon());
  ASSERT_OK(result);
  EXPECT_EQ(result->deleted, dry->deleted);
  EXPECT_EQ(kv_.Content().size(), before - result->deleted);
  // 30 revisions over 15 days: the last 10 reach back 5 days, the last 7 days hold 14 or so; 3 blobs each.
  EXPECT_GE(result->deleted, 3u * 14);
  EXPECT_LE(result->deleted, 3u * 17);
  EXPECT_EQ(Read().objects.at(Key("a")).metadata.generation, 30);
  auto history = ReadHistory(kv_, 100, Soon());
  ASSERT_OK(history);
  EXPECT_GE(history->size(), 10u);
  for (const HistoryEntry& entry : *history) {
    auto state = ReadStateAt(kv_, entry.hash, Soon());
    ASSERT_OK(state);
    EXPECT_TRUE(state->missing.empty());
  }
}

TEST_P(WriterTest, GarbageCollectionRefusesWhenAShardCantBeRead) {
  ASSERT_OK(Set({Server("a")}));
  ASSERT_OK(Set({Server("a", "2")}));
  clock_.Advance(std::chrono::hours(24 * 30));
  auto content = kv_.Content();
  std::erase_if(content, [](const auto& item) { return item.first.rfind("shards/", 0) == 0; });
  kv_.SetContent(content);
  EXPECT_FALSE(Gc(kv_, {}, clock_, Soon()).ok());
  EXPECT_EQ(kv_.Content(), content);
}

TEST_P(WriterTest, ABackupRestoredRaisesTheEpochAboveAllThatWereSeen) {
  TempDir dir;
  ASSERT_OK(Set({Server("a"), Server("b")}));
  auto count = Backup(kv_, dir / "backup", 10, Soon());
  ASSERT_OK(count);
  ASSERT_OK(Set({Server("a", "2")}));
  auto head = Restore(kv_, dir / "backup", {.min_epoch = 6}, clock_, Soon());
  ASSERT_OK(head);
  EXPECT_EQ(ToString(head->order), "0.7.1");
  StoredState state = Read();
  EXPECT_EQ(state.objects.at(Key("a")).spec, Server("a").spec);
  // Into an empty store as well.
  FakeKv empty(clock_);
  ASSERT_OK(Restore(empty, dir / "backup", {}, clock_, Soon()));
  auto restored = ReadState(empty, Soon());
  ASSERT_OK(restored);
  EXPECT_EQ(restored->objects.size(), 2u);
  EXPECT_EQ(ToString(restored->head->order), "0.2.1");
  EXPECT_EQ(restored->head->fleet, state.head->fleet);
}

TEST_P(WriterTest, ADamagedBackupOrOneOfAnotherFleetChangesNothing) {
  TempDir dir;
  ASSERT_OK(Set({Server("a")}));
  ASSERT_OK(Backup(kv_, dir / "backup", 1, Soon()));
  std::string text = *ReadFile(dir / "backup", 1 << 20);
  auto content = kv_.Content();
  for (size_t at = 0; at < text.size(); at += 97) {
    std::string damaged = text;
    damaged[at] = static_cast<char>(damaged[at] ^ 1);
    ASSERT_OK(WriteFileAtomically(dir / "damaged", damaged));
    EXPECT_FALSE(Restore(kv_, dir / "damaged", {}, clock_, Soon()).ok()) << at;
  }
  ASSERT_OK(WriteFileAtomically(dir / "torn", text.substr(0, text.size() / 2)));
  EXPECT_FALSE(Restore(kv_, dir / "torn", {}, clock_, Soon()).ok());
  EXPECT_EQ(kv_.Content(), content);
  FakeKv other(clock_);
  ASSERT_OK(Apply(other, {.set = {Server("x")}}, {}, clock_, Soon()));
  EXPECT_EQ(Restore(other, dir / "backup", {}, clock_, Soon()).status().code(), StatusCode::kFailedPrecondition);
  ASSERT_OK(Restore(other, dir / "backup", {.replace_fleet = true}, clock_, Soon()));
}

// Every writer adds and changes objects of its own through its own client. Nothing may be lost, and the head has moved
// exactly as often as writers were told so.
TEST(ConcurrentWritersTest, EightWritersNeverLoseAnUpdate) {
  constexpr int kWriters = 8, kRounds = 6;
  ServedStore store;
  SystemClock clock;
  std::atomic<int64_t> moves{0};
  std::atomic<int> failures{0};
  std::vector<std::thread> writers;
  writers.reserve(kWriters);
  for (int w = 0; w < kWriters; ++w) {
    writers.emplace_back([&, w] {
      auto kv = store.Client();
      for (int round = 0; round < kRounds; ++round) {
        std::string own = "w" + std::to_string(w);
        ChangeSet changes{
            .set = {Server(own + "-" + std::to_string(round)), Server(own + "-last", std::to_string(round))}};
        if (round == kRounds - 1) changes.remove.push_back(Key(own + "-0"));
        auto result = Apply(*kv, changes, {.author = own, .max_attempts = 200}, clock,
                            Deadline::After(std::chrono::seconds(120)));
        if (!result.ok()) {
          ADD_FAILURE() << result.status();
          ++failures;
        } else if (result->moved) {
          ++moves;
        }
      }
    });
  }
  for (std::thread& writer : writers) writer.join();
  ASSERT_EQ(failures, 0);
  auto kv = store.Client();
  auto state = ReadState(*kv, Soon());
  ASSERT_OK(state);
  EXPECT_TRUE(state->missing.empty());
  EXPECT_EQ(state->head->order.revision, moves.load());
  EXPECT_EQ(moves.load(), kWriters * kRounds);
  EXPECT_EQ(state->objects.size(), static_cast<size_t>(kWriters * kRounds));  // rounds + last - the first
  for (int w = 0; w < kWriters; ++w) {
    const Object& last = state->objects.at(Key("w" + std::to_string(w) + "-last"));
    EXPECT_EQ(last.metadata.generation, kRounds);
    EXPECT_EQ(last.spec, Server(last.metadata.name, std::to_string(kRounds - 1)).spec);
  }
  EXPECT_EQ(ReadHistory(*kv, 1000, Soon())->size(), static_cast<size_t>(kWriters * kRounds));
}

// The same with a store whose answers get lost: a move counts once, however often it was sent.
TEST(ConcurrentWritersTest, LostAnswersNeitherLoseNorRepeatAnUpdate) {
  for (uint64_t seed = 1; seed <= 8; ++seed) {
    FakeClock clock;
    FakeKv kv(clock, seed);
    kv.SetCommits(seed % 2 == 0);
    kv.SetFaults({.fail_before = 0.05, .fail_after = 0.1});
    std::vector<std::thread> writers;
    writers.reserve(4);
    for (int w = 0; w < 4; ++w) {
      writers.emplace_back([&, w] {
        for (int round = 0; round < 5; ++round) {
          ChangeSet changes{.set = {Server("w" + std::to_string(w), std::to_string(round))}};
          for (int tries = 0; tries < 100; ++tries) {
            if (Apply(kv, changes, {.author = std::to_string(w)}, clock, Soon()).ok()) break;
          }
        }
      });
    }
    for (std::thread& writer : writers) writer.join();
    kv.SetFaults({});
    auto state = ReadState(kv, Soon());
    ASSERT_OK(state);
    ASSERT_EQ(state->objects.size(), 4u) << seed;
    EXPECT_EQ(state->head->order.revision, 20) << seed;
    for (const auto& [key, object] : state->objects) {
      EXPECT_EQ(object.metadata.generation, 5) << seed;
      EXPECT_EQ(object.spec, Server(key.name, "4").spec) << seed;
    }
  }
}

Object OwnedBy(const std::string& name, const std::string& set) {
  Object object = Server(name);
  object.metadata.labels[kApplySetLabel] = set;
  return object;
}

TEST_P(WriterTest, AnApplySetWritesAndDeletesInOneMoveOfTheHead) {
  ASSERT_OK(Set({OwnedBy("old", "shop"), Server("nobodys")}));
  auto result =
      Apply(kv_, {.set = {OwnedBy("new", "shop")}, .remove = {Key("old")}, .apply_set = "shop"}, {}, clock_, Soon());
  ASSERT_OK(result);
  EXPECT_EQ(ToString(result->head->order), "0.1.2");
  StoredState state = Read();
  EXPECT_EQ(state.objects.size(), 2u);
  EXPECT_TRUE(state.objects.contains(Key("new")));
}

TEST_P(WriterTest, AnApplySetTouchesNothingOfAnotherSetOrOfNone) {
  ASSERT_OK(Set({OwnedBy("theirs", "bank"), Server("nobodys")}));
  const std::string head = ToString(Read().head->order);
  auto refuse = [&](const ChangeSet& changes, const std::string& why) {
    auto result = Apply(kv_, changes, {}, clock_, Soon());
    EXPECT_EQ(result.status().code(), StatusCode::kFailedPrecondition);
    EXPECT_NE(Message(result.status()).find(why), std::string::npos) << result.status();
  };
  refuse({.set = {OwnedBy("theirs", "shop")}, .apply_set = "shop"}, "belongs to apply set bank");
  refuse({.remove = {Key("theirs")}, .apply_set = "shop"}, "belongs to apply set bank");
  refuse({.remove = {Key("nobodys")}, .apply_set = "shop"}, "is of no apply set");
  EXPECT_EQ(ToString(Read().head->order), head);
}

TEST_P(WriterTest, ApplyingOneManifestOfASetDoesNotTakeItOutOfTheSet) {
  ASSERT_OK(Set({OwnedBy("weather", "shop")}));
  ASSERT_OK(Apply(kv_, {.set = {Server("weather", "2")}, .manifests = true}, {}, clock_, Soon()));
  EXPECT_EQ(Read().objects.at(Key("weather")).metadata.labels.at(kApplySetLabel), "shop");
}

}  // namespace
}  // namespace mcpfleet
