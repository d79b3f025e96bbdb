#include "cli/output.h"

#include <sstream>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "cli/table.h"
#include "cli/text_diff.h"

namespace mcpfleet::cli {
namespace {

const Json& Fleet() {
  static const Json kFleet = Json::parse(R"({"kind": "List", "items": [
    {"metadata": {"name": "clock", "labels": {"app.kubernetes.io/name": "c"}}, "spec": {"args": ["a", "b"], "port": 80, "on": true}},
    {"metadata": {"name": "weather", "labels": {}}, "spec": {"args": []}}]})");
  return kFleet;
}

std::string Path(std::string_view expression) {
  auto text = JsonPath(expression, Fleet());
  return text.ok() ? *text : "ERROR " + std::string(text.status().message());
}

TEST(JsonPathTest, MembersIndexesAndWildcardsReadAsInKubectl) {
  EXPECT_EQ(Path("{.kind}"), "List");
  EXPECT_EQ(Path("{.items[0].metadata.name}"), "clock");
  EXPECT_EQ(Path("{.items[-1].metadata.name}"), "weather");
  EXPECT_EQ(Path("{.items[*].metadata.name}"), "clock weather");
  EXPECT_EQ(Path("{$.items[0].spec.args}"), R"(["a","b"])");
  EXPECT_EQ(Path("{.items[0].spec.port}/{.items[0].spec.on}"), "80/true");
  EXPECT_EQ(Path("{..name}"), "clock weather");
}

TEST(JsonPathTest, BracesMayBeLeftOutAroundOneExpression) { EXPECT_EQ(Path(".items[1].metadata.name"), "weather"); }

TEST(JsonPathTest, ADotInAKeyIsEscapedOrQuoted) {
  EXPECT_EQ(Path(R"({.items[0].metadata.labels.app\.kubernetes\.io/name})"), "c");
  EXPECT_EQ(Path("{.items[0].metadata.labels['app.kubernetes.io/name']}"), "c");
}

TEST(JsonPathTest, ARangeRepeatsItsBodyWithLiteralTextBetween) {
  EXPECT_EQ(Path(R"({range .items[*]}{.metadata.name}{"\t"}{.spec.port};{end}.)"), "clock\t80;weather\t;.");
  EXPECT_EQ(Path("{range .nothing[*]}{.x}{end}done"), "done");
  EXPECT_EQ(Path("{range .items[*]}{range .spec.args[*]}{@},{end}{end}"), "a,b,");
}

TEST(JsonPathTest, WhatIsAbsentPrintsNothing) {
  EXPECT_EQ(Path("{.items[7].metadata.name}"), "");
  EXPECT_EQ(Path("{.kind.name}"), "");
}

TEST(JsonPathTest, AMalformedExpressionSaysWhatIsAllowed) {
  for (const char* wrong :
       {"{.items[}", "{.items", "{range .items[*]}{.x}", "{end}", "{.items[x]}", "{items}", "{.a..}"}) {
    EXPECT_TRUE(Path(wrong).starts_with("ERROR jsonpath")) << wrong << ": " << Path(wrong);
  }
}

TEST(OutputTest, AnUnknownFormatNamesTheKnownOnes) {
  Status status = CheckOutput("xml", {"json", "yaml"});
  EXPECT_EQ(status.message(), "-o xml; allowed: json, yaml");
  EXPECT_TRUE(CheckOutput("jsonpath={.a}", {"jsonpath"}).ok());
  EXPECT_FALSE(CheckOutput("jsonpath", {"jsonpath"}).ok());
}

TEST(OutputTest, OneObjectIsPrintedAsItIsAndSeveralAsAList) {
  Json one = {{"kind", "MCPServer"}, {"metadata", {{"name", "a"}}}};
  std::ostringstream single, list, names;
  ASSERT_TRUE(PrintObjects(single, "json", {one}, false).ok());
  EXPECT_EQ(Json::parse(single.str()), one);
  ASSERT_TRUE(PrintObjects(list, "json", {one}, true).ok());
  EXPECT_EQ(Json::parse(list.str())["items"][0], one);
  ASSERT_TRUE(PrintObjects(names, "name", {one}, true).ok());
  EXPECT_EQ(names.str(), "mcpserver.mcpfleet.dev/a\n");
}

TEST(TableTest, ColumnsArePaddedToTheirWidestCellAndTheLastOneIsNot) {
  Table table({"NAME", "STATUS"});
  table.Add({"a-long-name", "Ready"});
  table.Add({"b", "CrashLoopBackOff"});
  std::ostringstream out, bare;
  table.Print(out);
  EXPECT_EQ(out.str(), "NAME          STATUS\na-long-name   Ready\nb             CrashLoopBackOff\n");
  table.Print(bare, false);
  EXPECT_EQ(bare.str(), "a-long-name   Ready\nb             CrashLoopBackOff\n");
}

TEST(TableTest, WidthsCountCharactersAndNotBytes) {
  Table table({"A", "B"});
  table.Add({"äöü", "x"});
  table.Add({"abc", "y"});
  std::ostringstream out;
  table.Print(out, false);
  EXPECT_EQ(out.str(), "äöü   x\nabc   y\n");
}

TEST(UnifiedDiffTest, EqualTextsHaveNoDifference) { EXPECT_EQ(UnifiedDiff("a\nb\n", "a\nb\n", "x", "y", false), ""); }

TEST(UnifiedDiffTest, AChangedLineComesWithThreeLinesAround) {
  std::string before = "1\n2\n3\n4\n5\n6\n7\n8\n9\n", after = "1\n2\n3\n4\nfive\n6\n7\n8\n9\n";
  EXPECT_EQ(UnifiedDiff(before, after, "old", "new", false),
            "--- old\n+++ new\n@@ -2,7 +2,7 @@\n 2\n 3\n 4\n-5\n+five\n 6\n 7\n 8\n");
}

TEST(UnifiedDiffTest, DistantChangesAreHunksOfTheirOwn) {
  std::string before, after;
  for (int i = 0; i < 20; ++i) before += std::to_string(i) + "\n";
  after = "new\n" + before + "end\n";
  std::string diff = UnifiedDiff(before, after, "a", "b", false);
  EXPECT_NE(diff.find("@@ -1,3 +1,4 @@\n+new\n"), std::string::npos) << diff;
  EXPECT_NE(diff.find("@@ -18,3 +19,4 @@\n"), std::string::npos) << diff;
}

TEST(UnifiedDiffTest, AnAbsentSideIsAllAdditionsFromLineZero) {
  EXPECT_EQ(UnifiedDiff("", "a\nb\n", "a", "b", false), "--- a\n+++ b\n@@ -0,0 +1,2 @@\n+a\n+b\n");
}

TEST(UnifiedDiffTest, ColoursAreOnlyGivenWhenAsked) {
  EXPECT_NE(UnifiedDiff("a\n", "b\n", "x", "y", true).find("\033[31m-a"), std::string::npos);
  EXPECT_EQ(UnifiedDiff("a\n", "b\n", "x", "y", false).find('\033'), std::string::npos);
}

}  // namespace
}  // namespace mcpfleet::cli
