// Children for clients beside the main child, with real shims.
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <set>

#include <gtest/gtest.h>

#include "tests/edge-runtime/shim/shim_world.h"

namespace mcpfleet::shim_test {
namespace {

using Phase = MainState::Phase;
using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;

// What the host says of children, from its thread.
class Witness {
 public:
  explicit Witness(ShimHost& host) {
    host.SetClientListener([this](const std::string& instance, uint64_t id, ClientEvent event) {
      MutexLock lock(&mu_);
      events_[{instance, id}].push_back(event);
    });
  }
  bool Saw(const std::string& instance, uint64_t id, ClientEvent event) {
    return Eventually([&] { return Count(instance, id, event) > 0; });
  }
  int Count(const std::string& instance, uint64_t id, ClientEvent event) {
    MutexLock lock(&mu_);
    const std::vector<ClientEvent>& events = events_[{instance, id}];
    return static_cast<int>(std::count(events.begin(), events.end(), event));
  }

 private:
  Mutex mu_;
  std::map<std::pair<std::string, uint64_t>, std::vector<ClientEvent>> events_ GUARDED_BY(mu_);
};

// Waits for the outcome of an order.
class Outcome {
 public:
  std::function<void(StatusOr<ClientChild>)> Teller() {
    return [this](StatusOr<ClientChild> child) {
      MutexLock lock(&mu_);
      ++told_;
      child_ = std::move(child);
    };
  }
  bool Told() {
    MutexLock lock(&mu_);
    return told_ > 0;
  }
  int told() {
    MutexLock lock(&mu_);
    return told_;
  }
  StatusOr<ClientChild> Wait() {
    EXPECT_TRUE(Eventually([&] { return Told(); })) << "no word of the child";
    MutexLock lock(&mu_);
    EXPECT_EQ(told_, 1);
    return child_;
  }

