#include "edge-runtime/shim/init/tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

namespace mcpfleet::shim {
namespace {

// "123" -> 123; 0 for anything else.
pid_t ParsePid(const char* text) {
  long value = 0;
  for (const char* c = text; *c != 0; ++c) {
    if (*c < '0' || *c > '9' || value > 99'999'999) return 0;
    value = value * 10 + (*c - '0');
  }
  return static_cast<pid_t>(value);
}

}  // namespace

Tree::~Tree() { free(pids_); }

void Tree::Add(pid_t pid) {
  if (size_ == capacity_) {
    if (capacity_ >= kMaxPids) return;
    size_t capacity = capacity_ == 0 ? 64 : capacity_ * 2;
    void* grown = realloc(pids_, capacity * sizeof(pid_t));
    if (grown == nullptr) return;
    pids_ = static_cast<pid_t*>(grown);
    capacity_ = capacity;
  }
  pids_[size_++] = pid;
}

bool Tree::AddChildren(pid_t pid) {
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/task", static_cast<int>(pid));
  DIR* tasks = opendir(path);
  if (tasks == nullptr) return true;  // gone meanwhile
  bool supported = true;
  // Children belong to the thread that forked them.
  while (dirent* entry = readdir(tasks)) {
    pid_t tid = ParsePid(entry->d_name);
    if (tid == 0) continue;
    snprintf(path, sizeof path, "/proc/%d/task/%d/children", static_cast<int>(pid), static_cast<int>(tid));
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
      if (access("/proc/thread-self/children", F_OK) != 0) supported = false;
      continue;
    }
    char text[4096];
    long value = 0;
    bool digits = false;
    for (;;) {
      ssize_t n = read(fd, text, sizeof text);
      if (n <= 0) break;
      for (ssize_t i = 0; i < n; ++i) {
        if (text[i] >= '0' && text[i] <= '9') {
          value = value * 10 + (text[i] - '0');
          digits = true;
        } else if (digits) {
          Add(static_cast<pid_t>(value));
          value = 0;
          digits = false;
        }
      }
    }
    if (digits) Add(static_cast<pid_t>(value));
    close(fd);
  }
  closedir(tasks);
  return supported ? true : AddChildrenByStat(pid);
}

// For kernels without CONFIG_PROC_CHILDREN.
bool Tree::AddChildrenByStat(pid_t pid) {
  DIR* proc = opendir("/proc");
  if (proc == nullptr) return false;
  while (dirent* entry = readdir(proc)) {
    pid_t other = ParsePid(entry->d_name);
    char state;
    pid_t parent, group;
    if (other != 0 && ReadStat(other, &state, &parent, &group) && parent == pid) Add(other);
  }
  closedir(proc);
  return true;
}

bool Tree::LookAtChildren(pid_t root) {
  size_ = 0;
  return AddChildren(root);
}

bool Tree::Look(pid_t root) {
  if (!LookAtChildren(root)) return false;
  for (size_t i = 0; i < size_; ++i) {
    if (!AddChildren(pids_[i])) return false;
  }
  return true;
}

bool ReadStat(pid_t pid, char* state, pid_t* parent, pid_t* group) {
  char path[64], text[512];
  snprintf(path, sizeof path, "/proc/%d/stat", static_cast<int>(pid));
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return false;
  ssize_t n = read(fd, text, sizeof text - 1);
  close(fd);
  if (n <= 0) return false;
  text[n] = 0;
  // The name is in parentheses and may contain anything, also parentheses.
  const char* end = strrchr(text, ')');
  int parent_value = 0, group_value = 0;
  if (end == nullptr || sscanf(end + 1, " %c %d %d", state, &parent_value, &group_value) != 3) return false;
  *parent = parent_value;
  *group = group_value;
  return true;
}

bool ProcIsOurs() {
  char text[32];
  ssize_t n = readlink("/proc/self", text, sizeof text - 1);
  if (n <= 0) return false;
  text[n] = 0;
  return ParsePid(text) == getpid();
}

}  // namespace mcpfleet::shim
