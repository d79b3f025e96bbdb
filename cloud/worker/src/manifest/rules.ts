// x-kubernetes-validations: rules in CEL, as an API server would check them.
import { Environment } from "@marcbachmann/cel-js";
import type { Schema } from "./validate.js";

export interface Rule {
  rule: string;
  message: string;
}

const environment = new Environment({ unlistedVariablesAreDyn: true });
type Program = (context: Record<string, unknown>) => unknown;
const programs = new Map<string, Program>();

function programOf(rule: string): Program {
  let program = programs.get(rule);
  if (program === undefined) programs.set(rule, (program = environment.parse(rule) as unknown as Program));
  return program;
}

const SECONDS: Record<string, number> = { ms: 0.001, s: 1, m: 60, h: 3600, d: 86400 };
export function secondsOf(text: string): number {
  let seconds = 0;
  for (const [, value, unit] of text.matchAll(/([0-9.]+)(ms|s|m|h|d)/g)) seconds += Number(value) * SECONDS[unit!]!;
  return seconds;
}

// Words of CEL, and what a name of it can't have, are written otherwise in a rule: `self.__package__` is the field package
// (kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions, "Validation expression").
const WORDS = new Set("true false null in as break const continue else for function if import let loop package namespace return".split(" "));
const PARTS: Record<string, string> = { __: "__underscores__", ".": "__dot__", "-": "__dash__", "/": "__slash__" };
export const nameInRule = (name: string): string => (WORDS.has(name) ? `__${name}__` : name.replaceAll(/__|[./-]/g, (part) => PARTS[part]!));

// CEL's types: whole numbers are int (BigInt here), and a duration is one, not a text.
function typed(value: unknown, schema: Schema | undefined): unknown {
  if (typeof value === "number") return Number.isInteger(value) ? BigInt(value) : value;
  if (typeof value === "string" && schema?.format === "duration") return environment.evaluate(`duration('${Math.round(secondsOf(value))}s')`);
  if (Array.isArray(value)) return value.map((item) => typed(item, schema?.items));
  if (typeof value !== "object" || value === null) return value;
  const rest = typeof schema?.additionalProperties === "object" ? schema.additionalProperties : undefined;
  return Object.fromEntries(
    Object.entries(value).map(([key, member]) => {
      const own = schema?.properties !== undefined && Object.hasOwn(schema.properties, key) ? schema.properties[key] : undefined;
      return [own === undefined ? key : nameInRule(key), typed(member, own ?? rest)]; // keys of a map are texts, no names
    }),
  );
}

// Whether the rule holds. A value of another type than the schema wants makes a rule fail to run: the structural check
// has told of that, so the rule says nothing.
export function checkRules({ rule }: Rule, value: unknown, schema: Schema): boolean {
  try {
    return programOf(rule)({ self: typed(value, schema) }) !== false;
  } catch {
    return true;
  }
}

// For a test: every rule must run on a value that fits.
export function runs({ rule }: Rule, value: unknown, schema: Schema): unknown {
  return programOf(rule)({ self: typed(value, schema) });
}
