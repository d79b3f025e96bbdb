// From a tool's JSON schema to fields, and from what was typed to arguments. Pure. What a form can't show is typed as JSON. A schema is what a
// server says: members may be of any type whatever JsonSchema says, and what is none of what is meant is left out. Names may be those that every
// object of JavaScript has.
import { type Schema, type SchemaDraft, Validator } from "@cfworker/json-schema";

export interface JsonSchema {
  $schema?: string;
  $ref?: string;
  anyOf?: unknown[];
  allOf?: unknown[];
  patternProperties?: Record<string, unknown>;
  additionalProperties?: unknown;
  type?: string | string[];
  title?: string;
  description?: string;
  enum?: unknown[];
  enumNames?: string[];
  oneOf?: { const?: unknown; title?: string }[];
  default?: unknown;
  properties?: Record<string, JsonSchema>;
  required?: string[];
  items?: JsonSchema;
  format?: string;
  minimum?: number;
  maximum?: number;
  minLength?: number;
  maxLength?: number;
}

export type FieldKind = "text" | "long" | "number" | "integer" | "boolean" | "choice" | "list" | "json";
export interface Field {
  name: string;
  label: string;
  description: string;
  required: boolean;
  kind: FieldKind;
  choices: { value: string; label: string; actual: unknown }[];
  initial: string;
  schema: JsonSchema;
}

const textOf = (value: unknown): string | undefined => (typeof value === "string" ? value : undefined);
const numberOf = (value: unknown): number | undefined => (typeof value === "number" ? value : undefined);
const objectOf = <T extends object>(value: unknown): T => (typeof value === "object" && value !== null ? (value as T) : ({} as T));
const shown = (value: unknown): string => (typeof value === "object" ? JSON.stringify(value) : String(value));
export const ownText = (texts: Readonly<Record<string, string>>, name: string): string | undefined => (Object.hasOwn(texts, name) ? texts[name] : undefined);

const typeOf = (schema: JsonSchema): string => textOf(Array.isArray(schema.type) ? schema.type.find((type) => type !== "null") : schema.type) ?? "";

function kindOf(schema: JsonSchema, choices: number): FieldKind {
  if (choices > 0) return "choice";
  switch (typeOf(schema)) {
    case "string":
      return (numberOf(schema.maxLength) ?? 0) > 200 || schema.format === "multiline" ? "long" : "text";
    case "number":
      return "number";
    case "integer":
      return "integer";
    case "boolean":
      return "boolean";
    case "array":
      return typeOf(objectOf(schema.items)) === "string" && schema.items?.enum === undefined ? "list" : "json";
    default:
      return "json";
  }
}

function choicesOf(schema: JsonSchema): Field["choices"] {
  if (Array.isArray(schema.enum)) {
    const names = Array.isArray(schema.enumNames) ? schema.enumNames : [];
    return schema.enum.map((actual, index) => ({ value: JSON.stringify(actual), label: textOf(names[index]) ?? shown(actual), actual }));
  }
  if (!Array.isArray(schema.oneOf)) return [];
  const titled = schema.oneOf.map((each) => objectOf<{ const?: unknown; title?: unknown }>(each)).filter((each) => each.const !== undefined);
  return titled.length === schema.oneOf.length ? titled.map(({ const: actual, title }) => ({ value: JSON.stringify(actual), label: textOf(title) ?? shown(actual), actual })) : [];
}

function initialOf(schema: JsonSchema, kind: FieldKind): string {
  if (schema.default === undefined) return kind === "boolean" ? "false" : "";
  if (kind === "choice" || kind === "json") return JSON.stringify(schema.default, null, kind === "json" ? 2 : 0);
  return kind === "list" && Array.isArray(schema.default) ? schema.default.join("\n") : shown(schema.default);
}

export function fieldsOf(schema: JsonSchema): Field[] {
  const required = new Set(Array.isArray(schema.required) ? schema.required : []);
  return Object.entries(objectOf(schema.properties)).map(([name, given]) => {
    const member = objectOf<JsonSchema>(given);
    const choices = choicesOf(member);
    const kind = kindOf(member, choices.length);
    return { name, label: textOf(member.title) ?? name, description: textOf(member.description) ?? "", required: required.has(name), kind, choices, initial: initialOf(member, kind), schema: member };
  });
}

// What the field holds, or what is wrong. undefined: left out.
export function valueOf(field: Field, text: string): { value?: unknown; problem?: string } {
  if (field.kind === "boolean") return !field.required && text === "false" && field.schema.default === undefined ? {} : { value: text === "true" };
  if (text === "") return field.required && field.kind !== "text" && field.kind !== "long" ? { problem: "is needed" } : field.required ? { value: "" } : {};
  switch (field.kind) {
    case "choice": {
      const choice = field.choices.find(({ value }) => value === text);
      return choice === undefined ? { problem: "is none of the choices" } : { value: choice.actual };
    }
    case "number":
    case "integer": {
      const number = Number(text);
      if (!Number.isFinite(number) || (field.kind === "integer" && !Number.isInteger(number))) return { problem: field.kind === "integer" ? "is no whole number" : "is no number" };
      const [least = -Infinity, most = Infinity] = [numberOf(field.schema.minimum), numberOf(field.schema.maximum)];
      if (number < least) return { problem: `is less than ${least}` };
      if (number > most) return { problem: `is more than ${most}` };
      return { value: number };
    }
    case "list":
      return { value: text.split("\n").filter((line) => line !== "") };
    case "json":
      try {
        return { value: JSON.parse(text) as unknown };
      } catch {
        return { problem: "is no JSON" };
      }
    default:
      return { value: text };
  }
}

