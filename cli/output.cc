#include "cli/output.h"

#include <algorithm>
#include <functional>
#include <ostream>

#include <nlohmann/json.hpp>

#include "base/strings.h"
#include "crd/codec.h"

namespace mcpfleet::cli {
namespace {

// One step of a path: a member, an index, every element, or every descendant of a name.
struct Step {
  enum class Kind { kMember, kIndex, kAll, kDescend };
  Kind kind;
  std::string name;
  int64_t index = 0;
};

Status Malformed(std::string_view path) {
  return InvalidArgument("jsonpath \"" + Printable(path, 80) +
                         "\"; allowed: {.a.b[0]}, {.a[*].b}, {..name}, {range .a[*]}…{end}");
}

StatusOr<std::vector<Step>> ParsePath(std::string_view path) {
  std::vector<Step> steps;
  std::string_view rest = path;
  if (rest.starts_with('$')) rest.remove_prefix(1);
  if (rest == "." || rest == "@") return steps;
  if (rest.starts_with('@')) rest.remove_prefix(1);
  while (!rest.empty()) {
    if (rest.front() == '.') {
      rest.remove_prefix(1);
      bool descend = rest.starts_with('.');
      if (descend) rest.remove_prefix(1);
      if (rest.starts_with('[') && !descend) continue;
      size_t end = std::min(rest.find_first_of(".["), rest.size());
      // "\." is a dot inside a name, as in kubectl.
      std::string name(rest.substr(0, end));
      while (name.ends_with('\\') && end < rest.size() && rest[end] == '.') {
        size_t next = std::min(rest.find_first_of(".[", end + 1), rest.size());
        name.back() = '.';
        name += rest.substr(end + 1, next - end - 1);
        end = next;
      }
      if (name.empty()) return Malformed(path);
      rest.remove_prefix(end);
      if (name == "*") {
        steps.push_back({Step::Kind::kAll, "", 0});
      } else {
        steps.push_back({descend ? Step::Kind::kDescend : Step::Kind::kMember, name, 0});
      }
      continue;
    }
    if (rest.front() != '[') return Malformed(path);
    size_t close = rest.find(']');
    if (close == std::string_view::npos) return Malformed(path);
    std::string_view inside = rest.substr(1, close - 1);
    rest.remove_prefix(close + 1);
    if (inside == "*") {
      steps.push_back({Step::Kind::kAll, "", 0});
    } else if (inside.size() >= 2 && (inside.front() == '\'' || inside.front() == '"') &&
               inside.back() == inside.front()) {
      steps.push_back({Step::Kind::kMember, std::string(inside.substr(1, inside.size() - 2)), 0});
    } else {
      bool negative = inside.starts_with('-');
      std::string_view digits = negative ? inside.substr(1) : inside;
      if (digits.empty() || digits.size() > 9 || digits.find_first_not_of("0123456789") != std::string_view::npos)
        return Malformed(path);
      int64_t index = std::stoll(std::string(digits));
      steps.push_back({Step::Kind::kIndex, "", negative ? -index : index});
    }
  }
  return steps;
}

void Descend(const Json& value, const std::string& name, std::vector<const Json*>* out) {
  if (value.is_object()) {
    if (auto it = value.find(name); it != value.end()) out->push_back(&*it);
  }
  if (value.is_structured()) {
    for (const Json& child : value) Descend(child, name, out);
  }
}

std::vector<const Json*> Walk(const std::vector<Step>& steps, const Json& root) {
  std::vector<const Json*> at{&root};
  for (const Step& step : steps) {
    std::vector<const Json*> next;
    for (const Json* value : at) {
      switch (step.kind) {
        case Step::Kind::kMember:
          if (value->is_object() && value->contains(step.name)) next.push_back(&(*value)[step.name]);
          break;
        case Step::Kind::kIndex: {
          if (!value->is_array()) break;
          int64_t size = static_cast<int64_t>(value->size());
          int64_t index = step.index < 0 ? size + step.index : step.index;
          if (index >= 0 && index < size) next.push_back(&(*value)[static_cast<size_t>(index)]);
          break;
        }
        case Step::Kind::kAll:
          if (value->is_structured()) {
            for (const Json& child : *value) next.push_back(&child);
          }
          break;
        case Step::Kind::kDescend:
          Descend(*value, step.name, &next);
          break;
      }
    }
    at = std::move(next);
  }
  return at;
}

std::string Text(const Json& value) { return value.is_string() ? value.get<std::string>() : DumpJson(value); }

std::string Unescape(std::string_view quoted) {
  std::string out;
  for (size_t i = 0; i < quoted.size(); ++i) {
    if (quoted[i] != '\\' || i + 1 == quoted.size()) {
      out += quoted[i];
      continue;
    }
    char c = quoted[++i];
    out += c == 'n' ? '\n' : c == 't' ? '\t' : c;
  }
  return out;
}

// Template = literal text and {expressions}; {range X} … {end} repeats its inside for each value of X.
class Template {
 public:
  explicit Template(std::string_view text) : rest_(text) {}

