// systemd's notification protocol (sd_notify(3)): READY, STATUS, WATCHDOG, STOPPING. A no-op when not run by systemd.
#pragma once

#include <optional>
#include <string_view>

#include "base/clock.h"

namespace mcpfleet {

void SdNotify(std::string_view state);
// How often WATCHDOG=1 must be sent: half of WATCHDOG_USEC; nullopt when the unit has no watchdog.
std::optional<Duration> SdWatchdogInterval();

}  // namespace mcpfleet
