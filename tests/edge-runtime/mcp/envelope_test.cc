#include "edge-runtime/mcp/envelope.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/json.h"
#include "edge-runtime/mcp/json_scan.h"

namespace mcpfleet::mcp {
namespace {

StatusOr<Envelope> Read(std::string_view text, Validation validation = Validation::kWhole) {
  return ReadEnvelope(text, validation);
}
bool Refuses(std::string_view text, Validation validation = Validation::kWhole) {
  return Read(text, validation).status().code() == StatusCode::kInvalidArgument;
}
std::string Nested(int depth) { return std::string(depth, '[') + std::string(depth, ']'); }
// A call with `bytes` of text in it; the id comes last.
std::string Long(size_t bytes, const std::string& more = "") {
  return R"({"jsonrpc":"2.0","method":"tools/call","params":{"name":"echo","arguments":{"text":")" +
         std::string(bytes, 'x') + R"("}})" + more + R"(,"id":"last"})";
}
Span All(std::string_view text) { return {0, text.size()}; }

// ---- ReadEnvelope

TEST(EnvelopeTest, TheKindsOfMessagesAreToldApart) {
  EXPECT_EQ(Read(R"({"jsonrpc":"2.0","id":1,"method":"ping"})")->kind, MessageKind::kRequest);
  EXPECT_EQ(Read(R"({"jsonrpc":"2.0","method":"notifications/x"})")->kind, MessageKind::kNotification);
  EXPECT_EQ(Read(R"({"jsonrpc":"2.0","id":1,"result":{}})")->kind, MessageKind::kResult);
  EXPECT_EQ(Read(R"({"jsonrpc":"2.0","id":1,"result":null})")->kind, MessageKind::kResult);
  EXPECT_EQ(Read(R"({"jsonrpc":"2.0","id":1,"error":{"code":1,"message":""}})")->kind, MessageKind::kError);
  EXPECT_EQ(Read(R"({"jsonrpc":"2.0","id":null,"error":{}})")->kind, MessageKind::kError);
  EXPECT_EQ(Read(R"({"jsonrpc":"2.0","error":{}})")->kind, MessageKind::kError);
}

TEST(EnvelopeTest, SpansAreTheValuesWithoutTheSpaceAroundThem) {
  const std::string text =
      " {\n\t\"result\" : null ,\"params\" :  { \"a\" : [1, {\"}\":\"]\"}] } , \"method\" : \"m\\u002fn\", "
      "\"jsonrpc\":\"2.0\",\"id\" : 1.0 \n}\r\n";
  const StatusOr<Envelope> envelope = Read(text);
  ASSERT_TRUE(envelope.ok()) << envelope.status();
  EXPECT_EQ(envelope->kind, MessageKind::kRequest);
  EXPECT_EQ(envelope->id.In(text), "1.0");
  EXPECT_EQ(envelope->method, "m/n");
  EXPECT_EQ(envelope->params.In(text), R"({ "a" : [1, {"}":"]"}] })");
}

TEST(EnvelopeTest, IdsStayTheTokensThatTheyWere) {
  for (const char* id : {"1", "1.0", "1e0", "-7", "0", "18446744073709551616", "\"1\"", "\"\"", "\"\\u0031\"",
                         "\"\\\"}\"", "\"\xc3\xa9\""}) {
    const std::string text = std::string(R"({"id":)") + id + R"(,"jsonrpc":"2.0","method":"ping"})";
    const StatusOr<Envelope> envelope = Read(text);
    ASSERT_TRUE(envelope.ok()) << id << ": " << envelope.status();
    EXPECT_EQ(envelope->id.In(text), id);
  }
  for (const char* id : {"null", "true", "{}", "[1]"}) {
    EXPECT_TRUE(Refuses(std::string(R"({"jsonrpc":"2.0","method":"ping","id":)") + id + "}")) << id;
  }
  EXPECT_TRUE(Read(R"({"jsonrpc":"2.0","method":"ping","id":")" + std::string(254, 'i') + "\"}").ok());
  EXPECT_TRUE(Refuses(R"({"jsonrpc":"2.0","method":"ping","id":")" + std::string(255, 'i') + "\"}"));
}

