// The rest of the controller's world in memory: desired state that a test edits, a prober with scripted answers, and
// sinks that remember. Thread-safe; deterministic.
#pragma once

#include <algorithm>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "base/mutex.h"
#include "controller/ports/desired_state.h"
#include "controller/ports/gateway_servers.h"
#include "controller/ports/notebook.h"
#include "controller/ports/prober.h"
#include "controller/ports/recorder.h"
#include "controller/ports/traffic.h"

namespace mcpfleet {

class FakeDesiredState final : public DesiredState {
 public:
  FakeDesiredState() { snapshot_ = std::make_shared<DesiredSnapshot>(); }
  std::shared_ptr<const DesiredSnapshot> Current() const override {
    MutexLock lock(&mu_);
    return snapshot_;
  }
  // Edits a copy, which becomes current.
  void Edit(const std::function<void(DesiredSnapshot*)>& edit) {
    auto next = std::make_shared<DesiredSnapshot>(*Current());
    edit(next.get());
    MutexLock lock(&mu_);
    snapshot_ = std::move(next);
  }
  void Put(DesiredServer server) {
    Edit([&](DesiredSnapshot* s) {
      s->removals_allowed = true;
      const ServerKey key = server.key;
      s->servers[key] = std::make_shared<DesiredServer>(std::move(server));
    });
  }
  void Delete(const ServerKey& key) {
    Edit([&](DesiredSnapshot* s) { s->servers.erase(key); });
  }

 private:
  mutable Mutex mu_;
  std::shared_ptr<const DesiredSnapshot> snapshot_ GUARDED_BY(mu_);
};

class FakeProber final : public Prober {
 public:
  // What Verify and Ping answer; default: OK while the child lives.
  void Script(std::function<Status(const ProbeTarget&, bool ping)> script) {
    MutexLock lock(&mu_);
    script_ = std::move(script);
  }
  // The protocol era of what Verify finds.
  void SetModern(bool modern) {
    MutexLock lock(&mu_);
    modern_ = modern;
  }
  StatusOr<Verification> Verify(const ProbeTarget& target, Deadline) override {
    RETURN_IF_ERROR(Ask(target, false));
    Verification verification;
    verification.server_info = {"fake", "1.0", "2025-11-25", {"tools"}};
    verification.catalog.tools = 2;
    verification.catalog.tool_names = {"add", "echo"};
    verification.catalog.tools_hash = "sha256:00";
    MutexLock lock(&mu_);
    verification.modern = modern_;
    return verification;
  }
  Status Ping(const ProbeTarget& target, Duration, Deadline) override { return Ask(target, true); }
  StatusOr<nlohmann::json> Call(const ProbeTarget&, const std::string&, const nlohmann::json&, Deadline) override {
    return nlohmann::json::object();
  }
  void Forget(const std::string& instance) override {
    MutexLock lock(&mu_);
    forgotten_.insert(instance);
  }
  void SetCatalogListener(std::function<void(const ServerKey&)> changed) override {
    MutexLock lock(&mu_);
    catalog_listener_ = std::move(changed);
  }
  // The server says that its lists changed.
  void AnnounceChange(const ServerKey& server) {
    std::function<void(const ServerKey&)> listener;
    {
      MutexLock lock(&mu_);
      listener = catalog_listener_;
    }
    if (listener) listener(server);
  }
  int verifies() const {
    MutexLock lock(&mu_);
    return verifies_;
  }

 private:
  Status Ask(const ProbeTarget& target, bool ping) {
    std::function<Status(const ProbeTarget&, bool)> script;
    {
      MutexLock lock(&mu_);
      if (!ping) ++verifies_;
      script = script_;
    }
    if (target.stdio != nullptr && target.stdio->closed()) return Unavailable("the child is gone");
    return script ? script(target, ping) : OkStatus();
  }
  mutable Mutex mu_;
  std::function<Status(const ProbeTarget&, bool)> script_ GUARDED_BY(mu_);
  std::function<void(const ServerKey&)> catalog_listener_ GUARDED_BY(mu_);
  std::set<std::string> forgotten_ GUARDED_BY(mu_);
  int verifies_ GUARDED_BY(mu_) = 0;
  bool modern_ GUARDED_BY(mu_) = false;
};

class FakeEventRecorder final : public EventRecorder {
 public:
  void Record(const ServerKey& server, std::string_view, std::string_view reason, std::string_view message) override {
    MutexLock lock(&mu_);
    events_.push_back(ToString(server) + " " + std::string(reason) + ": " + std::string(message));
    if (events_.size() > 1000) events_.pop_front();
  }
  // How many events carry this reason.
  int Count(std::string_view reason) const {
    MutexLock lock(&mu_);
    int n = 0;
    for (const std::string& event : events_) n += event.find(" " + std::string(reason) + ": ") != std::string::npos;
    return n;
  }
  std::deque<std::string> events() const {
    MutexLock lock(&mu_);
    return events_;
  }

 private:
  mutable Mutex mu_;
  std::deque<std::string> events_ GUARDED_BY(mu_);
};

class FakeStatusSink final : public StatusSink {
 public:
  void Set(const ServerStatus& status) override {
    MutexLock lock(&mu_);
    statuses_[status.key] = status;
    ++writes_;
  }
  void Remove(const ServerKey& server) override {
    MutexLock lock(&mu_);
    statuses_.erase(server);
  }
  std::optional<ServerStatus> Get(const ServerKey& key) const {
    MutexLock lock(&mu_);
    auto it = statuses_.find(key);
    return it == statuses_.end() ? std::nullopt : std::optional(it->second);
  }
  int writes() const {
    MutexLock lock(&mu_);
    return writes_;
  }

