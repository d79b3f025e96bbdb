// Servers with replicas, through the real mcpctl: against the embedded store, and against one with a Worker's list in
// front.
#include <gtest/gtest.h>

#include "base/http/client.h"
#include "base/http/server.h"
#include "base/mutex.h"
#include "tests/cli/mcpctl.h"

namespace mcpfleet::cli {
namespace {

std::string Replicated(const std::string& name, int replicas) {
  return "---\napiVersion: mcpfleet.dev/v1alpha1\nkind: MCPServer\nmetadata: {name: " + name +
         "}\nspec:\n  source: {image: {ref: \"example/web:1\"}}\n  placement: {replicas: " + std::to_string(replicas) +
         "}\n";
}

std::string Declared(const std::string& name) {
  return "---\napiVersion: mcpfleet.dev/v1alpha1\nkind: MCPNode\nmetadata: {name: " + name + "}\n";
}

class ReplicasTest : public McpctlTest {};

TEST_F(ReplicasTest, AStoreWithoutTheListRefusesThemAndNothingIsWritten) {
  const Ran ran = Run({"apply", "-f", "-"}, Replicated("web", 2));
  EXPECT_EQ(ran.code, 1);
  EXPECT_NE(
      ran.err.find("mcpserver.mcpfleet.dev/web: spec.placement.replicas: this store does not tell its nodes which "
                   "of them are down"),
      std::string::npos)
      << ran.err;
  EXPECT_EQ(Head(), "");
  EXPECT_EQ(Run({"apply", "--dry-run=client", "-f", "-"}, Replicated("web", 2)).code, 0);
  EXPECT_EQ(Run({"apply", "--dry-run=server", "-f", "-"}, Replicated("web", 2)).code, 1);
}

// Answers GET /v1/down itself and passes the rest on to the embedded store.
class WorkerTest : public McpctlTest {
 protected:
  WorkerTest() : store_client_(http::TcpEndpoint("127.0.0.1", store_.server().port()), {}) {
    auto server = http::Server::Create(
        {.worker_threads = 1}, [this](const http::Request& request, const std::shared_ptr<http::Responder>& to) {
          to->Send(request.target == "/v1/down" ? http::JsonResponse(200, DownAnswer()) : FromStore(request));
        });
    EXPECT_TRUE(server.ok()) << server.status();
    front_ = *std::move(server);
    Out({"config", "set-context", "worker", "--server", "http://127.0.0.1:" + std::to_string(front_->port()),
         "--token-stdin", "--use"},
        testing::kOperatorToken);
  }
  void SetDown(Json list) {
    MutexLock lock(&mu_);
    down_ = std::move(list);
  }
  static Json Down(std::vector<std::string> nodes) {
    return {{"sequence", 1}, {"nodes", std::move(nodes)}, {"frozen", false}};
  }

 private:
  std::string DownAnswer() {
    MutexLock lock(&mu_);
    return DumpJson({{"result", down_}, {"success", true}, {"errors", Json::array()}, {"messages", Json::array()}});
  }
  http::Response FromStore(const http::Request& request) {
    http::Request passed{.method = request.method, .target = request.target, .headers = {}, .body = request.body};
    for (const char* name : {"Authorization", "Content-Type", "If-Match", "If-None-Match"}) {
      if (const auto value = request.headers.Get(name)) passed.headers.Set(name, *value);
    }
    StatusOr<http::Response> answer = store_client_.Do(passed, testing::Soon());
    if (!answer.ok()) return http::TextResponse(502, "the store is gone");
    http::Response response{.status = answer->status, .headers = {}, .body = answer->body};
    for (const char* name : {"Content-Type", "ETag"}) {
      if (const auto value = answer->headers.Get(name)) response.headers.Set(name, *value);
    }
    return response;
  }

  Mutex mu_;
  Json down_ GUARDED_BY(mu_) = Down({});
  http::Client store_client_;
  std::unique_ptr<http::Server> front_;
};

TEST_F(WorkerTest, GetAndDescribeCountReplicas) {
  Apply(Replicated("web", 2) + Declared("a") + Declared("b") + Declared("c"));
  for (const char* node : {"a", "b", "c"}) Report(Node(node, {Ready("web", 1)}));
  EXPECT_NE(Out({"get", "mcp"}).find("2/2     Ready"), std::string::npos) << Out({"get", "mcp"});
  const std::string described = Out({"describe", "mcp/web"});
  EXPECT_NE(described.find("2 wanted, 2 Ready"), std::string::npos) << described;
  EXPECT_NE(described.find("(its place)"), std::string::npos) << described;
  EXPECT_NE(described.find("(hands it over)"), std::string::npos) << described;
  EXPECT_NE(Out({"rollout", "status", "web", "--watch=false"}).find("condition met"), std::string::npos);
  SetDown(Down({"a", "b"}));
  EXPECT_NE(Out({"get", "mcp"}).find("1/2     TooFewNodes"), std::string::npos) << Out({"get", "mcp"});
  EXPECT_NE(Out({"describe", "mcp/web"}).find("(down, another node has its place)"), std::string::npos);
  const Ran status = Run({"rollout", "status", "web", "--watch=false"});
  EXPECT_NE(status.err.find("1 of 2 replicas are Ready; TooFewNodes: 2 replicas are wanted"), std::string::npos)
      << status.err;
}

TEST_F(WorkerTest, AListThatCantBeReadIsSaid) {
  Apply(Replicated("web", 1) + Declared("a"));
  SetDown("nothing of the kind");
  const Ran ran = Run({"get", "mcp"});
  EXPECT_EQ(ran.code, 0);
  EXPECT_NE(ran.err.find("warning: which nodes are down is not known: down: not an object"), std::string::npos)
      << ran.err;
}

}  // namespace
}  // namespace mcpfleet::cli
