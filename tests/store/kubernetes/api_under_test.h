// The API servers that the contract tests run against: the fake one, and a real one where it is found
// (tests/integration/real_kube.h says where); without it the tests skip, loudly.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "store/kubernetes/rest.h"

namespace mcpfleet::testing {

class ApiUnderTest {
 public:
  virtual ~ApiUnderTest() = default;
  // A client with an administrator's token, and one with mcplet's.
  std::unique_ptr<kube::RestClient> Admin() const { return Client("admin"); }
  std::unique_ptr<kube::RestClient> Mcplet() const { return Client("mcplet"); }
  // One that nobody knows.
  std::unique_ptr<kube::RestClient> Stranger() const { return Client("stranger"); }
  // Another namespace each time, made when that is needed.
  virtual std::string NewNamespace() = 0;
  // What mcplet was forbidden so far: "delete mcpservers".
  virtual std::vector<std::string> Refusals() = 0;
  // An administrator's client of what knows CustomResourceDefinitions; null for the fake, which has none as objects.
  virtual std::unique_ptr<kube::RestClient> Crds() { return nullptr; }

  // Null when there is none; `missing` says why.
  static std::unique_ptr<ApiUnderTest> StartFake();
  static std::unique_ptr<ApiUnderTest> StartReal(std::string* missing);

 protected:
  std::unique_ptr<kube::RestClient> Client(const std::string& who) const;
  virtual std::string Token(const std::string& who) const { return who; }
  std::string directory_, server_, ca_file_;
  int namespaces_ = 0;
};

// What mcplet may do: manifests/kubernetes/rbac.yaml.
std::string RbacManifest();

}  // namespace mcpfleet::testing
