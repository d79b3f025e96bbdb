#!/usr/bin/env bash
# Puts one defect at a time into a copy of the controller or the store and expects a simulation or the unit tests to
# fail.
# usage: tests/sim/mutants.sh <build directory> [name]
#   sim_tests, controller_tests and store_tests built there; the sources stay as they are. With a name, that mutant only.
# Without a defect everything must pass, far within the time that a mutant gets: one that hangs is killed, a machine that
# is slow kills nothing.
set -u
root=$(cd "$(dirname "$0")/../.." && pwd)
build=$(cd "${1:?usage: mutants.sh <build directory> [name]}" && pwd)
only=${2:-}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
killed=0 survived=0

# Each side's own simulation and tables: a mutant of the controller that only the store's simulation sees, or the other
# way round, would be killed by luck.
controller_binaries="sim_tests controller_tests"
controller_filter='ControllerSim*:InstanceCache*:PlanTest.*:RestartPolicyTest.*:QueueTest.*:ConditionsTest.*:Controller*:RollingUpdate*:OnDemand*:ClientTarget*'
store_binaries="sim_tests store_tests"
store_filter='StoreSim*:HeadSync*:ReplicaSync*:Down*:LocalCache*:*Writer*'

# passes <seconds> <binary> <filter>
passes() {
  MCPFLEET_SEEDS=${MCPFLEET_SEEDS:-150} timeout "$1" "$2" --gtest_filter="$3" --gtest_fail_fast --gtest_brief=1 \
    >"$work/run.log" 2>&1
}
sound() {  # <binaries> <filter>
  local tests
  for tests in $1; do
    passes 60 "$build/$tests" "$2" && continue
    echo "mutants: $tests does not pass without a defect, or not in 60 s:"
    tail -5 "$work/run.log"
    exit 1
  done
}
placement_binaries="sim_tests controller_tests"
placement_filter='PlacementSim*:Place*:Replica*'
sound "$controller_binaries" "$controller_filter"
sound "$placement_binaries" "$placement_filter"
sound "$store_binaries" "$store_filter"

# mutant <name> <file in the tree> <sed expression>
mutant() {
  local name=$1 path=$2 expression=$3
  [ -z "$only" ] || [ "$only" = "$name" ] || return 0
  local file=${path##*/} folder=${path%/*}
  local library=mcpfleet_${folder//[\/-]/_}
  local object="CMakeFiles/$library.dir/$path.o"
  sed -E "$expression" "$root/$path" >"$work/$file"
  if cmp -s "$work/$file" "$root/$path"; then
    echo "STALE     $name: the expression changes nothing"
    survived=$((survived + 1))
    return
  fi
  local compile
  compile=$(ninja -C "$build" -t commands "$object" | tail -1 |
    sed -e "s#-c $root/$path#-c $work/$file#" -e "s#-o $object#-o $work/mutant.o#" -e "s#-MF [^ ]*#-MF $work/mutant.d#")
  if ! (cd "$build" && eval "$compile -Wno-error") >"$work/compile.log" 2>&1; then
    echo "BROKEN    $name: does not compile"
    tail -5 "$work/compile.log"
    survived=$((survived + 1))
    return
  fi
  cp "$build/lib$library.a" "$work/libmutant.a"
  ar d "$work/libmutant.a" "$file.o" && ar r "$work/libmutant.a" "$work/mutant.o" 2>/dev/null
  local tests binaries=$controller_binaries filter=$controller_filter
  case $folder in
  controller/core) ;;
  controller/placement) binaries=$placement_binaries filter=$placement_filter ;;
  *) binaries=$store_binaries filter=$store_filter ;;
  esac
  for tests in $binaries; do
    local link
    link=$(ninja -C "$build" -t commands "$tests" | tail -1 |
      sed -e "s#lib$library.a#$work/libmutant.a#g" -e "s#-o $tests#-o $work/$tests#")
    if ! (cd "$build" && eval "$link") >"$work/link.log" 2>&1; then
      echo "BROKEN    $name: does not link"
      tail -3 "$work/link.log"
      survived=$((survived + 1))
      return
    fi
    if ! passes 120 "$work/$tests" "$filter"; then
      echo "killed    $name ($tests)"
      killed=$((killed + 1))
      return
    fi
  done
  echo "SURVIVED  $name"
  survived=$((survived + 1))
}

