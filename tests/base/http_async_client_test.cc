#include "base/http/async_client.h"

#include <atomic>
#include <boost/asio/io_context.hpp>
#include <map>
#include <mutex>

#include "tests/base/http_testing.h"
#include "tests/base/tls_identity.h"

namespace mcpfleet::http {
namespace {

// What became of one request.
struct Outcome {
  int status = 0;
  Headers headers;
  std::string body;
  bool done = false;
  Status why;
  std::unique_ptr<AsyncCall> call;
};

// The test's thread is the client's loop; servers have threads of their own.
class AsyncClientTest : public ::testing::Test {
 protected:
  void Connect(Endpoint endpoint, AsyncOptions options = {}) {
    client_ = std::make_unique<AsyncClient>(loop_, std::move(endpoint), std::move(options));
  }
  void Connect(uint16_t port, AsyncOptions options = {}) {
    Connect(TcpEndpoint("127.0.0.1", port), std::move(options));
  }
  void Send(const Request& request, Outcome* out, const AsyncLimits& limits = {}) {
    out->call = client_->Send(request,
                              {.on_head =
                                   [out](const Response& head) {
                                     out->status = head.status;
                                     out->headers = head.headers;
                                   },
                               .on_body = [out](std::string_view bytes) { out->body += bytes; },
                               .on_done =
                                   [out](const Status& why) {
                                     EXPECT_FALSE(out->done);
                                     out->done = true;
                                     out->why = why;
                                   }},
                              limits);
    EXPECT_FALSE(out->done) << "called back from inside Send";
  }
  bool RunUntil(const std::function<bool()>& condition) {
    const Deadline deadline = Soon();
    while (!condition()) {
      if (deadline.Expired()) return false;
      loop_.restart();
      loop_.run_one_for(20ms);
    }
    return true;
  }
  Outcome Do(const Request& request, const AsyncLimits& limits = {}) {
    Outcome out;
    Send(request, &out, limits);
    EXPECT_TRUE(RunUntil([&] { return out.done; })) << "no end";
    out.call.reset();
    return out;
  }

