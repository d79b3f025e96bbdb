#include "edge-runtime/gateway/bridge.h"

#include "tests/edge-runtime/gateway/fakes.h"

namespace mcpfleet::gateway {
namespace {

using namespace test;

const char kVersionKey[] = "io.modelcontextprotocol/protocolVersion";
const char kCapabilitiesKey[] = "io.modelcontextprotocol/clientCapabilities";
const char kLogLevelKey[] = "io.modelcontextprotocol/logLevel";
const char kSubscriptionKey[] = "io.modelcontextprotocol/subscriptionId";
const char kServerInfoKey[] = "io.modelcontextprotocol/serverInfo";

constexpr Duration kTogether = 10ms;  // what is asked within this is one input_required
const Json kAsking = {{"elicitation", Json::object()}};
const Json kFeatures = {{"tools", {{"listChanged", true}}},
                        {"resources", {{"subscribe", true}, {"listChanged", true}}},
                        {"logging", Json::object()}};

class BridgeTest : public ::testing::Test {
 protected:
  void SetUp() override { Make({}); }
  void Make(const BridgeSettings& settings) {
    bridge_ =
        std::make_unique<Bridge>(loop_, clock_, settings, wires_.AsNewLinkFor(), [](std::string_view, Incoming*) {});
  }
  static Json WithMeta(Json message, const Json& capabilities = Json::object(), const Json& more = Json::object()) {
    Json& meta = message["params"]["_meta"];
    meta[kVersionKey] = "2026-07-28";
    meta[kCapabilitiesKey] = capabilities;
    meta.update(more);
    return message;
  }
  std::shared_ptr<Exchange> Send(const Json& message, const std::string& subject = "anonymous") {
    auto exchange = std::make_shared<Exchange>();
    ModernRequest request{Parsed(message), {}, subject};
    request.meta = ReadModernMeta(request.message.text, request.message.envelope);
    bridge_->Call(std::move(request), AnswerTo(exchange));
    loop_.Run();
    return exchange;
  }
  std::shared_ptr<Exchange> Call(const Json& id, const Json& capabilities = Json::object(),
                                 const std::string& subject = "anonymous", const Json& meta = Json::object()) {
    return Send(WithMeta(RequestOf(id, "tools/call", {{"name", "greet"}}), capabilities, meta), subject);
  }
  // Answers the child's handshake and reads past it.
  Json Shake(size_t child, const Json& features = kFeatures) {
    Wire& wire = wires_[child];
    const Json initialize = wire.Next("initialize");
    wire.Answer(initialize,
                {{"protocolVersion", "2025-11-25"}, {"capabilities", features}, {"serverInfo", {{"name", "s"}}}});
    wire.Next("notifications/initialized");
    loop_.Run();
    return initialize["params"];
  }
  std::shared_ptr<Exchange> Listen(const Json& id, const Json& wanted, const std::string& subject = "anonymous") {
    return Send(WithMeta(RequestOf(id, "subscriptions/listen", {{"notifications", wanted}})), subject);
  }
  // A call that was answered with a question: its requestState, and the key of the question.
  struct Asked {
    Json call, state;
    std::string key;
  };
  Asked Ask(const Json& id, const std::string& subject = "anonymous", size_t child = 0) {
    const auto exchange = Call(id, kAsking, subject);
    if (wires_[child].sent.size() == 1) Shake(child);
    Asked asked{wires_[child].Next("tools/call"), {}, {}};
    wires_[child].Ask("q", "elicitation/create", {{"message", "name?"}});
    loop_.Advance(kTogether);
    const Json result = exchange->Final()["result"];
    EXPECT_EQ(result["resultType"], "input_required") << result;
    EXPECT_EQ(result["inputRequests"].size(), 1U);
    asked.state = result["requestState"];
    asked.key = result["inputRequests"].begin().key();
    EXPECT_EQ(result["inputRequests"][asked.key],
              Json({{"method", "elicitation/create"}, {"params", {{"message", "name?"}}}}));
    return asked;
  }
  std::shared_ptr<Exchange> Resume(const Json& id, const Json& state, const Json& responses,
                                   const std::string& subject = "anonymous", const std::string& name = "greet") {
    return Send(
        WithMeta(RequestOf(id, "tools/call", {{"name", name}, {"requestState", state}, {"inputResponses", responses}}),
                 kAsking),
        subject);
  }

