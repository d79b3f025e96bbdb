#include "store/kubernetes/reflector.h"

#include <algorithm>

#include <nlohmann/json.hpp>

#include "base/strings.h"

namespace mcpfleet::kube {
namespace {

// A watch that ends sooner than this and said nothing is a server or a proxy in trouble.
constexpr Duration kShortWatch = std::chrono::seconds(1);

std::string VersionOf(const Json& object) { return GetString(GetMember(object, "metadata"), "resourceVersion"); }

bool IsGone(const Json& status) {
  const std::string reason = GetString(status, "reason");
  return GetInt(status, "code") == 410 || reason == "Expired" || reason == "Gone";
}

}  // namespace

ObjectName NameOf(const Json& object) {
  const Json& metadata = GetMember(object, "metadata");
  return {GetString(metadata, "namespace"), GetString(metadata, "name")};
}

Reflector::Reflector(ReflectorOptions options, uint64_t seed) : options_(std::move(options)), rng_(seed) {}

Duration Reflector::Between(Duration least, Duration most) {
  return Duration(std::uniform_int_distribution<int64_t>(least.count(), std::max(least, most).count())(rng_));
}

Reflector::Request Reflector::Next() {
  Request request{.step = step_, .query = {}, .watch_for = {}};
  const auto add = [&request](const std::string& name, const std::string& value) {
    request.query += (request.query.empty() ? "" : "&") + name + "=" + PercentEncode(value);
  };
  if (!options_.field_selector.empty()) add("fieldSelector", options_.field_selector);
  if (step_ == Step::kList) {
    if (paged_) add("limit", std::to_string(options_.page));
    if (!continue_.empty()) add("continue", continue_);
    return request;
  }
  const auto seconds = std::chrono::floor<std::chrono::seconds>(Between(options_.watch_least, options_.watch_most));
  request.watch_for = std::max<Duration>(seconds, std::chrono::seconds(1));
  add("watch", "1");
  add("resourceVersion", version_);
  add("allowWatchBookmarks", "true");
  add("timeoutSeconds", std::to_string(std::chrono::duration_cast<std::chrono::seconds>(request.watch_for).count()));
  return request;
}

void Reflector::Pause(MonoTime now, Duration at_least) {
  Duration pause = options_.first_pause;
  for (int i = 0; i < failures_ && pause < options_.longest_pause; ++i) pause *= 2;
  pause = std::min(pause, options_.longest_pause);
  ++failures_;
  // Jitter over the whole pause: when a server comes back, its nodes must not come all at once.
  due_ = now + std::max(at_least, Between(pause / 2, pause + pause / 2));
}

void Reflector::Relist(MonoTime now, bool pause) {
  ++relists_;
  step_ = Step::kList;
  continue_.clear();
  pages_.clear();
  if (pause || failures_ > 0) {
    Pause(now, Duration::zero());
  } else {
    ++failures_;  // the first at once, any more only after a pause, until a watch works
    due_ = now;
  }
}

std::vector<Change> Reflector::OnPage(const Json& list, MonoTime now) {
  const Json& metadata = GetMember(list, "metadata");
  const Json& items = GetMember(list, "items");
  const std::string version = GetString(metadata, "resourceVersion");
  // A list without a version is none that a watch could go on from: a proxy's answer, or not this API.
  if (version.empty() || !(items.is_array() || items.is_null())) {
    Relist(now, true);
    return {};
  }
  for (const Json& item : items) pages_[NameOf(item)] = item;
  continue_ = GetString(metadata, "continue");
  due_ = now;
  if (!continue_.empty()) return {};
  std::vector<Change> changes;
  std::map<ObjectName, std::string> next;
  for (auto& [name, object] : pages_) {
    const std::string own = VersionOf(object);
    next[name] = own;
    const auto before = known_.find(name);
    if (before == known_.end() || before->second != own || own.empty()) changes.push_back({name, std::move(object)});
  }
  for (const auto& [name, own] : known_) {
    if (!next.contains(name)) changes.push_back({name, nullptr});
  }
  pages_.clear();
  known_ = std::move(next);
  version_ = version;
  synced_ = true;
  paged_ = true;
  step_ = Step::kWatch;
  return changes;
}

void Reflector::OnListFailed(int code, Duration retry_after, MonoTime now) {
  const bool token_expired = code == 410 && !continue_.empty();
  continue_.clear();
  pages_.clear();
  if (token_expired && paged_) {
    paged_ = false;
    due_ = now;
    return;
  }
  Pause(now, retry_after);
}

std::vector<Change> Reflector::OnEvent(const Json& event, MonoTime now, bool* end) {
  *end = false;
  const std::string type = GetString(event, "type");
  const Json& object = GetMember(event, "object");
  if (type == "ERROR") {
    *end = true;
    Relist(now, !IsGone(object));
    return {};
  }
  const std::string version = VersionOf(object);
  const bool gone = type == "DELETED";
  if (version.empty() || (!gone && type != "ADDED" && type != "MODIFIED" && type != "BOOKMARK")) {
    *end = true;
    OnGarbage(now);
    return {};
  }
  eventful_ = true;
  Worked();
  version_ = version;
  if (type == "BOOKMARK") return {};
  const ObjectName name = NameOf(object);
  if (gone) {
    known_.erase(name);
    return {{name, nullptr}};
  }
  known_[name] = version;
  return {{name, object}};
}

void Reflector::OnWatchEnded(int code, Duration retry_after, MonoTime now) {
  const bool eventful = std::exchange(eventful_, false);
  if (step_ == Step::kList) return;  // an event has ended it
  if (code == 410) return Relist(now, false);
  if (code == 400 || code == 422 || code == 500) return Relist(now, true);  // it does not take this version
  if (code == 200 && (eventful || now - opened_at_ >= kShortWatch)) {
    Worked();
    due_ = now;
    return;
  }
  Pause(now, retry_after);
}

}  // namespace mcpfleet::kube
