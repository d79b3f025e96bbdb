#include "edge-runtime/gateway/legacy_face.h"

#include "tests/edge-runtime/gateway/fakes.h"

namespace mcpfleet::gateway {
namespace {

using namespace test;

using About = Conversation::About;

const char kVersionKey[] = "io.modelcontextprotocol/protocolVersion";
const char kCapabilitiesKey[] = "io.modelcontextprotocol/clientCapabilities";
const char kSubscriptionKey[] = "io.modelcontextprotocol/subscriptionId";

class LegacyFaceTest : public ::testing::Test {
 protected:
  struct Seen {
    std::string to;
    Json message;
  };
  void Open() {
    face_ = std::make_unique<LegacyFace>(loop_, hub_, [](std::string_view, Incoming*) {});
    face_->Start(
        {.to_call = [this](uint64_t call, const std::string& line) { See("call " + std::to_string(call), line); },
         .answer = [this](uint64_t call, const std::string& line) { See("answer " + std::to_string(call), line); },
         .to_session = [this](const std::string& line, About) { See("session", line); },
         .closed = [](const Status&) {}});
  }
  void See(const std::string& to, const std::string& line) { seen_.push_back({to, Json::parse(line)}); }
  // A session of a client that offers `capabilities`, in front of a server with these.
  void OpenReady(const Json& capabilities = Json::object(),
                 const Json& features = {{"tools", {{"listChanged", true}}}}) {
    Open();
    ASSERT_TRUE(Request(1, RequestOf("i", "initialize",
                                     {{"protocolVersion", "2025-06-18"},
                                      {"capabilities", capabilities},
                                      {"clientInfo", {{"name", "c"}, {"version", "1"}}}}))
                    .ok());
    Wire& wire = Server();
    wire.Answer(wire.Next("server/discover"), {{"resultType", "complete"},
                                               {"supportedVersions", {"2026-07-28"}},
                                               {"capabilities", features},
                                               {"_meta", {{"io.modelcontextprotocol/serverInfo", {{"name", "s"}}}}}});
    ASSERT_EQ(seen_.size(), 1U);
    EXPECT_EQ(seen_[0].to, "answer 1");
    EXPECT_EQ(seen_[0].message["id"], "i");
    EXPECT_EQ(seen_[0].message["result"]["protocolVersion"], "2025-06-18");
    EXPECT_EQ(seen_[0].message["result"]["serverInfo"]["name"], "s");
    face_->Notify(Parsed(NotificationOf("notifications/initialized")));
    loop_.Run();
    if (!wire.AllRead()) listen_ = wire.Next("subscriptions/listen");
    seen_.clear();
  }
  Status Request(uint64_t call, const Json& message) {
    const Status status = face_->Request({call, call + 100, message["id"].dump()}, Parsed(message));
    loop_.Run();
    return status;
  }
  Wire& Server() {
    loop_.Run();
    return wires_[wires_.size() == 0 ? 0 : wires_.size() - 1];
  }
  void Acknowledge(Wire& wire, const Json& listen) {
    wire.Notify("notifications/subscriptions/acknowledged",
                {{"_meta", {{kSubscriptionKey, listen["id"]}}}, {"notifications", listen["params"]["notifications"]}});
  }
  // The server asks for an elicitation and roots before it answers `call`.
  void AskForInput(const Json& call, const Json& requests, const std::string& state = "s1") {
    Server().Answer(call, {{"resultType", "input_required"}, {"inputRequests", requests}, {"requestState", state}});
    loop_.Run();
  }