mutant "removals are not waited for" controller/core/plan.cc 's/if \(observed_\.removals_allowed\) DrainAll\(\);/DrainAll();/'
mutant "an old instance may stay beside the new one" controller/core/plan.cc 's/if \(&instance != a && &instance != b && !finishes\) Drain\(instance\);/(void)a, (void)b, (void)finishes;/'
mutant "the old one is not removed before the new one" controller/core/plan.cc 's/^    DrainAllBut\(beside, nullptr\);//'
mutant "a rejected version removes what runs" controller/core/plan.cc 's/^      Hold\(\);/      DrainAll();/'
mutant "nobody waits for the artifact" controller/core/plan.cc 's/^    if \(!HaveArtifact\(\)\) \{/    if (!HaveArtifact() \&\& observed_.instances.empty()) {/'
mutant "any revision will do" controller/core/plan.cc 's/return same_object && report\.revision == desired\.revision;/return same_object;/'
mutant "no back-off" controller/core/plan.cc 's/if \(restart\.Due\(revision, now_\)\) return true;/if (now_ > MonoTime{} || revision.empty()) return true;/'
mutant "suspend does nothing" controller/core/plan.cc 's/desired_->spec\.suspend\)/false)/'
mutant "an exited instance is left" controller/core/plan.cc 's/if \(!StartsNow\(\) \|\| !HaveArtifact\(\)\) return;/return;/'
mutant "a failed pull hides how a policy ended" controller/core/conditions.cc '/kFailed:$/,/PullFailed/s/if \(NothingStarts\(\)\) return NotNeeded\(\);//'
mutant "a changed tool does not matter under Block" controller/core/conditions.cc 's/if \(ToolsKeepFromReady\(\)\) return \*ToolsPinned\(\);//'
mutant "clients that nothing keeps apart are no news" controller/core/server_exits.cc 's/view\.separates_clients = .*$//'
mutant "a shim that is away keeps nobody apart" controller/core/conditions.cc 's/separates_clients\.value_or\(true\)/separates_clients.value_or(false)/'
mutant "an adopted server asks for its artifact once" controller/core/plan.cc 's/if \(!previous\) \(void\)HaveArtifact\(\);/if (!previous \&\& RuntimeUsable() \&\& observed_.artifact.phase == ArtifactState::Phase::kAbsent) Do(PullArtifact{});/'
mutant "own changes are not listed again" controller/core/server_actions.cc 's/if \(touched\) record->look_after.*$/(void)touched;/'
mutant "an older list undoes a look" controller/core/instance_cache.cc 's/(it != looked\.end\(\) && it->second > began);/\1 + (uint64_t{1} << 40);/'
mutant "an older look undoes a list" controller/core/instance_cache.cc 's/if \(NewestOf\(listing, id\) > began\) return OkStatus\(\);//'
mutant "a look that failed says nothing of its runtime" controller/core/instance_cache.cc 's/if \(!report\.ok\(\)\) return Refresh.*$/if (!report.ok()) return report.status();/'
mutant "what a look shows is news to nobody" controller/core/instance_cache.cc 's/if \(known != is .*$/(void)asker;/'
mutant "a new child keeps the old handshake" controller/core/server_exits.cc 's/BeginIncarnation\(incarnation, look\.now, &instance\.probe\);/instance.probe.incarnation = incarnation;/'
mutant "a new spec gets no new chance" controller/core/server_reconciler.cc 's/^      RecordNewSpec\(&revision\.restart\);//'
mutant "own removals count as drift" controller/core/server_exits.cc 's/if \(record->leaving\.erase\(id\) > 0\) continue;//'
mutant "an exit is never counted" controller/core/server_exits.cc 's/^( *)NoteExit\(key, record, look, view, std::move\(cause\)\);$/\1(void)cause;/'
mutant "nobody is told that a runtime answers again" controller/core/controller.cc 's/(deps_\.desired\.Current\(\)->servers\)) queue_\.Add\(key\);/\1 (void)key, (void)server;/'
mutant "a failed look is not repeated" controller/core/controller.cc 's/queue_\.AddRateLimited\(key, result\.wake\);/;/'
mutant "a key in work is handed out twice" controller/core/work_queue.cc 's/if \(processing_\.contains\(key\)\) return;.*//'
mutant "health never resets the back-off" controller/core/restart_policy.cc 's/cause\.healthy_for >= policy\.reset_after/false/'
mutant "the old revision goes before the new one answers" controller/core/plan.cc 's/if \(old != nullptr && wanted->probe\.verified\) \{/if (old != nullptr) {/'
mutant "clients go to a revision that has not answered" controller/core/plan.cc 's/\(old == nullptr \|\| wanted->probe\.verified\)/(old == nullptr || wanted->probe.verified || kAtOnce)/;s/^const InstanceView\* ServingInstance/constexpr bool kAtOnce = true;\n&/'
mutant "a drain never ends" controller/core/plan.cc 's/if \(lost \|\| \(now_ >= end && !last\)\) \{/if (lost) {/'
mutant "a drain cuts conversations off" controller/core/plan.cc 's/instance\.conversations == 0 \? settled/instance.conversations >= 0 ? settled/'
mutant "the old revision goes although the new one has died" controller/core/plan.cc 's/if \(lost \|\| \(now_ >= end && !last\)\) \{/if (lost || now_ >= end) {/;s/if \(last && successor == Successor::kNone\)/if (last \&\& now_ < MonoTime{})/'
mutant "a third revision does not wait for the first" controller/core/plan.cc 's/if \(beside != nullptr && draining\) return;/(void)draining;/'
mutant "a failed roll-out is not undone" controller/core/plan.cc 's/^    Do\(UndoRollout\{failure\}\);//'
mutant "what fails of one revision stops the other" controller/core/server_reconciler.cc 's/^        failed = false;$//'
mutant "a new mcplet forgets what was undone" controller/core/server_reconciler.cc 's/if \(memory->undone\) \{/if (memory->undone \&\& memory->uid.empty()) {/'
mutant "a server in use falls asleep" controller/core/plan.cc 's/ \|\| wanted->conversations > 0\) return false;/) return false;/'
mutant "nobody wakes a sleeping server" controller/core/plan.cc 's/const bool asked = in_use \|\| .*$/const bool asked = in_use;/'

