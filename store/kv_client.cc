// RestKvClient: the one file that includes cpprestsdk. Its exceptions end here.
#include "store/kv_client.h"

#include <cpprest/http_client.h>
#include <poll.h>
#include <pplx/threadpool.h>

#include <algorithm>
#include <random>
#include <utility>

#include <boost/asio/ssl/context.hpp>
#include <nlohmann/json.hpp>

#include "base/digest.h"
#include "base/json.h"
#include "base/mutex.h"
#include "base/strings.h"
#include "store/kv_response.h"
#include "store/store_url.h"

namespace mcpfleet {
namespace {

constexpr size_t kPiece = size_t{64} << 10;
// Escapes and the envelope make an answer longer than its values; more than this is not read.
constexpr size_t kBulkAnswerBytes = limits::kBulkBytes;
constexpr size_t kValueAnswerBytes = limits::kValueBytes + 4096;
constexpr size_t kListAnswerBytes = limits::kListKeys * (limits::kKeyBytes + 2 * limits::kMetadataBytes + 256);
constexpr size_t kErrorBytes = size_t{64} << 10;
constexpr int kMostRetryAfterSeconds = 300;

struct Call {
  KvOperation op = KvOperation::kGet;
  std::string method = "GET";
  std::string target;  // below the namespace: "/values/…"
  std::string content_type, body;
  std::vector<std::pair<std::string, std::string>> headers;
  size_t max_answer = kErrorBytes;
};

struct Answer {
  int status = 0;
  std::string body, etag;
  int retry_after = 0;
};

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

std::string Quoted(const std::string& etag) { return "\"" + etag + "\""; }

std::string Unquoted(std::string_view etag) {
  if (etag.substr(0, 2) == "W/") etag.remove_prefix(2);
  if (etag.size() >= 2 && etag.front() == '"' && etag.back() == '"') etag = etag.substr(1, etag.size() - 2);
  return std::string(etag);
}

web::web_proxy WebProxy(const StoreProxy& proxy) {
  web::uri_builder url;
  url.set_scheme("http").set_port(proxy.endpoint.port);
  url.set_host(proxy.endpoint.host.find(':') == std::string::npos ? proxy.endpoint.host
                                                                  : "[" + proxy.endpoint.host + "]");
  web::web_proxy made(url.to_uri());
  if (!proxy.user.empty()) made.set_credentials(web::credentials(proxy.user, proxy.password));
  return made;
}

class RestKvClient final : public KvClient {
 public:
  RestKvClient(RestKvOptions options, const web::http::client::http_client_config& config)
      : options_(std::move(options)),
        prefix_("/client/v4/accounts/" + PercentEncode(options_.account) + "/storage/kv/namespaces/" +
                PercentEncode(options_.namespace_id)),
        client_(options_.base_url, config),
        rng_(options_.jitter_seed != 0 ? options_.jitter_seed : std::random_device()()) {}

  StatusOr<std::optional<KvValue>> Get(std::string_view key, Deadline deadline) override {
    Call call{.op = KvOperation::kGet, .target = "/values/" + PercentEncode(key), .max_answer = kValueAnswerBytes};
    StatusOr<Answer> answer = Do(call, deadline);
    if (answer.ok()) return std::optional<KvValue>(KvValue{std::move(answer->body), std::move(answer->etag)});
    if (answer.status().code() == StatusCode::kNotFound) return std::optional<KvValue>();
    return answer.status();
  }

  StatusOr<std::map<std::string, std::string>> BulkGet(const std::vector<std::string>& keys,
                                                       Deadline deadline) override {
    if (keys.size() > limits::kBulkGetKeys) return InvalidArgument("bulk get: more than 100 keys");
    if (keys.empty()) return std::map<std::string, std::string>();
    Call call = JsonCall(KvOperation::kBulkGet, "POST", "/bulk/get",
                         {{"keys", keys}, {"type", "text"}, {"withMetadata", false}});
    call.max_answer = kBulkAnswerBytes;
    ASSIGN_OR_RETURN(Answer answer, Do(call, deadline));
    return ParseKvBulkGet(answer.body);
  }

  StatusOr<KvPage> List(std::string_view prefix, std::string_view cursor, size_t limit, Deadline deadline) override {
    std::string target = "/keys?limit=" + std::to_string(limit);
    if (!prefix.empty()) target += "&prefix=" + PercentEncode(prefix);
    if (!cursor.empty()) target += "&cursor=" + PercentEncode(cursor);
    ASSIGN_OR_RETURN(Answer answer,
                     Do({.op = KvOperation::kList, .target = target, .max_answer = kListAnswerBytes}, deadline));
    return ParseKvPage(answer.body);
  }

