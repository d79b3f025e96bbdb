// The fleet as people and the router ask for it.
import { NodeStatus, type ServerSummary } from "../schema/status.js";
import type { DownList } from "./down.js";
import type { FeedNode, FeedRow } from "./feed.js";
import { allNodes, findNode } from "./nodes.js";
import { findStatus } from "./status_book.js";
import { hasLiveToken, tokensOf } from "./tokens.js";

export interface ListedNode {
  node: string;
  created: number; // milliseconds, as all times here
  lastSeen: number;
  connected: boolean;
  down: boolean;
  cloned: boolean;
  tunnel: string | null;
  keys: { signing: string; sealing: string } | null;
  tokens: { id: string; created: number; expires: number | null }[];
  metadata: string; // JSON
}

// `alive`: when each connected node showed itself last.
export function listNodes(
  sql: SqlStorage,
  alive: ReadonlyMap<string, number>,
  down: DownList,
  only?: string,
): ListedNode[] {
  const rows = only === undefined ? allNodes(sql) : [findNode(sql, only)].filter((row) => row !== undefined);
  return rows.map((row) => ({
    node: row.node,
    created: row.created,
    lastSeen: Math.max(row.last_seen, alive.get(row.node) ?? 0),
    connected: alive.has(row.node),
    down: down.nodes.includes(row.node),
    cloned: row.cloned !== 0,
    tunnel: row.tunnel,
    keys:
      row.signing_key === null || row.sealing_key === null
        ? null
        : { signing: row.signing_key, sealing: row.sealing_key },
    tokens: tokensOf(sql, row.node).map(({ hash, created, expires }) => ({ id: hash.slice(0, 12), created, expires })),
    metadata: findStatus(sql, row.node)?.metadata ?? "null",
  }));
}

// What the feed tells of the nodes, or of one.
export function feedRows(sql: SqlStorage, summaries: ReadonlyMap<string, readonly ServerSummary[]>, only?: string): FeedRow[] {
  const rows = only === undefined ? allNodes(sql) : [findNode(sql, only)].filter((row) => row !== undefined);
  return rows.map((row) => {
    const stored = findStatus(sql, row.node);
    const status = NodeStatus.safeParse(stored === undefined ? {} : JSON.parse(stored.body));
    return {
      node: row.node,
      connected: row.connected !== 0,
      lastSeen: row.last_seen,
      cloned: row.cloned !== 0,
      version: status.data?.version ?? "",
      head: status.data?.acceptedHead ?? "",
      runtimes: status.data?.runtimes ?? [],
      conditions: status.data?.conditions ?? [],
      capacity: status.data?.capacity ?? { cpus: 0, memoryBytes: 0, diskBytes: 0 },
      at: stored?.at ?? 0,
      servers: summaries.get(row.node) ?? [],
    };
  });
}

export function withoutServers({ at: _, servers: __, ...node }: FeedRow): FeedNode {
  return node;
}

export interface ListedServer extends ServerSummary {
  node: string;
  nodeDown: boolean;
}
export interface ServerPage {
  servers: ListedServer[];
  next: string; // the node that the next page begins after; "": there is none
}

type Summaries = ReadonlyMap<string, readonly ServerSummary[]>;

// Servers of the `limit` nodes after `after`, all namespaces when `namespace` is "".
export function listServers(
  summaries: Summaries,
  down: DownList,
  namespace: string,
  after: string,
  limit: number,
): ServerPage {
  const nodes = [...summaries.keys()].filter((node) => node > after).sort();
  const page = nodes.slice(0, limit);
  const servers = page.flatMap((node) =>
    summaries
      .get(node)!
      .filter((server) => namespace === "" || server.namespace === namespace)
      .map((server) => ({ ...server, node, nodeDown: down.nodes.includes(node) })),
  );
  return { servers, next: nodes.length > limit ? page[page.length - 1]! : "" };
}

export interface ServerOnNode {
  node: string;
  nodeDown: boolean;
  status: string; // JSON, as the node sent it
}

// One server, whole, on each node that reports it.
export function serverOnNodes(sql: SqlStorage, summaries: Summaries, down: DownList, namespace: string, name: string): ServerOnNode[] {
  return [...summaries].flatMap(([node, servers]) => {
    if (!servers.some((server) => server.namespace === namespace && server.name === name)) return [];
    const { servers: all } = JSON.parse(findStatus(sql, node)?.body ?? "{}") as { servers?: { namespace?: string; name: string }[] };
    const status = all?.find((server) => (server.namespace ?? "") === namespace && server.name === name);
    return status === undefined ? [] : [{ node, nodeDown: down.nodes.includes(node), status: JSON.stringify(status) }];
  });
}

export interface ReachableNode {
  node: string;
  tunnel: string;
}

// Where requests for a node go; null for one that was revoked: its machine may be anybody's.
export function tunnelTo(sql: SqlStorage, node: string, now: number): string | null {
  return hasLiveToken(sql, node, now) ? (findNode(sql, node)?.tunnel ?? null) : null;
}

export function readyNodes(
  sql: SqlStorage,
  summaries: Summaries,
  down: DownList,
  namespace: string,
  name: string,
  now: number,
): ReachableNode[] {
  const isIt = (server: ServerSummary) =>
    server.namespace === namespace && server.name === name && server.ready === "True";
  return [...summaries].flatMap(([node, servers]) => {
    if (down.nodes.includes(node) || !servers.some(isIt)) return [];
    const tunnel = tunnelTo(sql, node, now);
    return tunnel === null ? [] : [{ node, tunnel }];
  });
}
