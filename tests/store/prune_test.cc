// A prune is right for the state that is written, not for the one that was looked at.
#include "store/prune.h"

#include "store/reader.h"
#include "store/writer.h"
#include "tests/fakes/fake_kv.h"
#include "tests/fakes/meddled_kv.h"
#include "tests/store/testing.h"

namespace mcpfleet {
namespace {

using namespace testing;
using Names = std::vector<std::string>;

ObjectKey Key(const std::string& name) { return {kKindServer, kDefaultNamespace, name}; }

Object Labelled(const std::string& name, const std::string& team, const std::string& set = "") {
  Object object = Server(name);
  if (!team.empty()) object.metadata.labels["team"] = team;
  if (!set.empty()) object.metadata.labels[kApplySetLabel] = set;
  return object;
}

PruneRule BySelector(const std::string& selector = "team=data") {
  return {.apply_set = {},
          .selector_text = selector,
          .selector = *LabelSelector::Parse(selector),
          .places = {{kKindServer, kDefaultNamespace}},
          .limit = {},
          .planned_on = {}};
}
PruneRule BySet(const std::string& name) {
  return {.apply_set = name, .selector_text = {}, .selector = {}, .places = {}, .limit = {}, .planned_on = {}};
}

class PruneTest : public ::testing::Test {
 protected:
  std::map<ObjectKey, Object> Stored() {
    auto state = ReadState(kv_, Soon());
    EXPECT_OK(state);
    return state->objects;
  }
  Names Left() {
    Names names;
    for (const auto& [key, object] : Stored()) names.push_back(key.name);
    return names;
  }
  void Write(const std::vector<Object>& objects) { ASSERT_OK(Apply(kv_, {.set = objects}, {}, clock_, Soon())); }
  // What sets `objects` and prunes by the rule, decided for the state of now.
  ChangeSet Plan(const std::vector<Object>& objects, PruneRule rule) {
    auto head = ReadHead(kv_, Soon());
    EXPECT_OK(head);
    rule.planned_on = *head ? (*head)->snapshot : "";
    std::set<ObjectKey> named;
    for (const Object& object : objects) named.insert(KeyOf(object));
    ChangeSet changes{.set = objects, .manifests = true, .apply_set = rule.apply_set};
    auto remove = DecidePrune(Stored(), named, rule);
    EXPECT_OK(remove);
    changes.remove = *remove;
    changes.prune = std::move(rule);
    return changes;
  }
  // Another writer sets these objects between the look at the head and its first move.
  StatusOr<ApplyResult> ApplyWhile(const ChangeSet& changes, const std::vector<Object>& theirs) {
    MeddledKv meddled(kv_);
    meddled.before_move = [&](int move) {
      if (move == 1) Write(theirs);
    };
    return Apply(meddled, changes, {}, clock_, Soon());
  }

