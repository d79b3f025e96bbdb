// Uptime from changes of state, as the Worker reckons it (cloud/worker/src/fleet/uptime.ts): what is written down is
// that something went up or down, not that it stays so. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/json.h"

namespace mcpfleet::dashboard {

struct Transition {
  int64_t at = 0;          // milliseconds since 1970
  std::optional<bool> up;  // nullopt: it is meant to be down, or nothing is known; that counts as neither
};

struct Uptime {
  int64_t up_ms = 0, known_ms = 0;
  std::optional<double> ratio() const;
};

struct SubjectUptime {
  std::string subject;
  Uptime uptime;
  std::vector<std::optional<double>> bars;  // of equal parts of the time
};

// `transitions` in the order of time. Of [from, until), milliseconds.
Uptime UptimeWithin(std::span<const Transition> transitions, int64_t from, int64_t until);
SubjectUptime UptimeOf(std::string subject, std::span<const Transition> transitions, int64_t from, int64_t until,
                       size_t bars);
// Of several in one: what was up of all that is known, part by part.
SubjectUptime MeanOf(std::string subject, const std::vector<SubjectUptime>& all, size_t bars);
// The `most` worst, the worst first; those of which nothing is known come last.
void KeepWorst(std::vector<SubjectUptime>* all, size_t most);
// As GET /v1/uptime has it; without bars where none were asked for.
Json ToJson(const SubjectUptime& uptime);

}  // namespace mcpfleet::dashboard
