#include "edge-runtime/docker/docker_pull.h"

#include <algorithm>

#include "base/json.h"
#include "base/strings.h"

namespace mcpfleet {
namespace {

constexpr size_t kLineBytes = size_t{1} << 20;
constexpr size_t kLayers = 1024;  // real images have at most 127
constexpr int64_t kMaxBytes = int64_t{1} << 44;

}  // namespace

bool MeansMissingImage(std::string_view message) {
  const std::string lower = ToLower(message);
  for (std::string_view sign :
       {"not found", "manifest unknown", "does not exist", "access denied", "no matching manifest"}) {
    if (lower.find(sign) != std::string::npos) return true;
  }
  return false;
}

Status DockerPullProgress::Feed(std::string_view bytes) {
  while (!bytes.empty()) {
    const size_t newline = bytes.find('\n');
    rest_.append(bytes.substr(0, newline));
    if (rest_.size() > kLineBytes) return Unavailable("pull: a progress line of more than 1 MiB");
    if (newline == std::string_view::npos) return OkStatus();
    bytes.remove_prefix(newline + 1);
    const std::string line = std::exchange(rest_, {});
    RETURN_IF_ERROR(Line(Trim(line)));
  }
  return OkStatus();
}

Status DockerPullProgress::Line(std::string_view line) {
  if (line.empty()) return OkStatus();
  StatusOr<Json> json = ParseJson(line, {.bytes = kLineBytes, .depth = 8});
  if (!json.ok() || !json->is_object()) return OkStatus();  // progress is decoration; only errors matter
  std::string error = GetString(*json, "error");
  if (error.empty()) error = GetString(GetMember(*json, "errorDetail"), "message");
  if (!error.empty()) {
    error = Printable(error, 500);
    return MeansMissingImage(error) ? NotFound(error) : Unavailable(error);
  }
  const std::string id = GetString(*json, "id"), status = GetString(*json, "status");
  const Json& detail = GetMember(*json, "progressDetail");
  if (status == "Downloading" && (layers_.size() < kLayers || layers_.contains(id))) {
    Layer& layer = layers_[id];
    layer.total = std::clamp(GetInt(detail, "total"), layer.total, kMaxBytes);
    layer.done = std::clamp(GetInt(detail, "current"), layer.done, kMaxBytes);
    phase_ = "downloading";
  } else if (status == "Download complete" || status == "Pull complete") {
    if (auto it = layers_.find(id); it != layers_.end()) it->second.done = it->second.total;
  } else if (status == "Extracting") {
    phase_ = "installing";
  }
  return OkStatus();
}

PullProgress DockerPullProgress::Current() const {
  PullProgress progress{.phase = phase_};
  for (const auto& [id, layer] : layers_) {
    progress.done_bytes += layer.done;
    progress.total_bytes += layer.total;
  }
  return progress;
}

}  // namespace mcpfleet
