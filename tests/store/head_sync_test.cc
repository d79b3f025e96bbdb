#include "store/head_sync.h"

#include <sys/stat.h>
#include <unistd.h>

#include "store/reader.h"
#include "store/writer.h"
#include "tests/fakes/fake_kv.h"
#include "tests/store/testing.h"

namespace mcpfleet {
namespace {

using namespace testing;
using std::chrono::minutes;
using std::chrono::seconds;

ObjectKey Key(const std::string& name) { return {kKindServer, kDefaultNamespace, name}; }

class HeadSyncTest : public ::testing::Test {
 protected:
  HeadSyncTest() { Restart(); }
  void Restart(const HeadSyncOptions& options = {.node = "edge-1"}) {
    sync_.reset();
    auto cache = LocalCache::Open(dir_ / "cache", int64_t{256} << 20);
    ASSERT_OK(cache);
    cache_ = *std::move(cache);
    sync_ = std::make_unique<HeadSync>(kv_, *cache_, clock_, 7, options);
    ASSERT_OK(sync_->Boot());
  }
  void Write(std::vector<Object> set, std::vector<ObjectKey> remove = {}) {
    ASSERT_OK(Apply(kv_, {.set = std::move(set), .remove = std::move(remove)}, {}, clock_, Soon()));
  }
  // Steps whenever something is due, for `span` of the clock.
  void Run(Duration span) {
    MonoTime end = clock_.Now() + span;
    for (int steps = 0; steps < 100000; ++steps) {
      MonoTime due = std::max(sync_->next_due(), clock_.Now());
      if (due > end) break;
      if (due > clock_.Now()) clock_.Advance(due - clock_.Now());
      last_ = sync_->Step();
      if (!last_.ok()) last_failure_ = last_;
      // What never happens, whatever the store does.
      auto state = sync_->state();
      if (state->head) {
        EXPECT_GE(state->head->order, greatest_);
        greatest_ = state->head->order;
      }
      if (steps == 99999) ADD_FAILURE() << "a step is always due";
    }
    if (clock_.Now() < end) clock_.Advance(end - clock_.Now());
  }
  std::string Version(const std::string& name) {
    auto state = sync_->state();
    auto it = state->objects.find(Key(name));
    if (it == state->objects.end()) return "absent";
    if (it->second.object == nullptr) return "none";
    std::string ref = it->second.object->spec["source"]["image"]["ref"];
    return ref.substr(ref.find(':') + 1) + (it->second.pending ? " pending" : "");
  }
  // The node's object as it is in the store.
  std::optional<Object> ReadObject(const std::string& node) {
    StatusOr<StoredState> state = ReadState(kv_, Soon());
    if (!state.ok()) return std::nullopt;
    return state->objects.at({kKindNode, "", node});
  }
  // Content without the object blob of `name` that the head names.
  std::map<std::string, std::string> Without(const std::string& prefix,
                                             const std::map<std::string, std::string>& before) {
    auto content = kv_.Content();
    std::erase_if(content,
                  [&](const auto& item) { return item.first.rfind(prefix, 0) == 0 && !before.contains(item.first); });
    return content;
  }

  TempDir dir_;
  FakeClock clock_;
  FakeKv kv_{clock_};
  std::unique_ptr<LocalCache> cache_;
  std::unique_ptr<HeadSync> sync_;
  Status last_, last_failure_;
  HeadOrder greatest_;
};

// A store with conditional reads in front of FakeKv, as the Worker is.
class Conditional final : public KvClient {
 public:
  explicit Conditional(FakeKv& kv) : kv_(kv) {}
  StatusOr<std::optional<KvValue>> Get(std::string_view key, Deadline deadline) override {
    return kv_.Get(key, deadline);
  }
  StatusOr<KvRead> GetUnless(std::string_view key, std::string_view etag, Deadline deadline) override {
    ASSIGN_OR_RETURN(std::optional<KvValue> value, kv_.Get(key, deadline));
    asked.emplace_back(etag);
    if (value && !etag.empty() && value->etag == etag) return KvRead{.not_modified = true};
    return KvRead{.value = std::move(value)};
  }
  StatusOr<std::map<std::string, std::string>> BulkGet(const std::vector<std::string>& keys,
                                                       Deadline deadline) override {
    return kv_.BulkGet(keys, deadline);
  }
  StatusOr<KvPage> List(std::string_view, std::string_view, size_t, Deadline) override { return Unimplemented("list"); }
  Status Put(std::string_view, std::string_view, const KvPutOptions&, Deadline) override {
    return Unimplemented("put");
  }
  Status BulkPut(const std::vector<KvPair>&, Deadline) override { return Unimplemented("bulk put"); }
  Status Delete(std::string_view, Deadline) override { return Unimplemented("delete"); }
  Status BulkDelete(const std::vector<std::string>&, Deadline) override { return Unimplemented("bulk delete"); }

  std::vector<std::string> asked;  // the etags of reads of the head

