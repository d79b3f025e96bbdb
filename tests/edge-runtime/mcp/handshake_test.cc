#include "edge-runtime/mcp/handshake.h"

#include <gtest/gtest.h>

#include "edge-runtime/mcp/session.h"

namespace mcpfleet::mcp {
namespace {

using Phase = Handshake::Phase;

Message Result(const std::string& id, const char* text) {
  return *ParseMessage(SerializeResult(id, Json::parse(text)));
}
Message Error(const std::string& id, int code, const char* data = "null") {
  Json body = {{"jsonrpc", "2.0"},
               {"id", Json::parse(id)},
               {"error", {{"code", code}, {"message", "no"}, {"data", Json::parse(data)}}}};
  return *ParseMessage(DumpJson(body));
}
constexpr char kModernAnswer[] = R"({"supportedVersions":["2026-07-28"],"capabilities":{"tools":{},"logging":{}},
                                     "_meta":{"io.modelcontextprotocol/serverInfo":{"name":"m","version":"1"}}})";
constexpr char kLegacyAnswer[] =
    R"({"protocolVersion":"2025-06-18","capabilities":{"tools":{}},"serverInfo":{"name":"l","version":"2"}})";

class HandshakeTest : public testing::Test {
 protected:
  Handshake handshake_{{"mcpfleet", "1"}, Era::kUnknown};
  uint64_t next_id_ = 1;
};

TEST_F(HandshakeTest, DiscoverComesFirstAndAModernAnswerEndsIt) {
  std::vector<Outgoing> sent = handshake_.Start(&next_id_);
  ASSERT_EQ(sent.size(), 1u);
  EXPECT_EQ(sent[0].method, "server/discover");
  Json meta = ParseMessage(sent[0].line)->params["_meta"];
  EXPECT_EQ(meta["io.modelcontextprotocol/protocolVersion"], "2026-07-28");
  EXPECT_EQ(meta["io.modelcontextprotocol/clientCapabilities"], Json::object());
  EXPECT_TRUE(handshake_.OnResponse(Result(sent[0].id, kModernAnswer), &next_id_).empty());
  EXPECT_EQ(handshake_.phase(), Phase::kReady);
  EXPECT_EQ(handshake_.peer().era, Era::kModern);
  EXPECT_EQ(handshake_.peer().name, "m");
  EXPECT_EQ(handshake_.peer().capabilities, (std::vector<std::string>{"logging", "tools"}));
}

TEST_F(HandshakeTest, EveryOtherAnswerLeadsToInitialize) {
  for (int code : {-32601, -32600, -32000, -32602, -32603, -32022, 0, 7}) {
    Handshake handshake({"mcpfleet", "1"}, Era::kUnknown);
    std::string id = handshake.Start(&next_id_)[0].id;
    std::vector<Outgoing> sent = handshake.OnResponse(Error(id, code), &next_id_);
    ASSERT_EQ(sent.size(), 1u) << code;
    EXPECT_EQ(sent[0].method, "initialize");
    sent = handshake.OnResponse(Result(sent[0].id, kLegacyAnswer), &next_id_);
    ASSERT_EQ(sent.size(), 1u);
    EXPECT_EQ(sent[0].line, R"({"jsonrpc":"2.0","method":"notifications/initialized"})");
    EXPECT_EQ(handshake.peer().protocol_version, "2025-06-18");
  }
}

TEST_F(HandshakeTest, AServerOfAnotherModernRevisionIsRefusedByName) {
  std::string id = handshake_.Start(&next_id_)[0].id;
  handshake_.OnResponse(Error(id, -32022, R"({"supported":["2031-01-01"],"requested":"2026-07-28"})"), &next_id_);
  EXPECT_EQ(handshake_.phase(), Phase::kFailed);
  EXPECT_NE(handshake_.failure().find("2031-01-01"), std::string::npos);
}

TEST_F(HandshakeTest, AModernServerThatAlsoSpeaksLegacyGetsInitialize) {
  std::string id = handshake_.Start(&next_id_)[0].id;
  std::vector<Outgoing> sent =
      handshake_.OnResponse(Error(id, -32022, R"({"supported":["2031-01-01","2025-11-25"]})"), &next_id_);
  ASSERT_EQ(sent.size(), 1u);
  EXPECT_EQ(sent[0].method, "initialize");
}

