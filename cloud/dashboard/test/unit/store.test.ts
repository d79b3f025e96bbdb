import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { FeedNode, ObjectRow, ServerSummary } from "../../src/api/client";
import { filterServers, matches, sortServers, wordsOf } from "../../src/lib/filter";
import type { FeedState } from "../../src/live/messages";
import { FLUSH_MS, FleetStore } from "../../src/live/store";

const node = (name: string, more: Partial<FeedNode> = {}): FeedNode => ({
  node: name,
  connected: true,
  lastSeen: 1,
  cloned: false,
  version: "1.5.0",
  head: "0.1.1",
  runtimes: [],
  capacity: { cpus: 4, memoryBytes: 2 ** 33, diskBytes: 2 ** 36 },
  conditions: [{ type: "Ready", status: "True", reason: "Ready", message: "" }],
  ...more,
});
const summary = (name: string, more: Partial<ServerSummary> = {}): ServerSummary => ({
  namespace: "default",
  name,
  ready: "True",
  reason: "Ready",
  message: "",
  looping: false,
  pinsViolated: "",
  restarts: 0,
  tools: 1,
  protocol: "2025-11-25",
  generation: 1,
  revision: "r1",
  endpoint: "",
  ...more,
});
const object = (name: string, more: Partial<ObjectRow> = {}): ObjectRow => ({
  kind: "MCPServer",
  namespace: "default",
  name,
  uid: name,
  generation: 1,
  hash: name,
  created: "2026-11-28T00:00:00Z",
  labels: {},
  source: "image",
  suspended: false,
  unschedulable: false,
  drained: false,
  replicas: null,
  nodes: null,
  selector: null,
  hostname: "",
  ...more,
});
const B = object("b", { labels: { tier: "gold" }, nodes: ["n1"] });
const state = (nodes: FeedState["nodes"], more: Partial<FeedState> = {}): FeedState => ({ type: "state", cursor: "b.1", whole: true, last: true, names: nodes.map((each) => each.node.node), nodes, ...more });

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
});
afterEach(() => {
  vi.useRealTimers();
});

function made(): FleetStore {
  const store = new FleetStore(() => 1000);
  store.take(state([
    { node: node("n1"), servers: [summary("a"), summary("b")] },
    { node: node("n2"), servers: [summary("a")] },
  ]));
  store.setDesired([object("a"), B]);
  store.flush();
  return store;
}
const row = (store: FleetStore, name: string) => store.current().servers.find((each) => each.name === name);

