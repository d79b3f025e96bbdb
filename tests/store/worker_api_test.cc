#include "store/worker_api.h"

#include <nlohmann/json.hpp>

#include "base/mutex.h"
#include "tests/base/http_testing.h"
#include "tests/store/testing.h"

namespace mcpfleet {
namespace {

using namespace testing;

// Answers every request alike, and remembers the last one.
class Answering {
 public:
  explicit Answering(http::Response response)
      : server_(
            http::MustServe({}, [this, response](http::Request& request, const std::shared_ptr<http::Responder>& to) {
              MutexLock lock(&mu_);
              last_ = request;
              to->Send(response);
            })) {}
  http::Request last() {
    MutexLock lock(&mu_);
    return last_;
  }
  std::unique_ptr<WorkerApi> Client() const {
    auto api = WorkerApi::Create({.base_url = "http://127.0.0.1:" + std::to_string(server_->port()),
                                  .token = "secret-token-value",
                                  .max_attempts = 1});
    EXPECT_TRUE(api.ok()) << api.status();
    return *std::move(api);
  }

 private:
  Mutex mu_;
  http::Request last_ GUARDED_BY(mu_);
  std::unique_ptr<http::Server> server_;
};

http::Response Refusal(int status, int code, const std::string& message) {
  return http::JsonResponse(status, R"({"result":null,"success":false,"errors":[{"code":)" + std::to_string(code) +
                                        R"(,"message":")" + message + R"("}],"messages":[]})");
}

TEST(WorkerApiTest, AnAnswerIsItsResultAndWhatIsSaidOfItsPages) {
  Answering worker(http::JsonResponse(
      200, R"({"result":[{"name":"a"}],"success":true,"errors":[],"messages":[],"result_info":{"cursor":"c"}})"));
  const auto answer = worker.Client()->Get("/v1/nodes?limit=10", Soon());
  ASSERT_OK(answer);
  EXPECT_EQ(GetString(answer->result[0], "name"), "a");
  EXPECT_EQ(GetString(answer->result_info, "cursor"), "c");
  EXPECT_EQ(worker.last().target, "/v1/nodes?limit=10");
  EXPECT_EQ(worker.last().headers.Get("Authorization"), "Bearer secret-token-value");
}

TEST(WorkerApiTest, ARefusalThatAsksToWaitSaysHowLong) {
  http::Response busy = Refusal(429, 10000, "the node uploads too much");
  busy.headers.Set("Retry-After", "17");
  Answering worker(busy);
  const Status status = worker.Client()->Get("/v1/logs", Soon()).status();
  EXPECT_EQ(status.code(), StatusCode::kUnavailable);
  EXPECT_EQ(RetryAfterOf(status), 17);
  EXPECT_EQ(RetryAfterOf(OkStatus()), 0);
  EXPECT_EQ(RetryAfterOf(Unavailable("another")), 0);
}

TEST(WorkerApiTest, ABodyIsSentAsItIsGiven) {
  Answering worker(http::JsonResponse(200, R"({"result":null,"success":true})"));
  ASSERT_OK(worker.Client()->Send("PATCH", "/v1/nodes/a", {{"tunnel", nullptr}}, Soon()));
  EXPECT_EQ(worker.last().method, "PATCH");
  EXPECT_EQ(worker.last().body, R"({"tunnel":null})");
  EXPECT_EQ(worker.last().headers.Get("Content-Type"), "application/json");
  const std::string bytes("\0\xff\r\n", 4);
  ASSERT_OK(worker.Client()->PutBytes("/v1/logs/a/b-1", "application/octet-stream", bytes, {{"Mcpfleet-First", "t"}},
                                      Soon()));
  EXPECT_EQ(worker.last().body, bytes);
  EXPECT_EQ(worker.last().headers.Get("Mcpfleet-First"), "t");
}

TEST(WorkerApiTest, ARefusalHasTheWorkersOwnWords) {
  const std::pair<int, StatusCode> kinds[] = {
      {400, StatusCode::kInvalidArgument},   {401, StatusCode::kUnauthenticated},
      {403, StatusCode::kPermissionDenied},  {404, StatusCode::kNotFound},
      {409, StatusCode::kAlreadyExists},     {410, StatusCode::kFailedPrecondition},
      {412, StatusCode::kAborted},           {422, StatusCode::kInvalidArgument},
      {429, StatusCode::kUnavailable},       {500, StatusCode::kUnavailable},
      {428, StatusCode::kFailedPrecondition}};
  for (const auto& [http_status, code] : kinds) {
    Answering worker(Refusal(http_status, 10047, "the join has expired"));
    const Status status = worker.Client()->Get("/v1/joins/0", Soon()).status();
    EXPECT_EQ(status.code(), code) << http_status;
    EXPECT_NE(Message(status).find("the join has expired"), std::string_view::npos) << status;
    EXPECT_EQ(status.ToString().find("secret"), std::string::npos);
  }
}

TEST(WorkerApiTest, AStoreWithoutAWorkerSaysSo) {
  for (const auto& response : {Refusal(404, 7003, "no route"), http::TextResponse(404, "<html>not found</html>")}) {
    Answering store(response);
    EXPECT_EQ(store.Client()->Get("/v1/nodes", Soon()).status().code(), StatusCode::kFailedPrecondition);
  }
}

TEST(WorkerApiTest, WhatIsNotTheWorkersAnswerIsNoNews) {
  for (const auto& response : {http::TextResponse(200, "<html>welcome</html>"), http::JsonResponse(200, "[]"),
                               http::JsonResponse(200, R"({"result":{},"success":false})"),
                               http::TextResponse(403, "blocked by a firewall")}) {
    Answering proxy(response);
    EXPECT_EQ(proxy.Client()->Get("/v1/nodes", Soon()).status().code(), StatusCode::kUnavailable) << response.body;
  }
}

TEST(WorkerApiTest, TheWorkersWordsCanNotSteerATerminal) {
  Answering worker(Refusal(400, 1, R"(red: \u001b[31m)"));
  EXPECT_EQ(worker.Client()->Get("/v1/nodes", Soon()).status().ToString().find('\x1b'), std::string::npos);
}

}  // namespace
}  // namespace mcpfleet
