// The versions in which one object changed: of the history's snapshots, those where its shard and then its hash is another.
import { keepPreviousData, useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { GitCommitHorizontal } from "lucide-react";
import type { ObjectRow } from "../api/client";
import { history, type HistoryRow, queryClient, shardOf, snapshotOf } from "../api/queries";
import { useFleet } from "../live";
import { short } from "../lib/format";
import { Ago } from "../ui/ago";
import { Empty, Failed, Loading } from "../ui/states";

interface Version {
  row: HistoryRow;
  object: ObjectRow | undefined;
}
async function shardIndex(kind: string, namespace: string, name: string): Promise<number> {
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(`${kind}/${namespace}/${name}`));
  return new Uint8Array(digest)[0]! % 64;
}

async function versionsOf(rows: readonly HistoryRow[], kind: string, namespace: string, name: string): Promise<Version[]> {
  const index = await shardIndex(kind, namespace, name);
  const versions: Version[] = [];
  let last: string | undefined;
  for (const row of rows) {
    const { shards } = await queryClient.fetchQuery(snapshotOf(row.snapshot));
    const shard = shards[index] ?? "";
    const found = shard === "" ? undefined : (await queryClient.fetchQuery(shardOf(shard))).find((each) => each.kind === kind && each.namespace === namespace && each.name === name);
    if (found?.hash === last && versions.length > 0) versions[versions.length - 1] = { row, object: found }; // an older one with this content brought it
    else versions.push({ row, object: found });
    last = found?.hash;
  }
  while (versions.length > 0 && versions[versions.length - 1]!.object === undefined) versions.pop(); // before it was there
  return versions;
}

export function ObjectHistory({ kind, namespace, name }: { kind: string; namespace: string; name: string }) {
  const { head } = useFleet();
  const all = useInfiniteQuery({ ...history(head?.snapshot ?? ""), placeholderData: keepPreviousData });
  const rows = all.data?.pages.flatMap(({ result }) => result);
  const found = useQuery({
    queryKey: ["history", "object", kind, namespace, name, rows?.[0]?.snapshot, rows?.length],
    queryFn: () => versionsOf(rows ?? [], kind, namespace, name),
    enabled: rows !== undefined,
    placeholderData: keepPreviousData,
  });
  const { data } = found;
  const error = all.error ?? found.error;
  if (error) return <Failed error={error} />;
  if (data === undefined) return <Loading what="Reading the history" />;
  const more = all.hasNextPage && (
    <button type="button" className="button more-button" disabled={all.isFetchingNextPage || all.isPlaceholderData || found.isPlaceholderData} onClick={() => void all.fetchNextPage()}>
      Look at older versions
    </button>
  );
  if (data.length === 0 && !all.hasNextPage) return <Empty icon={GitCommitHorizontal} title="No history" />;
  return (
    <>
      <ol className="versions">
        {data.map(({ row, object }) => (
          <li key={row.snapshot} className="version">
            <div className="version-line">
              <Link to="/history" search={{ at: row.snapshot }} className="version-open">
                <GitCommitHorizontal aria-hidden />
                <span className="strong break">{row.message || "no message"}</span>
                <span className="chip">{object === undefined ? "deleted" : `generation ${object.generation}`}</span>
              </Link>
              <span className="muted small">
                {row.author || "unknown"} ·{" "}
                <Ago at={row.time} /> · <code>{short(row.snapshot)}</code>
              </span>
            </div>
          </li>
        ))}
      </ol>
      {more}
    </>
  );
}
