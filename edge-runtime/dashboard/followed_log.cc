#include "edge-runtime/dashboard/followed_log.h"

#include <iterator>

#include "edge-runtime/dashboard/line_page.h"
#include "edge-runtime/dashboard/lines.h"

namespace mcpfleet::dashboard {
namespace {

constexpr size_t kPieceBytes = size_t{64} << 10;
// Of one look. Who writes more than that in a second is followed at its end.
constexpr size_t kLookBytes = size_t{16} << 20;
constexpr size_t kRowBytes = 48;  // of a line's JSON, without what differs

size_t BytesOf(const LiveLine& line) { return kRowBytes + line.time.size() + JsonBytes(line.text); }

std::string LeftOut(int64_t lines, bool at_least) {
  return "mcpfleet: " + std::string(at_least ? "more than " : "") + std::to_string(lines) +
         (lines == 1 ? " line is" : " lines are") + " left out here; the log may still have them";
}

}  // namespace

void NewestLines::Add(LiveLine line) {
  bytes_ += BytesOf(line);
  lines_.push_back(std::move(line));
  for (; bytes_ > kLiveBytes && lines_.size() > 1; lines_.pop_front()) {
    bytes_ -= BytesOf(lines_.front());
    ++left_out_;
  }
}

void NewestLines::LeaveOut(int64_t lines, bool at_least) {
  left_out_ += lines;
  at_least_ = at_least_ || at_least;
}

std::vector<LiveLine> NewestLines::Take() {
  std::vector<LiveLine> lines;
  if (lines_.empty()) return lines;
  if (left_out_ > 0) lines.push_back({lines_.front().time, LeftOut(left_out_, at_least_)});
  lines.insert(lines.end(), std::make_move_iterator(lines_.begin()), std::make_move_iterator(lines_.end()));
  *this = {};
  return lines;
}

bool FollowedLog::Open(const InstanceReport& instance, Deadline deadline) {
  // One that came while the server was followed is new from its first line on.
  const TailFrom from = instance_.empty() ? TailFrom{.since = since_} : TailFrom{};
  StatusOr<std::unique_ptr<LogTail>> tail = host_.open_tail(instance, from, deadline);
  if (!tail.ok()) return false;  // there soon, or its engine is away: tried again at the next look
  tail_ = *std::move(tail);
  instance_ = instance.id;
  return true;
}

bool FollowedLog::ReadOn(Deadline deadline) {
  std::string raw;
  size_t bytes = 0;
  for (bool more = tail_ != nullptr; more && !deadline.Expired();) {
    if (bytes >= kLookBytes) return false;
    raw.clear();
    const StatusOr<LogPiece> piece = tail_->Read(&raw, kPieceBytes, deadline);
    if (!piece.ok()) return true;  // it goes on there at the next look
    lines_.LeaveOut(piece->lost);
    bytes += raw.size();
    more = piece->more;
    std::string_view rest = raw;
    for (size_t end = 0; (end = rest.find('\n')) != std::string_view::npos; rest.remove_prefix(end + 1)) {
      LiveLine line;
      if (SplitLine(rest.substr(0, end), &line.time, &line.text)) lines_.Add(std::move(line));
    }
  }
  return true;
}

std::vector<LiveLine> FollowedLog::Look(Deadline deadline) {
  const StatusOr<InstanceReport> instance = host_.instance(server_);
  // First what the one before has left: its last words.
  if (!ReadOn(deadline)) {
    lines_.LeaveOut(0, /*at_least=*/true);
    // Begun with again: a file near its end.
    instance_.clear();
    since_ = ParseTime(lines_.newest_time()).value_or(since_);
  }
  if (instance.ok() && instance->id != instance_ && Open(*instance, deadline)) (void)ReadOn(deadline);
  return lines_.Take();
}

}  // namespace mcpfleet::dashboard
