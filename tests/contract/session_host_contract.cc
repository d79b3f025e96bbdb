#include "tests/contract/session_host_contract.h"

#include <poll.h>

#include <algorithm>
#include <csignal>

#include "base/mutex.h"

namespace mcpfleet {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using Phase = MainState::Phase;

// Collects lines, or names, from another thread.
class Heard {
 public:
  void Add(std::string_view text) {
    MutexLock lock(&mu_);
    all_.emplace_back(text);
  }
  std::vector<std::string> all() const {
    MutexLock lock(&mu_);
    return all_;
  }
  bool Has(const std::string& text) const {
    MutexLock lock(&mu_);
    return std::find(all_.begin(), all_.end(), text) != all_.end();
  }
  void Clear() {
    MutexLock lock(&mu_);
    all_.clear();
  }

 private:
  mutable Mutex mu_;
  std::vector<std::string> all_ GUARDED_BY(mu_);
};

}  // namespace

bool SessionHostContract::Eventually(const std::function<bool()>& condition) {
  for (const Deadline deadline = Soon(); !deadline.Expired(); poll(nullptr, 0, 2)) {
    if (condition()) return true;
  }
  return condition();
}

void SessionHostContract::Connect(const std::string& instance) {
  const StatusOr<std::string> directory = host().Prepare(instance);
  ASSERT_TRUE(directory.ok()) << directory.status();
  shim_ = world_->StartShim(instance);
  ASSERT_GT(shim_, 0);
  host().Expect(instance, shim_);
  ASSERT_TRUE(Eventually([&] { return host().Connected(instance); })) << "the shim did not connect";
}

Status SessionHostContract::Start(const std::string& instance, Role role, Transport transport) {
  return host().StartMain(instance, world_->Argv(instance, role), {}, transport, Soon());
}

bool SessionHostContract::Reaches(const std::string& instance, Phase phase) {
  return Eventually([&] { return host().Main(instance).phase == phase; });
}

TEST_P(SessionHostContract, ANameThatIsNoNameOfAnInstanceIsRefused) {
  for (const std::string& name :
       {std::string(), std::string("../up"), std::string("Upper"), std::string("-dash"), std::string(65, 'a')}) {
    EXPECT_EQ(host().Prepare(name).status().code(), StatusCode::kInvalidArgument) << name;
  }
}

TEST_P(SessionHostContract, PreparingTwiceGivesTheSamePlace) {
  const StatusOr<std::string> once = host().Prepare("a");
  ASSERT_TRUE(once.ok()) << once.status();
  EXPECT_EQ(host().Prepare("a").value_or(""), *once);
  EXPECT_NE(host().Prepare("b").value_or(""), *once);
}

TEST_P(SessionHostContract, WhatWasNotPreparedIsNotThere) {
  host().Expect("a", 4711);
  EXPECT_FALSE(host().Connected("a"));
  EXPECT_EQ(host().Main("a").phase, Phase::kAbsent);
  EXPECT_EQ(host().MainChannel("a"), nullptr);
  EXPECT_EQ(Start("a", Role::kEchoes).code(), StatusCode::kNotFound);
  EXPECT_TRUE(host().StopMain("a", seconds(1), Soon()).ok()) << "there is no child to stop";
  host().Forget("a");
}

TEST_P(SessionHostContract, AShimCountsOnceItIsExpectedAndTheListenerHearsOfIt) {
  Heard heard;
  host().SetListener([&](const std::string& instance) { heard.Add(instance); });
  ASSERT_TRUE(host().Prepare("a").ok());
  const int pid = world_->StartShim("a");
  EXPECT_FALSE(host().Connected("a"));
  EXPECT_EQ(host().SeparatesClients("a"), std::nullopt);
  host().Expect("a", pid);
  EXPECT_TRUE(Eventually([&] { return host().Connected("a"); }));
  EXPECT_NE(host().SeparatesClients("a"), std::nullopt);
  EXPECT_TRUE(Eventually([&] { return heard.Has("a"); }));
  host().Expect("a", pid);
  EXPECT_TRUE(host().Connected("a")) << "said twice";
  EXPECT_EQ(host().Main("a").phase, Phase::kAbsent);
  host().SetListener(nullptr);
}

TEST_P(SessionHostContract, WithoutItsShimNoChildStarts) {
  ASSERT_TRUE(host().Prepare("a").ok());
  const Status started =
      host().StartMain("a", world_->Argv("a", Role::kEchoes), {}, Transport::kStdio, Deadline::After(milliseconds(50)));
  EXPECT_EQ(started.code(), StatusCode::kUnavailable) << started;
  EXPECT_EQ(host().Main("a").phase, Phase::kAbsent);
}

