// A store that somebody has broken into, before a real node, a real mcpctl and a real `mcplet sync`: he may show what
// he likes, and nobody signs on top of it.
#include <filesystem>

#include <nlohmann/json.hpp>

#include "base/strings.h"
#include "store/kv_client.h"
#include "store/reader.h"
#include "store/rest_client.h"
#include "store/trust/ed25519.h"
#include "store/trust/trust.h"
#include "tests/integration/fixture.h"

namespace mcpfleet {
namespace {

using std::chrono::seconds;

Deadline Soon() { return Deadline::After(seconds(20)); }

class SignedFleetTest : public IntegrationTest {
 protected:
  void SetUp() override {
    IntegrationTest::SetUp();
    if (IsSkipped()) return;
    node_ = std::make_unique<Node>(NodeOptions{});
    node_->Start();
    for (const char* name : {"root", "laptop"}) ASSERT_TRUE(node_->Mcpctl({"keys", "create", name}).ok());
    ASSERT_TRUE(node_->Apply({ProcessServer("weather", {"--name", "evil"})}).ok());
    evil_ = Present().snapshot;  // his content, uploaded like any other
    ASSERT_TRUE(node_->Apply({ProcessServer("weather", {"--name", "good"})}).ok());
    const CommandResult init = node_->Mcpctl({"trust", "init", "--root", "root", "--head", "laptop"});
    ASSERT_TRUE(init.ok()) << init;
    root_ = Trim(init.out);
    EXPECT_NE(init.err.find("which nobody has signed"), std::string::npos) << init;
    node_->Terminate();
    node_->SetTrustRoot(root_);
    node_->Start();
    ASSERT_TRUE(node_->WaitReady("weather"));
    ASSERT_TRUE(node_->Mcpctl({"store", "backup", Path("good.backup")}).ok());
  }
  std::string Path(const std::string& name) const { return node_->directory() + "/" + name; }
  std::unique_ptr<KvClient> Store() {
    const std::string token = ReadFile(node_->state() + "/store/operator-token", 4096).value_or("");
    return *NewRestKvClient({.base_url = node_->store_url(), .token = std::string(Trim(token))});
  }
  Head Present() { return **ReadHead(*Store(), Soon()); }
  SigningKey KeyOf(const std::string& name) {
    return *SigningKey::FromSeed(Trim(ReadFile(Path("keys/" + name + ".key"), 256).value_or("")));
  }
  // A head that names his content, as the store's next.
  Head Show(const SigningKey* signer) {
    const Head before = Present();
    Head evil = before;
    ++evil.order.revision;
    evil.snapshot = evil_;
    evil.signatures = Json::array();
    if (signer != nullptr) AddSignature(&evil.signatures, signer->public_key(), signer->Sign(SignedText(evil)));
    const Status put = Store()->Put(kHeadKey, *EncodeHead(evil), {.if_match = ToString(before.order)}, Soon());
    EXPECT_TRUE(put.ok()) << put;
    return evil;
  }
  std::string Runs() { return node_->CallTool("weather", "who"); }
  void Copy(const std::string& from, const std::string& to) {
    std::error_code error;
    std::filesystem::remove_all(to, error);
    std::filesystem::copy(from, to, std::filesystem::copy_options::recursive, error);
    ASSERT_FALSE(error) << error.message();
  }

