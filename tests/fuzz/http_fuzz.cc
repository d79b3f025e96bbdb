// What arrives from a socket before anybody is authenticated: requests, responses, WebSocket frames. The first byte
// chooses the parser and how the rest is cut into pieces; cutting must never change what is understood.
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>

#include "base/http/request_parser.h"
#include "base/http/response_parser.h"
#include "base/http/websocket_frames.h"
#include "base/strings.h"

namespace {

using namespace mcpfleet;
using namespace mcpfleet::http;

constexpr size_t kMaxHeader = 4096, kMaxBody = 2048;

void Check(bool holds) {
  if (!holds) abort();
}

// "" unless a whole request was understood. Cuts `bytes` into pieces of `step`.
std::string RequestIn(std::string_view bytes, size_t step) {
  RequestParser parser(kMaxHeader, kMaxBody);
  std::string waiting;
  while (!bytes.empty() && parser.error_status() == 0 && !parser.done()) {
    waiting.append(bytes.substr(0, step));
    bytes.remove_prefix(std::min(step, bytes.size()));
    waiting.erase(0, parser.Put(waiting));
  }
  if (!parser.done()) return "";
  Request request = parser.Take();
  Check(request.body.size() <= kMaxBody);
  Check(request.target == "*" || request.target[0] == '/');
  (void)request.Query("a");
  std::string text = request.method + " " + std::string(request.Path()) + "\n" + request.body;
  for (const auto& [name, value] : request.headers.fields()) {
    Check((name + value).find_first_of(std::string_view("\r\n\0", 3)) == std::string::npos);
    text += name + ":" + value + "\n";
  }
  return text;
}

std::string ResponseIn(std::string_view bytes, size_t step) {
  ResponseParser parser({.max_header = kMaxHeader, .max_body = kMaxBody});
  std::string body;
  while (!bytes.empty() && !parser.done()) {
    if (!parser.Feed(bytes.substr(0, step)).ok()) return "";
    body += parser.TakeBody();
    bytes.remove_prefix(std::min(step, bytes.size()));
  }
  if (!parser.done() && !parser.Eof().ok()) return "";
  Check(body.size() <= kMaxBody && parser.head().status >= 100 && parser.head().status <= 999);
  std::string text = std::to_string(parser.head().status) + "\n" + body;
  for (const auto& [name, value] : parser.head().headers.fields()) {
    Check(IsToken(name) && IsFieldValue(value));
    text += name + ":" + value + "\n";
  }
  return text;
}

std::string FramesIn(std::string_view bytes, size_t step, bool masked) {
  WebSocketReader reader(masked, kMaxBody);
  std::string text;
  while (!bytes.empty()) {
    reader.Feed(bytes.substr(0, step));
    bytes.remove_prefix(std::min(step, bytes.size()));
    for (;;) {
      StatusOr<std::optional<WebSocketMessage>> message = reader.Next();
      if (!message.ok()) return text;
      if (!message->has_value()) break;
      const WebSocketMessage& m = **message;
      Check(m.payload.size() <= kMaxBody);
      Check(m.kind != WebSocketMessage::Kind::kText || IsUtf8(m.payload));
      text += std::to_string(static_cast<int>(m.kind)) + m.payload + "\n";
    }
  }
  return text;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2) return 0;
  std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  size_t step = 1 + data[0] / 4;
  switch (data[0] % 4) {
    case 0: {
      std::string whole = RequestIn(bytes, bytes.size()), cut = RequestIn(bytes, step);
      Check(whole == cut);
      break;
    }
    case 1:
      Check(ResponseIn(bytes, bytes.size()) == ResponseIn(bytes, step));
      break;
    case 2:
      Check(FramesIn(bytes, bytes.size(), true) == FramesIn(bytes, step, true));
      break;
    case 3:
      Check(FramesIn(bytes, bytes.size(), false) == FramesIn(bytes, step, false));
      break;
  }
  return 0;
}
