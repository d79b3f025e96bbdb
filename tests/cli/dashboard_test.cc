#include <sys/stat.h>

#include <chrono>
#include <filesystem>
#include <mutex>
#include <thread>

#include <gtest/gtest.h>

#include "base/clock.h"
#include "base/http/server.h"
#include "base/strings.h"
#include "cli/context.h"
#include "tests/base/http_testing.h"
#include "tests/cli/mcpctl.h"
#include "tests/cli/worker_front.h"

namespace mcpfleet::cli {
namespace {

constexpr char kUrl[] =
    "http://mcpfleet.localhost:8701/-/#0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

class DashboardVerbTest : public McpctlTest {
 protected:
  DashboardVerbTest() {
    EXPECT_TRUE(MakeDirectories(dir_ / "bin", 0700).ok());
    EXPECT_TRUE(MakeDirectories(dir_ / "run", 0700).ok());
    env_["PATH"] = std::string(dir_ / "bin") + ":/usr/bin:/bin";
    env_["XDG_RUNTIME_DIR"] = dir_ / "run";
    env_["DISPLAY"] = ":0";
    Opener("printf '%s\\n' \"$@\" >\"$0.args\"");
    admin_ = *http::Server::Create({}, [this](http::Request& request, const std::shared_ptr<http::Responder>& to) {
      std::lock_guard<std::mutex> lock(mu_);
      asked_.push_back(request);
      to->Send(http::JsonResponse(200, DumpJson({{"url", kUrl}, {"page", page_}})));
    });
    UseContext(store_.url(), "http://127.0.0.1:" + std::to_string(admin_->port()));
  }
  void UseContext(const std::string& server, const std::string& admin) {
    const ContextFile file{
        .path = dir_ / "config",
        .current = "test",
        .contexts = {{.name = "test", .server = server, .token = testing::kOperatorToken, .admin = admin}}};
    EXPECT_TRUE(SaveContexts(file).ok());
  }
  // What stands in for the desktop's opener of files.
  void Opener(const std::string& body) { File("bin/xdg-open", "#!/bin/sh\n" + body + "\n", 0700); }
  bool Opened() { return std::filesystem::exists(std::string(dir_ / "bin/xdg-open.args")); }

  std::mutex mu_;
  std::vector<http::Request> asked_;
  bool page_ = true;
  std::unique_ptr<http::Server> admin_;  // last: its threads use the rest
};

TEST_F(DashboardVerbTest, TheBrowserIsGivenAFileOfThisUserAndNeverTheTokenItself) {
  const Ran ran = Run({"dashboard"});
  ASSERT_EQ(ran.code, 0) << ran.err;
  EXPECT_EQ(ran.out, std::string(kUrl) + "\n");
  EXPECT_NE(ran.err.find("; opened."), std::string::npos) << ran.err;
  const std::string signpost = dir_ / "run/mcpctl-dashboard.html";
  EXPECT_EQ(Read("bin/xdg-open.args"), "file://" + signpost + "\n") << "arguments are everybody's to read";
  struct stat info {};
  ASSERT_EQ(stat(signpost.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600U);
  EXPECT_NE(Read("run/mcpctl-dashboard.html").find("url=" + std::string(kUrl) + "\""), std::string::npos);
  std::lock_guard<std::mutex> lock(mu_);
  ASSERT_EQ(asked_.size(), 1U);
  EXPECT_EQ(asked_[0].method + " " + asked_[0].target, "POST /v1/dashboard/login");
  EXPECT_EQ(asked_[0].headers.Get("Mcpfleet-Store-Token"), testing::kOperatorToken) << "by TCP it says who may act";
}

TEST_F(DashboardVerbTest, WithoutOneTheAddressIsPrintedAlone) {
  const Ran told = Run({"dashboard", "--no-open"});
  EXPECT_EQ(told.code, 0) << told.err;
  EXPECT_EQ(told.out, std::string(kUrl) + "\n");
  EXPECT_FALSE(Opened());
  env_["DISPLAY"] = "";
  env_["WAYLAND_DISPLAY"] = "";
  const Ran blind = Run({"dashboard"});
  EXPECT_EQ(blind.code, 0) << blind.err;
  EXPECT_EQ(blind.err.find("opened"), std::string::npos) << blind.err;
  EXPECT_FALSE(Opened());
  env_["WAYLAND_DISPLAY"] = "wayland-0";
  EXPECT_NE(Run({"dashboard"}).err.find("opened"), std::string::npos);
  EXPECT_TRUE(Opened());
}

TEST_F(DashboardVerbTest, AnOpenerThatFailsOrStaysIsNotWaitedFor) {
  Opener("exit 3");
  const Ran failed = Run({"dashboard"});
  EXPECT_EQ(failed.code, 0) << failed.err;
  EXPECT_EQ(failed.err.find("opened"), std::string::npos) << failed.err;
  // Some openers are the browser itself, for as long as that is open.
  Opener("echo $$ >\"$0.args\"; exec sleep 60");
  const auto begun = std::chrono::steady_clock::now();
  const Ran stays = Run({"dashboard"});
  EXPECT_LT(std::chrono::steady_clock::now() - begun, std::chrono::seconds(25));
  EXPECT_EQ(stays.code, 0) << stays.err;
  EXPECT_NE(stays.err.find("opened"), std::string::npos) << stays.err;
  const pid_t pid = atoi(Read("bin/xdg-open.args").c_str());
  ASSERT_GT(pid, 1);
  EXPECT_EQ(kill(pid, SIGKILL), 0) << "it goes on without mcpctl";
}

TEST_F(DashboardVerbTest, AWorkersIsAtItsOwnAddress) {
  WorkerFront worker(store_.url());
  worker.Answer("/v1/whoami", {{"name", "ada"}, {"role", "operator"}});
  UseContext(worker.url(), "");
  const Ran ran = Run({"dashboard"});
  ASSERT_EQ(ran.code, 0) << ran.err;
  EXPECT_EQ(ran.out, worker.url() + "/-/\n");
  EXPECT_EQ(Read("bin/xdg-open.args"), worker.url() + "/-/\n");
  UseContext(store_.url(), "");
  const Ran none = Run({"dashboard"});
  EXPECT_NE(none.code, 0);
  EXPECT_NE(none.err.find("context \"test\" has no admin socket and its store no Worker"), std::string::npos)
      << none.err;
}

TEST_F(DashboardVerbTest, AnMcpletWithoutThePageIsSaidToBeSo) {
  page_ = false;
  const Ran ran = Run({"dashboard", "--no-open"});
  EXPECT_EQ(ran.code, 0) << ran.err;
  EXPECT_NE(ran.err.find("warning: this mcplet was built without the page; http://mcpfleet.localhost:8701/-/ says how"),
            std::string::npos)
      << ran.err;
}

}  // namespace
}  // namespace mcpfleet::cli
