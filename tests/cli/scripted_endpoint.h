// An MCP endpoint as a node's gateway is one: both eras on one URL, with a small server behind it. What it saw is kept,
// and a test may answer anything itself.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/http/server.h"
#include "edge-runtime/mcp/jsonrpc.h"

namespace mcpfleet::cli {

class ScriptedEndpoint {
 public:
  // A request as it came. `message` only for POSTs.
  struct Seen {
    http::Request http;
    mcp::Message message;
    std::string Header(const std::string& name) const { return http.headers.Get(name).value_or(""); }
  };
  using Handler = std::function<bool(const Seen&, const std::shared_ptr<http::Responder>&)>;

  // `hook` sees each request first; true: it has answered or will.
  explicit ScriptedEndpoint(Handler hook = {});
  ~ScriptedEndpoint();

  std::string url() const { return "http://127.0.0.1:" + std::to_string(server_->port()) + "/default/web/mcp"; }
  std::string admin_url() const { return "http://127.0.0.1:" + std::to_string(server_->port()); }
  // Stops answering: connections are refused from now on.
  void Shut() { server_.reset(); }
  // Methods (of a GET or DELETE that word), in order of arrival.
  std::vector<std::string> Methods();
  int Count(const std::string& method);
  // The first request with this method that there is or comes; fails the test after 20 s.
  Seen Await(const std::string& method, int nth = 1);
  // Until a session's own stream is open.
  void AwaitStream();
  // Everything that came with that method.
  std::vector<Seen> All(const std::string& method);

  std::atomic<bool> modern{true}, legacy{true};
  std::string token;              // wanted as Bearer, "" for none
  std::atomic<int> sessions{0};   // opened; the newest alone is alive: "s1", "s2", …
  std::atomic<bool> lost{false};  // the newest is forgotten
  std::string status;             // what GET /v1/status answers; set before any request

  static void Send(const std::shared_ptr<http::Responder>& to, int status, const std::string& json);
  static void Result(const std::shared_ptr<http::Responder>& to, const Seen& seen, const Json& result);
  // Head of an event stream.
  static std::shared_ptr<http::StreamWriter> Stream(const std::shared_ptr<http::Responder>& to);

 private:
  void Handle(const http::Request& request, const std::shared_ptr<http::Responder>& to);
  void HandleModern(const Seen& seen, const std::shared_ptr<http::Responder>& to);
  void HandleLegacy(const Seen& seen, const std::shared_ptr<http::Responder>& to);
  static Json Answer(const mcp::Message& message);

  const Handler hook_;
  std::mutex mu_;
  std::condition_variable came_;
  std::vector<Seen> seen_;
  std::vector<std::shared_ptr<http::StreamWriter>> streams_;  // of GETs: open as long as the endpoint
  std::unique_ptr<http::Server> server_;                      // last: its threads use the rest
};

}  // namespace mcpfleet::cli
