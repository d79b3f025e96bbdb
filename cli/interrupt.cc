#include "cli/interrupt.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>

namespace mcpfleet::cli {
namespace {

// A signal handler can reach nothing else. (Blocking the signal and reading a signalfd would not do: threads that
// libraries started earlier would still take it.)
std::atomic<int> raised_fd{-1};

void Raise(int) {
  const int saved = errno;
  const uint64_t one = 1;
  [[maybe_unused]] ssize_t n = write(raised_fd.load(), &one, sizeof one);
  errno = saved;
}

void Install(int signal, struct sigaction* old) {
  sigaction(signal, nullptr, old);
  if (old->sa_handler == SIG_IGN) return;  // nohup
  struct sigaction action {};
  action.sa_handler = Raise;
  action.sa_flags = SA_RESTART | SA_RESETHAND;
  sigemptyset(&action.sa_mask);
  sigaction(signal, &action, nullptr);
}

}  // namespace

Interrupt::Interrupt(std::function<void()> on_signal)
    : raised_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)), stop_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  if (!raised_.valid() || !stop_.valid()) return;  // then a signal ends the program, as ever
  watcher_ = std::thread([raised = raised_.get(), stop = stop_.get(), on_signal = std::move(on_signal)] {
    pollfd fds[] = {{raised, POLLIN, 0}, {stop, POLLIN, 0}};
    while (poll(fds, 2, -1) < 0) {
    }
    if (fds[0].revents != 0) on_signal();
  });
  raised_fd = raised_.get();
  Install(SIGINT, &old_int_);
  Install(SIGTERM, &old_term_);
}

Interrupt::~Interrupt() {
  if (!watcher_.joinable()) return;
  sigaction(SIGINT, &old_int_, nullptr);
  sigaction(SIGTERM, &old_term_, nullptr);
  const uint64_t one = 1;
  [[maybe_unused]] ssize_t n = write(stop_.get(), &one, sizeof one);
  watcher_.join();
}

}  // namespace mcpfleet::cli
