// The gateway under load in every way, while processes of clients and mcplet itself are killed at random: nothing is
// lost without an error, nothing reaches another client, nothing is left when the clients are gone.
//
//   MCPFLEET_SOAK_SECONDS   how long, 60 by default
//   MCPFLEET_SOAK_SEED      of the order of things; printed
//   MCPFLEET_PROGRAMS       where the programs are, for those of another build
// In the last third nothing kills mcplet, so that one process's memory can be judged.
#include <dirent.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>

#include <thread>

#include "base/digest.h"
#include "base/fd.h"
#include "base/strings.h"
#include "tests/integration/gateway_fixture.h"
#include "tests/soak/soak_client.h"

namespace mcpfleet {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr const char* kServers[] = {"own", "brittle", "shared", "new"};
constexpr const char* kSubjects[] = {"ada", "bob"};
// What may come and go between two looks: a connection, a log that was just rotated.
constexpr int kDescriptorSlack = 6;
constexpr int64_t kMemorySlackKb = 24 << 10;

int64_t Setting(const char* name, int64_t fallback) {
  const char* text = getenv(name);
  return text == nullptr || *text == '\0' ? fallback : std::atoll(text);
}

std::string StatusField(pid_t pid, const std::string& field) {
  const std::string text = ReadFile("/proc/" + std::to_string(pid) + "/status", size_t{1} << 20).value_or("");
  const size_t at = text.find("\n" + field + ":");
  return at == std::string::npos ? "" : text.substr(at + field.size() + 2, text.find('\n', at + 1) - at);
}

int Descriptors(pid_t pid) {
  int count = 0;
  DIR* listing = opendir(("/proc/" + std::to_string(pid) + "/fd").c_str());
  while (listing != nullptr && readdir(listing) != nullptr) ++count;
  if (listing != nullptr) closedir(listing);
  return count;
}

// A program under AddressSanitizer keeps what it frees: its memory says little, its report says all.
bool HasAddressSanitizer(pid_t pid) {
  const std::string maps = ReadFile("/proc/" + std::to_string(pid) + "/exe", size_t{1} << 30).value_or("");
  return maps.find("__asan_init") != std::string::npos;
}

Json SoakServer(const std::string& name) {
  Json tokens = Json::array();
  for (const char* subject : kSubjects)
    tokens.push_back({{"name", subject}, {"sha256", Sha256Hex(std::string("soak-") + subject)}});
  Json sessions = {{"max", 64}, {"idleTimeout", "30s"}};
  if (name == "brittle") sessions["resumable"] = false;
  if (name == "shared") sessions["mode"] = "Shared";
  std::vector<std::string> args;
  if (name == "new") args.emplace_back("--modern");
  return ProcessServer(name, args,
                       {{"sessions", sessions},
                        {"resources", {{"limits", {{"memory", "256Mi"}, {"pids", 256}}}}},
                        {"auth", {{"type", "Bearer"}, {"bearer", {{"tokens", tokens}}}}}});
}

struct Measures {
  int descriptors = 0;
  size_t processes = 0;
  int threads = 0;
  int64_t memory_kb = 0;
};
std::ostream& operator<<(std::ostream& stream, const Measures& m) {
  return stream << m.descriptors << " descriptors, " << m.processes << " processes, " << m.threads << " threads, "
                << m.memory_kb << " kB";
}

class GatewaySoakTest : public GatewayNodeTest {
 protected:
  void SetUp() override {
    GatewayNodeTest::SetUp();
    if (IsSkipped()) return;
    seed_ = static_cast<uint64_t>(Setting("MCPFLEET_SOAK_SEED", static_cast<int64_t>(getpid())));
    random_.seed(seed_);
    length_ = seconds(Setting("MCPFLEET_SOAK_SECONDS", 60));
    printf("# MCPFLEET_SOAK_SEED=%llu, %lld s\n", static_cast<unsigned long long>(seed_),
           static_cast<long long>(Setting("MCPFLEET_SOAK_SECONDS", 60)));
  }
  void TearDown() override { StopClients(); }

  void StartClients() {
    for (const char* server : kServers) {
      for (const char* subject : kSubjects) {
        for (const McpClient::Era era : {McpClient::Era::kLegacy, McpClient::Era::kModern}) {
          const int number = static_cast<int>(clients_.size());
          const bool own = std::string(server) == "own" || std::string(server) == "brittle";
          clients_.push_back(
              std::make_unique<SoakClient>(SoakClientOptions{.number = number,
                                                             .url = node_->GatewayUrl(server),
                                                             .token = std::string("soak-") + subject,
                                                             .era = era,
                                                             .is_asked = std::string(server) != "shared",
                                                             .keeps_session = own,
                                                             .seed = seed_ * 1000 + static_cast<uint64_t>(number)},
                                           tally_));
        }
      }
    }
    stopped_ = false;
    for (const auto& client : clients_) {
      threads_.emplace_back([this, &client] {
        while (!stopped_) client->Step();
      });
    }
  }
  void StopClients() {
    stopped_ = true;
    for (std::thread& thread : threads_) thread.join();
    threads_.clear();
  }
  void Recover() {
    std::vector<std::thread> threads;
    for (const auto& client : clients_) {
      threads.emplace_back([this, &client] {
        if (!client->Recovers(seconds(60))) tally_.Wrong("a client does not get on when nothing is killed any more");
        client->Leave();
      });
    }
    for (std::thread& thread : threads) thread.join();
    clients_.clear();
  }

