#include "store/counted_kv.h"

#include <utility>

#include "store/kv_response.h"

namespace mcpfleet {
namespace {

class CountedKv final : public KvClient {
 public:
  CountedKv(std::unique_ptr<KvClient> kv, RestListener on_request)
      : kv_(std::move(kv)), on_request_(std::move(on_request)) {}

  StatusOr<std::optional<KvValue>> Get(std::string_view key, Deadline deadline) override {
    auto value = kv_->Get(key, deadline);
    const bool absent = value.ok() && !value->has_value();
    on_request_(ToString(KvOperation::kGet), absent ? 404 : KvHttpStatus(value.status()));
    return value;
  }
  StatusOr<KvRead> GetUnless(std::string_view key, std::string_view etag, Deadline deadline) override {
    auto read = kv_->GetUnless(key, etag, deadline);
    const bool absent = read.ok() && !read->not_modified && !read->value;
    on_request_(ToString(KvOperation::kGet), absent                            ? 404
                                             : read.ok() && read->not_modified ? 304
                                                                               : KvHttpStatus(read.status()));
    return read;
  }
  StatusOr<std::map<std::string, std::string>> BulkGet(const std::vector<std::string>& keys,
                                                       Deadline deadline) override {
    return Told(KvOperation::kBulkGet, kv_->BulkGet(keys, deadline));
  }
  StatusOr<KvPage> List(std::string_view prefix, std::string_view cursor, size_t limit, Deadline deadline) override {
    return Told(KvOperation::kList, kv_->List(prefix, cursor, limit, deadline));
  }
  Status Put(std::string_view key, std::string_view value, const KvPutOptions& options, Deadline deadline) override {
    return Told(KvOperation::kPut, kv_->Put(key, value, options, deadline));
  }
  Status BulkPut(const std::vector<KvPair>& pairs, Deadline deadline) override {
    return Told(KvOperation::kBulkPut, kv_->BulkPut(pairs, deadline));
  }
  StatusOr<bool> Commit(const std::vector<KvPair>& values, std::string_view head, const KvPutOptions& condition,
                        Deadline deadline) override {
    StatusOr<bool> done = kv_->Commit(values, head, condition, deadline);
    if (!done.ok() || *done) on_request_(ToString(KvOperation::kCommit), KvHttpStatus(done.status()));
    return done;
  }
  Status Delete(std::string_view key, Deadline deadline) override {
    return Told(KvOperation::kDelete, kv_->Delete(key, deadline));
  }
  Status BulkDelete(const std::vector<std::string>& keys, Deadline deadline) override {
    return Told(KvOperation::kBulkDelete, kv_->BulkDelete(keys, deadline));
  }

 private:
  Status Told(KvOperation operation, Status status) {
    on_request_(ToString(operation), KvHttpStatus(status));
    return status;
  }
  template <typename T>
  StatusOr<T> Told(KvOperation operation, StatusOr<T> answer) {
    on_request_(ToString(operation), KvHttpStatus(answer.status()));
    return answer;
  }

  const std::unique_ptr<KvClient> kv_;
  const RestListener on_request_;
};

}  // namespace

std::unique_ptr<KvClient> CountRequests(std::unique_ptr<KvClient> kv, RestListener on_request) {
  if (!on_request) return kv;
  return std::make_unique<CountedKv>(std::move(kv), std::move(on_request));
}

}  // namespace mcpfleet
