#include "tests/integration/node.h"

#include <dirent.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>

#include "base/digest.h"
#include "base/fd.h"
#include "base/http/client.h"
#include "base/strings.h"
#include "tests/fakes/containerd_engine.h"
#include "tests/fakes/docker_engine.h"

namespace mcpfleet {
namespace {

using std::chrono::seconds;

constexpr char kPrefix[] = "mcpfleet-it-";
constexpr size_t kMaxFile = size_t{64} << 20;
constexpr const char* kHierarchies[] = {"", "/memory", "/cpu", "/cpuacct", "/pids", "/unified"};

std::vector<std::string> Names(const std::string& directory) {
  std::vector<std::string> names;
  DIR* listing = opendir(directory.c_str());
  if (listing == nullptr) return names;
  while (const dirent* entry = readdir(listing)) {
    if (entry->d_name[0] != '.') names.emplace_back(entry->d_name);
  }
  closedir(listing);
  return names;
}

// Living processes (no zombies) for which `wanted(pid)` holds.
template <typename Wanted>
std::vector<pid_t> Processes(Wanted wanted) {
  std::vector<pid_t> pids;
  for (const std::string& name : Names("/proc")) {
    const pid_t pid = static_cast<pid_t>(std::atoi(name.c_str()));
    if (pid > 1 && wanted(pid)) pids.push_back(pid);
  }
  return pids;
}

std::string ProcFile(pid_t pid, const char* name) {
  StatusOr<std::string> text = ReadFile("/proc/" + std::to_string(pid) + "/" + name, kMaxFile);
  return text.ok() ? *text : "";
}

bool IsZombie(pid_t pid) {
  const std::string stat = ProcFile(pid, "stat");
  const size_t end = stat.rfind(") ");
  return end == std::string::npos || stat[end + 2] == 'Z' || stat[end + 2] == 'X';
}

std::string ScopeOf(const std::string& state) { return Sha256Hex(state).substr(0, 12); }

bool OfNode(pid_t pid, const std::string& scope, const std::string& state) {
  if (IsZombie(pid)) return false;
  return ProcFile(pid, "cgroup").find("/" + scope) != std::string::npos ||
         ProcFile(pid, "cmdline").find(state) != std::string::npos;
}

std::vector<std::string> CgroupsOf(const std::string& scope) {
  std::vector<std::string> left;
  for (const char* hierarchy : kHierarchies) {
    const std::string directory = std::string("/sys/fs/cgroup") + hierarchy + "/mcpfleet/" + scope;
    for (const std::string& name : Names(directory)) {
      if (access((directory + "/" + name + "/cgroup.procs").c_str(), F_OK) == 0) left.push_back(directory + "/" + name);
    }
  }
  return left;
}

void RemoveScope(const std::string& scope) {
  for (const char* hierarchy : kHierarchies)
    rmdir((std::string("/sys/fs/cgroup") + hierarchy + "/mcpfleet/" + scope).c_str());
}

// What no drain could end: by pid, only processes that are certainly of this node.
void KillNode(const std::string& state) {
  const std::string scope = ScopeOf(state);
  for (const pid_t pid : Processes([&](pid_t p) { return OfNode(p, scope, state); })) kill(pid, SIGKILL);
  WaitFor([&] { return Processes([&](pid_t p) { return OfNode(p, scope, state); }).empty(); }, seconds(10));
  for (const std::string& cgroup : CgroupsOf(scope)) rmdir(cgroup.c_str());
  RemoveScope(scope);
}

Json Merged(Json base, const Json& over) {
  base.merge_patch(over);
  return base;
}

Json Manifest(const std::string& name, Json spec) {
  return {{"apiVersion", "mcpfleet.dev/v1alpha1"},
          {"kind", "MCPServer"},
          {"metadata", {{"name", name}}},
          {"spec", std::move(spec)}};
}

Json TestSpec(Json source, const char* runtime, const std::vector<std::string>& args) {
  Json spec = {{"source", std::move(source)},
               {"runtime", runtime},
               {"resources", {{"limits", {{"memory", "64Mi"}, {"pids", 32}}}}},
               {"terminationGracePeriod", "2s"}};
  if (!args.empty()) spec["args"] = args;
  return spec;
}

std::string NodeName() {
  static std::atomic<int> count{0};
  return "it-" + std::to_string(getpid()) + "-" + std::to_string(++count);
}

}  // namespace

void SweepDeadRuns() {
  for (const std::string& name : Names("/tmp")) {
    if (!name.starts_with(kPrefix)) continue;
    const pid_t owner = static_cast<pid_t>(std::atoi(name.c_str() + sizeof kPrefix - 1));
    if (owner <= 0 || kill(owner, 0) == 0) continue;
    const std::string directory = "/tmp/" + name;
    KillNode(directory + "/state");
    RemoveTree(directory).IgnoreError();
  }
}

Json ProcessServer(const std::string& name, const std::vector<std::string>& args, const Json& spec) {
  return Manifest(name, Merged(TestSpec({{"process", {{"path", ProgramPath(kTestProgram)}}}}, "Process", args), spec));
}

Json DockerServer(const std::string& name, const std::vector<std::string>& args, const Json& spec) {
  return Manifest(name,
                  Merged(TestSpec({{"image", {{"ref", kTestImage}, {"pullPolicy", "Never"}}}}, "Docker", args), spec));
}

Json ContainerdServer(const std::string& name, const std::vector<std::string>& args, const Json& spec) {
  return Manifest(
      name, Merged(TestSpec({{"image", {{"ref", kTestImage}, {"pullPolicy", "Never"}}}}, "Containerd", args), spec));
}

std::string ContainerdSpace() { return "mcpfleet-it-" + std::to_string(getpid()); }

Node::Node(NodeOptions options)
    : options_(std::move(options)), name_(options_.name.empty() ? NodeName() : options_.name) {
  directory_ = options_.directory;
  if (directory_.empty()) {
    std::string pattern = std::string("/tmp/") + kPrefix + std::to_string(getpid()) + "-XXXXXX";
    directory_ = mkdtemp(pattern.data()) == nullptr ? "" : pattern;
  }
  EXPECT_FALSE(directory_.empty());
  EXPECT_TRUE(MakeDirectories(directory_, 0755).ok());
  chmod(directory_.c_str(), 0755);
  scope_ = ScopeOf(state());
  WriteConfiguration();
}

Node::~Node() {
  if (testing::Test::HasFailure()) fprintf(stderr, "%s\n", Report().c_str());
  if (Running()) Terminate();
  const CommandResult drained = Drain();
  EXPECT_TRUE(drained.ok()) << "drain: " << drained;
  // The last monitors end a moment after what they watched.
  std::vector<std::string> left;
  WaitFor([&] { return (left = Leftovers()).empty(); }, seconds(5));
  EXPECT_TRUE(left.empty()) << "left of node " << name_ << ":\n" << Join(left, "\n");
  if (!left.empty()) KillNode(state());
  RemoveScope(scope_);
  const Status removed = RemoveTree(directory_);
  EXPECT_TRUE(removed.ok()) << removed;
}

void Node::SetTrustRoot(const std::string& fingerprint) {
  trust_root_ = fingerprint;
  WriteConfiguration();
}

void Node::WriteConfiguration() const {
  Json store = {{"type", "Embedded"}, {"port", store_port_.number}};
  if (!options_.store_url.empty()) {
    store = {{"type", "Remote"}, {"url", options_.store_url}, {"tokenFile", options_.store_token_file}};
  }
  store["pollInterval"] = options_.store_poll_interval;
  if (!trust_root_.empty()) store["trustRoot"] = trust_root_;
  const Json docker = options_.docker_socket.empty() ? Json{{"enabled", "Never"}}
                                                     : Json{{"socket", options_.docker_socket},
                                                            {"stdio", options_.docker_attach ? "Attach" : "Auto"}};
  Json containerd = {{"enabled", "Never"}};
  if (options_.containerd != nullptr) {
    containerd = {{"enabled", "Auto"},
                  {"socket", options_.containerd->socket()},
                  {"snapshotter", options_.containerd->snapshotter()},
                  {"namespace", ContainerdSpace()}};
  }
  Json configuration = {{"apiVersion", "mcpfleet.dev/v1alpha1"},
                        {"kind", "MCPletConfiguration"},
                        {"metadata", {{"name", name_}}},
                        {"spec",
                         {{"stateDirectory", state()},
                          {"runDirectory", directory_ + "/run"},
                          {"store", store},
                          {"runtimes", {{"docker", docker}, {"containerd", containerd}}},
                          {"admin", {{"port", admin_port_.number}}},
                          {"gateway", Merged({{"port", gateway_port_.number}}, options_.gateway)},
                          {"logs", options_.logs},
                          {"policy", options_.policy}}}};
  if (!options_.kubernetes.empty()) configuration["spec"]["kubernetes"] = options_.kubernetes;
  if (!options_.tunnel.empty()) configuration["spec"]["tunnel"] = options_.tunnel;
  EXPECT_TRUE(WriteFileAtomically(directory_ + "/mcplet.yaml", DumpJsonPretty(configuration)).ok());
}

void Node::Spawn() {
  ASSERT_FALSE(Running());
  std::vector<std::string> argv = options_.wrapper;
  argv.insert(argv.end(), {ProgramPath("mcplet"), "--config", directory_ + "/mcplet.yaml"});
  if (!options_.source.empty()) argv.push_back("--source=" + options_.source);
  pid_ = StartProgram(argv, directory_ + "/mcplet.log");
  ASSERT_GT(pid_, 0);
}

void Node::Start() {
  Spawn();
  const bool up = WaitFor([&] {
    if (waitpid(pid_, nullptr, WNOHANG) != 0) pid_ = -1;
    return !Running() || !NodeStatus().is_null();
  });
  ASSERT_TRUE(up && Running()) << "mcplet does not come up\n" << Report();
  if (!context_made_ && OwnStore()) MakeContext();
}

void Node::MakeContext() {
  StatusOr<std::string> token = ReadFile(state() + "/store/operator-token", 4096);
  ASSERT_TRUE(token.ok()) << token.status();
  const CommandResult made = Mcpctl({"config", "set-context", "test", "--server", store_url(), "--admin",
                                     "unix://" + directory_ + "/run/mcplet.sock", "--token-stdin", "--use"},
                                    std::string(Trim(*token)) + "\n" + AdminToken() + "\n");
  ASSERT_TRUE(made.ok()) << made;
  context_made_ = true;
}

std::string Node::AdminToken() const {
  StatusOr<std::string> token = ReadFile(state() + "/admin-token", 4096);
  return token.ok() ? std::string(Trim(*token)) : "";
}

int Node::Terminate() { return EndProgram(std::exchange(pid_, -1), SIGTERM); }

void Node::KillDash9() { EndProgram(std::exchange(pid_, -1), SIGKILL); }

void Node::PowerOff() {
  KillDash9();
  KillNode(state());
}

CommandResult Node::Drain() {
  std::vector<std::string> argv = {ProgramPath("mcplet"), "--config", directory_ + "/mcplet.yaml", "--drain",
                                   "--timeout",           "60s"};
  if (!options_.source.empty()) argv.push_back("--source=" + options_.source);
  return RunCommand(argv, {"PATH=/usr/sbin:/usr/bin:/sbin:/bin"}, "", seconds(90));
}

CommandResult Node::Mcpctl(const std::vector<std::string>& args, const std::string& input, Duration timeout) {
  std::vector<std::string> argv = {ProgramPath("mcpctl")};
  argv.insert(argv.end(), args.begin(), args.end());
  return RunCommand(
      argv, {"PATH=/usr/bin:/bin", "NO_COLOR=1", "MCPFLEET_CONFIG=" + directory_ + "/context", "HOME=" + directory_},
      input, timeout);
}

CommandResult Node::Apply(const std::vector<Json>& manifests) {
  std::string text;
  for (const Json& manifest : manifests) text += "---\n" + DumpJsonPretty(manifest) + "\n";
  return Mcpctl({"apply", "-f", "-"}, text);
}

std::string Node::CallTool(const std::string& server, const std::string& tool, const Json& arguments) {
  const CommandResult result = Mcpctl({"tools", "call", server, tool, "--via", "admin", "--args", DumpJson(arguments)});
  return result.ok() ? std::string(Trim(result.out)) : "";
}

void Node::Poke(const std::string& server, const std::string& tool, const Json& arguments) {
  Mcpctl({"tools", "call", server, tool, "--via", "admin", "--timeout", "10s", "--args", DumpJson(arguments)});
}

namespace {
Json Get(const std::string& socket, const std::string& target) {
  http::Client client(http::UnixEndpoint(socket), {});
  StatusOr<http::Response> response = client.Do({.method = "GET", .target = target}, Deadline::After(seconds(5)));
  if (!response.ok() || response->status != 200) return nullptr;
  StatusOr<Json> json = ParseJson(response->body);
  return json.ok() ? *json : Json();
}
}  // namespace

Json Node::NodeStatus() { return Get(directory_ + "/run/mcplet.sock", "/v1/status"); }

Json Node::ServerStatus(const std::string& server) {
  return Get(directory_ + "/run/mcplet.sock", "/v1/servers/default/" + server);
}

std::string Node::Condition(const std::string& server, const std::string& type) {
  const Json status = ServerStatus(server);
  for (const Json& condition : GetMember(status, "conditions")) {
    if (GetString(condition, "type") == type)
      return GetString(condition, "status") + "/" + GetString(condition, "reason");
  }
  return "";
}

bool Node::WaitCondition(const std::string& server, const std::string& type, const std::string& status,
                         const std::string& reason, Duration timeout) {
  const auto holds = [&] {
    const std::string now = Condition(server, type);
    return reason.empty() ? now.starts_with(status + "/") : now == status + "/" + reason;
  };
  if (WaitFor(holds, timeout)) return true;
  fprintf(stderr, "%s: %s=%s (%s) was not reached; status: %s\n", server.c_str(), type.c_str(), status.c_str(),
          reason.c_str(), DumpJson(ServerStatus(server)).c_str());
  return false;
}

int64_t Node::Restarts(const std::string& server) {
  return GetInt(GetMember(ServerStatus(server), "restarts"), "count", 0);
}

std::vector<std::string> Node::InstanceIds(const std::string& server) {
  std::vector<std::string> ids;
  const Json status = ServerStatus(server);
  for (const Json& instance : GetMember(status, "instances")) ids.push_back(GetString(instance, "id"));
  return ids;
}

std::vector<std::string> Node::ContainerdContainers() {
  std::vector<std::string> ids;
  if (options_.containerd == nullptr) return ids;
  const StatusOr<std::string> list = options_.containerd->Ctr(
      ContainerdSpace(), {"containers", "ls", "--quiet", "labels.\"dev.mcpfleet.node\"==\"" + name_ + "\""});
  EXPECT_TRUE(list.ok()) << list.status();
  for (const std::string& id : Split(list.value_or(""), '\n')) {
    if (!id.empty()) ids.push_back(id);
  }
  return ids;
}

std::vector<std::string> Node::Containers() {
  std::vector<std::string> ids = ContainerdContainers();
  if (options_.docker_socket.empty()) return ids;
  StatusOr<DockerEngine::Answer> answer = DockerEngine::Shared()->Request(
      "GET", "/containers/json?all=1&filters=" + PercentEncode(R"({"label":["dev.mcpfleet.node=)" + name_ + R"("]})"));
  StatusOr<Json> list = answer.ok() ? ParseJson(answer->body) : answer.status();
  for (const Json& container : list.ok() ? *list : Json::array()) {
    // What the engine itself fails to unmount: nothing runs in it, and nobody but the engine can free it.
    const std::string state = GetString(container, "State");
    if (state != "dead" && state != "removing") ids.push_back(GetString(container, "Id"));
  }
  return ids;
}

std::vector<pid_t> Node::TestServerPids(const std::string& instance) {
  std::vector<std::string> marks;
  if (instance.empty()) {
    marks = Containers();
    marks.push_back("/" + scope_ + "/");
  } else {
    marks = {"/" + scope_ + "/" + instance, "/mcpfleet-containerd/" + instance};
    if (!options_.docker_socket.empty()) {
      StatusOr<DockerEngine::Answer> answer =
          DockerEngine::Shared()->Request("GET", "/containers/mcpfleet-" + instance + "/json");
      StatusOr<Json> container = answer.ok() ? ParseJson(answer->body) : answer.status();
      if (container.ok() && !GetString(*container, "Id").empty()) marks.push_back(GetString(*container, "Id"));
    }
  }
  return Processes([&](pid_t pid) {
    if (Trim(ProcFile(pid, "comm")) != kTestProgram || IsZombie(pid)) return false;
    const std::string cgroup = ProcFile(pid, "cgroup");
    for (const std::string& mark : marks) {
      if (cgroup.find(mark) != std::string::npos) return true;
    }
    return false;
  });
}

pid_t Node::ServerPid(const std::string& server) {
  const std::vector<std::string> ids = InstanceIds(server);
  if (ids.size() != 1) return 0;
  const std::vector<pid_t> pids = TestServerPids(ids[0]);
  return pids.size() == 1 ? pids[0] : 0;
}

std::vector<std::string> Node::Leftovers() {
  std::vector<std::string> left;
  for (const pid_t pid : Processes([&](pid_t p) { return p != pid_ && OfNode(p, scope_, state()); })) {
    left.push_back("process " + std::to_string(pid) + " " + Printable(ProcFile(pid, "cmdline"), 200));
  }
  for (const std::string& cgroup : CgroupsOf(scope_)) left.push_back("cgroup " + cgroup);
  for (const std::string& container : Containers()) left.push_back("container " + container);
  return left;
}

std::string Node::Log() const {
  StatusOr<std::string> log = ReadFile(directory_ + "/mcplet.log", kMaxFile);
  return log.ok() ? *log : "";
}

std::string Node::Report() const {
  const std::string log = Log();
  return "mcplet's log:\n" + (log.size() > 6000 ? log.substr(log.size() - 6000) : log);
}

}  // namespace mcpfleet
