// What whoever holds the store can't make a signer do: sign on top of a state that the fleet's keys did not sign.
#include <nlohmann/json.hpp>

#include "store/head_verifier.h"
#include "store/reader.h"
#include "store/trust_draft.h"
#include "store/writer.h"
#include "tests/fakes/fake_kv.h"
#include "tests/store/testing.h"

namespace mcpfleet {
namespace {

using namespace testing;
using std::chrono::hours;

using Content = std::map<std::string, std::string>;

class HostileBaseTest : public ::testing::Test {
 protected:
  HostileBaseTest() {
    EXPECT_TRUE(Apply(kv_, {.set = {Server("a")}}, {}, clock_, Soon()).ok());
    auto first = ChangeTrust(kv_, {Only(root_), Only(head_), ""}, Keys({&root_}), Signer(), clock_, Soon());
    EXPECT_TRUE(first.ok()) << first.status();
    pinned_ = Fingerprint(*first);
    old_ = kv_.Content();
    EXPECT_TRUE(Write("2").ok());
    good_ = kv_.Content();
  }

  static SigningKey Copy(const SigningKey& key) { return *SigningKey::FromSeed(key.Seed()); }
  static std::vector<SigningKey> Keys(const std::vector<const SigningKey*>& keys) {
    std::vector<SigningKey> copies;
    for (const SigningKey* key : keys) copies.push_back(Copy(*key));
    return copies;
  }
  static Signers Only(const SigningKey& key) { return {.keys = {key.public_key()}}; }
  HeadVerifier Verifier(TrustMemory memory) { return HeadVerifier(pinned_, std::move(memory), clock_, "ask for it"); }
  TrustMemory Memory() {
    return {[this]() -> StatusOr<SeenTrust> { return seen_; },
            [this](const SeenTrust& seen) {
              if (IsNewer(seen, seen_)) seen_ = seen;
              return OkStatus();
            }};
  }
  // Of the honest operator: both of his keys.
  HeadSigner Signer() { return SignWith(Verifier(Memory()), Keys({&head_, &root_})); }
  Status Write(const std::string& version) {
    return Apply(kv_, {.set = {Server("b", version)}}, {.sign = Signer(), .max_attempts = 2}, clock_, Soon()).status();
  }
  Head Present() { return **ReadHead(kv_, Soon()); }
  static Head Signed(Head head, const SigningKey& key) {
    head.signatures = Json::array();
    AddSignature(&head.signatures, key.public_key(), key.Sign(SignedText(head)));
    return head;
  }
  static TrustDocument Signed(TrustDocument document, const std::vector<const SigningKey*>& keys) {
    for (const SigningKey* key : keys)
      AddSignature(&document.signatures, key->public_key(), key->Sign(SignedText(document)));
    return document;
  }
  // The good content with his snapshot in it, and the head that would name it.
  Head Evil(Content* content) {
    FakeKv his(clock_);
    Content plain = good_;
    Head head = *ParseHead(good_.at(kHeadKey));
    const HeadOrder order = head.order;
    head.order.trust = 0;
    plain[kHeadKey] = *EncodeHead(head);
    his.SetContent(plain);
    EXPECT_TRUE(Apply(his, {.set = {Server("a", "evil")}}, {}, clock_, Soon()).ok());
    *content = his.Content();
    head = *ParseHead(content->at(kHeadKey));
    head.order = {order.trust, order.epoch, order.revision + 1};
    head.signatures = Json::array();
    return head;
  }

