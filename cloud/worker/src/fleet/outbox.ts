// What was decided and not yet told: rows written in the same transaction as the decision, removed when the telling
// succeeded. Whoever dies in between is followed by an alarm that tells it. A newer row of the same kind and key takes
// the place of the older one, which nobody needs any more.
import { RETRY_MOST_MS } from "../limits.js";

export type OutboxKind = "broadcast" | "mirror-value" | "mirror-head" | "mirror-token" | "mirror-status" | "webhook";

export interface Letter {
  id: number;
  kind: OutboxKind;
  key: string;
  body: string;
  due: number;
  tries: number;
}

export function post(sql: SqlStorage, kind: OutboxKind, key: string, due: number, body = ""): void {
  // An update keeps the id apart: a delivery that is under way must not remove what was posted meanwhile.
  sql.exec("DELETE FROM outbox WHERE kind=? AND key=?", kind, key);
  sql.exec("INSERT INTO outbox(kind,key,body,due,tries) VALUES(?,?,?,?,0)", kind, key, body, due);
}

export function dueLetters(sql: SqlStorage, kinds: readonly OutboxKind[], now: number): Letter[] {
  return sql
    .exec(
      `SELECT id,kind,key,body,due,tries FROM outbox WHERE due<=? AND kind IN (${kinds.map(() => "?").join()}) ORDER BY id LIMIT 200`,
      now,
      ...kinds,
    )
    .toArray() as unknown as Letter[];
}

export function nextDue(sql: SqlStorage, except: readonly OutboxKind[] = []): number | undefined {
  const due = sql
    .exec<{ due: number | null }>(`SELECT min(due) AS due FROM outbox WHERE kind NOT IN (${except.map(() => "?").join()})`, ...except)
    .one().due;
  return due === null ? undefined : Number(due);
}

export function delivered(sql: SqlStorage, letter: Letter): void {
  sql.exec("DELETE FROM outbox WHERE id=?", letter.id);
}

// Tries again later; gives up after `mostTries`.
export function failed(sql: SqlStorage, letter: Letter, now: number, mostTries: number): void {
  if (letter.tries + 1 >= mostTries) return delivered(sql, letter);
  const wait = Math.min(RETRY_MOST_MS, 1000 * 2 ** Math.min(letter.tries, 16));
  sql.exec("UPDATE outbox SET tries=tries+1, due=? WHERE id=?", now + wait, letter.id);
}
