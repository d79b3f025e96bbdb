// Real workerd with our Worker in it, for tests: what mcplet and mcpctl talk to in a fleet on Cloudflare.
#pragma once

#include <signal.h>

#include <unistd.h>

#include <cstdlib>
#include <memory>
#include <string>

#include "base/fd.h"
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
  explicit Worker(const std::string& sources) {
    char pattern[] = "/tmp/mcpfleet-worker-XXXXXX";
    directory_ = mkdtemp(pattern);
    pid_ = StartProgram({sources + "/dev/node", sources + "/dev/serve.mjs", "--dir", directory_ + "/state"}, Log());
    WaitFor([this] { return !(url_ = FirstLine()).empty(); });
    EXPECT_TRUE(url_.starts_with("http://127.0.0.1:")) << ReadFile(Log(), 4096).value_or("");
  }
  ~Worker() {
    EXPECT_EQ(EndProgram(pid_, SIGTERM), 0);
    EXPECT_TRUE(RemoveTree(directory_).ok());
  }
  const std::string& url() const { return url_; }
  const std::string& directory() const { return directory_; }
  std::string OperatorToken() const { return ReadFile(directory_ + "/state/operator-token", 4096).value_or(""); }

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
    worker_ = std::make_unique<Worker>(sources);
  }
  void TearDown() override {
    node_.reset();
    worker_.reset();
  }
  // `options` but for the store, which is the Worker with a token from that file.
  void MakeNodeOfWorker(NodeOptions options, const std::string& token_file) {
    options.store_url = worker_->url();
    options.store_token_file = token_file;
    node_ = std::make_unique<Node>(options);
    const CommandResult context =
        node_->Mcpctl({"config", "set-context", "worker", "--server", worker_->url(), "--token-stdin", "--use"},
                      worker_->OperatorToken());
    ASSERT_TRUE(context.ok()) << context;
  }

  std::unique_ptr<Worker> worker_;
  std::unique_ptr<Node> node_;
};

}  // namespace mcpfleet
