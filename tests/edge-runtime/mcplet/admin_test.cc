#include "edge-runtime/mcplet/admin.h"

#include <gtest/gtest.h>

#include <sys/stat.h>

#include <atomic>
#include <mutex>
#include <thread>

#include "base/fd.h"
#include "base/http/client.h"
#include "base/json.h"
#include "base/strings.h"
#include "edge-runtime/log/seam_filter.h"
#include "edge-runtime/mcplet/admin_http.h"
#include "edge-runtime/mcplet/admin_logs.h"

namespace mcpfleet {
namespace {

using namespace std::chrono_literals;
using http::Request;
using http::Response;

class FakeBackend : public AdminBackend {
 public:
  std::vector<ReadyCheck> Ready() override {
    return {{"store", store_ok_, "no answer since 12:00"}, {"runtimes", true, ""}};
  }
  NodeStatus GetStatus() override {
    NodeStatus status;
    status.node = "edge-01";
    ServerStatus server;
    server.key = {"default", "weather"};
    server.uid = "u1";
    status.servers.push_back(server);
    return status;
  }
  NodePublicKeys Keys() override { return {"signing-public", "sealing-public"}; }
  std::string Metrics() override { return "# HELP x\nmcpfleet_up 1\n"; }
  std::vector<Event> Events(const std::optional<ServerKey>& server) override {
    std::vector<Event> events;
    for (const char* name : {"weather", "files"}) {
      if (!server || server->name == name) events.push_back(EventOf(name));
    }
    return events;
  }
  std::function<void()> WatchEvents(std::function<void(const Event&)> listener) override {
    std::lock_guard<std::mutex> lock(mu_);
    listener_ = std::move(listener);
    return [this] {
      std::lock_guard<std::mutex> inner(mu_);
      listener_ = nullptr;
    };
  }
  Status Logs(const ServerKey& server, const LogOptions& options, std::function<bool(std::string_view)> sink,
              Deadline deadline) override {
    if (server.name != "weather") return NotFound("server " + ToString(server));
    std::unique_lock<std::mutex> lock(mu_);
    last_log_options_ = options;
    ++log_calls_;
    size_t at = 0;
    if (options.tail_lines >= 0 && lines_.size() > static_cast<size_t>(options.tail_lines))
      at = lines_.size() - static_cast<size_t>(options.tail_lines);
    while (true) {
      for (; at < lines_.size(); ++at) {
        if (options.since && ParseTime(lines_[at].substr(0, 20)).value() < *options.since) continue;
        if (!sink(lines_[at])) return OkStatus();
      }
      if (!options.follow || log_over_) return OkStatus();
      if (deadline.Expired()) return DeadlineExceeded("follow");
      lock.unlock();
      std::this_thread::yield();
      lock.lock();
    }
  }
  StatusOr<Json> Call(const ServerKey& server, const std::string& method, const Json& params,
                      Deadline deadline) override {
    if (server.name != "weather") return NotFound("server " + ToString(server));
    if (method == "slow") {
      while (!deadline.Expired() && !release_) std::this_thread::yield();
      return release_ ? StatusOr<Json>(Json::object()) : DeadlineExceeded("no answer to slow");
    }
    if (method == "tools/list") {
      if (GetString(params, "cursor") == "2") return Json{{"tools", {{{"name", "b"}}}}};
      return Json{{"tools", {{{"name", "a"}}}}, {"nextCursor", "2"}};
    }
    if (method == "tools/call") return Json{{"content", {{{"type", "text"}, {"text", params.dump()}}}}};
    return FailedPrecondition("-32601: Method not found");
  }

  static Event EventOf(const std::string& name) {
    Event event;
    event.type = "Normal";
    event.object = "MCPServer/default/" + name;
    event.reason = "Started";
    event.message = "instance a1";
    return event;
  }
  void Publish(const std::string& name) {
    std::function<void(const Event&)> listener;
    {
      std::lock_guard<std::mutex> lock(mu_);
      listener = listener_;
    }
    if (listener) listener(EventOf(name));
  }
  void AddLine(const std::string& line) {
    std::lock_guard<std::mutex> lock(mu_);
    lines_.push_back(line);
  }

