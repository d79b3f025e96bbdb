// RestKvClient: the KV protocol over RestClient.
#include "store/kv_client.h"

#include <algorithm>
#include <atomic>
#include <set>
#include <utility>

#include <nlohmann/json.hpp>

#include "base/digest.h"
#include "base/json.h"
#include "base/strings.h"
#include "store/kv_response.h"
#include "store/rest_client.h"
#include "store/snapshot.h"

namespace mcpfleet {
namespace {

// Escapes and the envelope make an answer longer than its values; more than this is not read.
constexpr size_t kBulkAnswerBytes = limits::kBulkBytes;
// One bulk request. The Worker takes no more (413), and nobody else is worse off with pieces of this size.
constexpr size_t kBulkRequestBytes = 10'000'000;
// And does no more keys in one request: the rest is reported as not done, and goes out at once.
constexpr size_t kBulkRequestKeys = 900;
constexpr int kTooLarge = 413, kNotModified = 304;
constexpr size_t kValueAnswerBytes = limits::kValueBytes + 4096;
constexpr size_t kBulkResultBytes = limits::kBulkPairs * (limits::kKeyBytes + 16);  // all of them named
constexpr size_t kListAnswerBytes = limits::kListKeys * (limits::kKeyBytes + 2 * limits::kMetadataBytes + 256);

struct Call {
  KvOperation op = KvOperation::kGet;
  std::string method = "GET";
  std::string target;  // below the namespace: "/values/…"
  std::string content_type, body;
  std::vector<std::pair<std::string, std::string>> headers;
  size_t max_answer = kRestErrorBytes;
  int accept = 0;
};

// A key of a bulk request and what stands for it there, encoded.
struct BulkItem {
  std::string_view key;
  std::string text;
};

std::string Quoted(const std::string& etag) { return "\"" + etag + "\""; }

class RestKvClient final : public KvClient {
 public:
  RestKvClient(const KvNamespace& namespace_, std::unique_ptr<RestClient> rest)
      : prefix_("/client/v4/accounts/" + PercentEncode(namespace_.account) + "/storage/kv/namespaces/" +
                PercentEncode(namespace_.id)),
        rest_(std::move(rest)) {}

  StatusOr<std::optional<KvValue>> Get(std::string_view key, Deadline deadline) override {
    Call call{.op = KvOperation::kGet, .target = "/values/" + PercentEncode(key), .max_answer = kValueAnswerBytes};
    StatusOr<RestAnswer> answer = Do(call, deadline);
    if (answer.ok() && answer->commit_bytes > 0) commit_bytes_ = static_cast<size_t>(answer->commit_bytes);
    if (answer.ok()) return std::optional<KvValue>(KvValue{std::move(answer->body), std::move(answer->etag)});
    if (answer.status().code() == StatusCode::kNotFound) return std::optional<KvValue>();
    return answer.status();
  }

  StatusOr<KvRead> GetUnless(std::string_view key, std::string_view etag, Deadline deadline) override {
    Call call{.op = KvOperation::kGet, .target = "/values/" + PercentEncode(key), .max_answer = kValueAnswerBytes};
    if (!etag.empty()) {
      call.headers.emplace_back("If-None-Match", Quoted(std::string(etag)));
      call.accept = kNotModified;
    }
    StatusOr<RestAnswer> answer = Do(call, deadline);
    if (answer.ok() && answer->status == kNotModified) return KvRead{.not_modified = true};
    if (answer.ok()) return KvRead{.value = KvValue{std::move(answer->body), std::move(answer->etag)}};
    if (answer.status().code() == StatusCode::kNotFound) return KvRead{};
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
    SetCondition(options, &call);
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
    std::vector<BulkItem> items;
    items.reserve(pairs.size());
    size_t bytes = 2;
    for (const KvPair& pair : pairs) {
      ASSIGN_OR_RETURN(std::string text, EncodePair(pair));
      bytes += text.size() + 1;
      items.push_back({pair.key, std::move(text)});
    }
    if (bytes > limits::kBulkBytes) return InvalidArgument("bulk put: larger than 100 MB");
    return DoInPieces({.op = KvOperation::kBulkPut, .method = "PUT", .target = "/bulk"}, std::move(items), deadline);
  }

  StatusOr<bool> Commit(const std::vector<KvPair>& values, std::string_view head, const KvPutOptions& condition,
                        Deadline deadline) override {
    const size_t most = commit_bytes_;
    if (most == 0) return false;
    Call call{.op = KvOperation::kCommit, .method = "PUT", .target = "/bulk", .accept = kTooLarge};
    call.body = "[";
    for (const KvPair& pair : values) {
      ASSIGN_OR_RETURN(const std::string text, EncodePair(pair));
      call.body.append(text).append(",");
      if (call.body.size() > most) return false;
    }
    ASSIGN_OR_RETURN(const std::string last, EncodePair({.key = kHeadKey, .value = std::string(head)}));
    call.body.append(last).append("]");
    if (call.body.size() > most) return false;
    call.content_type = "application/json";
    SetCondition(condition, &call);
    ASSIGN_OR_RETURN(RestAnswer answer, Do(call, deadline));
    if (answer.status == kTooLarge) return false;
    ASSIGN_OR_RETURN(const std::vector<std::string> failed, ParseKvBulkResult(answer.body));
    if (!failed.empty()) return Unavailable("commit: the store did a part of it");
    return true;
  }

