#include <sys/stat.h>

#include <gtest/gtest.h>

#include "base/strings.h"
#include "crd/codec.h"
#include "gitops/secret_rules.h"
#include "store/trust/sealed_secret.h"
#include "tests/cli/mcpctl.h"

namespace mcpfleet::cli {
namespace {

constexpr char kCanary[] = "canary-5f1c";

class SecretsTest : public McpctlTest {
 protected:
  SecretsTest() { operator_ = Trimmed(Out({"keys", "create", "laptop", "--sealing"})); }
  static std::string Trimmed(const std::string& text) { return std::string(Trim(text)); }
  // An MCPNode with keys, as an enrolment leaves it; `site` is a label.
  void Join(const std::string& name, const SealingKey& key, const std::string& site = "berlin") {
    McpctlTest::Apply("apiVersion: mcpfleet.dev/v1alpha1\nkind: MCPNode\nmetadata: {name: " + name +
                      ", labels: {site: " + site + "}}\nspec: {keys: {signing: " + std::string(43, 'A') +
                      ", sealing: " + key.public_key() + "}}\n");
  }
  Ran Create(const std::string& value, std::vector<std::string> more = {}) {
    std::vector<std::string> arguments{"create", "secret", "github", "--from-file", "token=-"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return Run(arguments, value);
  }
  Json Stored(const std::string& name = "github") {
    return ParseJson(Out({"get", "mcpsecret", name, "-o", "json"})).value_or(Json());
  }
  SecretSpec Spec(const std::string& name = "github") { return DecodeSecretSpec(Stored(name)["spec"]).value(); }
  std::string Opened(const SealingKey& key, const std::string& which = "token") {
    const SecretSpec spec = Spec();
    const SecretName of{"default", "github"};
    StatusOr<DataKey> data_key = OpenDataKey(of, spec, key);
    if (!data_key.ok()) return "closed";
    return std::string(OpenValue(of, spec, *data_key, which).value().view());
  }
  static std::string Using(const std::string& key = "token", const std::string& placement = "") {
    return "apiVersion: mcpfleet.dev/v1alpha1\nkind: MCPServer\nmetadata: {name: weather}\nspec:\n" + placement +
           "  source: {process: {path: /server}}\n"
           "  env: [{name: TOKEN, valueFrom: {secretKeyRef: {name: github, key: " +
           key + "}}}]\n";
  }

  SealingKey a_ = SealingKey::Create(), b_ = SealingKey::Create();
  std::string operator_;
};

TEST_F(SecretsTest, ASecretIsSealedToTheNodesAndToTheKeysHereAndNothingShowsItsValue) {
  Join("edge-01", a_);
  const Ran made = Create(kCanary);
  EXPECT_EQ(made.code, 0) << made.err;
  EXPECT_EQ(made.out, "mcpsecret.mcpfleet.dev/github created\n");
  EXPECT_EQ(Opened(a_), kCanary);
  EXPECT_EQ(Opened(b_), "closed");
  ASSERT_EQ(Spec().recipients.size(), 2u);
  EXPECT_EQ(Spec().recipients[1].public_key, operator_);
  for (const std::string& text :
       {made.out, made.err, Out({"get", "mcpsecrets"}), Out({"get", "secret/github", "-o", "yaml"}),
        Out({"describe", "mcpsecret", "github"}), Out({"get", "all", "-A", "-o", "json"})}) {
    EXPECT_EQ(text.find(kCanary), std::string::npos) << text;
  }
  const std::string description = Out({"describe", "mcpsecret", "github"});
  for (const char* part : {"token", "edge-01", "laptop", "Data version"})
    EXPECT_NE(description.find(part), std::string::npos) << description;
  EXPECT_EQ(description.find(std::string(Stored()["spec"]["data"][0]["sealed"])), std::string::npos);
  const std::string table = Out({"get", "mcpsecrets"});
  EXPECT_NE(table.find("OPERATORS"), std::string::npos) << table;
}

TEST_F(SecretsTest, ValuesComeFromFilesStdinEnvFilesAndLiteralsAndMistakesTellNoValue) {
  Join("edge-01", a_);
  const std::string path = File("password", "from-a-file");
  const Ran made = Create("from-stdin", {"--from-file", path, "--from-file", "other=" + path, "--from-env-file",
                                         File("x.env", "# c\nA=1=2\n\nB=\r\n"), "--from-literal", "lit=eral"});
  ASSERT_EQ(made.code, 0) << made.err;
  EXPECT_NE(made.err.find("--from-literal stays in the history"), std::string::npos);
  EXPECT_EQ(Opened(a_), "from-stdin");
  EXPECT_EQ(Opened(a_, "password"), "from-a-file");
  EXPECT_EQ(Opened(a_, "other"), "from-a-file");
  EXPECT_EQ(Opened(a_, "A"), "1=2");
  EXPECT_EQ(Opened(a_, "B"), "");
  EXPECT_EQ(Opened(a_, "lit"), "eral");
  const std::vector<std::vector<std::string>> mistakes = {
      {"--from-literal", kCanary},
      {"--from-env-file", File("bad.env", std::string(kCanary) + "\n")},
      {"--from-literal", std::string("a b=") + kCanary},
      {"--from-literal", std::string("a=") + kCanary, "--from-literal", std::string("a=") + kCanary},
      {"--from-file", "-"},
      {}};
  for (std::vector<std::string> mistake : mistakes) {
    mistake.insert(mistake.begin(), {"create", "secret", "wrong"});
    const Ran ran = Run(mistake);
    EXPECT_EQ(ran.code, 1) << ran.out;
    EXPECT_EQ((ran.out + ran.err).find(kCanary), std::string::npos) << ran.err;
  }
  EXPECT_EQ(Run({"create", "secret", "wrong", "--from-file", "big=" + File("big", std::string(40'000, 'x'))}).code, 1);
}

TEST_F(SecretsTest, ReplacingIsSaidOnPurposeAndIsAnotherVersion) {
  Join("edge-01", a_);
  ASSERT_EQ(Create("one").code, 0);
  const std::string version = Spec().data_version;
  EXPECT_EQ(Create("two").code, 1);
  EXPECT_EQ(Opened(a_), "one");
  EXPECT_EQ(Create("two", {"--replace", "--dry-run"}).code, 0);
  EXPECT_EQ(Opened(a_), "one");
  ASSERT_EQ(Create("two", {"--replace"}).code, 0);
  EXPECT_EQ(Opened(a_), "two");
  EXPECT_NE(Spec().data_version, version);
}

TEST_F(SecretsTest, WithoutAnOperatorsKeyNoSecretIsMade) {
  ASSERT_EQ(unlink((dir_ / "keys/laptop.sealing").c_str()), 0);
  Join("edge-01", a_);
  const Ran ran = Create("x");
  EXPECT_EQ(ran.code, 1);
  EXPECT_NE(ran.err.find("mcpctl keys create NAME --sealing"), std::string::npos) << ran.err;
  EXPECT_EQ(Create("x", {"--operator", "ops=" + operator_}).code, 0);
  // Nobody here can open it now.
  Join("edge-02", b_);
  const Ran rewrap = Run({"secrets", "rewrap", "github"});
  EXPECT_EQ(rewrap.code, 1);
  EXPECT_NE(rewrap.err.find("ops (" + operator_ + ")"), std::string::npos) << rewrap.err;
}

TEST_F(SecretsTest, ARewrapLetsNodesInAndOutWithoutTheValues) {
  Join("edge-01", a_);
  ASSERT_EQ(Create(kCanary).code, 0);
  const std::string version = Spec().data_version;
  EXPECT_EQ(Out({"secrets", "rewrap", "github"}), "mcpsecret.mcpfleet.dev/github unchanged\n");
  Join("edge-02", b_);
  EXPECT_NE(Out({"describe", "mcpsecret", "github"}).find("mcpctl secrets rewrap github -n default"),
            std::string::npos);
  const Ran rewrapped = Run({"secrets", "rewrap", "--all"});
  EXPECT_EQ(rewrapped.code, 0) << rewrapped.err;
  EXPECT_NE(rewrapped.err.find("+ node edge-02"), std::string::npos) << rewrapped.err;
  EXPECT_EQ((rewrapped.out + rewrapped.err).find(kCanary), std::string::npos);
  EXPECT_EQ(Opened(b_), kCanary);
  EXPECT_EQ(Spec().data_version, version);
  Out({"delete", "mcpnode", "edge-01"});
  ASSERT_EQ(Run({"secrets", "rewrap", "github"}).code, 0);
  EXPECT_EQ(Opened(a_), "closed");
  // Placement is kept by later rewraps.
  Join("edge-01", a_, "paris");
  ASSERT_EQ(Run({"secrets", "rewrap", "github", "--node-selector", "site=berlin"}).code, 0);
  EXPECT_EQ(Opened(a_), "closed");
  EXPECT_EQ(Out({"secrets", "rewrap", "github"}), "mcpsecret.mcpfleet.dev/github unchanged\n");
  ASSERT_EQ(Run({"secrets", "rewrap", "github", "--every-node"}).code, 0);
  EXPECT_EQ(Opened(a_), kCanary);
  EXPECT_EQ(Run({"secrets", "rewrap", "absent"}).code, 1);
  EXPECT_EQ(Run({"secrets", "rewrap"}).code, 1);
}

TEST_F(SecretsTest, ApplyRefusesWhatANodeCouldNotOpenAndSaysWhatToRun) {
  Join("edge-01", a_);
  Join("edge-02", b_, "paris");
  const std::string file = File("weather.yaml", Using());
  const std::string head = Head();
  Ran ran = Run({"apply", "-f", file});
  EXPECT_EQ(ran.code, 1);
  EXPECT_NE(ran.err.find("MCPServer default/weather: spec.env[TOKEN].valueFrom: there is no secret github"),
            std::string::npos)
      << ran.err;
  EXPECT_NE(ran.err.find("mcpctl create secret github -n default"), std::string::npos) << ran.err;
  EXPECT_EQ(Head(), head);

  ASSERT_EQ(Create("x", {"--node", "edge-01"}).code, 0);
  ran = Run({"apply", "-f", file});
  EXPECT_EQ(ran.code, 1);
  EXPECT_NE(ran.err.find("secret github is not sealed to node edge-02; run: mcpctl secrets rewrap github -n default"),
            std::string::npos)
      << ran.err;
  // Placed where it can be opened.
  EXPECT_EQ(Run({"apply", "-f", File("b.yaml", Using("token", "  placement: {nodeSelector: {site: berlin}}\n"))}).code,
            0);
  ran = Run({"apply", "-f", File("c.yaml", Using("other", "  placement: {nodes: [edge-01]}\n"))});
  EXPECT_NE(ran.err.find("secret github has no key other"), std::string::npos) << ran.err;
  // A node without keys, which only reports.
  Report(Node("edge-03", {}));
  ran = Run({"apply", "-f", File("d.yaml", Using("token", "  placement: {nodes: [edge-03]}\n"))});
  EXPECT_NE(ran.err.find("node edge-03 can open no secret"), std::string::npos) << ran.err;
  EXPECT_NE(ran.err.find("mcpctl node enroll edge-03"), std::string::npos) << ran.err;
  // A secret that would no longer do for a server that uses it.
  ran = Create("x", {"--replace", "--node", "edge-02"});
  EXPECT_EQ(ran.code, 1);
  EXPECT_NE(ran.err.find("is not sealed to node edge-01"), std::string::npos) << ran.err;
  // Suspended servers need nothing.
  EXPECT_EQ(Run({"apply", "-f", File("e.yaml", Using() + "  suspend: true\n")}).code, 0);
}

TEST_F(SecretsTest, AUsedSecretIsDeletedOnlyByForce) {
  Join("edge-01", a_);
  ASSERT_EQ(Create("x").code, 0);
  ASSERT_EQ(Run({"apply", "-f", File("weather.yaml", Using())}).code, 0);
  const Ran ran = Run({"delete", "mcpsecret", "github"});
  EXPECT_EQ(ran.code, 1);
  EXPECT_NE(ran.err.find("is used by weather in namespace default"), std::string::npos) << ran.err;
  // Nor by a prune, unless its users go or change with it.
  Out({"label", "mcpsecret", "github", "team=a"});
  const Ran made = Run({"create", "secret", "other", "--from-file", "a=-", "--dry-run", "-o", "json"}, "x");
  Json manifest = ParseJson(made.out).value_or(Json());
  manifest["metadata"]["labels"] = {{"team", "a"}};
  const Ran pruned = Run({"apply", "-f", "-", "-l", "team=a", "--prune", "--force"}, DumpJson(manifest));
  EXPECT_EQ(pruned.code, 1);
  EXPECT_NE(pruned.err.find("there is no secret github"), std::string::npos) << pruned.err;
  EXPECT_EQ(Run({"delete", "mcpsecret", "github", "--force"}).code, 0);
  EXPECT_EQ(Run({"get", "mcpsecret", "github"}).code, 1);
}

TEST_F(SecretsTest, ASealedSecretIsAManifest) {
  Join("edge-01", a_);
  const Ran made = Create(kCanary, {"--dry-run", "-o", "yaml"});
  ASSERT_EQ(made.code, 0) << made.err;
  EXPECT_EQ(Run({"get", "mcpsecret", "github"}).code, 1);
  EXPECT_EQ(made.out.find(kCanary), std::string::npos);
  ASSERT_EQ(Run({"apply", "-f", "-"}, made.out).code, 0);
  EXPECT_EQ(Opened(a_), kCanary);
  EXPECT_EQ(Run({"diff", "-f", "-"}, made.out).code, 0);
}

TEST_F(SecretsTest, InASignedFleetNothingIsSealedByAHeadThatIsNotSigned) {
  Join("edge-01", a_);
  for (const char* name : {"root", "head"}) Out({"keys", "create", name});
  const std::string root = Trimmed(Out({"trust", "init", "--root", "root", "--head", "head"}));
  ASSERT_EQ(Create("x").code, 0);
  EXPECT_NE(Read("config").find(root), std::string::npos) << Read("config");
  // What this store has is not the fleet that the context was told of.
  Out({"config", "set-context", "test", "--trust-root", std::string(root.size(), 'a')});
  const Ran ran = Create("y", {"--replace"});
  EXPECT_EQ(ran.code, 1);
  EXPECT_NE(ran.err.find("nothing is sealed by what this store says"), std::string::npos) << ran.err;
}

}  // namespace
}  // namespace mcpfleet::cli
