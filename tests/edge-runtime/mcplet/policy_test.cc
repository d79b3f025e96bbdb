#include "edge-runtime/mcplet/policy.h"

#include <gtest/gtest.h>

namespace mcpfleet {
namespace {

ServerSpec Package() {
  ServerSpec spec;
  spec.source = PackageSource{.name = "weather", .version = "1.0.0"};
  return spec;
}

ServerSpec WithHostPath(std::string path) {
  ServerSpec spec = Package();
  spec.volumes.push_back({.name = "data", .host_path = std::move(path), .mount_path = "/data"});
  return spec;
}

TEST(PolicyTest, APackageWithoutVolumesIsAllowedByDefault) { EXPECT_EQ(Forbidden({}, Package()), ""); }

TEST(PolicyTest, NoHostPathIsAllowedByDefault) {
  EXPECT_NE(Forbidden({}, WithHostPath("/srv")).find("allowed: none"), std::string::npos);
}

TEST(PolicyTest, AHostPathBelowAnAllowedOneIsAllowedAndItsNeighbourIsNot) {
  NodePolicy policy{.allowed_host_paths = {"/srv/data/"}};
  EXPECT_EQ(Forbidden(policy, WithHostPath("/srv/data")), "");
  EXPECT_EQ(Forbidden(policy, WithHostPath("/srv/data/a")), "");
  EXPECT_NE(Forbidden(policy, WithHostPath("/srv/database")), "");
}

TEST(PolicyTest, HostNetworkMustBeAllowedExplicitly) {
  ServerSpec spec = Package();
  spec.security.network = NetworkMode::kHost;
  EXPECT_NE(Forbidden({}, spec), "");
  EXPECT_EQ(Forbidden({.allow_host_network = true}, spec), "");
}

TEST(PolicyTest, EveryCapabilityMustBeAllowedByName) {
  ServerSpec spec = Package();
  spec.security.add_capabilities = {"NET_BIND_SERVICE", "SYS_ADMIN"};
  const std::string none = Forbidden({}, spec);
  EXPECT_NE(none.find("NET_BIND_SERVICE is not allowed on this node; allowed: none (policy.allowedCapabilities"),
            std::string::npos)
      << none;
  const std::string one = Forbidden({.allowed_capabilities = {"NET_BIND_SERVICE"}}, spec);
  EXPECT_NE(one.find("SYS_ADMIN is not allowed on this node; allowed: NET_BIND_SERVICE"), std::string::npos) << one;
  EXPECT_EQ(Forbidden({.allowed_capabilities = {"SYS_ADMIN", "NET_BIND_SERVICE"}}, spec), "");
}

TEST(PolicyTest, AnImageMustHaveAnAllowedPrefix) {
  ServerSpec spec;
  spec.source = ImageSource{.ref = "ghcr.io/evil/x:1"};
  EXPECT_EQ(Forbidden({}, spec), "");
  EXPECT_NE(Forbidden({.image_prefixes = {"ghcr.io/acme/"}}, spec), "");
}

TEST(PolicyTest, ARuntimeThatIsNotListedIsRefused) {
  EXPECT_NE(Forbidden({.runtimes = {RuntimeChoice::kDocker}}, Package()), "");
  EXPECT_EQ(Forbidden({.runtimes = {RuntimeChoice::kProcess}}, Package()), "");
}

TEST(PolicyTest, AutoIsJudgedAsWhatItBecomesOnThisNode) {
  ServerSpec spec;
  spec.source = ImageSource{.ref = "ghcr.io/acme/x:1"};
  const std::vector<RuntimeChoice> containerd = {RuntimeChoice::kContainerd};
  EXPECT_NE(Forbidden({.runtimes = containerd}, spec), "");
  EXPECT_EQ(Forbidden({.runtimes = containerd, .image_runtime = RuntimeChoice::kContainerd}, spec), "");
}

}  // namespace
}  // namespace mcpfleet
