#include "store/watch_message.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/json.h"

namespace mcpfleet {
namespace {

using Kind = WatchMessage::Kind;
using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

WatchMessage Parsed(const std::string& text, const std::string& node = "edge-01") {
  auto message = ParseWatchMessage(text, node);
  EXPECT_TRUE(message.ok()) << message.status();
  return message.ok() ? *std::move(message) : WatchMessage{};
}

std::string Why(const std::string& text) {
  auto message = ParseWatchMessage(text, "edge-01");
  EXPECT_FALSE(message.ok()) << text.substr(0, 200);
  EXPECT_EQ(message.status().code(), StatusCode::kInvalidArgument);
  return Message(message.status());
}

TEST(WatchMessageTest, WhatHasNoTypeIsAHeadForTheSyncToJudge) {
  for (const char* text : {"{}", "", "[]", "null", "<html>", R"({"fleet":"a","revision":1})", "{\"type\":1,\"type\":2}",
                           "\"hello\"", "Pong"}) {
    EXPECT_EQ(Parsed(text).kind, Kind::kHead) << text;
  }
  EXPECT_EQ(Parsed("pong").kind, Kind::kPong);
  EXPECT_EQ(Parsed(R"({"type":"rotate"})").kind, Kind::kRotate);
  for (const char* text : {R"({"type":"alert","state":"raised"})", R"({"type":7})", R"({"type":null})"}) {
    EXPECT_EQ(Parsed(text).kind, Kind::kUnknown) << text;
  }
}

TEST(WatchMessageTest, AHelloSaysHowOftenToComeWhoIsDownAndWhoLooks) {
  const WatchMessage hello = Parsed(
      R"({"type":"hello","name":"edge-01","nonce":"n-1","down":{"sequence":7,"nodes":["edge-02","a-b"],"frozen":true},
          "hints":{"pingSeconds":20,"pollConnectedSeconds":600,"pollUnconnectedSeconds":[70,90],"reconnectSpreadSeconds":12},
          "follow":[{"namespace":"default","server":"weather"},{"namespace":"default","server":"time","node":"edge-09"},
                    {"namespace":"default","server":"clock","node":"edge-01"},{"namespace":"default","server":"weather"}]})");
  EXPECT_EQ(hello.kind, Kind::kHello);
  EXPECT_EQ(hello.nonce, "n-1");
  EXPECT_EQ(hello.hints, (WatchHints{seconds(20), seconds(600), seconds(70), seconds(90), seconds(12)}));
  ASSERT_TRUE(hello.down.has_value());
  EXPECT_EQ(hello.down->sequence, 7);
  EXPECT_EQ(hello.down->nodes, (std::vector<std::string>{"edge-02", "a-b"}));
  EXPECT_TRUE(hello.down->frozen);
  // Those of this node, each once.
  EXPECT_EQ(hello.follow, (std::vector<FollowedServer>{{"default", "weather"}, {"default", "clock"}}));
  EXPECT_FALSE(Parsed(R"({"type":"hello"})").down.has_value());
}

TEST(WatchMessageTest, HintsAreBelievedWithinWhatANodeDoesAtAll) {
  const auto hints = [](const std::string& json) { return Parsed(R"({"type":"hello","hints":)" + json + "}").hints; };
  EXPECT_EQ(
      hints(
          R"({"pingSeconds":0,"pollConnectedSeconds":-1,"pollUnconnectedSeconds":[0,0],"reconnectSpreadSeconds":-5})"),
      (WatchHints{seconds(5), minutes(1), seconds(10), seconds(10), seconds(0)}));
  EXPECT_EQ(hints(R"({"pingSeconds":1e300,"pollConnectedSeconds":18446744073709551615,
                      "pollUnconnectedSeconds":[99999999999,5],"reconnectSpreadSeconds":9223372036854775807})"),
            (WatchHints{minutes(1), hours(1), hours(1), hours(1), minutes(10)}));
  for (const char* nonsense :
       {"null", "[]", "{}", R"({"pingSeconds":"1","pollConnectedSeconds":null,"pollUnconnectedSeconds":[1,2,3]})"}) {
    EXPECT_EQ(hints(nonsense), WatchHints{}) << nonsense;
  }
}

