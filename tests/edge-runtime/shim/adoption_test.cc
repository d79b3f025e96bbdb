// Sessions outlive the agent: a gentle restart, and kill -9 at random instants with lines under way both ways.
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iostream>
#include <random>
#include <set>
#include <thread>

#include <gtest/gtest.h>

#include "tests/edge-runtime/shim/numbered_lines.h"
#include "tests/edge-runtime/shim/shim_world.h"

namespace mcpfleet::shim_test {
namespace {

using Phase = MainState::Phase;

TEST(ShimAdoptionTest, ARestartedAgentFindsItsSessionNoteAndLines) {
  World world;
  world.Start("adopted");
  ASSERT_TRUE(world.host().StartMain("adopted", ChildArgv("echo"), {}, Transport::kStdio, Soon()).ok());
  int pid = world.host().Main("adopted").pid;
  auto channel = world.host().MainChannel("adopted");
  ASSERT_TRUE(channel->SaveNote("handshake done, next id 7").ok());
  EXPECT_EQ(channel->SaveNote(std::string((48 << 10) + 1, 'x')).code(), StatusCode::kResourceExhausted);
  ASSERT_TRUE(channel->Send("sent before", Soon()).ok());
  channel.reset();
  world.RestartHost();
  EXPECT_EQ(world.host().Main("adopted").phase, Phase::kRunning);
  EXPECT_EQ(world.host().Main("adopted").pid, pid);
  // Idempotent: the one that runs is the one that is wanted.
  ASSERT_TRUE(world.host().StartMain("adopted", ChildArgv("echo"), {}, Transport::kStdio, Soon()).ok());
  EXPECT_EQ(world.host().Main("adopted").pid, pid);
  channel = world.host().MainChannel("adopted");
  ASSERT_NE(channel, nullptr);
  EXPECT_EQ(channel->LoadNote(), "handshake done, next id 7");
  Lines lines(channel);
  ASSERT_TRUE(channel->Send("sent after", Soon()).ok());
  ASSERT_TRUE(lines.WaitFor(2));
  EXPECT_EQ(lines.all(), (std::vector<std::string>{"sent before", "sent after"}));
  // The shim's duplicate and ours: both must go for the child to see the end.
  ASSERT_TRUE(world.host().StopMain("adopted", std::chrono::seconds(10), Soon()).ok());
  EXPECT_EQ(world.host().Main("adopted").exit->code, 7);
}

TEST(ShimAdoptionTest, AnExitWhileNobodyListenedIsToldToTheNextAgent) {
  World world;
  world.Start("exited");
  ASSERT_TRUE(world.host().StartMain("exited", ChildArgv("stubborn"), {}, Transport::kStdio, Soon()).ok());
  int pid = world.host().Main("exited").pid;
  world.StopHost();
  kill(pid, SIGKILL);
  ASSERT_TRUE(Eventually([&] { return kill(pid, 0) != 0; }));
  world.StartHost();
  EXPECT_EQ(world.host().Main("exited").phase, Phase::kExited);
  EXPECT_EQ(world.host().Main("exited").exit->signal, SIGKILL);
  world.RestartHost();
  EXPECT_EQ(world.host().Main("exited").phase, Phase::kExited) << "told until a new child is started";
  EXPECT_TRUE(world.host().StartMain("exited", ChildArgv("echo"), {}, Transport::kStdio, Soon()).ok());
}

TEST(ShimAdoptionTest, AnEndingGoesOnWithoutTheAgent) {
  World world;
  int shim = world.Start("ending");
  ASSERT_TRUE(world.host().StartMain("ending", ChildArgv("stubborn"), {}, Transport::kStdio, Soon()).ok());
  EXPECT_EQ(world.host()
                .StopMain("ending", std::chrono::milliseconds(300), Deadline::After(std::chrono::milliseconds(20)))
                .code(),
            StatusCode::kDeadlineExceeded);
  world.StopHost();
  EXPECT_TRUE(Eventually([&] { return ProcessesBelow(shim).empty(); }));
  world.StartHost();
  EXPECT_EQ(world.host().Main("ending").phase, Phase::kExited);
}

TEST(ShimAdoptionTest, ManyInstancesAreAdoptedAtOnce) {
  World world;
  for (int i = 0; i < 20; ++i) {
    std::string name = "many-" + std::to_string(i);
    world.Start(name);
    ASSERT_TRUE(world.host().StartMain(name, ChildArgv("echo"), {}, Transport::kStdio, Soon()).ok());
  }
  world.RestartHost();
  for (int i = 0; i < 20; ++i) {
    std::string name = "many-" + std::to_string(i);
    auto channel = world.host().MainChannel(name);
    ASSERT_NE(channel, nullptr) << name;
    Lines lines(channel);
    ASSERT_TRUE(channel->Send(name, Soon()).ok());
    ASSERT_TRUE(lines.WaitFor(1));
    EXPECT_EQ(lines.all()[0], name);
  }
}

// --- kill -9 ------------------------------------------------------------------------------------------------------

constexpr char kInstance[] = "killed";

void AppendLine(int log, int64_t n) {
  std::string line = std::to_string(n) + "\n";
  if (write(log, line.data(), line.size()) < 0) _exit(81);
}

// The agent that is killed: adopts the session, logs the number of every line that comes and of one that may have
// arrived in part, sends the next numbers. The note says what was sent last.
[[noreturn]] void PlayAgent(const std::string& state, int shim, int received, int doubtful) {
  SystemClock clock;
  StatusOr<std::unique_ptr<ShimHost>> host = Unavailable("");
  // The lock of the one before goes when the kernel is through with it.
  if (!Eventually([&] { return (host = ShimHost::Create(state, clock)).ok(); })) _exit(82);
  if (!(*host)->Prepare(kInstance).ok()) _exit(83);
  (*host)->Expect(kInstance, shim);
  if (!Eventually([&] { return (*host)->MainChannel(kInstance) != nullptr; })) _exit(84);
  auto channel = std::static_pointer_cast<ShimChannel>((*host)->MainChannel(kInstance));
  std::string note = channel->LoadNote();
  int64_t next = note.empty() ? 0 : std::atoll(note.c_str());
  channel->SetReceiver([received](std::string_view line) { AppendLine(received, CheckNumberedLine(line)); });
  if (std::string line = channel->DoubtfulLine(); !line.empty()) AppendLine(doubtful, CheckNumberedLine(line));
  channel->SettleDoubt();
  for (;;) {
    if (channel->closed()) _exit(85);
    if (!channel->Send(NumberedLine(next), Soon()).ok()) {
      poll(nullptr, 0, 1);
      continue;
    }
    ++next;
    if (!channel->SaveNote(std::to_string(next)).ok()) _exit(86);
  }
}

std::vector<int64_t> ReadNumbers(const std::string& path) {
  std::ifstream file(path);
  std::vector<int64_t> numbers;
  for (std::string line; std::getline(file, line);) numbers.push_back(std::atoll(line.c_str()));
  return numbers;
}

struct Verdict {
  size_t torn = 0, lost = 0, repeated = 0, lines = 0;
};
Verdict Judge(const std::vector<int64_t>& numbers, const std::set<int64_t>& known = {}) {
  Verdict verdict;
  std::multiset<int64_t> seen(numbers.begin(), numbers.end());
  verdict.torn = seen.count(-1);
  verdict.lines = numbers.size() - verdict.torn;
  int64_t last = numbers.empty() ? -1 : *seen.rbegin();
  for (int64_t n = 0; n <= last; ++n) {
    size_t count = seen.count(n);
    verdict.lost += count == 0 && !known.contains(n) ? 1 : 0;
    verdict.repeated += count > 1 ? count - 1 : 0;
  }
  return verdict;
}

TEST(ShimAdoptionTest, KillsOfTheAgentTearAndLoseNothingEitherWay) {
  const char* kills_wanted = std::getenv("MCPFLEET_KILLS");
  int kills = kills_wanted == nullptr ? 5 : std::atoi(kills_wanted);
  World world;
  int shim = world.Start(kInstance);
  ASSERT_TRUE(
      world.host().StartMain(kInstance, ChildArgv("stream", {"/mnt/received"}), {}, Transport::kStdio, Soon()).ok());
  world.StopHost();
  std::string from_child = world.state() + "/from_child", doubtful = world.state() + "/doubtful";
  std::string to_child = "/proc/" + std::to_string(shim) + "/root/mnt/received";
  UniqueFd received_log(open(from_child.c_str(), O_CREAT | O_WRONLY | O_APPEND | O_CLOEXEC, 0644));
  UniqueFd doubtful_log(open(doubtful.c_str(), O_CREAT | O_WRONLY | O_APPEND | O_CLOEXEC, 0644));
  std::mt19937 random(std::random_device{}());
  auto size_of = [](const std::string& path) {
    std::ifstream file(path, std::ios::ate);
    return file ? static_cast<int64_t>(file.tellg()) : 0;
  };
  for (int i = 0; i < kills; ++i) {
    int64_t out_before = size_of(from_child), in_before = size_of(to_child);
    pid_t agent = fork();
    if (agent == 0) PlayAgent(world.state(), shim, received_log.get(), doubtful_log.get());
    // Once lines flow both ways, at any moment.
    bool flows = Eventually([&] { return size_of(from_child) > out_before && size_of(to_child) > in_before; });
    timespec moment{0, static_cast<long>(random() % 40'000) * 1000};
    ppoll(nullptr, 0, &moment, nullptr);
    int status = 0;
    bool alive = waitpid(agent, &status, WNOHANG) == 0;
    KillAndReap(alive ? agent : 0);
    ASSERT_TRUE(flows && alive) << "kill " << i << ", status " << status;
  }
  // The last one lives until what was sent so far has arrived.
  pid_t agent = fork();
  if (agent == 0) PlayAgent(world.state(), shim, received_log.get(), doubtful_log.get());
  int64_t in_before = size_of(to_child);
  EXPECT_TRUE(Eventually([&] { return size_of(to_child) > in_before + 2000; }));
  KillAndReap(agent);
  std::vector<int64_t> doubted = ReadNumbers(doubtful), received = ReadNumbers(to_child);
  const size_t doubts = doubted.size();
  Verdict out = Judge(ReadNumbers(from_child));
  // A request in doubt fails, which is no loss: whoever waits is told.
  Verdict in = Judge(received, {doubted.begin(), doubted.end()});
  std::cout << kills << " kills: out " << out.lines << " lines, " << out.torn << " torn, " << out.lost << " lost, "
            << out.repeated << " repeated; in " << in.lines << " lines, " << in.torn << " torn, " << in.lost
            << " lost, " << in.repeated << " repeated, " << doubts << " in doubt\n";
  EXPECT_GT(out.lines, 0u);
  EXPECT_GT(in.lines, 0u);
  EXPECT_EQ(out.torn, 0u);
  EXPECT_EQ(out.lost, 0u);
  EXPECT_LE(out.repeated, static_cast<size_t>(kills) + 1);
  // A line in doubt may have arrived in part, and is known: its request fails instead of hanging.
  EXPECT_LE(in.torn, doubts);
  EXPECT_EQ(in.lost, 0u);
  EXPECT_LE(in.repeated, static_cast<size_t>(kills) + 1 + doubts);
}

}  // namespace
}  // namespace mcpfleet::shim_test
