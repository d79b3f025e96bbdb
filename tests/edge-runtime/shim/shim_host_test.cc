// One child: started, spoken to, ended, with a real shim in its own namespaces.
#include "edge-runtime/shim/shim_host.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include <gtest/gtest.h>

#include "tests/edge-runtime/shim/shim_world.h"

namespace mcpfleet::shim_test {
namespace {

using Phase = MainState::Phase;

TEST(ShimHostTest, AChildAnswersItsLinesAndItsExitCodeIsTold) {
  World world;
  world.Start("echo-1");
  ASSERT_TRUE(world.host().StartMain("echo-1", ChildArgv("echo"), {}, Transport::kStdio, Soon()).ok());
  MainState state = world.host().Main("echo-1");
  EXPECT_EQ(state.phase, Phase::kRunning);
  EXPECT_GT(state.pid, 0);
  EXPECT_EQ(kill(state.pid, 0), 0) << "the pid is the host's";
  auto channel = world.host().MainChannel("echo-1");
  ASSERT_NE(channel, nullptr);
  Lines lines(channel);
  ASSERT_TRUE(channel->Send("hello", Soon()).ok());
  ASSERT_TRUE(channel->Send("world", Soon()).ok());
  ASSERT_TRUE(lines.WaitFor(2));
  // End of input comes by message: "eof" is what the child says at the end of its stdin.
  ASSERT_TRUE(world.host().StopMain("echo-1", std::chrono::seconds(10), Soon()).ok());
  state = world.host().Main("echo-1");
  EXPECT_EQ(state.phase, Phase::kExited);
  ASSERT_TRUE(state.exit);
  EXPECT_EQ(state.exit->code, 7);
  EXPECT_TRUE(lines.WaitFor(3));
  EXPECT_EQ(lines.all(), (std::vector<std::string>{"hello", "world", "eof"}));
  EXPECT_TRUE(channel->closed());
  EXPECT_EQ(channel->Send("late", Soon()).code(), StatusCode::kUnavailable);
  EXPECT_EQ(world.host().MainChannel("echo-1"), nullptr);
}

TEST(ShimHostTest, StartingTwiceStartsOnceAndAfterAnExitAgain) {
  World world;
  world.Start("twice");
  ASSERT_TRUE(world.host().StartMain("twice", ChildArgv("echo"), {}, Transport::kStdio, Soon()).ok());
  int pid = world.host().Main("twice").pid;
  ASSERT_TRUE(world.host().StartMain("twice", ChildArgv("echo"), {}, Transport::kStdio, Soon()).ok());
  EXPECT_EQ(world.host().Main("twice").pid, pid);
  kill(pid, SIGKILL);
  ASSERT_TRUE(Eventually([&] { return world.host().Main("twice").phase == Phase::kExited; }));
  EXPECT_EQ(world.host().Main("twice").exit->signal, SIGKILL);
  EXPECT_EQ(world.host().Main("twice").exit->code, 128 + SIGKILL);
  ASSERT_TRUE(world.host().StartMain("twice", ChildArgv("echo"), {}, Transport::kStdio, Soon()).ok());
  EXPECT_EQ(world.host().Main("twice").phase, Phase::kRunning);
  EXPECT_NE(world.host().Main("twice").pid, pid);
}

TEST(ShimHostTest, AFailedExecSaysWhyAndTheShimGoesOn) {
  World world;
  world.Start("absent");
  ASSERT_TRUE(world.host().StartMain("absent", {"/no/such/program"}, {}, Transport::kStdio, Soon()).ok());
  MainState state = world.host().Main("absent");
  EXPECT_EQ(state.phase, Phase::kExited);
  EXPECT_EQ(state.failure, "exec: No such file or directory");
  EXPECT_FALSE(state.exit);
  ASSERT_TRUE(world.host().StartMain("absent", {"/etc/passwd"}, {}, Transport::kStdio, Soon()).ok());
  EXPECT_EQ(world.host().Main("absent").failure, "exec: Permission denied");
  ASSERT_TRUE(world.host().StartMain("absent", ChildArgv("echo"), {}, Transport::kStdio, Soon()).ok());
  EXPECT_EQ(world.host().Main("absent").phase, Phase::kRunning);
}

TEST(ShimHostTest, WithoutAnArgvTheShimsOwnIsRunAndPathIsSearched) {
  World world;
  ShimProcessOptions options;
  options.default_argv = {"sh", "-c", "echo from-the-image; exec sleep 100"};
  world.Start("image", options);
  ASSERT_TRUE(world.host().StartMain("image", {}, {}, Transport::kStdio, Soon()).ok());
  Lines lines(world.host().MainChannel("image"));
  ASSERT_TRUE(lines.WaitFor(1));
  EXPECT_EQ(lines.all()[0], "from-the-image");
}

TEST(ShimHostTest, TheEnvironmentIsTheShimsAndOursOnTopWithoutTheToken) {
  World world;
  world.Start("env");
  std::vector<EnvVar> env = {{"API_KEY", "s3cret"}, {"INHERITED", "replaced"}, {"EMPTY", ""}};
  ASSERT_TRUE(
      world.host()
          .StartMain("env", {"sh", "-c", "read x; exec /mnt/child --role environment"}, env, Transport::kStdio, Soon())
          .ok());
  auto channel = world.host().MainChannel("env");
  ASSERT_NE(channel, nullptr);
  Lines lines(channel);
  ASSERT_TRUE(channel->Send("go", Soon()).ok());
  ASSERT_TRUE(Eventually([&] { return !lines.all().empty() && lines.all().back() == "end"; }));
  std::vector<std::string> all = lines.all();
  auto has = [&](const std::string& line) { return std::count(all.begin(), all.end(), line); };
  EXPECT_EQ(has("API_KEY=s3cret"), 1);
  EXPECT_EQ(has("INHERITED=replaced"), 1);
  EXPECT_EQ(has("INHERITED=yes"), 0);
  EXPECT_EQ(has("EMPTY="), 1);
  for (const std::string& line : all) EXPECT_EQ(line.find("sesame"), std::string::npos) << line;
}

TEST(ShimHostTest, StderrIsTheShimsStderr) {
  int ends[2];
  ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
  UniqueFd read_end(ends[0]), write_end(ends[1]);
  World world;
  ShimProcessOptions options;
  options.stderr_fd = write_end.get();
  world.Start("stderr", options);
  ASSERT_TRUE(world.host().StartMain("stderr", ChildArgv("stderr"), {}, Transport::kStdio, Soon()).ok());
  ASSERT_TRUE(PollFd(read_end.get(), POLLIN, Soon()).ok());
  char text[64] = {0};
  ASSERT_GT(read(read_end.get(), text, sizeof text - 1), 0);
  EXPECT_STREQ(text, "complaint\n");
}

TEST(ShimHostTest, AnHttpServerHasNoStdioAndItsOutputIsALog) {
  int ends[2];
  ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
  UniqueFd read_end(ends[0]), write_end(ends[1]);
  World world;
  ShimProcessOptions options;
  options.stderr_fd = write_end.get();
  world.Start("http", options);
  ASSERT_TRUE(world.host()
                  .StartMain("http", {"sh", "-c", "cat; echo listening; exec sleep 100"}, {},
                             Transport::kStreamableHttp, Soon())
                  .ok());
  EXPECT_EQ(world.host().Main("http").phase, Phase::kRunning);
  EXPECT_EQ(world.host().MainChannel("http"), nullptr);
  ASSERT_TRUE(PollFd(read_end.get(), POLLIN, Soon()).ok());
  char text[64] = {0};
  ASSERT_GT(read(read_end.get(), text, sizeof text - 1), 0);
  EXPECT_STREQ(text, "listening\n");
  world.RestartHost();
  EXPECT_EQ(world.host().Main("http").phase, Phase::kRunning);
  EXPECT_TRUE(world.host().StopMain("http", std::chrono::seconds(5), Soon()).ok());
  EXPECT_EQ(world.host().Main("http").exit->signal, SIGTERM);
}

TEST(ShimHostTest, AChildStartsCleanInASessionOfItsOwn) {
  World world;
  world.Start("self");
  ASSERT_TRUE(world.host()
                  .StartMain("self", {"sh", "-c", "read x; exec /mnt/child --role self"}, {}, Transport::kStdio, Soon())
                  .ok());
  auto channel = world.host().MainChannel("self");
  ASSERT_NE(channel, nullptr);
  Lines lines(channel);
  ASSERT_TRUE(channel->Send("go", Soon()).ok());
  ASSERT_TRUE(lines.WaitFor(6));
  EXPECT_EQ(lines.all(), (std::vector<std::string>{"sid 1", "nnp 1", "oom 500", "fds 3", "blocked 0", "sigpipe 0"}));
}

TEST(ShimHostTest, LinesOfThreeHundredKilobytesPassBothWays) {
  World world;
  world.Start("large");
  ASSERT_TRUE(world.host().StartMain("large", ChildArgv("echo"), {}, Transport::kStdio, Soon()).ok());
  auto channel = world.host().MainChannel("large");
  Lines lines(channel);
  std::vector<std::string> sent;
  sent.reserve(12);
  for (int i = 0; i < 12; ++i) {
    sent.push_back(std::string(300'000 + static_cast<size_t>(i), static_cast<char>('a' + i)));
    ASSERT_TRUE(channel->Send(sent.back(), Soon()).ok());
  }
  ASSERT_TRUE(lines.WaitFor(sent.size()));
  EXPECT_EQ(lines.all(), sent);
}

TEST(ShimHostTest, LongLinesArriveWholeAndInOrderAmongShortOnes) {
  World world;
  world.Start("long");
  ASSERT_TRUE(world.host().StartMain("long", ChildArgv("echo"), {}, Transport::kStdio, Soon()).ok());
  const auto channel = world.host().MainChannel("long");
  ASSERT_NE(channel, nullptr);
  Lines lines(channel);
  std::vector<std::string> sent;
  for (const size_t size :
       {size_t{10}, size_t{3} << 20, size_t{11}, (size_t{1} << 20) + 1, size_t{7} << 20, size_t{0}}) {
    std::string line(size, static_cast<char>('a' + sent.size()));
    line += std::to_string(size);
    ASSERT_TRUE(channel->Send(line, Soon()).ok());
    sent.push_back(std::move(line));
    ASSERT_TRUE(lines.WaitFor(sent.size())) << size;
  }
  EXPECT_TRUE(lines.all() == sent);
}

TEST(ShimHostTest, AnOversizedLineIsThrownAwayAndTheNextOneArrives) {
  World world;
  world.Start("oversized");
  std::string bytes = std::to_string(limits::kChildLineBytes + (5 << 20));
  ASSERT_TRUE(world.host().StartMain("oversized", ChildArgv("oversized", {bytes}), {}, Transport::kStdio, Soon()).ok());
  auto channel = world.host().MainChannel("oversized");
  Lines lines(channel);
  ASSERT_TRUE(lines.WaitFor(1));
  EXPECT_EQ(lines.all()[0], "after");
  EXPECT_EQ(std::static_pointer_cast<ShimChannel>(channel)->dropped_lines(), 1u);
}

TEST(ShimHostTest, AChildThatDoesNotReadFillsItsQueueAndNoMore) {
  World world;
  world.Start("deaf");
  ASSERT_TRUE(world.host().StartMain("deaf", ChildArgv("stubborn"), {}, Transport::kStdio, Soon()).ok());
  auto channel = world.host().MainChannel("deaf");
  std::string line(1 << 20, 'x');
  Status status;
  int accepted = 0;
  while ((status = channel->Send(line, Soon())).ok() && accepted < 100) ++accepted;
  EXPECT_EQ(status.code(), StatusCode::kResourceExhausted);
  EXPECT_GE(accepted, 7);
  EXPECT_LE(accepted, 9);
  EXPECT_TRUE(world.host().StopMain("deaf", Duration::zero(), Soon()).ok());
}

TEST(ShimHostTest, LinesWaitForTheirReceiver) {
  World world;
  world.Start("waits");
  ASSERT_TRUE(world.host().StartMain("waits", ChildArgv("echo"), {}, Transport::kStdio, Soon()).ok());
  auto channel = world.host().MainChannel("waits");
  {
    Lines lines(channel);
    ASSERT_TRUE(channel->Send("one", Soon()).ok());
    ASSERT_TRUE(lines.WaitFor(1));
  }
  ASSERT_TRUE(channel->Send("two", Soon()).ok());
  ASSERT_TRUE(channel->Send("three", Soon()).ok());
  Lines lines(channel);
  ASSERT_TRUE(lines.WaitFor(2));
  EXPECT_EQ(lines.all(), (std::vector<std::string>{"two", "three"}));
}

TEST(ShimHostTest, TheListenerHearsOfEveryChange) {
  World world;
  std::atomic<int> heard{0};
  world.host().SetListener([&](const std::string& instance) { heard += instance == "heard" ? 1 : 0; });
  world.Start("heard");
  EXPECT_TRUE(Eventually([&] { return heard > 0; }));
  ASSERT_TRUE(world.host().StartMain("heard", ChildArgv("echo"), {}, Transport::kStdio, Soon()).ok());
  int before = heard;
  kill(world.host().Main("heard").pid, SIGKILL);
  EXPECT_TRUE(Eventually([&] { return heard > before; }));
  world.host().SetListener(nullptr);
}

TEST(ShimHostTest, WhenTheShimDiesItsChildIsAbsentAndANewShimIsTaken) {
  World world;
  int pid = world.Start("dies");
  ASSERT_TRUE(world.host().StartMain("dies", ChildArgv("echo"), {}, Transport::kStdio, Soon()).ok());
  auto channel = world.host().MainChannel("dies");
  KillAndReap(pid);
  ASSERT_TRUE(Eventually([&] { return world.host().Main("dies").phase == Phase::kAbsent; }));
  EXPECT_FALSE(world.host().Connected("dies"));
  EXPECT_TRUE(channel->closed());
  EXPECT_EQ(
      world.host()
          .StartMain("dies", ChildArgv("echo"), {}, Transport::kStdio, Deadline::After(std::chrono::milliseconds(20)))
          .code(),
      StatusCode::kUnavailable);
  world.Start("dies");
  EXPECT_TRUE(world.host().StartMain("dies", ChildArgv("echo"), {}, Transport::kStdio, Soon()).ok());
}

TEST(ShimHostTest, AForgottenInstanceLeavesNoDirectoryAndNoDescriptor) {
  World world;
  auto descriptors = [] {
    size_t n = 0;
    for ([[maybe_unused]] const auto& each : std::filesystem::directory_iterator("/proc/self/fd")) ++n;
    return n;
  };
  size_t before = descriptors();
  for (int i = 0; i < 5; ++i) {
    int pid = world.Start("leaves");
    ASSERT_TRUE(world.host().StartMain("leaves", ChildArgv("echo"), {}, Transport::kStdio, Soon()).ok());
    ASSERT_TRUE(world.host().StopMain("leaves", std::chrono::seconds(5), Soon()).ok());
    ASSERT_TRUE(world.host().StartMain("leaves", ChildArgv("echo"), {}, Transport::kStdio, Soon()).ok());
    world.host().Forget("leaves");
    EXPECT_FALSE(std::filesystem::exists(world.state() + "/shim/leaves"));
    KillAndReap(pid);
  }
  EXPECT_TRUE(Eventually([&] { return descriptors() <= before; })) << before << " before, now " << descriptors();
}

TEST(ShimHostTest, SigtermFromOutsideEndsTheChildrenThenTheShim) {
  World world;
  int pid = world.Start("term");
  ASSERT_TRUE(world.host().StartMain("term", ChildArgv("term-exits"), {}, Transport::kStdio, Soon()).ok());
  Lines lines(world.host().MainChannel("term"));
  ASSERT_TRUE(lines.WaitFor(1));
  kill(pid, SIGTERM);
  int status = -1;
  ASSERT_TRUE(Eventually([&] { return waitpid(pid, &status, WNOHANG) == pid; }));
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
}

TEST(ShimHostTest, TheShimRefusesToBeAnOrdinaryProcess) {
  pid_t pid = fork();
  if (pid == 0) {
    close(2);
    execl((std::string(MCPFLEET_BINARY_DIR) + "/mcp-shim").c_str(), "mcp-shim", "--instance", "x", nullptr);
    _exit(98);
  }
  int status = 0;
  waitpid(pid, &status, 0);
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 3);
}

TEST(ShimHostTest, TheProgramIsSmall) {
  struct stat info {};
  ASSERT_EQ(stat((std::string(MCPFLEET_BINARY_DIR) + "/mcp-shim").c_str(), &info), 0);
  EXPECT_LE(info.st_size, 1'500'000);
}

class DeviceTest : public testing::TestWithParam<std::pair<const char*, const char*>> {};
TEST_P(DeviceTest, AServerMayOpenItsStandardStreamsByName) {
  auto [program, script] = GetParam();
  World world;
  ShimProcessOptions options;
  // What is installed for root only can't be run by nobody.
  if (std::string(program) == "python3") options.uid = 0;
  world.Start("device", options);
  ASSERT_TRUE(world.host()
                  .StartMain("device", {program, std::string(program) == "node" ? "-e" : "-c", script},
                             {{"HOME", "/tmp"}}, Transport::kStdio, Soon())
                  .ok());
  if (world.host().Main("device").failure == "exec: No such file or directory")
    GTEST_SKIP() << program << " is not here";
  auto channel = world.host().MainChannel("device");
  ASSERT_NE(channel, nullptr) << world.host().Main("device").failure;
  Lines lines(channel);
  ASSERT_TRUE(channel->Send("by name", Soon()).ok());
  ASSERT_TRUE(lines.WaitFor(1));
  EXPECT_EQ(lines.all()[0], "by name");
}
INSTANTIATE_TEST_SUITE_P(
    Programs, DeviceTest,
    testing::Values(std::make_pair("sh", "read x </dev/stdin; echo \"$x\" >/dev/stdout; exec sleep 100"),
                    std::make_pair("node",
                                   "const fs=require('fs');const b=Buffer.alloc(99);"
                                   "const f=fs.openSync('/dev/stdin','r');const n=fs.readSync(f,b);"
                                   "fs.writeFileSync('/dev/stdout',b.subarray(0,n));setTimeout(()=>{},100000)"),
                    std::make_pair("python3",
                                   "f=open('/dev/stdin');s=f.readline();o=open('/dev/stdout','w');o.write(s);"
                                   "o.flush();import time;time.sleep(100)")),
    [](const auto& test) { return std::string(test.param.first); });

OpenedFile File(const std::string& path, const std::string& content) { return {path, SecretText::CopyOf(content)}; }

std::vector<OpenedFile> OneFile(const std::string& path, const std::string& content) {
  std::vector<OpenedFile> files;
  files.push_back(File(path, content));
  return files;
}

TEST(ShimHostTest, FilesOfSecretsAreThereForTheServersUserBeforeItRuns) {
  World world;
  world.Start("files");
  const std::string binary("a\0\n\xff", 4);
  std::vector<OpenedFile> files = OneFile("/mnt/token", "s3cret");
  files.push_back(File("/mnt/binary", binary));
  ASSERT_TRUE(world.host().PutFiles("files", files).ok());
  const std::vector<std::string> command = {
      "sh", "-c", "stat -c '%a %u %s' /mnt/token /mnt/binary; cat /mnt/token; echo; exec sleep 100"};
  ASSERT_TRUE(world.host().StartMain("files", command, {}, Transport::kStdio, Soon()).ok());
  {
    Lines lines(world.host().MainChannel("files"));
    ASSERT_TRUE(lines.WaitFor(3));
    EXPECT_EQ(lines.all(), (std::vector<std::string>{"400 65534 6", "400 65534 4", "s3cret"}));
  }
  // Again over what is there, as after a restart of the child.
  ASSERT_TRUE(world.host().StopMain("files", std::chrono::seconds(1), Soon()).ok());
  ASSERT_TRUE(world.host().PutFiles("files", OneFile("/mnt/token", "other")).ok());
  ASSERT_TRUE(world.host().StartMain("files", command, {}, Transport::kStdio, Soon()).ok());
  Lines lines(world.host().MainChannel("files"));
  ASSERT_TRUE(lines.WaitFor(3));
  EXPECT_EQ(lines.all()[2], "other");
}

TEST(ShimHostTest, AFileThatCannotBeWrittenKeepsTheServerFromStartingAndTheNextTryIsFree) {
  World world;
  world.Start("files");
  ASSERT_TRUE(world.host().PutFiles("files", OneFile("/no/such/place", "s3cret")).ok());
  ASSERT_TRUE(world.host().StartMain("files", {"sleep", "100"}, {}, Transport::kStdio, Soon()).ok());
  EXPECT_EQ(world.host().Main("files").phase, MainState::Phase::kExited);
  EXPECT_EQ(world.host().Main("files").failure, "file of a secret: No such file or directory");
  ASSERT_TRUE(world.host().PutFiles("files", OneFile("/mnt/token", "s3cret")).ok());
  ASSERT_TRUE(world.host().StartMain("files", {"sleep", "100"}, {}, Transport::kStdio, Soon()).ok());
  EXPECT_EQ(world.host().Main("files").phase, MainState::Phase::kRunning);
}

TEST(ShimHostTest, FilesOfSecretsAreBoundedAndNeedAShim) {
  World world;
  EXPECT_EQ(world.host().PutFiles("files", OneFile("/mnt/token", "x")).code(), StatusCode::kUnavailable);
  world.Start("files");
  const std::string large(32 << 10, 'x');
  std::vector<OpenedFile> files;
  for (const char* path : {"/mnt/a", "/mnt/b", "/mnt/c"}) files.push_back(File(path, large));
  EXPECT_TRUE(world.host().PutFiles("files", files).ok());
  ASSERT_TRUE(world.host().StartMain("files", {"sleep", "100"}, {}, Transport::kStdio, Soon()).ok());
  EXPECT_EQ(world.host().Main("files").phase, MainState::Phase::kRunning) << world.host().Main("files").failure;
  files.push_back(File("/mnt/d", "x"));
  EXPECT_EQ(world.host().PutFiles("files", files).code(), StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace mcpfleet::shim_test
