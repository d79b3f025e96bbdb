// Builds JSON from the events of a YAML or JSON parser, with the line of every path, and refuses on the way what would
// surprise a person: duplicate keys, keys that are not text, merge keys, alias bombs, depth. Internal to crd/.
//
// Trap throws TreeAbort to leave the parser at once, so that depth is bounded before the parser's own recursion is
// deep; the readers catch it.
#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/json.h"
#include "crd/violation.h"

namespace mcpfleet {

struct TreeAbort {};

class TreeBuilder {
 public:
  // What aliases may add to one file.
  struct Budget {
    size_t nodes = 100'000;
    size_t bytes = size_t{10} << 20;
  };
  static constexpr size_t kMaxDepth = 64;

  TreeBuilder(std::vector<Violation>* violations, Budget* budget) : violations_(violations), budget_(budget) {}

  // `anchor` 0: none. A scalar where a key is expected must come in through Key.
  void Scalar(Json value, size_t bytes, int at, size_t anchor);
  void StartMap(int at, size_t anchor) { Start(Json::object(), at, anchor); }
  void StartList(int at, size_t anchor) { Start(Json::array(), at, anchor); }
  void Key(std::string key, int at);
  void End();
  void Alias(size_t anchor, int at);
  bool WantsKey() const { return !frames_.empty() && frames_.back().value.is_object() && !frames_.back().have_key; }
  bool empty() const { return !has_root_; }

  [[noreturn]] void Trap(int at, const std::string& path, std::string problem, std::string allowed = "");
  void Report(int at, const std::string& path, std::string problem, std::string allowed = "");
  // The path of the value that comes next.
  std::string NextPath() const;

  Json root;
  std::map<std::string, int> lines, columns;
  int line = 0;    // of the root
  int column = 0;  // of the event that comes next, 1-based; 0: not known. The reader sets it

 private:
  struct Frame {
    Json value;
    std::string path;
    size_t anchor = 0, nodes = 1, bytes = 0;
    bool have_key = false;
    std::string key;
    std::map<std::string, int> seen;  // keys and their lines
  };
  struct Anchored {
    Json value;
    size_t nodes = 0, bytes = 0;
  };
  void Start(Json container, int at, size_t anchor);
  void Note(const std::string& path, int at);
  void Attach(Json value, size_t nodes, size_t bytes);

  std::vector<Violation>* violations_;
  Budget* budget_;
  std::vector<Frame> frames_;
  std::map<size_t, Anchored> anchors_;
  bool has_root_ = false;
};

}  // namespace mcpfleet
