// Uptime from changes of state: a row is written when something goes up or down, not while it stays. What takes no database is pure.
import { UPTIME_SUBJECTS } from "../limits.js";

export interface Transition {
  at: number; // milliseconds
  up: boolean | null; // null: it is meant to be down, which counts as neither
}

export interface Uptime {
  upSeconds: number;
  knownSeconds: number; // since the first transition that is known, within the range
  ratio: number | null; // null while nothing is known
}

// `transitions` in order of time, the last one before `from` included.
export function uptimeWithin(transitions: readonly Transition[], from: number, until: number): Uptime {
  let up = 0;
  let known = 0;
  for (const [index, transition] of transitions.entries()) {
    const start = Math.max(transition.at, from);
    const end = Math.min(transitions[index + 1]?.at ?? until, until);
    if (end <= start || transition.up === null) continue;
    known += end - start;
    if (transition.up) up += end - start;
  }
  return {
    upSeconds: Math.round(up / 1000),
    knownSeconds: Math.round(known / 1000),
    ratio: known === 0 ? null : up / known,
  };
}

// The same for each of `count` equal parts of the time: what a row of bars shows.
export function uptimeBars(transitions: readonly Transition[], from: number, until: number, count: number): (number | null)[] {
  const width = (until - from) / count;
  return Array.from({ length: count }, (_, index) => uptimeWithin(transitions, from + index * width, from + (index + 1) * width).ratio);
}

export interface SubjectUptime {
  subject: string;
  uptime: Uptime;
  bars?: (number | null)[];
}

// Of several in one: what was up of all that is known, part by part.
export function meanOf(subject: string, all: Iterable<SubjectUptime>, count: number): SubjectUptime {
  let upSeconds = 0;
  let knownSeconds = 0;
  const parts = Array.from({ length: count }, () => ({ sum: 0, known: 0 }));
  for (const { uptime, bars } of all) {
    upSeconds += uptime.upSeconds;
    knownSeconds += uptime.knownSeconds;
    for (const [index, part] of parts.entries()) {
      const ratio = bars?.[index] ?? null;
      if (ratio === null) continue;
      part.sum += ratio;
      ++part.known;
    }
  }
  const bars = parts.map(({ sum, known }) => (known === 0 ? null : sum / known));
  return { subject, uptime: { upSeconds, knownSeconds, ratio: knownSeconds === 0 ? null : upSeconds / knownSeconds }, bars };
}

// The `most` worst ones, the worst first; of what nothing is known comes last.
export function worstOf(all: Iterable<SubjectUptime>, most: number): SubjectUptime[] {
  const badness = ({ uptime }: SubjectUptime) => uptime.ratio ?? 2;
  return [...all].sort((a, b) => badness(a) - badness(b) || (a.subject < b.subject ? -1 : 1)).slice(0, most);
}

// Those below `prefix`, by jumps from one to the next.
export function subjectsOf(sql: SqlStorage, prefix: string): string[] {
  return sql
    .exec<{ subject: string }>(
      `WITH RECURSIVE found(subject) AS (SELECT min(subject) FROM transitions WHERE subject>=?1 AND subject<?2
         UNION ALL SELECT (SELECT min(subject) FROM transitions WHERE subject>found.subject AND subject<?2) FROM found WHERE subject IS NOT NULL)
       SELECT subject FROM found WHERE subject IS NOT NULL LIMIT ?3`,
      prefix,
      `${prefix}\uffff`,
      UPTIME_SUBJECTS,
    )
    .toArray()
    .map((row) => row.subject);
}

// Notes that `subject` is up or down from `at` on, when that is news.
export function noteState(sql: SqlStorage, subject: string, up: boolean | null, at: number): boolean {
  const last = sql
    .exec<{ up: number | null }>("SELECT up FROM transitions WHERE subject=? ORDER BY at DESC LIMIT 1", subject)
    .toArray()[0];
  const value = up === null ? null : Number(up);
  if (last !== undefined ? last.up === value : value === null) return false;
  sql.exec(
    "INSERT INTO transitions(subject,at,up) VALUES(?1,?2,?3) ON CONFLICT(subject,at) DO UPDATE SET up=?3",
    subject,
    at,
    value,
  );
  if (up === false)
    sql.exec("INSERT INTO down_since(subject,at) VALUES(?1,?2) ON CONFLICT(subject) DO UPDATE SET at=?2", subject, at);
  else sql.exec("DELETE FROM down_since WHERE subject=?", subject);
  return true;
}

// Cuts the history below `prefix` to nine tenths of `most` rows when it is longer: the oldest go, but for what is the state now.
export function trimTransitions(sql: SqlStorage, prefix: string, most: number): void {
  const end = `${prefix}\uffff`;
  const rows = Number(sql.exec("SELECT count(*) AS n FROM transitions WHERE subject>=? AND subject<?", prefix, end).one().n);
  if (rows <= most) return;
  const excess = rows - Math.floor(most * 0.9);
  const last = sql.exec<{ at: number }>("SELECT at FROM transitions WHERE subject>=? AND subject<? ORDER BY at LIMIT 1 OFFSET ?", prefix, end, excess - 1).one().at;
  sql.exec(
    "DELETE FROM transitions WHERE subject>=?1 AND subject<?2 AND at<=?3 AND (up IS NULL OR at<(SELECT max(at) FROM transitions t WHERE t.subject=transitions.subject))",
    prefix,
    end,
    last,
  );
}

// Transitions of `subject` that matter for [from, until).
export function transitionsOf(sql: SqlStorage, subject: string, from: number, until: number): Transition[] {
  const rows = sql
    .exec<{ at: number; up: number | null }>(
      "SELECT at, up FROM transitions WHERE subject=?1 AND at<?3 AND at>=coalesce((SELECT max(at) FROM transitions WHERE subject=?1 AND at<=?2), ?2) ORDER BY at LIMIT 100000",
      subject,
      from,
      until,
    )
    .toArray();
  return rows.map((row) => ({ at: row.at, up: row.up === null ? null : row.up === 1 }));
}

// Since when each subject with this prefix is down, by subject without the prefix.
export function downSince(sql: SqlStorage, prefix: string): Record<string, number> {
  const rows = sql
    .exec<{ subject: string; at: number }>(
      "SELECT subject, at FROM down_since WHERE subject>=?1 AND subject<?2",
      prefix,
      `${prefix}\uffff`,
    )
    .toArray();
  return Object.fromEntries(rows.map((row) => [row.subject.slice(prefix.length), row.at]));
}
