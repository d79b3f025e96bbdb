#include "store/kubernetes/source.h"

#include <utility>

#include "base/fd.h"
#include "base/log.h"

namespace mcpfleet::kube {
namespace {

InformerOptions Collection(const char* path) { return {.path = path, .reflector = {}}; }

// What a cluster may lack, or a role forbid, without harm: the labels of nodes, sealed secrets.
InformerOptions Optional(const char* path, const std::string& name = "") {
  InformerOptions options{.path = path, .reflector = {}, .optional = true};
  if (!name.empty()) options.reflector.field_selector = "metadata.name=" + name;
  return options;
}

ElectorOptions Named(ElectorOptions options, const std::string& node) {
  options.node = node;
  return options;
}

}  // namespace

Source::Source(Cluster cluster, SourceOptions options, const Clock& clock, OnState on_state)
    : options_(std::move(options)),
      clock_(clock),
      on_state_(std::move(on_state)),
      rest_(std::move(cluster), options_.user_agent),
      registry_([this] { OnRegistry(); }),
      status_(rest_, registry_, clock, {.node = options_.node, .looked = options_.looked}),
      merger_(rest_, registry_, clock, options_.seed, Named(options_.elector, options_.node)),
      events_(rest_, registry_, clock, options_.seed + 1, {.node = options_.node}),
      core_secrets_(rest_, clock, options_.seed + 100, [this] { Wake(); }),
      servers_(rest_, clock, options_.seed + 2, Collection(kServersPath),
               [this](const std::vector<Change>& changes) { registry_.TakeServers(changes); }),
      secrets_(rest_, clock, options_.seed + 3, Optional(kSecretsPath),
               [this](const std::vector<Change>& changes) { registry_.TakeSecrets(changes); }),
      core_node_(rest_, clock, options_.seed + 4, Optional(kCoreNodesPath, options_.core_node),
                 [this](const std::vector<Change>& changes) { registry_.TakeCoreNode(changes); }),
      mcp_node_(rest_, clock, options_.seed + 5, Optional(kNodesPath, options_.node),
                [this](const std::vector<Change>& changes) { registry_.TakeMcpNode(changes); }),
      state_(std::make_shared<const ClusterState>()) {}

Source::~Source() { Stop(); }

StatusOr<std::unique_ptr<Source>> Source::Open(Cluster cluster, SourceOptions options, const Clock& clock,
                                               OnState on_state) {
  RETURN_IF_ERROR(MakeDirectories(options.directory, 0700));
  std::unique_ptr<Source> source(new Source(std::move(cluster), std::move(options), clock, std::move(on_state)));
  auto objects = LoadObjects(source->CachePath());
  if (objects.ok()) {
    auto state = std::make_shared<ClusterState>();
    state->known = true;
    state->changed_at = clock.Now();
    state->objects = *std::move(objects);
    for (const SecretName& name : CoreSecretsOf(state->objects)) state->core_secrets.try_emplace(name);
    MutexLock lock(&source->mu_);
    source->state_ = std::move(state);
  } else if (objects.status().code() != StatusCode::kNotFound) {
    LOG_WARNING("the cached objects of Kubernetes can't be used; what runs goes on until the API server answers",
                {{"error", objects.status()}});
  }
  return source;
}

void Source::Start() {
  running_ = true;
  thread_ = std::thread([this] { Run(); });
  servers_.Start();
  secrets_.Start();
  core_node_.Start();
  mcp_node_.Start();
  status_.Start();
  merger_.Start();
  events_.Start();
}

void Source::Stop() {
  if (!running_.exchange(false)) return;
  servers_.Stop();
  secrets_.Stop();
  core_node_.Stop();
  mcp_node_.Stop();
  {
    MutexLock lock(&mu_);
    stopping_ = true;
    wake_.NotifyAll();
  }
  if (thread_.joinable()) thread_.join();
  core_secrets_.Want({});
  merger_.Stop();
  events_.Stop();
  status_.Stop();
}

void Source::Wake() {
  MutexLock lock(&mu_);
  woken_ = true;
  wake_.NotifyAll();
}

void Source::OnRegistry() {
  Wake();
  status_.Wake();
  merger_.Wake();
}

std::shared_ptr<const ClusterState> Source::state() const {
  MutexLock lock(&mu_);
  return state_;
}

std::string Source::problem() const {
  for (const std::string& problem : {servers_.problem(), status_.problem(), secrets_.problem()}) {
    if (!problem.empty()) return problem;
  }
  return "";
}

std::shared_ptr<const ClusterState> Source::Look() {
  const std::shared_ptr<const ClusterState> before = state();
  const bool heard = servers_.synced() && secrets_.synced() && core_node_.synced() && mcp_node_.synced();
  auto next = std::make_shared<ClusterState>(*before);
  if (heard) {
    next->known = true;
    next->objects = PlaceObjects(registry_.Servers(), registry_.Secrets(), registry_.Node(options_.node), *before);
  }
  core_secrets_.Want(CoreSecretsOf(next->objects));
  next->core_secrets = core_secrets_.Current();
  if (next->SameAs(*before)) return nullptr;
  next->changed_at = clock_.Now();
  return next;
}

void Source::Publish(std::shared_ptr<const ClusterState> next) {
  const std::shared_ptr<const ClusterState> before = state();
  if (before->objects != next->objects || before->known != next->known) {
    // Before it is published: a restart must not show an older state than was run.
    if (const Status saved = SaveObjects(CachePath(), next->objects); !saved.ok())
      LOG_WARNING("the objects of Kubernetes could not be kept on disk", {{"error", saved}});
  }
  {
    MutexLock lock(&mu_);
    state_ = next;
  }
  on_state_(*next);
}

void Source::Run() {
  on_state_(*state());
  for (;;) {
    if (std::shared_ptr<const ClusterState> next = Look(); next != nullptr) Publish(std::move(next));
    MutexLock lock(&mu_);
    while (!stopping_ && !woken_) wake_.Wait(&mu_);
    woken_ = false;
    if (stopping_) return;
  }
}

}  // namespace mcpfleet::kube
