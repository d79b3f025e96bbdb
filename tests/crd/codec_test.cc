#include "crd/codec.h"

#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include <nlohmann/json.hpp>

#include "crd/canonical.h"
#include "crd/labels.h"
#include "crd/manifest.h"
#include "crd/quantity.h"
#include "crd/schema.h"

namespace mcpfleet {
namespace {

using std::chrono::seconds;

TEST(CanonicalTest, EveryVectorAgrees) {
  std::ifstream file(std::string(MCPFLEET_SOURCE_DIR) + "/tests/crd/testdata/canonical.json");
  Json vectors = Json::parse(file);
  ASSERT_GE(vectors["valid"].size(), 14u);
  for (const Json& vector : vectors["valid"]) {
    StatusOr<Json> input = ParseJson(vector["input"].get<std::string>());
    ASSERT_TRUE(input.ok()) << vector["name"];
    StatusOr<std::string> canonical = Canonicalize(*input);
    ASSERT_TRUE(canonical.ok()) << vector["name"];
    EXPECT_EQ(*canonical, vector["canonical"].get<std::string>()) << vector["name"];
    EXPECT_EQ(HashOf(*canonical), vector["sha256"].get<std::string>()) << vector["name"];
    EXPECT_EQ(*Canonicalize(*ParseJson(*canonical)), *canonical) << vector["name"];
  }
  ASSERT_GE(vectors["refused"].size(), 10u);
  for (const Json& vector : vectors["refused"]) {
    StatusOr<Json> input = ParseJson(vector["input"].get<std::string>());
    EXPECT_FALSE(input.ok() && Canonicalize(*input).ok()) << vector["name"];
  }
}

TEST(CanonicalTest, WhatIsRefusedIsNamed) {
  EXPECT_EQ(Message(Canonicalize(Json{{"a", {1, 1.5}}}).status()), "a[1]: is not a whole number");
  EXPECT_FALSE(Canonicalize(Json("\xff")).ok());
  Json deep = 1;
  for (int i = 0; i < 200; ++i) deep = Json::array({deep});
  EXPECT_FALSE(Canonicalize(deep).ok());
}

TEST(QuantityTest, AreThoseOfKubernetes) {
  EXPECT_EQ(*ParseCpuMilli("500m"), 500);
  EXPECT_EQ(*ParseCpuMilli("1"), 1000);
  EXPECT_EQ(*ParseCpuMilli("1.5"), 1500);
  EXPECT_EQ(*ParseCpuMilli("0.001"), 1);
  EXPECT_EQ(*ParseBytes("256Mi"), int64_t{256} << 20);
  EXPECT_EQ(*ParseBytes("1.5Gi"), int64_t{3} << 29);
  EXPECT_EQ(*ParseBytes("1k"), 1000);
  EXPECT_EQ(*ParseBytes("2M"), 2'000'000);
  EXPECT_EQ(*ParseBytes("7Ei"), int64_t{7} << 60);
  EXPECT_EQ(*ParseCount("42"), 42);
  for (const char* wrong :
       {"", "m", "-1", "1.0005", "1e3", "0.5m", " 1", "1 ", "1,5", ".5", "5.", "1.2.3", "9223372036854775808"}) {
    EXPECT_FALSE(ParseCpuMilli(wrong).ok()) << wrong;
  }
  for (const char* wrong :
       {"", "Mi", "-1Mi", "1mi", "1K", "1MB", "1m", "0.5", "8Ei", "99999999999999999999", "1.5.5Mi", "+1"}) {
    EXPECT_FALSE(ParseBytes(wrong).ok()) << wrong;
  }
  EXPECT_FALSE(ParseCount("1k").ok());
}

TEST(QuantityTest, AreWrittenShortAndExact) {
  EXPECT_EQ(FormatBytes(int64_t{256} << 20), "256Mi");
  EXPECT_EQ(FormatBytes(1000), "1000");
  EXPECT_EQ(FormatBytes(0), "0");
  EXPECT_EQ(FormatBytes(1536), "1536");
  EXPECT_EQ(FormatBytes(int64_t{1} << 30), "1Gi");
  EXPECT_EQ(FormatCpuMilli(500), "500m");
  EXPECT_EQ(FormatCpuMilli(2000), "2");
}

TEST(LabelSelectorTest, MatchesAsKubectlDoes) {
  Labels labels = {{"app", "a"}, {"tier", "gold"}, {"example.com/x", "1"}};
  auto matches = [&](const char* text) {
    StatusOr<LabelSelector> selector = LabelSelector::Parse(text);
    EXPECT_TRUE(selector.ok()) << text << selector.status();
    return selector.ok() && selector->Matches(labels);
  };
  for (const char* text : {"", "app=a", "app==a", "app = a", "app!=b", "none!=b", "app in (a,b)", "app in (a)",
                           "tier notin (silver, bronze)", "none notin (x)", "app", "!none", "! none",
                           "app=a,tier=gold,!none", " app=a , tier ", "example.com/x=1", "app in( a )"}) {
    EXPECT_TRUE(matches(text)) << text;
  }
  for (const char* text : {"app=b", "app!=a", "none=a", "none", "!app", "app in (b,c)", "tier notin (gold)",
                           "app=a,tier=silver", "app="}) {
    EXPECT_FALSE(matches(text)) << text;
  }
  for (const char* text : {",", "app=a,", "=a", "app in", "app in a", "app in (a", "app like (a)", "a b", "!",
                           "app=a=b", "app>1", "-a", "a=b c", "!a=b", "in (a)"}) {
    EXPECT_FALSE(LabelSelector::Parse(text).ok()) << text;
  }
}

TEST(LabelSelectorTest, HasAllWantsEveryPair) {
  EXPECT_TRUE(HasAll({{"a", "1"}, {"b", "2"}}, {{"a", "1"}}));
  EXPECT_TRUE(HasAll({}, {}));
  EXPECT_FALSE(HasAll({{"a", "1"}}, {{"a", "2"}}));
  EXPECT_FALSE(HasAll({{"a", "1"}}, {{"b", "1"}}));
}

TEST(ConditionTest, TheTransitionTimeMovesOnlyWithTheStatus) {
  std::vector<Condition> conditions;
  WallTime t0{seconds(1000)}, t1{seconds(2000)}, t2{seconds(3000)};
  Condition ready{"Ready", ConditionStatus::kFalse, 1, {}, "Starting", ""};
  EXPECT_TRUE(SetCondition(&conditions, ready, t0));
  EXPECT_FALSE(SetCondition(&conditions, ready, t1));
  ready.message = "still";
  EXPECT_TRUE(SetCondition(&conditions, ready, t1));
  EXPECT_EQ(FindCondition(conditions, "Ready")->last_transition_time, t0);
  ready.status = ConditionStatus::kTrue;
  EXPECT_TRUE(SetCondition(&conditions, ready, t2));
  EXPECT_EQ(FindCondition(conditions, "Ready")->last_transition_time, t2);
  EXPECT_EQ(conditions.size(), 1u);
  EXPECT_EQ(FindCondition(conditions, "Other"), nullptr);
}

NodeStatus FullNodeStatus() {
  ServerStatus server;
  server.key = {"default", "weather"};
  server.uid = "u1";
  server.observed_generation = 4;
  server.conditions = {
      {"Ready", ConditionStatus::kFalse, 4, WallTime{seconds(1700000000)}, "CrashLoopBackOff", "exit code 1"}};
  server.revision = "abc";
  server.image_digest = "sha256:1";
  server.endpoint = "http://127.0.0.1:8700/default/weather/mcp";
  server.server_info = {"w", "1", "2025-11-25", {"resources", "tools"}};
  server.catalog = {2, 1, 0, "sha256:2", {"a", "b"}};
  server.instances = {{"i1", "Docker", "Running", "abc", WallTime{seconds(1700000001)}}};
  server.restarts = {3, 0, 9, "OOMKilled", WallTime{seconds(1700000002)}, WallTime{seconds(1700000003)}, "boom\n"};
  NodeStatus node;
  node.node = "edge-01";
  node.boot_id = "b";
  node.sequence = 7;
  node.version = "0.1.0";
  node.heartbeat = WallTime{seconds(1700000004)};
  node.accepted_head = "1.2.3";
  node.snapshot = "s";
  node.runtimes = {"Docker", "Process"};
  node.capacity = {4, int64_t{8} << 30, int64_t{64} << 30};
  node.conditions = {{"Ready", ConditionStatus::kUnknown, 0, WallTime{seconds(1700000005)}, "Starting", ""}};
  node.servers = {server};
  return node;
}

void CheckNames(const SchemaNode& node, const Json& json, const std::string& path) {
  if (json.is_array()) {
    for (const Json& item : json) CheckNames(*node.items, item, path + "[]");
  } else if (json.is_object()) {
    for (auto it = json.begin(); it != json.end(); ++it) {
      auto child = node.properties.find(it.key());
      ASSERT_NE(child, node.properties.end()) << path << "." << it.key();
      CheckNames(*child->second, *it, path + "." + it.key());
    }
    EXPECT_EQ(json.size(), node.properties.size()) << path << ": the schema has more";
  }
}

TEST(CodecTest, AStatusHasTheNamesOfTheSchemaAndAllOfThem) {
  Json json = NodeStatusToJson(FullNodeStatus());
  json["conditions"][0]["observedGeneration"] = 1;  // left out when 0
  Json server = json["servers"][0];
  for (const char* ours : {"namespace", "name", "uid"}) server.erase(ours);
  server["node"] = json["node"];
  for (const char* ours : {"servers", "node"}) json.erase(ours);
  CheckNames(*Schema::Builtin().Find("mcpn")->root->properties.at("status"), json, "MCPNode.status");
  CheckNames(*Schema::Builtin().Find("mcp")->root->properties.at("status")->properties.at("nodes")->items, server,
             "nodes[]");
}

TEST(CodecTest, AStatusSurvivesTheRoundTrip) {
  Json json = NodeStatusToJson(FullNodeStatus());
  StatusOr<NodeStatus> back = NodeStatusFromJson(json);
  ASSERT_TRUE(back.ok()) << back.status();
  EXPECT_EQ(NodeStatusToJson(*back), json);
  EXPECT_EQ(back->servers[0].restarts.last_exit_code, 0);
  EXPECT_EQ(DumpJson(json["servers"][0]["restarts"]),
            R"({"count":3,"lastAt":"2023-11-14T22:13:22Z","lastExitCode":0,"lastReason":"OOMKilled","lastSignal":9,)"
            R"("nextAttemptAt":"2023-11-14T22:13:23Z","stderrTail":"boom\n"})");
  EXPECT_EQ(DumpJson(json["servers"][0]["catalog"]),
            R"({"prompts":0,"resources":1,"toolNames":["a","b"],"tools":2,"toolsHash":"sha256:2"})");
  EXPECT_EQ(
      DumpJson(json["conditions"][0]),
      R"({"lastTransitionTime":"2023-11-14T22:13:25Z","message":"","reason":"Starting","status":"Unknown","type":"Ready"})");
}

TEST(CodecTest, AnEmptyStatusSurvivesToo) {
  NodeStatus node;
  node.node = "n";
  node.servers.push_back({});
  node.servers[0].key = {"default", "a"};
  StatusOr<NodeStatus> back = NodeStatusFromJson(NodeStatusToJson(node));
  ASSERT_TRUE(back.ok());
  EXPECT_EQ(NodeStatusToJson(*back), NodeStatusToJson(node));
  EXPECT_FALSE(back->servers[0].restarts.last_exit_code.has_value());
}

TEST(CodecTest, WrongTypesAreRefusedAndUnknownMembersIgnored) {
  Json json = NodeStatusToJson(FullNodeStatus());
  json["fromTheFuture"] = 1;
  json["servers"][0]["sessions"] = 3;
  EXPECT_TRUE(NodeStatusFromJson(json).ok());
  for (const char* pointer :
       {"/node", "/sequence", "/heartbeat", "/runtimes/0", "/conditions/0/status", "/servers/0/name",
        "/servers/0/restarts/count", "/servers/0/instances", "/servers/0/restarts/lastExitCode"}) {
    Json wrong = json;
    wrong[Json::json_pointer(pointer)] = Json::object({{"a", 1}});
    EXPECT_FALSE(NodeStatusFromJson(wrong).ok()) << pointer;
  }
  EXPECT_FALSE(NodeStatusFromJson(Json::array()).ok());
}

TEST(CodecTest, EventsAndObjectsSurviveTheRoundTrip) {
  Event event{WallTime{seconds(5)}, "Warning", "MCPServer/default/weather", "BackOff",
              "again in 5s",        3,         WallTime{seconds(1)}};
  EXPECT_EQ(EventToJson(*EventFromJson(EventToJson(event))), EventToJson(event));
  Object object;
  object.kind = kKindServer;
  object.metadata = {"weather", "tools", "u", 3, {{"a", "b"}}, {{"c", "d"}}, "2026-11-22T00:00:00Z"};
  object.spec = {{"port", 1}};
  Json json = ObjectToJson(object);
  EXPECT_EQ(ObjectToJson(*ObjectFromJson(json)), json);
  EXPECT_EQ(DumpJson(json["metadata"]),
            R"({"annotations":{"c":"d"},"creationTimestamp":"2026-11-22T00:00:00Z","generation":3,)"
            R"("labels":{"a":"b"},"name":"weather","namespace":"tools","uid":"u"})");
  EXPECT_FALSE(ObjectFromJson(Json{{"kind", "MCPServer"}}).ok());
}

TEST(CodecTest, AnObjectFromTheStoreIsJudgedBeforeItIsDecoded) {
  Object object;
  object.kind = kKindServer;
  object.metadata.name = "a";
  object.spec = {{"source", {{"image", {{"ref", "x"}}}}}, {"exposed", Json::object()}, {"port", "x"}};
  EXPECT_NE(Message(ServerSpecOf(object).status()).find("spec.exposed: unknown field"), std::string::npos);
  EXPECT_NE(Message(ServerSpecOf(object).status()).find("spec.port: wants a whole number"), std::string::npos);
  object.spec = {{"source", {{"remote", {{"url", "https://x.example.com/"}}}}}};
  EXPECT_EQ(ServerSpecOf(object)->transport, Transport::kStreamableHttp);
}

TEST(YamlWriterTest, WritesWhatPeopleWouldWrite) {
  Json json =
      Json::parse(R"({"spec": {"source": {"image": {"ref": "ghcr.io/x/y:1"}}, "args": ["--a", "b c", "8080", "no", ""],
    "env": [{"value": "1", "name": "A"}], "volumes": [], "suspend": false, "port": 80}, "metadata": {"name": "w", "labels": {}},
    "kind": "MCPServer", "apiVersion": "mcpfleet.dev/v1alpha1", "status": {"restarts": {"stderrTail": "one\n\ntwo\n"}}})");
  EXPECT_EQ(
      ObjectToYaml(json),
      "apiVersion: mcpfleet.dev/v1alpha1\nkind: MCPServer\nmetadata:\n  name: w\n  labels: {}\nspec:\n  args:\n"
      "  - \"--a\"\n  - b c\n  - \"8080\"\n  - \"no\"\n  - \"\"\n  env:\n  - name: A\n    value: \"1\"\n  port: 80\n"
      "  source:\n    image:\n      ref: ghcr.io/x/y:1\n  suspend: false\n  volumes: []\n"
      "status:\n  restarts:\n    stderrTail: |\n      one\n\n      two\n");
}

