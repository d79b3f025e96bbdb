// A cluster for a node: an API server over TLS, mcplet's service account with a token in a file, and what a person does
// with kubectl. The API server is the fake one, which can be made to fail at will, or a real one.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/json.h"
#include "store/kubernetes/rest.h"
#include "tests/base/tls_identity.h"
#include "tests/fakes/kube/kube_api.h"
#include "tests/integration/node.h"
#include "tests/integration/real_kube.h"

namespace mcpfleet {

class Cluster {
 public:
  Cluster();                                // the fake one
  explicit Cluster(KubePrograms programs);  // a real one; the test has failed when it does not come up
  ~Cluster();
  bool up() const { return up_; }

  // What goes wrong.
  void GoAway();         // nothing listens any more
  void ComeBack();       // with all that it had
  void BreakWatches();   // a real one dies and comes back
  void ExpireWatches();  // 410 Gone for who goes on from a version of before
  // Of the fake one: some requests fail, and a bookmark in each watch. A real one does both by itself at times.
  void FailRequests();

  // For a node that has this cluster as a source.
  NodeOptions Node(const std::string& name, const std::string& source = "kubernetes") const;
  // A new token in the file; the one before is not taken any more (by a real one for 10 s).
  void RotateToken();

  // The real kubectl as an administrator, in namespace default; "" when there is none.
  const std::string& kubectl() const { return kubectl_; }
  CommandResult Kubectl(const std::vector<std::string>& args, const std::string& input = "");

  // As an administrator.
  Json Get(const std::string& path);
  void Apply(const std::string& collection, const Json& object);  // created, or its spec and labels replaced
  void Delete(const std::string& path);
  // An MCPServer of namespace default.
  void ApplyServer(Json manifest);
  void DeleteServer(const std::string& name);
  Json Server(const std::string& name);  // null when it is not there
  bool Gone(const std::string& name) { return Server(name).is_null(); }
  // "True/Verified" of the merged view, or of one node; "" when there is none.
  std::string Condition(const std::string& name, const std::string& type, const std::string& node = "");
  // The first news of MCPServers in namespace default after a version ("MODIFIED weather"), or "410" when it is gone.
  std::string WatchFrom(const std::string& version);
  std::vector<Json> Events(const std::string& name);

 private:
  std::string directory_;
  std::unique_ptr<testing::TlsIdentity> ca_, identity_;
  std::unique_ptr<testing::KubeApi> api_;  // or
  std::unique_ptr<RealKube> real_;
  bool up_ = true;
  std::unique_ptr<kube::RestClient> admin_;
  std::string token_, server_, ca_file_, admin_token_, kubectl_;
  int tokens_ = 0;
};

}  // namespace mcpfleet