  Status Delete(std::string_view key, Deadline deadline) override {
    StatusOr<RestAnswer> answer =
        Do({.op = KvOperation::kDelete, .method = "DELETE", .target = "/values/" + PercentEncode(key)}, deadline);
    if (!answer.ok()) return answer.status().code() == StatusCode::kNotFound ? OkStatus() : answer.status();
    return CheckKvEnvelope(answer->body);
  }

  Status BulkDelete(const std::vector<std::string>& keys, Deadline deadline) override {
    std::vector<BulkItem> items;
    items.reserve(keys.size());
    for (const std::string& key : keys) items.push_back({key, DumpJson(key)});
    return DoInPieces({.op = KvOperation::kBulkDelete, .method = "POST", .target = "/bulk/delete"}, std::move(items),
                      deadline);
  }

 private:
  static void SetCondition(const KvPutOptions& options, Call* call) {
    if (!options.if_match.empty()) call->headers.emplace_back("If-Match", Quoted(options.if_match));
    if (options.if_none_match) call->headers.emplace_back("If-None-Match", "*");
  }

  static Call JsonCall(KvOperation op, std::string method, std::string target, const Json& body) {
    return {.op = op,
            .method = std::move(method),
            .target = std::move(target),
            .content_type = "application/json",
            .body = DumpJson(body)};
  }

  static StatusOr<std::string> EncodePair(const KvPair& pair) {
    Json item = {{"key", pair.key}};
    if (IsUtf8(pair.value)) {
      item["value"] = pair.value;
    } else {
      item["value"] = Base64Encode(pair.value);
      item["base64"] = true;
    }
    if (pair.expiration_ttl != 0) item["expiration_ttl"] = pair.expiration_ttl;
    if (!pair.metadata.empty()) {
      ASSIGN_OR_RETURN(item["metadata"], ParseJson(pair.metadata));
    }
    return DumpJson(item);
  }

  // How many of the items go into one request of at most `bytes`: one at least.
  static size_t Fitting(const std::vector<BulkItem>& items, size_t bytes) {
    size_t count = 0, size = 2;
    while (count < items.size() && (size += items[count].text.size() + 1) <= bytes) ++count;
    return std::max<size_t>(count, 1);
  }

  // A request for all of the items, in pieces that the store takes; what it did not do is asked for again.
  Status DoInPieces(Call call, std::vector<BulkItem> items, Deadline deadline) {
    const std::string what(ToString(call.op));
    call.content_type = "application/json";
    call.accept = kTooLarge;
    call.max_answer = kBulkResultBytes;
    size_t most_keys = limits::kBulkPairs;
    for (int attempt = 1; !items.empty();) {
      const size_t count = std::min(Fitting(items, request_bytes_), most_keys);
      call.body = "[";
      for (size_t i = 0; i < count; ++i) call.body.append(i == 0 ? "" : ",").append(items[i].text);
      call.body += ']';
      ASSIGN_OR_RETURN(RestAnswer answer, Do(call, deadline));
      if (answer.status == kTooLarge) {
        if (count == 1) return InvalidArgument(what + ": the store takes no value of this size");
        request_bytes_ = call.body.size() / 2;
        continue;
      }
      ASSIGN_OR_RETURN(std::vector<std::string> named, ParseKvBulkResult(answer.body));
      const std::set<std::string_view> failed(named.begin(), named.end());
      const size_t before = items.size();
      const auto end = items.begin() + static_cast<std::ptrdiff_t>(count);
      items.erase(
          std::remove_if(items.begin(), end, [&failed](const BulkItem& item) { return !failed.contains(item.key); }),
          end);
      const size_t done = before - items.size();
      if (done > 0) attempt = 1;
      if (done == count) continue;
      // It has done its share of this request, or it is in trouble: then it is left alone for a while.
      if (done >= kBulkRequestKeys) {
        most_keys = done;
        continue;
      }
      if (!rest_->BackOff(attempt++, 0, deadline)) {
        return Unavailable(what + ": " + std::to_string(items.size()) + " keys were not done");
      }
    }
    return OkStatus();
  }

  StatusOr<RestAnswer> Do(const Call& call, Deadline deadline) {
    return rest_->Do({.operation = ToString(call.op),
                      .method = call.method,
                      .target = prefix_ + call.target,
                      .content_type = call.content_type,
                      .body = call.body,
                      .headers = call.headers,
                      .max_answer = call.max_answer,
                      .accept = call.accept,
                      .repeatable = true},  // the POSTs of this protocol are reads and deletes
                     deadline);
  }

  const std::string prefix_;
  const std::unique_ptr<RestClient> rest_;
  std::atomic<size_t> commit_bytes_{0};                   // as the store said with its head
  std::atomic<size_t> request_bytes_{kBulkRequestBytes};  // of a bulk request; halved when the store takes less
};

}  // namespace

StatusOr<std::unique_ptr<KvClient>> NewRestKvClient(RestOptions options, const KvNamespace& namespace_) {
  ASSIGN_OR_RETURN(std::unique_ptr<RestClient> rest, NewRestClient(std::move(options)));
  return std::unique_ptr<KvClient>(std::make_unique<RestKvClient>(namespace_, std::move(rest)));
}

}  // namespace mcpfleet
