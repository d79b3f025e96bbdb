// Where a server is placed, as each node decides it for itself and mcpctl counts it: controller/placement/place.h, whose hashes are part of
// the protocol. Pure.
import type { ObjectRow } from "../api/client";
import { hashOfText } from "../lib/sha256";

type Labels = Readonly<Record<string, string>>;
type Wide = readonly [number, number]; // 64 bits: high, low

function timesHigh(a: number, b: number): number {
  const [a0, a1, b0, b1] = [a & 0xffff, a >>> 16, b & 0xffff, b >>> 16];
  const middle = a1 * b0 + ((a0 * b0) >>> 16);
  return a1 * b1 + (middle >>> 16) + ((a0 * b1 + (middle & 0xffff)) >>> 16);
}
const times = ([ah, al]: Wide, [bh, bl]: Wide): Wide => [(timesHigh(al, bl) + Math.imul(ah, bl) + Math.imul(al, bh)) >>> 0, Math.imul(al, bl) >>> 0];
const folded = ([high, low]: Wide, by: number): Wide => [(high ^ (high >>> by)) >>> 0, (low ^ ((low >>> by) | (high << (32 - by)))) >>> 0];
// The finalizer of splitmix64.
const mixed = (x: Wide): Wide => folded(times(folded(times(folded(x, 30), [0xbf58476d, 0x1ce4e5b9]), 27), [0x94d049bb, 0x133111eb]), 31);
const plus = ([ah, al]: Wide, [bh, bl]: Wide): Wide => [(ah + bh + (al + bl > 0xffffffff ? 1 : 0)) >>> 0, (al + bl) >>> 0];

// Whether the node is one of those that `server` names or selects; an empty list names nobody in particular.
export function matchesPlacement({ nodes, selector }: Pick<ObjectRow, "nodes" | "selector">, node: string, labels: Labels): boolean {
  if (nodes !== null && nodes.length > 0 && !nodes.includes(node)) return false;
  if (selector !== null) for (const label in selector) if (labels[label] !== selector[label]) return false;
  return true;
}

const NONE: Labels = {};

export class DeclaredNodes {
  private readonly nodes = new Map<string, { row: ObjectRow; hash: Wide }>();
  private readonly answers = new WeakMap<ObjectRow, { down: ReadonlySet<string>; placed: ReadonlySet<string> }>();

  constructor(rows: Iterable<ObjectRow> = []) {
    for (const row of [...rows].sort((a, b) => (a.name < b.name ? -1 : 1))) this.nodes.set(row.name, { row, hash: hashOfText(row.name) });
  }
  find(name: string): ObjectRow | undefined {
    return this.nodes.get(name)?.row;
  }
  names(): Iterable<string> {
    return this.nodes.keys();
  }
  matches(server: ObjectRow, node: string): boolean {
    return matchesPlacement(server, node, this.find(node)?.labels ?? NONE);
  }
  // Of a server without replicas: whether it runs there.
  takes(server: ObjectRow, node: string): boolean {
    return !this.find(node)?.unschedulable && this.matches(server, node);
  }
  // Of a server with replicas: the nodes that run it. `down` is another set when it has changed: an answer is good until then.
  place(server: ObjectRow, down: ReadonlySet<string>): ReadonlySet<string> {
    const known = this.answers.get(server);
    if (known?.down === down) return known.placed;
    const placed = this.choose(server, down);
    this.answers.set(server, { down, placed });
    return placed;
  }

  private choose(server: ObjectRow, down: ReadonlySet<string>): ReadonlySet<string> {
    const fit = [...this.nodes.values()].filter(({ row }) => !row.unschedulable && !row.drained && !down.has(row.name) && matchesPlacement(server, row.name, row.labels));
    const wanted = server.replicas ?? fit.length;
    if (fit.length <= wanted) return new Set(fit.map(({ row }) => row.name));
    const own = mixed(hashOfText(`${server.namespace}/${server.name}`));
    return new Set(
      fit
        .map(({ row, hash }) => ({ name: row.name, score: mixed(plus(own, hash)) }))
        .sort(({ score: [ah, al] }, { score: [bh, bl] }) => bh - ah || bl - al)
        .slice(0, wanted)
        .map(({ name }) => name),
    );
  }
}

// Why nobody takes a server without replicas, in words. `known`: the nodes that have come.
export function whyNowhere(server: ObjectRow, declared: DeclaredNodes, known: Iterable<string>): string {
  const all = new Set([...known, ...declared.names()]);
  if (all.size === 0) return "there is no node yet";
  const matching = [...all].filter((node) => declared.matches(server, node));
  if (matching.length > 0) return matching.some((node) => !declared.find(node)?.unschedulable) ? "no node that matches its placement has come yet" : "every node that matches its placement is cordoned or drained";
  const asked = [server.nodes?.length ? `nodes ${server.nodes.slice(0, 5).join(", ")}` : "", ...Object.entries(server.selector ?? {}).map(([label, value]) => `${label}=${value}`)].filter(Boolean).join(", ");
  return `no node matches its placement${asked === "" ? "" : ` (${asked})`}`;
}
