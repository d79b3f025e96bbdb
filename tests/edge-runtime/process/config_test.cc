// What needs no kernel: what is written for mcp-sandbox, what is told not to be enforced, which cgroups are found; and
// that mcp-sandbox refuses a file that is not exactly what it knows.
#include "edge-runtime/process/sandbox_config.h"

#include "edge-runtime/process/cgroups.h"
#include "edge-runtime/process/enforcement.h"
#include "edge-runtime/process/launch.h"
#include "edge-runtime/process/sandbox_format.h"
#include "tests/edge-runtime/process/process_fixture.h"

namespace mcpfleet {
namespace {

std::string Records(std::initializer_list<std::string_view> words) {
  std::string text;
  for (const std::string_view word : words) text.append(word).push_back('\0');
  return text;
}

InstanceSpec Package() {
  InstanceSpec spec{.id = "a"};
  spec.spec.source = PackageSource{.name = "x", .version = "1.0.0"};
  spec.artifact = {
      .entrypoint = {"/runtime/bin/node", "/package/x.js"}, .default_args = {"--default"}, .root = "/var/lib/p"};
  return spec;
}

TEST(SandboxConfigTest, TheServersEnvironmentIsNotWrittenDown) {
  InstanceSpec spec = Package();
  spec.spec.env = {{"TOKEN", "s3cret"}};
  StatusOr<std::string> config = BuildSandboxConfig(spec, {.shim_binary = "/shim"});
  ASSERT_TRUE(config.ok());
  EXPECT_EQ(config->find("s3cret"), std::string::npos);
}

TEST(SandboxConfigTest, FilesOfSecretsAreInMemoryAndTheirValuesAreNotWrittenDown) {
  InstanceSpec spec = Package();
  spec.spec.files = {{"/run/secrets/key", {"tls", "key"}}};
  StatusOr<std::string> config = BuildSandboxConfig(spec, {.shim_binary = "/shim"});
  ASSERT_TRUE(config.ok());
  EXPECT_NE(config->find(Records({"tmpfs", "262144", "/run/secrets"})), std::string::npos);
  spec.spec.files = {{"/etc/app/key", {"tls", "key"}}};
  EXPECT_EQ(BuildSandboxConfig(spec, {.shim_binary = "/shim"}).status().code(), StatusCode::kInvalidArgument);
}

TEST(SandboxConfigTest, ThePackageItsInterpreterAndTheShimAreReadOnly) {
  StatusOr<std::string> config = BuildSandboxConfig(Package(), {.shim_binary = "/shim", .runtime_directory = "/node"});
  ASSERT_TRUE(config.ok());
  for (const std::string& record :
       {Records({"bind", "r", "/var/lib/p", "/package"}), Records({"bind", "r", "/node", "/runtime"}),
        Records({"bind", "r", "/shim", "/.mcp-shim"})}) {
    EXPECT_NE(config->find(record), std::string::npos) << record;
  }
}

TEST(SandboxConfigTest, ArgsReplaceTheDefaultsAndCommandReplacesAll) {
  InstanceSpec spec = Package();
  EXPECT_EQ(ServerArgv(spec), (std::vector<std::string>{"/runtime/bin/node", "/package/x.js", "--default"}));
  spec.spec.args = {"a"};
  EXPECT_EQ(ServerArgv(spec), (std::vector<std::string>{"/runtime/bin/node", "/package/x.js", "a"}));
  spec.spec.command = {"/bin/x"};
  spec.spec.args = {};
  EXPECT_EQ(ServerArgv(spec), (std::vector<std::string>{"/bin/x"}));
}

TEST(SandboxConfigTest, AVolumeInsideAnotherIsMountedAfterIt) {
  InstanceSpec spec = Package();
  spec.spec.volumes = {{.name = "in", .tmpfs_bytes = 8192, .mount_path = "/data/in"},
                       {.name = "out", .tmpfs_bytes = 8192, .mount_path = "/data"}};
  StatusOr<std::string> config = BuildSandboxConfig(spec, {.shim_binary = "/shim"});
  ASSERT_TRUE(config.ok());
  EXPECT_LT(config->find(Records({"tmpfs", "8192", "/data"})), config->find(Records({"tmpfs", "8192", "/data/in"})));
}

TEST(SandboxConfigTest, ANulInAStringCannotAddARecord) {
  InstanceSpec spec = Package();
  spec.spec.args = {std::string("x\0uid\0000", 7)};
  EXPECT_EQ(BuildSandboxConfig(spec, {.shim_binary = "/shim"}).status().code(), StatusCode::kInvalidArgument);
}

TEST(EnforcementTest, AMissingControllerIsNamedAndACompleteNodeHasNothingToSay) {
  const KernelFeatures kernel{
      .root = true, .namespaces = true, .mount_setattr = true, .seccomp = true, .landlock_abi = 7};
  EXPECT_TRUE(Unenforced(kernel, {}, {}).empty());
  const std::vector<std::string> missing = Unenforced(kernel, {"memory"}, {});
  ASSERT_EQ(missing.size(), 1u);
  EXPECT_NE(missing[0].find("limits.memory"), std::string::npos);
}

TEST(EnforcementTest, AnOldKernelSaysMoreAboutOutbound) {
  ServerSpec spec;
  spec.security.network = NetworkMode::kOutbound;
  EXPECT_EQ(Unenforced({.landlock_abi = 7, .no_relay = "no tool"}, {}, spec).size(), 1u);
  EXPECT_EQ(Unenforced({.landlock_abi = 0, .no_relay = "no tool"}, {}, spec).size(), 3u);
  EXPECT_TRUE(Unenforced({.landlock_abi = 0}, {}, spec).empty()) << "its own network namespace needs no landlock";
}

TEST(EnforcementTest, OutboundIsNotWhatItSaysWhenAServerMayMakePacketsItself) {
  ServerSpec spec;
  spec.security.network = NetworkMode::kOutbound;
  spec.security.add_capabilities = {"NET_BIND_SERVICE", "CAP_NET_RAW"};
  const std::vector<std::string> gaps = Unenforced({}, {}, spec);
  ASSERT_EQ(gaps.size(), 1u);
  EXPECT_NE(gaps[0].find("NET_RAW"), std::string::npos);
}

TEST(SandboxConfigTest, BehindARelayTheResolverIsItsAndTheSearchListTheHosts) {
  EXPECT_EQ(RelayResolver("# x\nnameserver 127.0.0.53\nsearch corp.example\noptions edns0\n"),
            "nameserver 10.0.2.3\nsearch corp.example\noptions edns0\n");
  EXPECT_EQ(RelayResolver(""), "nameserver 10.0.2.3\n");
}

TEST(EnforcementTest, WithoutRootTheReasonSaysWhatToDo) {
  EXPECT_NE(Unavailable(KernelFeatures{}).find("root"), std::string::npos);
}

TEST(CgroupsTest, TheV1HierarchiesAreFoundAlsoWhenTwoShareAMount) {
  const Cgroups cgroups = Cgroups::Detect(
      "30 25 0:26 / /sys/fs/cgroup/cpu,cpuacct rw shared:9 - cgroup cgroup rw,cpu,cpuacct\n"
      "31 25 0:27 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
      "32 25 0:28 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n",
      "mcpfleet", "s");
  EXPECT_EQ(cgroups.Missing(), std::vector<std::string>{"pids"});
  EXPECT_EQ(cgroups.Directories("a"), (std::vector<std::string>{"/sys/fs/cgroup/memory/mcpfleet/s/a",
                                                                "/sys/fs/cgroup/cpu,cpuacct/mcpfleet/s/a"}));
  EXPECT_EQ(cgroups.OomFile("a"), "/sys/fs/cgroup/memory/mcpfleet/s/a/memory.oom_control");
}

TEST(CgroupsTest, WithoutAnyHierarchyEverythingIsMissing) {
  EXPECT_EQ(Cgroups::Detect("", "mcpfleet", "s").Missing(), (std::vector<std::string>{"memory", "cpu", "pids"}));
}

class SandboxFileTest : public ProcessTest {
 protected:
  Status Launch(const std::string& config) {
    const std::string directory = state_ + "/launch";
    EXPECT_TRUE(MakeDirectories(directory + "/" + sandbox::kRootDirectory).ok());
    EXPECT_TRUE(WriteFileAtomically(directory + "/" + sandbox::kConfigFile, config).ok());
    return LaunchSandbox(options_.sandbox_binary, directory, Soon());
  }
};

TEST_F(SandboxFileTest, WhatIsNotExactlyAConfigIsRefused) {
  const std::string good = Records(
      {sandbox::kFormatVersion, "id", "a", "root", "ro", "1048576", "tmp", "65536", "log", "65536", "1", "arg", "/x"});
  for (const std::string& bad : {std::string("x"),
                                 Records({"mcp-sandbox/0"}),
                                 good + Records({"unknown", "1"}),
                                 good + Records({"uid", "-1"}),
                                 good + Records({"uid", "1x"}),
                                 good + Records({"uid"}),
                                 good + "uid",
                                 good + Records({"bind", "q", "/a", "/b"}),
                                 good + Records({"bind", "r", "a", "/b"}),
                                 good + Records({"bind", "r", "/a", "/b/../c"}),
                                 good + Records({"network", "some"}),
                                 good + Records({"relay", "slirp4netns"}),
                                 good + Records({"cap", "64"}),
                                 good + Records({"network", "outbound", "unreachable", "10.0.0.0/8"}),
                                 good + Records({"network", "outbound", "relay", "/x", "unreachable", "10.0.0.0"}),
                                 good + Records({"network", "outbound", "relay", "/x", "unreachable", "10.0.0.1/8"}),
                                 good + Records({"network", "outbound", "relay", "/x", "unreachable", "10.0.0.0/33"}),
                                 good + Records({"network", "outbound", "relay", "/x", "unreachable", "0.0.0.0/0"}),
                                 good + Records({"network", "outbound", "relay", "/x", "unreachable", "::1/32"}),
                                 Records({sandbox::kFormatVersion, "id", "a"}),
                                 Records({sandbox::kFormatVersion, "arg", "/x"})}) {
    const Status status = Launch(bad);
    EXPECT_EQ(status.code(), StatusCode::kFailedPrecondition) << bad << status;
    EXPECT_NE(Message(status).find("sandbox.conf"), std::string::npos) << status;
  }
}

TEST_F(SandboxFileTest, AnAbsentProgramIsNamed) {
  EXPECT_NE(Message(LaunchSandbox("/nonexistent/mcp-sandbox", state_, Soon())).find("/nonexistent/mcp-sandbox"),
            std::string::npos);
}

}  // namespace
}  // namespace mcpfleet
