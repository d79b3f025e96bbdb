// Logs as the Worker keeps them in R2 (docs/cloudflare-protocol.md, "Logs"): read in pages, in the order of time, of
// nodes that may be gone.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "base/clock.h"
#include "base/json.h"
#include "base/status.h"
#include "store/worker_api.h"

namespace mcpfleet::cli {

struct StoredQuery {
  std::string namespace_, server;
  std::string node;  // "": of all
  WallTime since{};
};

struct StoredLine {
  std::string time, node, text;
};

struct StoredPage {
  std::vector<StoredLine> lines;
  std::string cursor;   // of the next page; "": this was the last
  int64_t missing = 0;  // chunks that could not be read
  int64_t bad = 0;      // rows that are no lines
};

// Path and query of a page. Pure.
std::string StoredTarget(const StoredQuery& query, const std::string& cursor);
// Unavailable for what is no such answer. Pure.
StatusOr<StoredPage> ParseStoredPage(const WorkerAnswer& answer);
// FailedPrecondition where the store keeps no logs.
StatusOr<StoredPage> ReadStoredPage(WorkerApi& worker, const StoredQuery& query, const std::string& cursor,
                                    Deadline deadline);

// What a follow that asks again and again has shown already. Chunks of one node come in order, those of several nodes
// don't: each look goes back some way, and what was shown is not shown again. As many equal lines as there are are
// shown. Bounded: what is older than the window is forgotten.
class ShownLines {
 public:
  explicit ShownLines(WallTime since) : since_(since) {}
  // From when the next look must read; a look begins.
  WallTime BeginLook();
  // Whether the line is new.
  bool Take(const StoredLine& line);

 private:
  using Key = std::tuple<std::string, std::string, size_t>;  // time, node, hash of the text
  struct Count {
    int shown = 0, seen = 0;  // in all; in this look
  };
  WallTime since_;
  std::map<Key, Count> lines_;
  std::string newest_;  // the greatest time
};

}  // namespace mcpfleet::cli
