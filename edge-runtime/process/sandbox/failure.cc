#include "edge-runtime/process/sandbox/failure.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

namespace mcpfleet::sandbox {
namespace {
char text[512] = "";
}  // namespace

bool FailErrno(const char* format, ...) {
  const int error = errno;
  va_list args;
  va_start(args, format);
  int n = vsnprintf(text, sizeof text, format, args);
  va_end(args);
  if (n < 0) n = 0;
  if (static_cast<size_t>(n) < sizeof text) snprintf(text + n, sizeof text - n, ": %s", strerror(error));
  return false;
}

bool Fail(const char* format, ...) {
  va_list args;
  va_start(args, format);
  vsnprintf(text, sizeof text, format, args);
  va_end(args);
  return false;
}

const char* Failure() { return text; }

}  // namespace mcpfleet::sandbox
