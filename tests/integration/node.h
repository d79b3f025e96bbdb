// A node for tests: the real mcplet as a subprocess over a temporary directory, and the real mcpctl to talk to it.
//
//   Node node({});
//   node.Start();
//   ASSERT_TRUE(node.Apply({ProcessServer("weather")}).ok());
//   ASSERT_TRUE(node.WaitCondition("weather", "Ready", "True")) << node.Report();
//
// The destructor drains the node and then looks whether any process, container or cgroup of it is left: that is a test
// failure. A test program that was killed leaves its nodes behind; the next one drains them (SweepDeadRuns).
// One thread. Programs come from the build directory, or from $MCPFLEET_PROGRAMS.
#pragma once

#include <sys/types.h>

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/status.h"

namespace mcpfleet {

// The namespace of containerd that nodes of this test program use: the image is imported into it once.
std::string ContainerdSpace();

struct CommandResult {
  int code = -1;  // 128 + signal when signalled; -1 when it could not run or took too long
  std::string out, err;
  bool ok() const { return code == 0; }
};
std::ostream& operator<<(std::ostream& stream, const CommandResult& result);

// A program with its output in pipes, killed at the deadline.
CommandResult RunCommand(const std::vector<std::string>& argv, const std::vector<std::string>& env,
                         const std::string& input, Duration timeout);
// A program that goes on; its output goes to `log`. It dies with the test program.
pid_t StartProgram(const std::vector<std::string>& argv, const std::string& log);
// SIGKILLed when it does not end within 30 s. Its wait status; -1 when there is no such child.
int EndProgram(pid_t pid, int signal);
std::string ProgramPath(const std::string& name);
// A port of the system's choice that is nobody else's while this is held: a program that asks for it by SO_REUSEADDR
// listens on it, the system gives it to no connection.
struct HeldPort {
  UniqueFd fd;
  uint16_t number = 0;
};
HeldPort HoldPort();
// Looks until `holds`; false at the deadline.
bool WaitFor(const std::function<bool()>& holds, Duration timeout = std::chrono::seconds(60));
// Ends what earlier test programs left that were killed. Once, before the first node.
void SweepDeadRuns();

// Manifests. `spec` is merged over what the function sets.
Json ProcessServer(const std::string& name, const std::vector<std::string>& args = {},
                   const Json& spec = Json::object());
Json DockerServer(const std::string& name, const std::vector<std::string>& args = {},
                  const Json& spec = Json::object());
Json ContainerdServer(const std::string& name, const std::vector<std::string>& args = {},
                      const Json& spec = Json::object());
// The image of DockerServer and ContainerdServer, with mcp_test_server in it.
inline constexpr char kTestImage[] = "mcpfleet-test/server:1";
inline constexpr char kTestProgram[] = "mcp_test_server";

class ContainerdEngine;

struct NodeOptions {
  std::string docker_socket;               // "": no Docker
  ContainerdEngine* containerd = nullptr;  // null: no containerd
  bool docker_attach = false;
  std::string store_url;  // "": an embedded store
  std::string store_token_file;
  std::string store_poll_interval = "60s";
  Json policy = Json::object();
  Json gateway = Json::object();     // of spec.gateway, over the port
  Json tunnel = Json::object();      // spec.tunnel
  Json logs = Json::object();        // of spec.logs
  std::string source;                // --source; "": not given
  Json kubernetes = Json::object();  // spec.kubernetes
  std::string name;                  // "": one of its own
  std::string directory;             // "": a new one below /tmp
  std::vector<std::string> wrapper;  // what mcplet is started by, before its own argv
};

class Node {
 public:
  explicit Node(NodeOptions options);
  ~Node();
  Node(const Node&) = delete;

  // Starts mcplet and waits until its admin API answers.
  void Start();
  void Spawn();     // without waiting
  int Terminate();  // SIGTERM; its wait status
  void KillDash9();
  // The machine loses its power: mcplet and all that the node runs end at once, and nothing is told to anybody.
  void PowerOff();
  bool Running() const { return pid_ > 0; }
  pid_t pid() const { return pid_; }
  CommandResult Drain();

  CommandResult Mcpctl(const std::vector<std::string>& args, const std::string& input = "",
                       Duration timeout = std::chrono::seconds(90));
  CommandResult Apply(const std::vector<Json>& manifests);
  // The text that a tool answers; "" on an error. Of the process that mcplet watches: clients of the gateway have
  // others.
  std::string CallTool(const std::string& server, const std::string& tool, const Json& arguments = Json::object());
  // Like CallTool, but nobody waits for the answer for long: for tools that end the process.
  void Poke(const std::string& server, const std::string& tool, const Json& arguments = Json::object());

  // Status of one server, as the admin API has it; null when there is none.
  Json ServerStatus(const std::string& server);
  Json NodeStatus();
  // "True/Verified", "" when there is no such condition.
  std::string Condition(const std::string& server, const std::string& type);
  bool WaitCondition(const std::string& server, const std::string& type, const std::string& status,
                     const std::string& reason = "", Duration timeout = std::chrono::seconds(60));
  bool WaitReady(const std::string& server) { return WaitCondition(server, "Ready", "True"); }
  int64_t Restarts(const std::string& server);
  std::vector<std::string> InstanceIds(const std::string& server);

  // Processes named mcp_test_server (in the host's pid namespace) of an instance, or of all instances of this node.
  std::vector<pid_t> TestServerPids(const std::string& instance = "");
  // The one of a server's only instance; 0 when there is not exactly one.
  pid_t ServerPid(const std::string& server);
  // What is left of this node outside mcplet, as text for people.
  std::vector<std::string> Leftovers();
  // Containers of any engine that carry this node's label, any state.
  std::vector<std::string> Containers();

  // For failure messages: last lines of mcplet's log.
  std::string Report() const;
  std::string Log() const;
  const std::string& name() const { return name_; }
  const std::string& directory() const { return directory_; }
  std::string state() const { return directory_ + "/state"; }
  std::string store_url() const { return "http://127.0.0.1:" + std::to_string(store_port_.number); }
  uint16_t admin_port() const { return admin_port_.number; }
  uint16_t gateway_port() const { return gateway_port_.number; }
  // Where clients reach a server of the default namespace.
  std::string GatewayUrl(const std::string& server) const {
    return "http://127.0.0.1:" + std::to_string(gateway_port_.number) + "/default/" + server + "/mcp";
  }
  std::string AdminToken() const;
  // spec.store.trustRoot, from the next start on.
  void SetTrustRoot(const std::string& fingerprint);

 private:
  void WriteConfiguration() const;
  std::vector<std::string> ContainerdContainers();
  bool OwnStore() const { return options_.store_url.empty() && options_.source.find("kubernetes") != 0; }
  void MakeContext();

  NodeOptions options_;
  std::string name_, directory_, scope_;
  HeldPort store_port_ = HoldPort(), admin_port_ = HoldPort(), gateway_port_ = HoldPort();
  pid_t pid_ = -1;
  bool context_made_ = false;
  std::string trust_root_;
};

}  // namespace mcpfleet