TEST_P(SessionHostContract, AChildRunsAndAnswersAndItsLinesWaitForTheirReceiver) {
  Connect("a");
  const MonoTime before = world_->clock().Now();
  const Status started = Start("a", Role::kEchoes);
  ASSERT_TRUE(started.ok()) << started;
  const MainState main = host().Main("a");
  EXPECT_EQ(main.phase, Phase::kRunning);
  EXPECT_GT(main.pid, 0);
  EXPECT_GE(main.since, before);
  EXPECT_FALSE(main.exit);
  std::shared_ptr<StdioChannel> channel = host().MainChannel("a");
  ASSERT_NE(channel, nullptr);
  EXPECT_FALSE(channel->closed());
  EXPECT_GE(channel->last_activity(), before);
  ASSERT_TRUE(channel->Send("one", Soon()).ok());
  ASSERT_TRUE(channel->Send("two", Soon()).ok());
  Heard lines;
  channel->SetReceiver([&](std::string_view line) { lines.Add(line); });
  EXPECT_TRUE(Eventually([&] { return lines.all().size() == 2; }));
  EXPECT_EQ(lines.all(), (std::vector<std::string>{"one", "two"}));
  channel->SetReceiver(nullptr);
  ASSERT_TRUE(channel->Send("three", Soon()).ok());
  Heard later;
  channel->SetReceiver([&](std::string_view line) { later.Add(line); });
  EXPECT_TRUE(Eventually([&] { return later.Has("three"); }));
  EXPECT_EQ(lines.all().size(), 2U);
  channel->SetReceiver(nullptr);
}

TEST_P(SessionHostContract, StartingTwiceStartsOnceAndAfterAnEndAgain) {
  Connect("a");
  ASSERT_TRUE(Start("a", Role::kEchoes).ok());
  const int pid = host().Main("a").pid;
  std::shared_ptr<StdioChannel> channel = host().MainChannel("a");
  ASSERT_TRUE(Start("a", Role::kEchoes).ok());
  EXPECT_EQ(host().Main("a").pid, pid);
  ASSERT_TRUE(host().StopMain("a", seconds(10), Soon()).ok());
  ASSERT_TRUE(Start("a", Role::kEchoes).ok());
  EXPECT_EQ(host().Main("a").phase, Phase::kRunning);
  EXPECT_NE(host().Main("a").pid, pid);
  EXPECT_FALSE(host().Main("a").exit) << "that was the one before";
  EXPECT_NE(host().MainChannel("a"), channel);
  EXPECT_TRUE(channel->closed());
}

TEST_P(SessionHostContract, AFailedExecIsAnEndWithAReasonAndNoCode) {
  Connect("a");
  ASSERT_TRUE(Start("a", Role::kCannotExec).ok());
  const MainState main = host().Main("a");
  EXPECT_EQ(main.phase, Phase::kExited);
  EXPECT_EQ(main.failure, "exec: No such file or directory");
  EXPECT_FALSE(main.exit);
  EXPECT_EQ(main.pid, 0);
  EXPECT_EQ(host().MainChannel("a"), nullptr);
  EXPECT_TRUE(host().StopMain("a", seconds(10), Soon()).ok());
  ASSERT_TRUE(Start("a", Role::kEchoes).ok());
  EXPECT_EQ(host().Main("a").failure, "");
}

TEST_P(SessionHostContract, AChildThatEndsAtOnceWasStartedAndHasItsCode) {
  Connect("a");
  ASSERT_TRUE(Start("a", Role::kExitsWith3).ok());
  ASSERT_TRUE(Reaches("a", Phase::kExited));
  ASSERT_TRUE(host().Main("a").exit);
  EXPECT_EQ(host().Main("a").exit->code, 3);
  EXPECT_EQ(host().Main("a").exit->signal, 0);
  EXPECT_EQ(host().Main("a").failure, "");
}

TEST_P(SessionHostContract, AKilledChildTellsItsSignalAndItsChannelIsClosed) {
  Connect("a");
  ASSERT_TRUE(Start("a", Role::kEchoes).ok());
  std::shared_ptr<StdioChannel> channel = host().MainChannel("a");
  Heard heard;
  host().SetListener([&](const std::string& instance) { heard.Add(instance); });
  world_->KillMain("a");
  ASSERT_TRUE(Reaches("a", Phase::kExited));
  EXPECT_TRUE(Eventually([&] { return heard.Has("a"); }));
  host().SetListener(nullptr);
  ASSERT_TRUE(host().Main("a").exit);
  EXPECT_EQ(host().Main("a").exit->signal, SIGKILL);
  EXPECT_EQ(host().Main("a").exit->code, 128 + SIGKILL);
  EXPECT_EQ(host().Main("a").pid, 0);
  EXPECT_EQ(host().MainChannel("a"), nullptr);
  EXPECT_TRUE(channel->closed());
  EXPECT_EQ(channel->Send("late", Soon()).code(), StatusCode::kUnavailable);
  EXPECT_TRUE(host().Connected("a")) << "its shim lives";
}

