// The gateway's surroundings for tests: a loop that runs when told to, a server behind a link, a client behind an
// answer. All of it on the test's thread. The fakes refuse what reality refuses: a link that calls back from inside of
// Send, an answer that is given twice.
#pragma once

#include <gtest/gtest.h>

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "base/http/server.h"
#include "edge-runtime/gateway/answer.h"
#include "edge-runtime/gateway/lane.h"
#include "edge-runtime/gateway/link.h"
#include "edge-runtime/gateway/loop.h"
#include "edge-runtime/mcp/envelope.h"
#include "edge-runtime/mcp/sse.h"

namespace mcpfleet::gateway::test {

using namespace std::chrono_literals;

// Runs what was posted when the test says so, and what was posted for later when its FakeClock has come there.
class ManualLoop final : public Loop {
 public:
  explicit ManualLoop(FakeClock* clock) : clock_(clock) {}
  MonoTime Now() const override { return clock_->Now(); }
  void Post(std::function<void()> task) override { tasks_.push_back(std::move(task)); }
  void PostAt(MonoTime when, std::function<void()> task) override { timers_.emplace(when, std::move(task)); }

  // One task; false when there is none.
  bool Step() {
    while (!timers_.empty() && timers_.begin()->first <= clock_->Now()) {
      tasks_.push_back(std::move(timers_.begin()->second));
      timers_.erase(timers_.begin());
    }
    if (tasks_.empty()) return false;
    const std::function<void()> task = std::move(tasks_.front());
    tasks_.pop_front();
    task();
    return true;
  }
  // Until nothing is left to do now.
  void Run() {
    for (int steps = 0; Step(); ++steps) ASSERT_LT(steps, 100'000) << "the loop never comes to rest";
  }
  void Advance(Duration by) {
    Run();
    const MonoTime until = clock_->Now() + by;
    while (!timers_.empty() && timers_.begin()->first <= until) {
      clock_->Advance(std::max(Duration{0}, timers_.begin()->first - clock_->Now()));
      Run();
    }
    clock_->Advance(until - clock_->Now());
    Run();
  }
  size_t waiting() const { return tasks_.size(); }

 private:
  FakeClock* const clock_;
  std::deque<std::function<void()>> tasks_;
  std::multimap<MonoTime, std::function<void()>> timers_;
};

// A server as a test plays it; outlives its link.
struct Wire {
  std::vector<std::string> sent;  // to the server
  size_t read = 0;
  Link::Events events;
  bool started = false, destroyed = false, released = false, settled = false, paused = false;
  std::string note;
  Status send_status = OkStatus();

  // The next message that the server has not read yet; null when there is none.
  Json Next() { return read < sent.size() ? Json::parse(sent[read++], nullptr, false) : Json(); }
  // Like Next, for the test that knows what comes.
  Json Next(const std::string& method) {
    Json message = Next();
    EXPECT_EQ(GetString(message, "method"), method) << message;
    return message;
  }
  bool AllRead() const { return read == sent.size(); }
  void Say(const std::string& line) {
    // A copy: whoever hears it may let go of the link.
    if (const auto hear = events.on_line) hear(line);
  }
  void Say(const char* line) { Say(std::string(line)); }
  void Say(const Json& message) { Say(message.dump()); }
  void Answer(const Json& request, const Json& result) {
    ASSERT_TRUE(request.is_object() && request.contains("id")) << request;
    Say(Json{{"jsonrpc", "2.0"}, {"id", request["id"]}, {"result", result}});
  }
  void Refuse(const Json& request, int code, const std::string& message) {
    Say(Json{{"jsonrpc", "2.0"}, {"id", request.at("id")}, {"error", {{"code", code}, {"message", message}}}});
  }
  void Notify(const std::string& method, const Json& params = nullptr) {
    Json message = {{"jsonrpc", "2.0"}, {"method", method}};
    if (!params.is_null()) message["params"] = params;
    Say(message);
  }
  void Ask(const Json& id, const std::string& method, const Json& params = Json::object()) {
    Say(Json{{"jsonrpc", "2.0"}, {"id", id}, {"method", method}, {"params", params}});
  }
  void Close(const Status& why = Unavailable("its process has ended")) {
    if (const auto tell = std::exchange(events.on_closed, nullptr)) tell(why);
  }
};

class ScriptedLink final : public Link {
 public:
  explicit ScriptedLink(std::shared_ptr<Wire> wire) : wire_(std::move(wire)) {}
  ~ScriptedLink() override {
    wire_->destroyed = true;
    wire_->events = {};
  }
  void Start(Events events) override {
    EXPECT_FALSE(wire_->started);
    wire_->started = true;
    wire_->events = std::move(events);
  }
  Status Send(std::string_view line) override {
    EXPECT_TRUE(wire_->started);
    EXPECT_EQ(line.find_first_of("\r\n"), std::string_view::npos) << "not one line: " << line;
    EXPECT_TRUE(Json::accept(line)) << line;
    if (!wire_->send_status.ok()) return wire_->send_status;
    wire_->sent.emplace_back(line);
    return OkStatus();
  }
  void Keep(std::string_view note) override { wire_->note = note; }
  void SettleDoubt() override { wire_->settled = true; }
  void Pause(bool paused) override { wire_->paused = paused; }
  void Release() override { wire_->released = true; }

