// What a server's tools look like, as hashes: a changed description or schema is seen by comparing one string
// (tool poisoning and "rug pulls"). Icons do not count: they change without meaning.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "base/json.h"

namespace mcpfleet::mcp {

// Compact, keys sorted by their UTF-8 bytes, integral floats written as integers: RFC 8785 but for exotic floats and
// for keys outside the Basic Multilingual Plane.
std::string CanonicalJson(const Json& value);
// "sha256:<hex>" of the canonical tool without `icons`.
std::string ToolHash(const Json& tool);

// The tools of a list, each an object with a name; the order in which the server lists them does not matter.
class ToolList {
 public:
  // False when `tool` is no object with a name.
  bool Add(const Json& tool);
  size_t size() const { return entries_.size(); }
  std::vector<std::string> SortedNames() const;
  std::vector<std::pair<std::string, std::string>> SortedHashes() const;  // name and hash
  // "sha256:<hex>" over the sorted (name, hash) pairs.
  std::string Hash() const;

 private:
  struct Entry {
    std::string name, hash;
    auto operator<=>(const Entry&) const = default;
  };
  std::vector<Entry> Sorted() const;
  std::vector<Entry> entries_;
};

}  // namespace mcpfleet::mcp