TEST_P(SessionHostContract, StoppingEndsTheInputThenTheChild) {
  Connect("a");
  EXPECT_TRUE(host().StopMain("a", seconds(10), Soon()).ok()) << "there is none";
  ASSERT_TRUE(Start("a", Role::kEchoes).ok());
  ASSERT_TRUE(host().StopMain("a", seconds(10), Soon()).ok());
  ASSERT_TRUE(host().Main("a").exit);
  EXPECT_EQ(host().Main("a").exit->code, 7) << "it saw the end of its input";
  ASSERT_TRUE(Start("a", Role::kStubborn).ok());
  // A signal that comes before the child ignores it would end it.
  std::shared_ptr<StdioChannel> channel = host().MainChannel("a");
  ASSERT_NE(channel, nullptr);
  Heard lines;
  channel->SetReceiver([&](std::string_view line) { lines.Add(line); });
  ASSERT_TRUE(channel->Send("are you ready?", Soon()).ok());
  ASSERT_TRUE(Eventually([&] { return lines.Has("ready"); }));
  channel->SetReceiver(nullptr);
  ASSERT_TRUE(host().StopMain("a", milliseconds(50), Soon()).ok());
  EXPECT_EQ(host().Main("a").phase, Phase::kExited);
  EXPECT_EQ(host().Main("a").exit->signal, SIGKILL);
  EXPECT_TRUE(host().StopMain("a", seconds(10), Soon()).ok());
}

TEST_P(SessionHostContract, AChildWithoutStdioHasNoChannel) {
  Connect("a");
  ASSERT_TRUE(Start("a", Role::kStubborn, Transport::kStreamableHttp).ok());
  EXPECT_EQ(host().Main("a").phase, Phase::kRunning);
  EXPECT_EQ(host().MainChannel("a"), nullptr);
}

