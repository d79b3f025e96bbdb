#include "edge-runtime/logship/line_format.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "base/json.h"
#include "base/strings.h"

namespace mcpfleet::logship {
namespace {

constexpr WallTime kNow{std::chrono::seconds(1'790'000'000)};

std::vector<Json> Format(LineFormatter& formatter, std::string_view lines, LineStats* stats = nullptr) {
  static TextRoom room;
  LineStats own;
  const std::string text(formatter.Format(lines, kNow, &room, stats == nullptr ? &own : stats));
  std::vector<Json> out;
  for (const std::string& row : Split(text, '\n')) {
    if (row.empty()) continue;
    StatusOr<Json> json = ParseJson(row);
    EXPECT_TRUE(json.ok()) << row;
    if (json.ok()) out.push_back(*json);
  }
  return out;
}

TEST(LineFormatTest, ALineBecomesWhatTheWorkerTakes) {
  LineFormatter formatter({"default", "weather"});
  LineStats stats;
  const std::vector<Json> rows =
      Format(formatter, "2026-11-28T07:00:00.123Z hello\n2026-11-28T07:00:00.000000001Z second line\n", &stats);
  ASSERT_EQ(rows.size(), 2U);
  EXPECT_EQ(rows[0], (Json{{"time", "2026-11-28T07:00:00.123Z"},
                           {"namespace", "default"},
                           {"server", "weather"},
                           {"stream", "stderr"},
                           {"text", "hello"}}));
  EXPECT_EQ(rows[1]["text"], "second line");
  EXPECT_EQ(stats.lines, 2);
  const int64_t second = std::chrono::nanoseconds(ParseTime("2026-11-28T07:00:00Z")->time_since_epoch()).count();
  EXPECT_EQ(stats.first, second + 1);
  EXPECT_EQ(stats.last, second + 123'000'000);
}

TEST(LineFormatTest, AnyBytesMakeLinesOfJsonInUtf8) {
  LineFormatter formatter({"default", "weather"});
  std::string all;
  for (int c = 1; c < 256; ++c) {
    if (c != '\n') all += static_cast<char>(c);
  }
  const std::string time = "2026-11-28T07:00:00.000Z ";
  for (size_t shift = 0; shift < 9; ++shift) {
    const std::string text = std::string(shift, 'x') + all + std::string("\0end", 4);
    const std::vector<Json> rows = Format(formatter, time + text + "\n");
    ASSERT_EQ(rows.size(), 1U);
    const std::string got = rows[0]["text"];
    EXPECT_EQ(got.substr(0, shift + 126), text.substr(0, shift + 126));
    EXPECT_TRUE(got.ends_with(std::string("\0end", 4)));
    EXPECT_NE(got.find("\xef\xbf\xbd"), std::string::npos);
  }
  EXPECT_EQ(Format(formatter, time + "gr\xc3\xbc\xc3\x9f \"Gott\" \\o/ \x1b[0m\t\n")[0]["text"],
            "gr\xc3\xbc\xc3\x9f \"Gott\" \\o/ \x1b[0m\t");
}

TEST(LineFormatTest, ALineWithoutATimeGetsThatOfTheOneBefore) {
  LineFormatter formatter({"default", "weather"});
  LineStats stats;
  EXPECT_EQ(Format(formatter, "no time\n", &stats)[0]["time"], FormatTime(kNow));
  EXPECT_EQ(stats.first, std::chrono::nanoseconds(kNow.time_since_epoch()).count());
  std::vector<Json> rows = Format(formatter, "2026-11-28T07:00:00.5Z good\n2026-13-28T07:00:00Z bad month\n\n");
  EXPECT_EQ(rows[1]["time"], "2026-11-28T07:00:00.5Z");
  EXPECT_EQ(rows[1]["text"], "2026-13-28T07:00:00Z bad month");
  EXPECT_EQ(rows[2]["text"], "");
  rows = Format(formatter, "still none\n");
  EXPECT_EQ(rows[0]["time"], "2026-11-28T07:00:00.5Z") << "also over pieces";
}

TEST(LineTimesTest, TimesAreReadToTheNanosecond) {
  LineTimes times;
  const auto read = [&](const std::string& line) {
    int64_t at = -1;
    return times.Read(line, &at) == 0 ? -1 : at;
  };
  for (const char* time : {"1970-01-01T00:00:00Z", "2000-02-29T23:59:59Z", "2026-11-28T07:00:00Z",
                           "2100-03-01T00:00:00Z", "2261-12-31T23:59:59Z"}) {
    EXPECT_EQ(read(std::string(time) + " x"), std::chrono::nanoseconds(ParseTime(time)->time_since_epoch()).count())
        << time;
  }
  const int64_t base = read("2026-11-28T07:00:00Z x");
  EXPECT_EQ(read("2026-11-28T07:00:00.9Z x"), base + 900'000'000);
  EXPECT_EQ(read("2026-11-28T07:00:00.123456789Z x"), base + 123'456'789);
  EXPECT_EQ(read("2026-11-28T08:30:00+01:30 x"), base);
  EXPECT_EQ(read("2026-11-28T05:00:00.000-02:00 x"), base);
  EXPECT_EQ(read("2026-11-28T07:00:00Z"), base) << "an empty line";
  for (const char* none : {"", "2026", "2026-11-28T07:00:00", "2026-11-28 07:00:00Z x", "2026-02-30T00:00:00Z x",
                           "2026-11-28T24:00:00Z x", "2026-11-28T07:00:00.Z x", "2026-11-28T07:00:00Zx",
                           "2026-11-28T07:00:00.1234567891Z x", "2026-11-28T07:00:00+1:00 x", "1969-12-31T23:59:59Z x"})
    EXPECT_EQ(read(none), -1) << none;
}

}  // namespace
}  // namespace mcpfleet::logship