 private:
  mutable Mutex mu_;
  std::map<ServerKey, ServerStatus> statuses_ GUARDED_BY(mu_);
  int writes_ GUARDED_BY(mu_) = 0;
};

// Outlives the controllers that write into it.
class FakeNotebook final : public Notebook {
 public:
  std::string Read(const ServerKey& server) const override {
    MutexLock lock(&mu_);
    auto it = pages_.find(server);
    return it == pages_.end() ? "" : it->second;
  }
  void Write(const ServerKey& server, std::string text) override {
    MutexLock lock(&mu_);
    ++writes_;
    if (text.empty()) {
      pages_.erase(server);
    } else {
      pages_[server] = std::move(text);
    }
  }
  void Retain(const std::set<ServerKey>& servers) override {
    MutexLock lock(&mu_);
    std::erase_if(pages_, [&](const auto& page) { return !servers.contains(page.first); });
  }
  int writes() const {
    MutexLock lock(&mu_);
    return writes_;
  }
  size_t pages() const {
    MutexLock lock(&mu_);
    return pages_.size();
  }

 private:
  mutable Mutex mu_;
  std::map<ServerKey, std::string> pages_ GUARDED_BY(mu_);
  int writes_ GUARDED_BY(mu_) = 0;
};

// Clients as a test wants them.
class FakeTraffic final : public Traffic {
 public:
  explicit FakeTraffic(const Clock& clock) : clock_(clock) {}
  int Conversations(const std::string& instance) const override {
    MutexLock lock(&mu_);
    auto it = conversations_.find(instance);
    return it == conversations_.end() ? 0 : it->second;
  }
  std::optional<MonoTime> LastUsed(const ServerKey& server) const override {
    MutexLock lock(&mu_);
    auto it = last_used_.find(server);
    return it == last_used_.end() ? std::nullopt : std::optional(it->second);
  }
  void SetListener(std::function<void(const ServerKey&)> changed) override {
    MutexLock lock(&mu_);
    changed_ = std::move(changed);
  }
  // A client asks for the server.
  void Use(const ServerKey& server) {
    {
      MutexLock lock(&mu_);
      last_used_[server] = clock_.Now();
    }
    Tell(server);
  }
  // The server's instance carries this many conversations from now on.
  void Converse(const ServerKey& server, const std::string& instance, int conversations) {
    {
      MutexLock lock(&mu_);
      conversations_[instance] = conversations;
    }
    if (conversations == 0) Tell(server);
  }
  // mcplet died: who used what is forgotten, conversations go on.
  void AgentRestarts() {
    MutexLock lock(&mu_);
    last_used_.clear();
    changed_ = nullptr;
  }

 private:
  void Tell(const ServerKey& server) {
    std::function<void(const ServerKey&)> changed;
    {
      MutexLock lock(&mu_);
      changed = changed_;
    }
    if (changed) changed(server);
  }
  const Clock& clock_;
  mutable Mutex mu_;
  std::map<std::string, int> conversations_ GUARDED_BY(mu_);
  std::map<ServerKey, MonoTime> last_used_ GUARDED_BY(mu_);
  std::function<void(const ServerKey&)> changed_ GUARDED_BY(mu_);
};

// Remembers whose target changed.
class FakeGatewayNews final : public GatewayNews {
 public:
  void ServerChanged(const ServerKey& key) override {
    MutexLock lock(&mu_);
    ++changes_[key];
  }
  int changes(const ServerKey& key) const {
    MutexLock lock(&mu_);
    auto it = changes_.find(key);
    return it == changes_.end() ? 0 : it->second;
  }

 private:
  mutable Mutex mu_;
  std::map<ServerKey, int> changes_ GUARDED_BY(mu_);
};

// Refuses words that have no series at zero.
class FakeControllerMetrics final : public ControllerMetrics {
 public:
  void ReconcileDone(const ServerKey&, bool, Duration) override { Add("reconcile"); }
  void QueueDepth(size_t) override {}
  void QueueAdded() override { Add("queue_added"); }
  void QueueRetried() override { Add("queue_retried"); }
  void QueueLatency(Duration) override {}
  void RuntimeOperation(std::string_view operation, bool, Duration) override {
    AddKnown("op_", operation, kRuntimeOperations);
  }
  void Probe(std::string_view probe, bool, Duration) override { AddKnown("probe_", probe, kProbeNames); }
  void Restarted(const ServerKey&, std::string_view reason) override {
    AddKnown("restarted_", reason, kRestartReasons);
  }
  void Converged(const ServerKey&, Duration) override { Add("converged"); }
  void DriftCorrected() override { Add("drift"); }
  void OrphanReaped() override { Add("orphan"); }
  int Get(const std::string& name) const {
    MutexLock lock(&mu_);
    auto it = counts_.find(name);
    return it == counts_.end() ? 0 : it->second;
  }

 private:
  template <size_t kCount>
  void AddKnown(const std::string& prefix, std::string_view word, const std::string_view (&known)[kCount]) {
    EXPECT_NE(std::find(std::begin(known), std::end(known), word), std::end(known)) << prefix << word;
    Add(prefix + std::string(word));
  }
  void Add(const std::string& name) {
    MutexLock lock(&mu_);
    ++counts_[name];
  }
  mutable Mutex mu_;
  std::map<std::string, int> counts_ GUARDED_BY(mu_);
};

}  // namespace mcpfleet
