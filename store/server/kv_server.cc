#include "store/server/kv_server.h"

#include <sys/stat.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <set>
#include <utility>

#include <nlohmann/json.hpp>

#include "base/digest.h"
#include "base/fd.h"
#include "base/http/server.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mutex.h"
#include "base/strings.h"
#include "store/device_token.h"
#include "store/kv_response.h"
#include "store/server/multipart.h"
#include "store/snapshot.h"

namespace mcpfleet {
namespace {

using http::Request;
using http::Responder;
using http::Response;

constexpr int kCodeAuthentication = 10000;
constexpr int kCodeBadRequest = 10001;
constexpr int kCodeRoute = 7003;
constexpr int kCodeCondition = 10040;  // ours: Cloudflare has no conditional writes
constexpr size_t kWatchers = 1000;
constexpr int kPolicyViolation = 1008;

Response Reply(int status, Json result, Json result_info = nullptr) {
  Json body = {
      {"result", std::move(result)}, {"success", true}, {"errors", Json::array()}, {"messages", Json::array()}};
  if (!result_info.is_null()) body["result_info"] = std::move(result_info);
  return http::JsonResponse(status, DumpJson(body));
}

Response Refuse(int status, int code, std::string_view message) {
  return http::JsonResponse(status, DumpJson({{"result", nullptr},
                                              {"success", false},
                                              {"errors", Json::array({{{"code", code}, {"message", message}}})},
                                              {"messages", Json::array()}}));
}

Response RefuseWith(const Status& status) {
  const bool condition = status.code() == StatusCode::kAborted || status.code() == StatusCode::kFailedPrecondition;
  return Refuse(KvHttpStatus(status), condition ? kCodeCondition : kCodeBadRequest, Message(status));
}

std::optional<int64_t> Number(const std::optional<std::string>& text) {
  if (!text) return std::nullopt;
  int64_t value = 0;
  auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), value);
  if (error != std::errc() || end != text->data() + text->size()) return std::nullopt;
  return value;
}

// A request taken apart. `what` is the segment behind the namespace, `key` the decoded one behind that.
struct Route {
  std::string ns, what, key;
};

// nullopt: not below /client/v4/accounts/<account>/storage/kv/namespaces.
std::optional<Route> ParseRoute(std::string_view path) {
  std::vector<std::string> parts = Split(path, '/');  // "", client, v4, accounts, <account>, storage, kv, namespaces, …
  if (parts.size() < 8 || parts.size() > 11 || parts[1] != "client" || parts[2] != "v4" || parts[3] != "accounts" ||
      parts[4].empty() || parts[5] != "storage" || parts[6] != "kv" || parts[7] != "namespaces") {
    return std::nullopt;
  }
  Route route;
  if (parts.size() > 8 && !PercentDecode(parts[8], &route.ns)) return std::nullopt;
  if (parts.size() > 9) route.what = parts[9];
  if (parts.size() > 10 && !PercentDecode(parts[10], &route.key)) return std::nullopt;
  return route;
}

Json NamespaceJson(std::string_view ns) { return {{"id", ns}, {"title", ns}, {"supports_url_encoding", true}}; }

// Who asks. With `node` the token of that node, else one of the store's own.
struct Caller {
  StoreRole role = StoreRole::kReader;
  std::string node, token_hash;
};

class Server final : public KvServer {
 public:
  Server(EmbeddedKv& kv, std::vector<StoreToken> tokens) : kv_(kv), tokens_(std::move(tokens)) {}
  ~Server() override {
    kv_.OnHead(nullptr);
    http_.reset();
  }

  Status Start(const KvServerOptions& options) {
    http::Server::Options server;
    server.address = options.address;
    server.port = options.port;
    server.worker_threads = std::max(1, options.worker_threads);
    server.max_body = limits::kBulkBytes;
    server.refusal = [](int status) { return Refuse(status, kCodeBadRequest, http::ReasonPhrase(status)); };
    ASSIGN_OR_RETURN(http_,
                     http::Server::Create(server, [this](const Request& request, const std::shared_ptr<Responder>& to) {
                       Handle(request, to);
                     }));
    kv_.OnHead([this](const std::string& head) { Push(head); });
    return OkStatus();
  }

  uint16_t port() const override { return http_->port(); }

 private:
  void Handle(const Request& request, const std::shared_ptr<Responder>& to) {
    std::optional<Caller> caller = Authenticate(request);
    if (!caller) return to->Send(Refuse(401, kCodeAuthentication, "Authentication error"));
    if (request.Path() == "/v1/watch") return Watch(*caller, to);
    to->Send(Answer(request, *caller));
  }

