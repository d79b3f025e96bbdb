#include "edge-runtime/gateway/endpoint.h"

#include "base/digest.h"
#include "edge-runtime/mcp/tool_hash.h"
#include "tests/edge-runtime/gateway/fake_children.h"

namespace mcpfleet::gateway {
namespace {

using namespace test;

struct CountingMetrics final : GatewayMetrics {
  void GatewayRequest(const ServerKey&, std::string_view method, int code, Duration) override {
    ++requests[std::string(method) + " " + std::to_string(code)];
  }
  void GatewayToolFailed(const ServerKey&) override { ++failed_tools; }
  void GatewayRejected(std::string_view reason) override {
    EXPECT_NE(std::find(std::begin(kGatewayRejections), std::end(kGatewayRejections), reason),
              std::end(kGatewayRejections))
        << reason;
    ++rejected[std::string(reason)];
  }
  void GatewaySessions(const ServerKey&, int open) override { sessions = open; }
  void GatewaySessionEnded(const ServerKey&, Duration) override { ++ended; }
  void GatewayCertificate(const StatusOr<WallTime>&) override {}
  void GatewayForget(const ServerKey&) override {}
  std::map<std::string, int> requests, rejected;
  int sessions = 0, ended = 0, failed_tools = 0;
};

using Fields = std::vector<std::pair<std::string, std::string>>;

const char kAccept[] = "application/json, text/event-stream";
const char kVersionKey[] = "io.modelcontextprotocol/protocolVersion";
const char kCapabilitiesKey[] = "io.modelcontextprotocol/clientCapabilities";

class EndpointTest : public ::testing::Test {
 protected:
  void SetUp() override {
    host_.start_at_once = true;
    spec_.sessions.max = 4;
    target_.ready = true;
    target_.instance = "i-1";
    target_.argv = {"server"};
    settings_.urls = {"http://127.0.0.1:8700/default/weather/mcp"};
  }
  void TearDown() override {
    endpoint_.reset();
    loop_.Run();
    children_.reset();
  }
  ClientTarget Target() {
    auto server = std::make_shared<DesiredServer>();
    server->key = {"default", "weather"};
    server->spec = spec_;
    target_.server = server;
    return target_;
  }
  void Open() {
    children_ = std::make_unique<Children>(host_, loop_, Children::Listeners{[this](const std::string& instance) {
                                             if (endpoint_) endpoint_->OnChildrenChanged(instance);
                                           }});
    endpoint_ = std::make_unique<Endpoint>(
        Endpoint::Wiring{.loop = loop_,
                         .clock = clock_,
                         .children = *children_,
                         .http_upstream = [](const ClientTarget&) -> StatusOr<std::shared_ptr<HttpUpstream>> {
                           return Unavailable("none in this test");
                         },
                         .keys = keys_,
                         .metrics = metrics_,
                         .log = [this](const LoggedRequest& request) { logged_.push_back(request); },
                         .used = [this](const ServerKey&) { ++used_; }},
        settings_, Target());
    loop_.Run();
  }
  void Update() {
    endpoint_->SetTarget(Target());
    loop_.Run();
  }
  std::shared_ptr<Exchange> Ask(const std::string& method, const Fields& fields, const std::string& body = "") {
    return AskAt(Face::kMcp, "/default/weather/mcp", method, fields, body);
  }
  std::shared_ptr<Exchange> AskAt(Face face, const std::string& target, const std::string& method, const Fields& fields,
                                  const std::string& body = "") {
    auto exchange = std::make_shared<Exchange>();
    http::Request request{.method = method, .target = target, .body = body};
    for (const auto& [name, value] : fields) request.headers.Add(name, value);
    endpoint_->Handle(face, request, std::make_shared<FakeResponder>(exchange), "");
    loop_.Run();
    return exchange;
  }
  std::shared_ptr<Exchange> PostText(const std::string& body, Fields fields = {}) {
    fields.emplace_back("Accept", kAccept);
    fields.emplace_back("Content-Type", "application/json");
    return Ask("POST", fields, body);
  }
  std::shared_ptr<Exchange> Post(const Json& message, const Fields& fields = {}) {
    return PostText(message.dump(), fields);
  }
  static Fields In(const std::string& session, const Fields& more = {}) {
    Fields fields = {{"Mcp-Session-Id", session}};
    fields.insert(fields.end(), more.begin(), more.end());
    return fields;
  }
  // The child that was asked to initialize last, once it was.
  FakeChannel& Newest() { return host_.channel(host_.children.size() - 1); }
  std::shared_ptr<Exchange> Initialize(const Fields& fields = {}) {
    return Post(RequestOf(0, "initialize", {{"protocolVersion", "2025-11-25"}, {"capabilities", Json::object()}}),
                fields);
  }
  // The answer of a child to the handshake of the session that was begun with `exchange`: the session's id.
  std::string Shaken(const Exchange& exchange, FakeChannel& channel, const Fields& fields = {}) {
    channel.Answer(channel.Next("initialize"), {{"protocolVersion", "2025-11-25"}, {"capabilities", Json::object()}});
    loop_.Run();
    EXPECT_EQ(exchange.status(), 200);
    const std::string id = exchange.Header("mcp-session-id");
    EXPECT_EQ(Post(NotificationOf("notifications/initialized"), In(id, fields))->status(), 202);
    channel.Next("notifications/initialized");
    return id;
  }
  std::string OpenSession(const Fields& fields = {}) {
    const auto exchange = Initialize(fields);
    return Shaken(*exchange, Newest(), fields);
  }
  static Json Modern(const Json& id, const std::string& method, Json params = Json::object()) {
    params["_meta"] = {{kVersionKey, "2026-07-28"}, {kCapabilitiesKey, Json::object()}};
    return RequestOf(id, method, params);
  }
  std::shared_ptr<Exchange> PostModern(const Json& message, Fields fields = {}) {
    fields.emplace_back("MCP-Protocol-Version", "2026-07-28");
    fields.emplace_back("Mcp-Method", message["method"]);
    const Json name = message["params"].value("name", Json());
    if (name.is_string()) fields.emplace_back("Mcp-Name", name);
    return Post(message, fields);
  }
  void ShakeLane(FakeChannel& channel) {
    channel.Answer(channel.Next("initialize"), {{"protocolVersion", "2025-11-25"}, {"capabilities", Json::object()}});
    loop_.Run();
    channel.Next("notifications/initialized");
  }
  void Tick(Duration by) {
    loop_.Advance(by);
    endpoint_->Tick(clock_.Now());
    loop_.Run();
  }
  void UseTokens() {
    spec_.auth.type = AuthType::kBearer;
    for (const char* name : {"ann", "bob"})
      spec_.auth.tokens.push_back({name, Sha256Hex(std::string(name) + "-secret")});
  }
  const Fields ann_ = {{"Authorization", "Bearer ann-secret"}}, bob_ = {{"Authorization", "Bearer bob-secret"}};

