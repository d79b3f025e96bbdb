// The collector alone, in memory; and killed at every step, over real files.
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <random>
#include <set>

#include "edge-runtime/log/file_tail.h"
#include "edge-runtime/log/log_rotate.h"
#include "edge-runtime/logship/log_collector.h"
#include "tests/edge-runtime/logship/testing.h"

namespace mcpfleet::logship {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;

class CollectorTest : public ::testing::Test {
 protected:
  void SetUp() override { Begin(); }
  // As a new process over what is on disk.
  void Begin(int64_t quota = int64_t{64} << 20) {
    collector_.reset();
    StatusOr<Cursor> cursor = LoadCursor(directory_ / "cursor");
    spool_ = *Spool::Open(directory_ / "spool", cursor.ok() ? cursor->counts : 0);
    live_ = std::make_unique<LiveLines>(nullptr);
    loss_ = std::make_unique<LossReport>(
        metrics_, [this](std::string_view, std::string_view, std::string_view text) { events_.emplace_back(text); },
        clock_);
    collector_ = std::make_unique<LogCollector>(
        CollectorOptions{
            .cursor_path = directory_ / "cursor", .boot_id = "boot" + std::to_string(++boots_), .spool_quota = quota},
        CollectorDeps{{{RuntimeKind::kProcess, &logs_}}, *spool_, *live_, *loss_, clock_},
        cursor.ok() ? *cursor : Cursor{}, !cursor.ok());
  }
  void Set(const std::vector<InstanceReport>& instances) { collector_->SetInstances(RuntimeKind::kProcess, instances); }
  // Takes all chunks out of the spool: "server text", in order.
  std::vector<std::string> Shipped() {
    std::vector<std::string> out;
    for (std::optional<ChunkInfo> chunk; (chunk = spool_->Hold()); spool_->Release(true)) {
      names_.push_back(chunk->name);
      const std::vector<Json> lines = Unpack(*spool_->Read(*chunk));
      EXPECT_EQ(static_cast<int64_t>(lines.size()), chunk->lines);
      for (const Json& line : lines) out.push_back(GetString(line, "server") + " " + GetString(line, "text"));
    }
    return out;
  }

