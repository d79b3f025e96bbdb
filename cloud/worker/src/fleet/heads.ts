// The head: one row, and hashes of those that were.
import { HEAD_HISTORY } from "../limits.js";
import { type Head, parseHead } from "../schema/desired.js";
import { sha256Hex } from "../schema/hash.js";

export interface StoredHead {
  body: string; // as the writer sent it
  etag: string;
  at: number;
}

export function currentHead(sql: SqlStorage): StoredHead | undefined {
  return sql.exec("SELECT body, etag, at FROM head").toArray()[0] as StoredHead | undefined;
}

export function parsedHead(stored: StoredHead): Head {
  const head = parseHead(stored.body);
  if (typeof head === "string") throw new Error(`the stored head is damaged: ${head}`);
  return head;
}

export function writeHead(sql: SqlStorage, body: string, etag: string, now: number): void {
  sql.exec(
    "INSERT INTO head(id,body,etag,at) VALUES(1,?1,?2,?3) ON CONFLICT(id) DO UPDATE SET body=?1, etag=?2, at=?3",
    body,
    etag,
    now,
  );
  sql.exec(
    "INSERT INTO known_heads(sha256,at) VALUES(?1,?2) ON CONFLICT(sha256) DO UPDATE SET at=?2",
    sha256Hex(body),
    now,
  );
  sql.exec(
    "DELETE FROM known_heads WHERE sha256 NOT IN (SELECT sha256 FROM known_heads ORDER BY at DESC, rowid DESC LIMIT ?)",
    HEAD_HISTORY,
  );
}

// KV may give an old head of ours for a while; anything else was written by somebody with a token of the account.
export const OLD_MIRROR_MS = 10 * 60_000;

// What is foreign about the mirror's content; undefined when it is as it must be. Nothing at all proves nothing.
export function foreignMirror(
  sql: SqlStorage,
  mirror: string | null,
  mirroredAt: number,
  now: number,
): string | undefined {
  if (mirror === null) return undefined;
  const current = currentHead(sql);
  if (mirror === current?.body) return undefined;
  const hash = sha256Hex(mirror);
  const known = sql.exec("SELECT 1 FROM known_heads WHERE sha256=?", hash).toArray().length > 0;
  if (!known) return `a head of sha256 ${hash.slice(0, 16)} that this Worker never wrote`;
  if (mirroredAt !== 0 && now - mirroredAt > OLD_MIRROR_MS) return `an old head of sha256 ${hash.slice(0, 16)}`;
  return undefined;
}
