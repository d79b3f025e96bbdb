#include "edge-runtime/gateway/origin_policy.h"

#include <gtest/gtest.h>

namespace mcpfleet::gateway {
namespace {

const OriginPolicy kLocal({}, {}, {}, true);
const OriginPolicy kPublic({"https://MCP.example.com/base", "http://plain.example.com:8080"},
                           {"internal", "other:9000"}, {"https://App.example.com", "https://app.example.com:8443/"},
                           false);

TEST(OriginPolicyTest, OnLoopbackTheMachinesOwnNamesAreHostsWithAnyPort) {
  for (const char* host :
       {"localhost", "LocalHost:8700", "127.0.0.1", "127.0.0.1:1", "[::1]", "[::1]:8700", " localhost:8700 "}) {
    EXPECT_TRUE(kLocal.AllowsHost(host)) << host;
    EXPECT_FALSE(kPublic.AllowsHost(host)) << host;
  }
  for (const char* host : {"",
                           ":8700",
                           "evil.com",
                           "localhost.evil.com",
                           "evil.com:8700",
                           "localhost:",
                           "localhost:8700:1",
                           "localhost:x",
                           "127.0.0.1.evil.com",
                           "127.0.0.2",
                           "[::1",
                           "[::1]x",
                           "[::1]:",
                           "::1",
                           "localhost@evil.com",
                           "evil.com@localhost",
                           "localhost/",
                           "localhost,evil.com",
                           "localhost:123456",
                           "0.0.0.0"}) {
    EXPECT_FALSE(kLocal.AllowsHost(host)) << host;
  }
}

TEST(OriginPolicyTest, OnLoopbackPagesOfTheMachineItselfMayAsk) {
  for (const char* origin : {"http://localhost", "http://localhost:3000", "https://localhost:1", "http://127.0.0.1:9",
                             "http://[::1]:6274", "HTTP://LOCALHOST:3000"}) {
    EXPECT_TRUE(kLocal.AllowsOrigin(origin)) << origin;
    EXPECT_FALSE(kPublic.AllowsOrigin(origin)) << origin;
  }
  for (const char* origin :
       {"", "null", "localhost", "http://", "http://evil.com", "http://localhost.evil.com", "http://localhost@evil.com",
        "http://evil.com@localhost", "http://localhost:80@evil.com", "file://localhost", "chrome-extension://localhost",
        "http://localhost:", "http://localhost:x", "http://[::1", "http://[::1]evil.com", "//localhost",
        "http:/localhost", "http://localhost evil.com", "http://localhost,http://evil.com"}) {
    EXPECT_FALSE(kLocal.AllowsOrigin(origin)) << origin;
  }
}

TEST(OriginPolicyTest, ThePublicUrlsTellHostsAndOrigins) {
  for (const char* host : {"mcp.example.com", "mcp.example.com:443", "MCP.EXAMPLE.COM", "plain.example.com:8080",
                           "internal", "internal:1234", "other:9000"}) {
    EXPECT_TRUE(kPublic.AllowsHost(host)) << host;
  }
  for (const char* host : {"example.com", "xmcp.example.com", "mcp.example.com.evil.com", "plain.example.com",
                           "plain.example.com:80", "other", "other:9001", "app.example.com"}) {
    EXPECT_FALSE(kPublic.AllowsHost(host)) << host;
  }
  for (const char* origin : {"https://mcp.example.com", "https://mcp.example.com:443", "http://plain.example.com:8080",
                             "https://app.example.com", "https://app.example.com:8443"}) {
    EXPECT_TRUE(kPublic.AllowsOrigin(origin)) << origin;
  }
  for (const char* origin : {"http://mcp.example.com", "https://mcp.example.com:444", "https://plain.example.com:8080",
                             "http://plain.example.com", "https://internal", "https://app.example.com:8444", "null"}) {
    EXPECT_FALSE(kPublic.AllowsOrigin(origin)) << origin;
  }
}

TEST(OriginPolicyTest, AnOriginIsTheSchemeTheHostAndThePortUnlessItIsTheUsualOne) {
  EXPECT_EQ(OriginOf("HTTPS://A.b:443/c?d#e"), "https://a.b");
  EXPECT_EQ(OriginOf("http://a.b:443"), "http://a.b:443");
  EXPECT_EQ(OriginOf("http://a.b:80?x"), "http://a.b");
  EXPECT_EQ(OriginOf("http://[::1]:80/"), "http://[::1]");
  for (const char* none : {"", "a.b", "ftp://a.b", "https://", "https:///x", "://a", "https://a:b:c"})
    EXPECT_EQ(OriginOf(none), "") << none;
}

TEST(OriginPolicyTest, ANameOfTheTunnelIsItselfByHttpsAndNothingElse) {
  for (const char* host : {"fs.example.com", "FS.Example.com", " fs.example.com ", "fs.example.com:443"})
    EXPECT_TRUE(NamesHost(host, "fs.example.com")) << host;
  for (const char* host : {"", "example.com", "x.fs.example.com", "fs.example.com.evil.com", "fs.example.com:80",
                           "fs.example.com:8700", "fs.example.com.", "evil.com@fs.example.com"}) {
    EXPECT_FALSE(NamesHost(host, "fs.example.com")) << host;
  }
  EXPECT_FALSE(NamesHost("", ""));
  EXPECT_TRUE(IsPageOf("https://FS.example.com", "fs.example.com"));
  EXPECT_TRUE(IsPageOf("https://fs.example.com:443", "fs.example.com"));
  for (const char* origin : {"", "null", "http://fs.example.com", "https://fs.example.com:8443", "https://example.com"})
    EXPECT_FALSE(IsPageOf(origin, "fs.example.com")) << origin;
  EXPECT_FALSE(IsPageOf("", ""));
}

}  // namespace
}  // namespace mcpfleet::gateway
