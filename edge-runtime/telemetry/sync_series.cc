#include "edge-runtime/telemetry/sync_series.h"

#include <prometheus/counter.h>
#include <prometheus/family.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/text_serializer.h>

namespace mcpfleet {

using prometheus::Counter;
using prometheus::Family;
using prometheus::Gauge;
using prometheus::Histogram;

struct SyncSeries::Families {
  Family<Counter> runs{"mcpfleet_sync_runs_total", "Looks at the repository by how they ended", {}};
  Family<Histogram> took{"mcpfleet_sync_duration_seconds", "How long a look took, with what followed from it", {}};
  Family<Gauge> ready{"mcpfleet_sync_ready", "1: the store is as the tip of the branch says", {}};
  Family<Gauge> success{
      "mcpfleet_sync_last_success_timestamp_seconds", "When the store was as the branch says; 0: never", {}};
  Family<Gauge> objects{"mcpfleet_sync_objects", "Objects of the last commit that was applied", {}};
  Histogram& took_all = took.Add({}, Histogram::BucketBoundaries{0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300});
  Gauge& ready_now = ready.Add({});
  Gauge& last_success = success.Add({});
  Gauge& objects_now = objects.Add({});
};

SyncSeries::SyncSeries(const std::vector<std::string>& results) : families_(std::make_unique<Families>()) {
  for (const std::string& result : results) families_->runs.Add({{"result", result}});
}
SyncSeries::~SyncSeries() = default;

void SyncSeries::Ran(const std::string& result, bool good, Duration took, WallTime now) {
  families_->runs.Add({{"result", result}}).Increment();
  families_->took_all.Observe(std::chrono::duration<double>(took).count());
  families_->ready_now.Set(good ? 1 : 0);
  if (good) families_->last_success.Set(std::chrono::duration<double>(now.time_since_epoch()).count());
}

void SyncSeries::Objects(int64_t count) { families_->objects_now.Set(static_cast<double>(count)); }

std::string SyncSeries::Serialize() const {
  std::vector<prometheus::MetricFamily> collected;
  for (const prometheus::Collectable* family : std::initializer_list<const prometheus::Collectable*>{
           &families_->runs, &families_->took, &families_->ready, &families_->success, &families_->objects}) {
    for (prometheus::MetricFamily& one : family->Collect()) collected.push_back(std::move(one));
  }
  return prometheus::TextSerializer().Serialize(collected);
}

}  // namespace mcpfleet
