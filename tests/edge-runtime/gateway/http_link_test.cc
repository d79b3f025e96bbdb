#include "edge-runtime/gateway/http_link.h"

#include <algorithm>
#include <atomic>

#include "base/strings.h"
#include "edge-runtime/gateway/http_rules.h"
#include "tests/base/http_testing.h"
#include "tests/edge-runtime/gateway/scripted_upstream.h"

namespace mcpfleet::gateway {
namespace {

using http::JsonResponse;
using http::TextResponse;

const Json kInitialize = {{"protocolVersion", "2025-11-25"}, {"capabilities", Json::object()}};
const Json kModern = {{"io.modelcontextprotocol/protocolVersion", "2026-07-28"},
                      {"io.modelcontextprotocol/clientCapabilities", Json::object()}};

class HttpLinkTest : public UpstreamTest {
 protected:
  // A legacy server with session "s1"; `other` gets what is not of the handshake.
  void ServeLegacy(const Script& other) {
    Serve([this, other](const http::Request& request, const Json& message, const To& to) {
      const std::string method = GetString(message, "method");
      if (method == "initialize") {
        http::Response response = JsonResponse(200, ResultLine(message, kInitialize));
        response.headers.Set("Mcp-Session-Id", "s1");
        return to->Send(response);
      }
      if (method == "notifications/initialized") return to->Send(TextResponse(202, ""));
      if (request.method == "GET" && !streams_) return to->Send(TextResponse(405, ""));
      if (request.method == "DELETE") return to->Send(TextResponse(200, ""));
      other(request, message, to);
    });
  }
  void ConnectLegacy() {
    Connect({.transport = HttpTransport::kStreamable});
    ASSERT_TRUE(Request(1, "initialize", kInitialize).ok());
    ASSERT_EQ(Next()["id"], 1);
    ASSERT_TRUE(Send(mcp::SerializeNotification("notifications/initialized", nullptr)).ok());
    ASSERT_TRUE(AwaitSeen("GET"));
  }
  Status Modern(int id, const std::string& method, Json params) {
    params["_meta"] = kModern;
    return Request(id, method, params);
  }
  std::string Header(const http::Request& request, const char* name) {
    return request.headers.Get(name).value_or("none");
  }

