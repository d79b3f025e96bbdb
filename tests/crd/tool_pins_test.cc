#include "crd/tool_pins.h"

#include <gtest/gtest.h>

namespace mcpfleet {
namespace {

using Names = std::vector<std::string>;

TEST(ToolPinsTest, DenyWinsOverAllowAndAnEmptyAllowIsEverything) {
  EXPECT_TRUE(ListsAllow({}, "a"));
  EXPECT_TRUE(ListsAllow({.allow = {"a"}}, "a"));
  EXPECT_FALSE(ListsAllow({.allow = {"a"}}, "b"));
  EXPECT_FALSE(ListsAllow({.allow = {"a"}, .deny = {"a"}}, "a"));
  EXPECT_FALSE(ListsAllow({.deny = {"a"}}, "a"));
  EXPECT_TRUE(ListsAllow({.deny = {"a"}}, "A"));
}

TEST(ToolPinsTest, EveryDifferenceHasItsKind) {
  const std::map<std::string, std::string> pins = {{"same", "1"}, {"other", "2"}, {"gone", "3"}};
  const PinDifferences differences = ComparePins(pins, {{"same", "1"}, {"other", "9"}, {"new", "4"}});
  EXPECT_EQ(differences.changed, Names{"other"});
  EXPECT_EQ(differences.missing, Names{"gone"});
  EXPECT_EQ(differences.added, Names{"new"});
  EXPECT_FALSE(differences.none());
  EXPECT_TRUE(ComparePins({{"same", "1"}}, {{"same", "1"}}).none());
}

TEST(ToolPinsTest, AToolListedTwiceHasChangedWhenEitherHas) {
  EXPECT_EQ(ComparePins({{"a", "1"}}, {{"a", "1"}, {"a", "2"}}).changed, Names{"a"});
  EXPECT_EQ(ComparePins({{"a", "1"}}, {{"a", "2"}, {"a", "1"}}).changed, Names{"a"});
  EXPECT_EQ(ComparePins({}, {{"a", "2"}, {"a", "1"}}).added, Names{"a"});
}

TEST(ToolPinsTest, PinsBreakUnderBlockWhenAPinnedToolChangedOrIsGone) {
  ToolsSpec tools{.pins = {{"a", "1"}, {"b", "2"}}};
  const ToolHashes same = {{"a", "1"}, {"b", "2"}, {"new", "3"}}, changed = {{"a", "1"}, {"b", "9"}},
                   gone = {{"a", "1"}};
  for (const ToolHashes& listed : {same, changed, gone}) EXPECT_FALSE(PinsBroken(tools, listed));
  tools.pinning = ToolPinning::kBlock;
  EXPECT_FALSE(PinsBroken(tools, same));
  EXPECT_TRUE(PinsBroken(tools, changed));
  EXPECT_TRUE(PinsBroken(tools, gone));
  tools.deny = {"b"};  // nobody can use it
  EXPECT_FALSE(PinsBroken(tools, changed));
  EXPECT_FALSE(PinsBroken(tools, gone));
}

}  // namespace
}  // namespace mcpfleet
