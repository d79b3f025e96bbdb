// The versions in which one object changed: of the history's snapshots, those where its shard and then its hash is another.
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { GitCommitHorizontal } from "lucide-react";
import type { ObjectRow } from "../api/client";
import { history, type HistoryRow, queryClient, shardOf, snapshotOf } from "../api/queries";
import { ageOf, short, timeOf } from "../lib/format";
import { Empty, Failed, Loading } from "../ui/states";

interface Version {
  row: HistoryRow;
  object: ObjectRow | undefined;
}
const LOOKED = 50;

async function shardIndex(kind: string, namespace: string, name: string): Promise<number> {
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(`${kind}/${namespace}/${name}`));
  return new Uint8Array(digest)[0]! % 64;
}

async function versionsOf(kind: string, namespace: string, name: string): Promise<Version[]> {
  const index = await shardIndex(kind, namespace, name);
  const { result: rows } = await queryClient.fetchQuery(history);
  const versions: Version[] = [];
  let last: string | undefined;
  for (const row of rows.slice(0, LOOKED)) {
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
  const { data, error } = useQuery({ queryKey: ["history", "object", kind, namespace, name], queryFn: () => versionsOf(kind, namespace, name) });
  if (error) return <Failed error={error} />;
  if (data === undefined) return <Loading what="Reading the history" />;
  if (data.length === 0) return <Empty icon={GitCommitHorizontal} title="No history" />;
  return (
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
              <time dateTime={row.time} title={timeOf(row.time)}>
                {ageOf(row.time)} ago
              </time>{" "}
              · <code>{short(row.snapshot)}</code>
            </span>
          </div>
        </li>
      ))}
    </ol>
  );
}
