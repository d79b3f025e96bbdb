// A world for tests of networks: the test's own network namespace becomes "the host", where monitors run; a second one
// behind a pair of virtual cables is "outside". No other network is used.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "base/fd.h"

namespace mcpfleet {

pid_t SpawnProgram(const std::vector<std::string>& argv);
// `ip` with these arguments, in the network namespace that the thread is in now.
bool Ip(const std::string& arguments);
// Bound in that namespace; a port of 0 is set to the system's choice.
UniqueFd Bind(int type, const char* address, int* port);
// Whether somebody has connected; takes that connection.
bool WasReached(const UniqueFd& listener);
// Answers every question on `fd` with 192.0.2.2, until `stop` can be read.
void AnswerNames(int fd, int stop);

class OutsideWorld {
 public:
  // The host has 192.0.2.1 and the resolver 127.0.0.1; 192.0.2.2 is outside. Test failures when it can't be made.
  void Make(const std::string& scratch);
  // The test's own namespaces again.
  ~OutsideWorld();
  // Runs `body` in the network namespace of outside.
  template <typename Body>
  void Outside(Body body) {
    Enter(outside_);
    body();
    Enter(host_);
  }

 private:
  static void Enter(const UniqueFd& network);
  UniqueFd network_, mounts_, outside_, host_;
  pid_t outside_pid_ = 0;
};

}  // namespace mcpfleet
