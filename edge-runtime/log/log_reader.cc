#include "edge-runtime/log/log_reader.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <vector>

#include "base/fd.h"
#include "edge-runtime/log/log_files.h"
#include "edge-runtime/log/log_rotate.h"

namespace mcpfleet {
namespace {

constexpr size_t kMaxLine = 64 << 10;  // the writer's lines are shorter

using Sink = std::function<bool(std::string_view)>;

// Cuts a stream into lines; passes those on that are wanted.
class Lines {
 public:
  Lines(const LogOptions& options, int64_t skip, const Sink& sink) : options_(options), skip_(skip), sink_(sink) {}

  // To the present end of the file. False when the sink has had enough.
  bool Drain(int fd) {
    char buffer[16384];
    ssize_t n = 0;
    while ((n = read(fd, buffer, sizeof buffer)) > 0) {
      std::string_view rest(buffer, static_cast<size_t>(n));
      for (size_t end = 0; (end = rest.find('\n')) != std::string_view::npos; rest.remove_prefix(end + 1)) {
        line_.append(rest.substr(0, end + 1));
        const bool more = Pass(line_);
        line_.clear();
        if (!more) return false;
      }
      if (line_.size() < kMaxLine) line_.append(rest);
    }
    return true;
  }

 private:
  bool Pass(const std::string& line) {
    if (skip_ > 0) {
      --skip_;
      return true;
    }
    if (options_.since) {
      StatusOr<WallTime> at = ParseTime(std::string_view(line).substr(0, line.find(' ')));
      if (at.ok() && *at < *options_.since) return true;
    }
    return sink_(line);
  }

  const LogOptions& options_;
  int64_t skip_;
  const Sink& sink_;
  std::string line_;
};

bool SameFile(int fd, const std::string& path) {
  struct stat a, b;
  return fstat(fd, &a) == 0 && stat(path.c_str(), &b) == 0 && a.st_ino == b.st_ino && a.st_dev == b.st_dev;
}

Status Follow(const std::string& directory, UniqueFd current, Lines* lines, const std::function<bool()>& over,
              Deadline deadline) {
  const std::string path = directory + "/" + kLogFile;
  UniqueFd notify(inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
  if (!notify.valid() || inotify_add_watch(notify.get(), directory.c_str(), IN_MODIFY | IN_CREATE | IN_MOVED_TO) < 0) {
    return ErrnoStatus(errno, "watch " + directory);
  }
  while (true) {
    // The order makes it exact: what was written before it was over, or before the rotation, is read after that was
    // seen.
    const bool last = over();
    const bool rotated = current.valid() && !SameFile(current.get(), path);
    if (current.valid() && !lines->Drain(current.get())) return OkStatus();
    if (rotated || !current.valid()) {
      current.Reset(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
      if (current.valid()) continue;
    }
    if (last) return OkStatus();
    Status status = PollFd(notify.get(), POLLIN, deadline.AtMost(std::chrono::seconds(1)));
    if (deadline.Expired()) return DeadlineExceeded("logs");
    char events[4096];
    while (status.ok() && read(notify.get(), events, sizeof events) > 0) {
    }
  }
}

}  // namespace

Status ReadLogs(const std::string& directory, const LogOptions& options, const Sink& sink,
                const std::function<bool()>& over, Deadline deadline) {
  const std::string base = options.previous ? std::string("previous.") + kLogFile : kLogFile;
  // All are opened before any is read, so that a rotation in between loses nothing.
  std::vector<LogFile> files = OpenLogFiles(directory, base);
  int64_t skip = 0;
  if (options.tail_lines >= 0) {
    for (const LogFile& file : files) skip += CountLines(file.fd.get());
    skip = std::max<int64_t>(0, skip - options.tail_lines);
  }
  Lines lines(options, skip, sink);
  for (const LogFile& file : files) {
    if (!lines.Drain(file.fd.get())) return OkStatus();
    if (deadline.Expired()) return DeadlineExceeded("logs");
  }
  if (!options.follow || options.previous) return OkStatus();
  UniqueFd current = files.empty() ? UniqueFd() : std::move(files.back().fd);
  return Follow(directory, std::move(current), &lines, over, deadline);
}

}  // namespace mcpfleet