TEST(WatchMessageTest, ADownListThatIsNoneOrTooLongIsRefusedWhole) {
  EXPECT_EQ(Parsed(R"({"type":"down","sequence":0,"nodes":[]})").down->nodes.size(), 0u);
  for (const char* bad :
       {R"({"type":"down","nodes":[]})", R"({"type":"down","sequence":-1,"nodes":[]})",
        R"({"type":"down","sequence":99999999999999999999,"nodes":[]})", R"({"type":"down","sequence":1.5,"nodes":[]})",
        R"({"type":"down","sequence":1})", R"({"type":"down","sequence":1,"nodes":{"a":1}})",
        R"({"type":"down","sequence":1,"nodes":[1]})", R"({"type":"down","sequence":1,"nodes":["../x"]})",
        R"({"type":"down","sequence":1,"nodes":["a.b"]})", R"({"type":"down","sequence":1,"nodes":[""]})",
        R"({"type":"hello","down":null})"}) {
    EXPECT_EQ(Why(bad).rfind("down: ", 0), 0u) << bad;
  }
  Json list = {{"type", "down"}, {"sequence", 1}, {"nodes", Json::array()}};
  for (size_t i = 0; i <= kDownListNodes; ++i) list["nodes"].push_back("n" + std::to_string(i));
  EXPECT_EQ(Why(DumpJson(list)), "down: more than 16384 nodes");
  list["nodes"].erase(0);
  EXPECT_EQ(Parsed(DumpJson(list)).down->nodes.size(), kDownListNodes);
  list["nodes"] = Json::array({std::string(64, 'a')});
  EXPECT_NE(Why(DumpJson(list)), "");
}

TEST(WatchMessageTest, OtherMessagesAreBoundedToo) {
  Json follow = {{"type", "follow"}, {"servers", Json::array()}};
  for (size_t i = 0; i <= kFollowedServers; ++i)
    follow["servers"].push_back({{"namespace", "default"}, {"server", "s" + std::to_string(i)}});
  EXPECT_EQ(Why(DumpJson(follow)), "follow: more servers than 1024");
  EXPECT_EQ(Why(R"({"type":"follow"})"), "follow: servers are no list");
  EXPECT_EQ(Why(R"({"type":"follow","servers":[{"namespace":"default","server":"a/b"}]})"), "follow: names no server");
  EXPECT_TRUE(Parsed(R"({"type":"follow","servers":[]})").follow.empty());
  EXPECT_EQ(Why(R"({"type":"hello","nonce":")" + std::string(65, 'n') + "\"}"), "hello: the nonce is none");
  EXPECT_EQ(Why(R"({"type":"hello","nonce":"a\r\nX: y"})"), "hello: the nonce is none");
  Json values = {{"type", "values"}, {"values", Json::array({"{}", "\xC3\xA9"})}};
  EXPECT_EQ(Parsed(DumpJson(values)).values, (std::vector<std::string>{"{}", "\xC3\xA9"}));
  values["values"].push_back(7);
  EXPECT_EQ(Why(DumpJson(values)), "values: one is no text");
  values["values"] = Json::array();
  for (size_t i = 0; i <= kPushedValues; ++i) values["values"].push_back("");
  EXPECT_EQ(Why(DumpJson(values)), "values: more than 256");
  EXPECT_EQ(Why(R"({"type":"values"})"), "values: are no list");
  EXPECT_EQ(Parsed(R"({"type":"slow","retryAfterSeconds":1e9})").retry_after, minutes(1));
  EXPECT_EQ(Parsed(R"({"type":"slow"})").retry_after, seconds(1));
  EXPECT_EQ(Parsed(R"({"type":"status-stored","sequence":12})").sequence, 12);
  EXPECT_EQ(Why(R"({"type":"status-stored"})"), "status-stored: sequence is no number");
  const std::string error = Parsed(R"({"type":"error","message":"\u001b[2J)" + std::string(5000, 'x') + "\"}").error;
  EXPECT_LE(error.size(), 310u);
  EXPECT_EQ(error.find('\x1b'), std::string::npos);
  EXPECT_EQ(Why(std::string(kWatchMessageBytes + 1, ' ')), "a message larger than 1 MiB");
  EXPECT_EQ(Parsed(R"({"type":"hello","x":)" + std::string(2000, '[') + std::string(2000, ']') + "}").kind, Kind::kHead)
      << "nested too deeply to be looked into";
}

