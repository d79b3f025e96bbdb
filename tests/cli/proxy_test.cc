#include "cli/stdio_proxy.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <csignal>
#include <set>

#include <gtest/gtest.h>

#include "base/strings.h"
#include "tests/cli/mcpctl.h"
#include "tests/cli/scripted_endpoint.h"

namespace mcpfleet::cli {
namespace {

using namespace std::chrono_literals;
using http::Responder;
using Seen = ScriptedEndpoint::Seen;

constexpr char kInitialize[] =
    R"({"jsonrpc":"2.0","id":"i","method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{"roots":{}},"clientInfo":{"name":"c","version":"1"}}})";
constexpr char kInitialized[] = R"({"jsonrpc":"2.0","method":"notifications/initialized"})";

std::string Request(const std::string& id, const std::string& method, const std::string& params = "{}") {
  return R"({"jsonrpc":"2.0","id":)" + id + R"(,"method":")" + method + R"(","params":)" + params + "}";
}
std::string Modern(const std::string& id, const std::string& method, const std::string& more = "") {
  return Request(
      id, method,
      R"({"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}})" +
          more + "}");
}

// The proxy in a thread, with a test for its client.
class ProxyTest : public ::testing::Test {
 protected:
  ProxyTest() { signal(SIGPIPE, SIG_IGN); }
  ~ProxyTest() override { End(); }

  void Start(ScriptedEndpoint& endpoint, Duration farewell = 5s, const std::string& token = "") {
    int in[2], out[2];
    ASSERT_EQ(pipe2(in, O_CLOEXEC) + pipe2(out, O_CLOEXEC), 0);
    in_read_.Reset(in[0]);
    in_.Reset(in[1]);
    out_.Reset(out[0]);
    out_write_.Reset(out[1]);
    proxy_ = std::make_unique<StdioProxy>(StdioProxy::Options{.address = *MakeAddress(endpoint.url(), token),
                                                              .in = in[0],
                                                              .out = out[1],
                                                              .complain =
                                                                  [this](const std::string& line) {
                                                                    std::lock_guard<std::mutex> lock(mu_);
                                                                    complaints_ += line + "\n";
                                                                  },
                                                              .farewell = farewell});
    thread_ = std::thread([this] {
      status_ = proxy_->Run();
      out_write_.Reset();
    });
  }
  void Say(const std::string& line) { ASSERT_TRUE(WriteAll(in_.get(), line + "\n", Deadline::After(20s)).ok()); }
  // The next line, "" at the end of them.
  std::string Hear() {
    size_t newline;
    while ((newline = heard_.find('\n')) == std::string::npos) {
      if (!PollFd(out_.get(), POLLIN, Deadline::After(20s)).ok()) {
        ADD_FAILURE() << "the proxy says nothing";
        return "";
      }
      char piece[65536];
      const ssize_t n = read(out_.get(), piece, sizeof piece);
      if (n <= 0) return "";
      heard_.append(piece, static_cast<size_t>(n));
    }
    std::string line = heard_.substr(0, newline);
    heard_.erase(0, newline + 1);
    return line;
  }
  Json HearJson() { return Json::parse(Hear(), nullptr, false); }
  void Open() {
    Say(kInitialize);
    EXPECT_EQ(HearJson()["id"], "i");
    Say(kInitialized);
  }
  void End() {
    in_.Reset();
    if (thread_.joinable()) thread_.join();
  }
  std::string Complaints() {
    std::lock_guard<std::mutex> lock(mu_);
    return complaints_;
  }

  std::mutex mu_;
  std::string complaints_;
  UniqueFd in_read_, in_, out_, out_write_;
  std::string heard_;
  Status status_;
  std::unique_ptr<StdioProxy> proxy_;
  std::thread thread_;
};

