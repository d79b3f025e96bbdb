// RestKvClient: the KV protocol over RestClient.
#include "store/kv_client.h"

#include <algorithm>
#include <utility>

#include <nlohmann/json.hpp>

#include "base/digest.h"
#include "base/json.h"
#include "base/strings.h"
#include "store/kv_response.h"
#include "store/rest_client.h"

namespace mcpfleet {
namespace {

// Escapes and the envelope make an answer longer than its values; more than this is not read.
constexpr size_t kBulkAnswerBytes = limits::kBulkBytes;
constexpr size_t kValueAnswerBytes = limits::kValueBytes + 4096;
constexpr size_t kListAnswerBytes = limits::kListKeys * (limits::kKeyBytes + 2 * limits::kMetadataBytes + 256);

struct Call {
  KvOperation op = KvOperation::kGet;
  std::string method = "GET";
  std::string target;  // below the namespace: "/values/…"
  std::string content_type, body;
  std::vector<std::pair<std::string, std::string>> headers;
  size_t max_answer = kRestErrorBytes;
};

std::string Quoted(const std::string& etag) { return "\"" + etag + "\""; }

class RestKvClient final : public KvClient {
 public:
  RestKvClient(const RestKvOptions& options, std::unique_ptr<RestClient> rest)
      : prefix_("/client/v4/accounts/" + PercentEncode(options.account) + "/storage/kv/namespaces/" +
                PercentEncode(options.namespace_id)),
        rest_(std::move(rest)) {}

  StatusOr<std::optional<KvValue>> Get(std::string_view key, Deadline deadline) override {
    Call call{.op = KvOperation::kGet, .target = "/values/" + PercentEncode(key), .max_answer = kValueAnswerBytes};
    StatusOr<RestAnswer> answer = Do(call, deadline);
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
    ASSIGN_OR_RETURN(RestAnswer answer, Do(call, deadline));
    return ParseKvBulkGet(answer.body);
  }

  StatusOr<KvPage> List(std::string_view prefix, std::string_view cursor, size_t limit, Deadline deadline) override {
    std::string target = "/keys?limit=" + std::to_string(limit);
    if (!prefix.empty()) target += "&prefix=" + PercentEncode(prefix);
    if (!cursor.empty()) target += "&cursor=" + PercentEncode(cursor);
    ASSIGN_OR_RETURN(RestAnswer answer,
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
    ASSIGN_OR_RETURN(RestAnswer answer, Do(call, deadline));
    return CheckKvEnvelope(answer.body);
  }

  Status BulkPut(const std::vector<KvPair>& pairs, Deadline deadline) override {
    if (pairs.size() > limits::kBulkPairs) return InvalidArgument("bulk put: more than 10000 pairs");
    std::vector<const KvPair*> left;
    left.reserve(pairs.size());
    for (const KvPair& pair : pairs) left.push_back(&pair);
    for (int attempt = 1; !left.empty(); ++attempt) {
      ASSIGN_OR_RETURN(Call call, BulkPutCall(left));
      ASSIGN_OR_RETURN(RestAnswer answer, Do(call, deadline));
      ASSIGN_OR_RETURN(std::vector<std::string> failed, ParseKvBulkResult(answer.body));
      std::erase_if(left, [&failed](const KvPair* pair) {
        return std::find(failed.begin(), failed.end(), pair->key) == failed.end();
      });
      if (left.empty()) break;
      if (!rest_->BackOff(attempt, 0, deadline)) {
        return Unavailable("bulk put: " + std::to_string(left.size()) + " keys were not stored");
      }
    }
    return OkStatus();
  }

  Status Delete(std::string_view key, Deadline deadline) override {
    StatusOr<RestAnswer> answer =
        Do({.op = KvOperation::kDelete, .method = "DELETE", .target = "/values/" + PercentEncode(key)}, deadline);
    if (!answer.ok()) return answer.status().code() == StatusCode::kNotFound ? OkStatus() : answer.status();
    return CheckKvEnvelope(answer->body);
  }

  Status BulkDelete(const std::vector<std::string>& keys, Deadline deadline) override {
    if (keys.empty()) return OkStatus();
    ASSIGN_OR_RETURN(RestAnswer answer, Do(JsonCall(KvOperation::kBulkDelete, "POST", "/bulk/delete", keys), deadline));
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

  StatusOr<RestAnswer> Do(const Call& call, Deadline deadline) {
    return rest_->Do({.operation = ToString(call.op),
                      .method = call.method,
                      .target = prefix_ + call.target,
                      .content_type = call.content_type,
                      .body = call.body,
                      .headers = call.headers,
                      .max_answer = call.max_answer},
                     deadline);
  }

  const std::string prefix_;
  const std::unique_ptr<RestClient> rest_;
};

}  // namespace

StatusOr<std::unique_ptr<KvClient>> NewRestKvClient(const RestKvOptions& options) {
  ASSIGN_OR_RETURN(std::unique_ptr<RestClient> rest, NewRestClient({.base_url = options.base_url,
                                                                    .token = options.token,
                                                                    .proxy = options.proxy,
                                                                    .ca_file = options.ca_file,
                                                                    .request_timeout = options.request_timeout,
                                                                    .max_attempts = options.max_attempts,
                                                                    .backoff_initial = options.backoff_initial,
                                                                    .backoff_max = options.backoff_max,
                                                                    .jitter_seed = options.jitter_seed,
                                                                    .on_request = options.on_request}));
  return std::unique_ptr<KvClient>(std::make_unique<RestKvClient>(options, std::move(rest)));
}

}  // namespace mcpfleet
