#include "edge-runtime/process/local_networks.h"

#include <gtest/gtest.h>

namespace mcpfleet {
namespace {

using Networks = std::vector<std::string>;

constexpr char kHead[] = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n";
const Networks kSpecial = {"0.0.0.0/8",    "10.0.0.0/8",     "100.64.0.0/10", "169.254.0.0/16", "172.16.0.0/12",
                           "192.0.0.0/24", "192.168.0.0/16", "198.18.0.0/15", "224.0.0.0/4",    "240.0.0.0/4"};

std::string Route(const std::string& device, const std::string& destination, const std::string& mask) {
  return device + "\t" + destination + "\t00000000\t0001\t0\t0\t0\t" + mask + "\t0\t0\t0\n";
}
Networks More(const std::string& routes, const Networks& addresses = {}) {
  Networks more;
  for (const std::string& network : LocalNetworksOf(kHead + routes, addresses)) {
    if (std::find(kSpecial.begin(), kSpecial.end(), network) == kSpecial.end()) more.push_back(network);
  }
  return more;
}

TEST(LocalNetworksTest, PrivateAndSpecialRangesAreNeverTheInternet) { EXPECT_EQ(LocalNetworksOf("", {}), kSpecial); }

TEST(LocalNetworksTest, WhatThisMachineHasARouteOrAnAddressInIsLocal) {
  EXPECT_EQ(More(Route("eth0", "007100CB", "00FFFFFF")), Networks{"203.0.113.0/24"});
  EXPECT_EQ(More("", {"203.0.113.7"}), Networks{"203.0.113.7/32"});
  EXPECT_EQ(More(Route("eth0", "007100CB", "00FFFFFF"), {"203.0.113.7"}), Networks{"203.0.113.0/24"});
  // Two names for a part of one network.
  EXPECT_EQ(More(Route("eth0", "077100CB", "FFFFFFFF") + Route("eth0", "007100CB", "00FFFFFF")),
            Networks{"203.0.113.0/24"});
}

TEST(LocalNetworksTest, WhatIsPrivateAnywayIsNotNamedTwice) {
  EXPECT_EQ(More(Route("docker0", "000011AC", "0000FFFF") + Route("eth0", "0001A8C0", "00FFFFFF"), {"10.1.2.3"}),
            Networks{});
}

TEST(LocalNetworksTest, TheWayToTheInternetIsNotLocalAlsoInTwoHalves) {
  EXPECT_EQ(More(Route("eth0", "00000000", "00000000")), Networks{});
  EXPECT_EQ(More(Route("tun0", "00000000", "00000080") + Route("tun0", "00000080", "00000080")), Networks{});
}

TEST(LocalNetworksTest, ANamespacesOwnLoopbackIsItsOwn) {
  EXPECT_EQ(More(Route("lo", "0000007F", "000000FF"), {"127.0.0.1", "127.0.0.53"}), Networks{});
}

TEST(LocalNetworksTest, LinesThatAreNoRoutesAreLeftOut) {
  EXPECT_EQ(More("eth0\t007100CB\n\n\t\t\t\t\t\t\t\t\neth0\tnonsense\t0\t0\t0\t0\t0\t00FFFFFF\n", {"", "::1", "x"}),
            Networks{});
}

TEST(LocalNetworksTest, ThisMachineTellsItsOwn) {
  const StatusOr<Networks> networks = LocalNetworks();
  ASSERT_TRUE(networks.ok()) << networks.status();
  EXPECT_GE(networks->size(), kSpecial.size());
}

}  // namespace
}  // namespace mcpfleet
