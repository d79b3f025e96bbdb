// What whoever has broken into the store can't make an operator's mcpctl do: sign on top of his state, or seal to it.
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <thread>

#include "base/argv.h"
#include "base/strings.h"
#include "cli/context.h"
#include "store/reader.h"
#include "store/trust/ed25519.h"
#include "store/trust/sealing.h"
#include "store/trust/trust.h"
#include "tests/base/http_testing.h"
#include "tests/cli/mcpctl.h"
#include "tests/cli/worker_front.h"

namespace mcpfleet::cli {
namespace {

struct Attack {
  std::string what;
  mcpfleet::Head head;
  std::string trust;  // trust/1 that he shows, "": the true one
};

class HostileStoreTest : public McpctlTest {
 protected:
  HostileStoreTest() {
    ContextFile file{.path = dir_ / "config",
                     .current = "test",
                     .contexts = {{.name = "test", .server = front_.url(), .token = testing::kOperatorToken}}};
    EXPECT_TRUE(SaveContexts(file).ok());
    for (const char* name : {"root", "laptop"}) Out({"keys", "create", name});
    Out({"keys", "create", "opener", "--sealing"});
    McpctlTest::Apply(Manifest("a", "evil"));
    evil_ = Present().snapshot;  // what is in it, he has put there
    Out({"apply", "-f", "-"}, Manifest("a", "1") + NodeManifest());
    root_ = Trim(Out({"trust", "init", "--root", "root", "--head", "laptop"}));
    old_ = Present();
    McpctlTest::Apply(Manifest("b"));
    Out({"create", "secret", "github", "--from-file", "token=-"}, "x");
    Out({"apply", "-f", "-", "--propose", "-m", "p"}, Manifest("c"));
    proposal_ = Out({"proposals", "list", "-o", "jsonpath={.items[0].metadata.name}"}).substr(0, 12);
  }
  static std::string NodeManifest() {
    return "---\napiVersion: mcpfleet.dev/v1alpha1\nkind: MCPNode\nmetadata: {name: edge-01}\nspec: {keys: {signing: " +
           std::string(43, 'A') + ", sealing: " + SealingKey::Create().public_key() + "}}\n";
  }
  mcpfleet::Head Present() {
    auto head = ReadHead(*store_.Client(), testing::Soon());
    EXPECT_OK(head);
    return **head;
  }
  SigningKey Operators() { return *SigningKey::FromSeed(Trim(Read("keys/laptop.key"))); }
  static mcpfleet::Head Signed(mcpfleet::Head head, const SigningKey& key) {
    head.signatures = Json::array();
    AddSignature(&head.signatures, key.public_key(), key.Sign(SignedText(head)));
    return head;
  }
  std::vector<Attack> Attacks() {
    mcpfleet::Head evil = Present();
    ++evil.order.revision;
    evil.snapshot = evil_;
    mcpfleet::Head bare = evil, plain = evil, foreign = evil;
    bare.signatures = Json::array();
    plain.order = {0, 5, 1};
    foreign.fleet = std::string(32, 'f');
    // His root, and the operator's key as one that may sign heads: it is the operator's signature that he is after.
    TrustDocument own{.fleet = evil.fleet,
                      .version = 1,
                      .roots = {.keys = {thief_.public_key()}},
                      .heads = {.keys = {thief_.public_key(), Operators().public_key()}}};
    AddSignature(&own.signatures, thief_.public_key(), thief_.Sign(SignedText(own)));
    return {{"a head without signatures", bare, ""},
            {"a head that he signed himself", Signed(evil, thief_), ""},
            {"a fleet that is not signed", plain, ""},
            {"another fleet's head by the same key", Signed(foreign, Operators()), ""},
            {"a trust document of his own", Signed(evil, thief_), *EncodeTrust(own)},
            {"an older head", old_, ""}};
  }
  void Show(const Attack& attack, int times = -1) {
    front_.Show(kHeadKey, *EncodeHead(attack.head), times);
    front_.Show(TrustKey(1), attack.trust.empty() ? std::nullopt : std::optional<std::string>(attack.trust));
  }
  void ShowTheTruth() {
    front_.Show(kHeadKey, std::nullopt);
    front_.Show(TrustKey(1), std::nullopt);
  }
  // Every verb that signs, or seals.
  std::vector<std::vector<std::string>> Verbs() {
    const std::string manifest = File("d.yaml", Manifest("d"));
    return {{"apply", "-f", manifest},
            {"apply", "-f", manifest, "--applyset", "d", "--prune"},
            {"head", "renew", "--for", "720h"},
            {"proposals", "sign", proposal_, "--yes", "--force"},
            {"trust", "rotate", "--head", "laptop"},
            {"trust", "rotate", "--head", "laptop", "--out", dir_ / "next.json"},
            {"create", "secret", "other", "--from-file", "token=" + File("token", "x")},
            {"create", "secret", "github", "--from-file", "token=" + File("token", "x"), "--replace"},
            {"secrets", "rewrap", "--all", "--drop-operator", "nobody"},
            {"label", "mcp/a", "team=x"},
            {"suspend", "mcp/a"},
            {"rollout", "restart", "a"},
            {"rollout", "undo", "a"},
            {"delete", "mcp/b", "--wait=false"},
            {"cordon", "edge-01"},
            {"node", "enroll", "edge-02"},
            {"node", "delete", "edge-01", "--yes"},
            {"store", "rollback", old_.snapshot.substr(0, 12)},
            {"create", "mcpserver", "e", "--image", "example/e:1"}};
  }
  Context Stored() { return *LoadContexts(dir_ / "config")->Find("test"); }