  boost::asio::io_context loop_;
  std::unique_ptr<AsyncClient> client_;
};

Request Post(const std::string& body) { return {.method = "POST", .target = "/post", .body = body}; }

// Answers with the peer's address, to see which connection a request came by.
void TellPeer(const Request&, const std::shared_ptr<Responder>& to) { to->Send(TextResponse(200, to->peer().address)); }

TEST_F(AsyncClientTest, RequestsOneAfterTheOtherUseOneConnection) {
  auto server = MustServe({}, TellPeer);
  Connect(server->port());
  const Outcome first = Do({});
  ASSERT_TRUE(first.why.ok()) << first.why;
  EXPECT_EQ(first.status, 200);
  EXPECT_EQ(Do(Post("x")).body, first.body);
  EXPECT_EQ(Do({}).body, first.body);
}

TEST_F(AsyncClientTest, RequestsAtOnceGetTheirOwnAnswersAndOnlyAFewConnectionsAreKept) {
  auto server = MustServe({}, Echo);
  Connect(server->port(), {.max_idle = 3});
  std::vector<Outcome> outcomes(100);
  for (size_t i = 0; i < outcomes.size(); ++i) Send(Post(std::to_string(i)), &outcomes[i]);
  for (size_t i = 0; i < outcomes.size(); ++i) {
    ASSERT_TRUE(RunUntil([&] { return outcomes[i].done; }));
    EXPECT_EQ(outcomes[i].body, "POST /post " + std::to_string(i));
  }
}

TEST_F(AsyncClientTest, AConnectionIsNotKeptLongerThanTheServerDoes) {
  auto server = MustServe({}, [](const Request&, const std::shared_ptr<Responder>& to) {
    Response response = TextResponse(200, to->peer().address);
    response.headers.Set("Keep-Alive", "timeout=1, max=100");
    to->Send(response);
  });
  Connect(server->port());
  const std::string first = Do({}).body;
  EXPECT_NE(Do({}).body, first);
}

TEST_F(AsyncClientTest, AKeptConnectionThatTheServerClosedIsNotUsed) {
  auto server = MustServe({.idle_timeout = 20ms}, TellPeer);
  Connect(server->port());
  const std::string first = Do({}).body;
  RunUntil([until = Deadline::After(60ms)] { return until.Expired(); });
  const Outcome second = Do(Post("x"));
  ASSERT_TRUE(second.why.ok()) << second.why;
  EXPECT_NE(second.body, first);
}

// Serves two connections: one answer and then silence on the first, one answer on the second.
void CloseOnTheSecondRequest(RawListener* listener, bool again) {
  const std::string answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
  {
    RawSocket socket = listener->Accept();
    socket.ReadUntil("\r\n\r\n");
    socket.Send(answer);
    socket.ReadUntil("\r\n\r\n");
  }
  if (!again) return;
  RawSocket socket = listener->Accept();
  socket.ReadUntil("\r\n\r\n");
  socket.Send(answer);
}

TEST_F(AsyncClientTest, AGetOnAUsedConnectionThatEndsIsRepeatedOnANewOne) {
  RawListener listener;
  std::thread server([&] { CloseOnTheSecondRequest(&listener, true); });
  Connect(listener.port());
  EXPECT_EQ(Do({}).body, "ok");
  const Outcome second = Do({});
  EXPECT_TRUE(second.why.ok()) << second.why;
  EXPECT_EQ(second.body, "ok");
  server.join();
}

TEST_F(AsyncClientTest, APostOnAUsedConnectionThatEndsIsNotRepeated) {
  RawListener listener;
  std::thread server([&] { CloseOnTheSecondRequest(&listener, false); });
  Connect(listener.port());
  EXPECT_EQ(Do({}).body, "ok");
  EXPECT_EQ(Do(Post("x")).why.code(), StatusCode::kUnavailable);
  server.join();
}

TEST_F(AsyncClientTest, DestroyingACallClosesItsConnectionAndEndsItsCallbacks) {
  std::atomic<bool> here{false}, gone{false};
  std::shared_ptr<Responder> kept;
  auto server = MustServe({}, [&](const Request&, const std::shared_ptr<Responder>& to) {
    to->OnGone([&] { gone = true; });
    kept = to;
    here = true;
  });
  Connect(server->port());
  Outcome out;
  Send({}, &out);
  ASSERT_TRUE(RunUntil([&] { return here.load(); }));
  out.call.reset();
  EXPECT_TRUE(RunUntil([&] { return gone.load(); }));
  EXPECT_FALSE(out.done);
}

TEST_F(AsyncClientTest, ACallMayBeDestroyedInItsCallbacks) {
  auto server = MustServe({}, Echo);
  Connect(server->port());
  std::unique_ptr<AsyncCall> call;
  bool head = false;
  call = client_->Send({}, {.on_head =
                                [&](const Response&) {
                                  call.reset();
                                  head = true;
                                },
                            .on_body = [](std::string_view) { ADD_FAILURE() << "after the end"; },
                            .on_done = [](const Status&) { ADD_FAILURE() << "after the end"; }});
  ASSERT_TRUE(RunUntil([&] { return head; }));
  EXPECT_TRUE(Do({}).why.ok());
}

TEST_F(AsyncClientTest, ABodyArrivesWhileItIsWrittenAndPauseHoldsItUp) {
  std::atomic<bool> finished{false};
  constexpr size_t kPiece = size_t{1} << 20, kPieces = 24;
  auto server = MustServe({.worker_threads = 2, .max_queued = 2 * kPiece * kPieces},
                          [&](const Request& request, const std::shared_ptr<Responder>& to) {
                            if (request.target == "/other") return to->Send(TextResponse(200, "other"));
                            std::shared_ptr<StreamWriter> stream = to->StartStream({});
                            for (size_t i = 0; i < kPieces; ++i) stream->Write(std::string(kPiece, 'b'));
                            stream->End();
                            finished = true;
                          });
  Connect(server->port());
  Outcome big;
  Send({.target = "/big"}, &big);
  ASSERT_TRUE(RunUntil([&] { return !big.body.empty(); }));
  big.call->Pause();
  ASSERT_TRUE(RunUntil([&] { return finished.load(); }));
  const size_t before = big.body.size();
  EXPECT_EQ(Do({.target = "/other"}).body, "other");
  EXPECT_EQ(big.body.size(), before);
  EXPECT_FALSE(big.done);
  big.call->Resume();
  ASSERT_TRUE(RunUntil([&] { return big.done; }));
  EXPECT_EQ(big.body.size(), kPiece * kPieces);
}

TEST_F(AsyncClientTest, ARefusalBeforeTheRequestIsWrittenIsRead) {
  auto server = MustServe({.max_body = 1000}, Echo);
  Connect(server->port());
  const Outcome out = Do(Post(std::string(size_t{8} << 20, 'x')));
  EXPECT_EQ(out.status, 413) << out.why;
}

TEST_F(AsyncClientTest, WhatFailsSaysHow) {
  uint16_t free_port = 0;
  {
    RawListener listener;
    free_port = listener.port();
  }
  Connect(free_port);
  EXPECT_EQ(Do({}).why.code(), StatusCode::kUnavailable);
  EXPECT_EQ(Do({.target = "/two words"}).why.code(), StatusCode::kInvalidArgument);
  Connect({.host = "no such host", .port = 1});
  EXPECT_EQ(Do({}).why.code(), StatusCode::kUnavailable);
}

TEST_F(AsyncClientTest, ASilentServerIsGivenUpInTime) {
  RawListener listener;
  Connect(listener.port());
  EXPECT_EQ(Do({}, {.head = 20ms}).why.code(), StatusCode::kDeadlineExceeded);
  EXPECT_EQ(Do({}, {.total = 20ms}).why.code(), StatusCode::kDeadlineExceeded);
}

// The outcome of one request to a server that answers `wire` and closes.
TEST_F(AsyncClientTest, AnAnswerThatBreaksOffOrIsTooLargeIsAnError) {
  const std::map<std::string, StatusCode> answers = {
      {"", StatusCode::kUnavailable},
      {"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", StatusCode::kUnavailable},
      {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n", StatusCode::kUnavailable},
      {"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n" + std::string(50, 'x'), StatusCode::kResourceExhausted},
      {"SSH-2.0-OpenSSH\r\n\r\n", StatusCode::kInvalidArgument},
      {"HTTP/1.1 200 OK\r\n\r\nup to the end", StatusCode::kOk}};
  for (const auto& [wire, code] : answers) {
    RawListener listener;
    std::thread server([&, wire = wire] {
      RawSocket socket = listener.Accept();
      socket.ReadUntil("\r\n\r\n");
      socket.Send(wire);
    });
    Connect(listener.port());
    EXPECT_EQ(Do({}, {.max_body = 20}).why.code(), code) << wire;
    server.join();
  }
}

TEST_F(AsyncClientTest, ASocketOfTheCallersIsUsedInsteadOfTheAddress) {
  auto server = MustServe({}, Echo);
  int made = 0;
  Connect(TcpEndpoint("192.0.2.1", 80), {.host_header = "inside:80", .connect = [&]() -> StatusOr<UniqueFd> {
                                           ++made;
                                           UniqueFd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
                                           sockaddr_in address{};
                                           address.sin_family = AF_INET;
                                           address.sin_port = htons(server->port());
                                           address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
                                           (void)connect(fd.get(), reinterpret_cast<sockaddr*>(&address),
                                                         sizeof address);
                                           return fd;
                                         }});
  EXPECT_EQ(Do(Post("hi")).body, "POST /post hi");
  EXPECT_EQ(Do(Post("again")).body, "POST /post again");
  EXPECT_EQ(made, 1);
  Connect(TcpEndpoint("192.0.2.1", 80), {.connect = []() -> StatusOr<UniqueFd> { return NotFound("no namespace"); }});
  EXPECT_EQ(Do({}).why.code(), StatusCode::kNotFound);
}

TEST_F(AsyncClientTest, WhatNobodyWaitsForIsSentAllTheSame) {
  std::atomic<bool> seen{false};
  auto server = MustServe({}, [&](const Request& request, const std::shared_ptr<Responder>& to) {
    seen = request.method == "DELETE";
    to->Send({});
  });
  Connect(server->port());
  client_->SendAndForget({.method = "DELETE"}, 2s);
  client_.reset();
  EXPECT_TRUE(RunUntil([&] { return seen.load(); }));
}

// Answers one request over TLS and closes.
void ServeTls(RawListener* listener, const testing::TlsIdentity& identity) {
  RawSocket socket = listener->Accept();
  SSL_CTX* context = identity.ServerContext();
  SSL* ssl = SSL_new(context);
  SSL_set_fd(ssl, socket.fd());
  if (SSL_accept(ssl) == 1) {
    std::string seen;
    char buffer[4096];
    for (int n; seen.find("\r\n\r\n") == std::string::npos && (n = SSL_read(ssl, buffer, sizeof buffer)) > 0;)
      seen.append(buffer, static_cast<size_t>(n));
    const std::string body(100000, 't');
    const std::string answer = "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + body;
    SSL_write(ssl, answer.data(), static_cast<int>(answer.size()));
    SSL_shutdown(ssl);
  }
  SSL_free(ssl);
  SSL_CTX_free(context);
}

TEST_F(AsyncClientTest, OverTlsOnlyATrustedCertificateForTheHostIsAccepted) {
  TempDir dir;
  const testing::TlsIdentity trusted("DNS:localhost"), untrusted("DNS:localhost");
  trusted.WriteTo(dir / "ca.pem");
  const auto ask = [&](const std::string& host, const testing::TlsIdentity& identity) {
    RawListener listener;
    std::thread server([&] { ServeTls(&listener, identity); });
    Connect({.host = host, .port = listener.port(), .tls = true}, {.ca_file = dir / "ca.pem"});
    Outcome out = Do({});
    server.join();
    return out;
  };
  const Outcome good = ask("localhost", trusted);
  EXPECT_TRUE(good.why.ok()) << good.why;
  EXPECT_EQ(good.body.size(), 100000U);
  EXPECT_EQ(ask("127.0.0.1", trusted).why.code(), StatusCode::kUnauthenticated);
  EXPECT_EQ(ask("localhost", untrusted).why.code(), StatusCode::kUnauthenticated);
}

}  // namespace
}  // namespace mcpfleet::http
