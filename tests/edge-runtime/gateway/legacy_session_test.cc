#include "edge-runtime/gateway/legacy_session.h"

#include "tests/edge-runtime/gateway/fake_conversation.h"

namespace mcpfleet::gateway {
namespace {

using namespace test;

using About = Conversation::About;

class LegacySessionTest : public ::testing::Test {
 protected:
  void Begin(const SessionSettings& settings = {}) {
    session_ = std::make_shared<LegacySession>("sid", "anonymous", settings, loop_, clock_);
    side_ = std::make_shared<Side>();
    session_->Connect(std::make_unique<FakeConversation>(side_), {.closed = [this] { ++closed_; }});
  }
  // A session that has agreed on `version`.
  void Open(const std::string& version = "2025-11-25", const SessionSettings& settings = {}) {
    Begin(settings);
    const auto exchange = Post(RequestOf(0, "initialize"));
    side_->Answer(0, {{"protocolVersion", version}});
    ASSERT_EQ(exchange->status(), 200);
    side_->requests.clear();
  }
  std::shared_ptr<Exchange> PostAll(const std::vector<Json>& messages) {
    auto exchange = std::make_shared<Exchange>();
    std::vector<Incoming> incoming;
    for (const Json& message : messages) incoming.push_back(Parsed(message));
    session_->Post(std::move(incoming), AnswerTo(exchange));
    return exchange;
  }
  std::shared_ptr<Exchange> Post(const Json& message) { return PostAll({message}); }
  std::shared_ptr<Exchange> Get(const std::string& last = "") {
    auto exchange = std::make_shared<Exchange>();
    const std::optional<EventId> after = last.empty() ? std::nullopt : EventId::Parse(last);
    EXPECT_EQ(after.has_value(), !last.empty());
    session_->Get(after, AnswerTo(exchange));
    return exchange;
  }
  // What the client saw, message by message.
  static std::string Seen(const Exchange& exchange) {
    std::string text;
    for (const Json& message : exchange.Messages()) {
      if (!text.empty()) text += " ";
      text += message.contains("method") ? GetString(message, "method") : message["id"].dump();
    }
    return text;
  }

