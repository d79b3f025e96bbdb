// What is typed: YAML with one or more objects, and where in the text each field stands. Pure.
import { isMap, isPair, isSeq, LineCounter, parseAllDocuments, type Document, type Node } from "yaml";
import type { Violation } from "../api/client";

export interface Fault {
  from: number; // offsets in the text
  to: number;
  message: string;
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

// Where the field stands; for one that is not there, its nearest ancestor's key.
export function rangeOf(document: Document.Parsed, path: string): { from: number; to: number } {
  let node = document.contents as Node | null;
  let found = { from: node?.range?.[0] ?? 0, to: (node?.range?.[0] ?? 0) + 1 };
  for (const part of partsOf(path)) {
    if (isMap(node)) {
      const pair = node.items.find((item) => isPair(item) && String((item.key as { value?: unknown }).value) === String(part));
      if (pair === undefined) break;
      const key = pair.key as Node;
      const value = pair.value as Node | null;
      found = { from: key.range?.[0] ?? found.from, to: key.range?.[1] ?? found.to };
      if (value !== null && !isMap(value) && !isSeq(value) && value.range) found = { from: value.range[0], to: Math.max(value.range[1], value.range[0] + 1) };
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

export const sentenceOf = ({ path, problem, allowed }: Violation): string => `${path === "" ? "" : `${path}: `}${problem}${allowed === "" ? "" : `\nallowed: ${allowed}`}`;

export function faultsOf(parsed: Parsed, violations: readonly (readonly Violation[])[]): Fault[] {
  return parsed.objects.flatMap(({ document }, index) => (violations[index] ?? []).map((violation) => ({ ...rangeOf(document, violation.path), message: sentenceOf(violation) })));
}
