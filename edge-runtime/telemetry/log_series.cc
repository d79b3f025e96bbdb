#include "edge-runtime/telemetry/log_series.h"

#include <prometheus/counter.h>
#include <prometheus/family.h>
#include <prometheus/gauge.h>

#include <string>

namespace mcpfleet {

using prometheus::Counter;
using prometheus::Family;
using prometheus::Gauge;

struct LogSeries::Families {
  Family<Counter> chunks{"mcpfleet_log_chunks_shipped_total", "Chunks of logs that the store has acknowledged", {}};
  Family<Counter> lines{"mcpfleet_log_lines_shipped_total", "Lines in those chunks", {}};
  Family<Counter> bytes{"mcpfleet_log_bytes_shipped_total", "Bytes of those chunks, compressed", {}};
  Family<Counter> failures{"mcpfleet_log_upload_failures_total", "Uploads of chunks that failed and are repeated", {}};
  Family<Counter> dropped{"mcpfleet_log_dropped_lines_total", "Lines of logs that never reach the store by reason", {}};
  Family<Gauge> spool{"mcpfleet_log_spool_bytes", "Size of the chunks that wait for the store", {}};
  Family<Gauge> waiting{"mcpfleet_log_spool_chunks", "Chunks that wait for the store", {}};
  Family<Gauge> lag{
      "mcpfleet_log_lag_seconds", "Age of the oldest line that the store has not acknowledged; 0: there is none", {}};
  // Each without labels.
  Counter& chunks_all = chunks.Add({});
  Counter& lines_all = lines.Add({});
  Counter& bytes_all = bytes.Add({});
  Counter& failures_all = failures.Add({});
  Gauge& spool_now = spool.Add({});
  Gauge& waiting_now = waiting.Add({});
  Gauge& lag_now = lag.Add({});
};

LogSeries::LogSeries() : families_(std::make_unique<Families>()) {
  for (std::string_view reason : kLogLossReasons) families_->dropped.Add({{"reason", std::string(reason)}});
}

LogSeries::~LogSeries() = default;

void LogSeries::LogChunkShipped(int64_t lines, int64_t bytes) {
  families_->chunks_all.Increment();
  families_->lines_all.Increment(static_cast<double>(lines));
  families_->bytes_all.Increment(static_cast<double>(bytes));
}

void LogSeries::LogLinesLost(std::string_view reason, int64_t lines) {
  families_->dropped.Add({{"reason", std::string(reason)}}).Increment(static_cast<double>(lines));
}

void LogSeries::LogUploadFailed() { families_->failures_all.Increment(); }

void LogSeries::LogSpool(int64_t chunks, int64_t bytes, Duration lag) {
  families_->waiting_now.Set(static_cast<double>(chunks));
  families_->spool_now.Set(static_cast<double>(bytes));
  families_->lag_now.Set(std::chrono::duration<double>(lag).count());
}

void LogSeries::Collect(std::vector<prometheus::MetricFamily>* out) const {
  for (const prometheus::Collectable* family : std::initializer_list<const prometheus::Collectable*>{
           &families_->chunks, &families_->lines, &families_->bytes, &families_->failures, &families_->dropped,
           &families_->spool, &families_->waiting, &families_->lag}) {
    for (prometheus::MetricFamily& one : family->Collect()) out->push_back(std::move(one));
  }
}

}  // namespace mcpfleet
