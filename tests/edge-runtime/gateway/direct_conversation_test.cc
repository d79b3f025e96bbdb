#include "edge-runtime/gateway/direct_conversation.h"

#include "tests/edge-runtime/gateway/fakes.h"

namespace mcpfleet::gateway {
namespace {

using namespace test;

using About = Conversation::About;

class DirectConversationTest : public ::testing::Test {
 protected:
  struct Seen {
    std::string to;  // "call 3", "answer 3", "session", "call list"
    Json message;
  };

  void Open(SessionNote note = {}, const std::string& doubtful = "", bool resumable = true) {
    if (note.session.empty()) note.session = "sid";
    wire_ = std::make_shared<Wire>();
    wires_.all.push_back(wire_);
    DirectConversation::Options options;
    options.inspect = [this](std::string_view method, Incoming*) { inspected_.emplace_back(method); };
    if (resumable) options.relink = wires_.AsNewLink();
    side_ = std::make_unique<DirectConversation>(loop_, std::make_unique<ScriptedLink>(wire_), std::move(note),
                                                 doubtful, options);
    side_->Start(
        {.to_call = [this](uint64_t call, const std::string& line) { See("call " + std::to_string(call), line); },
         .question =
             [this](uint64_t call, const std::string& line, const Conversation::Placed& placed) {
               placed(place_);
               See(call == 0 ? "a call" : "call " + std::to_string(call), line);
             },
         .answer =
             [this](uint64_t call, const std::string& line) {
               if (at_answer_) at_answer_();
               See("answer " + std::to_string(call), line);
             },
         .to_session = [this](const std::string& line,
                              About about) { See(about == About::kACall ? "a call" : "session", line); },
         .closed = [this](const Status& why) { closed_.push_back(why); }});
  }
  void See(const std::string& to, const std::string& line) { seen_.push_back({to, Json::parse(line)}); }
  // A session whose handshake is done.
  void OpenReady(bool resumable = true) {
    Open({}, "", resumable);
    ASSERT_TRUE(Request(1, RequestOf("i", "initialize", {{"capabilities", {{"roots", Json::object()}}}})).ok());
    wire_->Answer(wire_->Next("initialize"), {{"protocolVersion", "2025-06-18"}});
    side_->Notify(Parsed(NotificationOf("notifications/initialized")));
    wire_->Next("notifications/initialized");
    seen_.clear();
  }
  Status Request(uint64_t call, const Json& message) {
    return side_->Request({call, call + 100, message["id"].dump()}, Parsed(message));
  }
  SessionNote Note() {
    const std::optional<SessionNote> note = SessionNote::FromText(wire_->note);
    EXPECT_TRUE(note.has_value()) << wire_->note;
    return note.value_or(SessionNote{});
  }
  Wire& Successor() {
    loop_.Run();
    EXPECT_EQ(wires_.size(), 2U);
    wire_ = wires_.all.back();
    return *wire_;
  }

