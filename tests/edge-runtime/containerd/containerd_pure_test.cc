// What containerd's runtime decides without asking anybody.
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "base/digest.h"
#include "base/fd.h"
#include "base/json.h"
#include "edge-runtime/containerd/cgroups.h"
#include "edge-runtime/containerd/image_store.h"
#include "edge-runtime/containerd/labels.h"
#include "edge-runtime/containerd/network.h"
#include "edge-runtime/containerd/oci_spec.h"

namespace mcpfleet::containerd {
namespace {

using Strings = std::vector<std::string>;

InstanceSpec Weather() {
  InstanceSpec spec{
      .id = "weather-1", .server = {"default", "weather"}, .uid = "u-1", .generation = 7, .revision = "r1"};
  spec.artifact = {.digest = "sha256:aa", .entrypoint = {"/server"}, .default_args = {"--serve"}, .root = ""};
  spec.spec.source = ImageSource{.ref = "example/weather:1"};
  spec.shim_directory = "/state/shim/weather-1";
  return spec;
}

SpecContext Node() {
  return {.shim_binary = "/state/lib/mcp-shim-1",
          .cgroup_path = "/mcpfleet-containerd/weather-1",
          .cgroup_v2 = false,
          .swap_limit = true,
          .files_directory = "/state/containerd/instances/weather-1"};
}

const Json* MountAt(const Json& oci, std::string_view target) {
  for (const Json& mount : oci["mounts"]) {
    if (mount["destination"] == target) return &mount;
  }
  return nullptr;
}

bool HasOption(const Json& mount, std::string_view option) {
  const auto options = mount["options"].get<Strings>();
  return std::find(options.begin(), options.end(), option) != options.end();
}

TEST(ImageNameTest, AShortNameIsTheHubsAndHasATag) {
  EXPECT_EQ(WholeImageName("busybox"), "docker.io/library/busybox:latest");
  EXPECT_EQ(WholeImageName("busybox:1"), "docker.io/library/busybox:1");
  EXPECT_EQ(WholeImageName("example/weather"), "docker.io/example/weather:latest");
  EXPECT_EQ(WholeImageName("ghcr.io/example/weather:2"), "ghcr.io/example/weather:2");
  EXPECT_EQ(WholeImageName("localhost/weather"), "localhost/weather:latest");
  EXPECT_EQ(WholeImageName("127.0.0.1:5000/weather"), "127.0.0.1:5000/weather:latest");
  EXPECT_EQ(WholeImageName("busybox@sha256:ab"), "docker.io/library/busybox@sha256:ab");
}

TEST(ImageFormatTest, AnIndexGivesTheManifestOfThisMachine) {
  const std::string amd(64, 'a'), arm(64, 'b');
  const Json index = {
      {"manifests",
       {{{"digest", "sha256:" + arm}, {"size", 2}, {"platform", {{"os", "linux"}, {"architecture", "arm64"}}}},
        {{"digest", "sha256:" + amd}, {"size", 1}, {"platform", {{"os", "linux"}, {"architecture", "amd64"}}}}}}};
  EXPECT_EQ(ManifestFor(DumpJson(index), "amd64")->digest, "sha256:" + amd);
  EXPECT_EQ(ManifestFor(DumpJson(index), "arm64")->digest, "sha256:" + arm);
  const Status none = ManifestFor(DumpJson(index), "riscv64").status();
  EXPECT_EQ(none.code(), StatusCode::kNotFound);
  EXPECT_NE(Message(none).find("linux/arm64, linux/amd64"), std::string::npos) << none;
}

TEST(ImageFormatTest, AMalformedDigestIsRefusedBeforeItReachesContainerd) {
  const Json manifest = {{"config", {{"digest", "sha256:../../etc"}}}, {"layers", Json::array()}};
  EXPECT_EQ(ParseManifest(DumpJson(manifest)).status().code(), StatusCode::kInvalidArgument);
  const Json config = {{"rootfs", {{"diff_ids", {"md5:1"}}}}};
  EXPECT_EQ(ParseImageConfig(DumpJson(config)).status().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(ParseManifest("[]").status().code(), StatusCode::kInvalidArgument);
}

TEST(ImageFormatTest, TheChainOfLayersIsNamedAsTheImageSpecificationSays) {
  const Strings layers = {"sha256:a", "sha256:b", "sha256:c"};
  EXPECT_EQ(ChainId(layers, 0), "");
  EXPECT_EQ(ChainId(layers, 1), "sha256:a");
  const std::string two = "sha256:" + Sha256Hex("sha256:a sha256:b");
  EXPECT_EQ(ChainId(layers, 2), two);
  EXPECT_EQ(ChainId(layers, 3), "sha256:" + Sha256Hex(two + " sha256:c"));
}

TEST(OciSpecTest, TheDefaultSandboxLeavesNothingOut) {
  const Json oci = OciSpec(Weather(), {}, Node()).value();
  EXPECT_EQ(oci["root"]["readonly"], true);
  EXPECT_EQ(oci["process"]["noNewPrivileges"], true);
  EXPECT_EQ(oci["process"]["user"], (Json{{"uid", 65534}, {"gid", 65534}}));
  for (const char* set : {"bounding", "effective", "permitted", "inheritable", "ambient"})
    EXPECT_EQ(oci["process"]["capabilities"][set], Json::array()) << set;
  EXPECT_EQ(oci["linux"]["seccomp"]["defaultAction"], "SCMP_ACT_ERRNO");
  EXPECT_EQ(oci["linux"]["resources"]["memory"], (Json{{"limit", 256 << 20}, {"swap", 256 << 20}}));
  EXPECT_EQ(oci["linux"]["resources"]["cpu"], (Json{{"period", 100000}, {"quota", 100000}}));
  EXPECT_EQ(oci["linux"]["resources"]["pids"]["limit"], 128);
  EXPECT_EQ(oci["linux"]["cgroupsPath"], "/mcpfleet-containerd/weather-1");
  EXPECT_TRUE(HasOption(*MountAt(oci, "/tmp"), "noexec"));
  EXPECT_TRUE(HasOption(*MountAt(oci, "/.mcp"), "ro"));
  EXPECT_TRUE(HasOption(*MountAt(oci, "/.mcp-shim"), "ro"));
  EXPECT_EQ((*MountAt(oci, "/.mcp"))["source"], "/state/shim/weather-1");
  EXPECT_EQ(MountAt(oci, "/etc/resolv.conf"), nullptr) << "no network, no name server";
}

TEST(OciSpecTest, TheShimIsTheFirstProcessAndTheImagesProgramItsArgument) {
  const Json oci = OciSpec(Weather(), {}, Node()).value();
  EXPECT_EQ(oci["process"]["args"], Json(Strings{"/.mcp-shim", "--instance", "weather-1", "--socket",
                                                 "/.mcp/agent.sock", "--", "/server", "--serve"}));
}

TEST(OciSpecTest, AnEnvironmentOfTheSpecIsShownOnlyWhereNoShimHandsItOver) {
  InstanceSpec spec = Weather();
  spec.spec.env = {{"TOKEN", "hunter2"}, {"PATH", "/own"}};
  const ImageConfig image{.env = {"FROM_IMAGE=yes", "PATH=/image"}};
  EXPECT_EQ(DumpJson(OciSpec(spec, image, Node()).value()).find("hunter2"), std::string::npos);
  SpecContext node = Node();
  node.shim_binary = "";
  const Json oci = OciSpec(spec, image, node).value();
  EXPECT_EQ(oci["process"]["env"], Json(Strings{"HOSTNAME=weather-1", "FROM_IMAGE=yes", "TOKEN=hunter2", "PATH=/own"}));
  EXPECT_EQ(oci["process"]["args"], Json(Strings{"/server", "--serve"}));
}

TEST(OciSpecTest, ASecretWithoutTheShimIsRefused) {
  InstanceSpec spec = Weather();
  spec.spec.env = {{.name = "TOKEN", .value = "", .secret = {"api", "token"}}};
  SpecContext node = Node();
  EXPECT_TRUE(OciSpec(spec, {}, node).ok());
  node.shim_binary = "";
  EXPECT_EQ(OciSpec(spec, {}, node).status().code(), StatusCode::kFailedPrecondition);
}

TEST(OciSpecTest, NothingToRunIsTheSpecsFault) {
  InstanceSpec spec = Weather();
  spec.artifact.entrypoint.clear();
  spec.artifact.default_args.clear();
  const Status status = OciSpec(spec, {}, Node()).status();
  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
  EXPECT_NE(Message(status).find("spec.command"), std::string::npos);
}

TEST(OciSpecTest, EachNetworkHasItsNamespaceAndItsFiles) {
  const auto namespaces = [](NetworkMode network, bool v2) {
    InstanceSpec spec = Weather();
    spec.spec.security.network = network;
    SpecContext node = Node();
    node.cgroup_v2 = v2;
    Strings types;
    const Json oci = OciSpec(spec, {}, node).value();
    for (const Json& each : oci["linux"]["namespaces"]) types.push_back(each["type"].get<std::string>());
    if (MountAt(oci, "/etc/resolv.conf") != nullptr) types.emplace_back("names");
    return types;
  };
  EXPECT_EQ(namespaces(NetworkMode::kNone, false), (Strings{"pid", "ipc", "uts", "mount", "network"}));
  EXPECT_EQ(namespaces(NetworkMode::kOutbound, false), (Strings{"pid", "ipc", "uts", "mount", "network", "names"}));
  EXPECT_EQ(namespaces(NetworkMode::kHost, false), (Strings{"pid", "ipc", "uts", "mount", "names"}));
  EXPECT_EQ(namespaces(NetworkMode::kNone, true), (Strings{"pid", "ipc", "uts", "mount", "network", "cgroup"}));
}

TEST(OciSpecTest, WhereTheKernelCountsNoSwapItIsNotLimited) {
  SpecContext node = Node();
  node.swap_limit = false;
  EXPECT_FALSE(OciSpec(Weather(), {}, node).value()["linux"]["resources"]["memory"].contains("swap"));
  node.cgroup_v2 = true;
  EXPECT_TRUE(OciSpec(Weather(), {}, node).value()["linux"]["resources"]["memory"].contains("swap"));
}

TEST(OciSpecTest, VolumesAndCapabilitiesAreThoseOfTheSpec) {
  InstanceSpec spec = Weather();
  spec.spec.volumes = {{.name = "data", .host_path = "/srv/data", .mount_path = "/data", .read_only = true},
                       {.name = "cache", .tmpfs_bytes = 1 << 20, .mount_path = "/tmp"}};
  spec.spec.security.add_capabilities = {"NET_BIND_SERVICE"};
  const Json oci = OciSpec(spec, {}, Node()).value();
  EXPECT_TRUE(HasOption(*MountAt(oci, "/data"), "ro"));
  EXPECT_EQ((*MountAt(oci, "/data"))["source"], "/srv/data");
  EXPECT_TRUE(HasOption(*MountAt(oci, "/tmp"), "size=1048576"));
  EXPECT_EQ(std::count_if(oci["mounts"].begin(), oci["mounts"].end(),
                          [](const Json& mount) { return mount["destination"] == "/tmp"; }),
            1);
  EXPECT_EQ(oci["process"]["capabilities"]["ambient"], Json(Strings{"CAP_NET_BIND_SERVICE"}));
}

TEST(SeccompTest, NewNamespacesAreRefusedUnlessTheCapabilityIsAdded) {
  const auto allows = [](const Json& profile, const std::string& call) {
    for (const Json& rule : profile["syscalls"]) {
      const auto names = rule["names"].get<Strings>();
      if (rule["action"] == "SCMP_ACT_ALLOW" && !rule.contains("args") &&
          std::find(names.begin(), names.end(), call) != names.end())
        return true;
    }
    return false;
  };
  const Json plain = SeccompProfile({});
  EXPECT_TRUE(allows(plain, "read"));
  EXPECT_TRUE(allows(plain, "epoll_pwait2"));
  for (const char* call :
       {"mount", "unshare", "setns", "bpf", "clone", "clone3", "keyctl", "io_uring_setup", "kexec_load"})
    EXPECT_FALSE(allows(plain, call)) << call;
  EXPECT_TRUE(allows(SeccompProfile({"CAP_SYS_ADMIN"}), "unshare"));
  EXPECT_TRUE(allows(SeccompProfile({"CAP_SYS_CHROOT"}), "chroot"));
  EXPECT_FALSE(allows(SeccompProfile({"CAP_SYS_CHROOT"}), "unshare"));
}

TEST(ResolvConfTest, ANameServerOnTheHostsLoopbackIsOnlyThereInItsNetwork) {
  const std::string stub = "nameserver 127.0.0.53\noptions edns0\n", upstream = "nameserver 192.168.1.1\nsearch lan\n";
  EXPECT_EQ(ResolvConf(stub, upstream, NetworkMode::kHost), stub);
  EXPECT_EQ(ResolvConf(stub, upstream, NetworkMode::kOutbound), upstream);
  EXPECT_EQ(ResolvConf("nameserver 127.0.0.1\nnameserver 9.9.9.9\n", upstream, NetworkMode::kOutbound),
            "nameserver 9.9.9.9\n");
  EXPECT_NE(ResolvConf("", "", NetworkMode::kOutbound).find("nameserver"), std::string::npos);
}

TEST(LabelsTest, TheyTellAllOfAnInstanceAgain) {
  InstanceSpec spec = Weather();
  spec.spec.security.network = NetworkMode::kOutbound;
  Container container{.id = spec.id, .labels = LabelsOf(spec, {.node = "edge-01", .unenforced = "swap limit"})};
  container.snapshot_key = "mcpfleet-weather-1";
  const OwnContainer own = OwnContainerOf(container, "edge-01").value();
  EXPECT_EQ(own.report.server, spec.server);
  EXPECT_EQ(own.report.uid, "u-1");
  EXPECT_EQ(own.report.generation, 7);
  EXPECT_EQ(own.report.revision, "r1");
  EXPECT_EQ(own.report.artifact_digest, "sha256:aa");
  EXPECT_EQ(own.report.unenforced, "swap limit");
  EXPECT_EQ(own.network, NetworkMode::kOutbound);
  EXPECT_FALSE(own.started);
  EXPECT_FALSE(OwnContainerOf(container, "edge-02"));
  container.id = "other";
  EXPECT_FALSE(OwnContainerOf(container, "edge-01")) << "labels that were copied to another container";
}

TEST(CollectTest, TheOldestPulledGoFirstAndNoneThatIsKeptOrWasNotPulled) {
  const auto at = [](int hours) { return WallTime(std::chrono::hours(hours)); };
  const std::vector<HeldImage> held = {{"h1", "n1", "d1", 100, true, at(3)},
                                       {"h2", "n2", "d2", 100, true, at(1)},
                                       {"h3", "n3", "d3", 100, false, at(0)},
                                       {"h4", "n4", "d4", 100, true, at(2)}};
  const auto gone = [&](const Strings& keep, int64_t quota) {
    Strings names;
    for (const HeldImage& image : ImagesToLetGo(held, keep, quota)) names.push_back(image.digest);
    return names;
  };
  EXPECT_EQ(gone({}, 300), Strings{});
  EXPECT_EQ(gone({}, 250), Strings{"d2"});
  EXPECT_EQ(gone({"d2"}, 150), (Strings{"d4", "d1"}));
  EXPECT_EQ(gone({}, 0), (Strings{"d2", "d4", "d1"}));
}

TEST(NetworkTest, WithoutItsPluginsItSaysWhatToInstall) {
  const Network network({.plugin_directories = {"/nowhere"}, .state_directory = "/nowhere"});
  const std::string why = network.WhyNot();
  for (const char* part : {"bridge", "host-local", "portmap", "/nowhere", "containernetworking-plugins"})
    EXPECT_NE(why.find(part), std::string::npos) << part << " in: " << why;
}

class CgroupsTest : public testing::Test {
 protected:
  void SetUp() override {
    char pattern[] = "/tmp/mcpfleet-cgroups-XXXXXX";
    root_ = mkdtemp(pattern);
  }
  void TearDown() override { EXPECT_TRUE(RemoveTree(root_).ok()); }
  void Write(const std::string& path, const std::string& text) {
    ASSERT_TRUE(MakeDirectories(root_ + path.substr(0, path.rfind('/'))).ok());
    ASSERT_TRUE(WriteFileAtomically(root_ + path, text).ok());
  }
  std::string root_;
};

TEST_F(CgroupsTest, TheSecondVersionNamesItsControllers) {
  Write("/cgroup.controllers", "cpuset cpu io memory pids\n");
  CgroupFacts facts = DetectCgroups(root_);
  EXPECT_TRUE(facts.v2);
  EXPECT_EQ(facts.missing, Strings{});
  Write("/cgroup.controllers", "cpu memory\n");
  EXPECT_EQ(DetectCgroups(root_).missing, Strings{"pids limit"});
  Write("/mcpfleet/x/memory.events", "low 0\noom 2\noom_kill 2\n");
  EXPECT_EQ(OomKills(facts, "/mcpfleet/x"), 2);
  EXPECT_EQ(OomKills(facts, "/mcpfleet/gone"), 0);
}

TEST_F(CgroupsTest, TheFirstVersionIsADirectoryForEach) {
  for (const char* controller : {"memory", "cpu", "pids"}) Write(std::string("/") + controller + "/cgroup.procs", "");
  EXPECT_EQ(DetectCgroups(root_).missing, Strings{"swap limit"});
  Write("/memory/memory.memsw.limit_in_bytes", "1\n");
  const CgroupFacts facts = DetectCgroups(root_);
  EXPECT_FALSE(facts.v2);
  EXPECT_EQ(facts.missing, Strings{});
  Write("/memory/mcpfleet/x/memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 1\n");
  EXPECT_EQ(OomKills(facts, "/mcpfleet/x"), 1);
}

}  // namespace
}  // namespace mcpfleet::containerd
