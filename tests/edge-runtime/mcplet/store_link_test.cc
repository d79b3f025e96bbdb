#include "edge-runtime/mcplet/store_link.h"

#include <gtest/gtest.h>

#include <atomic>

#include "tests/store/played_worker.h"
#include "tests/store/relay.h"
#include "tests/store/testing.h"

namespace mcpfleet {
namespace {

using testing::Soon;

class StoreLinkTest : public ::testing::Test {
 protected:
  Config Embedded() const {
    Config config = DefaultConfig();
    config.node = "edge-01";
    config.state_directory = dir_.path();
    config.store.port = 0;
    return config;
  }

  // Behind a Worker, with the token "first".
  Config Remote(const std::string& url) const {
    EXPECT_TRUE(WriteFileAtomically(dir_ / "token", "first\n").ok());
    Config config = Embedded();
    config.store = {.embedded = false,
                    .url = url,
                    .account = "local",
                    .config_namespace = kConfigNamespace,
                    .state_namespace = kServerStateNamespace,
                    .token_file = dir_ / "token",
                    .poll_interval = std::chrono::seconds(1)};
    return config;
  }

  testing::TempDir dir_;
  SystemClock clock_;
};

constexpr char kHello[] =
    R"({"type":"hello","name":"edge-01","nonce":"n-1","down":{"sequence":3,"nodes":["b"],"frozen":true},
        "hints":{"pingSeconds":30,"pollConnectedSeconds":900,"pollUnconnectedSeconds":[60,120],"reconnectSpreadSeconds":0},
        "follow":[{"namespace":"default","server":"weather"}]})";

TEST_F(StoreLinkTest, RequestsToTheEmbeddedStoreAreToldLikeThoseToARemoteOne) {
  std::vector<std::string> told;
  const Config config = Embedded();
  auto link = StoreLink::Open(config, clock_, 1, {.on_request = [&told](std::string_view operation, int code) {
                                told.push_back(std::string(operation) + " " + std::to_string(code));
                              }});
  ASSERT_OK(link);
  KvClient& kv = (*link)->status_kv();
  ASSERT_OK(kv.Get("nodes/edge-01", Soon()));
  ASSERT_OK(kv.Put("nodes/edge-01", "{}", {}, Soon()));
  ASSERT_OK(kv.Get("nodes/edge-01", Soon()));
  ASSERT_OK(kv.BulkGet({"nodes/edge-01"}, Soon()));
  ASSERT_OK(kv.List("nodes/", "", 10, Soon()));
  ASSERT_OK(kv.BulkPut({{.key = "nodes/b", .value = "{}"}}, Soon()));
  ASSERT_OK(kv.Delete("nodes/b", Soon()));
  ASSERT_OK(kv.BulkDelete({"nodes/b"}, Soon()));
  EXPECT_FALSE(kv.Put("", "{}", {}, Soon()).ok());
  EXPECT_EQ(told, (std::vector<std::string>{"get 404", "put 200", "get 200", "bulk_get 200", "list 200", "bulk_put 200",
                                            "delete 200", "bulk_delete 200", "put 400"}));
}

TEST_F(StoreLinkTest, ReadsAndThePushBothTakeTheConfiguredWayToARemoteStore) {
  testing::ServedStore store;
  const testing::TlsIdentity authority(""), identity("IP:127.0.0.1", &authority);
  authority.WriteTo(dir_ / "ca.pem");
  ASSERT_OK(WriteFileAtomically(dir_ / "token", testing::kReaderToken));
  testing::Relay front({.to = store.server().port(), .tls = &identity}), proxy({});
  Config config = Embedded();
  config.store = {.embedded = false,
                  .url = front.url(),
                  .account = "local",
                  .config_namespace = kConfigNamespace,
                  .state_namespace = kServerStateNamespace,
                  .token_file = dir_ / "token",
                  .ca_file = dir_ / "ca.pem",
                  .proxy = proxy.url(),
                  .poll_interval = std::chrono::hours(1)};
  auto link = StoreLink::Open(config, clock_, 1, {});
  ASSERT_OK(link);
  (*link)->Start();
  EXPECT_TRUE(http::Eventually([&] { return (*link)->reachable() && (*link)->watching(); }));
  EXPECT_EQ(proxy.accepted(), front.accepted());
  EXPECT_EQ(front.refused(), 0);
}

