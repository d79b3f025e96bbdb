// The metrics of `mcplet sync`, a process of its own. Thread-safe; nothing here blocks or throws.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"

namespace mcpfleet {

class SyncSeries {
 public:
  // `results`: every value that the label has, so that each begins at zero.
  explicit SyncSeries(const std::vector<std::string>& results);
  ~SyncSeries();

  void Ran(const std::string& result, bool good, Duration took, WallTime now);
  void Objects(int64_t count);
  // Prometheus' text format.
  std::string Serialize() const;

 private:
  struct Families;
  const std::unique_ptr<Families> families_;
};

}  // namespace mcpfleet
