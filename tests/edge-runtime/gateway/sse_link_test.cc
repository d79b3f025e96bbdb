#include "edge-runtime/gateway/sse_link.h"

#include "tests/edge-runtime/gateway/scripted_upstream.h"

namespace mcpfleet::gateway {
namespace {

using http::JsonResponse;
using http::TextResponse;

const Json kInitialize = {{"protocolVersion", "2024-11-05"}, {"capabilities", Json::object()}};

class SseLinkTest : public UpstreamTest {
 protected:
  // A server of 2024-11-05: GET /sse, POST /messages; `answer` says what comes on the stream ("" for nothing).
  void ServeSse(std::function<std::string(const Json& message)> answer, std::string endpoint = "/messages?id=7") {
    Serve([this, answer = std::move(answer), endpoint = std::move(endpoint)](const http::Request& request,
                                                                             const Json& message, const To& to) {
      if (request.method == "GET") {
        stream_ = StartEvents(to);
        stream_->Write("event: endpoint\ndata: " + endpoint + "\n\n");
        return;
      }
      if (!request.target.starts_with("/messages")) return to->Send(TextResponse(405, ""));
      if (GetString(message, "method") == "refuse/me") return to->Send(TextResponse(500, "no"));
      if (GetString(message, "method") == "refuse/json")
        return to->Send(JsonResponse(400, mcp::SerializeError(DumpJson(message["id"]), -32600, "mine")));
      to->Send(TextResponse(202, "Accepted"));
      const std::string line = answer(message);
      if (!line.empty()) stream_->Write("event: message\ndata: " + line + "\n\n");
    });
  }
  void ConnectTo(const std::string& path, HttpTransport transport = HttpTransport::kSse) {
    Connect({.url = Url(path), .headers = {{"X-Key", "k"}}, .transport = transport});
  }
  static std::string Echo(const Json& message) {
    return message.contains("id") ? ResultLine(message, {{"method", message["method"]}}) : "";
  }

