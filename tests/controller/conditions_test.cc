#include "controller/core/conditions.h"

#include <gtest/gtest.h>

#include "crd/codec.h"
#include "tests/controller/world.h"

namespace mcpfleet {
namespace {

using std::chrono::seconds;

TEST(ConditionsTest, AnEmptyNodeSaysWhatIsMissingFirst) {
  const DesiredServer server = Server("weather");
  Observed observed;
  ServerStatus status = BuildStatus({server.key, &server, &observed, {}, MonoTime{}, WallTime{}}, nullptr);
  EXPECT_EQ(FindCondition(status.conditions, "Accepted")->status, ConditionStatus::kTrue);
  EXPECT_EQ(FindCondition(status.conditions, "Ready")->reason, "NotPulled");
  EXPECT_FALSE(IsReady(status));
  EXPECT_EQ(status.conditions.size(), 9u);
  EXPECT_EQ(FindCondition(status.conditions, "Exposed"), nullptr) << "a node without a gateway says nothing of one";
}

TEST(ConditionsTest, AnAttachedServerIsReadyAndItsStatusSaysThatItIsAttachedAndWhy) {
  const DesiredServer server = Server("weather");
  Observed observed;
  observed.artifact.phase = ArtifactState::Phase::kReady;
  InstanceView view;
  view.report = {.id = "a", .uid = server.uid, .revision = server.revision, .state = InstanceState::kRunning};
  view.report.shim = false;
  view.report.attached = "no mcp-shim";
  view.connected = true;
  observed.instances.push_back(view);
  observed.instances[0].probe.handshake = observed.instances[0].probe.verified = true;
  StatusInput input{server.key, &server, &observed, {}, MonoTime{}, WallTime{}};
  input.endpoint = "http://127.0.0.1:8700/default/weather/mcp";
  ServerStatus status = BuildStatus(input, nullptr);
  EXPECT_TRUE(IsReady(status));
  EXPECT_EQ(FindCondition(status.conditions, "Exposed")->reason, "Attached") << "it has no processes for clients";
  EXPECT_EQ(status.endpoint, "");
  const Condition* stdio = FindCondition(status.conditions, "StdioTransport");
  ASSERT_NE(stdio, nullptr);
  EXPECT_EQ(stdio->status, ConditionStatus::kFalse);
  EXPECT_EQ(stdio->reason, "Attach");
  EXPECT_TRUE(stdio->message.starts_with("no mcp-shim")) << stdio->message;
  // Without its session it is not available, whatever the engine says of its process.
  observed.instances[0].connected = false;
  EXPECT_FALSE(IsReady(BuildStatus(input, &status)));
  observed.instances[0].report.attached.clear();
  observed.instances[0].report.shim = true;
  EXPECT_EQ(FindCondition(BuildStatus(input, &status).conditions, "StdioTransport")->reason, "Shim");
}

// Two clients of a running stdio server with a child each.
struct SubjectsWorld {
  DesiredServer server = Server("weather");
  Observed observed;
  std::optional<std::string> endpoint = "http://127.0.0.1:8700/default/weather/mcp";

