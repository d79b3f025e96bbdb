// Statuses of nodes: the newest of each here at once, in KV at most once a minute and only when something changed.
import { METADATA_BYTES, STATUS_MIRROR_MS } from "../limits.js";
import { isUp, NodeStatus, rowOf, type ServerSummary, statusDigest, summaryOf } from "../schema/status.js";
import { post } from "./outbox.js";
import { noteState } from "./uptime.js";

export interface StatusRow {
  node: string;
  body: string;
  metadata: string;
  digest: string;
  boot: string;
  sequence: number;
  summary: string;
  at: number;
  mirrored: string; // digest of what KV has
  mirrored_at: number;
}

// `changes`: servers that went up or down or away. retryAfterSeconds: there were too many.
export type StatusVerdict =
  | { ok: true; news: boolean; sequence: number; changes: number }
  | { ok: false; message: string; retryAfterSeconds?: number };

export function findStatus(sql: SqlStorage, node: string): StatusRow | undefined {
  return sql.exec("SELECT * FROM status WHERE node=?", node).toArray()[0] as StatusRow | undefined;
}

export function summariesOf(sql: SqlStorage): Map<string, ServerSummary[]> {
  const rows = sql.exec<{ node: string; summary: string }>("SELECT node, summary FROM status").toArray();
  return new Map(rows.map((row) => [row.node, JSON.parse(row.summary) as ServerSummary[]]));
}

// The greatest `at` of all: what the feed resumes by rises with each status, whatever the clock does.
export function lastStatusAt(sql: SqlStorage): number {
  return sql.exec<{ at: number | null }>("SELECT max(at) AS at FROM status").one().at ?? 0;
}

// Takes the status that `node` sent as `body`; `at` is kept with it. An older one (of the same boot, with a lower sequence) changes nothing.
export function putStatus(
  sql: SqlStorage,
  node: string,
  body: string,
  metadata: string | undefined,
  now: number,
  at = now,
): StatusVerdict {
  let parsed: unknown;
  try {
    parsed = JSON.parse(body);
  } catch {
    return { ok: false, message: "the status is not JSON" };
  }
  const result = NodeStatus.safeParse(parsed);
  if (!result.success) {
    const issue = result.error.issues[0];
    return { ok: false, message: `the status: ${issue?.path.join(".") ?? ""}: ${issue?.message ?? ""}` };
  }
  const status = result.data;
  if (status.node !== node) return { ok: false, message: "the status is of another node" };
  const before = findStatus(sql, node);
  if (before !== undefined && before.boot === status.bootId && status.sequence <= before.sequence) {
    return { ok: true, news: false, sequence: before.sequence, changes: 0 };
  }
  const own = rowOf(status);
  const row = [metadata ?? own, own].find((text) => Buffer.byteLength(text) <= METADATA_BYTES) ?? "{}";
  let digest: string;
  try {
    digest = statusDigest(parsed);
  } catch {
    return { ok: false, message: "the status is nested too deeply" };
  }
  const servers = summaryOf(status);
  sql.exec(
    `INSERT INTO status(node,body,metadata,digest,boot,sequence,summary,at,mirrored,mirrored_at) VALUES(?1,?2,?3,?4,?5,?6,?7,?8,'',0)
     ON CONFLICT(node) DO UPDATE SET body=?2, metadata=?3, digest=?4, boot=?5, sequence=?6, summary=?7, at=?8`,
    node,
    body,
    row,
    digest,
    status.bootId,
    status.sequence,
    JSON.stringify(servers),
    at,
  );
  if (digest !== before?.digest || digest !== before.mirrored) {
    post(sql, "mirror-status", node, Math.max(now, (before?.mirrored_at ?? 0) + STATUS_MIRROR_MS));
  }
  const changes = noteServers(sql, node, servers, before === undefined ? [] : (JSON.parse(before.summary) as ServerSummary[]), now);
  return { ok: true, news: digest !== before?.digest, sequence: status.sequence, changes };
}

export const serverSubject = (node: string, server: { namespace: string; name: string }) =>
  `server/${node}/${server.namespace}/${server.name}`;

function noteServers(
  sql: SqlStorage,
  node: string,
  now_: readonly ServerSummary[],
  before: readonly ServerSummary[],
  now: number,
): number {
  const left = new Set(before.map((server) => serverSubject(node, server)));
  let changes = 0;
  for (const server of now_) {
    left.delete(serverSubject(node, server));
    changes += Number(noteState(sql, serverSubject(node, server), isUp(server), now));
  }
  for (const subject of left) changes += Number(noteState(sql, subject, null, now)); // it is not placed here any more
  return changes;
}