  // What he may show instead, by name.
  std::map<std::string, Content> Attacks() {
    std::map<std::string, Content> attacks;
    Content base;
    const Head evil = Evil(&base);
    const auto show = [&](const char* name, const Head& head) -> Content& {
      Content& content = attacks[name] = base;
      content[kHeadKey] = *EncodeHead(head);
      return content;
    };
    show("a head without signatures", evil);
    show("a head with his own signature", Signed(evil, thief_));
    Head reused = evil;
    reused.signatures = ParseHead(good_.at(kHeadKey))->signatures;
    show("the old signature over his content", reused);
    Head plain = evil;
    plain.order = {0, 9, 1};
    show("a fleet that is not signed", plain);
    attacks["an older head"] = old_;
    Head foreign = evil;
    foreign.fleet = std::string(32, 'f');
    show("another fleet's head by the same key", Signed(foreign, head_));
    // A root of his own, which names the operator's key: his signature is what the thief wants.
    const TrustDocument own =
        Signed({.fleet = evil.fleet, .version = 1, .roots = Only(thief_), .heads = Only(thief_)}, {&thief_});
    show("a trust/1 of his own", Signed(evil, thief_))[TrustKey(1)] = *EncodeTrust(own);
    TrustDocument next{.fleet = evil.fleet, .version = 2, .roots = Only(thief_), .heads = Only(thief_)};
    next.heads.keys.push_back(head_.public_key());
    Head jump = evil;
    jump.order = {2, 1, 1};
    show("a trust/2 that no root signed", Signed(jump, thief_))[TrustKey(2)] =
        *EncodeTrust(Signed(next, {&thief_, &head_}));
    TrustDocument altered = *ParseTrust(good_.at(TrustKey(1)));
    altered.heads.keys.push_back(thief_.public_key());
    show("trust/1 with a key added", Signed(evil, thief_))[TrustKey(1)] = *EncodeTrust(altered);
    return attacks;
  }
  // Nothing new may bear a signature of the operator.
  void ExpectNothingSigned(const Content& before, const std::string& what) {
    EXPECT_EQ(kv_.Content().at(kHeadKey), before.at(kHeadKey)) << what;
    EXPECT_EQ(kv_.Content().count(TrustKey(3)), 0u) << what;
    EXPECT_EQ(kv_.Content().count(TrustKey(2)), before.count(TrustKey(2))) << what;
  }

