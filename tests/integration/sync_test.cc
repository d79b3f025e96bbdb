// From a commit to a running server and back: the real mcplet with its embedded store, the real `mcplet sync` beside
// it, and a repository with signed commits.
#include <unistd.h>

#include "base/strings.h"
#include "tests/integration/fixture.h"

namespace mcpfleet {
namespace {

using std::chrono::seconds;

class SyncTest : public IntegrationTest {
 protected:
  void SetUp() override {
    IntegrationTest::SetUp();
    if (IsSkipped()) return;
    node_ = std::make_unique<Node>(NodeOptions{});
    node_->Start();
    ASSERT_TRUE(MakeDirectories(Path("work")).ok());
    ASSERT_TRUE(MakeDirectories(Path("home"), 0700).ok());
    Run({"git", "init", "--quiet", "--bare", "--initial-branch=main", Path("fleet.git")});
    Run({"git", "init", "--quiet", "--initial-branch=main"});
    Run({"ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "ann", "-f", Path("ann")});
    const std::string key = ReadFile(Path("ann.pub"), 4096).value_or("");
    ASSERT_TRUE(WriteFileAtomically(Path("allowed"), "ann@example.com namespaces=\"git\" " + key).ok());
  }
  void TearDown() override {
    if (sync_ > 0) EndProgram(sync_, SIGTERM);
  }
  std::string Path(const std::string& name) const { return node_->directory() + "/" + name; }

  std::string Run(std::vector<std::string> argv) {
    argv.insert(argv.begin(), {"/usr/bin/env", "-C", Path("work")});
    const CommandResult result = RunCommand(
        argv,
        {"PATH=/usr/bin:/bin", "HOME=" + Path("home"), "GIT_CONFIG_NOSYSTEM=1", "GIT_AUTHOR_NAME=Ann",
         "GIT_AUTHOR_EMAIL=ann@example.com", "GIT_COMMITTER_NAME=Ann", "GIT_COMMITTER_EMAIL=ann@example.com"},
        "", seconds(30));
    EXPECT_TRUE(result.ok()) << Join(argv, " ") << result;
    return std::string(Trim(result.out));
  }
  void File(const std::string& name, const Json& content) {
    const std::string path = Path("work/" + name);
    ASSERT_TRUE(MakeDirectories(path.substr(0, path.rfind('/'))).ok());
    ASSERT_TRUE(WriteFileAtomically(path, DumpJsonPretty(content), 0644).ok());
  }
  std::string Commit(const std::string& message, bool sign = true) {
    Run({"git", "add", "--all"});
    std::vector<std::string> commit = {"git",
                                       "-c",
                                       "gpg.format=ssh",
                                       "-c",
                                       "user.signingkey=" + Path("ann"),
                                       "commit",
                                       "--quiet",
                                       "-m",
                                       message,
                                       sign ? "-S" : "--no-gpg-sign"};
    Run(commit);
    Run({"git", "push", "--quiet", "--force", Path("fleet.git"), "main"});
    return Run({"git", "rev-parse", "HEAD"});
  }
  std::vector<std::string> Command(const std::vector<std::string>& more, const std::string& path = "sites/berlin") {
    std::vector<std::string> words = {ProgramPath("mcplet"),
                                      "--config",
                                      Path("mcplet.yaml"),
                                      "sync",
                                      "--git",
                                      "file://" + Path("fleet.git"),
                                      "--path",
                                      path};
    words.insert(words.end(), more.begin(), more.end());
    return words;
  }
  CommandResult Once(const std::vector<std::string>& more = {}, const std::string& path = "sites/berlin") {
    std::vector<std::string> words = Command({"--once", "--allowed-signers", Path("allowed")}, path);
    words.insert(words.end(), more.begin(), more.end());
    return RunCommand(words, {"PATH=/usr/bin:/bin"}, "", seconds(60));
  }
  std::string Synced(const std::string& jsonpath) {
    return std::string(Trim(node_->Mcpctl({"syncs", "fleet", "-o", "jsonpath={.status." + jsonpath + "}"}).out));
  }

  std::unique_ptr<Node> node_;
  pid_t sync_ = 0;
};

TEST_F(SyncTest, ASignedCommitRunsAServerAndItsRemovalStopsIt) {
  File("base/weather.json", ProcessServer("weather", {"--name", "sunny"}));
  File("base/clock.json", ProcessServer("clock"));
  File("sites/berlin/kustomization.yaml", {{"resources", {"../../base"}}});
  const std::string first = Commit("two servers");
  sync_ = StartProgram(Command({"--interval", "5s", "--allowed-signers", Path("allowed")}), Path("sync.log"));
  ASSERT_TRUE(node_->WaitReady("weather")) << ReadFile(Path("sync.log"), 1 << 20).value_or("");
  EXPECT_EQ(node_->CallTool("weather", "who"), "sunny");
  EXPECT_TRUE(WaitFor([&] { return Synced("applied.commit") == first; }));
  EXPECT_EQ(Synced("applied.signer"), "ann@example.com");
  Run({"git", "rm", "--quiet", "base/clock.json"});
  Commit("one server");
  EXPECT_TRUE(WaitFor([&] { return node_->ServerStatus("clock").is_null(); }))
      << ReadFile(Path("sync.log"), 1 << 20).value_or("");
  // A commit that nobody signed changes nothing and is named.
  File("base/weather.json", ProcessServer("weather", {"--name", "cloudy"}));
  const std::string unsigned_commit = Commit("unsigned", false);
  EXPECT_TRUE(WaitFor([&] { return Synced("seen.commit") == unsigned_commit; }));
  EXPECT_EQ(node_->CallTool("weather", "who"), "sunny");
  const CommandResult table = node_->Mcpctl({"syncs"});
  EXPECT_NE(table.out.find("SignatureRefused"), std::string::npos) << table;
  EXPECT_TRUE(node_->Running());
}

TEST_F(SyncTest, OnceSaysByItsCodeWhetherTheStoreIsAsTheBranchSays) {
  File("sites/berlin/weather.json", ProcessServer("weather"));
  const std::string first = Commit("first");
  const CommandResult good = Once();
  EXPECT_EQ(good.code, 0) << good;
  EXPECT_NE(good.out.find("commit " + first.substr(0, 12) + ": 1 object"), std::string::npos) << good;
  EXPECT_EQ(Once().code, 0);
  // A rewritten branch.
  File("sites/berlin/weather.json", ProcessServer("weather", {"--name", "other"}));
  Run({"git", "add", "--all"});
  Run({"git", "-c", "gpg.format=ssh", "-c", "user.signingkey=" + Path("ann"), "commit", "--quiet", "--amend", "-S",
       "-m", "rewritten"});
  Run({"git", "push", "--quiet", "--force", Path("fleet.git"), "main"});
  const std::string rewritten = Run({"git", "rev-parse", "HEAD"});
  const CommandResult refused = Once();
  EXPECT_EQ(refused.code, 1);
  EXPECT_NE(refused.out.find("--accept " + rewritten), std::string::npos) << refused;
  EXPECT_EQ(Once({"--accept", rewritten}).code, 0);
}

TEST_F(SyncTest, WhoMaySignMustBeSaidAndTheTokenMustBeAnOperators) {
  File("sites/berlin/weather.json", ProcessServer("weather"));
  Commit("first");
  const CommandResult nobody = RunCommand(Command({"--once"}), {"PATH=/usr/bin:/bin"}, "", seconds(30));
  EXPECT_EQ(nobody.code, 1);
  EXPECT_NE(nobody.err.find("say who may sign commits"), std::string::npos) << nobody;
  EXPECT_EQ(Once({"--store-token-file", node_->state() + "/store/reader-token"}).code, 1);
  EXPECT_EQ(Once({"--branch", "-x"}).code, 1);
  EXPECT_EQ(Once({}, "../etc").code, 1);
  EXPECT_TRUE(node_->ServerStatus("weather").is_null());
}

}  // namespace
}  // namespace mcpfleet