  Status Render(const Json& value, std::string* out, bool inside_range) {
    while (!rest_.empty()) {
      size_t open = rest_.find('{');
      out->append(rest_.substr(0, open));
      if (open == std::string_view::npos) {
        rest_ = {};
        break;
      }
      size_t close = Close(open);
      if (close == std::string_view::npos) return Malformed(rest_);
      std::string_view inside = Trim(rest_.substr(open + 1, close - open - 1));
      rest_.remove_prefix(close + 1);
      if (inside == "end") {
        if (inside_range) return OkStatus();
        return InvalidArgument("jsonpath: {end} without {range}");
      }
      RETURN_IF_ERROR(Expression(inside, value, out));
    }
    return inside_range ? InvalidArgument("jsonpath: {range} without {end}") : OkStatus();
  }

 private:
  size_t Close(size_t open) const {
    char quote = 0;
    for (size_t i = open + 1; i < rest_.size(); ++i) {
      if (quote != 0) {
        if (rest_[i] == '\\')
          ++i;
        else if (rest_[i] == quote)
          quote = 0;
      } else if (rest_[i] == '"' || rest_[i] == '\'') {
        quote = rest_[i];
      } else if (rest_[i] == '}') {
        return i;
      }
    }
    return std::string_view::npos;
  }

  Status Expression(std::string_view inside, const Json& value, std::string* out) {
    if (inside.size() >= 2 && inside.front() == '"' && inside.back() == '"') {
      *out += Unescape(inside.substr(1, inside.size() - 2));
      return OkStatus();
    }
    bool range = inside.starts_with("range ");
    if (range) inside = Trim(inside.substr(6));
    ASSIGN_OR_RETURN(std::vector<Step> steps, ParsePath(inside));
    std::vector<const Json*> found = Walk(steps, value);
    if (!range) {
      for (size_t i = 0; i < found.size(); ++i) *out += (i == 0 ? "" : " ") + Text(*found[i]);
      return OkStatus();
    }
    std::string_view body = rest_;
    if (found.empty()) {  // still skips the body
      std::string ignored;
      return Render(Json(), &ignored, true);
    }
    for (const Json* item : found) {
      rest_ = body;
      RETURN_IF_ERROR(Render(*item, out, true));
    }
    return OkStatus();
  }

  std::string_view rest_;
};

}  // namespace

StatusOr<std::string> JsonPath(std::string_view expression, const Json& value) {
  std::string wrapped;
  if (expression.find('{') == std::string_view::npos) {
    wrapped = "{" + std::string(expression) + "}";
    expression = wrapped;
  }
  std::string out;
  RETURN_IF_ERROR(Template(expression).Render(value, &out, false));
  return out;
}

Status CheckOutput(std::string_view output, const std::vector<std::string>& allowed) {
  if (output.empty()) return OkStatus();
  std::string format(output.substr(0, output.find('=')));
  if (output == "jsonpath" || output == "jsonpath=")
    return InvalidArgument("-o jsonpath needs an expression: -o jsonpath='{.metadata.name}'");
  if (std::find(allowed.begin(), allowed.end(), format) != allowed.end()) return OkStatus();
  return InvalidArgument("-o " + Printable(output, 60) + "; allowed: " + Join(allowed, ", "));
}

Status PrintObjects(std::ostream& out, std::string_view output, const std::vector<Json>& objects, bool list) {
  if (output == "name") {
    for (const Json& object : objects) {
      out << ToLower(GetString(object, "kind")) << ".mcpfleet.dev/" << GetString(GetMember(object, "metadata"), "name")
          << "\n";
    }
    return OkStatus();
  }
  Json whole;
  if (list || objects.size() != 1) {
    whole = {{"apiVersion", "v1"}, {"kind", "List"}, {"items", objects}};
  } else {
    whole = objects.front();
  }
  if (output == "json") {
    out << DumpJsonPretty(whole) << "\n";
  } else if (output == "yaml") {
    out << ObjectToYaml(whole);
  } else if (output.starts_with("jsonpath=")) {
    ASSIGN_OR_RETURN(std::string text, JsonPath(output.substr(9), whole));
    out << text;
    if (!text.ends_with('\n')) out << "\n";
  } else {
    return InvalidArgument("-o " + std::string(output) + " prints no objects");
  }
  return OkStatus();
}

}  // namespace mcpfleet::cli
