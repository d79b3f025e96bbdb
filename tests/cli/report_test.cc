#include "cli/report.h"

#include "tests/cli/sarif_rules.h"
#include "tests/cli/xml_reader.h"

namespace mcpfleet::cli {
namespace {

Report Sample() {
  return {.verb = "validate",
          .rules = ManifestRules(),
          .cases = {{.name = "MCPServer/default/ok", .file = "a.yaml", .findings = {}},
                    {.name = "b c.yaml",
                     .file = "b c.yaml",
                     .findings = {{.rule = "schema",
                                   .level = "error",
                                   .message = "unknown field \"x\" <&> ]]>",
                                   .file = "dir/b c.yaml",
                                   .line = 7,
                                   .column = 3,
                                   .subject = "spec.x"},
                                  {.rule = "syntax", .level = "warning", .message = "\x01\x1b[0m", .file = "stdin"}}}}};
}

TEST(ReportTest, SarifHasTheShapeOfItsSchema) {
  const Json sarif = Json::parse(ToSarif(Sample()));
  EXPECT_EQ(SarifProblems(sarif), std::vector<std::string>{});
  const Json& result = sarif["runs"][0]["results"][0];
  EXPECT_EQ(result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"], "dir/b%20c.yaml");
  EXPECT_EQ(result["locations"][0]["physicalLocation"]["region"], Json({{"startLine", 7}, {"startColumn", 3}}));
  EXPECT_EQ(result["ruleIndex"], 1);
  EXPECT_EQ(result["ruleId"], "schema");
}

TEST(ReportTest, SarifOfNothingHasAnEmptyListOfResults) {
  const Json sarif = Json::parse(ToSarif({.verb = "diff", .rules = {}, .cases = {}}));
  EXPECT_EQ(SarifProblems(sarif), std::vector<std::string>{});
  EXPECT_EQ(sarif["runs"][0]["results"], Json::array());
}

// The rules themselves can fail.
TEST(ReportTest, WhatIsNotSarifIsFound) {
  const Json good = Json::parse(ToSarif(Sample()));
  auto broken = [&](const std::string& pointer, const Json& value) {
    Json bad = good;
    bad[Json::json_pointer(pointer)] = value;
    return SarifProblems(bad);
  };
  EXPECT_FALSE(broken("/version", "2.0").empty());
  EXPECT_FALSE(broken("/runs/0/results/0/level", "fatal").empty());
  EXPECT_FALSE(broken("/runs/0/results/0/ruleIndex", 9).empty());
  EXPECT_FALSE(broken("/runs/0/results/0/ruleIndex", 0).empty());
  EXPECT_FALSE(broken("/runs/0/results/0/message", "text").empty());
  EXPECT_FALSE(broken("/runs/0/results/0/surprise", 1).empty());
  EXPECT_FALSE(broken("/runs/0/results/0/locations/0/physicalLocation/region/startLine", 0).empty());
  EXPECT_FALSE(broken("/runs/0/results/0/locations/0/physicalLocation/artifactLocation/uri", "a b").empty());
  EXPECT_FALSE(broken("/runs/0/columnKind", "bytes").empty());
}

TEST(ReportTest, JunitCountsTheWorstOfEachCase) {
  const std::string xml = ToJunit(Sample());
  EXPECT_NE(xml.find("<testsuite name=\"mcpctl validate\" tests=\"2\" failures=\"0\" errors=\"1\""), std::string::npos)
      << xml;
  EXPECT_NE(xml.find("unknown field &quot;x&quot; &lt;&amp;&gt; ]]&gt;"), std::string::npos) << xml;
  EXPECT_NE(xml.find("dir/b c.yaml:7:3: spec.x: "), std::string::npos) << xml;
  for (const char c : xml) EXPECT_TRUE(static_cast<unsigned char>(c) >= 0x20 || c == '\n') << static_cast<int>(c);
}

TEST(ReportTest, JunitIsWellFormedWhateverTheTextHolds) {
  Report report = Sample();
  std::string all;
  for (int c = 1; c < 256; ++c) all += static_cast<char>(c);
  report.cases[1].findings[0].message = all;
  report.cases[1].name = "\"><&'";
  EXPECT_EQ(XmlProblem(ToJunit(report)), "");
  EXPECT_NE(XmlProblem("<a><b></a>"), "");
}

TEST(ReportTest, ViolationsAreGroupedByFile) {
  const auto cases = CasesOf({{"b.yaml", 1, "", "is empty", ""},
                              {"a.yaml", 2, "spec.x", "wrong", "right", 5},
                              {"b.yaml", 3, "kind", "is missing", ""}});
  ASSERT_EQ(cases.size(), 2u);
  EXPECT_EQ(cases[0].name, "a.yaml");
  EXPECT_EQ(cases[0].findings[0].message, "wrong; allowed: right");
  EXPECT_EQ(cases[0].findings[0].column, 5);
  EXPECT_EQ(cases[1].findings.size(), 2u);
  EXPECT_EQ(cases[1].findings[0].rule, "syntax");
}

}  // namespace
}  // namespace mcpfleet::cli
