// Process trees as /proc shows them: who lives below a process, and killing what does. A process that forks faster than
// one look may be missed; callers look again until nothing is left.
#pragma once

#include <stddef.h>
#include <sys/types.h>

namespace mcpfleet::shim {

// Pids below `root`, without `root` itself. Grows as needed, at most kMaxPids; reused between looks.
class Tree {
 public:
  static constexpr size_t kMaxPids = 32768;
  ~Tree();
  // False when /proc can't be read.
  bool Look(pid_t root);
  // Direct children of `root` only.
  bool LookAtChildren(pid_t root);
  size_t size() const { return size_; }
  pid_t at(size_t i) const { return pids_[i]; }

 private:
  void Add(pid_t pid);
  bool AddChildren(pid_t pid);
  bool AddChildrenByStat(pid_t pid);
  pid_t* pids_ = nullptr;
  size_t size_ = 0, capacity_ = 0;
};

// Field 4 (parent) and 5 (process group) of /proc/<pid>/stat; false when it is gone.
bool ReadStat(pid_t pid, char* state, pid_t* parent, pid_t* group);
// Whether /proc is mounted and shows this pid namespace.
bool ProcIsOurs();

}  // namespace mcpfleet::shim
