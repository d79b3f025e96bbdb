// The one file that includes cpprestsdk. Its exceptions end here.
#include "store/rest_client.h"

#include <cpprest/http_client.h>
#include <poll.h>
#include <pplx/threadpool.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <random>

#include <boost/asio/ssl/context.hpp>

#include "base/http/proxy.h"
#include "base/mutex.h"
#include "base/strings.h"
#include "store/kv_response.h"
#include "store/store_url.h"

namespace mcpfleet {
namespace {

constexpr size_t kPiece = size_t{64} << 10;
constexpr int kMostRetryAfterSeconds = 300;
constexpr char kRetryAfter[] = "mcpfleet/retry-after";

// Waits for a task no longer than the deadline. A task that is late is cancelled and left to end by itself.
template <typename T>
StatusOr<T> Await(const pplx::task<T>& task, Deadline deadline, const pplx::cancellation_token_source& cancel) {
  struct Waiter {
    Mutex mu;
    CondVar done;
    std::optional<StatusOr<T>> result GUARDED_BY(mu);
  };
  auto waiter = std::make_shared<Waiter>();  // shared with the continuation, which may outlive this call
  task.then([waiter](const pplx::task<T>& finished) {
    StatusOr<T> result = Unavailable("cancelled");
    try {
      result = finished.get();
    } catch (const std::exception& error) {
      result = Unavailable("the store does not answer: " + Printable(error.what()));
    }
    MutexLock lock(&waiter->mu);
    waiter->result = std::move(result);
    waiter->done.NotifyAll();
  });
  {
    MutexLock lock(&waiter->mu);
    while (!waiter->result) {
      if (!waiter->done.WaitUntil(&waiter->mu, deadline)) break;
    }
    if (waiter->result) return *std::move(waiter->result);
  }
  cancel.cancel();
  return DeadlineExceeded("the store does not answer in time");
}

// cpprestsdk's words for a connection that ended before any byte of an answer: mostly a kept one that the store had
// closed meanwhile.
bool ClosedBeforeTheAnswer(const Status& status) {
  const std::string message = Message(status);
  return message.find("Failed to write request ") != std::string::npos ||
         message.find("Failed to read HTTP status line") != std::string::npos;
}

std::string Unquoted(std::string_view etag) {
  if (etag.substr(0, 2) == "W/") etag.remove_prefix(2);
  if (etag.size() >= 2 && etag.front() == '"' && etag.back() == '"') etag = etag.substr(1, etag.size() - 2);
  return std::string(etag);
}

web::web_proxy WebProxy(const http::Proxy& proxy) {
  web::uri_builder url;
  url.set_scheme("http").set_port(proxy.endpoint.port);
  url.set_host(proxy.endpoint.host.find(':') == std::string::npos ? proxy.endpoint.host
                                                                  : "[" + proxy.endpoint.host + "]");
  web::web_proxy made(url.to_uri());
  if (!proxy.user.empty()) made.set_credentials(web::credentials(proxy.user, proxy.password));
  return made;
}

class CppRestClient final : public RestClient {
 public:
  CppRestClient(RestOptions options, const web::http::client::http_client_config& config)
      : options_(std::move(options)),
        client_(options_.base_url, config),
        rng_(options_.jitter_seed != 0 ? options_.jitter_seed : std::random_device()()) {}

  StatusOr<RestAnswer> Do(const RestCall& call, Deadline deadline) override {
    bool fresh = call.method == "POST" && !call.repeatable;  // whether its connection can't be a closed one any more
    bool renewed = false;
    for (int attempt = 1;;) {
      const std::string token = options_.tokens->Get();
      StatusOr<RestAnswer> answer = Attempt(call, token, deadline.AtMost(options_.request_timeout));
      if (options_.on_request) options_.on_request(call.operation, answer.ok() ? answer->status : 0);
      Status status = OkStatus();
      bool again = false;
      if (!answer.ok()) {
        status = answer.status();
        if (ClosedBeforeTheAnswer(status) && !std::exchange(fresh, true)) continue;
        again = status.code() == StatusCode::kUnavailable || status.code() == StatusCode::kDeadlineExceeded;
      } else if (answer->status / 100 == 2 || answer->status == call.accept) {
        return answer;
      } else {
        if (answer->status == 401 && !std::exchange(renewed, true) && options_.tokens->Renew(token)) continue;
        status = options_.error_status(answer->status, answer->body);
        if (answer->retry_after > 0) status.SetPayload(kRetryAfter, absl::Cord(std::to_string(answer->retry_after)));
        again = answer->status == 429 || answer->status >= 500;
      }
      int retry_after = answer.ok() ? answer->retry_after : 0;
      if (!again || !BackOff(attempt++, retry_after, deadline)) return status;
    }
  }

  bool BackOff(int attempt, int retry_after, Deadline deadline) override {
    if (attempt >= options_.max_attempts) return false;
    Duration window =
        std::min(options_.backoff_max, options_.backoff_initial * (int64_t{1} << std::min(attempt - 1, 20)));
    double part = 0;
    {
      MutexLock lock(&mu_);
      part = 0.5 + 0.5 * std::uniform_real_distribution<double>(0, 1)(rng_);
    }
    Duration wait = std::chrono::duration_cast<Duration>(window * part);
    // What the server asks for is the least; the jitter on top keeps a fleet from returning all at once.
    if (retry_after > 0) wait += std::chrono::seconds(retry_after);
    if (deadline.Left() <= wait) return false;
    poll(nullptr, 0, Deadline::After(wait).PollMillis());
    return true;
  }

