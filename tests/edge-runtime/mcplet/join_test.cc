#include "edge-runtime/mcplet/join.h"

#include <sstream>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "base/http/server.h"
#include "store/local_cache.h"
#include "tests/store/testing.h"

namespace mcpfleet {
namespace {

using testing::TempDir;

constexpr char kUrl[] = "https://fleet.example.com";

JoinToken Token(char fleet = 'a') {
  return {.id = std::string(32, '1'),
          .secret = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8",
          .fleet = std::string(32, fleet),
          .fingerprint = std::string(64, 'f'),
          .minimum = {1, 1, 7}};
}

StoreConfig Remote(char fleet = 'a') {
  return {.embedded = false,
          .url = kUrl,
          .token_file = "/old",
          .ca_file = "/ca.pem",
          .proxy = "http://p:1",
          .trust_root = std::string(64, 'f'),
          .fleet = std::string(32, fleet)};
}

TEST(JoinTest, AMachineOfNoFleetOrOfThisOneMayJoin) {
  EXPECT_TRUE(MayJoin({}, "", Token(), kUrl).ok());
  EXPECT_TRUE(MayJoin(Remote(), Token().fleet, Token(), kUrl).ok());
  EXPECT_TRUE(MayJoin(Remote(), Token().fleet, Token(), "https://moved.example.com").ok())
      << "the fleet is what counts";
  StoreConfig by_hand = Remote();
  by_hand.fleet.clear();
  EXPECT_TRUE(MayJoin(by_hand, Token().fleet, Token(), "https://moved.example.com").ok());
  EXPECT_TRUE(MayJoin(by_hand, "", Token(), kUrl).ok());
}

TEST(JoinTest, AMachineOfAnotherFleetMayNot) {
  const auto refused = [](const StoreConfig& before, const std::string& cached, const JoinToken& token) {
    const Status status = MayJoin(before, cached, token, kUrl);
    EXPECT_EQ(status.code(), StatusCode::kFailedPrecondition);
    EXPECT_NE(Message(status).find("--force"), std::string::npos) << status;
    return Message(status);
  };
  EXPECT_NE(refused(Remote('b'), "", Token()).find("bbbbbbbb"), std::string::npos);
  EXPECT_NE(refused({}, std::string(32, 'c'), Token()).find("cccccccc"), std::string::npos)
      << "its own embedded store's";
  StoreConfig by_hand{.embedded = false, .url = "https://other.example.com"};
  EXPECT_NE(refused(by_hand, "", Token()).find("other.example.com"), std::string::npos);
  // Whoever makes tokens can't take the signatures away.
  JoinToken bare = Token();
  bare.fingerprint.clear();
  EXPECT_NE(refused(Remote(), "", bare).find("trust root"), std::string::npos);
  bare.fingerprint = std::string(64, 'e');
  EXPECT_NE(refused(Remote(), "", bare).find("trust root"), std::string::npos);
}

TEST(JoinTest, TheStoreIsWhatTheTokenSaysAndWhatIsOfTheOldOneGoes) {
  JoinOptions options{.url = "https://new.example.com"};
  const Json other = StoreMembers(Remote('b'), Token(), options, "/t");
  EXPECT_EQ(other["type"], "Remote");
  EXPECT_EQ(other["url"], options.url);
  EXPECT_EQ(other["tokenFile"], "/t");
  EXPECT_EQ(other["fleet"], Token().fleet);
  EXPECT_EQ(other["trustRoot"], Token().fingerprint);
  EXPECT_EQ(other["minimumHead"], "1.1.7");
  for (const char* gone : {"caFile", "proxy", "account", "configNamespace", "stateNamespace", "address", "port"})
    EXPECT_TRUE(other.contains(gone) && other[gone].is_null()) << gone;
  options.url = kUrl;
  EXPECT_EQ(StoreMembers(Remote(), Token(), options, "/t")["caFile"], "/ca.pem")
      << "the same store is reached as before";
  options.ca_file = "/new.pem";
  EXPECT_EQ(StoreMembers(Remote(), Token(), options, "/t")["caFile"], "/new.pem");
  JoinToken bare = Token();
  bare.fingerprint.clear();
  EXPECT_TRUE(StoreMembers(Remote(), bare, options, "/t")["trustRoot"].is_null());
}

Json Members() { return StoreMembers({}, Token(), {.url = kUrl}, "/var/lib/mcpfleet/identity/device-token"); }

TEST(JoinTest, ANewConfigurationIsValidAndHasTheName) {
  const auto made = ConfigurationWith("", "mcplet.yaml", "edge-01", Members());
  ASSERT_OK(made);
  const auto config = ParseConfig(made->yaml, "mcplet.yaml", nullptr);
  ASSERT_OK(config);
  EXPECT_EQ(config->node, "edge-01");
  EXPECT_FALSE(config->store.embedded);
  EXPECT_EQ(config->store.fleet, Token().fleet);
  EXPECT_EQ(config->store.minimum_head, (HeadOrder{1, 1, 7}));
  EXPECT_EQ(config->store.trust_root, Token().fingerprint);
}

TEST(JoinTest, ThePackagedConfigurationKeepsItsCommentsAndSettings) {
  const auto packaged = ReadFile(std::string(MCPFLEET_SOURCE_DIR) + "/packaging/mcplet.yaml", 1 << 20);
  ASSERT_OK(packaged);
  const auto made = ConfigurationWith(*packaged, "mcplet.yaml", "edge-01", Members());
  ASSERT_OK(made);
  EXPECT_FALSE(made->rewritten);
  EXPECT_NE(made->yaml.find("# What any object may ask of this node."), std::string::npos);
  EXPECT_NE(made->yaml.find("    type: Remote\n"), std::string::npos) << made->yaml;
  EXPECT_NE(made->yaml.find("allowHostNetwork: false"), std::string::npos);
  const auto again = ConfigurationWith(made->yaml, "mcplet.yaml", "edge-01", Members());
  ASSERT_OK(again);
  EXPECT_EQ(again->yaml, made->yaml) << "a second join changes nothing";
}

TEST(JoinTest, AConfigurationThatCantBeEditedIsWrittenAnew) {
  const auto made = ConfigurationWith(
      R"({"apiVersion": "mcpfleet.dev/v1alpha1", "kind": "MCPletConfiguration", "spec": {"log": {"level": "debug"}}})",
      "mcplet.yaml", "edge-01", Members());
  ASSERT_OK(made);
  EXPECT_TRUE(made->rewritten);
  const auto config = ParseConfig(made->yaml, "mcplet.yaml", nullptr);
  ASSERT_OK(config);
  EXPECT_EQ(config->log_level, LogLevel::kDebug);
}

TEST(JoinTest, TheWorkersRefusalsAreTold) {
  const auto told = [](const Status& refusal) { return Message(RefusedJoin(refusal, "edge-01")); };
  EXPECT_NE(told(NotFound("no such join token")).find("--name"), std::string::npos);
  EXPECT_NE(told(AlreadyExists("the join token was used by a node with other keys")).find("mcpctl node revoke edge-01"),
            std::string::npos);
  EXPECT_NE(told(FailedPrecondition("the join token has expired")).find("has expired; a new one: mcpctl node enroll"),
            std::string::npos);
  EXPECT_NE(told(FailedPrecondition("the join token was revoked")).find("was revoked"), std::string::npos);
  EXPECT_NE(told(Unauthenticated("Authentication error")).find("no Worker"), std::string::npos);
  EXPECT_EQ(RefusedJoin(Unavailable("x"), "edge-01"), Unavailable("x"));
}

// A Worker that answers what it is told to, and keeps what it was asked.
class FakeWorker {
 public:
  FakeWorker() {
    auto server =
        http::Server::Create({.address = "127.0.0.1", .worker_threads = 1},
                             [this](const http::Request& request, const std::shared_ptr<http::Responder>& to) {
                               asked.push_back(request);
                               to->Send(http::JsonResponse(status, DumpJson(answer)));
                             });
    EXPECT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
  }
  std::string url() const { return "http://127.0.0.1:" + std::to_string(server_->port()); }
  void Give(const std::string& token, const std::string& fleet) {
    status = 200;
    answer = {{"success", true}, {"result", {{"token", token}, {"expires", "2027-01-01T00:00:00Z"}, {"fleet", fleet}}}};
  }
  void Refuse(int code, const std::string& why) {
    status = code;
    answer = {{"success", false}, {"result", nullptr}, {"errors", {{{"code", 10000}, {"message", why}}}}};
  }
  int status = 500;
  Json answer;
  std::vector<http::Request> asked;

