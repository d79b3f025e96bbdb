// Real clients, real servers and bad input, all through the gateway.
#include <chrono>

#include "base/http/client.h"
#include "base/strings.h"
#include "tests/conformance/fixture.h"
#include "tests/fakes/docker_engine.h"

namespace mcpfleet {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;

// The scripts print a line for each step and end with the number of those that went well.
void ExpectAllOk(const CommandResult& run) {
  EXPECT_TRUE(run.ok() && run.out.find("\nall ") != std::string::npos) << run;
  EXPECT_EQ(run.out.find("not ok"), std::string::npos);
}

using ClientsTest = ConformanceTest;

TEST_F(ClientsTest, BothSdksWorkWithTheReferenceServerAndNothingOfOneClientReachesAnother) {
  ASSERT_NO_FATAL_FAILURE(Serve({Everything()}));
  ExpectAllOk(RunScript("clients.mjs", {Url("everything")}, minutes(4)));
}

TEST_F(ClientsTest, ClientsOfOneEraWorkWithServersOfTheOther) {
  ASSERT_NO_FATAL_FAILURE(Serve({LegacyFixture(), ModernFixture()}));
  ExpectAllOk(RunScript("era_clients.mjs", {Url("legacy"), Url("modern")}, minutes(3)));
}

TEST_F(ClientsTest, BadInputIsRefusedAndNobodyElseNotices) {
  ASSERT_NO_FATAL_FAILURE(Serve({LegacyFixture(), ModernFixture()}));
  ExpectAllOk(RunScript("raw_http.py", {Url("legacy"), Url("modern")}, minutes(4)));
}

TEST_F(ClientsTest, TheInspectorListsAndCalls) {
  const std::string inspector =
      PackageDirectory() + "/node_modules/@modelcontextprotocol/inspector/clients/launcher/build/index.js";
  if (access(inspector.c_str(), R_OK) != 0) GTEST_SKIP() << "NOT RUN: no inspector in " << PackageDirectory();
  ASSERT_NO_FATAL_FAILURE(Serve({Everything()}));
  const auto inspect = [&](const std::vector<std::string>& words) {
    std::vector<std::string> argv = {NodeProgram(), inspector, "--cli", Url("everything"), "--transport", "http"};
    argv.insert(argv.end(), words.begin(), words.end());
    return RunCommand(argv, {"PATH=/usr/bin:/bin", "HOME=" + node_->directory()}, "", seconds(60));
  };
  const CommandResult tools = inspect({"--method", "tools/list"});
  EXPECT_TRUE(tools.ok() && tools.out.find("\"echo\"") != std::string::npos) << tools;
  const CommandResult call =
      inspect({"--method", "tools/call", "--tool-name", "echo", "--tool-arg", "message=inspected"});
  EXPECT_TRUE(call.ok() && call.out.find("Echo: inspected") != std::string::npos) << call;
}

TEST_F(ClientsTest, HealthOfAServerIsItsReadiness) {
  Json slow = LegacyFixture();
  slow["spec"]["probes"] = {{"readiness", {{"requiredTools", {"a_tool_that_is_not_there"}}}}};
  ASSERT_TRUE(node_->Apply({slow}).ok());
  ASSERT_TRUE(node_->WaitCondition("legacy", "Ready", "False"));
  const auto health = [&] {
    const std::string url = node_->GatewayUrl("legacy");
    const size_t port = url.find(':', 5) + 1, path = url.find('/', port);
    http::Client client(http::TcpEndpoint("127.0.0.1", static_cast<uint16_t>(std::stoi(url.substr(port)))), {});
    StatusOr<http::Response> response = client.Do(
        {.method = "GET", .target = url.substr(path, url.rfind('/') - path) + "/healthz"}, Deadline::After(seconds(5)));
    return response.ok() ? response->status : -1;
  };
  EXPECT_EQ(health(), 503);
  ASSERT_TRUE(node_->Apply({LegacyFixture()}).ok());
  ASSERT_TRUE(node_->WaitReady("legacy"));
  EXPECT_EQ(health(), 200);
}

class ServersTest : public ConformanceTest, public testing::WithParamInterface<On> {
 protected:
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "NOT RUN: needs root";
    if (PackageDirectory().empty()) GTEST_SKIP() << "NOT RUN: no npm packages; scripts/test installs them";
    NodeOptions options;
    if (GetParam() == On::kDocker) {
      if (DockerEngine::Shared() == nullptr) GTEST_SKIP() << DockerEngine::WhyNot();
      const Status imported = ImportNodeImage();
      ASSERT_TRUE(imported.ok()) << imported;
      options.docker_socket = DockerEngine::Shared()->socket();
    }
    StartNode(options);
  }
  static Json Package(const std::string& name, const std::string& script, const std::vector<std::string>& args = {},
                      const Json& spec = Json::object()) {
    return NodeServer(GetParam(), name, std::string(kPackagesMount) + "/" + script, args, spec);
  }
};

TEST_P(ServersTest, TheServersPeopleUseWorkThroughTheGateway) {
  const std::string official = "@modelcontextprotocol/server-";
  const Json data = {{"name", "data"}, {"tmpfs", {{"size", "8Mi"}}}, {"mountPath", "/data"}};
  Json filesystem = Package("filesystem", official + "filesystem/dist/index.js", {"/data"});
  filesystem["spec"]["volumes"].push_back(data);
  const Json memory = Package("memory", official + "memory/dist/index.js", {},
                              {{"env", Json::array({{{"name", "MEMORY_FILE_PATH"}, {"value", "/tmp/memory.jsonl"}}})}});
  ASSERT_NO_FATAL_FAILURE(Serve({Package("everything", official + "everything/dist/index.js"), filesystem, memory,
                                 Package("thinking", official + "sequential-thinking/dist/index.js"),
                                 Package("playwright", "@playwright/mcp/cli.js")}));
  const Json thought = {{"thought", "one"}, {"thoughtNumber", 1}, {"totalThoughts", 1}, {"nextThoughtNeeded", false}};
  const Json person = {{"name", "Ada"}, {"entityType", "person"}, {"observations", {"writes programs"}}};
  const Json cases = Json::array({
      {{"url", Url("everything")},
       {"tools", 12},
       {"call", "echo"},
       {"arguments", {{"message", "hello"}}},
       {"says", "Echo: hello"}},
      {{"url", Url("filesystem")},
       {"tools", 10},
       {"call", "write_file"},
       {"arguments", {{"path", "/data/note.txt"}, {"content", "hello"}}},
       {"says", "/data/note.txt"}},
      {{"url", Url("memory")},
       {"tools", 9},
       {"call", "create_entities"},
       {"arguments", {{"entities", Json::array({person})}}},
       {"says", ""}},
      {{"url", Url("thinking")}, {"tools", 1}, {"call", "sequentialthinking"}, {"arguments", thought}, {"says", "1"}},
      {{"url", Url("playwright")}, {"tools", 20}},  // a call would need a browser
  });
  ExpectAllOk(RunScript("npm_servers.mjs", {DumpJson(cases)}, minutes(3)));
}

std::string OnName(const testing::TestParamInfo<On>& info) { return info.param == On::kDocker ? "Docker" : "Process"; }
INSTANTIATE_TEST_SUITE_P(On, ServersTest, testing::Values(On::kProcess, On::kDocker), OnName);

}  // namespace
}  // namespace mcpfleet
