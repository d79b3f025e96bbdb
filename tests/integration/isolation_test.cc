// Two subjects of one server on a kernel with landlock and on one without it.
#include <unistd.h>

#include <gtest/gtest.h>

#include <cstring>

#include "base/digest.h"
#include "tests/fakes/landlock.h"
#include "tests/integration/gateway_fixture.h"

namespace mcpfleet {
namespace {

constexpr char kWithoutLandlock[] = "--run-without-landlock";

// This program becomes another one that sees no landlock, and so does what that one starts.
__attribute__((constructor)) void RunWithoutLandlock(int argc, char** argv, char** environment) {
  if (argc < 3 || strcmp(argv[1], kWithoutLandlock) != 0) return;
  if (!PretendLandlock(Landlock::kAbsent)) _exit(97);
  execve(argv[2], argv + 2, environment);
  _exit(98);
}

Json TwoTokens() {
  return {{"auth",
           {{"type", "Bearer"},
            {"bearer",
             {{"tokens",
               {{{"name", "ada"}, {"sha256", Sha256Hex("mcpf_ada")}},
                {{"name", "bob"}, {"sha256", Sha256Hex("mcpf_bob")}}}}}}}}};
}

McpClient::Options As(const std::string& who, McpClient::Era era = McpClient::Era::kLegacy) {
  return {.era = era, .headers = {{"Authorization", "Bearer mcpf_" + who}}};
}

TEST_F(GatewayNodeTest, OnAKernelThatKeepsThemApartTwoSubjectsAreServedAtOnce) {
  if (LandlockAbiHere() < 6) GTEST_SKIP() << "this kernel has landlock ABI " << LandlockAbiHere() << ", 6 is needed";
  ASSERT_TRUE(behind_->Run({ProcessServer("weather", {}, TwoTokens())}));
  const auto ada = behind_->Session("weather", As("ada")), bob = behind_->Session("weather", As("bob"));
  ASSERT_TRUE(ada != nullptr && bob != nullptr);
  EXPECT_NE(ada->Call("nonce"), bob->Call("nonce"));
  EXPECT_EQ(node_->Condition("weather", "SandboxEnforced"), "True/Enforced");
}

class WithoutLandlockTest : public GatewayNodeTest {
 protected:
  NodeOptions Options() const override {
    NodeOptions options;
    options.wrapper = {"/proc/self/exe", kWithoutLandlock};
    return options;
  }
};

TEST_F(WithoutLandlockTest, OneSubjectAtATimeIsServedAndTheStatusSaysSo) {
  ASSERT_TRUE(behind_->Run({ProcessServer("weather", {}, TwoTokens())}));
  EXPECT_TRUE(node_->WaitCondition("weather", "SandboxEnforced", "False", "SessionsNotIsolated"));
  const auto ada = behind_->Session("weather", As("ada"));
  ASSERT_NE(ada, nullptr);
  const auto second = behind_->Session("weather", As("ada"));
  ASSERT_NE(second, nullptr) << "the same subject may have several";
  const auto refused = behind_->Client("weather", As("bob"))->Begin("initialize");
  EXPECT_EQ(refused->status(), 503);
  EXPECT_NE(refused->Header("Retry-After"), "");
  const auto modern = behind_->Client("weather", As("bob", McpClient::Era::kModern))->Begin("tools/list");
  EXPECT_EQ(modern->status(), 503);
  EXPECT_NE(modern->Header("Retry-After"), "");
  EXPECT_TRUE(behind_->Counts(3)) << "the probed one and hers";
  // The rule outlives mcplet: whose the processes are is in their journals.
  node_->KillDash9();
  node_->Start();
  ASSERT_TRUE(behind_->Open("weather"));
  EXPECT_EQ(ada->Call("who"), "test-server");
  EXPECT_EQ(behind_->Client("weather", As("bob"))->Begin("initialize")->status(), 503);
  EXPECT_EQ(ada->Delete(), 200);
  EXPECT_EQ(second->Delete(), 200);
  const auto bob = behind_->Session("weather", As("bob"));
  ASSERT_NE(bob, nullptr) << "it waits for the end of hers";
  EXPECT_EQ(bob->Call("who"), "test-server");
  EXPECT_EQ(behind_->Client("weather", As("ada"))->Begin("initialize")->status(), 503);
}

TEST_F(WithoutLandlockTest, WithoutAuthenticationNothingIsRefused) {
  ASSERT_TRUE(behind_->Run({ProcessServer("open")}));
  const auto one = behind_->Session("open"), other = behind_->Session("open");
  ASSERT_TRUE(one != nullptr && other != nullptr);
  EXPECT_EQ(behind_->Modern("open")->Call("who"), "test-server");
  EXPECT_EQ(node_->Condition("open", "SandboxEnforced"), "True/Enforced");
}

}  // namespace
}  // namespace mcpfleet