  std::optional<Caller> Authenticate(const Request& request) const {
    std::string given = request.headers.Get("Authorization").value_or("");
    constexpr std::string_view kScheme = "bearer ";
    if (!EqualsIgnoreCase(std::string_view(given).substr(0, kScheme.size()), kScheme)) return std::nullopt;
    std::string hash = Sha256Hex(Trim(std::string_view(given).substr(kScheme.size())));
    std::optional<Caller> caller;
    // All of them are compared: time tells nothing of which one matched.
    for (const StoreToken& token : tokens_) {
      if (EqualsInConstantTime(token.sha256, hash)) caller = Caller{.role = token.role};
    }
    if (caller) return caller;
    std::optional<std::string> node = NodeOf(hash);
    if (!node) return std::nullopt;
    return Caller{.node = *std::move(node), .token_hash = hash};
  }

  // The node of a token. A hash is looked up, not compared: time could tell something of hashes, not of tokens.
  std::optional<std::string> NodeOf(const std::string& token_hash) const {
    StatusOr<std::optional<EmbeddedValue>> found = kv_.Get(kDeviceTokensNamespace, DeviceTokenKey(token_hash));
    if (!found.ok() || !*found) return std::nullopt;
    StatusOr<DeviceToken> token = ParseDeviceToken((*found)->value);
    if (!token.ok()) return std::nullopt;
    return std::move(token->node);
  }

  static bool Allowed(const Caller& caller, const std::string& method, const Route& route, bool reads) {
    if (!caller.node.empty()) {
      if (route.ns == kConfigNamespace && reads)
        return (route.what == "values" && !route.key.empty()) || route.what == "bulk";
      return route.ns == kServerStateNamespace && route.what == "values" && route.key == "nodes/" + caller.node &&
             method == "PUT";
    }
    switch (caller.role) {
      case StoreRole::kOperator:
        return true;
      case StoreRole::kReader:
        return reads && route.ns != kDeviceTokensNamespace;
    }
    return false;
  }

  Response Answer(const Request& request, const Caller& caller) {
    std::optional<Route> route = ParseRoute(request.Path());
    if (!route) return Refuse(404, kCodeRoute, "No route for that URI");
    bool reads = request.method == "GET" || (request.method == "POST" && route->what == "bulk" && route->key == "get");
    if (!Allowed(caller, request.method, *route, reads))
      return Refuse(403, kCodeAuthentication, "Authentication error");
    if (route->ns.empty()) return ListNamespaces(request);
    if (!EmbeddedKv::HasNamespace(route->ns)) {
      return Refuse(404, kKvNamespaceNotFound, "list keys: 'namespace not found'");
    }
    const std::string& what = route->what;
    if (what.empty() && request.method == "GET") return Reply(200, NamespaceJson(route->ns));
    if (what == "keys" && route->key.empty() && request.method == "GET") return ListKeys(*route, request);
    if (what == "values" && !route->key.empty()) return Value(*route, request);
    if (what == "metadata" && !route->key.empty() && request.method == "GET") return Metadata(*route);
    if (what == "bulk") return Bulk(*route, request);
    return Refuse(405, kCodeRoute, "method or path not known");
  }

  static Response ListNamespaces(const Request& request) {
    if (request.method != "GET") return Refuse(405, kCodeRoute, "namespaces of the embedded store are fixed");
    Json all = {NamespaceJson(kConfigNamespace), NamespaceJson(kServerStateNamespace),
                NamespaceJson(kDeviceTokensNamespace)};
    int64_t page = Number(request.Query("page")).value_or(1);
    if (page > 1) all = Json::array();
    size_t count = all.size();
    return Reply(200, std::move(all),
                 {{"page", page}, {"per_page", 20}, {"count", count}, {"total_count", 3}, {"total_pages", 1}});
  }

  Response ListKeys(const Route& route, const Request& request) {
    int64_t limit =
        Number(request.Query("limit")).value_or(request.Query("limit") ? -1 : static_cast<int64_t>(limits::kListKeys));
    if (limit < 0) return Refuse(400, kCodeBadRequest, "limit is not a number");
    StatusOr<KvPage> page = kv_.List(route.ns, request.Query("prefix").value_or(""),
                                     request.Query("cursor").value_or(""), static_cast<size_t>(limit));
    if (!page.ok()) return RefuseWith(page.status());
    Json keys = Json::array();
    for (const KvKey& key : page->keys) {
      Json item = {{"name", key.name}};
      if (key.expiration != 0) item["expiration"] = key.expiration;
      if (StatusOr<Json> metadata = ParseJson(key.metadata); metadata.ok()) item["metadata"] = *std::move(metadata);
      keys.push_back(std::move(item));
    }
    size_t count = keys.size();
    return Reply(200, std::move(keys), {{"count", count}, {"cursor", page->cursor}});
  }

