// tools, resources and prompts through a gateway's endpoint, and what happens when it can't be used.
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

#include <gtest/gtest.h>

#include "cli/gateway.h"
#include "cli/mcp_client.h"
#include "crd/codec.h"
#include "tests/cli/mcpctl.h"
#include "tests/cli/scripted_endpoint.h"

namespace mcpfleet::cli {
namespace {

using namespace std::chrono_literals;
using http::Responder;
using Seen = ScriptedEndpoint::Seen;

class ResourcesTest : public McpctlTest {
 protected:
  // The endpoint is also the admin API of the node, as far as its status goes.
  void Serve(ScriptedEndpoint& endpoint) {
    ServerStatus server = Ready("web", 1);
    server.endpoint = endpoint.url();
    endpoint.status = DumpJson(NodeStatusToJson(Node("edge-01", {server})));
    Out({"config", "set-context", "test", "--admin", endpoint.admin_url()});
  }
  void Expect(const Ran& ran, int code, const std::string& part) {
    EXPECT_EQ(ran.code, code) << ran.err << ran.out;
    EXPECT_NE((code == 0 ? ran.out : ran.err).find(part), std::string::npos) << ran.err << ran.out;
  }
};

TEST_F(ResourcesTest, ToolsAreListedAndCalledThroughTheEndpointOfTheStatus) {
  ScriptedEndpoint endpoint;
  Serve(endpoint);
  EXPECT_EQ(Out({"tools", "list", "web"}), "NAME   DESCRIPTION\necho   Says it again\nsum    \n");
  EXPECT_EQ(Out({"tools", "list", "web", "-o", "name"}), "echo\nsum\n");
  EXPECT_EQ(Out({"tools", "call", "mcp/web", "echo", "--arg", "message=x", "--arg", "site=Köln"}), "done\n");
  const Seen call = endpoint.Await("tools/call");
  EXPECT_EQ(call.Header("Mcp-Name"), "echo");
  EXPECT_EQ(call.Header("Mcp-Param-Site"), "=?base64?S8O2bG4=?=");
  EXPECT_EQ(endpoint.Count("initialize"), 0);
}

TEST_F(ResourcesTest, ResourcesAndPromptsAreListedAndRead) {
  ScriptedEndpoint endpoint;
  Serve(endpoint);
  EXPECT_EQ(Out({"resources", "list", "web", "-o", "wide"}),
            "URI        NAME   TYPE         SIZE   DESCRIPTION\ndemo://a   A      text/plain   5      first\n");
  EXPECT_EQ(Out({"resources", "templates", "web", "-o", "name"}), "demo://{id}\n");
  EXPECT_EQ(Out({"resources", "read", "web", "demo://a"}), "hello\n");
  EXPECT_EQ(Out({"resources", "read", "web", "demo://a", "--to", dir_ / "a.txt"}), "");
  EXPECT_EQ(Read("a.txt"), "hello");
  EXPECT_EQ(Out({"prompts", "list", "web", "-o", "jsonpath={.prompts[*].name}"}), "greet\n");
  EXPECT_EQ(Out({"prompts", "get", "web", "greet", "--arg", "who=Ada"}), "user:\nGreet Ada\n");
  Expect(Run({"prompts", "get", "web", "greet"}), 1, "the prompt also needs: who");
  Expect(Run({"prompts", "get", "web", "greet", "--arg", "whom=Ada"}), 1, "it has: who, how");
  Expect(Run({"prompts", "get", "web", "gret"}), 1, "did you mean \"greet\"?");
}

TEST_F(ResourcesTest, ALegacyEndpointGetsASessionThatIsDeletedAtTheEnd) {
  ScriptedEndpoint endpoint;
  endpoint.modern = false;
  Serve(endpoint);
  EXPECT_EQ(Out({"tools", "list", "web", "-o", "name"}), "echo\nsum\n");
  EXPECT_EQ(endpoint.Methods(), (std::vector<std::string>{"server/discover", "initialize", "notifications/initialized",
                                                          "tools/list", "tools/list", "DELETE"}));
  EXPECT_EQ(endpoint.All("DELETE").front().Header("Mcp-Session-Id"), "s1");
}

TEST_F(ResourcesTest, AProtectedServerSaysHowToGiveATokenAndTakesItFromFileOrEnvironment) {
  ScriptedEndpoint endpoint;
  endpoint.token = "s3cret";
  Serve(endpoint);
  Ran ran = Run({"tools", "list", "web"});
  Expect(ran, 1, "--token-file FILE or MCPCTL_TOKEN");
  EXPECT_EQ(ran.err.find("set-context"), std::string::npos) << "not the context's token: " << ran.err;
  const std::string file = File("token", "s3cret\n");
  Expect(Run({"tools", "list", "web", "--token-file", file}), 0, "echo");
  env_["MCPCTL_TOKEN"] = "s3cret";
  Expect(Run({"resources", "list", "web"}), 0, "demo://a");
  env_["MCPCTL_TOKEN"] = "wrong";
  Expect(Run({"resources", "list", "web"}), 1, "does not accept the token");
  Expect(Run({"tools", "list", "web", "--token-file", File("empty", "\n")}), 1, "holds no token");
}

TEST_F(ResourcesTest, AServerWithoutAnEndpointSaysWhyAndWhatToDo) {
  ScriptedEndpoint endpoint;
  ServerStatus server = Ready("web", 1, ConditionStatus::kFalse, "CrashLoopBackOff");
  server.endpoint = "";
  endpoint.status = DumpJson(NodeStatusToJson(Node("edge-01", {server})));
  Out({"config", "set-context", "test", "--admin", endpoint.admin_url()});
  Ran ran = Run({"tools", "list", "web", "--via", "gateway"});
  Expect(ran, 1, "default/web has no endpoint: on node edge-01 it is not ready: CrashLoopBackOff");
  EXPECT_NE(ran.err.find("mcpctl describe mcp/web"), std::string::npos) << ran.err;
  Expect(Run({"tools", "list", "nope", "--via", "gateway"}), 1, "no node has reported it");
  Expect(Run({"tools", "list", "web", "--via", "tunnel"}), 2, "--via");
}

TEST_F(ResourcesTest, AutoAsksMcpletWhereNobodyListensAndGatewayDoesNot) {
  ScriptedEndpoint endpoint, gone;
  ServerStatus server = Ready("web", 1);
  server.endpoint = gone.url();
  endpoint.status = DumpJson(NodeStatusToJson(Node("edge-01", {server})));
  gone.Shut();
  Out({"config", "set-context", "test", "--admin", endpoint.admin_url()});
  // The admin API of the script knows no servers: its refusal shows that it was asked.
  Ran automatic = Run({"tools", "list", "web", "-v"});
  EXPECT_EQ(automatic.code, 1);
  EXPECT_NE(automatic.err.find("asking mcplet instead"), std::string::npos) << automatic.err;
  EXPECT_NE(automatic.err.find("admin: POST /v1/servers/default/web/call"), std::string::npos) << automatic.err;
  Ran must = Run({"tools", "list", "web", "--via", "gateway"});
  Expect(must, 1, "Connection refused");
  EXPECT_NE(must.err.find("mcpctl describe mcp/web"), std::string::npos) << must.err;
}

TEST_F(ResourcesTest, WhatAServerAsksForInsteadOfAnsweringIsSaid) {
  ScriptedEndpoint endpoint([](const Seen& seen, const std::shared_ptr<Responder>& to) {
    if (seen.message.method != "tools/call") return false;
    ScriptedEndpoint::Result(
        to, seen,
        Json::parse(
            R"({"resultType":"input_required","inputRequests":{"k":{"method":"elicitation/create","params":{"message":"Which city?"}}}})"));
    return true;
  });
  Serve(endpoint);
  Expect(Run({"tools", "call", "web", "sum"}), 1, "elicitation/create (\"Which city?\")");
}

TEST_F(ResourcesTest, ABusyGatewayIsNoReasonToGoRoundIt) {
  ScriptedEndpoint endpoint([](const Seen&, const std::shared_ptr<Responder>& to) {
    http::Response busy = http::JsonResponse(503, mcp::SerializeError("null", -32000, "8 sessions are open"));
    busy.headers.Set("Retry-After", "7");
    to->Send(busy);
    return true;
  });
  Serve(endpoint);
  Ran ran = Run({"tools", "list", "web", "-v"});
  Expect(ran, 1, "8 sessions are open; it asks to wait 7 s");
  EXPECT_EQ(ran.err.find("admin: POST"), std::string::npos) << ran.err;
}

TEST_F(ResourcesTest, CtrlCTellsALegacyServerAndDeletesTheSession) {
  std::mutex mu;
  std::vector<std::shared_ptr<Responder>> held;
  ScriptedEndpoint endpoint([&](const Seen& seen, const std::shared_ptr<Responder>& to) {
    if (seen.message.method != "tools/call") return false;
    std::lock_guard<std::mutex> lock(mu);
    held.push_back(to);  // no answer comes
    return true;
  });
  endpoint.modern = false;
  Serve(endpoint);
  const std::string program = std::string(MCPFLEET_BINARY_DIR) + "/mcpctl";
  const std::string url = endpoint.url();
  const pid_t pid = fork();
  if (pid == 0) {
    execl(program.c_str(), "mcpctl", "tools", "call", url.c_str(), "sum", nullptr);
    _exit(126);
  }
  endpoint.Await("tools/call");
  kill(pid, SIGINT);
  int status = 0;
  waitpid(pid, &status, 0);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 130) << status;
  EXPECT_EQ(endpoint.Await("notifications/cancelled").message.params["requestId"],
            Json::parse(endpoint.All("tools/call").front().message.id));
  endpoint.Await("DELETE");
  std::lock_guard<std::mutex> lock(mu);
  held.clear();
}

TEST(McpClientTest, ProgressIsShownAndAStreamThatBreaksIsTakenUpAgain) {
  ScriptedEndpoint endpoint([](const Seen& seen, const std::shared_ptr<Responder>& to) {
    if (seen.http.method == "GET") {
      auto stream = ScriptedEndpoint::Stream(to);
      stream->Write("data: " + mcp::SerializeResult("7", {{"from", seen.Header("Last-Event-ID")}}) + "\n\n");
      stream->End();
      return true;
    }
    if (seen.message.method != "slow") return false;
    auto stream = ScriptedEndpoint::Stream(to);
    const Json progress = {{"progressToken", seen.message.params["_meta"]["progressToken"]},
                           {"progress", 1},
                           {"total", 2},
                           {"message", "half"}};
    stream->Write("id: a\nretry: 1\ndata: \n\n");
    stream->Write("id: b\ndata: " + mcp::SerializeNotification("notifications/progress", progress) + "\n\n");
    stream->Write("id: c\ndata: " + mcp::SerializeRequest("\"q\"", "sampling/createMessage", Json::object()) + "\n\n");
    stream->End();  // without the answer
    return true;
  });
  endpoint.modern = false;
  std::string shown;
  McpClient::Options options{
      .token = {}, .on_progress = [&](const std::string& line) { shown = line; }, .on_request = {}};
  auto client = McpClient::Connect(endpoint.url(), options, Deadline::After(20s));
  ASSERT_TRUE(client.ok()) << client.status();
  StatusOr<Json> first = (*client)->Call("ping", Json::object(), Deadline::After(20s));
  for (int i = 0; i < 3; ++i) (void)(*client)->Call("ping", Json::object(), Deadline::After(20s));
  StatusOr<Json> result = (*client)->Call("slow", Json::object(), Deadline::After(20s));
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ((*result)["from"], "c");
  EXPECT_EQ(shown, "1 of 2: half");
  const Seen refusal = endpoint.Await("POST");  // an answer has no method
  EXPECT_EQ(refusal.message.id, "\"q\"");
  EXPECT_EQ(refusal.message.error_code, mcp::kMethodNotFound);
}

TEST(McpClientTest, ALostSessionIsReplacedAndTheCallGoesOn) {
  ScriptedEndpoint endpoint;
  endpoint.modern = false;
  auto client = McpClient::Connect(endpoint.url(), {}, Deadline::After(20s));
  ASSERT_TRUE(client.ok()) << client.status();
  endpoint.lost = true;
  EXPECT_TRUE((*client)->Call("ping", Json::object(), Deadline::After(20s)).ok());
  EXPECT_EQ(endpoint.sessions, 2);
}

TEST(McpClientTest, SilenceMeetsTheDeadlineAndAnInterruptEndsTheWait) {
  std::mutex mu;
  std::vector<std::shared_ptr<Responder>> held;
  ScriptedEndpoint endpoint([&](const Seen& seen, const std::shared_ptr<Responder>& to) {
    if (seen.message.method != "silent") return false;
    std::lock_guard<std::mutex> lock(mu);
    held.push_back(to);
    return true;
  });
  auto client = McpClient::Connect(endpoint.url(), {}, Deadline::After(20s));
  ASSERT_TRUE(client.ok()) << client.status();
  StatusOr<Json> late = (*client)->Call("silent", Json::object(), Deadline::After(100ms));
  EXPECT_EQ(late.status().code(), StatusCode::kDeadlineExceeded) << late.status();
  std::thread user([&] {
    endpoint.Await("silent", 2);
    (*client)->Interrupt();
  });
  StatusOr<Json> stopped = (*client)->Call("silent", Json::object(), Deadline::After(20s));
  EXPECT_EQ(stopped.status().code(), StatusCode::kCancelled) << stopped.status();
  user.join();
  std::lock_guard<std::mutex> lock(mu);
  held.clear();
}

TEST(EndpointChoiceTest, AReadyNodeThatCanBeReachedIsPreferred) {
  const auto node = [](const std::string& name, const std::string& endpoint, ConditionStatus ready) {
    ServerStatus server{.key = {"default", "web"}};
    server.endpoint = endpoint;
    server.conditions = {{.type = "Ready", .status = ready, .reason = "R"}};
    return NodeStatus{.node = name, .servers = {server}};
  };
  const std::vector<NodeStatus> nodes = {node("a", "http://127.0.0.1:8700/default/web/mcp", ConditionStatus::kTrue),
                                         node("b", "https://edge.example.com/default/web/mcp", ConditionStatus::kFalse),
                                         node("c", "https://edge.example.org/default/web/mcp", ConditionStatus::kTrue)};
  EXPECT_EQ(ChooseEndpoint(nodes, {"default", "web"}, false)->node, "c");
  EXPECT_EQ(ChooseEndpoint(nodes, {"default", "web"}, true)->node, "c") << "it works from elsewhere too";
  EXPECT_EQ(ChooseEndpoint({nodes[0], nodes[1]}, {"default", "web"}, true)->node, "a") << "the other is not ready";
  StatusOr<ServerEndpoint> far = ChooseEndpoint({nodes[0]}, {"default", "web"}, false);
  ASSERT_TRUE(far.ok());
  EXPECT_FALSE(far->local);
  EXPECT_NE(Message(ExplainGatewayError(Unavailable("refused"), *far)).find("loopback of node a"), std::string::npos);
  EXPECT_EQ(ChooseEndpoint(nodes, {"default", "nope"}, true).status().code(), StatusCode::kFailedPrecondition);
}

}  // namespace
}  // namespace mcpfleet::cli
