#include "edge-runtime/process/event_watch.h"

#include <dirent.h>
#include <poll.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <cstring>
#include <map>
#include <vector>

#include "base/fd.h"
#include "edge-runtime/process/instance_directory.h"
#include "edge-runtime/process/sandbox_format.h"

namespace mcpfleet {
namespace {

// How often `stop` is asked when nothing happens.
constexpr Duration kStopPeriod = std::chrono::milliseconds(250);

class Watch {
 public:
  Watch(std::string instances, const std::function<void(const std::string&)>& changed)
      : instances_(std::move(instances)), changed_(changed), notify_(inotify_init1(IN_CLOEXEC | IN_NONBLOCK)) {}

  Status Open() {
    root_ = inotify_add_watch(notify_.get(), instances_.c_str(), IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_CREATE);
    if (root_ < 0) return ErrnoStatus(errno, "watch " + instances_);
    DIR* listing = opendir(instances_.c_str());
    if (listing == nullptr) return ErrnoStatus(errno, instances_);
    while (const dirent* entry = readdir(listing)) {
      if (IsInstanceId(entry->d_name)) Add(entry->d_name);
    }
    closedir(listing);
    return OkStatus();
  }

  Status Wait(Deadline deadline) {
    std::vector<pollfd> fds{{notify_.get(), POLLIN, 0}};
    std::vector<std::string> ids{""};
    for (const auto& [id, monitor] : monitors_) {
      fds.push_back({monitor.get(), POLLIN, 0});
      ids.push_back(id);
    }
    if (poll(fds.data(), fds.size(), deadline.PollMillis()) < 0 && errno != EINTR) return ErrnoStatus(errno, "watch");
    for (size_t i = 1; i < fds.size(); ++i) {
      if (fds[i].revents == 0) continue;
      monitors_.erase(ids[i]);
      changed_(ids[i]);
    }
    return fds[0].revents == 0 ? OkStatus() : Read();
  }

 private:
  void Add(const std::string& id) {
    const int watch = inotify_add_watch(notify_.get(), (instances_ + "/" + id).c_str(), IN_MOVED_TO | IN_ONLYDIR);
    if (watch >= 0) watched_[watch] = id;
    WatchMonitor(id);
  }

  void WatchMonitor(const std::string& id) {
    if (monitors_.contains(id)) return;
    UniqueFd monitor = OpenPid(MonitorPid(instances_ + "/" + id));
    if (monitor.valid()) monitors_[id] = std::move(monitor);
  }

  Status Read() {
    alignas(inotify_event) char buffer[8192];
    ssize_t n = 0;
    while ((n = read(notify_.get(), buffer, sizeof buffer)) > 0) {
      for (const char* at = buffer; at < buffer + n;) {
        inotify_event event;
        std::memcpy(&event, at, sizeof event);
        Handle(event, event.len > 0 ? at + sizeof event : "");
        at += sizeof event + event.len;
      }
    }
    return OkStatus();
  }

  void Handle(const inotify_event& event, const std::string& name) {
    if ((event.mask & IN_Q_OVERFLOW) != 0) {
      changed_("");
    } else if (event.wd == root_) {
      if (!IsInstanceId(name)) return;
      if ((event.mask & (IN_MOVED_TO | IN_CREATE)) != 0) Add(name);
      changed_(name);
    } else if (const auto found = watched_.find(event.wd); found != watched_.end()) {
      const std::string id = found->second;
      if ((event.mask & IN_IGNORED) != 0) {
        watched_.erase(found);
      } else if (name == sandbox::kPidFile || name == sandbox::kExitFile) {
        WatchMonitor(id);
        changed_(id);
      }
    }
  }

  const std::string instances_;
  const std::function<void(const std::string&)>& changed_;
  UniqueFd notify_;
  int root_ = -1;
  std::map<int, std::string> watched_;
  std::map<std::string, UniqueFd> monitors_;
};

}  // namespace

Status WatchInstances(const std::string& instances, const std::function<void(const std::string&)>& changed,
                      const std::function<bool()>& stop, Deadline deadline) {
  Watch watch(instances, changed);
  RETURN_IF_ERROR(watch.Open());
  while (!stop()) {
    if (deadline.Expired()) return DeadlineExceeded("watch");
    RETURN_IF_ERROR(watch.Wait(deadline.AtMost(kStopPeriod)));
  }
  return OkStatus();
}

}  // namespace mcpfleet
