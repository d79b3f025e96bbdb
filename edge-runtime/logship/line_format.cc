#include "edge-runtime/logship/line_format.h"

#include <algorithm>
#include <cstring>

#include "base/json.h"
#include "base/strings.h"

#include <simdjson.h>
#include <nlohmann/json.hpp>

namespace mcpfleet::logship {
namespace {

constexpr char kBegin[] = "{\"time\":\"", kEnd[] = "\"}\n";
constexpr size_t kMostTime = 40;      // "2026-11-28T07:00:00.123456789+01:00" and room
constexpr size_t kMostOfOneByte = 6;  // "\u0007"
constexpr uint64_t kOnes = 0x0101010101010101, kHighs = 0x8080808080808080;

bool Digits(const char* at, int count, int64_t* value) {
  *value = 0;
  for (int i = 0; i < count; ++i) {
    if (at[i] < '0' || at[i] > '9') return false;
    *value = *value * 10 + (at[i] - '0');
  }
  return true;
}

// Days since 1970 (Howard Hinnant, chrono-compatible low-level date algorithms).
int64_t DaysOf(int64_t year, int64_t month, int64_t day) {
  year -= month <= 2 ? 1 : 0;
  const int64_t era = year / 400;
  const int64_t of_era = year - era * 400;
  const int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
  return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

// "2026-11-28T07:00:00" → seconds since 1970; false for anything else.
bool Seconds(const char* at, int64_t* seconds) {
  int64_t year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0;
  const bool shape = Digits(at, 4, &year) && at[4] == '-' && Digits(at + 5, 2, &month) && at[7] == '-' &&
                     Digits(at + 8, 2, &day) && at[10] == 'T' && Digits(at + 11, 2, &hour) && at[13] == ':' &&
                     Digits(at + 14, 2, &minute) && at[16] == ':' && Digits(at + 17, 2, &second);
  constexpr int kDays[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  if (!shape || year < 1970 || year > 2261 || month < 1 || month > 12 || hour > 23 || minute > 59 || second > 59)
    return false;
  const bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
  if (day < 1 || day > kDays[month - 1] + (month == 2 && leap ? 1 : 0)) return false;
  *seconds = DaysOf(year, month, day) * 86400 + hour * 3600 + minute * 60 + second;
  return true;
}

// Whether one of eight bytes is below 0x20, a quote or a backslash. (Bit Twiddling Hacks, "determine if a word has …")
bool NeedsEscape(uint64_t word) {
  const auto has_zero = [](uint64_t x) { return (x - kOnes) & ~x & kHighs; };
  const uint64_t control = (word - kOnes * 0x20) & ~word & kHighs;
  return (control | has_zero(word ^ (kOnes * '"')) | has_zero(word ^ (kOnes * '\\'))) != 0;
}

// The bytes of a JSON string, without its quotes. `out` has room for the worst.
char* Escape(std::string_view text, char* out) {
  const char* at = text.data();
  const char* const end = at + text.size();
  while (at != end) {
    uint64_t word = 0;
    while (end - at >= 8) {
      std::memcpy(&word, at, 8);
      if (NeedsEscape(word)) break;
      std::memcpy(out, &word, 8);
      at += 8;
      out += 8;
    }
    // The eight bytes with one that needs it, or the rest.
    for (int i = 0; i < 8 && at != end; ++i) {
      const unsigned char c = static_cast<unsigned char>(*at++);
      if (c >= 0x20 && c != '"' && c != '\\') {
        *out++ = static_cast<char>(c);
        continue;
      }
      *out++ = '\\';
      if (c == '"' || c == '\\') {
        *out++ = static_cast<char>(c);
      } else if (c == '\t') {
        *out++ = 't';
      } else {
        constexpr char kHex[] = "0123456789abcdef";
        out[0] = 'u';
        out[1] = out[2] = '0';
        out[3] = kHex[c >> 4];
        out[4] = kHex[c & 15];
        out += 5;
      }
    }
  }
  return out;
}

char* Put(std::string_view text, char* out) {
  std::memcpy(out, text.data(), text.size());
  return out + text.size();
}

// With U+FFFD for what is not UTF-8.
std::string Repaired(std::string_view text) {
  const Json decoded = Json::parse(DumpJson(Json(std::string(text))), nullptr, false);
  return decoded.is_string() ? decoded.get<std::string>() : "";
}

}  // namespace

void LineStats::Add(const LineStats& more) {
  lines += more.lines;
  first = std::min(first, more.first);
  last = std::max(last, more.last);
}

size_t LineTimes::Read(std::string_view line, int64_t* nanoseconds) {
  if (line.size() < 20) return 0;
  if (std::memcmp(line.data(), known_, 19) != 0) {
    if (!Seconds(line.data(), &seconds_)) {
      known_[0] = '\0';
      return 0;
    }
    std::memcpy(known_, line.data(), 19);
  }
  size_t at = 19;
  int64_t fraction = 0;
  if (line[at] == '.') {
    int64_t scale = 100'000'000;
    const size_t begin = ++at;
    for (; at < line.size() && at - begin < 9 && line[at] >= '0' && line[at] <= '9'; ++at, scale /= 10)
      fraction += (line[at] - '0') * scale;
    if (at == begin) return 0;
  }
  int64_t shift = 0;
  if (at < line.size() && line[at] == 'Z') {
    ++at;
  } else if (line.size() - at >= 6 && (line[at] == '+' || line[at] == '-') && line[at + 3] == ':') {
    int64_t hours = 0, minutes = 0;
    if (!Digits(line.data() + at + 1, 2, &hours) || !Digits(line.data() + at + 4, 2, &minutes) || hours > 23 ||
        minutes > 59)
      return 0;
    shift = (hours * 3600 + minutes * 60) * (line[at] == '+' ? 1 : -1);
    at += 6;
  } else {
    return 0;
  }
  if (at < line.size() && line[at] != ' ') return 0;
  *nanoseconds = (seconds_ - shift) * 1'000'000'000 + fraction;
  return at;
}

char* TextRoom::Reserve(size_t used, size_t more) {
  if (capacity_ - used < more) {
    const size_t capacity = std::max(2 * capacity_, used + more);
    std::unique_ptr<char[]> bigger(new char[capacity]);
    if (used > 0) std::memcpy(bigger.get(), bytes_.get(), used);
    bytes_ = std::move(bigger);
    capacity_ = capacity;
  }
  return bytes_.get() + used;
}

LineFormatter::LineFormatter(const ServerKey& server)
    : middle_("\",\"namespace\":" + DumpJson(Json(server.namespace_)) + ",\"server\":" + DumpJson(Json(server.name)) +
              ",\"stream\":\"stderr\",\"text\":\"") {}

std::string_view LineFormatter::Format(std::string_view lines, WallTime fallback, TextRoom* room, LineStats* stats) {
  const bool utf8 = simdjson::validate_utf8(lines.data(), lines.size());
  size_t used = 0;
  std::string_view previous_time = last_time_;
  int64_t previous = last_nanoseconds_;
  LineStats found;
  std::string repaired;
  for (size_t newline; (newline = lines.find('\n')) != std::string_view::npos; lines.remove_prefix(newline + 1)) {
    std::string_view line = lines.substr(0, newline);
    int64_t at = 0;
    const size_t length = times_.Read(line, &at);
    std::string_view time = line.substr(0, length);
    std::string_view text = line.substr(std::min(line.size(), length + (length > 0 ? 1 : 0)));
    if (length == 0) {
      if (previous_time.empty()) {
        previous_time = last_time_ = FormatTime(fallback);
        previous = std::chrono::nanoseconds(fallback.time_since_epoch()).count();
      }
      time = previous_time;
      at = previous;
    }
    if (!utf8 && !IsUtf8(text)) {
      repaired = Repaired(text);
      text = repaired;
    }
    char* const begin =
        room->Reserve(used, sizeof kBegin + kMostTime + middle_.size() + kMostOfOneByte * text.size() + sizeof kEnd);
    char* out = Put(std::string_view(kBegin, sizeof kBegin - 1), begin);
    out = Put(time, out);
    out = Put(middle_, out);
    out = Escape(text, out);
    out = Put(std::string_view(kEnd, sizeof kEnd - 1), out);
    used += static_cast<size_t>(out - begin);
    previous_time = time;
    previous = at;
    ++found.lines;
    found.first = std::min(found.first, at);
    found.last = std::max(found.last, at);
  }
  last_time_ = std::string(previous_time);
  last_nanoseconds_ = previous;
  stats->Add(found);
  return {room->begin(), used};
}

}  // namespace mcpfleet::logship
