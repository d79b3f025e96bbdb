#include "edge-runtime/gateway/jwks_fetch.h"

#include <filesystem>
#include <thread>

#include <gtest/gtest.h>

#include "tests/base/http_testing.h"
#include "tests/base/tls_identity.h"

namespace mcpfleet::gateway {
namespace {

using http::RawListener;
using http::RawSocket;
using Body = StatusOr<std::string>;

// The test's own thread is the loop.
class TestLoop final : public Loop {
 public:
  void Post(std::function<void()> task) override {
    MutexLock lock(&mu_);
    tasks_.push_back(std::move(task));
    came_.NotifyAll();
  }
  MonoTime Now() const override { return std::chrono::steady_clock::now(); }
  void PostAt(MonoTime, std::function<void()>) override { ADD_FAILURE() << "not used"; }
  // Runs the next task; false when none comes for ten seconds.
  bool RunOne() {
    std::function<void()> task;
    {
      MutexLock lock(&mu_);
      for (const Deadline deadline = http::Soon(); tasks_.empty();) {
        if (!came_.WaitUntil(&mu_, deadline) && tasks_.empty()) return false;
      }
      task = std::move(tasks_.front());
      tasks_.erase(tasks_.begin());
    }
    task();
    return true;
  }
  bool empty() {
    MutexLock lock(&mu_);
    return tasks_.empty();
  }

