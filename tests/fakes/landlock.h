// A kernel without landlock, or one that says it has it and refuses it, for one process and all that it starts: a
// seccomp filter. Needs CAP_SYS_ADMIN. Only system calls, so also good between clone and exec.
#pragma once

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <cerrno>
#include <cstddef>
#include <cstdint>

namespace mcpfleet {

enum class Landlock {
  kAsItIs,
  kAbsent,   // no such system call
  kRefused,  // its version can be asked for, a domain can't be made
};

inline constexpr long kLandlockCreateRuleset = 444;
inline constexpr uint32_t kLandlockVersion = 1;  // the flag that asks

// Of this kernel; 0: none.
inline int LandlockAbiHere() {
  const long abi = syscall(kLandlockCreateRuleset, nullptr, 0, kLandlockVersion);
  return abi > 0 ? static_cast<int>(abi) : 0;
}

// False, with errno, when the filter can't be had.
inline bool PretendLandlock(Landlock kernel) {
  if (kernel == Landlock::kAsItIs) return true;
  const bool refused = kernel == Landlock::kRefused;
  const uint32_t error = SECCOMP_RET_ERRNO | static_cast<uint32_t>(refused ? EPERM : ENOSYS);
  sock_filter steps[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, kLandlockCreateRuleset, 0, 3),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, args[2])),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, refused ? kLandlockVersion : ~0U, 1, 0),
      BPF_STMT(BPF_RET | BPF_K, error),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog program = {sizeof steps / sizeof *steps, steps};
  return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

}  // namespace mcpfleet
