#include "edge-runtime/gateway/modern_calls.h"

#include "tests/edge-runtime/gateway/fakes.h"

namespace mcpfleet::gateway {
namespace {

using namespace test;

const char kSubscriptionKey[] = "io.modelcontextprotocol/subscriptionId";

class ModernCallsTest : public ::testing::Test {
 protected:
  std::shared_ptr<Exchange> Call(const Json& message, const std::string& subject = "anonymous") {
    auto exchange = std::make_shared<Exchange>();
    ModernRequest request{Parsed(message), {}, subject};
    request.meta = ReadModernMeta(request.message.text, request.message.envelope);
    passage_->Call(std::move(request), AnswerTo(exchange));
    loop_.Run();
    return exchange;
  }
  Wire& Server() { return wires_[wires_.size() == 0 ? 0 : wires_.size() - 1]; }
  static Json Logging(const Json& id) {
    return RequestOf(id, "tools/call", {{"_meta", {{"io.modelcontextprotocol/logLevel", "debug"}}}});
  }

  FakeClock clock_;
  ManualLoop loop_{&clock_};
  Wires wires_{&loop_};
  std::shared_ptr<ModernHub> hub_ = std::make_shared<ModernHub>(loop_, wires_.AsNewLink());
  std::unique_ptr<ModernPassage> Passage(const ModernSettings& settings) {
    return std::make_unique<ModernPassage>(clock_, settings, hub_, [](std::string_view, Incoming*) {});
  }
  std::unique_ptr<ModernPassage> passage_ = Passage({});
};

TEST_F(ModernCallsTest, OneServerAnswersEveryClient) {
  const auto a = Call(RequestOf("same", "tools/call", {{"n", 1}})),
             b = Call(RequestOf("same", "tools/call", {{"n", 2}}));
  const Json first = Server().Next("tools/call"), second = Server().Next("tools/call");
  EXPECT_NE(first["id"], second["id"]);
  Server().Answer(second, "b");
  Server().Answer(first, "a");
  EXPECT_EQ(a->Body(), ResultOf("same", "a"));
  EXPECT_EQ(b->Body(), ResultOf("same", "b"));
  EXPECT_EQ(wires_.size(), 1U);
  EXPECT_EQ(passage_->calls(), 0U);
}

TEST_F(ModernCallsTest, ProgressMakesItAStreamWithoutIdsOrRetry) {
  const auto exchange = Call(RequestOf(1, "tools/call", {{"_meta", {{"progressToken", "p"}}}}));
  const Json sent = Server().Next("tools/call");
  Server().Notify("notifications/progress", {{"progressToken", sent["id"]}});
  Server().Answer(sent, 1);
  ASSERT_TRUE(exchange->ended);
  EXPECT_EQ(exchange->Header("x-accel-buffering"), "no");
  EXPECT_EQ(exchange->Messages().at(0)["params"]["progressToken"], "p");
  EXPECT_EQ(exchange->Messages().at(1), ResultOf(1, 1));
  EXPECT_EQ(exchange->bytes.find("id:"), std::string::npos);
  EXPECT_EQ(exchange->bytes.find("retry:"), std::string::npos);
}

TEST_F(ModernCallsTest, ErrorsOfTheProtocolHaveTheirStatus) {
  for (const auto& [code, status] : std::map<int, int>{
           {-32601, 404}, {-32020, 400}, {-32021, 400}, {-32022, 400}, {-32602, 200}, {-32603, 200}, {-32000, 200}}) {
    const auto exchange = Call(RequestOf(1, "tools/call"));
    Server().Refuse(Server().Next("tools/call"), code, "x");
    EXPECT_EQ(exchange->status(), status) << code;
    EXPECT_EQ(CodeOf(exchange->Body()), code);
  }
}

TEST_F(ModernCallsTest, AClientThatLeavesHasCancelled) {
  const auto exchange = Call(RequestOf(1, "tools/call")), other = Call(RequestOf(2, "tools/call"));
  const Json sent = Server().Next("tools/call");
  Server().Next("tools/call");
  exchange->Leave();
  EXPECT_EQ(Server().Next("notifications/cancelled")["params"]["requestId"], sent["id"]);
  Server().Answer(sent, "late");
  EXPECT_EQ(passage_->calls(), 1U);
  EXPECT_FALSE(other->response);
}

TEST_F(ModernCallsTest, AClientThatLeavesBeforeTheServerStandsIsForgotten) {
  auto exchange = std::make_shared<Exchange>();
  passage_->Call({Parsed(RequestOf(1, "tools/call")), {}, "anonymous"}, AnswerTo(exchange));
  exchange->Leave();
  loop_.Run();
  EXPECT_EQ(passage_->calls(), 0U);
  EXPECT_TRUE(Server().AllRead());
}

TEST_F(ModernCallsTest, LogsAreShownWhereThereIsNoDoubt) {
  const auto silent = Call(RequestOf(1, "tools/call"));
  Server().Notify("notifications/message", {{"level", "info"}});
  EXPECT_FALSE(silent->response);
  const auto one = Call(Logging(2));
  Server().Notify("notifications/message", {{"level", "info"}});
  EXPECT_EQ(one->Messages().size(), 1U);
  const auto two = Call(Logging(3));
  Server().Notify("notifications/message", {{"level", "info"}});
  EXPECT_EQ(one->Messages().size(), 1U);
  EXPECT_FALSE(two->response);
  EXPECT_FALSE(silent->response);
}

TEST_F(ModernCallsTest, ASubscriptionHasTheClientsIdEverywhere) {
  const auto exchange =
      Call(RequestOf("sub", "subscriptions/listen", {{"notifications", {{"toolsListChanged", true}}}}));
  const auto other = Call(RequestOf("sub", "subscriptions/listen", {{"notifications", {{"toolsListChanged", true}}}}));
  const Json sent = Server().Next("subscriptions/listen");
  Server().Notify("notifications/subscriptions/acknowledged", {{"_meta", {{kSubscriptionKey, sent["id"]}}}});
  Server().Notify("notifications/tools/list_changed", {{"_meta", {{kSubscriptionKey, sent["id"]}}}});
  Server().Answer(sent, {{"resultType", "complete"}, {"_meta", {{kSubscriptionKey, sent["id"]}}}});
  ASSERT_TRUE(exchange->ended);
  ASSERT_EQ(exchange->Messages().size(), 3U);
  EXPECT_EQ(exchange->Messages()[0]["params"]["_meta"][kSubscriptionKey], "sub");
  EXPECT_EQ(exchange->Messages()[1]["params"]["_meta"][kSubscriptionKey], "sub");
  EXPECT_EQ(exchange->Messages()[2]["result"]["_meta"][kSubscriptionKey], "sub");
  EXPECT_EQ(exchange->Messages()[2]["id"], "sub");
  EXPECT_FALSE(other->response) << "of another subscription";
}

TEST_F(ModernCallsTest, ASubjectHasSoManySubscriptionsAndNoMore) {
  passage_ = Passage({.max_listens = 2});
  const Json listen = RequestOf(1, "subscriptions/listen", {{"notifications", Json::object()}});
  const auto first = Call(listen), second = Call(listen), third = Call(listen);
  EXPECT_EQ(third->status(), 429);
  EXPECT_NE(third->Header("retry-after"), "");
  EXPECT_FALSE(Call(RequestOf(2, "tools/call"))->response) << "is no subscription";
  EXPECT_FALSE(Call(listen, "bearer:other")->response);
  first->Leave();
  EXPECT_FALSE(Call(listen)->response);
}

TEST_F(ModernCallsTest, ACallEndsAtItsTimesHoweverThoseAreSet) {
  passage_ = Passage({.call_timeout = 10s, .call_limit = 15s});
  const auto silent = Call(RequestOf(1, "tools/call"));
  const auto busy = Call(RequestOf(2, "tools/call", {{"_meta", {{"progressToken", "p"}}}}));
  Server().Next("tools/call");
  const Json sent = Server().Next("tools/call");
  loop_.Advance(9s);
  Server().Notify("notifications/progress", {{"progressToken", sent["id"]}});
  loop_.Advance(1s);
  passage_->Tick(clock_.Now());
  EXPECT_EQ(CodeOf(silent->Final()), -32603);
  EXPECT_FALSE(busy->ended);
  loop_.Advance(5s);
  passage_->Tick(clock_.Now());
  EXPECT_EQ(CodeOf(busy->Final()), -32603);
}

TEST_F(ModernCallsTest, AServerThatEndsFailsItsCallsAndTheNextOneGetsAnother) {
  const auto exchange = Call(RequestOf(1, "tools/call"));
  Server().Close();
  loop_.Run();
  EXPECT_EQ(CodeOf(exchange->Body()), -32603);
  const auto next = Call(RequestOf(2, "tools/call"));
  EXPECT_EQ(wires_.size(), 2U);
  Server().Answer(Server().Next("tools/call"), 1);
  EXPECT_EQ(next->Body(), ResultOf(2, 1));
}

TEST_F(ModernCallsTest, WithoutAServerCallsFailAtOnceAndNoneIsForgotten) {
  wires_.refusal = Unavailable("it does not run now");
  const auto exchange = Call(RequestOf(1, "tools/call"));
  EXPECT_EQ(CodeOf(exchange->Body()), -32603);
  EXPECT_EQ(exchange->Body()["id"], 1);
  wires_.refusal = OkStatus();
  EXPECT_FALSE(Call(RequestOf(2, "tools/call"))->response);
  EXPECT_EQ(wires_.size(), 1U);
}

TEST_F(ModernCallsTest, ARequestOfTheServerIsRefused) {
  Call(RequestOf(1, "tools/call"));
  Server().Next("tools/call");
  Server().Ask("s", "sampling/createMessage");
  const Json refusal = Server().Next();
  EXPECT_EQ(refusal["id"], "s");
  EXPECT_EQ(CodeOf(refusal), -32601);
}

TEST_F(ModernCallsTest, SilenceIsFilledAndEndsAtTheLimitExceptForListeners) {
  const auto call = Call(RequestOf(1, "tools/call"));
  const auto listener = Call(RequestOf(2, "subscriptions/listen"));
  const Json sent = Server().Next("tools/call");
  loop_.Advance(25s);
  passage_->Tick(clock_.Now());
  EXPECT_TRUE(call->streaming);
  EXPECT_NE(call->bytes.find(":"), std::string::npos);
  loop_.Advance(280s);
  passage_->Tick(clock_.Now());
  EXPECT_EQ(CodeOf(call->Final()), -32603);
  Server().Next("subscriptions/listen");
  EXPECT_EQ(Server().Next("notifications/cancelled")["params"]["requestId"], sent["id"]);
  EXPECT_FALSE(listener->ended);
  EXPECT_EQ(passage_->calls(), 1U);
}

TEST_F(ModernCallsTest, AnIdleServerIsLetGoAndABusyOneIsNot) {
  Call(RequestOf(1, "tools/call"));
  hub_->CloseIdle();
  EXPECT_TRUE(hub_->open());
  Server().Answer(Server().Next("tools/call"), 1);
  hub_->CloseIdle();
  loop_.Run();
  EXPECT_FALSE(hub_->open());
  EXPECT_TRUE(Server().destroyed);
}

TEST_F(ModernCallsTest, AtTheEndCallsAreCancelledAndClientsToldSomething) {
  const auto exchange = Call(RequestOf(1, "tools/call"));
  Server().Next("tools/call");
  passage_.reset();
  Server().Next("notifications/cancelled");
  EXPECT_EQ(exchange->status(), 503);
  EXPECT_EQ(CodeOf(exchange->Body()), -32603);
}

TEST_F(ModernCallsTest, AStreamHasALastMessageHoweverItEnds) {
  const auto call = Call(RequestOf(1, "tools/call", {{"_meta", {{"progressToken", "p"}}}}));
  Server().Notify("notifications/progress", {{"progressToken", Server().Next("tools/call")["id"]}});
  const Json wanted = {{"notifications", {{"toolsListChanged", true}}}};
  const auto first = Call(RequestOf("a", "subscriptions/listen", wanted));
  const Json sent = Server().Next("subscriptions/listen");
  Server().Notify("notifications/subscriptions/acknowledged", {{"_meta", {{kSubscriptionKey, sent["id"]}}}});
  Server().Close();
  loop_.Run();
  EXPECT_EQ(CodeOf(call->Final()), -32603);
  ASSERT_TRUE(first->ended);
  EXPECT_EQ(first->Final()["result"]["resultType"], "complete") << "the server is gone: that is no error of the client";
  EXPECT_EQ(first->Final()["result"]["_meta"][kSubscriptionKey], "a");
  const auto second = Call(RequestOf("b", "subscriptions/listen", wanted));
  const Json again = Server().Next("subscriptions/listen");
  Server().Notify("notifications/subscriptions/acknowledged", {{"_meta", {{kSubscriptionKey, again["id"]}}}});
  passage_.reset();
  EXPECT_EQ(second->Final()["result"]["_meta"][kSubscriptionKey], "b");
}

TEST_F(ModernCallsTest, TasksAndStatesAreOfTheSubjectThatGotThem) {
  const auto answered = [this](const std::string& subject, const Json& result) {
    Call(RequestOf(1, "tools/call"), subject);
    Server().Answer(Server().Next("tools/call"), result);
  };
  answered("ann", {{"resultType", "task"}, {"taskId", "t1"}});
  answered("ann", {{"resultType", "input_required"}, {"requestState", "s1"}});
  const Json task = RequestOf(2, "tasks/get", {{"taskId", "t1"}});
  const Json state = RequestOf(2, "tools/call", {{"requestState", "s1"}});
  for (const Json& request :
       {task, state, RequestOf(2, "tasks/get", {{"taskId", "guessed"}}), RequestOf(2, "tasks/get")})
    EXPECT_EQ(CodeOf(Call(request, "bob")->Body()), -32602) << request;
  EXPECT_TRUE(Server().AllRead());
  Call(task, "ann");
  EXPECT_EQ(Server().Next("tasks/get")["params"]["taskId"], "t1");
  Call(state, "ann");
  EXPECT_EQ(Server().Next("tools/call")["params"]["requestState"], "s1");
  answered("bob", {{"taskId", "t1"}});
  EXPECT_EQ(CodeOf(Call(task, "bob")->Body()), -32602) << "the name was ann's first";
  Call(RequestOf(3, "tasks/get", {{"taskId", "any"}}));
  EXPECT_EQ(Server().Next("tasks/get")["params"]["taskId"], "any")
      << "where nobody is told from anybody all is everybody's";
}

}  // namespace
}  // namespace mcpfleet::gateway
