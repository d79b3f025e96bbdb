#include "edge-runtime/probe/mcp_prober.h"

#include <gtest/gtest.h>

#include <atomic>
#include <set>
#include <thread>

#include "base/strings.h"
#include "edge-runtime/mcp/tool_hash.h"
#include "tests/edge-runtime/probe/scripted_channel.h"

namespace mcpfleet {
namespace {

using namespace std::chrono_literals;

class McpProberTest : public testing::Test {
 protected:
  static McpProberOptions Options() {
    McpProberOptions options;
    options.client_version = "1.0";
    options.discover_timeout = 100ms;
    return options;
  }
  // The prober may keep a channel for longer than a test's variables live, which scripts refer to.
  class OwnChannel {
   public:
    explicit OwnChannel(std::shared_ptr<ScriptedChannel> channel) : channel_(std::move(channel)) {}
    ~OwnChannel() { channel_->EndScript(); }
    OwnChannel(const OwnChannel&) = delete;
    OwnChannel& operator=(const OwnChannel&) = delete;
    ScriptedChannel* operator->() const { return channel_.get(); }
    operator std::shared_ptr<StdioChannel>() const { return channel_; }

   private:
    const std::shared_ptr<ScriptedChannel> channel_;
  };
  static OwnChannel Channel(ScriptedChannel::Script script, std::string note = "") {
    return OwnChannel(std::make_shared<ScriptedChannel>(std::move(script), std::move(note)));
  }
  static ProbeTarget Target(std::shared_ptr<StdioChannel> channel, std::string revision = "r1") {
    ProbeTarget target;
    target.server = {"default", "weather"};
    target.instance = "i1";
    target.revision = std::move(revision);
    target.stdio = std::move(channel);
    return target;
  }
  static bool Eventually(const std::function<bool()>& condition) {
    Deadline deadline = Deadline::After(10s);
    while (!condition() && !deadline.Expired()) std::this_thread::yield();
    return condition();
  }

  SystemClock clock_;
  McpProber prober_{clock_, Options()};
};

TEST_F(McpProberTest, ALegacyServerIsVerifiedWithAllPagesAndCounts) {
  auto channel = Channel(LegacyServer);
  StatusOr<Verification> found = prober_.Verify(Target(channel), Deadline::After(10s));
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_FALSE(found->modern);
  EXPECT_EQ(found->server_info.name, "old");
  EXPECT_EQ(found->server_info.version, "1.2");
  EXPECT_EQ(found->server_info.protocol_version, "2025-11-25");
  EXPECT_EQ(found->server_info.capabilities, (std::vector<std::string>{"resources", "tools"}));
  EXPECT_EQ(found->catalog.tools, 2);
  EXPECT_EQ(found->catalog.resources, 1);
  EXPECT_EQ(found->catalog.tool_names, (std::vector<std::string>{"alpha", "beta"}));
  EXPECT_TRUE(found->catalog.tools_hash.starts_with("sha256:"));
  EXPECT_EQ(channel->CountSent("notifications/initialized"), 1);
}

TEST_F(McpProberTest, TheCatalogueHasTheHashOfEachToolAndWhereTextIsHidden) {
  const Json add = {{"name", "add"}, {"description", "Adds.\u200b"}};
  auto channel = Channel([add](const mcp::Message& message, ScriptedChannel& self) {
    if (message.method != "tools/list") return LegacyServer(message, self);
    return std::vector<std::string>{
        mcp::SerializeResult(message.id, {{"tools", Json::array({{{"name", "echo"}}, add})}})};
  });
  StatusOr<Verification> found = prober_.Verify(Target(channel), Deadline::After(10s));
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_EQ(found->catalog.tool_hashes, (std::vector<std::pair<std::string, std::string>>{
                                            {"add", mcp::ToolHash(add)}, {"echo", mcp::ToolHash({{"name", "echo"}})}}));
  EXPECT_EQ(found->catalog.hidden_text, (std::vector<std::string>{"the description of add"}));
}

TEST_F(McpProberTest, AModernServerNeverSeesInitialize) {
  auto channel = Channel(ModernServer);
  StatusOr<Verification> found = prober_.Verify(Target(channel), Deadline::After(10s));
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_TRUE(found->modern);
  EXPECT_EQ(found->server_info.name, "new");
  EXPECT_EQ(found->catalog.tool_names, (std::vector<std::string>{"only"}));
  EXPECT_EQ(channel->CountSent("initialize"), 0);
}

TEST_F(McpProberTest, ASilentDiscoverIsFollowedByInitialize) {
  auto channel = Channel([](const mcp::Message& message, ScriptedChannel& self) {
    return message.method == "server/discover" ? std::vector<std::string>{} : LegacyServer(message, self);
  });
  StatusOr<Verification> found = prober_.Verify(Target(channel), Deadline::After(10s));
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_FALSE(found->modern);
}

TEST_F(McpProberTest, InitializeIsSentOnceHoweverManyAskAndHoweverSlowItIs) {
  std::atomic<bool> answer{false};
  auto channel = Channel([&](const mcp::Message& message, ScriptedChannel& self) {
    if (message.method == "initialize") {
      while (!answer) std::this_thread::yield();
    }
    return LegacyServer(message, self);
  });
  for (int i = 0; i < 3; ++i) {
    Status status = prober_.Verify(Target(channel), Deadline::After(150ms)).status();
    EXPECT_EQ(status.code(), StatusCode::kDeadlineExceeded) << status;
  }
  answer = true;
  std::vector<std::thread> threads;
  threads.reserve(4);
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] { EXPECT_TRUE(prober_.Verify(Target(channel), Deadline::After(10s)).ok()); });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(channel->CountSent("initialize"), 1);
  EXPECT_EQ(channel->CountSent("server/discover"), 1);
  EXPECT_EQ(channel->CountSent("notifications/cancelled"), 0);  // initialize must not be cancelled
}

