// A machine becomes a node of a fleet on Cloudflare: real workerd, real mcpctl, real mcplet, and nothing on the machine
// but what `mcplet join` put there.
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/strings.h"
#include "crd/manifest.h"
#include "store/join_token.h"
#include "tests/integration/fixture.h"
#include "tests/integration/worker.h"

namespace mcpfleet {
namespace {

using std::chrono::seconds;

class JoinTest : public WorkerFixture {
 protected:
  void SetUp() override {
    WorkerFixture::SetUp();
    // The token file that this configuration names is never made: only the one of the join counts.
    if (worker_ != nullptr) MakeNodeOfWorker({}, worker_->directory() + "/none");
  }

  std::string TokenFile(const std::string& name = "join") { return node_->directory() + "/" + name; }
  void Enroll(const std::string& file, const std::vector<std::string>& more = {}) {
    std::vector<std::string> words{"node", "enroll", node_->name(), "--out", file};
    words.insert(words.end(), more.begin(), more.end());
    const CommandResult enrolled = node_->Mcpctl(words);
    ASSERT_TRUE(enrolled.ok()) << enrolled;
  }
  // `mcplet join` on the machine whose configuration this is, with the token on stdin.
  CommandResult Join(const std::string& token_file, const std::vector<std::string>& more = {},
                     const std::string& configuration = "") {
    const std::string config = configuration.empty() ? node_->directory() + "/mcplet.yaml" : configuration;
    std::vector<std::string> words{ProgramPath("mcplet"), "join", worker_->url(), "--config", config};
    words.insert(words.end(), more.begin(), more.end());
    return RunCommand(words, {"PATH=/usr/bin:/bin"}, ReadFile(token_file, 1000).value_or("") + "\n", seconds(90));
  }
  CommandResult Joined(const std::string& token_file) {
    const CommandResult joined = Join(token_file);
    EXPECT_TRUE(joined.ok()) << joined;
    return joined;
  }
  std::string OfNode(const std::string& path) {
    return std::string(Trim(node_->Mcpctl({"get", "mcpnode/" + node_->name(), "-o", "jsonpath={" + path + "}"}).out));
  }
  std::string Listed(const std::string& path) {
    return std::string(Trim(node_->Mcpctl({"node", "list", "-o", "jsonpath={.items[0]" + path + "}"}).out));
  }
  NodePublicKeys OwnKeys() { return NodeKeys::LoadOrCreate(node_->state() + "/identity")->Public(); }
  // spec.store of the machine's configuration.
  Json Store() {
    const std::string path = node_->directory() + "/mcplet.yaml";
    const StatusOr<Json> json = ParseYaml(ReadFile(path, 1 << 20).value_or(""), path, nullptr, nullptr);
    EXPECT_TRUE(json.ok()) << json.status();
    return json.ok() ? GetMember(GetMember(*json, "spec"), "store") : Json();
  }
};

TEST_F(JoinTest, AnEnrolledMachineJoinsIsAcceptedAndRunsServers) {
  Enroll(TokenFile(), {"--label", "site=berlin"});
  const CommandResult early = node_->Mcpctl({"node", "accept", node_->name()});
  EXPECT_EQ(early.code, 1);
  EXPECT_NE(early.err.find("has not joined yet"), std::string::npos) << early;
  Joined(TokenFile());
  const std::string device_token = GetString(Store(), "tokenFile");
  EXPECT_EQ(device_token, node_->state() + "/identity/device-token");
  struct stat info {};
  ASSERT_EQ(stat(device_token.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
  // The answer may get lost: once more, and it is the same node.
  Joined(TokenFile());
  const CommandResult accepted = node_->Mcpctl({"node", "accept", node_->name()});
  ASSERT_TRUE(accepted.ok()) << accepted;
  EXPECT_EQ(OfNode(".spec.keys.signing"), OwnKeys().signing);
  EXPECT_EQ(OfNode(".spec.keys.sealing"), OwnKeys().sealing);

  node_->Start();
  Json spec = {{"placement", {{"nodeSelector", {{"site", "berlin"}}}}}};
  ASSERT_TRUE(node_->Apply({ProcessServer("weather", {}, spec)}).ok());
  ASSERT_TRUE(node_->WaitReady("weather"));
  std::string table;
  EXPECT_TRUE(WaitFor([&] {
    table = node_->Mcpctl({"get", "mcp"}).out;
    return table.find("1/1") != std::string::npos;
  })) << table;
  EXPECT_EQ(Listed(".keys"), "accepted");
  EXPECT_TRUE(WaitFor([&] { return Listed(".status") == "Connected"; })) << Listed(".status");
  EXPECT_NE(node_->Mcpctl({"describe", "mcpnode", node_->name()}).out.find("Connected"), std::string::npos);
  // Nothing of the operator's is on the machine.
  const std::string operator_token(Trim(worker_->OperatorToken()));
  EXPECT_EQ(ReadFile(device_token, 1000)->find(operator_token), std::string::npos);
  // Drained, it runs nothing; uncordoned, it runs it again.
  const CommandResult drained = node_->Mcpctl({"drain", node_->name(), "--timeout", "60s"});
  EXPECT_TRUE(drained.ok()) << drained;
  EXPECT_TRUE(node_->TestServerPids().empty());
  ASSERT_TRUE(node_->Mcpctl({"uncordon", node_->name()}).ok());
  EXPECT_TRUE(node_->WaitReady("weather"));
  const CommandResult uptime = node_->Mcpctl({"uptime"});
  EXPECT_TRUE(uptime.ok()) << uptime;
  const CommandResult alerts = node_->Mcpctl({"alerts", "--all"});
  EXPECT_TRUE(alerts.ok()) << alerts;
}

TEST_F(JoinTest, ANodeOfASignedFleetIsToldTheRootAndTheLeastHead) {
  ASSERT_TRUE(node_->Apply({ProcessServer("weather")}).ok());
  ASSERT_TRUE(node_->Mcpctl({"keys", "create", "root"}).ok());
  const CommandResult init = node_->Mcpctl({"trust", "init", "--root", "root", "--head", "root"});
  ASSERT_TRUE(init.ok()) << init;
  Enroll(TokenFile());
  Joined(TokenFile());
  const Json store = Store();
  EXPECT_EQ(GetString(store, "trustRoot"), Trim(init.out));
  EXPECT_EQ(GetString(store, "minimumHead"), "1.1.2");
  EXPECT_EQ(GetString(store, "fleet").size(), 32u);
  ASSERT_TRUE(node_->Mcpctl({"node", "accept", node_->name()}).ok());
  node_->Start();
  EXPECT_TRUE(node_->WaitReady("weather"));
  EXPECT_EQ(OfNode(".spec.keys.sealing"), OwnKeys().sealing);
}

TEST_F(JoinTest, WhoHasNotTheSecretIsRevokedAndItsKeysAreNotPublished) {
  Enroll(TokenFile());
  // Somebody who has seen the id on its way, and no more.
  JoinToken token = *ParseJoinToken(*ReadFile(TokenFile(), 1000));
  token.secret = NewJoinSecret();
  ASSERT_TRUE(WriteFileAtomically(TokenFile("stolen"), FormatJoinToken(token)).ok());
  Joined(TokenFile("stolen"));
  const CommandResult refused = node_->Mcpctl({"node", "accept", node_->name()});
  EXPECT_EQ(refused.code, 1);
  EXPECT_NE(refused.err.find("did not have the secret"), std::string::npos) << refused;
  EXPECT_NE(refused.err.find("it was revoked"), std::string::npos) << refused;
  EXPECT_EQ(OfNode(".spec.keys.signing"), "");
  EXPECT_EQ(Listed(".status"), "Revoked");
  const CommandResult again = Join(TokenFile("stolen"));
  EXPECT_EQ(again.code, 1);
  EXPECT_NE(again.err.find("was revoked"), std::string::npos) << again;
  // The machine of that name is enrolled anew, and comes with keys of its own.
  Enroll(TokenFile("anew"));
  ASSERT_TRUE(Join(TokenFile("anew"), {"--new-keys"}).ok());
  ASSERT_TRUE(node_->Mcpctl({"node", "accept", node_->name()}).ok());
  EXPECT_EQ(OfNode(".spec.keys.signing"), OwnKeys().signing);
}

TEST_F(JoinTest, AWrongTokenIsToldApart) {
  Enroll(TokenFile("expiring"), {"--ttl", "60s"});
  const Deadline expired = Deadline::After(seconds(61));
  Enroll(TokenFile());
  const CommandResult name = Join(TokenFile(), {"--name", "another"});
  EXPECT_EQ(name.code, 1);
  EXPECT_NE(name.err.find("for a node named \"another\""), std::string::npos) << name;
  JoinToken token = *ParseJoinToken(*ReadFile(TokenFile(), 1000));
  token.id = NewJoinId();
  ASSERT_TRUE(WriteFileAtomically(TokenFile("unknown"), FormatJoinToken(token)).ok());
  const CommandResult unknown = Join(TokenFile("unknown"));
  EXPECT_EQ(unknown.code, 1);
  EXPECT_NE(unknown.err.find("knows no such join token"), std::string::npos) << unknown;
  Joined(TokenFile());
  // Another machine with the same token and name.
  const std::string second = node_->directory() + "/second";
  ASSERT_TRUE(MakeDirectories(second).ok());
  ASSERT_TRUE(WriteFileAtomically(second + "/mcplet.yaml",
                                  "apiVersion: mcpfleet.dev/v1alpha1\nkind: MCPletConfiguration\nmetadata: {name: " +
                                      node_->name() + "}\nspec:\n  stateDirectory: " + second + "/state\n")
                  .ok());
  const CommandResult used = Join(TokenFile(), {}, second + "/mcplet.yaml");
  EXPECT_EQ(used.code, 1);
  EXPECT_NE(used.err.find("another machine has used this join token"), std::string::npos) << used;
  EXPECT_NE(access((second + "/state/identity/device-token").c_str(), F_OK), 0);
  // A token of another fleet.
  token = *ParseJoinToken(*ReadFile(TokenFile(), 1000));
  token.fleet = std::string(32, '0');
  ASSERT_TRUE(WriteFileAtomically(TokenFile("foreign"), FormatJoinToken(token)).ok());
  const CommandResult foreign = Join(TokenFile("foreign"));
  EXPECT_EQ(foreign.code, 1);
  EXPECT_NE(foreign.err.find("--force"), std::string::npos) << foreign;
  poll(nullptr, 0, expired.PollMillis());
  const CommandResult late = Join(TokenFile("expiring"));
  EXPECT_EQ(late.code, 1);
  EXPECT_NE(late.err.find("has expired"), std::string::npos) << late;
}

TEST_F(JoinTest, ARevokedNodeHearsNothingMoreAndMayBeEnrolledAnew) {
  Enroll(TokenFile());
  Joined(TokenFile());
  ASSERT_TRUE(node_->Mcpctl({"node", "accept", node_->name()}).ok());
  node_->Start();
  ASSERT_TRUE(node_->Apply({ProcessServer("weather")}).ok());
  ASSERT_TRUE(node_->WaitReady("weather"));
  const pid_t pid = node_->ServerPid("weather");
  const CommandResult revoked = node_->Mcpctl({"node", "revoke", node_->name(), "--yes"});
  ASSERT_TRUE(revoked.ok()) << revoked;
  EXPECT_NE(revoked.out.find("1 token ended"), std::string::npos) << revoked;
  EXPECT_EQ(OfNode(".spec.keys.signing"), "");
  EXPECT_TRUE(WaitFor([&] { return Listed(".status") == "Revoked"; })) << Listed(".status");
  ASSERT_TRUE(node_->Apply({ProcessServer("late")}).ok());
  poll(nullptr, 0, 5000);  // a push takes milliseconds
  EXPECT_TRUE(node_->ServerStatus("late").is_null());
  EXPECT_EQ(node_->ServerPid("weather"), pid);
  Enroll(TokenFile("anew"));
  Joined(TokenFile("anew"));
  ASSERT_TRUE(node_->Mcpctl({"node", "accept", node_->name()}).ok());
  node_->Terminate();
  node_->Start();
  EXPECT_TRUE(node_->WaitReady("late"));
  EXPECT_EQ(node_->ServerPid("weather"), pid);
  // Deleted, it is gone from every list.
  node_->Terminate();
  const CommandResult deleted = node_->Mcpctl({"node", "delete", node_->name(), "--yes"});
  EXPECT_TRUE(deleted.ok()) << deleted;
  EXPECT_EQ(node_->Mcpctl({"node", "list"}).out.find(node_->name()), std::string::npos);
  EXPECT_EQ(node_->Mcpctl({"get", "mcpnode/" + node_->name()}).code, 1);
}

// Without a Worker: one mcplet with its own store.
class IdentityTest : public IntegrationTest {};

TEST_F(IdentityTest, MakesItsKeysAtTheFirstStartAndTheyAreAcceptedFromItsAdminApi) {
  Node node({});
  node.Start();
  const auto keys = NodeKeys::LoadOrCreate(node.state() + "/identity");
  ASSERT_TRUE(keys.ok()) << keys.status();
  const CommandResult accepted = node.Mcpctl({"node", "accept", node.name(), "-o", "jsonpath={.keys.sealing}"});
  ASSERT_TRUE(accepted.ok()) << accepted;
  EXPECT_EQ(Trim(accepted.out), keys->Public().sealing);
  EXPECT_EQ(node.Mcpctl({"node", "accept", "another"}).code, 1);
  node.Terminate();
  node.Start();
  const CommandResult again = node.Mcpctl({"node", "accept", node.name(), "-o", "jsonpath={.changed}"});
  EXPECT_EQ(Trim(again.out), "false") << again;
  // Drained, a server ends; it comes back afterwards.
  ASSERT_TRUE(node.Apply({ProcessServer("weather")}).ok());
  ASSERT_TRUE(node.WaitReady("weather"));
  const CommandResult drained = node.Mcpctl({"drain", node.name(), "--timeout", "60s"});
  EXPECT_TRUE(drained.ok()) << drained;
  EXPECT_TRUE(node.TestServerPids().empty());
  ASSERT_TRUE(node.Mcpctl({"uncordon", node.name()}).ok());
  EXPECT_TRUE(node.WaitReady("weather"));
}

TEST_F(JoinTest, WaitingAcceptsTheMachineAsItJoins) {
  const std::string log = node_->directory() + "/enroll.log";
  const std::string context = "MCPFLEET_CONFIG=" + node_->directory() + "/context";
  const pid_t enroll = StartProgram({"/usr/bin/env", context, "HOME=" + node_->directory(), ProgramPath("mcpctl"),
                                     "node", "enroll", node_->name(), "--wait", "--out", TokenFile()},
                                    log);
  ASSERT_TRUE(WaitFor([&] { return ReadFile(TokenFile(), 1000).ok(); })) << ReadFile(log, 10'000).value_or("");
  Joined(TokenFile());
  EXPECT_TRUE(WaitFor([&] { return OfNode(".spec.keys.sealing") == OwnKeys().sealing; }))
      << ReadFile(log, 10'000).value_or("");
  EXPECT_EQ(EndProgram(enroll, 0), 0) << ReadFile(log, 10'000).value_or("");
}

}  // namespace
}  // namespace mcpfleet
