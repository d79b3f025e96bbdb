// A node in memory: engine, sessions, prober, desired state and a controller that is stepped by hand.
//
//   World world;
//   world.desired.Put(Server("weather").Image("v1"));
//   world.Settle();
//   EXPECT_TRUE(world.Ready("weather"));
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>

#include "base/digest.h"
#include "base/log.h"
#include "controller/core/controller.h"
#include "tests/fakes/controller_fakes.h"
#include "tests/fakes/fake_runtime.h"
#include "tests/fakes/session_host.h"

namespace mcpfleet {

// Builder of a desired server; the revision follows from what would restart it.
class Server {
 public:
  explicit Server(std::string name) {
    server_.key = {"default", std::move(name)};
    server_.uid = "uid-" + server_.key.name;
    server_.generation = 1;
    Image("v1");
  }
  Server& Image(const std::string& tag) {
    server_.spec.source = ImageSource{"registry.test/" + server_.key.name + ":" + tag};
    server_.revision = Sha256Hex(server_.key.name + tag);
    return *this;
  }
  Server& Remote(const std::string& url) {
    server_.spec.source = RemoteSource{url, {}};
    server_.revision = Sha256Hex(url);
    return *this;
  }
  Server& Generation(int64_t generation) { return server_.generation = generation, *this; }
  Server& Uid(std::string uid) { return server_.uid = std::move(uid), *this; }
  Server& Suspend(bool suspend = true) { return server_.spec.suspend = suspend, *this; }
  Server& Rejected(std::string reason) { return server_.rejected_reason = std::move(reason), *this; }
  Server& Pending() { return server_.pending = true, *this; }
  Server& Restart(RestartCondition condition, int max_attempts = 0) {
    server_.spec.restart_policy.condition = condition;
    server_.spec.restart_policy.max_attempts = max_attempts;
    return *this;
  }
  Server& Updates(UpdateType type) { return server_.spec.update_strategy.type = type, *this; }
  Server& Recreate() { return Updates(UpdateType::kRecreate); }
  Server& NoRollback() { return server_.spec.update_strategy.auto_rollback = false, *this; }
  Server& OnDemand(Duration idle_after = std::chrono::minutes(15)) {
    server_.spec.activation = {ActivationMode::kOnDemand, idle_after};
    return *this;
  }
  Server& RequireTool(std::string tool) { return server_.spec.probes.required_tools.push_back(std::move(tool)), *this; }
  operator DesiredServer() const { return server_; }  // NOLINT: a builder is what it builds
  DesiredServer Build() const { return server_; }

 private:
  DesiredServer server_;
};

struct World {
  FakeClock clock;
  FakeEngine engine{clock};
  FakeSessionHost sessions{clock};
  FakeProber prober;
  FakeDesiredState desired;
  FakeStatusSink status;
  FakeEventRecorder events;
  FakeControllerMetrics metrics;
  FakeNotebook notebook, artifacts;
  FakeTraffic traffic{clock};
  FakeGatewayNews gateway;
  int64_t artifact_quota = int64_t{1} << 40;
  std::function<std::string(const ServerKey&)> endpoint_of;  // from the next Boot on
  std::unique_ptr<FakeRuntime> runtime;
  std::unique_ptr<Controller> controller;

  World() {
    SetLogLevel(LogLevel::kError);
    Boot();
  }

  // A new mcplet over the same world.
  void Boot(uint64_t seed = 1) {
    controller.reset();
    traffic.AgentRestarts();
    sessions.AgentRestarts();
    runtime = std::make_unique<FakeRuntime>(engine, FakeRuntimeOptions{.node = "edge-01"});
    ControllerOptions options;
    options.pull_threads = 0;
    options.probe_threads = 0;
    options.artifact_quota_bytes = artifact_quota;
    controller = std::make_unique<Controller>(ControllerDeps{{{RuntimeKind::kDocker, runtime.get()}},
                                                             sessions,
                                                             prober,
                                                             desired,
                                                             status,
                                                             events,
                                                             metrics,
                                                             clock,
                                                             seed,
                                                             "edge-01",
                                                             &notebook,
                                                             &artifacts,
                                                             &traffic,
                                                             &gateway,
                                                             endpoint_of},
                                              options);
    engine.SetListener([this](const std::string& id) {
      if (controller) controller->NotifyRuntimeEvent(RuntimeKind::kDocker, id);
    });
  }

  // Steps until nothing is due now.
  void Settle() {
    controller->NotifyDesiredChanged();
    for (int steps = 0; controller->RunOne(); ++steps)
      ASSERT_LT(steps, 10'000) << "the controller does not come to rest";
  }
  // Lets time pass, stopping at everything that becomes due.
  void Pass(Duration time) {
    const MonoTime end = clock.Now() + time;
    Settle();
    while (controller->NextDue() < end) {
      const MonoTime due = controller->NextDue();
      if (due > clock.Now()) clock.Advance(due - clock.Now());
      Settle();
    }
    if (end > clock.Now()) clock.Advance(end - clock.Now());
    Settle();
  }

  static ServerKey Key(const std::string& name) { return {"default", name}; }
  bool Ready(const std::string& name) const { return Reason(name, "Ready") == "Ready"; }
  std::string Reason(const std::string& name, const std::string& type) const {
    std::optional<ServerStatus> found = controller->StatusOf(Key(name));
    if (!found) return "(no status)";
    const Condition* condition = FindCondition(found->conditions, type);
    return condition == nullptr ? "(no condition)" : condition->reason;
  }
  std::vector<FakeContainer> Containers() const { return engine.Containers(); }
  // Of the revision that is now wanted of `server` or not, in order of creation.
  std::vector<std::string> Instances(const DesiredServer& server) const {
    std::vector<std::string> ids;
    for (const FakeContainer& container : engine.Containers()) {
      if (container.report.revision == server.revision) ids.push_back(container.report.id);
    }
    return ids;
  }
  // The only instance there is.
  std::string Instance() const {
    const auto all = engine.Containers();
    EXPECT_EQ(all.size(), 1u);
    return all.empty() ? "" : all[0].report.id;
  }
};

}  // namespace mcpfleet
