#include "tests/store/kubernetes/api_under_test.h"

#include <stdlib.h>
#include <unistd.h>

#include <csignal>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "base/fd.h"
#include "base/strings.h"
#include "crd/manifest.h"
#include "tests/base/tls_identity.h"
#include "tests/fakes/kube/kube_api.h"
#include "tests/fakes/kube/kube_kinds.h"
#include "tests/integration/node.h"

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

 private:
  KubeApi api_;
};

std::string Find(const char* variable, const std::string& program) {
  if (const char* given = getenv(variable); given != nullptr && *given != '\0') return given;
  const char* path = getenv("PATH");
  for (const std::string& directory : Split(path == nullptr ? "" : path, ':')) {
    if (const std::string file = directory + "/" + program; access(file.c_str(), X_OK) == 0) return file;
  }
  return "";
}

// etcd and kube-apiserver on loopback, with static tokens and RBAC.
class RealApi final : public ApiUnderTest {
 public:
  RealApi(const std::string& etcd, const std::string& apiserver) {
    directory_ = MakeDirectory();
    const HeldPort client = HoldPort(), peer = HoldPort(), secure = HoldPort();
    const auto at = [](const HeldPort& port) { return "http://127.0.0.1:" + std::to_string(port.number); };
    etcd_ = StartProgram({etcd, "--data-dir", directory_ + "/etcd", "--listen-client-urls", at(client),
                          "--advertise-client-urls", at(client), "--listen-peer-urls", at(peer), "--unsafe-no-fsync"},
                         directory_ + "/etcd.log");
    TlsIdentity key("DNS:service-accounts");
    key.WriteKeyTo(directory_ + "/sa.key");
    EXPECT_TRUE(WriteFileAtomically(directory_ + "/tokens.csv",
                                    std::string("admin,admin,1,system:masters\nmcplet,") + kMcpletUser + ",2\n")
                    .ok());
    apiserver_ =
        StartProgram({apiserver, "--etcd-servers=" + at(client), "--bind-address=127.0.0.1",
                      "--secure-port=" + std::to_string(secure.number), "--cert-dir=" + directory_ + "/certs",
                      "--token-auth-file=" + directory_ + "/tokens.csv", "--authorization-mode=RBAC",
                      "--service-account-issuer=https://test", "--service-account-key-file=" + directory_ + "/sa.key",
                      "--service-account-signing-key-file=" + directory_ + "/sa.key",
                      "--service-cluster-ip-range=10.0.0.0/24", "--disable-admission-plugins=ServiceAccount"},
                     directory_ + "/apiserver.log");
    server_ = "https://127.0.0.1:" + std::to_string(secure.number);
    ca_file_ = directory_ + "/certs/apiserver.crt";
  }
  ~RealApi() override {
    EndProgram(apiserver_, SIGTERM);
    EndProgram(etcd_, SIGTERM);
    EXPECT_TRUE(RemoveTree(directory_).ok());
  }

  bool Ready() {
    const auto admin = Admin();
    return WaitFor([&] {
      const auto answer = admin->Do({.path = "/readyz"}, Deadline::After(seconds(2)));
      return answer.ok() && answer->ok();
    });
  }

  // The CRDs and the roles, as an administrator installs them.
  bool Install() {
    const auto admin = Admin();
    const auto create = [&](const std::string& path, const Json& object) {
      const auto answer = admin->Do(
          {.method = "POST", .path = path, .query = {}, .content_type = kube::kJson, .body = DumpJson(object)},
          Deadline::After(seconds(20)));
      EXPECT_TRUE(answer.ok() && answer->ok())
          << path << " " << (answer.ok() ? DumpJson(answer->body) : Message(answer.status()));
    };
    for (const char* crd : {"mcpserver.yaml", "mcpnode.yaml", "mcpsecret.yaml"})
      create("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", CrdJson(crd));
    create("/api/v1/namespaces", {{"apiVersion", "v1"}, {"kind", "Namespace"}, {"metadata", {{"name", "mcpfleet"}}}});
    for (const std::string& document : Documents(RbacManifest())) {
      const StatusOr<Json> object = ParseYaml(document, "rbac.yaml", nullptr, nullptr);
      if (!object.ok()) continue;
      const std::string kind = GetString(*object, "kind");
      if (kind == "ServiceAccount") continue;
      const std::string space = GetString((*object)["metadata"], "namespace");
      create("/apis/rbac.authorization.k8s.io/v1" + (space.empty() ? "" : "/namespaces/" + space) + "/" +
                 ToLower(kind) + "s",
             *object);
    }
    return WaitFor([&] {
      const auto answer = admin->Do({.path = "/apis/mcpfleet.dev/v1alpha1/mcpservers"}, Deadline::After(seconds(5)));
      return answer.ok() && answer->ok();
    });
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

 private:
  static std::vector<std::string> Documents(const std::string& text) {
    std::vector<std::string> out;
    size_t begin = 0;
    for (size_t end; (end = text.find("\n---", begin)) != std::string::npos; begin = text.find('\n', end + 1) + 1)
      out.push_back(text.substr(begin, end - begin));
    out.push_back(text.substr(begin));
    return out;
  }
  pid_t etcd_ = -1, apiserver_ = -1;
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
  EXPECT_TRUE(WriteFileAtomically(file, who + "\n").ok());
  StatusOr<kube::Cluster> cluster =
      kube::ResolveCluster({.server = server_, .token_file = file, .ca_file = ca_file_, .namespace_ = "mcpfleet"},
                           [](const char*) { return std::string(); });
  EXPECT_TRUE(cluster.ok()) << cluster.status();
  return std::make_unique<kube::RestClient>(*std::move(cluster), "test");
}

std::unique_ptr<ApiUnderTest> ApiUnderTest::StartFake() { return std::make_unique<FakeApi>(); }

std::unique_ptr<ApiUnderTest> ApiUnderTest::StartReal(std::string* missing) {
  const std::string apiserver = Find("KUBE_APISERVER", "kube-apiserver"), etcd = Find("ETCD", "etcd");
  if (apiserver.empty() || etcd.empty()) {
    *missing = apiserver.empty() ? "no kube-apiserver ($KUBE_APISERVER)" : "no etcd ($ETCD)";
    return nullptr;
  }
  auto real = std::make_unique<RealApi>(etcd, apiserver);
  if (!real->Ready() || !real->Install()) {
    ADD_FAILURE() << "kube-apiserver does not come up";
    *missing = "kube-apiserver does not come up";
    return nullptr;
  }
  return real;
}

}  // namespace mcpfleet::testing
