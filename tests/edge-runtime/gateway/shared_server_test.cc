#include "edge-runtime/gateway/shared_server.h"

#include "tests/edge-runtime/gateway/fakes.h"

namespace mcpfleet::gateway {
namespace {

using namespace test;

using About = Conversation::About;

// One session with the shared child.
struct Session {
  std::vector<std::pair<std::string, Json>> seen;
  int closed = 0;
  std::unique_ptr<SharedConversation> side;
};

class SharedServerTest : public ::testing::Test {
 protected:
  std::unique_ptr<Session> Join(const std::string& subject = "anonymous") {
    auto session = std::make_unique<Session>();
    Session* s = session.get();
    s->side = std::make_unique<SharedConversation>(
        loop_, server_, [](std::string_view, Incoming*) {}, subject);
    const auto see = [s](const std::string& to, const std::string& line) {
      s->seen.emplace_back(to, Json::parse(line));
    };
    s->side->Start(
        {.to_call = [see](uint64_t call, const std::string& line) { see("call " + std::to_string(call), line); },
         .answer = [see](uint64_t call, const std::string& line) { see("answer " + std::to_string(call), line); },
         .to_session = [see](const std::string& line, About) { see("session", line); },
         .closed = [s](const Status&) { ++s->closed; }});
    return session;
  }
  std::unique_ptr<Session> JoinReady() {
    auto session = Join();
    loop_.Run();
    if (!shaken_) Shake();
    loop_.Run();
    return session;
  }
  // The gateway's handshake.
  void Shake() {
    shaken_ = true;
    const Json initialize = Server().Next("initialize");
    EXPECT_EQ(initialize["params"]["capabilities"], Json::object()) << "nobody can be asked";
    Server().Answer(initialize, {{"protocolVersion", "2025-06-18"}, {"capabilities", capabilities_}});
    Server().Next("notifications/initialized");
    loop_.Run();
  }
  Status Request(Session& session, uint64_t call, const Json& message) {
    const Status status = session.side->Request({call, call, message["id"].dump()}, Parsed(message));
    loop_.Run();
    return status;
  }
  Wire& Server() { return wires_[wires_.size() == 0 ? 0 : wires_.size() - 1]; }

