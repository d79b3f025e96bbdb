#include <ostream>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "base/fd.h"
#include "cli/fleet.h"
#include "cli/verbs.h"
#include "crd/codec.h"

namespace mcpfleet::cli {
namespace {

// Values of environment variables and headers are what people put secrets into; names stay, values go.
void Redact(Json* value) {
  if (value->is_object()) {
    if (value->contains("name") && value->contains("value")) (*value)["value"] = "[removed]";
    for (auto& [key, member] : value->items()) Redact(&member);
  } else if (value->is_array()) {
    for (Json& item : *value) Redact(&item);
  }
}

Status RunSupportBundle(Session& session, const std::string& directory) {
  RETURN_IF_ERROR(MakeDirectories(directory, 0700));
  std::vector<std::string> written;
  const auto write = [&](const std::string& name, const std::string& content) {
    Status status = WriteFileAtomically(directory + "/" + name, content, 0600);
    if (status.ok())
      written.push_back(name);
    else
      session.err() << "warning: " << Message(status) << "\n";
  };
  ASSIGN_OR_RETURN(Deadline deadline, session.RequestDeadline());
  // Whatever can't be had is said and the rest goes on: a bundle is asked for when something is broken.
  StatusOr<Fleet> fleet = ReadFleet(session, deadline);
  if (fleet.ok()) {
    Json servers = Json::array(), nodes = Json::array();
    for (const auto& [key, object] : fleet->desired.objects) {
      if (key.kind == kKindServer) servers.push_back(Rendered(ViewOf(*fleet, object, session.clock().Wall())));
    }
    for (const NodeStatus& node : fleet->nodes) nodes.push_back(NodeStatusToJson(node));
    Redact(&servers);
    write("servers.json", DumpJsonPretty(servers));
    write("nodes.json", DumpJsonPretty(nodes));
  } else {
    write("store-error.txt", fleet.status().ToString());
  }
  for (const char* target : {"/v1/status", "/v1/events", "/metrics", "/readyz?verbose"}) {
    StatusOr<http::Response> response = session.Admin({.target = target}, Deadline::After(std::chrono::seconds(10)));
    std::string name = std::string(target).substr(std::string_view(target).rfind('/') + 1);
    name = name.substr(0, name.find('?'));
    write("node-" + name + ".txt", response.ok() ? response->body : response.status().ToString());
  }
  for (const std::string& name : written) session.out() << directory << "/" << name << "\n";
  session.err() << "values of environment variables and headers are removed; read the files before you send them\n";
  return OkStatus();
}

}  // namespace

void RegisterSupportBundle(CLI::App& root, Session& session) {
  auto* command = root.add_subcommand("support-bundle", "Collect what is needed to look into a problem");
  auto directory = std::make_shared<std::string>("mcpfleet-support");
  command->footer("Examples:\n  mcpctl support-bundle -o /tmp/bundle");
  command->add_option("-o,--output", *directory, "the directory to write");
  command->callback([directory, &session] { session.Finish(RunSupportBundle(session, *directory)); });
}

}  // namespace mcpfleet::cli
