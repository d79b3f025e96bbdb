// Requests to the Worker beyond KV (docs/cloudflare-protocol.md): enrolment, nodes, logs, alerts. A store without a
// Worker (embedded, Cloudflare itself) has none of them: FailedPrecondition, which says so.
//
// Errors otherwise: NotFound, AlreadyExists (409), FailedPrecondition (410: expired or revoked), Aborted (412),
// InvalidArgument (400, 413, 422), Unauthenticated, PermissionDenied, Unavailable, DeadlineExceeded; their message is
// the Worker's own, made printable. Thread-safe.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "base/json.h"
#include "base/status.h"
#include "store/rest_client.h"

namespace mcpfleet {

struct WorkerAnswer {
  Json result;       // of the envelope
  Json result_info;  // null when the answer has no pages
};

class WorkerApi {
 public:
  explicit WorkerApi(std::unique_ptr<RestClient> rest) : rest_(std::move(rest)) {}
  static StatusOr<std::unique_ptr<WorkerApi>> Create(RestOptions options);

  // `target`: path and query, escaped, for example "/v1/joins/0123". The answer is read up to `max_answer` bytes.
  StatusOr<WorkerAnswer> Get(const std::string& target, Deadline deadline, size_t max_answer = size_t{16} << 20);
  // PUT, POST, PATCH or DELETE; `body` null: none.
  StatusOr<WorkerAnswer> Send(std::string method, const std::string& target, const Json& body, Deadline deadline);
  // A body of bytes, with headers of its own.
  StatusOr<WorkerAnswer> PutBytes(const std::string& target, std::string content_type, std::string body,
                                  std::vector<std::pair<std::string, std::string>> headers, Deadline deadline);

 private:
  StatusOr<WorkerAnswer> Do(const RestCall& call, Deadline deadline);

  const std::unique_ptr<RestClient> rest_;
};

}  // namespace mcpfleet
