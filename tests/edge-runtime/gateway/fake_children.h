// A session host whose children the test plays; everything on the test's thread, which is the host's as well. Lines
// come from the loop, as in the gateway.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "controller/ports/client_sessions.h"
#include "tests/edge-runtime/gateway/fakes.h"

namespace mcpfleet::gateway::test {

class FakeChannel final : public StdioChannel, public std::enable_shared_from_this<FakeChannel> {
 public:
  explicit FakeChannel(Loop& loop) : loop_(loop) {}
  Status Send(std::string_view line, Deadline) override {
    if (closed_) return Unavailable("child: its stdin is closed");
    EXPECT_EQ(line.find('\n'), std::string_view::npos);
    sent.emplace_back(line);
    return OkStatus();
  }
  void SetReceiver(std::function<void(std::string line)> receiver) override {
    receiver_ = receiver ? std::make_shared<std::function<void(std::string)>>(std::move(receiver)) : nullptr;
    DeliverLater();
  }
  Status SaveNote(std::string_view text) override {
    note = text;
    return OkStatus();
  }
  std::string LoadNote() const override { return note; }
  std::string DoubtfulLine() const override { return doubtful; }
  void SettleDoubt() override { doubtful.clear(); }
  MonoTime last_activity() const override { return {}; }
  bool closed() const override { return closed_; }

  void Say(const std::string& line) {
    lines_.push_back(line);
    DeliverLater();
  }
  void Say(const char* line) { Say(std::string(line)); }
  void Say(const Json& message) { Say(message.dump()); }
  // The next message that the server has not read yet; null when there is none.
  Json Next() { return read < sent.size() ? Json::parse(sent[read++], nullptr, false) : Json(); }
  Json Next(const std::string& method) {
    Json message = Next();
    EXPECT_EQ(GetString(message, "method"), method) << message;
    return message;
  }
  void Answer(const Json& request, const Json& result) {
    ASSERT_TRUE(request.is_object() && request.contains("id")) << request;
    Say(ResultOf(request["id"], result));
  }
  void Finish(std::function<void()> ended) {
    closed_ = true;
    ended_ = std::move(ended);
    DeliverLater();
  }

  std::vector<std::string> sent;
  size_t read = 0;
  std::string note, doubtful;
  size_t unread() const { return lines_.size(); }

 private:
  void DeliverLater() {
    if (receiver_ == nullptr) return;
    loop_.Post([weak = weak_from_this()] {
      if (const auto self = weak.lock()) self->Deliver();
    });
  }
  void Deliver() {
    while (!lines_.empty() && receiver_ != nullptr) {
      const auto receiver = receiver_;
      const std::string line = std::move(lines_.front());
      lines_.pop_front();
      (*receiver)(std::string(line));
    }
    if (lines_.empty() && receiver_ != nullptr) {
      if (const auto ended = std::exchange(ended_, nullptr)) ended();
    }
  }
  Loop& loop_;
  std::shared_ptr<std::function<void(std::string)>> receiver_;  // shared with a delivery under way
  std::deque<std::string> lines_;
  std::function<void()> ended_;
  bool closed_ = false;
};

class FakeHost final : public ClientSessions {
 public:
  explicit FakeHost(Loop& loop) : loop_(loop) {}
  struct Child {
    std::string instance;
    uint64_t id = 0;
    std::shared_ptr<FakeChannel> channel;
    std::function<void(StatusOr<ClientChild>)> spawned;
    bool running = false, ending = false, gone = false;
  };

  void SpawnClient(const std::string& instance, const std::vector<std::string>&, const std::vector<EnvVar>&,
                   std::function<void(StatusOr<ClientChild>)> done) override {
    children.push_back({instance, children.size() + 1, std::make_shared<FakeChannel>(loop_), std::move(done)});
    if (start_at_once) Started(children.size() - 1);
  }
  void EndClient(const std::string& instance, uint64_t id, Duration) override {
    for (Child& child : children) {
      if (child.instance != instance || child.id != id || child.gone) continue;
      child.ending = true;
      ended.push_back(id);
    }
  }
  std::vector<ClientChild> Clients(const std::string& instance) const override {
    std::vector<ClientChild> out;
    for (const Child& child : children) {
      if (child.instance == instance && child.running && !child.ending && !child.gone)
        out.push_back({instance, child.id, child.channel});
    }
    return out;
  }
  int ClientCount(const std::string& instance) const override {
    int count = 0;
    for (const Child& child : children) count += child.instance == instance && !child.gone ? 1 : 0;
    return count;
  }
  int ClientIoFd() const override { return -1; }
  void RunClientIo() override {}
  std::optional<bool> SeparatesClients(const std::string&) const override { return separates; }
  void SetClientListener(
      std::function<void(const std::string& instance, uint64_t id, ClientEvent event)> changed) override {
    listener_ = std::move(changed);
  }

  // The shim says that it runs, or that it does not.
  void Started(size_t i) {
    children.at(i).running = true;
    const Child child = children[i];
    if (const auto tell = std::exchange(children[i].spawned, nullptr))
      tell(ClientChild{child.instance, child.id, child.channel});
  }
  void Failed(size_t i, const Status& why) {
    children.at(i).gone = true;
    if (const auto tell = std::exchange(children[i].spawned, nullptr)) tell(why);
  }
  // One that ran before this mcplet.
  void Before(const std::string& instance, const std::string& note, const std::string& doubtful) {
    children.push_back({instance, children.size() + 1, std::make_shared<FakeChannel>(loop_), nullptr, true});
    children.back().channel->note = note;
    children.back().channel->doubtful = doubtful;
  }
  // Its process ends, and with it its tree.
  void End(size_t i) {
    const Child child = children.at(i);
    children[i].gone = true;
    Child told = child;
    told.channel = nullptr;  // what the channel keeps must not keep the channel
    child.channel->Finish([this, told] { Tell(told, ClientEvent::kEnded); });
    Tell(child, ClientEvent::kGone);
  }
  // Those that were told to end do so.
  void EndAll() {
    for (size_t i = 0; i < children.size(); ++i) {
      if (children[i].ending && !children[i].gone) End(i);
    }
  }
  FakeChannel& channel(size_t i) { return *children.at(i).channel; }
  uint64_t id(size_t i) const { return children.at(i).id; }
  int alive() const {
    int count = 0;
    for (const Child& child : children) count += !child.gone && !child.ending ? 1 : 0;
    return count;
  }

  std::deque<Child> children;
  std::vector<uint64_t> ended;
  bool start_at_once = false;
  std::optional<bool> separates = true;

 private:
  void Tell(const Child& child, ClientEvent event) {
    if (listener_) listener_(child.instance, child.id, event);
  }
  Loop& loop_;
  std::function<void(const std::string&, uint64_t, ClientEvent)> listener_;
};

}  // namespace mcpfleet::gateway::test
