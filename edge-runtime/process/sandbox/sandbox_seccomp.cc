// System calls that a server never needs and that have been the way out of sandboxes: the complement of container
// engines' default list, as a deny list, because a new call that glibc probes for must not break a server. EPERM, not
// a kill: programs fall back.
#include <errno.h>
#include <sched.h>
#include <seccomp.h>
#include <string.h>

#include "edge-runtime/process/sandbox/failure.h"
#include "edge-runtime/process/sandbox/features.h"

namespace mcpfleet::sandbox {
namespace {

// By name: the library knows which of them this architecture has.
constexpr const char* kDenied[] = {
    // mounts and namespaces
    "mount",
    "umount",
    "umount2",
    "pivot_root",
    "chroot",
    "move_mount",
    "open_tree",
    "open_tree_attr",
    "fsopen",
    "fsconfig",
    "fsmount",
    "fspick",
    "mount_setattr",
    "setns",
    "unshare",
    "statmount",
    "listmount",
    // other processes
    "ptrace",
    "process_vm_readv",
    "process_vm_writev",
    "pidfd_getfd",
    "kcmp",
    "process_madvise",
    "move_pages",
    "migrate_pages",
    // the kernel itself
    "kexec_load",
    "kexec_file_load",
    "init_module",
    "finit_module",
    "delete_module",
    "create_module",
    "query_module",
    "get_kernel_syms",
    "bpf",
    "perf_event_open",
    "lookup_dcookie",
    "reboot",
    "swapon",
    "swapoff",
    "syslog",
    "nfsservctl",
    "acct",
    "quotactl",
    "quotactl_fd",
    "iopl",
    "ioperm",
    "modify_ldt",
    "_sysctl",
    "sysfs",
    "uselib",
    "ustat",
    "vm86",
    "vm86old",
    "personality",
    "fanotify_init",
    "open_by_handle_at",
    "name_to_handle_at",
    "vhangup",
    "userfaultfd",
    "io_uring_setup",
    "io_uring_enter",
    "io_uring_register",
    "nfsservctl",
    "afs_syscall",
    "tuxcall",
    "security",
    "vserver",
    "getpmsg",
    "putpmsg",
    "pciconfig_read",
    "pciconfig_write",
    "pciconfig_iobase",
    // keys are not in a namespace
    "add_key",
    "request_key",
    "keyctl",
    // the clock
    "settimeofday",
    "clock_settime",
    "clock_settime64",
    "stime",
    "clock_adjtime",
    "clock_adjtime64",
    "adjtimex",
    // names and memory policy of the machine
    "sethostname",
    "setdomainname",
    "set_mempolicy",
    "mbind",
    "get_mempolicy",
    "set_mempolicy_home_node",
};

constexpr unsigned long kNamespaces = CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER |
                                      CLONE_NEWPID | CLONE_NEWNET | 0x80 /* CLONE_NEWTIME */;

bool AddRules(scmp_filter_ctx filter) {
  const uint32_t denied = SCMP_ACT_ERRNO(EPERM);
  for (const char* name : kDenied) {
    const int nr = seccomp_syscall_resolve_name(name);
    if (nr == __NR_SCMP_ERROR) continue;  // not known to this library
    // Personality 0 and the query are harmless and used; the rest switches off address randomisation.
    if (strcmp(name, "personality") == 0) {
      if (seccomp_rule_add(filter, denied, nr, 2, SCMP_A0(SCMP_CMP_NE, 0), SCMP_A0(SCMP_CMP_NE, 0xffffffff)) == 0)
        continue;
    }
    const int error = seccomp_rule_add(filter, denied, nr, 0);
    if (error != 0 && error != -EDOM && error != -EEXIST) {
      errno = -error;
      return FailErrno("seccomp %s", name);
    }
  }
  // Arguments behind a pointer can't be looked at: ENOSYS makes glibc use clone, which can.
  int error = seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
  for (unsigned bit = 0; bit < 32 && error == 0; ++bit) {
    const unsigned long flag = 1ul << bit;
    if ((kNamespaces & flag) == 0) continue;
    error = seccomp_rule_add(filter, denied, SCMP_SYS(clone), 1, SCMP_A0(SCMP_CMP_MASKED_EQ, flag, flag));
  }
  // The terminal's input queue would let a server type into whatever shares it.
  if (error == 0)
    error = seccomp_rule_add(filter, denied, SCMP_SYS(ioctl), 1, SCMP_A1(SCMP_CMP_MASKED_EQ, 0xffffffff, 0x5412));
  if (error == 0) return true;
  errno = -error;
  return FailErrno("seccomp clone");
}

}  // namespace

bool ApplySeccomp() {
  scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
  if (filter == nullptr) return Fail("seccomp: out of memory");
  seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_ERRNO(ENOSYS));
  // A binary tree instead of a list: every system call of a server goes through it.
  seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2);
  if (!AddRules(filter)) return false;
  const int error = seccomp_load(filter);
  seccomp_release(filter);
  if (error == 0) return true;
  errno = -error;
  return FailErrno("seccomp load");
}

}  // namespace mcpfleet::sandbox
