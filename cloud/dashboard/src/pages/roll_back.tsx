// Before the whole fleet becomes as it was: what that changes, by a dry run against what is in force now, and again when that is another.
import { useQuery } from "@tanstack/react-query";
import { useMemo } from "react";
import { api, type ChangeResult, result } from "../api/client";
import type { HistoryRow } from "../api/queries";
import { useAct } from "../lib/act";
import type { Difference } from "../lib/changes";
import { short, timeOf } from "../lib/format";
import { countsOf, toType, weighed, WORD } from "../lib/change_words";
import { useFleet } from "../live";
import { Confirm, type Question } from "../ui/dialog";
import { Failed, Loading } from "../ui/states";
import { differencesBetween, OneDifference, SHOWN } from "./differences";

function Changed({ changes, differences }: { changes: ChangeResult["changes"]; differences: readonly Difference[] }) {
  const all = weighed(changes);
  if (all.length === 0) return <p>Nothing would change: the fleet is as it was then.</p>;
  return (
    <div className="stack small-gap">
      <p>
        <strong>{countsOf(all)}</strong>
        {toType(all) !== undefined && <>. A server that is deleted stops on its nodes.</>}
      </p>
      {all.slice(0, SHOWN).map(({ kind, namespace, name, change }) => {
        const key = `${kind}/${namespace}/${name}`;
        const difference = differences.find((each) => each.key === key);
        return difference !== undefined ? (
          <OneDifference key={key} difference={difference} />
        ) : (
          <div key={key} className="difference">
            <span className={`chip ${WORD[change]}`}>{WORD[change]}</span> <span className="muted">{kind}</span> <strong>{name}</strong>
          </div>
        );
      })}
      {all.length > SHOWN && <p className="muted">and {countsOf(all.slice(SHOWN))} more</p>}
    </div>
  );
}

export function RollBack({ row, close }: { row: HistoryRow; close(): void }) {
  const { head } = useFleet();
  const act = useAct();
  const now = head?.snapshot ?? "";
  const { data, error, refetch } = useQuery({
    queryKey: ["rollback", row.snapshot, now],
    queryFn: () => result(api.POST("/v1/rollback", { body: { snapshot: row.snapshot, dryRun: true } })),
    gcTime: 0,
    staleTime: Number.POSITIVE_INFINITY,
    refetchOnWindowFocus: false,
  });
  const { data: differences } = useQuery({ ...differencesBetween(now, row.snapshot), enabled: now !== "" });
  const question = useMemo((): Question => {
    const name = data === undefined ? undefined : toType(data.changes);
    return {
      title: `Roll back to version ${short(row.snapshot)}?`,
      description: `The whole fleet becomes as it was at ${timeOf(row.time)} (“${row.message || "no message"}”). History goes on: this can be rolled back, too.`,
      action: "Roll back",
      not: "Not rolled back",
      body: data !== undefined ? <Changed changes={data.changes} differences={differences ?? []} /> : error ? <Failed error={error} retry={() => void refetch()} /> : <Loading what="Looking what it would change" />,
      blocked: data === undefined || weighed(data.changes).length === 0,
      ...(name === undefined ? {} : { name, dangerous: true }),
      run: () => act(() => result(api.POST("/v1/rollback", { body: { snapshot: row.snapshot, dryRun: false } })), { deed: `Rolled back to version ${short(row.snapshot)}` }),
    };
  }, [data, error, refetch, differences, row, act]);
  return <Confirm question={question} close={close} />;
}