TEST_P(SessionHostContract, AnImpossibleCommandOrEnvironmentStartsNothing) {
  Connect("a");
  const std::vector<std::string> argv = world_->Argv("a", Role::kEchoes);
  auto start = [&](const std::vector<std::string>& command, const std::vector<EnvVar>& env) {
    return host().StartMain("a", command, env, Transport::kStdio, Soon()).code();
  };
  EXPECT_EQ(start({std::string("nul\0", 4)}, {}), StatusCode::kInvalidArgument);
  EXPECT_EQ(start(argv, {{"", "x"}}), StatusCode::kInvalidArgument);
  EXPECT_EQ(start(argv, {{"A=B", "x"}}), StatusCode::kInvalidArgument);
  EXPECT_EQ(start(argv, {{"A", std::string("nul\0", 4)}}), StatusCode::kInvalidArgument);
  EXPECT_EQ(start(argv, {{"A", std::string(70'000, 'x')}}), StatusCode::kInvalidArgument);
  EXPECT_EQ(host().Main("a").phase, Phase::kAbsent);
}

TEST_P(SessionHostContract, ALineIsOneLineAndANoteIsSmall) {
  Connect("a");
  ASSERT_TRUE(Start("a", Role::kEchoes).ok());
  std::shared_ptr<StdioChannel> channel = host().MainChannel("a");
  ASSERT_NE(channel, nullptr);
  EXPECT_EQ(channel->Send("two\nlines", Soon()).code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(channel->LoadNote(), "");
  EXPECT_TRUE(channel->SaveNote(std::string(48 << 10, 'n')).ok());
  EXPECT_EQ(channel->SaveNote(std::string((48 << 10) + 1, 'm')).code(), StatusCode::kResourceExhausted);
  EXPECT_EQ(channel->LoadNote(), std::string(48 << 10, 'n'));
}

TEST_P(SessionHostContract, WhenTheShimDiesItsChildIsAbsentAndOnlyANewShimIsTaken) {
  Connect("a");
  const int dead = shim_;
  ASSERT_TRUE(Start("a", Role::kEchoes).ok());
  std::shared_ptr<StdioChannel> channel = host().MainChannel("a");
  Heard heard;
  host().SetListener([&](const std::string& instance) { heard.Add(instance); });
  const MonoTime before = world_->clock().Now();
  world_->KillShim("a");
  ASSERT_TRUE(Reaches("a", Phase::kAbsent));
  EXPECT_TRUE(Eventually([&] { return heard.Has("a"); }));
  host().SetListener(nullptr);
  EXPECT_FALSE(host().Connected("a"));
  EXPECT_GE(host().Main("a").since, before);
  EXPECT_TRUE(channel->closed());
  EXPECT_EQ(host().MainChannel("a"), nullptr);
  host().Expect("a", dead);
  EXPECT_FALSE(host().Connected("a"));
  EXPECT_TRUE(host().StopMain("a", seconds(1), Soon()).ok()) << "nothing of it lives";
  Connect("a");
  EXPECT_EQ(host().Main("a").phase, Phase::kAbsent);
  ASSERT_TRUE(Start("a", Role::kEchoes).ok());
}

TEST_P(SessionHostContract, WhenNoShimIsExpectedAnyMoreItsChildIsAbsent) {
  Connect("a");
  ASSERT_TRUE(Start("a", Role::kEchoes).ok());
  std::shared_ptr<StdioChannel> channel = host().MainChannel("a");
  Heard heard;
  host().SetListener([&](const std::string& instance) { heard.Add(instance); });
  host().Expect("a", 0);
  EXPECT_FALSE(host().Connected("a"));
  EXPECT_EQ(host().Main("a").phase, Phase::kAbsent);
  EXPECT_TRUE(channel->closed());
  EXPECT_TRUE(Eventually([&] { return heard.Has("a"); }));
  host().SetListener(nullptr);
}

TEST_P(SessionHostContract, ANewAgentFindsTheChildItsNoteAndItsLines) {
  Connect("a");
  ASSERT_TRUE(Start("a", Role::kEchoes).ok());
  const int pid = host().Main("a").pid;
  {
    std::shared_ptr<StdioChannel> channel = host().MainChannel("a");
    ASSERT_TRUE(channel->SaveNote("note").ok());
    ASSERT_TRUE(channel->Send("unheard", Soon()).ok());
  }
  world_->RestartAgent();
  EXPECT_EQ(Start("a", Role::kEchoes).code(), StatusCode::kNotFound) << "this one has prepared nothing";
  ASSERT_TRUE(host().Prepare("a").ok());
  EXPECT_EQ(host().Main("a").phase, Phase::kAbsent) << "its shim has not told of it";
  const MonoTime before = world_->clock().Now();
  host().Expect("a", shim_);
  ASSERT_TRUE(Eventually([&] { return host().Connected("a"); }));
  EXPECT_EQ(host().Main("a").phase, Phase::kRunning);
  EXPECT_EQ(host().Main("a").pid, pid);
  EXPECT_GE(host().Main("a").since, before) << "since this agent knows";
  ASSERT_TRUE(Start("a", Role::kEchoes).ok());
  EXPECT_EQ(host().Main("a").pid, pid);
  std::shared_ptr<StdioChannel> channel = host().MainChannel("a");
  ASSERT_NE(channel, nullptr);
  EXPECT_EQ(channel->LoadNote(), "note");
  Heard lines;
  channel->SetReceiver([&](std::string_view line) { lines.Add(line); });
  EXPECT_TRUE(Eventually([&] { return lines.Has("unheard"); }));
  ASSERT_TRUE(channel->Send("again", Soon()).ok());
  EXPECT_TRUE(Eventually([&] { return lines.Has("again"); }));
  EXPECT_EQ(lines.all(), (std::vector<std::string>{"unheard", "again"}));
  channel->SetReceiver(nullptr);
}

TEST_P(SessionHostContract, AnEndWhileNoAgentListenedIsToldToTheNext) {
  Connect("a");
  ASSERT_TRUE(Start("a", Role::kEchoes).ok());
  world_->RestartAgent();
  world_->KillMain("a");
  ASSERT_TRUE(host().Prepare("a").ok());
  host().Expect("a", shim_);
  ASSERT_TRUE(Reaches("a", Phase::kExited));
  ASSERT_TRUE(host().Main("a").exit);
  EXPECT_EQ(host().Main("a").exit->signal, SIGKILL);
}

TEST_P(SessionHostContract, AForgottenInstanceIsGoneAndTheListenerHearsOfIt) {
  Connect("a");
  ASSERT_TRUE(Start("a", Role::kEchoes).ok());
  std::shared_ptr<StdioChannel> channel = host().MainChannel("a");
  Heard heard;
  host().SetListener([&](const std::string& instance) { heard.Add(instance); });
  world_->KillShim("a");
  host().Forget("a");
  EXPECT_TRUE(Eventually([&] { return heard.Has("a"); }));
  host().SetListener(nullptr);
  EXPECT_FALSE(host().Connected("a"));
  EXPECT_EQ(host().Main("a").phase, Phase::kAbsent);
  EXPECT_EQ(host().MainChannel("a"), nullptr);
  EXPECT_TRUE(channel->closed());
  EXPECT_EQ(Start("a", Role::kEchoes).code(), StatusCode::kNotFound);
  Connect("a");
  ASSERT_TRUE(Start("a", Role::kEchoes).ok()) << "and may come again";
}

}  // namespace mcpfleet
