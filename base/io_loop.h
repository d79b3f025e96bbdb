// epoll for all sockets and pipes of a session host: an idle server costs no thread and no wake-up. The loop has a
// thread of its own, or is driven: another event loop runs it. Handlers and tasks run on that one thread, one at a
// time, and must not block. All methods but RunReady may be called from any thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <thread>
#include <unordered_map>
#include <vector>

#include "base/clock.h"
#include "base/fd.h"
#include "base/mutex.h"
#include "base/status.h"

namespace mcpfleet {

class IoLoop {
 public:
  using Handler = std::function<void(uint32_t events)>;
  static StatusOr<std::shared_ptr<IoLoop>> Create();
  // Without a thread: call RunReady whenever ready_fd() is readable, from one thread at a time. PostAt needs a thread.
  static StatusOr<std::shared_ptr<IoLoop>> CreateDriven();
  int ready_fd() const { return epoll_.get(); }
  void RunReady();
  ~IoLoop();
  // Ends the thread; no handler runs afterwards. Not from a handler.
  void Stop();

  // Watches `fd` for `events` (EPOLLIN ...; level-triggered). 0 when the kernel refuses. The descriptor must be removed
  // before it is closed. A handler is not called after Remove unless it is running already.
  uint64_t Add(int fd, uint32_t events, Handler handler);
  void Modify(uint64_t token, int fd, uint32_t events);
  void Remove(uint64_t token, int fd);
  void Post(std::function<void()> task);
  void PostAt(MonoTime at, std::function<void()> task);
  bool InLoop() const { return std::this_thread::get_id() == runner_.load(std::memory_order_relaxed); }

 private:
  IoLoop(UniqueFd epoll, UniqueFd wake) : epoll_(std::move(epoll)), wake_(std::move(wake)) {}
  static StatusOr<std::shared_ptr<IoLoop>> Make();
  void Run();
  bool RunOnce(int wait_millis);
  void RunTasks();
  int WaitMillis();
  void Wake();

  const UniqueFd epoll_, wake_;
  std::thread thread_;
  std::atomic<std::thread::id> runner_{};
  Mutex mu_;
  bool stop_ GUARDED_BY(mu_) = false;
  uint64_t next_token_ GUARDED_BY(mu_) = 1;
  std::unordered_map<uint64_t, std::shared_ptr<Handler>> handlers_ GUARDED_BY(mu_);
  std::vector<std::function<void()>> tasks_ GUARDED_BY(mu_);
  std::multimap<MonoTime, std::function<void()>> timers_ GUARDED_BY(mu_);
};

}  // namespace mcpfleet