TEST_F(ProxyTest, ALegacyClientGetsItsSessionItsStreamAndItsEnd) {
  ScriptedEndpoint endpoint;
  Start(endpoint);
  Open();
  endpoint.Await("GET");
  Say(Request("1", "tools/list"));
  EXPECT_EQ(HearJson()["result"]["tools"][0]["name"], "echo");
  const Seen list = endpoint.Await("tools/list");
  EXPECT_EQ(list.Header("Mcp-Session-Id"), "s1");
  EXPECT_EQ(list.Header("MCP-Protocol-Version"), "2025-11-25");
  EXPECT_EQ(list.http.body, Request("1", "tools/list")) << "the client's own bytes";
  EXPECT_EQ(endpoint.Await("initialize").Header("MCP-Protocol-Version"), "");
  End();
  EXPECT_TRUE(status_.ok()) << status_;
  EXPECT_EQ(endpoint.Await("DELETE").Header("Mcp-Session-Id"), "s1");
  EXPECT_EQ(Complaints(), "");
}

TEST_F(ProxyTest, AModernMessageGetsItsHeadersAndNoSession) {
  ScriptedEndpoint endpoint;
  Start(endpoint);
  Say(Modern("1", "tools/list"));
  EXPECT_EQ(HearJson()["id"], 1);
  Say(Modern("2", "tools/call", R"(,"name":"echo","arguments":{"message":"x","site":"berlin"})"));
  EXPECT_EQ(HearJson()["result"]["content"][0]["text"], "done");
  const Seen call = endpoint.Await("tools/call");
  EXPECT_EQ(call.Header("Mcp-Method"), "tools/call");
  EXPECT_EQ(call.Header("Mcp-Name"), "echo");
  EXPECT_EQ(call.Header("Mcp-Param-Site"), "berlin");
  End();
  EXPECT_EQ(endpoint.Count("DELETE") + endpoint.Count("GET"), 0);
}

TEST_F(ProxyTest, BothErasMayShareOneProxy) {
  ScriptedEndpoint endpoint;
  Start(endpoint);
  Say(Modern("0", "server/discover"));
  EXPECT_TRUE(HearJson()["result"].contains("supportedVersions"));
  Open();
  Say(Request("1", "ping"));
  EXPECT_EQ(HearJson(), Json::parse(R"({"jsonrpc":"2.0","id":1,"result":{}})"));
}

TEST_F(ProxyTest, WhatIsNoMessageIsAnsweredAndTheRestGoesOn) {
  ScriptedEndpoint endpoint;
  Start(endpoint);
  Say("{oops");
  EXPECT_EQ(HearJson()["error"]["code"], -32700);
  Say("[" + Request("1", "ping") + "]");
  EXPECT_EQ(HearJson()["error"]["code"], -32600);
  Say("");
  Say(Modern("1", "ping"));
  EXPECT_EQ(HearJson()["id"], 1);
  EXPECT_NE(Complaints().find("stdin: "), std::string::npos);
}

TEST_F(ProxyTest, StreamedMessagesComeOutAsLinesInOrder) {
  ScriptedEndpoint endpoint([](const Seen& seen, const std::shared_ptr<Responder>& to) {
    if (seen.message.method != "tools/call") return false;
    auto stream = ScriptedEndpoint::Stream(to);
    stream->Write("event: message\ndata: {\"jsonrpc\":\"2.0\",\ndata:  \"method\":\"notifications/progress\"}\n\n");
    stream->Write("data: " + Request("\"q\"", "sampling/createMessage") + "\n\n");
    stream->Write("data: " + mcp::SerializeResult(seen.message.id, {{"n", 1}}) + "\n\n");
    stream->End();
    return true;
  });
  Start(endpoint);
  Open();
  Say(Request("12345678901234567890123", "tools/call"));
  EXPECT_EQ(Hear(), R"({"jsonrpc":"2.0",  "method":"notifications/progress"})");
  EXPECT_EQ(HearJson()["method"], "sampling/createMessage");
  EXPECT_EQ(Hear(), R"({"jsonrpc":"2.0","id":12345678901234567890123,"result":{"n":1}})");
  Say(R"({"jsonrpc":"2.0","id":"q","result":{}})");
  EXPECT_EQ(endpoint.Await("POST").http.body, R"({"jsonrpc":"2.0","id":"q","result":{}})");
}

