#include "store/server/embedded_kv.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <sys/stat.h>

#include <array>
#include <utility>

#include "base/digest.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mutex.h"
#include "base/strings.h"
#include "store/blob_metadata.h"
#include "store/snapshot.h"
#include "store/trust/trust.h"

namespace mcpfleet {
namespace {

constexpr int64_t kLeastTtl = 60;
constexpr Duration kRecent = std::chrono::minutes(10);  // as the Worker has it
constexpr std::array<std::string_view, 3> kNamespaces = {kConfigNamespace, kServerStateNamespace,
                                                         kDeviceTokensNamespace};

Status SqliteStatus(sqlite3* db, int code, std::string_view what) {
  std::string message = std::string(what) + ": " + (db != nullptr ? sqlite3_errmsg(db) : sqlite3_errstr(code));
  switch (code & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return Unavailable(message);
    case SQLITE_FULL:
    case SQLITE_NOMEM:
      return ResourceExhausted(message);
    case SQLITE_IOERR:
      return Unavailable(message);
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_AUTH:
    case SQLITE_CANTOPEN:
      return PermissionDenied(message);
    default:
      return Internal(message);
  }
}

// A prepared statement that goes back to its start when the use ends.
class Statement {
 public:
  Statement(sqlite3* db, sqlite3_stmt* statement) : db_(db), statement_(statement) {}
  ~Statement() {
    sqlite3_reset(statement_);
    sqlite3_clear_bindings(statement_);
  }
  Statement(const Statement&) = delete;
  Statement& operator=(const Statement&) = delete;
  // The bytes must outlive the statement's use. An empty view is an empty blob, not NULL.
  Statement& Bind(int at, std::string_view bytes) {
    sqlite3_bind_blob64(statement_, at, bytes.empty() ? "" : bytes.data(), bytes.size(), SQLITE_STATIC);
    return *this;
  }
  Statement& Bind(int at, int64_t number) {
    sqlite3_bind_int64(statement_, at, number);
    return *this;
  }
  // True: a row. False: the end.
  StatusOr<bool> Step() {
    int code = sqlite3_step(statement_);
    if (code == SQLITE_ROW) return true;
    if (code == SQLITE_DONE) return false;
    return SqliteStatus(db_, code, "embedded store");
  }
  std::string Bytes(int column) {
    const void* bytes = sqlite3_column_blob(statement_, column);
    return bytes == nullptr ? ""
                            : std::string(static_cast<const char*>(bytes),
                                          static_cast<size_t>(sqlite3_column_bytes(statement_, column)));
  }
  int64_t Number(int column) { return sqlite3_column_int64(statement_, column); }

