// JSON-RPC 2.0 messages as MCP uses them: one line of a stdio server, or one body or event over HTTP.
//
// Ids are kept as the raw token that came (1, 1.0 and "1" are three different ids, and 64-bit integers do not survive
// a double), so that an answer carries exactly the id of its request. Everything parsed here came from outside: size,
// depth, duplicate keys and UTF-8 are checked (base/json.h), the id and the method have bounds of their own.
//
// Pure functions; thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include "base/json.h"
#include "base/status.h"

namespace mcpfleet::mcp {

// JSON-RPC and MCP error codes that we send or tell apart (schema.ts of 2026-07-28, "Error codes").
inline constexpr int64_t kMethodNotFound = -32601;
inline constexpr int64_t kInvalidParams = -32602;
inline constexpr int64_t kInternalError = -32603;
inline constexpr int64_t kHeaderMismatch = -32020;
inline constexpr int64_t kMissingClientCapability = -32021;
inline constexpr int64_t kUnsupportedProtocolVersion = -32022;

inline constexpr size_t kMaxIdBytes = 256;
inline constexpr size_t kMaxMethodBytes = 256;

enum class MessageKind { kRequest, kNotification, kResult, kError };

struct Message {
  MessageKind kind = MessageKind::kNotification;
  std::string id;      // raw JSON token; "" for notifications, "null" for an error about an unreadable request
  std::string method;  // requests and notifications
  Json params;         // null when absent
  Json result;         // kResult
  int64_t error_code = 0;
  std::string error_message;
  Json error_data;  // null when absent

  bool IsResponse() const { return kind == MessageKind::kResult || kind == MessageKind::kError; }
};

// InvalidArgument when `text` is no JSON-RPC 2.0 message (batches are refused: only revision 2025-03-26 had them, and
// no stdio server is allowed to start one), ResourceExhausted when it is larger than `limits`.
StatusOr<Message> ParseMessage(std::string_view text, JsonLimits limits = {});

// The raw token of a top-level member of a text that ParseJson accepted; "" when there is none.
std::string_view RawMember(std::string_view object_text, std::string_view key);

// Compact and on one line. `id` is a raw token; null `params` are left out.
std::string SerializeRequest(std::string_view id, std::string_view method, const Json& params);
std::string SerializeNotification(std::string_view method, const Json& params);
std::string SerializeResult(std::string_view id, const Json& result);
std::string SerializeError(std::string_view id, int64_t code, std::string_view message);

// "-32601: Method not found", fit for people: control characters escaped, bounded.
std::string DescribeError(const Message& error);

}  // namespace mcpfleet::mcp
