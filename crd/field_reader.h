// Reads members of JSON objects into typed fields, for the codecs. Whatever is absent leaves its field alone; the first
// member that is wrong is kept in `status`, and reading goes on.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/json.h"
#include "base/status.h"

namespace mcpfleet {

class FieldReader {
 public:
  // `what` begins each message: "condition", "spec: field".
  explicit FieldReader(std::string what) : what_(std::move(what)) {}
  void Text(const Json& object, const char* key, std::string* out) {
    const Json& value = GetMember(object, key);
    if (value.is_null()) return;
    if (!value.is_string()) return Fail(key, "is not text");
    *out = value.get<std::string>();
  }
  template <typename T>
  void Number(const Json& object, const char* key, T* out) {
    const Json& value = GetMember(object, key);
    if (value.is_null()) return;
    if (!value.is_number_integer()) return Fail(key, "is not a whole number");
    int64_t number = value.get<int64_t>();
    if (!std::in_range<T>(number)) return Fail(key, "is out of range");
    *out = static_cast<T>(number);
  }
  // Replaces what was in `out`.
  void Texts(const Json& object, const char* key, std::vector<std::string>* out) {
    const Json& value = GetMember(object, key);
    if (value.is_null()) return;
    if (!value.is_array()) return Fail(key, "is not a list");
    out->clear();
    for (const Json& item : value) {
      if (!item.is_string()) return Fail(key, "has an entry that is not text");
      out->push_back(item.get<std::string>());
    }
  }
  void Fail(const char* key, std::string_view problem) {
    if (status.ok()) status = InvalidArgument(what_ + key + " " + std::string(problem));
  }
  Status status;

 private:
  const std::string what_;
};

}  // namespace mcpfleet
