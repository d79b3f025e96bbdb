// A node goes, by a machine without power or by a program that hangs, and another one takes its replicas; it comes
// back, and in the end as many run as are wanted. Real workerd, two real nodes that have joined.
#include <signal.h>

#include <algorithm>

#include "tests/integration/mcp_client.h"
#include "tests/integration/worker.h"

namespace mcpfleet {
namespace {

using std::chrono::seconds;

constexpr int kDownAfter = 30, kUpAfter = 15;  // seconds
// Silence, a look, what goes on meanwhile on this machine; the way back has a hand-over of 60 s in it.
constexpr Duration kTakeOver = seconds(120), kReturn = seconds(240);

class FailoverTest : public WorkerFixture {
 protected:
  void SetUp() override {
    WorkerFixture::SetUp();
    if (worker_ == nullptr) return;
    for (std::unique_ptr<Node>& node : nodes_) {
      node = std::make_unique<Node>(
          NodeOptions{.store_url = worker_->url(), .store_token_file = worker_->directory() + "/none"});
      ASSERT_NO_FATAL_FAILURE(MakeOperator(*node));
      ASSERT_NO_FATAL_FAILURE(Join(*node));
      node->Start();
      ASSERT_FALSE(HasFatalFailure());
      const Json tunnel = {{"tunnel", BaseOf(node->GatewayUrl(""))}};
      ASSERT_TRUE(worker_->Ask("PATCH", "/v1/nodes/" + node->name(), tunnel).is_object());
    }
    ASSERT_TRUE(WaitFor([&] { return Connected(*nodes_[0]) && Connected(*nodes_[1]) && Down().empty(); }));
  }
  void TearDown() override {
    for (std::unique_ptr<Node>& node : nodes_) {
      if (node != nullptr && node->Running()) kill(node->pid(), SIGCONT);
      node.reset();
    }
    WorkerFixture::TearDown();
  }
  Json Settings() const override { return {{"downAfterSeconds", kDownAfter}, {"upAfterSeconds", kUpAfter}}; }