  std::atomic<bool> streams_{false};  // the legacy server has a GET stream, served by `other`
};

void AnswerEmpty(const http::Request&, const Json& message, const std::shared_ptr<http::Responder>& to) {
  if (!message.contains("id") || !message.contains("method")) return to->Send(TextResponse(202, ""));
  to->Send(JsonResponse(200, ResultLine(message, Json::object())));
}

// ---- legacy

TEST_F(HttpLinkTest, ALegacySessionIsCarriedAlongAndDeletedAtTheEnd) {
  ServeLegacy(AnswerEmpty);
  ConnectLegacy();
  ASSERT_TRUE(Request(2, "tools/list").ok());
  EXPECT_EQ(Next()["id"], 2);
  link_.reset();
  ASSERT_TRUE(AwaitSeen("DELETE"));
  const std::vector<http::Request> seen = Seen();
  ASSERT_EQ(seen.size(), 5U);  // initialize, initialized, GET, tools/list, DELETE
  EXPECT_EQ(Header(seen[0], "Mcp-Session-Id"), "none");
  EXPECT_EQ(Header(seen[0], "MCP-Protocol-Version"), "none");
  EXPECT_EQ(Header(seen[0], "Accept"), "application/json, text/event-stream");
  EXPECT_EQ(Header(seen[0], "Content-Type"), "application/json");
  EXPECT_EQ(Header(seen[2], "Accept"), "text/event-stream");
  for (size_t i = 1; i < seen.size(); ++i) {
    EXPECT_EQ(Header(seen[i], "Mcp-Session-Id"), "s1") << i;
    EXPECT_EQ(Header(seen[i], "MCP-Protocol-Version"), "2025-11-25") << i;
    EXPECT_EQ(Header(seen[i], "Mcp-Method"), "none") << i;
  }
}

TEST_F(HttpLinkTest, TheHandshakeIsInOrderHoweverFastItIsSent) {
  To held;
  Serve([&](const http::Request& request, const Json& message, const To& to) {
    std::lock_guard<std::mutex> lock(mu_);
    if (request.method == "GET") return to->Send(TextResponse(405, ""));
    if (GetString(message, "method") == "tools/list")
      return to->Send(JsonResponse(200, ResultLine(message, Json::object())));
    held = to;
  });
  const auto answer = [&](http::Response response) {
    To to;
    loop_.RunUntil([&] {
      std::lock_guard<std::mutex> lock(mu_);
      return (to = std::exchange(held, nullptr)) != nullptr;
    });
    ASSERT_NE(to, nullptr);
    to->Send(std::move(response));
  };
  Connect({});
  ASSERT_TRUE(Request(1, "initialize", kInitialize).ok());
  ASSERT_TRUE(Send(mcp::SerializeNotification("notifications/initialized", nullptr)).ok());
  ASSERT_TRUE(Request(2, "tools/list").ok());
  ASSERT_TRUE(AwaitSeen("initialize"));
  Settle();
  EXPECT_EQ(Seen().size(), 1U);
  answer(JsonResponse(200, mcp::SerializeResult("1", kInitialize)));
  ASSERT_TRUE(AwaitSeen("notifications/initialized"));
  Settle();
  EXPECT_EQ(Seen().size(), 2U);
  answer(TextResponse(202, ""));
  EXPECT_EQ(Next()["id"], 1);
  EXPECT_EQ(Next()["id"], 2);
}

TEST_F(HttpLinkTest, TheServersStreamIsReadAndOpenedAgainWhereItBroke) {
  streams_ = true;
  ServeLegacy([](const http::Request& request, const Json&, const To& to) {
    const std::string last = request.headers.Get("Last-Event-ID").value_or("");
    const std::string next = last.empty() ? "e1" : last == "e1" ? "e2" : "e3";
    auto events = StartEvents(to);
    events->Write("retry: 10\n" + Event(mcp::SerializeNotification("notifications/" + next, nullptr), next));
  });
  ConnectLegacy();
  EXPECT_EQ(Next()["method"], "notifications/e1");
  EXPECT_EQ(Next()["method"], "notifications/e2");
  EXPECT_EQ(Next()["method"], "notifications/e3");
  EXPECT_EQ(Header(Seen("GET").at(1), "Last-Event-ID"), "e1");
  EXPECT_EQ(Header(Seen("GET").at(1), "Mcp-Session-Id"), "s1");
}

TEST_F(HttpLinkTest, AServerWithoutAStreamIsAskedOnce) {
  ServeLegacy(AnswerEmpty);
  ConnectLegacy();
  ASSERT_TRUE(Request(2, "ping").ok());
  EXPECT_EQ(Next()["id"], 2);
  Settle();
  EXPECT_EQ(Seen("GET").size(), 1U);
}

TEST_F(HttpLinkTest, AForgottenSessionClosesTheLinkAndIsNotDeleted) {
  ServeLegacy([](const http::Request&, const Json&, const To& to) {
    to->Send(JsonResponse(404, mcp::SerializeError("", -32001, "Session not found")));
  });
  ConnectLegacy();
  ASSERT_TRUE(Request(2, "tools/list").ok());
  ASSERT_TRUE(loop_.RunUntil([&] { return closed_.has_value(); }));
  EXPECT_EQ(closed_->code(), StatusCode::kUnavailable);
  EXPECT_EQ(Message(*closed_), "session ended by the server");
  EXPECT_EQ(Request(3, "tools/list").code(), StatusCode::kUnavailable);
  link_.reset();
  Settle();
  EXPECT_TRUE(Seen("DELETE").empty());
}

TEST_F(HttpLinkTest, WhatComesBeforeTheAnswerInItsStreamIsToldBeforeIt) {
  ServeLegacy([](const http::Request&, const Json& message, const To& to) {
    if (!message.contains("method")) return to->Send(TextResponse(202, ""));
    auto events = StartEvents(to);
    events->Write(Event(R"({"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":2}})"));
    events->Write(Event(R"({"jsonrpc":"2.0","id":"q","method":"sampling/createMessage","params":{}})"));
    events->Write(Event(ResultLine(message, {{"n", 1}})));
  });
  ConnectLegacy();
  ASSERT_TRUE(Request(2, "tools/call").ok());
  EXPECT_EQ(Next()["method"], "notifications/progress");
  EXPECT_EQ(Next()["id"], "q");
  EXPECT_EQ(Next()["result"]["n"], 1);
  ASSERT_TRUE(Send(mcp::SerializeResult(R"("q")", Json::object())).ok());
  EXPECT_TRUE(loop_.RunUntil([&] { return Seen().size() == 5; }));
}

TEST_F(HttpLinkTest, ABrokenStreamIsResumedByItsLastEvent) {
  streams_ = true;
  Json asked;
  ServeLegacy([&](const http::Request& request, const Json& message, const To& to) {
    const std::string last = request.headers.Get("Last-Event-ID").value_or("");
    if (request.method == "GET" && last.empty()) return to->Send(TextResponse(405, ""));
    auto events = StartEvents(to);
    if (request.method == "POST") {
      asked = message;
      events->Write("id: p1\nretry: 20\ndata: \n\n");  // and the connection ends: the client shall come back
    } else if (last == "p1") {
      events->Write(Event(mcp::SerializeNotification("notifications/message", nullptr), "p2"));
    } else {
      events->Write(Event(ResultLine(asked, {{"resumed", last}}), "p3"));
    }
  });
  ConnectLegacy();
  ASSERT_TRUE(Request(2, "tools/call").ok());
  EXPECT_EQ(Next()["method"], "notifications/message");
  EXPECT_EQ(Next()["result"]["resumed"], "p2");
  EXPECT_EQ(Seen("tools/call").size(), 1U);
}

TEST_F(HttpLinkTest, AStreamThatCannotBeResumedIsAnErrorForItsRequest) {
  streams_ = true;
  ServeLegacy([](const http::Request& request, const Json& message, const To& to) {
    if (request.method == "GET") return to->Send(TextResponse(405, ""));
    auto events = StartEvents(to);
    if (message["id"] == 3) events->Write(Event("", "x1"));
  });
  ConnectLegacy();
  ASSERT_TRUE(Request(2, "tools/call").ok());  // no event id
  Json answer = Next();
  EXPECT_EQ(answer["id"], 2);
  EXPECT_EQ(answer["error"]["code"], -32603);
  ASSERT_TRUE(Request(3, "tools/call").ok());  // a server that says 405 to the resumption
  answer = Next();
  EXPECT_EQ(answer["id"], 3);
  EXPECT_EQ(answer["error"]["message"], "the answer broke off and the upstream server does not resume it: HTTP 405");
}

TEST_F(HttpLinkTest, ACancelledLegacyRequestIsToldAndItsLateAnswerDropped) {
  std::shared_ptr<http::StreamWriter> events;
  Json asked;
  ServeLegacy([&](const http::Request&, const Json& message, const To& to) {
    if (GetString(message, "method") == "tools/call") {
      asked = message;
      events = StartEvents(to);
      return;
    }
    if (GetString(message, "method") == "notifications/cancelled") {
      events->Write(Event(ResultLine(asked, Json::object())));
      events->End();
    }
    AnswerEmpty({}, message, to);
  });
  ConnectLegacy();
  ASSERT_TRUE(Request(2, "tools/call").ok());
  ASSERT_TRUE(AwaitSeen("tools/call"));
  ASSERT_TRUE(Send(mcp::SerializeNotification("notifications/cancelled", {{"requestId", 2}})).ok());
  ASSERT_TRUE(AwaitSeen("notifications/cancelled"));
  ASSERT_TRUE(Request(3, "ping").ok());
  EXPECT_EQ(Next()["id"], 3);
  Settle();
  EXPECT_EQ(read_, lines_.size());
}

// ---- modern

TEST_F(HttpLinkTest, HeadersOfModernRequestsRepeatTheBody) {
  Serve([](const http::Request&, const Json& message, const To& to) {
    Json result = Json::object();
    if (message["method"] == "tools/list") {
      const auto tool = [](const char* name, const Json& mark) {
        return Json{{"name", name},
                    {"inputSchema", {{"properties", {{"region", {{"type", "string"}, {"x-mcp-header", mark}}}}}}}};
      };
      result["tools"] = {tool("query", "Region"), tool("broken", "no token"), {{"name", "plain"}}};
    }
    to->Send(JsonResponse(200, ResultLine(message, result)));
  });
  Connect({.headers = {{"Authorization", "Bearer of-the-spec"}}, .identity = {"mcpfleet", "7"}});
  ASSERT_TRUE(Modern(1, "tools/list", Json::object()).ok());
  const Json tools = Next()["result"]["tools"];
  ASSERT_EQ(tools.size(), 2U) << "a tool whose marks break the rules is left out";
  EXPECT_EQ(tools[1]["name"], "plain");
  ASSERT_TRUE(Modern(2, "tools/call", {{"name", "query"}, {"arguments", {{"region", "Köln"}}}}).ok());
  EXPECT_EQ(Next()["id"], 2);
  ASSERT_TRUE(Modern(3, "resources/read", {{"uri", "file:///a"}}).ok());
  EXPECT_EQ(Next()["id"], 3);
  const std::vector<http::Request> seen = Seen();
  ASSERT_EQ(seen.size(), 3U);
  EXPECT_EQ(Header(seen[0], "Mcp-Method"), "tools/list");
  EXPECT_EQ(Header(seen[0], "Mcp-Name"), "none");
  EXPECT_EQ(Header(seen[0], "User-Agent"), "mcpfleet/7");
  EXPECT_EQ(Header(seen[1], "Mcp-Name"), "query");
  EXPECT_EQ(Header(seen[1], "Mcp-Param-Region"), "=?base64?" + Base64Encode("Köln") + "?=");
  EXPECT_EQ(Header(seen[2], "Mcp-Name"), "file:///a");
  for (const http::Request& request : seen) {
    EXPECT_EQ(Header(request, "MCP-Protocol-Version"), "2026-07-28");
    EXPECT_EQ(Header(request, "Authorization"), "Bearer of-the-spec");
    EXPECT_EQ(Header(request, "Mcp-Session-Id"), "none");
  }
  link_.reset();
  Settle();
  EXPECT_TRUE(Seen("DELETE").empty());
}

TEST_F(HttpLinkTest, CancellingAModernRequestClosesItsConnection) {
  std::atomic<bool> gone{false};
  To kept;
  Serve([&](const http::Request& request, const Json& message, const To& to) {
    if (GetString(message, "method") != "tools/call") return AnswerEmpty(request, message, to);
    to->OnGone([&] { gone = true; });
    kept = to;
  });
  Connect({});
  ASSERT_TRUE(Modern(1, "tools/call", {{"name", "slow"}}).ok());
  ASSERT_TRUE(AwaitSeen("tools/call"));
  ASSERT_TRUE(Send(mcp::SerializeNotification("notifications/cancelled", {{"requestId", 1}})).ok());
  EXPECT_TRUE(loop_.RunUntil([&] { return gone.load(); }));
  ASSERT_TRUE(Modern(2, "tools/list", Json::object()).ok());
  EXPECT_EQ(Next()["id"], 2);
  EXPECT_EQ(Seen().size(), 2U);
}

TEST_F(HttpLinkTest, ABrokenModernStreamIsNotResumed) {
  Serve([](const http::Request&, const Json&, const To& to) { StartEvents(to)->Write(Event("", "e1")); });
  Connect({});
  ASSERT_TRUE(Modern(1, "tools/call", {{"name", "x"}}).ok());
  EXPECT_EQ(Next()["error"]["code"], -32603);
  EXPECT_EQ(Seen().size(), 1U);
}

// ---- both

TEST_F(HttpLinkTest, OfAHundredRequestsAllAreAnsweredAndSixtyTwoAreUnderWayAtOnce) {
  std::vector<std::pair<Json, To>> held;
  bool let_go = false;
  Serve([&](const http::Request&, const Json& message, const To& to) {
    std::lock_guard<std::mutex> lock(mu_);
    if (!message.contains("id")) return to->Send(TextResponse(202, ""));
    if (let_go) return to->Send(JsonResponse(200, ResultLine(message, {{"for", message["id"]}})));
    held.emplace_back(message, to);
  });
  const auto under_way = [&] {
    std::lock_guard<std::mutex> lock(mu_);
    return held.size();
  };
  Connect({});
  for (int id = 0; id < 100; ++id) ASSERT_TRUE(Modern(id, "tools/call", {{"name", "x"}}).ok());
  ASSERT_TRUE(loop_.RunUntil([&] { return under_way() == OutboundQueue::kMaxRequests; }));
  // What the requests may be waiting for gets past them.
  ASSERT_TRUE(Send(mcp::SerializeNotification("notifications/roots/list_changed", nullptr)).ok());
  ASSERT_TRUE(AwaitSeen("notifications/roots/list_changed"));
  Settle();
  EXPECT_EQ(under_way(), OutboundQueue::kMaxRequests);
  {
    std::lock_guard<std::mutex> lock(mu_);
    let_go = true;
    for (const auto& [message, to] : held) to->Send(JsonResponse(200, ResultLine(message, {{"for", message["id"]}})));
  }
  std::vector<int> answered;
  for (int i = 0; i < 100; ++i) {
    const Json answer = Next();
    ASSERT_TRUE(answer.is_object()) << i;
    EXPECT_EQ(answer["result"]["for"], answer["id"]);
    answered.push_back(answer["id"]);
  }
  std::sort(answered.begin(), answered.end());
  for (int i = 0; i < 100; ++i) EXPECT_EQ(answered[static_cast<size_t>(i)], i);
}

TEST_F(HttpLinkTest, WhatHttpRefusesIsAnErrorForTheRequest) {
  struct Case {
    int status;
    std::string body;
    int code;
    std::string message;
  };
  const std::vector<Case> cases = {
      {502, "<html>", -32603, "the upstream server answered HTTP 502"},
      {401, "", -32603, "the upstream server answered HTTP 401: credentials are missing or not accepted"},
      {302, "", -32603, "the upstream server answered HTTP 302: redirects are not followed"},
      {404, "nothing here", -32603, "the upstream server answered HTTP 404"},
      {202, "", -32603, "the upstream server answered HTTP 202 without an answer to the request"},
      {200, "{}", -32603, "the upstream server answered HTTP 200 without an answer to the request"},
      {200, R"({"jsonrpc":"2.0","id":99,"result":{}})", -32603,
       "the upstream server answered HTTP 200 without an answer to the request"},
      {400, R"({"jsonrpc":"2.0","id":1,"error":{"code":-32020,"message":"mismatch"}})", -32020, "mismatch"},
      {400, R"({"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"unread"}})", -32700, "unread"},
      {503, R"({"jsonrpc":"2.0","error":{"code":-32000,"message":"busy"}})", -32000, "busy"},
  };
  for (const Case& each : cases) {
    Serve([&](const http::Request&, const Json&, const To& to) {
      http::Response response = JsonResponse(each.status, each.body);
      response.headers.Set("Location", "/elsewhere");
      to->Send(response);
    });
    Connect({});
    ASSERT_TRUE(Modern(1, "tools/call", {{"name", "x"}}).ok());
    const Json answer = Next();
    EXPECT_EQ(answer["id"], 1);
    EXPECT_EQ(answer["error"]["code"], each.code) << each.body;
    EXPECT_EQ(answer["error"]["message"], each.message);
  }
  EXPECT_EQ(Seen().size(), cases.size()) << "one request each";
}

