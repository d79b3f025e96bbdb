// Servers on a node whose containers can't use the shim: attached to the engine's streams.
#include <gtest/gtest.h>

#include "base/strings.h"
#include "tests/integration/gateway_fixture.h"

namespace mcpfleet {
namespace {

class AttachTest : public IntegrationTest {
 protected:
  void SetUp() override {
    IntegrationTest::SetUp();
    if (IsSkipped()) return;
    if (EngineWithImage() == nullptr) GTEST_SKIP() << DockerEngine::WhyNot();
    node_ = std::make_unique<Node>(NodeOptions{.docker_socket = EngineWithImage()->socket(), .docker_attach = true});
    node_->Start();
  }
  bool HasEvent(const std::string& server, const std::string& reason) {
    return node_->Mcpctl({"describe", "mcpserver", server}).out.find(reason) != std::string::npos;
  }

  std::unique_ptr<Node> node_;
};

TEST_F(AttachTest, AnAttachedServerIsReadyAndTheStatusSaysHowAndWhy) {
  ASSERT_TRUE(node_->Apply({DockerServer("weather")}).ok());
  ASSERT_TRUE(node_->WaitReady("weather"));
  EXPECT_EQ(node_->Condition("weather", "StdioTransport"), "False/Attach");
  const std::string text = node_->Mcpctl({"describe", "mcpserver", "weather"}).out;
  EXPECT_NE(text.find("runtimes.docker.stdio is Attach; the session does not outlive mcplet"), std::string::npos)
      << text;
  const std::string large(300'000, 'x');
  EXPECT_EQ(node_->CallTool("weather", "echo", {{"message", large.substr(0, 100'000)}}), large.substr(0, 100'000));
  EXPECT_NE(node_->Mcpctl({"logs", "weather"}).out.find("starts"), std::string::npos);
}

TEST_F(AttachTest, AfterAKilledMcpletTheServerRunsAgainAsANewChildInOneContainerAndNothingIsCounted) {
  ASSERT_TRUE(node_->Apply({DockerServer("weather")}).ok());
  ASSERT_TRUE(node_->WaitReady("weather"));
  const std::vector<std::string> before = node_->InstanceIds("weather");
  node_->KillDash9();
  node_->Start();
  ASSERT_TRUE(
      WaitFor([&] { return !node_->InstanceIds("weather").empty() && node_->InstanceIds("weather") != before; }));
  ASSERT_TRUE(node_->WaitReady("weather"));
  EXPECT_EQ(node_->Containers().size(), 1u);
  EXPECT_EQ(node_->TestServerPids().size(), 1u);
  EXPECT_EQ(node_->Restarts("weather"), 0);
  EXPECT_TRUE(HasEvent("weather", "SessionLost"));
  const std::string stats = node_->CallTool("weather", "stats");
  StatusOr<Json> seen = ParseJson(stats);
  ASSERT_TRUE(seen.ok()) << stats;
  EXPECT_EQ(GetInt(*seen, "initialized", -1), 1) << stats;
}

TEST_F(AttachTest, AServerThatExitsIsRestartedByItsPolicy) {
  ASSERT_TRUE(node_->Apply({DockerServer("weather")}).ok());
  ASSERT_TRUE(node_->WaitReady("weather"));
  node_->Poke("weather", "exit", {{"code", 3}});
  ASSERT_TRUE(WaitFor([&] { return node_->Restarts("weather") == 1; }));
  ASSERT_TRUE(node_->WaitReady("weather"));
  EXPECT_EQ(GetInt(GetMember(node_->ServerStatus("weather"), "restarts"), "lastExitCode", -1), 3);
  EXPECT_FALSE(HasEvent("weather", "AttachLost"));
}

TEST_F(AttachTest, AServerThatHadCompletedIsNotRunAgainByTheNextMcplet) {
  ASSERT_TRUE(node_->Apply({DockerServer("once", {}, {{"restartPolicy", {{"condition", "OnFailure"}}}})}).ok());
  ASSERT_TRUE(node_->WaitReady("once"));
  node_->Poke("once", "exit", {{"code", 0}});
  ASSERT_TRUE(node_->WaitCondition("once", "Available", "False", "Completed"));
  const std::vector<std::string> before = node_->InstanceIds("once");
  node_->KillDash9();
  node_->Start();
  ASSERT_TRUE(node_->WaitCondition("once", "Available", "False", "Completed"));
  EXPECT_EQ(node_->InstanceIds("once"), before);
}

TEST_F(AttachTest, ClientsOfTheGatewayAreToldThatThereIsNoProcessForThem) {
  Behind behind(*node_);
  ASSERT_TRUE(behind.Run({DockerServer("weather")}));
  const auto client = behind.Client("weather");
  EXPECT_FALSE(client->Initialize());
  EXPECT_TRUE(client->problem().starts_with("503 ")) << client->problem();
  EXPECT_NE(client->problem().find("StdioTransport"), std::string::npos) << client->problem();
  EXPECT_EQ(GetInt(behind.Modern("weather")->Request("tools/list"), "status"), 503);
}

TEST_F(AttachTest, AFloodOfStderrDisturbsNobodyAndIsBoundedOnTheDisk) {
  const Json small = {{"logs", {{"maxSize", "1Mi"}, {"maxFiles", 2}}}};
  ASSERT_TRUE(node_->Apply({DockerServer("loud", {"--flood-stderr", "20"}, small), DockerServer("quiet")}).ok());
  ASSERT_TRUE(node_->WaitReady("quiet"));
  ASSERT_TRUE(node_->WaitReady("loud"));
  const std::string id = node_->InstanceIds("loud").front();
  const CommandResult size =
      RunCommand({"/usr/bin/du", "-sk", node_->state() + "/attach/" + id}, {}, "", std::chrono::seconds(10));
  EXPECT_LE(atoi(size.out.c_str()), 2200) << size;
  EXPECT_GE(atoi(size.out.c_str()), 900) << size;
}

}  // namespace
}  // namespace mcpfleet
