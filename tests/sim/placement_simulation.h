// Two hundred nodes that share servers with replicas and know of each other only what the desired state and the list of
// down nodes say. Each is the real ReplicaHolder and DownNews; the host decides the list as the Worker does. Nodes die
// and come back, links are cut and flap, mcplets restart, whole sites are cut off, the host is away, an operator
// cordons, drains, labels and scales: all drawn from one seed, in steps of five seconds of no clock. Checked after each
// step:
//
//   - a node runs only what it matches; one that is cut off, on the list or cordoned takes nothing, and stops nothing
//   that
//     is its own;
//   - N replicas are Ready, except for three minutes after another placement or label, or for each of the missing a
//   node
//     that was to run one and was lost in the last three minutes. To cordon, uncordon and drain leaves no gap;
//   - a node that is up, in touch and schedulable, and has had a minute to hand over, holds what Place gives it, no
//   more
//     and no less; a cordoned one no more than it would be given otherwise. So more than N run only where somebody is
//     cut off, cordoned or hands over;
//   - a change of the list moves only what was on a node that went, or is on one that came;
//   - when the faults stop, every server is exactly where Place says.
//
// With a hostile host, whose lists are random, huge, out of order, of everybody, different for each node: every node
// that Place chooses with everybody up goes on all the time.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "controller/placement/replica_holder.h"
#include "store/down_list.h"
#include "tests/sim/down_host.h"

namespace mcpfleet {

class PlacementSimulation {
 public:
  explicit PlacementSimulation(uint64_t seed);
  // Faults for an hour, then calm. "": nothing broke; else what, with the last steps. One of the two, once.
  std::string RunFaults();
  std::string RunHostile();
  const std::string& fingerprint() const { return fingerprint_; }

 private:
  struct Desired {
    std::vector<PlacementNode> declared;
    PlacementNodes nodes;
    std::map<ObjectKey, Json> servers;
    std::vector<std::vector<ObjectKey>> matching;  // by node: the servers that it matches
  };
  struct Machine {
    std::string name;
    std::unique_ptr<ReplicaHolder> holder;
    DownNews news;
    bool alive = true, linked = true, connected = false;
    std::set<ObjectKey> held;               // on disk
    std::map<ObjectKey, MonoTime> running;  // since when, or from when on, each is Ready
    std::shared_ptr<const Desired> desired;
    bool dirty = true;
    MonoTime connects_at{}, notices_at{}, revives_at{}, mends_at{}, flaps_until{}, flaps_at{};
    MonoTime bad_since{}, good_since{}, desired_since{}, changed_at{};
    bool good = false;  // alive, linked, in touch
  };

  // Chance.
  bool Chance(double probability);
  Duration Between(int least, int most);  // seconds
  Machine& Any() { return machines_[random_() % machines_.size()]; }
  Machine& Named(const std::string& name);

  // What happens.
  void Step(bool faults);
  void Faults();
  void Operate();
  size_t AnyToOperate();
  void Cut(Machine& machine, Duration time);
  void Kill(Machine& machine, Duration time);
  void Restart(Machine& machine);
  void Connect(Machine& machine);
  void Deliver(Machine& machine);
  void DeliverHostile(Machine& machine);
  void Sweep();
  void Decide(Machine& machine);
  void Publish(Desired next);
  void PlaceAll();
  void Heal();

  // What must hold.
  void Check();
  struct Count {
    int64_t ready = 0, fit = 0, lost = 0;
  };
  std::map<ObjectKey, Count> CountReplicas();
  void CheckPlaces(size_t node);
  void CheckDecision(size_t node, const std::set<ObjectKey>& before);
  void CheckMovement(const DownNodes& before, const DownNodes& after);
  void CheckSettled();
  void Break(const std::string& what);
  void Trace(const std::string& line);
  std::string Result() const;

  const uint64_t seed_;
  std::mt19937_64 random_;
  MonoTime now_{std::chrono::hours(1)};
  std::vector<Machine> machines_;
  std::map<std::string, MonoTime> last_seen_;
  DownHost host_;
  bool host_up_ = true, hostile_ = false;
  MonoTime host_back_at_{}, next_sweep_{}, list_changed_at_{}, strange_until_{};
  std::shared_ptr<const Desired> desired_;
  std::map<ObjectKey, MonoTime> changed_at_;
  std::map<ObjectKey, std::vector<std::string>> placed_;          // by the host's list
  std::map<ObjectKey, std::map<std::string, MonoTime>> members_;  // who was to run it, until when
  int64_t hostile_sequence_ = 0;
  std::deque<std::string> trace_;
  std::string broken_, fingerprint_;
};

}  // namespace mcpfleet
