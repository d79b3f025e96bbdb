#include "edge-runtime/dashboard/line_page.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/json.h"

namespace mcpfleet::dashboard {
namespace {

const ServerKey kA{"default", "a"}, kB{"default", "b"}, kC{"default", "c"};
constexpr char kOne[] = "2026-11-28T10:00:01Z", kTwo[] = "2026-11-28T10:00:02Z", kThree[] = "2026-11-28T10:00:03Z";

using Log = std::vector<PageLine>;

// All pages of the logs, read as far as each page wants them.
std::vector<std::string> Pages(const std::vector<Log>& logs, LinePage::Limits limits) {
  std::vector<std::string> texts;
  std::string after;
  size_t given = 0;
  for (int turn = 0; turn < 100; ++turn) {
    LinePage page(limits, after, given);
    for (const Log& log : logs) {
      for (const PageLine& line : log) {
        if (!page.Add(line)) break;
      }
    }
    std::string cursor;
    const std::vector<PageLine> lines = page.Finish(&cursor);
    EXPECT_LE(lines.size(), limits.lines);
    for (const PageLine& line : lines) texts.push_back(line.text);
    if (cursor.empty()) break;
    EXPECT_FALSE(lines.empty()) << "it gets nowhere";
    after = cursor.substr(0, cursor.find('|'));
    given = std::stoul(cursor.substr(cursor.find('|') + 1));
  }
  return texts;
}

TEST(LinePageTest, PagesHaveEveryLineOnceInTheOrderOfTimeWhateverTheirSize) {
  // The last log has what comes first; all have lines of one time.
  const std::vector<Log> logs{{{kTwo, "a1", &kA}, {kTwo, "a2", &kA}, {kThree, "a3", &kA}},
                              {{kTwo, "b1", &kB}, {kThree, "b2", &kB}},
                              {{kOne, "c1", &kC}, {kOne, "c2", &kC}, {kTwo, "c3", &kC}}};
  const std::vector<std::string> all{"c1", "c2", "a1", "a2", "b1", "c3", "a3", "b2"};
  for (size_t lines = 1; lines <= 9; ++lines) EXPECT_EQ(Pages(logs, {.lines = lines, .bytes = 1 << 20}), all) << lines;
  for (size_t bytes = 1; bytes <= 2000; bytes += 100)
    EXPECT_EQ(Pages(logs, {.lines = 100, .bytes = bytes}), all) << bytes;
}

TEST(LinePageTest, OfManyLongLogsItWantsNoMoreThanItKeeps) {
  constexpr size_t kLimit = 100, kBytes = 1 << 20;
  LinePage page({.lines = kLimit, .bytes = kBytes}, "", 0);
  size_t taken = 0;
  for (int log = 0; log < 50; ++log) {
    for (bool more = true; more; taken += more ? 1 : 0)
      more = page.Add({.time = kOne, .text = std::string(60'000, 'x'), .server = &kA});
  }
  EXPECT_LE(taken, 2 * kBytes / 60'000 + 1);
  std::string cursor;
  EXPECT_LE(page.Finish(&cursor).size(), kBytes / 60'000);
  EXPECT_FALSE(cursor.empty());
}

TEST(LinePageTest, OneLineIsGivenHoweverLong) {
  LinePage page({.lines = 10, .bytes = 100}, "", 0);
  page.Add({.time = kOne, .text = std::string(1000, 'x'), .server = &kA});
  std::string cursor;
  EXPECT_EQ(page.Finish(&cursor).size(), 1U);
  EXPECT_EQ(cursor, "");
}

TEST(LinePageTest, TheBytesOfJsonAreNoFewerThanThereAre) {
  for (const std::string& text : {std::string(), std::string("plain"), std::string("\x01\n\"\\"), std::string("grün"),
                                  std::string("\xff\xfe no UTF-8"), std::string(5, '\0')})
    EXPECT_GE(JsonBytes(text), DumpJson(Json(text)).size()) << DumpJson(Json(text));
  EXPECT_EQ(JsonBytes("plain"), 7U);
}

}  // namespace
}  // namespace mcpfleet::dashboard
