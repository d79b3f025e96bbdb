// What mcplet relies on an API server for, and what one refuses: the same cases on the fake of the tests and, where
// there is one, on a real kube-apiserver.
#include <algorithm>
#include <functional>
#include <iostream>
#include <map>
#include <set>
#include <utility>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "base/fd.h"
#include "base/strings.h"
#include "store/kubernetes/resource.h"
#include "tests/fakes/kube/kube_kinds.h"
#include "tests/store/kubernetes/api_under_test.h"

namespace mcpfleet::testing {
namespace {

using kube::Answer, kube::Call, kube::RestClient;
using std::chrono::seconds;

class ApiContract : public ::testing::TestWithParam<std::string> {
 protected:
  static ApiUnderTest* Api(const std::string& which) {
    static std::string missing;
    if (which == "Fake") {
      static const std::unique_ptr<ApiUnderTest> fake = ApiUnderTest::StartFake();
      return fake.get();
    }
    static const std::unique_ptr<ApiUnderTest> real = ApiUnderTest::StartReal(&missing);
    if (real == nullptr) {
      static const bool said = [] {
        std::cerr << "SKIPPED: the contract of the API server on a real one: " << missing << "\n";
        return true;
      }();
      (void)said;
    }
    return real.get();
  }
  void SetUp() override {
    api_ = Api(GetParam());
    if (api_ == nullptr) GTEST_SKIP() << "no real API server";
    admin_ = api_->Admin();
    mcplet_ = api_->Mcplet();
    namespace_ = api_->NewNamespace();
  }

  static Answer Do(RestClient& client, const Call& call) {
    StatusOr<Answer> answer = client.Do(call, Deadline::After(seconds(20)));
    EXPECT_TRUE(answer.ok()) << answer.status();
    return answer.ok() ? *answer : Answer{};
  }
  static Answer Send(RestClient& client, const std::string& method, const std::string& path, const Json& body,
                     const std::string& type, const std::string& query = "") {
    return Do(client, {.method = method, .path = path, .query = query, .content_type = type, .body = DumpJson(body)});
  }
  std::string Collection() const { return "/apis/mcpfleet.dev/v1alpha1/namespaces/" + namespace_ + "/mcpservers"; }
  Json Manifest(const std::string& name = "weather") const {
    return {{"apiVersion", kApiVersion},
            {"kind", "MCPServer"},
            {"metadata", {{"name", name}, {"namespace", namespace_}}},
            {"spec", {{"source", {{"image", {{"ref", "example/weather:1"}}}}}}}};
  }
  Json Create(const std::string& name = "weather") {
    const Answer answer = Send(*admin_, "POST", Collection(), Manifest(name), kube::kJson);
    EXPECT_EQ(answer.code, 201) << DumpJson(answer.body);
    return answer.body;
  }
  Json Status(const Json& object, Json status) const {
    return {{"apiVersion", kApiVersion},
            {"kind", "MCPServer"},
            {"metadata",
             {{"name", GetString(object["metadata"], "name")},
              {"namespace", namespace_},
              {"uid", object["metadata"]["uid"]}}},
            {"status", std::move(status)}};
  }
  static Json Entry(const std::string& node, const std::string& revision) {
    return {{"node", node}, {"revision", revision}};
  }
  Answer Apply(const Json& object, const Json& status, const std::string& manager, const std::string& more = "") {
    return Send(*mcplet_, "PATCH", Collection() + "/" + GetString(object["metadata"], "name") + "/status",
                Status(object, status), kube::kApplyPatch, "fieldManager=" + manager + more);
  }
  Json Get(const std::string& name = "weather") { return Do(*admin_, {.path = Collection() + "/" + name}).body; }
  std::vector<std::string> Nodes(const std::string& name = "weather") {
    std::vector<std::string> out;
    const Json object = Get(name);
    for (const Json& entry : GetMember(GetMember(object, "status"), "nodes"))
      out.push_back(GetString(entry, "node") + ":" + GetString(entry, "revision"));
    std::sort(out.begin(), out.end());
    return out;
  }