mutant "a node that is down has its place" controller/placement/place.cc 's/ \|\| down\.contains\(other\.name\)//'
mutant "a cordoned node has its place" controller/placement/place.cc 's/if \(other\.unschedulable \|\| /if (/'
mutant "the order of nodes is that of their names" controller/placement/place.cc 's/^uint64_t Score\(uint64_t server, uint64_t node\).*$/uint64_t Score(uint64_t, uint64_t node) { return node; }/'
mutant "whoever loses its place stops at once" controller/placement/replica_holder.cc 's/now \+ kHandOver/now/'
mutant "a hand-over never ends" controller/placement/replica_holder.cc 's/if \(now >= end\) continue;//'
mutant "a hand-over begins anew with each look" controller/placement/replica_holder.cc 's/leaves_at_ = std::move\(leaves_at\);//'
mutant "a node that is cut off stops what is not its own" controller/placement/replica_holder.cc 's/\(!sight\.informed && !drained\) \|\|/false ||/'
mutant "a node that is cut off takes what is new" controller/placement/replica_holder.cc 's/^ +sight\.informed && self != nullptr/      self != nullptr/'
mutant "a cordoned node takes what is new" controller/placement/replica_holder.cc 's/!self->unschedulable && //'
mutant "a node on the list takes what is new" controller/placement/replica_holder.cc 's/ && !sight\.down\.contains\(node_\)//'
mutant "a node on the list gives up its own" controller/placement/place.cc 's/if \(self == nullptr \|\| self->drained/if (self == nullptr || down.contains(node) || self->drained/'
mutant "an older list counts" store/down_list.cc 's/if \(fresh_ && list\.sequence <= sequence_\) return false;//'
mutant "a host that began anew is not heard" store/down_list.cc 's/if \(fresh_ && list\.sequence <= sequence_\)/if (list.sequence <= sequence_)/'

