// A tool of the package cache is part of mcplet's own work: unlike a server it ends with mcplet.
#include <signal.h>
#include <sys/wait.h>

#include "base/digest.h"
#include "edge-runtime/process/instance_directory.h"
#include "edge-runtime/process/package_tool.h"
#include "tests/edge-runtime/process/process_fixture.h"

namespace mcpfleet {
namespace {

class PackageToolTest : public ProcessTest {
 protected:
  std::string Root() const { return state_ + "/packages"; }
  Cgroups Groups() const {
    // Those of the runtime over this state.
    return Cgroups::Detect(ReadFile("/proc/self/mountinfo", 1 << 20).value_or(""), options_.cgroup_parent,
                           Sha256Hex(state_).substr(0, 12));
  }
  // A "mcplet" that runs a tool without an end in a directory that it made before.
  pid_t RunForEver(const ToolDirectory& directory) {
    const Cgroups groups = Groups();
    const pid_t pid = fork();
    if (pid != 0) return pid;
    ToolRun run;
    run.argv = {"/usr/bin/busybox", "sh", "-c", "while true; do echo x >>/job/out; usleep 1000; done"};
    (void)RunTool(directory, run, options_.sandbox_binary, groups, Deadline::After(std::chrono::minutes(5)));
    _exit(0);
  }
};

TEST_F(PackageToolTest, AToolEndsWithTheMcpletThatRanIt) {
  StatusOr<ToolDirectory> directory = ToolDirectory::Make(Root());
  ASSERT_TRUE(directory.ok()) << directory.status();
  const pid_t mcplet = RunForEver(*directory);
  ASSERT_TRUE(Eventually([&] { return access((directory->work() + "/out").c_str(), F_OK) == 0; }));
  const int monitor = MonitorPid(directory->path());
  ASSERT_GT(monitor, 1);
  ASSERT_EQ(kill(mcplet, SIGKILL), 0);
  ASSERT_EQ(waitpid(mcplet, nullptr, 0), mcplet);
  EXPECT_TRUE(Eventually([&] { return kill(monitor, 0) != 0; }));
  EXPECT_TRUE(Groups().Remove(ToolIdOf(directory->path()), Soon()).ok());
}

TEST_F(PackageToolTest, TheNextMcpletEndsAndRemovesAnInstallThatStillRuns) {
  StatusOr<ToolDirectory> directory = ToolDirectory::Make(Root());
  ASSERT_TRUE(directory.ok()) << directory.status();
  const pid_t mcplet = RunForEver(*directory);
  ASSERT_TRUE(Eventually([&] { return access((directory->work() + "/out").c_str(), F_OK) == 0; }));
  const int monitor = MonitorPid(directory->path());
  ASSERT_GT(monitor, 1);
  Recreate();
  EXPECT_TRUE(Eventually([&] { return kill(monitor, 0) != 0; }));
  EXPECT_NE(access(directory->path().c_str(), F_OK), 0);
  EXPECT_EQ(waitpid(mcplet, nullptr, 0), mcplet);
}

}  // namespace
}  // namespace mcpfleet
