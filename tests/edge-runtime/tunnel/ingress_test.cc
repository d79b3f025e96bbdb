#include "edge-runtime/tunnel/ingress.h"

#include <gtest/gtest.h>

namespace mcpfleet::tunnel {
namespace {

constexpr char kTunnel[] = "6ff42ae2-765d-4adf-8112-31c55c1551ef";

TEST(IngressTest, EveryNameLeadsToTheGatewayAndAllElseIs404) {
  EXPECT_EQ(*IngressFile({"fs.example.com", "node.example.com"}, {.unix_path = "/gateway/gateway.sock"}),
            R"(# Written by mcplet from the servers of this node; what is changed here is lost.
ingress:
  - hostname: "fs.example.com"
    service: "unix:/gateway/gateway.sock"
  - hostname: "node.example.com"
    service: "unix:/gateway/gateway.sock"
  - service: "http_status:404"
)");
  EXPECT_EQ(*IngressFile({}, {.address = "127.0.0.1", .port = 8700}),
            R"(# Written by mcplet from the servers of this node; what is changed here is lost.
ingress:
  - service: "http_status:404"
)");
  EXPECT_EQ(*IngressFile({"fs.example.com"}, {.address = "0.0.0.0", .port = 8700, .tls = true}),
            R"(# Written by mcplet from the servers of this node; what is changed here is lost.
ingress:
  - hostname: "fs.example.com"
    service: "https://127.0.0.1:8700"
    originRequest:
      noTLSVerify: true
  - service: "http_status:404"
)");
}

TEST(IngressTest, TheOriginIsWhereTheGatewayListens) {
  EXPECT_EQ(*ServiceOf({.address = "127.0.0.1", .port = 1}), "http://127.0.0.1:1");
  EXPECT_EQ(*ServiceOf({.address = "localhost", .port = 1}), "http://127.0.0.1:1");
  EXPECT_EQ(*ServiceOf({.address = "::", .port = 1}), "http://[::1]:1");
  EXPECT_EQ(*ServiceOf({.address = "::1", .port = 1, .tls = true}), "https://[::1]:1");
  EXPECT_EQ(*ServiceOf({.address = "10.1.2.3", .port = 65535}), "http://10.1.2.3:65535");
  EXPECT_FALSE(ServiceOf({.address = "127.0.0.1", .port = 0}).ok());
  for (const char* address : {"", "evil.example.com", "127.0.0.1:1", "127.0.0.1@x", "127.1"})
    EXPECT_FALSE(ServiceOf({.address = address, .port = 1}).ok()) << address;
  for (const char* path : {"gateway.sock", "/a b", "/a\"\n", "/a:b", "/a#"})
    EXPECT_FALSE(ServiceOf({.unix_path = path}).ok()) << path;
}

TEST(IngressTest, WhatIsNoHostnameIsNotWritten) {
  const std::string label(63, 'a');
  for (const std::string& good : std::vector<std::string>{"a.b", "fs.example.com", "x-1.example.co.uk", "1.2.example",
                                                          label + "." + label + ".com", "a.xn--p1ai"}) {
    EXPECT_TRUE(IsHostname(good)) << good;
  }
  for (const std::string& bad : std::vector<std::string>{
           "", "localhost", "Fs.example.com", "*.example.com", "fs.example.com:443", "-a.com", "a-.com", "a..com",
           ".com", "a.com.", "a_b.com", "127.0.0.1", "a.1", "a.com\n", "a b.c", "a\".com", "ä.com",
           "a" + label + ".com", label + "." + label + "." + label + "." + label + ".com"}) {
    EXPECT_FALSE(IsHostname(bad)) << bad;
    EXPECT_FALSE(IngressFile({bad}, {.unix_path = "/g"}).ok()) << bad;
  }
  const Status twice = IngressFile({"a.b", "a.b"}, {.unix_path = "/g"}).status();
  EXPECT_EQ(Message(twice), "ingress: a.b is there twice");
}

TEST(CredentialsTest, TheTunnelIsTheOneOfTheFile) {
  const std::string text =
      R"({"AccountTag":"abc","TunnelSecret":"c2VjcmV0","TunnelID":"6FF42AE2-765d-4adf-8112-31c55c1551ef","Endpoint":""})";
  const StatusOr<Credentials> credentials = ReadCredentials(text);
  ASSERT_TRUE(credentials.ok()) << credentials.status();
  EXPECT_EQ(credentials->tunnel_id, kTunnel);
  EXPECT_EQ(credentials->text, text);
}

TEST(CredentialsTest, WhatIsNotThemIsRefusedAndNothingOfItTold) {
  const std::string id = std::string(R"("TunnelID":")") + kTunnel + "\"";
  for (const std::string& bad : std::vector<std::string>{
           "", "eyJhIjoic2VjcmV0In0=", "[]", "{}", "{" + id + "}", "{" + id + R"(,"AccountTag":"secret"})",
           R"({"TunnelID":"secret","AccountTag":"secret","TunnelSecret":"secret"})",
           R"({"TunnelID":"../../secret","AccountTag":"a","TunnelSecret":"b"})"}) {
    const Status refused = ReadCredentials(bad).status();
    EXPECT_EQ(refused.code(), StatusCode::kInvalidArgument) << bad;
    EXPECT_EQ(Message(refused).find("secret"), std::string::npos) << refused;
  }
}

}  // namespace
}  // namespace mcpfleet::tunnel
