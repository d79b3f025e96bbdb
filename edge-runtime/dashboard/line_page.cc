#include "edge-runtime/dashboard/line_page.h"

#include <algorithm>
#include <utility>

#include "base/strings.h"

namespace mcpfleet::dashboard {
namespace {

constexpr size_t kRowBytes = 128;  // of a row's JSON, without what differs

size_t BytesOf(const PageLine& line) {
  return kRowBytes + line.time.size() + line.server->namespace_.size() + line.server->name.size() +
         JsonBytes(line.text);
}

}  // namespace

size_t JsonBytes(std::string_view text) {
  const size_t of_high = IsUtf8(text) ? 1 : 3;  // what is not UTF-8 becomes U+FFFD
  size_t bytes = 2;
  for (const char c : text) {
    const unsigned char byte = static_cast<unsigned char>(c);
    if (byte < 0x20) {
      bytes += 6;
    } else if (byte >= 0x80) {
      bytes += of_high;
    } else {
      bytes += c == '"' || c == '\\' ? 2 : 1;
    }
  }
  return bytes;
}

bool LinePage::Add(PageLine line) {
  if (line.time < after_) return true;
  // These are the first of that time here, too: the logs come in the same order.
  if (line.time == after_ && skipped_ < given_) {
    ++skipped_;
    return true;
  }
  if (cut_ && line.time >= end_) return false;
  bytes_ += BytesOf(line);
  lines_.push_back(std::move(line));
  if (lines_.size() > 2 * limits_.lines || bytes_ > 2 * limits_.bytes) Cut();
  return true;
}

void LinePage::Cut() {
  std::stable_sort(lines_.begin(), lines_.end(), [](const PageLine& a, const PageLine& b) { return a.time < b.time; });
  size_t kept = 0;
  bytes_ = 0;
  for (; kept < lines_.size() && kept < limits_.lines; ++kept) {
    const size_t more = BytesOf(lines_[kept]);
    if (kept > 0 && bytes_ + more > limits_.bytes) break;
    bytes_ += more;
  }
  if (kept == lines_.size()) return;
  lines_.erase(lines_.begin() + static_cast<std::ptrdiff_t>(kept), lines_.end());
  cut_ = true;
  end_ = lines_.back().time;
}

std::vector<PageLine> LinePage::Finish(std::string* cursor) {
  Cut();
  *cursor = "";
  if (cut_) {
    const auto given =
        std::count_if(lines_.begin(), lines_.end(), [&](const PageLine& line) { return line.time == end_; }) +
        static_cast<std::ptrdiff_t>(end_ == after_ ? skipped_ : 0);
    *cursor = end_ + "|" + std::to_string(given);
  }
  return std::move(lines_);
}

}  // namespace mcpfleet::dashboard
