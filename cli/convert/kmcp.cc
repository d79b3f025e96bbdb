// MCPServer of kmcp (kagent.dev/v1alpha1).
#include <set>

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
    // Read by ReadKmcp.
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
    {"initContainer",
     [](Draft& draft, const Json& /*value*/, const std::string& path) {
       draft.Note(path, "brings kmcp's adapter between HTTP and stdio; here the gateway stands in its place");
     }},
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
       if (value != "http" && value != "stdio") draft.Lose(path, "is not known; stdio was taken");
     }},
    {"stdioTransport",
     [](Draft& draft, const Json& value, const std::string& path) { const Fields none(draft, value, path); }},
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
  const std::string volumes_path = ChildPath(path, "volumes");
  std::set<std::string> mounted;
  EachItem(draft, GetMember(deployment, "volumeMounts"), ChildPath(path, "volumeMounts"),
           [&](const Json& item, const std::string& at) {
             Fields mount(draft, item, at);
             const std::string name = mount.Text("name"), target = mount.Text("mountPath");
             const bool read_only = mount.Bool("readOnly");
             mounted.insert(name);
             // Another directory than the volume's would be mounted.
             for (const char* member : {"subPath", "subPathExpr"}) {
               if (mount.Text(member).empty()) continue;
               mount.Leave();
               return draft.Lose(mount.At(member), "a part of a volume has nothing like it; the mount is left out");
             }
             for (size_t i = 0; volumes.is_array() && i < volumes.size(); ++i) {
               if (GetString(volumes[i], "name") != name) continue;
               const size_t before = draft.pieces.size();
               TakePodVolume(draft, volumes[i], name, target, read_only, ItemPath(volumes_path, i));
               if (draft.pieces.size() == before) draft.Lose(at, "mounts what is not carried over");
               return;
             }
             draft.Lose(at, "names no volume");
           });
  EachItem(draft, volumes, volumes_path, [&](const Json& volume, const std::string& at) {
    if (!mounted.contains(GetString(volume, "name"))) draft.Lose(at, "is mounted nowhere");
  });
}

// The port of the Service. Where the server listens is httpTransport.targetPort, or this.
void TakePort(Draft& draft, const Json& port, const std::string& path) {
  if (draft.transport != "streamable-http") {
    if (!port.is_null()) draft.Note(path, "is not used: the transport is stdio");
  } else if (!draft.Has("spec.port")) {
    draft.Put("spec.port", port.is_null() ? Json(3000) : port, path);
  } else if (!port.is_null()) {
    draft.Note(path, "is the Service's; the server listens on targetPort");
  }
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
  TakePort(draft, GetMember(deployment, "port"), ChildPath(deployment_path, "port"));
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
