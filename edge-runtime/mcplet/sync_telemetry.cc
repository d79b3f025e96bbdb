#include "edge-runtime/mcplet/sync_telemetry.h"

namespace mcpfleet {

void SyncTelemetry::OnStep(const Status& step, const SyncStats& stats) {
  if (step.ok()) metrics_.StoreSucceeded(clock_.Wall());
  OnCount(stats);
}

void SyncTelemetry::OnCount(const SyncStats& stats) {
  for (int64_t i = told_.stale_heads; i < stats.stale_heads; ++i) metrics_.StaleHead();
  for (int64_t i = told_.foreign_heads; i < stats.foreign_heads; ++i) metrics_.ForeignHead();
  for (int64_t i = told_.bad_answers; i < stats.bad_answers; ++i) metrics_.BadAnswer();
  for (int64_t i = told_.conflicting_heads; i < stats.conflicting_heads; ++i) {
    metrics_.ConflictingHead();
    events_.RecordNode(node_, "Warning", "ConflictingHeads",
                       "two heads of one order name different snapshots; every node follows the same one of them. "
                       "Look for a second writer, and apply again what is missing");
  }
  if (told_.foreign_heads == 0 && stats.foreign_heads > 0) {
    events_.RecordNode(node_, "Warning", "ForeignHead",
                       "the store holds the head of another fleet; it is not followed");
  }
  // Once: a store that means harm finds many ways to be wrong. The metric has how often, the condition the last one.
  if (told_.bad_answers == 0 && stats.bad_answers > 0) {
    events_.RecordNode(node_, "Warning", "BadAnswer",
                       "the store said what can't be used, and it was ignored: " + stats.bad_answer);
  }
  for (int64_t i = told_.untrusted_heads; i < stats.untrusted_heads; ++i) metrics_.UntrustedHead();
  if (!stats.distrust.empty() && stats.distrust != told_.distrust)
    events_.RecordNode(node_, "Warning", "UntrustedHead", stats.distrust + "; it is not followed");
  told_ = stats;
}

}  // namespace mcpfleet
