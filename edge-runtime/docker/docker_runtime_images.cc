// Images: pull, read the configuration, collect under the quota.
#include "base/log.h"
#include "base/strings.h"
#include "edge-runtime/docker/docker_pull.h"
#include "edge-runtime/docker/docker_runtime.h"
#include "edge-runtime/engine/registry_auth.h"

namespace mcpfleet {
namespace {

constexpr Duration kProgressPeriod = std::chrono::milliseconds(300);

}  // namespace

StatusOr<std::optional<Artifact>> DockerRuntime::FindImage(const std::string& ref, Deadline deadline) {
  ASSIGN_OR_RETURN(http::Response response, Call("GET", "/images/" + PercentEncode(ref) + "/json", deadline));
  if (response.status == 404) return std::optional<Artifact>();
  RETURN_IF_ERROR(StatusOfEngine(response.status, response.body, "image \"" + ref + "\""));
  ASSIGN_OR_RETURN(Artifact artifact, ParseImage(response.body));
  return std::optional<Artifact>(std::move(artifact));
}

Status DockerRuntime::PullImage(const std::string& ref, const SecretText& registry_auth,
                                const std::function<void(const PullProgress&)>& progress, Deadline deadline) {
  const ImageReference image = ParseImageReference(ref);
  auto opened =
      OpenStream("POST", "/images/create?fromImage=" + PercentEncode(image.from) + "&tag=" + PercentEncode(image.tag),
                 deadline, registry_auth);
  if (!opened.ok()) {
    // Some registries' "no" reaches us as a failure of the engine.
    const std::string message = Message(opened.status());
    return MeansMissingImage(message) ? NotFound(message) : opened.status();
  }
  const std::unique_ptr<http::ResponseStream> stream = *std::move(opened);
  DockerPullProgress lines;
  MonoTime next_report = clock_.Now();
  for (;;) {
    ASSIGN_OR_RETURN(std::string bytes, stream->Read(deadline));
    if (bytes.empty()) break;
    RETURN_IF_ERROR(lines.Feed(bytes));
    if (progress && clock_.Now() >= next_report) {
      progress(lines.Current());
      next_report = clock_.Now() + kProgressPeriod;
    }
  }
  RETURN_IF_ERROR(lines.Feed("\n"));
  if (progress) progress(lines.Current());
  return OkStatus();
}

StatusOr<Artifact> DockerRuntime::Pull(const ServerSpec& spec, std::function<void(const PullProgress&)> progress,
                                       Deadline deadline) {
  return PullAs({}, spec, std::move(progress), deadline);
}

StatusOr<Artifact> DockerRuntime::PullAs(const RegistryCredentials& credentials, const ServerSpec& spec,
                                         std::function<void(const PullProgress&)> progress, Deadline deadline) {
  const auto* source = std::get_if<ImageSource>(&spec.source);
  if (source == nullptr) return InvalidArgument("spec.source: the Docker runtime runs images only");
  const std::string& ref = source->ref;
  const std::string what = "image \"" + ref + "\"";
  ASSIGN_OR_RETURN(std::optional<Artifact> present, FindImage(ref, deadline));
  if (present && source->pull_policy != PullPolicy::kAlways) return *present;
  if (source->pull_policy == PullPolicy::kNever) {
    return NotFound(what +
                    " is not on this node and pullPolicy is Never: load it (docker load, docker import) or set "
                    "pullPolicy: IfNotPresent");
  }
  SecretText registry_auth;
  if (!credentials.empty()) {
    ASSIGN_OR_RETURN(registry_auth, RegistryAuthHeader(credentials, ref));
  }
  if (Status pulled = PullImage(ref, registry_auth, progress, deadline); !pulled.ok()) {
    if (pulled.code() == StatusCode::kNotFound) {
      return Annotate(
          pulled, what + " could not be pulled: check spec.source.image.ref and that this node may read its registry");
    }
    return Annotate(pulled, what + " could not be pulled");
  }
  ASSIGN_OR_RETURN(std::optional<Artifact> artifact, FindImage(ref, deadline));
  if (!artifact) return Unavailable(what + " was pulled and is gone again");
  if (!present || present->digest != artifact->digest) {
    const Status saved = pulled_.Remember({artifact->digest, ref, FormatTime(clock_.Wall())});
    if (!saved.ok()) LOG_WARNING("list of pulled images not saved", {{"error", saved}});
  }
  return *artifact;
}

StatusOr<std::vector<ListedImage>> DockerRuntime::ListImages(Deadline deadline) {
  ASSIGN_OR_RETURN(http::Response response, Call("GET", "/images/json", deadline));
  RETURN_IF_ERROR(StatusOfEngine(response.status, response.body, "list images"));
  return ParseImageList(response.body);
}

StatusOr<int64_t> DockerRuntime::ArtifactBytes(Deadline deadline) {
  const std::vector<PulledImage> ours = pulled_.List();
  if (ours.empty()) return int64_t{0};
  ASSIGN_OR_RETURN(std::vector<ListedImage> present, ListImages(deadline));
  return ImageBytes(ours, present);
}

Status DockerRuntime::CollectArtifacts(const std::vector<std::string>& keep, int64_t quota_bytes, Deadline deadline) {
  ASSIGN_OR_RETURN(std::vector<ListedContainer> containers, ListContainers(deadline));
  for (const ListedContainer& container : containers) {
    if (!container.leaving) continue;
    KillLost(container.container_id, container.report.id);
    Call("DELETE", "/containers/" + PercentEncode(container.container_id) + "?force=1&v=1", deadline).IgnoreError();
  }
  const std::vector<PulledImage> ours = pulled_.List();
  if (ours.empty()) return OkStatus();
  ASSIGN_OR_RETURN(std::vector<ListedImage> present, ListImages(deadline));
  std::vector<std::string> gone;
  Status first_error;
  for (const std::string& id : ImagesToRemove(ours, present, keep, quota_bytes)) {
    // Without force: the engine refuses (409) what any container uses or what somebody tagged another time.
    StatusOr<http::Response> answer = Call("DELETE", "/images/" + PercentEncode(id), deadline);
    if (!answer.ok()) {
      first_error = answer.status();
      break;
    }
    if (answer->status < 300 || answer->status == 404) {
      LOG_INFO("image removed to stay under the quota", {{"image", id}});
      gone.push_back(id);
    } else if (answer->status != 409 && first_error.ok()) {
      first_error = StatusOfEngine(answer->status, answer->body, "remove image " + id);
    }
  }
  const Status saved = pulled_.Forget(gone);
  return first_error.ok() ? saved : first_error;
}

}  // namespace mcpfleet
