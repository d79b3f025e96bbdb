// Sessions of legacy clients through the gateway, as clients and the kernel see them.
#include <gtest/gtest.h>

#include <future>
#include <thread>

#include "base/strings.h"
#include "tests/integration/gateway_fixture.h"

namespace mcpfleet {
namespace {

using std::chrono::seconds;

class GatewaySessionsTest : public GatewayTest {};
INSTANTIATE_TEST_SUITE_P(On, GatewaySessionsTest, testing::Values(On::kProcess, On::kDocker), OnName);

Json Sessions(const Json& sessions) { return {{"sessions", sessions}}; }

TEST_P(GatewaySessionsTest, ASessionHasAProcessOfItsOwnUntilItIsDeleted) {
  ASSERT_TRUE(behind_->Run({Server("weather", {"--name", "sunny"})}));
  EXPECT_EQ(behind_->Pids().size(), 1u);
  const auto client = behind_->Session("weather");
  ASSERT_NE(client, nullptr);
  EXPECT_GE(client->session().size(), 32u);
  EXPECT_EQ(GetString(GetMember(client->initialize_result(), "serverInfo"), "name"), "sunny");
  const std::vector<std::string> tools = client->ToolNames();
  EXPECT_NE(std::find(tools.begin(), tools.end(), "echo"), tools.end()) << Join(tools, " ");
  EXPECT_EQ(client->Call("echo", {{"message", "hello"}}), "hello");
  EXPECT_EQ(client->Call("grandchildren", {{"count", 2}}), "forked");
  EXPECT_TRUE(behind_->Counts(4));
  EXPECT_EQ(client->Delete(), 200);
  const Json after = client->Request("tools/list");
  EXPECT_EQ(GetInt(after, "status"), 404) << DumpJson(after);
  EXPECT_EQ(client->Delete(), 404);
  EXPECT_TRUE(behind_->Counts(1)) << "something of the session is left";
  EXPECT_EQ(node_->Restarts("weather"), 0);
}

TEST_P(GatewaySessionsTest, NothingOfOneSessionReachesAnother) {
  ASSERT_TRUE(behind_->Run({Server("weather")}));
  const auto one = behind_->Session("weather", {.capabilities = {{"sampling", Json::object()}}, .name = "one"});
  const auto other = behind_->Session("weather", {.capabilities = {{"elicitation", Json::object()}}, .name = "other"});
  ASSERT_TRUE(one != nullptr && other != nullptr);
  EXPECT_TRUE(behind_->Counts(3));
  EXPECT_NE(one->Call("nonce"), other->Call("nonce"));
  EXPECT_NE(one->Call("client").find(R"("sampling")"), std::string::npos) << one->Call("client");
  EXPECT_EQ(other->Call("client").find(R"("sampling")"), std::string::npos) << other->Call("client");
  // Both are asked something under the same id: each answer goes to its own server.
  const auto ones = one->BeginCall("ask", {{"method", "sampling/createMessage"}});
  const auto others = other->BeginCall("ask", {{"method", "elicitation/create"}});
  const std::optional<Json> to_one = ones->Next(), to_other = others->Next();
  ASSERT_TRUE(to_one && to_other) << ones->problem() << others->problem();
  EXPECT_EQ(GetString(*to_one, "method"), "sampling/createMessage");
  EXPECT_EQ(GetString(*to_other, "method"), "elicitation/create");
  EXPECT_EQ(other->Reply(*to_other, {{"by", "other"}}), 202);
  EXPECT_EQ(TextOf(others->Next().value_or(Json())), R"({"by":"other"})");
  EXPECT_EQ(other->Reply(*to_one, {{"by", "a stranger"}}), 202);
  EXPECT_EQ(one->Reply(*to_one, {{"by", "one"}}), 202);
  EXPECT_EQ(TextOf(ones->Next().value_or(Json())), R"({"by":"one"})");
}

TEST_P(GatewaySessionsTest, ManyCallsAtOnceAreEachAnsweredWithTheirOwn) {
  ASSERT_TRUE(behind_->Run({Server("weather")}));
  const auto client = behind_->Session("weather");
  ASSERT_NE(client, nullptr);
  std::vector<std::future<std::string>> answers;
  for (int i = 0; i < 64; ++i) {
    answers.push_back(std::async(std::launch::async, [&client, i] {
      return client->Call(i % 2 == 0 ? "echo" : "sleep", {{"message", std::to_string(i)}, {"ms", 300 - i}});
    }));
  }
  for (size_t i = 0; i < answers.size(); ++i) EXPECT_EQ(answers[i].get(), std::to_string(i));
}

TEST_P(GatewaySessionsTest, TheSessionUnusedTheLongestMakesRoomAndThereAreNeverMoreThanMax) {
  ASSERT_TRUE(behind_->Run({Server("weather", {}, Sessions({{"max", 2}}))}));
  const auto first = behind_->Session("weather"), second = behind_->Session("weather");
  ASSERT_TRUE(first != nullptr && second != nullptr);
  EXPECT_EQ(second->Call("who"), "test-server");
  EXPECT_EQ(first->Call("who"), "test-server");
  LetPass(seconds(2));  // what was used a moment ago is not taken away
  auto third = std::async(std::launch::async, [&] { return behind_->Session("weather"); });
  size_t most = 0;
  while (third.wait_for(std::chrono::milliseconds(5)) != std::future_status::ready)
    most = std::max(most, behind_->Pids().size());
  const auto newest = third.get();
  ASSERT_NE(newest, nullptr);
  EXPECT_LE(most, 3u) << "the one that is watched and max";
  EXPECT_EQ(GetInt(second->Request("tools/list"), "status"), 404);
  EXPECT_EQ(first->Call("who"), "test-server");
  EXPECT_EQ(newest->Call("who"), "test-server");
  EXPECT_TRUE(behind_->Counts(3));
}

TEST_P(GatewaySessionsTest, ManyNewSessionsAtOnceNeverHaveMoreProcessesThanMax) {
  ASSERT_TRUE(behind_->Run({Server("weather", {}, Sessions({{"max", 3}}))}));
  std::vector<std::future<std::string>> coming;
  for (int i = 0; i < 12; ++i) {
    coming.push_back(std::async(std::launch::async, [this] {
      const auto client = behind_->Client("weather");
      return client->Initialize() ? client->Call("who") : client->problem();
    }));
  }
  size_t most = 0, served = 0;
  for (std::future<std::string>& one : coming) {
    while (one.wait_for(std::chrono::milliseconds(2)) != std::future_status::ready)
      most = std::max(most, behind_->Pids().size());
    const std::string said = one.get();
    // Taken in, or told to come later; one that was taken in may have had to go again before its call.
    if (said == "test-server") ++served;
    EXPECT_TRUE(said == "test-server" || said.starts_with("503 ") || said.find("404") != std::string::npos) << said;
  }
  EXPECT_LE(most, 4u) << "the one that is watched and max";
  EXPECT_GE(served, 3u);
  EXPECT_LE(behind_->Pids().size(), 4u);
}

TEST_P(GatewaySessionsTest, WhenAllAreBusyANewSessionIsRefusedForNow) {
  ASSERT_TRUE(behind_->Run({Server("weather", {}, Sessions({{"max", 1}}))}));
  const auto busy = behind_->Session("weather");
  ASSERT_NE(busy, nullptr);
  const auto call = busy->BeginCall("sleep", {{"ms", 60'000}});
  LetPass(seconds(2));
  const auto late = behind_->Client("weather");
  const auto refused = late->Begin("initialize", {{"protocolVersion", "2025-11-25"},
                                                  {"capabilities", Json::object()},
                                                  {"clientInfo", {{"name", "late"}, {"version", "1"}}}});
  EXPECT_EQ(refused->status(), 503);
  EXPECT_GT(std::atoi(refused->Header("Retry-After").c_str()), 0);
  EXPECT_TRUE(IsError(refused->Next()));
  EXPECT_EQ(busy->Call("who"), "test-server");
  EXPECT_EQ(busy->Delete(), 200);
  EXPECT_TRUE(late->Initialize()) << late->problem();
}

TEST_P(GatewaySessionsTest, AnUnusedSessionEndsAfterItsIdleTimeAndABusyOneAtItsAge) {
  ASSERT_TRUE(behind_->Run({Server("weather", {}, Sessions({{"idleTimeout", "2s"}, {"maxLifetime", "6s"}}))}));
  const auto idle = behind_->Session("weather"), used = behind_->Session("weather");
  ASSERT_TRUE(idle != nullptr && used != nullptr);
  const auto began = std::chrono::steady_clock::now();
  EXPECT_TRUE(WaitFor([&] {
    EXPECT_EQ(used->Call("who"), "test-server");
    return behind_->Pids().size() == 2;
  }));
  EXPECT_EQ(GetInt(idle->Request("tools/list"), "status"), 404);
  EXPECT_TRUE(WaitFor([&] { return GetInt(used->Request("tools/list"), "status") == 404; }, seconds(20)));
  EXPECT_GE(std::chrono::steady_clock::now() - began, seconds(5));
  EXPECT_TRUE(behind_->Counts(1));
}

TEST_P(GatewaySessionsTest, AWarmSpareBecomesTheFirstSession) {
  ASSERT_TRUE(behind_->Run({Server("weather", {}, Sessions({{"warmSpares", 1}, {"resumable", false}}))}));
  ASSERT_TRUE(behind_->Counts(2));
  const std::set<pid_t> before = behind_->Pids();
  const auto client = behind_->Session("weather");
  ASSERT_NE(client, nullptr);
  ASSERT_TRUE(behind_->Counts(3)) << "the spare that was taken is replaced";
  client->Call("exit", {{"code", 0}});
  EXPECT_TRUE(WaitFor([&] { return Without(before, behind_->Pids()).size() == 1; })) << "not the spare served";
}

TEST_P(GatewaySessionsTest, AResumableSessionGoesOnWithAnotherProcess) {
  ASSERT_TRUE(behind_->Run({Server("weather")}));
  const std::set<pid_t> watched = behind_->Pids();
  const auto client = behind_->Session("weather", {.capabilities = {{"roots", Json::object()}}});
  ASSERT_NE(client, nullptr);
  EXPECT_TRUE(client->Request("logging/setLevel", {{"level", "warning"}}).contains("result"));
  const std::string before = client->Call("nonce");
  const auto pending = client->BeginCall("sleep", {{"ms", 60'000}});
  ASSERT_TRUE(pending->AwaitId());
  const std::set<pid_t> own = Without(behind_->Pids(), watched);
  ASSERT_EQ(own.size(), 1u);
  ASSERT_EQ(kill(*own.begin(), SIGKILL), 0);
  EXPECT_TRUE(IsError(pending->Next(seconds(5)))) << pending->problem();
  const std::string after = client->Call("nonce");
  EXPECT_NE(after, before);
  EXPECT_EQ(after.find('{'), std::string::npos) << after;
  EXPECT_NE(client->Call("client").find(R"("roots")"), std::string::npos) << client->Call("client");
  EXPECT_EQ(GetString(behind_->Stats(*client), "level"), "warning");
  EXPECT_EQ(node_->Restarts("weather"), 0);
  EXPECT_TRUE(behind_->Counts(2));
}

TEST_P(GatewaySessionsTest, ASessionThatIsNotResumableEndsWithItsProcess) {
  ASSERT_TRUE(behind_->Run({Server("weather", {}, Sessions({{"resumable", false}}))}));
  const std::set<pid_t> watched = behind_->Pids();
  const auto client = behind_->Session("weather");
  ASSERT_NE(client, nullptr);
  const auto pending = client->BeginCall("sleep", {{"ms", 60'000}});
  ASSERT_TRUE(pending->AwaitId());
  for (const pid_t pid : Without(behind_->Pids(), watched)) ASSERT_EQ(kill(pid, SIGKILL), 0);
  EXPECT_TRUE(IsError(pending->Next(seconds(5)))) << pending->problem();
  EXPECT_TRUE(WaitFor([&] { return GetInt(client->Request("tools/list"), "status") == 404; }, seconds(5)));
  EXPECT_TRUE(client->Initialize()) << client->problem();
}

TEST_P(GatewaySessionsTest, SharedSessionsHaveOneProcessAndOutliveIt) {
  ASSERT_TRUE(behind_->Run({Server("weather", {}, Sessions({{"mode", "Shared"}}))}));
  const std::set<pid_t> watched = behind_->Pids();
  std::vector<std::future<std::unique_ptr<McpClient>>> coming;
  for (int i = 0; i < 4; ++i)
    coming.push_back(std::async(std::launch::async, [this] { return behind_->Session("weather"); }));
  std::vector<std::unique_ptr<McpClient>> clients;
  for (auto& client : coming) clients.push_back(client.get());
  for (const auto& client : clients) ASSERT_NE(client, nullptr);
  ASSERT_TRUE(behind_->Counts(2));
  const std::string before = clients[0]->Call("nonce");
  for (const auto& client : clients) {
    EXPECT_EQ(client->Call("nonce"), before);
    EXPECT_EQ(GetString(GetMember(client->initialize_result(), "serverInfo"), "name"), "test-server");
  }
  const auto pending = clients[1]->BeginCall("sleep", {{"ms", 60'000}});
  ASSERT_TRUE(pending->AwaitId());
  for (const pid_t pid : Without(behind_->Pids(), watched)) ASSERT_EQ(kill(pid, SIGKILL), 0);
  EXPECT_TRUE(IsError(pending->Next(seconds(5)))) << pending->problem();
  const std::string after = clients[0]->Call("nonce");
  EXPECT_NE(after, before);
  for (const auto& client : clients) EXPECT_EQ(client->Call("nonce"), after);
  EXPECT_TRUE(behind_->Counts(2));
}

// --- what a server says by itself -----------------------------------------------------------------------------------

TEST_P(GatewaySessionsTest, WhatAServerAsksComesOnTheStreamOfItsCallAndTheAnswerReachesIt) {
  ASSERT_TRUE(behind_->Run({Server("weather")}));
  const Json all = {{"sampling", Json::object()}, {"elicitation", Json::object()}, {"roots", Json::object()}};
  const auto client = behind_->Session("weather", {.capabilities = all});
  ASSERT_NE(client, nullptr);
  const auto own = client->Listen();
  ASSERT_EQ(own->status(), 200);
  for (const char* method : {"sampling/createMessage", "elicitation/create", "roots/list"}) {
    const auto call = client->BeginCall("ask", {{"method", method}, {"params", {{"why", method}}}});
    EXPECT_TRUE(call->streams());
    const std::optional<Json> asked = call->Next();
    ASSERT_TRUE(asked) << method << call->problem();
    EXPECT_EQ(GetString(*asked, "method"), method);
    EXPECT_EQ(GetString(GetMember(*asked, "params"), "why"), method);
    EXPECT_EQ(client->Reply(*asked, {{"said", method}}), 202);
    const std::optional<Json> answer = call->Next();
    ASSERT_TRUE(answer) << method << call->problem();
    EXPECT_EQ(TextOf(*answer), DumpJson({{"said", method}}));
    EXPECT_FALSE(call->Next()) << "the stream ends with its answer";
  }
  EXPECT_FALSE(own->Next(std::chrono::milliseconds(100))) << "a message went on two streams";
}

TEST_P(GatewaySessionsTest, ProgressComesInOrderBeforeTheAnswerUnderTheClientsToken) {
  ASSERT_TRUE(behind_->Run({Server("weather")}));
  const auto client = behind_->Session("weather");
  ASSERT_NE(client, nullptr);
  for (const Json& token : {Json("a token"), Json(int64_t{9'007'199'254'740'993})}) {
    const int64_t id = client->next_id();
    const auto call = client->BeginCall("progress", {{"count", 500}}, {{"progressToken", token}});
    const std::vector<Json> messages = call->Rest();
    ASSERT_EQ(messages.size(), 501u) << call->problem();
    for (size_t i = 0; i < 500; ++i) {
      const Json& params = GetMember(messages[i], "params");
      ASSERT_EQ(GetInt(params, "progress"), static_cast<int64_t>(i) + 1) << DumpJson(messages[i]);
      ASSERT_EQ(GetMember(params, "progressToken"), token);
    }
    EXPECT_EQ(GetInt(messages.back(), "id"), id);
    EXPECT_EQ(TextOf(messages.back()), "500");
  }
}

TEST_P(GatewaySessionsTest, ACancelledCallIsNotAnsweredAndTheServerLearnsOfIt) {
  ASSERT_TRUE(behind_->Run({Server("weather")}));
  const auto client = behind_->Session("weather");
  ASSERT_NE(client, nullptr);
  const int64_t id = client->next_id();
  const auto call = client->BeginCall("sleep", {{"ms", 60'000}});
  ASSERT_TRUE(call->AwaitId());
  EXPECT_EQ(client->Notify("notifications/cancelled", {{"requestId", id}, {"reason", "enough"}}), 202);
  EXPECT_FALSE(call->Next(seconds(5)));
  EXPECT_EQ(call->problem(), "") << "its stream ends";
  const Json stats = behind_->Stats(*client);
  EXPECT_EQ(GetInt(stats, "cancelled"), 1) << DumpJson(stats);
  EXPECT_EQ(GetInt(stats, "sleeping"), 0) << DumpJson(stats);
}

TEST_P(GatewaySessionsTest, ALostConnectionCancelsNothingAndItsAnswerIsKept) {
  ASSERT_TRUE(behind_->Run({Server("weather")}));
  const auto client = behind_->Session("weather");
  ASSERT_NE(client, nullptr);
  auto call = client->BeginCall("sleep", {{"ms", 500}, {"message", "late"}});
  ASSERT_TRUE(call->AwaitId());
  const std::string last = call->last_id();
  call.reset();
  const auto resumed = client->Listen(last);
  ASSERT_EQ(resumed->status(), 200);
  EXPECT_EQ(TextOf(resumed->Next().value_or(Json())), "late");
  // Answered by now: it is sent again as often as it is asked for, to its own session only.
  const auto again = client->Listen(last);
  EXPECT_EQ(TextOf(again->Next().value_or(Json())), "late");
  EXPECT_FALSE(again->Next());
  const auto other = behind_->Session("weather");
  ASSERT_NE(other, nullptr);
  const auto foreign = other->Listen(last);
  for (const Json& message : foreign->Rest())
    EXPECT_EQ(DumpJson(message).find("late"), std::string::npos) << DumpJson(message);
  EXPECT_EQ(GetInt(behind_->Stats(*client), "cancelled"), 0);
}

TEST_P(GatewaySessionsTest, LogsComeWithTheirCallAndChangesOfListsOnTheSessionsStream) {
  ASSERT_TRUE(behind_->Run({Server("weather")}));
  const auto client = behind_->Session("weather");
  ASSERT_NE(client, nullptr);
  const auto own = client->Listen();
  ASSERT_EQ(own->status(), 200);
  const auto call = client->BeginCall("log", {{"message", "a line"}});
  const std::vector<Json> messages = call->Rest();
  ASSERT_EQ(messages.size(), 2u);
  EXPECT_EQ(GetString(GetMember(messages[0], "params"), "data"), "a line") << DumpJson(messages[0]);
  EXPECT_EQ(client->Call("change_tools"), "changed");
  const std::optional<Json> told = own->Next();
  ASSERT_TRUE(told) << own->problem();
  EXPECT_EQ(GetString(*told, "method"), "notifications/tools/list_changed");
  const std::vector<std::string> tools = client->ToolNames();
  EXPECT_NE(std::find(tools.begin(), tools.end(), "more_1"), tools.end());
}

}  // namespace
}  // namespace mcpfleet
