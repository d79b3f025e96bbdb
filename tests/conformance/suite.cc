#include "tests/conformance/suite.h"

#include <dirent.h>

#include "base/fd.h"
#include "base/json.h"
#include "base/strings.h"
#include "tests/conformance/packages.h"

namespace mcpfleet {
namespace {

constexpr std::string_view kTimeShape = "-0000-00-00T00-00-00-000Z";
constexpr std::string_view kServerPrefix = "server-";

std::vector<std::string> Program(const std::string& suite, const std::vector<std::string>& words) {
  std::vector<std::string> argv = {NodeProgram(), PackageDirectory() + "/node_modules/" + suite + "/dist/index.js"};
  argv.insert(argv.end(), words.begin(), words.end());
  return argv;
}

std::vector<std::string> DirectoriesIn(const std::string& directory) {
  std::vector<std::string> names;
  DIR* listing = opendir(directory.c_str());
  if (listing == nullptr) return names;
  while (const dirent* entry = readdir(listing)) {
    if (entry->d_name[0] != '.') names.emplace_back(entry->d_name);
  }
  closedir(listing);
  return names;
}

// INFO and SKIPPED are what the suite says when a thing is optional and not there.
std::vector<std::string> ComplaintsIn(const std::string& checks_file) {
  StatusOr<std::string> text = ReadFile(checks_file, size_t{64} << 20);
  StatusOr<Json> checks = text.ok() ? ParseJson(*text) : text.status();
  if (!checks.ok() || !checks->is_array() || checks->empty()) return {"no checks were written"};
  std::vector<std::string> complaints;
  for (const Json& check : *checks) {
    const std::string status = GetString(check, "status");
    if (status == "SUCCESS" || status == "INFO" || status == "SKIPPED") continue;
    complaints.push_back(status + " " + GetString(check, "id") + ": " + GetString(check, "errorMessage"));
  }
  return complaints;
}

}  // namespace

std::vector<std::string> SuiteRun::Failed() const {
  std::vector<std::string> failed;
  for (const auto& [scenario, found] : complaints) {
    if (!found.empty()) failed.push_back(scenario);
  }
  return failed;
}

std::string SuiteRun::Report() const {
  std::string text;
  for (const auto& [scenario, found] : complaints) {
    for (const std::string& complaint : found) text += scenario + ": " + complaint + "\n";
  }
  return text;
}

std::string ScenarioOf(std::string_view directory) {
  if (!directory.starts_with(kServerPrefix) || directory.size() <= kServerPrefix.size() + kTimeShape.size()) return "";
  return std::string(
      directory.substr(kServerPrefix.size(), directory.size() - kServerPrefix.size() - kTimeShape.size()));
}

Requirements ParseRequirements(std::string_view listing) {
  Requirements found;
  bool scored = true;
  for (const std::string& line : Split(listing, '\n')) {
    const std::string_view trimmed = Trim(line);
    if (trimmed.starts_with("Run and reported, but never scored")) scored = false;
    if (!trimmed.starts_with("- ")) continue;
    const std::string_view name = trimmed.substr(2);
    if (scored) {
      found.scored.emplace_back(name);
    } else if (name.ends_with(" [server]")) {
      found.unscored.emplace_back(name.substr(0, name.find(' ')));
    }
  }
  return found;
}

Requirements RequirementsOf(const std::string& revision) {
  const CommandResult listing = RunCommand(Program(kSuite02, {"list", "--server", "--requirements", revision}),
                                           {"PATH=/usr/bin:/bin"}, "", std::chrono::seconds(30));
  EXPECT_TRUE(listing.ok()) << listing;
  // Without the client's: they come after the server's, below a title of their own.
  const size_t clients = listing.out.find("Client scenarios");
  const size_t unscored = listing.out.find("Run and reported");
  std::string text = listing.out.substr(0, std::min(clients, unscored));
  if (unscored != std::string::npos) text += listing.out.substr(unscored);
  return ParseRequirements(text);
}

SuiteRun RunSuite(const std::string& suite, const std::string& url, const std::vector<std::string>& options,
                  const std::string& directory, Duration timeout) {
  std::vector<std::string> words = {
      "server", "--url", url, "-o", directory, "--expected-failures", ScriptPath("expected_failures.yaml")};
  words.insert(words.end(), options.begin(), options.end());
  SuiteRun run;
  run.result = RunCommand(Program(suite, words), {"PATH=/usr/bin:/bin", "HOME=/tmp"}, "", timeout);
  for (const std::string& name : DirectoriesIn(directory)) {
    const std::string scenario = ScenarioOf(name);
    if (!scenario.empty()) run.complaints[scenario] = ComplaintsIn(directory + "/" + name + "/checks.json");
  }
  return run;
}

}  // namespace mcpfleet
