// The push client against a Worker that the test plays.
#include "store/watch_client.h"

#include "tests/store/played_worker.h"
#include "tests/store/testing.h"

namespace mcpfleet {
namespace {

using http::Eventually;
using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::PlayedWorker;
using testing::TempDir;

constexpr char kHello[] =
    R"({"type":"hello","name":"a","nonce":"n-1","down":{"sequence":3,"nodes":["b"],"frozen":false},
        "hints":{"pingSeconds":5,"pollConnectedSeconds":900,"pollUnconnectedSeconds":[60,120],"reconnectSpreadSeconds":0},
        "follow":[{"namespace":"default","server":"weather"}]})";

// What a client was told, in order.
class Told {
 public:
  WatchCallbacks Callbacks() {
    return {.on_head = [this](std::string_view head) { Add("head " + std::string(head)); },
            .on_change = [this](bool connected) { Add(connected ? "connected" : "gone"); },
            .on_values =
                [this](const std::vector<std::string>& values) {
                  std::string all;
                  for (const std::string& value : values) all += " " + value;
                  Add("values" + all);
                },
            .on_hints =
                [this](const WatchHints& hints) {
                  Add("poll " + std::to_string(std::chrono::duration_cast<seconds>(hints.poll_connected).count()));
                },
            .on_down = [this](const DownList& down) { Add("down " + std::to_string(down.sequence)); },
            .on_follow = [this](const auto& servers) { Add("follow " + std::to_string(servers.size())); },
            .on_measure =
                [this](const auto& servers) {
                  std::string all;
                  for (const MeasuredServer& each : servers) all += " " + each.server + (each.history ? "!" : "");
                  if (!all.empty()) Add("measure" + all);
                },
            .on_nonce =
                [this](std::string_view nonce) {
                  Add("nonce " + std::string(nonce));
                  return disk_full_ ? ResourceExhausted("no space") : OkStatus();
                },
            .on_alive = [this] { Add("alive"); },
            .on_rotate = [this] { Add("rotate"); },
            .on_status_stored = [this](int64_t sequence) { Add("stored " + std::to_string(sequence)); },
            .on_error = [this](std::string_view why) { Add("error " + std::string(why)); },
            .on_unreadable = [this](const Status& why) { Add("unreadable " + Message(why)); }};
  }
  void FillDisk() { disk_full_ = true; }
  std::vector<std::string> all() const {
    MutexLock lock(&mu_);
    return told_;
  }
  size_t Count(const std::string& what) const {
    const std::vector<std::string> told = all();
    return static_cast<size_t>(std::count(told.begin(), told.end(), what));
  }
  bool Await(const std::string& what, size_t times = 1) const {
    return Eventually([&] { return Count(what) >= times; });
  }

 private:
  void Add(std::string what) {
    MutexLock lock(&mu_);
    told_.push_back(std::move(what));
  }
  std::atomic<bool> disk_full_{false};
  mutable Mutex mu_;
  std::vector<std::string> told_ GUARDED_BY(mu_);
};

class WatchClientTest : public ::testing::Test {
 protected:
  std::unique_ptr<WatchClient> Watch(const PlayedWorker& worker, WatchOptions options = {}) {
    options.base_url = worker.url();
    options.node = "a";
    options.jitter_seed = 1;
    auto watch = WatchClient::Create(std::move(options), told_.Callbacks());
    EXPECT_TRUE(watch.ok()) << watch.status();
    (*watch)->Start();
    return *std::move(watch);
  }
  // Sent once it can be.
  static bool Sends(WatchClient& watch, const std::string& status) {
    return Eventually([&] { return watch.SendStatus(status, ""); });
  }
  Told told_;
};