  FakeClock clock_;
  ManualLoop loop_{&clock_};
  FakeHost host_{loop_};
  CountingMetrics metrics_;
  JwksCache keys_{clock_, [](const std::string&, const std::function<void(StatusOr<std::string>)>& done) {
                    done(Unavailable("offline"));
                  }};
  ServerSpec spec_;
  ClientTarget target_;
  EndpointSettings settings_;
  int used_ = 0;
  std::vector<LoggedRequest> logged_;
  std::unique_ptr<Children> children_;
  std::unique_ptr<Endpoint> endpoint_;
};

std::string Verdict(const Exchange& exchange) {
  if (!exchange.response) return "none";
  const Json body = Json::parse(exchange.response->body, nullptr, false);
  return std::to_string(exchange.status()) + " " + std::to_string(CodeOf(body.is_discarded() ? Json() : body));
}

// ---- the rules of HTTP

TEST_F(EndpointTest, ARequestIsJudgedInTheOrderThatClientsExpect) {
  Open();
  const std::string ping = RequestOf(1, "ping").dump();
  const std::pair<std::string, std::string> json = {"Content-Type", "application/json"}, both = {"Accept", kAccept};
  EXPECT_EQ(Ask("PUT", {json, both}, ping)->status(), 405);
  EXPECT_EQ(Ask("PUT", {json, both}, ping)->Header("allow"), "GET, POST, DELETE");
  EXPECT_EQ(Ask("POST", {}, "not json")->status(), 406);
  EXPECT_EQ(Ask("POST", {both}, "not json")->status(), 415);
  EXPECT_EQ(Verdict(*PostText("not json")), "400 -32700");
  EXPECT_EQ(Verdict(*PostText("")), "400 -32700");
  EXPECT_EQ(Verdict(*PostText("{\"a\":\"\xff\"}")), "400 -32700");
  EXPECT_EQ(Verdict(*PostText(std::string(size_t{2} << 20, '{'))), "400 -32700");
  EXPECT_EQ(Verdict(*PostText("{}")), "400 -32600");
  EXPECT_EQ(Verdict(*PostText(R"({"jsonrpc":"2.0","id":1,"id":2,"method":"ping"})")), "400 -32600");
  EXPECT_EQ(Verdict(*PostText(ping)), "400 -32000") << "no session";
  for (const char* id : {"unknown", "constructor", "__proto__", "", "../x", "\xff"})
    EXPECT_EQ(Verdict(*PostText(ping, In(id))), "404 -32001") << id;
  const std::string session = OpenSession();
  EXPECT_EQ(Verdict(*PostText(ping, In(session, {{"MCP-Protocol-Version", "1999-01-01"}}))), "400 -32000");
  EXPECT_EQ(Verdict(*Initialize(In(session))), "400 -32600") << "already initialized";
  EXPECT_EQ(host_.alive(), 1);
}

TEST_F(EndpointTest, WhatItIsCalledMayChangeAndTheFirstNameIsToldToClientsOfOAuth) {
  spec_.auth.type = AuthType::kJwt;
  spec_.auth.issuer = "https://login.example.com";
  Open();
  const auto told = [&] { return Ask("GET", {{"Accept", kAccept}})->Header("www-authenticate"); };
  EXPECT_NE(told().find("http://127.0.0.1:8700/.well-known/"), std::string::npos) << told();
  endpoint_->SetUrls({"https://fs.example.com/default/weather/mcp", settings_.urls.front()});
  Update();
  EXPECT_NE(told().find("https://fs.example.com/.well-known/"), std::string::npos) << told();
  EXPECT_NE(endpoint_->Metadata(Face::kMcp)->find("https://fs.example.com/default/weather/mcp"), std::string::npos);
}

TEST_F(EndpointTest, ASessionIdCantBeGuessedAndIsVisible) {
  Open();
  const std::string a = OpenSession(), b = OpenSession();
  EXPECT_NE(a, b);
  EXPECT_GE(a.size(), 32U);
  for (char c : a) EXPECT_TRUE(c >= 0x21 && c <= 0x7e);
}

TEST_F(EndpointTest, SessionsHaveChildrenOfTheirOwn) {
  Open();
  const std::string a = OpenSession(), b = OpenSession();
  const auto of_a = Post(RequestOf(1, "tools/list"), In(a)), of_b = Post(RequestOf(1, "tools/list"), In(b));
  host_.channel(1).Answer(host_.channel(1).Next("tools/list"), "b");
  host_.channel(0).Answer(host_.channel(0).Next("tools/list"), "a");
  loop_.Run();
  EXPECT_EQ(of_a->Body(), ResultOf(1, "a"));
  EXPECT_EQ(of_b->Body(), ResultOf(1, "b"));
  EXPECT_EQ(metrics_.sessions, 2);
}

TEST_F(EndpointTest, GetHasItsRules) {
  Open();
  EXPECT_EQ(Ask("GET", {{"Accept", "application/json"}})->status(), 406);
  EXPECT_EQ(Verdict(*Ask("GET", {{"Accept", "text/event-stream"}})), "400 -32000");
  EXPECT_EQ(Verdict(*Ask("GET", In("unknown", {{"Accept", "text/event-stream"}}))), "404 -32001");
  const auto modern = Ask("GET", {{"Accept", "text/event-stream"}, {"MCP-Protocol-Version", "2026-07-28"}});
  EXPECT_EQ(modern->status(), 405);
  EXPECT_EQ(modern->Header("allow"), "POST");
  EXPECT_EQ(Ask("DELETE", {{"MCP-Protocol-Version", "2026-07-28"}})->status(), 405);
  const std::string session = OpenSession();
  EXPECT_EQ(Ask("GET", In(session, {{"Accept", "text/event-stream"}, {"Last-Event-ID", "not ours"}}))->status(), 400);
  const auto stream = Ask("GET", In(session, {{"Accept", "text/event-stream"}}));
  EXPECT_TRUE(stream->streaming);
  EXPECT_FALSE(stream->ended);
  Newest().Say(NotificationOf("notifications/tools/list_changed"));
  loop_.Run();
  EXPECT_EQ(stream->Messages().size(), 1U);
}

TEST_F(EndpointTest, DeleteEndsTheSessionAndItsChild) {
  Open();
  EXPECT_EQ(Verdict(*Ask("DELETE", {})), "400 -32000");
  EXPECT_EQ(Verdict(*Ask("DELETE", In("unknown"))), "404 -32001");
  const std::string session = OpenSession();
  const auto call = Post(RequestOf(1, "tools/call", {{"name", "x"}}), In(session));
  EXPECT_EQ(Ask("DELETE", In(session))->status(), 200);
  EXPECT_EQ(CodeOf(call->Final()), -32603);
  EXPECT_EQ(Verdict(*Post(RequestOf(1, "ping"), In(session))), "404 -32001");
  EXPECT_EQ(Verdict(*Ask("DELETE", In(session))), "404 -32001");
  EXPECT_EQ(host_.alive(), 0);
  EXPECT_EQ(metrics_.sessions, 0);
}

TEST_F(EndpointTest, ToolCallsThatFailAreCountedWhicheverWayTheServerSaysIt) {
  Open();
  const std::string session = OpenSession();
  FakeChannel& channel = Newest();
  const auto call = [&](const char* method, const Json& answer) {
    const auto exchange = Post(RequestOf(1, method, {{"name", "x"}}), In(session));
    Json text = {{"jsonrpc", "2.0"}, {"id", GetMember(channel.Next(method), "id")}};
    text.update(answer);
    channel.Say(text);
    loop_.Run();
    EXPECT_EQ(exchange->status(), 200);
    return metrics_.failed_tools;
  };
  EXPECT_EQ(call("tools/call", {{"result", {{"content", {"\"isError\":true"}}}}}), 0);
  EXPECT_EQ(call("tools/call", {{"result", {{"isError", false}, {"content", {{{"isError", true}}}}}}}), 0);
  EXPECT_EQ(call("tools/call", {{"result", {{"content", Json::array()}, {"isError", true}}}}), 1);
  EXPECT_EQ(call("tools/call", {{"error", {{"code", -32602}, {"message", "no such tool"}}}}), 2);
  EXPECT_EQ(call("prompts/get", {{"error", {{"code", -32602}, {"message", "no such prompt"}}}}), 2);
}

TEST_F(EndpointTest, BatchesAreInOneRevisionOnly) {
  Open();
  const std::string batch = Json::array({RequestOf(1, "ping"), NotificationOf("n")}).dump();
  EXPECT_EQ(Verdict(*PostText(batch)), "400 -32600");
  const std::string newer = OpenSession();
  EXPECT_EQ(Verdict(*PostText(batch, In(newer))), "400 -32600");
  const auto begun = Initialize();
  FakeChannel& channel = Newest();
  channel.Answer(channel.Next("initialize"), {{"protocolVersion", "2025-03-26"}});
  loop_.Run();
  const std::string session = begun->Header("mcp-session-id");
  const auto exchange = PostText(batch, In(session));
  channel.Next("n");
  channel.Answer(channel.Next("ping"), Json::object());
  loop_.Run();
  EXPECT_EQ(exchange->Final(), ResultOf(1, Json::object()));
  const auto refuse = [&](const Json& messages) { return Verdict(*PostText(messages.dump(), In(session))); };
  EXPECT_EQ(refuse({RequestOf(5, "ping"), RequestOf(5, "ping")}), "400 -32600");
  EXPECT_EQ(refuse({RequestOf(5, "initialize")}), "400 -32600");
  EXPECT_EQ(refuse({RequestOf(5, "ping"), 7}), "400 -32600");
  EXPECT_EQ(refuse(Json::array()), "400 -32600");
  EXPECT_EQ(refuse(Json(std::vector<Json>(101, NotificationOf("n")))), "400 -32600");
  EXPECT_EQ(channel.read, channel.sent.size());
}

TEST_F(EndpointTest, CallsInABatchAreJudgedCountedLoggedAndTracedOneByOne) {
  spec_.tools.deny = {"rm"};
  settings_.log_arguments = true;
  Open();
  const auto begun = Initialize();
  FakeChannel& channel = Newest();
  channel.Answer(channel.Next("initialize"), {{"protocolVersion", "2025-03-26"}});
  loop_.Run();
  const auto call = [](int id, const char* tool) {
    return RequestOf(id, "tools/call", {{"name", tool}, {"arguments", {{"n", id}}}});
  };
  const auto exchange = PostText(Json({call(1, "ls"), call(2, "rm"), RequestOf(3, "ping")}).dump(),
                                 In(begun->Header("mcp-session-id"), {{"traceparent", "00-1-2-01"}}));
  const Json sent = channel.Next("tools/call");
  EXPECT_EQ(sent["params"]["_meta"]["traceparent"], "00-1-2-01");
  channel.Answer(sent, 1);
  channel.Answer(channel.Next("ping"), Json::object());
  loop_.Run();
  ASSERT_TRUE(exchange->ended);
  const std::vector<Json> messages = exchange->Messages();
  ASSERT_EQ(messages.size(), 3U);
  EXPECT_EQ(messages[0]["id"], 2);
  EXPECT_EQ(CodeOf(messages[0]), -32602);
  EXPECT_EQ(metrics_.requests["tools/call 200"], 2);
  EXPECT_EQ(metrics_.requests["batch 200"], 1);
  ASSERT_EQ(logged_.back().tools.size(), 2U);
  EXPECT_EQ(logged_.back().tools[1].name, "rm");
  EXPECT_EQ(logged_.back().tools[1].arguments, R"({"n":2})");
  EXPECT_EQ(channel.read, channel.sent.size());
}

TEST_F(EndpointTest, ABatchHasSoManyMessagesAndNoMore) {
  settings_.max_batch = 2;
  Open();
  const auto begun = Initialize();
  FakeChannel& channel = Newest();
  channel.Answer(channel.Next("initialize"), {{"protocolVersion", "2025-03-26"}});
  loop_.Run();
  const Fields session = In(begun->Header("mcp-session-id"));
  const auto batch = [](size_t n) { return Json(std::vector<Json>(n, NotificationOf("n"))).dump(); };
  EXPECT_EQ(PostText(batch(2), session)->status(), 202);
  EXPECT_EQ(Verdict(*PostText(batch(3), session)), "400 -32600");
}

TEST_F(EndpointTest, ASessionAndALaneHaveTheSettingsOfTheEndpoint) {
  settings_.session.max_calls = 1;
  settings_.modern.max_listens = 1;
  Open();
  const std::string session = OpenSession();
  Post(RequestOf(1, "ping"), In(session));
  EXPECT_EQ(Post(RequestOf(2, "ping"), In(session))->status(), 429);
  const Json wanted = {{"notifications", Json::object()}};
  PostModern(Modern(1, "subscriptions/listen", wanted));
  EXPECT_EQ(PostModern(Modern(2, "subscriptions/listen", wanted))->status(), 429);
}

// ---- subjects

TEST_F(EndpointTest, AnotherSubjectsSessionDoesNotExist) {
  UseTokens();
  Open();
  EXPECT_EQ(Initialize()->status(), 401);
  const std::string session = OpenSession(ann_);
  for (const char* method : {"GET", "DELETE", "POST"}) {
    Fields fields = In(session, bob_);
    fields.emplace_back("Accept", kAccept);
    fields.emplace_back("Content-Type", "application/json");
    EXPECT_EQ(Verdict(*Ask(method, fields, RequestOf(1, "ping").dump())), "404 -32001") << method;
  }
  EXPECT_EQ(Post(RequestOf(1, "ping"), In(session))->status(), 401) << "each request, not the first alone";
  Post(RequestOf(1, "ping"), In(session, ann_));
  Newest().Next("ping");
}

// ---- bounds

TEST_F(EndpointTest, WhatDoesNotFitIsSentAwayForAWhileAndMaxIsNeverExceeded) {
  spec_.sessions.max = 2;
  Open();
  const std::string a = OpenSession(), b = OpenSession();
  const auto busy_a = Post(RequestOf(1, "tools/call", {{"name", "x"}}), In(a));
  const auto busy_b = Post(RequestOf(1, "tools/call", {{"name", "x"}}), In(b));
  Tick(10s);
  const auto third = Initialize();
  EXPECT_EQ(Verdict(*third), "503 -32603");
  EXPECT_NE(third->Header("retry-after"), "");
  EXPECT_EQ(third->Header("mcp-session-id"), "");
  EXPECT_EQ(host_.children.size(), 2U);
}

TEST_F(EndpointTest, TheSessionUnusedTheLongestMakesRoomOnceItsChildIsGone) {
  spec_.sessions.max = 2;
  Open();
  const std::string a = OpenSession();
  Tick(5s);
  const std::string b = OpenSession();
  Tick(5s);
  const auto third = Initialize();
  EXPECT_FALSE(third->response) << "it waits for the room";
  EXPECT_EQ(host_.ended, std::vector<uint64_t>{host_.id(0)});
  EXPECT_EQ(host_.children.size(), 2U);
  host_.EndAll();
  loop_.Run();
  ASSERT_EQ(host_.children.size(), 3U);
  Shaken(*third, Newest());
  EXPECT_EQ(Verdict(*Post(RequestOf(1, "ping"), In(a))), "404 -32001");
  EXPECT_FALSE(Post(RequestOf(1, "ping"), In(b))->response);
}

TEST_F(EndpointTest, ManyAtOnceNeverExceedTheChildrenNorTheSessions) {
  host_.start_at_once = false;
  spec_.sessions.max = 3;
  Open();
  std::vector<std::shared_ptr<Exchange>> all;
  for (int i = 0; i < 20; ++i) all.push_back(Initialize());
  EXPECT_EQ(host_.children.size(), 3U);
  for (size_t i = 0; i < 3; ++i) host_.Started(i);
  loop_.Run();
  int refused = 0;
  for (const auto& exchange : all) refused += exchange->status() == 503;
  EXPECT_EQ(refused, 17);
}

TEST_F(EndpointTest, SessionsThatAreBeingOpenedCount) {
  host_.start_at_once = false;
  spec_.sessions.max = 10;
  settings_.max_sessions = 2;
  Open();
  std::vector<std::shared_ptr<Exchange>> all;
  for (int i = 0; i < 5; ++i) all.push_back(Initialize());
  for (size_t i = 0; i < host_.children.size(); ++i) host_.Started(i);
  loop_.Run();
  EXPECT_LE(metrics_.sessions, 2);
  int refused = 0;
  for (const auto& exchange : all) refused += exchange->status() == 503;
  EXPECT_EQ(refused, 3);
  EXPECT_EQ(host_.alive(), 2);
}

TEST_F(EndpointTest, AnAbandonedSessionIsReapedAfterTheIdleTime) {
  spec_.sessions.idle_timeout = 30min;
  Open();
  const std::string session = OpenSession();
  const auto stream = Ask("GET", In(session, {{"Accept", "text/event-stream"}}));
  Tick(29min);
  EXPECT_EQ(host_.alive(), 1);
  Tick(1min);
  EXPECT_EQ(host_.alive(), 0) << "an open stream is no use";
  EXPECT_TRUE(stream->ended);
  EXPECT_EQ(metrics_.sessions, 0);
  EXPECT_EQ(metrics_.ended, 1);
  host_.EndAll();
  loop_.Run();
  EXPECT_FALSE(endpoint_->HasWork());
}

TEST_F(EndpointTest, NoSessionLivesForEver) {
  spec_.sessions.max_lifetime = 2h;
  Open();
  const std::string session = OpenSession();
  for (int i = 0; i < 8; ++i) {
    Post(NotificationOf("notifications/x"), In(session));
    Tick(14min);
  }
  EXPECT_EQ(host_.alive(), 1);
  Tick(14min);
  EXPECT_EQ(host_.alive(), 0);
}

TEST_F(EndpointTest, TooManyRequestsAreSentAwayForAWhile) {
  spec_.rate_limit = {.requests = 3, .per = 60s};
  Open();
  const std::string session = OpenSession();
  Post(RequestOf(1, "ping"), In(session));
  Post(RequestOf(2, "ping"), In(session));
  const auto refused = Post(RequestOf(3, "ping"), In(session));
  EXPECT_EQ(Verdict(*refused), "429 -32603");
  EXPECT_GE(std::stoi(refused->Header("retry-after")), 1);
  EXPECT_EQ(refused->Body()["id"], 3);
  EXPECT_EQ(metrics_.rejected["rate_limit"], 1);
  Tick(60s);
  EXPECT_FALSE(Post(RequestOf(3, "ping"), In(session))->response);
}

TEST_F(EndpointTest, RequestsAtOnceAreCountedUntilTheirAnswer) {
  spec_.rate_limit.max_concurrent = 1;
  Open();
  const std::string session = OpenSession();
  Post(RequestOf(1, "tools/list"), In(session));
  EXPECT_EQ(Post(RequestOf(2, "tools/list"), In(session))->status(), 429);
  Newest().Answer(Newest().Next("tools/list"), 1);
  loop_.Run();
  EXPECT_FALSE(Post(RequestOf(2, "tools/list"), In(session))->response);
}

TEST_F(EndpointTest, ACallWhoseClientHasGoneStillCounts) {
  spec_.rate_limit.max_concurrent = 1;
  Open();
  const std::string session = OpenSession();
  Post(RequestOf(1, "tools/list"), In(session))->Leave();
  loop_.Run();
  EXPECT_EQ(Post(RequestOf(2, "tools/list"), In(session))->status(), 429);
  EXPECT_EQ(metrics_.requests["tools/list 499"], 1);
  Newest().Answer(Newest().Next("tools/list"), 1);
  loop_.Run();
  EXPECT_FALSE(Post(RequestOf(3, "tools/list"), In(session))->response);
}

TEST_F(EndpointTest, ASessionThatNobodyUsesMakesRoomForANewOneOfTheSubjectThatHasMost) {
  UseTokens();
  settings_.max_sessions = 3;
  Open();
  const std::string bob = OpenSession(bob_);
  Tick(100ms);
  const std::string first = OpenSession(ann_), second = OpenSession(ann_);
  EXPECT_EQ(Initialize(bob_)->status(), 503) << "all are young or in use";
  Tick(5s);
  Post(RequestOf(1, "tools/list"), In(second, ann_));
  OpenSession(ann_);
  EXPECT_EQ(Verdict(*Post(RequestOf(2, "ping"), In(first, ann_))), "404 -32001");
  EXPECT_FALSE(Post(RequestOf(2, "ping"), In(second, ann_))->response);
  EXPECT_FALSE(Post(RequestOf(2, "ping"), In(bob, bob_))->response) << "though it is the oldest";
}

TEST_F(EndpointTest, AToolThatOneChildHasChangedIsBlockedForAllUntilTheServerIsAnotherOne) {
  const Json good = {{"name", "ls"}, {"inputSchema", Json::object()}};
  Json bad = good;
  bad["description"] = "Another one.";
  spec_.tools.pinning = ToolPinning::kBlock;
  spec_.tools.pins = {{"ls", mcp::ToolHash(good)}};
  target_.tool_hashes = {{"ls", mcp::ToolHash(good)}};
  Open();
  const std::string a = OpenSession();
  FakeChannel& of_a = Newest();
  const std::string b = OpenSession();
  FakeChannel& of_b = Newest();
  const auto list = [&](const std::string& session, FakeChannel& channel, const Json& tool) {
    const auto exchange = Post(RequestOf("l", "tools/list"), In(session));
    channel.Answer(channel.Next("tools/list"), {{"tools", {tool}}});
    loop_.Run();
    return exchange->Body()["result"]["tools"].size();
  };
  const auto call = [&](const std::string& session) {
    return Verdict(*Post(RequestOf("c" + std::to_string(++used_), "tools/call", {{"name", "ls"}}), In(session)));
  };
  EXPECT_EQ(call(a), "none") << "as pinned";
  EXPECT_EQ(list(b, of_b, good), 1U);
  of_a.Next("tools/call");
  EXPECT_EQ(list(a, of_a, bad), 0U);
  EXPECT_EQ(list(b, of_b, good), 0U);
  EXPECT_EQ(call(a), "200 -32602");
  Update();
  EXPECT_EQ(call(a), "200 -32602") << "what the prober saw changes nothing";
  target_.ready = false;
  Update();
  target_.ready = true;
  target_.instance = "i-2";
  Update();
  EXPECT_EQ(call(a), "200 -32602") << "it is still the old instance's";
  const std::string c = OpenSession();
  EXPECT_EQ(call(c), "none");
  const auto modern = [&](const Fields& fields) {
    const Json message = Modern("m" + std::to_string(++used_), "tools/call", {{"name", "ls"}});
    return Verdict(*PostModern(message, fields));
  };
  EXPECT_EQ(modern({}), "none");
  EXPECT_EQ(modern(In(a)), "none") << "a modern request goes to what serves now, whatever session it names";
}

TEST_F(EndpointTest, WarmSparesAreThereBeforeAnybodyAsksAndAreReplaced) {
  spec_.sessions.warm_spares = 1;
  Open();
  EXPECT_EQ(host_.children.size(), 1U);
  EXPECT_TRUE(host_.channel(0).sent.empty()) << "the handshake is the client's";
  const auto exchange = Initialize();
  EXPECT_EQ(host_.children.size(), 2U);
  Shaken(*exchange, host_.channel(0));
}

// ---- where the kernel does not keep children apart

class LetToOneSubjectTest : public EndpointTest {
 protected:
  void SetUp() override {
    EndpointTest::SetUp();
    host_.separates = false;
    UseTokens();
  }
  std::shared_ptr<Exchange> ModernList(const Fields& who) { return PostModern(Modern("m", "tools/list"), who); }
  // The session is over and its child is gone.
  void EndSession(const std::string& id, const Fields& who) {
    EXPECT_EQ(Ask("DELETE", In(id, who))->status(), 200);
    loop_.Run();
    host_.EndAll();
    loop_.Run();
  }
  void ExpectRefused(const Exchange& exchange) {
    EXPECT_EQ(Verdict(exchange), "503 -32603");
    EXPECT_EQ(exchange.Header("retry-after"), "10");
    ASSERT_TRUE(exchange.response);
    EXPECT_NE(exchange.response->body.find("SessionsNotIsolated"), std::string::npos) << exchange.response->body;
  }
};

TEST_F(LetToOneSubjectTest, AnotherSubjectIsSentAwayUntilTheFirstHasEnded) {
  Open();
  const std::string first = OpenSession(ann_), second = OpenSession(ann_);
  ExpectRefused(*Initialize(bob_));
  ExpectRefused(*ModernList(bob_));
  EXPECT_EQ(host_.children.size(), 2U) << "nothing was started beside hers";
  EXPECT_EQ(metrics_.rejected, (std::map<std::string, int>{{"isolation", 2}}));
  EndSession(first, ann_);
  ExpectRefused(*Initialize(bob_));
  EndSession(second, ann_);
  OpenSession(bob_);
  ExpectRefused(*Initialize(ann_));
}

TEST_F(LetToOneSubjectTest, WhereTheyAreKeptApartAllComeIn) {
  host_.separates = true;
  Open();
  OpenSession(ann_);
  OpenSession(bob_);
  ModernList(bob_);
  EXPECT_EQ(host_.alive(), 3);
  EXPECT_TRUE(metrics_.rejected.empty());
}

TEST_F(LetToOneSubjectTest, WhereNobodyIsToldFromAnybodyAllComeIn) {
  spec_.auth = {};
  Open();
  OpenSession();
  ModernList({});
  EXPECT_EQ(host_.alive(), 2);
  EXPECT_TRUE(metrics_.rejected.empty());
}

TEST_F(LetToOneSubjectTest, WhatIsSharedIsForEverybody) {
  spec_.sessions.mode = SessionMode::kShared;
  Open();
  const auto of_ann = Initialize(ann_), of_bob = Initialize(bob_);
  ASSERT_EQ(host_.children.size(), 1U);
  ShakeLane(Newest());
  EXPECT_EQ(of_ann->status(), 200);
  EXPECT_EQ(of_bob->status(), 200);
  ModernList(ann_);
  ModernList(bob_);
  EXPECT_EQ(host_.children.size(), 2U) << "one for each era";
}

TEST_F(LetToOneSubjectTest, ProcessesThatEndAreWaitedForAndOnlyOneOfThoseWhoWaitGetsIn) {
  Open();
  const std::string session = OpenSession(ann_);
  EXPECT_EQ(Ask("DELETE", In(session, ann_))->status(), 200);
  loop_.Run();
  const auto of_bob = Initialize(bob_);
  EXPECT_FALSE(of_bob->response) << "it waits for the end of hers";
  EXPECT_EQ(host_.children.size(), 1U);
  // She is still the one who lives there.
  const auto of_ann = Initialize(ann_);
  ASSERT_EQ(host_.children.size(), 2U);
  Shaken(*of_ann, Newest(), ann_);
  host_.EndAll();
  loop_.Run();
  ExpectRefused(*of_bob);
}

TEST_F(LetToOneSubjectTest, AWaitThatTakesTooLongIsAnError) {
  Open();
  EXPECT_EQ(Ask("DELETE", In(OpenSession(ann_), ann_))->status(), 200);
  loop_.Run();
  const auto of_bob = Initialize(bob_);
  Tick(ServerGroup::kRoomTimeout);
  EXPECT_EQ(Verdict(*of_bob), "503 -32603");
  EXPECT_EQ(host_.children.size(), 1U);
}

TEST_F(LetToOneSubjectTest, IdleChildrenOfModernClientsMakeWayAndBusyOnesDoNot) {
  Open();
  const auto list = ModernList(ann_);
  ShakeLane(Newest());
  const Json request = Newest().Next("tools/list");
  ExpectRefused(*ModernList(bob_));
  Newest().Answer(request, Json::object());
  loop_.Run();
  EXPECT_EQ(list->status(), 200);
  const auto of_bob = ModernList(bob_);
  EXPECT_FALSE(of_bob->response);
  EXPECT_EQ(host_.children.size(), 1U) << "hers must be gone first";
  EXPECT_EQ(host_.ended, std::vector<uint64_t>{host_.id(0)});
  host_.EndAll();
  loop_.Run();
  ASSERT_EQ(host_.children.size(), 2U);
  ShakeLane(Newest());
  Newest().Answer(Newest().Next("tools/list"), Json::object());
  loop_.Run();
  EXPECT_EQ(of_bob->status(), 200);
}

TEST_F(LetToOneSubjectTest, AnIdleChildStaysWhenItsEndWouldNotHelp) {
  Open();
  OpenSession(ann_);
  ModernList(ann_);
  ShakeLane(Newest());
  Newest().Answer(Newest().Next("tools/list"), Json::object());
  loop_.Run();
  ExpectRefused(*Initialize(bob_));
  EXPECT_TRUE(host_.ended.empty());
}

TEST_F(LetToOneSubjectTest, SparesAreMadeOnlyWhereAnybodyMayHaveThem) {
  spec_.sessions.warm_spares = 1;
  Open();
  EXPECT_TRUE(host_.children.empty());
  const AuthSpec tokens = std::exchange(spec_.auth, {});
  Update();
  EXPECT_EQ(host_.alive(), 1);
  spec_.auth = tokens;
  Update();
  EXPECT_EQ(host_.alive(), 0) << "it was there while anybody could have been beside it";
}

TEST_F(LetToOneSubjectTest, WhoeverCameBeforeAuthenticationCountsAsAnotherSubject) {
  const AuthSpec tokens = std::exchange(spec_.auth, {});
  Open();
  OpenSession();
  spec_.auth = tokens;
  Update();
  ExpectRefused(*Initialize(ann_));
  Tick(spec_.sessions.idle_timeout);
  host_.EndAll();
  loop_.Run();
  OpenSession(ann_);
}

TEST_F(LetToOneSubjectTest, ItHoldsOverAChangeOfTheSpecThatKeepsTheInstance) {
  Open();
  OpenSession(ann_);
  spec_.sessions.max = 3;
  Update();
  ExpectRefused(*Initialize(bob_));
  OpenSession(ann_);
}

TEST_F(LetToOneSubjectTest, OfTheSessionsOfTheMcpletBeforeThoseOfOneSubjectGoOn) {
  SessionNote note;
  note.version = "2025-11-25";
  note.initialize = RequestOf(0, "initialize").dump();
  note.initialized = NotificationOf("notifications/initialized").dump();
  for (const auto& [session, subject] :
       {std::pair{"a", "bearer:ann"}, std::pair{"b", "bearer:bob"}, std::pair{"c", "bearer:ann"}}) {
    note.session = session;
    note.subject = subject;
    host_.Before("i-1", note.ToText(), "");
  }
  Open();
  EXPECT_EQ(host_.ended, std::vector<uint64_t>{host_.id(1)});
  ExpectRefused(*Initialize(bob_));
  Post(RequestOf(1, "ping"), In("a", ann_));
  host_.channel(0).Next("ping");
  OpenSession(ann_);
}

TEST_F(LetToOneSubjectTest, WhileItsShimIsAwayNothingStarts) {
  host_.separates = std::nullopt;
  Open();
  const auto exchange = Initialize(ann_);
  EXPECT_EQ(Verdict(*exchange), "503 -32603");
  EXPECT_EQ(metrics_.rejected, (std::map<std::string, int>{{"not_ready", 1}}));
  EXPECT_TRUE(host_.children.empty());
}

// ---- ends

TEST_F(EndpointTest, AChildThatDiesEndsItsSessionUnlessTheSessionIsResumable) {
  spec_.sessions.resumable = false;
  Open();
  const std::string session = OpenSession();
  const auto call = Post(RequestOf(1, "tools/call", {{"name", "x"}}), In(session));
  host_.End(0);
  loop_.Run();
  EXPECT_EQ(CodeOf(call->Final()), -32603);
  EXPECT_EQ(Verdict(*Post(RequestOf(2, "ping"), In(session))), "404 -32001");

  spec_.sessions.resumable = true;
  Update();
  const std::string other = OpenSession();
  const auto lost = Post(RequestOf(1, "tools/call", {{"name", "x"}}), In(other));
  host_.End(host_.children.size() - 1);
  loop_.Run();
  EXPECT_EQ(CodeOf(lost->Final()), -32603);
  const auto next = Post(RequestOf(2, "tools/list"), In(other));
  EXPECT_FALSE(next->response);
  FakeChannel& channel = Newest();
  channel.Answer(channel.Next("initialize"), {{"protocolVersion", "2025-11-25"}});
  loop_.Run();
  channel.Next("notifications/initialized");
  channel.Answer(channel.Next("tools/list"), "goes on");
  loop_.Run();
  EXPECT_EQ(next->Final(), ResultOf(2, "goes on"));
}

TEST_F(EndpointTest, TheEndOfTheServerIsTheEndOfEverything) {
  host_.start_at_once = false;
  Open();
  const auto opening = Initialize();
  const auto modern = PostModern(Modern(1, "tools/list"));
  endpoint_->Close();
  for (size_t i = 0; i < host_.children.size(); ++i) host_.Started(i);
  loop_.Run();
  EXPECT_EQ(metrics_.sessions, 0) << "no session begins after the end";
  endpoint_.reset();
  loop_.Run();
  EXPECT_GE(opening->status(), 500);
  EXPECT_GE(modern->status(), 500);
  EXPECT_EQ(host_.alive(), 0) << "children that came too late are ended";
}

// ---- not ready

TEST_F(EndpointTest, AServerThatIsNotReadySaysWhy) {
  target_.ready = false;
  target_.reason = "CrashLoop";
  Open();
  for (const auto& exchange : {Initialize(), PostModern(Modern(0, "tools/list"))}) {
    EXPECT_EQ(Verdict(*exchange), "503 -32603");
    EXPECT_NE(exchange->Header("retry-after"), "");
    EXPECT_NE(exchange->response->body.find("CrashLoop"), std::string::npos);
    EXPECT_EQ(exchange->Body()["id"], 0);
  }
}

TEST_F(EndpointTest, ARequestThatWakesAServerWaitsAndIsAnswered) {
  spec_.activation.mode = ActivationMode::kOnDemand;
  target_.ready = false;
  target_.sleeping = true;
  target_.instance = "";
  Open();
  const auto legacy = Initialize(), modern = PostModern(Modern(1, "tools/list"));
  EXPECT_FALSE(legacy->response);
  EXPECT_EQ(used_, 2) << "somebody must wake it";
  EXPECT_TRUE(endpoint_->HasWork());
  target_.ready = true;
  target_.sleeping = false;
  target_.instance = "i-2";
  Update();
  ASSERT_EQ(host_.children.size(), 2U);
  Shaken(*legacy, host_.channel(0));
  ShakeLane(host_.channel(1));
  host_.channel(1).Answer(host_.channel(1).Next("tools/list"), Json::object());
  loop_.Run();
  EXPECT_EQ(modern->status(), 200);
}

TEST_F(EndpointTest, NothingThatNoClientUsesRunsInAServerThatSleeps) {
  spec_.activation.mode = ActivationMode::kOnDemand;
  spec_.sessions.warm_spares = 1;
  Open();
  const auto call = PostModern(Modern(1, "tools/list"));
  ShakeLane(host_.channel(0));
  host_.channel(0).Answer(host_.channel(0).Next("tools/list"), Json::object());
  loop_.Run();
  EXPECT_EQ(call->status(), 200);
  ASSERT_EQ(host_.children.size(), 2U) << "the client's and the spare";
  target_.ready = false;
  target_.sleeping = true;
  target_.instance = "";
  Update();
  Tick(1s);
  EXPECT_TRUE(host_.children.at(0).ending);
  EXPECT_TRUE(host_.children.at(1).ending);
  EXPECT_EQ(host_.children.size(), 2U) << "no new spare";
  target_.ready = true;
  target_.sleeping = false;
  target_.instance = "i-1";
  for (size_t i = 0; i < 2; ++i) host_.End(i);
  Update();
  EXPECT_EQ(host_.children.size(), 3U) << "awake: a spare again";
}

TEST_F(EndpointTest, ASharedChildEndsWhenNoSessionWasThereForTheIdleTime) {
  spec_.sessions.mode = SessionMode::kShared;
  Open();
  const auto exchange = Initialize();
  ShakeLane(host_.channel(0));
  EXPECT_EQ(exchange->status(), 200);
  const std::string id = exchange->Header("mcp-session-id");
  Tick(spec_.sessions.idle_timeout / 2);
  EXPECT_EQ(Ask("DELETE", In(id))->status(), 200);
  Tick(spec_.sessions.idle_timeout - 1s);
  EXPECT_FALSE(host_.children.at(0).ending);
  EXPECT_TRUE(endpoint_->HasWork());
  Tick(1s);
  EXPECT_TRUE(host_.children.at(0).ending);
  Initialize();
  EXPECT_EQ(host_.children.size(), 2U);
}

TEST_F(EndpointTest, TheChildOfAClientThatWakesAServerStartsBesideTheMainOne) {
  spec_.activation.mode = ActivationMode::kOnDemand;
  target_.ready = false;
  target_.sleeping = true;
  target_.instance = "";
  Open();
  const auto one = Initialize(), other = Initialize();
  target_.instance = "i-2";
  Update();
  ASSERT_EQ(host_.children.size(), 2U) << "it runs, but does not answer yet";
  EXPECT_FALSE(one->response);
  target_.ready = true;
  target_.sleeping = false;
  Update();
  ASSERT_EQ(host_.children.size(), 2U);
  Shaken(*one, host_.channel(0));
  Shaken(*other, host_.channel(1));
}

TEST_F(EndpointTest, AChildThatWasBegunForAClientThatLeftEnds) {
  spec_.activation.mode = ActivationMode::kOnDemand;
  target_.ready = false;
  target_.sleeping = true;
  target_.instance = "";
  Open();
  const auto exchange = Initialize();
  target_.instance = "i-2";
  Update();
  ASSERT_EQ(host_.children.size(), 1U);
  exchange->Leave();
  target_.ready = true;
  target_.sleeping = false;
  Update();
  Tick(1s);
  Tick(1s);
  EXPECT_EQ(host_.alive(), 0);
}

TEST_F(EndpointTest, AClientThatLeavesBeforeItKnowsItsSessionLeavesNone) {
  Open();
  const auto exchange = Initialize();
  loop_.Run();
  ASSERT_EQ(host_.children.size(), 1U);
  ASSERT_EQ(host_.channel(0).Next()["method"], "initialize");
  EXPECT_EQ(host_.alive(), 1);
  exchange->Leave();
  loop_.Run();
  EXPECT_EQ(host_.alive(), 0);
  EXPECT_TRUE(endpoint_->Conversations().empty());
}

TEST_F(EndpointTest, AServerThatDoesNotWakeIsAnErrorInTime) {
  spec_.activation.mode = ActivationMode::kOnDemand;
  settings_.wake_timeout = 60s;
  target_.ready = false;
  target_.sleeping = true;
  target_.instance = "";
  Open();
  const auto exchange = Initialize();
  Tick(59s);
  EXPECT_FALSE(exchange->response);
  Tick(1s);
  EXPECT_EQ(Verdict(*exchange), "503 -32603");
  EXPECT_FALSE(endpoint_->HasWork());
}

TEST_F(EndpointTest, ANewInstanceTakesNewSessionsAndTheOldOneFinishesWhatItHas) {
  Open();
  const std::string old = OpenSession();
  target_.instance = "i-2";
  Update();
  const auto fresh = Initialize();
  EXPECT_EQ(host_.children.at(1).instance, "i-2");
  Shaken(*fresh, host_.channel(1));
  const auto call = Post(RequestOf(1, "tools/list"), In(old));
  host_.channel(0).Answer(host_.channel(0).Next("tools/list"), "old");
  loop_.Run();
  EXPECT_EQ(call->Body(), ResultOf(1, "old"));
  EXPECT_EQ(endpoint_->Conversations(), (std::map<std::string, int>{{"i-1", 1}, {"i-2", 1}}));
  Ask("DELETE", In(old));
  Tick(1s);
  EXPECT_EQ(endpoint_->Conversations(), (std::map<std::string, int>{{"i-2", 1}}));
}

// ---- a later mcplet

TEST_F(EndpointTest, SessionsOfTheMcpletBeforeGoOnAndOtherChildrenOfItEnd) {
  SessionNote note;
  note.session = "kept";
  note.subject = "anonymous";
  note.version = "2025-11-25";
  note.initialize = RequestOf(0, "initialize").dump();
  note.initialized = NotificationOf("notifications/initialized").dump();
  note.next_id = 9;
  note.calls[8] = {{3, 2, "\"c\""}, "", "tools/call"};
  host_.Before("i-1", note.ToText(), "");
  host_.Before("i-1", "", "");
  SessionNote half = note;
  half.session = "half";
  half.initialized = "";
  host_.Before("i-1", half.ToText(), "");
  Open();
  EXPECT_EQ(host_.ended, (std::vector<uint64_t>{host_.id(1), host_.id(2)}));
  const auto resumed = Ask("GET", In("kept", {{"Accept", "text/event-stream"}, {"Last-Event-ID", "2-0"}}));
  host_.channel(0).Say(ResultOf(8, "late but there"));
  loop_.Run();
  EXPECT_EQ(resumed->Final(), ResultOf("c", "late but there"));
  Post(RequestOf(1, "ping"), In("kept"));
  EXPECT_EQ(host_.channel(0).Next("ping")["id"], 10) << "9 may have been sent, and not noted";
  EXPECT_EQ(metrics_.sessions, 1);
}

TEST_F(EndpointTest, WhileMcpletLooksForItsServersNobodySaysThatASessionIsNotThere) {
  SessionNote note;
  note.session = "kept";
  note.subject = "anonymous";
  note.version = "2025-11-25";
  note.initialized = NotificationOf("notifications/initialized").dump();
  target_.ready = false;
  target_.instance = "";
  Open();
  const auto waits = Post(RequestOf(1, "ping"), In("kept")), unknown = Post(RequestOf(1, "ping"), In("unknown"));
  EXPECT_FALSE(waits->response);
  host_.Before("i-1", note.ToText(), "");
  target_.ready = true;
  target_.instance = "i-1";
  Update();
  host_.channel(0).Answer(host_.channel(0).Next("ping"), "there");
  loop_.Run();
  EXPECT_EQ(waits->Final(), ResultOf(1, "there"));
  EXPECT_EQ(Verdict(*unknown), "404 -32001");
}

TEST_F(EndpointTest, AConversationWaitsUntilItIsKnownWhatTheServerRunsFrom) {
  target_.argv = {};
  Open();
  const auto exchange = Initialize();
  EXPECT_FALSE(exchange->response);
  target_.argv = {"server"};
  Update();
  ASSERT_EQ(host_.children.size(), 1U);
  Shaken(*exchange, Newest());
}

TEST_F(EndpointTest, AtTheEndOfMcpletSessionsAreLeftAlone) {
  Open();
  OpenSession();
  endpoint_->Release();
  endpoint_.reset();
  loop_.Run();
  EXPECT_TRUE(host_.ended.empty());
  EXPECT_TRUE(SessionNote::FromText(host_.channel(0).note));
}

// ---- tools

TEST_F(EndpointTest, AToolThatIsDeniedIsNeitherListedNorCallableInEitherEra) {
  spec_.tools.deny = {"rm"};
  Open();
  const Json tools = {
      {"tools",
       {{{"name", "ls"}, {"inputSchema", Json::object()}}, {{"name", "rm"}, {"inputSchema", Json::object()}}}}};
  const std::string session = OpenSession();
  const auto list = Post(RequestOf(1, "tools/list"), In(session));
  Newest().Answer(Newest().Next("tools/list"), tools);
  loop_.Run();
  ASSERT_EQ(list->Body()["result"]["tools"].size(), 1U);
  EXPECT_EQ(list->Body()["result"]["tools"][0]["name"], "ls");
  const auto call = Post(RequestOf(2, "tools/call", {{"name", "rm"}}), In(session));
  EXPECT_EQ(Verdict(*call), "200 -32602");
  EXPECT_EQ(Newest().read, Newest().sent.size());

  const auto modern = PostModern(Modern(1, "tools/list"));
  ShakeLane(Newest());
  Newest().Answer(Newest().Next("tools/list"), tools);
  loop_.Run();
  EXPECT_EQ(modern->Body()["result"]["tools"].size(), 1U);
  EXPECT_EQ(CodeOf(PostModern(Modern(2, "tools/call", {{"name", "rm"}}))->Body()), -32602);
  EXPECT_EQ(Newest().read, Newest().sent.size());
  EXPECT_EQ(metrics_.rejected["tool"], 2);
}

TEST_F(EndpointTest, ACallIsJudgedByTheNameThatTheServerReads) {
  spec_.tools.deny = {"rm"};
  Open();
  const std::string session = OpenSession();
  for (const char* params : {R"({"name":"ls","name":"rm"})", R"({"name":"ls","n\u0061me":"rm"})"}) {
    const auto exchange =
        PostText(std::string(R"({"jsonrpc":"2.0","id":1,"method":"tools/call","params":)") + params + "}", In(session));
    EXPECT_EQ(Verdict(*exchange), "400 -32600") << params;
  }
  EXPECT_EQ(Verdict(*Post(RequestOf(1, "tools/call", {{"name", "r\u006d"}}), In(session))), "200 -32602");
  EXPECT_EQ(Newest().read, Newest().sent.size());
}

// A list that can't be judged is not shown: a server could hide in it what the policy forbids.
TEST_F(EndpointTest, AListThatCantBeJudgedIsNotShownUnderAPolicy) {
  spec_.tools.deny = {"rm"};
  Open();
  const std::string session = OpenSession();
  const auto twice = Post(RequestOf(1, "tools/list"), In(session));
  const Json sent = Newest().Next("tools/list");
  Newest().Say(R"({"jsonrpc":"2.0","id":)" + sent["id"].dump() +
               R"(,"result":{"tools":[],"tools":[{"name":"rm","inputSchema":{}}]}})");
  loop_.Run();
  EXPECT_EQ(CodeOf(twice->Body()), -32603);
  // However long it is.
  const auto longer = Post(RequestOf(2, "tools/list"), In(session));
  Newest().Answer(Newest().Next("tools/list"), {{"tools",
                                                 {{{"name", "rm"}, {"description", std::string(size_t{2} << 20, 'x')}},
                                                  {{"name", "ls"}, {"description", "d"}}}}});
  loop_.Run();
  ASSERT_EQ(longer->Final()["result"]["tools"].size(), 1U);
  EXPECT_EQ(longer->Final()["result"]["tools"][0]["name"], "ls");
}

TEST_F(EndpointTest, WithoutAPolicyAListPassesAsItIs) {
  Open();
  const std::string session = OpenSession();
  const auto list = Post(RequestOf(1, "tools/list"), In(session));
  const Json sent = Newest().Next("tools/list");
  Newest().Say(R"({"jsonrpc":"2.0","id":)" + sent["id"].dump() + R"(,"result":{"tools":[{"name":"a",  "x":1.50}]}})");
  loop_.Run();
  EXPECT_EQ(list->response->body, R"({"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"a",  "x":1.50}]}})");
}

