// apply --applyset, diff and validate for machines, render: the real mcpctl over a served store.
#include <gtest/gtest.h>

#include "store/reader.h"
#include "tests/cli/mcpctl.h"
#include "tests/cli/sarif_rules.h"
#include "tests/cli/xml_reader.h"

namespace mcpfleet::cli {
namespace {

class GitopsTest : public McpctlTest {
 protected:
  std::string Names() { return Out({"get", "mcp", "-o", "jsonpath={.items[*].metadata.name}"}); }
  void ApplySet(const std::string& folder) {
    Out({"apply", "-f", dir_ / folder, "--applyset", "shop", "--prune", "--force"});
  }
};

TEST_F(GitopsTest, AnApplySetLabelsWhatItOwnsAndPrunesNothingElseInOneHead) {
  Apply(Manifest("plain") + Manifest("theirs", "1", "mcpfleet.dev/applyset: bank"));
  File("m/a.yaml", Manifest("a"));
  File("m/b.yaml", Manifest("b"));
  ApplySet("m");
  EXPECT_EQ(Out({"get", "mcp", "-l", "mcpfleet.dev/applyset=shop", "-o", "jsonpath={.items[*].metadata.name}"}),
            "a b\n");
  File("n/a.yaml", Manifest("a"));
  File("n/c.yaml", Manifest("c"));
  const std::string before = Head();
  EXPECT_EQ(Out({"apply", "-f", dir_ / "n", "--applyset", "shop", "--prune"}),
            "mcpserver.mcpfleet.dev/a unchanged\nmcpserver.mcpfleet.dev/c created\nmcpserver.mcpfleet.dev/b deleted\n");
  EXPECT_EQ(Names(), "a c plain theirs\n");
  EXPECT_EQ(before.substr(0, 4), Head().substr(0, 4));
  EXPECT_EQ(std::stoi(before.substr(4)) + 1, std::stoi(Head().substr(4)));
}

TEST_F(GitopsTest, MoreThanHalfOfASetIsDeletedOnlyByForce) {
  File("m/all.yaml", Manifest("a") + Manifest("b") + Manifest("c"));
  ApplySet("m");
  File("m/all.yaml", Manifest("a"));
  const std::string before = Head();
  Ran refused = Run({"apply", "-f", dir_ / "m", "--applyset", "shop", "--prune"});
  EXPECT_EQ(refused.code, 1);
  EXPECT_NE(refused.err.find("would delete 2 of the 3 objects of apply set shop"), std::string::npos) << refused.err;
  EXPECT_EQ(Head(), before);
  EXPECT_EQ(Run({"apply", "-f", dir_ / "m", "--applyset", "shop", "--prune", "--max-prune", "66%"}).code, 1);
  Out({"apply", "-f", dir_ / "m", "--applyset", "shop", "--prune", "--max-prune", "67%"});
  EXPECT_EQ(Names(), "a\n");
}

TEST_F(GitopsTest, ASelectorsPruneIsLimitedTooAndLeavesSetsAlone) {
  Apply(Manifest("a", "1", "app: shop") + Manifest("b", "1", "app: shop"));
  Apply(Manifest("owned", "1", "app: shop, mcpfleet.dev/applyset: bank"));
  File("m/new.yaml", Manifest("new", "1", "app: shop"));
  Ran refused = Run({"apply", "-f", dir_ / "m", "-l", "app=shop", "--prune"});
  EXPECT_NE(refused.err.find("would delete 2 of the 2 objects of selector app=shop"), std::string::npos) << refused.err;
  Out({"apply", "-f", dir_ / "m", "-l", "app=shop", "--prune", "--force"});
  EXPECT_EQ(Names(), "new owned\n");
}

TEST_F(GitopsTest, AnObjectOfAnotherSetIsRefused) {
  Apply(Manifest("a", "1", "mcpfleet.dev/applyset: bank"));
  Ran refused = Run({"apply", "-f", File("a.yaml", Manifest("a", "2")), "--applyset", "shop"});
  EXPECT_EQ(refused.code, 1);
  EXPECT_NE(refused.err.find("belongs to apply set bank, not to shop"), std::string::npos) << refused.err;
  Out({"label", "mcp", "a", "mcpfleet.dev/applyset-"});
  EXPECT_EQ(Out({"apply", "-f", dir_ / "a.yaml", "--applyset", "shop"}), "mcpserver.mcpfleet.dev/a configured\n");
}

TEST_F(GitopsTest, OptionsThatMakeNoSenseTogetherAreRefused) {
  const std::string file = File("a.yaml", Manifest("a"));
  for (const std::vector<std::string>& wrong :
       std::vector<std::vector<std::string>>{{"--prune"},
                                             {"--force"},
                                             {"--max-prune", "3"},
                                             {"-l", "a=b"},
                                             {"--prune", "--applyset", "x", "-l", "a=b"},
                                             {"--prune", "--applyset", "X!"},
                                             {"--prune", "--applyset", "x", "--max-prune", "200"},
                                             {"-k", "x"}}) {
    std::vector<std::string> words = {"apply", "-f", file};
    words.insert(words.end(), wrong.begin(), wrong.end());
    EXPECT_NE(Run(words).code, 0) << wrong.front();
  }
  EXPECT_EQ(Keys(), 0u);
}

TEST_F(GitopsTest, DiffShowsWhatAPruneWouldDelete) {
  File("m/all.yaml", Manifest("a") + Manifest("b"));
  ApplySet("m");
  EXPECT_EQ(Run({"diff", "-f", dir_ / "m", "--applyset", "shop", "--prune"}).code, 0);
  File("m/all.yaml", Manifest("a", "2") + Manifest("c"));
  Ran ran = Run({"diff", "-f", dir_ / "m", "--applyset", "shop", "--prune", "-o", "json"});
  EXPECT_EQ(ran.code, 1) << ran.err;
  const Json json = Json::parse(ran.out);
  EXPECT_EQ(json["different"], true);
  std::vector<std::string> changes;
  for (const Json& change : json["changes"])
    changes.push_back(GetString(change, "change") + " " + GetString(change, "name"));
  EXPECT_EQ(changes, (std::vector<std::string>{"configured a", "created c", "deleted b"}));
  EXPECT_EQ(json["changes"][0]["line"], 2);
  EXPECT_EQ(Run({"diff", "-f", dir_ / "m", "--prune"}).code, 2);
}

TEST_F(GitopsTest, DiffReportsDifferencesAsSarifAndJunit) {
  const std::string file = File("weather.yaml", Manifest("weather"));
  Apply(Manifest("weather"));
  Ran same = Run({"diff", "-f", file, "-o", "sarif"});
  EXPECT_EQ(same.code, 0);
  EXPECT_EQ(SarifProblems(Json::parse(same.out)), std::vector<std::string>{});
  EXPECT_EQ(Json::parse(same.out)["runs"][0]["results"].size(), 0u);
  File("weather.yaml", Manifest("weather", "2"));
  Ran different = Run({"diff", "-f", file, "-o", "sarif"});
  EXPECT_EQ(different.code, 1);
  const Json sarif = Json::parse(different.out);
  EXPECT_EQ(SarifProblems(sarif), std::vector<std::string>{});
  EXPECT_EQ(sarif["runs"][0]["results"][0]["ruleId"], "configured");
  EXPECT_EQ(sarif["runs"][0]["results"][0]["locations"][0]["physicalLocation"]["region"]["startLine"], 2);
  Ran junit = Run({"diff", "-f", file, "-o", "junit"});
  EXPECT_EQ(junit.code, 1);
  EXPECT_EQ(XmlProblem(junit.out), "") << junit.out;
  EXPECT_NE(junit.out.find("failures=\"1\" errors=\"0\""), std::string::npos) << junit.out;
  EXPECT_EQ(different.out.find("\x1b["), std::string::npos);
}

TEST_F(GitopsTest, DiffOfWrongManifestsIsAnErrorInTheSameForm) {
  const std::string file = File("weather.yaml", Manifest("weather") + "  port: http\n");
  Ran sarif = Run({"diff", "-f", file, "-o", "sarif"});
  EXPECT_EQ(sarif.code, 2);
  EXPECT_EQ(SarifProblems(Json::parse(sarif.out)), std::vector<std::string>{});
  EXPECT_EQ(Json::parse(sarif.out)["runs"][0]["results"][0]["level"], "error");
  EXPECT_EQ(Run({"diff", "-f", file, "-o", "json"}).code, 2);
  EXPECT_EQ(Run({"diff", "-f", file, "-o", "xml"}).code, 2);
}

TEST_F(GitopsTest, ValidateReportsEachViolationWithFileLineAndColumn) {
  env_["MCPFLEET_CONFIG"] = dir_ / "none";
  File("m/bad.yaml", Manifest("bad") + "  port: http\n");
  File("m/good.yaml", Manifest("good"));
  File("m/torn.yaml", "kind: [");
  Ran sarif = Run({"validate", "-f", dir_ / "m", "-o", "sarif"});
  EXPECT_EQ(sarif.code, 1) << sarif.err;
  const Json json = Json::parse(sarif.out);
  EXPECT_EQ(SarifProblems(json), std::vector<std::string>{});
  ASSERT_EQ(json["runs"][0]["results"].size(), 2u);
  const Json& place = json["runs"][0]["results"][0]["locations"][0]["physicalLocation"];
  EXPECT_EQ(place["region"], Json({{"startLine", 9}, {"startColumn", 3}}));
  Ran junit = Run({"validate", "-f", dir_ / "m", "-o", "junit"});
  EXPECT_EQ(junit.code, 1);
  EXPECT_EQ(XmlProblem(junit.out), "") << junit.out;
  EXPECT_NE(junit.out.find("tests=\"3\" failures=\"0\" errors=\"2\""), std::string::npos) << junit.out;
  Ran plain = Run({"validate", "-f", dir_ / "m", "-o", "json"});
  EXPECT_EQ(plain.code, 1);
  EXPECT_EQ(Json::parse(plain.out)["valid"], false);
  EXPECT_EQ(Json::parse(plain.out)["violations"][0]["column"], 3);
  EXPECT_EQ(Json::parse(plain.out)["objects"].size(), 1u);
}

TEST_F(GitopsTest, ValidateTellsWrongFromUnreadable) {
  EXPECT_EQ(Run({"validate", "-f", File("good.yaml", Manifest("good")), "-o", "junit"}).code, 0);
  EXPECT_EQ(Run({"validate", "-f", File("bad.yaml", "kind: x\n")}).code, 1);
  EXPECT_EQ(Run({"validate", "-f", dir_ / "absent.yaml"}).code, 2);
  EXPECT_EQ(Run({"validate"}).code, 2);
  EXPECT_EQ(Run({"validate", "-f", dir_ / "good.yaml", "-o", "yaml"}).code, 2);
}

TEST_F(GitopsTest, RenderPrintsAnOverlayAndApplyTakesIt) {
  env_["MCPFLEET_CONFIG"] = dir_ / "config";
  File("base/weather.yaml", Manifest("weather"));
  File("sites/berlin/kustomization.yaml",
       "resources: [../../base]\nnamespace: shop\nlabels: [{pairs: {site: berlin}}]\npatches: [{path: p.yaml}]\n");
  File("sites/berlin/p.yaml", "kind: MCPServer\nmetadata: {name: weather}\nspec: {args: [--city, berlin]}\n");
  const std::string text = Out({"render", dir_ / "sites/berlin"});
  EXPECT_EQ(
      text,
      "---\napiVersion: mcpfleet.dev/v1alpha1\nkind: MCPServer\nmetadata:\n  name: weather\n  namespace: shop\n"
      "  labels:\n    site: berlin\nspec:\n  args:\n  - \"--city\"\n  - berlin\n  source:\n    image:\n      ref: "
      "example/weather:1\n");
  EXPECT_EQ(Out({"render", dir_ / "sites/berlin"}), text);
  EXPECT_EQ(Out({"apply", "-k", dir_ / "sites/berlin", "--applyset", "berlin", "--prune"}),
            "mcpserver.mcpfleet.dev/weather created\n");
  EXPECT_EQ(Run({"diff", "-k", dir_ / "sites/berlin", "--applyset", "berlin", "--prune"}).code, 0);
  EXPECT_EQ(Out({"apply", "-f", "-"}, text), "mcpserver.mcpfleet.dev/weather unchanged\n");
  EXPECT_EQ(Out({"validate", "-k", dir_ / "sites/berlin"}), "mcpserver.mcpfleet.dev/weather valid\n");
  EXPECT_EQ(Out({"render", dir_ / "sites/berlin", "-o", "name"}), "mcpserver.mcpfleet.dev/weather\n");
}

TEST_F(GitopsTest, RenderNeedsNoStoreAndSaysWhatIsWrongWhere) {
  env_["MCPFLEET_CONFIG"] = dir_ / "none";
  File("site/kustomization.yaml", "resources:\n  - nowhere\n");
  Ran ran = Run({"render", dir_ / "site"});
  EXPECT_EQ(ran.code, 1);
  EXPECT_EQ(ran.out, "");
  EXPECT_NE(ran.err.find("kustomization.yaml:2: resources[0]: "), std::string::npos) << ran.err;
}

TEST_F(GitopsTest, SyncsAreListedFromTheStore) {
  EXPECT_NE(Run({"syncs"}).err.find("no sync reports"), std::string::npos);
  const Json status = Json::parse(R"({"apiVersion":"mcpfleet.dev/v1alpha1","kind":"GitSync","metadata":{"name":"fleet"},
    "spec":{"url":"https://git.example.com/fleet.git","branch":"main","path":"sites/berlin","interval":"1m"},
    "status":{"applied":{"commit":"0123456789abcdef0123456789abcdef01234567","signer":"ann@example.com"},
      "conditions":[{"type":"Ready","status":"False","reason":"InvalidManifests","message":"broken","lastTransitionTime":"2026-11-22T15:04:05Z"}],
      "objects":2,"pruned":0}})");
  Json fresh = status;
  fresh["status"]["reportedAt"] = FormatTime(SystemClock().Wall());
  ASSERT_TRUE(store_.kv().Client(kServerStateNamespace)->Put("syncs/fleet", fresh.dump(), {}, testing::Soon()).ok());
  const std::string table = Out({"syncs"});
  EXPECT_NE(table.find("fleet   False   InvalidManifests   0123456789ab"), std::string::npos) << table;
  EXPECT_EQ(Out({"syncs", "fleet", "-o", "jsonpath={.status.applied.signer}"}), "ann@example.com\n");
  EXPECT_EQ(Run({"syncs", "other"}).code, 1);
  // One that is long silent is not what it said last.
  ASSERT_TRUE(store_.kv().Client(kServerStateNamespace)->Put("syncs/fleet", status.dump(), {}, testing::Soon()).ok());
  EXPECT_NE(Out({"syncs"}).find("Unknown"), std::string::npos);
}

TEST_F(GitopsTest, CompletionKnowsTheFormsAndTheSets) {
  Apply(Manifest("a", "1", "mcpfleet.dev/applyset: shop"));
  EXPECT_EQ(Out({"__complete", "--", "validate", "-o", ""}), "json\nsarif\njunit\n");
  EXPECT_EQ(Out({"__complete", "--", "apply", "--applyset", ""}), "shop\n");
  EXPECT_NE(Out({"__complete", "--", ""}).find("render\n"), std::string::npos);
}

}  // namespace
}  // namespace mcpfleet::cli
