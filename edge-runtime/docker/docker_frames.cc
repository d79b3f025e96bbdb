#include "edge-runtime/docker/docker_frames.h"

#include <algorithm>
#include <utility>

namespace mcpfleet {
namespace {

constexpr size_t kHeaderBytes = 8;
constexpr size_t kPieceBytes = size_t{64} << 10;
constexpr size_t kLineBytes = size_t{64} << 10;  // longer lines are cut: a log is for people
constexpr size_t kTimeBytes = 40;                // "2026-11-22T16:28:40.951983274Z " and any offset

}  // namespace

Status DockerFrameReader::Feed(std::string_view bytes) {
  while (!bytes.empty()) {
    if (left_ == 0) {
      const size_t take = std::min(kHeaderBytes - header_.size(), bytes.size());
      header_.append(bytes.substr(0, take));
      bytes.remove_prefix(take);
      if (header_.size() < kHeaderBytes) return OkStatus();
      const auto at = [&](size_t i) { return static_cast<unsigned char>(header_[i]); };
      if (at(0) > 2 || at(1) != 0 || at(2) != 0 || at(3) != 0)
        return InvalidArgument("the engine's stream is not framed");
      stream_ = at(0);
      left_ = (uint32_t{at(4)} << 24) | (uint32_t{at(5)} << 16) | (uint32_t{at(6)} << 8) | uint32_t{at(7)};
      header_.clear();
      begins_ = true;
      continue;
    }
    const size_t take = std::min({static_cast<size_t>(left_), bytes.size(), kPieceBytes});
    ready_.push_back({stream_, std::exchange(begins_, false), std::string(bytes.substr(0, take))});
    bytes.remove_prefix(take);
    left_ -= static_cast<uint32_t>(take);
  }
  return OkStatus();
}

bool DockerFrameReader::Next(DockerFrame* frame) {
  if (ready_.empty()) return false;
  *frame = std::move(ready_.front());
  ready_.pop_front();
  return true;
}

void DockerLogLines::Cut(std::string& partial) {
  if (partial.empty()) return;
  ready_.push_back(std::move(partial) + "\n");
  partial.clear();
}

void DockerLogLines::Feed(const DockerFrame& frame) {
  std::string& partial = partial_[std::clamp(frame.stream, 0, 2)];
  std::string_view rest = frame.bytes;
  if (frame.begins && !partial.empty()) {
    const size_t space = rest.find(' ');
    if (space < kTimeBytes) rest.remove_prefix(space + 1);
  }
  while (!rest.empty()) {
    const size_t newline = rest.find('\n');
    std::string_view piece = rest.substr(0, newline);
    partial.append(piece.substr(0, kLineBytes - std::min(kLineBytes, partial.size())));
    if (newline == std::string_view::npos) return;
    Cut(partial);
    rest.remove_prefix(newline + 1);
  }
}

bool DockerLogLines::Next(std::string* line) {
  if (ready_.empty()) return false;
  *line = std::move(ready_.front());
  ready_.pop_front();
  return true;
}

void DockerLogLines::Finish() {
  for (std::string& partial : partial_) Cut(partial);
}

}  // namespace mcpfleet
