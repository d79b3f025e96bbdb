// MCPFLEET_SEEDS=20000 runs more, MCPFLEET_FIRST_SEED=10001 begins there, MCPFLEET_SEED=17 replays one with its trace.
#include <gtest/gtest.h>

#include "base/log.h"
#include "tests/sim/store_simulation.h"

namespace mcpfleet {
namespace {

TEST(StoreSimulation, NoStateOfTheStoreMakesTheNodeForgetOrStopWhatNobodyDeletedAndItConvergesOnceFaultsStop) {
  SetLogLevel(LogLevel::kError);
  for (const uint64_t seed : Seeds()) {
    StoreSimulation simulation(seed);
    const std::string broken = simulation.Run();
    ASSERT_EQ(broken, "") << "replay with MCPFLEET_SEED=" << seed;
  }
}

TEST(StoreSimulation, ASeedTellsTheSameStoryTwice) {
  SetLogLevel(LogLevel::kError);
  for (uint64_t seed = 1; seed <= 5; ++seed) {
    StoreSimulation once(seed), again(seed);
    EXPECT_EQ(once.Run(), again.Run());
    EXPECT_EQ(once.fingerprint(), again.fingerprint()) << "seed " << seed;
  }
}

// Each told of a defect, of the product or of the operator here.
TEST(StoreSimulation, SeedsThatOnceFailed) {
  SetLogLevel(LogLevel::kError);
  for (const uint64_t seed : {4823U, 8240U, 8623U, 10492U}) {
    StoreSimulation simulation(seed);
    EXPECT_EQ(simulation.Run(), "") << "seed " << seed;
  }
}

}  // namespace
}  // namespace mcpfleet
