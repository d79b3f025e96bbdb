#include "edge-runtime/mcplet/status_publisher.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include <nlohmann/json.hpp>

#include "base/digest.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/log.h"
#include "crd/codec.h"

namespace mcpfleet {
namespace {

constexpr Duration kLastWrite = std::chrono::seconds(2);  // nobody waits for longer at the end

}  // namespace

std::string StatusDigest(NodeStatus status) {
  status.heartbeat = {};
  status.sequence = 0;
  for (ServerStatus& server : status.servers) {
    server.restarts.next_attempt_at.reset();
  }
  return Sha256Hex(DumpJson(NodeStatusToJson(status)));
}

std::string StatusMetadata(const NodeStatus& status) {
  int64_t ready = 0;
  for (const ServerStatus& server : status.servers) {
    const Condition* condition = FindCondition(server.conditions, "Ready");
    ready += condition != nullptr && condition->status == ConditionStatus::kTrue ? 1 : 0;
  }
  const Condition* node_ready = FindCondition(status.conditions, "Ready");
  Json row = {{"bootId", status.boot_id},
              {"sequence", status.sequence},
              {"heartbeat", FormatTime(status.heartbeat)},
              {"version", status.version},
              {"head", status.accepted_head},
              {"servers", status.servers.size()},
              {"ready", ready},
              {"state", node_ready == nullptr ? "Unknown" : ToString(node_ready->status)}};
  return DumpJson(row);
}

StatusPublisher::StatusPublisher(KvClient* kv, const Clock& clock, StatusPublisherOptions options)
    : kv_(kv), clock_(clock), options_(std::move(options)) {
  node_.node = options_.node;
  node_.boot_id = options_.boot_id;
  node_.version = options_.version;
}

StatusPublisher::~StatusPublisher() { Stop(); }

void StatusPublisher::Start() {
  if (kv_ == nullptr) return;
  thread_ = std::thread([this] { Run(); });
}

void StatusPublisher::Stop() {
  {
    MutexLock lock(&mu_);
    stopping_ = true;
    wake_.NotifyAll();
  }
  if (thread_.joinable()) thread_.join();
}

void StatusPublisher::Touch() {
  touched_ = true;
  wake_.NotifyAll();
}

void StatusPublisher::Set(const ServerStatus& status) {
  MutexLock lock(&mu_);
  servers_[status.key] = status;
  Touch();
}

void StatusPublisher::Remove(const ServerKey& server) {
  MutexLock lock(&mu_);
  if (servers_.erase(server) != 0) Touch();
}

void StatusPublisher::SetNode(const NodeStatus& node) {
  MutexLock lock(&mu_);
  const auto facts = [](const NodeStatus& n) {
    return std::tie(n.accepted_head, n.snapshot, n.runtimes, n.capacity, n.conditions);
  };
  if (facts(node_) == facts(node)) return;  // a look that found nothing new costs nothing
  node_.accepted_head = node.accepted_head;
  node_.snapshot = node.snapshot;
  node_.runtimes = node.runtimes;
  node_.capacity = node.capacity;
  node_.conditions = node.conditions;
  Touch();
}

void StatusPublisher::Stored(int64_t sequence) {
  MutexLock lock(&mu_);
  stored_ = std::max(stored_, sequence);
  wake_.NotifyAll();
}

void StatusPublisher::PushFailed() {
  MutexLock lock(&mu_);
  push_failed_ = true;
  wake_.NotifyAll();
}

bool StatusPublisher::Push(const NodeStatus& status, const std::string& body, const std::string& metadata,
                           Duration timeout) {
  if (!options_.push) return false;
  {
    MutexLock lock(&mu_);
    push_failed_ = false;
    stored_ = std::min(stored_, status.sequence - 1);  // whatever a store has claimed before
  }
  if (!options_.push(body, metadata)) return false;
  const Deadline deadline = Deadline::After(timeout);
  MutexLock lock(&mu_);
  while (stored_ < status.sequence && !push_failed_ && wake_.WaitUntil(&mu_, deadline)) {
    // News meanwhile are for the next one.
  }
  return stored_ >= status.sequence;
}

NodeStatus StatusPublisher::Current() const {
  MutexLock lock(&mu_);
  NodeStatus status = node_;
  for (const auto& [key, server] : servers_) status.servers.push_back(server);
  status.heartbeat = clock_.Wall();
  return status;
}

void StatusPublisher::Run() {
  std::string written_digest;
  int64_t sequence = 0;
  MonoTime next_refresh = clock_.Now();
  Duration pause = Duration::zero();
  bool last = false;
  while (!last) {
    {
      MutexLock lock(&mu_);
      // First the pause since the last write, then whatever comes next: news, the refresh, the end.
      Deadline quiet = Deadline::After(pause);
      while (!stopping_ && wake_.WaitUntil(&mu_, quiet)) {
      }
      while (!stopping_ && !touched_ && clock_.Now() < next_refresh) {
        wake_.WaitUntil(&mu_, Deadline::After(next_refresh - clock_.Now()));
      }
      touched_ = false;
      last = stopping_;
    }
    NodeStatus status = Current();
    std::string digest = StatusDigest(status);
    if (digest == written_digest && clock_.Now() < next_refresh) {
      pause = Duration::zero();
      continue;
    }
    status.sequence = ++sequence;
    const std::string body = DumpJson(NodeStatusToJson(status)), metadata = StatusMetadata(status);
    const bool pushed = Push(status, body, metadata, last ? kLastWrite : options_.push_timeout);
    Status put = pushed ? OkStatus()
                        : kv_->Put("nodes/" + options_.node, body, {.metadata = metadata},
                                   Deadline::After(last ? kLastWrite : options_.request_timeout));
    if (options_.on_write) options_.on_write(put);
    if (put.ok()) {
      written_digest = digest;
      next_refresh = clock_.Now() + options_.refresh_interval;
      pause = pushed ? options_.push_interval : options_.min_interval;
    } else {
      LOG_WARNING("the status could not be written; it will be tried again", {{"error", put}});
      pause = 2 * options_.min_interval;
      MutexLock lock(&mu_);
      touched_ = true;
    }
  }
}

}  // namespace mcpfleet
