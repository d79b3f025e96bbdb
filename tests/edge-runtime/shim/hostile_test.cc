// Children that go for the shim or for its socket, and agents too many.
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>

#include <gtest/gtest.h>

#include "edge-runtime/shim/wire.h"
#include "tests/edge-runtime/shim/shim_world.h"

namespace mcpfleet::shim_test {
namespace {

using Phase = MainState::Phase;

class HostileChildTest : public testing::TestWithParam<int> {};
TEST_P(HostileChildTest, GetsNothingFromTheShimAndDoesNotStopIt) {
  World world;
  ShimProcessOptions options;
  options.uid = GetParam();
  world.Start("hostile", options);
  ASSERT_TRUE(world.host().StartMain("hostile", ChildArgv("hostile"), {}, Transport::kStdio, Soon()).ok());
  auto channel = world.host().MainChannel("hostile");
  ASSERT_NE(channel, nullptr);
  Lines lines(channel);
  ASSERT_TRUE(channel->Send("still here", Soon()).ok());
  ASSERT_TRUE(lines.WaitFor(9));
  std::vector<std::string> all = lines.all();
  EXPECT_EQ(all[0], "socket absent") << "the socket is gone once the shim said hello";
  EXPECT_NE(all[1], "unlink done");
  EXPECT_EQ(all[2], "create Read-only file system");
  EXPECT_EQ(all[3], "environ refused");
  EXPECT_EQ(all[5], "fd refused");
  EXPECT_EQ(all[6], "ptrace refused");
  if (world.host().SeparatesClients("hostile") == true) {
    EXPECT_EQ(all[7], "helper refused");
  }
  EXPECT_EQ(all[8], "still here");
  EXPECT_EQ(all[4], "mem refused");
  EXPECT_TRUE(world.host().Connected("hostile"));
}
INSTANTIATE_TEST_SUITE_P(Users, HostileChildTest, testing::Values(65534, 0),
                         [](const auto& test) { return test.param == 0 ? "Root" : "Nobody"; });

TEST(ShimHostileTest, AFloodOfConnectionsIsRefusedAndTheSessionIsAdopted) {
  World world;
  world.Start("flood");
  ASSERT_TRUE(world.host().StartMain("flood", ChildArgv("flood", {"flood"}), {}, Transport::kStdio, Soon()).ok());
  int pid = world.host().Main("flood").pid;
  // While no agent is there the children find the socket of the next one before the shim does.
  for (int i = 0; i < 3; ++i) {
    world.RestartHost();
    EXPECT_TRUE(world.host().Connected("flood"));
    EXPECT_EQ(world.host().Main("flood").phase, Phase::kRunning);
    EXPECT_EQ(world.host().Main("flood").pid, pid);
  }
}

TEST(ShimHostileTest, AnotherProcessOnTheHostIsNotTheShim) {
  World world;
  auto directory = world.host().Prepare("foreign");
  ASSERT_TRUE(directory.ok());
  world.host().Expect("foreign", 1);  // not us
  int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
  UniqueFd owned(fd);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::string path = *directory + "/agent.sock";
  ASSERT_LT(path.size(), sizeof address.sun_path);
  memcpy(address.sun_path, path.c_str(), path.size() + 1);
  ASSERT_EQ(connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  ASSERT_TRUE(PollFd(fd, POLLIN, Soon()).ok());
  char byte;
  EXPECT_LE(recv(fd, &byte, 1, 0), 0) << "closed without a word";
  EXPECT_FALSE(world.host().Connected("foreign"));
}

// Plays a shim that breaks the protocol: this process is the expected pid.
class ImpostorTest : public testing::Test {
 protected:
  ImpostorTest() {
    directory_ = *world_.host().Prepare("impostor");
    world_.host().Expect("impostor", getpid());
  }
  void TearDown() override { world_.host().Forget("impostor"); }
  UniqueFd Connect() {
    UniqueFd fd(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::string path = directory_ + "/agent.sock";
    memcpy(address.sun_path, path.c_str(), path.size() + 1);
    EXPECT_TRUE(
        Eventually([&] { return connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0; }));
    return fd;
  }
  void SayHello(int fd, const std::string& name) {
    uint8_t buffer[256];
    shim::Writer writer(buffer, sizeof buffer);
    shim::Hello hello;
    hello.instance = {name.data(), static_cast<uint32_t>(name.size())};
    shim::Encode(&writer, {shim::kVersion, shim::Type::kHello, 1, 0}, hello);
    ASSERT_EQ(send(fd, buffer, writer.size(), MSG_NOSIGNAL), static_cast<ssize_t>(writer.size()));
  }
  bool Closed(int fd) {
    char byte;
    return PollFd(fd, POLLIN, Soon()).ok() && recv(fd, &byte, 1, 0) <= 0;
  }
  World world_;
  std::string directory_;
};

TEST_F(ImpostorTest, GarbageClosesTheConnection) {
  UniqueFd fd = Connect();
  ASSERT_GT(send(fd.get(), "garbage that is no header", 25, MSG_NOSIGNAL), 0);
  EXPECT_TRUE(Closed(fd.get()));
}

TEST_F(ImpostorTest, AnotherInstancesNameIsRefused) {
  UniqueFd fd = Connect();
  SayHello(fd.get(), "somebody-else");
  EXPECT_TRUE(Closed(fd.get()));
}

TEST_F(ImpostorTest, SilenceIsClosedAfterTwoSeconds) {
  UniqueFd fd = Connect();
  EXPECT_TRUE(Closed(fd.get()));
}

TEST_F(ImpostorTest, AnOversizedPacketClosesTheConnection) {
  UniqueFd fd = Connect();
  SayHello(fd.get(), "impostor");
  std::string packet(shim::kMaxMessage + 10, 1);
  ASSERT_GT(send(fd.get(), packet.data(), packet.size(), MSG_NOSIGNAL), 0);
  EXPECT_TRUE(Closed(fd.get()));
}

TEST_F(ImpostorTest, ASessionWithAForeignJournalIsEndedAndNotAdopted) {
  UniqueFd fd = Connect();
  SayHello(fd.get(), "impostor");
  int ends[2];
  ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
  UniqueFd r(ends[0]), w(ends[1]);
  UniqueFd journal(open("/proc/self/status", O_RDONLY | O_CLOEXEC));
  uint8_t buffer[256];
  shim::Writer writer(buffer, sizeof buffer);
  shim::Session session;
  session.state = shim::SessionState::kRunning;
  session.descriptors = shim::kInW | shim::kOutR | shim::kJournal;
  session.pid = 2;
  shim::Encode(&writer, {shim::kVersion, shim::Type::kSession, 2, shim::kMainSessionBit | 1}, session);
  int descriptors[3] = {w.get(), r.get(), journal.get()};
  iovec io{buffer, writer.size()};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof descriptors)] = {};
  msghdr message{};
  message.msg_iov = &io;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  cmsghdr* c = CMSG_FIRSTHDR(&message);
  c->cmsg_level = SOL_SOCKET;
  c->cmsg_type = SCM_RIGHTS;
  c->cmsg_len = CMSG_LEN(sizeof descriptors);
  memcpy(CMSG_DATA(c), descriptors, sizeof descriptors);
  ASSERT_GT(sendmsg(fd.get(), &message, MSG_NOSIGNAL), 0);
  ASSERT_TRUE(PollFd(fd.get(), POLLIN, Soon()).ok());
  ssize_t n = recv(fd.get(), buffer, sizeof buffer, 0);
  ASSERT_GE(n, 16);
  shim::Reader reader(buffer, static_cast<size_t>(n));
  shim::Header header;
  ASSERT_TRUE(shim::Take(&reader, &header));
  EXPECT_EQ(header.type, shim::Type::kEnd);
  EXPECT_EQ(world_.host().MainChannel("impostor"), nullptr);
}

TEST(ShimHostileTest, ASecondAgentIsRefusedWhileTheFirstLives) {
  World world;
  SystemClock clock;
  auto second = ShimHost::Create(world.state(), clock);
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.status().code(), StatusCode::kFailedPrecondition);
  world.StopHost();
  EXPECT_TRUE(ShimHost::Create(world.state(), clock).ok());
}

}  // namespace
}  // namespace mcpfleet::shim_test
