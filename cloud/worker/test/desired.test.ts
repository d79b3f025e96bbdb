import vectors from "../../../tests/crd/testdata/canonical.json";
import { describe, expect, it } from "vitest";
import { change } from "../src/desired/change.js";
import { setEdit } from "../src/desired/edits.js";
import { canonicalize } from "../src/manifest/canonical.js";
import { FleetObject, shardOf } from "../src/manifest/object.js";
import { sha256Hex } from "../src/schema/hash.js";
import { bindings, call, delivered, freshAccount, inFleet, OPERATOR, VIEWER } from "./kit.js";
import { newKey, signedFleet } from "./signer.js";

freshAccount();

const server = (name: string, more: Record<string, unknown> = {}, metadata: Record<string, unknown> = {}) => ({
  apiVersion: "mcpfleet.dev/v1alpha1",
  kind: "MCPServer",
  metadata: { name, ...metadata },
  spec: { source: { process: { path: "/bin/true" } }, ...more },
});
const apply = (set: object[], more: object = {}) => call("POST", "/v1/changes", { body: { set, ...more } });
async function rows(): Promise<any[]> {
  const { snapshot } = (await call("GET", "/v1/desired", { as: VIEWER })).result;
  const { shards } = (await call("GET", `/v1/desired/snapshots/${snapshot}`)).result;
  const found = await Promise.all(shards.filter(Boolean).map((hash: string) => call("GET", `/v1/desired/shards/${hash}`)));
  return found.flatMap(({ result }) => result);
}
const row = async (name: string) => (await rows()).find((each) => each.name === name);

describe("canonical JSON", () => {
  it("is byte for byte what C++ writes", () => {
    for (const { name, input, canonical, sha256 } of vectors.valid) {
      const text = canonicalize(JSON.parse(input));
      expect(text, name).toBe(canonical);
      expect(sha256Hex(text), name).toBe(sha256);
    }
  });
  it("refuses what C++ refuses, as far as JSON.parse lets it through", () => {
    expect(() => canonicalize({ a: 1.5 })).toThrow("a: is not a whole number");
    expect(() => canonicalize([2 ** 53])).toThrow("[0]: is beyond");
    expect(() => canonicalize("\ud800")).toThrow("UTF-8");
  });
});

