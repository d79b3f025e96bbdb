// The dashboard on a listener, as a browser sees it.
#include "edge-runtime/dashboard/dashboard.h"

#include <gtest/gtest.h>

#include <mutex>
#include <regex>

#include <nlohmann/json.hpp>

#include "base/http/client.h"
#include "base/http/websocket_client.h"
#include "crd/codec.h"
#include "edge-runtime/dashboard/page.h"
#include "tests/base/http_testing.h"
#include "tests/store/testing.h"

namespace mcpfleet::dashboard {
namespace {

using mcpfleet::testing::TempDir;

class DashboardTest : public ::testing::Test {
 protected:
  void SetUp() override {
    gateway_ = *http::Server::Create({}, [this](http::Request& request, const std::shared_ptr<http::Responder>& to) {
      std::lock_guard<std::mutex> lock(mu_);
      seen_.push_back(request);
      if (request.method != "GET") {
        http::Response response = http::JsonResponse(200, "{\"ok\":true}");
        response.headers.Set("Mcp-Session-Id", "s1");
        response.headers.Set("Set-Cookie", "a=b");
        return to->Send(std::move(response));
      }
      http::Response head;
      head.headers.Set("Content-Type", "text/event-stream");
      stream_ = to->StartStream(std::move(head));
      stream_->Write("data: one\n\n");
    });
    dashboard_ = std::make_unique<Dashboard>(Host{
        .desired = *desired_,
        .statuses = *statuses_,
        .clock = clock_,
        .status =
            [this] {
              std::lock_guard<std::mutex> lock(mu_);
              return status_;
            },
        .logs =
            [](const ServerKey&, const LogOptions& options, std::function<bool(std::string_view)> sink, Deadline) {
              if (!options.previous) sink("2026-11-28T10:00:00Z a line\n");
              return OkStatus();
            },
        .instance = [](const ServerKey& server) -> StatusOr<InstanceReport> {
          return InstanceReport{.id = server.name + "-1"};
        },
        .open_tail = [this](const InstanceReport&, const TailFrom&, Deadline) -> StatusOr<std::unique_ptr<LogTail>> {
          return std::make_unique<Tail>(*this);
        },
        .measure =
            [this](std::vector<MeasuredServer> measured) {
              std::lock_guard<std::mutex> lock(mu_);
              measured_.push_back(std::move(measured));
            },
        .gateway = [this]() -> std::optional<http::Endpoint> {
          if (!gateway_open_) return std::nullopt;
          return http::TcpEndpoint("127.0.0.1", gateway_->port());
        },
        .is_operator = [](std::string_view token) { return token == "operator"; },
        .audit_file = dir_ / "audit",
        .record_file = dir_ / "record",
        .boot = "boot-1"});
    listener_ = *http::Server::Create({}, [this](http::Request& request, const std::shared_ptr<http::Responder>& to) {
      if (dashboard_->Owns(request)) return dashboard_->Handle(request, to);
      to->Send(http::TextResponse(418, "the admin API's\n"));
    });
    dashboard_->Open(*listener_);
    host_ = "mcpfleet.localhost:" + std::to_string(listener_->port());
    client_ = std::make_unique<http::Client>(http::TcpEndpoint("127.0.0.1", listener_->port()),
                                             http::ClientOptions{.host_header = host_});
    status_.node = "edge-01";
    status_.servers.push_back({.key = {"default", "a"}});
  }
  void TearDown() override {
    dashboard_->Close(*listener_);
    listener_.reset();
    dashboard_.reset();
    std::lock_guard<std::mutex> lock(mu_);
    stream_.reset();
  }

  http::Response Ask(const std::string& method, const std::string& target, const Json& body = nullptr,
                     std::initializer_list<std::pair<std::string, std::string>> headers = {}) {
    http::Request request{.method = method, .target = target, .body = body.is_null() ? "" : DumpJson(body)};
    if (!cookie_.empty()) request.headers.Set("Cookie", cookie_);
    request.headers.Set("Origin", "http://" + host_);
    for (const auto& [name, value] : headers) request.headers.Set(name, value);
    auto response = client_->Do(request, Deadline::After(std::chrono::seconds(20)));
    EXPECT_TRUE(response.ok()) << response.status();
    return response.ok() ? *response : http::Response{.status = 0};
  }
  Json Result(const http::Response& response) {
    EXPECT_EQ(response.status, 200) << response.body;
    return (*ParseJson(response.body))["result"];
  }
  std::string NewToken() {
    const std::string url = dashboard_->NewLogin("ada@laptop")["url"];
    EXPECT_EQ(url.find("http://" + host_ + "/-/#"), 0u) << url;
    return url.substr(url.find('#') + 1);
  }
  void SignIn() {
    const http::Response response = Ask("POST", "/v1/session", nullptr, {{"Authorization", "Bearer " + NewToken()}});
    ASSERT_EQ(response.status, 200) << response.body;
    const std::string set = response.headers.Get("Set-Cookie").value_or("");
    EXPECT_NE(set.find("; HttpOnly; SameSite=Strict"), std::string::npos);
    cookie_ = set.substr(0, set.find(';'));
  }

