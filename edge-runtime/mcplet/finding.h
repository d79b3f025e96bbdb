// A line of `mcplet doctor`: what was found, and how to mend it.
#pragma once

#include <string>
#include <utility>

namespace mcpfleet {

enum class FindingKind { kGood, kMissing, kBroken };
struct Finding {
  FindingKind kind = FindingKind::kGood;
  std::string what, mend;  // `mend` is "" only where nothing is to be mended
};

inline Finding Good(std::string what) { return {FindingKind::kGood, std::move(what), ""}; }
inline Finding Missing(std::string what, std::string mend) {
  return {FindingKind::kMissing, std::move(what), std::move(mend)};
}
inline Finding Broken(std::string what, std::string mend) {
  return {FindingKind::kBroken, std::move(what), std::move(mend)};
}

}  // namespace mcpfleet
