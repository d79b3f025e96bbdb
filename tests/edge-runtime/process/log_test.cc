#include <dirent.h>
#include <sys/stat.h>

#include "tests/edge-runtime/process/process_fixture.h"

namespace mcpfleet {
namespace {

class ProcessLogTest : public ProcessTest {
 protected:
  std::vector<std::string> Lines(const std::string& id, const LogOptions& options) {
    std::vector<std::string> lines;
    const auto sink = [&lines](std::string_view line) {
      lines.emplace_back(line);
      return true;
    };
    EXPECT_TRUE(runtime_->Logs(id, options, sink, Soon()).ok());
    return lines;
  }
};

TEST_F(ProcessLogTest, EachLineHasItsTimeInFrontAndBothOutputsAreThere) {
  const WallTime before = clock_.Wall() - std::chrono::seconds(1);
  ASSERT_TRUE(Run(Shell("a", "echo out; echo err >&2; printf 'no newline'")).ok());
  WaitForExit("a");
  const std::vector<std::string> lines = Lines("a", {});
  ASSERT_EQ(lines.size(), 3u);
  for (const std::string& line : lines) {
    StatusOr<WallTime> at = ParseTime(line.substr(0, line.find(' ')));
    ASSERT_TRUE(at.ok()) << line;
    EXPECT_GT(*at, before);
  }
  EXPECT_EQ(LogText("a"), "out\nerr\nno newline\n");
}

TEST_F(ProcessLogTest, AFloodIsRotatedLinesStayWholeAndTheNewestSurvive) {
  InstanceSpec spec = Shell("a", "seq 1 200000");
  spec.spec.logs = {.max_size_bytes = 200 << 10, .max_files = 3};
  ASSERT_TRUE(Run(spec).ok());
  WaitForExit("a");
  int files = 0;
  int64_t bytes = 0;
  DIR* listing = opendir(InstanceDirectory("a").c_str());
  ASSERT_NE(listing, nullptr);
  while (const dirent* entry = readdir(listing)) {
    if (!std::string_view(entry->d_name).starts_with("log")) continue;
    struct stat st;
    ASSERT_EQ(stat((InstanceDirectory("a") + "/" + entry->d_name).c_str(), &st), 0);
    EXPECT_LE(st.st_size, 200 << 10) << entry->d_name;
    bytes += st.st_size;
    ++files;
  }
  closedir(listing);
  EXPECT_EQ(files, 3);
  EXPECT_GT(bytes, 400 << 10);
  const std::vector<std::string> lines = Lines("a", {});
  ASSERT_GT(lines.size(), 1000u);
  int64_t expected = 200000 - static_cast<int64_t>(lines.size()) + 1;
  for (const std::string& line : lines) ASSERT_EQ(line.substr(line.find(' ') + 1), std::to_string(expected++) + "\n");
}

TEST_F(ProcessLogTest, AnEndlessLineIsCutAndBlocksNothing) {
  ASSERT_TRUE(Run(Shell("a", "head -c 100000 /dev/zero | tr '\\0' x; echo; echo last")).ok());
  WaitForExit("a");
  const std::vector<std::string> lines = Lines("a", {});
  size_t x = 0;
  for (const std::string& line : lines) {
    EXPECT_LE(line.size(), 8192u + 26);
    x += static_cast<size_t>(std::count(line.begin(), line.end(), 'x'));
  }
  EXPECT_EQ(x, 100000u);
  EXPECT_TRUE(lines.back().ends_with(" last\n"));
}

TEST_F(ProcessLogTest, TailAndSinceLimitWhatIsRead) {
  ASSERT_TRUE(Run(Shell("a", "seq 1 100; sleep 0.3; echo late")).ok());
  WaitForExit("a");
  EXPECT_EQ(LogText("a", {.tail_lines = 2}), "100\nlate\n");
  EXPECT_EQ(LogText("a", {.tail_lines = 0}), "");
  const std::string last = Lines("a", {.tail_lines = 1})[0];
  const WallTime at = *ParseTime(last.substr(0, last.find(' ')));
  EXPECT_EQ(LogText("a", {.since = at}), "late\n");
}

TEST_F(ProcessLogTest, FollowingSeesEveryLineOverRotationsUntilTheInstanceEnds) {
  InstanceSpec spec = Shell(
      "a", "i=0; while [ $i -lt 3000 ]; do i=$((i+1)); echo line $i; [ $((i % 500)) = 0 ] && sleep 0.05; done; exit 0");
  spec.spec.logs = {.max_size_bytes = 64 << 10, .max_files = 3};
  ASSERT_TRUE(Run(spec).ok());
  const std::string text = LogText("a", {.follow = true});
  EXPECT_TRUE(text.ends_with("line 3000\n")) << text.substr(text.size() > 100 ? text.size() - 100 : 0);
}

TEST_F(ProcessLogTest, TheReaderStopsWhenTheSinkHasHadEnough) {
  ASSERT_TRUE(Run(Shell("a", "seq 1 1000; sleep 1000")).ok());
  int n = 0;
  EXPECT_TRUE(Eventually([&] { return LogText("a").find("\n1000\n") != std::string::npos; }));
  const Status status = runtime_->Logs(
      "a", {.follow = true}, [&n](std::string_view) { return ++n < 5; }, Soon());
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_EQ(n, 5);
}

}  // namespace
}  // namespace mcpfleet
