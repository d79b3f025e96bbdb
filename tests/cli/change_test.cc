#include <gtest/gtest.h>

#include "tests/cli/mcpctl.h"

namespace mcpfleet::cli {
namespace {

using ChangeTest = McpctlTest;

TEST_F(ChangeTest, DeleteWaitsUntilNoNodeRunsItUnlessToldNotTo) {
  Apply(Manifest("a") + Manifest("b"));
  EXPECT_EQ(Out({"delete", "mcp/a"}), "mcpserver.mcpfleet.dev/a deleted\nmcpserver.mcpfleet.dev/a gone\n");
  Report(Node("edge-01", {Ready("b", 1)}));
  Ran ran = Run({"delete", "mcp", "b", "--timeout", "100ms"});
  EXPECT_EQ(ran.code, 1);
  EXPECT_NE(ran.err.find("still runs on edge-01"), std::string::npos) << ran.err;
  Apply(Manifest("b"));
  EXPECT_EQ(Out({"delete", "mcp", "b", "--wait=false"}), "mcpserver.mcpfleet.dev/b deleted\n");
}

TEST_F(ChangeTest, DeletingWhatIsAbsentIsAnErrorUnlessIgnored) {
  Apply(Manifest("a"));
  Ran ran = Run({"delete", "mcp", "none", "a"});
  EXPECT_EQ(ran.code, 1);
  EXPECT_NE(ran.err.find("mcpserver.mcpfleet.dev/none not found"), std::string::npos) << ran.err;
  EXPECT_EQ(Out({"delete", "mcp", "none", "--ignore-not-found"}), "");
  EXPECT_EQ(Out({"delete", "mcp", "none", "a", "--ignore-not-found", "--wait=false"}),
            "mcpserver.mcpfleet.dev/a deleted\n");
  std::string file = File("a.yaml", Manifest("a"));
  EXPECT_EQ(Run({"delete", "-f", file}).code, 1);
  EXPECT_EQ(Run({"delete", "-f", file, "--ignore-not-found"}).code, 0);
}

TEST_F(ChangeTest, EveryObjectIsDeletedOnlyWhenThatIsSaid) {
  Apply(Manifest("a") + Manifest("b", "1", "app: shop"));
  std::string head = Head();
  Ran ran = Run({"delete", "mcp"});
  EXPECT_EQ(ran.code, 1);
  EXPECT_NE(ran.err.find("--all"), std::string::npos) << ran.err;
  EXPECT_EQ(Out({"delete", "mcp", "--all", "--dry-run=server"}),
            "mcpserver.mcpfleet.dev/a deleted (server dry run)\nmcpserver.mcpfleet.dev/b deleted (server dry run)\n");
  EXPECT_EQ(Head(), head);
  EXPECT_EQ(Out({"delete", "mcp", "-l", "app=shop", "--wait=false"}), "mcpserver.mcpfleet.dev/b deleted\n");
  EXPECT_EQ(Out({"delete", "mcp", "--all", "--wait=false"}), "mcpserver.mcpfleet.dev/a deleted\n");
}

TEST_F(ChangeTest, LabelsAndAnnotationsAreSetReplacedAndRemoved) {
  Apply(Manifest("a"));
  const auto labels = [&] { return Out({"get", "mcp/a", "-o", "jsonpath={.metadata.labels}"}); };
  EXPECT_EQ(Out({"label", "mcp/a", "tier=gold", "x=y"}), "mcpserver.mcpfleet.dev/a configured\n");
  EXPECT_EQ(labels(), "{\"tier\":\"gold\",\"x\":\"y\"}\n");
  Ran ran = Run({"label", "mcp", "a", "tier=silver"});
  EXPECT_EQ(ran.code, 1);
  EXPECT_NE(ran.err.find("--overwrite"), std::string::npos) << ran.err;
  Out({"label", "mcp", "a", "tier=silver", "x-", "--overwrite"});
  EXPECT_EQ(labels(), "{\"tier\":\"silver\"}\n");
  Out({"annotate", "mcp", "a", "owner=ops team"});
  EXPECT_EQ(Out({"get", "mcp/a", "-o", "jsonpath={.metadata.annotations.owner}"}), "ops team\n");
  EXPECT_EQ(Out({"get", "mcp/a", "-o", "jsonpath={.metadata.generation}"}), "1\n");
}

TEST_F(ChangeTest, AForgottenNameLabelsNothing) {
  Apply(Manifest("a") + Manifest("b"));
  EXPECT_EQ(Run({"label", "mcp", "tier=gold"}).code, 1);
  EXPECT_EQ(Out({"label", "mcp", "--all", "tier=gold"}),
            "mcpserver.mcpfleet.dev/a configured\nmcpserver.mcpfleet.dev/b configured\n");
}

TEST_F(ChangeTest, SuspendAndResumeTurnTheFieldOnAndOff) {
  Apply(Manifest("a"));
  EXPECT_EQ(Out({"suspend", "a"}), "mcpserver.mcpfleet.dev/a configured\n");
  EXPECT_EQ(Out({"get", "mcp/a", "-o", "jsonpath={.spec.suspend}"}), "true\n");
  EXPECT_EQ(Out({"suspend", "a"}), "mcpserver.mcpfleet.dev/a unchanged\n");
  EXPECT_EQ(Out({"resume", "mcp/a"}), "mcpserver.mcpfleet.dev/a configured\n");
  EXPECT_EQ(Out({"get", "mcp/a", "-o", "jsonpath={.spec.suspend}"}), "\n");
  EXPECT_EQ(Run({"suspend"}).code, 1);
}

TEST_F(ChangeTest, UndoGoesBackToTheSpecBeforeWhateverLabelsChangedSince) {
  Apply(Manifest("a", "1"));
  Apply(Manifest("a", "2"));
  Out({"label", "mcp/a", "x=y"});
  std::string history = Out({"rollout", "history", "a"});
  EXPECT_NE(history.find("GENERATION"), std::string::npos);
  EXPECT_NE(history.find("\n2 "), std::string::npos) << history;
  EXPECT_NE(history.find("\n1 "), std::string::npos) << history;
  Out({"rollout", "undo", "a"});
  EXPECT_EQ(Out({"get", "mcp/a", "-o", "jsonpath={.spec.source.image.ref} {.metadata.generation}"}), "example/a:1 3\n");
  Out({"rollout", "undo", "mcp/a", "--to-generation", "2"});
  EXPECT_EQ(Out({"get", "mcp/a", "-o", "jsonpath={.spec.source.image.ref}"}), "example/a:2\n");
  Ran none = Run({"rollout", "undo", "a", "--to-generation", "77"});
  EXPECT_EQ(none.code, 1);
  EXPECT_NE(none.err.find("mcpctl rollout history a"), std::string::npos) << none.err;
}

TEST_F(ChangeTest, UndoAndHistoryKnowKubectlsNameOfAGeneration) {
  Apply(Manifest("a", "1"));
  Apply(Manifest("a", "2"));
  Apply(Manifest("a", "3"));
  EXPECT_NE(Out({"rollout", "history", "a", "--revision", "2"}).find("example/a:2"), std::string::npos);
  Out({"rollout", "undo", "a", "--to-revision=1"});
  EXPECT_EQ(Out({"get", "mcp/a", "-o", "jsonpath={.spec.source.image.ref}"}), "example/a:1\n");
  EXPECT_EQ(Run({"rollout", "history", "a", "--revision", "77"}).code, 1);
}

TEST_F(ChangeTest, LabelsOfEveryNamespaceAreChangedAndListed) {
  Apply(Manifest("a"));
  Out({"apply", "-n", "tools", "-f", "-"}, Manifest("b"));
  Out({"label", "mcp", "-A", "--all", "tier=gold"});
  EXPECT_EQ(Out({"label", "mcp", "b", "-n", "tools", "--list"}), "tier=gold\n");
  EXPECT_EQ(Run({"label", "mcp", "a", "-A", "tier-"}).code, 1) << "one name may be in several namespaces";
  const std::string restarted = Out({"rollout", "restart", "mcp", "-A", "--all"});
  EXPECT_NE(restarted.find("/a configured\n"), std::string::npos) << restarted;
  EXPECT_NE(restarted.find("/b configured\n"), std::string::npos) << restarted;
}

TEST_F(ChangeTest, RestartIsAnAnnotationWithTheTime) {
  Apply(Manifest("a"));
  EXPECT_EQ(Out({"rollout", "restart", "a"}), "mcpserver.mcpfleet.dev/a configured\n");
  EXPECT_TRUE(
      Out({"get", "mcp/a", "-o", "jsonpath={.metadata.annotations['mcpfleet.dev/restartedAt']}"}).starts_with("20"));
  // The node that was Ready before has the restart still to do.
  Report(Node("edge-01", {Ready("a", 1)}));
  EXPECT_EQ(Run({"rollout", "status", "a", "--timeout", "1s"}).code, 1);
  Ran looked = Run({"rollout", "status", "a", "--watch=false"});
  EXPECT_EQ(looked.code, 0);
  EXPECT_EQ(looked.out, "");
  EXPECT_NE(looked.err.find("the node has not seen generation 2 yet"), std::string::npos) << looked.err;
  Report(Node("edge-01", {Ready("a", 2)}));
  EXPECT_EQ(Out({"rollout", "status", "a", "--timeout", "20s"}), "mcpserver.mcpfleet.dev/a condition met\n");
  EXPECT_EQ(Out({"rollout", "status", "a", "--watch=false"}), "mcpserver.mcpfleet.dev/a condition met\n");
}

TEST_F(ChangeTest, AnApplyAfterARestartWritesNothingAndDiffShowsNothing) {
  const std::string manifest = File("a.yaml", Manifest("a"));
  Out({"apply", "-f", manifest});
  Out({"rollout", "restart", "a"});
  const std::string head = Head();
  EXPECT_EQ(Out({"diff", "-f", manifest}), "");
  EXPECT_EQ(Out({"apply", "-f", manifest}), "mcpserver.mcpfleet.dev/a unchanged\n");
  EXPECT_EQ(Head(), head);
}

TEST_F(ChangeTest, AChangeAfterARestartKeepsItsTimeAndDropsWhatPeopleAnnotated) {
  const char* kRestartedAt = "jsonpath={.metadata.annotations['mcpfleet.dev/restartedAt']}";
  Apply(Manifest("a"));
  Out({"rollout", "restart", "a"});
  Out({"annotate", "mcp/a", "owner=ops"});
  const std::string time = Out({"get", "mcp/a", "-o", kRestartedAt});
  EXPECT_TRUE(time.starts_with("20"));
  Apply(Manifest("a", "2"));
  EXPECT_EQ(Out({"get", "mcp/a", "-o", kRestartedAt}), time);
  EXPECT_EQ(Out({"get", "mcp/a", "-o", "jsonpath={.metadata.annotations.owner}"}), "\n");
  Out({"annotate", "mcp/a", "mcpfleet.dev/restartedAt-"});
  EXPECT_EQ(Out({"get", "mcp/a", "-o", kRestartedAt}), "\n");
}

class EditTest : public McpctlTest {
 protected:
  EditTest() { Apply(Manifest("a", "1")); }
  void Editor(const std::string& script) { env_["EDITOR"] = File("editor.sh", "#!/bin/sh\n" + script + "\n", 0700); }
};

TEST_F(EditTest, WhatTheEditorSavesIsApplied) {
  env_["EDITOR"] = "sed -i s/a:1/a:2/";  // an editor with arguments
  EXPECT_EQ(Out({"edit", "mcp/a"}), "mcpserver.mcpfleet.dev/a configured\n");
  EXPECT_EQ(Out({"get", "mcp/a", "-o", "jsonpath={.spec.source.image.ref}"}), "example/a:2\n");
}

TEST_F(EditTest, AnUnchangedFileChangesNothing) {
  Editor("exit 0");
  std::string head = Head();
  Ran ran = Run({"edit", "mcp/a"});
  EXPECT_EQ(ran.code, 0);
  EXPECT_EQ(ran.err, "Edit cancelled, no changes made.\n");
  EXPECT_EQ(Head(), head);
}

TEST_F(EditTest, AnInvalidEditIsKeptAndNothingIsWritten) {
  Editor("echo '  transprot: x' >> \"$1\"");
  std::string head = Head();
  Ran ran = Run({"edit", "mcp/a"});
  EXPECT_EQ(ran.code, 1);
  EXPECT_NE(ran.err.find("spec.transprot"), std::string::npos) << ran.err;
  EXPECT_NE(ran.err.find("your edit is in " + dir_.path()), std::string::npos) << ran.err;
  EXPECT_EQ(Head(), head);
}

TEST_F(EditTest, AFailingOrAbsentEditorIsSaid) {
  Editor("exit 3");
  EXPECT_NE(Run({"edit", "mcp/a"}).err.find("the editor failed; nothing was written"), std::string::npos);
  env_["EDITOR"] = "no-such-editor";
  EXPECT_NE(Run({"edit", "mcp/a"}).err.find("set EDITOR"), std::string::npos);
}

TEST_F(EditTest, AnotherObjectInTheFileIsRefused) {
  Editor("sed -i 's/name: a/name: b/' \"$1\"");
  Ran ran = Run({"edit", "mcp/a"});
  EXPECT_EQ(ran.code, 1);
  EXPECT_NE(ran.err.find("must hold this one object"), std::string::npos) << ran.err;
}

}  // namespace
}  // namespace mcpfleet::cli
