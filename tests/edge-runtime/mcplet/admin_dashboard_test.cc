// The admin listener with a dashboard beside it, and without.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/fd.h"
#include "base/http/client.h"
#include "base/strings.h"
#include "edge-runtime/dashboard/dashboard.h"
#include "edge-runtime/mcplet/admin.h"
#include "store/server/embedded_kv.h"
#include "tests/store/testing.h"

namespace mcpfleet {
namespace {

using http::Response;
using testing::TempDir;

class Backend final : public AdminBackend {
 public:
  std::vector<ReadyCheck> Ready() override { return {}; }
  NodeStatus GetStatus() override { return {.node = "edge-01"}; }
  NodePublicKeys Keys() override { return {}; }
  std::string Metrics() override { return ""; }
  std::vector<Event> Events(const std::optional<ServerKey>&) override { return {}; }
  std::function<void()> WatchEvents(std::function<void(const Event&)>) override {
    return [] {};
  }
  Status Logs(const ServerKey&, const LogOptions&, std::function<bool(std::string_view)>, Deadline) override {
    return OkStatus();
  }
  StatusOr<Json> Call(const ServerKey&, const std::string&, const Json&, Deadline) override { return Json::object(); }
};

class AdminDashboardTest : public ::testing::Test {
 protected:
  void Start(bool with_dashboard) {
    if (with_dashboard) {
      dashboard_ = std::make_unique<dashboard::Dashboard>(
          dashboard::Host{.desired = *kv_,
                          .statuses = *kv_,
                          .clock = clock_,
                          .status = [this] { return backend_.GetStatus(); },
                          .logs = [](const ServerKey&, const LogOptions&, std::function<bool(std::string_view)>,
                                     Deadline) { return OkStatus(); },
                          .gateway = [] { return std::nullopt; },
                          .is_operator = [](std::string_view token) { return token == "operator"; },
                          .audit_file = dir_ / "audit"});
    }
    auto server = AdminServer::Create({.unix_path = dir_ / "sock",
                                       .token_file = dir_ / "token",
                                       .dashboard = dashboard_.get(),
                                       .no_dashboard = "this node follows elsewhere"},
                                      backend_, clock_);
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
    token_ = std::string(Trim(*ReadFile(dir_ / "token", 4096)));
  }
  void TearDown() override { server_.reset(); }
  Response Ask(bool by_unix, http::Request request) {
    http::Client client(by_unix ? http::UnixEndpoint(dir_ / "sock") : http::TcpEndpoint("127.0.0.1", server_->port()),
                        {});
    const auto response = client.Do(request, Deadline::After(std::chrono::seconds(10)));
    EXPECT_TRUE(response.ok()) << response.status();
    return response.ok() ? *response : Response{.status = 0};
  }
  http::Request LoginByTcp(const std::string& store_token) const {
    http::Request request{.method = "POST", .target = "/v1/dashboard/login"};
    request.headers.Set("Authorization", "Bearer " + token_);
    if (!store_token.empty()) request.headers.Set("Mcpfleet-Store-Token", store_token);
    return request;
  }

  TempDir dir_;
  SystemClock clock_;
  std::unique_ptr<EmbeddedKv> store_ = *EmbeddedKv::Open(dir_ / "kv", clock_);
  std::unique_ptr<KvClient> kv_ = store_->Client(kConfigNamespace);
  Backend backend_;
  std::unique_ptr<dashboard::Dashboard> dashboard_;
  std::unique_ptr<AdminServer> server_;
  std::string token_;
};

TEST_F(AdminDashboardTest, WhoMayUseTheSocketOrChangeTheFleetSignsIn) {
  Start(true);
  const Response login =
      Ask(true, {.method = "POST", .target = "/v1/dashboard/login", .body = "{\"who\":\"ada@laptop\"}"});
  ASSERT_EQ(login.status, 200) << login.body;
  const std::string url = (*ParseJson(login.body))["url"];
  EXPECT_EQ(url.find("http://mcpfleet.localhost:" + std::to_string(server_->port()) + "/-/#"), 0u) << url;
  EXPECT_EQ(Ask(true, {.target = "/v1/dashboard/login"}).status, 405);

  EXPECT_EQ(Ask(false, {.method = "POST", .target = "/v1/dashboard/login"}).status, 401);
  EXPECT_EQ(Ask(false, LoginByTcp("")).status, 403);
  EXPECT_EQ(Ask(false, LoginByTcp("reader")).status, 403);
  http::Request forwarded = LoginByTcp("operator");
  forwarded.headers.Set("Host", "127.0.0.1:18701");
  const Response far = Ask(false, forwarded);
  ASSERT_EQ(far.status, 200) << far.body;
  EXPECT_NE(far.body.find("localhost:18701/-/#"), std::string::npos) << "through the port that the client knows";

  http::Request session{.method = "POST", .target = "/v1/session"};
  session.headers.Set("Authorization", "Bearer " + url.substr(url.find('#') + 1));
  EXPECT_EQ(Ask(false, session).status, 200);
  http::Request status{.target = "/v1/status"};
  EXPECT_EQ(Ask(false, status).status, 401) << "a session is for the dashboard's own routes";
  status.headers.Set("Authorization", "Bearer " + token_);
  EXPECT_EQ(Ask(false, status).status, 200);
}

TEST_F(AdminDashboardTest, WhereThereIsNoneItSaysWhy) {
  Start(false);
  const Response page = Ask(false, {.target = "/-/"});
  EXPECT_EQ(page.status, 404);
  EXPECT_NE(page.body.find("this node follows elsewhere"), std::string::npos);
  http::Request rebound{.target = "/"};
  rebound.headers.Set("Host", "evil.example");
  EXPECT_EQ(Ask(false, rebound).status, 403);
  const Response login = Ask(true, {.method = "POST", .target = "/v1/dashboard/login"});
  EXPECT_EQ(login.status, 422);
  EXPECT_NE(login.body.find("this node follows elsewhere"), std::string::npos);
  EXPECT_EQ(Ask(false, {.target = "/v1/session"}).status, 401) << "as any path without the token";
}

}  // namespace
}  // namespace mcpfleet
