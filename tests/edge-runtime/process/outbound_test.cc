// Network Outbound with a namespace of its own, in a world that the test makes: the test's own network namespace is
// "the host", where the monitors run; a second one behind a pair of virtual cables is "outside". No other network is
// used.
#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>

#include <cstring>
#include <thread>

#include "base/argv.h"
#include "base/strings.h"
#include "edge-runtime/process/instance_directory.h"
#include "edge-runtime/process/package_tool.h"
#include "tests/edge-runtime/process/process_fixture.h"

namespace mcpfleet {
namespace {

bool Has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

pid_t Spawn(const std::vector<std::string>& argv) {
  const std::vector<char*> words = ArgvOf(argv);
  const pid_t pid = fork();
  if (pid == 0) {
    execv(words[0], words.data());
    _exit(127);
  }
  return pid;
}

bool Ip(const std::string& arguments) {
  std::vector<std::string> argv = {"/usr/bin/busybox", "ip"};
  for (const std::string& word : Split(arguments, ' ')) argv.push_back(word);
  int status = -1;
  return waitpid(Spawn(argv), &status, 0) > 0 && status == 0;
}

// Bound in the network namespace that the thread is in now.
UniqueFd Bind(int type, const char* address, int* port) {
  UniqueFd fd(socket(AF_INET, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  sockaddr_in at{};
  at.sin_family = AF_INET;
  at.sin_port = htons(static_cast<uint16_t>(*port));
  inet_pton(AF_INET, address, &at.sin_addr);
  socklen_t size = sizeof at;
  const bool ok = bind(fd.get(), reinterpret_cast<sockaddr*>(&at), size) == 0 &&
                  (type != SOCK_STREAM || listen(fd.get(), 8) == 0) &&
                  getsockname(fd.get(), reinterpret_cast<sockaddr*>(&at), &size) == 0;
  EXPECT_TRUE(ok) << address << ": " << strerror(errno);
  *port = ntohs(at.sin_port);
  return fd;
}

// Whether somebody has connected; takes that connection.
bool WasReached(const UniqueFd& listener) {
  return UniqueFd(accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC)).valid();
}

// Answers every question on `fd` with 192.0.2.2, until `stop` can be read.
void AnswerNames(int fd, int stop) {
  for (;;) {
    pollfd fds[2] = {{fd, POLLIN, 0}, {stop, POLLIN, 0}};
    if (poll(fds, 2, 20000) <= 0 || fds[1].revents != 0) return;
    unsigned char message[512];
    sockaddr_in from{};
    socklen_t size = sizeof from;
    ssize_t n = recvfrom(fd, message, sizeof message - 16, 0, reinterpret_cast<sockaddr*>(&from), &size);
    if (n < 17) continue;
    ssize_t end = 12;
    while (end < n && message[end] != 0) end += message[end] + 1;
    end += 5;
    message[2] = 0x81, message[3] = 0x80;
    memset(message + 6, 0, 6);
    if (message[end - 3] == 1) {  // an A record is asked for
      const unsigned char answer[] = {0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 9, 0, 4, 192, 0, 2, 2};
      memcpy(message + end, answer, sizeof answer);
      message[7] = 1;
      end += sizeof answer;
    }
    sendto(fd, message, static_cast<size_t>(end), 0, reinterpret_cast<sockaddr*>(&from), size);
  }
}

class OutboundTest : public ProcessTest {
 protected:
  void SetUp() override {
    ProcessTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    if (FindProgram("slirp4netns").empty() || access("/dev/net/tun", F_OK) != 0)
      GTEST_SKIP() << "slirp4netns or /dev/net/tun is missing (scripts/install-deps --test)";
    network_ = UniqueFd(open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC));
    mounts_ = UniqueFd(open("/proc/thread-self/ns/mnt", O_RDONLY | O_CLOEXEC));
    ASSERT_EQ(unshare(CLONE_NEWNET | CLONE_NEWNS), 0);
    ASSERT_EQ(mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr), 0);
    outside_pid_ = Spawn({"/usr/bin/busybox", "sleep", "1000"});  // holds the namespace
    const UniqueFd outside(open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC));
    ASSERT_EQ(unshare(CLONE_NEWNET), 0);
    const UniqueFd host(open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC));
    ASSERT_TRUE(Ip("link set lo up") && Ip("link add h0 type veth"));
    ASSERT_TRUE(Ip("link set veth0 netns " + std::to_string(outside_pid_)));
    ASSERT_TRUE(Ip("addr add 192.0.2.1/24 dev h0") && Ip("link set h0 up"));
    int port = 0;
    loopback_ = Bind(SOCK_STREAM, "127.0.0.1", &port);
    loopback_port_ = std::to_string(port);
    ASSERT_EQ(setns(outside.get(), CLONE_NEWNET), 0);
    ASSERT_TRUE(Ip("addr add 192.0.2.2/24 dev veth0") && Ip("link set veth0 up"));
    outside_ = Bind(SOCK_STREAM, "192.0.2.2", &(port = 0));
    outside_port_ = std::to_string(port);
    ASSERT_EQ(setns(host.get(), CLONE_NEWNET), 0);
    SetResolver("nameserver 127.0.0.1\n");
  }
  void TearDown() override {
    ProcessTest::TearDown();
    if (outside_pid_ > 0) {
      kill(outside_pid_, SIGKILL);
      waitpid(outside_pid_, nullptr, 0);
    }
    if (mounts_.valid()) {
      EXPECT_EQ(setns(network_.get(), CLONE_NEWNET), 0);
      EXPECT_EQ(setns(mounts_.get(), CLONE_NEWNS), 0);
    }
  }

  void SetResolver(const std::string& text) {
    ASSERT_TRUE(WriteFileAtomically(state_ + "/resolv.conf", text, 0644).ok());
    ASSERT_EQ(mount((state_ + "/resolv.conf").c_str(), "/etc/resolv.conf", nullptr, MS_BIND, nullptr), 0);
  }
  InstanceSpec Outbound(InstanceSpec spec) const {
    spec.spec.security.network = NetworkMode::kOutbound;
    return spec;
  }
  InstanceSpec Connects(const std::vector<std::string>& addresses) const {
    std::string list;
    for (const std::string& address : addresses) list += address + " ";
    return Instance("a", {"/usr/bin/python3", "-c",
                          "import socket, sys\nfor a in sys.argv[1].split():\n  h, p = a.split(':')\n  try:\n"
                          "    socket.create_connection((h, int(p)), 3)\n    print('reached', a)\n"
                          "  except OSError as e: print('no', a, e)\n",
                          list});
  }
  // The process beside the instance; 0 when there is none.
  int RelayOf(int monitor) const {
    int found = 0;
    DIR* proc = opendir("/proc");
    while (const dirent* entry = readdir(proc)) {
      StatusOr<std::string> status = ReadFile(std::string("/proc/") + entry->d_name + "/status", 1 << 16);
      if (status.ok() && Has(*status, "Name:\tslirp4netns\n") &&
          Has(*status, "PPid:\t" + std::to_string(monitor) + "\n"))
        found = std::atoi(entry->d_name);
    }
    closedir(proc);
    return found;
  }

  UniqueFd network_, mounts_, loopback_, outside_;
  pid_t outside_pid_ = 0;
  std::string loopback_port_, outside_port_;
};

