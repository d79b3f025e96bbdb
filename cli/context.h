// Contexts: which store and which mcplet mcpctl talks to. Kept in ~/.config/mcpfleet/config ($MCPFLEET_CONFIG), mode
// 0600 because it holds tokens. Without any context, root on a node talks to that node's mcplet.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/status.h"
#include "store/snapshot.h"

namespace mcpfleet::cli {

struct Context {
  std::string name;
  std::string server;  // base URL of the store
  std::string account = "local";
  std::string config_namespace = "CONFIG";
  std::string state_namespace = "SERVER_STATE";
  std::string token;  // of the store
  std::string admin;  // mcplet's admin API: "http://127.0.0.1:8701" or "unix:///run/mcpfleet/mcplet.sock"; "": none
  std::string admin_token;
  std::string namespace_ = "default";
  std::string trust_root;  // fingerprint; "": not known, or the fleet is not signed
  // The greatest head seen through this context: what `store restore` must exceed. With a trust root only verified
  // heads count, and no older one is built on.
  HeadOrder seen;
  std::string seen_bytes;      // of it, where it was verified: the head with its signatures
  std::string trust_document;  // TrustLine of the newest trust document that was walked to
};

struct ContextFile {
  std::string path;
  std::string current;
  std::vector<Context> contexts;

  const Context* Find(std::string_view name) const;
  Context* Find(std::string_view name);
};

// $MCPFLEET_CONFIG, else $XDG_CONFIG_HOME/mcpfleet/config, else ~/.config/mcpfleet/config.
std::string ContextPath();
// For what can be had again: $XDG_CACHE_HOME/mcpfleet, else ~/.cache/mcpfleet; "" without a home. It need not exist.
std::string CachePath();
// An absent file is an empty one; a file that others may read is refused.
StatusOr<ContextFile> LoadContexts(const std::string& path);
// Atomic; 0600.
Status SaveContexts(const ContextFile& file);
// Loads, changes and saves, while no other mcpctl does; nothing is saved when `change` fails.
Status UpdateContexts(const std::string& path, const std::function<Status(ContextFile*)>& change);
// By name, or the current one, or that of the mcplet on this machine: its configuration file says where its store and
// its socket are, and whoever may read the operator token may use them. NotFound says what to do.
inline constexpr char kNodeContextName[] = "(this node)";
inline constexpr char kNodeConfiguration[] = "/etc/mcpfleet/mcplet.yaml";
StatusOr<Context> ChooseContext(const ContextFile& file, std::string_view name,
                                const std::string& node_configuration = kNodeConfiguration);

}  // namespace mcpfleet::cli
