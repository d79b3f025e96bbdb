#include "cli/tools_lock.h"

#include <sys/stat.h>

#include <algorithm>
#include <cstdlib>
#include <ostream>
#include <set>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "base/fd.h"
#include "base/limits.h"
#include "base/strings.h"
#include "cli/fleet.h"
#include "cli/resource.h"
#include "cli/server_caller.h"
#include "cli/table.h"
#include "cli/text_diff.h"
#include "crd/codec.h"
#include "crd/pins_edit.h"
#include "edge-runtime/mcp/hidden_text.h"
#include "edge-runtime/mcp/tool_hash.h"

namespace mcpfleet::cli {
namespace {

// Bounds of spec.tools.pins (crd/mcpserver.yaml).
constexpr size_t kMostPins = 256;
constexpr std::ptrdiff_t kLongestName = 128;
// Definitions beyond this are not compared line by line: the table of the comparison is square.
constexpr std::ptrdiff_t kMostLines = 4000;

struct PinOptions {
  std::string server, file, against;
};

std::string Shown(std::string_view name) { return Printable(mcp::ShowHiddenCharacters(name), 128); }

StatusOr<Selection> ServerOf(Session& session, const std::string& server) {
  if (IsUrl(server)) return InvalidArgument(server + ": allowed: the name of a server of the fleet, not a URL");
  return Select(session, {.arguments = {server}}, kKindServer);
}

// What the server itself lists now, whatever its policy lets through. Warns of hidden characters.
StatusOr<Json> ListAll(Session& session, const std::string& server, Deadline deadline) {
  GatewayOptions options;
  options.via = "admin";
  ASSIGN_OR_RETURN(auto caller, ServerCaller::Open(session, server, options, deadline));
  ASSIGN_OR_RETURN(Json tools, caller->List("tools/list", "tools", deadline));
  for (const Json& tool : tools) {
    for (const std::string& where : mcp::HiddenTextOf(tool))
      session.err() << "warning: hidden characters in " << where << "\n";
  }
  return tools;
}

Status RunLock(Session& session, const PinOptions& options) {
  ASSIGN_OR_RETURN(Selection selection, ServerOf(session, options.server));
  ASSIGN_OR_RETURN(Deadline deadline, session.RequestDeadline());
  ASSIGN_OR_RETURN(Json tools, ListAll(session, options.server, deadline));
  ASSIGN_OR_RETURN(ToolHashes hashes, HashesOf(tools));
  StatusOr<std::map<std::string, std::string>> pins = PinsFor(hashes);
  if (!pins.ok()) return Annotate(pins.status(), options.server);
  if (options.file.empty()) {
    session.out() << ObjectToYaml({{"tools", {{"pins", *pins}}}});
    return OkStatus();
  }
  // The file itself, also behind a link.
  std::unique_ptr<char, decltype(&free)> path(realpath(options.file.c_str(), nullptr), &free);
  struct stat info {};
  if (path == nullptr || stat(path.get(), &info) != 0 || !S_ISREG(info.st_mode))
    return NotFound(options.file + ": is no file");
  ASSIGN_OR_RETURN(std::string text, ReadFile(path.get(), limits::kManifestBytes));
  ASSIGN_OR_RETURN(std::string space, session.Namespace());
  const ServerKey key{selection.namespace_, selection.names.front()};
  ASSIGN_OR_RETURN(std::string edited, WithPins(text, options.file, key, space, *pins));
  if (edited == text) {
    session.out() << options.file << ": unchanged, it has the pins of " << pins->size() << " tools\n";
    return OkStatus();
  }
  RETURN_IF_ERROR(WriteFileAtomically(path.get(), edited, static_cast<int>(info.st_mode & 07777)));
  session.out() << options.file << ": " << pins->size() << " tools pinned for " << ToString(key) << "\n";
  session.err() << "make it so: mcpctl apply -f " << options.file << "\n";
  return OkStatus();
}

// The definitions of a list that was saved: what `mcpctl tools list -o json` prints, by name.
StatusOr<std::map<std::string, Json>> ReadDefinitions(const std::string& path) {
  std::map<std::string, Json> out;
  if (path.empty()) return out;
  ASSIGN_OR_RETURN(std::string text, ReadFile(path, limits::kManifestBytes));
  StatusOr<Json> json = ParseJson(text);
  if (!json.ok()) return Annotate(json.status(), path);
  const Json& tools = json->is_array() ? *json : GetMember(*json, "tools");
  if (!tools.is_array())
    return InvalidArgument(path + ": has no list \"tools\"; allowed: the output of mcpctl tools list SERVER -o json");
  for (const Json& tool : tools) out[GetString(tool, "name")] = tool;
  return out;
}

std::string ShortHash(const std::string& hash) { return hash.empty() ? "<none>" : hash.substr(0, 19); }

Table DifferenceTable(const PinDifferences& differences, const std::map<std::string, std::string>& pins,
                      const ToolHashes& now) {
  const auto hash_now = [&](const std::string& name) {
    // Of a name listed twice the one that is not as pinned.
    std::string hash;
    for (const auto& [listed, its] : now) {
      auto pin = pins.find(name);
      if (listed == name && (hash.empty() || pin == pins.end() || its != pin->second)) hash = its;
    }
    return hash;
  };
  std::map<std::string, const char*> changes;
  for (const std::string& name : differences.changed) changes[name] = "changed";
  for (const std::string& name : differences.added) changes[name] = "added";
  for (const std::string& name : differences.missing) changes[name] = "removed";
  Table table({"TOOL", "CHANGE", "PINNED", "NOW"});
  for (const auto& [name, change] : changes) {
    auto pin = pins.find(name);
    table.Add({Shown(name), change, ShortHash(pin == pins.end() ? "" : pin->second), ShortHash(hash_now(name))});
  }
  return table;
}

void ShowDefinitions(Session& session, const PinOptions& options, const PinDifferences& differences,
                     const std::map<std::string, std::string>& pins, const Json& tools,
                     const std::map<std::string, Json>& saved) {
  if (differences.changed.empty()) return;
  if (saved.empty()) {
    session.err()
        << "pins are hashes: what has changed shows --against FILE, a list saved before by\n  mcpctl tools list "
        << options.server << " --via admin -o json\n";
    return;
  }
  for (const std::string& name : differences.changed) {
    auto before = saved.find(name);
    if (before == saved.end()) {
      session.err() << options.against << ": has no tool " << Shown(name) << "\n";
      continue;
    }
    if (mcp::ToolHash(before->second) != pins.at(name))
      session.err() << "warning: " << options.against << ": its " << Shown(name) << " is not the one that is pinned\n";
    for (const Json& tool : tools) {
      if (GetString(tool, "name") != name) continue;
      session.out() << DefinitionDiff(before->second, tool, Shown(name) + " (" + options.against + ")",
                                      Shown(name) + " (now)", session.color());
    }
  }
}

StatusOr<bool> RunDiff(Session& session, const PinOptions& options) {
  ASSIGN_OR_RETURN(Selection selection, ServerOf(session, options.server));
  ASSIGN_OR_RETURN(Deadline deadline, session.RequestDeadline());
  ASSIGN_OR_RETURN(auto saved, ReadDefinitions(options.against));
  ASSIGN_OR_RETURN(Fleet fleet, ReadFleet(session, deadline));
  ASSIGN_OR_RETURN(std::vector<const Object*> found, Find(fleet, selection));
  ASSIGN_OR_RETURN(ServerSpec spec, ServerSpecOf(*found.front()));
  std::map<std::string, std::string> pins = spec.tools.pins;
  if (pins.empty()) {
    // The saved list is then what the server is held against.
    for (const auto& [name, tool] : saved) pins[name] = mcp::ToolHash(tool);
  }
  if (pins.empty())
    return FailedPrecondition(options.server + ": has no pins; write them with mcpctl tools lock " + options.server);
  ASSIGN_OR_RETURN(Json tools, ListAll(session, options.server, deadline));
  ASSIGN_OR_RETURN(ToolHashes hashes, HashesOf(tools));
  const PinDifferences differences = ComparePins(pins, hashes);
  if (differences.none()) {
    session.out() << "no difference: " << pins.size() << " tools are as pinned\n";
    return false;
  }
  DifferenceTable(differences, pins, hashes).Print(session.out());
  ShowDefinitions(session, options, differences, pins, tools, saved);
  return true;
}

std::string Readable(Json tool) {
  if (tool.is_object()) tool.erase("icons");
  return mcp::ShowHiddenCharacters(ObjectToYaml(tool));
}

}  // namespace

StatusOr<ToolHashes> HashesOf(const Json& tools) {
  ToolHashes hashes;
  for (const Json& tool : tools) {
    std::string name = GetString(tool, "name");
    if (name.empty()) return FailedPrecondition("tools/list: a tool without a name");
    hashes.emplace_back(std::move(name), mcp::ToolHash(tool));
  }
  return hashes;
}

StatusOr<std::map<std::string, std::string>> PinsFor(const ToolHashes& tools) {
  std::map<std::string, std::string> pins;
  if (tools.empty()) return FailedPrecondition("offers no tools: there is nothing to pin");
  for (const auto& [name, hash] : tools) {
    const auto characters = std::count_if(name.begin(), name.end(), [](char c) { return (c & 0xc0) != 0x80; });
    if (characters > kLongestName) {
      return FailedPrecondition("the name of tool \"" + Printable(Shown(name), 60) + "\" has " +
                                std::to_string(characters) + " characters; allowed: " + std::to_string(kLongestName));
    }
    if (!pins.emplace(name, hash).second)
      return FailedPrecondition("lists the tool \"" + Shown(name) + "\" twice: a pin can hold for one of them only");
  }
  if (pins.size() > kMostPins) {
    return FailedPrecondition("offers " + std::to_string(pins.size()) + " tools; spec.tools.pins holds " +
                              std::to_string(kMostPins));
  }
  return pins;
}

std::string DefinitionDiff(const Json& before, const Json& after, const std::string& before_name,
                           const std::string& after_name, bool color) {
  const std::string a = Readable(before), b = Readable(after);
  if (std::max(std::count(a.begin(), a.end(), '\n'), std::count(b.begin(), b.end(), '\n')) > kMostLines)
    return "--- " + before_name + "\n+++ " + after_name + "\ntoo long to be compared\n";
  return UnifiedDiff(a, b, before_name, after_name, color);
}

void RegisterToolPins(CLI::App& tools, Session& session) {
  auto options = std::make_shared<PinOptions>();
  auto* lock = tools.add_subcommand("lock", "Pin the tools as they are now");
  lock->footer(
      "Prints the pins of the tools that the server offers now, to be put below spec of its manifest; with -f it\n"
      "writes them there itself and leaves the rest of the file as it is. Look at what you pin:\n"
      "mcpctl tools list SERVER --via admin -o yaml\n\n"
      "Examples:\n  mcpctl tools lock weather\n  mcpctl tools lock weather -f weather.yaml\n"
      "  mcpctl tools list weather --via admin -o json > weather-tools.json   # for tools diff --against, later");
  lock->add_option("server", options->server, "NAME or mcp/NAME")->required();
  lock->add_option("-f,--filename", options->file, "the manifest that the pins are written into");
  lock->callback([options, &session] { session.Finish(RunLock(session, *options)); });
  auto* diff = tools.add_subcommand("diff", "What differs from the pins");
  diff->footer(
      "Exit code 0: no difference, 1: different, 2: failed. Pins are hashes: with --against, a list that was saved\n"
      "when the tools were pinned, each changed definition is shown too.\n\n"
      "Examples:\n  mcpctl tools diff weather\n"
      "  mcpctl tools diff weather --against weather-tools.json");
  diff->add_option("server", options->server, "NAME or mcp/NAME")->required();
  diff->add_option("--against", options->against, "output of mcpctl tools list SERVER -o json, saved before");
  diff->callback([options, &session] {
    StatusOr<bool> different = RunDiff(session, *options);
    session.Finish(different.status(), kExitUsage);
    if (different.ok() && *different) session.SetExitCode(kExitFailed);
  });
}

}  // namespace mcpfleet::cli
