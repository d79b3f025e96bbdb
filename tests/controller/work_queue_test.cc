#include "controller/core/work_queue.h"

#include <gtest/gtest.h>

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

#include "tests/fakes/controller_fakes.h"

namespace mcpfleet {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

const ServerKey kA{"default", "a"}, kB{"default", "b"};

struct QueueTest : testing::Test {
  FakeClock clock;
  FakeControllerMetrics metrics;
  WorkQueue queue{clock, metrics, 1};
};

TEST_F(QueueTest, AKeyAddedTwiceIsHandedOutOnce) {
  queue.Add(kA);
  queue.Add(kA);
  EXPECT_EQ(queue.TryGet(), kA);
  EXPECT_EQ(queue.TryGet(), std::nullopt);
}

TEST_F(QueueTest, AKeyInWorkIsHandedOutAgainOnlyAfterDone) {
  queue.Add(kA);
  ASSERT_EQ(queue.TryGet(), kA);
  queue.Add(kA);
  queue.Add(kB);
  EXPECT_EQ(queue.TryGet(), kB);
  EXPECT_EQ(queue.TryGet(), std::nullopt);
  queue.Done(kA);
  EXPECT_EQ(queue.TryGet(), kA);
}

TEST_F(QueueTest, ATimerReleasesItsKeyWhenItsTimeHasCome) {
  queue.AddAfter(kA, seconds(5));
  EXPECT_EQ(queue.NextDue(), clock.Now() + seconds(5));
  clock.Advance(seconds(4));
  EXPECT_EQ(queue.TryGet(), std::nullopt);
  clock.Advance(seconds(1));
  EXPECT_EQ(queue.TryGet(), kA);
}

TEST_F(QueueTest, TheLastTimerOfAKeyWins) {
  queue.AddAfter(kA, seconds(5));
  queue.AddAfter(kA, seconds(50));
  EXPECT_EQ(queue.NextDue(), clock.Now() + seconds(50));
}

TEST_F(QueueTest, RetriesBackOffUntilForgotten) {
  Duration before{};
  for (int i = 0; i < 6; ++i) {
    queue.AddRateLimited(kA);
    const Duration wait = queue.NextDue() - clock.Now();
    EXPECT_GT(wait, before);
    before = wait;
    clock.Advance(wait);
    ASSERT_EQ(queue.TryGet(), kA);
    queue.Done(kA);
  }
  EXPECT_GT(before, milliseconds(500));
  queue.Forget(kA);
  queue.AddRateLimited(kA);
  EXPECT_LT(queue.NextDue() - clock.Now(), milliseconds(25));
  for (int i = 0; i < 40; ++i) queue.AddRateLimited(kB);
  clock.Advance(minutes(5));
  EXPECT_EQ(queue.TryGet(), kA);
  EXPECT_EQ(queue.TryGet(), kB);
}

TEST_F(QueueTest, ShutDownEndsEveryWait) {
  std::thread waiter([&] { EXPECT_EQ(queue.Get(Deadline::After(seconds(30))), std::nullopt); });
  queue.ShutDown();
  waiter.join();
}

TEST_F(QueueTest, NoKeyIsEverInTwoHands) {
  std::atomic<int> in_hand[8] = {};
  std::atomic<int> handled{0};
  std::atomic<bool> shared{false};
  std::vector<std::thread> workers;
  workers.reserve(4);
  for (int w = 0; w < 4; ++w) {
    workers.emplace_back([&] {
      while (auto key = queue.Get(Deadline::After(seconds(30)))) {
        const int i = key->name[0] - '0';
        if (in_hand[i].fetch_add(1) != 0) shared = true;
        ++handled;
        in_hand[i].fetch_sub(1);
        queue.Done(*key);
      }
    });
  }
  for (int n = 0; n < 4000; ++n) queue.Add({"default", std::to_string(n % 8)});
  while (queue.NextDue() != MonoTime::max()) std::this_thread::yield();
  queue.ShutDown();
  for (std::thread& worker : workers) worker.join();
  EXPECT_FALSE(shared);
  EXPECT_GE(handled, 8);
}

// One worker watches the timers while the others sleep: none may be left unwatched when that one gets work.
TEST(RealTimeQueueTest, EveryTimerFindsAWorkerWhileOthersAreBusy) {
  SystemClock clock;
  FakeControllerMetrics metrics;
  WorkQueue queue{clock, metrics, 1};
  constexpr int kKeys = 300;
  std::atomic<int> handled{0};
  std::atomic<bool> early{false};
  std::mutex mu;
  std::condition_variable all_done;
  const MonoTime begun = clock.Now();
  const auto due = [](int i) { return milliseconds(i % 40); };
  std::vector<std::thread> workers;
  workers.reserve(4);
  for (int w = 0; w < 4; ++w) {
    workers.emplace_back([&] {
      while (auto key = queue.Get(Deadline::After(seconds(30)))) {
        const int i = std::stoi(key->name);
        if (clock.Now() < begun + due(i)) early = true;
        queue.Done(*key);
        if (++handled == kKeys) {
          std::lock_guard lock(mu);
          all_done.notify_one();
        }
      }
    });
  }
  for (int i = 0; i < kKeys; ++i) queue.AddAfter({"default", std::to_string(i)}, begun + due(i) - clock.Now());
  {
    // A timer that nobody watches would wait for a worker's own deadline, 30 s.
    std::unique_lock lock(mu);
    EXPECT_TRUE(all_done.wait_for(lock, seconds(15), [&] { return handled == kKeys; })) << handled;
  }
  queue.ShutDown();
  for (std::thread& worker : workers) worker.join();
  EXPECT_FALSE(early);
}

}  // namespace
}  // namespace mcpfleet
