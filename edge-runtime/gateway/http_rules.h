// What both HTTP links decide alike. Pure functions; thread-safe.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/http/message.h"
#include "base/status.h"

namespace mcpfleet::gateway {

// Lower case, without parameters.
std::string MediaTypeOf(const http::Response& head);
// What a server may want to see again in a header: visible ASCII, at most `limit` bytes, not empty.
bool IsEchoable(std::string_view text, size_t limit);
// For the client: why its request has no answer. No addresses, no bodies of others.
std::string DescribeHttpStatus(int status);
std::string DescribeFailure(const Status& status);
// How long to wait before connecting again for the `attempt`th time (from 1) without a sign of life in between:
// `first`, or what the server asked for (negative: nothing), doubled each time; at most half a minute.
Duration PauseBefore(int attempt, int64_t retry_millis, Duration first);
// The messages in a body or an event, each on one line: one, or those of a batch.
std::vector<std::string> MessagesIn(std::string text);

}  // namespace mcpfleet::gateway
