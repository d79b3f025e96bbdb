// The read side of the MCP registry's API (v0.1, and v0 where a registry has only that): GET /servers with search and
// cursor, GET /servers/{name}/versions/{version}. Not thread-safe.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "base/json.h"
#include "base/status.h"
#include "cli/registry/json_source.h"

namespace mcpfleet::registry {

inline constexpr char kOfficial[] = "https://registry.modelcontextprotocol.io";

// An entry: the server.json and what the registry says of it.
struct Entry {
  Json server;
  std::string status;          // "active", "deprecated", "deleted", "" when it isn't said
  std::string status_message;  // why
  bool latest = false;
};

struct Found {
  std::vector<Entry> entries;
  bool more = false;  // there are further ones
};

class RegistryClient {
 public:
  // `url`: the registry, or its API (ending in /v0 or /v0.1).
  static StatusOr<std::unique_ptr<RegistryClient>> Create(const std::string& url, OnRequest on_request);

  // The newest version of each server whose name contains `text` ("" for all), at most `limit` (1 to 1000), in the
  // registry's order; page after page.
  StatusOr<Found> Search(const std::string& text, size_t limit, Deadline deadline);
  // NotFound says whether it is the server or the version that is not there.
  StatusOr<Entry> Show(const std::string& name, const std::string& version, Deadline deadline);

 private:
  explicit RegistryClient(std::unique_ptr<JsonSource> source);
  // GET below the API's version, which is found out with the first request.
  StatusOr<Json> Get(const std::string& target, Deadline deadline);

  std::unique_ptr<JsonSource> source_;
  std::string api_;    // "/v0.1", "/v0", or "" when the URL has it
  bool sure_ = false;  // it has answered
};

}  // namespace mcpfleet::registry
