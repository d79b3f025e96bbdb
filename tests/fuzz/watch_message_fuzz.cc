// Whatever comes over the store's socket: frames of a server, and the texts in them as a node reads them.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/http/websocket_frames.h"
#include "store/snapshot.h"
#include "store/watch_message.h"

namespace {

void Read(std::string_view text) {
  using namespace mcpfleet;
  StatusOr<WatchMessage> message = ParseWatchMessage(text, "edge-01");
  if (!message.ok()) return;
  if (message->kind == WatchMessage::Kind::kHead) (void)ParseHead(text).ok();
  const WatchHints& hints = message->hints;
  if (hints.ping < std::chrono::seconds(5) || hints.poll_connected > std::chrono::hours(1) ||
      hints.poll_unconnected_least > hints.poll_unconnected_most || message->nonce.size() > kNonceBytes ||
      message->follow.size() > kFollowedServers || (message->down && message->down->nodes.size() > kDownListNodes)) {
    __builtin_trap();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  using namespace mcpfleet;
  const std::string_view input(reinterpret_cast<const char*>(bytes), size);
  Read(input);
  http::WebSocketReader reader(false, kWatchMessageBytes);
  reader.Feed(input);
  for (;;) {
    auto message = reader.Next();
    if (!message.ok() || !message->has_value()) break;
    if ((*message)->kind == http::WebSocketMessage::Kind::kText) Read((*message)->payload);
  }
  std::vector<LiveLine> lines = {{"t", std::string(input), "stdout"}};
  if (EncodeLogMessage(input, input, &lines).size() > kWatchMessageBytes) __builtin_trap();
  return 0;
}
