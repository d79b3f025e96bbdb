#include "store/kubernetes/reflector.h"

#include <set>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace mcpfleet::kube {
namespace {

using std::chrono::milliseconds, std::chrono::minutes, std::chrono::seconds;

Json Item(const std::string& name, const std::string& version) {
  return {{"metadata", {{"namespace", "default"}, {"name", name}, {"resourceVersion", version}}}};
}

Json Page(const std::vector<Json>& items, const std::string& version, const std::string& token = "") {
  Json page = {{"metadata", {{"resourceVersion", version}}}, {"items", items}};
  if (!token.empty()) page["metadata"]["continue"] = token;
  return page;
}

Json Event(const std::string& type, const Json& object) { return {{"type", type}, {"object", object}}; }

std::string Said(const std::vector<Change>& changes) {
  std::string out;
  for (const Change& change : changes) out += (change.object.is_null() ? "-" : "+") + change.name.second + " ";
  return out;
}

class ReflectorTest : public ::testing::Test {
 protected:
  // Through the list to the watch.
  void Sync(const std::vector<Json>& items = {Item("a", "1"), Item("b", "2")}, const std::string& version = "10") {
    reflector_.OnPage(Page(items, version), now_);
    ASSERT_EQ(reflector_.Next().step, Reflector::Step::kWatch);
    reflector_.OnWatchOpened(now_);
  }
  std::string Take(const Json& event, bool* end = nullptr) {
    bool ended = false;
    const std::string said = Said(reflector_.OnEvent(event, now_, &ended));
    if (end != nullptr) *end = ended;
    return said;
  }
  MonoTime now_ = MonoTime(seconds(1000));
  Reflector reflector_{ReflectorOptions{}, 7};
};

TEST_F(ReflectorTest, AListBeginsWithPagesAndNoVersion) {
  const Reflector::Request request = reflector_.Next();
  EXPECT_EQ(request.step, Reflector::Step::kList);
  EXPECT_EQ(request.query, "limit=500");
  EXPECT_FALSE(reflector_.synced());
}

TEST_F(ReflectorTest, NothingIsToldBeforeTheLastPage) {
  EXPECT_EQ(Said(reflector_.OnPage(Page({Item("a", "1")}, "10", "next"), now_)), "");
  EXPECT_FALSE(reflector_.synced());
  EXPECT_EQ(reflector_.Next().query, "limit=500&continue=next");
  EXPECT_EQ(Said(reflector_.OnPage(Page({Item("b", "2")}, "10"), now_)), "+a +b ");
  EXPECT_TRUE(reflector_.synced());
}

TEST_F(ReflectorTest, TheWatchGoesOnFromTheListAndThenFromEachEvent) {
  Sync();
  EXPECT_NE(reflector_.Next().query.find("resourceVersion=10&"), std::string::npos);
  EXPECT_EQ(Take(Event("MODIFIED", Item("a", "11"))), "+a ");
  EXPECT_EQ(Take(Event("ADDED", Item("c", "12"))), "+c ");
  EXPECT_EQ(Take(Event("DELETED", Item("b", "13"))), "-b ");
  EXPECT_EQ(reflector_.version(), "13");
  EXPECT_EQ(reflector_.size(), 2U);
}

TEST_F(ReflectorTest, AWatchAsksForBookmarksAndATimeBetweenTheBounds) {
  Sync();
  for (int i = 0; i < 50; ++i) {
    const Reflector::Request request = reflector_.Next();
    EXPECT_GE(request.watch_for, minutes(4));
    EXPECT_LE(request.watch_for, minutes(8));
    EXPECT_NE(request.query.find("allowWatchBookmarks=true"), std::string::npos);
  }
}

TEST_F(ReflectorTest, ABookmarkMovesTheVersionAndTellsNothing) {
  Sync();
  EXPECT_EQ(Take(Event("BOOKMARK", Item("", "40"))), "");
  EXPECT_EQ(reflector_.version(), "40");
  EXPECT_EQ(reflector_.size(), 2U);
}

TEST_F(ReflectorTest, GoneInAnEventListsAgainAtOnceAndTellsOnlyWhatDiffers) {
  Sync();
  bool end = false;
  Take(Event("ERROR", {{"kind", "Status"}, {"code", 410}, {"reason", "Expired"}}), &end);
  EXPECT_TRUE(end);
  reflector_.OnWatchEnded(200, {}, now_);
  EXPECT_EQ(reflector_.Next().step, Reflector::Step::kList);
  EXPECT_LE(reflector_.due(), now_);
  EXPECT_EQ(reflector_.relists(), 1);
  EXPECT_EQ(Said(reflector_.OnPage(Page({Item("b", "2"), Item("c", "30")}, "31"), now_)), "+c -a ");
}

TEST_F(ReflectorTest, GoneAsTheAnswerOfAWatchListsAgain) {
  Sync();
  reflector_.OnWatchEnded(410, {}, now_);
  EXPECT_EQ(reflector_.Next().step, Reflector::Step::kList);
  EXPECT_EQ(reflector_.Next().query, "limit=500");
}

TEST_F(ReflectorTest, GoneAgainAndAgainIsNotAskedForInALoop) {
  Sync();
  reflector_.OnWatchEnded(410, {}, now_);
  reflector_.OnPage(Page({}, "20"), now_);
  reflector_.OnWatchEnded(410, {}, now_);
  EXPECT_GT(reflector_.due(), now_);
}

TEST_F(ReflectorTest, AnyOtherErrorEventListsAgainAfterAPause) {
  Sync();
  Take(Event("ERROR", {{"kind", "Status"}, {"code", 500}, {"reason", "InternalError"}}));
  EXPECT_EQ(reflector_.Next().step, Reflector::Step::kList);
  EXPECT_GT(reflector_.due(), now_);
}

TEST_F(ReflectorTest, ABrokenWatchIsResumedFromTheLastVersionAfterAPause) {
  Sync();
  Take(Event("MODIFIED", Item("a", "11")));
  reflector_.OnWatchEnded(0, {}, now_);
  EXPECT_EQ(reflector_.Next().step, Reflector::Step::kWatch);
  EXPECT_NE(reflector_.Next().query.find("resourceVersion=11&"), std::string::npos);
  EXPECT_GT(reflector_.due(), now_);
}

// A version that it can't read is a 400 for one API server and a 500 for another; 503 is only one that is not up.
TEST_F(ReflectorTest, AWatchThatIsRefusedForItsVersionIsAListAfterAPause) {
  for (const int code : {400, 422, 500}) {
    Sync();
    reflector_.OnWatchEnded(code, {}, now_);
    EXPECT_EQ(reflector_.Next().step, Reflector::Step::kList) << code;
    EXPECT_GT(reflector_.due(), now_) << code;
  }
  Sync();
  reflector_.OnWatchEnded(503, {}, now_);
  EXPECT_EQ(reflector_.Next().step, Reflector::Step::kWatch);
}

TEST_F(ReflectorTest, AWatchThatEndsInItsTimeIsResumedAtOnce) {
  Sync();
  now_ += minutes(5);
  reflector_.OnWatchEnded(200, {}, now_);
  EXPECT_EQ(reflector_.Next().step, Reflector::Step::kWatch);
  EXPECT_LE(reflector_.due(), now_);
}

TEST_F(ReflectorTest, AWatchThatEndsAtOnceAndSaidNothingWaits) {
  Sync();
  reflector_.OnWatchEnded(200, {}, now_ + milliseconds(5));
  EXPECT_GT(reflector_.due(), now_ + milliseconds(5));
}

TEST_F(ReflectorTest, PausesDoubleUpToTheLongestAndAreNeverTheSameForAll) {
  Duration longest{};
  std::set<Duration> seen;
  for (int i = 0; i < 40; ++i) {
    reflector_.OnListFailed(503, {}, now_);
    const Duration pause = reflector_.due() - now_;
    EXPECT_GE(pause, milliseconds(400));
    EXPECT_LE(pause, seconds(45));
    longest = std::max(longest, pause);
    seen.insert(pause);
  }
  EXPECT_GT(longest, seconds(15));
  EXPECT_GT(seen.size(), 30U);
}

TEST_F(ReflectorTest, AnEventResetsThePause) {
  Sync();
  for (int i = 0; i < 10; ++i) reflector_.OnWatchEnded(503, {}, now_);
  EXPECT_GT(reflector_.due() - now_, seconds(10));
  reflector_.OnWatchOpened(now_);
  Take(Event("MODIFIED", Item("a", "11")));
  reflector_.OnWatchEnded(0, {}, now_);
  EXPECT_LT(reflector_.due() - now_, seconds(2));
}

TEST_F(ReflectorTest, RetryAfterIsHeldTo) {
  reflector_.OnListFailed(429, seconds(90), now_);
  EXPECT_GE(reflector_.due() - now_, seconds(90));
}

TEST_F(ReflectorTest, AContinueTokenThatExpiredBeginsTheListAnewWithoutPages) {
  reflector_.OnPage(Page({Item("a", "1")}, "10", "next"), now_);
  reflector_.OnListFailed(410, {}, now_);
  EXPECT_EQ(reflector_.Next().query, "");
  EXPECT_LE(reflector_.due(), now_);
  // What the first pages had is not mixed in.
  EXPECT_EQ(Said(reflector_.OnPage(Page({Item("b", "2")}, "20"), now_)), "+b ");
  reflector_.OnWatchEnded(410, {}, now_);
  EXPECT_EQ(reflector_.Next().query, "limit=500");
}

TEST_F(ReflectorTest, AFailedPageBeginsTheListAnew) {
  reflector_.OnPage(Page({Item("a", "1")}, "10", "next"), now_);
  reflector_.OnListFailed(0, {}, now_);
  EXPECT_EQ(reflector_.Next().query, "limit=500");
}

TEST_F(ReflectorTest, WhatIsNoListIsNotTakenForAnEmptyOne) {
  Sync();
  reflector_.OnWatchEnded(410, {}, now_);
  EXPECT_EQ(Said(reflector_.OnPage(Json::object(), now_)), "");
  EXPECT_EQ(Said(reflector_.OnPage({{"items", Json::array()}}, now_)), "");
  EXPECT_EQ(reflector_.Next().step, Reflector::Step::kList);
  EXPECT_GT(reflector_.due(), now_);
  EXPECT_EQ(reflector_.size(), 2U);
}

TEST_F(ReflectorTest, AnEventOfAnUnknownTypeOrWithoutAVersionListsAgain) {
  Sync();
  bool end = false;
  Take(Event("RENAMED", Item("a", "11")), &end);
  EXPECT_TRUE(end);
  EXPECT_EQ(reflector_.Next().step, Reflector::Step::kList);
  Sync();
  Take({{"type", "MODIFIED"}, {"object", {{"metadata", {{"name", "a"}}}}}}, &end);
  EXPECT_TRUE(end);
  EXPECT_EQ(reflector_.Next().step, Reflector::Step::kList);
}

TEST_F(ReflectorTest, ASelectorIsInEveryRequest) {
  Reflector one(ReflectorOptions{.field_selector = "metadata.name=github"}, 1);
  EXPECT_EQ(one.Next().query, "fieldSelector=metadata.name%3Dgithub&limit=500");
  one.OnPage(Page({}, "3"), now_);
  EXPECT_EQ(one.Next().query.find("fieldSelector=metadata.name%3Dgithub&watch=1"), 0U);
}

}  // namespace
}  // namespace mcpfleet::kube