  Response Value(const Route& route, const Request& request) {
    if (request.method == "GET") return GetValue(route, request);
    if (request.method == "PUT") return PutValue(route, request);
    if (request.method == "DELETE") {
      Status status = kv_.Delete(route.ns, {route.key});
      if (route.ns == kDeviceTokensNamespace) CloseRevoked();
      return status.ok() ? Reply(200, Json::object()) : RefuseWith(status);
    }
    return Refuse(405, kCodeRoute, "method not known");
  }

  Response GetValue(const Route& route, const Request& request) {
    StatusOr<std::optional<EmbeddedValue>> value = kv_.Get(route.ns, route.key);
    if (!value.ok()) return RefuseWith(value.status());
    if (!*value) return Refuse(404, kKvKeyNotFound, "get: 'key not found'");
    Response response;
    const std::string etag = (*value)->etag.empty() ? "" : "\"" + (*value)->etag + "\"";
    if (!etag.empty()) response.headers.Set("ETag", etag);
    if (!etag.empty() && request.headers.Get("If-None-Match") == etag) {
      response.status = 304;
      return response;
    }
    response.headers.Set("Content-Type", "application/octet-stream");
    if ((*value)->expiration != 0) response.headers.Set("Expiration", std::to_string((*value)->expiration));
    response.body = std::move((*value)->value);
    return response;
  }

  Response Metadata(const Route& route) {
    StatusOr<std::optional<EmbeddedValue>> value = kv_.Get(route.ns, route.key);
    if (!value.ok()) return RefuseWith(value.status());
    if (!*value) return Refuse(404, kKvKeyNotFound, "get: 'key not found'");
    StatusOr<Json> metadata = ParseJson((*value)->metadata);
    return Reply(200, metadata.ok() ? *std::move(metadata) : Json());
  }

