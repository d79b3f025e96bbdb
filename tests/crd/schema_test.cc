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
#include "crd/spec_codec.h"
#include "tests/crd/builders.h"

namespace mcpfleet {
namespace {

using Type = SchemaNode::Type;

std::string ReadFile(const std::filesystem::path& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

void Walk(const SchemaNode& node, const std::string& path,
          const std::function<void(const std::string&, const SchemaNode&)>& visit) {
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
      if (!node.description.empty()) {
        EXPECT_TRUE(node.description.ends_with(".") || node.description.ends_with("…")) << path;
      }
    });
  }
  EXPECT_GT(fields, 120);
}

TEST(SchemaTest, EveryTextAndListOfASpecIsBounded) {
  for (const auto& kind : Schema::Builtin().kinds()) {
    Walk(*kind->root->properties.at("spec"), kind->kind, [&](const std::string& path, const SchemaNode& node) {
      if (node.type == Type::kString && node.enumeration.empty()) {
        EXPECT_TRUE(node.max_length.has_value()) << path;
      }
      if (node.type == Type::kIntOrString) {
        EXPECT_TRUE(node.max_length.has_value()) << path;
      }
      if (node.type == Type::kArray || node.type == Type::kMap) {
        EXPECT_TRUE(node.max_items.has_value()) << path;
      }
      if (node.type == Type::kInteger) {
        EXPECT_TRUE(node.minimum && node.maximum) << path;
      }
    });
  }
}

TEST(SchemaTest, EveryPatternCompilesAndFitsItsExample) {
  for (const auto& kind : Schema::Builtin().kinds()) {
    Walk(*kind->root, kind->kind, [&](const std::string& path, const SchemaNode& node) {
      if (node.pattern.empty()) return;
      std::regex pattern(node.pattern);
      if (!node.example.empty()) {
        EXPECT_TRUE(std::regex_search(node.example, pattern)) << path;
      }
    });
  }
}

TEST(SchemaTest, EveryDefaultIsValidWhereItStands) {
  for (const auto& kind : Schema::Builtin().kinds()) {
    Walk(*kind->root, kind->kind, [&](const std::string& path, const SchemaNode& node) {
      if (!node.has_default) return;
      Json value = Json::parse(node.default_json);
      if (!node.enumeration.empty()) {
        EXPECT_NE(std::find(node.enumeration.begin(), node.enumeration.end(), value.get<std::string>()),
                  node.enumeration.end())
            << path;
      }
      if (node.minimum) {
        EXPECT_GE(value.get<int64_t>(), *node.minimum) << path;
      }
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
  std::string broken =
      std::regex_replace(crd, std::regex("default: false"), "default: false\n                  exclusiveMinimum: true");
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
        if (object.object.kind == kKindServer) {
          EXPECT_TRUE(ServerSpecOf(object.object).ok()) << entry.path();
        }
      }
    }
  }
  EXPECT_GE(files, 6);
  EXPECT_GE(objects, 7);
}

// --- the fields, as data -------------------------------------------------------------------------------------------

void LeavesOf(const Json& value, const std::string& path, std::set<std::string>* out) {
  if (value.is_object() && !path.ends_with("nodeSelector") && !path.ends_with("pins")) {
    for (auto it = value.begin(); it != value.end(); ++it) LeavesOf(*it, path + "." + it.key(), out);
  } else if (value.is_array() && !value.empty() && value[0].is_object()) {
    for (const Json& item : value) LeavesOf(item, path + "[]", out);
  } else {
    out->insert(path);
  }
}

