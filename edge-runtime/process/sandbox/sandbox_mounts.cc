// The root file system: a small tmpfs in which everything else is mounted, so that nothing of the host is visible
// that was not named. Targets are walked component by component without following symbolic links: a writable volume
// must not be able to direct the next mount elsewhere.
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <initializer_list>

#include "edge-runtime/process/sandbox/failure.h"
#include "edge-runtime/process/sandbox/features.h"

namespace mcpfleet::sandbox {
namespace {

struct MountAttributes {  // struct mount_attr, which older headers lack
  uint64_t set, clear, propagation, userns_fd;
};
constexpr uint64_t kReadOnly = 1, kNoSuid = 2, kNoDev = 4;
#ifndef SYS_mount_setattr
#define SYS_mount_setattr 442
#endif

void FdPath(int fd, char (&path)[64]) { snprintf(path, sizeof path, "/proc/self/fd/%d", fd); }

// Opens `path` below `root`, making directories on the way, and the last component when `make` says of what type it
// is to be: 'd' directory, 'f' file, 0: it must exist. O_PATH descriptor or -1.
int Walk(int root, const char* path, char make) {
  int at = dup(root);
  while (at >= 0 && *path != '\0') {
    while (*path == '/') ++path;
    const size_t length = strcspn(path, "/");
    if (length == 0) break;
    char name[256];
    if (length >= sizeof name) {
      errno = ENAMETOOLONG;
      close(at);
      return -1;
    }
    memcpy(name, path, length);
    name[length] = '\0';
    path += length;
    while (*path == '/') ++path;
    const bool last = *path == '\0';
    if (last && make == 'f') {
      const int file = openat(at, name, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC | O_NOFOLLOW, 0644);
      if (file >= 0) close(file);
    } else if (!last || make == 'd') {
      mkdirat(at, name, 0755);
    }
    const int next = openat(at, name, O_PATH | O_NOFOLLOW | O_CLOEXEC | (last ? 0 : O_DIRECTORY));
    const int error = errno;
    close(at);
    errno = error;
    at = next;
  }
  if (at >= 0) {
    struct stat st;
    if (fstat(at, &st) == 0 && S_ISLNK(st.st_mode)) {
      close(at);
      errno = ELOOP;
      return -1;
    }
  }
  return at;
}

int OpenSource(const Mount& mount) {
  struct open_how how;
  memset(&how, 0, sizeof how);
  how.flags = O_PATH | O_CLOEXEC;
  if (strchr(mount.flags, 'x') != nullptr) how.resolve = RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
  return static_cast<int>(syscall(SYS_openat2, AT_FDCWD, mount.source, &how, sizeof how));
}

bool SetAttributes(int root, const Mount& mount) {
  const int fd = Walk(root, mount.target, 0);
  if (fd < 0) return FailErrno("mount %s", mount.target);
  MountAttributes attributes{kNoSuid, 0, 0, 0};
  if (strchr(mount.flags, 'd') == nullptr) attributes.set |= kNoDev;
  if (strchr(mount.flags, 'r') != nullptr) attributes.set |= kReadOnly;
  const bool ok = syscall(SYS_mount_setattr, fd, "", AT_EMPTY_PATH | AT_RECURSIVE, &attributes, sizeof attributes) == 0;
  if (!ok) FailErrno("mount %s: attributes", mount.target);
  close(fd);
  return ok;
}

bool Bind(int root, const Mount& mount) {
  const int source = OpenSource(mount);
  if (source < 0) {
    if (errno == ENOENT && strchr(mount.flags, 'o') != nullptr) return true;
    if (errno == ELOOP)
      return Fail("mount %s: %s passes through a symbolic link; name the real path", mount.target, mount.source);
    return FailErrno("mount %s: %s", mount.target, mount.source);
  }
  struct stat st;
  bool ok = fstat(source, &st) == 0;
  const int target = ok ? Walk(root, mount.target, S_ISDIR(st.st_mode) ? 'd' : 'f') : -1;
  char from[64], to[64];
  FdPath(source, from);
  FdPath(target, to);
  ok = target >= 0 && ::mount(from, to, nullptr, MS_BIND | MS_REC, nullptr) == 0;
  if (!ok) FailErrno("mount %s", mount.target);
  if (target >= 0) close(target);
  close(source);
  return ok && SetAttributes(root, mount);
}

bool Tmpfs(int root, const char* path, int64_t bytes, const char* options) {
  const int target = Walk(root, path, 'd');
  if (target < 0) return FailErrno("mount %s", path);
  char to[64], all[128];
  FdPath(target, to);
  snprintf(all, sizeof all, "size=%lld,%s", static_cast<long long>(bytes), options);
  const bool ok = ::mount("tmpfs", to, "tmpfs", MS_NOSUID | MS_NODEV, all) == 0 || FailErrno("mount %s", path);
  close(target);
  return ok;
}

// The directory that is to hold `path`; `name` becomes its last component.
int Parent(int root, const char* path, const char** name) {
  const char* slash = strrchr(path, '/');
  char parent[1024];
  const size_t length = static_cast<size_t>(slash - path);
  if (length >= sizeof parent) return -1;
  memcpy(parent, path, length);
  parent[length] = '\0';
  *name = slash + 1;
  return Walk(root, parent, 'd');
}

bool LinkOrFile(int root, const Mount& mount) {
  const char* name = nullptr;
  const int parent = Parent(root, mount.target, &name);
  if (parent < 0) return FailErrno("make %s", mount.target);
  bool ok = false;
  if (mount.kind == MountKind::kLink) {
    ok = symlinkat(mount.source, parent, name) == 0;
  } else {
    const int fd = openat(parent, name, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC | O_NOFOLLOW, 0644);
    const size_t length = strlen(mount.source);
    ok = fd >= 0 && write(fd, mount.source, length) == static_cast<ssize_t>(length);
    if (fd >= 0) close(fd);
  }
  if (!ok) FailErrno("make %s", mount.target);
  close(parent);
  return ok;
}

// What of /proc concerns the whole machine is read-only or empty, as container engines have it: as uid 0 without
// capabilities /proc/sys would still be writable.
bool MountProc() {
  if (mkdir("/proc", 0755) != 0 && errno != EEXIST) return FailErrno("make /proc");
  if (mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr) != 0) return FailErrno("mount /proc");
  for (const char* path : {"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"}) {
    if (mount(path, path, nullptr, MS_BIND, nullptr) != 0) {
      if (errno == ENOENT) continue;
      return FailErrno("mount %s", path);
    }
    const unsigned long flags = MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC;
    if (mount(nullptr, path, nullptr, flags, nullptr) != 0) return FailErrno("mount %s read-only", path);
  }
  for (const char* path : {"/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list", "/proc/sched_debug",
                           "/proc/kallsyms", "/proc/config.gz"}) {
    if (mount("/dev/null", path, nullptr, MS_BIND, nullptr) != 0 && errno != ENOENT) return FailErrno("mask %s", path);
  }
  for (const char* path : {"/proc/acpi", "/proc/scsi"}) {
    if (mount("tmpfs", path, "tmpfs", MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, "size=0") != 0 && errno != ENOENT) {
      return FailErrno("mask %s", path);
    }
  }
  return true;
}

bool Pivot(int root) {
  if (fchdir(root) != 0) return FailErrno("enter root");
  // "." on "." stacks the old root above the new one, from where it is then detached.
  if (syscall(SYS_pivot_root, ".", ".") != 0) return FailErrno("pivot_root");
  if (umount2(".", MNT_DETACH) != 0) return FailErrno("detach the old root");
  return chdir("/") == 0 || FailErrno("enter /");
}

bool Populate(int root, const Config& config) {
  char owner[64];
  snprintf(owner, sizeof owner, "mode=0755,uid=%u,gid=%u", config.uid, config.gid);
  if (!Tmpfs(root, "/tmp", config.tmp_bytes, "mode=1777")) return false;
  for (int i = 0; i < config.mount_count; ++i) {
    const Mount& mount = config.mounts[i];
    bool ok = false;
    switch (mount.kind) {
      case MountKind::kBind:
        ok = Bind(root, mount);
        break;
      case MountKind::kTmpfs:
        ok = Tmpfs(root, mount.target, mount.bytes, owner);
        break;
      case MountKind::kLink:
      case MountKind::kFile:
        ok = LinkOrFile(root, mount);
        break;
    }
    if (!ok) return false;
  }
  return true;
}

}  // namespace

bool MakeRoot(const Config& config) {
  if (mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return FailErrno("private mounts");
  char options[96];
  snprintf(options, sizeof options, "mode=0755,size=%lld,uid=%u,gid=%u", static_cast<long long>(config.root_bytes),
           config.root_read_only ? 0 : config.uid, config.root_read_only ? 0 : config.gid);
  if (mount("tmpfs", kRootDirectory, "tmpfs", MS_NOSUID | MS_NODEV, options) != 0) return FailErrno("mount root");
  const int root = open(kRootDirectory, O_PATH | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
  if (root < 0) return FailErrno("open root");
  if (!Populate(root, config) || !Pivot(root) || !MountProc()) return false;
  close(root);
  if (!config.root_read_only) return true;
  const unsigned long flags = MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV;
  return mount(nullptr, "/", nullptr, flags, nullptr) == 0 || FailErrno("root read-only");
}

}  // namespace mcpfleet::sandbox
