// A fleet whose heads are signed: what a node follows, and what whoever holds the store can't make it follow.
#include <nlohmann/json.hpp>

#include "store/head_sync.h"
#include "store/reader.h"
#include "store/writer.h"
#include "tests/fakes/fake_kv.h"
#include "tests/store/testing.h"

namespace mcpfleet {
namespace {

using namespace testing;
using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

class SignedFleetTest : public ::testing::Test {
 protected:
  SignedFleetTest() { EXPECT_TRUE(Apply(kv_, {.set = {Server("a")}}, {}, clock_, Soon()).ok()); }

  static SigningKey Copy(const SigningKey& key) { return *SigningKey::FromSeed(key.Seed()); }
  static std::vector<SigningKey> Keys(const std::vector<const SigningKey*>& keys) {
    std::vector<SigningKey> copies;
    for (const SigningKey* key : keys) copies.push_back(Copy(*key));
    return copies;
  }
  static Signers Of(const std::vector<const SigningKey*>& keys, int64_t threshold = 1) {
    Signers signers{.threshold = threshold};
    for (const SigningKey* key : keys) signers.keys.push_back(key->public_key());
    return signers;
  }
  // Who signs here knows the root that Init made, and what he has seen.
  HeadVerifier Verifier() {
    return HeadVerifier(fingerprint_,
                        {[this]() -> StatusOr<SeenTrust> { return seen_; },
                         [this](const SeenTrust& seen) {
                           if (IsNewer(seen, seen_)) seen_ = seen;
                           return OkStatus();
                         }},
                        clock_, "");
  }
  HeadSigner Signer(const std::vector<const SigningKey*>& keys) { return SignWith(Verifier(), Keys(keys)); }
  // The next trust document: `roots` sign it, `heads` the head.
  StatusOr<TrustDocument> Rotate(const Signers& roots, const Signers& heads, const std::vector<const SigningKey*>& by,
                                 const SigningKey& head, const std::string& expires = "") {
    return ChangeTrust(kv_, {roots, heads, expires}, Keys(by), Signer({&head}), clock_, Soon());
  }
  void Init() {
    auto first = Rotate(Of({&root_}), Of({&head_}), {&root_}, head_);
    ASSERT_OK(first);
    fingerprint_ = Fingerprint(*first);
  }
  Status Write(const std::string& version, const SigningKey& key) {
    return Apply(kv_, {.set = {Server("a", version)}}, {.sign = Signer({&key}), .max_attempts = 2}, clock_, Soon())
        .status();
  }
  void Boot(HeadSyncOptions options = {}) {
    options.node = "edge-1";
    if (options.trust_root.empty()) options.trust_root = fingerprint_;
    sync_.reset();
    auto cache = LocalCache::Open(dir_ / "cache", int64_t{256} << 20);
    ASSERT_OK(cache);
    cache_ = *std::move(cache);
    sync_ = std::make_unique<HeadSync>(kv_, *cache_, clock_, 7, options);
    ASSERT_OK(sync_->Boot());
  }
  void Run(Duration span = seconds(30)) {
    for (const MonoTime end = clock_.Now() + span; clock_.Now() < end;) {
      clock_.Advance(seconds(1));
      if (const Status step = sync_->Step(); !step.ok()) last_failure_ = step;
    }
  }
  std::string Version() {
    auto state = sync_->state();
    auto it = state->objects.find({kKindServer, kDefaultNamespace, "a"});
    if (it == state->objects.end() || it->second.object == nullptr) return "none";
    const std::string ref = it->second.object->spec["source"]["image"]["ref"];
    return ref.substr(ref.find(':') + 1);
  }
  // The store's head becomes this one, as whoever owns the store can make it.
  void Force(const Head& head) {
    auto content = kv_.Content();
    content[kHeadKey] = *EncodeHead(head);
    kv_.SetContent(content);
  }
  Head Present() { return **ReadHead(kv_, Soon()); }
  Head Signed(Head head, const SigningKey& key) {
    head.signatures = Json::array();
    AddSignature(&head.signatures, key.public_key(), key.Sign(SignedText(head)));
    return head;
  }
  std::string Distrust() { return sync_->stats().distrust; }

