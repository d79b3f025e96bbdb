#include "base/io_loop.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <utility>

namespace mcpfleet {

StatusOr<std::shared_ptr<IoLoop>> IoLoop::Make() {
  UniqueFd epoll(epoll_create1(EPOLL_CLOEXEC));
  UniqueFd wake(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!epoll.valid() || !wake.valid()) return ErrnoStatus(errno, "shim I/O loop");
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u64 = 0;
  if (epoll_ctl(epoll.get(), EPOLL_CTL_ADD, wake.get(), &event) != 0) return ErrnoStatus(errno, "shim I/O loop");
  // Shared: a channel that somebody still holds outlives the host.
  return std::shared_ptr<IoLoop>(new IoLoop(std::move(epoll), std::move(wake)));
}

StatusOr<std::shared_ptr<IoLoop>> IoLoop::Create() {
  ASSIGN_OR_RETURN(std::shared_ptr<IoLoop> loop, Make());
  loop->thread_ = std::thread([raw = loop.get()] { raw->Run(); });
  return loop;
}

StatusOr<std::shared_ptr<IoLoop>> IoLoop::CreateDriven() { return Make(); }

void IoLoop::RunReady() {
  runner_ = std::this_thread::get_id();
  RunOnce(0);
}

IoLoop::~IoLoop() { Stop(); }

void IoLoop::Stop() {
  {
    MutexLock lock(&mu_);
    stop_ = true;
  }
  Wake();
  if (thread_.joinable()) thread_.join();
  // What the handlers hold is released outside the lock: it may well call Remove.
  std::unordered_map<uint64_t, std::shared_ptr<Handler>> handlers;
  std::vector<std::function<void()>> tasks;
  std::multimap<MonoTime, std::function<void()>> timers;
  MutexLock lock(&mu_);
  handlers.swap(handlers_);
  tasks.swap(tasks_);
  timers.swap(timers_);
}

uint64_t IoLoop::Add(int fd, uint32_t events, Handler handler) {
  uint64_t token;
  {
    MutexLock lock(&mu_);
    token = next_token_++;
    handlers_[token] = std::make_shared<Handler>(std::move(handler));
  }
  epoll_event event{};
  event.events = events;
  event.data.u64 = token;
  if (epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) == 0) return token;
  MutexLock lock(&mu_);
  handlers_.erase(token);
  return 0;
}

void IoLoop::Modify(uint64_t token, int fd, uint32_t events) {
  epoll_event event{};
  event.events = events;
  event.data.u64 = token;
  epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, fd, &event);
}

void IoLoop::Remove(uint64_t token, int fd) {
  if (token == 0) return;
  epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr);
  std::shared_ptr<Handler> handler;  // destroyed after the lock
  MutexLock lock(&mu_);
  auto it = handlers_.find(token);
  if (it == handlers_.end()) return;
  handler = std::move(it->second);
  handlers_.erase(it);
}

void IoLoop::Post(std::function<void()> task) {
  {
    MutexLock lock(&mu_);
    tasks_.push_back(std::move(task));
  }
  Wake();
}

void IoLoop::PostAt(MonoTime at, std::function<void()> task) {
  {
    MutexLock lock(&mu_);
    timers_.emplace(at, std::move(task));
  }
  Wake();
}

void IoLoop::Wake() {
  uint64_t one = 1;
  // Full means that a wake-up is pending already.
  if (write(wake_.get(), &one, sizeof one) < 0) return;
}

void IoLoop::RunTasks() {
  std::vector<std::function<void()>> tasks;
  {
    MutexLock lock(&mu_);
    tasks.swap(tasks_);
    MonoTime now = std::chrono::steady_clock::now();
    while (!timers_.empty() && timers_.begin()->first <= now) {
      tasks.push_back(std::move(timers_.begin()->second));
      timers_.erase(timers_.begin());
    }
  }
  for (auto& task : tasks) task();
}

int IoLoop::WaitMillis() {
  MutexLock lock(&mu_);
  if (!tasks_.empty()) return 0;
  if (timers_.empty()) return -1;
  return Deadline(timers_.begin()->first).PollMillis();
}

void IoLoop::Run() {
  runner_ = std::this_thread::get_id();
  while (RunOnce(WaitMillis())) {
  }
}

// False once it is to stop.
bool IoLoop::RunOnce(int wait_millis) {
  std::array<epoll_event, 64> events;
  int n = epoll_wait(epoll_.get(), events.data(), events.size(), wait_millis);
  if (n < 0 && errno != EINTR) return false;
  for (int i = 0; i < n; ++i) {
    // epoll_event is packed: its members are copied, a reference to them would be misaligned.
    const uint64_t token = events[static_cast<size_t>(i)].data.u64;
    const uint32_t ready = events[static_cast<size_t>(i)].events;
    if (token == 0) {
      uint64_t count;
      if (read(wake_.get(), &count, sizeof count) < 0) continue;
      continue;
    }
    std::shared_ptr<Handler> handler;
    {
      MutexLock lock(&mu_);
      auto it = handlers_.find(token);
      if (it != handlers_.end()) handler = it->second;
    }
    if (handler) (*handler)(ready);
  }
  RunTasks();
  MutexLock lock(&mu_);
  return !stop_;
}

}  // namespace mcpfleet
