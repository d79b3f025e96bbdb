// What a controller wants to find again after a restart of mcplet: a short text for each server that only it
// understands. A comfort and no truth: all of it may be gone or old, and the controller then begins at zero.
#pragma once

#include <set>
#include <string>

#include "crd/object.h"

namespace mcpfleet {

class Notebook {
 public:
  virtual ~Notebook() = default;
  // "" where nothing is noted.
  virtual std::string Read(const ServerKey& server) const = 0;
  // Replaces the server's text; "" removes it. Never waits for a disk.
  virtual void Write(const ServerKey& server, std::string text) = 0;
  // Removes what is noted of all others.
  virtual void Retain(const std::set<ServerKey>& servers) = 0;
};

}  // namespace mcpfleet
