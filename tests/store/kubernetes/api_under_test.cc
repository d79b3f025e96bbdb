#include "tests/store/kubernetes/api_under_test.h"

#include <stdlib.h>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "base/fd.h"
#include "tests/fakes/kube/kube_api.h"
#include "tests/integration/real_kube.h"

namespace mcpfleet::testing {
namespace {

using std::chrono::seconds;

std::string MakeDirectory() {
  char name[] = "/tmp/mcpfleet-kube-XXXXXX";
  return mkdtemp(name);
}

class FakeApi final : public ApiUnderTest {
 public:
  FakeApi() {
    directory_ = MakeDirectory();
    api_.Grant(RbacManifest());
    api_.AddToken("mcplet", kMcpletUser);
    api_.AddToken("admin", kAdmin);
    server_ = api_.url();
  }
  ~FakeApi() override { EXPECT_TRUE(RemoveTree(directory_).ok()); }
  std::string NewNamespace() override { return "ns-" + std::to_string(++namespaces_); }
  std::vector<std::string> Refusals() override { return api_.Refusals(); }

 private:
  KubeApi api_;
};

class RealApi final : public ApiUnderTest {
 public:
  explicit RealApi(KubePrograms programs) : kube_(std::move(programs)) { directory_ = MakeDirectory(); }
  ~RealApi() override { EXPECT_TRUE(RemoveTree(directory_).ok()); }
  bool Start() {
    if (!kube_.Start()) return false;
    server_ = kube_.server();
    ca_file_ = kube_.ca_file();
    mcplet_ = kube_.MakeToken();
    return true;
  }
  std::string NewNamespace() override {
    const std::string name = "ns-" + std::to_string(++namespaces_);
    const Json object = {{"apiVersion", "v1"}, {"kind", "Namespace"}, {"metadata", {{"name", name}}}};
    const auto answer = Admin()->Do({.method = "POST",
                                     .path = "/api/v1/namespaces",
                                     .query = {},
                                     .content_type = kube::kJson,
                                     .body = DumpJson(object)},
                                    Deadline::After(seconds(20)));
    EXPECT_TRUE(answer.ok() && answer->ok());
    return name;
  }
  std::vector<std::string> Refusals() override { return kube_.Refusals(); }
  std::unique_ptr<kube::RestClient> Crds() override { return kube_.Client(kube_.AdminToken(), kube_.crd_server()); }

 protected:
  std::string Token(const std::string& who) const override {
    return who == "mcplet" ? mcplet_ : who == "admin" ? kube_.AdminToken() : who;
  }

 private:
  RealKube kube_;
  std::string mcplet_;
};

}  // namespace

std::string RbacManifest() {
  const StatusOr<std::string> text =
      ReadFile(std::string(MCPFLEET_SOURCE_DIR) + "/manifests/kubernetes/rbac.yaml", size_t{1} << 20);
  EXPECT_TRUE(text.ok()) << text.status();
  return text.ok() ? *text : "";
}

std::unique_ptr<kube::RestClient> ApiUnderTest::Client(const std::string& who) const {
  const std::string file = directory_ + "/token-" + who;
  EXPECT_TRUE(WriteFileAtomically(file, Token(who) + "\n").ok());
  StatusOr<kube::Cluster> cluster =
      kube::ResolveCluster({.server = server_, .token_file = file, .ca_file = ca_file_, .namespace_ = "mcpfleet"},
                           [](const char*) { return std::string(); });
  EXPECT_TRUE(cluster.ok()) << cluster.status();
  return std::make_unique<kube::RestClient>(*std::move(cluster), "test");
}

std::unique_ptr<ApiUnderTest> ApiUnderTest::StartFake() { return std::make_unique<FakeApi>(); }

std::unique_ptr<ApiUnderTest> ApiUnderTest::StartReal(std::string* missing) {
  const StatusOr<KubePrograms> programs = FindKubePrograms();
  if (!programs.ok()) {
    *missing = Message(programs.status());
    return nullptr;
  }
  auto real = std::make_unique<RealApi>(*programs);
  if (!real->Start()) {
    *missing = "kube-apiserver does not come up";
    return nullptr;
  }
  return real;
}

}  // namespace mcpfleet::testing
