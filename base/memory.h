// What a long-running program on a small box does so that its memory stays what it needs now.
#pragma once

namespace mcpfleet {

// First thing in main, before any thread. glibc gives each thread a heap of its own (eight per core), which keeps what
// a burst needed once; two heaps are enough for threads that mostly wait, and large blocks go back at once.
void LimitHeaps();

// Gives back what is not in use: free heap pages, and the pages of program and library code that only start-up or a
// rare command touched. Those are unmodified parts of files: the page cache keeps them, and what is needed again is
// mapped again by a minor fault (64 KiB each). Thread-safe; a millisecond of CPU, so for every minute, not every
// second.
void ReleaseUnusedMemory();

}  // namespace mcpfleet
