#include "base/http/websocket_client.h"

#include <openssl/rand.h>

#include "base/http/connection.h"
#include "base/http/response_parser.h"
#include "base/http/websocket_frames.h"
#include "base/strings.h"

namespace mcpfleet::http {
namespace {

std::string RandomBytes(size_t n) {
  std::string bytes(n, '\0');
  RAND_bytes(reinterpret_cast<unsigned char*>(bytes.data()), static_cast<int>(n));
  return bytes;
}

class ClientImpl final : public WebSocketClient {
 public:
  ClientImpl(std::unique_ptr<Connection> connection, std::string subprotocol, size_t max_message,
             std::string_view leftover)
      : connection_(std::move(connection)), subprotocol_(std::move(subprotocol)), reader_(false, max_message) {
    reader_.Feed(leftover);
  }

  StatusOr<std::string> ReadText(Deadline deadline, int wake) override {
    for (;;) {
      if (closed_) return Unavailable("websocket: closed");
      StatusOr<std::optional<WebSocketMessage>> message = reader_.Next();
      if (!message.ok()) {
        Close(message.status().code() == StatusCode::kResourceExhausted ? 1009 : 1002);
        return message.status();
      }
      if (message->has_value()) {
        if ((*message)->kind == WebSocketMessage::Kind::kText) return std::move((*message)->payload);
        RETURN_IF_ERROR(HandleOther(**message, deadline));
        continue;
      }
      ASSIGN_OR_RETURN(std::string bytes, connection_->Read(deadline, wake));
      if (bytes.empty()) {
        closed_ = true;
        return Unavailable("websocket: connection closed");
      }
      reader_.Feed(bytes);
    }
  }

  Status SendText(std::string_view text, Deadline deadline) override {
    return Send(WebSocketOpcode::kText, text, deadline);
  }
  const std::string& subprotocol() const override { return subprotocol_; }
  Status Ping(Deadline deadline) override { return Send(WebSocketOpcode::kPing, "", deadline); }

  void Close(int code) override {
    if (closed_) return;
    // A goodbye that cannot be delivered at once is not worth waiting for.
    (void)connection_->Write(EncodeWebSocketClose(code, RandomBytes(4)),
                             Deadline::After(std::chrono::milliseconds(100)));
    closed_ = true;
  }
  void Cancel() override { connection_->Cancel(); }

 private:
  Status HandleOther(const WebSocketMessage& message, Deadline deadline) {
    switch (message.kind) {
      case WebSocketMessage::Kind::kPing:
        return Send(WebSocketOpcode::kPong, message.payload, deadline);
      case WebSocketMessage::Kind::kPong:
      case WebSocketMessage::Kind::kText:
        return OkStatus();
      case WebSocketMessage::Kind::kBinary:
        Close(1003);
        return InvalidArgument("websocket: binary message");
      case WebSocketMessage::Kind::kClose:
        Close(message.close_code == 1005 ? 1000 : message.close_code);
        return Unavailable("websocket: closed by the peer with " + std::to_string(message.close_code));
    }
    return OkStatus();
  }
  // A frame cut off by a deadline cannot be continued: the connection is done for.
  Status Send(WebSocketOpcode opcode, std::string_view payload, Deadline deadline) {
    if (closed_) return Unavailable("websocket: closed");
    Status written = connection_->Write(EncodeWebSocketFrame(opcode, payload, RandomBytes(4)), deadline);
    if (!written.ok()) closed_ = true;
    return written;
  }

  std::unique_ptr<Connection> connection_;
  const std::string subprotocol_;
  WebSocketReader reader_;
  bool closed_ = false;
};

}  // namespace

StatusOr<std::unique_ptr<WebSocketClient>> WebSocketClient::Connect(const Endpoint& endpoint, std::string_view target,
                                                                    const Headers& headers, Deadline deadline) {
  return Connect(endpoint, target, headers, deadline, Options{});
}

StatusOr<std::unique_ptr<WebSocketClient>> WebSocketClient::Connect(const Endpoint& endpoint, std::string_view target,
                                                                    const Headers& headers, Deadline deadline,
                                                                    const Options& options) {
  std::string key = Base64Encode(RandomBytes(16));
  Request request{.method = "GET", .target = std::string(target), .headers = headers};
  request.headers.Set("Connection", "Upgrade");
  request.headers.Set("Upgrade", "websocket");
  request.headers.Set("Sec-WebSocket-Version", "13");
  request.headers.Set("Sec-WebSocket-Key", key);
  if (!options.subprotocol.empty()) request.headers.Set("Sec-WebSocket-Protocol", options.subprotocol);
  ASSIGN_OR_RETURN(std::string wire, SerializeRequest(request, endpoint, options.client));
  ASSIGN_OR_RETURN(std::unique_ptr<Connection> connection, Connection::Open(endpoint, options.client, deadline));
  RETURN_IF_ERROR(connection->Write(wire, deadline));
  ResponseParser parser({.max_header = options.client.max_header, .max_body = size_t{64} << 10});
  while (!parser.head_done()) {
    ASSIGN_OR_RETURN(std::string bytes, connection->Read(deadline));
    RETURN_IF_ERROR(bytes.empty() ? parser.Eof() : parser.Feed(bytes));
  }
  const Response& head = parser.head();
  if (head.status != 101) {
    std::string message = "websocket: answered " + std::to_string(head.status);
    if (head.status == 401 || head.status == 403) return Unauthenticated(message);
    return head.status == 404 ? NotFound(message) : Unavailable(message);
  }
  std::string subprotocol = head.headers.Get("sec-websocket-protocol").value_or("");
  if ((!subprotocol.empty() && subprotocol != options.subprotocol) ||
      !EqualsIgnoreCase(head.headers.Get("upgrade").value_or(""), "websocket") ||
      head.headers.Get("sec-websocket-accept") != WebSocketAcceptKey(key) ||
      head.headers.Has("sec-websocket-extensions")) {
    return InvalidArgument("websocket: malformed upgrade answer");
  }
  return std::make_unique<ClientImpl>(std::move(connection), std::move(subprotocol), options.max_message,
                                      parser.TakeLeftover());
}

}  // namespace mcpfleet::http