  Directory directory_;
  FakeClock clock_;
  CountedLogMetrics metrics_;
  std::vector<std::string> events_, names_;
  MemoryLogs logs_;
  int boots_ = 0;
  std::unique_ptr<Spool> spool_;
  std::unique_ptr<LiveLines> live_;
  std::unique_ptr<LossReport> loss_;
  std::unique_ptr<LogCollector> collector_;
};

using Texts = std::vector<std::string>;

TEST_F(CollectorTest, AllServersAreInOneChunkAndEachLineInOne) {
  logs_.Write("a", "one");
  logs_.Write("b", "two");
  Set({Instance("a", "weather"), Instance("b", "clock")});
  EXPECT_EQ(collector_->SealDue(), MonoTime::max());
  EXPECT_GT(collector_->Look().bytes, 0);
  EXPECT_EQ(collector_->SealDue(), clock_.Now() + minutes(10));
  ASSERT_TRUE(collector_->Seal().ok());
  EXPECT_EQ(Shipped(), (Texts{"weather one", "clock two"}));
  EXPECT_EQ(collector_->Look().bytes, 0);
  ASSERT_TRUE(collector_->Seal().ok());
  EXPECT_EQ(Shipped(), Texts{}) << "an empty chunk is none";
  logs_.Write("a", "three");
  collector_->Look();
  ASSERT_TRUE(collector_->Seal().ok());
  EXPECT_EQ(Shipped(), Texts{"weather three"});
  EXPECT_EQ(names_, (Texts{"boot1-0", "boot1-1"}));
}

TEST_F(CollectorTest, WhatIsInNoChunkIsReadAgainByTheNextProcess) {
  logs_.Write("a", "one");
  Set({Instance("a", "weather")});
  collector_->Look();
  ASSERT_TRUE(collector_->Seal().ok());
  logs_.Write("a", "two");
  collector_->Look();
  Begin();
  EXPECT_EQ(Shipped(), Texts{"weather one"});
  Set({Instance("a", "weather")});
  collector_->Look();
  ASSERT_TRUE(collector_->Seal().ok());
  EXPECT_EQ(Shipped(), Texts{"weather two"});
  EXPECT_EQ(names_.back(), "boot2-0");
}

TEST_F(CollectorTest, ACrashMakesTheChunkUrgent) {
  logs_.Write("a", "last words");
  Set({Instance("a", "weather")});
  collector_->Look();
  EXPECT_GT(collector_->SealDue(), clock_.Now());
  Set({Instance("a", "weather", InstanceState::kExited)});
  EXPECT_EQ(collector_->SealDue(), clock_.Now() + kLastWords);
  ASSERT_TRUE(collector_->Seal().ok());
  logs_.Write("a", "the very last words");
  collector_->Look();
  EXPECT_LE(collector_->SealDue(), clock_.Now() + kUrgentPause) << "one that was sealed too early was not the last";
  clock_.Advance(kUrgentPause);
  ASSERT_TRUE(collector_->Seal().ok());
  logs_.Write("a", "usual words");
  collector_->Look();
  EXPECT_EQ(collector_->SealDue(), clock_.Now() + minutes(10));
}

TEST_F(CollectorTest, AnInstanceThatIsAboutToGoIsReadToItsEndAndSealed) {
  Set({Instance("a", "weather")});
  collector_->Look();
  logs_.Write("a", "last words");
  collector_->Finish("a", Deadline::After(seconds(5)));
  EXPECT_EQ(Shipped(), Texts{"weather last words"});
  collector_->Finish("a", Deadline::After(seconds(5)));
  collector_->Finish("unknown", Deadline::After(seconds(5)));
  EXPECT_EQ(Shipped(), Texts{});
}

TEST_F(CollectorTest, OneThatWasRemovedIsForgotten) {
  logs_.Write("a", "one");
  logs_.Write("b", "two");
  Set({Instance("a", "weather"), Instance("b", "clock")});
  collector_->Look();
  ASSERT_TRUE(collector_->Seal().ok());
  EXPECT_EQ(LoadCursor(directory_ / "cursor")->tails.size(), 2U);
  Set({Instance("b", "clock")});
  logs_.Remove("a");
  collector_->Look();
  clock_.Advance(seconds(6));
  collector_->Look();
  logs_.Write("b", "three");
  collector_->Look();
  ASSERT_TRUE(collector_->Seal().ok());
  const Cursor cursor = *LoadCursor(directory_ / "cursor");
  EXPECT_EQ(cursor.tails.size(), 1U);
  EXPECT_TRUE(cursor.tails.contains("b"));
}

TEST_F(CollectorTest, PlacesOfARuntimeThatDoesNotAnswerYetAreKept) {
  logs_.Write("a", "one");
  Set({Instance("a", "weather")});
  collector_->Look();
  ASSERT_TRUE(collector_->Seal().ok());
  Begin();
  collector_->SetInstances(RuntimeKind::kDocker, {});
  collector_->Look();
  EXPECT_TRUE(LoadCursor(directory_ / "cursor")->tails.contains("a"));
  Set({Instance("a", "weather")});
  logs_.Write("a", "two");
  collector_->Look();
  ASSERT_TRUE(collector_->Seal().ok());
  EXPECT_EQ(Shipped(), (Texts{"weather one", "weather two"}));
}

TEST_F(CollectorTest, ARuntimeThatIsAwayIsAskedAgainLater) {
  logs_.Write("a", "one");
  logs_.Fail(Unavailable("the engine is down"));
  Set({Instance("a", "weather")});
  EXPECT_EQ(collector_->Look().bytes, 0);
  logs_.Fail(OkStatus());
  EXPECT_EQ(collector_->Look().bytes, 0) << "not at once";
  clock_.Advance(seconds(6));
  EXPECT_GT(collector_->Look().bytes, 0);
}

TEST_F(CollectorTest, AFullDiskLosesNothingThatIsStillInTheLogs) {
  logs_.Write("a", "one");
  Set({Instance("a", "weather")});
  collector_->Look();
  ASSERT_TRUE(RemoveTree(directory_ / "spool").ok());  // a write fails
  EXPECT_FALSE(collector_->Seal().ok());
  EXPECT_EQ(collector_->Look().bytes, 0) << "not at once again";
  ASSERT_TRUE(MakeDirectories(directory_ / "spool").ok());
  clock_.Advance(seconds(11));
  logs_.Write("a", "two");
  collector_->Look();
  ASSERT_TRUE(collector_->Seal().ok());
  EXPECT_EQ(Shipped(), (Texts{"weather one", "weather two"}));
  EXPECT_EQ(loss_->lines(), 0);
}

TEST_F(CollectorTest, AFullSpoolLosesTheOldestAndSaysHowMuch) {
  Begin(2000);
  std::mt19937 random(3);
  Set({Instance("a", "weather")});
  for (int chunk = 0; chunk < 10; ++chunk) {
    for (int i = 0; i < 10; ++i) {
      std::string noise;
      for (int n = 0; n < 60; ++n) noise += static_cast<char>('#' + random() % 57);
      logs_.Write("a", std::to_string(chunk) + " " + noise);
    }
    collector_->Look();
    ASSERT_TRUE(collector_->Seal().ok());
  }
  EXPECT_LE(spool_->bytes(), 2000);
  const std::vector<std::string> left = Shipped();
  ASSERT_FALSE(left.empty());
  EXPECT_EQ(left.back().substr(0, 9), "weather 9") << "the newest are there";
  EXPECT_EQ(metrics_.Lost("spool"), 100 - static_cast<int64_t>(left.size()));
  EXPECT_EQ(loss_->lines(), metrics_.Lost("spool"));
  ASSERT_EQ(events_.size(), 1U) << "one a minute";
  EXPECT_NE(events_[0].find("spoolQuota"), std::string::npos) << events_[0];
}

TEST_F(CollectorTest, AFloodMakesFullChunksByItself) {
  Set({Instance("a", "weather")});
  std::mt19937 random(5);
  for (int i = 0; i < 40'000; ++i) {
    std::string noise;
    for (int n = 0; n < 60; ++n) noise += static_cast<char>('#' + random() % 57);
    logs_.Write("a", std::to_string(i) + " " + noise);
  }
  while (collector_->Look().more) {
  }
  EXPECT_GT(spool_->chunks(), 1);
  ASSERT_TRUE(collector_->Seal().ok());
  const std::vector<std::string> lines = Shipped();
  ASSERT_EQ(lines.size(), 40'000U);
  for (size_t i = 0; i < lines.size(); ++i) ASSERT_TRUE(lines[i].starts_with("weather " + std::to_string(i) + " "));
}

// --- killed at every step ---

class FileLogs final : public LogTails {
 public:
  explicit FileLogs(std::string directory) : directory_(std::move(directory)) {}
  StatusOr<std::unique_ptr<LogTail>> OpenTail(const std::string& instance, const TailFrom& from, Deadline) override {
    return std::make_unique<FileTail>(directory_ + "/" + instance, from);
  }

 private:
  const std::string directory_;
};

// A life of the shipper in a child process: reads, seals a little at a time, uploads into `store` (a directory), and
// dies at step `die_at` by _exit, which like kill -9 runs nothing of ours. True when it came to its end.
bool LiveOnce(const Directory& directory, int life, int die_at, uint64_t seed) {
  const pid_t pid = fork();
  if (pid == 0) {
    std::mt19937_64 random(seed);
    int steps = 0;
    const auto step = [&](std::string_view) {
      if (++steps == die_at) _exit(9);
    };
    StatusOr<Cursor> cursor = LoadCursor(directory / "cursor");
    auto spool = *Spool::Open(directory / "spool", cursor.ok() ? cursor->counts : 0);
    SystemClock clock;
    CountedLogMetrics metrics;
    LossReport loss(metrics, nullptr, clock);
    LiveLines live(nullptr);
    FileLogs logs(directory / "logs");
    LogCollector collector(
        {.cursor_path = directory / "cursor", .boot_id = "life" + std::to_string(life), .on_step = step},
        {{{RuntimeKind::kProcess, &logs}}, *spool, live, loss, clock}, cursor.ok() ? *cursor : Cursor{}, !cursor.ok());
    collector.SetInstances(RuntimeKind::kProcess, {Instance("a", "weather"), Instance("b", "clock")});
    for (int round = 0; round < 4; ++round) {
      collector.Look();
      step("looked");
      if (!collector.Seal().ok()) _exit(3);
      step("sealed");
      while (random() % 3 != 0) {
        const std::optional<ChunkInfo> chunk = spool->Hold();
        if (!chunk) break;
        // The store: a name has one content, a repeat is acknowledged.
        const std::string path = directory / ("store/" + chunk->name);
        const std::string bytes = *spool->Read(*chunk);
        StatusOr<std::string> before = ReadFile(path, kChunkBytes);
        if (before.ok() && *before != bytes) _exit(4);
        if (!WriteFileAtomically(path, bytes).ok()) _exit(5);
        step("uploaded");  // and the acknowledgement is lost
        spool->Release(true);
        step("acknowledged");
      }
    }
    _exit(loss.lines() == 0 ? 0 : 6);
  }
  int status = 0;
  EXPECT_EQ(waitpid(pid, &status, 0), pid);
  const int code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  EXPECT_TRUE(code == 0 || code == 9) << "code " << code << ", seed " << seed;
  return code == 0;
}

TEST(KilledCollectorTest, NoLineIsLostOrDoubledWhereverItIsKilled) {
  const char* given = getenv("MCPFLEET_SEED");
  const uint64_t base = given != nullptr ? std::stoull(given) : std::random_device()();
  SCOPED_TRACE("MCPFLEET_SEED=" + std::to_string(base));
  for (uint64_t run = 0; run < 6; ++run) {
    std::mt19937_64 random(base + run);
    Directory directory;
    for (const char* name : {"logs/a", "logs/b", "store"}) ASSERT_TRUE(MakeDirectories(directory / name).ok());
    std::map<std::string, int> written{{"a", 0}, {"b", 0}};
    std::map<std::string, UniqueFd> handles;
    std::map<std::string, std::unique_ptr<LogRotate>> writers;
    for (const char* name : {"a", "b"}) {
      handles[name].Reset(open((directory / (std::string("logs/") + name)).c_str(), O_RDONLY | O_DIRECTORY));
      writers[name] = std::make_unique<LogRotate>();
      writers[name]->Open(handles[name].get(), 64 << 10, 3);
    }
    int died = 0;
    for (int life = 0; life < 25; ++life) {
      for (auto& [name, writer] : writers) {
        const int lines = static_cast<int>(random() % 300);
        for (int i = 0; i < lines; ++i) {
          const std::string line = std::to_string(written[name]++) + "\n";
          writer->Add(line.data(), line.size());
          writer->Flush(false);
        }
      }
      died += LiveOnce(directory, life, static_cast<int>(random() % 24) + 1, random()) ? 0 : 1;
    }
    EXPECT_GT(died, 5) << "it was never killed";
    // At last one that lives, and takes everything out.
    for (int life = 100; life < 130; ++life) ASSERT_TRUE(LiveOnce(directory, life, -1, random()));
    std::map<std::string, int> seen;
    StatusOr<Cursor> cursor = LoadCursor(directory / "cursor");
    auto left = *Spool::Open(directory / "spool", cursor.ok() ? cursor->counts : 0);
    EXPECT_EQ(left->chunks(), 0);
    std::map<std::string, std::set<int>> found;
    for (int life = 0; life < 130; ++life) {
      for (int seq = 0;; ++seq) {
        StatusOr<std::string> chunk =
            ReadFile(directory / ("store/life" + std::to_string(life) + "-" + std::to_string(seq)), kChunkBytes);
        if (!chunk.ok()) break;
        for (const Json& line : Unpack(*chunk)) {
          const std::string name = GetString(line, "server") == "weather" ? "a" : "b";
          EXPECT_TRUE(found[name].insert(std::stoi(GetString(line, "text"))).second)
              << "twice: " << line << " in run " << run;
        }
      }
    }
    for (const auto& [name, lines] : written) {
      EXPECT_EQ(static_cast<int>(found[name].size()), lines) << name << " in run " << run;
    }
    for (auto& [name, writer] : writers) writer->Close();
  }
}

}  // namespace
}  // namespace mcpfleet::logship
