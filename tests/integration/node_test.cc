// What a node refuses, reports and survives by itself.
#include <fcntl.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>

#include "base/http/client.h"
#include "base/strings.h"
#include "tests/integration/fixture.h"

namespace mcpfleet {
namespace {

using std::chrono::seconds;

class NodeTest : public IntegrationTest {
 protected:
  StatusOr<http::Response> Ask(const Node& node, const std::string& target, const std::string& token = "",
                               const std::string& host = "") {
    http::ClientOptions options;
    options.host_header = host;
    http::Client client(http::TcpEndpoint("127.0.0.1", node.admin_port()), options);
    http::Request request;
    request.method = "GET";
    request.target = target;
    if (!token.empty()) request.headers.Set("Authorization", "Bearer " + token);
    return client.Do(request, Deadline::After(seconds(10)));
  }
  int StatusOfAnswer(const Node& node, const std::string& target, const std::string& token = "",
                     const std::string& host = "") {
    StatusOr<http::Response> response = Ask(node, target, token, host);
    return response.ok() ? response->status : -1;
  }
};

TEST_F(NodeTest, AWrongManifestIsRefusedWithItsPlaceAndNothingIsWritten) {
  Node node({});
  node.Start();
  ASSERT_TRUE(node.Apply({ProcessServer("weather")}).ok());
  const CommandResult before = node.Mcpctl({"rollout", "history"});
  const std::string good = DumpJsonPretty(ProcessServer("other"));
  const CommandResult wrong = node.Mcpctl(
      {"apply", "-f", "-"}, good +
                                "\n---\napiVersion: mcpfleet.dev/v1alpha1\nkind: MCPServer\nmetadata: {name: bad}\n"
                                "spec:\n  source: {image: {ref: x}}\n  trnsport: stdio\n");
  EXPECT_EQ(wrong.code, 1) << wrong;
  EXPECT_NE(wrong.err.find("spec.trnsport"), std::string::npos) << wrong;
  const CommandResult after = node.Mcpctl({"rollout", "history"});
  EXPECT_EQ(before.out, after.out);
  EXPECT_TRUE(node.ServerStatus("other").is_null());
  ASSERT_TRUE(node.WaitReady("weather"));
}

// The store's owner is root of this machine: he writes it directly, beside mcpctl.
TEST_F(NodeTest, ANodeOfASignedFleetFollowsItsKeysAndNotItsStore) {
  Node node({});
  node.Start();
  ASSERT_TRUE(node.Apply({ProcessServer("weather")}).ok());
  ASSERT_TRUE(node.WaitReady("weather"));
  ASSERT_TRUE(node.Mcpctl({"keys", "create", "root"}).ok());
  ASSERT_TRUE(node.Mcpctl({"keys", "create", "laptop"}).ok());
  const CommandResult init = node.Mcpctl({"trust", "init", "--root", "root", "--head", "laptop"});
  ASSERT_TRUE(init.ok()) << init;
  const pid_t pid = node.ServerPid("weather");
  node.Terminate();
  node.SetTrustRoot(std::string(Trim(init.out)));
  node.Start();
  ASSERT_TRUE(node.WaitReady("weather"));
  EXPECT_EQ(node.ServerPid("weather"), pid) << "what runs is what the signed head says: it is adopted";
  ASSERT_TRUE(node.Apply({ProcessServer("second")}).ok());
  ASSERT_TRUE(node.WaitReady("second"));
  // Somebody with the store's token, and another key: a head of his own making.
  ASSERT_TRUE(node.Mcpctl({"store", "backup", node.directory() + "/before"}).ok());
  http::Client store(
      http::TcpEndpoint("127.0.0.1",
                        static_cast<uint16_t>(std::stoi(node.store_url().substr(node.store_url().rfind(':') + 1)))),
      {});
  const std::string token = ReadFile(node.state() + "/store/operator-token", 4096).value_or("");
  http::Request request;
  request.target = "/client/v4/accounts/local/storage/kv/namespaces/CONFIG/values/head";
  request.headers.Set("Authorization", "Bearer " + std::string(Trim(token)));
  const auto read = store.Do(request, Deadline::After(seconds(10)));
  ASSERT_TRUE(read.ok() && read->status == 200);
  Json head = *ParseJson(read->body);
  head["revision"] = GetInt(head, "revision") + 1;
  request.method = "PUT";
  request.headers.Set("If-Match", read->headers.Get("ETag").value_or(""));
  request.body = DumpJson(head);
  const auto written = store.Do(request, Deadline::After(seconds(10)));
  ASSERT_TRUE(written.ok() && written->status == 200) << (written.ok() ? written->body : "");
  EXPECT_TRUE(WaitFor([&] {
    const Json status = node.NodeStatus();
    for (const Json& condition : GetMember(status, "conditions")) {
      if (GetString(condition, "type") == "DesiredStateFresh")
        return GetString(condition, "reason") == "HeadNotTrusted";
    }
    return false;
  })) << DumpJson(node.NodeStatus());
  EXPECT_TRUE(node.WaitReady("weather"));
  EXPECT_TRUE(node.WaitReady("second"));
  const auto metrics = Ask(node, "/metrics");
  ASSERT_TRUE(metrics.ok());
  EXPECT_EQ(metrics->body.find("mcpfleet_untrusted_heads_total 0"), std::string::npos);
  // Nobody signs on top of it; what the keys signed is brought back above it, and the next change is followed.
  EXPECT_EQ(node.Apply({ProcessServer("third")}).code, 1);
  const CommandResult restored = node.Mcpctl({"store", "restore", node.directory() + "/before"});
  ASSERT_TRUE(restored.ok()) << restored;
  ASSERT_TRUE(node.Apply({ProcessServer("third")}).ok());
  EXPECT_TRUE(node.WaitReady("third"));
}

TEST_F(NodeTest, AForbiddenServerIsNotStartedAndAllOthersConverge) {
  Node node({.policy = {{"allowedHostPaths", {"/srv/allowed"}}}});
  node.Start();
  const Json volume = {
      {"volumes", Json::array({{{"name", "etc"}, {"hostPath", "/etc"}, {"mountPath", "/data"}, {"readOnly", true}}})}};
  ASSERT_TRUE(
      node.Apply({ProcessServer("nosy", {}, volume),
                  ProcessServer("host", {}, {{"securityContext", {{"network", "Host"}}}}), ProcessServer("good")})
          .ok());
  ASSERT_TRUE(node.WaitReady("good"));
  EXPECT_TRUE(node.WaitCondition("nosy", "Accepted", "False", "ForbiddenByNode"));
  EXPECT_TRUE(node.WaitCondition("host", "Accepted", "False", "ForbiddenByNode"));
  EXPECT_EQ(node.TestServerPids().size(), 1u);
}

TEST_F(NodeTest, AStoreThatTakesNoStatusShowsInTheNodesOwnCondition) {
  Node host({});
  host.Start();
  ASSERT_TRUE(host.Apply({ProcessServer("weather")}).ok());
  // A reader's token reads the desired state and may write nothing.
  Node reader({.store_url = host.store_url(), .store_token_file = host.state() + "/store/reader-token"});
  reader.Start();
  const auto reachable = [&reader] {
    const Json status = reader.NodeStatus();
    for (const Json& condition : GetMember(status, "conditions")) {
      if (GetString(condition, "type") == "StoreReachable") return condition;
    }
    return Json();
  };
  EXPECT_TRUE(WaitFor([&] { return GetString(reachable(), "reason") == "StatusNotWritten"; })) << reachable();
  EXPECT_EQ(GetString(reachable(), "status"), "False");
  EXPECT_TRUE(reader.WaitReady("weather")) << "what it reads it follows";
}

TEST_F(NodeTest, TheAdminApiWantsItsTokenAndALoopbackHost) {
  Node node({});
  node.Start();
  EXPECT_EQ(StatusOfAnswer(node, "/healthz"), 200);
  EXPECT_EQ(StatusOfAnswer(node, "/v1/status"), 401);
  EXPECT_EQ(StatusOfAnswer(node, "/v1/status", "wrong"), 401);
  EXPECT_EQ(StatusOfAnswer(node, "/v1/status", node.AdminToken()), 200);
  EXPECT_EQ(StatusOfAnswer(node, "/v1/status", node.AdminToken(), "evil.example.com"), 403);
  struct stat st;
  ASSERT_EQ(stat((node.directory() + "/run/mcplet.sock").c_str(), &st), 0);
  EXPECT_EQ(st.st_mode & 0777, 0600u);
}

TEST_F(NodeTest, EventsUsageAndLogsAreThoseThatAKubectlUserMeans) {
  Node node({});
  node.Start();
  ASSERT_TRUE(node.Apply({ProcessServer("weather")}).ok());
  ASSERT_TRUE(node.WaitReady("weather"));
  EXPECT_NE(node.Mcpctl({"events"}).out.find("MCPServer/default/weather"), std::string::npos);
  EXPECT_EQ(node.Mcpctl({"events", "-n", "tools"}).out, "") << "another namespace";
  EXPECT_NE(node.Mcpctl({"events", "-n", "tools", "-A"}).out.find("MCPServer/default/weather"), std::string::npos);
  EXPECT_EQ(node.Mcpctl({"events", "--types", "Warning", "-o", "jsonpath={.items[*].reason}"}).out.find("Started"),
            std::string::npos);
  EXPECT_NE(node.Mcpctl({"events", "-o", "jsonpath={.items[*].reason}"}).out.find("Started"), std::string::npos);
  EXPECT_NE(node.Mcpctl({"top", "mcp"}).out.find("weather"), std::string::npos);
  EXPECT_EQ(node.Mcpctl({"top", "-n", "tools"}).out, "");
  EXPECT_NE(node.Mcpctl({"top", "-A"}).out.find("default     weather"), std::string::npos);
  EXPECT_EQ(node.Mcpctl({"top", "nope"}).code, 1);
  const std::string all = node.Mcpctl({"logs", "weather"}).out;
  EXPECT_NE(all, "");
  EXPECT_EQ(node.Mcpctl({"logs", "weather", "--tail", "-1"}).out, all);
  EXPECT_EQ(node.Mcpctl({"logs", "weather", "--since-time", "2020-01-01T00:00:00Z"}).out, all);
  EXPECT_EQ(node.Mcpctl({"logs", "weather", "--since-time", "2100-01-01T00:00:00Z"}).out, "");
  EXPECT_NE(node.Mcpctl({"logs", "weather", "--previous"}).err.find("no log of an incarnation before"),
            std::string::npos);
}

TEST_F(NodeTest, ASecondMcpletOverOneStateIsRefused) {
  Node node({});
  node.Start();
  const CommandResult second = node.Drain();
  EXPECT_NE(second.code, 0);
  EXPECT_NE(second.err.find("another mcplet"), std::string::npos) << second;
}

TEST_F(NodeTest, ARemoteServerIsVerifiedButNotRun) {
  Node node({});
  node.Start();
  const std::string port_file = node.directory() + "/port";
  const pid_t server =
      StartProgram({ProgramPath(kTestProgram), "--http", "0", "--port-file", port_file, "--name", "far"},
                   node.directory() + "/remote.log");
  StatusOr<std::string> port;
  ASSERT_TRUE(WaitFor([&] { return (port = ReadFile(port_file, 64)).ok(); }));
  const Json manifest = {
      {"apiVersion", "mcpfleet.dev/v1alpha1"},
      {"kind", "MCPServer"},
      {"metadata", {{"name", "far"}}},
      {"spec",
       {{"source", {{"remote", {{"url", "http://127.0.0.1:" + *port + "/mcp"}}}}},
        {"probes", {{"liveness", {{"periodSeconds", 1}, {"timeoutSeconds", 1}, {"failureThreshold", 1}}}}}}}};
  const CommandResult applied = node.Apply({manifest});
  EXPECT_TRUE(applied.ok()) << applied;
  EXPECT_TRUE(node.WaitReady("far"));
  EXPECT_EQ(node.CallTool("far", "who"), "far");
  EXPECT_TRUE(node.InstanceIds("far").empty());
  EndProgram(server, SIGKILL);
  EXPECT_TRUE(node.WaitCondition("far", "Ready", "False"));
}

TEST_F(NodeTest, PrometheusScrapesTheNode) {
  if (access("/usr/bin/prometheus", X_OK) != 0)
    GTEST_SKIP() << "NOT RUN: no prometheus on this machine (Debian: prometheus)";
  Node node({});
  node.Start();
  ASSERT_TRUE(node.Apply({ProcessServer("weather")}).ok());
  ASSERT_TRUE(node.WaitReady("weather"));
  const HeldPort held = HoldPort();
  const uint16_t port = held.number;
  const std::string configuration = node.directory() + "/prometheus.yaml";
  ASSERT_TRUE(WriteFileAtomically(configuration,
                                  "global: {scrape_interval: 1s, evaluation_interval: 1s}\nscrape_configs:\n  - "
                                  "job_name: mcplet\n    static_configs:\n"
                                  "      - targets: [\"127.0.0.1:" +
                                      std::to_string(node.admin_port()) +
                                      "\"]\nrule_files: [\"" MCPFLEET_SOURCE_DIR
                                      "/manifests/monitoring/rules.yaml\"]\n")
                  .ok());
  const pid_t prometheus = StartProgram(
      {"/usr/bin/prometheus", "--config.file=" + configuration, "--storage.tsdb.path=" + node.directory() + "/tsdb",
       "--web.listen-address=127.0.0.1:" + std::to_string(port), "--log.level=warn"},
      node.directory() + "/prometheus.log");
  const auto ask = [&](const std::string& target) -> Json {
    http::Client client(http::TcpEndpoint("127.0.0.1", port), {});
    StatusOr<http::Response> response = client.Do({.target = "/api/v1/" + target}, Deadline::After(seconds(5)));
    StatusOr<Json> json = response.ok() ? ParseJson(response->body) : response.status();
    return json.ok() ? GetMember(*json, "data") : Json();
  };
  const auto query = [&](const std::string& expression) {
    const Json results = GetMember(ask("query?query=" + PercentEncode(expression)), "result");
    return results.is_array() && results.size() == 1 ? GetMember(results[0], "value")[1].get<std::string>() : "";
  };
  EXPECT_TRUE(WaitFor([&] { return query("up{job=\"mcplet\"}") == "1"; }));
  EXPECT_TRUE(WaitFor([&] {
    return query("mcpfleet_server_condition{server=\"weather\",condition=\"Ready\",status=\"true\"}") == "1";
  }));
  EXPECT_EQ(query("mcpfleet_server_condition{server=\"weather\",condition=\"Ready\",status=\"false\"}"), "0");
  EXPECT_NE(query("mcpfleet_server_memory_bytes{server=\"weather\"}"), "");

  // Our rules, as installed: each is evaluated over what this node exports, none with an error, and nothing is alarmed.
  const auto rules = [&] {
    const Json answer = ask("rules");
    std::vector<Json> all;
    for (const Json& group : GetMember(answer, "groups")) {
      for (const Json& rule : GetMember(group, "rules")) all.push_back(rule);
    }
    return all;
  };
  const auto evaluated = [&] {
    const std::vector<Json> all = rules();
    return !all.empty() &&
           std::all_of(all.begin(), all.end(), [](const Json& rule) { return GetString(rule, "health") != "unknown"; });
  };
  EXPECT_TRUE(WaitFor(evaluated));
  for (const Json& rule : rules()) {
    EXPECT_EQ(GetString(rule, "health"), "ok") << rule;
    EXPECT_NE(GetString(rule, "state"), "firing") << rule;
  }
  EXPECT_TRUE(WaitFor([&] { return query("mcpfleet:servers_ready:ratio") == "1"; }));

  // What rules and dashboard ask for is exported, from the start.
  const CommandResult checked = RunCommand({MCPFLEET_SOURCE_DIR "/tests/tools/check_monitoring_metrics",
                                            "http://127.0.0.1:" + std::to_string(node.admin_port()) + "/metrics"},
                                           {}, "", seconds(20));
  EXPECT_TRUE(checked.ok()) << checked;
  EndProgram(prometheus, SIGTERM);
}

// A small file system below the node's directory.
class SmallDisk {
 public:
  explicit SmallDisk(std::string path) : path_(std::move(path)) {
    EXPECT_TRUE(MakeDirectories(path_).ok());
    mounted_ = mount("tmpfs", path_.c_str(), "tmpfs", 0, "size=24m,mode=755") == 0;
  }
  ~SmallDisk() {
    if (mounted_) umount2(path_.c_str(), MNT_DETACH);
  }
  bool mounted() const { return mounted_; }
  // Every byte that is left.
  void Fill() {
    const UniqueFd file(open((path_ + "/ballast").c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    for (size_t size = size_t{1} << 20; size > 0; size /= 2) {
      const std::string block(size, 'x');
      while (write(file.get(), block.data(), size) > 0) {
      }
    }
  }
  void Free() { unlink((path_ + "/ballast").c_str()); }

 private:
  std::string path_;
  bool mounted_ = false;
};

TEST_F(NodeTest, AFullDiskLeavesRunningServersAloneAndTheNodeRecovers) {
  Node node({});
  SmallDisk disk(node.state());
  if (!disk.mounted()) GTEST_SKIP() << "NOT RUN: can't mount a tmpfs";
  node.Start();
  ASSERT_TRUE(
      node.Apply({ProcessServer("weather", {"--name", "one"}, {{"restartPolicy", {{"resetAfter", "1s"}}}})}).ok());
  ASSERT_TRUE(node.WaitReady("weather"));
  const pid_t before = node.ServerPid("weather");
  disk.Fill();
  const CommandResult applied = node.Apply({ProcessServer("weather", {"--name", "two"}), ProcessServer("new")});
  EXPECT_FALSE(applied.ok()) << "the embedded store can't have written it: " << applied;
  EXPECT_EQ(node.CallTool("weather", "who"), "one");
  EXPECT_EQ(node.ServerPid("weather"), before);
  // A restart of mcplet on the full disk must not lose what runs either.
  node.KillDash9();
  EXPECT_EQ(kill(before, 0), 0);
  disk.Free();
  node.Start();
  ASSERT_TRUE(node.WaitReady("weather"));
  EXPECT_EQ(node.ServerPid("weather"), before);
  const CommandResult again = node.Apply({ProcessServer("weather", {"--name", "two"}), ProcessServer("new")});
  ASSERT_TRUE(again.ok()) << again;
  EXPECT_TRUE(node.WaitReady("new"));
  EXPECT_TRUE(WaitFor([&] { return node.CallTool("weather", "who") == "two"; }));
  node.Terminate();
  EXPECT_TRUE(node.Drain().ok());
  EXPECT_TRUE(node.Leftovers().empty()) << Join(node.Leftovers(), "\n");
}

TEST_F(NodeTest, TheQuickstartServerFromNpmBecomesReadyAndAnswers) {
  const char* home = getenv("HOME");  // where the registry's settings are
  const CommandResult ping =
      RunCommand({"/usr/bin/npm", "ping", "--cache", "/tmp/mcpfleet-it-npm-ping"},
                 {"PATH=/usr/bin:/bin", std::string("HOME=") + (home != nullptr ? home : "/root")}, "", seconds(20));
  RemoveTree("/tmp/mcpfleet-it-npm-ping").IgnoreError();
  if (!ping.ok()) GTEST_SKIP() << "NOT RUN: the npm registry does not answer: " << ping.err;
  Node node({});
  node.Start();
  const CommandResult applied =
      node.Mcpctl({"apply", "-f", std::string(MCPFLEET_SOURCE_DIR) + "/manifests/quickstart/everything.yaml"});
  ASSERT_TRUE(applied.ok()) << applied;
  ASSERT_TRUE(node.WaitCondition("everything", "Ready", "True", "", seconds(180)));
  EXPECT_NE(node.CallTool("everything", "echo", {{"message", "hello"}}).find("hello"), std::string::npos);
}

}  // namespace
}  // namespace mcpfleet
