#include "base/fd.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/base/http_testing.h"

namespace mcpfleet {
namespace {

using http::TempDir;
using namespace std::chrono_literals;

size_t EntriesOf(const std::string& path) {
  DIR* directory = opendir(path.c_str());
  size_t n = 0;
  while (readdir(directory) != nullptr) ++n;
  closedir(directory);
  return n - 2;
}

TEST(FdTest, AnAtomicWriteReplacesTheContentWithExactlyTheMode) {
  TempDir dir;
  mode_t before = umask(077);
  ASSERT_TRUE(WriteFileAtomically(dir / "f", "old", 0644).ok());
  ASSERT_TRUE(WriteFileAtomically(dir / "f", "new", 0644).ok());
  umask(before);
  struct stat info {};
  stat((dir / "f").c_str(), &info);
  EXPECT_EQ(info.st_mode & 0777, 0644U);
  EXPECT_EQ(*ReadFile(dir / "f", 3), "new");
  EXPECT_EQ(EntriesOf(dir.path()), 1U);
}

TEST(FdTest, AFailedAtomicWriteLeavesTheOldContentAndNoRubbish) {
  TempDir dir;
  ASSERT_TRUE(MakeDirectories(dir / "target/inside").ok());  // a directory cannot be replaced by a file
  EXPECT_FALSE(WriteFileAtomically(dir / "target", "new").ok());
  EXPECT_FALSE(ReplaceFile(dir / "target", "new").ok());
  EXPECT_EQ(EntriesOf(dir.path()), 1U);
  EXPECT_EQ(WriteFileAtomically(dir / "none/f", "x").code(), StatusCode::kNotFound);
}

TEST(FdTest, AFileLargerThanTheLimitIsNeverTruncated) {
  TempDir dir;
  ASSERT_TRUE(WriteFileAtomically(dir / "f", "1234").ok());
  EXPECT_EQ(ReadFile(dir / "f", 3).status().code(), StatusCode::kResourceExhausted);
  EXPECT_EQ(ReadFile(dir / "none", 3).status().code(), StatusCode::kNotFound);
}

TEST(FdTest, RemovingATreeDoesNotFollowSymbolicLinks) {
  TempDir dir;
  ASSERT_TRUE(MakeDirectories(dir / "outside/deep").ok());
  ASSERT_TRUE(WriteFileAtomically(dir / "outside/precious", "x").ok());
  ASSERT_TRUE(MakeDirectories(dir / "tree/a/b").ok());
  ASSERT_TRUE(WriteFileAtomically(dir / "tree/a/file", "x").ok());
  ASSERT_EQ(symlink((dir / "outside").c_str(), (dir / "tree/a/link").c_str()), 0);
  ASSERT_EQ(symlink((dir / "outside").c_str(), (dir / "link").c_str()), 0);
  EXPECT_TRUE(RemoveTree(dir / "tree").ok());
  EXPECT_TRUE(RemoveTree(dir / "link").ok());
  EXPECT_TRUE(RemoveTree(dir / "absent").ok());
  EXPECT_EQ(EntriesOf(dir.path()), 1U);
  EXPECT_TRUE(ReadFile(dir / "outside/precious", 9).ok());
}

TEST(FdTest, DirectoriesAreMadeOnceAndAFileInTheWayIsToldApart) {
  TempDir dir;
  EXPECT_TRUE(MakeDirectories(dir / "a/b/c", 0700).ok());
  EXPECT_TRUE(MakeDirectories(dir / "a/b/c/", 0700).ok());
  ASSERT_TRUE(WriteFileAtomically(dir / "f", "x").ok());
  EXPECT_EQ(MakeDirectories(dir / "f").code(), StatusCode::kFailedPrecondition);
}

TEST(FdTest, WritingToAFullPipeEndsWithTheDeadline) {
  int ends[2];
  ASSERT_EQ(pipe2(ends, O_NONBLOCK | O_CLOEXEC), 0);
  UniqueFd in(ends[0]), out(ends[1]);
  EXPECT_EQ(WriteAll(out.get(), std::string(1 << 20, 'x'), Deadline::After(20ms)).code(),
            StatusCode::kDeadlineExceeded);
  EXPECT_TRUE(PollFd(in.get(), POLLIN, Deadline::After(1s)).ok());
}

TEST(FdTest, MovingADescriptorMovesItsOwnership) {
  UniqueFd a(open("/dev/null", O_RDONLY | O_CLOEXEC));
  int raw = a.get();
  UniqueFd b(std::move(a));
  EXPECT_EQ(b.get(), raw);
  b.Reset();
  EXPECT_EQ(fcntl(raw, F_GETFD), -1);
}

}  // namespace
}  // namespace mcpfleet
