// Small pieces of the host's side: the pipes of a child, and its pid as we see it.
#pragma once

#include "base/fd.h"
#include "base/status.h"

namespace mcpfleet::shim {

// Made by us, not in the instance: pipes are charged to who makes them, and one uid has only 1024 of full size.
struct ChildPipes {
  UniqueFd in_r, out_w;  // the child's ends, blocking; anyone may open them again through /dev/stdin and /dev/stdout
  UniqueFd in_w, out_r;  // ours, non-blocking
};
StatusOr<ChildPipes> MakeChildPipes();

// The host's pid of the process that is `inner` in the pid namespace of `shim` (a host pid); 0 when there is none.
int HostPid(int shim, int inner);

}  // namespace mcpfleet::shim
