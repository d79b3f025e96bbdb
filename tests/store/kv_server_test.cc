// The embedded store's server through the real client, on a real socket.
#include <sys/stat.h>

#include <set>

#include "base/http/client.h"
#include "base/http/server.h"
#include "base/mutex.h"
#include "store/snapshot.h"
#include "store/watch_client.h"
#include "tests/base/http_testing.h"
#include "tests/store/testing.h"

namespace mcpfleet {
namespace {

using namespace testing;
using testing::Soon;
using testing::TempDir;

std::string HeadBytes(int64_t revision, const std::string& content = "s") {
  Head head;
  head.fleet = std::string(32, 'a');
  head.order = {0, 1, revision};
  head.snapshot = Sha256Hex(content);
  return *EncodeHead(head);
}

http::Response Raw(ServedStore& store, http::Request request, const std::string& token = kOperatorToken) {
  uint16_t port = store.server().port();
  http::Client client(http::TcpEndpoint("127.0.0.1", port), {});
  if (!token.empty()) request.headers.Set("Authorization", "Bearer " + token);
  auto response = client.Do(request, Soon());
  EXPECT_TRUE(response.ok()) << response.status();
  return response.ok() ? *response : http::Response{.status = 0};
}

constexpr char kBase[] = "/client/v4/accounts/local/storage/kv/namespaces";

TEST(KvServerTest, AValueComesBackAsItWasPutUnderAKeyWithEverySpecialCharacter) {
  ServedStore store;
  auto kv = store.Client(kServerStateNamespace);
  std::string bytes("\0\xff\r\n--x\"{}", 10);
  for (const std::string key : {"a/b%2F c", "a/b/ c", "ä?&=#+;%", "x y", "100%", "...", "a\\b\"'"}) {
    ASSERT_OK(kv->Put(key, bytes + key, {}, Soon()));
    auto value = kv->Get(key, Soon());
    ASSERT_OK(value);
    ASSERT_TRUE(value->has_value()) << key;
    EXPECT_EQ((*value)->value, bytes + key);
    // Exactly that key, decoded once.
    auto inside = store.kv().Get(kServerStateNamespace, key);
    ASSERT_OK(inside);
    EXPECT_TRUE(inside->has_value()) << key;
  }
}

TEST(KvServerTest, AMissingKeyIsNoErrorAndAMissingNamespaceIsOne) {
  ServedStore store;
  auto value = store.Client()->Get("absent", Soon());
  ASSERT_OK(value);
  EXPECT_FALSE(value->has_value());
  EXPECT_EQ(store.Client("NOWHERE")->Get("absent", Soon()).status().code(), StatusCode::kFailedPrecondition);
  EXPECT_EQ(store.Client("NOWHERE")->BulkGet({"absent"}, Soon()).status().code(), StatusCode::kFailedPrecondition);
}

TEST(KvServerTest, MetadataAndExpirationAreKeptAndShownInTheList) {
  ServedStore store;
  auto kv = store.Client(kServerStateNamespace);
  ASSERT_OK(kv->Put("nodes/a", "with\r\nlines", {.metadata = R"({"ready":true})", .expiration_ttl = 120}, Soon()));
  ASSERT_OK(kv->Put("nodes/b", "", {}, Soon()));
  auto page = kv->List("nodes/", "", 1000, Soon());
  ASSERT_OK(page);
  ASSERT_EQ(page->keys.size(), 2u);
  EXPECT_EQ(page->keys[0].metadata, R"({"ready":true})");
  EXPECT_GT(page->keys[0].expiration, 1'700'000'000);
  EXPECT_EQ(page->keys[1].metadata, "");
  EXPECT_EQ((*kv->Get("nodes/a", Soon()))->value, "with\r\nlines");
  http::Response metadata = Raw(store, {.target = std::string(kBase) + "/SERVER_STATE/metadata/nodes%2Fa"});
  EXPECT_EQ(metadata.status, 200);
  EXPECT_NE(metadata.body.find(R"("result":{"ready":true})"), std::string::npos) << metadata.body;
}

TEST(KvServerTest, ListsPageByCursorInTheOrderOfTheKeys) {
  ServedStore store;
  auto kv = store.Client(kServerStateNamespace);
  std::vector<KvPair> pairs;
  pairs.reserve(2346);
  for (int i = 0; i < 2345; ++i) pairs.push_back({"p/" + std::to_string(100000 + i), "v", "", 0});
  pairs.push_back({"q", "v", "", 0});
  ASSERT_OK(BulkPutAll(*kv, pairs, Soon()));
  auto keys = ListAll(*kv, "p/", 100000, Soon());
  ASSERT_OK(keys);
  ASSERT_EQ(keys->size(), 2345u);
  for (size_t i = 0; i < keys->size(); ++i) EXPECT_EQ((*keys)[i].name, pairs[i].key);
  EXPECT_EQ(ListAll(*kv, "p/", 2000, Soon()).status().code(), StatusCode::kResourceExhausted);
  EXPECT_EQ(kv->List("", "", 9, Soon()).status().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(kv->List("", "", 1001, Soon()).status().code(), StatusCode::kInvalidArgument);
}

TEST(KvServerTest, BulkWritesReadsAndDeletesTakeWhatTheServiceTakes) {
  ServedStore store;
  auto kv = store.Client(kServerStateNamespace);
  ASSERT_OK(kv->BulkPut({{"a", "1", "{\"x\":1}", 0}, {"b/c", "2", "", 60}, {"bin", std::string("\xff\0", 2), "", 0}},
                        Soon()));
  EXPECT_EQ((*kv->Get("bin", Soon()))->value, std::string("\xff\0", 2));
  auto found = kv->BulkGet({"a", "b/c", "absent"}, Soon());
  ASSERT_OK(found);
  EXPECT_EQ(*found, (std::map<std::string, std::string>{{"a", "1"}, {"b/c", "2"}}));
  EXPECT_EQ(kv->BulkGet(std::vector<std::string>(101, "a"), Soon()).status().code(), StatusCode::kInvalidArgument);
  ASSERT_OK(kv->BulkDelete({"a", "absent"}, Soon()));
  EXPECT_FALSE(kv->Get("a", Soon())->has_value());
  ASSERT_OK(kv->Delete("b/c", Soon()));
  ASSERT_OK(kv->Delete("b/c", Soon()));
  // The other spelling of bulk delete.
  http::Response deleted =
      Raw(store, {.method = "DELETE", .target = std::string(kBase) + "/SERVER_STATE/bulk", .body = R"(["bin"])"});
  EXPECT_EQ(deleted.status, 200);
  EXPECT_FALSE(kv->Get("bin", Soon())->has_value());
}

TEST(KvServerTest, WhatIsBeyondTheServicesLimitsIsRefused) {
  ServedStore store;
  auto kv = store.Client(kServerStateNamespace);
  ASSERT_OK(kv->Put(std::string(512, 'k'), "v", {}, Soon()));
  EXPECT_EQ(kv->Put(std::string(513, 'k'), "v", {}, Soon()).code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(kv->Put("k", "v", {.metadata = "\"" + std::string(1023, 'm') + "\""}, Soon()).code(),
            StatusCode::kInvalidArgument);
  EXPECT_EQ(kv->Put("k", "v", {.expiration_ttl = 59}, Soon()).code(), StatusCode::kInvalidArgument);
  ASSERT_OK(kv->Put("k", std::string(limits::kValueBytes, 'v'), {}, Soon()));
  EXPECT_EQ((*kv->Get("k", Soon()))->value.size(), limits::kValueBytes);
  EXPECT_EQ(kv->Put("k", std::string(limits::kValueBytes + 1, 'v'), {}, Soon()).code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(kv->Put(".", "v", {}, Soon()).ok(), false);
}

TEST(KvServerTest, TheHeadMovesOnlyByCompareAndSwap) {
  ServedStore store;
  auto kv = store.Client();
  EXPECT_EQ(kv->Put("head", HeadBytes(1), {}, Soon()).code(), StatusCode::kFailedPrecondition);
  EXPECT_EQ(kv->BulkPut({{"head", HeadBytes(1), "", 0}}, Soon()).ok(), false);
  ASSERT_OK(kv->Put("head", HeadBytes(1), {.if_none_match = true}, Soon()));
  EXPECT_EQ(kv->Put("head", HeadBytes(1), {.if_none_match = true}, Soon()).code(), StatusCode::kAborted);
  EXPECT_EQ((*kv->Get("head", Soon()))->etag, "0.1.1");
  EXPECT_EQ(kv->Put("head", HeadBytes(2), {.if_match = "0.1.0"}, Soon()).code(), StatusCode::kAborted);
  ASSERT_OK(kv->Put("head", HeadBytes(2), {.if_match = "0.1.1"}, Soon()));
  EXPECT_FALSE(kv->Put("head", HeadBytes(1), {.if_match = "0.1.2"}, Soon()).ok()) << "the head went backwards";
  EXPECT_FALSE(kv->Delete("head", Soon()).ok());
  EXPECT_EQ((*kv->Get("head", Soon()))->value, HeadBytes(2));
}

TEST(KvServerTest, ABlobMustHaveTheHashInItsKey) {
  ServedStore store;
  auto kv = store.Client();
  ASSERT_OK(kv->Put(ObjectBlobKey(Sha256Hex("{}")), "{}", {}, Soon()));
  for (const std::string& key : {ObjectBlobKey(Sha256Hex("{}")), ShardBlobKey(Sha256Hex("{}")), SnapshotBlobKey("x")}) {
    EXPECT_FALSE(kv->Put(key, "[]", {}, Soon()).ok()) << key;
    EXPECT_FALSE(kv->BulkPut({{key, "[]", "", 0}}, Soon()).ok()) << key;
  }
  EXPECT_FALSE(kv->Put(ShardBlobKey(Sha256Hex("[]")), "[]", {.expiration_ttl = 600}, Soon()).ok());
}

TEST(KvServerTest, TokensDecideWhoMayReadAndWriteWhat) {
  ServedStore store;
  ASSERT_OK(store.Client()->Put("x", "1", {}, Soon()));
  EXPECT_EQ(store.Client(kConfigNamespace, "wrong")->Get("x", Soon()).status().code(), StatusCode::kUnauthenticated);
  EXPECT_EQ(Raw(store, {.target = kBase}, "").status, 401);
  auto reader = store.Client(kConfigNamespace, kReaderToken);
  EXPECT_TRUE((*reader->Get("x", Soon())).has_value());
  EXPECT_TRUE(reader->BulkGet({"x"}, Soon()).ok());
  EXPECT_EQ(reader->Put("x", "2", {}, Soon()).code(), StatusCode::kPermissionDenied);
  EXPECT_EQ(reader->BulkPut({{"x", "2", "", 0}}, Soon()).code(), StatusCode::kPermissionDenied);
  EXPECT_EQ(reader->Delete("x", Soon()).code(), StatusCode::kPermissionDenied);
  EXPECT_EQ(reader->BulkDelete({"x"}, Soon()).code(), StatusCode::kPermissionDenied);
  EXPECT_EQ(store.Client(kDeviceTokensNamespace, kReaderToken)->Get("x", Soon()).status().code(),
            StatusCode::kPermissionDenied);
  EXPECT_EQ((*reader->Get("x", Soon()))->value, "1");
}

TEST(KvServerTest, ATokenOfANodeReadsTheConfigurationByKeyAndWritesItsOwnStatusAndNothingElse) {
  ServedStore store;
  ASSERT_OK(store.Client()->Put("x", "1", {}, Soon()));
  ASSERT_OK(store.Client(kServerStateNamespace)->Put("nodes/b", "{}", {}, Soon()));
  auto config = store.Client(kConfigNamespace, kNodeToken), state = store.Client(kServerStateNamespace, kNodeToken),
       tokens = store.Client(kDeviceTokensNamespace, kNodeToken);
  const std::string own_key = DeviceTokenKey(Sha256Hex(kNodeToken));
  EXPECT_EQ((*config->Get("x", Soon()))->value, "1");
  EXPECT_EQ(config->BulkGet({"x"}, Soon())->size(), 1u);
  EXPECT_TRUE(state->Put("nodes/a", "{}", {.metadata = "{}"}, Soon()).ok());
  EXPECT_TRUE(state->Put("nodes/a", "{}", {}, Soon()).ok());
  for (const Status& refused :
       {config->List("", "", 10, Soon()).status(), config->Put("x", "2", {}, Soon()),
        config->Put(kHeadKey, "{}", {.if_none_match = true}, Soon()), config->BulkPut({{"x", "2", "", 0}}, Soon()),
        config->Delete("x", Soon()), config->BulkDelete({"x"}, Soon()), state->Put("nodes/b", "{}", {}, Soon()),
        state->Put("nodes/a/b", "{}", {}, Soon()), state->Put("other", "{}", {}, Soon()),
        state->BulkPut({{"nodes/a", "{}", "", 0}}, Soon()), state->Delete("nodes/a", Soon()),
        state->Get("nodes/b", Soon()).status(), state->BulkGet({"nodes/b"}, Soon()).status(),
        state->List("", "", 10, Soon()).status(), tokens->Get(own_key, Soon()).status(),
        tokens->Put(own_key, EncodeDeviceToken({.node = "b"}), {}, Soon()), tokens->Delete(own_key, Soon()),
        tokens->List("", "", 10, Soon()).status()}) {
    EXPECT_EQ(refused.code(), StatusCode::kPermissionDenied) << refused;
  }
  EXPECT_EQ(Raw(store, {.target = kBase}, kNodeToken).status, 403);
  EXPECT_EQ(Raw(store, {.target = std::string(kBase) + "/CONFIG/metadata/x"}, kNodeToken).status, 403);
  EXPECT_EQ((*store.Client()->Get("x", Soon()))->value, "1");
}

TEST(KvServerTest, ARevokedTokenOfANodeReadsWritesAndHearsNothingMore) {
  ServedStore store;
  Mutex mu;
  CondVar changed;
  std::vector<bool> connections;
  WatchCallbacks callbacks;
  callbacks.on_change = [&](bool connected) {
    MutexLock lock(&mu);
    connections.push_back(connected);
    changed.NotifyAll();
  };
  auto watch = WatchClient::Create({.base_url = store.url(), .token = kNodeToken}, std::move(callbacks));
  ASSERT_OK(watch);
  (*watch)->Start();
  auto wait_for = [&](const std::vector<bool>& expected) {
    MutexLock lock(&mu);
    Deadline deadline = Soon();
    while (connections != expected && changed.WaitUntil(&mu, deadline)) {
    }
    return connections == expected;
  };
  ASSERT_TRUE(wait_for({true}));
  auto config = store.Client(kConfigNamespace, kNodeToken);
  EXPECT_TRUE(config->Get("x", Soon()).ok());
  ASSERT_OK(store.Client(kDeviceTokensNamespace)->Delete(DeviceTokenKey(Sha256Hex(kNodeToken)), Soon()));
  EXPECT_EQ(config->Get("x", Soon()).status().code(), StatusCode::kUnauthenticated);
  EXPECT_EQ(store.Client(kServerStateNamespace, kNodeToken)->Put("nodes/a", "{}", {}, Soon()).code(),
            StatusCode::kUnauthenticated);
  EXPECT_TRUE(wait_for({true, false}));
}

TEST(KvServerTest, NamespacesAreListedAndShown) {
  ServedStore store;
  http::Response all = Raw(store, {.target = std::string(kBase) + "?page=1&per_page=20"});
  EXPECT_EQ(all.status, 200);
  for (const char* ns : {"CONFIG", "SERVER_STATE", "DEVICE_TOKENS"}) EXPECT_NE(all.body.find(ns), std::string::npos);
  EXPECT_EQ(Raw(store, {.target = std::string(kBase) + "/CONFIG"}).status, 200);
  http::Response none = Raw(store, {.target = std::string(kBase) + "/NOWHERE"});
  EXPECT_EQ(none.status, 404);
  EXPECT_NE(none.body.find("10013"), std::string::npos);
  EXPECT_EQ(Raw(store, {.target = "/elsewhere"}).status, 404);
  EXPECT_EQ(Raw(store, {.method = "PATCH", .target = std::string(kBase) + "/CONFIG/values/x"}).status, 405);
}

TEST(KvServerTest, MalformedRequestsAreRefusedAndChangeNothing) {
  ServedStore store;
  std::string ns = std::string(kBase) + "/SERVER_STATE";
  for (const char* body : {"", "{", "{}", "[{}]", R"([{"key":"a"}])", R"([{"key":1,"value":"x"}])",
                           R"([{"key":"a","value":"%","base64":true}])"}) {
    EXPECT_EQ(Raw(store, {.method = "PUT", .target = ns + "/bulk", .body = body}).status, 400) << body;
  }
  EXPECT_EQ(Raw(store, {.method = "POST", .target = ns + "/bulk/get", .body = R"({"keys":"a"})"}).status, 400);
  EXPECT_EQ(Raw(store, {.target = ns + "/keys?limit=x"}).status, 400);
  EXPECT_EQ(Raw(store, {.target = ns + "/keys?cursor=%21"}).status, 400);
  http::Request multipart{.method = "PUT", .target = ns + "/values/a", .body = "--b\r\nno end"};
  multipart.headers.Set("Content-Type", "multipart/form-data; boundary=b");
  EXPECT_EQ(Raw(store, multipart).status, 400);
  EXPECT_TRUE(store.Client(kServerStateNamespace)->List("", "", 10, Soon())->keys.empty());
}

// As the service says it: no result, success false, an error with a code and a message.
void ExpectRefusal(const http::Response& response, int status) {
  EXPECT_EQ(response.status, status) << response.body;
  StatusOr<Json> json = ParseJson(response.body);
  ASSERT_OK(json);
  EXPECT_TRUE(GetMember(*json, "result").is_null());
  EXPECT_FALSE(GetBool(*json, "success", true));
  ASSERT_EQ(GetMember(*json, "errors").size(), 1u) << response.body;
  EXPECT_GT(GetInt(GetMember(*json, "errors")[0], "code"), 0);
  EXPECT_NE(GetString(GetMember(*json, "errors")[0], "message"), "");
  EXPECT_TRUE(GetMember(*json, "messages").is_array());
}

TEST(KvServerTest, BulkCallsOfMoreItemsThanTheServiceTakesAreRefusedWhole) {
  ServedStore store;
  const std::string bulk = std::string(kBase) + "/SERVER_STATE/bulk";
  const auto keys = [](size_t count) {
    Json out = Json::array();
    for (size_t i = 0; i < count; ++i) out.push_back("k" + std::to_string(i));
    return out;
  };
  const auto pairs = [&](size_t count) {
    Json out = Json::array();
    for (const Json& key : keys(count)) out.push_back({{"key", key}, {"value", "v"}});
    return DumpJson(out);
  };
  ExpectRefusal(Raw(store, {.method = "PUT", .target = bulk, .body = pairs(10'001)}), 400);
  EXPECT_TRUE(store.Client(kServerStateNamespace)->List("", "", 10, Soon())->keys.empty());
  EXPECT_EQ(Raw(store, {.method = "PUT", .target = bulk, .body = pairs(10'000)}).status, 200);
  const auto get = [&](size_t count) {
    return Raw(store, {.method = "POST", .target = bulk + "/get", .body = DumpJson({{"keys", keys(count)}})});
  };
  ExpectRefusal(get(101), 400);
  EXPECT_EQ(get(100).status, 200);
  ExpectRefusal(Raw(store, {.method = "POST", .target = bulk + "/delete", .body = DumpJson(keys(10'001))}), 400);
  EXPECT_EQ(store.Client(kServerStateNamespace)->List("", "", 1000, Soon())->keys.size(), 1000u);
  EXPECT_EQ(Raw(store, {.method = "POST", .target = bulk + "/delete", .body = DumpJson(keys(10'000))}).status, 200);
}

TEST(KvServerTest, ARequestOfAHundredMegabytesIsTakenAndOneByteMoreIsRefusedBeforeItIsSent) {
  ServedStore store;
  const auto head = [&](size_t bytes) {
    return "PUT " + std::string(kBase) + "/SERVER_STATE/bulk HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer " +
           kOperatorToken + "\r\nExpect: 100-continue\r\nContent-Length: " + std::to_string(bytes) + "\r\n\r\n";
  };
  http::RawSocket most(store.server().port());
  most.Send(head(100'000'000));
  EXPECT_EQ(most.ReadUntil("\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
  http::RawSocket more(store.server().port());
  more.Send(head(100'000'001));
  const std::string answer = more.ReadUntil("");
  EXPECT_EQ(answer.rfind("HTTP/1.1 413 ", 0), 0u) << answer;
  ExpectRefusal({.status = 413, .body = answer.substr(answer.find("\r\n\r\n") + 4)}, 413);
}

TEST(KvServerTest, AHeadThatIsKnownIsNotSentAgain) {
  ServedStore store;
  auto kv = store.Client();
  auto none = kv->GetUnless("head", "0.1.1", Soon());
  ASSERT_OK(none);
  EXPECT_FALSE(none->not_modified || none->value.has_value());
  ASSERT_OK(kv->Put("head", HeadBytes(1), {.if_none_match = true}, Soon()));
  auto known = kv->GetUnless("head", "0.1.1", Soon());
  ASSERT_OK(known);
  EXPECT_TRUE(known->not_modified);
  EXPECT_FALSE(known->value.has_value());
  for (const char* etag : {"", "0.1.0", "\"0.1.1"}) {
    auto read = kv->GetUnless("head", etag, Soon());
    ASSERT_OK(read);
    ASSERT_TRUE(read->value.has_value()) << etag;
    EXPECT_EQ(read->value->value, HeadBytes(1));
    EXPECT_EQ(read->value->etag, "0.1.1");
  }
  // The connection goes on being used behind an answer without a body.
  EXPECT_EQ((*kv->Get("head", Soon()))->value, HeadBytes(1));
}

TEST(KvServerTest, AWatcherIsToldEachHead) {
  ServedStore store;
  auto kv = store.Client();
  ASSERT_OK(kv->Put("head", HeadBytes(1), {.if_none_match = true}, Soon()));
  Mutex mu;
  CondVar changed;
  std::set<std::string> heads;
  bool connected = false;
  WatchCallbacks callbacks;
  callbacks.on_head = [&](std::string_view head) {
    MutexLock lock(&mu);
    heads.emplace(head);
    changed.NotifyAll();
  };
  callbacks.on_change = [&](bool now) {
    MutexLock lock(&mu);
    connected = connected || now;
  };
  auto watch = WatchClient::Create({.base_url = store.url(), .token = kReaderToken}, std::move(callbacks));
  ASSERT_OK(watch);
  (*watch)->Start();
  auto wait_for = [&](const std::string& head) {
    MutexLock lock(&mu);
    Deadline deadline = Soon();
    while (!heads.contains(head) && changed.WaitUntil(&mu, deadline)) {
    }
    return heads.contains(head);
  };
  EXPECT_TRUE(wait_for(HeadBytes(1))) << "the head at the time of connecting";
  ASSERT_OK(kv->Put("head", HeadBytes(2), {.if_match = "0.1.1"}, Soon()));
  EXPECT_TRUE(wait_for(HeadBytes(2)));
  EXPECT_FALSE(kv->Put("head", HeadBytes(3), {.if_match = "0.1.1"}, Soon()).ok());
  ASSERT_OK(kv->Put("head", HeadBytes(4), {.if_match = "0.1.2"}, Soon()));
  EXPECT_TRUE(wait_for(HeadBytes(4)));
  MutexLock lock(&mu);
  EXPECT_TRUE(connected);
  EXPECT_FALSE(heads.contains(HeadBytes(3))) << "a head that was refused was told";
}

TEST(KvServerTest, TheTokenFileIsMadeOnceAndOnlyItsOwnerMayReadIt) {
  TempDir dir;
  auto token = LoadOrCreateToken(dir / "token");
  ASSERT_OK(token);
  EXPECT_EQ(token->size(), 64u);
  struct stat info {};
  ASSERT_EQ(stat((dir / "token").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
  EXPECT_EQ(*LoadOrCreateToken(dir / "token"), *token);
  ASSERT_EQ(chmod((dir / "token").c_str(), 0644), 0);
  EXPECT_EQ(LoadOrCreateToken(dir / "token").status().code(), StatusCode::kPermissionDenied);
}

// ---- the client against a server that misbehaves

struct Script {
  std::vector<http::Response> answers;
  std::vector<http::Request> seen;
  std::vector<MonoTime> times;  // of those
  Mutex mu;
};

std::unique_ptr<http::Server> Misbehaving(Script* script) {
  auto server =
      http::Server::Create({}, [script](const http::Request& request, const std::shared_ptr<http::Responder>& to) {
        http::Response answer;
        {
          MutexLock lock(&script->mu);
          size_t at = std::min(script->seen.size(), script->answers.size() - 1);
          script->seen.push_back(request);
          script->times.push_back(SystemClock().Now());
          answer = script->answers[at];
        }
        to->Send(answer);
      });
  EXPECT_TRUE(server.ok()) << server.status();
  return *std::move(server);
}

http::Response With(int status, std::string body, const char* name = nullptr, const char* value = nullptr) {
  http::Response response{.status = status, .body = std::move(body)};
  if (name != nullptr) response.headers.Set(name, value);
  return response;
}

std::unique_ptr<KvClient> ClientOf(const http::Server& server, std::vector<int>* codes = nullptr) {
  RestOptions options{.base_url = "http://127.0.0.1:" + std::to_string(server.port()), .token = "secret-token-value"};
  options.backoff_initial = std::chrono::milliseconds(1);
  if (codes != nullptr) options.on_request = [codes](std::string_view, int code) { codes->push_back(code); };
  return *NewRestKvClient(options);
}

TEST(RestKvClientTest, ServerErrorsAndHtmlAreRetriedAndTheAnswerCounts) {
  Script script;
  script.answers = {With(503, "<html>"), With(429, "{}"), With(502, "bad gateway"), With(200, "value")};
  auto server = Misbehaving(&script);
  std::vector<int> codes;
  auto value = ClientOf(*server, &codes)->Get("k", Soon());
  ASSERT_OK(value);
  EXPECT_EQ((*value)->value, "value");
  EXPECT_EQ(codes, (std::vector<int>{503, 429, 502, 200}));
}

TEST(RestKvClientTest, TheTimeThatRetryAfterAsksForIsWaited) {
  Script script;
  script.answers = {With(429, "{}", "Retry-After", "1"), With(200, "value")};
  auto server = Misbehaving(&script);
  ASSERT_OK(ClientOf(*server)->Get("k", Soon()));
  ASSERT_EQ(script.times.size(), 2u);
  EXPECT_GE(script.times[1] - script.times[0], std::chrono::seconds(1));
}

TEST(RestKvClientTest, RetriesEndWithinTheDeadlineThatRetryAfterWouldPass) {
  Script script;
  script.answers = {With(429, "{}", "Retry-After", "120")};
  auto server = Misbehaving(&script);
  auto begin = std::chrono::steady_clock::now();
  EXPECT_EQ(ClientOf(*server)->Get("k", Soon()).status().code(), StatusCode::kUnavailable);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(10));
  EXPECT_EQ(script.seen.size(), 1u);
}

TEST(RestKvClientTest, APageOfAProxyIsNoNews) {
  Script script;
  script.answers = {With(404, "<html>not found</html>")};
  auto server = Misbehaving(&script);
  EXPECT_EQ(ClientOf(*server)->Get("k", Soon()).status().code(), StatusCode::kUnavailable);
  script.answers = {With(200, "<html>please log in</html>")};
  EXPECT_EQ(ClientOf(*server)->BulkGet({"k"}, Soon()).status().code(), StatusCode::kUnavailable);
  EXPECT_EQ(ClientOf(*server)->List("", "", 10, Soon()).status().code(), StatusCode::kUnavailable);
  EXPECT_EQ(ClientOf(*server)->Put("k", "v", {}, Soon()).code(), StatusCode::kUnavailable);
}

TEST(RestKvClientTest, RedirectsAreNotFollowedNeitherHereNorElsewhere) {
  Script other;
  other.answers = {With(200, "value")};
  auto elsewhere = Misbehaving(&other);
  for (int status : {301, 302, 303, 307, 308}) {
    for (const std::string& location :
         {std::string("/elsewhere"), "http://127.0.0.1:" + std::to_string(elsewhere->port()) + "/x"}) {
      Script script;
      script.answers = {With(status, "", "Location", location.c_str())};
      auto server = Misbehaving(&script);
      EXPECT_FALSE(ClientOf(*server)->Get("k", Soon()).ok()) << status;
      EXPECT_FALSE(ClientOf(*server)->Put("k", "v", {}, Soon()).ok()) << status;
      EXPECT_EQ(script.seen.size(), 2u) << status;
    }
  }
  EXPECT_TRUE(other.seen.empty());
}

TEST(RestKvClientTest, KeysThatABulkPutLeftOutAreSentAgain) {
  Script script;
  script.answers = {
      With(
          200,
          R"({"success":true,"errors":[],"messages":[],"result":{"successful_key_count":1,"unsuccessful_keys":["b"]}})"),
      With(200,
           R"({"success":true,"errors":[],"messages":[],"result":{"successful_key_count":1,"unsuccessful_keys":[]}})")};
  auto server = Misbehaving(&script);
  ASSERT_OK(ClientOf(*server)->BulkPut({{"a", "1", "", 0}, {"b", "2", "", 0}}, Soon()));
  ASSERT_EQ(script.seen.size(), 2u);
  EXPECT_EQ(script.seen[1].body, R"([{"key":"b","value":"2"}])");
}

TEST(RestKvClientTest, EmptyPagesWithACursorArePassedOver) {
  Script script;
  auto page = [](const char* keys, const char* cursor) {
    return With(200, std::string(R"({"success":true,"errors":[],"messages":[],"result":)") + keys +
                         R"(,"result_info":{"count":0,"cursor":")" + cursor + "\"}}");
  };
  script.answers = {page("[]", "c1"), page("[]", "c2"), page(R"([{"name":"k"}])", "")};
  auto server = Misbehaving(&script);
  auto kv = ClientOf(*server);
  auto keys = ListAll(*kv, "p/", 100, Soon());
  ASSERT_OK(keys);
  ASSERT_EQ(keys->size(), 1u);
  EXPECT_EQ(*script.seen[1].Query("cursor"), "c1");
  EXPECT_EQ(*script.seen[1].Query("prefix"), "p/");
}

TEST(RestKvClientTest, AnAnswerBeyondTheLimitIsGivenUp) {
  Script script;
  script.answers = {With(200, std::string(limits::kValueBytes + (size_t{1} << 20), 'x'))};
  auto server = Misbehaving(&script);
  EXPECT_EQ(ClientOf(*server)->Get("k", Soon()).status().code(), StatusCode::kResourceExhausted);
}

TEST(RestKvClientTest, NobodyListeningIsUnavailableAndTheTokenIsInNoMessage) {
  uint16_t port = 0;
  {
    Script script;
    script.answers = {With(200, "")};
    port = Misbehaving(&script)->port();
  }
  RestOptions options{.base_url = "http://127.0.0.1:" + std::to_string(port), .token = "secret-token-value"};
  options.backoff_initial = std::chrono::milliseconds(1);
  auto kv = *NewRestKvClient(options);
  Status status = kv->Get("k", Soon()).status();
  EXPECT_EQ(status.code(), StatusCode::kUnavailable);
  EXPECT_EQ(status.ToString().find("secret"), std::string::npos);
  EXPECT_EQ(NewRestKvClient({.base_url = "ftp://x"}).status().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(NewRestKvClient({.base_url = "http://x", .token = "a\r\nb"}).status().code(), StatusCode::kInvalidArgument);
}

TEST(RestKvClientTest, ADeadlineHoldsAgainstAServerThatNeverAnswers) {
  std::vector<std::shared_ptr<http::Responder>> kept;
  Mutex mu;
  auto server = http::Server::Create({}, [&](const http::Request&, const std::shared_ptr<http::Responder>& to) {
    MutexLock lock(&mu);
    kept.push_back(to);
  });
  ASSERT_OK(server);
  auto begin = std::chrono::steady_clock::now();
  auto kv = ClientOf(**server);
  EXPECT_EQ(kv->Get("k", Deadline::After(std::chrono::milliseconds(300))).status().code(),
            StatusCode::kDeadlineExceeded);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(5));
  MutexLock lock(&mu);
  kept.clear();
}

}  // namespace
}  // namespace mcpfleet