TEST_F(StoreLinkTest, AConnectedNodeOfTheWorkerReadsTheHeadOnceAndNotAgainForAQuarterOfAnHour) {
  testing::PlayedWorker worker({.greeting = {kHello}});
  const Config config = Remote(worker.url());
  std::atomic<int> alive{0}, down{0}, follow{0};
  auto link = StoreLink::Open(config, clock_, 1,
                              {.on_down = [&](const DownList& list) { down = static_cast<int>(list.sequence); },
                               .on_follow = [&](const auto& servers) { follow = static_cast<int>(servers.size()); },
                               .on_alive = [&] { ++alive; }});
  ASSERT_OK(link);
  EXPECT_FALSE((*link)->SendStatus("{}", "{}")) << "not started yet";
  (*link)->Start();
  ASSERT_TRUE(http::Eventually([&] { return worker.heard().size() == 1; }));
  EXPECT_EQ(down, 3);
  EXPECT_EQ(follow, 1);
  EXPECT_TRUE((*link)->watching());
  EXPECT_TRUE((*link)->SendStatus(R"({"node":"edge-01"})", "{}"));
  EXPECT_TRUE((*link)->SendLog("default", "weather", {{"t", "line", ""}}));
  ASSERT_TRUE(http::Eventually([&] { return worker.heard().size() == 3; }));
  // The poll interval of a store that does not push is a second.
  poll(nullptr, 0, 2500);
  EXPECT_LE(worker.requests().size(), 2u) << "at the start, and perhaps once before the hello";
  for (const testing::PlayedRequest& request : worker.requests()) EXPECT_EQ(request.method, "GET");
  // The nonce is on disk: the next mcplet tells it.
  (*link)->Stop();
  EXPECT_FALSE((*link)->SendStatus("{}", "{}"));
  EXPECT_EQ(*ReadFile(dir_ / "nonce", 100), "n-1\n");
  link = StoreLink::Open(config, clock_, 1, {});
  ASSERT_OK(link);
  (*link)->Start();
  ASSERT_TRUE(http::Eventually([&] { return worker.upgrades().size() == 2; }));
  EXPECT_EQ(worker.upgrades()[1].Field("Mcpfleet-Nonce"), "n-1");
}

TEST_F(StoreLinkTest, ANodeThatIsAskedToGetsANewTokenAndKeepsItBeforeItUsesIt) {
  std::string token_at_ask;  // of the file, while the store answered
  std::atomic<int> asked{0};
  testing::PlayedWorker worker(
      {.greeting = {kHello}, .token = "first", .answer = [&](const testing::PlayedRequest& request) {
         if (request.target != "/v1/device/token") {
           return testing::PlayedAnswer{.status = 404, .body = R"({"errors":[{"code":10009}]})"};
         }
         token_at_ask = ReadFile(dir_ / "token", 100).value_or("");
         ++asked;
         return testing::PlayedAnswer{.body = testing::EnvelopeOf(R"({"token":"second"})")};
       }});
  const Config config = Remote(worker.url());
  auto link = StoreLink::Open(config, clock_, 1, {});
  ASSERT_OK(link);
  (*link)->Start();
  ASSERT_TRUE(http::Eventually([&] { return !worker.heard().empty(); }));
  worker.Say(R"({"type":"rotate"})");
  ASSERT_TRUE(http::Eventually([&] { return asked == 1; }));
  worker.SetToken("second");
  ASSERT_TRUE(http::Eventually([&] { return worker.upgrades().back().Field("Authorization") == "Bearer second"; }));
  EXPECT_EQ(token_at_ask, "first\n");
  EXPECT_EQ(*ReadFile(dir_ / "token", 100), "second\n");
  EXPECT_TRUE(http::Eventually([&] { return (*link)->watching(); }));
  // Whoever asks again and again is not answered each time.
  for (int i = 0; i < 5; ++i) worker.Say(R"({"type":"rotate"})");
  worker.Say(R"({"type":"down","sequence":9,"nodes":[]})");
  poll(nullptr, 0, 300);
  EXPECT_EQ(asked, 1);
}

TEST_F(StoreLinkTest, WhatTheStorePushesAndCanNotBeReadIsCounted) {
  testing::PlayedWorker worker({.greeting = {kHello, R"({"type":"down","sequence":-4})", "<html>"}});
  const Config config = Remote(worker.url());
  std::atomic<int64_t> told{0};
  auto link = StoreLink::Open(
      config, clock_, 1,
      {.on_step = [&](const Status&, const SyncStats& stats) { told = std::max(told.load(), stats.bad_answers); },
       .on_count = [&](const SyncStats& stats) { told = stats.bad_answers; }});
  ASSERT_OK(link);
  (*link)->Start();
  EXPECT_TRUE(http::Eventually([&] { return told == 2; }));
  // Also when nothing else is to be done for long.
  worker.Say(R"({"type":"down","sequence":5,"nodes":["a.b"]})");
  EXPECT_TRUE(http::Eventually([&] { return told == 3; }));
  EXPECT_EQ((*link)->stats().bad_answer, "pushed: down: an entry is no name of a node");
}

}  // namespace
}  // namespace mcpfleet
