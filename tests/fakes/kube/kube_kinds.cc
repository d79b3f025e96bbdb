#include "tests/fakes/kube/kube_kinds.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "base/fd.h"
#include "crd/manifest.h"

namespace mcpfleet::testing {
namespace {

Json Text() { return {{"type", "string"}}; }
Json Number() { return {{"type", "integer"}}; }
Json Texts() { return {{"type", "object"}, {"additionalProperties", Text()}}; }
Json Object(Json properties) { return {{"type", "object"}, {"properties", std::move(properties)}}; }

// metadata of any object.
Json Metadata() {
  return Object({{"name", Text()},
                 {"generateName", Text()},
                 {"namespace", Text()},
                 {"uid", Text()},
                 {"resourceVersion", Text()},
                 {"generation", Number()},
                 {"creationTimestamp", Text()},
                 {"deletionTimestamp", Text()},
                 {"labels", Texts()},
                 {"annotations", Texts()},
                 {"ownerReferences", {{"type", "array"}, {"items", Texts()}}},
                 {"finalizers", {{"type", "array"}, {"x-kubernetes-list-type", "set"}, {"items", Text()}}}});
}

Json Whole(Json members) {
  Json schema = Object(std::move(members));
  schema["properties"]["apiVersion"] = Text();
  schema["properties"]["kind"] = Text();
  schema["properties"]["metadata"] = Metadata();
  return schema;
}

}  // namespace

Json CrdJson(const std::string& file) {
  const std::string path = std::string(MCPFLEET_SOURCE_DIR) + "/crd/" + file;
  StatusOr<std::string> text = ReadFile(path, size_t{1} << 20);
  StatusOr<Json> json = text.ok() ? ParseYaml(*text, file, nullptr, nullptr) : text.status();
  EXPECT_TRUE(json.ok()) << json.status();
  return json.ok() ? *json : Json::object();
}

std::vector<KubeKind> KubeKinds() {
  std::vector<KubeKind> kinds;
  for (const char* file : {"mcpserver.yaml", "mcpnode.yaml", "mcpsecret.yaml"}) {
    const Json crd = CrdJson(file);
    const Json& spec = crd["spec"];
    const Json& version = spec["versions"][0];
    KubeKind kind{.group = GetString(spec, "group"),
                  .version = GetString(version, "name"),
                  .plural = GetString(spec["names"], "plural"),
                  .kind = GetString(spec["names"], "kind"),
                  .namespaced = GetString(spec, "scope") == "Namespaced",
                  .custom = true,
                  .status = GetMember(version, "subresources").contains("status"),
                  .schema = version["schema"]["openAPIV3Schema"]};
    kind.schema["properties"]["metadata"] = Metadata();
    kind.singular = GetString(spec["names"], "singular");
    kind.short_names = GetMember(spec["names"], "shortNames");
    kind.categories = GetMember(spec["names"], "categories");
    kind.columns = GetMember(version, "additionalPrinterColumns");
    kinds.push_back(std::move(kind));
  }
  kinds.push_back(
      {"", "v1", "secrets", "Secret", true, false, false,
       Whole({{"data", Texts()}, {"stringData", Texts()}, {"type", Text()}, {"immutable", {{"type", "boolean"}}}})});
  kinds.push_back({"", "v1", "nodes", "Node", false, false, false,
                   Whole({{"spec", Object({{"unschedulable", {{"type", "boolean"}}}, {"podCIDR", Text()}})}})});
  kinds.push_back({"coordination.k8s.io", "v1", "leases", "Lease", true, false, false,
                   Whole({{"spec", Object({{"holderIdentity", Text()},
                                           {"leaseDurationSeconds", Number()},
                                           {"acquireTime", Text()},
                                           {"renewTime", Text()},
                                           {"leaseTransitions", Number()}})}})});
  Json event = Whole(
      {{"eventTime", Text()},
       {"type", Text()},
       {"reason", Text()},
       {"action", Text()},
       {"note", {{"type", "string"}, {"maxLength", 1024}}},
       {"reportingController", Text()},
       {"reportingInstance", {{"type", "string"}, {"maxLength", 128}}},
       {"series", Object({{"count", Number()}, {"lastObservedTime", Text()}})},
       {"regarding",
        Object({{"apiVersion", Text()}, {"kind", Text()}, {"namespace", Text()}, {"name", Text()}, {"uid", Text()}})}});
  event["required"] = {"eventTime", "type", "reason", "action", "reportingController", "reportingInstance"};
  kinds.push_back({"events.k8s.io", "v1", "events", "Event", true, false, false, std::move(event)});
  return kinds;
}

}  // namespace mcpfleet::testing
