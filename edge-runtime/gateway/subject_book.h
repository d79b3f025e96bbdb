// Whose the names are that a server shared by several subjects gives out: ids of its tasks, and the requestState of a
// call that waits for input (specification 2026-07-28, basic/patterns/mrtr: bound to the user). What one subject got
// does not exist for another.
//
// Remembered, not written into the names: what was given out before mcplet restarted is nobody's. Clients that nobody
// is told apart from (auth None) are one subject, and nothing is remembered for them.
//
// On the gateway's loop only.
#pragma once

#include <deque>
#include <map>
#include <string>

#include "edge-runtime/gateway/lane.h"

namespace mcpfleet::gateway {

class SubjectBook {
 public:
  static constexpr size_t kMostNames = 4096;  // then the oldest is forgotten

  // Why the request may not go on; "" when it may.
  std::string Refusal(const Incoming& request, const std::string& subject) const;
  void Note(const Incoming& answer, const std::string& subject);

 private:
  void Remember(std::string_view raw, const std::string& subject);
  bool Owns(std::string_view raw, const std::string& subject) const;

  std::map<std::string, std::string> owners_;  // digest of the name -> subject
  std::deque<std::string> order_;
};

}  // namespace mcpfleet::gateway
