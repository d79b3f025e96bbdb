// What needs attention, the worst first: nodes, servers and alerts in one list. Pure.
import type { Alert } from "../api/client";
import { type Health, HEALTH_ORDER, type NodeRow, type ServerRow } from "../live/rows";
import { agoOf, inWords, plural } from "./format";

const MINUTE = 60_000;
const SERVER_MS = 2 * MINUTE; // that a node may take to report what is new
const NODE_MS = 10 * MINUTE; // that a person may take from declaring a node to joining it
// These say of a node or a server what its own row says, or the page's banner.
const SAID_ELSEWHERE = new Set<string>(["NodeOffline", "ServerNotReady", "CrashLoop", "ToolPinViolated", "CloneSuspected", "ManyAlerts", "DownListFrozen"]);

export const isIll = ({ health }: { health: Health }): boolean => HEALTH_ORDER[health] <= HEALTH_ORDER.offline;

type Item = ({ kind: "alert"; alert: Alert } | { kind: "node"; row: NodeRow } | { kind: "server"; row: ServerRow }) & { key: string; rank: number; note: string };

function ofNode(row: NodeRow, now: number): { rank: number; note: string } | undefined {
  if (row.cloned) return { rank: HEALTH_ORDER.failing, note: "two machines seem to use its credentials" };
  if (isIll(row)) return { rank: HEALTH_ORDER[row.health], note: row.health === "offline" && row.lastSeen > 0 ? `seen ${agoOf(row.lastSeen, now)}` : row.message };
  const declared = Date.parse(row.desired?.created ?? "");
  if (row.lastSeen === 0 && now - declared > NODE_MS) return { rank: HEALTH_ORDER.pending, note: `declared ${agoOf(declared, now)} and has never come: run the join command there, or forget it` };
  return undefined;
}

const CAUSES = 3;
const KIND = { alert: 0, node: 1, server: 2 };
export const whyOf = ({ reason, message }: ServerRow): string => [inWords(reason), message].filter(Boolean).join(": ");

// Of ten thousand, with each change: nothing is put in words of those that are well.
function ofServer(row: ServerRow, now: number): { rank: number; note: string } | undefined {
  if (isIll(row)) return { rank: HEALTH_ORDER[row.health], note: whyOf(row) };
  if (row.pins !== "") return { rank: HEALTH_ORDER.degraded, note: row.pins };
  if (row.health === "pending" && now - row.since > SERVER_MS) return { rank: HEALTH_ORDER.pending, note: whyOf(row) };
  return undefined;
}

export function attentionOf(servers: readonly ServerRow[], nodes: readonly NodeRow[], open: readonly Alert[], now: number): Item[] {
  const items: Item[] = [];
  for (const alert of open) if (alert.severity === "critical" && alert.acknowledged === null && !SAID_ELSEWHERE.has(alert.kind)) items.push({ kind: "alert", key: `alert ${alert.key}`, alert, rank: HEALTH_ORDER.failing, note: alert.message });
  const away = new Map(nodes.filter(({ health }) => health === "offline").map(({ name }) => [name, 0]));
  for (const row of servers) {
    const found = ofServer(row, now);
    if (found === undefined) continue;
    // What a node that is away makes of its servers is said of the node.
    const missed = row.reason === "NodeOffline" && row.pins === "" ? Object.keys(row.on).filter((node) => row.on[node] === "offline" && away.has(node)) : [];
    for (const node of missed) away.set(node, away.get(node)! + 1);
    if (missed.length === 0) items.push({ kind: "server", key: row.key, row, ...found });
  }
  // Those whose being away makes the most of it are no less than what fails by itself; not so many that they hide that.
  const causes = new Set([...away].filter(([, missed]) => missed > 0).sort(([, a], [, b]) => b - a).slice(0, CAUSES).map(([name]) => name));
  for (const row of nodes) {
    const found = ofNode(row, now);
    const missed = away.get(row.name) ?? 0;
    if (found !== undefined) items.push({ kind: "node", key: row.name, row, rank: causes.has(row.name) ? HEALTH_ORDER.failing : found.rank, note: missed === 0 ? found.note : [found.note, `${plural(missed, "server")} less there`].filter(Boolean).join("; ") });
  }
  // Of equals what may be the cause comes first: alerts of the fleet, nodes, then servers.
  return items.sort((a, b) => a.rank - b.rank || KIND[a.kind] - KIND[b.kind]);
}

// Alerts that are open, and how many of them nobody has acknowledged; undefined: not known. What was read and can't be read again is no answer.
export function openOf({ data, isError }: { data: readonly Alert[] | undefined; isError: boolean }): { open: readonly Alert[]; fresh: number | undefined; note: string; tone: "good" | "bad" | "" } {
  const open = data?.filter(({ cleared }) => cleared === null) ?? [];
  if (isError) return { open, fresh: undefined, note: "could not be read", tone: "" };
  if (data === undefined) return { open, fresh: undefined, note: "being read", tone: "" };
  const fresh = open.filter(({ acknowledged }) => acknowledged === null).length;
  return { open, fresh, note: open.length > fresh ? `${open.length - fresh} more acknowledged` : fresh === 0 ? "nothing is wrong" : "to be looked at", tone: fresh === 0 ? "good" : "bad" };
}
