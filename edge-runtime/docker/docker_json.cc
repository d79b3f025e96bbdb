#include "edge-runtime/docker/docker_json.h"

#include <algorithm>
#include <csignal>
#include <cstdlib>

#include <simdjson.h>

#include "base/strings.h"

namespace mcpfleet {
namespace {

struct Version {
  int major = 0, minor = 0;
  auto operator<=>(const Version&) const = default;
};

std::optional<Version> ParseDotted(std::string_view text) {
  const std::vector<std::string> parts = Split(text, '.');
  if (parts.size() != 2) return std::nullopt;
  int numbers[2] = {0, 0};
  for (int i = 0; i < 2; ++i) {
    const std::string& part = parts[static_cast<size_t>(i)];
    if (part.empty() || part.size() > 4 || part.find_first_not_of("0123456789") != std::string::npos)
      return std::nullopt;
    numbers[i] = std::atoi(part.c_str());
  }
  return Version{numbers[0], numbers[1]};
}

int64_t ToInt(std::string_view text) {
  if (text.empty() || text.size() > 18 || text.find_first_not_of("0123456789") != std::string_view::npos) return 0;
  return std::strtoll(std::string(text).c_str(), nullptr, 10);
}

// "" for what is absent or no string.
std::string Text(const simdjson::simdjson_result<simdjson::dom::element>& value) {
  std::string_view text;
  return value.get(text) == simdjson::SUCCESS ? std::string(text) : std::string();
}

InstanceState StateOf(std::string_view state) {
  if (state == "created") return InstanceState::kCreated;
  // A paused or restarting container has its first process.
  if (state == "running" || state == "paused" || state == "restarting") return InstanceState::kRunning;
  return InstanceState::kExited;
}

StatusOr<Json> ParseAs(std::string_view body, Json::value_t type, std::string_view what) {
  StatusOr<Json> json = ParseJson(body);
  if (!json.ok()) return Annotate(Unavailable(Message(json.status())), what);
  if (json->type() != type)
    return Unavailable(std::string(what) + ": the engine's answer has another shape than documented");
  return json;
}

// What the labels say of an instance. `label`: the value of a name behind "dev.mcpfleet.", "" where there is none.
template <typename Label>
InstanceReport ReportOf(const Label& label) {
  InstanceReport report;
  report.id = label("instance");
  report.runtime = RuntimeKind::kDocker;
  report.server = {label("namespace"), label("server")};
  report.uid = label("uid");
  report.generation = ToInt(label("generation"));
  report.revision = label("revision");
  report.shim = label("shim") != "false";
  report.attached = label("attached");
  report.unenforced = label("unenforced");
  return report;
}

// Podman's inspect leaves the algorithm out.
std::string ImageId(const std::string& id) { return id.size() == 64 ? "sha256:" + id : id; }

// Of one that still has a process the engine says "running", also while it is being removed.
bool Leaving(std::string_view state) { return state == "removing" || state == "dead"; }

}  // namespace

std::string ContainerName(std::string_view instance_id) { return "mcpfleet-" + std::string(instance_id); }

std::string SocketPath(std::string_view address) {
  constexpr std::string_view kScheme = "unix://";
  if (address.starts_with(kScheme)) address.remove_prefix(kScheme.size());
  return std::string(address);
}

StatusOr<EngineVersion> ParseVersion(std::string_view body) {
  ASSIGN_OR_RETURN(Json json, ParseAs(body, Json::value_t::object, "version"));
  EngineVersion version{.engine = GetString(json, "Version"),
                        .api = GetString(json, "ApiVersion"),
                        .min_api = GetString(json, "MinAPIVersion", "1.12")};
  for (const Json& component : GetMember(json, "Components")) {
    if (GetString(component, "Name").starts_with("Podman")) version.podman = true;
  }
  return version;
}

StatusOr<std::string> NegotiateApi(const EngineVersion& engine) {
  const std::optional<Version> api = ParseDotted(engine.api), least = ParseDotted(engine.min_api);
  if (!api || !least) return Unavailable("the engine names no API version");
  constexpr Version kOldest{1, 40}, kOurs{1, 41};
  if (*api < kOldest) {
    return FailedPrecondition("the engine's API is " + engine.api + ", needed is 1.40 or later (Docker 19.03)");
  }
  const Version chosen = std::max(std::min(kOurs, *api), *least);
  return std::to_string(chosen.major) + "." + std::to_string(chosen.minor);
}

std::vector<std::string> ParseUnenforced(std::string_view info_body) {
  StatusOr<Json> info = ParseAs(info_body, Json::value_t::object, "info");
  if (!info.ok()) return {};
  std::vector<std::string> missing;
  if (!GetBool(*info, "MemoryLimit", true)) missing.push_back("memory limit");
  if (!GetBool(*info, "SwapLimit", true)) missing.push_back("swap limit");
  if (!GetBool(*info, "PidsLimit", true)) missing.push_back("pids limit");
  if (!GetBool(*info, "CpuCfsQuota", true)) missing.push_back("cpu limit");
  bool seccomp = false;
  for (const std::string& option : StringsOf(GetMember(*info, "SecurityOptions"))) {
    if (option.find("seccomp") != std::string::npos && option.find("unconfined") == std::string::npos) seccomp = true;
  }
  if (!seccomp) missing.push_back("seccomp");
  return missing;
}

StatusOr<std::vector<ListedContainer>> ParseContainerList(std::string_view body, std::string_view node) {
  // The one answer that is read again and again while nothing happens: 2 kB a container, of which little is looked at.
  simdjson::dom::parser parser;
  simdjson::dom::array list;
  if (const auto error = parser.parse(body.data(), body.size()).get_array().get(list); error != simdjson::SUCCESS) {
    return Unavailable("list of containers: " + std::string(simdjson::error_message(error)));
  }
  std::vector<ListedContainer> containers;
  for (const simdjson::dom::element entry : list) {
    const auto labels = entry["Labels"];
    const auto label = [&](std::string_view name) { return Text(labels["dev.mcpfleet." + std::string(name)]); };
    ListedContainer container;
    container.container_id = Text(entry["Id"]);
    container.report = ReportOf(label);
    InstanceReport& report = container.report;
    // The engine filters by the label too; what does not match here must not be ours, whatever it said.
    if (label("node") != node || !IsInstanceId(report.id) || container.container_id.empty()) continue;
    const std::string state = Text(entry["State"]);
    report.state = StateOf(state);
    container.leaving = Leaving(state);
    report.artifact_digest = Text(entry["ImageID"]);
    int64_t created = 0;
    if (entry["Created"].get(created) != simdjson::SUCCESS) created = 0;
    report.created_at = WallTime(std::chrono::seconds(std::clamp(created, int64_t{0}, int64_t{1} << 32)));
    containers.push_back(std::move(container));
  }
  return containers;
}

StatusOr<InspectedContainer> ParseInspect(std::string_view body) {
  ASSIGN_OR_RETURN(Json json, ParseAs(body, Json::value_t::object, "inspect"));
  const Json& state = GetMember(json, "State");
  const Json& labels = GetMember(GetMember(json, "Config"), "Labels");
  const auto label = [&](std::string_view name) { return GetString(labels, "dev.mcpfleet." + std::string(name)); };
  InspectedContainer out;
  out.container_id = GetString(json, "Id");
  out.node = label("node");
  out.report = ReportOf(label);
  InstanceReport& report = out.report;
  if (const std::vector<std::string> sizes = Split(label("log"), 'x'); sizes.size() == 2) {
    out.log_max_bytes = ToInt(sizes[0]);
    out.log_max_files = static_cast<int>(std::clamp(ToInt(sizes[1]), int64_t{1}, int64_t{100}));
  }
  const std::string status = GetString(state, "Status");
  report.state = StateOf(status);
  out.dead = status == "dead";
  out.leaving = Leaving(status);
  report.artifact_digest = ImageId(GetString(json, "Image"));
  report.created_at = ParseEngineTime(GetString(json, "Created"));
  report.started_at = ParseEngineTime(GetString(state, "StartedAt"));
  out.start_error = GetString(state, "Error");
  if (report.state == InstanceState::kRunning) {
    out.previous_end = ParseEngineTime(GetString(state, "FinishedAt"));
    report.pid = static_cast<int>(std::clamp(GetInt(state, "Pid"), int64_t{0}, int64_t{1} << 30));
  }
  if (report.state == InstanceState::kExited) {
    report.finished_at = ParseEngineTime(GetString(state, "FinishedAt"));
    // StartedAt is taken after the start: first lines of output may be older.
    if (report.started_at > WallTime{}) out.previous_end = report.started_at - std::chrono::seconds(1);
    const int code = static_cast<int>(std::clamp(GetInt(state, "ExitCode"), int64_t{0}, int64_t{255}));
    // The engine reports 128+n for a signal and cannot tell it from exit(128+n).
    report.exit = ExitInfo{
        .code = code, .signal = code > 128 && code <= 128 + 64 ? code - 128 : 0, .oom = GetBool(state, "OOMKilled")};
  }
  return out;
}

WallTime ParseEngineTime(std::string_view text) {
  if (text.size() < 20 || text.starts_with("0001-")) return {};
  std::string utc(text);
  Duration offset{0};
  const size_t sign = utc.find_last_of("+-");
  if (utc.back() != 'Z' && sign != std::string::npos && sign >= 19 && utc.size() == sign + 6) {
    const auto minutes = std::chrono::minutes(ToInt(utc.substr(sign + 1, 2)) * 60 + ToInt(utc.substr(sign + 4, 2)));
    offset = utc[sign] == '+' ? minutes : -minutes;
    utc = utc.substr(0, sign) + "Z";
  }
  StatusOr<WallTime> time = ParseTime(utc);
  return time.ok() ? *time - offset : WallTime{};
}

ImageReference ParseImageReference(std::string_view ref) {
  if (const size_t at = ref.find('@'); at != std::string_view::npos) {
    // "repo:tag@digest": the digest decides.
    const ImageReference named = ParseImageReference(ref.substr(0, at));
    return {named.from, std::string(ref.substr(at + 1))};
  }
  const size_t slash = ref.rfind('/');
  const size_t colon = ref.rfind(':');
  if (colon == std::string_view::npos || (slash != std::string_view::npos && colon < slash))
    return {std::string(ref), "latest"};
  return {std::string(ref.substr(0, colon)), std::string(ref.substr(colon + 1))};
}

StatusOr<Artifact> ParseImage(std::string_view body) {
  ASSIGN_OR_RETURN(Json json, ParseAs(body, Json::value_t::object, "image"));
  const Json& config = GetMember(json, "Config");
  Artifact artifact{.digest = GetString(json, "Id"),
                    .entrypoint = StringsOf(GetMember(config, "Entrypoint")),
                    .default_args = StringsOf(GetMember(config, "Cmd"))};
  if (artifact.digest.empty()) return Unavailable("image: the engine named no id");
  // Podman leaves the algorithm out.
  if (!artifact.digest.starts_with("sha256:")) artifact.digest = "sha256:" + artifact.digest;
  return artifact;
}

StatusOr<std::vector<ListedImage>> ParseImageList(std::string_view body) {
  ASSIGN_OR_RETURN(Json list, ParseAs(body, Json::value_t::array, "list of images"));
  std::vector<ListedImage> images;
  for (const Json& entry : list) {
    const std::string id = GetString(entry, "Id");
    if (!id.empty()) images.push_back({id, std::max(int64_t{0}, GetInt(entry, "Size"))});
  }
  return images;
}

std::optional<EngineEvent> ParseEvent(std::string_view line) {
  StatusOr<Json> json = ParseJson(line, {.bytes = size_t{1} << 20, .depth = 16});
  if (!json.ok() || !json->is_object() || GetString(*json, "Type", "container") != "container") return std::nullopt;
  const Json& actor = GetMember(*json, "Actor");
  EngineEvent event{.instance = GetString(GetMember(actor, "Attributes"), kDockerLabelInstance),
                    .container_id = GetString(actor, "ID"),
                    .action = GetString(*json, "Action"),
                    .time = WallTime(std::chrono::nanoseconds(std::max(GetInt(*json, "timeNano"), int64_t{0})))};
  if (!IsInstanceId(event.instance)) return std::nullopt;
  return event;
}

void AmendOom(WallTime oom_at, InstanceReport* report) {
  if (!report->exit || report->exit->signal != SIGKILL) return;
  // StartedAt is taken after the start, so an end may be older.
  if (oom_at >= report->started_at - std::chrono::seconds(1)) report->exit->oom = true;
}

StatusOr<InstanceUsage> ParseStats(std::string_view body) {
  ASSIGN_OR_RETURN(Json json, ParseAs(body, Json::value_t::object, "stats"));
  const Json& memory = GetMember(json, "memory_stats");
  const Json& detail = GetMember(memory, "stats");
  const int64_t used = GetInt(memory, "usage");
  // Page cache that the kernel would give back is not the server's (v1 and v2 name it differently).
  const int64_t cache =
      detail.contains("total_inactive_file") ? GetInt(detail, "total_inactive_file") : GetInt(detail, "inactive_file");
  InstanceUsage usage;
  usage.memory_bytes = cache > 0 && cache < used ? used - cache : used;
  usage.cpu_seconds =
      static_cast<double>(GetInt(GetMember(GetMember(json, "cpu_stats"), "cpu_usage"), "total_usage")) / 1e9;
  return usage;
}

Status StatusOfEngine(int http_status, std::string_view body, std::string_view what) {
  if (http_status < 300 || http_status == 304) return OkStatus();
  std::string message = Printable(Trim(body), 500);
  if (StatusOr<Json> json = ParseJson(body, {.bytes = size_t{1} << 20, .depth = 8}); json.ok() && json->is_object()) {
    message = Printable(GetString(*json, "message", message), 500);
  }
  const std::string text =
      std::string(what) + ": " + (message.empty() ? "status " + std::to_string(http_status) : message);
  switch (http_status) {
    case 400:
      return InvalidArgument(text);
    case 401:
      return Unauthenticated(text);
    case 403:
      return PermissionDenied(text);
    case 404:
      return NotFound(text);
    case 409:
      return FailedPrecondition(text);
    default:
      return Unavailable(text);
  }
}

}  // namespace mcpfleet