TEST_F(EndpointTest, ArgumentsThatAToolMarksMustStandInHeaders) {
  Open();
  const auto list = PostModern(Modern(1, "tools/list"));
  ShakeLane(Newest());
  Newest().Answer(
      Newest().Next("tools/list"),
      {{"tools",
        {{{"name", "q"},
          {"inputSchema",
           {{"type", "object"}, {"properties", {{"region", {{"type", "string"}, {"x-mcp-header", "Region"}}}}}}}}}}});
  loop_.Run();
  EXPECT_EQ(list->status(), 200);
  const auto call = [&](const Json& arguments, const Fields& fields) {
    return Verdict(*PostModern(Modern(2, "tools/call", {{"name", "q"}, {"arguments", arguments}}), fields));
  };
  EXPECT_EQ(call({{"region", "eu"}}, {}), "400 -32020");
  EXPECT_EQ(call({{"region", "eu"}}, {{"Mcp-Param-Region", "us"}}), "400 -32020");
  EXPECT_EQ(call({{"region", "eu"}}, {{"mcp-param-region", "=?base64?ZXU=?="}}), "none");
  EXPECT_EQ(call({{"region", nullptr}}, {}), "none");
  EXPECT_EQ(call(Json::object(), {{"Mcp-Param-Other", "x"}}), "none");
  // Whoever reads only headers must not be told another value than the server.
  const std::string twice =
      R"({"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"q","arguments":{"region":"eu","region":"us"},)"
      R"("_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28",)"
      R"("io.modelcontextprotocol/clientCapabilities":{}}}})";
  const Fields headers = {{"MCP-Protocol-Version", "2026-07-28"}, {"Mcp-Method", "tools/call"}, {"Mcp-Name", "q"}};
  EXPECT_EQ(PostText(twice, headers)->status(), 400);
}

