// What every ContainerRuntime owes the controller, as one suite that runs on the fake, on Docker and on the process
// sandbox: the fake is only worth what it shares with reality.
//
// To run it on a runtime, implement RuntimeUnderTest and instantiate in a .cc of this folder:
//
//   INSTANTIATE_TEST_SUITE_P(Docker, RuntimeContract, testing::Values(ContractCase{"Docker", &MakeDockerUnderTest}),
//   ContractCaseName);
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <ostream>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "base/clock.h"
#include "base/mutex.h"
#include "controller/ports/container_runtime.h"

namespace mcpfleet {

// What the first process of an instance does.
enum class Payload {
  kRunsUntilStopped,  // ends soon after SIGTERM
  kExitsWith3,        // prints nothing, exits 3 at once
  kKillsItself,       // dies of SIGKILL at once
  kIgnoresTerm,       // only SIGKILL ends it
  kPrintsLines,       // "line 1" … "line 5" on stderr, then runs until stopped
};

// The same as a line for the shell of a container engine's image, and a spec that has it, its image pulled by `puller`.
std::string ContainerScript(Payload payload);
InstanceSpec ContainerSpec(ContainerRuntime& puller, const std::string& image, const std::string& id, Payload payload);

// One world with one engine in it; runtimes opened from it share the engine.
class RuntimeUnderTest {
 public:
  virtual ~RuntimeUnderTest() = default;
  virtual std::unique_ptr<ContainerRuntime> Open(const std::string& node) = 0;
  // A spec of this runtime, its artifact already pulled. nullopt: this runtime can't have such a first process; the
  // test is skipped and says so.
  virtual std::optional<InstanceSpec> Spec(const std::string& id, Payload payload) = 0;
  // Something beside us in the same engine that carries no label of ours. False where there is no such thing.
  virtual bool AddForeign(const std::string& name) = 0;
  virtual bool ForeignRuns(const std::string& name) = 0;
  // Whether a spec's arguments are a command line of busybox, so that a test can look around inside.
  virtual bool RunsBusybox() const { return false; }
  // Whether a user that is not root can be given capabilities.
  virtual bool GivesCapabilitiesToAll() const { return true; }
};

struct ContractCase {
  std::string name;
  // Null with a reason where the runtime can't run here: the tests are skipped, loudly.
  std::function<std::unique_ptr<RuntimeUnderTest>(std::string* why_not)> make;
};
inline void PrintTo(const ContractCase& contract, std::ostream* out) { *out << contract.name; }
inline std::string ContractCaseName(const testing::TestParamInfo<ContractCase>& info) { return info.param.name; }

class RuntimeContract : public testing::TestWithParam<ContractCase> {
 protected:
  void SetUp() override;
  void TearDown() override;
  // An id that no other test uses.
  std::string Id(const std::string& name);
  std::string Node(const std::string& name);
  // Creates and starts; remembered for TearDown.
  Status Run(ContainerRuntime& runtime, const InstanceSpec& spec);
  // The instance as the runtime lists it; nullopt when it does not.
  std::optional<InstanceReport> Find(ContainerRuntime& runtime, const std::string& id);
  // Lists until the instance is in the state.
  std::optional<InstanceReport> Await(ContainerRuntime& runtime, const std::string& id, InstanceState state);
  Deadline Soon() const { return Deadline::After(std::chrono::seconds(60)); }

  std::unique_ptr<RuntimeUnderTest> world_;
  std::unique_ptr<ContainerRuntime> runtime_;
  std::string serial_;
  std::vector<std::pair<std::string, std::string>> made_;  // node, id
};
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(RuntimeContract);

}  // namespace mcpfleet
