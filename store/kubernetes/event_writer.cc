#include "store/kubernetes/event_writer.h"

#include <algorithm>
#include <cstdio>

#include <nlohmann/json.hpp>

#include "base/log.h"
#include "base/strings.h"
#include "store/kubernetes/lease.h"

namespace mcpfleet::kube {
namespace {

constexpr char kController[] = "mcpfleet.dev/mcplet";
constexpr char kServerPrefix[] = "MCPServer/";
// Limits of events.k8s.io/v1.
constexpr size_t kNoteBytes = 1024, kReasonBytes = 128;

// "MCPServer/<namespace>/<name>" -> key; false for events of anything else.
bool ServerOf(const std::string& object, ServerKey* key) {
  if (!object.starts_with(kServerPrefix)) return false;
  const std::vector<std::string> parts = Split(object, '/');
  if (parts.size() != 3) return false;
  *key = {parts[1], parts[2]};
  return true;
}

// Cut before a character that would not fit.
std::string Cut(std::string text, size_t bytes) {
  if (text.size() <= bytes) return text;
  while (bytes > 0 && (static_cast<unsigned char>(text[bytes]) & 0xc0) == 0x80) --bytes;
  text.resize(bytes);
  return text;
}

std::string EventsPath(const std::string& space) {
  return "/apis/events.k8s.io/v1/namespaces/" + PercentEncode(space) + "/events";
}

}  // namespace

Json EventObjectFor(const Event& event, const Resource& resource, const std::string& node, const std::string& suffix) {
  const ObjectMeta& metadata = resource.object->metadata;
  return {{"apiVersion", "events.k8s.io/v1"},
          {"kind", "Event"},
          {"metadata", {{"name", metadata.name + "." + suffix}, {"namespace", metadata.namespace_}}},
          {"eventTime", FormatMicroTime(event.time)},
          {"type", event.type},
          {"reason", Cut(event.reason, kReasonBytes)},
          {"action", Cut(event.reason, kReasonBytes)},
          {"note", Cut(node + ": " + event.message, kNoteBytes)},
          {"reportingController", kController},
          {"reportingInstance", Cut(node, kReasonBytes)},
          {"regarding",
           {{"apiVersion", kApiVersion},
            {"kind", kKindServer},
            {"namespace", metadata.namespace_},
            {"name", metadata.name},
            {"uid", metadata.uid}}}};
}

Json SeriesPatch(const Event& event) {
  return {
      {"series", {{"count", std::max<int64_t>(event.count, 2)}, {"lastObservedTime", FormatMicroTime(event.time)}}}};
}

EventWriter::EventWriter(RestClient& rest, const Registry& registry, const Clock& clock, uint64_t seed,
                         EventWriterOptions options)
    : rest_(rest),
      registry_(registry),
      clock_(clock),
      options_(std::move(options)),
      rng_(seed),
      budget_(options_.burst, options_.refill, clock.Now()) {}

EventWriter::~EventWriter() { Stop(); }

void EventWriter::Start() {
  thread_ = std::thread([this] { Run(); });
}

void EventWriter::Stop() {
  {
    MutexLock lock(&mu_);
    stopping_ = true;
    wake_.NotifyAll();
  }
  if (thread_.joinable()) thread_.join();
}

void EventWriter::Record(const Event& event) {
  MutexLock lock(&mu_);
  if (queue_.size() >= options_.queue) {
    ++dropped_;
    return;
  }
  queue_.push_back(event);
  wake_.NotifyAll();
}

void EventWriter::Drop() {
  MutexLock lock(&mu_);
  ++dropped_;
}

int64_t EventWriter::dropped() const {
  MutexLock lock(&mu_);
  return dropped_;
}

void EventWriter::Write(const Event& event) {
  ServerKey key;
  if (!ServerOf(event.object, &key)) return;
  const std::shared_ptr<const Resource> resource = registry_.Server(key);
  if (resource == nullptr) return;  // of a server that the store has, or that is gone
  if (!budget_.Take(clock_.Now())) return Drop();
  const std::string what =
      resource->object->metadata.uid + "\n" + event.type + "\n" + event.reason + "\n" + event.message;
  const auto before = posted_.find(what);
  Call call;
  if (before != posted_.end() && event.count > 1) {
    call = {.method = "PATCH",
            .path = before->second,
            .query = {},
            .content_type = kMergePatch,
            .body = DumpJson(SeriesPatch(event))};
  } else {
    char suffix[24];
    snprintf(suffix, sizeof suffix, "%016llx", static_cast<unsigned long long>(rng_()));
    call = {.method = "POST",
            .path = EventsPath(key.namespace_),
            .query = {},
            .content_type = kJson,
            .body = DumpJson(EventObjectFor(event, *resource, options_.node, suffix))};
    if (before == posted_.end()) order_.push_back(what);
    posted_[what] = call.path + "/" + PercentEncode(key.name + "." + suffix);
    while (order_.size() > options_.remembered) {
      posted_.erase(order_.front());
      order_.pop_front();
    }
  }
  StatusOr<Answer> answer = rest_.Do(call, Deadline::After(options_.timeout));
  const Status status = answer.ok() ? StatusOf(*answer, "event") : answer.status();
  if (!status.ok()) {
    Drop();
    posted_.erase(what);  // its Event may have expired: the next one is a new one
    std::erase(order_, what);
  }
  const std::string problem = status.ok() ? "" : Message(status);
  if (problem != problem_ && !status.ok()) LOG_WARNING("an event could not be written", {{"error", status}});
  problem_ = problem;
}

void EventWriter::Run() {
  for (;;) {
    Event event;
    {
      MutexLock lock(&mu_);
      while (!stopping_ && queue_.empty()) wake_.Wait(&mu_);
      if (stopping_) return;
      event = std::move(queue_.front());
      queue_.pop_front();
    }
    Write(event);
  }
}

}  // namespace mcpfleet::kube