mutant "a lower head is accepted" store/head_sync.cc 's/if \(target_ && head->order < target_->order && .*\{/if (false) {/'
mutant "another fleet's head is accepted" store/head_sync.cc 's/if \(!fleet_\.empty\(\) && head->fleet != fleet_\) \{/if (false) {/'
mutant "a miss is a deletion" store/head_sync.cc 's/^    SyncedObject& synced = state->objects\[entry\.key\];/    if (LoadObject(entry.hash) == nullptr) return;\n&/'
mutant "removals do not wait for what is pending" store/head_sync.cc 's/state->removals_allowed = clock_\.Now\(\) >= grace_end_;/state->removals_allowed = true;/'
mutant "the accepted order is not saved" store/head_sync.cc 's/RETURN_IF_ERROR\(cache_\.SaveState\(state\)\);//'
mutant "a state is published before it is saved" store/head_sync.cc '/^Status HeadSync::Step/,/^}/s/^  if \(Status saved = Save\(\); !saved\.ok\(\)\) \{/  Publish();\n&/'
mutant "what a boot shows is not saved" store/head_sync.cc '/^Status HeadSync::Boot/,/^}/s/Status renewed = Save\(\);/Status renewed = OkStatus();/'
mutant "a failed save is never over" store/head_sync.cc 's/^  if \(!failing.*failures_ = 0;/  (void)failing;/'
mutant "a pending version drops the one before" store/head_sync.cc 's/if \(auto before = in_force_\.find\(entry\.key\); before != .*$//'
mutant "a missing shard is an empty one" store/head_sync.cc 's/if \(!hash\.empty\(\) && !shards_\.contains\(hash\)\) return false;/if (!hash.empty() \&\& !shards_.contains(hash)) shards_[hash] = std::make_shared<Shard>();/'
mutant "a missing key is not asked for again" store/head_sync.cc 's/if \(it == missing_\.end\(\) \|\| it->second\.next <= clock_\.Now\(\)\)/if (it == missing_.end())/'
mutant "what the disk lost is not pending" store/head_sync.cc 's/synced\.object == nullptr \|\| in_force->second/in_force == in_force_.end() || in_force->second/'
mutant "a head that was taken back is waited for for ever" store/head_sync.cc 's/if \(index_ \|\| clock_\.Now\(\) < target_seen_ \+ kTargetPatience\) return false;/if (clock_.Now() > MonoTime{}) return false;/'
mutant "of two heads of one order the first one stays" store/head_sync.cc 's/if \(head->snapshot < target_->snapshot && .*return OkStatus\(\);/return OkStatus();/'
mutant "a torn blob is taken" store/local_cache.cc 's/bytes\.ok\(\) && Sha256Hex\(\*bytes\) == hash/bytes.ok()/'
mutant "a damaged blob stays on the disk" store/local_cache.cc 's/^  unlink\(PathOf\(hash\)\.c_str\(\)\);//;s/^    sizes_\.erase\(it\);//'
mutant "a restored store keeps its order" store/maintenance.cc 's/epoch \+ 1, 1\}/epoch - epoch + base.head()->order.epoch, base.head()->order.revision}/'
mutant "a backup goes into any fleet's store" store/maintenance.cc 's/current->fleet != content->head\.fleet && !options\.replace_fleet/false/'
mutant "a lost answer is a lost change" store/writer.cc 's/if \(succeeded\) return ApplyResult.*$/(void)succeeded;/'
mutant "a change of two objects of a shard loses one" store/writer.cc 's/if \(entries == base\.shards\.at\(index\)\) continue;/if (entries.size() == base.shards.at(index).size()) continue;/'
mutant "a pending server has no spec and is not held" edge-runtime/mcplet/desired_view.cc 's/\.pending = synced\.pending/.pending = false/'
mutant "a server that the node refuses runs" edge-runtime/mcplet/desired_view.cc 's/server\.rejected_reason = "ForbiddenByNode";//'

echo "mutants: $killed killed, $survived survived"
[ "$survived" -eq 0 ]
