// `mcpctl create mcpserver`, and what it shares with `registry install`: writing one server that is new.
#pragma once

#include <string>

#include <nlohmann/json_fwd.hpp>

#include "base/json.h"
#include "cli/session.h"

namespace CLI {
class App;
}

namespace mcpfleet::cli {

struct NewServer {
  std::string message;           // for the history
  std::string dry_run = "none";  // none, client, server
  std::string output;            // "", yaml, json: the object, before it is written
  bool replace = false;          // over one that is there
  bool wait = false;
  std::string timeout = "5m";
};
void AddNewServerOptions(CLI::App& command, NewServer* options);
// Validates `object` (violations to err()), prints and writes it as the options say. AlreadyExists without `replace`.
// An object without a namespace gets that of -n or the context.
Status WriteNewServer(Session& session, Json object, const NewServer& options);

void RegisterCreateServer(CLI::App& create, Session& session);

}  // namespace mcpfleet::cli
