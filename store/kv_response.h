// Reading what a KV REST server answered: the envelope, its error codes, and the shapes of lists and bulk results.
// Pure and bounded; the transport is in rest_client.cc. Source: cloudflare-typescript, resources/kv.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "store/kv_client.h"

namespace mcpfleet {

inline constexpr int kKvKeyNotFound = 10009;
inline constexpr int kKvNamespaceNotFound = 10013;

// The code of the first error in an envelope, 0 when `body` is no envelope.
int KvErrorCode(std::string_view body);
// What a status other than 2xx means. 404 is FailedPrecondition for a missing namespace, NotFound for a missing key,
// and Unavailable when the body is not from a KV store (a proxy's page): no news.
Status KvErrorStatus(int http_status, std::string_view body);
// The HTTP status with which the embedded store answers; 200 for OK.
int KvHttpStatus(const Status& status);
// Whether `body` is an envelope with success: true; anything else is Unavailable.
Status CheckKvEnvelope(std::string_view body);
StatusOr<KvPage> ParseKvPage(std::string_view body);
StatusOr<std::map<std::string, std::string>> ParseKvBulkGet(std::string_view body);
// The keys that a bulk put did not store.
StatusOr<std::vector<std::string>> ParseKvBulkResult(std::string_view body);
// Seconds of a retry-after header, at most `most`; HTTP dates and nonsense are 0.
int ParseRetryAfter(std::string_view value, int most);

}  // namespace mcpfleet
