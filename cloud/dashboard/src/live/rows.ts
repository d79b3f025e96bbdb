// From what nodes report and what is desired to a row of a table. Pure.
import type { FeedNode, ObjectRow, ServerSummary } from "../api/client";
import { isMeant, verdictOf } from "../lib/conditions";
import { agoOf, inWords } from "../lib/format";
import { byName } from "../lib/natural";
import { DeclaredNodes, whyNowhere } from "./placement";

export const NAMED = 20; // nodes of a server whose names a row has, of those that are missing too
export type Health = "ready" | "degraded" | "failing" | "pending" | "offline" | "off";
// The worst first: what needs a look.
export const HEALTH_ORDER: Record<Health, number> = { failing: 0, degraded: 1, offline: 2, pending: 3, ready: 4, off: 5 };
export const HEALTHS = Object.keys(HEALTH_ORDER) as Health[];
export const HEALTH_WORD: Record<Health, string> = {
  ready: "Ready",
  degraded: "Degraded",
  failing: "Not ready",
  pending: "Pending",
  offline: "Offline",
  off: "Off",
};

export interface OnNode {
  node: string;
  offline: boolean;
  summary: ServerSummary;
}

export interface ServerRow {
  key: string; // "namespace/name"
  namespace: string;
  name: string;
  health: Health;
  reason: string;
  message: string;
  ready: number; // nodes that have the desired generation Ready
  total: number; // how many should: the replicas, else the nodes that it is placed on
  restarts: number;
  tools: number;
  pins: string; // how its tools differ from those that are pinned; "": they don't
  protocol: string;
  endpoint: string; // as one of its nodes reports it, a loopback address where it has no other; "": none does
  generations: readonly number[]; // what each node that counts and reports it has seen
  generation: number; // the oldest of these
  nodes: string[]; // that report it
  missing: readonly string[]; // that it is placed on and that have not reported it
  on: Readonly<Record<string, Health>>; // how it is on each node
  desired: ObjectRow | undefined;
  since: number; // milliseconds; when what is desired came to be so. Infinity: not known
  labels: Record<string, string>;
  source: string;
  created: string;
  search: string; // lower case: what a filter looks in
  stamp: number; // rises with each change of the row
}

// What decides where a server should be.
export interface Placing {
  declared: DeclaredNodes;
  down: ReadonlySet<string>;
  known: ReadonlyMap<string, boolean>; // the nodes that have come: whether each is away
}
export const NOWHERE: Placing = { declared: new DeclaredNodes(), down: new Set(), known: new Map() };

// A node that counts: one that the server is placed on, or reports it where no number of replicas says which.
interface Place {
  node: string;
  health: Health;
  reason: string;
  message: string;
  lags?: boolean; // it has to hear of it yet, or of its newest generation: that passes by itself
}
interface View {
  total: number;
  places: readonly Place[];
  counted: readonly OnNode[];
  missing: readonly string[];
}

const healthOn = ({ offline, summary }: OnNode): Health =>
  offline ? "offline" : isMeant(summary.reason) ? "off" : summary.ready === "True" ? "ready" : summary.ready === "False" ? "failing" : "pending";

// Of a server without replicas: the nodes that have come and should have it.
function* takers(desired: ObjectRow, declared: DeclaredNodes, known: ReadonlyMap<string, boolean>): Iterable<string> {
  for (const node of desired.nodes?.length ? new Set(desired.nodes) : known.keys()) if (known.has(node) && declared.takes(desired, node)) yield node;
}

// As mcpctl counts (ViewOf, IsReady, Merged of cli/fleet.cc): a node that has not seen the desired generation is not Ready, and one that
// should have the server and does not report it counts, too.
function viewOf(on: readonly OnNode[], desired: ObjectRow | undefined, { declared, down, known }: Placing): View {
  const placed = desired === undefined || desired.replicas === null ? undefined : declared.place(desired, down);
  const counted = placed === undefined ? on : on.filter(({ node }) => placed.has(node));
  const there = new Set(counted.map(({ node }) => node));
  const missing = desired === undefined ? [] : [...(placed ?? takers(desired, declared, known))].filter((node) => !there.has(node));
  const places = [
    ...counted.map((each): Place => {
      const { node, offline, summary } = each;
      if (offline) return { node, health: "offline", reason: "NodeOffline", message: `node ${node} gives no sign of life` };
      if (desired !== undefined && summary.generation !== desired.generation) return { node, health: "pending", reason: "Progressing", message: `${node} has not seen generation ${desired.generation} yet`, lags: true };
      return { node, health: healthOn(each), reason: summary.reason, message: summary.message };
    }),
    ...missing.map(
      (node): Place =>
        desired?.suspended
          ? { node, health: "off", reason: "Suspended", message: "" }
          : known.get(node) === true
            ? { node, health: "offline", reason: "NodeOffline", message: `node ${node} gives no sign of life` }
            : { node, health: "pending", reason: "NotReported", message: `${node} has not reported it yet`, lags: true },
    ),
  ];
  return { total: desired?.replicas ?? places.length, places, counted, missing };
}