 private:
  sqlite3* db_;
  sqlite3_stmt* statement_;
};

enum Query { kGet, kListKeys, kPut, kDelete, kExpire, kBegin, kCommit, kRollback, kQueryCount };
constexpr const char* kSql[kQueryCount] = {
    "SELECT value, metadata, expiration FROM kv WHERE ns=?1 AND key=?2 AND (expiration=0 OR expiration>?3)",
    "SELECT key, metadata, expiration FROM kv WHERE ns=?1 AND key>=?2 AND key>?3 AND (expiration=0 OR expiration>?4) "
    "ORDER BY key",
    "INSERT INTO kv(ns,key,value,metadata,expiration) VALUES(?1,?2,?3,?4,?5) ON CONFLICT(ns,key) DO UPDATE SET "
    "value=excluded.value, metadata=excluded.metadata, expiration=excluded.expiration",
    "DELETE FROM kv WHERE ns=?1 AND key=?2",
    "DELETE FROM kv WHERE expiration<>0 AND expiration<=?1",
    "BEGIN IMMEDIATE",
    "COMMIT",
    "ROLLBACK",
};

// One connection and its statements; used under one lock.
class Connection {
 public:
  ~Connection() {
    for (sqlite3_stmt* statement : statements_) sqlite3_finalize(statement);
    sqlite3_close(db_);
  }
  Status Open(const std::string& path) {
    int code = sqlite3_open_v2(path.c_str(), &db_, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, nullptr);
    if (code != SQLITE_OK) return SqliteStatus(db_, code, path);
    sqlite3_busy_timeout(db_, 5000);
    return Execute(
        "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA cache_size=-2048; PRAGMA mmap_size=0;"
        "CREATE TABLE IF NOT EXISTS kv(id INTEGER PRIMARY KEY, ns BLOB NOT NULL, key BLOB NOT NULL, value BLOB NOT "
        "NULL,"
        "metadata BLOB NOT NULL, expiration INTEGER NOT NULL, UNIQUE(ns,key));"
        "CREATE INDEX IF NOT EXISTS kv_expiration ON kv(expiration) WHERE expiration<>0;");
  }
  Status Prepare() {
    for (int i = 0; i < kQueryCount; ++i) {
      int code = sqlite3_prepare_v3(db_, kSql[i], -1, SQLITE_PREPARE_PERSISTENT, &statements_[i], nullptr);
      if (code != SQLITE_OK) return SqliteStatus(db_, code, "embedded store");
    }
    return OkStatus();
  }
  Statement Use(Query query) { return Statement(db_, statements_[query]); }
  Status Run(Query query) { return Use(query).Step().status(); }

 private:
  Status Execute(const char* sql) {
    int code = sqlite3_exec(db_, sql, nullptr, nullptr, nullptr);
    return code == SQLITE_OK ? OkStatus() : SqliteStatus(db_, code, "embedded store");
  }
  sqlite3* db_ = nullptr;
  std::array<sqlite3_stmt*, kQueryCount> statements_{};
};

// Written once: nodes walk on from one to the next.
bool IsTrust(std::string_view ns, std::string_view key) {
  return ns == kConfigNamespace && key.starts_with(kTrustPrefix);
}

bool IsHead(std::string_view ns, std::string_view key) { return ns == kConfigNamespace && key == kHeadKey; }

std::string EtagOf(std::string_view ns, std::string_view key, const std::string& value) {
  if (!IsHead(ns, key)) return "";
  StatusOr<Head> head = ParseHead(value);
  return head.ok() ? ToString(head->order) : "";
}

Status CheckNamespace(std::string_view ns) {
  return EmbeddedKv::HasNamespace(ns) ? OkStatus() : FailedPrecondition("the namespace does not exist");
}

Status CheckKey(std::string_view key) {
  if (key.empty() || key == "." || key == "..") return InvalidArgument("the key is empty, . or ..");
  if (key.size() > limits::kKeyBytes) return InvalidArgument("the key is longer than 512 bytes");
  return IsUtf8(key) ? OkStatus() : InvalidArgument("the key is not UTF-8");
}

Status CheckPair(std::string_view ns, const KvPair& pair) {
  RETURN_IF_ERROR(CheckKey(pair.key));
  if (pair.value.size() > limits::kValueBytes) return InvalidArgument("the value is larger than 25 MiB");
  if (pair.metadata.size() > limits::kMetadataBytes) return InvalidArgument("the metadata is larger than 1024 bytes");
  if (!pair.metadata.empty() && !ParseJson(pair.metadata).ok()) return InvalidArgument("the metadata is not JSON");
  if (pair.expiration_ttl != 0 && pair.expiration_ttl < kLeastTtl)
    return InvalidArgument("expiration_ttl is below 60 s");
  if (ns != kConfigNamespace) return OkStatus();
  bool blob = !HashOfBlobKey(pair.key).empty();
  if ((blob || pair.key == kHeadKey) && pair.expiration_ttl != 0)
    return InvalidArgument("the desired state can't expire");
  if (blob && HashOfBlobKey(pair.key) != Sha256Hex(pair.value))
    return InvalidArgument("the value does not have the hash in its key");
  return OkStatus();
}

class SqliteKv final : public EmbeddedKv {
 public:
  explicit SqliteKv(const Clock& clock) : clock_(clock) {}

