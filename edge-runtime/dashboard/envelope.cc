#include "edge-runtime/dashboard/envelope.h"

#include <string>
#include <utility>

#include <nlohmann/json.hpp>

namespace mcpfleet::dashboard {
namespace {

// Cloudflare's own codes where it has one, as the embedded store and the Worker answer.
int CodeOf(int http_status) {
  switch (http_status) {
    case 401:
    case 403:
      return 10000;
    case 404:
      return 10009;
    case 405:
      return 7003;
    case 409:
      return 10040;
    default:
      return 10001;
  }
}

int HttpStatusOf(StatusCode code) {
  switch (code) {
    case StatusCode::kInvalidArgument:
    case StatusCode::kOutOfRange:
      return 400;
    case StatusCode::kUnauthenticated:
      return 401;
    case StatusCode::kPermissionDenied:
      return 403;
    case StatusCode::kNotFound:
      return 404;
    case StatusCode::kAborted:
    case StatusCode::kAlreadyExists:
      return 409;
    case StatusCode::kFailedPrecondition:
      return 422;
    case StatusCode::kResourceExhausted:
      return 413;
    case StatusCode::kDeadlineExceeded:
      return 504;
    default:
      return 503;
  }
}

}  // namespace

http::Response Reply(Json result, Json info) {
  Json body = {
      {"result", std::move(result)}, {"success", true}, {"errors", Json::array()}, {"messages", Json::array()}};
  if (!info.is_null()) body["result_info"] = std::move(info);
  return http::JsonResponse(200, DumpJson(body));
}

http::Response ReplyForEver(Json result) {
  http::Response response = Reply(std::move(result));
  response.headers.Set("Cache-Control", "private, max-age=31536000, immutable");
  return response;
}

http::Response Refuse(int http_status, std::string_view message) {
  return http::JsonResponse(
      http_status,
      DumpJson({{"result", nullptr},
                {"success", false},
                {"errors", Json::array({{{"code", CodeOf(http_status)}, {"message", std::string(message)}}})},
                {"messages", Json::array()}}));
}

http::Response Refuse(const Status& status) { return Refuse(HttpStatusOf(status.code()), Message(status)); }

void AddSecurityHeaders(http::Response* response) {
  http::Headers& headers = response->headers;
  headers.Set("X-Content-Type-Options", "nosniff");
  headers.Set("X-Frame-Options", "DENY");
  headers.Set("Referrer-Policy", "no-referrer");
  headers.Set("Cross-Origin-Resource-Policy", "same-origin");
  headers.Set("Cross-Origin-Opener-Policy", "same-origin");
  if (!headers.Has("Content-Security-Policy"))
    headers.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'");
  if (!headers.Has("Cache-Control")) headers.Set("Cache-Control", "no-store");
}

}  // namespace mcpfleet::dashboard
