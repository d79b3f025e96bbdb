#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <thread>

#include <gtest/gtest.h>

#include "base/strings.h"
#include "cli/join_book.h"
#include "cli/node_verbs.h"
#include "cli/span.h"
#include "cli/uptime.h"
#include "cli/worker_servers.h"
#include "crd/node_name.h"
#include "crd/secret_spec.h"
#include "store/trust/sealed_secret.h"
#include "store/writer.h"
#include "tests/cli/mcpctl.h"
#include "tests/cli/scripted_endpoint.h"
#include "tests/cli/worker_front.h"

namespace mcpfleet::cli {
namespace {

class NodeVerbsTest : public McpctlTest {
 protected:
  NodeVerbsTest() { UseServer(worker_.url()); }
  void UseServer(const std::string& url, const std::string& admin = "") {
    ContextFile file{.path = dir_ / "config",
                     .current = "test",
                     .contexts = {{.name = "test", .server = url, .token = testing::kOperatorToken, .admin = admin}}};
    EXPECT_TRUE(SaveContexts(file).ok());
  }
  JoinToken Enroll(const std::vector<std::string>& more = {}) {
    std::vector<std::string> words{"node", "enroll", "edge-01"};
    words.insert(words.end(), more.begin(), more.end());
    const StatusOr<JoinToken> token = ParseJoinToken(Out(words));
    EXPECT_TRUE(token.ok()) << token.status();
    return token.value_or(JoinToken{});
  }
  // As mcplet join does it.
  Presented Join(const JoinToken& token, const std::string& secret = "") {
    Presented presented{.node = "edge-01",
                        .keys = {SigningKey::Create().public_key(), SealingKey::Create().public_key()}};
    presented.mac = JoinMac(secret.empty() ? token.secret : secret, "edge-01", presented.keys);
    worker_.Redeem(token.id, presented);
    return presented;
  }
  std::string OfNode(const std::string& path) {
    std::string text = Out({"get", "mcpnode/edge-01", "-o", "jsonpath={" + path + "}"});
    return std::string(Trim(text));
  }
  size_t Booked() {
    size_t files = 0;
    std::error_code none;
    for (const auto& entry : std::filesystem::directory_iterator(dir_ / "joins", none)) files += entry.exists() ? 1 : 0;
    return files;
  }

