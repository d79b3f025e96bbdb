// One server's place on the gateway: /<namespace>/<name>/mcp, for clients of both eras, and /sse with /messages for
// those of the transport of revision 2024-11-05. Decides who may ask and what, keeps the sessions, and finds for each
// request the instance that serves it.
//
// On the gateway's loop only.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/http/message.h"
#include "controller/ports/gateway_metrics.h"
#include "controller/ports/gateway_servers.h"
#include "edge-runtime/gateway/authenticator.h"
#include "edge-runtime/gateway/direct_conversation.h"
#include "edge-runtime/gateway/kept_sessions.h"
#include "edge-runtime/gateway/legacy_session.h"
#include "edge-runtime/gateway/modern_server.h"
#include "edge-runtime/gateway/post_rules.h"
#include "edge-runtime/gateway/rate_limiter.h"
#include "edge-runtime/gateway/request_log.h"
#include "edge-runtime/gateway/server_group.h"
#include "edge-runtime/gateway/tool_filter.h"
#include "edge-runtime/mcp/modern_headers.h"

namespace mcpfleet::gateway {

struct EndpointSettings {
  size_t max_sessions = 256;
  size_t max_batch = 100;
  bool log_arguments = false;  // of tool calls, their first 4 KiB
  SessionSettings session;
  ModernSettings modern;
  Duration wake_timeout = std::chrono::seconds(60);  // how long a request waits for a server that is being started
  std::vector<std::string> urls;                     // of this endpoint at first, see SetUrls
};

// What a client speaks with, told by the last part of the path.
enum class Face {
  kMcp,       // Streamable HTTP
  kSse,       // HTTP+SSE: the stream
  kMessages,  // HTTP+SSE: what its client says
};
std::optional<Face> FaceOf(std::string_view word);

class Endpoint {
 public:
  struct Wiring {
    Loop& loop;
    const Clock& clock;
    Children& children;
    std::function<StatusOr<std::shared_ptr<HttpUpstream>>(const ClientTarget&)> http_upstream;
    JwksCache& keys;
    GatewayMetrics& metrics;
    // What becomes of each request, once it is over.
    std::function<void(const LoggedRequest&)> log;
    // A client asked; the server may sleep.
    std::function<void(const ServerKey&)> used;
    std::function<WallTime()> trusted_time = nullptr;  // for expiry of tokens; null: the clock's
    KeptSessions* kept = nullptr;                      // null: sessions without a child end with mcplet
  };

  Endpoint(Wiring wiring, EndpointSettings settings, ClientTarget target);
  ~Endpoint();

  // Of this endpoint, as clients may write them; before the SetTarget that goes with it.
  void SetUrls(std::vector<std::string> urls);
  void SetTarget(ClientTarget target);
  // A request of a client that passed the checks of Host and Origin. `cors`: the origin whose page may read the answer,
  // "".
  void Handle(Face face, http::Request request, std::shared_ptr<http::Responder> to, const std::string& cors);
  bool ready() const { return target_.ready; }
  const ClientTarget& target() const { return target_; }
  // RFC 9728, of /mcp or /sse; nullopt when there is none.
  std::optional<std::string> Metadata(Face face) const;

  void OnChildrenChanged(const std::string& instance);
  void Tick(MonoTime now);
  // Sessions and calls under way, by instance.
  std::map<std::string, int> Conversations() const;
  bool HasWork() const;
  // The server is gone from this node: everything ends.
  void Close();
  // mcplet ends: sessions that the next one can go on with are left alone.
  void Release();

 private:
  struct Ask {
    Face face = Face::kMcp;
    http::Request request;  // without its body once that was parsed
    Subject subject;
    std::unique_ptr<Answer> answer;
    std::shared_ptr<LoggedRequest> log;      // shared with the answer's end
    std::shared_ptr<void> admitted;          // shared by what the request set going: a place of rateLimit.maxConcurrent
    std::shared_ptr<LegacySession> session;  // kMessages: whose stream has the answers; shared with `sessions_`
    bool left = false;                       // its client has gone
    std::vector<std::string> refused;        // of a batch: the answers to what may not reach the server
  };
  struct SessionEntry {
    std::shared_ptr<LegacySession> session;
    ServerGroup* group = nullptr;
  };
  // What logs call the subject of the last request: one asks many times.
  struct Known {
    Subject subject;
    std::string hash;
  };
  struct Sleeper {
    std::function<void()> go;
    std::function<void(const std::string& why)> fail;
    MonoTime until{};
  };