  FakeClock clock_;
  ManualLoop loop_{&clock_};
  Wires wires_{&loop_};
  std::shared_ptr<ModernHub> hub_ = std::make_shared<ModernHub>(loop_, wires_.AsNewLink());
  std::unique_ptr<LegacyFace> face_;
  std::vector<Seen> seen_;
  Json listen_;
};

const Json kQuestion = {{"method", "elicitation/create"}, {"params", {{"message", "name?"}}}};
const Json kAsking = {{"elicitation", Json::object()}};

TEST_F(LegacyFaceTest, RequestsCarryWhatTheModernEraDemands) {
  OpenReady(kAsking);
  ASSERT_TRUE(Request(2, RequestOf("x", "tools/call", {{"name", "add"}, {"_meta", {{"progressToken", "p"}}}})).ok());
  Wire& wire = Server();
  const Json sent = wire.Next("tools/call");
  EXPECT_EQ(sent["params"]["name"], "add");
  EXPECT_EQ(sent["params"]["_meta"][kVersionKey], "2026-07-28");
  EXPECT_EQ(sent["params"]["_meta"][kCapabilitiesKey], kAsking);
  EXPECT_EQ(sent["params"]["_meta"]["io.modelcontextprotocol/clientInfo"]["name"], "c");
  EXPECT_EQ(sent["params"]["_meta"]["progressToken"], sent["id"]);
  wire.Notify("notifications/progress", {{"progressToken", sent["id"]}});
  wire.Answer(sent, {{"resultType", "complete"}, {"content", Json::array()}});
  ASSERT_EQ(seen_.size(), 2U);
  EXPECT_EQ(seen_[0].to, "call 2");
  EXPECT_EQ(seen_[0].message["params"]["progressToken"], "p");
  EXPECT_EQ(seen_[1].message["id"], "x");
}

TEST_F(LegacyFaceTest, WhatIsGoneInTheModernEraIsTheGateways) {
  OpenReady();
  ASSERT_TRUE(Request(2, RequestOf(2, "ping")).ok());
  ASSERT_TRUE(Request(3, RequestOf(3, "logging/setLevel", {{"level", "warning"}})).ok());
  EXPECT_EQ(seen_.size(), 2U);
  EXPECT_EQ(seen_.at(0).message, ResultOf(2, Json::object()));
  for (const char* method : {"server/discover", "subscriptions/listen", "tasks/get"}) {
    ASSERT_TRUE(Request(4, RequestOf(4, method)).ok());
    EXPECT_EQ(CodeOf(seen_.back().message), -32601) << method;
  }
  Wire& wire = Server();
  EXPECT_TRUE(wire.AllRead()) << "the server hears of none of it";
  ASSERT_TRUE(Request(5, RequestOf(5, "tools/list")).ok());
  const Json sent = wire.Next("tools/list");
  EXPECT_EQ(sent["params"]["_meta"]["io.modelcontextprotocol/logLevel"], "warning");
  wire.Notify("notifications/message", {{"level", "warning"}});
  EXPECT_EQ(seen_.back().to, "call 5");
}

TEST_F(LegacyFaceTest, InputThatIsRequiredIsAskedOfTheClientAndTheCallMadeAgain) {
  OpenReady({{"elicitation", Json::object()}, {"roots", Json::object()}});
  ASSERT_TRUE(Request(2, RequestOf("x", "tools/call", {{"name", "greet"}})).ok());
  const Json first = Server().Next("tools/call");
  AskForInput(first, {{"k1", kQuestion}, {"k2", {{"method", "roots/list"}}}});
  ASSERT_EQ(seen_.size(), 2U);
  EXPECT_EQ(seen_[0].to, "call 2");
  EXPECT_EQ(seen_[0].message["method"], "elicitation/create");
  EXPECT_EQ(seen_[0].message["params"], kQuestion["params"]);
  EXPECT_EQ(seen_[1].message["method"], "roots/list");
  face_->Reply(Parsed(ResultOf(seen_[1].message["id"], {{"roots", Json::array()}})));
  EXPECT_TRUE(Server().AllRead()) << "one answer is missing";
  face_->Reply(Parsed(ResultOf("999", 0)));
  face_->Reply(Parsed(ResultOf(seen_[0].message["id"], {{"action", "accept"}})));
  const Json second = Server().Next("tools/call");
  EXPECT_NE(second["id"], first["id"]);
  EXPECT_EQ(second["params"]["name"], "greet");
  EXPECT_EQ(second["params"]["requestState"], "s1");
  EXPECT_EQ(second["params"]["inputResponses"],
            Json({{"k1", {{"action", "accept"}}}, {"k2", {{"roots", Json::array()}}}}));
  EXPECT_EQ(second["params"]["_meta"][kVersionKey], "2026-07-28");
  Server().Answer(second, {{"resultType", "complete"}, {"content", 1}});
  EXPECT_EQ(seen_.back().to, "answer 2");
  EXPECT_EQ(seen_.back().message["id"], "x");
}

TEST_F(LegacyFaceTest, OnlyTheStateMayHaveToBeSentBack) {
  OpenReady();
  ASSERT_TRUE(Request(2, RequestOf("x", "tools/call", {{"name", "n"}})).ok());
  AskForInput(Server().Next("tools/call"), Json::object(), "again");
  const Json second = Server().Next("tools/call");
  EXPECT_EQ(second["params"]["requestState"], "again");
}

TEST_F(LegacyFaceTest, AClientIsNeverAskedForWhatItDoesNotOffer) {
  OpenReady(kAsking);
  for (const Json& question : {Json({{"method", "sampling/createMessage"}, {"params", Json::object()}}),
                               Json({{"method", "tools/list"}}), Json({{"method", 7}})}) {
    seen_.clear();
    ASSERT_TRUE(Request(2, RequestOf("x", "tools/call", {{"name", "n"}})).ok());
    AskForInput(Server().Next("tools/call"), {{"a", kQuestion}, {"k", question}});
    ASSERT_EQ(seen_.size(), 1U) << question;
    EXPECT_EQ(seen_[0].to, "answer 2");
    EXPECT_EQ(CodeOf(seen_[0].message), -32603);
  }
}

TEST_F(LegacyFaceTest, AClientThatDeclinesEndsItsCall) {
  OpenReady(kAsking);
  ASSERT_TRUE(Request(2, RequestOf("x", "tools/call", {{"name", "n"}})).ok());
  AskForInput(Server().Next("tools/call"), {{"k", kQuestion}});
  face_->Reply(Parsed(
      Json{{"jsonrpc", "2.0"}, {"id", seen_.at(0).message["id"]}, {"error", {{"code", -1}, {"message", "not now"}}}}));
  loop_.Run();
  EXPECT_EQ(seen_.back().to, "answer 2");
  EXPECT_EQ(CodeOf(seen_.back().message), -32603);
  EXPECT_TRUE(Server().AllRead());
}

TEST_F(LegacyFaceTest, AServerThatNeverHasEnoughIsRefused) {
  OpenReady(kAsking);
  ASSERT_TRUE(Request(2, RequestOf("x", "tools/call", {{"name", "n"}})).ok());
  int rounds = 0;
  for (; rounds < 100 && (seen_.empty() || seen_.back().to != "answer 2"); ++rounds) {
    AskForInput(Server().Next("tools/call"), {{"k", kQuestion}});
    if (seen_.back().to == "call 2") face_->Reply(Parsed(ResultOf(seen_.back().message["id"], 1)));
  }
  EXPECT_EQ(rounds, LegacyFace::kMaxRounds + 1);
  EXPECT_EQ(CodeOf(seen_.back().message), -32603);
}

TEST_F(LegacyFaceTest, InputRequiredForARequestWithoutParamsBreaksNothing) {
  OpenReady(kAsking);
  ASSERT_TRUE(Request(2, {{"jsonrpc", "2.0"}, {"id", 1}, {"method", "tools/list"}}).ok());
  AskForInput(Server().Next("tools/list"), {{"k", kQuestion}});
  ASSERT_EQ(seen_.size(), 1U);
  if (seen_[0].to == "call 2") {
    face_->Reply(Parsed(ResultOf(seen_[0].message["id"], 1)));
    EXPECT_EQ(Server().Next("tools/list")["params"]["inputResponses"]["k"], 1);
  } else {
    EXPECT_EQ(CodeOf(seen_[0].message), -32603);
  }
}

TEST_F(LegacyFaceTest, ACancelledCallIsCancelledAtTheServerOrForgotten) {
  OpenReady(kAsking);
  ASSERT_TRUE(Request(2, RequestOf("x", "tools/call", {{"name", "n"}})).ok());
  const Json sent = Server().Next("tools/call");
  face_->Cancel(2, "\"why\"");
  EXPECT_EQ(Server().Next("notifications/cancelled")["params"]["requestId"], sent["id"]);
  ASSERT_TRUE(Request(3, RequestOf("y", "tools/call", {{"name", "n"}})).ok());
  AskForInput(Server().Next("tools/call"), {{"k", kQuestion}});
  const Json question = seen_.back().message;
  face_->Cancel(3, "");
  face_->Reply(Parsed(ResultOf(question["id"], 1)));
  EXPECT_TRUE(Server().AllRead());
  EXPECT_EQ(seen_.size(), 1U);
}

// ---- subscriptions

TEST_F(LegacyFaceTest, ListChangesComeOverOneSubscriptionOfTheSession) {
  OpenReady();
  ASSERT_TRUE(listen_.is_object());
  EXPECT_EQ(listen_["params"]["notifications"]["toolsListChanged"], true);
  Wire& wire = Server();
  Acknowledge(wire, listen_);
  EXPECT_TRUE(seen_.empty());
  wire.Notify("notifications/tools/list_changed", {{"_meta", {{kSubscriptionKey, listen_["id"]}}}});
  wire.Notify("notifications/tools/list_changed", {{"_meta", {{kSubscriptionKey, 99}}}});
  wire.Notify("notifications/tools/list_changed");
  ASSERT_EQ(seen_.size(), 1U) << "only what is of the session's own subscription";
  EXPECT_EQ(seen_[0].to, "session");
  EXPECT_EQ(seen_[0].message["params"]["_meta"], Json::object()) << "the subscription is the gateway's";
}

TEST_F(LegacyFaceTest, AChangedSubscriptionTakesThePlaceOfTheOldOne) {
  OpenReady();
  ASSERT_TRUE(Request(2, RequestOf(2, "resources/subscribe", {{"uri", "file:///a"}})).ok());
  EXPECT_EQ(seen_.at(0).message, ResultOf(2, Json::object()));
  Wire& wire = Server();
  const Json second = wire.Next("subscriptions/listen");
  EXPECT_EQ(second["params"]["notifications"]["resourceSubscriptions"], Json({"file:///a"}));
  EXPECT_EQ(wire.Next("notifications/cancelled")["params"]["requestId"], listen_["id"]);
  seen_.clear();
  wire.Notify("notifications/resources/updated", {{"uri", "file:///a"}, {"_meta", {{kSubscriptionKey, second["id"]}}}});
  EXPECT_EQ(seen_.size(), 1U);
  ASSERT_TRUE(Request(3, RequestOf(3, "resources/subscribe", {{"uri", "file:///a"}})).ok());
  EXPECT_TRUE(wire.AllRead()) << "nothing has changed";
  ASSERT_TRUE(Request(4, RequestOf(4, "resources/unsubscribe", {{"uri", "file:///a"}})).ok());
  EXPECT_FALSE(wire.Next("subscriptions/listen")["params"]["notifications"].contains("resourceSubscriptions"));
}

TEST_F(LegacyFaceTest, WhenTheServerWasReplacedTheClientHearsOfItAndIsSubscribedAgain) {
  OpenReady();
  Acknowledge(Server(), listen_);
  Server().Close();
  loop_.Run();
  ASSERT_EQ(seen_.size(), 1U) << "another server may list something else";
  EXPECT_EQ(seen_[0].message["method"], "notifications/tools/list_changed");
  ASSERT_TRUE(Request(2, RequestOf(2, "tools/list")).ok());
  Wire& next = Server();
  std::set<std::string> methods = {GetString(next.Next(), "method"), GetString(next.Next(), "method")};
  EXPECT_EQ(methods, (std::set<std::string>{"tools/list", "subscriptions/listen"}));
}

TEST_F(LegacyFaceTest, AServerWithoutSubscriptionsIsNotAskedAgainAndAgain) {
  OpenReady();
  Server().Refuse(listen_, -32601, "Method not found");
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(Request(2, RequestOf(2, "tools/list")).ok());
    Server().Answer(Server().Next("tools/list"), Json::object());
    EXPECT_TRUE(Server().AllRead());
  }
  for (const Seen& each : seen_) EXPECT_NE(each.to, "session");
}

TEST_F(LegacyFaceTest, AtItsEndTheSessionTakesBackWhatIsUnderWay) {
  OpenReady();
  ASSERT_TRUE(Request(2, RequestOf("x", "tools/call", {{"name", "n"}})).ok());
  const Json sent = Server().Next("tools/call");
  face_.reset();
  std::set<Json> cancelled = {Server().Next("notifications/cancelled")["params"]["requestId"],
                              Server().Next("notifications/cancelled")["params"]["requestId"]};
  EXPECT_EQ(cancelled, (std::set<Json>{sent["id"], listen_["id"]}));
  EXPECT_EQ(hub_->calls(), 0U);
  Server().Answer(sent, 1);
}

TEST_F(LegacyFaceTest, TwoSessionsShareTheServerAndNothingElse) {
  OpenReady(kAsking);
  LegacyFace other(loop_, hub_, [](std::string_view, Incoming*) {});
  std::vector<std::string> others;
  other.Start({.to_call = [&](uint64_t, std::string line) { others.push_back(std::move(line)); },
               .answer = [&](uint64_t, std::string line) { others.push_back(std::move(line)); },
               .to_session = [&](std::string line, About) { others.push_back(std::move(line)); }});
  ASSERT_TRUE(Request(2, RequestOf("x", "tools/call", {{"name", "n"}})).ok());
  ASSERT_TRUE(other.Request({2, 102, "\"x\""}, Parsed(RequestOf("x", "tools/call", {{"name", "n"}}))).ok());
  const Json mine = Server().Next("tools/call"), theirs = Server().Next("tools/call");
  EXPECT_EQ(theirs["params"]["_meta"][kCapabilitiesKey], Json::object());
  AskForInput(mine, {{"k", kQuestion}});
  const Json question = seen_.back().message;
  other.Reply(Parsed(ResultOf(question["id"], "stolen")));
  other.Cancel(3, "");
  EXPECT_TRUE(Server().AllRead());
  EXPECT_TRUE(others.empty());
  EXPECT_EQ(wires_.size(), 1U);
}

}  // namespace
}  // namespace mcpfleet::gateway