// ---- the modern era

TEST_F(EndpointTest, AModernRequestNeedsNoSessionAndIgnoresOne) {
  Open();
  const auto exchange = PostModern(Modern("m", "tools/list"), In("whatever"));
  ASSERT_EQ(host_.children.size(), 1U);
  ShakeLane(Newest());
  Newest().Answer(Newest().Next("tools/list"), Json::object());
  loop_.Run();
  EXPECT_EQ(exchange->status(), 200);
  EXPECT_EQ(exchange->Header("mcp-session-id"), "");
  EXPECT_EQ(exchange->Body()["result"]["ttlMs"], 0);
  EXPECT_EQ(Verdict(*PostModern(Modern(1, "ping"))), "404 -32601");
  EXPECT_EQ(Verdict(*PostModern(Modern(1, "initialize"))), "404 -32601");
  EXPECT_EQ(host_.children.size(), 1U) << "no child per request";
}

TEST_F(EndpointTest, AModernNotificationIsAcceptedAndIgnored) {
  Open();
  Json message = NotificationOf("notifications/cancelled", {{"requestId", 1}});
  EXPECT_EQ(Post(message, {{"MCP-Protocol-Version", "2026-07-28"}})->status(), 202);
  EXPECT_TRUE(host_.children.empty());
}

