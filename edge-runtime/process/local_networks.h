// Which IPv4 networks are this machine's surroundings rather than the internet. Pure but for LocalNetworks.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace mcpfleet {

// In the form "192.168.0.0/16", sorted, none inside another: the private and special ranges, and each address and route
// of this machine outside of them. A default route, also in two halves, is the internet's.
//
// `routes`: of /proc/net/route; `addresses`: of the machine's interfaces, "203.0.113.7".
std::vector<std::string> LocalNetworksOf(std::string_view routes, const std::vector<std::string>& addresses);
// Of the calling thread's network namespace, now.
StatusOr<std::vector<std::string>> LocalNetworks();

}  // namespace mcpfleet
