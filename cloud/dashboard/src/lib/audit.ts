// The list of who did what: its newest rows put onto what was read before, what is looked for in it, and what a row is about. Pure.
import type { paths } from "../api/schema";
import { OF_NODE as ALERTS_OF_NODE } from "./alerts";
import { matches } from "./filter";
import { inWords } from "./format";

export type Deed = NonNullable<paths["/v1/audit"]["get"]["responses"]["200"]["content"]["application/json"]["result"]>[number];
export type Place = { node: string } | { namespace: string; name: string };

// Rows are only ever added, at the front. `gap`: between both there are rows that nobody read.
export function joined(newest: readonly Deed[], known: readonly Deed[], page: number): { rows: Deed[]; gap: boolean } {
  const last = newest[newest.length - 1];
  const older = last === undefined ? known : known.filter(({ id }) => id < last.id);
  const gap = known[0] !== undefined && newest.length >= page && last !== undefined && last.id > known[0].id;
  return { rows: [...newest, ...older], gap };
}

export interface DeedFilter {
  words: readonly string[]; // each must be somewhere in the row
  who: string;
  what: string;
}
export function filterDeeds(rows: readonly Deed[], { words, who, what }: DeedFilter): Deed[] {
  return rows.filter(
    (row) => (who === "" || row.who === who) && (what === "" || row.what === what) && (words.length === 0 || matches(`${row.who} ${row.what} ${inWords(row.what)} ${row.subject} ${row.detail}`.toLowerCase(), words)),
  );
}

const OF_SERVER = new Set(["restart", "suspend", "resume", "delete"]);
const OF_NODE = new Set(["declare", "cordon", "uncordon", "drain", "tunnel", "rotate", "revoke", "forget", "token"]);

// undefined: of something that has no page.
export function placeOf({ what, subject }: Pick<Deed, "what" | "subject">): Place | undefined {
  const parts = subject.split("/");
  const [first, second] = parts;
  if (OF_SERVER.has(what) && parts.length === 2) return { namespace: first!, name: second! };
  if (OF_NODE.has(what) && parts.length === 1 && first !== "") return { node: first! };
  if (what !== "acknowledge") return undefined;
  if (parts.length === 4) return { namespace: parts[2]!, name: parts[3]! }; // kind, node, server
  return parts.length === 2 && ALERTS_OF_NODE.has(first!) ? { node: second! } : undefined;
}

// What a change did, its objects as places; one that was deleted, or whose name was cut off, has none.
export function partsOf(detail: string): { text: string; place?: Place }[] {
  const parts: { text: string; place?: Place }[] = [];
  let from = 0;
  for (const found of detail.matchAll(/(?<=^|[ ,])(?:MCPServer\/([^/\s,]+)|MCPNode)\/([^/\s,]+)(?= (?:created|configured)\b)/g)) {
    const [text, namespace, name = ""] = found;
    if (found.index > from) parts.push({ text: detail.slice(from, found.index) });
    parts.push({ text, place: namespace === undefined ? { node: name } : { namespace, name } });
    from = found.index + text.length;
  }
  if (from < detail.length) parts.push({ text: detail.slice(from) });
  return parts;
}
