// What is typed: YAML with one or more objects, and where in the text each field stands. Pure.
import { isMap, isPair, isSeq, LineCounter, parseAllDocuments, type Document, type Node } from "yaml";
import type { Violation } from "../api/client";

export interface Fault {
  from: number; // offsets in the text
  to: number;
  message: string;
  hint?: string; // what would be right, where that is long
}
export interface Parsed {
  objects: { value: unknown; document: Document.Parsed }[];
  faults: Fault[];
}

const MOST_BYTES = 4_000_000;
const MOST_ALIASES = 100;

export function parseManifest(text: string): Parsed {
  const faults: Fault[] = [];
  if (text.length > MOST_BYTES) return { objects: [], faults: [{ from: 0, to: 1, message: "is larger than 4 MB: use mcpctl apply" }] };
  const lines = new LineCounter();
  const documents = parseAllDocuments(text, { lineCounter: lines, uniqueKeys: true, version: "1.2", prettyErrors: false });
  const objects: Parsed["objects"] = [];
  for (const document of documents as Document.Parsed[]) {
    for (const error of [...document.errors, ...document.warnings]) faults.push({ from: error.pos[0], to: Math.max(error.pos[1], error.pos[0] + 1), message: error.message });
    if (document.errors.length > 0 || document.contents === null) continue;
    try {
      const value = document.toJS({ maxAliasCount: MOST_ALIASES }) as unknown;
      if (value !== null) objects.push({ value, document }); // nothing between two "---"
    } catch (error) {
      faults.push({ from: document.range[0], to: document.range[0] + 1, message: (error as Error).message });
    }
  }
  return { objects, faults };
}

// "spec.env[2].name", "metadata.labels[a.b/c]" → its parts.
export function partsOf(path: string): (string | number)[] {
  const parts: (string | number)[] = [];
  for (const [, name, bracket] of path.matchAll(/([^.[\]]+)|\[([^\]]*)\]/g)) {
    if (name !== undefined) parts.push(name);
    else parts.push(/^\d+$/.test(bracket!) ? Number(bracket) : bracket!);
  }
  return parts;
}

// Where the field stands, its value or, with `key`, its name; for one that is not there, its nearest ancestor's name.
export function rangeOf(document: Document.Parsed, path: string, key = false): { from: number; to: number } {
  let node = document.contents as Node | null;
  let found = { from: node?.range?.[0] ?? 0, to: (node?.range?.[0] ?? 0) + 1 };
  for (const part of partsOf(path)) {
    if (isMap(node)) {
      const pair = node.items.find((item) => isPair(item) && String((item.key as { value?: unknown }).value) === String(part));
      if (pair === undefined) break;
      const name = pair.key as Node;
      const value = pair.value as Node | null;
      found = { from: name.range?.[0] ?? found.from, to: name.range?.[1] ?? found.to };
      if (!key && value !== null && !isMap(value) && !isSeq(value) && value.range) found = { from: value.range[0], to: Math.max(value.range[1], value.range[0] + 1) };
      node = value;
    } else if (isSeq(node) && typeof part === "number") {
      const item = node.items[part] as Node | undefined;
      if (item?.range === undefined || item.range === null) break;
      found = { from: item.range[0], to: Math.max(item.range[1], item.range[0] + 1) };
      node = item;
    } else break;
  }
  return found;
}

// The name that was meant, if one is near enough: as mcpctl finds it (Nearest of base/strings.cc).
export function nearest(word: string, names: readonly string[]): string | undefined {
  const typed = word.toLowerCase();
  let found: string | undefined;
  let least = Math.max(1, Math.floor(word.length / 3)) + 1;
  for (const name of names) {
    let row = Array.from({ length: name.length + 1 }, (_, at) => at);
    for (const [at, letter] of [...typed].entries())
      row = row.reduce<number[]>((next, above, column) => [...next, column === 0 ? at + 1 : Math.min(above + 1, next[column - 1]! + 1, row[column - 1]! + (letter === name[column - 1]!.toLowerCase() ? 0 : 1))], []);
    if (row[name.length]! >= least) continue;
    least = row[name.length]!;
    found = name;
  }
  return found;
}

const UNKNOWN = /^(is no known|unknown) field/; // as the Worker says it, and mcplet
const NAMES = 6; // that are listed: completion has them all
const MUST: Readonly<Record<string, string>> = { object: "an object", array: "a list", string: "text", integer: "a whole number", number: "a number", boolean: "true or false" };

function wordsOf({ path, problem, allowed }: Violation): Pick<Fault, "message" | "hint"> {
  const of = path === "" ? "" : `${path}: `;
  if (UNKNOWN.test(problem)) {
    const names = allowed.split(", ").filter(Boolean);
    const meant = nearest(String(partsOf(path).at(-1) ?? ""), names);
    if (meant !== undefined) return { message: `${of}${problem}, did you mean ${meant}?` };
    const more = names.length - NAMES;
    return { message: of + problem, ...(names.length > 0 && { hint: `allowed: ${names.slice(0, NAMES).join(", ")}${more > 0 ? ` and ${more} more` : ""}` }) };
  }
  if (/^is (an? \w+|empty)$/.test(problem) && MUST[allowed] !== undefined) return { message: `${of}must be ${MUST[allowed]}` };
  return { message: `${of}${problem}${allowed === "" ? "" : `\nallowed: ${allowed}`}` };
}

export function faultsOf(parsed: Parsed, violations: readonly (readonly Violation[])[]): Fault[] {
  return parsed.objects.flatMap(({ document }, index) => (violations[index] ?? []).map((violation) => ({ ...rangeOf(document, violation.path, UNKNOWN.test(violation.problem)), ...wordsOf(violation) })));
}
