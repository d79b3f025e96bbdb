// A few of the seeds that MCPFLEET_SEEDS asks for (see store_sim_test.cc), since each is an hour of two
// hundred nodes; MCPFLEET_SEED=17 replays that one.
#include <algorithm>

#include <gtest/gtest.h>

#include "tests/sim/placement_simulation.h"
#include "tests/sim/simulation.h"

namespace mcpfleet {
namespace {

std::vector<uint64_t> FleetSeeds() {
  std::vector<uint64_t> seeds = Seeds();
  seeds.resize(std::min(seeds.size(), std::max<size_t>(4, seeds.size() / 150)));
  return seeds;
}

TEST(PlacementSimulation, ReplicasAreKeptByNodesThatKnowNothingOfEachOther) {
  for (const uint64_t seed : FleetSeeds()) {
    ASSERT_EQ(PlacementSimulation(seed).RunFaults(), "") << "replay with MCPFLEET_SEED=" << seed;
  }
}

TEST(PlacementSimulation, AHostileListAddsReplicasOrDelaysThemAndStopsNone) {
  std::vector<uint64_t> seeds = FleetSeeds();
  seeds.resize(std::max<size_t>(1, seeds.size() / 2));
  for (const uint64_t seed : seeds) {
    ASSERT_EQ(PlacementSimulation(seed).RunHostile(), "") << "replay with MCPFLEET_SEED=" << seed;
  }
}

TEST(PlacementSimulation, ASeedTellsTheSameStoryTwice) {
  PlacementSimulation once(3), again(3);
  EXPECT_EQ(once.RunFaults(), again.RunFaults());
  EXPECT_EQ(once.fingerprint(), again.fingerprint());
}

}  // namespace
}  // namespace mcpfleet
