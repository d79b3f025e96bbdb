#include "edge-runtime/mcplet/config.h"

#include <cstdlib>

#include <gtest/gtest.h>

#include "base/digest.h"
#include "crd/labels.h"
#include "crd/node_name.h"

namespace mcpfleet {
namespace {

constexpr char kMinimal[] =
    "apiVersion: mcpfleet.dev/v1alpha1\nkind: MCPletConfiguration\nmetadata: {name: edge-01}\nspec: {}\n";

std::string With(const std::string& spec) {
  return "apiVersion: mcpfleet.dev/v1alpha1\nkind: MCPletConfiguration\nmetadata:\n  name: edge-01\nspec:\n" + spec;
}

std::vector<std::string> Wrong(const std::string& yaml) {
  std::vector<Violation> violations;
  EXPECT_FALSE(ParseConfig(yaml, "mcplet.yaml", &violations).ok()) << yaml;
  std::vector<std::string> out;
  out.reserve(violations.size());
  for (const Violation& violation : violations) out.push_back(ToString(violation));
  return out;
}

TEST(ConfigTest, TheStoreIsTheSourceUnlessTheFileOrTheCommandLineSaysOtherwise) {
  StatusOr<Config> config = ParseConfig(kMinimal, "mcplet.yaml", nullptr);
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_TRUE(config->use_store && !config->use_kubernetes);
  EXPECT_EQ(config->core_node, "edge-01");
  config =
      ParseConfig(With("  sources: [Store, Kubernetes]\n  kubernetes: {server: \"https://10.0.0.1:6443\", nodeName: "
                       "edge-01.example.com}\n"),
                  "mcplet.yaml", nullptr);
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_TRUE(config->use_store && config->use_kubernetes);
  EXPECT_EQ(config->kubernetes.server, "https://10.0.0.1:6443");
  EXPECT_EQ(config->core_node, "edge-01.example.com");
  ASSERT_TRUE(SetSources("kubernetes", &*config).ok());
  EXPECT_TRUE(!config->use_store && config->use_kubernetes);
  ASSERT_TRUE(SetSources("store,kubernetes", &*config).ok());
  EXPECT_TRUE(config->use_store && config->use_kubernetes);
  EXPECT_NE(Message(SetSources("etcd", &*config)).find("allowed: store, kubernetes"), std::string::npos);
  EXPECT_FALSE(SetSources("", &*config).ok());
}

TEST(ConfigTest, AMinimalFileGetsEveryDefault) {
  StatusOr<Config> config = ParseConfig(kMinimal, "mcplet.yaml", nullptr);
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->node, "edge-01");
  EXPECT_EQ(config->state_directory, "/var/lib/mcpfleet");
  EXPECT_EQ(config->AdminSocket(), "/run/mcpfleet/mcplet.sock");
  EXPECT_TRUE(config->store.embedded);
  EXPECT_EQ(config->store.port, 8702);
  EXPECT_EQ(config->admin_port, 8701);
  EXPECT_TRUE(config->use_docker);
  EXPECT_FALSE(config->docker_attach);
  EXPECT_TRUE(config->use_process);
  EXPECT_TRUE(config->policy.allowed_host_paths.empty());
  EXPECT_FALSE(config->policy.allow_host_network);
  EXPECT_EQ(config->cache_quota_bytes, int64_t{5} << 30);
}

TEST(ConfigTest, TheDefaultsNameTheNodeAfterTheHost) { EXPECT_FALSE(DefaultConfig().node.empty()); }

TEST(ConfigTest, ANodeOfKubernetesIsNamedAfterItsWholeName) {
  EXPECT_EQ(NodeNameOf("edge-01"), "edge-01");
  const std::string one = NodeNameOf("ip-10-0-1-2.eu-west-1.compute.internal"),
                    two = NodeNameOf("ip-10-0-1-2.eu-west-2.compute.internal");
  EXPECT_EQ(one.substr(0, one.size() - 8), "ip-10-0-1-2-eu-west-1-compute-internal-");
  EXPECT_NE(one, two);
  // Dots and dashes are not the same, nor is what is cut off.
  EXPECT_NE(NodeNameOf("a.b"), NodeNameOf("a-b"));
  EXPECT_NE(NodeNameOf(std::string(70, 'a') + ".x"), NodeNameOf(std::string(70, 'a') + ".y"));
  for (const std::string& name :
       {std::string("n1.a"), std::string(253, 'x'), std::string("UPPER.x"), std::string("..")})
    EXPECT_EQ(CheckName(NodeNameOf(name)), "") << name << " " << NodeNameOf(name);
  // As the chart's README has it for a shell.
  EXPECT_EQ(NodeNameOf("n1.a"), "n1-a-" + Sha256Hex("n1.a").substr(0, 8));

  ASSERT_EQ(setenv("MCPFLEET_NODE_NAME", "n1.a", 1), 0);
  const Config told = DefaultConfig();
  unsetenv("MCPFLEET_NODE_NAME");
  EXPECT_EQ(told.node, NodeNameOf("n1.a"));
  EXPECT_EQ(told.core_node, "n1.a");
}

TEST(ConfigTest, ContainerdIsUsedWhereItIsAskedForAndNeverInKubeletsNamespace) {
  EXPECT_FALSE(DefaultConfig().containerd.enabled);
  StatusOr<Config> both = ParseConfig(With("  runtimes: {containerd: {enabled: Auto}}\n"), "mcplet.yaml", nullptr);
  ASSERT_TRUE(both.ok()) << both.status();
  EXPECT_EQ(both->containerd.space, "mcpfleet");
  EXPECT_EQ(both->policy.image_runtime, RuntimeChoice::kDocker) << "Auto is Docker where both are";
  const Status kubelets =
      ParseConfig(With("  runtimes: {containerd: {namespace: k8s.io}}\n"), "mcplet.yaml", nullptr).status();
  EXPECT_NE(Message(kubelets).find("spec.runtimes.containerd.namespace"), std::string::npos) << kubelets;
}

TEST(ConfigTest, EveryFieldIsRead) {
  StatusOr<Config> config = ParseConfig(
      With("  stateDirectory: /s\n"
           "  runDirectory: /r\n"
           "  store: {type: Remote, url: \"https://kv.example\", account: a, configNamespace: c,\n"
           "          stateNamespace: s, tokenFile: /t, caFile: /c, proxy: \"http://p:1\", pollInterval: 90s,\n"
           "          fleet: 0123456789abcdef0123456789abcdef, minimumHead: 1.2.3}\n"
           "  runtimes: {docker: {enabled: Never, socket: /d.sock, stdio: Attach}, process: {enabled: Never},\n"
           "    containerd: {enabled: Auto, socket: /c.sock, namespace: fleet, snapshotter: native, runtime: io.x.v2,\n"
           "      hostsDirectory: /h, cni: {pluginDirectories: [/p], subnet: 10.1.0.0/24, configurationFile: /f}}}\n"
           "  admin: {address: \"::1\", port: 0}\n"
           "  policy: {allowedHostPaths: [/srv], allowedCapabilities: [CHOWN], allowHostNetwork: true, allowRemote: "
           "false,\n"
           "           imagePrefixes: [ghcr.io/acme/], runtimes: [Docker]}\n"
           "  cacheQuota: 1Gi\n"
           "  log: {level: debug, format: json}\n"),
      "mcplet.yaml", nullptr);
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_FALSE(config->store.embedded);
  EXPECT_EQ(config->store.url, "https://kv.example");
  EXPECT_EQ(config->store.account, "a");
  EXPECT_EQ(config->store.config_namespace, "c");
  EXPECT_EQ(config->store.state_namespace, "s");
  EXPECT_EQ(config->store.token_file, "/t");
  EXPECT_EQ(config->store.ca_file, "/c");
  EXPECT_EQ(config->store.proxy, "http://p:1");
  EXPECT_EQ(config->store.poll_interval, std::chrono::seconds(90));
  EXPECT_EQ(config->store.fleet, "0123456789abcdef0123456789abcdef");
  EXPECT_EQ(config->store.minimum_head, (HeadOrder{1, 2, 3}));
  EXPECT_FALSE(config->use_docker);
  EXPECT_FALSE(config->use_process);
  EXPECT_EQ(config->docker_socket, "/d.sock");
  EXPECT_TRUE(config->docker_attach);
  EXPECT_TRUE(config->containerd.enabled);
  EXPECT_EQ(config->containerd.socket, "/c.sock");
  EXPECT_EQ(config->containerd.space, "fleet");
  EXPECT_EQ(config->containerd.snapshotter, "native");
  EXPECT_EQ(config->containerd.runtime, "io.x.v2");
  EXPECT_EQ(config->containerd.hosts_directory, "/h");
  EXPECT_EQ(config->containerd.cni_directories, std::vector<std::string>{"/p"});
  EXPECT_EQ(config->containerd.cni_subnet, "10.1.0.0/24");
  EXPECT_EQ(config->containerd.cni_file, "/f");
  EXPECT_EQ(config->policy.image_runtime, RuntimeChoice::kContainerd);
  EXPECT_EQ(config->admin_address, "::1");
  EXPECT_EQ(config->policy.allowed_host_paths, std::vector<std::string>{"/srv"});
  EXPECT_EQ(config->policy.allowed_capabilities, std::vector<std::string>{"CHOWN"});
  EXPECT_TRUE(config->policy.allow_host_network);
  EXPECT_FALSE(config->policy.allow_remote);
  EXPECT_EQ(config->policy.image_prefixes, std::vector<std::string>{"ghcr.io/acme/"});
  EXPECT_EQ(config->policy.runtimes, std::vector<RuntimeChoice>{RuntimeChoice::kDocker});
  EXPECT_EQ(config->cache_quota_bytes, int64_t{1} << 30);
  EXPECT_EQ(config->log_level, LogLevel::kDebug);
  EXPECT_EQ(config->log_format, LogFormat::kJson);
}

TEST(ConfigTest, MetricsHaveAnAddressOfTheirOwnWhenTheyAreGivenOne) {
  EXPECT_EQ(DefaultConfig().metrics_address, "");
  const auto of = [](const std::string& address) {
    return ParseConfig(With("  admin: {metricsAddress: \"" + address + "\"}\n"), "mcplet.yaml", nullptr);
  };
  StatusOr<Config> config = of("0.0.0.0:8703");
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->metrics_address, "0.0.0.0");
  EXPECT_EQ(config->metrics_port, 8703);
  config = of("[::]:9000");
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->metrics_address, "::");
  EXPECT_EQ(config->metrics_port, 9000);
  for (const char* wrong :
       {"8703", "0.0.0.0", "0.0.0.0:0", "0.0.0.0:65536", "1.2.3:8703", "::1:8703", "localhost:8703"}) {
    config = of(wrong);
    ASSERT_FALSE(config.ok()) << wrong;
    EXPECT_NE(Message(config.status()).find("spec.admin.metricsAddress"), std::string::npos) << config.status();
  }
}

