#include "edge-runtime/log/file_tail.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <memory>

#include <gtest/gtest.h>

#include "base/fd.h"
#include "base/strings.h"
#include "edge-runtime/log/log_rotate.h"

namespace mcpfleet {
namespace {

// A writer in a directory of its own, as mcp-sandbox has one.
class FileTailTest : public ::testing::Test {
 protected:
  void SetUp() override {
    char pattern[] = "/tmp/mcpfleet-tail-XXXXXX";
    directory_ = mkdtemp(pattern);
    Begin();
  }
  void TearDown() override {
    writer_->Close();
    EXPECT_TRUE(RemoveTree(directory_).ok());
  }
  void Begin(int64_t bytes = 4096, int files = 3) {
    if (writer_ != nullptr) writer_->Close();
    handle_.Reset(open(directory_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    writer_ = std::make_unique<LogRotate>();
    writer_->Open(handle_.get(), bytes, files);
  }
  // Lines "<n>", counted on.
  void Write(int count) {
    for (int i = 0; i < count; ++i) {
      const std::string line = std::to_string(next_++) + "\n";
      writer_->Add(line.data(), line.size());
      writer_->Flush(false);
    }
  }
  // As the process runtime does when an instance starts again.
  void PutAway() {
    writer_->Close();
    for (const char* name : {"log.2", "log.1", "log"}) {
      const std::string to = directory_ + "/previous." + name;
      unlink(to.c_str());
      rename((directory_ + "/" + name).c_str(), to.c_str());
    }
    Begin();
  }
  FileTail Tail(const std::string& place = "", bool from_birth = false) {
    return FileTail(directory_, {.place = place, .from_birth = from_birth});
  }
  // Texts of all there is, "1 2 3"; what was lost is added to lost_.
  std::string Rest(FileTail& tail, size_t max = 1000) {
    std::string out, lines;
    for (bool more = true; more;) {
      lines.clear();
      StatusOr<LogPiece> piece = tail.Read(&lines, max, Deadline::Never());
      EXPECT_TRUE(piece.ok());
      lost_ += piece->lost;
      int64_t count = 0;
      for (const std::string& line : Split(lines, '\n')) {
        if (line.empty()) continue;
        out += (out.empty() ? "" : " ") + line.substr(line.find(' ') + 1);
        ++count;
      }
      EXPECT_EQ(count, piece->lines);
      more = piece->more || piece->lines > 0;
    }
    return out;
  }
  static std::string Numbers(int from, int to) {
    std::string out;
    for (int i = from; i <= to; ++i) out += (out.empty() ? "" : " ") + std::to_string(i);
    return out;
  }

  std::string directory_;
  UniqueFd handle_;
  std::unique_ptr<LogRotate> writer_;
  int next_ = 1;
  int64_t lost_ = 0;
};

TEST_F(FileTailTest, SinceATimeItBeginsNearTheEndHoweverMuchThereIs) {
  const WallTime now = SystemClock().Wall();
  Begin(int64_t{8} << 20, 2);
  const std::string before = "2026-01-01T00:00:00.000Z " + std::string(1000, 'x') + "\n";
  {
    std::ofstream file(directory_ + "/log", std::ios::app);
    for (int i = 0; i < 4000; ++i) file << before;
  }
  Write(3);
  FileTail tail(directory_, {.since = now - std::chrono::seconds(1)});
  EXPECT_EQ(Rest(tail), "1 2 3");
  Write(1);
  EXPECT_EQ(Rest(tail), "4");
  EXPECT_EQ(lost_, 0);
  // Of a log that is new as a whole its end.
  FileTail all(directory_, {.since = WallTime{}});
  std::string out;
  while (all.Read(&out, size_t{64} << 10, Deadline::Never())->more) {
  }
  EXPECT_LE(out.size(), size_t{256} << 10);
  EXPECT_GT(out.size(), size_t{250} << 10);
  EXPECT_TRUE(out.starts_with("2026-01-01T")) << "a whole line";
  FileTail none(directory_, {.since = now + std::chrono::hours(1)});
  EXPECT_EQ(Rest(none), "");
  Write(1);
  EXPECT_EQ(Rest(none), "5") << "what comes is new, whatever its time";
}

TEST_F(FileTailTest, SinceATimeOfALogThatIsNotThereYetAllIsRead) {
  Write(2);
  PutAway();
  writer_->Close();
  unlink((directory_ + "/log").c_str());
  FileTail tail(directory_, {.since = SystemClock().Wall() + std::chrono::hours(1)});
  EXPECT_EQ(Rest(tail), "");
  Begin(int64_t{8} << 20, 2);
  Write(2);
  EXPECT_EQ(Rest(tail), "3 4");
  Write(1);
  PutAway();
  Write(1);
  EXPECT_EQ(Rest(tail), "5 6");
  EXPECT_EQ(lost_, 0);
}

TEST_F(FileTailTest, EachLineComesOnceInOrder) {
  FileTail tail = Tail();
  EXPECT_EQ(Rest(tail), "");
  Write(3);
  EXPECT_EQ(Rest(tail), "1 2 3");
  EXPECT_EQ(Rest(tail), "");
  Write(2);
  EXPECT_EQ(Rest(tail), "4 5");
  EXPECT_EQ(lost_, 0);
}

TEST_F(FileTailTest, AnUnfinishedLineWaitsForItsEnd) {
  FileTail tail = Tail();
  std::ofstream(directory_ + "/log", std::ios::app) << "2026-01-01T00:00:00.000Z a\n2026-01-01T00:00:00.000Z b";
  EXPECT_EQ(Rest(tail), "a");
  std::ofstream(directory_ + "/log", std::ios::app) << "c\n";
  EXPECT_EQ(Rest(tail), "bc");
}

TEST_F(FileTailTest, RotationsBetweenLooksLoseNothingWhileTheFilesAreThere) {
  FileTail tail = Tail();
  Write(10);
  EXPECT_EQ(Rest(tail), Numbers(1, 10));
  Write(300);  // 27 bytes and more each: more than two files
  EXPECT_EQ(Rest(tail), Numbers(11, 310));
  EXPECT_EQ(lost_, 0);
}

TEST_F(FileTailTest, APlaceIsFoundAgainAlsoInAFileThatWasRotated) {
  FileTail tail = Tail();
  Write(20);
  EXPECT_EQ(Rest(tail), Numbers(1, 20));
  const std::string place = tail.Place();
  Write(200);
  FileTail next = Tail(place);
  EXPECT_EQ(next.Place(), place) << "also before anything was read";
  EXPECT_EQ(Rest(next), Numbers(21, 220));
  EXPECT_EQ(lost_, 0);
}

TEST_F(FileTailTest, LinesThatWereRotatedAwayUnreadAreCountedExactly) {
  FileTail tail = Tail();
  Write(7);
  EXPECT_EQ(Rest(tail), Numbers(1, 7));
  const std::string place = tail.Place();
  Write(2000);
  FileTail late = Tail(place);  // by a reader that was away
  const std::string rest = Rest(late);
  const int first = std::stoi(rest);
  EXPECT_GT(first, 1000);
  EXPECT_EQ(rest, Numbers(first, 2007));
  EXPECT_EQ(lost_, first - 8);
  // One that was there has its file open, and misses only those between it and the oldest that is left.
  lost_ = 0;
  const std::string open = Rest(tail);
  EXPECT_GT(open.size(), rest.size());
  EXPECT_EQ(static_cast<int64_t>(Split(open, ' ').size()) + lost_, 2000);
}

TEST_F(FileTailTest, WithOneFileOnlyNothingIsLostThatWasReadInTime) {
  Begin(4096, 1);
  FileTail tail = Tail("", true);
  std::string all;
  for (int i = 0; i < 40; ++i) {
    Write(50);  // less than a file
    const std::string rest = Rest(tail);
    if (!rest.empty()) all += (all.empty() ? "" : " ") + rest;
  }
  EXPECT_EQ(all, Numbers(1, 2000));
  EXPECT_EQ(lost_, 0);
}

TEST_F(FileTailTest, WhatWasRotatedAwayBeforeTheFirstLookIsLostToThoseFromBirthOn) {
  Write(2000);
  FileTail first = Tail();
  const int oldest = std::stoi(Rest(first));
  EXPECT_EQ(lost_, 0) << "nobody was to read them";
  FileTail born = Tail("", true);
  EXPECT_EQ(std::stoi(Rest(born)), oldest);
  EXPECT_EQ(lost_, oldest - 1);
}

TEST_F(FileTailTest, AnotherIncarnationFollowsTheOneBefore) {
  FileTail tail = Tail();
  Write(5);
  EXPECT_EQ(Rest(tail), Numbers(1, 5));
  const std::string place = tail.Place();
  Write(5);
  PutAway();
  Write(5);
  EXPECT_EQ(Rest(tail), Numbers(6, 15));
  FileTail again = Tail(place);
  EXPECT_EQ(Rest(again), Numbers(6, 15)) << "also by a place of the incarnation before";
  EXPECT_EQ(lost_, 0);
}

TEST_F(FileTailTest, AnInodeThatIsUsedAgainIsNotTakenForTheOldFile) {
  FileTail tail = Tail();
  Write(3);
  EXPECT_EQ(Rest(tail), Numbers(1, 3));
  const std::string place = tail.Place();
  // The same inode and size, other content: as when the file system gives the number to a new file.
  const std::string path = directory_ + "/log";
  const int fd = open(path.c_str(), O_WRONLY | O_CLOEXEC);
  const std::string other = "2027-01-01T00:00:00.000Z 9\n2027-01-01T00:00:00.000Z 8\n2027-01-01T00:00:00.000Z 7\n";
  EXPECT_EQ(pwrite(fd, other.data(), other.size(), 0), static_cast<ssize_t>(other.size()));
  close(fd);
  FileTail next = Tail(place);
  EXPECT_EQ(Rest(next), "9 8 7");
}

TEST_F(FileTailTest, WhatIsOpenIsReadAfterTheInstanceIsGone) {
  FileTail tail = Tail();
  Write(1);
  EXPECT_EQ(Rest(tail), "1");
  Write(4);
  writer_->Close();
  for (const char* name : {"log", "lines"}) unlink((directory_ + "/" + name).c_str());
  EXPECT_EQ(Rest(tail), Numbers(2, 5));
  std::string out;
  StatusOr<LogPiece> end = tail.Read(&out, 100, Deadline::Never());
  ASSERT_TRUE(end.ok());
  EXPECT_TRUE(end->at_end);
  EXPECT_EQ(end->lost, 0);
  Begin();
}

TEST_F(FileTailTest, AFileThatWasCutAndWrittenOnGoesOnAtTheNextWholeLine) {
  const std::string path = directory_ + "/log";
  std::ofstream(path) << "2026-01-01T00:00:00.000Z aaaa\n2026-01-01T00:00:00.000Z bbbb\n";
  FileTail tail = Tail();
  EXPECT_EQ(Rest(tail), "aaaa bbbb");
  ASSERT_EQ(truncate(path.c_str(), 30), 0);
  std::ofstream(path, std::ios::app) << "2026-01-01T00:00:01.000Z cccccccccccccccc\n2026-01-01T00:00:02.000Z dd\n";
  EXPECT_EQ(Rest(tail), "dd");
  EXPECT_EQ(lost_, 1);
}

TEST_F(FileTailTest, APlaceThatMeansNothingIsNone) {
  Write(2);
  for (const char* place : {"engine 2026-01-01T00:00:00Z 3", "file x", "file 1 -5 0 0", "\n"}) {
    FileTail tail = Tail(place);
    EXPECT_EQ(Rest(tail), "1 2") << place;
  }
  EXPECT_EQ(lost_, 0);
}

TEST_F(FileTailTest, TheCountGoesOnWhenAWriterOpensAgain) {
  Write(500);
  FileTail tail = Tail();
  Rest(tail);
  const std::string place = tail.Place();
  Begin();  // as an attached server's log after a restart of mcplet
  Write(2000);
  FileTail late = Tail(place);
  const int first = std::stoi(Rest(late));
  EXPECT_EQ(lost_, first - 501);
}

}  // namespace
}  // namespace mcpfleet
