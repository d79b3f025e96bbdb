// A real API server on loopback: etcd, a kube-apiserver with RBAC, audit log and tokens of service accounts, and, where
// that one is older than the rules in CRDs (1.25), the CustomResourceDefinition server of a later Kubernetes behind its
// aggregator. To a client they are one API server.
//
//   StatusOr<KubePrograms> programs = FindKubePrograms();
//   RealKube kube(*programs);
//   if (kube.Start()) …kube::RestClient with kube.server(), kube.ca_file() and a token of kube.MakeToken()…
//
// For one thread. A call that makes something fails the test when it can't.
#pragma once

#include <sys/types.h>

#include <memory>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/status.h"
#include "store/kubernetes/rest.h"
#include "tests/base/tls_identity.h"
#include "tests/integration/node.h"

namespace mcpfleet {

struct KubePrograms {
  std::string etcd, apiserver;
  std::string crds;     // "": kube-apiserver's own
  std::string kubectl;  // "": none
};
// $MCPFLEET_KUBE is a folder that tests/tools/build_kube_apiserver has made; else $KUBE_APISERVER and $ETCD say where a
// kube-apiserver of 1.26 or newer is, or $PATH. NotFound says what is missing.
StatusOr<KubePrograms> FindKubePrograms();

class RealKube {
 public:
  explicit RealKube(KubePrograms programs);
  ~RealKube();
  RealKube(const RealKube&) = delete;

  // Starts them and does what an administrator does: crd/*.yaml, manifests/kubernetes/rbac.yaml. False when they don't
  // come up; the test has failed then.
  bool Start();
  // The API servers die (SIGKILL) and come back at the same ports; etcd stays.
  void GoAway();
  void ComeBack();
  // etcd forgets every version but the present one: 410 Gone for who asks an API server that was started after it.
  void Compact();

  const std::string& server() const { return server_; }  // "https://127.0.0.1:<port>"
  std::string ca_file() const { return directory_ + "/ca.crt"; }
  const KubePrograms& programs() const { return programs_; }
  std::string crd_server() const { return crds_server_.empty() ? server_ : crds_server_; }  // takes crd/*.yaml
  // A token of mcplet's service account. Revoking makes the account anew, so that no earlier one is taken any more;
  // API servers know one they have seen for 10 s more.
  std::string MakeToken();
  void RevokeTokens();
  std::string AdminToken() const { return "admin"; }
  kube::RestClient& admin() { return *admin_; }
  std::unique_ptr<kube::RestClient> Client(const std::string& token, const std::string& server = "") const;
  // What mcplet's account was forbidden (403) so far, of the audit log: "list secrets".
  std::vector<std::string> Refusals() const;
  // The ends of the programs' logs, for a message.
  std::string Logs() const;

 private:
  bool StartServers();
  bool Install();
  kube::Answer Send(const std::string& method, const std::string& path, const Json& object, int expected);

  const KubePrograms programs_;
  std::string directory_, server_, crds_server_, etcd_url_;
  testing::TlsIdentity ca_{""};
  HeldPort etcd_port_ = HoldPort(), peer_port_ = HoldPort(), port_ = HoldPort(), crds_port_ = HoldPort();
  pid_t etcd_ = -1, apiserver_ = -1, crds_ = -1;
  std::unique_ptr<kube::RestClient> admin_;
};

}  // namespace mcpfleet
