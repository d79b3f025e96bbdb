// An HTTP/1.1 request or response as values.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace mcpfleet::http {

// Header fields in the order they were added; names compare without case.
class Headers {
 public:
  void Add(std::string_view name, std::string_view value) { fields_.emplace_back(name, value); }
  void Set(std::string_view name, std::string_view value);
  std::optional<std::string> Get(std::string_view name) const;  // the first one
  const std::string* Find(std::string_view name) const;         // the same where it stands; null: absent
  bool Has(std::string_view name) const { return Find(name) != nullptr; }
  const std::vector<std::pair<std::string, std::string>>& fields() const { return fields_; }

 private:
  std::vector<std::pair<std::string, std::string>> fields_;
};

struct Request {
  std::string method = "GET";
  std::string target = "/";  // origin form: path and query, percent-encoded as on the wire
  Headers headers;
  std::string body;

  std::string_view Path() const;                                  // target without the query, still encoded
  std::optional<std::string> Query(std::string_view name) const;  // decoded value of the first such parameter
};

struct Response {
  int status = 200;
  Headers headers;
  std::string body;
};

std::string_view ReasonPhrase(int status);
Response TextResponse(int status, std::string_view body);
Response JsonResponse(int status, std::string_view json);

}  // namespace mcpfleet::http
