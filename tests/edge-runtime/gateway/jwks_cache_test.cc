#include "edge-runtime/gateway/jwks_cache.h"

#include <sys/stat.h>

#include <gtest/gtest.h>

#include "base/digest.h"
#include "base/fd.h"
#include "tests/base/http_testing.h"
#include "tests/edge-runtime/gateway/scripted_fetch.h"
#include "tests/edge-runtime/gateway/signer.h"

namespace mcpfleet::gateway {
namespace {

using namespace std::chrono_literals;

constexpr char kUri[] = "https://issuer.example/keys";

class JwksCacheTest : public ::testing::Test {
 protected:
  // Names of the keys that Find gives, "?" while it waits, the error's message otherwise.
  std::shared_ptr<std::string> Find(const std::string& kid, const std::string& uri = kUri) {
    auto answer = std::make_shared<std::string>("?");
    cache_->Find(uri, kid, [answer](const StatusOr<JwksCache::Keys>& keys) {
      EXPECT_EQ(*answer, "?") << "answered twice";
      answer->clear();
      if (!keys.ok()) *answer = Message(keys.status());
      for (const PublicKey& key : keys.ok() ? (*keys)->keys : std::vector<PublicKey>()) *answer += key.kid() + " ";
    });
    return answer;
  }
  std::string Body(std::initializer_list<const Signer*> signers) {
    std::vector<Json> keys;
    for (const Signer* signer : signers) keys.push_back(signer->Jwk());
    return KeySetText(keys);
  }
  // A cache that has `one`, fetched now.
  void HaveOne() {
    auto answer = Find("one");
    fetch_.Answer(Body({&one_}));
    ASSERT_EQ(*answer, "one ");
  }

