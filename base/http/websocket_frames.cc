#include "base/http/websocket_frames.h"

#include <openssl/evp.h>

#include "base/strings.h"

namespace mcpfleet::http {
namespace {

constexpr size_t kControlBytes = 125;  // RFC 6455 5.5

void Mask(std::string* bytes, std::string_view mask) {
  for (size_t i = 0; i < bytes->size(); ++i) (*bytes)[i] = static_cast<char>((*bytes)[i] ^ mask[i % 4]);
}

uint64_t BigEndian(std::string_view bytes) {
  uint64_t value = 0;
  for (unsigned char c : bytes) value = value << 8 | c;
  return value;
}

bool IsCloseCode(uint64_t code) {
  return (code >= 1000 && code <= 1014 && code != 1004 && code != 1005 && code != 1006) ||
         (code >= 3000 && code <= 4999);
}

}  // namespace

StatusOr<std::optional<WebSocketReader::Frame>> WebSocketReader::NextFrame() {
  std::string_view rest = buffer_;
  if (rest.size() < 2) return std::nullopt;
  unsigned char first = static_cast<unsigned char>(rest[0]), second = static_cast<unsigned char>(rest[1]);
  Frame frame{.opcode = first & 15, .fin = (first & 0x80) != 0};
  bool masked = (second & 0x80) != 0;
  if ((first & 0x70) != 0) return InvalidArgument("websocket: reserved bits without an extension");
  if (masked != peer_masks_) return InvalidArgument("websocket: wrong masking");
  uint64_t size = second & 127;
  size_t head = 2;
  if (size >= 126) {
    size_t bytes = size == 126 ? 2 : 8;
    if (rest.size() < 2 + bytes) return std::nullopt;
    size = BigEndian(rest.substr(2, bytes));
    head += bytes;
  }
  if (frame.opcode >= 8 && (size > kControlBytes || !frame.fin))
    return InvalidArgument("websocket: malformed control frame");
  if (size > max_message_ || fragments_.size() + size > max_message_) {
    return ResourceExhausted("websocket: message larger than " + std::to_string(max_message_) + " bytes");
  }
  size_t total = head + (masked ? 4 : 0) + static_cast<size_t>(size);
  if (rest.size() < total) return std::nullopt;
  frame.payload = std::string(rest.substr(total - static_cast<size_t>(size), static_cast<size_t>(size)));
  if (masked) Mask(&frame.payload, rest.substr(head, 4));
  buffer_.erase(0, total);
  return frame;
}

StatusOr<std::optional<WebSocketMessage>> WebSocketReader::Control(Frame frame) {
  WebSocketMessage message{.payload = std::move(frame.payload)};
  if (frame.opcode == 9) {
    message.kind = WebSocketMessage::Kind::kPing;
  } else if (frame.opcode == 10) {
    message.kind = WebSocketMessage::Kind::kPong;
  } else if (frame.opcode == 8) {
    message.kind = WebSocketMessage::Kind::kClose;
    if (!message.payload.empty()) {
      uint64_t code = BigEndian(message.payload.substr(0, 2));
      if (message.payload.size() < 2 || !IsCloseCode(code)) return InvalidArgument("websocket: malformed close");
      message.close_code = static_cast<int>(code);
      message.payload.erase(0, 2);
    }
  } else {
    return InvalidArgument("websocket: unknown opcode");
  }
  return message;
}

StatusOr<std::optional<WebSocketMessage>> WebSocketReader::Next() {
  for (;;) {
    ASSIGN_OR_RETURN(std::optional<Frame> frame, NextFrame());
    if (!frame) return std::nullopt;
    if (frame->opcode >= 8) return Control(*std::move(frame));
    if (frame->opcode > 2) return InvalidArgument("websocket: unknown opcode");
    if ((frame->opcode == 0) != (fragment_opcode_ != 0)) return InvalidArgument("websocket: fragments out of order");
    if (frame->opcode != 0) fragment_opcode_ = frame->opcode;
    fragments_ += frame->payload;
    if (!frame->fin) continue;
    bool text = fragment_opcode_ == 1;
    WebSocketMessage message{.kind = text ? WebSocketMessage::Kind::kText : WebSocketMessage::Kind::kBinary,
                             .payload = std::exchange(fragments_, {})};
    fragment_opcode_ = 0;
    if (text && !IsUtf8(message.payload)) return InvalidArgument("websocket: text that is not UTF-8");
    return message;
  }
}

std::string EncodeWebSocketFrame(WebSocketOpcode opcode, std::string_view payload, std::string_view mask) {
  std::string out(1, static_cast<char>(0x80 | static_cast<int>(opcode)));
  int mask_bit = mask.empty() ? 0 : 0x80;
  size_t length_bytes = payload.size() < 126 ? 0 : payload.size() < 65536 ? 2 : 8;
  size_t field = length_bytes == 0 ? payload.size() : length_bytes == 2 ? 126 : 127;
  out += static_cast<char>(mask_bit | static_cast<int>(field));
  for (size_t i = length_bytes; i-- > 0;)
    out += static_cast<char>(static_cast<uint64_t>(payload.size()) >> (8 * i) & 255);
  out += mask;
  std::string body(payload);
  if (!mask.empty()) Mask(&body, mask);
  return out + body;
}

std::string EncodeWebSocketClose(int code, std::string_view mask) {
  const char bytes[2] = {static_cast<char>(code >> 8), static_cast<char>(code & 255)};
  return EncodeWebSocketFrame(WebSocketOpcode::kClose, std::string_view(bytes, 2), mask);
}

std::string WebSocketAcceptKey(std::string_view key) {
  std::string text = std::string(key) + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  EVP_Digest(text.data(), text.size(), digest, &size, EVP_sha1(), nullptr);
  return Base64Encode(std::string_view(reinterpret_cast<char*>(digest), size));
}

}  // namespace mcpfleet::http
