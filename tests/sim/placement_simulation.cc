#include "tests/sim/placement_simulation.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include <nlohmann/json.hpp>

#include "base/digest.h"
#include "base/strings.h"

namespace mcpfleet {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;

constexpr int kNodes = 200;
constexpr int kServers = 16;
constexpr Duration kStep = seconds(5);
constexpr int kFaultSteps = 720;  // an hour
constexpr int kHostileSteps = 120;
constexpr Duration kCalm = minutes(12);
// What the issue asks for: a lost replica is back. 90 s without a pong, 30 s until the next sweep, a start of 30 s, a
// step for each message.
constexpr Duration kBack = seconds(180);
// A hand-over and the steps around it.
constexpr Duration kSettled = kHandOver + 3 * kStep;
constexpr size_t kTraceLines = 60;
constexpr std::string_view kPrefix = "edge-";

ObjectKey KeyOf(int i) { return {kKindServer, "default", "s" + std::to_string(i)}; }
const char* SiteOf(uint64_t i) {
  static constexpr const char* kSites[] = {"berlin", "paris", "rome", "oslo", "lima"};
  return kSites[i % std::size(kSites)];
}
template <typename T>
bool Contains(const std::vector<T>& items, const T& item) {
  return std::find(items.begin(), items.end(), item) != items.end();
}

}  // namespace

PlacementSimulation::PlacementSimulation(uint64_t seed) : seed_(seed), random_(seed) {
  Desired first;
  for (uint64_t i = 0; i < kNodes; ++i) {
    Labels labels = {{"site", SiteOf(i)}};
    if (i % 4 == 0) labels["tier"] = "gold";
    first.declared.push_back({.name = std::string(kPrefix) + std::to_string(i), .labels = labels});
  }
  for (int i = 0; i < kServers; ++i) {
    Json placement = {{"replicas", 1 + random_() % 4}};
    if (Chance(0.4)) placement["nodeSelector"] = {{"site", SiteOf(random_())}};
    if (Chance(0.2)) placement["nodeSelector"]["tier"] = "gold";
    first.servers[KeyOf(i)] = std::move(placement);
  }
  machines_.resize(kNodes);
  for (size_t i = 0; i < machines_.size(); ++i) {
    machines_[i].name = first.declared[i].name;
    machines_[i].holder = std::make_unique<ReplicaHolder>(machines_[i].name);
    last_seen_[machines_[i].name] = now_;
  }
  Publish(std::move(first));
}

bool PlacementSimulation::Chance(double probability) {
  return static_cast<double>(random_() >> 11) / static_cast<double>(uint64_t{1} << 53) < probability;
}

Duration PlacementSimulation::Between(int least, int most) {
  return seconds(least + static_cast<int>(random_() % static_cast<uint64_t>(most - least + 1)));
}

void PlacementSimulation::Trace(const std::string& line) {
  const auto at = std::chrono::duration_cast<seconds>(now_.time_since_epoch()).count() - 3600;
  trace_.push_back(std::to_string(at) + " s: " + line);
  fingerprint_ = Sha256Hex(fingerprint_ + trace_.back());
  if (trace_.size() > kTraceLines) trace_.pop_front();
}

void PlacementSimulation::Break(const std::string& what) {
  if (broken_.empty()) broken_ = what;
}

std::string PlacementSimulation::Result() const {
  if (broken_.empty()) return "";
  std::string text = "seed " + std::to_string(seed_) + ": " + broken_;
  for (const std::string& line : trace_) text += "\n  " + line;
  return text;
}

// ---- what happens

void PlacementSimulation::Publish(Desired next) {
  next.nodes = PlacementNodes(next.declared);
  for (const auto& [key, placement] : next.servers) {
    // Where there may be a gap: another placement, or another label of a node that matches it before or after. To
    // cordon and to drain leaves none.
    bool changed = !desired_ || !desired_->servers.contains(key) || desired_->servers.at(key) != placement;
    for (size_t i = 0; desired_ && !changed && i < next.declared.size(); ++i) {
      const PlacementNode &a = desired_->declared[i], &b = next.declared[i];
      changed = a.labels != b.labels &&
                (Place(placement, a.name, a.labels, false) || Place(placement, b.name, b.labels, false));
    }
    if (changed) changed_at_[key] = now_;
  }
  for (size_t i = 0; desired_ && i < next.declared.size(); ++i) {
    if (next.declared[i] != desired_->declared[i]) machines_[i].changed_at = now_;
  }
  next.matching.assign(next.declared.size(), {});
  for (size_t i = 0; i < next.declared.size(); ++i) {
    for (const auto& [key, placement] : next.servers) {
      if (Place(placement, next.declared[i].name, next.declared[i].labels, false)) next.matching[i].push_back(key);
    }
  }
  desired_ = std::make_shared<const Desired>(std::move(next));
  PlaceAll();
}