TEST_F(WatchClientTest, TheHelloIsHandedOnAndTheNonceIsConfirmedOnceItIsKept) {
  PlayedWorker worker({.greeting = {kHello, "{\"head\":1}"}});
  auto watch = Watch(worker, {.token = "t", .nonce = "n-0"});
  ASSERT_TRUE(told_.Await("head {\"head\":1}"));
  EXPECT_EQ(told_.all(), (std::vector<std::string>{"connected", "poll 900", "down 3", "follow 1", "nonce n-1",
                                                   "head {\"head\":1}"}));
  EXPECT_TRUE(Eventually([&] { return !worker.heard().empty(); }));
  EXPECT_EQ(worker.heard(), std::vector<std::string>{R"({"nonce":"n-1","type":"nonce"})"});
  ASSERT_EQ(worker.upgrades().size(), 1u);
  EXPECT_EQ(worker.upgrades()[0].Field("Sec-WebSocket-Protocol"), "mcpfleet.v1");
  EXPECT_EQ(worker.upgrades()[0].Field("Authorization"), "Bearer t");
  EXPECT_EQ(worker.upgrades()[0].Field("Mcpfleet-Nonce"), "n-0");
  worker.Say(R"({"type":"down","sequence":4,"nodes":[]})");
  worker.Say(R"({"type":"follow","servers":[]})");
  worker.Say(R"({"type":"rotate"})");
  worker.Say(R"({"type":"from the future"})");
  worker.Say(R"({"type":"values","values":["a","b"]})");
  worker.Say(R"({"type":"status-stored","sequence":9})");
  ASSERT_TRUE(told_.Await("stored 9"));
  for (const char* what : {"down 4", "follow 0", "rotate", "values a b"}) EXPECT_EQ(told_.Count(what), 1u) << what;
  // The next connect tells the number that was kept.
  worker.Drop();
  ASSERT_TRUE(told_.Await("connected", 2));
  EXPECT_TRUE(Eventually([&] { return worker.upgrades().size() == 2; }));
  EXPECT_EQ(worker.upgrades()[1].Field("Mcpfleet-Nonce"), "n-1");
  watch->Stop();
  EXPECT_FALSE(watch->connected());
  EXPECT_FALSE(watch->SendStatus("{}", ""));
}

TEST_F(WatchClientTest, ANonceThatCanNotBeKeptIsNotConfirmed) {
  PlayedWorker worker({.greeting = {kHello}});
  told_.FillDisk();
  auto watch = Watch(worker, {.nonce = "n-0"});
  ASSERT_TRUE(told_.Await("nonce n-1"));
  ASSERT_TRUE(Sends(*watch, "{}"));
  ASSERT_TRUE(Eventually([&] { return !worker.heard().empty(); }));
  EXPECT_EQ(worker.heard(), std::vector<std::string>{R"({"type":"status","status":{}})"});
  worker.Drop();
  ASSERT_TRUE(told_.Await("connected", 2));
  EXPECT_EQ(worker.upgrades()[1].Field("Mcpfleet-Nonce"), "n-0");
}

TEST_F(WatchClientTest, AStoreWithoutTheProtocolPushesHeadsAndIsToldNothing) {
  PlayedWorker worker({.typed = false, .greeting = {kHello, "{\"head\":1}"}});
  auto watch = Watch(worker);
  ASSERT_TRUE(told_.Await("head {\"head\":1}"));
  worker.Say(R"({"type":"rotate"})");
  worker.Say(R"({"type":"down","sequence":-1})");
  worker.Say("{\"head\":2}");
  ASSERT_TRUE(told_.Await("head {\"head\":2}"));
  EXPECT_EQ(told_.all(), (std::vector<std::string>{"connected", "head {\"head\":1}", "head {\"head\":2}"}));
  EXPECT_TRUE(watch->connected());
  EXPECT_FALSE(watch->SendStatus("{}", ""));
  EXPECT_FALSE(watch->SendLog("default", "weather", {{"t", "x", ""}}));
  EXPECT_TRUE(worker.heard().empty());
}

TEST_F(WatchClientTest, PingsAreAnsweredOrTheConnectionIsGivenUp) {
  PlayedWorker alive({.greeting = {kHello}}), mute({.pongs = false, .greeting = {kHello}});
  auto watch = Watch(alive, {.pong_timeout = milliseconds(300)});
  Told other;
  auto dead = *WatchClient::Create({.base_url = mute.url(), .pong_timeout = milliseconds(300)}, other.Callbacks());
  dead->Start();
  // 5 s is the least that a store may ask for.
  ASSERT_TRUE(told_.Await("alive"));
  ASSERT_TRUE(other.Await("gone"));
  EXPECT_EQ(mute.pings(), 1);
  EXPECT_TRUE(other.Await("connected", 2)) << "and tried again";
  EXPECT_EQ(told_.Count("gone"), 0u);
  EXPECT_EQ(alive.accepted(), 1);
}

