#include "base/json.h"

#include <cstdint>
#include <set>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/strings.h"

namespace mcpfleet {
namespace {

// Checks that need the order of events: depth and duplicate keys. Values are built by nlohmann itself afterwards.
class Checker : public nlohmann::json_sax<Json> {
 public:
  explicit Checker(int depth) : limit_(depth) {}
  bool null() override { return true; }
  bool boolean(bool) override { return true; }
  bool number_integer(number_integer_t) override { return true; }
  bool number_unsigned(number_unsigned_t) override { return true; }
  bool number_float(number_float_t, const string_t&) override { return true; }
  bool string(string_t&) override { return true; }
  bool binary(binary_t&) override { return true; }
  bool start_object(std::size_t) override { return Enter(); }
  bool end_object() override { return Leave(); }
  bool start_array(std::size_t) override { return Enter(); }
  bool end_array() override { return Leave(); }
  bool key(string_t& name) override {
    if (keys_.back().insert(name).second) return true;
    error = "duplicate key \"" + Printable(name, 60) + "\"";
    return false;
  }
  bool parse_error(std::size_t position, const std::string&, const nlohmann::detail::exception&) override {
    error = "malformed JSON at byte " + std::to_string(position);
    return false;
  }
  std::string error;

 private:
  bool Enter() {
    keys_.emplace_back();
    if (static_cast<int>(keys_.size()) <= limit_) return true;
    error = "nested deeper than " + std::to_string(limit_);
    return false;
  }
  bool Leave() {
    keys_.pop_back();
    return true;
  }
  int limit_;
  std::vector<std::set<std::string>> keys_;
};

}  // namespace

StatusOr<Json> ParseJson(std::string_view text, JsonLimits limits) {
  if (text.size() > limits.bytes)
    return ResourceExhausted("JSON larger than " + std::to_string(limits.bytes) + " bytes");
  // nlohmann takes a NUL for the end of the text and would not see what follows.
  if (size_t nul = text.find('\0'); nul != std::string_view::npos) {
    return InvalidArgument("malformed JSON at byte " + std::to_string(nul + 1));
  }
  Checker checker(limits.depth);
  if (!Json::sax_parse(text.begin(), text.end(), &checker)) {
    return InvalidArgument(checker.error.empty() ? "malformed JSON" : checker.error);
  }
  Json value = Json::parse(text.begin(), text.end(), nullptr, false);
  if (value.is_discarded()) return InvalidArgument("malformed JSON");
  return value;
}

std::string DumpJson(const Json& value) { return value.dump(-1, ' ', false, Json::error_handler_t::replace); }
std::string DumpJsonPretty(const Json& value) { return value.dump(2, ' ', false, Json::error_handler_t::replace); }

const Json& GetMember(const Json& object, std::string_view key) {
  static const Json null;
  if (!object.is_object()) return null;
  auto it = object.find(std::string(key));
  return it == object.end() ? null : *it;
}

std::string GetString(const Json& object, std::string_view key, std::string_view fallback) {
  const Json& member = GetMember(object, key);
  return member.is_string() ? member.get<std::string>() : std::string(fallback);
}

int64_t GetInt(const Json& object, std::string_view key, int64_t fallback) {
  const Json& member = GetMember(object, key);
  if (member.is_number_unsigned() && member.get<uint64_t>() > uint64_t{INT64_MAX}) return fallback;
  return member.is_number_integer() ? member.get<int64_t>() : fallback;
}

bool GetBool(const Json& object, std::string_view key, bool fallback) {
  const Json& member = GetMember(object, key);
  return member.is_boolean() ? member.get<bool>() : fallback;
}

std::vector<std::string> StringsOf(const Json& list) {
  std::vector<std::string> out;
  if (!list.is_array()) return out;
  for (const Json& item : list) {
    if (item.is_string()) out.push_back(item.get<std::string>());
  }
  return out;
}

}  // namespace mcpfleet
