// What keeps the children of one instance apart: real shims, real landlock, and kernels that lack it.
#include <gtest/gtest.h>

#include <condition_variable>
#include <mutex>
#include <optional>

#include "base/strings.h"
#include "tests/edge-runtime/shim/shim_world.h"

namespace mcpfleet::shim_test {
namespace {

constexpr char kInstance[] = "apart";

StatusOr<ClientChild> SpawnClient(ShimHost* host, const std::vector<std::string>& argv) {
  std::mutex mu;
  std::condition_variable told;
  std::optional<StatusOr<ClientChild>> outcome;
  host->SpawnClient(kInstance, argv, {}, [&](StatusOr<ClientChild> child) {
    const std::lock_guard<std::mutex> lock(mu);
    outcome = std::move(child);
    told.notify_all();
  });
  std::unique_lock<std::mutex> lock(mu);
  told.wait(lock, [&] { return outcome.has_value(); });
  return *std::move(outcome);
}

// What a child of one client can do to that of another: "signal done", "trace refused", …
std::vector<std::string> Prowl(World* world) {
  const auto victim = SpawnClient(&world->host(), ChildArgv("victim"));
  EXPECT_TRUE(victim.ok()) << victim.status();
  Lines of_victim(victim->channel);
  EXPECT_TRUE(of_victim.WaitFor(1));
  const auto prowler = SpawnClient(&world->host(), ChildArgv("prowler", {of_victim.all().at(0)}));
  EXPECT_TRUE(prowler.ok()) << prowler.status();
  Lines of_prowler(prowler->channel);
  EXPECT_TRUE(of_prowler.WaitFor(7)) << Join(of_prowler.all(), "\n");
  EXPECT_TRUE(victim->channel->Send("still here", Soon()).ok());
  EXPECT_TRUE(of_victim.WaitFor(2));
  return of_prowler.all();
}

// The users that servers run as: root has no capabilities either.
class IsolationTest : public testing::TestWithParam<int> {
 protected:
  void Start(Landlock kernel) {
    ShimProcessOptions options;
    options.uid = GetParam();
    options.landlock = kernel;
    world_.Start(kInstance, options);
  }
  World world_;
};

TEST_P(IsolationTest, AChildCanNeitherTraceNorReadNorSignalNorReachTheChildOfAnotherClient) {
  if (LandlockAbiHere() < 6) GTEST_SKIP() << "this kernel has landlock ABI " << LandlockAbiHere() << ", 6 is needed";
  Start(Landlock::kAsItIs);
  EXPECT_EQ(world_.host().SeparatesClients(kInstance), true);
  EXPECT_EQ(Prowl(&world_),
            (std::vector<std::string>{"signal refused", "trace refused", "memory refused", "environment refused",
                                      "descriptor refused", "copy refused", "socket refused"}));
}

TEST_P(IsolationTest, WithoutLandlockTheHostSaysThatNothingKeepsChildrenApart) {
  Start(Landlock::kAbsent);
  EXPECT_EQ(world_.host().SeparatesClients(kInstance), false);
  const std::vector<std::string> done = Prowl(&world_);
  EXPECT_EQ(done.front(), "signal done");
  EXPECT_EQ(done.back(), "socket done");
}

TEST_P(IsolationTest, AChildThatCantBeKeptApartDoesNotStart) {
  if (LandlockAbiHere() < 6) GTEST_SKIP() << "this kernel has landlock ABI " << LandlockAbiHere() << ", 6 is needed";
  Start(Landlock::kRefused);
  EXPECT_EQ(world_.host().SeparatesClients(kInstance), true);
  const auto child = SpawnClient(&world_.host(), ChildArgv("echo"));
  EXPECT_EQ(child.status().code(), StatusCode::kFailedPrecondition) << child.status();
  EXPECT_NE(Message(child.status()).find("landlock: Operation not permitted"), std::string::npos) << child.status();
  EXPECT_TRUE(Eventually([&] { return world_.host().ClientCount(kInstance) == 0; }));
}

TEST_P(IsolationTest, WhetherChildrenAreKeptApartIsKnownWhileTheShimIsConnected) {
  EXPECT_EQ(world_.host().SeparatesClients(kInstance), std::nullopt);
  Start(Landlock::kAsItIs);
  EXPECT_NE(world_.host().SeparatesClients(kInstance), std::nullopt);
  world_.RestartHost();
  EXPECT_NE(world_.host().SeparatesClients(kInstance), std::nullopt) << "the shim says it to each mcplet";
  world_.host().Forget(kInstance);
  EXPECT_EQ(world_.host().SeparatesClients(kInstance), std::nullopt);
}

INSTANTIATE_TEST_SUITE_P(Users, IsolationTest, testing::Values(65534, 0),
                         [](const auto& test) { return test.param == 0 ? "Root" : "Nobody"; });

}  // namespace
}  // namespace mcpfleet::shim_test
