#include "edge-runtime/gateway/request_log.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <utility>

#include <nlohmann/json.hpp>

#include "base/json.h"
#include "base/log.h"

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

void RequestLog::Write(const LoggedRequest& request, WallTime now) {
  Json json = {{"time", FormatTime(now)},
               {"server", request.server},
               {"method", request.method},
               {"status", request.status},
               {"seconds", std::chrono::duration<double>(request.took).count()},
               {"subject", request.subject},
               {"peer", request.peer}};
  if (!request.tool.empty()) json["tool"] = request.tool;
  if (!request.session.empty()) json["session"] = request.session;
  if (lost_ > 0) json["lostBefore"] = lost_;
  const std::string line = DumpJson(json) + "\n";
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
