#include "controller/core/instance_cache.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "base/strings.h"
#include "tests/fakes/controller_fakes.h"
#include "tests/fakes/fake_runtime.h"

namespace mcpfleet {
namespace {

using std::chrono::seconds;

Deadline Soon() { return Deadline::After(seconds(20)); }

const ServerKey kA{"default", "a"}, kB{"default", "b"};

class InstanceCacheTest : public testing::Test {
 protected:
  InstanceCacheTest() {
    runtime_.SetFaultHook([this](std::string_view verb, const std::string& id) {
      calls_.push_back(std::string(verb) + (id.empty() ? "" : " " + id));
      if (at_call_) std::exchange(at_call_, nullptr)();
      return verb == failing_ ? FakeFault::kFailBefore : FakeFault::kNone;
    });
  }
  void Create(const std::string& id, const ServerKey& server) {
    InstanceSpec spec{.id = id, .server = server, .uid = "u", .generation = 1, .revision = "r"};
    spec.spec.source = ImageSource{.ref = "image:1"};
    spec.artifact = runtime_.Pull(spec.spec, nullptr, Soon()).value();
    ASSERT_TRUE(runtime_.Create(spec, Soon()).ok());
    calls_.clear();
  }
  Status List() { return cache_.Refresh(RuntimeKind::kDocker, cache_.Mark(), Soon()); }
  Status Look(const std::string& id, uint64_t since, const ServerKey* asker = nullptr) {
    return cache_.Look(RuntimeKind::kDocker, id, since, Soon(), asker);
  }
  // "a-1 Running, b-1 Created"
  std::string Known() const {
    std::vector<std::string> out;
    for (const InstanceReport& report : cache_.All())
      out.push_back(report.id + " " + std::string(ToString(report.state)));
    return Join(out, ", ");
  }