  TempDir dir_;
  FakeClock clock_;
  FakeKv kv_{clock_};
  const SigningKey root_ = SigningKey::Create(), head_ = SigningKey::Create(), thief_ = SigningKey::Create();
  std::string fingerprint_;
  SeenTrust seen_;
  std::unique_ptr<LocalCache> cache_;
  std::unique_ptr<HeadSync> sync_;
  Status last_failure_;
};

TEST_F(SignedFleetTest, ASignedChangeArrivesAndAnUnsignedOneIsNotWritten) {
  Init();
  Boot();
  Run();
  EXPECT_EQ(Version(), "1");
  ASSERT_OK(Write("2", head_));
  Run();
  EXPECT_EQ(Version(), "2");
  EXPECT_EQ(Distrust(), "");
  const auto before = kv_.Content().at(kHeadKey);
  const Status unsigned_write = Apply(kv_, {.set = {Server("a", "3")}}, {}, clock_, Soon()).status();
  EXPECT_EQ(unsigned_write.code(), StatusCode::kFailedPrecondition) << unsigned_write;
  const Status wrong_key = Write("3", thief_);
  EXPECT_EQ(wrong_key.code(), StatusCode::kFailedPrecondition) << wrong_key;
  EXPECT_NE(Message(wrong_key).find(head_.public_key()), std::string::npos) << "names the key that is expected";
  EXPECT_EQ(kv_.Content().at(kHeadKey), before);
}

TEST_F(SignedFleetTest, WhoeverHoldsTheStoreCantMakeTheNodeFollowHim) {
  Init();
  ASSERT_OK(Write("2", head_));
  const auto good = kv_.Content();
  const Head real = Present();
  Boot();
  Run();
  // His own snapshot, uploaded like any other, under heads of all kinds.
  FakeKv his(clock_);
  his.SetContent(good);
  ASSERT_OK(Apply(his, {.set = {Server("a", "evil")}},
                  {.sign = SignWith(HeadVerifier(fingerprint_, {}, clock_, ""), Keys({&head_}))}, clock_, Soon()));
  const Head evil_content = *ParseHead(his.Content().at(kHeadKey));
  auto content = his.Content();
  content[kHeadKey] = good.at(kHeadKey);
  kv_.SetContent(content);
  Head evil = real;
  evil.snapshot = evil_content.snapshot;
  ++evil.order.revision;
  const std::vector<std::pair<const char*, Head>> attempts = {
      {"the old signatures over new content", evil},
      {"his own key", Signed(evil, thief_)},
      {"no signature",
       [&] {
         Head h = evil;
         h.signatures = Json::array();
         return h;
       }()},
      {"a fleet that is not signed any more",
       [&] {
         Head h = evil;
         h.order.trust = 0;
         h.order.epoch = 9;
         return h;
       }()},
      {"a trust document that is not there",
       [&] {
         Head h = evil;
         h.order.trust = 2;
         return Signed(h, thief_);
       }()},
      {"signatures under another name",
       [&] {
         Head h = evil;
         h.signatures = Json::array();
         AddSignature(&h.signatures, head_.public_key(), thief_.Sign(SignedText(h)));
         return h;
       }()},
      {"the signed text of a trust document",
       [&] {
         Head h = evil;
         h.signatures = Json::array();
         AddSignature(&h.signatures, head_.public_key(), head_.Sign(SignedText(TrustDocument{.fleet = h.fleet})));
         return h;
       }()},
  };
  for (const auto& [what, head] : attempts) {
    Force(head);
    Run();
    EXPECT_EQ(Version(), "2") << what;
    EXPECT_EQ(sync_->state()->head->order, real.order) << what;
  }
  EXPECT_GE(sync_->stats().untrusted_heads, 6);
  EXPECT_NE(Distrust().find(head_.public_key()), std::string::npos) << Distrust();
  // A trust document of his own.
  TrustDocument his_trust{.fleet = real.fleet, .version = 2, .roots = Of({&thief_}), .heads = Of({&thief_})};
  AddSignature(&his_trust.signatures, thief_.public_key(), thief_.Sign(SignedText(his_trust)));
  content = kv_.Content();
  content[TrustKey(2)] = *EncodeTrust(his_trust);
  kv_.SetContent(content);
  Head jump = evil;
  jump.order = {2, 1, 1};
  Force(Signed(jump, thief_));
  Run();
  EXPECT_EQ(Version(), "2");
  EXPECT_NE(Distrust().find("trust/2"), std::string::npos) << Distrust();
  // And everything good goes on; the store that was put back is believed as it was.
  kv_.SetContent(good);
  Run();
  EXPECT_EQ(Distrust(), "");
  ASSERT_OK(Write("3", head_));
  Run();
  EXPECT_EQ(Version(), "3");
  EXPECT_EQ(Distrust(), "");
}

TEST_F(SignedFleetTest, AnOldOrAForeignSignedHeadIsNotFollowed) {
  Init();
  const Head old = Present();
  ASSERT_OK(Write("2", head_));
  Boot();
  Run();
  const auto good = kv_.Content();
  Force(old);
  Run();
  EXPECT_EQ(Version(), "2");
  EXPECT_GE(sync_->stats().stale_heads, 1);
  // The same key signs for two fleets: a head of the other one is none of ours.
  kv_.SetContent(good);
  Head foreign = Present();
  foreign.fleet = "ffffffffffffffffffffffffffffffff";
  foreign.order.revision += 5;
  Force(Signed(foreign, head_));
  Run();
  EXPECT_EQ(Version(), "2");
  EXPECT_GE(sync_->stats().foreign_heads, 1);
  // Nor by a node that has no history yet.
  ASSERT_TRUE(RemoveTree(dir_ / "cache").ok());
  Boot();
  Run();
  EXPECT_EQ(Version(), "none");
}

TEST_F(SignedFleetTest, ANodeThreeRotationsBehindWalksTheChain) {
  Init();
  Boot();
  Run();
  kv_.SetUnreachable(true);
  Run(minutes(2));
  kv_.SetUnreachable(false);
  // Roots and head keys all change, one after the other.
  std::vector<SigningKey> roots, heads;
  for (int i = 0; i < 3; ++i) {
    roots.push_back(SigningKey::Create());
    heads.push_back(SigningKey::Create());
  }
  const SigningKey* before = &root_;
  for (int i = 0; i < 3; ++i) {
    ASSERT_OK(Rotate(Of({&roots[i]}), Of({&heads[i]}), {before, &roots[i]}, heads[i]));
    before = &roots[i];
  }
  ASSERT_OK(Write("4", heads[2]));
  EXPECT_EQ(Write("5", heads[1]).code(), StatusCode::kFailedPrecondition);
  Run();
  EXPECT_EQ(Version(), "4");
  EXPECT_EQ(sync_->state()->head->order.trust, 4);
  // A chain with a gap is waited for, and a restart forgets nothing of it.
  Boot();
  EXPECT_EQ(Version(), "4");
  auto content = kv_.Content();
  for (int64_t version = 1; version <= 4; ++version) content.erase(TrustKey(version));
  kv_.SetContent(content);
  ASSERT_OK(Write("6", heads[2]));
  Head next = Present();
  next.order.revision += 1;
  Force(Signed(next, heads[2]));
  Run();
  EXPECT_EQ(sync_->state()->head->order, next.order) << "judged by what it holds";
}

TEST_F(SignedFleetTest, AGapInTheChainIsWaitedFor) {
  Init();
  const SigningKey other = SigningKey::Create();
  ASSERT_OK(Rotate(Of({&root_}), Of({&other}), {&root_}, other));
  const auto whole = kv_.Content();
  auto content = whole;
  content.erase(TrustKey(2));
  kv_.SetContent(content);
  Boot();
  Run();
  EXPECT_EQ(last_failure_.code(), StatusCode::kUnavailable) << last_failure_;
  EXPECT_NE(Message(last_failure_).find("trust/2"), std::string::npos);
  EXPECT_EQ(sync_->stats().untrusted_heads, 0);
  EXPECT_EQ(Version(), "none");
  kv_.SetContent(whole);
  Run();
  EXPECT_EQ(Version(), "1");
}

TEST_F(SignedFleetTest, AStolenHeadKeyThatJumpsTheCountersIsWorthNothingAfterARotation) {
  Init();
  Boot();
  Run();
  Head jump = Present();
  jump.order.epoch = jump.order.revision = (int64_t{1} << 53) - 1;
  Force(Signed(jump, head_));
  Run();
  EXPECT_EQ(sync_->state()->head->order, jump.order) << "it is a good signature";
  const SigningKey fresh = SigningKey::Create();
  ASSERT_OK(Rotate(Of({&root_}), Of({&fresh}), {&root_}, fresh));
  ASSERT_OK(Write("2", fresh));
  Run();
  EXPECT_EQ(Version(), "2");
  EXPECT_EQ(ToString(sync_->state()->head->order), "2.1.2");
  const auto good = kv_.Content();
  Force(Signed(jump, head_));
  Run();
  jump.order.trust = 2;
  Force(Signed(jump, head_));
  Run();
  EXPECT_EQ(ToString(sync_->state()->head->order), "2.1.2");
  kv_.SetContent(good);
}

TEST_F(SignedFleetTest, ThresholdsAreKept) {
  const SigningKey second = SigningKey::Create();
  EXPECT_EQ(Rotate(Of({&root_, &second}, 2), Of({&head_}), {&root_}, head_).status().code(),
            StatusCode::kFailedPrecondition)
      << "what no node would follow is not written";
  EXPECT_FALSE(kv_.Content().contains(TrustKey(1)));
  auto first = ChangeTrust(kv_, {Of({&root_, &second}, 2), Of({&head_, &thief_}, 2), ""}, Keys({&root_, &second}),
                           Signer({&head_, &thief_}), clock_, Soon());
  ASSERT_OK(first);
  fingerprint_ = Fingerprint(*first);
  EXPECT_EQ(Write("2", head_).code(), StatusCode::kFailedPrecondition);
  Boot();
  Run();
  EXPECT_EQ(Version(), "1");
  Head alone = Present();
  ++alone.order.revision;
  Force(Signed(alone, head_));
  Run();
  EXPECT_NE(Distrust().find("1 of the 2"), std::string::npos) << Distrust();
}

TEST_F(SignedFleetTest, ANodeThatIsToldOfARootRunsNothingUnsignedOn) {
  HeadSyncOptions unsigned_options;
  unsigned_options.trust_root = "";
  Boot(unsigned_options);
  Run();
  EXPECT_EQ(Version(), "1");
  Init();
  Boot();
  EXPECT_EQ(Version(), "none") << "what it accepted before has nobody's signature";
  Run();
  EXPECT_EQ(Version(), "1");
  Boot();
  EXPECT_EQ(Version(), "1") << "from the disk, offline";
}

TEST_F(SignedFleetTest, AnotherFingerprintIsAnotherFleet) {
  Init();
  HeadSyncOptions options;
  options.trust_root = std::string(64, '0');
  Boot(options);
  Run();
  EXPECT_EQ(Version(), "none");
  EXPECT_NE(Distrust().find("fingerprint is " + fingerprint_), std::string::npos) << Distrust();
}

TEST_F(SignedFleetTest, ANewNodeTakesNoExpiredHeadAndNoneBelowItsMinimum) {
  Init();
  auto renewed = RenewHead(kv_, hours(24), Signer({&head_}), clock_, Soon());
  ASSERT_OK(renewed);
  EXPECT_EQ(ToString(renewed->order), "1.1.2");
  // A change is valid as long again.
  ASSERT_OK(Write("2", head_));
  EXPECT_EQ(*ParseTime(Present().valid_until), clock_.Wall() + hours(24));
  HeadSyncOptions options;
  options.minimum = {1, 1, 4};
  Boot(options);
  Run();
  EXPECT_EQ(Version(), "none");
  EXPECT_NE(Distrust().find("1.1.4"), std::string::npos) << Distrust();
  options.minimum = {1, 1, 3};
  Boot(options);
  Run();
  EXPECT_EQ(Version(), "2");
  // It expires: what runs goes on, a node without history does not begin with it.
  clock_.Advance(hours(25));
  Run();
  EXPECT_EQ(Version(), "2");
  ASSERT_TRUE(RemoveTree(dir_ / "cache").ok());
  Boot(options);
  Run();
  EXPECT_EQ(Version(), "none");
  EXPECT_NE(Distrust().find("valid until"), std::string::npos) << Distrust();
  ASSERT_OK(RenewHead(kv_, Duration::zero(), Signer({&head_}), clock_, Soon()));
  Run();
  EXPECT_EQ(Version(), "2");
}

TEST_F(SignedFleetTest, ATrustDocumentThatExpiredSignsNoNewHeads) {
  auto first = Rotate(Of({&root_}), Of({&head_}), {&root_}, head_, FormatTime(clock_.Wall() + hours(1)));
  ASSERT_OK(first);
  fingerprint_ = Fingerprint(*first);
  Boot();
  Run();
  clock_.Advance(hours(2));
  const Status refused = Write("2", head_);
  EXPECT_NE(Message(refused).find("expired"), std::string::npos) << refused;
  Head late = Present();
  ++late.order.revision;
  Force(Signed(late, head_));
  Run();
  EXPECT_EQ(ToString(sync_->state()->head->order), "1.1.1");
  EXPECT_NE(Distrust().find("expired"), std::string::npos) << Distrust();
  // Other keys, or the same for longer, are the way on.
  ASSERT_OK(Rotate(Of({&root_}), Of({&head_}), {&root_}, head_));
  ASSERT_OK(Write("2", head_));
  Run();
  EXPECT_EQ(Version(), "2");
}

TEST_F(SignedFleetTest, AnInterruptedRotationIsTakenUp) {
  Init();
  const SigningKey other = SigningKey::Create();
  // The document is written, the head is not moved: its signer fails.
  const HeadSigner fails(Verifier(), []() -> StatusOr<std::vector<SigningKey>> { return Unavailable("interrupted"); });
  const TrustChange change{Of({&root_}), Of({&other}), ""};
  EXPECT_FALSE(ChangeTrust(kv_, change, Keys({&root_}), fails, clock_, Soon()).ok());
  EXPECT_TRUE(kv_.Content().contains(TrustKey(2)));
  EXPECT_EQ(Present().order.trust, 1);
  clock_.Advance(seconds(5));
  const TrustChange different{Of({&root_}), Of({&thief_}), ""};
  EXPECT_EQ(ChangeTrust(kv_, different, Keys({&root_}), Signer({&thief_}), clock_, Soon()).status().code(),
            StatusCode::kAborted);
  ASSERT_OK(ChangeTrust(kv_, change, Keys({&root_}), Signer({&other}), clock_, Soon()));
  EXPECT_EQ(Present().order.trust, 2);
}

TEST_F(SignedFleetTest, ABackupHoldsTheChainAndIsRestoredSigned) {
  Init();
  ASSERT_OK(Backup(kv_, dir_ / "backup", 1, Soon()));
  FakeKv fresh(clock_);
  EXPECT_EQ(Restore(fresh, dir_ / "backup", {}, clock_, Soon()).status().code(), StatusCode::kFailedPrecondition);
  ASSERT_OK(Restore(fresh, dir_ / "backup", {.sign = Signer({&head_})}, clock_, Soon()));
  kv_.SetContent(fresh.Content());
  Boot();
  Run();
  EXPECT_EQ(Version(), "1");
  // Over a chain that says something else nothing is restored.
  auto content = fresh.Content();
  TrustDocument other{.fleet = Present().fleet, .version = 1, .roots = Of({&thief_}), .heads = Of({&thief_})};
  AddSignature(&other.signatures, thief_.public_key(), thief_.Sign(SignedText(other)));
  content[TrustKey(1)] = *EncodeTrust(other);
  fresh.SetContent(content);
  EXPECT_EQ(Restore(fresh, dir_ / "backup", {.sign = Signer({&head_})}, clock_, Soon()).status().code(),
            StatusCode::kFailedPrecondition);
}

}  // namespace
}  // namespace mcpfleet
