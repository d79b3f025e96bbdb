#include "crd/spec_codec.h"

#include <initializer_list>
#include <map>
#include <string>
#include <utility>

#include <nlohmann/json.hpp>

#include "crd/codec.h"
#include "crd/field_reader.h"
#include "crd/quantity.h"
#include "crd/schema.h"

namespace mcpfleet {
namespace {

template <typename T>
struct Word {
  T value;
  const char* text;
};
constexpr Word<PullPolicy> kPullPolicies[] = {
    {PullPolicy::kIfNotPresent, "IfNotPresent"}, {PullPolicy::kAlways, "Always"}, {PullPolicy::kNever, "Never"}};
constexpr Word<PackageManager> kManagers[] = {{PackageManager::kNpm, "npm"}, {PackageManager::kPypi, "pypi"}};
constexpr Word<RuntimeChoice> kRuntimes[] = {{RuntimeChoice::kAuto, "Auto"},
                                             {RuntimeChoice::kDocker, "Docker"},
                                             {RuntimeChoice::kContainerd, "Containerd"},
                                             {RuntimeChoice::kProcess, "Process"}};
constexpr Word<Transport> kTransports[] = {{Transport::kStdio, "stdio"},
                                           {Transport::kStreamableHttp, "streamable-http"}};
constexpr Word<NetworkMode> kNetworks[] = {
    {NetworkMode::kNone, "None"}, {NetworkMode::kOutbound, "Outbound"}, {NetworkMode::kHost, "Host"}};
constexpr Word<Enforcement> kEnforcements[] = {{Enforcement::kRequired, "Required"},
                                               {Enforcement::kBestEffort, "BestEffort"}};
constexpr Word<RestartCondition> kRestartConditions[] = {{RestartCondition::kAlways, "Always"},
                                                         {RestartCondition::kOnFailure, "OnFailure"},
                                                         {RestartCondition::kNever, "Never"}};
constexpr Word<UpdateType> kUpdateTypes[] = {{UpdateType::kRollingUpdate, "RollingUpdate"},
                                             {UpdateType::kRecreate, "Recreate"}};
constexpr Word<ActivationMode> kActivationModes[] = {{ActivationMode::kAlways, "Always"},
                                                     {ActivationMode::kOnDemand, "OnDemand"}};
constexpr Word<SessionMode> kSessionModes[] = {
    {SessionMode::kAuto, "Auto"}, {SessionMode::kPerSession, "PerSession"}, {SessionMode::kShared, "Shared"}};
constexpr Word<ToolPinning> kPinnings[] = {
    {ToolPinning::kOff, "Off"}, {ToolPinning::kWarn, "Warn"}, {ToolPinning::kBlock, "Block"}};
constexpr Word<AuthType> kAuthTypes[] = {{AuthType::kNone, "None"},
                                         {AuthType::kBearer, "Bearer"},
                                         {AuthType::kJwt, "JWT"},
                                         {AuthType::kCloudflareAccess, "CloudflareAccess"}};

template <typename T, size_t N>
const char* TextOf(const Word<T> (&words)[N], T value) {
  for (const Word<T>& word : words) {
    if (word.value == value) return word.text;
  }
  return "";
}

// Members of a spec.
class Reader : public FieldReader {
 public:
  Reader() : FieldReader("spec: field ") {}
  void Bool(const Json& object, const char* key, bool* out) {
    const Json& value = GetMember(object, key);
    if (value.is_null()) return;
    if (!value.is_boolean()) return Fail(key, "is not true or false");
    *out = value.get<bool>();
  }
  void Seconds(const Json& object, const char* key, Duration* out) {
    int number = 0;
    if (GetMember(object, key).is_null()) return;
    Number(object, key, &number);
    *out = std::chrono::seconds(number);
  }
  void Span(const Json& object, const char* key, Duration* out) {
    std::string text;
    Text(object, key, &text);
    if (text.empty()) return;
    StatusOr<Duration> duration = ParseDuration(text);
    if (!duration.ok()) return Fail(key, "is not a duration");
    *out = *duration;
  }
  void Quantity(const Json& object, const char* key, StatusOr<int64_t> (*parse)(std::string_view), int64_t* out) {
    const Json& value = GetMember(object, key);
    if (value.is_null()) return;
    std::string text = value.is_number_integer() ? value.dump() : GetString(object, key);
    StatusOr<int64_t> quantity = parse(text);
    if (!quantity.ok()) return Fail(key, Message(quantity.status()));
    *out = *quantity;
  }
  void TextMap(const Json& object, const char* key, std::map<std::string, std::string>* out) {
    const Json& value = GetMember(object, key);
    if (value.is_null()) return;
    if (!value.is_object()) return Fail(key, "is not a map");
    for (auto it = value.begin(); it != value.end(); ++it) {
      if (!it->is_string()) return Fail(key, "has a value that is not text");
      (*out)[it.key()] = it->get<std::string>();
    }
  }
  template <typename T, size_t N>
  void Enum(const Json& object, const char* key, const Word<T> (&words)[N], T* out) {
    std::string text;
    Text(object, key, &text);
    if (text.empty()) return;
    for (const Word<T>& word : words) {
      if (text == word.text) {
        *out = word.value;
        return;
      }
    }
    Fail(key, "has an unknown value");
  }
  // Calls `read(item)` for each object of a list.
  template <typename Read>
  void List(const Json& object, const char* key, Read read) {
    const Json& value = GetMember(object, key);
    if (value.is_null()) return;
    if (!value.is_array()) return Fail(key, "is not a list");
    for (const Json& item : value) {
      if (!item.is_object()) return Fail(key, "has an entry that is not a map");
      read(item);
    }
  }
};

// valueFrom.secretKeyRef, or secretKeyRef itself.
void DecodeSecretRef(const Json& ref, Reader* reader, SecretKeyRef* out) {
  reader->Text(ref, "name", &out->name);
  reader->Text(ref, "key", &out->key);
}
void DecodeValueFrom(const Json& item, Reader* reader, SecretKeyRef* out) {
  DecodeSecretRef(GetMember(GetMember(item, "valueFrom"), "secretKeyRef"), reader, out);
}

void DecodeSource(const Json& json, Reader* reader, Source* out) {
  if (const Json& image = GetMember(json, "image"); image.is_object()) {
    ImageSource source;
    reader->Text(image, "ref", &source.ref);
    reader->Enum(image, "pullPolicy", kPullPolicies, &source.pull_policy);
    reader->Text(image, "pullSecret", &source.pull_secret);
    *out = std::move(source);
  } else if (const Json& package = GetMember(json, "package"); package.is_object()) {
    PackageSource source;
    reader->Enum(package, "manager", kManagers, &source.manager);
    reader->Text(package, "name", &source.name);
    reader->Text(package, "version", &source.version);
    reader->Text(package, "integrity", &source.integrity);
    *out = std::move(source);
  } else if (const Json& process = GetMember(json, "process"); process.is_object()) {
    ProcessSource source;
    reader->Text(process, "path", &source.path);
    reader->Text(process, "sha256", &source.sha256);
    *out = std::move(source);
  } else if (const Json& remote = GetMember(json, "remote"); remote.is_object()) {
    RemoteSource source;
    reader->Text(remote, "url", &source.url);
    reader->List(remote, "headers", [&](const Json& item) {
      HeaderValue& header = source.headers.emplace_back();
      reader->Text(item, "name", &header.name);
      reader->Text(item, "value", &header.value);
      DecodeValueFrom(item, reader, &header.secret);
    });
    *out = std::move(source);
  } else {
    reader->Fail("source", "names none of image, package, process, remote");
  }
}

void DecodeVolumes(const Json& spec, Reader* reader, std::vector<Volume>* out) {
  reader->List(spec, "volumes", [&](const Json& item) {
    Volume& volume = out->emplace_back();
    reader->Text(item, "name", &volume.name);
    reader->Text(item, "hostPath", &volume.host_path);
    reader->Quantity(GetMember(item, "tmpfs"), "size", ParseBytes, &volume.tmpfs_bytes);
    reader->Text(item, "mountPath", &volume.mount_path);
    reader->Bool(item, "readOnly", &volume.read_only);
  });
}

void DecodeSecurity(const Json& json, Reader* reader, SecurityContext* out) {
  reader->Number(json, "runAsUser", &out->run_as_user);
  reader->Bool(json, "readOnlyRootFilesystem", &out->read_only_root);
  reader->Texts(GetMember(json, "capabilities"), "add", &out->add_capabilities);
  reader->Enum(json, "network", kNetworks, &out->network);
  reader->Enum(json, "enforcement", kEnforcements, &out->enforcement);
}

void DecodePlacement(const Json& json, Reader* reader, Placement* out) {
  reader->Texts(json, "nodes", &out->nodes);
  reader->TextMap(json, "nodeSelector", &out->node_selector);
  if (int replicas = 0; json.contains("replicas")) {
    reader->Number(json, "replicas", &replicas);
    out->replicas = replicas;
  }
}

void DecodeProbes(const Json& json, Reader* reader, Probes* out) {
  reader->Seconds(GetMember(json, "startup"), "timeoutSeconds", &out->startup_timeout);
  const Json& liveness = GetMember(json, "liveness");
  reader->Seconds(liveness, "periodSeconds", &out->liveness_period);
  reader->Seconds(liveness, "timeoutSeconds", &out->liveness_timeout);
  reader->Number(liveness, "failureThreshold", &out->liveness_failures);
  const Json& readiness = GetMember(json, "readiness");
  reader->Seconds(readiness, "periodSeconds", &out->readiness_period);
  reader->Seconds(readiness, "timeoutSeconds", &out->readiness_timeout);
  reader->Number(readiness, "failureThreshold", &out->readiness_failures);
  reader->Texts(readiness, "requiredTools", &out->required_tools);
  reader->Texts(readiness, "requiredCapabilities", &out->required_capabilities);
}

void DecodeRestartPolicy(const Json& json, Reader* reader, RestartPolicy* out) {
  reader->Enum(json, "condition", kRestartConditions, &out->condition);
  reader->Span(GetMember(json, "backoff"), "initial", &out->backoff_initial);
  reader->Span(GetMember(json, "backoff"), "max", &out->backoff_max);
  reader->Span(json, "resetAfter", &out->reset_after);
  reader->Number(json, "maxAttempts", &out->max_attempts);
}

void DecodeUpdateStrategy(const Json& json, Reader* reader, UpdateStrategy* out) {
  UpdateType type = UpdateType::kRollingUpdate;
  reader->Enum(json, "type", kUpdateTypes, &type);
  if (!GetString(json, "type").empty()) out->type = type;
  reader->Span(json, "drainTimeout", &out->drain_timeout);
  reader->Span(json, "progressDeadline", &out->progress_deadline);
  reader->Bool(json, "autoRollback", &out->auto_rollback);
}

void DecodeSessions(const Json& json, Reader* reader, SessionsSpec* out) {
  reader->Enum(json, "mode", kSessionModes, &out->mode);
  reader->Number(json, "warmSpares", &out->warm_spares);
  reader->Number(json, "max", &out->max);
  reader->Span(json, "idleTimeout", &out->idle_timeout);
  reader->Span(json, "maxLifetime", &out->max_lifetime);
  reader->Bool(json, "resumable", &out->resumable);
}

void DecodeTools(const Json& json, Reader* reader, ToolsSpec* out) {
  reader->Texts(json, "allow", &out->allow);
  reader->Texts(json, "deny", &out->deny);
  reader->Enum(json, "pinning", kPinnings, &out->pinning);
  reader->TextMap(json, "pins", &out->pins);
}

void DecodeAuth(const Json& json, Reader* reader, AuthSpec* out) {
  reader->Enum(json, "type", kAuthTypes, &out->type);
  reader->List(GetMember(json, "bearer"), "tokens", [&](const Json& item) {
    BearerToken& token = out->tokens.emplace_back();
    reader->Text(item, "name", &token.name);
    reader->Text(item, "sha256", &token.sha256);
  });
  const Json& jwt = GetMember(json, "jwt");
  reader->Text(jwt, "issuer", &out->issuer);
  reader->Text(jwt, "audience", &out->audience);
  reader->Text(jwt, "jwksUri", &out->jwks_uri);
  reader->Texts(jwt, "scopes", &out->scopes);
  const Json& access = GetMember(json, "cloudflareAccess");
  reader->Text(access, "team", &out->team);
  reader->Text(access, "audience", &out->audience);
}

void DecodeRateLimit(const Json& json, Reader* reader, RateLimitSpec* out) {
  reader->Number(json, "requests", &out->requests);
  reader->Span(json, "per", &out->per);
  reader->Number(json, "perSubject", &out->per_subject);
  reader->Number(json, "maxConcurrent", &out->max_concurrent);
}

// Puts a member unless it equals the default.
template <typename T, typename V>
void Put(Json* out, const char* key, const T& value, const T& fallback, V&& json) {
  if (!(value == fallback)) (*out)[key] = std::forward<V>(json);
}
template <typename T>
void Put(Json* out, const char* key, const T& value, const T& fallback) {
  Put(out, key, value, fallback, value);
}
void PutSeconds(Json* out, const char* key, Duration value, Duration fallback) {
  Put(out, key, value, fallback, std::chrono::duration_cast<std::chrono::seconds>(value).count());
}
void PutPart(Json* out, const char* key, Json part) {
  if (!part.empty()) (*out)[key] = std::move(part);
}

Json EncodeSecretRef(const SecretKeyRef& ref) { return {{"name", ref.name}, {"key", ref.key}}; }
// Of a variable or a header.
template <typename T>
Json EncodeNamedValue(const T& item) {
  if (item.secret.name.empty()) return {{"name", item.name}, {"value", item.value}};
  return {{"name", item.name}, {"valueFrom", {{"secretKeyRef", EncodeSecretRef(item.secret)}}}};
}

Json EncodeSource(const ImageSource& source) {
  Json out = {{"ref", source.ref}};
  Put(&out, "pullPolicy", source.pull_policy, ImageSource{}.pull_policy, TextOf(kPullPolicies, source.pull_policy));
  Put(&out, "pullSecret", source.pull_secret, std::string());
  return {{"image", out}};
}
Json EncodeSource(const PackageSource& source) {
  Json out = {{"manager", TextOf(kManagers, source.manager)}, {"name", source.name}, {"version", source.version}};
  Put(&out, "integrity", source.integrity, std::string());
  return {{"package", out}};
}
Json EncodeSource(const ProcessSource& source) {
  Json out = {{"path", source.path}};
  Put(&out, "sha256", source.sha256, std::string());
  return {{"process", out}};
}
Json EncodeSource(const RemoteSource& source) {
  Json out = {{"url", source.url}};
  for (const HeaderValue& header : source.headers) out["headers"].push_back(EncodeNamedValue(header));
  return {{"remote", out}};
}

Json EncodeVolume(const Volume& volume) {
  Json out = {{"name", volume.name}, {"mountPath", volume.mount_path}};
  Put(&out, "hostPath", volume.host_path, std::string());
  if (volume.tmpfs_bytes != 0) out["tmpfs"]["size"] = FormatBytes(volume.tmpfs_bytes);
  Put(&out, "readOnly", volume.read_only, false);
  return out;
}

Json EncodeLimits(const Resources& resources) {
  const Resources fallback;
  Json out = Json::object();
  Put(&out, "cpu", resources.cpu_milli, fallback.cpu_milli, FormatCpuMilli(resources.cpu_milli));
  Put(&out, "memory", resources.memory_bytes, fallback.memory_bytes, FormatBytes(resources.memory_bytes));
  Put(&out, "pids", resources.pids, fallback.pids);
  return out;
}

Json EncodeSecurity(const SecurityContext& security) {
  const SecurityContext fallback;
  Json out = Json::object();
  Put(&out, "runAsUser", security.run_as_user, fallback.run_as_user);
  Put(&out, "readOnlyRootFilesystem", security.read_only_root, fallback.read_only_root);
  if (!security.add_capabilities.empty()) out["capabilities"]["add"] = security.add_capabilities;
  Put(&out, "network", security.network, fallback.network, TextOf(kNetworks, security.network));
  Put(&out, "enforcement", security.enforcement, fallback.enforcement, TextOf(kEnforcements, security.enforcement));
  return out;
}

Json EncodeProbes(const Probes& probes) {
  const Probes fallback;
  Json out = Json::object(), startup = Json::object(), liveness = Json::object(), readiness = Json::object();
  PutSeconds(&startup, "timeoutSeconds", probes.startup_timeout, fallback.startup_timeout);
  PutSeconds(&liveness, "periodSeconds", probes.liveness_period, fallback.liveness_period);
  PutSeconds(&liveness, "timeoutSeconds", probes.liveness_timeout, fallback.liveness_timeout);
  Put(&liveness, "failureThreshold", probes.liveness_failures, fallback.liveness_failures);
  PutSeconds(&readiness, "periodSeconds", probes.readiness_period, fallback.readiness_period);
  PutSeconds(&readiness, "timeoutSeconds", probes.readiness_timeout, fallback.readiness_timeout);
  Put(&readiness, "failureThreshold", probes.readiness_failures, fallback.readiness_failures);
  Put(&readiness, "requiredTools", probes.required_tools, {});
  Put(&readiness, "requiredCapabilities", probes.required_capabilities, {});
  PutPart(&out, "startup", startup);
  PutPart(&out, "liveness", liveness);
  PutPart(&out, "readiness", readiness);
  return out;
}

Json EncodeRestartPolicy(const RestartPolicy& policy) {
  const RestartPolicy fallback;
  Json out = Json::object(), backoff = Json::object();
  Put(&out, "condition", policy.condition, fallback.condition, TextOf(kRestartConditions, policy.condition));
  Put(&backoff, "initial", policy.backoff_initial, fallback.backoff_initial, FormatDuration(policy.backoff_initial));
  Put(&backoff, "max", policy.backoff_max, fallback.backoff_max, FormatDuration(policy.backoff_max));
  PutPart(&out, "backoff", backoff);
  Put(&out, "resetAfter", policy.reset_after, fallback.reset_after, FormatDuration(policy.reset_after));
  Put(&out, "maxAttempts", policy.max_attempts, fallback.max_attempts);
  return out;
}

Json EncodeUpdateStrategy(const UpdateStrategy& strategy) {
  const UpdateStrategy fallback;
  Json out = Json::object();
  if (strategy.type) out["type"] = TextOf(kUpdateTypes, *strategy.type);
  Put(&out, "drainTimeout", strategy.drain_timeout, fallback.drain_timeout, FormatDuration(strategy.drain_timeout));
  Put(&out, "progressDeadline", strategy.progress_deadline, fallback.progress_deadline,
      FormatDuration(strategy.progress_deadline));
  Put(&out, "autoRollback", strategy.auto_rollback, fallback.auto_rollback);
  return out;
}

Json EncodeActivation(const Activation& activation) {
  const Activation fallback;
  Json out = Json::object();
  Put(&out, "mode", activation.mode, fallback.mode, TextOf(kActivationModes, activation.mode));
  Put(&out, "idleAfter", activation.idle_after, fallback.idle_after, FormatDuration(activation.idle_after));
  return out;
}

Json EncodeSessions(const SessionsSpec& sessions) {
  const SessionsSpec fallback;
  Json out = Json::object();
  Put(&out, "mode", sessions.mode, fallback.mode, TextOf(kSessionModes, sessions.mode));
  Put(&out, "warmSpares", sessions.warm_spares, fallback.warm_spares);
  Put(&out, "max", sessions.max, fallback.max);
  Put(&out, "idleTimeout", sessions.idle_timeout, fallback.idle_timeout, FormatDuration(sessions.idle_timeout));
  Put(&out, "maxLifetime", sessions.max_lifetime, fallback.max_lifetime, FormatDuration(sessions.max_lifetime));
  Put(&out, "resumable", sessions.resumable, fallback.resumable);
  return out;
}

Json EncodeTools(const ToolsSpec& tools) {
  const ToolsSpec fallback;
  Json out = Json::object();
  Put(&out, "allow", tools.allow, {});
  Put(&out, "deny", tools.deny, {});
  Put(&out, "pinning", tools.pinning, fallback.pinning, TextOf(kPinnings, tools.pinning));
  Put(&out, "pins", tools.pins, {});
  return out;
}

Json EncodeAuth(const AuthSpec& auth) {
  Json out = Json::object();
  Put(&out, "type", auth.type, AuthType::kNone, TextOf(kAuthTypes, auth.type));
  switch (auth.type) {
    case AuthType::kNone:
      break;
    case AuthType::kBearer:
      for (const BearerToken& token : auth.tokens)
        out["bearer"]["tokens"].push_back({{"name", token.name}, {"sha256", token.sha256}});
      break;
    case AuthType::kJwt:
      out["jwt"] = {{"issuer", auth.issuer}, {"jwksUri", auth.jwks_uri}};
      Put(&out["jwt"], "audience", auth.audience, std::string());
      Put(&out["jwt"], "scopes", auth.scopes, {});
      break;
    case AuthType::kCloudflareAccess:
      out["cloudflareAccess"] = {{"team", auth.team}, {"audience", auth.audience}};
      break;
  }
  return out;
}

Json EncodeRateLimit(const RateLimitSpec& limit) {
  const RateLimitSpec fallback;
  Json out = Json::object();
  Put(&out, "requests", limit.requests, fallback.requests);
  Put(&out, "per", limit.per, fallback.per, FormatDuration(limit.per));
  Put(&out, "perSubject", limit.per_subject, fallback.per_subject);
  Put(&out, "maxConcurrent", limit.max_concurrent, fallback.max_concurrent);
  return out;
}

}  // namespace

StatusOr<ServerSpec> DecodeServerSpec(const Json& json) {
  if (!json.is_object()) return InvalidArgument("spec: is not a map");
  Reader reader;
  ServerSpec spec;
  DecodeSource(GetMember(json, "source"), &reader, &spec.source);
  if (std::holds_alternative<RemoteSource>(spec.source)) spec.transport = Transport::kStreamableHttp;
  reader.Texts(json, "command", &spec.command);
  reader.Texts(json, "args", &spec.args);
  reader.List(json, "env", [&](const Json& item) {
    EnvVar& variable = spec.env.emplace_back();
    reader.Text(item, "name", &variable.name);
    reader.Text(item, "value", &variable.value);
    DecodeValueFrom(item, &reader, &variable.secret);
  });
  reader.List(json, "files", [&](const Json& item) {
    SecretFile& file = spec.files.emplace_back();
    reader.Text(item, "path", &file.path);
    DecodeSecretRef(GetMember(item, "secretKeyRef"), &reader, &file.secret);
  });
  DecodeVolumes(json, &reader, &spec.volumes);
  reader.Enum(json, "runtime", kRuntimes, &spec.runtime);
  reader.Enum(json, "transport", kTransports, &spec.transport);
  reader.Number(json, "port", &spec.port);
  reader.Text(json, "path", &spec.path);
  const Json& limits = GetMember(GetMember(json, "resources"), "limits");
  reader.Quantity(limits, "cpu", ParseCpuMilli, &spec.resources.cpu_milli);
  reader.Quantity(limits, "memory", ParseBytes, &spec.resources.memory_bytes);
  reader.Number(limits, "pids", &spec.resources.pids);
  DecodeSecurity(GetMember(json, "securityContext"), &reader, &spec.security);
  DecodePlacement(GetMember(json, "placement"), &reader, &spec.placement);
  reader.Bool(json, "suspend", &spec.suspend);
  DecodeProbes(GetMember(json, "probes"), &reader, &spec.probes);
  DecodeRestartPolicy(GetMember(json, "restartPolicy"), &reader, &spec.restart_policy);
  reader.Span(json, "terminationGracePeriod", &spec.termination_grace);
  DecodeUpdateStrategy(GetMember(json, "updateStrategy"), &reader, &spec.update_strategy);
  reader.Enum(GetMember(json, "activation"), "mode", kActivationModes, &spec.activation.mode);
  reader.Span(GetMember(json, "activation"), "idleAfter", &spec.activation.idle_after);
  DecodeSessions(GetMember(json, "sessions"), &reader, &spec.sessions);
  DecodeTools(GetMember(json, "tools"), &reader, &spec.tools);
  DecodeAuth(GetMember(json, "auth"), &reader, &spec.auth);
  DecodeRateLimit(GetMember(json, "rateLimit"), &reader, &spec.rate_limit);
  reader.Text(GetMember(json, "expose"), "hostname", &spec.expose.hostname);
  reader.Quantity(GetMember(json, "logs"), "maxSize", ParseBytes, &spec.logs.max_size_bytes);
  reader.Number(GetMember(json, "logs"), "maxFiles", &spec.logs.max_files);
  if (!reader.status.ok()) return reader.status;
  return spec;
}

StatusOr<ServerSpec> ServerSpecOf(const Object& object) {
  Json json = ObjectToJson(object);
  std::vector<Violation> violations = Schema::Builtin().Validate(kKindServer, json);
  if (!violations.empty()) return InvalidArgument(ToString(violations));
  Schema::Builtin().ApplyDefaults(kKindServer, &json);
  return DecodeServerSpec(json["spec"]);
}

Json EncodeServerSpec(const ServerSpec& spec) {
  const ServerSpec fallback;
  Json out = {{"source", std::visit([](const auto& source) { return EncodeSource(source); }, spec.source)}};
  bool remote = std::holds_alternative<RemoteSource>(spec.source);
  Put(&out, "command", spec.command, {});
  Put(&out, "args", spec.args, {});
  for (const EnvVar& variable : spec.env) out["env"].push_back(EncodeNamedValue(variable));
  for (const SecretFile& file : spec.files)
    out["files"].push_back({{"path", file.path}, {"secretKeyRef", EncodeSecretRef(file.secret)}});
  for (const Volume& volume : spec.volumes) out["volumes"].push_back(EncodeVolume(volume));
  Put(&out, "runtime", spec.runtime, fallback.runtime, TextOf(kRuntimes, spec.runtime));
  Put(&out, "transport", spec.transport, remote ? Transport::kStreamableHttp : fallback.transport,
      TextOf(kTransports, spec.transport));
  Put(&out, "port", spec.port, fallback.port);
  Put(&out, "path", spec.path, fallback.path);
  if (Json limits = EncodeLimits(spec.resources); !limits.empty()) out["resources"]["limits"] = std::move(limits);
  PutPart(&out, "securityContext", EncodeSecurity(spec.security));
  Json placement = Json::object();
  Put(&placement, "nodes", spec.placement.nodes, {});
  Put(&placement, "nodeSelector", spec.placement.node_selector, {});
  if (spec.placement.replicas) placement["replicas"] = *spec.placement.replicas;
  PutPart(&out, "placement", placement);
  Put(&out, "suspend", spec.suspend, false);
  PutPart(&out, "probes", EncodeProbes(spec.probes));
  PutPart(&out, "restartPolicy", EncodeRestartPolicy(spec.restart_policy));
  Put(&out, "terminationGracePeriod", spec.termination_grace, fallback.termination_grace,
      FormatDuration(spec.termination_grace));
  PutPart(&out, "updateStrategy", EncodeUpdateStrategy(spec.update_strategy));
  PutPart(&out, "activation", EncodeActivation(spec.activation));
  PutPart(&out, "sessions", EncodeSessions(spec.sessions));
  PutPart(&out, "tools", EncodeTools(spec.tools));
  PutPart(&out, "auth", EncodeAuth(spec.auth));
  PutPart(&out, "rateLimit", EncodeRateLimit(spec.rate_limit));
  if (!spec.expose.hostname.empty()) out["expose"] = {{"hostname", spec.expose.hostname}};
  Json logs = Json::object();
  Put(&logs, "maxSize", spec.logs.max_size_bytes, fallback.logs.max_size_bytes, FormatBytes(spec.logs.max_size_bytes));
  Put(&logs, "maxFiles", spec.logs.max_files, fallback.logs.max_files);
  PutPart(&out, "logs", logs);
  return out;
}

}  // namespace mcpfleet
