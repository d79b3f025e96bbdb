// What validate and diff found, for machines: SARIF 2.1.0 (code scanning), JUnit XML (test reports).
//
// Pure. A finding without a file (stdin has the name "stdin") is told all the same. Text may hold anything.
#pragma once

#include <string>
#include <vector>

#include "base/json.h"
#include "crd/violation.h"

namespace mcpfleet::cli {

// A kind of finding, as SARIF lists them.
struct ReportRule {
  std::string id;           // "schema"
  std::string description;  // one sentence
};

struct ReportFinding {
  std::string rule;   // id of a ReportRule
  std::string level;  // "error", "warning" or "note"
  std::string message;
  std::string file;
  int line = 0, column = 0;  // 1-based; 0: not known
  std::string subject;       // "spec.transport", "MCPServer/default/weather"
};

// What was looked at: an object, or a file that holds none that could be read.
struct ReportCase {
  std::string name;                     // "MCPServer/default/weather"
  std::string file;                     // JUnit's classname
  std::vector<ReportFinding> findings;  // none: it is as it should be
};

struct Report {
  std::string verb;  // "validate"
  std::vector<ReportRule> rules;
  std::vector<ReportCase> cases;
};

// One document, with a newline at its end.
std::string ToSarif(const Report& report);
// A finding of level error is an <error>, any other a <failure>.
std::string ToJunit(const Report& report);

// The rules that violations of manifests break, and one of them as a finding.
std::vector<ReportRule> ManifestRules();
ReportFinding FindingOf(const Violation& violation);
// Violations, by file: the cases of a report about manifests that are wrong.
std::vector<ReportCase> CasesOf(const std::vector<Violation>& violations);
Json ViolationJson(const Violation& violation);

}  // namespace mcpfleet::cli