TEST(WatchMessageTest, AMeasureSaysWhoLooksAtWhatOnThisNode) {
  const WatchMessage message = Parsed(
      R"({"type":"measure","servers":[{"namespace":"default","server":"weather"},{"node":"edge-09"},{"node":"edge-01","history":true},
          {"namespace":"default","server":"time","node":"edge-09"},{"namespace":"default","server":"clock","node":"edge-01"},
          {"namespace":"default","server":"weather","node":"edge-01","history":true}]})");
  EXPECT_EQ(message.kind, Kind::kMeasure);
  EXPECT_EQ(message.measure,
            (std::vector<MeasuredServer>{{"default", "weather", true}, {"", "", true}, {"default", "clock", false}}));
  EXPECT_TRUE(Parsed(R"({"type":"measure","servers":[]})").measure.empty());
  EXPECT_EQ(Parsed(R"({"type":"hello","measure":[{"namespace":"a","server":"b","history":true}]})").measure,
            (std::vector<MeasuredServer>{{"a", "b", true}}));
  EXPECT_EQ(Why(R"({"type":"measure"})"), "measure: servers are no list");
  for (const char* none :
       {R"({})", R"({"namespace":"default"})", R"({"server":"a"})", R"({"server":"a","node":"edge-01"})",
        R"({"namespace":"default","server":"../x"})", R"(7)"}) {
    EXPECT_EQ(Why(R"({"type":"measure","servers":[)" + std::string(none) + "]}"), "measure: names no server") << none;
  }
  Json many = {{"type", "measure"}, {"servers", Json::array()}};
  for (size_t i = 0; i <= kMeasuredServers; ++i)
    many["servers"].push_back({{"namespace", "default"}, {"server", "s" + std::to_string(i)}});
  EXPECT_EQ(Why(DumpJson(many)), "measure: more servers than 1024");
}

TEST(WatchMessageTest, UsageGoesOutInMessagesThatTheWorkerTakes) {
  std::vector<std::string> servers(1500, R"({"n":1})");
  servers.insert(servers.begin() + 3, std::string(kWatchUsageBytes, ' '));  // fits none: it is left out
  servers.emplace_back("\"" + std::string(kWatchUsageBytes - 100, 'x') + "\"");
  std::vector<size_t> counts;
  while (!servers.empty()) {
    const std::string message = EncodeUsageMessage(&servers);
    EXPECT_LE(message.size(), kWatchUsageBytes);
    StatusOr<Json> json = ParseJson(message);
    ASSERT_TRUE(json.ok()) << json.status();
    EXPECT_EQ(GetString(*json, "type"), "usage");
    counts.push_back(GetMember(*json, "servers").size());
  }
  EXPECT_EQ(counts, (std::vector<size_t>{1024, 476, 1}));
}

TEST(WatchMessageTest, AStatusThatFitsNoMessageIsNotSent) {
  EXPECT_EQ(EncodeStatusMessage(R"({"a":1})", ""), R"({"type":"status","status":{"a":1}})");
  EXPECT_EQ(EncodeStatusMessage(R"({"a":1})", R"({"b":2})"),
            R"({"type":"status","status":{"a":1},"metadata":{"b":2}})");
  EXPECT_EQ(EncodeStatusMessage(std::string(kWatchMessageBytes, ' '), ""), "");
}

TEST(WatchMessageTest, LinesGoOutInMessagesThatTheWorkerTakes) {
  std::vector<LiveLine> lines(2500, {"2026-01-01T00:00:00Z", "x", "stdout"});
  std::vector<size_t> counts;
  while (!lines.empty()) {
    const std::string message = EncodeLogMessage("default", "weather", &lines);
    StatusOr<Json> json = ParseJson(message);
    ASSERT_TRUE(json.ok()) << json.status();
    EXPECT_EQ(GetString(*json, "type"), "log");
    counts.push_back(GetMember(*json, "lines").size());
  }
  EXPECT_EQ(counts, (std::vector<size_t>{1000, 1000, 500}));
  // Large ones, and such as are larger when they are escaped.
  lines.assign(20, {"t", std::string(60'000, '\x01'), ""});
  size_t all = 0;
  while (!lines.empty()) {
    const std::string message = EncodeLogMessage("default", "weather", &lines);
    EXPECT_LE(message.size(), kWatchMessageBytes);
    all += GetMember(*ParseJson(message), "lines").size();
  }
  EXPECT_EQ(all, 20u);
  // One that is too long is cut between two characters.
  std::string umlauts;
  for (int i = 0; i < 50'000; ++i) umlauts += "ä";
  lines = {{"t", "x" + umlauts, ""}};
  const Json line = (*ParseJson(EncodeLogMessage("default", "weather", &lines)))["lines"][0];
  EXPECT_EQ(line["text"].get<std::string>().size(), 65'535u);
  EXPECT_EQ(line.count("stream"), 0u);
}

}  // namespace
}  // namespace mcpfleet