void PlacementSimulation::PlaceAll() {
  placed_.clear();
  for (const auto& [key, placement] : desired_->servers) {
    placed_[key] = desired_->nodes.Place(key, placement, host_.Down());
    members_.try_emplace(key);
  }
}

PlacementSimulation::Machine& PlacementSimulation::Named(const std::string& name) {
  return machines_[std::stoul(name.substr(kPrefix.size()))];
}

// Often one that runs something, or that is cordoned.
size_t PlacementSimulation::AnyToOperate() {
  std::vector<size_t> some;
  const bool cordoned = Chance(0.3);
  for (size_t i = 0; i < machines_.size(); ++i) {
    if (cordoned ? desired_->declared[i].unschedulable : !machines_[i].held.empty()) some.push_back(i);
  }
  return some.empty() || Chance(0.3) ? random_() % machines_.size() : some[random_() % some.size()];
}

void PlacementSimulation::Operate() {
  Desired next = *desired_;
  PlacementNode& node = next.declared[AnyToOperate()];
  const ObjectKey server = KeyOf(static_cast<int>(random_() % kServers));
  if (Chance(0.6)) {
    switch (random_() % 3) {
      case 0:
        node.unschedulable = !node.unschedulable;
        node.drained = node.drained && node.unschedulable;
        break;
      case 1:
        node.unschedulable = node.drained = true;
        break;
      default:
        node.labels["site"] = SiteOf(random_());
    }
    Trace("operator: " + node.name +
          (node.drained         ? " drained"
           : node.unschedulable ? " cordoned"
                                : " schedulable") +
          " at " + node.labels["site"]);
  } else if (next.servers.contains(server) && Chance(0.3)) {
    next.servers.erase(server);
    Trace("operator: deletes " + server.name);
  } else {
    Json& placement = next.servers[server];
    placement["replicas"] = 1 + random_() % 4;
    Trace("operator: " + server.name + " " + DumpJson(placement));
  }
  Publish(std::move(next));
}

void PlacementSimulation::Cut(Machine& machine, Duration time) {
  machine.linked = false;
  machine.mends_at = now_ + time;
  machine.notices_at = now_ + Between(0, 45);
}

void PlacementSimulation::Restart(Machine& machine) {
  machine.holder = std::make_unique<ReplicaHolder>(machine.name);
  machine.news = DownNews();
  machine.connected = false;
  machine.connects_at = now_ + Between(0, 20);
  machine.dirty = true;
  if (std::exchange(machine.good, false)) machine.bad_since = now_;
}

void PlacementSimulation::Kill(Machine& machine, Duration time) {
  machine.alive = machine.connected = false;
  machine.running.clear();
  machine.revives_at = now_ + time;
  Trace(machine.name + " dies for " + FormatDuration(time));
}

void PlacementSimulation::Faults() {
  if (Chance(0.04)) {
    if (Machine& machine = Any(); machine.alive) Kill(machine, Between(10, 900));
  }
  if (Chance(0.04)) {
    if (Machine& machine = Any(); machine.linked) {
      const Duration time = Between(5, 600);
      Trace(machine.name + " is cut off for " + FormatDuration(time));
      Cut(machine, time);
    }
  }
  if (Chance(0.01)) {
    Machine& machine = Any();
    machine.flaps_until = now_ + Between(120, 600);
    machine.flaps_at = now_;
    Trace(machine.name + " flaps");
  }
  if (Chance(0.02)) {
    if (Machine& machine = Any(); machine.alive) {
      Trace(machine.name + ": mcplet restarts");
      Restart(machine);
    }
  }
  if (Chance(0.004)) {
    const bool site = Chance(0.5);
    const std::string name = SiteOf(random_());
    const double share = 0.1 + 0.5 * static_cast<double>(random_() % 100) / 100;
    const Duration time = Between(30, 600);
    Trace((site ? name : std::to_string(static_cast<int>(share * 100)) + " % of the nodes") + " are cut off for " +
          FormatDuration(time));
    for (size_t i = 0; i < machines_.size(); ++i) {
      if (site ? SiteOf(i) == name : Chance(share)) Cut(machines_[i], time);
    }
  }
  if (host_up_ && Chance(0.002)) {
    host_up_ = false;
    host_back_at_ = now_ + Between(10, 400);
    Trace("the host is away");
    if (Chance(0.3)) {
      host_.Forget();
      list_changed_at_ = now_;
      PlaceAll();
    }
  }
  if (Chance(0.03)) Operate();
}

