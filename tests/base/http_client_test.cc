#include <atomic>

#include "tests/base/http_testing.h"

namespace mcpfleet::http {
namespace {

TEST(HttpClientTest, TalksOverTcpAndOverAUnixSocket) {
  auto tcp = MustServe({}, Echo);
  Client over_tcp(TcpEndpoint("127.0.0.1", tcp->port()), {});
  StatusOr<Response> answer = over_tcp.Do({.method = "POST", .target = "/a?b=c", .body = "hello"}, Soon());
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_EQ(answer->status, 200);
  EXPECT_EQ(answer->body, "POST /a?b=c hello");
  EXPECT_EQ(answer->headers.Get("content-type"), "text/plain; charset=utf-8");

  TempDir dir;
  auto unix_server = MustServe({.unix_path = dir / "s"}, Echo);
  Client over_unix(UnixEndpoint(dir / "s"), {});
  answer = over_unix.Do({.target = "/x"}, Soon());
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_EQ(answer->body, "GET /x ");
}

TEST(HttpClientTest, ReusesItsConnectionForTheNextRequest) {
  auto server = MustServe({}, [](const Request&, const std::shared_ptr<Responder>& to) {
    to->Send(TextResponse(200, to->peer().address));
  });
  Client client(TcpEndpoint("127.0.0.1", server->port()), {});
  StatusOr<Response> first = client.Do({}, Soon()), second = client.Do({}, Soon());
  ASSERT_TRUE(first.ok() && second.ok());
  EXPECT_EQ(first->body, second->body);
}

TEST(HttpClientTest, RefusedAndMissingSocketsAreUnavailable) {
  uint16_t free_port = 0;
  { free_port = RawListener().port(); }
  Client tcp(TcpEndpoint("127.0.0.1", free_port), {});
  EXPECT_EQ(tcp.Do({}, Soon()).status().code(), StatusCode::kUnavailable);
  TempDir dir;
  Client missing(UnixEndpoint(dir / "none"), {});
  EXPECT_EQ(missing.Do({}, Soon()).status().code(), StatusCode::kUnavailable);
}

TEST(HttpClientTest, ASilentServerEndsWithTheDeadline) {
  RawListener listener;
  Client client(TcpEndpoint("127.0.0.1", listener.port()), {});
  EXPECT_EQ(client.Do({}, Deadline::After(50ms)).status().code(), StatusCode::kDeadlineExceeded);
}

TEST(HttpClientTest, AnIdempotentRequestIsRepeatedWhenTheKeptConnectionWasClosedUnanswered) {
  RawListener listener;
  std::atomic<int> seen{0};
  std::thread peer([&] {
    RawSocket first = listener.Accept();
    first.ReadUntil("\r\n\r\n");
    ++seen;
    first.Send("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na");
    first.ReadUntil("\r\n\r\n");  // the second request arrives and is dropped
    ++seen;
    first.Close();
    RawSocket second = listener.Accept();
    second.ReadUntil("\r\n\r\n");
    ++seen;
    second.Send("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nb");
  });
  Client client(TcpEndpoint("127.0.0.1", listener.port()), {});
  EXPECT_EQ(client.Do({}, Soon())->body, "a");
  StatusOr<Response> answer = client.Do({}, Soon());
  peer.join();
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_EQ(answer->body, "b");
  EXPECT_EQ(seen, 3);
}

TEST(HttpClientTest, APostIsNeverRepeated) {
  RawListener listener;
  std::thread peer([&] {
    RawSocket first = listener.Accept();
    first.ReadUntil("\r\n\r\n");
    first.Send("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na");
    first.ReadUntil("\r\n\r\n");
    first.Close();
  });
  Client client(TcpEndpoint("127.0.0.1", listener.port()), {});
  EXPECT_TRUE(client.Do({}, Soon()).ok());
  StatusOr<Response> answer = client.Do({.method = "POST"}, Soon());
  peer.join();
  EXPECT_EQ(answer.status().code(), StatusCode::kUnavailable);
}

TEST(HttpClientTest, AKeptConnectionThatTheServerClosedIsNotUsedEvenForAPost) {
  RawListener listener;
  std::thread peer([&] {
    RawSocket first = listener.Accept();
    first.ReadUntil("\r\n\r\n");
    first.Send("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na");
  });
  Client client(TcpEndpoint("127.0.0.1", listener.port()), {});
  EXPECT_TRUE(client.Do({}, Soon()).ok());
  peer.join();  // closes
  std::thread second([&] {
    RawSocket socket = listener.Accept();
    socket.ReadUntil("\r\n\r\n");
    socket.Send("HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n");
  });
  StatusOr<Response> answer = client.Do({.method = "POST"}, Soon());
  second.join();
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_EQ(answer->status, 201);
}

// One answer from a hand-written server.
StatusOr<Response> AnswerTo(std::string_view wire, ClientOptions options = {}, const Request& request = {}) {
  RawListener listener;
  std::thread peer([&] {
    RawSocket socket = listener.Accept();
    socket.ReadUntil("\r\n\r\n");
    socket.Send(wire);
  });
  Client client(TcpEndpoint("127.0.0.1", listener.port()), std::move(options));
  StatusOr<Response> answer = client.Do(request, Soon());
  peer.join();
  return answer;
}

TEST(HttpClientTest, ReadsEveryFramingOfABody) {
  EXPECT_EQ(
      AnswerTo(
          "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n2\r\nde\r\n0\r\nTrailer: 1\r\n\r\n")
          ->body,
      "abcde");
  EXPECT_EQ(AnswerTo("HTTP/1.0 200 OK\r\n\r\nuntil the end")->body, "until the end");
  EXPECT_EQ(AnswerTo("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n")->status, 204);
  EXPECT_EQ(AnswerTo("HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n")->body, "");
  EXPECT_EQ(
      AnswerTo("HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n", {}, {.method = "HEAD"})->headers.Get("content-length"),
      "7");
}

TEST(HttpClientTest, RefusesWhatIsNotHttpOrCouldBeReadTwoWays) {
  for (std::string_view wire :
       {"SSH-2.0-OpenSSH\r\n\r\n", "HTTP/2.0 200 OK\r\n\r\n", "HTTP/1.1 20 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\n folded\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n"}) {
    EXPECT_EQ(AnswerTo(wire).status().code(), StatusCode::kInvalidArgument) << wire;
  }
}

TEST(HttpClientTest, ABodyOrHeaderLargerThanTheLimitIsResourceExhausted) {
  ClientOptions small{.max_body = 4, .max_header = 64};
  for (std::string_view wire :
       {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", "HTTP/1.0 200 OK\r\n\r\n12345",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX: 0123456789012345678901234567890123456789012345678901234567890\r\n\r\n"}) {
    EXPECT_EQ(AnswerTo(wire, small).status().code(), StatusCode::kResourceExhausted) << wire;
  }
}

TEST(HttpClientTest, ABodyCutShortIsUnavailable) {
  EXPECT_EQ(AnswerTo("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab").status().code(), StatusCode::kUnavailable);
  EXPECT_EQ(AnswerTo("").status().code(), StatusCode::kUnavailable);
}

TEST(HttpClientTest, NeverSendsAHeaderOrTargetThatWouldStartAnother) {
  Client client(TcpEndpoint("127.0.0.1", 1), {});
  Request header;
  header.headers.Add("X", "a\r\nY: b");
  EXPECT_EQ(client.Do(header, Soon()).status().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(client.Do({.target = "/a b"}, Soon()).status().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(client.Do({.method = "GET /", .target = "/"}, Soon()).status().code(), StatusCode::kInvalidArgument);
}

TEST(HttpClientTest, AStreamIsReadAsItArrivesAndItsConnectionIsKept) {
  std::shared_ptr<StreamWriter> writer;
  std::atomic<bool> started{false};
  auto server = MustServe({}, [&](const Request&, const std::shared_ptr<Responder>& to) {
    writer = to->StartStream(TextResponse(200, ""));
    started = true;
  });
  Client client(TcpEndpoint("127.0.0.1", server->port()), {});
  auto stream = client.Open({}, Soon());
  ASSERT_TRUE(stream.ok()) << stream.status();
  ASSERT_TRUE(Eventually([&] { return started.load(); }));
  EXPECT_EQ((*stream)->head().status, 200);
  writer->Write("one");
  EXPECT_EQ(*(*stream)->Read(Soon()), "one");
  EXPECT_EQ((*stream)->Read(Deadline::After(20ms)).status().code(), StatusCode::kDeadlineExceeded);
  writer->Write("two");
  EXPECT_EQ(*(*stream)->Read(Soon()), "two");
  writer->End();
  EXPECT_EQ(*(*stream)->Read(Soon()), "");
  EXPECT_FALSE(writer->Write("late"));
}

TEST(HttpClientTest, CancelFromAnotherThreadEndsAWaitingRead) {
  std::shared_ptr<StreamWriter> writer;
  auto server =
      MustServe({}, [&](const Request&, const std::shared_ptr<Responder>& to) { writer = to->StartStream({}); });
  Client client(TcpEndpoint("127.0.0.1", server->port()), {});
  auto stream = client.Open({}, Soon());
  ASSERT_TRUE(stream.ok());
  std::thread other([&] { (*stream)->Cancel(); });
  EXPECT_EQ((*stream)->Read(Soon()).status().code(), StatusCode::kCancelled);
  EXPECT_EQ((*stream)->Read(Soon()).status().code(), StatusCode::kCancelled);
  other.join();
}

TEST(HttpClientTest, AnUpgradeHandsOverTheSocketAndTheBytesBehindTheHead) {
  RawListener listener;
  std::thread peer([&] {
    RawSocket socket = listener.Accept();
    EXPECT_NE(socket.ReadUntil("\r\n\r\n").find("Upgrade: tcp\r\n"), std::string::npos);
    socket.Send(
        "HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.raw-stream\r\nConnection: Upgrade\r\nUpgrade: "
        "tcp\r\n\r\nearly");
    EXPECT_EQ(socket.ReadUntil("\n"), "to you\n");
    socket.Send("to me");
  });
  Client client(TcpEndpoint("127.0.0.1", listener.port()), {});
  Request request{.method = "POST", .target = "/containers/x/attach?stream=1"};
  request.headers.Add("Connection", "Upgrade");
  request.headers.Add("Upgrade", "tcp");
  StatusOr<Upgraded> upgraded = client.Upgrade(request, Soon());
  ASSERT_TRUE(upgraded.ok()) << upgraded.status();
  RawSocket socket(std::move(upgraded->fd));
  socket.Send("to you\n");
  EXPECT_EQ(upgraded->leftover + socket.ReadUntil("to me"), "earlyto me");
  peer.join();
}

TEST(HttpClientTest, ARefusedUpgradeSaysWhatTheServerSaid) {
  auto server = MustServe({}, [](const Request&, const std::shared_ptr<Responder>& to) {
    to->Send(TextResponse(404, "no such container"));
  });
  Client client(TcpEndpoint("127.0.0.1", server->port()), {});
  Status status = client.Upgrade({.method = "POST"}, Soon()).status();
  EXPECT_EQ(status.code(), StatusCode::kNotFound);
  EXPECT_NE(Message(status).find("404: no such container"), std::string::npos) << status;
}

TEST(HttpClientTest, TheConnectHookReplacesTheConnection) {
  TempDir dir;
  auto server = MustServe({.unix_path = dir / "s"}, Echo);
  int called = 0;
  ClientOptions options;
  options.connect = [&](Deadline) -> StatusOr<UniqueFd> {
    ++called;
    return Unavailable("not today");
  };
  Client client(TcpEndpoint("192.0.2.1", 9), options);
  EXPECT_EQ(Message(client.Do({}, Soon()).status()), "not today");
  EXPECT_EQ(called, 1);
}

}  // namespace
}  // namespace mcpfleet::http
