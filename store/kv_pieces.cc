// What any KvClient can do by several calls, and what its operations are called.
#include <algorithm>
#include <utility>

#include "store/kv_client.h"

namespace mcpfleet {
namespace {

constexpr int kEmptyPages = 1000;  // Workers KV may send empty pages while expired keys are passed over

}  // namespace

std::string_view ToString(KvOperation operation) {
  switch (operation) {
    case KvOperation::kGet:
      return "get";
    case KvOperation::kBulkGet:
      return "bulk_get";
    case KvOperation::kList:
      return "list";
    case KvOperation::kPut:
      return "put";
    case KvOperation::kBulkPut:
      return "bulk_put";
    case KvOperation::kCommit:
      return "commit";
    case KvOperation::kDelete:
      return "delete";
    case KvOperation::kBulkDelete:
      return "bulk_delete";
  }
  return "";
}

StatusOr<bool> KvClient::Commit(const std::vector<KvPair>&, std::string_view, const KvPutOptions&, Deadline) {
  return false;
}

StatusOr<KvRead> KvClient::GetUnless(std::string_view key, std::string_view, Deadline deadline) {
  ASSIGN_OR_RETURN(std::optional<KvValue> value, Get(key, deadline));
  return KvRead{.value = std::move(value)};
}

StatusOr<std::vector<KvKey>> ListAll(KvClient& kv, std::string_view prefix, size_t max_keys, Deadline deadline) {
  std::vector<KvKey> keys;
  std::string cursor;
  for (int empty = 0; empty < kEmptyPages;) {
    ASSIGN_OR_RETURN(KvPage page, kv.List(prefix, cursor, limits::kListKeys, deadline));
    if (page.keys.empty()) ++empty;
    if (keys.size() + page.keys.size() > max_keys) {
      return ResourceExhausted("more than " + std::to_string(max_keys) + " keys");
    }
    std::move(page.keys.begin(), page.keys.end(), std::back_inserter(keys));
    if (page.cursor.empty()) return keys;
    if (page.cursor == cursor && page.keys.empty()) return Unavailable("the list does not end");
    cursor = std::move(page.cursor);
  }
  return Unavailable("the list does not end");
}

StatusOr<std::map<std::string, std::string>> BulkGetAll(KvClient& kv, const std::vector<std::string>& keys,
                                                        Deadline deadline) {
  std::map<std::string, std::string> found;
  size_t lot = limits::kBulkGetKeys;
  for (size_t at = 0; at < keys.size();) {
    size_t count = std::min(lot, keys.size() - at);
    std::vector<std::string> some(keys.begin() + static_cast<std::ptrdiff_t>(at),
                                  keys.begin() + static_cast<std::ptrdiff_t>(at + count));
    auto values = kv.BulkGet(some, deadline);
    if (!values.ok()) {
      // Large values: fewer at a time.
      if (values.status().code() != StatusCode::kResourceExhausted || count == 1) return values.status();
      lot = std::max<size_t>(1, count / 2);
      continue;
    }
    found.merge(*values);
    at += count;
  }
  return found;
}

Status BulkPutAll(KvClient& kv, const std::vector<KvPair>& pairs, Deadline deadline) {
  std::vector<KvPair> lot;
  size_t bytes = 0;
  for (const KvPair& pair : pairs) {
    // Half of the limit: it counts the encoded request, in which escapes make values longer.
    size_t size = pair.key.size() + pair.value.size() + pair.metadata.size() + 64;
    if (!lot.empty() && (lot.size() == limits::kBulkPairs || bytes + size > limits::kBulkBytes / 2)) {
      RETURN_IF_ERROR(kv.BulkPut(lot, deadline));
      lot.clear();
      bytes = 0;
    }
    lot.push_back(pair);
    bytes += size;
  }
  return lot.empty() ? OkStatus() : kv.BulkPut(lot, deadline);
}

Status BulkDeleteAll(KvClient& kv, const std::vector<std::string>& keys, Deadline deadline) {
  for (size_t at = 0; at < keys.size(); at += limits::kBulkPairs) {
    size_t count = std::min(limits::kBulkPairs, keys.size() - at);
    RETURN_IF_ERROR(kv.BulkDelete(
        {keys.begin() + static_cast<std::ptrdiff_t>(at), keys.begin() + static_cast<std::ptrdiff_t>(at + count)},
        deadline));
  }
  return OkStatus();
}

}  // namespace mcpfleet