TEST_F(OutboundTest, TheOutsideIsReachedAndTheHostsLoopbackIsNot) {
  const std::string port = ":" + loopback_port_;
  const std::string out = OutputOf(Outbound(Connects(
      {"192.0.2.2:" + outside_port_, "127.0.0.1" + port, "10.0.2.2" + port, "10.0.2.3" + port, "0.0.0.0" + port})));
  EXPECT_TRUE(Has(out, "reached 192.0.2.2")) << out;
  EXPECT_TRUE(WasReached(outside_));
  for (const char* address : {"127.0.0.1", "10.0.2.2", "10.0.2.3", "0.0.0.0"})
    EXPECT_TRUE(Has(out, std::string("no ") + address + ":")) << out;
  EXPECT_FALSE(WasReached(loopback_));
  EXPECT_EQ(Report("a").unenforced, "");
}

TEST_F(OutboundTest, NamesAreResolvedByTheHostsResolverOnItsLoopback) {
  int port = 53, stop[2];
  const UniqueFd resolver = Bind(SOCK_DGRAM, "127.0.0.1", &port);
  ASSERT_EQ(pipe2(stop, O_CLOEXEC), 0);
  const UniqueFd stopped(stop[0]);
  UniqueFd stopper(stop[1]);
  std::thread server(AnswerNames, resolver.get(), stop[0]);
  const std::string out = OutputOf(Outbound(Connects({"outside.test:" + outside_port_})));
  stopper.Reset();
  server.join();
  EXPECT_TRUE(Has(out, "reached outside.test")) << out;
}

TEST_F(OutboundTest, WithoutANetworkNothingIsReached) {
  const std::string out = OutputOf(Connects({"192.0.2.2:" + outside_port_, "127.0.0.1:" + loopback_port_}));
  EXPECT_TRUE(Has(out, "no 192.0.2.2:") && Has(out, "no 127.0.0.1:")) << out;
  EXPECT_FALSE(WasReached(outside_) || WasReached(loopback_));
}

TEST_F(OutboundTest, WithoutSlirp4netnsTheLoopbackIsReachedWhichIsSaidAndRefusedWhenRequired) {
  options_.relay_binary = "no-such-slirp4netns";
  Recreate();
  InstanceSpec spec = Outbound(Connects({"127.0.0.1:" + loopback_port_}));
  const Status required = runtime_->Create(spec, Soon());
  EXPECT_EQ(required.code(), StatusCode::kFailedPrecondition);
  EXPECT_TRUE(Has(Message(required), "network Outbound") && Has(Message(required), "apt-get install slirp4netns"))
      << required;
  spec.spec.security.enforcement = Enforcement::kBestEffort;
  EXPECT_TRUE(Has(OutputOf(spec), "reached 127.0.0.1"));
  EXPECT_TRUE(Has(Report("a").unenforced, "apt-get install slirp4netns")) << Report("a").unenforced;
}

