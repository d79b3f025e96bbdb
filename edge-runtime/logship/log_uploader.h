// Carries chunks from the spool to the store, oldest first, one at a time: what is in the store has no gaps but those
// that were told. One that fails is tried again until the store has it or says that it never will.
//
// A thread of its own between Start and Stop. Thread-safe.
#pragma once

#include <random>
#include <string>
#include <thread>

#include "base/clock.h"
#include "base/mutex.h"
#include "controller/ports/log_metrics.h"
#include "edge-runtime/logship/chunk_store.h"
#include "edge-runtime/logship/loss.h"
#include "edge-runtime/logship/ship_rules.h"
#include "edge-runtime/logship/spool.h"

namespace mcpfleet::logship {

class LogUploader {
 public:
  LogUploader(Spool& spool, ChunkStore& store, LogMetrics& metrics, LossReport& loss, const Clock& clock, uint64_t seed)
      : spool_(spool), store_(store), metrics_(metrics), loss_(loss), clock_(clock), chance_(seed) {}
  ~LogUploader() { Stop(Deadline::After(Duration::zero())); }
  void Start();
  // Goes on for as long as nothing fails and the deadline has not come, until the spool is empty.
  void Stop(Deadline deadline) LOCKS_EXCLUDED(mu_);
  // There is something new.
  void Wake() LOCKS_EXCLUDED(mu_);

  // One attempt, if there is a chunk: how long to wait before the next. For the thread, and for tests.
  Duration UploadOne(Deadline deadline) LOCKS_EXCLUDED(mu_);
  // Why the last attempt failed; "": it didn't.
  std::string failure() const LOCKS_EXCLUDED(mu_);

 private:
  void Run();
  void Settle(const ChunkInfo& chunk, const PutAnswer& answer, Duration* wait) LOCKS_EXCLUDED(mu_);

  Spool& spool_;
  ChunkStore& store_;
  LogMetrics& metrics_;
  LossReport& loss_;
  const Clock& clock_;
  std::mt19937_64 chance_;  // of the thread
  Throttle throttle_{kBytesPerSecond, kBurstBytes};
  int failures_ = 0;  // of the thread, in a row
  mutable Mutex mu_;
  CondVar wake_;
  bool woken_ GUARDED_BY(mu_) = false;
  bool stopping_ GUARDED_BY(mu_) = false;
  Deadline stop_by_ GUARDED_BY(mu_) = Deadline::Never();
  std::string failure_ GUARDED_BY(mu_);
  std::thread thread_;
};

}  // namespace mcpfleet::logship
