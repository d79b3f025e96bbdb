// What a store can do to its clients by its answers alone: nothing bad, and nothing for ever.
#include <atomic>
#include <tuple>

#include <nlohmann/json.hpp>

#include "base/json.h"
#include "store/head_sync.h"
#include "store/local_cache.h"
#include "store/rest_client.h"
#include "store/worker_api.h"
#include "tests/store/played_worker.h"
#include "tests/store/testing.h"

namespace mcpfleet {
namespace {

using namespace testing;
using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::Soon;
using testing::TempDir;

// A client that would be seen to wait between two attempts.
RestOptions Patient(const std::string& url) {
  return {.base_url = url, .token = "t", .backoff_initial = seconds(60), .backoff_max = seconds(60)};
}
std::unique_ptr<KvClient> Once(const std::string& url) {
  return *NewRestKvClient({.base_url = url, .token = "t", .max_attempts = 1});
}

TEST(HostileStoreTest, ACompressedAnswerIsRefusedWhateverItWouldUnpackTo) {
  PlayedWorker worker({.answer = [](const PlayedRequest& request) {
    EXPECT_EQ(request.Field("Accept-Encoding"), "identity");
    const std::string encoding = request.target.ends_with("/gzip") ? "gzip"
                                 : request.target.ends_with("/br") ? "br"
                                                                   : "deflate";
    return PlayedAnswer{.body = std::string("\x1f\x8b\x08\0\0\0\0\0\0\xff", 10) + std::string(10'000, '\0'),
                        .fields = {"Content-Encoding: " + encoding}};
  }});
  auto kv = Once(worker.url());
  for (const char* key : {"gzip", "br", "deflate"}) {
    auto value = kv->Get(key, Soon());
    EXPECT_EQ(value.status().code(), StatusCode::kUnavailable) << key;
    EXPECT_EQ(Message(value.status()), "the store's answer is compressed, which was not asked for");
  }
}

TEST(HostileStoreTest, ARedirectIsFollowedNowhere) {
  PlayedWorker elsewhere({.answer = [](const PlayedRequest&) { return PlayedAnswer{.body = "gotcha"}; }});
  std::atomic<int> status{301};
  PlayedWorker worker({.answer = [&](const PlayedRequest&) {
    return PlayedAnswer{.status = status, .fields = {"Location: " + elsewhere.url() + "/x"}};
  }});
  auto kv = Once(worker.url());
  for (int code : {301, 302, 303, 307, 308}) {
    status = code;
    EXPECT_EQ(kv->Get("head", Soon()).status().code(), StatusCode::kUnavailable) << code;
    EXPECT_FALSE(kv->Put("x", "y", {}, Soon()).ok()) << code;
  }
  EXPECT_EQ(elsewhere.accepted(), 0);
}

TEST(HostileStoreTest, APageThatIsNoAnswerIsNoNews) {
  PlayedWorker worker({.answer = [](const PlayedRequest&) {
    return PlayedAnswer{.body = "<html>please log in</html>", .fields = {"Content-Type: text/html"}};
  }});
  auto kv = Once(worker.url());
  EXPECT_EQ(kv->BulkGet({"objects/x"}, Soon()).status().code(), StatusCode::kUnavailable);
  EXPECT_EQ(kv->List("", "", 10, Soon()).status().code(), StatusCode::kUnavailable);
  EXPECT_EQ(kv->Put("x", "y", {}, Soon()).code(), StatusCode::kUnavailable);
  EXPECT_EQ(kv->BulkPut({{"x", "y", "", 0}}, Soon()).code(), StatusCode::kUnavailable);
  EXPECT_EQ(kv->BulkDelete({"x"}, Soon()).code(), StatusCode::kUnavailable);
  auto api = WorkerApi::Create({.base_url = worker.url(), .token = "t", .max_attempts = 1});
  EXPECT_EQ((*api)->Send("POST", "/v1/device/token", nullptr, Soon()).status().code(), StatusCode::kUnavailable);
  // As the head it is counted, and what was accepted before stays.
  TempDir dir;
  SystemClock clock;
  auto cache = *LocalCache::Open(dir / "cache", 1 << 20);
  HeadSync sync(*kv, *cache, clock, 1, {.node = "a"});
  EXPECT_FALSE(sync.Step().ok());
  EXPECT_EQ(sync.stats().bad_answers, 1);
  EXPECT_FALSE(sync.state()->head.has_value());
}

// A store that sends on and on: an answer in HTTP's own form, then `more` without an end.
class EndlessStore {
 public:
  EndlessStore(std::string first, std::string more) {
    thread_ = std::thread([this, first = std::move(first), more = std::move(more)] {
      while (!stop_) {
        UniqueFd fd(accept(listener_.fd(), nullptr, nullptr));
        if (!fd.valid()) return;
        http::RawSocket socket(std::move(fd));
        socket.ReadUntil("\r\n\r\n");
        socket.Send(first);
        while (!stop_) {
          const ssize_t n = send(socket.fd(), more.data(), more.size(), MSG_NOSIGNAL);
          if (n <= 0) break;
          sent_ += n;
        }
      }
    });
  }
  ~EndlessStore() {
    stop_ = true;
    shutdown(listener_.fd(), SHUT_RDWR);
    thread_.join();
  }
  std::string url() const { return "http://127.0.0.1:" + std::to_string(listener_.port()); }
  int64_t sent() const { return sent_; }

 private:
  http::RawListener listener_;
  std::atomic<bool> stop_{false};
  std::atomic<int64_t> sent_{0};
  std::thread thread_;
};

// Of an answer without an end no more is read than may be, and what was on its way.
constexpr size_t kMostAnswer = size_t{1} << 20;
constexpr int64_t kMostSent = int64_t{64} << 20;

TEST(HostileStoreTest, AnEndlessAnswerIsGivenUpAtItsLimit) {
  const std::string chunk = "10000\r\n" + std::string(65536, 'x') + "\r\n";
  for (const auto& [name, first, more] : std::vector<std::tuple<std::string, std::string, std::string>>{
           {"chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", chunk},
           {"length", "HTTP/1.1 200 OK\r\nContent-Length: 900000000000\r\n\r\n", std::string(65536, 'x')},
           {"no length", "HTTP/1.1 200 OK\r\n\r\n", std::string(65536, 'x')},
           {"an error", "HTTP/1.1 500 Oops\r\nContent-Length: 900000000000\r\n\r\n", std::string(65536, 'x')}}) {
    EndlessStore store(first, more);
    auto rest = *NewRestClient({.base_url = store.url(), .max_attempts = 1});
    const auto answer = rest->Do({.operation = "get", .target = "/x", .max_answer = kMostAnswer}, Soon());
    EXPECT_EQ(answer.status().code(), StatusCode::kResourceExhausted) << name << ": " << answer.status();
    EXPECT_LT(store.sent(), kMostSent) << name;
  }
}

TEST(KvMannersTest, ATokenThatIsRefusedIsReadAgainAndTheCallMadeAgainAtOnce) {
  TempDir dir;
  PlayedWorker worker({.token = "second", .answer = [](const PlayedRequest&) { return PlayedAnswer{.body = "v"}; }});
  ASSERT_OK(WriteFileAtomically(dir / "token", "first\n"));
  RestOptions options = Patient(worker.url());
  options.tokens = *TokenSource::OfFile(dir / "token");
  auto kv = *NewRestKvClient(options);
  EXPECT_EQ(kv->Get("x", Soon()).status().code(), StatusCode::kUnauthenticated);
  EXPECT_EQ(worker.requests().size(), 1u);
  ASSERT_OK(WriteFileAtomically(dir / "token", "second\n"));
  ASSERT_OK(kv->Get("x", Soon()));
  ASSERT_OK(kv->Get("x", Soon()));
  EXPECT_EQ(worker.requests().size(), 4u) << "refused, again, and once with what was learned";
}

TEST(KvMannersTest, AKeptConnectionThatIsClosedCostsNoWait) {
  // Answers a few requests of a connection, then closes it while the next one is on its way.
  std::atomic<int> count{0};
  PlayedWorker worker({.answer = [&](const PlayedRequest& request) {
    const int n = ++count;
    if (n % 3 == 0) return PlayedAnswer{.hang_up = true};
    return PlayedAnswer{.body = request.method == "GET" ? "v" : EnvelopeOf("{}")};
  }});
  auto kv = *NewRestKvClient(Patient(worker.url()));
  const std::string large(2'000'000, 'x');
  for (int i = 0; i < 12; ++i) {
    ASSERT_OK(kv->Put("x", large, {}, Soon()));
    ASSERT_OK(kv->Get("x", Soon()));
  }
  // One that is never answered is no such connection: then it waits, and here it has no time for that.
  PlayedWorker closed({.answer = [](const PlayedRequest&) { return PlayedAnswer{.hang_up = true}; }});
  auto other = *NewRestKvClient(Patient(closed.url()));
  EXPECT_EQ(other->Get("x", Soon()).status().code(), StatusCode::kUnavailable);
  EXPECT_LE(closed.requests().size(), 4u) << "cpprestsdk itself may have tried once more";
  // What may not be done twice is not repeated.
  auto api = *WorkerApi::Create({.base_url = closed.url(), .token = "t", .max_attempts = 1});
  const size_t before = closed.requests().size();
  EXPECT_FALSE(api->Send("POST", "/v1/joins/0/redeem", nullptr, Soon()).ok());
  EXPECT_EQ(closed.requests().size(), before + 1);
}

// The Worker's manners in bulk: so many bytes, and so many keys, in one request.
class BulkStore {
 public:
  explicit BulkStore(size_t bytes, size_t keys)
      : bytes_(bytes), keys_(keys), worker_({.answer = [this](const auto& r) { return Answer(r); }}) {}
  std::string url() const { return worker_.url(); }
  std::vector<std::string> stored() const {
    MutexLock lock(&mu_);
    return stored_;
  }
  int requests() const { return requests_; }
  int refused() const { return refused_; }

 private:
  PlayedAnswer Answer(const PlayedRequest& request) {
    ++requests_;
    if (request.body.size() > bytes_) {
      ++refused_;
      return {.status = 413,
              .body = R"({"result":null,"success":false,"errors":[{"code":10001,"message":"too large"}]})"};
    }
    // Read by hand: a parsed body of 10 MB takes seconds here.
    const std::string start = request.method == "PUT" ? R"({"key":")" : "\"";
    Json left = Json::array();
    MutexLock lock(&mu_);
    size_t count = 0;
    for (size_t at = request.body.find(start); at != std::string::npos; at = request.body.find(start, at)) {
      at += start.size();
      const size_t end = request.body.find('"', at);
      const std::string key = request.body.substr(at, end - at);
      at = end + 1;
      if (count++ < keys_) {
        stored_.push_back(key);
      } else {
        left.push_back(key);
      }
    }
    return {.body = EnvelopeOf(R"({"successful_key_count":0,"unsuccessful_keys":)" + DumpJson(left) + "}")};
  }

  const size_t bytes_, keys_;
  std::atomic<int> requests_{0}, refused_{0};
  mutable Mutex mu_;
  std::vector<std::string> stored_ GUARDED_BY(mu_);
  PlayedWorker worker_;
};

std::vector<KvPair> Pairs(size_t count, size_t bytes) {
  std::vector<KvPair> pairs;
  for (size_t i = 0; i < count; ++i) pairs.push_back({"k/" + std::to_string(i), std::string(bytes, 'v'), "", 0});
  return pairs;
}

TEST(KvMannersTest, WhatTheWorkerLeavesOfABulkRequestIsSentAgainAtOnce) {
  BulkStore store(10'000'000, 900);
  auto kv = *NewRestKvClient(Patient(store.url()));
  ASSERT_OK(kv->BulkPut(Pairs(5000, 10), Soon()));
  EXPECT_EQ(store.stored().size(), 5000u);
  EXPECT_EQ(store.requests(), 6);
  EXPECT_EQ(store.refused(), 0);
  std::vector<std::string> keys;
  for (int i = 0; i < 2000; ++i) keys.push_back("k/" + std::to_string(i));
  ASSERT_OK(kv->BulkDelete(keys, Soon()));
  EXPECT_EQ(store.stored().size(), 7000u);
  EXPECT_EQ(store.requests(), 9);
}

TEST(KvMannersTest, ABulkRequestIsHalvedUntilTheStoreTakesIt) {
  BulkStore store(1'000'000, 10'000);
  auto kv = *NewRestKvClient(Patient(store.url()));
  ASSERT_OK(kv->BulkPut(Pairs(300, 100'000), Soon()));
  EXPECT_EQ(store.stored().size(), 300u);
  const int refused = store.refused();
  EXPECT_LE(refused, 5) << "10 MB, 5, 2.5, 1.25";
  ASSERT_OK(kv->BulkPut(Pairs(20, 100'000), Soon()));
  EXPECT_EQ(store.refused(), refused) << "what it takes is remembered";
  const Status large = kv->BulkPut(Pairs(1, 2'000'000), Soon());
  EXPECT_EQ(large.code(), StatusCode::kInvalidArgument) << large;
  // Nobody gets more than 10 MB in one request.
  BulkStore generous(size_t{200} << 20, 10'000);
  ASSERT_OK((*NewRestKvClient(Patient(generous.url())))->BulkPut(Pairs(300, 100'000), Soon()));
  EXPECT_EQ(generous.requests(), 4);
}

// A store that says with its head how much of a change it takes with the next one.
class CommittingStore {
 public:
  explicit CommittingStore(std::string says) : says_(std::move(says)) {}
  std::string url() const { return worker_.url(); }
  std::vector<std::string> asked() const {
    MutexLock lock(&mu_);
    return asked_;
  }
  std::atomic<int> status{200};

 private:
  PlayedAnswer Answer(const PlayedRequest& request) {
    const std::string what = request.target.substr(request.target.rfind('/') + 1);
    MutexLock lock(&mu_);
    asked_.push_back(request.method + " " + what + " " + request.Field("If-Match"));
    if (request.method == "GET") return {.body = "{}", .fields = {"ETag: \"0.1.1\"", "Mcpfleet-Commit: " + says_}};
    if (what == "bulk" && status != 200) return {.status = status, .body = Envelope(false)};
    return {.body = Envelope(true)};
  }
  static std::string Envelope(bool ok) {
    return ok ? R"({"result":{"successful_key_count":2,"unsuccessful_keys":[]},"success":true,"errors":[],"messages":[]})"
              : R"({"result":null,"success":false,"errors":[{"code":10040,"message":"no"}],"messages":[]})";
  }

  const std::string says_;
  mutable Mutex mu_;
  std::vector<std::string> asked_ GUARDED_BY(mu_);
  PlayedWorker worker_{{.answer = [this](const PlayedRequest& request) { return Answer(request); }}};
};

TEST(KvMannersTest, AChangeGoesWithItsHeadWhereTheStoreTakesThat) {
  CommittingStore store("400");
  auto kv = Once(store.url());
  const std::vector<KvPair> values{{"objects/a", "one", "", 0}};
  const KvPutOptions on{.if_match = "0.1.1"};
  EXPECT_FALSE(*kv->Commit(values, "{}", on, Soon())) << "nobody said that it can";
  ASSERT_TRUE(kv->Get("head", Soon()).ok());
  EXPECT_TRUE(*kv->Commit(values, "{}", on, Soon()));
  EXPECT_FALSE(*kv->Commit({{"objects/b", std::string(500, 'x'), "", 0}}, "{}", on, Soon())) << "more than it said";
  EXPECT_EQ(store.asked(), (std::vector<std::string>{"GET head ", "PUT bulk \"0.1.1\""}));
  store.status = 412;
  EXPECT_EQ(kv->Commit(values, "{}", on, Soon()).status().code(), StatusCode::kAborted);
  store.status = 413;
  EXPECT_FALSE(*kv->Commit(values, "{}", on, Soon()));
}

TEST(KvMannersTest, WhatIsNoNumberOfBytesIsNoAbility) {
  for (const char* says : {"", "yes", "-5", "0", "99999999999999999999999"}) {
    CommittingStore store(says);
    auto kv = Once(store.url());
    ASSERT_TRUE(kv->Get("head", Soon()).ok());
    EXPECT_FALSE(*kv->Commit({{"objects/a", "one", "", 0}}, "{}", {.if_match = "0.1.1"}, Soon())) << says;
  }
}

TEST(KvMannersTest, AStoreThatDoesNothingIsNotAskedForEver) {
  BulkStore store(10'000'000, 0);
  auto kv =
      *NewRestKvClient({.base_url = store.url(), .token = "t", .max_attempts = 3, .backoff_initial = milliseconds(1)});
  EXPECT_EQ(kv->BulkPut(Pairs(10, 10), Soon()).code(), StatusCode::kUnavailable);
  EXPECT_EQ(store.requests(), 3);
}

}  // namespace
}  // namespace mcpfleet
