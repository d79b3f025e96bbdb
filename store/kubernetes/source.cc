#include "store/kubernetes/source.h"

#include <utility>

#include <nlohmann/json.hpp>

#include "base/fd.h"
#include "base/log.h"

namespace mcpfleet::kube {
namespace {

InformerOptions Collection(const char* path) { return {.path = path, .reflector = {}}; }

// So often a collection is refused before a node that knows nothing of it does without: one refusal may be a role that
// is being written, or an API server that has just come up.
constexpr int kRefusalsBelieved = 3;

}  // namespace

InformerOptions Source::Optional(const char* path, const std::string& name, Refusal* refusal,
                                 void (Registry::*take)(const std::vector<Change>&)) {
  InformerOptions options{.path = path, .reflector = {}};
  if (!name.empty()) options.reflector.field_selector = "metadata.name=" + name;
  options.on_refused = [this, refusal, take](const Status& refused) {
    if (refused.code() == StatusCode::kNotFound) {
      if (!refusal->absent.exchange(true)) (registry_.*take)({});
    } else {
      ++refusal->forbidden;
      Wake();
    }
  };
  return options;
}

bool Source::Settled(const Informer& informer, const Refusal& refusal) {
  return Answered(informer, refusal) || refusal.forbidden >= kRefusalsBelieved;
}

ElectorOptions Source::ElectorFor() {
  ElectorOptions options = options_.elector;
  options.node = options_.node;
  options.core_node = [this] { return registry_.SawCoreNode() ? options_.core_node : ""; };
  return options;
}

NodeWriterOptions Source::ShownAs() {
  NodeWriterOptions options = options_.shown;
  options.node = options_.node;
  options.core_node = options_.core_node;
  // Once the API server has shown it: what the disk remembers may be a Node of before.
  options.core_uid = [this]() -> std::optional<std::string> {
    if (!Settled(core_node_, core_node_refused_)) return std::nullopt;
    if (!registry_.SawCoreNode()) return "";
    return GetString(GetMember(registry_.Nodes().core_node, "metadata"), "uid");
  };
  return options;
}

Source::Source(Cluster cluster, SourceOptions options, const Clock& clock, OnState on_state)
    : options_(std::move(options)),
      clock_(clock),
      on_state_(std::move(on_state)),
      rest_(std::move(cluster), options_.user_agent),
      registry_([this] { OnRegistry(); }),
      status_(rest_, registry_, clock, {.node = options_.node, .looked = options_.looked}),
      merger_(rest_, registry_, clock, options_.seed, ElectorFor(), [this] { return servers_.synced(); }),
      events_(rest_, registry_, clock, options_.seed + 1, {.node = options_.node}),
      node_writer_(rest_, clock, ShownAs()),
      core_secrets_(rest_, clock, options_.seed + 100, [this] { Wake(); }),
      servers_(rest_, clock, options_.seed + 2, Collection(kServersPath),
               [this](const std::vector<Change>& changes) { registry_.TakeServers(changes); }),
      secrets_(rest_, clock, options_.seed + 3, Optional(kSecretsPath, "", &secrets_refused_, &Registry::TakeSecrets),
               [this](const std::vector<Change>& changes) { registry_.TakeSecrets(changes); }),
      core_node_(rest_, clock, options_.seed + 4,
                 Optional(kCoreNodesPath, options_.core_node, &core_node_refused_, &Registry::TakeCoreNode),
                 [this](const std::vector<Change>& changes) { registry_.TakeCoreNode(changes); }),
      mcp_node_(rest_, clock, options_.seed + 5,
                Optional(kNodesPath, options_.node, &mcp_node_refused_, &Registry::TakeMcpNode),
                [this](const std::vector<Change>& changes) { registry_.TakeMcpNode(changes); }),
      state_(std::make_shared<const ClusterState>()) {}

Source::~Source() { Stop(); }

StatusOr<std::unique_ptr<Source>> Source::Open(Cluster cluster, SourceOptions options, const Clock& clock,
                                               OnState on_state) {
  RETURN_IF_ERROR(MakeDirectories(options.directory, 0700));
  std::unique_ptr<Source> source(new Source(std::move(cluster), std::move(options), clock, std::move(on_state)));
  StatusOr<CachedCluster> cached = LoadCluster(source->CachePath());
  if (cached.ok()) {
    auto state = std::make_shared<ClusterState>();
    state->known = true;
    state->changed_at = clock.Now();
    state->objects = cached->objects;
    for (const SecretName& name : CoreSecretsOf(state->objects)) state->core_secrets.try_emplace(name);
    source->registry_.Remember(cached->nodes.core_node, cached->nodes.mcp_node);
    source->kept_ = *std::move(cached);
    MutexLock lock(&source->mu_);
    source->state_ = std::move(state);
  } else if (cached.status().code() != StatusCode::kNotFound) {
    LOG_WARNING("the cached objects of Kubernetes can't be used; what runs goes on until the API server answers",
                {{"error", cached.status()}});
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
  node_writer_.Start();
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
  node_writer_.Stop();
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
  const Registry::NodeObjects nodes = registry_.Nodes();
  const auto stale = [](const Informer& informer, const Refusal& refusal, const Json& object) {
    return !Answered(informer, refusal) && refusal.forbidden > 0 && !object.is_null();
  };
  const std::string said = "what was known of this node before stands: ";
  if (stale(core_node_, core_node_refused_, nodes.core_node)) return said + core_node_.problem();
  if (stale(mcp_node_, mcp_node_refused_, nodes.mcp_node)) return said + mcp_node_.problem();
  return "";
}

std::shared_ptr<const ClusterState> Source::Look() {
  const std::shared_ptr<const ClusterState> before = state();
  const bool heard = servers_.synced() && Settled(secrets_, secrets_refused_) &&
                     Settled(core_node_, core_node_refused_) && Settled(mcp_node_, mcp_node_refused_);
  auto next = std::make_shared<ClusterState>(*before);
  if (heard) {
    next->known = true;
    const Resources secrets = registry_.Secrets();
    next->objects = PlaceObjects(registry_.Servers(), Answered(secrets_, secrets_refused_) ? &secrets : nullptr,
                                 registry_.Node(options_.node), *before);
    // Before it is published: a restart must not show an older state than was run.
    Keep(*next);
  }
  core_secrets_.Want(CoreSecretsOf(next->objects));
  next->core_secrets = core_secrets_.Current();
  if (next->SameAs(*before)) return nullptr;
  next->changed_at = clock_.Now();
  return next;
}

void Source::Keep(const ClusterState& state) {
  CachedCluster cluster{.objects = state.objects, .nodes = registry_.Nodes()};
  if (kept_ && kept_->objects == cluster.objects && kept_->nodes == cluster.nodes) return;
  if (const Status saved = SaveCluster(CachePath(), cluster); !saved.ok())
    LOG_WARNING("the objects of Kubernetes could not be kept on disk", {{"error", saved}});
  kept_ = std::move(cluster);
}

void Source::Publish(const std::shared_ptr<const ClusterState>& next) {
  {
    MutexLock lock(&mu_);
    state_ = next;
  }
  on_state_(*next);
}

void Source::Run() {
  on_state_(*state());
  for (;;) {
    if (std::shared_ptr<const ClusterState> next = Look(); next != nullptr) Publish(next);
    MutexLock lock(&mu_);
    while (!stopping_ && !woken_) wake_.Wait(&mu_);
    woken_ = false;
    if (stopping_) return;
  }
}

}  // namespace mcpfleet::kube
