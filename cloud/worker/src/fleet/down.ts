// The list of nodes that are down (architecture §4): a node is on it after a time without a sign of life and off it after
// a time of steady ones (90 s and 120 s, unless the settings say otherwise). When more than a third vanish together it
// is more likely us than them: the list stays as it is and somebody is told. Pure.
import type { Rhythm } from "./rhythm.js";

export interface DownList {
  sequence: number; // rises with each change
  nodes: string[]; // sorted
  frozen: boolean;
}

export interface Seen {
  node: string;
  // Milliseconds of the last pong or request; 0: never.
  last: number;
}

export interface DownState {
  list: DownList;
  // Since when a node of the list shows itself again without a gap, in milliseconds.
  steady: Record<string, number>;
  // Nodes of the list that never came: they are off it with their first sign of life.
  never: string[];
  // When the last sweep looked. A sweep that comes late has seen nothing in between.
  sweptAt: number;
}

export const emptyDown = (): DownState => ({
  list: { sequence: 0, nodes: [], frozen: false },
  steady: {},
  never: [],
  sweptAt: 0,
});

export function decideDown(before: DownState, seen: readonly Seen[], now: number, rhythm: Rhythm): DownState {
  const { downAfterMs, upAfterMs, sweepMs } = rhythm;
  const expected = new Set(before.never);
  const wasDown = new Set(before.list.nodes.filter((node) => !expected.has(node)));
  const silent = (node: Seen) => now - node.last >= downAfterMs;
  // After a time in which we ourselves were away nobody can be blamed for silence yet.
  const away = before.sweptAt !== 0 && now - before.sweptAt > downAfterMs + sweepMs;
  // A node that never came can take nothing, and its absence is no sign that something broke.
  const never = seen.filter((node) => node.last === 0).map((node) => node.node);
  const newlySilent = away ? [] : seen.filter((node) => node.last !== 0 && !wasDown.has(node.node) && silent(node));
  const up = seen.filter((node) => node.last !== 0 && !wasDown.has(node.node)).length;
  const frozen = newlySilent.length > 1 && newlySilent.length * 3 > up;

  const steady: Record<string, number> = {};
  const down = new Set([...never, ...(frozen ? [] : newlySilent.map((node) => node.node))]);
  for (const node of seen) {
    if (!wasDown.has(node.node)) continue;
    if (!silent(node)) steady[node.node] = before.steady[node.node] ?? now;
    const since = steady[node.node];
    if (frozen || since === undefined || now - since < upAfterMs) down.add(node.node);
    else delete steady[node.node];
  }
  const nodes = [...down].sort();
  const changed = frozen !== before.list.frozen || nodes.join("\n") !== before.list.nodes.join("\n");
  const list = changed ? { sequence: before.list.sequence + 1, nodes, frozen } : before.list;
  return { list, steady, never, sweptAt: now };
}
