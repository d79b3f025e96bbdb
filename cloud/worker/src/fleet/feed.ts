// The feed of the dashboard: what is now, then each change of it. A client that was away says what it saw last and is told what
// changed since. There is no log of changes: `at` of a status rises with each, so "what changed since" is a look at the present.
import { z } from "@hono/zod-openapi";
import { FEED_SERVERS } from "../limits.js";
import { Capacity, Condition, type ServerSummary } from "../schema/status.js";

const Summary = z
  .object({
    namespace: z.string(),
    name: z.string(),
    ready: z.enum(["True", "False", "Unknown"]),
    reason: z.string(),
    message: z.string(),
    looping: z.boolean(),
    pinsViolated: z.string(),
    restarts: z.int(),
    tools: z.int(),
    protocol: z.string(),
    generation: z.int(),
    revision: z.string(),
    endpoint: z.string().describe("where clients reach it, as its node says"),
  })
  .openapi("ServerSummary");
export const FeedNode = z
  .object({
    node: z.string(),
    connected: z.boolean(),
    lastSeen: z.int().describe("milliseconds since 1970; 0: never"),
    cloned: z.boolean(),
    version: z.string(),
    head: z.string(),
    runtimes: z.array(z.string()),
    conditions: z.array(Condition),
    capacity: Capacity.describe("0: not known"),
  })
  .openapi("FeedNode");
export type FeedNode = z.infer<typeof FeedNode>;

// The answer to {"type":"sync","since"}, in as many messages as it takes; `names` of the last one are all nodes that there are.
export const FeedState = z
  .object({
    type: z.literal("state"),
    cursor: z.string().describe("what to say as `since` next time"),
    whole: z.boolean().describe("everything is told: what was known before is worth nothing"),
    last: z.boolean(),
    names: z.array(z.string()),
    nodes: z.array(z.object({ node: FeedNode, servers: z.array(Summary).nullable().describe("null: as it was") })),
  })
  .openapi("FeedState");
export type FeedState = z.infer<typeof FeedState>;

export const FeedDelta = z
  .object({
    type: z.literal("delta"),
    cursor: z.string(),
    node: z.union([FeedNode, z.null()]).describe("null: the node is forgotten"),
    name: z.string(),
    set: z.array(Summary),
    gone: z.array(z.tuple([z.string(), z.string()])).describe("namespace and name"),
  })
  .openapi("FeedDelta");
export type FeedDelta = z.infer<typeof FeedDelta>;

const keyOf = ({ namespace, name }: { namespace: string; name: string }): string => `${namespace}/${name}`;

// What of a node's servers is another than before.
export function differenceOf(before: readonly ServerSummary[], after: readonly ServerSummary[]): Pick<FeedDelta, "set" | "gone"> {
  const known = new Map(before.map((server) => [keyOf(server), JSON.stringify(server)]));
  const set = after.filter((server) => known.get(keyOf(server)) !== JSON.stringify(server));
  const there = new Set(after.map(keyOf));
  const gone = before.filter((server) => !there.has(keyOf(server))).map(({ namespace, name }): [string, string] => [namespace, name]);
  return { set, gone };
}

export interface FeedRow extends FeedNode {
  at: number; // of its status, 0: it has none
  servers: readonly ServerSummary[];
}

// `boot` is the object's own: a cursor of another one (a fleet that was made anew) is worth nothing.
export function cursorFrom(boot: string, at: number): string {
  return `${boot}.${at}`;
}
export function seenBefore(boot: string, since: string): number | undefined {
  const [ours, at] = since.split(".");
  return ours === boot && /^\d{1,16}$/.test(at ?? "") ? Number(at) : undefined;
}

// Parts of at most FEED_SERVERS servers or nodes each.
function partsOf(rows: readonly FeedRow[]): FeedRow[][] {
  const parts: FeedRow[][] = [[]];
  let weight = 0;
  for (const row of rows) {
    const own = 1 + row.servers.length;
    if (weight > 0 && weight + own > FEED_SERVERS) {
      parts.push([]);
      weight = 0;
    }
    parts[parts.length - 1]!.push(row);
    weight += own;
  }
  return parts;
}

export function stateMessages(rows: readonly FeedRow[], boot: string, since: string): FeedState[] {
  const seen = seenBefore(boot, since);
  const cursor = cursorFrom(boot, rows.reduce((most, row) => Math.max(most, row.at), 0));
  const parts = partsOf(rows);
  return parts.map((part, index) => {
    const last = index === parts.length - 1;
    return {
      type: "state",
      cursor: last ? cursor : since,
      whole: seen === undefined,
      last,
      names: last ? rows.map((row) => row.node) : [],
      nodes: part.map(({ at, servers, ...node }) => ({ node, servers: seen === undefined || at > seen ? [...servers] : null })),
    };
  });
}
