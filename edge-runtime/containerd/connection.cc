#include "edge-runtime/containerd/connection.h"

#include <grpcpp/grpcpp.h>

#include "base/strings.h"

namespace mcpfleet::containerd {
namespace {

// containerd's own bound for messages both ways.
constexpr int kMessageBytes = 16 << 20;
constexpr int kLeastReconnectMillis = 50, kMostReconnectMillis = 1000;
constexpr size_t kErrorBytes = 2000;

std::shared_ptr<grpc::Channel> Open(const std::string& socket_path) {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(kMessageBytes);
  arguments.SetMaxSendMessageSize(kMessageBytes);
  // The default waits up to two minutes before it tries again: an engine that is back must be seen at once.
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, kLeastReconnectMillis);
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, kLeastReconnectMillis);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, kMostReconnectMillis);
  // A path is no host name, and Go refuses it as one.
  arguments.SetString(GRPC_ARG_DEFAULT_AUTHORITY, "localhost");
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  // Calls are not sent again by the channel: a reconcile does that, by what it finds.
  arguments.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);
  // Not shared with another channel to the same path: each runtime ends with its own connection.
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  return grpc::CreateCustomChannel("unix://" + socket_path, grpc::InsecureChannelCredentials(), arguments);
}

StatusCode CodeOf(grpc::StatusCode code) {
  switch (code) {
    case grpc::StatusCode::INVALID_ARGUMENT:
      return StatusCode::kInvalidArgument;
    case grpc::StatusCode::NOT_FOUND:
      return StatusCode::kNotFound;
    case grpc::StatusCode::ALREADY_EXISTS:
      return StatusCode::kAlreadyExists;
    case grpc::StatusCode::FAILED_PRECONDITION:
      return StatusCode::kFailedPrecondition;
    case grpc::StatusCode::DEADLINE_EXCEEDED:
      return StatusCode::kDeadlineExceeded;
    case grpc::StatusCode::PERMISSION_DENIED:
      return StatusCode::kPermissionDenied;
    case grpc::StatusCode::UNAUTHENTICATED:
      return StatusCode::kUnauthenticated;
    case grpc::StatusCode::RESOURCE_EXHAUSTED:
      return StatusCode::kResourceExhausted;
    case grpc::StatusCode::UNIMPLEMENTED:
      return StatusCode::kUnimplemented;
    case grpc::StatusCode::CANCELLED:
      return StatusCode::kCancelled;
    default:
      // Most failures of containerd's inside are UNKNOWN: a full disk, a runc that failed. They may pass.
      return StatusCode::kUnavailable;
  }
}

}  // namespace

Connection::Connection(std::string socket_path, std::string space)
    : socket_path_(std::move(socket_path)), space_(std::move(space)), channel_(Open(socket_path_)) {}

Connection::~Connection() = default;

void Connection::Prepare(grpc::ClientContext* context, Deadline deadline, const std::string& lease) const {
  context->AddMetadata("containerd-namespace", space_);
  if (!lease.empty()) context->AddMetadata("containerd-lease", lease);
  if (deadline.at() == MonoTime::max()) return;
  context->set_deadline(std::chrono::system_clock::now() +
                        std::chrono::duration_cast<std::chrono::microseconds>(deadline.Left()));
}

Status StatusOfGrpc(const grpc::Status& status, std::string_view what) {
  if (status.ok()) return OkStatus();
  return MakeStatus(CodeOf(status.error_code()),
                    "containerd: " + std::string(what) + ": " + Printable(status.error_message(), kErrorBytes));
}

}  // namespace mcpfleet::containerd
