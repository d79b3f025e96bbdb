#include "edge-runtime/dashboard/followed_log.h"

#include <fcntl.h>

#include <cstdio>

#include <gtest/gtest.h>

#include "base/fd.h"
#include "edge-runtime/log/file_tail.h"
#include "edge-runtime/log/log_rotate.h"
#include "tests/store/testing.h"

namespace mcpfleet::dashboard {
namespace {

using mcpfleet::testing::TempDir;

std::vector<std::string> TextsOf(const std::vector<LiveLine>& lines) {
  std::vector<std::string> texts;
  texts.reserve(lines.size());
  for (const LiveLine& line : lines) texts.push_back(line.text);
  return texts;
}

using Texts = std::vector<std::string>;

TEST(NewestLinesTest, OfTooManyTheNewestAreKeptAndTheOthersCounted) {
  NewestLines lines;
  for (int i = 0; i < 10'000; ++i) lines.Add({"2026-11-28T10:00:00.123Z", std::to_string(i) + std::string(100, 'x')});
  const std::vector<LiveLine> taken = lines.Take();
  ASSERT_GT(taken.size(), 1000U);
  EXPECT_LE(taken.size() * (104 + 62), kLiveBytes);
  EXPECT_TRUE(taken.back().text.starts_with("9999x"));
  const std::string left_out = std::to_string(10'000 - (taken.size() - 1));
  EXPECT_EQ(taken[0].text, "mcpfleet: " + left_out + " lines are left out here; the log may still have them");
  EXPECT_EQ(taken[0].time, taken[1].time) << "where they were";
  EXPECT_TRUE(lines.Take().empty());
}

TEST(NewestLinesTest, WhatIsLeftOutIsToldWithTheNextLine) {
  NewestLines lines;
  lines.LeaveOut(1);
  EXPECT_TRUE(lines.Take().empty());
  lines.Add({"2026-11-28T10:00:00Z", std::string(kLiveBytes, 'x')});
  EXPECT_EQ(TextsOf(lines.Take()),
            (Texts{"mcpfleet: 1 line is left out here; the log may still have them", std::string(kLiveBytes, 'x')}))
      << "one is shown however long it is";
  lines.LeaveOut(3, /*at_least=*/true);
  lines.Add({"2026-11-28T10:00:00Z", "a"});
  EXPECT_EQ(lines.Take()[0].text, "mcpfleet: more than 3 lines are left out here; the log may still have them");
  lines.Add({"2026-11-28T10:00:00Z", "b"});
  EXPECT_EQ(TextsOf(lines.Take()), Texts{"b"});
}

// Instances with a directory each, as the process runtime has them.
class FollowedLogTest : public ::testing::Test {
 protected:
  void Begin(const std::string& instance) {
    instance_ = instance;
    const std::string directory = dir_ / instance;
    ASSERT_TRUE(MakeDirectories(directory, 0700).ok());
    handle_.Reset(open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    writer_.Open(handle_.get(), int64_t{64} << 20, 2);
  }
  void Write(const std::string& text) {
    writer_.Add((text + "\n").data(), text.size() + 1);
    writer_.Flush(false);
  }
  // What a restart does.
  void Restart() {
    writer_.Close();
    const std::string log = dir_ / instance_ + "/log", previous = dir_ / instance_ + "/previous.log";
    ASSERT_EQ(rename(log.c_str(), previous.c_str()), 0);
    writer_ = {};
    Begin(instance_);
  }
  void Remove() {
    writer_.Close();
    writer_ = {};
    ASSERT_TRUE(RemoveTree(dir_ / instance_).ok());
  }
  Texts Look() { return TextsOf(log_.Look(Deadline::After(std::chrono::seconds(20)))); }

  // Counts what is read.
  class Tail final : public LogTail {
   public:
    Tail(FollowedLogTest& test, std::string directory, const TailFrom& from)
        : test_(test), tail_(std::move(directory), from) {}
    StatusOr<LogPiece> Read(std::string* out, size_t max, Deadline deadline) override {
      StatusOr<LogPiece> piece = tail_.Read(out, max, deadline);
      test_.read_bytes_ += out->size();
      return piece;
    }
    std::string Place() const override { return tail_.Place(); }

   private:
    FollowedLogTest& test_;
    FileTail tail_;
  };

  TempDir dir_;
  SystemClock clock_;
  std::unique_ptr<EmbeddedKv> kv_ = *EmbeddedKv::Open(dir_ / "kv", clock_);
  std::unique_ptr<KvClient> client_ = kv_->Client(kConfigNamespace);
  UniqueFd handle_;
  LogRotate writer_;
  std::string instance_;
  size_t read_bytes_ = 0;
  Host host_{.desired = *client_,
             .statuses = *client_,
             .clock = clock_,
             .status = [] { return NodeStatus{}; },
             .logs = [](const ServerKey&, const LogOptions&, const std::function<bool(std::string_view)>&,
                        Deadline) { return Internal("the log is read anew"); },
             .instance = [this](const ServerKey&) -> StatusOr<InstanceReport> {
               if (instance_.empty()) return Unavailable("has no instance now");
               return InstanceReport{.id = instance_};
             },
             .open_tail = [this](const InstanceReport& instance, const TailFrom& from,
                                 Deadline) -> StatusOr<std::unique_ptr<LogTail>> {
               return std::make_unique<Tail>(*this, dir_ / instance.id, from);
             },
             .gateway = [] { return std::nullopt; },
             .is_operator = [](std::string_view) { return false; },
             .audit_file = ""};
  FollowedLog log_{host_, {"default", "a"}, clock_.Wall() - std::chrono::seconds(1)};
};

TEST_F(FollowedLogTest, LastWordsBeforeARestartAreShown) {
  EXPECT_EQ(Look(), Texts{}) << "no instance yet";
  Begin("one");
  Write("starts");
  EXPECT_EQ(Look(), Texts{"starts"});
  Write("works");
  Write("panic: out of cheese");
  Restart();
  Write("starts again");
  EXPECT_EQ(Look(), (Texts{"works", "panic: out of cheese", "starts again"}));
  EXPECT_EQ(Look(), Texts{});
}

TEST_F(FollowedLogTest, OfAnInstanceThatIsReplacedTheLastWordsAreShownToo) {
  Begin("one");
  Write("starts");
  EXPECT_EQ(Look(), Texts{"starts"});
  Write("is stopped");
  Remove();
  Begin("two");
  Write("starts");
  Write("works");
  EXPECT_EQ(Look(), (Texts{"is stopped", "starts", "works"}));
}

TEST_F(FollowedLogTest, ALookCostsWhatIsNewHoweverLargeTheLogIs) {
  Begin("one");
  const std::string text(4000, 'x');
  for (int i = 0; i < 1000; ++i) Write(text);
  Look();
  EXPECT_LE(read_bytes_, size_t{512} << 10) << "what was there is not read";
  read_bytes_ = 0;
  Write("new");
  EXPECT_EQ(Look(), Texts{"new"});
  EXPECT_LT(read_bytes_, 100U);
}

TEST_F(FollowedLogTest, WhoWritesFasterThanIsReadIsFollowedAtTheEnd) {
  Begin("one");
  EXPECT_EQ(Look(), Texts{});
  const std::string text(8000, 'x');
  for (int i = 0; i < 3000; ++i) Write(std::to_string(i) + " " + text);
  Write("dies");
  const Texts shown = Look();
  ASSERT_GT(shown.size(), 2U);
  EXPECT_TRUE(shown[0].starts_with("mcpfleet: more than ")) << shown[0];
  EXPECT_EQ(shown.back(), "dies");
  EXPECT_LE(read_bytes_, size_t{17} << 20);
  Write("again");
  EXPECT_EQ(Look(), Texts{"again"});
}

}  // namespace
}  // namespace mcpfleet::dashboard