TEST(ConfigTest, LogsAreShippedUnlessTheFileSaysOtherwise) {
  StatusOr<Config> config = ParseConfig(kMinimal, "mcplet.yaml", nullptr);
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_TRUE(config->logs.ship);
  EXPECT_EQ(config->logs.spool_quota_bytes, int64_t{64} << 20);
  EXPECT_EQ(config->logs.interval, std::chrono::minutes(10));
  config = ParseConfig(With("  logs: {shipping: Off, spoolQuota: 1Gi, interval: 30s}\n"), "mcplet.yaml", nullptr);
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_FALSE(config->logs.ship);
  EXPECT_EQ(config->logs.spool_quota_bytes, int64_t{1} << 30);
  EXPECT_EQ(config->logs.interval, std::chrono::seconds(30));
  for (const char* bad :
       {"spoolQuota: 1Mi", "spoolQuota: much", "spoolQuota: 1Ti", "interval: 9s", "interval: 2h", "interval: soon"}) {
    const std::vector<std::string> wrong = Wrong(With(std::string("  logs: {") + bad + "}\n"));
    ASSERT_EQ(wrong.size(), 1U) << bad;
    EXPECT_NE(wrong[0].find("spec.logs."), std::string::npos) << wrong[0];
  }
  EXPECT_FALSE(Wrong(With("  logs: {shipping: Always}\n")).empty());
}

