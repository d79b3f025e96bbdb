#include <atomic>

#include "base/http/websocket_frames.h"
#include "tests/base/http_testing.h"

namespace mcpfleet::http {
namespace {

struct Room {
  std::shared_ptr<WebSocket> socket;
  std::atomic<bool> closed{false}, open{false};
};

Server::Handler EchoSockets(Room* room) {
  return [room](const Request&, const std::shared_ptr<Responder>& to) {
    room->socket = to->AcceptWebSocket({.on_text = [room](std::string_view text) { room->socket->SendText(text); },
                                        .on_close = [room] { room->closed = true; }});
    room->open = room->socket != nullptr;
  };
}

TEST(WebSocketTest, EchoesTextOfEverySizeClass) {
  Room room;
  auto server = MustServe({}, EchoSockets(&room));
  auto client = WebSocketClient::Connect(TcpEndpoint("127.0.0.1", server->port()), "/", {}, Soon());
  ASSERT_TRUE(client.ok()) << client.status();
  for (size_t size : {size_t{0}, size_t{125}, size_t{126}, size_t{65535}, size_t{65536}, size_t{300000}}) {
    std::string text(size, 'a');
    ASSERT_TRUE((*client)->SendText(text, Soon()).ok());
    StatusOr<std::string> echo = (*client)->ReadText(Soon());
    ASSERT_TRUE(echo.ok()) << echo.status();
    EXPECT_EQ(*echo, text);
  }
  EXPECT_TRUE((*client)->Ping(Soon()).ok());
  (*client)->Close(1000);
  EXPECT_TRUE(Eventually([&] { return room.closed.load(); }));
  EXPECT_FALSE(room.socket->SendText("gone"));
}

TEST(WebSocketTest, WhatAnotherThreadSendsAtOnceComesBehindTheAnswer) {
  Room room;
  auto server = MustServe({}, [&](const Request&, const std::shared_ptr<Responder>& to) {
    room.socket = to->AcceptWebSocket({.on_text = nullptr, .on_close = [&] { room.closed = true; }});
    std::thread other([&] { EXPECT_TRUE(room.socket->SendText("hello")); });
    other.join();
  });
  auto client = WebSocketClient::Connect(TcpEndpoint("127.0.0.1", server->port()), "/", {}, Soon());
  ASSERT_TRUE(client.ok()) << client.status();
  const StatusOr<std::string> first = (*client)->ReadText(Soon());
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_EQ(*first, "hello");
}

TEST(WebSocketTest, TheServersCloseReachesTheClientWithItsCode) {
  Room room;
  auto server = MustServe({}, EchoSockets(&room));
  auto client = WebSocketClient::Connect(TcpEndpoint("127.0.0.1", server->port()), "/", {}, Soon());
  ASSERT_TRUE(client.ok());
  ASSERT_TRUE(Eventually([&] { return room.open.load(); }));
  room.socket->Close(4001);
  Status status = (*client)->ReadText(Soon()).status();
  EXPECT_EQ(status.code(), StatusCode::kUnavailable);
  EXPECT_NE(Message(status).find("4001"), std::string::npos) << status;
}

TEST(WebSocketTest, CancelEndsAWaitingReadAndADeadlineDoesNotEndTheConnection) {
  Room room;
  auto server = MustServe({}, EchoSockets(&room));
  auto client = WebSocketClient::Connect(TcpEndpoint("127.0.0.1", server->port()), "/", {}, Soon());
  ASSERT_TRUE(client.ok());
  EXPECT_EQ((*client)->ReadText(Deadline::After(20ms)).status().code(), StatusCode::kDeadlineExceeded);
  ASSERT_TRUE((*client)->SendText("still", Soon()).ok());
  EXPECT_EQ(*(*client)->ReadText(Soon()), "still");
  std::thread other([&] { (*client)->Cancel(); });
  EXPECT_EQ((*client)->ReadText(Soon()).status().code(), StatusCode::kCancelled);
  other.join();
}

TEST(WebSocketTest, APeerThatAnswersNoPingIsDisconnectedAndOneThatDoesStays) {
  Room room;
  auto server = MustServe({.idle_timeout = 60ms}, EchoSockets(&room));
  RawSocket silent(server->port());
  silent.Send(
      "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n");
  EXPECT_NE(silent.ReadUntil("\r\n\r\n").find("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), std::string::npos);  // RFC 6455 1.3
  EXPECT_TRUE(Eventually([&] { return room.closed.load(); }));

  Room alive;
  auto other = MustServe({.idle_timeout = 60ms}, EchoSockets(&alive));
  auto client = WebSocketClient::Connect(TcpEndpoint("127.0.0.1", other->port()), "/", {}, Soon());
  ASSERT_TRUE(client.ok());
  EXPECT_EQ((*client)->ReadText(Deadline::After(300ms)).status().code(), StatusCode::kDeadlineExceeded);
  EXPECT_FALSE(alive.closed);
}

TEST(WebSocketTest, AnOrdinaryRequestIsToldToUpgrade) {
  Room room;
  auto server = MustServe({}, EchoSockets(&room));
  Client client(TcpEndpoint("127.0.0.1", server->port()), {});
  EXPECT_EQ(client.Do({}, Soon())->status, 426);
}

TEST(WebSocketTest, AnEndpointWithoutWebSocketIsAnError) {
  auto server =
      MustServe({}, [](const Request&, const std::shared_ptr<Responder>& to) { to->Send(TextResponse(404, "")); });
  EXPECT_EQ(WebSocketClient::Connect(TcpEndpoint("127.0.0.1", server->port()), "/", {}, Soon()).status().code(),
            StatusCode::kNotFound);
}

TEST(WebSocketTest, TheServerGoingAwayEndsTheClientsRead) {
  Room room;
  auto server = MustServe({}, EchoSockets(&room));
  auto client = WebSocketClient::Connect(TcpEndpoint("127.0.0.1", server->port()), "/", {}, Soon());
  ASSERT_TRUE(client.ok());
  server.reset();
  EXPECT_TRUE(room.closed);
  EXPECT_EQ((*client)->ReadText(Soon()).status().code(), StatusCode::kUnavailable);
}

StatusCode CodeOf(std::string_view bytes, bool masked = false, size_t limit = 100) {
  WebSocketReader reader(masked, limit);
  reader.Feed(bytes);
  return reader.Next().status().code();
}

TEST(WebSocketFramesTest, FragmentsAreJoinedAroundControlFrames) {
  WebSocketReader reader(false, 100);
  reader.Feed(std::string_view("\x01\x02he\x89\x00\x80\x03llo", 11));
  EXPECT_EQ((*reader.Next())->kind, WebSocketMessage::Kind::kPing);
  EXPECT_EQ((*reader.Next())->payload, "hello");
  EXPECT_FALSE(reader.Next()->has_value());
}

TEST(WebSocketFramesTest, ProtocolErrorsAreRefused) {
  EXPECT_EQ(CodeOf(std::string_view("\xc1\x00", 2)), StatusCode::kInvalidArgument);      // reserved bit
  EXPECT_EQ(CodeOf(std::string_view("\x83\x00", 2)), StatusCode::kInvalidArgument);      // unknown opcode
  EXPECT_EQ(CodeOf(std::string_view("\x09\x00", 2)), StatusCode::kInvalidArgument);      // fragmented ping
  EXPECT_EQ(CodeOf(std::string_view("\x80\x00", 2)), StatusCode::kInvalidArgument);      // continues nothing
  EXPECT_EQ(CodeOf(std::string_view("\x81\x01\xff", 3)), StatusCode::kInvalidArgument);  // not UTF-8
  EXPECT_EQ(CodeOf(std::string_view("\x88\x01\x03", 3)), StatusCode::kInvalidArgument);  // half a close code
  EXPECT_EQ(CodeOf(std::string_view("\x81\x01"
                                    "a",
                                    3),
                   true),
            StatusCode::kInvalidArgument);  // a client must mask
  EXPECT_EQ(CodeOf(std::string_view("\x81\x7f\xff\xff\xff\xff\xff\xff\xff\xff", 10)), StatusCode::kResourceExhausted);
  EXPECT_EQ(CodeOf(std::string_view("\x81\x65", 2)), StatusCode::kResourceExhausted);  // 101 bytes announced
}

}  // namespace
}  // namespace mcpfleet::http
