// The way from a node to its store on real sockets: proxies, certificates, kept connections, for the client and for the
// watch.
#include <cstdlib>

#include "base/mutex.h"
#include "store/store_url.h"
#include "store/watch_client.h"
#include "tests/store/relay.h"
#include "tests/store/testing.h"

namespace mcpfleet {
namespace {

using namespace testing;
using testing::Soon;
using testing::TempDir;

class StoreTransportTest : public ::testing::Test {
 protected:
  StoreTransportTest() {
    for (const char* name : {"HTTPS_PROXY", "https_proxy"}) unsetenv(name);
    ca_.WriteTo(dir_ / "ca.pem");
    other_.WriteTo(dir_ / "other.pem");
  }
  ~StoreTransportTest() override {
    for (const char* name : {"HTTPS_PROXY", "https_proxy", "SSL_CERT_FILE"}) unsetenv(name);
  }

  Status Read(RestOptions options) {
    options.token = kOperatorToken;
    options.max_attempts = 1;
    auto kv = NewRestKvClient(std::move(options), {.id = kServerStateNamespace});
    if (!kv.ok()) return kv.status();
    auto value = (*kv)->Get("nodes/x", Soon());
    if (!value.ok()) return value.status();
    return value->has_value() && (*value)->value == "there" ? OkStatus() : NotFound("not the value");
  }
  void SetUp() override { ASSERT_OK(store_.Client(kServerStateNamespace)->Put("nodes/x", "there", {}, Soon())); }

  // True when the watch connects; false once `given_up` says that it can't.
  bool Watches(WatchOptions options, const std::function<bool()>& given_up) {
    options.token = kReaderToken;
    auto watch = WatchClient::Create(options, {});
    EXPECT_TRUE(watch.ok()) << watch.status();
    (*watch)->Start();
    EXPECT_TRUE(http::Eventually([&] { return (*watch)->connected() || given_up(); }));
    return (*watch)->connected();
  }
  static bool Never() { return false; }

  uint16_t store_port() { return store_.server().port(); }