TEST(ConfigTest, AMisspeltFieldIsNamedWithItsLineAndASuggestion) {
  std::vector<std::string> wrong = Wrong(With("  stateDirectry: /s\n"));
  ASSERT_EQ(wrong.size(), 1u);
  EXPECT_EQ(wrong[0].find("mcplet.yaml:6: spec.stateDirectry: "), 0u) << wrong[0];
  EXPECT_NE(wrong[0].find("stateDirectory"), std::string::npos) << wrong[0];
}

TEST(ConfigTest, ARemoteStoreNeedsItsUrl) {
  std::vector<std::string> wrong = Wrong(With("  store: {type: Remote}\n"));
  ASSERT_EQ(wrong.size(), 1u);
  EXPECT_NE(wrong[0].find("spec.store.url"), std::string::npos) << wrong[0];
}

TEST(ConfigTest, AStatusIsWrittenEveryFiveSecondsAtMostWhereWritesAreFreeAndEveryMinuteAtCloudflare) {
  const auto interval = [](const std::string& store) {
    auto config = ParseConfig(With("  store: {" + store + "}\n"), "mcplet.yaml", nullptr);
    EXPECT_TRUE(config.ok()) << config.status();
    return config.ok() ? config->store.status_interval : Duration{};
  };
  const std::string cloudflare = "type: Remote, url: \"https://api.cloudflare.com/\"";
  EXPECT_EQ(interval(""), std::chrono::seconds(5));
  EXPECT_EQ(interval("type: Remote, url: \"http://10.0.0.1:8702\""), std::chrono::seconds(5));
  EXPECT_EQ(interval(cloudflare), std::chrono::seconds(60));
  EXPECT_EQ(interval(cloudflare + ", statusInterval: 5m"), std::chrono::minutes(5));
  EXPECT_EQ(interval("type: Remote, url: \"http://10.0.0.1:8702\", statusInterval: 30s"), std::chrono::seconds(30));
  for (const std::string& store :
       {std::string("statusInterval: 4s"), cloudflare + ", statusInterval: 59s", std::string("statusInterval: soon")}) {
    std::vector<std::string> wrong = Wrong(With("  store: {" + store + "}\n"));
    ASSERT_EQ(wrong.size(), 1u) << store;
    EXPECT_NE(wrong[0].find("spec.store.statusInterval: is not a duration of at least"), std::string::npos) << wrong[0];
  }
}