  FakeClock clock_;
  ManualLoop loop_{&clock_};
  Wires wires_{&loop_};
  std::unique_ptr<Bridge> bridge_;
};

// ---- lanes

TEST_F(BridgeTest, AChildPerKindOfClient) {
  Call(1);
  Call(2);
  EXPECT_EQ(wires_.size(), 1U);
  Call(3, kAsking);
  EXPECT_EQ(wires_.size(), 2U);
  Call(4, Json::object(), "bearer:other");
  EXPECT_EQ(wires_.size(), 3U) << "never another subject's";
  Call(5, {{"experimental", {{"x", 1}}}, {"tasks", Json::object()}});
  EXPECT_EQ(wires_.size(), 3U) << "what a legacy server does not know makes no difference";
  EXPECT_EQ(Shake(0)["capabilities"], Json::object());
  EXPECT_EQ(Shake(1)["capabilities"], kAsking);
}

TEST_F(BridgeTest, TheOrderOfCapabilitiesMakesNoDifference) {
  const std::string head = R"({"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"_meta":{)"
                           R"("io.modelcontextprotocol/clientCapabilities":)";
  for (const char* capabilities : {R"({"roots":{},"sampling":{}})", R"({"sampling":{}, "roots":{}})"}) {
    ModernRequest request{Parsed(head + capabilities + "}}}"), {}, "anonymous"};
    request.meta = ReadModernMeta(request.message.text, request.message.envelope);
    bridge_->Call(std::move(request), AnswerTo(std::make_shared<Exchange>()));
    loop_.Run();
    if (wires_.size() == 1 && wires_[0].sent.size() == 1) Shake(0);
    if (wires_[0].sent.size() == 3) wires_[0].Answer(wires_[0].Next("tools/list"), Json::object());
  }
  EXPECT_EQ(wires_.size(), 1U);
}

TEST_F(BridgeTest, InSharedModeThereIsOneChildThatCanAskNobody) {
  Make({.shared = true});
  Call(1, kAsking);
  Call(2, Json::object(), "bearer:other");
  EXPECT_EQ(wires_.size(), 1U);
  EXPECT_EQ(Shake(0)["capabilities"], Json::object());
}

TEST_F(BridgeTest, ACallIsTranslatedBothWays) {
  const auto exchange = Call("x", Json::object(), "anonymous", {{"progressToken", "tok"}, {"traceparent", "t"}});
  Shake(0);
  const Json sent = wires_[0].Next("tools/call");
  EXPECT_EQ(sent["params"]["name"], "greet");
  EXPECT_EQ(sent["params"]["_meta"], Json({{"progressToken", sent["id"]}, {"traceparent", "t"}}));
  wires_[0].Notify("notifications/progress", {{"progressToken", sent["id"]}, {"progress", 1}});
  wires_[0].Answer(sent, {{"content", Json::array()}});
  ASSERT_TRUE(exchange->streaming);
  ASSERT_EQ(exchange->Messages().size(), 2U);
  EXPECT_EQ(exchange->Messages()[0]["params"]["progressToken"], "tok");
  EXPECT_EQ(exchange->Final()["id"], "x");
  EXPECT_EQ(exchange->Final()["result"]["resultType"], "complete");
  EXPECT_EQ(exchange->Final()["result"]["_meta"][kServerInfoKey]["name"], "s");
}

TEST_F(BridgeTest, DiscoverIsAnsweredFromTheHandshake) {
  const auto exchange = Send(WithMeta(RequestOf("d", "server/discover")));
  Shake(0);
  EXPECT_EQ(exchange->Body()["id"], "d");
  EXPECT_EQ(exchange->Body()["result"]["supportedVersions"][0], "2026-07-28");
  EXPECT_EQ(exchange->Body()["result"]["capabilities"]["tools"], Json({{"listChanged", true}}));
  EXPECT_TRUE(wires_[0].AllRead());
  EXPECT_EQ(bridge_->calls(), 0U);
}

TEST_F(BridgeTest, UnknownMethodsAndThoseOfTheOtherErasTasksAreNotFound) {
  const auto unknown = Send(WithMeta(RequestOf(1, "no/such")));
  Shake(0);
  wires_[0].Refuse(wires_[0].Next("no/such"), -32601, "Method not found");
  EXPECT_EQ(unknown->status(), 404);
  const auto task = Send(WithMeta(RequestOf(2, "tasks/get", {{"taskId", "t"}})));
  EXPECT_EQ(task->status(), 404);
  EXPECT_EQ(CodeOf(task->Body()), -32601);
  EXPECT_TRUE(wires_[0].AllRead());
}

TEST_F(BridgeTest, AClientThatCanBeAskedHasOneCallAtATimeInAChild) {
  const auto first = Call(1, kAsking);
  Shake(0);
  const auto second = Call(2, kAsking);
  const Json sent = wires_[0].Next("tools/call");
  EXPECT_TRUE(wires_[0].AllRead()) << "it waits for its turn";
  EXPECT_EQ(wires_.size(), 1U);
  loop_.Advance(1s);
  bridge_->Tick(clock_.Now());
  loop_.Run();
  ASSERT_EQ(wires_.size(), 2U) << "but not for long";
  Shake(1);
  wires_[1].Answer(wires_[1].Next("tools/call"), "second");
  wires_[0].Answer(sent, "first");
  EXPECT_EQ(first->Body()["result"], "first");
  EXPECT_EQ(second->Body()["result"], "second");
  Call(3, kAsking);
  EXPECT_EQ(wires_.size(), 2U) << "there is a free one";
}

TEST_F(BridgeTest, WithoutRoomForAnotherChildCallsWaitForTheirTurn) {
  const auto first = Call(1, kAsking);
  Shake(0);
  const Json sent = wires_[0].Next("tools/call");
  wires_.refusal = ResourceExhausted("all children are in use");
  const auto second = Call(2, kAsking), third = Call(3, kAsking);
  loop_.Advance(5s);
  bridge_->Tick(clock_.Now());
  loop_.Run();
  EXPECT_TRUE(wires_[0].AllRead());
  EXPECT_EQ(bridge_->lanes(), 1U);
  wires_[0].Answer(sent, 1);
  loop_.Run();
  wires_[0].Answer(wires_[0].Next("tools/call"), 2);
  loop_.Run();
  wires_[0].Answer(wires_[0].Next("tools/call"), 3);
  EXPECT_TRUE(first->Done() && second->Done() && third->Done());
}

TEST_F(BridgeTest, WithoutAChildAtAllCallsAreRefusedForNow) {
  wires_.refusal = ResourceExhausted("all children are in use");
  const auto exchange = Call(1);
  EXPECT_EQ(exchange->status(), 503);
  EXPECT_EQ(CodeOf(exchange->Body()), -32603);
  EXPECT_EQ(bridge_->lanes(), 0U);
  const auto listener = Listen(2, {{"toolsListChanged", true}});
  EXPECT_EQ(listener->status(), 503) << "no subscription that never was is said to have ended well";
}

TEST_F(BridgeTest, AChildThatRefusesTheHandshakeFailsWhoWaits) {
  const auto exchange = Call(1);
  wires_[0].Refuse(wires_[0].Next("initialize"), -32602, "bad version");
  loop_.Run();
  EXPECT_EQ(exchange->status(), 503);
  EXPECT_TRUE(wires_[0].destroyed);
}

TEST_F(BridgeTest, AChildThatNeverAnswersTheHandshakeFailsWhoWaitsAndMakesWay) {
  Make({.handshake_timeout = 60s});
  const auto exchange = Call(1);
  const auto listener = Listen("sub", {{"toolsListChanged", true}});
  wires_[0].Next("initialize");
  loop_.Advance(59s);
  EXPECT_FALSE(exchange->response);
  loop_.Advance(1s);
  EXPECT_EQ(exchange->status(), 503);
  EXPECT_EQ(listener->status(), 503);
  EXPECT_TRUE(wires_[0].destroyed);
  EXPECT_EQ(bridge_->lanes(), 0U);
  const auto next = Call(2);
  Shake(1);
  wires_[1].Answer(wires_[1].Next("tools/call"), Json::object());
  loop_.Advance(60s);
  EXPECT_EQ(next->status(), 200);
  EXPECT_FALSE(wires_[1].destroyed) << "it answered";
}

TEST_F(BridgeTest, TheServerWaitsForAClientThatReadsSlowly) {
  const auto exchange = Call(1, Json::object(), "anonymous", {{"progressToken", "p"}});
  Shake(0);
  const Json sent = wires_[0].Next("tools/call");
  exchange->slow = true;
  for (int i = 0; i < 3; ++i) {
    EXPECT_FALSE(wires_[0].paused) << i;
    wires_[0].Notify("notifications/progress", {{"progressToken", sent["id"]}, {"message", std::string(400'000, 'x')}});
  }
  EXPECT_TRUE(wires_[0].paused);
  exchange->Drain();
  EXPECT_FALSE(wires_[0].paused);
}

TEST_F(BridgeTest, ASharedServerWaitsForNobody) {
  Make({.shared = true});
  const auto exchange = Call(1, Json::object(), "anonymous", {{"progressToken", "p"}});
  Shake(0);
  const Json sent = wires_[0].Next("tools/call");
  exchange->slow = true;
  for (int i = 0; i < 4; ++i)
    wires_[0].Notify("notifications/progress", {{"progressToken", sent["id"]}, {"message", std::string(400'000, 'x')}});
  EXPECT_FALSE(wires_[0].paused);
}

TEST_F(BridgeTest, WhenTheGatewayLetsGoOfTheServerClientsAreTold) {
  const auto call = Call(1, Json::object(), "anonymous", {{"progressToken", "p"}}), quiet = Call(2);
  const auto listener = Listen("sub", {{"toolsListChanged", true}});
  Shake(0);
  const Json sent = wires_[0].Next("tools/call");
  wires_[0].Notify("notifications/progress", {{"progressToken", sent["id"]}});
  bridge_.reset();
  ASSERT_TRUE(call->ended);
  EXPECT_EQ(CodeOf(call->Final()), -32603);
  EXPECT_EQ(quiet->status(), 503);
  EXPECT_EQ(listener->Final()["result"]["resultType"], "complete");
}

TEST_F(BridgeTest, WhenAChildDiesItsCallsFailAndTheNextGetsAnother) {
  const auto exchange = Call(1);
  Shake(0);
  wires_[0].Close();
  loop_.Run();
  EXPECT_EQ(CodeOf(exchange->Body()), -32603);
  EXPECT_EQ(bridge_->lanes(), 0U);
  Call(2);
  EXPECT_EQ(wires_.size(), 2U);
}

TEST_F(BridgeTest, AClientThatLeavesHasCancelled) {
  const auto exchange = Call(1), other = Call(2);
  Shake(0);
  const Json sent = wires_[0].Next("tools/call");
  wires_[0].Next("tools/call");
  exchange->Leave();
  EXPECT_EQ(wires_[0].Next("notifications/cancelled")["params"]["requestId"], sent["id"]);
  EXPECT_EQ(bridge_->calls(), 1U);
  wires_[0].Answer(sent, "late");
  EXPECT_FALSE(other->response);
}

TEST_F(BridgeTest, AClientThatLeavesWhileItWaitsIsForgotten) {
  Call(1, kAsking);
  Shake(0);
  const Json sent = wires_[0].Next("tools/call");
  wires_.refusal = ResourceExhausted("full");
  const auto waiting = Call(2, kAsking);
  waiting->Leave();
  wires_[0].Answer(sent, 1);
  loop_.Run();
  EXPECT_TRUE(wires_[0].AllRead());
  EXPECT_EQ(bridge_->calls(), 0U);
}

// ---- questions

TEST_F(BridgeTest, AQuestionIsInputRequiredAndItsAnswerGoesOnWithTheCall) {
  const Asked asked = Ask("first");
  EXPECT_EQ(bridge_->calls(), 1U) << "it stays open at the server";
  const auto resumed = Resume("second", asked.state, {{asked.key, {{"action", "accept"}}}});
  EXPECT_EQ(wires_[0].Next(), ResultOf("q", {{"action", "accept"}}));
  EXPECT_FALSE(resumed->response);
  wires_[0].Answer(asked.call, {{"content", "hi"}});
  EXPECT_EQ(resumed->Body()["id"], "second");
  EXPECT_EQ(resumed->Body()["result"]["content"], "hi");
  EXPECT_EQ(resumed->Body()["result"]["resultType"], "complete");
  EXPECT_EQ(bridge_->calls(), 0U);
}

TEST_F(BridgeTest, SeveralQuestionsAtOnceAreAskedAtOnceAndWhatIsNotAnsweredAgain) {
  const auto exchange = Call(1, {{"elicitation", Json::object()}, {"roots", Json::object()}});
  Shake(0);
  const Json sent = wires_[0].Next("tools/call");
  wires_[0].Ask("a", "elicitation/create", {{"message", "?"}});
  wires_[0].Ask("b", "roots/list");
  loop_.Advance(kTogether);
  const Json first = exchange->Final()["result"];
  ASSERT_EQ(first["inputRequests"].size(), 2U);
  std::string roots, elicitation;
  for (const auto& [key, question] : first["inputRequests"].items())
    (question["method"] == "roots/list" ? roots : elicitation) = key;
  const auto resume = [&](const Json& id, const Json& state, const Json& responses) {
    return Send(WithMeta(
        RequestOf(id, "tools/call", {{"name", "greet"}, {"requestState", state}, {"inputResponses", responses}}),
        {{"elicitation", Json::object()}, {"roots", Json::object()}}));
  };
  const auto second = resume(2, first["requestState"], {{roots, {{"roots", Json::array()}}}, {"unknown", 1}});
  EXPECT_EQ(wires_[0].Next()["id"], "b");
  const Json again = second->Final()["result"];
  ASSERT_EQ(again["inputRequests"].size(), 1U);
  EXPECT_TRUE(again["inputRequests"].contains(elicitation));
  const auto third = resume(3, again["requestState"], Json::object());
  EXPECT_EQ(third->Final()["result"]["inputRequests"].size(), 1U) << "nothing is answered: it is asked again";
  const auto fourth = resume(4, third->Final()["result"]["requestState"], {{elicitation, 1}});
  EXPECT_EQ(wires_[0].Next()["id"], "a");
  wires_[0].Answer(sent, "done");
  EXPECT_EQ(fourth->Body()["result"], "done");
}

TEST_F(BridgeTest, ProgressAfterAnAnswerComesWithTheTokenOfTheNewRequest) {
  const auto first = Call(1, kAsking, "anonymous", {{"progressToken", "old"}});
  Shake(0);
  const Json sent = wires_[0].Next("tools/call");
  wires_[0].Ask("q", "elicitation/create");
  loop_.Advance(kTogether);
  const Json result = first->Final()["result"];
  const auto second = Send(WithMeta(RequestOf(2, "tools/call",
                                              {{"name", "greet"},
                                               {"requestState", result["requestState"]},
                                               {"inputResponses", {{result["inputRequests"].begin().key(), 1}}}}),
                                    kAsking, {{"progressToken", "new"}}));
  wires_[0].Notify("notifications/progress", {{"progressToken", sent["params"]["_meta"]["progressToken"]}});
  ASSERT_EQ(second->Messages().size(), 1U);
  EXPECT_EQ(second->Messages()[0]["params"]["progressToken"], "new");
}

TEST_F(BridgeTest, WhileAClientIsAskedItsOtherCallsDoNotWait) {
  Ask("first");
  Call("second", kAsking);
  ASSERT_EQ(wires_.size(), 2U);
  Shake(1);
  EXPECT_EQ(wires_[1].Next("tools/call")["params"]["name"], "greet");
}

TEST_F(BridgeTest, AClientThatLeavesBeforeItWasAskedLeavesNoQuestionOpen) {
  const auto exchange = Call(1, kAsking);
  Shake(0);
  wires_[0].Next("tools/call");
  wires_[0].Ask("q", "elicitation/create");
  exchange->Leave();
  EXPECT_EQ(wires_[0].Next()["id"], "q");
  wires_[0].Next("notifications/cancelled");
  loop_.Advance(1s);
  EXPECT_EQ(bridge_->calls(), 0U);
}

TEST_F(BridgeTest, AStateThatIsNotItsOwnIsRefusedAndHarmsNothing) {
  const Asked asked = Ask("first");
  const std::string good = asked.state.get<std::string>();
  const Json answer = {{asked.key, 1}};
  std::string flipped = good;
  flipped.back() = flipped.back() == '0' ? '1' : '0';
  for (const Json& state : {Json(flipped), Json(""), Json(good + "x"), Json(good.substr(0, good.find('.'))), Json(7),
                            Json(nullptr), Json(std::string(100'000, 'a'))}) {
    EXPECT_EQ(CodeOf(Resume(2, state, answer)->Final()), -32602) << state.dump().substr(0, 60);
  }
  EXPECT_EQ(CodeOf(Resume(2, good, answer, "bearer:thief")->Final()), -32602) << "another subject's";
  EXPECT_EQ(CodeOf(Resume(2, good, answer, "anonymous", "other")->Final()), -32602) << "another call";
  EXPECT_TRUE(wires_[0].AllRead());
  const auto resumed = Resume(3, good, answer);
  EXPECT_EQ(wires_[0].Next()["id"], "q");
  EXPECT_EQ(CodeOf(Resume(4, good, answer)->Final()), -32602) << "a state is good once";
  wires_[0].Answer(asked.call, "done");
  EXPECT_EQ(resumed->Body()["result"], "done");
}

TEST_F(BridgeTest, AClientThatNeverComesBackFreesTheServerInTime) {
  Make({.modern = {.park_timeout = 300s}});
  const Asked asked = Ask("first");
  loop_.Advance(299s);
  bridge_->Tick(clock_.Now());
  EXPECT_EQ(bridge_->calls(), 1U);
  loop_.Advance(1s);
  bridge_->Tick(clock_.Now());
  EXPECT_EQ(bridge_->calls(), 0U);
  const Json error = wires_[0].Next();
  EXPECT_EQ(error["id"], "q") << "the server's question has an answer";
  EXPECT_EQ(CodeOf(error), -32603);
  EXPECT_EQ(wires_[0].Next("notifications/cancelled")["params"]["requestId"], asked.call["id"]);
  EXPECT_EQ(CodeOf(Resume(2, asked.state, {{asked.key, 1}})->Final()), -32602);
}

TEST_F(BridgeTest, OfTheCallsThatWaitForOneClientTheOldestMakesRoom) {
  Make({.max_parked = 2});
  const Asked first = Ask(1, "ann", 0);
  loop_.Advance(1s);
  Ask(2, "ann", 1);
  Ask(3, "bob", 2);
  EXPECT_EQ(bridge_->calls(), 3U);
  Ask(4, "ann", 3);
  EXPECT_EQ(bridge_->calls(), 3U);
  EXPECT_EQ(CodeOf(wires_[0].Next()), -32603) << "the server's question has an answer";
  EXPECT_EQ(wires_[0].Next("notifications/cancelled")["params"]["requestId"], first.call["id"]);
}

TEST_F(BridgeTest, AnAnswerThatCameWithoutTheInputWaitsForTheClient) {
  const Asked asked = Ask("first");
  wires_[0].Answer(asked.call, {{"content", "never mind"}});
  loop_.Run();
  const auto resumed = Resume("second", asked.state, {{asked.key, 1}});
  EXPECT_EQ(resumed->Final()["id"], "second");
  EXPECT_EQ(resumed->Final()["result"]["content"], "never mind");
  EXPECT_TRUE(wires_[0].AllRead());
}

TEST_F(BridgeTest, AServerThatDiedMeanwhileIsAnErrorForTheClientThatComesBack) {
  const Asked asked = Ask("first");
  wires_[0].Close();
  loop_.Run();
  const auto resumed = Resume("second", asked.state, {{asked.key, 1}});
  EXPECT_LT(CodeOf(resumed->Final()), 0);
  EXPECT_EQ(bridge_->calls(), 0U);
}

TEST_F(BridgeTest, AClientIsNeverAskedForWhatItDoesNotOffer) {
  const auto exchange = Call(1, kAsking);
  Shake(0);
  wires_[0].Next("tools/call");
  wires_[0].Ask("s", "sampling/createMessage");
  wires_[0].Ask("x", "tools/list");
  EXPECT_EQ(CodeOf(wires_[0].Next()), -32601);
  EXPECT_EQ(CodeOf(wires_[0].Next()), -32601);
  loop_.Advance(kTogether);
  EXPECT_FALSE(exchange->response);
}

TEST_F(BridgeTest, AQuestionThatBelongsToNoCallIsRefused) {
  const auto list = Send(WithMeta(RequestOf(1, "tools/list"), kAsking));
  Shake(0);
  const Json sent = wires_[0].Next("tools/list");
  wires_[0].Ask("during a list", "elicitation/create");
  EXPECT_EQ(CodeOf(wires_[0].Next()), -32603);
  wires_[0].Answer(sent, Json::object());
  wires_[0].Ask("idle", "elicitation/create");
  EXPECT_EQ(wires_[0].Next()["id"], "idle");
}

// ---- logs

TEST_F(BridgeTest, LogsComeOnlyWhenAskedForAndWithoutDoubt) {
  const auto silent = Call(1);
  Shake(0);
  wires_[0].Next("tools/call");
  wires_[0].Notify("notifications/message", {{"level", "info"}});
  EXPECT_FALSE(silent->response);
  const auto one = Call(2, Json::object(), "anonymous", {{kLogLevelKey, "debug"}});
  EXPECT_EQ(wires_[0].Next("logging/setLevel")["params"]["level"], "debug");
  wires_[0].Next("tools/call");
  const auto two = Call(3, Json::object(), "anonymous", {{kLogLevelKey, "debug"}});
  wires_[0].Next("tools/call");
  wires_[0].Notify("notifications/message", {{"level", "info"}});
  EXPECT_FALSE(one->response) << "of which of the two?";
  EXPECT_FALSE(two->response);
  EXPECT_FALSE(silent->response);
}

// With a call under way that asked for no logs a line may be that one's.
TEST_F(BridgeTest, ALogLineGoesToTheOneCallThatAskedForLogs) {
  const auto one = Call(2, Json::object(), "anonymous", {{kLogLevelKey, "debug"}});
  Shake(0);
  wires_[0].Notify("notifications/message", {{"level", "info"}});
  EXPECT_EQ(one->Messages().size(), 1U);
}

// ---- subscriptions

TEST_F(BridgeTest, AListenerIsAcknowledgedFirstAndHearsWhatItAskedForAndTheServerHas) {
  const auto exchange = Listen("sub", {{"toolsListChanged", true},
                                       {"promptsListChanged", true},
                                       {"resourcesListChanged", false},
                                       {"resourceSubscriptions", {"file:///a", 7}}});
  EXPECT_FALSE(exchange->response);
  Shake(0);
  ASSERT_EQ(exchange->Messages().size(), 1U);
  const Json acknowledged = exchange->Messages()[0];
  EXPECT_EQ(acknowledged["method"], "notifications/subscriptions/acknowledged");
  EXPECT_EQ(acknowledged["params"]["_meta"][kSubscriptionKey], "sub");
  EXPECT_EQ(acknowledged["params"]["notifications"],
            Json({{"toolsListChanged", true}, {"resourceSubscriptions", {"file:///a"}}}));
  EXPECT_EQ(wires_[0].Next("resources/subscribe")["params"]["uri"], "file:///a");
  wires_[0].Notify("notifications/tools/list_changed");
  wires_[0].Notify("notifications/prompts/list_changed");
  wires_[0].Notify("notifications/resources/list_changed");
  wires_[0].Notify("notifications/resources/updated", {{"uri", "file:///a"}});
  wires_[0].Notify("notifications/resources/updated", {{"uri", "file:///b"}});
  const std::vector<Json> messages = exchange->Messages();
  ASSERT_EQ(messages.size(), 3U);
  EXPECT_EQ(messages[1]["method"], "notifications/tools/list_changed");
  EXPECT_EQ(messages[2]["params"]["uri"], "file:///a");
  for (const Json& message : messages) EXPECT_EQ(message["params"]["_meta"][kSubscriptionKey], "sub");
  EXPECT_EQ(exchange->bytes.find("id: "), std::string::npos);
}

TEST_F(BridgeTest, ANotificationKeepsTheMetaThatItHas) {
  const auto exchange = Listen(1, {{"toolsListChanged", true}});
  Shake(0);
  wires_[0].Notify("notifications/tools/list_changed", {{"_meta", {{"mine", 1}}}});
  EXPECT_EQ(exchange->bytes.find("_meta", exchange->bytes.rfind("data:")), exchange->bytes.rfind("_meta"))
      << "once: " << exchange->bytes;
  EXPECT_EQ(exchange->Messages().back()["params"]["_meta"], Json({{"mine", 1}, {kSubscriptionKey, 1}}));
}

TEST_F(BridgeTest, NothingComesBeforeTheAcknowledgement) {
  Call(1);
  Shake(0);
  const auto exchange = Send(
      WithMeta(RequestOf("l", "subscriptions/listen", {{"notifications", {{"toolsListChanged", true}}}}), kAsking));
  ASSERT_EQ(wires_.size(), 2U);
  wires_[0].Notify("notifications/tools/list_changed");
  Shake(1);
  ASSERT_FALSE(exchange->Messages().empty());
  EXPECT_EQ(exchange->Messages()[0]["method"], "notifications/subscriptions/acknowledged");
}

TEST_F(BridgeTest, AListenerHearsNothingOfOtherSubjects) {
  const auto mine = Listen(1, {{"toolsListChanged", true}}, "bearer:me");
  const auto other = Listen(1, {{"toolsListChanged", true}}, "bearer:other");
  Shake(0);
  Shake(1);
  wires_[1].Notify("notifications/tools/list_changed");
  EXPECT_EQ(mine->Messages().size(), 1U);
  EXPECT_EQ(other->Messages().size(), 2U);
}

TEST_F(BridgeTest, TheLastListenerOfAResourceEndsTheSubscription) {
  const auto a = Listen(1, {{"resourceSubscriptions", {"u", "v"}}}), b = Listen(2, {{"resourceSubscriptions", {"u"}}});
  Shake(0);
  wires_[0].Next("resources/subscribe");
  wires_[0].Next("resources/subscribe");
  EXPECT_TRUE(wires_[0].AllRead()) << "once for each";
  a->Leave();
  loop_.Run();
  EXPECT_EQ(wires_[0].Next("resources/unsubscribe")["params"]["uri"], "v");
  b->Leave();
  loop_.Run();
  EXPECT_EQ(wires_[0].Next("resources/unsubscribe")["params"]["uri"], "u");
  EXPECT_EQ(bridge_->calls(), 0U);
}

TEST_F(BridgeTest, WhenTheServerEndsItsListenersAreToldInForm) {
  const auto exchange = Listen("sub", {{"toolsListChanged", true}});
  Shake(0);
  wires_[0].Close();
  loop_.Run();
  ASSERT_TRUE(exchange->ended);
  EXPECT_EQ(exchange->Final()["id"], "sub");
  EXPECT_EQ(exchange->Final()["result"]["resultType"], "complete");
  EXPECT_EQ(exchange->Final()["result"]["_meta"][kSubscriptionKey], "sub");
}

TEST_F(BridgeTest, ASubjectHasSoManyListenersAndNoMore) {
  for (int i = 0; i < 64; ++i) Listen(i, Json::object());
  const auto one_more = Listen(64, Json::object());
  EXPECT_EQ(one_more->status(), 429);
  EXPECT_NE(one_more->Header("retry-after"), "");
  EXPECT_FALSE(Listen(65, Json::object(), "bearer:other")->response);
  Make({.modern = {.max_listens = 1}});
  EXPECT_FALSE(Listen(1, Json::object())->response);
  EXPECT_EQ(Listen(2, Json::object())->status(), 429);
}

// ---- time

TEST_F(BridgeTest, AnIdleChildGoesAndOneThatIsListenedToStays) {
  Make({.idle_timeout = 30min});
  Call(1);
  Shake(0);
  wires_[0].Answer(wires_[0].Next("tools/call"), 1);
  loop_.Run();
  const auto listener = Listen(2, {{"toolsListChanged", true}}, "bearer:other");
  Shake(1);
  loop_.Advance(29min);
  bridge_->Tick(clock_.Now());
  EXPECT_EQ(bridge_->lanes(), 2U);
  loop_.Advance(1min);
  bridge_->Tick(clock_.Now());
  loop_.Run();
  EXPECT_EQ(bridge_->lanes(), 1U);
  EXPECT_TRUE(wires_[0].destroyed);
  EXPECT_FALSE(wires_[1].destroyed);
  EXPECT_NE(listener->bytes.find("\n:"), std::string::npos) << "kept alive";
}

TEST_F(BridgeTest, TheChildUnusedTheLongestMakesRoom) {
  EXPECT_EQ(bridge_->OldestIdle(), MonoTime::max());
  EXPECT_FALSE(bridge_->EvictOne());
  for (const char* subject : {"a", "b"}) {
    Call(1, Json::object(), subject);
    const size_t child = wires_.size() - 1;
    Shake(child);
    wires_[child].Answer(wires_[child].Next("tools/call"), 1);
    loop_.Advance(1min);
  }
  EXPECT_TRUE(bridge_->EvictOne());
  loop_.Run();
  EXPECT_TRUE(wires_[0].destroyed);
  EXPECT_FALSE(wires_[1].destroyed);
  Call(2, Json::object(), "b");
  EXPECT_FALSE(bridge_->EvictOne()) << "it is busy";
}

TEST_F(BridgeTest, ACallThatTakesTooLongIsAnErrorAndCancelled) {
  Make({.modern = {.call_timeout = 20s}});
  const auto exchange = Call(1);
  Shake(0);
  const Json sent = wires_[0].Next("tools/call");
  loop_.Advance(19s);
  bridge_->Tick(clock_.Now());
  EXPECT_EQ(bridge_->calls(), 1U);
  loop_.Advance(1s);
  bridge_->Tick(clock_.Now());
  EXPECT_EQ(CodeOf(exchange->Final()), -32603);
  EXPECT_EQ(wires_[0].Next("notifications/cancelled")["params"]["requestId"], sent["id"]);
  EXPECT_EQ(bridge_->calls(), 0U);
}

}  // namespace
}  // namespace mcpfleet::gateway
