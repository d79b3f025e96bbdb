#include "edge-runtime/mcplet/status_publisher.h"

#include <gtest/gtest.h>

#include "base/json.h"
#include "base/mutex.h"
#include "crd/codec.h"

namespace mcpfleet {
namespace {

// Keeps what was put; fails while told to.
class PutsOnly final : public KvClient {
 public:
  StatusOr<std::optional<KvValue>> Get(std::string_view, Deadline) override { return Unimplemented("get"); }
  StatusOr<std::map<std::string, std::string>> BulkGet(const std::vector<std::string>&, Deadline) override {
    return Unimplemented("bulk get");
  }
  StatusOr<KvPage> List(std::string_view, std::string_view, size_t, Deadline) override { return Unimplemented("list"); }
  Status Put(std::string_view key, std::string_view value, const KvPutOptions& options, Deadline) override {
    MutexLock lock(&mu_);
    moved_.NotifyAll();
    if (failures_ > 0) {
      --failures_;
      return Unavailable("store away");
    }
    EXPECT_LE(options.metadata.size(), 1024u);
    puts_.emplace_back(key, value);
    return OkStatus();
  }
  Status BulkPut(const std::vector<KvPair>&, Deadline) override { return Unimplemented("bulk put"); }
  Status Delete(std::string_view, Deadline) override { return Unimplemented("delete"); }
  Status BulkDelete(const std::vector<std::string>&, Deadline) override { return Unimplemented("bulk delete"); }

  void Fail(int times) {
    MutexLock lock(&mu_);
    failures_ = times;
  }
  // The `n`th put, once it came.
  std::optional<std::pair<std::string, std::string>> Await(size_t n) {
    Deadline deadline = Deadline::After(std::chrono::seconds(10));
    MutexLock lock(&mu_);
    while (puts_.size() <= n) {
      if (!moved_.WaitUntil(&mu_, deadline)) return std::nullopt;
    }
    return puts_[n];
  }
  size_t count() {
    MutexLock lock(&mu_);
    return puts_.size();
  }

 private:
  Mutex mu_;
  CondVar moved_;
  std::vector<std::pair<std::string, std::string>> puts_ GUARDED_BY(mu_);
  int failures_ GUARDED_BY(mu_) = 0;
};

StatusPublisherOptions Options() {
  return {.node = "edge-01", .boot_id = "b", .version = "v", .min_interval = std::chrono::milliseconds(20)};
}

ServerStatus Weather(int64_t generation) {
  return {.key = {"default", "weather"}, .uid = "u", .observed_generation = generation};
}

TEST(StatusPublisherTest, AChangeIsWrittenUnderTheNodesKey) {
  PutsOnly kv;
  SystemClock clock;
  StatusPublisher publisher(kv, clock, Options());
  publisher.Set(Weather(1));
  publisher.Start();
  auto put = kv.Await(0);
  ASSERT_TRUE(put.has_value());
  EXPECT_EQ(put->first, "nodes/edge-01");
  StatusOr<NodeStatus> status = NodeStatusFromJson(*ParseJson(put->second));
  ASSERT_TRUE(status.ok()) << status.status();
  EXPECT_EQ(status->boot_id, "b");
  EXPECT_EQ(status->sequence, 1);
  ASSERT_EQ(status->servers.size(), 1u);
}

TEST(StatusPublisherTest, NothingNewIsNotWrittenAgain) {
  PutsOnly kv;
  SystemClock clock;
  StatusPublisher publisher(kv, clock, Options());
  publisher.Start();
  ASSERT_TRUE(kv.Await(0).has_value());
  publisher.Set(Weather(1));
  ASSERT_TRUE(kv.Await(1).has_value());
  publisher.Set(Weather(1));
  ServerStatus waiting = Weather(1);
  waiting.restarts.next_attempt_at = clock.Wall();  // volatile
  publisher.Set(waiting);
  publisher.Stop();
  EXPECT_EQ(kv.count(), 2u);
}

TEST(StatusPublisherTest, AStoreThatWasAwayGetsTheLatest) {
  PutsOnly kv;
  kv.Fail(2);
  SystemClock clock;
  StatusPublisher publisher(kv, clock, Options());
  publisher.Start();
  publisher.Set(Weather(7));
  auto put = kv.Await(0);
  ASSERT_TRUE(put.has_value());
  EXPECT_EQ(NodeStatusFromJson(*ParseJson(put->second))->servers.front().observed_generation, 7);
}

TEST(StatusPublisherTest, TheOutcomeOfEachWriteIsTold) {
  PutsOnly kv;
  kv.Fail(1);
  SystemClock clock;
  std::vector<std::string> told;  // of the publisher's thread until Stop
  StatusPublisherOptions options = Options();
  options.on_write = [&told](const Status& written) { told.push_back(written.ok() ? "ok" : Message(written)); };
  StatusPublisher publisher(kv, clock, options);
  publisher.Start();
  ASSERT_TRUE(kv.Await(0).has_value());
  publisher.Stop();
  ASSERT_GE(told.size(), 2u);
  EXPECT_EQ(told[0], "store away");
  EXPECT_EQ(told[1], "ok");
}

// A socket that takes statuses; it acknowledges them as the test says.
struct Socket {
  Mutex mu;
  CondVar moved;
  std::vector<std::string> sent GUARDED_BY(mu);
  bool open GUARDED_BY(mu) = true;

