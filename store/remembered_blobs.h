// A KvClient that remembers on disk the snapshots and shards it has read and written. What a blob's key says of its
// content never changes, so that a change on top of one's own last change reads the head and nothing else: over a long
// way each read is a round trip. Objects, which hold what people write, are not kept; shards name them.
//
// A file is verified when it is read, so a torn one is merely absent; a disk that takes nothing costs time only. Reads
// and writes of many blobs pass by: they cost no more round trips than those of one.
#pragma once

#include <memory>
#include <string>

#include "store/kv_client.h"

namespace mcpfleet {

// directory: made (0700) with the first blob; shared by any number of processes.
std::unique_ptr<KvClient> RememberBlobs(std::unique_ptr<KvClient> kv, std::string directory);

}  // namespace mcpfleet
