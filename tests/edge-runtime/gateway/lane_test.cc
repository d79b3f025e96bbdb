#include "edge-runtime/gateway/lane.h"

#include "tests/edge-runtime/gateway/fakes.h"

namespace mcpfleet::gateway {
namespace {

using namespace test;

class LaneTest : public ::testing::Test {
 protected:
  void SetUp() override { Open(1); }
  void Open(uint64_t first_id) {
    wire_ = std::make_shared<Wire>();
    lane_ = std::make_shared<Lane>(loop_, std::make_unique<ScriptedLink>(wire_), first_id);
    lane_->Start({.notification = [this](Incoming message) { notifications_.push_back(message.text); },
                  .request = [this](Incoming message) { requests_.push_back(std::move(message)); },
                  .closed = [this](const Status& why) { closed_.push_back(why); }});
  }
  CallEvents Events() {
    return {.progress = [this](std::string line) { progress_.push_back(Json::parse(line)); },
            .answer =
                [this](const Incoming& answer) {
                  answers_.push_back(Json::parse(answer.text));
                  EXPECT_EQ(answer.Part(answer.envelope.id), Json::parse(answer.text)["id"].dump());
                }};
  }
  StatusOr<uint64_t> Request(const std::string& text) {
    const Incoming message = Parsed(text);
    return lane_->Request(message.text, message.envelope, {}, Events());
  }

  FakeClock clock_;
  ManualLoop loop_{&clock_};
  std::shared_ptr<Wire> wire_;
  std::shared_ptr<Lane> lane_;
  std::vector<std::string> notifications_;
  std::vector<Incoming> requests_;
  std::vector<Json> progress_, answers_;
  std::vector<Status> closed_;
};

TEST_F(LaneTest, ARequestGetsTheLanesIdAndTokenAndNothingElseOfItChanges) {
  ASSERT_TRUE(Request("{\"params\":{\"n\":1.50,\n\"_meta\":{\"progressToken\":\"t\"}},\"method\":\"m\","
                      "\"jsonrpc\":\"2.0\",\"id\":\"c\"}")
                  .ok());
  EXPECT_EQ(wire_->sent.at(0),
            R"({"params":{"n":1.50,"_meta":{"progressToken":1}},"method":"m","jsonrpc":"2.0","id":1})");
  ASSERT_TRUE(Request(R"({"jsonrpc":"2.0","id":"c","method":"m"})").ok());
  EXPECT_EQ(wire_->sent.at(1), R"({"jsonrpc":"2.0","id":2,"method":"m"})");
}

TEST_F(LaneTest, ProgressComesWithTheCallersTokenAndBeforeTheAnswer) {
  ASSERT_TRUE(Request(R"({"jsonrpc":"2.0","id":1,"method":"m","params":{"_meta":{"progressToken":"tok"}}})").ok());
  ASSERT_TRUE(Request(R"({"jsonrpc":"2.0","id":2,"method":"m","params":{"_meta":{"progressToken":7.0}}})").ok());
  ASSERT_TRUE(Request(R"({"jsonrpc":"2.0","id":3,"method":"m"})").ok());
  wire_->Notify("notifications/progress", {{"progressToken", 1}, {"progress", 1}});
  wire_->Say(R"({"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":2,"progress":2}})");
  ASSERT_EQ(progress_.size(), 2U);
  EXPECT_EQ(progress_[0]["params"]["progressToken"], "tok");
  EXPECT_EQ(progress_[1]["params"]["progressToken"].dump(), "7.0");
  // Of a call that asked for none, of none at all, of one that is over.
  wire_->Notify("notifications/progress", {{"progressToken", 3}});
  wire_->Notify("notifications/progress", {{"progressToken", "1"}});
  wire_->Notify("notifications/progress", {{"progressToken", 99}});
  wire_->Notify("notifications/progress");
  wire_->Answer({{"id", 1}}, 0);
  wire_->Notify("notifications/progress", {{"progressToken", 1}});
  EXPECT_EQ(progress_.size(), 2U);
  EXPECT_TRUE(notifications_.empty());
}

TEST_F(LaneTest, AnAnswerFindsItsCallOnce) {
  ASSERT_TRUE(Request(R"({"jsonrpc":"2.0","id":"a","method":"m"})").ok());
  ASSERT_TRUE(Request(R"({"jsonrpc":"2.0","id":"b","method":"m"})").ok());
  wire_->Answer({{"id", 2}}, "second");
  wire_->Answer({{"id", 1}}, "first");
  wire_->Answer({{"id", 1}}, "again");
  for (const Json& id : {Json("1"), Json(3), Json(0), Json(-1), Json(1.0)}) wire_->Answer({{"id", id}}, "of nobody");
  wire_->Say(R"({"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"?"}})");
  ASSERT_EQ(answers_.size(), 2U);
  EXPECT_EQ(answers_[0]["result"], "second");
  EXPECT_EQ(answers_[1]["result"], "first");
  EXPECT_EQ(lane_->in_flight(), 0U);
}

TEST_F(LaneTest, ACancelledCallIsToldToTheServerAndItsLateAnswerDropped) {
  ASSERT_TRUE(Request(R"({"jsonrpc":"2.0","id":"a","method":"m"})").ok());
  wire_->Next("m");
  lane_->Cancel(1, "\"too \\\"slow\\\"\"");
  EXPECT_EQ(wire_->Next("notifications/cancelled")["params"], Json({{"requestId", 1}, {"reason", "too \"slow\""}}));
  lane_->Cancel(1);
  lane_->Cancel(5);
  EXPECT_TRUE(wire_->AllRead());
  wire_->Answer({{"id", 1}}, "late");
  EXPECT_TRUE(answers_.empty());
}

