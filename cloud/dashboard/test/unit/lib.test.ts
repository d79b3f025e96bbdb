import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { argumentsOf, draftOf, faultsOf as faultsIn, fieldsOf, formSays, type JsonSchema, ownText, parseObject, textsOf, valueOf } from "../../src/lib/form";
import { type EditorSchema, placeAt, suggest } from "../../src/lib/complete";
import { ageOf, clockOf, count, inWords, minuteOf, percent, plural, timeOf, whenOf } from "../../src/lib/format";
import { type Fault, faultsOf, nearest, parseManifest, partsOf, rangeOf } from "../../src/lib/manifest";
import { parseMessage } from "../../src/live/messages";
import { SAMPLES } from "../../src/lib/samples";

const KINDS = JSON.parse(readFileSync(new URL("../../src/api/crd.json", import.meta.url), "utf8")) as Record<string, EditorSchema>;
// "|" is the cursor.
const labelsAt = (text: string) => {
  const offset = text.indexOf("|");
  return suggest(KINDS, placeAt(text.replace("|", ""), offset)).map((each) => each.label);
};
const HEAD = "apiVersion: mcpfleet.dev/v1alpha1\nkind: MCPServer\nmetadata:\n  name: a\n";

describe("completion", () => {
  it("knows the fields of each place", () => {
    expect(labelsAt("|")).toEqual(expect.arrayContaining(["apiVersion", "kind", "metadata", "spec"]));
    expect(labelsAt("kind: |")).toEqual(["MCPServer", "MCPNode"]);
    expect(labelsAt(`${HEAD}spec:\n  |`)).toEqual(expect.arrayContaining(["source", "probes", "tools"]));
    expect(labelsAt(`${HEAD}spec:\n  source:\n    |`).sort()).toEqual(["image", "package", "process", "remote"]);
    expect(labelsAt(`${HEAD}spec:\n  source:\n    image:\n      ref: x\n      pull|`)).toEqual(["pullPolicy", "pullSecret"]);
    expect(labelsAt("metadata:\n  |")).toEqual(["name", "namespace", "labels", "annotations"]);
  });
  it("knows values, and items of lists", () => {
    expect(labelsAt(`${HEAD}spec:\n  transport: |`)).toEqual(expect.arrayContaining(["stdio", "streamable-http"]));
    expect(labelsAt(`${HEAD}spec:\n  suspend: |`)).toEqual(["true", "false"]);
    expect(labelsAt(`${HEAD}spec:\n  env:\n    - |`)).toEqual(["name", "value", "valueFrom"]);
    expect(labelsAt(`${HEAD}spec:\n  env:\n    - name: A\n      |`)).toEqual(["value", "valueFrom"]);
    expect(labelsAt(`${HEAD}spec:\n  env:\n    - name: A\n      valueFrom:\n        secretKeyRef:\n          |`)).toEqual(["name", "key"]);
  });
  it("looks at the document that the cursor is in", () => {
    expect(labelsAt(`${HEAD}spec: {}\n---\nkind: MCPNode\nspec:\n  |`)).toEqual(["unschedulable", "drain", "keys"]);
    expect(labelsAt("kind: Nothing\nspec:\n  |")).toEqual([]);
  });
});