std::set<std::string> SchemaLeaves() {
  std::set<std::string> leaves;
  std::function<void(const SchemaNode&, const std::string&)> visit = [&](const SchemaNode& node,
                                                                         const std::string& path) {
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
    object["spec"].update(Json::parse(R"({"sessions": {}, "tools": {}, "auth": {}, "rateLimit": {}})"));
    if (!spec["source"].contains("remote")) {
      object["spec"].update(
          Json::parse(R"({"resources": {"limits": {}}, "securityContext": {"capabilities": {}}, "logs": {},
        "probes": {"startup": {}, "liveness": {}, "readiness": {}}, "restartPolicy": {"backoff": {}}, "placement": {},
        "updateStrategy": {}, "activation": {}})"));
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
  for (const Json& spec : FullSpecs()) {
    Json object = Server(spec);
    Schema::Builtin().ApplyDefaults(kKindServer, &object);
    EXPECT_EQ(Problem(object), "");
  }
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

TEST(SchemaTest, ADrainedNodeIsCordonedToo) {
  Json node = {{"apiVersion", kApiVersion}, {"kind", kKindNode}, {"metadata", {{"name", "edge-01"}}}};
  node["spec"]["drain"] = true;
  EXPECT_EQ(Problem(node), "");
  EXPECT_TRUE(IsUnschedulable(*ObjectFromJson(node)));
  EXPECT_TRUE(IsDrained(*ObjectFromJson(node)));
}

TEST(SchemaTest, TheKeysOfANodeAre32BytesEach) {
  Json node = {{"apiVersion", kApiVersion}, {"kind", kKindNode}, {"metadata", {{"name", "edge-01"}}}};
  const std::string key = std::string(42, 'A') + "E";
  node["spec"]["keys"] = {{"signing", key}, {"sealing", key}};
  EXPECT_EQ(Problem(node), "");
  node["spec"]["keys"]["sealing"] = std::string(43, 'B');  // has bits that 32 bytes have not
  EXPECT_NE(Problem(node).find("spec.keys.sealing"), std::string::npos) << Problem(node);
  node["spec"]["keys"]["sealing"] = std::string(42, 'A') + "=";
  EXPECT_NE(Problem(node).find("spec.keys.sealing"), std::string::npos) << Problem(node);
  node["spec"]["keys"].erase("sealing");
  EXPECT_NE(Problem(node), "") << "both or none";
}

TEST(SchemaTest, EveryViolationIsReportedAtOnce) {
  Json spec = With(With(With(ImageSpec(), "/sauce", 1), "/port", "x"), "/suspend", "no");
  Json object = Server(spec, "Bad");
  object["extra"] = 1;
  EXPECT_EQ(Problems(object).size(), 5u);
}

TEST(SchemaTest, FieldsThatDoNotWorkYetAreUnknown) {
  for (const char* field : {"files"}) {
    EXPECT_NE(Problem(Server(With(ImageSpec(), std::string("/") + field, Json::object()))), "") << field;
  }
  EXPECT_EQ(Problem(Server(With(ImageSpec(), "/resources/requests", Json::object()))),
            "spec.resources.requests: unknown field \"requests\"; allowed: limits");
  EXPECT_EQ(Problem(Server(With(ImageSpec(), "/runtime", "Podman"))),
            "spec.runtime: unknown value \"Podman\"; allowed: Auto, Docker, Containerd, Process");
}

// The field that a print column shows; nullptr when the schema has none.
const SchemaNode* FieldAt(const SchemaNode& root, const std::string& json_path) {
  const SchemaNode* node = &root;
  size_t at = 0;
  while (node != nullptr && at < json_path.size()) {
    const size_t end = json_path[at] == '[' ? json_path.find(']', at) + 1
                                            : std::min(json_path.find_first_of(".[", at + 1), json_path.size());
    const std::string step = json_path.substr(at, end - at);
    at = end;
    if (step[0] == '[') {
      node = node->type == SchemaNode::Type::kArray ? node->items.get() : nullptr;
    } else {
      auto property = node->properties.find(step.substr(1));
      node = property == node->properties.end() ? nullptr : property->second.get();
    }
  }
  return node;
}

TEST(SchemaTest, EveryPrintColumnShowsAFieldOfItsType) {
  for (const auto& kind : Schema::Builtin().kinds()) {
    ASSERT_FALSE(kind->columns.empty());
    for (const PrinterColumn& column : kind->columns) {
      SCOPED_TRACE(kind->kind + " " + column.name);
      EXPECT_FALSE(column.description.empty());
      if (column.json_path == ".metadata.creationTimestamp") continue;  // Kubernetes' own
      const SchemaNode* field = FieldAt(*kind->root, column.json_path);
      ASSERT_NE(field, nullptr) << column.json_path;
      if (field->type == SchemaNode::Type::kArray) field = field->items.get();  // shown as a list
      EXPECT_EQ(field->type, column.type == "integer" ? SchemaNode::Type::kInteger : SchemaNode::Type::kString);
      EXPECT_EQ(field->format == "date-time", column.type == "date");
    }
  }
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
            "    one of: IfNotPresent, Always, Never; default: \"IfNotPresent\"\n\n"
            "  pullSecret\t<string>\n"
            "    MCPSecret in the server's namespace with what the registry asks for,\n"
            "    either .dockerconfigjson (a Docker config file) or username and password.\n"
            "    such as: ghcr\n\n");
}

TEST(ExplainTest, RecursiveListsTheWholeTree) {
  StatusOr<std::string> text = Schema::Builtin().Explain("mcps", true);
  ASSERT_TRUE(text.ok());
  EXPECT_NE(
      text->find(
          "  spec\t<Object> -required-\n    source\t<Object> -required-\n      image\t<Object>\n        ref\t<string>"),
      std::string::npos)
      << *text;
  EXPECT_NE(text->find("stderrTail\t<string>"), std::string::npos);
}

TEST(ExplainTest, ListsAreWalkedThroughAndMisspellingsMended) {
  EXPECT_TRUE(Schema::Builtin().Explain("mcp.spec.env.name", false).ok());
  EXPECT_TRUE(Schema::Builtin().Explain("mcp.status.nodes[].catalog.tools", false).ok());
  EXPECT_EQ(Message(Schema::Builtin().Explain("mcp.spec.sorce", false).status()),
            "field \"sorce\" does not exist in mcp.spec; did you mean \"source\"?");
  EXPECT_EQ(Message(Schema::Builtin().Explain("pods", false).status()),
            "kind \"pods\": unknown; there are mcpservers, mcpnodes, mcpsecrets");
}

}  // namespace
}  // namespace mcpfleet
