// Landlock where the network is shared with the host: no TCP port may be bound (ABI 4), and abstract unix sockets and
// signals stay inside (ABI 6). With a network namespace of its own an instance needs neither. Older kernels: the
// runtime has said so in `unenforced` before it started us.
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "edge-runtime/process/sandbox/failure.h"
#include "edge-runtime/process/sandbox/features.h"

namespace mcpfleet::sandbox {
namespace {

constexpr long kCreateRuleset = 444, kAddRule = 445, kRestrictSelf = 446;
constexpr unsigned kVersionFlag = 1;
constexpr uint64_t kBindTcp = 1, kScopeAbstractSockets = 1, kScopeSignals = 2;
constexpr int kRuleNetPort = 2;

struct Ruleset {
  uint64_t fs, net, scoped;
};
struct NetPort {
  uint64_t access, port;
};

}  // namespace

bool ApplyLandlock(const Config& config) {
  if (OwnNetwork(config)) return true;
  const long abi = syscall(kCreateRuleset, nullptr, 0, kVersionFlag);
  if (abi < 4) return true;
  Ruleset ruleset{0, config.network == Network::kOutbound ? kBindTcp : 0, 0};
  if (abi >= 6) ruleset.scoped = kScopeAbstractSockets | kScopeSignals;
  if (ruleset.net == 0 && ruleset.scoped == 0) return true;
  const long fd = syscall(kCreateRuleset, &ruleset, abi >= 6 ? sizeof ruleset : 2 * sizeof(uint64_t), 0);
  if (fd < 0) return FailErrno("landlock");
  if (ruleset.net != 0 && config.listen_port != 0) {
    const NetPort port{kBindTcp, static_cast<uint64_t>(config.listen_port)};
    if (syscall(kAddRule, fd, kRuleNetPort, &port, 0) != 0) return FailErrno("landlock port %d", config.listen_port);
  }
  if (syscall(kRestrictSelf, fd, 0) != 0) return FailErrno("landlock");
  close(static_cast<int>(fd));
  return true;
}

}  // namespace mcpfleet::sandbox