TEST_F(EndpointTest, TraceContextGoesOnInMeta) {
  Open();
  const std::string session = OpenSession();
  Post(RequestOf(1, "tools/list", {{"_meta", {{"tracestate", "mine"}}}}),
       In(session, {{"traceparent", "00-a-b-01"}, {"tracestate", "theirs"}}));
  EXPECT_EQ(Newest().Next("tools/list")["params"]["_meta"],
            Json({{"traceparent", "00-a-b-01"}, {"tracestate", "mine"}}));
  Post({{"jsonrpc", "2.0"}, {"id", 2}, {"method", "tools/list"}}, In(session, {{"traceparent", "\"\\"}}));
  EXPECT_EQ(Newest().Next("tools/list")["params"]["_meta"]["traceparent"], "\"\\");
  Post(RequestOf(3, "tools/list", {{"_meta", 7}}), In(session, {{"traceparent", "x"}}));
  EXPECT_EQ(Newest().Next("tools/list")["params"]["_meta"], 7);
}

TEST_F(EndpointTest, MethodsOfMetricsAreAmongFew) {
  EXPECT_EQ(MethodLabel("tools/call"), "tools/call");
  EXPECT_EQ(MethodLabel("x\"y"), "other");
  Open();
  Post(RequestOf(1, "made/up"), In(OpenSession()));
  Newest().Answer(Newest().Next("made/up"), 1);
  loop_.Run();
  EXPECT_EQ(metrics_.requests["other 200"], 1);
}

