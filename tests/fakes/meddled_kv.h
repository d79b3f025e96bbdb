// A KvClient with a stranger in it: he acts just before the head is read, or moved.
#pragma once

#include <functional>

#include "store/kv_client.h"
#include "store/snapshot.h"

namespace mcpfleet {

class MeddledKv final : public KvClient {
 public:
  explicit MeddledKv(KvClient& to) : to_(to) {}
  // With the number of the read or move, from 1.
  std::function<void(int)> before_read, before_move;

  StatusOr<std::optional<KvValue>> Get(std::string_view key, Deadline deadline) override {
    if (key == kHeadKey && before_read != nullptr) before_read(++reads_);
    return to_.Get(key, deadline);
  }
  StatusOr<std::map<std::string, std::string>> BulkGet(const std::vector<std::string>& keys,
                                                       Deadline deadline) override {
    return to_.BulkGet(keys, deadline);
  }
  StatusOr<KvPage> List(std::string_view prefix, std::string_view cursor, size_t limit, Deadline deadline) override {
    return to_.List(prefix, cursor, limit, deadline);
  }
  Status Put(std::string_view key, std::string_view value, const KvPutOptions& options, Deadline deadline) override {
    if (key == kHeadKey && before_move != nullptr) before_move(++moves_);
    return to_.Put(key, value, options, deadline);
  }
  Status BulkPut(const std::vector<KvPair>& pairs, Deadline deadline) override { return to_.BulkPut(pairs, deadline); }
  Status Delete(std::string_view key, Deadline deadline) override { return to_.Delete(key, deadline); }
  Status BulkDelete(const std::vector<std::string>& keys, Deadline deadline) override {
    return to_.BulkDelete(keys, deadline);
  }

 private:
  KvClient& to_;
  int reads_ = 0, moves_ = 0;
};

}  // namespace mcpfleet
