#include "edge-runtime/mcplet/doctor.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <functional>
#include <sstream>

#include <unistd.h>

#include "base/fd.h"
#include "tests/base/http_testing.h"

namespace mcpfleet {
namespace {

NodeExam Healthy() {
  NodeExam exam;
  for (const char* name : {"mcp-shim", "mcp-sandbox"})
    exam.own_programs.emplace(name, std::string("/usr/libexec/") + name);
  exam.runtimes[RuntimeKind::kProcess] = {.available = true, .version = "process/1"};
  exam.runtimes[RuntimeKind::kDocker] = {.available = true, .version = "28.0.0"};
  exam.npm = "/usr/bin/npm";
  exam.node = "/usr/bin/node";
  exam.python = std::string("/usr/bin/python3");
  exam.tunnel = {.mode = tunnel::Mode::kManaged,
                 .program = "/usr/bin/cloudflared",
                 .wanted_program = "cloudflared",
                 .version = std::string("cloudflared version 2026.1.0"),
                 .running = true,
                 .asked = true,
                 .connections = 4};
  exam.facts.disk_free_bytes = exam.facts.disk_total_bytes = int64_t{1} << 40;
  exam.facts.memory_available_bytes = exam.facts.memory_total_bytes = int64_t{1} << 40;
  return exam;
}

struct Fault {
  const char* says;  // in the line
  const char* mend;  // in its mend
  std::function<void(NodeExam&)> make;
};

const std::vector<Fault>& Faults() {
  static const std::vector<Fault> faults = {
      {"does not run as root", "by the systemd unit", [](NodeExam& e) { e.root = false; }},
      {"no mcp-shim", "MCPFLEET_LIBEXEC", [](NodeExam& e) { e.own_programs.at("mcp-shim") = NotFound("no mcp-shim"); }},
      {"/var/lib/mcpfleet", "spec.stateDirectory",
       [](NodeExam& e) { e.state_directory = PermissionDenied("/var/lib/mcpfleet: read-only"); }},
      {"no space", "the lines above", [](NodeExam& e) { e.runtimes_made = ResourceExhausted("no space"); }},
      {"no runtime is allowed", "spec.runtimes", [](NodeExam& e) { e.runtimes.clear(); }},
      {"runtime Process: needs root", "Docker",
       [](NodeExam& e) { e.runtimes[RuntimeKind::kProcess] = {.reason = "needs root"}; }},
      {"runtime Docker: no socket", "docker.io",
       [](NodeExam& e) { e.runtimes[RuntimeKind::kDocker] = {.reason = "no socket"}; }},
      {"can't enforce: resources.limits.pids", "cgroup_enable=pids,",
       [](NodeExam& e) {
         e.runtimes[RuntimeKind::kProcess].unenforced = {
             "resources.limits.pids: no cgroup controller pids on this node"};
       }},
      {"runtime Containerd: no socket", "spec.runtimes.containerd.socket",
       [](NodeExam& e) { e.runtimes[RuntimeKind::kContainerd] = {.reason = "no socket"}; }},
      {"runtime Containerd: no CNI plugin bridge", "apt-get install containernetworking-plugins",
       [](NodeExam& e) {
         e.containerd = true;
         e.no_bridge = "no CNI plugin bridge; apt-get install containernetworking-plugins";
       }},
      {"can't enforce: seccomp", "docker info",
       [](NodeExam& e) { e.runtimes[RuntimeKind::kDocker].unenforced = {"seccomp"}; }},
      {"npm: not in PATH", "apt-get install nodejs npm", [](NodeExam& e) { e.npm = ""; }},
      {"node: not in PATH", "apt-get install nodejs npm", [](NodeExam& e) { e.node = ""; }},
      {"python3 is not installed below /usr", "apt-get install python3 python3-pip",
       [](NodeExam& e) { e.python = FailedPrecondition("python3 is not installed below /usr"); }},
      {"/usr/bin/python3 has no pip", "apt-get install python3-pip", [](NodeExam& e) { e.pip = false; }},
      {"slirp4netns is not in PATH: in runtime Process network Outbound shares", "apt-get install slirp4netns",
       [](NodeExam& e) { e.no_relay = "slirp4netns is not in PATH; apt-get install slirp4netns"; }},
      {"cloudflared is not there", "spec.tunnel.program", [](NodeExam& e) { e.tunnel.program = ""; }},
      {"does not run: exec format error", "architecture",
       [](NodeExam& e) { e.tunnel.version = FailedPrecondition("exec format error"); }},
      {"refuses the ingress: rule 1", "version", [](NodeExam& e) { e.tunnel.ingress = InvalidArgument("rule 1"); }},
      {"TunnelID is missing", "cloudflared tunnel create",
       [](NodeExam& e) { e.tunnel.credentials = InvalidArgument("TunnelID is missing"); }},
      {"can't have a network of its own", "what it says",
       [](NodeExam& e) { e.tunnel.cannot_run = "cloudflared can't have a network of its own"; }},
      {"reaches all that it does", "slirp4netns",
       [](NodeExam& e) { e.tunnel.unenforced = "cloudflared is in this node's network and reaches all that it does"; }},
      {"cloudflared exited with code 3", "connectors/*/log",
       [](NodeExam& e) {
         e.tunnel.running = e.tunnel.asked = false;
         e.tunnel.ended = "exited with code 3";
       }},
      {"not connected: no connection", "7844",
       [](NodeExam& e) {
         e.tunnel.connections = 0;
         e.tunnel.not_connected = "no connection";
       }},
      {"clock is not synchronised", "timesyncd", [](NodeExam& e) { e.facts.clock_synced = false; }},
      {"1 MiB free on disk", "free space", [](NodeExam& e) { e.facts.disk_free_bytes = 1 << 20; }},
      {"1 MiB memory", "memory", [](NodeExam& e) { e.facts.memory_available_bytes = 1 << 20; }},
  };
  return faults;
}

TEST(DoctorTest, AHealthyNodeHasNothingToMend) {
  for (const Finding& finding : Diagnose(Healthy())) {
    EXPECT_EQ(finding.kind, FindingKind::kGood) << finding.what;
    EXPECT_EQ(finding.mend, "") << finding.what;
  }
  EXPECT_TRUE(CanRunServers(Healthy()));
}

TEST(DoctorTest, EveryFaultIsOneLineWithItsMend) {
  for (const Fault& fault : Faults()) {
    NodeExam exam = Healthy();
    fault.make(exam);
    std::vector<Finding> bad;
    for (const Finding& finding : Diagnose(exam))
      if (finding.kind != FindingKind::kGood) bad.push_back(finding);
    ASSERT_EQ(bad.size(), 1U) << fault.says;
    EXPECT_NE(bad[0].what.find(fault.says), std::string::npos) << bad[0].what;
    EXPECT_NE(bad[0].mend.find(fault.mend), std::string::npos) << bad[0].mend;
  }
}

// The stand-in for cloudflared, by a program that runs it.
TEST(DoctorTest, TheTunnelsProgramIsRunAndAskedWhatItSaysOfTheIngress) {
  const http::TempDir state;
  const std::string program = state / "cloudflared", credentials = state / "tunnel.json";
  const auto write = [&](const std::string& script) {
    ASSERT_TRUE(WriteFileAtomically(program, "#!/bin/sh\n" + script + "\n", 0755).ok());
  };
  Config config = DefaultConfig();
  config.state_directory = state.path();
  config.tunnel = {.mode = tunnel::Mode::kManaged,
                   .hostname = "edge.example.com",
                   .program = program,
                   .credentials_file = credentials,
                   .isolation_required = false};
  const auto all = [&config] {
    std::vector<Finding> findings;
    AddTunnel(LookAtTunnel(config), &findings);
    std::string text;
    for (const Finding& finding : findings)
      text += std::to_string(static_cast<int>(finding.kind)) + " " + finding.what + "\n";
    return text;
  };
  const auto has = [](const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
  };
  EXPECT_TRUE(has(all(), "2 tunnel: " + program + " is not there")) << all();
  write("exec " MCPFLEET_SOURCE_DIR "/tests/fakes/cloudflared.py \"$@\"");
  std::string text = all();
  EXPECT_TRUE(has(text, "0 tunnel: " + program + ", cloudflared version")) << text;
  EXPECT_TRUE(has(text, "0 tunnel: cloudflared takes the ingress")) << text;
  EXPECT_TRUE(has(text, "2 tunnel: " + credentials)) << text;
  const std::string good =
      R"({"AccountTag":"abc","TunnelSecret":"c2VjcmV0","TunnelID":"6ff42ae2-765d-4adf-8112-31c55c1551ef"})";
  ASSERT_TRUE(WriteFileAtomically(credentials, good, 0644).ok());
  text = all();
  EXPECT_TRUE(has(text, "can be read by others")) << text;
  EXPECT_FALSE(has(text, "c2VjcmV0")) << text;
  ASSERT_TRUE(WriteFileAtomically(credentials, good).ok());
  text = all();
  EXPECT_FALSE(has(text, credentials)) << text;
  write(
      "[ \"$1\" = --version ] && { echo 'cloudflared version 2019'; exit 0; }\n"
      "grep -q edge.example.com \"$3\" && echo 'Validation failed: unknown service unix' && exit 1");
  text = all();
  EXPECT_TRUE(has(text, "refuses the ingress: ")) << text;
  EXPECT_TRUE(has(text, "unknown service unix")) << text;
  write("kill -9 $$");
  text = all();
  EXPECT_TRUE(has(text, "does not run: ") && has(text, "code 137")) << text;
  // Another one's: what mcplet wrote for it is looked at, when there is a cloudflared here to ask.
  config.tunnel = {.mode = tunnel::Mode::kExternal, .program = "no-such-cloudflared"};
  EXPECT_TRUE(has(all(), "0 tunnel: cloudflared is run elsewhere")) << all();
  config.tunnel.program = program;
  write("exec " MCPFLEET_SOURCE_DIR "/tests/fakes/cloudflared.py \"$@\"");
  EXPECT_TRUE(has(all(), "no ingress is written yet")) << all();
  ASSERT_TRUE(WriteFileAtomically(config.TunnelIngressFile(), "ingress:\n  - service: \"http://10.0.0.1\"\n").ok());
  EXPECT_TRUE(has(all(), "2 tunnel: cloudflared refuses the ingress")) << all();
  config.tunnel.mode = tunnel::Mode::kOff;
  EXPECT_EQ(all(), "");
}

TEST(DoctorTest, OneRuntimeIsEnoughToRunServersAndNoneIsNot) {
  NodeExam exam = Healthy();
  exam.runtimes[RuntimeKind::kDocker].available = false;
  EXPECT_TRUE(CanRunServers(exam));
  exam.runtimes[RuntimeKind::kProcess].available = false;
  EXPECT_FALSE(CanRunServers(exam));
}

TEST(DoctorTest, ANodeThatCannotMakeItsRuntimesRunsNothing) {
  NodeExam exam = Healthy();
  exam.runtimes_made = Internal("no");
  EXPECT_FALSE(CanRunServers(exam));
  exam = Healthy();
  exam.state_directory = PermissionDenied("no");
  EXPECT_FALSE(CanRunServers(exam));
}

// A running mcplet has such directories while it installs a package and while it makes an instance.
TEST(DoctorTest, LookingAroundLeavesAloneWhatARunningMcpletIsAbout) {
  const http::TempDir state;
  const std::string install = state / "packages/.work-abcde", instance = state / "process/instances/.everything-1";
  ASSERT_TRUE(MakeDirectories(install).ok());
  ASSERT_TRUE(MakeDirectories(instance).ok());
  Config config = DefaultConfig();
  config.state_directory = state.path();
  std::ostringstream out;
  RunDoctor(config, SystemClock(), out);
  EXPECT_NE(out.str().find("runtime Process"), std::string::npos) << out.str();
  EXPECT_EQ(access(install.c_str(), F_OK), 0);
  EXPECT_EQ(access(instance.c_str(), F_OK), 0);
  const auto entries = std::distance(std::filesystem::directory_iterator(state.path()), {});
  EXPECT_EQ(entries, 2) << "it left something in the state directory";
}

}  // namespace
}  // namespace mcpfleet