describe("the store", () => {
  it("joins what nodes report with what is desired", () => {
    const store = made();
    expect(store.current()).toMatchObject({ synced: true, desiredKnown: true });
    expect(row(store, "a")).toMatchObject({ health: "ready", ready: 2, total: 2, nodes: ["n1", "n2"] });
    expect(store.current().nodes.map(({ name, servers, ready }) => [name, servers, ready])).toEqual([["n1", 2, 2], ["n2", 1, 1]]);
  });
  it("applies a delta to the rows that it touches, and to no other", () => {
    const store = made();
    const before = row(store, "b");
    store.take({ type: "delta", cursor: "b.2", name: "n2", node: node("n2"), set: [summary("a", { ready: "False", reason: "CrashLoopBackOff", message: "m" })], gone: [] });
    store.flush();
    expect(row(store, "a")).toMatchObject({ health: "degraded", reason: "CrashLoopBackOff", message: "m", ready: 1, on: { n1: "ready", n2: "failing" } });
    expect(row(store, "b")).toBe(before);
    expect(store.since).toBe("b.2");
  });
  it("tells at most once in a while, however much comes in", () => {
    const store = made();
    let told = 0;
    store.subscribe(() => ++told);
    for (let at = 2; at < 1000; ++at) store.take({ type: "delta", cursor: `b.${at}`, name: "n1", node: node("n1"), set: [summary("a", { restarts: at })], gone: [] });
    expect(told).toBe(0);
    vi.advanceTimersByTime(FLUSH_MS);
    expect(told).toBe(1);
    expect(row(store, "a")?.restarts).toBe(999);
  });
  it("removes a server that is neither reported nor desired, and keeps one that is desired", () => {
    const store = made();
    store.take({ type: "delta", cursor: "b.2", name: "n1", node: node("n1"), set: [], gone: [["default", "b"]] });
    store.flush();
    expect(row(store, "b")).toMatchObject({ health: "pending", reason: "NotReported", ready: 0, total: 1, missing: ["n1"] });
    store.setDesired([object("a")]);
    store.flush();
    expect(row(store, "b")).toBeUndefined();
  });
  it("forgets a node with its servers, by a delta and by a state that does not name it", () => {
    const store = made();
    store.take({ type: "delta", cursor: "b.2", name: "n2", node: null, set: [], gone: [["default", "a"]] });
    store.flush();
    expect(row(store, "a")).toMatchObject({ total: 1, nodes: ["n1"] });
    store.take(state([{ node: node("n3"), servers: [] }], { cursor: "b.9" }));
    store.flush();
    expect(store.current().nodes.map((each) => each.name)).toEqual(["n3"]);
    expect(row(store, "a")).toMatchObject({ health: "pending" });
  });
  it("resumes: nodes that did not change keep their servers", () => {
    const store = made();
    store.take(state([{ node: node("n1"), servers: null }, { node: node("n2"), servers: [] }], { whole: false, cursor: "b.7" }));
    store.flush();
    expect(row(store, "a")).toMatchObject({ health: "pending", ready: 1, total: 2, nodes: ["n1"], missing: ["n2"] });
    expect(row(store, "b")).toMatchObject({ health: "ready" });
  });
  it("shows what a dead node said last as offline", () => {
    const store = made();
    store.take({ type: "down", sequence: 2, nodes: ["n1"], frozen: false });
    store.flush();
    expect(row(store, "b")).toMatchObject({ health: "offline", reason: "NodeOffline" });
    expect(row(store, "a")).toMatchObject({ health: "degraded", ready: 1 });
    store.take({ type: "down", sequence: 3, nodes: [], frozen: false });
    store.flush();
    expect(row(store, "b")).toMatchObject({ health: "ready" });
  });
  it("calls what is meant to be off so, also before it is reported", () => {
    const store = made();
    store.take({ type: "delta", cursor: "b.2", name: "n1", node: node("n1"), set: [summary("b", { ready: "False", reason: "Suspended" })], gone: [] });
    store.setDesired([object("a"), B, object("c", { suspended: true })]);
    store.flush();
    expect(row(store, "b")?.health).toBe("off");
    expect(row(store, "c")?.health).toBe("off");
  });
  it("keeps the rows that a node's coming and going changes nothing of", () => {
    const store = made();
    const before = row(store, "b");
    store.take({ type: "delta", cursor: "b.2", name: "n3", node: node("n3"), set: [], gone: [] });
    store.flush();
    expect(row(store, "a")).toMatchObject({ ready: 2, total: 3, missing: ["n3"] });
    expect(row(store, "b")).toBe(before);
  });
  it("places anew when a node is declared otherwise, or down", () => {
    const store = made();
    const declared = (name: string, more: Partial<ObjectRow> = {}) => object(name, { kind: "MCPNode", namespace: "", hash: `${name}${JSON.stringify(more)}`, ...more });
    const two = object("a", { replicas: 2 });
    store.setDesired([two, declared("n1"), declared("n2")]);
    store.flush();
    expect(row(store, "a")).toMatchObject({ health: "ready", ready: 2, total: 2 });
    store.setDesired([two, declared("n1"), declared("n2", { unschedulable: true })]);
    store.flush();
    expect(row(store, "a")).toMatchObject({ health: "degraded", reason: "TooFewNodes", ready: 1, total: 2 });
    store.setDesired([two, declared("n1"), declared("n2")]);
    store.take({ type: "down", sequence: 2, nodes: ["n1"], frozen: false });
    store.flush();
    expect(row(store, "a")).toMatchObject({ health: "degraded", reason: "TooFewNodes", ready: 1, total: 2 });
  });
  it("knows since when what is desired is so", () => {
    const store = new FleetStore(() => 5000);
    store.setDesired([object("a"), object("b", { generation: 3 })], 4000);
    store.flush();
    expect(row(store, "a")?.since).toBe(Date.parse("2026-11-28T00:00:00Z"));
    expect(row(store, "b")?.since).toBe(4000);
    store.setDesired([object("a", { generation: 2, hash: "a2" }), object("b", { generation: 3, hash: "b2", labels: { x: "y" } })], 4500);
    store.flush();
    expect(row(store, "a")?.since).toBe(5000);
    expect(row(store, "b")?.since).toBe(4000);
  });
  it("says why what is desired can't be read, until it can", () => {
    const store = new FleetStore(() => 1);
    store.setDesiredError(new Error("the store is away"));
    store.flush();
    expect(store.current()).toMatchObject({ desiredKnown: false, desiredError: new Error("the store is away") });
    store.setDesired([object("a")]);
    store.flush();
    expect(store.current()).toMatchObject({ desiredKnown: true, desiredError: undefined });
  });
  it("takes no cursor back, but that of another fleet", () => {
    const store = made();
    store.take({ type: "delta", cursor: "b.0", name: "n1", node: node("n1"), set: [], gone: [] });
    expect(store.since).toBe("b.1");
    store.take({ type: "delta", cursor: "c.0", name: "n1", node: node("n1"), set: [], gone: [] });
    expect(store.since).toBe("c.0");
  });
});