  FakeClock clock_;
  ManualLoop loop_{&clock_};
  Wires wires_{&loop_};
  bool shaken_ = false;
  Json capabilities_ = {{"tools", Json::object()}};
  std::shared_ptr<SharedServer> server_ = std::make_shared<SharedServer>(loop_, wires_.AsNewLink());
};

TEST_F(SharedServerTest, ThereIsOneHandshakeAndEachSessionGetsItsResult) {
  auto early = Join();
  ASSERT_TRUE(Request(*early, 1, RequestOf("e", "initialize", {{"protocolVersion", "2025-11-25"}})).ok());
  EXPECT_TRUE(early->seen.empty());
  Shake();
  auto late = Join();
  ASSERT_TRUE(Request(*late, 1, RequestOf("l", "initialize", {{"protocolVersion", "2025-03-26"}})).ok());
  ASSERT_EQ(early->seen.size(), 1U);
  EXPECT_EQ(early->seen[0].second["id"], "e");
  EXPECT_EQ(early->seen[0].second["result"]["protocolVersion"], "2025-06-18");
  EXPECT_EQ(late->seen.at(0).second["result"]["protocolVersion"], "2025-03-26") << "what both can";
  late->side->Notify(Parsed(NotificationOf("notifications/initialized")));
  EXPECT_TRUE(Server().AllRead());
  EXPECT_EQ(wires_.size(), 1U);
}

TEST_F(SharedServerTest, CallsOfSessionsDoNotMix) {
  auto a = JoinReady(), b = JoinReady();
  ASSERT_TRUE(Request(*a, 5, RequestOf(1, "tools/call", {{"_meta", {{"progressToken", 1}}}})).ok());
  ASSERT_TRUE(Request(*b, 5, RequestOf(1, "tools/call", {{"_meta", {{"progressToken", 1}}}})).ok());
  const Json of_a = Server().Next("tools/call"), of_b = Server().Next("tools/call");
  EXPECT_NE(of_a["params"]["_meta"]["progressToken"], of_b["params"]["_meta"]["progressToken"]);
  Server().Notify("notifications/progress", {{"progressToken", of_b["id"]}});
  Server().Answer(of_b, "b");
  EXPECT_TRUE(a->seen.empty());
  ASSERT_EQ(b->seen.size(), 2U);
  EXPECT_EQ(b->seen[0].second["params"]["progressToken"], 1);
  EXPECT_EQ(b->seen[1].second, ResultOf(1, "b"));
  b->side->Cancel(5, "");
  EXPECT_TRUE(Server().AllRead()) << "another session's call is not there to be cancelled";
  a->side->Cancel(5, "\"x\"");
  EXPECT_EQ(Server().Next("notifications/cancelled")["params"]["requestId"], of_a["id"]);
}

TEST_F(SharedServerTest, ListChangesGoToEachSessionOnceAndLogsWhereThereIsNoDoubt) {
  auto a = JoinReady(), b = JoinReady();
  Server().Notify("notifications/tools/list_changed");
  EXPECT_EQ(a->seen.size(), 1U);
  EXPECT_EQ(b->seen.size(), 1U);
  Server().Notify("notifications/message", {{"data", "of nobody"}});
  ASSERT_TRUE(Request(*a, 1, RequestOf(1, "tools/call")).ok());
  Server().Notify("notifications/message", {{"data", "of a"}});
  ASSERT_TRUE(Request(*b, 1, RequestOf(1, "tools/call")).ok());
  Server().Notify("notifications/message", {{"data", "of one of them"}});
  EXPECT_EQ(a->seen.size(), 2U);
  EXPECT_EQ(b->seen.size(), 1U);
}

TEST_F(SharedServerTest, EachSessionHasItsOwnLogLevelAndTheServerLogsForTheOneThatWantsMost) {
  capabilities_["logging"] = Json::object();
  auto much = JoinReady(), little = JoinReady();
  const auto set = [&](Session& session, const char* level) {
    EXPECT_TRUE(Request(session, 1, RequestOf("l", "logging/setLevel", {{"level", level}})).ok());
  };
  set(*little, "error");
  EXPECT_EQ(Server().Next("logging/setLevel")["params"]["level"], "error");
  set(*much, "info");
  EXPECT_EQ(Server().Next("logging/setLevel")["params"]["level"], "info");
  EXPECT_EQ(little->seen.at(0).second, ResultOf("l", Json::object()));
  ASSERT_TRUE(Request(*little, 2, RequestOf("c", "tools/call")).ok());
  const Json call = Server().Next("tools/call");
  Server().Notify("notifications/message", {{"level", "info"}, {"data", "quiet"}});
  Server().Notify("notifications/message", {{"level", "critical"}, {"data", "loud"}});
  ASSERT_EQ(little->seen.size(), 2U);
  EXPECT_EQ(little->seen[1].second["params"]["data"], "loud");
  Server().Answer(call, "done");
  much.reset();
  loop_.Run();
  EXPECT_EQ(Server().Next("logging/setLevel")["params"]["level"], "error") << "nobody wants more now";
  ASSERT_TRUE(Request(*little, 3, RequestOf("x", "logging/setLevel", {{"level", "shouting"}})).ok());
  EXPECT_EQ(Server().Next("logging/setLevel")["params"]["level"], "shouting") << "the server says what is wrong";
}

TEST_F(SharedServerTest, UpdatesGoToThoseWhoSubscribedAndTheServerHearsOfTheFirstAndTheLast) {
  auto a = JoinReady(), b = JoinReady(), c = JoinReady();
  ASSERT_TRUE(Request(*a, 1, RequestOf(1, "resources/subscribe", {{"uri", "u"}})).ok());
  ASSERT_TRUE(Request(*b, 1, RequestOf(1, "resources/subscribe", {{"uri", "u"}})).ok());
  ASSERT_TRUE(Request(*b, 2, RequestOf(2, "resources/subscribe", {{"uri", "u"}})).ok());
  EXPECT_EQ(Server().Next("resources/subscribe")["params"], Json({{"uri", "u"}}));
  EXPECT_TRUE(Server().AllRead());
  EXPECT_EQ(b->seen.back().second, ResultOf(2, Json::object()));
  a->seen.clear();
  b->seen.clear();
  Server().Notify("notifications/resources/updated", {{"uri", "u"}});
  Server().Notify("notifications/resources/updated", {{"uri", "v"}});
  EXPECT_EQ(a->seen.size(), 1U);
  EXPECT_EQ(b->seen.size(), 1U);
  EXPECT_TRUE(c->seen.empty());
  ASSERT_TRUE(Request(*a, 3, RequestOf(3, "resources/unsubscribe", {{"uri", "u"}})).ok());
  ASSERT_TRUE(Request(*c, 3, RequestOf(3, "resources/unsubscribe", {{"uri", "u"}})).ok());
  EXPECT_TRUE(Server().AllRead());
  b->side.reset();
  Server().Next("resources/unsubscribe");
}

TEST_F(SharedServerTest, WhatTheServerAsksIsRefusedAndPingAnswered) {
  auto a = JoinReady();
  ASSERT_TRUE(Request(*a, 1, RequestOf(1, "tools/call")).ok());
  Server().Next("tools/call");
  Server().Ask("s", "sampling/createMessage");
  EXPECT_EQ(CodeOf(Server().Next()), -32601);
  Server().Ask("p", "ping");
  EXPECT_EQ(Server().Next(), ResultOf("p", Json::object()));
  ASSERT_TRUE(Request(*a, 2, RequestOf("mine", "ping")).ok());
  EXPECT_EQ(a->seen.back().second, ResultOf("mine", Json::object()));
  EXPECT_TRUE(Server().AllRead());
}

TEST_F(SharedServerTest, ADeadServerIsFollowedByAnotherUnderItsSessions) {
  auto a = JoinReady(), b = JoinReady();
  ASSERT_TRUE(Request(*a, 1, RequestOf(1, "resources/subscribe", {{"uri", "u"}})).ok());
  ASSERT_TRUE(Request(*b, 1, RequestOf(1, "tools/call")).ok());
  a->seen.clear();
  Server().Close();
  EXPECT_EQ(CodeOf(b->seen.at(0).second), -32603);
  ASSERT_TRUE(Request(*b, 2, RequestOf(2, "tools/list")).ok());
  loop_.Run();
  ASSERT_EQ(wires_.size(), 2U);
  Shake();
  std::set<std::string> methods;
  Json call;
  for (Json message = Server().Next(); !message.is_null(); message = Server().Next()) {
    methods.insert(GetString(message, "method"));
    if (message["method"] == "tools/list") call = message;
  }
  EXPECT_EQ(methods, (std::set<std::string>{"resources/subscribe", "tools/list"}));
  Server().Answer(call, "new");
  EXPECT_EQ(b->seen.back().second, ResultOf(2, "new"));
  EXPECT_EQ(a->seen.at(0).second["method"], "notifications/tools/list_changed");
  EXPECT_EQ(a->closed + b->closed, 0);
  EXPECT_TRUE(wires_[0].destroyed);
}

TEST_F(SharedServerTest, AServerThatKeepsDyingEndsItsSessions) {
  auto a = JoinReady();
  for (int i = 0; i < 10 && a->closed == 0; ++i) {
    Server().Close();
    loop_.Run();
    if (a->closed == 0) Shake();
  }
  EXPECT_EQ(a->closed, 1);
  EXPECT_LE(wires_.size(), 5U);
  EXPECT_EQ(Request(*a, 9, RequestOf(9, "tools/list")).code(), StatusCode::kUnavailable);
  // A new session gets a new server.
  shaken_ = false;
  auto b = JoinReady();
  ASSERT_TRUE(Request(*b, 1, RequestOf(1, "tools/list")).ok());
  Server().Next("tools/list");
}

TEST_F(SharedServerTest, AServerThatDoesNotComeUpEndsWhoWaits) {
  wires_.refusal = ResourceExhausted("no room");
  auto a = Join();
  ASSERT_TRUE(Request(*a, 1, RequestOf(1, "initialize")).ok());
  EXPECT_EQ(CodeOf(a->seen.at(0).second), -32603);
  EXPECT_EQ(a->closed, 1);
  wires_.refusal = OkStatus();
  auto b = Join();
  loop_.Run();
  Server().Refuse(Server().Next("initialize"), -32602, "no");
  loop_.Run();
  EXPECT_EQ(b->closed, 1);
  EXPECT_TRUE(Server().destroyed);
}

TEST_F(SharedServerTest, ASessionThatLeavesTakesItsCallsBack) {
  auto a = JoinReady(), b = JoinReady();
  ASSERT_TRUE(Request(*a, 1, RequestOf(1, "tools/call")).ok());
  const Json sent = Server().Next("tools/call");
  a->side.reset();
  EXPECT_EQ(Server().Next("notifications/cancelled")["params"]["requestId"], sent["id"]);
  Server().Answer(sent, 1);
  Server().Notify("notifications/tools/list_changed");
  EXPECT_TRUE(a->seen.empty());
  EXPECT_EQ(b->seen.size(), 1U);
}

TEST_F(SharedServerTest, AChildThatNeverAnswersTheHandshakeEndsItsSessionsAndTheNextGetsAnother) {
  auto session = Join();
  ASSERT_TRUE(Request(*session, 1, RequestOf("e", "initialize")).ok());
  Server().Next("initialize");
  loop_.Advance(59s);
  EXPECT_EQ(session->closed, 0);
  loop_.Advance(1s);
  EXPECT_EQ(session->closed, 1);
  EXPECT_EQ(CodeOf(session->seen.at(0).second), -32603);
  EXPECT_TRUE(wires_[0].destroyed);
  auto next = JoinReady();
  EXPECT_EQ(wires_.size(), 2U);
}

TEST_F(SharedServerTest, TasksAreOfTheSubjectThatBeganThem) {
  auto ann = Join("ann"), bob = Join("bob");
  loop_.Run();
  Shake();
  ASSERT_TRUE(Request(*ann, 1, RequestOf(1, "tools/call")).ok());
  Server().Answer(Server().Next("tools/call"), {{"task", {{"taskId", "t"}}}});
  ASSERT_TRUE(Request(*bob, 1, RequestOf(1, "tasks/result", {{"taskId", "t"}})).ok());
  ASSERT_TRUE(Request(*bob, 2, RequestOf(2, "tasks/list")).ok());
  EXPECT_TRUE(Server().AllRead());
  ASSERT_EQ(bob->seen.size(), 2U);
  EXPECT_EQ(CodeOf(bob->seen[0].second), -32602);
  EXPECT_EQ(CodeOf(bob->seen[1].second), -32602);
  ASSERT_TRUE(Request(*ann, 2, RequestOf(2, "tasks/result", {{"taskId", "t"}})).ok());
  EXPECT_EQ(Server().Next("tasks/result")["params"]["taskId"], "t");
}

}  // namespace
}  // namespace mcpfleet::gateway
