#include "edge-runtime/dashboard/dashboard.h"

#include <charconv>
#include <future>
#include <set>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/digest.h"
#include "base/strings.h"
#include "crd/codec.h"
#include "edge-runtime/dashboard/changes.h"
#include "edge-runtime/dashboard/envelope.h"
#include "edge-runtime/dashboard/guard.h"
#include "edge-runtime/dashboard/lines.h"
#include "edge-runtime/dashboard/page.h"
#include "edge-runtime/dashboard/reads.h"

namespace mcpfleet::dashboard {
namespace {

constexpr Duration kRead = std::chrono::seconds(20);
constexpr Duration kChange = std::chrono::seconds(30);
constexpr Duration kUptimeShown = std::chrono::hours(24 * 30);
constexpr size_t kMostBars = 200;
constexpr size_t kSubjectBytes = 256;
constexpr size_t kKeyBytes = 512;
constexpr size_t kBodyBytes = size_t{4} << 20;

using Parts = std::vector<std::string>;

Parts PartsOf(std::string_view path) {
  Parts parts;
  for (const std::string& raw : Split(path, '/')) {
    std::string part;
    if (raw.empty()) continue;
    if (!PercentDecode(raw, &part)) return {};
    parts.push_back(std::move(part));
  }
  return parts;
}

bool IsPagePath(std::string_view path) { return path == "/" || path == "/-" || path.starts_with("/-/"); }

size_t NumberIn(const http::Request& request, std::string_view name, size_t least, size_t most, size_t otherwise) {
  const std::string text = request.Query(name).value_or("");
  size_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) return otherwise;
  return std::clamp(value, least, most);
}

http::Response ReplyTo(const StatusOr<Json>& result) { return result.ok() ? Reply(*result) : Refuse(result.status()); }

StatusOr<Json> BodyOf(const http::Request& request) {
  if (request.body.size() > kBodyBytes) return ResourceExhausted("the body is larger than 4 MiB");
  StatusOr<Json> body = ParseJson(request.body, {.bytes = kBodyBytes});
  return body.ok() ? body : Annotate(body.status(), "the body");
}

void Send(const std::shared_ptr<http::Responder>& to, http::Response response) {
  AddSecurityHeaders(&response);
  to->Send(std::move(response));
}

}  // namespace

struct Dashboard::Ask {
  http::Request request;
  Parts parts;  // of the path, behind "v1"
  std::string who;
  bool Is(std::string_view method, std::initializer_list<std::string_view> names) const {
    return request.method == method && std::equal(parts.begin(), parts.end(), names.begin(), names.end());
  }
};

Dashboard::Dashboard(Host host)
    : host_(std::move(host)),
      sessions_(host_.clock),
      audit_(host_.audit_file),
      chronicle_(host_.record_file),
      live_(host_, sessions_, chronicle_, jobs_, tail_jobs_),
      mcp_(host_.gateway) {}

Dashboard::~Dashboard() {
  jobs_.Stop();
  log_jobs_.Stop();
  tail_jobs_.Stop();
}

void Dashboard::Open(http::Server& listener) {
  port_ = listener.port();
  cookie_ = CookieName(port_);
  mcp_.Open(listener.context());
}

void Dashboard::Close(http::Server& listener) {
  std::promise<void> closed;
  listener.Post([&] {
    mcp_.Close();
    closed.set_value();
  });
  closed.get_future().wait();
}

bool Dashboard::Owns(const http::Request& request) const {
  const std::string_view path = request.Path();
  if (IsPagePath(path) || IsMcpPath(path)) return true;
  const Parts parts = PartsOf(path);
  if (parts.size() < 2 || parts[0] != "v1") return false;
  if (parts[1] == "session") return true;
  if (request.headers.Has("Authorization")) return false;
  // Both have these; who comes with the page's cookie means the page's.
  if (parts[1] == "servers") return !CookieOf(request, cookie_).empty();
  static const std::set<std::string> kOwn{"whoami", "watch", "desired", "validate", "changes", "rollback",
                                          "audit",  "logs",  "nodes",   "alerts",   "uptime"};
  return kOwn.contains(parts[1]);
}

Json Dashboard::NewLogin(const std::string& who, std::string_view host) {
  const size_t colon = host.rfind(':');
  const std::string_view digits = colon == std::string_view::npos ? "" : host.substr(colon + 1);
  const bool numbered = !digits.empty() && digits.find_first_not_of("0123456789") == std::string_view::npos;
  const std::string port = numbered ? std::string(digits.substr(0, 5)) : std::to_string(port_);
  return {{"url", "http://" + std::string(kSiteName) + ":" + port + "/-/#" + sessions_.NewLogin(who)},
          {"page", HasPage()}};
}

