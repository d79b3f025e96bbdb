#include "edge-runtime/mcplet/admin_http.h"

#include <sys/stat.h>

#include <nlohmann/json.hpp>

#include "base/digest.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/strings.h"

namespace mcpfleet::admin {
namespace {

struct Mapping {
  int http;
  std::string_view code;
};

Mapping MappingOf(StatusCode code) {
  switch (code) {
    case StatusCode::kInvalidArgument:
      return {400, "InvalidArgument"};
    case StatusCode::kOutOfRange:
      return {400, "OutOfRange"};
    case StatusCode::kUnauthenticated:
      return {401, "Unauthenticated"};
    case StatusCode::kPermissionDenied:
      return {403, "PermissionDenied"};
    case StatusCode::kNotFound:
      return {404, "NotFound"};
    case StatusCode::kAlreadyExists:
      return {409, "AlreadyExists"};
    case StatusCode::kAborted:
      return {409, "Aborted"};
    case StatusCode::kFailedPrecondition:
      return {422, "FailedPrecondition"};
    case StatusCode::kResourceExhausted:
      return {429, "ResourceExhausted"};
    case StatusCode::kUnimplemented:
      return {501, "Unimplemented"};
    case StatusCode::kUnavailable:
      return {503, "Unavailable"};
    case StatusCode::kCancelled:
      return {503, "Cancelled"};
    case StatusCode::kDeadlineExceeded:
      return {504, "DeadlineExceeded"};
    default:
      return {500, "Internal"};  // absl's enum has members that we never make
  }
}

// Without the port. "[::1]:8701" -> "::1".
std::string_view HostName(std::string_view host) {
  if (host.starts_with('[')) {
    size_t bracket = host.find(']');
    return bracket == std::string_view::npos ? std::string_view() : host.substr(1, bracket - 1);
  }
  return host.substr(0, host.find(':'));
}

}  // namespace

http::Response ErrorResponse(int http_status, std::string_view code, std::string_view message) {
  Json body = {{"error", {{"code", std::string(code)}, {"message", std::string(message)}}}};
  return http::JsonResponse(http_status, DumpJson(body) + "\n");
}

http::Response ErrorResponse(const Status& status) {
  Mapping mapping = MappingOf(status.code());
  http::Response response = ErrorResponse(mapping.http, mapping.code, Message(status));
  if (mapping.http == 401) response.headers.Set("WWW-Authenticate", "Bearer");
  return response;
}

bool IsLoopbackHost(std::string_view host) {
  std::string_view name = HostName(host);
  return name == "127.0.0.1" || name == "::1" || EqualsIgnoreCase(name, "localhost");
}

bool IsLoopbackOrigin(std::string_view origin) {
  return origin.starts_with("http://") && IsLoopbackHost(origin.substr(7));
}

Status Admit(const http::Request& request, std::string_view token, bool needs_token) {
  if (!IsLoopbackHost(request.headers.Get("Host").value_or(""))) {
    return PermissionDenied("host: only 127.0.0.1, [::1] and localhost are served");
  }
  std::optional<std::string> origin = request.headers.Get("Origin");
  if (origin && !IsLoopbackOrigin(*origin)) return PermissionDenied("origin: pages of other sites may not ask here");
  if (!needs_token) return OkStatus();
  std::string given = request.headers.Get("Authorization").value_or("");
  if (given.size() < 7 || !EqualsIgnoreCase(std::string_view(given).substr(0, 7), "Bearer ")) {
    return Unauthenticated("the admin token is needed: Authorization: Bearer <token>");
  }
  if (!EqualsInConstantTime(Trim(std::string_view(given).substr(7)), token))
    return Unauthenticated("the admin token is wrong");
  return OkStatus();
}

std::optional<std::vector<std::string>> Segments(std::string_view path) {
  std::vector<std::string> segments;
  for (const std::string& raw : Split(path, '/')) {
    if (raw.empty()) continue;
    std::string decoded;
    if (!PercentDecode(raw, &decoded)) return std::nullopt;
    segments.push_back(std::move(decoded));
  }
  return segments;
}

StatusOr<ServerKey> ParseServerKey(std::string_view text) {
  size_t slash = text.find('/');
  if (slash == std::string_view::npos || slash == 0 || slash + 1 == text.size()) {
    return InvalidArgument("server: \"" + Printable(text, 80) + "\" is not <namespace>/<name>");
  }
  return ServerKey{std::string(text.substr(0, slash)), std::string(text.substr(slash + 1))};
}

bool IsSet(const http::Request& request, std::string_view parameter) {
  std::optional<std::string> value = request.Query(parameter);
  return value && (value->empty() || *value == "1" || *value == "true");
}

StatusOr<std::string> LoadOrMakeToken(const std::string& path) {
  StatusOr<std::string> text = ReadFile(path, 4096);
  if (text.status().code() == StatusCode::kNotFound) {
    std::string token = RandomHex(32);
    RETURN_IF_ERROR(Annotate(WriteFileAtomically(path, token + "\n", 0600), "admin token"));
    return token;
  }
  if (!text.ok()) return Annotate(text.status(), "admin token");
  struct stat info {};
  if (stat(path.c_str(), &info) != 0 || (info.st_mode & 077) != 0) {
    return FailedPrecondition(path + ": others can read the admin token; allowed: mode 0600");
  }
  std::string token(Trim(*text));
  if (token.size() < 16) return FailedPrecondition(path + ": the admin token is shorter than 16 characters");
  return token;
}

}  // namespace mcpfleet::admin
