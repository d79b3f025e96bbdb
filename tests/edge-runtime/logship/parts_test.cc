// Chunks, the spool, the cursor and the rules: each by itself.
#include <sys/stat.h>
#include <unistd.h>

#include <random>

#include "edge-runtime/logship/chunk_builder.h"
#include "edge-runtime/logship/cursor.h"
#include "edge-runtime/logship/live_lines.h"
#include "edge-runtime/logship/ship_rules.h"
#include "edge-runtime/logship/spool.h"
#include "tests/edge-runtime/logship/testing.h"

namespace mcpfleet::logship {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;

std::string Row(const std::string& text) { return "{\"time\":\"2026-11-28T07:00:00Z\",\"text\":\"" + text + "\"}\n"; }

TEST(ChunkBuilderTest, WhatIsAddedComesBackAndTheNextChunkIsAnother) {
  ChunkBuilder builder;
  EXPECT_TRUE(builder.empty());
  ASSERT_TRUE(builder.Add(Row("one") + Row("two"), {.lines = 2, .first = 5, .last = 9}).ok());
  ASSERT_TRUE(builder.Add(Row("three"), {.lines = 1, .first = 3, .last = 4}).ok());
  EXPECT_EQ(builder.stats().lines, 3);
  EXPECT_EQ(builder.stats().first, 3);
  EXPECT_EQ(builder.stats().last, 9);
  const std::vector<Json> lines = Unpack(*builder.Seal());
  ASSERT_EQ(lines.size(), 3U);
  EXPECT_EQ(lines[2]["text"], "three");
  EXPECT_TRUE(builder.empty());
  ASSERT_TRUE(builder.Add(Row("four"), {.lines = 1, .first = 1, .last = 1}).ok());
  EXPECT_EQ(Unpack(*builder.Seal()).size(), 1U);
}

TEST(ChunkBuilderTest, NoChunkIsLargerThanTheProtocolAllowsHoweverBadlyItPacks) {
  std::mt19937 random(7);
  ChunkBuilder builder;
  for (const bool noise : {true, false}) {
    int pieces = 0;
    for (;; ++pieces) {
      std::string piece;
      while (piece.size() < 300'000) {
        std::string text(200, 'a');
        for (char& c : text) {
          if (noise) c = static_cast<char>('#' + random() % 57);
        }
        piece += Row(text);
      }
      if (!builder.Fits(piece.size())) {
        EXPECT_FALSE(builder.Add(piece, {.lines = 1}).ok());
        break;
      }
      ASSERT_TRUE(builder.Add(piece, {.lines = 1}).ok());
    }
    const std::string chunk = *builder.Seal();
    Unpack(chunk);
    if (noise) {
      EXPECT_GT(chunk.size(), kChunkBytes / 3);
    } else {
      EXPECT_GT(pieces, 40) << "16 MiB unpacked";
    }
  }
  EXPECT_TRUE(builder.Fits(800 << 10));
}

TEST(SpoolTest, NamesSayAllAndOnlyOursAreTaken) {
  const ChunkInfo chunk{.order = 12, .name = "0a1b2c3d-7", .first = -5, .last = 1'790'000'000'123'456'789, .lines = 42};
  const std::string name = SpoolFileName(chunk);
  EXPECT_EQ(name, "0000000000000012_0a1b2c3d-7_-5_1790000000123456789_42");
  const std::optional<ChunkInfo> back = ParseSpoolFileName(name);
  ASSERT_TRUE(back.has_value());
  EXPECT_EQ(back->order, 12U);
  EXPECT_EQ(back->name, chunk.name);
  EXPECT_EQ(back->first, chunk.first);
  EXPECT_EQ(back->last, chunk.last);
  EXPECT_EQ(back->lines, 42);
  for (const char* other : {"", "x", "0000000000000012_a-7_1_2", "12_a-7_1_2_3", "0000000000000012_a/7_1_2_3",
                            "0000000000000012_a-7_1_2_3.tmp.1.2", "000000000000001x_a-7_1_2_3"})
    EXPECT_FALSE(ParseSpoolFileName(other).has_value()) << other;
}

ChunkInfo Chunk(uint64_t order, int64_t bytes = 4) {
  return {.order = order,
          .name = "boot-" + std::to_string(order),
          .first = static_cast<int64_t>(order),
          .last = static_cast<int64_t>(order) + 1,
          .lines = 10,
          .bytes = bytes};
}

TEST(SpoolTest, ChunksComeOldestFirstAlsoAfterARestart) {
  Directory directory;
  {
    auto spool = *Spool::Open(directory / "spool", 0);
    EXPECT_FALSE(spool->Hold().has_value());
    for (uint64_t order : {1, 2, 3}) {
      ASSERT_TRUE(spool->Write(Chunk(order), "abcd").ok());
      spool->Offer(Chunk(order));
    }
    EXPECT_EQ(spool->Hold()->order, 1U);
    EXPECT_EQ(*spool->Read(*spool->Hold()), "abcd");
    spool->Release(true);
    EXPECT_EQ(spool->bytes(), 8);
    ASSERT_TRUE(spool->Write(Chunk(4), "abcd").ok());  // a crash comes before it counts
    ASSERT_TRUE(WriteFileAtomically(directory / "spool/half.tmp.1.2", "x").ok());
  }
  auto spool = *Spool::Open(directory / "spool", 3);
  EXPECT_EQ(spool->chunks(), 2);
  EXPECT_EQ(spool->bytes(), 8);
  EXPECT_EQ(spool->Hold()->order, 2U);
  EXPECT_EQ(spool->oldest_line(), 2);
  EXPECT_EQ(spool->greatest_order(), 3U);
  for (const char* gone : {"spool/half.tmp.1.2", "spool/0000000000000004_boot-4_4_5_10"})
    EXPECT_NE(access((directory / gone).c_str(), F_OK), 0) << gone;
}

TEST(SpoolTest, AFullSpoolGivesUpTheOldestButNotTheOneUnderWay) {
  Directory directory;
  auto spool = *Spool::Open(directory / "spool", 0);
  for (uint64_t order : {1, 2, 3, 4}) {
    ASSERT_TRUE(spool->Write(Chunk(order), "abcd").ok());
    spool->Offer(Chunk(order));
  }
  EXPECT_TRUE(spool->Shrink(16).empty());
  EXPECT_EQ(spool->Hold()->order, 1U);
  std::vector<ChunkInfo> gone = spool->Shrink(9);
  ASSERT_EQ(gone.size(), 2U);
  EXPECT_EQ(gone[0].order, 2U);
  EXPECT_EQ(gone[1].order, 3U);
  spool->Release(true);
  EXPECT_EQ(spool->Hold()->order, 4U);
  spool->Release(false);
  EXPECT_EQ(spool->Shrink(0).size(), 1U);
  EXPECT_EQ(spool->bytes(), 0);
}

TEST(CursorTest, ItComesBackAsItWasAndDamageIsSeen) {
  Directory directory;
  const std::string path = directory / "cursor";
  EXPECT_EQ(LoadCursor(path).status().code(), StatusCode::kNotFound);
  Cursor cursor{.counts = 7};
  cursor.tails["weather-1"] = {RuntimeKind::kDocker, {"default", "weather"}, "engine 2026-11-28T07:00:00Z 2"};
  cursor.tails["clock-1"] = {RuntimeKind::kProcess, {"ops", "clock"}, "file 1 2 3 4"};
  ASSERT_TRUE(SaveCursor(path, cursor).ok());
  StatusOr<Cursor> back = LoadCursor(path);
  ASSERT_TRUE(back.ok()) << back.status();
  EXPECT_EQ(back->counts, 7U);
  EXPECT_EQ(back->tails, cursor.tails);
  std::string text = *ReadFile(path, 4096);
  for (const std::string& damaged : {text.substr(0, text.size() - 1), "0" + text.substr(1), std::string("{}"),
                                     std::string(), std::string(4096, '\0')}) {
    if (damaged == text) continue;
    ASSERT_TRUE(WriteFileAtomically(path, damaged).ok());
    EXPECT_EQ(LoadCursor(path).status().code(), StatusCode::kInvalidArgument);
  }
}

TEST(ShipRulesTest, AChunkIsSealedByItsAgeSoonerAfterACrashAndWhileSomebodyLooks) {
  const MonoTime begun{seconds(1000)};
  ChunkAge age{.begun = begun};
  EXPECT_EQ(SealAt(age, minutes(10)), MonoTime::max());
  age.empty = false;
  EXPECT_EQ(SealAt(age, minutes(10)), begun + minutes(10));
  age.followed = true;
  EXPECT_EQ(SealAt(age, minutes(10)), begun + seconds(5));
  age.urgent = begun;
  EXPECT_EQ(SealAt(age, minutes(10)), begun + seconds(1)) << "when the last words are there";
  age.last_sealed = begun + seconds(1);
  EXPECT_EQ(SealAt(age, minutes(10)), begun + seconds(3)) << "but a crash loop makes no flood of chunks";
  age.waiting = kBusySpool;
  EXPECT_EQ(SealAt(age, minutes(10)), begun + minutes(10)) << "a store that is away reads none sooner";
}

TEST(ShipRulesTest, AnswersMeanWhatTheProtocolSays) {
  EXPECT_EQ(Judge(OkStatus()), PutOutcome::kTaken);
  EXPECT_EQ(Judge(AlreadyExists("")), PutOutcome::kConflict);
  EXPECT_EQ(Judge(InvalidArgument("")), PutOutcome::kRefused);
  for (const Status& later : {Unavailable(""), DeadlineExceeded(""), Unauthenticated(""), PermissionDenied(""),
                              ResourceExhausted(""), FailedPrecondition(""), NotFound(""), Aborted(""), Internal("")})
    EXPECT_EQ(Judge(later), PutOutcome::kLater) << later;
}

TEST(ShipRulesTest, RetriesBackOffAndDoWhatTheStoreAsks) {
  EXPECT_EQ(RetryDelay(1, {}, 0), seconds(1));
  EXPECT_EQ(RetryDelay(4, {}, 0), seconds(8));
  EXPECT_EQ(RetryDelay(1000, {}, 0), minutes(5));
  EXPECT_EQ(RetryDelay(1000, {}, 1), seconds(150));
  EXPECT_EQ(RetryDelay(1, seconds(90), 1), seconds(90));
  EXPECT_EQ(RetryDelay(1, std::chrono::hours(900), 1), minutes(5)) << "a hostile one is not obeyed for ever";
}

TEST(ShipRulesTest, TheThrottleHoldsItsRateOverTime) {
  Throttle throttle(100, 400);
  MonoTime now{seconds(50)};
  EXPECT_EQ(throttle.Take(400, now), Duration::zero());
  const Duration wait = throttle.Take(100, now);
  EXPECT_EQ(wait, seconds(1));
  EXPECT_EQ(throttle.Take(100, now + wait), Duration::zero());
  now += std::chrono::hours(1);
  EXPECT_EQ(throttle.Take(400, now), Duration::zero());
  EXPECT_GT(throttle.Take(1, now), Duration::zero()) << "what was not used long ago is no credit";
  now += seconds(4);
  EXPECT_EQ(throttle.Take(10'000, now), Duration::zero()) << "something larger than the burst goes too";
}

TEST(LiveLinesTest, OnlyFollowedServersAreSentAndNoMoreThanFits) {
  std::vector<std::pair<std::string, std::vector<LiveLine>>> sent;
  bool open = true;
  LiveLines live([&](const ServerKey& server, const std::vector<LiveLine>& lines) {
    if (open) sent.emplace_back(server.name, lines);
    return open;
  });
  const ServerKey weather{"default", "weather"}, clock{"default", "clock"};
  MonoTime now{seconds(10)};
  live.Take(weather, "2026-11-28T07:00:00Z a\n", now);
  EXPECT_TRUE(sent.empty());
  live.SetFollowed({weather});
  EXPECT_TRUE(live.any());
  live.Take(clock, "2026-11-28T07:00:00Z a\n", now);
  live.Take(weather, "2026-11-28T07:00:00Z a\n2026-11-28T07:00:01.5Z b c\nno time\n", now);
  ASSERT_EQ(sent.size(), 1U);
  ASSERT_EQ(sent[0].second.size(), 2U);
  EXPECT_EQ(sent[0].second[1].time, "2026-11-28T07:00:01.5Z");
  EXPECT_EQ(sent[0].second[1].text, "b c");
  // A flood: what does not fit is counted where lines go on.
  sent.clear();
  std::string flood;
  for (int i = 0; i < 20'000; ++i) flood += "2026-11-28T07:00:02Z " + std::string(50, 'x') + "\n";
  live.Take(weather, flood, now);
  now += seconds(5);
  live.Take(weather, "2026-11-28T07:00:09Z after\n", now);
  int64_t lines = 0, left_out = 0;
  double bytes = 0;
  for (const auto& [server, batch] : sent) {
    EXPECT_LE(batch.size(), kLiveLines);
    for (const LiveLine& line : batch) {
      bytes += static_cast<double>(line.text.size() + line.time.size());
      if (line.text.starts_with("mcpfleet: ")) {
        left_out += std::stoi(line.text.substr(10));
      } else {
        ++lines;
      }
    }
  }
  EXPECT_GT(lines, 1000);
  EXPECT_EQ(lines + left_out, 20'001);
  EXPECT_LE(bytes, kLiveBytesPerSecond + 1000);
  EXPECT_EQ(sent.back().second.back().text, "after");
  open = false;
  live.Take(weather, "2026-11-28T07:00:10Z unsent\n", now + seconds(1));
  open = true;
  sent.clear();
  live.Take(weather, "2026-11-28T07:00:11Z sent\n", now + seconds(2));
  EXPECT_EQ(sent[0].second.size(), 2U);
  live.SetFollowed({});
  EXPECT_FALSE(live.any());
}

}  // namespace
}  // namespace mcpfleet::logship
