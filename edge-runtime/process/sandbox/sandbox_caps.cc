#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "edge-runtime/process/sandbox/failure.h"
#include "edge-runtime/process/sandbox/features.h"

namespace mcpfleet::sandbox {
namespace {

bool DropBounding(uint64_t keep) {
  for (int cap = 0; cap < 64; ++cap) {
    if ((keep >> cap & 1) != 0) continue;
    if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) != 0) {
      if (errno == EINVAL) return true;  // past the kernel's last capability
      return FailErrno("drop capability %d", cap);
    }
  }
  return true;
}

bool SetCapabilities(uint64_t keep) {
  struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  struct __user_cap_data_struct sets[2];
  for (int i = 0; i < 2; ++i) {
    const uint32_t half = static_cast<uint32_t>(keep >> (32 * i));
    sets[i] = {half, half, half};
  }
  if (syscall(SYS_capset, &header, sets) != 0) return FailErrno("set capabilities");
  for (int cap = 0; cap < 64; ++cap) {
    if ((keep >> cap & 1) != 0 && prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, cap, 0, 0) != 0) {
      return FailErrno("keep capability %d", cap);
    }
  }
  return true;
}

}  // namespace

bool DropPrivileges(const Config& config) {
  if (!DropBounding(config.capabilities)) return false;
  // Uid 0 gets nothing at exec either, whatever the user.
  const unsigned long bits = SECBIT_NOROOT | SECBIT_NOROOT_LOCKED | SECBIT_KEEP_CAPS;
  if (prctl(PR_SET_SECUREBITS, bits, 0, 0, 0) != 0) return FailErrno("secure bits");
  if (setgroups(0, nullptr) != 0) return FailErrno("drop groups");
  if (setresgid(config.gid, config.gid, config.gid) != 0) return FailErrno("become group %u", config.gid);
  if (setresuid(config.uid, config.uid, config.uid) != 0) return FailErrno("become user %u", config.uid);
  if (!SetCapabilities(config.capabilities)) return false;
  return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 || FailErrno("no new privileges");
}

}  // namespace mcpfleet::sandbox
