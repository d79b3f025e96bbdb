#include "edge-runtime/mcplet/store_link.h"

#include <gtest/gtest.h>

#include "tests/store/relay.h"
#include "tests/store/testing.h"

namespace mcpfleet {
namespace {

using testing::Soon;

class StoreLinkTest : public ::testing::Test {
 protected:
  Config Embedded() const {
    Config config = DefaultConfig();
    config.node = "edge-01";
    config.state_directory = dir_.path();
    config.store.port = 0;
    return config;
  }

  testing::TempDir dir_;
  SystemClock clock_;
};

TEST_F(StoreLinkTest, RequestsToTheEmbeddedStoreAreToldLikeThoseToARemoteOne) {
  std::vector<std::string> told;
  const Config config = Embedded();
  auto link = StoreLink::Open(config, clock_, 1, {.on_request = [&told](std::string_view operation, int code) {
                                told.push_back(std::string(operation) + " " + std::to_string(code));
                              }});
  ASSERT_OK(link);
  KvClient& kv = (*link)->status_kv();
  ASSERT_OK(kv.Get("nodes/edge-01", Soon()));
  ASSERT_OK(kv.Put("nodes/edge-01", "{}", {}, Soon()));
  ASSERT_OK(kv.Get("nodes/edge-01", Soon()));
  ASSERT_OK(kv.BulkGet({"nodes/edge-01"}, Soon()));
  ASSERT_OK(kv.List("nodes/", "", 10, Soon()));
  ASSERT_OK(kv.BulkPut({{.key = "nodes/b", .value = "{}"}}, Soon()));
  ASSERT_OK(kv.Delete("nodes/b", Soon()));
  ASSERT_OK(kv.BulkDelete({"nodes/b"}, Soon()));
  EXPECT_FALSE(kv.Put("", "{}", {}, Soon()).ok());
  EXPECT_EQ(told, (std::vector<std::string>{"get 404", "put 200", "get 200", "bulk_get 200", "list 200", "bulk_put 200",
                                            "delete 200", "bulk_delete 200", "put 400"}));
}

TEST_F(StoreLinkTest, ReadsAndThePushBothTakeTheConfiguredWayToARemoteStore) {
  testing::ServedStore store;
  const testing::TlsIdentity authority(""), identity("IP:127.0.0.1", &authority);
  authority.WriteTo(dir_ / "ca.pem");
  ASSERT_OK(WriteFileAtomically(dir_ / "token", testing::kReaderToken));
  testing::Relay front({.to = store.server().port(), .tls = &identity}), proxy({});
  Config config = Embedded();
  config.store = {.embedded = false,
                  .url = front.url(),
                  .account = "local",
                  .config_namespace = kConfigNamespace,
                  .state_namespace = kServerStateNamespace,
                  .token_file = dir_ / "token",
                  .ca_file = dir_ / "ca.pem",
                  .proxy = proxy.url(),
                  .poll_interval = std::chrono::hours(1)};
  auto link = StoreLink::Open(config, clock_, 1, {});
  ASSERT_OK(link);
  (*link)->Start();
  EXPECT_TRUE(http::Eventually([&] { return (*link)->reachable() && (*link)->watching(); }));
  EXPECT_EQ(proxy.accepted(), front.accepted());
  EXPECT_EQ(front.refused(), 0);
}

}  // namespace
}  // namespace mcpfleet
