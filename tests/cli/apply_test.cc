#include <gtest/gtest.h>

#include "tests/cli/mcpctl.h"

namespace mcpfleet::cli {
namespace {

using ApplyTest = McpctlTest;

TEST_F(ApplyTest, AnObjectIsCreatedThenUnchangedThenConfigured) {
  std::string file = File("weather.yaml", Manifest("weather"));
  EXPECT_EQ(Out({"apply", "-f", file}), "mcpserver.mcpfleet.dev/weather created\n");
  std::string head = Head();
  size_t keys = Keys();
  EXPECT_EQ(Out({"apply", "-f", file}), "mcpserver.mcpfleet.dev/weather unchanged\n");
  EXPECT_EQ(Head(), head);
  EXPECT_EQ(Keys(), keys);
  File("weather.yaml", Manifest("weather", "2"));
  EXPECT_EQ(Out({"apply", "-f", file}), "mcpserver.mcpfleet.dev/weather configured\n");
  EXPECT_NE(Head(), head);
}

TEST_F(ApplyTest, FiftyUnchangedManifestsAreFourReadsAndNoWrite) {
  for (int i = 0; i < 50; ++i) File("m/" + std::to_string(i) + ".yaml", Manifest("s" + std::to_string(i)));
  Out({"apply", "-f", dir_ / "m"});
  size_t keys = Keys();
  Ran ran = Run({"apply", "-f", dir_ / "m", "-v"});
  EXPECT_EQ(ran.code, 0);
  EXPECT_EQ(
      ran.err,
      "store: GET values -> 200\nstore: GET values -> 200\nstore: POST bulk/get -> 200\nstore: POST bulk/get -> 200\n");
  EXPECT_EQ(Keys(), keys);
}

TEST_F(ApplyTest, ADirectoryAndStdinAreRead) {
  File("m/a.yaml", Manifest("a"));
  File("m/b.yaml", Manifest("b"));
  EXPECT_EQ(Out({"apply", "-f", dir_ / "m"}), "mcpserver.mcpfleet.dev/a created\nmcpserver.mcpfleet.dev/b created\n");
  EXPECT_EQ(Out({"apply", "-f", "-"}, Manifest("c") + Manifest("d")),
            "mcpserver.mcpfleet.dev/c created\nmcpserver.mcpfleet.dev/d created\n");
}

TEST_F(ApplyTest, ADryRunWritesNothing) {
  std::string file = File("weather.yaml", Manifest("weather"));
  EXPECT_EQ(Out({"apply", "-f", file, "--dry-run=client"}), "mcpserver.mcpfleet.dev/weather valid (dry run)\n");
  EXPECT_EQ(Out({"apply", "-f", file, "--dry-run=server"}),
            "mcpserver.mcpfleet.dev/weather created (server dry run)\n");
  EXPECT_EQ(Keys(), 0u);
}

TEST_F(ApplyTest, ABadManifestIsToldByFileAndLineAndNothingIsWritten) {
  std::string good = File("m/a.yaml", Manifest("a"));
  std::string bad = File("m/b.yaml", Manifest("b") + "  transprot: stdio\n  port: http\n");
  Ran ran = Run({"apply", "-f", dir_ / "m"});
  EXPECT_EQ(ran.code, 1);
  EXPECT_EQ(ran.out, "");
  EXPECT_NE(ran.err.find(bad + ":9: spec.transprot: "), std::string::npos) << ran.err;
  EXPECT_NE(ran.err.find("transport"), std::string::npos) << ran.err;
  EXPECT_NE(ran.err.find(bad + ":10: spec.port: "), std::string::npos) << ran.err;
  EXPECT_NE(ran.err.find(" violations in the manifests; nothing was written"), std::string::npos) << ran.err;
  EXPECT_EQ(Keys(), 0u);
}

TEST_F(ApplyTest, PruneDeletesWhatTheSelectorOwnsAndNoManifestNames) {
  Apply(Manifest("old", "1", "app: shop") + Manifest("other", "1", "app: bank") + Manifest("plain"));
  std::string file = File("shop.yaml", Manifest("new", "1", "app: shop"));
  EXPECT_EQ(Out({"apply", "-f", file, "--prune", "-l", "app=shop", "--force"}),
            "mcpserver.mcpfleet.dev/new created\nmcpserver.mcpfleet.dev/old deleted\n");
  EXPECT_EQ(Out({"get", "mcp", "-o", "name"}),
            "mcpserver.mcpfleet.dev/new\nmcpserver.mcpfleet.dev/other\nmcpserver.mcpfleet.dev/plain\n");
}

TEST_F(ApplyTest, PruneRefusesWithoutASelectorAndForManifestsThatItDoesNotMatch) {
  std::string file = File("shop.yaml", Manifest("new", "1", "app: shop"));
  Ran ran = Run({"apply", "-f", file, "--prune"});
  EXPECT_EQ(ran.code, 1);
  EXPECT_NE(ran.err.find("--prune needs --applyset or --selector"), std::string::npos) << ran.err;
  ran = Run({"apply", "-f", file, "--prune", "-l", "app=bank"});
  EXPECT_EQ(ran.code, 1);
  EXPECT_NE(ran.err.find("does not match this object"), std::string::npos) << ran.err;
  EXPECT_EQ(Keys(), 0u);
}

TEST_F(ApplyTest, WaitEndsWhenTheNodeReportsThisGenerationReady) {
  Report(Node("edge-01", {Ready("weather", 1)}));
  std::string file = File("weather.yaml", Manifest("weather"));
  Ran ran = Run({"apply", "-f", file, "--wait", "--timeout", "20s"});
  EXPECT_EQ(ran.code, 0) << ran.err;
  EXPECT_EQ(ran.out, "mcpserver.mcpfleet.dev/weather created\nmcpserver.mcpfleet.dev/weather condition met\n");
}

TEST_F(ApplyTest, AWaitThatTimesOutSaysWhyAndWhereToLook) {
  Report(Node("edge-01", {Ready("weather", 1, ConditionStatus::kFalse, "CrashLoopBackOff")}));
  std::string file = File("weather.yaml", Manifest("weather"));
  Ran ran = Run({"apply", "-f", file, "--wait", "--timeout", "400ms"});
  EXPECT_EQ(ran.code, 1);
  EXPECT_NE(ran.err.find("mcpserver.mcpfleet.dev/weather: CrashLoopBackOff: said by the node"), std::string::npos)
      << ran.err;
  EXPECT_NE(ran.err.find("mcpctl describe mcp weather"), std::string::npos) << ran.err;
  EXPECT_EQ(ran.err.find('\r'), std::string::npos);  // no terminal, no redrawn line
}

TEST_F(ApplyTest, ASuspendedServerIsNotWaitedFor) {
  std::string file = File("weather.yaml", Manifest("weather") + "  suspend: true\n");
  EXPECT_EQ(Out({"apply", "-f", file, "--wait", "--timeout", "1s"}), "mcpserver.mcpfleet.dev/weather created\n");
}

TEST_F(ApplyTest, TheMessageAndTheAuthorAreInTheHistory) {
  Out({"apply", "-f", "-", "-m", "first try"}, Manifest("weather"));
  std::string history = Out({"store", "history"});
  EXPECT_NE(history.find("first try"), std::string::npos);
  EXPECT_NE(history.find("tester@"), std::string::npos);
}

TEST_F(ApplyTest, ManifestsWithoutANamespaceGoToTheContextsNamespace) {
  Out({"config", "set-context", "test", "-n", "shop"});
  Apply(Manifest("weather"));
  EXPECT_EQ(Out({"get", "mcp", "-A", "-o", "jsonpath={.items[*].metadata.namespace}"}), "shop\n");
}

TEST_F(ApplyTest, DiffExitsWithZeroOneOrTwo) {
  std::string file = File("weather.yaml", Manifest("weather"));
  Ran absent = Run({"diff", "-f", file});
  EXPECT_EQ(absent.code, 1);
  EXPECT_NE(absent.out.find("+kind: MCPServer\n"), std::string::npos) << absent.out;
  Apply(Manifest("weather"));
  Ran same = Run({"diff", "-f", file});
  EXPECT_EQ(same.code, 0);
  EXPECT_EQ(same.out, "");
  File("weather.yaml", Manifest("weather", "2"));
  Ran different = Run({"diff", "-f", file});
  EXPECT_EQ(different.code, 1);
  EXPECT_NE(different.out.find("-      ref: example/weather:1\n+      ref: example/weather:2\n"), std::string::npos)
      << different.out;
  EXPECT_EQ(different.err, "");
  EXPECT_EQ(Run({"diff", "-f", dir_ / "none.yaml"}).code, 2);
  File("weather.yaml", "kind: [");
  EXPECT_EQ(Run({"diff", "-f", file}).code, 2);
}

TEST_F(ApplyTest, ValidateNeedsNoStore) {
  env_["MCPFLEET_CONFIG"] = dir_ / "none";
  std::string file = File("weather.yaml", Manifest("weather"));
  EXPECT_EQ(Out({"validate", "-f", file}), "mcpserver.mcpfleet.dev/weather valid\n");
  Ran bad = Run({"validate", "-f", "-"}, "kind: MCPServer\n");
  EXPECT_EQ(bad.code, 1);
  EXPECT_NE(bad.err.find("stdin:1: "), std::string::npos) << bad.err;
}

}  // namespace
}  // namespace mcpfleet::cli
