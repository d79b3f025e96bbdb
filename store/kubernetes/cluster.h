// Where an API server is and what it is asked with. Inside a pod all of it is given: the address by the kubelet's
// environment, token, CA and namespace by files of the service account. Elsewhere mcplet.yaml says it.
//
// Pure but for the reading of the namespace's file.
#pragma once

#include <functional>
#include <string>

#include "base/http/client.h"
#include "base/status.h"

namespace mcpfleet::kube {

inline constexpr char kServiceAccount[] = "/var/run/secrets/kubernetes.io/serviceaccount";

// As mcplet.yaml has it (spec.kubernetes); what is "" comes from the pod.
struct ClusterSettings {
  std::string server;      // "https://10.0.0.1:6443"
  std::string token_file;  // read again for each request: the kubelet writes a new token there every hour or so
  std::string ca_file;     // read again for each connection
  std::string namespace_;  // of the leases
};

struct Cluster {
  http::Endpoint endpoint;
  std::string host_header;
  std::string token_file;  // "": requests carry none (a proxy in front of the API server does)
  std::string ca_file;     // "": the system's certificates
  std::string namespace_;
};

using Environment = std::function<std::string(const char* name)>;  // "" when it is not set
std::string ProcessEnvironment(const char* name);

// InvalidArgument names the setting that is missing or wrong. `directory`: of the service account's files.
StatusOr<Cluster> ResolveCluster(const ClusterSettings& settings, const Environment& environment,
                                 const std::string& directory = kServiceAccount);

}  // namespace mcpfleet::kube
