#include "edge-runtime/logship/log_uploader.h"

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "edge-runtime/logship/chunk_builder.h"

namespace mcpfleet::logship {
namespace {

constexpr Duration kOldest = std::chrono::hours(390 * 24);
constexpr Duration kPutTimeout = std::chrono::seconds(30);

WallTime At(int64_t nanoseconds) { return WallTime(std::chrono::nanoseconds(nanoseconds)); }

}  // namespace

void LogUploader::Start() {
  thread_ = std::thread([this] { Run(); });
}

void LogUploader::Stop(Deadline deadline) {
  {
    MutexLock lock(&mu_);
    stopping_ = true;
    stop_by_ = deadline;
    wake_.NotifyAll();
  }
  if (thread_.joinable()) thread_.join();
}

void LogUploader::Wake() {
  MutexLock lock(&mu_);
  woken_ = true;
  wake_.NotifyAll();
}

std::string LogUploader::failure() const {
  MutexLock lock(&mu_);
  return failure_;
}

Duration LogUploader::UploadOne(Deadline deadline) {
  const std::optional<ChunkInfo> chunk = spool_.Hold();
  if (!chunk) return Duration::max();
  if (const Duration wait = throttle_.Take(static_cast<double>(chunk->bytes), clock_.Now()); wait > Duration::zero()) {
    spool_.Release(false);
    return wait;
  }
  StatusOr<std::string> bytes = spool_.Read(*chunk);
  if (!bytes.ok() || static_cast<int64_t>(bytes->size()) != chunk->bytes || bytes->empty()) {
    loss_.Lost("damaged", chunk->lines, "chunk " + chunk->name);
    spool_.Release(true);
    return Duration::zero();
  }
  // A line from before the clock was set must not cost the others of its chunk: a store refuses times that can't be.
  const WallTime now = clock_.Wall();
  const WallTime first = std::clamp(At(chunk->first), now - kOldest, now);
  const PutAnswer answer = store_.Put(chunk->name, *std::move(bytes), first, std::clamp(At(chunk->last), first, now),
                                      deadline.AtMost(kPutTimeout));
  Duration wait{};
  Settle(*chunk, answer, &wait);
  return wait;
}

void LogUploader::Settle(const ChunkInfo& chunk, const PutAnswer& answer, Duration* wait) {
  const PutOutcome outcome = Judge(answer.status);
  std::string failure;
  switch (outcome) {
    case PutOutcome::kTaken:
      metrics_.LogChunkShipped(chunk.lines, chunk.bytes);
      break;
    case PutOutcome::kConflict:
      loss_.Lost("conflict", chunk.lines, "chunk " + chunk.name);
      break;
    case PutOutcome::kRefused:
      loss_.Lost("refused", chunk.lines, "chunk " + chunk.name + " (" + Message(answer.status) + ")");
      break;
    case PutOutcome::kLater:
      metrics_.LogUploadFailed();
      ++failures_;
      *wait = RetryDelay(failures_, answer.retry_after, std::uniform_real_distribution<double>(0, 1)(chance_));
      failure = Message(answer.status);
      break;
  }
  if (outcome != PutOutcome::kLater) failures_ = 0;
  spool_.Release(outcome != PutOutcome::kLater);
  MutexLock lock(&mu_);
  if (failure_.empty() != failure.empty()) {
    if (failure.empty()) {
      LOG_INFO("logs go to the store again");
    } else {
      LOG_WARNING("logs can't go to the store; they wait", {{"error", answer.status}});
    }
  }
  failure_ = std::move(failure);
}

void LogUploader::Run() {
  for (;;) {
    Deadline by = Deadline::Never();
    {
      MutexLock lock(&mu_);
      woken_ = false;
      if (stopping_) by = stop_by_;
    }
    if (by.Expired()) return;
    const Duration wait = UploadOne(by);
    MutexLock lock(&mu_);
    // At the end nobody waits for a store that is away.
    if (stopping_ && (wait == Duration::max() || !failure_.empty())) return;
    const Deadline again = wait == Duration::max() ? Deadline::Never() : Deadline::After(wait);
    // New chunks don't hasten one that failed.
    while (!again.Expired() && !(stopping_ && stop_by_.Expired())) {
      if (stopping_ && !failure_.empty()) return;
      if (woken_ && wait == Duration::max()) break;
      if (stopping_ && wait == Duration::max()) break;
      wake_.WaitUntil(&mu_, stopping_ && stop_by_.at() < again.at() ? stop_by_ : again);
    }
  }
}

}  // namespace mcpfleet::logship
