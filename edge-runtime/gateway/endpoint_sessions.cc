// The sessions of an endpoint: clients of the legacy era.
#include <algorithm>
#include <utility>

#include "base/digest.h"
#include "base/http/url.h"
#include "base/log.h"
#include "base/strings.h"
#include "edge-runtime/gateway/direct_conversation.h"
#include "edge-runtime/gateway/endpoint.h"
#include "edge-runtime/mcp/era.h"

namespace mcpfleet::gateway {
namespace {

constexpr std::string_view kSessionHeader = "Mcp-Session-Id";
constexpr std::string_view kSessionParameter = "sessionId";
// A session is younger than this only if its client is about to use it: never the one that must go.
constexpr Duration kYoung = std::chrono::seconds(1);

// Of the mcplet before. `lost`: what was under way then is over.
LegacySession::Kept KeptOf(const SessionNote& note, bool lost) {
  LegacySession::Kept kept{.version = note.version, .incarnation = note.incarnation};
  for (const auto& [number, call] : note.calls) (lost ? kept.lost : kept.calls).push_back(call.call);
  for (const RecentAnswers::Answered& each : note.answered.List()) kept.lost.push_back({0, each.stream, each.id});
  for (const auto& [ours, question] : note.asked) {
    if (!lost && !question.line.empty()) kept.questions.push_back({question.at, question.line});
  }
  return kept;
}

}  // namespace

std::shared_ptr<LegacySession> Endpoint::FindSession(Ask& ask) {
  const bool sse = ask.face == Face::kMessages;
  const std::optional<std::string> id =
      sse ? ask.request.Query(kSessionParameter) : ask.request.headers.Get(kSessionHeader);
  if (!id) {
    const std::string lacks = sse ? "sessionId in the query" : "Mcp-Session-Id header";
    Refuse(ask, {400, ErrorText("", kServerError, "Bad Request: " + lacks + " is required"), "session"});
    return nullptr;
  }
  auto it = sessions_.find(*id);
  // Another subject's session does not exist for this one, nor does one of the other transport.
  const bool found = it != sessions_.end() && !it->second.session->closed() &&
                     it->second.session->subject() == ask.subject.id && it->second.session->one_stream() == sse;
  if (!found) {
    Refuse(ask, {404, ErrorText("", kSessionNotFound, "Session not found"), "session"});
    return nullptr;
  }
  if (const std::optional<Rejection> bad = CheckLegacyVersion(ask.request.headers)) {
    Refuse(ask, *bad);
    return nullptr;
  }
  ask.log->session = it->second.session->hash();
  return it->second.session;
}

// After a restart of mcplet sessions are known once their server answers again: until then nobody can say that a
// session is not there.
bool Endpoint::AwaitSession(Ask* ask, const std::function<void(Endpoint& self, Ask ask)>& again) {
  const std::optional<std::string> id = ask->request.headers.Get(kSessionHeader);
  if (!id || sessions_.contains(*id) || target_.ready || closed_) return false;
  auto held = std::make_shared<Ask>(std::move(*ask));
  WhenReady(
      true, self_.Bind([held, again](Endpoint& self) { again(self, std::move(*held)); }),
      self_.Bind([held](Endpoint& self, const std::string& why) { self.RefuseFull(*held, "", Unavailable(why)); }));
  return true;
}

void Endpoint::OnLegacy(Ask ask, std::vector<Incoming> messages) {
  if (!messages.empty() && messages.front().envelope.method == "initialize" &&
      messages.front().envelope.kind == mcp::MessageKind::kRequest) {
    return BeginSession(std::move(ask), std::move(messages.front()));
  }
  auto held = std::make_shared<std::vector<Incoming>>(std::move(messages));
  if (AwaitSession(&ask, [held](Endpoint& self, Ask later) { self.OnLegacy(std::move(later), std::move(*held)); }))
    return;
  const std::shared_ptr<LegacySession> session = FindSession(ask);
  if (session == nullptr) return;
  session->Post(std::move(*held), std::move(ask.answer), {std::move(ask.admitted), std::move(ask.refused)});
}

void Endpoint::BeginSession(Ask ask, Incoming message) {
  const std::string id(message.Part(message.envelope.id));
  const std::optional<std::string> named = ask.request.headers.Get(kSessionHeader);
  if (named && sessions_.contains(*named))
    return Refuse(ask, {400, ErrorText(id, kInvalidRequest, "Server already initialized"), "session"});
  if (const std::optional<Rejection> bad = CheckLegacyVersion(ask.request.headers)) return Refuse(ask, *bad);
  if (!MakeRoom()) return RefuseFull(ask, id, ResourceExhausted("the server has as many sessions as it may have"));
  auto held = std::make_shared<Ask>(std::move(ask));
  auto first = std::make_shared<Incoming>(std::move(message));
  held->answer->OnGone([weak = std::weak_ptr<Ask>(held)] {
    if (const auto asked = weak.lock()) asked->left = true;
  });
  WhenReady(
      false, self_.Bind([held, first](Endpoint& self) { self.OpenSession(held, first); }),
      self_.Bind([held, id](Endpoint& self, const std::string& why) { self.RefuseFull(*held, id, Unavailable(why)); }));
}

void Endpoint::OpenSession(const std::shared_ptr<Ask>& ask, const std::shared_ptr<Incoming>& message) {
  if (ask->left) return;  // nobody would learn the session's id
  ServerGroup* group = CurrentGroup();
  const std::string request(message == nullptr ? "" : message->Part(message->envelope.id));
  if (group == nullptr) return RefuseFull(*ask, request, Unavailable("the server is not ready"));
  const std::string id = RandomHex(16);
  const auto begin = [id, ask, message, request](Endpoint& self, ServerGroup* where,
                                                 std::unique_ptr<Conversation> side) {
    if (ask->left) return;
    // Others may have begun while this one waited.
    if (!self.MakeRoom())
      return self.RefuseFull(*ask, request, ResourceExhausted("the server has as many sessions as it may have"));
    const std::shared_ptr<LegacySession> session = self.AddSession(id, ask->subject.id, where);
    self.Connect(*session, std::move(side));
    if (message == nullptr) {
      ask->log->session = session->hash();
      return session->OpenStream(self.MessagesUri(ask->request, id), std::move(ask->answer));
    }
    ask->answer->AddHeader(kSessionHeader, id);
    std::vector<Incoming> first;
    first.push_back(std::move(*message));
    session->Post(std::move(first), std::move(ask->answer), {std::move(ask->admitted), {}});
  };
  SessionNote note;
  if (message != nullptr) note.session = id;  // HTTP+SSE: a session of its connection, which nothing outlives
  note.subject = ask->subject.id;
  if (std::unique_ptr<Conversation> side = group->SharedSide(ask->subject.id))
    return begin(*this, group, message == nullptr ? std::move(side) : Kept(std::move(side), std::move(note)));
  group->NewConversation(ask->subject.id, self_.Bind([id, ask, message, request, begin, group, note](
                                                         Endpoint& self, StatusOr<std::unique_ptr<Link>> link) {
    if (!link.ok()) return self.RefuseFull(*ask, request, link.status());
    if (self.closed_) return self.RefuseFull(*ask, request, Unavailable("the server is gone"));  // and the group
    const bool kept = message != nullptr && !group->target().url.empty();
    SessionNote own = note;
    if (kept) own.session.clear();  // its link has no place for it
    std::unique_ptr<Conversation> side = self.DirectSide(group, id, *std::move(link), std::move(own), "");
    begin(self, group, kept ? self.Kept(std::move(side), note) : std::move(side));
  }));
}

// Sessions of the mcplet before this one go on; children of anything else are of no use.
void Endpoint::Adopt(ServerGroup* group) {
  for (Children::Found& found : group->TakeFound()) {
    std::optional<SessionNote> note = SessionNote::FromText(found.note);
    if (!note || sessions_.contains(note->session) || note->initialized.empty()) continue;
    if (!tenants_.Keep(group->instance(), note->subject, group->Apart())) {
      LOG_WARNING("a client's session ends: the kernel does not keep it apart from another client's",
                  {{"server", ToString(target_.server->key)}});
      continue;
    }
    const std::shared_ptr<LegacySession> session = AddSession(note->session, note->subject, group);
    ++note->incarnation;
    session->Continue(KeptOf(*note, false));
    const std::string id = note->session;
    const size_t calls = note->calls.size();
    Connect(*session, DirectSide(group, id, std::move(found.link), *std::move(note), std::move(found.doubtful_line)));
    LOG_INFO("a client's session goes on", {{"server", ToString(target_.server->key)}, {"calls", calls}});
  }
}

// Those without a child of their own: their handshake is made again with what serves now.
void Endpoint::AdoptKept(ServerGroup* group) {
  if (w_.kept == nullptr) return;
  for (SessionNote& note : w_.kept->Take(target_.server->key)) {
    const bool served = !target_.url.empty() || target_.modern || group->shared_mode();
    if (!served || sessions_.contains(note.session)) {
      w_.kept->Forget(note.session);
      continue;
    }
    const std::shared_ptr<LegacySession> session = AddSession(note.session, note.subject, group);
    ++note.incarnation;
    session->Continue(KeptOf(note, true));
    LOG_INFO("a client's session goes on", {{"server", ToString(target_.server->key)}, {"lost", note.calls.size()}});
    Reconnect(group, session, std::move(note));
  }
}

void Endpoint::Reconnect(ServerGroup* group, const std::shared_ptr<LegacySession>& session, SessionNote note) {
  const std::string id = session->id();
  if (std::unique_ptr<Conversation> side = group->SharedSide(session->subject()))
    return Connect(*session, Kept(std::move(side), std::move(note)));
  group->NewConversation(
      session->subject(), self_.Bind([id, weak = std::weak_ptr<LegacySession>(session), group, note = std::move(note)](
                                         Endpoint& self, StatusOr<std::unique_ptr<Link>> link) {
        const std::shared_ptr<LegacySession> to = weak.lock();
        if (to == nullptr || to->closed() || !link.ok()) {
          self.w_.kept->Forget(id);  // nobody else does yet: it must not come back with the next mcplet
          return self.RemoveSession(id);
        }
        SessionNote fresh;
        fresh.subject = note.subject;
        self.Connect(*to, self.Kept(self.DirectSide(group, id, *std::move(link), std::move(fresh), ""), note));
      }));
}

void Endpoint::Connect(LegacySession& session, std::unique_ptr<Conversation> side) {
  session.Connect(std::move(side),
                  {.closed = self_.Bind([id = session.id()](Endpoint& self) { self.RemoveSession(id); })});
}

std::unique_ptr<Conversation> Endpoint::Kept(std::unique_ptr<Conversation> side, SessionNote note) {
  if (w_.kept == nullptr) return side;
  return std::make_unique<KeptConversation>(w_.loop, std::move(side), *w_.kept, target_.server->key, std::move(note),
                                            target_.server->spec.probes.startup_timeout);
}

std::shared_ptr<LegacySession> Endpoint::AddSession(const std::string& id, const std::string& subject,
                                                    ServerGroup* group) {
  SessionSettings settings = settings_.session;
  settings.handshake_timeout = group->target().server->spec.probes.startup_timeout;
  auto session = std::make_shared<LegacySession>(id, subject, settings, w_.loop, w_.clock);
  sessions_[id] = {session, group};
  CountSessions();
  return session;
}

std::unique_ptr<Conversation> Endpoint::DirectSide(ServerGroup* group, const std::string& id,
                                                   std::unique_ptr<Link> link, SessionNote note,
                                                   std::string doubtful_line) {
  DirectConversation::Options options;
  options.inspect = InspectorOf(group->instance());
  options.handshake_timeout = group->target().server->spec.probes.startup_timeout;
  if (group->target().server->spec.sessions.resumable) {
    options.relink = self_.Bind([id](Endpoint& self, const std::function<void(StatusOr<std::unique_ptr<Link>>)>& done) {
      // With whatever serves now, which may be another instance than before.
      self.WhenReady(
          true, self.self_.Bind([id, done](Endpoint& owner) {
            ServerGroup* now = owner.CurrentGroup();
            auto entry = owner.sessions_.find(id);
            if (now == nullptr || entry == owner.sessions_.end()) return;
            entry->second.group = now;
            now->NewConversation(entry->second.session->subject(), done);
          }),
          [done, &loop = self.w_.loop](const std::string& why) { loop.Post([done, why] { done(Unavailable(why)); }); });
    });
  }
  return std::make_unique<DirectConversation>(w_.loop, std::move(link), std::move(note), std::move(doubtful_line),
                                              std::move(options));
}

// From the loop: the session may be what called.
void Endpoint::RemoveSession(const std::string& id) {
  w_.loop.Post(self_.Bind([id](Endpoint& self) { self.DropSession(id); }));
}

void Endpoint::DropSession(const std::string& id) {
  auto it = sessions_.find(id);
  if (it == sessions_.end()) return;
  const std::shared_ptr<LegacySession> session = it->second.session;
  sessions_.erase(it);
  session->Close();
  w_.metrics.GatewaySessionEnded(target_.server->key, w_.clock.Now() - session->began());
  CountSessions();
}

// Of the subject that has most: who opens session after session loses its own.
bool Endpoint::MakeRoom() {
  if (sessions_.size() < settings_.max_sessions) return true;
  const MonoTime before = w_.clock.Now() - kYoung;
  std::map<std::string_view, int> held;
  for (const auto& [id, entry] : sessions_) ++held[entry.session->subject()];
  const LegacySession* victim = nullptr;
  for (const auto& [id, entry] : sessions_) {
    const LegacySession& session = *entry.session;
    if (session.calls() > 0 || session.last_used() > before) continue;
    const auto rank = [&](const LegacySession& each) { return std::pair(-held[each.subject()], each.last_used()); };
    if (victim == nullptr || rank(session) < rank(*victim)) victim = &session;
  }
  if (victim == nullptr) return false;
  DropSession(std::string(victim->id()));
  return true;
}

bool Endpoint::EvictSession(const ServerGroup* group, MonoTime other) {
  const MonoTime before = w_.clock.Now() - kYoung;
  SessionEntry* oldest = nullptr;
  for (auto& [id, entry] : sessions_) {
    const LegacySession& session = *entry.session;
    if (entry.group != group || session.closed() || session.calls() > 0 || session.last_used() > before) continue;
    if (oldest == nullptr || session.last_used() < oldest->session->last_used()) oldest = &entry;
  }
  if (oldest == nullptr || other < oldest->session->last_used()) return false;
  const std::string id = oldest->session->id();
  oldest->session->Close();
  RemoveSession(id);
  return true;
}

void Endpoint::OnGet(Ask ask) {
  if (AwaitSession(&ask, [](Endpoint& self, Ask later) { self.OnGet(std::move(later)); })) return;
  if (!ask.request.headers.Has(kSessionHeader) && NamesModernEra(ask.request.headers)) {
    ask.answer->AddHeader("Allow", "POST");
    return ask.answer->Json(405, ErrorText("", kServerError, "Method not allowed in this era"));
  }
  if (!Accepts(ask.request.headers, "text/event-stream"))
    return Refuse(ask,
                  {406, ErrorText("", kServerError, "Not Acceptable: Accept must list text/event-stream"), "accept"});
  const std::shared_ptr<LegacySession> session = FindSession(ask);
  if (session == nullptr) return;
  const std::optional<std::string> last = ask.request.headers.Get("Last-Event-ID");
  std::optional<EventId> after;
  if (last && !last->empty()) {
    after = EventId::Parse(*last);
    if (!after) return Refuse(ask, {400, ErrorText("", kServerError, "Last-Event-ID is not one of ours"), "header"});
  }
  session->Get(after, std::move(ask.answer));
}

void Endpoint::OnDelete(Ask ask) {
  if (AwaitSession(&ask, [](Endpoint& self, Ask later) { self.OnDelete(std::move(later)); })) return;
  if (!ask.request.headers.Has(kSessionHeader) && NamesModernEra(ask.request.headers)) {
    ask.answer->AddHeader("Allow", "POST");
    return ask.answer->Json(405, ErrorText("", kServerError, "Method not allowed in this era"));
  }
  const std::shared_ptr<LegacySession> session = FindSession(ask);
  if (session == nullptr) return;
  DropSession(session->id());  // before the answer: who has it finds nothing left
  ask.answer->Empty(200);
}

// --- HTTP+SSE -----------------------------------------------------------------------------------------------------

void Endpoint::OnSse(Ask ask) {
  if (!Accepts(ask.request.headers, "text/event-stream"))
    return Refuse(ask,
                  {406, ErrorText("", kServerError, "Not Acceptable: Accept must list text/event-stream"), "accept"});
  // It takes a process, as the first request of another session does; but it lasts, and is no request under way.
  if (!AdmitNow(ask, "")) return;
  ask.admitted.reset();
  if (!MakeRoom()) return RefuseFull(ask, "", ResourceExhausted("the server has as many sessions as it may have"));
  auto held = std::make_shared<Ask>(std::move(ask));
  WhenReady(
      false, self_.Bind([held](Endpoint& self) { self.OpenSession(held, nullptr); }),
      self_.Bind([held](Endpoint& self, const std::string& why) { self.RefuseFull(*held, "", Unavailable(why)); }));
}

// A path, not a whole URL: whatever stands before the gateway, its client keeps the origin that it came by. Where a
// public URL has a path, that is part of it.
std::string Endpoint::MessagesUri(const http::Request& request, const std::string& id) const {
  const ServerKey& key = target_.server->key;
  std::string path = "/" + key.namespace_ + "/" + key.name + "/mcp";
  const std::string host = request.headers.Get("Host").value_or("");
  for (const std::string& url : urls_) {
    const StatusOr<http::Url> known = http::ParseUrl(url);
    if (!known.ok() || !EqualsIgnoreCase(known->host_header, host)) continue;
    path = known->target;
    break;
  }
  return path.substr(0, path.rfind('/')) + "/messages?" + std::string(kSessionParameter) + "=" + id;
}

void Endpoint::OnMessage(Ask ask, Incoming message) {
  const bool begins = message.envelope.method == "initialize" && message.envelope.kind == mcp::MessageKind::kRequest;
  if (begins && !ask.session->version().empty()) {
    return Refuse(
        ask,
        {400, ErrorText(message.Part(message.envelope.id), kInvalidRequest, "Server already initialized"), "session"});
  }
  // A client that came back by itself, as an EventSource does, has a session that never began: better that it hears of
  // it than that a server gets its requests before any handshake.
  if (!begins && ask.session->version().empty() && ask.session->calls() == 0)
    return Refuse(ask,
                  {404, ErrorText("", kSessionNotFound, "Session not found: it begins with initialize"), "session"});
  std::vector<Incoming> one;
  one.push_back(std::move(message));
  ask.session->Post(std::move(one), std::move(ask.answer), {std::move(ask.admitted), {}});
}

void Endpoint::CountSessions() { w_.metrics.GatewaySessions(target_.server->key, static_cast<int>(sessions_.size())); }

void Endpoint::Tick(MonoTime now) {
  const SessionsSpec& spec = target_.server->spec.sessions;
  for (auto& [id, entry] : sessions_) {
    LegacySession& session = *entry.session;
    session.Tick(now);
    const bool idle = session.calls() == 0 && now - session.last_used() >= spec.idle_timeout;
    if (session.closed() || idle || now - session.began() >= spec.max_lifetime) {
      session.Close();
      RemoveSession(id);
    }
  }
  while (!sleepers_.empty() && sleepers_.front().until <= now) {
    const Sleeper sleeper = std::move(sleepers_.front());
    sleepers_.pop_front();
    sleeper.fail("the server did not become ready in time");
  }
  for (const auto& group : groups_) group->Tick(now);
  // An old instance's group goes when nothing is under way there.
  const std::map<std::string, int> conversations = Conversations();
  std::erase_if(groups_, [&](const std::unique_ptr<ServerGroup>& group) {
    const bool used = std::any_of(sessions_.begin(), sessions_.end(),
                                  [&](const auto& each) { return each.second.group == group.get(); });
    return group->retired() && !used && group->calls() == 0 && group->opening() == 0;
  });
}

std::map<std::string, int> Endpoint::Conversations() const {
  std::map<std::string, int> out;
  for (const auto& [id, entry] : sessions_) ++out[entry.group->instance()];
  for (const auto& group : groups_) {
    if (group->calls() > 0) out[group->instance()] += static_cast<int>(group->calls());
  }
  return out;
}

bool Endpoint::HasWork() const {
  const bool busy = std::any_of(groups_.begin(), groups_.end(), [](const auto& group) { return group->HasWork(); });
  return busy || groups_.size() > 1 || !sessions_.empty() || !sleepers_.empty();
}

void Endpoint::Close() {
  closed_ = true;
  for (auto& [id, entry] : sessions_) entry.session->Close();
  sessions_.clear();
  for (Sleeper& sleeper : std::exchange(sleepers_, {})) sleeper.fail("the server is gone");
  groups_.clear();
  w_.metrics.GatewayForget(target_.server->key);
}

void Endpoint::Release() {
  for (auto& [id, entry] : sessions_) entry.session->Release();
}

}  // namespace mcpfleet::gateway