TEST_F(OutboundTest, AServerMayListenOnItsOwnLoopback) {
  const std::string out = OutputOf(Outbound(
      Shell("a", "(echo hi | nc -l -p 18123 127.0.0.1) & sleep 0.3; nc 127.0.0.1 18123 </dev/null; echo rc=$?")));
  EXPECT_TRUE(Has(out, "rc=0\n")) << out;
}

TEST_F(OutboundTest, TheRelayHasNoRightsNoDescriptorsAndIsInTheInstancesLimits) {
  const UniqueFd leak(open("/etc/passwd", O_RDONLY));  // deliberately without O_CLOEXEC
  ASSERT_TRUE(Run(Outbound(Shell("a", "sleep 1000"))).ok());
  const int relay = RelayOf(MonitorOf("a"));
  const std::string proc = "/proc/" + std::to_string(relay) + "/";
  // It makes its sandbox after the network is up.
  std::string status;
  EXPECT_TRUE(Eventually([&] {
    status = ReadFile(proc + "status", 1 << 16).value_or("");
    return Has(status, "Seccomp:\t2\n");
  })) << status;
  for (const char* line : {"CapEff:\t0000000000000400\n", "CapBnd:\t0000000000000400\n", "CapAmb:\t0000000000000000\n",
                           "NoNewPrivs:\t1\n"}) {
    EXPECT_TRUE(Has(status, line)) << line << status;
  }
  EXPECT_TRUE(Has(status, "NSpid:\t" + std::to_string(relay) + "\t1\n")) << "it sees the host's processes";
  EXPECT_TRUE(Has(ReadFile(proc + "cgroup", 1 << 16).value_or(""), "/a\n"));
  for (int fd = 0; fd < 64; ++fd) {
    const std::string path = proc + "fd/" + std::to_string(fd);
    char target[512] = "";
    struct stat st;
    if (readlink(path.c_str(), target, sizeof target - 1) <= 0 || stat(path.c_str(), &st) != 0) continue;
    const bool null_or_tun = S_ISCHR(st.st_mode) && (st.st_rdev == makedev(1, 3) || st.st_rdev == makedev(10, 200));
    const std::string_view name = target;
    EXPECT_TRUE(null_or_tun || name.starts_with("/memfd:relay") || name.starts_with("net:[") ||
                name.starts_with("socket:["))
        << fd << " is " << name;
  }
  EXPECT_NE(access((proc + "root/usr").c_str(), F_OK), 0) << "it sees the host's files";
}

TEST_F(OutboundTest, TheRelayOutlivesMcpletAndEndsWithTheInstance) {
  ASSERT_TRUE(Run(Outbound(Shell("a", "sleep 1000"))).ok());
  const int relay = RelayOf(MonitorOf("a"));
  ASSERT_GT(relay, 0);
  Recreate();
  EXPECT_EQ(RelayOf(MonitorOf("a")), relay);
  EXPECT_TRUE(runtime_->Stop("a", Duration::zero(), Soon()).ok());
  EXPECT_NE(kill(relay, 0), 0) << "it is still there after Stop";
}

TEST_F(OutboundTest, TheRelayDiesWithItsMonitor) {
  ASSERT_TRUE(Run(Outbound(Shell("a", "sleep 1000"))).ok());
  const int monitor = MonitorOf("a"), relay = RelayOf(monitor);
  ASSERT_GT(relay, 0);
  ASSERT_EQ(kill(monitor, SIGKILL), 0);
  EXPECT_TRUE(Eventually([&] { return kill(relay, 0) != 0; }));
}

TEST_F(OutboundTest, AnInstanceWhoseRelayDiesEndsAndItsLogSaysWhy) {
  ASSERT_TRUE(Run(Outbound(Shell("a", "sleep 1000"))).ok());
  const int relay = RelayOf(MonitorOf("a"));
  ASSERT_GT(relay, 0);
  ASSERT_EQ(kill(relay, SIGKILL), 0);
  const InstanceReport report = WaitForExit("a");
  ASSERT_TRUE(report.exit.has_value());
  EXPECT_EQ(report.exit->signal, SIGKILL);
  EXPECT_FALSE(report.exit->oom);
  EXPECT_TRUE(Has(LogText("a"), "slirp4netns ended, and the instance with it")) << LogText("a");
}

TEST_F(OutboundTest, ARelayThatCannotStartIsAnErrorOfStart) {
  options_.relay_binary = "/usr/bin/false";
  Recreate();
  const Status status = Run(Outbound(Shell("a", "sleep 1000")));
  EXPECT_EQ(status.code(), StatusCode::kFailedPrecondition);
  EXPECT_TRUE(Has(Message(status), "network:")) << status;
  EXPECT_EQ(Report("a").state, InstanceState::kCreated);
}

}  // namespace
}  // namespace mcpfleet
