#include "edge-runtime/gateway/kept_sessions.h"

#include <filesystem>
#include <fstream>

#include "tests/base/http_testing.h"
#include "tests/edge-runtime/gateway/fake_conversation.h"

namespace mcpfleet::gateway {
namespace {

using namespace test;

const ServerKey kServer{"default", "weather"};

class KeptSessionsTest : public ::testing::Test {
 protected:
  std::string Directory() const { return dir_.path() + "/sessions"; }
  size_t Files() const {
    std::error_code error;
    size_t count = 0;
    for (const auto& entry : std::filesystem::directory_iterator(Directory(), error)) count += entry.exists() ? 1 : 0;
    return count;
  }
  std::string OnlyFile() const { return std::filesystem::directory_iterator(Directory())->path().string(); }
  // Another mcplet.
  void Restart() {
    conversation_.reset();
    files_ = std::make_unique<KeptSessions>(Directory());
  }
  void Open(SessionNote note) {
    side_ = std::make_shared<Side>();
    if (note.session.empty()) note.session = "sid";
    conversation_ = std::make_unique<KeptConversation>(loop_, std::make_unique<FakeConversation>(side_), *files_,
                                                       kServer, std::move(note));
    conversation_->Start({.to_call = [](uint64_t, const std::string&) {},
                          .answer = [this](uint64_t call, const std::string& line) { answers_[call] = line; },
                          .to_session = [](const std::string&, Conversation::About) {},
                          .closed = [this](const Status&) { ++closed_; }});
  }
  void OpenReady() {
    Open({});
    ASSERT_TRUE(Request(1, RequestOf("i", "initialize", {{"capabilities", Json::object()}})).ok());
    side_->Answer(0, {{"protocolVersion", "2025-06-18"}});
    conversation_->Notify(Parsed(NotificationOf("notifications/initialized")));
    side_->requests.clear();
    side_->notified.clear();
  }
  Status Request(uint64_t call, const Json& message) {
    return conversation_->Request({call, call + 100, message["id"].dump()}, Parsed(message));
  }
  SessionNote TakeOne() {
    std::vector<SessionNote> found = files_->Take(kServer);
    EXPECT_EQ(found.size(), 1U);
    return found.empty() ? SessionNote{} : found.front();
  }

