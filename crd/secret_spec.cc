#include "crd/secret_spec.h"

#include <utility>

#include <nlohmann/json.hpp>

#include "crd/codec.h"
#include "crd/field_reader.h"
#include "crd/schema.h"

namespace mcpfleet {
namespace {

constexpr char kNodeWord[] = "Node", kOperatorWord[] = "Operator";

StatusOr<SecretRecipient> DecodeRecipient(const Json& json) {
  FieldReader reader("spec: recipients: field ");
  SecretRecipient recipient;
  std::string kind;
  reader.Text(json, "kind", &kind);
  if (kind != kNodeWord && kind != kOperatorWord) reader.Fail("kind", "is neither Node nor Operator");
  recipient.kind = kind == kNodeWord ? RecipientKind::kNode : RecipientKind::kOperator;
  reader.Text(json, "name", &recipient.name);
  reader.Text(json, "publicKey", &recipient.public_key);
  reader.Text(json, "sealedKey", &recipient.sealed_key);
  if (!reader.status.ok()) return reader.status;
  return recipient;
}

void AddName(const Json& ref, std::set<std::string>* names) {
  if (std::string name = GetString(ref, "name"); !name.empty()) names->insert(std::move(name));
}

void AddNamesOf(const Json& list, std::set<std::string>* names) {
  if (!list.is_array()) return;
  for (const Json& item : list) {
    AddName(GetMember(GetMember(item, "valueFrom"), "secretKeyRef"), names);
    AddName(GetMember(item, "secretKeyRef"), names);
  }
}

}  // namespace

StatusOr<SecretSpec> DecodeSecretSpec(const Json& json) {
  if (!json.is_object()) return InvalidArgument("spec: is not a map");
  FieldReader reader("spec: field ");
  SecretSpec spec;
  reader.Text(json, "dataVersion", &spec.data_version);
  spec.placement = GetMember(json, "placement");
  for (const char* list : {"data", "recipients"}) {
    if (!GetMember(json, list).is_array()) reader.Fail(list, "is not a list");
  }
  if (!reader.status.ok()) return reader.status;
  for (const Json& item : json["data"]) {
    std::string key, sealed;
    reader.Text(item, "key", &key);
    reader.Text(item, "sealed", &sealed);
    if (!spec.data.emplace(std::move(key), std::move(sealed)).second) reader.Fail("data", "has a key twice");
  }
  for (const Json& item : json["recipients"]) {
    ASSIGN_OR_RETURN(SecretRecipient recipient, DecodeRecipient(item));
    spec.recipients.push_back(std::move(recipient));
  }
  if (!reader.status.ok()) return reader.status;
  return spec;
}

Json EncodeSecretSpec(const SecretSpec& spec) {
  Json json = {{"dataVersion", spec.data_version}, {"data", Json::array()}, {"recipients", Json::array()}};
  if (!spec.placement.is_null()) json["placement"] = spec.placement;
  for (const auto& [key, sealed] : spec.data) json["data"].push_back({{"key", key}, {"sealed", sealed}});
  for (const SecretRecipient& each : spec.recipients) {
    json["recipients"].push_back({{"kind", each.kind == RecipientKind::kNode ? kNodeWord : kOperatorWord},
                                  {"name", each.name},
                                  {"publicKey", each.public_key},
                                  {"sealedKey", each.sealed_key}});
  }
  return json;
}

StatusOr<SecretSpec> SecretSpecOf(const Object& object) {
  const std::vector<Violation> violations = Schema::Builtin().Validate(kKindSecret, ObjectToJson(object));
  if (!violations.empty()) return InvalidArgument(ToString(violations));
  return DecodeSecretSpec(object.spec);
}

std::set<std::string> SecretNamesOf(const Json& server_spec) {
  std::set<std::string> names;
  AddNamesOf(GetMember(server_spec, "env"), &names);
  AddNamesOf(GetMember(server_spec, "files"), &names);
  const Json& source = GetMember(server_spec, "source");
  AddNamesOf(GetMember(GetMember(source, "remote"), "headers"), &names);
  if (std::string pull = GetString(GetMember(source, "image"), "pullSecret"); !pull.empty()) names.insert(pull);
  return names;
}

std::vector<SecretReference> SecretReferencesOf(const ServerSpec& spec) {
  std::vector<SecretReference> out;
  for (const EnvVar& variable : spec.env) {
    if (!variable.secret.name.empty())
      out.push_back({SecretUse::kEnv, variable.secret, "spec.env[" + variable.name + "].valueFrom"});
  }
  for (const SecretFile& file : spec.files)
    out.push_back({SecretUse::kFile, file.secret, "spec.files[" + file.path + "]"});
  if (const auto* remote = std::get_if<RemoteSource>(&spec.source)) {
    for (const HeaderValue& header : remote->headers) {
      if (!header.secret.name.empty())
        out.push_back({SecretUse::kHeader, header.secret, "spec.source.remote.headers[" + header.name + "].valueFrom"});
    }
  }
  if (const auto* image = std::get_if<ImageSource>(&spec.source); image != nullptr && !image->pull_secret.empty()) {
    out.push_back({SecretUse::kPullSecret, {image->pull_secret, ""}, "spec.source.image.pullSecret"});
  }
  return out;
}

}  // namespace mcpfleet
