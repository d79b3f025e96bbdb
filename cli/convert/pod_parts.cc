#include "cli/convert/pod_parts.h"

#include <algorithm>
#include <array>

#include "base/strings.h"
#include "crd/labels.h"
#include "crd/violation.h"

namespace mcpfleet::convert {
namespace {

// The name of a Secret as that of an MCPSecret, which has no dots.
std::string SecretName(Draft& draft, const std::string& name, const std::string& path) {
  if (CheckName(name).empty()) return name;
  std::string plain = NameFrom(name);
  if (plain.empty()) plain = "secret";
  draft.Note(path, "the secret " + Printable(name, 80) + " is called " + plain);
  return plain;
}

std::string HintOf(const std::string& name, const std::string& key) {
  return "as in the Secret: kubectl get secret " + Printable(name, 80) + " -o go-template='{{index .data \"" +
         Printable(key, 80) + "\" | base64decode}}'";
}

constexpr std::string_view kMustBeThere = "what a server refers to has to be there when it starts";

constexpr Rule kMetadataRules[] = {
    {"name", [](Draft& draft, const Json& value, const std::string&) { draft.name = Scalar(value).value_or(""); }},
    {"namespace",
     [](Draft& draft, const Json& value, const std::string& path) {
       if (const std::optional<std::string> text = ScalarOf(draft, value, path))
         draft.Put("metadata.namespace", *text, path);
     }},
    {"labels",
     [](Draft& draft, const Json& value, const std::string& path) {
       EachMember(draft, value, path, [&](const std::string& key, const Json& label, const std::string& at) {
         draft.PutKey("metadata.labels", key, label, at);
       });
     }},
    {"annotations",
     [](Draft& draft, const Json& value, const std::string& path) {
       EachMember(draft, value, path, [&](const std::string& key, const Json& note, const std::string& at) {
         // What kubectl wrote there is the whole manifest once more, values and all.
         if (key != "kubectl.kubernetes.io/last-applied-configuration")
           draft.PutKey("metadata.annotations", key, note, at);
       });
     }},
    // Written by the API server.
    {"uid"},
    {"resourceVersion"},
    {"generation"},
    {"creationTimestamp"},
    {"managedFields"},
    {"selfLink"},
    {"deletionTimestamp"},
    {"deletionGracePeriodSeconds"},
    {"ownerReferences", nullptr, "objects here have no owners"},
    {"finalizers", nullptr, "objects here have no finalizers"},
    {"generateName", nullptr, "an object has a name of its own"},
};

constexpr Rule kLimitRules[] = {
    {"cpu", [](Draft& draft, const Json& value,
               const std::string& path) { draft.Put("spec.resources.limits.cpu", value, path); }},
    {"memory", [](Draft& draft, const Json& value,
                  const std::string& path) { draft.Put("spec.resources.limits.memory", value, path); }},
};

constexpr Rule kResourceRules[] = {
    {"limits", [](Draft& draft, const Json& value, const std::string& path) { Walk(draft, value, path, kLimitRules); }},
    {"requests", nullptr, "a node has no shares to promise; limits are what there is"},
    {"claims", nullptr, "has nothing like it"},
};

bool IsTrue(const Json& value) { return value.is_boolean() && value.get<bool>(); }

void TakeCapabilities(Draft& draft, const Json& value, const std::string& path) {
  EachMember(draft, value, path, [&](const std::string& key, const Json& list, const std::string& at) {
    if (key == "drop") return;  // all are dropped
    if (key != "add") return draft.Lose(at, "is not known");
    EachItem(draft, list, at, [&](const Json& item, const std::string& item_path) {
      if (const std::optional<std::string> name = ScalarOf(draft, item, item_path))
        draft.Put("spec.securityContext.capabilities.add[]", *name, item_path);
    });
  });
}

// Source of a volume to mount.
using TakeSource = void (*)(Draft& draft, const Json& value, const std::string& name, const std::string& target,
                            bool read_only, const std::string& path);
struct SourceRule {
  std::string_view member;
  TakeSource take;
};

constexpr std::string_view kFileMode = "a file is the server's user's, with mode 0400";

void TakeSecretFiles(Draft& draft, const Json& value, const std::string& /*name*/, const std::string& target,
                     bool /*read_only*/, const std::string& path) {
  Fields source(draft, value, path);
  const std::string secret = source.Text("secretName");
  const Json& items = source.Get("items");
  if (!items.is_array() || items.empty()) {
    source.Leave();
    return draft.Lose(path, "which keys the Secret has is not known here; list them under spec.files");
  }
  source.Drop("defaultMode", kFileMode);
  if (source.Bool("optional")) draft.Lose(source.At("optional"), std::string(kMustBeThere));
  for (size_t i = 0; i < items.size(); ++i) {
    Fields item(draft, items[i], ItemPath(path + ".items", i));
    const std::string& at = item.path();
    const std::string key = item.Text("key");
    const std::string file = target + (target.ends_with('/') ? "" : "/") + item.Text("path", key);
    item.Drop("mode", kFileMode);
    draft.pieces.push_back(
        {.field = "spec.files[]",
         .value = {{"path", file}, {"secretKeyRef", {{"name", SecretName(draft, secret, at)}, {"key", key}}}},
         .path = at,
         .hint = HintOf(secret, key)});
  }
}

void TakeHostPath(Draft& draft, const Json& value, const std::string& name, const std::string& target, bool read_only,
                  const std::string& path) {
  Fields host(draft, value, path);
  PutMount(draft, name, host.Text("path"), target, read_only, path);
  const std::string type = host.Text("type");
  // The others say what has to be there, as here.
  if (!type.empty() && type != "Directory" && type != "File")
    draft.Lose(host.At("type"), "nothing is made on a node, and what is mounted is a directory or a file");
}

void TakeEmptyDir(Draft& draft, const Json& value, const std::string& name, const std::string& target,
                  bool /*read_only*/, const std::string& path) {
  Fields empty(draft, value, path);
  PutTmpfs(draft, name, empty.Get("sizeLimit"), target, path);
  const std::string medium = empty.Text("medium");
  if (!medium.empty() && medium != "Memory") draft.Lose(empty.At("medium"), "it is in memory here");
}

constexpr SourceRule kSources[] = {{"hostPath", TakeHostPath}, {"emptyDir", TakeEmptyDir}, {"secret", TakeSecretFiles}};

}  // namespace

void TakeMetadata(Draft& draft, const Json& metadata, const std::string& path) {
  Walk(draft, metadata, path, kMetadataRules);
}

void TakeSecretVariable(Draft& draft, const std::string& variable, const std::string& secret, const std::string& key,
                        const std::string& path) {
  draft.env.push_back({.name = variable,
                       .text = {.value = "", .path = path, .hint = HintOf(secret, key)},
                       .secret_name = SecretName(draft, secret, path),
                       .secret_key = key});
}

void TakeEnvVar(Draft& draft, const Json& item, const std::string& path) {
  Fields variable(draft, item, path);
  const std::string name = variable.Text("name");
  if (name.empty()) {
    variable.Leave();
    return draft.Lose(path, "has no name");
  }
  const Json& from = variable.Get("valueFrom");
  if (GetMember(from, "secretKeyRef").is_object()) {
    Fields source(draft, from, variable.At("valueFrom"));
    Fields reference(draft, source.Get("secretKeyRef"), source.At("secretKeyRef"));
    if (reference.Bool("optional")) draft.Lose(reference.At("optional"), std::string(kMustBeThere));
    return TakeSecretVariable(draft, name, reference.Text("name"), reference.Text("key"), path);
  }
  if (!from.is_null())
    return draft.Lose(variable.At("valueFrom"), "is known in Kubernetes only; give the value itself");
  const Json& given = variable.Get("value");
  const std::optional<std::string> value = ScalarOf(draft, given.is_null() ? Json("") : given, path);
  if (value) draft.env.push_back({.name = name, .text = draft.Make(*value, path)});
}

void TakeEnvVars(Draft& draft, const Json& list, const std::string& path) {
  EachItem(draft, list, path, [&](const Json& item, const std::string& at) { TakeEnvVar(draft, item, at); });
}

void TakeResources(Draft& draft, const Json& value, const std::string& path) {
  Walk(draft, value, path, kResourceRules);
}

void TakeSecurityContext(Draft& draft, const Json& value, const std::string& path, bool pod) {
  EachMember(draft, value, path, [&](const std::string& key, const Json& member, const std::string& at) {
    if (key == "runAsUser") return draft.Put("spec.securityContext.runAsUser", member, at, pod);
    if (key == "readOnlyRootFilesystem")
      return draft.Put("spec.securityContext.readOnlyRootFilesystem", member, at, pod);
    if (key == "capabilities") return TakeCapabilities(draft, member, at);
    // What holds for every server here.
    if (key == "runAsNonRoot" && IsTrue(member)) return;
    if (key == "privileged" && !IsTrue(member)) return;
    if (key == "allowPrivilegeEscalation" && !IsTrue(member)) return;
    if (key == "seccompProfile" && member == Json{{"type", "RuntimeDefault"}}) return;
    // Groups are those of the user's.
    if (key == "runAsGroup" && member == GetMember(value, "runAsUser")) return;
    draft.Lose(at, "has nothing like it in an MCPServer (spec.securityContext)");
  });
}

void TakeImage(Draft& draft, const Json& ref, const std::string& path) {
  if (const std::optional<std::string> text = ScalarOf(draft, ref, path))
    draft.image = Text{.value = *text, .path = path};
}

void TakePullPolicy(Draft& draft, const Json& value, const std::string& path) {
  draft.Put("spec.source.image.pullPolicy", value, path);
}

void TakePullSecrets(Draft& draft, const Json& list, const std::string& path) {
  EachItem(draft, list, path, [&](const Json& item, const std::string& at) {
    Fields reference(draft, item, at);
    const std::string name = reference.Text("name");
    if (draft.Has("spec.source.image.pullSecret")) return draft.Lose(at, "an image has one pullSecret");
    const std::string secret = SecretName(draft, name, at);
    draft.Put("spec.source.image.pullSecret", secret, at);
    draft.Note(at, "make it with: mcpctl create secret " + secret + " --from-file .dockerconfigjson=FILE");
  });
}

void TakePodVolume(Draft& draft, const Json& source, const std::string& name, const std::string& target, bool read_only,
                   const std::string& path) {
  Fields volume(draft, source, path);
  volume.PassOver({"name", "type"});  // by which it was found
  for (const SourceRule& rule : kSources) {
    const std::string member(rule.member);
    if (!volume.Get(member).is_null())
      return rule.take(draft, volume.Get(member), name, target, read_only, volume.At(member));
  }
  volume.Leave();
  draft.Lose(path, "a volume of this kind has nothing like it; hostPath, emptyDir and Secrets with items have");
}

void TakeReplicas(Draft& draft, const Json& value, const std::string& path) {
  const std::optional<int64_t> count = IntOf(draft, value, path);
  if (!count) return;
  if (*count == 0) return draft.Put("spec.suspend", true, path);
  const char* text = "a server runs on every node of its spec.placement; replicas there need a store with a Worker";
  if (*count == 1) return draft.Note(path, text);
  draft.Lose(path, text);
}

void TakeNodeSelector(Draft& draft, const Json& value, const std::string& path) {
  EachMember(draft, value, path, [&](const std::string& key, const Json& label, const std::string& at) {
    draft.PutKey("spec.placement.nodeSelector", key, label, at);
  });
}

void AppendPodTexts(Draft& draft, const Json& list, const std::string& path, std::vector<Text>* out) {
  EachItem(draft, list, path, [&](const Json& item, const std::string& at) {
    const std::optional<std::string> text = ScalarOf(draft, item, at);
    if (!text) return;
    Text word{.value = *text, .path = at};
    const size_t open = text->find("$(");
    if (open != std::string::npos && text->find(')', open) != std::string::npos)
      word.unknown = "refers to a variable by $(NAME), which is filled in by the kubelet only";
    out->push_back(std::move(word));
  });
}

}  // namespace mcpfleet::convert
