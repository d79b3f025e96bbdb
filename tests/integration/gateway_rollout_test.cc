// A server is replaced, or sleeps, while its clients call all the time: none of them may notice.
#include <gtest/gtest.h>

#include <future>

#include "tests/integration/callers.h"

namespace mcpfleet {
namespace {

using std::chrono::seconds;

constexpr int kCallers = 16;

class GatewayRolloutTest : public GatewayNodeTest {
 protected:
  static Json Rolling(const std::vector<std::string>& args, const Json& strategy, const Json& more = Json::object()) {
    Json spec = {{"updateStrategy", {{"type", "RollingUpdate"}}},
                 {"resources", {{"limits", {{"memory", "256Mi"}, {"pids", 128}}}}},
                 {"sessions", {{"max", 32}}}};
    spec["updateStrategy"].update(strategy);
    spec.merge_patch(more);
    return ProcessServer("weather", args, spec);
  }
  bool Serves(const std::string& name) {
    return WaitFor([&] { return behind_->Modern("weather")->Call("who") == name; });
  }
  bool Instances(size_t count, Duration timeout = seconds(60)) {
    return WaitFor([&] { return node_->InstanceIds("weather").size() == count; }, timeout);
  }
};

TEST_F(GatewayRolloutTest, NoCallFailsAndNoSessionIsLostWhileTheServerIsReplaced) {
  ASSERT_TRUE(behind_->Run({Rolling({"--name", "one"}, {{"drainTimeout", "10m"}})}));
  Callers callers(*behind_, "weather", kCallers);
  ASSERT_TRUE(callers.complete());
  ASSERT_TRUE(callers.MakeCalls(5));
  ASSERT_TRUE(node_->Apply({Rolling({"--name", "two"}, {{"drainTimeout", "10m"}})}).ok());
  EXPECT_TRUE(Serves("two")) << DumpJson(node_->ServerStatus("weather"));
  const auto late = behind_->Session("weather");
  ASSERT_NE(late, nullptr);
  EXPECT_EQ(late->Call("who"), "two");
  ASSERT_TRUE(callers.MakeCalls(20));
  EXPECT_EQ(node_->InstanceIds("weather").size(), 2u) << "the old one has its sessions still";
  callers.Stop();
  EXPECT_EQ(callers.Failures(), "");
  for (McpClient* client : callers.Sessions()) {
    EXPECT_EQ(client->Call("who"), "one");
    EXPECT_EQ(client->Delete(), 200);
  }
  EXPECT_TRUE(Instances(1)) << "it has no conversations left: " << DumpJson(node_->ServerStatus("weather"));
  EXPECT_EQ(late->Call("who"), "two");
}

TEST_F(GatewayRolloutTest, ManyRevisionsOneAfterTheOtherFailNoCallOfClientsWithoutSessions) {
  const Json strategy = {{"drainTimeout", "2m"}};
  ASSERT_TRUE(behind_->Run({Rolling({"--name", "0"}, strategy)}));
  Callers callers(*behind_, "weather", kCallers, Callers::Kind::kModern);
  ASSERT_TRUE(callers.complete());
  for (const char* name : {"1", "2", "3", "4"}) {
    ASSERT_TRUE(callers.MakeCalls(2));
    ASSERT_TRUE(node_->Apply({Rolling({"--name", name}, strategy)}).ok());
    EXPECT_TRUE(Serves(name)) << DumpJson(node_->ServerStatus("weather"));
  }
  EXPECT_TRUE(Instances(1));
  callers.Stop();
  EXPECT_EQ(callers.Failures(), "");
}

TEST_F(GatewayRolloutTest, AfterTheDrainTimeResumableSessionsGoOnWithTheNewRevisionAndOthersEnd) {
  for (const bool resumable : {true, false}) {
    const Json sessions = {{"sessions", {{"resumable", resumable}}}};
    const std::string one = resumable ? "one" : "three", two = resumable ? "two" : "four";
    ASSERT_TRUE(behind_->Run({Rolling({"--name", one}, {{"drainTimeout", "2s"}}, sessions)}));
    ASSERT_TRUE(Serves(one));
    const auto client = behind_->Session("weather");
    ASSERT_NE(client, nullptr);
    EXPECT_EQ(client->Call("who"), one);
    const auto pending = client->BeginCall("sleep", {{"ms", 120'000}});
    ASSERT_TRUE(pending->AwaitId());
    ASSERT_TRUE(node_->Apply({Rolling({"--name", two}, {{"drainTimeout", "2s"}}, sessions)}).ok());
    EXPECT_TRUE(IsError(pending->Next(seconds(60)))) << pending->problem();
    EXPECT_TRUE(Instances(1));
    const Json answer = client->Request("tools/call", {{"name", "who"}, {"arguments", Json::object()}});
    if (resumable) {
      EXPECT_EQ(TextOf(answer), two);
    }
    if (!resumable) {
      EXPECT_EQ(GetInt(answer, "status"), 404) << DumpJson(answer);
    }
  }
}

TEST_F(GatewayRolloutTest, ARevisionThatNeverAnswersLeavesTheOldOneServing) {
  ASSERT_TRUE(behind_->Run({Rolling({"--name", "one"}, {{"drainTimeout", "1m"}})}));
  Callers callers(*behind_, "weather", kCallers);
  ASSERT_TRUE(callers.complete());
  const Json strategy = {{"progressDeadline", "4s"}, {"autoRollback", false}};
  ASSERT_TRUE(node_->Apply({Rolling({"--mute"}, strategy)}).ok());
  EXPECT_TRUE(node_->WaitCondition("weather", "Progressing", "False", "ProgressDeadlineExceeded", seconds(30)));
  ASSERT_TRUE(callers.MakeCalls(5));
  const auto late = behind_->Session("weather");
  ASSERT_NE(late, nullptr);
  EXPECT_EQ(late->Call("who"), "one");
  EXPECT_EQ(behind_->Health("weather"), 200) << DumpJson(node_->ServerStatus("weather"));
  // A good one takes the place of both.
  ASSERT_TRUE(node_->Apply({Rolling({"--name", "three"}, {{"drainTimeout", "1m"}})}).ok());
  EXPECT_TRUE(Serves("three")) << DumpJson(node_->ServerStatus("weather"));
  ASSERT_TRUE(callers.MakeCalls(5));
  callers.Stop();
  EXPECT_EQ(callers.Failures(), "");
}

TEST_F(GatewayRolloutTest, ARevisionThatNeverAnswersIsUndone) {
  const Json good = Rolling({"--name", "one"}, {{"drainTimeout", "1m"}});
  ASSERT_TRUE(behind_->Run({good}));
  const std::vector<std::string> before = node_->InstanceIds("weather");
  Callers callers(*behind_, "weather", kCallers);
  ASSERT_TRUE(callers.complete());
  for (const char* bad : {"--garbage", "--mute"}) {
    ASSERT_TRUE(node_->Apply({Rolling({bad}, {{"progressDeadline", "4s"}})}).ok());
    ASSERT_TRUE(Instances(2));
    EXPECT_TRUE(node_->WaitCondition("weather", "Ready", "False", "ProgressDeadlineExceeded", seconds(30)));
    EXPECT_TRUE(WaitFor([&] { return node_->InstanceIds("weather") == before; }))
        << DumpJson(node_->ServerStatus("weather"));
    ASSERT_TRUE(callers.MakeCalls(5));
    EXPECT_EQ(behind_->Modern("weather")->Call("who"), "one");
    const auto late = behind_->Session("weather");
    ASSERT_NE(late, nullptr);
    EXPECT_EQ(late->Call("who"), "one");
    const CommandResult events = node_->Mcpctl({"events", "--for", "mcp/weather"});
    EXPECT_NE(events.out.find("RolledBack"), std::string::npos) << events;
    ASSERT_TRUE(node_->Apply({good}).ok());
    EXPECT_TRUE(node_->WaitReady("weather"));
    EXPECT_EQ(node_->InstanceIds("weather"), before) << "what serves is what is wanted again";
  }
  callers.Stop();
  EXPECT_EQ(callers.Failures(), "");
}

// --- servers that sleep
// -----------------------------------------------------------------------------------------------

class GatewaySleepTest : public GatewayNodeTest {
 protected:
  static Json Sleepy(const std::string& name, const std::vector<std::string>& args = {},
                     const Json& sessions = Json::object()) {
    return ProcessServer(name, args,
                         {{"activation", {{"mode", "OnDemand"}, {"idleAfter", "2s"}}}, {"sessions", sessions}});
  }
  testing::AssertionResult Sleeps(const std::string& server) {
    const bool asleep = WaitFor([&] { return node_->Condition(server, "Ready") == "True/Sleeping"; }) &&
                        WaitFor([&] { return behind_->Pids().empty(); });
    if (asleep) return testing::AssertionSuccess();
    return testing::AssertionFailure() << behind_->Pids().size() << " processes; "
                                       << DumpJson(node_->ServerStatus(server));
  }
};

TEST_F(GatewaySleepTest, TheFirstRequestWakesItAndIsAnsweredAndItSleepsAgain) {
  for (const char* era : {"", "--modern"}) {
    const std::string name = *era == '\0' ? "old" : "new";
    std::vector<std::string> args;
    if (*era != '\0') args.emplace_back(era);
    ASSERT_TRUE(node_->Apply({Sleepy(name, args)}).ok());
    ASSERT_TRUE(node_->WaitReady(name));
    ASSERT_TRUE(Sleeps(name));
    EXPECT_EQ(behind_->Modern(name)->Call("echo", {{"message", "a modern client"}}), "a modern client");
    ASSERT_TRUE(Sleeps(name));
    const auto session = behind_->Session(name);
    ASSERT_NE(session, nullptr);
    EXPECT_EQ(session->Call("echo", {{"message", "a session"}}), "a session");
    EXPECT_EQ(session->Delete(), 200);
    ASSERT_TRUE(Sleeps(name));
    EXPECT_EQ(node_->Restarts(name), 0);
    ASSERT_TRUE(node_->Mcpctl({"delete", "mcp/" + name}).ok());
  }
}

TEST_F(GatewaySleepTest, NothingOfItRunsWhileItSleepsWhateverTheClientsUsed) {
  for (const Json& sessions : {Json{{"warmSpares", 2}}, Json{{"mode", "Shared"}}}) {
    ASSERT_TRUE(node_->Apply({Sleepy("weather", {}, sessions)}).ok());
    ASSERT_TRUE(node_->WaitReady("weather"));
    ASSERT_TRUE(Sleeps("weather"));
    for (int i = 0; i < 2; ++i) {
      const auto session = behind_->Session("weather");
      ASSERT_NE(session, nullptr);
      EXPECT_EQ(session->Call("who"), "test-server");
      EXPECT_EQ(behind_->Modern("weather")->Call("who"), "test-server");
      EXPECT_EQ(session->Delete(), 200);
      ASSERT_TRUE(Sleeps("weather")) << DumpJson(sessions);
    }
    ASSERT_TRUE(node_->Mcpctl({"delete", "mcp/weather"}).ok());
  }
}

TEST_F(GatewaySleepTest, AllThatComeWhileItWakesAreAnswered) {
  ASSERT_TRUE(node_->Apply({Sleepy("weather")}).ok());
  ASSERT_TRUE(node_->WaitReady("weather"));
  ASSERT_TRUE(Sleeps("weather"));
  std::vector<std::future<std::string>> coming;
  for (int i = 0; i < 12; ++i) {
    coming.push_back(std::async(std::launch::async, [this, i] {
      const auto client = i % 2 == 0 ? behind_->Client("weather") : behind_->Modern("weather");
      if (i % 2 == 0 && !client->Initialize()) return client->problem();
      const std::string said = client->Call("echo", {{"message", std::to_string(i)}});
      if (i % 2 == 0) {
        EXPECT_EQ(client->Delete(), 200);
      }
      return said;
    }));
  }
  for (size_t i = 0; i < coming.size(); ++i) EXPECT_EQ(coming[i].get(), std::to_string(i));
  EXPECT_TRUE(Sleeps("weather"));
}

TEST_F(GatewaySleepTest, AnOpenSessionAndACallUnderWayKeepItAwake) {
  ASSERT_TRUE(node_->Apply({Sleepy("weather")}).ok());
  ASSERT_TRUE(node_->WaitReady("weather"));
  const auto session = behind_->Session("weather");
  ASSERT_NE(session, nullptr);
  const std::string nonce = session->Call("nonce");
  LetPass(seconds(6));
  EXPECT_EQ(session->Call("nonce"), nonce);
  EXPECT_EQ(session->Delete(), 200);
  EXPECT_EQ(behind_->Modern("weather")->Call("sleep", {{"ms", 8000}, {"message", "after all"}}), "after all");
  EXPECT_TRUE(Sleeps("weather"));
}

TEST_F(GatewaySleepTest, ItStaysAsleepOverAKillOfMcpletAndWakesForTheNextMcplet) {
  ASSERT_TRUE(node_->Apply({Sleepy("weather")}).ok());
  ASSERT_TRUE(node_->WaitReady("weather"));
  ASSERT_TRUE(Sleeps("weather"));
  node_->KillDash9();
  node_->Start();
  LetPass(seconds(3));
  EXPECT_TRUE(behind_->Pids().empty());
  EXPECT_EQ(node_->Condition("weather", "Ready"), "True/Sleeping");
  EXPECT_EQ(behind_->Modern("weather")->Call("echo", {{"message", "good morning"}}), "good morning");
  EXPECT_TRUE(Sleeps("weather"));
}

}  // namespace
}  // namespace mcpfleet
