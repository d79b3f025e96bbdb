// The nodes that are known: enrolled, given a token, or heard of.
import { randomToken } from "../schema/hash.js";
import { judgeNonce } from "./clone.js";

export interface NodeRow {
  node: string;
  created: number;
  last_seen: number; // 0: never. Of a connected node its socket says it, so that no row is written for it
  connected: number;
  tunnel: string | null;
  signing_key: string | null;
  sealing_key: string | null;
  nonce_issued: string;
  nonce_confirmed: string;
  cloned: number;
}

// How stale last_seen may be: a row is billed for each write.
const SEEN_GRAIN_MS = 30_000;

export function findNode(sql: SqlStorage, node: string): NodeRow | undefined {
  return sql.exec("SELECT * FROM nodes WHERE node=?", node).toArray()[0] as NodeRow | undefined;
}

export function allNodes(sql: SqlStorage): NodeRow[] {
  return sql.exec("SELECT * FROM nodes ORDER BY node").toArray() as unknown as NodeRow[];
}

export function countNodes(sql: SqlStorage): number {
  return Number(sql.exec("SELECT count(*) AS n FROM nodes").one().n);
}

export function ensureNode(sql: SqlStorage, node: string, now: number): void {
  sql.exec(
    "INSERT OR IGNORE INTO nodes(node,created,last_seen,connected,nonce_issued,nonce_confirmed,cloned) VALUES(?,?,0,0,'','',0)",
    node,
    now,
  );
}

export function setKeys(sql: SqlStorage, node: string, signing: string, sealing: string): void {
  // A node that joined anew has new credentials: whatever copies of the old ones there were are worth nothing now.
  sql.exec(
    "UPDATE nodes SET signing_key=?, sealing_key=?, nonce_issued='', nonce_confirmed='', cloned=0 WHERE node=?",
    signing,
    sealing,
    node,
  );
}

export function noteSeen(sql: SqlStorage, node: string, at: number): void {
  sql.exec("UPDATE nodes SET last_seen=?1 WHERE node=?2 AND connected=0 AND last_seen<?1-?3", at, node, SEEN_GRAIN_MS);
}

export function noteConnected(sql: SqlStorage, node: string, at: number): void {
  sql.exec("UPDATE nodes SET connected=1, last_seen=?1 WHERE node=?2 AND connected=0", at, node);
}

// Its last socket is gone; `at` is when it was alive for the last time.
export function noteGone(sql: SqlStorage, node: string, at: number): void {
  sql.exec("UPDATE nodes SET connected=0, last_seen=max(last_seen,?1) WHERE node=?2 AND connected=1", at, node);
}

// The number that the node's next connect must present. Flags the node when this one came with a wrong number.
export function exchangeNonce(sql: SqlStorage, node: string, presented: string): { nonce: string; cloned: boolean } {
  const row = findNode(sql, node)!;
  const cloned = judgeNonce({ issued: row.nonce_issued, confirmed: row.nonce_confirmed }, presented) === "clone";
  const nonce = randomToken(16);
  // What was presented is what the node has: the number before it must not be good any more.
  const confirmed = !cloned && presented !== "" ? presented : row.nonce_confirmed;
  sql.exec(
    "UPDATE nodes SET nonce_issued=?, nonce_confirmed=?, cloned=max(cloned,?) WHERE node=?",
    nonce,
    confirmed,
    Number(cloned),
    node,
  );
  return { nonce, cloned };
}

export function confirmNonce(sql: SqlStorage, node: string, nonce: string): void {
  sql.exec(
    "UPDATE nodes SET nonce_confirmed=nonce_issued WHERE node=? AND nonce_issued=? AND nonce_issued<>''",
    node,
    nonce,
  );
}
