#include "base/http/proxy.h"

#include <gtest/gtest.h>

#include <cstdlib>

namespace mcpfleet::http {
namespace {

class HttpProxyTest : public ::testing::Test {
 protected:
  void SetUp() override {
    for (const char* name : {"HTTPS_PROXY", "https_proxy", "NO_PROXY", "no_proxy"}) unsetenv(name);
  }
  void TearDown() override { SetUp(); }
  static std::string HostFor(const std::string& url, const std::string& configured = "") {
    const StatusOr<Proxy> proxy = ProxyFor(configured, url);
    EXPECT_TRUE(proxy.ok()) << proxy.status();
    return proxy.ok() ? proxy->endpoint.host : "?";
  }
};

TEST_F(HttpProxyTest, TheConfiguredOneIsForEveryServerTheEnvironmentsForHttps) {
  EXPECT_EQ(HostFor("https://a.test"), "");
  setenv("https_proxy", "http://small.test:3128", 1);
  EXPECT_EQ(HostFor("https://a.test"), "small.test");
  setenv("HTTPS_PROXY", "http://large.test", 1);
  EXPECT_EQ(HostFor("https://a.test"), "large.test");
  EXPECT_EQ(HostFor("http://a.test"), "");
  EXPECT_EQ(HostFor("http://a.test", "http://own.test:1"), "own.test");
  EXPECT_EQ(HostFor("https://a.test", "http://own.test:1"), "own.test");
}

TEST_F(HttpProxyTest, NoProxyNamesHostsAndWhatIsBelowThem) {
  setenv("HTTPS_PROXY", "http://p.test", 1);
  setenv("NO_PROXY", "lan, .corp.test,10.0.0.7", 1);
  for (const char* direct :
       {"https://lan", "https://a.lan:8443/x", "https://corp.test", "https://a.CORP.test", "https://10.0.0.7"})
    EXPECT_EQ(HostFor(direct), "") << direct;
  for (const char* through : {"https://vlan", "https://corp.test.evil", "https://10.0.0.70", "https://110.0.0.7"})
    EXPECT_EQ(HostFor(through), "p.test") << through;
  EXPECT_EQ(HostFor("https://lan", "http://own.test"), "own.test") << "what is configured is meant";
  setenv("NO_PROXY", "*", 1);
  EXPECT_EQ(HostFor("https://vlan"), "");
}

TEST_F(HttpProxyTest, UserAndPasswordAreDecodedAndInNoMessage) {
  const StatusOr<Proxy> proxy = ProxyFor("http://u%40x:p%3Ass@[::1]:3128/", "http://a.test");
  ASSERT_TRUE(proxy.ok()) << proxy.status();
  EXPECT_EQ(proxy->endpoint.host, "::1");
  EXPECT_EQ(proxy->endpoint.port, 3128);
  ClientOptions options;
  proxy->Apply(&options);
  EXPECT_EQ(options.proxy.host, "::1");
  EXPECT_EQ(options.proxy_authorization, "Basic dUB4OnA6c3M=");
  for (const char* url : {"https://proxy.test", "proxy.test:3128", "http://u:secret%zz@proxy.test", "http://u:secret@",
                          "http://u:secret@p.test:x"}) {
    const StatusOr<Proxy> bad = ProxyFor(url, "http://a.test");
    EXPECT_FALSE(bad.ok()) << url;
    EXPECT_EQ(bad.status().ToString().find("secret"), std::string::npos) << bad.status();
  }
}

}  // namespace
}  // namespace mcpfleet::http
