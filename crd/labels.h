// Labels and label selectors with kubectl's syntax: "a=b,c==d,e!=f,g in (x,y),h notin (z),i,!j". All must hold. As in
// Kubernetes, `!=` and `notin` hold for an object without the label.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "crd/object.h"

namespace mcpfleet {

class LabelSelector {
 public:
  // "" selects everything. InvalidArgument says where the text is wrong.
  static StatusOr<LabelSelector> Parse(std::string_view text);
  bool Matches(const Labels& labels) const;
  bool empty() const { return requirements_.empty(); }

 private:
  enum class Operator { kIn, kNotIn, kExists, kNotExists };
  struct Requirement {
    std::string key;
    Operator op;
    std::vector<std::string> values;
  };
  std::vector<Requirement> requirements_;
};

// Every pair of `wanted` is in `labels` (spec.placement.nodeSelector).
bool HasAll(const Labels& labels, const Labels& wanted);

// "" when right, else what is wrong. Keys: optional DNS prefix and '/', then a name of at most 63 characters.
std::string CheckLabelKey(std::string_view key);
std::string CheckLabelValue(std::string_view value);
// RFC 1123 label: lower-case letters, digits and '-', at most 63, beginning and ending with a letter or digit.
std::string CheckName(std::string_view name);

}  // namespace mcpfleet