Json Dashboard::Features() const {
  Json features = {"alerts", "uptime", "logs"};
  if (host_.gateway()) features.push_back("tools");
  if (host_.measure) features.push_back("usage");
  return features;
}

void Dashboard::Handle(const http::Request& request, const std::shared_ptr<http::Responder>& to) {
  if (const Status ours = CheckPage(request); !ours.ok()) return Send(to, Refuse(ours));
  const std::string_view path = request.Path();
  if (IsPagePath(path)) {
    if (request.method != "GET" && request.method != "HEAD") return Send(to, Refuse(405, "method: allowed is GET"));
    if (path != "/") return Send(to, ServePage(path, request.headers.Get("Host").value_or("")));
    http::Response there{.status = 302};
    there.headers.Set("Location", "/-/");
    return Send(to, std::move(there));
  }
  if (path == "/v1/session") return Send(to, Session(request));
  HandleSignedIn(request, to);
}

http::Response Dashboard::Session(const http::Request& request) {
  const std::string cookie = CookieOf(request, cookie_);
  if (request.method == "GET") return Reply({{"host", "node"}, {"features", Features()}});
  if (request.method == "DELETE") {
    sessions_.SignOut(cookie);
    http::Response response = Reply(Json::object());
    response.headers.Set("Set-Cookie", SetCookie(cookie_, "", 0));
    return response;
  }
  if (request.method != "POST") return Refuse(405, "method: allowed are GET, POST and DELETE");
  const std::string given = request.headers.Get("Authorization").value_or("");
  const bool bearer = EqualsIgnoreCase(std::string_view(given).substr(0, 7), "Bearer ");
  const auto session = bearer ? sessions_.SignIn(Trim(std::string_view(given).substr(7))) : std::nullopt;
  if (!session) return Refuse(401, "this token was used or is too old: mcpctl dashboard makes a new one");
  http::Response response = Reply({{"name", session->who}, {"role", "operator"}});
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(kSessionTime).count();
  response.headers.Set("Set-Cookie", SetCookie(cookie_, session->cookie, seconds));
  return response;
}

void Dashboard::HandleSignedIn(const http::Request& request, const std::shared_ptr<http::Responder>& to) {
  const std::string cookie = CookieOf(request, cookie_);
  const std::optional<std::string> who = sessions_.Find(cookie);
  if (!who) return Send(to, Refuse(401, "sign in first: mcpctl dashboard"));
  if (IsMcpPath(request.Path())) return mcp_.Handle(request, to);
  auto ask = std::make_shared<Ask>(Ask{request, PartsOf(request.Path()), *who});
  ask->parts.erase(ask->parts.begin());
  if (ask->Is("GET", {"whoami"})) return Send(to, Reply({{"kind", "person"}, {"name", *who}, {"role", "operator"}}));
  if (ask->Is("GET", {"watch"})) return live_.Accept(to, *who, cookie);
  Answer answer = FindAnswer(*ask);
  // NOLINTNEXTLINE(clang-analyzer-cplusplus.NewDeleteLeaks): a std::function frees what it holds
  if (answer == nullptr) return Send(to, Refuse(404, "a node's dashboard has no such route"));
  Jobs& jobs = ask->parts[0] == "logs" ? log_jobs_ : jobs_;
  // The ask is what the answer refers to.
  if (!jobs.Post([to, ask, answer = std::move(answer)] { Send(to, answer()); }))
    Send(to, Refuse(503, "too many requests wait"));
}

Dashboard::Answer Dashboard::FindAnswer(const Ask& ask) {
  Answer read = FindRead(ask);
  return read != nullptr ? read : FindChange(ask);
}