  // expiration_ttl wins over expiration, as in the real service.
  static StatusOr<int64_t> Ttl(std::optional<int64_t> ttl, std::optional<int64_t> expiration) {
    if (ttl) return *ttl == 0 ? StatusOr<int64_t>(InvalidArgument("expiration_ttl is below 60 s")) : *ttl;
    if (!expiration) return 0;
    int64_t now =
        std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch()).count();
    return std::max<int64_t>(*expiration - now, 1);  // too near is then refused as a short TTL
  }

  Response PutValue(const Route& route, const Request& request) {
    for (const char* name : {"expiration", "expiration_ttl"}) {
      if (request.Query(name) && !Number(request.Query(name)))
        return Refuse(400, kCodeBadRequest, std::string(name) + " is not a number");
    }
    StatusOr<int64_t> ttl = Ttl(Number(request.Query("expiration_ttl")), Number(request.Query("expiration")));
    if (!ttl.ok()) return RefuseWith(ttl.status());
    KvPair pair{route.key, "", "", *ttl};
    std::string type = request.headers.Get("Content-Type").value_or("");
    if (EqualsIgnoreCase(std::string_view(type).substr(0, 19), "multipart/form-data")) {
      auto parts = ParseMultipart(type, request.body);
      if (!parts.ok()) return RefuseWith(parts.status());
      if (!parts->contains("value")) return Refuse(400, kCodeBadRequest, "multipart: no part named value");
      pair.value = std::move((*parts)["value"]);
      if (parts->contains("metadata")) pair.metadata = std::move((*parts)["metadata"]);
    } else {
      pair.value = request.body;
    }
    KvPutOptions options;
    std::string match = request.headers.Get("If-Match").value_or("");
    if (match.size() >= 2 && match.front() == '"' && match.back() == '"') match = match.substr(1, match.size() - 2);
    options.if_match = std::move(match);
    std::string none = request.headers.Get("If-None-Match").value_or("");
    if (!none.empty() && none != "*") return Refuse(400, kCodeBadRequest, "If-None-Match allows only *");
    options.if_none_match = none == "*";
    Status status = kv_.Put(route.ns, pair, options);
    return status.ok() ? Reply(200, Json::object()) : RefuseWith(status);
  }

  Response Bulk(const Route& route, const Request& request) {
    if (route.key == "get" && request.method == "POST") return BulkGet(route, request);
    if (route.key == "delete" && request.method == "POST") return BulkDelete(route, request);
    if (route.key.empty() && request.method == "DELETE") return BulkDelete(route, request);
    if (route.key.empty() && request.method == "PUT") return BulkPut(route, request);
    return Refuse(405, kCodeRoute, "method or path not known");
  }

  static StatusOr<std::vector<std::string>> ParseKeys(const Json& json, size_t most) {
    if (!json.is_array()) return InvalidArgument("keys are not a list");
    if (json.size() > most) return InvalidArgument("more than " + std::to_string(most) + " keys");
    std::vector<std::string> keys;
    for (const Json& key : json) {
      if (!key.is_string()) return InvalidArgument("a key is not a string");
      keys.push_back(key.get<std::string>());
    }
    return keys;
  }

  Response BulkGet(const Route& route, const Request& request) {
    StatusOr<Json> body = ParseJson(request.body, {.bytes = limits::kBulkBytes});
    if (!body.ok()) return RefuseWith(body.status());
    StatusOr<std::vector<std::string>> keys = ParseKeys(GetMember(*body, "keys"), limits::kBulkGetKeys);
    if (!keys.ok()) return RefuseWith(keys.status());
    bool with_metadata = GetBool(*body, "withMetadata"), as_json = GetString(*body, "type") == "json";
    Json values = Json::object();
    size_t bytes = 0;
    for (const std::string& key : *keys) {
      StatusOr<std::optional<EmbeddedValue>> found = kv_.Get(route.ns, key);
      if (!found.ok()) return RefuseWith(found.status());
      Json& slot = values[key];
      if (!*found) continue;
      EmbeddedValue& value = **found;
      if (!IsUtf8(value.value)) return Refuse(400, kCodeBadRequest, "a value is not text");
      if ((bytes += value.value.size()) > limits::kValueBytes)
        return Refuse(413, kCodeBadRequest, "the values are larger than 25 MiB together");
      Json content = value.value;
      if (as_json) {
        StatusOr<Json> parsed = ParseJson(value.value);
        if (!parsed.ok()) return Refuse(400, kCodeBadRequest, "a value is not JSON");
        content = *std::move(parsed);
      }
      if (!with_metadata) {
        slot = std::move(content);
        continue;
      }
      StatusOr<Json> metadata = ParseJson(value.metadata);
      slot = {{"value", std::move(content)}, {"metadata", metadata.ok() ? *std::move(metadata) : Json()}};
      if (value.expiration != 0) slot["expiration"] = value.expiration;
    }
    return Reply(200, {{"values", std::move(values)}});
  }

  Response BulkDelete(const Route& route, const Request& request) {
    StatusOr<Json> body = ParseJson(request.body, {.bytes = limits::kBulkBytes});
    if (!body.ok()) return RefuseWith(body.status());
    StatusOr<std::vector<std::string>> keys = ParseKeys(*body, limits::kBulkPairs);
    if (!keys.ok()) return RefuseWith(keys.status());
    Status status = kv_.Delete(route.ns, *keys);
    if (route.ns == kDeviceTokensNamespace) CloseRevoked();
    if (!status.ok()) return RefuseWith(status);
    return Reply(200, {{"successful_key_count", keys->size()}, {"unsuccessful_keys", Json::array()}});
  }

  static StatusOr<KvPair> ParsePair(const Json& item) {
    if (!item.is_object() || !GetMember(item, "key").is_string()) return InvalidArgument("a pair without a key");
    if (!GetMember(item, "value").is_string()) return InvalidArgument("a pair without a value");
    KvPair pair{GetString(item, "key"), GetString(item, "value"), "", 0};
    if (GetBool(item, "base64")) {
      std::string decoded;
      if (!Base64Decode(pair.value, &decoded)) return InvalidArgument("a value is not base64");
      pair.value = std::move(decoded);
    }
    if (const Json& metadata = GetMember(item, "metadata"); !metadata.is_null()) pair.metadata = DumpJson(metadata);
    std::optional<int64_t> ttl, expiration;
    if (item.contains("expiration_ttl")) ttl = GetInt(item, "expiration_ttl");
    if (item.contains("expiration")) expiration = GetInt(item, "expiration");
    ASSIGN_OR_RETURN(pair.expiration_ttl, Ttl(ttl, expiration));
    return pair;
  }

  Response BulkPut(const Route& route, const Request& request) {
    StatusOr<Json> body = ParseJson(request.body, {.bytes = limits::kBulkBytes});
    if (!body.ok()) return RefuseWith(body.status());
    if (!body->is_array()) return Refuse(400, kCodeBadRequest, "pairs are not a list");
    if (body->size() > limits::kBulkPairs) return Refuse(400, kCodeBadRequest, "more than 10000 pairs");
    std::vector<KvPair> pairs;
    for (const Json& item : *body) {
      StatusOr<KvPair> pair = ParsePair(item);
      if (!pair.ok()) return RefuseWith(pair.status());
      pairs.push_back(*std::move(pair));
    }
    Status status = kv_.BulkPut(route.ns, pairs);
    if (!status.ok()) return RefuseWith(status);
    return Reply(200, {{"successful_key_count", pairs.size()}, {"unsuccessful_keys", Json::array()}});
  }

  void Watch(const Caller& caller, const std::shared_ptr<Responder>& to) {
    auto id = std::make_shared<uint64_t>(0);  // shared with on_close, which may run before the socket has its number
    {
      MutexLock lock(&mu_);
      if (sockets_.size() >= kWatchers) return to->Send(Refuse(503, kCodeBadRequest, "too many watchers"));
      *id = next_socket_++;
      sockets_[*id] = {nullptr, caller.token_hash};
    }
    std::shared_ptr<http::WebSocket> socket = to->AcceptWebSocket({
        .on_text = [](std::string_view) {},
        .on_close = [this, id] { Forget(*id); },
    });
    if (socket == nullptr) return Forget(*id);
    StatusOr<std::optional<EmbeddedValue>> head = kv_.Get(kConfigNamespace, kHeadKey);
    {
      MutexLock lock(&mu_);
      auto slot = sockets_.find(*id);
      if (slot == sockets_.end()) return;  // closed already
      slot->second.socket = socket;
    }
    // After the registration, so that no move falls in between; a head told twice is harmless.
    if (head.ok() && *head) socket->SendText((*head)->value);
    // Revoked between the check and the registration.
    if (!caller.node.empty() && !NodeOf(caller.token_hash)) socket->Close(kPolicyViolation);
  }

  void Forget(uint64_t id) {
    MutexLock lock(&mu_);
    sockets_.erase(id);
  }

  void Push(const std::string& head) {
    for (const Watcher& watcher : Watchers()) watcher.socket->SendText(head);
  }

  // A token that was revoked hears nothing more.
  void CloseRevoked() {
    for (const Watcher& watcher : Watchers()) {
      if (!watcher.token_hash.empty() && !NodeOf(watcher.token_hash)) watcher.socket->Close(kPolicyViolation);
    }
  }

  struct Watcher {
    // Shared with the HTTP server, whose loop calls back when one closes; null until it is accepted.
    std::shared_ptr<http::WebSocket> socket;
    std::string token_hash;  // of a node's token
  };
  std::vector<Watcher> Watchers() {
    std::vector<Watcher> watchers;
    MutexLock lock(&mu_);
    for (const auto& [id, watcher] : sockets_) {
      if (watcher.socket != nullptr) watchers.push_back(watcher);
    }
    return watchers;
  }

  EmbeddedKv& kv_;
  const std::vector<StoreToken> tokens_;
  std::unique_ptr<http::Server> http_;
  Mutex mu_;
  uint64_t next_socket_ GUARDED_BY(mu_) = 1;
  std::map<uint64_t, Watcher> sockets_ GUARDED_BY(mu_);
};

}  // namespace

StatusOr<std::string> LoadOrCreateToken(const std::string& path) {
  struct stat info {};
  if (stat(path.c_str(), &info) != 0) {
    if (errno != ENOENT) return ErrnoStatus(errno, path);
    std::string token = RandomHex(32);
    RETURN_IF_ERROR(WriteFileAtomically(path, token + "\n", 0600));
    return token;
  }
  if ((info.st_mode & 077) != 0) return PermissionDenied(path + ": others may read it; chmod 600 it");
  ASSIGN_OR_RETURN(std::string content, ReadFile(path, 4096));
  std::string token(Trim(content));
  if (token.size() < 32) return InvalidArgument(path + ": holds no token; remove it to get a new one");
  return token;
}

StatusOr<std::unique_ptr<KvServer>> KvServer::Create(EmbeddedKv& kv, const KvServerOptions& options) {
  auto server = std::make_unique<Server>(kv, options.tokens);
  RETURN_IF_ERROR(server->Start(options));
  return server;
}

}  // namespace mcpfleet
