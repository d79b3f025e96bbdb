#include "store/kubernetes/cluster.h"

#include <cstdlib>

#include "base/fd.h"
#include "base/http/url.h"
#include "base/strings.h"
#include "crd/labels.h"

namespace mcpfleet::kube {
namespace {
constexpr size_t kNamespaceFileBytes = 256;
constexpr char kDefaultNamespaceOfLeases[] = "mcpfleet";
}  // namespace

std::string ProcessEnvironment(const char* name) {
  const char* value = getenv(name);  // NOLINT(concurrency-mt-unsafe): nothing of ours sets any
  return value == nullptr ? "" : value;
}

StatusOr<Cluster> ResolveCluster(const ClusterSettings& settings, const Environment& environment,
                                 const std::string& directory) {
  Cluster cluster;
  std::string server = settings.server;
  const bool in_pod = server.empty();
  if (in_pod) {
    const std::string host = environment("KUBERNETES_SERVICE_HOST"), port = environment("KUBERNETES_SERVICE_PORT");
    if (host.empty()) {
      return InvalidArgument(
          "spec.kubernetes.server is not set and KUBERNETES_SERVICE_HOST neither: this is no pod; say where the API "
          "server is, for example https://10.0.0.1:6443");
    }
    const bool six = host.find(':') != std::string::npos;
    server = "https://" + (six ? "[" + host + "]" : host) + ":" + (port.empty() ? "443" : port);
  }
  StatusOr<http::Url> url = http::ParseUrl(server);
  if (!url.ok()) return Annotate(url.status(), "spec.kubernetes.server");
  if (url->target != "/" && !url->target.empty())
    return InvalidArgument("spec.kubernetes.server: has a path; give scheme, host and port only");
  cluster.endpoint = url->endpoint;
  cluster.host_header = url->host_header;
  cluster.token_file = settings.token_file.empty() && in_pod ? directory + "/token" : settings.token_file;
  cluster.ca_file = settings.ca_file.empty() && in_pod ? directory + "/ca.crt" : settings.ca_file;
  if (!cluster.endpoint.tls && !cluster.token_file.empty() && cluster.endpoint.host != "127.0.0.1" &&
      cluster.endpoint.host != "localhost" && cluster.endpoint.host != "::1") {
    return InvalidArgument("spec.kubernetes.server: is plain http to another machine; the token would be readable");
  }
  cluster.namespace_ = settings.namespace_;
  if (cluster.namespace_.empty()) {
    const StatusOr<std::string> own = ReadFile(directory + "/namespace", kNamespaceFileBytes);
    cluster.namespace_ = own.ok() && in_pod ? std::string(Trim(*own)) : kDefaultNamespaceOfLeases;
  }
  if (const std::string wrong = CheckName(cluster.namespace_); !wrong.empty())
    return InvalidArgument("spec.kubernetes.namespace: " + wrong);
  return cluster;
}

}  // namespace mcpfleet::kube