  Status Put(std::string_view key, std::string_view value, const KvPutOptions& options, Deadline deadline) override {
    Call call{.op = KvOperation::kPut, .method = "PUT", .target = "/values/" + PercentEncode(key)};
    if (options.expiration_ttl != 0) call.target += "?expiration_ttl=" + std::to_string(options.expiration_ttl);
    if (!options.if_match.empty()) call.headers.emplace_back("If-Match", Quoted(options.if_match));
    if (options.if_none_match) call.headers.emplace_back("If-None-Match", "*");
    if (options.metadata.empty()) {
      call.content_type = "application/octet-stream";
      call.body = value;
    } else {
      std::string boundary = "mcpfleet-" + RandomHex(16);
      call.content_type = "multipart/form-data; boundary=" + boundary;
      call.body = "--" + boundary + "\r\nContent-Disposition: form-data; name=\"value\"\r\n\r\n" + std::string(value) +
                  "\r\n--" + boundary + "\r\nContent-Disposition: form-data; name=\"metadata\"\r\n\r\n" +
                  options.metadata + "\r\n--" + boundary + "--\r\n";
    }
    ASSIGN_OR_RETURN(Answer answer, Do(call, deadline));
    return CheckKvEnvelope(answer.body);
  }

  Status BulkPut(const std::vector<KvPair>& pairs, Deadline deadline) override {
    if (pairs.size() > limits::kBulkPairs) return InvalidArgument("bulk put: more than 10000 pairs");
    std::vector<const KvPair*> left;
    left.reserve(pairs.size());
    for (const KvPair& pair : pairs) left.push_back(&pair);
    for (int attempt = 1; !left.empty(); ++attempt) {
      ASSIGN_OR_RETURN(Call call, BulkPutCall(left));
      ASSIGN_OR_RETURN(Answer answer, Do(call, deadline));
      ASSIGN_OR_RETURN(std::vector<std::string> failed, ParseKvBulkResult(answer.body));
      std::erase_if(left, [&failed](const KvPair* pair) {
        return std::find(failed.begin(), failed.end(), pair->key) == failed.end();
      });
      if (left.empty()) break;
      if (attempt >= options_.max_attempts || !BackOff(attempt, 0, deadline)) {
        return Unavailable("bulk put: " + std::to_string(left.size()) + " keys were not stored");
      }
    }
    return OkStatus();
  }

  Status Delete(std::string_view key, Deadline deadline) override {
    StatusOr<Answer> answer =
        Do({.op = KvOperation::kDelete, .method = "DELETE", .target = "/values/" + PercentEncode(key)}, deadline);
    if (!answer.ok()) return answer.status().code() == StatusCode::kNotFound ? OkStatus() : answer.status();
    return CheckKvEnvelope(answer->body);
  }

  Status BulkDelete(const std::vector<std::string>& keys, Deadline deadline) override {
    if (keys.empty()) return OkStatus();
    ASSIGN_OR_RETURN(Answer answer, Do(JsonCall(KvOperation::kBulkDelete, "POST", "/bulk/delete", keys), deadline));
    ASSIGN_OR_RETURN(std::vector<std::string> failed, ParseKvBulkResult(answer.body));
    return failed.empty() ? OkStatus()
                          : Unavailable("bulk delete: " + std::to_string(failed.size()) + " keys are left");
  }

 private:
  static Call JsonCall(KvOperation op, std::string method, std::string target, const Json& body) {
    return {.op = op,
            .method = std::move(method),
            .target = std::move(target),
            .content_type = "application/json",
            .body = DumpJson(body)};
  }

  static StatusOr<Call> BulkPutCall(const std::vector<const KvPair*>& pairs) {
    Json items = Json::array();
    for (const KvPair* pair : pairs) {
      Json item = {{"key", pair->key}};
      if (IsUtf8(pair->value)) {
        item["value"] = pair->value;
      } else {
        item["value"] = Base64Encode(pair->value);
        item["base64"] = true;
      }
      if (pair->expiration_ttl != 0) item["expiration_ttl"] = pair->expiration_ttl;
      if (!pair->metadata.empty()) {
        ASSIGN_OR_RETURN(item["metadata"], ParseJson(pair->metadata));
      }
      items.push_back(std::move(item));
    }
    Call call = JsonCall(KvOperation::kBulkPut, "PUT", "/bulk", items);
    if (call.body.size() > limits::kBulkBytes) return InvalidArgument("bulk put: larger than 100 MB");
    return call;
  }

