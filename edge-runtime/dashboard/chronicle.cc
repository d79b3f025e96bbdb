#include "edge-runtime/dashboard/chronicle.h"

#include <algorithm>
#include <limits>
#include <set>
#include <utility>

#include <nlohmann/json.hpp>

namespace mcpfleet::dashboard {
namespace {

constexpr Duration kAliveEvery = std::chrono::minutes(5);
// Two of these, and what a restart of mcplet takes: its servers live on meanwhile.
constexpr Duration kAway = std::chrono::minutes(12);
constexpr Duration kClockError = std::chrono::minutes(1);
constexpr size_t kSpareRows = 500;

Json Optional(const std::optional<int64_t>& value) { return value ? Json(*value) : Json(); }

std::optional<int64_t> NumberOf(const Json& row, const char* key) {
  const Json& member = GetMember(row, key);
  return member.is_number_integer() ? std::optional(member.get<int64_t>()) : std::nullopt;
}

Json TransitionJson(const std::string& subject, const Transition& transition) {
  return {{"subject", subject}, {"at", transition.at}, {"up", transition.up ? Json(*transition.up) : Json()}};
}

}  // namespace

Json Chronicle::ToJson(const Row& row) {
  return {{"key", row.alert.key},
          {"kind", row.alert.kind},
          {"subject", row.alert.subject},
          {"message", row.alert.message},
          {"severity", row.alert.critical ? "critical" : "warning"},
          {"raised", row.raised},
          {"cleared", Optional(row.cleared)},
          {"acknowledged", Optional(row.acknowledged)},
          {"acknowledged_by", row.acknowledged ? Json(row.acknowledged_by) : Json()}};
}

void Chronicle::Load() {
  if (std::exchange(loaded_, true)) return;
  alive_ = journal_.Touched().value_or(WallTime{});
  journal_.Load([this](const Json& row) { Take(row); });
}

void Chronicle::Take(const Json& row) {
  if (const std::string boot = GetString(row, "boot"); !boot.empty()) boot_ = boot;
  if (const std::string subject = GetString(row, "subject"); !subject.empty()) {
    const Json& up = GetMember(row, "up");
    std::vector<Transition>& of = subjects_[subject];
    const int64_t at = GetInt(row, "at");
    // Written after a clock that was ahead was put right.
    while (!of.empty() && of.back().at > at) of.pop_back(), --transitions_;
    of.push_back({at, up.is_boolean() ? std::optional(up.get<bool>()) : std::nullopt});
    ++transitions_;
  }
  const Json& alert = GetMember(row, "alert");
  if (const std::string key = GetString(alert, "key"); !key.empty()) {
    const int64_t raised = GetInt(alert, "raised");
    alerts_[{key, raised}] = {.alert = {key, GetString(alert, "kind"), GetString(alert, "subject"),
                                        GetString(alert, "message"), GetString(alert, "severity") == "critical"},
                              .raised = raised,
                              .cleared = NumberOf(alert, "cleared"),
                              .acknowledged = NumberOf(alert, "acknowledged"),
                              .acknowledged_by = GetString(alert, "acknowledged_by")};
  }
}

void Chronicle::Begin(const std::string& boot, WallTime now) {
  Load();
  // A clock that went back since then tells nothing of how long that was.
  const bool away = boot != boot_ || now < alive_ || now - alive_ > kAway;
  const WallTime end = std::min(alive_, now);
  if (away) {
    for (const std::string& subject : Known()) Note(subject, std::nullopt, end);
  }
  if (boot != boot_) Write({{"boot", boot_ = boot}}, now);
  Alive(now);
}

void Chronicle::Alive(WallTime now) {
  Load();
  if (now >= alive_ && now - alive_ < kAliveEvery) return;
  alive_ = now;
  journal_.Touch(now);
}

void Chronicle::Note(const std::string& subject, std::optional<bool> up, WallTime now) {
  Load();
  const int64_t at = ToMillis(now), latest = ToMillis(now + kClockError);
  const auto found = subjects_.find(subject);
  if (found == subjects_.end() ? !up : found->second.back().at <= latest && found->second.back().up == up) return;
  std::vector<Transition>& of = subjects_[subject];
  // What is later than now is of a clock that was wrong.
  while (!of.empty() && of.back().at > latest) of.pop_back(), --transitions_;
  of.push_back({of.empty() ? at : std::max(at, of.back().at), up});
  ++transitions_;
  Write(TransitionJson(subject, of.back()), now);
}

void Chronicle::Write(const Json& row, WallTime now) {
  journal_.Append(row);
  alive_ = now;
  if (transitions_ > kTransitions || alerts_.size() > kAlertRows) Trim();
  if (journal_.rows() > 2 * (transitions_ + alerts_.size()) + kSpareRows) Compact();
  journal_.Touch(now);
}

// To nine tenths, so that it is seldom done.
void Chronicle::Trim() {
  std::vector<int64_t> times;
  for (const auto& [subject, of] : subjects_) {
    for (const Transition& each : of) times.push_back(each.at);
  }
  if (times.size() > kTransitions) {
    const auto cut = times.begin() + static_cast<std::ptrdiff_t>(times.size() - kTransitions * 9 / 10);
    std::nth_element(times.begin(), cut, times.end());
    for (auto& [subject, of] : subjects_) {
      const bool known = of.back().up.has_value();
      const Transition last = of.back();
      std::erase_if(of, [&](const Transition& each) { return each.at < *cut; });
      if (of.empty() && known) of.push_back(last);
    }
    std::erase_if(subjects_, [](const auto& each) { return each.second.empty(); });
    transitions_ = 0;
    for (const auto& [subject, of] : subjects_) transitions_ += of.size();
  }
  if (alerts_.size() <= kAlertRows) return;
  std::vector<std::pair<int64_t, AlertId>> over;
  for (const auto& [id, row] : alerts_) {
    if (row.cleared) over.emplace_back(*row.cleared, id);
  }
  std::sort(over.begin(), over.end());
  const size_t excess = std::min(over.size(), alerts_.size() - kAlertRows * 9 / 10);
  for (size_t i = 0; i < excess; ++i) alerts_.erase(over[i].second);
}

void Chronicle::Compact() {
  std::vector<Json> rows{{{"boot", boot_}}};
  for (const auto& [subject, of] : subjects_) {
    for (const Transition& each : of) rows.push_back(TransitionJson(subject, each));
  }
  for (const auto& [id, row] : alerts_) rows.push_back({{"alert", ToJson(row)}});
  journal_.Replace(rows);
}

std::vector<std::string> Chronicle::Known() {
  Load();
  std::vector<std::string> known;
  for (const auto& [subject, of] : subjects_) {
    if (of.back().up) known.push_back(subject);
  }
  return known;
}

std::map<std::string, int64_t> Chronicle::DownSince() {
  Load();
  std::map<std::string, int64_t> down;
  for (const auto& [subject, of] : subjects_) {
    if (of.back().up == std::optional(false)) down[subject] = of.back().at;
  }
  return down;
}

std::set<std::string> Chronicle::Raised() {
  Load();
  std::set<std::string> raised;
  for (const auto& [id, row] : alerts_) {
    if (!row.cleared) raised.insert(row.alert.key);
  }
  return raised;
}

Chronicle::Row* Chronicle::OpenOf(const std::string& key) {
  constexpr int64_t kFirst = std::numeric_limits<int64_t>::min();
  for (auto it = alerts_.lower_bound({key, kFirst}); it != alerts_.end() && it->first.first == key; ++it) {
    if (!it->second.cleared) return &it->second;
  }
  return nullptr;
}

std::vector<Notice> Chronicle::Update(const std::vector<Alert>& active, WallTime now) {
  const int64_t at = ToMillis(now);
  std::vector<Notice> notices;
  std::set<std::string> left = Raised();
  for (const Alert& alert : active) {
    if (left.erase(alert.key) > 0) continue;
    const Row& row = alerts_[{alert.key, at}] = {.alert = alert, .raised = at};
    notices.push_back({alert, "raised", at, at});
    Write({{"alert", ToJson(row)}}, now);
  }
  for (const std::string& key : left) {
    Row& row = *OpenOf(key);
    row.cleared = at;
    notices.push_back({row.alert, "cleared", row.raised, at});
    Write({{"alert", ToJson(row)}}, now);
  }
  return notices;
}

bool Chronicle::Acknowledge(const std::string& key, const std::string& who, WallTime now) {
  Load();
  Row* row = OpenOf(key);
  if (row == nullptr) return false;
  if (row->acknowledged) return true;
  row->acknowledged = ToMillis(now);
  row->acknowledged_by = who;
  Write({{"alert", ToJson(*row)}}, now);
  return true;
}

Json Chronicle::Alerts(bool all) {
  Load();
  std::vector<const Row*> rows;
  for (const auto& [id, row] : alerts_) {
    if (all || !row.cleared) rows.push_back(&row);
  }
  // Open ones first, then the newest.
  std::stable_sort(rows.begin(), rows.end(), [](const Row* a, const Row* b) {
    return std::pair(a->cleared.has_value(), -a->raised) < std::pair(b->cleared.has_value(), -b->raised);
  });
  Json found = Json::array();
  for (const Row* row : rows) found.push_back(ToJson(*row));
  return found;
}

Json Chronicle::Uptimes(const std::string& subject, int64_t from, int64_t until, size_t bars, bool mean) {
  Load();
  std::vector<SubjectUptime> all;
  if (subject.ends_with('/')) {
    for (auto each = subjects_.lower_bound(subject); each != subjects_.end() && each->first.starts_with(subject);
         ++each)
      all.push_back(UptimeOf(each->first, each->second, from, until, bars));
  } else {
    const auto found = subjects_.find(subject);
    all.push_back(
        UptimeOf(subject, found == subjects_.end() ? std::vector<Transition>{} : found->second, from, until, bars));
  }
  if (mean) all = {MeanOf(subject, all, bars)};
  KeepWorst(&all, kUptimeRows);
  Json found = Json::array();
  for (const SubjectUptime& each : all) found.push_back(dashboard::ToJson(each));
  return found;
}

}  // namespace mcpfleet::dashboard
