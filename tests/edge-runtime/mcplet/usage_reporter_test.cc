#include "edge-runtime/mcplet/usage_reporter.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/json.h"
#include "tests/fakes/fake_runtime.h"

namespace mcpfleet {
namespace {

using namespace std::chrono_literals;
const ServerKey kWeather{"default", "weather"}, kFiles{"default", "files"};

class UsageReporterTest : public ::testing::Test {
 protected:
  void SetUp() override {
    Run(kWeather, "weather-1");
    Run(kFiles, "files-1");
    usage_ = std::make_unique<UsageReporter>(
        UsageReporterDeps{.runtimes = {{RuntimeKind::kDocker, &runtime_}},
                          .servers =
                              [this] {
                                ++looks_;
                                return servers_;
                              },
                          .traffic = traffic_,
                          .events = events_,
                          .clock = clock_,
                          .send = [this](std::vector<std::string> entries) { return Take(std::move(entries)); }});
  }
  void Run(const ServerKey& key, const std::string& id) {
    InstanceSpec spec{.id = id, .server = key, .uid = "u", .generation = 1, .revision = "r"};
    spec.spec.source = ImageSource{.ref = "image"};
    spec.artifact = *runtime_.Pull(spec.spec, nullptr, Deadline::Never());
    ASSERT_TRUE(runtime_.Create(spec, Deadline::Never()).ok());
    ASSERT_TRUE(runtime_.Start(id, Deadline::Never()).ok());
    ServerStatus status;
    status.key = key;
    status.instances = {{.id = id, .runtime = "Docker", .state = "Running"}};
    servers_.push_back(status);
  }
  bool Take(std::vector<std::string> entries) {
    if (cut_off_) return false;
    for (const std::string& each : entries) sent_.push_back(*ParseJson(each));
    return true;
  }
  // Time goes by; the reporter comes when it said that it would.
  void Pass(Duration time) {
    const MonoTime end = clock_.Now() + time;
    for (MonoTime next = usage_->Step(); next <= end; next = usage_->Step()) clock_.Advance(next - clock_.Now());
    clock_.Advance(end - clock_.Now());
  }
  void Look(std::vector<MeasuredServer> at) {
    usage_->SetMeasured(std::move(at));
    usage_->Step();
  }
  std::vector<Json> Sent() { return std::exchange(sent_, {}); }