  void KillAChild() {
    const std::set<pid_t> children = Without(behind_->Pids(), watched_);
    if (children.empty()) return;
    const auto victim = std::next(children.begin(), static_cast<long>(random_() % children.size()));
    if (kill(*victim, SIGKILL) == 0) ++killed_children_;
  }
  void KillMcplet() {
    node_->KillDash9();
    LetPass(milliseconds(random_() % 500));
    node_->Start();
    ++killed_mcplets_;
  }
  // It ended by itself.
  bool McpletDied() const { return StatusField(node_->pid(), "State").find('Z') != std::string::npos; }

  // Random things until then.
  void Disturb(Duration time, bool mcplet_too) {
    const Deadline until = Deadline::After(time);
    while (!until.Expired() && !HasFatalFailure()) {
      LetPass(milliseconds(100 + random_() % 1400));
      ASSERT_FALSE(McpletDied()) << "mcplet ended by itself";
      if (mcplet_too && random_() % 5 == 0) {
        KillMcplet();
      } else {
        KillAChild();
      }
    }
  }

  Measures Take() const {
    return {Descriptors(node_->pid()), node_->Leftovers().size(),
            std::atoi(StatusField(node_->pid(), "Threads").c_str()),
            std::atoll(StatusField(node_->pid(), "RssAnon").c_str())};
  }
  // Clients are gone: what was there before them is left. The last connections and children end in their own time,
  // idle children after the idle time.
  testing::AssertionResult Returns(const Measures& before) const {
    Measures now;
    const auto returned = [&] {
      now = Take();
      return behind_->Pids() == watched_ && now.processes <= before.processes &&
             now.descriptors <= before.descriptors + kDescriptorSlack && now.threads <= before.threads + 2;
    };
    if (WaitFor(returned, seconds(180))) return testing::AssertionSuccess();
    return testing::AssertionFailure() << "before: " << before << "; after: " << now << "; " << behind_->Pids().size()
                                       << " servers, " << watched_.size() << " before";
  }

  void Tell() const {
    printf("# %s\n# killed: %d children, %d mcplets\n", tally_.Text().c_str(), killed_children_, killed_mcplets_);
    fflush(stdout);
  }

  uint64_t seed_ = 0;
  std::mt19937_64 random_;
  Duration length_{};
  SoakTally tally_;
  std::vector<std::unique_ptr<SoakClient>> clients_;
  std::vector<std::thread> threads_;
  std::atomic<bool> stopped_{true};
  std::set<pid_t> watched_;
  int killed_children_ = 0, killed_mcplets_ = 0;
};

TEST_F(GatewaySoakTest, NothingIsLostMixedUpOrLeftWhateverIsKilled) {
  std::vector<Json> manifests;
  for (const char* server : kServers) manifests.push_back(SoakServer(server));
  ASSERT_TRUE(behind_->Run(manifests));
  watched_ = behind_->Pids();
  ASSERT_EQ(watched_.size(), std::size(kServers));
  const Measures before = Take();

  StartClients();
  Disturb(length_ * 2 / 3, true);
  StopClients();
  Recover();
  Tell();
  EXPECT_TRUE(Returns(before));
  const Measures between = Take();

  StartClients();
  Disturb(length_ / 3, false);
  StopClients();
  Recover();
  Tell();
  EXPECT_TRUE(Returns(before));
  const Measures after = Take();

  std::cout << "# before: " << before << "\n# between: " << between << "\n# after: " << after << "\n";
  EXPECT_EQ(tally_.wrong(), "");
  // A session ends with its process, or with one that died while mcplet was away. Nothing else ends it.
  EXPECT_LE(tally_.lost_sessions, killed_children_);
  EXPECT_GT(tally_.own, static_cast<int64_t>(std::size(kServers)) * 4);
  if (HasAddressSanitizer(node_->pid())) {
    printf("# NOT JUDGED: memory, since mcplet runs under AddressSanitizer; it looks for leaks itself\n");
  } else {
    EXPECT_LE(after.memory_kb, between.memory_kb + kMemorySlackKb);
  }
  EXPECT_EQ(node_->Terminate(), 0) << "it found leaks";
  for (const char* sanitizer : {"AddressSanitizer", "LeakSanitizer", "runtime error:"})
    EXPECT_EQ(node_->Log().find(sanitizer), std::string::npos) << node_->Log();
}

}  // namespace
}  // namespace mcpfleet