TEST_F(HttpLinkTest, AServerThatIsNotThereIsAnErrorForTheRequest) {
  std::string url;
  {
    http::RawListener listener;
    url = "http://127.0.0.1:" + std::to_string(listener.port()) + "/mcp";
  }
  Connect({.url = url});
  ASSERT_TRUE(Modern(1, "tools/list", Json::object()).ok());
  EXPECT_EQ(Next()["error"]["message"], "the upstream server can't be reached, or broke the connection");
}

TEST_F(HttpLinkTest, AnAnswerThatTricklesInOverManyLinesIsOneLine) {
  Serve([](const http::Request&, const Json& message, const To& to) {
    const std::string pretty = Json::parse(ResultLine(message, {{"text", "two\nlines"}})).dump(2);
    std::shared_ptr<http::StreamWriter> body;
    std::string wire = pretty;
    if (message["id"] == 1) {
      http::Response head;
      head.headers.Set("Content-Type", "application/json; charset=utf-8");
      body = to->StartStream(head);
    } else {
      body = StartEvents(to);
      wire = "event: message\ndata: ";
      for (const char c : pretty) wire += c == '\n' ? "\ndata: " : std::string(1, c);
      wire += "\n\n";
    }
    for (const char c : wire) body->Write(std::string_view(&c, 1));
  });
  Connect({});
  for (int id : {1, 2}) {
    ASSERT_TRUE(Modern(id, "tools/call", {{"name", "x"}}).ok());
    const Json answer = Next();
    EXPECT_EQ(answer["id"], id);
    EXPECT_EQ(answer["result"]["text"], "two\nlines");
  }
}

