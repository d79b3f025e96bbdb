#include "edge-runtime/gateway/resume_buffer.h"

#include <gtest/gtest.h>

namespace mcpfleet::gateway {
namespace {

using namespace std::chrono_literals;

const MonoTime kNow{1000s};

std::vector<std::string> Texts(const std::vector<const ResumeBuffer::Event*>& events) {
  std::vector<std::string> out;
  for (const auto* event : events) out.push_back(event->data);
  return out;
}
using Strings = std::vector<std::string>;

TEST(ResumeBufferTest, AnIdIsReadAsItWasWritten) {
  for (const EventId id : {EventId{0, 0}, EventId{1, 35}, EventId{36, 36}, EventId{UINT64_MAX, UINT64_MAX}}) {
    EXPECT_EQ(EventId::Parse(id.ToString()), id) << id.ToString();
  }
  EXPECT_EQ((EventId{36, 35}).ToString(), "10-z");
  for (const char* bad : {"", "-", "1-", "-1", "1", "1-2-3", "1- 2", " 1-2", "1-2 ", "+1-2", "1--2", "1_-2", "1-\xc3",
                          "zzzzzzzzzzzzzz-1", "1-00000000000000000000000000000000001"}) {
    EXPECT_EQ(EventId::Parse(bad), std::nullopt) << bad;
  }
}

TEST(ResumeBufferTest, AReplayIsOfOneStreamFromWhereItStopped) {
  ResumeBuffer buffer({});
  buffer.Add({1, 1}, "a", kNow);
  buffer.Add({2, 1}, "other", kNow);
  buffer.Add({1, 2}, "b", kNow);
  buffer.Add({1, 3}, "c", kNow);
  EXPECT_EQ(Texts(buffer.After({1, 0})), (Strings{"a", "b", "c"}));
  EXPECT_EQ(Texts(buffer.After({1, 2})), Strings{"c"});
  EXPECT_EQ(Texts(buffer.After({1, 3})), Strings{});
  EXPECT_EQ(Texts(buffer.After({3, 0})), Strings{});
  EXPECT_FALSE(buffer.HasGap({1, 0}));
}

TEST(ResumeBufferTest, WhatIsTooMuchGoesOldestFirstAndIsKnownToBeMissing) {
  ResumeBuffer by_number({.events = 2});
  for (uint64_t i = 1; i <= 4; ++i) by_number.Add({1, i}, std::to_string(i), kNow);
  EXPECT_EQ(Texts(by_number.After({1, 0})), (Strings{"3", "4"}));
  EXPECT_TRUE(by_number.HasGap({1, 0}));
  EXPECT_TRUE(by_number.HasGap({1, 1}));
  EXPECT_FALSE(by_number.HasGap({1, 2})) << "this client has all that was dropped";
  EXPECT_FALSE(by_number.HasGap({2, 0}));

  ResumeBuffer by_bytes({.bytes = 10});
  by_bytes.Add({1, 1}, std::string(6, 'x'), kNow);
  by_bytes.Add({2, 1}, std::string(6, 'y'), kNow);
  EXPECT_EQ(by_bytes.bytes(), 6U);
  EXPECT_TRUE(by_bytes.HasGap({1, 0}));
  by_bytes.Add({2, 2}, std::string(11, 'z'), kNow);
  EXPECT_EQ(Texts(by_bytes.After({2, 0})).size(), 1U) << "what never fits does not push the others out";
  EXPECT_TRUE(by_bytes.HasGap({2, 1}));
  EXPECT_LE(by_bytes.bytes(), 10U);
}

TEST(ResumeBufferTest, WhatIsOldGoes) {
  ResumeBuffer buffer({.age = 60s});
  buffer.Add({1, 1}, "a", kNow);
  buffer.Add({1, 2}, "b", kNow + 30s);
  buffer.Prune(kNow + 59s);
  EXPECT_EQ(Texts(buffer.After({1, 0})).size(), 2U);
  buffer.Prune(kNow + 60s);
  EXPECT_EQ(Texts(buffer.After({1, 0})), Strings{"b"});
  EXPECT_TRUE(buffer.HasGap({1, 0}));
  buffer.Prune(kNow + 90s);
  EXPECT_TRUE(buffer.empty());
  EXPECT_EQ(buffer.bytes(), 0U);
}

TEST(ResumeBufferTest, AStreamCanBeForgotten) {
  ResumeBuffer buffer({.events = 2});
  for (uint64_t i = 1; i <= 3; ++i) buffer.Add({1, i}, "x", kNow);
  buffer.DropStream(1);
  EXPECT_TRUE(buffer.empty());
  EXPECT_EQ(buffer.bytes(), 0U);
  EXPECT_FALSE(buffer.HasGap({1, 0}));
}

}  // namespace
}  // namespace mcpfleet::gateway
