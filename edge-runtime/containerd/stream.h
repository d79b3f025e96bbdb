// containerd's Streaming service: a way for it to ask or tell something while a call is under way. The call names the
// stream.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "edge-runtime/containerd/connection.h"

namespace mcpfleet::containerd {

// Serialised messages with their full names.
struct StreamMessage {
  std::string type, bytes;
};

class Stream {
 public:
  virtual ~Stream() = default;  // ends it; waits for a call of `receive` that is under way
  virtual const std::string& id() const = 0;
  // Registers a stream with containerd, then calls `receive` from a thread of its own for each message; what it
  // returns, unless its type is "", is sent back.
  static StatusOr<std::unique_ptr<Stream>> Open(const Connection& connection,
                                                std::function<StreamMessage(const StreamMessage&)> receive,
                                                Deadline deadline);
};

}  // namespace mcpfleet::containerd
