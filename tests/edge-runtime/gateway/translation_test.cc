#include "edge-runtime/gateway/translation.h"

#include "tests/edge-runtime/gateway/fakes.h"

namespace mcpfleet::gateway {
namespace {

using namespace test;

const char kVersionKey[] = "io.modelcontextprotocol/protocolVersion";
const char kCapabilitiesKey[] = "io.modelcontextprotocol/clientCapabilities";
const char kServerInfoKey[] = "io.modelcontextprotocol/serverInfo";

Json Stripped(const std::string& text) {
  const Incoming message = Parsed(text);
  const std::string out = mcp::ApplyEdits(message.text, StripModernMeta(message.text, message.envelope));
  EXPECT_TRUE(Json::accept(out)) << out;
  return Json::parse(out, nullptr, false);
}
Json ModernAnswer(const std::string& text, const std::string& method = "tools/call",
                  const std::string& info = R"({"name":"s"})", const std::string& id = "\"c\"") {
  StatusOr<mcp::Envelope> envelope = mcp::ReadEnvelope(text, mcp::Validation::kEnvelope);
  EXPECT_TRUE(envelope.ok()) << text;
  const std::string out = ToModernAnswer({text, *envelope}, method, info, id);
  EXPECT_TRUE(Json::accept(out)) << out;
  EXPECT_TRUE(mcp::ReadEnvelope(out, mcp::Validation::kWhole).ok()) << out;
  return Json::parse(out, nullptr, false);
}
Json WithMeta(const std::string& text, const std::string& level = "") {
  const Incoming message = Parsed(text);
  const std::string out = mcp::ApplyEdits(message.text, AddModernMeta(message.text, message.envelope, R"({"roots":{}})",
                                                                      R"({"name":"c","version":"1"})", level));
  EXPECT_TRUE(Json::accept(out)) << out;
  return Json::parse(out, nullptr, false);
}

// ---- reading

TEST(TranslationTest, WhatAModernRequestSaysOfItselfIsRead) {
  const Incoming message = Parsed(
      R"({"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"_meta":{)"
      R"("io.modelcontextprotocol/logLevel":"debug","io.modelcontextprotocol/protocolVersion":"2026\u002d07-28",)"
      R"("io.modelcontextprotocol/clientInfo":{"name":"c"},"io.modelcontextprotocol/clientCapabilities":{ }}}})");
  const ModernMeta meta = ReadModernMeta(message.text, message.envelope);
  EXPECT_EQ(meta.version, "2026-07-28");
  EXPECT_EQ(meta.capabilities, "{ }");
  EXPECT_EQ(meta.client_info, R"({"name":"c"})");
  EXPECT_EQ(meta.log_level, "\"debug\"");
  const Incoming none = Parsed(R"({"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"_meta":[1]}})");
  EXPECT_EQ(ReadModernMeta(none.text, none.envelope).version, "");
}

TEST(TranslationTest, ACapabilityIsDeclaredUnlessItIsAbsentOrNull) {
  EXPECT_TRUE(Declares(R"({"sampling":{}})", "sampling"));
  EXPECT_FALSE(Declares(R"({"sampling":null})", "sampling"));
  EXPECT_FALSE(Declares(R"({"experimental":{"sampling":{}}})", "sampling"));
  EXPECT_FALSE(Declares("", "sampling"));
}

TEST(TranslationTest, WhatTheModernEraTookAwayIsKnown) {
  for (const char* gone : {"initialize", "ping", "logging/setLevel", "resources/subscribe", "resources/unsubscribe",
                           "tasks/list", "tasks/result"})
    EXPECT_TRUE(IsRemovedInModern(gone)) << gone;
  for (const char* there : {"tools/list", "tools/call", "server/discover", "subscriptions/listen", "prompts/get",
                            "completion/complete", "resources/read"})
    EXPECT_FALSE(IsRemovedInModern(there)) << there;
  for (const char* method : {"server/discover", "tools/list", "prompts/list", "resources/list",
                             "resources/templates/list", "resources/read"})
    EXPECT_TRUE(IsCacheable(method)) << method;
  EXPECT_FALSE(IsCacheable("tools/call"));
}

