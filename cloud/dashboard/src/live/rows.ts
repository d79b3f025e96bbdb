// From what nodes report and what is desired to a row of a table. Pure.
import type { FeedNode, ObjectRow, ServerSummary } from "../api/client";
import { isMeant, verdictOf } from "../lib/conditions";
import { inWords } from "../lib/format";

export type Health = "ready" | "degraded" | "failing" | "pending" | "offline" | "off";
// The worst first: what needs a look.
export const HEALTH_ORDER: Record<Health, number> = { failing: 0, degraded: 1, offline: 2, pending: 3, ready: 4, off: 5 };
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
  ready: number;
  total: number;
  restarts: number;
  tools: number;
  pins: string; // how its tools differ from those that are pinned; "": they don't
  protocol: string;
  endpoint: string; // as one of its nodes reports it, a loopback address where it has no other; "": none does
  revisions: number; // how many at once: more than one while it rolls out
  generation: number; // the newest that a node reports
  nodes: string[];
  on: Readonly<Record<string, Health>>; // how it is on each node
  desired: ObjectRow | undefined;
  labels: Record<string, string>;
  source: string;
  created: string;
  search: string; // lower case: what a filter looks in
  stamp: number; // rises with each change of the row
}

function healthOf(on: readonly OnNode[], desired: ObjectRow | undefined, ready: number): { health: Health; from: OnNode | undefined } {
  if (on.length === 0) return { health: desired?.suspended ? "off" : "pending", from: undefined };
  const alive = on.filter((each) => !each.offline);
  if (alive.length === 0) return { health: "offline", from: on[0] };
  const meant = alive.filter(({ summary }) => !isMeant(summary.reason));
  if (meant.length === 0) return { health: "off", from: alive[0] };
  const bad = meant.find(({ summary }) => summary.ready === "False") ?? meant.find(({ summary }) => summary.ready !== "True");
  if (bad === undefined) return { health: alive.length < on.length ? "degraded" : "ready", from: on.find((each) => each.offline) ?? meant[0] };
  if (ready > 0) return { health: "degraded", from: bad };
  return { health: bad.summary.ready === "False" ? "failing" : "pending", from: bad };
}

const healthOn = ({ offline, summary }: OnNode): Health =>
  offline ? "offline" : isMeant(summary.reason) ? "off" : summary.ready === "True" ? "ready" : summary.ready === "False" ? "failing" : "pending";

export function serverRow(key: string, on: readonly OnNode[], desired: ObjectRow | undefined, stamp: number): ServerRow {
  const slash = key.indexOf("/");
  const namespace = key.slice(0, slash);
  const name = key.slice(slash + 1);
  const ready = on.filter((each) => !each.offline && each.summary.ready === "True").length;
  const { health, from } = healthOf(on, desired, ready);
  const nodes = on.map((each) => each.node).sort();
  const labels = desired?.labels ?? {};
  const reason = from === undefined ? (health === "off" ? "Suspended" : "NotReported") : from.offline ? "NodeOffline" : from.summary.reason;
  const source = desired?.source ?? "";
  const pins = on.find((each) => !each.offline && each.summary.pinsViolated !== "")?.summary.pinsViolated ?? "";
  const revisions = new Set(on.map((each) => each.summary.revision).filter((revision) => revision !== "")).size;
  return {
    key,
    namespace,
    name,
    health,
    reason,
    message: from === undefined ? "no node has reported it yet" : from.offline ? `node ${from.node} gives no sign of life` : from.summary.message,
    ready,
    total: on.length,
    restarts: on.reduce((sum, each) => sum + each.summary.restarts, 0),
    tools: on.reduce((most, each) => Math.max(most, each.summary.tools), 0),
    pins,
    protocol: on.find((each) => each.summary.protocol !== "")?.summary.protocol ?? "",
    endpoint: on.find((each) => each.summary.endpoint)?.summary.endpoint ?? "",
    revisions,
    generation: on.reduce((most, each) => Math.max(most, each.summary.generation), 0),
    nodes,
    on: Object.fromEntries(on.map((each) => [each.node, healthOn(each)])),
    desired,
    labels,
    source,
    created: desired?.created ?? "",
    search: [key, reason, source, pins === "" ? "" : "pins violated", ...nodes.slice(0, 20), ...Object.entries(labels).map(([label, value]) => `${label}=${value}`)].join("\n").toLowerCase(),
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
  ready: number;
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
  return {
    name,
    health,
    reason: health === "offline" ? (down ? "Offline" : "Disconnected") : health === "pending" ? "NotReported" : (bad?.reason ?? ""),
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
    search: [name, feed?.version ?? "", ...(health === "offline" ? [] : troubles.map(({ type }) => type)), ...Object.entries(labels).map(([label, value]) => `${label}=${value}`)].join("\n").toLowerCase(),
  };
}

const countOf = <T>(values: readonly T[]): Map<T, number> => values.reduce((counts, value) => counts.set(value, (counts.get(value) ?? 0) + 1), new Map<T, number>());

// How they are, the best first: [["ready", 3], ["offline", 1]].
export function splitOf(rows: readonly { health: Health }[]): [string, number][] {
  return [...countOf(rows.map(({ health }) => health))].sort(([a], [b]) => HEALTH_ORDER[b] - HEALTH_ORDER[a]).map(([health, count]) => [HEALTH_WORD[health].toLowerCase(), count]);
}

// Which versions nodes that are there run, what most run first.
export function spreadOf(nodes: readonly NodeRow[]): [string, number][] {
  return [...countOf(nodes.filter(({ connected }) => connected).map(({ head }) => head))].sort((a, b) => b[1] - a[1]);
}
