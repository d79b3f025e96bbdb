// What every SessionHost owes the controller, as one suite that runs on the fake and on ShimHost with the real
// mcp-shim: the simulation believes the fake.
#pragma once

#include <functional>
#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "base/clock.h"
#include "controller/ports/session_host.h"

namespace mcpfleet {

// What the main child does.
enum class Role {
  kEchoes,      // answers each line with itself; at the end of its input exits with 7
  kStubborn,    // says "ready", then ignores the end of its input and SIGTERM
  kExitsWith3,  // at once
  kCannotExec,  // there is no such program
};

// One node: an agent with its SessionHost, and shims that live on when the agent goes.
class SessionHostUnderTest {
 public:
  virtual ~SessionHostUnderTest() = default;
  virtual SessionHost& host() = 0;
  virtual const Clock& clock() const = 0;
  // The first process of an instance that was prepared; its pid. Nobody expects it yet.
  virtual int StartShim(const std::string& instance) = 0;
  // It and all below it.
  virtual void KillShim(const std::string& instance) = 0;
  // SIGKILL for the main child.
  virtual void KillMain(const std::string& instance) = 0;
  // The next StartMain of the instance with this argv starts such a child.
  virtual std::vector<std::string> Argv(const std::string& instance, Role role) = 0;
  // The agent dies without a word and another comes, which has prepared nothing.
  virtual void RestartAgent() = 0;
};

struct SessionHostCase {
  std::string name;
  std::function<std::unique_ptr<SessionHostUnderTest>()> make;
};
inline void PrintTo(const SessionHostCase& contract, std::ostream* out) { *out << contract.name; }

class SessionHostContract : public testing::TestWithParam<SessionHostCase> {
 protected:
  void SetUp() override { world_ = GetParam().make(); }
  SessionHost& host() { return world_->host(); }
  static Deadline Soon() { return Deadline::After(std::chrono::seconds(30)); }
  static bool Eventually(const std::function<bool()>& condition);
  // Prepare, start its shim, Expect, connected.
  void Connect(const std::string& instance);
  Status Start(const std::string& instance, Role role, Transport transport = Transport::kStdio);
  bool Reaches(const std::string& instance, MainState::Phase phase);

  std::unique_ptr<SessionHostUnderTest> world_;
  int shim_ = 0;  // of the last Connect
};

}  // namespace mcpfleet
