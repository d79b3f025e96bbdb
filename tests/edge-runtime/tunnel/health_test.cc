#include "edge-runtime/tunnel/health.h"

#include <gtest/gtest.h>

#include "base/http/server.h"

namespace mcpfleet::tunnel {
namespace {

constexpr char kService[] = "unix:/gateway/gateway.sock";

Health Ready(int status, const std::string& body) {
  Health health;
  ReadReady(status, body, &health);
  return health;
}
Health Config(int status, const std::string& body) {
  Health health;
  ReadConfig(status, body, kService, &health);
  return health;
}

TEST(HealthTest, ReadyIsOneConnectionToCloudflare) {
  EXPECT_EQ(Ready(200, R"({"status":200,"readyConnections":4,"connectorId":"x"})").connections, 4);
  EXPECT_TRUE(Ready(200, R"({"status":200,"readyConnections":1})").ready());
  EXPECT_FALSE(Ready(503, R"({"status":503,"readyConnections":0})").ready());
  EXPECT_NE(Ready(503, "{}").problem, "");
  EXPECT_EQ(Ready(200, "{}").problem, "");
  // The status is what it promises; the number is for people.
  EXPECT_EQ(Ready(200, "OK").connections, 1);
  EXPECT_EQ(Ready(200, R"({"readyConnections":99999999999})").connections, 1000);
  EXPECT_FALSE(Ready(503, R"({"readyConnections":4})").ready());
}

TEST(HealthTest, OfItsRulesThoseCountThatLeadToTheGateway) {
  const Health health = Config(200, R"({"version":-1,"config":{"ingress":[
    {"hostname":"a.example.com","path":null,"service":"unix:/gateway/gateway.sock","originRequest":{}},
    {"hostname":"b.example.com","path":null,"service":"http://192.168.0.1"},
    {"hostname":"","path":null,"service":"http_status:404"}],"warp-routing":{}}})");
  EXPECT_TRUE(health.told);
  EXPECT_FALSE(health.remote);
  EXPECT_EQ(health.hostnames, std::set<std::string>{"a.example.com"});
}

TEST(HealthTest, AConfigurationOfCloudflaresHasAVersion) {
  EXPECT_TRUE(Config(200, R"({"version":0,"config":{"ingress":[]}})").remote);
  EXPECT_TRUE(Config(200, R"({"version":12,"config":{"ingress":[]}})").remote);
  EXPECT_FALSE(Config(200, R"({"config":{"ingress":[]}})").remote);
}

TEST(HealthTest, WhatIsNoAnswerTellsNothing) {
  for (const char* body : {"", "404 page not found", "[]", "{}", R"({"config":{}})", R"({"config":{"ingress":7}})"})
    EXPECT_FALSE(Config(200, body).told) << body;
  EXPECT_FALSE(Config(404, R"({"version":-1,"config":{"ingress":[]}})").told);
  const Health odd = Config(200, R"({"version":-1,"config":{"ingress":[1,{"hostname":5},{"service":"x"},null]}})");
  EXPECT_TRUE(odd.told);
  EXPECT_TRUE(odd.hostnames.empty());
}

TEST(HealthTest, WhoDoesNotListenIsNotReady) {
  http::Client nobody(http::TcpEndpoint("127.0.0.1", 1), {});
  const Health health = LookAt(nobody, kService, Deadline::After(std::chrono::seconds(5)));
  EXPECT_FALSE(health.ready() || health.answers);
  EXPECT_NE(health.problem.find("does not answer on its metrics port"), std::string::npos) << health.problem;
}

}  // namespace
}  // namespace mcpfleet::tunnel
