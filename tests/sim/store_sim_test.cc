// MCPFLEET_SEEDS=20000 runs more, MCPFLEET_SEED=17 replays one with its trace.
#include <gtest/gtest.h>

#include <cstdlib>

#include "base/log.h"
#include "tests/sim/store_simulation.h"

namespace mcpfleet {
namespace {

TEST(StoreSimulation, NoStateOfTheStoreMakesTheNodeForgetOrStopWhatNobodyDeletedAndItConvergesOnceFaultsStop) {
  SetLogLevel(LogLevel::kError);
  const char* one = getenv("MCPFLEET_SEED");
  const char* many = getenv("MCPFLEET_SEEDS");
  const uint64_t first = one != nullptr ? strtoull(one, nullptr, 10) : 1;
  const uint64_t count = one != nullptr ? 1 : many != nullptr ? strtoull(many, nullptr, 10) : 600;
  for (uint64_t seed = first; seed < first + count; ++seed) {
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

}  // namespace
}  // namespace mcpfleet