void PlacementSimulation::Connect(Machine& machine) {
  const bool reachable = machine.alive && machine.linked && host_up_;
  if (machine.connected && !reachable && now_ >= machine.notices_at) {
    machine.connected = false;
    machine.dirty = machine.news.SetConnected(false) || machine.dirty;
    machine.connects_at = now_ + Between(0, 20);
  } else if (!machine.connected && reachable && now_ >= machine.connects_at) {
    machine.connected = true;
    machine.dirty = machine.news.SetConnected(true) || machine.dirty;
  }
  if (reachable && machine.connected) {
    last_seen_[machine.name] = now_;
    Deliver(machine);
  }
  const bool good = reachable && machine.connected;
  if (good && !machine.good) machine.good_since = now_;
  if (!good && machine.good) machine.bad_since = now_;
  machine.good = good;
}

void PlacementSimulation::Deliver(Machine& machine) {
  if (machine.desired != desired_) {
    machine.desired = desired_;
    machine.desired_since = now_;
    machine.dirty = true;
  }
  if (hostile_) return DeliverHostile(machine);
  machine.dirty = machine.news.SetDown(host_.list()) || machine.dirty;
}

void PlacementSimulation::DeliverHostile(Machine& machine) {
  if (Chance(0.02)) {
    machine.news.SetConnected(false);
    machine.dirty = machine.news.SetConnected(true) || machine.dirty;
  }
  if (Chance(0.8)) return;
  const auto next = static_cast<uint64_t>(hostile_sequence_) + random_() % 10 - 3;
  Json list = {{"sequence", Chance(0.02) ? random_() >> 11 : next}, {"nodes", Json::array()}, {"frozen", Chance(0.5)}};
  Json& nodes = list["nodes"];
  const double kind = static_cast<double>(random_() % 100) / 100;
  for (const Machine& other : machines_) {
    const bool named = kind < 0.2   ? true
                       : kind < 0.4 ? other.name != machine.name
                       : kind < 0.5 ? other.name == machine.name
                       : kind < 0.7 ? (other.name.back() % 2 == 0) == (hostile_sequence_ % 2 == 0)
                                    : Chance(0.5);
    if (named) nodes.push_back(other.name);
  }
  if (Chance(0.003)) {
    while (nodes.size() <= kDownListNodes) nodes.push_back("n" + std::to_string(random_()));
  }
  if (kind > 0.9 && kind < 0.93) nodes.push_back(random_());
  const StatusOr<DownList> parsed = ParseDownList(list);
  if (parsed.ok()) machine.dirty = machine.news.SetDown(*parsed) || machine.dirty;
}

void PlacementSimulation::Sweep() {
  if (now_ < next_sweep_ || !host_up_) return;
  next_sweep_ = now_ + DownHost::kSweep;
  const DownNodes before = host_.Down();
  if (host_.Sweep(last_seen_, now_)) {
    list_changed_at_ = now_;
    Trace("the list: " + Join(host_.list().nodes, " ") + (host_.list().frozen ? " (frozen)" : ""));
    CheckMovement(before, host_.Down());
    PlaceAll();
  }
  if (host_.list().frozen) strange_until_ = std::max(strange_until_, now_ + kBack);
}

void PlacementSimulation::Decide(Machine& machine) {
  if (!machine.alive || machine.desired == nullptr) return;
  if (!machine.dirty && now_ < machine.holder->next_due()) return;
  machine.dirty = false;
  const auto index = static_cast<size_t>(&machine - machines_.data());
  std::vector<ReplicaHolder::Server> servers;
  for (const ObjectKey& key : machine.desired->matching[index])
    servers.push_back({&key, &machine.desired->servers.at(key), machine.held.contains(key)});
  const std::set<ObjectKey> before = machine.held;
  machine.held =
      machine.holder->Decide(servers, {machine.desired->nodes, machine.news.nodes(), machine.news.informed()}, now_);
  CheckDecision(index, before);
  for (const ObjectKey& key : machine.held) {
    if (machine.running.try_emplace(key, now_ + Between(5, 30)).second) Trace(machine.name + " starts " + key.name);
  }
  std::erase_if(machine.running, [&](const auto& item) {
    const bool stops = !machine.held.contains(item.first);
    if (stops) Trace(machine.name + " stops " + item.first.name);
    return stops;
  });
}

