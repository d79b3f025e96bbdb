// An API server of Kubernetes for tests, written from the API conventions: it knows our custom resources by crd/*.yaml
// and of the built-in ones what mcplet uses, and it refuses what a real one refuses: a missing or wrong token (401),
// what RBAC does not allow (403), another content type (415), unknown fields where they are asked to be strict or
// applied, invalid values (422), a resourceVersion that is not the present one (409), one that is too old for a watch
// (410), an apply over another manager's field without force (409), another object's uid (409, but in a custom
// resource's status, where nobody looks), finalizers added while it is being deleted (422). It is held to real ones by
// tests/store/kubernetes/api_contract_test.cc. Where a real one judges by the CEL of crd/*.yaml this one judges as
// mcpctl does: it refuses what only mcplet would as well.
//
//   KubeApi api;
//   api.Grant(ReadFile("manifests/kubernetes/rbac.yaml"));
//   api.AddToken("t1", "system:serviceaccount:mcpfleet:mcpfleet");
//   …http requests to api.url() with "Bearer t1"…
//
// kAdmin is a token that may do everything. Thread-safe.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/http/server.h"
#include "base/json.h"
#include "base/mutex.h"
#include "tests/fakes/kube/kube_kinds.h"
#include "tests/fakes/kube/kube_rbac.h"

namespace mcpfleet::testing {

inline constexpr char kAdmin[] = "admin-token";

struct KubeOptions {
  uint16_t port = 0;
  http::TlsFiles tls;  // empty: plain HTTP
};

class KubeApi {
 public:
  explicit KubeApi(KubeOptions options = {});
  ~KubeApi();
  uint16_t port() const { return port_; }
  std::string url() const;

  void Grant(std::string_view rbac_yaml) LOCKS_EXCLUDED(mu_);
  // Rules of a role end that name this resource, of everybody.
  void Revoke(const std::string& resource) LOCKS_EXCLUDED(mu_);
  void AddToken(const std::string& token, const std::string& user) LOCKS_EXCLUDED(mu_);
  void RemoveToken(const std::string& token) LOCKS_EXCLUDED(mu_);

  // What goes wrong.
  void GoAway();                             // nothing listens any more
  void ComeBack();                           // at the same port, with all that it had
  void BreakWatches() LOCKS_EXCLUDED(mu_);   // in the middle of a line
  void ExpireWatches() LOCKS_EXCLUDED(mu_);  // an ERROR event with 410; and what is older is gone for new ones too
  void SendBookmarks() LOCKS_EXCLUDED(mu_);
  void FailNext(int code, int times) LOCKS_EXCLUDED(mu_);  // of anybody but kAdmin

  // What was asked: "list mcpservers", "patch mcpservers/status", "watch secrets", by verb and resource.
  int64_t Count(const std::string& what) const LOCKS_EXCLUDED(mu_);
  std::vector<std::string> Refusals() const LOCKS_EXCLUDED(mu_);  // of 403: "list pods"
  int watches() const LOCKS_EXCLUDED(mu_);

 private:
  using Kind = KubeKind;
  struct Stored {
    Json object;
    std::map<std::string, std::set<std::string>> managers;  // "manager/Operation/subresource" -> fields
  };
  using Name = std::pair<std::string, std::string>;
  struct Change {
    int64_t version;
    std::string type;
    Json object;
  };
  struct Watcher {
    std::shared_ptr<http::StreamWriter> stream;
    const Kind* kind;
    std::string namespace_, name;  // selectors; "" for all
  };
  struct Target {
    const Kind* kind = nullptr;
    std::string namespace_, name, subresource;
    bool all_namespaces = false;
  };
  struct Asked;  // a request taken apart

  void Listen();
  void Handle(http::Request& request, const std::shared_ptr<http::Responder>& to) LOCKS_EXCLUDED(mu_);
  http::Response Serve(const Asked& asked) EXCLUSIVE_LOCKS_REQUIRED(mu_);
  bool Parse(const http::Request& request, Target* target) const;
  http::Response List(const Asked& asked) EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Watch(const Asked& asked, const std::shared_ptr<http::Responder>& to) EXCLUSIVE_LOCKS_REQUIRED(mu_);
  http::Response Create(const Asked& asked, Json object) EXCLUSIVE_LOCKS_REQUIRED(mu_);
  http::Response Replace(const Asked& asked, Json object) EXCLUSIVE_LOCKS_REQUIRED(mu_);
  http::Response MergePatch(const Asked& asked, const Json& patch) EXCLUSIVE_LOCKS_REQUIRED(mu_);
  http::Response Apply(const Asked& asked, const Json& applied) EXCLUSIVE_LOCKS_REQUIRED(mu_);
  http::Response Delete(const Asked& asked) EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Judges and stores the new form of an object; `manager`: who owns what differs.
  http::Response Update(const Asked& asked, Stored* stored, Json next, const std::string& manager)
      EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // The status that refuses an object; 0 when it is right.
  http::Response Judge(const Asked& asked, Json* object, bool strict) EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Settle(const Kind& kind, const Name& name, const std::string& type) EXCLUSIVE_LOCKS_REQUIRED(mu_);

  KubeOptions options_;
  uint16_t port_ = 0;
  std::vector<Kind> kinds_;
  std::unique_ptr<http::Server> server_;
  mutable Mutex mu_;
  Rbac rbac_ GUARDED_BY(mu_);
  std::map<std::string, std::string> tokens_ GUARDED_BY(mu_);
  std::map<std::string, std::map<Name, Stored>> objects_ GUARDED_BY(mu_);  // by plural
  std::vector<Change> history_ GUARDED_BY(mu_);
  std::vector<Watcher> watchers_ GUARDED_BY(mu_);
  std::map<std::string, int64_t> counts_ GUARDED_BY(mu_);
  std::vector<std::string> refusals_ GUARDED_BY(mu_);
  int64_t version_ GUARDED_BY(mu_) = 100, oldest_ GUARDED_BY(mu_) = 1, uids_ GUARDED_BY(mu_) = 0;
  int fail_code_ GUARDED_BY(mu_) = 0, fail_times_ GUARDED_BY(mu_) = 0;
};

}  // namespace mcpfleet::testing