 private:
  StatusOr<RestAnswer> Attempt(const RestCall& call, const std::string& token, Deadline deadline) {
    try {
      return Exchange(call, token, deadline);
    } catch (const std::exception& error) {
      return Unavailable("the store does not answer: " + Printable(error.what()));
    }
  }

  StatusOr<RestAnswer> Exchange(const RestCall& call, const std::string& token, Deadline deadline) {
    web::http::http_request request(call.method);
    request.set_request_uri(web::uri(call.target));
    if (!token.empty()) request.headers().add("Authorization", "Bearer " + token);
    request.headers().add("Accept-Encoding", "identity");
    for (const auto& [name, value] : call.headers) request.headers().add(name, value);
    if (!call.content_type.empty()) request.set_body(call.body, call.content_type);
    pplx::cancellation_token_source cancel;
    ASSIGN_OR_RETURN(web::http::http_response response,
                     Await(client_.request(request, cancel.get_token()), deadline, cancel));
    const auto& headers = response.headers();
    // A small answer could unpack to any size. cpprestsdk does not unpack what it was not told to; nor does anybody.
    if (auto it = headers.find("Content-Encoding"); it != headers.end() && !EqualsIgnoreCase(it->second, "identity")) {
      cancel.cancel();
      return Unavailable("the store's answer is compressed, which was not asked for");
    }
    RestAnswer answer;
    answer.status = response.status_code();
    size_t limit = answer.status / 100 == 2 ? call.max_answer : kRestErrorBytes;
    ASSIGN_OR_RETURN(answer.body, ReadBody(response, limit, deadline, cancel));
    if (auto it = headers.find("ETag"); it != headers.end()) answer.etag = Unquoted(it->second);
    if (auto it = headers.find("Retry-After"); it != headers.end()) {
      answer.retry_after = ParseRetryAfter(it->second, kMostRetryAfterSeconds);
    }
    if (auto it = headers.find("Mcpfleet-Commit"); it != headers.end()) {
      std::from_chars(it->second.data(), it->second.data() + it->second.size(), answer.commit_bytes);
    }
    return answer;
  }

  static StatusOr<std::string> ReadBody(const web::http::http_response& response, size_t limit, Deadline deadline,
                                        const pplx::cancellation_token_source& cancel) {
    auto stream = response.body().streambuf();
    auto piece = std::make_shared<std::vector<uint8_t>>(kPiece);  // shared with a read that may outlive this call
    std::string body;
    for (;;) {
      auto read = stream.getn(piece->data(), piece->size()).then([piece](size_t n) { return n; });
      ASSIGN_OR_RETURN(size_t n, Await(read, deadline, cancel));
      if (n == 0) break;
      if (body.size() + n > limit) {
        cancel.cancel();
        return ResourceExhausted("the store's answer is larger than " + std::to_string(limit) + " bytes");
      }
      body.append(reinterpret_cast<const char*>(piece->data()), n);
    }
    // The stream ends alike when the connection broke: this tells.
    RETURN_IF_ERROR(Await(response.content_ready(), deadline, cancel).status());
    return body;
  }

  const RestOptions options_;
  web::http::client::http_client client_;  // thread-safe; keeps connections
  Mutex mu_;
  std::mt19937_64 rng_ GUARDED_BY(mu_);
};

}  // namespace

int RetryAfterOf(const Status& status) {
  const auto payload = status.GetPayload(kRetryAfter);
  return payload ? ParseRetryAfter(std::string(*payload), kMostRetryAfterSeconds) : 0;
}

void InitRestThreads() {
  try {
    crossplat::threadpool::initialize_with_threads(2);
  } catch (const std::exception&) {
    // Initialised already, with whatever size: it works all the same.
  }
}

StatusOr<std::unique_ptr<RestClient>> NewRestClient(RestOptions options) {
  while (!options.base_url.empty() && options.base_url.back() == '/') options.base_url.pop_back();
  RETURN_IF_ERROR(ParseStoreUrl(options.base_url).status());
  if (options.error_status == nullptr) options.error_status = KvErrorStatus;
  ASSIGN_OR_RETURN(const http::Proxy proxy, http::ProxyFor(options.proxy, options.base_url));
  if (options.tokens == nullptr) {
    ASSIGN_OR_RETURN(options.tokens, TokenSource::Fixed(options.token));
  }
  try {
    web::http::client::http_client_config config;
    config.set_timeout(std::chrono::duration_cast<std::chrono::milliseconds>(options.request_timeout));
    config.set_max_redirects(0);
    config.set_request_compressed_response(false);
    if (!proxy.endpoint.host.empty()) config.set_proxy(WebProxy(proxy));
    if (!options.ca_file.empty()) {
      config.set_ssl_context_callback([file = options.ca_file](boost::asio::ssl::context& context) {
        // cpprestsdk has put the system's certificates in; these are instead of them.
        SSL_CTX_set_cert_store(context.native_handle(), X509_STORE_new());
        context.load_verify_file(file);
      });
    }
    std::string base_url = options.base_url;
    return std::unique_ptr<RestClient>(std::make_unique<CppRestClient>(std::move(options), config));
  } catch (const std::exception& error) {
    return InvalidArgument("store URL: " + Printable(error.what()));
  }
}

}  // namespace mcpfleet