 private:
  Mutex mu_;
  CondVar came_;
  std::vector<std::function<void()>> tasks_ GUARDED_BY(mu_);
};

// Fetches from a server that answers `wire` to one request, which it returns.
Body FetchAnswer(const std::string& wire, std::string* request = nullptr) {
  TestLoop loop;
  RawListener listener;
  FetchJwks fetch = MakeHttpsFetch(loop, {.timeout = std::chrono::seconds(10)});
  Body answer = Internal("not called");
  const std::thread::id me = std::this_thread::get_id();
  fetch("http://127.0.0.1:" + std::to_string(listener.port()) + "/keys?x=1", [&](Body body) {
    EXPECT_EQ(std::this_thread::get_id(), me);
    answer = std::move(body);
  });
  {
    RawSocket socket = listener.Accept();
    const std::string seen = socket.ReadUntil("\r\n\r\n");
    if (request != nullptr) *request = seen;
    socket.Send(wire);
  }
  EXPECT_TRUE(loop.RunOne());
  return answer;
}

std::string Answer(const std::string& status, const std::string& body, const std::string& headers = "") {
  return "HTTP/1.1 " + status + "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n" + headers + "\r\n" + body;
}

TEST(JwksFetchTest, AnIssuerFarAwayIsReachedThroughTheProxyOfTheEnvironment) {
  TestLoop loop;
  RawListener proxy;
  setenv("HTTPS_PROXY", ("http://127.0.0.1:" + std::to_string(proxy.port())).c_str(), 1);
  FetchJwks fetch = MakeHttpsFetch(loop, {.timeout = std::chrono::seconds(10)});
  Body answer = std::string("not called");
  fetch("https://issuer.test/keys", [&](Body body) { answer = std::move(body); });
  {
    RawSocket socket = proxy.Accept();
    EXPECT_TRUE(socket.ReadUntil("\r\n\r\n").starts_with("CONNECT issuer.test:443 HTTP/1.1\r\n"));
    socket.Send("HTTP/1.1 403 no\r\nContent-Length: 0\r\n\r\n");
  }
  EXPECT_TRUE(loop.RunOne());
  EXPECT_FALSE(answer.ok());
  unsetenv("HTTPS_PROXY");
}

TEST(JwksFetchTest, TheBodyComesBackOnTheLoop) {
  std::string request;
  Body body = FetchAnswer(Answer("200 OK", "{\"keys\":[]}"), &request);
  ASSERT_TRUE(body.ok()) << body.status();
  EXPECT_EQ(*body, "{\"keys\":[]}");
  EXPECT_TRUE(request.starts_with("GET /keys?x=1 HTTP/1.1\r\n")) << request;
}

TEST(JwksFetchTest, OnlyAPlainTwoHundredOfTheAllowedSizeIsAnAnswer) {
  EXPECT_EQ(FetchAnswer(Answer("404 Not Found", "x")).status().code(), StatusCode::kUnavailable);
  EXPECT_EQ(Message(FetchAnswer(Answer("302 Found", "", "Location: http://127.0.0.1:1/\r\n")).status()),
            "the issuer answered 302");
  EXPECT_TRUE(FetchAnswer(Answer("200 OK", std::string(kMaxKeySetBytes, ' '))).ok());
  EXPECT_EQ(FetchAnswer(Answer("200 OK", std::string(kMaxKeySetBytes + 1, ' '))).status().code(),
            StatusCode::kResourceExhausted);
  EXPECT_FALSE(FetchAnswer("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab").ok()) << "cut short";
  EXPECT_FALSE(FetchAnswer("no http\r\n\r\n").ok());
}

TEST(JwksFetchTest, OnlyHttpsAndThisMachineAreAsked) {
  TestLoop loop;
  FetchJwks fetch = MakeHttpsFetch(loop);
  for (const char* uri :
       {"http://issuer.example/keys", "http://10.0.0.1/", "http://127.0.0.1.example/", "http://[::2]/",
        "ftp://127.0.0.1/", "file:///etc/passwd", "https://", "https://user@issuer.example/",
        "https://issuer.example:0/", "https://issuer.example:65536/", "https://issuer.example:x/", "https://[::1/",
        "https://a b/", "https://a/\r\nX: y", "http://localhost@issuer.example/", ""}) {
    Body answer = Internal("not called");
    fetch(uri, [&](Body body) { answer = std::move(body); });
    EXPECT_EQ(answer.status().code(), StatusCode::kInvalidArgument) << uri;
  }
}

TEST(JwksFetchTest, FourAreFetchedAtOnceAndTheOthersInTheirTurn) {
  TestLoop loop;
  RawListener listener;
  FetchJwks fetch = MakeHttpsFetch(loop);
  const std::string uri = "http://127.0.0.1:" + std::to_string(listener.port()) + "/";
  int answered = 0, refused = 0;
  for (int i = 0; i < 70; ++i) {
    fetch(uri, [&](const Body& body) {
      ++(body.ok() ? answered : refused);
      EXPECT_TRUE(body.ok() || body.status().code() == StatusCode::kResourceExhausted) << body.status();
    });
  }
  EXPECT_EQ(refused, 2) << "four and 64 that wait";
  for (int round = 0; round < 17; ++round) {
    std::vector<RawSocket> sockets;
    sockets.reserve(4);
    for (int i = 0; i < 4; ++i) sockets.push_back(listener.Accept());
    EXPECT_FALSE(PollFd(listener.fd(), POLLIN, Deadline::After(Duration(0))).ok()) << "a fifth at once";
    for (RawSocket& socket : sockets) {
      socket.ReadUntil("\r\n\r\n");
      socket.Send(Answer("200 OK", "{}"));
    }
    for (int i = 0; i < 4; ++i) ASSERT_TRUE(loop.RunOne());
  }
  EXPECT_EQ(answered, 68);
}

bool NobodyFetches() {
  for (const auto& thread : std::filesystem::directory_iterator("/proc/self/task")) {
    // A thread that has ended meanwhile has no name.
    if (ReadFile(thread.path().string() + "/comm", 64).value_or("") == "jwks-fetch\n") return false;
  }
  return true;
}

TEST(JwksFetchTest, AnAnswerAfterTheEndIsDropped) {
  TestLoop loop;
  RawListener listener;
  FetchJwks fetch = MakeHttpsFetch(loop);
  fetch("http://127.0.0.1:" + std::to_string(listener.port()) + "/", [](const Body&) { FAIL() << "called"; });
  RawSocket socket = listener.Accept();
  socket.ReadUntil("\r\n\r\n");
  EXPECT_FALSE(NobodyFetches());
  fetch = nullptr;
  socket.Send(Answer("200 OK", "{}"));
  EXPECT_TRUE(http::Eventually(NobodyFetches));
  EXPECT_TRUE(loop.empty()) << "the loop may be gone as well";
}

TEST(JwksFetchTest, AServerWithoutATrustedCertificateIsNotBelieved) {
  http::TempDir dir;
  const testing::TlsIdentity trusted("DNS:localhost"), other("DNS:localhost");
  trusted.WriteTo(dir / "ca.pem");
  for (const testing::TlsIdentity* identity : {&trusted, &other}) {
    TestLoop loop;
    RawListener listener;
    std::thread server([&] {
      RawSocket socket = listener.Accept();
      SSL_CTX* context = identity->ServerContext();
      SSL* ssl = SSL_new(context);
      SSL_set_fd(ssl, socket.fd());
      if (SSL_accept(ssl) == 1) {
        char buffer[4096];
        SSL_read(ssl, buffer, sizeof buffer);
        const std::string answer = Answer("200 OK", "keys");
        SSL_write(ssl, answer.data(), static_cast<int>(answer.size()));
        SSL_shutdown(ssl);
      }
      SSL_free(ssl);
      SSL_CTX_free(context);
    });
    Body answer = Internal("not called");
    FetchJwks fetch = MakeHttpsFetch(loop, {.ca_file = dir / "ca.pem"});
    fetch("https://localhost:" + std::to_string(listener.port()) + "/keys",
          [&](Body body) { answer = std::move(body); });
    EXPECT_TRUE(loop.RunOne());
    server.join();
    if (identity == &trusted)
      EXPECT_EQ(answer.value_or(answer.status().ToString()), "keys");
    else
      EXPECT_EQ(answer.status().code(), StatusCode::kUnauthenticated) << answer.status();
  }
}

}  // namespace
}  // namespace mcpfleet::gateway
