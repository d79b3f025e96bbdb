#include <csignal>

#include "tests/contract/runtime_contract.h"
#include "tests/fakes/fake_runtime.h"

namespace mcpfleet {
namespace {

class FakeUnderTest final : public RuntimeUnderTest {
 public:
  FakeUnderTest() {
    engine_.SetProgram([](const InstanceSpec& spec) {
      const std::string payload = spec.spec.args.at(0);
      FakeProgram program;
      if (payload == "exit3") program.exits = ExitInfo{.code = 3};
      if (payload == "kill") program.exits = ExitInfo{.signal = SIGKILL};
      program.ignores_term = payload == "stubborn";
      if (payload == "lines") program.lines = {"line 1", "line 2", "line 3", "line 4", "line 5"};
      return program;
    });
  }
  std::unique_ptr<ContainerRuntime> Open(const std::string& node) override {
    return std::make_unique<FakeRuntime>(engine_, FakeRuntimeOptions{.node = node});
  }
  std::optional<InstanceSpec> Spec(const std::string& id, Payload payload) override {
    InstanceSpec spec{.id = id, .server = {"default", "weather"}, .uid = "u-1", .generation = 7, .revision = "r1"};
    spec.spec.source = ImageSource{.ref = "weather:v1"};
    switch (payload) {
      case Payload::kRunsUntilStopped:
        spec.spec.args = {"run"};
        break;
      case Payload::kExitsWith3:
        spec.spec.args = {"exit3"};
        break;
      case Payload::kKillsItself:
        spec.spec.args = {"kill"};
        break;
      case Payload::kIgnoresTerm:
        spec.spec.args = {"stubborn"};
        break;
      case Payload::kPrintsLines:
        spec.spec.args = {"lines"};
        break;
    }
    spec.artifact = Open("puller")->Pull(spec.spec, nullptr, Deadline::Never()).value();
    return spec;
  }
  bool AddForeign(const std::string& name) override {
    engine_.AddForeign(name);
    return true;
  }
  bool ForeignRuns(const std::string& name) override { return engine_.HasForeign(name); }

 private:
  SystemClock clock_;
  FakeEngine engine_{clock_};
};

std::unique_ptr<RuntimeUnderTest> MakeFakeUnderTest(std::string*) { return std::make_unique<FakeUnderTest>(); }

INSTANTIATE_TEST_SUITE_P(Fake, RuntimeContract, testing::Values(ContractCase{"Fake", &MakeFakeUnderTest}),
                         ContractCaseName);

}  // namespace
}  // namespace mcpfleet
