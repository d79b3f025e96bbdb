// The contract of session hosts on the fake, and on ShimHost with the real mcp-shim in namespaces of its own.
#include <csignal>
#include <map>

#include "tests/contract/session_host_contract.h"
#include "tests/edge-runtime/shim/shim_world.h"
#include "tests/fakes/session_host.h"

namespace mcpfleet {
namespace {

class FakeHostUnderTest final : public SessionHostUnderTest {
 public:
  SessionHost& host() override { return host_; }
  const Clock& clock() const override { return clock_; }
  int StartShim(const std::string&) override { return next_pid_++; }
  void KillShim(const std::string& instance) override { host_.InstanceDies(instance); }
  void KillMain(const std::string& instance) override { host_.ExitMain(instance, {.code = 137, .signal = SIGKILL}); }
  std::vector<std::string> Argv(const std::string& instance, Role role) override {
    FakeSessionHost::Behaviour& script = host_.Script(instance);
    script = {};
    switch (role) {
      case Role::kEchoes:
        script.answers = [](std::string_view line) { return std::vector<std::string>{std::string(line)}; };
        script.exit_when_stopped = {.code = 7};
        break;
      case Role::kStubborn:
        script.answers = [](std::string_view) { return std::vector<std::string>{"ready"}; };
        script.exit_when_stopped = {.code = 137, .signal = SIGKILL};
        break;
      case Role::kExitsWith3:
        script.exits_at_once = ExitInfo{.code = 3};
        break;
      case Role::kCannotExec:
        script.exec_failure = "exec: No such file or directory";
        break;
    }
    return {"server"};
  }
  void RestartAgent() override { host_.AgentRestarts(); }

 private:
  SystemClock clock_;
  FakeSessionHost host_{clock_};
  int next_pid_ = 1000;
};

class ShimHostUnderTest final : public SessionHostUnderTest {
 public:
  ShimHostUnderTest() { RestartAgent(); }
  ~ShimHostUnderTest() override {
    host_.reset();
    for (const auto& [instance, pid] : shims_) shim_test::KillAndReap(pid);
  }
  SessionHost& host() override { return *host_; }
  const Clock& clock() const override { return clock_; }
  int StartShim(const std::string& instance) override {
    return shims_[instance] = shim_test::StartShimProcess(instance, host_->Prepare(instance).value());
  }
  void KillShim(const std::string& instance) override {
    shim_test::KillAndReap(shims_.at(instance));
    shims_.erase(instance);
  }
  void KillMain(const std::string& instance) override {
    int child = host_->Main(instance).pid;
    if (child == 0) child = last_child_.at(instance);
    kill(child, SIGKILL);
  }
  std::vector<std::string> Argv(const std::string&, Role role) override {
    switch (role) {
      case Role::kEchoes:
        return shim_test::ChildArgv("echo");
      case Role::kStubborn:
        return shim_test::ChildArgv("stubborn");
      case Role::kExitsWith3:
        return shim_test::ChildArgv("exit", {"3"});
      case Role::kCannotExec:
        return {"/no/such/program"};
    }
    return {};
  }
  void RestartAgent() override {
    if (host_) {
      for (const auto& [instance, pid] : shims_) last_child_[instance] = host_->Main(instance).pid;
    }
    host_.reset();
    auto host = ShimHost::Create(directory_.path(), clock_);
    EXPECT_TRUE(host.ok()) << host.status();
    host_ = *std::move(host);
  }

 private:
  shim_test::TempDirectory directory_;
  SystemClock clock_;
  std::unique_ptr<ShimHost> host_;
  std::map<std::string, int> shims_;
  std::map<std::string, int> last_child_;  // as the agent before knew them
};

std::string CaseName(const testing::TestParamInfo<SessionHostCase>& info) { return info.param.name; }

INSTANTIATE_TEST_SUITE_P(SessionHosts, SessionHostContract,
                         testing::Values(SessionHostCase{"Fake", [] { return std::make_unique<FakeHostUnderTest>(); }},
                                         SessionHostCase{"Shim", [] { return std::make_unique<ShimHostUnderTest>(); }}),
                         CaseName);

}  // namespace
}  // namespace mcpfleet
