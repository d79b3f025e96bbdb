// A token of one node in the embedded store, so that a node needs no token of the whole fleet: it reads CONFIG by key
// and writes nodes/<its node> in SERVER_STATE, nothing else. Only the hash of a token is stored, as
// tokens/<sha256> in DEVICE_TOKENS; removing the key revokes it at once.
#pragma once

#include <string>
#include <string_view>

#include "base/status.h"

namespace mcpfleet {

inline constexpr char kDeviceTokenPrefix[] = "tokens/";

struct DeviceToken {
  std::string node;
  std::string created_at;  // RFC 3339
  std::string author;      // who made it
};

std::string DeviceTokenKey(std::string_view sha256);
// The value of the key, and its metadata, so that a list needs no further reads. At most 1024 bytes.
std::string EncodeDeviceToken(const DeviceToken& token);
// InvalidArgument for what names no node.
StatusOr<DeviceToken> ParseDeviceToken(std::string_view json);

}  // namespace mcpfleet
