// Which server has which public name on this node, and what is said of each that asks for one. Pure.
//
// Of several that ask for one name the first by namespace and name has it: the same on every node and after every
// restart. One that may not be exposed takes no name from another.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "controller/ports/exposure.h"
#include "crd/object.h"
#include "crd/server_spec.h"

namespace mcpfleet::tunnel {

enum class Mode {
  kOff,
  kExternal,  // somebody else runs cloudflared, with the ingress that we write
  kManaged,
};

struct ExposeRequest {
  ServerKey server;
  std::string hostname;  // "": it asks for none, but may be asked for by the node's name
  AuthType auth = AuthType::kNone;
};

struct ExposeRules {
  Mode mode = Mode::kOff;
  std::string node_hostname;  // of the node itself, for all servers; "": none
  // A signed fleet trusts no account at Cloudflare. Whoever has that can come by the tunnel as he likes, and Access
  // tells us who comes: only what Cloudflare can't make up (a bearer token, a JWT of another issuer) proves anything.
  bool signed_fleet = false;
};

struct Door {
  std::string hostname;         // of this server alone; "": none
  bool by_node_name = false;    // also reached by ExposeRules::node_hostname
  std::string reason, message;  // why it has not the name that it asks for; "" when it has, or asks for none

  bool operator==(const Door&) const = default;
};

// One for each request.
std::map<ServerKey, Door> OpenDoors(const std::vector<ExposeRequest>& requests, const ExposeRules& rules);
// What the tunnel must let in, sorted: the hosts of the ingress.
std::vector<std::string> HostnamesOf(const std::map<ServerKey, Door>& doors, const ExposeRules& rules);
// Names that clients may call one server by.
std::vector<std::string> NamesOf(const Door& door, const ExposeRules& rules);

// The tunnel as a whole.
struct TunnelState {
  ConditionStatus ready = ConditionStatus::kUnknown;
  std::string reason, message;   // of the node's condition TunnelReady
  std::set<std::string> served;  // hostnames in what a connected cloudflared runs

  bool operator==(const TunnelState&) const = default;
};

// For a server whose door asks for a name.
Exposure ExposureOf(const ServerKey& server, const Door& door, const TunnelState& state);

}  // namespace mcpfleet::tunnel
