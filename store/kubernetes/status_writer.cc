#include "store/kubernetes/status_writer.h"

#include <algorithm>
#include <utility>

#include <nlohmann/json.hpp>

#include "base/log.h"
#include "base/strings.h"
#include "store/kubernetes/status_entry.h"

namespace mcpfleet::kube {
namespace {
constexpr Duration kLastWrites = std::chrono::seconds(2);
// That the controller has looked changes without anybody telling.
constexpr Duration kLook = std::chrono::seconds(5);
}  // namespace

std::string ManagerOf(const std::string& node) { return "mcplet-" + node; }

StatusWriter::StatusWriter(RestClient& rest, const Registry& registry, const Clock& clock, StatusWriterOptions options)
    : rest_(rest),
      registry_(registry),
      clock_(clock),
      options_(std::move(options)),
      budget_(options_.per_second, Duration(std::chrono::seconds(1)) / options_.per_second, clock.Now()) {}

StatusWriter::~StatusWriter() { Stop(); }

void StatusWriter::Start() {
  thread_ = std::thread([this] { Run(); });
}

void StatusWriter::Stop() {
  {
    MutexLock lock(&mu_);
    stopping_ = true;
    wake_.NotifyAll();
  }
  if (thread_.joinable()) thread_.join();
}

void StatusWriter::Wake() {
  MutexLock lock(&mu_);
  woken_ = true;
  wake_.NotifyAll();
}

void StatusWriter::Set(const ServerStatus& status) {
  MutexLock lock(&mu_);
  servers_[status.key] = status;
  woken_ = true;
  wake_.NotifyAll();
}

void StatusWriter::Remove(const ServerKey& server) {
  MutexLock lock(&mu_);
  if (servers_.erase(server) == 0) return;
  woken_ = true;
  wake_.NotifyAll();
}

void StatusWriter::SetTaken(std::set<ServerKey> taken) {
  MutexLock lock(&mu_);
  if (taken == taken_) return;
  taken_ = std::move(taken);
  woken_ = true;
  wake_.NotifyAll();
}

std::string StatusWriter::problem() const {
  MutexLock lock(&mu_);
  return problem_;
}

void StatusWriter::Report(const Status& status) {
  std::string problem = status.ok() ? "" : Message(status);
  {
    MutexLock lock(&mu_);
    if (problem == problem_) return;
    problem_ = problem;
  }
  if (!status.ok()) LOG_WARNING("a status could not be written; it will be tried again", {{"error", status}});
}

std::optional<Json> StatusWriter::Wanted(const ServerKey& key, const Resource& resource) {
  const Json& before = EntryOf(resource.status, options_.node);
  {
    MutexLock lock(&mu_);
    if (taken_.contains(key))
      return resource.deleting ? Json() : TakenEntry(resource, options_.node, before, clock_.Wall());
    auto status = servers_.find(key);
    if (status != servers_.end()) {
      // Of the object before this one, which had the same name: it is on its way out.
      if (status->second.uid != resource.object->metadata.uid) return std::nullopt;
      return EntryFrom(status->second, options_.node);
    }
  }
  const bool ours = !before.is_null() || written_.contains(key);
  if (!ours || !options_.looked()) return std::nullopt;
  return Json();
}

Status StatusWriter::Write(const ServerKey& key, const Resource& resource, const Json& entry, Deadline deadline) {
  StatusOr<Answer> answer =
      rest_.Do({.method = "PATCH",
                .path = ServerPath(key) + "/status",
                .query = "fieldManager=" + PercentEncode(ManagerOf(options_.node)) + "&force=true",
                .content_type = kApplyPatch,
                .body = DumpJson(NodeApply(resource, entry))},
               deadline);
  if (!answer.ok()) return answer.status();
  Status status = StatusOf(*answer, ServerPath(key) + "/status");
  // It is gone: there is nothing to write to, and the watch will tell.
  if (status.code() == StatusCode::kNotFound || status.code() == StatusCode::kAborted) return OkStatus();
  return status;
}

MonoTime StatusWriter::Step(Deadline deadline) {
  MonoTime next = clock_.Now() + kLook;
  const Resources servers = registry_.Servers();
  std::erase_if(written_, [&](const auto& each) { return !servers.contains(each.first); });
  for (const auto& [key, resource] : servers) {
    const std::optional<Json> wanted = Wanted(key, *resource);
    if (!wanted || deadline.Expired()) continue;
    const std::string digest = wanted->is_null() ? "" : DigestOf(*wanted);
    const std::string& uid = resource->object->metadata.uid;
    const auto before = written_.find(key);
    const bool listed = !EntryOf(resource->status, options_.node).is_null();
    if (listed && before != written_.end()) before->second.seen = true;
    const bool known = before != written_.end() && before->second.uid == uid;
    const MonoTime now = clock_.Now();
    if (wanted->is_null() && !listed && (!known || before->second.digest.empty())) continue;
    // Given up in this node's stead while it was silent.
    const bool lost = known && before->second.seen && !listed && !wanted->is_null();
    if (known && before->second.failures == 0 && before->second.digest == digest && !lost &&
        now < before->second.at + options_.refresh)
      continue;
    if (const MonoTime free =
            known ? std::max(before->second.at + options_.min_interval, before->second.retry_at) : now;
        free > now) {
      next = std::min(next, free);
      continue;
    }
    if (!budget_.Take(now)) {
      next = std::min(next, now + Duration(std::chrono::seconds(1)) / options_.per_second);
      break;
    }
    const Status status = Write(key, *resource, *wanted, deadline);
    Report(status);
    Written& written = written_[key];
    const int failures = status.ok() ? 0 : (known ? written.failures : 0) + 1;
    written = {.uid = uid, .digest = digest, .seen = false, .at = now, .retry_at = {}, .failures = failures};
    if (failures > 0) {
      Duration pause = options_.first_pause * (int64_t{1} << std::min(failures - 1, 10));
      written.retry_at = now + std::min(pause, options_.longest_pause);
      next = std::min(next, written.retry_at);
    }
  }
  return next;
}

void StatusWriter::Run() {
  bool last = false;
  while (!last) {
    {
      MutexLock lock(&mu_);
      last = stopping_;
      woken_ = false;
    }
    const MonoTime next = Step(Deadline::After(last ? kLastWrites : options_.timeout));
    MutexLock lock(&mu_);
    while (!last && !stopping_ && !woken_ && clock_.Now() < next)
      wake_.WaitUntil(&mu_, Deadline::After(next - clock_.Now()));
  }
}

}  // namespace mcpfleet::kube
