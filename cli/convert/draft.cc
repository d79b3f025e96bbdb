#include "cli/convert/draft.h"

#include <algorithm>
#include <limits>

#include "base/strings.h"
#include "cli/convert/secret_names.h"
#include "crd/labels.h"
#include "crd/violation.h"

namespace mcpfleet::convert {

void Draft::Lose(std::string at, std::string why) { work->out.losses.push_back({std::move(at), std::move(why)}); }
void Draft::Note(std::string at, std::string what) { work->out.notes.push_back({std::move(at), std::move(what)}); }

void Draft::LeaveOut(std::string at, std::string why) {
  Lose(std::move(at), std::move(why) + "; the server is left out");
  left_out = true;
}

void Draft::Put(std::string field, Json value, std::string from, bool weak) {
  if (!field.ends_with("[]")) {
    for (Piece& piece : pieces) {
      if (piece.field != field || !piece.key.empty()) continue;
      // What a default gives way to needs no word: nobody wrote it.
      if (weak || piece.weak) {
        const std::string &loser = weak ? from : piece.path, &winner = weak ? piece.path : from;
        if (!loser.empty() && loser != path) Note(loser, "gives way to " + winner);
      }
      if (weak) return;
      piece.value = std::move(value);
      piece.path = std::move(from);
      piece.weak = false;
      return;
    }
  }
  pieces.push_back({.field = std::move(field), .value = std::move(value), .path = std::move(from), .weak = weak});
}

void Draft::PutKey(std::string field, std::string key, Json value, std::string from) {
  if (value.is_string() && IsSecretValue(value.get_ref<const std::string&>()))
    return Lose(std::move(from), "looks like a secret, which nothing here may hold in plain");
  pieces.push_back(
      {.field = std::move(field), .key = std::move(key), .value = std::move(value), .path = std::move(from)});
}

bool Draft::Has(std::string_view field) const {
  return std::any_of(pieces.begin(), pieces.end(), [&](const Piece& piece) { return piece.field == field; });
}

Text Draft::Make(std::string raw, std::string at) const {
  if (expand) return expand(std::move(raw), std::move(at));
  return {.value = std::move(raw), .path = std::move(at)};
}

namespace {
constexpr std::string_view kUnknown = "is not known to mcpctl, or has nothing like it in an MCPServer";
}

Fields::Fields(Draft& draft, const Json& object, std::string path)
    : draft_(draft), object_(object), path_(std::move(path)) {
  if (!object_.is_null() && !object_.is_object()) draft_.Lose(path_, "is no map");
}

Fields::~Fields() {
  if (left_ || !object_.is_object()) return;
  for (auto it = object_.begin(); it != object_.end(); ++it) {
    if (!it->is_null() && !read_.contains(it.key())) draft_.Lose(At(it.key()), std::string(kUnknown));
  }
}

const Json& Fields::Get(const std::string& member) {
  read_.insert(member);
  return GetMember(object_, member);
}

std::string Fields::Text(const std::string& member, std::string fallback) {
  const Json& value = Get(member);
  if (value.is_null()) return fallback;
  return ScalarOf(draft_, value, At(member)).value_or(std::move(fallback));
}

bool Fields::Bool(const std::string& member) {
  const Json& value = Get(member);
  return !value.is_null() && BoolOf(draft_, value, At(member)).value_or(false);
}

std::string Fields::At(const std::string& member) const { return ChildPath(path_, member); }

void Fields::PassOver(std::initializer_list<std::string_view> members) {
  for (const std::string_view member : members) read_.emplace(member);
}

void Fields::Drop(const std::string& member, std::string_view why) {
  if (!Get(member).is_null()) draft_.Lose(At(member), std::string(why));
}

void Walk(Draft& draft, const Json& object, const std::string& path, std::span<const Rule> rules) {
  EachMember(draft, object, path, [&](const std::string& key, const Json& value, const std::string& at) {
    const auto rule = std::find_if(rules.begin(), rules.end(), [&](const Rule& each) { return each.member == key; });
    if (rule == rules.end()) return draft.Lose(at, std::string(kUnknown));
    if (rule->take != nullptr) return rule->take(draft, value, at);
    if (!rule->loss.empty()) draft.Lose(at, std::string(rule->loss));
  });
}

std::optional<std::string> Scalar(const Json& value) {
  if (value.is_string()) return value.get<std::string>();
  if (value.is_number() || value.is_boolean()) return DumpJson(value);
  return std::nullopt;
}

std::optional<std::string> ScalarOf(Draft& draft, const Json& value, const std::string& path) {
  std::optional<std::string> text = Scalar(value);
  if (!text) draft.Lose(path, "is no text");
  return text;
}

std::optional<bool> BoolOf(Draft& draft, const Json& value, const std::string& path) {
  if (value.is_boolean()) return value.get<bool>();
  if (value == "true" || value == "false") return value == "true";
  draft.Lose(path, "is neither true nor false");
  return std::nullopt;
}

std::optional<int64_t> IntOf(Draft& draft, const Json& value, const std::string& path) {
  if (value.is_number_unsigned() && value.get<uint64_t>() > std::numeric_limits<int64_t>::max()) {
    draft.Lose(path, "is too large");
    return std::nullopt;
  }
  if (value.is_number_integer()) return value.get<int64_t>();
  if (value.is_string()) {
    const auto& text = value.get_ref<const std::string&>();
    if (!text.empty() && text.size() < 10 && text.find_first_not_of("0123456789") == std::string::npos)
      return std::stoll(text);
  }
  draft.Lose(path, "is no whole number");
  return std::nullopt;
}

void EachItem(Draft& draft, const Json& list, const std::string& path,
              const std::function<void(const Json&, const std::string&)>& visit) {
  if (list.is_null()) return;
  if (!list.is_array()) return draft.Lose(path, "is no list");
  for (size_t i = 0; i < list.size(); ++i) visit(list[i], ItemPath(path, i));
}

void EachMember(Draft& draft, const Json& map, const std::string& path,
                const std::function<void(const std::string&, const Json&, const std::string&)>& visit) {
  if (map.is_null()) return;
  if (!map.is_object()) return draft.Lose(path, "is no map");
  for (auto it = map.begin(); it != map.end(); ++it) {
    if (!it->is_null()) visit(it.key(), *it, ChildPath(path, it.key()));
  }
}

void AppendTexts(Draft& draft, const Json& list, const std::string& path, std::vector<Text>* out) {
  EachItem(draft, list, path, [&](const Json& item, const std::string& at) {
    if (std::optional<std::string> text = ScalarOf(draft, item, at)) out->push_back(draft.Make(*std::move(text), at));
  });
}

void AppendVariables(Draft& draft, const Json& map, const std::string& path, std::vector<Variable>* out) {
  EachMember(draft, map, path, [&](const std::string& key, const Json& value, const std::string& at) {
    if (std::optional<std::string> text = ScalarOf(draft, value, at))
      out->push_back({.name = key, .text = draft.Make(*std::move(text), at)});
  });
}

namespace {

// A name that no volume has yet.
std::string VolumeName(const Draft& draft, std::string_view wanted) {
  std::string base = NameFrom(wanted);
  if (base.empty()) base = "volume";
  base = base.substr(0, 56);
  std::string name = base;
  const auto taken = [&] {
    return std::any_of(draft.pieces.begin(), draft.pieces.end(), [&](const Piece& piece) {
      return piece.field == "spec.volumes[]" && GetString(piece.value, "name") == name;
    });
  };
  for (int i = 2; taken(); ++i) name = base + "-" + std::to_string(i);
  return name;
}

}  // namespace

void PutMount(Draft& draft, const std::string& name, const std::string& host, const std::string& target, bool read_only,
              const std::string& from) {
  Json volume = {{"name", VolumeName(draft, name)}, {"hostPath", host}, {"mountPath", target}};
  if (read_only) volume["readOnly"] = true;
  draft.Put("spec.volumes[]", std::move(volume), from);
}

void PutTmpfs(Draft& draft, const std::string& name, const Json& size, const std::string& target,
              const std::string& from) {
  Json given = size;
  if (given.is_null()) {
    given = "64Mi";
    draft.Note(from, "has no size; 64Mi was taken");
  }
  draft.Put("spec.volumes[]",
            {{"name", VolumeName(draft, name)}, {"tmpfs", {{"size", std::move(given)}}}, {"mountPath", target}}, from);
}

std::string NameFrom(std::string_view text) {
  std::string name;
  for (char c : text) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    const bool fits = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
    if (fits) name += c;
    if (!fits && !name.empty() && name.back() != '-') name += '-';
    if (name.size() == 63) break;
  }
  while (name.ends_with('-')) name.pop_back();
  return name;
}

std::string SecondsText(int64_t seconds) { return std::to_string(seconds) + "s"; }

}  // namespace mcpfleet::convert