describe("ten thousand servers", () => {
  const NODES = 200;
  const SERVERS = 50;
  const big = (): FleetStore => {
    const store = new FleetStore(() => 1);
    store.take(state(Array.from({ length: NODES }, (_, at) => ({ node: node(`edge-${at}`), servers: Array.from({ length: SERVERS }, (__, each) => summary(`server-${at}-${each}`, each === 7 ? { ready: "False", reason: "Error" } : {})) }))));
    store.setDesired(Array.from({ length: NODES * SERVERS }, (_, at) => object(`server-${Math.floor(at / SERVERS)}-${at % SERVERS}`, { labels: { tier: at % 2 === 0 ? "gold" : "silver" } })));
    store.flush();
    return store;
  };
  const measured = (run: () => void): number => {
    const times = Array.from({ length: 7 }, () => {
      const begun = performance.now();
      run();
      return performance.now() - begun;
    });
    return times.sort((a, b) => a - b)[3]!;
  };
  it("are filtered and sorted within 100 ms", () => {
    const { servers } = big().current();
    expect(servers).toHaveLength(NODES * SERVERS);
    const ms = measured(() => {
      const found = sortServers(filterServers(servers, { text: "tier=gold server-1", health: "", namespace: "" }), "health", true);
      expect(found.length).toBeGreaterThan(1000);
    });
    console.log(`filter and sort of 10 000: ${ms.toFixed(1)} ms`);
    expect(ms).toBeLessThan(100);
  });
  it("take a quarter second's 125 updates within a frame of 50 ms", () => {
    const store = big();
    let at = 1;
    const ms = measured(() => {
      for (let count = 0; count < 125; ++count) {
        const name = ++at % NODES;
        store.take({ type: "delta", cursor: `b.${at}`, name: `edge-${name}`, node: node(`edge-${name}`), set: [summary(`server-${name}-${at % SERVERS}`, { restarts: at })], gone: [] });
      }
      store.flush();
    });
    console.log(`125 updates of 10 000: ${ms.toFixed(1)} ms`);
    expect(ms).toBeLessThan(50);
  });
  it("are placed anew within 100 ms when a node comes or goes", () => {
    const store = big();
    store.setDesired(Array.from({ length: NODES * SERVERS }, (_, at) => object(`server-${Math.floor(at / SERVERS)}-${at % SERVERS}`, { nodes: [`edge-${Math.floor(at / SERVERS)}`], hash: `placed-${at}` })));
    store.flush();
    let at = 1;
    const ms = measured(() => {
      store.take({ type: "delta", cursor: `b.${++at}`, name: "edge-7", node: node("edge-7", { connected: at % 2 === 0 }), set: [], gone: [] });
      store.flush();
    });
    console.log(`a node that turns, of 10 000: ${ms.toFixed(1)} ms`);
    expect(ms).toBeLessThan(100);
  });
  it("keep memory flat over a hundred thousand updates", () => {
    const store = big();
    const kept = () => Object.values(store as unknown as Record<string, unknown>).reduce<number>((sum, each) => sum + (each instanceof Map || each instanceof Set ? each.size : 0), 0);
    const before = kept();
    for (let at = 2; at < 100_000; ++at) {
      const name = `edge-${at % NODES}`;
      store.take({ type: "delta", cursor: `b.${at}`, name, node: node(name), set: [summary(`server-${at % NODES}-1`, { restarts: at })], gone: [] });
      if (at % 1000 === 0) store.flush();
    }
    store.flush();
    expect(kept()).toBe(before);
  }, 120_000);
});

describe("a filter", () => {
  it("wants every word, leaves out what has a dash, finds labels", () => {
    const store = made();
    const find = (text: string) => filterServers(store.current().servers, { text, health: "", namespace: "" }).map((each) => each.name);
    expect(find("")).toEqual(["a", "b"]);
    expect(find("tier=gold")).toEqual(["b"]);
    expect(find("default -tier=gold")).toEqual(["a"]);
    expect(find("N2")).toEqual(["a"]);
    expect(find("a b c d")).toEqual([]);
    expect(matches("-", wordsOf("-"))).toBe(true);
  });
  it("sorts the worst first, and keeps the order of names for equals", () => {
    const store = made();
    store.take({ type: "delta", cursor: "b.2", name: "n1", node: node("n1"), set: [summary("b", { ready: "False" })], gone: [] });
    store.flush();
    expect(sortServers(store.current().servers, "health", false).map((each) => each.name)).toEqual(["b", "a"]);
    expect(sortServers(store.current().servers, "tools", false).map((each) => each.name)).toEqual(["a", "b"]);
    expect(sortServers(store.current().servers, "name", true).map((each) => each.name)).toEqual(["b", "a"]);
  });
});
