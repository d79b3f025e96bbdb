#include "store/kubernetes/secret_watches.h"

#include "base/strings.h"

namespace mcpfleet::kube {

void SecretWatches::Want(const std::set<SecretName>& names) {
  std::vector<std::unique_ptr<Informer>> ended;
  for (auto it = informers_.begin(); it != informers_.end();) {
    if (names.contains(it->first)) {
      ++it;
      continue;
    }
    ended.push_back(std::move(it->second));
    it = informers_.erase(it);
  }
  for (const auto& informer : ended) informer->Stop();
  {
    MutexLock lock(&mu_);
    std::erase_if(secrets_, [&](const auto& each) { return !names.contains(each.first); });
    for (const SecretName& name : names) secrets_.try_emplace(name);
  }
  for (const SecretName& name : names) {
    if (informers_.contains(name)) continue;
    if (informers_.size() >= kMostCoreSecrets) {
      MutexLock lock(&mu_);
      secrets_[name] = {.secret = nullptr,
                        .problem = "a node reads at most " + std::to_string(kMostCoreSecrets) +
                                   " Secrets of Kubernetes; put several values into one, or use an MCPSecret",
                        .read = true};
      continue;
    }
    InformerOptions options{.path = "/api/v1/namespaces/" + PercentEncode(name.first) + "/secrets",
                            .reflector = {.field_selector = "metadata.name=" + name.second},
                            .on_refused = [this, name](const Status& refused) { TakeRefusal(name, refused); }};
    auto informer =
        std::make_unique<Informer>(rest_, clock_, seed_ + informers_.size() + 1, std::move(options),
                                   [this, name](const std::vector<Change>& changes) { Take(name, changes); });
    informer->Start();
    informers_[name] = std::move(informer);
  }
}

void SecretWatches::Take(const SecretName& name, const std::vector<Change>& changes) {
  CoreSecret next{.secret = nullptr, .problem = {}, .read = true};
  bool changed = false;
  for (const Change& change : changes) {
    if (change.name.second != name.second) continue;  // a server that does not know the selector
    changed = true;
    next.secret = nullptr;
    next.problem.clear();
    if (change.object.is_null()) continue;
    StatusOr<std::shared_ptr<const PlainSecret>> secret = PlainSecretOf(change.object);
    if (secret.ok()) {
      next.secret = *std::move(secret);
    } else {
      next.problem = Message(secret.status());
    }
  }
  {
    MutexLock lock(&mu_);
    const auto it = secrets_.find(name);
    if (it == secrets_.end()) return;
    if (!changed && it->second.read && !it->second.forbidden) return;
    if (!changed) next.secret = nullptr;
    // The same values: labels, annotations or a rewrite changed the Secret, and nobody needs to look.
    if (it->second.read && it->second.secret != nullptr && next.secret != nullptr &&
        it->second.secret->version == next.secret->version)
      return;
    it->second = std::move(next);
  }
  on_change_();
}

// A role that does not name it, which may be mended while mcplet runs.
void SecretWatches::TakeRefusal(const SecretName& name, const Status& refused) {
  {
    MutexLock lock(&mu_);
    const auto it = secrets_.find(name);
    if (it == secrets_.end() || it->second.forbidden) return;
    it->second = {.secret = nullptr, .problem = Message(refused), .read = true, .forbidden = true};
  }
  on_change_();
}

CoreSecrets SecretWatches::Current() const {
  MutexLock lock(&mu_);
  return secrets_;
}

}  // namespace mcpfleet::kube