Dashboard::Answer Dashboard::FindRead(const Ask& ask) {
  KvClient& kv = host_.desired;
  const Parts& parts = ask.parts;
  if (ask.Is("GET", {"logs"})) return [this, &ask] { return Lines(ask.request); };
  if (ask.Is("GET", {"audit"})) {
    return [this, &ask] {
      return Reply(audit_.List(static_cast<int64_t>(NumberIn(ask.request, "before", 0, SIZE_MAX / 2, 0)),
                               NumberIn(ask.request, "limit", 1, 500, 100)));
    };
  }
  if (ask.Is("GET", {"alerts"}))
    return [this, &ask] { return Reply(chronicle_.Alerts(ask.request.Query("all") == "true")); };
  if (ask.Is("GET", {"uptime"})) return [this, &ask] { return Uptimes(ask.request); };
  if (ask.Is("GET", {"desired"})) return [&kv] { return ReplyTo(ReadDesired(kv, Deadline::After(kRead))); };
  if (ask.Is("GET", {"desired", "proposals"}))
    return [&kv] { return ReplyTo(ReadProposals(kv, Deadline::After(kRead))); };
  if (ask.Is("GET", {"desired", "history"})) {
    return [&kv, &ask] {
      const std::string from = ask.request.Query("from").value_or("");
      if (!from.empty() && !IsSha256Hex(from)) return Refuse(400, "from: is no hash");
      std::string next;
      const StatusOr<Json> rows =
          ReadVersions(kv, from, NumberIn(ask.request, "limit", 1, kMostHistory, 50), &next, Deadline::After(kRead));
      return rows.ok() ? Reply(*rows, {{"count", rows->size()}, {"next", next}}) : Refuse(rows.status());
    };
  }
  if (ask.request.method == "GET" && parts.size() == 3 && parts[0] == "servers") {
    return [this, &parts] { return ServerDetail({parts[1], parts[2]}); };
  }
  if (ask.request.method != "GET" || parts.size() != 3 || parts[0] != "desired") return nullptr;
  if (!IsSha256Hex(parts[2])) return [] { return Refuse(400, "the hash: is no hash"); };
  if (parts[1] != "snapshots" && parts[1] != "shards" && parts[1] != "objects") return nullptr;
  return [&kv, &parts] {
    bool whole = true;
    const Deadline deadline = Deadline::After(kRead);
    const StatusOr<Json> found = parts[1] == "snapshots" ? ReadVersion(kv, parts[2], deadline)
                                 : parts[1] == "shards"  ? ReadRows(kv, parts[2], &whole, deadline)
                                                         : ReadObjectJson(kv, parts[2], deadline);
    if (!found.ok()) return Refuse(found.status());
    return whole ? ReplyForEver(*found) : Reply(*found);
  };
}

Dashboard::Answer Dashboard::FindChange(const Ask& ask) {
  KvClient& kv = host_.desired;
  const Clock& clock = host_.clock;
  const Parts& parts = ask.parts;
  if (ask.Is("POST", {"validate"})) {
    return [&ask] {
      const StatusOr<Json> body = BodyOf(ask.request);
      if (!body.ok()) return Refuse(body.status());
      const Json& objects = GetMember(*body, "objects");
      if (!objects.is_array() || objects.size() > kMostObjects)
        return Refuse(400, "objects: is no list of at most " + std::to_string(kMostObjects));
      return Reply(ValidateObjects(objects));
    };
  }
  if (ask.Is("POST", {"changes"})) {
    return [this, &ask, &kv, &clock] {
      const StatusOr<Json> body = BodyOf(ask.request);
      if (!body.ok()) return Refuse(body.status());
      ChangeAbout about{.author = ask.who};
      const StatusOr<ChangeSet> changes = ParseChanges(*body, &about);
      if (!changes.ok()) return Refuse(changes.status());
      return Done(ask, "change", "fleet", Change(kv, *changes, about, clock, Deadline::After(kChange)));
    };
  }
  if (ask.Is("POST", {"rollback"})) {
    return [this, &ask, &kv, &clock] {
      const StatusOr<Json> body = BodyOf(ask.request);
      const std::string snapshot = body.ok() ? GetString(*body, "snapshot") : "";
      if (!IsSha256Hex(snapshot)) return Refuse(400, "snapshot: is no hash");
      const ChangeAbout about{"roll back to " + snapshot.substr(0, 12), ask.who, GetBool(*body, "dryRun")};
      return Done(ask, "rollback", "fleet", RollBackTo(kv, snapshot, about, clock, Deadline::After(kChange)));
    };
  }
  if (ask.Is("POST", {"alerts", "acknowledge"})) return [this, &ask] { return Acknowledge(ask); };
  if (ask.request.method == "DELETE" && parts.size() == 3 && parts[0] == "servers") {
    return [this, &ask, &parts, &kv, &clock] {
      const ChangeAbout about{"delete " + parts[2], ask.who, false};
      const ChangeSet changes{.remove = {{kKindServer, parts[1], parts[2]}}};
      return Done(ask, "delete", parts[1] + "/" + parts[2],
                  Change(kv, changes, about, clock, Deadline::After(kChange)));
    };
  }
  static const std::set<std::string> kOfServer{"restart", "suspend", "resume"}, kOfNode{"cordon", "uncordon", "drain"};
  if (ask.request.method == "POST" && parts.size() == 4 && parts[0] == "servers" && kOfServer.contains(parts[3])) {
    return [this, &ask, &parts, &kv, &clock] {
      const ChangeAbout about{parts[3] + " " + parts[2], ask.who, false};
      return Done(
          ask, parts[3], parts[1] + "/" + parts[2],
          ChangeServer(kv, parts[3], {kKindServer, parts[1], parts[2]}, about, clock, Deadline::After(kChange)));
    };
  }
  if (ask.request.method == "POST" && parts.size() == 3 && parts[0] == "nodes" && kOfNode.contains(parts[2])) {
    return [this, &ask, &parts, &kv, &clock] {
      const ChangeAbout about{parts[2] + " " + parts[1], ask.who, false};
      return Done(ask, parts[2], parts[1], ChangeNode(kv, parts[2], parts[1], about, clock, Deadline::After(kChange)));
    };
  }
  return nullptr;
}

