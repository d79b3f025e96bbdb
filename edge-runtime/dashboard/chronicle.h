// What the page tells of the past: since when a node or a server is up or down, and the alerts that are raised and that
// were. A row is written when something changes, and nothing while it does not; the file's time is its last sign of
// life, moved on every five minutes. Bounded: what is old goes first, but for what is so now.
//
// Not thread-safe.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/json.h"
#include "edge-runtime/dashboard/alerts.h"
#include "edge-runtime/dashboard/journal.h"
#include "edge-runtime/dashboard/uptime.h"

namespace mcpfleet::dashboard {

inline constexpr size_t kTransitions = 20'000;
inline constexpr size_t kAlertRows = 1000;
inline constexpr size_t kUptimeRows = 1000;  // in one answer: the worst

// What has to be told of an alert, once.
struct Notice {
  Alert alert;
  std::string state;  // "raised", "cleared"
  int64_t raised = 0, at = 0;
};

class Chronicle {
 public:
  explicit Chronicle(std::string path) : journal_(std::move(path), "the dashboard's record of alerts and uptime") {}

  // Once, before what is now is noted. Of the time while nobody looked nothing is known: states end at the last sign of
  // life where the machine was started since (`boot` is another), or that was longer ago than a restart takes.
  void Begin(const std::string& boot, WallTime now);
  // A sign of life.
  void Alive(WallTime now);
  // `subject` is up or down from now on; nothing is written when that is no news.
  void Note(const std::string& subject, std::optional<bool> up, WallTime now);
  // Subjects of which something is known now.
  std::vector<std::string> Known();
  // Of those that are down, since when.
  std::map<std::string, int64_t> DownSince();
  std::set<std::string> Raised();
  // Brings the alerts in line with what is `active`; what changed.
  std::vector<Notice> Update(const std::vector<Alert>& active, WallTime now);
  // False: there is no such alert, or it is over.
  bool Acknowledge(const std::string& key, const std::string& who, WallTime now);
  // As GET /v1/alerts and /v1/uptime. `subject`: one, or a prefix that ends in "/".
  Json Alerts(bool all);
  Json Uptimes(const std::string& subject, int64_t from, int64_t until, size_t bars, bool mean);

 private:
  struct Row {
    Alert alert;
    int64_t raised = 0;
    std::optional<int64_t> cleared, acknowledged;
    std::string acknowledged_by;
  };
  using AlertId = std::pair<std::string, int64_t>;  // its key, and when it was raised
  static Json ToJson(const Row& row);
  // The one of this key that is not over; null: there is none.
  Row* OpenOf(const std::string& key);
  void Load();
  void Take(const Json& row);
  void Write(const Json& row, WallTime now);
  void Trim();
  void Compact();

  Journal journal_;
  bool loaded_ = false;
  std::string boot_;
  WallTime alive_{};
  std::map<std::string, std::vector<Transition>, std::less<>> subjects_;
  size_t transitions_ = 0;
  std::map<AlertId, Row> alerts_;
};

}  // namespace mcpfleet::dashboard
