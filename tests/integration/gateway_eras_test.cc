// Clients and servers of both protocol eras, in every pair, and servers that are reached over HTTP.
#include <gtest/gtest.h>

#include "base/strings.h"
#include "tests/integration/gateway_fixture.h"

namespace mcpfleet {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr char kSubscription[] = "io.modelcontextprotocol/subscriptionId";

class GatewayErasTest : public GatewayNodeTest {};

bool Has(const std::vector<std::string>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

// tools/call of `ask`: the question first, then the answer to `reply`.
struct Round {
  Json question, answer;
};
Round AskAndReply(McpClient& client, const std::string& method, const Json& reply) {
  Json params = {{"name", "ask"}, {"arguments", {{"method", method}, {"params", {{"message", "well?"}}}}}};
  Round round;
  round.question = GetMember(client.Request("tools/call", params), "result");
  for (const auto& [key, request] : GetMember(round.question, "inputRequests").items()) {
    params["inputResponses"][key] = reply;
  }
  params["requestState"] = GetString(round.question, "requestState");
  round.answer = client.Request("tools/call", params);
  return round;
}

// --- a legacy server ------------------------------------------------------------------------------------------------

TEST_F(GatewayErasTest, ModernClientsUseALegacyServerWithoutAProcessForEachRequest) {
  ASSERT_TRUE(behind_->Run({ProcessServer("weather", {"--name", "sunny"})}));
  const auto client = behind_->Modern("weather");
  const Json discovered = client->Request("server/discover");
  const Json& result = GetMember(discovered, "result");
  EXPECT_EQ(GetString(GetMember(GetMember(result, "_meta"), "io.modelcontextprotocol/serverInfo"), "name"), "sunny")
      << DumpJson(discovered);
  EXPECT_NE(DumpJson(GetMember(result, "supportedVersions")).find("2026-07-28"), std::string::npos);
  const Json listed = client->Request("tools/list");
  EXPECT_EQ(GetString(GetMember(listed, "result"), "resultType"), "complete") << DumpJson(listed);
  EXPECT_GE(GetInt(GetMember(listed, "result"), "ttlMs", -1), 0) << DumpJson(listed);
  EXPECT_TRUE(Has(client->ToolNames(), "echo"));
  const std::string nonce = client->Call("nonce");
  for (int i = 0; i < 20; ++i) EXPECT_EQ(client->Call("nonce"), nonce);
  EXPECT_EQ(behind_->Modern("weather")->Call("nonce"), nonce) << "another client of the same kind";
  EXPECT_EQ(behind_->Pids().size(), 2u);
}

TEST_F(GatewayErasTest, WhatALegacyServerAsksBecomesInputRequired) {
  ASSERT_TRUE(behind_->Run({ProcessServer("weather")}));
  const auto client = behind_->Modern("weather", {{"elicitation", Json::object()}});
  const Round round = AskAndReply(*client, "elicitation/create", {{"action", "accept"}});
  EXPECT_EQ(GetString(round.question, "resultType"), "input_required") << DumpJson(round.question);
  for (const auto& [key, request] : GetMember(round.question, "inputRequests").items()) {
    EXPECT_EQ(GetString(request, "method"), "elicitation/create");
    EXPECT_EQ(GetString(GetMember(request, "params"), "message"), "well?");
  }
  EXPECT_EQ(TextOf(round.answer), R"({"action":"accept"})");
  // A state that is not of a waiting call, and one that was used, are refused.
  const Json again = client->Request("tools/call", {{"name", "ask"},
                                                    {"arguments", Json::object()},
                                                    {"inputResponses", Json::object()},
                                                    {"requestState", GetString(round.question, "requestState")}});
  EXPECT_EQ(GetInt(GetMember(again, "error"), "code"), -32602) << DumpJson(again);
  // Who can't be asked is not asked, and the server learns so.
  const std::string refused = behind_->Modern("weather")->Call("ask", {{"method", "elicitation/create"}});
  EXPECT_NE(refused.find("error"), std::string::npos) << refused;
}

TEST_F(GatewayErasTest, AModernClientListensToALegacyServersChanges) {
  ASSERT_TRUE(behind_->Run({ProcessServer("weather")}));
  const auto client = behind_->Modern("weather");
  const int64_t id = client->next_id();
  const auto listening = client->Begin("subscriptions/listen", {{"notifications", {{"toolsListChanged", true}}}});
  const std::optional<Json> acknowledged = listening->Next();
  ASSERT_TRUE(acknowledged) << listening->problem();
  EXPECT_EQ(GetString(*acknowledged, "method"), "notifications/subscriptions/acknowledged");
  EXPECT_EQ(client->Call("change_tools"), "changed");
  const std::optional<Json> changed = listening->Next();
  ASSERT_TRUE(changed) << listening->problem();
  EXPECT_EQ(GetString(*changed, "method"), "notifications/tools/list_changed");
  EXPECT_EQ(GetInt(GetMember(GetMember(*changed, "params"), "_meta"), kSubscription), id) << DumpJson(*changed);
  EXPECT_TRUE(Has(client->ToolNames(), "more_1"));
}

TEST_F(GatewayErasTest, AModernClientThatGoesAwayHasCancelledItsCall) {
  ASSERT_TRUE(behind_->Run({ProcessServer("weather"), ProcessServer("new", {"--modern"})}));
  for (const char* server : {"weather", "new"}) {
    const auto client = behind_->Modern(server);
    EXPECT_EQ(GetInt(behind_->Stats(*client), "cancelled"), 0);
    const auto call =
        client->Begin("tools/call", {{"name", "sleep"}, {"arguments", {{"ms", 60'000}}}}, milliseconds(500));
    EXPECT_EQ(call->status(), 0) << "it was answered";
    EXPECT_TRUE(WaitFor([&] { return GetInt(behind_->Stats(*client), "cancelled") == 1; }, seconds(10))) << server;
    EXPECT_EQ(GetInt(behind_->Stats(*client), "sleeping"), 0);
  }
}

TEST_F(GatewayErasTest, AModernCallGetsItsProgressAndALineOfLogOnlyWhenItAskedForThem) {
  ASSERT_TRUE(behind_->Run({ProcessServer("weather")}));
  const auto client = behind_->Modern("weather");
  const std::vector<Json> messages =
      client->BeginCall("progress", {{"count", 50}}, {{"progressToken", "mine"}})->Rest();
  ASSERT_EQ(messages.size(), 51u);
  for (size_t i = 0; i < 50; ++i)
    ASSERT_EQ(GetInt(GetMember(messages[i], "params"), "progress"), static_cast<int64_t>(i) + 1);
  const Json level = {{"io.modelcontextprotocol/logLevel", "info"}};
  EXPECT_EQ(client->BeginCall("log", {{"message", "a line"}}, level)->Rest().size(), 2u);
  EXPECT_EQ(client->BeginCall("log", {{"message", "a line"}})->Rest().size(), 1u);
}

TEST_F(GatewayErasTest, ModernCallsEndAtOnceWhenTheirProcessDiesAndTheNextGetsAnother) {
  ASSERT_TRUE(behind_->Run({ProcessServer("weather")}));
  const std::set<pid_t> watched = behind_->Pids();
  const auto client = behind_->Modern("weather");
  const std::string before = client->Call("nonce");
  const auto call = client->BeginCall("exit", {{"code", 0}});
  EXPECT_TRUE(IsError(call->Next(seconds(5)))) << call->problem();
  const std::string after = client->Call("nonce");
  EXPECT_NE(after, before);
  EXPECT_EQ(after.find('{'), std::string::npos) << after;
  EXPECT_EQ(node_->Restarts("weather"), 0);
}

TEST_F(GatewayErasTest, McpctlCallsToolsAsAnyClientOrAsksTheWatchedProcess) {
  ASSERT_TRUE(behind_->Run({ProcessServer("weather")}));
  const CommandResult client = node_->Mcpctl({"tools", "call", "weather", "nonce", "--via", "gateway"});
  ASSERT_TRUE(client.ok()) << client;
  const std::string watched = node_->CallTool("weather", "nonce");
  EXPECT_FALSE(watched.empty());
  EXPECT_NE(Trim(client.out), watched);
  const CommandResult unsaid = node_->Mcpctl({"tools", "call", "weather", "nonce"});
  ASSERT_TRUE(unsaid.ok()) << unsaid;
  EXPECT_NE(Trim(unsaid.out), watched) << "the gateway is there to be used";
}

// --- a modern server ------------------------------------------------------------------------------------------------

TEST_F(GatewayErasTest, ModernClientsPassThroughToAModernServer) {
  ASSERT_TRUE(behind_->Run({ProcessServer("new", {"--modern", "--name", "newer"})}));
  const auto client = behind_->Modern("new", {{"elicitation", Json::object()}});
  const Json discovered = client->Request("server/discover");
  EXPECT_NE(DumpJson(discovered).find("newer"), std::string::npos) << DumpJson(discovered);
  const std::string nonce = client->Call("nonce");
  EXPECT_EQ(behind_->Modern("new")->Call("nonce"), nonce);
  EXPECT_NE(client->Call("client").find("elicitation"), std::string::npos) << client->Call("client");
  const Round round = AskAndReply(*client, "elicitation/create", {{"action", "decline"}});
  EXPECT_EQ(GetString(round.question, "resultType"), "input_required") << DumpJson(round.question);
  EXPECT_EQ(TextOf(round.answer), R"({"action":"decline"})");
  const int64_t id = client->next_id();
  const auto listening = client->Begin("subscriptions/listen", {{"notifications", {{"toolsListChanged", true}}}});
  ASSERT_TRUE(listening->Next()) << listening->problem();
  EXPECT_EQ(client->Call("change_tools"), "changed");
  const std::optional<Json> changed = listening->Next();
  ASSERT_TRUE(changed) << listening->problem();
  EXPECT_EQ(GetInt(GetMember(GetMember(*changed, "params"), "_meta"), kSubscription), id) << DumpJson(*changed);
  EXPECT_LE(behind_->Pids().size(), 2u);
}

TEST_F(GatewayErasTest, LegacyClientsHaveSessionsWithAModernServer) {
  ASSERT_TRUE(behind_->Run({ProcessServer("new", {"--modern", "--name", "newer"})}));
  const Json capabilities = {{"elicitation", Json::object()}};
  const auto client = behind_->Session("new", {.capabilities = capabilities}), other = behind_->Session("new");
  ASSERT_TRUE(client != nullptr && other != nullptr);
  EXPECT_EQ(GetString(GetMember(client->initialize_result(), "serverInfo"), "name"), "newer");
  EXPECT_EQ(GetString(client->initialize_result(), "protocolVersion"), "2025-11-25");
  EXPECT_TRUE(Has(client->ToolNames(), "echo"));
  EXPECT_EQ(client->Call("echo", {{"message", "hello"}}), "hello");
  EXPECT_TRUE(client->Request("ping").contains("result"));
  EXPECT_EQ(client->Call("nonce"), other->Call("nonce"));
  const auto call = client->BeginCall("ask", {{"method", "elicitation/create"}});
  const std::optional<Json> asked = call->Next();
  ASSERT_TRUE(asked) << call->problem();
  EXPECT_EQ(GetString(*asked, "method"), "elicitation/create");
  EXPECT_EQ(client->Reply(*asked, {{"action", "cancel"}}), 202);
  EXPECT_EQ(TextOf(call->Next().value_or(Json())), R"({"action":"cancel"})");
  EXPECT_NE(other->Call("ask", {{"method", "elicitation/create"}}).find("error"), std::string::npos);
  const auto own = client->Listen();
  EXPECT_EQ(other->Call("change_tools"), "changed");
  const std::optional<Json> changed = own->Next();
  ASSERT_TRUE(changed) << own->problem();
  EXPECT_EQ(GetString(*changed, "method"), "notifications/tools/list_changed");
  EXPECT_EQ(client->Delete(), 200);
  EXPECT_EQ(GetInt(client->Request("tools/list"), "status"), 404);
  EXPECT_EQ(other->Call("who"), "newer");
}

// --- servers over HTTP ----------------------------------------------------------------------------------------------

class GatewayHttpTest : public GatewayTest {};
INSTANTIATE_TEST_SUITE_P(On, GatewayHttpTest, testing::Values(On::kProcess, On::kDocker), OnName);

TEST_P(GatewayHttpTest, AnHttpServerInItsOwnNetworkIsReachedByBothEras) {
  const Json spec = {
      {"transport", "streamable-http"}, {"port", 8080}, {"path", "/mcp"}, {"securityContext", {{"network", "None"}}}};
  ASSERT_TRUE(behind_->Run({Server("web", {"--http", "8080", "--name", "web"}, spec)}));
  const auto legacy = behind_->Session("web");
  ASSERT_NE(legacy, nullptr);
  EXPECT_EQ(legacy->Call("who"), "web");
  EXPECT_TRUE(Has(legacy->ToolNames(), "echo"));
  const auto modern = behind_->Modern("web");
  EXPECT_EQ(modern->Call("echo", {{"message", "hello"}}), "hello");
  EXPECT_EQ(modern->Call("nonce"), legacy->Call("nonce"));
  EXPECT_EQ(legacy->Delete(), 200);
  EXPECT_EQ(GetInt(legacy->Request("tools/list"), "status"), 404);
  EXPECT_EQ(modern->Call("who"), "web");
  EXPECT_EQ(behind_->Pids().size(), 1u);
}

TEST_F(GatewayErasTest, ARemoteServerIsReachedByBothErasWithSessionsOfItsOwn) {
  ASSERT_TRUE(behind_->Run({ProcessServer("weather", {"--name", "sunny"})}));
  const Json far = {{"apiVersion", "mcpfleet.dev/v1alpha1"},
                    {"kind", "MCPServer"},
                    {"metadata", {{"name", "far"}}},
                    {"spec", {{"source", {{"remote", {{"url", node_->GatewayUrl("weather")}}}}}}}};
  ASSERT_TRUE(behind_->Run({far}));
  const Json capabilities = {{"sampling", Json::object()}};
  const auto one = behind_->Session("far", {.capabilities = capabilities}), other = behind_->Session("far");
  ASSERT_TRUE(one != nullptr && other != nullptr);
  EXPECT_EQ(one->Call("who"), "sunny");
  EXPECT_NE(one->Call("nonce"), other->Call("nonce"));
  const auto call = one->BeginCall("ask", {{"method", "sampling/createMessage"}});
  const std::optional<Json> asked = call->Next();
  ASSERT_TRUE(asked) << call->problem();
  EXPECT_EQ(GetString(*asked, "method"), "sampling/createMessage");
  EXPECT_EQ(one->Reply(*asked, {{"role", "assistant"}}), 202);
  EXPECT_EQ(TextOf(call->Next().value_or(Json())), R"({"role":"assistant"})");
  const std::vector<Json> messages = one->BeginCall("progress", {{"count", 100}}, {{"progressToken", 5}})->Rest();
  EXPECT_EQ(messages.size(), 101u);
  const auto own = one->Listen();
  EXPECT_EQ(one->Call("change_tools"), "changed");
  const std::optional<Json> changed = own->Next();
  ASSERT_TRUE(changed) << own->problem();
  EXPECT_EQ(GetString(*changed, "method"), "notifications/tools/list_changed");
  const int64_t id = one->next_id();
  const auto slow = one->BeginCall("sleep", {{"ms", 60'000}});
  ASSERT_TRUE(slow->AwaitId());
  EXPECT_EQ(one->Notify("notifications/cancelled", {{"requestId", id}}), 202);
  EXPECT_TRUE(WaitFor([&] { return GetInt(behind_->Stats(*one), "cancelled") == 1; }, seconds(10)));
  EXPECT_EQ(behind_->Modern("far")->Call("echo", {{"message", "hello"}}), "hello");
  EXPECT_EQ(one->Delete(), 200);
  EXPECT_EQ(GetInt(one->Request("tools/list"), "status"), 404);
  EXPECT_EQ(other->Call("who"), "sunny");
}

}  // namespace
}  // namespace mcpfleet