 private:
  Mutex mu_;
  int told_ GUARDED_BY(mu_) = 0;
  StatusOr<ClientChild> child_ GUARDED_BY(mu_) = Unavailable("not told");
};

StatusOr<ClientChild> Spawn(World* world, const std::string& instance, const std::vector<std::string>& argv,
                            const std::vector<EnvVar>& env = {}) {
  Outcome outcome;
  world->host().SpawnClient(instance, argv, env, outcome.Teller());
  return outcome.Wait();
}

TEST(ClientSessionsTest, ChildrenOfClientsLiveBesideTheMainChildAndDoNotMix) {
  World world;
  world.Start("beside");
  ASSERT_TRUE(world.host().StartMain("beside", ChildArgv("echo"), {}, Transport::kStdio, Soon()).ok());
  const auto a = Spawn(&world, "beside", ChildArgv("echo")), b = Spawn(&world, "beside", ChildArgv("echo"));
  ASSERT_TRUE(a.ok() && b.ok()) << a.status() << b.status();
  EXPECT_NE(a->id, b->id);
  EXPECT_EQ(a->instance, "beside");
  EXPECT_EQ(world.host().ClientCount("beside"), 2);
  Lines of_main(world.host().MainChannel("beside")), of_a(a->channel), of_b(b->channel);
  ASSERT_TRUE(a->channel->Send("for a", Soon()).ok());
  ASSERT_TRUE(b->channel->Send("for b", Soon()).ok());
  ASSERT_TRUE(world.host().MainChannel("beside")->Send("for main", Soon()).ok());
  ASSERT_TRUE(of_a.WaitFor(1) && of_b.WaitFor(1) && of_main.WaitFor(1));
  EXPECT_EQ(of_a.all(), std::vector<std::string>{"for a"});
  EXPECT_EQ(of_b.all(), std::vector<std::string>{"for b"});
  EXPECT_EQ(of_main.all(), std::vector<std::string>{"for main"});
  // One ends, the others do not hear of it.
  world.host().EndClient("beside", a->id, 10s);
  EXPECT_TRUE(Eventually([&] { return world.host().ClientCount("beside") == 1; }));
  ASSERT_TRUE(b->channel->Send("still", Soon()).ok());
  EXPECT_TRUE(of_b.WaitFor(2));
  EXPECT_EQ(world.host().Main("beside").phase, Phase::kRunning);
  EXPECT_EQ(a->channel->Send("too late", Soon()).code(), StatusCode::kUnavailable);
  // The end of the main child is not the end of the others.
  ASSERT_TRUE(world.host().StopMain("beside", 10s, Soon()).ok());
  ASSERT_TRUE(b->channel->Send("and still", Soon()).ok());
  EXPECT_TRUE(of_b.WaitFor(3));
}

TEST(ClientSessionsTest, TheEndOfAChildComesAfterItsLastLineAndThenItIsGone) {
  World world;
  world.Start("ends");
  Witness witness(world.host());
  const auto child = Spawn(&world, "ends", ChildArgv("echo"));
  ASSERT_TRUE(child.ok()) << child.status();
  Lines lines(child->channel);
  world.host().EndClient("ends", child->id, 10s);
  EXPECT_TRUE(witness.Saw("ends", child->id, ClientEvent::kEnded));
  EXPECT_EQ(lines.all(), std::vector<std::string>{"eof"}) << "what it wrote at the end of its input";
  EXPECT_TRUE(witness.Saw("ends", child->id, ClientEvent::kGone));
  EXPECT_EQ(world.host().ClientCount("ends"), 0);
  EXPECT_EQ(witness.Count("ends", child->id, ClientEvent::kEnded), 1);
  EXPECT_EQ(witness.Count("ends", child->id, ClientEvent::kGone), 1);
  world.host().EndClient("ends", child->id, 10s);
  world.host().EndClient("ends", 12345, 10s);
  world.host().EndClient("nowhere", 1, 10s);
  world.host().SetClientListener(nullptr);
}

TEST(ClientSessionsTest, AnEndTakesTheWholeTreeAndNothingElse) {
  World world;
  const int shim = world.Start("trees");
  const auto other = Spawn(&world, "trees", ChildArgv("echo"));
  ASSERT_TRUE(other.ok());
  const size_t before = ProcessesBelow(shim).size();
  const auto child = Spawn(&world, "trees", ChildArgv("daemons", {"6"}));
  ASSERT_TRUE(child.ok()) << child.status();
  {
    Lines lines(child->channel);
    ASSERT_TRUE(lines.WaitFor(1));
  }
  EXPECT_GE(ProcessesBelow(shim).size(), before + 7);
  world.host().EndClient("trees", child->id, 200ms);
  EXPECT_TRUE(Eventually([&] { return world.host().ClientCount("trees") == 1; }));
  EXPECT_TRUE(Eventually([&] { return ProcessesBelow(shim).size() == before; })) << ProcessesBelow(shim).size();
  Lines lines(other->channel);
  ASSERT_TRUE(other->channel->Send("alive", Soon()).ok());
  EXPECT_TRUE(lines.WaitFor(1));
}

TEST(ClientSessionsTest, AChildThatIgnoresEverythingIsKilledAfterItsGrace) {
  World world;
  world.Start("stubborn");
  const auto child = Spawn(&world, "stubborn", ChildArgv("stubborn"));
  ASSERT_TRUE(child.ok());
  const Deadline soonest = Deadline::After(300ms);
  world.host().EndClient("stubborn", child->id, 300ms);
  EXPECT_EQ(world.host().ClientCount("stubborn"), 1) << "it counts until it is gone";
  EXPECT_TRUE(world.host().Clients("stubborn").empty()) << "but nobody shall use it";
  EXPECT_TRUE(Eventually([&] { return world.host().ClientCount("stubborn") == 0; }));
  EXPECT_TRUE(soonest.Expired());
}

TEST(ClientSessionsTest, ACommandThatCantBeRunIsToldToWhoOrderedIt) {
  World world;
  world.Start("failing");
  Witness witness(world.host());
  const auto missing = Spawn(&world, "failing", {"/no/such/program"});
  EXPECT_EQ(missing.status().code(), StatusCode::kFailedPrecondition) << missing.status();
  EXPECT_NE(Message(missing.status()).find("exec"), std::string::npos);
  EXPECT_EQ(Spawn(&world, "failing", ChildArgv("echo"), {{"BAD=NAME", "x"}}).status().code(),
            StatusCode::kInvalidArgument);
  EXPECT_EQ(Spawn(&world, "unknown", ChildArgv("echo")).status().code(), StatusCode::kUnavailable);
  EXPECT_TRUE(Eventually([&] { return world.host().ClientCount("failing") == 0; }));
  EXPECT_TRUE(Spawn(&world, "failing", ChildArgv("echo")).ok()) << "the next one runs";
  world.host().SetClientListener(nullptr);
}

TEST(ClientSessionsTest, AChildHasItsOwnEnvironment) {
  World world;
  world.Start("environment");
  const auto child = Spawn(&world, "environment", ChildArgv("environment"), {{"ONE", "1"}});
  ASSERT_TRUE(child.ok());
  Lines lines(child->channel);
  ASSERT_TRUE(Eventually([&] { return !lines.all().empty() && lines.all().back() == "end"; }));
  const std::vector<std::string> all = lines.all();
  EXPECT_NE(std::find(all.begin(), all.end(), "ONE=1"), all.end());
  for (const std::string& each : all) EXPECT_EQ(each.find("sesame"), std::string::npos) << "the shim's secret";
}

TEST(ClientSessionsTest, TheNextMcpletFindsChildrenTheirNotesAndLines) {
  World world;
  world.Start("adopted");
  const auto a = Spawn(&world, "adopted", ChildArgv("echo")), b = Spawn(&world, "adopted", ChildArgv("echo"));
  ASSERT_TRUE(a.ok() && b.ok());
  ASSERT_TRUE(a->channel->SaveNote("note of a").ok());
  ASSERT_TRUE(a->channel->Send("sent before", Soon()).ok());
  const uint64_t id_a = a->id, id_b = b->id;
  world.RestartHost();
  std::vector<ClientChild> found = world.host().Clients("adopted");
  ASSERT_EQ(found.size(), 2U);
  EXPECT_EQ(found[0].id, id_a);
  EXPECT_EQ(found[1].id, id_b);
  EXPECT_EQ(found[0].channel->LoadNote(), "note of a");
  EXPECT_EQ(found[1].channel->LoadNote(), "");
  Lines lines(found[0].channel);
  ASSERT_TRUE(found[0].channel->Send("sent after", Soon()).ok());
  ASSERT_TRUE(lines.WaitFor(2));
  EXPECT_EQ(lines.all(), (std::vector<std::string>{"sent before", "sent after"}));
  const auto c = Spawn(&world, "adopted", ChildArgv("echo"));
  ASSERT_TRUE(c.ok());
  EXPECT_GT(c->id, id_b) << "an id that lives is nobody else's";
  world.host().EndClient("adopted", id_b, 10s);
  EXPECT_TRUE(Eventually([&] { return world.host().ClientCount("adopted") == 2; }));
}

TEST(ClientSessionsTest, AnEndThatWasOrderedGoesOnWithoutMcplet) {
  World world;
  const int shim = world.Start("ending");
  const auto child = Spawn(&world, "ending", ChildArgv("stubborn"));
  ASSERT_TRUE(child.ok());
  world.host().EndClient("ending", child->id, 300ms);
  world.StopHost();
  EXPECT_TRUE(Eventually([&] { return ProcessesBelow(shim).empty(); }));
  world.StartHost();
  EXPECT_TRUE(Eventually([&] { return world.host().ClientCount("ending") == 0; }));
  EXPECT_TRUE(world.host().Clients("ending").empty());
}

TEST(ClientSessionsTest, WhenTheShimDiesItsChildrenAreGoneAndOrdersFail) {
  World world;
  const int shim = world.Start("dies");
  Witness witness(world.host());
  const auto child = Spawn(&world, "dies", ChildArgv("echo"));
  ASSERT_TRUE(child.ok());
  Lines lines(child->channel);
  kill(shim, SIGKILL);
  EXPECT_TRUE(witness.Saw("dies", child->id, ClientEvent::kEnded));
  EXPECT_TRUE(witness.Saw("dies", child->id, ClientEvent::kGone));
  EXPECT_EQ(world.host().ClientCount("dies"), 0);
  EXPECT_EQ(Spawn(&world, "dies", ChildArgv("echo")).status().code(), StatusCode::kUnavailable);
  EXPECT_EQ(child->channel->Send("x", Soon()).code(), StatusCode::kUnavailable);
  world.host().SetClientListener(nullptr);
}

TEST(ClientSessionsTest, AForgottenInstanceTellsEverybodyOnce) {
  World world;
  world.Start("forgotten");
  Outcome outcome;
  world.host().SpawnClient("forgotten", ChildArgv("echo"), {}, outcome.Teller());
  world.host().Forget("forgotten");
  (void)outcome.Wait();  // it had started, or it is said to be lost
  EXPECT_EQ(world.host().ClientCount("forgotten"), 0);
}

TEST(ClientSessionsTest, AsManyAtOnceAsAreWantedComeUpAndGoAgain) {
  World world;
  const int shim = world.Start("many");
  std::vector<std::unique_ptr<Outcome>> outcomes;
  for (int i = 0; i < 24; ++i) {
    outcomes.push_back(std::make_unique<Outcome>());
    world.host().SpawnClient("many", ChildArgv("echo"), {}, outcomes.back()->Teller());
  }
  std::set<uint64_t> ids;
  for (const auto& outcome : outcomes) {
    const StatusOr<ClientChild> child = outcome->Wait();
    ASSERT_TRUE(child.ok()) << child.status();
    ids.insert(child->id);
  }
  EXPECT_EQ(ids.size(), outcomes.size());
  for (uint64_t id : ids) world.host().EndClient("many", id, 10s);
  EXPECT_TRUE(Eventually([&] { return world.host().ClientCount("many") == 0; }));
  EXPECT_TRUE(Eventually([&] { return ProcessesBelow(shim).empty(); }));
}

}  // namespace
}  // namespace mcpfleet::shim_test
