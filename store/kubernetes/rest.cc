#include "store/kubernetes/rest.h"

#include <algorithm>
#include <cstdlib>
#include <utility>

#include <nlohmann/json.hpp>

#include "base/fd.h"
#include "base/secret_text.h"
#include "base/strings.h"

namespace mcpfleet::kube {
namespace {

constexpr size_t kTokenBytes = size_t{16} << 10;
constexpr size_t kAnswerBytes = size_t{64} << 20;  // a page of 500 objects of 100 kB
constexpr size_t kErrorBytes = size_t{64} << 10;   // of a watch that was refused
constexpr size_t kMessageBytes = 300;
constexpr int64_t kMostRetryAfterSeconds = 300;

http::ClientOptions OptionsFor(const Cluster& cluster) {
  http::ClientOptions options;
  options.max_body = kAnswerBytes;
  options.max_idle = 4;
  options.host_header = cluster.host_header;
  options.ca_file = cluster.ca_file;
  return options;
}

Answer AnswerOf(int code, const http::Headers& headers, std::string_view body) {
  Answer answer{.code = code, .body = nullptr};
  if (StatusOr<Json> json = ParseJson(body, {.bytes = kAnswerBytes}); json.ok()) answer.body = *std::move(json);
  if (const std::string* after = headers.Find("Retry-After"); after != nullptr) {
    const int64_t seconds = strtoll(after->c_str(), nullptr, 10);
    answer.retry_after = std::chrono::seconds(std::clamp<int64_t>(seconds, 0, kMostRetryAfterSeconds));
  }
  return answer;
}

StatusCode CodeOf(int code) {
  switch (code) {
    case 400:
    case 415:
    case 422:
      return StatusCode::kInvalidArgument;
    case 401:
      return StatusCode::kUnauthenticated;
    case 403:
      return StatusCode::kPermissionDenied;
    case 404:
      return StatusCode::kNotFound;
    case 409:
      return StatusCode::kAborted;
    case 410:
      return StatusCode::kFailedPrecondition;
    default:
      return code == 429 || code >= 500 ? StatusCode::kUnavailable : StatusCode::kInternal;
  }
}

}  // namespace

Status StatusOf(const Answer& answer, std::string_view what) {
  if (answer.ok()) return OkStatus();
  std::string message = GetString(answer.body, "message");
  if (message.empty()) message = "the API server answers " + std::to_string(answer.code);
  return MakeStatus(CodeOf(answer.code), std::string(what) + ": " + Printable(message, kMessageBytes));
}

RestClient::RestClient(Cluster cluster, std::string user_agent)
    : cluster_(std::move(cluster)),
      user_agent_(std::move(user_agent)),
      client_(cluster_.endpoint, OptionsFor(cluster_)) {}

StatusOr<http::Request> RestClient::Make(const Call& call) const {
  http::Request request{.method = call.method,
                        .target = call.query.empty() ? call.path : call.path + "?" + call.query,
                        .headers = {},
                        .body = call.body};
  request.headers.Add("Accept", kJson);
  request.headers.Add("User-Agent", user_agent_);
  if (!call.content_type.empty()) request.headers.Add("Content-Type", call.content_type);
  if (!cluster_.token_file.empty()) {
    StatusOr<std::string> token = ReadFile(cluster_.token_file, kTokenBytes);
    if (!token.ok()) return FailedPrecondition("the service account's token: " + Message(token.status()));
    request.headers.Add("Authorization", "Bearer " + std::string(Trim(*token)));
    WipeText(&*token);
  }
  return request;
}

StatusOr<Answer> RestClient::Do(const Call& call, Deadline deadline) {
  ASSIGN_OR_RETURN(const http::Request request, Make(call));
  ASSIGN_OR_RETURN(const http::Response response, client_.Do(request, deadline));
  return AnswerOf(response.status, response.headers, response.body);
}

StatusOr<RestClient::Watch> RestClient::Open(const Call& call, Deadline deadline) {
  ASSIGN_OR_RETURN(const http::Request request, Make(call));
  ASSIGN_OR_RETURN(std::unique_ptr<http::ResponseStream> stream, client_.Open(request, deadline));
  const http::Response& head = stream->head();
  if (head.status == 200) return Watch{.stream = std::move(stream), .answer = {.code = 200}};
  std::string body;
  while (body.size() < kErrorBytes) {
    StatusOr<std::string> piece = stream->Read(deadline);
    if (!piece.ok() || piece->empty()) break;
    body += *piece;
  }
  return Watch{.stream = nullptr, .answer = AnswerOf(head.status, head.headers, body)};
}

}  // namespace mcpfleet::kube
