// The messages of the store's socket (docs/cloudflare-protocol.md, "Push"), as a node reads and writes them. Pure, and
// bounded: a store may be hostile. What a message says is believed within limits only.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/status.h"
#include "store/down_list.h"

namespace mcpfleet {

inline constexpr char kWatchProtocol[] = "mcpfleet.v1";
inline constexpr size_t kWatchMessageBytes = size_t{1} << 20;  // the most that either side sends in one message
inline constexpr size_t kWatchLogLines = 1000;                 // of one `log` message
inline constexpr size_t kWatchLogBytes = size_t{256} << 10;    // the Worker passes on this much of a node in a second
inline constexpr size_t kFollowedServers = 1024;
inline constexpr size_t kMeasuredServers = 1024;
inline constexpr size_t kWatchUsageServers = 1024;             // of one `usage` message
inline constexpr size_t kWatchUsageBytes = size_t{256} << 10;  // of one; the Worker passes on twice as much in a second
inline constexpr size_t kNonceBytes = 64;
inline constexpr size_t kPushedValues = 256;  // of one `values` message

// How often to come, as the store asks for it. Each is brought within what a node does at all: whatever the store says,
// a node neither hammers it nor stays away for longer than an hour.
struct WatchHints {
  Duration ping = std::chrono::seconds(30);                    // 5 s … 60 s
  Duration poll_connected = std::chrono::minutes(15);          // 1 min … 1 h
  Duration poll_unconnected_least = std::chrono::seconds(60);  // 10 s … 1 h
  Duration poll_unconnected_most = std::chrono::seconds(120);  // the least … 1 h
  Duration reconnect_spread = std::chrono::seconds(1);         // 0 … 10 min
  bool operator==(const WatchHints&) const = default;
};

// Somebody looks at the logs of this one.
struct FollowedServer {
  std::string namespace_, server;
  bool operator==(const FollowedServer&) const = default;
};

// Somebody looks at what this one uses. Without a name: at all servers of this node.
struct MeasuredServer {
  std::string namespace_, server;
  bool history = false;  // who looks has just begun, and wants what was before
  bool operator==(const MeasuredServer&) const = default;
};

struct LiveLine {
  std::string time;    // RFC 3339, up to nanoseconds
  std::string text;    // at most 64 KiB
  std::string stream;  // "stdout", "stderr"; "": not known
};

struct WatchMessage {
  enum class Kind {
    kHead,
    kPong,
    kHello,
    kValues,
    kDown,
    kFollow,
    kMeasure,
    kRotate,
    kStatusStored,
    kSlow,
    kError,
    kUnknown
  };
  Kind kind = Kind::kUnknown;
  std::string nonce;                    // hello; "": none
  WatchHints hints;                     // hello
  std::optional<DownList> down;         // hello, down
  std::vector<FollowedServer> follow;   // hello, follow
  std::vector<MeasuredServer> measure;  // hello, measure
  std::vector<std::string> values;      // values
  int64_t sequence = 0;                 // status-stored
  Duration retry_after{};               // slow: 1 s … 60 s
  std::string error;                    // error, printable
};

// A text that is no object with a member `type` is a head, whatever it is: HeadSync judges it. InvalidArgument: a
// message of a known type that is not formed so, or is too large. `node`: the name of this one, whose servers alone
// are in `follow` and `measure`.
StatusOr<WatchMessage> ParseWatchMessage(std::string_view text, std::string_view node);

// status, metadata: JSON. "": larger than a message may be.
std::string EncodeStatusMessage(std::string_view status, std::string_view metadata);
std::string EncodeNonceMessage(std::string_view nonce);
// The first lines that fit a message; `lines` loses them. Lines that are too long by themselves are cut.
std::string EncodeLogMessage(std::string_view ns, std::string_view server, std::vector<LiveLine>* lines);
// The first of `servers`, each a JSON object of one server's usage, that fit a message; `servers` loses them, and those
// that fit none.
std::string EncodeUsageMessage(std::vector<std::string>* servers);

}  // namespace mcpfleet
