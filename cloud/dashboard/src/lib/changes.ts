// What differs between two versions: read by shards, of which only those with another hash are looked at.
import type { ObjectRow } from "../api/client";
import { queryClient, shardOf, snapshotOf } from "../api/queries";

export interface Difference {
  key: string; // "MCPServer/default/weather"
  before: ObjectRow | undefined;
  after: ObjectRow | undefined;
}

const keyOf = (row: ObjectRow): string => `${row.kind}/${row.namespace}/${row.name}`;

// Pure: rows of the shards that differ.
export function differencesOf(before: readonly ObjectRow[], after: readonly ObjectRow[]): Difference[] {
  const old = new Map(before.map((row) => [keyOf(row), row]));
  const now = new Map(after.map((row) => [keyOf(row), row]));
  return [...new Set([...old.keys(), ...now.keys()])]
    .sort()
    .map((key) => ({ key, before: old.get(key), after: now.get(key) }))
    .filter((each) => each.before?.hash !== each.after?.hash);
}

const AT_ONCE = 8;

// All rows of these shards, a few shards at once; "" is an empty one.
export async function rowsOf(shards: readonly string[]): Promise<ObjectRow[]> {
  const hashes = shards.filter((hash) => hash !== "");
  const rows: ObjectRow[][] = [];
  for (let at = 0; at < hashes.length; at += AT_ONCE) rows.push(...(await Promise.all(hashes.slice(at, at + AT_ONCE).map((hash) => queryClient.fetchQuery(shardOf(hash))))));
  return rows.flat();
}

// `before` "" is the empty fleet.
export async function readDifferences(before: string, after: string): Promise<Difference[]> {
  const nothing = { shards: Array<string>(64).fill("") };
  const [old, now] = await Promise.all([before === "" ? nothing : queryClient.fetchQuery(snapshotOf(before)), after === "" ? nothing : queryClient.fetchQuery(snapshotOf(after))]);
  const other = now.shards.map((hash, index) => hash !== (old.shards[index] ?? ""));
  const pick = (shards: readonly string[]) => shards.filter((_, index) => other[index]);
  const [left, right] = await Promise.all([rowsOf(pick(old.shards)), rowsOf(pick(now.shards))]);
  return differencesOf(left, right);
}
