// Uptime from changes of state: a row is written when something goes up or down, not while it stays. Pure.
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

// Of several in one: what was up of all that is known, part by part.
export function meanOf(all: readonly { uptime: Uptime; bars?: (number | null)[] }[]): { uptime: Uptime; bars: (number | null)[] } {
  const upSeconds = all.reduce((sum, each) => sum + each.uptime.upSeconds, 0);
  const knownSeconds = all.reduce((sum, each) => sum + each.uptime.knownSeconds, 0);
  const bars = (all[0]?.bars ?? []).map((_, index) => {
    const known = all.flatMap((each) => each.bars?.[index] ?? []);
    return known.length === 0 ? null : known.reduce((sum, each) => sum + each, 0) / known.length;
  });
  return { uptime: { upSeconds, knownSeconds, ratio: knownSeconds === 0 ? null : upSeconds / knownSeconds }, bars };
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
