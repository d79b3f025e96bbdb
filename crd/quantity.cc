#include "crd/quantity.h"

#include <array>
#include <limits>

namespace mcpfleet {
namespace {

struct Suffix {
  std::string_view text;
  int64_t factor;
};
constexpr std::array<Suffix, 6> kBinary = {{{"Ki", int64_t{1} << 10},
                                            {"Mi", int64_t{1} << 20},
                                            {"Gi", int64_t{1} << 30},
                                            {"Ti", int64_t{1} << 40},
                                            {"Pi", int64_t{1} << 50},
                                            {"Ei", int64_t{1} << 60}}};
constexpr std::array<Suffix, 6> kDecimal = {{{"k", 1'000},
                                             {"M", 1'000'000},
                                             {"G", 1'000'000'000},
                                             {"T", 1'000'000'000'000},
                                             {"P", 1'000'000'000'000'000},
                                             {"E", 1'000'000'000'000'000'000}}};

__extension__ typedef __int128 Wide;

// `digits[.digits]` times `factor`, exactly.
StatusOr<int64_t> Scale(std::string_view number, int64_t factor) {
  Wide value = 0, divisor = 1;
  size_t digits = 0;
  bool point = false;
  for (char c : number) {
    if (c == '.' && !point) {
      point = true;
      continue;
    }
    if (c < '0' || c > '9') return InvalidArgument("is not a quantity");
    if (++digits > 19) return InvalidArgument("is too large");
    value = value * 10 + (c - '0');
    if (point) divisor *= 10;
  }
  if (digits == 0) return InvalidArgument("is not a quantity");
  if (number.front() == '.' || number.back() == '.') return InvalidArgument("is not a quantity");
  // 10^19 * 2^60 stays below 2^127.
  value *= factor;
  if (value % divisor != 0) return InvalidArgument("is finer than one unit");
  value /= divisor;
  if (value > std::numeric_limits<int64_t>::max()) return InvalidArgument("is too large");
  return static_cast<int64_t>(value);
}

Status CheckText(std::string_view text) {
  if (text.empty()) return InvalidArgument("is empty");
  if (text.front() == '-') return InvalidArgument("is negative");
  return OkStatus();
}

}  // namespace

StatusOr<int64_t> ParseCpuMilli(std::string_view text) {
  RETURN_IF_ERROR(CheckText(text));
  if (text.back() == 'm') return Scale(text.substr(0, text.size() - 1), 1);
  return Scale(text, 1000);
}

StatusOr<int64_t> ParseBytes(std::string_view text) {
  RETURN_IF_ERROR(CheckText(text));
  for (const Suffix& suffix : kBinary) {
    if (text.ends_with(suffix.text)) return Scale(text.substr(0, text.size() - 2), suffix.factor);
  }
  for (const Suffix& suffix : kDecimal) {
    if (text.ends_with(suffix.text)) return Scale(text.substr(0, text.size() - 1), suffix.factor);
  }
  if (text.back() == 'm') return InvalidArgument("ends in m (thousandths); M is mega, Mi is 1024 * 1024");
  return Scale(text, 1);
}

StatusOr<int64_t> ParseCount(std::string_view text) {
  RETURN_IF_ERROR(CheckText(text));
  return Scale(text, 1);
}

std::string FormatBytes(int64_t bytes) {
  std::string_view unit;
  int64_t value = bytes;
  for (const Suffix& suffix : kBinary) {
    if (bytes == 0 || bytes % suffix.factor != 0) break;
    unit = suffix.text;
    value = bytes / suffix.factor;
  }
  return std::to_string(value) + std::string(unit);
}

std::string FormatCpuMilli(int64_t milli) {
  return milli % 1000 == 0 ? std::to_string(milli / 1000) : std::to_string(milli) + "m";
}

}  // namespace mcpfleet
