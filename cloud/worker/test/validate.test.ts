import { describe, expect, it } from "vitest";
import cases from "../../../tests/crd/testdata/rules.json" with { type: "json" };
import { nameInRule, runs } from "../src/manifest/rules.js";
import { KINDS, type Schema, validate } from "../src/manifest/validate.js";

const server = (spec: Record<string, unknown>, metadata: Record<string, unknown> = { name: "a" }) => ({ apiVersion: "mcpfleet.dev/v1alpha1", kind: "MCPServer", metadata, spec });
const image = { source: { image: { ref: "ghcr.io/example/weather:1.4.2" } } };
const told = (value: unknown) => validate(value).map(({ path, problem }) => `${path}: ${problem}`);

describe("a manifest", () => {
  it("that is good has nothing wrong", () => {
    expect(told(server(image, { name: "a", namespace: "b", labels: { tier: "gold", "example.com/x": "" }, annotations: { note: "Any text." } }))).toEqual([]);
    expect(told(server({ ...image, resources: { limits: { cpu: "500m", memory: "256Mi", pids: 64 } }, sessions: { idleTimeout: "15m", maxLifetime: "12h" } }))).toEqual([]);
    expect(told({ kind: "MCPNode", metadata: { name: "edge-1" } })).toEqual([]);
  });
  it.each([
    [server({}), "spec.source: is missing"],
    [server({ source: {} }), "spec.source: exactly one of image, package, process, remote is needed"],
    [server({ ...image, transprot: "stdio" }), "spec.transprot: is no known field"],
    [server({ ...image, args: "x" }), "spec.args: is a string"],
    [server({ ...image, args: [1] }), "spec.args[0]: is a integer"],
    [server({ ...image, port: 8080 }), "spec: port is required for transport streamable-http and refused for stdio"],
    [server({ ...image, suspend: "yes" }), "spec.suspend: is a string"],
    [server({ ...image, terminationGracePeriod: "soon" }), 'spec.terminationGracePeriod: "soon" has the wrong form'],
    [server({ ...image, sessions: { idleTimeout: "13h" } }), "spec.sessions: maxLifetime is shorter than idleTimeout"],
    [server({ ...image, resources: { limits: { memory: "lots" } } }), 'spec.resources.limits.memory: "lots" has the wrong form'],
    [server({ source: { package: { manager: "npm", name: "x", version: "latest" } } }), "spec.source.package: version must be exact, such as 1.4.2"],
    [server(image, { name: "Weather" }), 'metadata.name: "Weather" is no name'],
    [server(image, { name: "a", labels: { tier: true } }), "metadata.labels.tier: true is not allowed"],
    [server(image, {}), "metadata.name: is missing"],
    [{ kind: "Pod", metadata: { name: "a" } }, 'kind: unknown value "Pod"'],
    [{ kind: "MCPNode", metadata: { name: "a", namespace: "x" } }, "metadata.namespace: this kind has no namespace"],
    ["text", ": is no object"],
  ])("%j", (value, message) => expect(told(value)).toContain(message));
  it("with a hundred faults has fifty told", () => {
    expect(validate(server({ ...image, ...Object.fromEntries(Array.from({ length: 100 }, (_, index) => [`f${index}`, 1])) }))).toHaveLength(50);
  });
});

// The table that C++ is held to as well. Secrets are refused here, whatever they are.
interface Case {
  name: string;
  kind: string;
  spec: unknown;
  refused?: string[];
}
describe("a rule of the schemas judges", () => {
  it.each((cases.cases as Case[]).filter(({ kind }) => kind !== "MCPSecret"))("$name", ({ kind, spec, refused = [] }) => {
    const problems = validate({ kind, metadata: { name: "a" }, spec }).map(({ problem }) => problem);
    if (refused.length === 0) expect(problems).toEqual([]);
    for (const message of refused) expect(problems).toContain(message);
  });
  it("names that are words of CEL, or that CEL can't say", () => {
    expect(["package", "packages", "a-b", "a.b/c", "a__b", "a_b"].map(nameInRule)).toEqual(["__package__", "packages", "a__dash__b", "a__dot__b__slash__c", "a__underscores__b", "a_b"]);
  });
});

describe("every rule of the schemas", () => {
  it("runs: none is passed over because it can't be understood", () => {
    const full = { manager: "npm", name: "x", version: "1.0.0", tokens: [], value: "v", image: {} };
    let count = 0;
    const walk = (schema: Schema): void => {
      for (const rule of schema["x-kubernetes-validations"] ?? []) {
        expect(typeof runs(rule, full, schema), rule.rule).toBe("boolean");
        ++count;
      }
      if (schema.pattern !== undefined) expect(() => new RegExp(schema.pattern!, "u")).not.toThrow();
      for (const member of Object.values(schema.properties ?? {})) walk(member);
      if (schema.items) walk(schema.items);
      if (typeof schema.additionalProperties === "object") walk(schema.additionalProperties);
    };
    for (const { schema } of Object.values(KINDS)) walk(schema);
    expect(count).toBeGreaterThan(20);
  });
});