void PlacementSimulation::Step(bool faults) {
  now_ += kStep;
  if (faults) Faults();
  if (!host_up_ && now_ >= host_back_at_) {
    host_up_ = true;
    // Everybody connects again, and who died meanwhile is noticed later.
    strange_until_ = now_ + DownHost::kDownAfter + DownHost::kSweep + kBack;
    Trace("the host is back");
  }
  if (!host_up_) strange_until_ = now_ + kBack;
  for (Machine& machine : machines_) {
    if (!machine.alive && now_ >= machine.revives_at) {
      machine.alive = true;
      Restart(machine);
    }
    if (now_ < machine.flaps_until && now_ >= machine.flaps_at) {
      machine.flaps_at = now_ + Between(5, 100);
      if (machine.linked) Cut(machine, machine.flaps_at - now_);
    }
    if (!machine.linked && now_ >= machine.mends_at) machine.linked = true;
  }
  for (Machine& machine : machines_) Connect(machine);
  Sweep();
  for (Machine& machine : machines_) Decide(machine);
  Check();
}

// ---- what must hold

void PlacementSimulation::CheckDecision(size_t node, const std::set<ObjectKey>& before) {
  const Machine& machine = machines_[node];
  const PlacementNode& self = machine.desired->declared[node];
  const std::vector<ObjectKey>& matching = machine.desired->matching[node];
  const bool informed = machine.news.informed();
  for (const ObjectKey& key : machine.held) {
    if (!Contains(matching, key)) Break(machine.name + " runs " + key.name + ", which it does not match");
    if (!before.contains(key) && (!informed || self.unschedulable || machine.news.nodes().contains(machine.name)))
      Break(machine.name + " takes " + key.name);
  }
  for (const ObjectKey& key : before) {
    if (machine.held.contains(key) || !Contains(matching, key)) continue;
    if (!informed && !self.drained) Break(machine.name + " stops " + key.name + " while it is cut off");
    DownNodes others = machine.news.nodes();
    others.erase(machine.name);
    if (Contains(machine.desired->nodes.Place(key, machine.desired->servers.at(key), others), machine.name))
      Break(machine.name + " stops " + key.name + ", which is its own");
  }
}

void PlacementSimulation::CheckMovement(const DownNodes& before, const DownNodes& after) {
  for (const auto& [key, placement] : desired_->servers) {
    const std::vector<std::string> old_places = desired_->nodes.Place(key, placement, before);
    const std::vector<std::string> new_places = desired_->nodes.Place(key, placement, after);
    const auto gone =
        std::count_if(old_places.begin(), old_places.end(), [&](const auto& n) { return after.contains(n); });
    const auto came =
        std::count_if(new_places.begin(), new_places.end(), [&](const auto& n) { return before.contains(n); });
    const auto moved =
        std::count_if(new_places.begin(), new_places.end(), [&](const auto& n) { return !Contains(old_places, n); });
    if (moved > gone + came) Break(key.name + " moves more than it must");
  }
}

std::map<ObjectKey, PlacementSimulation::Count> PlacementSimulation::CountReplicas() {
  std::map<ObjectKey, Count> counts;
  for (size_t i = 0; i < machines_.size(); ++i) {
    const Machine& machine = machines_[i];
    if (machine.alive) {
      for (const ObjectKey& key : machine.held) members_[key][machine.name] = now_;
    }
    for (const auto& [key, ready] : machine.running) {
      if (machine.alive && machine.linked && now_ >= ready) ++counts[key].ready;
    }
    const bool fit = machine.good && now_ - machine.good_since >= DownHost::kUpAfter + kBack &&
                     now_ - machine.changed_at >= kBack + 2 * kStep;
    if (!fit || desired_->declared[i].unschedulable) continue;
    for (const ObjectKey& key : desired_->matching[i]) ++counts[key].fit;
  }
  for (auto& [key, members] : members_) {
    for (const std::string& name : placed_[key]) members[name] = now_;
    std::erase_if(members, [&](const auto& member) { return now_ - member.second > kBack; });
    for (const auto& [name, until] : members) {
      if (now_ - Named(name).bad_since <= kBack + kStep) ++counts[key].lost;
    }
  }
  return counts;
}

