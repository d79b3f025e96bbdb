// Lines of many chunks in one order of time. Pure but for `load`; memory is bounded by the page.
//
// Chunks come in the order of their first line, so what has been collected is final up to the first line of the next
// chunk. Only as many of the earliest lines as the page takes are kept.
import type { Line } from "./chunk.js";

export interface Indexed {
  node: string;
  boot: string;
  seq: number;
  first: number; // milliseconds
  last: number;
}

export interface Placed {
  line: Line;
  node: string;
  key: string; // order, unique
}

// "2026-11-28T07:00:00.123456789Z" → text that sorts like the time, to the nanosecond. "" for what is no time.
export function timeKey(time: string): string {
  const match = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)$/.exec(time);
  const ms = match === null ? Number.NaN : Date.parse(match[1]! + match[3]!);
  if (Number.isNaN(ms)) return "";
  return `${String(Math.floor(ms / 1000)).padStart(12, "0")}.${(match![2] ?? "").padEnd(9, "0")}`;
}

export const keyOf = (line: Line, chunk: Indexed, index: number): string =>
  `${timeKey(line.time)}|${chunk.node}|${chunk.boot}|${String(chunk.seq).padStart(12, "0")}|${String(index).padStart(9, "0")}`;

const msOfKey = (key: string): number => Number(key.slice(0, 12)) * 1000 + Number(key.slice(13, 16));

export interface MergeOptions {
  after: string; // key of the last line of the page before; ""
  from: number; // milliseconds
  until: number;
  wanted: (line: Line) => boolean;
  limit: number;
}

export interface Merged {
  lines: Placed[];
  more: boolean; // there may be more after the last one
  missing: number; // chunks that could not be read
  bad: number; // rows that are no lines
}

export async function mergeLines<C extends Indexed>(
  chunks: readonly C[],
  load: (chunk: C) => Promise<{ lines: { line: Line; index: number }[]; bad: number } | undefined>,
  options: MergeOptions,
): Promise<Merged> {
  let kept: Placed[] = [];
  let dropped = false;
  const merged: Merged = { lines: [], more: false, missing: 0, bad: 0 };
  for (const chunk of chunks) {
    const full = kept.length === options.limit;
    if (full && msOfKey(kept[kept.length - 1]!.key) < chunk.first) {
      dropped = true;
      break;
    }
    const content = await load(chunk);
    if (content === undefined) {
      ++merged.missing;
      continue;
    }
    merged.bad += content.bad;
    for (const { line, index } of content.lines) {
      const key = keyOf(line, chunk, index);
      if (key.startsWith("|")) {
        ++merged.bad;
        continue;
      }
      const ms = msOfKey(key);
      if (ms < options.from || ms >= options.until || key <= options.after || !options.wanted(line)) continue;
      kept.push({ line, node: chunk.node, key });
    }
    kept.sort((a, b) => (a.key < b.key ? -1 : 1));
    if (kept.length > options.limit) dropped = true;
    kept = kept.slice(0, options.limit);
  }
  merged.lines = kept;
  merged.more = dropped;
  return merged;
}
