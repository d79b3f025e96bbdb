// The official conformance suite, @modelcontextprotocol/conformance, against one URL, and what it found.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "tests/integration/node.h"

namespace mcpfleet {

// The two versions that are installed: 0.1.16, which most servers are measured by, and the newest 0.2.
inline constexpr char kSuite01[] = "@modelcontextprotocol/conformance";
inline constexpr char kSuite02[] = "conformance-next";

struct SuiteRun {
  CommandResult result;
  // Every scenario that ran, with its checks that were not passed: failures and warnings.
  std::map<std::string, std::vector<std::string>> complaints;

  std::vector<std::string> Failed() const;  // the scenarios with complaints
  std::string Report() const;               // the complaints, for people
};

// The scenarios that count for a revision, and those that are run without counting.
struct Requirements {
  std::vector<std::string> scored, unscored;
};
// "server-tools-list-2026-11-27T22-44-55-385Z" -> "tools-list"; "" when it is none.
std::string ScenarioOf(std::string_view directory);
// Reads what `list --server --requirements` prints.
Requirements ParseRequirements(std::string_view listing);
Requirements RequirementsOf(const std::string& revision);

// Runs `suite` with `options`, results below `directory`. The expected-failures file has no entry.
SuiteRun RunSuite(const std::string& suite, const std::string& url, const std::vector<std::string>& options,
                  const std::string& directory, Duration timeout);

}  // namespace mcpfleet
