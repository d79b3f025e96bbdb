// The last steps of a child between fork and exec.
#pragma once

#include "edge-runtime/shim/init/session.h"
#include "edge-runtime/shim/wire.h"

namespace mcpfleet::shim {

struct ChildFailure {
  Stage stage;
  int32_t error;
};

// Becomes the server, or writes a ChildFailure to `exec_status` (close-on-exec) and exits. in_r, out_w: -1 without
// stdio.
[[noreturn]] void RunChild(const Spawn& spawn, int in_r, int out_w, int exec_status, const Inherited& inherited);
// Closes every descriptor but these two.
void CloseAllExcept(int a, int b);
// The kernel's landlock ABI, 0 when there is none.
uint32_t LandlockAbi();

}  // namespace mcpfleet::shim