 private:
  const std::shared_ptr<Wire> wire_;  // shared with the test
};

// Gives links to servers that the test plays, as NewLink does: from the loop.
class Wires {
 public:
  using Done = std::function<void(StatusOr<std::unique_ptr<Link>>)>;
  explicit Wires(Loop* loop) : loop_(loop) {}
  void Open(Done done) {
    loop_->Post([this, done = std::move(done)] {
      if (!refusal.ok()) return done(refusal);
      all.push_back(std::make_shared<Wire>());
      done(std::unique_ptr<Link>(std::make_unique<ScriptedLink>(all.back())));
    });
  }
  std::function<void(Done)> AsNewLink() {
    return [this](Done done) { Open(std::move(done)); };
  }
  std::function<void(const std::string&, Done)> AsNewLinkFor() {
    return [this](const std::string&, Done done) { Open(std::move(done)); };
  }
  Wire& operator[](size_t i) {
    if (i >= all.size()) {
      ADD_FAILURE() << "there is no link " << i;
      while (i >= all.size()) all.push_back(std::make_shared<Wire>());
    }
    return *all[i];
  }
  size_t size() const { return all.size(); }

  std::vector<std::shared_ptr<Wire>> all;
  Status refusal = OkStatus();

 private:
  Loop* const loop_;
};

// What a client sees of one HTTP request.
struct Exchange {
  http::Peer peer{.address = "127.0.0.1:50000"};
  std::optional<http::Response> response;  // one body, or the head of the stream
  bool streaming = false, ended = false, gone = false;
  bool slow = false;  // it takes nothing for now: what is written waits
  size_t queued = 0;
  std::function<void()> on_drained;
  bool stalled = false;  // the connection takes bytes but delivers none: nobody knows that the peer is gone
  std::string bytes;
  std::function<void()> on_gone;

