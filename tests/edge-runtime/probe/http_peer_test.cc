// McpProber over Streamable HTTP: against a scripted server (base/http) and server-everything from npm.
#include "edge-runtime/probe/http_peer.h"

#include <gtest/gtest.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <atomic>
#include <mutex>

#include "base/http/server.h"
#include "edge-runtime/probe/mcp_prober.h"
#include "tests/edge-runtime/probe/npm_server.h"

namespace mcpfleet {
namespace {

using namespace std::chrono_literals;
using http::JsonResponse;
using http::Request;
using http::Responder;
using http::Response;

constexpr char kInitializeResult[] =
    R"({"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":{"name":"web","version":"3"}})";
constexpr char kTools[] = R"({"tools":[{"name":"alpha","inputSchema":{"type":"object"}}]})";

class HttpPeerTest : public testing::Test {
 protected:
  using Handler = std::function<void(const Request&, const mcp::Message&, const std::shared_ptr<Responder>&)>;

  void Serve(const Handler& handler) {
    auto server = http::Server::Create({.worker_threads = 4},
                                       [this, handler](const Request& request, const std::shared_ptr<Responder>& to) {
                                         mcp::Message message;
                                         if (request.method == "POST") {
                                           StatusOr<mcp::Message> parsed = mcp::ParseMessage(request.body);
                                           if (!parsed.ok()) return to->Send(http::TextResponse(400, "not a message"));
                                           message = *std::move(parsed);
                                         }
                                         {
                                           std::lock_guard<std::mutex> lock(mu_);
                                           seen_.push_back(request.method == "POST" ? message.method : request.method);
                                         }
                                         handler(request, message, to);
                                       });
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
  }
  // A legacy server with sessions "s1", "s2", …
  void ServeLegacy() {
    Serve([this](const Request& request, const mcp::Message& message, const std::shared_ptr<Responder>& to) {
      std::string session = request.headers.Get("Mcp-Session-Id").value_or("");
      if (message.method == "initialize") {
        Response response = JsonResponse(200, mcp::SerializeResult(message.id, Json::parse(kInitializeResult)));
        response.headers.Set("Mcp-Session-Id", "s" + std::to_string(++sessions_));
        return to->Send(response);
      }
      if (session.empty()) return to->Send(JsonResponse(400, mcp::SerializeError("", -32000, "no session")));
      if (session != "s" + std::to_string(sessions_.load()) || lost_.exchange(false)) {
        return to->Send(JsonResponse(404, mcp::SerializeError("", -32001, "Session not found")));
      }
      if (request.method == "DELETE") return to->Send(http::TextResponse(200, ""));
      if (request.headers.Get("MCP-Protocol-Version") != "2025-11-25")
        return to->Send(http::TextResponse(400, "version"));
      if (message.kind != mcp::MessageKind::kRequest) return to->Send(http::TextResponse(202, ""));
      if (message.method == "tools/list") {
        return to->Send(JsonResponse(200, mcp::SerializeResult(message.id, Json::parse(kTools))));
      }
      if (message.method == "tools/call") return Stream(message, to);
      to->Send(JsonResponse(200, mcp::SerializeResult(message.id, Json::object())));
    });
  }
  // A notification and a question of the server, then the answer.
  void Stream(const mcp::Message& message, const std::shared_ptr<Responder>& to) {
    Response head;
    head.headers.Set("Content-Type", "text/event-stream");
    std::shared_ptr<http::StreamWriter> stream = to->StartStream(head);
    stream->Write("id: 1\nretry: 10\ndata: \n\n");
    stream->Write(R"(event: message
data: {"jsonrpc":"2.0","method":"notifications/tools/list_changed"}

data: {"jsonrpc":"2.0","id":"q1","method":"sampling/createMessage","params":{}}

)");
    stream->Write("data: " + mcp::SerializeResult(message.id, {{"streamed", true}}) + "\n\n");
    stream->End();
  }
  ProbeTarget Target(const std::string& path = "/mcp") {
    ProbeTarget target;
    target.server = {"default", "web"};
    target.instance = "i1";
    target.transport = Transport::kStreamableHttp;
    target.url = "http://127.0.0.1:" + std::to_string(server_ ? server_->port() : 1) + path;
    return target;
  }
  int Seen(const std::string& method) {
    std::lock_guard<std::mutex> lock(mu_);
    return static_cast<int>(std::count(seen_.begin(), seen_.end(), method));
  }
  Status VerifyAgainst(int status, const std::string& body = "") {
    Serve([=](const Request&, const mcp::Message&, const std::shared_ptr<Responder>& to) {
      Response response = http::TextResponse(status, body);
      if (status == 302) response.headers.Set("Location", "/elsewhere");
      to->Send(response);
    });
    return prober_.Verify(Target(), Deadline::After(10s)).status();
  }

