#include "edge-runtime/gateway/post_rules.h"

#include "tests/edge-runtime/gateway/fakes.h"

namespace mcpfleet::gateway {
namespace {

using namespace test;

using Fields = std::vector<std::pair<std::string, std::string>>;

http::Headers HeadersOf(const Fields& fields) {
  http::Headers headers;
  for (const auto& [name, value] : fields) headers.Add(name, value);
  return headers;
}
// Status and code: "400 -32020".
std::string Verdict(const std::optional<Rejection>& rejection) {
  if (!rejection) return "";
  const Json body = Json::parse(rejection->body, nullptr, false);
  EXPECT_TRUE(body.is_object() && body.contains("id") && body["jsonrpc"] == "2.0") << rejection->body;
  return std::to_string(rejection->status) + " " + std::to_string(CodeOf(body));
}
std::string MediaTypes(const Fields& fields) { return Verdict(CheckMediaTypes(HeadersOf(fields))); }

const Json kMeta = {{"io.modelcontextprotocol/protocolVersion", "2026-07-28"},
                    {"io.modelcontextprotocol/clientCapabilities", Json::object()}};
Json Call(const std::string& name, const Json& meta = kMeta) {
  return RequestOf("id1", "tools/call", {{"name", name}, {"_meta", meta}});
}
Fields Headers(const std::string& method = "tools/call", const std::string& name = "") {
  Fields fields = {{"mcp-protocol-version", "2026-07-28"}, {"MCP-METHOD", method}};
  if (!name.empty()) fields.emplace_back("Mcp-Name", name);
  return fields;
}
std::string Modern(const Fields& fields, const Json& message) {
  const Incoming incoming = Parsed(message);
  const auto rejection =
      CheckModernRequest(HeadersOf(fields), incoming, ReadModernMeta(incoming.text, incoming.envelope));
  if (rejection && incoming.envelope.id) {
    EXPECT_EQ(Json::parse(rejection->body)["id"], message["id"]) << "with the request's own id";
  }
  return Verdict(rejection);
}

TEST(PostRulesTest, AcceptMustListBothMediaTypes) {
  const std::pair<std::string, std::string> json = {"Content-Type", "application/json"};
  EXPECT_EQ(MediaTypes({json, {"Accept", "application/json, text/event-stream"}}), "");
  EXPECT_EQ(MediaTypes({json, {"accept", "TEXT/event-stream;q=0.5 ,Application/JSON;charset=utf-8"}}), "");
  EXPECT_EQ(MediaTypes({json, {"Accept", "application/json"}, {"Accept", "text/event-stream"}}), "");
  EXPECT_EQ(MediaTypes({json, {"Accept", "*/*"}}), "");
  EXPECT_EQ(MediaTypes({json, {"Accept", "application/*, text/*"}}), "");
  for (const char* accept : {"", "application/json", "text/event-stream", "application/jsonx, text/event-stream",
                             "text/html, image/*", "application/json text/event-stream", "*"})
    EXPECT_EQ(MediaTypes({json, {"Accept", accept}}), "406 -32000") << accept;
  EXPECT_EQ(MediaTypes({json}), "406 -32000");
}

TEST(PostRulesTest, ContentTypeMustBeJson) {
  const std::pair<std::string, std::string> both = {"Accept", "application/json, text/event-stream"};
  EXPECT_EQ(MediaTypes({both, {"Content-Type", "Application/Json ; charset=utf-8"}}), "");
  for (const char* type : {"", "text/plain", "application/jsonp", "text/json", "application/x-www-form-urlencoded"})
    EXPECT_EQ(MediaTypes({both, {"Content-Type", type}}), "415 -32000") << type;
  EXPECT_EQ(MediaTypes({both}), "415 -32000");
}

TEST(PostRulesTest, TheEraIsToldByMetaAndThenByTheVersionHeader) {
  const auto modern = [](const Fields& fields, const Json& message) {
    return IsModernRequest(HeadersOf(fields), Parsed(message));
  };
  const Json plain = RequestOf(1, "tools/list");
  EXPECT_TRUE(modern({}, Call("x")));
  EXPECT_TRUE(modern({{"MCP-Protocol-Version", "2025-06-18"}}, Call("x"))) << "_meta says more";
  EXPECT_FALSE(modern({}, plain));
  EXPECT_FALSE(modern({{"MCP-Protocol-Version", "2025-11-25"}}, plain));
  EXPECT_TRUE(modern({{"MCP-Protocol-Version", "2026-07-28"}}, plain));
  EXPECT_TRUE(modern({{"MCP-Protocol-Version", "2027-01-01"}}, plain));
  EXPECT_FALSE(modern({{"MCP-Protocol-Version", "2026-07-28"}}, RequestOf(1, "initialize")));
  EXPECT_TRUE(modern({}, RequestOf(1, "initialize", {{"_meta", kMeta}})));
  EXPECT_FALSE(modern({{"MCP-Protocol-Version", "2026-07-28"}}, ResultOf(1, 0))) << "only the legacy era POSTs answers";
  EXPECT_FALSE(modern({{"Mcp-Session-Id", "s"}}, plain));
}

TEST(PostRulesTest, ALegacyVersionHeaderIsOneOfTheRevisionsOrAbsent) {
  EXPECT_EQ(Verdict(CheckLegacyVersion(HeadersOf({}))), "");
  for (const char* version : {"2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"})
    EXPECT_EQ(Verdict(CheckLegacyVersion(HeadersOf({{"MCP-Protocol-Version", version}}))), "") << version;
  for (const char* version : {"", "1.0", "2025-06-19", "2026-07-28", "x\x01y\"", "\xff"})
    EXPECT_EQ(Verdict(CheckLegacyVersion(HeadersOf({{"MCP-Protocol-Version", version}}))), "400 -32000") << version;
}

TEST(PostRulesTest, ModernHeadersMustBeThereAndRepeatTheBody) {
  EXPECT_EQ(Modern(Headers("tools/call", "add"), Call("add")), "");
  EXPECT_EQ(Modern({{"Mcp-Method", "tools/call"}, {"Mcp-Name", "add"}}, Call("add")), "400 -32020");
  EXPECT_EQ(Modern({{"MCP-Protocol-Version", "2026-07-28"}, {"Mcp-Name", "add"}}, Call("add")), "400 -32020");
  EXPECT_EQ(Modern(Headers(), Call("add")), "400 -32020");
  EXPECT_EQ(Modern(Headers("tools/list", "add"), Call("add")), "400 -32020");
  EXPECT_EQ(Modern(Headers("Tools/Call", "add"), Call("add")), "400 -32020") << "values compare with case";
  EXPECT_EQ(Modern(Headers("tools/call", "Add"), Call("add")), "400 -32020");
  EXPECT_EQ(Modern(Headers(" tools/call ", "  add\t"), Call("add")), "") << "white space around a value is none of it";
  EXPECT_EQ(Modern({{"MCP-Protocol-Version", "2025-11-25"}, {"Mcp-Method", "tools/list"}},
                   RequestOf(1, "tools/list", {{"_meta", kMeta}})),
            "400 -32020");
}

TEST(PostRulesTest, TheNamingMemberDependsOnTheMethod) {
  const auto of = [](const std::string& method, const std::string& member) {
    return RequestOf(1, method, {{member, "v"}, {"_meta", kMeta}});
  };
  EXPECT_EQ(Modern(Headers("prompts/get", "v"), of("prompts/get", "name")), "");
  EXPECT_EQ(Modern(Headers("resources/read", "v"), of("resources/read", "uri")), "");
  EXPECT_EQ(Modern(Headers("tasks/get", "v"), of("tasks/get", "taskId")), "");
  EXPECT_EQ(Modern(Headers("resources/read", "w"), of("resources/read", "uri")), "400 -32020");
  EXPECT_EQ(Modern(Headers("resources/read"), of("resources/read", "uri")), "400 -32020");
  EXPECT_EQ(Modern(Headers("tools/list"), of("tools/list", "name")), "");
  // Without the member itself the server shall say what is wrong; a name for nothing is a lie.
  EXPECT_EQ(Modern(Headers("tools/call"), of("tools/call", "x")), "");
  EXPECT_EQ(Modern(Headers("tools/call", "add"), of("tools/call", "x")), "400 -32020");
}

TEST(PostRulesTest, ANameMayBeEncoded) {
  EXPECT_EQ(Modern(Headers("tools/call", "=?base64?w6k=?="), Call("\xc3\xa9")), "");
  EXPECT_EQ(Modern(Headers("tools/call", "=?base64?YWRk?="), Call("add")), "");
  EXPECT_EQ(Modern(Headers("tools/call", "=?BASE64?YWRk?="), Call("add")), "400 -32020") << "the marks have a case";
  EXPECT_EQ(Modern(Headers("tools/call", "=?base64?%%%?="), Call("add")), "400 -32020");
  EXPECT_EQ(Modern(Headers("tools/call", "\xc3\xa9"), Call("\xc3\xa9")), "400 -32020") << "not in a header as it is";
  EXPECT_EQ(DecodeHeaderValue("  plain text\t"), "plain text");
  EXPECT_EQ(DecodeHeaderValue("=?base64?"
                              "?="),
            "");
  EXPECT_EQ(DecodeHeaderValue("=?base64?"), "=?base64?");
  EXPECT_EQ(DecodeHeaderValue("=?base64?="), "=?base64?=");
  for (const char* bad : {"a\x01", "a\x7f", "\xff", "=?base64?gICA?=", "=?base64?YWR?=", "=?base64?YW Rk?="})
    EXPECT_EQ(DecodeHeaderValue(bad), std::nullopt) << bad;
}

TEST(PostRulesTest, MetaMustNameTheVersionAndTheCapabilities) {
  const Fields headers = Headers("tools/list");
  const auto list = [](const Json& meta) { return RequestOf(1, "tools/list", {{"_meta", meta}}); };
  EXPECT_EQ(Modern(headers, RequestOf(1, "tools/list")), "400 -32602");
  EXPECT_EQ(Modern(headers, list({{"io.modelcontextprotocol/protocolVersion", "2026-07-28"}})), "400 -32602");
  EXPECT_EQ(Modern(headers, list({{"io.modelcontextprotocol/clientCapabilities", Json::object()}})), "400 -32602");
  EXPECT_EQ(Modern(headers, list({{"io.modelcontextprotocol/protocolVersion", 7},
                                  {"io.modelcontextprotocol/clientCapabilities", Json::object()}})),
            "400 -32602");
  EXPECT_EQ(Modern(headers, list({{"io.modelcontextprotocol/protocolVersion", "2026-07-28"},
                                  {"io.modelcontextprotocol/clientCapabilities", "all"}})),
            "400 -32602");
  EXPECT_EQ(Modern(headers, list(kMeta)), "") << "clientInfo may be absent";
}

TEST(PostRulesTest, AVersionThatIsNotSpokenIsAnsweredWithThoseThatAre) {
  Json meta = kMeta;
  meta["io.modelcontextprotocol/protocolVersion"] = "2031-01-01\"";
  const Incoming message = Parsed(RequestOf(1, "tools/list", {{"_meta", meta}}));
  const auto rejection =
      CheckModernRequest(HeadersOf({{"MCP-Protocol-Version", "2031-01-01\""}, {"Mcp-Method", "tools/list"}}), message,
                         ReadModernMeta(message.text, message.envelope));
  EXPECT_EQ(Verdict(rejection), "400 -32022");
  const Json data = Json::parse(rejection->body)["error"]["data"];
  EXPECT_EQ(data["requested"], "2031-01-01\"");
  EXPECT_EQ(data["supported"][0], "2026-07-28");
}

TEST(PostRulesTest, MethodsOfTheLegacyEraAreNotFound) {
  for (const char* method :
       {"initialize", "ping", "logging/setLevel", "resources/subscribe", "resources/unsubscribe"}) {
    EXPECT_EQ(Modern(Headers(method), RequestOf("x", method, {{"uri", "u"}, {"_meta", kMeta}})), "404 -32601")
        << method;
  }
}

TEST(PostRulesTest, HeadersComeBeforeMetaAndMetaBeforeTheVersion) {
  EXPECT_EQ(Modern({{"MCP-Protocol-Version", "2026-07-28"}}, RequestOf(1, "tools/list")), "400 -32020");
  Json meta = {{"io.modelcontextprotocol/protocolVersion", "2031-01-01"}};
  EXPECT_EQ(
      Modern({{"MCP-Protocol-Version", "2031-01-01"}, {"Mcp-Method", "ping"}}, RequestOf(1, "ping", {{"_meta", meta}})),
      "400 -32022");
}

}  // namespace
}  // namespace mcpfleet::gateway
