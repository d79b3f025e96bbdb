// RFC 6455 frames without I/O: bytes into messages, messages into bytes. No extensions. Not thread-safe.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/status.h"

namespace mcpfleet::http {

struct WebSocketMessage {
  enum class Kind { kText, kBinary, kPing, kPong, kClose };
  Kind kind = Kind::kText;
  std::string payload;  // of a close: the reason
  int close_code = 1005;
};

class WebSocketReader {
 public:
  // A server's peer masks its frames and a client's does not; anything else is an error.
  WebSocketReader(bool peer_masks, size_t max_message) : peer_masks_(peer_masks), max_message_(max_message) {}
  void Feed(std::string_view bytes) { buffer_.append(bytes); }
  // The next message or control frame; nothing when more bytes are needed. After an error the connection must end:
  // InvalidArgument (close code 1002 or 1007) or ResourceExhausted (1009).
  StatusOr<std::optional<WebSocketMessage>> Next();

 private:
  struct Frame {
    int opcode = 0;
    bool fin = false;
    std::string payload;
  };
  StatusOr<std::optional<Frame>> NextFrame();
  StatusOr<std::optional<WebSocketMessage>> Control(Frame frame);

  const bool peer_masks_;
  const size_t max_message_;
  std::string buffer_;
  int fragment_opcode_ = 0;  // of the message under way; 0: none
  std::string fragments_;
};

enum class WebSocketOpcode { kText = 1, kBinary = 2, kClose = 8, kPing = 9, kPong = 10 };
// One final frame; `mask` (four bytes) when we are the client, else empty.
std::string EncodeWebSocketFrame(WebSocketOpcode opcode, std::string_view payload, std::string_view mask);
std::string EncodeWebSocketClose(int code, std::string_view mask);
// Sec-WebSocket-Accept for a Sec-WebSocket-Key.
std::string WebSocketAcceptKey(std::string_view key);

}  // namespace mcpfleet::http