type Said = Pick<ServerRow, "health" | "reason" | "message">;

function saidOf({ places, total }: View, desired: ObjectRow | undefined, ready: number, { declared, known }: Placing): Said {
  const as = (health: Health, { reason, message }: Omit<Said, "health">): Said => ({ health, reason, message });
  if (places.every(({ health }) => health === "off")) {
    if (places[0] !== undefined) return as("off", places[0]);
    if (desired?.suspended) return as("off", { reason: "Suspended", message: "" });
  }
  const alive = places.filter(({ health }) => health !== "offline");
  if (alive.length === 0 && places[0] !== undefined) return as("offline", places[0]);
  const meant = alive.filter(({ health }) => health !== "off");
  if (meant.length === 0 && alive[0] !== undefined) return as("off", alive[0]);
  const bad = meant.find(({ health }) => health === "failing");
  if (bad !== undefined) return as(ready > 0 ? "degraded" : "failing", bad);
  if (places.length < total && !desired?.suspended)
    return as(ready > 0 ? "degraded" : "failing", { reason: "TooFewNodes", message: `${total} replicas are wanted; nodes that match, are schedulable and not down: ${places.length}` });
  if (places.length === 0) return as("pending", desired === undefined ? { reason: "NotReported", message: "no node has reported it yet" } : { reason: "NoNode", message: whyNowhere(desired, declared, known.keys()) });
  const open = meant.find(({ health, lags }) => health === "pending" && !lags) ?? meant.find(({ health }) => health === "pending");
  if (open !== undefined) return as(ready > 0 && !open.lags ? "degraded" : "pending", open);
  return alive.length < places.length ? as("degraded", places.find(({ health }) => health === "offline")!) : as("ready", meant[0]!);
}

export function serverRow(key: string, on: readonly OnNode[], desired: ObjectRow | undefined, stamp: number, placing: Placing = NOWHERE, since = Number.POSITIVE_INFINITY): ServerRow {
  const slash = key.indexOf("/");
  const namespace = key.slice(0, slash);
  const name = key.slice(slash + 1);
  const view = viewOf(on, desired, placing);
  const ready = view.places.filter(({ health }) => health === "ready").length;
  const { health, reason, message } = saidOf(view, desired, ready, placing);
  const nodes = on.map((each) => each.node).sort(byName);
  const labels = desired?.labels ?? {};
  const source = desired?.source ?? "";
  const pins = on.find((each) => !each.offline && each.summary.pinsViolated !== "")?.summary.pinsViolated ?? "";
  const generations = view.counted.map(({ summary }) => summary.generation);
  return {
    key,
    namespace,
    name,
    health,
    reason,
    message,
    ready,
    total: view.total,
    restarts: view.counted.reduce((sum, each) => sum + each.summary.restarts, 0),
    tools: on.reduce((most, each) => Math.max(most, each.summary.tools), 0),
    pins,
    protocol: on.find((each) => each.summary.protocol !== "")?.summary.protocol ?? "",
    endpoint: on.find((each) => each.summary.endpoint)?.summary.endpoint ?? "",
    generations,
    generation: generations.length === 0 ? 0 : Math.min(...generations),
    nodes,
    missing: view.missing.slice(0, NAMED),
    on: Object.fromEntries(on.map((each) => [each.node, healthOn(each)])),
    desired,
    since,
    labels,
    source,
    created: desired?.created ?? "",
    search: [key, reason, source, pins === "" ? "" : "pins violated", ...nodes.slice(0, NAMED), ...Object.entries(labels).map(([label, value]) => `${label}=${value}`)].join("\n").toLowerCase(),
    stamp,
  };
}

