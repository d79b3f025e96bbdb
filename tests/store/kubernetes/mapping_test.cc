// From the API server's objects to ours, and back into statuses, leases and events. Pure.
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "base/fd.h"
#include "base/strings.h"
#include "crd/codec.h"
#include "store/kubernetes/budget.h"
#include "store/kubernetes/cluster.h"
#include "store/kubernetes/cluster_state.h"
#include "store/kubernetes/event_writer.h"
#include "store/kubernetes/lease.h"
#include "store/kubernetes/node_life.h"
#include "store/kubernetes/plain_secret.h"
#include "store/kubernetes/resource.h"
#include "store/kubernetes/status_entry.h"
#include "tests/fakes/kube/kube_kinds.h"
#include "tests/fakes/kube/kube_schema.h"

namespace mcpfleet::kube {
namespace {

using std::chrono::minutes, std::chrono::seconds;
const WallTime kWall{seconds(1'790'000'000)};

Json Weather(Json placement = nullptr) {
  Json json = {{"apiVersion", kApiVersion},
               {"kind", "MCPServer"},
               {"metadata",
                {{"name", "weather"},
                 {"namespace", "tools"},
                 {"uid", "u1"},
                 {"generation", 3},
                 {"resourceVersion", "41"},
                 {"labels", {{"tier", "gold"}}},
                 {"annotations", {{"kubectl.kubernetes.io/last-applied-configuration", "{}"}, {"a", "b"}}},
                 {"finalizers", {kFinalizer, "example.com/other"}},
                 {"creationTimestamp", "2026-11-22T00:00:00Z"}}},
               {"spec", {{"source", {{"image", {{"ref", "example/weather:1"}}}}}}},
               {"status", {{"nodes", {{{"node", "edge-01"}, {"observedGeneration", 2}}}}}}};
  if (!placement.is_null()) json["spec"]["placement"] = std::move(placement);
  return json;
}

Resource Of(const Json& json) { return *ResourceOf(json, nullptr); }

Json Entry(const std::string& node, int64_t generation, const std::string& ready, const std::string& reason) {
  return {{"node", node},
          {"observedGeneration", generation},
          {"conditions",
           {{{"type", "Ready"},
             {"status", ready},
             {"reason", reason},
             {"message", ""},
             {"lastTransitionTime", "2026-11-22T00:00:00Z"}}}}};
}

Resource WithNodes(const std::vector<Json>& entries) {
  Json json = Weather();
  json["status"] = {{"nodes", entries}};
  return Of(json);
}

Json ReadyOf(const Json& merged) {
  for (const Json& condition : GetMember(merged, "conditions")) {
    if (GetString(condition, "type") == "Ready") return condition;
  }
  return nullptr;
}

TEST(ResourceTest, MetadataAndSpecArriveAndKubectlsCopyDoesNot) {
  const Resource resource = Of(Weather());
  const ObjectMeta& metadata = resource.object->metadata;
  EXPECT_EQ(metadata.name, "weather");
  EXPECT_EQ(metadata.namespace_, "tools");
  EXPECT_EQ(metadata.uid, "u1");
  EXPECT_EQ(metadata.generation, 3);
  EXPECT_EQ(metadata.labels, (Labels{{"tier", "gold"}}));
  EXPECT_EQ(metadata.annotations, (Labels{{"a", "b"}}));
  EXPECT_EQ(resource.version, "41");
  EXPECT_FALSE(resource.deleting);
  EXPECT_TRUE(HasFinalizer(resource));
  EXPECT_EQ(GetInt(EntryOf(resource.status, "edge-01"), "observedGeneration"), 2);
  EXPECT_TRUE(EntryOf(resource.status, "edge-02").is_null());
}

TEST(ResourceTest, AStatusThatChangedLeavesTheObjectAsItWas) {
  const Resource before = Of(Weather());
  Json later = Weather();
  later["metadata"]["resourceVersion"] = "42";
  later["status"] = {{"nodes", Json::array()}};
  later["metadata"]["finalizers"] = Json::array();
  const StatusOr<Resource> after = ResourceOf(later, &before);
  EXPECT_EQ(after->object, before.object);
  EXPECT_EQ(after->version, "42");
  later["metadata"]["labels"]["tier"] = "silver";
  EXPECT_NE(ResourceOf(later, &before)->object, before.object);
}

TEST(ResourceTest, WhatHasNoUidIsRefused) {
  Json json = Weather();
  json["metadata"].erase("uid");
  EXPECT_FALSE(ResourceOf(json, nullptr).ok());
}

TEST(ResourceTest, DeletionShows) {
  Json json = Weather();
  json["metadata"]["deletionTimestamp"] = "2026-11-22T00:00:01Z";
  EXPECT_TRUE(Of(json).deleting);
}

TEST(PlacementTest, LabelsOfTheMcpNodeWinOverThoseOfTheNode) {
  const Json core = {{"metadata", {{"labels", {{"site", "berlin"}, {"arch", "arm64"}}}}}};
  const Json own = {{"metadata", {{"labels", {{"site", "bonn"}}}}}};
  const PlacementNode node = PlacementOf("edge-01", core, own);
  EXPECT_EQ(node.labels, (Labels{{"site", "bonn"}, {"arch", "arm64"}}));
  EXPECT_FALSE(node.unschedulable);
  EXPECT_TRUE(PlacementOf("n", {{"spec", {{"unschedulable", true}}}}, nullptr).unschedulable);
  EXPECT_TRUE(PlacementOf("n", nullptr, {{"spec", {{"drain", true}}}}).drained);
}

class PlaceTest : public ::testing::Test {
 protected:
  std::set<std::string> Placed(const PlacementNode& node, const ClusterState& previous = {}) {
    std::set<std::string> out;
    for (const auto& [key, object] : PlaceObjects(servers_, &secrets_, node, previous))
      out.insert(key.kind + "/" + key.name);
    return out;
  }
  void Add(const std::string& name, Json placement, bool deleting = false, const std::string& secret = "") {
    Json json = Weather(std::move(placement));
    json["metadata"]["name"] = name;
    if (deleting) json["metadata"]["deletionTimestamp"] = "2026-11-22T00:00:01Z";
    if (!secret.empty())
      json["spec"]["env"] = {{{"name", "T"}, {"valueFrom", {{"secretKeyRef", {{"name", secret}, {"key", "k"}}}}}}};
    servers_[{"tools", name}] = std::make_shared<Resource>(Of(json));
  }
  Resources servers_, secrets_;
};

TEST_F(PlaceTest, NodesAndLabelsDecide) {
  Add("all", nullptr);
  Add("named", {{"nodes", {"edge-01"}}});
  Add("selected", {{"nodeSelector", {{"site", "berlin"}}}});
  Add("going", nullptr, true);
  EXPECT_EQ(Placed({.name = "edge-01"}), (std::set<std::string>{"MCPServer/all", "MCPServer/named"}));
  EXPECT_EQ(Placed({.name = "edge-02", .labels = {{"site", "berlin"}}}),
            (std::set<std::string>{"MCPServer/all", "MCPServer/selected"}));
}

TEST_F(PlaceTest, ACordonedNodeKeepsWhatItHasAndADrainedOneNothing) {
  Add("old", nullptr);
  ClusterState previous;
  previous.objects = PlaceObjects(servers_, &secrets_, {.name = "edge-01"}, {});
  Add("new", nullptr);
  EXPECT_EQ(Placed({.name = "edge-01", .unschedulable = true}, previous), (std::set<std::string>{"MCPServer/old"}));
  EXPECT_EQ(Placed({.name = "edge-01", .unschedulable = true, .drained = true}, previous), (std::set<std::string>{}));
}

TEST_F(PlaceTest, AnMcpSecretGoesBeforeASecretOfItsName) {
  Add("a", nullptr, false, "sealed");
  Add("b", nullptr, false, "plain");
  Json sealed = Weather();
  sealed["kind"] = "MCPSecret";
  sealed["metadata"]["name"] = "sealed";
  secrets_[{"tools", "sealed"}] = std::make_shared<Resource>(Of(sealed));
  const auto objects = PlaceObjects(servers_, &secrets_, {.name = "n"}, {});
  EXPECT_TRUE(objects.contains({kKindSecret, "tools", "sealed"}));
  EXPECT_EQ(CoreSecretsOf(objects), (std::set<SecretName>{{"tools", "plain"}}));
  // When MCPSecrets can't be read, those that the node has stay.
  ClusterState before;
  before.objects = objects;
  EXPECT_EQ(PlaceObjects(servers_, nullptr, {.name = "n"}, before), objects);
}

TEST_F(PlaceTest, TheCacheHasTheObjectsAndNoValueOfASecret) {
  Add("a", nullptr, false, "plain");
  char directory[] = "/tmp/mcpfleet-kube-XXXXXX";
  const std::string path = std::string(mkdtemp(directory)) + "/objects.json";
  const auto objects = PlaceObjects(servers_, &secrets_, {.name = "n"}, {});
  const Registry::NodeObjects nodes{.core_node = {{"metadata", {{"labels", {{"site", "berlin"}}}}}},
                                    .mcp_node = nullptr};
  ASSERT_TRUE(SaveCluster(path, {objects, nodes}).ok());
  const auto loaded = LoadCluster(path);
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  ASSERT_EQ(loaded->objects.size(), 1U);
  EXPECT_EQ(ObjectToJson(*loaded->objects.begin()->second), ObjectToJson(*objects.begin()->second));
  EXPECT_EQ(loaded->nodes, nodes);
  // One that was written without the nodes is none the worse.
  ASSERT_TRUE(WriteFileAtomically(path, "{\"objects\": []}").ok());
  EXPECT_TRUE(LoadCluster(path)->nodes.core_node.is_null());
  ASSERT_TRUE(WriteFileAtomically(path, "{\"objects\": [").ok());
  EXPECT_EQ(LoadCluster(path).status().code(), StatusCode::kInvalidArgument);
  ASSERT_TRUE(RemoveTree(directory).ok());
  EXPECT_EQ(LoadCluster(path).status().code(), StatusCode::kNotFound);
}

TEST(PlainSecretTest, ItsVersionChangesWithTheValuesOnly) {
  const auto secret = [](const std::string& value, const std::string& version, const std::string& uid = "u") {
    return Json{{"metadata", {{"uid", uid}, {"resourceVersion", version}}}, {"data", {{"token", Base64Encode(value)}}}};
  };
  const auto one = PlainSecretOf(secret("hunter2", "1"));
  ASSERT_TRUE(one.ok());
  EXPECT_EQ((*one)->data.at("token").view(), "hunter2");
  EXPECT_EQ((*PlainSecretOf(secret("hunter2", "9")))->version, (*one)->version);
  EXPECT_NE((*PlainSecretOf(secret("hunter3", "1")))->version, (*one)->version);
  EXPECT_NE((*PlainSecretOf(secret("hunter2", "1", "other")))->version, (*one)->version);
}

TEST(PlainSecretTest, WhatIsNoBase64OrTooLargeIsRefusedWithoutTheValue) {
  const auto bad = PlainSecretOf({{"metadata", {{"uid", "u"}}}, {"data", {{"token", "not base64!"}}}});
  EXPECT_EQ(bad.status().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(Message(bad.status()).find("not base64!"), std::string::npos);
  const std::string large(300 << 10, 'x');
  EXPECT_FALSE(PlainSecretOf({{"metadata", {{"uid", "u"}}}, {"data", {{"t", Base64Encode(large)}}}}).ok());
}

TEST(StatusEntryTest, AnEntryHasOnlyWhatTheCrdDeclares) {
  ServerStatus status{.key = {"tools", "weather"}, .uid = "u1", .observed_generation = 3};
  SetCondition(&status.conditions, {.type = "Ready", .status = ConditionStatus::kTrue, .reason = "Verified"}, kWall);
  status.revision = "r";
  status.image_digest = "sha256:1";
  status.endpoint = "http://127.0.0.1/x";
  status.server_info = {"n", "v", "2025-11-25", {"tools"}};
  status.catalog = {.tools = 2, .tools_hash = "sha256:2", .tool_names = {"a", "b"}};
  status.instances = {{"i", "Process", "Running", "r", kWall}};
  status.restarts = {
      .count = 1, .last_exit_code = 3, .last_reason = "Error", .last_at = kWall, .next_attempt_at = kWall};
  const Json applied = NodeApply(Of(Weather()), EntryFrom(status, "edge-01"));
  const Json schema = testing::CrdJson("mcpserver.yaml")["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
  const testing::SchemaFaults faults =
      testing::JudgeBySchema(applied["status"], schema["properties"]["status"], ".status");
  EXPECT_EQ(faults.unknown, std::vector<std::string>{});
  EXPECT_EQ(faults.invalid, std::vector<std::string>{});
  EXPECT_EQ(applied["metadata"]["uid"], "u1");
}

TEST(StatusEntryTest, WhatChangesByItselfIsNoNews) {
  const Json a = {{"restarts", {{"count", 1}, {"nextAttemptAt", "x"}}}}, b = {{"restarts", {{"count", 1}}}},
             c = {{"restarts", {{"count", 2}}}};
  EXPECT_EQ(DigestOf(a), DigestOf(b));
  EXPECT_NE(DigestOf(b), DigestOf(c));
}

TEST(StatusEntryTest, ATakenNameSaysSoAndKeepsItsTime) {
  const Resource resource = Of(Weather());
  const Json first = TakenEntry(resource, "edge-01", nullptr, kWall);
  EXPECT_EQ(GetString(ReadyOf(first), "reason"), kNameTaken);
  EXPECT_EQ(GetString(ReadyOf(first), "status"), "False");
  EXPECT_EQ(TakenEntry(resource, "edge-01", first, kWall + minutes(9)), first);
}

TEST(MergedStatusTest, TheWorstOfAllNodesCounts) {
  const auto reason = [](const std::vector<Json>& entries) {
    const Json ready = ReadyOf(MergedStatus(WithNodes(entries), {}, kWall));
    return GetString(ready, "status") + "/" + GetString(ready, "reason");
  };
  EXPECT_EQ(reason({}), "Unknown/NotReported");
  EXPECT_EQ(reason({Entry("a", 3, "True", "Verified")}), "True/Verified");
  EXPECT_EQ(reason({Entry("a", 3, "True", "Verified"), Entry("b", 3, "False", "CrashLoopBackOff")}),
            "False/CrashLoopBackOff");
  EXPECT_EQ(reason({Entry("a", 3, "Unknown", "Starting"), Entry("b", 3, "True", "Verified")}), "Unknown/Starting");
  EXPECT_EQ(reason({Entry("a", 2, "True", "Verified"), Entry("b", 3, "True", "Verified")}), "Unknown/Progressing");
}

TEST(MergedStatusTest, TheMessageNamesTheNodeAndTheGenerationIsTheLeast) {
  const Json merged =
      MergedStatus(WithNodes({Entry("a", 3, "True", "Verified"), Entry("b", 2, "False", "Error")}), {}, kWall);
  EXPECT_EQ(GetString(ReadyOf(merged), "message").find("b: "), 0U);
  EXPECT_EQ(GetInt(merged, "observedGeneration"), 2);
}

TEST(MergedStatusTest, ASilentNodeIsUnknown) {
  const Json ready = ReadyOf(MergedStatus(WithNodes({Entry("a", 3, "True", "Verified")}), {"a"}, kWall));
  EXPECT_EQ(GetString(ready, "reason"), "NodeSilent");
}

TEST(MergedStatusTest, MergingWhatWasMergedIsNoNews) {
  Json json = Weather();
  json["status"] = {{"nodes", {Entry("a", 3, "False", "Error")}}};
  const Json merged = MergedStatus(Of(json), {}, kWall);
  json["status"].update(merged);
  const Resource later = Of(json);
  EXPECT_TRUE(SameMerged(MergedStatus(later, {}, kWall + minutes(5)), later.status));
  EXPECT_FALSE(SameMerged(merged, WithNodes({}).status));
}

TEST(FinalizerTest, ThoseOfOthersStay) {
  const Resource resource = Of(Weather());
  EXPECT_EQ(FinalizerPatch(resource, false)["metadata"]["finalizers"], Json::array({"example.com/other"}));
  EXPECT_EQ(FinalizerPatch(resource, true)["metadata"]["finalizers"], Json::array({"example.com/other", kFinalizer}));
  EXPECT_EQ(FinalizerPatch(resource, true)["metadata"]["resourceVersion"], "41");
}

Json LeaseOf(const std::string& holder, const std::string& version) {
  return {{"metadata", {{"resourceVersion", version}}},
          {"spec", {{"holderIdentity", holder}, {"leaseDurationSeconds", 30}, {"leaseTransitions", 4}}}};
}

TEST(LeaseTest, OneThatIsNotThereIsCreated) {
  LeaseRules rules("me", seconds(30));
  rules.Observe(nullptr, MonoTime(seconds(100)));
  EXPECT_EQ(rules.Decide(MonoTime(seconds(100))), LeaseAction::kCreate);
  EXPECT_FALSE(rules.Body("l", "ns", {}, kWall)["metadata"].contains("resourceVersion"));
}

TEST(LeaseTest, AnothersIsTakenOnlyAfterItWasSeenUnchangedForItsLength) {
  LeaseRules rules("me", seconds(30));
  rules.Observe(LeaseOf("other", "7"), MonoTime(seconds(100)));
  EXPECT_EQ(rules.Decide(MonoTime(seconds(129))), LeaseAction::kNone);
  rules.Observe(LeaseOf("other", "8"), MonoTime(seconds(129)));
  EXPECT_EQ(rules.Decide(MonoTime(seconds(140))), LeaseAction::kNone);
  rules.Observe(LeaseOf("other", "8"), MonoTime(seconds(159)));
  EXPECT_EQ(rules.Decide(MonoTime(seconds(159))), LeaseAction::kUpdate);
  const Json body = rules.Body("l", "ns", {}, kWall);
  EXPECT_EQ(body["metadata"]["resourceVersion"], "8");
  EXPECT_EQ(body["spec"]["leaseTransitions"], 5);
  EXPECT_EQ(body["spec"]["renewTime"], FormatMicroTime(kWall));
}

TEST(LeaseTest, AHolderThatDoesNotRenewHasLostItBeforeAnotherMayTakeIt) {
  LeaseRules rules("me", seconds(30));
  rules.Observe(nullptr, MonoTime(seconds(100)));
  rules.Won(LeaseOf("me", "9"), MonoTime(seconds(100)));
  EXPECT_TRUE(rules.Held(MonoTime(seconds(119))));
  EXPECT_FALSE(rules.Held(MonoTime(seconds(120))));
  rules.Observe(LeaseOf("other", "10"), MonoTime(seconds(101)));
  EXPECT_FALSE(rules.Held(MonoTime(seconds(101))));
}

TEST(LeaseTest, ItsOwnOfBeforeARestartIsTakenAtOnce) {
  LeaseRules rules("me", seconds(30));
  rules.Observe(LeaseOf("me", "7"), MonoTime(seconds(100)));
  EXPECT_EQ(rules.Decide(MonoTime(seconds(100))), LeaseAction::kUpdate);
  EXPECT_FALSE(rules.Held(MonoTime(seconds(100))));
}

TEST(LeaseTest, MicroTimeHasSixDigits) {
  EXPECT_EQ(FormatMicroTime(kWall + std::chrono::microseconds(42)), "2026-09-21T14:13:20.000042Z");
  EXPECT_EQ(*ParseMicroTime("2026-09-21T14:13:20.000042Z"), kWall);
  EXPECT_EQ(*ParseMicroTime("2026-09-21T14:13:20Z"), kWall);
  EXPECT_FALSE(ParseMicroTime("yesterday").ok());
}

TEST(NodeLifeTest, ANodeOfTheClusterIsGoneWithItsNodeAndNoSooner) {
  const LifeLimits limits;
  LifeSigns signs{
      .silent_for = minutes(6), .lease_age = minutes(6), .on_core_node = true, .core_node = CoreNode::kAbsent};
  EXPECT_TRUE(IsGone(signs, limits));
  signs.silent_for = minutes(4);
  EXPECT_FALSE(IsGone(signs, limits)) << "it has just shown that it lives";
  signs.silent_for = std::chrono::hours(1000);
  signs.lease_age = std::chrono::hours(1000);
  for (const CoreNode still : {CoreNode::kThere, CoreNode::kNotAsked}) {
    signs.core_node = still;
    EXPECT_FALSE(IsGone(signs, limits));
    EXPECT_TRUE(IsSilent(signs, limits));
  }
}

TEST(NodeLifeTest, WhereNoNodeTellsADayDecides) {
  const LifeLimits limits;
  LifeSigns outside{.silent_for = minutes(6), .lease_age = std::chrono::hours(23)};
  EXPECT_FALSE(IsGone(outside, limits));
  outside.lease_age = std::chrono::hours(24);
  EXPECT_TRUE(IsGone(outside, limits));
  outside.silent_for = minutes(1);
  EXPECT_FALSE(IsGone(outside, limits)) << "its clock is behind";
  LifeSigns forbidden{
      .silent_for = minutes(6), .lease_age = minutes(6), .on_core_node = true, .core_node = CoreNode::kForbidden};
  EXPECT_FALSE(IsGone(forbidden, limits));
  forbidden.lease_age = std::chrono::hours(25);
  EXPECT_TRUE(IsGone(forbidden, limits));
  EXPECT_FALSE(IsGone({.silent_for = std::chrono::hours(23)}, limits)) << "without a Lease";
  EXPECT_TRUE(IsGone({.silent_for = std::chrono::hours(24)}, limits));
}

TEST(EventTest, TheObjectIsWhatTheApiTakes) {
  Event event{.time = kWall, .type = "Warning", .object = "MCPServer/tools/weather", .reason = "Failed"};
  event.message = std::string(2000, 'x');
  const Json json = EventObjectFor(event, Of(Weather()), "edge-01", "abc");
  EXPECT_EQ(json["metadata"]["name"], "weather.abc");
  EXPECT_EQ(json["regarding"]["uid"], "u1");
  EXPECT_EQ(json["note"].get<std::string>().size(), 1024U);
  EXPECT_EQ(json["reportingController"], "mcpfleet.dev/mcplet");
  event.count = 5;
  EXPECT_EQ(SeriesPatch(event)["series"]["count"], 5);
}

TEST(BudgetTest, ItRefillsSteadilyAndNoFurtherThanItsBurst) {
  Budget budget(3, seconds(10), MonoTime(seconds(0)));
  EXPECT_TRUE(budget.Take(MonoTime(seconds(0))));
  EXPECT_TRUE(budget.Take(MonoTime(seconds(0))));
  EXPECT_TRUE(budget.Take(MonoTime(seconds(0))));
  EXPECT_FALSE(budget.Take(MonoTime(seconds(5))));
  EXPECT_TRUE(budget.Take(MonoTime(seconds(10))));
  EXPECT_FALSE(budget.Take(MonoTime(seconds(11))));
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(budget.Take(MonoTime(seconds(1000))));
  EXPECT_FALSE(budget.Take(MonoTime(seconds(1000))));
}

TEST(ClusterTest, APodNeedsNoSettings) {
  const Environment pod = [](const char* name) {
    return std::string(name) == "KUBERNETES_SERVICE_HOST" ? "fd00::1" : "6443";
  };
  const auto cluster = ResolveCluster({}, pod, "/nowhere");
  ASSERT_TRUE(cluster.ok()) << cluster.status();
  EXPECT_EQ(cluster->endpoint.host, "fd00::1");
  EXPECT_EQ(cluster->endpoint.port, 6443);
  EXPECT_TRUE(cluster->endpoint.tls);
  EXPECT_EQ(cluster->token_file, "/nowhere/token");
  EXPECT_EQ(cluster->ca_file, "/nowhere/ca.crt");
  EXPECT_EQ(cluster->namespace_, "mcpfleet");
}

TEST(ClusterTest, ElsewhereTheSettingsSayItAndWhatIsMissingIsNamed) {
  const Environment none = [](const char*) { return std::string(); };
  EXPECT_NE(Message(ResolveCluster({}, none).status()).find("spec.kubernetes.server"), std::string::npos);
  const auto cluster = ResolveCluster({.server = "https://10.0.0.1:6443", .token_file = "/t", .namespace_ = "x"}, none);
  ASSERT_TRUE(cluster.ok()) << cluster.status();
  EXPECT_EQ(cluster->token_file, "/t");
  EXPECT_EQ(cluster->ca_file, "");
  EXPECT_FALSE(ResolveCluster({.server = "http://10.0.0.1", .token_file = "/t"}, none).ok());
  EXPECT_FALSE(ResolveCluster({.server = "https://10.0.0.1/path"}, none).ok());
  EXPECT_FALSE(ResolveCluster({.server = "https://10.0.0.1", .namespace_ = "Bad_Name"}, none).ok());
}

}  // namespace
}  // namespace mcpfleet::kube
