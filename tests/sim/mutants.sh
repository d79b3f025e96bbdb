#!/usr/bin/env bash
# Puts one defect at a time into a copy of controller/core and expects the simulation or the unit tests to fail.
# usage: tests/sim/mutants.sh <build directory>   (sim_tests and controller_tests built there; the sources stay as they are)
set -u
root=$(cd "$(dirname "$0")/../.." && pwd)
build=$(cd "${1:?usage: mutants.sh <build directory>}" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
killed=0 survived=0

# mutant <name> <file in controller/core> <sed expression>
mutant() {
  local name=$1 file=$2 expression=$3
  local object="CMakeFiles/mcpfleet_controller_core.dir/controller/core/$file.o"
  sed -E "$expression" "$root/controller/core/$file" >"$work/$file"
  if cmp -s "$work/$file" "$root/controller/core/$file"; then
    echo "STALE     $name: the expression changes nothing"
    survived=$((survived + 1))
    return
  fi
  local compile
  compile=$(ninja -C "$build" -t commands "$object" | tail -1 |
    sed -e "s#-c $root/controller/core/$file#-c $work/$file#" -e "s#-o $object#-o $work/mutant.o#" -e "s#-MF [^ ]*#-MF $work/mutant.d#")
  if ! (cd "$build" && eval "$compile") >"$work/compile.log" 2>&1; then
    echo "BROKEN    $name: does not compile"
    tail -5 "$work/compile.log"
    survived=$((survived + 1))
    return
  fi
  cp "$build/libmcpfleet_controller_core.a" "$work/libmutant.a"
  ar d "$work/libmutant.a" "$file.o" && ar r "$work/libmutant.a" "$work/mutant.o" 2>/dev/null
  for tests in sim_tests controller_tests; do
    local link
    link=$(ninja -C "$build" -t commands "$tests" | tail -1 |
      sed -e "s#libmcpfleet_controller_core.a#$work/libmutant.a#g" -e "s#-o $tests#-o $work/$tests#")
    (cd "$build" && eval "$link") >"$work/link.log" 2>&1 || { echo "BROKEN    $name: does not link"; tail -3 "$work/link.log"; return; }
    # The store's own simulation says nothing of a mutant here.
    if ! MCPFLEET_SEEDS=${MCPFLEET_SEEDS:-150} timeout 300 "$work/$tests" --gtest_filter='*Controller*:PlanTest.*:RestartPolicyTest.*:QueueTest.*:ConditionsTest.*' \
      --gtest_fail_fast --gtest_brief=1 >"$work/run.log" 2>&1; then
      echo "killed    $name ($tests)"
      killed=$((killed + 1))
      return
    fi
  done
  echo "SURVIVED  $name"
  survived=$((survived + 1))
}

mutant "removals are not waited for" plan.cc 's/if \(observed_\.removals_allowed\) DrainAll\(\);/DrainAll();/'
mutant "an old instance may stay beside the new one" plan.cc 's/if \(&instance != keep\) Drain\(instance\);/(void)instance;/'
mutant "the old one is not removed before the new one" plan.cc '/if \(!RuntimeUsable\(\)\) return;/{n;s/DrainAll\(\);//}'
mutant "a rejected version removes what runs" plan.cc 's/^      Hold\(\);/      DrainAll();/'
mutant "nobody waits for the artifact" plan.cc 's/^    if \(!HaveArtifact\(\)\) \{/    if (!HaveArtifact() \&\& observed_.instances.empty()) {/'
mutant "any revision will do" plan.cc 's/return same_object && report\.revision == desired\.revision;/return same_object;/'
mutant "no back-off" plan.cc 's/if \(restart\.Due\(revision, now_\)\) return true;/if (now_ > MonoTime{} || revision.empty()) return true;/'
mutant "suspend does nothing" plan.cc 's/desired_->spec\.suspend\)/false)/'
mutant "an exited instance is left" plan.cc 's/if \(!StartsNow\(desired_->revision\) \|\| !HaveArtifact\(\)\) return;/return;/'
mutant "own changes are not listed again" server_reconciler.cc 's/if \(touched\) record->list_after.*$/(void)touched;/'
mutant "a new child keeps the old handshake" server_reconciler.cc 's/^  BeginIncarnation\(incarnation, now, &record->probe\);/  record->probe.incarnation = incarnation; (void)now;/'
mutant "a new spec gets no new chance" server_reconciler.cc 's/if \(!first\) RecordNewSpec\(&record->restart\);//'
mutant "own removals count as drift" server_reconciler.cc 's/if \(record->leaving\.erase\(id\) > 0\) continue;//'
mutant "an exit is never counted" server_reconciler.cc 's/^    NoteExit\(key, record, \*look, \*serving, std::move\(cause\)\);$/    (void)cause;/;s/^  NoteExit\(key, record, \*look, \*serving, std::move\(cause\)\);$/  (void)cause;/'
mutant "nobody is told that a runtime answers again" controller.cc 's/if \(ChooseRuntime\(server->spec\) == kind\) queue_\.Add\(key\);/(void)key, (void)server;/'
mutant "a failed look is not repeated" controller.cc 's/queue_\.AddRateLimited\(key\);/;/'
mutant "a key in work is handed out twice" work_queue.cc 's/if \(processing_\.contains\(key\)\) return;.*//'
mutant "health never resets the back-off" restart_policy.cc 's/cause\.healthy_for >= policy\.reset_after/false/'

echo "mutants: $killed killed, $survived survived"
[ "$survived" -eq 0 ]