  const Signer one_{"one"}, two_{"two"};
  FakeClock clock_;
  ScriptedFetch fetch_;
  std::unique_ptr<JwksCache> cache_ = std::make_unique<JwksCache>(clock_, fetch_.Function());
};

TEST_F(JwksCacheTest, RequestsThatNeedTheSameKeysShareOneFetch) {
  auto first = Find("one"), second = Find("one"), other = Find("nobody");
  EXPECT_EQ(fetch_.count(), 1u);
  EXPECT_EQ(*first + *second + *other, "???");
  fetch_.Answer(Body({&one_}));
  EXPECT_EQ(*first + *second + *other, "one one one ");
  EXPECT_EQ(*Find("one"), "one ");
  EXPECT_EQ(*Find(""), "one ");
  EXPECT_EQ(fetch_.count(), 1u);
}

TEST_F(JwksCacheTest, KeysAreFreshForAnHourAndFetchedAnewBesideTheRequestsBefore) {
  HaveOne();
  clock_.Advance(50min - 1s);
  EXPECT_EQ(*Find("one"), "one ");
  EXPECT_EQ(fetch_.count(), 1u);
  clock_.Advance(1s);
  EXPECT_EQ(*Find("one"), "one ") << "nobody waits";
  EXPECT_EQ(*Find("one"), "one ");
  EXPECT_EQ(fetch_.count(), 2u) << "one fetch at a time";
  fetch_.Answer(Body({&two_}));
  EXPECT_EQ(*Find("two"), "two ");
  clock_.Advance(1h);
  auto late = Find("two");
  EXPECT_EQ(*late, "?") << "a set that nobody confirmed for an hour is not taken for what the issuer says";
  fetch_.Answer(Body({&one_}));
  EXPECT_EQ(*late, "one ") << "the key that was withdrawn is gone";
}

TEST_F(JwksCacheTest, AKeyThatIsNewIsFoundAtOnceAndAForeignOneCostsOneFetchInThirtySeconds) {
  HaveOne();
  clock_.Advance(30s);
  auto rotated = Find("two");
  EXPECT_EQ(*rotated, "?");
  fetch_.Answer(Body({&one_, &two_}));
  EXPECT_EQ(*rotated, "one two ");
  for (int second = 0; second < 30; ++second, clock_.Advance(1s)) EXPECT_EQ(*Find("forged"), "one two ");
  EXPECT_EQ(fetch_.count(), 2u);
  EXPECT_EQ(*Find("forged"), "?");
  EXPECT_EQ(fetch_.count(), 3u);
  EXPECT_EQ(*Find("one"), "one two ") << "known keys don't wait for unknown ones";
}

TEST_F(JwksCacheTest, WhileTheIssuerIsAwayItsLastKeysStayInUseAndNobodyWaits) {
  HaveOne();
  clock_.Advance(2h);
  auto first = Find("one");
  EXPECT_EQ(*first, "?") << "one attempt first";
  fetch_.Answer(Unavailable("no route"));
  EXPECT_EQ(*first, "one ");
  for (int day = 0; day < 60; ++day, clock_.Advance(24h)) {
    EXPECT_EQ(*Find("one"), "one ");
    if (fetch_.under_way() > 0) fetch_.Answer(day % 2 == 0 ? StatusOr<std::string>("<html>") : Unavailable("no route"));
  }
  EXPECT_EQ(*Find("one"), "one ");
  EXPECT_GT(fetch_.count(), 50u) << "it goes on trying";
  fetch_.Answer(Body({&two_}));
  EXPECT_EQ(*Find("two"), "two ");
}

TEST_F(JwksCacheTest, AnIssuerThatNeverAnsweredIsAskedEveryThirtySeconds) {
  auto first = Find("one");
  fetch_.Answer(Unavailable("no route"));
  EXPECT_EQ(*first, "no route");
  clock_.Advance(30s - 1ms);
  EXPECT_EQ(*Find("one"), "no route");
  EXPECT_EQ(fetch_.count(), 1u);
  clock_.Advance(1ms);
  auto again = Find("one");
  EXPECT_EQ(*again, "?");
  fetch_.Answer(Body({&one_}));
  EXPECT_EQ(*again, "one ");
}

TEST_F(JwksCacheTest, AnswersThatAreNoKeySetChangeNothing) {
  HaveOne();
  const Signer weak("weak", "RSA-1024");
  for (const std::string& bad : {std::string("{}"), std::string("{\"keys\":[]}"), Body({&weak}),
                                 Body({&two_}) + std::string(kMaxKeySetBytes, ' ')}) {
    clock_.Advance(1h);
    Find("one");
    fetch_.Answer(bad);
    EXPECT_EQ(*Find("one"), "one ");
  }
}

TEST_F(JwksCacheTest, TheSameSetFetchedAgainIsTheSameObject) {
  JwksCache::Keys before, after;
  HaveOne();
  cache_->Find(kUri, "one", [&](const StatusOr<JwksCache::Keys>& keys) { before = *keys; });
  clock_.Advance(1h);
  cache_->Find(kUri, "one", [&](const StatusOr<JwksCache::Keys>& keys) { after = *keys; });
  fetch_.Answer(Body({&one_}));
  EXPECT_NE(before, nullptr);
  EXPECT_EQ(before, after);
}

TEST_F(JwksCacheTest, WaitersAndIssuersAreBounded) {
  std::vector<std::shared_ptr<std::string>> waiting;
  waiting.reserve(256);
  for (int i = 0; i < 256; ++i) waiting.push_back(Find("one"));
  EXPECT_EQ(*Find("one"), "too many requests wait for the issuer's keys");
  for (int i = 1; i < 64; ++i) Find("x", "https://issuer.example/" + std::to_string(i));
  EXPECT_EQ(fetch_.count(), 64u);
  EXPECT_EQ(*Find("x", "https://one.too.many"), "keys of too many issuers are fetched");
  fetch_.Answer(Body({&one_}));
  for (const auto& answer : waiting) EXPECT_EQ(*answer, "one ");
  EXPECT_EQ(*Find("x", "https://one.too.many"), "?") << "it took the place of the one that nobody waits for";
  EXPECT_EQ(*Find("one"), "keys of too many issuers are fetched");
}

TEST_F(JwksCacheTest, AFetchThatAnswersAtOnceMayStartAnother) {
  fetch_.AnswerAtOnce([this] { return Body({&one_}); });
  int answers = 0;
  std::function<void(int)> ask = [&](int n) {
    cache_->Find("https://issuer.example/" + std::to_string(n), "one", [&, n](const StatusOr<JwksCache::Keys>& keys) {
      EXPECT_TRUE(keys.ok());
      ++answers;
      if (n < 200) ask(n + 1);  // pushes out the ones before
    });
  };
  ask(0);
  EXPECT_EQ(answers, 201);
}

TEST_F(JwksCacheTest, AnAnswerAfterTheEndOfTheCacheIsDropped) {
  auto answer = Find("one");
  cache_.reset();
  fetch_.Answer(Body({&one_}));
  EXPECT_EQ(*answer, "?");
}

TEST_F(JwksCacheTest, ANodeThatBootsOfflineHasTheKeysOfBefore) {
  http::TempDir dir;
  cache_->SetDirectory(dir / "jwks");
  HaveOne();
  clock_.Advance(1h);
  Find("one");
  fetch_.Answer(Body({&one_, &two_}));
  cache_ = std::make_unique<JwksCache>(clock_, fetch_.Function());  // the old one ends when all is written
  cache_->SetDirectory(dir / "jwks");
  auto booted = Find("two");
  EXPECT_EQ(*booted, "?") << "newer ones are asked for first";
  fetch_.Answer(Unavailable("no route"));
  EXPECT_EQ(*booted, "one two ");
  EXPECT_EQ(*Find("two"), "one two ");
  const std::string path = dir / "jwks/" + Sha256Hex(kUri) + ".json";
  struct stat info {};
  ASSERT_EQ(stat(path.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
  EXPECT_EQ(ReadFile(path, 1 << 20).value_or(""), Body({&one_, &two_}));
}

TEST_F(JwksCacheTest, ABrokenFileIsAsNone) {
  http::TempDir dir;
  const std::string path = dir / Sha256Hex(kUri) + ".json";
  for (const std::string& content : {std::string("{"), std::string(300'000, ' ')}) {
    ASSERT_TRUE(WriteFileAtomically(path, content).ok());
    cache_ = std::make_unique<JwksCache>(clock_, fetch_.Function());
    cache_->SetDirectory(dir.path());
    auto answer = Find("one");
    fetch_.Answer(Unavailable("no route"));
    EXPECT_EQ(*answer, "no route");
  }
}

TEST(JwksFilesTest, TheOldestFilesGoWhenThereAreTooMany) {
  http::TempDir dir;
  const std::string directory = dir / "a/b";
  for (int i = 0; i < 140; ++i) {
    JwksFiles files(directory);
    files.Write(std::to_string(i), "x");
  }
  JwksFiles files(directory);
  EXPECT_EQ(files.Read("139"), "x");
  int kept = 0;
  for (int i = 0; i < 140; ++i) kept += files.Read(std::to_string(i)).has_value();
  EXPECT_EQ(kept, 128);
}

}  // namespace
}  // namespace mcpfleet::gateway
