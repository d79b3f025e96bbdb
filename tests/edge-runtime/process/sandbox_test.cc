// Each isolation, looked at from inside.
#include <fcntl.h>
#include <sys/stat.h>

#include "edge-runtime/process/enforcement.h"
#include "tests/edge-runtime/process/process_fixture.h"

namespace mcpfleet {
namespace {

class SandboxTest : public ProcessTest {};

bool Has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

TEST_F(SandboxTest, TheServerIsPid1AndSeesNoProcessOfTheHost) {
  const std::string out = OutputOf(Shell("a", "echo pid=$$; ls /proc | grep -c '^[0-9]*$'"));
  EXPECT_TRUE(Has(out, "pid=1\n")) << out;
  EXPECT_TRUE(Has(out, "\n3\n") || Has(out, "\n2\n")) << out;  // sh, ls, grep
}

TEST_F(SandboxTest, TheRootAndTheSystemCannotBeWritten) {
  const std::string out = OutputOf(Shell(
      "a", "for d in / /usr /etc /dev /proc/sys/kernel; do touch $d/x 2>/dev/null && echo wrote $d; done; echo done"));
  EXPECT_EQ(out, "done\n");
}

TEST_F(SandboxTest, EvenUidZeroCannotWriteTheSystemOrTheKernelsSettings) {
  InstanceSpec spec = Shell("a",
                            "id -u; for f in /x /usr/x /etc/x; do echo 1 >$f && echo wrote $f; done; echo 0 "
                            ">/proc/sys/vm/swappiness && echo sysctl; echo done");
  spec.spec.security.run_as_user = 0;
  const std::string out = OutputOf(spec);
  EXPECT_TRUE(out.starts_with("0\n")) << out;
  EXPECT_FALSE(Has(out, "wrote")) << out;
  EXPECT_FALSE(Has(out, "sysctl\n")) << out;
  EXPECT_TRUE(Has(out, "done")) << out;
}

TEST_F(SandboxTest, TmpCanBeWrittenAndIsOfItsOwn) {
  const std::string out = OutputOf(Shell("a", "ls -A /tmp | wc -l; echo hello >/tmp/x && cat /tmp/x"));
  EXPECT_EQ(out, "0\nhello\n");
}

TEST_F(SandboxTest, NothingOfTheHostButTheSystemIsVisible) {
  const std::string out =
      OutputOf(Shell("a", "for d in /root /home /var /sys /run /opt " + state_ +
                              "; do ls $d 2>/dev/null && echo sees $d; done; ls /etc/shadow 2>/dev/null; echo done"));
  EXPECT_EQ(out, "done\n");
}

TEST_F(SandboxTest, ThereAreNoCapabilitiesNoNewPrivilegesAndASeccompFilter) {
  const std::string out = OutputOf(Shell("a", "grep -E '^(Cap|NoNewPrivs|Seccomp|Uid|Groups)' /proc/self/status"));
  for (const char* set : {"CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"}) {
    EXPECT_TRUE(Has(out, std::string(set) + ":\t0000000000000000\n")) << out;
  }
  EXPECT_TRUE(Has(out, "NoNewPrivs:\t1\n")) << out;
  EXPECT_TRUE(Has(out, "Seccomp:\t2\n")) << out;
  EXPECT_TRUE(Has(out, "Uid:\t65534\t65534\t65534\t65534\n")) << out;
  EXPECT_TRUE(Has(out, "Groups:\t \n") || Has(out, "Groups:\t\n")) << out;
}

TEST_F(SandboxTest, OnlyTheAddedCapabilityIsKept) {
  InstanceSpec spec = Shell("a", "grep -E '^Cap(Eff|Bnd)' /proc/self/status");
  spec.spec.security.add_capabilities = {"NET_BIND_SERVICE"};
  const std::string out = OutputOf(spec);
  EXPECT_TRUE(Has(out, "CapEff:\t0000000000000400\n")) << out;
  EXPECT_TRUE(Has(out, "CapBnd:\t0000000000000400\n")) << out;
}

TEST_F(SandboxTest, AnUnknownCapabilityIsRefusedByName) {
  InstanceSpec spec = Shell("a", "true");
  spec.spec.security.add_capabilities = {"SYS_MAGIC"};
  const Status status = runtime_->Create(spec, Soon());
  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
  EXPECT_TRUE(Has(Message(status), "SYS_MAGIC"));
}

TEST_F(SandboxTest, MountingAndNewNamespacesAreRefusedEvenWithSysAdmin) {
  InstanceSpec spec = Shell("a", "mount -t tmpfs x /tmp; unshare -m true; unshare -U true; chroot / true; echo done");
  spec.spec.security.run_as_user = 0;
  spec.spec.security.add_capabilities = {"SYS_ADMIN", "SYS_CHROOT"};
  const std::string out = OutputOf(spec);
  EXPECT_TRUE(Has(out, "mount: permission denied") ||
              Has(out, "mount: mounting x on /tmp failed: Operation not permitted"))
      << out;
  EXPECT_TRUE(Has(out, "unshare: unshare(0x20000): Operation not permitted")) << out;
  EXPECT_TRUE(Has(out, "unshare: unshare(0x10000000): Operation not permitted")) << out;
  EXPECT_TRUE(Has(out, "chroot")) << out;
}

TEST_F(SandboxTest, NetworkNoneHasALoopbackThatIsUpAndNothingElse) {
  const std::string out = OutputOf(Shell("a",
                                         "grep -c : /proc/net/dev; grep lo: /proc/net/dev >/dev/null && echo lo; ip "
                                         "addr show lo | grep -o 127.0.0.1; nc -w2 192.0.2.1 80 2>&1"));
  EXPECT_TRUE(Has(out, "1\nlo\n")) << out;
  EXPECT_TRUE(Has(out, "127.0.0.1")) << out;
  EXPECT_TRUE(Has(out, "unreachable")) << out;  // no route, at once
}

TEST_F(SandboxTest, OutboundThatSharesTheHostsNetworkCannotListenOrThatIsSaid) {
  options_.relay_binary = "no-such-slirp4netns";
  Recreate();
  InstanceSpec spec = Shell("a", "timeout 1 nc -l -p 18123 127.0.0.1; echo rc=$?");
  spec.spec.security.network = NetworkMode::kOutbound;
  spec.spec.security.enforcement = Enforcement::kBestEffort;
  const std::string out = OutputOf(spec);
  EXPECT_TRUE(Has(Report("a").unenforced, "loopback"));
  if (DetectKernel().landlock_abi >= 4) {
    EXPECT_TRUE(Has(out, "ermission denied")) << out;
  } else {
    EXPECT_TRUE(Has(Report("a").unenforced, "ports can be bound")) << Report("a").unenforced;
  }
}

TEST_F(SandboxTest, AHogIsKilledAtItsMemoryLimitAndReportedAsOom) {
  InstanceSpec spec = Shell("a", kMemoryHog);
  spec.spec.resources.memory_bytes = 48 << 20;
  ASSERT_TRUE(Run(spec).ok());
  const InstanceReport report = WaitForExit("a");
  ASSERT_TRUE(report.exit.has_value());
  EXPECT_TRUE(report.exit->oom);
  EXPECT_EQ(report.exit->code, 137);
  EXPECT_EQ(report.exit->signal, 9);
}

TEST_F(SandboxTest, AForkBombStopsAtThePidsLimitAndTheInstanceStillEnds) {
  InstanceSpec spec = Shell("a", "echo start; b() { b & b & sleep 1000; }; b & sleep 1000");
  spec.spec.resources.pids = 24;
  ASSERT_TRUE(Run(spec).ok());
  EXPECT_TRUE(Eventually([&] { return Has(LogText("a"), "can't fork"); })) << LogText("a");
  EXPECT_TRUE(runtime_->Stop("a", Duration::zero(), Soon()).ok());
  EXPECT_EQ(Report("a").state, InstanceState::kExited);
}

TEST_F(SandboxTest, TheCpuLimitIsInTheInstancesCgroup) {
  InstanceSpec spec = Shell("a", "sleep 1000");
  spec.spec.resources.cpu_milli = 250;
  ASSERT_TRUE(Run(spec).ok());
  StatusOr<std::string> config = ReadFile(InstanceDirectory("a") + "/sandbox.conf", 1 << 20);
  ASSERT_TRUE(config.ok());
  std::string quota;
  for (size_t at = 0; (at = config->find(std::string("cgroup\0", 7), at)) != std::string::npos; ++at) {
    const std::string directory = config->c_str() + at + 7;
    if (StatusOr<std::string> v1 = ReadFile(directory + "/cpu.cfs_quota_us", 100); v1.ok()) quota = *v1;
    if (StatusOr<std::string> v2 = ReadFile(directory + "/cpu.max", 100); v2.ok()) quota = *v2;
  }
  EXPECT_TRUE(quota == "25000\n" || quota == "25000 100000\n") << quota;
}

TEST_F(SandboxTest, AHostPathVolumeIsMountedReadOnlyWhenAskedAndWritableElse) {
  const std::string host = state_ + "/volume";
  ASSERT_TRUE(MakeDirectories(host, 0777).ok());
  ASSERT_EQ(chmod(host.c_str(), 0777), 0);
  InstanceSpec spec = Shell(
      "a",
      "echo data >/rw/file; cat /ro/file; touch /ro/x 2>/dev/null && echo wrote; echo y >/scratch/y && cat /scratch/y");
  spec.spec.volumes = {{.name = "rw", .host_path = host, .mount_path = "/rw"},
                       {.name = "ro", .host_path = host, .mount_path = "/ro", .read_only = true},
                       {.name = "scratch", .tmpfs_bytes = 1 << 20, .mount_path = "/scratch"}};
  EXPECT_EQ(OutputOf(spec), "data\ny\n");
}

TEST_F(SandboxTest, AHostPathThroughASymbolicLinkIsRefused) {
  ASSERT_EQ(symlink("/etc", (state_ + "/link").c_str()), 0);
  InstanceSpec spec = Shell("a", "true");
  spec.spec.volumes = {{.name = "v", .host_path = state_ + "/link", .mount_path = "/data"}};
  const Status status = Run(spec);
  EXPECT_EQ(status.code(), StatusCode::kFailedPrecondition);
  EXPECT_TRUE(Has(Message(status), "symbolic link")) << status;
  EXPECT_EQ(Report("a").state, InstanceState::kCreated);
}

TEST_F(SandboxTest, ALinkInsideAWritableVolumeDoesNotRedirectTheNextMount) {
  const std::string host = state_ + "/volume";
  ASSERT_TRUE(MakeDirectories(host, 0777).ok());
  ASSERT_EQ(symlink("/tmp", (host + "/sub").c_str()), 0);
  InstanceSpec spec = Shell("a", "true");
  spec.spec.volumes = {{.name = "v", .host_path = host, .mount_path = "/data"},
                       {.name = "w", .tmpfs_bytes = 1 << 20, .mount_path = "/data/sub"}};
  const Status status = Run(spec);
  EXPECT_FALSE(status.ok());
  EXPECT_TRUE(Has(Message(status), "/data/sub")) << status;
}

TEST_F(SandboxTest, AVolumeMayNotCoverTheSandboxItself) {
  InstanceSpec spec = Shell("a", "true");
  for (const char* path : {"/proc", "/usr/lib", "/.mcp", "/"}) {
    spec.spec.volumes = {{.name = "v", .tmpfs_bytes = 1 << 20, .mount_path = path}};
    EXPECT_EQ(runtime_->Create(spec, Soon()).code(), StatusCode::kInvalidArgument) << path;
  }
}

TEST_F(SandboxTest, TheShimsDirectoryIsReadOnly) {
  const std::string host = state_ + "/shim";
  ASSERT_TRUE(MakeDirectories(host, 0777).ok());
  ASSERT_TRUE(WriteFileAtomically(host + "/agent.sock", "x", 0666).ok());
  InstanceSpec spec =
      Shell("a", "cat /.mcp/agent.sock; echo; rm -f /.mcp/agent.sock || echo kept; echo x >/.mcp/y || echo refused");
  spec.spec.security.run_as_user = 0;
  spec.shim_directory = host;
  const std::string out = OutputOf(spec);
  EXPECT_TRUE(Has(out, "kept")) << out;
  EXPECT_TRUE(Has(out, "refused")) << out;
}

TEST_F(SandboxTest, NoDescriptorOfMcpletLeaksIn) {
  const UniqueFd leak(open("/etc/passwd", O_RDONLY));  // deliberately without O_CLOEXEC
  const std::string out = OutputOf(Shell("a", "ls -l /proc/self/fd"));
  EXPECT_FALSE(Has(out, "passwd")) << out;
}

TEST_F(SandboxTest, AProgramThatCannotBeExecutedIsAnErrorOfStart) {
  options_.shim_binary = "/etc/hostname";
  Recreate();
  const Status status = Run(Shell("a", "true"));
  EXPECT_EQ(status.code(), StatusCode::kFailedPrecondition);
  EXPECT_TRUE(Has(Message(status), "exec /.mcp-shim")) << status;
}

}  // namespace
}  // namespace mcpfleet