 private:
  FakeKv& kv_;
};

TEST_F(HeadSyncTest, AHeadThatIsFollowedIsAskedForByItsEtagAndNowAndThenWhole) {
  Conditional kv(kv_);
  sync_ = std::make_unique<HeadSync>(kv, *cache_, clock_, 7, HeadSyncOptions{.node = "edge-1"});
  Write({Server("a")});
  Run(seconds(5));
  EXPECT_EQ(Version("a"), "1");
  const int64_t bytes = sync_->stats().read_bytes;
  const std::string etag = "0.1.1";
  Run(seconds(60));
  ASSERT_GE(kv.asked.size(), 6u) << "every 10 s";
  EXPECT_EQ(kv.asked[0], "");
  EXPECT_EQ(std::count(kv.asked.begin(), kv.asked.end(), etag) + 1, std::ssize(kv.asked));
  EXPECT_EQ(sync_->stats().read_bytes, bytes) << "and got nothing";
  Run(seconds(60));
  EXPECT_EQ(std::count(kv.asked.begin(), kv.asked.end(), ""), 2) << "two heads of one order have one etag";
  Write({Server("a", "2")});
  Run(seconds(15));
  EXPECT_EQ(Version("a"), "2");
  Run(seconds(10));
  EXPECT_EQ(kv.asked.back(), "0.1.2");
}

TEST_F(HeadSyncTest, APushedFleetIsPolledAsTheStoreAsksAndSoonerWhenAReadFailed) {
  Write({Server("a")});
  Run(seconds(5));
  int64_t reads = sync_->stats().reads;
  sync_->SetPolling(minutes(14), minutes(16));
  Run(minutes(13));
  EXPECT_EQ(sync_->stats().reads, reads);
  Run(minutes(60));
  EXPECT_GE(sync_->stats().reads, reads + 4);
  EXPECT_LE(sync_->stats().reads, reads + 5);
  // Not connected any more: within the range, from now on.
  sync_->SetPolling(seconds(60), seconds(120));
  reads = sync_->stats().reads;
  Run(seconds(59));
  EXPECT_EQ(sync_->stats().reads, reads);
  Run(seconds(62));
  EXPECT_GE(sync_->stats().reads, reads + 1);
  EXPECT_LE(sync_->stats().reads, reads + 2);
  Run(minutes(60));
  EXPECT_GE(sync_->stats().reads, reads + 30);
  EXPECT_LE(sync_->stats().reads, reads + 63);
  // A store in trouble is asked as often as one that never pushed.
  sync_->SetPolling(minutes(14), minutes(16));
  kv_.SetUnreachable(true);
  Run(minutes(20));
  EXPECT_FALSE(last_.ok());
  kv_.SetUnreachable(false);
  Run(seconds(12));
  EXPECT_TRUE(last_.ok());
}

TEST_F(HeadSyncTest, APushThatIsNoHeadIsNamedAndTheStoreIsAskedAgainSoon) {
  Write({Server("a")});
  Run(seconds(5));
  sync_->SetPolling(minutes(14), minutes(16));
  Run(seconds(30));
  sync_->Offer("<html>please log in</html>");
  Run(seconds(0));
  EXPECT_FALSE(last_.ok());
  EXPECT_EQ(sync_->stats().bad_answers, 1);
  EXPECT_EQ(sync_->stats().bad_answer.rfind("head: ", 0), 0u) << sync_->stats().bad_answer;
  EXPECT_EQ(sync_->stats().bad_answer_at, clock_.Now());
  Run(seconds(12));
  EXPECT_TRUE(last_.ok());
  EXPECT_EQ(Version("a"), "1");
  // However many come, it is asked no more often than a store that never pushed.
  const int64_t reads = sync_->stats().reads;
  for (int i = 0; i < 60; ++i) {
    sync_->Offer("<html>" + std::to_string(i));
    Run(seconds(1));
  }
  EXPECT_LE(sync_->stats().reads, reads + 7);
}

TEST_F(HeadSyncTest, AnEmptyStoreIsNoStateAndNoError) {
  Run(seconds(30));
  EXPECT_TRUE(last_.ok());
  EXPECT_FALSE(sync_->state()->head.has_value());
  EXPECT_FALSE(sync_->state()->removals_allowed);
}

TEST_F(HeadSyncTest, AChangeArrivesAndARemovalToo) {
  Write({Server("a"), Server("b")});
  Run(seconds(15));
  EXPECT_EQ(Version("a"), "1");
  EXPECT_TRUE(sync_->state()->removals_allowed);
  Write({Server("a", "2")}, {Key("b")});
  Run(seconds(15));
  EXPECT_EQ(Version("a"), "2");
  EXPECT_EQ(Version("b"), "absent");
  EXPECT_EQ(ToString(sync_->state()->head->order), "0.1.2");
}

TEST_F(HeadSyncTest, OnlyWhatIsPlacedHereIsReadAndHeld) {
  Write({Server("here", "1", {{"nodes", {"edge-1"}}}), Server("there", "1", {{"nodes", {"edge-2"}}}),
         Server("berlin", "1", {{"nodeSelector", {{"site", "berlin"}}}}), Server("everywhere"),
         Node("edge-1", {{"site", "berlin"}}), Node("edge-2")});
  Run(seconds(15));
  EXPECT_EQ(Version("here"), "1");
  EXPECT_EQ(Version("there"), "absent");
  EXPECT_EQ(Version("berlin"), "1");
  EXPECT_EQ(Version("everywhere"), "1");
  EXPECT_EQ(sync_->state()->entries, 6u);
  EXPECT_EQ(sync_->state()->objects.size(), 4u);
  Write({Node("edge-1", {{"site", "paris"}})});
  Run(seconds(15));
  EXPECT_EQ(Version("berlin"), "absent");
}

TEST_F(HeadSyncTest, ACordonedNodeKeepsWhatItRunsAndTakesNothingNew) {
  Write({Server("old"), Node("edge-1")});
  Run(seconds(15));
  Write({Node("edge-1", {}, /*unschedulable=*/true), Server("new")});
  Run(seconds(15));
  EXPECT_TRUE(sync_->state()->unschedulable);
  EXPECT_EQ(Version("old"), "1");
  EXPECT_EQ(Version("new"), "absent");
  Restart();
  EXPECT_EQ(Version("old"), "1") << "after a restart too";
  Write({Node("edge-1")});
  Run(seconds(15));
  EXPECT_EQ(Version("new"), "1");
}

TEST_F(HeadSyncTest, ADrainedNodeKeepsNothingAndTakesItBackAfterwards) {
  Write({Server("old"), Node("edge-1")});
  Run(seconds(15));
  EXPECT_EQ(Version("old"), "1");
  Object drained = Node("edge-1");
  drained.spec["drain"] = true;
  Write({drained});
  Run(seconds(15));
  EXPECT_TRUE(sync_->state()->unschedulable);
  EXPECT_TRUE(sync_->state()->removals_allowed);
  EXPECT_EQ(Version("old"), "absent");
  Restart();
  EXPECT_EQ(Version("old"), "absent") << "after a restart too";
  Write({Node("edge-1")});
  Run(seconds(15));
  EXPECT_EQ(Version("old"), "1");
}

// edge-1 and others; how many of 30 servers with one replica each are here.
class ReplicaSyncTest : public HeadSyncTest {
 protected:
  static constexpr int kServers = 30;
  void WriteFleet(int nodes = 3) {
    std::vector<Object> set;
    for (int i = 1; i <= nodes; ++i) set.push_back(Node("edge-" + std::to_string(i), {{"site", "berlin"}}));
    for (int i = 0; i < kServers; ++i) set.push_back(Server(Name(i), "1", {{"replicas", 1}}));
    set.push_back(Server("everywhere"));
    Write(std::move(set));
  }
  static std::string Name(int i) { return "s" + std::to_string(i); }
  int Here() {
    int here = 0;
    for (int i = 0; i < kServers; ++i) here += Version(Name(i)) == "1" ? 1 : 0;
    return here;
  }
  void Connect(std::vector<std::string> down = {}, int64_t sequence = 1) {
    sync_->SetConnected(true);
    sync_->SetDown({.sequence = sequence, .nodes = std::move(down)});
  }
};

TEST_F(ReplicaSyncTest, NoneIsTakenBeforeTheListOfDownNodesIsHere) {
  WriteFleet();
  Run(minutes(5));
  EXPECT_EQ(Here(), 0);
  EXPECT_EQ(Version("everywhere"), "1");
  sync_->SetConnected(true);
  Run(minutes(5));
  EXPECT_EQ(Here(), 0) << "connected, and told nothing";
  Connect();
  EXPECT_LE(sync_->next_due(), clock_.Now()) << "at once";
  Run(seconds(1));
  EXPECT_GT(Here(), 2);
  EXPECT_LT(Here(), kServers - 2);
}

TEST_F(ReplicaSyncTest, EachNodeTakesItsShareAndTheOthersTakeThatOfANodeThatIsDown) {
  WriteFleet();
  std::map<std::string, int> here;
  for (const char* node : {"edge-1", "edge-2", "edge-3"}) {
    EXPECT_OK(RemoveTree(dir_ / "cache"));
    Restart({.node = node});
    greatest_ = {};
    Connect();
    Run(seconds(15));
    here[node] = Here();
    EXPECT_EQ(Version("everywhere"), "1");
  }
  EXPECT_EQ(here["edge-1"] + here["edge-2"] + here["edge-3"], kServers);
  sync_->SetDown({.sequence = 2, .nodes = {"edge-1", "edge-2"}});
  Run(seconds(15));
  EXPECT_EQ(Here(), kServers);
  EXPECT_EQ(sync_->state()->objects.size(), kServers + 2U) << "and no node's object but its own";
  sync_->SetDown({.sequence = 3, .nodes = {}});
  Run(seconds(59));
  EXPECT_EQ(Here(), kServers) << "until the others had time to start";
  Run(seconds(2));
  EXPECT_EQ(Here(), here["edge-3"]);
  EXPECT_TRUE(sync_->state()->removals_allowed);
  EXPECT_EQ(Version("everywhere"), "1");
}

TEST_F(ReplicaSyncTest, ACutChangesNothingAndARebootDuringItNeither) {
  WriteFleet();
  Connect({"edge-2"});
  Run(seconds(15));
  const int before = Here();
  EXPECT_GT(before, 0);
  sync_->SetConnected(false);
  Run(minutes(20));
  EXPECT_EQ(Here(), before);
  kv_.SetUnreachable(true);
  Restart();
  EXPECT_EQ(Here(), before);
  Run(minutes(20));
  EXPECT_EQ(Here(), before);
  // Back, and the list says that it is down: what is its own stays, what it had for the other goes on.
  kv_.SetUnreachable(false);
  Connect({"edge-1"}, 9);
  Run(minutes(5));
  const int own = Here();
  EXPECT_GT(own, 0);
  EXPECT_LT(own, before);
  sync_->SetDown({.sequence = 10, .nodes = {}});
  Run(minutes(5));
  EXPECT_EQ(Here(), own);
}

TEST_F(ReplicaSyncTest, NoListTouchesWhatHasNoReplicasOrDoesNotMatch) {
  Write({Node("edge-1"), Node("edge-2"), Server("here", "1", {{"nodes", {"edge-1"}}}),
         Server("there", "1", {{"nodes", {"edge-2"}}, {"replicas", 1}})});
  for (int64_t sequence = 1; sequence < 40; ++sequence) {
    std::vector<std::string> down;
    if (sequence % 2 == 0) down.emplace_back("edge-2");
    if (sequence % 3 == 0) down.emplace_back("edge-1");
    Connect(down, sequence);
    Run(seconds(sequence));
    EXPECT_EQ(Version("here"), "1");
    EXPECT_EQ(Version("there"), "absent");
  }
}

TEST_F(ReplicaSyncTest, WithoutASocketTheListIsReadWithEachPoll) {
  WriteFleet(2);
  StatusOr<DownList> list = Unavailable("not yet");
  int asked = 0;
  HeadSyncOptions options{.node = "edge-1"};
  options.read_down = [&](Deadline) {
    ++asked;
    return list;
  };
  Restart(options);
  Run(seconds(60));
  EXPECT_GT(asked, 3);
  EXPECT_EQ(Here(), 0);
  list = DownList{.sequence = 7};
  Run(seconds(15));
  const int own = Here();
  EXPECT_GT(own, 0);
  list = DownList{.sequence = 3, .nodes = {"edge-2"}};
  Run(seconds(15));
  EXPECT_EQ(Here(), kServers) << "each answer counts, whatever its sequence";
  // A poll that fails is a cut: nothing is handed over.
  kv_.SetUnreachable(true);
  list = DownList{.sequence = 4};
  Run(minutes(5));
  EXPECT_EQ(Here(), kServers);
  kv_.SetUnreachable(false);
  Run(minutes(3));
  EXPECT_EQ(Here(), own);
  // A socket says it all.
  Connect({"edge-2"});
  const int before = asked;
  Run(minutes(1));
  EXPECT_EQ(Here(), kServers);
  EXPECT_EQ(asked, before);
}

TEST_F(ReplicaSyncTest, NobodyAsksForTheListWhereNothingHasReplicas) {
  Write({Node("edge-1"), Server("a")});
  HeadSyncOptions options{.node = "edge-1"};
  options.read_down = [](Deadline) -> StatusOr<DownList> {
    ADD_FAILURE() << "asked";
    return Unavailable("");
  };
  Restart(options);
  Run(minutes(1));
  EXPECT_EQ(Version("a"), "1");
}

TEST_F(ReplicaSyncTest, ALabelThatNoLongerMatchesEndsItAtOnce) {
  Write({Node("edge-1", {{"site", "berlin"}}), Node("edge-2", {{"site", "berlin"}}),
         Server("web", "1", {{"nodeSelector", {{"site", "berlin"}}}, {"replicas", 2}})});
  Connect();
  Run(seconds(15));
  EXPECT_EQ(Version("web"), "1");
  Write({Node("edge-1", {{"site", "paris"}})});
  Run(seconds(15));
  EXPECT_EQ(Version("web"), "absent");
}

TEST_F(ReplicaSyncTest, ACordonedNodeKeepsItsOwnAndTakesNothingNew) {
  Write({Node("edge-1"), Node("edge-2"), Server("old", "1", {{"replicas", 2}})});
  Connect();
  Run(seconds(15));
  EXPECT_EQ(Version("old"), "1");
  Write({Node("edge-1", {}, /*unschedulable=*/true), Server("new", "1", {{"replicas", 2}})});
  Run(minutes(10));
  EXPECT_EQ(Version("old"), "1");
  EXPECT_EQ(Version("new"), "absent");
}

TEST_F(ReplicaSyncTest, ADrainedNodeHandsItsReplicasOver) {
  WriteFleet(2);
  Connect();
  Run(seconds(15));
  const int own = Here();
  EXPECT_GT(own, 0);
  Object drained = Node("edge-1", {{"site", "berlin"}});
  drained.spec["drain"] = true;
  Write({drained});
  Run(seconds(45));
  EXPECT_EQ(Here(), own) << "the other one starts them meanwhile";
  EXPECT_EQ(Version("everywhere"), "absent");
  Run(minutes(1));
  EXPECT_EQ(Here(), 0);
}

TEST_F(ReplicaSyncTest, TheOtherNodesAreReadOnlyWhenAServerWithReplicasMatches) {
  Write({Node("edge-1"), Node("edge-2"), Server("a"), Server("b", "1", {{"nodes", {"edge-2"}}, {"replicas", 1}})});
  Connect();
  Run(seconds(15));
  const std::string other = Sha256Hex(*EncodeObject(*ReadObject("edge-2")));
  EXPECT_FALSE(cache_->Has(other));
  Write({Server("c", "1", {{"replicas", 2}})});
  Run(seconds(15));
  EXPECT_EQ(Version("c"), "1");
  EXPECT_TRUE(cache_->Has(other));
}

TEST_F(ReplicaSyncTest, ANodesObjectThatIsNotThereYetKeepsNobodyFromTheRest) {
  Write({Node("edge-1"), Server("web", "1", {{"replicas", 1}})});
  Connect();
  Run(seconds(15));
  EXPECT_EQ(Version("web"), "1");
  Write({Node("edge-2"), Server("second", "1", {{"replicas", 2}})});
  auto content = kv_.Content();
  const auto whole = content;
  content.erase(ObjectBlobKey(Sha256Hex(*EncodeObject(*ReadObject("edge-2")))));
  kv_.SetContent(content);
  Run(seconds(15));
  EXPECT_EQ(Version("second"), "1");
  EXPECT_EQ(Version("web"), "1");
  kv_.SetContent(whole);
  Run(minutes(5));
  EXPECT_EQ(Version("second"), "1");
}

TEST_F(HeadSyncTest, AHeadWhoseSnapshotIsNeverShownGivesWayToOneAfterTheAcceptedOne) {
  Write({Server("a")});
  Run(seconds(15));
  auto accepted = kv_.Content();
  Write({Server("a", "2")});
  Write({Server("a", "3")});
  kv_.SetContent(Without("", accepted));  // "0.1.3" and nothing of it
  Run(minutes(1));
  kv_.SetContent(accepted);
  Write({Server("a", "4")});
  Run(minutes(5));
  EXPECT_EQ(Version("a"), "1") << "0.1.2 is older than what was seen";
  Run(minutes(5));
  EXPECT_EQ(Version("a"), "4");
  EXPECT_EQ(ToString(sync_->state()->head->order), "0.1.2");
  kv_.SetContent(accepted);
  Run(minutes(30));
  EXPECT_EQ(Version("a"), "4") << "what was accepted never gives way";
}

TEST_F(HeadSyncTest, AnObjectThatTheDiskLostIsPendingUntilItIsReadAgain) {
  Write({Server("a"), Server("b")});
  Run(seconds(15));
  const std::string lost = sync_->state()->objects.at(Key("a")).entry.hash;
  ASSERT_EQ(unlink((dir_ / "cache/blobs/" + lost).c_str()), 0);
  Restart();
  EXPECT_EQ(Version("a"), "none");
  EXPECT_TRUE(sync_->state()->objects.at(Key("a")).pending);
  EXPECT_FALSE(sync_->state()->removals_allowed);
  EXPECT_EQ(Version("b"), "1");
  Run(seconds(15));
  EXPECT_EQ(Version("a"), "1");
  EXPECT_TRUE(sync_->state()->removals_allowed);
}

TEST_F(HeadSyncTest, AVersionThatABootShowedIsNotTakenBackByTheNextOne) {
  Write({Server("a")});
  Run(seconds(15));
  auto before = kv_.Content();
  Write({Server("a", "2")});
  auto whole = kv_.Content();
  kv_.SetContent(Without("objects/", before));
  Run(seconds(15));
  ASSERT_EQ(Version("a"), "1 pending");
  const std::string state = ReadFile(dir_ / "cache/state", 1 << 20).value();
  kv_.SetContent(whole);
  Run(minutes(1));
  ASSERT_EQ(Version("a"), "2");
  // Died after the blob, before the state.
  ASSERT_OK(WriteFileAtomically(dir_ / "cache/state", state));
  Restart();
  EXPECT_EQ(Version("a"), "2");
  ASSERT_EQ(unlink((dir_ / "cache/blobs/" + sync_->state()->objects.at(Key("a")).entry.hash).c_str()), 0);
  Restart();
  EXPECT_EQ(Version("a"), "none");
  EXPECT_TRUE(sync_->state()->objects.at(Key("a")).pending);
}

TEST_F(HeadSyncTest, AStateThatCouldNotBeSavedIsSavedLaterAndThenThereIsRest) {
  ASSERT_EQ(mkdir((dir_ / "cache/state").c_str(), 0700), 0);  // in the way
  Write({Server("a")});
  Run(minutes(1));
  EXPECT_EQ(Version("a"), "absent");
  EXPECT_FALSE(last_failure_.ok());
  ASSERT_EQ(rmdir((dir_ / "cache/state").c_str()), 0);
  Run(minutes(1));
  EXPECT_EQ(Version("a"), "1");
  EXPECT_GT(sync_->next_due(), clock_.Now());
}

TEST_F(HeadSyncTest, AnOlderHeadIsCountedAndIgnored) {
  Write({Server("a")});
  auto old = kv_.Content();
  Write({Server("a", "2")});
  Run(seconds(15));
  kv_.SetContent(old);
  Run(seconds(60));
  EXPECT_EQ(Version("a"), "2");
  EXPECT_GE(sync_->stats().stale_heads, 5);
  // A restored store says so by its epoch, and is followed.
  TempDir dir;
  ASSERT_OK(Backup(kv_, dir / "b", 1, Soon()));
  ASSERT_OK(Restore(kv_, dir / "b", {}, clock_, Soon()));
  Run(seconds(15));
  EXPECT_EQ(Version("a"), "1");
}

TEST_F(HeadSyncTest, OfTwoHeadsOfOneOrderTheGreaterHashWinsAndAnAlarmIsRaised) {
  FakeKv other(clock_);
  Write({Server("a")});
  auto base = kv_.Content();
  Write({Server("a", "left")});
  auto left = kv_.Content();
  kv_.SetContent(base);
  Write({Server("a", "right")});
  auto right = kv_.Content();
  std::string left_snapshot = ParseHead(left["head"])->snapshot, right_snapshot = ParseHead(right["head"])->snapshot;
  std::string winner = left_snapshot > right_snapshot ? "left" : "right";
  for (bool left_first : {true, false}) {
    ASSERT_TRUE(RemoveTree(dir_ / "cache").ok());
    greatest_ = {};
    Restart();
    kv_.SetContent(left_first ? left : right);
    Run(seconds(15));
    kv_.SetContent(left_first ? right : left);
    Run(seconds(15));
    EXPECT_EQ(Version("a"), winner);
    EXPECT_GE(sync_->stats().conflicting_heads, 1);
  }
}

TEST_F(HeadSyncTest, TheStoreOfAnotherFleetIsRefused) {
  Write({Server("a")});
  Run(seconds(15));
  kv_.SetContent({});
  Write({Server("stranger")});
  Write({Server("stranger", "2")});
  Run(seconds(30));
  EXPECT_EQ(last_.code(), StatusCode::kFailedPrecondition);
  EXPECT_GE(sync_->stats().foreign_heads, 1);
  EXPECT_EQ(Version("a"), "1");
  Restart();
  Run(seconds(30));
  EXPECT_EQ(Version("a"), "1") << "nor after a restart";
}

TEST_F(HeadSyncTest, FailuresGarbageAndAnEmptyStoreAreNoNews) {
  Write({Server("a")});
  Run(seconds(15));
  auto content = kv_.Content();
  kv_.SetUnreachable(true);
  Run(minutes(10));
  EXPECT_FALSE(last_.ok());
  kv_.SetUnreachable(false);
  kv_.SetFaults({.garbage = 1});
  Run(minutes(2));
  kv_.SetFaults({});
  kv_.SetContent({});
  Run(minutes(10));
  EXPECT_EQ(Version("a"), "1");
  EXPECT_TRUE(sync_->state()->removals_allowed);
  kv_.SetContent(content);
  Write({Server("a", "2")});
  Run(seconds(15));
  EXPECT_EQ(Version("a"), "2");
}

TEST_F(HeadSyncTest, AMissingObjectKeepsThePreviousVersionUntilItComes) {
  Write({Server("a"), Server("b"), Server("gone")});
  Run(seconds(15));
  auto before = kv_.Content();
  Write({Server("a", "2"), Server("c")}, {Key("gone")});
  auto whole = kv_.Content();
  kv_.SetContent(Without("objects/", before));
  Run(seconds(60));
  EXPECT_EQ(Version("a"), "1 pending");
  EXPECT_EQ(Version("c"), "none");
  EXPECT_EQ(Version("gone"), "absent");
  EXPECT_FALSE(sync_->state()->removals_allowed) << "removals wait for what is pending";
  EXPECT_EQ(sync_->stats().pending_keys, 2);
  kv_.SetContent(whole);
  Run(seconds(130));
  EXPECT_EQ(Version("a"), "2");
  EXPECT_EQ(Version("c"), "1");
  EXPECT_TRUE(sync_->state()->removals_allowed);
}

TEST_F(HeadSyncTest, RemovalsWaitForFiveMinutesAtMostThoughTheHeadGoesOnMoving) {
  Write({Server("a"), Server("gone")});
  Run(seconds(15));
  auto before = kv_.Content();
  Write({Server("a", "2")}, {Key("gone")});
  kv_.SetContent(Without("objects/", before));
  Run(minutes(4));
  EXPECT_FALSE(sync_->state()->removals_allowed);
  Write({Server("other")});
  Run(seconds(70));
  EXPECT_EQ(Version("other"), "1");
  EXPECT_TRUE(sync_->state()->removals_allowed);
  EXPECT_EQ(Version("a"), "1 pending") << "and the old version still runs";
}

TEST_F(HeadSyncTest, AMissingKeyIsAskedForOnScheduleAndNotMore) {
  Write({Server("a")});
  auto content = kv_.Content();
  kv_.SetContent(Without("objects/", {}));
  EXPECT_OK(sync_->Step());
  MonoTime first = clock_.Now();
  std::vector<int64_t> asked;
  int64_t polls = 0;
  while (clock_.Now() < first + minutes(12)) {
    clock_.Advance(std::max(sync_->next_due() - clock_.Now(), Duration(0)));
    int64_t reads = kv_.reads();
    bool poll = false;
    EXPECT_OK(sync_->Step());
    int64_t made = kv_.reads() - reads;
    // Each poll is one read of the head; whatever is beyond it is the missing key.
    poll = made > 0 && sync_->stats().last_success == clock_.Now();
    polls += poll;
    if (made > (poll ? 1 : 0)) asked.push_back(std::chrono::duration_cast<seconds>(clock_.Now() - first).count());
    ASSERT_LT(polls, 1000);
  }
  ASSERT_GE(asked.size(), 6u);
  EXPECT_EQ(std::vector<int64_t>(asked.begin(), asked.begin() + 5), (std::vector<int64_t>{5, 15, 35, 65, 130}));
  EXPECT_GE(asked[5], 420);
  EXPECT_LE(asked.size(), 7u);
}

TEST_F(HeadSyncTest, MissingSnapshotsAndShardsLeaveTheOldStateWhole) {
  Write({Server("a")});
  Run(seconds(15));
  auto before = kv_.Content();
  Write({Server("a", "2")});
  auto whole = kv_.Content();
  for (const char* prefix : {"snapshots/", "shards/"}) {
    kv_.SetContent(whole);
    kv_.SetContent(Without(prefix, before));
    Run(seconds(30));
    EXPECT_EQ(Version("a"), "1");
    EXPECT_EQ(ToString(sync_->state()->head->order), "0.1.1");
  }
  kv_.SetContent(whole);
  Run(minutes(6));
  EXPECT_EQ(Version("a"), "2");
}

TEST_F(HeadSyncTest, MissesThatStayCachedOnlyDelay) {
  kv_.SetFaults({.stale_window = seconds(60), .miss_cache_min = seconds(60), .miss_cache_max = seconds(120)});
  Run(seconds(30));
  FakeKvFaults faults{
      .stale_window = seconds(60), .miss_cache_min = seconds(60), .miss_cache_max = seconds(120), .fail_before = 0.2};
  for (int i = 0; i < 10; ++i) {
    kv_.SetFaults({});  // the writer's side is consistent
    clock_.Advance(seconds(125));
    Write({Server("a", std::to_string(i)), Server("s" + std::to_string(i))});
    kv_.SetFaults(faults);
    Run(minutes(11));
    EXPECT_EQ(Version("a"), std::to_string(i));
    EXPECT_EQ(Version("s" + std::to_string(i)), "1");
  }
}

TEST_F(HeadSyncTest, AnObjectThatDisagreesWithItsEntryIsNotAdopted) {
  Write({Server("a")});
  Run(seconds(15));
  // A writer of another make: the entry says generation 7, the object 2.
  Head head = *ParseHead(kv_.Content()["head"]);
  Snapshot snapshot = *ParseSnapshot(kv_.Content()[SnapshotBlobKey(head.snapshot)], head.snapshot);
  Object object = Server("a", "2");
  object.metadata.generation = 2;
  std::string bytes = *EncodeObject(object);
  ShardEntry entry = EntryOf(object, Sha256Hex(bytes));
  entry.generation = 7;
  std::string shard = *EncodeShard({entry});
  snapshot.shards[ShardOf(entry.key)] = Sha256Hex(shard);
  std::string snapshot_bytes = *EncodeSnapshot(snapshot);
  head.snapshot = Sha256Hex(snapshot_bytes);
  ++head.order.revision;
  auto content = kv_.Content();
  content[ObjectBlobKey(entry.hash)] = bytes;
  content[ShardBlobKey(Sha256Hex(shard))] = shard;
  content[SnapshotBlobKey(head.snapshot)] = snapshot_bytes;
  content["head"] = *EncodeHead(head);
  kv_.SetContent(content);
  Run(seconds(15));
  const SyncedObject& synced = sync_->state()->objects.at(Key("a"));
  EXPECT_NE(synced.mismatch, "");
  EXPECT_FALSE(synced.pending);
  EXPECT_EQ(synced.object->metadata.generation, 1) << "the version before stays in force";
  EXPECT_TRUE(sync_->state()->removals_allowed);
}

TEST_F(HeadSyncTest, ANodeBootsFromItsDiskWithNoStore) {
  Write({Server("a"), Server("b")});
  Run(seconds(15));
  auto before = kv_.Content();
  Write({Server("a", "2")});
  kv_.SetContent(Without("objects/", before));
  Run(seconds(15));
  kv_.SetUnreachable(true);
  Restart();
  EXPECT_EQ(Version("a"), "1 pending");
  EXPECT_EQ(Version("b"), "1");
  EXPECT_EQ(ToString(sync_->state()->head->order), "0.1.2");
  Run(minutes(10));
  EXPECT_EQ(Version("b"), "1");
}

TEST_F(HeadSyncTest, DamagedCacheFilesAreFetchedAgainAndNeverUsed) {
  Write({Server("a"), Server("b")});
  Run(seconds(15));
  Head head = *ParseHead(kv_.Content()["head"]);
  for (const auto& [key, value] : kv_.Content()) {
    if (key == "head") continue;
    std::string path = dir_ / ("cache/blobs/" + std::string(HashOfBlobKey(key)));
    ASSERT_OK(ReadFile(path, 1 << 20));
    ASSERT_OK(WriteFileAtomically(path, value.substr(0, value.size() / 2)));
    Restart();
    Run(seconds(15));
    EXPECT_EQ(Version("a"), "1") << key;
    EXPECT_EQ(Version("b"), "1") << key;
  }
  ASSERT_OK(WriteFileAtomically(dir_ / "cache/state", "garbage"));
  Restart();
  EXPECT_EQ(Version("a"), "absent");
  Run(seconds(15));
  EXPECT_EQ(Version("a"), "1");
}

TEST_F(HeadSyncTest, AFullCacheKeepsTheOldStateAndSaysSo) {
  Write({Server("a")});
  Run(seconds(15));
  sync_.reset();
  cache_ = *LocalCache::Open(dir_ / "cache", cache_->bytes() + 10);
  sync_ = std::make_unique<HeadSync>(kv_, *cache_, clock_, 7, HeadSyncOptions{.node = "edge-1"});
  ASSERT_OK(sync_->Boot());
  Write({Server("a", "2")});
  Run(seconds(60));
  EXPECT_EQ(last_failure_.code(), StatusCode::kResourceExhausted);
  EXPECT_EQ(Version("a"), "1");
  Restart();
  EXPECT_EQ(Version("a"), "1");
  Run(seconds(15));
  EXPECT_EQ(Version("a"), "2");
}

TEST_F(HeadSyncTest, AnOfferedHeadIsLookedAtWithoutAPoll) {
  Write({Server("a")});
  Run(seconds(15));
  Write({Server("a", "2")});
  int64_t reads = kv_.reads();
  sync_->Offer(kv_.Content()["head"]);
  EXPECT_LE(sync_->next_due(), clock_.Now());
  ASSERT_OK(sync_->Step());
  EXPECT_EQ(Version("a"), "2");
  EXPECT_LE(kv_.reads() - reads, 3);
  sync_->Offer("garbage");
  EXPECT_FALSE(sync_->Step().ok());
  EXPECT_EQ(Version("a"), "2");
}

TEST_F(HeadSyncTest, WhatCameBeforeItsHeadIsNotRead) {
  Write({Server("a"), Server("b")});
  Run(seconds(15));
  const auto before = kv_.Content();
  Write({Server("a", "2"), Server("b", "2")});
  // One of the two, a false one, and things that nobody asked for.
  std::vector<std::string> values = {"", "no object", std::string(1000, 'x')};
  for (const auto& [key, value] : kv_.Content()) {
    if (before.contains(key)) continue;
    if (key.starts_with("objects/") && value.find("\"name\":\"b\"") != std::string::npos) continue;
    values.push_back(value);
  }
  const int64_t reads = kv_.reads();
  sync_->OfferValues(values);
  sync_->Offer(kv_.Content()["head"]);
  ASSERT_OK(sync_->Step());
  EXPECT_EQ(Version("a"), "2");
  EXPECT_EQ(Version("b"), "2");
  EXPECT_EQ(kv_.reads() - reads, 1) << "b's object";
  EXPECT_GE(sync_->stats().pushed_values, 3);

  // They are known by what they are: a value that is another's takes nobody's place.
  Write({Server("a", "3")});
  sync_->OfferValues({"{}", values.back()});
  sync_->Offer(kv_.Content()["head"]);
  ASSERT_OK(sync_->Step());
  EXPECT_EQ(Version("a"), "3");
  EXPECT_EQ(sync_->stats().bad_answers, 0);
}

TEST_F(HeadSyncTest, AChangeOfOneAmongTenThousandCostsFourReadsAndAHundredKilobytes) {
  std::vector<Object> many;
  many.reserve(10'000);
  for (int i = 0; i < 10'000; ++i) many.push_back(Server("server-" + std::to_string(i)));
  Write(many);
  auto begin = std::chrono::steady_clock::now();
  Run(seconds(15));
  auto took = std::chrono::steady_clock::now() - begin;
  RecordProperty("first_sync_ms",
                 static_cast<int>(std::chrono::duration_cast<std::chrono::milliseconds>(took).count()));
  ASSERT_EQ(sync_->state()->objects.size(), 10'000u);
  ASSERT_EQ(Version("server-4711"), "1");
  Write({Server("server-4711", "2")});
  int64_t reads = kv_.reads(), bytes = kv_.read_bytes();
  while (Version("server-4711") != "2") {
    clock_.Advance(std::max(sync_->next_due() - clock_.Now(), Duration(0)));
    begin = std::chrono::steady_clock::now();
    ASSERT_OK(sync_->Step());
    took = std::chrono::steady_clock::now() - begin;
  }
  RecordProperty("change_ms", static_cast<int>(std::chrono::duration_cast<std::chrono::milliseconds>(took).count()));
  EXPECT_LE(kv_.reads() - reads, 4);
  EXPECT_LE(kv_.read_bytes() - bytes, 100'000);
}

// Crashes of the node at any call, with a store at its worst: always a whole state, never an older one.
TEST_F(HeadSyncTest, ACrashAtAnyReadNeverShowsAnOlderState) {
  Write({Server("a"), Server("b")});
  Run(seconds(15));
  for (int i = 2; i < 30; ++i) {
    kv_.SetFaults({});
    Write({Server("a", std::to_string(i)), Server("b", std::to_string(i))});
    kv_.SetFaults({.stale_window = seconds(120), .fail_before = 0.3, .garbage = 0.1});
    Run(seconds(i));
    Restart();
    auto state = sync_->state();
    ASSERT_TRUE(state->head.has_value());
    EXPECT_GE(state->head->order, greatest_);
    EXPECT_EQ(state->objects.size(), 2u);
    for (const auto& [key, synced] : state->objects) EXPECT_NE(synced.object, nullptr);
  }
  kv_.SetFaults({});
  Run(minutes(6));
  EXPECT_EQ(Version("a"), "29");
}

// ---- secrets

Object Secret(const std::string& name, const std::string& version, const std::string& namespace_ = kDefaultNamespace) {
  Object object;
  object.kind = kKindSecret;
  object.metadata.name = name;
  object.metadata.namespace_ = namespace_;
  object.spec = {{"dataVersion", version}};
  return object;
}

Object Using(Object server, const std::string& secret) {
  server.spec["env"] = {{{"name", "TOKEN"}, {"valueFrom", {{"secretKeyRef", {{"name", secret}, {"key", "token"}}}}}}};
  return server;
}

std::string VersionOf(const HeadSync& sync, const std::string& secret) {
  const auto state = sync.state();
  auto it = state->objects.find({kKindSecret, kDefaultNamespace, secret});
  if (it == state->objects.end()) return "absent";
  return it->second.object == nullptr ? "none" : GetString(it->second.object->spec, "dataVersion");
}

TEST_F(HeadSyncTest, ASecretComesToTheNodesWhoseServersReferToItAndToNoOther) {
  Write({Using(Server("here"), "github"), Using(Server("there", "1", {{"nodes", {"edge-2"}}}), "gitlab"),
         Secret("github", "1"), Secret("gitlab", "1"), Secret("nobodys", "1"), Secret("github", "9", "prod")});
  Run(seconds(15));
  EXPECT_EQ(VersionOf(*sync_, "github"), "1");
  EXPECT_EQ(VersionOf(*sync_, "gitlab"), "absent");
  EXPECT_EQ(VersionOf(*sync_, "nobodys"), "absent");
  EXPECT_EQ(sync_->state()->objects.size(), 2u);
  Write({Secret("github", "2")});
  Run(seconds(15));
  EXPECT_EQ(VersionOf(*sync_, "github"), "2");
  // Not referred to any more: not held any more.
  Write({Server("here", "2")});
  Run(seconds(15));
  EXPECT_EQ(VersionOf(*sync_, "github"), "absent");
}

TEST_F(HeadSyncTest, AServerIsAdoptedTogetherWithItsSecret) {
  Write({Server("a", "1")});
  Run(seconds(15));
  const auto before = kv_.Content();
  Write({Using(Server("a", "2"), "github"), Secret("github", "1")});
  const auto whole = kv_.Content();
  // All but the secret's object.
  auto without = whole;
  std::erase_if(without, [&](const auto& item) {
    return item.first.starts_with(kObjectPrefix) && !before.contains(item.first) &&
           item.second.find("MCPSecret") != std::string::npos;
  });
  ASSERT_EQ(without.size() + 1, whole.size());
  kv_.SetContent(without);
  Run(seconds(15));
  EXPECT_EQ(Version("a"), "1 pending");
  kv_.SetContent(whole);
  Run(minutes(2));
  EXPECT_EQ(Version("a"), "2");
  EXPECT_EQ(VersionOf(*sync_, "github"), "1");
}

TEST_F(HeadSyncTest, ASecretThatIsNotInTheSnapshotKeepsNoServerBackAndABootFindsWhatWasHeld) {
  Write({Using(Server("a", "1"), "github"), Using(Server("b", "1"), "absent"), Secret("github", "1")});
  Run(seconds(15));
  EXPECT_EQ(Version("b"), "1");
  EXPECT_EQ(VersionOf(*sync_, "absent"), "absent");
  kv_.SetUnreachable(true);
  Restart();
  EXPECT_EQ(Version("a"), "1");
  EXPECT_EQ(VersionOf(*sync_, "github"), "1");
}

}  // namespace
}  // namespace mcpfleet
