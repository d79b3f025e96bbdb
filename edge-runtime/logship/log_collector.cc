#include "edge-runtime/logship/log_collector.h"

#include <poll.h>

#include <algorithm>
#include <utility>

#include "base/log.h"

namespace mcpfleet::logship {
namespace {

// Small enough that any of it, formatted, fits into an empty chunk; large enough for few calls.
constexpr size_t kPieceBytes = size_t{64} << 10;
constexpr int kPiecesPerLook = 16;
constexpr Duration kReadTimeout = std::chrono::seconds(3), kRetry = std::chrono::seconds(5);
constexpr Duration kSealRetry = std::chrono::seconds(10);
constexpr int kFinishPauseMillis = 10;
constexpr Duration kSilence = std::chrono::seconds(10);

}  // namespace

LogCollector::LogCollector(CollectorOptions options, CollectorDeps deps, Cursor cursor, bool fresh)
    : options_(std::move(options)), deps_(std::move(deps)), cursor_(std::move(cursor)), fresh_(fresh) {
  // A chunk that waits has an order that no other may have.
  cursor_.counts = std::max(cursor_.counts, deps_.spool.greatest_order());
}

void LogCollector::SetInstances(RuntimeKind runtime, const std::vector<InstanceReport>& instances) {
  const bool first = seen_.insert(runtime).second;
  for (auto& [id, tail] : tails_) {
    if (tail.runtime == runtime) tail.listed = false;
  }
  for (const InstanceReport& instance : instances) Note(runtime, instance, !(fresh_ && first));
}

void LogCollector::SetInstance(RuntimeKind runtime, const std::string& id,
                               const std::optional<InstanceReport>& instance) {
  if (!seen_.contains(runtime)) return;
  if (instance) {
    Note(runtime, *instance, /*from_birth=*/true);
  } else if (auto it = tails_.find(id); it != tails_.end() && it->second.runtime == runtime) {
    it->second.listed = false;
  }
}

void LogCollector::Note(RuntimeKind runtime, const InstanceReport& instance, bool from_birth) {
  if (instance.server.name.empty()) return;  // damaged: whose it was is not known
  auto [it, fresh] = tails_.try_emplace(instance.id, Tail{.runtime = runtime, .server = instance.server});
  Tail& tail = it->second;
  tail.listed = true;
  // Also one that was never seen to run: it ended between two looks.
  if (tail.state != InstanceState::kExited && instance.state == InstanceState::kExited) Hurry();
  if (instance.state != tail.state) tail.retry_at = {};
  tail.state = instance.state;
  if (!fresh) return;
  auto known = cursor_.tails.find(instance.id);
  tail.place = known == cursor_.tails.end() ? "" : known->second.place;
  tail.from = {.place = tail.place, .from_birth = from_birth};
}

bool LogCollector::OpenReader(const std::string& id, Tail& tail) {
  if (tail.reader != nullptr) return true;
  if (deps_.clock.Now() < tail.retry_at) return false;
  auto tails = deps_.tails.find(tail.runtime);
  if (tails == deps_.tails.end()) return false;
  StatusOr<std::unique_ptr<LogTail>> reader = tails->second->OpenTail(id, tail.from, Deadline::After(kReadTimeout));
  if (!reader.ok()) {
    Failed(id, tail, reader.status());
    return false;
  }
  tail.reader = *std::move(reader);
  if (tail.formatter == nullptr) tail.formatter = std::make_unique<LineFormatter>(tail.server);
  return true;
}

void LogCollector::Failed(const std::string& id, Tail& tail, const Status& status) {
  if (status.code() == StatusCode::kNotFound) {
    tail.over = !tail.listed;
  } else {
    LOG_DEBUG("a log can't be read now", {{"instance", id}, {"error", status}});
  }
  tail.retry_at = deps_.clock.Now() + kRetry;
}

bool LogCollector::ReadPiece(const std::string& id, Tail& tail, int64_t* bytes, bool* at_end) {
  *at_end = false;
  if (!OpenReader(id, tail) || deps_.clock.Now() < tail.retry_at) return false;
  raw_.clear();
  StatusOr<LogPiece> piece = tail.reader->Read(&raw_, kPieceBytes, Deadline::After(kReadTimeout));
  if (!piece.ok()) {
    Failed(id, tail, piece.status());
    return false;
  }
  *at_end = piece->at_end;
  if (piece->lost > 0) deps_.loss.Lost("rotated", piece->lost, ToString(tail.server));
  if (piece->lines == 0) return piece->more;
  deps_.live.Take(tail.server, raw_, deps_.clock.Now());
  LineStats stats;
  const std::string_view formatted = tail.formatter->Format(raw_, deps_.clock.Wall(), &room_, &stats);
  if (!builder_.Fits(formatted.size()) && !builder_.empty() && !Seal().ok()) return false;  // all is read again
  if (Status added = builder_.Add(formatted, stats); !added.ok()) {
    LOG_ERROR("a piece of a log can't be packed", {{"instance", id}, {"error", added}});
    deps_.loss.Lost("damaged", stats.lines, ToString(tail.server));
  } else {
    if (stats.lines == builder_.stats().lines) begun_ = deps_.clock.Now();
    tail.lines_in_chunk += stats.lines;
  }
  tail.place = tail.reader->Place();
  *bytes += static_cast<int64_t>(raw_.size());
  return piece->more;
}

LogCollector::Looked LogCollector::Look() {
  Looked looked;
  if (deps_.clock.Now() < blocked_until_) return looked;
  // One that ended without a word.
  if (builder_.empty() && deps_.clock.Now() - urgent_last_ > kSilence) urgent_ = {};
  for (auto it = tails_.begin(); it != tails_.end();) {
    auto& [id, tail] = *it;
    bool more = true, at_end = false;
    for (int i = 0; more && i < kPiecesPerLook; ++i) {
      more = ReadPiece(id, tail, &looked.bytes, &at_end);
      if (deps_.clock.Now() < blocked_until_) return looked;
    }
    looked.more = looked.more || more;
    // Removed, and read to its end by what was open of it: nobody finds these lines again.
    if (!tail.listed && ((at_end && !more) || tail.over)) {
      if (tail.lines_in_chunk > 0) Hurry();
      it = tails_.erase(it);
    } else {
      ++it;
    }
  }
  return looked;
}

void LogCollector::Hurry() {
  urgent_last_ = deps_.clock.Now();
  if (urgent_ == MonoTime{}) urgent_ = urgent_last_;
}

MonoTime LogCollector::SealDue() const {
  return SealAt({.empty = builder_.empty(),
                 .begun = begun_,
                 .last_sealed = last_sealed_,
                 .urgent = urgent_,
                 .followed = deps_.live.any(),
                 .waiting = deps_.spool.chunks()},
                options_.interval);
}

Status LogCollector::Commit(const ChunkInfo& chunk, const std::string& bytes) {
  Step("before write");
  if (Status written = deps_.spool.Write(chunk, bytes); !written.ok()) {
    deps_.spool.Discard(chunk);
    return written;
  }
  Step("written");
  Cursor next{.counts = chunk.order};
  for (const auto& [id, tail] : tails_) {
    if (!tail.place.empty()) next.tails[id] = {tail.runtime, tail.server, tail.place};
  }
  // Of a runtime that was not listed yet nothing is known.
  for (const auto& [id, tail] : cursor_.tails) {
    if (!seen_.contains(tail.runtime)) next.tails.emplace(id, tail);
  }
  Status saved = SaveCursor(options_.cursor_path, next);
  if (!saved.ok()) {
    // It may be there all the same: an error can come after the file was replaced.
    const StatusOr<Cursor> there = LoadCursor(options_.cursor_path);
    if (!there.ok() || there->counts != chunk.order) {
      deps_.spool.Discard(chunk);
      return saved;
    }
  }
  Step("counted");
  cursor_ = std::move(next);
  return OkStatus();
}

Status LogCollector::Seal() {
  if (builder_.empty()) return OkStatus();
  const LineStats stats = builder_.stats();
  StatusOr<std::string> bytes = builder_.Seal();
  Status sealed = bytes.status();
  if (sealed.ok()) {
    const ChunkInfo chunk{.order = cursor_.counts + 1,
                          .name = options_.boot_id + "-" + std::to_string(seq_),
                          .first = stats.first,
                          .last = stats.last,
                          .lines = stats.lines,
                          .bytes = static_cast<int64_t>(bytes->size())};
    sealed = Commit(chunk, *bytes);
    if (sealed.ok()) {
      ++seq_;
      deps_.spool.Offer(chunk);
    }
  }
  if (!sealed.ok()) {
    LOG_WARNING("logs can't be written to the spool; they are read again", {{"error", sealed}});
    Rewind();
    return sealed;
  }
  for (auto& [id, tail] : tails_) tail.lines_in_chunk = 0;
  last_sealed_ = deps_.clock.Now();
  urgent_ = urgent_ != MonoTime{} && last_sealed_ - urgent_last_ < kLastWords ? urgent_last_ : MonoTime{};
  int64_t lost = 0;
  for (const ChunkInfo& chunk : deps_.spool.Shrink(options_.spool_quota)) lost += chunk.lines;
  deps_.loss.Lost("spool", lost, "");
  return OkStatus();
}

void LogCollector::Rewind() {
  builder_.Reset();
  blocked_until_ = deps_.clock.Now() + kSealRetry;
  for (auto& [id, tail] : tails_) {
    if (!tail.listed) {
      // What is open is all that is left of it, and it was read.
      deps_.loss.Lost("rotated", tail.lines_in_chunk, ToString(tail.server));
      tail.lines_in_chunk = 0;
      continue;
    }
    auto known = cursor_.tails.find(id);
    if (known != cursor_.tails.end()) tail.from = {.place = known->second.place};
    tail.place = tail.from.place;
    tail.reader.reset();
    tail.formatter.reset();
    tail.lines_in_chunk = 0;
  }
}

void LogCollector::Finish(const std::string& instance, Deadline deadline) {
  auto it = tails_.find(instance);
  if (it == tails_.end()) return;
  Tail& tail = it->second;
  tail.retry_at = {};
  for (bool more = true, at_end = false; (more || !at_end) && !deadline.Expired();) {
    int64_t bytes = 0;
    more = ReadPiece(instance, tail, &bytes, &at_end);
    if (tail.reader == nullptr || deps_.clock.Now() < tail.retry_at) break;  // it can't be read
    if (!more && !at_end) poll(nullptr, 0, kFinishPauseMillis);
  }
  if (tail.lines_in_chunk > 0 && deps_.clock.Now() >= blocked_until_) (void)Seal();
}

}  // namespace mcpfleet::logship
