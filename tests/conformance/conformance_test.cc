// The official conformance suite against the gateway in front of stdio servers of both eras.
#include "tests/conformance/fixture.h"
#include "tests/conformance/suite.h"

namespace mcpfleet {
namespace {

using std::chrono::minutes;

class SuiteTest : public ConformanceTest {
 protected:
  SuiteRun Run(const std::string& suite, const std::string& server, const std::vector<std::string>& options) {
    return RunSuite(suite, Url(server), options, node_->directory() + "/results", minutes(4));
  }
  // Every scenario of `revision` has run, `scored` of them count, and none has anything to complain of.
  static void ExpectAllPassed(const SuiteRun& run, const std::string& revision, size_t scored) {
    const Requirements wanted = RequirementsOf(revision);
    EXPECT_EQ(wanted.scored.size(), scored);
    for (const std::string& scenario : wanted.scored) EXPECT_TRUE(run.complaints.contains(scenario)) << scenario;
    for (const std::string& scenario : wanted.unscored) EXPECT_TRUE(run.complaints.contains(scenario)) << scenario;
    EXPECT_EQ(run.complaints.size(), wanted.scored.size() + wanted.unscored.size());
    EXPECT_EQ(run.Report(), "");
    EXPECT_TRUE(run.result.ok()) << run.result;
  }
};

TEST_F(SuiteTest, ALegacyServerPassesThe01Suite) {
  ASSERT_NO_FATAL_FAILURE(Serve({LegacyFixture()}));
  const SuiteRun run = Run(kSuite01, "legacy", {});
  EXPECT_EQ(run.complaints.size(), 30u);
  EXPECT_EQ(run.Report(), "");
  EXPECT_TRUE(run.result.ok()) << run.result;
}

TEST_F(SuiteTest, ALegacyServerMeetsEveryRequirementOf20251125) {
  ASSERT_NO_FATAL_FAILURE(Serve({LegacyFixture()}));
  ExpectAllPassed(Run(kSuite02, "legacy", {"--requirements", "2025-11-25"}), "2025-11-25", 30);
}

TEST_F(SuiteTest, AModernServerMeetsEveryRequirementOf20260728) {
  ASSERT_NO_FATAL_FAILURE(Serve({ModernFixture()}));
  ExpectAllPassed(Run(kSuite02, "modern", {"--requirements", "2026-07-28"}), "2026-07-28", 37);
}

// What a gateway can't make of a server that speaks 2025-11-25 at most; everything else is translated.
const std::vector<std::string> kNotOfALegacyServer = {
    "http-custom-header-server-validation",       // x-mcp-header: no such tool before 2026-07-28
    "input-required-result-basic-elicitation",    // wants the key `user_name`: a legacy question has none
    "input-required-result-ignore-extra-params",  // answers before it was asked, by that key
    "tasks-capability-negotiation",               // the tasks extension, which is of 2026-07-28
    "tasks-dispatch-and-envelope",                //
    "tasks-lifecycle",                            //
    "tasks-mrtr-composition",                     //
    "tasks-mrtr-input",                           //
    "tasks-request-headers",                      //
    "tasks-request-state-removal",                //
    "tasks-required-task-error",                  //
    "tasks-wire-fields",                          //
};

TEST_F(SuiteTest, ALegacyServerIsTranslatedForClientsOf20260728) {
  ASSERT_NO_FATAL_FAILURE(Serve({LegacyFixture()}));
  const SuiteRun run = Run(kSuite02, "legacy", {"--requirements", "2026-07-28"});
  EXPECT_EQ(run.Failed(), kNotOfALegacyServer) << run.Report();
  EXPECT_EQ(run.complaints.size(), 50u) << run.result;
}

// A modern server serves clients of the legacy era: what needs a request of the server to the client outside of a call,
// or a tool of that era, is not in it.
const std::vector<std::string> kNotOfAModernServer = {
    "elicitation-sep1034-defaults",  // tools that the modern fixture does not have
    "elicitation-sep1330-enums",     //
    "tools-call-elicitation",        //
    "tools-call-sampling",           //
};

TEST_F(SuiteTest, AModernServerIsTranslatedForClientsOf20251125) {
  ASSERT_NO_FATAL_FAILURE(Serve({ModernFixture()}));
  const SuiteRun run = Run(kSuite02, "modern", {"--requirements", "2025-11-25"});
  EXPECT_EQ(run.Failed(), kNotOfAModernServer) << run.Report();
  EXPECT_EQ(run.complaints.size(), 33u) << run.result;
}

TEST(ResultsTest, AResultIsFoundByItsScenario) {
  EXPECT_EQ(ScenarioOf("server-tools-list-2026-11-27T22-44-55-385Z"), "tools-list");
  EXPECT_EQ(ScenarioOf("server-server-stateless-2026-11-27T22-44-55-385Z"), "server-stateless");
  EXPECT_EQ(ScenarioOf("server-2026-11-27T22-44-55-385Z"), "");
  EXPECT_EQ(ScenarioOf("client-x-2026-11-27T22-44-55-385Z"), "");
}

TEST(ResultsTest, WhatCountsIsToldFromWhatDoesNot) {
  const Requirements found = ParseRequirements(
      "Server scenarios (test against a server):\n  - ping\n  - tools-list\n\nRun and reported, but never scored:\n"
      "  extension (2):\n    - auth/dpop [client]\n    - tasks-lifecycle [server]\n");
  EXPECT_EQ(found.scored, (std::vector<std::string>{"ping", "tools-list"}));
  EXPECT_EQ(found.unscored, (std::vector<std::string>{"tasks-lifecycle"}));
}

}  // namespace
}  // namespace mcpfleet
