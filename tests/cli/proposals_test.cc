#include "tests/cli/mcpctl.h"

namespace mcpfleet::cli {
namespace {

class ProposalsTest : public McpctlTest {
 protected:
  // Proposes the manifest and gives the id that is shown.
  std::string Proposed(const std::string& manifest) {
    const std::string out = Out({"apply", "-f", "-", "--propose", "-m", "for review"}, manifest);
    EXPECT_TRUE(out.starts_with("proposal ") && out.ends_with(" created\n")) << out;
    return out.substr(9, 12);
  }
};

TEST_F(ProposalsTest, AProposalChangesNothingUntilItIsSigned) {
  Apply(Manifest("a"));
  const std::string before = Head(), id = Proposed(Manifest("a", "2"));
  EXPECT_EQ(Head(), before);
  const std::string list = Out({"proposals", "list"});
  EXPECT_NE(list.find(id), std::string::npos) << list;
  EXPECT_NE(list.find("for review"), std::string::npos) << list;
  const std::string show = Out({"proposals", "show", id});
  EXPECT_NE(show.find("\n-"), std::string::npos) << show;
  EXPECT_NE(show.find("\n+"), std::string::npos) << show;
  EXPECT_EQ(Head(), before);
  const Ran unasked = Run({"proposals", "sign", id});
  EXPECT_EQ(unasked.code, 1);
  EXPECT_NE(unasked.err.find("--yes"), std::string::npos) << unasked.err;
  EXPECT_EQ(Head(), before);
  const std::string signed_out = Out({"proposals", "sign", id, "--yes"});
  EXPECT_NE(signed_out.find("mcpserver.mcpfleet.dev/a configured"), std::string::npos) << signed_out;
  EXPECT_NE(Head(), before);
  EXPECT_EQ(Run({"proposals", "show", id}).code, 1) << "it is done and gone";
  EXPECT_NE(Out({"store", "history"}).find("for review (proposed by "), std::string::npos);
}

TEST_F(ProposalsTest, WhatWasChangedSinceIsNotOverwrittenUnasked) {
  Apply(Manifest("a"));
  const std::string id = Proposed(Manifest("a", "2"));
  Apply(Manifest("a", "3"));
  const std::string before = Head();
  const Ran refused = Run({"proposals", "sign", id, "--yes"});
  EXPECT_EQ(refused.code, 1);
  EXPECT_NE(refused.err.find("MCPServer/default/a was changed since"), std::string::npos) << refused.err;
  EXPECT_EQ(Head(), before);
  EXPECT_NE(Run({"proposals", "show", id}).err.find("warning: MCPServer/default/a"), std::string::npos);
  Out({"proposals", "sign", id, "--yes", "--force"});
  EXPECT_NE(Head(), before);
}

TEST_F(ProposalsTest, APipelineWithoutAKeyProposesAndAPersonWithOneSigns) {
  Apply(Manifest("a"));
  Out({"keys", "create", "root"});
  Out({"keys", "create", "laptop"});
  Out({"trust", "init", "--root", "root", "--head", "laptop"});
  ASSERT_EQ(rename((dir_ / "keys").c_str(), (dir_ / "away").c_str()), 0);
  const std::string id = Proposed(Manifest("a", "2"));
  EXPECT_EQ(Run({"proposals", "sign", id, "--yes"}).code, 1);
  EXPECT_EQ(Head(), "1.1.1");
  ASSERT_EQ(rename((dir_ / "away").c_str(), (dir_ / "keys").c_str()), 0);
  Out({"proposals", "sign", id, "--yes"});
  EXPECT_EQ(Head(), "1.1.2");
  EXPECT_EQ(Out({"trust", "show", "-o", "jsonpath={.headSigned}"}), "true\n");
}

TEST_F(ProposalsTest, ARejectedOneIsGone) {
  Apply(Manifest("a"));
  const std::string id = Proposed(Manifest("b"));
  EXPECT_EQ(Out({"proposals", "reject", id}), "proposal " + id + " rejected\n");
  EXPECT_EQ(Run({"proposals", "reject", id}).code, 1);
  EXPECT_EQ(Out({"proposals", "list"}), "");
}

}  // namespace
}  // namespace mcpfleet::cli
