// What the tests share: a node with every runtime that this machine has, and the same cases on both runtimes.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/fd.h"
#include "tests/fakes/docker_engine.h"
#include "tests/integration/node.h"

namespace mcpfleet {

// The engine with kTestImage in it; null where there is none (then DockerEngine::WhyNot()).
inline DockerEngine* EngineWithImage() {
  static DockerEngine* engine = [] {
    DockerEngine* started = DockerEngine::Shared();
    if (started == nullptr) return started;
    StatusOr<std::string> program = ReadFile(ProgramPath(kTestProgram), size_t{64} << 20);
    EXPECT_TRUE(program.ok()) << program.status();
    const std::string path = std::string("/") + kTestProgram;
    const Status imported = started->Import(kTestImage, {{.path = path, .content = program.value_or("")}},
                                            {"ENTRYPOINT [\"" + path + "\"]"});
    EXPECT_TRUE(imported.ok()) << imported;
    return started;
  }();
  return engine;
}

class IntegrationTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    static const bool swept = (SweepDeadRuns(), true);
    (void)swept;
  }
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "NOT RUN: needs root";
  }
};

enum class On { kProcess, kDocker };

class RuntimesTest : public IntegrationTest, public ::testing::WithParamInterface<On> {
 protected:
  void SetUp() override {
    IntegrationTest::SetUp();
    if (IsSkipped()) return;
    NodeOptions options = Options();
    if (GetParam() == On::kDocker) {
      if (EngineWithImage() == nullptr) GTEST_SKIP() << DockerEngine::WhyNot();
      options.docker_socket = EngineWithImage()->socket();
    }
    node_ = std::make_unique<Node>(options);
    node_->Start();
  }
  virtual NodeOptions Options() const { return {}; }
  Json Server(const std::string& name, const std::vector<std::string>& args = {},
              const Json& spec = Json::object()) const {
    return GetParam() == On::kDocker ? DockerServer(name, args, spec) : ProcessServer(name, args, spec);
  }

  std::unique_ptr<Node> node_;
};

inline std::string OnName(const ::testing::TestParamInfo<On>& info) {
  return info.param == On::kDocker ? "Docker" : "Process";
}

}  // namespace mcpfleet
