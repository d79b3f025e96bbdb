#include <cstdio>
#include <memory>
#include <set>

#include <nlohmann/json.hpp>

#include "bench/gateway/client.h"
#include "bench/gateway/load_modes.h"

namespace mcpfleet::bench {
namespace {

using std::chrono::duration;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

SteadyTime In(double seconds) {
  return steady_clock::now() + std::chrono::duration_cast<steady_clock::duration>(duration<double>(seconds));
}

// What the callers of one stretch of time have seen.
struct Tally {
  Latencies latencies;
  uint64_t calls = 0, errors = 0, lost_sessions = 0, streams = 0;
  std::set<std::string> children;  // marks of the processes that answered
};

// A session that makes one call after the other.
class Caller {
 public:
  Caller(const LoadOptions& options, const Poller& poller, int number, Tally* tally)
      : options_(options), number_(number), tally_(tally), client_(poller, options.endpoint) {
    client_.SetEvents({[this](std::string_view message) { OnMessage(message); }, nullptr, [this] { OnEnd(); },
                       [this] { OnFailed("no answer"); }});
  }

  bool idle() const { return step_ == Step::kIdle; }
  SteadyTime due() const { return due_; }

  // From `first` on, every `pause`, as long as `until` is not over. A new caller opens its session before.
  void Work(SteadyTime first, steady_clock::duration pause, SteadyTime until) {
    due_ = first;
    pause_ = pause;
    until_ = until;
    Next();
  }
  // The next call, if its time has come.
  void Next() {
    if (options_.era == Era::kLegacy && session_.empty()) return Begin(Step::kInitialize, PostInitialize(To()));
    const SteadyTime now = steady_clock::now();
    step_ = Step::kIdle;
    if (now >= until_ || now < due_) return;
    due_ = pause_.count() > 0 ? due_ + pause_ : now;
    sent_ = now;
    answered_ = false;
    const std::string argument = "\"text\":\"" + Text(++id_) + "\"";
    Begin(Step::kCall, PostCall(To(), options_.era, session_, id_, "echo", argument));
  }
  void EndSession() {
    if (!session_.empty()) Begin(Step::kDelete, DeleteSession(To(), session_));
    session_.clear();
  }

 private:
  enum class Step { kIdle, kInitialize, kInitialized, kCall, kDelete };

  const Endpoint& To() const { return options_.endpoint; }
  std::string Text(uint64_t id) const { return std::to_string(number_) + "-" + std::to_string(id); }

  void Begin(Step step, const std::string& request) {
    step_ = step;
    if (!client_.Send(request)) OnFailed("not sent");
  }

  void OnMessage(std::string_view message) {
    if (step_ == Step::kInitialize) answered_ = IsResult(message, 0);
    if (step_ != Step::kCall) return;
    const SteadyTime now = steady_clock::now();
    const auto text = TextOf(message, id_);  // "<mark> <text>"
    if (!text) return;
    const size_t space = text->find(' ');
    answered_ = space != std::string_view::npos && text->substr(space + 1) == Text(id_);
    if (!answered_) return;
    tally_->latencies.microseconds.push_back(duration<double, std::micro>(now - sent_).count());
    if (text->substr(0, space) == mark_) return;
    mark_ = text->substr(0, space);
    tally_->children.insert(mark_);
  }

  void OnEnd() {
    const HttpAnswer& answer = client_.answer();
    switch (step_) {
      case Step::kIdle:
      case Step::kDelete:
        step_ = Step::kIdle;
        return;
      case Step::kInitialize:
        if (answer.status() != 200 || !answered_ || answer.session().empty()) return OnFailed("initialize");
        session_ = answer.session();
        return Begin(Step::kInitialized, PostInitialized(To(), session_));
      case Step::kInitialized:
        return Next();
      case Step::kCall:
        if (answer.status() == 404 && options_.era == Era::kLegacy) {
          ++tally_->lost_sessions;
          session_.clear();
        }
        if (!answered_) return OnFailed("wrong answer");
        ++tally_->calls;
        if (answer.stream()) ++tally_->streams;
        return Next();
    }
  }

  void OnFailed(const char* what) {
    ++tally_->errors;
    if (tally_->errors < 4) std::fprintf(stderr, "bench_load: %s (status %d)\n", what, client_.answer().status());
    client_.Close();
    step_ = Step::kIdle;
    due_ = steady_clock::now() + milliseconds(20);
  }

  const LoadOptions& options_;
  const int number_;
  Tally* const tally_;
  Client client_;
  Step step_ = Step::kIdle;
  std::string session_, mark_;
  uint64_t id_ = 0;
  bool answered_ = false;
  SteadyTime sent_, due_, until_;
  steady_clock::duration pause_{};
};

using Callers = std::vector<std::unique_ptr<Caller>>;

// Until every caller is idle, a while after `until` at the longest: what is owed then is an error.
void Run(const Poller& poller, const Callers& callers, SteadyTime until, Tally* tally) {
  const SteadyTime end = until + std::chrono::seconds(20);
  while (true) {
    const SteadyTime now = steady_clock::now();
    uint64_t busy = 0;
    int timeout = 1000;
    for (const auto& caller : callers) {
      if (caller->idle() && now < until) {
        if (now >= caller->due()) caller->Next();
        if (caller->idle()) timeout = 1;
      }
      if (!caller->idle()) ++busy;
    }
    if (busy == 0 && now >= until) return;
    if (now >= end) {
      tally->errors += busy;
      return;
    }
    poller.Wait(busy == 0 && timeout > 1 ? 1 : timeout);
  }
}

void RunFor(const LoadOptions& options, const Poller& poller, const Callers& callers, double seconds, Tally* tally) {
  const SteadyTime now = steady_clock::now(), until = In(seconds);
  steady_clock::duration pause{};
  if (options.rate > 0) {
    pause = std::chrono::duration_cast<steady_clock::duration>(duration<double>(options.connections / options.rate));
  }
  for (size_t i = 0; i < callers.size(); ++i) {
    callers[i]->Work(now + pause * static_cast<int>(i) / static_cast<int>(callers.size()), pause, until);
  }
  Run(poller, callers, until, tally);
}

}  // namespace

int RunCalls(const LoadOptions& options) {
  const Poller poller;
  Tally tally;
  Callers callers;
  for (int i = 0; i < options.connections; ++i) {
    callers.push_back(std::make_unique<Caller>(options, poller, i, &tally));
  }
  RunFor(options, poller, callers, options.warm, &tally);
  std::printf("{\"ready\":true,\"calls\":%zu,\"errors\":%zu}\n", tally.calls, tally.errors);
  WaitForStdin();
  const size_t known = tally.children.size();
  tally.latencies.microseconds.clear();
  tally.calls = tally.errors = tally.lost_sessions = tally.streams = 0;
  const SteadyTime begun = steady_clock::now();
  RunFor(options, poller, callers, options.seconds, &tally);
  const double seconds = duration<double>(steady_clock::now() - begun).count();
  std::printf(
      "{\"calls\":%zu,\"errors\":%zu,\"seconds\":%.4f,%s,\"streams\":%zu,\"lost_sessions\":%zu,\"children\":%zu,"
      "\"new_children\":%zu}\n",
      tally.calls, tally.errors, seconds, tally.latencies.Json().c_str(), tally.streams, tally.lost_sessions,
      tally.children.size(), tally.children.size() - known);
  WaitForStdin();
  for (const auto& caller : callers) caller->EndSession();
  Run(poller, callers, steady_clock::now() - std::chrono::seconds(10), &tally);
  return 0;
}

}  // namespace mcpfleet::bench