describe("a manifest", () => {
  const text = `${HEAD}spec:\n  source: {}\n  env:\n    - {name: A, value: "1"}\n    - name: B\n`;
  it("has its faults where they stand", () => {
    const parsed = parseManifest(text);
    expect(parsed.faults).toEqual([]);
    const [{ document }] = parsed.objects as [(typeof parsed.objects)[number]];
    const at = (path: string) => {
      const { from, to } = rangeOf(document, path);
      return text.slice(from, to);
    };
    expect(at("metadata.name")).toBe("a");
    expect(at("spec.source")).toBe("source");
    expect(at("spec.env[1].name")).toBe("B");
    expect(at("spec.env[1].value")).toContain("name: B");
    expect(at("spec.transport")).toBe("spec");
    expect(faultsOf(parsed, [[{ path: "spec.source", problem: "is wrong", allowed: "better" }]])[0]?.message).toBe("spec.source: is wrong\nallowed: better");
  });
  it("marks the name of a field that there is none of, and says which was meant", () => {
    const typed = `${HEAD}spec:\n  sesions: 5\n  env: {a.b: 1}\n`;
    const judged = (path: string, problem: string, allowed: string) => {
      const [{ from, to, ...said }] = faultsOf(parseManifest(typed), [[{ path, problem, allowed }]]) as [Fault];
      return { at: typed.slice(from, to), ...said };
    };
    const fields = "source, command, args, env, files, volumes, runtime, sessions";
    expect(judged("spec.sesions", "is no known field", fields)).toEqual({ at: "sesions", message: "spec.sesions: is no known field, did you mean sessions?" });
    expect(judged("spec.sesions", 'unknown field "sesions", did you mean "sessions"?', "")).toEqual({ at: "sesions", message: 'spec.sesions: unknown field "sesions", did you mean "sessions"?' }); // mcplet's words
    expect(judged("spec.env[a.b]", "is no known field", fields)).toEqual({ at: "a.b", message: "spec.env[a.b]: is no known field", hint: "allowed: source, command, args, env, files, volumes and 2 more" });
    expect(judged("spec.sesions", "is no known field", "name, key")).toMatchObject({ hint: "allowed: name, key" });
    expect(judged("spec", "is a string", "object").message).toBe("spec: must be an object");
    expect(judged("spec.sesions", "is empty", "array").message).toBe("spec.sesions: must be a list");
    expect(judged("spec.sesions", "is a boolean", "a number or text").message).toBe("spec.sesions: is a boolean\nallowed: a number or text");
  });
  it("takes for what was meant what is near, and nothing else", () => {
    const names = ["sessions", "source", "env", "args"];
    expect(["sesions", "SOURCE", "en", "arg", "sourec", "", "x", "placement"].map((word) => nearest(word, names))).toEqual(["sessions", "source", "env", "args", "source", undefined, undefined, undefined]);
  });
  it("that is no YAML says so, and a bomb of aliases is none", () => {
    expect(parseManifest("a: [").faults.length).toBeGreaterThan(0);
    expect(parseManifest("a: 1\na: 2").faults[0]?.message).toContain("unique");
    const bomb = `a: &a [x,x,x,x,x,x,x,x,x]\n${"bcdefg".split("").map((name, at) => `${name}: &${name} [${Array(9).fill(`*${"abcdef"[at]}`).join(",")}]`).join("\n")}`;
    expect(parseManifest(bomb).faults.length).toBeGreaterThan(0);
  });
  it("may be several, and empty ones are none", () => {
    expect(parseManifest("---\nkind: A\n---\n---\nkind: B\n").objects.map(({ value }) => (value as { kind: string }).kind)).toEqual(["A", "B"]);
  });
  it("has paths as the Worker writes them", () => {
    expect(partsOf("spec.env[2].name")).toEqual(["spec", "env", 2, "name"]);
    expect(partsOf("metadata.labels[a.b/c]")).toEqual(["metadata", "labels", "a.b/c"]);
  });
  it("given as an example parses", () => {
    for (const { text: sample } of SAMPLES) expect(parseManifest(sample).faults).toEqual([]);
  });
});

