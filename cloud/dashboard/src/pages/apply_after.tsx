// What became of an apply, as the address says it: so it is there after a reload, after "back", and for whoever is sent the link.
import { useQuery } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { useEffect } from "react";
import { api, type ChangeResult, result } from "../api/client";
import { proposals, queryClient, snapshotOf } from "../api/queries";
import { readDifferences } from "../lib/changes";
import { changesOf } from "../lib/change_words";
import { useFleet } from "../live";
import { Card } from "../ui/parts";
import { Failed } from "../ui/states";
import { Rollout } from "./apply_rollout";

const route = getRouteApi("/apply");
const keyOf = (order: string | undefined) => ["rollout", order ?? ""];

// The part of the address that stands for what was `made`; its answer need not be read again.
export function addressOf(made: ChangeResult): { rollout?: string; proposed?: string } {
  if (made.proposal !== null) return { proposed: made.proposal };
  if (made.head === null || !made.moved) return {};
  queryClient.setQueryData(keyOf(made.head), made);
  return { rollout: made.head };
}

function Proposed({ id }: { id: string }) {
  const { head } = useFleet();
  const { data, isFetching } = useQuery({ ...proposals, queryKey: ["proposals", head?.order ?? ""] });
  if (data === undefined || isFetching || data.some((proposal) => proposal.id === id)) return <Rollout result={{ head: null, moved: false, proposal: id, changes: [] }} />;
  return (
    <Card title="Proposed">
      <p>
        This proposal waits no more: it was signed, or taken back. <Link to="/history" className="link">The history</Link> says which.
      </p>
    </Card>
  );
}

export function After() {
  const { rollout, at, proposed } = route.useSearch();
  const { synced, desiredKnown } = useFleet();
  const navigate = route.useNavigate();
  // Which snapshot the version is: known while it is the one in force, and written down then.
  useEffect(() => {
    if (rollout === undefined || at !== undefined) return undefined;
    let gone = false;
    const look = async () => {
      const now = await result(api.GET("/v1/desired"));
      if (!gone && now.head === rollout) void navigate({ search: (before) => ({ ...before, at: now.snapshot }), replace: true, resetScroll: false });
    };
    void look().catch(() => undefined);
    return () => void (gone = true);
  }, [rollout, at, navigate]);
  const { data, error, refetch } = useQuery({
    queryKey: keyOf(rollout),
    queryFn: async (): Promise<ChangeResult> => {
      const { parent } = await queryClient.fetchQuery(snapshotOf(at ?? ""));
      return { head: rollout ?? null, moved: true, proposal: null, changes: changesOf(await readDifferences(parent, at ?? "")) };
    },
    enabled: rollout !== undefined && at !== undefined,
    staleTime: Number.POSITIVE_INFINITY,
  });
  if (proposed !== undefined) return <Proposed id={proposed} />;
  if (rollout === undefined) return null;
  if (error) return <Failed error={error} retry={() => void refetch()} />;
  // Before the fleet is known nothing can be said of it, least of all that all is well.
  return data === undefined || !synced || !desiredKnown ? null : <Rollout result={data} />;
}
