#include "tests/edge-runtime/process/outside_world.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include <gtest/gtest.h>

#include "base/argv.h"
#include "base/strings.h"

namespace mcpfleet {

pid_t SpawnProgram(const std::vector<std::string>& argv) {
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
  return waitpid(SpawnProgram(argv), &status, 0) > 0 && status == 0;
}

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

bool WasReached(const UniqueFd& listener) {
  return UniqueFd(accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC)).valid();
}

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

void OutsideWorld::Enter(const UniqueFd& network) { ASSERT_EQ(setns(network.get(), CLONE_NEWNET), 0); }

void OutsideWorld::Make(const std::string& scratch) {
  network_ = UniqueFd(open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC));
  mounts_ = UniqueFd(open("/proc/thread-self/ns/mnt", O_RDONLY | O_CLOEXEC));
  ASSERT_EQ(unshare(CLONE_NEWNET | CLONE_NEWNS), 0);
  ASSERT_EQ(mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr), 0);
  outside_pid_ = SpawnProgram({"/usr/bin/busybox", "sleep", "1000"});  // holds the namespace
  outside_ = UniqueFd(open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC));
  ASSERT_EQ(unshare(CLONE_NEWNET), 0);
  host_ = UniqueFd(open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC));
  ASSERT_TRUE(Ip("link set lo up") && Ip("link add h0 type veth"));
  ASSERT_TRUE(Ip("link set veth0 netns " + std::to_string(outside_pid_)));
  ASSERT_TRUE(Ip("addr add 192.0.2.1/24 dev h0") && Ip("link set h0 up"));
  Outside([] { ASSERT_TRUE(Ip("addr add 192.0.2.2/24 dev veth0") && Ip("link set veth0 up")); });
  ASSERT_TRUE(WriteFileAtomically(scratch + "/resolv.conf", "nameserver 127.0.0.1\n", 0644).ok());
  ASSERT_EQ(mount((scratch + "/resolv.conf").c_str(), "/etc/resolv.conf", nullptr, MS_BIND, nullptr), 0);
}

OutsideWorld::~OutsideWorld() {
  if (outside_pid_ > 0) {
    kill(outside_pid_, SIGKILL);
    waitpid(outside_pid_, nullptr, 0);
  }
  if (!mounts_.valid()) return;
  EXPECT_EQ(setns(network_.get(), CLONE_NEWNET), 0);
  EXPECT_EQ(setns(mounts_.get(), CLONE_NEWNS), 0);
}

}  // namespace mcpfleet