describe("a form", () => {
  const fields = fieldsOf({
    required: ["name", "count"],
    properties: {
      name: { type: "string", title: "Name" },
      count: { type: "integer", minimum: 1, maximum: 5 },
      loud: { type: "boolean" },
      unit: { enum: ["metric", "imperial"] },
      tags: { type: "array", items: { type: "string" } },
      more: { type: "object" },
      ratio: { type: ["number", "null"], default: 0.5 },
    },
  });
  it("has a field for each property", () => {
    expect(fields.map(({ name, kind, required }) => [name, kind, required])).toEqual([
      ["name", "text", true],
      ["count", "integer", true],
      ["loud", "boolean", false],
      ["unit", "choice", false],
      ["tags", "list", false],
      ["more", "json", false],
      ["ratio", "number", false],
    ]);
  });
  it("gives arguments of the right types, and leaves out what is empty", () => {
    expect(argumentsOf(fields, { name: "x", count: "3", loud: "true", unit: '"metric"', tags: "a\n\nb", more: '{"k":1}' })).toEqual({
      args: { name: "x", count: 3, loud: true, unit: "metric", tags: ["a", "b"], more: { k: 1 }, ratio: 0.5 },
      problems: {},
    });
    expect(argumentsOf(fields, { name: "", count: "1" }).args).toEqual({ name: "", count: 1, ratio: 0.5 });
  });
  it("says what is wrong", () => {
    expect(argumentsOf(fields, { name: "x", count: "", more: "{", ratio: "x" }).problems).toEqual({ count: "is needed", more: "is no JSON", ratio: "is no number" });
    expect(argumentsOf(fields, { count: "6" }).problems.count).toBe("is more than 5");
    expect(argumentsOf(fields, { count: "1.5" }).problems.count).toBe("is no whole number");
  });
  it("is made of any schema: what is none of what it should be is left out, and everything shown is text", () => {
    const junk = [null, 5, "x", true, {}, [], [null], [{}], { a: { b: 1 } }];
    for (const member of ["type", "title", "description", "enum", "enumNames", "oneOf", "default", "items", "format", "minimum", "maximum", "maxLength"])
      for (const value of junk)
        for (const type of ["string", "integer", "array", undefined]) {
          const schema = { properties: { a: { ...(type && { type }), [member]: value }, b: { type, enum: ["x"], enumNames: value } }, required: value } as unknown as JsonSchema;
          for (const field of fieldsOf(schema)) {
            for (const text of [field.label, field.description, field.initial, ...field.choices.flatMap((choice) => [choice.label, choice.value])]) expect(typeof text).toBe("string");
            valueOf(field, field.initial);
            valueOf(field, "1");
          }
        }
    for (const properties of junk) expect(fieldsOf({ properties } as unknown as JsonSchema).every(({ label }) => typeof label === "string")).toBe(true);
    expect(fieldsOf({ properties: { a: null } } as unknown as JsonSchema).map(({ name, kind }) => [name, kind])).toEqual([["a", "json"]]);
  });
  it("takes fields with names that every object has", () => {
    const names = ["__proto__", "constructor", "toString", "hasOwnProperty"];
    const own = fieldsOf({ properties: Object.fromEntries(names.map((name) => [name, { type: "string", default: "d" }])) });
    const { args, problems } = argumentsOf(own, {});
    expect([Object.entries(args), Object.keys(problems)]).toEqual([names.map((name) => [name, "d"]), []]);
    expect(JSON.stringify(argumentsOf(own, Object.fromEntries([["__proto__", "typed"]])).args)).toContain('"__proto__":"typed"');
    expect(ownText({}, "constructor")).toBeUndefined();
    const numbers = fieldsOf({ properties: Object.fromEntries(names.map((name) => [name, { type: "integer" }])) });
    expect(Object.keys(argumentsOf(numbers, Object.fromEntries(names.map((name) => [name, "x"]))).problems)).toEqual(names);
  });
});

