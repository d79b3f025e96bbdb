#include "gitops/secret_rules.h"

#include <algorithm>
#include <set>

#include <nlohmann/json.hpp>

#include "controller/placement/place.h"
#include "crd/codec.h"
#include "store/trust/sealed_secret.h"

namespace mcpfleet {
namespace {

Labels LabelsOf(const Objects& objects, const std::string& node, bool* unschedulable) {
  auto it = objects.find({kKindNode, "", node});
  if (it == objects.end()) return {};
  *unschedulable = IsUnschedulable(it->second);
  return it->second.metadata.labels;
}

// The nodes that a server may run on now.
std::vector<std::string> NodesOfServer(const Objects& objects, const Object& server,
                                       const std::vector<std::string>& nodes) {
  std::vector<std::string> out;
  for (const std::string& node : nodes) {
    bool unschedulable = false;
    const Labels labels = LabelsOf(objects, node, &unschedulable);
    if (Place(GetMember(server.spec, "placement"), node, labels, unschedulable)) out.push_back(node);
  }
  return out;
}

// Which key of the secret the field lacks, "" when it lacks none.
std::string MissingKey(const SecretReference& use, const SecretSpec& secret) {
  if (use.use != SecretUse::kPullSecret) return secret.data.contains(use.ref.key) ? "" : use.ref.key;
  if (secret.data.contains(kDockerConfigKey)) return "";
  const bool both = secret.data.contains(kRegistryUserKey) && secret.data.contains(kRegistryPasswordKey);
  return both ? "" : std::string(kDockerConfigKey) + " (or username and password)";
}

void CheckServer(const Objects& after, const Object& server, const std::vector<std::string>& all,
                 std::vector<std::string>* out) {
  StatusOr<ServerSpec> spec = DecodeServerSpec(server.spec);
  if (!spec.ok() || spec->suspend) return;  // what is wrong with it, its validation says
  const std::string& space = server.metadata.namespace_;
  const std::vector<std::string> nodes = NodesOfServer(after, server, all);
  for (const SecretReference& use : SecretReferencesOf(*spec)) {
    const std::string& name = use.ref.name;
    const std::string what = server.kind + " " + space + "/" + server.metadata.name + ": " + use.field + ": ";
    const std::string at = " -n " + space;
    auto found = after.find({kKindSecret, space, name});
    if (found == after.end()) {
      out->push_back(what + "there is no secret " + name + " in namespace " + space + "; run: mcpctl create secret " +
                     name + at + " --from-file " + (use.ref.key.empty() ? kDockerConfigKey : use.ref.key) + "=-");
      continue;
    }
    StatusOr<SecretSpec> secret = DecodeSecretSpec(found->second.spec);
    if (!secret.ok()) {
      out->push_back(what + "secret " + name + ": " + Message(secret.status()));
      continue;
    }
    if (const std::string missing = MissingKey(use, *secret); !missing.empty()) {
      out->push_back(what + "secret " + name + " has no key " + missing + "; replace it: mcpctl create secret " + name +
                     at + " --replace …");
      continue;
    }
    for (const std::string& node : nodes) {
      const std::string key = SealingKeyOf(after, node);
      if (key.empty()) {
        out->push_back(what + "node " + node +
                       " can open no secret: its MCPNode has no keys; run: mcpctl node enroll " + node);
      } else if (!IsRecipient(*secret, key)) {
        out->push_back(what + "secret " + name + " is not sealed to node " + node + "; run: mcpctl secrets rewrap " +
                       name + at);
      }
    }
  }
}

}  // namespace

std::string SealingKeyOf(const Objects& objects, const std::string& node) {
  auto it = objects.find({kKindNode, "", node});
  return it == objects.end() ? "" : GetString(GetMember(it->second.spec, "keys"), "sealing");
}

std::vector<SecretRecipient> NodesOf(const Objects& objects, const Json& placement) {
  std::vector<SecretRecipient> out;
  for (const auto& [key, object] : objects) {
    if (key.kind != kKindNode || !Place(placement, key.name, object.metadata.labels, false)) continue;
    const std::string sealing = SealingKeyOf(objects, key.name);
    if (!sealing.empty()) out.push_back({RecipientKind::kNode, key.name, sealing, ""});
  }
  return out;
}

std::vector<std::string> UnusableSecrets(const Objects& after, const std::vector<ObjectKey>& changed,
                                         const std::vector<std::string>& nodes) {
  std::set<ObjectKey> servers;
  for (const ObjectKey& key : changed) {
    if (key.kind == kKindServer) servers.insert(key);
    if (key.kind != kKindSecret) continue;
    for (const std::string& user : UsersOf(after, key.namespace_, key.name))
      servers.insert({kKindServer, key.namespace_, user});
  }
  std::vector<std::string> out;
  for (const ObjectKey& key : servers) {
    auto it = after.find(key);
    if (it != after.end()) CheckServer(after, it->second, nodes, &out);
  }
  return out;
}

std::vector<std::string> UsersOf(const Objects& objects, const std::string& namespace_, const std::string& secret) {
  std::vector<std::string> users;
  for (const auto& [key, object] : objects) {
    if (key.kind == kKindServer && key.namespace_ == namespace_ && SecretNamesOf(object.spec).contains(secret))
      users.push_back(key.name);
  }
  return users;
}

std::vector<std::string> SecretsSealedTo(const Objects& objects, const std::string& node) {
  const std::string present_key = SealingKeyOf(objects, node);
  const auto to_node = [&](const SecretRecipient& each) {
    return (each.kind == RecipientKind::kNode && each.name == node) ||
           (!present_key.empty() && each.public_key == present_key);
  };
  std::vector<std::string> names;
  for (const auto& [key, object] : objects) {
    if (key.kind != kKindSecret) continue;
    StatusOr<SecretSpec> spec = DecodeSecretSpec(object.spec);
    if (!spec.ok() || std::any_of(spec->recipients.begin(), spec->recipients.end(), to_node))
      names.push_back(key.namespace_ + "/" + key.name);
  }
  return names;
}

}  // namespace mcpfleet
