#include <sys/stat.h>

#include <algorithm>
#include <atomic>

#include "base/http/request_parser.h"
#include "tests/base/http_testing.h"

namespace mcpfleet::http {
namespace {

bool Starts(const std::string& text, std::string_view with) { return text.starts_with(with); }

TEST(HttpServerTest, AnswersPipelinedRequestsInOrder) {
  auto server = MustServe({}, Echo);
  RawSocket socket(server->port());
  socket.Send(
      "GET /1 HTTP/1.1\r\nHost: x\r\n\r\nPOST /2 HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhiGET /3 "
      "HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_NE(socket.ReadUntil("GET /1 ").find("200 OK"), std::string::npos);
  socket.ReadUntil("POST /2 hi");
  EXPECT_EQ(socket.ReadUntil("GET /3 ").find('<'), std::string::npos);
}

TEST(HttpServerTest, ReadsAChunkedRequestAndAnswersExpectContinue) {
  auto server = MustServe({}, Echo);
  RawSocket socket(server->port());
  socket.Send("POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n");
  EXPECT_EQ(socket.ReadUntil("\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
  socket.Send("3\r\nabc\r\n1\r\nd\r\n0\r\n\r\n");
  EXPECT_EQ(socket.ReadUntil("abcd").find('<'), std::string::npos);
}

// The body of a request that comes in a piece of `first` bytes and then in pieces of `step`.
std::string BodyInPieces(const std::string& wire, size_t first, size_t step) {
  RequestParser parser(4096, 4096);
  std::string waiting = wire.substr(0, first);
  for (size_t at = first; !parser.done() && at < wire.size() + step; at += step) {
    waiting.erase(0, parser.Put(waiting));
    waiting += wire.substr(std::min(at, wire.size()), step);
  }
  parser.Put(waiting);
  return parser.done() ? parser.Take().body : "not done";
}

TEST(RequestParserTest, APieceMayEndAnywhere) {
  const std::string head = "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
  const std::string body = head + "3\r\nabc\r\n1;x=y\r\nd\r\n0\r\nTrailer: 1\r\n\r\n",
                    empty = head + "0\r\nT: 1\r\n\r\n";
  for (size_t step = 1; step <= body.size(); ++step) {
    for (size_t first = 0; first < step; ++first) {
      ASSERT_EQ(BodyInPieces(body, first, step), "abcd") << first << ", " << step;
      ASSERT_EQ(BodyInPieces(empty, first, step), "") << first << ", " << step;
    }
  }
}

std::string Answer(const Server& server, std::string_view wire) {
  RawSocket socket(server.port());
  socket.Send(wire);
  return socket.ReadUntil("");
}

TEST(HttpServerTest, RefusesMalformedRequestsBeforeTheHandler) {
  std::atomic<int> handled{0};
  auto server = MustServe({}, [&](const Request&, const std::shared_ptr<Responder>& to) {
    ++handled;
    to->Send({});
  });
  for (std::string_view wire :
       {"\x16\x03\x01 TLS hello\r\n\r\n", "GET /\r\n\r\n", "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/3.0\r\nHost: x\r\n\r\n", "GET http://elsewhere/ HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", "GET / HTTP/1.1\r\nHost: x\r\nBad Name: y\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: x\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\na",
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n\r\n"}) {
    std::string answer = Answer(*server, wire);
    EXPECT_TRUE(Starts(answer, "HTTP/1.1 400 ")) << wire << " -> " << answer;
    EXPECT_NE(answer.find("Connection: close\r\n"), std::string::npos);
  }
  EXPECT_EQ(handled, 0);
}

TEST(HttpServerTest, ABodyOrHeaderLargerThanTheLimitIsRefused) {
  auto server = MustServe({.max_header = 1024, .max_body = 8}, Echo);
  EXPECT_TRUE(
      Starts(Answer(*server, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n123456789"), "HTTP/1.1 413 "));
  EXPECT_TRUE(Starts(
      Answer(*server,
             "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n4\r\n6789\r\n0\r\n\r\n"),
      "HTTP/1.1 413 "));
  EXPECT_TRUE(Starts(Answer(*server, "GET / HTTP/1.1\r\nHost: x\r\nX: " + std::string(2000, 'y') + "\r\n\r\n"),
                     "HTTP/1.1 431 "));
  Client client(TcpEndpoint("127.0.0.1", server->port()), {});
  StatusOr<Response> refused = client.Do({.method = "PUT", .body = std::string(4 << 20, 'x')}, Soon());
  ASSERT_TRUE(refused.ok()) << refused.status();  // the refusal is read although the body could not be sent
  EXPECT_EQ(refused->status, 413);
}

TEST(HttpServerTest, AHeaderOrBodyThatTricklesInIsTimedOut) {
  auto server = MustServe({.header_timeout = 50ms, .body_timeout = 50ms}, Echo);
  EXPECT_TRUE(Starts(Answer(*server, "GET / HTTP/1.1\r\nHost"), "HTTP/1.1 408 "));
  EXPECT_TRUE(Starts(Answer(*server, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nab"), "HTTP/1.1 408 "));
  EXPECT_EQ(Answer(*server, ""), "");  // nothing asked, nothing answered
}

TEST(HttpServerTest, AnIdleConnectionIsClosed) {
  auto server = MustServe({.idle_timeout = 30ms}, Echo);
  EXPECT_TRUE(Starts(Answer(*server, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"), "HTTP/1.1 200 "));
}

TEST(HttpServerTest, ADroppedOrThrowingHandlerAnswers500) {
  auto server = MustServe({}, [](const Request& request, const std::shared_ptr<Responder>&) {
    if (request.target == "/throw") throw std::runtime_error("oops");
  });
  Client client(TcpEndpoint("127.0.0.1", server->port()), {});
  EXPECT_EQ(client.Do({.target = "/drop"}, Soon())->status, 500);
  EXPECT_EQ(client.Do({.target = "/throw"}, Soon())->status, 500);
}

TEST(HttpServerTest, HeadHasLengthButNoBodyAndTheConnectionStaysInStep) {
  auto server = MustServe({}, Echo);
  RawSocket socket(server->port());
  socket.Send("HEAD /abc HTTP/1.1\r\nHost: x\r\n\r\nGET /next HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_NE(socket.ReadUntil("\r\n\r\n").find("Content-Length: 10\r\n"), std::string::npos);
  EXPECT_TRUE(Starts(socket.ReadUntil("GET /next "), "HTTP/1.1 200 "));
}

TEST(HttpServerTest, AHandlersHeaderCannotStartAnother) {
  auto server = MustServe({}, [](const Request&, const std::shared_ptr<Responder>& to) {
    Response response = TextResponse(200, "");
    response.headers.Add("X", "a\r\nSet-Cookie: b");
    to->Send(response);
  });
  EXPECT_EQ(Answer(*server, "GET / HTTP/1.0\r\n\r\n").find("Set-Cookie"), std::string::npos);
}

TEST(HttpServerTest, AHalfClosedConnectionStillGetsItsAnswer) {
  auto server = MustServe({}, Echo);
  RawSocket socket(server->port());
  socket.Send("GET /x HTTP/1.1\r\nHost: x\r\n\r\n");
  socket.FinishSending();
  EXPECT_NE(socket.ReadUntil("").find("GET /x "), std::string::npos);
}

// What OnGone told, for a request that the handler keeps unanswered.
struct Kept {
  std::atomic<bool> gone{false};
  std::shared_ptr<Responder> to;
  std::atomic<bool> here{false};
  void Keep(const std::shared_ptr<Responder>& responder) {
    responder->OnGone([this] { gone = true; });
    to = responder;
    here = true;
  }
};

TEST(HttpServerTest, APeerThatGoesWhileItsRequestIsHandledIsNoticed) {
  Kept kept;
  auto server = MustServe({}, [&](const Request&, const std::shared_ptr<Responder>& to) { kept.Keep(to); });
  RawSocket socket(server->port());
  socket.Send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  ASSERT_TRUE(Eventually([&] { return kept.here.load(); }));
  EXPECT_FALSE(kept.gone);
  socket.Close();
  EXPECT_TRUE(Eventually([&] { return kept.gone.load(); }));
  kept.to.reset();
}

TEST(HttpServerTest, AHalfClosedPeerIsToldGoneAndStillAnswered) {
  Kept kept;
  auto server = MustServe({}, [&](const Request&, const std::shared_ptr<Responder>& to) { kept.Keep(to); });
  RawSocket socket(server->port());
  socket.Send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  socket.FinishSending();
  ASSERT_TRUE(Eventually([&] { return kept.gone.load(); }));
  kept.to->Send(TextResponse(200, "late\n"));
  EXPECT_NE(socket.ReadUntil("").find("late"), std::string::npos);
}

TEST(HttpServerTest, OnGoneAfterThePeerWentIsCalledAtOnce) {
  Kept kept;
  auto server = MustServe({}, [&](const Request&, const std::shared_ptr<Responder>& to) { kept.Keep(to); });
  RawSocket socket(server->port());
  socket.Send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  socket.Close();
  ASSERT_TRUE(Eventually([&] { return kept.gone.load(); }));
  std::atomic<bool> again{false};
  kept.to->OnGone([&] { again = true; });
  EXPECT_TRUE(Eventually([&] { return again.load(); }));
}

TEST(HttpServerTest, AReaderOfAStreamThatGoesIsNoticed) {
  std::atomic<bool> gone{false};
  std::shared_ptr<StreamWriter> writer;
  auto server = MustServe({}, [&](const Request&, const std::shared_ptr<Responder>& to) {
    to->OnGone([&] { gone = true; });
    writer = to->StartStream({});
    writer->Write("first");
  });
  RawSocket socket(server->port());
  socket.Send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  socket.ReadUntil("first");
  EXPECT_FALSE(gone);
  socket.Close();
  EXPECT_TRUE(Eventually([&] { return gone.load(); }));
  EXPECT_TRUE(writer->closed());
}

TEST(HttpServerTest, OnGoneOfAnAnsweredRequestIsForgotten) {
  std::atomic<int> gone{0};
  std::shared_ptr<Responder> first;
  Kept second;
  auto server = MustServe({}, [&](const Request& request, const std::shared_ptr<Responder>& to) {
    if (request.target == "/2") {
      first->OnGone([&] { ++gone; });  // too late: of the answered request
      return second.Keep(to);
    }
    first = to;
    to->OnGone([&] { ++gone; });
    to->Send(TextResponse(200, "one\n"));
  });
  RawSocket socket(server->port());
  socket.Send("GET /1 HTTP/1.1\r\nHost: x\r\n\r\n");
  socket.ReadUntil("one\n");
  socket.Send("GET /2 HTTP/1.1\r\nHost: x\r\n\r\n");
  ASSERT_TRUE(Eventually([&] { return second.here.load(); }));
  socket.Close();
  ASSERT_TRUE(Eventually([&] { return second.gone.load(); }));
  EXPECT_EQ(gone, 0);
}

TEST(HttpServerTest, PostedTasksRunOnTheLoopInOrderAndTimedOnesByTheirTime) {
  std::string order;
  std::atomic<bool> done{false};
  auto server = MustServe({}, Echo);
  const MonoTime now = std::chrono::steady_clock::now();
  server->PostAt(now + 40ms, [&] {
    order += "5";
    done = true;
  });
  server->PostAt(now + 20ms, [&] { order += "3"; });
  server->PostAt(now + 20ms, [&] { order += "4"; });
  server->Post([&] { order += "1"; });
  server->Post([&] { order += "2"; });
  ASSERT_TRUE(Eventually([&] { return done.load(); }));
  EXPECT_GE(std::chrono::steady_clock::now(), now + 40ms);
  EXPECT_EQ(order, "12345");
}

TEST(HttpServerTest, ATimedTaskDoesNotHoldUpTheEndAndIsDropped) {
  bool ran = false;
  auto token = std::make_shared<int>(1);  // shared: to see the task die
  auto server = MustServe({}, Echo);
  server->PostAt(std::chrono::steady_clock::now() + 1h, [&ran, token] { ran = true; });
  server.reset();
  EXPECT_EQ(token.use_count(), 1);
  EXPECT_FALSE(ran);
}

TEST(HttpServerTest, AStreamEndsWithItsWriterAndTheConnectionServesOn) {
  auto server = MustServe({}, [](const Request& request, const std::shared_ptr<Responder>& to) {
    if (request.target != "/stream") return Echo(request, to);
    auto writer = to->StartStream(TextResponse(200, ""));
    writer->Write("a");
    writer->Write("bc");
  });
  RawSocket socket(server->port());
  socket.Send("GET /stream HTTP/1.1\r\nHost: x\r\n\r\nGET /next HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_NE(socket.ReadUntil("1\r\na\r\n2\r\nbc\r\n0\r\n\r\n").find("Transfer-Encoding: chunked\r\n"),
            std::string::npos);
  EXPECT_TRUE(Starts(socket.ReadUntil("GET /next "), "HTTP/1.1 200 "));
  EXPECT_EQ(Answer(*server, "GET /stream HTTP/1.0\r\n\r\n").find("chunked"), std::string::npos);
}

TEST(HttpServerTest, AnIdleStreamNoticesThatItsReaderWent) {
  std::shared_ptr<StreamWriter> writer;
  std::atomic<bool> started{false};
  auto server = MustServe({}, [&](const Request&, const std::shared_ptr<Responder>& to) {
    writer = to->StartStream({});
    started = true;
  });
  RawSocket socket(server->port());
  socket.Send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  socket.ReadUntil("\r\n\r\n");
  ASSERT_TRUE(Eventually([&] { return started.load(); }));
  EXPECT_FALSE(writer->closed());
  socket.Close();
  EXPECT_TRUE(Eventually([&] { return writer->closed(); }));
  EXPECT_FALSE(writer->Write("x"));
}

TEST(HttpServerTest, AReaderThatFallsTooFarBehindIsDisconnected) {
  std::shared_ptr<StreamWriter> writer;
  std::atomic<bool> started{false};
  auto server = MustServe({.max_queued = 1 << 20}, [&](const Request&, const std::shared_ptr<Responder>& to) {
    writer = to->StartStream({});
    started = true;
  });
  RawSocket socket(server->port());
  socket.Send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  socket.ReadUntil("\r\n\r\n");
  ASSERT_TRUE(Eventually([&] { return started.load(); }));
  size_t written = 0;
  std::string piece(64 << 10, 'x');
  while (writer->Write(piece) && written < (size_t{256} << 20)) written += piece.size();
  EXPECT_LT(written, size_t{256} << 20);
  EXPECT_TRUE(writer->closed());
}

TEST(HttpServerTest, AWriterLearnsWhenItsSlowReaderCaughtUpOrWent) {
  std::shared_ptr<StreamWriter> writer;
  std::atomic<bool> started{false};
  auto server = MustServe({.max_queued = 256 << 20}, [&](const Request&, const std::shared_ptr<Responder>& to) {
    writer = to->StartStream({});
    started = true;
  });
  for (const bool leaves : {false, true}) {
    started = false;
    RawSocket socket(server->port());
    socket.Send("GET / HTTP/1.0\r\nHost: x\r\n\r\n");
    socket.ReadUntil("\r\n\r\n");
    ASSERT_TRUE(Eventually([&] { return started.load(); }));
    // More than the system takes by itself.
    const std::string piece(1 << 20, 'x');
    while (writer->queued() < (size_t{8} << 20)) ASSERT_TRUE(writer->Write(piece));
    std::atomic<bool> drained{false};
    writer->OnDrained(100'000, [&] { drained = true; });
    std::this_thread::sleep_for(20ms);
    EXPECT_FALSE(drained);
    if (leaves) {
      socket.Close();
    } else {
      writer->End();
      socket.ReadUntil("nothing but its end");
    }
    EXPECT_TRUE(Eventually([&] { return drained.load(); }));
    std::atomic<bool> again{false};
    writer->OnDrained(100'000, [&] { again = true; });
    EXPECT_TRUE(Eventually([&] { return again.load(); })) << "nothing to wait for";
  }
}

TEST(HttpServerTest, BlockingHandlersOnWorkersDoNotHoldUpEachOther) {
  std::atomic<int> inside{0};
  auto server = MustServe({.worker_threads = 2}, [&](const Request& request, const std::shared_ptr<Responder>& to) {
    ++inside;
    Eventually([&] { return inside >= 2; });
    Echo(request, to);
  });
  Client client(TcpEndpoint("127.0.0.1", server->port()), {});
  std::thread other([&] { EXPECT_EQ(client.Do({.target = "/1"}, Soon())->body, "GET /1 "); });
  EXPECT_EQ(client.Do({.target = "/2"}, Soon())->body, "GET /2 ");
  other.join();
}

TEST(HttpServerTest, WhatHandlersKeptMayBeUsedAfterTheServerIsGone) {
  std::shared_ptr<Responder> responder;
  std::shared_ptr<StreamWriter> writer;
  std::atomic<int> handled{0};
  auto server = MustServe({}, [&](const Request& request, const std::shared_ptr<Responder>& to) {
    if (request.target == "/stream") {
      writer = to->StartStream({});
    } else {
      responder = to;
    }
    ++handled;
  });
  RawSocket one(server->port()), two(server->port());
  one.Send("GET /stream HTTP/1.1\r\nHost: x\r\n\r\n");
  two.Send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  ASSERT_TRUE(Eventually([&] { return handled == 2; }));
  server.reset();
  EXPECT_TRUE(writer->closed());
  EXPECT_FALSE(writer->Write("x"));
  responder->Send(TextResponse(200, "too late"));
  EXPECT_EQ(two.ReadUntil(""), "");
}

TEST(HttpServerTest, TooManyConnectionsAreTurnedAway) {
  auto server = MustServe({.max_connections = 1}, Echo);
  RawSocket first(server->port());
  first.Send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  first.ReadUntil("GET / ");
  RawSocket second(server->port());
  EXPECT_TRUE(Starts(second.ReadUntil(""), "HTTP/1.1 503 "));
}

TEST(HttpServerTest, AUnixSocketHasItsModeKnowsItsPeerAndReplacesAStaleFile) {
  TempDir dir;
  std::string path = dir / "s";
  {
    UniqueFd stale(socket(AF_UNIX, SOCK_STREAM, 0));
    struct {
      sa_family_t family = AF_UNIX;
      char path[108] = {};
    } un;
    path.copy(un.path, path.size());
    ASSERT_EQ(bind(stale.get(), reinterpret_cast<sockaddr*>(&un), sizeof un), 0);
  }
  auto server =
      MustServe({.unix_path = path, .unix_mode = 0660}, [](const Request&, const std::shared_ptr<Responder>& to) {
        to->Send(TextResponse(200, std::to_string(to->peer().pid) + " " + std::to_string(to->peer().uid)));
      });
  struct stat info {};
  ASSERT_EQ(stat(path.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0660U);
  Client client(UnixEndpoint(path), {});
  EXPECT_EQ(client.Do({}, Soon())->body, std::to_string(getpid()) + " " + std::to_string(getuid()));
  EXPECT_EQ(Server::Create({.unix_path = path}, Echo).status().code(), StatusCode::kAlreadyExists);
  server.reset();
  EXPECT_NE(stat(path.c_str(), &info), 0);
}

TEST(HttpServerTest, AFileThatIsNoSocketIsNotReplaced) {
  TempDir dir;
  ASSERT_TRUE(WriteFileAtomically(dir / "s", "precious").ok());
  EXPECT_FALSE(Server::Create({.unix_path = dir / "s"}, Echo).ok());
  EXPECT_EQ(*ReadFile(dir / "s", 100), "precious");
}

TEST(HttpServerTest, AUnixSocketBesideTheAddressHasTheSameHandlerAndGoesWithTheServer) {
  TempDir dir;
  const std::string path = dir / "s";
  auto server = MustServe({.unix_beside = path, .unix_beside_mode = 0666},
                          [](const Request&, const std::shared_ptr<Responder>& to) {
                            to->Send(TextResponse(200, to->peer().address == "unix" ? "unix" : "tcp"));
                          });
  struct stat info {};
  ASSERT_EQ(stat(path.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0666U);
  Client unix_client(UnixEndpoint(path), {}), tcp_client(TcpEndpoint("127.0.0.1", server->port()), {});
  EXPECT_EQ(unix_client.Do({}, Soon())->body, "unix");
  EXPECT_EQ(tcp_client.Do({}, Soon())->body, "tcp");
  EXPECT_EQ(Server::Create({.unix_beside = path}, Echo).status().code(), StatusCode::kAlreadyExists);
  server.reset();
  EXPECT_NE(stat(path.c_str(), &info), 0);
}

}  // namespace
}  // namespace mcpfleet::http