  FakeClock clock_;
  ManualLoop loop_{&clock_};
  Wires wires_{&loop_};
  std::shared_ptr<Wire> wire_;
  std::unique_ptr<DirectConversation> side_;
  std::vector<Seen> seen_;
  std::vector<std::string> inspected_;
  std::vector<Status> closed_;
  EventId place_{105, 1};            // of the next question
  std::function<void()> at_answer_;  // before it is seen
};

// ---- ids

TEST_F(DirectConversationTest, AnswersAndProgressComeWithTheClientsIdAndToken) {
  OpenReady();
  ASSERT_TRUE(Request(5, RequestOf("x", "tools/call", {{"_meta", {{"progressToken", "x"}}}})).ok());
  const Json sent = wire_->Next("tools/call");
  EXPECT_TRUE(sent["id"].is_number_unsigned());
  EXPECT_EQ(sent["params"]["_meta"]["progressToken"], sent["id"]);
  wire_->Notify("notifications/progress", {{"progressToken", sent["id"]}});
  wire_->Answer(sent, "done");
  ASSERT_EQ(seen_.size(), 2U);
  EXPECT_EQ(seen_[0].to, "call 5");
  EXPECT_EQ(seen_[0].message["params"]["progressToken"], "x");
  EXPECT_EQ(seen_[1].to, "answer 5");
  EXPECT_EQ(seen_[1].message, ResultOf("x", "done"));
  EXPECT_EQ(inspected_.back(), "tools/call");
}

TEST_F(DirectConversationTest, WhatTheServerAsksGetsAnIdOfOursAndItsAnswerTheServers) {
  OpenReady();
  ASSERT_TRUE(Request(5, RequestOf("x", "tools/call")).ok());
  wire_->Next("tools/call");
  wire_->Ask("srv", "elicitation/create", {{"message", "?"}});
  ASSERT_EQ(seen_.size(), 1U);
  EXPECT_EQ(seen_[0].to, "call 5") << "with one call under way there is no doubt";
  const Json ours = seen_[0].message["id"];
  EXPECT_NE(ours, "srv");
  side_->Reply(Parsed(ResultOf("srv", "forged")));
  side_->Reply(Parsed(ResultOf(ours.dump(), "other token")));
  EXPECT_TRUE(wire_->AllRead()) << "nobody waits for these";
  side_->Reply(Parsed(ResultOf(ours, "yes")));
  EXPECT_EQ(wire_->Next(), ResultOf("srv", "yes"));
  side_->Reply(Parsed(ResultOf(ours, "again")));
  EXPECT_TRUE(wire_->AllRead());
}

TEST_F(DirectConversationTest, WithSeveralCallsUnderWayAQuestionIsAboutOneOfThem) {
  OpenReady();
  ASSERT_TRUE(Request(5, RequestOf("x", "tools/call")).ok());
  ASSERT_TRUE(Request(6, RequestOf("y", "tools/call")).ok());
  wire_->Ask(1, "sampling/createMessage");
  EXPECT_EQ(seen_.at(0).to, "a call");
  wire_->Notify("notifications/message");
  EXPECT_EQ(seen_.at(1).to, "a call");
  wire_->Notify("notifications/resources/list_changed");
  wire_->Notify("notifications/resources/updated", {{"uri", "u"}});
  EXPECT_EQ(seen_.at(2).to, "session");
  EXPECT_EQ(seen_.at(3).to, "session");
}

TEST_F(DirectConversationTest, AServerMayTakeItsQuestionBack) {
  OpenReady();
  wire_->Ask("srv", "roots/list");
  const Json ours = seen_.at(0).message["id"];
  wire_->Notify("notifications/cancelled", {{"requestId", "other"}});
  EXPECT_EQ(seen_.size(), 1U);
  wire_->Notify("notifications/cancelled", {{"requestId", "srv"}});
  EXPECT_EQ(seen_.at(1).message["params"]["requestId"], ours);
}

TEST_F(DirectConversationTest, AServerThatAsksWithoutEndIsRefused) {
  OpenReady();
  for (int i = 0; i < 400; ++i) wire_->Ask(i, "roots/list");
  int refused = 0;
  for (Json message = wire_->Next(); !message.is_null(); message = wire_->Next()) refused += CodeOf(message) == -32603;
  EXPECT_EQ(static_cast<size_t>(refused) + seen_.size(), 400U) << "none is left unanswered";
  EXPECT_GT(refused, 0);
}

TEST_F(DirectConversationTest, ACancelledCallIsToldToTheServer) {
  OpenReady();
  ASSERT_TRUE(Request(5, RequestOf("x", "tools/call")).ok());
  const Json sent = wire_->Next("tools/call");
  side_->Cancel(5, "\"why\"");
  EXPECT_EQ(wire_->Next("notifications/cancelled")["params"], Json({{"requestId", sent["id"]}, {"reason", "why"}}));
  side_->Cancel(5, "");
  side_->Cancel(77, "");
  EXPECT_TRUE(wire_->AllRead());
  wire_->Answer(sent, "late");
  EXPECT_TRUE(seen_.empty());
}

// ---- what is kept

TEST_F(DirectConversationTest, ANoteIsReadAsItWasWritten) {
  SessionNote note;
  note.session = "sid";
  note.subject = "jwt:\"x\"|\xc3\xa9";
  note.version = "2025-11-25";
  note.incarnation = 3;
  note.initialize = R"({"jsonrpc":"2.0","id":0,"method":"initialize"})";
  note.initialized = "i";
  note.level = "l";
  note.subscriptions = {"file:///a", "b\n"};
  note.next_id = 41;
  note.next_asked = 9;
  note.calls[40] = {{7, 3, "\"x\""}, "\"tok\"", "tools/call"};
  note.calls[38] = {{6, 2, "1.0"}, "", "m"};
  note.asked = {{"8", {"\"srv\"", {3, 9}, R"({"id":"8"})"}}, {"7", {"1", {0, 1}, ""}}};
  note.answered.Add(5, "\"a,[]\"");
  note.answered.Add(4, "2");
  const std::optional<SessionNote> read = SessionNote::FromText(note.ToText());
  ASSERT_TRUE(read);
  EXPECT_EQ(read->ToText(), note.ToText());
  EXPECT_EQ(read->subject, note.subject);
  EXPECT_EQ(read->calls.at(40).call.id, "\"x\"");
  EXPECT_EQ(read->calls.at(40).token, "\"tok\"");
  EXPECT_EQ(read->calls.at(38).call.stream, 2U);
  EXPECT_EQ(read->asked, note.asked);
  ASSERT_EQ(read->answered.List().size(), 2U);
  EXPECT_EQ(read->answered.List()[0].id, "\"a,[]\"");
  EXPECT_EQ(read->answered.List()[1].stream, 4U);
  EXPECT_EQ(read->subscriptions, note.subscriptions);
  SessionNote least;
  least.session = "s";
  EXPECT_TRUE(SessionNote::FromText(least.ToText()));
}

TEST_F(DirectConversationTest, ANoteThatIsNotOursIsNone) {
  for (const char* text :
       {"", "{}", "null", R"({"format":2,"session":"s","next":1})", R"({"format":1,"next":1})",
        R"({"format":1,"session":"s"})", R"({"format":1,"session":"s","next":1,"calls":[[1]]})",
        R"({"format":1,"session":"s","next":1,"calls":[[1,2,3,"a","b",4]]})",
        R"({"format":1,"session":"s","next":1,"calls":[[-1,2,3,"a","b","c"]]})",
        R"({"format":1,"session":"s","next":1,"answered":[[1]]})",
        R"({"format":1,"session":"s","next":1,"asked":{"1":["a",1,2]}})", "{\"probe\":\"of another kind\"}"})
    EXPECT_FALSE(SessionNote::FromText(text)) << text;
}

TEST_F(DirectConversationTest, ACallIsKeptWhenItIsSent) {
  OpenReady();
  EXPECT_EQ(Note().version, "2025-06-18");
  EXPECT_NE(Note().initialized, "");
  ASSERT_TRUE(Request(5, RequestOf("x", "tools/call", {{"_meta", {{"progressToken", 2}}}})).ok());
  const SessionNote note = Note();
  const Json sent = wire_->Next("tools/call");
  ASSERT_EQ(note.calls.count(sent["id"].get<uint64_t>()), 1U);
  const SessionNote::Call& call = note.calls.at(sent["id"].get<uint64_t>());
  EXPECT_EQ(call.call.call, 5U);
  EXPECT_EQ(call.call.stream, 105U);
  EXPECT_EQ(call.call.id, "\"x\"");
  EXPECT_EQ(call.token, "2");
  EXPECT_GT(note.next_id, sent["id"].get<uint64_t>()) << "no id comes twice";
}

TEST_F(DirectConversationTest, AtTheEndOfMcpletAnAnsweredCallIsNotKept) {
  OpenReady();
  ASSERT_TRUE(Request(5, RequestOf("x", "tools/call")).ok());
  wire_->Answer(wire_->Next("tools/call"), 1);
  side_->Release();
  EXPECT_TRUE(wire_->released);
  EXPECT_TRUE(Note().calls.empty()) << "the next mcplet would wait for its answer";
}

TEST_F(DirectConversationTest, AnAnswerIsNotedBeforeAnybodyGetsIt) {
  OpenReady();
  ASSERT_TRUE(Request(5, RequestOf("x", "tools/call")).ok());
  bool asked = false;
  at_answer_ = [&] {
    asked = true;
    const SessionNote note = Note();
    EXPECT_TRUE(note.calls.empty()) << "the mcplet after this one would wait for a line that does not come again";
    const auto answered = note.answered.List();
    ASSERT_EQ(answered.size(), 2U);
    EXPECT_EQ(answered[1].stream, 105U);
    EXPECT_EQ(answered[1].id, "\"x\"");
  };
  wire_->Answer(wire_->Next("tools/call"), 1);
  EXPECT_TRUE(asked);
}

TEST_F(DirectConversationTest, ACancelledCallIsOver) {
  OpenReady();
  ASSERT_TRUE(Request(5, RequestOf("x", "tools/call")).ok());
  side_->Cancel(5, "");
  EXPECT_TRUE(Note().calls.empty());
  EXPECT_EQ(Note().answered.List().size(), 2U) << "its client was perhaps told that it took too long";
}

TEST_F(DirectConversationTest, OnlyTheLastAnswersAreNoted) {
  RecentAnswers answers;
  for (uint64_t i = 0; i < 1000; ++i) answers.Add(i, "1");
  ASSERT_EQ(answers.List().size(), RecentAnswers::kMost);
  EXPECT_EQ(answers.List().back().stream, 999U);
  EXPECT_EQ(answers.List().front().stream, 1000U - RecentAnswers::kMost);
  answers.Add(7, "\"" + std::string(RecentAnswers::kMostBytes - 100, 'i') + "\"");
  answers.Add(8, "1");
  std::string text;
  answers.AppendTo(&text);
  EXPECT_LE(text.size(), RecentAnswers::kMostBytes + 1);
  EXPECT_EQ(answers.List().back().stream, 8U);
  answers.Add(9, "\"" + std::string(RecentAnswers::kMostBytes, 'i') + "\"");
  EXPECT_TRUE(answers.empty()) << "one that is longer than all may be";
}

TEST_F(DirectConversationTest, AQuestionIsNotedWithItsPlaceBeforeItIsSent) {
  OpenReady();
  ASSERT_TRUE(Request(5, RequestOf("x", "tools/call")).ok());
  place_ = {105, 3};
  wire_->Ask("srv", "elicitation/create", {{"message", "which?"}});
  ASSERT_EQ(seen_.size(), 1U);
  const SessionNote asked = Note();
  ASSERT_EQ(asked.asked.size(), 1U);
  const SessionNote::Question& question = asked.asked.begin()->second;
  EXPECT_EQ(question.at, place_);
  EXPECT_EQ(Json::parse(question.line), seen_[0].message);
  side_->Reply(Parsed(ResultOf(seen_[0].message["id"], "this")));
  EXPECT_TRUE(Note().asked.empty());
  // Not much of the note is for them.
  for (int i = 0; i < 10; ++i) wire_->Ask(i, "elicitation/create", {{"message", std::string(3000, 'q')}});
  const SessionNote note = Note();
  ASSERT_EQ(note.asked.size(), 10U);
  EXPECT_EQ(
      std::count_if(note.asked.begin(), note.asked.end(), [](const auto& each) { return each.second.line.empty(); }),
      5);
}

TEST_F(DirectConversationTest, TheIdOfARequestThatWasSentAndNotNotedIsNotGivenAwayAgain) {
  OpenReady();
  SessionNote note = Note();
  side_.reset();
  ++note.incarnation;
  Open(note);
  ASSERT_TRUE(Request(5, RequestOf("x", "tools/call")).ok());
  EXPECT_GT(wire_->Next("tools/call")["id"].get<uint64_t>(), note.next_id);
}

TEST_F(DirectConversationTest, ASessionThatGoesOnIsKeptAtOnce) {
  OpenReady();
  SessionNote note = Note();
  side_.reset();
  note.incarnation = 1;
  Open(note);
  EXPECT_EQ(Note().incarnation, 1U) << "the mcplet after this one must not give out the same event ids";
}

TEST_F(DirectConversationTest, WhatIsTooMuchToKeepLeavesNoOldNoteBehind) {
  OpenReady();
  ASSERT_NE(wire_->note, "");
  for (int i = 0; i < 60; ++i) {
    ASSERT_TRUE(
        Request(10 + i, RequestOf(i, "resources/subscribe", {{"uri", std::string(1000, 'u') + std::to_string(i)}}))
            .ok());
  }
  EXPECT_FALSE(SessionNote::FromText(wire_->note)) << "an old note would give ids away twice";
}

// ---- a later mcplet

TEST_F(DirectConversationTest, AKeptSessionsCallsGoOn) {
  OpenReady();
  ASSERT_TRUE(Request(5, RequestOf("x", "tools/call", {{"_meta", {{"progressToken", "tok"}}}})).ok());
  const Json sent = wire_->Next("tools/call");
  wire_->Ask("srv", "roots/list");
  const Json ours = seen_.at(0).message["id"];
  const SessionNote note = Note();
  side_.reset();
  seen_.clear();
  Open(note);
  EXPECT_TRUE(wire_->AllRead()) << "no second handshake";
  wire_->Notify("notifications/progress", {{"progressToken", sent["id"]}});
  wire_->Answer(sent, "done");
  ASSERT_EQ(seen_.size(), 2U);
  EXPECT_EQ(seen_[0].message["params"]["progressToken"], "tok");
  EXPECT_EQ(seen_[1].to, "answer 5");
  EXPECT_EQ(seen_[1].message["id"], "x");
  side_->Reply(Parsed(ResultOf(ours, "roots")));
  EXPECT_EQ(wire_->Next(), ResultOf("srv", "roots"));
  ASSERT_TRUE(Request(6, RequestOf("y", "tools/call")).ok());
  EXPECT_GT(wire_->Next("tools/call")["id"], sent["id"]);
}

TEST_F(DirectConversationTest, ALineInDoubtFailsItsCallAndNoOther) {
  OpenReady();
  ASSERT_TRUE(Request(5, RequestOf("sure", "tools/call")).ok());
  ASSERT_TRUE(Request(6, RequestOf("doubtful", "tools/call")).ok());
  const SessionNote note = Note();
  const std::string line = wire_->sent.back();
  side_.reset();
  seen_.clear();
  Open(note, line);
  EXPECT_TRUE(seen_.empty()) << "not from inside";
  EXPECT_FALSE(wire_->settled) << "the next mcplet must find it, should this one end now";
  loop_.Run();
  EXPECT_TRUE(wire_->settled);
  EXPECT_EQ(Note().calls.size(), 1U) << Note().ToText();
  ASSERT_EQ(seen_.size(), 1U);
  EXPECT_EQ(seen_[0].to, "answer 6");
  EXPECT_EQ(seen_[0].message["id"], "doubtful");
  EXPECT_EQ(CodeOf(seen_[0].message), -32603);
  wire_->Say(ResultOf(Json::parse(line)["id"], "late"));
  EXPECT_EQ(seen_.size(), 1U);
}

TEST_F(DirectConversationTest, ALineInDoubtThatIsNoRequestIsNothing) {
  OpenReady();
  ASSERT_TRUE(Request(5, RequestOf("x", "tools/call")).ok());
  const SessionNote note = Note();
  side_.reset();
  seen_.clear();
  for (const char* line : {"{\"jsonrpc\":\"2.0\",\"id\":1,\"meth", R"({"jsonrpc":"2.0","method":"n"})",
                           R"({"jsonrpc":"2.0","id":999,"method":"m"})"}) {
    Open(note, line);
    loop_.Run();
    EXPECT_TRUE(seen_.empty()) << line;
    EXPECT_TRUE(wire_->settled) << line;
  }
}

// ---- a successor

TEST_F(DirectConversationTest, AfterTheServerDiedTheSessionGoesOnWithAnother) {
  OpenReady();
  ASSERT_TRUE(Request(5, RequestOf(1, "logging/setLevel", {{"level", "debug"}})).ok());
  ASSERT_TRUE(Request(6, RequestOf(2, "resources/subscribe", {{"uri", "a"}})).ok());
  ASSERT_TRUE(Request(7, RequestOf(3, "resources/subscribe", {{"uri", "b"}})).ok());
  ASSERT_TRUE(Request(8, RequestOf(4, "resources/unsubscribe", {{"uri", "a"}})).ok());
  for (Json message = wire_->Next(); !message.is_null(); message = wire_->Next())
    wire_->Answer(message, Json::object());
  ASSERT_TRUE(Request(9, RequestOf("under way", "tools/call")).ok());
  const Json before = wire_->Next("tools/call");
  seen_.clear();
  wire_->Close();
  ASSERT_EQ(seen_.size(), 1U);
  EXPECT_EQ(seen_[0].to, "answer 9");
  EXPECT_EQ(CodeOf(seen_[0].message), -32603);
  // What comes meanwhile waits.
  ASSERT_TRUE(Request(10, RequestOf("meanwhile", "tools/call")).ok());
  ASSERT_TRUE(Request(11, RequestOf("given up", "tools/call")).ok());
  side_->Cancel(11, "");
  Wire& next = Successor();
  const Json initialize = next.Next("initialize");
  EXPECT_EQ(initialize["params"]["capabilities"], Json({{"roots", Json::object()}}));
  EXPECT_GT(initialize["id"], before["id"]);
  EXPECT_TRUE(next.AllRead());
  next.Answer(initialize, {{"protocolVersion", "2025-06-18"}});
  next.Next("notifications/initialized");
  EXPECT_EQ(next.Next("logging/setLevel")["params"]["level"], "debug");
  EXPECT_EQ(next.Next("resources/subscribe")["params"]["uri"], "b");
  const Json call = next.Next("tools/call");
  EXPECT_TRUE(next.AllRead());
  next.Answer(call, "done");
  EXPECT_EQ(seen_.back().to, "answer 10");
  EXPECT_EQ(seen_.back().message, ResultOf("meanwhile", "done"));
  EXPECT_EQ(seen_.size(), 2U) << "the client sees nothing of the second handshake";
  EXPECT_TRUE(closed_.empty());
  EXPECT_EQ(Note().session, "sid") << "the successor has the note";
}

TEST_F(DirectConversationTest, ASessionThatIsNotResumableEndsWithItsServer) {
  OpenReady(false);
  ASSERT_TRUE(Request(5, RequestOf("x", "tools/call")).ok());
  wire_->Close();
  EXPECT_EQ(seen_.at(0).to, "answer 5");
  EXPECT_EQ(closed_.size(), 1U);
}

TEST_F(DirectConversationTest, BeforeTheHandshakeThereIsNothingToGoOnWith) {
  Open();
  ASSERT_TRUE(Request(1, RequestOf("i", "initialize")).ok());
  wire_->Close();
  EXPECT_EQ(closed_.size(), 1U);
  loop_.Run();
  EXPECT_EQ(wires_.size(), 1U);
}

TEST_F(DirectConversationTest, AServerThatKeepsDyingIsGivenUp) {
  OpenReady();
  for (int i = 0; i < 20 && closed_.empty(); ++i) {
    wire_->Close();
    loop_.Run();
    wire_ = wires_.all.back();
    if (closed_.empty() && i % 2 == 0) wire_->Answer(wire_->Next("initialize"), {{"protocolVersion", "2025-06-18"}});
  }
  loop_.Run();
  EXPECT_EQ(closed_.size(), 1U);
  EXPECT_LE(wires_.size(), 2U + DirectConversation::kMaxRelinks);
}

TEST_F(DirectConversationTest, ASuccessorThatDiesInItsHandshakeIsFollowedByAnother) {
  OpenReady();
  wire_->Close();
  Successor().Close();
  loop_.Run();
  EXPECT_TRUE(closed_.empty());
  ASSERT_EQ(wires_.size(), 3U);
  ASSERT_TRUE(Request(5, RequestOf("x", "tools/list")).ok());
  Wire& third = wires_[2];
  third.Answer(third.Next("initialize"), {{"protocolVersion", "2025-06-18"}});
  third.Next("notifications/initialized");
  third.Next("tools/list");
}

TEST_F(DirectConversationTest, ASuccessorThatDoesNotComeEndsTheSessionOnce) {
  OpenReady();
  wires_.refusal = ResourceExhausted("no room");
  wire_->Close();
  loop_.Run();
  ASSERT_EQ(closed_.size(), 1U);
  EXPECT_EQ(closed_[0].code(), StatusCode::kResourceExhausted);
}

TEST_F(DirectConversationTest, ASuccessorThatRefusesTheHandshakeEndsTheSessionOnce) {
  OpenReady();
  wire_->Close();
  Wire& next = Successor();
  next.Refuse(next.Next("initialize"), -32602, "no");
  loop_.Run();
  EXPECT_EQ(closed_.size(), 1U);
}

TEST_F(DirectConversationTest, ASuccessorThatNeverAnswersTheHandshakeEndsTheSession) {
  OpenReady();
  wire_->Close();
  Successor().Next("initialize");
  loop_.Advance(59s);
  EXPECT_TRUE(closed_.empty());
  loop_.Advance(1s);
  EXPECT_EQ(closed_.size(), 1U);
}

TEST_F(DirectConversationTest, AnAnswerOfTheClientThatItsServerHasNoRoomForIsSentLater) {
  OpenReady();
  ASSERT_TRUE(Request(5, RequestOf("x", "tools/call")).ok());
  wire_->Next("tools/call");
  wire_->Ask("a", "elicitation/create");
  wire_->Ask("b", "elicitation/create");
  wire_->send_status = ResourceExhausted("child: it does not read");
  side_->Reply(Parsed(ResultOf(seen_.at(0).message["id"], 1)));
  side_->Reply(Parsed(ResultOf(seen_.at(1).message["id"], 2)));
  side_->Tick();
  EXPECT_TRUE(wire_->AllRead());
  wire_->send_status = OkStatus();
  side_->Tick();
  EXPECT_EQ(wire_->Next(), ResultOf("a", 1));
  EXPECT_EQ(wire_->Next(), ResultOf("b", 2));
  side_->Tick();
  EXPECT_TRUE(wire_->AllRead());
}

}  // namespace
}  // namespace mcpfleet::gateway
