// What is wrong with a manifest, by the schemas of crd/*.yaml: structure, unknown fields, and the rules that they say in CEL. What
// only C++ knows beyond that (crd/rules.cc: reserved headers, paths with "..") a node reports as Accepted=False.
import crd from "./crd.json";
import { checkRules, type Rule } from "./rules.js";
import { API_VERSION } from "./object.js";
import { LABEL_KEY, LABEL_VALUE } from "../schema/status.js";

export interface Violation {
  path: string; // "spec.source.image.ref", "spec.env[2].name"
  problem: string;
  allowed: string; // "": the problem says it
}

export interface Schema {
  type?: string;
  description?: string;
  properties?: Record<string, Schema>;
  additionalProperties?: Schema | boolean;
  items?: Schema;
  required?: string[];
  enum?: unknown[];
  pattern?: string;
  format?: string;
  minLength?: number;
  maxLength?: number;
  minimum?: number;
  maximum?: number;
  minItems?: number;
  maxItems?: number;
  maxProperties?: number;
  default?: unknown;
  "x-kubernetes-int-or-string"?: boolean;
  "x-kubernetes-validations"?: Rule[];
}

export const KINDS = crd as unknown as Record<string, { namespaced: boolean; schema: Schema }>;

const NAME = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;
const FORMATS: Record<string, [RegExp, string]> = {
  duration: [/^([0-9]+(\.[0-9]+)?(ms|s|m|h|d))+$|^0$/, "a duration such as 30s, 5m or 12h"],
  bytes: [/^[0-9]+(\.[0-9]+)?(k|M|G|T|P|Ki|Mi|Gi|Ti|Pi)?$/, "bytes such as 64Mi"],
  cpu: [/^[0-9]+(\.[0-9]+)?m?$/, "processors such as 500m or 2"],
};
const MOST = 50; // violations of one object: more help nobody

type Report = (path: string, problem: string, allowed?: string) => void;

const typeOf = (value: unknown): string =>
  value === null
    ? "null"
    : Array.isArray(value)
      ? "array"
      : typeof value === "number"
        ? Number.isInteger(value)
          ? "integer"
          : "number"
        : typeof value;
const shown = (value: unknown): string => JSON.stringify(value)?.slice(0, 80) ?? "nothing";
export const child = (parent: string, key: string): string =>
  /^[A-Za-z_][A-Za-z0-9_-]*$/.test(key) ? (parent === "" ? key : `${parent}.${key}`) : `${parent}[${key}]`;

function checkText(schema: Schema, value: string, path: string, report: Report): void {
  if (schema.minLength !== undefined && value.length < schema.minLength) report(path, "is empty");
  else if (schema.maxLength !== undefined && value.length > schema.maxLength)
    report(path, `is longer than ${schema.maxLength} characters`);
  else if (schema.pattern !== undefined && !new RegExp(schema.pattern, "u").test(value))
    report(path, `${shown(value)} has the wrong form`, schema.description ?? schema.pattern);
  const format = FORMATS[schema.format ?? ""];
  if (format !== undefined && !format[0].test(value)) report(path, `${shown(value)} has the wrong form`, format[1]);
}

function checkMembers(schema: Schema, value: Record<string, unknown>, path: string, report: Report): void {
  for (const name of schema.required ?? []) if (!(name in value)) report(child(path, name), "is missing");
  for (const [key, member] of Object.entries(value)) {
    const known = schema.properties?.[key] ?? (schema.additionalProperties as Schema | undefined);
    if (typeof known === "object") walk(known, member, child(path, key), report);
    else if (schema.properties !== undefined)
      report(child(path, key), "is no known field", Object.keys(schema.properties).join(", "));
  }
}

