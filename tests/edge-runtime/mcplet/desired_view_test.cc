#include "edge-runtime/mcplet/desired_view.h"

#include <gtest/gtest.h>

namespace mcpfleet {
namespace {

std::shared_ptr<Object> Weather(const std::string& version) {
  auto object = std::make_shared<Object>();
  object->kind = kKindServer;
  object->metadata.name = "weather";
  object->spec = {{"source", {{"package", {{"manager", "npm"}, {"name", "weather"}, {"version", version}}}}}};
  return object;
}

SyncedObject Synced(std::shared_ptr<const Object> object, const std::string& hash) {
  return {.entry = {.key = {kKindServer, "default", "weather"}, .uid = "u", .generation = 1, .hash = hash},
          .object = std::move(object)};
}

AcceptedState State(SyncedObject synced) {
  AcceptedState state;
  state.head = Head{.fleet = "f", .order = {0, 1, 7}, .snapshot = "s"};
  state.removals_allowed = true;
  state.objects[synced.entry.key] = std::move(synced);
  return state;
}

std::shared_ptr<const DesiredServer> Only(const DesiredView& view) { return view.Current()->servers.begin()->second; }

TEST(DesiredViewTest, ASyncedServerIsDecodedWithItsHeadAndRevision) {
  DesiredView view({});
  EXPECT_TRUE(view.Update(State(Synced(Weather("1.0.0"), "h1"))));
  EXPECT_EQ(view.Current()->head, "0.1.7");
  EXPECT_TRUE(view.Current()->removals_allowed);
  EXPECT_EQ(Only(view)->revision, RevisionOf(Only(view)->spec));
  EXPECT_EQ(Only(view)->rejected_reason, "");
}

TEST(DesiredViewTest, WhatDidNotChangeIsNotDecodedAgain) {
  DesiredView view({});
  SyncedObject synced = Synced(Weather("1.0.0"), "h1");
  view.Update(State(synced));
  auto before = Only(view);
  EXPECT_FALSE(view.Update(State(synced)));
  EXPECT_EQ(Only(view), before);
}

TEST(DesiredViewTest, ARestartAnnotationChangesTheRevisionOnly) {
  DesiredView view({});
  view.Update(State(Synced(Weather("1.0.0"), "h1")));
  std::string before = Only(view)->revision;
  auto restarted = Weather("1.0.0");
  restarted->metadata.annotations[kRestartedAtAnnotation] = "2026-11-22T00:00:00Z";
  EXPECT_TRUE(view.Update(State(Synced(restarted, "h2"))));
  EXPECT_NE(Only(view)->revision, before);
  EXPECT_EQ(RevisionOf(Only(view)->spec), before);
}

TEST(DesiredViewTest, ABadObjectInTheStoreIsRejectedAndSaysWhy) {
  auto bad = Weather("1.0.0");
  bad->spec["source"] = Json::object();
  DesiredServer server = DecodeDesired(Synced(bad, "h"), {});
  EXPECT_EQ(server.rejected_reason, "InvalidSpec");
  EXPECT_NE(server.rejected_message, "");
}

TEST(DesiredViewTest, AFieldFromANewerVersionIsUnsupported) {
  auto newer = Weather("1.0.0");
  newer->spec["teleport"] = true;
  EXPECT_EQ(DecodeDesired(Synced(newer, "h"), {}).rejected_reason, "UnsupportedField");
}

TEST(DesiredViewTest, NodePolicyRejects) {
  EXPECT_EQ(DecodeDesired(Synced(Weather("1.0.0"), "h"), {.runtimes = {RuntimeChoice::kDocker}}).rejected_reason,
            "ForbiddenByNode");
}

TEST(DesiredViewTest, APendingObjectWithoutAVersionBeforeHasNoSpec) {
  SyncedObject synced = Synced(nullptr, "h");
  synced.pending = true;
  DesiredServer server = DecodeDesired(synced, {});
  EXPECT_TRUE(server.pending);
  EXPECT_EQ(server.revision, "");
}

TEST(DesiredViewTest, AnEntryThatDisagreesWithItsObjectIsRejected) {
  SyncedObject synced = Synced(Weather("1.0.0"), "h");
  synced.mismatch = "generation 2 in the entry, 1 in the object";
  EXPECT_EQ(DecodeDesired(synced, {}).rejected_reason, "EntryMismatch");
}

kube::ClusterState InCluster(const std::string& name, const std::string& version, Json placement = nullptr) {
  auto object = Weather(version);
  object->metadata.name = name;
  object->metadata.uid = "k-" + name;
  if (!placement.is_null()) object->spec["placement"] = std::move(placement);
  kube::ClusterState state;
  state.known = true;
  state.objects[{kKindServer, "default", name}] = object;
  return state;
}

std::string UidOf(const DesiredView& view, const std::string& name) {
  const auto snapshot = view.Current();
  const auto it = snapshot->servers.find({"default", name});
  return it == snapshot->servers.end() ? "" : it->second->uid;
}

TEST(DesiredViewTest, ServersOfBothSourcesRunAndOfOneNameTheStores) {
  for (const bool cluster_first : {false, true}) {
    DesiredView view({});
    const AcceptedState store = State(Synced(Weather("1.0.0"), "h1"));
    kube::ClusterState cluster = InCluster("weather", "2.0.0");
    cluster.objects.merge(InCluster("other", "2.0.0").objects);
    if (cluster_first) view.UpdateCluster(cluster);
    view.Update(store);
    view.UpdateCluster(cluster);
    EXPECT_EQ(UidOf(view, "weather"), "u");
    EXPECT_EQ(UidOf(view, "other"), "k-other");
    EXPECT_EQ(view.taken(), (std::set<ServerKey>{{"default", "weather"}}));
    EXPECT_TRUE(view.Current()->removals_allowed);
  }
}

TEST(DesiredViewTest, TheOtherOneTakesOverWhenTheStoresGoes) {
  DesiredView view({});
  view.Update(State(Synced(Weather("1.0.0"), "h1")));
  view.UpdateCluster(InCluster("weather", "2.0.0"));
  AcceptedState empty = State(Synced(Weather("1.0.0"), "h1"));
  empty.objects.clear();
  EXPECT_TRUE(view.Update(empty));
  EXPECT_EQ(UidOf(view, "weather"), "k-weather");
  EXPECT_TRUE(view.taken().empty());
}

TEST(DesiredViewTest, NothingIsRemovedBeforeBothSourcesHaveSpoken) {
  DesiredView view({});
  kube::ClusterState silent;
  view.UpdateCluster(silent);
  EXPECT_FALSE(view.Current()->removals_allowed);
  view.Update(State(Synced(Weather("1.0.0"), "h1")));
  EXPECT_FALSE(view.Current()->removals_allowed);
  view.UpdateCluster(InCluster("other", "1.0.0"));
  EXPECT_TRUE(view.Current()->removals_allowed);
}

TEST(DesiredViewTest, AStoreThatNothingWasAppliedToHoldsUpNoRemovalOfTheCluster) {
  DesiredView view({});
  view.Update(AcceptedState{});
  view.UpdateCluster(InCluster("other", "1.0.0"));
  EXPECT_FALSE(view.Current()->removals_allowed);
  EXPECT_TRUE(view.StoreAnswered());
  EXPECT_TRUE(view.Current()->removals_allowed);
  EXPECT_FALSE(view.StoreAnswered());
}

TEST(DesiredViewTest, WithoutAStoreTheClusterAloneDecides) {
  DesiredView view({});
  view.UseStore(false);
  view.UpdateCluster(InCluster("other", "1.0.0"));
  EXPECT_TRUE(view.Current()->removals_allowed);
  EXPECT_EQ(UidOf(view, "other"), "k-other");
}

TEST(DesiredViewTest, TheSameClusterStateIsNoNews) {
  DesiredView view({});
  const kube::ClusterState state = InCluster("other", "1.0.0");
  EXPECT_TRUE(view.UpdateCluster(state));
  EXPECT_FALSE(view.UpdateCluster(state));
}

TEST(DesiredViewTest, AClusterHasNoReplicas) {
  DesiredView view({});
  view.UpdateCluster(InCluster("other", "1.0.0", {{"replicas", 2}}));
  EXPECT_EQ(Only(view)->rejected_reason, "ReplicasUnsupported");
}

TEST(DesiredViewTest, ASecretOfTheClusterIsInTheRevision) {
  DesiredView view({});
  kube::ClusterState state = InCluster("other", "1.0.0");
  auto object = std::make_shared<Object>(*state.objects.begin()->second);
  object->spec["env"] = {{{"name", "T"}, {"valueFrom", {{"secretKeyRef", {{"name", "github"}, {"key", "k"}}}}}}};
  state.objects.begin()->second = object;
  state.core_secrets[{"default", "github"}] = {};
  view.UpdateCluster(state);
  EXPECT_EQ(Only(view)->unresolved_reason, "SecretNotRead");
  auto plain = std::make_shared<kube::PlainSecret>();
  plain->version = "v1";
  plain->data.emplace("k", SecretText::CopyOf("x"));
  state.core_secrets[{"default", "github"}] = {.secret = plain, .problem = {}, .read = true};
  EXPECT_TRUE(view.UpdateCluster(state));
  EXPECT_EQ(Only(view)->unresolved_reason, "");
  const std::string before = Only(view)->revision;
  auto other = std::make_shared<kube::PlainSecret>();
  other->version = "v2";
  other->data.emplace("k", SecretText::CopyOf("y"));
  state.core_secrets[{"default", "github"}].secret = other;
  EXPECT_TRUE(view.UpdateCluster(state));
  EXPECT_NE(Only(view)->revision, before);
}

TEST(DesiredViewTest, NodesAreNotServers) {
  DesiredView view({});
  AcceptedState state = State(Synced(Weather("1.0.0"), "h"));
  SyncedObject node{.entry = {.key = {kKindNode, "", "edge-01"}}};
  state.objects[node.entry.key] = node;
  view.Update(state);
  EXPECT_EQ(view.Current()->servers.size(), 1u);
}

}  // namespace
}  // namespace mcpfleet
