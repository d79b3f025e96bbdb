// The whole source against the fake API server, without an mcplet around it: what it publishes, and what it writes
// back.
#include "store/kubernetes/source.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "base/strings.h"
#include "store/kubernetes/status_entry.h"
#include "tests/integration/node.h"
#include "tests/store/kubernetes/fake_cluster.h"

namespace mcpfleet::kube {
namespace {

using std::chrono::milliseconds, std::chrono::seconds;
constexpr char kServers[] = "/apis/mcpfleet.dev/v1alpha1/namespaces/tools/mcpservers";
constexpr char kLeases[] = "/apis/coordination.k8s.io/v1/namespaces/mcpfleet/leases";

class SourceTest : public FakeClusterTest {
 protected:
  SourceTest() { api_.Grant(testing::RbacManifest()); }

  std::unique_ptr<Source> Open(const std::string& node = "edge-01", const std::string& token = "token",
                               Duration gone_after = std::chrono::hours(24)) {
    SourceOptions options{.node = node,
                          .core_node = node,
                          .directory = directory_ + "/" + node,
                          .user_agent = "test",
                          .seed = 5,
                          .looked = [this] { return looked_.load(); },
                          .elector = {.length = seconds(4),
                                      .life_interval = seconds(1),
                                      .life = {.silent_after = seconds(3), .gone_after = gone_after}}};
    auto source = Source::Open(ClusterOf(token), options, clock_, [](const ClusterState&) {});
    EXPECT_TRUE(source.ok()) << source.status();
    return *std::move(source);
  }
  void Create(const std::string& name, Json spec = Json::object()) {
    spec["source"] = {{"image", {{"ref", "example/weather:1"}}}};
    EXPECT_EQ(
        Send("POST", kServers,
             {{"apiVersion", kApiVersion}, {"kind", "MCPServer"}, {"metadata", {{"name", name}}}, {"spec", spec}}),
        201);
  }
  static bool Has(const Source& source, const std::string& name) {
    return source.state()->objects.contains({kKindServer, "tools", name});
  }
  ServerStatus StatusOf(const std::string& name, const std::string& revision = "r") {
    ServerStatus status{.key = {"tools", name},
                        .uid = GetString(Get(std::string(kServers) + "/" + name)["metadata"], "uid"),
                        .observed_generation = 1};
    SetCondition(&status.conditions, {.type = "Ready", .status = ConditionStatus::kTrue, .reason = "Verified"},
                 clock_.Wall());
    status.revision = revision;
    return status;
  }
  // "edge-01:r edge-02:r"
  std::string Entries(const std::string& name) {
    std::string out;
    const Json server = Get(std::string(kServers) + "/" + name);
    for (const Json& entry : GetMember(GetMember(server, "status"), "nodes"))
      out += (out.empty() ? "" : " ") + GetString(entry, "node") + ":" + GetString(entry, "revision");
    return out;
  }
  std::string Ready(const std::string& name) { return ReadyAt(std::string(kServers) + "/" + name); }

