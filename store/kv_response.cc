#include "store/kv_response.h"

#include <algorithm>
#include <charconv>

#include <nlohmann/json.hpp>

#include "base/json.h"
#include "base/strings.h"

namespace mcpfleet {
namespace {

constexpr size_t kEnvelopeBytes = size_t{256} << 20;  // a bulk get of 100 escaped values; the transport bounds it first

bool IsEnvelope(const Json& json) { return json.is_object() && GetMember(json, "success").is_boolean(); }

StatusOr<Json> ParseEnvelope(std::string_view body) {
  StatusOr<Json> json = ParseJson(body, {.bytes = kEnvelopeBytes});
  if (!json.ok() || !IsEnvelope(*json)) return Unavailable("the answer is not from a KV store");
  if (!GetBool(*json, "success"))
    return Unavailable("the store reports failure (code " + std::to_string(KvErrorCode(body)) + ")");
  return json;
}

std::string TextOf(const Json& value) { return value.is_string() ? value.get<std::string>() : DumpJson(value); }

}  // namespace

int KvErrorCode(std::string_view body) {
  StatusOr<Json> json = ParseJson(body, {.bytes = size_t{64} << 10});
  if (!json.ok()) return 0;
  const Json& errors = GetMember(*json, "errors");
  if (!errors.is_array() || errors.empty()) return 0;
  int64_t code = GetInt(errors[0], "code");
  return code > 0 && code < 1'000'000 ? static_cast<int>(code) : 0;
}

Status KvErrorStatus(int http_status, std::string_view body) {
  int code = KvErrorCode(body);
  std::string suffix =
      " (HTTP " + std::to_string(http_status) + (code != 0 ? ", code " + std::to_string(code) : "") + ")";
  switch (http_status) {
    case 404:
      if (code == kKvKeyNotFound) return NotFound("no such key" + suffix);
      if (code == kKvNamespaceNotFound) return FailedPrecondition("the namespace does not exist" + suffix);
      return Unavailable("the answer is not from a KV store" + suffix);
    case 401:
      return Unauthenticated("the store does not accept the token" + suffix);
    case 403:
      return PermissionDenied("the store refuses this to the token" + suffix);
    case 412:
      return Aborted("the key has changed" + suffix);
    case 428:
      return FailedPrecondition("the head moves only by compare-and-swap" + suffix);
    case 400:
    case 413:
    case 414:
      return InvalidArgument("the store refuses the request" + suffix);
    default:
      break;
  }
  return Unavailable("the store does not answer the request" + suffix);
}

int KvHttpStatus(const Status& status) {
  switch (status.code()) {
    case StatusCode::kOk:
      return 200;
    case StatusCode::kAborted:
      return 412;
    case StatusCode::kInvalidArgument:
      return Message(status).find("larger") != std::string::npos ? 413 : 400;
    case StatusCode::kFailedPrecondition:
      return 428;
    case StatusCode::kResourceExhausted:
      return 507;
    case StatusCode::kUnavailable:
      return 503;
    default:
      return 500;
  }
}

Status CheckKvEnvelope(std::string_view body) { return ParseEnvelope(body).status(); }

StatusOr<KvPage> ParseKvPage(std::string_view body) {
  ASSIGN_OR_RETURN(Json json, ParseEnvelope(body));
  const Json& result = GetMember(json, "result");
  if (!result.is_array() || result.size() > limits::kListKeys) return Unavailable("the list has no result");
  KvPage page;
  for (const Json& item : result) {
    KvKey key{GetString(item, "name"), "", GetInt(item, "expiration")};
    if (key.name.empty() || key.name.size() > limits::kKeyBytes)
      return Unavailable("the list has a key without a name");
    if (const Json& metadata = GetMember(item, "metadata"); !metadata.is_null()) key.metadata = DumpJson(metadata);
    page.keys.push_back(std::move(key));
  }
  page.cursor = GetString(GetMember(json, "result_info"), "cursor");
  return page;
}

StatusOr<std::map<std::string, std::string>> ParseKvBulkGet(std::string_view body) {
  ASSIGN_OR_RETURN(Json json, ParseEnvelope(body));
  const Json& values = GetMember(GetMember(json, "result"), "values");
  if (!values.is_object()) return Unavailable("the bulk answer has no values");
  std::map<std::string, std::string> found;
  for (const auto& [key, value] : values.items()) {
    if (value.is_null()) continue;
    // With metadata each value is wrapped; we never ask for it, but a store may answer so.
    found[key] = value.is_object() && value.contains("value") ? TextOf(value["value"]) : TextOf(value);
  }
  return found;
}

StatusOr<std::vector<std::string>> ParseKvBulkResult(std::string_view body) {
  ASSIGN_OR_RETURN(Json json, ParseEnvelope(body));
  return StringsOf(GetMember(GetMember(json, "result"), "unsuccessful_keys"));
}

int ParseRetryAfter(std::string_view value, int most) {
  value = Trim(value);
  int seconds = 0;
  auto [at, error] = std::from_chars(value.data(), value.data() + value.size(), seconds);
  if (error == std::errc::result_out_of_range) return most;
  if (error != std::errc() || at != value.data() + value.size() || seconds < 0) return 0;
  return std::min(seconds, most);
}

}  // namespace mcpfleet