describe("arguments as JSON", () => {
  const object = { type: "object" };
  it("are the only way where fields can't say what a tool takes", () => {
    const says = (schema: object) => formSays(schema as JsonSchema);
    const properties = { a: { type: "string" }, b: { type: "string" } };
    expect([object, { properties }, { properties, additionalProperties: true }, { ...object, additionalProperties: false }, { properties, anyOf: [{ required: ["a"] }, { required: ["b"] }] }].map(says)).toEqual(Array(5).fill(true));
    expect([{ $ref: "#/$defs/x" }, { oneOf: [{ properties }, object] }, { anyOf: [{ $ref: "#/$defs/x" }] }, { properties, allOf: [{ properties }] }, { additionalProperties: { type: "number" } }, { additionalProperties: true }, { patternProperties: { "^x": {} } }].map(says)).toEqual(Array(7).fill(false));
  });
  const fields = fieldsOf({ required: ["name"], properties: { name: { type: "string" }, count: { type: "integer" }, loud: { type: "boolean" }, unit: { enum: ["metric", 2] }, tags: { type: "array", items: { type: "string" } }, more: { type: "object" } } });
  it("keep what the fields hold, right or wrong, and give it back", () => {
    const texts = { name: "x", count: "many", loud: "true", unit: "2", tags: "a\nb", more: '{"k":1}' };
    const args = { name: "x", count: "many", loud: true, unit: 2, tags: ["a", "b"], more: { k: 1 } };
    expect(draftOf(fields, texts)).toEqual(args);
    const back = textsOf(fields, args);
    expect(back.beyond).toEqual([]);
    expect(draftOf(fields, back.texts)).toEqual(args);
    expect(argumentsOf(fields, textsOf(fields, {}).texts).args).toEqual({ name: "" });
    expect(argumentsOf(fieldsOf({ properties: { ratio: { type: "number", default: 0.5 } } }), { ratio: "" }).args).toEqual({});
  });
  it("stay JSON where the fields have no place for them", () => {
    expect(textsOf(fields, { name: 1, count: {}, loud: "yes", unit: "x", tags: ["a\nb"], other: 1 }).beyond).toEqual(["name", "count", "loud", "unit", "tags", "other"]);
  });
  it("are an object, and held against the schema", () => {
    expect(parseObject("")).toEqual({ args: {} });
    for (const text of ["[]", "1", "null"]) expect(parseObject(text)).toEqual({ problem: 'is no JSON object: {"name": value, …}' });
    expect(parseObject("{")).toMatchObject({ problem: expect.stringMatching(/^is no JSON: /) });
    const schema = { $ref: "#/$defs/a", $defs: { a: { type: "object", required: ["n"], properties: { n: { type: "integer", minimum: 2 } }, additionalProperties: false } } } as JsonSchema;
    expect(faultsIn(schema, { n: 2 })).toEqual([]);
    expect(faultsIn(schema, {})).toEqual(['arguments: Instance does not have required property "n"']);
    expect(faultsIn(schema, { n: 1, z: 1 })).toEqual(["n: 1 is less than 2", "z: is not allowed"]);
  });
  it("that a schema which can't be read speaks of are the server's to judge", () => {
    expect(faultsIn({ $ref: "https://elsewhere.example/x" }, {})).toEqual([]);
    expect(faultsIn({ properties: { a: { pattern: "(" } as JsonSchema } }, { a: "x" })).toEqual([]);
  });
});

describe("messages", () => {
  it("without a type are heads; what is not known is nothing", () => {
    expect(parseMessage('{"trust":1,"epoch":2,"revision":3,"snapshot":"s","signatures":[]}')).toEqual({ type: "head", order: "1.2.3", snapshot: "s", signed: true });
    for (const text of ["pong", "[]", "null", '{"type":"other"}', "{}"]) expect(parseMessage(text)).toBeUndefined();
  });
});

describe("words", () => {
  it("are for people", () => {
    expect(inWords("CrashLoopBackOff")).toBe("Crash loop back off");
    expect(inWords("OOMKilled")).toBe("OOM killed");
    expect(inWords("ApiTokenExpires")).toBe("API token expires");
    expect(ageOf(1000, 1000 + 90_000)).toBe("1m");
    expect(ageOf("")).toBe("—");
    expect([null, 0, 0.00001, 0.5, 0.9876, 0.99999, 1].map(percent)).toEqual(["—", "0 %", "0.01 %", "50.00 %", "98.76 %", "99.99 %", "100 %"]);
    expect([count(7), count(10_000), plural(1, "server"), plural(10_000, "server")]).toEqual(["7", "10,000", "1 server", "10,000 servers"]);
  });
  it("have times of one form, in the time of who looks", () => {
    const at = new Date(2026, 10, 9, 18, 5, 7).getTime();
    expect([timeOf(at), minuteOf(at), clockOf(new Date(at).toISOString())]).toEqual(["2026-11-09 18:05:07", "2026-11-09 18:05", "18:05:07"]);
    expect([timeOf("no time"), clockOf("no time")]).toEqual(["—", "no time"]);
    expect([whenOf(at, at + 3600_000), whenOf(at, at + 86_400_000)]).toEqual(["1h ago", "2026-11-09"]);
  });
});
