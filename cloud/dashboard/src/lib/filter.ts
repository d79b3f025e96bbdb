// Filter and sort of the tables. Pure, and quick at ten thousand rows.
import { type Health, HEALTH_ORDER, type ServerRow } from "../live/rows";

export interface ServerFilter {
  text: string; // words; each must be somewhere in the row. "tier=gold" finds a label, "-x" leaves out
  health: Health | "";
  namespace: string;
}
export type ServerSort = "name" | "namespace" | "health" | "ready" | "restarts" | "tools" | "created" | "generation";

export const wordsOf = (text: string): string[] => text.toLowerCase().split(/\s+/).filter(Boolean);

export function matches(search: string, words: readonly string[]): boolean {
  return words.every((word) => (word.length > 1 && word.startsWith("-") ? !search.includes(word.slice(1)) : search.includes(word)));
}

export function filterServers(rows: readonly ServerRow[], { text, health, namespace }: ServerFilter): ServerRow[] {
  const words = wordsOf(text);
  return rows.filter((row) => (health === "" || row.health === health) && (namespace === "" || row.namespace === namespace) && matches(row.search, words));
}

const by: Record<ServerSort, (row: ServerRow) => string | number> = {
  name: (row) => row.name,
  namespace: (row) => row.namespace,
  health: (row) => HEALTH_ORDER[row.health],
  ready: (row) => (row.total === 0 ? -1 : row.ready / row.total),
  restarts: (row) => row.restarts,
  tools: (row) => row.tools,
  created: (row) => row.created,
  generation: (row) => row.generation,
};

// Equal ones stay in their order, which is by namespace and name.
export function sortServers(rows: readonly ServerRow[], sort: ServerSort, descending: boolean): ServerRow[] {
  const value = by[sort];
  const sign = descending ? -1 : 1;
  return rows
    .map((row) => ({ row, value: value(row) }))
    .sort((a, b) => (a.value < b.value ? -sign : a.value > b.value ? sign : 0))
    .map(({ row }) => row);
}