  std::atomic<bool> looked_{true};
};

TEST_F(SourceTest, NothingIsKnownBeforeTheApiServerHasSpoken) {
  api_.GoAway();
  auto source = Open();
  source->Start();
  EXPECT_FALSE(source->state()->known);
  EXPECT_TRUE(WaitFor([&] { return !source->problem().empty(); }, seconds(10)));
  EXPECT_FALSE(source->reachable());
  api_.ComeBack();
  Create("weather");
  EXPECT_TRUE(WaitFor([&] { return Has(*source, "weather"); }, seconds(20)));
  EXPECT_TRUE(source->state()->known);
  EXPECT_TRUE(WaitFor([&] { return source->problem().empty(); }, seconds(20)));
}

TEST_F(SourceTest, TheLastStateIsThereAfterARestartWithoutTheApiServer) {
  Create("weather");
  {
    auto source = Open();
    source->Start();
    ASSERT_TRUE(WaitFor([&] { return Has(*source, "weather"); }, seconds(10)));
  }
  api_.GoAway();
  auto source = Open();
  EXPECT_TRUE(source->state()->known);
  EXPECT_TRUE(Has(*source, "weather"));
}

TEST_F(SourceTest, AStatusIsWrittenOnceAndGoneWhenTheServerIs) {
  Create("weather");
  auto source = Open();
  source->Start();
  ASSERT_TRUE(WaitFor([&] { return Has(*source, "weather"); }, seconds(10)));
  source->status().Set(StatusOf("weather"));
  EXPECT_TRUE(WaitFor([&] { return Entries("weather") == "edge-01:r"; }, seconds(10)));
  EXPECT_TRUE(WaitFor([&] { return Ready("weather") == "True/Verified"; }, seconds(10))) << Ready("weather");
  // What is told again is no news.
  ASSERT_TRUE(
      WaitFor([&] { return !GetMember(Get(std::string(kServers) + "/weather")["metadata"], "finalizers").empty(); },
              seconds(10)));
  const int64_t writes = api_.Count("patch mcpservers/status");
  for (int i = 0; i < 20; ++i) source->status().Set(StatusOf("weather"));
  source->status().Set(StatusOf("weather", "r2"));
  EXPECT_TRUE(WaitFor([&] { return Entries("weather") == "edge-01:r2"; }, seconds(10)));
  EXPECT_LE(api_.Count("patch mcpservers/status"), writes + 2);

  EXPECT_EQ(Send("DELETE", std::string(kServers) + "/weather"), 200);
  EXPECT_TRUE(WaitFor([&] { return !Has(*source, "weather"); }, seconds(10)));
  EXPECT_FALSE(Get(std::string(kServers) + "/weather").is_null()) << "before its instance went";
  source->status().Remove({"tools", "weather"});
  EXPECT_TRUE(WaitFor([&] { return Get(std::string(kServers) + "/weather").is_null(); }, seconds(15)));
  EXPECT_EQ(Join(api_.Refusals(), ","), "");
}

TEST_F(SourceTest, AnObjectMadeAnewThatGotTheEntryOfTheOneBeforeGetsItsOwn) {
  Create("weather");
  auto source = Open();
  source->Start();
  ASSERT_TRUE(WaitFor([&] { return Has(*source, "weather"); }, seconds(10)));
  const ServerStatus before = StatusOf("weather", "before");
  source->status().Set(before);
  ASSERT_TRUE(WaitFor([&] { return Entries("weather") == "edge-01:before"; }, seconds(10)));
  const std::string path = std::string(kServers) + "/weather";
  ASSERT_TRUE(WaitFor([&] { return !GetMember(Get(path)["metadata"], "finalizers").empty(); }, seconds(10)));
  EXPECT_EQ(Send("DELETE", path), 200);
  EXPECT_EQ(Send("PATCH", path, {{"metadata", {{"finalizers", nullptr}}}}), 200);  // as a person forces it
  Create("weather");
  // What was on its way when that happened: API servers don't look at the uid.
  const auto late = admin_->Do({.method = "PATCH",
                                .path = path + "/status",
                                .query = "fieldManager=mcplet-edge-01&force=true",
                                .content_type = kApplyPatch,
                                .body = DumpJson({{"apiVersion", kApiVersion},
                                                  {"kind", "MCPServer"},
                                                  {"metadata", {{"name", "weather"}, {"uid", before.uid}}},
                                                  {"status", {{"nodes", {EntryFrom(before, "edge-01")}}}}})},
                               Deadline::After(seconds(5)));
  ASSERT_TRUE(late.ok());
  ASSERT_EQ(late->code, 200) << DumpJson(late->body);
  source->status().Remove(before.key);
  EXPECT_TRUE(WaitFor([&] { return Entries("weather").empty(); }, seconds(15))) << Entries("weather");
  source->status().Set(StatusOf("weather", "after"));
  EXPECT_TRUE(WaitFor([&] { return Entries("weather") == "edge-01:after"; }, seconds(10))) << Entries("weather");
}

TEST_F(SourceTest, WhatWasLeftOfAnEarlierMcpletGoesOnlyWhenAllWasLookedAt) {
  Create("weather");
  {
    auto source = Open();
    source->Start();
    ASSERT_TRUE(WaitFor([&] { return Has(*source, "weather"); }, seconds(10)));
    source->status().Set(StatusOf("weather"));
    ASSERT_TRUE(WaitFor([&] { return !Entries("weather").empty(); }, seconds(10)));
    ASSERT_TRUE(
        WaitFor([&] { return !GetMember(Get(std::string(kServers) + "/weather")["metadata"], "finalizers").empty(); },
                seconds(10)));
  }
  Send("DELETE", std::string(kServers) + "/weather");
  looked_ = false;
  auto source = Open();
  source->Start();
  ASSERT_TRUE(WaitFor([&] { return source->reachable(); }, seconds(10)));
  source->SetTaken({});
  Create("other");  // the writer has gone through all by the time that it is seen
  ASSERT_TRUE(WaitFor([&] { return Has(*source, "other"); }, seconds(10)));
  EXPECT_EQ(Entries("weather"), "edge-01:r");
  looked_ = true;
  EXPECT_TRUE(WaitFor([&] { return Get(std::string(kServers) + "/weather").is_null(); }, seconds(20)));
}

TEST_F(SourceTest, ATakenNameIsToldInTheStatus) {
  Create("weather");
  auto source = Open();
  source->Start();
  ASSERT_TRUE(WaitFor([&] { return Has(*source, "weather"); }, seconds(10)));
  source->SetTaken({{"tools", "weather"}});
  EXPECT_TRUE(WaitFor([&] { return Ready("weather") == std::string("False/") + kNameTaken; }, seconds(10)))
      << Ready("weather");
}

TEST_F(SourceTest, OneNodeMergesAndAnotherTakesOverWhenItFallsSilent) {
  Create("weather");
  auto one = Open("edge-01");
  one->Start();
  ASSERT_TRUE(WaitFor([&] { return Has(*one, "weather"); }, seconds(10)));
  one->status().Set(StatusOf("weather"));
  ASSERT_TRUE(WaitFor([&] { return Ready("weather") == "True/Verified"; }, seconds(10)));
  auto two = Open("edge-02");
  two->Start();
  ASSERT_TRUE(WaitFor([&] { return Has(*two, "weather"); }, seconds(10)));
  two->status().Set(StatusOf("weather"));
  ASSERT_TRUE(WaitFor([&] { return Entries("weather") == "edge-01:r edge-02:r"; }, seconds(10))) << Entries("weather");
  EXPECT_EQ(GetString(Get(std::string(kLeases) + "/" + kMergeLease)["spec"], "holderIdentity"), "edge-01");
  one.reset();
  EXPECT_TRUE(WaitFor(
      [&] { return GetString(Get(std::string(kLeases) + "/" + kMergeLease)["spec"], "holderIdentity") == "edge-02"; },
      seconds(30)));
  EXPECT_TRUE(WaitFor([&] { return Ready("weather") == "Unknown/NodeSilent"; }, seconds(30))) << Ready("weather");
  // A deletion does not wait for the silent node.
  Send("DELETE", std::string(kServers) + "/weather");
  two->status().Remove({"tools", "weather"});
  EXPECT_TRUE(WaitFor([&] { return Get(std::string(kServers) + "/weather").is_null(); }, seconds(20)))
      << Entries("weather");
}

// One node merges; the other is silent from the moment that it is destroyed.
class GoneNodeTest : public SourceTest {
 protected:
  void TwoNodes(Duration gone_after = std::chrono::hours(24), const std::string& token = "token") {
    Create("weather");
    one_ = Open("edge-01", token, gone_after);
    one_->Start();
    ASSERT_TRUE(WaitFor([&] { return Has(*one_, "weather"); }, seconds(20)));
    one_->status().Set(StatusOf("weather"));
    ASSERT_TRUE(WaitFor([&] { return Ready("weather") == "True/Verified"; }, seconds(20)));
    two_ = Open("edge-02", token, gone_after);
    two_->Start();
    ASSERT_TRUE(WaitFor([&] { return Has(*two_, "weather"); }, seconds(20)));
    two_->status().Set(StatusOf("weather"));
    ASSERT_TRUE(WaitFor([&] { return Entries("weather") == "edge-01:r edge-02:r"; }, seconds(20)));
  }
  void AddNode(const std::string& name) {
    EXPECT_EQ(Send("POST", kCoreNodesPath, {{"apiVersion", "v1"}, {"kind", "Node"}, {"metadata", {{"name", name}}}}),
              201);
  }
  std::string CoreNodeInLease(const std::string& node) {
    const Json lease = Get(std::string(kLeases) + "/mcpfleet-node-" + node);
    return GetString(GetMember(GetMember(lease, "metadata"), "annotations"), kCoreNodeAnnotation);
  }
  bool HasLease(const std::string& node) { return !Get(std::string(kLeases) + "/mcpfleet-node-" + node).is_null(); }
  void WaitForgotten(const std::string& node) {
    EXPECT_TRUE(WaitFor([&] { return Entries("weather") == "edge-01:r" && !HasLease(node); }, seconds(40)))
        << Entries("weather");
    EXPECT_TRUE(WaitFor([&] { return Ready("weather") == "True/Verified"; }, seconds(20))) << Ready("weather");
  }
  std::unique_ptr<Source> one_, two_;
};

TEST_F(GoneNodeTest, ANodeThatLeftTheClusterHoldsNothingUp) {
  AddNode("edge-02");
  ASSERT_NO_FATAL_FAILURE(TwoNodes());
  ASSERT_TRUE(WaitFor([&] { return CoreNodeInLease("edge-02") == "edge-02"; }, seconds(20)));
  EXPECT_EQ(CoreNodeInLease("edge-01"), "") << "it has no Node";
  two_.reset();
  ASSERT_TRUE(WaitFor([&] { return Ready("weather") == "Unknown/NodeSilent"; }, seconds(40))) << Ready("weather");
  EXPECT_EQ(Entries("weather"), "edge-01:r edge-02:r") << "its Node is there: it may come back";
  EXPECT_EQ(Send("DELETE", std::string(kCoreNodesPath) + "/edge-02"), 200);
  WaitForgotten("edge-02");
  EXPECT_EQ(Join(api_.Refusals(), ","), "");

  // It comes back after all.
  two_ = Open("edge-02");
  two_->Start();
  ASSERT_TRUE(WaitFor([&] { return Has(*two_, "weather"); }, seconds(20)));
  two_->status().Set(StatusOf("weather"));
  EXPECT_TRUE(WaitFor([&] { return Entries("weather") == "edge-01:r edge-02:r" && HasLease("edge-02"); }, seconds(20)))
      << Entries("weather");
}

TEST_F(GoneNodeTest, AMachineOutsideOfTheClusterIsWaitedForByItsLease) {
  ASSERT_NO_FATAL_FAILURE(TwoNodes(seconds(12)));
  two_.reset();
  EXPECT_TRUE(WaitFor([&] { return Ready("weather") == "Unknown/NodeSilent"; }, seconds(40))) << Ready("weather");
  WaitForgotten("edge-02");
}

TEST_F(GoneNodeTest, WhereNodesMayNotBeReadTheLeaseDecides) {
  AddNode("edge-02");
  ASSERT_NO_FATAL_FAILURE(TwoNodes(seconds(12)));
  ASSERT_TRUE(WaitFor([&] { return CoreNodeInLease("edge-02") == "edge-02"; }, seconds(20)));
  two_.reset();
  api_.Revoke("nodes");
  WaitForgotten("edge-02");
}

TEST_F(GoneNodeTest, AnEntryThatWasGivenUpWhileItsNodeWasCutOffIsWrittenAgain) {
  ASSERT_NO_FATAL_FAILURE(TwoNodes());
  const Json server = Get(std::string(kServers) + "/weather");
  const auto given_up = admin_->Do({.method = "PATCH",
                                    .path = std::string(kServers) + "/weather/status",
                                    .query = "fieldManager=mcplet-edge-02&force=true",
                                    .content_type = kApplyPatch,
                                    .body = DumpJson(NodeApply(*ResourceOf(server, nullptr), nullptr))},
                                   Deadline::After(seconds(5)));
  ASSERT_TRUE(given_up.ok() && given_up->ok());
  EXPECT_EQ(Entries("weather"), "edge-01:r");
  EXPECT_TRUE(WaitFor([&] { return Entries("weather") == "edge-01:r edge-02:r"; }, seconds(20))) << Entries("weather");
}

// A role that forbids what it allowed before: mcplet may boot while somebody mends it.
class RefusedTest : public SourceTest {
 protected:
  void Label(const std::string& name, const Json& labels) {
    EXPECT_EQ(Send("POST", kCoreNodesPath,
                   {{"apiVersion", "v1"}, {"kind", "Node"}, {"metadata", {{"name", name}, {"labels", labels}}}}),
              201);
  }
  void CreateInBerlin() { Create("weather", {{"placement", {{"nodeSelector", {{"site", "berlin"}}}}}}); }
};

TEST_F(RefusedTest, ABootWhileNodesAreForbiddenKeepsTheLabelsThatWereKnown) {
  Label("edge-01", {{"site", "berlin"}});
  CreateInBerlin();
  {
    auto source = Open();
    source->Start();
    ASSERT_TRUE(WaitFor([&] { return Has(*source, "weather"); }, seconds(20)));
  }
  api_.Revoke("nodes");
  {
    auto source = Open();
    source->Start();
    // It has heard what servers there are, and goes on.
    Create("other");
    ASSERT_TRUE(WaitFor([&] { return Has(*source, "other"); }, seconds(20)));
    EXPECT_TRUE(Has(*source, "weather"));
    EXPECT_NE(source->problem().find("what was known of this node before stands"), std::string::npos)
        << source->problem();
  }
  // The cache has not forgotten them either, and an answer counts again.
  EXPECT_EQ(Send("PATCH", std::string(kCoreNodesPath) + "/edge-01", {{"metadata", {{"labels", {{"site", "bonn"}}}}}}),
            200);
  auto source = Open();
  source->Start();
  EXPECT_TRUE(Has(*source, "weather"));
  api_.Grant(testing::RbacManifest());
  EXPECT_TRUE(WaitFor([&] { return !Has(*source, "weather"); }, seconds(40)));
  EXPECT_TRUE(WaitFor([&] { return source->problem().empty(); }, seconds(20))) << source->problem();
}

TEST_F(RefusedTest, ANodeThatNeverKnewAnyLabelsDoesWithoutThem) {
  api_.Revoke("nodes");
  CreateInBerlin();
  Create("everywhere");
  auto source = Open();
  source->Start();
  EXPECT_TRUE(WaitFor([&] { return Has(*source, "everywhere"); }, seconds(40)));
  EXPECT_FALSE(Has(*source, "weather"));
  EXPECT_EQ(source->problem(), "");
}

TEST_F(RefusedTest, OneRefusalAtBootIsNotBelieved) {
  Label("edge-01", {{"site", "berlin"}});
  CreateInBerlin();
  {
    auto source = Open();
    source->Start();
    ASSERT_TRUE(WaitFor([&] { return Has(*source, "weather"); }, seconds(20)));
  }
  ASSERT_TRUE(RemoveTree(directory_ + "/edge-01").ok());  // nothing is known, as on a new disk
  api_.FailNext(403, 6);                                  // each collection, and the leases
  std::atomic<bool> known_without{false};
  auto source = Open();
  source->Start();
  EXPECT_TRUE(WaitFor(
      [&] {
        if (source->state()->known && !Has(*source, "weather")) known_without = true;
        return Has(*source, "weather");
      },
      seconds(40)));
  EXPECT_FALSE(known_without);
}

TEST_F(SourceTest, ASecretIsWatchedByItsNameAlone) {
  const auto secret = [](const std::string& name, const std::string& value) {
    return Json{{"apiVersion", "v1"},
                {"kind", "Secret"},
                {"metadata", {{"name", name}}},
                {"data", {{"k", Base64Encode(value)}}}};
  };
  const std::string secrets = "/api/v1/namespaces/tools/secrets";
  EXPECT_EQ(Send("POST", secrets, secret("other", "x")), 201);
  Create("weather",
         {{"env", {{{"name", "A"}, {"valueFrom", {{"secretKeyRef", {{"name", "github"}, {"key", "k"}}}}}}}}});
  auto source = Open();
  source->Start();
  const auto held = [&] {
    const auto state = source->state();
    const auto it = state->core_secrets.find({"tools", "github"});
    return it == state->core_secrets.end() ? CoreSecret{} : it->second;
  };
  EXPECT_TRUE(WaitFor([&] { return held().read; }, seconds(10)));
  EXPECT_EQ(held().secret, nullptr);
  EXPECT_EQ(Send("POST", secrets, secret("github", "one")), 201);
  ASSERT_TRUE(WaitFor([&] { return held().secret != nullptr; }, seconds(10)));
  EXPECT_EQ(held().secret->data.at("k").view(), "one");
  // Its labels are nobody's business.
  const auto before = source->state();
  EXPECT_EQ(Send("PATCH", secrets + "/github", {{"metadata", {{"labels", {{"a", "b"}}}}}}), 200);
  EXPECT_EQ(Send("PATCH", secrets + "/github", {{"data", {{"k", Base64Encode("two")}}}}), 200);
  ASSERT_TRUE(
      WaitFor([&] { return held().secret != nullptr && held().secret->data.at("k").view() == "two"; }, seconds(10)));
  EXPECT_EQ(source->state()->core_secrets.size(), 1U);
  EXPECT_EQ(Send("DELETE", secrets + "/github"), 200);
  EXPECT_TRUE(WaitFor([&] { return held().read && held().secret == nullptr; }, seconds(10)));
  EXPECT_EQ(Send("DELETE", std::string(kServers) + "/weather"), 200);
  EXPECT_TRUE(WaitFor([&] { return source->state()->core_secrets.empty(); }, seconds(10)));
}

TEST_F(SourceTest, ManyPagesAreOneState) {
  for (int i = 0; i < 7; ++i) Create("s" + std::to_string(i));
  RestClient rest(ClusterOf("token"), "test");
  std::atomic<size_t> got{0};
  Informer informer(rest, clock_, 1, {.path = kServersPath, .reflector = {.page = 2}},
                    [&](const std::vector<Change>& changes) { got += changes.size(); });
  informer.Start();
  EXPECT_TRUE(WaitFor([&] { return informer.synced(); }, seconds(10)));
  EXPECT_EQ(got, 7U);
  EXPECT_EQ(api_.Count("list mcpservers"), 4);
}

TEST_F(SourceTest, WhatTheRoleForbidsIsToldAndIsNoAnswer) {
  RestClient rest(ClusterOf("token"), "test");
  std::atomic<int> calls{0}, refusals{0};
  Informer pods(
      rest, clock_, 1,
      {.path = "/api/v1/namespaces/tools/pods",
       .reflector = {},
       .on_refused =
           [&](const Status& refused) {
             EXPECT_TRUE(refused.code() == StatusCode::kPermissionDenied || refused.code() == StatusCode::kNotFound);
             ++refusals;
           }},
      [&](const std::vector<Change>&) { ++calls; });
  pods.Start();
  EXPECT_TRUE(WaitFor([&] { return refusals > 1; }, seconds(10)));
  EXPECT_FALSE(pods.synced());
  EXPECT_EQ(calls, 0);
  EXPECT_NE(pods.problem(), "");
}

TEST_F(SourceTest, EventsOfAServerAreWrittenAndCounted) {
  Create("weather");
  auto source = Open();
  source->Start();
  ASSERT_TRUE(WaitFor([&] { return Has(*source, "weather"); }, seconds(10)));
  Event event{.time = clock_.Wall(),
              .type = "Warning",
              .object = "MCPServer/tools/weather",
              .reason = "Failed",
              .message = "m"};
  source->Record(event);
  event.count = 7;
  source->Record(event);
  Event other = event;
  other.object = "MCPNode/edge-01";
  source->Record(other);
  const auto items = [&] { return Get("/apis/events.k8s.io/v1/namespaces/tools/events")["items"]; };
  EXPECT_TRUE(WaitFor([&] { return items().size() == 1 && GetInt(GetMember(items()[0], "series"), "count") == 7; },
                      seconds(10)))
      << DumpJson(items());
}

}  // namespace
}  // namespace mcpfleet::kube
