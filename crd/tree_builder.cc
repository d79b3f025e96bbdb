#include "crd/tree_builder.h"

#include <utility>

#include "base/strings.h"

namespace mcpfleet {
namespace {
constexpr size_t kMaxKeyBytes = 1024;
// Longer paths get no line of their own (an ancestor's is used), so that deep and wide input can't fill the memory.
constexpr size_t kMaxNotedPath = 512;
}  // namespace

void TreeBuilder::Report(int at, const std::string& path, std::string problem, std::string allowed) {
  violations_->push_back({"", at, path, std::move(problem), std::move(allowed), column});
}

void TreeBuilder::Trap(int at, const std::string& path, std::string problem, std::string allowed) {
  Report(at, path, std::move(problem), std::move(allowed));
  throw TreeAbort{};
}

std::string TreeBuilder::NextPath() const {
  if (frames_.empty()) return "";
  const Frame& top = frames_.back();
  if (top.value.is_array()) return ItemPath(top.path, top.value.size());
  return ChildPath(top.path, top.key);
}

void TreeBuilder::Note(const std::string& path, int at) {
  if (path.empty()) line = at;
  if (path.size() > kMaxNotedPath) return;
  lines.emplace(path, at);
  if (column > 0) columns.emplace(path, column);
}

void TreeBuilder::Start(Json container, int at, size_t anchor) {
  if (WantsKey()) Trap(at, frames_.back().path, "a key is a list or a map; keys must be text");
  if (frames_.size() >= kMaxDepth) Trap(at, "", "nested deeper than " + std::to_string(kMaxDepth) + " levels");
  Frame frame;
  frame.path = NextPath();
  frame.value = std::move(container);
  frame.anchor = anchor;
  Note(frame.path, at);
  frames_.push_back(std::move(frame));
}

void TreeBuilder::Key(std::string key, int at) {
  Frame& top = frames_.back();
  if (key.size() > kMaxKeyBytes) Trap(at, top.path, "a key is longer than " + std::to_string(kMaxKeyBytes) + " bytes");
  if (key == "<<") Trap(at, top.path, "merge keys (<<) are not supported; write the fields out");
  auto [it, inserted] = top.seen.emplace(key, at);
  top.key = std::move(key);
  top.have_key = true;
  std::string path = NextPath();
  if (!inserted) Report(at, path, "is given twice (first in line " + std::to_string(it->second) + ")");
  Note(path, at);
}

void TreeBuilder::Scalar(Json value, size_t bytes, int at, size_t anchor) {
  Note(NextPath(), at);
  if (anchor != 0) anchors_[anchor] = {value, 1, bytes};
  Attach(std::move(value), 1, bytes);
}

void TreeBuilder::End() {
  Frame done = std::move(frames_.back());
  frames_.pop_back();
  if (done.anchor != 0) anchors_[done.anchor] = {done.value, done.nodes, done.bytes};
  Attach(std::move(done.value), done.nodes, done.bytes);
}

void TreeBuilder::Alias(size_t anchor, int at) {
  if (WantsKey()) Trap(at, frames_.back().path, "a key is an alias; keys must be text");
  auto it = anchors_.find(anchor);
  if (it == anchors_.end()) Trap(at, NextPath(), "an alias refers to the value that it is part of");
  const Anchored& target = it->second;
  if (target.nodes > budget_->nodes || target.bytes > budget_->bytes) {
    Trap(at, NextPath(), "aliases make the file grow beyond every use (100,000 nodes or 10 MB)");
  }
  budget_->nodes -= target.nodes;
  budget_->bytes -= target.bytes;
  Note(NextPath(), at);
  // Copied depth adds up: an alias of a deep value inside a deep place.
  struct Depth {
    static size_t Of(const Json& value) {
      size_t deepest = 0;
      if (value.is_structured()) {
        for (const Json& child : value) deepest = std::max(deepest, Of(child));
        ++deepest;
      }
      return deepest;
    }
  };
  if (frames_.size() + Depth::Of(target.value) > kMaxDepth) {
    Trap(at, "", "nested deeper than " + std::to_string(kMaxDepth) + " levels");
  }
  Attach(target.value, target.nodes, target.bytes);
}

void TreeBuilder::Attach(Json value, size_t nodes, size_t bytes) {
  if (frames_.empty()) {
    root = std::move(value);
    has_root_ = true;
    return;
  }
  Frame& top = frames_.back();
  top.nodes += nodes;
  top.bytes += bytes;
  if (top.value.is_array()) {
    top.value.push_back(std::move(value));
    return;
  }
  top.bytes += top.key.size();
  top.value.emplace(top.key, std::move(value));  // of duplicates, reported already, the first stays
  top.have_key = false;
}

}  // namespace mcpfleet
