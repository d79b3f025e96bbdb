// Tells of each call of a KvClient what RestKvClient tells of each request, with the codes that the embedded store's
// server would have answered: a node counts the same whether its store is across a socket or in the process.
#pragma once

#include <memory>

#include "store/kv_client.h"

namespace mcpfleet {

std::unique_ptr<KvClient> CountRequests(std::unique_ptr<KvClient> kv, RestListener on_request);

}  // namespace mcpfleet
