#include <sys/resource.h>
#include <sys/stat.h>

#include "edge-runtime/process/sandbox/failure.h"
#include "edge-runtime/process/sandbox/features.h"

namespace mcpfleet::sandbox {

bool SetLimits(const Config& config) {
  umask(022);
  const struct rlimit none = {0, 0};  // a core file would hold the server's secrets
  if (setrlimit(RLIMIT_CORE, &none) != 0) return FailErrno("limit core");
  struct rlimit files;
  if (getrlimit(RLIMIT_NOFILE, &files) != 0) return FailErrno("limit nofile");
  // Never above what we have: raising it needs a capability that is not always there.
  if (files.rlim_max > config.nofile_hard) files.rlim_max = config.nofile_hard;
  files.rlim_cur = config.nofile_soft < files.rlim_max ? config.nofile_soft : files.rlim_max;
  return setrlimit(RLIMIT_NOFILE, &files) == 0 || FailErrno("limit nofile");
}

}  // namespace mcpfleet::sandbox
