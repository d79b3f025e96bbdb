#include "edge-runtime/mcplet/store_link.h"

#include <gtest/gtest.h>

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

}  // namespace
}  // namespace mcpfleet