export interface NodeRow {
  name: string;
  health: Health;
  reason: string;
  message: string;
  connected: boolean;
  down: boolean;
  cloned: boolean;
  lastSeen: number;
  version: string;
  head: string;
  runtimes: string[];
  conditions: FeedNode["conditions"];
  capacity: FeedNode["capacity"]; // 0: not known
  servers: number;
  ready: number; // of one that is offline: as it said last
  desired: ObjectRow | undefined;
  labels: Record<string, string>;
  unschedulable: boolean;
  drained: boolean;
  search: string;
}

// `feed` is undefined for a node that is declared and was never heard of.
export function nodeRow(name: string, feed: FeedNode | undefined, servers: readonly ServerSummary[], down: boolean, desired: ObjectRow | undefined): NodeRow {
  const conditions = feed?.conditions ?? [];
  const ready = conditions.find(({ type }) => type === "Ready");
  const troubles = conditions.filter((condition) => condition.type !== "Ready" && verdictOf(condition) === "bad");
  const health: Health =
    feed === undefined || feed.lastSeen === 0
      ? "pending"
      : down || !feed.connected
        ? "offline"
        : ready?.status === "False"
          ? "failing"
          : ready?.status !== "True"
            ? "pending"
            : troubles.length > 0
              ? "degraded"
              : "ready";
  const bad = health === "degraded" ? troubles[0] : ready;
  const labels = desired?.labels ?? {};
  const reason = health === "offline" ? (down ? "Offline" : "Disconnected") : health === "pending" ? "NotReported" : (bad?.reason ?? "");
  return {
    name,
    health,
    reason,
    message:
      health === "offline"
        ? "no sign of life; what it runs goes on by itself"
        : health === "degraded"
          ? troubles.map(({ reason, message }) => [inWords(reason ?? ""), message].filter(Boolean).join(": ")).join("; ")
          : (ready?.message ?? ""),
    connected: feed?.connected ?? false,
    down,
    cloned: feed?.cloned ?? false,
    lastSeen: feed?.lastSeen ?? 0,
    version: feed?.version ?? "",
    head: feed?.head ?? "",
    runtimes: feed?.runtimes ?? [],
    conditions,
    capacity: feed?.capacity ?? { cpus: 0, memoryBytes: 0, diskBytes: 0 },
    servers: servers.length,
    ready: servers.filter((server) => server.ready === "True").length,
    desired,
    labels,
    unschedulable: desired?.unschedulable ?? false,
    drained: desired?.drained ?? false,
    search: [
      name,
      feed?.version ?? "",
      HEALTH_WORD[health],
      reason,
      ...(health === "offline" ? [] : troubles.flatMap(({ type, reason: why }) => [type, why ?? ""])),
      ...(feed?.runtimes ?? []),
      ...(desired?.unschedulable ? ["cordoned"] : []),
      ...(desired?.drained ? ["drained"] : []),
      ...(feed?.cloned ? ["copied"] : []),
      ...Object.entries(labels).map(([label, value]) => `${label}=${value}`),
    ]
      .join("\n")
      .toLowerCase(),
  };
}

// How many of a node's servers are ready; of one that is away that is what it said last.
export const readyText = ({ health, ready, servers }: NodeRow): string => `${health === "offline" && servers > 0 ? "was " : ""}${ready}/${servers}`;
export const readyWords = ({ health, ready, servers }: NodeRow): string => `${ready} of ${servers}${health === "offline" && servers > 0 ? ", as last reported" : ""}`;
export const seenText = ({ connected, lastSeen }: NodeRow, now = Date.now()): string => (connected ? "now" : lastSeen === 0 ? "never" : agoOf(lastSeen, now));

const countOf = <T>(values: readonly T[]): Map<T, number> => values.reduce((counts, value) => counts.set(value, (counts.get(value) ?? 0) + 1), new Map<T, number>());

// How they are, the best first: [["ready", 3], ["offline", 1]].
export function splitOf(rows: readonly { health: Health }[]): [string, number][] {
  return [...countOf(rows.map(({ health }) => health))].sort(([a], [b]) => HEALTH_ORDER[b] - HEALTH_ORDER[a]).map(([health, count]) => [HEALTH_WORD[health].toLowerCase(), count]);
}

export const isThere = ({ connected, down }: NodeRow): boolean => connected && !down;

// Which versions nodes that are there run, what most run first.
export function spreadOf(nodes: readonly NodeRow[]): [string, number][] {
  return [...countOf(nodes.filter(isThere).map(({ head }) => head))].sort((a, b) => b[1] - a[1]);
}
