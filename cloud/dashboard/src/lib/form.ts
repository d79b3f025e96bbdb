// From a tool's JSON schema to fields, and from what was typed to arguments. Pure. What a form can't show is typed as JSON. A schema is what a
// server says: members may be of any type whatever JsonSchema says, and what is none of what is meant is left out. Names may be those that every
// object of JavaScript has.
export interface JsonSchema {
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
