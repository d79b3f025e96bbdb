#include "store/down_list.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace mcpfleet {
namespace {

std::string Refused(const Json& json) { return Message(ParseDownList(json).status()); }

TEST(DownListTest, IsReadAsTheWorkerWritesIt) {
  const StatusOr<DownList> list =
      ParseDownList({{"type", "down"}, {"sequence", 7}, {"nodes", {"edge-1", "edge-2"}}, {"frozen", true}});
  ASSERT_TRUE(list.ok()) << list.status();
  EXPECT_EQ(list->sequence, 7);
  EXPECT_EQ(list->nodes, (std::vector<std::string>{"edge-1", "edge-2"}));
  EXPECT_TRUE(list->frozen);
}

TEST(DownListTest, WhatIsNotFormedSoIsRefusedWhole) {
  const Json good = {{"sequence", 7}, {"nodes", Json::array()}};
  EXPECT_EQ(Refused(good), "");
  EXPECT_NE(Refused(nullptr), "");
  EXPECT_NE(Refused(Json::array()), "");
  for (const Json& sequence : {Json(nullptr), Json(-1), Json("7"), Json(7.5), Json(int64_t{1} << 53),
                               Json(uint64_t{0xFFFF'FFFF'FFFF'FFFFU})}) {
    Json bad = good;
    bad["sequence"] = sequence;
    EXPECT_EQ(Refused(bad), "down: sequence is no number from 0 to 2^53") << sequence;
  }
  for (const Json& nodes : {Json(nullptr), Json("edge-1"), Json::object()}) {
    Json bad = good;
    bad["nodes"] = nodes;
    EXPECT_EQ(Refused(bad), "down: nodes is no list") << nodes;
  }
  for (const Json& node : {Json(nullptr), Json(1), Json(""), Json("Edge"), Json("a/b"), Json("a.b"),
                           Json(std::string(64, 'a')), Json(std::string("a\0b", 3))}) {
    Json bad = good;
    bad["nodes"] = Json::array({"edge-1", node});
    EXPECT_EQ(Refused(bad), "down: an entry is no name of a node") << node;
  }
  Json huge = good;
  for (size_t i = 0; i <= kDownListNodes; ++i) huge["nodes"].push_back("n" + std::to_string(i));
  EXPECT_NE(Refused(huge), "");
  huge["nodes"].erase(0);
  EXPECT_EQ(Refused(huge), "");
}

TEST(DownNewsTest, ANodeIsInformedWhileItIsConnectedAndHasTheListOfThisConnection) {
  DownNews news;
  EXPECT_FALSE(news.informed());
  EXPECT_FALSE(news.SetConnected(true)) << "nothing that counts has changed";
  EXPECT_FALSE(news.informed());
  EXPECT_TRUE(news.SetDown({.sequence = 3, .nodes = {"a"}}));
  EXPECT_TRUE(news.informed());
  EXPECT_TRUE(news.SetConnected(false));
  EXPECT_FALSE(news.informed());
  news.SetConnected(true);
  EXPECT_FALSE(news.informed());
  news.SetDown({.sequence = 3, .nodes = {"a"}});
  EXPECT_TRUE(news.informed());
}

TEST(DownNewsTest, TheOrderOfTheConnectionAndItsFirstListDoesNotMatter) {
  DownNews news;
  news.SetDown({.sequence = 1});
  EXPECT_FALSE(news.informed());
  EXPECT_TRUE(news.SetConnected(true));
  EXPECT_TRUE(news.informed());
}

TEST(DownNewsTest, WithinAConnectionOnlyAHigherSequenceCounts) {
  DownNews news;
  news.SetConnected(true);
  news.SetDown({.sequence = 5, .nodes = {"a"}});
  EXPECT_FALSE(news.SetDown({.sequence = 5, .nodes = {"b"}}));
  EXPECT_FALSE(news.SetDown({.sequence = 4, .nodes = {"b"}}));
  EXPECT_EQ(news.nodes(), DownNodes{"a"});
  EXPECT_FALSE(news.SetDown({.sequence = 6, .nodes = {"a"}})) << "newer, and says the same";
  EXPECT_TRUE(news.SetDown({.sequence = 7, .nodes = {"b", "b"}}));
  EXPECT_EQ(news.nodes(), DownNodes{"b"});
}

TEST(DownNewsTest, AHostThatBeganAnewIsHeardAfterABreak) {
  DownNews news;
  news.SetConnected(true);
  news.SetDown({.sequence = (int64_t{1} << 53) - 1, .nodes = {"a", "b"}});
  news.SetConnected(false);
  news.SetConnected(true);
  EXPECT_TRUE(news.SetDown({.sequence = 1, .nodes = {"b"}}));
  EXPECT_EQ(news.nodes(), DownNodes{"b"});
}

}  // namespace
}  // namespace mcpfleet