TEST_F(McpProberTest, ANewProberGoesOnWithAdoptedChildrenWithoutASecondInitialize) {
  auto channel = Channel(LegacyServer);
  ASSERT_TRUE(prober_.Verify(Target(channel), Deadline::After(10s)).ok());
  ASSERT_TRUE(Eventually([&] { return channel->LoadNote().find("\"owes\":false") != std::string::npos; }));
  size_t before = channel->Sent().size();
  // The same child behind a new channel object, as after a restart.
  auto adopted = Channel(LegacyServer, channel->LoadNote());
  McpProber next(clock_, Options());
  StatusOr<Verification> found = next.Verify(Target(adopted), Deadline::After(10s));
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_EQ(found->server_info.name, "old");
  EXPECT_EQ(found->catalog.tools, 2);
  EXPECT_EQ(adopted->CountSent("initialize") + adopted->CountSent("server/discover"), 0);
  EXPECT_EQ(adopted->CountSent("notifications/initialized"), 0);
  std::set<std::string> ids;
  for (const auto& message : channel->Sent()) ids.insert(message.id);
  for (const auto& message : adopted->Sent()) EXPECT_FALSE(ids.count(message.id)) << "id repeated: " << message.id;
  EXPECT_GT(before, 0u);
}

TEST_F(McpProberTest, AnInitializeThatAnEarlierProcessSentIsWaitedForAndNotRepeated) {
  std::string note;
  {
    auto silent = Channel([](const mcp::Message& message, ScriptedChannel&) {
      if (message.method != "server/discover") return std::vector<std::string>{};
      return std::vector<std::string>{mcp::SerializeError(message.id, -32601, "no")};
    });
    McpProber dying(clock_, Options());
    EXPECT_FALSE(dying.Verify(Target(silent), Deadline::After(300ms)).ok());
    ASSERT_EQ(silent->CountSent("initialize"), 1);
    note = silent->LoadNote();
  }
  auto adopted = Channel(LegacyServer, note);
  Status waiting = prober_.Verify(Target(adopted), Deadline::After(300ms)).status();
  EXPECT_EQ(waiting.code(), StatusCode::kDeadlineExceeded) << waiting;
  EXPECT_EQ(adopted->CountSent("initialize"), 0);
  Json saved = *ParseJson(note);
  std::string id = saved["handshake"]["initialize"];
  adopted->Emit(mcp::SerializeResult(id, Json::parse(R"({"protocolVersion":"2024-11-05","capabilities":{"tools":{}},
                                                        "serverInfo":{"name":"late","version":"1"}})")));
  StatusOr<Verification> found = prober_.Verify(Target(adopted), Deadline::After(10s));
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_EQ(found->server_info.protocol_version, "2024-11-05");
  EXPECT_EQ(adopted->CountSent("initialize"), 0);
}

TEST_F(McpProberTest, AnInitializeThatMayHaveArrivedInPartFailsAtOnceAndIsNotRepeated) {
  const std::string note =
      R"({"format":1,"nextId":1000,"handshake":{"phase":"initializing","discover":"","initialize":"7"}})";
  auto adopted = Channel(LegacyServer, note);
  adopted->SetDoubtfulLine(mcp::SerializeRequest("7", "initialize", Json::object()));
  const Status status = prober_.Verify(Target(adopted), Deadline::After(10s)).status();
  EXPECT_EQ(status.code(), StatusCode::kFailedPrecondition) << status;
  EXPECT_NE(Message(status).find("-32603"), std::string::npos) << status;
  EXPECT_TRUE(adopted->Sent().empty());
}

TEST_F(McpProberTest, ADiscoverThatMayHaveArrivedInPartIsFollowedByInitializeWithoutWaiting) {
  const std::string note =
      R"({"format":1,"nextId":1000,"handshake":{"phase":"discovering","discover":"7","initialize":""}})";
  auto adopted = Channel(LegacyServer, note);
  adopted->SetDoubtfulLine(mcp::SerializeRequest("7", "server/discover", Json::object()));
  McpProberOptions patient = Options();
  patient.discover_timeout = 60s;
  McpProber prober(clock_, patient);
  StatusOr<Verification> found = prober.Verify(Target(adopted), Deadline::After(10s));
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_EQ(adopted->CountSent("initialize"), 1);
}

TEST_F(McpProberTest, ALineInDoubtThatNobodyWaitsForChangesNothing) {
  auto first = Channel(LegacyServer);
  ASSERT_TRUE(prober_.Verify(Target(first), Deadline::After(10s)).ok());
  ASSERT_TRUE(Eventually([&] { return first->LoadNote().find("\"owes\":false") != std::string::npos; }));
  for (const std::string& line :
       {mcp::SerializeRequest("9", "tools/list", Json()), mcp::SerializeNotification("notifications/cancelled", Json()),
        std::string("no JSON")}) {
    auto adopted = Channel(LegacyServer, first->LoadNote());
    adopted->SetDoubtfulLine(line);
    McpProber next(clock_, Options());
    EXPECT_TRUE(next.Verify(Target(adopted), Deadline::After(10s)).ok()) << line;
  }
}

TEST_F(McpProberTest, TheNoteIsSavedBeforeInitializeLeaves) {
  std::string note_at_initialize;
  auto channel = Channel([&](const mcp::Message& message, ScriptedChannel& self) {
    if (message.method == "initialize") note_at_initialize = self.LoadNote();
    return LegacyServer(message, self);
  });
  ASSERT_TRUE(prober_.Verify(Target(channel), Deadline::After(10s)).ok());
  EXPECT_NE(note_at_initialize.find("\"phase\":\"initializing\""), std::string::npos) << note_at_initialize;
}

TEST_F(McpProberTest, ARevisionWhoseChildDiedOfDiscoverIsInitializedDirectlyNextTime) {
  auto delicate = [](const mcp::Message& message, ScriptedChannel& self) {
    if (message.method != "server/discover") return LegacyServer(message, self);
    self.Die();
    return std::vector<std::string>{};
  };
  auto first = Channel(delicate);
  EXPECT_EQ(prober_.Verify(Target(first), Deadline::After(10s)).status().code(), StatusCode::kUnavailable);
  auto second = Channel(delicate);
  StatusOr<Verification> found = prober_.Verify(Target(second), Deadline::After(10s));
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_EQ(second->CountSent("server/discover"), 0);
  auto other_revision = Channel(LegacyServer);
  ASSERT_TRUE(prober_.Verify(Target(other_revision, "r2"), Deadline::After(10s)).ok());
  EXPECT_EQ(other_revision->CountSent("server/discover"), 1);
}

TEST_F(McpProberTest, AWrongGuessThatAServerIsLegacyIsForgotten) {
  auto dead = Channel([](const mcp::Message&, ScriptedChannel& self) {
    self.Die();
    return std::vector<std::string>{};
  });
  EXPECT_FALSE(prober_.Verify(Target(dead), Deadline::After(10s)).ok());
  auto guessed = Channel(ModernServer);
  EXPECT_EQ(prober_.Verify(Target(guessed), Deadline::After(10s)).status().code(), StatusCode::kFailedPrecondition);
  auto asked = Channel(ModernServer);
  EXPECT_TRUE(prober_.Verify(Target(asked), Deadline::After(10s)).ok());
}

TEST_F(McpProberTest, AServerThatPrintsABannerFirstIsStillVerified) {
  auto channel = Channel(LegacyServer);
  channel->Emit("Starting weather server v1 ...");
  channel->Emit("[1,2,3]");
  EXPECT_TRUE(prober_.Verify(Target(channel), Deadline::After(10s)).ok());
}

TEST_F(McpProberTest, GarbageForEverSaysThatStdoutIsNotMcpAndQuotesItsFirstLine) {
  auto channel = Channel(
      [](const mcp::Message&, ScriptedChannel&) { return std::vector<std::string>(600, "hello\x1b[31m world"); });
  Status status = prober_.Verify(Target(channel), Deadline::After(5s)).status();
  EXPECT_EQ(status.code(), StatusCode::kFailedPrecondition);
  EXPECT_NE(Message(status).find("stdout is not MCP"), std::string::npos) << status;
  EXPECT_NE(Message(status).find("hello\\x1B"), std::string::npos) << status;
}

TEST_F(McpProberTest, EveryRequestOfTheServerIsAnswered) {
  auto channel = Channel(LegacyServer);
  ASSERT_TRUE(prober_.Verify(Target(channel), Deadline::After(10s)).ok());
  channel->Emit(R"({"jsonrpc":"2.0","id":"s-1","method":"ping"})");
  channel->Emit(R"({"jsonrpc":"2.0","id":18446744073709551617,"method":"roots/list"})");
  channel->Emit(R"({"jsonrpc":"2.0","id":1.0,"method":"sampling/createMessage","params":{}})");
  channel->Emit(R"({"method":"elicitation/create","params":{},"jsonrpc":"2.0","id":"s-4"})");
  std::map<std::string, mcp::Message> answers;
  ASSERT_TRUE(Eventually([&] {
    for (const auto& message : channel->Sent()) {
      if (message.IsResponse()) answers[message.id] = message;
    }
    return answers.size() == 4;
  }));
  EXPECT_EQ(answers["\"s-1\""].kind, mcp::MessageKind::kResult);
  EXPECT_EQ(answers["18446744073709551617"].error_code, -32601);
  EXPECT_EQ(answers["1.0"].error_code, -32601);
  EXPECT_EQ(answers["\"s-4\""].error_code, -32601);
}

TEST_F(McpProberTest, AListChangedNotificationMarksTheCatalogueUntilTheNextVerify) {
  auto channel = Channel(LegacyServer);
  ASSERT_TRUE(prober_.Verify(Target(channel), Deadline::After(10s)).ok());
  EXPECT_FALSE(prober_.CatalogDirty("i1"));
  std::atomic<int> told{0};
  prober_.SetCatalogListener([&told](const ServerKey&) { ++told; });
  channel->Emit(R"({"jsonrpc":"2.0","method":"notifications/tools/list_changed"})");
  EXPECT_TRUE(Eventually([&] { return prober_.CatalogDirty("i1"); }));
  EXPECT_TRUE(Eventually([&] { return told == 1; })) << "whoever plans the next Verify was told";
  ASSERT_TRUE(prober_.Verify(Target(channel), Deadline::After(10s)).ok());
  EXPECT_FALSE(prober_.CatalogDirty("i1"));
}

TEST_F(McpProberTest, CallsBringTheResultOrTheServersError) {
  auto channel = Channel(LegacyServer);
  StatusOr<Json> result = prober_.Call(Target(channel), "tools/call", {{"name", "beta"}}, Deadline::After(10s));
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ((*result)["content"][0]["text"], "hi");
  Status error = prober_.Call(Target(channel), "tools/call", {{"name", "zeta"}}, Deadline::After(10s)).status();
  EXPECT_EQ(error.code(), StatusCode::kFailedPrecondition);
  EXPECT_EQ(Message(error), "-32602: no such tool");
  EXPECT_EQ(prober_.Call(Target(channel), "initialize", {}, Deadline::After(10s)).status().code(),
            StatusCode::kInvalidArgument);
  EXPECT_EQ(channel->CountSent("initialize"), 1);
}

TEST_F(McpProberTest, CallsRunBesideEachOtherAndEachGetsItsOwnAnswer) {
  // Answers only when both calls are in, in the reverse order.
  std::vector<std::string> waiting;
  auto channel = Channel([&](const mcp::Message& message, ScriptedChannel& self) -> std::vector<std::string> {
    if (message.method != "tools/call") return LegacyServer(message, self);
    waiting.insert(waiting.begin(), mcp::SerializeResult(message.id, {{"echo", message.params["name"]}}));
    return waiting.size() == 2 ? waiting : std::vector<std::string>{};
  });
  auto call = [&](const char* name) {
    StatusOr<Json> result = prober_.Call(Target(channel), "tools/call", {{"name", name}}, Deadline::After(10s));
    ASSERT_TRUE(result.ok()) << result.status();
    EXPECT_EQ((*result)["echo"], name);
  };
  std::thread one([&] { call("one"); });
  std::thread two([&] { call("two"); });
  one.join();
  two.join();
}

TEST_F(McpProberTest, ATimedOutCallIsCancelledAndItsLateAnswerDropped) {
  std::string late_id;
  auto channel = Channel([&](const mcp::Message& message, ScriptedChannel& self) -> std::vector<std::string> {
    if (message.method != "slow") return LegacyServer(message, self);
    late_id = message.id;
    return {};
  });
  Status status = prober_.Call(Target(channel), "slow", Json::object(), Deadline::After(200ms)).status();
  EXPECT_EQ(status.code(), StatusCode::kDeadlineExceeded);
  ASSERT_TRUE(Eventually([&] { return channel->CountSent("notifications/cancelled") == 1; }));
  EXPECT_EQ(channel->Sent().back().params["requestId"].dump(), late_id);
  channel->Emit(mcp::SerializeResult(late_id, "late"));
  EXPECT_TRUE(prober_.Call(Target(channel), "ping", nullptr, Deadline::After(10s)).ok());
}

TEST_F(McpProberTest, AChildThatDiesInACallMakesItUnavailable) {
  auto channel = Channel([](const mcp::Message& message, ScriptedChannel& self) -> std::vector<std::string> {
    if (message.method != "tools/call") return LegacyServer(message, self);
    self.Die();
    return {};
  });
  EXPECT_EQ(prober_.Call(Target(channel), "tools/call", Json::object(), Deadline::After(10s)).status().code(),
            StatusCode::kUnavailable);
  EXPECT_EQ(prober_.Ping(Target(channel), 10s, Deadline::After(10s)).code(), StatusCode::kUnavailable);
}

TEST_F(McpProberTest, APingIsSkippedWhileBytesFlowAndAskedOtherwise) {
  auto channel = Channel(LegacyServer);
  ASSERT_TRUE(prober_.Verify(Target(channel), Deadline::After(10s)).ok());
  EXPECT_TRUE(prober_.Ping(Target(channel), 1h, Deadline::After(10s)).ok());
  EXPECT_EQ(channel->CountSent("ping"), 0);
  EXPECT_TRUE(prober_.Ping(Target(channel), 0s, Deadline::After(10s)).ok());
  EXPECT_EQ(channel->CountSent("ping"), 1);
}

TEST_F(McpProberTest, AHangingServerFailsThePing) {
  std::atomic<bool> hangs{false};
  auto channel = Channel([&](const mcp::Message& message, ScriptedChannel& self) {
    return hangs ? std::vector<std::string>{} : LegacyServer(message, self);
  });
  ASSERT_TRUE(prober_.Verify(Target(channel), Deadline::After(10s)).ok());
  hangs = true;
  EXPECT_EQ(prober_.Ping(Target(channel), 0s, Deadline::After(200ms)).code(), StatusCode::kDeadlineExceeded);
}

TEST_F(McpProberTest, AChildThatDoesNotReadItsStdinGetsTheCallWhenItReadsAgain) {
  auto channel = Channel(LegacyServer);
  ASSERT_TRUE(prober_.Verify(Target(channel), Deadline::After(10s)).ok());
  channel->SetFull(true);
  EXPECT_EQ(prober_.Call(Target(channel), "ping", nullptr, Deadline::After(100ms)).status().code(),
            StatusCode::kDeadlineExceeded);
  std::thread caller([&] { EXPECT_TRUE(prober_.Call(Target(channel), "ping", nullptr, Deadline::After(10s)).ok()); });
  channel->SetFull(false);
  caller.join();
  EXPECT_EQ(channel->CountSent("ping"), 1);  // the abandoned one was taken back
}

TEST_F(McpProberTest, EndlessPagesAreRefused) {
  int page = 0;
  auto channel = Channel([&](const mcp::Message& message, ScriptedChannel& self) -> std::vector<std::string> {
    if (message.method != "tools/list") return LegacyServer(message, self);
    return {mcp::SerializeResult(message.id, {{"tools", Json::array()}, {"nextCursor", std::to_string(++page)}})};
  });
  Status status = prober_.Verify(Target(channel), Deadline::After(10s)).status();
  EXPECT_EQ(status.code(), StatusCode::kFailedPrecondition) << status;
  EXPECT_EQ(channel->CountSent("tools/list"), 100);
}

TEST_F(McpProberTest, AnUnknownProtocolVersionIsNamed) {
  auto channel = Channel([](const mcp::Message& message, ScriptedChannel& self) -> std::vector<std::string> {
    if (message.method != "initialize") return LegacyServer(message, self);
    return {mcp::SerializeResult(message.id, {{"protocolVersion", "1999-01-01"}, {"capabilities", Json::object()}})};
  });
  Status status = prober_.Verify(Target(channel), Deadline::After(10s)).status();
  EXPECT_EQ(status.code(), StatusCode::kFailedPrecondition);
  EXPECT_NE(Message(status).find("1999-01-01"), std::string::npos) << status;
}

TEST_F(McpProberTest, ForgetDetachesTheChildAndKeepsItsLines) {
  auto channel = Channel(LegacyServer);
  ASSERT_TRUE(prober_.Verify(Target(channel), Deadline::After(10s)).ok());
  prober_.Forget("i1");
  channel->Emit(R"({"jsonrpc":"2.0","id":"later","method":"ping"})");
  ASSERT_TRUE(prober_.Verify(Target(channel), Deadline::After(10s)).ok());
  EXPECT_EQ(channel->CountSent("initialize"), 1);
  EXPECT_TRUE(Eventually([&] { return channel->Sent().back().IsResponse() || channel->CountSent("") >= 1; }));
}

TEST_F(McpProberTest, WithoutAChildItIsUnavailable) {
  EXPECT_EQ(prober_.Verify(Target(nullptr), Deadline::After(1s)).status().code(), StatusCode::kUnavailable);
}

}  // namespace
}  // namespace mcpfleet