  WorkerFront worker_{store_.url()};
};

TEST_F(NodeVerbsTest, EnrollingDeclaresTheNodeAndItsSecretStaysHere) {
  const JoinToken token = Enroll({"--label", "site=berlin", "--label", "gpu=yes", "--ttl", "2d"});
  EXPECT_EQ(token.fingerprint, "");
  EXPECT_EQ(ToString(token.minimum), Head()) << "no older state is for this node";
  EXPECT_EQ(OfNode(".metadata.labels.site"), "berlin");
  EXPECT_EQ(OfNode(".metadata.labels.gpu"), "yes");
  const Json sent = worker_.Body("PUT /v1/joins/" + token.id);
  EXPECT_EQ(sent["node"], "edge-01");
  EXPECT_EQ(sent["ttlSeconds"], 172'800);
  EXPECT_EQ(sent.dump().find(token.secret), std::string::npos);
  struct stat info {};
  ASSERT_EQ(stat((dir_ / "joins/" + token.id + ".json").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
  ASSERT_EQ(stat((dir_ / "joins").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0700u);
  EXPECT_NE(Read("joins/" + token.id + ".json").find(token.secret), std::string::npos);
  // Once more: other labels are added, another token is made.
  const JoinToken second = Enroll({"--label", "tier=gold"});
  EXPECT_NE(second.id, token.id);
  EXPECT_EQ(second.fleet, token.fleet);
  EXPECT_EQ(OfNode(".metadata.labels.site"), "berlin");
  EXPECT_EQ(OfNode(".metadata.labels.tier"), "gold");
}

TEST_F(NodeVerbsTest, TheTokenGoesIntoAFileOrIntoAnObject) {
  Ran ran = Run({"node", "enroll", "edge-01", "--out", dir_ / "edge.join"});
  EXPECT_EQ(ran.code, 0) << ran.err;
  EXPECT_EQ(ran.out, "");
  EXPECT_TRUE(ParseJoinToken(Read("edge.join")).ok());
  struct stat info {};
  ASSERT_EQ(stat((dir_ / "edge.join").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
  EXPECT_EQ(Run({"node", "enroll", "edge-01", "--out", dir_ / "edge.join"}).code, 1) << "never over a file";
  const Json object = Json::parse(Out({"node", "enroll", "edge-01", "-o", "json"}));
  EXPECT_EQ(object["node"], "edge-01");
  EXPECT_TRUE(ParseJoinToken(object["joinToken"].get<std::string>()).ok());
}

TEST_F(NodeVerbsTest, ANodeOfKubernetesIsEnrolledByItsOwnNameAndHasItsLabelInTheFleet) {
  const std::string core = "ip-10-0-1-2.eu-west-1.compute.internal", name = NodeNameOf(core);
  Ran ran = Run({"node", "enroll", core, "--out", dir_ / core});
  EXPECT_EQ(ran.code, 0) << ran.err;
  EXPECT_NE(ran.err.find(core + " is the node " + name + " of the fleet\n"), std::string::npos) << ran.err;
  const StatusOr<JoinToken> token = ParseJoinToken(Read(core));
  ASSERT_TRUE(token.ok()) << token.status();
  EXPECT_EQ(worker_.Body("PUT /v1/joins/" + token->id)["node"], name);
  EXPECT_EQ(Out({"get", "mcpnodes", "-o", "name"}), "mcpnode.mcpfleet.dev/" + name + "\n");
  for (const std::string& wrong : {std::string("a..b"), std::string("Edge.a"), std::string(254, 'x')})
    EXPECT_EQ(Run({"node", "enroll", wrong}).code, 1) << wrong;
}

TEST_F(NodeVerbsTest, WhatCantBeIsSaidBeforeAnythingIsMade) {
  const std::string before = Head();
  EXPECT_EQ(Run({"node", "enroll", "Edge"}).code, 1);
  EXPECT_EQ(Run({"node", "enroll", "edge-01", "--label", "site"}).code, 1);
  EXPECT_EQ(Run({"node", "enroll", "edge-01", "--label", "site=a b"}).code, 1);
  EXPECT_EQ(Run({"node", "enroll", "edge-01", "--ttl", "1s"}).code, 1);
  EXPECT_EQ(Run({"node", "enroll", "edge-01", "--ttl", "31d"}).code, 1);
  EXPECT_EQ(Run({"node", "enroll"}).code, 2);
  EXPECT_EQ(Run({"node"}).code, 2);
  EXPECT_TRUE(worker_.JoinIds().empty());
  EXPECT_EQ(Head(), before);
  EXPECT_EQ(Booked(), 0u);
  // A store without a Worker can't.
  UseServer(store_.url());
  const Ran none = Run({"node", "enroll", "edge-01"});
  EXPECT_EQ(none.code, 1);
  EXPECT_NE(none.err.find("no Worker"), std::string::npos) << none.err;
  EXPECT_EQ(Head(), before);
  EXPECT_EQ(Booked(), 0u);
}

TEST_F(NodeVerbsTest, KeysThatProveTheSecretArePublished) {
  const JoinToken token = Enroll();
  const Ran early = Run({"node", "accept", "edge-01"});
  EXPECT_EQ(early.code, 1);
  EXPECT_NE(early.err.find("has not joined yet"), std::string::npos) << early.err;
  const Presented presented = Join(token);
  EXPECT_EQ(Json::parse(Out({"node", "accept", "edge-01", "-o", "json"}))["changed"], true);
  EXPECT_EQ(OfNode(".spec.keys.signing"), presented.keys.signing);
  EXPECT_EQ(OfNode(".spec.keys.sealing"), presented.keys.sealing);
  EXPECT_EQ(Booked(), 0u) << "the secret has done its work";
  const Ran again = Run({"node", "accept", "edge-01"});
  EXPECT_EQ(again.code, 1);
  EXPECT_NE(again.err.find("enroll it anew"), std::string::npos) << again.err;
  // Where the token was made elsewhere.
  const JoinToken other = Enroll();
  const std::string file = File("edge.join", FormatJoinToken(other));
  std::filesystem::remove_all(dir_ / "joins");
  const Presented anew = Join(other);
  const Ran from_file = Run({"node", "accept", "edge-01", "--token-file", file});
  EXPECT_EQ(from_file.code, 0) << from_file.err;
  EXPECT_NE(from_file.err.find("other keys before"), std::string::npos) << from_file.err;
  EXPECT_EQ(OfNode(".spec.keys.signing"), anew.keys.signing);
}

TEST_F(NodeVerbsTest, KeysWithoutTheSecretAreNotPublishedAndTheNodeIsRevoked) {
  Join(Enroll(), NewJoinSecret());
  const Ran refused = Run({"node", "accept", "edge-01"});
  EXPECT_EQ(refused.code, 1);
  EXPECT_NE(refused.err.find("did not have the secret"), std::string::npos) << refused.err;
  EXPECT_NE(refused.err.find("it was revoked"), std::string::npos) << refused.err;
  EXPECT_NE(refused.err.find("default/github"), std::string::npos) << refused.err;
  EXPECT_EQ(worker_.Asked().back(), "POST /v1/nodes/edge-01/revoke");
  EXPECT_EQ(OfNode(".spec.keys.signing"), "");
  EXPECT_EQ(Booked(), 0u);
}

TEST_F(NodeVerbsTest, KeysOfAnotherNodeAreNotItsOwn) {
  const JoinToken token = Enroll();
  Presented presented = Join(token);
  presented.node = "edge-02";
  presented.mac = JoinMac(token.secret, "edge-02", presented.keys);
  worker_.Redeem(token.id, presented);
  EXPECT_EQ(Run({"node", "accept", "edge-01"}).code, 1);
  EXPECT_EQ(OfNode(".spec.keys.signing"), "");
}

TEST_F(NodeVerbsTest, WaitingAcceptsAsSoonAsTheMachineHasJoined) {
  Ran ran;
  std::thread enroll([&] { ran = Run({"node", "enroll", "edge-01", "--wait"}); });
  while (worker_.JoinIds().empty()) std::this_thread::yield();
  const std::string id = worker_.JoinIds().front();
  // The secret is in the book before the Worker knows the token.
  const std::string book = Read("joins/" + id + ".json");
  const std::string secret = Json::parse(book)["secret"];
  const Presented presented = Join({.id = id, .secret = secret});
  enroll.join();
  EXPECT_EQ(ran.code, 0) << ran.err;
  EXPECT_TRUE(ParseJoinToken(ran.out).ok()) << "nothing but the token goes to stdout: " << ran.out;
  EXPECT_NE(ran.err.find("accepted"), std::string::npos) << ran.err;
  EXPECT_EQ(OfNode(".spec.keys.sealing"), presented.keys.sealing);
}

TEST_F(NodeVerbsTest, WaitingEndsWithTheTokenOrTheTime) {
  const Ran late = Run({"node", "enroll", "edge-01", "--wait", "--timeout", "1s"});
  EXPECT_EQ(late.code, 1);
  EXPECT_NE(late.err.find("mcpctl node accept edge-01"), std::string::npos) << late.err;
  worker_.SetState(worker_.JoinIds().front(), "Expired");
  EXPECT_EQ(Run({"node", "accept", "edge-01"}).code, 1);
  EXPECT_EQ(Booked(), 0u) << "nothing comes of an expired one";
}

TEST_F(NodeVerbsTest, SecretsOfLongAgoAreForgotten) {
  Enroll();
  const std::string id = worker_.JoinIds().front();
  Json join = Json::parse(Read("joins/" + id + ".json"));
  join["expires"] = "2026-01-01T00:00:00Z";
  File("joins/" + id + ".json", join.dump());
  Enroll();
  EXPECT_EQ(Booked(), 1u);
}

TEST_F(NodeVerbsTest, ASignedFleetsNodeIsToldTheRootThatThisContextKnows) {
  Apply(Manifest("a"));
  Out({"keys", "create", "root"});
  const std::string root(Trim(Out({"trust", "init", "--root", "root", "--head", "root"})));
  const JoinToken token = Enroll();
  EXPECT_EQ(token.fingerprint, root);
  EXPECT_EQ(ToString(token.minimum), "1.1.2");
  EXPECT_EQ(Out({"trust", "show", "-o", "jsonpath={.headSigned}"}), "true\n");
  // After a rotation it is still the first document that counts.
  Out({"keys", "create", "other"});
  Out({"trust", "rotate", "--head", "other"});
  EXPECT_EQ(Enroll().fingerprint, root);
  // A store that shows another root, or none, has been changed by somebody.
  EXPECT_EQ(Run({"config", "set-context", "test", "--trust-root", std::string(64, '0')}).code, 0);
  const Ran foreign = Run({"node", "enroll", "edge-01"});
  EXPECT_EQ(foreign.code, 1);
  EXPECT_NE(foreign.err.find(root), std::string::npos) << foreign.err;
  EXPECT_EQ(Run({"config", "set-context", "test", "--trust-root", "x"}).code, 1);
  // A context that was never told of a root takes none from the store.
  ASSERT_EQ(Run({"config", "set-context", "new", "--server", worker_.url(), "--token-stdin", "--use"},
                testing::kOperatorToken)
                .code,
            0);
  const Ran first = Run({"node", "enroll", "edge-01"});
  EXPECT_EQ(first.code, 1);
  EXPECT_NE(first.err.find("mcpctl config set-context new --trust-root"), std::string::npos) << first.err;
  EXPECT_EQ(Run({"config", "set-context", "new", "--trust-root", root}).code, 0);
  EXPECT_EQ(Enroll().fingerprint, root);
}

TEST_F(NodeVerbsTest, AContextOfASignedFleetEnrollsNobodyIntoOneThatIsNot) {
  Apply(Manifest("a"));
  ASSERT_EQ(Run({"config", "set-context", "test", "--trust-root", std::string(64, '1')}).code, 0);
  const Ran ran = Run({"node", "enroll", "edge-01"});
  EXPECT_EQ(ran.code, 1);
  EXPECT_NE(ran.err.find("is not signed"), std::string::npos) << ran.err;
  EXPECT_TRUE(worker_.JoinIds().empty());
}

TEST_F(NodeVerbsTest, WithoutAWorkerTheKeysAreThoseOfTheContextsMcplet) {
  const NodePublicKeys keys{SigningKey::Create().public_key(), SealingKey::Create().public_key()};
  ScriptedEndpoint mcplet([&](const ScriptedEndpoint::Seen& seen, const std::shared_ptr<http::Responder>& to) {
    if (seen.http.Path() != "/v1/identity") return false;
    ScriptedEndpoint::Send(
        to, 200, DumpJson({{"node", "edge-01"}, {"keys", {{"signing", keys.signing}, {"sealing", keys.sealing}}}}));
    return true;
  });
  UseServer(store_.url(), mcplet.admin_url());
  const Ran other = Run({"node", "accept", "edge-02"});
  EXPECT_EQ(other.code, 1);
  EXPECT_NE(other.err.find("is node \"edge-01\""), std::string::npos) << other.err;
  Out({"node", "accept", "edge-01"});
  EXPECT_EQ(OfNode(".spec.keys.signing"), keys.signing);
}

TEST_F(NodeVerbsTest, AManifestWithoutKeysLeavesThoseThatWereAccepted) {
  const Presented presented = Join(Enroll());
  Out({"node", "accept", "edge-01"});
  const std::string manifest =
      "apiVersion: mcpfleet.dev/v1alpha1\nkind: MCPNode\nmetadata: {name: edge-01, labels: {site: bonn}}\n";
  Apply(manifest);
  EXPECT_EQ(OfNode(".metadata.labels.site"), "bonn");
  EXPECT_EQ(OfNode(".spec.keys.signing"), presented.keys.signing);
  EXPECT_EQ(Out({"diff", "-f", "-"}, manifest), "");
  Out({"cordon", "edge-01"});
  EXPECT_EQ(OfNode(".spec.keys.signing"), presented.keys.signing);
  EXPECT_NE(Out({"describe", "mcpnode", "edge-01"}).find(presented.keys.sealing), std::string::npos);
}

TEST_F(NodeVerbsTest, ARevokedNodesKeysAreWithdrawnAndItsSecretsListed) {
  Join(Enroll());
  Out({"node", "accept", "edge-01"});
  Enroll();
  const Ran asked = Run({"node", "revoke", "edge-01"});
  EXPECT_EQ(asked.code, 1) << "nobody is there to be asked";
  EXPECT_NE(asked.err.find("--yes"), std::string::npos) << asked.err;
  EXPECT_NE(OfNode(".spec.keys.signing"), "");
  const Ran revoked = Run({"node", "revoke", "edge-01", "--yes"});
  EXPECT_EQ(revoked.code, 0) << revoked.err;
  EXPECT_NE(revoked.out.find("2 tokens ended"), std::string::npos) << revoked.out;
  EXPECT_NE(revoked.err.find("default/github"), std::string::npos) << revoked.err;
  EXPECT_EQ(OfNode(".spec.keys.signing"), "");
  EXPECT_EQ(Booked(), 0u);
  EXPECT_EQ(Json::parse(Out({"node", "revoke", "edge-01", "-y", "-o", "json"}))["secrets"][0], "default/github");
}

TEST_F(NodeVerbsTest, WithoutAWorkerItsTokensEndAndTheSecretsThemselvesTell) {
  UseServer(store_.url());
  const SealingKey lost = SealingKey::Create(), kept = SealingKey::Create();
  const auto declare = [](const std::string& name, const SealingKey& key) {
    Object node = testing::Node(name);
    PublishKeys({SigningKey::Create().public_key(), key.public_key()}, &node);
    return node;
  };
  const auto secret = [](const std::string& name, const std::vector<SecretRecipient>& recipients) {
    const SecretName of{"default", name};
    Object object{.kind = std::string(kKindSecret), .metadata = {.name = name, .namespace_ = "default"}};
    std::map<std::string, SecretText> values;
    values.emplace("token", SecretText("s3cret"));
    object.spec = EncodeSecretSpec(*SealSecret(of, values, recipients));
    return object;
  };
  const auto to = [](const std::string& node, const SealingKey& key) {
    return SecretRecipient{.kind = RecipientKind::kNode, .name = node, .public_key = key.public_key()};
  };
  const SealingKey before = SealingKey::Create();
  ASSERT_TRUE(
      mcpfleet::Apply(*store_.Client(),
                      {.set = {declare("edge-01", lost), declare("edge-02", kept),
                               secret("shared", {to("edge-01", lost), to("edge-02", kept)}),
                               secret("older", {to("edge-01", before)}), secret("other", {to("edge-02", kept)})}},
                      {}, SystemClock(), testing::Soon())
          .ok());
  Out({"store", "token", "create", "--node", "edge-01"});
  Out({"store", "token", "create", "--node", "edge-02"});
  const Ran revoked = Run({"node", "revoke", "edge-01", "--yes"});
  EXPECT_EQ(revoked.code, 0) << revoked.err;
  EXPECT_NE(revoked.out.find("1 token ended"), std::string::npos) << revoked.out;
  EXPECT_NE(revoked.err.find("default/shared"), std::string::npos) << revoked.err;
  EXPECT_NE(revoked.err.find("default/older"), std::string::npos) << revoked.err;
  EXPECT_EQ(revoked.err.find("default/other"), std::string::npos) << revoked.err;
  EXPECT_EQ(OfNode(".spec.keys.sealing"), "");
  const std::string left = Out({"store", "token", "list"});
  EXPECT_EQ(left.find("edge-01"), std::string::npos) << left;
  EXPECT_NE(left.find("edge-02"), std::string::npos) << left;
  // Again, after the keys were withdrawn, it tells the same.
  EXPECT_EQ(Json::parse(Out({"node", "revoke", "edge-01", "-y", "-o", "json"}))["secrets"].size(), 2u);
  EXPECT_EQ(Run({"node", "revoke", "edge-0", "--yes"}).code, 1) << "a name that was mistyped";
}

TEST_F(NodeVerbsTest, ADeletedNodeIsGoneWithItsObject) {
  Enroll();
  const Ran deleted = Run({"node", "delete", "edge-01", "--yes"});
  EXPECT_EQ(deleted.code, 0) << deleted.err;
  EXPECT_NE(deleted.err.find("can't be told now"), std::string::npos) << deleted.err;
  EXPECT_EQ(Run({"get", "mcpnode/edge-01"}).code, 1);
  EXPECT_EQ(Booked(), 0u);
  const Ran unknown = Run({"node", "delete", "unknown", "--yes"});
  EXPECT_EQ(unknown.code, 1);
  EXPECT_NE(unknown.err.find("not found"), std::string::npos) << unknown.err;
}

TEST_F(NodeVerbsTest, OnlyAConnectedNodeCanBeAskedForANewToken) {
  worker_.Answer("/v1/nodes/edge-01", {{"node", "edge-01"}, {"connected", false}});
  EXPECT_EQ(Run({"node", "rotate", "edge-01", "--yes"}).code, 1);
  worker_.Answer("/v1/nodes/edge-01", {{"node", "edge-01"}, {"connected", true}});
  Out({"node", "rotate", "edge-01", "--yes"});
  EXPECT_EQ(worker_.Asked().back(), "POST /v1/nodes/edge-01/rotate");
  EXPECT_EQ(Out({"node", "rotate", "edge-01", "--yes", "-o", "jsonpath={.asked}"}), "true\n");
}

TEST_F(NodeVerbsTest, TheListShowsWhatTheWorkerKnows) {
  const Presented presented = Join(Enroll());
  Out({"node", "enroll", "edge-02"});
  const Json keys = ToJson(presented)["keys"];
  worker_.Answer("/v1/nodes", {{{"node", "edge-01"},
                                {"lastSeen", 1'790'000'000'000},
                                {"connected", true},
                                {"down", false},
                                {"cloned", true},
                                {"tunnel", "https://edge-01.example.com"},
                                {"keys", keys},
                                {"tokens", {{{"id", "abc"}, {"created", 1}, {"expires", 1'890'000'000'000}}}}}});
  const std::string list = Out({"node", "list"});
  EXPECT_NE(list.find("Connected,Cloned"), std::string::npos) << list;
  EXPECT_NE(list.find("waiting"), std::string::npos) << list;
  EXPECT_NE(list.find("edge-02   Enrolled"), std::string::npos) << list;
  Out({"node", "accept", "edge-01"});
  const std::string wide = Out({"node", "list", "-o", "wide"});
  EXPECT_NE(wide.find("accepted"), std::string::npos) << wide;
  EXPECT_NE(wide.find("https://edge-01.example.com"), std::string::npos) << wide;
  EXPECT_EQ(Out({"node", "list", "-o", "jsonpath={.items[0].tokens[0].id}"}), "abc\n");
  UseServer(store_.url());
  EXPECT_NE(Run({"node", "list"}).err.find("mcpctl get nodes"), std::string::npos);
}

TEST(NodeWordTest, SaysTheWorstFirst) {
  const Json token = {{"id", "a"}};
  EXPECT_EQ(NodeWord({{"connected", true}, {"tokens", {token}}}), "Connected");
  EXPECT_EQ(NodeWord({{"connected", false}, {"tokens", Json::array()}, {"lastSeen", 5}}), "Revoked");
  EXPECT_EQ(NodeWord({{"connected", false}, {"tokens", {token}}, {"lastSeen", 0}}), "Joined");
  EXPECT_EQ(NodeWord({{"connected", false}, {"tokens", {token}}, {"lastSeen", 5}, {"down", true}}), "Down");
  EXPECT_EQ(NodeWord({{"connected", false}, {"tokens", {token}}, {"lastSeen", 5}, {"cloned", true}}), "Silent,Cloned");
  const Object none = testing::Node("a");
  EXPECT_EQ(KeysWord({{"keys", nullptr}}, nullptr), "none");
  const Presented presented{"a", {SigningKey::Create().public_key(), SealingKey::Create().public_key()}, ""};
  EXPECT_EQ(KeysWord({{"keys", ToJson(presented)["keys"]}, {"tokens", Json::array()}}, &none), "none") << "revoked";
  const Json node = {{"keys", ToJson(presented)["keys"]}, {"tokens", {token}}};
  EXPECT_EQ(KeysWord(node, &none), "waiting");
  Object accepted = testing::Node("a");
  PublishKeys(presented.keys, &accepted);
  EXPECT_EQ(KeysWord(node, &accepted), "accepted");
  PublishKeys({presented.keys.sealing, presented.keys.signing}, &accepted);
  EXPECT_EQ(KeysWord(node, &accepted), "other");
  EXPECT_EQ(TimeOfMillis(0), "");
  EXPECT_EQ(TimeOfMillis(1'790'000'000'000), "2026-09-21T14:13:20Z");
  EXPECT_EQ(TimeOfMillis(int64_t{1} << 60), "");
}

class CordonTest : public McpctlTest {
 protected:
  std::string OfNode(const std::string& path) {
    return std::string(Trim(Out({"get", "mcpnode/edge-01", "-o", "jsonpath={" + path + "}"})));
  }
};

TEST_F(CordonTest, ANodeThatOnlyReportsIsDeclaredByBeingCordoned) {
  Apply(Manifest("a"));
  Report(Node("edge-01", {Ready("a", 1)}));
  EXPECT_EQ(Out({"cordon", "edge-01"}), "mcpnode.mcpfleet.dev/edge-01 cordoned\n");
  EXPECT_EQ(Out({"cordon", "edge-01"}), "mcpnode.mcpfleet.dev/edge-01 already cordoned\n");
  EXPECT_EQ(OfNode(".spec.unschedulable"), "true");
  EXPECT_NE(Out({"get", "nodes"}).find("SchedulingDisabled"), std::string::npos);
  EXPECT_EQ(Out({"uncordon", "edge-01"}), "mcpnode.mcpfleet.dev/edge-01 uncordoned\n");
  EXPECT_EQ(OfNode(".spec.unschedulable"), "");
  EXPECT_EQ(Run({"cordon", "edge-0"}).code, 1);
  EXPECT_EQ(Run({"cordon"}).code, 1) << "not every node by accident";
  EXPECT_EQ(Out({"cordon", "--all"}), "mcpnode.mcpfleet.dev/edge-01 cordoned\n");
}

TEST_F(CordonTest, DrainWaitsUntilNothingIsLeft) {
  Apply(Manifest("a"));
  Report(Node("edge-01", {Ready("a", 1)}));
  const Ran late = Run({"drain", "edge-01", "--timeout", "1s"});
  EXPECT_EQ(late.code, 1);
  EXPECT_NE(late.err.find("1 still there: default/a"), std::string::npos) << late.err;
  EXPECT_EQ(OfNode(".spec.drain"), "true");
  EXPECT_EQ(OfNode(".spec.unschedulable"), "true");
  Report(Node("edge-01", {}));
  EXPECT_EQ(Out({"drain", "edge-01"}),
            "mcpnode.mcpfleet.dev/edge-01 already draining\nmcpnode.mcpfleet.dev/edge-01 drained\n");
  Out({"uncordon", "edge-01"});
  EXPECT_EQ(OfNode(".spec.drain") + OfNode(".spec.unschedulable"), "");
}

TEST_F(NodeVerbsTest, AlertsAreListedAndThoseThatAreOverWhenAsked) {
  EXPECT_EQ(Out({"alerts"}), "");
  worker_.Answer("/v1/alerts", {{{"kind", "NodeOffline"},
                                 {"subject", "edge-01"},
                                 {"severity", "critical"},
                                 {"message", "no sign of life"},
                                 {"raised", 1'790'000'000'000},
                                 {"cleared", 1'790'000'060'000}}});
  const std::string table = Out({"alerts", "--all"});
  EXPECT_EQ(worker_.Asked().back(), "GET /v1/alerts?all=true");
  for (const char* part : {"CLEARED", "NodeOffline", "edge-01", "critical", "no sign of life"})
    EXPECT_NE(table.find(part), std::string::npos) << table;
  EXPECT_EQ(Out({"alerts", "-o", "jsonpath={.items[0].cleared}"}), "2026-09-21T14:14:20Z\n");
  UseServer(store_.url());
  EXPECT_NE(Run({"alerts"}).err.find("no Worker"), std::string::npos);
}

TEST_F(NodeVerbsTest, UptimeIsOfWhatIsAskedFor) {
  worker_.Answer("/v1/uptime", {{{"subject", "server/edge-01/default/weather"},
                                 {"uptime", {{"upSeconds", 86'399}, {"knownSeconds", 86'400}, {"ratio", 0.99}}}},
                                {{"subject", "server/edge-01/default/clock"},
                                 {"uptime", {{"upSeconds", 0}, {"knownSeconds", 0}, {"ratio", nullptr}}}}});
  const std::string table = Out({"uptime", "mcp/weather", "--since", "2d"});
  EXPECT_NE(table.find("server/edge-01/default/weather   99.99%   1s"), std::string::npos) << table;
  EXPECT_EQ(table.find("clock"), std::string::npos) << table;
  EXPECT_NE(worker_.Asked().back().find("subject=server%2F&since=20"), std::string::npos) << worker_.Asked().back();
  Out({"uptime"});
  EXPECT_EQ(Run({"uptime", "pods/x"}).code, 1);
  EXPECT_EQ(Run({"uptime", "--since", "soon"}).code, 1);
}

TEST(UptimeTest, SubjectsAreReadAsPeopleSayThem) {
  const auto subjects = [](const std::string& text) { return ParseUptimeSubject(text, "shop")->subjects; };
  EXPECT_EQ(subjects(""), (std::vector<std::string>{"node/", "server/"}));
  EXPECT_EQ(subjects("edge-01"), std::vector<std::string>{"node/edge-01"});
  EXPECT_EQ(subjects("mcpnode/edge-01"), std::vector<std::string>{"node/edge-01"});
  EXPECT_EQ(subjects("server/edge-01/"), std::vector<std::string>{"server/edge-01/"});
  const UptimeQuery query = *ParseUptimeSubject("mcp/weather", "shop");
  EXPECT_TRUE(query.Matches("server/edge-01/shop/weather"));
  EXPECT_FALSE(query.Matches("server/edge-01/default/weather"));
  EXPECT_FALSE(query.Matches("server/edge-01/shop/the-weather"));
  EXPECT_FALSE(ParseUptimeSubject("x/y", "shop").ok());
  EXPECT_FALSE(ParseUptimeSubject("node/../x", "shop").ok());
}

TEST(UptimeTest, APercentageIsNeverRoundedUp) {
  EXPECT_EQ(PercentUp(0, 0), "-");
  EXPECT_EQ(PercentUp(100, 100), "100.00%");
  EXPECT_EQ(PercentUp(999'999, 1'000'000), "99.99%");
  EXPECT_EQ(PercentUp(1, 1000), "0.10%");
  EXPECT_EQ(PercentUp(5, 4), "100.00%");
}

TEST(SpanTest, DaysMayStandBeforeADuration) {
  EXPECT_EQ(*ParseSpan("7d"), std::chrono::hours(168));
  EXPECT_EQ(*ParseSpan("1d12h"), std::chrono::hours(36));
  EXPECT_EQ(*ParseSpan("90s"), std::chrono::seconds(90));
  for (const char* wrong : {"", "d", "-1d", "1.5d", "7days", "1h2d", "99999999999d"})
    EXPECT_FALSE(ParseSpan(wrong).ok()) << wrong;
}

TEST_F(NodeVerbsTest, ServersOfAWholeFleetComeInOneCall) {
  Apply(Manifest("weather") + Manifest("clock"));
  const auto item = [](const char* node, const char* name, const char* ready, bool down) {
    return Json{{"node", node},
                {"nodeDown", down},
                {"namespace", "default"},
                {"name", name},
                {"ready", ready},
                {"reason", ready == std::string("True") ? "Verified" : "CrashLoopBackOff"},
                {"message", "said"},
                {"restarts", 3},
                {"tools", 11},
                {"protocol", "2025-11-25"},
                {"generation", 1},
                {"revision", "r"}};
  };
  worker_.Answer("/v1/servers", {item("edge-01", "weather", "True", false), item("edge-02", "weather", "True", true),
                                 item("edge-01", "clock", "False", false)});
  const std::string table = Out({"get", "mcp"});
  EXPECT_NE(table.find("clock     0/2     CrashLoopBackOff   11      2025-11-25   3"), std::string::npos) << table;
  EXPECT_NE(table.find("weather   1/2     NodeSilent"), std::string::npos) << table;
  EXPECT_EQ(worker_.Asked(), std::vector<std::string>{"GET /v1/servers"});
  // A server that no node names: the nodes that run nothing count too.
  Apply(Manifest("fresh"));
  worker_.Answer("/v1/nodes", {{{"node", "edge-03"}, {"lastSeen", 5}, {"down", false}},
                               {{"node", "edge-04"}, {"lastSeen", 0}, {"down", true}}});
  EXPECT_NE(Out({"get", "mcp", "fresh"}).find("fresh   0/3     Pending"), std::string::npos) << Out({"get", "mcp"});
  // Without a Worker the statuses tell.
  UseServer(store_.url());
  Report(Node("edge-01", {Ready("weather", 1)}));
  EXPECT_NE(Out({"get", "mcp"}).find("weather   1/1     Ready"), std::string::npos);
}

TEST_F(NodeVerbsTest, NodesAreCompleted) {
  Enroll();
  for (const char* verb : {"cordon", "drain"}) EXPECT_EQ(Out({"__complete", "--", verb, ""}), "edge-01\n") << verb;
  EXPECT_EQ(Out({"__complete", "--", "node", "accept", ""}), "edge-01\n");
  EXPECT_NE(Out({"__complete", "--", "node", ""}).find("enroll\n"), std::string::npos);
}

}  // namespace
}  // namespace mcpfleet::cli