TEST(EnvelopeTest, WhatIsNoMessageIsRefused) {
  for (const char* text : {"",
                           " ",
                           "null",
                           "1",
                           "\"x\"",
                           "[]",
                           "{}",
                           "{",
                           "}",
                           "{]",
                           R"({"jsonrpc":"2.0"})",
                           R"({"jsonrpc":"1.0","id":1,"method":"ping"})",
                           R"({"jsonrpc":2.0,"id":1,"method":"ping"})",
                           R"({"id":1,"method":"ping"})",
                           R"({"jsonrpc":"2.0","id":1,"method":7})",
                           R"({"jsonrpc":"2.0","id":1,"method":""})",
                           R"({"jsonrpc":"2.0","id":1,"method":"ping","params":1})",
                           R"({"jsonrpc":"2.0","id":1,"method":"ping","params":null})",
                           R"({"jsonrpc":"2.0","id":1})",
                           R"({"jsonrpc":"2.0","id":1,"result":{},"error":{}})",
                           R"({"jsonrpc":"2.0","id":1,"error":"x"})",
                           R"({"jsonrpc":"2.0","result":{}})",
                           R"({"jsonrpc":"2.0","id":null,"result":{}})",
                           R"({"jsonrpc":"2.0","id":1,"method":"ping"}{})",
                           R"({"jsonrpc":"2.0","id":1,"method":"ping"},)",
                           R"({"jsonrpc":"2.0","id":1,"method":"ping",})",
                           R"({"jsonrpc":"2.0","id":01,"method":"ping"})",
                           "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"pi\nng\"}",
                           R"({'jsonrpc':"2.0","id":1,"method":"ping"})",
                           "\xef\xbb\xbf{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}"}) {
    EXPECT_TRUE(Refuses(text)) << text;
    EXPECT_TRUE(Refuses(text, Validation::kEnvelope)) << text;
  }
}

TEST(EnvelopeTest, AMemberThatStandsThereTwiceIsRefusedHoweverItIsSpelt) {
  EXPECT_TRUE(Refuses(R"({"jsonrpc":"2.0","id":1,"id":2,"method":"ping"})"));
  EXPECT_TRUE(Refuses(R"({"jsonrpc":"2.0","id":1,"\u0069d":2,"method":"ping"})"));
  EXPECT_TRUE(Refuses(R"({"jsonrpc":"2.0","id":1,"method":"a","m\u0065thod":"b"})"));
  EXPECT_TRUE(Refuses(R"({"jsonrpc":"2.0","id":1,"method":"a","params":{},"params":{}})"));
  EXPECT_TRUE(Read(R"({"jsonrpc":"2.0","id":1,"method":"a","x":1,"x":2})").ok()) << "not one of ours";
}

// What is checked must be what the server reads, and servers take the last of two.
TEST(EnvelopeTest, AClientsParamsAndMetaHaveEachMemberOnce) {
  EXPECT_TRUE(Refuses(R"({"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"good","name":"bad"}})"));
  EXPECT_TRUE(Refuses(R"({"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"good","n\u0061me":"bad"}})"));
  EXPECT_TRUE(Refuses(
      R"({"jsonrpc":"2.0","id":1,"method":"m","params":{"_meta":{"progressToken":1,"a":0,"progressToken":2}}})"));
  EXPECT_TRUE(Read(R"({"jsonrpc":"2.0","id":1,"method":"m","params":{"_meta":{"a":1},"a":{"x":1,"x":2}}})").ok());
  // A server's are its own business.
  EXPECT_TRUE(Read(R"({"jsonrpc":"2.0","method":"m","params":{"a":1,"a":2}})", Validation::kEnvelope).ok());
}

