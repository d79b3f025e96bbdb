#include "edge-runtime/tunnel/exposure.h"

#include <gtest/gtest.h>

namespace mcpfleet::tunnel {
namespace {

using Names = std::vector<std::string>;

ServerKey Key(const std::string& name) { return {"default", name}; }
ExposeRequest Asks(const std::string& name, const std::string& hostname, AuthType auth = AuthType::kNone) {
  return {Key(name), hostname, auth};
}
const ExposeRules kManaged{.mode = Mode::kManaged, .node_hostname = {}};

TEST(ExposureTest, AServerHasTheNameThatItAsksFor) {
  const auto doors = OpenDoors({Asks("a", "a.example.com"), Asks("b", "")}, kManaged);
  EXPECT_EQ(doors.at(Key("a")), Door{.hostname = "a.example.com"});
  EXPECT_EQ(doors.at(Key("b")), Door{});
  EXPECT_EQ(HostnamesOf(doors, kManaged), Names{"a.example.com"});
  EXPECT_EQ(NamesOf(doors.at(Key("a")), kManaged), Names{"a.example.com"});
  EXPECT_EQ(NamesOf(doors.at(Key("b")), kManaged), Names{});
}

TEST(ExposureTest, WithoutATunnelNoNameIsLetInAndThatIsSaidOfThoseThatAskForOne) {
  const ExposeRules off{.mode = Mode::kOff, .node_hostname = {}};
  const auto doors = OpenDoors({Asks("a", "a.example.com"), Asks("b", "")}, off);
  EXPECT_EQ(doors.at(Key("a")).reason, "NotConfigured");
  EXPECT_EQ(doors.at(Key("a")).hostname, "");
  EXPECT_EQ(doors.at(Key("b")), Door{});
  EXPECT_EQ(HostnamesOf(doors, off), Names{});
}

TEST(ExposureTest, OfTwoThatAskForOneNameTheFirstHasItInWhateverOrderTheyCome) {
  const ExposeRequest a = Asks("a", "x.example.com"), b = Asks("b", "x.example.com");
  for (const auto& order : {std::vector{a, b}, std::vector{b, a}}) {
    const auto doors = OpenDoors(order, kManaged);
    EXPECT_EQ(doors.at(Key("a")).hostname, "x.example.com");
    EXPECT_EQ(doors.at(Key("b")).hostname, "");
    EXPECT_EQ(doors.at(Key("b")).reason, "HostnameConflict");
    EXPECT_EQ(doors.at(Key("b")).message, "default/a has x.example.com on this node");
    EXPECT_EQ(HostnamesOf(doors, kManaged), Names{"x.example.com"});
  }
  // The namespace comes first.
  const auto doors = OpenDoors({a, {{"apps", "z"}, "x.example.com", AuthType::kNone}}, kManaged);
  EXPECT_EQ(doors.at({"apps", "z"}).hostname, "x.example.com");
  EXPECT_EQ(doors.at(Key("a")).reason, "HostnameConflict");
}

TEST(ExposureTest, InASignedFleetOnlyAuthThatCloudflareCannotMintIsExposed) {
  const ExposeRules fleet{.mode = Mode::kManaged, .node_hostname = "node.example.com", .signed_fleet = true};
  const auto doors = OpenDoors(
      {Asks("none", "a.example.com", AuthType::kNone), Asks("access", "b.example.com", AuthType::kCloudflareAccess),
       Asks("bearer", "c.example.com", AuthType::kBearer), Asks("jwt", "d.example.com", AuthType::kJwt),
       Asks("plain", "", AuthType::kNone)},
      fleet);
  for (const char* name : {"none", "access"}) {
    EXPECT_EQ(doors.at(Key(name)).reason, "CloudflareTrusted") << name;
    EXPECT_EQ(NamesOf(doors.at(Key(name)), fleet), Names{}) << name << ": not by the node's name either";
  }
  EXPECT_EQ(NamesOf(doors.at(Key("plain")), fleet), Names{});
  EXPECT_EQ(NamesOf(doors.at(Key("bearer")), fleet), (Names{"c.example.com", "node.example.com"}));
  EXPECT_EQ(NamesOf(doors.at(Key("jwt")), fleet), (Names{"d.example.com", "node.example.com"}));
  EXPECT_EQ(HostnamesOf(doors, fleet), (Names{"c.example.com", "d.example.com", "node.example.com"}));
}

TEST(ExposureTest, OneThatMayNotBeExposedTakesNoNameFromAnother) {
  const ExposeRules fleet{.mode = Mode::kManaged, .node_hostname = {}, .signed_fleet = true};
  const auto doors =
      OpenDoors({Asks("a", "x.example.com", AuthType::kNone), Asks("b", "x.example.com", AuthType::kJwt)}, fleet);
  EXPECT_EQ(doors.at(Key("a")).reason, "CloudflareTrusted");
  EXPECT_EQ(doors.at(Key("b")).hostname, "x.example.com");
}

TEST(ExposureTest, TheNodesOwnNameIsNoServersAndReachesThemAll) {
  const ExposeRules node{.mode = Mode::kExternal, .node_hostname = "node.example.com"};
  const auto doors = OpenDoors({Asks("a", "node.example.com"), Asks("b", "")}, node);
  EXPECT_EQ(doors.at(Key("a")).reason, "HostnameConflict");
  EXPECT_EQ(NamesOf(doors.at(Key("a")), node), Names{"node.example.com"});
  EXPECT_EQ(NamesOf(doors.at(Key("b")), node), Names{"node.example.com"});
  EXPECT_EQ(HostnamesOf(doors, node), Names{"node.example.com"});
}

TEST(ExposureTest, ItIsTrueOnlyWhatAConnectedTunnelServes) {
  const Door door{.hostname = "a.example.com"};
  TunnelState state{.ready = ConditionStatus::kFalse, .reason = "NotRunning", .message = "it fell", .served = {}};
  Exposure exposure = ExposureOf(Key("a"), door, state);
  EXPECT_EQ(exposure.status, ConditionStatus::kFalse);
  EXPECT_EQ(exposure.reason, "TunnelNotReady");
  EXPECT_EQ(exposure.message, "it fell");
  EXPECT_EQ(exposure.url, "");
  state = {.ready = ConditionStatus::kTrue, .reason = "Connected", .message = {}, .served = {"b.example.com"}};
  exposure = ExposureOf(Key("a"), door, state);
  EXPECT_EQ(exposure.reason, "TunnelNotReady");
  EXPECT_EQ(exposure.message, "cloudflared does not run with a.example.com yet");
  state.served.insert("a.example.com");
  exposure = ExposureOf(Key("a"), door, state);
  EXPECT_EQ(exposure.status, ConditionStatus::kTrue);
  EXPECT_EQ(exposure.url, "https://a.example.com/default/a/mcp");
  // What is refused stays so, whatever runs.
  exposure = ExposureOf(Key("a"), {.hostname = {}, .reason = "HostnameConflict", .message = "b has it"}, state);
  EXPECT_EQ(exposure.status, ConditionStatus::kFalse);
  EXPECT_EQ(exposure.reason, "HostnameConflict");
}

TEST(ExposureTest, OfATunnelThatNobodyShowsUsNothingIsKnown) {
  const TunnelState state{
      .ready = ConditionStatus::kUnknown, .reason = "ExternallyManaged", .message = "m", .served = {}};
  const Exposure exposure = ExposureOf(Key("a"), {.hostname = "a.example.com"}, state);
  EXPECT_EQ(exposure.status, ConditionStatus::kUnknown);
  EXPECT_EQ(exposure.reason, "ExternallyManaged");
}

}  // namespace
}  // namespace mcpfleet::tunnel
