#include "edge-runtime/gateway/jwks_cache.h"

#include <algorithm>

#include "base/digest.h"
#include "base/log.h"
#include "base/strings.h"

namespace mcpfleet::gateway {
namespace {

constexpr Duration kFresh = std::chrono::hours(1);
constexpr Duration kRefresh = std::chrono::minutes(50);  // from then on, beside the requests
constexpr Duration kRetry = std::chrono::seconds(30);
constexpr size_t kMaxIssuers = 64;   // of all endpoints of a node; each at most 256 KiB and its keys
constexpr size_t kMaxWaiters = 256;  // requests that wait for one fetch

enum class Step { kUse, kUseAndFetch, kWait };

struct Standing {
  bool has_kid = false;
  std::optional<Duration> age;     // since the issuer confirmed the set; nullopt: not in this process
  std::optional<Duration> waited;  // since the last fetch began
  bool fetching = false;
  bool failing = false;
};

// kUse where there are no keys means: say why.
Step Decide(const Standing& s) {
  const bool may_fetch = !s.fetching && (!s.waited.has_value() || *s.waited >= kRetry);
  const bool can_wait = s.fetching || may_fetch;
  if (!s.has_kid) return can_wait ? Step::kWait : Step::kUse;
  if (s.age.has_value() && *s.age < kRefresh) return Step::kUse;
  // While the issuer is away nobody waits for it: the set is as good as it gets.
  if (s.failing || (s.age.has_value() && *s.age < kFresh)) return may_fetch ? Step::kUseAndFetch : Step::kUse;
  return can_wait ? Step::kWait : Step::kUse;
}

std::string WithoutQuery(const std::string& uri) { return Printable(uri.substr(0, uri.find('?')), 300); }

}  // namespace

JwksCache::JwksCache(const Clock& clock, FetchJwks fetch)
    : clock_(clock), fetch_(std::move(fetch)), self_(std::make_shared<JwksCache*>(this)) {}
JwksCache::~JwksCache() = default;

void JwksCache::SetDirectory(std::string directory) { files_ = std::make_unique<JwksFiles>(std::move(directory)); }

void JwksCache::Find(const std::string& uri, std::string_view kid, const Done& done) {
  Issuer* issuer = Of(uri);
  if (issuer == nullptr) return done(ResourceExhausted("keys of too many issuers are fetched"));
  const MonoTime now = clock_.Now();
  Standing standing{.has_kid = issuer->keys != nullptr && issuer->keys->Has(kid),
                    .fetching = issuer->fetching,
                    .failing = !issuer->failure.ok()};
  if (issuer->confirmed.has_value()) standing.age = now - *issuer->confirmed;
  if (issuer->tried.has_value()) standing.waited = now - *issuer->tried;
  Step step = Decide(standing);
  if (step == Step::kWait && issuer->waiters.size() >= kMaxWaiters) step = Step::kUse;
  if (step == Step::kWait) {
    issuer->waiters.push_back(done);
    if (!issuer->fetching) Fetch(uri, issuer);
    return;
  }
  const Keys keys = issuer->keys;
  const Status failure =
      issuer->failure.ok() ? ResourceExhausted("too many requests wait for the issuer's keys") : issuer->failure;
  if (step == Step::kUseAndFetch) Fetch(uri, issuer);
  done(keys != nullptr ? StatusOr<Keys>(keys) : StatusOr<Keys>(failure));
}

// Null when all that are there wait for a fetch and no more fit.
JwksCache::Issuer* JwksCache::Of(const std::string& uri) {
  auto it = issuers_.find(uri);
  if (it == issuers_.end()) {
    if (!MakeRoom()) return nullptr;
    it = issuers_.emplace(uri, Issuer()).first;
    std::optional<std::string> body = files_ != nullptr ? files_->Read(uri) : std::nullopt;
    StatusOr<KeySet> keys = body.has_value() ? ParseKeySet(*body) : StatusOr<KeySet>(NotFound("no file"));
    if (keys.ok()) {
      it->second.keys = std::make_shared<const KeySet>(*std::move(keys));
      it->second.digest = Sha256Bytes(*body);
    }
  }
  it->second.used = ++uses_;
  return &it->second;
}

bool JwksCache::MakeRoom() {
  if (issuers_.size() < kMaxIssuers) return true;
  auto oldest = issuers_.end();
  for (auto it = issuers_.begin(); it != issuers_.end(); ++it) {
    if (it->second.fetching) continue;
    if (oldest == issuers_.end() || it->second.used < oldest->second.used) oldest = it;
  }
  if (oldest == issuers_.end()) return false;
  issuers_.erase(oldest);
  return true;
}

// `issuer` may be gone afterwards: a fetch that answers at once calls the waiters, who may look for another's keys.
void JwksCache::Fetch(const std::string& uri, Issuer* issuer) {
  issuer->fetching = true;
  issuer->tried = clock_.Now();
  fetch_(uri, [weak = std::weak_ptr<JwksCache*>(self_), uri](const StatusOr<std::string>& body) {
    if (std::shared_ptr<JwksCache*> self = weak.lock()) (*self)->Fetched(uri, body);
  });
}

void JwksCache::Fetched(const std::string& uri, const StatusOr<std::string>& body) {
  auto it = issuers_.find(uri);
  if (it == issuers_.end() || !it->second.fetching) return;
  Issuer& issuer = it->second;
  issuer.fetching = false;
  const bool was_failing = !issuer.failure.ok();
  if (body.ok() && issuer.keys != nullptr && Sha256Bytes(*body) == issuer.digest) {
    issuer.failure = OkStatus();  // the same set: what was judged by it stays judged
  } else {
    StatusOr<KeySet> keys = body.ok() ? ParseKeySet(*body) : StatusOr<KeySet>(body.status());
    issuer.failure = keys.status();
    if (keys.ok()) {
      issuer.keys = std::make_shared<const KeySet>(*std::move(keys));
      issuer.digest = Sha256Bytes(*body);
      if (files_ != nullptr) files_->Write(uri, *body);
    }
  }
  if (issuer.failure.ok()) {
    issuer.confirmed = clock_.Now();
    if (was_failing) LOG_INFO("the keys of the issuer could be fetched again", {{"uri", WithoutQuery(uri)}});
  } else if (!was_failing) {  // once, not with every attempt of the coming weeks
    LOG_WARNING("the keys of the issuer can't be fetched; what is known of them stays in use",
                {{"uri", WithoutQuery(uri)}, {"keys", issuer.keys != nullptr}, {"error", issuer.failure}});
  }
  const StatusOr<Keys> answer = issuer.keys != nullptr ? StatusOr<Keys>(issuer.keys) : StatusOr<Keys>(issuer.failure);
  const std::vector<Done> waiters = std::exchange(issuer.waiters, {});
  const std::weak_ptr<JwksCache*> alive = self_;
  for (const Done& done : waiters) {
    if (!alive.expired()) done(answer);
  }
}

}  // namespace mcpfleet::gateway
