// How far the logs of this node are in chunks, as one small file that is replaced atomically: that step, and no other,
// makes a chunk count and moves the places of what is read. So whenever a crash comes, a line is either in a chunk that
// counts and behind its tail's place, or neither.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "base/status.h"
#include "controller/ports/container_runtime.h"

namespace mcpfleet::logship {

struct TailPlace {
  RuntimeKind runtime = RuntimeKind::kProcess;
  ServerKey server;
  std::string place;  // LogTail::Place
  bool operator==(const TailPlace&) const = default;
};

struct Cursor {
  uint64_t counts = 0;                     // orders of chunks up to this one count
  std::map<std::string, TailPlace> tails;  // by instance
};

// NotFound when there is none; InvalidArgument when it is damaged.
StatusOr<Cursor> LoadCursor(const std::string& path);
Status SaveCursor(const std::string& path, const Cursor& cursor);

}  // namespace mcpfleet::logship
