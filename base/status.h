// Status and StatusOr: how every fallible call reports. absl's types, made with std strings (Debian's
// absl::string_view is not std::string_view and converts in neither direction).
//
//   StatusOr<Config> config = LoadConfig(path);
//   if (!config.ok()) return Annotate(config.status(), path);
//
// Meaning of the codes throughout mcpfleet: InvalidArgument = a person must change an input; NotFound, AlreadyExists,
// FailedPrecondition, Aborted (lost a compare-and-swap), PermissionDenied, Unauthenticated as in HTTP; Unavailable,
// DeadlineExceeded and ResourceExhausted = try again later (IsRetryable); Internal = our bug, loud.
#pragma once

#include <string>
#include <string_view>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

namespace mcpfleet {

using Status = absl::Status;
using StatusCode = absl::StatusCode;
template <typename T>
using StatusOr = absl::StatusOr<T>;

inline Status OkStatus() { return absl::OkStatus(); }
Status MakeStatus(StatusCode code, std::string_view message);
Status InvalidArgument(std::string_view message);
Status NotFound(std::string_view message);
Status AlreadyExists(std::string_view message);
Status FailedPrecondition(std::string_view message);
Status Aborted(std::string_view message);
Status PermissionDenied(std::string_view message);
Status Unauthenticated(std::string_view message);
Status Unavailable(std::string_view message);
Status DeadlineExceeded(std::string_view message);
Status ResourceExhausted(std::string_view message);
Status Unimplemented(std::string_view message);
Status Cancelled(std::string_view message);
Status Internal(std::string_view message);

// The message without the code, as a std::string.
std::string Message(const Status& status);
// Same code, "<prefix>: <message>". OK stays OK.
Status Annotate(const Status& status, std::string_view prefix);
// Unavailable, DeadlineExceeded, ResourceExhausted, Aborted: the same call may succeed later.
bool IsRetryable(const Status& status);
// "<what>: <strerror(error)>" with the code that fits errno (ENOENT -> NotFound, EACCES/EPERM -> PermissionDenied,
// ENOSPC/EMFILE/ENOMEM -> ResourceExhausted, EAGAIN/ECONNREFUSED/ECONNRESET/EPIPE -> Unavailable, else Internal).
Status ErrnoStatus(int error, std::string_view what);

}  // namespace mcpfleet

#define MCPFLEET_CONCAT_INNER(a, b) a##b
#define MCPFLEET_CONCAT(a, b) MCPFLEET_CONCAT_INNER(a, b)

#define RETURN_IF_ERROR(expression)                                                           \
  do {                                                                                        \
    if (::mcpfleet::Status rie_status_ = (expression); !rie_status_.ok()) return rie_status_; \
  } while (false)
// NOLINTBEGIN(bugprone-macro-parentheses): names and a declaration can't be in parentheses.
#define ASSIGN_OR_RETURN(lhs, expression) ASSIGN_OR_RETURN_IMPL(MCPFLEET_CONCAT(status_or_, __LINE__), lhs, expression)
#define ASSIGN_OR_RETURN_IMPL(name, lhs, expression) \
  auto name = (expression);                          \
  if (!name.ok()) return name.status();              \
  lhs = *std::move(name)
// NOLINTEND(bugprone-macro-parentheses)
