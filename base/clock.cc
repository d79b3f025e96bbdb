#include "base/clock.h"

#include <cinttypes>
#include <climits>
#include <cmath>
#include <cstdio>
#include <ctime>

namespace mcpfleet {

using std::chrono::duration_cast;
using std::chrono::milliseconds;
using std::chrono::seconds;

Deadline Deadline::After(Duration d) {
  MonoTime now = std::chrono::steady_clock::now();
  return d > MonoTime::max() - now ? Never() : Deadline(now + d);
}

Duration Deadline::Left() const {
  MonoTime now = std::chrono::steady_clock::now();
  return at_ <= now ? Duration::zero() : at_ - now;
}

int Deadline::PollMillis() const {
  if (at_ == MonoTime::max()) return -1;
  int64_t ms = duration_cast<milliseconds>(Left() + milliseconds(1) - Duration(1)).count();
  return ms > INT_MAX ? INT_MAX : static_cast<int>(ms);
}

Deadline Deadline::AtMost(Duration d) const {
  Deadline other = After(d);
  return other.at_ < at_ ? other : *this;
}

std::string FormatTime(WallTime time) {
  time_t t = static_cast<time_t>(duration_cast<seconds>(time.time_since_epoch()).count());
  tm utc{};
  gmtime_r(&t, &utc);
  char text[32];
  strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &utc);
  return text;
}

std::string FormatTimeMillis(WallTime time) {
  char fraction[16];
  snprintf(fraction, sizeof fraction, ".%03dZ", static_cast<int>((ToMillis(time) % 1000 + 1000) % 1000));
  std::string text = FormatTime(time);
  text.pop_back();
  return text + fraction;
}

StatusOr<WallTime> ParseTime(std::string_view text) {
  std::string copy(text);
  tm utc{};
  const char* end = strptime(copy.c_str(), "%Y-%m-%dT%H:%M:%S", &utc);
  Duration fraction{0};
  if (end != nullptr && *end == '.') {
    int64_t scale = 100'000'000;
    for (++end; *end >= '0' && *end <= '9'; ++end, scale /= 10) fraction += Duration((*end - '0') * scale);
  }
  // strptime takes "7" for "07" and 31 February for 3 March. Nanoseconds in 64 bits reach to 2262.
  bool exact = end != nullptr && std::string_view(end) == "Z" && utc.tm_year >= 70 && utc.tm_year < 362 &&
               FormatTime(WallTime(seconds(timegm(&utc)))).compare(0, 19, copy, 0, 19) == 0;
  if (!exact) {
    return InvalidArgument("\"" + copy +
                           "\" is not a UTC time; allowed: YYYY-MM-DDTHH:MM:SSZ, of the years 1970 to 2261");
  }
  return WallTime(seconds(timegm(&utc)) + fraction);
}

std::string FormatDuration(Duration duration) {
  if (duration == Duration::zero()) return "0s";
  if (duration < seconds(1)) return std::to_string(duration_cast<milliseconds>(duration).count()) + "ms";
  int64_t total = duration_cast<seconds>(duration).count();
  int64_t ms = duration_cast<milliseconds>(duration).count() % 1000;
  std::string out;
  if (total >= 3600) out += std::to_string(total / 3600) + "h";
  if (total % 3600 >= 60) out += std::to_string(total % 3600 / 60) + "m";
  if (ms != 0) {
    char text[40];
    snprintf(text, sizeof text, "%" PRId64 ".%03" PRId64 "s", total % 60, ms);
    out += text;
  } else if (total % 60 != 0) {
    out += std::to_string(total % 60) + "s";
  }
  return out;
}

StatusOr<Duration> ParseDuration(std::string_view text) {
  const auto bad = [&] {
    return InvalidArgument("\"" + std::string(text) +
                           "\" is not a duration; allowed: for example 500ms, 90s, 5m, 1h30m");
  };
  if (text == "0") return Duration::zero();
  if (text.empty() || text.size() > 32) return bad();
  double total_ns = 0;
  size_t i = 0;
  while (i < text.size()) {
    double value = 0, scale = 1;
    size_t start = i;
    for (; i < text.size() && text[i] >= '0' && text[i] <= '9'; ++i) value = value * 10 + (text[i] - '0');
    if (i < text.size() && text[i] == '.') {
      for (++i; i < text.size() && text[i] >= '0' && text[i] <= '9'; ++i) value += (text[i] - '0') * (scale /= 10);
      if (i == start + 1) return bad();
    }
    if (i == start) return bad();
    std::string_view rest = text.substr(i);
    double unit = 0;
    size_t unit_size = 1;
    if (rest.starts_with("ms")) {
      unit = 1e6, unit_size = 2;
    } else if (rest.starts_with("us")) {
      unit = 1e3, unit_size = 2;
    } else if (rest.starts_with("ns")) {
      unit = 1, unit_size = 2;
    } else if (rest.starts_with("s")) {
      unit = 1e9;
    } else if (rest.starts_with("m")) {
      unit = 60e9;
    } else if (rest.starts_with("h")) {
      unit = 3600e9;
    } else {
      return bad();
    }
    total_ns += value * unit;
    i += unit_size;
  }
  if (total_ns > 9e18) return bad();
  return Duration(std::llround(total_ns));
}

std::string FormatAge(Duration age) {
  constexpr int64_t kHour = 3600, kDay = 24 * kHour;
  int64_t s = duration_cast<seconds>(age).count();
  if (s < 0) s = 0;
  if (s < 120) return std::to_string(s) + "s";
  if (s < 600) return std::to_string(s / 60) + "m" + (s % 60 ? std::to_string(s % 60) + "s" : "");
  if (s < 3 * kHour) return std::to_string(s / 60) + "m";
  if (s < 8 * kHour) return std::to_string(s / 3600) + "h" + (s % 3600 / 60 ? std::to_string(s % 3600 / 60) + "m" : "");
  if (s < 48 * kHour) return std::to_string(s / 3600) + "h";
  if (s < 8 * kDay)
    return std::to_string(s / 86400) + "d" + (s % 86400 / 3600 ? std::to_string(s % 86400 / 3600) + "h" : "");
  return std::to_string(s / 86400) + "d";
}

}  // namespace mcpfleet
