#include <gtest/gtest.h>

#include "tests/controller/world.h"

namespace mcpfleet {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;

const ServerKey kWeather = World::Key("weather");

ClientTarget TargetIn(const World& world) {
  StatusOr<ClientTarget> target = world.controller->ClientTargetOf(kWeather);
  EXPECT_TRUE(target.ok()) << target.status();
  return target.ok() ? *target : ClientTarget{};
}

TEST(ClientTargetTest, AServerThatAnswersIsReadyWithItsInstanceItsSpecAndItsArgv) {
  World world;
  DesiredServer server = Server("weather");
  server.spec.command = {"/bin/weather"};
  server.spec.args = {"--stdio"};
  world.desired.Put(server);
  world.Settle();
  const ClientTarget target = TargetIn(world);
  EXPECT_TRUE(target.ready);
  EXPECT_EQ(target.instance, world.Instance());
  EXPECT_EQ(target.server->revision, server.revision);
  EXPECT_EQ(target.argv, (std::vector<std::string>{"/bin/weather", "--stdio"}));
  EXPECT_EQ(target.url, "");
  EXPECT_FALSE(target.attached);
}

TEST(ClientTargetTest, TheEraIsThatOfTheLastVerification) {
  World world;
  world.desired.Put(Server("weather"));
  world.Settle();
  EXPECT_FALSE(TargetIn(world).modern);
  world.prober.SetModern(true);
  const int before = world.gateway.changes(kWeather);
  world.Pass(minutes(2));
  EXPECT_TRUE(TargetIn(world).modern);
  EXPECT_EQ(world.gateway.changes(kWeather), before + 1);
}

TEST(ClientTargetTest, AnHttpServerIsReachedInItsOwnNetworkAndOneWithTheHostsNetworkIsNot) {
  World world;
  DesiredServer server = Server("weather");
  server.spec.transport = Transport::kStreamableHttp;
  server.spec.port = 8080;
  world.desired.Put(server);
  world.Settle();
  ClientTarget target = TargetIn(world);
  EXPECT_EQ(target.url, "http://127.0.0.1:8080/mcp");
  EXPECT_EQ(target.network_pid, world.Containers()[0].report.pid);
  EXPECT_TRUE(target.argv.empty());
  server.spec.security.network = NetworkMode::kHost;
  server.revision = "another";
  world.desired.Put(server);
  world.Settle();
  EXPECT_EQ(TargetIn(world).network_pid, 0);
}

TEST(ClientTargetTest, ARemoteServerHasItsUrlAndNoInstance) {
  World world;
  world.desired.Put(Server("weather").Remote("https://mcp.test/mcp"));
  world.Settle();
  const ClientTarget target = TargetIn(world);
  EXPECT_TRUE(target.ready);
  EXPECT_EQ(target.url, "https://mcp.test/mcp");
  EXPECT_EQ(target.instance, "");
}

TEST(ClientTargetTest, WhatIsNotOfThisNodeIsNotFoundAndWhatWasDeletedIsAgain) {
  World world;
  EXPECT_EQ(world.controller->ClientTargetOf(kWeather).status().code(), StatusCode::kNotFound);
  world.desired.Put(Server("weather"));
  world.Settle();
  const int before = world.gateway.changes(kWeather);
  world.desired.Delete(kWeather);
  world.Settle();
  EXPECT_EQ(world.controller->ClientTargetOf(kWeather).status().code(), StatusCode::kNotFound);
  EXPECT_GT(world.gateway.changes(kWeather), before);
}

TEST(ClientTargetTest, WhatIsSuspendedRejectedOrBrokenIsFoundButNotReady) {
  World world;
  world.desired.Put(Server("weather").Rejected("ForbiddenByNode"));
  world.Settle();
  EXPECT_FALSE(TargetIn(world).ready);
  EXPECT_EQ(TargetIn(world).reason, "ForbiddenByNode");
  world.desired.Put(Server("weather").Suspend().Generation(2));
  world.Settle();
  EXPECT_FALSE(TargetIn(world).ready);
  EXPECT_EQ(TargetIn(world).reason, "Suspended");
  world.prober.Script([](const ProbeTarget&, bool) { return Unavailable("no answer"); });
  world.desired.Put(Server("weather").Generation(3));
  world.Settle();
  EXPECT_FALSE(TargetIn(world).ready);
  EXPECT_EQ(TargetIn(world).reason, "HandshakeFailed");
}

TEST(ClientTargetTest, ClientsOfTheVersionBeforeARejectedOneAreServed) {
  World world;
  world.desired.Put(Server("weather"));
  world.Pass(minutes(2));
  world.desired.Put(Server("weather").Image("v2").Generation(2).Rejected("ForbiddenByNode"));
  world.Settle();
  const ClientTarget target = TargetIn(world);
  EXPECT_TRUE(target.ready);
  EXPECT_EQ(target.server->generation, 1);
}

TEST(ClientTargetTest, AChangeOfAPolicyAloneIsNews) {
  World world;
  DesiredServer server = Server("weather");
  world.desired.Put(server);
  world.Settle();
  const int before = world.gateway.changes(kWeather);
  server.generation = 2;
  server.spec.rate_limit.requests = 5;
  world.desired.Put(server);
  world.Settle();
  EXPECT_EQ(world.gateway.changes(kWeather), before + 1);
  EXPECT_EQ(TargetIn(world).server->spec.rate_limit.requests, 5);
}

TEST(ClientTargetTest, AServerThatOnlyRunsIsNoNews) {
  World world;
  world.desired.Put(Server("weather"));
  world.Settle();
  const int before = world.gateway.changes(kWeather);
  world.Pass(minutes(10));
  EXPECT_EQ(world.gateway.changes(kWeather), before);
}

TEST(ClientTargetTest, ANewInstanceIsNews) {
  World world;
  world.desired.Put(Server("weather"));
  world.Pass(minutes(2));
  const std::string old = world.Instance();
  const int before = world.gateway.changes(kWeather);
  world.desired.Put(Server("weather").Image("v2").Generation(2));
  world.Settle();
  EXPECT_NE(TargetIn(world).instance, old);
  EXPECT_TRUE(TargetIn(world).ready);
  EXPECT_GT(world.gateway.changes(kWeather), before);
}

TEST(ClientTargetTest, TheEndpointIsInTheStatusWhileTheServerAnswers) {
  World world;
  world.endpoint_of = [](const ServerKey& key) { return "http://127.0.0.1:8700/" + ToString(key) + "/mcp"; };
  world.Boot();
  world.desired.Put(Server("weather"));
  world.Settle();
  EXPECT_EQ(world.controller->StatusOf(kWeather)->endpoint, "http://127.0.0.1:8700/default/weather/mcp");
  EXPECT_EQ(world.Reason("weather", "Exposed"), "Exposed");
  world.desired.Put(Server("weather").Suspend().Generation(2));
  world.Settle();
  EXPECT_EQ(world.controller->StatusOf(kWeather)->endpoint, "");
  EXPECT_EQ(world.Reason("weather", "Exposed"), "NotVerified");
}

TEST(ClientTargetTest, TheStatusSaysWhatTheShimSaysOfTheKernel) {
  World world;
  world.endpoint_of = [](const ServerKey& key) { return "http://127.0.0.1:8700/" + ToString(key) + "/mcp"; };
  world.Boot();
  world.sessions.DefaultScript().separates = false;
  DesiredServer server = Server("weather");
  server.spec.auth.type = AuthType::kBearer;
  server.spec.auth.tokens = {{"ann", "1"}, {"bob", "2"}};
  world.desired.Put(server);
  world.Settle();
  EXPECT_EQ(world.Reason("weather", "SandboxEnforced"), "SessionsNotIsolated");
  EXPECT_TRUE(world.Ready("weather"));
}

}  // namespace
}  // namespace mcpfleet
