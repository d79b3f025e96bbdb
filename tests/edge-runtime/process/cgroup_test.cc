// Cgroups against the kernel's own files, whichever version is mounted: v1 on some machines, v2 in tests/vm.
#include "edge-runtime/process/cgroups.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cstdlib>
#include <cstring>

#include "base/strings.h"
#include "tests/base/sanitizers.h"
#include "tests/edge-runtime/process/process_fixture.h"

namespace mcpfleet {
namespace {

class CgroupTest : public testing::Test {
 protected:
  void SetUp() override {
    if (kTsan) GTEST_SKIP() << "TSan's own memory, four times ours, counts in the cgroups";
    StatusOr<std::string> mounts = ReadFile("/proc/self/mountinfo", size_t{4} << 20);
    ASSERT_TRUE(mounts.ok());
    cgroups_ = Cgroups::Detect(*mounts, "mcpfleet-test", "cgroup-" + std::to_string(getpid()));
    if (geteuid() != 0 || !cgroups_.Missing().empty())
      GTEST_SKIP() << "needs root and the controllers memory, cpu and pids";
    ASSERT_TRUE(cgroups_.Make("a", {.cpu_milli = 250, .memory_bytes = 64 << 20, .pids = 20}).ok());
  }
  void TearDown() override {
    const Status removed = cgroups_.Remove("a", Soon());
    EXPECT_TRUE(removed.ok()) << removed;
    for (const pid_t pid : children_) waitpid(pid, nullptr, 0);
  }

  // Of the first directory that has this file.
  std::string Read(const std::string& file) const {
    for (const std::string& directory : cgroups_.Directories("a")) {
      if (StatusOr<std::string> text = ReadFile(directory + "/" + file, 1 << 16); text.ok())
        return std::string(Trim(*text));
    }
    return "";
  }
  std::string Either(const std::string& v2, const std::string& v1) const {
    const std::string text = Read(v2);
    return text.empty() ? Read(v1) : text;
  }
  int64_t Field(const std::string& file, const std::string& key) const {
    for (const std::string& line : Split(Read(file), '\n')) {
      if (line.starts_with(key + " ")) return std::atoll(line.c_str() + key.size() + 1);
    }
    return -1;
  }
  // A child that joins the cgroup, then runs `work`, which does not return.
  template <typename Work>
  pid_t Inside(Work work) {
    const pid_t pid = fork();
    if (pid == 0) {
      for (const std::string& directory : cgroups_.Directories("a")) {
        const int fd = open((directory + "/cgroup.procs").c_str(), O_WRONLY | O_CLOEXEC);
        if (write(fd, "0", 1) != 1) _exit(1);
        close(fd);
      }
      work();
      _exit(0);
    }
    children_.push_back(pid);
    return pid;
  }

  Cgroups cgroups_;
  std::vector<pid_t> children_;
};

TEST_F(CgroupTest, TheKernelHasTheLimitsAndTakesChangedOnes) {
  EXPECT_EQ(Either("memory.max", "memory.limit_in_bytes"), std::to_string(64 << 20));
  EXPECT_EQ(Read("pids.max"), "20");
  EXPECT_TRUE(Read("cpu.max") == "25000 100000" || Read("cpu.cfs_quota_us") == "25000");
  for (const int64_t mib : {128, 32}) {
    ASSERT_TRUE(cgroups_.Make("a", {.cpu_milli = 2000, .memory_bytes = mib << 20, .pids = 30}).ok());
    EXPECT_EQ(Either("memory.max", "memory.limit_in_bytes"), std::to_string(mib << 20));
    EXPECT_EQ(Read("pids.max"), "30");
    EXPECT_TRUE(Read("cpu.max") == "200000 100000" || Read("cpu.cfs_quota_us") == "200000");
  }
}

TEST_F(CgroupTest, MemoryIsUsageButFileCacheThatCanBeGivenBackIsNot) {
  constexpr size_t kBytes = 24 << 20;
  const std::string file = std::string(testing::TempDir()) + "cgroup-cache-" + std::to_string(getpid());
  Inside([&] {
    void* memory = mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memset(memory, 1, kBytes);
    const int fd = open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (write(fd, memory, kBytes) != static_cast<ssize_t>(kBytes) || fsync(fd) != 0) _exit(1);
    if (write(fd, "end", 3) != 3) _exit(1);
    pause();
  });
  struct stat st;
  ASSERT_TRUE(Eventually([&] { return stat(file.c_str(), &st) == 0 && st.st_size > static_cast<off_t>(kBytes); }));
  const bool cached = Field("memory.stat", "inactive_file") > static_cast<int64_t>(kBytes / 2) ||
                      Field("memory.stat", "total_inactive_file") > static_cast<int64_t>(kBytes / 2);
  const InstanceUsage usage = cgroups_.Usage("a");
  unlink(file.c_str());
  EXPECT_GE(usage.memory_bytes, static_cast<int64_t>(kBytes));
  if (!cached) GTEST_SKIP() << "the file system of " << file << " has no cache to give back";
  EXPECT_LT(usage.memory_bytes, static_cast<int64_t>(kBytes + kBytes / 2)) << Read("memory.stat");
}

TEST_F(CgroupTest, WhoBurnsCpuIsThrottledAndCounted) {
  Inside([] {
    for (;;) asm volatile("");
  });
  EXPECT_TRUE(Eventually([&] { return Field("cpu.stat", "nr_throttled") > 2; })) << Read("cpu.stat");
  EXPECT_GT(cgroups_.Usage("a").cpu_seconds, 0.05);
}

TEST_F(CgroupTest, TooMuchMemoryIsAnOomKillThatIsCounted) {
  EXPECT_EQ(cgroups_.Usage("a").oom_kills, 0);
  const pid_t hog = Inside([] {
    constexpr size_t kBytes = 256 << 20;
    memset(mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), 1, kBytes);
  });
  int status = 0;
  ASSERT_EQ(waitpid(hog, &status, 0), hog);
  children_.clear();
  EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) << status;
  EXPECT_EQ(cgroups_.Usage("a").oom_kills, 1);
}

TEST_F(CgroupTest, KillAllEndsEvenWhatForksAsFastAsItCan) {
  Inside([] {
    signal(SIGCHLD, SIG_IGN);
    for (;;) fork();
  });
  ASSERT_TRUE(Eventually([&] { return Split(Read("cgroup.procs"), '\n').size() >= 15; }));
  EXPECT_TRUE(Eventually([&] {
    cgroups_.KillAll("a");
    return Read("cgroup.procs").empty();
  })) << Read("cgroup.procs");
}

TEST_F(CgroupTest, RemovingEndsWhatIsInItAndIsTheSameTwice) {
  const pid_t pid = Inside([] { pause(); });
  ASSERT_TRUE(Eventually([&] { return Read("cgroup.procs") == std::to_string(pid); }));
  ASSERT_TRUE(cgroups_.Remove("a", Soon()).ok());
  EXPECT_TRUE(cgroups_.Remove("a", Soon()).ok());
  for (const std::string& directory : cgroups_.Directories("a")) EXPECT_NE(access(directory.c_str(), F_OK), 0);
}

}  // namespace
}  // namespace mcpfleet