  // Enrolled with a label, joined, accepted.
  void Join(Node& node) {
    const std::string token = node.directory() + "/join";
    const CommandResult enrolled = node.Mcpctl({"node", "enroll", node.name(), "--label", "site=lab", "--out", token});
    ASSERT_TRUE(enrolled.ok()) << enrolled;
    const CommandResult joined =
        RunCommand({ProgramPath("mcplet"), "join", worker_->url(), "--config", node.directory() + "/mcplet.yaml"},
                   {"PATH=/usr/bin:/bin"}, ReadFile(token, 1000).value_or("") + "\n", seconds(90));
    ASSERT_TRUE(joined.ok()) << joined;
    const CommandResult accepted = node.Mcpctl({"node", "accept", node.name()});
    ASSERT_TRUE(accepted.ok()) << accepted;
  }
  // `one` has one replica, `both` has two.
  void ApplyServers() {
    const auto server = [](const std::string& name, int replicas) {
      return ProcessServer(name, {}, {{"placement", {{"nodeSelector", {{"site", "lab"}}}, {"replicas", replicas}}}});
    };
    const CommandResult applied = nodes_[0]->Apply({server("one", 1), server("both", 2)});
    ASSERT_TRUE(applied.ok()) << applied;
    ASSERT_TRUE(WaitFor([&] { return Runs(*nodes_[0], "both") && Runs(*nodes_[1], "both"); })) << Reports();
    ASSERT_TRUE(WaitFor([&] { return Holders("one").size() == 1; })) << Reports();
    holder_ = Holders("one")[0];
    other_ = holder_ == nodes_[0].get() ? nodes_[1].get() : nodes_[0].get();
  }
  bool Connected(const Node& node) { return GetBool(worker_->Ask("GET", "/v1/nodes/" + node.name()), "connected"); }
  std::vector<std::string> Down() {
    std::vector<std::string> down;
    const Json list = worker_->Ask("GET", "/v1/down");
    for (const Json& node : GetMember(list, "nodes")) down.push_back(node.get<std::string>());
    return down;
  }
  static bool Runs(Node& node, const std::string& server) {
    return node.InstanceIds(server).size() == 1 && node.Condition(server, "Ready").starts_with("True/");
  }
  // Processes of servers, their clients' too, that belong to no instance of these.
  static size_t Strays(Node& node, const std::vector<std::string>& servers) {
    size_t known = 0;
    for (const std::string& server : servers) {
      for (const std::string& id : node.InstanceIds(server)) known += node.TestServerPids(id).size();
    }
    const size_t all = node.TestServerPids().size();
    return all > known ? all - known : 0;
  }
  std::vector<Node*> Holders(const std::string& server) {
    std::vector<Node*> holders;
    for (const std::unique_ptr<Node>& node : nodes_) {
      if (Runs(*node, server)) holders.push_back(node.get());
    }
    return holders;
  }
  // By one URL, whichever node serves it; `at` gets the node.
  std::string CallRouted(const std::string& server, std::string* at) {
    McpClient client(worker_->url() + "/default/" + server + "/mcp",
                     {.era = McpClient::Era::kModern,
                      .headers = {{"Authorization", "Bearer " + std::string(Trim(worker_->OperatorToken()))}}});
    const auto stream = client.BeginCall("echo", {{"message", "hello"}});
    const std::vector<Json> messages = stream->Rest();
    *at = stream->Header("Mcpfleet-Node");
    return messages.empty() ? stream->problem() : TextOf(messages.back());
  }
  // What the store knows of Ready and wanted, as people see it.
  bool Shown(const std::string& server, const std::string& count) {
    table_ = other_->Mcpctl({"get", "mcp"}).out;
    const size_t line = table_.find(server + " ");
    return line != std::string::npos &&
           table_.substr(line, table_.find('\n', line) - line).find(count) != std::string::npos;
  }
  bool IsAlerted() {
    const Json alerts = worker_->Ask("GET", "/v1/alerts");
    return std::any_of(alerts.begin(), alerts.end(), [&](const Json& alert) {
      return GetString(alert, "kind") == "NodeOffline" && GetString(alert, "subject") == holder_->name();
    });
  }
  // The other node has taken the replica, answers, and is what clients come to.
  void ExpectTakenOver() {
    ASSERT_TRUE(WaitFor([&] { return Down() == std::vector<std::string>{holder_->name()}; }, kTakeOver)) << Reports();
    ASSERT_TRUE(WaitFor([&] { return Runs(*other_, "one"); })) << Reports();
    McpClient client(other_->GatewayUrl("one"));
    ASSERT_TRUE(client.Initialize()) << client.problem();
    EXPECT_EQ(client.Call("echo", {{"message", "here"}}), "here");
    std::string at, said;
    EXPECT_TRUE(WaitFor([&] { return (said = CallRouted("one", &at)) == "hello"; })) << said;
    EXPECT_EQ(at, other_->name());
    EXPECT_TRUE(Runs(*other_, "both"));
    EXPECT_TRUE(WaitFor([&] { return IsAlerted(); }));
    EXPECT_TRUE(WaitFor([&] { return Shown("one", "1/1") && Shown("both", "1/2"); })) << table_;
  }
  // One of `one` where it was first, two of `both`, nothing else; and it stays so. There is one of them all the time.
  void ExpectBackAsItWas() {
    bool gap = false;
    const auto as_wanted = [&] {
      const std::vector<Node*> holders = Holders("one");
      gap = gap || holders.empty();
      return holders == std::vector<Node*>{holder_} && Holders("both").size() == 2 &&
             Strays(*holder_, {"one", "both"}) == 0 && Strays(*other_, {"both"}) == 0;
    };
    ASSERT_TRUE(WaitFor(as_wanted, kReturn)) << Reports();
    EXPECT_FALSE(gap) << "for a moment nobody ran it";
    EXPECT_TRUE(Down().empty());
    EXPECT_FALSE(IsAlerted());
    EXPECT_TRUE(other_->ServerStatus("one").is_null());
    // It stays so. A process that comes or goes between two looks at /proc is no stray.
    const auto wanted_soon = [&] { return WaitFor(as_wanted, seconds(2)); };
    EXPECT_FALSE(WaitFor([&] { return !wanted_soon(); }, seconds(5))) << Reports();
    EXPECT_TRUE(WaitFor([&] { return Shown("one", "1/1") && Shown("both", "2/2"); })) << table_;
    std::string at, said;
    EXPECT_TRUE(WaitFor([&] { return (said = CallRouted("one", &at)) == "hello"; })) << said;
    EXPECT_EQ(at, holder_->name());
  }
  std::string Reports() { return nodes_[0]->Report() + "\n\n" + nodes_[1]->Report(); }

  std::unique_ptr<Node> nodes_[2];
  Node *holder_ = nullptr, *other_ = nullptr;  // of `one`
  std::string table_;
};

TEST_F(FailoverTest, WhatADeadMachineRanIsTakenOverAndGivenBackWhenItReturns) {
  ASSERT_NO_FATAL_FAILURE(ApplyServers());
  holder_->PowerOff();
  EXPECT_TRUE(holder_->TestServerPids().empty());
  ASSERT_NO_FATAL_FAILURE(ExpectTakenOver());
  holder_->Start();
  ASSERT_FALSE(HasFatalFailure());
  // From its disk, before it hears anything: it can't know who has its place. Until the other gives up two run.
  ASSERT_TRUE(holder_->WaitReady("one"));
  ASSERT_NO_FATAL_FAILURE(ExpectBackAsItWas());
}

TEST_F(FailoverTest, ANodeThatHangsKeepsWhatItRunsAndTheOtherGivesUpWhenItIsBack) {
  ASSERT_NO_FATAL_FAILURE(ApplyServers());
  const std::vector<std::string> instances = holder_->InstanceIds("one");
  const pid_t pid = holder_->ServerPid("one");
  ASSERT_NE(pid, 0);
  ASSERT_EQ(kill(holder_->pid(), SIGSTOP), 0);
  ASSERT_NO_FATAL_FAILURE(ExpectTakenOver());
  EXPECT_EQ(kill(pid, 0), 0) << "what a node that is cut off runs goes on";
  ASSERT_EQ(kill(holder_->pid(), SIGCONT), 0);
  ASSERT_NO_FATAL_FAILURE(ExpectBackAsItWas());
  EXPECT_EQ(kill(pid, 0), 0);
  EXPECT_EQ(holder_->InstanceIds("one"), instances) << "it was never started anew";
  EXPECT_EQ(holder_->Restarts("one"), 0);
}

}  // namespace
}  // namespace mcpfleet