 private:
  std::unique_ptr<http::Server> server_;
};

class JoinRunTest : public ::testing::Test {
 protected:
  JoinRunTest() {
    EXPECT_TRUE(WriteFileAtomically(config_,
                                    "apiVersion: mcpfleet.dev/v1alpha1\nkind: MCPletConfiguration\n"
                                    "metadata: {name: edge-01}\nspec:\n  stateDirectory: " +
                                        dir_ / "state" + "\n  runDirectory: " + dir_ / "run" + "\n")
                    .ok());
    worker_.Give("mcp1_edge-01_token", Token().fleet);
  }
  Status Run(const JoinToken& token, JoinOptions options = {}) {
    options.url = worker_.url() + "/";
    options.config_path = config_;
    return Join(options, FormatJoinToken(token) + "\n", out_, err_);
  }
  std::string DeviceToken() { return ReadFile(dir_ / "state/identity/device-token", 1000).value_or(""); }
  Json Asked(size_t i) { return ParseJson(worker_.asked.at(i).body).value_or(Json()); }

  TempDir dir_;
  const std::string config_ = dir_ / "mcplet.yaml";
  FakeWorker worker_;
  std::ostringstream out_, err_;
};

TEST_F(JoinRunTest, TheMachineBecomesANode) {
  ASSERT_OK(Run(Token()));
  EXPECT_EQ(DeviceToken(), "mcp1_edge-01_token\n");
  const auto config = LoadConfig(config_, nullptr);
  ASSERT_OK(config);
  EXPECT_EQ(config->store.url, worker_.url());
  EXPECT_EQ(config->store.token_file, dir_ / "state/identity/device-token");
  EXPECT_NE(out_.str().find("systemctl restart mcplet"), std::string::npos);
  ASSERT_EQ(worker_.asked.size(), 1u);
  EXPECT_EQ(worker_.asked[0].target, "/v1/joins/" + Token().id + "/redeem");
  EXPECT_EQ(worker_.asked[0].body.find(Token().secret), std::string::npos);
  EXPECT_FALSE(worker_.asked[0].headers.Has("Authorization"));
  const auto presented = PresentedFromJson(Asked(0));
  ASSERT_OK(presented);
  EXPECT_TRUE(ProvesSecret(*presented, Token().secret));
  EXPECT_EQ(presented->keys, NodeKeys::LoadOrCreate(dir_ / "state/identity")->Public());
  // Again: the same keys, the new token.
  worker_.Give("mcp1_edge-01_second", Token().fleet);
  ASSERT_OK(Run(Token()));
  EXPECT_EQ(DeviceToken(), "mcp1_edge-01_second\n");
  EXPECT_EQ(Asked(1), Asked(0));
  // New keys when they are asked for.
  ASSERT_OK(Run(Token(), {.new_keys = true}));
  EXPECT_NE(Asked(2)["keys"], Asked(0)["keys"]);
  EXPECT_EQ((out_.str() + err_.str()).find(Token().secret), std::string::npos);
}

TEST_F(JoinRunTest, WhatIsRefusedChangesNothing) {
  const std::string before = *ReadFile(config_, 10'000);
  worker_.Refuse(404, "no such join token");
  EXPECT_EQ(Run(Token()).code(), StatusCode::kNotFound);
  worker_.Refuse(410, "the join token has expired");
  EXPECT_EQ(Run(Token()).code(), StatusCode::kFailedPrecondition);
  worker_.Refuse(409, "the join token was used by a node with other keys");
  EXPECT_EQ(Run(Token()).code(), StatusCode::kAlreadyExists);
  worker_.Give("mcp1_edge-01_token", std::string(32, 'b'));
  EXPECT_NE(Message(Run(Token())).find("another fleet"), std::string::npos);
  worker_.Give("a token\nwith more", Token().fleet);
  EXPECT_EQ(Run(Token()).code(), StatusCode::kUnavailable);
  EXPECT_EQ(*ReadFile(config_, 10'000), before);
  EXPECT_EQ(DeviceToken(), "");
  EXPECT_EQ(Join({.url = kUrl, .config_path = config_}, "no token", out_, err_).code(), StatusCode::kInvalidArgument);
}

TEST_F(JoinRunTest, AnotherFleetsMachineIsOnlyTakenByForceAndThenForgetsItsState) {
  const auto cache = LocalCache::Open(dir_ / "state/desired", 1 << 20);
  ASSERT_OK(cache);
  ASSERT_OK((*cache)->SaveState(*EncodeHead({.fleet = std::string(32, 'b'),
                                             .order = {0, 1, 1},
                                             .snapshot = std::string(64, '0'),
                                             .time = "2026-11-22T15:04:05Z"})));
  const Status refused = Run(Token());
  EXPECT_EQ(refused.code(), StatusCode::kFailedPrecondition);
  EXPECT_TRUE(worker_.asked.empty()) << "the token was not used for it";
  ASSERT_OK(Run(Token(), {.force = true}));
  EXPECT_FALSE((*cache)->LoadState().has_value());
  ASSERT_OK(Run(Token()));
}

TEST_F(JoinRunTest, TheNameOfTheCommandLineIsWrittenDown) {
  ASSERT_OK(Run(Token(), {.name = "edge-07"}));
  EXPECT_EQ(Asked(0)["node"], "edge-07");
  EXPECT_EQ(LoadConfig(config_, nullptr)->node, "edge-07");
  EXPECT_EQ(Run(Token(), {.name = "Edge 7"}).code(), StatusCode::kInvalidArgument);
}

// As in Kubernetes: the settings in a ConfigMap, which can't be written, and the token needed the first time only.
TEST_F(JoinRunTest, TheSettingsMayComeFromAnotherFileAndTheTokenIsNeededOnce) {
  const std::string settings = dir_ / "settings.yaml";
  const auto give = [&](const std::string& level) {
    const std::string yaml =
        "apiVersion: mcpfleet.dev/v1alpha1\nkind: MCPletConfiguration\nspec:\n  stateDirectory: " + dir_ / "state" +
        "\n  runDirectory: " + dir_ / "run" + "\n  log: {level: " + level + "}\n";
    ASSERT_OK(WriteFileAtomically(settings, yaml, 0444));
  };
  JoinOptions options{.config_path = dir_ / "state/mcplet.yaml", .from = settings, .name = "edge-01", .once = true};
  const auto run = [&](const std::string& url) {
    options.url = url;
    const auto again = WriteJoinedAgain(options, out_, err_);
    EXPECT_TRUE(again.ok()) << again.status();
    return again.ok() && *again;
  };
  give("debug");
  EXPECT_FALSE(run(worker_.url())) << "it has not joined";
  ASSERT_OK(Join(options, FormatJoinToken(Token()) + "\n", out_, err_));
  const auto joined = LoadConfig(options.config_path, nullptr);
  ASSERT_OK(joined);
  EXPECT_EQ(joined->store.fleet, Token().fleet);
  EXPECT_EQ(joined->log_level, LogLevel::kDebug);
  EXPECT_EQ(ReadFile(settings, 10'000)->find("store:"), std::string::npos) << "it is not touched";

  // Started again, with other settings: they count, and what the join brought is still there.
  give("warning");
  EXPECT_TRUE(run(worker_.url() + "/"));
  EXPECT_EQ(worker_.asked.size(), 1u) << "no token was used";
  const auto again = LoadConfig(options.config_path, nullptr);
  ASSERT_OK(again);
  EXPECT_EQ(again->log_level, LogLevel::kWarning);
  EXPECT_EQ(again->node, "edge-01");
  EXPECT_EQ(again->store.url, worker_.url());
  EXPECT_EQ(again->store.fleet, Token().fleet);
  EXPECT_EQ(again->store.trust_root, Token().fingerprint);
  EXPECT_EQ(again->store.minimum_head, (HeadOrder{1, 1, 7}));
  EXPECT_EQ(again->store.token_file, dir_ / "state/identity/device-token");

  // Another store, another name, a lost token: joined anew, with a token.
  EXPECT_FALSE(run("https://other.example.com"));
  options.name = "edge-02";
  EXPECT_FALSE(run(worker_.url()));
  options.name = "edge-01";
  ASSERT_EQ(unlink((dir_ / "state/identity/device-token").c_str()), 0);
  EXPECT_FALSE(run(worker_.url()));
  options.from = dir_ / "nothing.yaml";
  EXPECT_EQ(WriteJoinedAgain(options, out_, err_).status().code(), StatusCode::kNotFound);
}

}  // namespace
}  // namespace mcpfleet
