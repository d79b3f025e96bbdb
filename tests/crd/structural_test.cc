// What the API server asks of a CustomResourceDefinition before it takes it (apiextensions.k8s.io/v1: structural
// schemas, list types, printer columns, and names in CEL), so that `kubectl apply -f crd/` works on a real one.
#include <functional>
#include <regex>
#include <set>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "base/fd.h"
#include "crd/manifest.h"

namespace mcpfleet {
namespace {

Json Crd(const std::string& file) {
  StatusOr<std::string> text = ReadFile(std::string(MCPFLEET_SOURCE_DIR) + "/crd/" + file, size_t{1} << 20);
  StatusOr<Json> crd = text.ok() ? ParseYaml(*text, file, nullptr, nullptr) : text.status();
  EXPECT_TRUE(crd.ok()) << crd.status();
  return crd.ok() ? *crd : Json::object();
}

class StructuralTest : public ::testing::TestWithParam<std::string> {
 protected:
  const Json crd_ = Crd(GetParam());
  const Json& version() const { return crd_["spec"]["versions"][0]; }
  const Json& root() const { return version()["schema"]["openAPIV3Schema"]; }

  // Every node of the schema but what is inside the root's metadata.
  void Each(const std::function<void(const std::string& path, const Json& node)>& fn) const { Walk("", root(), fn); }
  static void Walk(const std::string& path, const Json& node,
                   const std::function<void(const std::string& path, const Json& node)>& fn) {
    fn(path, node);
    for (auto it = GetMember(node, "properties").begin(); it != GetMember(node, "properties").end(); ++it) {
      if (path.empty() && it.key() == "metadata") continue;
      Walk(path + "." + it.key(), *it, fn);
    }
    if (node.contains("items")) Walk(path + "[]", node["items"], fn);
    if (node.contains("additionalProperties")) Walk(path + "{}", node["additionalProperties"], fn);
  }
};

TEST_P(StructuralTest, NamesScopeAndVersionAreThoseOfTheGroup) {
  const Json& spec = crd_["spec"];
  EXPECT_EQ(crd_["apiVersion"], "apiextensions.k8s.io/v1");
  EXPECT_EQ(crd_["metadata"]["name"], GetString(spec["names"], "plural") + "." + GetString(spec, "group"));
  EXPECT_FALSE(GetMember(spec["names"], "shortNames").empty());
  EXPECT_EQ(GetMember(spec["names"], "categories"), Json::array({"mcpfleet"}));
  EXPECT_TRUE(GetBool(version(), "served") && GetBool(version(), "storage"));
  // Its metadata may restrict the name and say nothing else: not even a description.
  const Json& metadata = root()["properties"]["metadata"];
  for (auto it = metadata.begin(); it != metadata.end(); ++it)
    EXPECT_TRUE(it.key() == "type" || it.key() == "properties") << it.key();
  for (auto it = metadata["properties"].begin(); it != metadata["properties"].end(); ++it) EXPECT_EQ(it.key(), "name");
}

TEST_P(StructuralTest, EveryFieldHasATypeAndADescription) {
  Each([](const std::string& path, const Json& node) {
    EXPECT_NE(GetString(node, "description"), "") << path;
    EXPECT_NE(node.contains("type"), GetBool(node, "x-kubernetes-int-or-string")) << path;
    EXPECT_FALSE(node.contains("properties") && node.contains("additionalProperties")) << path;
    for (const char* forbidden : {"$ref", "definitions", "patternProperties", "uniqueItems", "oneOf", "anyOf", "allOf"})
      EXPECT_FALSE(node.contains(forbidden)) << path;
    if (GetString(node, "type") == "array") {
      EXPECT_TRUE(node.contains("items")) << path;
    }
  });
}

TEST_P(StructuralTest, KeysOfListsAreScalarsThatAreThere) {
  Each([](const std::string& path, const Json& node) {
    const std::string type = GetString(node, "x-kubernetes-list-type");
    if (type.empty()) return;
    EXPECT_EQ(GetString(node, "type"), "array") << path;
    if (type == "set") {
      EXPECT_NE(GetString(node["items"], "type"), "object") << path;
    }
    EXPECT_EQ(type == "map", node.contains("x-kubernetes-list-map-keys")) << path;
    for (const Json& key : GetMember(node, "x-kubernetes-list-map-keys")) {
      const Json& item = node["items"];
      const Json& required = GetMember(item, "required");
      EXPECT_NE(std::find(required.begin(), required.end(), key), required.end()) << path << " " << key;
      EXPECT_EQ(GetString(item["properties"][key.get<std::string>()], "type"), "string") << path;
    }
  });
}

TEST_P(StructuralTest, WhatIsRequiredIsDeclaredAndDefaultsFit) {
  Each([](const std::string& path, const Json& node) {
    for (const Json& name : GetMember(node, "required"))
      EXPECT_TRUE(node["properties"].contains(name.get<std::string>())) << path << " " << name;
    if (!node.contains("default")) return;
    const Json& value = node["default"];
    const std::string type = GetString(node, "type");
    EXPECT_TRUE(type != "string" || value.is_string()) << path;
    EXPECT_TRUE(type != "integer" || value.is_number_integer()) << path;
    EXPECT_TRUE(type != "boolean" || value.is_boolean()) << path;
    if (node.contains("enum")) {
      EXPECT_NE(std::find(node["enum"].begin(), node["enum"].end(), value), node["enum"].end()) << path;
    }
  });
}

TEST_P(StructuralTest, ColumnsAreSimplePathsToWhatIsThere) {
  for (const Json& column : GetMember(version(), "additionalPrinterColumns")) {
    const std::string path = GetString(column, "jsonPath");
    EXPECT_EQ(path.substr(0, 1), ".") << path;
    static const std::set<std::string> types = {"integer", "number", "string", "boolean", "date"};
    EXPECT_TRUE(types.contains(GetString(column, "type"))) << path;
    if (path == ".metadata.creationTimestamp") continue;
    // Down the schema, whichever item of a list is meant.
    const Json* node = &root();
    static const std::regex part(R"(\.([A-Za-z]+)|\[[^\]]*\])");
    for (std::sregex_iterator it(path.begin(), path.end(), part), end; it != end; ++it) {
      const std::string name = (*it)[1];
      node = name.empty() ? &GetMember(*node, "items") : &GetMember(GetMember(*node, "properties"), name);
      ASSERT_FALSE(node->is_null()) << path << " has no " << it->str();
    }
  }
}

TEST_P(StructuralTest, StatusesAreSubresourcesWithAnEntryForEachNode) {
  const bool reports = GetParam() != "mcpsecret.yaml";
  EXPECT_EQ(GetMember(version(), "subresources").contains("status"), reports);
  EXPECT_EQ(root()["properties"].contains("status"), reports);
  if (GetParam() != "mcpserver.yaml") return;
  const Json& nodes = root()["properties"]["status"]["properties"]["nodes"];
  EXPECT_EQ(nodes["x-kubernetes-list-type"], "map");
  EXPECT_EQ(nodes["x-kubernetes-list-map-keys"], Json::array({"node"}));
}

TEST_P(StructuralTest, RulesNameDeclaredFieldsAndEscapeTheWordsOfCel) {
  Each([](const std::string& path, const Json& node) {
    for (const Json& each : GetMember(node, "x-kubernetes-validations")) {
      const std::string rule = GetString(each, "rule");
      EXPECT_NE(GetString(each, "message"), "") << path;
      static const std::regex chain(R"(\b(?:self|oldSelf)((?:\.[A-Za-z_]+)+)(\()?)");
      for (std::sregex_iterator it(rule.begin(), rule.end(), chain), end; it != end; ++it) {
        std::vector<std::string> names;
        const std::string text = (*it)[1];
        static const std::regex name(R"([A-Za-z_]+)");
        for (std::sregex_iterator n(text.begin(), text.end(), name); n != end; ++n) names.push_back(n->str());
        if ((*it)[2].matched) names.pop_back();  // a method
        const Json* at = &node;
        for (std::string part : names) {
          // "package", "namespace", … are words of CEL: Kubernetes knows such fields as __package__ only.
          EXPECT_NE(part, "package") << path << ": " << rule;
          EXPECT_NE(part, "namespace") << path << ": " << rule;
          if (part.starts_with("__")) part = part.substr(2, part.size() - 4);
          at = &GetMember(GetMember(*at, "properties"), part);
          EXPECT_FALSE(at->is_null()) << path << ": " << part << " in " << rule;
        }
      }
    }
  });
}

// The API server estimates what a rule may cost from the bounds of what it looks at: without them it refuses the CRD.
TEST_P(StructuralTest, ListsAndMapsAndTextsOfASpecHaveBounds) {
  Each([](const std::string& path, const Json& node) {
    if (!path.starts_with(".spec")) return;
    if (GetString(node, "type") == "array") {
      EXPECT_TRUE(node.contains("maxItems")) << path;
    }
    if (node.contains("additionalProperties")) {
      EXPECT_TRUE(node.contains("maxProperties")) << path;
    }
    if (GetString(node, "type") == "string") {
      EXPECT_TRUE(node.contains("maxLength") || node.contains("enum")) << path;
    }
  });
}

INSTANTIATE_TEST_SUITE_P(Crds, StructuralTest, ::testing::Values("mcpserver.yaml", "mcpnode.yaml", "mcpsecret.yaml"),
                         [](const auto& value) { return value.param.substr(0, value.param.find('.')); });

}  // namespace
}  // namespace mcpfleet