TEST_F(HandshakeTest, InitializeIsNeverSentTwice) {
  std::string discover = handshake_.Start(&next_id_)[0].id;
  std::string initialize = handshake_.OnNoDiscoverAnswer(&next_id_)[0].id;
  EXPECT_TRUE(handshake_.OnNoDiscoverAnswer(&next_id_).empty());
  EXPECT_TRUE(handshake_.OnResponse(Error(discover, -32601), &next_id_).empty());  // late
  EXPECT_TRUE(handshake_.Start(&next_id_).empty());
  EXPECT_EQ(handshake_.OnResponse(Result(initialize, kLegacyAnswer), &next_id_).size(), 1u);
  EXPECT_TRUE(handshake_.OnResponse(Result(initialize, kLegacyAnswer), &next_id_).empty());
}

TEST_F(HandshakeTest, ALateModernAnswerCountsOnlyWhenInitializeIsRefused) {
  for (bool refused : {true, false}) {
    Handshake handshake({"mcpfleet", "1"}, Era::kUnknown);
    std::string discover = handshake.Start(&next_id_)[0].id;
    std::string initialize = handshake.OnNoDiscoverAnswer(&next_id_)[0].id;
    handshake.OnResponse(Result(discover, kModernAnswer), &next_id_);
    EXPECT_EQ(handshake.phase(), Phase::kInitializing);
    handshake.OnResponse(refused ? Error(initialize, -32601) : Result(initialize, kLegacyAnswer), &next_id_);
    EXPECT_EQ(handshake.phase(), Phase::kReady);
    EXPECT_EQ(handshake.peer().era, refused ? Era::kModern : Era::kLegacy);
  }
}

TEST_F(HandshakeTest, AKnownLegacyRevisionIsInitializedAtOnce) {
  Handshake handshake({"mcpfleet", "1"}, Era::kLegacy);
  EXPECT_EQ(handshake.Start(&next_id_)[0].method, "initialize");
}

TEST_F(HandshakeTest, ANoteBringsBackEveryPhase) {
  auto copy = [&] { return *Handshake::FromNote({"mcpfleet", "1"}, *ParseJson(DumpJson(handshake_.ToNote()))); };
  EXPECT_EQ(copy().phase(), Phase::kNew);
  std::string discover = handshake_.Start(&next_id_)[0].id;
  EXPECT_EQ(copy().phase(), Phase::kDiscovering);
  std::string initialize = handshake_.OnResponse(Error(discover, -32601), &next_id_)[0].id;
  Handshake waiting = copy();
  EXPECT_EQ(waiting.phase(), Phase::kInitializing);
  EXPECT_TRUE(waiting.Start(&next_id_).empty());
  handshake_.OnResponse(Result(initialize, kLegacyAnswer), &next_id_);
  EXPECT_EQ(copy().peer().name, "l");
  EXPECT_EQ(copy().Owed().size(), 1u);  // notifications/initialized may not have left
  handshake_.OnAnnounced();
  EXPECT_TRUE(copy().Owed().empty());
}

TEST(SessionTest, IdsRiseOverRestartsAndANoteOfSomebodyElseIsIgnored) {
  Session first({"mcpfleet", "1"}, Era::kLegacy, "");
  std::string initialize = first.Begin()[0].id;
  first.OnLine(SerializeResult(initialize, Json::parse(kLegacyAnswer)));
  std::string note = first.ToNote();
  std::string last;
  for (int i = 0; i < 900; ++i) {
    last = first.Call("ping", nullptr)->id;
    first.Cancel(last, "test");
  }
  EXPECT_EQ(first.ToNote(), note);  // not saved for each call
  Session second({"mcpfleet", "1"}, Era::kUnknown, note);
  EXPECT_EQ(second.handshake().phase(), Phase::kReady);
  EXPECT_GT(std::stoull(second.Call("ping", nullptr)->id), std::stoull(last));
  for (const char* foreign :
       {"x", "{}", R"({"format":1})", R"({"format":2,"nextId":5,"handshake":{"phase":"ready"}})"}) {
    EXPECT_EQ(Session({"mcpfleet", "1"}, Era::kUnknown, foreign).handshake().phase(), Phase::kNew);
  }
}

TEST(SessionTest, TheNoteFitsBesideAChildWhateverTheServerSays) {
  Session session({"mcpfleet", "1"}, Era::kLegacy, "");
  std::string id = session.Begin()[0].id;
  Json result = {{"protocolVersion", "2025-11-25"},
                 {"capabilities", Json::object()},
                 {"serverInfo", {{"name", std::string(200000, '\x01')}, {"version", std::string(200000, 'v')}}}};
  for (int i = 0; i < 5000; ++i) result["capabilities"][std::to_string(i) + std::string(500, '"')] = Json::object();
  session.OnLine(SerializeResult(id, result));
  EXPECT_EQ(session.handshake().phase(), Phase::kReady);
  EXPECT_LT(session.ToNote().size(), size_t{48} << 10);
}

}  // namespace
}  // namespace mcpfleet::mcp
