// Requests to an API server: JSON in and out, the service account's token from its file each time, errors as
// metav1.Status says them.
//
//   ASSIGN_OR_RETURN(const Answer answer, rest.Do({.path = "/api/v1/nodes/edge-01"}, Deadline::After(10s)));
//   if (answer.code == 404) …
//
// Thread-safe. A status other than an answer means that no answer came: Unavailable, DeadlineExceeded, Unauthenticated
// (the certificate), ResourceExhausted (larger than 64 MiB), FailedPrecondition (no token that can be read). No message
// has a token or a body in it.
#pragma once

#include <memory>
#include <string>

#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "base/http/client.h"
#include "base/json.h"
#include "base/status.h"
#include "store/kubernetes/cluster.h"

namespace mcpfleet::kube {

inline constexpr char kApplyPatch[] = "application/apply-patch+yaml";  // its body may be JSON, which is YAML
inline constexpr char kMergePatch[] = "application/merge-patch+json";
inline constexpr char kJson[] = "application/json";

struct Call {
  std::string method = "GET";
  std::string path;   // percent-encoded
  std::string query;  // without '?', percent-encoded
  std::string content_type;
  std::string body;
};

struct Answer {
  int code = 0;
  Json body;                // null when it is no JSON
  Duration retry_after{0};  // of a 429 or 503 that says so
  bool ok() const { return code >= 200 && code < 300; }
};

// metav1.Status as a Status: 404 NotFound, 409 Aborted, 401 Unauthenticated, 403 PermissionDenied, 400 and 422
// InvalidArgument, 410 FailedPrecondition, 429 and 5xx Unavailable. The message is the server's, cut, after "what: ".
Status StatusOf(const Answer& answer, std::string_view what);

class RestClient {
 public:
  explicit RestClient(Cluster cluster, std::string user_agent);
  StatusOr<Answer> Do(const Call& call, Deadline deadline);
  // A watch: the stream when the answer is 200, else the answer. `deadline` is for the head.
  struct Watch {
    std::unique_ptr<http::ResponseStream> stream;  // null: `answer` says why
    Answer answer;
  };
  StatusOr<Watch> Open(const Call& call, Deadline deadline);
  const std::string& namespace_() const { return cluster_.namespace_; }

 private:
  StatusOr<http::Request> Make(const Call& call) const;
  const Cluster cluster_;
  const std::string user_agent_;
  http::Client client_;
};

}  // namespace mcpfleet::kube
