// mcpctl logs from the store: prints the lines of a query in the order of time, follows by asking again and again, and
// tells on stderr what is missing.
#pragma once

#include <cstdint>
#include <string>

#include "base/status.h"
#include "cli/session.h"
#include "cli/stored_logs.h"
#include "store/worker_api.h"

namespace mcpfleet::cli {

struct StoredRequest {
  StoredQuery query;
  bool follow = false, timestamps = false;
  int64_t tail = -1;  // lines of the first look; -1: all
  std::string said;   // told on stderr before the first line, once it is known that the store keeps logs
};

// Until there is no more; with follow until nobody reads stdout any more.
Status PrintStoredLogs(Session& session, WorkerApi& worker, StoredRequest request);

}  // namespace mcpfleet::cli
