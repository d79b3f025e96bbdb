// The record that a node keeps of who is up and of what was wrong.
#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/fd.h"
#include "edge-runtime/dashboard/alerts.h"
#include "edge-runtime/dashboard/chronicle.h"
#include "edge-runtime/dashboard/lookout.h"
#include "edge-runtime/dashboard/uptime.h"
#include "tests/store/testing.h"

namespace mcpfleet::dashboard {
namespace {

using mcpfleet::testing::TempDir;
using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

const WallTime kBegin = WallTime(std::chrono::seconds(1'796'000'000));

ServerStatus Server(const std::string& name, ConditionStatus ready, const std::string& reason = "Verified") {
  ServerStatus server{.key = {"default", name}};
  SetCondition(&server.conditions, {.type = "Ready", .status = ready, .reason = reason, .message = "why"}, {});
  return server;
}
ServerStatus Up(const std::string& name) { return Server(name, ConditionStatus::kTrue); }
ServerStatus Down(const std::string& name, const std::string& reason = "ProbeFailed") {
  return Server(name, ConditionStatus::kFalse, reason);
}
SeenNode Node(const std::string& name, std::vector<ServerStatus> servers, bool here = true) {
  SeenNode node{.here = here};
  node.status.node = name;
  node.status.servers = std::move(servers);
  return node;
}
std::vector<std::string> KeysOf(const std::vector<Alert>& alerts) {
  std::vector<std::string> keys;
  for (const Alert& alert : alerts) keys.push_back(alert.key);
  return keys;
}
std::vector<std::string> KeysOf(const std::vector<Notice>& notices) {
  std::vector<std::string> keys;
  for (const Notice& notice : notices) keys.push_back(notice.state + " " + notice.alert.key);
  return keys;
}
using Keys = std::vector<std::string>;

TEST(UptimeTest, CountsWhatIsKnown) {
  const std::vector<Transition> of{{1000, true}, {5000, false}, {7000, std::nullopt}, {9000, true}};
  EXPECT_EQ(UptimeWithin(of, 0, 10'000).up_ms, 5000);
  EXPECT_EQ(UptimeWithin(of, 0, 10'000).known_ms, 7000);
  EXPECT_EQ(UptimeWithin(of, 2000, 4000).ratio(), 1.0);
  EXPECT_EQ(UptimeWithin(of, 0, 1000).ratio(), std::nullopt) << "nothing was known yet";
  EXPECT_EQ(UptimeWithin(of, 7000, 9000).ratio(), std::nullopt);
  const SubjectUptime parts = UptimeOf("s", of, 0, 10'000, 5);
  EXPECT_EQ(parts.bars, (std::vector<std::optional<double>>{1.0, 1.0, 0.5, 0.0, 1.0}));
  EXPECT_EQ(UptimeWithin({}, 0, 10).ratio(), std::nullopt);
}

TEST(UptimeTest, ManyAreOneOrTheWorst) {
  std::vector<SubjectUptime> all{UptimeOf("a", std::vector<Transition>{{0, true}}, 0, 100, 2),
                                 UptimeOf("b", std::vector<Transition>{{0, true}, {50, false}}, 0, 100, 2),
                                 UptimeOf("c", {}, 0, 100, 2)};
  const SubjectUptime mean = MeanOf("all", all, 2);
  EXPECT_EQ(mean.uptime.ratio(), 0.75);
  EXPECT_EQ(mean.bars, (std::vector<std::optional<double>>{1.0, 0.5}));
  KeepWorst(&all, 2);
  ASSERT_EQ(all.size(), 2U);
  EXPECT_EQ(all[0].subject, "b");
  EXPECT_EQ(all[1].subject, "a") << "what is known before what is not";
}

TEST(AlertsTest, AreRaisedForWhatLastsAndSaidOnce) {
  const int64_t now = ToMillis(kBegin);
  const auto since = [&](int64_t ms) { return std::map<std::string, int64_t>{{"server/n/default/a", now - ms}}; };
  const auto keys = [&](const std::vector<SeenNode>& nodes, int64_t ms, const std::set<std::string>& raised = {}) {
    return KeysOf(EvaluateAlerts(nodes, since(ms), raised, now));
  };
  const Keys not_ready{"ServerNotReady/n/default/a"};
  EXPECT_EQ(keys({Node("n", {Down("a")})}, kNotReadyMs - 1), Keys{});
  EXPECT_EQ(keys({Node("n", {Down("a")})}, kNotReadyMs), not_ready);
  EXPECT_EQ(keys({Node("n", {Down("a")})}, 0, {not_ready[0]}), not_ready) << "it stays until the server is Ready";
  EXPECT_EQ(keys({Node("n", {Down("a", "CrashLoopBackOff")})}, 0), Keys{"CrashLoop/n/default/a"});
  EXPECT_EQ(keys({Node("n", {Down("a")}, false)}, kNotReadyMs), Keys{"NodeOffline/n"})
      << "of its servers nothing is known";
  ServerStatus pinned = Up("b");
  SetCondition(&pinned.conditions, {.type = "ToolsPinned", .status = ConditionStatus::kFalse, .reason = "Changed"}, {});
  EXPECT_EQ(keys({Node("n", {pinned})}, 0), Keys{"ToolPinViolated/n/default/b"});
  std::vector<ServerStatus> many;
  for (size_t i = 0; i <= kAlertsOfNode; ++i) many.push_back(Down("s" + std::to_string(i), "CrashLoopBackOff"));
  const Keys bounded = keys({Node("n", many)}, 0);
  EXPECT_EQ(bounded.size(), kAlertsOfNode + 1);
  EXPECT_EQ(bounded.back(), "ManyAlerts/n");
}

TEST(AlertsTest, WhatIsMeantToBeDownIsNeitherUpNorDown) {
  EXPECT_EQ(IsUp(Up("a")), true);
  EXPECT_EQ(IsUp(Down("a")), false);
  EXPECT_EQ(IsUp({.key = {"default", "a"}}), false);
  for (const char* reason : {"Suspended", "Suspending", "Completed"}) EXPECT_EQ(IsUp(Down("a", reason)), std::nullopt);
}

class RecordTest : public ::testing::Test {
 protected:
  std::string path() { return dir_ / "record"; }
  // As a mcplet that is started: it reads what the one before wrote.
  void Start(const std::string& boot = "boot-1") {
    chronicle_ = std::make_unique<Chronicle>(path());
    lookout_ = std::make_unique<Lookout>(*chronicle_, boot);
  }
  Keys Look(std::vector<ServerStatus> servers) { return KeysOf(lookout_->Look({Node("n", std::move(servers))}, now_)); }
  // Of the time since the beginning.
  std::optional<double> Ratio(const std::string& subject = "server/n/default/a") {
    const Json ratio = chronicle_->Uptimes(subject, ToMillis(kBegin), ToMillis(now_), 0, false)[0]["uptime"]["ratio"];
    return ratio.is_null() ? std::nullopt : std::optional(ratio.get<double>());
  }
  size_t Lines() {
    std::ifstream file(path());
    return static_cast<size_t>(std::count(std::istreambuf_iterator<char>(file), {}, '\n'));
  }

  TempDir dir_;
  WallTime now_ = kBegin;
  std::unique_ptr<Chronicle> chronicle_;
  std::unique_ptr<Lookout> lookout_;
};

TEST_F(RecordTest, AnAlertIsRaisedSeenAndOverAndAllOfItSurvives) {
  Start();
  EXPECT_EQ(Look({Down("a")}), Keys{});
  now_ += minutes(5);
  EXPECT_EQ(Look({Down("a")}), Keys{"raised ServerNotReady/n/default/a"});
  EXPECT_EQ(Look({Down("a")}), Keys{}) << "once";
  EXPECT_FALSE(chronicle_->Acknowledge("ServerNotReady/n/default/b", "ada", now_));
  EXPECT_TRUE(chronicle_->Acknowledge("ServerNotReady/n/default/a", "ada", now_));
  EXPECT_TRUE(chronicle_->Acknowledge("ServerNotReady/n/default/a", "bob", now_)) << "the first one has seen it";
  const int64_t raised = ToMillis(now_);
  Start();
  now_ += seconds(30);
  EXPECT_EQ(Look({Down("a")}), Keys{}) << "a restart of mcplet raises nothing anew";
  const Json open = chronicle_->Alerts(false);
  ASSERT_EQ(open.size(), 1U);
  EXPECT_EQ(open[0], (Json{{"key", "ServerNotReady/n/default/a"},
                           {"kind", "ServerNotReady"},
                           {"subject", "n/default/a"},
                           {"message", "ProbeFailed: why"},
                           {"severity", "warning"},
                           {"raised", raised},
                           {"cleared", nullptr},
                           {"acknowledged", raised},
                           {"acknowledged_by", "ada"}}));
  EXPECT_EQ(Look({Up("a")}), Keys{"cleared ServerNotReady/n/default/a"});
  EXPECT_FALSE(chronicle_->Acknowledge("ServerNotReady/n/default/a", "ada", now_)) << "it is over";
  EXPECT_TRUE(chronicle_->Alerts(false).empty());
  EXPECT_EQ(chronicle_->Alerts(true)[0]["cleared"], ToMillis(now_));
  EXPECT_EQ(Look({Down("a")}), Keys{});
  now_ += minutes(5);
  EXPECT_EQ(Look({Down("a")}), Keys{"raised ServerNotReady/n/default/a"});
  Start();
  const Json both = chronicle_->Alerts(true);
  ASSERT_EQ(both.size(), 2U) << "one that comes again is another one";
  EXPECT_EQ(both[0]["cleared"], nullptr);
  EXPECT_EQ(both[0]["acknowledged"], nullptr);
  EXPECT_EQ(both[1]["raised"], raised);
  EXPECT_EQ(both[1]["acknowledged_by"], "ada");
  EXPECT_EQ(Look({Up("a")}), Keys{"cleared ServerNotReady/n/default/a"});
  EXPECT_EQ(Look({Down("a", "CrashLoopBackOff")}), Keys{"raised CrashLoop/n/default/a"});
  EXPECT_EQ(Look({}), Keys{"cleared CrashLoop/n/default/a"}) << "it is not placed here any more";
}

TEST_F(RecordTest, UptimeIsThatOfWhatWasKnown) {
  Start();
  Look({Up("a")});
  const size_t lines = Lines();
  for (int i = 0; i < 60; ++i) now_ += minutes(1), Look({Up("a")});
  EXPECT_EQ(Lines(), lines) << "what stays so is not written";
  Look({Down("a")});
  now_ += minutes(20);
  Look({Up("a")});
  EXPECT_EQ(Ratio(), 0.75);
  EXPECT_EQ(Ratio("node/n"), 1.0);
  Look({Server("a", ConditionStatus::kFalse, "Suspended")});
  now_ += hours(10);
  EXPECT_EQ(Ratio(), 0.75) << "what is meant to be down counts as neither";
}

TEST_F(RecordTest, OfTheTimeInWhichNobodyLookedNothingIsKnown) {
  Start();
  Look({Up("a")});
  now_ += minutes(30);
  Look({Up("a")});
  // A restart: its servers live on.
  Start();
  now_ += minutes(5);
  Look({Up("a")});
  EXPECT_EQ(chronicle_->Uptimes("node/n", ToMillis(kBegin), ToMillis(now_), 0, false)[0]["uptime"]["knownSeconds"],
            35 * 60);
  // Power was cut for a day, and a minute: both times the machine was another one after it.
  for (const auto& [away, boot] : {std::pair<Duration, std::string>{hours(24), "boot-2"}, {minutes(1), "boot-3"}}) {
    Start(boot);
    now_ += away;
    Look({Down("a")});
    Look({Up("a")});
  }
  const Json uptime =
      chronicle_->Uptimes("server/n/default/a", ToMillis(kBegin), ToMillis(now_), 0, false)[0]["uptime"];
  EXPECT_EQ(uptime["knownSeconds"], 35 * 60);
  EXPECT_EQ(uptime["ratio"], 1.0);
  // mcplet was away for long, on the same machine.
  Start("boot-3");
  now_ += hours(1);
  Look({Up("a")});
  EXPECT_EQ(chronicle_->Uptimes("node/n", ToMillis(kBegin), ToMillis(now_), 0, false)[0]["uptime"]["knownSeconds"],
            35 * 60);
}

TEST_F(RecordTest, AClockThatWasWrongLeavesNoLieBehind) {
  Start();
  now_ = kBegin + hours(24 * 365);
  Look({Down("a")});
  now_ = kBegin;  // put right
  Look({Up("a")});
  now_ += hours(1);
  EXPECT_EQ(Ratio(), 1.0);
  Start();
  EXPECT_EQ(Ratio(), 1.0) << "read again";
}

TEST_F(RecordTest, HalfALineTakesNothingWithIt) {
  Start();
  Look({Up("a"), Up("b")});
  std::filesystem::resize_file(path(), std::filesystem::file_size(path()) - 5);
  Start();
  now_ += minutes(1);
  Look({Up("a"), Down("b")});
  Start();
  now_ += minutes(1);
  EXPECT_EQ(Ratio(), 1.0);
  EXPECT_EQ(Ratio("server/n/default/b"), 0.0);
  EXPECT_EQ(chronicle_->Known().size(), 3U);
}

TEST_F(RecordTest, ItIsBoundedAndKeepsWhatIsSoNow) {
  Start();
  Look({Up("still"), Up("a")});
  for (size_t i = 0; i < kTransitions + kTransitions / 2; ++i) {
    now_ += seconds(10);
    chronicle_->Note("server/n/default/a", i % 2 == 1, now_);
  }
  EXPECT_LE(Lines(), 3 * kTransitions);
  EXPECT_EQ(chronicle_->Known().size(), 3U);
  EXPECT_EQ(Ratio("server/n/default/still"), 1.0) << "its last state, though the oldest of all";
  const size_t rows = Lines();
  Start();
  EXPECT_EQ(chronicle_->Known().size(), 3U);
  EXPECT_EQ(Ratio("server/n/default/still"), 1.0);
  EXPECT_EQ(Lines(), rows) << "reading writes nothing";
  std::vector<Alert> none, all;
  for (size_t i = 0; i < kAlertRows + 200; ++i) {
    const std::string name = std::to_string(i);
    chronicle_->Update({{"CrashLoop/" + name, "CrashLoop", name, "m", true}}, now_);
    now_ += seconds(1);
  }
  EXPECT_LE(chronicle_->Alerts(true).size(), kAlertRows);
  EXPECT_EQ(chronicle_->Alerts(false)[0]["subject"], std::to_string(kAlertRows + 199));
}

TEST_F(RecordTest, WhatCanNotBeWrittenIsStillKnown) {
  chronicle_ = std::make_unique<Chronicle>(dir_ / "no/such/directory");
  lookout_ = std::make_unique<Lookout>(*chronicle_, "boot-1");
  Look({Down("a", "CrashLoopBackOff")});
  EXPECT_EQ(chronicle_->Alerts(false).size(), 1U);
}

}  // namespace
}  // namespace mcpfleet::dashboard
