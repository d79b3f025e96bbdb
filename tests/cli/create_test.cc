#include <poll.h>
#include <pty.h>
#include <sys/wait.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "base/argv.h"
#include "base/base64url.h"
#include "base/digest.h"
#include "base/fd.h"
#include "tests/cli/mcpctl.h"

namespace mcpfleet::cli {
namespace {

class CreateTest : public McpctlTest {
 protected:
  // What `mcpctl ARGUMENTS` writes when all of it is a terminal.
  std::string OnATerminal(const std::vector<std::string>& arguments) {
    std::vector<std::string> words{std::string(MCPFLEET_BINARY_DIR) + "/mcpctl"}, environment;
    words.insert(words.end(), arguments.begin(), arguments.end());
    for (const auto& [name, value] : env_) environment.push_back(name + "=" + value);
    const std::vector<char*> argv = ArgvOf(words), envp = ArgvOf(environment);
    int terminal = -1;
    const pid_t pid = forkpty(&terminal, nullptr, nullptr, nullptr);
    if (pid == 0) {
      execve(argv[0], argv.data(), envp.data());
      _exit(126);
    }
    const UniqueFd owned(terminal);
    std::string text;
    char buffer[4096];
    while (PollFd(terminal, POLLIN, testing::Soon()).ok()) {
      const ssize_t n = read(terminal, buffer, sizeof buffer);
      if (n <= 0) break;  // EIO: it has ended
      text.append(buffer, static_cast<size_t>(n));
    }
    int status = -1;
    waitpid(pid, &status, 0);
    EXPECT_EQ(status, 0) << text;
    std::erase(text, '\r');
    return text;
  }
};

TEST_F(CreateTest, ATokenAloneIsOnStdoutAndEachIsAnother) {
  const Ran first = Run({"create", "token"}), second = Run({"create", "token", "--name", "ci"});
  EXPECT_EQ(first.code, 0) << first.err;
  EXPECT_EQ(first.err, "") << "hints are for people";
  ASSERT_TRUE(first.out.starts_with("mcpf_") && first.out.ends_with("\n")) << first.out;
  const std::string token = first.out.substr(5, first.out.size() - 6);
  ASSERT_TRUE(Base64UrlDecode(token).has_value()) << token;
  EXPECT_EQ(Base64UrlDecode(token)->size(), 32u);
  EXPECT_NE(first.out, second.out);
}

TEST_F(CreateTest, JsonHasTheTokenAndTheHashThatTheManifestWants) {
  const Json object = Json::parse(Out({"create", "token", "--name", "ann@laptop", "-o", "json"}), nullptr, false);
  ASSERT_TRUE(object.is_object());
  EXPECT_EQ(object["name"], "ann@laptop");
  EXPECT_EQ(object["sha256"], Sha256Hex(object["token"].get<std::string>()));
}

TEST_F(CreateTest, ATerminalGetsTheLinesForTheManifestThatValidateAccepts) {
  const std::string text = OnATerminal({"create", "token", "--name", "laptop"});
  const std::string token = text.substr(0, text.find('\n'));
  EXPECT_NE(text.find("name: \"laptop\"\n          sha256: " + Sha256Hex(token) + "\n"), std::string::npos) << text;
  const size_t auth = text.find("  auth:");
  ASSERT_NE(auth, std::string::npos) << text;
  Ran validated = Run({"validate", "-f", "-"}, Manifest("weather") + text.substr(auth));
  EXPECT_EQ(validated.code, 0) << validated.err << Manifest("weather") + text.substr(auth);
}

TEST_F(CreateTest, ANameThatTheSchemaRefusesIsRefusedHere) {
  for (const std::string& bad : {std::string(""), std::string("-a"), std::string("a b"), std::string("a\nb"),
                                 std::string("a."), std::string(129, 'a')}) {
    const Ran ran = Run({"create", "token", "--name=" + bad});
    EXPECT_NE(ran.code, 0) << bad;
    EXPECT_EQ(ran.out, "") << bad;
  }
  EXPECT_EQ(Run({"create"}).code, 2);
  EXPECT_EQ(Run({"create", "token", "-o", "table"}).code, 1);
}

TEST_F(CreateTest, NeitherAStoreNorAContextIsNeeded) {
  env_["MCPFLEET_CONFIG"] = dir_ / "none";
  EXPECT_TRUE(Out({"create", "token"}).starts_with("mcpf_"));
  EXPECT_NE(Out({"create", "token", "--help"}).find("Examples:\n"), std::string::npos);
}

}  // namespace
}  // namespace mcpfleet::cli
