// A JSON value of which every part knows the file and the line that it was written in, also after values of several
// files were merged.
#pragma once

#include <map>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/json.h"
#include "crd/manifest.h"

namespace mcpfleet {

struct Origin {
  std::string file;
  int line = 0, column = 0;
};

struct SourcedTree {
  enum class Type { kScalar, kMap, kList };
  Type type = Type::kScalar;
  Json scalar;  // kScalar: null, too
  std::map<std::string, SourcedTree> members;
  std::vector<SourcedTree> items;
  Origin origin;

  bool is_null() const { return type == Type::kScalar && scalar.is_null(); }
  // The member if this is a map that has it, else null.
  const SourcedTree* Find(const std::string& key) const;
  // The text of a member, "" when it is none.
  std::string Text(const std::string& key) const;
};

SourcedTree TreeOf(const RawObject& raw, const std::string& file);
// `origins` (may be null) gets every path of the value and where it was written.
Json JsonOf(const SourcedTree& tree, std::map<std::string, Origin>* origins = nullptr);

}  // namespace mcpfleet
