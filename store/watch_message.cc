#include "store/watch_message.h"

#include <algorithm>
#include <cmath>

#include <nlohmann/json.hpp>

#include "base/json.h"
#include "base/strings.h"
#include "crd/labels.h"

namespace mcpfleet {
namespace {

using std::chrono::seconds;

constexpr size_t kNameBytes = 63;
constexpr size_t kLineBytes = size_t{64} << 10;
constexpr size_t kTimeBytes = 64, kStreamBytes = 16;
constexpr int kDepth = 8;  // a head, an alert: nothing here is deeper
constexpr size_t kErrorBytes = 300;

// Any number, also a fraction or one that no integer holds; what is none is the fallback.
Duration Within(const Json& number, Duration least, Duration most, Duration fallback) {
  if (!number.is_number()) return std::clamp(fallback, least, most);
  const auto value = number.get<double>();
  if (std::isnan(value)) return std::clamp(fallback, least, most);
  const auto in_seconds = [](Duration d) { return std::chrono::duration<double>(d).count(); };
  return std::chrono::duration_cast<Duration>(
      std::chrono::duration<double>(std::clamp(value, in_seconds(least), in_seconds(most))));
}

WatchHints ParseHints(const Json& json) {
  const WatchHints usual;
  WatchHints hints;
  hints.ping = Within(GetMember(json, "pingSeconds"), seconds(5), seconds(60), usual.ping);
  hints.poll_connected =
      Within(GetMember(json, "pollConnectedSeconds"), seconds(60), seconds(3600), usual.poll_connected);
  const Json& range = GetMember(json, "pollUnconnectedSeconds");
  const bool is_range = range.is_array() && range.size() == 2;
  const Json least = is_range ? range[0] : Json(), most = is_range ? range[1] : Json();
  hints.poll_unconnected_least = Within(least, seconds(10), seconds(3600), usual.poll_unconnected_least);
  hints.poll_unconnected_most = Within(most, hints.poll_unconnected_least, seconds(3600), usual.poll_unconnected_most);
  hints.reconnect_spread =
      Within(GetMember(json, "reconnectSpreadSeconds"), seconds(0), seconds(600), usual.reconnect_spread);
  return hints;
}

StatusOr<std::vector<FollowedServer>> ParseFollow(const Json& servers, std::string_view node) {
  if (!servers.is_array()) return InvalidArgument("follow: servers are no list");
  std::vector<FollowedServer> follow;
  for (const Json& item : servers) {
    FollowedServer server{GetString(item, "namespace"), GetString(item, "server")};
    if (!CheckName(server.namespace_).empty() || !CheckName(server.server).empty())
      return InvalidArgument("follow: names no server");
    const std::string only = GetString(item, "node");
    if (!only.empty() && only != node) continue;  // somebody looks at that server on another node
    if (std::find(follow.begin(), follow.end(), server) != follow.end()) continue;  // two people look
    if (follow.size() == kFollowedServers) {
      return InvalidArgument("follow: more servers than " + std::to_string(kFollowedServers));
    }
    follow.push_back(std::move(server));
  }
  return follow;
}

StatusOr<std::vector<MeasuredServer>> ParseMeasure(const Json& servers, std::string_view node) {
  if (!servers.is_array()) return InvalidArgument("measure: servers are no list");
  std::vector<MeasuredServer> measure;
  for (const Json& item : servers) {
    MeasuredServer server{GetString(item, "namespace"), GetString(item, "server"), GetBool(item, "history")};
    const std::string only = GetString(item, "node");
    const bool whole_node = server.namespace_.empty() && server.server.empty() && !only.empty();
    if (!whole_node && (!CheckName(server.namespace_).empty() || !CheckName(server.server).empty()))
      return InvalidArgument("measure: names no server");
    if (!only.empty() && only != node) continue;  // somebody looks at another node
    const auto same = std::find_if(measure.begin(), measure.end(), [&server](const MeasuredServer& each) {
      return each.namespace_ == server.namespace_ && each.server == server.server;
    });
    if (same != measure.end()) {  // two people look
      same->history |= server.history;
      continue;
    }
    if (measure.size() == kMeasuredServers) {
      return InvalidArgument("measure: more servers than " + std::to_string(kMeasuredServers));
    }
    measure.push_back(std::move(server));
  }
  return measure;
}

StatusOr<WatchMessage> ParseValues(const Json& values) {
  if (!values.is_array()) return InvalidArgument("values: are no list");
  if (values.size() > kPushedValues) return InvalidArgument("values: more than " + std::to_string(kPushedValues));
  WatchMessage message{.kind = WatchMessage::Kind::kValues};
  for (const Json& value : values) {
    if (!value.is_string()) return InvalidArgument("values: one is no text");
    message.values.push_back(value.get<std::string>());
  }
  return message;
}

StatusOr<WatchMessage> ParseHello(const Json& json, std::string_view node) {
  WatchMessage hello{.kind = WatchMessage::Kind::kHello, .nonce = GetString(json, "nonce")};
  const bool printable =
      std::all_of(hello.nonce.begin(), hello.nonce.end(), [](char c) { return c > ' ' && c < 0x7f; });
  if (hello.nonce.size() > kNonceBytes || !printable) return InvalidArgument("hello: the nonce is none");
  hello.hints = ParseHints(GetMember(json, "hints"));
  if (json.contains("down")) {
    ASSIGN_OR_RETURN(hello.down, ParseDownList(GetMember(json, "down")));
  }
  if (json.contains("follow")) {
    ASSIGN_OR_RETURN(hello.follow, ParseFollow(GetMember(json, "follow"), node));
  }
  if (json.contains("measure")) {
    ASSIGN_OR_RETURN(hello.measure, ParseMeasure(GetMember(json, "measure"), node));
  }
  return hello;
}

// The text as a JSON string of at most about `bytes`, cut at a character.
std::string JsonText(std::string_view text, size_t bytes) {
  if (text.size() > bytes) {
    while (bytes > 0 && (static_cast<unsigned char>(text[bytes]) & 0xC0) == 0x80) --bytes;
    text = text.substr(0, bytes);
  }
  return DumpJson(text);
}

}  // namespace

StatusOr<WatchMessage> ParseWatchMessage(std::string_view text, std::string_view node) {
  using Kind = WatchMessage::Kind;
  if (text == "pong") return WatchMessage{.kind = Kind::kPong};
  if (text.size() > kWatchMessageBytes) return InvalidArgument("a message larger than 1 MiB");
  StatusOr<Json> parsed = ParseJson(text, {.bytes = kWatchMessageBytes, .depth = kDepth});
  if (!parsed.ok() || !parsed->is_object() || !parsed->contains("type")) return WatchMessage{.kind = Kind::kHead};
  const Json& json = *parsed;
  const std::string type = GetString(json, "type");
  if (type == "hello") return ParseHello(json, node);
  if (type == "values") return ParseValues(GetMember(json, "values"));
  if (type == "down") {
    WatchMessage message{.kind = Kind::kDown};
    ASSIGN_OR_RETURN(message.down, ParseDownList(json));
    return message;
  }
  if (type == "follow") {
    WatchMessage message{.kind = Kind::kFollow};
    ASSIGN_OR_RETURN(message.follow, ParseFollow(GetMember(json, "servers"), node));
    return message;
  }
  if (type == "measure") {
    WatchMessage message{.kind = Kind::kMeasure};
    ASSIGN_OR_RETURN(message.measure, ParseMeasure(GetMember(json, "servers"), node));
    return message;
  }
  if (type == "rotate") return WatchMessage{.kind = Kind::kRotate};
  if (type == "status-stored") {
    WatchMessage message{.kind = Kind::kStatusStored, .sequence = GetInt(json, "sequence", -1)};
    if (message.sequence < 0) return InvalidArgument("status-stored: sequence is no number");
    return message;
  }
  if (type == "slow") {
    return WatchMessage{
        .kind = Kind::kSlow,
        .retry_after = Within(GetMember(json, "retryAfterSeconds"), seconds(1), seconds(60), seconds(1))};
  }
  if (type == "error") {
    return WatchMessage{.kind = Kind::kError, .error = Printable(GetString(json, "message"), kErrorBytes)};
  }
  return WatchMessage{};
}

std::string EncodeStatusMessage(std::string_view status, std::string_view metadata) {
  std::string message = R"({"type":"status","status":)";
  message.append(status);
  if (!metadata.empty()) message.append(R"(,"metadata":)").append(metadata);
  message += '}';
  return message.size() > kWatchMessageBytes ? "" : message;
}

std::string EncodeNonceMessage(std::string_view nonce) { return DumpJson({{"type", "nonce"}, {"nonce", nonce}}); }

std::string EncodeLogMessage(std::string_view ns, std::string_view server, std::vector<LiveLine>* lines) {
  std::string message = R"({"type":"log","namespace":)" + JsonText(ns, kNameBytes) + R"(,"server":)" +
                        JsonText(server, kNameBytes) + R"(,"lines":[)";
  size_t taken = 0;
  for (; taken < lines->size() && taken < kWatchLogLines; ++taken) {
    const LiveLine& line = (*lines)[taken];
    std::string item =
        R"({"time":)" + JsonText(line.time, kTimeBytes) + R"(,"text":)" + JsonText(line.text, kLineBytes);
    if (!line.stream.empty()) item += R"(,"stream":)" + JsonText(line.stream, kStreamBytes);
    item += '}';
    // A line of control characters is six times as long when it is escaped: it goes alone, and still fits a message.
    if (taken > 0 && message.size() + item.size() + 3 > kWatchLogBytes) break;
    if (taken > 0) message += ',';
    message += item;
  }
  lines->erase(lines->begin(), lines->begin() + static_cast<std::ptrdiff_t>(taken));
  return message + "]}";
}

std::string EncodeUsageMessage(std::vector<std::string>* servers) {
  std::string message = R"({"type":"usage","servers":[)";
  const size_t begin = message.size();
  size_t taken = 0, sent = 0;
  for (; taken < servers->size() && sent < kWatchUsageServers; ++taken) {
    const std::string& item = (*servers)[taken];
    if (begin + item.size() + 2 > kWatchUsageBytes) continue;  // it fits no message
    if (message.size() + item.size() + 3 > kWatchUsageBytes) break;
    if (sent++ > 0) message += ',';
    message += item;
  }
  servers->erase(servers->begin(), servers->begin() + static_cast<std::ptrdiff_t>(taken));
  return message + "]}";
}

}  // namespace mcpfleet