  FakeClock clock_;
  FakeKv kv_{clock_};
};

TEST_F(PruneTest, ASelectorOwnsWhatItMatchesInItsPlacesAndNoSetOwns) {
  Object elsewhere = Labelled("elsewhere", "data");
  elsewhere.metadata.namespace_ = "other";
  Write(
      {Labelled("a", "data"), Labelled("b", "data"), Labelled("c", "web"), Labelled("set", "data", "bank"), elsewhere});
  auto doomed = DecidePrune(Stored(), {Key("a")}, BySelector());
  ASSERT_OK(doomed);
  EXPECT_EQ(*doomed, std::vector<ObjectKey>{Key("b")});
  auto share = DecidePrune(Stored(), {}, BySelector());
  EXPECT_EQ(share.status().code(), StatusCode::kFailedPrecondition);
  EXPECT_NE(Message(share.status()).find("delete 2 of the 2 objects of selector team=data"), std::string::npos)
      << share.status();
}

TEST_F(PruneTest, WhatLostTheLabelMeanwhileStays) {
  Write({Labelled("a", "data"), Labelled("b", "data")});
  const ChangeSet changes = Plan({Labelled("a", "data")}, BySelector());
  ASSERT_EQ(changes.remove, std::vector<ObjectKey>{Key("b")});
  auto result = ApplyWhile(changes, {Labelled("b", "web")});
  ASSERT_OK(result);
  EXPECT_EQ(Left(), (Names{"a", "b"}));
}

TEST_F(PruneTest, WhatBecameAnApplySetsMeanwhileStays) {
  Write({Labelled("a", "data"), Labelled("b", "data")});
  ASSERT_OK(ApplyWhile(Plan({Labelled("a", "data")}, BySelector()), {Labelled("b", "data", "bank")}));
  EXPECT_EQ(Left(), (Names{"a", "b"}));
}

TEST_F(PruneTest, WhatGainedTheLabelMeanwhileGoesToo) {
  Write({Labelled("a", "data"), Labelled("b", "web"), Labelled("c", "data")});
  PruneRule rule = BySelector();
  rule.limit.most_percent = 70;
  auto result = ApplyWhile(Plan({Labelled("a", "data")}, rule), {Labelled("b", "data")});
  ASSERT_OK(result);
  EXPECT_EQ(Left(), Names{"a"});
  EXPECT_EQ(result->attempts, 2);
}

TEST_F(PruneTest, TheShareIsOfWhatIsWritten) {
  Write({Labelled("a", "data"), Labelled("b", "data"), Labelled("c", "data"), Labelled("d", "data")});
  const ChangeSet changes = Plan({Labelled("a", "data"), Labelled("b", "data")}, BySelector());
  ASSERT_EQ(changes.remove.size(), 2u);  // of four: half of them
  auto result = ApplyWhile(changes, {Labelled("b", "web"), Labelled("e", "web")});
  EXPECT_EQ(result.status().code(), StatusCode::kFailedPrecondition);
  EXPECT_NE(Message(result.status()).find("would delete 2 of the 3"), std::string::npos) << result.status();
  EXPECT_EQ(Left(), (Names{"a", "b", "c", "d", "e"}));
}

TEST_F(PruneTest, AnApplySetIsDecidedAnewInTheSameWay) {
  Write({Labelled("a", "", "shop"), Labelled("b", "", "shop"), Labelled("c", "", "shop")});
  PruneRule rule = BySet("shop");
  rule.limit.most_percent = 70;
  const ChangeSet changes = Plan({Labelled("a", "", "shop")}, rule);
  ASSERT_EQ(changes.remove.size(), 2u);
  ASSERT_OK(ApplyWhile(changes, {Labelled("b", "", "bank"), Labelled("c", "", "")}));
  EXPECT_EQ(Left(), (Names{"a", "b", "c"}));
  EXPECT_EQ(ApplySetOf(Stored().at(Key("b"))), "bank");
}

TEST_F(PruneTest, ADryRunSaysWhatTheStateOfNowWouldLose) {
  Write({Labelled("a", "data"), Labelled("b", "data")});
  const ChangeSet changes = Plan({Labelled("a", "data")}, BySelector());
  Write({Labelled("b", "web")});
  auto result = Apply(kv_, changes, {.dry_run = true}, clock_, Soon());
  ASSERT_OK(result);
  EXPECT_EQ(result->changes.size(), 1u);  // of a alone
}

TEST_F(PruneTest, WhatCantBeReadIsNotGuessed) {
  Write({Labelled("a", "data"), Labelled("b", "data")});
  const ChangeSet changes = Plan({Labelled("a", "data")}, BySelector());
  Write({Labelled("c", "web")});
  auto state = ReadState(kv_, Soon());
  ASSERT_OK(state);
  auto content = kv_.Content();
  content.erase(ObjectBlobKey(state->entries.at(Key("c")).hash));
  kv_.SetContent(content);
  auto result = Apply(kv_, changes, {}, clock_, Soon());
  EXPECT_EQ(result.status().code(), StatusCode::kUnavailable) << result.status();
  EXPECT_EQ(ReadState(kv_, Soon())->entries.size(), 3u);
}

TEST_F(PruneTest, OnTheStateThatItWasDecidedForNothingMoreIsRead) {
  std::vector<Object> objects = {Labelled("a", "data"), Labelled("b", "data")};
  for (int i = 0; i < 100; ++i) objects.push_back(Server("s" + std::to_string(i)));
  Write(objects);
  const ChangeSet changes = Plan({Labelled("a", "data")}, BySelector());
  const int64_t before = kv_.read_bytes();
  ASSERT_OK(Apply(kv_, changes, {.dry_run = true}, clock_, Soon()));
  EXPECT_LT(kv_.read_bytes() - before, 12'000);  // of about 40 KB
}

}  // namespace
}  // namespace mcpfleet
