// What a sync plans, it plans from the state that the fleet's keys signed, whatever the store shows for one look.
#include "edge-runtime/gitsync/synchronizer.h"
#include "store/trust_draft.h"
#include "tests/edge-runtime/gitsync/git_world.h"
#include "tests/fakes/fake_kv.h"
#include "tests/fakes/meddled_kv.h"

namespace mcpfleet::gitsync {
namespace {

using testing::Soon;
using Content = std::map<std::string, std::string>;

class HostileSyncTest : public ::testing::Test {
 protected:
  HostileSyncTest() {
    EXPECT_OK(Apply(config_, {.set = {Owned("a")}}, {}, clock_, Soon()));
    auto first = ChangeTrust(config_, {Only(root_), Only(head_), ""}, Copies({&root_}), Signer(), clock_, Soon());
    EXPECT_OK(first);
    pinned_ = Fingerprint(*first);
    older_ = config_.Content();
    EXPECT_OK(Apply(config_, {.set = {Owned("b")}}, {.sign = Signer()}, clock_, Soon()));
    good_ = config_.Content();
    world_.File("a.yaml", ManifestOf("a"));
    world_.Commit("b is no more");
  }
  static Object Owned(const std::string& name) {
    Object object = testing::Server(name);
    object.metadata.labels[kApplySetLabel] = "fleet";
    return object;
  }
  static std::vector<SigningKey> Copies(const std::vector<const SigningKey*>& keys) {
    std::vector<SigningKey> copies;
    for (const SigningKey* key : keys) copies.push_back(*SigningKey::FromSeed(key->Seed()));
    return copies;
  }
  static Signers Only(const SigningKey& key) { return {.keys = {key.public_key()}}; }
  HeadSigner Signer() {
    const TrustMemory memory{[this]() -> StatusOr<SeenTrust> { return seen_; },
                             [this](const SeenTrust& seen) {
                               if (IsNewer(seen, seen_)) seen_ = seen;
                               return OkStatus();
                             }};
    return SignWith(HeadVerifier(pinned_, memory, clock_, "ask for it"), Copies({&head_, &root_}));
  }
  // The good state, but for a head that nobody signed: of a snapshot where everything is another set's.
  Content Forged() {
    FakeKv his(clock_);
    Content content = good_;
    Head head = *ParseHead(good_.at(kHeadKey));
    const HeadOrder order = head.order;
    head.order.trust = 0;
    head.signatures = Json::array();
    content[kHeadKey] = *EncodeHead(head);
    his.SetContent(content);
    Object theirs = Owned("a");
    theirs.metadata.labels[kApplySetLabel] = "bank";
    EXPECT_OK(Apply(his, {.set = {theirs}}, {}, clock_, Soon()));
    content = his.Content();
    head = *ParseHead(content.at(kHeadKey));
    head.order = {order.trust, order.epoch, order.revision + 1};
    content[kHeadKey] = *EncodeHead(head);
    return content;
  }
  // One step, for whose first look at the head the store shows `shown`.
  SyncOutcome StepShown(const Content& shown) {
    MeddledKv meddled(config_);
    meddled.before_read = [&](int read) { config_.SetContent(read == 1 ? shown : good_); };
    const std::string directory = world_ / "state";
    Synchronizer sync({.name = "fleet", .shown_url = world_.url(), .branch = "main", .directory = directory},
                      Repository(*GitProgram::Create({.directory = directory, .protocols = "file"}),
                                 *ParseGitUrl(world_.url()), "main", Verification{.none = true}),
                      SyncStore{meddled, state_, Signer(), [](Deadline) { return FailedPrecondition("no Worker"); }},
                      clock_);
    EXPECT_OK(sync.Recall(Soon()));
    const SyncOutcome outcome = sync.Step(Soon());
    said_ = sync.message();
    pruned_ = sync.status().pruned;
    return outcome;
  }

  GitWorld world_;
  FakeClock clock_;
  FakeKv config_{clock_}, state_{clock_};
  SigningKey root_ = SigningKey::Create(), head_ = SigningKey::Create();
  std::string pinned_, said_;
  int64_t pruned_ = 0;
  SeenTrust seen_;
  Content older_, good_;
};

TEST_F(HostileSyncTest, AStateThatIsPlayedBackForThePlanIsRefusedAndNothingIsWritten) {
  EXPECT_EQ(StepShown(older_), SyncOutcome::kRefused) << said_;
  EXPECT_NE(said_.find("somebody plays back an old state"), std::string::npos) << said_;
  EXPECT_EQ(config_.Content().at(kHeadKey), older_.at(kHeadKey)) << "a second look was taken";
  EXPECT_EQ(StepShown(good_), SyncOutcome::kApplied) << said_;
  EXPECT_EQ(pruned_, 1);
}

TEST_F(HostileSyncTest, AHeadThatNobodySignedDecidesNeitherOwnersNorPrunes) {
  EXPECT_EQ(StepShown(Forged()), SyncOutcome::kRefused) << said_;
  EXPECT_NE(said_.find("is not to be built on"), std::string::npos) << said_;
  EXPECT_EQ(said_.find("bank"), std::string::npos) << said_;
}

TEST_F(HostileSyncTest, AFleetThatIsNotSignedIsNotTakenForOneThatIs) {
  Content plain = good_;
  Head head = *ParseHead(good_.at(kHeadKey));
  head.order = {0, 9, 1};
  head.signatures = Json::array();
  plain[kHeadKey] = *EncodeHead(head);
  EXPECT_EQ(StepShown(plain), SyncOutcome::kRefused) << said_;
  EXPECT_EQ(StepShown({}), SyncOutcome::kRefused) << said_;
}

}  // namespace
}  // namespace mcpfleet::gitsync
