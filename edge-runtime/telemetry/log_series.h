// The metrics of log shipping. Thread-safe; nothing here blocks or throws.
#pragma once

#include <memory>
#include <vector>

#include "controller/ports/log_metrics.h"

namespace prometheus {
struct MetricFamily;
}

namespace mcpfleet {

class LogSeries final : public LogMetrics {
 public:
  LogSeries();
  ~LogSeries() override;

  void LogChunkShipped(int64_t lines, int64_t bytes) override;
  void LogLinesLost(std::string_view reason, int64_t lines) override;
  void LogUploadFailed() override;
  void LogSpool(int64_t chunks, int64_t bytes, Duration lag) override;

  // Appends what there is now.
  void Collect(std::vector<prometheus::MetricFamily>* out) const;

 private:
  struct Families;
  const std::unique_ptr<Families> families_;
};

}  // namespace mcpfleet