// What a node decides once it had the time.
void PlacementSimulation::CheckPlaces(size_t node) {
  const Machine& machine = machines_[node];
  const MonoTime since = std::max({machine.good_since, machine.desired_since, list_changed_at_});
  if (!machine.good || now_ - since < kSettled) return;
  const PlacementNode& self = desired_->declared[node];
  const bool takes = !self.unschedulable && !Contains(host_.list().nodes, machine.name);
  for (const ObjectKey& key : desired_->matching[node]) {
    const bool holds = machine.held.contains(key);
    if (takes ? holds != Contains(placed_[key], machine.name)
              : holds && !desired_->nodes.WouldPlace(key, desired_->servers.at(key), host_.Down(), machine.name))
      Break(machine.name + (holds ? " holds " : " does not hold ") + key.name + ", which is at " +
            Join(placed_[key], " "));
  }
}

void PlacementSimulation::Check() {
  if (hostile_) return;  // RunHostile says what must hold then
  std::map<ObjectKey, Count> counts = CountReplicas();
  for (size_t i = 0; i < machines_.size(); ++i) CheckPlaces(i);
  for (const auto& [key, placement] : desired_->servers) {
    if (now_ < strange_until_ || now_ - changed_at_[key] < kBack + 2 * kStep) continue;
    const Count& count = counts[key];
    const int64_t wanted = std::min(placement["replicas"].get<int64_t>(), count.fit);
    if (count.ready + count.lost >= wanted) continue;
    Break(key.name + ": " + std::to_string(count.ready) + " Ready of " + std::to_string(wanted) + ", " +
          std::to_string(count.lost) + " lost just now; at " + Join(placed_[key], " "));
  }
}

void PlacementSimulation::CheckSettled() {
  for (const auto& [key, placement] : desired_->servers) {
    const std::vector<std::string> places = desired_->nodes.Place(key, placement, {});
    for (const Machine& machine : machines_) {
      const PlacementNode& node = *desired_->nodes.Find(machine.name);
      const bool runs = machine.running.contains(key);
      if (node.unschedulable && !node.drained ? runs && !desired_->nodes.WouldPlace(key, placement, {}, machine.name)
                                              : runs != Contains(places, machine.name))
        Break("in the end " + machine.name + (runs ? " runs " : " does not run ") + key.name + ", which is at " +
              Join(places, " "));
    }
  }
  for (const Machine& machine : machines_) {
    for (const auto& [key, ready] : machine.running) {
      if (!desired_->servers.contains(key))
        Break("in the end " + machine.name + " runs " + key.name + ", which is gone");
    }
  }
}

void PlacementSimulation::Heal() {
  Trace("everything heals");
  if (!std::exchange(host_up_, true)) strange_until_ = now_ + DownHost::kDownAfter + DownHost::kSweep + kBack;
  for (Machine& machine : machines_) {
    machine.flaps_until = MonoTime{};
    machine.mends_at = machine.revives_at = now_;
  }
}

std::string PlacementSimulation::RunFaults() {
  for (int i = 0; i < kFaultSteps && broken_.empty(); ++i) Step(true);
  Heal();
  for (const MonoTime end = now_ + kCalm; now_ < end && broken_.empty();) Step(false);
  if (broken_.empty()) CheckSettled();
  return Result();
}

std::string PlacementSimulation::RunHostile() {
  for (const MonoTime end = now_ + minutes(5); now_ < end && broken_.empty();) Step(false);
  if (broken_.empty()) CheckSettled();
  hostile_ = true;
  for (int i = 0; i < kHostileSteps && broken_.empty(); ++i) {
    hostile_sequence_ += 3;
    Step(false);
    for (const auto& [key, placement] : desired_->servers) {
      for (const std::string& home : desired_->nodes.Place(key, placement, {})) {
        const Machine& machine = Named(home);
        auto running = machine.running.find(key);
        if (running == machine.running.end() || now_ < running->second) Break(home + " no longer runs " + key.name);
      }
    }
  }
  // An honest host again, which knows nothing of those sequences; every connection is a new one.
  hostile_ = false;
  host_.Forget();
  PlaceAll();
  for (Machine& machine : machines_) {
    machine.connected = false;
    machine.news.SetConnected(false);
    machine.dirty = true;
  }
  list_changed_at_ = now_;
  for (const MonoTime end = now_ + kCalm; now_ < end && broken_.empty();) Step(false);
  if (broken_.empty()) CheckSettled();
  return Result();
}

}  // namespace mcpfleet
