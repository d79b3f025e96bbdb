#include "base/http/message.h"

#include "base/strings.h"

namespace mcpfleet::http {

void Headers::Set(std::string_view name, std::string_view value) {
  std::erase_if(fields_, [&](const auto& field) { return EqualsIgnoreCase(field.first, name); });
  Add(name, value);
}

const std::string* Headers::Find(std::string_view name) const {
  for (const auto& [key, value] : fields_) {
    if (EqualsIgnoreCase(key, name)) return &value;
  }
  return nullptr;
}

std::optional<std::string> Headers::Get(std::string_view name) const {
  const std::string* value = Find(name);
  return value == nullptr ? std::nullopt : std::optional(*value);
}

std::string_view Request::Path() const { return std::string_view(target).substr(0, target.find('?')); }

std::optional<std::string> Request::Query(std::string_view name) const {
  size_t question = target.find('?');
  if (question == std::string::npos) return std::nullopt;
  for (std::string part : Split(std::string_view(target).substr(question + 1), '&')) {
    for (char& c : part) {
      if (c == '+') c = ' ';  // as browsers write a space
    }
    size_t equals = part.find('=');
    std::string key, value;
    if (!PercentDecode(std::string_view(part).substr(0, equals), &key) || key != name) continue;
    if (equals == std::string::npos) return "";
    if (!PercentDecode(std::string_view(part).substr(equals + 1), &value)) return std::nullopt;
    return value;
  }
  return std::nullopt;
}

std::string_view ReasonPhrase(int status) {
  switch (status) {
    case 100:
      return "Continue";
    case 101:
      return "Switching Protocols";
    case 200:
      return "OK";
    case 201:
      return "Created";
    case 202:
      return "Accepted";
    case 204:
      return "No Content";
    case 206:
      return "Partial Content";
    case 301:
      return "Moved Permanently";
    case 302:
      return "Found";
    case 304:
      return "Not Modified";
    case 307:
      return "Temporary Redirect";
    case 308:
      return "Permanent Redirect";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 406:
      return "Not Acceptable";
    case 408:
      return "Request Timeout";
    case 409:
      return "Conflict";
    case 410:
      return "Gone";
    case 411:
      return "Length Required";
    case 412:
      return "Precondition Failed";
    case 413:
      return "Content Too Large";
    case 414:
      return "URI Too Long";
    case 415:
      return "Unsupported Media Type";
    case 421:
      return "Misdirected Request";
    case 422:
      return "Unprocessable Content";
    case 426:
      return "Upgrade Required";
    case 429:
      return "Too Many Requests";
    case 431:
      return "Request Header Fields Too Large";
    case 500:
      return "Internal Server Error";
    case 501:
      return "Not Implemented";
    case 502:
      return "Bad Gateway";
    case 503:
      return "Service Unavailable";
    case 504:
      return "Gateway Timeout";
    default:
      return "Status";
  }
}

Response TextResponse(int status, std::string_view body) {
  Response response{.status = status, .body = std::string(body)};
  response.headers.Add("Content-Type", "text/plain; charset=utf-8");
  return response;
}

Response JsonResponse(int status, std::string_view json) {
  Response response{.status = status, .body = std::string(json)};
  response.headers.Add("Content-Type", "application/json");
  return response;
}

}  // namespace mcpfleet::http