TEST_F(HttpLinkTest, ABatchIsTakenApartAndASecondAnswerDropped) {
  Serve([](const http::Request&, const Json& message, const To& to) {
    const std::string answer = ResultLine(message, Json::object());
    StartEvents(to)->Write(
        Event("[" + mcp::SerializeNotification("notifications/message", nullptr) + "," + answer + "]") + Event(answer) +
        Event("not JSON") + Event(mcp::SerializeNotification("notifications/last", nullptr)));
  });
  Connect({});
  ASSERT_TRUE(Modern(1, "tools/call", {{"name", "x"}}).ok());
  EXPECT_EQ(Next()["method"], "notifications/message");
  EXPECT_EQ(Next()["id"], 1);
  EXPECT_EQ(Next()["method"], "notifications/last");
}

TEST_F(HttpLinkTest, TheCallerMayDestroyTheLinkInItsCallbacks) {
  Serve([](const http::Request&, const Json& message, const To& to) {
    StartEvents(to)->Write(Event(mcp::SerializeNotification("notifications/message", nullptr)) +
                           Event(ResultLine(message, Json::object())));
  });
  auto upstream = HttpUpstream::Create({.url = Url()}, loop_, loop_.context());
  ASSERT_TRUE(upstream.ok());
  std::unique_ptr<Link> link = MakeHttpLink(*std::move(upstream));
  int lines = 0;
  link->Start({.on_line =
                   [&](const std::string&) {
                     ++lines;
                     link.reset();
                   },
               .on_closed = [](const Status&) { ADD_FAILURE() << "after the end"; }});
  ASSERT_TRUE(link->Send(mcp::SerializeRequest("1", "ping", {{"_meta", kModern}})).ok());
  ASSERT_TRUE(loop_.RunUntil([&] { return lines > 0; }));
  Settle();
  EXPECT_EQ(lines, 1);
}

