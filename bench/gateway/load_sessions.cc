#include <poll.h>

#include <algorithm>
#include <cstdio>
#include <map>
#include <memory>

#include <nlohmann/json.hpp>

#include "bench/gateway/client.h"
#include "bench/gateway/load_modes.h"

namespace mcpfleet::bench {
namespace {

using std::chrono::duration;
using std::chrono::steady_clock;

struct Opened {
  int asked = 0, finished = 0, held = 0, failed = 0, without_retry_after = 0, closed = 0;
  std::map<int, int> statuses;  // of initialize
  Latencies initialize;
};

// Opens one session and leaves it.
class Opener {
 public:
  Opener(const LoadOptions& options, const Poller& poller, Opened* opened)
      : options_(options), opened_(opened), client_(poller, options.endpoint) {
    client_.SetEvents({[](std::string_view) {}, [this] { OnStream(); }, [this] { OnEnd(); }, [this] { OnFailed(); }});
  }

  void Begin() {
    ++opened_->asked;
    sent_ = steady_clock::now();
    Send(Step::kInitialize, PostInitialize(options_.endpoint));
  }

 private:
  enum class Step { kInitialize, kInitialized, kStream, kHeld };

  void Send(Step step, const std::string& request) {
    step_ = step;
    if (!client_.Send(request)) OnFailed();
  }

  void OnEnd() {
    const HttpAnswer& answer = client_.answer();
    if (step_ == Step::kInitialize) {
      ++opened_->statuses[answer.status()];
      if (answer.status() == 503 && !answer.retry_after()) ++opened_->without_retry_after;
      if (answer.status() != 200) return Finish(false);
      opened_->initialize.microseconds.push_back(duration<double, std::micro>(steady_clock::now() - sent_).count());
      session_ = answer.session();
      Send(Step::kInitialized, PostInitialized(options_.endpoint, session_));
    } else if (step_ == Step::kInitialized) {
      if (options_.keep != "stream") return Finish(options_.keep == "connection");
      Send(Step::kStream, GetStream(options_.endpoint, session_));
    } else {
      OnFailed();  // the stream was refused, or it ended
    }
  }

  void OnStream() {
    if (step_ != Step::kStream) return;
    step_ = Step::kHeld;
    ++opened_->held;
    ++opened_->finished;
  }

  void OnFailed() {
    if (step_ == Step::kHeld) {
      ++opened_->closed;
      return;
    }
    ++opened_->failed;
    Finish(false);
  }

  void Finish(bool keep) {
    step_ = Step::kHeld;
    ++opened_->finished;
    if (keep) {
      ++opened_->held;
    } else {
      client_.Close();
    }
  }

  const LoadOptions& options_;
  Opened* const opened_;
  Client client_;
  Step step_ = Step::kInitialize;
  std::string session_;
  SteadyTime sent_;
};

void Print(Opened* opened) {
  std::string statuses;
  for (const auto& [status, count] : opened->statuses) {
    statuses += (statuses.empty() ? "\"" : ",\"") + std::to_string(status) + "\":" + std::to_string(count);
  }
  std::printf(
      "{\"asked\":%d,\"statuses\":{%s},\"held\":%d,\"failed\":%d,\"without_retry_after\":%d,\"closed\":%d,%s}\n",
      opened->asked, statuses.c_str(), opened->held, opened->failed, opened->without_retry_after, opened->closed,
      opened->initialize.Json().c_str());
  std::fflush(stdout);
}

bool StdinEnded() {
  pollfd in{0, POLLIN, 0};
  return poll(&in, 1, 0) > 0;
}

}  // namespace

int RunSessions(const LoadOptions& options) {
  const Poller poller;
  Opened opened;
  std::vector<std::unique_ptr<Opener>> openers;
  SteadyTime progress = steady_clock::now();
  int finished = 0;
  while (opened.finished < options.count) {
    while (opened.asked < options.count && opened.asked - opened.finished < options.parallel) {
      openers.push_back(std::make_unique<Opener>(options, poller, &opened));
      openers.back()->Begin();
    }
    poller.Wait(100);
    if (opened.finished != finished) progress = steady_clock::now();
    finished = opened.finished;
    if (steady_clock::now() - progress > std::chrono::seconds(20)) break;  // the counts tell that some are missing
  }
  Print(&opened);
  while (!StdinEnded()) poller.Wait(50);
  Print(&opened);
  return 0;
}

int RunBig(const LoadOptions& options) {
  const Poller poller;
  Client client(poller, options.endpoint);
  std::string session;
  uint64_t id = 0;
  size_t text = 0;
  bool ended = false, failed = false;
  SteadyTime arrived;
  client.SetEvents({[&](std::string_view message) {
                      arrived = steady_clock::now();
                      if (const auto found = TextOf(message, id)) text = found->size();
                    },
                    nullptr, [&] { ended = true; }, [&] { ended = failed = true; }});
  const auto exchange = [&](const std::string& request) {
    ended = false;
    failed = failed || !client.Send(request);
    const SteadyTime limit = steady_clock::now() + std::chrono::seconds(60);
    while (!ended && !failed && steady_clock::now() < limit) poller.Wait(1000);
    return ended && !failed;
  };
  if (options.era == Era::kLegacy) {
    if (!exchange(PostInitialize(options.endpoint))) return 1;
    session = client.answer().session();
    if (!exchange(PostInitialized(options.endpoint, session))) return 1;
  }
  int wrong = 0;
  Latencies latencies;
  const std::string argument = "\"bytes\":" + std::to_string(options.bytes);
  for (int i = 0; i <= options.count && wrong < 3; ++i) {  // the first warms up
    text = 0;
    const std::string request = PostCall(options.endpoint, options.era, session, ++id, "big", argument);
    const SteadyTime begun = steady_clock::now();
    if (!exchange(request) || text != options.bytes) {
      std::fprintf(stderr, "bench_load: big: status %d, %zu bytes\n", client.answer().status(), text);
      ++wrong;
      failed = false;
      client.Close();
    } else if (i > 0) {
      latencies.microseconds.push_back(duration<double, std::micro>(arrived - begun).count());
    }
  }
  std::printf("{\"calls\":%zu,\"errors\":%d,%s}\n", latencies.microseconds.size(), wrong, latencies.Json().c_str());
  if (!session.empty()) exchange(DeleteSession(options.endpoint, session));
  return 0;
}

}  // namespace mcpfleet::bench
