#include "edge-runtime/shim/install.h"
#include "base/libexec.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdlib>

#include <gtest/gtest.h>

#include "base/fd.h"
#include "edge-runtime/shim/network.h"
#include "tests/edge-runtime/shim/shim_world.h"

namespace mcpfleet::shim_test {
namespace {

TEST(InstallTest, EachVersionOfTheShimHasItsOwnPath) {
  TempDirectory directory;
  ASSERT_TRUE(WriteFileAtomically(directory.path() + "/source", "version one", 0755).ok());
  auto one = InstallShim(directory.path(), directory.path() + "/source");
  ASSERT_TRUE(one.ok()) << one.status();
  struct stat info {};
  ASSERT_EQ(stat(one->c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0755u);
  EXPECT_EQ(*InstallShim(directory.path(), directory.path() + "/source"), *one);
  ASSERT_TRUE(WriteFileAtomically(directory.path() + "/source", "version two", 0755).ok());
  auto two = InstallShim(directory.path(), directory.path() + "/source");
  ASSERT_TRUE(two.ok());
  EXPECT_NE(*one, *two);
  EXPECT_EQ(*ReadFile(*one, 100), "version one") << "what runs keeps its program";
}

TEST(InstallTest, TheShimIsFoundWhereTheVariableSays) {
  TempDirectory directory;
  ASSERT_TRUE(WriteFileAtomically(directory.path() + "/mcp-shim", "x", 0755).ok());
  setenv("MCPFLEET_LIBEXEC", directory.path().c_str(), 1);
  EXPECT_EQ(*FindOwnProgram("mcp-shim"), directory.path() + "/mcp-shim");
  unsetenv("MCPFLEET_LIBEXEC");
}

TEST(NetworkTest, AServerWithoutNetworkIsReachedInItsOwnNamespace) {
  int ready[2];
  ASSERT_EQ(pipe2(ready, O_CLOEXEC), 0);
  UniqueFd ready_r(ready[0]), ready_w(ready[1]);
  int pid = static_cast<int>(syscall(SYS_clone, CLONE_NEWNET | SIGCHLD, nullptr, nullptr, nullptr, nullptr));
  if (pid == 0) {
    // Any address works over "lo" once it is up; the kernel's own socket ioctls need no library.
    int control = socket(AF_INET, SOCK_DGRAM, 0);
    struct {
      char name[16];
      short flags;
      char rest[22];
    } request = {"lo", 1 /* IFF_UP */, {0}};
    if (syscall(SYS_ioctl, control, 0x8914 /* SIOCSIFFLAGS */, &request) != 0) _exit(1);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(8080);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 || listen(fd, 8) != 0) _exit(2);
    if (write(ready_w.get(), "r", 1) != 1) _exit(3);
    int peer = accept(fd, nullptr, nullptr);
    if (write(peer, "inside", 6) != 6) _exit(4);
    _exit(0);
  }
  ASSERT_TRUE(PollFd(ready_r.get(), POLLIN, Soon()).ok());
  auto refused = ConnectInNamespace(pid, "127.0.0.1", 8081, Soon());
  EXPECT_EQ(refused.status().code(), StatusCode::kUnavailable) << refused.status();
  auto fd = ConnectInNamespace(pid, "127.0.0.1", 8080, Soon());
  ASSERT_TRUE(fd.ok()) << fd.status();
  ASSERT_TRUE(PollFd(fd->get(), POLLIN, Soon()).ok());
  char text[16] = {0};
  ASSERT_EQ(read(fd->get(), text, sizeof text), 6);
  EXPECT_STREQ(text, "inside");
  KillAndReap(pid);
  EXPECT_EQ(ConnectInNamespace(pid, "127.0.0.1", 8080, Soon()).status().code(), StatusCode::kNotFound);
  EXPECT_EQ(ConnectInNamespace(getpid(), "localhost", 8080, Soon()).status().code(), StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace mcpfleet::shim_test
