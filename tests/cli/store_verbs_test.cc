#include <sys/stat.h>

#include <algorithm>

#include <gtest/gtest.h>

#include "cli/context.h"
#include "tests/cli/mcpctl.h"

namespace mcpfleet::cli {
namespace {

using StoreVerbsTest = McpctlTest;

TEST_F(StoreVerbsTest, HistoryListsTheSnapshotsNewestFirst) {
  Out({"apply", "-f", "-", "-m", "one"}, Manifest("a"));
  Out({"apply", "-f", "-", "-m", "two"}, Manifest("a", "2"));
  std::string history = Out({"store", "history"});
  EXPECT_LT(history.find("two"), history.find("one"));
  EXPECT_EQ(Out({"store", "history", "--limit", "1"}).find("one"), std::string::npos);
}

TEST_F(StoreVerbsTest, RollbackMakesAnEarlierSnapshotTheNewest) {
  Apply(Manifest("a"));
  std::string history = Out({"store", "history", "--limit", "1"});
  std::string snapshot = history.substr(history.find('\n') + 1, 12);
  Apply(Manifest("a", "2") + Manifest("b"));
  std::string before = Head();
  std::string out = Out({"store", "rollback", snapshot});
  EXPECT_NE(out.find("default/a rolled back\n"), std::string::npos) << out;
  EXPECT_EQ(Out({"get", "mcp", "-o", "name"}), "mcpserver.mcpfleet.dev/a\n");
  EXPECT_EQ(Out({"get", "mcp/a", "-o", "jsonpath={.spec.source.image.ref}"}), "example/a:1\n");
  EXPECT_NE(Head(), before);  // forward, not back
  Ran none = Run({"store", "rollback", "ffffffffffff"});
  EXPECT_EQ(none.code, 1);
  EXPECT_NE(none.err.find("mcpctl store history"), std::string::npos) << none.err;
}

TEST_F(StoreVerbsTest, ABackupIsRestoredWithAHigherEpoch) {
  Apply(Manifest("a"));
  EXPECT_NE(Out({"store", "backup", dir_ / "fleet.backup"}).find("values"), std::string::npos);
  Out({"delete", "mcp/a", "--wait=false"});
  NodeStatus node = Node("edge-01", {});
  node.accepted_head = "0.7.3";
  Report(node);
  std::string out = Out({"store", "restore", dir_ / "fleet.backup"});
  EXPECT_NE(out.find("head is 0.8."), std::string::npos) << out;
  EXPECT_EQ(Out({"get", "mcp", "-o", "name"}), "mcpserver.mcpfleet.dev/a\n");
  EXPECT_EQ(Run({"store", "restore", dir_ / "none"}).code, 1);
}

TEST_F(StoreVerbsTest, ATokenOfANodeIsShownOnceListedWithoutItAndRevoked) {
  Ran created = Run({"store", "token", "create", "--node", "edge-02"});
  ASSERT_EQ(created.code, 0) << created.err;
  const std::string token = created.out.substr(0, created.out.size() - 1);
  EXPECT_EQ(token.size(), 64u);
  EXPECT_EQ(created.err.find(token), std::string::npos);
  const std::string id = Sha256Hex(token).substr(0, 12);
  EXPECT_OK(store_.Client(kServerStateNamespace, token)->Put("nodes/edge-02", "{}", {}, testing::Soon()));
  EXPECT_FALSE(store_.Client(kServerStateNamespace, token)->Put("nodes/edge-01", "{}", {}, testing::Soon()).ok());
  const std::string list = Out({"store", "token", "list"});
  EXPECT_NE(list.find("\n" + id + "  "), std::string::npos) << list;
  EXPECT_NE(list.find("edge-02"), std::string::npos) << list;
  EXPECT_EQ(list.find(token), std::string::npos);
  EXPECT_EQ(Out({"store", "token", "revoke", id}), "token " + id + " of node edge-02 revoked\n");
  EXPECT_FALSE(store_.Client(kServerStateNamespace, token)->Put("nodes/edge-02", "{}", {}, testing::Soon()).ok());
  EXPECT_EQ(Run({"store", "token", "revoke", id}).code, 1);
  EXPECT_EQ(Run({"store", "token", "revoke"}).code, 1);
}

TEST_F(StoreVerbsTest, ATokenInAFileIsItsOwnersAloneAndAllOfANodeGoTogether) {
  const std::string path = dir_ / "edge-02.token";
  EXPECT_EQ(Out({"store", "token", "create", "--node", "edge-02", "--out", path}), "");
  struct stat info {};
  ASSERT_EQ(stat(path.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
  EXPECT_EQ(Run({"store", "token", "create", "--node", "edge-02", "--out", path}).code, 1) << "never overwritten";
  Out({"store", "token", "create", "--node", "edge-02"});
  const std::string revoked = Out({"store", "token", "revoke", "--node", "edge-02"});
  EXPECT_EQ(std::count(revoked.begin(), revoked.end(), '\n'), 2) << revoked;
  EXPECT_EQ(Run({"store", "token", "create", "--node", "Not A Name"}).code, 1);
}

TEST_F(StoreVerbsTest, ADryRunOfGcCountsAndDeletesNothing) {
  for (int i = 0; i < 12; ++i) Apply(Manifest("a", std::to_string(i)));
  size_t keys = Keys();
  std::string out = Out({"gc", "--dry-run"});
  EXPECT_NE(out.find("blobs would be deleted"), std::string::npos) << out;
  EXPECT_EQ(Keys(), keys);
  EXPECT_NE(Out({"gc"}).find("0 blobs deleted"), std::string::npos);  // all of it was written today
}

TEST_F(StoreVerbsTest, TheGreatestHeadSeenIsRememberedInTheContext) {
  Apply(Manifest("a"));
  EXPECT_NE(Read("config").find(Head()), std::string::npos) << Head();
}

TEST_F(StoreVerbsTest, AStoreThatIsDownIsSaidInOneLineWithWhatToDo) {
  Out({"config", "set-context", "down", "--server", "http://127.0.0.1:1", "--use"});
  Ran ran = Run({"get", "mcp"});
  EXPECT_EQ(ran.code, 1);
  EXPECT_EQ(ran.out, "");
  EXPECT_TRUE(ran.err.starts_with("error: the store does not answer")) << ran.err;
  EXPECT_NE(ran.err.find("the store is http://127.0.0.1:1 (context \"down\"); is it running?"), std::string::npos)
      << ran.err;
}

TEST_F(StoreVerbsTest, AWrongTokenIsSaidWithTheCommandThatSetsAnother) {
  Out({"config", "set-context", "test", "--token-stdin"}, "wrong\n");
  Ran ran = Run({"get", "mcp"});
  EXPECT_EQ(ran.code, 1);
  EXPECT_NE(ran.err.find("mcpctl config set-context 'test' --token-stdin"), std::string::npos) << ran.err;
}

TEST_F(StoreVerbsTest, ASupportBundleHoldsTheFleetWithoutTheValuesOfItsEnvironment) {
  Apply(Manifest("a") + "  env: [{name: KEY, value: hunter2}]\n");
  Out({"support-bundle", "-o", dir_ / "bundle"});
  std::string servers = Read("bundle/servers.json");
  EXPECT_NE(servers.find("\"KEY\""), std::string::npos) << servers;
  EXPECT_EQ(servers.find("hunter2"), std::string::npos);
}

class ConfigTest : public McpctlTest {
 protected:
  ConfigTest() { env_["MCPFLEET_CONFIG"] = dir_ / "own/config"; }
};

TEST_F(ConfigTest, ContextsAreCreatedListedUsedAndDeleted) {
  Out({"config", "set-context", "one", "--server", "http://127.0.0.1:1", "--token-stdin"}, "s3cret\nadm1n\n");
  struct stat info {};
  ASSERT_EQ(stat((dir_ / "own/config").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
  auto file = LoadContexts(dir_ / "own/config");
  ASSERT_TRUE(file.ok());
  EXPECT_EQ(file->Find("one")->token, "s3cret");
  EXPECT_EQ(file->Find("one")->admin_token, "adm1n");
  EXPECT_EQ(Out({"config", "current-context"}), "one\n");  // the first one is chosen
  Out({"config", "set-context", "two", "--server", "http://127.0.0.1:2", "-n", "shop"});
  EXPECT_EQ(Out({"config", "current-context"}), "one\n");
  Out({"config", "use-context", "two"});
  std::string list = Out({"config", "get-contexts"});
  EXPECT_NE(list.find("*         two    http://127.0.0.1:2"), std::string::npos) << list;
  EXPECT_EQ(Out({"--context", "one", "config", "current-context"}), "one\n");
  Out({"config", "delete-context", "two"});
  EXPECT_EQ(Run({"config", "current-context"}).out.find("two"), std::string::npos);
  EXPECT_EQ(Run({"config", "use-context", "two"}).code, 1);
}

TEST_F(ConfigTest, ATokenIsNeverTakenFromTheCommandLineAndNeverShown) {
  Ran ran = Run({"config", "set-context", "one", "--server", "http://127.0.0.1:1", "--token", "s3cret"});
  EXPECT_EQ(ran.code, 2);
  EXPECT_EQ(Run({"config", "set-context", "one", "--server", "http://127.0.0.1:1", "--token-stdin"}).code,
            1);  // empty stdin
  Out({"config", "set-context", "one", "--server", "http://127.0.0.1:1", "--token-stdin"}, "s3cret\n");
  std::string view = Out({"config", "view"});
  EXPECT_NE(view.find("token: REDACTED"), std::string::npos) << view;
  EXPECT_EQ((view + Out({"config", "get-contexts"})).find("s3cret"), std::string::npos);
}

TEST_F(ConfigTest, AContextNeedsAServer) {
  Ran ran = Run({"config", "set-context", "one"});
  EXPECT_EQ(ran.code, 1);
  EXPECT_NE(ran.err.find("--server is missing"), std::string::npos) << ran.err;
}

}  // namespace
}  // namespace mcpfleet::cli
