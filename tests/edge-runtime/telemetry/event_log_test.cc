#include "edge-runtime/telemetry/event_log.h"

#include <gtest/gtest.h>

#include <thread>

namespace mcpfleet {
namespace {

using namespace std::chrono_literals;
const ServerKey kWeather{"default", "weather"}, kFiles{"default", "files"};

TEST(EventLogTest, EqualConsecutiveEventsOfAServerAreCountedNotRepeated) {
  FakeClock clock;
  EventLog log(clock);
  WallTime first = clock.Wall();
  log.Record(kWeather, "Warning", "BackOff", "waits 5s");
  clock.Advance(10s);
  log.Record(kFiles, "Normal", "Started", "started");  // another server's event does not interrupt the run
  clock.Advance(10s);
  log.Record(kWeather, "Warning", "BackOff", "waits 5s");
  std::vector<Event> events = log.List();
  ASSERT_EQ(events.size(), 2U);
  EXPECT_EQ(events[0].object, "MCPServer/default/files");
  EXPECT_EQ(events[1].count, 2);
  EXPECT_EQ(events[1].first_time, first);
  EXPECT_EQ(events[1].time - first, 20s);
}

TEST(EventLogTest, AnInterruptedRunStartsAnew) {
  FakeClock clock;
  EventLog log(clock);
  log.Record(kWeather, "Warning", "BackOff", "a");
  log.Record(kWeather, "Normal", "Started", "b");
  log.Record(kWeather, "Warning", "BackOff", "a");
  log.Record(kWeather, "Warning", "BackOff", "another message");
  EXPECT_EQ(log.List().size(), 4U);
}

TEST(EventLogTest, TheOldestGoesWhenItIsFullAndMayComeAgain) {
  FakeClock clock;
  EventLog log(clock, 3);
  log.Record(kWeather, "Normal", "R0", "");
  for (int i = 1; i < 4; ++i) log.Record(kFiles, "Normal", "R" + std::to_string(i), "");
  std::vector<Event> events = log.List();
  ASSERT_EQ(events.size(), 3U);
  EXPECT_EQ(events.front().reason, "R1");
  EXPECT_TRUE(log.List(kWeather).empty());
  log.Record(kWeather, "Normal", "R0", "");
  EXPECT_EQ(log.List(kWeather).front().count, 1);
  for (int i = 0; i < 1000; ++i) log.Record({"n", std::to_string(i)}, "Normal", "R", "");
  EXPECT_EQ(log.List().size(), 3U);
}

TEST(EventLogTest, ListsOneServerOnly) {
  FakeClock clock;
  EventLog log(clock);
  log.Record(kWeather, "Normal", "A", "");
  log.Record({"default", "weather2"}, "Normal", "B", "");
  ASSERT_EQ(log.List(kWeather).size(), 1U);
  EXPECT_EQ(log.List(kWeather)[0].reason, "A");
}

TEST(EventLogTest, MessagesAreBoundedAndHarmless) {
  FakeClock clock;
  EventLog log(clock);
  log.Record(kWeather, "Warning", "Failed", "\x1b[2J" + std::string(100000, 'x'));
  Event event = log.List()[0];
  EXPECT_LT(event.message.size(), 1100U);
  EXPECT_EQ(event.message.find('\x1b'), std::string::npos);
}

TEST(EventLogTest, ListenersHearEachEventUntilTheyLeaveAndMayUseTheLog) {
  FakeClock clock;
  EventLog log(clock);
  std::vector<int64_t> counts;
  int64_t id = log.Subscribe(
      [&](const Event& event) { counts.push_back(event.count + static_cast<int64_t>(log.List().size()) * 10); });
  log.Record(kWeather, "Normal", "A", "");
  log.Record(kWeather, "Normal", "A", "");
  log.Unsubscribe(id);
  log.Record(kWeather, "Normal", "A", "");
  EXPECT_EQ(counts, (std::vector<int64_t>{11, 12}));
}

TEST(EventLogTest, AnEventOfTheNodeIsNoServers) {
  FakeClock clock;
  EventLog log(clock);
  log.RecordNode("edge-01", "Warning", "ConflictingHeads", "two");
  ASSERT_EQ(log.List().size(), 1U);
  EXPECT_EQ(log.List().front().object, "MCPNode/edge-01");
  EXPECT_TRUE(log.List(kWeather).empty());
}

TEST(EventLogTest, ThreadsMayRecordAtOnce) {
  FakeClock clock;
  EventLog log(clock);
  std::vector<std::thread> threads;
  threads.reserve(4);
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&log, t] {
      for (int i = 0; i < 200; ++i) log.Record({"n", std::to_string(t)}, "Normal", "Same", "x");
    });
  }
  for (std::thread& thread : threads) thread.join();
  int64_t total = 0;
  for (const Event& event : log.List()) total += event.count;
  EXPECT_EQ(total, 800);
  EXPECT_EQ(log.List().size(), 4U);
}

}  // namespace
}  // namespace mcpfleet