TEST_F(ProxyTest, WhatTheEndpointSaysOnItsOwnIsHeardAndTheStreamTakenUpAgain) {
  std::atomic<int> gets{0};
  ScriptedEndpoint endpoint([&](const Seen& seen, const std::shared_ptr<Responder>& to) {
    if (seen.http.method != "GET" || ++gets > 2) return false;
    auto stream = ScriptedEndpoint::Stream(to);
    const std::string n = std::to_string(gets);
    stream->Write("retry: 1\nid: e" + n + "\ndata: " + mcp::SerializeNotification("notifications/message", {{"n", n}}) +
                  "\n\n");
    stream->End();
    return true;
  });
  Start(endpoint);
  Open();
  EXPECT_EQ(HearJson()["params"]["n"], "1");
  EXPECT_EQ(HearJson()["params"]["n"], "2");
  EXPECT_EQ(endpoint.Await("GET", 3).Header("Last-Event-ID"), "e2");
  EXPECT_EQ(endpoint.All("GET")[0].Header("Last-Event-ID"), "");
}

TEST_F(ProxyTest, AnEndpointWithoutAStreamOfItsOwnIsNotAskedTwice) {
  ScriptedEndpoint endpoint([](const Seen& seen, const std::shared_ptr<Responder>& to) {
    if (seen.http.method != "GET") return false;
    to->Send(http::TextResponse(405, ""));
    return true;
  });
  Start(endpoint);
  Open();
  endpoint.Await("GET");
  Say(Request("1", "ping"));
  EXPECT_EQ(HearJson()["id"], 1);
  End();
  EXPECT_EQ(endpoint.Count("GET"), 1);
  EXPECT_EQ(Complaints(), "");
}

TEST_F(ProxyTest, ABrokenAnswerIsTakenUpAgainWhereItBroke) {
  ScriptedEndpoint endpoint([](const Seen& seen, const std::shared_ptr<Responder>& to) {
    if (seen.http.method == "GET" && seen.Header("Last-Event-ID") == "c1") {
      auto stream = ScriptedEndpoint::Stream(to);
      stream->Write("data: " + mcp::SerializeResult("1", {{"late", true}}) + "\n\n");
      stream->End();
      return true;
    }
    if (seen.message.method != "tools/call") return false;
    auto stream = ScriptedEndpoint::Stream(to);
    stream->Write("id: c1\nretry: 1\ndata: \n\n");
    stream->End();
    return true;
  });
  Start(endpoint);
  Open();
  Say(Request("1", "tools/call"));
  EXPECT_EQ(HearJson()["result"]["late"], true);
  EXPECT_EQ(endpoint.Count("tools/call"), 1) << "never sent twice";
}

TEST_F(ProxyTest, ALostSessionIsOpenedAnewByTheClientsOwnHandshake) {
  ScriptedEndpoint endpoint;
  Start(endpoint);
  Open();
  endpoint.AwaitStream();
  endpoint.lost = true;
  Say(Request("1", "ping"));
  EXPECT_EQ(Hear(), R"({"jsonrpc":"2.0","id":1,"result":{}})");
  EXPECT_EQ(endpoint.sessions, 2);
  const Seen again = endpoint.Await("initialize", 2);
  EXPECT_EQ(again.http.body, kInitialize);
  EXPECT_EQ(again.Header("Mcp-Session-Id"), "");
  EXPECT_EQ(endpoint.Await("notifications/initialized", 2).Header("Mcp-Session-Id"), "s2");
  EXPECT_EQ(endpoint.Await("ping", 2).Header("Mcp-Session-Id"), "s2");
  End();
  EXPECT_EQ(endpoint.Await("DELETE").Header("Mcp-Session-Id"), "s2");
}

