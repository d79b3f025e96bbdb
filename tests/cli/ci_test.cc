// The GitHub Action and the GitLab template, run here as their runners would: the steps of the files themselves, with
// bash, over a served store.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/strings.h"
#include "crd/manifest.h"
#include "tests/cli/mcpctl.h"
#include "tests/cli/sarif_rules.h"
#include "tests/cli/xml_reader.h"

namespace mcpfleet::cli {
namespace {

const std::string kSource = MCPFLEET_SOURCE_DIR;

class CiTest : public McpctlTest {
 protected:
  CiTest() {
    env_["MCPCTL"] = std::string(MCPFLEET_BINARY_DIR) + "/mcpctl";
    env_["MCPFLEET_CONFIG"] = dir_ / "none";  // a pipeline has no contexts
    File("fleet/a.yaml", Manifest("a"));
  }
  Json Yaml(const std::string& path) {
    StatusOr<std::string> text = ReadFile(kSource + "/" + path, 1 << 20);
    EXPECT_TRUE(text.ok()) << text.status();
    StatusOr<Json> yaml = ParseYaml(text.value_or(""), path, nullptr, nullptr);
    EXPECT_TRUE(yaml.ok()) << yaml.status();
    return yaml.value_or(Json());
  }
  // Every step of the action, with `inputs` over its defaults, as a runner does it. `outputs` are read back.
  Ran Act(Json inputs) {
    const Json action = Yaml("packaging/github-action/action.yml");
    for (auto it = action["inputs"].begin(); it != action["inputs"].end(); ++it) {
      if (!inputs.contains(it.key()) && it->contains("default")) inputs[it.key()] = (*it)["default"];
      EXPECT_TRUE(inputs.contains(it.key())) << it.key();
    }
    EXPECT_EQ(action["runs"]["using"], "composite");
    File("output", "");
    File("summary", "");
    const auto before = env_;
    env_["GITHUB_ACTION_PATH"] = kSource + "/packaging/github-action";
    env_["GITHUB_OUTPUT"] = dir_ / "output";
    env_["GITHUB_STEP_SUMMARY"] = dir_ / "summary";
    env_["GITHUB_SHA"] = "0123456789abcdef0123456789abcdef01234567";
    env_["GITHUB_REPOSITORY"] = "org/fleet";
    Ran ran;
    for (const Json& step : action["runs"]["steps"]) {
      EXPECT_EQ(step["shell"], "bash");
      for (auto it = step["env"].begin(); it != step["env"].end(); ++it) {
        std::string value = it->get<std::string>();
        const std::string open = "${{ inputs.", close = " }}";
        EXPECT_TRUE(value.starts_with(open) && value.ends_with(close)) << value;
        value = value.substr(open.size(), value.size() - open.size() - close.size());
        EXPECT_TRUE(inputs.contains(value)) << value;
        env_[it.key()] = GetString(inputs, value);
      }
      ran = RunProgram("/bin/bash",
                       {"bash", "--noprofile", "--norc", "-e", "-o", "pipefail", "-c", step["run"].get<std::string>()});
      if (ran.code != 0) break;
    }
    env_ = before;
    return ran;
  }
  Json Inputs(const std::string& command) {
    return {{"command", command},    {"folder", dir_ / "fleet"},         {"applyset", "fleet"},
            {"store", store_.url()}, {"token", testing::kOperatorToken}, {"reports", dir_ / "reports"}};
  }
};

TEST_F(CiTest, TheActionValidatesAndWritesItsReports) {
  Ran good = Act({{"command", "validate"}, {"folder", dir_ / "fleet"}, {"reports", dir_ / "reports"}});
  EXPECT_EQ(good.code, 0) << good.err;
  EXPECT_EQ(Read("output"),
            "sarif=" + (dir_ / "reports/mcpfleet.sarif") + "\njunit=" + (dir_ / "reports/mcpfleet-junit.xml") + "\n");
  File("fleet/b.yaml", Manifest("b") + "  port: http\n");
  Ran bad = Act({{"command", "validate"}, {"folder", dir_ / "fleet"}, {"reports", dir_ / "reports"}});
  EXPECT_EQ(bad.code, 1);
  EXPECT_NE(bad.err.find("b.yaml:9: spec.port: "), std::string::npos) << bad.err;
  EXPECT_EQ(SarifProblems(Json::parse(Read("reports/mcpfleet.sarif"))), std::vector<std::string>{});
  EXPECT_EQ(Json::parse(Read("reports/mcpfleet.sarif"))["runs"][0]["results"].size(), 1u);
  EXPECT_EQ(XmlProblem(Read("reports/mcpfleet-junit.xml")), "");
}

TEST_F(CiTest, TheActionComparesThenAppliesThenFindsNoDifference) {
  Ran diff = Act(Inputs("diff"));
  EXPECT_EQ(diff.code, 0) << diff.err;
  EXPECT_EQ(Read("output"), "differences=true\n");
  EXPECT_NE(Read("summary").find("+kind: MCPServer"), std::string::npos);
  Json strict = Inputs("diff");
  strict["fail-on-diff"] = "true";
  EXPECT_EQ(Act(strict).code, 1);
  Ran apply = Act(Inputs("apply"));
  EXPECT_EQ(apply.code, 0) << apply.err;
  EXPECT_EQ(apply.out, "mcpserver.mcpfleet.dev/a created\n");
  EXPECT_EQ(Act(strict).code, 0);
  EXPECT_EQ(Read("output"), "differences=false\n");
  env_["MCPFLEET_CONFIG"] = dir_ / "config";
  EXPECT_NE(Out({"store", "history"}).find("org/fleet@0123456789ab"), std::string::npos);
}

TEST_F(CiTest, TheTokenIsShownNowhereAndLeftNowhere) {
  Json inputs = Inputs("diff");
  inputs["token"] = "a-wrong-token-of-the-tests-0123456789";
  Ran ran = Act(inputs);
  EXPECT_GT(ran.code, 1) << ran.out;
  EXPECT_EQ((ran.out + ran.err).find("a-wrong-token"), std::string::npos) << ran.err;
  EXPECT_EQ(RunProgram("/usr/bin/grep", {"grep", "-rl", "a-wrong-token", dir_.path()}).out, "");
}

TEST_F(CiTest, WhatIsMissingIsSaid) {
  EXPECT_EQ(Act({{"command", "nonsense"}, {"folder", dir_ / "fleet"}}).code, 2);
  EXPECT_EQ(Act({{"command", "validate"}, {"folder", dir_ / "absent"}}).code, 2);
  Json unnamed = Inputs("apply");
  unnamed["applyset"] = "";
  Ran ran = Act(unnamed);
  EXPECT_EQ(ran.code, 2);
  EXPECT_NE(ran.err.find("MCPFLEET_APPLYSET is not set"), std::string::npos) << ran.err;
  Json tokenless = Inputs("diff");
  tokenless["token"] = "";
  EXPECT_EQ(Act(tokenless).code, 2);
}

TEST_F(CiTest, EachJobOfTheGitlabTemplateRuns) {
  const Json template_ = Yaml("packaging/gitlab/mcpfleet.gitlab-ci.yml");
  env_["MCPFLEET_CI"] = kSource + "/packaging/ci/mcpfleet-ci";
  env_["MCPFLEET_FOLDER"] = dir_ / "fleet";
  env_["MCPFLEET_APPLYSET"] = "fleet";
  env_["MCPFLEET_STORE"] = store_.url();
  env_["MCPFLEET_TOKEN"] = testing::kOperatorToken;
  env_["CI_COMMIT_SHA"] = "0123456789abcdef0123456789abcdef01234567";
  env_["CI_PROJECT_PATH"] = "group/fleet";
  env_["MCPFLEET_REPORTS"] = dir_ / GetString(template_[".mcpfleet"]["variables"], "MCPFLEET_REPORTS");
  int jobs = 0;
  for (const char* job : {"mcpfleet-validate", "mcpfleet-diff", "mcpfleet-apply"}) {
    ASSERT_TRUE(template_.contains(job)) << job;
    EXPECT_EQ(template_[job]["extends"], ".mcpfleet");
    for (const Json& line : template_[job]["script"]) {
      Ran ran = RunProgram("/bin/bash", {"bash", "-e", "-c", line.get<std::string>()});
      EXPECT_EQ(ran.code, 0) << job << ": " << ran.err;
      ++jobs;
    }
  }
  EXPECT_EQ(jobs, 3);
  const std::string report = GetString(template_["mcpfleet-validate"]["artifacts"]["reports"], "junit");
  EXPECT_EQ(XmlProblem(Read(report)), "");
  env_["MCPFLEET_CONFIG"] = dir_ / "config";
  EXPECT_EQ(Out({"get", "mcp", "-o", "name"}), "mcpserver.mcpfleet.dev/a\n");
}

TEST_F(CiTest, TheExamplesForFluxAndArgoAreObjectsOfKubernetes) {
  for (const char* name : {"flux.yaml", "argocd.yaml"}) {
    StatusOr<std::string> text = ReadFile(kSource + "/manifests/gitops/" + name, 1 << 20);
    ASSERT_TRUE(text.ok()) << text.status();
    std::vector<Violation> violations;
    StatusOr<std::vector<RawObject>> objects = ReadRawObjects(*text, name, &violations);
    ASSERT_TRUE(objects.ok()) << objects.status();
    EXPECT_EQ(objects->size(), 2u);
    for (const RawObject& each : *objects) {
      EXPECT_NE(GetString(each.value, "apiVersion"), "");
      EXPECT_NE(GetString(each.value, "kind"), "");
      EXPECT_NE(GetString(GetMember(each.value, "metadata"), "name"), "");
    }
  }
  const Json workflow = Yaml("manifests/gitops/github-workflow.yaml");
  const Json action = Yaml("packaging/github-action/action.yml");
  for (const Json& step : workflow["jobs"]["fleet"]["steps"]) {
    if (!GetString(step, "uses").starts_with("mcpfleet/")) continue;
    for (auto it = step["with"].begin(); it != step["with"].end(); ++it)
      EXPECT_TRUE(action["inputs"].contains(it.key())) << it.key();
  }
}

}  // namespace
}  // namespace mcpfleet::cli
