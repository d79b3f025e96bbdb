// What the store's tests share: a temporary directory, small objects, and a served embedded store.
#pragma once

#include <stdlib.h>

#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "base/digest.h"
#include "base/fd.h"
#include "crd/object.h"
#include "store/device_token.h"
#include "store/kv_client.h"
#include "store/server/embedded_kv.h"
#include "store/server/kv_server.h"

namespace mcpfleet::testing {

class TempDir {
 public:
  TempDir() {
    char name[] = "/tmp/mcpfleet-store-XXXXXX";
    path_ = mkdtemp(name);
  }
  ~TempDir() { EXPECT_TRUE(RemoveTree(path_).ok()); }
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

inline Object Server(const std::string& name, const std::string& version = "1", Json placement = nullptr) {
  Object object;
  object.kind = kKindServer;
  object.metadata.name = name;
  object.spec = {{"source", {{"image", {{"ref", "example/" + name + ":" + version}}}}}};
  if (!placement.is_null()) object.spec["placement"] = std::move(placement);
  return object;
}

inline Object Node(const std::string& name, Labels labels = {}, bool unschedulable = false) {
  Object object;
  object.kind = kKindNode;
  object.metadata.name = name;
  object.metadata.namespace_ = "";
  object.metadata.labels = std::move(labels);
  if (unschedulable) object.spec["unschedulable"] = true;
  return object;
}

inline Deadline Soon() { return Deadline::After(std::chrono::seconds(20)); }

#define ASSERT_OK(expression)                                                          \
  do {                                                                                 \
    auto&& assert_ok_value = (expression);                                             \
    ASSERT_TRUE(assert_ok_value.ok()) << ::mcpfleet::testing::TextOf(assert_ok_value); \
  } while (false)

#define EXPECT_OK(expression)                                                          \
  do {                                                                                 \
    auto&& expect_ok_value = (expression);                                             \
    EXPECT_TRUE(expect_ok_value.ok()) << ::mcpfleet::testing::TextOf(expect_ok_value); \
  } while (false)

inline std::string TextOf(const Status& status) { return status.ToString(); }
template <typename T>
std::string TextOf(const StatusOr<T>& value) {
  return value.status().ToString();
}

inline constexpr char kOperatorToken[] = "operator-token-of-the-tests-0123456789abcdef";
inline constexpr char kReaderToken[] = "reader-token-of-the-tests-0123456789abcdef";
// Of the node "a".
inline constexpr char kNodeToken[] = "node-token-of-the-tests-0123456789abcdef";

// An embedded store with its server on a port of the system's choice.
class ServedStore {
 public:
  ServedStore() {
    auto kv = EmbeddedKv::Open(dir_ / "store.db", clock_);
    EXPECT_TRUE(kv.ok()) << kv.status();
    kv_ = *std::move(kv);
    KvServerOptions options;
    options.tokens = {{Sha256Hex(kOperatorToken), StoreRole::kOperator}, {Sha256Hex(kReaderToken), StoreRole::kReader}};
    auto server = KvServer::Create(*kv_, options);
    EXPECT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
    const std::string token = EncodeDeviceToken({.node = "a"});
    EXPECT_TRUE(kv_->Put(kDeviceTokensNamespace, {DeviceTokenKey(Sha256Hex(kNodeToken)), token, token, 0}, {}).ok());
  }
  std::string url() const { return "http://127.0.0.1:" + std::to_string(server_->port()); }
  EmbeddedKv& kv() { return *kv_; }
  KvServer& server() { return *server_; }
  std::unique_ptr<KvClient> Client(const std::string& ns = kConfigNamespace,
                                   const std::string& token = kOperatorToken) {
    auto client = NewRestKvClient({.base_url = url(), .token = token}, {.id = ns});
    EXPECT_TRUE(client.ok()) << client.status();
    return *std::move(client);
  }

 private:
  TempDir dir_;
  SystemClock clock_;
  std::unique_ptr<EmbeddedKv> kv_;
  std::unique_ptr<KvServer> server_;
};

}  // namespace mcpfleet::testing
