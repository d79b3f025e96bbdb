// Whose processes an instance holds, where its kernel can't keep children apart: such an instance is let to one subject
// at a time. Another subject gets in once every process of the one before is gone.
//
// Who lives there is noted also where children are kept apart or nobody is told from anybody (`apart`), so that it is
// known when that ends: authentication changes without a new instance.
//
// On the gateway's loop only.
#pragma once

#include <map>
#include <string>

#include "edge-runtime/gateway/children.h"

namespace mcpfleet::gateway {

enum class Room {
  kFree,   // a child may start now
  kSoon,   // what another subject had there is about to end
  kTaken,  // another subject has it
};

class Tenants {
 public:
  // Of children that serve everybody by their nature: shared ones.
  static constexpr char kEverybody[] = "*";

  // children: outlives it.
  explicit Tenants(const Children& children) : children_(children) {}

  Room RoomFor(const std::string& instance, const std::string& subject, bool apart) const;
  // A child of the subject is about to start there; "": it is not known for whom (a spare).
  void Enter(const std::string& instance, const std::string& subject);
  // A child that ran under the mcplet before this one. False: it must end, another subject lives there.
  bool Keep(const std::string& instance, const std::string& subject, bool apart);

 private:
  const Children& children_;
  // By instance. "": several, or nobody knows. What it says counts only while there are children.
  std::map<std::string, std::string> subjects_;
};

}  // namespace mcpfleet::gateway
