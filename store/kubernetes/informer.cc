#include "store/kubernetes/informer.h"

#include <utility>

#include <nlohmann/json.hpp>

#include "base/log.h"

namespace mcpfleet::kube {
namespace {
// etcd takes no object above 1.5 MiB; the JSON of one may be somewhat larger than what is stored.
constexpr size_t kLineBytes = size_t{8} << 20;
// What a watch may take beyond the time that it was asked for.
constexpr Duration kGrace = std::chrono::seconds(30);
}  // namespace

Informer::Informer(RestClient& rest, const Clock& clock, uint64_t seed, InformerOptions options, OnChanges on_changes)
    : rest_(rest),
      clock_(clock),
      options_(std::move(options)),
      on_changes_(std::move(on_changes)),
      reflector_(options_.reflector, seed) {}

Informer::~Informer() { Stop(); }

void Informer::Start() {
  thread_ = std::thread([this] { Run(); });
}

void Informer::Stop() {
  {
    MutexLock lock(&mu_);
    stopping_ = true;
    if (stream_ != nullptr) stream_->Cancel();
    wake_.NotifyAll();
  }
  if (thread_.joinable()) thread_.join();
}

bool Informer::synced() const {
  MutexLock lock(&mu_);
  return synced_;
}

std::string Informer::problem() const {
  MutexLock lock(&mu_);
  return problem_;
}

int64_t Informer::relists() const {
  MutexLock lock(&mu_);
  return relists_;
}

void Informer::Report(const Status& status) {
  std::string problem = status.ok() ? "" : Message(status);
  {
    MutexLock lock(&mu_);
    relists_ = reflector_.relists();
    if (problem == problem_) return;
    problem_ = problem;
  }
  if (status.ok()) {
    LOG_INFO("the API server answers again", {{"path", options_.path}});
  } else {
    LOG_WARNING("the API server could not be read; what runs goes on", {{"path", options_.path}, {"error", status}});
  }
}

bool Informer::AwaitDue() {
  MutexLock lock(&mu_);
  while (!stopping_ && clock_.Now() < reflector_.due())
    wake_.WaitUntil(&mu_, Deadline::After(reflector_.due() - clock_.Now()));
  return !stopping_;
}

void Informer::Run() {
  while (AwaitDue()) {
    const Reflector::Request request = reflector_.Next();
    if (request.step == Reflector::Step::kList) {
      List(request);
    } else {
      Watch(request);
    }
  }
}

void Informer::List(const Reflector::Request& request) {
  StatusOr<Answer> answer =
      rest_.Do({.path = options_.path, .query = request.query}, Deadline::After(options_.list_timeout));
  const Status status = answer.ok() ? StatusOf(*answer, options_.path) : answer.status();
  const int code = answer.ok() ? answer->code : 0;
  if (!status.ok()) {
    reflector_.OnListFailed(code, answer.ok() ? answer->retry_after : Duration::zero(), clock_.Now());
    Report(status);
    if (options_.on_refused && (code == 403 || code == 404)) options_.on_refused(status);
    return;
  }
  std::vector<Change> changes = reflector_.OnPage(answer->body, clock_.Now());
  // More pages come, or it was no list.
  if (request.step == Reflector::Step::kList && reflector_.Next().step == Reflector::Step::kList) return;
  Report(OkStatus());
  on_changes_(std::move(changes));
  {
    MutexLock lock(&mu_);
    if (std::exchange(synced_, true)) return;
  }
  on_changes_({});  // who looks at synced() looks once more: before, it was not so yet
}

void Informer::Watch(const Reflector::Request& request) {
  StatusOr<RestClient::Watch> watch =
      rest_.Open({.path = options_.path, .query = request.query}, Deadline::After(options_.open_timeout));
  if (!watch.ok() || watch->stream == nullptr) {
    Report(watch.ok() ? StatusOf(watch->answer, options_.path + " (watch)") : watch.status());
    reflector_.OnWatchEnded(watch.ok() ? watch->answer.code : 0,
                            watch.ok() ? watch->answer.retry_after : Duration::zero(), clock_.Now());
    return;
  }
  {
    MutexLock lock(&mu_);
    if (stopping_) return;
    stream_ = watch->stream.get();
  }
  Report(OkStatus());
  reflector_.OnWatchOpened(clock_.Now());
  const int code = Follow(watch->stream.get(), Deadline::After(request.watch_for + kGrace));
  {
    MutexLock lock(&mu_);
    stream_ = nullptr;
  }
  reflector_.OnWatchEnded(code, Duration::zero(), clock_.Now());
  Report(code == 200 ? OkStatus() : Unavailable(options_.path + ": the watch broke"));
}

int Informer::Follow(http::ResponseStream* stream, Deadline deadline) {
  std::string buffer;
  for (;;) {
    StatusOr<std::string> piece = stream->Read(deadline);
    if (!piece.ok()) return 0;
    if (piece->empty()) return buffer.empty() ? 200 : 0;  // half a line: it broke
    buffer += *piece;
    size_t begin = 0;
    for (size_t end; (end = buffer.find('\n', begin)) != std::string::npos; begin = end + 1) {
      if (end > begin && TakeLine(std::string_view(buffer).substr(begin, end - begin))) return 200;
    }
    buffer.erase(0, begin);
    if (buffer.size() > kLineBytes) {
      reflector_.OnGarbage(clock_.Now());
      return 0;
    }
  }
}

bool Informer::TakeLine(std::string_view line) {
  StatusOr<Json> event = ParseJson(line, {.bytes = kLineBytes});
  if (!event.ok()) {
    reflector_.OnGarbage(clock_.Now());
    return true;
  }
  bool end = false;
  std::vector<Change> changes = reflector_.OnEvent(*event, clock_.Now(), &end);
  if (!changes.empty()) on_changes_(std::move(changes));
  return end;
}

}  // namespace mcpfleet::kube