  Status Open(const std::string& path) {
    {
      UniqueFd fd(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
      if (!fd.valid()) return ErrnoStatus(errno, path);
    }
    MutexLock write_lock(&write_mu_);
    RETURN_IF_ERROR(writer_.Open(path));
    RETURN_IF_ERROR(writer_.Prepare());
    MutexLock read_lock(&read_mu_);
    RETURN_IF_ERROR(reader_.Open(path));
    return reader_.Prepare();
  }

  StatusOr<std::optional<EmbeddedValue>> Get(std::string_view ns, std::string_view key) override {
    RETURN_IF_ERROR(CheckNamespace(ns));
    RETURN_IF_ERROR(CheckKey(key));
    MutexLock lock(&read_mu_);
    return Find(reader_, ns, key);
  }

  StatusOr<KvPage> List(std::string_view ns, std::string_view prefix, std::string_view cursor, size_t limit) override {
    RETURN_IF_ERROR(CheckNamespace(ns));
    if (limit < 10 || limit > limits::kListKeys) return InvalidArgument("limit is not within 10..1000");
    std::string after;
    if (!cursor.empty() && !Base64Decode(cursor, &after)) return InvalidArgument("the cursor is not one of ours");
    MutexLock lock(&read_mu_);
    Statement list = reader_.Use(kListKeys);
    list.Bind(1, ns).Bind(2, prefix).Bind(3, std::string_view(after)).Bind(4, Seconds());
    KvPage page;
    for (;;) {
      ASSIGN_OR_RETURN(bool row, list.Step());
      if (!row) return page;
      std::string name = list.Bytes(0);
      if (std::string_view(name).substr(0, prefix.size()) != prefix) return page;
      if (page.keys.size() == limit) {
        page.cursor = Base64Encode(page.keys.back().name);
        return page;
      }
      page.keys.push_back({std::move(name), list.Bytes(1), list.Number(2)});
    }
  }

  Status Put(std::string_view ns, const KvPair& pair, const KvPutOptions& options) override {
    RETURN_IF_ERROR(CheckNamespace(ns));
    RETURN_IF_ERROR(CheckPair(ns, pair));
    if (IsHead(ns, pair.key)) return MoveHead(pair, options);
    MutexLock lock(&write_mu_);
    return InTransaction([&]() EXCLUSIVE_LOCKS_REQUIRED(write_mu_) -> Status {
      if (options.if_none_match || IsTrust(ns, pair.key)) {
        ASSIGN_OR_RETURN(auto present, Find(writer_, ns, pair.key));
        if (present && !options.if_none_match && present->value == pair.value) return OkStatus();
        if (present) return Aborted("the key exists");
      }
      // Only the head has an etag, so that no other key can match one.
      if (!options.if_match.empty()) return Aborted("the key has no such etag");
      return Write(ns, pair);
    });
  }

  Status BulkPut(std::string_view ns, const std::vector<KvPair>& pairs) override {
    RETURN_IF_ERROR(CheckNamespace(ns));
    if (pairs.size() > limits::kBulkPairs) return InvalidArgument("more than 10000 pairs");
    for (const KvPair& pair : pairs) {
      if (IsHead(ns, pair.key) || IsTrust(ns, pair.key))
        return FailedPrecondition("the head and trust documents can't be part of a bulk write");
      RETURN_IF_ERROR(CheckPair(ns, pair));
    }
    MutexLock lock(&write_mu_);
    return InTransaction([&]() EXCLUSIVE_LOCKS_REQUIRED(write_mu_) -> Status {
      for (const KvPair& pair : pairs) RETURN_IF_ERROR(Write(ns, pair));
      return OkStatus();
    });
  }

  Status Delete(std::string_view ns, const std::vector<std::string>& keys) override {
    RETURN_IF_ERROR(CheckNamespace(ns));
    if (keys.size() > limits::kBulkPairs) return InvalidArgument("more than 10000 keys");
    for (const std::string& key : keys) {
      RETURN_IF_ERROR(CheckKey(key));
      // A deleted head would let the order start again.
      if (IsHead(ns, key) || IsTrust(ns, key))
        return FailedPrecondition("the head and trust documents can't be deleted");
    }
    MutexLock lock(&write_mu_);
    return InTransaction([&]() EXCLUSIVE_LOCKS_REQUIRED(write_mu_) -> Status {
      for (const std::string& key : keys) RETURN_IF_ERROR(CheckNotRecent(ns, key));
      for (const std::string& key : keys) {
        Statement remove = writer_.Use(kDelete);
        RETURN_IF_ERROR(remove.Bind(1, ns).Bind(2, std::string_view(key)).Step().status());
      }
      return OkStatus();
    });
  }

  void OnHead(std::function<void(const std::string&)> callback) override {
    MutexLock lock(&write_mu_);
    on_head_ = std::move(callback);
  }

 private:
  // Whoever collects garbage may have looked before a writer put the value back that it is about to name.
  Status CheckNotRecent(std::string_view ns, const std::string& key) EXCLUSIVE_LOCKS_REQUIRED(write_mu_) {
    if (ns != kConfigNamespace || HashOfBlobKey(key).empty()) return OkStatus();
    ASSIGN_OR_RETURN(const auto present, Find(writer_, ns, key));
    const std::optional<WallTime> written = present ? BlobWritten(present->metadata) : std::nullopt;
    if (!written || *written < clock_.Wall() - kRecent) return OkStatus();
    return Aborted(key + " was written minutes ago: nothing is deleted");
  }
  int64_t Seconds() const {
    return std::chrono::duration_cast<std::chrono::seconds>(clock_.Wall().time_since_epoch()).count();
  }

  StatusOr<std::optional<EmbeddedValue>> Find(Connection& connection, std::string_view ns, std::string_view key) {
    Statement get = connection.Use(kGet);
    get.Bind(1, ns).Bind(2, key).Bind(3, Seconds());
    ASSIGN_OR_RETURN(bool row, get.Step());
    if (!row) return std::optional<EmbeddedValue>();
    EmbeddedValue value{get.Bytes(0), get.Bytes(1), "", get.Number(2)};
    value.etag = EtagOf(ns, key, value.value);
    return std::optional<EmbeddedValue>(std::move(value));
  }

  Status Write(std::string_view ns, const KvPair& pair) EXCLUSIVE_LOCKS_REQUIRED(write_mu_) {
    int64_t expiration = pair.expiration_ttl == 0 ? 0 : Seconds() + pair.expiration_ttl;
    if (expiration != 0) RETURN_IF_ERROR(writer_.Use(kExpire).Bind(1, Seconds()).Step().status());
    Statement put = writer_.Use(kPut);
    put.Bind(1, ns).Bind(2, std::string_view(pair.key)).Bind(3, std::string_view(pair.value));
    put.Bind(4, std::string_view(pair.metadata)).Bind(5, expiration);
    return put.Step().status();
  }

  Status MoveHead(const KvPair& pair, const KvPutOptions& options) {
    if (options.if_match.empty() && !options.if_none_match) {
      return FailedPrecondition("the head moves only with If-Match or If-None-Match");
    }
    ASSIGN_OR_RETURN(Head next, ParseHead(pair.value));
    std::function<void(const std::string&)> tell;
    {
      MutexLock lock(&write_mu_);
      Status moved = InTransaction([&]() EXCLUSIVE_LOCKS_REQUIRED(write_mu_) -> Status {
        ASSIGN_OR_RETURN(auto current, Find(writer_, kConfigNamespace, kHeadKey));
        if (options.if_none_match ? current.has_value() : !current || current->etag != options.if_match) {
          return Aborted("the head has moved");
        }
        if (current) {
          ASSIGN_OR_RETURN(Head before, ParseHead(current->value));
          if (!(before.order < next.order)) return InvalidArgument("the head only moves forward");
        }
        return Write(kConfigNamespace, pair);
      });
      RETURN_IF_ERROR(moved);
      tell = on_head_;
    }
    if (tell) tell(pair.value);
    return OkStatus();
  }

  template <typename Body>
  Status InTransaction(Body body) EXCLUSIVE_LOCKS_REQUIRED(write_mu_) {
    RETURN_IF_ERROR(writer_.Run(kBegin));
    Status status = body();
    if (status.ok()) status = writer_.Run(kCommit);
    if (!status.ok()) {
      Status undone = writer_.Run(kRollback);
      if (!undone.ok()) LOG_DEBUG("embedded store rollback", {{"error", undone}});  // SQLite did it by itself
    }
    return status;
  }

  const Clock& clock_;
  Mutex write_mu_;
  Connection writer_ GUARDED_BY(write_mu_);
  std::function<void(const std::string&)> on_head_ GUARDED_BY(write_mu_);
  Mutex read_mu_;
  Connection reader_ GUARDED_BY(read_mu_);
};

// One namespace of the store as a KvClient.
class EmbeddedClient final : public KvClient {
 public:
  EmbeddedClient(EmbeddedKv& kv, std::string ns) : kv_(kv), ns_(std::move(ns)) {}

