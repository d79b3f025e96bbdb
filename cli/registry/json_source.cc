#include "cli/registry/json_source.h"

#include <nlohmann/json.hpp>

#include "base/http/proxy.h"
#include "base/strings.h"
#include "base/version.h"

namespace mcpfleet::registry {
namespace {

constexpr size_t kMostBytes = size_t{32} << 20;

bool IsLoopback(const std::string& host) { return host == "localhost" || host == "::1" || host.starts_with("127."); }

std::string WithoutSlash(std::string text) {
  while (text.ends_with('/')) text.pop_back();
  return text;
}

// What the API says is wrong, where it says it.
std::string ErrorOf(const http::Response& response) {
  const StatusOr<Json> body = ParseJson(response.body);
  if (!body.ok()) return "";
  for (const char* member : {"error", "detail", "message", "title"}) {
    const std::string text = GetString(*body, member);
    if (!text.empty()) return ": " + Printable(text, 200);
  }
  return "";
}

}  // namespace

StatusOr<std::unique_ptr<JsonSource>> JsonSource::Create(const std::string& what, const std::string& base,
                                                         OnRequest on_request) {
  StatusOr<http::Url> url = http::ParseUrl(base);
  if (!url.ok()) return InvalidArgument(what + " \"" + Printable(base, 200) + "\": " + Message(url.status()));
  if (!url->endpoint.tls && !IsLoopback(url->endpoint.host))
    return InvalidArgument(what + " " + Printable(base, 200) +
                           ": is plain http to another machine; allowed: https, or http on a loopback address");
  if (url->target.find('?') != std::string::npos)
    return InvalidArgument(what + " " + Printable(base, 200) + ": has a query; allowed: https://HOST[/PATH]");
  http::ClientOptions options{.max_body = kMostBytes, .host_header = url->host_header};
  ASSIGN_OR_RETURN(const http::Proxy proxy, http::ProxyFor("", base));
  proxy.Apply(&options);
  return std::unique_ptr<JsonSource>(
      new JsonSource(what, WithoutSlash(base), *std::move(url), std::move(options), std::move(on_request)));
}

JsonSource::JsonSource(std::string what, std::string base, http::Url url, http::ClientOptions options,
                       OnRequest on_request)
    : what_(std::move(what)),
      base_(std::move(base)),
      prefix_(WithoutSlash(url.target)),
      url_(std::move(url)),
      on_request_(std::move(on_request)),
      client_(url_.endpoint, std::move(options)) {}

StatusOr<Json> JsonSource::Get(const std::string& target, size_t most, Deadline deadline) {
  http::Request request{.method = "GET", .target = prefix_ + target, .headers = {}, .body = ""};
  request.headers.Set("Accept", "application/json");
  request.headers.Set("User-Agent", "mcpctl/" + std::string(Version()));
  const std::string at = what_ + " " + base_;
  StatusOr<std::unique_ptr<http::ResponseStream>> stream = client_.Open(request, deadline);
  if (!stream.ok()) {
    const StatusCode code = stream.status().code();
    if (code == StatusCode::kUnavailable || code == StatusCode::kDeadlineExceeded || code == StatusCode::kNotFound)
      return Unavailable(at + " can't be reached; is this machine offline? (" + Message(stream.status()) + ")");
    return Annotate(stream.status(), at);
  }
  http::Response response = (*stream)->head();
  for (;;) {
    StatusOr<std::string> piece = (*stream)->Read(deadline);
    if (!piece.ok()) return Annotate(piece.status(), at + ": the answer broke off");
    if (piece->empty()) break;
    response.body += *piece;
    if (response.body.size() > most)
      return ResourceExhausted(at + ": " + request.target + " answers more than " + std::to_string(most) + " bytes");
  }
  if (on_request_) on_request_("GET " + request.target + " -> " + std::to_string(response.status));
  const std::string answered =
      at + ": " + Printable(target, 200) + " is answered " + std::to_string(response.status) + ErrorOf(response);
  if (response.status == 404) return NotFound(answered);
  if (response.status == 429 || response.status >= 500) return Unavailable(answered + "; try again later");
  if (response.status / 100 == 3)
    return FailedPrecondition(answered + " (" +
                              Printable(response.headers.Get("Location").value_or("no location"), 200) +
                              "); give the address where it is");
  if (response.status != 200) return FailedPrecondition(answered);
  StatusOr<Json> json = ParseJson(response.body, {.bytes = most});
  if (!json.ok())
    return FailedPrecondition(at + ": the answer to " + Printable(target, 200) +
                              " is no JSON; is this the API's address?");
  return json;
}

}  // namespace mcpfleet::registry
