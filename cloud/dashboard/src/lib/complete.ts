// What may stand at a place of a manifest, by the schemas of crd/. By indentation: a text that is being typed seldom parses. Pure.
export interface EditorSchema {
  type?: string;
  description?: string;
  enum?: unknown[];
  default?: unknown;
  example?: unknown;
  required?: string[];
  properties?: Record<string, EditorSchema>;
  items?: EditorSchema;
  additionalProperties?: EditorSchema;
}
export interface Suggestion {
  label: string;
  detail: string;
  info: string;
  insert: string;
}
export interface Place {
  kind: string;
  path: string[]; // keys of the maps around; "[]" for a list
  key: string | undefined; // what is left of ":", when a value is typed
  typed: string; // of the word at the cursor
  present: string[]; // keys that the map has already
}

const KEY = /^(\s*)((?:- )*)([A-Za-z_][\w.\-/]*):(?:\s|$)/;
const indentOf = (line: string): number => /^\s*(?:- )*/.exec(line)![0].length;

export function placeAt(text: string, offset: number): Place {
  const begin = Math.max(0, text.lastIndexOf("\n---", offset - 1));
  const end = text.indexOf("\n---", offset);
  const document = text.slice(begin, end < 0 ? undefined : end);
  const before = text.slice(begin, offset).split("\n");
  const line = before[before.length - 1]!;
  const own = /^(\s*(?:- )*)(?:([A-Za-z_][\w.\-/]*):\s+)?(\S*)$/.exec(line);
  const indent = indentOf(line);
  const kind = /^kind:\s*(\w+)/m.exec(document)?.[1] ?? "";
  const path: string[] = [];
  let level = indent;
  // A line that begins an item is at the place of its first key.
  let inList = /^\s*(?:- )+/.test(line);
  for (let at = before.length - 2; at >= 0 && level > 0; --at) {
    const above = before[at]!;
    if (above.trim() === "" || above.trim().startsWith("#")) continue;
    const plain = /^\s*/.exec(above)![0].length;
    const key = KEY.exec(above);
    const dashes = key?.[2] ?? "";
    const keyIndent = plain + dashes.length;
    if (keyIndent < level && key !== null) {
      if (inList) path.unshift("[]");
      path.unshift(key[3]!);
      level = keyIndent;
      inList = dashes !== "";
    } else if (keyIndent === level && dashes !== "") inList = true;
  }
  const present: string[] = [];
  const all = document.split("\n");
  const row = before.length - 1;
  const gather = (step: number) => {
    for (let at = row + step; at >= 0 && at < all.length; at += step) {
      const each = all[at]!;
      if (each.trim() === "") continue;
      const depth = indentOf(each);
      if (depth < indent) break;
      if (depth === indent) {
        const key = KEY.exec(each);
        if (key !== null) present.push(key[3]!);
        if (/^\s*- /.test(each) && step < 0) break;
      }
    }
  };
  gather(-1);
  gather(1);
  return { kind, path, key: own?.[2], typed: own?.[3] ?? "", present };
}

function schemaAt(root: EditorSchema | undefined, path: readonly string[]): EditorSchema | undefined {
  let schema = root;
  for (const part of path) {
    if (part === "[]") schema = schema?.items;
    else schema = schema?.properties?.[part] ?? schema?.additionalProperties;
    if (schema === undefined) return undefined;
  }
  return schema;
}

const METADATA: EditorSchema = {
  properties: {
    name: { type: "string", description: "Name, unique in its namespace." },
    namespace: { type: "string", description: "Namespace; default when left out." },
    labels: { type: "object", description: "Labels, for selectors and filters.", additionalProperties: { type: "string" } },
    annotations: { type: "object", description: "Notes for people and tools.", additionalProperties: { type: "string" } },
  },
};

const typeWord = (schema: EditorSchema, needed: boolean): string => [schema.type ?? "text", needed ? "needed" : ""].filter(Boolean).join(", ");

export function suggest(kinds: Readonly<Record<string, EditorSchema>>, place: Place): Suggestion[] {
  const known = kinds[place.kind];
  const root: EditorSchema = { properties: { ...(known?.properties ?? { apiVersion: {}, kind: {}, spec: {} }), metadata: METADATA }, required: ["apiVersion", "kind", "metadata", "spec"] };
  if (place.path.length === 0 && place.key === "kind") return Object.keys(kinds).map((kind) => ({ label: kind, detail: "kind", info: kinds[kind]?.description ?? "", insert: kind }));
  if (place.path.length === 0 && place.key === "apiVersion") return [{ label: "mcpfleet.dev/v1alpha1", detail: "version", info: "", insert: "mcpfleet.dev/v1alpha1" }];
  const around = schemaAt(root, place.path);
  if (place.key !== undefined) {
    const schema = schemaAt(around, [place.key]);
    const values = schema?.enum ?? (schema?.type === "boolean" ? [true, false] : []);
    const more = [schema?.default, schema?.example].filter((value) => value !== undefined && typeof value !== "object" && !values.includes(value));
    return [...values, ...more].map((value) => ({ label: String(value), detail: value === schema?.default ? "default" : "", info: schema?.description ?? "", insert: String(value) }));
  }
  const pad = "";
  return Object.entries(around?.properties ?? {})
    .filter(([name]) => !place.present.includes(name))
    .map(([name, schema]) => ({
      label: name,
      detail: typeWord(schema, around?.required?.includes(name) ?? false),
      info: schema.description ?? "",
      insert: `${pad}${name}:${schema.type === "object" || schema.type === "array" ? "" : " "}`,
    }));
}