  FakeClock clock_;
  FakeEngine engine_{clock_};
  FakeRuntime runtime_{engine_, {}};
  FakeControllerMetrics metrics_;
  std::vector<std::string> calls_;
  std::string failing_;
  std::function<void()> at_call_;  // in the middle of the next call
  InstanceCache cache_{{{RuntimeKind::kDocker, &runtime_}}, clock_, metrics_};
};

TEST_F(InstanceCacheTest, ALookTellsOfOneInstanceAndAsksForNothingElse) {
  Create("a-1", kA);
  Create("b-1", kB);
  ASSERT_TRUE(List().ok());
  ASSERT_TRUE(runtime_.Start("a-1", Soon()).ok());
  ASSERT_TRUE(runtime_.Start("b-1", Soon()).ok());
  calls_.clear();
  ASSERT_TRUE(Look("a-1", cache_.Mark()).ok());
  EXPECT_EQ(Known(), "a-1 Running, b-1 Created");
  EXPECT_EQ(calls_, std::vector<std::string>{"Look a-1"});
  EXPECT_EQ(cache_.OwnerOf("a-1"), kA);
}

TEST_F(InstanceCacheTest, WhatIsNewAndWhatIsGoneShowInALook) {
  Create("a-1", kA);
  ASSERT_TRUE(List().ok());
  Create("a-0", kA);
  ASSERT_TRUE(Look("a-0", cache_.Mark()).ok());
  EXPECT_EQ(Known(), "a-0 Created, a-1 Created");
  ASSERT_TRUE(runtime_.Remove("a-0", Soon()).ok());
  ASSERT_TRUE(Look("a-0", cache_.Mark()).ok());
  ASSERT_TRUE(runtime_.Remove("a-1", Soon()).ok());
  ASSERT_TRUE(Look("a-1", cache_.Mark()).ok());
  EXPECT_EQ(Known(), "");
  EXPECT_FALSE(cache_.OwnerOf("a-1"));
  EXPECT_TRUE(cache_.Servers().empty());
}

TEST_F(InstanceCacheTest, AnOwnerThatWasNotedStaysUntilItsInstanceIsThere) {
  ASSERT_TRUE(List().ok());
  cache_.NoteOwner("a-1", kA);
  ASSERT_TRUE(Look("a-1", cache_.Mark()).ok());
  EXPECT_EQ(cache_.OwnerOf("a-1"), kA) << "its session may be there before the engine's answer";
}

TEST_F(InstanceCacheTest, WhatIsNewEnoughIsNotAskedForAgain) {
  Create("a-1", kA);
  const uint64_t before = cache_.Mark();
  ASSERT_TRUE(List().ok());
  calls_.clear();
  ASSERT_TRUE(Look("a-1", before).ok());
  EXPECT_TRUE(calls_.empty());
  const uint64_t then = cache_.Mark();
  ASSERT_TRUE(Look("a-1", then).ok());
  ASSERT_TRUE(Look("a-1", then).ok());
  EXPECT_EQ(calls_, std::vector<std::string>{"Look a-1"});
  ASSERT_TRUE(Look("a-1", cache_.Mark()).ok());
  EXPECT_EQ(calls_.size(), 2U);
}

TEST_F(InstanceCacheTest, AListThatBeganBeforeALookDoesNotUndoIt) {
  Create("a-1", kA);
  Create("b-1", kB);
  Create("c-1", {"default", "c"});
  ASSERT_TRUE(List().ok());
  // The list shows the world of before the changes, and ends after the looks that showed them.
  runtime_.SetStaleChanges(3);
  at_call_ = [&] {
    ASSERT_TRUE(runtime_.Start("a-1", Soon()).ok());
    ASSERT_TRUE(runtime_.Remove("b-1", Soon()).ok());
    ASSERT_TRUE(runtime_.Start("c-1", Soon()).ok());
    runtime_.SetStaleChanges(0);
    ASSERT_TRUE(Look("a-1", cache_.Mark()).ok());
    ASSERT_TRUE(Look("b-1", cache_.Mark()).ok());
    runtime_.SetStaleChanges(3);
  };
  ASSERT_TRUE(List().ok());
  EXPECT_EQ(Known(), "a-1 Running, c-1 Created");
  runtime_.SetStaleChanges(0);
  ASSERT_TRUE(List().ok());
  EXPECT_EQ(Known(), "a-1 Running, c-1 Running");
  ASSERT_TRUE(runtime_.Remove("a-1", Soon()).ok());
  ASSERT_TRUE(List().ok());
  EXPECT_EQ(Known(), "c-1 Running") << "an old look hides what a newer list says";
}

TEST_F(InstanceCacheTest, ALookThatBeganBeforeAListDoesNotUndoIt) {
  Create("a-1", kA);
  ASSERT_TRUE(List().ok());
  runtime_.SetStaleChanges(1);
  at_call_ = [&] {
    ASSERT_TRUE(runtime_.Start("a-1", Soon()).ok());
    runtime_.SetStaleChanges(0);
    ASSERT_TRUE(List().ok());
    runtime_.SetStaleChanges(1);
  };
  ASSERT_TRUE(Look("a-1", cache_.Mark()).ok());
  EXPECT_EQ(Known(), "a-1 Running");
}

TEST_F(InstanceCacheTest, ARuntimeThatDidNotAnswerIsListed) {
  Create("a-1", kA);
  ASSERT_TRUE(Look("a-1", cache_.Mark()).ok()) << "never listed";
  EXPECT_EQ(calls_, std::vector<std::string>{"List"});
  calls_.clear();
  failing_ = "Look";
  ASSERT_TRUE(Look("a-1", cache_.Mark()).ok());
  EXPECT_EQ(calls_, (std::vector<std::string>{"Look a-1", "List"}));
  engine_.SetDown(true);
  EXPECT_FALSE(Look("a-1", cache_.Mark()).ok());
  EXPECT_FALSE(cache_.Health(RuntimeKind::kDocker).ok());
  EXPECT_EQ(cache_.TakeFlipped().size(), 1U);
  EXPECT_EQ(Known(), "a-1 Created") << "what does not answer is not gone";
  engine_.SetDown(false);
  calls_.clear();
  ASSERT_TRUE(Look("a-1", cache_.Mark()).ok());
  EXPECT_EQ(calls_, std::vector<std::string>{"List"});
  EXPECT_TRUE(cache_.Health(RuntimeKind::kDocker).ok());
}

TEST_F(InstanceCacheTest, WhoAsksNeedsNoHintOfItsOwnButOthersAndLaterChangesDo) {
  Create("a-1", kA);
  Create("b-1", kB);
  ASSERT_TRUE(cache_.Refresh(RuntimeKind::kDocker, cache_.Mark(), Soon(), &kA).ok());
  EXPECT_EQ(cache_.TakeChanged(), std::set<ServerKey>{kB});
  ASSERT_TRUE(runtime_.Start("a-1", Soon()).ok());
  ASSERT_TRUE(Look("a-1", cache_.Mark(), &kA).ok());
  EXPECT_TRUE(cache_.TakeChanged().empty());
  // Somebody else's look, which its worker may have missed.
  ASSERT_TRUE(runtime_.Stop("a-1", seconds(1), Soon()).ok());
  ASSERT_TRUE(Look("a-1", cache_.Mark()).ok());
  EXPECT_EQ(cache_.TakeChanged(), std::set<ServerKey>{kA});
  ASSERT_TRUE(Look("a-1", cache_.Mark()).ok());
  EXPECT_TRUE(cache_.TakeChanged().empty()) << "nothing has changed";
}

TEST_F(InstanceCacheTest, AnInstanceIsBeingChangedForAsLongAsItIs) {
  EXPECT_FALSE(cache_.IsOwnChange("a-1"));
  {
    const InstanceCache::OwnChange change(cache_, "a-1");
    EXPECT_TRUE(cache_.IsOwnChange("a-1"));
    EXPECT_FALSE(cache_.IsOwnChange("b-1"));
  }
  EXPECT_FALSE(cache_.IsOwnChange("a-1"));
}

}  // namespace
}  // namespace mcpfleet
