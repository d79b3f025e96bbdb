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
namespace {
constexpr size_t kFlushBytes = size_t{64} << 10;
constexpr size_t kMaxCountBytes = 40;  // of a brace and "lostBefore"
}  // namespace

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

const std::string& RequestLog::TimeText(WallTime now) {
  const int64_t second = std::chrono::floor<std::chrono::seconds>(now.time_since_epoch()).count();
  if (std::exchange(second_, second) != second) time_ = FormatTime(now);
  return time_;
}

// By hand: for every request.
void RequestLog::Add(const LoggedRequest& request, WallTime now) {
  line_.clear();
  const auto add = [this](std::string_view name, std::string_view value) {
    line_.append(line_.empty() ? "\"" : ",\"").append(name).append("\":").append(value);
  };
  const auto text = [this, &add](std::string_view name, std::string_view value) {
    add(name, "");
    mcp::AppendQuoted(&line_, value);
  };
  const int64_t micros = std::chrono::duration_cast<std::chrono::microseconds>(request.took).count();
  const std::string fraction = std::to_string(micros % 1'000'000);
  text("method", request.method);
  text("peer", request.peer);
  add("seconds", std::to_string(micros / 1'000'000));
  line_.append(".").append(6 - fraction.size(), '0').append(fraction);
  text("server", request.server);
  if (!request.session.empty()) text("session", request.session);
  add("status", std::to_string(request.status));
  text("subject", request.subject);
  add("time", "\"");
  line_.append(TimeText(now)).append("\"");
  if (request.tools.size() == 1) {
    text("tool", request.tools.front().name);
    if (!request.tools.front().arguments.empty()) text("arguments", request.tools.front().arguments);
  }
  line_ += "}\n";

  const size_t all = lines_.size() + line_.size() + kMaxCountBytes;
  if (all > kFlushBytes) Flush();
  if (size_ + static_cast<int64_t>(all) > options_.max_bytes) {
    Flush();
    if (size_ > 0) Rotate();
  }
  lines_ += '{';
  if (count_++ == 0 && lost_ > 0) lines_.append("\"lostBefore\":").append(std::to_string(lost_)).append(",");
  lines_ += line_;
}

void RequestLog::Flush() {
  if (lines_.empty()) return;
  const ssize_t written = fd_.valid() ? write(fd_.get(), lines_.data(), lines_.size()) : -1;
  if (written == static_cast<ssize_t>(lines_.size())) {
    size_ += written;
    lost_ = 0;
  } else {
    if (written > 0) (void)!ftruncate(fd_.get(), size_);  // no half lines
    lost_ += count_;
  }
  lines_.clear();
  count_ = 0;
}

}  // namespace mcpfleet::gateway
