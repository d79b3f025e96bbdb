#include "cli/report.h"

#include <algorithm>
#include <map>

#include <nlohmann/json.hpp>

#include "base/json.h"
#include "base/strings.h"
#include "base/version.h"

namespace mcpfleet::cli {
namespace {

// A path as the URI reference that SARIF wants: relative paths stay so, what a URI can't hold is escaped.
std::string UriOf(const std::string& path) {
  std::vector<std::string> parts = Split(path, '/');
  for (std::string& part : parts) part = PercentEncode(part);
  std::string uri = Join(parts, "/");
  return uri.starts_with('/') ? "file://" + uri : uri;
}

Json LocationOf(const ReportFinding& finding) {
  Json location = Json::object();
  if (!finding.file.empty()) {
    Json physical = {{"artifactLocation", {{"uri", UriOf(finding.file)}}}};
    if (finding.line > 0) physical["region"]["startLine"] = finding.line;
    if (finding.line > 0 && finding.column > 0) physical["region"]["startColumn"] = finding.column;
    location["physicalLocation"] = std::move(physical);
  }
  if (!finding.subject.empty()) location["logicalLocations"] = Json::array({{{"fullyQualifiedName", finding.subject}}});
  return location;
}

// XML 1.0 has no other control characters than these, escaped or not.
std::string Xml(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      case '\n':
        out += "&#10;";
        break;
      default:
        if (static_cast<unsigned char>(c) >= 0x20 || c == '\t') {
          out += c;
        } else {
          out += '?';
        }
    }
  }
  if (IsUtf8(out)) return out;
  for (char& c : out) c = static_cast<unsigned char>(c) < 0x80 ? c : '?';
  return out;
}

std::string Place(const ReportFinding& finding) {
  std::string place = finding.file;
  if (finding.line > 0) place += ":" + std::to_string(finding.line);
  if (finding.line > 0 && finding.column > 0) place += ":" + std::to_string(finding.column);
  return place;
}

bool IsError(const ReportFinding& finding) { return finding.level == "error"; }

}  // namespace

std::string ToSarif(const Report& report) {
  Json rules = Json::array(), results = Json::array();
  std::map<std::string, size_t> index;
  for (const ReportRule& rule : report.rules) {
    index[rule.id] = index.size();
    rules.push_back({{"id", rule.id}, {"shortDescription", {{"text", rule.description}}}});
  }
  for (const ReportCase& each : report.cases) {
    for (const ReportFinding& finding : each.findings) {
      Json result = {{"ruleId", finding.rule}, {"level", finding.level}, {"message", {{"text", finding.message}}}};
      if (auto rule = index.find(finding.rule); rule != index.end()) result["ruleIndex"] = rule->second;
      if (Json location = LocationOf(finding); !location.empty()) result["locations"] = Json::array({location});
      results.push_back(std::move(result));
    }
  }
  const Json driver = {{"name", "mcpctl"},
                       {"semanticVersion", Version()},
                       {"informationUri", "https://mcpfleet.dev"},
                       {"rules", std::move(rules)}};
  const Json run = {{"tool", {{"driver", driver}}},
                    {"automationDetails", {{"id", "mcpctl/" + report.verb + "/"}}},
                    {"columnKind", "unicodeCodePoints"},
                    {"results", std::move(results)}};
  return DumpJsonPretty({{"$schema", "https://json.schemastore.org/sarif-2.1.0.json"},
                         {"version", "2.1.0"},
                         {"runs", Json::array({run})}}) +
         "\n";
}

std::string ToJunit(const Report& report) {
  size_t errors = 0, failures = 0;
  std::string cases;
  for (const ReportCase& each : report.cases) {
    cases += "    <testcase name=\"" + Xml(each.name) + "\" classname=\"" + Xml(each.file) + "\" time=\"0\"";
    if (each.findings.empty()) {
      cases += "/>\n";
      continue;
    }
    // JUnit readers take one outcome of a case: the worst, with all of them in its text.
    const bool error = std::any_of(each.findings.begin(), each.findings.end(), IsError);
    (error ? errors : failures) += 1;
    std::string text;
    for (const ReportFinding& finding : each.findings) {
      const std::string place = Place(finding);
      text += (place.empty() ? "" : place + ": ") + (finding.subject.empty() ? "" : finding.subject + ": ") +
              finding.message + "\n";
    }
    const std::string tag = error ? "error" : "failure";
    cases += ">\n      <" + tag + " type=\"" + Xml(each.findings.front().rule) + "\" message=\"" +
             Xml(each.findings.front().message) + "\">" + Xml(text) + "</" + tag + ">\n    </testcase>\n";
  }
  const std::string counts = " tests=\"" + std::to_string(report.cases.size()) + "\" failures=\"" +
                             std::to_string(failures) + "\" errors=\"" + std::to_string(errors) + "\"";
  return "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"mcpctl\"" + counts +
         " time=\"0\">\n  <testsuite name=\"mcpctl " + Xml(report.verb) + "\"" + counts +
         " skipped=\"0\" time=\"0\">\n" + cases + "  </testsuite>\n</testsuites>\n";
}

std::vector<ReportRule> ManifestRules() {
  return {{"syntax", "The file can be read as YAML or JSON with objects of mcpfleet in it."},
          {"schema", "Every field is one that its kind has, with a value that it allows."}};
}

ReportFinding FindingOf(const Violation& violation) {
  Violation bare = violation;
  bare.file.clear();
  bare.path.clear();
  return {.rule = violation.path.empty() ? "syntax" : "schema",
          .level = "error",
          .message = ToString(bare),
          .file = violation.file,
          .line = violation.line,
          .column = violation.column,
          .subject = violation.path};
}

std::vector<ReportCase> CasesOf(const std::vector<Violation>& violations) {
  std::map<std::string, ReportCase> by_file;
  for (const Violation& violation : violations) {
    ReportCase& of = by_file[violation.file];
    of.name = of.file = violation.file;
    of.findings.push_back(FindingOf(violation));
  }
  std::vector<ReportCase> cases;
  for (auto& [file, each] : by_file) cases.push_back(std::move(each));
  return cases;
}

Json ViolationJson(const Violation& violation) {
  Json out = {{"file", violation.file}, {"field", violation.path}, {"problem", violation.problem}};
  if (violation.line > 0) out["line"] = violation.line;
  if (violation.column > 0) out["column"] = violation.column;
  if (!violation.allowed.empty()) out["allowed"] = violation.allowed;
  return out;
}

}  // namespace mcpfleet::cli
