// How much the gateway takes from a connection, a session and a client: spec.gateway.limits of mcplet's configuration,
// with its defaults.
#pragma once

#include "base/clock.h"
#include "base/limits.h"
#include "edge-runtime/gateway/resume_buffer.h"

namespace mcpfleet::gateway {

// For the answer to `initialize`, unless the server has a time to start of its own (spec.probes.startup).
constexpr Duration kHandshakeTimeout = std::chrono::seconds(60);

// Of a session of the legacy era.
struct SessionSettings {
  size_t max_calls = 256;
  size_t max_streams = 512;
  Duration json_wait = std::chrono::milliseconds(50);  // an answer within this, and alone, is one JSON body
  Duration call_timeout = std::chrono::seconds(300);   // since the last sign of progress
  Duration call_limit = std::chrono::hours(1);         // in all
  Duration handshake_timeout = kHandshakeTimeout;      // `initialize`; then the session is over
  int retry_ms = 3000;
  ResumeBuffer::Limits resume;
};

// Of requests of the modern era.
struct ModernSettings {
  Duration call_timeout = std::chrono::seconds(300);  // since the last sign of progress
  Duration call_limit = std::chrono::hours(1);        // in all
  Duration park_timeout = std::chrono::minutes(5);    // how long a call waits for its client's answers
  size_t max_listens = 64;                            // subscriptions of one subject
};

struct GatewayLimits {
  size_t header_bytes = size_t{32} << 10;
  Duration header_timeout = std::chrono::seconds(15);
  Duration body_timeout = std::chrono::seconds(60);
  Duration idle_timeout = std::chrono::seconds(120);
  // For a client that reads slowly: one message of the largest kind, and a window.
  size_t queued_bytes = limits::kChildLineBytes + (size_t{8} << 20);
  size_t batch_messages = 100;
  Duration wake_timeout = std::chrono::seconds(60);  // how long a request waits for a server that is being started
  SessionSettings session;
  ModernSettings modern;
};

}  // namespace mcpfleet::gateway
