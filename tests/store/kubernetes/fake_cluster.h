// Fixture: the fake API server, an administrator's client of it, and the account that mcplet has ("token"), which may
// do nothing until it is granted.
#pragma once

#include <memory>
#include <string>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "base/fd.h"
#include "store/kubernetes/resource.h"
#include "tests/fakes/kube/kube_api.h"
#include "tests/store/kubernetes/api_under_test.h"

namespace mcpfleet::kube {

class FakeClusterTest : public ::testing::Test {
 protected:
  FakeClusterTest() {
    char name[] = "/tmp/mcpfleet-cluster-XXXXXX";
    directory_ = mkdtemp(name);
    api_.AddToken("t", testing::kMcpletUser);
    EXPECT_TRUE(WriteFileAtomically(directory_ + "/token", "t").ok());
    EXPECT_TRUE(WriteFileAtomically(directory_ + "/admin", testing::kAdmin).ok());
    admin_ = std::make_unique<RestClient>(ClusterOf("admin"), "test");
  }
  ~FakeClusterTest() override { EXPECT_TRUE(RemoveTree(directory_).ok()); }

  Cluster ClusterOf(const std::string& token) const {
    return *ResolveCluster(
        {.server = api_.url(), .token_file = directory_ + "/" + token, .ca_file = {}, .namespace_ = "mcpfleet"},
        [](const char*) { return std::string(); });
  }
  // By the administrator. The answer's code; 0: none came.
  int Send(const std::string& method, const std::string& path, const Json& body = nullptr) {
    const auto answer = admin_->Do({.method = method,
                                    .path = path,
                                    .query = {},
                                    .content_type = method == "PATCH" ? kMergePatch : kJson,
                                    .body = body.is_null() ? "" : DumpJson(body)},
                                   Deadline::After(std::chrono::seconds(5)));
    return answer.ok() ? answer->code : 0;
  }
  // null: it is not there.
  Json Get(const std::string& path) {
    const auto answer = admin_->Do({.path = path}, Deadline::After(std::chrono::seconds(5)));
    return answer.ok() && answer->ok() ? answer->body : Json();
  }
  // "True/Verified" of the object's condition Ready, "" without one.
  std::string ReadyAt(const std::string& path) {
    const Json object = Get(path);
    for (const Json& condition : GetMember(GetMember(object, "status"), "conditions")) {
      if (GetString(condition, "type") == "Ready")
        return GetString(condition, "status") + "/" + GetString(condition, "reason");
    }
    return "";
  }

  SystemClock clock_;
  std::string directory_;
  testing::KubeApi api_;
  std::unique_ptr<RestClient> admin_;
};

}  // namespace mcpfleet::kube
