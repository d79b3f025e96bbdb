#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "tests/cli/mcpctl.h"

namespace mcpfleet::cli {
namespace {

using UsageTest = McpctlTest;

TEST_F(UsageTest, AnUnknownVerbOrFlagIsExitCodeTwoWithASuggestion) {
  const auto expect = [&](const std::vector<std::string>& arguments, const std::string& text) {
    Ran ran = Run(arguments);
    EXPECT_EQ(ran.code, 2) << text;
    EXPECT_EQ(ran.out, "");
    EXPECT_NE(ran.err.find(text), std::string::npos) << ran.err;
    EXPECT_NE(ran.err.find("--help"), std::string::npos) << ran.err;
  };
  expect({"aply", "-f", "x"}, "mcpctl has no verb \"aply\"; did you mean \"apply\"?");
  expect({"rollout", "histroy", "x"}, "mcpctl rollout has no verb \"histroy\"; did you mean \"history\"?");
  expect({"rollout"}, "mcpctl rollout needs a verb: status, history, undo, restart");
  expect({"get", "mcp", "--no-header"}, "mcpctl get has no flag --no-header; did you mean \"--no-headers\"?");
  expect({"apply", "x.yaml"}, "unexpected argument \"x.yaml\"; files are given with -f");
  expect({"wait", "mcp"}, "--for is required");
  expect({"apply", "-f", "x", "--dry-run=maybe"}, "--dry-run");
  expect({"completion", "tcsh"}, "tcsh");
}

TEST_F(UsageTest, GetWithoutAKindSaysWhatToType) {
  Ran ran = Run({"get"});
  EXPECT_EQ(ran.code, 1);
  EXPECT_NE(ran.err.find("mcpctl api-resources"), std::string::npos) << ran.err;
}

TEST_F(UsageTest, EveryVerbHasHelpWithExamples) {
  std::string verbs = Out({"__complete", "--", ""});
  std::istringstream in(verbs);
  int count = 0;
  for (std::string verb; in >> verb; ++count) {
    std::string help = Out({verb, "--help"});
    EXPECT_NE(help.find("Examples:\n"), std::string::npos) << verb;
    EXPECT_EQ(Out({"help", verb}), help);
  }
  EXPECT_GE(count, 25) << verbs;
  EXPECT_NE(Out({}).find("apply"), std::string::npos);
}

TEST_F(UsageTest, AServerMayBeCalledLikeAVerb) {
  Apply(Manifest("events") + Manifest("get"));
  EXPECT_EQ(Out({"get", "mcp", "events", "get", "-o", "name"}),
            "mcpserver.mcpfleet.dev/events\nmcpserver.mcpfleet.dev/get\n");
  EXPECT_EQ(Out({"suspend", "get"}), "mcpserver.mcpfleet.dev/get configured\n");
  EXPECT_EQ(Out({"rollout", "restart", "events"}), "mcpserver.mcpfleet.dev/events configured\n");
}

TEST_F(UsageTest, VersionExplainAndApiResourcesNeedNoStore) {
  env_["MCPFLEET_CONFIG"] = dir_ / "none";
  EXPECT_TRUE(Out({"version"}).starts_with("mcpctl 0."));
  EXPECT_TRUE(Out({"--version"}).starts_with("mcpctl 0."));
  EXPECT_NE(Out({"explain", "mcpserver.spec.source"}).find("package"), std::string::npos);
  EXPECT_NE(Run({"explain", "mcp.spec.sorce"}).err.find("source"), std::string::npos);
  std::string kinds = Out({"api-resources"});
  EXPECT_NE(kinds.find("mcpservers   mcp"), std::string::npos) << kinds;
}

TEST_F(UsageTest, WithoutAContextTheMessageSaysHowToSetOne) {
  if (access("/var/lib/mcpfleet/store/operator-token", R_OK) == 0)
    GTEST_SKIP() << "mcplet is installed on this machine";
  env_["MCPFLEET_CONFIG"] = dir_ / "none";
  Ran ran = Run({"get", "mcp"});
  EXPECT_EQ(ran.code, 1);
  EXPECT_NE(ran.err.find("mcpctl config set-context NAME --server URL --token-stdin --use"), std::string::npos)
      << ran.err;
}

TEST_F(UsageTest, VerboseTellsTheRequestsOnStderr) {
  Ran ran = Run({"get", "mcp", "-v"});
  EXPECT_EQ(ran.code, 0);
  EXPECT_NE(ran.err.find("store: GET values -> 404\n"), std::string::npos) << ran.err;
  EXPECT_EQ(ran.err.find(testing::kOperatorToken), std::string::npos);
}

TEST_F(UsageTest, TheBashScriptParsesAndTheOthersAskMcpctlItself) {
  std::string path = File("completion.bash", Out({"completion", "bash"}));
  pid_t pid = fork();
  if (pid == 0) {
    execlp("bash", "bash", "-n", path.c_str(), nullptr);
    _exit(126);
  }
  int status = -1;
  waitpid(pid, &status, 0);
  EXPECT_EQ(status, 0);
  for (const char* shell : {"zsh", "fish"})
    EXPECT_NE(Out({"completion", shell}).find("mcpctl __complete"), std::string::npos);
}

// What bash itself makes of the script, with a stand-in for pressing the tab key.
TEST_F(UsageTest, BashCompletesNamesFromTheStore) {
  Apply(Manifest("weather") + Manifest("clock"));
  std::string script = Out({"completion", "bash"}) + "\nmcpctl() { \"" + MCPFLEET_BINARY_DIR +
                       "/mcpctl\" \"$@\"; }\n"
                       "COMP_WORDS=(mcpctl get mcp we); COMP_CWORD=3; _mcpctl; echo \"${COMPREPLY[*]}\"\n"
                       "COMP_WORDS=(mcpctl get mcp ''); COMP_CWORD=3; _mcpctl; echo ${#COMPREPLY[@]}\n"
                       "COMP_WORDS=(mcpctl rollout hi); COMP_CWORD=2; _mcpctl; echo \"${COMPREPLY[*]}\"\n";
  std::string path = File("tab.bash", script);
  int out[2];
  ASSERT_EQ(pipe2(out, O_CLOEXEC), 0);
  pid_t pid = fork();
  if (pid == 0) {
    setenv("MCPFLEET_CONFIG", env_["MCPFLEET_CONFIG"].c_str(), 1);
    dup2(out[1], 1);
    execlp("bash", "bash", path.c_str(), nullptr);
    _exit(126);
  }
  close(out[1]);
  UniqueFd reader(out[0]);
  std::string text;
  char buffer[4096];
  for (ssize_t n; (n = read(reader.get(), buffer, sizeof buffer)) > 0;) text.append(buffer, static_cast<size_t>(n));
  waitpid(pid, nullptr, 0);
  EXPECT_EQ(text, "weather\n2\nhistory\n");
}

// `mcpctl get mcp -w | head -1`: nobody reads any more, so it ends, quietly.
TEST_F(UsageTest, AClosedStdoutEndsAWatchWithoutAWord) {
  Apply(Manifest("weather"));
  int out[2], err[2];
  ASSERT_EQ(pipe2(out, O_CLOEXEC) + pipe2(err, O_CLOEXEC), 0);
  pid_t pid = fork();
  if (pid == 0) {
    setenv("MCPFLEET_CONFIG", env_["MCPFLEET_CONFIG"].c_str(), 1);
    dup2(out[1], 1);
    dup2(err[1], 2);
    std::string program = std::string(MCPFLEET_BINARY_DIR) + "/mcpctl";
    execl(program.c_str(), "mcpctl", "get", "mcp", "-w", nullptr);
    _exit(126);
  }
  close(out[1]);
  close(err[1]);
  UniqueFd reader(out[0]), talk(err[0]);
  char buffer[4096];
  EXPECT_GT(read(reader.get(), buffer, sizeof buffer), 0);
  reader.Reset();
  std::string said;
  Deadline deadline = Deadline::After(std::chrono::seconds(20));
  bool ended = false;
  while (!ended && PollFd(talk.get(), 1, deadline).ok()) {
    ssize_t n = read(talk.get(), buffer, sizeof buffer);
    ended = n <= 0;
    if (n > 0) said.append(buffer, static_cast<size_t>(n));
  }
  EXPECT_TRUE(ended) << "the watch goes on";
  if (!ended) kill(pid, SIGKILL);
  waitpid(pid, nullptr, 0);
  EXPECT_EQ(said, "");
}

}  // namespace
}  // namespace mcpfleet::cli