TEST(ConfigTest, TheGatewaysCertificateNeedsItsKey) {
  const auto config =
      ParseConfig(With("  gateway: {tls: {certFile: /c.pem, keyFile: /k.pem}}\n"), "mcplet.yaml", nullptr);
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->gateway.tls_cert_file, "/c.pem");
  EXPECT_EQ(config->gateway.tls_key_file, "/k.pem");
  EXPECT_EQ(DefaultConfig().gateway.tls_cert_file, "");
  for (const auto& [given, field] : {std::pair{"certFile: /c.pem", "keyFile"}, std::pair{"keyFile: /k.pem", "certFile"},
                                     std::pair{"certFile: c.pem, keyFile: /k.pem", "certFile"}}) {
    const std::vector<std::string> wrong = Wrong(With("  gateway: {tls: {" + std::string(given) + "}}\n"));
    ASSERT_EQ(wrong.size(), 1u) << given;
    EXPECT_NE(wrong[0].find(std::string("spec.gateway.tls.") + field + ": "), std::string::npos) << wrong[0];
  }
}

TEST(ConfigTest, TheGatewaysLimitsHaveTheDefaultsOfTheCode) {
  const gateway::GatewayLimits read = DefaultConfig().gateway.limits, code;
  EXPECT_EQ(read.header_bytes, code.header_bytes);
  EXPECT_EQ(read.header_timeout, code.header_timeout);
  EXPECT_EQ(read.body_timeout, code.body_timeout);
  EXPECT_EQ(read.idle_timeout, code.idle_timeout);
  EXPECT_EQ(read.queued_bytes, code.queued_bytes);
  EXPECT_EQ(read.batch_messages, code.batch_messages);
  EXPECT_EQ(read.wake_timeout, code.wake_timeout);
  EXPECT_EQ(read.session.max_calls, code.session.max_calls);
  EXPECT_EQ(read.session.max_streams, code.session.max_streams);
  EXPECT_EQ(read.session.call_timeout, code.session.call_timeout);
  EXPECT_EQ(read.session.call_limit, code.session.call_limit);
  EXPECT_EQ(read.session.resume.events, code.session.resume.events);
  EXPECT_EQ(read.session.resume.bytes, code.session.resume.bytes);
  EXPECT_EQ(read.session.resume.age, code.session.resume.age);
  EXPECT_EQ(read.modern.call_timeout, code.modern.call_timeout);
  EXPECT_EQ(read.modern.call_limit, code.modern.call_limit);
  EXPECT_EQ(read.modern.park_timeout, code.modern.park_timeout);
  EXPECT_EQ(read.modern.max_listens, code.modern.max_listens);
}