  WorkerFront front_{store_.url()};
  const SigningKey thief_ = SigningKey::Create();
  std::string evil_, root_, proposal_;
  mcpfleet::Head old_;
};

TEST_F(HostileStoreTest, NoVerbSignsOrSealsByWhatTheFleetsKeysDidNotSign) {
  const auto verbs = Verbs();
  const mcpfleet::Head good = Present();
  for (const Attack& attack : Attacks()) {
    Show(attack);
    const std::vector<std::string> written = front_.Written();
    const HeadOrder seen = Stored().seen;
    for (const std::vector<std::string>& verb : verbs) {
      const Ran ran = Run(verb);
      EXPECT_EQ(ran.code, 1) << attack.what << ": " << Join(verb, " ") << ": " << ran.out << ran.err;
      EXPECT_EQ(front_.Written(), written) << attack.what << ": " << Join(verb, " ");
      EXPECT_EQ(ran.err.find("token of context"), std::string::npos) << "it is not the token: " << ran.err;
    }
    EXPECT_NE(access((dir_ / "next.json").c_str(), F_OK), 0) << attack.what;
    // Reading is not forbidden, and leads nobody astray either.
    EXPECT_EQ(Run({"get", "mcp"}).code, 0) << attack.what;
    EXPECT_EQ(Stored().seen, seen) << attack.what << ": only what was verified is remembered";
    if (attack.head.order.trust > 0) {
      EXPECT_EQ(Out({"trust", "show", "-o", "jsonpath={.headSigned}"}), "false\n") << attack.what;
    }
  }
  ShowTheTruth();
  EXPECT_EQ(Present().order, good.order);
  for (const std::vector<std::string>& verb : verbs) EXPECT_EQ(Run(verb).code, 0) << Join(verb, " ");
}

// The first read shows his object, the second, on which the change is put, the truth.
TEST_F(HostileStoreTest, AnObjectIsNotTakenFromOneStateAndSignedOnAnother) {
  const Attack attack = Attacks().front();
  for (const std::vector<std::string>& verb : std::vector<std::vector<std::string>>{
           {"label", "mcp/a", "team=x"}, {"suspend", "mcp/a"}, {"rollout", "restart", "a"}, {"rollout", "undo", "a"}}) {
    Show(attack, 1);
    EXPECT_EQ(Run(verb).code, 1) << Join(verb, " ");
    ShowTheTruth();
  }
  env_["EDITOR"] = File("editor", "#!/bin/sh\necho '# touched' >> $1\n", 0700);
  Show(attack, 1);
  EXPECT_EQ(Run({"edit", "mcp/a"}).code, 1);
  EXPECT_EQ(Run({"edit", "mcp/a"}).code, 0);
  EXPECT_EQ(Out({"get", "mcp/a", "-o", "jsonpath={.spec.source.image.ref}"}), "example/a:1\n");
}

TEST_F(HostileStoreTest, AMachineThatHasSeenNothingYetVerifiesFromTheRootOn) {
  // The root, and nothing else: the trust documents are read, and a false one is refused.
  Out({"config", "set-context", "test", "--seen-head", "0.0.0"});
  for (const Attack& attack : Attacks()) {
    Show(attack);
    if (attack.what == "an older head") {
      // What it can't tell by itself, it is told: the least head.
      Out({"config", "set-context", "test", "--seen-head", ToString(Present().order)});
    }
    for (const std::vector<std::string>& verb :
         std::vector<std::vector<std::string>>{{"label", "mcp/a", "team=x"},
                                               {"head", "renew", "--for", "ever"},
                                               {"trust", "rotate", "--head", "laptop"}}) {
      EXPECT_EQ(Run(verb).code, 1) << attack.what << ": " << Join(verb, " ");
    }
  }
  ShowTheTruth();
  Out({"label", "mcp/a", "team=x"});
  EXPECT_EQ(Stored().seen, Present().order);
  EXPECT_EQ(Stored().seen_bytes, *EncodeHead(Present()));
  EXPECT_TRUE(Stored().trust_document.starts_with(root_ + " "));
}

TEST_F(HostileStoreTest, WithoutATrustRootNothingIsSignedAndTheErrorSaysHowItIsTold) {
  Out({"config", "set-context", "test", "--trust-root", ""});
  const std::vector<std::string> written = front_.Written();
  for (const bool hostile : {false, true}) {
    if (hostile) Show(Attacks()[4]);
    for (const std::vector<std::string>& verb : Verbs()) {
      const Ran ran = Run(verb);
      EXPECT_EQ(ran.code, 1) << Join(verb, " ");
      EXPECT_NE(ran.err.find("mcpctl config set-context test --trust-root"), std::string::npos) << ran.err;
    }
  }
  EXPECT_EQ(front_.Written(), written);
  ShowTheTruth();
  // A pipeline without keys needs none: it reads, compares and proposes.
  EXPECT_EQ(Run({"apply", "-f", File("d.yaml", Manifest("d")), "--dry-run", "server"}).code, 0);
  EXPECT_EQ(Run({"apply", "-f", File("d.yaml", Manifest("d")), "--propose"}).code, 0);
  EXPECT_EQ(Run({"get", "mcp"}).code, 0);
  Out({"config", "set-context", "test", "--trust-root", root_});
  Out({"label", "mcp/a", "team=x"});
}

// Signed before the node was revoked: its keys are still in it.
TEST_F(HostileStoreTest, NothingIsSealedToAWithdrawnKeyByAReplayedHead) {
  const mcpfleet::Head before = Present();
  Out({"node", "revoke", "edge-01", "--yes"});
  front_.Show(kHeadKey, *EncodeHead(before));
  const Ran ran = Run({"create", "secret", "new", "--from-file", "token=-"}, "x");
  EXPECT_EQ(ran.code, 1);
  EXPECT_NE(ran.err.find("nothing is sealed by what this store says"), std::string::npos) << ran.err;
  EXPECT_NE(ran.err.find("older than"), std::string::npos) << ran.err;
  EXPECT_EQ(Run({"secrets", "rewrap", "--all"}).code, 1);
}

TEST_F(HostileStoreTest, WhatWasSeenIsNeverLoweredByWhateverRunsAtOnce) {
  const HeadOrder before = Stored().seen;
  std::vector<std::thread> threads;
  for (const char* value : {"a", "b", "c", "d"}) {
    threads.emplace_back([this, value] {
      for (const char* name : {"mcp/a", "mcp/b"}) Out({"label", name, std::string("team=") + value, "--overwrite"});
    });
  }
  for (int i = 0; i < 5; ++i) Out({"config", "use-context", "test"});
  for (std::thread& thread : threads) thread.join();
  EXPECT_GT(Stored().seen, before);
  EXPECT_EQ(Stored().seen, Present().order);
  // Nor by a change of the context that leaves its root.
  Out({"config", "set-context", "test", "--trust-root", root_});
  EXPECT_EQ(Stored().seen, Present().order);
  EXPECT_NE(Out({"config", "view"}).find(ToString(Present().order)), std::string::npos);
  // Another root is another fleet.
  Out({"config", "set-context", "test", "--trust-root", std::string(64, '1')});
  EXPECT_EQ(Stored().seen, HeadOrder{});
}

TEST_F(HostileStoreTest, AStolenHeadKeyIsAnsweredByARotation) {
  mcpfleet::Head jump = Present();
  jump.order.epoch = jump.order.revision = (int64_t{1} << 53) - 2;
  auto client = store_.Client();
  ASSERT_OK(client->Put(kHeadKey, *EncodeHead(Signed(jump, Operators())), {.if_match = ToString(Present().order)},
                        testing::Soon()));
  Out({"keys", "create", "fresh"});
  EXPECT_EQ(Out({"trust", "rotate", "--head", "fresh"}), "trust/2\n");
  McpctlTest::Apply(Manifest("d"));
  EXPECT_EQ(Head(), "2.1.2");
  EXPECT_EQ(Out({"trust", "show", "-o", "jsonpath={.headSigned}"}), "true\n");
}

// ---- arguments

TEST_F(HostileStoreTest, ALiteralIsNotInTheArgumentsThatOthersReadWhileTheStoreIsAsked) {
  http::RawListener mute;  // accepts by its backlog, and never answers
  Out({"config", "set-context", "mute", "--server", "http://127.0.0.1:" + std::to_string(mute.port()), "--token-stdin"},
      "t\n");
  const std::vector<std::string> words = {"mcpctl",
                                          "create",
                                          "secret",
                                          "x",
                                          "--from-literal",
                                          "token=canary-1",
                                          "--context",
                                          "mute",
                                          "--from-literal=key=canary-2",
                                          "--request-timeout",
                                          "20s"};
  std::vector<std::string> environment;
  for (const auto& [name, value] : env_) environment.push_back(name + "=" + value);
  const std::vector<char*> argv = ArgvOf(words), envp = ArgvOf(environment);
  const std::string program = std::string(MCPFLEET_BINARY_DIR) + "/mcpctl";
  const pid_t pid = fork();
  if (pid == 0) {
    execve(program.c_str(), argv.data(), envp.data());
    _exit(126);
  }
  // Connected: it is in the midst of its request.
  pollfd came{mute.fd(), POLLIN, 0};
  EXPECT_EQ(poll(&came, 1, 10'000), 1);
  const std::string shown = ReadFile("/proc/" + std::to_string(pid) + "/cmdline", 65536).value_or("");
  kill(pid, SIGKILL);
  waitpid(pid, nullptr, 0);
  EXPECT_NE(shown.find(std::string("--from-literal\0token=", 21)), std::string::npos) << shown;
  EXPECT_NE(shown.find("--from-literal=key="), std::string::npos) << shown;
  EXPECT_NE(shown.find("--request-timeout"), std::string::npos) << shown;
  EXPECT_EQ(shown.find("canary"), std::string::npos) << shown;
}

}  // namespace
}  // namespace mcpfleet::cli
