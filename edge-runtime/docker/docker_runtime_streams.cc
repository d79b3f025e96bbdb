// What flows from the engine: events, logs, usage.
#include <algorithm>
#include <cinttypes>
#include <cstdio>

#include "base/json.h"
#include "base/strings.h"
#include "edge-runtime/docker/docker_frames.h"
#include "edge-runtime/docker/docker_log_tail.h"
#include "edge-runtime/docker/docker_runtime.h"

namespace mcpfleet {
namespace {

constexpr size_t kEventBytes = size_t{1} << 20;

// exec_* is left out: health-check execs of other tools would flood the stream.
std::string EventFilter(const std::string& node) {
  return PercentEncode(DumpJson(
      {{"type", {"container"}},
       {"label", {std::string(kDockerLabelNode) + "=" + node}},
       {"event",
        {"create", "start", "die", "oom", "stop", "kill", "pause", "unpause", "restart", "rename", "destroy"}}}));
}

// The engine's `since` and `until`: seconds with a nanosecond fraction.
std::string EngineSeconds(WallTime time) {
  const int64_t ns = time.time_since_epoch().count();
  char text[48];
  snprintf(text, sizeof text, "%" PRId64 ".%09" PRId64, ns / 1'000'000'000, ns % 1'000'000'000);
  return text;
}

}  // namespace

Status DockerRuntime::WatchEvents(std::function<void(const std::string& id)> changed, std::stop_token stop,
                                  Deadline deadline) {
  ASSIGN_OR_RETURN(auto stream, OpenStream("GET", "/events?filters=" + EventFilter(options_.node_name), deadline));
  const std::stop_callback cancel(stop, [&stream] { stream->Cancel(); });
  changed("");  // whatever happened before the stream stood
  std::string rest;
  for (;;) {
    StatusOr<std::string> bytes = stream->Read(deadline);
    if (stop.stop_requested()) return OkStatus();
    if (bytes.status().code() == StatusCode::kDeadlineExceeded) {
      return DeadlineExceeded("the event stream has reached its deadline");
    }
    if (!bytes.ok() || bytes->empty()) ForgetEngine();  // it may come back as another, with other settings
    if (!bytes.ok()) return Annotate(bytes.status(), "docker event stream");
    if (bytes->empty()) return Unavailable("docker event stream: the engine closed it");
    rest += *bytes;
    size_t begin = 0;
    for (size_t end; (end = rest.find('\n', begin)) != std::string::npos; begin = end + 1) {
      const std::optional<EngineEvent> event = ParseEvent(std::string_view(rest).substr(begin, end - begin));
      if (!event) continue;
      if (event->action == "oom") {
        MutexLock lock(&mu_);
        oom_[event->container_id] = event->time;
      }
      changed(event->instance);
    }
    rest.erase(0, begin);
    if (rest.size() > kEventBytes) return Unavailable("docker event stream: an event of more than 1 MiB");
  }
  return OkStatus();
}

StatusOr<std::vector<InstanceUsage>> DockerRuntime::Usage(Deadline deadline) {
  // Asked for each minute, so the engine is not, as long as the kernel tells.
  bool listed = false;
  {
    MutexLock lock(&mu_);
    listed = listed_;
  }
  if (!listed) RETURN_IF_ERROR(List(deadline).status());
  std::vector<std::pair<std::string, std::string>> running;
  {
    MutexLock lock(&mu_);
    for (const auto& [container, known] : running_) running.emplace_back(known.instance, known.cgroups);
  }
  std::vector<InstanceUsage> all;
  for (const auto& [instance, cgroups] : running) {
    StatusOr<InstanceUsage> usage = UsageOfCgroups(cgroups, options_.kernel);
    if (!usage.ok()) {
      // The engine is elsewhere, our cgroup namespace hides it, or it has ended.
      ASSIGN_OR_RETURN(const std::optional<InstanceReport> report, Look(instance, deadline));
      if (!report || report->state != InstanceState::kRunning) continue;
      ASSIGN_OR_RETURN(
          http::Response response,
          Call("GET", "/containers/" + ContainerName(instance) + "/stats?stream=false&one-shot=true", deadline));
      if (response.status == 404) continue;
      RETURN_IF_ERROR(StatusOfEngine(response.status, response.body, "usage of " + instance));
      usage = ParseStats(response.body);
      RETURN_IF_ERROR(usage.status());
    }
    usage->id = instance;
    all.push_back(*std::move(usage));
  }
  return all;
}

Status DockerRuntime::Logs(const std::string& id, const LogOptions& options, std::function<bool(std::string_view)> sink,
                           Deadline deadline) {
  ASSIGN_OR_RETURN(InspectedContainer container, Find(id, deadline));
  if (!container.report.attached.empty() && options_.attachments != nullptr)
    return options_.attachments->Logs(id, options, sink, deadline);
  // The engine's file goes on over restarts of a container.
  std::string query = "?stderr=1&timestamps=1";
  if (container.report.shim) query += "&stdout=1";  // without the shim stdout is the MCP protocol
  if (options.follow && !options.previous) query += "&follow=1";
  if (options.tail_lines >= 0) query += "&tail=" + std::to_string(options.tail_lines);
  WallTime since = options.since.value_or(WallTime{});
  if (options.previous) {
    if (container.previous_end == WallTime{}) return OkStatus();  // there was none
    query += "&until=" + EngineSeconds(container.previous_end);
  } else {
    since = std::max(since, container.previous_end);
  }
  if (since > WallTime{}) query += "&since=" + EngineSeconds(since);
  ASSIGN_OR_RETURN(auto stream, OpenStream("GET", "/containers/" + container.container_id + "/logs" + query, deadline));
  DockerFrameReader frames;
  DockerLogLines lines;
  const auto deliver = [&] {
    std::string line;
    while (lines.Next(&line)) {
      if (!sink(line)) return false;
    }
    return true;
  };
  for (;;) {
    ASSIGN_OR_RETURN(std::string bytes, stream->Read(deadline));
    if (bytes.empty()) break;
    RETURN_IF_ERROR(frames.Feed(bytes));
    DockerFrame frame;
    while (frames.Next(&frame)) lines.Feed(frame);
    if (!deliver()) return OkStatus();
  }
  lines.Finish();
  deliver();
  return OkStatus();
}

StatusOr<std::unique_ptr<LogTail>> DockerRuntime::OpenTail(const std::string& instance, const TailFrom& from,
                                                           Deadline deadline) {
  ASSIGN_OR_RETURN(InspectedContainer container, Find(instance, deadline));
  if (!container.report.attached.empty() && options_.attachments != nullptr)
    return options_.attachments->OpenTail(instance, from);
  std::string path = "/containers/" + container.container_id + "/logs?stderr=1&timestamps=1&follow=1";
  if (container.report.shim) path += "&stdout=1";  // without the shim stdout is the MCP protocol
  const auto open = [this, path](const std::string& since, Deadline opening) {
    const StatusOr<WallTime> from_time = ParseTime(since);
    return OpenStream("GET", from_time.ok() ? path + "&since=" + EngineSeconds(*from_time) : path, opening);
  };
  return std::make_unique<DockerLogTail>(open, from);
}

}  // namespace mcpfleet