  FakeClock clock_;
  ManualLoop loop_{&clock_};
  std::shared_ptr<LegacySession> session_;
  std::shared_ptr<Side> side_;
  int closed_ = 0;
};

// ---- one POST

TEST_F(LegacySessionTest, AQuickAnswerAloneIsOneJsonBody) {
  Open();
  const auto exchange = Post(RequestOf("r", "tools/list"));
  loop_.Advance(49ms);
  EXPECT_FALSE(exchange->response);
  side_->Answer(0, "done");
  EXPECT_EQ(exchange->status(), 200);
  EXPECT_EQ(exchange->Header("content-type"), "application/json");
  EXPECT_EQ(exchange->Body(), ResultOf("r", "done"));
  EXPECT_EQ(session_->calls(), 0U);
  loop_.Advance(1s);
}

TEST_F(LegacySessionTest, ASlowAnswerIsAStreamThatEndsWithIt) {
  Open();
  const auto exchange = Post(RequestOf(1, "tools/call"));
  loop_.Advance(50ms);
  ASSERT_TRUE(exchange->streaming);
  EXPECT_EQ(exchange->Header("content-type"), "text/event-stream");
  EXPECT_EQ(exchange->Header("cache-control"), "no-cache, no-transform");
  EXPECT_EQ(exchange->Header("x-accel-buffering"), "no");
  EXPECT_FALSE(exchange->ended);
  side_->Answer(0, 1);
  EXPECT_TRUE(exchange->ended);
  EXPECT_EQ(exchange->Messages(), std::vector<Json>{ResultOf(1, 1)});
}

TEST_F(LegacySessionTest, WhatComesBeforeTheAnswerMakesItAStreamInOrder) {
  Open();
  const auto exchange = Post(RequestOf(1, "tools/call"));
  side_->ToCall(0, NotificationOf("notifications/progress"));
  side_->ToSession(NotificationOf("notifications/message"), About::kACall);
  side_->ToCall(0, RequestOf(9, "elicitation/create"));
  side_->Answer(0, 1);
  EXPECT_EQ(Seen(*exchange), "notifications/progress notifications/message elicitation/create 1");
  std::set<std::string> ids;
  for (const mcp::SseEvent& event : exchange->Events()) ids.insert(event.id);
  EXPECT_EQ(ids.size(), 5U) << "each event has its id, the priming one too";
}

// In JSON it is white space, in an event stream the end of a line.
TEST_F(LegacySessionTest, ACarriageReturnOfAServerDoesNotTearAnEventApart) {
  Open();
  const auto exchange = Post(RequestOf(1, "tools/call"));
  loop_.Advance(1s);
  side_->events.answer(side_->Call(0).call, "{\"jsonrpc\":\"2.0\",\r\"id\":1,\"result\":\r\r\"x\"}\r");
  EXPECT_EQ(exchange->Messages(), std::vector<Json>{ResultOf(1, "x")});
}

TEST_F(LegacySessionTest, OnlyRevisionsThatKnowItGetAPrimingEvent) {
  Open("2025-11-25");
  auto exchange = Post(RequestOf(1, "tools/call"));
  loop_.Advance(1s);
  ASSERT_EQ(exchange->Events().size(), 1U);
  EXPECT_EQ(exchange->Events()[0].data, "");
  EXPECT_EQ(exchange->Events()[0].id, "2-0");
  EXPECT_NE(exchange->bytes.find("retry: 3000\n"), std::string::npos);
  for (const char* older : {"2025-06-18", "2025-03-26", "2024-11-05"}) {
    Open(older);
    exchange = Post(RequestOf(1, "tools/call"));
    loop_.Advance(1s);
    EXPECT_TRUE(exchange->streaming);
    EXPECT_EQ(exchange->bytes, "") << older;
    EXPECT_EQ(Get()->bytes, "") << older;
  }
}

TEST_F(LegacySessionTest, InitializeIsAlwaysOneBodyHoweverLongItTakes) {
  Begin();
  const auto exchange = Post(RequestOf(0, "initialize"));
  side_->ToSession(NotificationOf("notifications/message"), About::kACall);
  loop_.Advance(10s);
  EXPECT_FALSE(exchange->response);
  side_->Answer(0, {{"protocolVersion", "2025-06-18"}});
  EXPECT_FALSE(exchange->streaming);
  EXPECT_EQ(session_->version(), "2025-06-18");
  EXPECT_EQ(Seen(*Get()), "notifications/message") << "what came meanwhile waits for the GET stream";
}

TEST_F(LegacySessionTest, ARefusedInitializeEndsTheSession) {
  Begin();
  const auto exchange = Post(RequestOf(0, "initialize"));
  side_->events.answer(side_->Call(0).call, R"({"jsonrpc":"2.0","id":0,"error":{"code":-32602,"message":"no"}})");
  EXPECT_EQ(CodeOf(exchange->Body()), -32602);
  EXPECT_TRUE(session_->closed());
  EXPECT_EQ(closed_, 1);
}

TEST_F(LegacySessionTest, NotificationsAndAnswersArePassedOnAndAccepted) {
  Open();
  const auto exchange = PostAll({NotificationOf("notifications/initialized"),
                                 ResultOf(4, "yes"),
                                 {{"jsonrpc", "2.0"}, {"id", 5}, {"error", {{"code", 1}, {"message", ""}}}}});
  EXPECT_EQ(exchange->status(), 202);
  EXPECT_EQ(exchange->response->body, "");
  EXPECT_EQ(side_->notified.size(), 1U);
  EXPECT_EQ(side_->replied.size(), 2U);
}

TEST_F(LegacySessionTest, AnIdThatIsUnderWayIsRefusedAndAnotherTokenIsAnotherId) {
  Open();
  const auto first = Post(RequestOf(1, "tools/call"));
  const auto second = Post(RequestOf(1, "tools/call"));
  EXPECT_EQ(second->status(), 400);
  EXPECT_EQ(CodeOf(second->Body()), -32600);
  EXPECT_EQ(second->Body()["id"], 1);
  const auto text = Post(RequestOf("1", "tools/call"));
  EXPECT_FALSE(text->response);
  EXPECT_EQ(side_->requests.size(), 2U);
  side_->Answer(0, "a");
  side_->Answer(1, "b");
  EXPECT_EQ(first->Body(), ResultOf(1, "a"));
  EXPECT_EQ(text->Body(), ResultOf("1", "b"));
  EXPECT_FALSE(Post(RequestOf(1, "tools/call"))->response) << "free again";
}

TEST_F(LegacySessionTest, MoreRequestsAtOnceThanAllowedAreSentAwayForAWhile) {
  Open("2025-11-25", {.max_calls = 2});
  Post(RequestOf(1, "m"));
  Post(RequestOf(2, "m"));
  const auto third = Post(RequestOf(3, "m"));
  EXPECT_EQ(third->status(), 429);
  EXPECT_EQ(third->Header("retry-after"), "1");
  side_->Answer(0, 1);
  EXPECT_FALSE(Post(RequestOf(3, "m"))->response);
}

TEST_F(LegacySessionTest, MoreStreamsThanAllowedAreSentAwayForAWhile) {
  Open("2025-11-25", {.max_streams = 2});  // the one of GET is there always
  Post(RequestOf(1, "m"));
  EXPECT_EQ(Post(RequestOf(2, "m"))->status(), 429);
  side_->Answer(0, 1);
  EXPECT_FALSE(Post(RequestOf(2, "m"))->response);
}

TEST_F(LegacySessionTest, NoMoreBytesOfEventsAreKeptThanAllowed) {
  Open("2025-11-25", {.resume = {.bytes = 100}});
  const auto first = Get();
  side_->ToSession(NotificationOf("n"), About::kTheSession);
  const std::string last = first->Events().back().id;
  first->Leave();
  for (int i = 0; i < 3; ++i) side_->ToSession(NotificationOf("m" + std::to_string(i)), About::kTheSession);
  EXPECT_EQ(Seen(*Get(last)), "m1 m2");
}

TEST_F(LegacySessionTest, ACallThatTheServersSideDoesNotTakeIsAnError) {
  Open();
  side_->refusal = ResourceExhausted("its input queue is full");
  const auto exchange = Post(RequestOf(1, "m"));
  EXPECT_EQ(CodeOf(exchange->Body()), -32603);
  EXPECT_EQ(session_->calls(), 0U);
}

TEST_F(LegacySessionTest, ABatchIsOneStreamThatEndsWithTheLastAnswer) {
  Open("2025-03-26");
  const auto exchange = PostAll({RequestOf(1, "a"), NotificationOf("n"), RequestOf(2, "b")});
  EXPECT_EQ(side_->notified.size(), 1U);
  side_->Answer(1, "second");
  EXPECT_FALSE(exchange->ended);
  side_->Answer(0, "first");
  EXPECT_TRUE(exchange->ended);
  EXPECT_EQ(exchange->Messages(), (std::vector<Json>{ResultOf(2, "second"), ResultOf(1, "first")}));
}

// ---- one message, one stream

TEST_F(LegacySessionTest, ProgressAndAnswersStayOnTheStreamOfTheirPost) {
  Open();
  const auto get = Get(), a = Post(RequestOf("a", "m")), b = Post(RequestOf("b", "m"));
  side_->ToCall(0, NotificationOf("for/a"));
  side_->ToCall(1, NotificationOf("for/b"));
  side_->ToSession(NotificationOf("notifications/tools/list_changed"), About::kTheSession);
  side_->ToSession(NotificationOf("notifications/message"), About::kACall);
  side_->Answer(1, 1);
  side_->ToSession(NotificationOf("after/b"), About::kACall);
  side_->Answer(0, 1);
  side_->ToSession(NotificationOf("after/all"), About::kACall);
  EXPECT_EQ(Seen(*a), R"(for/a after/b "a")");
  EXPECT_EQ(Seen(*b), R"(for/b notifications/message "b")");
  EXPECT_EQ(Seen(*get), "notifications/tools/list_changed after/all");
}

TEST_F(LegacySessionTest, WhatNobodyListensToWaitsForTheGetStream) {
  Open();
  side_->ToSession(NotificationOf("one"), About::kTheSession);
  side_->ToSession(NotificationOf("two"), About::kACall);
  const auto get = Get();
  EXPECT_EQ(Seen(*get), "one two");
  side_->ToSession(NotificationOf("three"), About::kTheSession);
  EXPECT_EQ(Seen(*get), "one two three");
  EXPECT_FALSE(get->ended);
}

TEST_F(LegacySessionTest, ASecondGetReplacesTheFirstAndSeesOnlyWhatIsNew) {
  Open();
  const auto first = Get();
  side_->ToSession(NotificationOf("one"), About::kTheSession);
  const auto second = Get();
  EXPECT_TRUE(first->ended);
  side_->ToSession(NotificationOf("two"), About::kTheSession);
  EXPECT_EQ(Seen(*first), "one");
  EXPECT_EQ(Seen(*second), "two");
}

// The first one's connection was half-open: that it broke is noticed when the third has taken its place.
TEST_F(LegacySessionTest, ALateEndOfAConnectionThatWasReplacedHarmsNoOther) {
  Open();
  for (int i = 0; i < 50; ++i) {
    const auto stale = Get();
    stale->stalled = true;
    const auto second = Get();
    const auto third = Get();
    stale->Leave();
    side_->ToSession(NotificationOf("hello"), About::kTheSession);
    ASSERT_EQ(Seen(*third), "hello") << i;
  }
}

// ---- disconnects and resumption

TEST_F(LegacySessionTest, ADisconnectCancelsNothingAndTheStreamCanBeResumed) {
  Open();
  const auto exchange = Post(RequestOf(1, "tools/call"));
  side_->ToCall(0, NotificationOf("seen"));
  const std::string last = exchange->Events().back().id;
  exchange->Leave();
  side_->ToCall(0, NotificationOf("missed"));
  EXPECT_TRUE(side_->cancelled.empty());
  const auto resumed = Get(last);
  EXPECT_EQ(Seen(*resumed), "missed");
  EXPECT_FALSE(resumed->ended);
  side_->ToCall(0, NotificationOf("live"));
  side_->Answer(0, "done");
  EXPECT_EQ(Seen(*resumed), "missed live 1");
  EXPECT_TRUE(resumed->ended);
}

TEST_F(LegacySessionTest, AnAnswerThatCameMeanwhileIsReplayedAndNothingOfOtherStreams) {
  Open();
  const auto a = Post(RequestOf("a", "m")), b = Post(RequestOf("b", "m"));
  loop_.Advance(1s);
  const std::string last = a->Events().back().id;
  a->Leave();
  b->Leave();
  side_->ToCall(1, NotificationOf("for/b"));
  side_->ToSession(NotificationOf("for/get"), About::kTheSession);
  side_->Answer(0, 1);
  side_->Answer(1, 2);
  const auto resumed = Get(last);
  EXPECT_EQ(Seen(*resumed), "\"a\"");
  EXPECT_TRUE(resumed->ended);
  EXPECT_EQ(Seen(*Get()), "for/get");
}

TEST_F(LegacySessionTest, TheGetStreamIsResumedAfterTheEventThatWasSeen) {
  Open();
  const auto first = Get();
  for (const char* method : {"one", "two", "three"}) side_->ToSession(NotificationOf(method), About::kTheSession);
  const std::string second_id = first->Events()[2].id;  // after the priming event
  first->Leave();
  side_->ToSession(NotificationOf("four"), About::kTheSession);
  EXPECT_EQ(Seen(*Get(second_id)), "three four") << "the client says what it has, not the gateway";
}

TEST_F(LegacySessionTest, AClientThatLeftBeforeAnythingCameStillHasItsCall) {
  Open();
  const auto exchange = Post(RequestOf(1, "m"));
  exchange->Leave();
  loop_.Advance(1s);
  side_->Answer(0, "late");
  EXPECT_EQ(Seen(*Get("2-0")), "1");
  EXPECT_TRUE(side_->cancelled.empty());
}

TEST_F(LegacySessionTest, AnIdOfAStreamThatNeverWasIsRefused) {
  Open();
  EXPECT_EQ(Get("zz-1")->status(), 400);
  EXPECT_EQ(Get("2-0")->status(), 400);
}

TEST_F(LegacySessionTest, WhatIsGoneForGoodIsAnErrorAndNotAWaitWithoutEnd) {
  Open("2025-11-25", {.resume = {.events = 2}});
  const auto exchange = Post(RequestOf(1, "m"));
  loop_.Advance(1s);
  exchange->Leave();
  for (int i = 0; i < 5; ++i) side_->ToCall(0, NotificationOf("p" + std::to_string(i)));
  const auto resumed = Get("2-0");
  EXPECT_TRUE(resumed->ended);
  ASSERT_FALSE(resumed->Messages().empty());
  EXPECT_EQ(CodeOf(resumed->Messages().back()), -32603);
  EXPECT_EQ(resumed->Messages().back()["id"], 1);
  EXPECT_EQ(side_->cancelled.size(), 1U);
  EXPECT_EQ(session_->calls(), 0U);
}

TEST_F(LegacySessionTest, AnAnswerThatIsNotKeptAnyMoreIsSaidToBeGone) {
  Open("2025-11-25", {.resume = {.age = 60s}});
  const auto exchange = Post(RequestOf(1, "m"));
  loop_.Advance(1s);
  exchange->Leave();
  side_->Answer(0, "done");
  loop_.Advance(61s);
  session_->Tick(clock_.Now());
  EXPECT_EQ(Get("2-0")->status(), 400);
}

TEST_F(LegacySessionTest, AClientThatHasSeenTheAnswerIsToldThatThereIsNoMore) {
  Open();
  const auto exchange = Post(RequestOf(1, "m"));
  loop_.Advance(1s);
  side_->Answer(0, "done");
  const auto resumed = Get(exchange->Events().back().id);
  EXPECT_EQ(resumed->status(), 200);
  EXPECT_TRUE(resumed->ended);
  EXPECT_EQ(Seen(*resumed), "");
}

// ---- cancellation and time

TEST_F(LegacySessionTest, ACancelledCallEndsItsStreamWithoutAnAnswer) {
  Open();
  const auto quick = Post(RequestOf(1, "m")), slow = Post(RequestOf("s", "m"));
  side_->ToCall(1, NotificationOf("p"));
  EXPECT_EQ(Post(NotificationOf("notifications/cancelled", {{"requestId", 1}, {"reason", "why"}}))->status(), 202);
  Post(NotificationOf("notifications/cancelled", {{"requestId", "s"}}));
  ASSERT_EQ(side_->cancelled.size(), 2U);
  EXPECT_EQ(side_->cancelled[0], std::pair(side_->Call(0).call, std::string("\"why\"")));
  EXPECT_TRUE(quick->Done());
  EXPECT_TRUE(quick->streaming);
  EXPECT_EQ(quick->bytes, "");
  EXPECT_EQ(Seen(*slow), "p");
  EXPECT_TRUE(slow->ended);
  side_->Answer(0, "late");
  EXPECT_TRUE(side_->notified.empty()) << "it is not passed on as a notification of its own";
}

TEST_F(LegacySessionTest, OnlyCallsOfTheSessionThatAreUnderWayCanBeCancelled) {
  Begin();
  const auto exchange = Post(RequestOf(0, "initialize"));
  for (const Json& id : {Json(0), Json(7), Json("0"), Json(nullptr)})
    EXPECT_EQ(Post(NotificationOf("notifications/cancelled", {{"requestId", id}}))->status(), 202);
  Post(NotificationOf("notifications/cancelled"));
  EXPECT_TRUE(side_->cancelled.empty()) << "initialize is not to be cancelled";
  EXPECT_FALSE(exchange->response);
}

TEST_F(LegacySessionTest, ACallThatMakesNoProgressTimesOut) {
  Open("2025-11-25", {.call_timeout = 300s, .call_limit = 3600s});
  const auto quiet = Post(RequestOf("quiet", "m")), lively = Post(RequestOf("lively", "m"));
  for (int i = 0; i < 12; ++i) {
    loop_.Advance(290s);
    side_->ToCall(1, NotificationOf("p"));
    session_->Tick(clock_.Now());
    if (i == 0) {
      EXPECT_FALSE(quiet->Done());
    }
  }
  EXPECT_EQ(CodeOf(quiet->Final()), -32001);
  EXPECT_EQ(side_->cancelled.at(0).first, side_->Call(0).call);
  EXPECT_FALSE(lively->Done());
  loop_.Advance(290s);
  side_->ToCall(1, NotificationOf("p"));
  session_->Tick(clock_.Now());
  EXPECT_EQ(CodeOf(lively->Final()), -32001) << "progress does not help for ever";
  EXPECT_EQ(session_->calls(), 0U);
}

TEST_F(LegacySessionTest, OpenStreamsAreKeptAliveAndThatIsNoUse) {
  Open();
  const auto get = Get();
  const MonoTime used = session_->last_used();
  loop_.Advance(25s);
  session_->Tick(clock_.Now());
  EXPECT_NE(get->bytes.find(":"), std::string::npos);
  EXPECT_EQ(Seen(*get), "");
  EXPECT_EQ(session_->last_used(), used) << "an open stream alone does not keep a session";
  side_->ToSession(NotificationOf("n"), About::kTheSession);
  EXPECT_EQ(session_->last_used(), clock_.Now());
}

// ---- ends

TEST_F(LegacySessionTest, WhenTheServerHasEndedEveryCallHasItsErrorAndTheSessionIsOver) {
  Open();
  const auto body = Post(RequestOf(1, "m")), stream = Post(RequestOf(2, "m"));
  side_->ToCall(1, NotificationOf("p"));
  side_->events.closed(Unavailable("gone"));
  EXPECT_EQ(CodeOf(body->Body()), -32603);
  EXPECT_EQ(CodeOf(stream->Final()), -32603);
  EXPECT_TRUE(session_->closed());
  EXPECT_EQ(closed_, 1);
}

TEST_F(LegacySessionTest, CloseEndsTheServersSideAndEveryStream) {
  Open();
  const auto get = Get(), body = Post(RequestOf(1, "m"));
  session_->Close();
  EXPECT_TRUE(side_->destroyed);
  EXPECT_TRUE(get->ended);
  EXPECT_EQ(CodeOf(body->Final()), -32603);
  EXPECT_EQ(closed_, 0) << "whoever closes it knows";
  loop_.Advance(1h);
}

TEST_F(LegacySessionTest, WhatIsPostedBeforeTheServersSideStandsWaitsForIt) {
  session_ = std::make_shared<LegacySession>("sid", "anonymous", SessionSettings{}, loop_, clock_);
  const auto exchange = Post(RequestOf(0, "initialize"));
  side_ = std::make_shared<Side>();
  session_->Connect(std::make_unique<FakeConversation>(side_), {});
  side_->Answer(0, {{"protocolVersion", "2025-11-25"}});
  EXPECT_EQ(exchange->status(), 200);
}

// ---- a later mcplet

TEST_F(LegacySessionTest, AKeptSessionGoesOnBehindWhatWasSentBefore) {
  session_ = std::make_shared<LegacySession>("sid", "anonymous", SessionSettings{}, loop_, clock_);
  session_->Continue({.version = "2025-11-25", .incarnation = 1, .calls = {{7, 3, "\"kept\""}}});
  side_ = std::make_shared<Side>();
  session_->Connect(std::make_unique<FakeConversation>(side_), {});
  EXPECT_TRUE(session_->HasCall("\"kept\""));
  EXPECT_EQ(Post(RequestOf("kept", "m"))->status(), 400);
  const auto resumed = Get("3-5");
  EXPECT_FALSE(resumed->ended);
  side_->events.answer(7, R"({"jsonrpc":"2.0","id":"kept","result":1})");
  EXPECT_EQ(Seen(*resumed), "\"kept\"");
  EXPECT_TRUE(resumed->ended);
  const std::optional<EventId> id = EventId::Parse(resumed->Events().back().id);
  ASSERT_TRUE(id);
  EXPECT_EQ(id->stream, 3U);
  EXPECT_GT(id->sequence, 5U);
  // A new call has a stream that no call before had.
  const auto fresh = Post(RequestOf("fresh", "m"));
  loop_.Advance(1s);
  const std::optional<EventId> primed = EventId::Parse(fresh->Events().back().id);
  ASSERT_TRUE(primed);
  EXPECT_GT(primed->stream, 1'000'000U);
  EXPECT_GT(side_->Call(0).call, 7U);
}

TEST_F(LegacySessionTest, AnAnswerThatWentWithTheMcpletBeforeIsAnErrorForWhoComesForIt) {
  session_ = std::make_shared<LegacySession>("sid", "anonymous", SessionSettings{}, loop_, clock_);
  session_->Continue({.version = "2025-11-25", .incarnation = 1, .lost = {{0, 3, "\"gone\""}, {0, 4, "9"}}});
  side_ = std::make_shared<Side>();
  session_->Connect(std::make_unique<FakeConversation>(side_), {});
  EXPECT_FALSE(session_->HasCall("\"gone\""));
  const auto resumed = Get("3-5");
  EXPECT_EQ(Seen(*resumed), "\"gone\"");
  EXPECT_TRUE(resumed->ended);
  EXPECT_EQ(Seen(*Get("4-1")), "9");
}

TEST_F(LegacySessionTest, TheServerWaitsForAClientThatReadsSlowly) {
  Open();
  const auto exchange = Post(RequestOf(1, "m"));
  loop_.Advance(1s);
  exchange->slow = true;
  const Json progress = NotificationOf("notifications/progress", {{"message", std::string(600'000, 'x')}});
  side_->ToCall(0, progress);
  EXPECT_TRUE(side_->pauses.empty());
  side_->ToCall(0, progress);
  side_->ToCall(0, progress);
  EXPECT_EQ(side_->pauses, std::vector<bool>{true});
  exchange->Drain();
  EXPECT_EQ(side_->pauses, (std::vector<bool>{true, false}));
  side_->ToCall(0, progress);
  side_->ToCall(0, progress);
  EXPECT_EQ(side_->pauses.size(), 3U);
}

TEST_F(LegacySessionTest, AnAnswerThatNoConnectionTookWaitsForItsClient) {
  Open();
  const auto away = Post(RequestOf(2, "m"));
  loop_.Advance(1s);
  const std::string last = away->Events().back().id;
  away->Leave();
  side_->Answer(0, "x");
  EXPECT_EQ(Seen(*Get(last)), "2");
}

TEST_F(LegacySessionTest, AQuestionOfTheMcpletBeforeComesOnceToAClientThatHasNotGotIt) {
  Open();
  const auto exchange = Post(RequestOf(1, "m"));
  const EventId placed = side_->Question(side_->Call(0).call, RequestOf("q", "roots/list"));
  EXPECT_EQ(exchange->Events().back().id, placed.ToString());
  EXPECT_EQ(side_->Question(0, RequestOf("r", "roots/list")).stream, placed.stream) << "of the one call there is";
  // The next mcplet. Two were sent, the client has one of them.
  session_ = std::make_shared<LegacySession>("sid", "anonymous", SessionSettings{}, loop_, clock_);
  const EventId other{placed.stream, placed.sequence + 1};
  session_->Continue(
      {.version = "2025-11-25",
       .incarnation = 1,
       .calls = {{7, placed.stream, "1"}},
       .questions = {{other, RequestOf("r", "second").dump()}, {placed, RequestOf("q", "first").dump()}}});
  side_ = std::make_shared<Side>();
  session_->Connect(std::make_unique<FakeConversation>(side_), {});
  EXPECT_EQ(Seen(*Get(placed.ToString())), "second");
  const auto again = Get(other.ToString());
  EXPECT_EQ(Seen(*again), "");
  EXPECT_FALSE(again->ended);
  side_->events.answer(7, R"({"jsonrpc":"2.0","id":1,"result":1})");
  EXPECT_EQ(Seen(*again), "1");
}

TEST_F(LegacySessionTest, AStreamOfTheMcpletBeforeThatWasOverIsNotKnownAnyMore) {
  session_ = std::make_shared<LegacySession>("sid", "anonymous", SessionSettings{}, loop_, clock_);
  session_->Continue({.version = "2025-11-25", .incarnation = 1});
  side_ = std::make_shared<Side>();
  session_->Connect(std::make_unique<FakeConversation>(side_), {});
  EXPECT_EQ(Get("2-4")->status(), 400);
  EXPECT_EQ(Get("0-4")->status(), 200) << "the GET stream is always there";
}

TEST_F(LegacySessionTest, WithoutAnAnswerToTheHandshakeThereIsNoSession) {
  Begin({.call_timeout = 300s, .handshake_timeout = 60s});
  const auto exchange = Post(RequestOf(0, "initialize"));
  loop_.Advance(59s);
  session_->Tick(clock_.Now());
  EXPECT_FALSE(exchange->response);
  loop_.Advance(1s);
  session_->Tick(clock_.Now());
  EXPECT_EQ(CodeOf(exchange->Body()), -32001);
  EXPECT_EQ(closed_, 1);
}

TEST_F(LegacySessionTest, WhatAPostSetGoingHoldsItsPlaceWhereverItsClientIs) {
  Open();
  auto place = std::make_shared<int>();
  const std::weak_ptr<int> held = place;
  auto exchange = std::make_shared<Exchange>();
  int status = 0;
  auto answer = AnswerTo(exchange);
  answer->WhenDone([&status](int code) { status = code; });
  std::vector<Incoming> one;
  one.push_back(Parsed(RequestOf(1, "tools/call")));
  session_->Post(std::move(one), std::move(answer), {std::move(place), {}});
  exchange->Leave();
  EXPECT_EQ(status, 499);
  EXPECT_FALSE(held.expired()) << "the call goes on";
  side_->Answer(0, 1);
  EXPECT_TRUE(held.expired());
}

TEST_F(LegacySessionTest, WhatMayNotReachTheServerIsRefusedInItsBatch) {
  Open("2025-03-26");
  const auto post = [this](const std::vector<Json>& messages, std::vector<std::string> refused) {
    auto exchange = std::make_shared<Exchange>();
    std::vector<Incoming> incoming;
    for (const Json& message : messages) incoming.push_back(Parsed(message));
    session_->Post(std::move(incoming), AnswerTo(exchange), {nullptr, std::move(refused)});
    return exchange;
  };
  const auto some = post({RequestOf(1, "m")}, {ErrorText("2", -32602, "no")});
  ASSERT_TRUE(some->streaming);
  EXPECT_EQ(Seen(*some), "2");
  side_->Answer(0, 1);
  EXPECT_EQ(Seen(*some), "2 1");
  EXPECT_TRUE(some->ended);
  const Json none = post({NotificationOf("n")}, {ErrorText("3", -32602, "no")})->Body();
  ASSERT_EQ(none.size(), 1U);
  EXPECT_EQ(none[0]["id"], 3);
}

}  // namespace
}  // namespace mcpfleet::gateway
