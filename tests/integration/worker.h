// Real workerd with our Worker in it, for tests: what mcplet and mcpctl talk to in a fleet on Cloudflare.
#pragma once

#include <signal.h>

#include <unistd.h>

#include <cstdlib>
#include <memory>
#include <string>
#include <utility>

#include <nlohmann/json.hpp>

#include "base/digest.h"
#include "base/fd.h"
#include "base/http/client.h"
#include "base/json.h"
#include "base/strings.h"
#include "tests/integration/fixture.h"
#include "tests/integration/node.h"

namespace mcpfleet {

// The Worker on a port of the system's choice, with its state in a directory of its own.
class Worker {
 public:
  static constexpr char kNotRun[] =
      "NOT RUN: MCPFLEET_TEST_WORKER does not name cloud/worker with its packages; scripts/test does";
  // cloud/worker with its packages installed; "" where there is none.
  static std::string Sources() {
    const char* sources = getenv("MCPFLEET_TEST_WORKER");
    return sources == nullptr ? "" : sources;
  }
  // `settings`: some of those of cloud/worker/src/env.ts, beside the operator's token.
  explicit Worker(const std::string& sources, Json settings = Json::object()) {
    char pattern[] = "/tmp/mcpfleet-worker-XXXXXX";
    directory_ = mkdtemp(pattern);
    const std::string state = directory_ + "/state", token = RandomHex(32);
    const Json entry = {{"name", "test operator"}, {"sha256", Sha256Hex(token)}, {"role", "operator"}};
    settings["tokens"] = Json::array({entry});
    settings["loopbackTunnels"] = true;
    EXPECT_TRUE(MakeDirectories(state, 0700).ok());
    EXPECT_TRUE(WriteFileAtomically(state + "/operator-token", token + "\n").ok());
    EXPECT_TRUE(WriteFileAtomically(directory_ + "/settings", DumpJson(settings)).ok());
    pid_ = StartProgram(
        {sources + "/dev/node", sources + "/dev/serve.mjs", "--dir", state, "--settings", directory_ + "/settings"},
        Log());
    WaitFor([this] { return !(url_ = FirstLine()).empty(); }, std::chrono::seconds(120));
    EXPECT_TRUE(url_.starts_with("http://127.0.0.1:")) << ReadFile(Log(), 4096).value_or("");
  }
  ~Worker() {
    EXPECT_EQ(EndProgram(pid_, SIGTERM), 0);
    EXPECT_TRUE(RemoveTree(directory_).ok());
  }
  const std::string& url() const { return url_; }
  const std::string& directory() const { return directory_; }
  std::string OperatorToken() const { return ReadFile(directory_ + "/state/operator-token", 4096).value_or(""); }
  // What it answers an operator; null on an error.
  Json Ask(const std::string& method, const std::string& target, const Json& body = nullptr) const {
    http::Client client(
        http::TcpEndpoint("127.0.0.1", static_cast<uint16_t>(std::stoi(url_.substr(url_.rfind(':') + 1)))), {});
    http::Request request{.method = method, .target = target, .body = body.is_null() ? "" : DumpJson(body)};
    request.headers.Set("Authorization", "Bearer " + std::string(Trim(OperatorToken())));
    if (!body.is_null()) request.headers.Set("Content-Type", "application/json");
    const auto answer = client.Do(request, Deadline::After(std::chrono::seconds(30)));
    if (!answer.ok()) return nullptr;
    const auto json = ParseJson(answer->body);
    return json.ok() ? GetMember(*json, "result") : Json();
  }

 private:
  std::string Log() const { return directory_ + "/log"; }
  std::string FirstLine() const {
    const std::string text = ReadFile(Log(), 4096).value_or("");
    const size_t end = text.find('\n');
    return end == std::string::npos ? "" : text.substr(0, end);
  }
  std::string directory_, url_;
  pid_t pid_ = -1;
};

// A Worker, a node of it, and mcpctl as its operator. Skipped where there is no Worker.
class WorkerFixture : public IntegrationTest {
 protected:
  void SetUp() override {
    IntegrationTest::SetUp();
    if (IsSkipped()) return;
    const std::string sources = Worker::Sources();
    if (sources.empty()) GTEST_SKIP() << Worker::kNotRun;
    worker_ = std::make_unique<Worker>(sources, Settings());
  }
  virtual Json Settings() const { return Json::object(); }
  void TearDown() override {
    node_.reset();
    worker_.reset();
  }
  // `options` but for the store, which is the Worker with a token from that file.
  void MakeNodeOfWorker(NodeOptions options, const std::string& token_file) {
    options.store_url = worker_->url();
    options.store_token_file = token_file;
    node_ = std::make_unique<Node>(options);
    MakeOperator(*node_);
  }
  // This node's mcpctl is an operator's.
  void MakeOperator(Node& node) {
    const CommandResult context =
        node.Mcpctl({"config", "set-context", "worker", "--server", worker_->url(), "--token-stdin", "--use"},
                    worker_->OperatorToken());
    ASSERT_TRUE(context.ok()) << context;
  }

  std::unique_ptr<Worker> worker_;
  std::unique_ptr<Node> node_;
};

}  // namespace mcpfleet
