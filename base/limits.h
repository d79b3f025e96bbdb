// Every bound of the product, each with its reason. A buffer without a bound is a defect.
#pragma once

#include <cstddef>

#include "base/clock.h"

namespace mcpfleet::limits {

// Cloudflare KV's own limits; the embedded store holds itself to the same.
inline constexpr size_t kKeyBytes = 512;
inline constexpr size_t kMetadataBytes = 1024;
inline constexpr size_t kValueBytes = size_t{25} << 20;
inline constexpr size_t kListKeys = 1000;
inline constexpr size_t kBulkPairs = 10'000;
inline constexpr size_t kBulkBytes = 100'000'000;  // of the encoded request; its "100 MB" are decimal
inline constexpr size_t kBulkGetKeys = 100;

// Hostile sizes: what a node accepts from a store before it parses.
inline constexpr size_t kHeadBytes = 4096;
inline constexpr size_t kSnapshotBytes = size_t{64} << 10;
inline constexpr size_t kShardBytes = size_t{4} << 20;
inline constexpr size_t kObjectBytes = size_t{1} << 20;

// A manifest file; more is a mistake, and yaml-cpp needs about forty times the memory.
inline constexpr size_t kManifestBytes = size_t{10} << 20;

// One line of a stdio server: passed on as it is, so only one of them is in memory.
inline constexpr size_t kChildLineBytes = size_t{64} << 20;
// A message that is made a tree of, which takes many times its size.
inline constexpr size_t kParsedMessageBytes = size_t{16} << 20;
// Last stderr lines shown in a status.
inline constexpr size_t kStderrTailBytes = 2048;
// Events kept per node.
inline constexpr size_t kEvents = 1000;

// HTTP.
inline constexpr size_t kHttpHeaderBytes = size_t{32} << 10;
inline constexpr size_t kHttpBodyBytes = size_t{4} << 20;

}  // namespace mcpfleet::limits
