#include "crd/labels.h"

#include <algorithm>

#include "base/strings.h"

namespace mcpfleet {
namespace {

bool IsAlnum(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'); }

// Letters, digits, '-', '_', '.', beginning and ending with a letter or digit.
bool IsQualifiedName(std::string_view text) {
  if (text.empty() || text.size() > 63 || !IsAlnum(text.front()) || !IsAlnum(text.back())) return false;
  return std::all_of(text.begin(), text.end(), [](char c) { return IsAlnum(c) || c == '-' || c == '_' || c == '.'; });
}

Status Wrong(std::string_view text, std::string_view what) {
  return InvalidArgument("selector \"" + Printable(text, 100) + "\": " + std::string(what));
}

// Splits at commas outside parentheses.
std::vector<std::string> SplitRequirements(std::string_view text) {
  std::vector<std::string> parts(1);
  int depth = 0;
  for (char c : text) {
    if (c == '(') ++depth;
    if (c == ')') --depth;
    if (c == ',' && depth == 0) {
      parts.emplace_back();
    } else {
      parts.back() += c;
    }
  }
  return parts;
}

}  // namespace

StatusOr<LabelSelector> LabelSelector::Parse(std::string_view text) {
  LabelSelector selector;
  if (Trim(text).empty()) return selector;
  if (text.size() > 16384) return InvalidArgument("selector: longer than 16384 bytes");
  for (const std::string& part_text : SplitRequirements(text)) {
    std::string_view part = Trim(part_text);
    Requirement requirement{"", Operator::kExists, {}};
    if (part.empty()) return Wrong(text, "empty requirement between commas");
    size_t end = part.find_first_of("=! (\t", part.front() == '!' ? 1 : 0);
    std::string_view key = part.substr(0, end);
    std::string_view rest = end == std::string_view::npos ? "" : Trim(part.substr(end));
    if (key.front() == '!') {
      requirement.op = Operator::kNotExists;
      key = Trim(part.substr(1));
      rest = "";
    } else if (rest.starts_with("==") || rest.starts_with("!=") || rest.starts_with("=")) {
      requirement.op = rest.starts_with("!") ? Operator::kNotIn : Operator::kIn;
      rest.remove_prefix(rest.size() > 1 && rest[1] == '=' ? 2 : 1);
      requirement.values = {std::string(Trim(rest))};
      rest = "";
    } else if (!rest.empty()) {
      size_t open = rest.find('(');
      std::string_view word = Trim(rest.substr(0, open));
      if ((word != "in" && word != "notin") || open == std::string_view::npos || rest.back() != ')') {
        return Wrong(part, "wants key=value, key!=value, key in (a,b), key notin (a,b), key or !key");
      }
      requirement.op = word == "in" ? Operator::kIn : Operator::kNotIn;
      for (const std::string& value : Split(rest.substr(open + 1, rest.size() - open - 2), ',')) {
        requirement.values.emplace_back(Trim(value));
      }
    }
    requirement.key = std::string(key);
    if (std::string wrong = CheckLabelKey(key); !wrong.empty()) return Wrong(part, "key " + wrong);
    for (const std::string& value : requirement.values) {
      if (std::string wrong = CheckLabelValue(value); !wrong.empty()) return Wrong(part, "value " + wrong);
    }
    selector.requirements_.push_back(std::move(requirement));
  }
  return selector;
}

bool LabelSelector::Matches(const Labels& labels) const {
  return std::all_of(requirements_.begin(), requirements_.end(), [&](const Requirement& requirement) {
    auto it = labels.find(requirement.key);
    bool present = it != labels.end();
    bool among = present && std::find(requirement.values.begin(), requirement.values.end(), it->second) !=
                                requirement.values.end();
    switch (requirement.op) {
      case Operator::kIn:
        return among;
      case Operator::kNotIn:
        return !among;
      case Operator::kExists:
        return present;
      case Operator::kNotExists:
        return !present;
    }
    return false;
  });
}

bool HasAll(const Labels& labels, const Labels& wanted) {
  return std::all_of(wanted.begin(), wanted.end(), [&](const auto& pair) {
    auto it = labels.find(pair.first);
    return it != labels.end() && it->second == pair.second;
  });
}

std::string CheckLabelKey(std::string_view key) {
  size_t slash = key.find('/');
  if (slash != std::string_view::npos) {
    std::string_view prefix = key.substr(0, slash);
    if (prefix.empty() || prefix.size() > 253) return "has a prefix that is empty or longer than 253 characters";
    for (const std::string& part : Split(prefix, '.')) {
      if (!CheckName(part).empty()) return "has a prefix that is no DNS name";
    }
    key.remove_prefix(slash + 1);
  }
  if (IsQualifiedName(key)) return "";
  return "must be at most 63 letters, digits, '-', '_' or '.', beginning and ending with a letter or digit";
}

std::string CheckLabelValue(std::string_view value) {
  if (value.empty() || IsQualifiedName(value)) return "";
  return "must be empty, or at most 63 letters, digits, '-', '_' or '.', beginning and ending with a letter or digit";
}

std::string CheckName(std::string_view name) {
  auto lower = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
  bool right = !name.empty() && name.size() <= 63 && lower(name.front()) && lower(name.back()) &&
               std::all_of(name.begin(), name.end(), [&](char c) { return lower(c) || c == '-'; });
  if (right) return "";
  return "must be at most 63 lower-case letters, digits or '-', beginning and ending with a letter or digit";
}

}  // namespace mcpfleet
