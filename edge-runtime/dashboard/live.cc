#include "edge-runtime/dashboard/live.h"

#include <algorithm>
#include <utility>

#include <nlohmann/json.hpp>

#include "base/digest.h"
#include "base/log.h"
#include "crd/codec.h"
#include "edge-runtime/dashboard/rows.h"
#include "store/snapshot.h"

namespace mcpfleet::dashboard {
namespace {

constexpr Duration kLook = std::chrono::milliseconds(500);
constexpr Duration kOthers = std::chrono::seconds(3);
constexpr Duration kTails = std::chrono::seconds(1);
constexpr Duration kRead = std::chrono::seconds(5);
// As mcpctl: two of a node's refreshes, and some.
constexpr Duration kStale = std::chrono::minutes(35);
constexpr size_t kSockets = 64;
constexpr size_t kNodes = 1000;
constexpr size_t kTextBytes = 4096;
constexpr size_t kLines = 1000;  // in one message
constexpr int kPolicy = 1008;
constexpr int kTryLater = 1013;
constexpr int kPingSeconds = 30;
constexpr char kProtocol[] = "mcpfleet.v1";
constexpr char kNodePrefix[] = "nodes/";

}  // namespace

Live::Live(const Host& host, const Sessions& sessions, Chronicle& chronicle, Jobs& jobs, Jobs& tail_jobs)
    : host_(host),
      sessions_(sessions),
      lookout_(chronicle, host.boot),
      jobs_(jobs),
      tail_jobs_(tail_jobs),
      feed_(RandomHex(4)) {}

void Live::Accept(const std::shared_ptr<http::Responder>& to, const std::string& who, const std::string& cookie) {
  const Id id = next_++;
  std::shared_ptr<http::WebSocket> socket = to->AcceptWebSocket({
      .on_text =
          [this, id](std::string_view text) {
            jobs_.Post([this, id, text = std::string(text.substr(0, kTextBytes))] { Hear(id, text); });
          },
      .on_close = [this, id] { jobs_.Post([this, id] { Remove(id); }); },
      .protocol = kProtocol,
  });
  // Whatever it says or closes comes from the loop later than this.
  if (socket != nullptr) jobs_.Post([this, id, socket, who, cookie] { Add(id, socket, who, cookie); });
}

void Live::Poke() {
  jobs_.Post([this] {
    if (!sockets_.empty()) Look();
  });
}

void Live::LookOut() {
  jobs_.Post([this] {
    for (const Notice& notice : lookout_.Look(SeenNodes(), host_.clock.Wall())) {
      const Alert& alert = notice.alert;
      Tell({{"type", "alert"},
            {"state", notice.state},
            {"key", alert.key},
            {"kind", alert.kind},
            {"subject", alert.subject},
            {"message", alert.message},
            {"severity", alert.critical ? "critical" : "warning"},
            {"at", notice.at}});
    }
  });
}

void Live::Tell(const Json& message) {
  const std::string text = DumpJson(message);
  for (const auto& [id, socket] : sockets_) {
    if (socket.synced) socket.socket->SendText(text);
  }
}

void Live::Add(Id id, std::shared_ptr<http::WebSocket> socket, const std::string& who, const std::string& cookie) {
  if (sockets_.size() >= kSockets) return socket->Close(kTryLater);
  const Json down = {{"sequence", 0}, {"nodes", Json::array()}, {"frozen", false}};
  const Json hello = {{"type", "hello"}, {"name", who}, {"down", down}, {"hints", {{"pingSeconds", kPingSeconds}}}};
  socket->SendText(DumpJson(hello));
  sockets_[id] = {.socket = std::move(socket), .cookie = cookie};
  Look();
  jobs_.SetTick([this] { Look(); }, kLook);
}

void Live::Remove(Id id) {
  const auto found = sockets_.find(id);
  if (found == sockets_.end()) return;
  const bool measured = found->second.measure.has_value();
  sockets_.erase(found);
  FollowChanged();
  if (measured) MeasureChanged();
  if (sockets_.empty()) jobs_.SetTick(nullptr);
}

void Live::Hear(Id id, const std::string& text) {
  const auto found = sockets_.find(id);
  if (found == sockets_.end()) return;
  Socket& socket = found->second;
  if (text == "ping") {
    socket.socket->SendText("pong");
    return;
  }
  const StatusOr<Json> message = ParseJson(text, {.bytes = kTextBytes});
  const std::string type = message.ok() ? GetString(*message, "type") : "";
  if (type == "sync") {
    LookAtNodes();
    for (const Json& part : feed_.State(GetString(*message, "since"))) socket.socket->SendText(DumpJson(part));
    socket.synced = true;
  } else if (type == "follow") {
    socket.follow = ServerKey{GetString(*message, "namespace"), GetString(*message, "server")};
    FollowChanged();
  } else if (type == "unfollow") {
    socket.follow.reset();
    FollowChanged();
  } else if (type == "measure") {
    // Of the others that follow this store nothing is known.
    const std::string node = GetString(*message, "node");
    socket.measure.reset();
    if (node.empty() || node == host_.status().node)
      socket.measure = ServerKey{GetString(*message, "namespace"), GetString(*message, "server")};
    MeasureChanged(id);
  } else if (type == "unmeasure") {
    socket.measure.reset();
    MeasureChanged();
  }
}

void Live::Look() {
  std::vector<Id> over;
  for (const auto& [id, socket] : sockets_) {
    if (!sessions_.Find(socket.cookie)) over.push_back(id);
  }
  for (const Id id : over) {
    sockets_.at(id).socket->Close(kPolicy);
    Remove(id);
  }
  const StatusOr<KvRead> head = host_.desired.GetUnless(kHeadKey, head_etag_, Deadline::After(kRead));
  if (head.ok() && !head->not_modified) {
    head_ = head->value ? head->value->value : "";
    head_etag_ = head->value ? head->value->etag : "";
  }
  for (auto& [id, socket] : sockets_) SendHead(&socket);
  LookAtNodes();
}

void Live::SendHead(Socket* socket) {
  if (head_.empty() || socket->head == head_etag_) return;
  socket->socket->SendText(head_);
  socket->head = head_etag_;
}

void Live::LookAtNodes() {
  for (const Json& delta : feed_.Update(ReadNodes())) Tell(delta);
}

std::map<std::string, FeedRow> Live::ReadNodes() {
  std::map<std::string, FeedRow> rows;
  for (const auto& [status, here] : SeenNodes()) {
    FeedRow& row = rows[status.node];
    row = {NodeOf(status, here), {}};
    for (const ServerStatus& server : status.servers) row.servers.push_back(SummaryOf(server));
  }
  return rows;
}

std::vector<SeenNode> Live::SeenNodes() {
  ReadOthers();
  std::vector<SeenNode> nodes;
  nodes.reserve(others_.size() + 1);
  for (const auto& [name, status] : others_) nodes.push_back({status, IsFresh(status)});
  nodes.push_back({host_.status(), true});
  nodes.back().status.heartbeat = host_.clock.Wall();
  return nodes;
}

// Other nodes may follow this node's store: what they wrote into it.
void Live::ReadOthers() {
  if (others_at_ != MonoTime{} && host_.clock.Now() - others_at_ < kOthers) return;
  others_at_ = host_.clock.Now();
  const Deadline deadline = Deadline::After(kRead);
  const StatusOr<std::vector<KvKey>> keys = ListAll(host_.statuses, kNodePrefix, kNodes, deadline);
  if (!keys.ok()) return;  // what was known stays
  const std::string own = kNodePrefix + host_.status().node;
  std::map<std::string, std::string> rows;
  std::vector<std::string> changed;
  for (const KvKey& key : *keys) {
    if (key.name == own) continue;
    rows[key.name] = key.metadata;
    const auto before = others_etag_.find(key.name);
    if (before == others_etag_.end() || before->second != key.metadata || key.metadata.empty())
      changed.push_back(key.name);
  }
  const auto values = BulkGetAll(host_.statuses, changed, deadline);
  if (!values.ok()) return;
  others_etag_ = std::move(rows);
  std::erase_if(others_, [&](const auto& each) { return !others_etag_.contains(kNodePrefix + each.first); });
  for (const auto& [key, text] : *values) {
    const StatusOr<Json> json = ParseJson(text);
    StatusOr<NodeStatus> status = json.ok() ? NodeStatusFromJson(*json) : StatusOr<NodeStatus>(json.status());
    if (!status.ok() || kNodePrefix + status->node != key) {
      LOG_DEBUG("a node's status can't be read", {{"key", key}});
      continue;
    }
    const std::string node = status->node;
    others_[node] = *std::move(status);
  }
}

bool Live::IsFresh(const NodeStatus& status) const { return host_.clock.Wall() - status.heartbeat <= kStale; }

std::vector<std::pair<NodeStatus, bool>> Live::OthersOf(const ServerKey& server) {
  ReadOthers();
  std::vector<std::pair<NodeStatus, bool>> found;
  for (const auto& [name, node] : others_) {
    for (const ServerStatus& status : node.servers) {
      if (status.key == server) found.emplace_back(node, IsFresh(node));
    }
  }
  return found;
}

void Live::FollowChanged() {
  std::set<ServerKey> followed;
  for (const auto& [id, socket] : sockets_) {
    if (socket.follow) followed.insert(*socket.follow);
  }
  tail_jobs_.Post([this, followed] { SetFollowed(followed); });
}

void Live::MeasureChanged(std::optional<Id> fresh) {
  if (!host_.measure) return;
  std::map<ServerKey, bool> measured;  // and whether its history is wanted
  for (const auto& [id, socket] : sockets_) {
    if (socket.measure) measured[*socket.measure] |= id == fresh;
  }
  measuring_ = !measured.empty();
  std::vector<MeasuredServer> list;
  list.reserve(measured.size());
  for (const auto& [server, history] : measured) list.push_back({server.namespace_, server.name, history});
  host_.measure(std::move(list));
}

bool Live::ShowUsage(const std::vector<std::string>& servers) {
  return measuring_ && jobs_.Post([this, servers] { SendUsage(servers); });
}

// As the Worker does: of one server all that there is, of a node the last sample of each.
void Live::SendUsage(const std::vector<std::string>& servers) {
  std::map<ServerKey, Json> usage;
  for (const std::string& text : servers) {
    StatusOr<Json> json = ParseJson(text);
    if (!json.ok()) continue;
    const ServerKey server{GetString(*json, "namespace"), GetString(*json, "server")};
    usage[server] = *std::move(json);
  }
  for (const auto& [id, socket] : sockets_) {
    if (!socket.measure) continue;
    Json part = Json::array();
    if (!socket.measure->name.empty()) {
      if (const auto found = usage.find(*socket.measure); found != usage.end()) part.push_back(found->second);
    } else {
      for (const auto& [server, all] : usage) {
        Json last = Json::array();
        if (const Json& samples = GetMember(all, "samples"); !samples.empty()) last.push_back(samples.back());
        part.push_back({{"namespace", server.namespace_}, {"server", server.name}, {"samples", last}});
      }
    }
    if (part.empty()) continue;
    socket.socket->SendText(DumpJson({{"type", "usage"}, {"node", host_.status().node}, {"servers", part}}));
  }
}

void Live::SetFollowed(const std::set<ServerKey>& servers) {
  std::erase_if(followed_, [&](const auto& each) { return !servers.contains(each.first); });
  for (const ServerKey& server : servers) {
    // A moment back: the page has read what was before, and leaves out what it has.
    const auto [log, fresh] = followed_.try_emplace(server, host_, server, host_.clock.Wall() - kTails);
    if (fresh) LookAtLog(server, &log->second);
  }
  if (followed_.empty()) return tail_jobs_.SetTick(nullptr);
  const auto look = [this] {
    for (auto& [server, log] : followed_) LookAtLog(server, &log);
  };
  tail_jobs_.SetTick(look, kTails);
}

void Live::LookAtLog(const ServerKey& server, FollowedLog* log) {
  std::vector<LiveLine> lines = log->Look(Deadline::After(kRead));
  if (lines.empty()) return;
  const int64_t count = static_cast<int64_t>(lines.size());
  if (!jobs_.Post([this, server, lines = std::move(lines)] { SendLines(server, lines); })) log->NotShown(count);
}

void Live::SendLines(const ServerKey& server, const std::vector<LiveLine>& lines) {
  for (size_t at = 0; at < lines.size(); at += kLines) {
    Json part = Json::array();
    for (size_t i = at; i < std::min(lines.size(), at + kLines); ++i)
      part.push_back({{"time", lines[i].time}, {"text", lines[i].text}, {"stream", "stderr"}});
    const std::string text = DumpJson({{"type", "log"},
                                       {"node", host_.status().node},
                                       {"namespace", server.namespace_},
                                       {"server", server.name},
                                       {"lines", std::move(part)}});
    for (const auto& [id, socket] : sockets_) {
      if (socket.follow == server) socket.socket->SendText(text);
    }
  }
}

}  // namespace mcpfleet::dashboard