  std::mutex mu_;
  std::function<void(const Event&)> listener_;
  std::vector<std::string> lines_{"2026-11-22T10:00:00Z one\n", "2026-11-22T10:00:01Z two\n"};
  LogOptions last_log_options_;
  std::atomic<bool> store_ok_{true}, log_over_{false}, release_{false};
  std::atomic<int> log_calls_{0};
};

class AdminTest : public testing::Test {
 protected:
  void SetUp() override {
    char directory[] = "/tmp/mcpfleet-admin-XXXXXX";
    ASSERT_NE(mkdtemp(directory), nullptr);
    directory_ = directory;
    auto server = AdminServer::Create({.unix_path = directory_ + "/mcplet.sock", .token_file = directory_ + "/token"},
                                      backend_, clock_);
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
    token_ = std::string(Trim(*ReadFile(directory_ + "/token", 4096)));
    unix_ = std::make_unique<http::Client>(http::UnixEndpoint(directory_ + "/mcplet.sock"), http::ClientOptions{});
    tcp_ = std::make_unique<http::Client>(http::TcpEndpoint("127.0.0.1", server_->port()), http::ClientOptions{});
  }
  void TearDown() override {
    backend_.release_ = backend_.log_over_ = true;
    server_.reset();
    EXPECT_TRUE(RemoveTree(directory_).ok());
  }
  Response Get(const std::string& target) {
    StatusOr<Response> response = unix_->Do({.target = target}, Deadline::After(10s));
    EXPECT_TRUE(response.ok()) << target << response.status();
    return response.ok() ? *response : Response{};
  }
  Response GetTcp(const std::string& target, const std::vector<std::pair<std::string, std::string>>& headers) {
    Request request{.target = target};
    for (const auto& [name, value] : headers) request.headers.Set(name, value);
    StatusOr<Response> response = tcp_->Do(request, Deadline::After(10s));
    EXPECT_TRUE(response.ok()) << target << response.status();
    return response.ok() ? *response : Response{};
  }
  Response Post(const std::string& target, const std::string& body, const std::string& timeout = "10s") {
    Request request{.method = "POST", .target = target, .headers = {}, .body = body};
    request.headers.Set("Content-Type", "application/json");
    request.headers.Set("X-Timeout", timeout);
    StatusOr<Response> response = unix_->Do(request, Deadline::After(20s));
    EXPECT_TRUE(response.ok()) << target << response.status();
    return response.ok() ? *response : Response{};
  }
  static std::string ErrorCode(const Response& response) {
    StatusOr<Json> body = ParseJson(response.body);
    return body.ok() ? GetString(GetMember(*body, "error"), "code") : "no JSON: " + response.body;
  }
  // Reads until `text` has come.
  static std::string ReadUntil(http::ResponseStream& stream, const std::string& text) {
    std::string all;
    Deadline deadline = Deadline::After(10s);
    while (all.find(text) == std::string::npos) {
      StatusOr<std::string> piece = stream.Read(deadline);
      if (!piece.ok() || piece->empty()) break;
      all += *piece;
    }
    return all;
  }