// ---- HTTP+SSE

class EndpointSseTest : public EndpointTest {
 protected:
  std::shared_ptr<Exchange> Listen(Fields fields = {}) {
    fields.emplace_back("Accept", "text/event-stream");
    return AskAt(Face::kSse, "/default/weather/sse", "GET", fields);
  }
  // Where the stream says that messages go.
  static std::string PlaceOf(const Exchange& stream) {
    const std::vector<mcp::SseEvent> events = stream.Events();
    if (events.empty() || events[0].type != "endpoint") return "no endpoint";
    return events[0].data;
  }
  static std::vector<Json> Heard(const Exchange& stream) {
    std::vector<Json> messages;
    const std::vector<mcp::SseEvent> events = stream.Events();
    for (size_t i = 1; i < events.size(); ++i) {
      EXPECT_EQ(events[i].type, "message");
      EXPECT_EQ(events[i].id, "") << "there is nothing to come back to";
      messages.push_back(Json::parse(events[i].data, nullptr, false));
    }
    return messages;
  }
  std::shared_ptr<Exchange> Say(const std::string& place, const Json& message, Fields fields = {}) {
    fields.emplace_back("Content-Type", "application/json");
    return AskAt(Face::kMessages, place, "POST", fields, message.dump());
  }
  // Through the handshake with the child that came last.
  std::shared_ptr<Exchange> Shake(const Fields& fields = {}) {
    const auto stream = Listen(fields);
    FakeChannel& channel = Newest();
    EXPECT_EQ(Say(PlaceOf(*stream), RequestOf(0, "initialize", {{"protocolVersion", "2024-11-05"}}), fields)->status(),
              202);
    channel.Answer(channel.Next("initialize"), {{"protocolVersion", "2024-11-05"}});
    loop_.Run();
    EXPECT_EQ(Say(PlaceOf(*stream), NotificationOf("notifications/initialized"), fields)->status(), 202);
    channel.Next("notifications/initialized");
    return stream;
  }
};