TEST(ConfigTest, EveryLimitOfTheGatewayIsRead) {
  using std::chrono::seconds;
  const auto config = ParseConfig(
      With(
          "  gateway:\n    limits: {headerBytes: 8Ki, headerTimeout: 1s, bodyTimeout: 2s, idleTimeout: 3s, "
          "queuedBytes: "
          "1Mi,\n             batchMessages: 4, callsPerSession: 5, streamsPerSession: 6, events: 7, eventBytes: 8Ki,\n"
          "             eventAge: 9s, listensPerSubject: 10, progressTimeout: 11s, callTimeout: 12s, inputTimeout: "
          "13s,\n"
          "             wakeTimeout: 14s}\n"),
      "mcplet.yaml", nullptr);
  ASSERT_TRUE(config.ok()) << config.status();
  const gateway::GatewayLimits& limits = config->gateway.limits;
  EXPECT_EQ(limits.header_bytes, 8192u);
  EXPECT_EQ(limits.header_timeout, seconds(1));
  EXPECT_EQ(limits.body_timeout, seconds(2));
  EXPECT_EQ(limits.idle_timeout, seconds(3));
  EXPECT_EQ(limits.queued_bytes, size_t{1} << 20);
  EXPECT_EQ(limits.batch_messages, 4u);
  EXPECT_EQ(limits.session.max_calls, 5u);
  EXPECT_EQ(limits.session.max_streams, 6u);
  EXPECT_EQ(limits.session.resume.events, 7u);
  EXPECT_EQ(limits.session.resume.bytes, 8192u);
  EXPECT_EQ(limits.session.resume.age, seconds(9));
  EXPECT_EQ(limits.modern.max_listens, 10u);
  EXPECT_EQ(limits.session.call_timeout, seconds(11));
  EXPECT_EQ(limits.modern.call_timeout, seconds(11));
  EXPECT_EQ(limits.session.call_limit, seconds(12));
  EXPECT_EQ(limits.modern.call_limit, seconds(12));
  EXPECT_EQ(limits.modern.park_timeout, seconds(13));
  EXPECT_EQ(limits.wake_timeout, seconds(14));
}

