// Where chunks go: the Worker, in a program. Called by one thread at a time.
#pragma once

#include <string>

#include "base/clock.h"
#include "base/status.h"

namespace mcpfleet::logship {

struct PutAnswer {
  Status status = OkStatus();  // AlreadyExists: other bytes are there; InvalidArgument: never; others: later
  Duration retry_after{};      // as the store asked for
};

class ChunkStore {
 public:
  virtual ~ChunkStore() = default;
  // Whether it takes logs at all. An error: it can't be told now.
  virtual StatusOr<bool> Takes(Deadline deadline) = 0;
  // A repeat of the same bytes is OK. `first`, `last`: times of the earliest and the latest line.
  virtual PutAnswer Put(const std::string& name, std::string bytes, WallTime first, WallTime last,
                        Deadline deadline) = 0;
};

}  // namespace mcpfleet::logship
