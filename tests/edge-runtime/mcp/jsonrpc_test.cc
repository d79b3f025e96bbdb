#include "edge-runtime/mcp/jsonrpc.h"

#include <gtest/gtest.h>

namespace mcpfleet::mcp {
namespace {

TEST(JsonRpcTest, IdsKeepTheTokenTheyCameWith) {
  for (const char* id : {"1", "1.0", "\"1\"", "18446744073709551617", "-3", "\"a\\u0041 \\\"x\\\"\"", "1e2"}) {
    std::string line =
        std::string(R"({ "jsonrpc" : "2.0", "method":"m", "params":{"id":7,"x":["}",{"id":8}]}, "id" : )") + id + " }";
    StatusOr<Message> message = ParseMessage(line);
    ASSERT_TRUE(message.ok()) << line << message.status();
    EXPECT_EQ(message->id, id);
    EXPECT_EQ(message->kind, MessageKind::kRequest);
  }
}

TEST(JsonRpcTest, AnEscapedKeyIsTheSameKey) {
  StatusOr<Message> message = ParseMessage(R"({"jsonrpc":"2.0","\u0069d":5,"method":"m"})");
  ASSERT_TRUE(message.ok()) << message.status();
  EXPECT_EQ(message->id, "5");
}

TEST(JsonRpcTest, DuplicateKeysAreRefusedHoweverTheyAreSpelt) {
  EXPECT_FALSE(ParseMessage(R"({"jsonrpc":"2.0","id":1,"id":2,"method":"m"})").ok());
  EXPECT_FALSE(ParseMessage(R"({"jsonrpc":"2.0","id":1,"\u0069d":2,"method":"m"})").ok());
  EXPECT_FALSE(ParseMessage(R"({"jsonrpc":"2.0","id":1,"method":"m","method":"n"})").ok());
}

TEST(JsonRpcTest, KindsAreTold) {
  EXPECT_EQ(ParseMessage(R"({"jsonrpc":"2.0","method":"n"})")->kind, MessageKind::kNotification);
  EXPECT_EQ(ParseMessage(R"({"jsonrpc":"2.0","id":1,"result":null})")->kind, MessageKind::kResult);
  StatusOr<Message> error =
      ParseMessage(R"({"error":{"code":-32601,"message":"no","data":[1]},"jsonrpc":"2.0","id":null})");
  ASSERT_TRUE(error.ok());
  EXPECT_EQ(error->kind, MessageKind::kError);
  EXPECT_EQ(error->error_code, -32601);
  EXPECT_EQ(error->id, "null");
  EXPECT_EQ(DescribeError(*error), "-32601: no");
}

TEST(JsonRpcTest, WhatIsNoMessageIsRefused) {
  for (const char* line : {"", "hello", "{}", "[]", R"([{"jsonrpc":"2.0","method":"n"}])",
                           R"({"jsonrpc":"1.0","method":"n"})", R"({"jsonrpc":"2.0"})", R"({"jsonrpc":"2.0","id":1})",
                           R"({"jsonrpc":"2.0","id":1,"result":1,"error":{"code":1}})",
                           R"({"jsonrpc":"2.0","id":[1],"method":"m"})", R"({"jsonrpc":"2.0","id":null,"method":"m"})",
                           R"({"jsonrpc":"2.0","id":1,"method":5})", R"({"jsonrpc":"2.0","id":1,"method":""})",
                           R"({"jsonrpc":"2.0","id":1,"method":"m","params":5})", R"({"jsonrpc":"2.0","result":1})",
                           R"({"jsonrpc":"2.0","id":1,"error":"bad"})", "{\"jsonrpc\":\"2.0\",\"method\":\"\xff\"}"}) {
    EXPECT_FALSE(ParseMessage(line).ok()) << line;
  }
}

TEST(JsonRpcTest, BoundsHold) {
  std::string deep = R"({"jsonrpc":"2.0","method":"m","params":)" + std::string(100, '[') + std::string(100, ']') + "}";
  EXPECT_FALSE(ParseMessage(deep).ok());
  EXPECT_EQ(ParseMessage(std::string(100, ' '), {.bytes = 50}).status().code(), StatusCode::kResourceExhausted);
  EXPECT_FALSE(ParseMessage(R"({"jsonrpc":"2.0","method":"m","id":")" + std::string(300, 'x') + "\"}").ok());
  EXPECT_FALSE(ParseMessage(R"({"jsonrpc":"2.0","method":")" + std::string(300, 'x') + "\"}").ok());
}

TEST(JsonRpcTest, WhatIsWrittenIsOneLineAndReadsBack) {
  std::string line = SerializeRequest("7", "tools/call", {{"text", "a\nb\r\u2028"}});
  EXPECT_EQ(line.find('\n'), std::string::npos);
  StatusOr<Message> back = ParseMessage(line);
  ASSERT_TRUE(back.ok());
  EXPECT_EQ(back->params["text"], "a\nb\r\u2028");
  EXPECT_EQ(SerializeNotification("n", nullptr), R"({"jsonrpc":"2.0","method":"n"})");
  EXPECT_EQ(SerializeResult("\"x\"", Json::object()), R"({"jsonrpc":"2.0","id":"x","result":{}})");
  EXPECT_EQ(SerializeError("1.0", -1, "a\"b"), R"({"jsonrpc":"2.0","id":1.0,"error":{"code":-1,"message":"a\"b"}})");
}

}  // namespace
}  // namespace mcpfleet::mcp
