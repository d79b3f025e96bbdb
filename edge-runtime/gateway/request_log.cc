#include "edge-runtime/gateway/request_log.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <utility>

#include "base/log.h"
#include "edge-runtime/mcp/envelope.h"

namespace mcpfleet::gateway {

StatusOr<RequestLog> RequestLog::Open(Options options) {
  RequestLog log(std::move(options));
  RETURN_IF_ERROR(log.Reopen());
  return log;
}

Status RequestLog::Reopen() {
  fd_ = UniqueFd(open(options_.path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
  if (!fd_.valid()) return ErrnoStatus(errno, options_.path);
  struct stat info {};
  size_ = fstat(fd_.get(), &info) == 0 ? info.st_size : 0;
  return OkStatus();
}

void RequestLog::Rotate() {
  for (int number = options_.max_files - 1; number > 0; --number) {
    const std::string from = number == 1 ? options_.path : options_.path + "." + std::to_string(number - 1);
    const std::string to = options_.path + "." + std::to_string(number);
    if (rename(from.c_str(), to.c_str()) != 0 && errno != ENOENT) break;
  }
  if (const Status opened = Reopen(); !opened.ok()) LOG_WARNING("can't rotate a log", {{"error", opened}});
}

// By hand: for every request.
std::string RequestLog::LineOf(const LoggedRequest& request, WallTime now, uint64_t lost) {
  std::string line = "{";
  line.reserve(320);
  const auto add = [&line](std::string_view name, std::string_view value) {
    if (line.size() > 1) line += ',';
    line.append("\"").append(name).append("\":").append(value);
  };
  char seconds[32];
  snprintf(seconds, sizeof seconds, "%.6f", std::chrono::duration<double>(request.took).count());
  if (lost > 0) add("lostBefore", std::to_string(lost));
  add("method", mcp::Quote(request.method));
  add("peer", mcp::Quote(request.peer));
  add("seconds", seconds);
  add("server", mcp::Quote(request.server));
  if (!request.session.empty()) add("session", mcp::Quote(request.session));
  add("status", std::to_string(request.status));
  add("subject", mcp::Quote(request.subject));
  add("time", mcp::Quote(FormatTime(now)));
  if (!request.tool.empty()) add("tool", mcp::Quote(request.tool));
  return line + "}\n";
}

void RequestLog::Write(const LoggedRequest& request, WallTime now) {
  const std::string line = LineOf(request, now, lost_);
  if (size_ > 0 && size_ + static_cast<int64_t>(line.size()) > options_.max_bytes) Rotate();
  const ssize_t written = fd_.valid() ? write(fd_.get(), line.data(), line.size()) : -1;
  if (written == static_cast<ssize_t>(line.size())) {
    size_ += written;
    lost_ = 0;
  } else {
    if (written > 0) (void)!ftruncate(fd_.get(), size_);  // no half lines
    ++lost_;
  }
}

}  // namespace mcpfleet::gateway