// ---- a modern client before a legacy server

TEST(TranslationTest, ModernMembersOfMetaAreTakenOutAndTheOthersStay) {
  const std::string v = std::string("\"") + kVersionKey + "\":\"2026-07-28\"";
  const std::string c = std::string("\"") + kCapabilitiesKey + "\":{\"a\":{\"b\":\",}\"}}";
  const std::string head = R"({"jsonrpc":"2.0","id":1,"method":"m","params":{"x":1,"_meta":{)";
  for (const std::string& members : {v + "," + c + R"(,"progressToken":1,"traceparent":"t")",
                                     R"("progressToken":1,"traceparent":"t",)" + v + "," + c,
                                     v + R"(,"progressToken":1,)" + c + R"(,"traceparent":"t")",
                                     R"("progressToken":1,)" + v + "," + c + R"(,"traceparent":"t")",
                                     " \"progressToken\" : 1 , " + v + " ,\"traceparent\":\"t\" , " + c + " "}) {
    const Json out = Stripped(head + members + "}}}");
    EXPECT_EQ(out["params"], Json({{"x", 1}, {"_meta", {{"progressToken", 1}, {"traceparent", "t"}}}})) << members;
  }
  EXPECT_EQ(Stripped(head + v + "," + c + "}}}")["params"], Json({{"x", 1}, {"_meta", Json::object()}}));
  EXPECT_EQ(Stripped(head + "}}}")["params"], Json({{"x", 1}, {"_meta", Json::object()}}));
  EXPECT_EQ(Stripped(R"({"jsonrpc":"2.0","id":1,"method":"m"})"),
            Json::parse(R"({"jsonrpc":"2.0","id":1,"method":"m"})"));
}

TEST(TranslationTest, AMetaThatIsNoObjectIsLeftAlone) {
  EXPECT_EQ(Stripped(R"({"jsonrpc":"2.0","id":1,"method":"m","params":{"_meta":7}})")["params"]["_meta"], 7);
  EXPECT_EQ(Stripped(R"({"jsonrpc":"2.0","id":1,"method":"m","params":[1]})")["params"], Json({1}));
}

TEST(TranslationTest, ALegacyResultGetsWhatTheModernEraDemands) {
  const Json call = ModernAnswer(R"({"jsonrpc":"2.0","id":7,"result":{"content":[]}})");
  EXPECT_EQ(call, Json::parse(R"({"jsonrpc":"2.0","id":"c","result":{"content":[],"resultType":"complete",)"
                              R"("_meta":{"io.modelcontextprotocol/serverInfo":{"name":"s"}}}})"));
  const Json list = ModernAnswer(R"({"jsonrpc":"2.0","id":7,"result":{}})", "tools/list");
  EXPECT_EQ(list["result"]["ttlMs"], 0);
  EXPECT_EQ(list["result"]["cacheScope"], "private");
  // What is there already stays.
  const Json kept = ModernAnswer(
      R"({"jsonrpc":"2.0","id":7,"result":{"resultType":"complete","ttlMs":5,"cacheScope":"public","_meta":{"a":1}}})",
      "resources/read");
  EXPECT_EQ(kept["result"]["ttlMs"], 5);
  EXPECT_EQ(kept["result"]["cacheScope"], "public");
  EXPECT_EQ(kept["result"]["_meta"], Json({{"a", 1}, {kServerInfoKey, {{"name", "s"}}}}));
  EXPECT_FALSE(ModernAnswer(R"({"jsonrpc":"2.0","id":7,"result":{}})", "tools/call", "")["result"].contains("_meta"));
}

TEST(TranslationTest, OddResultsStayValidJson) {
  for (const char* result : {"null", "7", "\"x\"", "[1]", "{}", "{ }", R"({"_meta":null})", R"({"_meta":"x"})",
                             R"({"_meta":[]})", R"({"_meta":{}})", R"({"_meta":{ }})"}) {
    const std::string text = std::string(R"({"jsonrpc":"2.0","id":7,"result":)") + result + "}";
    EXPECT_EQ(ModernAnswer(text, "tools/list")["id"], "c") << result;
  }
}

