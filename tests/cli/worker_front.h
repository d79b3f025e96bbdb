// What mcpctl sees of a fleet on Cloudflare: the embedded store, with as much of a Worker in front as mcpctl asks of
// one. It keeps to what docs/cloudflare-protocol.md says; tests/integration/join_test.cc holds mcpctl to the real one.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/http/server.h"
#include "base/json.h"
#include "store/join_token.h"

namespace mcpfleet::cli {

class WorkerFront {
 public:
  // `store`: the URL of what answers everything else.
  explicit WorkerFront(const std::string& store);
  ~WorkerFront();
  std::string url() const;

  // A machine redeems the join token of this id. `mac` of the wrong secret is kept too: the Worker can't tell.
  void Redeem(const std::string& id, const Presented& presented);
  void SetState(const std::string& id, const std::string& state);
  // What GET of this path (without its query) answers; items go into an array.
  void Answer(const std::string& path, Json result);
  // What a read of this key of the desired state gives instead of what the store has, `times` times (-1: from now on);
  // nullopt: what the store has.
  void Show(const std::string& key, std::optional<std::string> value, int times = -1);
  // Writes of the desired state that were passed on: "PUT head".
  std::vector<std::string> Written();
  // Requests to /v1, "PUT /v1/joins/0123"; with their bodies in the same order.
  std::vector<std::string> Asked();
  Json Body(const std::string& asked);
  std::vector<std::string> JoinIds();

 private:
  void Handle(const http::Request& request, const std::shared_ptr<http::Responder>& to);
  http::Response HandleV1(const http::Request& request);
  std::optional<std::string> Shown(const std::string& key);
  http::Response Pass(const http::Request& request) const;

  const std::string store_;
  std::mutex mu_;
  std::map<std::string, Json> joins_, answers_;
  struct Showing {
    std::string value;
    int times = -1;
  };
  std::map<std::string, Showing> shown_;
  std::vector<std::string> written_;
  std::vector<std::pair<std::string, Json>> asked_;
  std::unique_ptr<http::Server> server_;  // last: its threads use the rest
};

}  // namespace mcpfleet::cli
