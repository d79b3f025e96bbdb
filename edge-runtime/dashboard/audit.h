// Who did what by the page, newest last in a file of JSON lines that keeps the last kAuditRows. A list for people: the
// history of the desired state is its own witness, in the snapshots.
//
// Not thread-safe. What can't be written is logged and kept in memory.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "base/json.h"
#include "edge-runtime/dashboard/journal.h"

namespace mcpfleet::dashboard {

inline constexpr size_t kAuditRows = 2000;

struct Deed {
  std::string who;
  std::string what;     // "restart", "change"
  std::string subject;  // "default/weather", "edge-01", "fleet"
  std::string detail;
};

class Audit {
 public:
  explicit Audit(std::string path) : journal_(std::move(path), "the dashboard's audit") {}
  void Note(const Deed& deed, WallTime now);
  // Newest first, those before the id `before` (0: from the newest).
  Json List(int64_t before, size_t most);

 private:
  void Load();

  Journal journal_;
  bool loaded_ = false;
  std::vector<Json> rows_;  // {"id", "at", "who", "what", "subject", "detail"}
};

// What a change did, in a line; "" where it did nothing. `result` is a ChangeResult.
std::string DetailOf(const Json& result);

}  // namespace mcpfleet::dashboard