function walk(schema: Schema, value: unknown, path: string, report: Report): void {
  const type = typeOf(value);
  const wanted = schema.type;
  const either = schema["x-kubernetes-int-or-string"] === true;
  const fits = either
    ? type === "integer" || type === "string"
    : wanted === undefined || wanted === type || (wanted === "number" && type === "integer");
  if (!fits) return report(path, `is ${type === "null" ? "empty" : `a ${type}`}`, either ? "a number or text" : `${wanted}`);
  if (schema.enum !== undefined && !schema.enum.includes(value))
    return report(path, `unknown value ${shown(value)}`, schema.enum.join(", "));
  if (typeof value === "string") checkText(schema, value, path, report);
  if (typeof value === "number") {
    if (schema.minimum !== undefined && value < schema.minimum) report(path, "is too small", `${schema.minimum} or more`);
    if (schema.maximum !== undefined && value > schema.maximum) report(path, "is too large", `at most ${schema.maximum}`);
  }
  if (Array.isArray(value)) {
    if (schema.maxItems !== undefined && value.length > schema.maxItems)
      report(path, `has more than ${schema.maxItems} items`);
    if (schema.minItems !== undefined && value.length < schema.minItems)
      report(path, `has fewer than ${schema.minItems} items`);
    for (const [index, item] of value.entries()) if (schema.items) walk(schema.items, item, `${path}[${index}]`, report);
  } else if (type === "object") {
    checkMembers(schema, value as Record<string, unknown>, path, report);
  }
  for (const rule of schema["x-kubernetes-validations"] ?? []) {
    if (!checkRules(rule, value, schema)) report(path, rule.message);
  }
}

function checkMetadata(metadata: Record<string, unknown>, namespaced: boolean, report: Report): void {
  for (const key of Object.keys(metadata))
    if (!["name", "namespace", "labels", "annotations", "uid", "generation", "creationTimestamp", "resourceVersion"].includes(key))
      report(child("metadata", key), "is no known field", "name, namespace, labels, annotations");
  for (const key of namespaced ? ["name", "namespace"] : ["name"]) {
    const value = metadata[key];
    if (value === undefined ? key === "name" : typeof value !== "string" || !NAME.test(value))
      report(child("metadata", key), value === undefined ? "is missing" : `${shown(value)} is no name`, "an RFC 1123 label such as weather");
  }
  if (!namespaced && metadata.namespace !== undefined && metadata.namespace !== "")
    report("metadata.namespace", "this kind has no namespace", "remove it");
  for (const [field, limit] of [["labels", LABEL_VALUE], ["annotations", undefined]] as const) {
    const map = metadata[field];
    if (map === undefined) continue;
    if (typeOf(map) !== "object") {
      report(`metadata.${field}`, "is no map");
      continue;
    }
    for (const [key, value] of Object.entries(map as object)) {
      if (!LABEL_KEY.test(key)) report(child(`metadata.${field}`, key), "is no key", "such as tier or example.com/tier");
      if (typeof value !== "string" || (limit !== undefined && !limit.test(value)))
        report(child(`metadata.${field}`, key), `${shown(value)} is not allowed`, "text; put quotes around numbers and true");
    }
  }
}

// All that is wrong; empty when nothing is. `value` is one object of a manifest.
export function validate(value: unknown): Violation[] {
  const found: Violation[] = [];
  const report: Report = (path, problem, allowed = "") => {
    if (found.length < MOST) found.push({ path, problem, allowed });
  };
  if (typeOf(value) !== "object") {
    report("", "is no object", "apiVersion, kind, metadata, spec");
    return found;
  }
  const object = value as Record<string, unknown>;
  if (object.apiVersion !== undefined && object.apiVersion !== API_VERSION)
    report("apiVersion", `unknown value ${shown(object.apiVersion)}`, API_VERSION);
  const kind = KINDS[String(object.kind)];
  if (kind === undefined) {
    const secret = object.kind === "MCPSecret";
    report("kind", secret ? "secrets are never typed into a page: use mcpctl create secret" : `unknown value ${shown(object.kind)}`, Object.keys(KINDS).join(", "));
    return found;
  }
  if (typeOf(object.metadata) === "object") checkMetadata(object.metadata as Record<string, unknown>, kind.namespaced, report);
  else report("metadata", "is missing");
  const { metadata: _, status: __, ...rest } = object;
  const { metadata: ___, ...properties } = kind.schema.properties ?? {};
  walk({ ...kind.schema, properties }, rest, "", report);
  return found;
}