TEST(ConfigTest, ALimitOfTheGatewayOutsideItsRangeIsNamed) {
  for (const char* given : {"headerBytes: 4095",
                            "headerBytes: 2Mi",
                            "headerBytes: many",
                            "headerTimeout: 11m",
                            "headerTimeout: 500ms",
                            "bodyTimeout: 0s",
                            "bodyTimeout: 2h",
                            "idleTimeout: 25h",
                            "queuedBytes: 1023Ki",
                            "queuedBytes: 2Gi",
                            "batchMessages: 0",
                            "batchMessages: 10001",
                            "callsPerSession: 0",
                            "callsPerSession: 4097",
                            "streamsPerSession: 1",
                            "streamsPerSession: 8193",
                            "events: 0",
                            "events: 1000001",
                            "eventBytes: 1023",
                            "eventBytes: 2Gi",
                            "eventAge: 0s",
                            "eventAge: 25h",
                            "listensPerSubject: 0",
                            "listensPerSubject: 10001",
                            "progressTimeout: 25h",
                            "callTimeout: 169h",
                            "callTimeout: 299s",
                            "inputTimeout: soon",
                            "inputTimeout: 25h",
                            "wakeTimeout: 0s",
                            "wakeTimeout: 2h"}) {
    const std::string field(given, std::string_view(given).find(':'));
    const std::vector<std::string> wrong = Wrong(With("  gateway:\n    limits:\n      " + std::string(given) + "\n"));
    bool named = false;
    for (const std::string& line : wrong)
      named = named || line.find("8: spec.gateway.limits." + field + ": ") != std::string::npos;
    EXPECT_TRUE(named) << given << (wrong.empty() ? "" : " -> " + wrong[0]);
  }
}

TEST(ConfigTest, AUrlThatNamesNoHostIsRefused) {
  for (const char* url : {"http://", "https://x:port", "http://user:word@x"}) {
    std::vector<std::string> wrong = Wrong(With("  store: {type: Remote, url: \"" + std::string(url) + "\"}\n"));
    ASSERT_EQ(wrong.size(), 1u) << url;
    EXPECT_NE(wrong[0].find("spec.store.url: "), std::string::npos) << wrong[0];
  }
}

TEST(ConfigTest, AFieldOfTheOtherKindOfStoreIsRefusedWithItsLineAndItsKind) {
  for (const char* field : {"url: \"https://kv.example\"", "account: a", "configNamespace: c", "stateNamespace: s",
                            "tokenFile: /t", "caFile: /c", "proxy: \"http://p:1\""}) {
    const std::string name(field, std::string_view(field).find(':'));
    for (const char* type : {"", "    type: Embedded\n"}) {
      std::vector<std::string> wrong = Wrong(With("  store:\n" + std::string(type) + "    " + field + "\n"));
      ASSERT_EQ(wrong.size(), 1u) << field;
      const std::string line = *type == '\0' ? "7" : "8";
      EXPECT_EQ(wrong[0].find("mcplet.yaml:" + line + ": spec.store." + name + ": "), 0u) << wrong[0];
      EXPECT_NE(wrong[0].find("type Remote"), std::string::npos) << wrong[0];
    }
  }
  for (const char* field : {"address: 127.0.0.1", "port: 8702"}) {
    std::vector<std::string> wrong =
        Wrong(With("  store:\n    type: Remote\n    url: \"http://x\"\n    " + std::string(field) + "\n"));
    ASSERT_EQ(wrong.size(), 1u) << field;
    EXPECT_EQ(wrong[0].find("mcplet.yaml:9: spec.store."), 0u) << wrong[0];
    EXPECT_NE(wrong[0].find("type Embedded"), std::string::npos) << wrong[0];
  }
}

TEST(ConfigTest, AllViolationsAreReportedAtOnce) {
  EXPECT_EQ(Wrong(With("  cacheQuota: much\n  admin: {address: 0.0.0.0}\n  store: {pollInterval: 1ms}\n")).size(), 3u);
}

TEST(ConfigTest, LabelsAreRefusedBecauseTheyBelongToTheMCPNode) {
  std::string yaml = kMinimal;
  yaml.replace(yaml.find("edge-01}"), 8, "edge-01, labels: {site: berlin}}");
  std::vector<std::string> wrong = Wrong(yaml);
  ASSERT_EQ(wrong.size(), 1u);
  EXPECT_NE(wrong[0].find("metadata.labels"), std::string::npos) << wrong[0];
}