TEST_F(HttpLinkTest, WhatCannotBeSentIsRefusedAtOnce) {
  Serve([](const http::Request&, const Json&, const To&) {});
  Connect({});
  EXPECT_EQ(Send("no JSON").code(), StatusCode::kInvalidArgument);
  ASSERT_TRUE(Modern(1, "ping", Json::object()).ok());
  EXPECT_EQ(Modern(1, "ping", Json::object()).code(), StatusCode::kInvalidArgument);
  EXPECT_FALSE(HttpUpstream::Create({.url = "ftp://x"}, loop_, loop_.context()).ok());
  EXPECT_FALSE(HttpUpstream::Create({.url = Url(), .headers = {{"X", "a\r\nb"}}}, loop_, loop_.context()).ok());
}

// ---- rules

TEST(OutboundQueueTest, TooMuchThatWaitsIsRefused) {
  OutboundQueue queue;
  ASSERT_TRUE(queue.Add(*ReadOutbound(R"({"jsonrpc":"2.0","id":1,"method":"initialize"})")).ok());
  ASSERT_TRUE(queue.Next().has_value());
  for (size_t i = 0; i < OutboundQueue::kMaxWaiting; ++i) {
    ASSERT_TRUE(queue.Add({.line = "x", .id = std::to_string(i)}).ok());
    ASSERT_FALSE(queue.Next().has_value()) << "the session is not open";
  }
  EXPECT_EQ(queue.Add({.line = "x"}).code(), StatusCode::kResourceExhausted);
  EXPECT_TRUE(queue.Remove("7"));
  EXPECT_FALSE(queue.Remove("7"));
  EXPECT_TRUE(queue.Add({.line = "x"}).ok());
  OutboundQueue bytes;
  ASSERT_TRUE(bytes.Add({.line = std::string(OutboundQueue::kMaxWaitingBytes, 'x')}).ok());
  EXPECT_EQ(bytes.Add({.line = "x"}).code(), StatusCode::kResourceExhausted);
}

