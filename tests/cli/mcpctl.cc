#include "tests/cli/mcpctl.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

#include "base/argv.h"
#include "base/strings.h"
#include "cli/context.h"
#include "crd/codec.h"
#include "store/reader.h"

namespace mcpfleet::cli {
namespace {

// Feeds and drains the child until it has closed both outputs.
bool Converse(int in, int out, int err, std::string_view input, Ran* ran, Deadline deadline) {
  fcntl(in, F_SETFL, O_NONBLOCK);
  UniqueFd feed(in);
  while (out >= 0 || err >= 0) {
    if (input.empty()) feed.Reset();
    pollfd fds[] = {{out, POLLIN, 0}, {err, POLLIN, 0}, {feed.get(), POLLOUT, 0}};
    if (poll(fds, 3, deadline.PollMillis()) <= 0) return false;
    char buffer[65536];
    for (int i : {0, 1}) {
      if (fds[i].revents == 0) continue;
      ssize_t n = read(fds[i].fd, buffer, sizeof buffer);
      if (n > 0)
        (i == 0 ? ran->out : ran->err).append(buffer, static_cast<size_t>(n));
      else
        (i == 0 ? out : err) = -1;
    }
    if (fds[2].revents != 0) {
      ssize_t n = write(feed.get(), input.data(), input.size());
      input.remove_prefix(n > 0 ? static_cast<size_t>(n) : input.size());
    }
  }
  return true;
}

}  // namespace

McpctlTest::McpctlTest() {
  signal(SIGPIPE, SIG_IGN);
  ContextFile file{.path = dir_ / "config",
                   .current = "test",
                   .contexts = {{.name = "test", .server = store_.url(), .token = testing::kOperatorToken}}};
  EXPECT_TRUE(SaveContexts(file).ok());
  env_ = {{"MCPFLEET_CONFIG", file.path},
          {"HOME", dir_.path()},
          {"PATH", getenv("PATH")},
          {"USER", "tester"},
          {"TMPDIR", dir_.path()}};
}

Ran McpctlTest::Run(const std::vector<std::string>& arguments, const std::string& input) {
  std::vector<std::string> words{"mcpctl"};
  words.insert(words.end(), arguments.begin(), arguments.end());
  return RunProgram(std::string(MCPFLEET_BINARY_DIR) + "/mcpctl", words, input);
}

Ran McpctlTest::RunProgram(const std::string& program, const std::vector<std::string>& words,
                           const std::string& input) {
  std::vector<std::string> environment;
  for (const auto& [name, value] : env_) environment.push_back(name + "=" + value);
  const std::vector<char*> argv = ArgvOf(words), envp = ArgvOf(environment);
  int in[2], out[2], err[2];
  EXPECT_EQ(pipe2(in, O_CLOEXEC) + pipe2(out, O_CLOEXEC) + pipe2(err, O_CLOEXEC), 0);
  pid_t pid = fork();
  if (pid == 0) {
    dup2(in[0], 0);
    dup2(out[1], 1);
    dup2(err[1], 2);
    execve(program.c_str(), argv.data(), envp.data());
    _exit(126);
  }
  for (int fd : {in[0], out[1], err[1]}) close(fd);
  UniqueFd read_out(out[0]), read_err(err[0]);
  Ran ran;
  if (!Converse(in[1], out[0], err[0], input, &ran, Deadline::After(std::chrono::seconds(30)))) {
    ADD_FAILURE() << "mcpctl took too long; stderr: " << ran.err;
    kill(pid, SIGKILL);
  }
  int status = 0;
  waitpid(pid, &status, 0);
  ran.code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return ran;
}

std::string McpctlTest::Out(const std::vector<std::string>& arguments, const std::string& input) {
  Ran ran = Run(arguments, input);
  EXPECT_EQ(ran.code, 0) << Join(arguments, " ") << ": " << ran.err << ran.out;
  return ran.out;
}

std::string McpctlTest::File(const std::string& name, const std::string& content, int mode) {
  std::string path = dir_ / name;
  EXPECT_TRUE(MakeDirectories(path.substr(0, path.rfind('/'))).ok());
  EXPECT_TRUE(WriteFileAtomically(path, content, mode).ok());
  return path;
}

std::string McpctlTest::Read(const std::string& name) { return ReadFile(dir_ / name, 1 << 20).value_or(""); }

std::string McpctlTest::Manifest(const std::string& name, const std::string& version, const std::string& labels) {
  return "---\napiVersion: mcpfleet.dev/v1alpha1\nkind: MCPServer\nmetadata:\n  name: " + name + "\n" +
         (labels.empty() ? "" : "  labels: {" + labels + "}\n") + "spec:\n  source:\n    image: {ref: \"example/" +
         name + ":" + version + "\"}\n";
}

void McpctlTest::Apply(const std::string& manifests) { Out({"apply", "-f", "-"}, manifests); }

void McpctlTest::Report(const NodeStatus& node) {
  Status put = store_.kv()
                   .Client(kServerStateNamespace)
                   ->Put("nodes/" + node.node, DumpJson(NodeStatusToJson(node)), {}, testing::Soon());
  EXPECT_TRUE(put.ok()) << put;
}

ServerStatus McpctlTest::Ready(const std::string& name, int64_t generation, ConditionStatus status,
                               const std::string& reason) {
  ServerStatus server{.key = {"default", name}, .observed_generation = generation, .revision = std::string(64, 'a')};
  server.conditions = {{.type = "Ready",
                        .status = status,
                        .observed_generation = generation,
                        .reason = reason,
                        .message = "said by the node"}};
  server.server_info = {.name = "demo", .version = "1", .protocol_version = "2025-11-25", .capabilities = {"tools"}};
  server.catalog.tools = 11;
  server.endpoint = "http://127.0.0.1:8700/default/" + name + "/mcp";
  return server;
}

NodeStatus McpctlTest::Node(const std::string& name, std::vector<ServerStatus> servers) {
  return {.node = name,
          .version = "0.1.0",
          .heartbeat = SystemClock().Wall(),
          .accepted_head = "0.1.1",
          .runtimes = {"Process"},
          .conditions = {{.type = "Ready", .status = ConditionStatus::kTrue, .reason = "Running"}},
          .servers = std::move(servers)};
}

std::string McpctlTest::Head() {
  auto head = ReadHead(*store_.kv().Client(kConfigNamespace), testing::Soon());
  EXPECT_TRUE(head.ok()) << head.status();
  return head.ok() && head->has_value() ? ToString((*head)->order) : "";
}

size_t McpctlTest::Keys() {
  auto keys = ListAll(*store_.kv().Client(kConfigNamespace), "", 10'000, testing::Soon());
  return keys.ok() ? keys->size() : 0;
}

}  // namespace mcpfleet::cli
