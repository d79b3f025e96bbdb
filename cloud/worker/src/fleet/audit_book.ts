// Who did what. A list for people, bounded; the history of the desired state is its own witness, in the snapshots.
import { AUDIT_DAYS, AUDIT_ROWS } from "../limits.js";

export interface Deed {
  who: string;
  what: string; // "restart", "revoke", "change"
  subject: string; // "default/weather", "edge-01", "fleet"
  detail: string;
}
export interface DeedRow extends Deed {
  id: number;
  at: number;
}

const TEXT = 500;

export function noteDeed(sql: SqlStorage, deed: Deed, now: number): void {
  sql.exec(
    "INSERT INTO audit(at,who,what,subject,detail) VALUES(?,?,?,?,?)",
    now,
    deed.who.slice(0, TEXT),
    deed.what.slice(0, TEXT),
    deed.subject.slice(0, TEXT),
    deed.detail.slice(0, TEXT),
  );
}

export function pruneDeeds(sql: SqlStorage, now: number): void {
  sql.exec("DELETE FROM audit WHERE at<?", now - AUDIT_DAYS * 86_400_000);
  sql.exec("DELETE FROM audit WHERE id<=(SELECT max(id) FROM audit)-?", AUDIT_ROWS);
}

// Newest first, those before `before` (an id; 0: from the newest).
export function listDeeds(sql: SqlStorage, before: number, most: number): DeedRow[] {
  return sql
    .exec("SELECT id,at,who,what,subject,detail FROM audit WHERE ?1=0 OR id<?1 ORDER BY id DESC LIMIT ?2", before, most)
    .toArray() as unknown as DeedRow[];
}
