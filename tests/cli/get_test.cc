#include <gtest/gtest.h>

#include "tests/cli/mcpctl.h"

namespace mcpfleet::cli {
namespace {

class GetTest : public McpctlTest {
 protected:
  GetTest() {
    Apply(Manifest("clock", "1", "app: shop") + Manifest("weather") + Manifest("idle") + "  suspend: true\n");
    Report(Node("edge-01", {Ready("clock", 1), Ready("weather", 1, ConditionStatus::kFalse, "CrashLoopBackOff"),
                            Ready("idle", 1)}));
  }
  static std::vector<std::string> Words(const std::string& line) {
    std::vector<std::string> words;
    std::istringstream in(line);
    for (std::string word; in >> word;) words.push_back(word);
    return words;
  }
  static std::vector<std::string> Lines(const std::string& text) {
    std::vector<std::string> lines;
    std::istringstream in(text);
    for (std::string line; std::getline(in, line);) lines.push_back(line);
    return lines;
  }
};

TEST_F(GetTest, TheTableShowsWhatEachServerIsDoing) {
  std::vector<std::string> lines = Lines(Out({"get", "mcp"}));
  ASSERT_EQ(lines.size(), 4u);
  EXPECT_EQ(Words(lines[0]),
            (std::vector<std::string>{"NAME", "READY", "STATUS", "TOOLS", "PROTOCOL", "RESTARTS", "AGE"}));
  EXPECT_TRUE(lines[1].starts_with("clock     1/1     Ready")) << lines[1];
  EXPECT_EQ(Words(lines[2])[2], "Suspended");
  EXPECT_EQ(Words(lines[3])[1], "0/1");
  EXPECT_EQ(Words(lines[3])[2], "CrashLoopBackOff");
}

TEST_F(GetTest, WideAndLabelsAddColumnsAndHeadersMayBeLeftOut) {
  std::string wide = Out({"get", "mcp", "clock", "-o", "wide", "--show-labels", "--no-headers"});
  EXPECT_EQ(Lines(wide).size(), 1u);
  for (const char* part : {"example/clock:1", "edge-01", "http://127.0.0.1:8700/default/clock/mcp", "app=shop"}) {
    EXPECT_NE(wide.find(part), std::string::npos) << part << " in " << wide;
  }
}

TEST_F(GetTest, ObjectsArePrintedInTheFormatAskedFor) {
  Json one = Json::parse(Out({"get", "mcp/clock", "-o", "json"}));
  EXPECT_EQ(one["kind"], "MCPServer");
  EXPECT_EQ(one["status"]["conditions"][0]["type"], "Ready");
  EXPECT_EQ(Json::parse(Out({"get", "mcp", "-o", "json"}))["items"].size(), 3u);
  EXPECT_NE(Out({"get", "mcp", "clock", "-o", "yaml"}).find("kind: MCPServer\n"), std::string::npos);
  EXPECT_EQ(Out({"get", "mcp", "-o", "name", "-l", "app=shop"}), "mcpserver.mcpfleet.dev/clock\n");
  EXPECT_EQ(Out({"get", "mcp/clock", "-o", "jsonpath={.status.nodes[0].node}"}), "edge-01\n");
  EXPECT_EQ(Run({"get", "mcp", "-o", "xml"}).code, 1);
}

TEST_F(GetTest, FlagsMayStandBeforeTheVerb) {
  EXPECT_EQ(Out({"-n", "default", "get", "mcp", "-o", "name", "--selector", "app=shop"}),
            "mcpserver.mcpfleet.dev/clock\n");
  EXPECT_EQ(Out({"get", "-o", "name", "mcp", "clock", "-n", "default"}), "mcpserver.mcpfleet.dev/clock\n");
  EXPECT_EQ(Out({"get", "-l", "app=shop", "mcpservers", "-o=name"}), "mcpserver.mcpfleet.dev/clock\n");
}

TEST_F(GetTest, SeveralKindsAreATableEachWithTheKindInTheNameAndOneListOfObjects) {
  for (const char* kinds : {"all", "mcp,nodes", "mcpservers,mcpnode"}) {
    const std::string out = Out({"get", kinds});
    EXPECT_TRUE(out.starts_with("NAME                             READY ")) << out;
    EXPECT_NE(out.find("\nmcpserver.mcpfleet.dev/weather "), std::string::npos) << out;
    EXPECT_NE(out.find("\n\nNAME "), std::string::npos) << out;
    EXPECT_NE(out.find("\nmcpnode.mcpfleet.dev/edge-01 "), std::string::npos) << out;
  }
  EXPECT_EQ(Json::parse(Out({"get", "all", "-o", "json"}))["items"].size(), 4u);
  EXPECT_EQ(Out({"get", "all", "-o", "name", "-l", "app=shop"}), "mcpserver.mcpfleet.dev/clock\n");
  EXPECT_NE(Run({"get", "all", "-w"}).err.find("--watch takes one kind at a time"), std::string::npos);
  EXPECT_NE(Run({"get", "mcp,nodes", "clock"}).err.find("several kinds take no names"), std::string::npos);
  EXPECT_NE(Run({"get", "mcp,pods"}).err.find("there is no kind \"pods\""), std::string::npos);
}

TEST_F(GetTest, NamespacesAreKeptApart) {
  Out({"apply", "-f", "-", "-n", "bank"}, Manifest("vault"));
  EXPECT_EQ(Out({"get", "mcp", "-n", "bank", "-o", "name"}), "mcpserver.mcpfleet.dev/vault\n");
  EXPECT_NE(Out({"get", "mcp", "-A"}).find("bank        vault"), std::string::npos) << Out({"get", "mcp", "-A"});
  Ran none = Run({"get", "mcp", "-n", "nowhere"});
  EXPECT_EQ(none.code, 0);
  EXPECT_EQ(none.out, "");
  EXPECT_EQ(none.err, "No resources found in namespace nowhere.\n");
}

TEST_F(GetTest, AMissingObjectIsAnErrorWithASuggestion) {
  Ran ran = Run({"get", "mcp", "clok"});
  EXPECT_EQ(ran.code, 1);
  EXPECT_EQ(ran.out, "");
  EXPECT_NE(ran.err.find("mcpserver.mcpfleet.dev/clok not found in namespace default; did you mean \"clock\"?"),
            std::string::npos)
      << ran.err;
  EXPECT_EQ(Run({"get", "mcpnode", "edge-99"}).code, 1);
  EXPECT_EQ(Run({"describe", "mcpnode", "edge-99"}).code, 1);
}

TEST_F(GetTest, NodesShowTheirStateAndObeyTheSelector) {
  Apply(
      "apiVersion: mcpfleet.dev/v1alpha1\nkind: MCPNode\nmetadata: {name: edge-02, labels: {site: berlin}}\nspec: "
      "{unschedulable: true}\n");
  std::string table = Out({"get", "mcpnodes", "-o", "wide"});
  EXPECT_NE(table.find("edge-01   Ready"), std::string::npos) << table;
  EXPECT_NE(table.find("edge-02   Unknown,SchedulingDisabled"), std::string::npos) << table;
  EXPECT_EQ(Out({"get", "mcpnodes", "-l", "site=berlin", "-o", "name"}), "mcpnode.mcpfleet.dev/edge-02\n");
}

TEST_F(GetTest, DescribeSaysEverythingAboutAServerAndANode) {
  std::string server = Out({"describe", "mcp/weather"});
  for (const char* part : {"Name:           weather", "Status:         CrashLoopBackOff", "ref: example/weather:1",
                           "edge-01", "11 tools", "said by the node"}) {
    EXPECT_NE(server.find(part), std::string::npos) << part << " in " << server;
  }
  std::string node = Out({"describe", "mcpnode", "edge-01"});
  for (const char* part : {"Name:           edge-01", "Runtimes:       Process", "clock     True"})
    EXPECT_NE(node.find(part), std::string::npos) << part << " in " << node;
}

TEST_F(GetTest, WaitTakesAllAndASelector) {
  EXPECT_EQ(Out({"wait", "--for=condition=Ready", "mcp", "-l", "app=shop", "--timeout", "20s"}),
            "mcpserver.mcpfleet.dev/clock condition met\n");
  EXPECT_EQ(Out({"wait", "mcp/weather", "--for=condition=Ready=False", "--timeout=20s"}),
            "mcpserver.mcpfleet.dev/weather condition met\n");
  EXPECT_EQ(Out({"wait", "mcp/clock", "--for=condition=ready", "--timeout=20s"}),
            "mcpserver.mcpfleet.dev/clock condition met\n");
  EXPECT_EQ(Out({"wait", "mcpnode", "edge-01", "--for=condition=Ready"}),
            "mcpnode.mcpfleet.dev/edge-01 condition met\n");
  Ran all = Run({"wait", "--for=condition=Ready", "mcp", "--all", "--timeout", "100ms"});
  EXPECT_EQ(all.code, 1);
  EXPECT_NE(all.err.find("weather: CrashLoopBackOff"), std::string::npos) << all.err;
  EXPECT_EQ(Run({"wait", "mcp/none", "--for=condition=Ready"}).code, 1);
  EXPECT_EQ(Out({"wait", "mcp/none", "--for=delete"}), "mcpserver.mcpfleet.dev/none gone\n");
}

TEST_F(GetTest, VerbsThatNeedANodeSayHowToNameOne) {
  for (const std::vector<std::string>& verb :
       {std::vector<std::string>{"logs", "clock"}, {"events"}, {"top"}, {"tools", "list", "clock"}}) {
    Ran ran = Run(verb);
    EXPECT_EQ(ran.code, 1);
    EXPECT_NE(ran.err.find("mcpctl config set-context test --admin"), std::string::npos) << ran.err;
  }
}

TEST_F(GetTest, CompletionKnowsVerbsFlagsKindsAndNames) {
  EXPECT_NE(Out({"__complete", "--", "ge"}).find("get\n"), std::string::npos);
  EXPECT_EQ(Out({"__complete", "--", "rollout", ""}), "status\nhistory\nundo\nrestart\n");
  EXPECT_NE(Out({"__complete", "--", "get", "--"}).find("--all-namespaces\n"), std::string::npos);
  std::string kinds = Out({"__complete", "--", "get", ""});
  EXPECT_NE(kinds.find("mcpservers\n"), std::string::npos);
  EXPECT_EQ(kinds.find("--"), std::string::npos);
  EXPECT_EQ(Out({"__complete", "--", "get", "mcp", ""}), "clock\nidle\nweather\n");
  EXPECT_EQ(Out({"__complete", "--", "describe", "mcp/"}), "mcp/clock\nmcp/idle\nmcp/weather\n");
  EXPECT_EQ(Out({"__complete", "--", "logs", ""}), "clock\nidle\nweather\n");
  EXPECT_EQ(Out({"__complete", "--", "get", "mcp", "-o", ""}), "wide\njson\nyaml\nname\njsonpath=\n");
  EXPECT_EQ(Out({"__complete", "--", "get", "mcp", "-n", ""}), "default\n");
  EXPECT_EQ(Out({"__complete", "--", "--context", ""}), "test\n");
}

TEST_F(GetTest, WhatIsThereIsShownAndWhatIsNotIsSaid) {
  Apply(Manifest("a"));
  Ran ran = Run({"get", "mcp", "a", "nope", "-o", "name"});
  EXPECT_EQ(ran.code, 1);
  EXPECT_EQ(ran.out, "mcpserver.mcpfleet.dev/a\n");
  EXPECT_NE(ran.err.find("mcpserver.mcpfleet.dev/nope not found"), std::string::npos) << ran.err;
  EXPECT_EQ(Out({"get", "mcp", "a", "nope", "-o", "name", "--ignore-not-found"}), "mcpserver.mcpfleet.dev/a\n");
  EXPECT_EQ(Out({"get", "mcp", "nope", "--ignore-not-found"}), "") << "never every object";
  EXPECT_EQ(Run({"get", "nodes", "nope"}).code, 1);
}

TEST_F(GetTest, ANameInAnotherNamespaceIsPointedAt) {
  Apply(Manifest("a"));
  Ran ran = Run({"get", "mcp", "a", "-n", "tools"});
  EXPECT_EQ(ran.code, 1);
  EXPECT_NE(ran.err.find("there is one in namespace default: -n default"), std::string::npos) << ran.err;
}

TEST_F(GetTest, NodesAreMeantByTheirPlainName) {
  Report(Node("edge-01", {}));
  EXPECT_EQ(Out({"get", "nodes", "-o", "name"}), "mcpnode.mcpfleet.dev/edge-01\n");
  EXPECT_EQ(Out({"get", "node/edge-01", "-o", "name"}), "mcpnode.mcpfleet.dev/edge-01\n");
}

TEST_F(GetTest, VersionsAndKindsCanBeReadByPrograms) {
  EXPECT_NE(Out({"version", "-o", "jsonpath={.clientVersion.version}"}).find('.'), std::string::npos);
  EXPECT_NE(Out({"version", "--client"}).find("mcpctl "), std::string::npos);
  EXPECT_EQ(Out({"api-resources", "-o", "name"}),
            "mcpservers.mcpfleet.dev\nmcpnodes.mcpfleet.dev\nmcpsecrets.mcpfleet.dev\n");
}

}  // namespace
}  // namespace mcpfleet::cli
