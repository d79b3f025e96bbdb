// Immutable values of the last minutes. KV remembers a miss for a minute or more, so a node that asked too early would
// wait; here it finds the value at once. A value is cut into parts because a row of the object's SQLite has 2 MB at most.
import { utf8 } from "../http/body.js";
import { DELETION_MS, NEWS_BYTES, NEWS_VALUES, RECENT_BYTES, RECENT_MS, RECENT_PART_BYTES } from "../limits.js";
import { hashOfKey } from "../schema/desired.js";

const ARRIVED = "key NOT IN (SELECT key FROM outbox WHERE kind='mirror-value')";

export interface Blob {
  key: string;
  value: Uint8Array;
}

// False, and nothing is kept: gc is deleting one of them from KV. A value that was written now would be gone then.
export function rememberBlobs(sql: SqlStorage, blobs: readonly Blob[], now: number): boolean {
  sql.exec("DELETE FROM deleting WHERE until<=?", now);
  const deleting = sql.exec("SELECT 1 FROM deleting LIMIT 1").toArray().length > 0;
  if (deleting && blobs.some(({ key }) => sql.exec("SELECT 1 FROM deleting WHERE key=?", key).toArray().length > 0)) return false;
  for (const { key, value } of blobs) {
    const parts = Math.max(1, Math.ceil(value.byteLength / RECENT_PART_BYTES));
    for (let part = 0; part < parts; ++part) {
      const bytes = value.slice(part * RECENT_PART_BYTES, (part + 1) * RECENT_PART_BYTES);
      sql.exec(
        "INSERT INTO recent(key,part,bytes,at) VALUES(?1,?2,?3,?4) ON CONFLICT(key,part) DO UPDATE SET at=?4",
        key,
        part,
        bytes.buffer,
        now,
      );
    }
  }
  return true;
}

// From now on nobody writes these, until endDeletion. A key that somebody wrote minutes ago ends it at once: its name.
export function beginDeletion(sql: SqlStorage, keys: readonly string[], now: number): string | undefined {
  const written = keys.find((key) => hasRecent(sql, key));
  if (written !== undefined) return written;
  for (const key of keys) sql.exec("INSERT INTO deleting(key,until) VALUES(?,?) ON CONFLICT(key) DO UPDATE SET until=excluded.until", key, now + DELETION_MS);
  return undefined;
}

export function endDeletion(sql: SqlStorage, keys: readonly string[]): void {
  for (const key of keys) sql.exec("DELETE FROM deleting WHERE key=?", key);
}

export function findRecent(sql: SqlStorage, keys: readonly string[]): Blob[] {
  const found: Blob[] = [];
  for (const key of keys) {
    const parts = sql.exec<{ bytes: ArrayBuffer }>("SELECT bytes FROM recent WHERE key=? ORDER BY part", key).toArray();
    if (parts.length > 0) found.push({ key, value: Buffer.concat(parts.map((part) => new Uint8Array(part.bytes))) });
  }
  return found;
}

export function hasRecent(sql: SqlStorage, key: string): boolean {
  return sql.exec("SELECT 1 FROM recent WHERE key=? AND part=0", key).toArray().length > 0;
}

// What was written since, the newest first, as texts; as much as fits. What is no text is no value of ours.
export function newsSince(sql: SqlStorage, since: number): string[] {
  const rows = sql
    .exec<{
      key: string;
      bytes: ArrayBuffer;
    }>("SELECT key, bytes FROM recent WHERE at>=? AND part=0 AND length(bytes)<=? ORDER BY at DESC, rowid DESC LIMIT ?", since, NEWS_BYTES, NEWS_VALUES)
    .toArray();
  const news: string[] = [];
  let room = NEWS_BYTES;
  for (const { key, bytes } of rows) {
    const text = hashOfKey(key) === undefined ? undefined : utf8(new Uint8Array(bytes));
    if (text === undefined || bytes.byteLength > room) continue;
    room -= bytes.byteLength;
    news.push(text);
  }
  return news;
}

// Drops what KV surely answers by now, and the oldest of what is too much; nothing that is on its way to KV yet.
export function pruneRecent(sql: SqlStorage, now: number): void {
  sql.exec(`DELETE FROM recent WHERE at<? AND ${ARRIVED}`, now - RECENT_MS);
  let size = Number(sql.exec("SELECT coalesce(sum(length(bytes)),0) AS n FROM recent").one().n);
  while (size > RECENT_BYTES) {
    const oldest = sql
      .exec<{ key: string; bytes: number }>(
        `SELECT key, sum(length(bytes)) AS bytes FROM recent WHERE ${ARRIVED} GROUP BY key ORDER BY min(at), key LIMIT 1`,
      )
      .toArray()[0];
    if (oldest === undefined) return;
    sql.exec("DELETE FROM recent WHERE key=?", oldest.key);
    size -= oldest.bytes;
  }
}