  std::shared_ptr<http::StreamWriter> stream_;  // the server's thread's until it is joined
};

TEST_F(SseLinkTest, MessagesArePostedWhereTheServerSaysAndAnsweredOnItsStream) {
  ServeSse(Echo);
  ConnectTo("/sse");
  ASSERT_TRUE(Request(1, "initialize", kInitialize).ok());
  ASSERT_TRUE(Send(mcp::SerializeNotification("notifications/initialized", nullptr)).ok());
  ASSERT_TRUE(Request(2, "tools/list").ok());
  EXPECT_EQ(Next()["result"]["method"], "initialize");
  EXPECT_EQ(Next()["result"]["method"], "tools/list");
  const std::vector<http::Request> seen = Seen();
  ASSERT_EQ(seen.size(), 4U);
  EXPECT_EQ(seen[0].target, "/sse");
  for (const http::Request& request : seen) EXPECT_EQ(request.headers.Get("X-Key"), "k");
  for (size_t i = 1; i < seen.size(); ++i) EXPECT_EQ(seen[i].target, "/messages?id=7");
  EXPECT_EQ(Json::parse(seen[2].body)["method"], "notifications/initialized");
}

TEST_F(SseLinkTest, ARefusedPostIsAnErrorForItsRequest) {
  ServeSse(Echo);
  ConnectTo("/sse");
  ASSERT_TRUE(Request(1, "refuse/me").ok());
  EXPECT_EQ(Next()["error"]["message"], "the upstream server answered HTTP 500");
  ASSERT_TRUE(Request(2, "refuse/json").ok());
  EXPECT_EQ(Next()["error"]["message"], "mine");
  ASSERT_TRUE(Request(3, "ping").ok());
  EXPECT_EQ(Next()["id"], 3);
}

TEST_F(SseLinkTest, ACancelledRequestIsToldAndItsLateAnswerDropped) {
  Json asked;
  ServeSse([&](const Json& message) {
    if (message["method"] == "tools/call") asked = message;
    if (message["method"] == "notifications/cancelled") return Echo(asked);
    return message["method"] == "ping" ? Echo(message) : "";
  });
  ConnectTo("/sse");
  ASSERT_TRUE(Request(1, "tools/call").ok());
  ASSERT_TRUE(AwaitSeen("tools/call"));
  ASSERT_TRUE(Send(mcp::SerializeNotification("notifications/cancelled", {{"requestId", 1}})).ok());
  ASSERT_TRUE(AwaitSeen("notifications/cancelled"));
  ASSERT_TRUE(Request(2, "ping").ok());
  EXPECT_EQ(Next()["id"], 2);
}

TEST_F(SseLinkTest, TheEndOfTheStreamIsTheEndOfTheLink) {
  ServeSse([this](const Json&) {
    stream_->End();
    return "";
  });
  ConnectTo("/sse");
  ASSERT_TRUE(Request(1, "ping").ok());
  ASSERT_TRUE(loop_.RunUntil([&] { return closed_.has_value(); }));
  EXPECT_EQ(closed_->code(), StatusCode::kUnavailable);
  EXPECT_TRUE(lines_.empty());
  EXPECT_EQ(Request(2, "ping").code(), StatusCode::kUnavailable);
}

TEST_F(SseLinkTest, NothingIsPostedToAnotherOrigin) {
  for (const char* endpoint :
       {"http://127.0.0.1:1/messages", "//example.com/messages", "https://127.0.0.1/", "ftp:x"}) {
    closed_.reset();
    ServeSse(Echo, endpoint);
    ConnectTo("/sse");
    ASSERT_TRUE(Request(1, "ping").ok());
    ASSERT_TRUE(loop_.RunUntil([&] { return closed_.has_value(); })) << endpoint;
    EXPECT_EQ(closed_->code(), StatusCode::kFailedPrecondition) << endpoint;
  }
  EXPECT_TRUE(Seen("POST").empty());
}

TEST_F(SseLinkTest, AnEndpointMayBeRelativeOrWholeWithinTheOrigin) {
  ServeSse(Echo, "messages/7");
  ConnectTo("/sse");
  ASSERT_TRUE(Request(1, "ping").ok());
  EXPECT_EQ(Next()["id"], 1);
  EXPECT_EQ(Seen("POST").at(0).target, "/messages/7");
}

TEST_F(SseLinkTest, AUrlWithoutAStreamClosesTheLink) {
  Serve([](const http::Request&, const Json&, const To& to) { to->Send(TextResponse(404, "")); });
  ConnectTo("/sse");
  ASSERT_TRUE(loop_.RunUntil([&] { return closed_.has_value(); }));
  EXPECT_EQ(Message(*closed_), "the upstream server answered HTTP 404");
}

TEST_F(SseLinkTest, AutoFallsBackWhenInitializeIsRefused) {
  ServeSse(Echo);
  ConnectTo("/sse", HttpTransport::kAuto);
  ASSERT_TRUE(Request(1, "initialize", kInitialize).ok());
  ASSERT_TRUE(Send(mcp::SerializeNotification("notifications/initialized", nullptr)).ok());
  EXPECT_EQ(Next()["result"]["method"], "initialize");
  ASSERT_TRUE(Request(2, "tools/list").ok());
  EXPECT_EQ(Next()["result"]["method"], "tools/list");
  EXPECT_EQ(Seen().at(0).method, "POST");
  EXPECT_EQ(Seen().at(1).method, "GET");
}

TEST_F(SseLinkTest, WithoutAnyTransportTheRefusalStands) {
  Serve([](const http::Request&, const Json&, const To& to) { to->Send(TextResponse(404, "no such page")); });
  ConnectTo("/mcp", HttpTransport::kAuto);
  ASSERT_TRUE(Request(1, "initialize", kInitialize).ok());
  const Json answer = Next();
  EXPECT_EQ(answer["id"], 1);
  EXPECT_EQ(answer["error"]["message"], "the upstream server answered HTTP 404");
  ASSERT_TRUE(loop_.RunUntil([&] { return closed_.has_value(); }));
}

TEST_F(SseLinkTest, AutoStaysWithStreamableHttpWhereInitializeIsAnswered) {
  Serve([](const http::Request&, const Json& message, const To& to) {
    to->Send(JsonResponse(400, mcp::SerializeError(DumpJson(message["id"]), -32602, "not this version")));
  });
  ConnectTo("/mcp", HttpTransport::kAuto);
  ASSERT_TRUE(Request(1, "initialize", kInitialize).ok());
  EXPECT_EQ(Next()["error"]["message"], "not this version");
  EXPECT_TRUE(Seen("GET").empty());
}

}  // namespace
}  // namespace mcpfleet::gateway
