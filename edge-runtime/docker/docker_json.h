// What we say to the Docker Engine API and what it answers, as pure conversions (API 1.41, documented at
// docs.docker.com/engine/api). Everything that came from an engine is checked: a field of another type reads as absent.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/json.h"
#include "base/status.h"
#include "controller/ports/container_runtime.h"
#include "edge-runtime/engine/enforceable.h"
#include "edge-runtime/engine/server_argv.h"

namespace mcpfleet {

inline constexpr char kDockerLabelNode[] = "dev.mcpfleet.node";
inline constexpr char kDockerLabelInstance[] = "dev.mcpfleet.instance";

// The container of an instance: "mcpfleet-<id>". Ids are checked before they reach a path.
std::string ContainerName(std::string_view instance_id);

// "unix:///run/docker.sock" or a path -> the path.
std::string SocketPath(std::string_view address);

// --- versions ---
struct EngineVersion {
  std::string engine;        // "20.10.24"
  std::string api, min_api;  // "1.41", "1.12"
  bool podman = false;
};
StatusOr<EngineVersion> ParseVersion(std::string_view body);
// What we speak with it: 1.41, or the nearest that the engine still or already serves.
StatusOr<std::string> NegotiateApi(const EngineVersion& engine);
// Sandbox features that an engine's /info says are missing.
std::vector<std::string> ParseUnenforced(std::string_view info_body);

// --- containers ---
struct CreateContext {
  std::string node;
  std::string shim_binary;  // on the host; "" runs argv itself
  std::string attach;       // why stdio is attached; the shim is not used then
  std::string unenforced;   // recorded on the instance
  bool podman = false;
};
// The body of POST /containers/create. With the shim the environment of the spec is not in it: secrets would show in
// `inspect`; the shim gets it with each spawn. InvalidArgument when there is nothing to run.
StatusOr<Json> CreateBody(const InstanceSpec& spec, const CreateContext& context);
// The added capabilities that the server's user would not have: Docker's go into no ambient set, so a user that is not
// root loses them with its first exec. But NET_BIND_SERVICE: in a network of its own Docker leaves every port open to
// all.
std::vector<std::string> NotGiven(const ServerSpec& server);
// FailedPrecondition for any of them.
Status CheckGiven(const std::vector<std::string>& not_given);
// Why variables and files of secrets can't be given to a container that is made so; "" when they can.
std::string WhyNoSecrets(const CreateContext& context);

// One container with our labels, as far as GET /containers/json tells; what only inspect knows is still empty.
struct ListedContainer {
  std::string container_id;
  InstanceReport report;
  bool leaving = false;  // the engine removes it, or gave up removing it: nothing of it runs or ever will
};
// Containers that carry the node's label but not a whole set of ours are left out: somebody else's.
StatusOr<std::vector<ListedContainer>> ParseContainerList(std::string_view body, std::string_view node);

// What inspect tells: all of the report, and more.
struct InspectedContainer {
  std::string container_id;
  std::string node;  // label
  InstanceReport report;
  bool dead = false, leaving = false;
  int64_t log_max_bytes = 0;  // of the log that we keep of an attached server; 0: the label is missing
  int log_max_files = 0;
  std::string start_error;  // why the engine could not start it, "" when it could
  // Between the output of this incarnation and that of the one before; WallTime{} when there was none before.
  WallTime previous_end{};
};
StatusOr<InspectedContainer> ParseInspect(std::string_view body);

// RFC 3339 with fraction and any offset; the zero time of Go is WallTime{}.
WallTime ParseEngineTime(std::string_view text);

// --- images ---
// "repo:tag", "repo@digest", "repo" -> the two parameters of POST /images/create. No tag means latest: without one the
// engine would pull all of them.
struct ImageReference {
  std::string from, tag;
};
ImageReference ParseImageReference(std::string_view ref);
StatusOr<Artifact> ParseImage(std::string_view body);
struct ListedImage {
  std::string id;
  int64_t size_bytes = 0;
};
StatusOr<std::vector<ListedImage>> ParseImageList(std::string_view body);

// --- events, statistics, errors ---
// What a line of GET /events tells of an instance; nullopt for other things.
struct EngineEvent {
  std::string instance, container_id, action;
  WallTime time{};
};
std::optional<EngineEvent> ParseEvent(std::string_view line);
// The engine hears of an out-of-memory kill and of the end it brings on two ways, and keeps State.OOMKilled only when
// the former was first; its event "oom" comes all the same. Sets `report->exit->oom` when an event of `oom_at` explains
// the end of this incarnation.
void AmendOom(WallTime oom_at, InstanceReport* report);
StatusOr<InstanceUsage> ParseStats(std::string_view body);
// The engine's {"message": …} with the code that fits its status; OK below 300 and for 304.
Status StatusOfEngine(int http_status, std::string_view body, std::string_view what);

}  // namespace mcpfleet
