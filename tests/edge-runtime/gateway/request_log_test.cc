#include "edge-runtime/gateway/request_log.h"

#include <fcntl.h>
#include <gtest/gtest.h>
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
            .tool = tool,
            .subject = "0123456789ab",
            .peer = "127.0.0.1:9",
            .status = 200,
            .took = 1500ms};
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
  log->Write(Call("get\nforecast"), now_);
  log->Write({.server = "default/weather", .method = "GET", .session = "abc", .status = 404}, now_);
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
  RequestLog::Open({.path = path_})->Write(Call("a"), now_);
  RequestLog::Open({.path = path_})->Write(Call("b"), now_);
  EXPECT_EQ(Lines().size(), 2U);
}

TEST_F(RequestLogTest, AFullFileIsRenamedAndTheOldestGoes) {
  StatusOr<RequestLog> log = RequestLog::Open({.path = path_, .max_bytes = 500, .max_files = 3});
  ASSERT_TRUE(log.ok());
  for (int i = 0; i < 20; ++i) log->Write(Call(std::to_string(i)), now_);
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
  log->Write(Call(), now_);  // nothing but a count
  StatusOr<RequestLog> moved = RequestLog::Open({.path = path_, .max_bytes = 1});
  ASSERT_TRUE(moved.ok());
  moved->Write(Call("a"), now_);
  // Rotation finds no directory any more; then it does again.
  ASSERT_EQ(rename(directory_.c_str(), (directory_ + ".away").c_str()), 0);
  moved->Write(Call("b"), now_);
  moved->Write(Call("c"), now_);
  ASSERT_EQ(rename((directory_ + ".away").c_str(), directory_.c_str()), 0);
  moved->Write(Call("d"), now_);
  ASSERT_EQ(Lines().size(), 1U);
  EXPECT_EQ(Lines()[0]["tool"], "d");
  EXPECT_EQ(Lines()[0]["lostBefore"], 2);
}

TEST_F(RequestLogTest, APlaceThatIsNoneIsAnError) {
  EXPECT_FALSE(RequestLog::Open({.path = directory_ + "/no/such/file"}).ok());
}

}  // namespace
}  // namespace mcpfleet::gateway
