// The bridge's lanes: which call goes to which child, and what a child says by itself.
#include <algorithm>
#include <utility>

#include <nlohmann/json.hpp>

#include "base/log.h"
#include "base/strings.h"
#include "edge-runtime/gateway/bridge.h"
#include "edge-runtime/mcp/era.h"

namespace mcpfleet::gateway {
namespace {

constexpr size_t kMaxWaiting = 64;
constexpr size_t kMaxHeld = 256;
constexpr size_t kWindow = size_t{1} << 20;  // of a connection, before its server waits
constexpr Duration kTogether = std::chrono::milliseconds(10);
constexpr Duration kLong = std::chrono::seconds(1);  // for a call to keep others waiting

// Capabilities as a key: the same whatever order a client writes them in. What a legacy server does not know is left
// out, so that it makes no difference.
std::string Canonical(std::string_view capabilities) {
  const StatusOr<Json> json = ParseJson(capabilities, {.bytes = size_t{64} << 10, .depth = 32});
  if (!json.ok() || !json->is_object()) return "{}";
  Json kept = Json::object();
  for (const char* name : {"roots", "sampling", "elicitation"}) {
    if (const Json& value = GetMember(*json, name); value.is_object()) kept[name] = value;
  }
  return DumpJson(kept);
}

// Questions are only possible for the sake of these (basic/patterns/mrtr).
bool MayAsk(std::string_view method) {
  return method == "tools/call" || method == "prompts/get" || method == "resources/read";
}

std::string_view CapabilityFor(std::string_view method) {
  if (method == "roots/list") return "roots";
  if (method == "sampling/createMessage") return "sampling";
  return method == "elicitation/create" ? "elicitation" : "";
}

}  // namespace

void InitializeLane(Lane& lane, std::string_view capabilities, std::string_view client_info, Duration patience,
                    const std::function<void(StatusOr<Json> result)>& done) {
  const Json offered = Json::parse(capabilities, nullptr, false);
  const Json info = Json::parse(client_info, nullptr, false);
  const Json params = {{"protocolVersion", std::string(mcp::kLegacyVersion)},
                       {"capabilities", offered.is_object() ? offered : Json::object()},
                       {"clientInfo", info.is_object() ? info : Json{{"name", "mcpfleet"}, {"version", "0"}}}};
  const StatusOr<uint64_t> sent =
      lane.Request("initialize", params, {.answer = [weak = lane.weak_from_this(), done](const Incoming& answer) {
                     const auto alive = weak.lock();
                     if (alive == nullptr) return;
                     if (answer.envelope.kind != mcp::MessageKind::kResult) {
                       const mcp::Span text = mcp::FindMember(answer.text, answer.envelope.error, "message");
                       return done(Unavailable("initialize: " + Printable(mcp::Unquote(answer.Part(text)), 200)));
                     }
                     StatusOr<Json> result = ParseJson(answer.Part(answer.envelope.result));
                     if (result.ok())
                       (void)alive->Send(mcp::SerializeNotification("notifications/initialized", Json()));
                     done(std::move(result));
                   }});
  if (!sent.ok()) return done(sent.status());
  lane.FailAfter(patience, *sent, "the server did not answer in time");
}

uint64_t Bridge::LaneFor(const ModernRequest& request) {
  const std::string capabilities = settings_.shared ? "{}" : Canonical(request.meta.capabilities);
  const std::string subject = settings_.shared ? "" : request.subject;
  uint64_t best = 0;
  for (auto& [number, lane] : lanes_) {
    if (lane.capabilities != capabilities || lane.subject != subject) continue;
    const size_t load = lane.active.size() + lane.waiting.size();
    if (!lane.interactive || load == 0) return number;
    // All are busy: the least so of those that move.
    if (IsHeldUp(lane) || lane.waiting.size() >= kMaxWaiting) continue;
    if (best == 0 || load < lanes_[best].active.size() + lanes_[best].waiting.size()) best = number;
  }
  return best != 0 ? best : OpenLane(request, capabilities, subject);
}

// Whether the call in an interactive lane waits for its client, or takes long: others should not wait for it.
bool Bridge::IsHeldUp(const BridgeLane& lane) const {
  if (!lane.interactive || lane.active.empty()) return false;
  return calls_.at(*lane.active.begin()).http == nullptr || clock_.Now() - lane.used >= kLong;
}

// What waits behind a call that is held up goes elsewhere.
void Bridge::Reassign() {
  std::vector<uint64_t> stuck;
  for (auto& [number, lane] : lanes_) {
    if (IsHeldUp(lane)) stuck.insert(stuck.end(), lane.waiting.begin(), lane.waiting.end());
  }
  for (uint64_t number : stuck) {
    OpenCall& call = calls_[number];
    std::erase(lanes_[call.lane].waiting, number);
    call.lane = LaneFor(call.request);
    lanes_[call.lane].waiting.push_back(number);
    DispatchWaiting(call.lane);
  }
}

uint64_t Bridge::OpenLane(const ModernRequest& request, std::string capabilities, std::string subject) {
  const uint64_t number = next_++;
  BridgeLane& lane = lanes_[number];
  lane.interactive = capabilities != "{}";
  lane.capabilities = std::move(capabilities);
  lane.subject = std::move(subject);
  lane.began = lane.used = clock_.Now();
  new_link_(lane.subject,
            self_.Bind([number, info = request.meta.client_info](Bridge& self, StatusOr<std::unique_ptr<Link>> link) {
              self.OnLink(number, std::move(link), info);
            }));
  return number;
}

void Bridge::OnLink(uint64_t number, StatusOr<std::unique_ptr<Link>> link, const std::string& client_info) {
  auto it = lanes_.find(number);
  if (it == lanes_.end()) return;
  if (!link.ok()) return OnLaneClosed(number, link.status());
  BridgeLane& lane = it->second;
  lane.lane = std::make_shared<Lane>(loop_, *std::move(link));
  lane.lane->Start(
      {.notification =
           self_.Bind([number](Bridge& self, const Incoming& message) { self.OnNotification(number, message); }),
       .request = self_.Bind([number](Bridge& self, const Incoming& message) { self.OnRequest(number, message); }),
       .closed = self_.Bind([number](Bridge& self, const Status& why) { self.OnLaneClosed(number, why); })});
  InitializeLane(
      *lane.lane, lane.capabilities, client_info, settings_.handshake_timeout,
      self_.Bind([number](Bridge& self, StatusOr<Json> result) { self.OnInitialized(number, std::move(result)); }));
}

void Bridge::OnInitialized(uint64_t number, StatusOr<Json> result) {
  auto it = lanes_.find(number);
  if (it == lanes_.end()) return;
  if (!result.ok()) return OnLaneClosed(number, result.status());
  BridgeLane& lane = it->second;
  lane.initialize_result = *std::move(result);
  const Json& info = GetMember(lane.initialize_result, "serverInfo");
  if (info.is_object()) lane.server_info = DumpJson(info);
  lane.ready = true;
  for (auto& [id, listener] : listeners_) {
    if (listener.lane == number) BeginListening(id);
  }
  DispatchWaiting(number);
}

// The child is gone, or never came: what waits for it goes elsewhere or fails.
void Bridge::OnLaneClosed(uint64_t number, const Status& why) {
  auto it = lanes_.find(number);
  if (it == lanes_.end()) return;
  BridgeLane lane = std::move(it->second);
  lanes_.erase(it);
  loop_.Post([keep = lane.lane] {});  // we may be inside of it
  for (uint64_t call : std::set<uint64_t>(lane.active)) {
    Fail(call, 200, mcp::kInternalError, "the server has ended: " + Message(why));
  }
  const bool full = why.code() == StatusCode::kResourceExhausted;
  for (uint64_t call : lane.waiting) {
    // With no room for another child those that there are must do.
    const auto other = std::find_if(lanes_.begin(), lanes_.end(), [&](const auto& each) {
      return each.second.capabilities == lane.capabilities && each.second.subject == lane.subject;
    });
    if (full && other != lanes_.end() && other->second.waiting.size() < kMaxWaiting) {
      calls_[call].lane = other->first;
      other->second.waiting.push_back(call);
      DispatchWaiting(other->first);
    } else {
      Fail(call, 503, mcp::kInternalError, Message(why));
    }
  }
  std::vector<uint64_t> ending;
  for (const auto& [id, listener] : listeners_) {
    if (listener.lane == number) ending.push_back(id);
  }
  for (uint64_t id : ending) EndListening(id, why);
}

void Bridge::DispatchWaiting(uint64_t number) {
  auto it = lanes_.find(number);
  if (it == lanes_.end() || !it->second.ready) return;
  BridgeLane& lane = it->second;
  while (!lane.waiting.empty() && (!lane.interactive || lane.active.empty())) {
    const uint64_t call = lane.waiting.front();
    lane.waiting.pop_front();
    Dispatch(call, number);
    if (!lanes_.contains(number)) return;
  }
}

void Bridge::Dispatch(uint64_t number, uint64_t lane_number) {
  auto it = calls_.find(number);
  if (it == calls_.end()) return;
  OpenCall& call = it->second;
  BridgeLane& lane = lanes_[lane_number];
  lane.used = clock_.Now();
  const Incoming& message = call.request.message;
  if (message.envelope.method == "server/discover") {
    Incoming answer{ResultText(call.http->id(), DiscoverResult(lane.initialize_result)), {}};
    answer.envelope = mcp::ReadEnvelope(answer.text, mcp::Validation::kEnvelope).value_or(mcp::Envelope{});
    return FinishWith(number, answer);
  }
  const std::string& level = call.request.meta.log_level;
  const bool logs = GetMember(GetMember(lane.initialize_result, "capabilities"), "logging").is_object();
  if (logs && !level.empty() && level != lane.level) {
    lane.level = level;
    (void)lane.lane->Request("logging/setLevel", {{"level", mcp::Unquote(level)}}, {});
  }
  const Incoming stripped = ForLegacyServer(message);
  const StatusOr<uint64_t> sent = lane.lane->Request(
      stripped.text, stripped.envelope, {},
      {.progress = self_.Bind([number](Bridge& self, std::string line) { self.OnProgress(number, std::move(line)); }),
       .answer = self_.Bind([number](Bridge& self, Incoming answer) { self.OnAnswer(number, std::move(answer)); })});
  if (!sent.ok()) return Fail(number, 503, mcp::kInternalError, Message(sent.status()));
  call.lane_call = *sent;
  lane.active.insert(number);
}

// While the client is asked nobody listens: it comes on the stream of the request that goes on with the call.
void Bridge::OnProgress(uint64_t number, std::string line) {
  auto it = calls_.find(number);
  if (it == calls_.end()) return;
  OpenCall& call = it->second;
  if (call.http != nullptr) {
    call.http->Notify(line, clock_.Now());
    return Restrain(call.lane, *call.http);
  }
  if (call.held.size() < kMaxHeld) call.held.push_back(std::move(line));
}

// A client that reads more slowly than its server writes: the server's turn to wait, where all of its clients are one.
void Bridge::Restrain(uint64_t number, PendingCall& http) {
  auto it = lanes_.find(number);
  if (settings_.shared || http.queued() <= kWindow || it == lanes_.end() || it->second.lane == nullptr) return;
  if (std::exchange(it->second.restrained, true)) return;
  it->second.lane->Pause(true);
  http.OnDrained(kWindow / 2, self_.Bind([number](Bridge& self) {
    auto lane = self.lanes_.find(number);
    if (lane == self.lanes_.end()) return;
    lane->second.restrained = false;
    lane->second.lane->Pause(false);
  }));
}

// The call is no longer at its lane; the next one may be.
void Bridge::Leave(uint64_t number) {
  auto call = calls_.find(number);
  if (call == calls_.end()) return;
  auto it = lanes_.find(call->second.lane);
  if (it == lanes_.end()) return;
  it->second.active.erase(number);
  std::erase(it->second.waiting, number);
  it->second.used = clock_.Now();
  // From the loop: whoever leaves is still looking at the lane.
  loop_.Post(self_.Bind([lane = it->first](Bridge& self) { self.DispatchWaiting(lane); }));
}

void Bridge::OnNotification(uint64_t number, const Incoming& message) {
  auto it = lanes_.find(number);
  if (it == lanes_.end()) return;
  const std::string& method = message.envelope.method;
  if (method == "notifications/message") {
    // A line names no call: it is shown where there is no doubt.
    OpenCall* only = nullptr;
    for (uint64_t id : it->second.active) {
      OpenCall& call = calls_[id];
      if (call.request.meta.log_level.empty()) continue;
      if (only != nullptr) return;
      only = &call;
    }
    if (only == nullptr || only->http == nullptr) return;
    only->http->Notify(message.text, clock_.Now());
    return Restrain(number, *only->http);
  }
  const mcp::Span uri = mcp::FindMember(message.text, message.envelope.params, "uri");
  for (auto& [id, listener] : listeners_) {
    if (!listener.begun || (listener.subject != it->second.subject && !settings_.shared)) continue;
    const bool wanted = method == "notifications/resources/updated"
                            ? listener.uris.contains(mcp::Unquote(message.Part(uri)))
                            : listener.methods.contains(method);
    if (!wanted) continue;
    const std::string meta = "{" + mcp::Quote(kMetaSubscription) + ":" + listener.http->id() + "}";
    const mcp::Span params = message.envelope.params;
    const mcp::Span present = mcp::FindMember(message.text, params, "_meta");
    mcp::Edit edit;
    if (mcp::IsObject(message.Part(present))) {
      edit = mcp::AddMember(message.text, present, kMetaSubscription, listener.http->id());
    } else if (present) {
      edit = {present, meta};
    } else if (mcp::IsObject(message.Part(params))) {
      edit = mcp::AddMember(message.text, params, "_meta", meta);
    } else {
      edit = mcp::AddMember(message.text, {0, message.text.size()}, "params", R"({"_meta":)" + meta + "}");
    }
    listener.http->Notify(mcp::ApplyEdits(message.text, {edit}), clock_.Now());
    Restrain(number, *listener.http);
  }
}

void Bridge::OnRequest(uint64_t number, const Incoming& message) {
  auto it = lanes_.find(number);
  if (it == lanes_.end() || it->second.lane == nullptr) return;
  BridgeLane& lane = it->second;
  const std::string id(message.Part(message.envelope.id));
  const std::string_view capability = CapabilityFor(message.envelope.method);
  if (capability.empty() || !Declares(lane.capabilities, capability)) {
    if (!capability.empty() && lane.active.size() == 1) calls_[*lane.active.begin()].lacks = capability;
    (void)lane.lane->Send(
        ErrorText(id, mcp::kMethodNotFound, "this client offers no " + Printable(message.envelope.method, 80)));
    return;
  }
  const bool one = lane.active.size() == 1 && MayAsk(calls_[*lane.active.begin()].request.message.envelope.method);
  if (!one) {
    (void)lane.lane->Send(ErrorText(id, mcp::kInternalError, "no call is under way for which the client can be asked"));
    return;
  }
  const uint64_t call = *lane.active.begin();
  calls_[call].questions["q" + std::to_string(next_++)] = {id, message.envelope.method,
                                                           std::string(message.Part(message.envelope.params))};
  // A server that asks several things at once gets them asked at once.
  loop_.PostAt(clock_.Now() + kTogether, self_.Bind([call](Bridge& self) { self.AskClient(call); }));
}

bool Bridge::IsIdle(uint64_t number, const BridgeLane& lane) const {
  if (!lane.ready || !lane.active.empty() || !lane.waiting.empty()) return false;
  return std::none_of(listeners_.begin(), listeners_.end(),
                      [&](const auto& each) { return each.second.lane == number; });
}

MonoTime Bridge::OldestIdle() const {
  MonoTime oldest = MonoTime::max();
  for (const auto& [number, lane] : lanes_) {
    if (IsIdle(number, lane)) oldest = std::min(oldest, lane.used);
  }
  return oldest;
}

size_t Bridge::idle() const {
  return static_cast<size_t>(
      std::count_if(lanes_.begin(), lanes_.end(), [&](const auto& each) { return IsIdle(each.first, each.second); }));
}

bool Bridge::EvictOne() {
  const MonoTime oldest = OldestIdle();
  for (auto it = lanes_.begin(); it != lanes_.end(); ++it) {
    if (!IsIdle(it->first, it->second) || it->second.used != oldest) continue;
    lanes_.erase(it);
    return true;
  }
  return false;
}

}  // namespace mcpfleet::gateway