  FakeBackend backend_;
  SystemClock clock_;
  std::string directory_, token_;
  std::unique_ptr<AdminServer> server_;
  std::unique_ptr<http::Client> unix_, tcp_;
};

TEST_F(AdminTest, HealthChecksTellWhatIsNotReady) {
  EXPECT_EQ(Get("/livez").status, 200);
  EXPECT_EQ(Get("/readyz").body, "ok\n");
  EXPECT_EQ(Get("/readyz?verbose").body, "[+]store ok\n[+]runtimes ok\nok\n");
  backend_.store_ok_ = false;
  Response response = Get("/readyz");
  EXPECT_EQ(response.status, 503);
  EXPECT_EQ(response.body, "[-]store: no answer since 12:00\nnot ready\n");
  EXPECT_EQ(Get("/livez").status, 200);
  EXPECT_EQ(Get("/metrics").body, "# HELP x\nmcpfleet_up 1\n");
}

TEST_F(AdminTest, StatusServersAndEventsAreJson) {
  EXPECT_EQ((*ParseJson(Get("/v1/status").body))["node"], "edge-01");
  EXPECT_EQ(*ParseJson(Get("/v1/identity").body),
            (Json{{"node", "edge-01"}, {"keys", {{"signing", "signing-public"}, {"sealing", "sealing-public"}}}}));
  EXPECT_EQ((*ParseJson(Get("/v1/servers/default/weather").body))["uid"], "u1");
  Response missing = Get("/v1/servers/default/nothing");
  EXPECT_EQ(missing.status, 404);
  EXPECT_EQ(ErrorCode(missing), "NotFound");
  EXPECT_EQ((*ParseJson(Get("/v1/events").body))["items"].size(), 2u);
  Json one = *ParseJson(Get("/v1/events?server=default%2Fweather").body);
  ASSERT_EQ(one["items"].size(), 1u);
  EXPECT_EQ(one["items"][0]["object"], "MCPServer/default/weather");
  EXPECT_EQ(Get("/v1/events?server=weather").status, 400);
}

TEST_F(AdminTest, PathsAndMethodsThatAreNotThereAreRefused) {
  for (const char* path : {"/", "/v1", "/v2/status", "/v1/servers/default/weather/other", "/v1/servers/a/b/c/d"}) {
    EXPECT_EQ(Get(path).status, 404) << path;
  }
  EXPECT_EQ(Get("/v1/servers/default/weather/call").status, 405);
  EXPECT_EQ(Post("/v1/status", "{}").status, 405);
  EXPECT_EQ(Post("/v1/identity", "{}").status, 405) << "keys are read, never set";
  EXPECT_EQ(Get("/v1/%zz").status, 400);
}

TEST_F(AdminTest, TheMetricsAddressHasHealthAndMetricsAndNothingElse) {
  EXPECT_EQ(server_->metrics_port(), 0);
  auto server = AdminServer::Create({.address = "", .metrics_address = "127.0.0.1"}, backend_, clock_);
  ASSERT_TRUE(server.ok()) << server.status();
  http::Client client(http::TcpEndpoint("127.0.0.1", (*server)->metrics_port()), http::ClientOptions{});
  const auto ask = [&](const std::string& method, const std::string& target) {
    Request request{.method = method, .target = target};
    request.headers.Set("Host", "edge-01.example.com:8703");  // whatever a Prometheus calls it
    StatusOr<Response> response = client.Do(request, Deadline::After(10s));
    EXPECT_TRUE(response.ok()) << target << response.status();
    return response.ok() ? *response : Response{};
  };
  for (const char* path : {"/livez", "/readyz", "/healthz", "/metrics"})
    EXPECT_EQ(ask("GET", path).status, 200) << path;
  EXPECT_EQ(ask("GET", "/metrics").body, "# HELP x\nmcpfleet_up 1\n");
  for (const char* path : {"/v1/status", "/v1/events", "/v1/servers/default/weather/logs", "/", "/metrics/x"})
    EXPECT_EQ(ask("GET", path).status, 404) << path;
  EXPECT_EQ(ask("POST", "/metrics").status, 405);
  EXPECT_EQ(ask("POST", "/v1/servers/default/weather/call").status, 404);
}

TEST_F(AdminTest, OverTcpTheTokenIsNeededExceptForHealthAndMetrics) {
  EXPECT_EQ(server_->address(), "127.0.0.1:" + std::to_string(server_->port()));
  EXPECT_EQ(token_.size(), 64u);
  struct stat info {};
  ASSERT_EQ(stat((directory_ + "/token").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
  for (const char* path : {"/livez", "/readyz", "/healthz", "/metrics"})
    EXPECT_EQ(GetTcp(path, {}).status, 200) << path;
  EXPECT_EQ(GetTcp("/v1/status", {}).status, 401);
  EXPECT_EQ(GetTcp("/v1/identity", {}).status, 401);
  EXPECT_EQ(GetTcp("/nothing", {}).status, 401);
  EXPECT_EQ(GetTcp("/v1/status", {{"Authorization", "Bearer wrong"}}).status, 401);
  EXPECT_EQ(GetTcp("/v1/status", {{"Authorization", "Bearer " + token_}}).status, 200);
}

TEST_F(AdminTest, AWebPageCannotReachItUnderAnotherName) {
  std::string bearer = "Bearer " + token_;
  EXPECT_EQ(GetTcp("/metrics", {{"Host", "evil.example.com"}}).status, 403);
  EXPECT_EQ(GetTcp("/v1/status", {{"Authorization", bearer}, {"Host", "evil.example.com:8701"}}).status, 403);
  EXPECT_EQ(GetTcp("/v1/status", {{"Authorization", bearer}, {"Origin", "http://evil.example.com"}}).status, 403);
  EXPECT_EQ(GetTcp("/v1/status", {{"Authorization", bearer}, {"Origin", "null"}}).status, 403);
  EXPECT_EQ(GetTcp("/v1/status", {{"Authorization", bearer}, {"Origin", "http://localhost:8701"}}).status, 200);
  EXPECT_TRUE(admin::IsLoopbackHost("[::1]:80"));
  EXPECT_FALSE(admin::IsLoopbackHost("127.0.0.1.evil.example.com"));
  EXPECT_FALSE(admin::IsLoopbackHost(""));
}

TEST_F(AdminTest, ATokenThatOthersCanReadIsRefused) {
  std::string path = directory_ + "/open-token";
  ASSERT_TRUE(WriteFileAtomically(path, std::string(32, 'x'), 0644).ok());
  EXPECT_EQ(AdminServer::Create({.token_file = path}, backend_, clock_).status().code(),
            StatusCode::kFailedPrecondition);
  EXPECT_EQ(AdminServer::Create({.address = "0.0.0.0", .token_file = path}, backend_, clock_).status().code(),
            StatusCode::kInvalidArgument);
}

TEST_F(AdminTest, ToolsComeFromEveryPage) {
  Json tools = *ParseJson(Get("/v1/servers/default/weather/tools").body);
  EXPECT_EQ(tools, Json::parse(R"({"tools":[{"name":"a"},{"name":"b"}]})"));
  EXPECT_EQ(Get("/v1/servers/default/files/tools").status, 404);
}

TEST_F(AdminTest, CallsBringTheResultOrAnErrorWithItsStatus) {
  const std::string path = "/v1/servers/default/weather/call";
  Response response = Post(path, R"({"method":"tools/call","params":{"name":"a"}})");
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ((*ParseJson(response.body))["content"][0]["text"], R"({"name":"a"})");
  response = Post(path, R"({"method":"nothing"})");
  EXPECT_EQ(response.status, 422);
  EXPECT_EQ(ErrorCode(response), "FailedPrecondition");
  EXPECT_NE(response.body.find("-32601: Method not found"), std::string::npos);
  EXPECT_EQ(Post(path, R"({"method":"slow"})", "50ms").status, 504);
  EXPECT_EQ(Post(path, "{").status, 400);
  EXPECT_EQ(Post(path, "{}").status, 400);
  EXPECT_EQ(Post(path, R"({"method":"tools/call"})", "soon").status, 400);
  Request plain{.method = "POST", .target = path, .headers = {}, .body = "{}"};
  plain.headers.Set("Content-Type", "text/plain");
  EXPECT_EQ(unix_->Do(plain, Deadline::After(10s))->status, 415);
}

TEST_F(AdminTest, HealthAnswersWhileCallsHang) {
  std::vector<std::thread> callers;
  callers.reserve(40);
  std::atomic<int> refused{0}, served{0};
  for (int i = 0; i < 40; ++i) {
    callers.emplace_back([&] {
      http::Client client(http::UnixEndpoint(directory_ + "/mcplet.sock"), {});
      Request request{.method = "POST",
                      .target = "/v1/servers/default/weather/call",
                      .headers = {},
                      .body = R"({"method":"slow"})"};
      request.headers.Set("Content-Type", "application/json");
      StatusOr<Response> response = client.Do(request, Deadline::After(30s));
      ASSERT_TRUE(response.ok()) << response.status();
      (response->status == 503 ? refused : served)++;
    });
  }
  Deadline deadline = Deadline::After(20s);
  while (refused < 8 && !deadline.Expired()) std::this_thread::yield();
  EXPECT_EQ(Get("/livez").status, 200);
  backend_.release_ = true;
  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(refused, 8);
  EXPECT_EQ(served, 32);
}

TEST_F(AdminTest, LogsAreText) {
  Response response = Get("/v1/servers/default/weather/logs");
  EXPECT_EQ(response.body, "2026-11-22T10:00:00Z one\n2026-11-22T10:00:01Z two\n");
  EXPECT_EQ(Get("/v1/servers/default/weather/logs?tail=1").body, "2026-11-22T10:00:01Z two\n");
  EXPECT_EQ(Get("/v1/servers/default/weather/logs?since=2026-11-22T10:00:01Z&previous=true").body,
            "2026-11-22T10:00:01Z two\n");
  EXPECT_TRUE(backend_.last_log_options_.previous);
  EXPECT_EQ(Get("/v1/servers/default/nothing/logs").status, 404);
  EXPECT_EQ(Get("/v1/servers/default/nothing/logs?follow").status, 404);
  EXPECT_EQ(Get("/v1/servers/default/weather/logs?tail=x").status, 400);
  EXPECT_EQ(Get("/v1/servers/default/weather/logs?since=yesterday").status, 400);
}

TEST_F(AdminTest, AFollowedLogGoesOnOverItsSlicesWithoutLossOrRepetition) {
  auto stream = unix_->Open({.target = "/v1/servers/default/weather/logs?follow=true"}, Deadline::After(10s));
  ASSERT_TRUE(stream.ok()) << stream.status();
  std::string all = ReadUntil(**stream, "two\n");
  backend_.AddLine("2026-11-22T10:00:01Z three\n");  // the same second as the line before
  all += ReadUntil(**stream, "three\n");
  Deadline deadline = Deadline::After(20s);
  while (backend_.log_calls_ < 2 && !deadline.Expired()) std::this_thread::yield();
  backend_.AddLine("2026-11-22T10:00:01Z four\n");
  backend_.AddLine("2026-11-22T10:00:02Z five\n");
  all += ReadUntil(**stream, "five\n");
  backend_.log_over_ = true;
  all += ReadUntil(**stream, "nothing more");
  EXPECT_EQ(all,
            "2026-11-22T10:00:00Z one\n2026-11-22T10:00:01Z two\n2026-11-22T10:00:01Z three\n"
            "2026-11-22T10:00:01Z four\n2026-11-22T10:00:02Z five\n");
}

TEST_F(AdminTest, WatchedEventsComeAsLinesOfTheServerAskedFor) {
  auto stream = unix_->Open({.target = "/v1/events?watch=1&server=default/weather"}, Deadline::After(10s));
  ASSERT_TRUE(stream.ok()) << stream.status();
  backend_.Publish("files");
  backend_.Publish("weather");
  std::string line = ReadUntil(**stream, "\n");
  EXPECT_EQ((*ParseJson(Trim(line)))["object"], "MCPServer/default/weather");
}

TEST_F(AdminTest, ItStopsUnderOpenStreams) {
  auto events = unix_->Open({.target = "/v1/events?watch=1"}, Deadline::After(10s));
  auto logs = unix_->Open({.target = "/v1/servers/default/weather/logs?follow=1"}, Deadline::After(10s));
  ASSERT_TRUE(events.ok() && logs.ok());
  ReadUntil(**logs, "two\n");
  server_.reset();
  backend_.Publish("weather");
  StatusOr<std::string> end = (*events)->Read(Deadline::After(10s));
  EXPECT_TRUE(!end.ok() || end->empty());
}

TEST(SeamFilterTest, OnlyLinesAfterTheLastOneAreNew) {
  SeamFilter seam;
  EXPECT_TRUE(seam.Take("2026-11-22T10:00:00.5Z a"));
  EXPECT_TRUE(seam.Take("2026-11-22T10:00:00.7Z b"));
  EXPECT_TRUE(seam.Take("2026-11-22T10:00:00.7Z b"));
  seam.StartSlice();
  EXPECT_EQ(FormatTime(*seam.last_time()), "2026-11-22T10:00:00Z");
  EXPECT_FALSE(seam.Take("2026-11-22T10:00:00.5Z a"));
  EXPECT_FALSE(seam.Take("2026-11-22T10:00:00.7Z b"));
  EXPECT_FALSE(seam.Take("2026-11-22T10:00:00.7Z b"));
  EXPECT_TRUE(seam.Take("2026-11-22T10:00:00.7Z c"));
  EXPECT_TRUE(seam.Take("2026-11-22T10:00:01.0Z d"));
  EXPECT_TRUE(seam.Take("2026-11-22T09:00:00.0Z after the clock was set back"));
}

}  // namespace
}  // namespace mcpfleet
