// What the user's Ctrl-C (and SIGTERM) does while a request is under way: tell the server, clean up, then end. A second
// one ends the program at once.
//
//   Interrupt interrupt([&] { client->Interrupt(); });
//   … the call returns Cancelled …
//
// One at a time.
#pragma once

#include <csignal>
#include <functional>
#include <thread>

#include "base/fd.h"

namespace mcpfleet::cli {

// As a shell shows it: 128 + SIGINT.
inline constexpr int kExitInterrupted = 130;

class Interrupt {
 public:
  // `on_signal` runs at most once, in a thread of its own.
  explicit Interrupt(std::function<void()> on_signal);
  ~Interrupt();
  Interrupt(const Interrupt&) = delete;
  Interrupt& operator=(const Interrupt&) = delete;

 private:
  UniqueFd raised_, stop_;
  struct sigaction old_int_ = {}, old_term_ = {};
  std::thread watcher_;
};

}  // namespace mcpfleet::cli
