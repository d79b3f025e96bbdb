#include "gitops/apply_set.h"

#include "tests/store/testing.h"

namespace mcpfleet {
namespace {

using testing::Server;

Object Owned(const std::string& name, const std::string& set) {
  Object object = Server(name);
  if (!set.empty()) object.metadata.labels[kApplySetLabel] = set;
  return object;
}
std::map<ObjectKey, Object> Stored(const std::vector<Object>& objects) {
  std::map<ObjectKey, Object> out;
  for (const Object& object : objects) out[KeyOf(object)] = object;
  return out;
}
std::vector<ManifestObject> Manifests(const std::vector<Object>& objects) {
  std::vector<ManifestObject> out;
  int line = 1;
  for (const Object& object : objects) out.push_back({object, "fleet.yaml", line += 10, {}});
  return out;
}
std::vector<std::string> Removed(const ChangeSet& changes) {
  std::vector<std::string> names;
  for (const ObjectKey& key : changes.remove) names.push_back(key.name);
  return names;
}
using Names = std::vector<std::string>;
ApplySetOptions Pruning(const std::string& name = "shop") { return {.name = name, .prune = true}; }

TEST(ApplySetTest, EveryManifestGetsTheLabelOfItsSet) {
  auto changes = PlanApplySet({}, Manifests({Server("a"), Owned("b", "shop")}), {.name = "shop"});
  ASSERT_OK(changes);
  ASSERT_EQ(changes->set.size(), 2u);
  for (const Object& object : changes->set) EXPECT_EQ(ApplySetOf(object), "shop");
  EXPECT_EQ(changes->apply_set, "shop");
  EXPECT_TRUE(changes->manifests);
}

TEST(ApplySetTest, PruneDeletesWhatTheSetOwnsAndNoManifestNamesAndNothingElse) {
  const auto stored = Stored({Owned("a", "shop"), Owned("old", "shop"), Owned("theirs", "bank"), Owned("nobodys", "")});
  auto changes = PlanApplySet(stored, Manifests({Server("a")}), Pruning());
  ASSERT_OK(changes);
  EXPECT_EQ(Removed(*changes), Names{"old"});
  auto without = PlanApplySet(stored, Manifests({Server("a")}), {.name = "shop"});
  ASSERT_OK(without);
  EXPECT_EQ(Removed(*without), Names{});
}

TEST(ApplySetTest, AnObjectOfNoSetIsTakenOverWhenAManifestNamesIt) {
  auto changes = PlanApplySet(Stored({Owned("a", "")}), Manifests({Server("a")}), Pruning());
  ASSERT_OK(changes);
  EXPECT_EQ(changes->set.size(), 1u);
}

TEST(ApplySetTest, AnObjectOfAnotherSetIsRefusedByFileAndLine) {
  auto changes = PlanApplySet(Stored({Owned("a", "bank")}), Manifests({Server("a")}), Pruning());
  EXPECT_EQ(changes.status().code(), StatusCode::kFailedPrecondition);
  EXPECT_EQ(Message(changes.status()),
            "fleet.yaml:11: MCPServer/default/a belongs to apply set bank, not to shop; to hand it over, remove its "
            "label mcpfleet.dev/applyset first");
}

TEST(ApplySetTest, AManifestThatSaysAnotherSetIsRefused) {
  auto changes = PlanApplySet({}, Manifests({Owned("a", "bank")}), {.name = "shop"});
  EXPECT_EQ(changes.status().code(), StatusCode::kInvalidArgument);
  EXPECT_NE(Message(changes.status()).find("fleet.yaml:11: metadata.labels[mcpfleet.dev/applyset]: is \"bank\""),
            std::string::npos)
      << changes.status();
}

TEST(ApplySetTest, MoreThanTheShareIsRefusedUnlessItIsForced) {
  const auto stored = Stored({Owned("a", "shop"), Owned("b", "shop"), Owned("c", "shop"), Owned("x", "bank")});
  auto refused = PlanApplySet(stored, Manifests({Server("a")}), Pruning());
  EXPECT_EQ(refused.status().code(), StatusCode::kFailedPrecondition);
  EXPECT_NE(Message(refused.status()).find("would delete 2 of the 3 objects of apply set shop, more than 50 %"),
            std::string::npos)
      << refused.status();
  ApplySetOptions forced = Pruning();
  forced.limit.force = true;
  ASSERT_OK(PlanApplySet(stored, Manifests({Server("a")}), forced));
  ApplySetOptions two_thirds = Pruning();
  two_thirds.limit.most_percent = 67;
  ASSERT_OK(PlanApplySet(stored, Manifests({Server("a")}), two_thirds));
}

TEST(ApplySetTest, TheShareIsExactAtItsEdges) {
  EXPECT_TRUE(CheckShare(0, 0, {}, "x").ok());
  EXPECT_TRUE(CheckShare(1, 2, {}, "x").ok());
  EXPECT_FALSE(CheckShare(1, 1, {}, "x").ok());
  EXPECT_FALSE(CheckShare(2, 3, {.most_percent = 66}, "x").ok());
  EXPECT_TRUE(CheckShare(3, 3, {.most_percent = 100}, "x").ok());
  EXPECT_FALSE(CheckShare(1, 1000, {.most_percent = 0}, "x").ok());
}

TEST(ApplySetTest, PercentagesAreWholeNumbersUpToAHundred) {
  EXPECT_EQ(ParsePercent("30").value_or(-1), 30);
  EXPECT_EQ(ParsePercent("100%").value_or(-1), 100);
  for (const char* wrong : {"", "%", "101", "-1", "0.5", "30 %", "half"})
    EXPECT_FALSE(ParsePercent(wrong).ok()) << wrong;
}

TEST(ApplySetTest, ANameThatIsNoLabelIsRefused) {
  EXPECT_EQ(PlanApplySet({}, {}, {.name = "Shop!"}).status().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(PlanApplySet({}, {}, {.name = ""}).status().code(), StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace mcpfleet