  TempDir dir_;
  FakeClock clock_;
  FakeKv kv_{clock_};
  const SigningKey root_ = SigningKey::Create(), head_ = SigningKey::Create(), thief_ = SigningKey::Create();
  std::string pinned_;
  SeenTrust seen_;
  Content old_, good_;
};

TEST_F(HostileBaseTest, NoVerbSignsOnTopOfWhatTheFleetsKeysDidNotSign) {
  for (const auto& attack : Attacks()) {
    const std::string& what = attack.first;
    const Content& content = attack.second;
    // A verifier that never saw this fleet before refuses them too, but for what is merely old.
    for (const bool fresh : {false, true}) {
      if (fresh && what == "an older head") continue;
      const SeenTrust seen = seen_;
      if (fresh) seen_ = {};
      const auto refused = [&](const Status& status, const char* verb) {
        EXPECT_EQ(status.code(), StatusCode::kFailedPrecondition) << what << ": " << verb << ": " << status;
        ExpectNothingSigned(content, what + ": " + verb);
      };
      kv_.SetContent(content);
      refused(Write("3"), "apply");
      refused(Apply(kv_, {.remove = {{kKindServer, "default", "b"}}}, {.sign = Signer()}, clock_, Soon()).status(),
              "delete");
      refused(Rollback(kv_, ParseHead(old_.at(kHeadKey))->snapshot, {.sign = Signer()}, clock_, Soon()).status(),
              "rollback");
      refused(RenewHead(kv_, hours(1), Signer(), clock_, Soon()).status(), "renew");
      refused(ChangeTrust(kv_, {Only(root_), Only(head_), ""}, Keys({&root_}), Signer(), clock_, Soon()).status(),
              "rotate");
      refused(Apply(kv_, {.set = {Server("b", "3")}}, {.dry_run = true, .sign = Signer()}, clock_, Soon()).status(),
              "dry run");
      EXPECT_EQ(seen_.head, fresh ? HeadOrder{} : seen.head) << what << ": what was refused is not remembered";
      seen_ = seen;
    }
  }
  kv_.SetContent(good_);
  EXPECT_OK(Write("3"));
}

TEST_F(HostileBaseTest, WithoutARootNothingIsSignedInASignedFleetWhoeverSignedItsHead) {
  const std::string pinned = pinned_;
  // A whole chain of his own, with the operator's key among the heads.
  Content content;
  const Head evil = Evil(&content);
  TrustDocument own{.fleet = evil.fleet, .version = 1, .roots = Only(thief_), .heads = Only(head_)};
  own.heads.keys.push_back(thief_.public_key());
  content[TrustKey(1)] = *EncodeTrust(Signed(own, {&thief_}));
  content[kHeadKey] = *EncodeHead(Signed(evil, thief_));
  for (const Content& shown : {good_, content}) {
    pinned_ = "";
    seen_ = {};
    kv_.SetContent(shown);
    const Status refused = Write("3");
    EXPECT_EQ(refused.code(), StatusCode::kFailedPrecondition) << refused;
    EXPECT_NE(Message(refused).find("ask for it"), std::string::npos) << "says how the root is told: " << refused;
    ExpectNothingSigned(shown, "without a root");
  }
  // Nor is a fleet begun over one that was seen to be signed.
  Head plain = evil;
  plain.order = {0, 9, 1};
  content[kHeadKey] = *EncodeHead(plain);
  kv_.SetContent(content);
  seen_ = {.head = {1, 1, 2}};
  EXPECT_EQ(ChangeTrust(kv_, {Only(root_), Only(head_), ""}, Keys({&root_}), Signer(), clock_, Soon()).status().code(),
            StatusCode::kFailedPrecondition);
  ExpectNothingSigned(content, "a second beginning");
}

TEST_F(HostileBaseTest, AnEmptyStoreIsNoBeginningForWhoKnowsARoot) {
  FakeKv empty(clock_);
  const Status refused = Apply(empty, {.set = {Server("a")}}, {.sign = Signer()}, clock_, Soon()).status();
  EXPECT_EQ(refused.code(), StatusCode::kFailedPrecondition) << refused;
  EXPECT_FALSE(empty.Content().contains(kHeadKey));
}

TEST_F(HostileBaseTest, WhatARotationKeepsComesFromTheVerifiedDocument) {
  // He offers trust/1 with a head key of his own in it: a rotation that keeps the heads would keep him.
  Content content = good_;
  TrustDocument altered = *ParseTrust(good_.at(TrustKey(1)));
  altered.heads.keys.push_back(thief_.public_key());
  content[TrustKey(1)] = *EncodeTrust(altered);
  kv_.SetContent(content);
  // Who holds the document already does not ask for it again.
  auto held = Signer().ReadBase(kv_, BaseFor::kNewKeys, Soon());
  ASSERT_OK(held);
  EXPECT_FALSE(Has(held->trust()->heads, thief_.public_key()));
  seen_ = {};
  EXPECT_EQ(Signer().ReadBase(kv_, BaseFor::kNewKeys, Soon()).status().code(), StatusCode::kFailedPrecondition);
}

TEST_F(HostileBaseTest, AForkOfTheChainByOldRootsIsRefusedByWhoWalkedOn) {
  const SigningKey new_root = SigningKey::Create();
  ASSERT_OK(ChangeTrust(kv_, {Only(new_root), Only(head_), ""}, Keys({&root_, &new_root}), Signer(), clock_, Soon()));
  // The root that was replaced is stolen later: another trust/2, and a head far ahead.
  Content content;
  good_ = kv_.Content();
  Head evil = Evil(&content);
  const TrustDocument fork =
      Signed({.fleet = evil.fleet, .version = 2, .roots = Only(root_), .heads = Only(thief_)}, {&root_});
  content[TrustKey(2)] = *EncodeTrust(fork);
  evil.order = {2, 7, 1};
  content[kHeadKey] = *EncodeHead(Signed(evil, thief_));
  kv_.SetContent(content);
  EXPECT_EQ(Write("3").code(), StatusCode::kFailedPrecondition);
  evil.order = {3, 1, 1};
  content[TrustKey(3)] =
      *EncodeTrust(Signed({.fleet = evil.fleet, .version = 3, .roots = Only(root_), .heads = Only(thief_)}, {&root_}));
  content[kHeadKey] = *EncodeHead(Signed(evil, thief_));
  kv_.SetContent(content);
  EXPECT_EQ(Write("3").code(), StatusCode::kFailedPrecondition);
  EXPECT_EQ(kv_.Content().at(kHeadKey), content.at(kHeadKey));
}

TEST_F(HostileBaseTest, AnExpiredHeadIsRenewedByWhoHasSeenItAndNotTakenByWhoHasNot) {
  ASSERT_OK(RenewHead(kv_, hours(24), Signer(), clock_, Soon()));
  clock_.Advance(hours(25));
  const SeenTrust seen = seen_;
  seen_ = {};
  const Status fresh = Write("3");
  EXPECT_EQ(fresh.code(), StatusCode::kFailedPrecondition);
  EXPECT_NE(Message(fresh).find("valid until"), std::string::npos) << fresh;
  // Who is told the least head has a history.
  seen_ = {.head = seen.head};
  EXPECT_OK(RenewHead(kv_, Duration::zero(), Signer(), clock_, Soon()));
  EXPECT_GT(seen_.head, seen.head);
  EXPECT_FALSE(seen_.document.empty());
  seen_ = {};
  EXPECT_OK(Write("3"));
}

TEST_F(HostileBaseTest, TwoHeadsOfOneNumberAreNotBothBuiltOn) {
  const Head good = Present();
  Content content;
  Head other = Evil(&content);
  other.order = good.order;
  content[kHeadKey] = *EncodeHead(Signed(other, head_));  // lost a race, and was kept by the store
  kv_.SetContent(content);
  const Status refused = Write("3");
  EXPECT_EQ(refused.code(), StatusCode::kFailedPrecondition) << refused;
  EXPECT_NE(Message(refused).find("two writers"), std::string::npos) << refused;
}

TEST_F(HostileBaseTest, ABackupThatTheFleetsKeysDidNotSignIsNotRestoredSigned) {
  FakeKv fresh(clock_);
  Content content;
  const Head evil = Evil(&content);
  for (const Head& head : {evil, Signed(evil, thief_)}) {
    Content his = content;
    his[kHeadKey] = *EncodeHead(head);
    kv_.SetContent(his);
    ASSERT_OK(Backup(kv_, dir_ / "evil", 1, Soon()));
    EXPECT_EQ(Restore(fresh, dir_ / "evil", {.sign = Signer()}, clock_, Soon()).status().code(),
              StatusCode::kFailedPrecondition);
    EXPECT_TRUE(fresh.Content().empty());
  }
  // A good one is, over whatever head the store shows: nothing of that is taken but that it must be exceeded.
  kv_.SetContent(good_);
  ASSERT_OK(Backup(kv_, dir_ / "good", 1, Soon()));
  ASSERT_OK(Write("3"));
  Head unsigned_head = Present();
  unsigned_head.order.revision += 3;
  unsigned_head.snapshot = evil.snapshot;
  unsigned_head.signatures = Json::array();
  content[kHeadKey] = *EncodeHead(unsigned_head);
  kv_.SetContent(content);
  auto restored = Restore(kv_, dir_ / "good", {.sign = Signer()}, clock_, Soon());
  ASSERT_OK(restored);
  EXPECT_EQ(ToString(restored->order), "1.2.1");
  EXPECT_EQ(restored->snapshot, ParseHead(good_.at(kHeadKey))->snapshot);
  EXPECT_EQ(seen_.head, restored->order);
  EXPECT_OK(Write("4"));
}

TEST_F(HostileBaseTest, WithoutABackupTheHeadThatWasSeenLastComesBack) {
  const auto lifetime = RenewHead(kv_, hours(24), Signer(), clock_, Soon());
  ASSERT_OK(lifetime);
  const Head seen = Present();
  Content content;
  good_ = kv_.Content();
  const Head evil = Evil(&content);
  content[kHeadKey] = *EncodeHead(evil);
  kv_.SetContent(content);
  clock_.Advance(hours(1));
  auto back = RestoreSeen(kv_, {.sign = Signer()}, clock_, Soon());
  ASSERT_OK(back);
  EXPECT_EQ(back->snapshot, seen.snapshot);
  EXPECT_EQ(ToString(back->order), "1.2.1");
  EXPECT_EQ(*ParseTime(back->valid_until), clock_.Wall() + hours(24));
  EXPECT_OK(Write("3"));
  // Not what the memory says without a signature, nor what the store has not got.
  const SeenTrust known = seen_;
  seen_.bytes = *EncodeHead(evil);
  EXPECT_FALSE(RestoreSeen(kv_, {.sign = Signer()}, clock_, Soon()).ok());
  seen_ = {.head = known.head};
  EXPECT_EQ(RestoreSeen(kv_, {.sign = Signer()}, clock_, Soon()).status().code(), StatusCode::kFailedPrecondition);
  EXPECT_EQ(RestoreSeen(kv_, {}, clock_, Soon()).status().code(), StatusCode::kFailedPrecondition);
  seen_ = known;
  FakeKv empty(clock_);
  EXPECT_FALSE(RestoreSeen(empty, {.sign = Signer()}, clock_, Soon()).ok());
}

TEST_F(HostileBaseTest, CountersThatLeaveNoRoomAreGoneBeyondByTheRoots) {
  const Head seen = Present();
  Content content;
  Head evil = Evil(&content);
  evil.order.epoch = evil.order.revision = (int64_t{1} << 53) - 1;
  content[kHeadKey] = *EncodeHead(evil);
  kv_.SetContent(content);
  EXPECT_FALSE(RestoreSeen(kv_, {.sign = Signer()}, clock_, Soon()).ok()) << "there is no greater epoch";
  const TrustChange change{Only(root_), Only(head_), ""};
  EXPECT_FALSE(ChangeTrust(kv_, change, Keys({&root_}), Signer(), clock_, Soon()).ok());
  ASSERT_OK(ChangeTrust(kv_, change, Keys({&root_}), Signer().OnLastSeen(), clock_, Soon()));
  EXPECT_EQ(ToString(Present().order), "2.1.1");
  EXPECT_EQ(Present().snapshot, seen.snapshot);
  EXPECT_OK(Write("3"));
}

TEST_F(HostileBaseTest, ABackupOfAnOlderTrustDocumentIsSignedByTheNewestThatIsKnown) {
  ASSERT_OK(Backup(kv_, dir_ / "before", 1, Soon()));
  ASSERT_OK(ChangeTrust(kv_, {Only(root_), Only(head_), ""}, Keys({&root_}), Signer(), clock_, Soon()));
  FakeKv fresh(clock_);  // the store is lost, and trust/2 with it; the signer's memory holds it
  auto restored = Restore(fresh, dir_ / "before", {.sign = Signer()}, clock_, Soon());
  ASSERT_OK(restored);
  EXPECT_EQ(ToString(restored->order), "2.2.1");
  EXPECT_TRUE(fresh.Content().contains(TrustKey(2)));
}

TEST_F(HostileBaseTest, TheFileRemembersAndNeverGoesBack) {
  const std::string path = dir_ / "head.json";
  const TrustMemory memory = RememberTrustIn(path, pinned_);
  EXPECT_EQ(memory.recall()->head, HeadOrder{});
  ASSERT_OK(memory.remember(seen_));
  ASSERT_OK(memory.remember({.head = {1, 1, 1}}));
  EXPECT_EQ(memory.recall()->head, seen_.head);
  EXPECT_EQ(memory.recall()->document, seen_.document);
  EXPECT_EQ(RememberTrustIn(path, std::string(64, '0')).recall()->head, HeadOrder{}) << "of another root";
  // Damaged, it is no first look.
  ASSERT_TRUE(WriteFileAtomically(path, "{").ok());
  EXPECT_FALSE(memory.recall().ok());
  // A signer with it refuses what is old.
  ASSERT_TRUE(WriteFileAtomically(path, "{}").ok());
  const HeadSigner signer = SignWith(Verifier(memory), Keys({&head_}));
  ASSERT_OK(Apply(kv_, {.set = {Server("b", "5")}}, {.sign = signer}, clock_, Soon()));
  EXPECT_EQ(memory.recall()->head, Present().order) << "its own change too";
  kv_.SetContent(good_);
  EXPECT_EQ(Apply(kv_, {.set = {Server("b", "6")}}, {.sign = signer}, clock_, Soon()).status().code(),
            StatusCode::kFailedPrecondition);
}

}  // namespace
}  // namespace mcpfleet
