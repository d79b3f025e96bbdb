#include "edge-runtime/gateway/request_log.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/json.h"

namespace mcpfleet::gateway {
namespace {

using namespace std::chrono_literals;

class RequestLogTest : public ::testing::Test {
 protected:
  void SetUp() override {
    char path[] = "/tmp/request_log_test.XXXXXX";
    ASSERT_NE(mkdtemp(path), nullptr);
    directory_ = path;
    path_ = directory_ + "/access.log";
  }
  void TearDown() override { RemoveTree(directory_).IgnoreError(); }
  static LoggedRequest Call(const std::string& tool = "") {
    return {.server = "default/weather",
            .method = "tools/call",
            .subject = "0123456789ab",
            .peer = "127.0.0.1:9",
            .status = 200,
            .took = 1500ms,
            .tools = tool.empty() ? std::vector<LoggedRequest::Tool>() : std::vector<LoggedRequest::Tool>{{tool, ""}}};
  }
  template <typename Log>
  static void Write(Log&& log, const LoggedRequest& request, WallTime now) {
    log.Add(request, now);
    log.Flush();
  }
  std::vector<Json> Lines(const std::string& suffix = "") const {
    std::vector<Json> lines;
    std::ifstream file(path_ + suffix);
    for (std::string line; std::getline(file, line);) lines.push_back(Json::parse(line));
    return lines;
  }
  bool Exists(const std::string& suffix) const { return access((path_ + suffix).c_str(), F_OK) == 0; }

  const WallTime now_{WallTime(1'790'000'000s)};
  std::string directory_, path_;
};

TEST_F(RequestLogTest, ARequestIsOneLineOfJson) {
  StatusOr<RequestLog> log = RequestLog::Open({.path = path_});
  ASSERT_TRUE(log.ok());
  Write(*log, Call("get\nforecast"), now_);
  Write(*log, {.server = "default/weather", .method = "GET", .session = "abc", .status = 404}, now_);
  const std::vector<Json> lines = Lines();
  ASSERT_EQ(lines.size(), 2U);
  EXPECT_EQ(lines[0], Json({{"time", FormatTime(now_)},
                            {"server", "default/weather"},
                            {"method", "tools/call"},
                            {"tool", "get\nforecast"},
                            {"status", 200},
                            {"seconds", 1.5},
                            {"subject", "0123456789ab"},
                            {"peer", "127.0.0.1:9"}}));
  EXPECT_EQ(lines[1]["session"], "abc");
  EXPECT_FALSE(lines[1].contains("tool"));
  struct stat info {};
  ASSERT_EQ(stat(path_.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600U);
}

TEST_F(RequestLogTest, ItGoesOnWithTheFileThatIsThere) {
  Write(*RequestLog::Open({.path = path_}), Call("a"), now_);
  Write(*RequestLog::Open({.path = path_}), Call("b"), now_);
  EXPECT_EQ(Lines().size(), 2U);
}

TEST_F(RequestLogTest, AFullFileIsRenamedAndTheOldestGoes) {
  StatusOr<RequestLog> log = RequestLog::Open({.path = path_, .max_bytes = 500, .max_files = 3});
  ASSERT_TRUE(log.ok());
  for (int i = 0; i < 20; ++i) Write(*log, Call(std::to_string(i)), now_);
  EXPECT_EQ(Lines().back()["tool"], "19");
  EXPECT_TRUE(Exists(".1"));
  EXPECT_TRUE(Exists(".2"));
  EXPECT_FALSE(Exists(".3"));
  // No line is lost between them.
  std::vector<Json> all = Lines(".2");
  for (const std::string suffix : {".1", ""}) {
    for (const Json& line : Lines(suffix)) all.push_back(line);
  }
  for (size_t i = 0; i < all.size(); ++i) EXPECT_EQ(all[i]["tool"], std::to_string(20 - all.size() + i));
  for (const std::string suffix : {"", ".1", ".2"}) {
    struct stat info {};
    ASSERT_EQ(stat((path_ + suffix).c_str(), &info), 0);
    EXPECT_LE(info.st_size, 500);
  }
}

TEST_F(RequestLogTest, LinesThatFoundNoPlaceAreCounted) {
  StatusOr<RequestLog> log = RequestLog::Open({.path = "/dev/full"});
  ASSERT_TRUE(log.ok());
  Write(*log, Call(), now_);  // nothing but a count
  StatusOr<RequestLog> moved = RequestLog::Open({.path = path_, .max_bytes = 1});
  ASSERT_TRUE(moved.ok());
  Write(*moved, Call("a"), now_);
  // Rotation finds no directory any more; then it does again.
  ASSERT_EQ(rename(directory_.c_str(), (directory_ + ".away").c_str()), 0);
  Write(*moved, Call("b"), now_);
  Write(*moved, Call("c"), now_);
  ASSERT_EQ(rename((directory_ + ".away").c_str(), directory_.c_str()), 0);
  Write(*moved, Call("d"), now_);
  ASSERT_EQ(Lines().size(), 1U);
  EXPECT_EQ(Lines()[0]["tool"], "d");
  EXPECT_EQ(Lines()[0]["lostBefore"], 2);
}

TEST_F(RequestLogTest, LinesOfOneTurnAreWrittenTogetherAndLostTogether) {
  StatusOr<RequestLog> log = RequestLog::Open({.path = path_});
  ASSERT_TRUE(log.ok());
  for (const char* tool : {"a", "b", "c"}) log->Add(Call(tool), now_);
  EXPECT_TRUE(Lines().empty());
  log->Flush();
  EXPECT_EQ(Lines().size(), 3U);
  // More than a turn may hold is written before.
  for (int i = 0; i < 600; ++i) log->Add(Call(), now_);
  EXPECT_GT(Lines().size(), 300U);
  EXPECT_LT(Lines().size(), 603U);
  log->Flush();
  EXPECT_EQ(Lines().size(), 603U);
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  const rlimit none{1, before.rlim_max};
  const auto handler = signal(SIGXFSZ, SIG_IGN);
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &none), 0);
  for (const char* tool : {"d", "e"}) log->Add(Call(tool), now_);
  log->Flush();
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &before), 0);
  signal(SIGXFSZ, handler);
  for (const char* tool : {"f", "g"}) log->Add(Call(tool), now_);
  log->Flush();
  const std::vector<Json> lines = Lines();
  ASSERT_EQ(lines.size(), 605U);
  EXPECT_EQ(lines[603]["lostBefore"], 2);
  EXPECT_EQ(lines[603]["tool"], "f");
  EXPECT_FALSE(lines[604].contains("lostBefore"));
}

TEST_F(RequestLogTest, APlaceThatIsNoneIsAnError) {
  EXPECT_FALSE(RequestLog::Open({.path = directory_ + "/no/such/file"}).ok());
}

}  // namespace
}  // namespace mcpfleet::gateway
