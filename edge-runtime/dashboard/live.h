// The sockets of open pages (docs/cloudflare-protocol.md, "Push", what people get): the head, the feed of nodes and
// servers, lines of followed servers, what servers use. While any is open the node's status and the store are looked at
// twice a second; while none is, only for the record of alerts and uptime, when somebody says that it changed.
//
// Accept, Poke, LookOut and ShowUsage may be called on any thread; everything else runs on the jobs' threads.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/http/server.h"
#include "base/json.h"
#include "crd/object.h"
#include "edge-runtime/dashboard/feed.h"
#include "edge-runtime/dashboard/followed_log.h"
#include "edge-runtime/dashboard/host.h"
#include "edge-runtime/dashboard/jobs.h"
#include "edge-runtime/dashboard/lookout.h"
#include "edge-runtime/dashboard/sessions.h"

namespace mcpfleet::dashboard {

class Live {
 public:
  // All outlive us; the jobs are stopped before we go. `tail_jobs`: for the logs that are followed, which wait for no
  // reading of stored lines.
  Live(const Host& host, const Sessions& sessions, Chronicle& chronicle, Jobs& jobs, Jobs& tail_jobs);
  // To all pages, on `jobs`.
  void Tell(const Json& message);
  // Makes a socket of a request of `who`, whose session has this cookie.
  void Accept(const std::shared_ptr<http::Responder>& to, const std::string& who, const std::string& cookie);
  // Something was changed: look now.
  void Poke();
  // This node's status may be another: for the record, whether or not a page is open.
  void LookOut();
  // To those who look at these servers. False: nobody looks at any.
  bool ShowUsage(const std::vector<std::string>& servers);
  // Other nodes that report the server, and whether they show signs of life. On `jobs`.
  std::vector<std::pair<NodeStatus, bool>> OthersOf(const ServerKey& server);

 private:
  struct Socket {
    std::shared_ptr<http::WebSocket> socket;
    std::string cookie;
    bool synced = false;  // it has the state and wants deltas
    std::string head;     // the etag of the head that it was sent
    std::optional<ServerKey> follow;
    std::optional<ServerKey> measure;  // without a name: all servers of this node
  };
  using Id = uint64_t;

  // On `jobs_`.
  void Add(Id id, std::shared_ptr<http::WebSocket> socket, const std::string& who, const std::string& cookie);
  void Remove(Id id);
  void Hear(Id id, const std::string& text);
  void Look();
  void LookAtNodes();
  void SendHead(Socket* socket);
  std::map<std::string, FeedRow> ReadNodes();
  std::vector<SeenNode> SeenNodes();
  void ReadOthers();
  bool IsFresh(const NodeStatus& status) const;
  void FollowChanged();
  // `fresh` has just begun to look.
  void MeasureChanged(std::optional<Id> fresh = std::nullopt);
  void SendUsage(const std::vector<std::string>& servers);
  void SendLines(const ServerKey& server, const std::vector<LiveLine>& lines);
  // On `tail_jobs_`.
  void SetFollowed(const std::set<ServerKey>& servers);
  void LookAtLog(const ServerKey& server, FollowedLog* log);

  const Host& host_;
  const Sessions& sessions_;
  Lookout lookout_;
  Jobs& jobs_;
  Jobs& tail_jobs_;
  std::atomic<Id> next_{1};

  std::map<Id, Socket> sockets_;
  std::atomic<bool> measuring_{false};  // any of them
  Feed feed_;
  std::string head_, head_etag_;
  MonoTime others_at_{};                            // when the other nodes' statuses were read
  std::map<std::string, std::string> others_etag_;  // their rows in the table, as they were then
  std::map<std::string, NodeStatus> others_;

  std::map<ServerKey, FollowedLog> followed_;  // on `tail_jobs_`
};

}  // namespace mcpfleet::dashboard
