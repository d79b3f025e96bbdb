// One session in the shim: a helper process (forked, never exec'd, a subreaper), below it the child and all that the
// child starts. The helper reports over a pipe and exits when nothing is left below it, so that waiting for the helper
// means waiting for the tree and gives its resource usage.
//
//   shim (PID 1) -> helper -> child (setsid, landlock domain, oom_score_adj +500) -> ...
//
// The shim keeps duplicates of mcplet's pipe ends and the journal until kForget, and never reads from them.
#pragma once

#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

#include "edge-runtime/shim/init/tree.h"
#include "edge-runtime/shim/wire.h"

namespace mcpfleet::shim {

// What a child inherits from the shim whatever the agent says.
struct Inherited {
  char** argv = nullptr;  // the image's command, NULL-terminated
  rlimit files{};         // RLIMIT_NOFILE as the shim found it
  uint32_t landlock_abi = 0;
  bool init = true;  // PID 1 of a pid namespace: the kernel kills what we leave
};

enum class Ending : uint8_t { kNo, kStdinClosed, kTermSent, kKilling };

struct Kept {
  uint64_t id = 0;
  SessionState state = SessionState::kStarting;
  pid_t helper = 0;  // 0 once reaped
  pid_t pid = 0;     // of the child
  uint64_t start_ns = 0;
  int wait_status = 0;
  Stage stage = Stage::kNone;
  int error = 0;
  Usage leader_usage, tree_usage;
  int in_w = -1, out_r = -1, journal = -1;
  int reports = -1;  // from the helper
  bool stdio = false;
  bool forgotten = false;  // free it when the helper has been reaped

  Ending ending = Ending::kNo;
  uint64_t step_at_ns = 0;  // when the next step of the ending is due
  uint64_t kill_at_ns = 0;  // end of grace
  uint64_t killing_since_ns = 0;

  // What the agent has not been told yet.
  bool say_session = false, say_spawned = false, say_failed = false, say_exited = false, say_gone = false;

  Kept* next = nullptr;
};

uint64_t NowNs();

// Forks helper and child. Takes descriptors {in_r, out_w, in_w, out_r, journal} (or none) whatever happens.
// On failure state is kFailed with stage and errno.
void Start(Kept* session, const Spawn& spawn, const int* descriptors, const Inherited& inherited);
// Reads what the helper reported.
void ReadReports(Kept* session);
// The helper was reaped with the usage of the whole tree.
void HelperGone(Kept* session, int wait_status, const rusage& usage);
// Signals living members of the tree.
void SignalTree(Kept* session, int signo, SignalScope scope, Tree* tree);
void CloseStdin(Kept* session);
// Begins to end it, or shortens the grace of an ending under way. `term_now`: no wait for the end of stdin.
void BeginEnd(Kept* session, uint64_t grace_ms, bool term_now, Tree* tree);
// Does what is due; when to call again (UINT64_MAX: not by time).
uint64_t ContinueEnd(Kept* session, uint64_t now, Tree* tree);
void CloseDescriptors(Kept* session);

}  // namespace mcpfleet::shim