export function argumentsOf(fields: readonly Field[], texts: Readonly<Record<string, string>>): { args: Record<string, unknown>; problems: Record<string, string> } {
  const args: [string, unknown][] = [];
  const problems: [string, string][] = [];
  for (const field of fields) {
    const { value, problem } = valueOf(field, ownText(texts, field.name) ?? field.initial);
    if (problem !== undefined) problems.push([field.name, problem]);
    else if (value !== undefined) args.push([field.name, value]);
  }
  return { args: Object.fromEntries(args), problems: Object.fromEntries(problems) };
}

// Whether fields can say what it takes. What is put together of other schemas, or has members of any name, they can't: but parts that only
// name what is needed (either this or that) leave the fields as they are.
export function formSays(schema: JsonSchema): boolean {
  const parts = [schema.oneOf, schema.anyOf, schema.allOf].flatMap((each) => (Array.isArray(each) ? (each as unknown[]) : []));
  if (schema.$ref !== undefined || parts.some((part) => Object.keys(Object(part)).some((key) => !["required", "title", "description"].includes(key)))) return false;
  if (Object.keys(schema.properties ?? {}).length > 0) return true;
  return Object.keys(schema.patternProperties ?? {}).length === 0 && (schema.additionalProperties ?? false) === false;
}

export const jsonOf = (args: Record<string, unknown>): string => JSON.stringify(args, null, 2);

// What the fields hold, to be gone on with as JSON: also what is wrong yet.
export function draftOf(fields: readonly Field[], texts: Readonly<Record<string, string>>): Record<string, unknown> {
  const { args, problems } = argumentsOf(fields, texts);
  const wrong = fields.filter(({ name }) => ownText(problems, name) !== undefined).map(({ name, initial }) => [name, ownText(texts, name) ?? initial] as const);
  return { ...args, ...Object.fromEntries(wrong.filter(([, text]) => text !== "")) };
}

// undefined: no text of this field means that value.
function typedOf({ kind, choices }: Field, value: unknown): string | undefined {
  switch (kind) {
    case "boolean":
      return typeof value === "boolean" ? String(value) : undefined;
    case "choice":
      return choices.find((choice) => JSON.stringify(choice.actual) === JSON.stringify(value))?.value;
    case "number":
    case "integer":
      return typeof value === "number" || typeof value === "string" ? String(value) : undefined;
    case "list":
      return Array.isArray(value) && value.every((item) => typeof item === "string" && item !== "" && !item.includes("\n")) ? value.join("\n") : undefined;
    case "json":
      return JSON.stringify(value, null, 2);
    default:
      return typeof value === "string" ? value : undefined;
  }
}

// The way back: what the fields are to hold, and which members they have no place for.
export function textsOf(fields: readonly Field[], args: Readonly<Record<string, unknown>>): { texts: Record<string, string>; beyond: string[] } {
  const known = new Map(fields.map((field) => [field.name, field.kind === "boolean" ? "false" : ""])); // what is left out
  const beyond: string[] = [];
  for (const [name, value] of Object.entries(args)) {
    const field = fields.find((each) => each.name === name);
    const text = field && typedOf(field, value);
    if (text === undefined) beyond.push(name);
    else known.set(name, text);
  }
  return { texts: Object.fromEntries(known), beyond };
}

export function parseObject(text: string): { args: Record<string, unknown> } | { problem: string } {
  try {
    const args: unknown = JSON.parse(text.trim() === "" ? "{}" : text);
    return typeof args === "object" && args !== null && !Array.isArray(args) ? { args: args as Record<string, unknown> } : { problem: "is no JSON object: {\"name\": value, …}" };
  } catch (error) {
    return { problem: `is no JSON: ${(error as Error).message}` };
  }
}

const MOST_FAULTS = 6;
const AROUND = new Set(["$ref", "$dynamicRef", "properties", "patternProperties", "additionalProperties", "items", "prefixItems", "additionalItems", "allOf", "if", "then", "else", "dependentSchemas", "unevaluatedProperties"]);
const draftNamed = (schema: JsonSchema): SchemaDraft => (/draft-0?([47])/.exec(schema.$schema ?? "")?.[1] as SchemaDraft | undefined) ?? (schema.$schema?.includes("2019-09") ? "2019-09" : "2020-12");

// What of it the schema refuses. A schema that can't be read refuses nothing: the server judges anyhow.
export function faultsOf(schema: JsonSchema, args: unknown): string[] {
  try {
    const { errors } = new Validator(schema as Schema, draftNamed(schema), false).validate(args);
    const faults = errors.filter(({ keyword }) => !AROUND.has(keyword)).map(({ keyword, instanceLocation, error }) => `${instanceLocation.slice(2) || "arguments"}: ${keyword === "false" ? "is not allowed" : error.replace(/\.$/, "")}`);
    return [...new Set(faults)].slice(0, MOST_FAULTS);
  } catch {
    return [];
  }
}
