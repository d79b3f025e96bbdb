// The dashboard of a node with the embedded store: the Worker's page and the routes that it uses, on the admin
// listener.
//
//   Dashboard dashboard({…});
//   if (dashboard.Owns(request)) dashboard.Handle(request, to);   // on the listener's loop
//
// Before the first request it only keeps the record of alerts and uptime, with one thread that mostly sleeps; the
// page's files stay in the program's file. What the Worker has and a node can't (enrolment) is not there; GET
// /v1/session says so, and the page leaves it out.
//
// Every request must name loopback as its Host, changes and sockets must come from our own page (Origin), and all but
// the page's files needs a session, which begins with a login token that is good once.
//
// Owns and Handle: the listener's loop. The others: any thread.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/http/server.h"
#include "base/json.h"
#include "edge-runtime/dashboard/audit.h"
#include "edge-runtime/dashboard/chronicle.h"
#include "edge-runtime/dashboard/host.h"
#include "edge-runtime/dashboard/jobs.h"
#include "edge-runtime/dashboard/live.h"
#include "edge-runtime/dashboard/mcp_route.h"
#include "edge-runtime/dashboard/sessions.h"

namespace mcpfleet::dashboard {

class Dashboard {
 public:
  explicit Dashboard(Host host);
  ~Dashboard();  // after the listener
  // Before the first request, and before `listener` is destroyed.
  void Open(http::Server& listener);
  void Close(http::Server& listener);
  // Whether the request is for the dashboard. Those with an Authorization are the admin API's.
  bool Owns(const http::Request& request) const;
  void Handle(const http::Request& request, const std::shared_ptr<http::Responder>& to);
  // {"url", "page"}: with which address `who` signs in, once and soon, and whether there is a page. `host`: the Host of
  // a request by TCP, which may have come through another port; "": the listener's.
  Json NewLogin(const std::string& who, std::string_view host = "");
  // What servers use, one object each as the Worker gets it (docs/cloudflare-protocol.md, `usage`), to those who look.
  // False: nobody does.
  bool ShowUsage(const std::vector<std::string>& servers) { return live_.ShowUsage(servers); }
  // This node's status may be another: whoever is up or not since now is written down. Not before every server was
  // looked at once.
  void LookOut() { live_.LookOut(); }
  // Whether the holder of this store token may have such an address.
  bool IsOperator(std::string_view store_token) const { return host_.is_operator(store_token); }

 private:
  struct Ask;  // a request of somebody who is signed in
  using Answer = std::function<http::Response()>;

  http::Response Session(const http::Request& request);
  void HandleSignedIn(const http::Request& request, const std::shared_ptr<http::Responder>& to);
  // What the request asks for, to be done by a job; null: there is no such thing.
  Answer FindAnswer(const Ask& ask);
  Answer FindRead(const Ask& ask);
  Answer FindChange(const Ask& ask);
  // A change, written down once it is done.
  http::Response Done(const Ask& ask, const std::string& what, const std::string& subject,
                      const StatusOr<Json>& result);
  http::Response Uptimes(const http::Request& request);
  http::Response Acknowledge(const Ask& ask);
  http::Response Lines(const http::Request& request);
  http::Response ServerDetail(const ServerKey& server);
  Json Features() const;

  const Host host_;
  uint16_t port_ = 0;
  std::string cookie_;  // its name
  Sessions sessions_;
  Audit audit_;          // the jobs' thread
  Chronicle chronicle_;  // the jobs' thread
  Jobs jobs_, log_jobs_, tail_jobs_;
  Live live_;
  McpRoute mcp_;
};

}  // namespace mcpfleet::dashboard
