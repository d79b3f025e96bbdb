#include "store/worker_api.h"

#include <nlohmann/json.hpp>

#include "base/strings.h"

namespace mcpfleet {
namespace {

constexpr size_t kMessageBytes = 500;
constexpr int kNoSuchRoute = 7003;

// What the Worker's refusal means; one that isn't the Worker's is no news.
Status WorkerErrorStatus(int http_status, std::string_view body) {
  StatusOr<Json> json = ParseJson(body, {.bytes = kRestErrorBytes});
  const Json* error = nullptr;
  if (json.ok()) {
    const Json& errors = GetMember(*json, "errors");
    if (errors.is_array() && !errors.empty() && errors[0].is_object()) error = &errors[0];
  }
  if (http_status == 404 && (error == nullptr || GetInt(*error, "code") == kNoSuchRoute)) {
    return FailedPrecondition("the store has no Worker in front of it: it can't do this");
  }
  if (error == nullptr) {
    return Unavailable("the answer is not the Worker's (HTTP " + std::to_string(http_status) + ")");
  }
  const std::string message = Printable(GetString(*error, "message"), kMessageBytes);
  switch (http_status) {
    case 400:
    case 413:
    case 415:
    case 422:
      return InvalidArgument(message);
    case 401:
      return Unauthenticated(message);
    case 403:
      return PermissionDenied(message);
    case 404:
      return NotFound(message);
    case 409:
      return AlreadyExists(message);
    case 410:
    case 428:
      return FailedPrecondition(message);
    case 412:
      return Aborted(message);
    default:
      return Unavailable(message + " (HTTP " + std::to_string(http_status) + ")");
  }
}

}  // namespace

StatusOr<std::unique_ptr<WorkerApi>> WorkerApi::Create(RestOptions options) {
  options.error_status = WorkerErrorStatus;
  ASSIGN_OR_RETURN(std::unique_ptr<RestClient> rest, NewRestClient(std::move(options)));
  return std::make_unique<WorkerApi>(std::move(rest));
}

StatusOr<WorkerAnswer> WorkerApi::Get(const std::string& target, Deadline deadline, size_t max_answer) {
  return Do({.operation = "worker_get", .target = target, .max_answer = max_answer}, deadline);
}

StatusOr<WorkerAnswer> WorkerApi::Send(std::string method, const std::string& target, const Json& body,
                                       Deadline deadline) {
  RestCall call{.operation = "worker_send", .method = std::move(method), .target = target};
  if (!body.is_null()) {
    call.content_type = "application/json";
    call.body = DumpJson(body);
  }
  return Do(call, deadline);
}

StatusOr<WorkerAnswer> WorkerApi::PutBytes(const std::string& target, std::string content_type, std::string body,
                                           std::vector<std::pair<std::string, std::string>> headers,
                                           Deadline deadline) {
  return Do({.operation = "worker_put",
             .method = "PUT",
             .target = target,
             .content_type = std::move(content_type),
             .body = std::move(body),
             .headers = std::move(headers)},
            deadline);
}

StatusOr<WorkerAnswer> WorkerApi::Do(const RestCall& call, Deadline deadline) {
  const size_t bytes = call.max_answer;
  ASSIGN_OR_RETURN(RestAnswer answer, rest_->Do(call, deadline));
  StatusOr<Json> json = ParseJson(answer.body, {.bytes = bytes});
  if (!json.ok() || !GetBool(*json, "success")) return Unavailable("the answer is not the Worker's");
  return WorkerAnswer{GetMember(*json, "result"), GetMember(*json, "result_info")};
}

}  // namespace mcpfleet