TEST(YamlWriterTest, WhatItWritesIsReadBackTheSame) {
  const std::vector<std::string> texts = {
      "",    " ",          "a",      " a",       "a ",     "a: b",    "a:",         ": a",    "#a",      "a #b", "a#b",
      "- a", "-",          "--",     "?",        "null",   "~",       "true",       "No",     "on",      "1",    "1.5",
      "1e3", "0x1f",       "0o7",    "017",      "1_000",  "1:30",    "2026-11-22", "*a",     "&a",      "!a",   "|",
      ">",   "'",          "\"",     "%",        "@a",     "`a`",     "{a",         "[a",     "a]",      "a,b",  "<<",
      "=",   "a\nb",       "a\nb\n", "a\nb\n\n", "\na",    "a\n\n b", "a\tb",       "\ta",    "a\n\tb",  "\x01", "\x7f",
      "ä€",  "\U0001F600", "\u2028", "\ufeff",   "\u0085", "a\\b",    "a\"b\\",     "---",    "...",     ".inf", "+1",
      "0b1", "y",          "a\n#b",  "a \nb",    "\n",     "\n\n",    "--- a",      "a\r\nb", "\xc2\xa0"};
  Json all = Json::object();
  for (const std::string& text : texts) {
    all["list"].push_back(text);
    all["map"][text.empty() || text == "<<" ? "k" + text : text] = text;
    all["nested"].push_back({{"x", text}, {"y", Json::array({Json::array({text}), Json::object()})}});
  }
  all["map"].erase("=");
  all["numbers"] = {0, -5, 9007199254740991, true, false, nullptr, 1.5};
  std::vector<Violation> violations;
  StatusOr<Json> back = ParseYaml(ObjectToYaml(all), "f.yaml", nullptr, &violations);
  ASSERT_TRUE(back.ok()) << back.status() << "\n" << ObjectToYaml(all);
  EXPECT_EQ(*back, all);
  for (const std::string& text : texts)
    EXPECT_EQ(*ParseYaml("v: " + ObjectToYaml(Json(text)), "f.yaml", nullptr, nullptr), Json({{"v", text}})) << text;
}

}  // namespace
}  // namespace mcpfleet
