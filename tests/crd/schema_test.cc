#include "crd/schema.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <regex>
#include <set>
#include <sstream>

#include <nlohmann/json.hpp>

#include "crd/codec.h"
#include "crd/manifest.h"
#include "crd/object.h"
#include "crd/rules.h"
#include "crd/spec_codec.h"

namespace mcpfleet {
namespace {

using Type = SchemaNode::Type;

std::string ReadFile(const std::filesystem::path& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

Json Server(Json spec, std::string name = "weather") {
  return {{"apiVersion", kApiVersion}, {"kind", kKindServer}, {"metadata", {{"name", name}}}, {"spec", std::move(spec)}};
}
Json ImageSpec() { return {{"source", {{"image", {{"ref", "ghcr.io/example/weather:1.4.2"}}}}}}; }
Json NpmSpec(std::string version = "1.4.2") {
  return {{"source", {{"package", {{"manager", "npm"}, {"name", "@example/weather"}, {"version", version}}}}}};
}
Json RemoteSpec(std::string url = "https://mcp.example.com/mcp") { return {{"source", {{"remote", {{"url", url}}}}}}; }

std::vector<std::string> Problems(const Json& object) {
  std::vector<std::string> out;
  for (const Violation& violation : Schema::Builtin().Validate(GetString(object, "kind"), object)) out.push_back(ToString(violation));
  return out;
}
std::string Problem(const Json& object) {
  std::vector<std::string> all = Problems(object);
  if (all.empty()) return "";
  return all.size() == 1 ? all[0] : "more than one: " + all[0] + " | " + all[1];
}
Json With(Json spec, const std::string& pointer, Json value) {
  spec[Json::json_pointer(pointer)] = std::move(value);
  return spec;
}

void Walk(const SchemaNode& node, const std::string& path, const std::function<void(const std::string&, const SchemaNode&)>& visit) {
  visit(path, node);
  for (const auto& [name, child] : node.properties) Walk(*child, path + "." + name, visit);
  if (node.items) Walk(*node.items, path + "[]", visit);
}

TEST(SchemaTest, EveryFieldHasADescriptionThatIsASentence) {
  int fields = 0;
  for (const auto& kind : Schema::Builtin().kinds()) {
    Walk(*kind->root, kind->kind, [&](const std::string& path, const SchemaNode& node) {
      ++fields;
      EXPECT_FALSE(node.description.empty()) << path;
      if (!node.description.empty()) { EXPECT_TRUE(node.description.ends_with(".") || node.description.ends_with("…")) << path; }
    });
  }
  EXPECT_GT(fields, 120);
}

TEST(SchemaTest, EveryTextAndListOfASpecIsBounded) {
  for (const auto& kind : Schema::Builtin().kinds()) {
    Walk(*kind->root->properties.at("spec"), kind->kind, [&](const std::string& path, const SchemaNode& node) {
      if (node.type == Type::kString && node.enumeration.empty()) { EXPECT_TRUE(node.max_length.has_value()) << path; }
      if (node.type == Type::kIntOrString) { EXPECT_TRUE(node.max_length.has_value()) << path; }
      if (node.type == Type::kArray || node.type == Type::kMap) { EXPECT_TRUE(node.max_items.has_value()) << path; }
      if (node.type == Type::kInteger) { EXPECT_TRUE(node.minimum && node.maximum) << path; }
    });
  }
}

TEST(SchemaTest, EveryPatternCompilesAndFitsItsExample) {
  for (const auto& kind : Schema::Builtin().kinds()) {
    Walk(*kind->root, kind->kind, [&](const std::string& path, const SchemaNode& node) {
      if (node.pattern.empty()) return;
      std::regex pattern(node.pattern);
      if (!node.example.empty()) { EXPECT_TRUE(std::regex_search(node.example, pattern)) << path; }
    });
  }
}

TEST(SchemaTest, EveryDefaultIsValidWhereItStands) {
  for (const auto& kind : Schema::Builtin().kinds()) {
    Walk(*kind->root, kind->kind, [&](const std::string& path, const SchemaNode& node) {
      if (!node.has_default) return;
      Json value = Json::parse(node.default_json);
      if (!node.enumeration.empty()) {
        EXPECT_NE(std::find(node.enumeration.begin(), node.enumeration.end(), value), node.enumeration.end()) << path;
      }
      if (node.minimum) { EXPECT_GE(value.get<int64_t>(), *node.minimum) << path; }
    });
  }
}

TEST(SchemaTest, KindsAreFoundByKindPluralSingularAndShortName) {
  for (const char* name : {"MCPServer", "mcpservers", "mcpserver", "mcp", "mcps", "MCPS"}) {
    ASSERT_NE(Schema::Builtin().Find(name), nullptr) << name;
    EXPECT_EQ(Schema::Builtin().Find(name)->kind, "MCPServer");
  }
  EXPECT_EQ(Schema::Builtin().Find("mcpn")->kind, "MCPNode");
  EXPECT_FALSE(Schema::Builtin().Find("mcpn")->namespaced);
  EXPECT_EQ(Schema::Builtin().Find("pods"), nullptr);
}

TEST(SchemaTest, AKeywordThatIsNotImplementedIsRefused) {
  std::string crd = ReadFile(std::string(MCPFLEET_SOURCE_DIR) + "/crd/mcpnode.yaml");
  ASSERT_TRUE(Schema::Parse({crd}).ok());
  std::string broken = std::regex_replace(crd, std::regex("default: false"), "default: false\n                  exclusiveMinimum: true");
  ASSERT_NE(broken, crd);
  EXPECT_EQ(Schema::Parse({broken}).status().code(), StatusCode::kInternal);
}

TEST(SchemaTest, EveryExampleIsValid) {
  int files = 0, objects = 0;
  for (const char* folder : {"/manifests/examples", "/manifests/quickstart"}) {
    for (const auto& entry : std::filesystem::directory_iterator(std::string(MCPFLEET_SOURCE_DIR) + folder)) {
      if (entry.path().extension() != ".yaml") continue;
      std::vector<Violation> violations;
      auto parsed = ParseManifest(ReadFile(entry.path()), entry.path().filename(), &violations);
      EXPECT_TRUE(parsed.ok()) << ToString(violations);
      if (!parsed.ok()) continue;
      ++files;
      objects += static_cast<int>(parsed->size());
      for (const ManifestObject& object : *parsed) {
        if (object.object.kind == kKindServer) { EXPECT_TRUE(ServerSpecOf(object.object).ok()) << entry.path(); }
      }
    }
  }
  EXPECT_GE(files, 6);
  EXPECT_GE(objects, 7);
}

// --- the fields, as data -------------------------------------------------------------------------------------------

// Specs that use, together, every field with a value other than the default, in the form that EncodeServerSpec writes.
std::vector<Json> FullSpecs() {
  Json image = Json::parse(R"({
    "source": {"image": {"ref": "ghcr.io/example/weather:1.4.2", "pullPolicy": "Always"}},
    "command": ["/server"], "args": ["--a", "b"], "env": [{"name": "A", "value": "1"}],
    "volumes": [{"name": "data", "hostPath": "/srv", "mountPath": "/data", "readOnly": true},
                {"name": "tmp", "tmpfs": {"size": "64Mi"}, "mountPath": "/scratch"}],
    "runtime": "Docker", "transport": "streamable-http", "port": 8080, "path": "/x",
    "resources": {"limits": {"cpu": "500m", "memory": "512Mi", "pids": 64}},
    "securityContext": {"runAsUser": 1000, "readOnlyRootFilesystem": false, "capabilities": {"add": ["CHOWN"]},
                        "network": "Outbound", "enforcement": "BestEffort"},
    "placement": {"nodes": ["edge-01"], "nodeSelector": {"site": "berlin"}},
    "suspend": true,
    "probes": {"startup": {"timeoutSeconds": 61},
               "liveness": {"periodSeconds": 21, "timeoutSeconds": 11, "failureThreshold": 4},
               "readiness": {"periodSeconds": 61, "timeoutSeconds": 12, "failureThreshold": 3,
                             "requiredTools": ["echo"], "requiredCapabilities": ["tools"]}},
    "restartPolicy": {"condition": "OnFailure", "backoff": {"initial": "2s", "max": "1m"}, "resetAfter": "2m", "maxAttempts": 5},
    "terminationGracePeriod": "20s",
    "logs": {"maxSize": "5Mi", "maxFiles": 2}})");
  Json package = {{"source", {{"package", {{"manager", "pypi"}, {"name", "time"}, {"version", "1.4.2"},
                  {"integrity", "sha256-" + std::string(64, 'a')}}}}}};
  Json process = {{"source", {{"process", {{"path", "/opt/x"}, {"sha256", std::string(64, 'a')}}}}}};
  Json remote = {{"source", {{"remote", {{"url", "https://x.example.com/mcp"}, {"headers", {{{"name", "A"}, {"value", "b"}}}}}}}}};
  return {image, package, process, remote};
}

void LeavesOf(const Json& value, const std::string& path, std::set<std::string>* out) {
  if (value.is_object() && !path.ends_with("nodeSelector")) {
    for (auto it = value.begin(); it != value.end(); ++it) LeavesOf(*it, path + "." + it.key(), out);
  } else if (value.is_array() && !value.empty() && value[0].is_object()) {
    for (const Json& item : value) LeavesOf(item, path + "[]", out);
  } else {
    out->insert(path);
  }
}

std::set<std::string> SchemaLeaves() {
  std::set<std::string> leaves;
  std::function<void(const SchemaNode&, const std::string&)> visit = [&](const SchemaNode& node, const std::string& path) {
    if (node.type == Type::kObject) {
      for (const auto& [name, child] : node.properties) visit(*child, path + "." + name);
    } else if (node.type == Type::kArray && node.items->type == Type::kObject) {
      visit(*node.items, path + "[]");
    } else {
      leaves.insert(path);
    }
  };
  visit(*Schema::Builtin().Find("mcp")->root->properties.at("spec"), "");
  return leaves;
}

TEST(SchemaTest, EveryFieldOfTheSchemaIsDecoded) {
  std::set<std::string> decoded;
  for (const Json& spec : FullSpecs()) {
    EXPECT_EQ(Problem(Server(spec)), "");
    StatusOr<ServerSpec> typed = DecodeServerSpec(spec);
    ASSERT_TRUE(typed.ok()) << typed.status();
    EXPECT_EQ(EncodeServerSpec(*typed), spec);
    LeavesOf(spec, "", &decoded);
  }
  EXPECT_EQ(decoded, SchemaLeaves());
}

TEST(SchemaTest, DefaultsOfTheSchemaAreThoseOfTheDecoder) {
  for (Json spec : {ImageSpec(), NpmSpec(), RemoteSpec()}) {
    Json object = Server(spec);
    // Every parent present, so that every default below it is filled in.
    if (!spec["source"].contains("remote")) {
      object["spec"].update(Json::parse(R"({"resources": {"limits": {}}, "securityContext": {"capabilities": {}}, "logs": {},
        "probes": {"startup": {}, "liveness": {}, "readiness": {}}, "restartPolicy": {"backoff": {}}, "placement": {}})"));
    }
    Schema::Builtin().ApplyDefaults(kKindServer, &object);
    StatusOr<ServerSpec> typed = DecodeServerSpec(object["spec"]);
    ASSERT_TRUE(typed.ok());
    EXPECT_EQ(EncodeServerSpec(*typed), spec);
  }
  Json object = Server(ImageSpec());
  object["spec"]["resources"]["limits"]["pids"] = 7;
  Schema::Builtin().ApplyDefaults(kKindServer, &object);
  EXPECT_EQ(object["spec"]["resources"]["limits"]["memory"], "256Mi");
  EXPECT_EQ(object["spec"]["resources"]["limits"]["pids"], 7);
  EXPECT_EQ(object["spec"]["runtime"], "Auto");
}

TEST(SchemaTest, ADefaultedObjectIsStillValid) {
  for (Json spec : FullSpecs()) {
    Json object = Server(spec);
    Schema::Builtin().ApplyDefaults(kKindServer, &object);
    EXPECT_EQ(Problem(object), "");
  }
}

// --- revisions ------------------------------------------------------------------------------------------------------

void EachChange(const Json& spec, const std::string& pointer, const std::function<void(const std::string&, const Json&)>& visit) {
  const Json& value = spec[Json::json_pointer(pointer)];
  if (value.is_structured()) {
    for (auto it = value.begin(); it != value.end(); ++it) {
      std::string key = value.is_array() ? std::to_string(it - value.begin()) : it.key();
      EachChange(spec, pointer + "/" + key, visit);
    }
    return;
  }
  static const std::map<std::string, std::string> others = {
      {"Always", "Never"}, {"Docker", "Auto"}, {"streamable-http", "stdio"}, {"Outbound", "Host"}, {"BestEffort", "Required"},
      {"OnFailure", "Never"}, {"pypi", "npm"}, {"500m", "501m"}, {"512Mi", "513Mi"}, {"64Mi", "65Mi"}, {"5Mi", "6Mi"},
      {"2s", "3s"}, {"1m", "1m1s"}, {"2m", "2m1s"}, {"20s", "21s"}};
  Json changed = value;
  if (value.is_boolean()) changed = !value.get<bool>();
  if (value.is_number()) changed = value.get<int>() + 1;
  if (value.is_string()) {
    auto other = others.find(value.get<std::string>());
    changed = other == others.end() ? value.get<std::string>() + "x" : other->second;
  }
  visit(pointer, With(spec, pointer, changed));
}

TEST(RevisionTest, MovesForEveryFieldButThoseThatNeedNoNewInstance) {
  int moved = 0, kept = 0;
  for (const Json& spec : FullSpecs()) {
    std::string before = RevisionOf(*DecodeServerSpec(spec));
    EXPECT_EQ(before.size(), 64u);
    EachChange(spec, "", [&](const std::string& pointer, const Json& changed) {
      StatusOr<ServerSpec> typed = DecodeServerSpec(changed);
      ASSERT_TRUE(typed.ok()) << pointer << typed.status();
      bool needs_instance = true;
      for (const char* field : {"/placement", "/suspend", "/probes", "/restartPolicy", "/terminationGracePeriod"}) {
        if (pointer.starts_with(field)) needs_instance = false;
      }
      EXPECT_EQ(RevisionOf(*typed) != before, needs_instance) << pointer;
      ++(needs_instance ? moved : kept);
    });
  }
  EXPECT_GE(moved, 30);
  EXPECT_EQ(kept, 18);
}

TEST(RevisionTest, WritingADefaultOutChangesNothing) {
  Json written = ImageSpec();
  written["runtime"] = "Auto";
  written["resources"]["limits"] = {{"cpu", 1}, {"memory", "262144Ki"}};
  EXPECT_EQ(RevisionOf(*DecodeServerSpec(written)), RevisionOf(*DecodeServerSpec(ImageSpec())));
}

// The SHA-256 of {"source":{"image":{"ref":"ghcr.io/example/weather:1.4.2"}}}: a change restarts every fleet.
TEST(RevisionTest, IsTheSameInEveryBuild) {
  EXPECT_EQ(RevisionOf(*DecodeServerSpec(ImageSpec())), "be8224381055739165e232dd5402af2fda34a7b2d2256e51a61458c16f744377");
}

// --- rules ----------------------------------------------------------------------------------------------------------

TEST(RulesTest, ExactlyOneSourceIsNeeded) {
  EXPECT_EQ(Problem(Server({{"source", Json::object()}})),
            "spec.source: names no source; allowed: exactly one of image, package, process, remote");
  EXPECT_EQ(Problem(Server(With(ImageSpec(), "/source/process", {{"path", "/x"}}))),
            "spec.source: names image and process; allowed: exactly one of image, package, process, remote");
  EXPECT_EQ(Problem(Server(Json::object())), "spec.source: is missing");
}

TEST(RulesTest, OnlyExactVersionsAreTaken) {
  for (const char* version : {"^1.2.3", "~1.2.3", "latest", "1.x", "1.2", "*", ">=1.2.3", "v1.2.3", "1.2.3 || 2.0.0", "-1.2.3"}) {
    EXPECT_NE(Problem(Server(NpmSpec(version))), "") << version;
  }
  for (const char* version : {"1.2.3", "2026.8.31", "1.0.0-beta.1", "1.0.0+build.5"}) EXPECT_EQ(Problem(Server(NpmSpec(version))), "") << version;
  Json pypi = NpmSpec();
  pypi["source"]["package"] = {{"manager", "pypi"}, {"name", "time"}, {"version", "1.2"}};
  EXPECT_EQ(Problem(Server(pypi)), "");
  for (const char* version : {"1.2.*", ">=1", "~=1.2", "latest", "==1.2"}) {
    EXPECT_NE(Problem(Server(With(pypi, "/source/package/version", version))), "") << version;
  }
  EXPECT_EQ(Problem(Server(NpmSpec("latest"))),
            "spec.source.package.version: \"latest\" is not an exact version; allowed: a version such as 1.4.2 (no range, no "
            "tag), so that every node runs the same");
}

TEST(RulesTest, IntegrityHasTheFormOfItsRegistry) {
  std::string npm = "sha512-" + std::string(86, 'A') + "==", pypi = "sha256-" + std::string(64, 'a');
  EXPECT_EQ(Problem(Server(With(NpmSpec(), "/source/package/integrity", npm))), "");
  EXPECT_NE(Problem(Server(With(NpmSpec(), "/source/package/integrity", pypi))), "");
  EXPECT_NE(Problem(Server(With(NpmSpec(), "/source/package/integrity", "sha1-abc"))), "");
}

TEST(RulesTest, APackageNameCannotBecomeAnOption) {
  for (const char* name : {"--registry=http://evil", "-g", "a b", "../x", "@/x", "a/b", ""}) {
    EXPECT_NE(Problem(Server(With(NpmSpec(), "/source/package/name", name))), "") << name;
  }
}

TEST(RulesTest, PortBelongsToHttp) {
  EXPECT_EQ(Problem(Server(With(ImageSpec(), "/transport", "streamable-http"))),
            "spec.port: is missing; transport streamable-http needs it; allowed: 1 to 65535");
  EXPECT_NE(Problem(Server(With(ImageSpec(), "/port", 80))), "");
  EXPECT_EQ(Problem(Server(With(With(ImageSpec(), "/transport", "streamable-http"), "/port", 80))), "");
  EXPECT_EQ(Problem(Server(With(With(ImageSpec(), "/transport", "streamable-http"), "/port", 0))),
            "spec.port: 0 is out of range; allowed: 1 to 65535");
}

TEST(RulesTest, ARemoteServerTakesNothingThatRunsHere) {
  EXPECT_EQ(Problem(Server(RemoteSpec())), "");
  for (auto [field, value] : std::map<std::string, Json>{{"command", {"x"}}, {"args", {"x"}}, {"volumes", Json::array()},
                                                         {"runtime", "Process"}, {"port", 80}, {"transport", "stdio"},
                                                         {"resources", Json::object()}, {"env", Json::array()}}) {
    EXPECT_NE(Problem(Server(With(RemoteSpec(), "/" + field, value))), "") << field;
  }
}

TEST(RulesTest, RemoteUrlsAreHttpsOrLoopback) {
  for (const char* url : {"https://x.example.com/mcp", "https://x.example.com:8443/mcp?a=b", "http://127.0.0.1:8080/mcp",
                          "http://localhost/mcp", "http://[::1]:80/", "https://[2001:db8::1]/mcp"}) {
    EXPECT_EQ(CheckRemoteUrl(url), "") << url;
  }
  for (const char* url : {"http://example.com/mcp", "http://127.0.0.1.evil.com/", "http://localhost.evil.com/", "ftp://x/", "https://",
                          "https://user:pw@example.com/", "http://localhost@evil.com/", "https://x/#f", "https://x:0/", "https://x:99999/",
                          "https://a b/", "https://[::1", "http://[::1]evil.com/", "https:///x", "https://x:/", "http://[::2]/"}) {
    EXPECT_NE(CheckRemoteUrl(url), "") << url;
  }
}

TEST(RulesTest, HeadersAreUniqueInAnyCaseAndNotOurs) {
  Json spec = RemoteSpec();
  spec["source"]["remote"]["headers"] = {{{"name", "X-A"}, {"value", "1"}}, {{"name", "x-a"}, {"value", "2"}}};
  EXPECT_EQ(Problem(Server(spec)), "spec.source.remote.headers[1].name: \"x-a\" is given twice");
  spec["source"]["remote"]["headers"] = {{{"name", "Host"}, {"value", "1"}}};
  EXPECT_NE(Problem(Server(spec)), "");
  spec["source"]["remote"]["headers"] = {{{"name", "A"}, {"value", "1\r\nB: 2"}}};
  EXPECT_NE(Problem(Server(spec)), "");
}

TEST(RulesTest, RuntimesFitTheirSources) {
  EXPECT_NE(Problem(Server(With(NpmSpec(), "/runtime", "Docker"))), "");
  EXPECT_NE(Problem(Server(With(ImageSpec(), "/runtime", "Process"))), "");
  EXPECT_EQ(Problem(Server(With(ImageSpec(), "/runtime", "Docker"))), "");
  EXPECT_EQ(Problem(Server(With(NpmSpec(), "/runtime", "Process"))), "");
}

TEST(RulesTest, VolumesAreWholeAndApart) {
  auto volumes = [](Json list) { return Problem(Server(With(NpmSpec(), "/volumes", std::move(list)))); };
  Json data = {{"name", "a"}, {"hostPath", "/srv"}, {"mountPath", "/data"}};
  EXPECT_EQ(volumes({data}), "");
  EXPECT_EQ(volumes({{{"name", "a"}, {"mountPath", "/data"}}}),
            "spec.volumes[0]: has neither hostPath nor tmpfs; allowed: exactly one of hostPath, tmpfs");
  EXPECT_NE(volumes({With(data, "/tmpfs", {{"size", "1Mi"}})}), "");
  EXPECT_EQ(volumes({data, With(data, "/mountPath", "/other")}), "spec.volumes[1].name: \"a\" is given twice (first in spec.volumes[0])");
  EXPECT_EQ(volumes({data, With(With(data, "/name", "b"), "/mountPath", "/data/")}),
            "spec.volumes[1].mountPath: is also the mountPath of spec.volumes[0]");
  for (const char* path : {"data", "/a/../b", "/..", "/", "//", "/proc", "/proc/self", "/sys/x", "/dev", "/./", ""}) {
    EXPECT_NE(volumes({With(data, "/mountPath", path)}), "") << path;
  }
  EXPECT_EQ(volumes({With(data, "/mountPath", "/process")}), "");
  EXPECT_NE(volumes({With(data, "/hostPath", "/srv/../etc")}), "");
  Json tmpfs = {{"name", "a"}, {"tmpfs", {{"size", "1Ki"}}}, {"mountPath", "/t"}};
  EXPECT_EQ(volumes({tmpfs}), "spec.volumes[0].tmpfs.size: is out of range; allowed: 4Ki to 1Ti");
}

TEST(RulesTest, QuantitiesAndDurationsHaveRanges) {
  auto one = [](const std::string& pointer, Json value) { return Problem(Server(With(ImageSpec(), pointer, std::move(value)))); };
  EXPECT_EQ(one("/resources/limits/cpu", "1m"), "spec.resources.limits.cpu: is out of range; allowed: 10m to 1024");
  EXPECT_EQ(one("/resources/limits/cpu", "half"),
            "spec.resources.limits.cpu: \"half\" is not a quantity; allowed: a quantity such as 500m or 1.5");
  EXPECT_NE(one("/resources/limits/cpu", 0.5), "");
  EXPECT_EQ(one("/resources/limits/cpu", 2), "");
  EXPECT_NE(one("/resources/limits/cpu", INT64_MIN), "");
  EXPECT_NE(one("/resources/limits/cpu", INT64_MAX), "");
  EXPECT_NE(one("/resources/limits/memory", "256"), "");
  EXPECT_NE(one("/resources/limits/memory", "256m"), "");
  EXPECT_NE(one("/resources/limits/pids", 1), "");
  EXPECT_NE(one("/resources/limits/pids", UINT64_MAX), "");
  EXPECT_EQ(one("/terminationGracePeriod", "10"),
            "spec.terminationGracePeriod: \"10\" is not a duration; allowed: a duration such as 90s, 5m or 1h30m");
  EXPECT_NE(one("/terminationGracePeriod", "2h"), "");
  EXPECT_EQ(one("/terminationGracePeriod", "0s"), "");
  EXPECT_EQ(one("/restartPolicy", {{"backoff", {{"initial", "10m"}}}}),
            "spec.restartPolicy.backoff.max: is shorter than backoff.initial; allowed: at least 10m");
}

TEST(RulesTest, NamesAndLabelsFollowKubernetes) {
  for (const char* name : {"Weather", "-a", "a-", "a_b", "a.b", "", "ä"}) EXPECT_NE(Problem(Server(ImageSpec(), name)), "") << name;
  EXPECT_NE(Problem(Server(ImageSpec(), std::string(64, 'a'))), "");
  EXPECT_EQ(Problem(Server(ImageSpec(), std::string(63, 'a'))), "");
  Json object = Server(ImageSpec());
  object["metadata"]["labels"] = {{"a/b/c", "x"}};
  EXPECT_NE(Problem(object), "");
  object["metadata"]["labels"] = {{"example.com/a", "-x"}};
  EXPECT_TRUE(Problem(object).starts_with("metadata.labels[example.com/a]: must be empty, or")) << Problem(object);
  object["metadata"]["labels"] = {{"example.com/a", "x"}};
  EXPECT_EQ(Problem(object), "");
  object["metadata"]["namespace"] = "Prod";
  EXPECT_NE(Problem(object), "");
}

TEST(SchemaTest, AnMCPNodeHasNoNamespaceAndNeedsNoSpec) {
  Json node = {{"apiVersion", kApiVersion}, {"kind", kKindNode}, {"metadata", {{"name", "edge-01"}}}};
  EXPECT_EQ(Problem(node), "");
  node["spec"]["unschedulable"] = true;
  EXPECT_EQ(Problem(node), "");
  EXPECT_TRUE(IsUnschedulable(*ObjectFromJson(node)));
  EXPECT_EQ(ObjectFromJson(node)->metadata.namespace_, "");
  node["metadata"]["namespace"] = "default";
  EXPECT_NE(Problem(node), "");
}

TEST(SchemaTest, EveryViolationIsReportedAtOnce) {
  Json spec = With(With(With(ImageSpec(), "/sauce", 1), "/port", "x"), "/suspend", "no");
  Json object = Server(spec, "Bad");
  object["extra"] = 1;
  EXPECT_EQ(Problems(object).size(), 5u);
}

TEST(SchemaTest, FieldsThatDoNotWorkYetAreUnknown) {
  for (const char* field : {"sessions", "activation", "updateStrategy", "tools", "auth", "rateLimit", "expose", "files"}) {
    EXPECT_NE(Problem(Server(With(ImageSpec(), std::string("/") + field, Json::object()))), "") << field;
  }
  EXPECT_EQ(Problem(Server(With(ImageSpec(), "/resources/requests", Json::object()))),
            "spec.resources.requests: unknown field \"requests\"; allowed: limits");
  EXPECT_EQ(Problem(Server(With(ImageSpec(), "/runtime", "Containerd"))),
            "spec.runtime: unknown value \"Containerd\"; allowed: Auto, Docker, Process");
}

// --- explain --------------------------------------------------------------------------------------------------------

TEST(ExplainTest, AFieldIsExplainedAsKubectlDoes) {
  StatusOr<std::string> text = Schema::Builtin().Explain("mcpserver.spec.source.image", false);
  ASSERT_TRUE(text.ok()) << text.status();
  EXPECT_EQ(*text,
            "GROUP:      mcpfleet.dev\nKIND:       MCPServer\nVERSION:    v1alpha1\n\nFIELD: image <Object>\n\n"
            "DESCRIPTION:\n  A container image.\n\nFIELDS:\n"
            "  ref\t<string> -required-\n"
            "    Reference of the image; with a digest it can never change under you.\n"
            "    such as: ghcr.io/example/weather:1.4.2\n\n"
            "  pullPolicy\t<string>\n"
            "    When to ask the registry. Always asks before each new instance; Never uses\n"
            "    only what the node has.\n"
            "    one of: IfNotPresent, Always, Never; default: \"IfNotPresent\"\n\n");
}

TEST(ExplainTest, RecursiveListsTheWholeTree) {
  StatusOr<std::string> text = Schema::Builtin().Explain("mcps", true);
  ASSERT_TRUE(text.ok());
  EXPECT_NE(text->find("  spec\t<Object> -required-\n    source\t<Object> -required-\n      image\t<Object>\n        ref\t<string>"), std::string::npos) << *text;
  EXPECT_NE(text->find("stderrTail\t<string>"), std::string::npos);
}

TEST(ExplainTest, ListsAreWalkedThroughAndMisspellingsMended) {
  EXPECT_TRUE(Schema::Builtin().Explain("mcp.spec.env.name", false).ok());
  EXPECT_TRUE(Schema::Builtin().Explain("mcp.status.nodes[].catalog.tools", false).ok());
  EXPECT_EQ(Message(Schema::Builtin().Explain("mcp.spec.sorce", false).status()),
            "field \"sorce\" does not exist in mcp.spec; did you mean \"source\"?");
  EXPECT_EQ(Message(Schema::Builtin().Explain("pods", false).status()),
            "kind \"pods\": unknown; there are mcpservers, mcpnodes");
}

}  // namespace
}  // namespace mcpfleet
