// pip against an index on the loopback: a directory served by Python's own HTTP server, with one wheel in it that the
// test builds.
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>

#include "base/argv.h"
#include "base/digest.h"
#include "tests/edge-runtime/process/process_fixture.h"

namespace mcpfleet {
namespace {

constexpr char kPython[] = "/usr/bin/python3";

constexpr char kBuildWheel[] = R"(
import os, sys, zipfile
os.makedirs(sys.argv[1] + '/mcp-hello', exist_ok=True)
with zipfile.ZipFile(sys.argv[1] + '/mcp-hello/mcp_hello-1.0.0-py3-none-any.whl', 'w') as z:
    z.writestr('mcp_hello/__init__.py', "import sys\ndef main():\n    print('hello from', sys.argv)\n" + sys.argv[2])
    info = 'mcp_hello-1.0.0.dist-info/'
    z.writestr(info + 'METADATA', 'Metadata-Version: 2.1\nName: mcp-hello\nVersion: 1.0.0\n')
    z.writestr(info + 'WHEEL', 'Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n')
    z.writestr(info + 'entry_points.txt', '[console_scripts]\nmcp-hello = mcp_hello:main\n')
    z.writestr(info + 'RECORD', '')
)";

constexpr char kServe[] = R"(
import functools, http.server, sys
handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=sys.argv[1])
server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), handler)
open(sys.argv[1] + '/port.tmp', 'w').write(str(server.server_port))
import os
os.rename(sys.argv[1] + '/port.tmp', sys.argv[1] + '/port')
server.serve_forever()
)";

class PypiTest : public ProcessTest {
 protected:
  void SetUp() override {
    ProcessTest::SetUp();
    if (IsSkipped()) return;
    if (access(kPython, X_OK) != 0 || Wait(Spawn({kPython, "-I", "-m", "pip", "--version"})) != 0)
      GTEST_SKIP() << "pip is not installed";
    index_ = state_ + "/index";
    ASSERT_TRUE(MakeDirectories(index_).ok());
    BuildWheel("");
    server_ = Spawn({kPython, "-c", kServe, index_});
    ASSERT_TRUE(Eventually([&] { return access((index_ + "/port").c_str(), F_OK) == 0; }));
    setenv("PIP_INDEX_URL", ("http://127.0.0.1:" + *ReadFile(index_ + "/port", 16) + "/").c_str(), 1);
    unsetenv("PIP_FIND_LINKS");
  }
  void TearDown() override {
    StopServer();
    unsetenv("PIP_INDEX_URL");
    ProcessTest::TearDown();
  }
  void StopServer() {
    if (server_ <= 0) return;
    kill(server_, SIGKILL);
    Wait(server_);
    server_ = 0;
  }
  void BuildWheel(const std::string& extra) { ASSERT_EQ(Wait(Spawn({kPython, "-c", kBuildWheel, index_, extra})), 0); }
  static pid_t Spawn(const std::vector<std::string>& words) {
    const std::vector<char*> argv = ArgvOf(words);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
    pid_t pid = 0;
    EXPECT_EQ(posix_spawn(&pid, argv[0], &actions, nullptr, argv.data(), environ), 0);
    posix_spawn_file_actions_destroy(&actions);
    return pid;
  }
  static int Wait(pid_t pid) {
    int status = -1;
    waitpid(pid, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }
  StatusOr<Artifact> Pull(const std::string& name, const std::string& version, const std::string& integrity = "") {
    ServerSpec spec;
    spec.source =
        PackageSource{.manager = PackageManager::kPypi, .name = name, .version = version, .integrity = integrity};
    return runtime_->Pull(spec, nullptr, Deadline::After(std::chrono::minutes(2)));
  }

  std::string index_;
  pid_t server_ = 0;
};

TEST_F(PypiTest, AWheelIsInstalledRunsAndNeedsNoIndexAfterwards) {
  StatusOr<Artifact> first = Pull("mcp-hello", "1.0.0");
  ASSERT_TRUE(first.ok()) << first.status();
  StopServer();
  StatusOr<Artifact> again = Pull("mcp-hello", "1.0.0");
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->digest, first->digest);
  InstanceSpec spec = Instance("a", {"unused"});
  spec.spec.command.clear();
  spec.spec.source = PackageSource{.manager = PackageManager::kPypi, .name = "mcp-hello", .version = "1.0.0"};
  spec.spec.args = {"--flag"};
  spec.artifact = *again;
  EXPECT_EQ(OutputOf(spec), "hello from ['mcp-hello', '--flag']\n");
}

TEST_F(PypiTest, AnotherWheelUnderTheSameVersionIsRefusedOnceTheLockIsThere) {
  StatusOr<Artifact> first = Pull("mcp-hello", "1.0.0");
  ASSERT_TRUE(first.ok()) << first.status();
  ASSERT_TRUE(RemoveTree(first->root).ok());
  BuildWheel("evil = True\n");
  const Status status = Pull("mcp-hello", "1.0.0").status();
  EXPECT_EQ(status.code(), StatusCode::kFailedPrecondition) << status;
  EXPECT_NE(Message(status).find("integrity"), std::string::npos) << status;
}

TEST_F(PypiTest, TheIntegrityOfTheManifestIsHeld) {
  const std::string hash = *Sha256HexOfFile(index_ + "/mcp-hello/mcp_hello-1.0.0-py3-none-any.whl");
  EXPECT_EQ(Pull("mcp-hello", "1.0.0", "sha256-" + std::string(64, '0')).status().code(),
            StatusCode::kFailedPrecondition);
  StatusOr<Artifact> artifact = Pull("mcp-hello", "1.0.0", "sha256-" + hash);
  EXPECT_TRUE(artifact.ok()) << artifact.status();
}

TEST_F(PypiTest, WhatIsNotThereIsNotFoundAndAnIndexThatIsAwayIsUnavailable) {
  EXPECT_EQ(Pull("mcp-hello", "9.9.9").status().code(), StatusCode::kNotFound);
  EXPECT_EQ(Pull("mcp-nothing", "1.0.0").status().code(), StatusCode::kNotFound);
  StopServer();
  const Status status = Pull("mcp-hello", "1.0.0").status();
  EXPECT_EQ(status.code(), StatusCode::kUnavailable) << status;
  EXPECT_EQ(Pull("../x", "1.0.0").status().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(Pull("mcp-hello", ">=1").status().code(), StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace mcpfleet
