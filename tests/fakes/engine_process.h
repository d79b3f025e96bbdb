// The daemon of a real container engine that a test started: it also ends when the test process is killed. One thread.
#pragma once

#include <sys/types.h>

#include <functional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/status.h"

namespace mcpfleet {

class EngineProcess {
 public:
  // Waits until `answers`. environment: "NAME=value"; none: that of the test. Its output is added to `log`, whose end
  // is in the error when it does not come up. name: in messages.
  Status Start(const std::string& name, const std::vector<std::string>& args,
               const std::vector<std::string>& environment, const std::string& log,
               const std::function<bool()>& answers);
  bool runs() const { return pid_ > 0; }
  // By `signal`, to start again.
  Status End(int signal);
  // By SIGTERM, then by SIGKILL.
  void Stop();

 private:
  bool WaitForExit(Duration limit) const;
  std::string name_;
  pid_t pid_ = -1;
};

}  // namespace mcpfleet
