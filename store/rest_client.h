// HTTP requests to a store's REST API over cpprestsdk, which only rest_client.cc includes: deadlines, bounded answers,
// retries with jittered back-off, proxy and certificates. What an answer means is its caller's. An answer is never
// redirected, and one that is compressed is refused: nobody asked for it.
//
// Errors: Unavailable (429, 5xx, no answer, a body that is no answer of such a store: no news), DeadlineExceeded,
// ResourceExhausted (an answer beyond the limit), and what RestOptions::error_status makes of another status than 2xx.
// No message carries a token or a body. Thread-safe.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/limits.h"
#include "base/status.h"
#include "store/token_source.h"

namespace mcpfleet {

// Told after each attempt: the operation, and the HTTP status, 0 when there was no answer. From the calling thread.
using RestListener = std::function<void(std::string_view operation, int code)>;

struct RestOptions {
  std::string base_url;  // "http://127.0.0.1:8702", "https://api.cloudflare.com"
  std::string token;     // "": requests carry no credential
  // Instead of `token`: asked at each attempt, and told of one that was refused, which is then tried again at once.
  std::shared_ptr<TokenSource> tokens = nullptr;
  std::string proxy;    // URL; "": HTTPS_PROXY or https_proxy of the environment for https, none for http
  std::string ca_file;  // PEM, instead of the system's certificates; "": those
  Duration request_timeout = std::chrono::seconds(30);  // of one attempt
  int max_attempts = 5;                                 // of one call, within its deadline
  Duration backoff_initial = std::chrono::milliseconds(200);
  Duration backoff_max = std::chrono::seconds(10);
  uint64_t jitter_seed = 0;  // 0: from the kernel
  RestListener on_request;
  // What an answer with another status than 2xx means; of a null one, KvErrorStatus.
  Status (*error_status)(int http_status, std::string_view body) = nullptr;
};

// What the Retry-After of the answer behind an error of RestClient::Do asked for, in seconds; 0: nothing.
int RetryAfterOf(const Status& status);

inline constexpr size_t kRestErrorBytes = size_t{64} << 10;  // read of an answer that is no 2xx

struct RestCall {
  std::string_view operation;  // for the listener; a literal
  std::string method = "GET";
  std::string target;  // path and query, escaped
  std::string content_type, body;
  std::vector<std::pair<std::string, std::string>> headers;
  size_t max_answer = kRestErrorBytes;  // of a 2xx
  int accept = 0;                       // a status besides 2xx that is an answer too
  bool repeatable = false;              // a POST that may be done twice, as every other method may
};

struct RestAnswer {
  int status = 0;
  std::string body;
  std::string etag;          // without quotes
  int retry_after = 0;       // seconds
  int64_t commit_bytes = 0;  // Mcpfleet-Commit: how large a change may be that the store takes with its head; 0: none
};

class RestClient {
 public:
  virtual ~RestClient() = default;
  // The answer of a 2xx or of `accept`; everything else as its status, after retries where they make sense. A kept
  // connection that turns out to be closed is no attempt: the call is made again at once, if it may be.
  virtual StatusOr<RestAnswer> Do(const RestCall& call, Deadline deadline) = 0;
  // Waits before attempt `attempt` + 1, at least `retry_after` seconds. False, at once, when that would go beyond the
  // deadline or there were enough attempts.
  virtual bool BackOff(int attempt, int retry_after, Deadline deadline) = 0;
};

// First thing in main, before any other thread: cpprestsdk would start 40 threads, this makes it 2.
void InitRestThreads();

// InvalidArgument for a URL, proxy or token that can't be one.
StatusOr<std::unique_ptr<RestClient>> NewRestClient(RestOptions options);

}  // namespace mcpfleet
