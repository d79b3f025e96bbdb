// The list of who did what: its newest rows put onto what was read before, what is looked for in it, and what a row is about. Pure.
import type { paths } from "../api/schema";
import { OF_NODE as ALERTS_OF_NODE } from "./alerts";
import { WORD } from "./change_words";
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
const textOf = (row: Deed): string => `${row.who} ${row.what} ${verbOf(row.what)} ${row.subject} ${subjectOf(row)} ${row.detail} ${detailOf(row)}`.toLowerCase();
export function filterDeeds(rows: readonly Deed[], { words, who, what }: DeedFilter): Deed[] {
  return rows.filter(
    (row) => (who === "" || row.who === who) && (what === "" || row.what === what) && (words.length === 0 || matches(textOf(row), words)),
  );
}

const OF_SERVER = new Set(["restart", "suspend", "resume", "delete"]);
const OF_NODE = new Set(["declare", "cordon", "uncordon", "drain", "tunnel", "rotate", "revoke", "forget", "token"]);
const OF_JOIN = new Set(["enrol", "end join token"]);

// With who did it before and what it was done to behind, a sentence.
const VERBS: Readonly<Record<string, string>> = {
  acknowledge: "acknowledged",
  change: "changed",
  cordon: "cordoned",
  declare: "declared",
  delete: "deleted",
  drain: "drained",
  "end join token": "ended the join token of",
  enrol: "made a join token for",
  forget: "forgot",
  head: "moved the head of",
  restart: "restarted",
  resume: "resumed",
  revoke: "revoked",
  rollback: "rolled back",
  rotate: "asked for a new token of",
  suspend: "suspended",
  token: "made a token for",
  tunnel: "set the tunnel of",
  uncordon: "uncordoned",
};
export const verbOf = (what: string): string => (Object.hasOwn(VERBS, what) ? VERBS[what]! : inWords(what).toLowerCase());

// Of a join token, which has an id, the node that it is for.
export function subjectOf({ what, subject, detail }: Pick<Deed, "what" | "subject" | "detail">): string {
  if (subject === "fleet") return "the fleet";
  if (OF_JOIN.has(what)) return detail || "a node";
  if (what !== "acknowledge") return subject;
  const [kind = "", ...rest] = subject.split("/");
  const [node, namespace, name] = rest;
  return [inWords(kind), rest.length === 3 ? `${namespace}/${name} on ${node}` : rest.join("/")].filter(Boolean).join(": ");
}

// undefined: of something that has no page.
export function placeOf({ what, subject, detail }: Pick<Deed, "what" | "subject" | "detail">): Place | undefined {
  const parts = subject.split("/");
  const [first, second] = parts;
  if (OF_SERVER.has(what) && parts.length === 2) return { namespace: first!, name: second! };
  if (OF_NODE.has(what) && parts.length === 1 && first !== "") return { node: first! };
  if (OF_JOIN.has(what)) return detail === "" ? undefined : { node: detail };
  if (what !== "acknowledge") return undefined;
  if (parts.length === 4) return { namespace: parts[2]!, name: parts[3]! }; // kind, node, server
  return parts.length === 2 && ALERTS_OF_NODE.has(first!) ? { node: second! } : undefined;
}

// What became of it in the words of the page; nothing where that is said already.
export function detailOf({ what, subject, detail }: Pick<Deed, "what" | "subject" | "detail">): string {
  if ((OF_SERVER.has(what) || OF_NODE.has(what)) && /^MCP(Server|Node)\/\S+ \w+$/.test(detail) && detail.slice(detail.indexOf("/") + 1, detail.lastIndexOf(" ")) === subject) return "";
  if (OF_JOIN.has(what)) return "";
  return detail.replaceAll(/ configured\b/g, ` ${WORD.configured}`);
}

// What a change did, its objects as places; one that was deleted, or whose name was cut off, has none.
export function partsOf(detail: string): { text: string; place?: Place }[] {
  const parts: { text: string; place?: Place }[] = [];
  let from = 0;
  for (const found of detail.matchAll(/(?<=^|[ ,])(?:MCPServer\/([^/\s,]+)|MCPNode)\/([^/\s,]+)(?= (?:created|configured|changed)\b)/g)) {
    const [text, namespace, name = ""] = found;
    if (found.index > from) parts.push({ text: detail.slice(from, found.index) });
    parts.push({ text, place: namespace === undefined ? { node: name } : { namespace, name } });
    from = found.index + text.length;
  }
  if (from < detail.length) parts.push({ text: detail.slice(from) });
  return parts;
}
