// Lines of logs as a view keeps them: in the order of time, each as often as it was written, bounded. Pure but for `read`.
export interface Line {
  time: string;
  node: string;
  stream: string;
  text: string;
  server: string; // "namespace/name"
}

export const MOST_LINES = 20_000;
const idOf = (line: Line): string => `${line.time}\n${line.node}\n${line.server}\n${line.text}`;
const earliest = (lines: readonly Line[]): string => lines.reduce((least, { time }) => (time < least ? time : least), lines[0]?.time ?? "");

// Lines that are sealed come again after they came live, and a time is read again after the link was lost. Equal ones of one time may
// as well be several (a server prints the same in one write): as many are kept as one side has.
export function mergeLines(before: readonly Line[], more: readonly Line[], most = MOST_LINES): Line[] {
  if (more.length === 0) return before as Line[];
  const from = earliest(more);
  const here = new Map<string, number>();
  for (let at = before.length - 1; at >= 0 && before[at]!.time >= from; --at) {
    const id = idOf(before[at]!);
    here.set(id, (here.get(id) ?? 0) + 1);
  }
  const fresh = more.filter((line) => {
    const id = idOf(line);
    const left = here.get(id) ?? 0;
    if (left > 0) here.set(id, left - 1);
    return left === 0;
  });
  if (fresh.length === 0) return before as Line[];
  const all = [...before, ...fresh];
  const last = before[before.length - 1];
  const ordered = fresh.every((line, index) => line.time >= (index === 0 ? (last?.time ?? "") : fresh[index - 1]!.time));
  if (!ordered) all.sort((a, b) => (a.time < b.time ? -1 : a.time > b.time ? 1 : 0));
  return all.length > most ? all.slice(all.length - most) : all;
}

// Where the reader of the lines is, in pixels. Who is at the end stays there with each new line, until he scrolls up: an event of scrolling
// may come when there are more lines already, and then it is not he who left the end.
export interface Reader {
  top: number;
  atEnd: boolean;
}
const NEAR_END_PX = 60;
export const scrolled = (before: Reader, box: { scrollTop: number; scrollHeight: number; clientHeight: number }): Reader => ({
  top: box.scrollTop,
  atEnd: box.scrollHeight - box.scrollTop - box.clientHeight < NEAR_END_PX || (before.atEnd && box.scrollTop >= before.top),
});

export const asText = (lines: readonly Line[]): string => lines.map((line) => `${line.time} ${line.node} ${line.server} ${line.stream} ${line.text}\n`).join("");

// Lines of [from, until), milliseconds, the oldest first; `after` is the `next` of the answer before, "" begins and ends.
export type Read = (from: number, until: number, after: string) => Promise<{ lines: Line[]; next: string; missing: number }>;

export interface Part {
  lines: Line[];
  missing: number; // parts of the store that could not be read
  from: number; // all lines from here on are known; `since`: all there are
}

const READS = 24; // for one part
const READS_OF_WINDOW = 3;
const LEAST_MS = 1000;
const FIRST_MS = 60_000;

// The newest lines before `until`, at least `wanted` of them where there are as many. The store reads forward only: so this reads times
// that end where the last one began, longer ones while they have little, shorter ones when they have too much.
export async function readTail(read: Read, since: number, until: number, wanted: number): Promise<Part> {
  const part: Part = { lines: [], missing: 0, from: until };
  let width = FIRST_MS;
  let grows = true;
  for (let reads = 0; part.from > since && part.lines.length < wanted && reads < READS; ) {
    const from = Math.max(since, part.from - width);
    const lines: Line[] = [];
    let missing = 0;
    let next = "";
    let count = 0;
    do {
      const found = await read(from, part.from, next);
      ++reads;
      ++count;
      lines.push(...found.lines);
      missing += found.missing;
      next = found.next;
    } while (next !== "" && (count < READS_OF_WINDOW || width <= LEAST_MS) && reads < READS);
    if (next !== "" && width > LEAST_MS) {
      width = Math.max(LEAST_MS, width / 8);
      grows = false;
      continue;
    }
    part.lines = [...lines, ...part.lines];
    part.missing += missing + (next === "" ? 0 : 1); // a second with more lines than can be read
    part.from = from;
    if (grows) width *= 4;
  }
  return part;
}

// All lines of a time, `most` at most, for a file.
export async function readAll(read: Read, since: number, until: number, most: number, tell: (count: number) => void): Promise<{ lines: Line[]; cut: boolean; missing: number }> {
  const lines: Line[] = [];
  let missing = 0;
  let next = "";
  do {
    const found = await read(since, until, next);
    lines.push(...found.lines);
    missing += found.missing;
    next = found.next;
    tell(lines.length);
  } while (next !== "" && lines.length < most);
  return { lines: lines.slice(0, most), cut: next !== "" || lines.length > most, missing };
}