TEST_F(WatchClientTest, WhatIsSentWaitsWithinBoundsAndALaterStatusTakesThePlaceOfAnEarlier) {
  PlayedWorker worker({.greeting = {kHello}});
  auto watch = Watch(worker);
  ASSERT_TRUE(told_.Await("nonce n-1"));
  EXPECT_FALSE(watch->SendStatus(std::string(kWatchMessageBytes, ' '), "")) << "fits no message";
  EXPECT_TRUE(watch->SendLog("default", "weather", {{"t", "first", "stderr"}}));
  ASSERT_TRUE(Eventually([&] { return worker.heard().size() == 2; }));
  EXPECT_EQ(
      worker.heard()[1],
      R"({"type":"log","namespace":"default","server":"weather","lines":[{"time":"t","text":"first","stream":"stderr"}]})");
  // A store that does not read: what TCP takes is gone, then the queue fills up and no more is taken.
  worker.StopReading();
  const std::vector<LiveLine> lines(4, {"t", std::string(60'000, 'x'), ""});
  int taken = 0;
  while (taken < 1000 && watch->SendLog("default", "weather", lines)) ++taken;
  EXPECT_LT(taken, 1000);
  EXPECT_TRUE(watch->SendStatus(R"({"n":1})", ""));
  EXPECT_TRUE(watch->SendStatus(R"({"n":2})", ""));
  EXPECT_FALSE(watch->SendLog("default", "weather", std::vector<LiveLine>(40, lines[0])))
      << "more than the queue holds";
}

TEST_F(WatchClientTest, WhoLooksAtWhatIsToldAndUsageGoesOut) {
  PlayedWorker worker(
      {.greeting = {R"({"type":"hello","nonce":"n-1","measure":[{"namespace":"d","server":"w","history":true}]})"}});
  auto watch = Watch(worker);
  ASSERT_TRUE(told_.Await("measure w!"));
  worker.Say(
      R"({"type":"measure","servers":[{"namespace":"d","server":"w"},{"namespace":"d","server":"x","node":"b"}]})");
  ASSERT_TRUE(told_.Await("measure w"));
  ASSERT_TRUE(Eventually([&] { return watch->SendUsage({R"({"n":1})", R"({"n":2})"}); }));
  ASSERT_TRUE(Eventually([&] { return worker.heard().size() == 2; }));
  EXPECT_EQ(worker.heard()[1], R"({"type":"usage","servers":[{"n":1},{"n":2}]})");
  EXPECT_FALSE(watch->SendUsage(std::vector<std::string>(5, std::string(kWatchUsageBytes - 100, ' '))))
      << "more than the queue holds";
}

TEST_F(WatchClientTest, AStoreThatIsSlowIsLeftAloneWithLines) {
  PlayedWorker worker({.greeting = {kHello, R"({"type":"slow","retryAfterSeconds":60})", R"({"type":"rotate"})"}});
  auto watch = Watch(worker);
  ASSERT_TRUE(told_.Await("rotate"));
  EXPECT_FALSE(watch->SendLog("default", "weather", {{"t", "x", ""}}));
  EXPECT_FALSE(watch->SendUsage({"{}"}));
  EXPECT_TRUE(watch->SendStatus("{}", ""));
}

TEST_F(WatchClientTest, WhatCanNotBeReadIsToldAndIgnored) {
  PlayedWorker worker(
      {.greeting = {kHello, R"({"type":"down","sequence":"x"})", R"({"type":"error","message":"why"})"}});
  auto watch = Watch(worker);
  ASSERT_TRUE(told_.Await("error why"));
  EXPECT_EQ(told_.Count("unreadable down: sequence is no number from 0 to 2^53"), 1u);
  EXPECT_TRUE(watch->connected());
}

TEST_F(WatchClientTest, AMessageAboveTheLimitAndAFloodEndTheConnection) {
  PlayedWorker worker({.greeting = {kHello}});
  auto watch = Watch(worker);
  ASSERT_TRUE(told_.Await("connected"));
  worker.Say("\"" + std::string(kWatchMessageBytes, 'x') + "\"");
  ASSERT_TRUE(told_.Await("gone"));
  const std::vector<std::string> told = told_.all();
  EXPECT_TRUE(std::any_of(told.begin(), told.end(), [](const auto& what) { return what.starts_with("unreadable "); }));
  ASSERT_TRUE(told_.Await("connected", 2));
  ASSERT_TRUE(Eventually([&] { return worker.upgrades().size() == 2; }));
  std::thread flood([&] {
    const std::string nonsense(size_t{64} << 10, 'x');  // refused by its first byte: only the volume counts
    for (int i = 0; i < 300; ++i) worker.Say(nonsense);
  });
  EXPECT_TRUE(told_.Await("gone", 2));
  EXPECT_EQ(told_.Count("unreadable the store says more than a node listens to"), 1u);
  flood.join();
}

TEST_F(WatchClientTest, ATokenThatWasRefusedIsReadAgainFromItsFile) {
  TempDir dir;
  PlayedWorker worker({.greeting = {kHello}, .token = "second"});
  ASSERT_OK(WriteFileAtomically(dir / "token", "first\n"));
  auto tokens = TokenSource::OfFile(dir / "token");
  ASSERT_OK(tokens);
  auto watch = Watch(worker, {.tokens = *tokens});
  ASSERT_TRUE(Eventually([&] { return worker.upgrades().size() >= 2; }));
  EXPECT_FALSE(watch->connected());
  ASSERT_OK(WriteFileAtomically(dir / "token", "second\n"));
  EXPECT_TRUE(told_.Await("connected"));
  // Reconnect takes the token of now.
  worker.SetToken("third");
  ASSERT_OK((*tokens)->Replace("third"));
  EXPECT_EQ(*ReadFile(dir / "token", 100), "third\n");
  watch->Reconnect();
  EXPECT_TRUE(told_.Await("connected", 2));
  EXPECT_EQ(worker.upgrades().back().Field("Authorization"), "Bearer third");
}

TEST(TokenSourceTest, OnlyWhatIsATokenIsOneAndNothingReplacesAFixedOne) {
  TempDir dir;
  EXPECT_EQ(TokenSource::OfFile(dir / "absent").status().code(), StatusCode::kNotFound);
  for (const char* content : {"", " \n", "a\nb"}) {
    ASSERT_OK(WriteFileAtomically(dir / "token", content));
    EXPECT_EQ(TokenSource::OfFile(dir / "token").status().code(), StatusCode::kInvalidArgument) << content;
  }
  ASSERT_OK(WriteFileAtomically(dir / "token", " one \n"));
  auto tokens = *TokenSource::OfFile(dir / "token");
  EXPECT_EQ(tokens->Get(), "one");
  EXPECT_FALSE(tokens->Renew("one"));
  ASSERT_OK(WriteFileAtomically(dir / "token", "two"));
  EXPECT_EQ(tokens->Get(), "one") << "until the store refuses it";
  EXPECT_TRUE(tokens->Renew("one"));
  EXPECT_EQ(tokens->Get(), "two");
  EXPECT_TRUE(tokens->Renew("one")) << "somebody else has renewed it";
  ASSERT_OK(WriteFileAtomically(dir / "token", ""));
  EXPECT_FALSE(tokens->Renew("two"));
  EXPECT_EQ(tokens->Get(), "two");
  EXPECT_FALSE(tokens->Replace("").ok());
  EXPECT_FALSE(tokens->Replace("a b").ok());
  auto fixed = *TokenSource::Fixed("secret");
  EXPECT_FALSE(fixed->Renew("secret"));
  const Status refused = fixed->Replace("other");
  EXPECT_EQ(refused.code(), StatusCode::kFailedPrecondition);
  EXPECT_EQ(fixed->Get(), "secret");
  EXPECT_FALSE(TokenSource::Fixed("a\nb").ok());
}

}  // namespace
}  // namespace mcpfleet