TEST_F(EndpointSseTest, TheStreamSaysWhereToPostAndHasAllTheAnswers) {
  Open();
  const auto stream = Listen();
  EXPECT_EQ(stream->status(), 200);
  EXPECT_EQ(stream->Header("content-type"), "text/event-stream");
  const std::string place = PlaceOf(*stream);
  const std::string begin = "/default/weather/messages?sessionId=";
  ASSERT_TRUE(place.starts_with(begin)) << place;
  EXPECT_GE(place.size(), begin.size() + 32);
  const auto posted = Say(place, RequestOf("i", "initialize", {{"protocolVersion", "2024-11-05"}}));
  EXPECT_EQ(posted->status(), 202);
  EXPECT_EQ(posted->response->body, "Accepted");
  EXPECT_EQ(metrics_.requests["initialize 202"], 0) << "it is under way until it is answered";
  FakeChannel& channel = Newest();
  channel.Answer(channel.Next("initialize"), {{"protocolVersion", "2024-11-05"}});
  loop_.Run();
  EXPECT_EQ(metrics_.requests["initialize 202"], 1);
  EXPECT_EQ(Heard(*stream).at(0), ResultOf("i", {{"protocolVersion", "2024-11-05"}}));
  EXPECT_EQ(Verdict(*Say(place, RequestOf(9, "initialize"))), "400 -32600");
  Say(place, NotificationOf("notifications/initialized"));
  channel.Next("notifications/initialized");

  Say(place, RequestOf(1, "tools/call", {{"name", "x"}, {"_meta", {{"progressToken", "p"}}}}));
  const Json call = channel.Next("tools/call");
  channel.Say(NotificationOf("notifications/progress",
                             {{"progressToken", call["params"]["_meta"]["progressToken"]}, {"progress", 1}}));
  channel.Say(RequestOf("theirs", "sampling/createMessage"));
  loop_.Run();
  const std::vector<Json> heard = Heard(*stream);
  ASSERT_EQ(heard.size(), 3U);
  EXPECT_EQ(heard[1]["params"]["progressToken"], "p");
  EXPECT_EQ(heard[2]["method"], "sampling/createMessage");
  EXPECT_EQ(Say(place, ResultOf(heard[2]["id"], "said"))->status(), 202);
  loop_.Run();
  EXPECT_EQ(Json::parse(channel.sent.at(channel.read++)), ResultOf("theirs", "said"));
  channel.Answer(call, "done");
  loop_.Run();
  EXPECT_EQ(Heard(*stream).at(3), ResultOf(1, "done"));
  EXPECT_FALSE(stream->ended);
  Tick(20s);
  EXPECT_TRUE(stream->bytes.ends_with("\n\n: keepalive\n\n"));
}

TEST_F(EndpointSseTest, ItsRulesAreThoseOfTheOtherTransport) {
  Open();
  EXPECT_EQ(AskAt(Face::kSse, "/default/weather/sse", "POST", {})->Header("allow"), "GET");
  EXPECT_EQ(AskAt(Face::kMessages, "/default/weather/messages", "GET", {})->Header("allow"), "POST");
  EXPECT_EQ(AskAt(Face::kSse, "/default/weather/sse", "GET", {{"Accept", "text/html"}})->status(), 406);
  EXPECT_TRUE(host_.children.empty());
  const std::string place = PlaceOf(*Shake());
  const std::pair<std::string, std::string> json = {"Content-Type", "application/json"};
  const auto post = [&](const Fields& fields, const std::string& body) {
    return Verdict(*AskAt(Face::kMessages, place, "POST", fields, body));
  };
  EXPECT_EQ(post({}, "{}"), "415 -32000");
  EXPECT_EQ(post({json}, "no"), "400 -32700");
  EXPECT_EQ(post({json}, "{}"), "400 -32600");
  EXPECT_EQ(post({json}, Json::array({RequestOf(1, "ping")}).dump()), "400 -32600")
      << "batches are of a later revision";
  EXPECT_EQ(post({json, {"MCP-Protocol-Version", "1999-01-01"}}, RequestOf(1, "ping").dump()), "400 -32000");
  EXPECT_EQ(Verdict(*Say("/default/weather/messages", RequestOf(1, "ping"))), "400 -32000");
  EXPECT_EQ(Verdict(*Say("/default/weather/messages?sessionId=unknown", RequestOf(1, "ping"))), "404 -32001");
  EXPECT_EQ(Say(place, RequestOf(1, "ping"))->status(), 202);
  EXPECT_EQ(Verdict(*Say(place, RequestOf(1, "ping"))), "400 -32600") << "an id that is under way";
}

TEST_F(EndpointSseTest, ASessionIsOfItsTransportAndOfItsSubjectAlone) {
  UseTokens();
  Open();
  EXPECT_EQ(Listen()->status(), 401);
  const std::string place = PlaceOf(*Shake(ann_)), prefix = place.substr(0, place.find('=') + 1);
  EXPECT_EQ(Say(place, RequestOf(1, "ping"))->status(), 401);
  EXPECT_EQ(Verdict(*Say(place, RequestOf(1, "ping"), bob_)), "404 -32001");
  EXPECT_EQ(Verdict(*Post(RequestOf(1, "ping"), In(place.substr(prefix.size()), ann_))), "404 -32001");
  EXPECT_EQ(Verdict(*Say(prefix + OpenSession(ann_), RequestOf(1, "ping"), ann_)), "404 -32001");
}

TEST_F(EndpointSseTest, NothingReachesAServerBeforeTheHandshakeOfAStreamThatCameBack) {
  Open();
  const auto stream = Listen();
  EXPECT_EQ(Say(PlaceOf(*stream), RequestOf(1, "tools/list"))->status(), 404);
  EXPECT_EQ(Say(PlaceOf(*stream), NotificationOf("notifications/initialized"))->status(), 404);
  EXPECT_TRUE(Newest().Next().is_null());
  EXPECT_EQ(Say(PlaceOf(*stream), RequestOf(0, "initialize"))->status(), 202);
  EXPECT_EQ(Say(PlaceOf(*stream), RequestOf(1, "ping"))->status(), 202) << "allowed while it is made";
}

