#include "edge-runtime/process/event_watch.h"

#include <dirent.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <iterator>
#include <map>
#include <set>

#include "base/fd.h"
#include "edge-runtime/process/instance_directory.h"
#include "edge-runtime/process/sandbox_format.h"

namespace mcpfleet {
namespace {

class Watch {
 public:
  Watch(std::string instances, const std::function<void(const std::string&)>& changed)
      : instances_(std::move(instances)),
        changed_(changed),
        notify_(inotify_init1(IN_CLOEXEC | IN_NONBLOCK)),
        epoll_(epoll_create1(EPOLL_CLOEXEC)),
        wake_(eventfd(0, EFD_CLOEXEC)) {}

  Status Open() {
    root_ = inotify_add_watch(notify_.get(), instances_.c_str(), IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_CREATE);
    if (root_ < 0 || !Watched(notify_.get()) || !Watched(wake_.get())) return ErrnoStatus(errno, "watch " + instances_);
    DIR* listing = opendir(instances_.c_str());
    if (listing == nullptr) return ErrnoStatus(errno, instances_);
    while (const dirent* entry = readdir(listing)) {
      if (IsInstanceId(entry->d_name)) Add(entry->d_name);
    }
    closedir(listing);
    return OkStatus();
  }

  // Makes Wait return, from any thread.
  void Wake() {
    const uint64_t one = 1;
    (void)!write(wake_.get(), &one, sizeof one);
  }

  Status Wait(Deadline deadline) {
    epoll_event events[32];
    const int n = epoll_wait(epoll_.get(), events, std::size(events), deadline.PollMillis());
    if (n < 0 && errno != EINTR) return ErrnoStatus(errno, "watch");
    bool told = false;
    for (int i = 0; i < n; ++i) {
      const int fd = events[i].data.fd;
      if (fd == notify_.get()) {
        told = true;
      } else if (const auto ended = monitors_.extract(fd); !ended.empty()) {
        watched_monitors_.erase(ended.mapped().id);
        changed_(ended.mapped().id);
      }
    }
    return told ? Read() : OkStatus();
  }

 private:
  void Add(const std::string& id) {
    const int watch = inotify_add_watch(notify_.get(), (instances_ + "/" + id).c_str(), IN_MOVED_TO | IN_ONLYDIR);
    if (watch >= 0) watched_[watch] = id;
    WatchMonitor(id);
  }

  void WatchMonitor(const std::string& id) {
    if (watched_monitors_.contains(id)) return;
    UniqueFd monitor = OpenPid(MonitorPid(instances_ + "/" + id));
    const int fd = monitor.get();
    if (!monitor.valid() || !Watched(fd)) return;
    watched_monitors_.insert(id);
    monitors_[fd] = {id, std::move(monitor)};
  }

  bool Watched(int fd) {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.fd = fd;
    return epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) == 0;
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
  UniqueFd notify_, epoll_, wake_;  // epoll: a look at fifty monitors that all live costs as much as at one
  int root_ = -1;
  std::map<int, std::string> watched_;
  struct Monitor {
    std::string id;
    UniqueFd pidfd;
  };
  std::map<int, Monitor> monitors_;  // by descriptor
  std::set<std::string> watched_monitors_;
};

}  // namespace

Status WatchInstances(const std::string& instances, const std::function<void(const std::string&)>& changed,
                      const std::stop_token& stop, Deadline deadline) {
  Watch watch(instances, changed);
  RETURN_IF_ERROR(watch.Open());
  const std::stop_callback wake(stop, [&watch] { watch.Wake(); });
  changed("");  // whatever happened before
  while (!stop.stop_requested()) {
    if (deadline.Expired()) return DeadlineExceeded("watch");
    RETURN_IF_ERROR(watch.Wait(deadline));
  }
  return OkStatus();
}

}  // namespace mcpfleet