TEST(HttpRulesTest, PausesGrowFromWhatTheServerAsksForAndAreBounded) {
  EXPECT_EQ(PauseBefore(1, -1, 100ms), 100ms);
  EXPECT_EQ(PauseBefore(3, -1, 100ms), 400ms);
  EXPECT_EQ(PauseBefore(1, 3000, 100ms), 3s);
  EXPECT_EQ(PauseBefore(2, 3000, 100ms), 6s);
  EXPECT_EQ(PauseBefore(1, 0, 100ms), 10ms);
  EXPECT_EQ(PauseBefore(60, -1, 1s), 30s);
  EXPECT_EQ(PauseBefore(1, 999'999'999, 1s), 30s);
}

TEST_F(HttpLinkTest, WhilePausedItReadsNothingAndNothingIsLost) {
  std::atomic<size_t> written{0};
  ServeLegacy([&](const http::Request&, const Json& message, const To& to) {
    const auto stream = StartEvents(to);
    const std::string line = mcp::SerializeNotification("notifications/message", {{"data", std::string(100'000, 'x')}});
    for (int i = 0; i < 20; ++i) written += stream->Write(Event(line)) ? 1 : 0;
    stream->Write(Event(ResultLine(message, 1)));
    stream->End();
  });
  ConnectLegacy();
  link_->Pause(true);
  ASSERT_TRUE(Request(2, "tools/call").ok());
  ASSERT_TRUE(loop_.RunUntil([&] { return written == 20; }));
  Settle();
  EXPECT_EQ(lines_.size(), read_);
  link_->Pause(false);
  for (int i = 0; i < 20; ++i) EXPECT_EQ(Next()["method"], "notifications/message");
  EXPECT_EQ(Next()["id"], 2);
}

}  // namespace
}  // namespace mcpfleet::gateway
