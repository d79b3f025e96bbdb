// A client of one namespace of a key-value store with the abilities of Workers KV: no transactions, reads and misses
// that may be a minute old, and a compare-and-swap on the head only (where the store is ours).
//
// RestKvClient speaks the Cloudflare KV REST protocol to any of the three servers that do: the embedded store, our
// Worker, Cloudflare itself. In mcplet, EmbeddedKv::Client answers without a socket.
//
// A key that is absent is not an error. Errors: Unavailable (429, 5xx, a body that is no answer of such a store: no
// news), DeadlineExceeded, Unauthenticated, PermissionDenied, FailedPrecondition (the namespace does not exist; a
// head written without a condition), Aborted (a condition did not hold), InvalidArgument (a limit of the service),
// ResourceExhausted (an answer beyond the limit). No message carries a token or a value. Thread-safe.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/limits.h"
#include "base/status.h"
#include "store/rest_client.h"

namespace mcpfleet {

inline constexpr char kConfigNamespace[] = "CONFIG";
inline constexpr char kServerStateNamespace[] = "SERVER_STATE";
inline constexpr char kDeviceTokensNamespace[] = "DEVICE_TOKENS";

struct KvValue {
  std::string value;
  std::string etag;  // without quotes; "" where the store has none
};

// What a read under a condition found.
struct KvRead {
  bool not_modified = false;     // the value that is known is still the one
  std::optional<KvValue> value;  // otherwise; nullopt: absent
};

struct KvPair {
  std::string key, value;
  std::string metadata;        // JSON text of at most 1024 bytes; "": none
  int64_t expiration_ttl = 0;  // seconds, at least 60; 0: never
};

struct KvPutOptions {
  std::string metadata;
  int64_t expiration_ttl = 0;
  std::string if_match;        // an etag without quotes
  bool if_none_match = false;  // only when the key is absent
};

struct KvKey {
  std::string name;
  std::string metadata;    // JSON text, "" for none
  int64_t expiration = 0;  // Unix seconds, 0: never
};
struct KvPage {
  std::vector<KvKey> keys;  // in the order of their bytes; may be empty while a cursor follows
  std::string cursor;       // "": this was the last page
};

// What a client is asked for, as logs and metrics name it.
enum class KvOperation { kGet, kBulkGet, kList, kPut, kBulkPut, kCommit, kDelete, kBulkDelete };
inline constexpr KvOperation kKvOperations[] = {KvOperation::kGet,    KvOperation::kBulkGet,   KvOperation::kList,
                                                KvOperation::kPut,    KvOperation::kBulkPut,   KvOperation::kCommit,
                                                KvOperation::kDelete, KvOperation::kBulkDelete};
std::string_view ToString(KvOperation operation);  // "get", "bulk_get", …

class KvClient {
 public:
  virtual ~KvClient() = default;
  virtual StatusOr<std::optional<KvValue>> Get(std::string_view key, Deadline deadline) = 0;
  // As Get, of a value that is known by its etag ("": it is not): a store that has conditional reads sends it only if
  // it has another one. One read all the same.
  virtual StatusOr<KvRead> GetUnless(std::string_view key, std::string_view etag, Deadline deadline);
  // At most limits::kBulkGetKeys text values; the answer holds only what is there. One read.
  virtual StatusOr<std::map<std::string, std::string>> BulkGet(const std::vector<std::string>& keys,
                                                               Deadline deadline) = 0;
  // One page of 10 to limits::kListKeys keys.
  virtual StatusOr<KvPage> List(std::string_view prefix, std::string_view cursor, size_t limit, Deadline deadline) = 0;
  virtual Status Put(std::string_view key, std::string_view value, const KvPutOptions& options, Deadline deadline) = 0;
  // At most limits::kBulkPairs pairs of limits::kBulkBytes together; not atomic. OK means that all of them are stored,
  // in as many requests as the store needs.
  virtual Status BulkPut(const std::vector<KvPair>& pairs, Deadline deadline) = 0;
  // Stores `values` and puts the head under its condition, both or neither, in one request. False, and nothing was
  // done: the store can't, or not so much at once.
  virtual StatusOr<bool> Commit(const std::vector<KvPair>& values, std::string_view head, const KvPutOptions& condition,
                                Deadline deadline);
  // OK when absent already.
  virtual Status Delete(std::string_view key, Deadline deadline) = 0;
  virtual Status BulkDelete(const std::vector<std::string>& keys, Deadline deadline) = 0;
};

// Every key below `prefix`, page by page (past empty ones), at most `max_keys`: more is ResourceExhausted.
StatusOr<std::vector<KvKey>> ListAll(KvClient& kv, std::string_view prefix, size_t max_keys, Deadline deadline);
// Any number of keys and pairs, in pieces that the service takes.
StatusOr<std::map<std::string, std::string>> BulkGetAll(KvClient& kv, const std::vector<std::string>& keys,
                                                        Deadline deadline);
Status BulkPutAll(KvClient& kv, const std::vector<KvPair>& pairs, Deadline deadline);
Status BulkDeleteAll(KvClient& kv, const std::vector<std::string>& keys, Deadline deadline);

// Which namespace, and whose.
struct KvNamespace {
  std::string id = kConfigNamespace;
  std::string account = "local";
};

// `options.base_url` is without "/client/v4/…".
StatusOr<std::unique_ptr<KvClient>> NewRestKvClient(RestOptions options, const KvNamespace& namespace_ = {});

}  // namespace mcpfleet