  StatusOr<std::optional<KvValue>> Get(std::string_view key, Deadline) override {
    ASSIGN_OR_RETURN(std::optional<EmbeddedValue> value, kv_.Get(ns_, key));
    if (!value) return std::optional<KvValue>();
    return std::optional<KvValue>(KvValue{std::move(value->value), std::move(value->etag)});
  }
  StatusOr<std::map<std::string, std::string>> BulkGet(const std::vector<std::string>& keys, Deadline) override {
    if (keys.size() > limits::kBulkGetKeys) return InvalidArgument("more than 100 keys");
    std::map<std::string, std::string> found;
    for (const std::string& key : keys) {
      ASSIGN_OR_RETURN(std::optional<EmbeddedValue> value, kv_.Get(ns_, key));
      if (value) found[key] = std::move(value->value);
    }
    return found;
  }
  StatusOr<KvPage> List(std::string_view prefix, std::string_view cursor, size_t limit, Deadline) override {
    return kv_.List(ns_, prefix, cursor, limit);
  }
  Status Put(std::string_view key, std::string_view value, const KvPutOptions& options, Deadline) override {
    return kv_.Put(ns_, {std::string(key), std::string(value), options.metadata, options.expiration_ttl}, options);
  }
  Status BulkPut(const std::vector<KvPair>& pairs, Deadline) override { return kv_.BulkPut(ns_, pairs); }
  Status Delete(std::string_view key, Deadline) override { return kv_.Delete(ns_, {std::string(key)}); }
  Status BulkDelete(const std::vector<std::string>& keys, Deadline) override { return kv_.Delete(ns_, keys); }

 private:
  EmbeddedKv& kv_;
  const std::string ns_;
};

}  // namespace

bool EmbeddedKv::HasNamespace(std::string_view ns) {
  for (std::string_view known : kNamespaces) {
    if (ns == known) return true;
  }
  return false;
}

StatusOr<std::unique_ptr<EmbeddedKv>> EmbeddedKv::Open(const std::string& path, const Clock& clock) {
  auto kv = std::make_unique<SqliteKv>(clock);
  if (Status opened = kv->Open(path); !opened.ok()) return Annotate(opened, path);
  return kv;
}

std::unique_ptr<KvClient> EmbeddedKv::Client(std::string ns) {
  return std::make_unique<EmbeddedClient>(*this, std::move(ns));
}

}  // namespace mcpfleet