TEST_F(EndpointSseTest, TheSessionEndsWithItsStream) {
  Open();
  const auto stream = Shake();
  const std::string place = PlaceOf(*stream);
  Say(place, RequestOf(1, "tools/call", {{"name", "x"}}));
  stream->Leave();
  loop_.Run();
  EXPECT_EQ(host_.alive(), 0);
  EXPECT_EQ(metrics_.sessions, 0);
  EXPECT_EQ(metrics_.requests["tools/call 202"], 1) << "nobody waits for its answer";
  EXPECT_EQ(Verdict(*Say(place, RequestOf(2, "ping"))), "404 -32001");
}

TEST_F(EndpointSseTest, AClientThatLeavesBeforeItsServerIsThereHasNoSession) {
  host_.start_at_once = false;
  Open();
  const auto stream = Listen();
  EXPECT_FALSE(stream->response);
  stream->Leave();
  host_.Started(0);
  loop_.Run();
  EXPECT_EQ(host_.alive(), 0);
  EXPECT_EQ(metrics_.sessions, 0);
}

TEST_F(EndpointSseTest, ADeniedToolIsRefusedOnTheStream) {
  spec_.tools.deny = {"rm"};
  Open();
  const auto stream = Shake();
  EXPECT_EQ(Say(PlaceOf(*stream), RequestOf(2, "tools/call", {{"name", "rm"}}))->status(), 202);
  EXPECT_EQ(CodeOf(Heard(*stream).back()), -32602);
  EXPECT_EQ(Heard(*stream).back()["id"], 2);
  EXPECT_EQ(Newest().read, Newest().sent.size());
}

TEST_F(EndpointSseTest, RequestsAtOnceAreCountedUntilTheirAnswer) {
  spec_.rate_limit.max_concurrent = 1;
  Open();
  const std::string place = PlaceOf(*Shake());
  EXPECT_EQ(Say(place, RequestOf(1, "tools/list"))->status(), 202);
  EXPECT_EQ(Verdict(*Say(place, RequestOf(2, "tools/list"))), "429 -32603");
  Newest().Answer(Newest().Next("tools/list"), 1);
  loop_.Run();
  EXPECT_EQ(Say(place, RequestOf(2, "tools/list"))->status(), 202);
}

TEST_F(EndpointSseTest, StreamsAreHeldToTheRateToo) {
  spec_.rate_limit = {.requests = 2, .per = 60s};
  Open();
  EXPECT_EQ(Listen()->status(), 200);
  EXPECT_EQ(Listen()->status(), 200);
  EXPECT_EQ(Verdict(*Listen()), "429 -32603");
  EXPECT_EQ(host_.alive(), 2);
}

TEST_F(EndpointSseTest, ItIsBoundedAndMakesRoomLikeAnyOtherSession) {
  spec_.sessions.max = 1;
  spec_.sessions.idle_timeout = 30min;
  Open();
  const auto first = Shake();
  Say(PlaceOf(*first), RequestOf(1, "tools/list"));
  Tick(5s);
  EXPECT_EQ(Verdict(*Listen()), "503 -32603");
  Newest().Answer(Newest().Next("tools/list"), 1);
  Tick(5s);
  const auto second = Listen();
  EXPECT_TRUE(first->ended) << "the one that was unused the longest goes";
  EXPECT_FALSE(second->response);
  host_.EndAll();
  loop_.Run();
  EXPECT_NE(PlaceOf(*second), "no endpoint");
  Tick(30min);
  EXPECT_TRUE(second->ended);
  EXPECT_EQ(metrics_.sessions, 0);
}

TEST_F(EndpointSseTest, AStreamWakesItsServer) {
  spec_.activation.mode = ActivationMode::kOnDemand;
  target_.ready = false;
  target_.sleeping = true;
  target_.instance = "";
  Open();
  const auto stream = Listen();
  EXPECT_FALSE(stream->response);
  EXPECT_EQ(used_, 1);
  target_.ready = true;
  target_.instance = "i-2";
  Update();
  EXPECT_NE(PlaceOf(*stream), "no endpoint");
  EXPECT_EQ(endpoint_->Conversations(), (std::map<std::string, int>{{"i-2", 1}}));
}

TEST_F(EndpointSseTest, AnOldInstanceServesItsStreamsToTheirEnd) {
  Open();
  const auto old = Shake();
  target_.instance = "i-2";
  Update();
  Shake();
  Say(PlaceOf(*old), RequestOf(1, "tools/list"));
  host_.channel(0).Answer(host_.channel(0).Next("tools/list"), "old");
  loop_.Run();
  EXPECT_EQ(Heard(*old).back(), ResultOf(1, "old"));
  EXPECT_EQ(endpoint_->Conversations(), (std::map<std::string, int>{{"i-1", 1}, {"i-2", 1}}));
  old->Leave();
  loop_.Run();
  Tick(1s);
  EXPECT_EQ(endpoint_->Conversations(), (std::map<std::string, int>{{"i-2", 1}}));
}

TEST_F(EndpointSseTest, AChildThatDiesIsFollowedByAnotherUnderTheSameStream) {
  Open();
  const auto stream = Shake();
  const std::string place = PlaceOf(*stream);
  Say(place, RequestOf(1, "tools/list"));
  host_.End(0);
  loop_.Run();
  EXPECT_EQ(CodeOf(Heard(*stream).back()), -32603);
  Newest().Answer(Newest().Next("initialize"), {{"protocolVersion", "2024-11-05"}});
  loop_.Run();
  Newest().Next("notifications/initialized");
  Say(place, RequestOf(2, "tools/list"));
  Newest().Answer(Newest().Next("tools/list"), "goes on");
  loop_.Run();
  EXPECT_EQ(Heard(*stream).back(), ResultOf(2, "goes on"));
  endpoint_->Close();
  EXPECT_TRUE(stream->ended);
}

TEST_F(EndpointSseTest, WithoutResumptionTheStreamEndsWithItsChild) {
  spec_.sessions.resumable = false;
  Open();
  const auto stream = Shake();
  host_.End(0);
  loop_.Run();
  EXPECT_TRUE(stream->ended);
}

TEST_F(EndpointSseTest, StreamsOfASharedServerShareItsChild) {
  spec_.sessions.mode = SessionMode::kShared;
  Open();
  const auto one = Listen(), other = Listen();
  ASSERT_EQ(host_.children.size(), 1U);
  ShakeLane(Newest());
  for (const auto& stream : {one, other}) {
    EXPECT_EQ(Say(PlaceOf(*stream), RequestOf(0, "initialize", {{"protocolVersion", "2024-11-05"}}))->status(), 202);
    EXPECT_EQ(Heard(*stream).at(0)["result"]["protocolVersion"], "2024-11-05");
    Say(PlaceOf(*stream), RequestOf(1, "tools/list"));
  }
  Newest().Answer(Newest().Next("tools/list"), "of one");
  Newest().Answer(Newest().Next("tools/list"), "of the other");
  loop_.Run();
  EXPECT_EQ(Heard(*one).at(1), ResultOf(1, "of one"));
  EXPECT_EQ(Heard(*other).at(1), ResultOf(1, "of the other"));
  one->Leave();
  loop_.Run();
  EXPECT_EQ(host_.alive(), 1);
  Say(PlaceOf(*other), RequestOf(2, "tools/list"));
  Newest().Next("tools/list");
}

TEST_F(EndpointSseTest, NothingOfItIsLeftToTheNextMcplet) {
  Open();
  const auto stream = Shake();
  Say(PlaceOf(*stream), RequestOf(1, "tools/list"));
  EXPECT_EQ(host_.channel(0).note, "") << "who finds its child ends it";
  endpoint_->Release();
  EXPECT_TRUE(stream->ended);
  loop_.Run();
  EXPECT_EQ(host_.alive(), 0);
}

TEST_F(EndpointSseTest, ThePathOfThePublicUrlThatAClientCameByIsKept) {
  settings_.urls.insert(settings_.urls.begin(), "https://mcp.example.com/fleet/default/weather/mcp");
  Open();
  EXPECT_TRUE(PlaceOf(*Listen({{"Host", "mcp.example.com"}})).starts_with("/fleet/default/weather/messages?"));
  EXPECT_TRUE(PlaceOf(*Listen({{"Host", "127.0.0.1:8700"}})).starts_with("/default/weather/messages?"));
}

TEST_F(EndpointSseTest, ItsProtectedResourceIsItsOwnUrl) {
  spec_.auth.type = AuthType::kJwt;
  spec_.auth.issuer = "https://issuer.example.com";
  Open();
  const std::string well_known = "http://127.0.0.1:8700/.well-known/oauth-protected-resource/default/weather/";
  EXPECT_NE(Listen()->Header("www-authenticate").find(well_known + "sse\""), std::string::npos);
  EXPECT_NE(Initialize()->Header("www-authenticate").find(well_known + "mcp\""), std::string::npos);
  EXPECT_EQ(Json::parse(*endpoint_->Metadata(Face::kSse))["resource"], "http://127.0.0.1:8700/default/weather/sse");
  EXPECT_EQ(Json::parse(*endpoint_->Metadata(Face::kMcp))["resource"], "http://127.0.0.1:8700/default/weather/mcp");
}

}  // namespace
}  // namespace mcpfleet::gateway
