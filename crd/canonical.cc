#include "crd/canonical.h"

#include <algorithm>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/digest.h"
#include "base/strings.h"
#include "crd/violation.h"

namespace mcpfleet {
namespace {

constexpr int64_t kMaxInteger = (int64_t{1} << 53) - 1;
constexpr int kMaxDepth = 128;

// RFC 8785 §3.2.3 orders by UTF-16 code units. Bytes of UTF-8 order the same but for one case: characters beyond the
// basic plane (lead byte 0xF0..) become surrogates (0xD800..), which sort before U+E000..U+FFFF (lead bytes 0xEE,
// 0xEF).
int Rank(unsigned char lead) {
  if (lead >= 0xf0) return 0xee;
  if (lead == 0xee || lead == 0xef) return lead + 0x10;
  return lead;
}

bool LessByUtf16(const std::string& a, const std::string& b) {
  size_t i = 0;
  while (i < a.size() && i < b.size() && a[i] == b[i]) ++i;
  if (i == a.size() || i == b.size()) return a.size() < b.size();
  unsigned char x = static_cast<unsigned char>(a[i]), y = static_cast<unsigned char>(b[i]);
  // Ranks differ from bytes only for lead bytes; continuation bytes (0x80..0xbf) keep their order.
  return Rank(x) != Rank(y) ? Rank(x) < Rank(y) : x < y;
}

class Writer {
 public:
  Status Write(const Json& value, const std::string& path, int depth) {
    if (depth > kMaxDepth) return InvalidArgument(path + ": nested deeper than " + std::to_string(kMaxDepth));
    switch (value.type()) {
      case Json::value_t::null:
        out += "null";
        return OkStatus();
      case Json::value_t::boolean:
        out += value.get<bool>() ? "true" : "false";
        return OkStatus();
      case Json::value_t::string:
        return WriteString(value.get_ref<const std::string&>(), path);
      case Json::value_t::number_integer:
        return WriteInteger(value.get<int64_t>(), path);
      case Json::value_t::number_unsigned:
        if (value.get<uint64_t>() > static_cast<uint64_t>(kMaxInteger)) return TooLarge(path);
        return WriteInteger(value.get<int64_t>(), path);
      case Json::value_t::number_float:
        return InvalidArgument(path + ": is not a whole number");
      case Json::value_t::array:
        return WriteArray(value, path, depth);
      case Json::value_t::object:
        return WriteObject(value, path, depth);
      case Json::value_t::binary:
      case Json::value_t::discarded:
        break;
    }
    return InvalidArgument(path + ": is no JSON value");
  }
  std::string out;

 private:
  static Status TooLarge(const std::string& path) {
    return InvalidArgument(path + ": is beyond 2^53 - 1, which not every language can represent");
  }
  Status WriteInteger(int64_t value, const std::string& path) {
    if (value > kMaxInteger || value < -kMaxInteger) return TooLarge(path);
    out += std::to_string(value);
    return OkStatus();
  }
  Status WriteString(const std::string& text, const std::string& path) {
    if (!IsUtf8(text)) return InvalidArgument(path + ": is not UTF-8");
    static constexpr char kHex[] = "0123456789abcdef";
    out += '"';
    for (char c : text) {
      unsigned char u = static_cast<unsigned char>(c);
      switch (c) {
        case '"':
          out += "\\\"";
          break;
        case '\\':
          out += "\\\\";
          break;
        case '\b':
          out += "\\b";
          break;
        case '\f':
          out += "\\f";
          break;
        case '\n':
          out += "\\n";
          break;
        case '\r':
          out += "\\r";
          break;
        case '\t':
          out += "\\t";
          break;
        default:
          if (u < 0x20) {
            out += {'\\', 'u', '0', '0', kHex[u >> 4], kHex[u & 15]};
          } else {
            out += c;
          }
      }
    }
    out += '"';
    return OkStatus();
  }
  Status WriteArray(const Json& value, const std::string& path, int depth) {
    out += '[';
    for (size_t i = 0; i < value.size(); ++i) {
      if (i > 0) out += ',';
      RETURN_IF_ERROR(Write(value[i], ItemPath(path, i), depth + 1));
    }
    out += ']';
    return OkStatus();
  }
  Status WriteObject(const Json& value, const std::string& path, int depth) {
    std::vector<const std::string*> keys;
    for (auto it = value.begin(); it != value.end(); ++it) keys.push_back(&it.key());
    std::sort(keys.begin(), keys.end(), [](const std::string* a, const std::string* b) { return LessByUtf16(*a, *b); });
    out += '{';
    bool first = true;
    for (const std::string* key : keys) {
      if (!first) out += ',';
      first = false;
      std::string child = ChildPath(path, *key);
      RETURN_IF_ERROR(WriteString(*key, child));
      out += ':';
      RETURN_IF_ERROR(Write(value.at(*key), child, depth + 1));
    }
    out += '}';
    return OkStatus();
  }
};

}  // namespace

StatusOr<std::string> Canonicalize(const Json& value) {
  Writer writer;
  RETURN_IF_ERROR(writer.Write(value, "", 1));
  return std::move(writer.out);
}

std::string HashOf(std::string_view canonical_bytes) { return Sha256Hex(canonical_bytes); }

}  // namespace mcpfleet
