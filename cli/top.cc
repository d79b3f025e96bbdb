#include <cmath>
#include <cstdio>
#include <map>
#include <ostream>
#include <set>

#include <poll.h>
#include <CLI/CLI.hpp>

#include "base/strings.h"
#include "cli/resource.h"
#include "cli/table.h"
#include "cli/verbs.h"
#include "crd/quantity.h"
#include "crd/schema.h"

namespace mcpfleet::cli {
namespace {

struct Usage {
  double cpu_seconds = 0, memory_bytes = 0;
};

// name{namespace="x",server="y"} value
void ReadSample(std::string_view line, std::string_view metric, double Usage::*member,
                std::map<ServerKey, Usage>* usage) {
  if (!line.starts_with(metric) || line.size() <= metric.size() || line[metric.size()] != '{') return;
  const auto label = [&](std::string_view name) {
    std::string wanted = std::string(name) + "=\"";
    size_t at = line.find(wanted);
    if (at == std::string_view::npos) return std::string();
    at += wanted.size();
    return std::string(line.substr(at, line.find('"', at) - at));
  };
  size_t close = line.rfind('}');
  if (close == std::string_view::npos) return;
  (*usage)[{label("namespace"), label("server")}].*member =
      strtod(std::string(Trim(line.substr(close + 1))).c_str(), nullptr);
}

StatusOr<std::map<ServerKey, Usage>> Sample(Session& session) {
  ASSIGN_OR_RETURN(Deadline deadline, session.RequestDeadline());
  ASSIGN_OR_RETURN(http::Response response, session.Admin({.target = "/metrics"}, deadline));
  std::map<ServerKey, Usage> usage;
  for (const std::string& line : Split(response.body, '\n')) {
    ReadSample(line, "mcpfleet_server_memory_bytes", &Usage::memory_bytes, &usage);
    ReadSample(line, "mcpfleet_server_cpu_seconds_total", &Usage::cpu_seconds, &usage);
  }
  return usage;
}

struct TopOptions {
  ResourceOptions resources;
  std::string interval = "2s";
};

Status RunTop(Session& session, const TopOptions& options) {
  ASSIGN_OR_RETURN(Duration interval, ParseDuration(options.interval));
  ResourceOptions resources = options.resources;
  // `mcpctl top mcp`, as in `kubectl top pods`: every one.
  if (resources.arguments.size() == 1) {
    const KindSchema* kind = Schema::Builtin().Find(resources.arguments.front());
    if (kind != nullptr && kind->kind == kKindServer) resources.arguments.clear();
  }
  ASSIGN_OR_RETURN(Selection selection, Select(session, resources, kKindServer));
  if (!selection.selector.empty())
    return InvalidArgument("top asks the node, which knows no labels; give names, or -A for all namespaces");
  ASSIGN_OR_RETURN(auto before, Sample(session));
  MonoTime begin = session.clock().Now();
  poll(nullptr, 0, Deadline::After(interval).PollMillis());
  ASSIGN_OR_RETURN(auto after, Sample(session));
  double seconds = std::chrono::duration<double>(session.clock().Now() - begin).count();
  const bool namespaces = options.resources.all_namespaces;
  std::vector<std::string> header{"NAME", "CPU(cores)", "MEMORY"};
  if (namespaces) header.insert(header.begin(), "NAMESPACE");
  Table table(header);
  std::set<std::string> missing(selection.names.begin(), selection.names.end());
  for (const auto& [key, usage] : after) {
    Object shown{.kind = kKindServer, .metadata = {.name = key.name, .namespace_ = key.namespace_}};
    if (!selection.Matches(shown)) continue;
    missing.erase(key.name);
    double used = usage.cpu_seconds - before[key].cpu_seconds;
    std::vector<std::string> row{key.name, std::to_string(std::lround(std::max(0.0, used / seconds) * 1000)) + "m",
                                 std::to_string(std::lround(usage.memory_bytes / 1048576)) + "Mi"};
    if (namespaces) row.insert(row.begin(), key.namespace_);
    table.Add(row);
  }
  if (!table.empty()) table.Print(session.out());
  if (!missing.empty())
    return NotFound(Described({kKindServer, selection.namespace_, *missing.begin()}) + " does not run on this node");
  if (table.empty()) {
    session.err() << "No server runs on this node"
                  << (selection.namespace_.empty() ? "" : " in namespace " + selection.namespace_ + "; -A shows all")
                  << ".\n";
  }
  return OkStatus();
}

}  // namespace

void RegisterTop(CLI::App& root, Session& session) {
  auto* command = root.add_subcommand("top", "CPU and memory of the servers on the node");
  auto options = std::make_shared<TopOptions>();
  command->footer("Examples:\n  mcpctl top\n  mcpctl top mcp/weather --interval 30s\n  mcpctl top -A");
  AddResourceOptions(*command, &options->resources, true);
  command->add_option("--interval", options->interval, "how long CPU use is measured");
  command->callback([options, &session] { session.Finish(RunTop(session, *options)); });
}

}  // namespace mcpfleet::cli