  TempDir dir_;
  ServedStore store_;
  TlsIdentity ca_{""}, other_{""};
  TlsIdentity server_{"IP:127.0.0.1,DNS:localhost", &ca_}, elsewhere_{"DNS:elsewhere.test", &ca_};
};

TEST_F(StoreTransportTest, OnlyACertificateOfTheConfiguredAuthorityForThisHostIsAccepted) {
  Relay good({.to = store_port(), .tls = &server_});
  EXPECT_OK(Read({.base_url = good.url(), .ca_file = dir_ / "ca.pem"}));
  EXPECT_FALSE(Read({.base_url = good.url(), .ca_file = dir_ / "other.pem"}).ok());
  EXPECT_FALSE(Read({.base_url = good.url(), .ca_file = dir_ / "absent.pem"}).ok());
  EXPECT_FALSE(Read({.base_url = good.url()}).ok()) << "the system does not know this authority";
  Relay wrong_host({.to = store_port(), .tls = &elsewhere_});
  EXPECT_FALSE(Read({.base_url = wrong_host.url(), .ca_file = dir_ / "ca.pem"}).ok());
}

TEST_F(StoreTransportTest, AnAuthorityOfTheSystemIsNotTrustedBesideTheConfiguredOne) {
  Relay relay({.to = store_port(), .tls = &server_});
  setenv("SSL_CERT_FILE", (dir_ / "ca.pem").c_str(), 1);  // read with each connection of cpprestsdk
  EXPECT_OK(Read({.base_url = relay.url()}));
  EXPECT_FALSE(Read({.base_url = relay.url(), .ca_file = dir_ / "other.pem"}).ok());
}

TEST_F(StoreTransportTest, TheWatchTrustsWhatTheClientTrusts) {
  Relay good({.to = store_port(), .tls = &server_});
  EXPECT_TRUE(Watches({.base_url = good.url(), .ca_file = dir_ / "ca.pem"}, Never));
  EXPECT_EQ(good.refused(), 0);
  EXPECT_FALSE(Watches({.base_url = good.url(), .ca_file = dir_ / "other.pem"}, [&] { return good.refused() > 0; }));
  Relay wrong_host({.to = store_port(), .tls = &elsewhere_});
  EXPECT_FALSE(
      Watches({.base_url = wrong_host.url(), .ca_file = dir_ / "ca.pem"}, [&] { return wrong_host.refused() > 0; }));
}

TEST_F(StoreTransportTest, AnHttpsStoreIsReachedThroughATunnelOfTheProxy) {
  Relay front({.to = store_port(), .tls = &server_}), proxy({});
  const std::string tunnel = "CONNECT 127.0.0.1:" + std::to_string(front.port()) + " HTTP/1.1";
  EXPECT_OK(Read({.base_url = front.url(), .proxy = proxy.url(), .ca_file = dir_ / "ca.pem"}));
  EXPECT_EQ(proxy.asked(), std::vector<std::string>{tunnel});
  EXPECT_TRUE(Watches({.base_url = front.url(), .proxy = proxy.url(), .ca_file = dir_ / "ca.pem"}, Never));
  EXPECT_EQ(proxy.asked(), (std::vector<std::string>{tunnel, tunnel}));
  // The tunnel makes nobody trusted.
  EXPECT_FALSE(Read({.base_url = front.url(), .proxy = proxy.url(), .ca_file = dir_ / "other.pem"}).ok());
  EXPECT_EQ(front.accepted(), 3);
}

TEST_F(StoreTransportTest, APlainStoreIsAskedForByItsWholeUrlAndWatchedThroughATunnel) {
  Relay proxy({});
  EXPECT_OK(Read({.base_url = store_.url(), .proxy = proxy.url()}));
  ASSERT_EQ(proxy.asked().size(), 1u);
  EXPECT_EQ(proxy.asked()[0].rfind("GET " + store_.url() + "/client/v4/", 0), 0u) << proxy.asked()[0];
  EXPECT_TRUE(Watches({.base_url = store_.url(), .proxy = proxy.url()}, Never));
  EXPECT_EQ(proxy.asked()[1], "CONNECT 127.0.0.1:" + std::to_string(store_port()) + " HTTP/1.1");
}

TEST_F(StoreTransportTest, TheEnvironmentsProxyIsForHttpsStoresWithoutOneOfTheirOwn) {
  Relay front({.to = store_port(), .tls = &server_}), environment({}), configured({});
  setenv("HTTPS_PROXY", environment.url().c_str(), 1);
  EXPECT_OK(Read({.base_url = store_.url()}));
  EXPECT_EQ(environment.accepted(), 0);
  EXPECT_OK(Read({.base_url = front.url(), .proxy = configured.url(), .ca_file = dir_ / "ca.pem"}));
  EXPECT_EQ(environment.accepted(), 0);
  EXPECT_OK(Read({.base_url = front.url(), .ca_file = dir_ / "ca.pem"}));
  EXPECT_EQ(environment.accepted(), 1);
  EXPECT_TRUE(Watches({.base_url = front.url(), .ca_file = dir_ / "ca.pem"}, Never));
  EXPECT_EQ(environment.accepted(), 2);
}

TEST_F(StoreTransportTest, AProxyThatWantsAPasswordGetsTheOneOfItsUrl) {
  Relay front({.to = store_port(), .tls = &server_});
  Relay proxy({.proxy_authorization = "Basic dXNlcjpwQHNz"});  // user:p@ss
  const std::string port = std::to_string(proxy.port());
  const std::string with = "http://user:p%40ss@127.0.0.1:" + port, without = "http://127.0.0.1:" + port;
  EXPECT_OK(Read({.base_url = front.url(), .proxy = with, .ca_file = dir_ / "ca.pem"}));
  EXPECT_OK(Read({.base_url = store_.url(), .proxy = with}));
  EXPECT_TRUE(Watches({.base_url = front.url(), .proxy = with, .ca_file = dir_ / "ca.pem"}, Never));
  EXPECT_FALSE(Read({.base_url = front.url(), .proxy = without, .ca_file = dir_ / "ca.pem"}).ok());
  size_t before = proxy.asked().size();
  EXPECT_FALSE(Watches({.base_url = front.url(), .proxy = without, .ca_file = dir_ / "ca.pem"},
                       [&] { return proxy.asked().size() > before; }));
}

TEST_F(StoreTransportTest, SixtyRequestsOneAfterTheOtherShareAFewKeptConnections) {
  for (const TlsIdentity* tls : {static_cast<const TlsIdentity*>(nullptr), static_cast<const TlsIdentity*>(&server_)}) {
    Relay relay({.to = store_port(), .tls = tls});
    auto kv = *NewRestKvClient({.base_url = relay.url(), .token = kOperatorToken, .ca_file = dir_ / "ca.pem"},
                               {.id = kServerStateNamespace});
    for (int i = 0; i < 20; ++i) {
      ASSERT_OK(kv->Put("nodes/x", std::to_string(i), {}, Soon()));
      ASSERT_OK(kv->Get("nodes/x", Soon()));
      ASSERT_OK(kv->Get("nodes/absent", Soon()));
    }
    // Not always one: cpprestsdk tells the end of an answer a moment before it puts the connection back.
    EXPECT_LE(relay.accepted(), 5) << relay.url();
  }
}

TEST(StoreUrlTest, WhatIsNoUrlOfAStoreIsRefusedAndThePasswordIsInNoMessage) {
  EXPECT_EQ(ParseStoreUrl("https://[::1]:8702/base")->host, "::1");
  EXPECT_EQ(ParseStoreUrl("https://store.test")->port, 443);
  EXPECT_EQ(ParseStoreUrl("http://store.test/x:1")->port, 80);
  for (const char* url : {"", "store.test", "ftp://store.test", "http://", "http://:80", "http://x:port",
                          "http://x:1:", "http://x:70000", "https://user:secret@store.test"}) {
    auto parsed = ParseStoreUrl(url);
    EXPECT_FALSE(parsed.ok()) << url;
    EXPECT_EQ(parsed.status().ToString().find("secret"), std::string::npos);
  }
}

}  // namespace
}  // namespace mcpfleet
