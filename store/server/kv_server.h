// The embedded store's HTTP side: the Cloudflare KV REST protocol (/client/v4/accounts/<any>/storage/kv/…) and
// /v1/watch, a WebSocket that sends the head's JSON at once and after each move.
//
// Additions to Cloudflare's protocol: GET of the head has an ETag; PUT of it needs If-Match or If-None-Match: *
// (428 without, 412 when it does not hold); objects/, shards/, snapshots/ must match their hash and can't expire.
//
// Tokens: an operator may do everything; a reader reads CONFIG and SERVER_STATE; a token of a node (device_token.h, in
// DEVICE_TOKENS, the operator's) reads CONFIG by key, without lists, and writes that node's status. Only hashes of
// tokens are kept.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "store/server/embedded_kv.h"

namespace mcpfleet {

enum class StoreRole { kReader, kOperator };
struct StoreToken {
  std::string sha256;  // of the token
  StoreRole role = StoreRole::kReader;
};

// The token in `path`; made (256 bit, file 0600) when the file is absent. A file that others may read is refused.
StatusOr<std::string> LoadOrCreateToken(const std::string& path);

struct KvServerOptions {
  std::string address = "127.0.0.1";
  uint16_t port = 0;
  int worker_threads = 2;
  std::vector<StoreToken> tokens;
};

class KvServer {
 public:
  // Listening when it returns. `kv` must outlive it and have no other OnHead.
  static StatusOr<std::unique_ptr<KvServer>> Create(EmbeddedKv& kv, const KvServerOptions& options);
  virtual ~KvServer() = default;
  virtual uint16_t port() const = 0;
};

}  // namespace mcpfleet