  http::Headers PageHeaders() {
    http::Headers headers;
    headers.Set("Cookie", cookie_);
    headers.Set("Origin", "http://" + host_);
    return headers;
  }
  // The page's socket.
  StatusOr<std::unique_ptr<http::WebSocketClient>> Watch(const http::Headers& headers) {
    return http::WebSocketClient::Connect(http::TcpEndpoint("127.0.0.1", listener_->port()), "/v1/watch", headers,
                                          Soon(), {.subprotocol = "mcpfleet.v1", .client = {.host_header = host_}});
  }
  static Deadline Soon() { return Deadline::After(std::chrono::seconds(20)); }
  // The next message of this type.
  static Json NextOf(http::WebSocketClient& socket, const std::string& type) {
    for (;;) {
      const auto text = socket.ReadText(Soon());
      EXPECT_TRUE(text.ok()) << text.status();
      const Json message = text.ok() ? *ParseJson(*text) : Json{{"type", type}};
      if (message["type"] == type) return message;
    }
  }

  // Gives out what was written, each once.
  class Tail final : public LogTail {
   public:
    explicit Tail(DashboardTest& test) : test_(test) {}
    StatusOr<LogPiece> Read(std::string* out, size_t, Deadline) override {
      std::lock_guard<std::mutex> lock(test_.mu_);
      out->append(std::exchange(test_.written_, ""));
      return LogPiece{};
    }
    std::string Place() const override { return ""; }

   private:
    DashboardTest& test_;
  };

