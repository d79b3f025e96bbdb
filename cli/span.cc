#include "cli/span.h"

#include <charconv>
#include <string>

#include "base/strings.h"

namespace mcpfleet::cli {
namespace {

constexpr int kMostDays = 36'500;

}  // namespace

StatusOr<Duration> ParseSpan(std::string_view text) {
  const auto bad = [text] {
    return InvalidArgument("\"" + Printable(text, 40) +
                           "\" is not a span of time; allowed: for example 90s, 1h30m, 7d");
  };
  const size_t d = text.find('d');
  int days = 0;
  if (d != std::string_view::npos) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + d, days);
    if (error != std::errc() || end != text.data() + d || days < 0 || days > kMostDays) return bad();
    text.remove_prefix(d + 1);
    if (text.empty()) return std::chrono::hours(24 * days);
  }
  const StatusOr<Duration> rest = ParseDuration(text);
  if (!rest.ok()) return bad();
  return std::chrono::hours(24 * days) + *rest;
}

}  // namespace mcpfleet::cli
