// Logs that the store keeps: pages, what is shown once, and mcpctl logs against a Worker that does as told.
#include "cli/stored_logs.h"

#include <atomic>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "base/strings.h"
#include "tests/cli/mcpctl.h"
#include "tests/cli/scripted_endpoint.h"

namespace mcpfleet::cli {
namespace {

Json Row(const std::string& time, const std::string& node, const std::string& text) {
  return {{"time", time},        {"node", node},       {"namespace", "default"},
          {"server", "weather"}, {"stream", "stderr"}, {"text", text}};
}

Json Page(const std::vector<Json>& rows, const std::string& cursor = "", int missing = 0, int bad = 0) {
  return {{"result", rows},
          {"success", true},
          {"errors", Json::array()},
          {"messages", Json::array()},
          {"result_info", {{"count", rows.size()}, {"cursor", cursor}, {"missing", missing}, {"bad", bad}}}};
}

TEST(StoredLogsTest, ATargetSaysAllOfTheQuery) {
  const StoredQuery query{.namespace_ = "default",
                          .server = "weather",
                          .node = "edge-01",
                          .since = WallTime(std::chrono::milliseconds(1'790'000'000'250))};
  EXPECT_EQ(
      StoredTarget(query, "a b"),
      "/v1/logs?limit=1000&since=2026-09-21T14%3A13%3A20.250Z&namespace=default&server=weather&node=edge-01&cursor="
      "a%20b");
}

TEST(StoredLogsTest, WhatIsNoPageIsNoNewsAndARowThatIsNoLineIsCounted) {
  for (const Json& result : {Json(), Json::object(), Json("x"), Json(3)})
    EXPECT_EQ(ParseStoredPage({result, Json::object()}).status().code(), StatusCode::kUnavailable);
  EXPECT_EQ(ParseStoredPage({Json::array(), Json()}).status().code(), StatusCode::kUnavailable);
  const Json answer =
      Page({Row("2026-11-28T07:00:00Z", "edge-01", "a\nforged"), Json(7), Json{{"time", 3}}}, "next", 2, 1);
  StatusOr<StoredPage> page = ParseStoredPage({answer["result"], answer["result_info"]});
  ASSERT_TRUE(page.ok());
  ASSERT_EQ(page->lines.size(), 1U);
  EXPECT_EQ(page->lines[0].text, "a forged");
  EXPECT_EQ(page->cursor, "next");
  EXPECT_EQ(page->missing, 2);
  EXPECT_EQ(page->bad, 3);
}

TEST(ShownLinesTest, EachLineIsShownOnceAndEqualOnesAsOftenAsTheyAre) {
  const WallTime since = *ParseTime("2026-11-28T07:00:00Z");
  ShownLines shown(since);
  EXPECT_EQ(shown.BeginLook(), since);
  const StoredLine a{"2026-11-28T07:30:00.5Z", "edge-01", "a"}, b{"2026-11-28T07:30:01Z", "edge-01", "b"},
      other{"2026-11-28T07:30:00.5Z", "edge-02", "a"};
  EXPECT_TRUE(shown.Take(a));
  EXPECT_TRUE(shown.Take(a)) << "there are two of them";
  EXPECT_TRUE(shown.Take(b));
  EXPECT_EQ(shown.BeginLook(), *ParseTime("2026-11-28T07:15:01Z")) << "back some way, for chunks that came later";
  EXPECT_FALSE(shown.Take(a));
  EXPECT_FALSE(shown.Take(a));
  EXPECT_TRUE(shown.Take(other)) << "a chunk of another node that came later";
  EXPECT_TRUE(shown.Take(a)) << "a third one came";
  EXPECT_FALSE(shown.Take(b));
  EXPECT_TRUE(shown.Take({"2026-11-28T09:00:00Z", "edge-01", "late"}));
  EXPECT_EQ(shown.BeginLook(), *ParseTime("2026-11-28T08:45:00Z"));
  EXPECT_TRUE(shown.Take(a)) << "what is older than the window is forgotten; it is not read again either";
}

class StoredLogsVerbTest : public McpctlTest {
 protected:
  void Serve(ScriptedEndpoint& endpoint) {
    Out({"config", "set-context", "test", "--server", endpoint.admin_url(), "--token-stdin"}, "token");
  }
  // Answers GET /v1/logs with these pages, one after the other, the last one for ever.
  ScriptedEndpoint::Handler Pages(std::vector<Json> pages) {
    return [this, pages = std::move(pages)](const ScriptedEndpoint::Seen& seen,
                                            const std::shared_ptr<http::Responder>& to) {
      if (seen.http.Path() != "/v1/logs") {
        ScriptedEndpoint::Send(
            to, 404,
            R"({"result":null,"success":false,"errors":[{"code":7003,"message":"no such route"}],"messages":[]})");
        return true;
      }
      const size_t at = std::min(pages.size() - 1, static_cast<size_t>(next_++));
      ScriptedEndpoint::Send(to, 200, pages[at].dump());
      return true;
    };
  }
  std::atomic<int> next_{0};
};

TEST_F(StoredLogsVerbTest, WithoutANodeTheStoreIsReadAndThatIsSaid) {
  ScriptedEndpoint endpoint(Pages({Page({Row("2026-11-28T07:00:00Z", "edge-01", "one")}, "c1"), Page({}, "c2"),
                                   Page({Row("2026-11-28T07:00:01.5Z", "edge-02", "two")}, "", 3, 1)}));
  Serve(endpoint);
  Ran ran = Run({"logs", "weather"});
  EXPECT_EQ(ran.code, 0) << ran.err;
  EXPECT_EQ(ran.out, "[edge-01] one\n[edge-02] two\n");
  EXPECT_NE(ran.err.find("Read from the store"), std::string::npos) << ran.err;
  EXPECT_NE(ran.err.find("Missing: 3 chunks"), std::string::npos) << ran.err;
  EXPECT_NE(ran.err.find("Missing: 1 rows"), std::string::npos) << ran.err;
  const std::vector<ScriptedEndpoint::Seen> seen = endpoint.All("GET");
  ASSERT_GE(seen.size(), 3U);
  EXPECT_EQ(seen[0].Header("Authorization"), "Bearer token");
  EXPECT_NE(seen[1].http.target.find("cursor=c1"), std::string::npos);
}

TEST_F(StoredLogsVerbTest, ANodeATailAndTimesAreAsAskedFor) {
  ScriptedEndpoint endpoint(
      Pages({Page({Row("2026-11-28T07:00:00Z", "edge-01", "one"), Row("2026-11-28T07:00:01Z", "edge-01", "two"),
                   Row("2026-11-28T07:00:02Z", "edge-01", "three")})}));
  Serve(endpoint);
  EXPECT_EQ(Out({"logs", "weather", "--node", "edge-01", "--tail", "2", "--timestamps", "--since", "24h"}),
            "2026-11-28T07:00:01Z two\n2026-11-28T07:00:02Z three\n");
  EXPECT_NE(endpoint.Await("GET").http.target.find("node=edge-01"), std::string::npos);
  EXPECT_EQ(Out({"logs", "weather", "--all-nodes", "--tail", "0"}), "");
  EXPECT_EQ(Run({"logs", "weather", "--all-nodes", "--node", "edge-01"}).code, 1);
  Ran previous = Run({"logs", "weather", "--all-nodes", "--previous"});
  EXPECT_EQ(previous.code, 1);
  EXPECT_NE(previous.err.find("--previous"), std::string::npos) << previous.err;
}

TEST_F(StoredLogsVerbTest, AStoreThatTurnsInCirclesIsLeft) {
  ScriptedEndpoint endpoint(Pages({Page({}, "same")}));
  Serve(endpoint);
  Ran ran = Run({"logs", "weather", "--all-nodes"});
  EXPECT_EQ(ran.code, 1);
  EXPECT_NE(ran.err.find("again and again"), std::string::npos) << ran.err;
}

TEST_F(StoredLogsVerbTest, AStoreWithoutLogsLeavesTheNodesOwnAnswer) {
  Ran ran = Run({"logs", "weather"});  // an embedded store, and no admin address
  EXPECT_EQ(ran.code, 1);
  EXPECT_NE(ran.err.find("--admin"), std::string::npos) << ran.err;
  EXPECT_EQ(ran.err.find("Read from the store"), std::string::npos) << ran.err;
  Ran all = Run({"logs", "weather", "--all-nodes"});
  EXPECT_EQ(all.code, 1);
  EXPECT_NE(all.err.find("no Worker"), std::string::npos) << all.err;
}

}  // namespace
}  // namespace mcpfleet::cli