  // The answer of a 2xx; everything else as its status, after retries where they make sense.
  StatusOr<Answer> Do(const Call& call, Deadline deadline) {
    for (int attempt = 1;; ++attempt) {
      StatusOr<Answer> answer = Attempt(call, deadline.AtMost(options_.request_timeout));
      if (options_.on_request) options_.on_request(ToString(call.op), answer.ok() ? answer->status : 0);
      Status status = OkStatus();
      bool again = false;
      if (!answer.ok()) {
        status = answer.status();
        again = status.code() == StatusCode::kUnavailable || status.code() == StatusCode::kDeadlineExceeded;
      } else if (answer->status / 100 == 2) {
        return answer;
      } else {
        status = KvErrorStatus(answer->status, answer->body);
        again = answer->status == 429 || answer->status >= 500;
      }
      int retry_after = answer.ok() ? answer->retry_after : 0;
      if (!again || attempt >= options_.max_attempts || !BackOff(attempt, retry_after, deadline)) return status;
    }
  }

  // False when the wait would go beyond the deadline.
  bool BackOff(int attempt, int retry_after, Deadline deadline) {
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

  StatusOr<Answer> Attempt(const Call& call, Deadline deadline) {
    try {
      return Exchange(call, deadline);
    } catch (const std::exception& error) {
      return Unavailable("the store does not answer: " + Printable(error.what()));
    }
  }

  StatusOr<Answer> Exchange(const Call& call, Deadline deadline) {
    web::http::http_request request(call.method);
    request.set_request_uri(web::uri(prefix_ + call.target));
    if (!options_.token.empty()) request.headers().add("Authorization", "Bearer " + options_.token);
    for (const auto& [name, value] : call.headers) request.headers().add(name, value);
    if (!call.content_type.empty()) request.set_body(call.body, call.content_type);
    pplx::cancellation_token_source cancel;
    ASSIGN_OR_RETURN(web::http::http_response response,
                     Await(client_.request(request, cancel.get_token()), deadline, cancel));
    Answer answer;
    answer.status = response.status_code();
    size_t limit = answer.status / 100 == 2 ? call.max_answer : kErrorBytes;
    ASSIGN_OR_RETURN(answer.body, ReadBody(response, limit, deadline, cancel));
    const auto& headers = response.headers();
    if (auto it = headers.find("ETag"); it != headers.end()) answer.etag = Unquoted(it->second);
    if (auto it = headers.find("Retry-After"); it != headers.end()) {
      answer.retry_after = ParseRetryAfter(it->second, kMostRetryAfterSeconds);
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

  const RestKvOptions options_;
  const std::string prefix_;
  web::http::client::http_client client_;  // thread-safe; keeps connections
  Mutex mu_;
  std::mt19937_64 rng_ GUARDED_BY(mu_);
};

}  // namespace

void InitRestThreads() {
  try {
    crossplat::threadpool::initialize_with_threads(2);
  } catch (const std::exception&) {
    // Initialised already, with whatever size: it works all the same.
  }
}

StatusOr<std::unique_ptr<KvClient>> NewRestKvClient(RestKvOptions options) {
  while (!options.base_url.empty() && options.base_url.back() == '/') options.base_url.pop_back();
  RETURN_IF_ERROR(ParseStoreUrl(options.base_url).status());
  ASSIGN_OR_RETURN(StoreProxy proxy, ProxyFor(options.proxy, options.base_url));
  if (options.token.find_first_of("\r\n") != std::string::npos) return InvalidArgument("store token: has a line break");
  try {
    web::http::client::http_client_config config;
    config.set_timeout(std::chrono::duration_cast<std::chrono::milliseconds>(options.request_timeout));
    config.set_max_redirects(0);
    if (!proxy.endpoint.host.empty()) config.set_proxy(WebProxy(proxy));
    if (!options.ca_file.empty()) {
      config.set_ssl_context_callback([file = options.ca_file](boost::asio::ssl::context& context) {
        // cpprestsdk has put the system's certificates in; these are instead of them.
        SSL_CTX_set_cert_store(context.native_handle(), X509_STORE_new());
        context.load_verify_file(file);
      });
    }
    std::string base_url = options.base_url;
    return std::unique_ptr<KvClient>(std::make_unique<RestKvClient>(std::move(options), config));
  } catch (const std::exception& error) {
    return InvalidArgument("store URL: " + Printable(error.what()));
  }
}

}  // namespace mcpfleet
