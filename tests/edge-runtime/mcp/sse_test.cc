#include "edge-runtime/mcp/sse.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "edge-runtime/mcp/tool_hash.h"

namespace mcpfleet::mcp {
namespace {

std::string Render(const std::vector<SseEvent>& events) {
  std::string out;
  for (const SseEvent& event : events) out += event.type + "|" + event.data + "|" + event.id + "\n";
  return out;
}

TEST(SseParserTest, EventsAreTheSameHoweverTheBytesAreCut) {
  const std::string stream =
      "\xEF\xBB\xBF: hello\r\nevent: message\r\nid: 1-a\r\ndata: {\"x\":1}\r\n\r\ndata:two\rdata: lines\r\rid: "
      "p\nretry: 3000\ndata: \n\n"
      "event: endpoint\ndata:/m\n\nevent: nothing\n\ndata: unfinished";
  SseParser whole;
  std::string expected = Render(*whole.Feed(stream));
  EXPECT_EQ(expected, "message|{\"x\":1}|1-a\nmessage|two\nlines|1-a\nmessage||p\nendpoint|/m|p\n");
  for (size_t cut = 1; cut < 20; ++cut) {
    SseParser parser;
    std::vector<SseEvent> events;
    for (size_t at = 0; at < stream.size(); at += cut) {
      StatusOr<std::vector<SseEvent>> some = parser.Feed(std::string_view(stream).substr(at, cut));
      ASSERT_TRUE(some.ok());
      for (SseEvent& event : *some) events.push_back(std::move(event));
    }
    EXPECT_EQ(Render(events), expected) << "cut into pieces of " << cut;
  }
}

TEST(SseParserTest, AnEndlessEventIsRefused) {
  SseParser parser(1000);
  Status status = OkStatus();
  for (int i = 0; i < 300 && status.ok(); ++i) status = parser.Feed("data: 0123456789\n").status();
  EXPECT_EQ(status.code(), StatusCode::kResourceExhausted);
  SseParser one_line(1000);
  EXPECT_FALSE(one_line.Feed(std::string(2000, 'x')).ok());
}

TEST(ToolHashTest, IconsKeyOrderAndNumberSpellingDoNotCountButWordsDo) {
  Json tool = Json::parse(
      R"({"name":"a","description":"d","inputSchema":{"maximum":10,"type":"object"},"icons":[{"src":"x"}]})");
  Json same = Json::parse(R"({"inputSchema":{"type":"object","maximum":10.0},"description":"d","name":"a"})");
  Json other = Json::parse(R"({"name":"a","description":"D","inputSchema":{"maximum":10,"type":"object"}})");
  EXPECT_EQ(ToolHash(tool), ToolHash(same));
  EXPECT_NE(ToolHash(tool), ToolHash(other));
  EXPECT_TRUE(ToolHash(tool).starts_with("sha256:"));
}

TEST(ToolHashTest, TheOrderOfAListDoesNotCount) {
  Json a = {{"name", "a"}}, b = {{"name", "b"}};
  ToolList one, two, three;
  EXPECT_TRUE(one.Add(a) && one.Add(b) && two.Add(b) && two.Add(a) && three.Add(a));
  EXPECT_EQ(one.Hash(), two.Hash());
  EXPECT_NE(one.Hash(), three.Hash());
  EXPECT_EQ(two.SortedNames(), (std::vector<std::string>{"a", "b"}));
  EXPECT_FALSE(one.Add(Json::parse(R"({"title":"no name"})")));
  EXPECT_FALSE(one.Add("text"));
}

}  // namespace
}  // namespace mcpfleet::mcp