  std::unique_ptr<Node> node_;
  std::string root_, evil_;
};

TEST_F(SignedFleetTest, AChangeOrARenewalOnTopOfAHostileHeadIsNotSigned) {
  const SigningKey thief = SigningKey::Create();
  for (const SigningKey* signer : {static_cast<const SigningKey*>(nullptr), &thief}) {
    const Head evil = Show(signer);
    for (const std::vector<std::string>& verb :
         std::vector<std::vector<std::string>>{{"head", "renew", "--for", "720h"},
                                               {"label", "mcp/weather", "team=x"},
                                               {"rollout", "restart", "weather"},
                                               {"cordon", node_->name()},
                                               {"trust", "rotate", "--head", "laptop"}}) {
      const CommandResult refused = node_->Mcpctl(verb);
      EXPECT_EQ(refused.code, 1) << Join(verb, " ") << refused;
      EXPECT_NE(refused.err.find("not to be built on"), std::string::npos) << refused;
      EXPECT_NE(refused.err.find("mcpctl store restore"), std::string::npos) << "says what to do: " << refused;
    }
    const CommandResult applied = node_->Apply({ProcessServer("other")});
    EXPECT_EQ(applied.code, 1) << applied;
    EXPECT_EQ(Present().order, evil.order);
    EXPECT_EQ(DumpJson(Present().signatures), DumpJson(evil.signatures));
  }
  EXPECT_TRUE(WaitFor([&] {
    const Json status = node_->NodeStatus();
    for (const Json& condition : GetMember(status, "conditions")) {
      if (GetString(condition, "type") == "DesiredStateFresh")
        return GetString(condition, "reason") == "HeadNotTrusted";
    }
    return false;
  }));
  EXPECT_EQ(Runs(), "good");
  // The way back: what the fleet's keys signed, above whatever he wrote.
  const CommandResult restored = node_->Mcpctl({"store", "restore", Path("good.backup")});
  ASSERT_TRUE(restored.ok()) << restored;
  EXPECT_EQ(ToString(Present().order), "1.2.1");
  ASSERT_TRUE(node_->Apply({ProcessServer("weather", {"--name", "better"})}).ok());
  EXPECT_TRUE(WaitFor([&] { return Runs() == "better"; }));
}

TEST_F(SignedFleetTest, AnOldStateThatIsPlayedBackIsNotBuiltOn) {
  node_->Terminate();
  Copy(node_->state() + "/store", Path("old-store"));
  node_->Start();
  ASSERT_TRUE(node_->Apply({ProcessServer("weather", {"--name", "better"})}).ok());
  ASSERT_TRUE(WaitFor([&] { return Runs() == "better"; }));
  node_->Terminate();
  Copy(Path("old-store"), node_->state() + "/store");
  node_->Start();
  EXPECT_EQ(ToString(Present().order), "1.1.1");
  for (const std::vector<std::string>& verb :
       std::vector<std::vector<std::string>>{{"label", "mcp/weather", "team=x"}, {"head", "renew", "--for", "ever"}}) {
    const CommandResult refused = node_->Mcpctl(verb);
    EXPECT_EQ(refused.code, 1) << refused;
    EXPECT_NE(refused.err.find("is older than 1.1.2"), std::string::npos) << refused;
  }
  EXPECT_EQ(ToString(Present().order), "1.1.1");
  EXPECT_TRUE(WaitFor([&] { return Runs() == "better"; })) << "the node was not led back either";
}

class SignedFleetSyncTest : public SignedFleetTest {
 protected:
  void SetUp() override {
    SignedFleetTest::SetUp();
    if (IsSkipped()) return;
    Commit("better");
  }
  void Git(std::vector<std::string> words) {
    words.insert(words.begin(), "/usr/bin/git");
    const CommandResult result = RunCommand(
        words,
        {"PATH=/usr/bin:/bin", "HOME=" + Path(""), "GIT_CONFIG_NOSYSTEM=1", "GIT_AUTHOR_NAME=Ann",
         "GIT_AUTHOR_EMAIL=ann@example.com", "GIT_COMMITTER_NAME=Ann", "GIT_COMMITTER_EMAIL=ann@example.com"},
        "", seconds(30));
    EXPECT_TRUE(result.ok()) << Join(words, " ") << result;
  }
  void Commit(const std::string& name) {
    ASSERT_TRUE(MakeDirectories(Path("work")).ok());
    if (access(Path("work/.git").c_str(), F_OK) != 0)
      Git({"-C", Path("work"), "init", "--quiet", "--initial-branch=main"});
    ASSERT_TRUE(
        WriteFileAtomically(Path("work/town.json"), DumpJsonPretty(ProcessServer("town", {"--name", name})), 0644)
            .ok());
    Git({"-C", Path("work"), "add", "--all"});
    Git({"-C", Path("work"), "commit", "--quiet", "-m", name});
  }
  CommandResult Sync(const std::vector<std::string>& more = {}) {
    std::vector<std::string> words = {
        ProgramPath("mcplet"),    "--config", Path("mcplet.yaml"), "sync",       "--git",
        "file://" + Path("work"), "--once",   "--allow-unsigned",  "--head-key", Path("keys/laptop.key")};
    words.insert(words.end(), more.begin(), more.end());
    return RunCommand(words, {"PATH=/usr/bin:/bin"}, "", seconds(60));
  }
};

TEST_F(SignedFleetSyncTest, ASyncWithKeysSignsNothingOnTopOfAHostileOrAnOldHead) {
  const CommandResult good = Sync();
  ASSERT_EQ(good.code, 0) << good;
  ASSERT_TRUE(node_->WaitReady("town"));
  ASSERT_TRUE(node_->Mcpctl({"label", "mcp/weather", "seen=here"}).ok());
  const SigningKey thief = SigningKey::Create();
  Commit("best");
  for (const SigningKey* signer : {static_cast<const SigningKey*>(nullptr), &thief}) {
    const Head evil = Show(signer);
    const CommandResult refused = Sync();
    EXPECT_EQ(refused.code, 1) << refused;
    EXPECT_NE(refused.out.find("not to be built on"), std::string::npos) << refused;
    EXPECT_EQ(Present().order, evil.order);
    EXPECT_EQ(DumpJson(Present().signatures), DumpJson(evil.signatures));
  }
  const CommandResult restored = node_->Mcpctl({"store", "restore", "--last-seen"});
  ASSERT_TRUE(restored.ok()) << restored;
  const CommandResult again = Sync();
  EXPECT_EQ(again.code, 0) << again;
  EXPECT_TRUE(WaitFor([&] { return node_->CallTool("town", "who") == "best"; }));
  // What it has seen it keeps on its disk.
  node_->Terminate();
  Copy(node_->state() + "/store", Path("old-store"));
  node_->Start();
  Commit("newest");
  ASSERT_EQ(Sync().code, 0);
  node_->Terminate();
  Copy(Path("old-store"), node_->state() + "/store");
  node_->Start();
  Commit("one more");
  const CommandResult old = Sync();
  EXPECT_EQ(old.code, 1) << old;
  EXPECT_NE(old.out.find("is older than"), std::string::npos) << old;
}

TEST_F(SignedFleetSyncTest, ASyncIsToldTheRootAndSignsForNoOther) {
  const std::string before = ToString(Present().order);
  const CommandResult foreign = Sync({"--trust-root", std::string(64, '0')});
  EXPECT_EQ(foreign.code, 1) << foreign;
  EXPECT_NE(foreign.out.find(root_), std::string::npos) << foreign;
  EXPECT_EQ(Sync({"--trust-root", "x"}).code, 1);
  // A machine that was told of none.
  ASSERT_TRUE(WriteFileAtomically(Path("bare.yaml"), DumpJson({{"apiVersion", "mcpfleet.dev/v1alpha1"},
                                                               {"kind", "MCPletConfiguration"},
                                                               {"metadata", {{"name", "elsewhere"}}},
                                                               {"spec", {{"stateDirectory", Path("elsewhere")}}}}))
                  .ok());
  const auto elsewhere = [&](const std::vector<std::string>& more) {
    std::vector<std::string> words = {ProgramPath("mcplet"),
                                      "--config",
                                      Path("bare.yaml"),
                                      "sync",
                                      "--git",
                                      "file://" + Path("work"),
                                      "--once",
                                      "--allow-unsigned",
                                      "--store",
                                      node_->store_url(),
                                      "--store-token-file",
                                      node_->state() + "/store/operator-token",
                                      "--head-key",
                                      Path("keys/laptop.key")};
    words.insert(words.end(), more.begin(), more.end());
    return RunCommand(words, {"PATH=/usr/bin:/bin"}, "", seconds(60));
  };
  const CommandResult untold = elsewhere({});
  EXPECT_EQ(untold.code, 1) << untold;
  EXPECT_NE(untold.out.find("--trust-root FINGERPRINT"), std::string::npos) << untold;
  EXPECT_EQ(ToString(Present().order), before);
  const CommandResult told = elsewhere({"--trust-root", root_});
  EXPECT_EQ(told.code, 0) << told;
  EXPECT_TRUE(node_->WaitReady("town"));
}

}  // namespace
}  // namespace mcpfleet