TEST_F(ProxyTest, ManyWhoSeeTheSessionGoneOpenOneAndEachIsAnsweredOnce) {
  ScriptedEndpoint endpoint;
  Start(endpoint);
  Open();
  endpoint.lost = true;
  std::set<int> wanted, heard;
  for (int i = 0; i < 200; ++i) {
    wanted.insert(i);
    Say(Request(std::to_string(i), "ping"));
  }
  for (int i = 0; i < 200; ++i) {
    const Json answer = HearJson();
    EXPECT_TRUE(answer.contains("result")) << answer;
    EXPECT_TRUE(heard.insert(answer["id"].get<int>()).second) << answer;
  }
  EXPECT_EQ(heard, wanted);
  EXPECT_EQ(endpoint.sessions, 2);
}

TEST_F(ProxyTest, ASessionThatCannotBeHadAgainIsAnErrorToTheRequest) {
  std::atomic<bool> refuse{false};
  ScriptedEndpoint endpoint([&](const Seen& seen, const std::shared_ptr<Responder>& to) {
    if (!refuse || seen.message.method != "initialize") return false;
    to->Send(http::TextResponse(503, "full"));
    return true;
  });
  Start(endpoint);
  Open();
  refuse = true;
  endpoint.lost = true;
  Say(Request("1", "ping"));
  const Json answer = HearJson();
  EXPECT_EQ(answer["id"], 1);
  EXPECT_NE(answer["error"]["message"].get<std::string>().find("no new one can be had"), std::string::npos) << answer;
}

// Requests that never get an answer from the endpoint.
class HoldingProxyTest : public ProxyTest {
 protected:
  bool Hold(const Seen& seen, const std::shared_ptr<Responder>& to) {
    if (seen.message.method != "tools/call" && seen.message.method != "subscriptions/listen") return false;
    auto stream = ScriptedEndpoint::Stream(to);
    stream->Write(": held\n\n");
    std::lock_guard<std::mutex> lock(mu_);
    held_.push_back(stream);
    return true;
  }
  // Whether the peer of the first of them goes away.
  bool Closes() {
    const Deadline deadline = Deadline::After(20s);
    while (!deadline.Expired()) {
      poll(nullptr, 0, 5);
      std::lock_guard<std::mutex> lock(mu_);
      held_.front()->Write(": still here\n\n");
      if (held_.front()->closed()) return true;
    }
    return false;
  }
  std::vector<std::shared_ptr<http::StreamWriter>> held_;
  ScriptedEndpoint endpoint_{[this](const Seen& seen, const std::shared_ptr<Responder>& to) { return Hold(seen, to); }};
};

TEST_F(HoldingProxyTest, ACancelledModernRequestIsClosedAndNotAnswered) {
  Start(endpoint_);
  Say(Modern("1", "tools/call"));
  endpoint_.Await("tools/call");
  Say(R"({"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}})");
  EXPECT_TRUE(Closes());
  Say(Modern("2", "ping"));
  EXPECT_EQ(HearJson()["id"], 2);
  EXPECT_EQ(endpoint_.Count("notifications/cancelled"), 0);
}

TEST_F(HoldingProxyTest, ACancelledLegacyRequestIsToldToTheEndpointToo) {
  Start(endpoint_);
  Open();
  Say(Request("\"a\"", "tools/call"));
  endpoint_.Await("tools/call");
  Say(R"({"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"a"}})");
  EXPECT_EQ(endpoint_.Await("notifications/cancelled").message.params["requestId"], "a");
  EXPECT_TRUE(Closes());
  Say(Request("2", "ping"));
  EXPECT_EQ(HearJson()["id"], 2);
}

TEST_F(HoldingProxyTest, AnIdInUseIsRefusedAndOneThatIsFreeAgainIsNot) {
  Start(endpoint_);
  Say(Modern("1", "tools/call"));
  endpoint_.Await("tools/call");
  Say(Modern("1", "ping"));
  EXPECT_EQ(HearJson()["error"]["code"], -32600);
  Say(R"({"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}})");
  Say(Modern("1", "ping"));
  EXPECT_TRUE(HearJson().contains("result"));
}