  int status() const { return response ? response->status : 0; }
  std::string Header(std::string_view name) const { return response ? response->headers.Get(name).value_or("") : ""; }
  bool Done() const { return response && (!streaming || ended); }
  Json Body() const {
    EXPECT_TRUE(response && !streaming) << "no body";
    return response ? Json::parse(response->body, nullptr, false) : Json();
  }
  std::vector<mcp::SseEvent> Events() const {
    mcp::SseParser parser;
    StatusOr<std::vector<mcp::SseEvent>> events = parser.Feed(bytes);
    EXPECT_TRUE(events.ok());
    return events.ok() ? *std::move(events) : std::vector<mcp::SseEvent>();
  }
  // Of events with a message in them.
  std::vector<Json> Messages() const {
    std::vector<Json> messages;
    for (const mcp::SseEvent& event : Events()) {
      if (event.data.empty()) continue;
      messages.push_back(Json::parse(event.data, nullptr, false));
      EXPECT_FALSE(messages.back().is_discarded()) << event.data;
    }
    return messages;
  }
  // The final message, however it was sent.
  Json Final() const {
    if (!Done()) return nullptr;
    if (!streaming) return Body();
    const std::vector<Json> messages = Messages();
    return messages.empty() ? Json() : messages.back();
  }
  // It took what was waiting for it.
  void Drain() {
    queued = 0;
    if (const auto tell = std::exchange(on_drained, nullptr)) tell();
  }
  // The client breaks the connection.
  void Leave() {
    gone = true;
    if (const auto tell = std::exchange(on_gone, nullptr)) tell();
  }
};

class FakeStream final : public http::StreamWriter {
 public:
  explicit FakeStream(std::shared_ptr<Exchange> to) : to_(std::move(to)) {}
  ~FakeStream() override { End(); }
  bool Write(std::string_view bytes) override {
    EXPECT_FALSE(to_->ended) << "written after the end: " << bytes;
    if (closed()) return false;
    to_->bytes += bytes;
    if (to_->slow) to_->queued += bytes.size();
    return true;
  }
  size_t queued() const override { return to_->queued; }
  void OnDrained(size_t, std::function<void()> drained) override { to_->on_drained = std::move(drained); }
  void End() override {
    to_->ended = true;
    if (!to_->stalled) to_->on_gone = nullptr;
  }
  bool closed() const override { return to_->gone || to_->ended; }

 private:
  const std::shared_ptr<Exchange> to_;
};

class FakeResponder final : public http::Responder {
 public:
  explicit FakeResponder(std::shared_ptr<Exchange> to) : to_(std::move(to)) {}
  ~FakeResponder() override { EXPECT_TRUE(to_->response || to_->gone) << "dropped unanswered"; }
  const http::Peer& peer() const override { return to_->peer; }
  void Send(http::Response response) override {
    EXPECT_FALSE(to_->response) << "answered twice";
    to_->response = std::move(response);
    to_->on_gone = nullptr;
  }
  std::shared_ptr<http::StreamWriter> StartStream(http::Response head) override {
    EXPECT_FALSE(to_->response) << "answered twice";
    to_->response = std::move(head);
    to_->streaming = true;
    return std::make_shared<FakeStream>(to_);
  }
  std::shared_ptr<http::WebSocket> AcceptWebSocket(http::WebSocketCallbacks) override { return nullptr; }
  void OnGone(std::function<void()> gone) override {
    to_->on_gone = std::move(gone);
    if (to_->gone) to_->Leave();
  }

 private:
  const std::shared_ptr<Exchange> to_;
};

inline std::unique_ptr<gateway::Answer> AnswerTo(const std::shared_ptr<Exchange>& exchange) {
  return std::make_unique<gateway::Answer>(std::make_shared<FakeResponder>(exchange));
}

// A message as it would have been read.
inline Incoming Parsed(std::string text) {
  StatusOr<mcp::Envelope> envelope = mcp::ReadEnvelope(text, mcp::Validation::kWhole);
  EXPECT_TRUE(envelope.ok()) << envelope.status() << ": " << text;
  return {std::move(text), envelope.ok() ? *std::move(envelope) : mcp::Envelope{}};
}
inline Incoming Parsed(const char* text) { return Parsed(std::string(text)); }
inline Incoming Parsed(const Json& message) { return Parsed(message.dump()); }
inline Json RequestOf(const Json& id, const std::string& method, const Json& params = Json::object()) {
  return {{"jsonrpc", "2.0"}, {"id", id}, {"method", method}, {"params", params}};
}
inline Json NotificationOf(const std::string& method, const Json& params = Json::object()) {
  return {{"jsonrpc", "2.0"}, {"method", method}, {"params", params}};
}
inline Json ResultOf(const Json& id, const Json& result) {
  return {{"jsonrpc", "2.0"}, {"id", id}, {"result", result}};
}
inline int64_t CodeOf(const Json& message) { return GetInt(GetMember(message, "error"), "code"); }

}  // namespace mcpfleet::gateway::test