TEST(EnvelopeTest, InvalidUtf8IsRefusedInTextsOfEveryLength) {
  for (size_t bytes : {size_t{10}, size_t{100} << 10, size_t{2} << 20}) {
    for (const char* bad : {"\xff", "\xc3", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xc0\xaf"}) {
      std::string text = Long(bytes);
      EXPECT_TRUE(Read(text).ok()) << bytes;
      text.insert(text.find("xx"), bad);
      EXPECT_TRUE(Refuses(text)) << bytes;
      EXPECT_TRUE(Refuses(text, Validation::kEnvelope)) << bytes;
    }
  }
}

TEST(EnvelopeTest, DepthIsBounded) {
  const auto with = [](int depth) {
    return R"({"jsonrpc":"2.0","id":1,"method":"m","params":{"a":)" + Nested(depth) + "}}";
  };
  EXPECT_TRUE(Read(with(60)).ok());
  EXPECT_TRUE(Refuses(with(64)));
  EXPECT_TRUE(Refuses(with(100'000)));
  // Also in a text that is not read as a tree.
  EXPECT_TRUE(Refuses(with(1'000'000))) << "a client's bomb is refused at any size";
  EXPECT_TRUE(Read(with(60)).ok()) << "the parser is good for the next one";
}

TEST(EnvelopeTest, LongTextsAreReadToTheirEnd) {
  for (size_t bytes : {size_t{63} << 10, size_t{64} << 10, size_t{65} << 10, size_t{1} << 20, size_t{5} << 20}) {
    const std::string text = Long(bytes);
    for (Validation validation : {Validation::kWhole, Validation::kEnvelope}) {
      const StatusOr<Envelope> envelope = Read(text, validation);
      ASSERT_TRUE(envelope.ok()) << bytes << envelope.status();
      EXPECT_EQ(envelope->id.In(text), "\"last\"");
      EXPECT_EQ(envelope->method, "tools/call");
    }
    EXPECT_TRUE(Refuses(text.substr(0, text.size() - 1))) << bytes;
    EXPECT_TRUE(Refuses(text.substr(0, text.size() - 1), Validation::kEnvelope)) << bytes;
    EXPECT_TRUE(Refuses(Long(bytes, R"(,"broken":tru)"))) << "a client's text is validated whole, " << bytes;
    EXPECT_TRUE(Refuses(text + text));
  }
}

// ---- batches

TEST(EnvelopeTest, ABatchIsSplitIntoItsElements) {
  EXPECT_TRUE(IsBatch(" [1]"));
  EXPECT_FALSE(IsBatch("{}"));
  EXPECT_FALSE(IsBatch(""));
  const std::string text = "[ {\"a\":\"]\"} ,\n2,[3,4] ]";
  const auto parts = SplitBatch(text, 3);
  ASSERT_TRUE(parts.ok());
  EXPECT_EQ(*parts, (std::vector<std::string_view>{R"({"a":"]"})", "2", "[3,4]"}));
  EXPECT_EQ(SplitBatch(text, 2).status().code(), StatusCode::kResourceExhausted);
  EXPECT_EQ(SplitBatch(" [ ]", 10).status().code(), StatusCode::kFailedPrecondition) << "JSON, but no batch";
  for (const char* bad : {"[", "[1,]", "[1]2", "{}", "[\xff]"}) {
    EXPECT_EQ(SplitBatch(bad, 10).status().code(), StatusCode::kInvalidArgument) << bad;
  }
  EXPECT_FALSE(SplitBatch("[\"" + std::string(size_t{2} << 20, 'x') + "\"]", 10).ok());
}

// ---- members

TEST(EnvelopeTest, MembersAreFoundByTheirDecodedNamesAtTheirOwnLevelOnly) {
  const std::string text = R"(  {"x":{"name":"inner"}, "n\u0061me" : "outer","empty":"" , "\"q\"":1})";
  const Span object{2, text.size() - 2};
  EXPECT_EQ(FindMember(text, object, "name").In(text), "\"outer\"");
  EXPECT_EQ(FindMember(text, object, "empty").In(text), "\"\"");
  EXPECT_EQ(FindMember(text, object, "\"q\"").In(text), "1");
  EXPECT_FALSE(FindMember(text, object, "inner"));
  Span x, absent;
  FindMembers(text, object, {{"absent", &absent}, {"x", &x}});
  EXPECT_EQ(x.In(text), R"({"name":"inner"})");
  EXPECT_FALSE(absent);
  std::string names;
  for (const auto& [name, place] : MembersOf(text, object)) names += name + "=" + std::string(place.In(text)) + ";";
  EXPECT_EQ(names, R"(x={"name":"inner"};name="outer";empty="";"q"=1;)");
}

TEST(EnvelopeTest, WhatIsNoObjectHasNoMembers) {
  for (const std::string text : {"", "[]", "null", "\"name\"", "7", "{}", "{ }"}) {
    EXPECT_FALSE(FindMember(text, All(text), "name")) << text;
    EXPECT_TRUE(MembersOf(text, All(text)).empty()) << text;
  }
  EXPECT_FALSE(FindMember("{\"name\":1}", Span{}, "name"));
}

TEST(EnvelopeTest, StringsAreUnquotedAndQuoted) {
  EXPECT_EQ(Unquote(R"("a\"\\\/\n\u00e9\ud83d\ude00")"), "a\"\\/\n\xc3\xa9\xf0\x9f\x98\x80");
  for (const char* other : {"", "\"", "1", "null", "{}", "[\"a\"]", R"("\x")"}) EXPECT_EQ(Unquote(other), "") << other;
  EXPECT_EQ(Unquote(Quote("a\"b\n\x01")), "a\"b\n\x01");
}

// ---- edits

TEST(EnvelopeTest, EditsAreMadeInAnyOrder) {
  const std::string text = R"({"id":1,"params":{"_meta":{"progressToken":"t"}}})";
  const Span params = FindMember(text, All(text), "params"), meta = FindMember(text, params, "_meta");
  const Span token = FindMember(text, meta, "progressToken"), id = FindMember(text, All(text), "id");
  EXPECT_EQ(ApplyEdits(text, {{token, "77"}, {id, "\"longer\""}, AddMembers(text, meta, R"("a":0)")}),
            R"({"id":"longer","params":{"_meta":{"a":0,"progressToken":77}}})");
  EXPECT_EQ(ApplyEdits(text, {}), text);
  EXPECT_EQ(ApplyEdits(text, {{{text.size(), 0}, "!"}, {{0, 0}, "?"}}), "?" + text + "!");
}

TEST(EnvelopeTest, MembersAreAddedToEmptyAndFullObjects) {
  const auto add = [](const std::string& text, const std::string& members) {
    return ApplyEdits(text, {AddMembers(text, All(text), members)});
  };
  EXPECT_EQ(add("{}", R"("a":1)"), R"({"a":1})");
  EXPECT_TRUE(Json::accept(add("{ \n }", R"("a":1)")));
  EXPECT_EQ(add(R"({"b":2})", R"("a":1,"c":3)"), R"({"a":1,"c":3,"b":2})");
  EXPECT_EQ(Json::parse(add(" { \"b\":2}", R"("a":1)")), Json({{"a", 1}, {"b", 2}}));
  EXPECT_EQ(add(R"({"b":2})", ""), R"({"b":2})");
  EXPECT_EQ(add("{}", ""), "{}");
  const std::string quoted = ApplyEdits("{}", {AddMember("{}", {0, 2}, "a\"b", "[]")});
  EXPECT_EQ(Json::parse(quoted), Json({{"a\"b", Json::array()}}));
}

// ---- lines

TEST(EnvelopeTest, AMessageIsPutOnOneLine) {
  const std::string compact = R"({"a": "x  y", "b":[1, 2]})";
  EXPECT_EQ(OneLine(compact), compact) << "what is on one line stays as it is";
  EXPECT_EQ(OneLine("{\n  \"a\": \"x\\n  y\",\r\n\t\"b\": [1,\r 2]\n}\n"), "{\"a\":\"x\\n  y\",\"b\":[1,2]}");
  EXPECT_EQ(OneLine("\r"), OneLine("\n"));
  for (const std::string broken : {"not\njson", "{\"a\n\":1}", "\"open\n", "\n", "\r\n\r\n"}) {
    EXPECT_EQ(OneLine(broken).find_first_of("\r\n"), std::string::npos) << broken;
  }
  const std::string big = "{\"a\":\"" + std::string(300'000, 'y') + "\",\n\"b\":1}";
  EXPECT_EQ(Json::parse(OneLine(big)), Json::parse(big));
}

// ---- json_scan

TEST(EnvelopeTest, AScanNeverReadsPastTheEndOfNonsense) {
  for (const std::string text :
       {"\"", "\"\\", "{\"a", "{\"a\\\"", "[[[[", "]]]]", "\"\\\\\\\"", ",", ":", "{:}", "{,}"}) {
    JsonScan scan(text);
    for (int i = 0; i < 10; ++i) {
      const std::string_view value = scan.Value();
      EXPECT_LE(value.data() + value.size(), text.data() + text.size());
      scan.Take(',');
      scan.Take('{');
    }
    EXPECT_LE(scan.at(), text.size());
  }
  JsonScan scan(R"("ends in a backslash\\",2)");
  EXPECT_EQ(scan.Value(), R"("ends in a backslash\\")");
  EXPECT_TRUE(scan.Take(','));
  EXPECT_EQ(scan.Value(), "2");
  EXPECT_TRUE(scan.AtEnd());
}

}  // namespace
}  // namespace mcpfleet::mcp