  void Serve(Ask ask);
  void OnPost(Ask ask);
  void OnBatch(Ask ask);
  void OnGet(Ask ask);
  void OnDelete(Ask ask);
  void OnSse(Ask ask);
  void OnMessage(Ask ask, Incoming message);
  void OnLegacy(Ask ask, std::vector<Incoming> messages);
  void OnModern(Ask ask, Incoming message);
  void BeginSession(Ask ask, Incoming message);
  // message: "initialize", or null for a session of HTTP+SSE.
  void OpenSession(const std::shared_ptr<Ask>& ask, const std::shared_ptr<Incoming>& message);
  std::shared_ptr<LegacySession> AddSession(const std::string& id, const std::string& subject, ServerGroup* group);
  std::unique_ptr<Conversation> DirectSide(ServerGroup* group, const std::string& id, std::unique_ptr<Link> link,
                                           SessionNote note, std::string doubtful_line);
  void Adopt(ServerGroup* group);
  void AdoptKept(ServerGroup* group);
  // `side` of a session that has no child of its own.
  std::unique_ptr<Conversation> Kept(std::unique_ptr<Conversation> side, SessionNote note);
  // The session gets its server's side, and goes with it.
  void Connect(LegacySession& session, std::unique_ptr<Conversation> side);
  void Reconnect(ServerGroup* group, const std::shared_ptr<LegacySession>& session, SessionNote note);
  // The session that the request names and its subject owns; else answers and returns null.
  std::shared_ptr<LegacySession> FindSession(Ask& ask);
  void RemoveSession(const std::string& id);
  void DropSession(const std::string& id);  // at once
  // Where the client of an HTTP+SSE stream POSTs.
  std::string MessagesUri(const http::Request& request, const std::string& id) const;
  bool EvictSession(const ServerGroup* group, MonoTime other);
  // Whether another session may begin, with the help of one that nobody uses if need be.
  bool MakeRoom();

  // Whether a request may go on; else it was answered.
  bool Admit(Ask& ask, const Incoming& message);
  // By the rate limit alone. Several of a batch are held together.
  bool AdmitNow(Ask& ask, std::string_view id);
  void Hold(Ask& ask);
  // For tools/call: notes the tool, and says why it may not be called; "" when it may.
  std::string ToolRefusal(Ask& ask, const Incoming& message);
  bool CheckToolHeaders(Ask& ask, const Incoming& message);
  void Refuse(Ask& ask, const Rejection& rejection);
  void RefuseMethod(Ask& ask, std::string_view allowed);
  void RefuseFull(Ask& ask, std::string_view id, const Status& why);
  // `waits`: also for a server that is only being restarted.
  void WhenReady(bool waits, std::function<void()> go, std::function<void(const std::string& why)> fail);
  // Whether the request's session may only not be known yet, because the server is not ready: then `again` comes later.
  bool AwaitSession(Ask* ask, const std::function<void(Endpoint& self, Ask ask)>& again);
  // Of what the server lists and answers, by the instance that said it.
  ServerGroup::Inspect InspectorOf(const std::string& instance);
  void Inspect(const std::string& instance, std::string_view method, Incoming* answer);
  std::string InstanceFor(const Ask& ask, const Incoming& message) const;
  ServerGroup* CurrentGroup();
  void ApplyPolicies(bool fresh);
  std::unique_ptr<Authenticator> MakeAuthenticator(Face face) const;
  void CountSessions();
  Incoming WithTrace(const http::Request& request, Incoming message) const;

  const Self<Endpoint> self_{this};
  const Wiring w_;
  const EndpointSettings settings_;
  std::vector<std::string> urls_;
  ClientTarget target_;
  std::unique_ptr<Authenticator> authenticator_, sse_authenticator_;  // they differ in what refusals point to
  std::unique_ptr<RateLimiter> limiter_;
  std::unique_ptr<ToolFilter> filter_;
  AuthSpec auth_;
  ToolsSpec tools_;
  RateLimitSpec rate_limit_;
  mcp::ToolHeaders tool_headers_;
  Tenants tenants_;
  std::vector<std::unique_ptr<ServerGroup>> groups_;  // the last one is current
  std::map<std::string, SessionEntry, std::less<>> sessions_;
  std::deque<Sleeper> sleepers_;
  Known known_;
  bool closed_ = false;
};

// A known MCP method, or "other": what may be a metric's label.
std::string_view MethodLabel(std::string_view method);

}  // namespace mcpfleet::gateway
