#include "edge-runtime/gateway/jwks_fetch.h"

#include <arpa/inet.h>
#include <pthread.h>

#include <deque>
#include <map>
#include <system_error>
#include <thread>

#include "base/http/client.h"
#include "base/http/proxy.h"
#include "base/http/url.h"
#include "base/mutex.h"
#include "base/strings.h"

namespace mcpfleet::gateway {
namespace {

constexpr int kMaxThreads = 4;
constexpr size_t kMaxQueued = 64;  // as many as the cache has issuers

using Body = StatusOr<std::string>;
using Done = std::function<void(Body)>;

bool IsLoopback(const std::string& host) {
  in_addr v4{};
  in6_addr v6{};
  if (inet_pton(AF_INET, host.c_str(), &v4) == 1) return (ntohl(v4.s_addr) >> 24) == 127;
  if (inet_pton(AF_INET6, host.c_str(), &v6) == 1) return IN6_IS_ADDR_LOOPBACK(&v6);
  return EqualsIgnoreCase(host, "localhost");
}

StatusOr<http::Url> ParseSource(const std::string& uri) {
  StatusOr<http::Url> url = http::ParseUrl(uri);
  const bool allowed = url.ok() && url->endpoint.port != 0 && (url->endpoint.tls || IsLoopback(url->endpoint.host));
  if (!allowed) return InvalidArgument("jwks uri: allowed are https URLs without user, and http on this machine");
  return url;
}

Body Get(const http::Url& source, const JwksFetchOptions& options) {
  http::ClientOptions way{
      .max_body = kMaxKeySetBytes, .max_idle = 0, .host_header = source.host_header, .ca_file = options.ca_file};
  ASSIGN_OR_RETURN(const http::Proxy proxy,
                   http::ProxyFor("", (source.endpoint.tls ? "https://" : "http://") + source.host_header));
  proxy.Apply(&way);
  http::Client client(source.endpoint, std::move(way));
  http::Request request{.target = source.target};
  request.headers.Add("Accept", "application/jwk-set+json, application/json");
  request.headers.Add("Connection", "close");
  ASSIGN_OR_RETURN(http::Response response, client.Do(request, Deadline::After(options.timeout)));
  if (response.status != 200) return Unavailable("the issuer answered " + std::to_string(response.status));
  return std::move(response.body);
}

// The way back to the loop, for threads that may outlive it.
class Mailbox {
 public:
  explicit Mailbox(Loop& loop) : loop_(&loop) {}
  void Close() LOCKS_EXCLUDED(mu_) {
    MutexLock lock(&mu_);
    loop_ = nullptr;
  }
  // The lock is held over Post, which calls nobody, so that the loop is not destroyed meanwhile.
  void Post(std::function<void()> task) LOCKS_EXCLUDED(mu_) {
    MutexLock lock(&mu_);
    if (loop_ != nullptr) loop_->Post(std::move(task));
  }

 private:
  Mutex mu_;
  Loop* loop_ GUARDED_BY(mu_);
};

// On the loop, but for the threads.
class Fetcher : public std::enable_shared_from_this<Fetcher> {
 public:
  Fetcher(Loop& loop, JwksFetchOptions options)
      : options_(std::move(options)), mailbox_(std::make_shared<Mailbox>(loop)) {}
  ~Fetcher() { mailbox_->Close(); }

  void Fetch(const std::string& uri, Done done) {
    StatusOr<http::Url> source = ParseSource(uri);
    if (!source.ok()) return done(source.status());
    if (queue_.size() >= kMaxQueued) return done(ResourceExhausted("too many key sets are fetched"));
    queue_.push_back({*std::move(source), std::move(done)});
    StartNext();
  }

 private:
  struct Job {
    http::Url source;
    Done done;
  };

  void StartNext() {
    if (running_ >= kMaxThreads || queue_.empty()) return;
    Job job = std::move(queue_.front());
    queue_.pop_front();
    // What the caller gave stays here: only the loop may run or destroy it.
    const uint64_t number = ++last_;
    under_way_[number] = std::move(job.done);
    ++running_;
    // Detached: the resolver can't be interrupted, and nobody wants to wait for it when mcplet ends.
    auto run = [weak = weak_from_this(), mailbox = mailbox_, options = options_, source = job.source, number] {
      (void)pthread_setname_np(pthread_self(), "jwks-fetch");
      Body body = Get(source, options);
      mailbox->Post([weak, number, body = std::move(body)]() mutable {
        if (std::shared_ptr<Fetcher> self = weak.lock()) self->Finish(number, std::move(body));
      });
    };
    try {
      std::thread(std::move(run)).detach();
    } catch (const std::system_error&) {
      Finish(number, Unavailable("no thread to fetch keys"));
    }
  }

  void Finish(uint64_t number, Body body) {
    --running_;
    auto node = under_way_.extract(number);
    StartNext();
    node.mapped()(std::move(body));
  }

  const JwksFetchOptions options_;
  const std::shared_ptr<Mailbox> mailbox_;  // shared with the threads
  int running_ = 0;
  uint64_t last_ = 0;
  std::map<uint64_t, Done> under_way_;
  std::deque<Job> queue_;
};

}  // namespace

FetchJwks MakeHttpsFetch(Loop& loop, JwksFetchOptions options) {
  // shared: a std::function is copied.
  auto fetcher = std::make_shared<Fetcher>(loop, std::move(options));
  return [fetcher](const std::string& uri, Done done) { fetcher->Fetch(uri, std::move(done)); };
}

}  // namespace mcpfleet::gateway
