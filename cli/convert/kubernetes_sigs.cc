// MCPServer of kubernetes-sigs' mcp-lifecycle-operator (mcp.x-k8s.io, v1alpha1 and v1beta1).
#include "base/strings.h"
#include "cli/convert/draft.h"
#include "cli/convert/pod_parts.h"
#include "crd/violation.h"

namespace mcpfleet::convert {
namespace {

constexpr Rule kImageRules[] = {
    {"ref", TakeImage},
    {"pullPolicy", TakePullPolicy},
    {"imagePullSecrets", TakePullSecrets},
};

constexpr Rule kSourceRules[] = {
    {"type",
     [](Draft& draft, const Json& value, const std::string& path) {
       if (value != "ContainerImage") draft.LeaveOut(path, "is no ContainerImage");
     }},
    {"containerImage", [](Draft& d, const Json& value, const std::string& path) { Walk(d, value, path, kImageRules); }},
};

void TakeStorage(Draft& draft, const Json& list, const std::string& path) {
  EachItem(draft, list, path, [&](const Json& item, const std::string& at) {
    Fields storage(draft, item, at);
    const std::string target = storage.Text("path"), permissions = storage.Text("permissions", "ReadOnly");
    const Json& source = storage.Get("source");
    const std::string type = GetString(source, "type"), source_path = storage.At("source");
    // ReadOnly is the default of an EmptyDir, and an empty directory that stays empty is nobody's wish. Files of a
    // Secret can't be written to in either place.
    if (permissions != "ReadOnly" && permissions != "ReadWrite" && permissions != "RecursiveReadOnly")
      draft.Lose(storage.At("permissions"), "is not known");
    if (type == "EmptyDir" || type == "Secret")
      return TakePodVolume(draft, source, target, target, permissions != "ReadWrite", source_path);
    storage.Leave();
    draft.Lose(at, "there are no ConfigMaps; give values in spec.env or files by spec.volumes");
  });
}

constexpr Rule kConfigRules[] = {
    {"port", [](Draft& draft, const Json& value, const std::string& path) { draft.Put("spec.port", value, path); }},
    {"path", [](Draft& draft, const Json& value, const std::string& path) { draft.Put("spec.path", value, path); }},
    {"arguments",
     [](Draft& d, const Json& value, const std::string& path) { AppendPodTexts(d, value, path, &d.args); }},
    {"env", TakeEnvVars},
    {"envFrom", nullptr, "which keys it has is not known here; refer to each by spec.env[].valueFrom.secretKeyRef"},
    {"storage", TakeStorage},
};

constexpr Rule kSecurityRules[] = {
    {"securityContext",
     [](Draft& d, const Json& value, const std::string& path) { TakeSecurityContext(d, value, path, false); }},
    {"podSecurityContext",
     [](Draft& d, const Json& value, const std::string& path) { TakeSecurityContext(d, value, path, true); }},
    {"serviceAccountName", nullptr, "there are no service accounts"},
};

constexpr Rule kRuntimeRules[] = {
    {"replicas", TakeReplicas},
    {"security", [](Draft& d, const Json& value, const std::string& path) { Walk(d, value, path, kSecurityRules); }},
    {"resources", TakeResources},
    {"health", nullptr, "a server is probed by MCP itself (spec.probes)"},
};

void TakeLabels(Draft& draft, const Json& value, const std::string& path) {
  EachMember(draft, value, path, [&](const std::string& key, const Json& label, const std::string& at) {
    draft.PutKey("metadata.labels", key, label, at);
  });
}

constexpr Rule kSpecRules[] = {
    {"source", [](Draft& d, const Json& value, const std::string& path) { Walk(d, value, path, kSourceRules); }},
    {"config", [](Draft& d, const Json& value, const std::string& path) { Walk(d, value, path, kConfigRules); }},
    {"runtime", [](Draft& d, const Json& value, const std::string& path) { Walk(d, value, path, kRuntimeRules); }},
    {"extraLabels", TakeLabels},
    {"extraAnnotations",
     [](Draft& draft, const Json& value, const std::string& path) {
       EachMember(draft, value, path, [&](const std::string& key, const Json& note, const std::string& at) {
         draft.PutKey("metadata.annotations", key, note, at);
       });
     }},
    {"mcp",
     [](Draft& draft, const Json& value, const std::string& path) {
       Fields mcp(draft, value, path);
       if (!mcp.Get("stateless").is_null())
         draft.Note(mcp.At("stateless"), "a node keeps each session with its own instance in any case");
     }},
    {"network", nullptr, "network policies are Kubernetes'; spec.securityContext.network is None, Outbound or Host"},
    {"transport", nullptr, "a server is reached inside its own network, without TLS"},
    {"gateway", nullptr, "the gateway of each node serves every server; see spec.expose"},
};

}  // namespace

void ReadKubernetesSigs(const Json& object, const std::string& path, Work* work) {
  Draft draft{.work = work, .name = "", .path = path.empty() ? "metadata.name" : path};
  TakeMetadata(draft, GetMember(object, "metadata"), ChildPath(path, "metadata"));
  draft.transport = "streamable-http";  // it knows no other
  draft.transport_path = ChildPath(ChildPath(path, "spec"), "config");
  Walk(draft, GetMember(object, "spec"), ChildPath(path, "spec"), kSpecRules);
  Finish(std::move(draft));
}

}  // namespace mcpfleet::convert
