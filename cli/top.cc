#include <cmath>
#include <cstdio>
#include <map>
#include <ostream>

#include <poll.h>
#include <CLI/CLI.hpp>

#include "base/strings.h"
#include "cli/resource.h"
#include "cli/table.h"
#include "cli/verbs.h"
#include "crd/quantity.h"

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

Status RunTop(Session& session, const std::string& interval_text) {
  ASSIGN_OR_RETURN(Duration interval, ParseDuration(interval_text));
  ASSIGN_OR_RETURN(auto before, Sample(session));
  MonoTime begin = session.clock().Now();
  poll(nullptr, 0, Deadline::After(interval).PollMillis());
  ASSIGN_OR_RETURN(auto after, Sample(session));
  double seconds = std::chrono::duration<double>(session.clock().Now() - begin).count();
  Table table({"NAMESPACE", "NAME", "CPU(cores)", "MEMORY"});
  for (const auto& [key, usage] : after) {
    double used = usage.cpu_seconds - before[key].cpu_seconds;
    table.Add({key.namespace_, key.name, std::to_string(std::lround(std::max(0.0, used / seconds) * 1000)) + "m",
               std::to_string(std::lround(usage.memory_bytes / 1048576)) + "Mi"});
  }
  if (table.empty())
    session.err() << "No server runs on this node.\n";
  else
    table.Print(session.out());
  return OkStatus();
}

}  // namespace

void RegisterTop(CLI::App& root, Session& session) {
  auto* command = root.add_subcommand("top", "CPU and memory of the servers on the node");
  auto interval = std::make_shared<std::string>("2s");
  command->footer("Examples:\n  mcpctl top\n  mcpctl top --interval 30s");
  command->add_option("--interval", *interval, "how long CPU use is measured");
  command->callback([interval, &session] { session.Finish(RunTop(session, *interval)); });
}

}  // namespace mcpfleet::cli
