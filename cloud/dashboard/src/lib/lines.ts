// Lines of logs as a view keeps them: in the order of time, each once, bounded. Pure.
export interface Line {
  time: string;
  node: string;
  stream: string;
  text: string;
  server: string; // "namespace/name"
}

export const MOST_LINES = 5000;
const idOf = (line: Line): string => `${line.time}\n${line.node}\n${line.server}\n${line.text}`;

// Lines that are sealed come again after they came live.
export function mergeLines(before: readonly Line[], more: readonly Line[], most = MOST_LINES): Line[] {
  const seen = new Set(before.slice(-1000).map(idOf));
  const fresh = more.filter((line) => !seen.has(idOf(line)));
  if (fresh.length === 0) return before as Line[];
  const all = [...before, ...fresh];
  const last = before[before.length - 1];
  const ordered = fresh.every((line, index) => line.time >= (index === 0 ? (last?.time ?? "") : fresh[index - 1]!.time));
  if (!ordered) all.sort((a, b) => (a.time < b.time ? -1 : a.time > b.time ? 1 : 0));
  return all.length > most ? all.slice(all.length - most) : all;
}

export const asText = (lines: readonly Line[]): string => lines.map((line) => `${line.time} ${line.node} ${line.server} ${line.stream} ${line.text}\n`).join("");
