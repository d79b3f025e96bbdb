// MCPServer of kmcp (kagent.dev/v1alpha1).
#include "base/strings.h"
#include "cli/convert/draft.h"
#include "cli/convert/pod_parts.h"
#include "crd/violation.h"

namespace mcpfleet::convert {
namespace {

constexpr std::string_view kPods = "is about pods, and there are none";

void TakeEnv(Draft& draft, const Json& map, const std::string& path) {
  EachMember(draft, map, path, [&](const std::string& name, const Json& value, const std::string& at) {
    if (!value.is_object()) {
      if (const std::optional<std::string> text = ScalarOf(draft, value, at))
        draft.env.push_back({.name = name, .text = {.value = *text, .path = at}});
      return;
    }
    Json item = value;
    item["name"] = name;
    TakeEnvVar(draft, item, at);
  });
}

constexpr Rule kDeploymentRules[] = {
    {"image", TakeImage},
    {"imagePullPolicy", TakePullPolicy},
    {"imagePullSecrets", TakePullSecrets},
    {"cmd",
     [](Draft& draft, const Json& value, const std::string& path) {
       if (const std::optional<std::string> text = ScalarOf(draft, value, path))
         draft.program = Text{.value = *text, .path = path};
     }},
    {"args", [](Draft& d, const Json& value, const std::string& path) { AppendPodTexts(d, value, path, &d.args); }},
    {"env", TakeEnv},
    // The port of the Service; where the server listens is httpTransport.targetPort, or this.
    {"port"},
    {"resources", TakeResources},
    {"securityContext",
     [](Draft& d, const Json& value, const std::string& path) { TakeSecurityContext(d, value, path, false); }},
    {"podSecurityContext",
     [](Draft& d, const Json& value, const std::string& path) { TakeSecurityContext(d, value, path, true); }},
    {"replicas", TakeReplicas},
    {"nodeSelector", TakeNodeSelector},
    // Joined by ReadKmcp.
    {"volumes"},
    {"volumeMounts"},
    // The adapter that stands between HTTP and stdio there; the gateway does it here.
    {"initContainer"},
    {"secretRefs", nullptr,
     "which keys the Secrets have is not known here; refer to each by spec.env[].valueFrom.secretKeyRef"},
    {"configMapRefs", nullptr, "there are no ConfigMaps; give values in spec.env or files by spec.volumes"},
    {"serviceAccount", nullptr, "there are no service accounts"},
    {"serviceAccountName", nullptr, "there are no service accounts"},
    {"labels", nullptr, kPods},
    {"annotations", nullptr, kPods},
    {"affinity", nullptr, "nodes are chosen by spec.placement"},
    {"tolerations", nullptr, "nodes are chosen by spec.placement"},
    {"sidecars", nullptr, "a server is one program; make the other one a server or a service of its own"},
};

constexpr Rule kSpecRules[] = {
    {"deployment",
     [](Draft& d, const Json& value, const std::string& path) { Walk(d, value, path, kDeploymentRules); }},
    {"transportType",
     [](Draft& draft, const Json& value, const std::string& path) {
       draft.transport_path = path;
       draft.transport = value == "http" ? "streamable-http" : "stdio";
     }},
    {"stdioTransport"},  // has no members
    {"httpTransport",
     [](Draft& draft, const Json& value, const std::string& path) {
       EachMember(draft, value, path, [&](const std::string& key, const Json& member, const std::string& at) {
         if (key == "targetPort") return draft.Put("spec.port", member, at);
         if (key == "path") return draft.Put("spec.path", member, at);
         if (key != "tls") return draft.Lose(at, "is not known to mcpctl");
         draft.Lose(at, "a server is reached inside its own network, without TLS");
       });
     }},
    {"timeout", nullptr, "times are in spec.probes"},
    {"authn", nullptr,
     "keys in a Secret are not read; until spec.auth is set (type JWT, with jwksUri) anybody who reaches the gateway "
     "may use the server"},
    {"authz", nullptr, "rules in CEL are not evaluated here; see spec.auth and spec.tools"},
    {"routeFilter", nullptr, "which origins may call is the gateway's (mcplet.yaml)"},
};

void JoinVolumes(Draft& draft, const Json& deployment, const std::string& path) {
  const Json& volumes = GetMember(deployment, "volumes");
  EachItem(draft, GetMember(deployment, "volumeMounts"), ChildPath(path, "volumeMounts"),
           [&](const Json& mount, const std::string& at) {
             const std::string name = GetString(mount, "name");
             if (!GetString(mount, "subPath").empty())
               return draft.Lose(ChildPath(at, "subPath"), "has nothing like it");
             for (size_t i = 0; volumes.is_array() && i < volumes.size(); ++i) {
               if (GetString(volumes[i], "name") == name)
                 return TakePodVolume(draft, volumes[i], name, GetString(mount, "mountPath"),
                                      GetBool(mount, "readOnly"), ItemPath(ChildPath(path, "volumes"), i));
             }
             draft.Lose(at, "names no volume");
           });
}

}  // namespace

void ReadKmcp(const Json& object, const std::string& path, Work* work) {
  Draft draft{.work = work, .name = "", .path = path.empty() ? "metadata.name" : path};
  TakeMetadata(draft, GetMember(object, "metadata"), ChildPath(path, "metadata"));
  const std::string at = ChildPath(path, "spec"), deployment_path = ChildPath(at, "deployment");
  const Json& spec = GetMember(object, "spec");
  const Json& deployment = GetMember(spec, "deployment");
  Walk(draft, spec, at, kSpecRules);
  JoinVolumes(draft, deployment, deployment_path);
  if (draft.image && draft.program) {
    draft.command.push_back(*std::move(draft.program));
    draft.program.reset();
  }
  if (draft.transport == "streamable-http" && !draft.Has("spec.port")) {
    const Json& port = GetMember(deployment, "port");
    draft.Put("spec.port", port.is_null() ? Json(3000) : port, ChildPath(deployment_path, "port"));
  }
  // What is started for stdio has no port.
  if (draft.transport != "streamable-http") {
    std::erase_if(draft.pieces, [&](const Piece& piece) {
      const bool http = piece.field == "spec.port" || piece.field == "spec.path";
      if (http) draft.Note(piece.path, "is not used: the transport is stdio");
      return http;
    });
  }
  Finish(std::move(draft));
}

}  // namespace mcpfleet::convert
