#include "gitops/sync_status.h"

#include <nlohmann/json.hpp>

#include "tests/fakes/fake_kv.h"
#include "tests/store/testing.h"

namespace mcpfleet {
namespace {

SyncStatus Full() {
  FakeClock clock;
  SyncStatus status{
      .name = "fleet", .url = "https://git.example.com/fleet.git", .branch = "main", .path = "sites/berlin"};
  status.interval = std::chrono::minutes(5);
  status.seen = {std::string(40, 'b'), "broken", "Ann <ann@example.com>", "", clock.Wall()};
  status.applied = {std::string(40, 'a'), "weather v2", "Ann <ann@example.com>", "ann@example.com", clock.Wall()};
  status.applied_at = status.reported_at = clock.Wall();
  status.head = "1.2.3";
  status.objects = 4;
  status.pruned = 1;
  status.version = "0.1.0";
  SetCondition(&status.conditions, {.type = "Ready", .status = ConditionStatus::kFalse, .reason = "InvalidManifests"},
               clock.Wall());
  return status;
}

TEST(SyncStatusTest, ComesBackAsItWasWritten) {
  const SyncStatus status = Full();
  auto back = SyncStatusFromJson(SyncStatusToJson(status));
  ASSERT_OK(back);
  EXPECT_EQ(SyncStatusToJson(*back), SyncStatusToJson(status));
  EXPECT_EQ(back->applied, status.applied);
  EXPECT_EQ(back->seen, status.seen);
  EXPECT_EQ(back->interval, status.interval);
}

TEST(SyncStatusTest, AnotherObjectIsRefused) {
  EXPECT_FALSE(SyncStatusFromJson({{"kind", "MCPServer"}}).ok());
  EXPECT_FALSE(SyncStatusFromJson({{"kind", "GitSync"}}).ok());
  EXPECT_FALSE(SyncStatusFromJson("text").ok());
}

TEST(SyncStatusTest, StatusesAreListedByNameAndThoseOfNodesAreNone) {
  FakeClock clock;
  FakeKv kv(clock);
  SyncStatus other = Full();
  other.name = "alarm";
  ASSERT_OK(WriteSyncStatus(kv, Full(), testing::Soon()));
  ASSERT_OK(WriteSyncStatus(kv, other, testing::Soon()));
  ASSERT_OK(kv.Put("nodes/edge-01", "{}", {}, testing::Soon()));
  ASSERT_OK(kv.Put("syncs/damaged", "{", {}, testing::Soon()));
  auto read = ReadSyncStatuses(kv, testing::Soon());
  ASSERT_OK(read);
  ASSERT_EQ(read->size(), 2u);
  EXPECT_EQ((*read)[0].name, "alarm");
  EXPECT_EQ((*read)[1].name, "fleet");
}

}  // namespace
}  // namespace mcpfleet
