#include "crd/node_name.h"

#include <gtest/gtest.h>

#include "base/digest.h"
#include "crd/labels.h"

namespace mcpfleet {
namespace {

std::string Parsed(const std::string& given) {
  const StatusOr<std::string> name = ParseNodeName(given, "node");
  return name.ok() ? *name : "refused";
}
std::string Marked(const std::string& label, const std::string& whole) {
  return label + "-" + Sha256Hex(whole).substr(0, 8);
}

TEST(NodeNameTest, ALabelIsItsOwnNameUpTo63Characters) {
  for (const std::string& name : {std::string("a"), std::string("edge-01"), std::string("0"), std::string(63, 'x')})
    EXPECT_EQ(Parsed(name), name);
}

TEST(NodeNameTest, ANodeOfKubernetesIsTakenUpTo253CharactersAndBecomesALabel) {
  const std::string longest = std::string(249, 'x') + ".com";
  for (const std::string& name : {std::string(64, 'x'), longest, std::string("n1.a"), std::string("a.b.c-d.0")}) {
    const std::string parsed = Parsed(name);
    EXPECT_EQ(CheckName(parsed), "") << name << " " << parsed;
    EXPECT_EQ(parsed, NodeNameOf(name));
    EXPECT_EQ(Parsed(parsed), parsed) << "the name itself names the same node";
  }
  EXPECT_EQ(Parsed("n1.a"), Marked("n1-a", "n1.a"));
  EXPECT_EQ(Parsed(std::string(64, 'x')), Marked(std::string(54, 'x'), std::string(64, 'x')));
  EXPECT_EQ(Parsed(longest).size(), 63U);
  EXPECT_NE(Parsed("a.b"), Parsed("a-b"));
}

TEST(NodeNameTest, WhatKubernetesWouldNotCallANodeIsRefused) {
  for (const std::string& name :
       {std::string(), std::string("."), std::string(".a"), std::string("a."), std::string("a..b"), std::string("-a"),
        std::string("a-"), std::string("a.-b"), std::string("a-.b"), std::string("Edge-01"), std::string("a.B"),
        std::string("a_b"), std::string("a/b"), std::string("a b"), std::string("a\n"), std::string("\xc3\xa9"),
        std::string(254, 'x'), std::string(250, 'x') + ".com"})
    EXPECT_EQ(Parsed(name), "refused") << name;
  EXPECT_EQ(Message(ParseNodeName("Edge.01", "--node").status()).substr(0, 17), "--node \"Edge.01\":");
}

}  // namespace
}  // namespace mcpfleet
