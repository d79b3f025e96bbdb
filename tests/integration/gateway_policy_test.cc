// Who may use a server through the gateway, which tools and how often; and what is written down of it.
#include <gtest/gtest.h>

#include "base/digest.h"
#include "base/fd.h"
#include "base/strings.h"
#include "tests/integration/gateway_fixture.h"
#include "tests/integration/upstream.h"

namespace mcpfleet {
namespace {

using std::chrono::seconds;

class GatewayPolicyTest : public GatewayNodeTest {
 protected:
  NodeOptions Options() const override {
    NodeOptions options;
    options.gateway = {
        {"accessLog", "On"}, {"corsOrigins", {"https://app.example.com"}}, {"publicUrls", {"https://mcp.example.com"}}};
    return options;
  }
  std::string LogFile(const std::string& name) const {
    return ReadFile(node_->state() + "/gateway/" + name, size_t{8} << 20).value_or("");
  }
};

Json BearerAuth(const HeaderList& tokens) {
  Json list = Json::array();
  for (const auto& [name, token] : tokens) list.push_back({{"name", name}, {"sha256", Sha256Hex(token)}});
  return {{"auth", {{"type", "Bearer"}, {"bearer", {{"tokens", list}}}}}};
}

McpClient::Options With(const std::string& token, McpClient::Era era = McpClient::Era::kLegacy) {
  return {.era = era, .headers = {{"Authorization", "Bearer " + token}}};
}

// --- who ------------------------------------------------------------------------------------------------------------

TEST_F(GatewayPolicyTest, WithoutAKnownTokenNothingIsAnsweredAndAnothersSessionIsNotThere) {
  const Json auth = BearerAuth({{"ada", "mcpf_ada"}, {"bob", "mcpf_bob"}});
  ASSERT_TRUE(behind_->Run({ProcessServer("weather", {}, auth)}));
  for (const char* header : {"", "Bearer mcpf_eve", "Basic bWNwZl9hZGE="}) {
    McpClient::Options options;
    if (*header != '\0') options.headers = {{"Authorization", header}};
    const auto client = behind_->Client("weather", options);
    for (const auto& answer : {client->Begin("initialize"), client->Listen()}) {
      EXPECT_EQ(answer->status(), 401) << header;
      EXPECT_TRUE(answer->Header("WWW-Authenticate").starts_with("Bearer")) << answer->Header("WWW-Authenticate");
    }
  }
  const auto ada = behind_->Session("weather", With("mcpf_ada"));
  ASSERT_NE(ada, nullptr);
  EXPECT_EQ(ada->Call("who"), "test-server");
  const auto bob = behind_->Client("weather", With("mcpf_bob"));
  bob->Take(ada->session());
  EXPECT_EQ(GetInt(bob->Request("tools/list"), "status"), 404);
  EXPECT_EQ(bob->Listen()->status(), 404);
  EXPECT_EQ(bob->Delete(), 404);
  EXPECT_EQ(ada->Call("who"), "test-server");
  const auto modern = behind_->Client("weather", With("mcpf_ada", McpClient::Era::kModern));
  const auto bobs = behind_->Client("weather", With("mcpf_bob", McpClient::Era::kModern));
  EXPECT_EQ(modern->Call("who"), "test-server");
  EXPECT_NE(modern->Call("nonce"), bobs->Call("nonce")) << "two subjects share a process";
  EXPECT_EQ(GetInt(behind_->Modern("weather")->Request("tools/list"), "status"), 401);
}

TEST_F(GatewayPolicyTest, ATokenThatWasRemovedFromTheSpecIsRefusedAtOnce) {
  const Json both = BearerAuth({{"ada", "mcpf_ada"}, {"bob", "mcpf_bob"}}), one = BearerAuth({{"bob", "mcpf_bob"}});
  ASSERT_TRUE(behind_->Run({ProcessServer("weather", {}, both)}));
  const std::set<pid_t> watched = behind_->Pids();
  const auto ada = behind_->Session("weather", With("mcpf_ada")), bob = behind_->Session("weather", With("mcpf_bob"));
  ASSERT_TRUE(ada != nullptr && bob != nullptr);
  ASSERT_TRUE(node_->Apply({ProcessServer("weather", {}, one)}).ok());
  EXPECT_TRUE(WaitFor([&] { return GetInt(ada->Request("tools/list"), "status") == 401; }));
  EXPECT_EQ(bob->Call("who"), "test-server") << "its session goes on";
  EXPECT_TRUE(Without(watched, behind_->Pids()).empty()) << "the server was restarted";
}

TEST_F(GatewayPolicyTest, AClientsTokenIsNotSentToTheServer) {
  Upstream upstream;
  Json spec = BearerAuth({{"ada", "mcpf_ada"}});
  spec["source"] = {
      {"remote", {{"url", upstream.url()}, {"headers", {{{"name", "X-Key"}, {"value", "of-the-spec"}}}}}}};
  const Json far = {
      {"apiVersion", "mcpfleet.dev/v1alpha1"}, {"kind", "MCPServer"}, {"metadata", {{"name", "far"}}}, {"spec", spec}};
  ASSERT_TRUE(behind_->Run({far}));
  const auto legacy = behind_->Session("far", With("mcpf_ada"));
  ASSERT_NE(legacy, nullptr);
  EXPECT_EQ(legacy->Call("echo", {{"message", "legacy-call"}}), "from far");
  const auto modern = behind_->Client("far", With("mcpf_ada", McpClient::Era::kModern));
  EXPECT_EQ(modern->Call("echo", {{"message", "modern-call"}}), "from far");
  const std::string seen = upstream.Seen();
  EXPECT_NE(seen.find("legacy-call"), std::string::npos);
  EXPECT_NE(seen.find("modern-call"), std::string::npos);
  EXPECT_NE(ToLower(seen).find("x-key: of-the-spec"), std::string::npos) << seen;
  EXPECT_EQ(seen.find("mcpf_ada"), std::string::npos) << seen;
  EXPECT_EQ(ToLower(seen).find("authorization"), std::string::npos) << seen;
}

TEST_F(GatewayPolicyTest, ForeignHostsAndOriginsAreRefusedAndOnlyConfiguredPagesMayRead) {
  ASSERT_TRUE(behind_->Run({ProcessServer("weather")}));
  const std::string url = node_->GatewayUrl("weather"), path = "/default/weather/mcp";
  const auto status = [&](const std::string& method, const HeaderList& headers) {
    http::Request request{.method = method, .target = path, .body = method == "POST" ? "{}" : ""};
    request.headers.Add("Accept", "application/json, text/event-stream");
    request.headers.Add("Content-Type", "application/json");
    for (const auto& [name, value] : headers) request.headers.Set(name, value);
    return Ask(url, request);
  };
  for (const char* method : {"POST", "GET", "DELETE", "OPTIONS"}) {
    EXPECT_EQ(status(method, {{"Host", "evil.example.com"}}).status, 403) << method;
    EXPECT_EQ(status(method, {{"Origin", "http://evil.example.com"}}).status, 403) << method;
    EXPECT_EQ(status(method, {{"Origin", "null"}}).status, 403) << method;
  }
  EXPECT_NE(status("POST", {{"Host", "mcp.example.com"}, {"Origin", "https://mcp.example.com"}}).status, 403);
  const http::Response page = status("POST", {{"Origin", "https://app.example.com"}});
  EXPECT_EQ(page.status, 400);
  EXPECT_EQ(page.headers.Get("Access-Control-Allow-Origin").value_or(""), "https://app.example.com");
  const http::Response local = status("POST", {{"Origin", "http://localhost:3000"}});
  EXPECT_EQ(local.status, 400);
  EXPECT_FALSE(local.headers.Has("Access-Control-Allow-Origin"));
  const http::Response preflight =
      status("OPTIONS", {{"Origin", "https://app.example.com"},
                         {"Access-Control-Request-Method", "POST"},
                         {"Access-Control-Request-Headers", "content-type, mcp-session-id, mcp-param-city"}});
  http::Request metadata{.target = "/.well-known/oauth-protected-resource" + path};
  metadata.headers.Add("Origin", "https://app.example.com");
  EXPECT_EQ(Ask(url, metadata).headers.Get("Access-Control-Allow-Origin").value_or(""), "https://app.example.com");
  EXPECT_EQ(preflight.status, 204);
  EXPECT_EQ(preflight.headers.Get("Access-Control-Allow-Origin").value_or(""), "https://app.example.com");
  EXPECT_NE(preflight.headers.Get("Access-Control-Allow-Headers").value_or("").find("mcp-param-city"),
            std::string::npos);
}

// --- what and how often ---------------------------------------------------------------------------------------------

TEST_F(GatewayPolicyTest, ADeniedToolIsNeitherListedNorCallableInEitherEra) {
  const Json spec = {{"tools", {{"deny", {"exit", "oom"}}}}};
  ASSERT_TRUE(behind_->Run({ProcessServer("weather", {}, spec), ProcessServer("new", {"--modern"}, spec)}));
  for (const char* server : {"weather", "new"}) {
    const auto legacy = behind_->Session(server), modern = behind_->Modern(server);
    ASSERT_NE(legacy, nullptr);
    for (McpClient* client : {legacy.get(), modern.get()}) {
      const std::vector<std::string> tools = client->ToolNames();
      EXPECT_EQ(std::count(tools.begin(), tools.end(), "echo"), 1) << Join(tools, " ");
      EXPECT_EQ(std::count(tools.begin(), tools.end(), "exit"), 0) << Join(tools, " ");
      const std::string nonce = client->Call("nonce");
      const std::string refused = client->Call("exit", {{"code", 0}});
      EXPECT_NE(refused.find("-32602"), std::string::npos) << refused;
      EXPECT_EQ(client->Call("nonce"), nonce);
    }
  }
}

TEST_F(GatewayPolicyTest, MoreThanTheRateLimitIsAnswered429AndAnotherServerIsNotTouched) {
  const Json spec = {{"rateLimit", {{"requests", 3}, {"per", "1h"}}}};
  ASSERT_TRUE(behind_->Run({ProcessServer("weather", {}, spec), ProcessServer("other")}));
  const auto client = behind_->Modern("weather");
  for (int i = 0; i < 3; ++i) EXPECT_EQ(client->Call("who"), "test-server");
  const auto refused = client->BeginCall("who");
  EXPECT_EQ(refused->status(), 429);
  EXPECT_GT(std::atoi(refused->Header("Retry-After").c_str()), 60);
  EXPECT_TRUE(IsError(refused->Next()));
  EXPECT_EQ(behind_->Modern("other")->Call("who"), "test-server");
}

TEST_F(GatewayPolicyTest, MoreThanTheRequestsAtOnceAreRefusedUntilOneIsAnswered) {
  const Json spec = {{"rateLimit", {{"maxConcurrent", 1}}}};
  ASSERT_TRUE(behind_->Run({ProcessServer("weather", {}, spec)}));
  const auto client = behind_->Session("weather");
  ASSERT_NE(client, nullptr);
  const int64_t id = client->next_id();
  const auto slow = client->BeginCall("sleep", {{"ms", 60'000}});
  EXPECT_EQ(client->BeginCall("who")->status(), 429);
  EXPECT_EQ(client->Notify("notifications/cancelled", {{"requestId", id}}), 202);
  EXPECT_FALSE(slow->Next(seconds(5)));
  EXPECT_EQ(client->Call("who"), "test-server");
}

class GatewayLimitsTest : public GatewayNodeTest {
 protected:
  NodeOptions Options() const override {
    NodeOptions options;
    options.gateway = {{"limits",
                        {{"headerBytes", "4Ki"},
                         {"batchMessages", 2},
                         {"callsPerSession", 1},
                         {"listensPerSubject", 1},
                         {"progressTimeout", "2s"}}}};
    return options;
  }
};

TEST_F(GatewayLimitsTest, LimitsOfTheConfigurationAreThoseOfTheGateway) {
  ASSERT_TRUE(behind_->Run({ProcessServer("weather")}));
  http::Request large{.target = "/default/weather/healthz"};
  large.headers.Add("X-Large", std::string(5000, 'x'));
  EXPECT_EQ(Ask(node_->GatewayUrl("weather"), large).status, 431);
  const auto batch = [&](int messages) {
    http::Request request{.method = "POST", .target = "/default/weather/mcp"};
    request.headers.Add("Accept", "application/json, text/event-stream");
    request.headers.Add("Content-Type", "application/json");
    request.headers.Add("MCP-Protocol-Version", "2025-03-26");
    request.body = DumpJson(Json(std::vector<Json>(messages, {{"jsonrpc", "2.0"}, {"method", "notifications/x"}})));
    return Ask(node_->GatewayUrl("weather"), request).body;
  };
  EXPECT_NE(batch(2).find("Mcp-Session-Id"), std::string::npos) << "that is what it lacks then";
  EXPECT_EQ(batch(3).find("Mcp-Session-Id"), std::string::npos);
  const auto client = behind_->Session("weather");
  ASSERT_NE(client, nullptr);
  const auto slow = client->BeginCall("sleep", {{"ms", 60'000}});
  EXPECT_EQ(client->BeginCall("who")->status(), 429);
  const std::optional<Json> late = slow->Next(seconds(20));
  EXPECT_TRUE(IsError(late)) << "no progress in two seconds";
  EXPECT_EQ(client->Call("who"), "test-server");
  const auto modern = behind_->Modern("weather");
  const Json wanted = {{"notifications", Json::object()}};
  const auto first = modern->Begin("subscriptions/listen", wanted);
  EXPECT_EQ(first->status(), 200);
  EXPECT_EQ(modern->Begin("subscriptions/listen", wanted)->status(), 429);
}

// --- what is written down -------------------------------------------------------------------------------------------

TEST_F(GatewayPolicyTest, HealthFollowsReadiness) {
  ASSERT_TRUE(behind_->Run({ProcessServer("weather")}));
  ASSERT_TRUE(node_->Apply({ProcessServer("garbage", {"--garbage"})}).ok());
  ASSERT_TRUE(node_->WaitCondition("garbage", "Verified", "False", "NotMCP"));
  EXPECT_EQ(behind_->Health("weather"), 200);
  EXPECT_EQ(behind_->Health("garbage"), 503);
  EXPECT_EQ(behind_->Health("absent"), 404);
  EXPECT_EQ(GetInt(behind_->Modern("garbage")->Request("tools/list"), "status"), 503);
  EXPECT_EQ(GetInt(behind_->Modern("absent")->Request("tools/list"), "status"), 404);
  const Json pinned = {{"tools", {{"pinning", "Block"}, {"pins", {{"who", "sha256:" + std::string(64, '0')}}}}}};
  ASSERT_TRUE(node_->Apply({ProcessServer("pinned", {}, pinned)}).ok());
  ASSERT_TRUE(node_->WaitCondition("pinned", "ToolsPinned", "False", "ToolsChanged"));
  EXPECT_TRUE(WaitFor([&] { return behind_->Health("pinned") == 503; }));
  EXPECT_NE(behind_->Modern("pinned")->Call("who").find("-32602"), std::string::npos);
  ASSERT_TRUE(node_->Mcpctl({"delete", "mcp/weather"}).ok());
  EXPECT_TRUE(WaitFor([&] { return behind_->Health("weather") == 404; }));
}

TEST_F(GatewayPolicyTest, RequestsAndSessionsAreCounted) {
  ASSERT_TRUE(behind_->Run({ProcessServer("weather")}));
  const auto metric = [&](const std::string& line) {
    const std::string text =
        Ask("http://127.0.0.1:" + std::to_string(node_->admin_port()) + "/", {.target = "/metrics"}).body;
    const size_t at = text.find("\n" + line + " ");
    return at == std::string::npos ? -1 : std::atoi(text.c_str() + at + line.size() + 2);
  };
  const std::string server = R"(namespace="default",server="weather"})", sessions = "mcpfleet_sessions{" + server;
  const auto requests = [&server](const std::string& method, const std::string& code) {
    return "mcpfleet_gateway_requests_total{code=\"" + code + "\",method=\"" + method + "\"," + server;
  };
  const std::string calls = requests("tools/call", "200");
  EXPECT_EQ(metric(calls), 0);
  EXPECT_EQ(metric(sessions), 0);
  const auto client = behind_->Session("weather");
  ASSERT_NE(client, nullptr);
  EXPECT_EQ(metric(sessions), 1);
  for (int i = 0; i < 5; ++i) EXPECT_EQ(client->Call("who"), "test-server");
  EXPECT_EQ(behind_->Modern("weather")->Call("who"), "test-server");
  // A request is counted when it is over: a moment after its answer.
  EXPECT_TRUE(WaitFor([&] { return metric(calls) == 6; })) << metric(calls);
  EXPECT_TRUE(client->Request("constructor").contains("error"));
  EXPECT_TRUE(WaitFor([&] { return metric(requests("other", "200")) == 1; }));
  EXPECT_EQ(client->Delete(), 200);
  EXPECT_EQ(metric(sessions), 0);
  EXPECT_EQ(GetInt(client->Request("tools/list"), "status"), 404);
  EXPECT_EQ(metric(R"(mcpfleet_gateway_rejected_total{reason="session"})"), 1);
}

TEST_F(GatewayPolicyTest, CallsAreWrittenDownWithoutTheirArguments) {
  const Json auth = BearerAuth({{"ada", "mcpf_ada"}});
  ASSERT_TRUE(behind_->Run({ProcessServer("weather", {}, auth)}));
  const auto client = behind_->Session("weather", With("mcpf_ada"));
  ASSERT_NE(client, nullptr);
  EXPECT_EQ(client->Call("echo", {{"message", "a secret"}}), "a secret");
  for (const char* file : {"audit.log", "access.log"}) {
    ASSERT_TRUE(WaitFor([&] { return LogFile(file).find("tools/call") != std::string::npos; }, seconds(5))) << file;
    const std::string log = LogFile(file);
    for (const char* secret : {"a secret", "mcpf_ada", "bearer:ada"})
      EXPECT_EQ(log.find(secret), std::string::npos) << log;
    EXPECT_EQ(log.find(client->session()), std::string::npos) << log;
    const size_t end = log.find('\n', log.find("tools/call"));
    const Json line =
        ParseJson(log.substr(log.rfind('\n', end - 1) + 1, end - log.rfind('\n', end - 1) - 1)).value_or(Json());
    EXPECT_EQ(GetString(line, "server"), "default/weather") << log;
    EXPECT_EQ(GetString(line, "tool"), "echo") << log;
    EXPECT_EQ(GetInt(line, "status"), 200) << log;
    EXPECT_FALSE(GetString(line, "subject").empty()) << log;
  }
  EXPECT_EQ(LogFile("audit.log").find("initialize"), std::string::npos) << "only tool calls";
  EXPECT_NE(LogFile("access.log").find("initialize"), std::string::npos);
}

}  // namespace
}  // namespace mcpfleet
