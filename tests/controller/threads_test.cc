// The controller with its real threads and clock over the fakes.
#include <gtest/gtest.h>

#include <functional>
#include <thread>

#include "tests/controller/world.h"

namespace mcpfleet {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

struct ThreadsTest : testing::Test {
  SystemClock clock;
  FakeEngine engine{clock};
  FakeRuntime runtime{engine, {.node = "edge-01"}};
  FakeSessionHost sessions{clock};
  FakeProber prober;
  FakeDesiredState desired;
  FakeStatusSink status;
  FakeEventRecorder events;
  FakeControllerMetrics metrics;
  ControllerDeps deps{
      {{RuntimeKind::kDocker, &runtime}}, sessions, prober, desired, status, events, metrics, clock, 1, "edge-01"};
  std::unique_ptr<Controller> controller = std::make_unique<Controller>(deps, ControllerOptions{});

  static bool Eventually(const std::function<bool()>& condition) {
    const Deadline deadline = Deadline::After(seconds(20));
    while (!deadline.Expired()) {
      if (condition()) return true;
      std::this_thread::yield();
    }
    return condition();
  }
  bool AllReady(int n) {
    int ready = 0;
    for (const ServerStatus& s : controller->Statuses()) {
      const Condition* condition = FindCondition(s.conditions, "Ready");
      ready += condition != nullptr && condition->status == ConditionStatus::kTrue;
    }
    return ready == n;
  }
  void Apply(int n) {
    desired.Edit([&](DesiredSnapshot* s) {
      s->removals_allowed = true;
      for (int i = 0; i < n; ++i) {
        DesiredServer server = Server("s" + std::to_string(i));
        s->servers[server.key] = std::make_shared<DesiredServer>(server);
      }
    });
    controller->NotifyDesiredChanged();
  }
};

TEST_F(ThreadsTest, FiftyServersBecomeReadySurviveARestartAndDrain) {
  SetLogLevel(LogLevel::kError);
  controller->Start(4);
  Apply(50);
  ASSERT_TRUE(Eventually([&] { return AllReady(50); }));
  EXPECT_TRUE(controller->Synced());
  EXPECT_TRUE(controller->TargetOf({"default", "s7"}).ok());
  EXPECT_EQ(controller->TargetOf({"default", "nobody"}).status().code(), StatusCode::kNotFound);

  controller->Stop();
  EXPECT_EQ(engine.Containers().size(), 50u);
  controller.reset();
  sessions.AgentRestarts();
  controller = std::make_unique<Controller>(deps, ControllerOptions{});
  controller->Start(4);
  ASSERT_TRUE(Eventually([&] { return AllReady(50); }));
  EXPECT_EQ(metrics.Get("op_Create"), 50);
  EXPECT_EQ(sessions.starts().size(), 50u);

  EXPECT_TRUE(controller->Drain(Deadline::After(seconds(20))).ok());
  EXPECT_TRUE(engine.Containers().empty());
  controller->Stop();
}

TEST_F(ThreadsTest, AnEndedChildAndARemovedInstanceAreNoticedByThemselves) {
  SetLogLevel(LogLevel::kError);
  controller->Start(2);
  Apply(1);
  ASSERT_TRUE(Eventually([&] { return AllReady(1); }));
  const std::string instance = engine.Containers().at(0).report.id;
  sessions.ExitMain(instance, {.code = 1});
  ASSERT_TRUE(Eventually([&] { return sessions.starts().size() == 2 && AllReady(1); }));
  engine.Vanish(instance);
  sessions.InstanceDies(instance);
  ASSERT_TRUE(Eventually([&] { return metrics.Get("drift") == 1 && sessions.starts().size() == 3 && AllReady(1); }));
  controller->Stop();
}

TEST_F(ThreadsTest, ADrainRightAfterTheStartWaitsForTheFirstLists) {
  SetLogLevel(LogLevel::kError);
  controller->Start(2);
  Apply(3);
  ASSERT_TRUE(Eventually([&] { return AllReady(3); }));
  controller->Stop();
  controller.reset();
  sessions.AgentRestarts();
  controller = std::make_unique<Controller>(deps, ControllerOptions{});
  controller->Start(2);
  EXPECT_TRUE(controller->Drain(Deadline::After(seconds(20))).ok());
  EXPECT_TRUE(engine.Containers().empty());
  controller->Stop();
}

TEST_F(ThreadsTest, AChildKilledWhileItsCgroupCountsAnOomIsOOMKilledAndTheNextOneIsNot) {
  SetLogLevel(LogLevel::kError);
  controller->Start(2);
  Apply(1);
  ASSERT_TRUE(Eventually([&] { return AllReady(1); }));
  const auto reason_after = [&](size_t starts) {
    const bool again = Eventually([&] { return sessions.starts().size() == starts && AllReady(1); });
    return again ? controller->StatusOf({"default", "s0"})->restarts.last_reason : "not restarted";
  };
  const std::string instance = engine.Containers().at(0).report.id;
  engine.CountOomKill(instance);
  sessions.ExitMain(instance, {.code = 137, .signal = 9});
  EXPECT_EQ(reason_after(2), "OOMKilled");
  sessions.ExitMain(instance, {.code = 137, .signal = 9});
  EXPECT_EQ(reason_after(3), "Signalled");
  controller->Stop();
}

}  // namespace
}  // namespace mcpfleet
