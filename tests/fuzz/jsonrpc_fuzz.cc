// What a hostile MCP server may send: lines of stdout, event streams, answers to the handshake. The first byte chooses.
// Besides not crashing: what is parsed is written as one line that parses to the same, ids stay the token they were,
// initialize is sent at most once, and every request of the server is answered.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "edge-runtime/mcp/handshake.h"
#include "edge-runtime/mcp/jsonrpc.h"
#include "edge-runtime/mcp/session.h"
#include "edge-runtime/mcp/sse.h"
#include "edge-runtime/mcp/tool_hash.h"

namespace mcpfleet::mcp {
namespace {

void Check(bool condition) {
  if (!condition) std::abort();
}

void FuzzLine(std::string_view text) {
  StatusOr<Message> message = ParseMessage(text, {.bytes = size_t{1} << 20, .depth = 64});
  if (!message.ok()) return;
  std::string line;
  switch (message->kind) {
    case MessageKind::kRequest:
    case MessageKind::kNotification:
      line = SerializeRequest(message->id, message->method, message->params);
      break;
    case MessageKind::kResult:
      line = SerializeResult(message->id, message->result);
      break;
    case MessageKind::kError:
      line = SerializeError(message->id, message->error_code, message->error_message);
      break;
  }
  Check(line.find('\n') == std::string::npos);
  StatusOr<Message> again = ParseMessage(line);
  Check(again.ok() && again->kind == message->kind && again->method == message->method);
  Check(again->id == (message->id.empty() && message->kind == MessageKind::kError ? "null" : message->id));
  (void)ToolHash(message->result);
  (void)DescribeError(*message);
}

void FuzzEvents(std::string_view text) {
  SseParser whole(4096), bytewise(4096);
  StatusOr<std::vector<SseEvent>> expected = whole.Feed(text);
  size_t at = 0;
  for (char byte : text) {
    StatusOr<std::vector<SseEvent>> some = bytewise.Feed(std::string_view(&byte, 1));
    if (!some.ok()) return Check(!expected.ok());
    if (!expected.ok()) continue;
    for (const SseEvent& event : *some) {
      Check(at < expected->size() && event.data == (*expected)[at].data && event.type == (*expected)[at].type);
      ++at;
    }
  }
  if (expected.ok()) Check(at == expected->size());
}

void FuzzSession(std::string_view text) {
  size_t first_line = text.find('\n');
  std::string_view note = first_line == std::string_view::npos ? std::string_view() : text.substr(0, first_line);
  Session session({"mcpfleet", "1"}, Era::kUnknown, note);
  int initializes = 0;
  auto count = [&](const std::vector<Outgoing>& sent) {
    for (const Outgoing& message : sent) {
      initializes += message.method == "initialize";
      Check(message.line.find('\n') == std::string::npos);
      session.OnSent(message);
    }
  };
  count(session.Begin());
  bool timed_out = false;
  while (!text.empty()) {
    size_t end = text.find('\n');
    std::string_view line = text.substr(0, end);
    StatusOr<Message> message = ParseMessage(line);
    std::vector<Outgoing> sent = session.OnLine(line);
    if (message.ok() && message->kind == MessageKind::kRequest) Check(sent.size() == 1);
    count(sent);
    if (line == "timeout" && !timed_out) {
      timed_out = true;
      count(session.OnNoDiscoverAnswer());
    }
    (void)session.Call("ping", Json());
    text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
  }
  Check(initializes <= 1);
  Check(session.ToNote().size() < (size_t{48} << 10) || note.size() > 4096);
}

}  // namespace

void FuzzOne(const uint8_t* bytes, size_t size) {
  if (size == 0) return;
  std::string_view text(reinterpret_cast<const char*>(bytes) + 1, size - 1);
  switch (bytes[0] % 3) {
    case 0:
      FuzzLine(text);
      break;
    case 1:
      FuzzEvents(text);
      break;
    default:
      FuzzSession(text);
      break;
  }
}

}  // namespace mcpfleet::mcp

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  mcpfleet::mcp::FuzzOne(bytes, size);
  return 0;
}
