// How this node speaks with containerd: one gRPC channel over its unix socket, and with each call the containerd
// namespace and a deadline.
//
// Thread-safe. It does not connect until the first call, and again by itself after containerd went away; a call that
// finds nobody fails at once with Unavailable.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/status.h"

namespace grpc {
class Channel;
class ClientContext;
class Status;
}  // namespace grpc

namespace mcpfleet::containerd {

class Connection {
 public:
  // `socket_path` is absolute; `space` is the containerd namespace of everything that is asked for.
  Connection(std::string socket_path, std::string space);
  ~Connection();

  const std::shared_ptr<grpc::Channel>& channel() const { return channel_; }
  const std::string& socket_path() const { return socket_path_; }
  const std::string& space() const { return space_; }
  // Puts namespace, deadline and, when not "", the lease that holds what the call makes.
  void Prepare(grpc::ClientContext* context, Deadline deadline, const std::string& lease = "") const;

 private:
  const std::string socket_path_, space_;
  std::shared_ptr<grpc::Channel> channel_;
};

// What an answer says, in our codes; `what` names the object.
Status StatusOfGrpc(const grpc::Status& status, std::string_view what);

}  // namespace mcpfleet::containerd