TEST(ConfigTest, AnotherKindIsRefused) {
  EXPECT_FALSE(
      ParseConfig("apiVersion: mcpfleet.dev/v1alpha1\nkind: MCPServer\nmetadata: {name: x}\n", "f", nullptr).ok());
}

TEST(ConfigTest, ATunnelIsOffUnlessItIsAskedFor) {
  const StatusOr<Config> config = ParseConfig(kMinimal, "mcplet.yaml", nullptr);
  ASSERT_TRUE(config.ok());
  EXPECT_EQ(config->tunnel.mode, tunnel::Mode::kOff);
  EXPECT_EQ(config->TunnelSocket(), "") << "the gateway listens on none";
}

TEST(ConfigTest, AManagedTunnelHasItsCredentialsAndAnExternalOneItsMetrics) {
  StatusOr<Config> config = ParseConfig(
      With("  tunnel: {mode: Managed, credentialsFile: /etc/mcpfleet/tunnel.json, hostname: edge-01.example.com,\n"
           "           program: /opt/cloudflared, isolation: BestEffort}\n"),
      "mcplet.yaml", nullptr);
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->tunnel.mode, tunnel::Mode::kManaged);
  EXPECT_EQ(config->tunnel.credentials_file, "/etc/mcpfleet/tunnel.json");
  EXPECT_EQ(config->tunnel.hostname, "edge-01.example.com");
  EXPECT_EQ(config->tunnel.program, "/opt/cloudflared");
  EXPECT_FALSE(config->tunnel.isolation_required);
  EXPECT_EQ(config->TunnelSocket(), "/var/lib/mcpfleet/tunnel/gateway/gateway.sock");
  config = ParseConfig(With("  tunnel: {mode: Managed, credentialsFile: /c}\n"), "mcplet.yaml", nullptr);
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->tunnel.program, "cloudflared");
  EXPECT_TRUE(config->tunnel.isolation_required);
  config = ParseConfig(With("  tunnel: {mode: External, metrics: \"[::1]:20241\"}\n"), "mcplet.yaml", nullptr);
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->tunnel.mode, tunnel::Mode::kExternal);
  EXPECT_EQ(config->tunnel.metrics_host, "::1");
  EXPECT_EQ(config->tunnel.metrics_port, 20241);
  EXPECT_EQ(config->TunnelSocket(), "");
}

TEST(ConfigTest, AFieldOfATunnelThatWouldHaveNoEffectIsWrong) {
  const auto one = [](const std::string& tunnel, const std::string& more = "") {
    const std::vector<std::string> all = Wrong(With("  tunnel: {" + tunnel + "}\n" + more));
    EXPECT_EQ(all.size(), 1u) << tunnel;
    return all.empty() ? "" : all[0];
  };
  EXPECT_NE(one("hostname: a.example.com").find("spec.tunnel.hostname: has no effect here"), std::string::npos);
  EXPECT_NE(one("mode: External, isolation: Required").find("only with mode Managed"), std::string::npos);
  EXPECT_NE(one("mode: Managed, credentialsFile: /c, metrics: \"127.0.0.1:1\"").find("only with mode External"),
            std::string::npos);
  EXPECT_NE(one("mode: Managed").find("spec.tunnel.credentialsFile: is missing"), std::string::npos);
  EXPECT_NE(one("mode: External", "  gateway: {enabled: Never}\n").find("spec.tunnel.mode: leads to the gateway"),
            std::string::npos);
  EXPECT_NE(one("mode: External, metrics: \"127.0.0.1:0\"").find("has no port"), std::string::npos);
  EXPECT_NE(one("mode: External, metrics: \"10.0.0.1:20241\"").find("spec.tunnel.metrics"), std::string::npos);
  EXPECT_NE(one("mode: External, hostname: \"*.example.com\"").find("spec.tunnel.hostname"), std::string::npos);
}

}  // namespace
}  // namespace mcpfleet
