// An MCP registry on loopback, written from its OpenAPI (2025-12-01): lists with search, version, limit and opaque
// cursors, one version of a server, all of them, and its errors. It refuses what the real one refuses. It also answers
// for npm (/<package>/<tag>) and PyPI (/pypi/<name>/json).
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/http/server.h"
#include "base/json.h"

namespace mcpfleet::cli {

class FakeRegistry {
 public:
  FakeRegistry();
  ~FakeRegistry();
  std::string url() const { return "http://127.0.0.1:" + std::to_string(server_->port()); }
  void Shut() { server_.reset(); }

  // Versions of one server are added from the oldest to the newest.
  void Add(const std::string& server_json, const std::string& status = "active", const std::string& message = "");
  void AddPackage(const std::string& npm, const std::string& tag, const std::string& version);
  void AddProject(const std::string& pypi, const std::string& version);
  // What is asked for, as it came: "/v0.1/servers?limit=…".
  std::vector<std::string> Asked();

  // Set before any request.
  std::string api = "/v0.1";  // or "/v0"
  size_t page = 2;            // the most entries at once
  int fail = 0;               // a status that everything is answered with
  std::string body;           // with `fail` 200: the body of everything
  bool circle = false;        // the cursor leads back to the first page
  std::string location;       // of redirects

 private:
  struct Version {
    std::string json, status, message;
  };
  void Handle(const http::Request& request, const std::shared_ptr<http::Responder>& to);
  http::Response Answer(const http::Request& request);
  http::Response List(const http::Request& request);
  http::Response Show(const std::string& name, const std::string& version);
  std::string Envelope(const Version& version, bool latest);

  std::mutex mu_;
  std::map<std::string, std::vector<Version>> servers_;
  std::map<std::string, std::string> packages_;  // "/name/tag" or "/pypi/name/json" -> body
  std::vector<std::string> asked_;
  std::unique_ptr<http::Server> server_;  // last: its threads use the rest
};

}  // namespace mcpfleet::cli
