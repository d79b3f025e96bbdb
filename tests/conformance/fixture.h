// A node with a gateway, and servers behind it that are started and looked at as users do it.
#pragma once

#include <memory>
#include <string>

#include "tests/conformance/packages.h"
#include "tests/integration/node.h"

namespace mcpfleet {

class ConformanceTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    static const bool swept = (SweepDeadRuns(), true);
    (void)swept;
  }
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "NOT RUN: needs root";
    if (PackageDirectory().empty()) GTEST_SKIP() << "NOT RUN: no npm packages; scripts/test installs them";
    StartNode({});
  }
  void StartNode(NodeOptions options) {
    options.policy = NodeServerPolicy();
    node_ = std::make_unique<Node>(options);
    node_->Start();
  }
  // Applies the servers and waits until all are ready.
  void Serve(const std::vector<Json>& servers) {
    const CommandResult applied = node_->Apply(servers);
    ASSERT_TRUE(applied.ok()) << applied;
    for (const Json& server : servers) {
      ASSERT_TRUE(node_->WaitReady(GetString(GetMember(server, "metadata"), "name"))) << node_->Report();
    }
  }
  // By the name that the suite wants, localhost.
  std::string Url(const std::string& server) const {
    std::string url = node_->GatewayUrl(server);
    const std::string address = "127.0.0.1";
    const size_t at = url.find(address);
    if (at != std::string::npos) url.replace(at, address.size(), "localhost");
    return url;
  }

  static Json LegacyFixture() { return Fixture("legacy"); }
  static Json ModernFixture() { return Fixture("modern"); }
  static Json Everything() {
    return NodeServer(On::kProcess, "everything",
                      std::string(kPackagesMount) + "/@modelcontextprotocol/server-everything/dist/index.js");
  }

  std::unique_ptr<Node> node_;

 private:
  static Json Fixture(const std::string& era) {
    return NodeServer(On::kProcess, era, std::string(kFixturesMount) + "/" + era + "_fixture.mjs");
  }
};

}  // namespace mcpfleet