  FakeClock clock_;
  FakeEngine engine_{clock_};
  FakeRuntime runtime_{engine_, {.node = "edge-01", .kind = RuntimeKind::kDocker}};
  GatewaySeries traffic_;
  EventLog events_{clock_};
  std::vector<ServerStatus> servers_;
  std::vector<Json> sent_;
  int looks_ = 0;
  bool cut_off_ = false;
  std::unique_ptr<UsageReporter> usage_;
};

TEST_F(UsageReporterTest, WhileNobodyLooksItLooksOnceAMinuteAndSendsNothing) {
  Pass(1h);
  EXPECT_LE(looks_, 61);
  EXPECT_TRUE(Sent().empty());
}

TEST_F(UsageReporterTest, WhoBeginsToLookGetsTheLastHourAndTheEventsThenWhatIsNow) {
  events_.Record(kWeather, "Normal", "Started", "started");
  events_.Record(kFiles, "Normal", "Started", "of another one");
  Pass(2h);
  Look({{"default", "weather", true}});
  std::vector<Json> sent = Sent();
  ASSERT_EQ(sent.size(), 1U);
  EXPECT_EQ(GetString(sent[0], "namespace"), "default");
  EXPECT_EQ(GetString(sent[0], "server"), "weather");
  const Json& samples = GetMember(sent[0], "samples");
  ASSERT_EQ(samples.size(), kUsageSamples);
  EXPECT_NEAR(samples[0]["cpu"].get<double>(), 0.01, 0.001);
  EXPECT_EQ(samples[0]["memory"], 1 << 20);
  EXPECT_EQ(samples[0]["seconds"], 60);
  EXPECT_EQ(samples[0]["calls"], 0);
  EXPECT_TRUE(samples[0]["p50"].is_null());
  EXPECT_EQ(samples[59]["at"].get<int64_t>() - samples[0]["at"].get<int64_t>(), 59 * 60'000);
  const Json& events = GetMember(sent[0], "events");
  ASSERT_EQ(events.size(), 1U);
  EXPECT_EQ(GetString(events[0], "reason"), "Started");

  traffic_.GatewayRequest(kWeather, "tools/call", 200, 20ms);
  traffic_.GatewayToolFailed(kWeather);
  traffic_.GatewaySessions(kWeather, 4);
  Pass(5s);
  usage_->Step();
  sent = Sent();
  ASSERT_EQ(sent.size(), 1U);
  ASSERT_EQ(GetMember(sent[0], "samples").size(), 1U);
  const Json live = GetMember(sent[0], "samples")[0];
  EXPECT_EQ(live["seconds"], 5);
  EXPECT_EQ(live["calls"], 1);
  EXPECT_EQ(live["errors"], 1);
  EXPECT_EQ(live["sessions"], 4);
  EXPECT_EQ(live["p50"], 17.5);
  EXPECT_FALSE(sent[0].contains("events")) << "nothing new";
  events_.Record(kWeather, "Warning", "BackOff", "waits 5s");
  Pass(5s);
  usage_->Step();
  sent = Sent();
  ASSERT_EQ(sent.size(), 1U);
  EXPECT_EQ(GetString(GetMember(sent[0], "events")[0], "reason"), "BackOff");
  EXPECT_EQ(GetMember(sent[0], "events").size(), 1U);
}

TEST_F(UsageReporterTest, SomebodyElseWhoLooksCostsTheFirstNoHistory) {
  Pass(3min);
  Look({{"default", "weather", true}});
  Sent();
  Look({{"default", "weather", false}, {"default", "files", true}});
  std::vector<Json> sent = Sent();
  ASSERT_EQ(sent.size(), 1U);
  EXPECT_EQ(GetString(sent[0], "server"), "files");
  Look({{"default", "absent", true}});
  EXPECT_TRUE(Sent().empty()) << "no such server here";
  Look({});
  Pass(1min);
  EXPECT_TRUE(Sent().empty());
}

TEST_F(UsageReporterTest, TwoWordsBeforeALookLoseNobody) {
  Pass(3min);
  usage_->SetMeasured({{"default", "weather", true}});
  usage_->SetMeasured({{"default", "weather", false}, {"default", "files", true}});
  usage_->Step();
  EXPECT_EQ(Sent().size(), 2U);
}

TEST_F(UsageReporterTest, WhoLooksAtTheNodeGetsTheLastSampleOfEachServer) {
  events_.Record(kWeather, "Normal", "Started", "started");
  Pass(3min);
  Look({{"", "", true}});
  std::vector<Json> sent = Sent();
  ASSERT_EQ(sent.size(), 2U);
  for (const Json& each : sent) {
    EXPECT_EQ(GetMember(each, "samples").size(), 1U);
    EXPECT_FALSE(each.contains("events"));
  }
  Pass(5s);
  usage_->Step();
  EXPECT_EQ(Sent().size(), 2U);
}

TEST_F(UsageReporterTest, AnEngineThatIsAwayHasNoFiguresAndTheRestIsToldAllTheSame) {
  Pass(3min);
  engine_.SetDown(true);
  traffic_.GatewaySessions(kWeather, 1);
  Look({{"default", "weather", true}});
  Sent();
  Pass(5s);
  usage_->Step();
  std::vector<Json> sent = Sent();
  ASSERT_EQ(sent.size(), 1U);
  const Json live = GetMember(sent[0], "samples")[0];
  EXPECT_TRUE(live["cpu"].is_null());
  EXPECT_TRUE(live["memory"].is_null());
  EXPECT_EQ(live["sessions"], 1);
}

TEST_F(UsageReporterTest, WhenNothingGoesOutForAMinuteNobodyLooksAnyMore) {
  Look({{"default", "weather", true}});
  EXPECT_EQ(Sent().size(), 1U);
  cut_off_ = true;
  Pass(2min);
  const int before = looks_;
  Pass(10min);
  EXPECT_LE(looks_ - before, 11) << "once a minute again";
  cut_off_ = false;
  Look({{"default", "weather", true}});
  EXPECT_EQ(Sent().size(), 1U);
}

TEST_F(UsageReporterTest, AServerThatLeftIsForgotten) {
  Pass(3min);
  servers_.erase(servers_.begin());
  Pass(1min);
  usage_->Step();
  Run(kWeather, "weather-2");
  Look({{"default", "weather", true}});
  std::vector<Json> sent = Sent();
  ASSERT_EQ(sent.size(), 1U);
  EXPECT_TRUE(GetMember(sent[0], "samples").empty()) << "another server of the same name";
}

TEST_F(UsageReporterTest, ItsThreadEndsWhenItIsTold) {
  usage_->Start();
  usage_->SetMeasured({{"default", "weather", true}});
  usage_->Stop();
  usage_->Stop();
}

}  // namespace
}  // namespace mcpfleet