  TempDir dir_;
  SystemClock clock_;
  std::unique_ptr<EmbeddedKv> kv_ = *EmbeddedKv::Open(dir_ / "kv", clock_);
  std::unique_ptr<KvClient> desired_ = kv_->Client(kConfigNamespace), statuses_ = kv_->Client(kServerStateNamespace);
  std::mutex mu_;
  NodeStatus status_;
  std::string written_ = "2026-11-28T10:00:00Z a line\n";  // to a log that is followed
  std::vector<http::Request> seen_;                        // by the gateway
  std::shared_ptr<http::StreamWriter> stream_;
  std::vector<std::vector<MeasuredServer>> measured_;
  std::atomic<bool> gateway_open_{true};
  std::unique_ptr<http::Server> gateway_, listener_;
  std::unique_ptr<Dashboard> dashboard_;
  std::unique_ptr<http::Client> client_;
  std::string host_, cookie_;
};

const Json kManifest = {{"apiVersion", kApiVersion},
                        {"kind", kKindServer},
                        {"metadata", {{"name", "a"}}},
                        {"spec", {{"source", {{"remote", {{"url", "https://mcp.example.com/mcp"}}}}}}}};

TEST_F(DashboardTest, NothingIsToldWithoutASession) {
  for (const char* path : {"/v1/whoami", "/v1/desired", "/v1/desired/history", "/v1/audit", "/v1/logs",
                           "/default/a/mcp", "/v1/alerts", "/v1/uptime?subject=node/"})
    EXPECT_EQ(Ask("GET", path).status, 401) << path;
  for (const char* path :
       {"/v1/changes", "/v1/validate", "/v1/rollback", "/default/a/mcp", "/v1/nodes/a/drain", "/v1/alerts/acknowledge"})
    EXPECT_EQ(Ask("POST", path, Json::object()).status, 401) << path;
  EXPECT_EQ(Ask("POST", "/v1/session", nullptr, {{"Authorization", "Bearer 0123"}}).status, 401);
  EXPECT_EQ(Ask("POST", "/v1/session").status, 401);
  EXPECT_TRUE(seen_.empty());
  const Json about = Result(Ask("GET", "/v1/session"));
  EXPECT_EQ(about["host"], "node");
  EXPECT_EQ(about["features"], Json({"alerts", "uptime", "logs", "tools", "usage"}));
  gateway_open_ = false;
  EXPECT_EQ(Result(Ask("GET", "/v1/session"))["features"], Json({"alerts", "uptime", "logs", "usage"}));
}

TEST_F(DashboardTest, ATokenSignsInOnceAndSigningOutEndsIt) {
  SignIn();
  const Json who = Result(Ask("GET", "/v1/whoami"));
  EXPECT_EQ(who["name"], "ada@laptop");
  EXPECT_EQ(who["role"], "operator");
  const std::string cookie = cookie_;
  EXPECT_EQ(Ask("DELETE", "/v1/session").status, 200);
  EXPECT_EQ(Ask("GET", "/v1/whoami").status, 401) << "the cookie that was kept is worth nothing";
}

TEST_F(DashboardTest, AnotherPageCanDoNothingWithTheCookie) {
  SignIn();
  const Json changes = {{"set", {kManifest}}};
  EXPECT_EQ(Ask("POST", "/v1/changes", changes, {{"Origin", "http://mcpfleet.localhost:1"}}).status, 403);
  EXPECT_EQ(Ask("POST", "/v1/changes", changes, {{"Host", "evil.example"}}).status, 403);
  EXPECT_EQ(Ask("POST", "/default/a/mcp", changes, {{"Origin", "http://evil.example"}}).status, 403);
  EXPECT_EQ(Ask("GET", "/-/", nullptr, {{"Host", "evil.example"}}).status, 403);
  EXPECT_TRUE(seen_.empty());
  EXPECT_TRUE(Result(Ask("GET", "/v1/desired"))["head"].is_null());
}

TEST_F(DashboardTest, TheAdminApiKeepsItsPaths) {
  EXPECT_EQ(Ask("GET", "/v1/status").status, 418);
  EXPECT_EQ(Ask("GET", "/metrics").status, 418);
  EXPECT_EQ(Ask("GET", "/v1/servers/default/a").status, 418) << "without a cookie it is the admin API's";
  SignIn();
  EXPECT_EQ(Result(Ask("GET", "/v1/servers/default/a"))[0]["node"], "edge-01");
  EXPECT_EQ(Ask("GET", "/v1/servers/default/a", nullptr, {{"Authorization", "Bearer x"}}).status, 418);
}

TEST_F(DashboardTest, ChangesAreMadeAndWrittenDown) {
  SignIn();
  const Json made = Result(Ask("POST", "/v1/changes", {{"set", {kManifest}}, {"message", "first"}}));
  EXPECT_EQ(made["head"], "0.1.1");
  EXPECT_EQ(Ask("POST", "/v1/changes", Json::object()).status, 400);
  Result(Ask("POST", "/v1/changes", {{"set", {kManifest}}, {"dryRun", true}}));
  EXPECT_EQ(Ask("POST", "/v1/changes", {{"set", {kManifest}}, {"base", nullptr}}).status, 409) << "others were first";
  Result(Ask("POST", "/v1/changes", {{"set", {kManifest}}, {"dryRun", true}, {"base", made["head"]}}));
  Result(Ask("POST", "/v1/servers/default/a/suspend"));
  EXPECT_EQ(Ask("POST", "/v1/servers/default/b/restart").status, 404);
  EXPECT_EQ(Ask("POST", "/v1/servers/default/a/explode").status, 404);
  Result(Ask("DELETE", "/v1/servers/default/a"));
  const Json history = Result(Ask("GET", "/v1/desired/history?limit=50"));
  ASSERT_EQ(history.size(), 3u);
  EXPECT_EQ(history[2]["author"], "ada@laptop");
  Result(Ask("POST", "/v1/rollback", {{"snapshot", history[2]["snapshot"]}}));
  const Json audit = Result(Ask("GET", "/v1/audit"));
  ASSERT_EQ(audit.size(), 4u) << "a dry run and what failed are no deeds";
  EXPECT_EQ(audit[0]["what"], "rollback");
  EXPECT_EQ(audit[3]["detail"], "MCPServer/default/a created");
  EXPECT_EQ(audit[3]["who"], "ada@laptop");
  const http::Response shard = Ask("GET", "/v1/desired/snapshots/" + history[0]["snapshot"].get<std::string>());
  EXPECT_NE(shard.headers.Get("Cache-Control")->find("immutable"), std::string::npos);
  EXPECT_EQ(Ask("GET", "/v1/desired/shards/nonsense").status, 400);
  EXPECT_EQ(Result(Ask("GET", "/v1/logs?limit=10"))[0]["text"], "a line");
}

TEST_F(DashboardTest, ToolsAreReachedThroughTheGatewayWithoutOurCookie) {
  SignIn();
  const http::Response response = Ask("POST", "/default/a/mcp?x=1", {{"jsonrpc", "2.0"}},
                                      {{"Mcp-Session-Id", "s1"}, {"Authorization", "Bearer own"}});
  EXPECT_EQ(response.body, "{\"ok\":true}");
  EXPECT_EQ(response.headers.Get("Mcp-Session-Id"), "s1");
  EXPECT_FALSE(response.headers.Has("Set-Cookie"));
  {
    std::lock_guard<std::mutex> lock(mu_);
    ASSERT_EQ(seen_.size(), 1u);
    EXPECT_EQ(seen_[0].target, "/default/a/mcp?x=1");
    EXPECT_EQ(seen_[0].body, "{\"jsonrpc\":\"2.0\"}");
    EXPECT_EQ(seen_[0].headers.Get("Authorization"), "Bearer own") << "the server's own auth";
    for (const char* kept : {"Cookie", "Origin"}) EXPECT_FALSE(seen_[0].headers.Has(kept)) << kept;
  }
  http::Request request{.target = "/default/a/mcp"};
  request.headers.Set("Cookie", cookie_);
  auto stream = client_->Open(request, Deadline::After(std::chrono::seconds(20)));
  ASSERT_TRUE(stream.ok()) << stream.status();
  EXPECT_EQ((*stream)->head().headers.Get("Content-Type"), "text/event-stream");
  EXPECT_EQ(*(*stream)->Read(Deadline::After(std::chrono::seconds(20))), "data: one\n\n") << "while it goes on";
  gateway_open_ = false;
  EXPECT_EQ(Ask("POST", "/default/a/mcp", Json::object()).status, 503);
}

TEST_F(DashboardTest, TheSocketTellsWhatIsAndWhatChanges) {
  SignIn();
  Result(Ask("POST", "/v1/changes", {{"set", {kManifest}}}));
  const http::Headers headers = PageHeaders();
  const Deadline soon = Soon();
  {
    http::Headers foreign = headers;
    foreign.Set("Origin", "http://evil.example");
    EXPECT_FALSE(Watch(foreign).ok());
    foreign = headers;
    foreign.Set("Cookie", "mcpfleet-session-" + std::to_string(listener_->port()) + "=wrong");
    EXPECT_FALSE(Watch(foreign).ok());
  }
  auto connected = Watch(headers);
  ASSERT_TRUE(connected.ok()) << connected.status();
  http::WebSocketClient& socket = **connected;
  EXPECT_EQ(socket.subprotocol(), "mcpfleet.v1") << "else a browser breaks it off";
  const auto next = [&] {
    const auto text = socket.ReadText(soon);
    EXPECT_TRUE(text.ok()) << text.status();
    return text.ok() ? *ParseJson(*text) : Json();
  };
  EXPECT_EQ(next()["type"], "hello");
  EXPECT_EQ(next()["revision"], 1) << "the head";
  ASSERT_TRUE(socket.SendText("{\"type\":\"sync\",\"since\":\"\"}", soon).ok());
  const Json state = next();
  EXPECT_EQ(state["type"], "state");
  EXPECT_EQ(state["names"], Json({"edge-01"}));
  {
    std::lock_guard<std::mutex> lock(mu_);
    status_.servers[0].restarts.count = 3;
  }
  const Json delta = next();
  EXPECT_EQ(delta["set"][0]["restarts"], 3);
  // Another node that follows this store.
  NodeStatus other;
  other.node = "edge-02";
  other.heartbeat = clock_.Wall();
  ASSERT_TRUE(
      statuses_->Put("nodes/edge-02", DumpJson(NodeStatusToJson(other)), {.metadata = "{\"sequence\":1}"}, soon).ok());
  EXPECT_EQ(next()["name"], "edge-02");
  Result(Ask("DELETE", "/v1/servers/default/a"));
  EXPECT_EQ(next()["revision"], 2);
  ASSERT_TRUE(socket.SendText("{\"type\":\"follow\",\"namespace\":\"default\",\"server\":\"a\"}", soon).ok());
  EXPECT_EQ(next()["lines"][0]["text"], "a line");
  // Signing out closes it.
  EXPECT_EQ(Ask("DELETE", "/v1/session").status, 200);
  EXPECT_EQ(socket.ReadText(soon).status().code(), StatusCode::kUnavailable);
}

TEST_F(DashboardTest, AFloodOfLinesDoesNotEndTheFollowing) {
  SignIn();
  auto connected = Watch(PageHeaders());
  ASSERT_TRUE(connected.ok()) << connected.status();
  http::WebSocketClient& socket = **connected;
  const std::string long_text(60'000, '"');
  const auto write = [&](const std::string& text, int count) {
    std::lock_guard<std::mutex> lock(mu_);
    for (int i = 0; i < count; ++i) written_ += "2026-11-28T10:00:01Z " + text + "\n";
  };
  write(long_text, 200);  // 24 MB as JSON: more than a socket queues
  ASSERT_TRUE(socket.SendText(R"({"type":"follow","namespace":"default","server":"a"})", Soon()).ok());
  const Json flood = NextOf(socket, "log");
  EXPECT_LE(DumpJson(flood).size(), kLiveBytes + 1000);
  EXPECT_EQ(flood["lines"].size(), 3U);
  EXPECT_EQ(flood["lines"][0]["text"], "mcpfleet: 199 lines are left out here; the log may still have them");
  EXPECT_EQ(flood["lines"][2]["text"], long_text);

  write("short", 2500);
  size_t lines = 0;
  while (lines < 2500) {
    const Json part = NextOf(socket, "log");
    ASSERT_LE(part["lines"].size(), 1000U) << "as the protocol says";
    ASSERT_GT(part["lines"].size(), 0U);
    EXPECT_EQ(part["lines"][0]["text"], "short");
    lines += part["lines"].size();
  }
}

TEST_F(DashboardTest, AlertsAreKeptWhileNobodyLooksAndToldToWhoDoes) {
  {
    std::lock_guard<std::mutex> lock(mu_);
    SetCondition(&status_.servers[0].conditions,
                 {.type = "Ready", .status = ConditionStatus::kFalse, .reason = "CrashLoopBackOff", .message = "waits"},
                 {});
  }
  dashboard_->LookOut();
  SignIn();
  Json alerts;
  EXPECT_TRUE(http::Eventually([&] { return !(alerts = Result(Ask("GET", "/v1/alerts"))).empty(); }));
  EXPECT_EQ(alerts[0]["key"], "CrashLoop/edge-01/default/a");
  const Json up = Result(Ask("GET", "/v1/uptime?subject=node/&bars=4"));
  ASSERT_EQ(up.size(), 1U);
  EXPECT_EQ(up[0]["subject"], "node/edge-01");
  EXPECT_EQ(up[0]["bars"].size(), 4U);
  EXPECT_EQ(Result(Ask("GET", "/v1/uptime?subject=server/&mean=true"))[0]["subject"], "server/");
  for (const char* bad :
       {"", "?subject=", "?subject=node/&since=yesterday", "?subject=node/&since=2999-01-01T00:00:00Z"})
    EXPECT_EQ(Ask("GET", std::string("/v1/uptime") + bad).status, 400) << bad;

  const Deadline soon = Soon();
  auto connected = Watch(PageHeaders());
  ASSERT_TRUE(connected.ok()) << connected.status();
  const auto next = [&](const char* type) { return NextOf(**connected, type); };
  ASSERT_TRUE((*connected)->SendText("{\"type\":\"sync\",\"since\":\"\"}", soon).ok());
  next("state");
  const Json key = {{"key", "CrashLoop/edge-01/default/a"}};
  Result(Ask("POST", "/v1/alerts/acknowledge", key));
  EXPECT_EQ(next("alert")["state"], "acknowledged");
  EXPECT_EQ(Result(Ask("GET", "/v1/alerts"))[0]["acknowledged_by"], "ada@laptop");
  EXPECT_EQ(Result(Ask("GET", "/v1/audit"))[0]["what"], "acknowledge");
  {
    std::lock_guard<std::mutex> lock(mu_);
    SetCondition(&status_.servers[0].conditions, {.type = "Ready", .status = ConditionStatus::kTrue, .reason = "Ok"},
                 {});
  }
  dashboard_->LookOut();
  const Json over = next("alert");
  EXPECT_EQ(over["state"], "cleared");
  EXPECT_EQ(over["subject"], "edge-01/default/a");
  EXPECT_TRUE(Result(Ask("GET", "/v1/alerts")).empty());
  EXPECT_EQ(Result(Ask("GET", "/v1/alerts?all=true")).size(), 1U);
  EXPECT_EQ(Ask("POST", "/v1/alerts/acknowledge", key).status, 404);
  EXPECT_EQ(Ask("POST", "/v1/alerts/acknowledge", Json::object()).status, 400);
}

TEST_F(DashboardTest, WhoLooksIsToldWhatServersUse) {
  SignIn();
  const Deadline soon = Soon();
  auto connected = Watch(PageHeaders());
  ASSERT_TRUE(connected.ok()) << connected.status();
  http::WebSocketClient& socket = **connected;
  const auto usage = [&] { return NextOf(socket, "usage"); };
  // What the node is told after this was said.
  const auto measured_after = [&](const std::string& said) {
    size_t before = 0;
    {
      std::lock_guard<std::mutex> lock(mu_);
      before = measured_.size();
    }
    EXPECT_TRUE(socket.SendText(said, soon).ok());
    std::vector<MeasuredServer> list;
    EXPECT_TRUE(http::Eventually([&] {
      std::lock_guard<std::mutex> lock(mu_);
      if (measured_.size() == before) return false;
      list = measured_.back();
      return true;
    })) << said;
    return list;
  };
  const std::vector<std::string> both = {
      R"({"namespace":"default","server":"a","samples":[{"at":1},{"at":2}],"events":[{"reason":"Started"}]})",
      R"({"namespace":"default","server":"b","samples":[{"at":1},{"at":2}]})"};
  EXPECT_FALSE(dashboard_->ShowUsage(both)) << "nobody looks";

  EXPECT_EQ(measured_after(R"({"type":"measure","namespace":"default","server":"a"})"),
            (std::vector<MeasuredServer>{{"default", "a", true}}));
  EXPECT_TRUE(dashboard_->ShowUsage(both));
  Json told = usage();
  EXPECT_EQ(told["node"], "edge-01");
  EXPECT_EQ(told["servers"], Json::array({*ParseJson(both[0])}));

  EXPECT_EQ(measured_after(R"({"type":"measure","node":"edge-01"})"), (std::vector<MeasuredServer>{{"", "", true}}));
  EXPECT_TRUE(dashboard_->ShowUsage(both));
  told = usage();
  ASSERT_EQ(told["servers"].size(), 2U);
  EXPECT_EQ(told["servers"][0], *ParseJson(R"({"namespace":"default","server":"a","samples":[{"at":2}]})"));

  EXPECT_TRUE(measured_after(R"({"type":"measure","node":"another"})").empty());
  EXPECT_FALSE(dashboard_->ShowUsage(both));
  EXPECT_EQ(measured_after(R"({"type":"measure","namespace":"default","server":"b","node":"edge-01"})").size(), 1U);
  EXPECT_TRUE(measured_after(R"({"type":"unmeasure"})").empty());
  EXPECT_EQ(measured_after(R"({"type":"measure","node":"edge-01"})").size(), 1U);
  connected->reset();
  EXPECT_TRUE(http::Eventually([&] {
    std::lock_guard<std::mutex> lock(mu_);
    return measured_.back().empty();
  })) << "who is gone does not look";
}

TEST_F(DashboardTest, ThePageIsThereForEveryViewWithItsPolicy) {
  EXPECT_EQ(Ask("GET", "/").headers.Get("Location"), "/-/");
  const http::Response page = Ask("GET", "/-/servers/default/a");
  EXPECT_EQ(page.status, HasPage() ? 200 : 404);
  EXPECT_EQ(page.headers.Get("X-Frame-Options"), "DENY");
  EXPECT_EQ(Ask("POST", "/-/").status, 405);
  if (!HasPage()) GTEST_SKIP() << "the page is not built";
  EXPECT_NE(page.headers.Get("Content-Security-Policy")->find("script-src 'self'"), std::string::npos);
  const size_t at = page.body.find("/-/assets/");
  ASSERT_NE(at, std::string::npos);
  const std::string name = page.body.substr(at, page.body.find('"', at) - at);
  EXPECT_TRUE(std::regex_match(name, std::regex("/-/assets/.+-[A-Za-z0-9_-]{8}[.]js")))
      << name << ": it has the hash of its content";
  const http::Response file = Ask("GET", name);
  EXPECT_EQ(file.status, 200);
  EXPECT_EQ(file.headers.Get("Cache-Control"), "public, max-age=31536000, immutable");
  EXPECT_EQ(file.headers.Get("Content-Encoding"), "gzip");
  EXPECT_EQ(file.body.substr(0, 2), "\x1f\x8b");
}

}  // namespace
}  // namespace mcpfleet::dashboard