  std::function<bool(const std::string&, const std::string&)> Push() {
    return [this](const std::string& status, const std::string& metadata) {
      EXPECT_LE(metadata.size(), 1024u);
      MutexLock lock(&mu);
      if (open) sent.push_back(status);
      moved.NotifyAll();
      return open;
    };
  }
  // The sequence of the `n`th status, once it was sent; -1 when it never is.
  int64_t Await(size_t n) {
    Deadline deadline = Deadline::After(std::chrono::seconds(10));
    MutexLock lock(&mu);
    while (sent.size() <= n) {
      if (!moved.WaitUntil(&mu, deadline)) return -1;
    }
    return GetInt(*ParseJson(sent[n]), "sequence");
  }
  size_t count() {
    MutexLock lock(&mu);
    return sent.size();
  }
};

StatusPublisherOptions OverSocket(Socket& socket) {
  StatusPublisherOptions options = Options();
  options.push = socket.Push();
  options.push_interval = std::chrono::milliseconds(1);
  return options;
}

TEST(StatusPublisherTest, WhatTheSocketAcknowledgesIsNotPut) {
  PutsOnly kv;
  SystemClock clock;
  Socket socket;
  std::vector<std::string> told;  // of the publisher's thread until Stop
  StatusPublisherOptions options = OverSocket(socket);
  options.on_write = [&told](const Status& written) { told.push_back(written.ok() ? "ok" : Message(written)); };
  StatusPublisher publisher(kv, clock, options);
  publisher.Start();
  EXPECT_EQ(socket.Await(0), 1);
  publisher.Stored(1);
  publisher.Set(Weather(1));
  EXPECT_EQ(socket.Await(1), 2);
  publisher.Stored(1);  // late, and of the one before
  publisher.Stored(2);
  publisher.Stop();
  EXPECT_EQ(socket.count(), 2u);
  EXPECT_EQ(kv.count(), 0u);
  EXPECT_EQ(told, (std::vector<std::string>{"ok", "ok"}));
}

TEST(StatusPublisherTest, WithoutASocketOrAnAcknowledgementItIsPut) {
  PutsOnly kv;
  SystemClock clock;
  Socket socket;
  StatusPublisherOptions options = OverSocket(socket);
  options.push_timeout = std::chrono::milliseconds(50);
  StatusPublisher publisher(kv, clock, options);
  publisher.Start();
  // Nothing comes back.
  ASSERT_TRUE(kv.Await(0).has_value());
  EXPECT_EQ(socket.count(), 1u);
  // The store claims what it can't have.
  publisher.Stored(1'000'000);
  publisher.Set(Weather(1));
  EXPECT_EQ(socket.Await(1), 2);
  ASSERT_TRUE(kv.Await(1).has_value()) << "an acknowledgement from before counts for nothing";
  // No socket.
  {
    MutexLock lock(&socket.mu);
    socket.open = false;
  }
  publisher.Set(Weather(2));
  auto put = kv.Await(2);
  ASSERT_TRUE(put.has_value());
  EXPECT_EQ(GetInt(*ParseJson(put->second), "sequence"), 3);
}

TEST(StatusPublisherTest, ASocketThatIsGoneOrRefusesCostsNoWait) {
  PutsOnly kv;
  SystemClock clock;
  Socket socket;
  StatusPublisherOptions options = OverSocket(socket);
  options.push_timeout = std::chrono::minutes(10);
  StatusPublisher publisher(kv, clock, options);
  publisher.Start();
  EXPECT_EQ(socket.Await(0), 1);
  publisher.PushFailed();
  EXPECT_TRUE(kv.Await(0).has_value());
}

TEST(StatusPublisherTest, ARemovedServerLeavesTheStatus) {
  PutsOnly kv;
  SystemClock clock;
  StatusPublisher publisher(kv, clock, Options());
  publisher.Set(Weather(1));
  publisher.Remove({"default", "weather"});
  EXPECT_TRUE(publisher.Current().servers.empty());
}

}  // namespace
}  // namespace mcpfleet
