// The trust chain: its documents here, where they are judged; KV has copies. Version n is in the chain when n-1 is, and each was
// signed as store/trust/trust.h wants it. One that the head has not moved to yet can be taken back, the newest first; the others
// stay for ever.
import { headFault, parseTrust, successionFault, trustKey, type TrustDocument } from "../schema/trust.js";
import type { Head } from "../schema/desired.js";
import type { Verdict } from "./head_move.js";
import { sha256Hex } from "../schema/hash.js";
import { readNote } from "./tables.js";

export function trustText(sql: SqlStorage, version: number): string | undefined {
  return sql.exec<{ body: string }>("SELECT body FROM trust WHERE version=?", version).toArray()[0]?.body;
}

export function newestTrust(sql: SqlStorage): number {
  return sql.exec<{ newest: number | null }>("SELECT max(version) AS newest FROM trust").one().newest ?? 0;
}

function documentOf(sql: SqlStorage, version: number): TrustDocument | undefined {
  const text = trustText(sql, version);
  const document = text === undefined ? undefined : parseTrust(text);
  if (typeof document === "string") throw new Error(`the stored ${trustKey(version)} is damaged: ${document}`);
  return document;
}

const refused = (status: 400 | 403 | 412, message: string): Verdict => ({ move: false, status, message });

// Puts `text` where `version` is the next. The same bytes again are the same document.
export async function addTrust(sql: SqlStorage, version: number, text: string, absent: boolean): Promise<Verdict> {
  const there = trustText(sql, version);
  if (there !== undefined && absent) return refused(412, "the key exists");
  if (there !== undefined) return there === text ? { move: true } : refused(412, "a trust version is written once");
  const next = parseTrust(text);
  if (typeof next === "string") return refused(400, `${trustKey(version)}: ${next}`);
  if (next.version !== version) return refused(400, `${trustKey(version)}: is of another version`);
  if (version !== newestTrust(sql) + 1) return refused(412, `the next trust document is ${trustKey(newestTrust(sql) + 1)}`);
  const before = trustText(sql, version - 1);
  const fault = await successionFault(documentOf(sql, version - 1), next);
  if (fault !== undefined) return refused(403, fault);
  // The chain may have moved while signatures were verified.
  if (newestTrust(sql) !== version - 1 || trustText(sql, version - 1) !== before) return refused(412, "the trust chain has moved");
  sql.exec("INSERT INTO trust(version,body) VALUES(?,?)", version, text);
  return { move: true };
}

// `inForce`: of the present head.
export function dropTrust(sql: SqlStorage, version: number, inForce: number): Verdict {
  if (version <= inForce) return refused(412, "trust versions are kept");
  if (version < newestTrust(sql)) return refused(412, `${trustKey(newestTrust(sql))} goes first`);
  sql.exec("DELETE FROM trust WHERE version=?", version);
  return { move: true };
}

// Why nodes would not follow this head, and the text of the document that said so: it may be another after a wait.
export async function judgeHead(sql: SqlStorage, head: Head, now: number): Promise<{ by?: string; fault?: string }> {
  if (head.trust === 0) return {};
  const by = trustText(sql, head.trust);
  if (by === undefined) return { fault: `head: of ${trustKey(head.trust)}, which is not there` };
  const fault = await headFault(documentOf(sql, head.trust)!, head, now);
  return fault === undefined ? { by } : { by, fault };
}

// Takes in the documents that a Worker before this table had stored, as far as they are a chain. `read` gives what KV has.
export async function adoptTrust(sql: SqlStorage, read: (key: string) => Promise<string | null>): Promise<void> {
  for (let version = newestTrust(sql) + 1; ; ++version) {
    const sha256 = readNote<string>(sql, `once/${trustKey(version)}`);
    if (sha256 === undefined) return;
    const text = await read(trustKey(version));
    if (text !== null && sha256Hex(text) === sha256 && !(await addTrust(sql, version, text, false)).move) {
      // Nobody's document: the version is free again.
      sql.exec("DELETE FROM notes WHERE key=?", `once/${trustKey(version)}`);
      return;
    }
    if (trustText(sql, version) === undefined) return; // not to be read now
    sql.exec("DELETE FROM notes WHERE key=?", `once/${trustKey(version)}`);
  }
}
