#include "edge-runtime/gateway/endpoint.h"

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "base/strings.h"
#include "edge-runtime/gateway/direct_conversation.h"
#include "edge-runtime/gateway/origin_policy.h"

namespace mcpfleet::gateway {
namespace {

constexpr std::string_view kSessionHeader = "Mcp-Session-Id";
constexpr size_t kMaxSleepers = 256;
constexpr size_t kLoggedArguments = 4096;  // bytes
constexpr char kBatch[] = "batch";

// The URL for another face of the endpoint at ".../mcp".
std::string UrlOf(const std::string& url, Face face) {
  return face == Face::kMcp ? url : url.substr(0, url.rfind('/')) + "/sse";
}

// An answer to tools/call. Most of them don't have the word at all, which is quickly seen.
bool IsFailure(const Incoming& answer) {
  if (answer.envelope.kind == mcp::MessageKind::kError) return true;
  if (answer.text.find("\"isError\"") == std::string::npos) return false;
  return answer.Part(mcp::FindMember(answer.text, answer.envelope.result, "isError")) == "true";
}

}  // namespace

std::optional<Face> FaceOf(std::string_view word) {
  if (word == "mcp") return Face::kMcp;
  if (word == "sse") return Face::kSse;
  if (word == "messages") return Face::kMessages;
  return std::nullopt;
}

Endpoint::Endpoint(Wiring wiring, EndpointSettings settings, ClientTarget target)
    : w_(std::move(wiring)), settings_(std::move(settings)), urls_(settings_.urls), tenants_(w_.children) {
  SetTarget(std::move(target));
  CountSessions();  // none: its series begin
}

Endpoint::~Endpoint() = default;

// --- the server ---------------------------------------------------------------------------------------------------

void Endpoint::SetUrls(std::vector<std::string> urls) {
  if (urls == urls_) return;
  urls_ = std::move(urls);
  authenticator_ = nullptr;  // made anew with the target: tokens are for URLs
}

void Endpoint::SetTarget(ClientTarget target) {
  const bool fresh = !target_.ready;
  target_ = std::move(target);
  ApplyPolicies(fresh);
  ServerGroup* current = groups_.empty() ? nullptr : groups_.back().get();
  const bool runs = !target_.instance.empty() || !target_.url.empty();
  const bool same = current != nullptr && current->instance() == target_.instance &&
                    current->target().modern == target_.modern &&
                    current->target().server->spec.sessions == target_.server->spec.sessions;
  if (same) {
    current->SetTarget(target_);
  } else if (runs && (target_.ready || (target_.sleeping && !sleepers_.empty()))) {
    if (current != nullptr) current->Retire();
    groups_.push_back(std::make_unique<ServerGroup>(
        ServerGroup::Wiring{w_.loop, w_.clock, w_.children, w_.http_upstream, InspectorOf(target_.instance),
                            [this](const ServerGroup* group, MonoTime other) { return EvictSession(group, other); },
                            tenants_, [this] { w_.metrics.GatewayRejected("isolation"); }, settings_.modern},
        target_));
  }
  if (current != nullptr && target_.sleeping && sleepers_.empty()) current->Rest();
  if (current != nullptr || !groups_.empty()) Adopt(groups_.back().get());
  if (!target_.ready) {
    if (ServerGroup* group = CurrentGroup(); group != nullptr && target_.sleeping) group->Expect(sleepers_.size());
    return;
  }
  if (ServerGroup* group = CurrentGroup(); group != nullptr) AdoptKept(group);
  for (Sleeper& sleeper : std::exchange(sleepers_, {})) sleeper.go();
}

// fresh: the server has been started, perhaps with other tools.
void Endpoint::ApplyPolicies(bool fresh) {
  const ServerSpec& spec = target_.server->spec;
  if (authenticator_ == nullptr || spec.auth != auth_) {
    auth_ = spec.auth;
    authenticator_ = MakeAuthenticator(Face::kMcp);
    sse_authenticator_ = MakeAuthenticator(Face::kSse);
  }
  if (limiter_ == nullptr) {
    limiter_ = std::make_unique<RateLimiter>(spec.rate_limit);
  } else if (spec.rate_limit != rate_limit_) {
    limiter_->Change(spec.rate_limit);
  }
  rate_limit_ = spec.rate_limit;
  if (filter_ == nullptr || spec.tools != tools_) {
    tools_ = spec.tools;
    filter_ = std::make_unique<ToolFilter>(tools_);
  }
  std::set<std::string> instances;
  if (!fresh) instances.insert(target_.instance);
  for (const auto& group : groups_) {
    if (group->instance() != target_.instance) instances.insert(group->instance());
  }
  filter_->Retain(instances);
  for (const ToolFinding& finding : filter_->Learn(target_.tool_hashes, target_.instance)) {
    LOG_WARNING("tool policy", {{"server", ToString(target_.server->key)}, {"finding", finding.message}});
  }
}

std::unique_ptr<Authenticator> Endpoint::MakeAuthenticator(Face face) const {
  // A token that is for one of the two is for the same server.
  std::vector<std::string> resources;
  for (const std::string& url : urls_) {
    resources.push_back(url);
    resources.push_back(UrlOf(url, Face::kSse));
  }
  const ServerKey& key = target_.server->key;
  const std::string metadata = resources.empty()
                                   ? ""
                                   : UrlOf(OriginOf(resources.front()) + "/.well-known/oauth-protected-resource/" +
                                               key.namespace_ + "/" + key.name + "/mcp",
                                           face);
  return std::make_unique<Authenticator>(auth_, std::move(resources), metadata, w_.clock, w_.keys,
                                         AuthenticatorOptions{.now = w_.trusted_time});
}

std::optional<std::string> Endpoint::Metadata(Face face) const {
  return urls_.empty() ? std::nullopt : ResourceMetadata(auth_, UrlOf(urls_.front(), face));
}

ServerGroup* Endpoint::CurrentGroup() {
  if (groups_.empty() || groups_.back()->retired()) return nullptr;
  return groups_.back().get();
}

void Endpoint::OnChildrenChanged(const std::string& instance) {
  for (const auto& group : groups_) {
    if (group->instance() != instance) continue;
    Adopt(group.get());
    group->OnChildrenChanged();
  }
}

ServerGroup::Inspect Endpoint::InspectorOf(const std::string& instance) {
  return self_.Bind([instance](Endpoint& self, std::string_view method, Incoming* answer) {
    self.Inspect(instance, method, answer);
  });
}

void Endpoint::Inspect(const std::string& instance, std::string_view method, Incoming* answer) {
  if (method == "tools/call" && IsFailure(*answer)) w_.metrics.GatewayToolFailed(target_.server->key);
  if (method != "tools/list" || answer->envelope.kind != mcp::MessageKind::kResult) return;
  const bool passes = filter_->passes_all();
  if (passes && answer->text.size() > mcp::kValidatedBytes) return;
  const auto replace = [answer](std::string text) {
    Incoming other{std::move(text), {}};
    other.envelope = mcp::ReadEnvelope(other.text, mcp::Validation::kEnvelope).value_or(mcp::Envelope{});
    *answer = std::move(other);
  };
  StatusOr<Json> result = ParseJson(answer->Part(answer->envelope.result));
  if (!result.ok()) {
    // What can't be judged is not shown: a member that stands there twice could hide what the policy forbids.
    if (!passes) {
      replace(ErrorText(answer->Part(answer->envelope.id), mcp::kInternalError,
                        "the server's list of tools can't be read: " + Message(result.status())));
    }
    return;
  }
  for (const Json& tool : GetMember(*result, "tools")) (void)tool_headers_.Note(tool);  // bad marks are the server's
  if (passes) return;
  std::vector<ToolFinding> findings;
  const bool changed = filter_->FilterList(&*result, &findings, instance);
  for (const ToolFinding& finding : findings) {
    LOG_WARNING("tool policy", {{"server", ToString(target_.server->key)}, {"finding", finding.message}});
  }
  if (changed) replace(mcp::ApplyEdits(answer->text, {{answer->envelope.result, DumpJson(*result)}}));
}

// --- requests -----------------------------------------------------------------------------------------------------

void Endpoint::Handle(Face face, http::Request request, std::shared_ptr<http::Responder> to, const std::string& cors) {
  auto ask = std::make_shared<Ask>();
  ask->request = std::move(request);
  ask->face = face;
  ask->answer = std::make_unique<Answer>(std::move(to));
  if (!cors.empty()) {
    ask->answer->AddHeader("Access-Control-Allow-Origin", cors);
    ask->answer->AddHeader("Access-Control-Expose-Headers", "Mcp-Session-Id, WWW-Authenticate");
    ask->answer->AddHeader("Vary", "Origin");
  }
  ask->log = std::make_shared<LoggedRequest>();
  ask->log->server = ToString(target_.server->key);
  ask->log->method = ask->request.method;
  ask->log->peer = ask->answer->peer();
  const MonoTime began = w_.clock.Now();
  ask->answer->WhenDone(self_.Bind([log = ask->log, began](Endpoint& self, int status) {
    log->status = status;
    log->took = self.w_.clock.Now() - began;
    const ServerKey& key = self.target_.server->key;
    self.w_.metrics.GatewayRequest(key, MethodLabel(log->method), status, log->took);
    for (size_t i = 0; log->method == kBatch && i < log->tools.size(); ++i)
      self.w_.metrics.GatewayRequest(key, "tools/call", status, log->took);
    if (self.w_.log) self.w_.log(*log);
  }));
  Authenticator& authenticator = face == Face::kMcp ? *authenticator_ : *sse_authenticator_;
  authenticator.Check(ask->request, self_.Bind([ask](Endpoint& self, const Verdict& verdict) {
    if (const auto* refusal = std::get_if<gateway::Refusal>(&verdict)) {
      self.w_.metrics.GatewayRejected("auth");
      if (!refusal->www_authenticate.empty()) ask->answer->AddHeader("WWW-Authenticate", refusal->www_authenticate);
      if (refusal->status == 503) ask->answer->AddHeader("Retry-After", "10");
      return ask->answer->Json(refusal->status, ErrorText("", kServerError, refusal->message));
    }
    ask->subject = std::get<Subject>(verdict);
    if (self.known_.hash.empty() || self.known_.subject != ask->subject)
      self.known_ = {ask->subject, ask->subject.Hash()};
    ask->log->subject = self.known_.hash;
    self.Serve(std::move(*ask));
  }));
}

void Endpoint::Serve(Ask ask) {
  w_.used(target_.server->key);
  const std::string& method = ask.request.method;
  switch (ask.face) {
    case Face::kMcp:
      if (method == "POST") return OnPost(std::move(ask));
      if (method == "GET") return OnGet(std::move(ask));
      if (method == "DELETE") return OnDelete(std::move(ask));
      return RefuseMethod(ask, "GET, POST, DELETE");
    case Face::kSse:
      return method == "GET" ? OnSse(std::move(ask)) : RefuseMethod(ask, "GET");
    case Face::kMessages:
      return method == "POST" ? OnPost(std::move(ask)) : RefuseMethod(ask, "POST");
  }
}

void Endpoint::RefuseMethod(Ask& ask, std::string_view allowed) {
  ask.answer->AddHeader("Allow", allowed);
  ask.answer->Json(405, ErrorText("", kServerError, "Method not allowed"));
}

void Endpoint::Refuse(Ask& ask, const Rejection& rejection) {
  w_.metrics.GatewayRejected(rejection.reason);
  ask.answer->Json(rejection.status, rejection.body);
}

void Endpoint::OnPost(Ask ask) {
  const bool sse = ask.face == Face::kMessages;
  const http::Headers& headers = ask.request.headers;
  if (const std::optional<Rejection> bad = sse ? CheckContentType(headers) : CheckMediaTypes(headers))
    return Refuse(ask, *bad);
  if (sse && (ask.session = FindSession(ask)) == nullptr) return;
  // Batches came with a later revision than HTTP+SSE: there a POST has one message.
  if (!sse && mcp::IsBatch(ask.request.body)) return OnBatch(std::move(ask));
  Incoming message{std::exchange(ask.request.body, {}), {}};
  StatusOr<mcp::Envelope> envelope = mcp::ReadEnvelope(message.text, mcp::Validation::kWhole);
  if (!envelope.ok()) {
    const std::string why = Message(envelope.status());
    const int64_t code = why.starts_with("not JSON") || why.starts_with("not valid") ? kParseError : kInvalidRequest;
    return Refuse(ask, {400, ErrorText("", code, why), "body"});
  }
  message.envelope = *std::move(envelope);
  if (!message.envelope.method.empty()) ask.log->method = message.envelope.method;
  if (message.envelope.kind == mcp::MessageKind::kRequest && !Admit(ask, message)) return;
  if (ask.request.headers.Has("traceparent")) message = WithTrace(ask.request, std::move(message));
  if (sse) return OnMessage(std::move(ask), std::move(message));
  if (IsModernRequest(ask.request.headers, message)) return OnModern(std::move(ask), std::move(message));
  std::vector<Incoming> one;
  one.push_back(std::move(message));
  OnLegacy(std::move(ask), std::move(one));
}

// Batches were in one revision only, and must be taken there.
void Endpoint::OnBatch(Ask ask) {
  ask.log->method = kBatch;
  const StatusOr<std::vector<std::string_view>> parts = mcp::SplitBatch(ask.request.body, settings_.max_batch);
  if (!parts.ok()) {
    const bool json = parts.status().code() != StatusCode::kInvalidArgument;
    return Refuse(ask, {400, ErrorText("", json ? kInvalidRequest : kParseError, Message(parts.status())), "body"});
  }
  std::string version = ask.request.headers.Get("MCP-Protocol-Version").value_or("");
  auto known = sessions_.find(ask.request.headers.Get(kSessionHeader).value_or(""));
  if (known != sessions_.end()) version = known->second.session->version();
  if (version != "2025-03-26")
    return Refuse(ask, {400, ErrorText("", kInvalidRequest, "batches are in revision 2025-03-26 only"), "body"});
  std::vector<Incoming> messages;
  std::set<std::string> ids;
  for (std::string_view part : *parts) {
    StatusOr<mcp::Envelope> envelope = mcp::ReadEnvelope(part, mcp::Validation::kWhole);
    if (!envelope.ok()) return Refuse(ask, {400, ErrorText("", kInvalidRequest, Message(envelope.status())), "body"});
    Incoming message{std::string(part), *std::move(envelope)};
    const bool request = message.envelope.kind == mcp::MessageKind::kRequest;
    if (message.envelope.method == "initialize")
      return Refuse(ask, {400, ErrorText("", kInvalidRequest, "initialize must stand alone"), "body"});
    if (request && !ids.insert(std::string(message.Part(message.envelope.id))).second)
      return Refuse(ask, {400, ErrorText("", kInvalidRequest, "two requests of the batch have one id"), "body"});
    messages.push_back(std::move(message));
  }
  std::vector<Incoming> kept;
  for (Incoming& message : messages) {
    if (message.envelope.kind == mcp::MessageKind::kRequest) {
      const std::string id(message.Part(message.envelope.id));
      if (!AdmitNow(ask, id)) return;
      if (const std::string refusal = ToolRefusal(ask, message); !refusal.empty()) {
        ask.refused.push_back(ErrorText(id, mcp::kInvalidParams, refusal));
        continue;
      }
    }
    kept.push_back(ask.request.headers.Has("traceparent") ? WithTrace(ask.request, std::move(message))
                                                          : std::move(message));
  }
  Hold(ask);
  OnLegacy(std::move(ask), std::move(kept));
}

bool Endpoint::AdmitNow(Ask& ask, std::string_view id) {
  if (const std::optional<Duration> wait = limiter_->Admit(ask.subject, w_.clock.Now())) {
    w_.metrics.GatewayRejected("rate_limit");
    ask.answer->AddHeader("Retry-After", std::to_string(std::chrono::ceil<std::chrono::seconds>(*wait).count()));
    ask.answer->Json(429, ErrorText(id, mcp::kInternalError, "too many requests"));
    return false;
  }
  // One holds the one before: a batch.
  auto release = self_.Bind([](Endpoint& self) { self.limiter_->Release(); });
  ask.admitted =
      std::shared_ptr<void>(nullptr, [before = std::move(ask.admitted), release](void*) mutable { release(); });
  return true;
}

std::string Endpoint::ToolRefusal(Ask& ask, const Incoming& message) {
  if (message.envelope.method != "tools/call") return "";
  mcp::Span name, arguments;
  mcp::FindMembers(message.text, message.envelope.params, {{"name", &name}, {"arguments", &arguments}});
  const std::string tool = mcp::Unquote(message.Part(name));
  ask.log->tools.push_back({Printable(tool, 128), settings_.log_arguments
                                                      ? std::string(message.Part(arguments).substr(0, kLoggedArguments))
                                                      : ""});
  if (filter_->passes_all()) return "";
  std::string refusal = filter_->Refusal(tool, InstanceFor(ask, message));
  if (!refusal.empty()) w_.metrics.GatewayRejected("tool");
  return refusal;
}

// Until the answer is complete. A session holds it longer where its client leaves and the call goes on.
void Endpoint::Hold(Ask& ask) {
  ask.answer->WhenDone([admitted = ask.admitted](int) {});
}

// The one that the request goes to: its session's, else the current one. In the modern era there is no session,
// whatever a header says.
std::string Endpoint::InstanceFor(const Ask& ask, const Incoming& message) const {
  if (ask.session == nullptr && IsModernRequest(ask.request.headers, message)) return target_.instance;
  const LegacySession* session = ask.session.get();
  auto it = sessions_.find(session != nullptr ? session->id() : ask.request.headers.Get(kSessionHeader).value_or(""));
  return it == sessions_.end() ? target_.instance : it->second.group->instance();
}

bool Endpoint::Admit(Ask& ask, const Incoming& message) {
  const std::string_view id = message.Part(message.envelope.id);
  if (!AdmitNow(ask, id)) return false;
  Hold(ask);
  const std::string refusal = ToolRefusal(ask, message);
  if (refusal.empty()) return true;
  if (ask.session == nullptr) {
    ask.answer->Json(200, ErrorText(id, mcp::kInvalidParams, refusal));
  } else {
    ask.answer->Accept();
    ask.session->Say(ErrorText(id, mcp::kInvalidParams, refusal));
  }
  return false;
}

Incoming Endpoint::WithTrace(const http::Request& request, Incoming message) const {
  std::vector<std::string> members;
  const mcp::Span params = message.envelope.params;
  const mcp::Span meta = mcp::FindMember(message.text, params, "_meta");
  for (const char* name : {"traceparent", "tracestate", "baggage"}) {
    const std::optional<std::string> value = request.headers.Get(name);
    const bool sent = static_cast<bool>(mcp::FindMember(message.text, meta, name));
    if (value && value->size() <= 512 && !sent && IsUtf8(*value))
      members.push_back(mcp::Quote(name) + ":" + mcp::Quote(*value));
  }
  if (members.empty() || message.envelope.method.empty()) return message;
  const std::string text = Join(members, ",");
  mcp::Edit edit;
  if (mcp::IsObject(message.Part(meta))) {
    edit = mcp::AddMembers(message.text, meta, text);
  } else if (meta || (params && !mcp::IsObject(message.Part(params)))) {
    return message;
  } else if (params) {
    edit = mcp::AddMember(message.text, params, "_meta", "{" + text + "}");
  } else {
    edit = mcp::AddMember(message.text, {0, message.text.size()}, "params", R"({"_meta":{)" + text + "}}");
  }
  Incoming traced{mcp::ApplyEdits(message.text, {edit}), {}};
  StatusOr<mcp::Envelope> envelope = mcp::ReadEnvelope(traced.text, mcp::Validation::kEnvelope);
  if (!envelope.ok()) return message;
  traced.envelope = *std::move(envelope);
  return traced;
}

// What a server that runs on demand needs is some time; any other one is ready or not.
void Endpoint::WhenReady(bool waits, std::function<void()> go, std::function<void(const std::string& why)> fail) {
  const bool wakes = waits || target_.sleeping || target_.server->spec.activation.mode == ActivationMode::kOnDemand;
  if (target_.ready && CurrentGroup() != nullptr) return go();
  if (!wakes || sleepers_.size() >= kMaxSleepers) {
    return fail("the server is not ready" + (target_.reason.empty() ? "" : ": " + target_.reason));
  }
  sleepers_.push_back({std::move(go), std::move(fail), w_.clock.Now() + settings_.wake_timeout});
}

// --- the modern era -----------------------------------------------------------------------------------------------

bool Endpoint::CheckToolHeaders(Ask& ask, const Incoming& message) {
  if (message.envelope.method != "tools/call" || tool_headers_.empty()) return true;
  mcp::Span name, arguments;
  mcp::FindMembers(message.text, message.envelope.params, {{"name", &name}, {"arguments", &arguments}});
  const std::string tool = mcp::Unquote(message.Part(name));
  if (!tool_headers_.Marks(tool)) return true;
  const StatusOr<Json> values = arguments ? ParseJson(message.Part(arguments)) : StatusOr<Json>(Json::object());
  if (!values.ok()) {
    // An argument that stands there twice: nobody knows which one the server takes.
    Refuse(ask, {400,
                 ErrorText(message.Part(message.envelope.id), mcp::kInvalidParams,
                           "params.arguments: " + Message(values.status())),
                 "header"});
    return false;
  }
  for (const auto& [header, expected] : tool_headers_.For(tool, *values)) {
    const std::optional<std::string> sent = ask.request.headers.Get(header);
    const std::optional<std::string> decoded = sent ? DecodeHeaderValue(*sent) : std::nullopt;
    if (decoded && decoded == DecodeHeaderValue(expected)) continue;
    Refuse(ask, {400,
                 ErrorText(message.Part(message.envelope.id), mcp::kHeaderMismatch,
                           "header " + header + (sent ? " is not the argument that it repeats" : " is missing")),
                 "header"});
    return false;
  }
  return true;
}

void Endpoint::OnModern(Ask ask, Incoming message) {
  // The core defines no notification that a client POSTs in this era: accepted, and of no effect.
  if (message.envelope.kind == mcp::MessageKind::kNotification) return ask.answer->Empty(202);
  ModernMeta meta = ReadModernMeta(message.text, message.envelope);
  if (const std::optional<Rejection> bad = CheckModernRequest(ask.request.headers, message, meta))
    return Refuse(ask, *bad);
  if (!CheckToolHeaders(ask, message)) return;
  auto call = std::make_shared<ModernRequest>(ModernRequest{std::move(message), std::move(meta), ask.subject.id});
  auto held = std::make_shared<Ask>(std::move(ask));
  WhenReady(false, self_.Bind([call, held](Endpoint& self) {
    ServerGroup* group = self.CurrentGroup();
    if (group == nullptr) {
      return self.RefuseFull(*held, call->message.Part(call->message.envelope.id),
                             Unavailable("the server is not ready"));
    }
    group->modern().Call(std::move(*call), std::move(held->answer));
  }),
            self_.Bind([call, held](Endpoint& self, const std::string& why) {
              self.RefuseFull(*held, call->message.Part(call->message.envelope.id), Unavailable(why));
            }));
}

void Endpoint::RefuseFull(Ask& ask, std::string_view id, const Status& why) {
  // Aborted: counted where it was refused, as for clients without a session.
  if (why.code() != StatusCode::kAborted)
    w_.metrics.GatewayRejected(why.code() == StatusCode::kResourceExhausted ? "sessions" : "not_ready");
  ask.answer->AddHeader("Retry-After", "10");
  ask.answer->Json(503, ErrorText(id, mcp::kInternalError, Message(why)));
}

std::string_view MethodLabel(std::string_view method) {
  static constexpr std::string_view kKnown[] = {"initialize",
                                                "notifications/initialized",
                                                "ping",
                                                "server/discover",
                                                "subscriptions/listen",
                                                "tools/list",
                                                "tools/call",
                                                "resources/list",
                                                "resources/templates/list",
                                                "resources/read",
                                                "resources/subscribe",
                                                "resources/unsubscribe",
                                                "prompts/list",
                                                "prompts/get",
                                                "completion/complete",
                                                "logging/setLevel",
                                                "notifications/cancelled",
                                                "notifications/progress",
                                                "notifications/roots/list_changed",
                                                "batch",
                                                "GET",
                                                "POST",
                                                "DELETE"};
  for (std::string_view known : kKnown) {
    if (method == known) return known;
  }
  return "other";
}

}  // namespace mcpfleet::gateway
