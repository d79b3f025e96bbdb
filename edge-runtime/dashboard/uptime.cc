#include "edge-runtime/dashboard/uptime.h"

#include <algorithm>
#include <cmath>
#include <tuple>
#include <utility>

#include <nlohmann/json.hpp>

namespace mcpfleet::dashboard {
namespace {

constexpr double kUnknown = 2;  // behind every ratio

Json RatioJson(const std::optional<double>& ratio) { return ratio ? Json(*ratio) : Json(); }

int64_t Seconds(int64_t ms) { return std::llround(static_cast<double>(ms) / 1000); }

}  // namespace

std::optional<double> Uptime::ratio() const {
  if (known_ms == 0) return std::nullopt;
  return static_cast<double>(up_ms) / static_cast<double>(known_ms);
}

Uptime UptimeWithin(std::span<const Transition> transitions, int64_t from, int64_t until) {
  Uptime found;
  for (size_t i = 0; i < transitions.size(); ++i) {
    const int64_t start = std::max(transitions[i].at, from);
    const int64_t end = std::min(i + 1 < transitions.size() ? transitions[i + 1].at : until, until);
    if (end <= start || !transitions[i].up) continue;
    found.known_ms += end - start;
    if (*transitions[i].up) found.up_ms += end - start;
  }
  return found;
}

SubjectUptime UptimeOf(std::string subject, std::span<const Transition> transitions, int64_t from, int64_t until,
                       size_t bars) {
  SubjectUptime found{.subject = std::move(subject), .uptime = UptimeWithin(transitions, from, until)};
  const double width = static_cast<double>(until - from) / static_cast<double>(std::max<size_t>(bars, 1));
  const auto edge = [&](size_t i) { return from + std::llround(static_cast<double>(i) * width); };
  for (size_t i = 0; i < bars; ++i) found.bars.push_back(UptimeWithin(transitions, edge(i), edge(i + 1)).ratio());
  return found;
}

SubjectUptime MeanOf(std::string subject, const std::vector<SubjectUptime>& all, size_t bars) {
  SubjectUptime mean{.subject = std::move(subject)};
  std::vector<std::pair<double, size_t>> parts(bars);
  for (const SubjectUptime& each : all) {
    mean.uptime.up_ms += each.uptime.up_ms;
    mean.uptime.known_ms += each.uptime.known_ms;
    for (size_t i = 0; i < std::min(bars, each.bars.size()); ++i) {
      if (!each.bars[i]) continue;
      parts[i].first += *each.bars[i];
      ++parts[i].second;
    }
  }
  for (const auto& [sum, known] : parts)
    mean.bars.push_back(known == 0 ? std::nullopt : std::optional(sum / static_cast<double>(known)));
  return mean;
}

void KeepWorst(std::vector<SubjectUptime>* all, size_t most) {
  std::sort(all->begin(), all->end(), [](const SubjectUptime& a, const SubjectUptime& b) {
    const double of_a = a.uptime.ratio().value_or(kUnknown), of_b = b.uptime.ratio().value_or(kUnknown);
    return std::tie(of_a, a.subject) < std::tie(of_b, b.subject);
  });
  if (all->size() > most) all->resize(most);
}

Json ToJson(const SubjectUptime& uptime) {
  Json json = {{"subject", uptime.subject},
               {"uptime",
                {{"upSeconds", Seconds(uptime.uptime.up_ms)},
                 {"knownSeconds", Seconds(uptime.uptime.known_ms)},
                 {"ratio", RatioJson(uptime.uptime.ratio())}}}};
  if (uptime.bars.empty()) return json;
  Json bars = Json::array();
  for (const auto& bar : uptime.bars) bars.push_back(RatioJson(bar));
  json["bars"] = std::move(bars);
  return json;
}

}  // namespace mcpfleet::dashboard
