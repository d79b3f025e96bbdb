#include "gitops/render.h"

#include <unistd.h>

#include <algorithm>

#include "crd/codec.h"
#include "tests/store/testing.h"

namespace mcpfleet {
namespace {

constexpr char kBase[] = R"(apiVersion: mcpfleet.dev/v1alpha1
kind: MCPServer
metadata:
  name: weather
  labels: {tier: gold}
spec:
  source:
    image: {ref: "example/weather:1"}
  env:
    - {name: LOG, value: info}
    - {name: UNITS, value: metric}
  args: [--port, "80"]
  placement:
    nodeSelector: {site: nowhere}
)";

class RenderTest : public ::testing::Test {
 protected:
  void File(const std::string& name, const std::string& content) {
    const std::string path = dir_ / name;
    ASSERT_OK(MakeDirectories(path.substr(0, path.rfind('/'))));
    ASSERT_OK(WriteFileAtomically(path, content));
  }
  std::vector<ManifestObject> Render(const std::string& folder) {
    violations_.clear();
    auto objects = RenderFolder(dir_ / folder, {.root = dir_.path()}, &violations_);
    EXPECT_OK(objects);
    return objects.ok() ? *std::move(objects) : std::vector<ManifestObject>{};
  }
  // What is wrong, one a line.
  std::string Wrong(const std::string& folder) {
    violations_.clear();
    auto objects = RenderFolder(dir_ / folder, {.root = dir_.path()}, &violations_);
    EXPECT_FALSE(objects.ok());
    return ToString(violations_);
  }
  Json Spec(const std::string& folder) {
    auto objects = Render(folder);
    return objects.empty() ? Json() : objects[0].object.spec;
  }
  void Overlay(const std::string& patch, const std::string& more = "") {
    File("base/weather.yaml", kBase);
    File("site/kustomization.yaml", "resources: [../base]\npatches:\n  - path: weather.yaml\n" + more);
    File("site/weather.yaml", "kind: MCPServer\nmetadata: {name: weather}\n" + patch);
  }
  testing::TempDir dir_;
  std::vector<Violation> violations_;
};

TEST_F(RenderTest, AFolderWithoutAKustomizationIsEveryManifestInItAndBelowSorted) {
  std::string other = kBase;
  other.replace(other.find("weather"), 7, "alarm");
  File("fleet/z.yaml", other);
  File("fleet/sub/a.yaml", kBase);
  File("fleet/.git/hidden.yaml", "no: manifest\n");
  File("fleet/notes.txt", "not read");
  auto objects = Render("fleet");
  ASSERT_EQ(objects.size(), 2u);
  EXPECT_EQ(objects[0].object.metadata.name, "alarm");
  EXPECT_EQ(objects[1].object.metadata.name, "weather");
  EXPECT_EQ(objects[1].file, "fleet/sub/a.yaml");
}

TEST_F(RenderTest, AKeyedListIsMergedByItsKeysAndKeepsItsOrder) {
  Overlay("spec:\n  env:\n    - {name: UNITS, value: imperial}\n    - {name: SITE, value: berlin}\n");
  EXPECT_EQ(Spec("site")["env"], Json::parse(R"([{"name":"LOG","value":"info"},{"name":"UNITS","value":"imperial"},
                                                 {"name":"SITE","value":"berlin"}])"));
}

TEST_F(RenderTest, AnItemOfAKeyedListIsDeletedByItsDirective) {
  Overlay("spec:\n  env:\n    - {name: LOG, $patch: delete}\n    - {name: GONE, $patch: delete}\n");
  EXPECT_EQ(Spec("site")["env"], Json::parse(R"([{"name":"UNITS","value":"metric"}])"));
}

TEST_F(RenderTest, AListWithoutKeysIsReplacedAndAMapIsMerged) {
  Overlay("spec:\n  args: [--port, \"81\"]\n  placement:\n    nodeSelector: {zone: a}\n");
  EXPECT_EQ(Spec("site")["args"], Json({"--port", "81"}));
  EXPECT_EQ(Spec("site")["placement"]["nodeSelector"], Json({{"site", "nowhere"}, {"zone", "a"}}));
}

TEST_F(RenderTest, ReplaceTakesAMapOrAListAsThePatchHasIt) {
  Overlay(
      "spec:\n  env:\n    - $patch: replace\n    - {name: ONLY, value: one}\n  placement:\n    nodeSelector: {$patch: "
      "replace, zone: a}\n");
  EXPECT_EQ(Spec("site")["env"], Json::parse(R"([{"name":"ONLY","value":"one"}])"));
  EXPECT_EQ(Spec("site")["placement"]["nodeSelector"], Json({{"zone", "a"}}));
}

TEST_F(RenderTest, NullRemovesAFieldAndASetGetsWhatItLacks) {
  File("base/weather.yaml", std::string(kBase) + "  tools: {allow: [read, list]}\n");
  File("site/kustomization.yaml", "resources: [../base]\npatches: [{path: weather.yaml}]\n");
  File("site/weather.yaml",
       "kind: MCPServer\nmetadata: {name: weather}\nspec:\n  args: null\n  placement: {$patch: delete}\n  tools: "
       "{allow: "
       "[write, list]}\n");
  const Json spec = Spec("site");
  EXPECT_FALSE(spec.contains("args"));
  EXPECT_FALSE(spec.contains("placement"));
  EXPECT_EQ(spec["tools"]["allow"], Json({"read", "list", "write"}));
}

TEST_F(RenderTest, APatchCanDeleteAnObject) {
  std::string other = kBase;
  other.replace(other.find("weather"), 7, "alarm");
  File("base/alarm.yaml", other);
  Overlay("$patch: delete\n");
  auto objects = Render("site");
  ASSERT_EQ(objects.size(), 1u);
  EXPECT_EQ(objects[0].object.metadata.name, "alarm");
}

TEST_F(RenderTest, ATargetPatchesEveryObjectThatItMatches) {
  std::string other = kBase;
  other.replace(other.find("weather"), 7, "alarm");
  other.replace(other.find("gold"), 4, "lead");
  File("base/alarm.yaml", other);
  File("base/weather.yaml", kBase);
  File("site/kustomization.yaml", R"(apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources: [../base]
namespace: berlin
labels:
  - pairs: {site: berlin}
commonAnnotations: {owner: data}
patches:
  - target: {kind: MCPServer, labelSelector: tier=gold}
    patch: |-
      spec:
        suspend: true
  - target: {kind: MCPServer}
    patch: |-
      metadata: {name: ignored}
      spec:
        placement: {nodeSelector: {site: berlin}}
)");
  auto objects = Render("site");
  ASSERT_EQ(objects.size(), 2u);
  EXPECT_FALSE(objects[0].object.spec.contains("suspend"));
  EXPECT_EQ(objects[1].object.spec["suspend"], true);
  for (const ManifestObject& each : objects) {
    EXPECT_EQ(each.object.metadata.namespace_, "berlin");
    EXPECT_EQ(each.object.metadata.labels.at("site"), "berlin");
    EXPECT_EQ(each.object.metadata.annotations.at("owner"), "data");
    EXPECT_EQ(each.object.spec["placement"]["nodeSelector"]["site"], "berlin");
  }
}

TEST_F(RenderTest, ChainsOfOverlaysArePutOverOneAnother) {
  Overlay("spec:\n  env: [{name: LOG, value: debug}]\n");
  File("shelf/kustomization.yaml", "resources: [../site]\npatches: [{path: p.yaml}]\n");
  File("shelf/p.yaml", "kind: MCPServer\nmetadata: {name: weather}\nspec:\n  env: [{name: LOG, value: trace}]\n");
  EXPECT_EQ(Spec("shelf")["env"][0]["value"], "trace");
}

TEST_F(RenderTest, WhatAPatchBringsWrongIsToldByThePatchesFileAndLine) {
  Overlay("spec:\n  transport: stdio\n  transprot: http\n");
  EXPECT_NE(Wrong("site").find("site/weather.yaml:5: spec.transprot: unknown field"), std::string::npos)
      << ToString(violations_);
  EXPECT_EQ(violations_[0].column, 3);
}

TEST_F(RenderTest, WhatAnInlinePatchBringsWrongIsToldByItsLineInTheKustomization) {
  File("base/weather.yaml", kBase);
  File("site/kustomization.yaml",
       "resources: [../base]\npatches:\n  - target: {name: weather}\n    patch: |-\n      spec:\n        port: http\n");
  EXPECT_NE(Wrong("site").find("site/kustomization.yaml:6: spec.port: wants a whole number"), std::string::npos)
      << ToString(violations_);
}

TEST_F(RenderTest, AMissingFileIsToldWhereItIsNamed) {
  Overlay("spec: {}\n");
  File("site/kustomization.yaml", "resources:\n  - ../base\n  - ../bsae\npatches: [{path: nowhere.yaml}]\n");
  const std::string wrong = Wrong("site");
  EXPECT_NE(wrong.find("site/kustomization.yaml:3: resources[1]: bsae: can't be read"), std::string::npos) << wrong;
  EXPECT_NE(wrong.find("site/kustomization.yaml:4: patches[0]: site/nowhere.yaml: can't be read"), std::string::npos)
      << wrong;
}

TEST_F(RenderTest, ACircleIsToldWithTheWayRound) {
  File("a/kustomization.yaml", "resources: [../b]\n");
  File("b/kustomization.yaml", "resources:\n  - ../a\n");
  EXPECT_NE(Wrong("a").find("b/kustomization.yaml:2: resources[0]: leads back to itself: a -> b -> a"),
            std::string::npos)
      << ToString(violations_);
}

TEST_F(RenderTest, NothingOutsideTheRootIsRead) {
  File("outside/weather.yaml", kBase);
  File("root/site/kustomization.yaml", "resources: [../../outside, ../../outside/weather.yaml]\n");
  File("root/links/kustomization.yaml", "resources: [link.yaml]\n");
  ASSERT_EQ(symlink((dir_ / "outside/weather.yaml").c_str(), (dir_ / "root/links/link.yaml").c_str()), 0);
  std::vector<Violation> violations;
  EXPECT_FALSE(RenderFolder(dir_ / "root/site", {.root = dir_ / "root"}, &violations).ok());
  EXPECT_EQ(violations.size(), 2u);
  for (const Violation& violation : violations)
    EXPECT_NE(violation.problem.find("is outside the folder that may be read"), std::string::npos)
        << ToString(violation);
  violations.clear();
  EXPECT_FALSE(RenderFolder(dir_ / "root/links", {.root = dir_ / "root"}, &violations).ok());
  ASSERT_OK(RenderFolder(dir_ / "root/site", {}, &violations).status().code() == StatusCode::kInvalidArgument
                ? OkStatus()  // without a root it is only given twice
                : Internal(ToString(violations)));
}

TEST_F(RenderTest, ALinkToAFolderIsAnErrorAndNotAnEmptyFolder) {
  File("shared/weather.yaml", kBase);
  std::string other = kBase;
  other.replace(other.find("weather"), 7, "sunrise");
  File("site/sunrise.yaml", other);
  ASSERT_EQ(symlink("../shared", (dir_ / "site/shared").c_str()), 0);
  EXPECT_NE(Wrong("site").find("site/shared: is a link to a folder, which is not followed; name that folder"),
            std::string::npos)
      << ToString(violations_);
  // Named, it is read.
  File("all/kustomization.yaml", "resources: [../site/sunrise.yaml, ../site/shared]\n");
  EXPECT_EQ(Render("all").size(), 2u);
  // What is behind this one nobody knows; of the others no manifests are expected.
  ASSERT_EQ(unlink((dir_ / "site/shared").c_str()), 0);
  ASSERT_EQ(symlink("../gone", (dir_ / "site/shared").c_str()), 0);
  EXPECT_NE(Wrong("site").find("site/shared: is a link that leads nowhere"), std::string::npos);
  ASSERT_EQ(rename((dir_ / "site/shared").c_str(), (dir_ / "site/.hidden").c_str()), 0);
  ASSERT_EQ(symlink("../gone.txt", (dir_ / "site/notes.txt").c_str()), 0);
  ASSERT_EQ(symlink("../shared/weather.yaml", (dir_ / "site/weather.yaml").c_str()), 0);
  EXPECT_EQ(Render("site").size(), 2u) << "a link to a file is that file";
}

TEST_F(RenderTest, WhatAKustomizationSaysAndIsNotCarriedOutIsAnError) {
  File("base/weather.yaml", kBase);
  File("site/kustomization.yaml",
       "resources: [../base, https://example.com/x, /etc/x]\nimages: []\nnamePrefix: x-\npatchs: []\n"
       "labels: [{pairs: {a: b}, includeSelectors: true}]\nkind: Component\n");
  const std::string wrong = Wrong("site");
  for (const char* part : {"site/kustomization.yaml:1: resources[1]: ", "resources[2]: ",
                           "site/kustomization.yaml:2: images: unknown field", "namePrefix: unknown field",
                           "patchs: unknown field \"patchs\", did you mean \"patches\"?", "labels[0].includeSelectors",
                           "site/kustomization.yaml:6: kind: is another one"}) {
    EXPECT_NE(wrong.find(part), std::string::npos) << part << "\n" << wrong;
  }
}

TEST_F(RenderTest, APatchThatMatchesNothingIsAnError) {
  File("base/weather.yaml", kBase);
  File("site/kustomization.yaml", "resources: [../base]\npatches: [{path: p.yaml}]\n");
  File("site/p.yaml", "kind: MCPServer\nmetadata: {name: wether}\nspec: {suspend: true}\n");
  EXPECT_NE(Wrong("site").find("site/p.yaml:1: patches[0]: patches no object; there are: MCPServer weather"),
            std::string::npos)
      << ToString(violations_);
}

TEST_F(RenderTest, APatchOfAKeyedListWithoutTheKeyIsAnError) {
  Overlay("spec:\n  env:\n    - {value: x}\n");
  EXPECT_NE(Wrong("site").find("site/weather.yaml:5: spec.env[0].name: is missing"), std::string::npos)
      << ToString(violations_);
}

TEST_F(RenderTest, TheSameObjectFromTwoResourcesIsAnError) {
  File("base/weather.yaml", kBase);
  File("site/kustomization.yaml", "resources: [../base, ../base/weather.yaml]\n");
  EXPECT_NE(Wrong("site").find("is given twice"), std::string::npos) << ToString(violations_);
}

TEST_F(RenderTest, APlainFolderAboveAKustomizationSaysWhichToName) {
  Overlay("spec: {}\n");
  const std::string wrong = Wrong(".");
  EXPECT_NE(wrong.find("there is one below it (site/kustomization.yaml)"), std::string::npos) << wrong;
}

TEST_F(RenderTest, FoldersThatNameEachOtherTwiceEndSoon) {
  File("f0/weather.yaml", kBase);
  for (int i = 1; i < 30; ++i) {
    const std::string below = "../f" + std::to_string(i - 1);
    File("f" + std::to_string(i) + "/kustomization.yaml", "resources: [" + below + ", " + below + "]\n");
  }
  EXPECT_NE(Wrong("f29").find("more than 10000"), std::string::npos) << violations_.size();
  EXPECT_LT(violations_.size(), 1100u);
}

TEST_F(RenderTest, TheOrderOfTheFilesDoesNotMatter) {
  std::string other = kBase;
  other.replace(other.find("weather"), 7, "alarm");
  File("one/a.yaml", kBase);
  File("one/b.yaml", other);
  File("two/a.yaml", other);
  File("two/b.yaml", kBase);
  auto text = [](const std::vector<ManifestObject>& objects) {
    std::string out;
    for (const ManifestObject& each : objects) out += ObjectToYaml(ObjectToJson(each.object));
    return out;
  };
  EXPECT_EQ(text(Render("one")), text(Render("two")));
}

}  // namespace
}  // namespace mcpfleet