  FakeClock clock_;
  ManualLoop loop_{&clock_};
  http::TempDir dir_;
  std::unique_ptr<KeptSessions> files_ = std::make_unique<KeptSessions>(Directory());
  std::shared_ptr<Side> side_;
  std::unique_ptr<KeptConversation> conversation_;
  std::map<uint64_t, std::string> answers_;
  int closed_ = 0;
};

TEST_F(KeptSessionsTest, ASessionIsKeptFromItsFirstWordsToItsEnd) {
  Open({});
  EXPECT_EQ(Files(), 0U);
  ASSERT_TRUE(Request(1, RequestOf("i", "initialize")).ok());
  EXPECT_EQ(Files(), 0U) << "its client knows nothing of it yet";
  side_->Answer(0, {{"protocolVersion", "2025-06-18"}});
  conversation_->Notify(Parsed(NotificationOf("notifications/initialized")));
  EXPECT_EQ(Files(), 1U);
  EXPECT_EQ(std::filesystem::status(OnlyFile()).permissions(),
            std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
  EXPECT_EQ(answers_.count(1), 1U);
  EXPECT_EQ(side_->notified.size(), 1U);
  conversation_.reset();
  EXPECT_EQ(Files(), 0U);
}

TEST_F(KeptSessionsTest, TheNextMcpletFindsItOnceAndMakesItsHandshakeAgainBeforeAnythingElse) {
  OpenReady();
  ASSERT_TRUE(Request(2, RequestOf("l", "logging/setLevel", {{"level", "error"}})).ok());
  ASSERT_TRUE(Request(3, RequestOf("s", "resources/subscribe", {{"uri", "a://b"}})).ok());
  conversation_->Release();
  EXPECT_TRUE(side_->released);
  Restart();
  SessionNote note = TakeOne();
  EXPECT_EQ(note.session, "sid");
  EXPECT_EQ(note.version, "2025-06-18");
  EXPECT_TRUE(files_->Take(kServer).empty());
  ++note.incarnation;
  Open(note);
  ASSERT_EQ(side_->requests.size(), 1U);
  EXPECT_EQ(side_->requests[0].second["method"], "initialize");
  ASSERT_TRUE(Request(9, RequestOf("now", "tools/list")).ok());
  EXPECT_EQ(side_->requests.size(), 1U);
  side_->Answer(0, {{"protocolVersion", "2025-11-25"}});
  EXPECT_EQ(side_->notified.size(), 1U);
  ASSERT_EQ(side_->requests.size(), 4U);
  EXPECT_EQ(side_->requests[1].second["method"], "logging/setLevel");
  EXPECT_EQ(side_->requests[2].second["params"]["uri"], "a://b");
  EXPECT_EQ(side_->requests[3].second["method"], "tools/list");
  for (size_t i = 1; i < 4; ++i) side_->Answer(i, "x");
  EXPECT_EQ(answers_.size(), 2U) << "of initialize then, and of what the client asked; nothing of our own";
  EXPECT_TRUE(answers_.contains(9));
}

TEST_F(KeptSessionsTest, CallsThatWereUnderWayAtAKillAreLostAndRemembered) {
  OpenReady();
  ASSERT_TRUE(Request(5, RequestOf("x", "tools/call")).ok());
  ASSERT_TRUE(Request(6, RequestOf("y", "tools/call")).ok());
  side_->Answer(1, "x");
  EXPECT_EQ(answers_.size(), 2U);
  ASSERT_TRUE(Request(7, RequestOf("z", "tools/call")).ok()) << "with it the file is written";
  conversation_->Cancel(7, "");
  conversation_->Tick();
  // Killed: nobody said anything. The file is as it was.
  const std::string path = OnlyFile();
  std::filesystem::copy_file(path, dir_.path() + "/copy");
  conversation_.reset();
  std::filesystem::rename(dir_.path() + "/copy", path);
  Restart();
  SessionNote note = TakeOne();
  ASSERT_EQ(note.calls.size(), 1U);
  EXPECT_EQ(note.calls.begin()->second.call.id, "\"x\"");
  EXPECT_EQ(note.calls.begin()->second.call.stream, 105U);
  const auto answered = note.answered.List();
  ASSERT_EQ(answered.size(), 3U) << "of initialize, too";
  EXPECT_EQ(answered[1].id, "\"y\"");
  EXPECT_EQ(answered[1].stream, 106U);
  EXPECT_EQ(answered[2].id, "\"z\"") << "cancelled";
  // A second restart before their clients came back still knows.
  Open(note);
  conversation_->Release();
  Restart();
  EXPECT_EQ(TakeOne().answered.List().size(), 4U);
}

TEST_F(KeptSessionsTest, AServerThatRefusesTheHandshakeEndsTheSession) {
  OpenReady();
  conversation_->Release();
  Restart();
  Open(TakeOne());
  side_->events.answer(side_->Call(0).call, R"({"jsonrpc":"2.0","id":0,"error":{"code":-32600,"message":"no"}})");
  EXPECT_EQ(closed_, 1);
  conversation_.reset();
  EXPECT_EQ(Files(), 0U);
}

TEST_F(KeptSessionsTest, FilesThatAreNoneOfOursAreNotTakenAndGo) {
  OpenReady();
  conversation_->Release();
  conversation_.reset();
  const std::string path = OnlyFile();
  std::string text = *ReadFile(path, 1 << 20);
  for (const std::string& broken :
       {std::string(), std::string("x"), text.substr(0, text.size() - 1), std::string("default/weather 99999\n{}"),
        std::string("default/weather 2\n{}"), "x" + text}) {
    std::ofstream(path, std::ios::trunc | std::ios::binary) << broken;
    Restart();
    EXPECT_TRUE(files_->Take(kServer).empty()) << broken;
    EXPECT_EQ(Files(), broken.starts_with("xdefault") ? 1U : 0U) << broken;
  }
  // The longer rest of a text before means nothing; a copy under another name does not count.
  std::ofstream(path, std::ios::trunc | std::ios::binary) << text << "rest";
  std::ofstream(path + "2", std::ios::trunc | std::ios::binary) << text;
  Restart();
  EXPECT_EQ(TakeOne().session, "sid");
  EXPECT_EQ(Files(), 1U);
}

TEST_F(KeptSessionsTest, WhatIsTooLongIsNotKept) {
  OpenReady();
  EXPECT_EQ(Files(), 1U);
  for (int i = 0; i < 60; ++i) {
    ASSERT_TRUE(
        Request(10 + i, RequestOf(i, "resources/subscribe", {{"uri", std::string(1000, 'u') + std::to_string(i)}}))
            .ok());
  }
  EXPECT_EQ(Files(), 0U);
}

TEST_F(KeptSessionsTest, ADiskThatTakesNothingCostsNoRequest) {
  std::ofstream(Directory()) << "a file in the directory's place";
  OpenReady();
  EXPECT_TRUE(Request(5, RequestOf("x", "tools/call")).ok());
  EXPECT_EQ(side_->requests.size(), 1U);
}

TEST_F(KeptSessionsTest, AServerThatNeverAnswersTheHandshakeEndsTheSession) {
  OpenReady();
  conversation_->Release();
  Restart();
  Open(TakeOne());
  loop_.Advance(59s);
  EXPECT_EQ(closed_, 0);
  loop_.Advance(1s);
  EXPECT_EQ(closed_, 1);
}

TEST_F(KeptSessionsTest, NotificationsThatWaitForTheHandshakeAreBounded) {
  OpenReady();
  conversation_->Release();
  Restart();
  Open(TakeOne());
  for (int i = 0; i < 1000; ++i) conversation_->Notify(Parsed(NotificationOf("n")));
  side_->Answer(0, {{"protocolVersion", "2025-06-18"}});
  EXPECT_EQ(side_->notified.size(), 65U) << "with notifications/initialized";
  loop_.Advance(60s);
  EXPECT_EQ(closed_, 0);
}

}  // namespace
}  // namespace mcpfleet::gateway