describe("a change", () => {
  it("makes the first head, and every blob has its hash", async () => {
    expect((await call("GET", "/v1/desired")).result).toMatchObject({ head: null, signed: false });
    const { status, result } = await apply([server("weather", {}, { labels: { tier: "gold" } })], { message: "first" });
    expect([status, result.moved, result.head]).toEqual([200, true, "0.1.1"]);
    expect(result.changes).toEqual([{ kind: "MCPServer", namespace: "default", name: "weather", change: "created", generation: 1 }]);
    const found = await row("weather");
    expect(found).toMatchObject({ source: "/bin/true", labels: { tier: "gold" }, generation: 1, suspended: false });
    const object = (await call("GET", `/v1/desired/objects/${found.hash}`)).result;
    expect(sha256Hex(canonicalize(object))).toBe(found.hash);
    expect(object.metadata).toMatchObject({ namespace: "default", generation: 1, uid: found.uid });
  });
  it("that changes nothing moves nothing; labels alone keep the generation", async () => {
    await apply([server("weather")]);
    expect((await apply([server("weather")])).result).toMatchObject({ moved: false, changes: [{ change: "unchanged", generation: 1 }] });
    const { result } = await apply([server("weather", {}, { labels: { a: "b" } })]);
    expect(result.changes[0]).toMatchObject({ change: "configured", generation: 1 });
    expect((await apply([server("weather", { args: ["x"] })])).result.changes[0]).toMatchObject({ generation: 2 });
  });
  it("can be tried dry", async () => {
    const { result } = await apply([server("weather")], { dryRun: true });
    expect(result).toMatchObject({ moved: false, head: null, changes: [{ change: "created" }] });
    expect((await call("GET", "/v1/desired")).result.head).toBeNull();
    expect((await call("GET", "/v1/audit")).result).toEqual([]);
  });
  it("keeps a restart that was asked for, and a node's keys", async () => {
    await apply([server("weather")]);
    expect((await call("POST", "/v1/servers/default/weather/restart")).result.changes[0]).toMatchObject({ generation: 2 });
    expect((await apply([server("weather")])).result.changes[0]).toMatchObject({ change: "unchanged" });
    const keys = { signing: "A".repeat(43), sealing: "B".repeat(43) };
    const node = (spec: object) => ({ apiVersion: "mcpfleet.dev/v1alpha1", kind: "MCPNode", metadata: { name: "edge-1", labels: { site: "b" } }, spec });
    await apply([node({ keys })]);
    await apply([node({})]);
    const object = (await call("GET", `/v1/desired/objects/${(await row("edge-1")).hash}`)).result;
    expect(object.spec.keys).toEqual(keys);
    expect(object.metadata.namespace).toBeUndefined();
  });
  it("is made on the head that was looked at, or not at all", async () => {
    expect((await apply([server("a")], { base: "0.1.7" })).status).toBe(409);
    const first = (await apply([server("a")], { base: null })).result;
    expect(first).toMatchObject({ moved: true, head: "0.1.1" });
    expect((await apply([server("b")], { base: null })).status).toBe(409);
    expect((await apply([server("b")], { base: first.head })).result.moved).toBe(true);
    for (const dryRun of [true, false]) {
      const { status, message } = await apply([server("a", { args: ["x"] })], { base: first.head, dryRun });
      expect([status, message]).toEqual([409, expect.stringContaining("nothing was changed")]);
    }
    expect(await row("a")).toMatchObject({ generation: 1 });
  });
  it("takes nothing from what can't be read now", async () => {
    const keys = { signing: "A".repeat(43), sealing: "B".repeat(43) };
    const node = (spec: object) => ({ apiVersion: "mcpfleet.dev/v1alpha1", kind: "MCPNode", metadata: { name: "edge-1", labels: { site: "b" } }, spec });
    await apply([node({ keys }), server("a")]);
    await delivered();
    for (const name of ["edge-1", "a"]) {
      const key = `objects/${(await row(name)).hash}`;
      await bindings.CONFIG.delete(key);
      await inFleet((_, { storage: { sql } }) => void sql.exec("DELETE FROM recent WHERE key=?", key));
    }
    for (const deed of ["cordon", "uncordon", "drain"]) {
      const { status, message } = await call("POST", `/v1/nodes/edge-1/${deed}`);
      expect([status, message]).toEqual([503, expect.stringContaining("MCPNode//edge-1 can't be read now")]);
    }
    expect((await call("POST", "/v1/nodes/edge-1/declare", { body: { labels: { tier: "gold" } } })).status).toBe(503);
    expect((await call("POST", "/v1/servers/default/a/suspend")).status).toBe(503);
    expect((await apply([node({})])).status).toBe(503);
    // Said whole, it is there again.
    expect((await apply([node({ keys }), server("a")])).status).toBe(200);
    expect(await row("edge-1")).toMatchObject({ labels: { site: "b" } });
  });
  it("is refused whole when one object is wrong, naming the field", async () => {
    const { status, message } = await apply([server("good"), server("bad", { transport: "http" })]);
    expect(status).toBe(400);
    expect(message).toContain('MCPServer/default/bad: spec.transport: unknown value "http"; allowed: stdio, streamable-http');
    expect((await call("GET", "/v1/desired")).result.head).toBeNull();
    const secret = await apply([{ kind: "MCPSecret", metadata: { name: "s" }, spec: {} }]);
    expect([secret.status, secret.message]).toEqual([400, expect.stringContaining("never typed into a page")]);
    expect((await apply([server("a"), server("a")])).message).toContain("given twice");
    expect((await apply([])).status).toBe(400);
  });
  it("by many at once loses nothing", async () => {
    const names = Array.from({ length: 8 }, (_, index) => `s${index}`);
    const results = await Promise.all(names.map((name) => apply([server(name)])));
    for (const [index, { status }] of results.entries()) if (status !== 200) expect((await apply([server(names[index]!)])).status).toBe(200);
    expect((await rows()).map((each) => each.name).sort()).toEqual(names);
  });
  it("removes", async () => {
    await apply([server("a"), server("b")]);
    expect((await call("DELETE", "/v1/servers/default/a")).result.changes[0]).toMatchObject({ change: "deleted" });
    expect((await call("DELETE", "/v1/servers/default/a")).result).toMatchObject({ moved: false, changes: [{ change: "not found" }] });
    expect((await rows()).map((each) => each.name)).toEqual(["b"]);
    await call("DELETE", "/v1/servers/default/b");
    expect(await rows()).toEqual([]);
  });
});

