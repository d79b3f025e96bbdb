#include "base/status.h"

#include <cerrno>
#include <cstring>

namespace mcpfleet {

Status MakeStatus(StatusCode code, std::string_view message) {
  return Status(code, absl::string_view(message.data(), message.size()));
}

Status InvalidArgument(std::string_view message) { return MakeStatus(StatusCode::kInvalidArgument, message); }
Status NotFound(std::string_view message) { return MakeStatus(StatusCode::kNotFound, message); }
Status AlreadyExists(std::string_view message) { return MakeStatus(StatusCode::kAlreadyExists, message); }
Status FailedPrecondition(std::string_view message) { return MakeStatus(StatusCode::kFailedPrecondition, message); }
Status Aborted(std::string_view message) { return MakeStatus(StatusCode::kAborted, message); }
Status PermissionDenied(std::string_view message) { return MakeStatus(StatusCode::kPermissionDenied, message); }
Status Unauthenticated(std::string_view message) { return MakeStatus(StatusCode::kUnauthenticated, message); }
Status Unavailable(std::string_view message) { return MakeStatus(StatusCode::kUnavailable, message); }
Status DeadlineExceeded(std::string_view message) { return MakeStatus(StatusCode::kDeadlineExceeded, message); }
Status ResourceExhausted(std::string_view message) { return MakeStatus(StatusCode::kResourceExhausted, message); }
Status Unimplemented(std::string_view message) { return MakeStatus(StatusCode::kUnimplemented, message); }
Status Cancelled(std::string_view message) { return MakeStatus(StatusCode::kCancelled, message); }
Status Internal(std::string_view message) { return MakeStatus(StatusCode::kInternal, message); }

std::string Message(const Status& status) { return std::string(status.message().data(), status.message().size()); }

Status Annotate(const Status& status, std::string_view prefix) {
  if (status.ok()) return status;
  return MakeStatus(status.code(), std::string(prefix) + ": " + Message(status));
}

bool IsRetryable(const Status& status) {
  return status.code() == StatusCode::kUnavailable || status.code() == StatusCode::kDeadlineExceeded ||
         status.code() == StatusCode::kResourceExhausted || status.code() == StatusCode::kAborted;
}

namespace {
StatusCode CodeOfErrno(int error) {
  switch (error) {
    case ENOENT:
    case ESRCH:
      return StatusCode::kNotFound;
    case EEXIST:
      return StatusCode::kAlreadyExists;
    case EACCES:
    case EPERM:
    case EROFS:
      return StatusCode::kPermissionDenied;
    case ENOSPC:
    case EDQUOT:
    case EMFILE:
    case ENFILE:
    case ENOMEM:
      return StatusCode::kResourceExhausted;
    case EAGAIN:
    case EINTR:
    case ECONNREFUSED:
    case ECONNRESET:
    case EPIPE:
    case ENETUNREACH:
    case EHOSTUNREACH:
      return StatusCode::kUnavailable;
    case ETIMEDOUT:
      return StatusCode::kDeadlineExceeded;
    default:
      return StatusCode::kInternal;
  }
}
}  // namespace

Status ErrnoStatus(int error, std::string_view what) {
  char buffer[128];
  // The GNU strerror_r returns the text, which need not be in the buffer.
  const char* text = strerror_r(error, buffer, sizeof buffer);
  return MakeStatus(CodeOfErrno(error), std::string(what) + ": " + text);
}

}  // namespace mcpfleet
