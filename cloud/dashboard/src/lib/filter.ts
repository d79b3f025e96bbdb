// Filter and sort of the tables. Pure, and quick at ten thousand rows.
import { type Health, HEALTH_ORDER, type NodeRow, type ServerRow } from "../live/rows";
import { orderOf } from "./natural";

export interface ServerFilter {
  text: string; // words; each must be somewhere in the row. "tier=gold" finds a label, "-x" leaves out
  health: Health | "";
  namespace: string;
}
export const wordsOf = (text: string): string[] => text.toLowerCase().split(/\s+/).filter(Boolean);

export function matches(search: string, words: readonly string[]): boolean {
  return words.every((word) => (word.length > 1 && word.startsWith("-") ? !search.includes(word.slice(1)) : search.includes(word)));
}

export function filterServers(rows: readonly ServerRow[], { text, health, namespace }: ServerFilter): ServerRow[] {
  const words = wordsOf(text);
  return rows.filter((row) => (health === "" || row.health === health) && (namespace === "" || row.namespace === namespace) && matches(row.search, words));
}

export function filterNodes(rows: readonly NodeRow[], { text, health }: Omit<ServerFilter, "namespace">): NodeRow[] {
  const words = wordsOf(text);
  return rows.filter((row) => (health === "" || row.health === health) && matches(row.search, words));
}

const by = {
  name: (row: ServerRow) => orderOf(row.name),
  namespace: (row: ServerRow) => orderOf(row.namespace),
  health: (row: ServerRow) => HEALTH_ORDER[row.health],
  ready: (row: ServerRow) => (row.total === 0 ? -1 : row.ready / row.total),
  restarts: (row: ServerRow) => row.restarts,
  tools: (row: ServerRow) => row.tools,
  protocol: (row: ServerRow) => row.protocol,
  created: (row: ServerRow) => row.created,
};
export type ServerSort = keyof typeof by;
export const SERVER_SORTS = Object.keys(by) as ServerSort[];

const byNode = {
  name: (row: NodeRow) => orderOf(row.name),
  health: (row: NodeRow) => HEALTH_ORDER[row.health],
  servers: (row: NodeRow) => row.servers,
  seen: (row: NodeRow) => (row.connected ? Number.POSITIVE_INFINITY : row.lastSeen),
  version: (row: NodeRow) => orderOf(row.version),
  head: (row: NodeRow) => orderOf(row.head),
};
export type NodeSort = keyof typeof byNode;
export const NODE_SORTS = Object.keys(byNode) as NodeSort[];

// Equal ones stay in their order, which is by namespace and name.
function sorted<T>(rows: readonly T[], value: (row: T) => string | number, descending: boolean): T[] {
  const sign = descending ? -1 : 1;
  return rows
    .map((row) => ({ row, value: value(row) }))
    .sort((a, b) => (a.value < b.value ? -sign : a.value > b.value ? sign : 0))
    .map(({ row }) => row);
}
export const sortServers = (rows: readonly ServerRow[], sort: ServerSort, descending: boolean): ServerRow[] => sorted(rows, by[sort], descending);
export const sortNodes = (rows: readonly NodeRow[], sort: NodeSort, descending: boolean): NodeRow[] => sorted(rows, byNode[sort], descending);
