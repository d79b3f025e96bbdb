// MCPFLEET_SEEDS=20000 runs more, MCPFLEET_FIRST_SEED=10001 begins there, MCPFLEET_SEED=17 replays one with its trace.
#include <gtest/gtest.h>

#include "base/log.h"
#include "tests/sim/simulation.h"

namespace mcpfleet {
namespace {

TEST(ControllerSimulation, InvariantsHoldAtEveryStepAndItConvergesOnceFaultsStop) {
  SetLogLevel(LogLevel::kError);
  for (const uint64_t seed : Seeds()) {
    Simulation simulation(seed);
    const std::string broken = simulation.Run();
    ASSERT_EQ(broken, "") << "replay with MCPFLEET_SEED=" << seed;
  }
}

// Each told of a defect, of the product or of the operator here.
TEST(ControllerSimulation, SeedsThatOnceFailed) {
  SetLogLevel(LogLevel::kError);
  for (const uint64_t seed : {11133U, 14396U}) {
    Simulation simulation(seed);
    EXPECT_EQ(simulation.Run(), "") << "seed " << seed;
  }
}

}  // namespace
}  // namespace mcpfleet