http::Response Dashboard::Done(const Ask& ask, const std::string& what, const std::string& subject,
                               const StatusOr<Json>& result) {
  if (!result.ok()) return Refuse(result.status());
  if (GetBool(*result, "moved") || GetMember(*result, "proposal").is_string())
    audit_.Note({ask.who, what, subject, DetailOf(*result)}, host_.clock.Wall());
  live_.Poke();
  return Reply(*result);
}

http::Response Dashboard::Acknowledge(const Ask& ask) {
  const StatusOr<Json> body = BodyOf(ask.request);
  const std::string key = body.ok() ? GetString(*body, "key") : "";
  if (key.empty() || key.size() > kKeyBytes) return Refuse(400, "key: must have 1 to 512 characters");
  const WallTime now = host_.clock.Wall();
  if (!chronicle_.Acknowledge(key, ask.who, now)) return Refuse(404, "no such alert is raised");
  audit_.Note({ask.who, "acknowledge", key, ""}, now);
  live_.Tell({{"type", "alert"}, {"state", "acknowledged"}, {"key", key}});
  return Reply(Json::object());
}

// By default the last 30 days.
http::Response Dashboard::Uptimes(const http::Request& request) {
  const std::string subject = request.Query("subject").value_or("");
  if (subject.empty() || subject.size() > kSubjectBytes)
    return Refuse(400, "subject: must have 1 to 256 characters: node/NODE, server/NODE/NAMESPACE/NAME, or a prefix");
  const auto time = [&](const char* name, WallTime otherwise) -> StatusOr<WallTime> {
    const std::optional<std::string> text = request.Query(name);
    if (!text) return otherwise;
    const StatusOr<WallTime> parsed = ParseTime(*text);
    return parsed.ok() ? parsed : Annotate(parsed.status(), name);
  };
  const WallTime now = host_.clock.Wall();
  const StatusOr<WallTime> given = time("until", now);
  if (!given.ok()) return Refuse(given.status());
  const WallTime until = std::min(*given, now);
  const StatusOr<WallTime> from = time("since", until - kUptimeShown);
  if (!from.ok()) return Refuse(from.status());
  if (*from >= until) return Refuse(400, "since: is not before until");
  const size_t bars = NumberIn(request, "bars", 0, kMostBars, 0);
  return Reply(chronicle_.Uptimes(subject, ToMillis(*from), ToMillis(until), bars, request.Query("mean") == "true"));
}

http::Response Dashboard::Lines(const http::Request& request) {
  const StatusOr<LinesQuery> query = ParseLinesQuery(request);
  if (!query.ok()) return Refuse(query.status());
  std::string cursor;
  int64_t missing = 0;
  const StatusOr<Json> rows = ReadLines(host_, *query, &cursor, &missing, Deadline::After(kRead));
  if (!rows.ok()) return Refuse(rows.status());
  return Reply(*rows, {{"count", rows->size()}, {"cursor", cursor}, {"missing", missing}, {"bad", 0}});
}

// The server on each node that reports it: on this one, and on those that follow this node's store.
http::Response Dashboard::ServerDetail(const ServerKey& server) {
  Json found = Json::array();
  const auto add = [&](const NodeStatus& node, bool down) {
    for (const ServerStatus& status : node.servers) {
      if (status.key == server)
        found.push_back({{"node", node.node}, {"nodeDown", down}, {"status", ServerStatusToJson(status)}});
    }
  };
  const NodeStatus own = host_.status();
  add(own, false);
  for (const auto& [node, connected] : live_.OthersOf(server)) add(node, !connected);
  return Reply(std::move(found));
}

}  // namespace mcpfleet::dashboard
