// A web API that answers GETs in JSON: the MCP registry, npm's, PyPI's. Bounded in time and size; no redirects, no
// cookies, no tokens. Through the proxy of HTTPS_PROXY where that is set.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include <nlohmann/json_fwd.hpp>

#include "base/clock.h"
#include "base/http/client.h"
#include "base/http/url.h"
#include "base/json.h"
#include "base/status.h"

namespace mcpfleet::registry {

using OnRequest = std::function<void(const std::string& line)>;  // "GET /v0.1/servers -> 200"

class JsonSource {
 public:
  // `what` names it in errors ("registry"); `base` is a URL, its path goes in front of each target. https, or http to
  // this machine: what comes back is run. InvalidArgument else.
  static StatusOr<std::unique_ptr<JsonSource>> Create(const std::string& what, const std::string& base,
                                                      OnRequest on_request);

  // The body of a 200. NotFound for 404; Unavailable when it can't be reached, which says so, and for 429 and 5xx;
  // FailedPrecondition for other answers and for what is no JSON; ResourceExhausted for more than `most` bytes.
  StatusOr<Json> Get(const std::string& target, size_t most, Deadline deadline);

  const std::string& base() const { return base_; }

 private:
  JsonSource(std::string what, std::string base, http::Url url, http::ClientOptions options, OnRequest on_request);
  const std::string what_, base_, prefix_;
  const http::Url url_;
  const OnRequest on_request_;
  http::Client client_;
};

}  // namespace mcpfleet::registry
