// MCPServer of ToolHive's operator (toolhive.stacklok.dev, v1alpha1 and v1beta1).
#include "base/strings.h"
#include "cli/convert/draft.h"
#include "cli/convert/pod_parts.h"
#include "crd/violation.h"

namespace mcpfleet::convert {
namespace {

constexpr std::string_view kProxy = "is about ToolHive's proxy; here the gateway stands in its place";
constexpr std::string_view kOpen = "; until spec.auth is set anybody who reaches the gateway may use the server";
constexpr std::string_view kAuthElsewhere =
    "refers to another object of ToolHive's, which is not read; until spec.auth is set anybody who reaches the gateway "
    "may use the server";
constexpr std::string_view kOther = "refers to another object of ToolHive's, which is not read";

// What the proxy listens on: clients here go to the gateway.
void NoteProxy(Draft& draft, const Json& /*value*/, const std::string& path) { draft.Note(path, std::string(kProxy)); }

void TakePort(Draft& draft, const Json& value, const std::string& path) {
  if (const std::optional<int64_t> port = IntOf(draft, value, path)) draft.Put("spec.port", *port, path);
}

void TakeToolNames(Draft& draft, const Json& value, const std::string& path) {
  EachItem(draft, value, path, [&](const Json& item, const std::string& at) {
    if (const std::optional<std::string> name = ScalarOf(draft, item, at)) draft.Put("spec.tools.allow[]", *name, at);
  });
}

void TakeProfile(Draft& draft, const Json& value, const std::string& path) {
  Fields profile(draft, value, path);
  const std::string name = profile.Text("name");
  if (profile.Text("type", "builtin") != "builtin") {
    profile.Leave();
    return draft.Lose(path, "a profile in a ConfigMap is not read; see spec.securityContext and spec.volumes");
  }
  if (name == "none") return draft.Put("spec.securityContext.network", "None", path);
  if (name == "network") return draft.Put("spec.securityContext.network", "Outbound", path);
  draft.Lose(path, "the profile " + Printable(name, 40) + " is not known");
}

void TakeOidc(Draft& draft, const Json& value, const std::string& path) {
  Fields oidc(draft, value, path);
  if (oidc.Text("type") != "inline") {
    oidc.Leave();
    return draft.Lose(path, "only an inline issuer can be carried over (spec.auth of type JWT)" + std::string(kOpen));
  }
  const std::string at = oidc.At("inline");
  const Json& inline_config = oidc.Get("inline");
  EachMember(draft, inline_config, at, [&](const std::string& key, const Json& member, const std::string& member_path) {
    if (key == "issuer" || key == "audience") return draft.Put("spec.auth.jwt." + key, member, member_path);
    if (key == "jwksUrl") return draft.Put("spec.auth.jwt.jwksUri", member, member_path);
    if (key == "scopes") {
      return EachItem(draft, member, member_path, [&](const Json& scope, const std::string& scope_path) {
        draft.Put("spec.auth.jwt.scopes[]", scope, scope_path);
      });
    }
    draft.Lose(member_path, "tokens are judged by their signature here; there is no client at the issuer");
  });
  if (draft.Has("spec.auth.jwt.issuer") && draft.Has("spec.auth.jwt.jwksUri")) {
    draft.Put("spec.auth.type", "JWT", path);
  } else {
    std::erase_if(draft.pieces, [](const Piece& piece) { return piece.field.starts_with("spec.auth."); });
    draft.Lose(path, "issuer and jwksUrl are both needed" + std::string(kOpen));
  }
}

void TakeRateLimit(Draft& draft, const Json& value, const std::string& path) {
  std::string per;
  EachMember(draft, value, path, [&](const std::string& key, const Json& bucket, const std::string& at) {
    const char* field = key == "shared"    ? "spec.rateLimit.requests"
                        : key == "perUser" ? "spec.rateLimit.perSubject"
                                           : nullptr;
    if (field == nullptr) return draft.Lose(at, "a limit for one tool has nothing like it");
    Fields limit(draft, bucket, at);
    const std::string period = limit.Text("refillPeriod");
    if (!per.empty() && per != period) {
      limit.Leave();
      return draft.Lose(at, "both limits have one period (spec.rateLimit.per)");
    }
    per = period;
    draft.Put(field, limit.Get("maxTokens"), limit.At("maxTokens"));
    if (!period.empty()) draft.Put("spec.rateLimit.per", period, limit.At("refillPeriod"));
  });
}

constexpr Rule kSpecRules[] = {
    {"image",
     [](Draft& draft, const Json& value, const std::string& path) {
       if (const std::optional<std::string> ref = ScalarOf(draft, value, path))
         draft.image = Text{.value = *ref, .path = path};
     }},
    {"transport",
     [](Draft& draft, const Json& value, const std::string& path) {
       draft.transport = ScalarOf(draft, value, path).value_or("");
       draft.transport_path = path;
     }},
    {"mcpPort", TakePort},
    {"targetPort", TakePort},
    {"args", [](Draft& d, const Json& value, const std::string& path) { AppendPodTexts(d, value, path, &d.args); }},
    {"env", TakeEnvVars},
    {"volumes",
     [](Draft& draft, const Json& value, const std::string& path) {
       EachItem(draft, value, path, [&](const Json& item, const std::string& at) {
         Fields volume(draft, item, at);
         PutMount(draft, volume.Text("name"), volume.Text("hostPath"), volume.Text("mountPath"),
                  volume.Bool("readOnly"), at);
       });
     }},
    {"resources", TakeResources},
    {"secrets",
     [](Draft& draft, const Json& value, const std::string& path) {
       EachItem(draft, value, path, [&](const Json& item, const std::string& at) {
         Fields secret(draft, item, at);
         const std::string key = secret.Text("key");
         TakeSecretVariable(draft, secret.Text("targetEnvName", key), secret.Text("name"), key, at);
       });
     }},
    {"permissionProfile", TakeProfile},
    {"tools", TakeToolNames},
    {"toolsFilter", TakeToolNames},
    {"oidcConfig", TakeOidc},
    {"rateLimiting", TakeRateLimit},
    {"backendReplicas", TakeReplicas},
    {"port", NoteProxy},
    {"proxyPort", NoteProxy},
    {"proxyMode", NoteProxy},
    {"replicas", nullptr, kProxy},
    {"trustProxyHeaders", nullptr, kProxy},
    {"endpointPrefix", nullptr, kProxy},
    {"sessionAffinity", nullptr, kProxy},
    {"sessionStorage", nullptr, "sessions are kept by each node, with the server's process"},
    {"resourceOverrides", nullptr, "is about objects of Kubernetes that are not made here"},
    {"podTemplateSpec", nullptr, "there are no pods; see spec.securityContext, spec.volumes and spec.placement"},
    {"serviceAccount", nullptr, "there are no service accounts"},
    {"oidcConfigRef", nullptr, kAuthElsewhere},
    {"authzConfig", nullptr, "policies in Cedar are not evaluated here; see spec.auth and spec.tools"},
    {"audit", nullptr, "the gateway has an audit log for all its servers (mcplet.yaml)"},
    {"toolConfigRef", nullptr, kOther},
    {"externalAuthConfigRef", nullptr, kAuthElsewhere},
    {"authServerRef", nullptr, kAuthElsewhere},
    {"telemetryConfigRef", nullptr, kOther},
    {"telemetry", nullptr, "metrics are the node's (mcplet.yaml)"},
    {"groupRef", nullptr, kOther},
};

}  // namespace

void ReadToolHive(const Json& object, const std::string& path, Work* work) {
  Draft draft{.work = work, .name = "", .path = path.empty() ? "metadata.name" : path};
  TakeMetadata(draft, GetMember(object, "metadata"), ChildPath(path, "metadata"));
  Walk(draft, GetMember(object, "spec"), ChildPath(path, "spec"), kSpecRules);
  // Its default, and mcpfleet has to know where a server listens.
  if (draft.transport == "streamable-http" && !draft.Has("spec.port")) {
    draft.Put("spec.port", 8080, draft.transport_path);
    draft.Note(draft.transport_path, "no port is said; 8080 was taken");
  }
  Finish(std::move(draft));
}

}  // namespace mcpfleet::convert
