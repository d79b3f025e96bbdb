#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>

#include <sys/mman.h>
#include <sys/time.h>
#include <unistd.h>

#include "tests/integration/server/test_server.h"

namespace mcpfleet::test_server {
namespace {

constexpr size_t kMegabyte = size_t{1} << 20;

void Crash(int) {
  constexpr char kLastWords[] = "fatal: the crash timer ran out\n";
  (void)!write(2, kLastWords, sizeof kLastWords - 1);
  _exit(3);
}

// A whole block at a time; what a pipe does not take waits.
void WriteAllTo(int fd, const std::string& block) {
  size_t done = 0;
  while (done < block.size()) {
    const ssize_t n = write(fd, block.data() + done, block.size() - done);
    if (n <= 0) return;
    done += static_cast<size_t>(n);
  }
}

void Flood(int fd, const std::string& line, int megabytes) {
  std::string block;
  while (block.size() < kMegabyte / 16) block += line;
  for (size_t sent = 0; sent < static_cast<size_t>(megabytes) * kMegabyte; sent += block.size()) WriteAllTo(fd, block);
}

}  // namespace

void StartCrashTimer(int64_t milliseconds) {
  signal(SIGALRM, Crash);
  if (milliseconds <= 0) Crash(0);
  itimerval timer{};
  timer.it_value = {.tv_sec = milliseconds / 1000, .tv_usec = milliseconds % 1000 * 1000};
  setitimer(ITIMER_REAL, &timer, nullptr);
}

void SpawnGrandchildren(int count) {
  for (int i = 0; i < count; ++i) {
    if (fork() != 0) continue;
    setsid();
    signal(SIGTERM, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    if (fork() != 0) _exit(0);  // a daemon of the old school: its parent is gone
    for (;;) pause();
  }
}

void EatMemory() {
  for (;;) {
    // By the kernel: memory of malloc that nobody reads is none after an optimiser.
    void* page = mmap(nullptr, kMegabyte, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (page == MAP_FAILED) _exit(9);
  }
}

int64_t ForkUntilRefused() {
  int64_t made = 0;
  while (made < 100000) {
    const pid_t pid = fork();
    if (pid < 0) break;
    if (pid == 0) {
      for (;;) pause();
    }
    ++made;
  }
  return made;
}

void FloodStdout(int megabytes) {
  Flood(1,
        R"({"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":"flood"}})"
        "\n",
        megabytes);
}

void FloodStderr(int megabytes) { Flood(2, "flood: a line that nobody asked for\n", megabytes); }

}  // namespace mcpfleet::test_server