TEST(TranslationTest, ErrorCodesThatMustNotBeEmittedBecomeInvalidParams) {
  for (const char* code : {"-32002", "-32042"}) {
    const Json out =
        ModernAnswer(std::string(R"({"jsonrpc":"2.0","id":7,"error":{"message":"gone","code":)") + code + "}}");
    EXPECT_EQ(CodeOf(out), -32602);
    EXPECT_EQ(out["error"]["message"], "gone");
    EXPECT_EQ(out["id"], "c");
  }
  EXPECT_EQ(CodeOf(ModernAnswer(R"({"jsonrpc":"2.0","id":7,"error":{"code":-32601,"message":""}})")), -32601);
}

TEST(TranslationTest, DiscoverIsAnsweredFromTheHandshake) {
  const Json out = Json::parse(DiscoverResult(Json::parse(
      R"({"protocolVersion":"2025-06-18","capabilities":{"tools":{"listChanged":true},"tasks":{},"experimental":{}},)"
      R"("serverInfo":{"name":"s","version":"2"},"instructions":"be nice"})")));
  EXPECT_EQ(out["resultType"], "complete");
  EXPECT_EQ(out["supportedVersions"][0], "2026-07-28");
  EXPECT_EQ(out["capabilities"], Json({{"tools", {{"listChanged", true}}}})) << "tasks are not the same in both eras";
  EXPECT_EQ(out["instructions"], "be nice");
  EXPECT_EQ(out["_meta"][kServerInfoKey]["version"], "2");
  EXPECT_EQ(out["ttlMs"], 0);
  EXPECT_EQ(out["cacheScope"], "private");
  EXPECT_EQ(Json::parse(DiscoverResult(nullptr))["capabilities"], Json::object());
}

// ---- a legacy client before a modern server

TEST(TranslationTest, ALegacyRequestGetsWhatTheModernEraDemands) {
  const Json expected = {{kVersionKey, "2026-07-28"},
                         {kCapabilitiesKey, {{"roots", Json::object()}}},
                         {"io.modelcontextprotocol/clientInfo", {{"name", "c"}, {"version", "1"}}}};
  for (const char* text :
       {R"({"jsonrpc":"2.0","id":1,"method":"m"})", R"({"jsonrpc":"2.0","id":1,"method":"m","params":{}})",
        R"({"jsonrpc":"2.0","id":1,"method":"m","params":[]})",
        R"({"jsonrpc":"2.0","id":1,"method":"m","params":{"_meta":{}}})",
        R"({"jsonrpc":"2.0","id":1,"method":"m","params":{"_meta":null}})"}) {
    EXPECT_EQ(WithMeta(text)["params"]["_meta"], expected) << text;
  }
  const Json more = WithMeta(
      R"({"jsonrpc":"2.0","id":1,"method":"m","params":{"name":"n","_meta":{"progressToken":3}}})", "\"info\"");
  EXPECT_EQ(more["params"]["name"], "n");
  EXPECT_EQ(more["params"]["_meta"]["progressToken"], 3);
  EXPECT_EQ(more["params"]["_meta"]["io.modelcontextprotocol/logLevel"], "info");
}

TEST(TranslationTest, InitializeIsAnsweredFromDiscover) {
  const Json discovered = Json::parse(
      R"({"supportedVersions":["2026-07-28"],"capabilities":{"tools":{},"extensions":{}},"instructions":"hm",)"
      R"("_meta":{"io.modelcontextprotocol/serverInfo":{"name":"s","version":"2"}}})");
  const Json out = Json::parse(InitializeResult(discovered, "2025-03-26"));
  EXPECT_EQ(out["protocolVersion"], "2025-03-26");
  EXPECT_EQ(out["capabilities"], Json({{"tools", Json::object()}}));
  EXPECT_EQ(out["serverInfo"]["name"], "s");
  EXPECT_EQ(out["instructions"], "hm");
  EXPECT_EQ(Json::parse(InitializeResult(discovered, "1999-01-01"))["protocolVersion"], "2025-11-25");
  EXPECT_TRUE(Json::parse(InitializeResult(nullptr, ""))["serverInfo"].is_object());
}

}  // namespace
}  // namespace mcpfleet::gateway