  ApiUnderTest* api_ = nullptr;
  std::unique_ptr<RestClient> admin_, mcplet_;
  std::string namespace_;
};

TEST_P(ApiContract, ATokenThatNobodyKnowsIsUnauthorized) {
  EXPECT_EQ(Do(*api_->Stranger(), {.path = kube::kServersPath}).code, 401);
}

TEST_P(ApiContract, WhatTheRoleDoesNotNameIsForbidden) {
  EXPECT_EQ(Do(*mcplet_, {.path = kube::kServersPath}).code, 200);
  EXPECT_EQ(Do(*mcplet_, {.path = "/api/v1/namespaces/" + namespace_ + "/secrets/x"}).code, 403);
  EXPECT_EQ(Send(*mcplet_, "POST", Collection(), Manifest(), kube::kJson).code, 403);
  const Json object = Create();
  EXPECT_EQ(Do(*mcplet_, {.method = "DELETE", .path = Collection() + "/weather"}).code, 403);
  EXPECT_EQ(Send(*mcplet_, "PUT", Collection() + "/weather", object, kube::kJson).code, 403);
  EXPECT_EQ(Do(*mcplet_, {.path = "/apis/coordination.k8s.io/v1/namespaces/" + namespace_ + "/leases"}).code, 403);
  EXPECT_EQ(Do(*mcplet_, {.path = "/apis/coordination.k8s.io/v1/namespaces/mcpfleet/leases"}).code, 200);
  const std::vector<std::string> refused = api_->Refusals();
  for (const char* what : {"create mcpservers", "delete mcpservers", "get secrets", "list leases", "update mcpservers"})
    EXPECT_NE(std::find(refused.begin(), refused.end(), what), refused.end()) << what;
}

TEST_P(ApiContract, AnObjectGetsUidVersionAndGenerationAndDefaults) {
  const Json object = Create();
  EXPECT_NE(GetString(object["metadata"], "uid"), "");
  EXPECT_NE(GetString(object["metadata"], "resourceVersion"), "");
  EXPECT_EQ(GetInt(object["metadata"], "generation"), 1);
  EXPECT_EQ(GetString(object["spec"], "runtime"), "Auto");
  EXPECT_EQ(Send(*admin_, "POST", Collection(), Manifest(), kube::kJson).code, 409);
}

TEST_P(ApiContract, UnknownFieldsAreRefusedWhenStrictAndPrunedElse) {
  Json wrong = Manifest();
  wrong["spec"]["sourse"] = "x";
  EXPECT_EQ(Send(*admin_, "POST", Collection(), wrong, kube::kJson, "fieldValidation=Strict").code, 400);
  const Answer pruned = Send(*admin_, "POST", Collection(), wrong, kube::kJson, "fieldValidation=Ignore");
  EXPECT_EQ(pruned.code, 201);
  EXPECT_FALSE(pruned.body["spec"].contains("sourse"));
}

TEST_P(ApiContract, AnInvalidObjectIsUnprocessable) {
  Json both = Manifest();
  both["spec"]["source"]["process"] = {{"path", "/x"}};
  EXPECT_EQ(Send(*admin_, "POST", Collection(), both, kube::kJson).code, 422);
  Json none = Manifest();
  none.erase("spec");
  EXPECT_EQ(Send(*admin_, "POST", Collection(), none, kube::kJson).code, 422);
}

TEST_P(ApiContract, AnotherContentTypeIsUnsupported) {
  const Json object = Create();
  EXPECT_EQ(
      Send(*mcplet_, "PATCH", Collection() + "/weather/status", Status(object, Json::object()), "text/plain").code,
      415);
  EXPECT_EQ(Send(*admin_, "POST", Collection(), Manifest("b"), "text/plain").code, 415);
}

TEST_P(ApiContract, EachNodeOwnsItsEntryOfTheStatus) {
  const Json object = Create();
  EXPECT_EQ(Apply(object, {{"nodes", {Entry("a", "1")}}}, "mcplet-a").code, 200);
  EXPECT_EQ(Apply(object, {{"nodes", {Entry("b", "1")}}}, "mcplet-b").code, 200);
  EXPECT_EQ(Nodes(), (std::vector<std::string>{"a:1", "b:1"}));
  EXPECT_EQ(Apply(object, {{"nodes", {Entry("a", "2")}}}, "mcplet-a").code, 200);
  EXPECT_EQ(Nodes(), (std::vector<std::string>{"a:2", "b:1"}));
  // What is not applied any more is given up.
  EXPECT_EQ(Apply(object, Json::object(), "mcplet-a").code, 200);
  EXPECT_EQ(Nodes(), (std::vector<std::string>{"b:1"}));
}

TEST_P(ApiContract, AnothersFieldIsAConflictUnlessForced) {
  const Json object = Create();
  EXPECT_EQ(Apply(object, {{"nodes", {Entry("a", "1")}}}, "mcplet-a").code, 200);
  EXPECT_EQ(Apply(object, {{"nodes", {Entry("a", "2")}}}, "someone").code, 409);
  EXPECT_EQ(Nodes(), (std::vector<std::string>{"a:1"}));
  EXPECT_EQ(Apply(object, {{"nodes", {Entry("a", "2")}}}, "someone", "&force=true").code, 200);
  EXPECT_EQ(Nodes(), (std::vector<std::string>{"a:2"}));
}

TEST_P(ApiContract, AStatusDoesNotCountAsAGenerationAndLeavesTheSpec) {
  const Json object = Create();
  Json wrong = Status(object, {{"nodes", {Entry("a", "1")}}});
  const Answer answer =
      Send(*mcplet_, "PATCH", Collection() + "/weather/status", wrong, kube::kApplyPatch, "fieldManager=a");
  EXPECT_EQ(answer.code, 200);
  EXPECT_EQ(GetInt(answer.body["metadata"], "generation"), 1);
  EXPECT_EQ(answer.body["spec"], object["spec"]);
  EXPECT_NE(GetString(answer.body["metadata"], "resourceVersion"), GetString(object["metadata"], "resourceVersion"));
}

TEST_P(ApiContract, ApplyingTheSameChangesNothing) {
  const Json object = Create();
  const Answer first = Apply(object, {{"nodes", {Entry("a", "1")}}}, "mcplet-a");
  const Answer second = Apply(object, {{"nodes", {Entry("a", "1")}}}, "mcplet-a");
  EXPECT_EQ(GetString(first.body["metadata"], "resourceVersion"),
            GetString(second.body["metadata"], "resourceVersion"));
}

TEST_P(ApiContract, AStatusWithAFieldThatIsNotDeclaredIsRefused) {
  const Json object = Create();
  Json entry = Entry("a", "1");
  entry["colour"] = "blue";
  EXPECT_GE(Apply(object, {{"nodes", {entry}}}, "mcplet-a").code, 400);
}

// A node can't rely on the uid: what it writes may reach the next object of that name, whose uid comes back.
TEST_P(ApiContract, AStatusOfNoObjectIsRefusedAndOfAnotherUidIsNot) {
  Json object = Create();
  const Json uid = std::exchange(object["metadata"]["uid"], "11111111-1111-4111-8111-111111111111");
  const Answer answer = Apply(object, {{"nodes", {Entry("a", "1")}}}, "mcplet-a");
  EXPECT_EQ(answer.code, 200) << DumpJson(answer.body);
  EXPECT_EQ(answer.body["metadata"]["uid"], uid);
  EXPECT_EQ(Nodes(), (std::vector<std::string>{"a:1"}));
  Json versioned = Status(object, {{"nodes", {Entry("a", "2")}}});
  versioned["metadata"]["resourceVersion"] = "1";
  EXPECT_EQ(
      Send(*mcplet_, "PATCH", Collection() + "/weather/status", versioned, kube::kApplyPatch, "fieldManager=mcplet-a")
          .code,
      409)
      << "of a version of before it is";
  object["metadata"]["name"] = "nobody";
  EXPECT_EQ(Apply(object, {{"nodes", {Entry("a", "1")}}}, "mcplet-a").code, 404);
}

TEST_P(ApiContract, AFinalizerHoldsADeletedObjectUntilItIsTakenOff) {
  Json object = Create();
  const auto patch = [&](const Json& at, const Json& finalizers) {
    return Send(*mcplet_, "PATCH", Collection() + "/weather",
                {{"metadata", {{"resourceVersion", at["metadata"]["resourceVersion"]}, {"finalizers", finalizers}}}},
                kube::kMergePatch);
  };
  ASSERT_EQ(patch(object, {kube::kFinalizer}).code, 200);
  EXPECT_EQ(patch(object, Json::array()).code, 409) << "a version of before";
  EXPECT_EQ(Do(*admin_, {.method = "DELETE", .path = Collection() + "/weather"}).code, 200);
  object = Get();
  EXPECT_NE(GetString(object["metadata"], "deletionTimestamp"), "");
  EXPECT_EQ(patch(object, {kube::kFinalizer, "example.com/another"}).code, 422);
  EXPECT_EQ(patch(object, Json::array()).code, 200);
  EXPECT_EQ(Do(*admin_, {.path = Collection() + "/weather"}).code, 404);
}

TEST_P(ApiContract, AListComesInPages) {
  for (const char* name : {"a", "b", "c"}) Create(name);
  const Answer first = Do(*admin_, {.path = Collection(), .query = "limit=2"});
  ASSERT_EQ(first.body["items"].size(), 2U);
  const std::string token = GetString(first.body["metadata"], "continue");
  ASSERT_NE(token, "");
  const Answer second = Do(*admin_, {.path = Collection(), .query = "limit=2&continue=" + PercentEncode(token)});
  ASSERT_EQ(second.body["items"].size(), 1U);
  EXPECT_EQ(second.body["items"][0]["metadata"]["name"], "c");
  EXPECT_EQ(GetString(second.body["metadata"], "continue"), "");
}

TEST_P(ApiContract, AWatchTellsWhatCameAfterItsVersion) {
  Create("a");
  const std::string version = GetString(Do(*admin_, {.path = Collection()}).body["metadata"], "resourceVersion");
  const Json b = Create("b");
  Apply(b, {{"nodes", {Entry("a", "1")}}}, "mcplet-a");
  Do(*admin_, {.method = "DELETE", .path = Collection() + "/a"});
  auto watch = mcplet_->Open({.path = kube::kServersPath,
                              .query = "watch=1&allowWatchBookmarks=true&timeoutSeconds=5&resourceVersion=" + version},
                             Deadline::After(seconds(10)));
  ASSERT_TRUE(watch.ok()) << watch.status();
  ASSERT_NE(watch->stream, nullptr);
  std::string text;
  for (;;) {
    StatusOr<std::string> piece = watch->stream->Read(Deadline::After(seconds(20)));
    if (!piece.ok() || piece->empty()) break;
    text += *piece;
  }
  std::string said;
  for (const std::string& line : Split(text, '\n')) {
    StatusOr<Json> event = ParseJson(line);
    if (!event.ok() || GetString((*event)["object"]["metadata"], "namespace") != namespace_) continue;
    said += GetString(*event, "type") + " " + GetString((*event)["object"]["metadata"], "name") + "; ";
  }
  EXPECT_EQ(said, "ADDED b; MODIFIED b; DELETED a; ");
}

TEST_P(ApiContract, AWatchFromNoVersionAtAllIsNoVersion) {
  for (const char* path : {kube::kServersPath, kube::kCoreNodesPath}) {
    const auto watch = mcplet_->Open({.path = path, .query = "watch=1&resourceVersion=abc&timeoutSeconds=1"},
                                     Deadline::After(seconds(10)));
    ASSERT_TRUE(watch.ok()) << watch.status();
    EXPECT_EQ(watch->stream, nullptr);
    EXPECT_EQ(watch->answer.code, 500) << DumpJson(watch->answer.body);
  }
}

TEST_P(ApiContract, ASecretIsFoundByItsName) {
  const auto secret = [&](const std::string& name) {
    return Json{
        {"apiVersion", "v1"}, {"kind", "Secret"}, {"metadata", {{"name", name}}}, {"data", {{"k", Base64Encode("v")}}}};
  };
  const std::string path = "/api/v1/namespaces/" + namespace_ + "/secrets";
  EXPECT_EQ(Send(*admin_, "POST", path, secret("one"), kube::kJson).code, 201);
  EXPECT_EQ(Send(*admin_, "POST", path, secret("two"), kube::kJson).code, 201);
  const Answer answer = Do(*mcplet_, {.path = path, .query = "fieldSelector=metadata.name%3Dtwo&limit=500"});
  ASSERT_EQ(answer.body["items"].size(), 1U);
  EXPECT_EQ(answer.body["items"][0]["metadata"]["name"], "two");
}

TEST_P(ApiContract, OfTwoWhoUpdateALeaseOneIsTooLate) {
  const std::string path = "/apis/coordination.k8s.io/v1/namespaces/mcpfleet/leases";
  const std::string name = "contract-" + namespace_;
  Json lease = {
      {"apiVersion", "coordination.k8s.io/v1"},
      {"kind", "Lease"},
      {"metadata", {{"name", name}, {"namespace", "mcpfleet"}}},
      {"spec", {{"holderIdentity", "a"}, {"leaseDurationSeconds", 30}, {"renewTime", "2026-11-22T00:00:00.000000Z"}}}};
  const Answer created = Send(*mcplet_, "POST", path, lease, kube::kJson);
  ASSERT_EQ(created.code, 201) << DumpJson(created.body);
  Json mine = created.body, theirs = created.body;
  theirs["spec"]["holderIdentity"] = "b";
  mine["spec"]["holderIdentity"] = "c";
  EXPECT_EQ(Send(*mcplet_, "PUT", path + "/" + name, theirs, kube::kJson).code, 200);
  EXPECT_EQ(Send(*mcplet_, "PUT", path + "/" + name, mine, kube::kJson).code, 409);
}

TEST_P(ApiContract, ALeaseIsMadeByApplyingIt) {
  const std::string name = "applied-" + namespace_;
  const std::string path = "/apis/coordination.k8s.io/v1/namespaces/mcpfleet/leases/" + name;
  const Json lease = {
      {"apiVersion", "coordination.k8s.io/v1"},
      {"kind", "Lease"},
      {"metadata", {{"name", name}, {"namespace", "mcpfleet"}, {"labels", {{"mcpfleet.dev/node", "a"}}}}},
      {"spec", {{"holderIdentity", "a"}}}};
  EXPECT_EQ(Send(*mcplet_, "PATCH", path, lease, kube::kApplyPatch, "fieldManager=a&force=true").code, 201);
  EXPECT_EQ(Send(*mcplet_, "PATCH", path, lease, kube::kApplyPatch, "fieldManager=a&force=true").code, 200);
  const Answer listed = Do(*mcplet_, {.path = "/apis/coordination.k8s.io/v1/namespaces/mcpfleet/leases",
                                      .query = "labelSelector=mcpfleet.dev%2Fnode"});
  EXPECT_GE(listed.body["items"].size(), 1U);
}

TEST_P(ApiContract, ALeaseIsRemovedOnlyAsItWasSeen) {
  const std::string name = "gone-" + namespace_;
  const std::string path = "/apis/coordination.k8s.io/v1/namespaces/mcpfleet/leases/" + name;
  Json lease = {
      {"apiVersion", "coordination.k8s.io/v1"},
      {"kind", "Lease"},
      {"metadata", {{"name", name}, {"namespace", "mcpfleet"}, {"annotations", {{"mcpfleet.dev/core-node", "a.b"}}}}},
      {"spec", {{"holderIdentity", "a"}}}};
  const auto apply = [&] {
    return Send(*mcplet_, "PATCH", path, lease, kube::kApplyPatch, "fieldManager=a&force=true");
  };
  const auto remove = [&](const Json& seen) {
    return Send(*mcplet_, "DELETE", path,
                {{"apiVersion", "v1"},
                 {"kind", "DeleteOptions"},
                 {"preconditions", {{"resourceVersion", seen["metadata"]["resourceVersion"]}}}},
                kube::kJson)
        .code;
  };
  const Json first = apply().body;
  lease["spec"]["holderIdentity"] = "b";
  const Json second = apply().body;
  EXPECT_EQ(remove(first), 409) << "it was renewed meanwhile";
  EXPECT_EQ(remove(second), 200);
  EXPECT_EQ(remove(second), 404);
}

TEST_P(ApiContract, ANodeIsAskedForByItsNameInAList) {
  const std::string name = "node-" + namespace_ + ".example.com";
  const Json node = {{"apiVersion", "v1"}, {"kind", "Node"}, {"metadata", {{"name", name}}}};
  const auto found = [&] {
    return Do(*mcplet_, {.path = kube::kCoreNodesPath, .query = "limit=1&fieldSelector=metadata.name%3D" + name})
        .body["items"]
        .size();
  };
  EXPECT_EQ(found(), 0U);
  EXPECT_EQ(Send(*admin_, "POST", kube::kCoreNodesPath, node, kube::kJson).code, 201);
  EXPECT_EQ(found(), 1U);
  EXPECT_EQ(Do(*admin_, {.method = "DELETE", .path = std::string(kube::kCoreNodesPath) + "/" + name}).code, 200);
  EXPECT_EQ(found(), 0U);
}

TEST_P(ApiContract, AnEventIsWrittenAndItsSeriesCounted) {
  const Json server = Create();
  Json event = {
      {"apiVersion", "events.k8s.io/v1"},
      {"kind", "Event"},
      {"metadata", {{"name", "weather.1"}, {"namespace", namespace_}}},
      {"eventTime", "2026-11-22T00:00:00.000000Z"},
      {"type", "Normal"},
      {"reason", "Started"},
      {"action", "Started"},
      {"note", "a: it runs"},
      {"reportingController", "mcpfleet.dev/mcplet"},
      {"reportingInstance", "a"},
      {"regarding",
       {{"kind", "MCPServer"}, {"namespace", namespace_}, {"name", "weather"}, {"uid", server["metadata"]["uid"]}}}};
  const std::string path = "/apis/events.k8s.io/v1/namespaces/" + namespace_ + "/events";
  EXPECT_EQ(Send(*mcplet_, "POST", path, event, kube::kJson).code, 201);
  const Json series = {{"series", {{"count", 2}, {"lastObservedTime", "2026-11-22T00:01:00.000000Z"}}}};
  EXPECT_EQ(Send(*mcplet_, "PATCH", path + "/weather.1", series, kube::kMergePatch).code, 200);
  event["metadata"]["name"] = "weather.2";
  event["note"] = std::string(1025, 'x');
  EXPECT_EQ(Send(*mcplet_, "POST", path, event, kube::kJson).code, 422);
}

// tests/crd/testdata/rules.json, which mcpctl and mcplet are held to as well (tests/crd/rule_table_test.cc).
TEST_P(ApiContract, TheTableOfRulesIsWhatItRefuses) {
  StatusOr<std::string> text =
      ReadFile(std::string(MCPFLEET_SOURCE_DIR) + "/tests/crd/testdata/rules.json", size_t{1} << 20);
  ASSERT_TRUE(text.ok()) << text.status();
  StatusOr<Json> table = ParseJson(*text);
  ASSERT_TRUE(table.ok()) << table.status();
  ASSERT_GT((*table)["cases"].size(), 80U);
  std::set<std::string> said;
  int number = 0;
  for (const Json& each : (*table)["cases"]) {
    const std::string kind = GetString(each, "kind"), name = "case-" + std::to_string(++number);
    const std::string collection = "/apis/mcpfleet.dev/v1alpha1/namespaces/" + namespace_ + "/" + ToLower(kind) + "s";
    const auto object = [&](const char* spec) {
      return Json{{"apiVersion", kApiVersion},
                  {"kind", kind},
                  {"metadata", {{"name", name}, {"namespace", namespace_}}},
                  {"spec", each[spec]}};
    };
    const Json& refused = GetMember(each, "refused");
    Answer answer;
    if (each.contains("oldSpec")) {
      Json changed = Send(*admin_, "POST", collection, object("oldSpec"), kube::kJson, "fieldValidation=Strict").body;
      changed["spec"] = each["spec"];
      answer = Send(*admin_, "PUT", collection + "/" + name, changed, kube::kJson, "fieldValidation=Strict");
    } else {
      answer = Send(*admin_, "POST", collection, object("spec"), kube::kJson, "fieldValidation=Strict");
    }
    EXPECT_EQ(answer.code, refused.is_array()         ? 422
                           : each.contains("oldSpec") ? 200
                                                      : 201)
        << each["name"] << " " << DumpJson(answer.body);
    if (api_->Crds() == nullptr || !refused.is_array()) continue;  // the fake judges by the validation of mcpctl
    std::set<std::string> expected, messages;
    for (const Json& message : refused) expected.insert(message.get<std::string>());
    for (const Json& cause : GetMember(GetMember(answer.body, "details"), "causes")) {
      // "Invalid value: <the rule's message>", before 1.36 with "<its type>": between them.
      std::string message = GetString(cause, "message");
      for (const char* before : {"Invalid value: ", "\"object\": ", "\"array\": ", "\"string\": "})
        if (message.starts_with(before)) message.erase(0, std::string(before).size());
      messages.insert(message);
    }
    EXPECT_EQ(messages, expected) << each["name"] << " " << DumpJson(answer.body);
    said.insert(messages.begin(), messages.end());
  }
  if (api_->Crds() == nullptr) return;
  // Every rule has said its message.
  const std::function<void(const Json&)> look = [&](const Json& schema) {
    if (!schema.is_object()) {
      for (const Json& each : schema.is_array() ? schema : Json::array()) look(each);
      return;
    }
    for (const Json& rule : GetMember(schema, "x-kubernetes-validations"))
      EXPECT_TRUE(said.contains(GetString(rule, "message"))) << DumpJson(rule);
    for (const auto& [member, value] : schema.items()) look(value);
  };
  for (const char* file : {"mcpserver.yaml", "mcpnode.yaml", "mcpsecret.yaml"}) look(CrdJson(file));
}

// Of those that have CustomResourceDefinitions as objects.
class CrdContract : public ApiContract {};

TEST_P(CrdContract, TheDefinitionsAreEstablishedAndNothingOfThemIsLost) {
  for (const char* file : {"mcpserver.yaml", "mcpnode.yaml", "mcpsecret.yaml"}) {
    const Json sent = CrdJson(file);
    const std::string name = GetString(sent["metadata"], "name");
    const Json kept =
        Do(*api_->Crds(), {.path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/" + name}).body;
    std::map<std::string, std::string> conditions;
    for (const Json& condition : GetMember(GetMember(kept, "status"), "conditions"))
      conditions[GetString(condition, "type")] = GetString(condition, "status");
    EXPECT_EQ(conditions, (std::map<std::string, std::string>{{"Established", "True"}, {"NamesAccepted", "True"}}))
        << DumpJson(GetMember(kept, "status"));  // NonStructuralSchema would be another
    ASSERT_EQ(kept["spec"]["versions"].size(), sent["spec"]["versions"].size());
    for (size_t i = 0; i < sent["spec"]["versions"].size(); ++i) {
      const Json &before = sent["spec"]["versions"][i], &after = kept["spec"]["versions"][i];
      EXPECT_EQ(before["schema"], after["schema"]) << Json::diff(before["schema"], after["schema"]).dump();
      EXPECT_EQ(GetMember(before, "subresources"), GetMember(after, "subresources"));
      EXPECT_EQ(GetMember(before, "additionalPrinterColumns").size(),
                GetMember(after, "additionalPrinterColumns").size());
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Servers, CrdContract, ::testing::Values("Real"),
                         [](const auto& value) { return value.param; });
INSTANTIATE_TEST_SUITE_P(Servers, ApiContract, ::testing::Values("Fake", "Real"),
                         [](const auto& value) { return value.param; });

}  // namespace
}  // namespace mcpfleet::testing
