// mcplet ends, in every way, in the middle of its clients' sessions: they go on with the next one.
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "base/http/server.h"
#include "base/strings.h"
#include "tests/integration/gateway_fixture.h"

namespace mcpfleet {
namespace {

using std::chrono::seconds;

class GatewayRestartTest : public GatewayTest {
 protected:
  void Restart(bool kill9) {
    if (kill9) {
      node_->KillDash9();
    } else {
      EXPECT_EQ(node_->Terminate(), 0);
    }
    node_->Start();
    EXPECT_TRUE(behind_->Open("weather"));
  }
  // Of a call whose client lost its connection: what it gets when it comes back.
  std::optional<Json> ComeBack(McpClient& client, const std::string& last_id) {
    std::optional<Json> answer;
    WaitFor(
        [&] {
          const auto stream = client.Listen(last_id);
          return stream->status() == 200 && (answer = stream->Next()).has_value();
        },
        seconds(20));
    return answer;
  }
};
INSTANTIATE_TEST_SUITE_P(On, GatewayRestartTest, testing::Values(On::kProcess, On::kDocker), OnName);

void ExpectUnique(const std::vector<std::string>& ids) {
  std::set<std::string> seen;
  for (const std::string& id : ids) EXPECT_TRUE(seen.insert(id).second) << "event id " << id << " was used twice";
}

TEST_P(GatewayRestartTest, ACallIsAnsweredAlthoughMcpletWasKilledOrStoppedMeanwhile) {
  ASSERT_TRUE(behind_->Run({Server("weather")}));
  const auto client = behind_->Session("weather", {.capabilities = {{"roots", Json::object()}}});
  ASSERT_NE(client, nullptr);
  const std::string nonce = client->Call("nonce");
  const std::set<pid_t> before = behind_->Pids();
  ASSERT_EQ(before.size(), 2u);
  std::vector<std::string> ids;
  // More often than the first note of the session knows of.
  for (const bool kill9 : {true, false, true, true}) {
    const auto call = client->BeginCall("sleep", {{"ms", 2000}, {"message", "after all"}});
    ASSERT_TRUE(call->AwaitId());
    ids.push_back(call->last_id());
    Restart(kill9);
    EXPECT_EQ(TextOf(ComeBack(*client, call->last_id()).value_or(Json())), "after all");
    EXPECT_EQ(client->Call("nonce"), nonce) << "another process serves the session";
    EXPECT_NE(client->Call("client").find(R"("roots")"), std::string::npos);
  }
  ExpectUnique(ids);
  EXPECT_EQ(behind_->Pids(), before) << "something was restarted";
  EXPECT_EQ(node_->Restarts("weather"), 0);
  EXPECT_EQ(GetInt(behind_->Stats(*client), "initialized"), 1);
  EXPECT_EQ(client->Delete(), 200);
  EXPECT_TRUE(behind_->Counts(1));
}

TEST_P(GatewayRestartTest, EventsOfTheSessionsStreamGoOnUnderNewIds) {
  ASSERT_TRUE(behind_->Run({Server("weather")}));
  const auto client = behind_->Session("weather");
  ASSERT_NE(client, nullptr);
  // Nothing but the stream is used from now on: no call makes the session's note new.
  const std::vector<int> times = {2500, 6500, 10'500};
  for (const int ms : times) EXPECT_EQ(client->Call("change_tools", {{"ms", ms}}), "changed");
  std::vector<std::string> ids;
  std::string last;
  for (size_t i = 0; i < times.size(); ++i) {
    Restart(true);
    const auto own = client->Listen(last);
    ASSERT_EQ(own->status(), 200);
    const std::optional<Json> told = own->Next();
    ASSERT_TRUE(told) << own->problem();
    EXPECT_EQ(GetString(*told, "method"), "notifications/tools/list_changed");
    for (const std::string& id : own->ids()) ids.push_back(id);
    last = own->last_id();
  }
  EXPECT_GE(ids.size(), times.size());
  ExpectUnique(ids);
}

TEST_P(GatewayRestartTest, ACallThatWasAnsweredIsNotWaitedForAfterAKill) {
  ASSERT_TRUE(behind_->Run({Server("weather", {}, {{"sessions", {{"max", 1}}}})}));
  const auto client = behind_->Session("weather");
  ASSERT_NE(client, nullptr);
  EXPECT_EQ(client->Call("who"), "test-server");
  Restart(true);
  EXPECT_EQ(client->Call("who"), "test-server");
  Restart(true);
  LetPass(seconds(2));
  // The session is idle: another may have its place.
  EXPECT_NE(behind_->Session("weather"), nullptr);
  EXPECT_EQ(GetInt(client->Request("tools/list"), "status"), 404);
}

TEST_P(GatewayRestartTest, AnAnswerOfTheClientReachesTheServerThatAskedBeforeTheRestart) {
  ASSERT_TRUE(behind_->Run({Server("weather")}));
  const auto client = behind_->Session("weather", {.capabilities = {{"elicitation", Json::object()}}});
  ASSERT_NE(client, nullptr);
  const auto call = client->BeginCall("ask", {{"method", "elicitation/create"}});
  const std::optional<Json> asked = call->Next();
  ASSERT_TRUE(asked) << call->problem();
  Restart(true);
  EXPECT_EQ(client->Reply(*asked, {{"action", "accept"}}), 202);
  EXPECT_EQ(TextOf(ComeBack(*client, call->last_id()).value_or(Json())), R"({"action":"accept"})");
}

TEST_P(GatewayRestartTest, ProcessesOfNoSessionEndWithTheMcpletThatHadThem) {
  ASSERT_TRUE(behind_->Run({Server("weather", {}, {{"sessions", {{"warmSpares", 1}}}})}));
  ASSERT_TRUE(behind_->Counts(2));
  EXPECT_EQ(behind_->Modern("weather")->Call("who"), "test-server");
  ASSERT_TRUE(behind_->Counts(3));
  const auto client = behind_->Session("weather");
  ASSERT_NE(client, nullptr);
  ASSERT_TRUE(behind_->Counts(4));
  Restart(true);
  EXPECT_EQ(client->Call("who"), "test-server");
  EXPECT_TRUE(behind_->Counts(3)) << "the watched one, the session's, one spare";
}

// Their server is another one afterwards, and gets their handshake again.
TEST_P(GatewayRestartTest, SessionsWithoutAProcessOfTheirOwnGoOn) {
  ASSERT_TRUE(behind_->Run({Server("weather", {}, {{"sessions", {{"mode", "Shared"}}}}), Server("new", {"--modern"})}));
  for (const char* server : {"weather", "new"}) {
    ASSERT_TRUE(behind_->Open(server));
    const auto client = behind_->Session(server);
    ASSERT_NE(client, nullptr);
    EXPECT_EQ(client->Call("who"), "test-server");
    std::vector<std::string> ids;
    for (const bool kill9 : {true, false, true}) {
      const auto call = client->BeginCall("sleep", {{"ms", 5000}, {"message", "in vain"}});
      ASSERT_TRUE(call->AwaitId());
      ids.push_back(call->last_id());
      Restart(kill9);
      ASSERT_TRUE(behind_->Open(server));
      EXPECT_EQ(client->Call("who"), "test-server") << server;
      const std::optional<Json> lost = ComeBack(*client, call->last_id());
      ASSERT_TRUE(lost) << server;
      EXPECT_EQ(GetInt(GetMember(*lost, "error"), "code"), -32603) << *lost;
    }
    ExpectUnique(ids);
    EXPECT_EQ(client->Delete(), 200);
    Restart(true);
    ASSERT_TRUE(behind_->Open(server));
    EXPECT_EQ(GetInt(client->Request("tools/list"), "status"), 404) << "it was over before";
  }
  EXPECT_TRUE(WaitFor([&] { return behind_->Pids().size() <= 4; })) << "what served the sessions before is left";
}

TEST_P(GatewayRestartTest, ASessionWhoseProcessDiedWhileMcpletWasAwayIsGone) {
  ASSERT_TRUE(behind_->Run({Server("weather")}));
  const std::set<pid_t> watched = behind_->Pids();
  const auto client = behind_->Session("weather");
  ASSERT_NE(client, nullptr);
  const std::set<pid_t> own = Without(behind_->Pids(), watched);
  node_->KillDash9();
  for (const pid_t pid : own) ASSERT_EQ(kill(pid, SIGKILL), 0);
  node_->Start();
  ASSERT_TRUE(behind_->Open("weather"));
  EXPECT_EQ(GetInt(client->Request("tools/list"), "status"), 404);
  EXPECT_TRUE(client->Initialize()) << client->problem();
  EXPECT_TRUE(behind_->Counts(2));
}

TEST_P(GatewayRestartTest, AnAnswerThatWaitedForItsClientIsThereOrAnErrorAfterAKill) {
  ASSERT_TRUE(behind_->Run({Server("weather")}));
  const auto client = behind_->Session("weather");
  ASSERT_NE(client, nullptr);
  for (const int ms : {0, 1000}) {
    auto call = client->BeginCall("sleep", {{"ms", 200}, {"message", "while you were away"}});
    ASSERT_TRUE(call->AwaitId());
    const std::string last = call->last_id();
    call.reset();
    LetPass(std::chrono::milliseconds(ms));  // answered by then, or not
    Restart(true);
    const std::optional<Json> answer = ComeBack(*client, last);
    ASSERT_TRUE(answer) << "silence, after " << ms << " ms";
    EXPECT_TRUE(IsError(answer) || TextOf(*answer) == "while you were away") << DumpJson(*answer);
    EXPECT_EQ(client->Call("who"), "test-server");
  }
}

// What the kernel took is perhaps not with the client: it may have left just then.
TEST_P(GatewayRestartTest, AnAnswerThatItsClientPerhapsDidNotGetIsAnErrorAfterAKill) {
  ASSERT_TRUE(behind_->Run({Server("weather")}));
  const auto client = behind_->Session("weather");
  ASSERT_NE(client, nullptr);
  const auto call = client->BeginCall("sleep", {{"ms", 300}, {"message", "taken"}});
  ASSERT_TRUE(call->AwaitId());
  const std::string before = call->last_id();
  ASSERT_EQ(TextOf(call->Next().value_or(Json())), "taken");
  for (int i = 0; i < 2; ++i) {
    Restart(true);
    const std::optional<Json> answer = ComeBack(*client, before);
    ASSERT_TRUE(answer) << "silence";
    EXPECT_TRUE(IsError(answer)) << DumpJson(*answer);
  }
}

TEST_P(GatewayRestartTest, AQuestionThatItsClientPerhapsDidNotGetIsAskedAgainAfterAKill) {
  ASSERT_TRUE(behind_->Run({Server("weather")}));
  const auto client = behind_->Session("weather", {.capabilities = {{"elicitation", Json::object()}}});
  ASSERT_NE(client, nullptr);
  const auto call = client->BeginCall("ask", {{"method", "elicitation/create"}});
  const std::optional<Json> asked = call->Next();
  ASSERT_TRUE(asked) << call->problem();
  ASSERT_GE(call->ids().size(), 2U) << "the priming event's, the question's";
  for (int i = 0; i < 2; ++i) {
    Restart(true);
    EXPECT_EQ(ComeBack(*client, call->ids().front()), asked);
  }
  EXPECT_EQ(client->Reply(*asked, {{"action", "accept"}}), 202);
  EXPECT_EQ(TextOf(ComeBack(*client, call->last_id()).value_or(Json())), R"({"action":"accept"})") << "and once only";
}

// --- the port -------------------------------------------------------------------------------------------------------

class GatewayPortTest : public IntegrationTest {};

std::string GatewayReady(Node& node) {
  const Json status = node.NodeStatus();
  for (const Json& condition : GetMember(status, "conditions")) {
    if (GetString(condition, "type") == "GatewayReady")
      return GetString(condition, "status") + " " + GetString(condition, "message");
  }
  return "";
}

TEST_F(GatewayPortTest, ATakenPortIsToldAndTheGatewayOpensWhenItIsFree) {
  Node node({});
  UniqueFd squatter(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const int on = 1;
  setsockopt(squatter.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(node.gateway_port());
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  ASSERT_EQ(bind(squatter.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  ASSERT_EQ(listen(squatter.get(), 8), 0);
  node.Start();
  ASSERT_TRUE(node.Apply({ProcessServer("weather")}).ok());
  ASSERT_TRUE(node.WaitReady("weather")) << "servers don't wait for the gateway";
  EXPECT_TRUE(WaitFor([&] { return GatewayReady(node).starts_with("False"); })) << DumpJson(node.NodeStatus());
  EXPECT_NE(GatewayReady(node).find(std::to_string(node.gateway_port())), std::string::npos) << GatewayReady(node);
  squatter.Reset();
  EXPECT_TRUE(WaitFor([&] { return GatewayReady(node).starts_with("True"); })) << GatewayReady(node);
  Behind behind(node);
  const auto client = behind.Session("weather");
  ASSERT_NE(client, nullptr);
  EXPECT_EQ(client->Call("who"), "test-server");
}

}  // namespace
}  // namespace mcpfleet