  SubjectsWorld() {
    server.spec.auth.type = AuthType::kBearer;
    server.spec.auth.tokens = {{"ann", "1"}, {"bob", "2"}};
    InstanceView view;
    view.report = {.id = "a", .uid = server.uid, .revision = server.revision, .state = InstanceState::kRunning};
    view.report.shim = view.connected = true;
    view.separates_clients = false;
    observed.instances.push_back(view);
  }
  InstanceView& instance() { return observed.instances[0]; }
  Condition Sandbox() const {
    StatusInput input{server.key, &server, &observed, {}, MonoTime{}, WallTime{}};
    input.endpoint = endpoint;
    return *FindCondition(BuildStatus(input, nullptr).conditions, "SandboxEnforced");
  }
  std::string Reason() const { return Sandbox().reason; }
};

TEST(ConditionsTest, WhereNothingKeepsClientsApartTheStatusSaysThatTheyTakeTurns) {
  SubjectsWorld world;
  EXPECT_EQ(world.Sandbox().status, ConditionStatus::kFalse);
  EXPECT_EQ(world.Reason(), "SessionsNotIsolated");
  world.instance().report.unenforced = "no cgroups";
  EXPECT_TRUE(world.Sandbox().message.ends_with("; no cgroups")) << world.Sandbox().message;
  world.instance().separates_clients = true;
  EXPECT_EQ(world.Reason(), "PartlyEnforced");
  world.instance().report.unenforced = "";
  EXPECT_EQ(world.Reason(), "Enforced");
  world.instance().separates_clients = std::nullopt;
  EXPECT_EQ(world.Reason(), "Enforced") << "its shim is away: nothing is known";
}

TEST(ConditionsTest, NobodyTakesTurnsWhereNoTwoSubjectsHaveProcessesSideBySide) {
  const auto reason = [](const std::function<void(SubjectsWorld&)>& change) {
    SubjectsWorld world;
    change(world);
    return world.Reason();
  };
  EXPECT_EQ(reason([](SubjectsWorld& w) { w.server.spec.auth = {}; }), "Enforced");
  EXPECT_EQ(reason([](SubjectsWorld& w) { w.server.spec.auth.tokens.pop_back(); }), "Enforced") << "one subject";
  EXPECT_EQ(reason([](SubjectsWorld& w) { w.server.spec.sessions.mode = SessionMode::kShared; }), "Enforced");
  EXPECT_EQ(reason([](SubjectsWorld& w) { w.server.spec.transport = Transport::kStreamableHttp; }), "Enforced");
  EXPECT_EQ(reason([](SubjectsWorld& w) { w.endpoint.reset(); }), "Enforced") << "no gateway, no clients";
  EXPECT_EQ(reason([](SubjectsWorld& w) { w.instance().probe.handshake = w.instance().probe.last.modern = true; }),
            "Enforced")
      << "a modern server has one child";
  EXPECT_EQ(reason([](SubjectsWorld& w) {
              w.server.spec.auth = {};
              w.server.spec.auth.type = AuthType::kJwt;
            }),
            "SessionsNotIsolated");
}

// A running, verified server with the tools "add" and "echo".
struct PinnedWorld {
  DesiredServer server = Server("weather");
  Observed observed;

