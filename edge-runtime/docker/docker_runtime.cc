#include "edge-runtime/docker/docker_runtime.h"

#include <unistd.h>

#include <algorithm>
#include <set>

#include "base/fd.h"
#include "base/json.h"
#include "base/log.h"
#include "base/strings.h"
#include "edge-runtime/docker/stdio_path.h"

namespace mcpfleet {
namespace {

// How long a server may take to end by itself once its input ended; within its grace.
constexpr Duration kInputEndPatience = std::chrono::seconds(2);

std::string LabelFilter(const std::string& node) {
  return PercentEncode(DumpJson({{"label", {std::string(kDockerLabelNode) + "=" + node}}}));
}

std::string ContainerPath(std::string_view container) { return "/containers/" + PercentEncode(container); }

// The engine's `t` is whole seconds; less than was promised would cut a server's clean end short.
int64_t WholeSeconds(Duration grace) {
  return std::max<int64_t>(0, std::chrono::ceil<std::chrono::seconds>(grace).count());
}

}  // namespace

StatusOr<std::unique_ptr<DockerRuntime>> DockerRuntime::Create(DockerOptions options, const Clock& clock) {
  options.socket_path = SocketPath(options.socket_path);
  if (options.socket_path.empty() || options.socket_path[0] != '/') {
    return InvalidArgument("docker: socket path \"" + options.socket_path +
                           "\" must be absolute, for example /var/run/docker.sock");
  }
  if (options.node_name.empty()) return InvalidArgument("docker: the node's name is empty");
  if (!options.shim_binary.empty() && options.shim_binary[0] != '/') {
    return InvalidArgument("docker: shim binary \"" + options.shim_binary + "\" must be an absolute path");
  }
  return std::unique_ptr<DockerRuntime>(new DockerRuntime(std::move(options), clock));
}

DockerRuntime::DockerRuntime(DockerOptions options, const Clock& clock)
    : options_(std::move(options)),
      clock_(clock),
      client_(http::UnixEndpoint(options_.socket_path), {}),
      pulled_(options_.state_directory.empty() ? "" : options_.state_directory + "/pulled-images.json"),
      attach_(options_.attachments == nullptr ? "" : options_.attach) {}

bool DockerRuntime::Supports(const ServerSpec& spec) const { return std::holds_alternative<ImageSource>(spec.source); }

// --- talking to the engine ---

StatusOr<DockerRuntime::Engine> DockerRuntime::Connect(Deadline deadline) {
  {
    MutexLock lock(&mu_);
    if (engine_) return *engine_;
  }
  return Meet(deadline);
}

StatusOr<std::string> DockerRuntime::AskItself(const std::string& target, Deadline deadline) {
  const std::string what = "docker engine at " + options_.socket_path;
  ++requests_;
  StatusOr<http::Response> response = client_.Do({.method = "GET", .target = target}, deadline);
  if (!response.ok()) return Annotate(response.status(), what);
  RETURN_IF_ERROR(StatusOfEngine(response->status, response->body, what));
  return std::move(response->body);
}

StatusOr<DockerRuntime::Engine> DockerRuntime::Meet(Deadline deadline) {
  Engine engine;
  ASSIGN_OR_RETURN(engine.says, AskItself("/version", deadline));
  {
    MutexLock lock(&mu_);
    if (engine_ && engine_->says == engine.says) return *engine_;
  }
  ASSIGN_OR_RETURN(engine.version, ParseVersion(engine.says));
  ASSIGN_OR_RETURN(std::string api, NegotiateApi(engine.version));
  engine.prefix = "/v" + api;
  ASSIGN_OR_RETURN(std::string info, AskItself(engine.prefix + "/info", deadline));
  engine.unenforced = ParseUnenforced(info);
  MutexLock lock(&mu_);
  engine_ = engine;
  return engine;
}

void DockerRuntime::ForgetEngine() {
  MutexLock lock(&mu_);
  engine_.reset();
}

StatusOr<http::Response> DockerRuntime::Call(std::string_view method, const std::string& path, Deadline deadline,
                                             const Json* body) {
  ASSIGN_OR_RETURN(Engine engine, Connect(deadline));
  http::Request request{.method = std::string(method), .target = engine.prefix + path};
  if (body != nullptr) {
    request.headers.Set("Content-Type", "application/json");
    request.body = DumpJson(*body);
  }
  ++requests_;
  StatusOr<http::Response> response = client_.Do(request, deadline);
  // An engine that went away may come back as another version.
  if (response.status().code() == StatusCode::kUnavailable) ForgetEngine();
  if (!response.ok()) return Annotate(response.status(), "docker engine at " + options_.socket_path);
  return response;
}

StatusOr<std::unique_ptr<http::ResponseStream>> DockerRuntime::OpenStream(std::string_view method,
                                                                          const std::string& path, Deadline deadline,
                                                                          const SecretText& registry_auth) {
  ASSIGN_OR_RETURN(Engine engine, Connect(deadline));
  ++requests_;
  http::Request request{.method = std::string(method), .target = engine.prefix + path};
  if (!registry_auth.empty()) request.headers.Set("X-Registry-Auth", std::string(registry_auth.view()));
  auto stream = client_.Open(request, deadline);
  if (!stream.ok()) return Annotate(stream.status(), "docker engine at " + options_.socket_path);
  if ((*stream)->head().status < 300) return stream;
  StatusOr<std::string> message = (*stream)->Read(deadline);
  return StatusOfEngine((*stream)->head().status, message.ok() ? *message : "", path.substr(0, path.find('?')));
}

RuntimeCheck DockerRuntime::Check(Deadline deadline) {
  // What it says now, not what it said once; calls beside this go on with the latter.
  StatusOr<Engine> engine = Meet(deadline);
  if (!engine.ok()) {
    ForgetEngine();
    return {.available = false,
            .reason = Message(engine.status()) + "; is the engine running, and may this user open its socket?"};
  }
  return {.available = true, .version = engine->version.engine, .unenforced = engine->unenforced};
}

// --- list ---

StatusOr<std::vector<ListedContainer>> DockerRuntime::ListContainers(Deadline deadline) {
  ASSIGN_OR_RETURN(http::Response response,
                   Call("GET", "/containers/json?all=1&filters=" + LabelFilter(options_.node_name), deadline));
  RETURN_IF_ERROR(StatusOfEngine(response.status, response.body, "list containers"));
  return ParseContainerList(response.body, options_.node_name);
}

bool DockerRuntime::FillInFromCache(ListedContainer& container) {
  Running known;
  {
    MutexLock lock(&mu_);
    auto it = running_.find(container.container_id);
    if (it == running_.end()) return false;
    known = it->second;
  }
  // The same process lives, so nothing that inspect would say has changed.
  StatusOr<std::string> ticks = ProcessStartTicks(known.pid, options_.kernel);
  if (!ticks.ok() || *ticks != known.start_ticks) return false;
  container.report.pid = known.pid;
  container.report.created_at = known.created_at;
  container.report.started_at = known.started_at;
  return true;
}

Status DockerRuntime::FillIn(ListedContainer& container, Deadline deadline) {
  InstanceReport& report = container.report;
  if (report.state == InstanceState::kCreated) return OkStatus();
  if (report.state == InstanceState::kRunning && FillInFromCache(container)) return OkStatus();
  ASSIGN_OR_RETURN(http::Response response, Call("GET", ContainerPath(container.container_id) + "/json", deadline));
  RETURN_IF_ERROR(StatusOfEngine(response.status, response.body, "inspect " + report.id));
  ASSIGN_OR_RETURN(InspectedContainer inspected, ParseInspect(response.body));
  report = std::move(inspected.report);  // newer than the list's
  NoteInspected(container.container_id, &report);
  return OkStatus();
}

void DockerRuntime::NoteInspected(const std::string& container_id, InstanceReport* report) {
  if (report->state == InstanceState::kExited) {
    MutexLock lock(&mu_);
    if (auto it = oom_.find(container_id); it != oom_.end()) AmendOom(it->second, report);
  }
  if (report->state != InstanceState::kRunning) return;
  // Neither is known of a process that is not here.
  std::string ticks = ProcessStartTicks(report->pid, options_.kernel).value_or("");
  std::string cgroups = CgroupsOf(report->pid, options_.kernel).value_or("");
  if (cgroups.find(container_id) == std::string::npos) cgroups.clear();  // another process that has its number here
  MutexLock lock(&mu_);
  running_[container_id] = {report->id,  std::move(ticks),   std::move(cgroups),
                            report->pid, report->created_at, report->started_at};
}

StatusOr<std::vector<InstanceReport>> DockerRuntime::List(Deadline deadline) {
  ASSIGN_OR_RETURN(std::vector<ListedContainer> containers, ListContainers(deadline));
  std::vector<InstanceReport> reports;
  std::set<std::string> seen;
  for (ListedContainer& container : containers) {
    if (container.leaving) continue;  // CollectArtifacts tries again to be rid of it; nothing waits for that
    const Status status = FillIn(container, deadline);
    if (status.code() == StatusCode::kNotFound) continue;  // removed since the list
    RETURN_IF_ERROR(status);
    seen.insert(container.container_id);
    reports.push_back(std::move(container.report));
  }
  std::sort(reports.begin(), reports.end(), [](const auto& a, const auto& b) { return a.id < b.id; });
  MutexLock lock(&mu_);
  const auto gone = [&](const auto& entry) { return !seen.contains(entry.first); };
  std::erase_if(running_, gone);
  std::erase_if(oom_, gone);
  listed_ = true;
  return reports;
}

// --- one instance ---

StatusOr<std::optional<InstanceReport>> DockerRuntime::Look(const std::string& id, Deadline deadline) {
  StatusOr<InspectedContainer> container = Find(id, deadline);
  if (container.status().code() == StatusCode::kNotFound) return std::optional<InstanceReport>();
  RETURN_IF_ERROR(container.status());
  if (container->leaving) return std::optional<InstanceReport>();
  NoteInspected(container->container_id, &container->report);
  return std::optional<InstanceReport>(std::move(container->report));
}

StatusOr<InspectedContainer> DockerRuntime::Find(const std::string& id, Deadline deadline) {
  if (!IsInstanceId(id)) return InvalidArgument("instance id \"" + Printable(id) + "\" is malformed");
  ASSIGN_OR_RETURN(http::Response response, Call("GET", ContainerPath(ContainerName(id)) + "/json", deadline));
  RETURN_IF_ERROR(StatusOfEngine(response.status, response.body, "instance " + id));
  ASSIGN_OR_RETURN(InspectedContainer container, ParseInspect(response.body));
  if (container.node != options_.node_name || container.report.id != id) {
    return NotFound("instance " + id + ": container " + ContainerName(id) + " is not this node's");
  }
  return container;
}

Status DockerRuntime::Create(const InstanceSpec& spec, Deadline deadline) {
  if (!IsInstanceId(spec.id)) return InvalidArgument("instance id \"" + Printable(spec.id) + "\" is malformed");
  if (!Supports(spec.spec)) return InvalidArgument("spec.source: the Docker runtime runs images only");
  ASSIGN_OR_RETURN(Engine engine, Connect(deadline));
  const std::vector<std::string> without = engine.version.podman ? std::vector<std::string>() : NotGiven(spec.spec);
  if (spec.spec.security.enforcement == Enforcement::kRequired) {
    RETURN_IF_ERROR(CheckEnforceable(engine.unenforced));
    RETURN_IF_ERROR(CheckGiven(without));
  }
  for (const std::string& capability : without) engine.unenforced.push_back("capability " + capability);
  ASSIGN_OR_RETURN(Json body, CreateBody(spec, {.node = options_.node_name,
                                                .shim_binary = options_.shim_binary,
                                                .attach = AttachReason(),
                                                .unenforced = Join(engine.unenforced, ", "),
                                                .podman = engine.version.podman}));
  ASSIGN_OR_RETURN(http::Response response,
                   Call("POST", "/containers/create?name=" + ContainerName(spec.id), deadline, &body));
  if (response.status == 409) {
    StatusOr<InspectedContainer> existing = Find(spec.id, deadline);
    if (existing.ok()) return OkStatus();
    if (existing.status().code() != StatusCode::kNotFound) return existing.status();
    return AlreadyExists("create instance " + spec.id + ": the name " + ContainerName(spec.id) +
                         " is taken by a container of somebody else");
  }
  const bool exist = access(options_.shim_binary.c_str(), X_OK) == 0 && access(spec.shim_directory.c_str(), X_OK) == 0;
  const std::string unseen = response.status < 300 || !AttachReason().empty()
                                 ? ""
                                 : WhyNotMounted(response.body, options_.shim_binary, spec.shim_directory, exist);
  if (!unseen.empty() && options_.attachments != nullptr) {
    SetAttachReason(unseen);
    return Create(spec, deadline);
  }
  return StatusOfEngine(response.status, response.body, "create instance " + spec.id);
}

std::string DockerRuntime::WhyNoSecrets(const ServerSpec&) const {
  return mcpfleet::WhyNoSecrets({.shim_binary = options_.shim_binary, .attach = AttachReason()});
}

std::string DockerRuntime::AttachReason() const {
  MutexLock lock(&mu_);
  return attach_;
}

void DockerRuntime::SetAttachReason(const std::string& reason) {
  LOG_WARNING("no shim can be used with this engine; servers are attached from now on", {{"reason", reason}});
  MutexLock lock(&mu_);
  attach_ = reason;
}

Status DockerRuntime::Attach(const InspectedContainer& container, Deadline deadline) {
  ASSIGN_OR_RETURN(Engine engine, Connect(deadline));
  http::Request request{
      .method = "POST",
      .target = engine.prefix + ContainerPath(container.container_id) + "/attach?stream=1&stdin=1&stdout=1&stderr=1"};
  request.headers.Set("Connection", "Upgrade");
  request.headers.Set("Upgrade", "tcp");
  ++requests_;
  StatusOr<http::Upgraded> connection = client_.Upgrade(request, deadline);
  if (!connection.ok()) return Annotate(connection.status(), "attach to instance " + container.report.id);
  LogSizes sizes;
  if (container.log_max_bytes > 0) sizes = {container.log_max_bytes, container.log_max_files};
  return options_.attachments->Attach(container.report.id, *std::move(connection), sizes);
}

Status DockerRuntime::MatchShim(const std::string& id, Deadline deadline) {
  {
    MutexLock lock(&mu_);
    if (matched_) return OkStatus();
  }
  int before = 0;
  std::string why;
  // Twice: a container that ended in between shows the same as one whose process is elsewhere.
  for (int look = 0; look < 2; ++look) {
    StatusOr<InspectedContainer> container = Find(id, deadline);
    if (!container.ok() || container->report.state != InstanceState::kRunning) return OkStatus();
    const StatusOr<std::string> cgroup =
        ReadFile(options_.kernel.proc + "/" + std::to_string(container->report.pid) + "/cgroup", size_t{64} << 10);
    why = WhyNotMatched(container->report.pid, cgroup.ok() ? std::optional(*cgroup) : std::nullopt,
                        container->container_id);
    if (why.empty()) {
      MutexLock lock(&mu_);
      matched_ = true;
      return OkStatus();
    }
    if (look == 1 && container->report.pid != before) return OkStatus();
    before = container->report.pid;
  }
  return FailedPrecondition(why);
}

Status DockerRuntime::Start(const std::string& id, Deadline deadline) {
  ASSIGN_OR_RETURN(InspectedContainer container, Find(id, deadline));
  if (container.report.state == InstanceState::kRunning) return OkStatus();
  const bool attached = !container.report.attached.empty() && options_.attachments != nullptr;
  // Before it starts, so that nothing it says is missed.
  if (attached) RETURN_IF_ERROR(Attach(container, deadline));
  StatusOr<http::Response> answer = Call("POST", ContainerPath(container.container_id) + "/start", deadline);
  // It may run all the same when the answer was lost: the connection is there for it until the next try.
  RETURN_IF_ERROR(answer.status());
  const http::Response& response = *answer;
  Status started = StatusOfEngine(response.status, response.body, "start instance " + id);
  if (attached && !started.ok()) options_.attachments->Drop(id);
  if (started.ok() && container.report.shim && options_.attachments != nullptr && !options_.shim_binary.empty()) {
    if (const Status matched = MatchShim(id, deadline); !matched.ok()) {
      SetAttachReason(Message(matched));
      RETURN_IF_ERROR(Annotate(Remove(id, deadline), Message(matched)));
      return Annotate(matched, "start instance " + id + " with the shim; the next one is attached");
    }
  }
  // Docker stopped in the middle of a start and lost the task that containerd had made by then: this container can
  // never start again. Without it the next look makes a new one.
  const auto says = [&](std::string_view text) { return response.body.find(text) != std::string::npos; };
  const bool lost = !started.ok() && ((says("task ") && says("already exists")) || says("id already in use"));
  if (lost) RETURN_IF_ERROR(Annotate(Remove(id, deadline), Message(started)));
  return started;
}

Status DockerRuntime::Stop(const std::string& id, Duration grace, Deadline deadline) {
  StatusOr<InspectedContainer> container = Find(id, deadline);
  if (container.status().code() == StatusCode::kNotFound) return OkStatus();
  RETURN_IF_ERROR(container.status());
  if (container->report.state != InstanceState::kRunning) return OkStatus();
  if (!container->report.attached.empty() && options_.attachments != nullptr) {
    // First the polite way: most servers end with their input, and as a first process many ignore SIGTERM.
    const MonoTime begun = clock_.Now();
    options_.attachments->EndInput(id, deadline.AtMost(std::min<Duration>(grace / 2, kInputEndPatience)));
    grace -= std::min<Duration>(grace, clock_.Now() - begun);
  }
  ASSIGN_OR_RETURN(
      http::Response response,
      Call("POST", ContainerPath(container->container_id) + "/stop?t=" + std::to_string(WholeSeconds(grace)),
           deadline));
  if (response.status == 404) return OkStatus();
  return StatusOfEngine(response.status, response.body, "stop instance " + id);
}

Status DockerRuntime::Remove(const std::string& id, Deadline deadline) {
  RETURN_IF_ERROR(RemoveContainer(id, deadline));
  if (options_.attachments != nullptr && IsInstanceId(id)) options_.attachments->Remove(id);
  return OkStatus();
}

Status DockerRuntime::RemoveContainer(const std::string& id, Deadline deadline) {
  StatusOr<InspectedContainer> container = Find(id, deadline);
  if (container.status().code() == StatusCode::kNotFound) return OkStatus();
  RETURN_IF_ERROR(container.status());
  if (container->report.state != InstanceState::kRunning) KillLost(container->container_id, id);
  ASSIGN_OR_RETURN(http::Response response,
                   Call("DELETE", ContainerPath(container->container_id) + "?force=1&v=1", deadline));
  if (response.status == 404) return OkStatus();
  if (response.status == 409) return AwaitRemoval(container->container_id, deadline);  // somebody else is removing it
  Status removed = StatusOfEngine(response.status, response.body, "remove instance " + id);
  if (removed.ok()) return removed;
  // A file system that the engine can't unmount leaves a dead container. It must not keep its server down for ever.
  container = Find(id, deadline);
  if (!container.ok() || !container->dead) return removed;
  KillLost(container->container_id, id);
  LOG_WARNING("the engine could not remove all of a container", {{"instance", id}, {"error", removed}});
  return OkStatus();
}

void DockerRuntime::KillLost(const std::string& container_id, const std::string& instance) const {
  const int lost = KillLostProcesses(container_id, options_.kernel);
  if (lost > 0)
    LOG_WARNING("killed what the engine had lost of a container", {{"instance", instance}, {"processes", lost}});
}

Status DockerRuntime::AwaitRemoval(const std::string& container_id, Deadline deadline) {
  ASSIGN_OR_RETURN(http::Response response,
                   Call("POST", ContainerPath(container_id) + "/wait?condition=removed", deadline));
  if (response.status == 404) return OkStatus();
  return StatusOfEngine(response.status, response.body, "await the removal of a container");
}

}  // namespace mcpfleet
