// What a cloudflared says of itself on its metrics server: GET /ready (200 once a connection to Cloudflare is up, with
// their number) and GET /config (what it runs; versions from 2022 on). What Cloudflare's side has configured replaces
// the file: only /config tells.
#pragma once

#include <set>
#include <string>

#include "base/clock.h"
#include "base/http/client.h"

namespace mcpfleet::tunnel {

struct Health {
  bool answers = false;
  int connections = 0;
  bool remote = false;              // its configuration came from Cloudflare
  bool told = false;                // /config answered; else it runs what it was started with
  std::set<std::string> hostnames;  // that lead to the gateway, when told
  std::string problem;              // why it is not ready; "" when it is

  bool ready() const { return connections > 0; }
};

// Pure. `service`: of the gateway, as the ingress has it; a name that leads elsewhere is none of ours.
void ReadReady(int status, const std::string& body, Health* health);
void ReadConfig(int status, const std::string& body, const std::string& service, Health* health);

// Asks both. Never fails: `problem` says what was wrong.
Health LookAt(http::Client& metrics, const std::string& service, Deadline deadline);

}  // namespace mcpfleet::tunnel