  PinnedWorld() {
    observed.artifact.phase = ArtifactState::Phase::kReady;
    InstanceView view;
    view.report = {.id = "a", .uid = server.uid, .revision = server.revision, .state = InstanceState::kRunning};
    view.report.shim = false;
    view.report.attached = "no mcp-shim";
    view.connected = true;
    observed.instances.push_back(view);
    observed.instances[0].probe.handshake = observed.instances[0].probe.verified = true;
    observed.instances[0].probe.reason = "Verified";
    observed.instances[0].probe.last.catalog.tool_hashes = {{"add", "sha256:1"}, {"echo", "sha256:2"}};
  }
  ServerStatus Status(const ServerStatus* previous = nullptr) const {
    return BuildStatus({server.key, &server, &observed, {}, MonoTime{}, WallTime{}}, previous);
  }
  // "True Pinned: message"
  std::string Pinned(const ServerStatus* previous = nullptr) const {
    const ServerStatus status = Status(previous);
    const Condition* pinned = FindCondition(status.conditions, "ToolsPinned");
    if (pinned == nullptr) return "";
    const char* word = pinned->status == ConditionStatus::kTrue    ? "True "
                       : pinned->status == ConditionStatus::kFalse ? "False "
                                                                   : "Unknown ";
    return word + pinned->reason + (pinned->message.empty() ? "" : ": " + pinned->message);
  }
};

TEST(ConditionsTest, ToolsPinnedIsThereWhileSomethingIsPinned) {
  PinnedWorld world;
  EXPECT_EQ(world.Pinned(), "");
  world.server.spec.tools.pins = {{"add", "sha256:1"}, {"echo", "sha256:2"}};
  EXPECT_EQ(world.Pinned(), "True Pinned");
  const ServerStatus pinned = world.Status();
  world.server.spec.tools.pinning = ToolPinning::kOff;
  EXPECT_EQ(world.Pinned(&pinned), "");
  world.server.spec.tools.pinning = ToolPinning::kWarn;
  world.observed.instances[0].probe.handshake = world.observed.instances[0].probe.verified = false;
  EXPECT_EQ(world.Pinned(), "Unknown NotListed: its tools were not listed yet");
}

TEST(ConditionsTest, ToolsPinnedNamesWhatDiffers) {
  PinnedWorld world;
  world.server.spec.tools.pins = {{"add", "sha256:9"}, {"gone", "sha256:3"}};
  EXPECT_EQ(world.Pinned(), "False ToolsChanged: changed: add; missing: gone; not pinned: echo");
  world.server.spec.tools.pins = {{"add", "sha256:1"}, {"gone", "sha256:3"}};
  EXPECT_EQ(world.Pinned(), "False ToolsMissing: missing: gone; not pinned: echo");
  world.server.spec.tools.pins = {{"add", "sha256:1"}};
  EXPECT_EQ(world.Pinned(), "False ToolsNotPinned: not pinned: echo");
  // What clients can't use makes no difference.
  world.server.spec.tools.deny = {"echo"};
  EXPECT_EQ(world.Pinned(), "True Pinned");
  world.server.spec.tools = {.allow = {"add"}, .pins = {{"add", "sha256:1"}, {"echo", "sha256:9"}}};
  EXPECT_EQ(world.Pinned(), "True Pinned");
  world.server.spec.tools = {};
  for (int i = 10; i < 25; ++i) world.server.spec.tools.pins["t" + std::to_string(i)] = "sha256:0";
  EXPECT_EQ(
      world.Pinned(),
      "False ToolsMissing: missing: t10, t11, t12, t13, t14, t15, t16, t17, t18, t19 and 5 more; not pinned: add, "
      "echo");
}

TEST(ConditionsTest, AChangedToolKeepsAServerFromReadyUnderBlockOnly) {
  PinnedWorld world;
  world.server.spec.tools.pins = {{"add", "sha256:9"}, {"echo", "sha256:2"}};
  EXPECT_TRUE(IsReady(world.Status()));
  world.server.spec.tools.pinning = ToolPinning::kBlock;
  ServerStatus status = world.Status();
  for (const char* type : {"Ready", "Progressing"}) {
    EXPECT_EQ(FindCondition(status.conditions, type)->status, ConditionStatus::kFalse) << type;
    EXPECT_EQ(FindCondition(status.conditions, type)->reason, "ToolsChanged") << type;
    EXPECT_EQ(FindCondition(status.conditions, type)->message, "changed: add") << type;
  }
  EXPECT_EQ(FindCondition(status.conditions, "Verified")->status, ConditionStatus::kTrue);
  world.server.spec.tools.pins = {{"add", "sha256:1"}, {"echo", "sha256:2"}, {"gone", "sha256:3"}};
  EXPECT_EQ(FindCondition(world.Status().conditions, "Ready")->reason, "ToolsMissing");
  // A tool that is not pinned is hidden from clients; the others work.
  world.server.spec.tools.pins = {{"add", "sha256:1"}};
  EXPECT_TRUE(IsReady(world.Status()));
  EXPECT_EQ(world.Pinned(), "False ToolsNotPinned: not pinned: echo");
}

TEST(ConditionsTest, TheOldRevisionIsJudgedByItsOwnPins) {
  PinnedWorld world;
  DesiredServer old = world.server;
  old.spec.tools.pins = {{"add", "sha256:1"}, {"echo", "sha256:2"}};
  world.observed.previous = std::make_shared<const DesiredServer>(old);
  world.server.revision = "another";
  world.server.spec.tools = {.pinning = ToolPinning::kBlock, .pins = {{"add", "sha256:new"}}};
  EXPECT_EQ(world.Pinned(), "True Pinned");
  EXPECT_EQ(FindCondition(world.Status().conditions, "Ready")->reason, "Updating");
}

TEST(ConditionsTest, HiddenCharactersAreSaidWhetherToolsArePinnedOrNot) {
  PinnedWorld world;
  world.observed.instances[0].probe.last.catalog.hidden_text = {"the description of add"};
  EXPECT_EQ(world.Pinned(), "Unknown NotPinned: hidden characters in the description of add");
  EXPECT_TRUE(IsReady(world.Status()));
  world.server.spec.tools.pins = {{"add", "sha256:1"}, {"echo", "sha256:2"}};
  EXPECT_EQ(world.Pinned(), "True Pinned: hidden characters in the description of add");
}

TEST(ConditionsTest, AServerThatItsPolicyEndedSaysSoAndNotThatAPullFailed) {
  const DesiredServer server = Server("weather");
  Observed observed;
  observed.artifact.phase = ArtifactState::Phase::kFailed;  // asked for while what was adopted ran
  observed.artifact.message = "no such image";
  InstanceView view;
  view.report = {.id = "a", .uid = server.uid, .revision = server.revision, .state = InstanceState::kRunning};
  view.connected = true;
  view.main.phase = MainState::Phase::kExited;
  observed.instances.push_back(view);
  observed.restart.last_reason = "Error";
  observed.restart.revision = server.revision;
  observed.restart.verdict = RestartVerdict::kFailed;
  observed.instances[0].restart = observed.restart;
  const StatusInput input{server.key, &server, &observed, {}, MonoTime{}, WallTime{}};
  ServerStatus status = BuildStatus(input, nullptr);
  EXPECT_EQ(FindCondition(status.conditions, "Ready")->reason, "Failed");
  EXPECT_EQ(FindCondition(status.conditions, "Progressing")->reason, "Failed");
  EXPECT_EQ(FindCondition(status.conditions, "ArtifactReady")->reason, "NotNeeded");
  // An end of another revision does not keep this one from starting: its pull matters.
  observed.restart.revision = "another";
  observed.instances[0].restart = observed.restart;
  EXPECT_EQ(FindCondition(BuildStatus(input, &status).conditions, "Ready")->reason, "PullFailed");
}

TEST(ConditionsTest, TransitionTimesMoveOnlyWhenTheStatusChanges) {
  const DesiredServer server = Server("weather");
  Observed observed;
  ServerStatus first = BuildStatus({server.key, &server, &observed, {}, MonoTime{}, WallTime(seconds(10))}, nullptr);
  observed.artifact.phase = ArtifactState::Phase::kFailed;
  observed.artifact.message = "no such image";
  ServerStatus second = BuildStatus({server.key, &server, &observed, {}, MonoTime{}, WallTime(seconds(20))}, &first);
  EXPECT_EQ(FindCondition(second.conditions, "Accepted")->last_transition_time, WallTime(seconds(10)));
  EXPECT_EQ(FindCondition(second.conditions, "ArtifactReady")->last_transition_time, WallTime(seconds(20)));
  EXPECT_EQ(FindCondition(second.conditions, "Ready")->reason, "PullFailed");
  EXPECT_EQ(FindCondition(second.conditions, "Ready")->message, "no such image");
  EXPECT_EQ(FindCondition(second.conditions, "Progressing")->status, ConditionStatus::kFalse);
  EXPECT_FALSE(SameStatus(first, second));
  EXPECT_TRUE(SameStatus(second, second));
}

TEST(ConditionsTest, ACountdownIsNoReasonToWrite) {
  const DesiredServer server = Server("weather");
  Observed observed;
  observed.artifact.phase = ArtifactState::Phase::kReady;
  observed.restart.verdict = RestartVerdict::kRestart;
  observed.restart.next_attempt = MonoTime(seconds(100));
  ServerStatus at_10 = BuildStatus({server.key, &server, &observed, {}, MonoTime(seconds(10)), WallTime{}}, nullptr);
  ServerStatus at_20 = BuildStatus({server.key, &server, &observed, {}, MonoTime(seconds(20)), WallTime{}}, &at_10);
  EXPECT_EQ(FindCondition(at_20.conditions, "Ready")->reason, "CrashLoopBackOff");
  EXPECT_TRUE(SameStatus(at_10, at_20));
}

TEST(ConditionsTest, AFailedActionIsTheReasonWhileNothingRuns) {
  const DesiredServer server = Server("weather");
  Observed observed;
  observed.artifact.phase = ArtifactState::Phase::kReady;
  ServerStatus status = BuildStatus(
      {server.key, &server, &observed, {"CreateFailed", "no space left on device"}, MonoTime{}, WallTime{}}, nullptr);
  EXPECT_EQ(FindCondition(status.conditions, "Ready")->reason, "CreateFailed");
}

// A server that answers, on a node with a gateway.
struct ExposedWorld {
  DesiredServer server = Server("weather");
  Observed observed;
  ExposedWorld() {
    observed.artifact.phase = ArtifactState::Phase::kReady;
    InstanceView view;
    view.report = {.id = "a", .uid = server.uid, .revision = server.revision, .state = InstanceState::kRunning};
    view.main.phase = MainState::Phase::kRunning;
    view.connected = view.probe.handshake = view.probe.verified = true;
    observed.instances.push_back(view);
  }
  ServerStatus Status(std::optional<Exposure> exposure, std::optional<std::string> endpoint = "http://127.0.0.1/e") {
    StatusInput input{server.key, &server, &observed, {}, MonoTime{}, WallTime{}};
    input.endpoint = std::move(endpoint);
    input.exposure = std::move(exposure);
    return BuildStatus(input, nullptr);
  }
};
std::string ExposedIn(const ServerStatus& status) {
  const Condition* found = FindCondition(status.conditions, "Exposed");
  return found == nullptr ? "absent" : ToString(found->status) + " " + found->reason;
}

TEST(ConditionsTest, AServerThatAsksForAHostnameIsExposedWhenTheTunnelHasIt) {
  ExposedWorld world;
  EXPECT_EQ(ExposedIn(world.Status(std::nullopt)), "True Exposed");
  const Exposure there{ConditionStatus::kTrue, "Exposed", "", "https://fs.example.com/default/weather/mcp"};
  ServerStatus status = world.Status(there);
  EXPECT_EQ(ExposedIn(status), "True Exposed");
  EXPECT_EQ(status.endpoint, there.url);
  EXPECT_EQ(FindCondition(status.conditions, "Exposed")->message, there.url);
  for (const Exposure& not_there : {Exposure{ConditionStatus::kFalse, "HostnameConflict", "b has it", ""},
                                    Exposure{ConditionStatus::kUnknown, "ExternallyManaged", "m", ""}}) {
    status = world.Status(not_there);
    EXPECT_EQ(ExposedIn(status), ToString(not_there.status) + " " + not_there.reason);
    EXPECT_EQ(status.endpoint, "http://127.0.0.1/e") << "who is on the node gets to it";
    EXPECT_TRUE(IsReady(status));
  }
}

TEST(ConditionsTest, NobodyIsExposedWithoutAGatewayOrWithoutAnAnswer) {
  ExposedWorld world;
  const Exposure there{ConditionStatus::kTrue, "Exposed", "", "https://fs.example.com/default/weather/mcp"};
  EXPECT_EQ(ExposedIn(world.Status(there, std::nullopt)), "False NoEndpoint");
  EXPECT_EQ(ExposedIn(world.Status(there, "")), "False NoEndpoint");
  EXPECT_EQ(world.Status(there, "").endpoint, "");
  world.observed.instances[0].probe.verified = false;
  EXPECT_EQ(ExposedIn(world.Status(there)), "Unknown NotVerified");
  EXPECT_EQ(world.Status(there).endpoint, "");
}

}  // namespace
}  // namespace mcpfleet
