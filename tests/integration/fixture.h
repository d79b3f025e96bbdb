// What the tests share: a node with every runtime that this machine has, and the same cases on both runtimes.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/fd.h"
#include "tests/fakes/containerd_engine.h"
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

// The same for containerd, of whichever series is found; null where there is none (then WhyNoContainerd()).
inline ContainerdEngine* ContainerdWithImage() {
  static ContainerdEngine* engine = [] {
    ContainerdEngine* started = ContainerdEngine::Any();
    if (started == nullptr) return started;
    const StatusOr<std::string> program = ReadFile(ProgramPath(kTestProgram), size_t{64} << 20);
    EXPECT_TRUE(program.ok()) << program.status();
    const std::string path = std::string("/") + kTestProgram;
    const Status imported =
        started->Import(ContainerdSpace(), kTestImage, {{.path = path, .content = program.value_or("")}},
                        "{\"Entrypoint\": [\"" + path + "\"]}");
    EXPECT_TRUE(imported.ok()) << imported;
    return started;
  }();
  return engine;
}
inline std::string WhyNoContainerd() {
  std::string why;
  for (const char* version : {"1.6", "1.7", "2"}) why += ContainerdEngine::WhyNot(version) + "\n";
  return why;
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

enum class On { kProcess, kDocker, kContainerd };

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
    if (GetParam() == On::kContainerd) {
      if (ContainerdWithImage() == nullptr) GTEST_SKIP() << WhyNoContainerd();
      options.containerd = ContainerdWithImage();
    }
    node_ = std::make_unique<Node>(options);
    node_->Start();
  }
  virtual NodeOptions Options() const { return {}; }
  Json Server(const std::string& name, const std::vector<std::string>& args = {},
              const Json& spec = Json::object()) const {
    switch (GetParam()) {
      case On::kProcess:
        return ProcessServer(name, args, spec);
      case On::kDocker:
        return DockerServer(name, args, spec);
      case On::kContainerd:
        return ContainerdServer(name, args, spec);
    }
    return nullptr;
  }

  std::unique_ptr<Node> node_;
};

inline std::string OnName(const ::testing::TestParamInfo<On>& info) {
  switch (info.param) {
    case On::kProcess:
      return "Process";
    case On::kDocker:
      return "Docker";
    case On::kContainerd:
      return "Containerd";
  }
  return "";
}

}  // namespace mcpfleet
