// How the steps of mcp-sandbox fail: they return false and leave one line of text.
#pragma once

namespace mcpfleet::sandbox {

// Sets the line to "<formatted text>: <strerror(errno)>"; returns false.
__attribute__((format(printf, 1, 2))) bool FailErrno(const char* format, ...);
// Without errno.
__attribute__((format(printf, 1, 2))) bool Fail(const char* format, ...);
const char* Failure();

}  // namespace mcpfleet::sandbox
