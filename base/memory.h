// What a long-running program on a small box does so that its memory stays what it needs now.
#pragma once

#include <cstdint>
#include <optional>

namespace mcpfleet {

// First thing in main, before any thread. glibc gives each thread a heap of its own (eight per core), which keeps what
// a burst needed once; two heaps are enough for threads that mostly wait, and large blocks go back at once.
void LimitHeaps();

// Gives back what is not in use: free heap pages, and the pages of program and library code that only start-up or a
// rare command touched. Those are unmodified parts of files: the page cache keeps them, and what is needed again is
// mapped again by a minor fault (64 KiB each). Thread-safe; a millisecond of CPU, so for every minute, not every
// second.
void ReleaseUnusedMemory();

// Releases when the program has grown since it last was at rest, so that a program at rest pays nothing. Tend() is
// called from time to time, with pauses long enough that work at rest has touched what it needs again. Not
// thread-safe.
class MemoryTender {
 public:
  // `resident`: bytes that the program has in memory now; ResidentBytes() but in tests. True when it released.
  bool Tend(int64_t resident);

 private:
  std::optional<int64_t> at_rest_;
  bool released_ = false;  // at the last call
};

// VmRSS of this program; 0 when the kernel does not tell.
int64_t ResidentBytes();

}  // namespace mcpfleet
