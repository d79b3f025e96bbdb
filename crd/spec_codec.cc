#include "crd/spec_codec.h"

#include <initializer_list>
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
constexpr Word<RuntimeChoice> kRuntimes[] = {
    {RuntimeChoice::kAuto, "Auto"}, {RuntimeChoice::kDocker, "Docker"}, {RuntimeChoice::kProcess, "Process"}};
constexpr Word<Transport> kTransports[] = {{Transport::kStdio, "stdio"},
                                           {Transport::kStreamableHttp, "streamable-http"}};
constexpr Word<NetworkMode> kNetworks[] = {
    {NetworkMode::kNone, "None"}, {NetworkMode::kOutbound, "Outbound"}, {NetworkMode::kHost, "Host"}};
constexpr Word<Enforcement> kEnforcements[] = {{Enforcement::kRequired, "Required"},
                                               {Enforcement::kBestEffort, "BestEffort"}};
constexpr Word<RestartCondition> kRestartConditions[] = {{RestartCondition::kAlways, "Always"},
                                                         {RestartCondition::kOnFailure, "OnFailure"},
                                                         {RestartCondition::kNever, "Never"}};

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

void DecodeSource(const Json& json, Reader* reader, Source* out) {
  if (const Json& image = GetMember(json, "image"); image.is_object()) {
    ImageSource source;
    reader->Text(image, "ref", &source.ref);
    reader->Enum(image, "pullPolicy", kPullPolicies, &source.pull_policy);
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
  const Json& selector = GetMember(json, "nodeSelector");
  if (selector.is_null()) return;
  if (!selector.is_object()) return reader->Fail("nodeSelector", "is not a map");
  for (auto it = selector.begin(); it != selector.end(); ++it) {
    if (!it->is_string()) return reader->Fail("nodeSelector", "has a value that is not text");
    out->node_selector[it.key()] = it->get<std::string>();
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

Json EncodeSource(const ImageSource& source) {
  Json out = {{"ref", source.ref}};
  Put(&out, "pullPolicy", source.pull_policy, ImageSource{}.pull_policy, TextOf(kPullPolicies, source.pull_policy));
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
  for (const HeaderValue& header : source.headers)
    out["headers"].push_back({{"name", header.name}, {"value", header.value}});
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
  for (const EnvVar& variable : spec.env) out["env"].push_back({{"name", variable.name}, {"value", variable.value}});
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
  PutPart(&out, "placement", placement);
  Put(&out, "suspend", spec.suspend, false);
  PutPart(&out, "probes", EncodeProbes(spec.probes));
  PutPart(&out, "restartPolicy", EncodeRestartPolicy(spec.restart_policy));
  Put(&out, "terminationGracePeriod", spec.termination_grace, fallback.termination_grace,
      FormatDuration(spec.termination_grace));
  Json logs = Json::object();
  Put(&logs, "maxSize", spec.logs.max_size_bytes, fallback.logs.max_size_bytes, FormatBytes(spec.logs.max_size_bytes));
  Put(&logs, "maxFiles", spec.logs.max_files, fallback.logs.max_files);
  PutPart(&out, "logs", logs);
  return out;
}

}  // namespace mcpfleet