  std::mutex mu_;
  std::vector<std::string> seen_;
  std::atomic<int> sessions_{0};
  std::atomic<bool> lost_{false};
  std::unique_ptr<http::Server> server_;
  SystemClock clock_;
  McpProber prober_{clock_, {}};
};

TEST_F(HttpPeerTest, ALegacyServerGetsOneSessionThatIsPingedAndDeleted) {
  ServeLegacy();
  for (int i = 0; i < 3; ++i) {
    StatusOr<Verification> found = prober_.Verify(Target(), Deadline::After(10s));
    ASSERT_TRUE(found.ok()) << found.status();
    EXPECT_EQ(found->server_info.name, "web");
    EXPECT_EQ(found->catalog.tool_names, (std::vector<std::string>{"alpha"}));
    EXPECT_TRUE(prober_.Ping(Target(), 0s, Deadline::After(10s)).ok());
  }
  EXPECT_EQ(Seen("initialize"), 1);
  EXPECT_EQ(Seen("notifications/initialized"), 1);
  EXPECT_EQ(Seen("ping"), 3);
  prober_.Forget("i1");
  EXPECT_EQ(Seen("DELETE"), 1);
}

TEST_F(HttpPeerTest, AServerThatLostItsSessionGetsANewOneAndTheCallGoesOn) {
  ServeLegacy();
  ASSERT_TRUE(prober_.Verify(Target(), Deadline::After(10s)).ok());
  lost_ = true;
  StatusOr<Json> result = prober_.Call(Target(), "tools/list", Json::object(), Deadline::After(10s));
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(sessions_, 2);
}

TEST_F(HttpPeerTest, AStreamedAnswerIsFoundAndTheServersQuestionAnswered) {
  ServeLegacy();
  ASSERT_TRUE(prober_.Verify(Target(), Deadline::After(10s)).ok());
  EXPECT_FALSE(prober_.CatalogDirty("i1"));
  int told = 0;
  prober_.SetCatalogListener([&told](const ServerKey&) { ++told; });
  StatusOr<Json> result = prober_.Call(Target(), "tools/call", {{"name", "alpha"}}, Deadline::After(10s));
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(told, 1);
  EXPECT_EQ((*result)["streamed"], true);
  EXPECT_TRUE(prober_.CatalogDirty("i1"));
  EXPECT_EQ(Seen(""), 1);  // our answer to q1: a response has no method
}

TEST_F(HttpPeerTest, AModernServerGetsItsHeadersAndNoSession) {
  std::atomic<bool> headers_right{true};
  Serve([&](const Request& request, const mcp::Message& message, const std::shared_ptr<Responder>& to) {
    bool right = request.headers.Get("MCP-Protocol-Version") == "2026-07-28" &&
                 request.headers.Get("Mcp-Method") == message.method && !request.headers.Has("Mcp-Session-Id") &&
                 message.params["_meta"]["io.modelcontextprotocol/protocolVersion"] == "2026-07-28";
    if (message.method == "tools/call") {
      right = right && request.headers.Get("Mcp-Name") == "=?base64?w6Q=?=" &&
              request.headers.Get("Mcp-Param-Site") == "berlin";
    }
    if (!right) headers_right = false;
    if (message.method == "server/discover") {
      return to->Send(JsonResponse(
          200,
          mcp::SerializeResult(
              message.id,
              Json::parse(
                  R"({"resultType":"complete","supportedVersions":["2026-07-28"],"capabilities":{"tools":{}}})"))));
    }
    to->Send(JsonResponse(
        200,
        mcp::SerializeResult(
            message.id,
            Json::parse(
                R"({"resultType":"complete","tools":[{"name":"ä","inputSchema":{"type":"object","properties":{"site":{"type":"string","x-mcp-header":"Site"}}}}]})"))));
  });
  StatusOr<Verification> found = prober_.Verify(Target(), Deadline::After(10s));
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_TRUE(found->modern);
  EXPECT_TRUE(
      prober_.Call(Target(), "tools/call", {{"name", "ä"}, {"arguments", {{"site", "berlin"}}}}, Deadline::After(10s))
          .ok());
  EXPECT_TRUE(prober_.Ping(Target(), 0s, Deadline::After(10s)).ok());
  EXPECT_TRUE(headers_right);
  EXPECT_EQ(Seen("initialize"), 0);
  EXPECT_EQ(Seen("server/discover"), 2);
}

TEST_F(HttpPeerTest, MissingCredentialsAreNamed) {
  Status status = VerifyAgainst(401);
  EXPECT_EQ(status.code(), StatusCode::kFailedPrecondition);
  EXPECT_NE(Message(status).find("401"), std::string::npos) << status;
  EXPECT_NE(Message(status).find("credentials"), std::string::npos) << status;
}

TEST_F(HttpPeerTest, ARedirectIsNotFollowed) {
  Status status = VerifyAgainst(302);
  EXPECT_EQ(status.code(), StatusCode::kFailedPrecondition);
  EXPECT_NE(Message(status).find("redirect"), std::string::npos) << status;
  EXPECT_EQ(Seen("server/discover"), 1);
}

TEST_F(HttpPeerTest, AnOverloadedServerIsUnavailableAndAWebPageIsNoMcp) {
  EXPECT_EQ(VerifyAgainst(503, "busy").code(), StatusCode::kUnavailable);
  Status status = VerifyAgainst(404, "<html>not here</html>");
  EXPECT_EQ(status.code(), StatusCode::kFailedPrecondition);
  EXPECT_NE(Message(status).find("not here"), std::string::npos) << status;
}

TEST_F(HttpPeerTest, NobodyListeningIsUnavailableAndSilenceMeetsTheDeadline) {
  EXPECT_EQ(prober_.Verify(Target(), Deadline::After(5s)).status().code(), StatusCode::kUnavailable);
  std::mutex held_mu;
  std::vector<std::shared_ptr<Responder>> held;
  Serve([&](const Request&, const mcp::Message&, const std::shared_ptr<Responder>& to) {
    std::lock_guard<std::mutex> lock(held_mu);
    held.push_back(to);
  });
  EXPECT_EQ(prober_.Verify(Target(), Deadline::After(200ms)).status().code(), StatusCode::kDeadlineExceeded);
  std::lock_guard<std::mutex> lock(held_mu);
  held.clear();
}

TEST_F(HttpPeerTest, HeadersOfARemoteServerAreSent) {
  std::string token;
  Serve([&](const Request& request, const mcp::Message&, const std::shared_ptr<Responder>& to) {
    token = request.headers.Get("Authorization").value_or("");
    to->Send(http::TextResponse(403, ""));
  });
  ProbeTarget target = Target();
  target.instance = "";
  target.headers = {{"Authorization", "Bearer x"}};
  EXPECT_EQ(prober_.Verify(target, Deadline::After(5s)).status().code(), StatusCode::kFailedPrecondition);
  EXPECT_EQ(token, "Bearer x");
  EXPECT_EQ(McpProber::PeerKey(target), "remote:default/web");
}

TEST_F(HttpPeerTest, ANetworkNamespaceIsEnteredThroughTheHook) {
  ServeLegacy();
  EXPECT_EQ(prober_
                .Verify(
                    [&] {
                      ProbeTarget t = Target();
                      t.network_pid = 7;
                      return t;
                    }(),
                    Deadline::After(5s))
                .status()
                .code(),
            StatusCode::kUnimplemented);
  std::atomic<int> entered{0};
  McpProberOptions options;
  options.connect_in_namespace = [&](int pid, const std::string& host, uint16_t, Deadline) -> StatusOr<UniqueFd> {
    entered += pid == 7 && host == "127.0.0.1";
    UniqueFd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(server_->port());
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) return Unavailable("connect");
    return fd;
  };
  McpProber prober(clock_, options);
  ProbeTarget target = Target();
  target.url = "http://127.0.0.1:9999/mcp";  // inside the namespace
  target.network_pid = 7;
  StatusOr<Verification> found = prober.Verify(target, Deadline::After(5s));
  EXPECT_TRUE(found.ok()) << found.status();
  EXPECT_GE(entered, 1);
}

TEST_F(HttpPeerTest, ServerEverythingOverHttpIsVerified) {
  std::string why;
  const std::string script = NpmScript("@modelcontextprotocol/server-everything/dist/index.js", &why);
  if (script.empty()) GTEST_SKIP() << "SKIPPED: " << why;
  // It can't choose a port itself: take one that was free a moment ago.
  uint16_t port = 0;
  {
    Serve([](const Request&, const mcp::Message&, const std::shared_ptr<Responder>& to) { to->Send({}); });
    port = server_->port();
    server_.reset();
  }
  ChildProcess child({"node", script, "streamableHttp"}, {"PORT=" + std::to_string(port)});
  ProbeTarget target = Target();
  target.url = "http://127.0.0.1:" + std::to_string(port) + "/mcp";
  StatusOr<Verification> found = Unavailable("not asked");
  Deadline deadline = Deadline::After(60s);
  while (!found.ok() && found.status().code() == StatusCode::kUnavailable && !deadline.Expired()) {
    found = prober_.Verify(target, deadline);
  }
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_FALSE(found->modern);
  EXPECT_EQ(found->catalog.tools, 13);
  StatusOr<Json> echo =
      prober_.Call(target, "tools/call", {{"name", "echo"}, {"arguments", {{"message", "over http"}}}}, deadline);
  ASSERT_TRUE(echo.ok()) << echo.status();
  EXPECT_EQ((*echo)["content"][0]["text"], "Echo: over http");
  EXPECT_TRUE(prober_.Ping(target, 0s, deadline).ok());
  prober_.Forget("i1");
}

}  // namespace
}  // namespace mcpfleet
