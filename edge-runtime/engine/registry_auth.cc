#include "edge-runtime/engine/registry_auth.h"

#include <string>
#include <utility>

#include <nlohmann/json.hpp>

#include "base/base64url.h"
#include "base/json.h"
#include "base/strings.h"

namespace mcpfleet {
namespace {

constexpr char kHub[] = "docker.io";

void WipeJson(Json* json) {
  if (json->is_string()) return WipeText(json->get_ptr<std::string*>());
  if (!json->is_structured()) return;
  for (Json& member : *json) WipeJson(&member);
}

// "https://index.docker.io/v1/" -> "docker.io"; "ghcr.io/org" stays.
std::string EntryName(std::string_view key) {
  for (const std::string_view scheme : {"https://", "http://"}) {
    if (key.starts_with(scheme)) key.remove_prefix(scheme.size());
  }
  while (key.ends_with('/')) key.remove_suffix(1);
  for (const std::string_view version : {"/v1", "/v2"}) {
    if (key.ends_with(version)) key.remove_suffix(version.size());
  }
  if (key == "index.docker.io" || key == "registry-1.docker.io") return kHub;
  return std::string(key);
}

// "ghcr.io/org/server:1" -> "ghcr.io/org/server"; "busybox" -> "docker.io/library/busybox".
std::string RepositoryOf(std::string_view ref) {
  ref = ref.substr(0, ref.find('@'));
  const size_t colon = ref.rfind(':'), slash = ref.rfind('/');
  if (colon != std::string_view::npos && (slash == std::string_view::npos || colon > slash)) ref = ref.substr(0, colon);
  const std::string registry = RegistryOf(ref);
  if (ref.starts_with(registry + "/")) return std::string(ref);
  const bool bare = ref.find('/') == std::string_view::npos;
  return registry + (bare ? "/library/" : "/") + std::string(ref);
}

const Json* BestEntry(const Json& auths, std::string_view ref) {
  const std::string repository = RepositoryOf(ref) + "/";
  const Json* best = nullptr;
  size_t length = 0;
  for (auto it = auths.begin(); it != auths.end(); ++it) {
    const std::string name = EntryName(it.key());
    if (!it->is_object() || name.empty() || !repository.starts_with(name + "/")) continue;
    if (best == nullptr || name.size() > length) {
      best = &*it;
      length = name.size();
    }
  }
  return best;
}

SecretText HeaderOf(Json* auth) {
  std::string text = DumpJson(*auth);
  WipeJson(auth);
  std::string encoded = Base64UrlEncode(text);
  WipeText(&text);
  // The engine wants the padding that ours leaves out.
  while (encoded.size() % 4 != 0) encoded += '=';
  return SecretText(std::move(encoded));
}

StatusOr<RegistryLogin> FromConfig(std::string_view config, std::string_view ref) {
  StatusOr<Json> json = ParseJson(config, {.bytes = size_t{64} << 10, .depth = 16});
  // The parser's message would tell of the content.
  if (!json.ok() || !json->is_object()) return InvalidArgument("pullSecret: .dockerconfigjson is no JSON object");
  const Json* entry = BestEntry(GetMember(*json, "auths"), ref);
  const std::string registry = RegistryOf(ref);
  if (entry == nullptr) {
    WipeJson(&*json);
    return InvalidArgument("pullSecret: .dockerconfigjson has no entry in auths for " + registry);
  }
  std::string user = GetString(*entry, "username"), password = GetString(*entry, "password");
  if (std::string pair; user.empty() && Base64Decode(GetString(*entry, "auth"), &pair)) {
    const size_t colon = pair.find(':');
    if (colon != std::string::npos) {
      user = pair.substr(0, colon);
      password = pair.substr(colon + 1);
    }
    WipeText(&pair);
  }
  RegistryLogin login;
  login.identity_token = SecretText(GetString(*entry, "identitytoken"));
  login.user = user;
  login.password = SecretText(std::move(password));
  WipeJson(&*json);
  if (user.empty() && login.identity_token.empty())
    return InvalidArgument("pullSecret: the entry of .dockerconfigjson for " + registry +
                           " has neither auth, username and password, nor identitytoken");
  return login;
}

}  // namespace

std::string RegistryOf(std::string_view ref) {
  const size_t slash = ref.find('/');
  const std::string_view first = ref.substr(0, slash);
  const bool host =
      slash != std::string_view::npos && (first.find_first_of(".:") != std::string_view::npos || first == "localhost");
  return host ? std::string(first) : kHub;
}

StatusOr<RegistryLogin> RegistryLoginOf(const RegistryCredentials& credentials, std::string_view ref) {
  if (!credentials.docker_config.empty()) return FromConfig(credentials.docker_config.view(), ref);
  RegistryLogin login;
  login.user = credentials.user;
  login.password = SecretText::CopyOf(credentials.password.view());
  return login;
}

StatusOr<SecretText> RegistryAuthHeader(const RegistryCredentials& credentials, std::string_view ref) {
  ASSIGN_OR_RETURN(const RegistryLogin login, RegistryLoginOf(credentials, ref));
  const std::string registry = RegistryOf(ref);
  // The Hub's name among credentials that a person typed.
  const bool typed = credentials.docker_config.empty();
  Json auth = {{"serveraddress", typed && registry == kHub ? "https://index.docker.io/v1/" : registry}};
  if (!login.identity_token.empty()) {
    auth["identitytoken"] = login.identity_token.view();
  } else {
    auth["username"] = login.user;
    auth["password"] = login.password.view();
  }
  return HeaderOf(&auth);
}

}  // namespace mcpfleet
