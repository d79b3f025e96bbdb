#include "edge-runtime/docker/docker_log_tail.h"

#include <algorithm>
#include <cinttypes>
#include <cstdio>
#include <utility>

namespace mcpfleet {
namespace {

constexpr size_t kTimeBytes = 40;

std::string_view TimeOf(std::string_view line) { return line.substr(0, line.find(' ')); }

}  // namespace

DockerLogTail::DockerLogTail(Open open, const TailFrom& from)
    : open_(std::move(open)), since_(from.since ? FormatTimeMillis(*from.since) : "") {
  char time[kTimeBytes + 1] = {};
  int64_t seen = 0;
  if (std::sscanf(from.place.c_str(), "engine %40s %" SCNd64, time, &seen) == 2 && seen >= 0) {
    last_time_ = time;
    seen_ = seen;
  }
}

std::string DockerLogTail::Place() const {
  return last_time_.empty() ? "" : "engine " + last_time_ + " " + std::to_string(seen_);
}

bool DockerLogTail::IsNew(std::string_view line, LogPiece* piece) {
  const std::string_view time = TimeOf(line).substr(0, kTimeBytes);
  if (at_seam_) {
    if (time < last_time_) return false;
    if (time == last_time_ && skip_ > 0) {
      --skip_;
      return false;
    }
    at_seam_ = false;
    // The line that was last is there no more: it was rotated away, and what came after it too, for all we know.
    if (skip_ > 0) ++piece->lost;
  }
  if (time == last_time_) {
    ++seen_;
  } else {
    last_time_ = time;
    seen_ = 1;
  }
  return true;
}

// Takes what has arrived: whether anything has. The end of the stream is no error.
StatusOr<bool> DockerLogTail::Fill(Deadline deadline) {
  const MonoTime now = std::chrono::steady_clock::now();
  if (stream_ == nullptr) {
    if (now < ask_at_) return false;
    ask_at_ = now + pause_;
    pause_ = std::min(2 * pause_, kMostPause);
    ASSIGN_OR_RETURN(stream_, open_(last_time_.empty() ? since_ : last_time_, deadline));
    frames_ = {};
    lines_ = {};
    at_seam_ = !last_time_.empty();
    skip_ = seen_;
  }
  StatusOr<std::string> bytes = stream_->Read(Deadline::After(Duration::zero()));
  if (bytes.status().code() == StatusCode::kDeadlineExceeded) return false;
  const Status fed = bytes.ok() ? frames_.Feed(*bytes) : bytes.status();
  DockerFrame frame;
  while (frames_.Next(&frame)) lines_.Feed(frame);
  if (fed.ok() && !bytes->empty()) return true;
  // A line that the engine broke off comes whole from the next stream; the last of a server that ended is whole now.
  if (fed.ok()) lines_.Finish();
  stream_.reset();
  ask_at_ = now + pause_;
  RETURN_IF_ERROR(fed);
  return false;
}

StatusOr<LogPiece> DockerLogTail::Read(std::string* out, size_t max, Deadline deadline) {
  LogPiece piece;
  const size_t begin = out->size();
  std::string line;
  for (bool last = false;;) {
    while (out->size() - begin < max && lines_.Next(&line)) {
      if (!IsNew(line, &piece)) continue;
      out->append(line);
      ++piece.lines;
      pause_ = kLeastPause;
    }
    piece.more = out->size() - begin >= max;
    piece.at_end = !piece.more && stream_ == nullptr && ask_at_ != MonoTime{};
    if (piece.more || last) return piece;
    const StatusOr<bool> arrived = Fill(deadline);
    if (!arrived.ok() && piece.lines == 0 && piece.lost == 0) return arrived.status();
    last = !arrived.ok() || !*arrived;
  }
}

}  // namespace mcpfleet