describe("buttons", () => {
  it("suspend and resume a server, cordon, drain and uncordon a node", async () => {
    await apply([server("a")]);
    await call("POST", "/v1/servers/default/a/suspend");
    expect(await row("a")).toMatchObject({ suspended: true, generation: 2 });
    await call("POST", "/v1/servers/default/a/resume");
    expect(await row("a")).toMatchObject({ suspended: false, generation: 3 });
    await call("POST", "/v1/nodes/edge-1/cordon");
    expect(await row("edge-1")).toMatchObject({ kind: "MCPNode", unschedulable: true, drained: false });
    await call("POST", "/v1/nodes/edge-1/drain");
    expect(await row("edge-1")).toMatchObject({ unschedulable: true, drained: true });
    await call("POST", "/v1/nodes/edge-1/uncordon");
    expect(await row("edge-1")).toMatchObject({ unschedulable: false, drained: false });
    expect((await call("POST", "/v1/servers/default/none/restart")).status).toBe(404);
  });
  it("declare a node, and take nothing from one that is", async () => {
    const declare = (body: object) => call("POST", "/v1/nodes/edge-1/declare", { body });
    expect((await declare({ labels: { site: "berlin" } })).result.changes[0]).toMatchObject({ kind: "MCPNode", change: "created" });
    await apply([{ apiVersion: "mcpfleet.dev/v1alpha1", kind: "MCPNode", metadata: { name: "edge-1", labels: { site: "oslo", tier: "gold" }, annotations: { note: "by the door" } }, spec: { drain: true, unschedulable: true } }]);
    expect((await declare({})).result.changes[0]).toMatchObject({ change: "unchanged" });
    await declare({ labels: { site: "berlin" } });
    const keys = { signing: "A".repeat(43), sealing: "B".repeat(43) };
    await declare({ keys });
    const { metadata, spec } = (await call("GET", `/v1/desired/objects/${(await row("edge-1")).hash}`)).result;
    expect(metadata).toMatchObject({ labels: { site: "berlin", tier: "gold" }, annotations: { note: "by the door" } });
    expect(spec).toEqual({ drain: true, unschedulable: true, keys });
    expect((await declare({ keys: { ...keys, sealing: "short" } })).status).toBe(400);
    expect((await declare({ labels: { "not a label!": "x" } })).status).toBe(400);
    expect((await call("POST", "/v1/nodes/edge-1/declare", { as: VIEWER, body: {} })).status).toBe(403);
  });
});

describe("history", () => {
  it("tells who changed what, and a roll back makes it the newest again", async () => {
    await apply([server("a"), server("b")], { message: "first" });
    const first = (await call("GET", "/v1/desired")).result.snapshot;
    await apply([server("a", { args: ["x"] }), server("c")], { message: "second", remove: [{ kind: "MCPServer", namespace: "default", name: "b" }] });
    const { result, info } = await call("GET", "/v1/desired/history?limit=1", { as: VIEWER });
    expect(result).toMatchObject([{ message: "second", author: "test operator" }]);
    expect(info.next).toBe(first);
    const back = await call("POST", "/v1/rollback", { body: { snapshot: first } });
    expect(back.result.changes.map((each: any) => `${each.name} ${each.change}`).sort()).toEqual(["a configured", "b created", "c deleted"]);
    expect((await rows()).map((each) => each.name).sort()).toEqual(["a", "b"]);
    expect(await row("a")).toMatchObject({ generation: 3 });
    expect((await call("POST", "/v1/rollback", { body: { snapshot: first } })).result.moved).toBe(false);
    const deeds = (await call("GET", "/v1/audit", { as: VIEWER })).result;
    expect(deeds.map((deed: any) => deed.what)).toEqual(["rollback", "change", "change"]);
    expect(deeds[2]).toMatchObject({ who: "test operator", subject: "fleet", detail: "MCPServer/default/a created, MCPServer/default/b created" });
  });
});

describe("a signed fleet", () => {
  it("gets a proposal instead of a change, which its name is the hash of", async () => {
    const hash = await signedFleet(await newKey(), await newKey());
    await delivered();
    const { result } = await apply([server("a")], { message: "please" });
    expect(result).toMatchObject({ moved: false, head: "1.1.1", proposal: expect.stringMatching(/^[0-9a-f]{64}$/) });
    expect((await call("GET", "/v1/desired")).result).toMatchObject({ head: "1.1.1", signed: true });
    const [listed] = (await call("GET", "/v1/desired/proposals")).result;
    expect(listed).toMatchObject({ id: result.proposal, author: "test operator", message: "please", objects: 1 });
    const text = await bindings.CONFIG.get(`proposals/${result.proposal}`);
    expect(sha256Hex(text!)).toBe(result.proposal);
    const proposal = JSON.parse(text!);
    expect(proposal).toMatchObject({ fleet: "a".repeat(32), base: hash, remove: [] });
    expect(proposal.set[0].metadata).toEqual({ name: "a", namespace: "default" });
    expect((await call("GET", "/v1/audit")).result[0].detail).toContain(`proposed ${result.proposal.slice(0, 12)}`);
  });
});

describe("shards", () => {
  it("are those of C++", async () => {
    // tests/store: the first byte of sha256("MCPServer/default/weather") modulo 64.
    expect(shardOf({ kind: "MCPServer", namespace: "default", name: "weather" })).toBe(Number.parseInt(sha256Hex("MCPServer/default/weather").slice(0, 2), 16) % 64);
  });
  it("put an edit on top of another writer's result", async () => {
    const object = FleetObject.parse(server("late"));
    let first = true;
    const edit = setEdit(object);
    const racing = { ...edit, become: (before: FleetObject | undefined) => edit.become(before) };
    const done = change(bindings, [racing], { message: "", author: "x" });
    if (first) await apply([server("early")]);
    first = false;
    expect((await done).moved).toBe(true);
    expect((await rows()).map((each) => each.name).sort()).toEqual(["early", "late"]);
    expect(OPERATOR).not.toBe("");
  });
});
