#include "edge-runtime/shim/init/session.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "edge-runtime/shim/init/child.h"

namespace mcpfleet::shim {
namespace {

constexpr uint64_t kMillisecond = 1'000'000;
// A server that ends at the end of its input needs no signal; most do within milliseconds.
constexpr uint64_t kStdinWaitMs = 2000;
// From here on the helper is killed too: its children come to PID 1, which kills what it doesn't know.
constexpr uint64_t kHelperPatienceMs = 100;

enum class ReportKind : uint8_t { kSpawned, kFailed, kExited };
struct Report {
  ReportKind kind;
  Stage stage;
  int32_t value;  // pid, errno or wait status
  Usage usage;
};
static_assert(sizeof(Report) <= 512);  // atomic in a pipe

void CloseFd(int* fd) {
  if (*fd >= 0) close(*fd);
  *fd = -1;
}

Usage ToUsage(const rusage& u) {
  Usage usage;
  usage.user_us = static_cast<uint64_t>(u.ru_utime.tv_sec) * 1'000'000 + static_cast<uint64_t>(u.ru_utime.tv_usec);
  usage.system_us = static_cast<uint64_t>(u.ru_stime.tv_sec) * 1'000'000 + static_cast<uint64_t>(u.ru_stime.tv_usec);
  usage.max_rss_kib = static_cast<uint64_t>(u.ru_maxrss);
  return usage;
}

void Send(int fd, const Report& report) {
  // Nobody to tell: the shim is gone, and so are we soon.
  if (write(fd, &report, sizeof report) < 0) return;
}

// The helper's whole life after the fork. `exec_status` reads EOF when exec succeeded, else ChildFailure.
[[noreturn]] void Helper(pid_t child, int exec_status, int reports) {
  CloseAllExcept(exec_status, reports);
  ChildFailure failure{};
  ssize_t n;
  do n = read(exec_status, &failure, sizeof failure);
  while (n < 0 && errno == EINTR);
  close(exec_status);
  if (n == sizeof failure) {
    Send(reports, {ReportKind::kFailed, failure.stage, failure.error, {}});
  } else {
    Send(reports, {ReportKind::kSpawned, Stage::kNone, child, {}});
  }
  for (;;) {
    int status;
    rusage usage;
    pid_t pid = wait4(-1, &status, 0, &usage);
    if (pid < 0 && errno == EINTR) continue;
    if (pid < 0) break;  // ECHILD: nothing lives below us
    if (pid == child) Send(reports, {ReportKind::kExited, Stage::kNone, status, ToUsage(usage)});
  }
  _exit(0);
}

void Fail(Kept* session, Stage stage, int error) {
  session->state = SessionState::kFailed;
  session->stage = stage;
  session->error = error;
  session->say_failed = true;
  CloseDescriptors(session);
}

}  // namespace

uint64_t NowNs() {
  timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return static_cast<uint64_t>(t.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(t.tv_nsec);
}

void CloseDescriptors(Kept* session) {
  CloseFd(&session->in_w);
  CloseFd(&session->out_r);
  CloseFd(&session->journal);
}

void Start(Kept* session, const Spawn& spawn, const int* descriptors, const Inherited& inherited) {
  int in_r = -1, out_w = -1, reports[2], exec_status[2];
  session->stdio = (spawn.flags & kSpawnNoStdio) == 0;
  session->start_ns = NowNs();
  if (session->stdio) {
    in_r = descriptors[0];
    out_w = descriptors[1];
    session->in_w = descriptors[2];
    session->out_r = descriptors[3];
    session->journal = descriptors[4];
  }
  if (pipe2(reports, O_CLOEXEC) != 0) {
    Fail(session, Stage::kFork, errno);
  } else {
    pid_t helper = fork();
    if (helper == 0) {
      prctl(PR_SET_CHILD_SUBREAPER, 1);
      prctl(PR_SET_NAME, "mcp-session");
      // Only in tests can the helper outlive the shim; in a pid namespace the kernel ends both.
      if (!inherited.init) prctl(PR_SET_PDEATHSIG, SIGKILL);
      // What its own child sends it is ignored; only KILL and STOP get through.
      sigset_t all;
      sigfillset(&all);
      sigprocmask(SIG_SETMASK, &all, nullptr);
      int error = 0;
      pid_t child = -1;
      if (pipe2(exec_status, O_CLOEXEC) != 0) {
        error = errno;
      } else {
        child = fork();
        if (child == 0) RunChild(spawn, in_r, out_w, exec_status[1], inherited);
        if (child < 0) error = errno;
      }
      if (child < 0) {
        Send(reports[1], {ReportKind::kFailed, Stage::kFork, error, {}});
        _exit(0);
      }
      close(exec_status[1]);
      Helper(child, exec_status[0], reports[1]);
    }
    int error = errno;
    close(reports[1]);
    if (helper < 0) {
      close(reports[0]);
      Fail(session, Stage::kFork, error);
    } else {
      session->helper = helper;
      session->reports = reports[0];
      fcntl(session->reports, F_SETFL, O_NONBLOCK);
    }
  }
  CloseFd(&in_r);
  CloseFd(&out_w);
}

void ReadReports(Kept* session) {
  Report report;
  while (session->reports >= 0) {
    ssize_t n = read(session->reports, &report, sizeof report);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return;
    if (n != sizeof report) {
      CloseFd(&session->reports);
      return;
    }
    switch (report.kind) {
      case ReportKind::kSpawned:
        session->pid = report.value;
        session->state = SessionState::kRunning;
        session->say_spawned = true;
        break;
      case ReportKind::kFailed:
        Fail(session, report.stage, report.value);
        break;
      case ReportKind::kExited:
        if (session->state == SessionState::kFailed) break;
        session->state = SessionState::kExited;
        session->wait_status = report.value;
        session->leader_usage = report.usage;
        session->say_exited = true;
        break;
    }
  }
}

void HelperGone(Kept* session, int wait_status, const rusage& usage) {
  ReadReports(session);
  CloseFd(&session->reports);
  session->helper = 0;
  session->tree_usage = ToUsage(usage);
  if (session->state == SessionState::kStarting) Fail(session, Stage::kFork, ECHILD);
  if (session->state == SessionState::kRunning) {
    // The helper was killed before it could tell; its child is a fugitive now and dies at the next sweep.
    session->state = SessionState::kExited;
    session->wait_status = WIFSIGNALED(wait_status) ? wait_status : SIGKILL;
    session->say_exited = true;
  }
}

void SignalTree(Kept* session, int signo, SignalScope scope, Tree* tree) {
  if (session->helper == 0 || !tree->Look(session->helper)) return;
  for (size_t i = 0; i < tree->size(); ++i) {
    pid_t pid = tree->at(i), parent, group;
    char state;
    if (scope != SignalScope::kTree) {
      // Looked up again: only what is still below the helper, never a stranger with a reused number.
      if (!ReadStat(pid, &state, &parent, &group) || state == 'Z') continue;
      if (scope == SignalScope::kLeader && (pid != session->pid || parent != session->helper)) continue;
      if (scope == SignalScope::kGroup && group != session->pid) continue;
    }
    kill(pid, signo);
  }
}

void CloseStdin(Kept* session) { CloseFd(&session->in_w); }

void BeginEnd(Kept* session, uint64_t grace_ms, bool term_now, Tree* tree) {
  CloseStdin(session);
  if (session->helper == 0 || session->ending == Ending::kKilling) return;
  uint64_t now = NowNs();
  uint64_t kill_at = now + grace_ms * kMillisecond;
  if (session->ending == Ending::kNo || kill_at < session->kill_at_ns) session->kill_at_ns = kill_at;
  if (session->ending == Ending::kNo) {
    uint64_t wait = grace_ms / 3 < kStdinWaitMs ? grace_ms / 3 : kStdinWaitMs;
    if (term_now || !session->stdio) wait = 0;
    session->ending = Ending::kStdinClosed;
    session->step_at_ns = now + wait * kMillisecond;
  } else if (session->step_at_ns > session->kill_at_ns) {
    session->step_at_ns = session->kill_at_ns;
  }
  ContinueEnd(session, now, tree);
}

uint64_t ContinueEnd(Kept* session, uint64_t now, Tree* tree) {
  if (session->helper == 0 || session->ending == Ending::kNo) return UINT64_MAX;
  // Once the leader is gone nobody is left to be graceful with.
  bool leader_gone = session->state == SessionState::kExited || session->state == SessionState::kFailed;
  if (session->ending == Ending::kStdinClosed && now >= session->step_at_ns && now < session->kill_at_ns) {
    SignalTree(session, SIGTERM, SignalScope::kGroup, tree);
    session->ending = Ending::kTermSent;
    session->step_at_ns = session->kill_at_ns;
  }
  if (session->ending != Ending::kKilling && (leader_gone || now >= session->kill_at_ns)) {
    session->ending = Ending::kKilling;
    session->killing_since_ns = now;
  }
  if (session->ending != Ending::kKilling) {
    return session->step_at_ns < session->kill_at_ns ? session->step_at_ns : session->kill_at_ns;
  }
  SignalTree(session, SIGKILL, SignalScope::kTree, tree);
  uint64_t killing_for = now - session->killing_since_ns;
  if (killing_for < kHelperPatienceMs * kMillisecond) return now + kMillisecond / 2;
  kill(session->helper, SIGKILL);
  return now + 5 * kMillisecond;
}

}  // namespace mcpfleet::shim