TEST_F(HoldingProxyTest, AtTheEndWhatIsUnderWayIsAnsweredWithAnErrorAfterTheFarewell) {
  Start(endpoint_, 100ms);
  Say(Modern("1", "tools/call"));
  Say(Modern("2", "subscriptions/listen"));
  endpoint_.Await("tools/call");
  endpoint_.Await("subscriptions/listen");
  in_.Reset();
  const Json answer = HearJson();
  EXPECT_EQ(answer["id"], 1);
  EXPECT_EQ(answer["error"]["message"], "the proxy has ended") << answer;
  EXPECT_EQ(Hear(), "") << "a request that only listens has nothing more to hear";
  End();
  EXPECT_TRUE(status_.ok()) << status_;
}

TEST_F(HoldingProxyTest, AtMostSixtyFourRequestsRunAtOnceAndTheOthersWait) {
  Start(endpoint_);
  for (int i = 0; i < 70; ++i) Say(Modern(std::to_string(i), "tools/call"));
  endpoint_.Await("tools/call", StdioProxy::kThreads);
  Say(Modern("\"last\"", "ping"));
  for (int i = 0; i < 70; ++i)
    Say(R"({"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":)" + std::to_string(i) + "}}");
  EXPECT_EQ(HearJson()["id"], "last");
  EXPECT_LE(endpoint_.Count("tools/call"), 70);
}

TEST_F(HoldingProxyTest, StopEndsItAsTheEndOfStdinDoes) {
  Start(endpoint_, 100ms);
  Open();
  Say(Request("1", "tools/call"));
  endpoint_.Await("tools/call");
  proxy_->Stop();
  EXPECT_EQ(HearJson()["id"], 1);
  endpoint_.Await("DELETE");
  if (thread_.joinable()) thread_.join();
  EXPECT_TRUE(status_.ok()) << status_;
}

TEST_F(HoldingProxyTest, AClientThatReadsNoMoreEndsIt) {
  Start(endpoint_);
  Say(Modern("1", "tools/call"));
  endpoint_.Await("tools/call");
  out_.Reset();
  Say(Modern("2", "ping"));
  thread_.join();
  EXPECT_EQ(status_.code(), StatusCode::kUnavailable) << status_;
}

TEST_F(ProxyTest, AnEndpointThatIsNotThereOrWantsATokenIsAnErrorToEachRequest) {
  ScriptedEndpoint endpoint;
  endpoint.token = "t";
  Start(endpoint, 5s, "t");
  Say(Modern("1", "ping"));
  EXPECT_TRUE(HearJson().contains("result"));
  End();
  Start(endpoint);
  Say(Modern("1", "ping"));
  EXPECT_EQ(Hear(), R"({"jsonrpc":"2.0","id":1,"error":{"code":-32001,"message":"who are you"}})");
  End();
  Start(endpoint);
  endpoint.Shut();
  Say(Modern("1", "ping"));
  const Json answer = HearJson();
  EXPECT_NE(answer["error"]["message"].get<std::string>().find("ping: "), std::string::npos) << answer;
  Say(kInitialize);
  EXPECT_EQ(HearJson()["id"], "i");
}

using ProxyProgramTest = McpctlTest;

TEST_F(ProxyProgramTest, TheProgramServesAClientOnItsPipes) {
  ScriptedEndpoint endpoint;
  const std::string input =
      std::string(kInitialize) + "\n" + kInitialized + "\n" + Request("1", "tools/list") + "\n" + Request("2", "ping");
  Ran ran = Run({"proxy", endpoint.url()}, input);
  EXPECT_EQ(ran.code, 0) << ran.err;
  EXPECT_EQ(ran.err, "");
  std::set<std::string> ids;
  for (const std::string& line : Split(ran.out, '\n')) {
    if (!line.empty()) ids.insert(DumpJson(Json::parse(line)["id"]));
  }
  EXPECT_EQ(ids, (std::set<std::string>{"\"i\"", "1", "2"})) << ran.out;
  EXPECT_EQ(endpoint.Count("DELETE"), 1);
  Ran nowhere = Run({"proxy", "nope"});
  EXPECT_EQ(nowhere.code, 1);
  EXPECT_NE(nowhere.err.find("has no endpoint"), std::string::npos) << nowhere.err;
}

}  // namespace
}  // namespace mcpfleet::cli