TEST_F(LaneTest, PingIsAnsweredAndOtherRequestsAreHandedOn) {
  wire_->Say(R"({"jsonrpc":"2.0","id":"p\n1","method":"ping"})");
  EXPECT_EQ(wire_->sent.at(0), R"({"jsonrpc":"2.0","id":"p\n1","result":{}})");
  wire_->Ask(4, "roots/list");
  ASSERT_EQ(requests_.size(), 1U);
  EXPECT_EQ(requests_[0].envelope.method, "roots/list");
  wire_->Notify("notifications/tools/list_changed");
  EXPECT_EQ(notifications_.size(), 1U);
}

TEST_F(LaneTest, WhatIsNoMessageIsCountedAndHarmsNothing) {
  for (const char* line : {"Server ready", "{", "[]", "", "  ", "{\"jsonrpc\":\"2.0\"}", "\xff"}) wire_->Say(line);
  EXPECT_EQ(lane_->stray_lines(), 5U) << "blank lines are none";
  ASSERT_TRUE(Request(R"({"jsonrpc":"2.0","id":1,"method":"m"})").ok());
  wire_->Answer({{"id", 1}}, 1);
  EXPECT_EQ(answers_.size(), 1U);
}

TEST_F(LaneTest, WhenTheServerIsGoneEveryCallFailsAndThenTheLaneIsClosed) {
  ASSERT_TRUE(Request(R"({"jsonrpc":"2.0","id":"a","method":"m"})").ok());
  ASSERT_TRUE(Request(R"({"jsonrpc":"2.0","id":"b","method":"m"})").ok());
  wire_->Close();
  ASSERT_EQ(answers_.size(), 2U);
  EXPECT_EQ(answers_[0]["id"], 1);
  EXPECT_EQ(CodeOf(answers_[0]), -32603);
  EXPECT_EQ(closed_.size(), 1U);
  EXPECT_TRUE(lane_->closed());
  EXPECT_EQ(Request(R"({"jsonrpc":"2.0","id":"c","method":"m"})").status().code(), StatusCode::kUnavailable);
  EXPECT_EQ(lane_->Send("{}").code(), StatusCode::kUnavailable);
  EXPECT_FALSE(wire_->destroyed) << "not from inside of its own callback";
  loop_.Run();
  EXPECT_TRUE(wire_->destroyed);
}

TEST_F(LaneTest, ACallThatCantBeSentDoesNotBegin) {
  wire_->send_status = ResourceExhausted("its input queue is full");
  EXPECT_EQ(Request(R"({"jsonrpc":"2.0","id":"a","method":"m"})").status().code(), StatusCode::kResourceExhausted);
  EXPECT_EQ(lane_->in_flight(), 0U);
  wire_->send_status = OkStatus();
  const StatusOr<uint64_t> sent = Request(R"({"jsonrpc":"2.0","id":"a","method":"m"})");
  ASSERT_TRUE(sent.ok());
  wire_->Close();
  EXPECT_EQ(answers_.size(), 1U);
}

TEST_F(LaneTest, ALaneThatIsDroppedFromInsideOfACallbackEndsQuietly) {
  const Incoming message = Parsed(R"({"jsonrpc":"2.0","id":"a","method":"m"})");
  ASSERT_TRUE(
      lane_->Request(message.text, message.envelope, {}, {.answer = [this](const Incoming&) { lane_.reset(); }}).ok());
  wire_->Answer({{"id", 1}}, 1);
  wire_->Notify("notifications/x");
  EXPECT_TRUE(notifications_.empty());
  loop_.Run();
  EXPECT_TRUE(wire_->destroyed);
  EXPECT_TRUE(closed_.empty()) << "who ends it needs no telling";
}

TEST_F(LaneTest, CallsOfTheMcpletBeforeGoOn) {
  Open(40);
  lane_->Continue({37, "\"tok\""}, Events());
  lane_->Continue({38, ""}, Events());
  ASSERT_TRUE(Request(R"({"jsonrpc":"2.0","id":"new","method":"m"})").ok());
  EXPECT_EQ(wire_->Next("m")["id"], 40) << "an id never comes back";
  wire_->Notify("notifications/progress", {{"progressToken", 37}});
  EXPECT_EQ(progress_.at(0)["params"]["progressToken"], "tok");
  wire_->Answer({{"id", 37}}, "old");
  lane_->Fail(38, -32603, "in doubt");
  ASSERT_EQ(answers_.size(), 2U);
  EXPECT_EQ(answers_[0]["result"], "old");
  EXPECT_EQ(answers_[1]["id"], 38);
  EXPECT_EQ(answers_[1]["error"]["message"], "in doubt");
}

TEST_F(LaneTest, SoManyCallsWaitAndNoMore) {
  for (size_t i = 0; i < Lane::kMaxCalls; ++i) ASSERT_TRUE(lane_->Request("m", Json(), {}).ok());
  EXPECT_EQ(lane_->Request("m", Json(), {}).status().code(), StatusCode::kResourceExhausted);
}

}  // namespace
}  // namespace mcpfleet::gateway
