// The embedded store: Workers KV's behaviour on one SQLite file, with the rules that the real KV lacks: the head moves
// only by compare-and-swap, and a blob's key must be the hash of its bytes.
//
// WAL with synchronous=FULL: a write that was answered survives a power cut. One writer at a time. Blocking and
// thread-safe. Errors as KvClient; the limits are those of the real service (base/limits.h).
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/status.h"
#include "store/kv_client.h"

namespace mcpfleet {

struct EmbeddedValue {
  std::string value, metadata, etag;
  int64_t expiration = 0;
};

class EmbeddedKv {
 public:
  // Makes the file (0600) when absent. `clock` decides expiry and must outlive the store.
  static StatusOr<std::unique_ptr<EmbeddedKv>> Open(const std::string& path, const Clock& clock);
  virtual ~EmbeddedKv() = default;

  static bool HasNamespace(std::string_view ns);

  virtual StatusOr<std::optional<EmbeddedValue>> Get(std::string_view ns, std::string_view key) = 0;
  virtual StatusOr<KvPage> List(std::string_view ns, std::string_view prefix, std::string_view cursor,
                                size_t limit) = 0;
  // Aborted: the condition did not hold. FailedPrecondition: the head without a condition.
  virtual Status Put(std::string_view ns, const KvPair& pair, const KvPutOptions& options) = 0;
  // All or nothing here; the head can't be among them.
  virtual Status BulkPut(std::string_view ns, const std::vector<KvPair>& pairs) = 0;
  // All or nothing. Aborted: one of them is a blob that was written minutes ago.
  virtual Status Delete(std::string_view ns, const std::vector<std::string>& keys) = 0;

  // Called with each new head after it is durable, by the thread that wrote it: two heads may be told out of order, so
  // the listener compares. Set once, before the first write.
  virtual void OnHead(std::function<void(const std::string& head_json)> callback) = 0;

  // A KvClient of one namespace without a socket; must not outlive the store.
  std::unique_ptr<KvClient> Client(std::string ns);
};

}  // namespace mcpfleet
